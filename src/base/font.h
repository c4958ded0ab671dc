/* The program's own bitmap font: burnt into samples and comparisons, where no font file can be relied on. */
#ifndef TA_BASE_FONT_H
#define TA_BASE_FONT_H

#include <stdint.h>

enum { TA_GLYPH_ROWS = 7, TA_GLYPH_COLUMNS = 5 };
/* The rows of an ASCII character from the top; bit 4 is the left column. Blank for what the font does not have. */
const uint8_t *ta_glyph(char c);

#endif
