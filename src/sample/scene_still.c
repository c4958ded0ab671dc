/* What stands still: plates under the marks, the rings of the circle, colour bars, ramps, multiburst, small print and
 * the black borders. Drawn once into the still layer. */
#include "sample/scene_parts.h"

#include <string.h>

enum { RING = 14, INNER = TA_CIRCLE_RADIUS - RING, OUTER = TA_CIRCLE_RADIUS + RING };

static const ta_colour black = { 16, 128, 128 }, dark = { 30, 128, 128 }, white = { 218, 128, 128 };

/* A brush over the still layer. */
static ta_row still_line(ta_scene *s, int line)
{
    size_t at = (size_t)line * TA_SCENE_WIDTH;
    uint8_t **p = s->still.picture.plane;
    return (ta_row){ s, NULL, line, p[0] + at, p[1] + at / 2, p[2] + at / 2, NULL };
}

static void opaque(ta_scene *s, int line, int x0, int x1, int cover, bool guarded)
{
    size_t at = (size_t)line * TA_SCENE_WIDTH + (size_t)x0;
    memset(s->still.cover + at, cover, (size_t)(x1 - x0));
    if (guarded)
        memset(s->still.guard + at, 1, (size_t)(x1 - x0));
}

typedef struct plate {
    int x0, x1, y0, y1;
    bool guarded;
    ta_colour c;
} plate;

static void plates(ta_row *r, ta_scene *s)
{
    static const plate all[] = {
        { 16, 704, 15, 65, true, { 16, 128, 128 } },    /* number */
        { 20, 490, 70, 101, true, { 24, 128, 128 } },   /* text */
        { 594, 696, 66, 125, true, { 16, 128, 128 } },  /* flash */
        { 8, 712, 390, 424, true, { 40, 160, 116 } },   /* crawl */
        { 26, 194, 125, 375, false, { 60, 128, 128 } }, /* zone plate, diagonal lines */
        { 526, 694, 130, 375, false, { 60, 128, 128 } },
    };
    for (size_t i = 0; i < TA_COUNT(all); i++)
        if (ta_row_in(r, all[i].y0, all[i].y1)) {
            ta_row_fill(r, all[i].x0, all[i].x1, all[i].c);
            opaque(s, r->line, all[i].x0, all[i].x1, 255, all[i].guarded);
        }
}

/* 75 % bars of ITU-R BT.601. */
static void bars(ta_row *r)
{
    static const ta_colour bar[] = { { 180, 128, 128 }, { 162, 44, 142 }, { 131, 156, 44 }, { 112, 72, 58 },
                                     { 84, 184, 198 },  { 65, 100, 212 }, { 35, 212, 114 }, { 16, 128, 128 } };
    if (ta_row_in(r, 135, 220))
        for (int i = 0; i < 8; i++)
            ta_row_fill(r, 530 + i * 20, 550 + i * 20, bar[i]);
}

/* A grey ramp, and one from blue to red through grey. */
static void ramps(ta_row *r)
{
    for (int x = 530; x < 690; x++) {
        int t = x - 530;
        if (ta_row_in(r, 226, 256))
            ta_dot(r, x, 256, (ta_colour){ (uint8_t)(16 + t * 219 / 159), 128, 128 });
        if (ta_row_in(r, 262, 292))
            ta_dot(r, x, 256, (ta_colour){ 120, (uint8_t)(176 - t * 96 / 159), (uint8_t)(80 + t * 96 / 159) });
    }
}

/* 0.5, 1, 2, 3, 4 MHz at 13.5 MHz sampling, 32 samples each. */
static void burst(ta_row *r, const ta_sine *sine)
{
    static const int half_mhz[5] = { 1, 2, 4, 6, 8 };
    if (!ta_row_in(r, 298, 332))
        return;
    for (int x = 0; x < 160; x++) {
        uint32_t phase = (uint32_t)(x % 32) * ta_phase_step((uint64_t)half_mhz[x / 32], 27);
        ta_dot(r, 530 + x, 256, (ta_colour){ (uint8_t)(120 + ((ta_sine_at(sine, phase) * 85) >> 14)), 128, 128 });
    }
}

