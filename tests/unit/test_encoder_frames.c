/* Frame-parallel FFV1: the packets of one libav context, in order, whatever the threads; errors; ends in mid-flight. */
#include "base_test.h"

#include "media/encoder_frames.h"

enum { WIDTH = 320, HEIGHT = 240, FRAMES = 40 };

static const AVRational rate = { 25, 1 };

/* A moving gradient with noise that differs from frame to frame, so that frames take different times. */
static AVFrame *picture(int n)
{
    AVFrame *f = av_frame_alloc();
    uint32_t seed = 1u + (uint32_t)n;
    f->width = WIDTH;
    f->height = HEIGHT;
    f->format = AV_PIX_FMT_YUV420P;
    f->sample_aspect_ratio = (AVRational){ 10, 11 };
    assert_int_equal(av_frame_get_buffer(f, 0), 0);
    for (int plane = 0; plane < 3; plane++)
        for (int y = 0; y < (plane ? HEIGHT / 2 : HEIGHT); y++)
            for (int x = 0; x < (plane ? WIDTH / 2 : WIDTH); x++) {
                seed = seed * 1664525u + 1013904223u;
                f->data[plane][y * f->linesize[plane] + x] =
                    (uint8_t)(x + y + 3 * n + (n % 3 ? (int)(seed >> 24) % (4 * (n % 3)) : 0));
            }
    f->pts = 7 + n;
    return f;
}

static ta_encoder *open_encoder(int threads, const char *options)
{
    ta_video_encoding v = { .encoder = "ffv1",
                            .options = options,
                            .crf = -1,
                            .threads = threads,
                            .frame_rate = rate,
                            .time_base = { 1, 25 },
                            .global_header = true };
    ta_encoder *e = NULL;
    ta_error err = { 0 };
    AVFrame *f = picture(0);
    assert_int_equal(ta_encoder_open_video(&e, &v, f, &err), 0);
    av_frame_free(&f);
    return e;
}

typedef struct stream {
    AVPacket *pkt[FRAMES + 1];
    int n;
} stream;

static void free_stream(stream *s)
{
    for (int i = 0; i < s->n; i++)
        av_packet_free(&s->pkt[i]);
    s->n = 0;
}

/* 0 (more frames are needed), TA_DECODER_END or an error. */
static int take_all(ta_encoder *e, stream *s, ta_error *err)
{
    int r = 1;
    while (r > 0) {
        AVPacket *pkt = av_packet_alloc();
        r = ta_encoder_receive(e, pkt, err);
        if (r > 0 && s->n < FRAMES)
            s->pkt[s->n++] = pkt;
        else
            av_packet_free(&pkt);
    }
    return r;
}

static int send(ta_encoder *e, AVFrame *f, stream *s, ta_error *err)
{
    int r;
    while ((r = ta_encoder_send(e, f, err)) == TA_RECEIVE_FIRST)
        if ((r = take_all(e, s, err)) < 0)
            return r;
    return r < 0 ? r : take_all(e, s, err);
}

static void encode_all(ta_encoder *e, stream *s)
{
    ta_error err = { 0 };
    for (int i = 0; i < FRAMES; i++) {
        AVFrame *f = picture(i);
        assert_int_equal(send(e, f, s, &err), 0);
        av_frame_free(&f);
    }
    assert_int_equal(send(e, NULL, s, &err), TA_DECODER_END);
}

/* libav itself, one context, one thread, told what our archive tells it. */
static AVCodecContext *plain_context(int gop)
{
    AVCodecContext *c = avcodec_alloc_context3(avcodec_find_encoder_by_name("ffv1"));
    AVDictionary *o = NULL;
    c->width = WIDTH;
    c->height = HEIGHT;
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    c->time_base = (AVRational){ 1, 25 };
    c->level = 3;
    c->gop_size = gop;
    c->slices = 4;
    c->thread_count = 1;
    c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    av_dict_set(&o, "slicecrc", "1", 0);
    av_dict_set(&o, "coder", "1", 0);
    av_dict_set(&o, "context", "1", 0);
    assert_int_equal(avcodec_open2(c, NULL, &o), 0);
    assert_int_equal(av_dict_count(o), 0);
    av_dict_free(&o);
    return c;
}

