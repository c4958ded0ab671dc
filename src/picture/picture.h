/* picture: the video stages and the order in which they are applied.
 * Knows base, settings, media, flow. This is the one header that other folders include. */
#ifndef TA_PICTURE_PICTURE_H
#define TA_PICTURE_PICTURE_H

#include "flow/flow.h"
#include "media/media.h"
#include "settings/settings.h"

/* How the picture was scanned, as decided once for a job (see analyze/analyze.h for how). */
typedef enum ta_scan {
    TA_SCAN_PROGRESSIVE,
    TA_SCAN_INTERLACED,    /* every frame holds two moments */
    TA_SCAN_MIXED,         /* the flags tell frame by frame, and measurement agrees with them */
    TA_SCAN_SOFT_TELECINE, /* progressive film with repeat-field flags */
    TA_SCAN_HARD_TELECINE  /* film with 3:2 pull-down in the picture */
} ta_scan;

/* What is known of the source before the stages are planned. */
typedef struct ta_picture_source {
    ta_video_format video; /* colour guessed where untagged; sar as declared */
    int rotation;          /* clockwise degrees that the player would turn it */
    ta_scan scan;
    ta_field_order order; /* TFF, BFF, or PROGRESSIVE */
    bool vfr;             /* the frame rate varies */
    int crop[4];          /* left, top, right, bottom found by measurement (for crop=auto) */
} ta_picture_source;

/* Counters that stages fill while running; atomic, read at the end for the report. */
typedef struct ta_picture_counts {
    _Atomic uint64_t shown_twice; /* progressive frames repeated for the constant field rate */
    _Atomic uint64_t dropped;     /* frames that fell on a taken place of the constant rate */
    _Atomic uint64_t gaps;        /* holes in the source's time, kept as they are */
    _Atomic uint64_t captions_in, captions_out;
    int64_t from_us, to_us; /* what lies outside isn't counted: [from, to) in the source's time; both 0 = all counts */
} ta_picture_counts;
/* Does a frame at this time count? `c` may be NULL. */
bool ta_picture_counted(const ta_picture_counts *c, int64_t us);

/* Engines that folders below this one offer for making the picture larger; how they work is theirs. */
typedef struct ta_picture_engines {
    void *opaque;
    /* Does the engine take and give this pixel format? */
    bool (*takes)(enum AVPixelFormat fmt);
    /* By how much the model that the settings name makes a picture larger. */
    int (*factor)(void *opaque, const ta_settings *s, int *factor, ta_error *err);
    /* A stage that makes `out`, `factor` times the size, of `in`. */
    int (*stage)(void *opaque, const ta_settings *s, const ta_video_format *in, const ta_video_format *out,
                 ta_stage **stage, ta_error *err);
    /* A stage that restores faces in pictures of the format `in`, which stays; it looks `face_reach` frames behind and
     * ahead. `faces` is its first argument. */
    void *faces;
    int (*face_stage)(void *faces, const ta_settings *s, const ta_video_format *in, ta_stage **stage, ta_error *err);
    int face_reach;
} ta_picture_engines;

/* Plans the stages for settings and source, in the order of good practice: field repair (chroma shift, dedot), inverse
 * telecine, deinterlace, constant rate, rotation, crop, deblock, denoise, deband, colour, LUT, faces, scale, sharpen,
 * HDR, captions, output format. Each step of the chain is one stage with a name and a spec in libavfilter syntax where
 * it is a filter. `chain` is not yet configured. `out_pix_fmt` is what the encoder wants (AV_PIX_FMT_NONE: keep).
 * `work_dir` is a folder for generated LUT files. `engines` may be NULL: there are none. `notes` receives remarks for
 * the user, one a line. TA_ERR_UNAVAILABLE (69) for what this build can't do (qtgmc, rtxvideo), with what to do
 * instead. */
int ta_picture_plan(const ta_settings *s, const ta_picture_source *src, enum AVPixelFormat out_pix_fmt,
                    const char *work_dir, const ta_picture_engines *engines, ta_picture_counts *counts, ta_chain *chain,
                    ta_buf *notes, ta_error *err);

/* Puts the field order that the settings declare, if any, in the place of what was measured. */
void ta_picture_declare_fields(const ta_settings *s, ta_picture_source *p);
/* Puts the colour space and range that the settings declare into `v`; what they leave open stays. */
void ta_picture_declare(const ta_settings *s, ta_video_format *v);