static void small_print(ta_row *r, const ta_scene *s)
{
    ta_lettering l = {
        .x = 532, .top = ta_scene_lines(s, 340), .sx = 2, .sy = 2, .x0 = 530, .x1 = 690, .colour = { 200, 128, 128 }
    };
    ta_row_text(r, &l, s->o.pal ? "SUMMER 1988" : "SUMMER 1987");
    l.top += 18;
    l.sx = l.sy = 1;
    ta_row_text(r, &l, "SMALL PRINT: 5 X 7 DOTS");
}

/* Distance from the circle's centre in 1/64 line, squared. */
static int64_t distance2(const ta_scene *s, int x, int line)
{
    int64_t dx = (int64_t)(2 * (x - TA_CIRCLE_X) + 1) * 32 * s->par_num / s->par_den;
    int64_t dy = (2 * (line - ta_scene_lines(s, TA_CIRCLE_Y)) + 1) * 32;
    return dx * dx + dy * dy;
}

/* Coverage 0 .. 256 of a disc: its edge is one line wide. */
static int disc_cover(int64_t d2, int radius_lines)
{
    int64_t r = (int64_t)radius_lines * 64;
    return (int)TA_CLAMP((r * r - d2) / (2 * r) * 4 + 128, 0, 256);
}

static void rings(ta_row *r, ta_scene *s)
{
    uint8_t *cover = s->still.cover + (size_t)r->line * TA_SCENE_WIDTH;
    uint8_t *guard = s->still.guard + (size_t)r->line * TA_SCENE_WIDTH;
    for (int x = TA_SCENE_BORDER; x < TA_SCENE_WIDTH - TA_SCENE_BORDER; x++) {
        int64_t d2 = distance2(s, x, r->line);
        int out = disc_cover(d2, ta_scene_lines(s, OUTER));
        if (!out)
            continue;
        ta_dot(r, x, 256, dark);
        ta_dot(r, x, disc_cover(d2, ta_scene_lines(s, TA_CIRCLE_RADIUS)), white);
        ta_dot(r, x, disc_cover(d2, ta_scene_lines(s, INNER)), dark);
        cover[x] = (uint8_t)TA_MIN(out, 255);
        guard[x] = 1;
    }
}

static void borders(ta_row *r, ta_scene *s)
{
    static const int side[2] = { 0, TA_SCENE_WIDTH - TA_SCENE_BORDER };
    for (int i = 0; i < 2; i++) {
        ta_row_fill(r, side[i], side[i] + TA_SCENE_BORDER, black);
        opaque(s, r->line, side[i], side[i] + TA_SCENE_BORDER, 255, true);
    }
}

int ta_still_draw(ta_scene *s)
{
    ta_still *st = &s->still;
    size_t dots = (size_t)TA_SCENE_WIDTH * s->height;
    st->cover = ta_alloc(dots);
    st->guard = ta_alloc(dots);
    if (!st->cover || !st->guard || ta_picture_alloc(&st->picture, s->height) < 0)
        return -1;
    memset(st->picture.plane[1], 128, dots);
    for (int line = 0; line < s->height; line++) {
        ta_row r = still_line(s, line);
        plates(&r, s);
        bars(&r);
        ramps(&r);
        burst(&r, &s->sine);
        small_print(&r, s);
        rings(&r, s);
        borders(&r, s);
    }
    return 0;
}

int ta_star_measure(ta_scene *s)
{
    size_t dots = (size_t)TA_SCENE_WIDTH * s->height;
    s->star = ta_array(dots, sizeof(*s->star));
    s->star_cover = ta_alloc(dots);
    if (!s->star || !s->star_cover)
        return -1;
    int cy = ta_scene_lines(s, TA_CIRCLE_Y), radius = ta_scene_lines(s, INNER - 4);
    for (int line = 0; line < s->height; line++)
        for (int x = 0; x < TA_SCENE_WIDTH; x++) {
            size_t at = (size_t)line * TA_SCENE_WIDTH + (size_t)x;
            s->star_cover[at] = (uint8_t)TA_MIN(disc_cover(distance2(s, x, line), radius), 255);
            s->star[at] = ta_angle16((2 * (x - TA_CIRCLE_X) + 1) * s->par_num, (2 * (line - cy) + 1) * s->par_den);
        }
    return 0;
}
