/* The measuring pass of sound: a few windows spread over the file, decoded with an input of its own, resampled to 8
 * kHz. What is found depends on the file alone. */
#include <libswresample/swresample.h>

#include "sound/look.h"

enum { WINDOWS = 8 };
/* A window that finds nothing to decode gives up after so many packets of the whole file. */
enum { WINDOW_PACKETS = 20000 };
/* Shorter files are read from the front. */
static const int64_t spread_us = 2 * WINDOWS * 6000000LL;

typedef struct look {
    ta_input *in;
    ta_decoder *decoder;
    AVPacket *pkt;
    AVFrame *frame;
    ta_cancel *cancel;
    int stream;
    SwrContext *swr;
    AVChannelLayout from; /* of swr */
    int from_fmt, from_rate;
    int channels;       /* 1 or 2 */
    double *x[2], *mix; /* the window */
    int filled;
    int windows; /* complete */
    bool unfit;  /* swresample knows no way from this layout to stereo */
    ta_hum_meter *hum;
    ta_speech_meter *speech;
} look;

static void end_window(look *l)
{
    for (int c = 0; c < l->channels; c++)
        ta_hum_meter_add(l->hum, l->x[c]);
    for (int i = 0; i < TA_LOOK_SAMPLES; i++)
        l->mix[i] = l->channels == 2 ? (l->x[0][i] + l->x[1][i]) / 2 : l->x[0][i];
    ta_speech_meter_add(l->speech, l->mix);
    l->windows++;
    l->filled = 0;
}

/* A converter for frames like this one; a change of format in mid-file begins a new window. */
static int fit(look *l, const AVFrame *f, ta_error *err)
{
    AVChannelLayout to = f->ch_layout.nb_channels == 1 ? (AVChannelLayout)AV_CHANNEL_LAYOUT_MONO
                                                       : (AVChannelLayout)AV_CHANNEL_LAYOUT_STEREO;
    AVChannelLayout from = f->ch_layout;
    if (l->swr && f->format == l->from_fmt && f->sample_rate == l->from_rate &&
        av_channel_layout_compare(&l->from, &f->ch_layout) == 0)
        return 0;
    if (from.order == AV_CHANNEL_ORDER_UNSPEC)
        av_channel_layout_default(&from, from.nb_channels);
    swr_free(&l->swr);
    int r =
        swr_alloc_set_opts2(&l->swr, &to, AV_SAMPLE_FMT_DBLP, TA_LOOK_RATE, &from, f->format, f->sample_rate, 0, NULL);
    if (r >= 0)
        r = swr_init(l->swr);
    if (r == AVERROR(ENOMEM))
        return ta_no_memory(err);
    l->unfit = r < 0;
    av_channel_layout_uninit(&l->from);
    r = av_channel_layout_copy(&l->from, &f->ch_layout);
    l->from_fmt = f->format;
    l->from_rate = f->sample_rate;
    l->channels = to.nb_channels;
    l->filled = 0;
    return r < 0 ? ta_no_memory(err) : 0;
}

static int take(look *l, ta_error *err)
{
    int r = fit(l, l->frame, err);
    if (r < 0 || l->unfit)
        return r;
    const uint8_t **in = (const uint8_t **)(uintptr_t)l->frame->extended_data;
    int count = l->frame->nb_samples;
    do {
        uint8_t *out[2] = { (uint8_t *)(l->x[0] + l->filled), (uint8_t *)(l->x[1] + l->filled) };
        int got = swr_convert(l->swr, out, TA_LOOK_SAMPLES - l->filled, in, count);
        if (got < 0)
            return ta_fail(err, TA_ERR_DATA, "stream %d: its sound can't be measured", l->stream);
        l->filled += got;
        in = NULL;
        count = 0;
        if (l->filled < TA_LOOK_SAMPLES)
            break;
        end_window(l);
    } while (l->windows < WINDOWS && swr_get_out_samples(l->swr, 0) > TA_LOOK_RATE / 100);
    return 0;
}

/* Until `windows` are complete. 1 when the file goes on, 0 at its end. */
static int read_windows(look *l, int windows, ta_error *err)
{
    int r = 1;
    for (int n = 0; l->windows < windows && n < WINDOW_PACKETS * WINDOWS && r > 0; n++) {
        r = ta_input_read(l->in, l->pkt, err);
        if (r < 0)
            return r;
        int sent = r && l->pkt->stream_index != l->stream ? 0 : ta_decoder_send(l->decoder, r ? l->pkt : NULL, err);
        av_packet_unref(l->pkt);
        while (sent >= 0 && l->windows < windows && (sent = ta_decoder_receive(l->decoder, l->frame, err)) > 0) {
            sent = take(l, err);
            av_frame_unref(l->frame);
        }
        if (sent < 0 && sent != TA_DECODER_END)
            return sent;
        if (ta_cancelled(l->cancel))
            return ta_fail(err, TA_ERR_CANCELLED, "cancelled");
    }
    return r;
}