static void encode_plain(AVCodecContext *c, stream *s)
{
    for (int i = 0; i < FRAMES; i++) {
        AVFrame *f = picture(i);
        s->pkt[i] = av_packet_alloc();
        assert_int_equal(avcodec_send_frame(c, f), 0);
        assert_int_equal(avcodec_receive_packet(c, s->pkt[i]), 0);
        av_frame_free(&f);
    }
    s->n = FRAMES;
}

static void same_as_plain(int threads, const char *options, int gop)
{
    AVCodecContext *plain = plain_context(gop);
    ta_encoder *e = open_encoder(threads, options);
    const AVCodecContext *c = ta_encoder_context(e);
    stream want = { 0 }, got = { 0 };
    assert_int_equal(c->extradata_size, plain->extradata_size);
    assert_memory_equal(c->extradata, plain->extradata, (size_t)plain->extradata_size);
    encode_plain(plain, &want);
    encode_all(e, &got);
    assert_int_equal(got.n, FRAMES);
    for (int i = 0; i < FRAMES; i++) {
        assert_int_equal(got.pkt[i]->size, want.pkt[i]->size);
        assert_memory_equal(got.pkt[i]->data, want.pkt[i]->data, (size_t)want.pkt[i]->size);
        assert_int_equal(got.pkt[i]->flags & AV_PKT_FLAG_KEY, want.pkt[i]->flags & AV_PKT_FLAG_KEY);
        assert_int_equal(av_compare_ts(got.pkt[i]->pts, ta_encoder_time_base(e), 7 + i, (AVRational){ 1, 25 }), 0);
    }
    free_stream(&want);
    free_stream(&got);
    avcodec_free_context(&plain);
    ta_encoder_close(&e);
    assert_null(e);
}

static void same_bytes_whatever_the_threads(void **state)
{
    static const int threads[] = { 1, 2, 3, 6 };
    for (size_t i = 0; i < TA_COUNT(threads); i++)
        same_as_plain(threads[i], NULL, 1);
}

/* More contexts than CPUs, which the encoder would not open. */
static void any_number_of_contexts(void **state)
{
    enum { COUNT = 5 };
    AVCodecContext *plain = plain_context(1), *all[COUNT];
    ta_frame_coders *f = NULL;
    ta_error err = { 0 };
    stream want = { 0 };
    AVPacket *pkt = av_packet_alloc();
    int got = 0, r = 0;
    encode_plain(plain, &want);
    for (int i = 0; i < COUNT; i++)
        all[i] = plain_context(1);
    assert_int_equal(ta_frame_coders_new(&f, all, COUNT, &err), 0);
    for (int sent = 0; r != AVERROR_EOF;) {
        AVFrame *frame = sent < FRAMES ? picture(sent) : NULL;
        r = ta_frame_coders_send(f, frame);
        sent += r >= 0;
        av_frame_free(&frame);
        while ((r = ta_frame_coders_receive(f, pkt)) >= 0) {
            assert_true(got < FRAMES);
            assert_int_equal(pkt->pts, 7 + got);
            assert_int_equal(pkt->size, want.pkt[got]->size);
            assert_memory_equal(pkt->data, want.pkt[got]->data, (size_t)pkt->size);
            got++;
        }
        assert_true(r == AVERROR(EAGAIN) || r == AVERROR_EOF);
    }
    assert_int_equal(got, FRAMES);
    assert_int_equal(ta_frame_coders_send(f, NULL), AVERROR_EOF);
    av_packet_free(&pkt);
    free_stream(&want);
    ta_frame_coders_free(&f);
    avcodec_free_context(&plain);
}

static void headers_must_agree(void **state)
{
    AVCodecContext *all[2] = { plain_context(1), plain_context(5) };
    ta_frame_coders *f = NULL;
    ta_error err = { 0 };
    assert_int_equal(ta_frame_coders_new(&f, all, 2, &err), TA_ERR_SOFTWARE);
    assert_null(f);
    assert_null(all[0]);
}

/* Frames that lean on earlier ones must not be torn apart. */
static void longer_groups_stay_whole(void **state)
{
    same_as_plain(3, "g=5", 5);
}

