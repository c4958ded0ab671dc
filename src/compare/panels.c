/* The pictures of a moment: split, side by side, difference; each under a bar that says what it shows. */
#include "compare/canvas.h"

enum { GAP = 4, MARGIN = 2 };

int ta_shot_take(ta_shot *s, const ta_pair *pair, ta_error *err)
{
    s->a = ta_cut_sides(pair->a, ta_view_margin(pair->a, pair->b));
    s->b = ta_cut_sides(pair->b, ta_view_margin(pair->b, pair->a));
    s->us = pair->us;
    return s->a && s->b ? 0 : ta_no_memory(err);
}

int ta_shot_at(ta_shot *s, const ta_comparison *c, int64_t us, ta_cancel *cancel, ta_error *err)
{
    ta_pair_options o = { .align = c->pairs.align, .start_us = us, .end_us = INT64_MAX, .shown = true };
    ta_pairs *pairs = NULL;
    ta_pair pair;
    char time[32];
    int r = ta_pairs_open(&pairs, c->a, c->b, &o, cancel, err);
    if (r >= 0)
        r = ta_pairs_next(pairs, &pair, err);
    if (r == 0) {
        ta_fail(err, TA_ERR_USAGE, "at %s not both files have a picture", ta_print_time(us, time));
        r = ta_hint(err, "give another --at; times count from each file's first picture");
    } else if (r > 0) {
        r = ta_shot_take(s, &pair, err);
    }
    ta_pairs_close(&pairs);
    return r;
}

void ta_shot_free(ta_shot *s)
{
    av_frame_free(&s->a);
    av_frame_free(&s->b);
}

/* Pictures in the order in which they stand, two beside each other unless there is one. */
static int list_panels(unsigned modes, unsigned panel[4])
{
    int n = 0;
    if (modes & TA_COMPARE_SIDES) {
        panel[n++] = TA_COMPARE_SIDES;
        panel[n++] = TA_COMPARE_SIDES | 8; /* B's */
    }
    if (modes & TA_COMPARE_SPLIT)
        panel[n++] = TA_COMPARE_SPLIT;
    if (modes & TA_COMPARE_HEAT)
        panel[n++] = TA_COMPARE_HEAT;
    return n;
}

void ta_panels_size(const ta_view *v, unsigned modes, int *width, int *height)
{
    unsigned panel[4];
    int n = list_panels(modes, panel), columns = TA_MIN(n, 2), rows = (n + 1) / 2;
    *width = columns * v->width + (columns - 1) * GAP;
    *height = rows * (v->bar + v->height) + (rows - 1) * GAP;
}

typedef struct drawing {
    AVFrame *canvas, *a, *b; /* a and b in RGB at the view's size */
    const ta_shot *s;
    const ta_comparison *c;
    const ta_view *v;
    int scale;
} drawing;

static void label(const drawing *d, int x, int y, int width, const char *mark, const char *name, bool time, bool right)
{
    char when[32];
    ta_print_time(TA_MAX(d->s->us, 0), when);
    const char *from = ta_starts(when, "00:") ? when + 3 : when;
    char *text = time ? ta_format("%s  %s  %s", mark, from, name) : ta_format("%s  %s", mark, name);
    int margin = MARGIN * d->v->letter;
    ta_canvas_text(d->canvas, d->v, x + margin, y, width - 2 * margin, text ? text : mark, right);
    ta_free(text);
}

static void draw_split(const drawing *d, int x, int y)
{
    const ta_view *v = d->v;
    int half = v->width / 2, line = TA_MAX(v->letter, 1);
    AVFrame left = { .format = AV_PIX_FMT_RGB24, .width = half, .height = v->height };
    label(d, x, y, half, "A", ta_path_base(d->c->a), true, false);
    label(d, x + half, y, v->width - half, "B", ta_path_base(d->c->b), false, true);
    left.data[0] = d->a->data[0];
    left.linesize[0] = d->a->linesize[0];
    ta_canvas_put(d->canvas, x, y + v->bar, d->b);
    ta_canvas_put(d->canvas, x, y + v->bar, &left);
    ta_canvas_fill(d->canvas, x + half - line, y + v->bar, 2 * line, v->height, (ta_rgb){ 255, 255, 255 });
}

static int draw_heat(const drawing *d, int x, int y, ta_error *err)
{
    const ta_view *v = d->v;
    ta_heat heat = { .scale = d->scale };
    AVFrame *map = NULL;
    int r = ta_heat_map(&map, d->s->a, d->s->b, v, &heat, err), legend = v->width * 2 / 5;
    if (r >= 0) {
        char text[64];
        snprintf(text, sizeof text, "mean %.2f max %.0f", heat.mean, heat.max);
        label(d, x, y, v->width - legend, "|A-B|", text, false, false);
        ta_heat_legend(d->canvas, v, x + v->width - legend, y, legend, &heat);
        ta_canvas_put(d->canvas, x, y + v->bar, map);
    }
    av_frame_free(&map);
    return r;
}

static int draw_panel(const drawing *d, unsigned what, int x, int y, ta_error *err)
{
    bool second = what & 8;
    if (what == TA_COMPARE_HEAT)
        return draw_heat(d, x, y, err);
    if (what == TA_COMPARE_SPLIT) {
        draw_split(d, x, y);
        return 0;
    }
    label(d, x, y, d->v->width, second ? "B" : "A", ta_path_base(second ? d->c->b : d->c->a), true, false);
    ta_canvas_put(d->canvas, x, y + d->v->bar, second ? d->b : d->a);
    return 0;
}

int ta_panels_draw(AVFrame *canvas, int y, const ta_shot *s, const ta_comparison *c, const ta_view *v, int scale,
                   ta_error *err)
{
    unsigned panel[4];
    drawing d = { .canvas = canvas, .s = s, .c = c, .v = v, .scale = scale };
    int n = list_panels(c->modes, panel), r = ta_view_frame(&d.a, s->a, v, err);
    if (r >= 0)
        r = ta_view_frame(&d.b, s->b, v, err);
    for (int i = 0; r >= 0 && i < n; i++)
        r = draw_panel(&d, panel[i], i % 2 * (v->width + GAP), y + i / 2 * (v->bar + v->height + GAP), err);
    av_frame_free(&d.a);
    av_frame_free(&d.b);
    return r;
}

int ta_compare_png(const ta_comparison *c, ta_cancel *cancel, ta_error *err)
{
    AVFrame *canvas = NULL;
    ta_view v = { 0 };
    int width = 0, height = 0, r = 0;
    for (int i = 0; r >= 0 && i < c->count; i++) {
        ta_shot s = { 0 };
        r = ta_shot_at(&s, c, c->at[i], cancel, err);
        if (r >= 0 && !canvas) {
            v = ta_view_of_both(s.a, s.b);
            ta_panels_size(&v, c->modes, &width, &height);
            r = ta_canvas_new(&canvas, width, (int64_t)c->count * (height + GAP) - GAP, err);
        }
        if (r >= 0)
            r = ta_panels_draw(canvas, i * (height + GAP), &s, c, &v, 0, err);
        ta_shot_free(&s);
    }
    if (r >= 0)
        r = ta_png_write(canvas, c->output, c->overwrite, err);
    av_frame_free(&canvas);
    return r;
}
