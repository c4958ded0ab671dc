/* Steps that need RGB: colour balance, levels, look-up table. They share one conversion to planar RGB of 10 bits or
 * more and one back, so that rounding adds no bands. */
#include <math.h>

#include "picture/plan.h"

/* "rs=0.1:bs=-0.1" as it is, once it is known to be right. */
static int balance_filter(ta_plan *p, ta_buf *b)
{
    const char *text = ta_get_text(p->s, TA_SET_colour_balance);
    for (const char *s = text; *s;) {
        char side, *end;
        double v = 0;
        bool good = strchr("rgb", s[0]) && s[1] && strchr("smh", s[1]) && s[2] == '=';
        side = good ? s[0] : 0;
        v = good ? strtod(s + 3, &end) : 0;
        if (!side || end == s + 3 || !(fabs(v) <= 1) || (*end && *end != ':') || (*end == ':' && !end[1])) {
            ta_fail(p->err, TA_ERR_USAGE, "colour-balance '%s' is wrong at '%s'", text, s);
            return ta_hint(p->err, "give pairs such as rs=0.1:bs=-0.1: r, g or b in s, m or h, -1 to 1");
        }
        s = *end ? end + 1 : end;
    }
    if (*text)
        ta_buf_addf(b, "colorbalance=%s", text);
    return 0;
}

static int levels_filter(ta_plan *p, ta_buf *b)
{
    const char *text = ta_get_text(p->s, TA_SET_levels);
    double v[4];
    int used = 0;
    if (!*text)
        return 0;
    bool good = sscanf(text, "%lf:%lf:%lf:%lf%n", &v[0], &v[1], &v[2], &v[3], &used) == 4 && !text[used];
    for (int i = 0; i < 4 && good; i++)
        good = v[i] >= 0 && v[i] <= 255;
    if (!good || v[0] >= v[1] || v[2] > v[3]) {
        ta_fail(p->err, TA_ERR_USAGE, "levels '%s' aren't four numbers from 0 to 255, each black below its white",
                text);
        return ta_hint(p->err, "for example --levels 16:235:0:255");
    }
    if (v[0] == 0 && v[1] == 255 && v[2] == 0 && v[3] == 255)
        return 0;
    static const char *const ends[] = { "imin", "imax", "omin", "omax" };
    for (int e = 0; e < 4; e++)
        for (int c = 0; c < 3; c++)
            ta_buf_addf(b, "%s%c%s=%.8g", e + c ? ":" : "colorlevels=", "rgb"[c], ends[e], v[e] / 255);
    return 0;
}

/* The table named by the settings, with strength mixed in, on the domain 0..1; nothing where it changes nothing. */
static int load_lut(ta_plan *p, ta_lut *lut)
{
    const char *name = ta_get_text(p->s, TA_SET_lut);
    double strength = ta_get_float(p->s, TA_SET_lut_strength);
    if (!*name || ta_streq(name, "none") || strength == 0)
        return 0;
    bool file = strchr(name, '/') || ta_ends(name, ".cube");
    int r = file ? ta_lut_read(lut, name, p->err) : ta_lut_make(lut, name, p->err);
    if (r >= 0)
        r = ta_lut_to_unit(lut, p->err);
    if (r >= 0)
        ta_lut_mix(lut, (float)strength);
    return r;
}

/* One step, with the conversion to RGB in front of the first and back behind the last. */
static int add_step(ta_plan *p, const char *name, const ta_buf *filter, ta_lut *lut, enum AVPixelFormat rgb,
                    enum AVPixelFormat back)
{
    ta_buf b = { 0 };
    ta_plan_convert(p, rgb, &b);
    ta_buf_addf(&b, "%s%s", b.len ? "," : "", filter->data);
    if (back != AV_PIX_FMT_NONE)
        ta_plan_convert(p, back, &b);
    if (!lut)
        return ta_plan_add_tagged(p, &(ta_step){ name }, &b);
    char *spec = ta_buf_take(&b);
    int r = spec ? ta_plan_add(p, &(ta_step){ name }, ta_look_stage(name, spec, lut, p->work_dir, &p->now))
                 : ta_no_memory(p->err);
    ta_free(spec);
    return r;
}

static int add_steps(ta_plan *p, ta_buf filters[3], ta_lut *lut)
{
    static const char *const names[] = { "colour balance", "levels", "look-up table" };
    int last = -1, r = 0;
    for (int i = 0; i < 3; i++)
        last = filters[i].len ? i : last;
    /* An RGB source stays RGB; else the way back leads to its own kind of YUV. */
    enum AVPixelFormat now = p->now.pix_fmt, home = AV_PIX_FMT_NONE;
    if (!ta_fmt_rgb(now))
        home = ta_fmt_yuv(now, ta_fmt_depth(now));
    /* libavfilter's colorlevels scales planar RGB of 10 and 12 bits as if it had 16: everything becomes black. */
    bool deep = ta_fmt_depth(now) > (ta_fmt_rgb(now) ? 10 : 8) || filters[1].len;
    for (int i = 0; i < 3 && r >= 0; i++)
        if (filters[i].len)
            r = filters[i].failed
                    ? ta_no_memory(p->err)
                    : add_step(p, names[i], &filters[i], i == 2 ? lut : NULL,
                               deep ? AV_PIX_FMT_GBRP16 : AV_PIX_FMT_GBRP10, i == last ? home : AV_PIX_FMT_NONE);
    return r;
}

int ta_plan_rgb(ta_plan *p)
{
    ta_buf filters[3] = { 0 };
    ta_lut lut = { 0 };
    int r = balance_filter(p, &filters[0]);
    if (r >= 0)
        r = levels_filter(p, &filters[1]);
    if (r >= 0)
        r = load_lut(p, &lut);
    if (lut.rgb)
        ta_buf_add(&filters[2], "lut3d=file=" TA_LOOK_FILE ":interp=tetrahedral");
    if (r >= 0)
        r = add_steps(p, filters, &lut);
    for (int i = 0; i < 3; i++)
        ta_buf_free(&filters[i]);
    ta_lut_free(&lut);
    return r;
}
