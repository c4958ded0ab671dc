/* The output's size: from the resolution asked for and the picture's true shape. */
#include <math.h>

#include "picture/picture.h"

typedef enum kind { AS_SOURCE, BY_HEIGHT, BY_BOX, BY_FACTOR } kind;

typedef struct wish {
    kind kind;
    int width, height;
    double factor;
} wish;

static bool read_wish(const char *text, wish *w)
{
    int used = 0;
    char x;
    if (ta_streq(text, "source")) {
        w->kind = AS_SOURCE;
    } else if (sscanf(text, "%dx%d%n", &w->width, &w->height, &used) == 2 && !text[used]) {
        w->kind = BY_BOX;
        return w->width >= 16 && w->height >= 16;
    } else if (sscanf(text, "%lf%c%n", &w->factor, &x, &used) == 2 && x == 'x' && !text[used]) {
        w->kind = BY_FACTOR;
        return w->factor >= 0.1 && w->factor <= 16;
    } else if (used = 0, sscanf(text, "%d%n", &w->height, &used) == 1 && !text[used]) {
        w->kind = BY_HEIGHT;
        return w->height >= 16;
    } else {
        return false;
    }
    return true;
}

static int even(double x)
{
    return 2 * (int)floor(x / 2 + 0.5);
}

/* The factor from the displayed size to the one asked for. A height stands for its 16:9 box, upright for upright
 * pictures: what is wider than the box gets the box's width. */
static double factor(const wish *w, double width, double height)
{
    if (w->kind == BY_FACTOR)
        return w->factor;
    if (w->kind == BY_BOX)
        return fmin(w->width / width, w->height / height);
    double wide = w->height * 16.0 / 9, box_w = width >= height ? wide : w->height;
    double box_h = width >= height ? w->height : wide;
    return w->kind == AS_SOURCE ? 1 : fmin(box_w / width, box_h / height);
}

/* The sample aspect that keeps the displayed shape after a change of size. */
static AVRational keep_shape(int width, int height, AVRational sar, int out_w, int out_h)
{
    AVRational r;
    av_reduce(&r.num, &r.den, (int64_t)sar.num * width * out_h, (int64_t)sar.den * height * out_w, 65535);
    return r;
}

int ta_picture_size(const ta_settings *s, int width, int height, AVRational sar, int *out_width, int *out_height,
                    AVRational *out_sar, ta_error *err)
{
    const char *text = ta_get_text(s, TA_SET_resolution);
    wish w = { 0 };
    if (!read_wish(text, &w)) {
        ta_fail(err, TA_ERR_USAGE, "resolution '%s' isn't source, a height, WIDTHxHEIGHT or a factor such as 2x", text);
        return ta_hint(err, "for example --resolution 1080");
    }
    if (sar.num <= 0 || sar.den <= 0)
        sar = (AVRational){ 1, 1 };
    double f = factor(&w, width * av_q2d(sar), height);
    bool square = ta_get_bool(s, TA_SET_square_pixels);
    *out_width = even(square ? width * av_q2d(sar) * f : width * f);
    *out_height = even(height * f);
    if (!square && w.kind == BY_BOX) {
        *out_width = even(w.width);
        *out_height = even(w.height);
    }
    if (w.kind == AS_SOURCE) { /* an odd line or column is cut rather than the whole picture resampled */
        *out_height = height & ~1;
        if (!square || sar.num == sar.den)
            *out_width = width & ~1;
    }
    if (w.kind == AS_SOURCE && !square && ta_get_is(s, TA_SET_encoder, "ffv1")) { /* takes odd sizes too */
        *out_width = width;
        *out_height = height;
    }
    *out_sar = square ? (AVRational){ 1, 1 } : keep_shape(width, height, sar, *out_width, *out_height);
    if (*out_width >= 16 && *out_height >= 16 && *out_width <= 16384 && *out_height <= 16384)
        return 0;
    ta_fail(err, TA_ERR_USAGE, "resolution '%s' makes %dx%d of a %dx%d picture", text, *out_width, *out_height, width,
            height);
    return ta_hint(err, "sizes from 16 to 16384 are possible");
}
