/* The decoded frames of a file's picture, in order: what measuring and comparing read. */
#include "media/media.h"

/* Decoding begins this long before a wanted moment; what lies before is read over. */
static const int64_t run_up_us = 10 * 1000000;

struct ta_frames {
    ta_input *in;
    ta_decoder *decoder;
    ta_cancel *cancel;
    AVPacket *pkt;
    ta_video_format format;
    int64_t skip_us; /* packets before it are read over until a key frame, INT64_MIN: none */
    int64_t last_pts, step;
    int stream;
    bool drained, untagged;
};

int ta_frames_open(ta_frames **out, const char *path, int threads, ta_cancel *cancel, ta_error *err)
{
    ta_frames *f = ta_alloc(sizeof *f);
    int r = f ? 0 : ta_no_memory(err);
    if (r >= 0) {
        *f = (ta_frames){ .cancel = cancel, .skip_us = INT64_MIN, .last_pts = AV_NOPTS_VALUE, .stream = -1 };
        f->pkt = av_packet_alloc();
        r = f->pkt ? ta_input_open(&f->in, path, cancel, err) : ta_no_memory(err);
    }
    if (r >= 0 && (f->stream = ta_input_video(f->in)) < 0)
        r = ta_fail(err, TA_ERR_DATA, "'%s' has no picture", path);
    if (r >= 0) {
        ta_input_select(f->in, 1ull << f->stream);
        ta_input_video_format(f->in, f->stream, &f->format);
        f->untagged = f->format.matrix == AVCOL_SPC_UNSPECIFIED;
        ta_guess_colour(&f->format, NULL);
        if (f->format.frame_rate.num > 0)
            f->step = av_rescale_q(1, av_inv_q(f->format.frame_rate), f->format.time_base);
        r = ta_decoder_open(&f->decoder, ta_input_context(f->in)->streams[f->stream], threads, err);
    }
    if (r < 0)
        ta_frames_close(&f);
    *out = f;
    return r;
}

void ta_frames_close(ta_frames **f)
{
    if (!*f)
        return;
    ta_decoder_close(&(*f)->decoder);
    ta_input_close(&(*f)->in);
    av_packet_free(&(*f)->pkt);
    ta_freep(f);
}

ta_input *ta_frames_input(ta_frames *f)
{
    return f->in;
}

const ta_video_format *ta_frames_format(const ta_frames *f)
{
    return &f->format;
}

bool ta_frames_untagged(const ta_frames *f)
{
    return f->untagged;
}

int64_t ta_frames_us(const ta_frames *f, const AVFrame *frame)
{
    return av_rescale_q(frame->pts, f->format.time_base, AV_TIME_BASE_Q);
}

bool ta_frames_can_seek(const ta_frames *f)
{
    return !(ta_input_context(f->in)->iformat->flags & AVFMT_TS_DISCONT);
}

void ta_frames_seek(ta_frames *f, int64_t us)
{
    int64_t now = ta_input_start_us(f->in);
    if (f->last_pts != AV_NOPTS_VALUE)
        now = av_rescale_q(f->last_pts, f->format.time_base, AV_TIME_BASE_Q);
    if (us >= now && us <= now + 2 * run_up_us)
        return;
    if (ta_frames_can_seek(f))
        avformat_seek_file(ta_input_context(f->in), -1, INT64_MIN, us - run_up_us, us - run_up_us, 0);
    ta_decoder_flush(f->decoder);
    f->skip_us = us - run_up_us;
    f->last_pts = AV_NOPTS_VALUE;
    f->drained = false;
}

void ta_frames_seek_near(ta_frames *f, int64_t us)
{
    if (ta_frames_can_seek(f))
        avformat_seek_file(ta_input_context(f->in), -1, INT64_MIN, us, us, 0);
    ta_decoder_flush(f->decoder);
    f->skip_us = ta_frames_can_seek(f) ? INT64_MIN : us;
    f->last_pts = AV_NOPTS_VALUE;
    f->drained = false;
}

/* Before the run-up, and until the first key frame in it. */
static bool skipped(ta_frames *f)
{
    int64_t t = f->pkt->pts != AV_NOPTS_VALUE ? f->pkt->pts : f->pkt->dts;
    if (f->skip_us == INT64_MIN)
        return false;
    bool early = t != AV_NOPTS_VALUE && av_rescale_q(t, f->format.time_base, AV_TIME_BASE_Q) < f->skip_us;
    if (early || !(f->pkt->flags & AV_PKT_FLAG_KEY))
        return true;
    f->skip_us = INT64_MIN;
    return false;
}

/* Reads until a packet was sent, or the end. */
static int feed(ta_frames *f, ta_error *err)
{
    for (;;) {
        if (ta_cancelled(f->cancel))
            return ta_fail(err, TA_ERR_CANCELLED, "interrupted");
        int r = ta_input_read(f->in, f->pkt, err);
        if (r < 0)
            return r;
        if (r && skipped(f)) {
            av_packet_unref(f->pkt);
            continue;
        }
        f->drained = r == 0;
        int sent = ta_decoder_send(f->decoder, r ? f->pkt : NULL, err);
        av_packet_unref(f->pkt);
        return sent;
    }
}

/* The container's word where the frame itself says nothing. */
static void complete(ta_frames *f, AVFrame *frame)
{
    AVFormatContext *ctx = ta_input_context(f->in);
    frame->sample_aspect_ratio = av_guess_sample_aspect_ratio(ctx, ctx->streams[f->stream], frame);
    if (frame->colorspace == AVCOL_SPC_UNSPECIFIED)
        frame->colorspace = f->format.matrix;
    else
        f->untagged = false;
    if (frame->color_primaries == AVCOL_PRI_UNSPECIFIED)
        frame->color_primaries = f->format.primaries;
    if (frame->color_trc == AVCOL_TRC_UNSPECIFIED)
        frame->color_trc = f->format.transfer;
    if (frame->color_range == AVCOL_RANGE_UNSPECIFIED)
        frame->color_range = f->format.range;
    if (frame->pts == AV_NOPTS_VALUE)
        frame->pts = f->last_pts == AV_NOPTS_VALUE ? 0 : f->last_pts + f->step;
    f->last_pts = frame->pts;
}

int ta_frames_next(ta_frames *f, AVFrame *frame, ta_error *err)
{
    int r;
    while ((r = ta_decoder_receive(f->decoder, frame, err)) == 0 && !f->drained)
        if ((r = feed(f, err)) < 0)
            return r;
    if (r > 0)
        complete(f, frame);
    return r == TA_DECODER_END ? 0 : r;
}

int ta_frame_at(const char *path, int64_t us, ta_cancel *cancel, AVFrame **out, ta_error *err)
{
    ta_frames *f = NULL;
    AVFrame *frame = av_frame_alloc(), *best = av_frame_alloc();
    int r = frame && best ? ta_frames_open(&f, path, 0, cancel, err) : ta_no_memory(err);
    if (r >= 0)
        ta_frames_seek(f, us);
    while (r >= 0 && (r = ta_frames_next(f, frame, err)) > 0) {
        if (best->width && ta_frames_us(f, frame) > us + 500)
            break;
        av_frame_unref(best);
        av_frame_move_ref(best, frame);
    }
    if (r >= 0 && !best->width)
        r = ta_fail(err, TA_ERR_DATA, "'%s' has no picture at that time", path);
    if (r < 0)
        av_frame_free(&best);
    av_frame_free(&frame);
    ta_frames_close(&f);
    *out = best;
    return r < 0 ? r : 0;
}
