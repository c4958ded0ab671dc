/* Contrast, brightness, saturation, gamma. vf_eq works with 8 bits only; deeper pictures get the same curves through
 * lutyuv, so that nothing is lost. */
#include "picture/plan.h"

typedef struct curves {
    double contrast, brightness, saturation, gamma;
} curves;

static void eq_text(const curves *c, ta_buf *b)
{
    const struct {
        const char *name;
        double value, neutral;
    } args[] = { { "contrast", c->contrast, 1 },
                 { "brightness", c->brightness, 0 },
                 { "saturation", c->saturation, 1 },
                 { "gamma", c->gamma, 1 } };
    ta_buf_add(b, "eq");
    char sep = '=';
    for (size_t i = 0; i < TA_COUNT(args); i++)
        if (args[i].value != args[i].neutral) {
            ta_buf_addf(b, "%c%s=%g", sep, args[i].name, args[i].value);
            sep = ':';
        }
}

/* vf_eq's formula: v = contrast * (v - 1/2) + 1/2 + brightness, then v^(1/gamma), on codes where 255 is 1. */
static void deep_text(const curves *c, int depth, ta_buf *b)
{
    int unit = 1 << (depth - 8), top = (1 << depth) - 1, middle = 1 << (depth - 1);
    ta_buf_addf(b, "lutyuv=y='clip(pow(max(%g*(val/%d-0.5)+0.5%+g,0),%.9g)*%d+0.5,0,%d)'", c->contrast, 255 * unit,
                c->brightness, 1 / c->gamma, 255 * unit, top);
    if (c->saturation != 1)
        for (char plane = 'u'; plane <= 'v'; plane++)
            ta_buf_addf(b, ":%c='clip((val-%d)*%g+%d.5,0,%d)'", plane, middle, c->saturation, middle, top);
}

int ta_plan_eq(ta_plan *p)
{
    const ta_settings *s = p->s;
    curves c = { ta_get_float(s, TA_SET_contrast), ta_get_float(s, TA_SET_brightness),
                 ta_get_float(s, TA_SET_saturation), ta_get_float(s, TA_SET_gamma) };
    if (c.contrast == 1 && c.brightness == 0 && c.saturation == 1 && c.gamma == 1)
        return 0;
    int depth = ta_fmt_depth(p->now.pix_fmt);
    ta_buf b = { 0 };
    if (depth > 8)
        deep_text(&c, depth, &b);
    else
        eq_text(&c, &b);
    char *filter = ta_buf_take(&b);
    int r = filter ? ta_plan_filter(p, &(ta_step){ "colour" }, filter) : ta_no_memory(p->err);
    ta_free(filter);
    return r;
}
