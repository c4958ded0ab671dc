/* Inside the scene: a line being drawn, and the parts that draw on it. */
#ifndef TA_SAMPLE_SCENE_PARTS_H
#define TA_SAMPLE_SCENE_PARTS_H

#include "base/base.h"
#include "sample/scene.h"

/* Things that never move, drawn once. `cover` is 0 (see-through) .. 255; `guard` marks what no mover may hide. */
typedef struct ta_still {
    ta_picture picture;
    uint8_t *cover, *guard;
} ta_still;

typedef struct ta_mover {
    int x, y; /* centre, 1/256 sample and line */
} ta_mover;

enum { TA_MOVERS = 3, TA_POSTS = 10 };

/* All that is known once for a moment. */
typedef struct ta_moment {
    int64_t n, frame;
    bool flash;
    uint32_t code; /* Gray code of n */
    char text[48];
    int16_t far_hill[TA_SCENE_WIDTH], near_hill[TA_SCENE_WIDTH]; /* first line of the hill, 1/16 */
    int cloud_pan, far_pan, near_pan, post_pan, crawl_pan;       /* 1/256 sample */
    uint32_t zone_phase, diagonal_phase, star_turn;
    ta_mover mover[TA_MOVERS];
} ta_moment;

struct ta_scene {
    ta_scene_options o;
    int height;
    int par_num, par_den; /* pixel aspect at which the circle is round */
    ta_sine sine;
    uint8_t *texture;
    uint16_t *star; /* angle of each sample inside the circle, 0 outside; rows of 720 */
    uint8_t *star_cover;
    ta_still still;
    ta_moment now;
};

/* One line under the brush. */
typedef struct ta_row {
    const ta_scene *s;
    const ta_moment *m;
    int line;
    uint8_t *y, *u, *v;
    const uint8_t *guard; /* NULL: nothing is guarded */
} ta_row;

typedef struct ta_colour {
    uint8_t y, u, v;
} ta_colour;

static inline int ta_scene_lines(const ta_scene *s, int lines480)
{
    return s->o.pal ? lines480 * 6 / 5 : lines480;
}

static inline uint8_t ta_blend(int under, int over, int cover256)
{
    return (uint8_t)(under + (((over - under) * cover256 + 128) >> 8));
}

/* Paints one sample; `cover` 0 .. 256. Chroma lives on even samples. */
static inline void ta_dot(ta_row *r, int x, int cover, ta_colour c)
{
    r->y[x] = ta_blend(r->y[x], c.y, cover);
    if (!(x & 1)) {
        r->u[x >> 1] = ta_blend(r->u[x >> 1], c.u, cover);
        r->v[x >> 1] = ta_blend(r->v[x >> 1], c.v, cover);
    }
}

void ta_row_fill(ta_row *r, int x0, int x1, ta_colour c);
/* Is the line inside y0 .. y1 (given for 480 lines)? */
bool ta_row_in(const ta_row *r, int y0, int y1);
/* Text with its first glyph row on line `top`: each dot `sx` samples wide and `sy` lines high. `x` in samples may be
 * negative; what falls outside x0 .. x1 is cut. */
typedef struct ta_lettering {
    int x, top, sx, sy, x0, x1;
    ta_colour colour;
} ta_lettering;
void ta_row_text(ta_row *r, const ta_lettering *l, const char *text);
int ta_text_width(const char *text, int sx);

int ta_still_draw(ta_scene *s);   /* bars, ramps, burst, plates, rings, borders */
int ta_star_measure(ta_scene *s); /* the angle map */
void ta_land_prepare(const ta_scene *s, ta_moment *m);
void ta_land_row(ta_row *r);   /* sky, hills, fence */
void ta_panels_row(ta_row *r); /* zone plate, diagonal lines, rotating star */
void ta_marks_row(ta_row *r);  /* number, text, flash, crawl */
void ta_movers_prepare(const ta_scene *s, ta_moment *m);
void ta_movers_row(ta_row *r);

#endif
