/* The last step: the pixel format and range that the encoder wants. */
#include "picture/plan.h"

static bool full_range_format(enum AVPixelFormat fmt)
{
    const char *name = av_get_pix_fmt_name(fmt);
    return ta_fmt_rgb(fmt) || (name && ta_starts(name, "yuvj"));
}

int ta_plan_output(ta_plan *p)
{
    enum AVPixelFormat out = p->out_fmt;
    if (out == AV_PIX_FMT_NONE)
        return 0;
    ta_video_format from = p->now;
    ta_plan_retag(p, out);
    if (p->now.range == AVCOL_RANGE_JPEG && !full_range_format(out))
        p->now.range = AVCOL_RANGE_MPEG;
    if (out == from.pix_fmt && from.range == p->now.range)
        return 0;
    ta_buf b = { 0 };
    ta_buf_add(&b, "scale=flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp");
    ta_scale_colours(&b, &from, &p->now);
    ta_buf_addf(&b, "%s,format=%s", p->interlaced ? ":interl=1" : "", av_get_pix_fmt_name(out));
    return ta_plan_add_tagged(p, &(ta_step){ "format" }, &b);
}
