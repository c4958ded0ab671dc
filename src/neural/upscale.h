/* Neural upscaling: tiles, colour, reuse of what didn't change, the stage. Part of neural/neural.h, which includes it.
 */
#ifndef TA_NEURAL_UPSCALE_H
#define TA_NEURAL_UPSCALE_H

#include "flow/flow.h"
#include "media/media.h"
#include "settings/settings.h"

/* ---- Tiles ------------------------------------------------------------------------------------------------------ */

/* How a network's output lies over its input, the same for rows and columns. */
typedef struct ta_upscale_shape {
    int scale; /* output pixels per input pixel */
    int reach; /* how far beyond the input pixels below a tile it looks, at any side */
    int inset; /* input pixels that are lost at each side: out = scale * (in - 2 * inset) */
    int align; /* sizes are `align_rest` modulo this, and tiles begin at its multiples; 0 counts as 1 */
    int align_rest;
    int fixed_width, fixed_height; /* the only size that the model takes; 0: any */
    bool global;                   /* looks at the whole picture: one tile only */
} ta_upscale_shape;

/* A piece of the picture. The network sees the window, which may lie partly beside the picture: there its edge is
 * repeated. Of the result, the part over [left, right) x [top, bottom) is used. All in pixels of the source. */
typedef struct ta_tile {
    int x, y; /* of the window, whose size all tiles share */
    int left, top, right, bottom;
} ta_tile;

typedef struct ta_tiling {
    int width, height; /* of a window */
    int columns, rows, count;
    int overlap; /* least pixels of the picture around a tile that its window holds, but for the picture's edge */
    ta_tile *tiles;
} ta_tiling;

typedef struct ta_tile_wish {
    int tile;       /* side of a tile without what is around it; 0: what costs least */
    int overlap;    /* -1: the model's reach */
    int64_t pixels; /* of a window, about, as memory allows; 0: the default */
} ta_tile_wish;

/* Cuts a picture into tiles that join to what the network makes of the whole. Depends on nothing but its arguments.
 * TA_ERR_USAGE: the wish is impossible for this model; TA_ERR_AGAIN: memory. Free with ta_tiling_free. */
int ta_tiling_make(ta_tiling *t, const ta_upscale_shape *shape, const ta_tile_wish *wish, int width, int height,
                   ta_error *err);
void ta_tiling_free(ta_tiling *t);
/* "2x1 tiles, windows 378x480, overlap 18", appended. */
void ta_tiling_tell(const ta_tiling *t, ta_buf *b);

/* ---- Colour ----------------------------------------------------------------------------------------------------- */

/* Frames are planar YUV, grey or GBR of 8 to 16 bits; pictures are three planes of fp32 R, G, B without gaps, nominally
 * 0..1 and not clipped. Chroma is interpolated linearly at its true position. */
bool ta_rgb_takes(enum AVPixelFormat fmt);
/* 0, or TA_ERR_UNAVAILABLE with the name of the format or matrix. */
int ta_rgb_check(const ta_video_format *v, ta_error *err);
/* Numbers of scratch memory for a frame of this width. */
int ta_rgb_scratch(int width);
void ta_rgb_from_frame(const AVFrame *f, const ta_video_format *v, float *rgb, float *scratch);
/* Rounds to the nearest code, no dither. */
void ta_rgb_to_frame(const float *rgb, const ta_video_format *v, AVFrame *f, float *scratch);
/* The same codes before they are rounded and clipped, into a frame's planes without gaps (all three for YUV and RGB,
 * one for grey). */
void ta_rgb_to_codes(const float *rgb, const ta_video_format *v, int width, int height, float *const codes[3],
                     float *scratch);

/* ---- Upscaling -------------------------------------------------------------------------------------------------- */

/* What computes tiles: a session, or a plain function in tests. Slots run side by side; each is used as input, start,
 * wait, output, in this order. */
typedef struct ta_upscale_runner {
    void *opaque;
    int slots;
    /* The slot's memory for a window, three planes. */
    int (*input)(void *opaque, int slot, float **rgb, ta_error *err);
    int (*start)(void *opaque, int slot, ta_error *err);
    int (*wait)(void *opaque, int slot, ta_error *err);
    /* Three planes of scale * (window - 2 * inset); valid until the slot's next start. */
    int (*output)(void *opaque, int slot, const float **rgb, ta_error *err);
    void (*close)(void *opaque);
} ta_upscale_runner;

typedef struct ta_upscale_counts {
    uint64_t frames, held, tiles, reused; /* tiles that ran; tiles whose result was used again */
} ta_upscale_counts;

/* A picture at a time in, in order, a picture out. For one thread at a time. */
typedef struct ta_upscaler ta_upscaler;

typedef struct ta_upscaler_options {
    ta_video_format in, out; /* out: scale times the size of in */
    ta_upscale_shape shape;
    ta_tiling tiling;         /* taken over, also on failure */
    ta_upscale_runner runner; /* closed with the upscaler, also on failure */
    float tolerance;          /* tiles whose input changed by no more than this keep their result; 0: by nothing */
    bool reuse;               /* false: every tile is computed, for tests */
    /* Takes a finished frame. */
    int (*emit)(void *to, AVFrame *frame, ta_error *err);
    void *emit_to;
} ta_upscaler_options;

int ta_upscaler_new(ta_upscaler **u, const ta_upscaler_options *o, ta_error *err);
/* Takes the frame. Some frames come out later, by a further push or ta_upscaler_drain. */
int ta_upscaler_push(ta_upscaler *u, AVFrame *frame, ta_error *err);
int ta_upscaler_drain(ta_upscaler *u, ta_error *err);
/* Forgets all frames and results; nothing is emitted. */
void ta_upscaler_reset(ta_upscaler *u);
void ta_upscaler_get_counts(const ta_upscaler *u, ta_upscale_counts *counts);
/* Waits for running tiles. */
void ta_upscaler_free(ta_upscaler **u);

/* ---- Models and the stage -----------------------------------------------------------------------------------------
 */

/* The models of a job and what was compiled of them: each is read and compiled once, for all segments. Thread safe. */
typedef struct ta_upscale_models ta_upscale_models;
/* `cancel` ends waiting for tiles; it may be NULL and must outlive the models. */
int ta_upscale_models_new(ta_upscale_models **m, ta_cancel *cancel, ta_error *err);
/* After the last stage that was made with them. */
void ta_upscale_models_free(ta_upscale_models **m);

/* Constructors for ta_picture_plan (see ta_picture_engines), `models` is a ta_upscale_models. */
int ta_upscale_factor(void *models, const ta_settings *s, int *factor, ta_error *err);
int ta_upscale_stage_new(void *models, const ta_settings *s, const ta_video_format *in, const ta_video_format *out,
                         ta_stage **st, ta_error *err);

/* Is it the stage of a model? */
bool ta_upscale_is(const ta_stage *st);
/* What the stage would take for a frame of which nothing is known, measured on one tile; compiles the model. */
int ta_upscale_measure(const ta_stage *st, double *seconds, ta_error *err);
/* The geometry of its tiles as one line, for the plan of a job. */
const char *ta_upscale_tiles(const ta_stage *st);

#endif