/* A seek that fails leaves the reader where it is, which is as good. MPEG streams are sought in by bytes, as their time
 * stamps would have to be searched for. */
static void seek_window(look *l, int i)
{
    AVFormatContext *ctx = ta_input_context(l->in);
    int64_t size = avio_size(ctx->pb), length = ta_input_duration_us(l->in);
    if ((ctx->iformat->flags & AVFMT_TS_DISCONT) && !(ctx->iformat->flags & AVFMT_NO_BYTE_SEEK) && size > 0)
        av_seek_frame(ctx, -1, size / WINDOWS * i + size / (2 * WINDOWS), AVSEEK_FLAG_BYTE);
    else
        avformat_seek_file(ctx, -1, INT64_MIN, ta_input_start_us(l->in) + length * i / WINDOWS + length / (2 * WINDOWS),
                           INT64_MAX, 0);
    ta_decoder_flush(l->decoder);
    swr_free(&l->swr);
    l->filled = 0;
}

static int look_around(look *l, ta_error *err)
{
    if (ta_input_duration_us(l->in) <= spread_us)
        return read_windows(l, WINDOWS, err);
    int r = 1;
    for (int i = 0; i < WINDOWS && r >= 0; i++) {
        seek_window(l, i);
        r = read_windows(l, l->windows + 1, err);
    }
    return r;
}

/* What is left of a short file is heard with silence behind it, if it is long enough to say anything. */
static void end_look(look *l)
{
    if (l->windows || l->filled < TA_LOOK_RATE)
        return;
    for (int c = 0; c < l->channels; c++)
        memset(l->x[c] + l->filled, 0, (size_t)(TA_LOOK_SAMPLES - l->filled) * sizeof *l->x[c]);
    end_window(l);
}

static int open_look(look *l, const char *path, ta_input *known, ta_error *err)
{
    int r = ta_input_open_as(&l->in, path, 0, known, l->cancel, err);
    if (r < 0)
        return r;
    ta_input_select(l->in, 1ull << l->stream);
    l->pkt = av_packet_alloc();
    l->frame = av_frame_alloc();
    l->x[0] = ta_array(TA_LOOK_SAMPLES, sizeof *l->mix);
    l->x[1] = ta_array(TA_LOOK_SAMPLES, sizeof *l->mix);
    l->mix = ta_array(TA_LOOK_SAMPLES, sizeof *l->mix);
    l->hum = ta_hum_meter_new();
    l->speech = ta_speech_meter_new();
    if (!l->pkt || !l->frame || !l->x[0] || !l->x[1] || !l->mix || !l->hum || !l->speech)
        return ta_no_memory(err);
    return ta_decoder_open(&l->decoder, ta_input_context(l->in)->streams[l->stream], 1, err);
}

static void close_look(look *l)
{
    ta_hum_meter_free(&l->hum);
    ta_speech_meter_free(&l->speech);
    ta_decoder_close(&l->decoder);
    swr_free(&l->swr);
    av_channel_layout_uninit(&l->from);
    av_frame_free(&l->frame);
    av_packet_free(&l->pkt);
    ta_free(l->x[0]);
    ta_free(l->x[1]);
    ta_free(l->mix);
    ta_input_close(&l->in);
}

bool ta_sound_wants_look(const ta_settings *s)
{
    bool speech = !ta_get_is(s, TA_SET_speech_denoise, "off") || ta_get_is(s, TA_SET_audio_enhance, "deepfilternet");
    return ta_get_is(s, TA_SET_dehum, "auto") || (speech && !ta_get_is(s, TA_SET_speech_guard, "off"));
}

int ta_sound_look(const char *path, ta_input *known, int stream, ta_cancel *cancel, ta_sound_findings *found,
                  ta_error *err)
{
    look l = { .stream = stream, .cancel = cancel };
    *found = (ta_sound_findings){ 0 };
    int r = open_look(&l, path, known, err);
    if (r >= 0)
        r = look_around(&l, err);
    if (r >= 0) {
        end_look(&l);
        found->seconds = l.windows * (double)TA_LOOK_SAMPLES / TA_LOOK_RATE;
        ta_hum_meter_result(l.hum, found);
        ta_speech_meter_result(l.speech, found);
    }
    close_look(&l);
    return r < 0 ? r : 0;
}
