/* analyze: what is this tape? Scan type, field order, cadence, black borders; measured on decoded frames.
 * Knows base, settings, media, flow, picture, sound. This is the one header that other folders include. */
#ifndef TA_ANALYZE_ANALYZE_H
#define TA_ANALYZE_ANALYZE_H

#include "picture/picture.h"

typedef struct ta_scan_report {
    ta_scan scan;
    ta_field_order order;    /* decided */
    ta_field_order flagged;  /* what the flags say (majority) */
    ta_field_order measured; /* what the picture says; UNKNOWN when it does not move enough */
    int frames;              /* looked at */
    int flagged_interlaced, flagged_tff, repeat_flags;
    int combed;               /* frames that show combing */
    int tff_votes, bff_votes; /* frames whose motion tells the field order */
    bool vfr;                 /* frame durations vary, or are not what the header claims */
    int crop[4];              /* black borders: left, top, right, bottom; 0 where none is sure */
    char reason[256];         /* one sentence for people: why this decision */
} ta_scan_report;

/* Decodes a few windows spread over the file (at most about 120 frames of an SD picture) with an input of its own, and
 * decides. Flags are trusted when the measurement agrees or is silent; where they disagree the measurement wins if it
 * is clear (>= 80 % of at least 12 votes), and `reason` says so. `stream` is the video stream's index; `known` is an
 * open input of the same file, or NULL. */
int ta_scan_file(const char *path, ta_input *known, int stream, ta_cancel *cancel, ta_scan_report *report,
                 ta_error *err);

/* The measurement itself, on successive frames of one window, for tests: feeds a frame (any 8..16 bit YUV or grey). */
typedef struct ta_scan_meter ta_scan_meter;
ta_scan_meter *ta_scan_meter_new(void);
int ta_scan_meter_add(ta_scan_meter *m, const AVFrame *frame, ta_error *err);
void ta_scan_meter_cut(ta_scan_meter *m); /* the next frame doesn't follow the last one */
void ta_scan_meter_result(const ta_scan_meter *m, ta_scan_report *report);
void ta_scan_meter_free(ta_scan_meter **m);

/* A moment that is hard to restore. */
typedef struct ta_hard_moment {
    int64_t us;    /* on the file's own time line */
    double score;  /* (motion + 0.25) * (noise + 0.25): either alone makes a moment harder, too */
    double motion; /* mean change of 8x8 block means of luma between successive frames, in 8-bit steps: of four changes
                    * in a row the mean without the largest, so that a cut is no motion */
    double noise;  /* standard deviation by Immerkaer's method (1996) inside fields, in 8-bit steps: the lower quartile
                    * over blocks of 16x16, so that texture is no noise */
} ta_hard_moment;
/* The `wanted` hardest moments of a file, the hardest first, at least 2 s apart; *count says how many there are. Looks
 * at no more than 200 moments spread evenly over the file, and decodes some 8000 frames at most; MPEG streams are read
 * through (not decoded), as they can't be sought in by time. TA_ERR_DATA for files of under five frames. */
int ta_hardest(const char *path, int wanted, ta_cancel *cancel, ta_hard_moment *out, int *count, ta_error *err);

/* ---- Where to cut a capture into parts (cuts.c, cuts_meter.c) ---------------------------------------------------- */

typedef enum ta_cut_kind {
    TA_CUT_TIMES,  /* at the given times */
    TA_CUT_SCENES, /* where the picture changes: see ta_cut_rules.threshold */
    TA_CUT_BLACK,  /* in black picture with silence */
    TA_CUT_BLUE    /* the blue screen of a VCR without a signal is left out */
} ta_cut_kind;

/* A stretch that is left out, or, where both ends are equal, a cut. Microseconds of the file's own time (its start is
 * not taken off); both ends are times of frames: the part before ends in front of `from`, the next begins with `to`.
 * What is left out at the end goes on for ever. */
typedef struct ta_cut {
    int64_t from_us, to_us;
} ta_cut;

typedef struct ta_cut_rules {
    ta_cut_kind kind;
    double threshold;        /* SCENES: least strength, 0..1; 0.3 is usual */
    int64_t least_us;        /* BLACK, BLUE: least length. SCENES: least time from one cut to the next */
    bool drop;               /* BLACK: the black stretch is left out; else it is cut in its middle, but for the ends */
    int64_t from_us, to_us;  /* of the file's time: only what lies between matters; INT64_MAX = to the end */
    const int64_t *times_us; /* TIMES: of the file's time, rising */
    int n_times;
} ta_cut_rules;

typedef struct ta_cuts {
    ta_cut *list; /* rising, none within another */
    int count;
} ta_cuts;

enum { TA_MAX_CUTS = 100000 };

/* Finds the cuts by one pass over the file with an input of its own: TIMES by reading packets alone, the others by
 * decoding (picture without its loop filter, one sound track for BLACK), BLACK with a second pass over the packets.
 * Memory does not grow with the file, but for the list. `known` is an open input of the file or NULL, `stream` its
 * video stream (-1, for TIMES: there is none, times stay as they are). TA_ERR_USAGE for more than TA_MAX_CUTS cuts, or
 * a picture that can't be measured. */
int ta_find_cuts(const char *path, ta_input *known, int stream, const ta_cut_rules *rules, ta_cancel *cancel,
                 ta_cuts *cuts, ta_error *err);
void ta_cuts_free(ta_cuts *cuts);

#endif
