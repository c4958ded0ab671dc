/* Text on a line of the scene, in the program's own font. */
#include "sample/scene_parts.h"

#include <string.h>

enum { CELL = 6 };

int ta_text_width(const char *text, int sx)
{
    return (int)strlen(text) * CELL * sx;
}

void ta_row_text(ta_row *r, const ta_lettering *l, const char *text)
{
    int row = r->line - l->top;
    if (row < 0 || row >= TA_GLYPH_ROWS * l->sy)
        return;
    for (int x = l->x; *text && x < l->x1; text++, x += CELL * l->sx) {
        if (x + CELL * l->sx <= l->x0)
            continue;
        int bits = ta_glyph(*text)[row / l->sy];
        for (int i = 0; i < TA_GLYPH_COLUMNS * l->sx; i++)
            if (bits >> (TA_GLYPH_COLUMNS - 1 - i / l->sx) & 1 && x + i >= l->x0 && x + i < l->x1)
                ta_dot(r, x + i, 256, l->colour);
    }
}
