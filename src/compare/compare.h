/* compare: how good is it? Two files measured against each other, pictures and reports that show the difference, and
 * presets side by side. Knows everything above it. This is the one header that other folders include. */
#ifndef TA_COMPARE_COMPARE_H
#define TA_COMPARE_COMPARE_H

#include "restore/restore.h"

/* ---- Pairs of frames ------------------------------------------------------------------------------------------- */

typedef enum ta_align {
    TA_ALIGN_AUTO, /* time 0 is the first picture of each file */
    TA_ALIGN_NONE  /* the files' own time lines */
} ta_align;

typedef struct ta_pair_options {
    ta_align align;
    int64_t start_us, end_us; /* of A's time as aligned; end INT64_MAX = all */
    bool shown;               /* begin with the frame that is shown at start_us, not with the first one behind it */
} ta_pair_options;

/* Reads two files together and pairs their frames by time: a frame and the one nearest to it, when each is the nearest
 * of the other and they are no more than half a frame (of the file with the higher rate) apart. Frames without a
 * partner are counted. A tested file (B) without colour tags gets A's. Holds two frames a file. Not thread safe. */
typedef struct ta_pairs ta_pairs;
typedef struct ta_pair {
    const AVFrame *a, *b; /* valid until the next call */
    int64_t us;           /* A's time, aligned */
} ta_pair;
/* TA_ERR_NOINPUT, TA_ERR_DATA ... as ta_frames_open. */
int ta_pairs_open(ta_pairs **p, const char *a, const char *b, const ta_pair_options *o, ta_cancel *cancel,
                  ta_error *err);
/* 1 and a pair, 0 at the end. */
int ta_pairs_next(ta_pairs *p, ta_pair *pair, ta_error *err);
AVRational ta_pairs_rate(const ta_pairs *p); /* A's frame rate, 0/1 where it varies */
void ta_pairs_unpaired(const ta_pairs *p, uint64_t *a, uint64_t *b);
void ta_pairs_close(ta_pairs **p);

/* Where a 720 wide SD picture whose centre 704 columns are 4:3 or 16:9 (Rec. 601) meets a picture that shows just that
 * part, its sides are cut: 8, else 0. For frames of files that were restored by that rule. */
int ta_view_margin(const AVFrame *wide, const AVFrame *other);
/* A reference to a frame without `margin` columns on each side. NULL when out of memory. */
AVFrame *ta_cut_sides(const AVFrame *frame, int margin);

/* ---- Metrics --------------------------------------------------------------------------------------------------- */

/* Definitions. x and y are samples of reference and tested file in one plane, M the largest value (2^bits - 1).
 *   PSNR     10 log10(M^2 / mean (x-y)^2) a plane; "average" takes the mean over all planes, each sample counting
 *            alike. A file's value comes from the mean squared error over all its pairs. Infinite for equal pictures.
 *   SSIM     Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment: From Error Visibility to Structural
 *            Similarity", IEEE TIP 13(4), 2004: over windows of 8x8 every 4 samples, unweighted, variances unbiased,
 *            C1 = (0.01 M)^2 / 64 and C2 = (0.03 M)^2. (The paper's C1 has no 64; x264 and libavfilter have it, and
 *            figures are only of use where they can be compared with others'.) "all" weighs planes by their samples.
 *   Flicker  how much more B changes from picture to picture than A does, in luma, in steps of 8 bits (0..255):
 *            D_F(n) = mean |F(n) - F(n-1)| over the picture, for pairs n-1 and n that follow each other; flicker =
 *            mean over n of D_B(n) - D_A(n). 0 = as steady as the reference, above 0 = it flickers (or is noisier),
 *            below 0 = steadier. D_F is the mean absolute brightness difference of Jiang and Zheng, "Learning to See
 *            Moving Objects in the Dark", ICCV 2019. RGB: the green plane. */
typedef struct ta_worst {
    double value;
    int64_t us; /* -1: there is none */
} ta_worst;

