/* sample: a deterministic tape-like clip with its clean ground truth.
 * Knows base, media, flow. Used by `terminalai sample`, the demo, tests and benches.
 *
 * Source time: video frame 0 and sound sample 0 begin together, and no later sample drifts. Fields are moments: field
 * n (its number is in the picture) is n / 59.94 or n / 50 s old. A flash lights one frame out of 30 (NTSC: 1.001 s)
 * or 25 (PAL: 1 s), first frame 15 or 12; a beep begins with it, on the very sample. scene.h says where the marks
 * are, tape.h what the tape does, tone.h what is heard. In .mpg the MP2 encoder's delay of 481 samples stands before
 * time 0, as its timestamps say. */
#ifndef TA_SAMPLE_SAMPLE_H
#define TA_SAMPLE_SAMPLE_H

#include "base/base.h"
#include "media/media.h"

typedef struct ta_sample_options {
    bool pal;             /* 720x576 at 50 fields, else 720x480 at 60000/1001 fields */
    bool wide;            /* 16:9, else 4:3 */
    ta_field_order order; /* TFF, BFF, or PROGRESSIVE (one moment a frame) */
    double seconds;
    uint64_t seed;
    bool clean;   /* no tape damage: only scanned as asked */
    double noise; /* luma noise, standard deviation in 8-bit steps (default 4) */
} ta_sample_options;
void ta_sample_defaults(ta_sample_options *o);

/* Writes the clip as MPEG-2 program stream (.mpg: 4:2:0, MP2), or Matroska (.mkv: FFV1 4:2:2, PCM), by the extension of
 * `path`; and, unless `truth` is NULL, the clean original there (.mkv: FFV1 4:2:0, PCM), progressive, one picture for
 * each moment: at field rate, or at frame rate for a PROGRESSIVE sample. Existing files are refused unless
 * `overwrite`. Neither file appears before both are complete. The same options give the same picture and sound on any
 * machine (the .mpg as far as libavcodec's encoder does).
 * TA_ERR_USAGE, TA_ERR_CANTCREATE, TA_ERR_UNAVAILABLE, TA_ERR_AGAIN, TA_ERR_IO, TA_ERR_CANCELLED. */
int ta_sample_write(const ta_sample_options *o, const char *path, const char *truth, bool overwrite, ta_cancel *cancel,
                    ta_error *err);

#endif
