/* The report of a comparison: moments with a movable cut, both pictures, the difference, and the figures. */
#include <math.h>

#include "compare/canvas.h"

enum { STOPS = 21 };

typedef struct report {
    ta_buf b;
    const ta_comparison *c;
    int moment;
    char time[32];
    ta_view view;
    AVFrame *a, *b_rgb;
} report;

static void cell(ta_buf *b, double value, int digits)
{
    if (isnan(value))
        ta_buf_add(b, "<td>-</td>");
    else if (isinf(value))
        ta_buf_add(b, "<td>inf</td>");
    else
        ta_buf_addf(b, "<td>%.*f</td>", digits, value);
}

static void row(ta_buf *b, const char *name, const ta_metrics *m, const double *planes, double all,
                const ta_worst *worst, int digits)
{
    char time[32];
    ta_buf_addf(b, "<tr><th scope=\"row\">%s</th>", name);
    cell(b, all, digits);
    for (int i = 0; i < m->planes; i++)
        cell(b, planes ? planes[i] : NAN, digits);
    cell(b, worst->us < 0 ? NAN : worst->value, digits);
    ta_buf_addf(b, "<td>%s</td></tr>\n", worst->us < 0 ? "-" : ta_print_time(worst->us, time));
}

static void add_metrics(ta_buf *b, const ta_metrics *m)
{
    ta_buf_add(b, "<h2>Figures</h2>\n<div class=\"scroll\"><table>\n<tr><th scope=\"col\">B against A</th>"
                  "<th scope=\"col\">all</th>");
    for (int i = 0; i < m->planes; i++)
        ta_buf_addf(b, "<th scope=\"col\">%s</th>", m->plane_name[i]);
    ta_buf_add(b, "<th scope=\"col\">worst frame</th><th scope=\"col\">at</th></tr>\n");
    row(b, "PSNR, dB", m, m->psnr, m->psnr_average, &m->worst_psnr, 3);
    row(b, "SSIM", m, m->ssim, m->ssim_all, &m->worst_ssim, 5);
    row(b, "Flicker, steps of 8 bits", m, NULL, m->flicker, &m->worst_flicker, 4);
    ta_buf_addf(b,
                "</table></div>\n<p>%llu pairs of frames, %llu of them equal; without a partner: %llu of A, %llu of B. "
                "Measured as %dx%d %s. Flicker is how much more B changes from frame to frame than A: %.4f against "
                "%.4f.</p>\n",
                (unsigned long long)m->pairs, (unsigned long long)m->equal, (unsigned long long)m->unpaired_a,
                (unsigned long long)m->unpaired_b, m->width, m->height, m->pix_fmt, m->change_b, m->change_a);
    for (const char *p = m->notes.data, *end; p && (end = strchr(p, '\n')); p = end + 1) {
        char *line = ta_strndup(p, (size_t)(end - p));
        ta_buf_add(b, "<p>Note: ");
        ta_html_text(b, line ? line : "");
        ta_buf_add(b, ".</p>\n");
        ta_free(line);
    }
}

static int image(report *r, const AVFrame *rgb, const char *class, const char *what, const char *path, ta_error *err)
{
    char *alt = ta_format("%s %s at %s", what, ta_path_base(path), r->time);
    int ret = alt ? ta_html_image(&r->b, rgb, class, alt, err) : ta_no_memory(err);
    ta_free(alt);
    return ret;
}

static int add_split(report *r, ta_error *err)
{
    ta_buf_addf(
        &r->b,
        "<fieldset><legend>A at the left, B at the right; move the cut with the strip, or the arrow keys</legend>\n"
        "<div class=\"cut\" style=\"max-width:%dpx\">\n",
        TA_MAX(r->view.width, 720));
    for (int i = 0; i < STOPS; i++)
        ta_buf_addf(&r->b, "<input type=\"radio\" name=\"cut%d\" aria-label=\"cut at %d %%\"%s>\n", r->moment,
                    i * 100 / (STOPS - 1), i == STOPS / 2 ? " checked" : "");
    ta_buf_add(&r->b, "<div class=\"pair\">\n");
    int ret = image(r, r->a, NULL, "A, the reference:", r->c->a, err);
    if (ret >= 0)
        ret = image(r, r->b_rgb, "b", "B:", r->c->b, err);
    ta_buf_add(&r->b, "</div>\n</div></fieldset>\n");
    return ret;
}

