/* Compression damage: block edges and banding; and the depth in which the picture is worked on. */
#include "picture/plan.h"

/* Where the output has more bits than the source, what changes sample values works with them, so that they hold
 * something. */
int ta_plan_depth(ta_plan *p)
{
    static const char *const off[] = { "off", "", "none" };
    static const ta_setting_id texts[] = { TA_SET_denoise, TA_SET_deband, TA_SET_lut, TA_SET_levels,
                                           TA_SET_colour_balance };
    int depth = ta_fmt_depth(p->now.pix_fmt), want = ta_fmt_depth(p->out_fmt);
    bool works = ta_get_float(p->s, TA_SET_contrast) != 1 || ta_get_float(p->s, TA_SET_brightness) != 0 ||
                 ta_get_float(p->s, TA_SET_saturation) != 1 || ta_get_float(p->s, TA_SET_gamma) != 1;
    for (size_t i = 0; i < TA_COUNT(texts); i++) {
        const char *v = ta_get_text(p->s, texts[i]);
        works |= !ta_streq(v, off[0]) && !ta_streq(v, off[1]) && !ta_streq(v, off[2]);
    }
    if (!works || p->out_fmt == AV_PIX_FMT_NONE || want <= depth || ta_fmt_rgb(p->now.pix_fmt))
        return 0;
    ta_buf b = { 0 };
    ta_plan_convert(p, ta_fmt_yuv(p->now.pix_fmt, TA_MIN(want, 10)), &b);
    return ta_plan_add_tagged(p, &(ta_step){ "depth" }, &b);
}

int ta_plan_deblock(ta_plan *p)
{
    if (ta_get_is(p->s, TA_SET_deblock, "off"))
        return 0;
    char filter[64];
    snprintf(filter, sizeof filter, "deblock=filter=%s:block=8", ta_get_text(p->s, TA_SET_deblock));
    return ta_plan_filter(p, &(ta_step){ "deblock" }, filter);
}

int ta_plan_deband(ta_plan *p)
{
    const char *strength = ta_get_text(p->s, TA_SET_deband);
    if (ta_streq(strength, "off"))
        return 0;
    const char *t = ta_streq(strength, "weak") ? "0.01" : ta_streq(strength, "strong") ? "0.04" : "0.02";
    char filter[96];
    snprintf(filter, sizeof filter, "deband=1thr=%s:2thr=%s:3thr=%s:range=16", t, t, t);
    return ta_plan_filter(p, &(ta_step){ "deband" }, filter);
}
