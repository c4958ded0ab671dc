/* A decoder: packets in, frames out, broken packets counted. */
#include "media/media.h"

struct ta_decoder {
    AVCodecContext *ctx;
    uint64_t errors;
};

static int open_codec(ta_decoder *d, const AVStream *st, int threads, ta_error *err)
{
    const AVCodec *codec = avcodec_find_decoder(st->codecpar->codec_id);
    if (!codec) {
        ta_fail(err, TA_ERR_DATA, "stream %d: there is no decoder for '%s'", st->index,
                avcodec_get_name(st->codecpar->codec_id));
        return ta_hint(err, "convert the stream with the program that made it, or leave it out (--audio-tracks)");
    }
    d->ctx = avcodec_alloc_context3(codec);
    if (!d->ctx)
        return ta_no_memory(err);
    int r = avcodec_parameters_to_context(d->ctx, st->codecpar);
    if (r >= 0) {
        d->ctx->pkt_timebase = st->time_base;
        d->ctx->thread_count = threads > 0 ? threads : TA_MIN(ta_cpu_count(), 8);
        r = avcodec_open2(d->ctx, codec, NULL);
    }
    return r < 0 ? ta_fail_av(err, r, TA_ERR_DATA, "stream %d: the %s decoder can't be opened", st->index, codec->name)
                 : 0;
}

int ta_decoder_open(ta_decoder **out, const AVStream *st, int threads, ta_error *err)
{
    ta_decoder *d = ta_alloc(sizeof *d);
    int r = d ? open_codec(d, st, threads, err) : ta_no_memory(err);
    if (r < 0)
        ta_decoder_close(&d);
    *out = d;
    return r;
}

void ta_decoder_close(ta_decoder **d)
{
    if (!*d)
        return;
    avcodec_free_context(&(*d)->ctx);
    ta_freep(d);
}

int ta_decoder_send(ta_decoder *d, const AVPacket *pkt, ta_error *err)
{
    int r = avcodec_send_packet(d->ctx, pkt);
    if (r == AVERROR(EAGAIN))
        return TA_RECEIVE_FIRST;
    if (r == AVERROR(ENOMEM))
        return ta_no_memory(err);
    if (r < 0 && r != AVERROR_EOF)
        d->errors++;
    return 0;
}

int ta_decoder_receive(ta_decoder *d, AVFrame *frame, ta_error *err)
{
    for (;;) {
        int r = avcodec_receive_frame(d->ctx, frame);
        if (r == AVERROR(EAGAIN))
            return 0;
        if (r == AVERROR_EOF)
            return TA_DECODER_END;
        if (r == AVERROR(ENOMEM))
            return ta_no_memory(err);
        if (r < 0) {
            d->errors++;
            continue;
        }
        if (frame->best_effort_timestamp != AV_NOPTS_VALUE)
            frame->pts = frame->best_effort_timestamp;
        return 1;
    }
}

void ta_decoder_flush(ta_decoder *d)
{
    avcodec_flush_buffers(d->ctx);
}

AVCodecContext *ta_decoder_context(ta_decoder *d)
{
    return d->ctx;
}

uint64_t ta_decoder_errors(const ta_decoder *d)
{
    return d->errors;
}
