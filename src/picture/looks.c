/* The shipped looks, made by formula, 33 points a side, on gamma-coded RGB from 0 to 1.
 *
 *   t = x - contrast / (2 pi) * sin(2 pi x)        an S curve for each channel, its ends fixed
 *   c = black + (white - black) * t                where black and white of the channel end up
 *   c = c + tint * 4 y (1 - y)                     a tint of the midtones; y is the luma of t (BT.601 weights)
 *   c = y' + gain * (c - y')                       y' the luma of c; gain = 1 + boost * (1 - spread), or 1 + boost
 * where it is negative; spread = max - min: pale colours gain most
 *
 * vhs_restore takes back what age does to VHS: colours fade, and the picture turns blue. Black and white stay where
 * they are, so a picture that is right loses no range. */
#include <math.h>

#include "picture/picture.h"

typedef struct look {
    const char *name, *title;
    double contrast, black[3], white[3], tint[3], boost;
} look;

static const look looks[] = {
    { "vhs_restore",
      "VHS restore: less blue, fuller colours",
      0.06,
      { 0, 0, 0 },
      { 1, 1, 1 },
      { 0.014, 0, -0.028 },
      0.2 },
    { "warm_vintage",
      "Warm vintage: creamy white, soft black",
      -0.08,
      { 0.035, 0.025, 0.02 },
      { 1, 0.97, 0.9 },
      { 0.015, 0.004, -0.015 },
      -0.1 },
    { "cool_modern",
      "Cool modern: crisp, cool shadows",
      0.12,
      { 0, 0, 0.015 },
      { 0.985, 1, 1 },
      { -0.015, 0.002, 0.015 },
      0.08 },
};

static double luma(const double c[3])
{
    return 0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2];
}

static void apply(const look *k, const double in[3], float out[3])
{
    double t[3], c[3], y;
    for (int i = 0; i < 3; i++)
        t[i] = in[i] - k->contrast / (2 * M_PI) * sin(2 * M_PI * in[i]);
    y = luma(t);
    for (int i = 0; i < 3; i++)
        c[i] = k->black[i] + (k->white[i] - k->black[i]) * t[i] + k->tint[i] * 4 * y * (1 - y);
    double spread = fmax(fmax(c[0], c[1]), c[2]) - fmin(fmin(c[0], c[1]), c[2]);
    double gain = 1 + (k->boost > 0 ? k->boost * fmax(1 - spread, 0) : k->boost);
    y = luma(c);
    for (int i = 0; i < 3; i++)
        out[i] = (float)TA_CLAMP(y + gain * (c[i] - y), 0.0, 1.0);
}

static int fill(ta_lut *lut, const look *k, ta_error *err)
{
    *lut = (ta_lut){ .size = 33, .max = { 1, 1, 1 } };
    snprintf(lut->title, sizeof lut->title, "%s", k->title);
    lut->rgb = ta_array((size_t)33 * 33 * 33, 3 * sizeof(float));
    if (!lut->rgb)
        return ta_no_memory(err);
    for (int i = 0; i < 33 * 33 * 33; i++) {
        double in[3] = { i % 33 / 32.0, i / 33 % 33 / 32.0, i / (33 * 33) / 32.0 };
        apply(k, in, &lut->rgb[3 * i]);
    }
    return 0;
}

int ta_lut_make(ta_lut *lut, const char *name, ta_error *err)
{
    *lut = (ta_lut){ 0 };
    const char *names[TA_COUNT(looks) + 1] = { 0 };
    for (size_t i = 0; i < TA_COUNT(looks); i++) {
        if (ta_streq(name, looks[i].name))
            return fill(lut, &looks[i], err);
        names[i] = looks[i].name;
    }
    const char *near = ta_nearest(name, names);
    ta_fail(err, TA_ERR_USAGE, "there is no look-up table '%s'", name);
    return ta_hint(err, near ? "did you mean %s?" : "use %s, another shipped look, or the path of a .cube file",
                   near ? near : looks[0].name);
}
