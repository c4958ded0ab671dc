/* sample: a deterministic tape-like clip with its clean ground truth, and the meters that read it back.
 * Knows base, media, flow. Used by `terminalai sample`, the demo, tests and benches. */
#ifndef TA_SAMPLE_SAMPLE_H
#define TA_SAMPLE_SAMPLE_H

#include "base/base.h"
#include "media/media.h"

typedef struct ta_sample_options {
    bool pal;            /* 720x576 at 50 fields, else 720x480 at 60000/1001 fields */
    bool wide;           /* 16:9, else 4:3 */
    ta_field_order order; /* TFF, BFF, or PROGRESSIVE (one moment a frame) */
    double seconds;
    uint64_t seed;
    bool clean;          /* no tape damage: only scanned as asked */
    double noise;        /* luma noise, standard deviation in 8-bit steps (default 4) */
} ta_sample_options;
void ta_sample_defaults(ta_sample_options *o);

/* Writes the clip as MPEG-2 program stream (.mpg), or FFV1/PCM Matroska (.mkv), by the extension of `path`; and,
 * unless `truth` is NULL, the clean progressive field-rate original (FFV1 + PCM, .mkv) there. Existing files are
 * refused unless `overwrite`. The same options give the same picture and sound, on any machine. */
int ta_sample_write(const ta_sample_options *o, const char *path, const char *truth, bool overwrite, ta_cancel *cancel,
                    ta_error *err);

#endif
