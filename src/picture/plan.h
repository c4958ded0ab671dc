/* The plan under construction: what the frames are at this point of the chain, and how a step is added to it.
 * Only files of this folder include it. */
#ifndef TA_PICTURE_PLAN_H
#define TA_PICTURE_PLAN_H

#include "picture/picture.h"

typedef struct ta_plan {
    const ta_settings *s;
    const ta_picture_source *src;
    enum AVPixelFormat out_fmt; /* what the encoder wants, or AV_PIX_FMT_NONE */
    const char *work_dir;
    const ta_picture_engines *engines; /* or NULL */
    ta_picture_counts *counts;
    ta_chain *chain;
    ta_buf *notes;
    ta_error *err;

    ta_video_format now;  /* what the frames are after the steps so far */
    ta_scan scan;         /* of the source, with field-order=progressive taken into account */
    ta_field_order order; /* of the source's fields: TFF or BFF */
    AVRational rate;      /* frames a second of the source, snapped to the standard's fraction; 0/1 unknown */
    bool interlaced;      /* the frames still hold two moments each */
    bool recounted;       /* a step doubles or drops frames */
    int rotation;
    int face_scale;      /* by how much the picture was made larger for faces; 0 or 1: it wasn't */
    AVRational true_sar; /* by the rule of the centre 704, of the picture as it is turned now */
    ta_video_format yuv; /* what the frames were before they became RGB; height 0 when the source is RGB */
} ta_plan;

/* What a step needs besides its filter. */
typedef struct ta_step {
    const char *name;
    int behind, ahead, phase; /* phase 0 counts as 1 */
} ta_step;

/* A remark for the user, one line. */
void ta_plan_note(ta_plan *p, const char *fmt, ...) TA_PRINTF(2, 3);
/* Adds a stage of any class. `stage` may be NULL (out of memory). */
int ta_plan_add(ta_plan *p, const ta_step *step, ta_stage *stage);
/* Adds a libavfilter stage. Where the filter can't take the format of the moment, the format that libavfilter itself
 * would choose is converted to in front of it, and the plan goes on in that format. */
int ta_plan_filter(ta_plan *p, const ta_step *step, const char *filter);
/* A conversion without loss to a format that the neural engines take, where this one isn't. */
int ta_plan_for_models(ta_plan *p);
/* The filter text for a conversion to `fmt` ("scale=...,format=..."), for the colours of the moment, appended to `b`;
 * `p->now` follows. Nothing is appended where nothing changes. */
void ta_plan_convert(ta_plan *p, enum AVPixelFormat fmt, ta_buf *b);
/* `p->now` becomes `fmt` with the colour tags that belong to it. */
void ta_plan_retag(ta_plan *p, enum AVPixelFormat fmt);
/* Appends vf_scale's options for matrix, range and chroma position of a conversion from `in` to `out`. */
void ta_scale_colours(ta_buf *b, const ta_video_format *in, const ta_video_format *out);
/* Adds a filter stage that leaves frames with the colour tags of `p->now`; takes the text of `b`. */
int ta_plan_add_tagged(ta_plan *p, const ta_step *step, ta_buf *b);
/* The pixel format that `filter` works in when it is fed `fmt`: `fmt` itself, or libavfilter's choice; NONE on failure.
 */
enum AVPixelFormat ta_filter_input(const char *filter, enum AVPixelFormat fmt);

int ta_fmt_depth(enum AVPixelFormat fmt);
bool ta_fmt_rgb(enum AVPixelFormat fmt);
/* The planar YUV format with the chroma of `fmt` (4:4:4 of RGB) and this depth. */
enum AVPixelFormat ta_fmt_yuv(enum AVPixelFormat fmt, int depth);
/* Names of matrix and range as vf_scale wants them. */
const char *ta_scale_matrix(enum AVColorSpace matrix);
bool ta_matrix_sd(enum AVColorSpace matrix);
/* The nearest standard rate within 0.03 %, else `rate`. */
AVRational ta_snap_rate(AVRational rate);

/* The steps; each adds nothing where its settings change nothing. */
int ta_plan_repair(ta_plan *p);
int ta_plan_late_repair(ta_plan *p);
/* Inverse telecine, deinterlacing, soft telecine, and the constant rate behind them. */
int ta_plan_fields(ta_plan *p);
int ta_plan_rotate(ta_plan *p);
int ta_plan_crop(ta_plan *p);
int ta_plan_depth(ta_plan *p);
int ta_plan_deblock(ta_plan *p);
int ta_plan_denoise(ta_plan *p);
int ta_plan_deband(ta_plan *p);
int ta_plan_eq(ta_plan *p);
int ta_plan_rgb(ta_plan *p);
int ta_plan_faces(ta_plan *p);
int ta_plan_scale(ta_plan *p);
int ta_plan_sharpen(ta_plan *p);
int ta_plan_hdr(ta_plan *p);
int ta_plan_captions(ta_plan *p);
int ta_plan_output(ta_plan *p);

/* ---- Stage classes of this folder ------------------------------------------------------------------------------- */

/* A libavfilter graph (none when the spec is empty) whose frames get the given colour tags: filters of libavfilter
 * forget or keep tags as they like. */
ta_stage *ta_tagged_stage(const char *name, const char *spec, const ta_video_format *tags);

/* The same with a look-up table: where the spec says TA_LOOK_FILE, the filter reads the table. It goes through a file
 * in `work_dir` that lives only while the filter reads it, so jobs side by side don't meet. Takes the values of `lut`.
 */
#define TA_LOOK_FILE "look.cube"
ta_stage *ta_look_stage(const char *name, const char *spec, ta_lut *lut, const char *work_dir,
                        const ta_video_format *tags);

/* A deinterlacer or inverse telecine whose output times are those of its source frames. libavfilter's own times are
 * guesses: the second field of a frame before a gap lands in the middle of the gap, decimate counts frames. */
typedef struct ta_timing {
    bool fields;     /* two frames for an interlaced one */
    bool all;        /* every frame counts as interlaced, whatever its flag says */
    AVRational rate; /* frames a second of the source, 0/1 unknown */
} ta_timing;
ta_stage *ta_timed_stage(const char *name, const char *spec, const ta_timing *timing);

/* A filter with a window of `size` frames, which stands at the end of its text ("atadenoise=0a=0.02:s="), also for
 * clips that are shorter than half of that. */
ta_stage *ta_window_stage(const char *name, const char *filter, int size);

/* Takes out of the store of captions what the giving end would put on this frame, a frame of the format `v` that never
 * gets there. Only before any frame that does. */
void ta_captions_forget(ta_stage *give, const AVFrame *frame, const ta_video_format *v);

/* Counters of a constant-rate stage; NULL for none. */
void ta_constant_rate_counts(ta_stage *st, ta_picture_counts *counts);

#endif
