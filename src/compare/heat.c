/* The heat map: where two pictures differ, and by how much. */
#include <stdlib.h>

#include "compare/canvas.h"
#include "compare/planes.h"

ta_rgb ta_heat_colour(int level)
{
    /* every ninth part of matplotlib's viridis (CC0) */
    static const ta_rgb stops[] = { { 0x44, 0x01, 0x54 }, { 0x48, 0x28, 0x78 }, { 0x3e, 0x49, 0x89 },
                                    { 0x31, 0x68, 0x8e }, { 0x26, 0x82, 0x8e }, { 0x1f, 0x9e, 0x89 },
                                    { 0x35, 0xb7, 0x79 }, { 0x6e, 0xce, 0x58 }, { 0xb5, 0xde, 0x2b },
                                    { 0xfd, 0xe7, 0x25 } };
    enum { PARTS = TA_COUNT(stops) - 1 };
    int at = TA_CLAMP(level, 0, 255) * PARTS, i = TA_MIN(at / 255, PARTS - 1), part = at - i * 255;
    ta_rgb a = stops[i], b = stops[i + 1];
    return (ta_rgb){ (uint8_t)(a.r + (b.r - a.r) * part / 255), (uint8_t)(a.g + (b.g - a.g) * part / 255),
                     (uint8_t)(a.b + (b.b - a.b) * part / 255) };
}

/* Luma in 16 bits at the size of the view: differences of 10-bit pictures stay finer than a step of 8 bits. */
static int luma_of(AVFrame **out, const AVFrame *f, const AVFrame *like, const ta_view *v, ta_error *err)
{
    *out = ta_new_frame(AV_PIX_FMT_GRAY16, v->width, v->height);
    if (!*out)
        return ta_no_memory(err);
    (*out)->colorspace = like->colorspace;
    (*out)->color_range = AVCOL_RANGE_JPEG;
    return ta_frame_convert(*out, f, TA_KERNEL_BICUBIC, err);
}

static int level(const AVFrame *a, const AVFrame *b, int x, int y)
{
    const uint16_t *p = (const uint16_t *)(const void *)(a->data[0] + (ptrdiff_t)y * a->linesize[0]);
    const uint16_t *q = (const uint16_t *)(const void *)(b->data[0] + (ptrdiff_t)y * b->linesize[0]);
    return abs(p[x] - q[x]);
}

/* Statistics, and the scale where none is given. */
static void survey(const AVFrame *a, const AVFrame *b, ta_heat *heat)
{
    uint64_t sum = 0, count[9] = { 0 }, n = (uint64_t)a->width * (uint64_t)a->height;
    int max = 0;
    for (int y = 0; y < a->height; y++)
        for (int x = 0; x < a->width; x++) {
            int d = level(a, b, x, y), k = 3;
            sum += (uint64_t)d;
            max = TA_MAX(max, d);
            while (k < 8 && d > 256 << k)
                k++;
            count[k]++;
        }
    heat->mean = (double)sum / (double)n / 257;
    heat->max = max / 257.0;
    int k = 3;
    for (uint64_t seen = count[3]; k < 8 && seen * 100 < n * 99; seen += count[k])
        k++;
    heat->scale = heat->scale ? heat->scale : 1 << k;
}

int ta_heat_map(AVFrame **map, const AVFrame *a, const AVFrame *b, const ta_view *v, ta_heat *heat, ta_error *err)
{
    AVFrame *x = NULL, *y = NULL;
    int r = luma_of(&x, a, a, v, err);
    if (r >= 0)
        r = luma_of(&y, b, a, v, err);
    if (r >= 0)
        r = ta_canvas_new(map, v->width, v->height, err);
    if (r >= 0) {
        survey(x, y, heat);
        for (int j = 0; j < v->height; j++)
            for (int i = 0; i < v->width; i++) {
                ta_rgb c = ta_heat_colour((int)((int64_t)level(x, y, i, j) * 255 / (heat->scale * 257)));
                ta_canvas_fill(*map, i, j, 1, 1, c);
            }
    }
    av_frame_free(&x);
    av_frame_free(&y);
    return r;
}

int ta_heat_last(const ta_heat *heat, char last[16])
{
    return heat->scale < 256 ? snprintf(last, 16, "%d+", heat->scale) : snprintf(last, 16, "255");
}

void ta_heat_legend(AVFrame *canvas, const ta_view *v, int x, int y, int width, const ta_heat *heat)
{
    char last[16];
    int letter = 6 * v->letter, digits = ta_heat_last(heat, last);
    int left = x + 2 * letter, right = x + width - (digits + 1) * letter;
    ta_canvas_text(canvas, v, x, y, letter, "0", false);
    ta_canvas_text(canvas, v, right + letter / 2, y, (digits + 1) * letter, last, false);
    for (int i = left; i < right; i++)
        ta_canvas_fill(canvas, i, y + v->bar / 4, 1, v->bar / 2,
                       ta_heat_colour((i - left) * 255 / TA_MAX(right - left - 1, 1)));
}
