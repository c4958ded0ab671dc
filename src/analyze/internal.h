/* Shared inside analyze only. */
#ifndef TA_ANALYZE_INTERNAL_H
#define TA_ANALYZE_INTERNAL_H

#include "analyze/analyze.h"

/* Luma of a frame in 8 bits, every `step`-th column: what the meters look at. */
typedef struct ta_luma {
    int width, height;
    uint8_t *data; /* width * height */
} ta_luma;
/* Fills `l` (its buffer is reused). TA_ERR_DATA for a pixel format without a plain first component. */
int ta_luma_read(ta_luma *l, const AVFrame *frame, ta_error *err);
void ta_luma_free(ta_luma *l);

/* Black borders, gathered over frames. */
typedef struct ta_borders {
    int width, height; /* of the frames, 0 at first */
    uint8_t *row_max, *column_max; /* the brightest mean that each row and column had */
    int frames;
} ta_borders;
int ta_borders_add(ta_borders *b, const ta_luma *l, int frame_width, ta_error *err);
/* Left, top, right, bottom in pixels, even numbers; zeros unless enough bright frames agree. */
void ta_borders_result(const ta_borders *b, int crop[4]);
void ta_borders_free(ta_borders *b);

/* The usual time from a frame to the next, in the frames' time base; 0 when too few were seen. */
int64_t ta_scan_meter_step(const ta_scan_meter *m);

#endif
