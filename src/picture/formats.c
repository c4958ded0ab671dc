/* Pixel formats, matrices and rates: what the steps ask about them. */
#include <libavfilter/avfilter.h>

#include "picture/plan.h"

int ta_fmt_depth(enum AVPixelFormat fmt)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(fmt);
    return d ? d->comp[0].depth : 0;
}

bool ta_fmt_rgb(enum AVPixelFormat fmt)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(fmt);
    return d && (d->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL));
}

enum AVPixelFormat ta_fmt_yuv(enum AVPixelFormat fmt, int depth)
{
    static const struct {
        int w, h, depth;
        enum AVPixelFormat fmt;
    } formats[] = {
        { 1, 1, 8, AV_PIX_FMT_YUV420P },    { 1, 0, 8, AV_PIX_FMT_YUV422P },    { 0, 0, 8, AV_PIX_FMT_YUV444P },
        { 2, 0, 8, AV_PIX_FMT_YUV411P },    { 0, 1, 8, AV_PIX_FMT_YUV440P },    { 2, 2, 8, AV_PIX_FMT_YUV410P },
        { 1, 1, 10, AV_PIX_FMT_YUV420P10 }, { 1, 0, 10, AV_PIX_FMT_YUV422P10 }, { 0, 0, 10, AV_PIX_FMT_YUV444P10 },
        { 2, 0, 10, AV_PIX_FMT_YUV422P10 }, { 0, 1, 10, AV_PIX_FMT_YUV440P10 }, { 2, 2, 10, AV_PIX_FMT_YUV420P10 },
        { 1, 1, 12, AV_PIX_FMT_YUV420P12 }, { 1, 0, 12, AV_PIX_FMT_YUV422P12 }, { 0, 0, 12, AV_PIX_FMT_YUV444P12 },
        { 1, 1, 16, AV_PIX_FMT_YUV420P16 }, { 1, 0, 16, AV_PIX_FMT_YUV422P16 }, { 0, 0, 16, AV_PIX_FMT_YUV444P16 },
    };
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(fmt);
    int w = d && !ta_fmt_rgb(fmt) ? d->log2_chroma_w : 0, h = d && !ta_fmt_rgb(fmt) ? d->log2_chroma_h : 0;
    if (d && d->nb_components < 3 && !ta_fmt_rgb(fmt)) /* grey */
        w = h = 1;
    for (size_t i = 0; i < TA_COUNT(formats); i++)
        if (formats[i].w == w && formats[i].h == h && formats[i].depth >= depth)
            return formats[i].fmt;
    return depth > 8 ? AV_PIX_FMT_YUV444P16 : AV_PIX_FMT_YUV444P;
}

const char *ta_scale_matrix(enum AVColorSpace matrix)
{
    switch (matrix) {
    case AVCOL_SPC_SMPTE170M:
    case AVCOL_SPC_BT470BG:
        return "bt601";
    case AVCOL_SPC_FCC:
        return "fcc";
    case AVCOL_SPC_SMPTE240M:
        return "smpte240m";
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
        return "bt2020";
    default:
        return "bt709";
    }
}

bool ta_matrix_sd(enum AVColorSpace matrix)
{
    return matrix == AVCOL_SPC_SMPTE170M || matrix == AVCOL_SPC_BT470BG;
}

/* Horizontal and vertical chroma position of a subsampled format in vf_scale's units (luma/256); -1 = not subsampled.
 */
static void chroma_position(const ta_video_format *v, int *x, int *y)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(v->pix_fmt);
    enum AVChromaLocation at = v->chroma_location;
    bool centred = at == AVCHROMA_LOC_CENTER || at == AVCHROMA_LOC_TOP || at == AVCHROMA_LOC_BOTTOM;
    bool top = at == AVCHROMA_LOC_TOPLEFT || at == AVCHROMA_LOC_TOP;
    bool sub_x = d && d->log2_chroma_w && !ta_fmt_rgb(v->pix_fmt), sub_y = sub_x && d->log2_chroma_h;
    *x = !sub_x ? -1 : centred ? ((1 << d->log2_chroma_w) - 1) * 128 : 0;
    *y = !sub_y ? -1 : top ? 0 : ((1 << d->log2_chroma_h) - 1) * 128;
}

static const char *range_name(const ta_video_format *v)
{
    return v->range == AVCOL_RANGE_JPEG ? "pc" : "tv";
}

void ta_scale_colours(ta_buf *b, const ta_video_format *in, const ta_video_format *out)
{
    int x, y;
    if (!ta_fmt_rgb(in->pix_fmt))
        ta_buf_addf(b, ":in_color_matrix=%s:in_range=%s", ta_scale_matrix(in->matrix), range_name(in));
    if (!ta_fmt_rgb(out->pix_fmt))
        ta_buf_addf(b, ":out_color_matrix=%s:out_range=%s", ta_scale_matrix(out->matrix), range_name(out));
    chroma_position(in, &x, &y);
    if (x >= 0)
        ta_buf_addf(b, ":in_h_chr_pos=%d", x);
    if (y >= 0)
        ta_buf_addf(b, ":in_v_chr_pos=%d", y);
    chroma_position(out, &x, &y);
    if (x >= 0)
        ta_buf_addf(b, ":out_h_chr_pos=%d", x);
    if (y >= 0)
        ta_buf_addf(b, ":out_v_chr_pos=%d", y);
}

AVRational ta_snap_rate(AVRational rate)
{
    static const AVRational known[] = { { 24000, 1001 }, { 24, 1 }, { 25, 1 },       { 30000, 1001 }, { 30, 1 },
                                        { 48, 1 },       { 50, 1 }, { 60000, 1001 }, { 60, 1 },       { 15, 1 } };
    if (rate.num <= 0 || rate.den <= 0)
        return (AVRational){ 0, 1 };
    for (size_t i = 0; i < TA_COUNT(known); i++) {
        double off = av_q2d(rate) / av_q2d(known[i]) - 1;
        if (off > -0.0003 && off < 0.0003)
            return known[i];
    }
    return rate;
}

/* The format on the first link behind the source that isn't the source's own, or that of the filter itself. */
static enum AVPixelFormat first_input(AVFilterContext *src)
{
    AVFilterContext *next = src->outputs[0]->dst;
    bool converts = ta_starts(next->name, "auto_scale");
    return (enum AVPixelFormat)(converts ? next->outputs[0]->format : src->outputs[0]->format);
}

enum AVPixelFormat ta_filter_input(const char *filter, enum AVPixelFormat fmt)
{
    enum AVPixelFormat found = AV_PIX_FMT_NONE;
    AVFilterGraph *graph = avfilter_graph_alloc();
    AVFilterInOut *in = NULL, *out = NULL;
    char spec[2048]; /* no memory of ours: its lack must not look like a filter that refuses */
    int n = snprintf(spec, sizeof spec,
                     "buffer@in=video_size=128x128:pix_fmt=%s:time_base=1/25:frame_rate=25:pixel_aspect=1/1,"
                     "%s,buffersink@out",
                     av_get_pix_fmt_name(fmt), filter);
    if (graph && n < (int)sizeof spec && avfilter_graph_parse2(graph, spec, &in, &out) >= 0 && !in && !out &&
        avfilter_graph_config(graph, NULL) >= 0) {
        AVFilterContext *src = avfilter_graph_get_filter(graph, "buffer@in");
        if (src)
            found = first_input(src);
    }
    avfilter_inout_free(&in);
    avfilter_inout_free(&out);
    avfilter_graph_free(&graph);
    return found;
}