static int figure(report *r, const AVFrame *rgb, const char *mark, const char *path, ta_error *err)
{
    ta_buf_add(&r->b, "<figure>\n");
    int ret = image(r, rgb, NULL, mark, path, err);
    ta_buf_addf(&r->b, "<figcaption>%s ", mark);
    ta_html_text(&r->b, ta_path_base(path));
    ta_buf_add(&r->b, "</figcaption></figure>\n");
    return ret;
}

static int add_heat(report *r, const ta_shot *s, ta_error *err)
{
    ta_heat heat = { 0 };
    AVFrame *map = NULL;
    char last[16];
    int ret = ta_heat_map(&map, s->a, s->b, &r->view, &heat, err);
    if (ret >= 0) {
        ta_heat_last(&heat, last);
        ta_buf_add(&r->b, "<figure>\n");
        ret = image(r, map, NULL, "Difference of luma, as colours: A against", r->c->b, err);
        ta_buf_addf(&r->b,
                    "<div class=\"legend\"></div><div class=\"values\"><span>0</span><span>%d</span><span>%s</span>"
                    "</div>\n<figcaption>Difference of luma in steps of 8 bits: mean %.2f, largest %.0f</figcaption>"
                    "</figure>\n",
                    heat.scale / 2, last, heat.mean, heat.max);
    }
    av_frame_free(&map);
    return ret;
}

static int add_moment(report *r, const ta_shot *s, ta_error *err)
{
    unsigned modes = r->c->modes;
    r->view = ta_view_of_both(s->a, s->b);
    ta_print_time(TA_MAX(s->us, 0), r->time);
    int ret = ta_view_frame(&r->a, s->a, &r->view, err);
    if (ret >= 0)
        ret = ta_view_frame(&r->b_rgb, s->b, &r->view, err);
    ta_buf_addf(&r->b, "<section>\n<h2>At %s</h2>\n", r->time);
    if (ret >= 0 && modes & TA_COMPARE_SPLIT)
        ret = add_split(r, err);
    ta_buf_add(&r->b, "<div class=\"grid\">\n");
    if (ret >= 0 && modes & TA_COMPARE_SIDES)
        ret = figure(r, r->a, "A:", r->c->a, err);
    if (ret >= 0 && modes & TA_COMPARE_SIDES)
        ret = figure(r, r->b_rgb, "B:", r->c->b, err);
    if (ret >= 0 && modes & TA_COMPARE_HEAT)
        ret = add_heat(r, s, err);
    ta_buf_add(&r->b, "</div>\n</section>\n");
    av_frame_free(&r->a);
    av_frame_free(&r->b_rgb);
    r->moment++;
    return ret;
}

int ta_compare_html(const ta_comparison *c, const ta_metrics *m, ta_cancel *cancel, ta_error *err)
{
    report r = { .c = c };
    char *title = ta_format("%s and %s", ta_path_base(c->a), ta_path_base(c->b));
    int ret = title ? 0 : ta_no_memory(err);
    ta_html_head(&r.b, title ? title : "");
    ta_buf_add(&r.b, "<p>A, the reference: ");
    ta_html_text(&r.b, ta_path_base(c->a));
    ta_buf_add(&r.b, "<br>B: ");
    ta_html_text(&r.b, ta_path_base(c->b));
    ta_buf_add(&r.b, "</p>\n");
    if (m)
        add_metrics(&r.b, m);
    for (int i = 0; ret >= 0 && i < c->count; i++) {
        ta_shot s = { 0 };
        ret = ta_shot_at(&s, c, c->at[i], cancel, err);
        if (ret >= 0)
            ret = add_moment(&r, &s, err);
        ta_shot_free(&s);
    }
    ta_html_end(&r.b);
    if (ret >= 0)
        ret = ta_html_write(&r.b, c->output, c->overwrite, err);
    ta_buf_free(&r.b);
    ta_free(title);
    return ret;
}
