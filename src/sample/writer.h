/* One output file of the sample: encoders, muxer, atomic publishing. */
#ifndef TA_SAMPLE_WRITER_H
#define TA_SAMPLE_WRITER_H

#include "base/base.h"
#include "media/media.h"
#include "sample/scene.h"

typedef struct ta_writer ta_writer;

typedef struct ta_writer_options {
    const char *path; /* .mpg: MPEG-2 and MP2; .mkv: FFV1 and PCM */
    bool pal, wide;
    AVRational rate;      /* pictures a second */
    ta_field_order order; /* of the stored pictures */
    bool halve_chroma;    /* store 4:2:0 (always in .mpg), else 4:2:2 */
    bool overwrite;
} ta_writer_options;

/* Opens a temporary file beside `path`. TA_ERR_USAGE for another extension, TA_ERR_CANTCREATE, TA_ERR_UNAVAILABLE. */
int ta_writer_open(ta_writer **w, const ta_writer_options *o, ta_error *err);
/* The next picture. */
int ta_writer_picture(ta_writer *w, const ta_picture *p, ta_error *err);
/* The next `n` stereo samples, n <= 4096. */
int ta_writer_sound(ta_writer *w, const int16_t *samples, int n, ta_error *err);
/* Drains the encoders and finishes the file, still under its temporary name; then publishes it. */
int ta_writer_finish(ta_writer *w, ta_error *err);
int ta_writer_publish(ta_writer *w, ta_error *err);
/* Frees; what was not published is unlinked. NULL inside is allowed. */
void ta_writer_close(ta_writer **w);

#endif
