/* Panels that move in place: a zone plate, three fields of fine diagonal lines, a rotating star in the circle. */
#include "sample/scene_parts.h"

/* cos(ax dx^2 + ay dy^2): up to 0.35 cycles a sample across and 0.22 cycles a line down (0.25 is what one field can
 * hold), both beyond what a tape can. */
static void zone(ta_row *r)
{
    if (!ta_row_in(r, 130, 250))
        return;
    int dy = r->line - ta_scene_lines(r->s, 190), half = ta_scene_lines(r->s, 60);
    uint32_t ay = ta_phase_step(22, 200 * (uint64_t)half), ax = ta_phase_step(35, 200 * 80);
    for (int x = 30; x < 190; x++) {
        int dx = x - 110;
        uint32_t phase = (uint32_t)(dx * dx) * ax + (uint32_t)(dy * dy) * ay - r->m->zone_phase;
        ta_dot(r, x, 256, (ta_colour){ (uint8_t)(122 + ((ta_sine_at(&r->s->sine, phase) * 84) >> 14)), 128, 128 });
    }
}

/* Near level, 45 degrees and near upright: lines that a bad deinterlacer breaks into steps. */
static void diagonals(ta_row *r)
{
    static const int slope[3][2] = { { 14, 100 }, { 80, 60 }, { 150, 20 } }; /* cycles in 1000 samples, lines */
    if (!ta_row_in(r, 258, 370))
        return;
    for (int x = 30; x < 190; x++) {
        const int *k = slope[(x - 30) * 3 / 160];
        uint32_t phase = (uint32_t)x * ta_phase_step((uint64_t)k[0], 1000) +
                         (uint32_t)r->line * ta_phase_step((uint64_t)k[1], 1000) - r->m->diagonal_phase;
        int v = TA_CLAMP(ta_sine_at(&r->s->sine, phase) * 2, -TA_SINE_ONE, TA_SINE_ONE);
        ta_dot(r, x, 256, (ta_colour){ (uint8_t)(120 + ((v * 90) >> 14)), 128, 128 });
    }
}

/* Eight rays, two of them coloured, with soft edges. */
static void star(ta_row *r)
{
    static const ta_colour low = { 44, 128, 128 }, high = { 190, 128, 128 }, red = { 90, 104, 196 };
    size_t at = (size_t)r->line * TA_SCENE_WIDTH;
    const uint8_t *cover = r->s->star_cover + at;
    const uint16_t *angle = r->s->star + at;
    for (int x = TA_SCENE_BORDER; x < TA_SCENE_WIDTH - TA_SCENE_BORDER; x++) {
        if (!cover[x])
            continue;
        uint32_t turn = ((uint32_t)angle[x] << 16) - r->m->star_turn;
        int v = TA_CLAMP(ta_sine_at(&r->s->sine, turn * 8) * 6, -TA_SINE_ONE, TA_SINE_ONE);
        ta_colour ray = (turn >> 29) % 4 ? high : red;
        int c = cover[x] + (cover[x] >> 7);
        ta_dot(r, x, c, low);
        ta_dot(r, x, (c * (v + TA_SINE_ONE)) >> 15, ray);
    }
}

void ta_panels_row(ta_row *r)
{
    zone(r);
    diagonals(r);
    star(r);
}
