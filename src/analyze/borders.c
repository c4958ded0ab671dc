/* Black borders: a row or column belongs to one when its mean stayed black in every frame that was not dark itself. */
#include "analyze/internal.h"

/* 8-bit limited range: black is 16; tape noise lifts the mean of black rows a little. */
enum { BLACK = 26, DARK_FRAME = 40, ENOUGH_FRAMES = 8 };

static int start(ta_borders *b, const ta_luma *l, int frame_width, ta_error *err)
{
    if (b->height == l->height && b->width == frame_width)
        return 0;
    ta_borders_free(b);
    b->row_max = ta_array((size_t)l->height, 1);
    b->column_max = ta_array((size_t)l->width, 1);
    if (!b->row_max || !b->column_max)
        return ta_no_memory(err);
    b->width = frame_width;
    b->height = l->height;
    return 0;
}

static uint8_t mean(const uint8_t *p, int count, ptrdiff_t step)
{
    uint64_t sum = 0;
    for (int i = 0; i < count; i++)
        sum += p[i * step];
    return (uint8_t)(sum / (uint64_t)TA_MAX(count, 1));
}

int ta_borders_add(ta_borders *b, const ta_luma *l, int frame_width, ta_error *err)
{
    int r = start(b, l, frame_width, err);
    if (r < 0)
        return r;
    if (mean(l->data, l->width * l->height, 1) < DARK_FRAME)
        return 0;
    for (int y = 0; y < l->height; y++)
        b->row_max[y] = TA_MAX(b->row_max[y], mean(l->data + (ptrdiff_t)y * l->width, l->width, 1));
    for (int x = 0; x < l->width; x++)
        b->column_max[x] = TA_MAX(b->column_max[x], mean(l->data + x, l->height, l->width));
    b->frames++;
    return 0;
}

/* How many values from one end stay black; a quarter at the most. */
static int run(const uint8_t *v, int count, bool from_end)
{
    int n = 0;
    while (n < count / 4 && v[from_end ? count - 1 - n : n] <= BLACK)
        n++;
    return n;
}

void ta_borders_result(const ta_borders *b, int crop[4])
{
    memset(crop, 0, 4 * sizeof *crop);
    if (b->frames < ENOUGH_FRAMES)
        return;
    int columns = b->width / TA_MAX(b->width / 480, 1), skip = TA_MAX(b->width / TA_MAX(columns, 1), 1);
    crop[0] = run(b->column_max, columns, false) * skip & ~1;
    crop[1] = run(b->row_max, b->height, false) & ~1;
    crop[2] = run(b->column_max, columns, true) * skip & ~1;
    crop[3] = run(b->row_max, b->height, true) & ~1;
}

void ta_borders_free(ta_borders *b)
{
    ta_freep(&b->row_max);
    ta_freep(&b->column_max);
    *b = (ta_borders){ 0 };
}
