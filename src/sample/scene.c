/* The scene: life time, moments, and the order in which a line's parts are painted. */
#include "sample/scene_parts.h"

#include <stdio.h>
#include <string.h>

int ta_picture_alloc(ta_picture *p, int height)
{
    size_t luma = (size_t)TA_SCENE_WIDTH * height;
    p->height = height;
    p->plane[0] = ta_alloc(luma * 2);
    if (!p->plane[0])
        return -1;
    p->plane[1] = p->plane[0] + luma;
    p->plane[2] = p->plane[1] + luma / 2;
    return 0;
}

void ta_picture_free(ta_picture *p)
{
    ta_freep(&p->plane[0]);
}

ta_scene *ta_scene_new(const ta_scene_options *o)
{
    static const int par[2][2][2] = { { { 10, 11 }, { 40, 33 } }, { { 12, 11 }, { 16, 11 } } };
    ta_scene *s = ta_alloc(sizeof(*s));
    if (!s)
        return NULL;
    s->o = *o;
    s->height = o->pal ? 576 : 480;
    s->par_num = par[o->pal][o->wide][0];
    s->par_den = par[o->pal][o->wide][1];
    ta_sine_init(&s->sine);
    s->texture = ta_array(TA_TEXTURE_SIZE, TA_TEXTURE_SIZE);
    if (!s->texture || ta_texture_fill(s->texture, o->seed) < 0 || ta_star_measure(s) < 0 || ta_still_draw(s) < 0)
        ta_scene_free(&s);
    return s;
}

void ta_scene_free(ta_scene **s)
{
    if (!*s)
        return;
    ta_freep(&(*s)->texture);
    ta_freep(&(*s)->star);
    ta_freep(&(*s)->star_cover);
    ta_freep(&(*s)->still.cover);
    ta_freep(&(*s)->still.guard);
    ta_picture_free(&(*s)->still.picture);
    ta_freep(s);
}

static void moment_text(const ta_scene *s, ta_moment *m)
{
    int period = ta_scene_flash_period(s->o.pal);
    int64_t seconds = m->frame / period;
    snprintf(m->text, sizeof(m->text), "%s %06d  %02d:%02d:%02d:%02d", s->o.moments_per_frame == 2 ? "FIELD" : "FRAME",
             (int)(m->n % 1000000), (int)(seconds / 3600 % 100), (int)(seconds / 60 % 60), (int)(seconds % 60),
             (int)(m->frame % period));
}

/* Motion is per field time, so that a progressive scene moves as fast. */
static void moment_prepare(ta_scene *s, int64_t n)
{
    ta_moment *m = &s->now;
    m->n = n;
    m->frame = n / s->o.moments_per_frame;
    m->flash = ta_scene_flash_frame(s->o.pal, m->frame);
    m->code = (uint32_t)(n ^ (n >> 1)) & ((1u << TA_CODE_BITS) - 1);
    moment_text(s, m);
    int64_t t = n * (2 / s->o.moments_per_frame);
    m->cloud_pan = (int)(t * 40 & 0xffffff);
    m->far_pan = (int)(t * 150 & 0xffffff);
    m->near_pan = (int)(t * 420 & 0xffffff);
    m->post_pan = (int)(t * 870 % (90 * 256));
    m->crawl_pan = (int)(t * 640 & 0x7fffffff);
    m->zone_phase = (uint32_t)t * ta_phase_step(1, 45);
    m->diagonal_phase = (uint32_t)t * ta_phase_step(1, 23);
    m->star_turn = (uint32_t)t * ta_phase_step(1, 240);
    ta_land_prepare(s, m);
    ta_movers_prepare(s, m);
}

void ta_row_fill(ta_row *r, int x0, int x1, ta_colour c)
{
    memset(r->y + x0, c.y, (size_t)(x1 - x0));
    memset(r->u + (x0 + 1) / 2, c.u, (size_t)((x1 + 1) / 2 - (x0 + 1) / 2));
    memset(r->v + (x0 + 1) / 2, c.v, (size_t)((x1 + 1) / 2 - (x0 + 1) / 2));
}

bool ta_row_in(const ta_row *r, int y0, int y1)
{
    return r->line >= ta_scene_lines(r->s, y0) && r->line < ta_scene_lines(r->s, y1);
}

static void still_row(ta_row *r)
{
    const ta_still *st = &r->s->still;
    size_t at = (size_t)r->line * TA_SCENE_WIDTH;
    const uint8_t *cover = st->cover + at, *y = st->picture.plane[0] + at;
    const uint8_t *u = st->picture.plane[1] + at / 2, *v = st->picture.plane[2] + at / 2;
    for (int x = 0; x < TA_SCENE_WIDTH; x++)
        if (cover[x])
            ta_dot(r, x, cover[x] + (cover[x] >> 7), (ta_colour){ y[x], u[x >> 1], v[x >> 1] });
}

void ta_scene_draw(ta_scene *s, int64_t n, int first, int step, ta_picture *p)
{
    moment_prepare(s, n);
    for (int line = first; line < s->height; line += step) {
        size_t at = (size_t)line * TA_SCENE_WIDTH;
        ta_row r = { s, &s->now, line, p->plane[0] + at, p->plane[1] + at / 2, p->plane[2] + at / 2, NULL };
        ta_land_row(&r);
        still_row(&r);
        ta_panels_row(&r);
        r.guard = s->still.guard + at;
        ta_movers_row(&r);
        ta_marks_row(&r);
    }
}
