/* A libavfilter graph as a stage. Any chain with one input and one output; conversions are never inserted silently. */
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>

#include "flow/flow.h"

typedef struct filter {
    AVFilterGraph *graph;
    AVFilterContext *src, *sink;
} filter;

static void filter_close(ta_stage *st)
{
    filter *f = st->priv;
    avfilter_graph_free(&f->graph);
    f->src = f->sink = NULL;
}

static int add_source(filter *f, const ta_link *in)
{
    bool video = in->type == AVMEDIA_TYPE_VIDEO;
    f->src = avfilter_graph_alloc_filter(f->graph, avfilter_get_by_name(video ? "buffer" : "abuffer"), "in");
    AVBufferSrcParameters *p = av_buffersrc_parameters_alloc();
    if (!f->src || !p) {
        av_free(p);
        return AVERROR(ENOMEM);
    }
    int r = 0;
    if (video) {
        p->format = in->video.pix_fmt;
        p->width = in->video.width;
        p->height = in->video.height;
        p->sample_aspect_ratio = in->video.sar;
        p->frame_rate = in->video.frame_rate;
        p->time_base = in->video.time_base;
    } else {
        p->format = in->audio.sample_fmt;
        p->sample_rate = in->audio.sample_rate;
        p->time_base = (AVRational){ 1, in->audio.sample_rate };
        r = av_channel_layout_copy(&p->ch_layout, &in->audio.layout);
    }
    if (r >= 0)
        r = av_buffersrc_parameters_set(f->src, p);
    if (r >= 0)
        r = avfilter_init_str(f->src, NULL);
    av_channel_layout_uninit(&p->ch_layout);
    av_free(p);
    return r;
}

static int add_sink(filter *f, const ta_link *in)
{
    bool video = in->type == AVMEDIA_TYPE_VIDEO;
    return avfilter_graph_create_filter(&f->sink, avfilter_get_by_name(video ? "buffersink" : "abuffersink"), "out",
                                        NULL, NULL, f->graph);
}

/* Puts the spec between source and sink. */
static int add_spec(filter *f, const char *spec)
{
    AVFilterInOut *outputs = avfilter_inout_alloc(), *inputs = avfilter_inout_alloc();
    int r = AVERROR(ENOMEM);
    if (outputs && inputs) {
        outputs->name = av_strdup("in");
        outputs->filter_ctx = f->src;
        inputs->name = av_strdup("out");
        inputs->filter_ctx = f->sink;
        if (outputs->name && inputs->name)
            r = avfilter_graph_parse_ptr(f->graph, spec, &inputs, &outputs, NULL);
    }
    avfilter_inout_free(&outputs);
    avfilter_inout_free(&inputs);
    return r;
}

static int read_sink(const filter *f, ta_link *out)
{
    if (out->type == AVMEDIA_TYPE_AUDIO) {
        out->audio.sample_rate = av_buffersink_get_sample_rate(f->sink);
        out->audio.sample_fmt = (enum AVSampleFormat)av_buffersink_get_format(f->sink);
        return av_buffersink_get_ch_layout(f->sink, &out->audio.layout);
    }
    ta_video_format *v = &out->video;
    v->width = av_buffersink_get_w(f->sink);
    v->height = av_buffersink_get_h(f->sink);
    v->pix_fmt = (enum AVPixelFormat)av_buffersink_get_format(f->sink);
    v->sar = av_buffersink_get_sample_aspect_ratio(f->sink);
    v->frame_rate = av_buffersink_get_frame_rate(f->sink);
    v->time_base = av_buffersink_get_time_base(f->sink);
    return 0;
}

static void describe(const ta_link *link, char *text, size_t size)
{
    if (link->type == AVMEDIA_TYPE_AUDIO) {
        char layout[64] = "";
        av_channel_layout_describe(&link->audio.layout, layout, sizeof layout);
        snprintf(text, size, "%s, %s, %d Hz", av_get_sample_fmt_name(link->audio.sample_fmt), layout,
                 link->audio.sample_rate);
    } else {
        snprintf(text, size, "%s %dx%d", av_get_pix_fmt_name(link->video.pix_fmt), link->video.width,
                 link->video.height);
    }
}

static int filter_configure(ta_stage *st, const ta_link *in, ta_link *out, ta_error *err)
{
    filter *f = st->priv;
    filter_close(st);
    f->graph = avfilter_graph_alloc();
    if (!f->graph)
        return ta_no_memory(err);
    f->graph->nb_threads = TA_MAX(st->threads, 1);
    avfilter_graph_set_auto_convert(f->graph, AVFILTER_AUTO_CONVERT_NONE);
    int r = add_source(f, in);
    if (r >= 0)
        r = add_sink(f, in);
    if (r >= 0)
        r = add_spec(f, st->spec[0] ? st->spec : (in->type == AVMEDIA_TYPE_VIDEO ? "null" : "anull"));
    if (r >= 0)
        r = avfilter_graph_config(f->graph, NULL);
    *out = *in;
    if (r >= 0)
        r = read_sink(f, out);
    if (r < 0) {
        char from[160];
        describe(in, from, sizeof from);
        filter_close(st);
        return ta_fail_av(err, r, TA_ERR_SOFTWARE, "the filter can't be set up for %s", from);
    }
    return 0;
}

/* Everything that the graph has ready goes on. */
static int filter_pull(ta_stage *st, ta_error *err)
{
    filter *f = st->priv;
    for (;;) {
        AVFrame *frame = av_frame_alloc();
        if (!frame)
            return ta_no_memory(err);
        int r = av_buffersink_get_frame(f->sink, frame);
        if (r < 0) {
            av_frame_free(&frame);
            if (r == AVERROR(EAGAIN) || r == AVERROR_EOF)
                return 0;
            return ta_fail_av(err, r, TA_ERR_SOFTWARE, "the filter failed");
        }
        r = st->emit(st->emit_to, frame, err);
        if (r < 0)
            return r;
    }
}

static int filter_push(ta_stage *st, AVFrame *frame, ta_error *err)
{
    filter *f = st->priv;
    int r = av_buffersrc_add_frame_flags(f->src, frame, AV_BUFFERSRC_FLAG_NO_CHECK_FORMAT);
    av_frame_free(&frame);
    if (r < 0)
        return ta_fail_av(err, r, TA_ERR_SOFTWARE, "the filter refused a frame");
    return filter_pull(st, err);
}

static int filter_drain(ta_stage *st, ta_error *err)
{
    filter *f = st->priv;
    int r = av_buffersrc_add_frame_flags(f->src, NULL, 0);
    if (r < 0)
        return ta_fail_av(err, r, TA_ERR_SOFTWARE, "the filter can't be drained");
    return filter_pull(st, err);
}

const ta_stage_class ta_filter_stage = {
    .name = "filter",
    .size = sizeof(filter),
    .configure = filter_configure,
    .push = filter_push,
    .drain = filter_drain,
    .close = filter_close,
};
