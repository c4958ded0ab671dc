/* PSNR, SSIM and flicker of one file against another, in one pass over both. */
#include <math.h>

#include "compare/planes.h"

typedef struct meter {
    ta_metrics *m;
    AVFrame *a, *b;           /* the pair, both in the plain format */
    AVFrame *last_a, *last_b; /* the pair before it */
    ta_ssim_row *rows;
    double error[TA_PLANES], ssim[TA_PLANES]; /* sums over pairs: of mean squared errors, of means */
    double frame_psnr, change_a, change_b;
    uint64_t changes;
    int noted; /* bits of what was said already */
} meter;

static double psnr(double mean_square, int bits)
{
    double max = (double)((1 << bits) - 1);
    return mean_square > 0 ? 10 * log10(max * max / mean_square) : INFINITY;
}

static void note(meter *t, int once, const char *fmt, ...) TA_PRINTF(3, 4);
static void note(meter *t, int once, const char *fmt, ...)
{
    va_list args;
    if (t->noted & once)
        return;
    t->noted |= once;
    va_start(args, fmt);
    char *text = ta_vformat(fmt, args);
    va_end(args);
    ta_buf_addf(&t->m->notes, "%s\n", text ? text : "?");
    ta_free(text);
}

/* ---- Bringing B to A's form -------------------------------------------------------------------------------------- */

enum { SAID_SIZE = 1, SAID_FORMAT = 2, SAID_MATRIX = 4, SAID_RANGE = 8, SAID_PLAIN = 16, SAID_SIDES = 32 };

/* BT.601 has one matrix under two names. */
static bool same_matrix(enum AVColorSpace a, enum AVColorSpace b)
{
    bool both_601 =
        (a == AVCOL_SPC_SMPTE170M || a == AVCOL_SPC_BT470BG) && (b == AVCOL_SPC_SMPTE170M || b == AVCOL_SPC_BT470BG);
    return a == b || both_601;
}

static bool fits(const AVFrame *f, const AVFrame *form)
{
    return f->format == form->format && f->width == form->width && f->height == form->height &&
           same_matrix(f->colorspace, form->colorspace) && f->color_range == form->color_range;
}

static void say_conversion(meter *t, const AVFrame *from, const AVFrame *to)
{
    if (from->width != to->width || from->height != to->height)
        note(t, SAID_SIZE, "the tested picture is scaled from %dx%d to %dx%d (bicubic)", from->width, from->height,
             to->width, to->height);
    if (from->format != to->format)
        note(t, SAID_FORMAT, "the tested picture is converted from %s to %s", av_get_pix_fmt_name(from->format),
             av_get_pix_fmt_name(to->format));
    if (!same_matrix(from->colorspace, to->colorspace))
        note(t, SAID_MATRIX, "the tested picture is converted from the matrix %s to %s",
             av_color_space_name(from->colorspace), av_color_space_name(to->colorspace));
    if (from->color_range != to->color_range)
        note(t, SAID_RANGE, "the tested picture is converted from %s to %s range",
             from->color_range == AVCOL_RANGE_JPEG ? "full" : "limited",
             to->color_range == AVCOL_RANGE_JPEG ? "full" : "limited");
}

/* A frame in the form of `form`: itself where it fits. */
static int adapt(meter *t, AVFrame **out, const AVFrame *from, const AVFrame *form, ta_error *err)
{
    if (fits(from, form)) {
        *out = av_frame_clone(from);
        return *out ? 0 : ta_no_memory(err);
    }
    *out = ta_new_frame(form->format, form->width, form->height);
    if (!*out)
        return ta_no_memory(err);
    (*out)->colorspace = form->colorspace;
    (*out)->color_range = form->color_range;
    return ta_frame_convert(*out, from, TA_KERNEL_BICUBIC, err);
}

