/* The scene: what the camera saw. A clean picture of any moment, drawn line by line in integers.
 *
 * All places are given in a picture 720 x 480; PAL stretches lines by 6/5 (every number below divides by 5). The 4:3
 * or 16:9 picture fills the centre 704 samples; 8 samples on each side are black, as captures have them.
 *
 * What can be measured, and where (tests/lib/measure.py reads the same places):
 *   number    x 30..690 in 22 blocks of 30, two rows, lines 20..40 and 40..60. The lower row is the inverse of the
 *             upper. Block 0 is white above, block 21 black above; blocks 1..20 are the moment's number as a Gray
 *             code, highest bit first. White is 218, black 24.
 *   text      "FIELD 000123  00:00:02:03" at x 30, line 75.
 *   flash     x 600..690, lines 70..120: white for one frame time out of a second's frames, else black.
 *   circle    centre (360, 250), a white ring whose outer radius is 110 lines, a dark ring of 14 lines around it.
 *             Round when 4:3 or 16:9 fills 704 samples: pixel aspect 10:11, 40:33, 12:11, 16:11. */
#ifndef TA_SAMPLE_SCENE_H
#define TA_SAMPLE_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sample/arith.h"

enum {
    TA_SCENE_WIDTH = 720,
    TA_SCENE_BORDER = 8,
    TA_SCENE_MAX_HEIGHT = 576,
    TA_CODE_X = 30,
    TA_CODE_BLOCK = 30,
    TA_CODE_BITS = 20,
    TA_CIRCLE_X = 360,
    TA_CIRCLE_Y = 250,
    TA_CIRCLE_RADIUS = 110,
};

/* A picture, 8 bit 4:2:2, limited range: luma stride 720, chroma stride 360. */
typedef struct ta_picture {
    int height;
    uint8_t *plane[3];
} ta_picture;
int ta_picture_alloc(ta_picture *p, int height);
void ta_picture_free(ta_picture *p);

typedef struct ta_scene_options {
    bool pal, wide;
    int moments_per_frame; /* 2 = each field has its own moment, 1 = progressive */
    uint64_t seed;
} ta_scene_options;

typedef struct ta_scene ta_scene;
/* NULL when out of memory. */
ta_scene *ta_scene_new(const ta_scene_options *o);
void ta_scene_free(ta_scene **s);

/* Draws lines first, first + step, ... of moment `n` into `p`. */
void ta_scene_draw(ta_scene *s, int64_t n, int first, int step, ta_picture *p);

/* The flash and the beep come once in `frames a second` (30 or 25) frames, first after half of that. */
static inline int ta_scene_flash_period(bool pal)
{
    return pal ? 25 : 30;
}
static inline bool ta_scene_flash_frame(bool pal, int64_t frame)
{
    int period = ta_scene_flash_period(pal);
    return frame % period == period / 2;
}

#endif
