/* Scaling: once, to the output's size and pixel shape, with the matrix of HD where SD becomes HD. */
#include "picture/plan.h"

/* SD shown as HD needs the HD matrix, as players guess by size. The primaries aren't converted and keep their tag. */
static bool to_hd(const ta_plan *p, int height)
{
    return p->now.height < 720 && height >= 720 && ta_matrix_sd(p->now.matrix) && !ta_fmt_rgb(p->now.pix_fmt) &&
           ta_get_is(p->s, TA_SET_hdr, "sdr");
}

/* The pixel format to scale into: the output's where nothing behind it wants more. */
static enum AVPixelFormat scaled_format(const ta_plan *p)
{
    enum AVPixelFormat now = p->now.pix_fmt, out = p->out_fmt;
    bool last = ta_get_is(p->s, TA_SET_sharpen, "off") && ta_get_is(p->s, TA_SET_hdr, "sdr");
    if (out == AV_PIX_FMT_NONE || (!last && ta_fmt_depth(out) < ta_fmt_depth(now)))
        return now;
    return out;
}

/* vf_colorspace converts the matrix exactly, at the small size and in linear YUV; vf_scale would go through RGB of 8
 * bits. It knows the common formats only. */
static bool matrix_first(ta_plan *p, ta_buf *b)
{
    char filter[224];
    const char *range = p->now.range == AVCOL_RANGE_JPEG ? "pc" : "tv";
    snprintf(filter, sizeof filter,
             "colorspace=ispace=%s:iprimaries=smpte170m:itrc=smpte170m:irange=%s:space=bt709:primaries=smpte170m:"
             "trc=smpte170m:range=%s",
             p->now.matrix == AVCOL_SPC_BT470BG ? "bt470bg" : "smpte170m", range, range);
    if (ta_filter_input(filter, p->now.pix_fmt) != p->now.pix_fmt)
        return false;
    ta_buf_addf(b, "%s,", filter);
    p->now.matrix = AVCOL_SPC_BT709;
    return true;
}

static bool keeps_full_range(const ta_plan *p, enum AVPixelFormat fmt)
{
    const char *name = av_get_pix_fmt_name(fmt);
    return p->out_fmt == AV_PIX_FMT_NONE || ta_fmt_rgb(fmt) || (name && ta_starts(name, "yuvj"));
}

static int add_scale(ta_plan *p, int width, int height, AVRational sar)
{
    ta_buf b = { 0 };
    bool hd = to_hd(p, height);
    bool careful = hd && !matrix_first(p, &b);
    ta_video_format from = p->now;
    enum AVPixelFormat fmt = scaled_format(p);
    ta_plan_retag(p, fmt);
    if (careful)
        p->now.matrix = AVCOL_SPC_BT709;
    if (hd)
        p->now.transfer = AVCOL_TRC_BT709;
    if (fmt == p->out_fmt && !keeps_full_range(p, fmt))
        p->now.range = AVCOL_RANGE_MPEG;
    careful |= ta_fmt_rgb(from.pix_fmt) || from.range != p->now.range;
    ta_buf_addf(&b, "scale=%d:%d:flags=%s%s", width, height, ta_get_text(p->s, TA_SET_scaler),
                careful ? "+accurate_rnd+full_chroma_int+full_chroma_inp" : "");
    ta_scale_colours(&b, &from, &p->now);
    if (p->interlaced)
        ta_buf_add(&b, ":interl=1");
    if (fmt != from.pix_fmt)
        ta_buf_addf(&b, ",format=%s", av_get_pix_fmt_name(fmt));
    ta_buf_addf(&b, ",setsar=%d/%d", sar.num, sar.den);
    p->now.width = width;
    p->now.height = height;
    p->now.sar = sar;
    return ta_plan_add_tagged(p, &(ta_step){ "scale" }, &b);
}

int ta_plan_scale(ta_plan *p)
{
    int width, height;
    AVRational sar, now = p->now.sar.num ? p->now.sar : (AVRational){ 1, 1 };
    bool square = ta_get_bool(p->s, TA_SET_square_pixels);
    int r = ta_picture_size(p->s, p->now.width, p->now.height, square ? p->true_sar : now, &width, &height, &sar,
                            p->err);
    if (r < 0)
        return r;
    bool same_sar = !av_cmp_q(now, sar);
    if (width == p->now.width && height == p->now.height && same_sar)
        return 0;
    if (same_sar && width == (p->now.width & ~1) && height == (p->now.height & ~1)) {
        char filter[48];
        snprintf(filter, sizeof filter, "crop=%d:%d:0:0:exact=1", width, height);
        p->now.width = width;
        p->now.height = height;
        return ta_plan_filter(p, &(ta_step){ "even size" }, filter);
    }
    if (p->interlaced && height != p->now.height)
        ta_plan_note(p, "the picture is scaled field by field, as it isn't deinterlaced");
    return add_scale(p, width, height, sar);
}
