/* Samples on their way through a model: a few channels of fp32 as long rows that grow at the end and are dropped at the
 * front. Private to neural. */
#ifndef TA_NEURAL_PLANES_H
#define TA_NEURAL_PLANES_H

#include "flow/flow.h"

typedef struct ta_planes {
    int channels;
    int64_t count; /* samples a channel */
    int64_t cap;
    float **x;
} ta_planes;

int ta_planes_init(ta_planes *p, int channels, ta_error *err);
void ta_planes_free(ta_planes *p);
/* Makes room for `count` zeros at the end, and counts them in. */
int ta_planes_grow(ta_planes *p, int64_t count, ta_error *err);
/* Adds the samples of a frame of planar floats; the frame stays the caller's. */
int ta_planes_add(ta_planes *p, const AVFrame *frame, ta_error *err);
void ta_planes_drop(ta_planes *p, int64_t count);
/* The first `count` samples of all rows as a frame at `pts`. NULL: no memory. The rows stay as they are. */
AVFrame *ta_planes_frame(const ta_planes *p, int64_t from, int count, const ta_audio_format *format, int64_t pts);

#endif