enum { TA_PLANES = 3 };

typedef struct ta_metrics {
    /* -- what was compared */
    int width, height, planes, bits;
    char pix_fmt[32];
    const char *plane_name[TA_PLANES]; /* "y", "u", "v" or "r", "g", "b" */
    uint64_t pairs, equal;             /* pairs, and how many of them are the same in every sample */
    uint64_t unpaired_a, unpaired_b;
    int64_t first_us, last_us;
    /* -- results */
    double psnr[TA_PLANES], psnr_average;
    double psnr_frames; /* mean of the pictures' own averages, of those that are not equal; INFINITY when all are */
    double ssim[TA_PLANES], ssim_all;
    double flicker, change_a, change_b; /* NAN with fewer than two pairs */
    ta_worst worst_psnr, worst_ssim, worst_flicker;
    ta_buf notes; /* what was converted, one a line */
} ta_metrics;

/* Called after each pair; `us` is how far it has come, aligned. May be NULL. */
typedef void (*ta_metrics_progress)(void *opaque, int64_t us, uint64_t pairs);

/* Measures `b` against the reference `a`. B is brought to A's size (bicubic), pixel format, matrix and range; that is
 * noted. TA_ERR_DATA when no two frames can be paired, or a picture is smaller than 8x8 in a plane. Clear `m` with
 * ta_metrics_clear, always. */
int ta_metrics_run(ta_metrics *m, const char *a, const char *b, const ta_pair_options *o, ta_metrics_progress progress,
                   void *opaque, ta_cancel *cancel, ta_error *err);
void ta_metrics_clear(ta_metrics *m);
/* As text for people, or JSON (numbers; infinity is the string "inf", what is not known null). NULL: out of memory. */
char *ta_metrics_text(const ta_metrics *m);
char *ta_metrics_json(const ta_metrics *m, const char *a, const char *b);

/* ---- Pictures and reports -------------------------------------------------------------------------------------- */

typedef enum ta_compare_mode {
    TA_COMPARE_SPLIT = 1, /* the left half of A, the right half of B */
    TA_COMPARE_SIDES = 2, /* A beside B */
    TA_COMPARE_HEAT = 4,  /* the absolute difference of luma as colours */
    TA_COMPARE_ALL = 7
} ta_compare_mode;

typedef struct ta_comparison {
    const char *a, *b;
    unsigned modes;    /* a sum of ta_compare_mode */
    const int64_t *at; /* moments of A, aligned; for PNG and HTML */
    int count;
    ta_pair_options pairs; /* for video: the piece; for the others the alignment */
    const char *output;
    bool overwrite;
} ta_comparison;

enum { TA_COMPARE_MOMENTS = 64 };

/* Labelled pictures in one PNG, the moments below each other. Pictures are shown at the height of the taller file with
 * square pixels. TA_ERR_USAGE when that is more than a PNG should hold. */
int ta_compare_png(const ta_comparison *c, ta_cancel *cancel, ta_error *err);
/* The same as a video (x264, Matroska or MP4 by the name), each pair at A's time. */
int ta_compare_video(const ta_comparison *c, ta_cancel *cancel, ta_error *err);
/* One HTML file that needs nothing else: no request, no script. With a table of `m`, which may be NULL. */
int ta_compare_html(const ta_comparison *c, const ta_metrics *m, ta_cancel *cancel, ta_error *err);

/* Presets side by side: the chain of each is run on a short piece before each moment (times of `input` as for --start),
 * the source is the first cell. PNG or HTML by the output's name. Temporary files are in a job folder beside the
 * output, one at a time. */
typedef struct ta_preset_grid {
    const char *input;
    const char *const *presets;
    int n_presets;
    const int64_t *at;
    int count;
    const char *output;
    bool overwrite;
} ta_preset_grid;
int ta_compare_presets(const ta_preset_grid *g, ta_cancel *cancel, ta_error *err);

#endif
