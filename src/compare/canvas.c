/* RGB pictures: filling, lettering, copying. */
#include <libavutil/imgutils.h>
#include <math.h>
#include <string.h>

#include "compare/canvas.h"

enum { LONGEST_SIDE = 16384, MOST_PIXELS = 100 * 1000 * 1000, CELL = TA_GLYPH_COLUMNS + 1 };

static int even(double x)
{
    return TA_MAX((int)lrint(x / 2) * 2, 16);
}

ta_view ta_view_of(const AVFrame *f, int height)
{
    AVRational sar = ta_true_sar(f->width, f->height, f->sample_aspect_ratio, true);
    ta_view v = { .height = even(height ? height : f->height) };
    v.width = even((double)v.height * f->width * av_q2d(sar) / f->height);
    v.letter = TA_MAX(v.height / 240, 1);
    v.bar = 14 * v.letter;
    return v;
}

ta_view ta_view_of_both(const AVFrame *a, const AVFrame *b)
{
    return ta_view_of(b->height > a->height ? b : a, 0);
}

int ta_canvas_new(AVFrame **canvas, int64_t width, int64_t height, ta_error *err)
{
    if (width > LONGEST_SIDE || height > LONGEST_SIDE || width * height > MOST_PIXELS) {
        ta_fail(err, TA_ERR_USAGE, "the picture would have %lldx%lld pixels", (long long)width, (long long)height);
        return ta_hint(err, "ask for fewer moments or one --mode, or for a report: --output FILE.html");
    }
    *canvas = ta_new_frame(AV_PIX_FMT_RGB24, (int)width, (int)height);
    if (!*canvas)
        return ta_no_memory(err);
    (*canvas)->color_range = AVCOL_RANGE_JPEG;
    (*canvas)->colorspace = AVCOL_SPC_RGB;
    ta_canvas_fill(*canvas, 0, 0, (int)width, (int)height, (ta_rgb){ 0, 0, 0 });
    return 0;
}

static uint8_t *pixel(const AVFrame *canvas, int x, int y)
{
    return canvas->data[0] + (ptrdiff_t)y * canvas->linesize[0] + (ptrdiff_t)x * 3;
}

void ta_canvas_fill(AVFrame *canvas, int x, int y, int width, int height, ta_rgb colour)
{
    for (int j = 0; j < height; j++) {
        uint8_t *p = pixel(canvas, x, y + j);
        for (int i = 0; i < width; i++, p += 3) {
            p[0] = colour.r;
            p[1] = colour.g;
            p[2] = colour.b;
        }
    }
}

void ta_canvas_put(AVFrame *canvas, int x, int y, const AVFrame *picture)
{
    av_image_copy_plane(pixel(canvas, x, y), canvas->linesize[0], picture->data[0], picture->linesize[0],
                        picture->width * 3, picture->height);
}

static void put_glyph(AVFrame *canvas, int x, int y, int dot, char c)
{
    const uint8_t *rows = ta_glyph(c);
    for (int j = 0; j < TA_GLYPH_ROWS; j++)
        for (int i = 0; i < TA_GLYPH_COLUMNS; i++)
            if (rows[j] >> (TA_GLYPH_COLUMNS - 1 - i) & 1)
                ta_canvas_fill(canvas, x + i * dot, y + j * dot, dot, dot, (ta_rgb){ 235, 235, 235 });
}

/* ASCII only, a '?' for each other character; ".." in the middle where it is too long for `places`. */
static void fit_text(char *to, int places, const char *text)
{
    char plain[512];
    int n = 0, left = (int)strlen(text);
    while (left > 0 && n < (int)sizeof plain - 1) {
        int size = TA_MAX((int)ta_utf8_char(text, (size_t)left), 1);
        plain[n++] = size == 1 && *text > 0 ? *text : '?';
        text += size;
        left -= size;
    }
    plain[n] = '\0';
    if (n <= places) {
        memcpy(to, plain, (size_t)n + 1);
        return;
    }
    int head = TA_MAX((places - 2) / 2, 0), tail = TA_MAX(places - 2 - head, 0);
    snprintf(to, (size_t)places + 1, "%.*s..%s", head, plain, plain + n - tail);
}

void ta_canvas_text(AVFrame *canvas, const ta_view *v, int x, int y, int width, const char *text, bool right)
{
    char line[512];
    int step = CELL * v->letter, places = TA_CLAMP(width / step, 0, (int)sizeof line - 1);
    fit_text(line, places, text);
    if (right)
        x += width - (int)strlen(line) * step + v->letter;
    for (const char *p = line; *p; p++, x += step)
        put_glyph(canvas, x, y + (v->bar - TA_GLYPH_ROWS * v->letter) / 2, v->letter, *p);
}

int ta_view_frame(AVFrame **out, const AVFrame *f, const ta_view *v, ta_error *err)
{
    int r = ta_canvas_new(out, v->width, v->height, err);
    return r < 0 ? r : ta_draw(*out, 0, 0, v->width, v->height, f, err);
}
