/* Denoising: names for strengths, or the denoiser's own numbers. */
#include <math.h>

#include "picture/plan.h"

/* A denoiser: its numbers in order, with limits, and what the names mean. */
typedef struct denoiser {
    const char *name;
    const char *const *args;
    int max_args;
    double low, high;
    const char *light, *standard, *strong, *heavy, *severe;
} denoiser;

static const char *const hqdn3d_args[] = { "luma_spatial", "chroma_spatial", "luma_tmp", "chroma_tmp" };
static const char *const atadenoise_args[] = { "0a", "0b", "1a", "1b", "2a", "2b", "s" };
static const char *const nlmeans_args[] = { "s", "p", "pc", "r", "rc" };

static const denoiser denoisers[] = {
    { "hqdn3d", hqdn3d_args, 4, 0, 255, "1:1:2:2", "4:3:6:4.5", "6:5:9:7", "8:6:12:9", "10:8:15:12" },
    { "atadenoise", atadenoise_args, 7, 0, 129, "0.01:0.02:0.01:0.02:0.01:0.02:5", "0.02:0.04:0.02:0.04:0.02:0.04:9",
      "0.03:0.06:0.03:0.06:0.03:0.06:13", "0.05:0.1:0.05:0.1:0.05:0.1:17", "0.08:0.16:0.08:0.16:0.08:0.16:25" },
    { "nlmeans", nlmeans_args, 5, 0, 99, "1.5:7:5:9:7", "3:7:5:9:7", "5:7:5:11:9", "8:7:5:13:9", "12:7:5:15:11" },
};

static const char *numbers(const denoiser *d, const char *strength)
{
    const struct {
        const char *name, *value;
    } named[] = { { "light", d->light },
                  { "standard", d->standard },
                  { "strong", d->strong },
                  { "heavy", d->heavy },
                  { "severe", d->severe } };
    for (size_t i = 0; i < TA_COUNT(named); i++)
        if (ta_streq(strength, named[i].name))
            return named[i].value;
    return strength;
}

/* Reads "4:3:6:4.5" into `v`; how many, or -1. */
static int read_numbers(const denoiser *d, const char *text, double v[8])
{
    int n = 0;
    for (const char *s = text; n < d->max_args; s++) {
        char *end;
        v[n] = strtod(s, &end);
        if (end == s || !isfinite(v[n]) || v[n] < d->low || v[n] > d->high)
            return -1;
        n++;
        if (!*end)
            return n;
        if (*end != ':')
            return -1;
        s = end;
    }
    return -1;
}

/* hqdn3d is recursive: what it remembers of a frame fades, the slower the stronger, and slowest where the picture is
 * still. Measured on a noisy 480i tape, against a run from the start, at the worst place and in the worst plane: at 6
 * (standard) 20 frames behind leave 71 dB, 45 leave 94 dB, 55 nothing; at 12 (heavy) 60 leave 87 dB. */
static int memory_of(const denoiser *d, const double *v, int n, int *ahead)
{
    *ahead = 0;
    if (ta_streq(d->name, "hqdn3d")) {
        double luma = n > 2 ? v[2] : v[0] * 1.5, chroma = n > 3 ? v[3] : luma;
        double t = TA_MAX(luma, chroma) / 6;
        return (int)TA_CLAMP(ceil(45 * sqrt(t)), 30, 240);
    }
    if (ta_streq(d->name, "atadenoise"))
        return *ahead = n > 6 ? (int)v[6] / 2 : 4;
    return 0;
}

/* Adds atadenoise, whose window may be wider than the clip is long. */
static int add_atadenoise(ta_plan *p, const ta_step *step, const double *v, int n)
{
    ta_buf b = { 0 }, before = { 0 };
    ta_buf_add(&b, "atadenoise=");
    for (int i = 0; i < TA_MIN(n, 6); i++)
        ta_buf_addf(&b, "%s=%g:", atadenoise_args[i], v[i]);
    ta_buf_add(&b, "s=");
    char *filter = ta_buf_take(&b);
    if (!filter)
        return ta_no_memory(p->err);
    ta_plan_convert(p, ta_filter_input("atadenoise", p->now.pix_fmt), &before);
    int r = before.len ? ta_plan_add_tagged(p, &(ta_step){ "denoise format" }, &before) : 0;
    if (r >= 0)
        r = ta_plan_add(p, step, ta_window_stage(step->name, filter, n > 6 ? (int)v[6] : 9));
    ta_free(filter);
    return r;
}

/* libavfilter's hqdn3d takes a sample for an index: one above its depth's range (10 bits stand in 16, and a damaged or
 * raw file may hold anything) reads behind its table. So such samples are cut off in front of it. */
static void guard_hqdn3d(const ta_plan *p, ta_buf *b)
{
    int depth = ta_fmt_depth(p->now.pix_fmt);
    if (depth > 8 && depth < 16)
        ta_buf_addf(b, "limiter=max=%d,", (1 << depth) - 1);
}

int ta_plan_denoise(ta_plan *p)
{
    const denoiser *d = NULL;
    for (size_t i = 0; i < TA_COUNT(denoisers); i++)
        if (ta_get_is(p->s, TA_SET_denoise, denoisers[i].name))
            d = &denoisers[i];
    if (!d)
        return 0;
    const char *strength = ta_get_text(p->s, TA_SET_denoise_strength);
    double v[8];
    int n = read_numbers(d, numbers(d, strength), v);
    if (n < 0) {
        ta_fail(p->err, TA_ERR_USAGE, "denoise-strength '%s' isn't a name or up to %d numbers for %s", strength,
                d->max_args, d->name);
        return ta_hint(p->err, "use light, standard, strong, heavy, severe, or numbers such as %s", d->standard);
    }
    ta_step step = { "denoise" };
    step.behind = memory_of(d, v, n, &step.ahead);
    if (ta_streq(d->name, "atadenoise"))
        return add_atadenoise(p, &step, v, n);
    ta_buf b = { 0 };
    if (ta_streq(d->name, "hqdn3d"))
        guard_hqdn3d(p, &b);
    ta_buf_addf(&b, "%s=", d->name);
    for (int i = 0; i < n; i++)
        ta_buf_addf(&b, "%s%s=%g", i ? ":" : "", d->args[i], v[i]);
    char *filter = ta_buf_take(&b);
    if (!filter)
        return ta_no_memory(p->err);
    int r = ta_plan_filter(p, &step, filter);
    ta_free(filter);
    return r;
}
