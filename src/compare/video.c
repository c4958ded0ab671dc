/* The comparison as a video: each pair of frames at its own time. */
#include "compare/canvas.h"

/* One scale for the whole film, or colours would mean something else in each frame. */
enum { VIDEO_HEAT_SCALE = 64 };

typedef struct movie {
    const ta_comparison *c;
    ta_publish *file;
    AVFormatContext *mux;
    ta_encoder *encoder;
    AVPacket *pkt;
    ta_view view;
    AVRational rate;

} movie;

/* The canvas in 4:2:0, tagged by its height as players would guess. */
static int to_yuv(AVFrame **out, const AVFrame *rgb, int64_t us, ta_error *err)
{
    bool hd = rgb->height > 576;
    *out = ta_new_frame(AV_PIX_FMT_YUV420P, rgb->width, rgb->height);
    if (!*out)
        return ta_no_memory(err);
    (*out)->colorspace = hd ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
    (*out)->color_primaries = hd ? AVCOL_PRI_BT709 : AVCOL_PRI_SMPTE170M;
    (*out)->color_trc = hd ? AVCOL_TRC_BT709 : AVCOL_TRC_SMPTE170M;
    (*out)->color_range = AVCOL_RANGE_MPEG;
    (*out)->sample_aspect_ratio = (AVRational){ 1, 1 };
    (*out)->pts = us;
    return ta_frame_convert(*out, rgb, TA_KERNEL_BICUBIC, err);
}

static int open_mux(movie *m, const AVFrame *first, ta_error *err)
{
    bool mp4 = ta_ends(m->c->output, ".mp4");
    ta_video_encoding v = { .encoder = "libx264",
                            .preset = "veryfast",
                            .crf = 16,
                            .usual_rate = m->rate,
                            .time_base = { 1, AV_TIME_BASE },
                            .global_header = true };
    int r = ta_publish_open(&m->file, m->c->output, m->c->overwrite, err);
    if (r >= 0)
        r = ta_encoder_open_video(&m->encoder, &v, first, err);
    if (r < 0)
        return r;
    int av = avformat_alloc_output_context2(&m->mux, NULL, mp4 ? "mp4" : "matroska", ta_publish_temp(m->file));
    AVStream *st = av >= 0 ? avformat_new_stream(m->mux, NULL) : NULL;
    if (av >= 0)
        av = st ? avcodec_parameters_from_context(st->codecpar, ta_encoder_context(m->encoder)) : AVERROR(ENOMEM);
    if (av >= 0) {
        st->time_base = ta_encoder_time_base(m->encoder);
        st->sample_aspect_ratio = (AVRational){ 1, 1 };
        st->avg_frame_rate = m->rate;
        av = avio_open(&m->mux->pb, ta_publish_temp(m->file), AVIO_FLAG_WRITE);
    }
    av = av < 0 ? av : avformat_write_header(m->mux, NULL);
    return av < 0 ? ta_fail_av(err, av, TA_ERR_CANTCREATE, "'%s' can't be written", m->c->output) : 0;
}

static int drain(movie *m, ta_error *err)
{
    int r;
    while ((r = ta_encoder_receive(m->encoder, m->pkt, err)) > 0) {
        av_packet_rescale_ts(m->pkt, ta_encoder_time_base(m->encoder), m->mux->streams[0]->time_base);
        m->pkt->stream_index = 0;
        int av = av_interleaved_write_frame(m->mux, m->pkt);
        if (av < 0)
            return ta_fail_av(err, av, TA_ERR_IO, "'%s' can't be written", m->c->output);
    }
    return r == TA_DECODER_END ? 0 : r;
}

static int encode(movie *m, AVFrame *frame, ta_error *err)
{
    int sent = TA_RECEIVE_FIRST, r = 0;
    while (r >= 0 && sent == TA_RECEIVE_FIRST) {
        sent = ta_encoder_send(m->encoder, frame, err);
        r = sent < 0 ? sent : drain(m, err);
    }
    return r;
}

static int add_pair(movie *m, const ta_pair *pair, ta_error *err)
{
    ta_shot s = { 0 };
    AVFrame *rgb = NULL, *yuv = NULL;
    int width, height, r = ta_shot_take(&s, pair, err);
    if (r >= 0 && !m->mux)
        m->view = ta_view_of_both(s.a, s.b);
    ta_panels_size(&m->view, m->c->modes, &width, &height);
    if (r >= 0)
        r = ta_canvas_new(&rgb, width, height, err);
    if (r >= 0)
        r = ta_panels_draw(rgb, 0, &s, m->c, &m->view, VIDEO_HEAT_SCALE, err);
    if (r >= 0)
        r = to_yuv(&yuv, rgb, pair->us, err);
    if (r >= 0 && !m->mux)
        r = open_mux(m, yuv, err);
    if (r >= 0)
        r = encode(m, yuv, err);
    ta_shot_free(&s);
    av_frame_free(&rgb);
    av_frame_free(&yuv);
    return r;
}

static int finish(movie *m, ta_error *err)
{
    int r = encode(m, NULL, err);
    int av = r >= 0 ? av_write_trailer(m->mux) : 0;
    int closed = r >= 0 ? avio_closep(&m->mux->pb) : 0;
    if (av < 0 || closed < 0)
        return ta_fail_av(err, av < 0 ? av : closed, TA_ERR_IO, "'%s' can't be finished", m->c->output);
    return r < 0 ? r : ta_publish_commit(&m->file, err);
}

static void close_movie(movie *m)
{
    ta_encoder_close(&m->encoder);
    if (m->mux)
        avio_closep(&m->mux->pb);
    avformat_free_context(m->mux);
    av_packet_free(&m->pkt);
    ta_publish_abort(&m->file);
}

int ta_compare_video(const ta_comparison *c, ta_cancel *cancel, ta_error *err)
{
    movie m = { .c = c, .pkt = av_packet_alloc() };
    ta_pairs *pairs = NULL;
    ta_pair pair;
    int r = m.pkt ? ta_pairs_open(&pairs, c->a, c->b, &c->pairs, cancel, err) : ta_no_memory(err);
    if (r >= 0)
        m.rate = ta_pairs_rate(pairs);
    while (r >= 0 && (r = ta_pairs_next(pairs, &pair, err)) > 0)
        r = add_pair(&m, &pair, err);
    if (r >= 0)
        r = m.mux ? finish(&m, err) : ta_fail(err, TA_ERR_USAGE, "no two frames of the files belong to one time");
    ta_pairs_close(&pairs);
    close_movie(&m);
    return r;
}
