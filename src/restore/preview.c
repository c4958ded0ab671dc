/* A picture of the source beside the restored one: the same moment, the same height, as PNG. */
#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>

#include "restore/internal.h"

/* Decoding begins this long before the wanted moment; what lies before is read over. */
static const int64_t run_up_us = 10 * 1000000;

typedef struct finder {
    ta_input *in;
    ta_decoder *decoder;
    AVPacket *pkt;
    AVFrame *frame, *best;
    int stream;
    int64_t us; /* the wanted moment */
    bool started, found;
} finder;

static int64_t in_us(const finder *f, int64_t t)
{
    return av_rescale_q(t, ta_input_context(f->in)->streams[f->stream]->time_base, AV_TIME_BASE_Q);
}

/* Keeps the last frame at or before the moment. */
static int look(finder *f, ta_error *err)
{
    int r = 0;
    while (!f->found && (r = ta_decoder_receive(f->decoder, f->frame, err)) > 0) {
        f->found = f->best->width > 0 && in_us(f, f->frame->pts) > f->us + 500;
        if (f->found)
            break;
        AVFormatContext *ctx = ta_input_context(f->in);
        av_frame_unref(f->best);
        av_frame_move_ref(f->best, f->frame);
        f->best->sample_aspect_ratio = av_guess_sample_aspect_ratio(ctx, ctx->streams[f->stream], f->best);
    }
    return r == TA_DECODER_END ? 0 : r;
}

static bool skipped(finder *f)
{
    int64_t t = f->pkt->pts != AV_NOPTS_VALUE ? f->pkt->pts : f->pkt->dts;
    bool early = t != AV_NOPTS_VALUE && in_us(f, t) < f->us - run_up_us;
    f->started = f->started || (!early && (f->pkt->flags & AV_PKT_FLAG_KEY));
    return !f->started;
}

static int search(finder *f, ta_error *err)
{
    int r = 1;
    if (!(ta_input_context(f->in)->iformat->flags & AVFMT_TS_DISCONT) && f->us > 2 * run_up_us)
        avformat_seek_file(ta_input_context(f->in), -1, INT64_MIN, f->us - run_up_us, f->us - run_up_us, 0);
    else if (f->us <= 2 * run_up_us)
        f->started = true;
    while (r > 0 && !f->found) {
        r = ta_input_read(f->in, f->pkt, err);
        if (r < 0)
            return r;
        if (r && skipped(f)) {
            av_packet_unref(f->pkt);
            continue;
        }
        int sent = ta_decoder_send(f->decoder, r ? f->pkt : NULL, err);
        av_packet_unref(f->pkt);
        if (sent < 0 || (sent = look(f, err)) < 0)
            return sent;
    }
    return 0;
}

static int open_finder(finder *f, const char *path, ta_cancel *cancel, ta_error *err)
{
    f->pkt = av_packet_alloc();
    f->frame = av_frame_alloc();
    f->best = av_frame_alloc();
    int r = f->pkt && f->frame && f->best ? ta_input_open(&f->in, path, cancel, err) : ta_no_memory(err);
    if (r < 0)
        return r;
    f->stream = ta_input_video(f->in);
    if (f->stream < 0)
        return ta_fail(err, TA_ERR_DATA, "'%s' has no picture", path);
    ta_input_select(f->in, 1ull << f->stream);
    return ta_decoder_open(&f->decoder, ta_input_context(f->in)->streams[f->stream], 0, err);
}

/* The last frame at or before `us` of a file's video stream. */
static int frame_at(const char *path, int64_t us, ta_cancel *cancel, AVFrame **out, ta_error *err)
{
    finder f = { .us = us };
    int r = open_finder(&f, path, cancel, err);
    if (r >= 0)
        r = search(&f, err);
    if (r >= 0 && !f.best->width)
        r = ta_fail(err, TA_ERR_DATA, "'%s' has no picture at that time", path);
    if (r < 0)
        av_frame_free(&f.best);
    av_frame_free(&f.frame);
    av_packet_free(&f.pkt);
    ta_decoder_close(&f.decoder);
    ta_input_close(&f.in);
    *out = f.best;
    return r;
}