static void bad_option_values_are_refused(void **state)
{
    ta_video_encoding v = { .encoder = "ffv1",
                            .options = "coder=nonsense",
                            .crf = -1,
                            .threads = 2,
                            .frame_rate = rate,
                            .time_base = { 1, 25 } };
    ta_encoder *e = NULL;
    ta_error err = { 0 };
    char text[512];
    AVFrame *f = picture(0);
    assert_int_equal(ta_encoder_open_video(&e, &v, f, &err), TA_ERR_USAGE);
    assert_null(e);
    v.options = "no_such_option=1";
    err = (ta_error){ 0 };
    assert_int_equal(ta_encoder_open_video(&e, &v, f, &err), TA_ERR_USAGE);
    assert_non_null(strstr(ta_error_string(&err, text, sizeof text), "no_such_option"));
    av_frame_free(&f);
}

/* Frames are in the caller's hand again when they were sent; in flight are never more than threads. */
static void frames_in_flight_are_bounded(void **state)
{
    enum { THREADS = 2 };
    ta_encoder *e = open_encoder(THREADS, NULL);
    AVFrame *f[FRAMES];
    stream got = { 0 };
    ta_error err = { 0 };
    int r = 0, sent = 0;
    while (sent < FRAMES && r == 0) {
        f[sent] = picture(sent);
        r = ta_encoder_send(e, f[sent], &err);
        sent++;
    }
    assert_int_equal(r, TA_RECEIVE_FIRST);
    assert_true(sent <= THREADS + 1);
    assert_int_equal(f[sent - 1]->pts, 7 + sent - 1); /* the refused one is as it was */
    assert_int_equal(ta_encoder_receive(e, got.pkt[got.n++] = av_packet_alloc(), &err), 1);
    assert_int_equal(ta_encoder_send(e, f[sent - 1], &err), 0);
    for (int i = 0; i < sent; i++)
        av_frame_free(&f[i]);
    free_stream(&got);
    ta_encoder_close(&e);
}

/* libav's allocations fail while frames are encoded: the error comes out, once, and the encoder goes on or closes. */
static void errors_travel(void **state)
{
    ta_encoder *e = open_encoder(2, NULL);
    stream got = { 0 };
    ta_error err = { 0 };
    char text[512];
    AVFrame *f = picture(0);
    av_max_alloc(20000); /* less than any packet here, more than what a reference needs */
    int r = 0;
    for (int i = 0; i < FRAMES && r == 0; i++) {
        f->pts = 7 + i;
        r = send(e, f, &got, &err);
    }
    av_max_alloc(INT_MAX);
    assert_int_equal(r, TA_ERR_AGAIN);
    assert_non_null(strstr(ta_error_string(&err, text, sizeof text), "ffv1"));
    assert_int_equal(got.n, 0);
    av_frame_free(&f);
    ta_encoder_close(&e);
}

static void close_in_mid_flight(void **state)
{
    for (int n = 0; n < 8; n++) {
        ta_encoder *e = open_encoder(4, NULL);
        ta_error err = { 0 };
        for (int i = 0; i < n; i++) {
            AVFrame *f = picture(i);
            int r = ta_encoder_send(e, f, &err);
            assert_true(r == 0 || r == TA_RECEIVE_FIRST);
            av_frame_free(&f);
        }
        ta_encoder_close(&e);
        assert_null(e);
    }
}

static void out_of_memory_leaves_nothing(void **state)
{
    ta_video_encoding v = { .encoder = "ffv1", .crf = -1, .threads = 2, .frame_rate = rate, .time_base = { 1, 25 } };
    AVFrame *f = picture(0);
    int failures = 0, r = -1;
    for (uint64_t i = 1; i < 20 && r != 0; i++) {
        ta_encoder *e = NULL;
        ta_error err = { 0 };
        ta_alloc_fail_at(i);
        r = ta_encoder_open_video(&e, &v, f, &err);
        ta_alloc_fail_at(0);
        assert_true(r == 0 ? e != NULL : e == NULL && r == TA_ERR_AGAIN);
        failures += r != 0;
        ta_encoder_close(&e);
    }
    assert_int_equal(r, 0);
    assert_true(failures >= 1);
    av_frame_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bytes_whatever_the_threads),
        cmocka_unit_test(any_number_of_contexts),
        cmocka_unit_test(headers_must_agree),
        cmocka_unit_test(longer_groups_stay_whole),
        cmocka_unit_test(bad_option_values_are_refused),
        cmocka_unit_test(frames_in_flight_are_bounded),
        cmocka_unit_test(errors_travel),
        cmocka_unit_test(close_in_mid_flight),
        cmocka_unit_test(out_of_memory_leaves_nothing),
    };
    av_log_set_level(AV_LOG_QUIET);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
