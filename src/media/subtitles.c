/* Text subtitles from one codec to another, packet by packet; times stay as they are. Through libav's common form,
 * which is ASS (Advanced SubStation Alpha). */
#include "media/media.h"

enum { MAX_TEXT = 64 * 1024 };

struct ta_subtitles {
    AVCodecContext *from, *to;
};

static int open_decoder(ta_subtitles *s, const AVStream *in, ta_error *err)
{
    const AVCodec *c = avcodec_find_decoder(in->codecpar->codec_id);
    s->from = c ? avcodec_alloc_context3(c) : NULL;
    if (!s->from)
        return ta_fail(err, TA_ERR_UNAVAILABLE, "there is no decoder for the subtitles '%s'",
                       avcodec_get_name(in->codecpar->codec_id));
    int r = avcodec_parameters_to_context(s->from, in->codecpar);
    s->from->pkt_timebase = in->time_base;
    if (r >= 0)
        r = avcodec_open2(s->from, c, NULL);
    return r < 0 ? ta_fail_av(err, r, TA_ERR_DATA, "the subtitles of stream %d can't be read", in->index) : 0;
}

static int open_encoder(ta_subtitles *s, enum AVCodecID out, ta_error *err)
{
    const AVCodec *c = avcodec_find_encoder(out);
    s->to = c ? avcodec_alloc_context3(c) : NULL;
    if (!s->to)
        return ta_fail(err, TA_ERR_UNAVAILABLE, "this libav can't write the subtitles '%s'", avcodec_get_name(out));
    s->to->time_base = (AVRational){ 1, 1000 };
    if (s->from->subtitle_header) {
        s->to->subtitle_header = av_memdup(s->from->subtitle_header, (size_t)s->from->subtitle_header_size);
        if (!s->to->subtitle_header)
            return ta_no_memory(err);
        s->to->subtitle_header_size = s->from->subtitle_header_size;
    }
    int r = avcodec_open2(s->to, c, NULL);
    return r < 0 ? ta_fail_av(err, r, TA_ERR_UNAVAILABLE, "subtitles can't be written as '%s'", c->name) : 0;
}

int ta_subtitles_open(ta_subtitles **out, const AVStream *in, enum AVCodecID codec, ta_error *err)
{
    ta_subtitles *s = ta_alloc(sizeof *s);
    int r = s ? open_decoder(s, in, err) : ta_no_memory(err);
    if (r >= 0)
        r = open_encoder(s, codec, err);
    if (r < 0)
        ta_subtitles_close(&s);
    *out = s;
    return r;
}

void ta_subtitles_close(ta_subtitles **s)
{
    if (!*s)
        return;
    avcodec_free_context(&(*s)->from);
    avcodec_free_context(&(*s)->to);
    ta_freep(s);
}

static int encode_text(ta_subtitles *s, AVSubtitle *text, AVPacket *pkt, ta_error *err)
{
    uint8_t *buffer = ta_alloc(MAX_TEXT);
    if (!buffer)
        return ta_no_memory(err);
    /* The packet's own time and duration say when it is shown. */
    text->start_display_time = 0;
    text->end_display_time = 0;
    int size = avcodec_encode_subtitle(s->to, buffer, MAX_TEXT, text);
    AVPacket *old = size > 0 ? av_packet_alloc() : NULL;
    int r = size > 0 ? 1 : 0;
    if (size > 0 && (!old || av_packet_ref(old, pkt) < 0))
        r = ta_no_memory(err);
    if (r > 0) {
        av_packet_unref(pkt);
        r = av_new_packet(pkt, size) < 0 || av_packet_copy_props(pkt, old) < 0 ? ta_no_memory(err) : 1;
    }
    if (r > 0) {
        memcpy(pkt->data, buffer, (size_t)size);
        pkt->stream_index = old->stream_index;
    }
    av_packet_free(&old);
    ta_free(buffer);
    return r;
}

int ta_subtitles_convert(ta_subtitles *s, AVPacket *pkt, ta_error *err)
{
    AVSubtitle text = { 0 };
    int got = 0;
    if (avcodec_decode_subtitle2(s->from, &text, &got, pkt) < 0 || !got)
        return 0;
    int r = text.num_rects ? encode_text(s, &text, pkt, err) : 0;
    avsubtitle_free(&text);
    return r;
}

int ta_subtitles_parameters(const ta_subtitles *s, AVCodecParameters *p, ta_error *err)
{
    return avcodec_parameters_from_context(p, s->to) < 0 ? ta_no_memory(err) : 0;
}

bool ta_subtitles_are_text(enum AVCodecID codec)
{
    const AVCodecDescriptor *d = avcodec_descriptor_get(codec);
    return d && d->type == AVMEDIA_TYPE_SUBTITLE && (d->props & AV_CODEC_PROP_TEXT_SUB);
}