/* Draws a frame into columns x .. x+w of an RGB picture. */
static int draw(AVFrame *to, int x, int w, const AVFrame *from, const ta_video_format *colour, ta_error *err)
{
    struct SwsContext *sws = sws_getContext(from->width, from->height, from->format, w, to->height, AV_PIX_FMT_RGB24,
                                            SWS_LANCZOS | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, NULL, NULL, NULL);
    if (!sws)
        return ta_fail(err, TA_ERR_SOFTWARE, "the picture can't be converted");
    int matrix = from->colorspace != AVCOL_SPC_UNSPECIFIED ? (int)from->colorspace : (int)colour->matrix;
    int full = from->color_range == AVCOL_RANGE_JPEG;
    sws_setColorspaceDetails(sws, sws_getCoefficients(matrix), full, sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16,
                             1 << 16);
    uint8_t *data[4] = { to->data[0] + (ptrdiff_t)x * 3 };
    sws_scale(sws, (const uint8_t *const *)from->data, from->linesize, 0, from->height, data, to->linesize);
    sws_freeContext(sws);
    return 0;
}

static int write_png(const AVFrame *rgb, const char *path, ta_error *err)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_PNG);
    AVCodecContext *c = codec ? avcodec_alloc_context3(codec) : NULL;
    AVPacket *pkt = av_packet_alloc();
    int r = c && pkt ? 0 : ta_fail(err, TA_ERR_UNAVAILABLE, "this libav has no PNG encoder");
    if (r >= 0) {
        c->width = rgb->width;
        c->height = rgb->height;
        c->pix_fmt = AV_PIX_FMT_RGB24;
        c->time_base = (AVRational){ 1, 1 };
        int av = avcodec_open2(c, codec, NULL);
        av = av < 0 ? av : avcodec_send_frame(c, rgb);
        av = av < 0 ? av : avcodec_send_frame(c, NULL);
        av = av < 0 ? av : avcodec_receive_packet(c, pkt);
        r = av < 0 ? ta_fail_av(err, av, TA_ERR_SOFTWARE, "the PNG can't be made") : 0;
    }
    if (r >= 0)
        r = ta_write_file(path, pkt->data, (size_t)pkt->size, true, err);
    av_packet_free(&pkt);
    avcodec_free_context(&c);
    return r;
}

/* Width of the source at the height of the result, in square pixels. */
static int source_width(const ta_job *job, const AVFrame *f, int height)
{
    bool sd_704 = ta_get_is(job->settings, TA_SET_sd_width, "704");
    AVRational sar = ta_true_sar(f->width, f->height, f->sample_aspect_ratio, sd_704);
    return (int)av_rescale(av_rescale(f->width, sar.num, sar.den), height, f->height) & ~1;
}

int ta_before_after(const ta_job *job, int64_t at_us, const char *png, ta_error *err)
{
    AVFrame *before = NULL, *after = NULL, *both = av_frame_alloc();
    int64_t first = job->start_us + at_us;
    int r = both ? frame_at(job->output, at_us + job->shift_us, job->cancel, &after, err) : ta_no_memory(err);
    if (r >= 0)
        r = frame_at(job->input, first, job->cancel, &before, err);
    if (r >= 0) {
        AVRational sar = after->sample_aspect_ratio.num > 0 ? after->sample_aspect_ratio : (AVRational){ 1, 1 };
        int height = after->height, right = (int)av_rescale(after->width, sar.num, sar.den) & ~1;
        int left = source_width(job, before, height), gap = 8;
        both->format = AV_PIX_FMT_RGB24;
        both->width = left + gap + right;
        both->height = height;
        if (av_frame_get_buffer(both, 0) < 0)
            r = ta_no_memory(err);
        if (r >= 0) {
            memset(both->data[0], 0, (size_t)both->linesize[0] * (size_t)height);
            r = draw(both, 0, left, before, &job->source.video, err);
        }
        if (r >= 0)
            r = draw(both, left + gap, right, after, &job->link_out.video, err);
    }
    if (r >= 0)
        r = write_png(both, png, err);
    av_frame_free(&both);
    av_frame_free(&before);
    av_frame_free(&after);
    return r;
}

int ta_job_before_after(ta_job *job, int64_t at_us, const char *png, ta_error *err)
{
    ta_error own = { 0 };
    int64_t middle = job->output_duration_us / 2;
    return ta_before_after(job, at_us >= 0 ? at_us : middle, png, err ? err : &own);
}
