/* Marks that machines and people read: the number as blocks, the same in figures, the flash, and a crawl of text. */
#include "sample/scene_parts.h"

static const ta_colour black = { 24, 128, 128 }, white = { 218, 128, 128 };

static void number(ta_row *r)
{
    bool upper = ta_row_in(r, 20, 40);
    if (!upper && !ta_row_in(r, 40, 60))
        return;
    uint32_t blocks = 1u << (TA_CODE_BITS + 1) | r->m->code << 1; /* white, the bits, black */
    for (int i = 0; i < TA_CODE_BITS + 2; i++) {
        bool lit = (blocks >> (TA_CODE_BITS + 1 - i) & 1) == upper;
        ta_row_fill(r, TA_CODE_X + i * TA_CODE_BLOCK, TA_CODE_X + (i + 1) * TA_CODE_BLOCK, lit ? white : black);
    }
}

static void figures(ta_row *r)
{
    ta_lettering l = {
        .x = 30, .top = ta_scene_lines(r->s, 75), .sx = 3, .sy = 3, .x0 = 24, .x1 = 488, .colour = { 210, 128, 128 }
    };
    ta_row_text(r, &l, r->m->text);
}

static void flash(ta_row *r)
{
    if (r->m->flash && ta_row_in(r, 70, 120))
        ta_row_fill(r, 600, 690, (ta_colour){ 235, 128, 128 });
}

static void crawl(ta_row *r)
{
    static const char text[] = "HOME VIDEO - RECORDED FROM THE AIR ON A WORN TAPE, PLAYED A HUNDRED TIMES - ";
    enum { SX = 4 };
    int width = ta_text_width(text, SX), shift = (r->m->crawl_pan >> 8) % width;
    ta_lettering l = {
        .top = ta_scene_lines(r->s, 395), .sx = SX, .sy = 3, .x0 = 8, .x1 = 712, .colour = { 205, 100, 142 }
    };
    for (l.x = 8 - shift; l.x < 712; l.x += width)
        ta_row_text(r, &l, text);
}

void ta_marks_row(ta_row *r)
{
    number(r);
    figures(r);
    flash(r);
    crawl(r);
}