/* The reference as it is, but in a format that can be read plainly. */
static int adapt_reference(meter *t, const AVFrame *a, ta_error *err)
{
    AVFrame form = { .format = ta_planes_format(a->format),
                     .width = a->width,
                     .height = a->height,
                     .colorspace = a->colorspace,
                     .color_range = a->color_range };
    if (form.format == AV_PIX_FMT_NONE)
        return ta_fail(err, TA_ERR_DATA, "the pixel format %s can't be measured", av_get_pix_fmt_name(a->format));
    if (form.format != a->format)
        note(t, SAID_PLAIN, "both are measured as %s (the reference is %s)", av_get_pix_fmt_name(form.format),
             av_get_pix_fmt_name(a->format));
    if (t->m->width) { /* the first picture decides, also where the reference changes its size */
        form.format = t->last_a->format;
        form.width = t->m->width;
        form.height = t->m->height;
    }
    return adapt(t, &t->a, a, &form, err);
}

static int start_measuring(meter *t, ta_error *err)
{
    ta_metrics *m = t->m;
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(t->a->format);
    bool rgb = d->flags & AV_PIX_FMT_FLAG_RGB;
    static const char *const names[2][TA_PLANES] = { { "y", "u", "v" }, { "r", "g", "b" } };
    m->width = t->a->width;
    m->height = t->a->height;
    m->planes = d->nb_components;
    m->bits = d->comp[0].depth;
    snprintf(m->pix_fmt, sizeof m->pix_fmt, "%s", d->name);
    for (int i = 0; i < TA_PLANES; i++)
        m->plane_name[i] = names[rgb][i];
    for (int i = 0; i < m->planes; i++) {
        ta_plane p = ta_plane_of(t->a, i);
        if (p.width < 8 || p.height < 8)
            return ta_fail(err, TA_ERR_DATA, "the reference (%dx%d, %s) is too small to be measured", m->width,
                           m->height, m->pix_fmt);
    }
    t->rows = ta_ssim_rows_new(m->width);
    return t->rows ? 0 : ta_no_memory(err);
}

/* Takes the sides off where one file shows the whole 720 and the other the centre 704. */
static int cut(meter *t, const ta_pair *pair, AVFrame **a, AVFrame **b, ta_error *err)
{
    int ma = ta_view_margin(pair->a, pair->b), mb = ta_view_margin(pair->b, pair->a);
    if (ma || mb)
        note(t, SAID_SIDES, "%s is measured without 8 columns on each side: the other shows the centre 704 of 720",
             ma ? "the reference" : "the tested picture");
    *a = ta_cut_sides(pair->a, ma);
    *b = ta_cut_sides(pair->b, mb);
    return *a && *b ? 0 : ta_no_memory(err);
}

static int take(meter *t, const ta_pair *pair, ta_error *err)
{
    AVFrame *a = NULL, *b = NULL;
    int r = cut(t, pair, &a, &b, err);
    if (r >= 0)
        r = adapt_reference(t, a, err);
    if (r >= 0 && !t->m->width)
        r = start_measuring(t, err);
    if (r >= 0) {
        say_conversion(t, b, t->a);
        r = adapt(t, &t->b, b, t->a, err);
    }
    av_frame_free(&a);
    av_frame_free(&b);
    return r;
}

/* ---- Measuring a pair ------------------------------------------------------------------------------------------ */

static void keep_worst(ta_worst *w, bool worse, double value, int64_t us)
{
    if (worse || w->us < 0)
        *w = (ta_worst){ .value = value, .us = us };
}

static void measure_quality(meter *t, int64_t us)
{
    ta_metrics *m = t->m;
    double error = 0, ssim = 0, samples = 0;
    for (int i = 0; i < m->planes; i++) {
        ta_plane a = ta_plane_of(t->a, i), b = ta_plane_of(t->b, i);
        double n = (double)a.width * a.height, sum = ta_plane_error(&a, &b);
        double like = sum > 0 ? ta_plane_ssim(&a, &b, (1 << m->bits) - 1, t->rows) : 1;
        t->error[i] += sum / n;
        t->ssim[i] += like;
        error += sum;
        ssim += like * n;
        samples += n;
    }
    double value = psnr(error / samples, m->bits);
    m->equal += error == 0;
    t->frame_psnr += error > 0 ? value : 0;
    keep_worst(&m->worst_psnr, value < m->worst_psnr.value, value, us);
    keep_worst(&m->worst_ssim, ssim / samples < m->worst_ssim.value, ssim / samples, us);
}

