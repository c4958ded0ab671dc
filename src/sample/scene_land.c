/* The landscape behind everything: drifting clouds, two ranges of textured hills, a fence running by. Four layers at
 * four speeds, none a whole number of samples a field. */
#include "sample/scene_parts.h"

enum { POST_STEP = 90, POST_WIDTH = 7, FENCE_TOP = 432, RAIL = 444 };

static int hill(const ta_scene *s, int at, int top, int swing)
{
    uint32_t x = (uint32_t)at; /* 1/256 sample; 2^16 a turn of 256 samples */
    int a = ta_sine_at(&s->sine, x * 22000), b = ta_sine_at(&s->sine, x * 57000 + 0x30000000),
        c = ta_sine_at(&s->sine, x * 171000);
    return (top * 16) + (((4 * a + 2 * b + c) * swing * 2) >> 14);
}

void ta_land_prepare(const ta_scene *s, ta_moment *m)
{
    int far_top = ta_scene_lines(s, 190), near_top = ta_scene_lines(s, 290);
    for (int x = 0; x < TA_SCENE_WIDTH; x++) {
        m->far_hill[x] = (int16_t)hill(s, x * 256 + m->far_pan, far_top, ta_scene_lines(s, 20));
        m->near_hill[x] = (int16_t)hill(s, 0x500000 - (x * 256 + m->near_pan), near_top, ta_scene_lines(s, 30));
    }
}

static ta_colour sky(const ta_row *r, int x, int depth)
{
    int cloud = ta_texture_at(r->s->texture, (x * 256 + r->m->cloud_pan) / 2, r->line * 400);
    int white = TA_MAX(cloud - 120, 0);
    int y = 128 + depth / 4 + white * 2 / 3;
    return (ta_colour){ (uint8_t)TA_MIN(y, 225), (uint8_t)(158 - TA_MIN(white / 3, 26)),
                        (uint8_t)(112 + TA_MIN(white / 5, 14)) };
}

static ta_colour far_land(const ta_row *r, int x)
{
    int t = ta_texture_at(r->s->texture, x * 256 + r->m->far_pan, r->line * 256) - 128;
    return (ta_colour){ (uint8_t)(98 + t / 3), 132, 112 };
}

static ta_colour near_land(const ta_row *r, int x, int depth)
{
    int t = ta_texture_at(r->s->texture, x * 320 + r->m->near_pan * 5 / 4, r->line * 512) - 128;
    int warm = 0; /* only even samples have colour */
    if (!(x & 1))
        warm = ta_texture_at(r->s->texture, (x * 256 + r->m->near_pan) / 4, r->line * 90) - 128;
    return (ta_colour){ (uint8_t)TA_CLAMP(86 + t / 2 - depth / 10, 18, 230), (uint8_t)(108 - warm / 16),
                        (uint8_t)(121 + warm / 9) };
}

static ta_colour mix(ta_colour a, ta_colour b, int sixteenths)
{
    int c = sixteenths * 16;
    return (ta_colour){ ta_blend(a.y, b.y, c), ta_blend(a.u, b.u, c), ta_blend(a.v, b.v, c) };
}

static ta_colour land_at(const ta_row *r, int x)
{
    int line = r->line * 16 + 8;
    int near = TA_CLAMP(line - r->m->near_hill[x] + 8, 0, 16), far = TA_CLAMP(line - r->m->far_hill[x] + 8, 0, 16);
    ta_colour c = { 0, 128, 128 };
    if (near < 16 && far < 16)
        c = sky(r, x, r->line);
    if (near < 16 && far > 0)
        c = mix(c, far_land(r, x), far);
    if (near > 0)
        c = mix(c, near_land(r, x, (line - r->m->near_hill[x]) / 16), near);
    return c;
}

/* How much of sample x the posts cover, 0 .. 256. */
static int post_cover(const ta_row *r, int x)
{
    int at = (x * 256 + r->m->post_pan) % (POST_STEP * 256);
    int left = TA_CLAMP(256 - (POST_WIDTH * 256 - at), 0, 256); /* leaving the right edge */
    if (at >= (POST_WIDTH + 1) * 256)
        return at > (POST_STEP - 1) * 256 ? at - (POST_STEP - 1) * 256 : 0;
    return 256 - left;
}

static void fence(ta_row *r)
{
    static const ta_colour wood = { 178, 122, 134 }, shade = { 150, 122, 134 };
    bool rail = ta_row_in(r, RAIL, RAIL + 6);
    for (int x = 0; x < TA_SCENE_WIDTH; x++) {
        int c = rail ? 256 : post_cover(r, x);
        if (c)
            ta_dot(r, x, c, rail ? shade : wood);
    }
}

void ta_land_row(ta_row *r)
{
    for (int x = 0; x < TA_SCENE_WIDTH; x++) {
        ta_colour c = land_at(r, x);
        r->y[x] = c.y;
        if (!(x & 1)) {
            r->u[x >> 1] = c.u;
            r->v[x >> 1] = c.v;
        }
    }
    if (r->line >= ta_scene_lines(r->s, FENCE_TOP))
        fence(r);
}
