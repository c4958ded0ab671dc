/* Faces: put in by a model behind all that cleans the picture and before its last scaling; larger first where that is
 * wanted, so that they keep more of what the model made. */
#include "picture/plan.h"

int ta_plan_for_models(ta_plan *p)
{
    enum AVPixelFormat now = p->now.pix_fmt, fmt = now;
    int depth = ta_fmt_depth(now);
    if (p->engines->takes(now))
        return 0;
    if (ta_fmt_rgb(now))
        fmt = depth <= 8 ? AV_PIX_FMT_GBRP : depth <= 10 ? AV_PIX_FMT_GBRP10 : AV_PIX_FMT_GBRP16;
    else
        fmt = ta_fmt_yuv(now, depth);
    ta_buf b = { 0 };
    ta_plan_convert(p, fmt, &b);
    return ta_plan_add_tagged(p, &(ta_step){ "format" }, &b);
}

static int make_larger(ta_plan *p, int factor)
{
    char filter[128];
    if (factor == 1)
        return 0;
    if (p->now.width * factor > 16384 || p->now.height * factor > 16384) {
        ta_fail(p->err, TA_ERR_USAGE, "face-upscale %d makes the picture larger than 16384 a side", factor);
        return ta_hint(p->err, "use --face-upscale 1");
    }
    snprintf(filter, sizeof filter, "scale=iw*%d:ih*%d:flags=%s+accurate_rnd+full_chroma_int+full_chroma_inp", factor,
             factor, ta_get_text(p->s, TA_SET_scaler));
    int r = ta_plan_filter(p, &(ta_step){ "face size" }, filter);
    p->now.width *= factor;
    p->now.height *= factor;
    p->face_scale = factor;
    return r;
}

static int refuse(ta_plan *p, int factor)
{
    if (p->interlaced) {
        ta_fail(p->err, TA_ERR_USAGE, "faces are restored in whole pictures, and these are interlaced");
        return ta_hint(p->err, "use --deinterlace auto (or --ivtc on), or --face-restore off");
    }
    if (factor == 1 || !ta_get_is(p->s, TA_SET_engine, "realesrgan"))
        return 0;
    ta_fail(p->err, TA_ERR_USAGE, "face-upscale %d and the engine realesrgan would both make the picture larger",
            factor);
    return ta_hint(p->err, "use --face-upscale 1, or --engine classic");
}

int ta_plan_faces(ta_plan *p)
{
    ta_stage *st = NULL;
    if (ta_get_is(p->s, TA_SET_face_restore, "off"))
        return 0;
    int factor = ta_get_is(p->s, TA_SET_face_upscale, "4") ? 4 : ta_get_is(p->s, TA_SET_face_upscale, "2") ? 2 : 1;
    int r = refuse(p, factor);
    if (r >= 0)
        r = make_larger(p, factor);
    if (r >= 0)
        r = ta_plan_for_models(p);
    if (r >= 0)
        r = p->engines->face_stage(p->engines->faces, p->s, &p->now, &st, p->err);
    const ta_step step = { "faces", p->engines->face_reach, p->engines->face_reach, 1 };
    return r < 0 ? r : ta_plan_add(p, &step, st);
}
