/* What travels on a link, and when a frame no longer fits it. */
#include "flow/flow.h"

static bool same_ratio(AVRational a, AVRational b)
{
    if (a.num == 0 || b.num == 0)
        return a.num == b.num;
    return av_cmp_q(a, b) == 0;
}

static bool video_differs(const ta_video_format *v, const AVFrame *f)
{
    return f->width != v->width || f->height != v->height || f->format != (int)v->pix_fmt ||
           !same_ratio(f->sample_aspect_ratio, v->sar) || f->colorspace != v->matrix || f->color_range != v->range ||
           f->color_primaries != v->primaries || f->color_trc != v->transfer;
}

static bool audio_differs(const ta_audio_format *a, const AVFrame *f)
{
    return f->sample_rate != a->sample_rate || f->format != (int)a->sample_fmt ||
           av_channel_layout_compare(&f->ch_layout, &a->layout) != 0;
}

bool ta_link_differs(const ta_link *link, const AVFrame *frame)
{
    return link->type == AVMEDIA_TYPE_VIDEO ? video_differs(&link->video, frame) : audio_differs(&link->audio, frame);
}

void ta_link_from_frame(ta_link *link, const ta_link *like, const AVFrame *frame)
{
    *link = *like;
    if (like->type == AVMEDIA_TYPE_AUDIO) {
        link->audio.sample_rate = frame->sample_rate;
        link->audio.sample_fmt = (enum AVSampleFormat)frame->format;
        link->audio.layout = frame->ch_layout;
        return;
    }
    ta_video_format *v = &link->video;
    v->width = frame->width;
    v->height = frame->height;
    v->pix_fmt = (enum AVPixelFormat)frame->format;
    v->sar = frame->sample_aspect_ratio;
    v->matrix = frame->colorspace;
    v->range = frame->color_range;
    v->primaries = frame->color_primaries;
    v->transfer = frame->color_trc;
    v->chroma_location = frame->chroma_location;
}
