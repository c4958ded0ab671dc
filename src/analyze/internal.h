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
    int width, height;             /* of the frames, 0 at first */
    uint8_t *row_max, *column_max; /* the brightest mean that each row and column had */
    int frames;
} ta_borders;
int ta_borders_add(ta_borders *b, const ta_luma *l, int frame_width, ta_error *err);
/* Left, top, right, bottom in pixels, even numbers; zeros unless enough bright frames agree. */
void ta_borders_result(const ta_borders *b, int crop[4]);
void ta_borders_free(ta_borders *b);

/* The usual time from a frame to the next, in the frames' time base; 0 when too few were seen. */
int64_t ta_scan_meter_step(const ta_scan_meter *m);

/* A picture as the mean colour of the blocks of a coarse grid, in 8 bits of limited range: what cuts are found by. */
enum { TA_GRID_WIDTH = 32, TA_GRID_HEIGHT = 24, TA_GRID_BLOCKS = TA_GRID_WIDTH * TA_GRID_HEIGHT };
typedef struct ta_grid {
    uint8_t y[TA_GRID_BLOCKS], u[TA_GRID_BLOCKS], v[TA_GRID_BLOCKS]; /* u, v: 128 where the picture is grey */
} ta_grid;
/* TA_ERR_USAGE for a pixel format that can't be measured. */
int ta_grid_read(ta_grid *g, const AVFrame *frame, ta_error *err);
bool ta_grid_is_black(const ta_grid *g);
bool ta_grid_is_blue(const ta_grid *g);
/* Mean absolute difference of luma, 0..1. */
double ta_grid_difference(const ta_grid *a, const ta_grid *b);

/* Changes of scene among successive frames. */
typedef struct ta_scenes {
    double threshold;
    int64_t least_us;
    ta_grid before, last; /* two frames back, and one */
    int seen;
    double difference;       /* of the last frame from the one before it */
    int64_t last_us, cut_us; /* times of the last frame and of the last cut (or of the first frame) */
    double strength;         /* of a cut at the last frame that still waits for the next frame; 0 = none */
} ta_scenes;
/* Looks at the next frame (NULL: the end). True when a scene begins at *cut_us, the time of the frame before this one.
 */
bool ta_scenes_add(ta_scenes *s, const ta_grid *g, int64_t us, int64_t *cut_us);

#endif