static double change(const meter *t, const AVFrame *now, const AVFrame *last)
{
    int luma = av_pix_fmt_desc_get(now->format)->flags & AV_PIX_FMT_FLAG_RGB ? 1 : 0;
    ta_plane x = ta_plane_of(now, luma), y = ta_plane_of(last, luma);
    return ta_plane_change(&x, &y) / ((double)x.width * x.height) * 255 / ((1 << t->m->bits) - 1);
}

static void measure_flicker(meter *t, int64_t us)
{
    double a = change(t, t->a, t->last_a), b = change(t, t->b, t->last_b);
    t->change_a += a;
    t->change_b += b;
    t->changes++;
    keep_worst(&t->m->worst_flicker, b - a > t->m->worst_flicker.value, b - a, us);
}

static int measure(meter *t, const ta_pair *pair, ta_error *err)
{
    int r = take(t, pair, err);
    if (r < 0)
        return r;
    measure_quality(t, pair->us);
    if (t->m->pairs)
        measure_flicker(t, pair->us);
    else
        t->m->first_us = pair->us;
    t->m->last_us = pair->us;
    t->m->pairs++;
    av_frame_free(&t->last_a);
    av_frame_free(&t->last_b);
    t->last_a = t->a;
    t->last_b = t->b;
    t->a = t->b = NULL;
    return 0;
}

/* ---- The whole ------------------------------------------------------------------------------------------------- */

static void conclude(meter *t)
{
    ta_metrics *m = t->m;
    double n = (double)m->pairs, error = 0, ssim = 0, samples = 0;
    for (int i = 0; i < m->planes; i++) {
        ta_plane p = ta_plane_of(t->last_a, i);
        double size = (double)p.width * p.height;
        m->psnr[i] = psnr(t->error[i] / n, m->bits);
        m->ssim[i] = t->ssim[i] / n;
        error += t->error[i] * size;
        ssim += m->ssim[i] * size;
        samples += size;
    }
    m->psnr_average = psnr(error / samples / n, m->bits);
    m->psnr_frames = m->equal < m->pairs ? t->frame_psnr / (double)(m->pairs - m->equal) : INFINITY;
    m->ssim_all = ssim / samples;
    m->change_a = t->changes ? t->change_a / (double)t->changes : NAN;
    m->change_b = t->changes ? t->change_b / (double)t->changes : NAN;
    m->flicker = m->change_b - m->change_a;
}

static void clear_meter(meter *t)
{
    av_frame_free(&t->a);
    av_frame_free(&t->b);
    av_frame_free(&t->last_a);
    av_frame_free(&t->last_b);
    ta_free(t->rows);
}

static int no_pairs(const char *a, const char *b, const ta_metrics *m, ta_error *err)
{
    ta_fail(err, TA_ERR_DATA, "no frame of '%s' has a frame of '%s' at its time (%llu and %llu frames)", b, a,
            (unsigned long long)m->unpaired_b, (unsigned long long)m->unpaired_a);
    return ta_hint(err, "check --start and --end; --align auto counts time from each file's first picture");
}

int ta_metrics_run(ta_metrics *m, const char *a, const char *b, const ta_pair_options *o, ta_metrics_progress progress,
                   void *opaque, ta_cancel *cancel, ta_error *err)
{
    ta_pairs *pairs = NULL;
    ta_pair pair;
    meter t = { .m = m };
    *m = (ta_metrics){ .worst_psnr.us = -1, .worst_ssim.us = -1, .worst_flicker.us = -1 };
    int r = ta_pairs_open(&pairs, a, b, o, cancel, err);
    while (r >= 0 && (r = ta_pairs_next(pairs, &pair, err)) > 0) {
        r = measure(&t, &pair, err);
        if (r >= 0 && progress)
            progress(opaque, pair.us, m->pairs);
    }
    if (r >= 0) {
        ta_pairs_unpaired(pairs, &m->unpaired_a, &m->unpaired_b);
        r = m->pairs ? 0 : no_pairs(a, b, m, err);
    }
    if (r >= 0)
        conclude(&t);
    clear_meter(&t);
    ta_pairs_close(&pairs);
    return r;
}

void ta_metrics_clear(ta_metrics *m)
{
    ta_buf_free(&m->notes);
}
