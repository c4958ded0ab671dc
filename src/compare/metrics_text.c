/* Metrics for people and for programs. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "compare/compare.h"

static void add_number(ta_buf *b, double value, int digits)
{
    if (isinf(value))
        ta_buf_addf(b, "%8s", "inf");
    else
        ta_buf_addf(b, "%8.*f", digits, value);
}

static void add_worst(ta_buf *b, const ta_worst *w, int digits)
{
    char time[32];
    ta_buf_add(b, "   worst ");
    add_number(b, w->value, digits);
    ta_buf_addf(b, " at %s", ta_print_time(TA_MAX(w->us, 0), time));
}

static void add_row(ta_buf *b, const char *name, const ta_metrics *m, const double *planes, double all, int digits)
{
    ta_buf_addf(b, "%-8s", name);
    for (int i = 0; i < m->planes; i++) {
        ta_buf_addf(b, "%s ", m->plane_name[i]);
        add_number(b, planes[i], digits);
        ta_buf_add(b, "  ");
    }
    ta_buf_add(b, "all ");
    add_number(b, all, digits);
}

char *ta_metrics_text(const ta_metrics *m)
{
    ta_buf b = { 0 };
    char from[32], to[32];
    add_row(&b, "PSNR", m, m->psnr, m->psnr_average, 3);
    add_worst(&b, &m->worst_psnr, 3);
    ta_buf_add(&b, "   mean of frames ");
    add_number(&b, m->psnr_frames, 3);
    ta_buf_add(&b, " (dB)\n");
    add_row(&b, "SSIM", m, m->ssim, m->ssim_all, 5);
    add_worst(&b, &m->worst_ssim, 5);
    ta_buf_add(&b, "\n");
    if (!isnan(m->flicker)) {
        ta_buf_addf(&b, "flicker %+.4f   (change a frame: reference %.4f, tested %.4f)", m->flicker, m->change_a,
                    m->change_b);
        add_worst(&b, &m->worst_flicker, 4);
        ta_buf_add(&b, "\n");
    }
    ta_buf_addf(&b,
                "frames  %llu pairs from %s to %s, %llu of them equal; without a partner: %llu of the reference, %llu "
                "tested\n",
                (unsigned long long)m->pairs, ta_print_time(TA_MAX(m->first_us, 0), from),
                ta_print_time(TA_MAX(m->last_us, 0), to), (unsigned long long)m->equal,
                (unsigned long long)m->unpaired_a, (unsigned long long)m->unpaired_b);
    ta_buf_addf(&b, "as      %dx%d %s, %d bits\n", m->width, m->height, m->pix_fmt, m->bits);
    return ta_buf_take(&b);
}

static json_t *number(double value)
{
    if (isnan(value))
        return json_null();
    return isinf(value) ? json_string("inf") : json_real(value);
}

static void put_planes(json_t *o, const ta_metrics *m, const double *planes)
{
    for (int i = 0; i < m->planes; i++)
        json_object_set_new(o, m->plane_name[i], number(planes[i]));
}

static void put_worst(json_t *o, const ta_worst *w)
{
    json_object_set_new(o, "worst", w->us < 0 ? json_null() : number(w->value));
    json_object_set_new(o, "worst_time", w->us < 0 ? json_null() : json_real((double)w->us / 1e6));
}

static json_t *psnr_object(const ta_metrics *m)
{
    json_t *o = json_object();
    put_planes(o, m, m->psnr);
    json_object_set_new(o, "average", number(m->psnr_average));
    json_object_set_new(o, "mean_of_frames", number(m->psnr_frames));
    put_worst(o, &m->worst_psnr);
    return o;
}

static json_t *ssim_object(const ta_metrics *m)
{
    json_t *o = json_object();
    put_planes(o, m, m->ssim);
    json_object_set_new(o, "all", number(m->ssim_all));
    put_worst(o, &m->worst_ssim);
    return o;
}

static json_t *flicker_object(const ta_metrics *m)
{
    json_t *o = json_object();
    json_object_set_new(o, "difference", number(m->flicker));
    json_object_set_new(o, "reference", number(m->change_a));
    json_object_set_new(o, "tested", number(m->change_b));
    put_worst(o, &m->worst_flicker);
    return o;
}

static json_t *frames_object(const ta_metrics *m)
{
    json_t *o = json_object();
    json_object_set_new(o, "pairs", json_integer((json_int_t)m->pairs));
    json_object_set_new(o, "equal", json_integer((json_int_t)m->equal));
    json_object_set_new(o, "unpaired_reference", json_integer((json_int_t)m->unpaired_a));
    json_object_set_new(o, "unpaired_tested", json_integer((json_int_t)m->unpaired_b));
    json_object_set_new(o, "first_time", json_real((double)m->first_us / 1e6));
    json_object_set_new(o, "last_time", json_real((double)m->last_us / 1e6));
    return o;
}

static json_t *notes_array(const char *notes)
{
    json_t *list = json_array();
    for (const char *p = notes, *end; p && *p; p = end + 1) {
        if (!(end = strchr(p, '\n')))
            break;
        json_array_append_new(list, json_stringn(p, (size_t)(end - p)));
    }
    return list;
}

/* A path is bytes; JSON is UTF-8. What isn't is shown as '?'. */
static json_t *path_string(const char *path)
{
    json_t *s = json_string(path);
    if (s)
        return s;
    char *copy = ta_strdup(path);
    for (char *p = copy; p && *p; p++)
        *p = (char)(*p & 0x80 ? '?' : *p);
    s = json_string(copy ? copy : "?");
    ta_free(copy);
    return s;
}

char *ta_metrics_json(const ta_metrics *m, const char *a, const char *b)
{
    json_t *o = json_object();
    json_object_set_new(o, "reference", path_string(a));
    json_object_set_new(o, "tested", path_string(b));
    json_object_set_new(o, "width", json_integer(m->width));
    json_object_set_new(o, "height", json_integer(m->height));
    json_object_set_new(o, "pixel_format", json_string(m->pix_fmt));
    json_object_set_new(o, "bits", json_integer(m->bits));
    json_object_set_new(o, "frames", frames_object(m));
    json_object_set_new(o, "psnr", psnr_object(m));
    json_object_set_new(o, "ssim", ssim_object(m));
    json_object_set_new(o, "flicker", flicker_object(m));
    json_object_set_new(o, "notes", notes_array(m->notes.data));
    char *text = json_dumps(o, JSON_INDENT(2) | JSON_REAL_PRECISION(9)), *copy = ta_strdup(text);
    free(text);
    json_decref(o);
    return copy;
}