/* The output size for settings and a picture of `width` x `height` with true sample aspect `sar` (after crop): even
 * numbers (FFV1 at the source's size may stay odd); `out_sar` is 1:1 unless square-pixels is off. A height stands for
 * its 16:9 box (1080 for 1920x1080, upright for upright pictures); the shape is never changed: WIDTHxHEIGHT is a box to
 * fit into, or with square-pixels off the exact size, with the sample aspect that keeps the shape. */
int ta_picture_size(const ta_settings *s, int width, int height, AVRational sar, int *out_width, int *out_height,
                    AVRational *out_sar, ta_error *err);

/* Constant rate: puts frames on a grid that begins with the first frame, shows a frame again for as long as its own
 * duration (pkt_duration: two fields, three with repeat_pict, as the deinterlacing stage writes it) asks, keeps gaps,
 * counts. Spec: "rate=60000/1001" (default: the link's frame rate), "once" (every frame fills one place, whatever its
 * duration), "slack=0.75" (places that a time may be off), joined by colons. The out time base is 1/rate.num; absolute
 * time is kept. */
extern const ta_stage_class ta_constant_rate_stage;
/* For a chain that gets only a part of the source's frames: where the grid of the whole job begins, and where this part
 * begins and ends (INT64_MIN, INT64_MAX: with the job), as times of source frames. At both ends a frame takes the place
 * nearest to its time, so that neighbours agree. Before the first frame is pushed. */
typedef struct ta_grid_cuts {
    int64_t origin, from, to;
    AVRational time_base;
} ta_grid_cuts;
void ta_picture_cut(ta_chain *chain, const ta_grid_cuts *cuts);
/* Frames whose finished form would be before `from` (a time behind the chain, in `tb`; INT64_MIN: none) are let go
 * behind the last stage that remembers earlier ones, so that the stages behind it don't work for nothing. `in` is the
 * link that the (configured) chain begins with. TA_ERR_AGAIN when out of memory. */
int ta_picture_end_lead(ta_chain *chain, const ta_link *in, AVRational tb, int64_t from, ta_error *err);
/* The bound between the finished frames of the source frames before `pts` and those from it on: a time behind the
 * (configured) chain, in the time base of `out`. `origin` and `pts` are in the time base of `in`; `rate` is that of the
 * encoder, 0/1 where times vary. */
int64_t ta_picture_bound(const ta_chain *chain, const ta_link *in, const ta_link *out, AVRational rate, int64_t origin,
                         int64_t pts);
/* What the chain's stages together need around a stretch of the source: frames before it, behind it, and the multiple
 * of frames at which it may be cut. */
void ta_picture_reach(const ta_chain *chain, const ta_link *in, int *behind, int *ahead, int *phase);

/* Captions: moves CEA-608/708 packets (and AFD, time code) to output frames so that each appears exactly once, also
 * where stages double or drop frames. Two ends of one store: the first takes them off, the second puts them on. */
extern const ta_stage_class ta_captions_take_stage;
extern const ta_stage_class ta_captions_give_stage;
/* Joins the two ends; they may run on different threads. `counts` may be NULL. captions_in and captions_out count valid
 * packets. TA_ERR_AGAIN when out of memory (also when a stage is NULL). */
int ta_captions_join(ta_stage *take, ta_stage *give, ta_picture_counts *counts, ta_error *err);

/* ---- 3D look-up tables (Adobe Cube LUT Specification 1.0) -------------------------------------------------------- */

typedef struct ta_lut {
    int size;             /* edge, 2..129 */
    float min[3], max[3]; /* DOMAIN_MIN, DOMAIN_MAX */
    float *rgb;           /* size^3 triples, red fastest */
    char title[128];
} ta_lut;
/* TA_ERR_NOINPUT, TA_ERR_DATA (with the line number; 1D tables are refused by name). */
int ta_lut_read(ta_lut *lut, const char *path, ta_error *err);
/* One of the shipped looks: vhs_restore, warm_vintage, cool_modern (33 a side), generated. TA_ERR_USAGE otherwise. */
int ta_lut_make(ta_lut *lut, const char *name, ta_error *err);
/* Moves the table to the domain 0..1 (resampled where it had another): libavfilter forgets DOMAIN_MIN. */
int ta_lut_to_unit(ta_lut *lut, ta_error *err);
/* Mixes the identity in: strength 0 = identity, 1 = unchanged. Exact, as interpolation is linear. */
void ta_lut_mix(ta_lut *lut, float strength);
int ta_lut_write(const ta_lut *lut, const char *path, ta_error *err);
void ta_lut_free(ta_lut *lut);

#endif
