/* Textured things that move over the panels: a ball on a fast loop, a box to and fro, a diamond up and down. All at
 * speeds that are no whole number of samples or lines. */
#include "sample/scene_parts.h"

enum { BALL, BOX, DIAMOND, BALL_RADIUS = 34, BOX_HALF_X = 46, BOX_HALF_Y = 26, DIAMOND_HALF = 38 };

/* To and fro between -span and span, `speed` a step. */
static int swing(int64_t t, int speed, int span)
{
    int64_t at = t * speed % (4 * (int64_t)span);
    return (int)(at < 2 * (int64_t)span ? at - span : 3 * (int64_t)span - at);
}

void ta_movers_prepare(const ta_scene *s, ta_moment *m)
{
    int64_t t = m->n * (2 / s->o.moments_per_frame);
    uint32_t a = (uint32_t)t * ta_phase_step(1, 190), b = (uint32_t)t * ta_phase_step(1, 137);
    m->mover[BALL] = (ta_mover){ 360 * 256 + ta_sine_at(&s->sine, a) * 290 / 64,
                                 ta_scene_lines(s, 250) * 256 + ta_sine_at(&s->sine, b) * ta_scene_lines(s, 115) / 64 };
    m->mover[BOX] = (ta_mover){ 360 * 256 + swing(t, 1337, 300 * 256), ta_scene_lines(s, 350) * 256 + 96 };
    m->mover[DIAMOND] =
        (ta_mover){ 508 * 256 + swing(t, 61, 20 * 256), ta_scene_lines(s, 250) * 256 + swing(t, 387, 100 * 256) };
}

static void paint(ta_row *r, int x, int cover, ta_colour c)
{
    if (cover > 0 && !r->guard[x])
        ta_dot(r, x, TA_MIN(cover, 256), c);
}

static void range(const ta_mover *m, int half, int *x0, int *x1)
{
    *x0 = TA_MAX(m->x / 256 - half - 2, TA_SCENE_BORDER);
    *x1 = TA_MIN(m->x / 256 + half + 3, TA_SCENE_WIDTH - TA_SCENE_BORDER);
}

/* Round at the true aspect; stripes and grain turn with it. */
static void ball(ta_row *r)
{
    const ta_mover *m = &r->m->mover[BALL];
    int64_t radius = (int64_t)ta_scene_lines(r->s, BALL_RADIUS) * 64;
    int64_t dy = (r->line * 256 + 128 - m->y) / 4;
    if (dy > radius + 64 || dy < -radius - 64)
        return;
    int x0, x1;
    range(m, (int)(radius / 64) * r->s->par_den / r->s->par_num, &x0, &x1);
    for (int x = x0; x < x1; x++) {
        int64_t dx = (int64_t)(x * 256 + 128 - m->x) * r->s->par_num / (4 * r->s->par_den);
        int cover = (int)TA_CLAMP((radius * radius - dx * dx - dy * dy) / (2 * radius) * 4 + 128, 0, 256);
        int grain = ta_texture_at(r->s->texture, (int)dx * 6, (int)dy * 6) - 128;
        int stripe = ta_sine_at(&r->s->sine, (uint32_t)(int32_t)(dx + dy) * 3500000u) >> 9;
        int lit = (int)((dx + dy) / 160);
        paint(r, x, cover, (ta_colour){ (uint8_t)TA_CLAMP(135 + grain / 3 + stripe - lit, 20, 230), 76, 172 });
    }
}

static int edge(int half, int d)
{
    return TA_CLAMP(half * 256 - (d < 0 ? -d : d) + 128, 0, 256);
}

/* Bricks. */
static void box(ta_row *r)
{
    const ta_mover *m = &r->m->mover[BOX];
    int dy = r->line * 256 + 128 - m->y, down = edge(BOX_HALF_Y, dy), x0, x1;
    if (!down)
        return;
    range(m, BOX_HALF_X, &x0, &x1);
    int course = (dy + 64 * 256) / (8 * 256), in_course = (dy + 64 * 256) % (8 * 256);
    for (int x = x0; x < x1; x++) {
        int dx = x * 256 + 128 - m->x, along = (dx + 96 * 256 + (course & 1) * 8 * 256) % (16 * 256);
        int grain = ta_texture_at(r->s->texture, dx * 2, dy * 2) - 128;
        bool mortar = in_course < 350 || along < 350;
        paint(r, x, (edge(BOX_HALF_X, dx) * down) >> 8,
              mortar ? (ta_colour){ 176, 126, 130 } : (ta_colour){ (uint8_t)(88 + grain / 3), 112, 166 });
    }
}

static void diamond(ta_row *r)
{
    const ta_mover *m = &r->m->mover[DIAMOND];
    int dy = r->line * 256 + 128 - m->y, ay = dy < 0 ? -dy : dy, x0, x1;
    if (ay > (DIAMOND_HALF + 1) * 256)
        return;
    range(m, DIAMOND_HALF, &x0, &x1);
    for (int x = x0; x < x1; x++) {
        int dx = x * 256 + 128 - m->x, ax = dx < 0 ? -dx : dx;
        int grain = ta_texture_at(r->s->texture, dx * 3, dy * 3) - 128;
        paint(r, x, TA_CLAMP(DIAMOND_HALF * 256 - ax - ay + 128, 0, 256),
              (ta_colour){ (uint8_t)TA_CLAMP(120 + grain, 24, 220), 92, 76 });
    }
}

void ta_movers_row(ta_row *r)
{
    diamond(r);
    box(r);
    ball(r);
}
