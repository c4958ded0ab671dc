/* The loudness meter against the test signals of EBU Tech 3341 (minimum requirements 1-6, 15-23) and Tech 3342
 * (1-4), made here by their descriptions, and against libavfilter's ebur128 on noise and on a real tape. */
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <unistd.h>

#include "sound_kit.h"

static ta_loudness measure(const sig *s, enum AVSampleFormat fmt)
{
    ta_error err = { 0 };
    ta_loudness_meter *m = NULL;
    ta_loudness l = { 0 };
    ta_audio_format f = { s->rate, s->layout, fmt };
    assert_ok(ta_loudness_meter_new(&m, &f, &err), &err);
    for (int64_t at = 0; at < s->n;) {
        int count = sig_frame_size(at, s->n);
        AVFrame *frame = sig_frame(s, at, count, fmt, 0);
        assert_ok(ta_loudness_meter_add(m, frame, &err), &err);
        av_frame_free(&frame);
        at += count;
    }
    assert_ok(ta_loudness_meter_result(m, &l, &err), &err);
    ta_loudness_meter_free(&m);
    assert_null(m);
    return l;
}

/* Stereo 1 kHz sine in phase, a level for each stretch of seconds; 0 ends. */
typedef struct stretch {
    double db, seconds;
} stretch;

static sig *sines(const stretch *list, double hz)
{
    double all = 0, at = 0;
    for (const stretch *p = list; p->seconds > 0; p++)
        all += p->seconds;
    sig *s = sig_new(48000, "stereo", llrint(all * 48000));
    for (const stretch *p = list; p->seconds > 0; p++) {
        for (int c = 0; c < 2; c++)
            sig_sine(s, c, hz, p->db, 0, at, at + p->seconds);
        at += p->seconds;
    }
    return s;
}

static void expect(const char *what, double got, double want, double within)
{
    if (!(fabs(got - want) <= within))
        fail_msg("%s: %.3f, not %.1f", what, got, want);
}

/* Tech 3341, table 1, cases 1 to 5. */
static void integrated(void **state)
{
    static const struct {
        const char *name;
        stretch list[8];
        double want;
    } cases[] = {
        { "3341-1", { { -23, 20 } }, -23 },
        { "3341-2", { { -33, 20 } }, -33 },
        { "3341-3", { { -36, 10 }, { -23, 60 }, { -36, 10 } }, -23 },
        { "3341-4", { { -72, 10 }, { -36, 10 }, { -23, 60 }, { -36, 10 }, { -72, 10 } }, -23 },
        { "3341-5", { { -26, 20 }, { -20, 20.1 }, { -26, 20 } }, -23 },
    };
    for (int i = 0; i < 5; i++) {
        sig *s = sines(cases[i].list, 1000);
        expect(cases[i].name, measure(s, AV_SAMPLE_FMT_FLTP).integrated, cases[i].want, 0.1);
        sig_free(s);
    }
}

/* Case 6: 5.0 with -28 dBFS left and right, -24 centre, -30 surrounds. In 5.1 the bass channel must not count. */
static void surround_weights(void **state)
{
    static const double db[] = { -28, -28, -24, 0, -30, -30 };
    static const char *const layouts[] = { "5.1", "5.1(side)" };
    for (int l = 0; l < 2; l++) {
        sig *s = sig_new(48000, layouts[l], 20 * 48000);
        for (int c = 0; c < 6; c++)
            sig_sine(s, c, 1000, db[c], 0, 0, -1);
        expect("3341-6", measure(s, AV_SAMPLE_FMT_FLTP).integrated, -23, 0.1);
        sig_free(s);
    }
    /* BS.1770-4: sides weigh 1.41, the backs of 7.1 weigh 1; a sine alone in a channel: -3.01 dB + -0.691 + 0.69 */
    sig *s = sig_new(48000, "7.1", 5 * 48000);
    sig_sine(s, 4, 1000, -20, 0, 0, -1);
    expect("back", measure(s, AV_SAMPLE_FMT_FLTP).integrated, -23, 0.1);
    sig_free(s);
    s = sig_new(48000, "7.1", 5 * 48000);
    sig_sine(s, 6, 1000, -20, 0, 0, -1);
    expect("side", measure(s, AV_SAMPLE_FMT_FLTP).integrated, -23 + 10 * log10(1.41), 0.1);
    sig_free(s);
}

/* Tech 3342, table 1, cases 1 to 4. */
static void range(void **state)
{
    static const struct {
        const char *name;
        stretch list[8];
        double want;
    } cases[] = {
        { "3342-1", { { -20, 20 }, { -30, 20 } }, 10 },
        { "3342-2", { { -20, 20 }, { -15, 20 } }, 5 },
        { "3342-3", { { -40, 20 }, { -20, 20 } }, 20 },
        { "3342-4", { { -50, 20 }, { -35, 20 }, { -20, 20 }, { -35, 20 }, { -50, 20 } }, 15 },
    };
    for (int i = 0; i < 4; i++) {
        sig *s = sines(cases[i].list, 1000);
        expect(cases[i].name, measure(s, AV_SAMPLE_FMT_FLTP).range, cases[i].want, 1);
        sig_free(s);
    }
}

/* Tech 3341, cases 15 to 19: sines between the samples; +0.2 / -0.4 dB. Faded in and out over 50 ms, as an abrupt
 * start would overshoot in any reconstruction. */
static void true_peak(void **state)
{
    static const struct {
        const char *name;
        double divide, degrees, amplitude, want;
    } cases[] = { { "3341-15", 4, 0, 0.5, -6 },
                  { "3341-16", 4, 45, 0.5, -6 },
                  { "3341-17", 6, 60, 0.5, -6 },
                  { "3341-18", 8, 67.5, 0.5, -6 },
                  { "3341-19", 4, 45, 1.41, 3 } };
    for (int i = 0; i < 5; i++) {
        sig *s = sig_new(48000, "stereo", 48000);
        for (int64_t k = 0; k < s->n; k++) {
            double fade = TA_MIN(1.0, (double)TA_MIN(k, s->n - 1 - k) / 2400);
            s->x[0][k] = s->x[1][k] =
                fade * cases[i].amplitude * sin(2 * M_PI * (double)k / cases[i].divide + cases[i].degrees * M_PI / 180);
        }
        double got = measure(s, AV_SAMPLE_FMT_DBLP).true_peak;
        if (got > cases[i].want + 0.2 || got < cases[i].want - 0.4)
            fail_msg("%s: %.2f dBTP, not %.1f", cases[i].name, got, cases[i].want);
        sig_free(s);
    }
}

/* Cases 20 to 23 in spirit: one short pulse between samples, band-limited (a windowed sinc), at four offsets. */
static void true_peak_of_a_pulse(void **state)
{
    for (int off = 0; off < 4; off++) {
        sig *s = sig_new(48000, "mono", 9600);
        for (int64_t k = 4700; k < 4900; k++) {
            double t = ((double)k - 4800 - off / 4.0) * 0.5; /* band limit: a quarter of the rate */
            s->x[0][k] = 0.5 * (t == 0 ? 1 : sin(M_PI * t) / (M_PI * t)) * (0.5 + 0.5 * cos(M_PI * t / 51));
        }
        double got = measure(s, AV_SAMPLE_FMT_DBLP).true_peak;
        if (got > -6.02 + 0.2 || got < -6.02 - 0.4)
            fail_msg("offset %d/4: %.2f dBTP", off, got);
        sig_free(s);
    }
}

static void every_sample_format(void **state)
{
    static const enum AVSampleFormat formats[] = { AV_SAMPLE_FMT_S16, AV_SAMPLE_FMT_S16P, AV_SAMPLE_FMT_FLTP,
                                                   AV_SAMPLE_FMT_DBLP };
    stretch list[] = { { -23, 5 }, { 0, 0 } };
    sig *s = sines(list, 1000);
    for (int i = 0; i < 4; i++)
        expect(av_get_sample_fmt_name(formats[i]), measure(s, formats[i]).integrated, -23, 0.1);
    sig_free(s);
}

static void silence(void **state)
{
    sig *s = sig_new(48000, "stereo", 96000);
    ta_loudness l = measure(s, AV_SAMPLE_FMT_S16);
    assert_true(l.integrated == -HUGE_VAL);
    assert_true(l.true_peak == -HUGE_VAL);
    assert_true(l.range == 0);
    sig_free(s);
}

static void wrong_frames(void **state)
{
    ta_error err = { 0 };
    ta_loudness_meter *m = NULL;
    sig *s = sig_new(48000, "mono", 1000);
    ta_audio_format f = { 48000, AV_CHANNEL_LAYOUT_STEREO, AV_SAMPLE_FMT_FLTP };
    assert_ok(ta_loudness_meter_new(&m, &f, &err), &err);
    AVFrame *frame = sig_frame(s, 0, 1000, AV_SAMPLE_FMT_FLTP, 0);
    assert_int_equal(ta_loudness_meter_add(m, frame, &err), TA_ERR_SOFTWARE);
    av_frame_free(&frame);
    ta_loudness_meter_free(&m);
    sig_free(s);
}

/* ---- libavfilter's ebur128 as a second opinion ----------------------------------------------------------------- */

typedef struct opinion {
    AVFilterGraph *graph;
    AVFilterContext *src, *sink;
    ta_loudness l;
} opinion;

static void opinion_open(opinion *o, const char *filter, const char *options, int rate, enum AVSampleFormat fmt,
                         const char *layout)
{
    char args[160];
    snprintf(args, sizeof args, "sample_rate=%d:sample_fmt=%s:channel_layout=%s:time_base=1/%d", rate,
             av_get_sample_fmt_name(fmt), layout, rate);
    *o = (opinion){ .graph = avfilter_graph_alloc() };
    AVFilterContext *meter = NULL;
    assert_true(avfilter_graph_create_filter(&o->src, avfilter_get_by_name("abuffer"), "in", args, NULL, o->graph) >=
                0);
    assert_true(avfilter_graph_create_filter(&meter, avfilter_get_by_name(filter), "m", options, NULL, o->graph) >= 0);
    assert_true(
        avfilter_graph_create_filter(&o->sink, avfilter_get_by_name("abuffersink"), "out", NULL, NULL, o->graph) >= 0);
    assert_int_equal(avfilter_link(o->src, 0, meter, 0), 0);
    assert_int_equal(avfilter_link(meter, 0, o->sink, 0), 0);
    assert_true(avfilter_graph_config(o->graph, NULL) >= 0);
}

static double metadata(const AVFrame *f, const char *key)
{
    const AVDictionaryEntry *e = av_dict_get(f->metadata, key, NULL, 0);
    return e ? atof(e->value) : NAN;
}

static void opinion_add(opinion *o, AVFrame *frame)
{
    assert_true(av_buffersrc_add_frame_flags(o->src, frame, AV_BUFFERSRC_FLAG_KEEP_REF) >= 0);
    AVFrame *out = av_frame_alloc();
    while (av_buffersink_get_frame(o->sink, out) >= 0) {
        if (av_dict_get(out->metadata, "lavfi.r128.I", NULL, 0)) {
            o->l.integrated = metadata(out, "lavfi.r128.I");
            o->l.range = metadata(out, "lavfi.r128.LRA");
            double a = metadata(out, "lavfi.r128.true_peaks_ch0"), b = metadata(out, "lavfi.r128.true_peaks_ch1");
            o->l.true_peak = 20 * log10(b > a ? b : a); /* b is NAN for mono */
        }
        av_frame_unref(out);
    }
    av_frame_free(&out);
}

static void compare(const ta_loudness *ours, const ta_loudness *theirs, double range)
{
    expect("integrated, by libavfilter", ours->integrated, theirs->integrated, 0.1);
    expect("range, by libavfilter", ours->range, theirs->range, range);
    expect("true peak, by libavfilter", ours->true_peak, theirs->true_peak, 0.3);
}

/* What loudnorm prints when its graph is freed. */
static char printed[4096];

static void keep_log(void *avcl, int level, const char *fmt, va_list args)
{
    size_t have = strlen(printed);
    if (level <= AV_LOG_INFO)
        vsnprintf(printed + have, sizeof printed - have, fmt, args);
}

static double printed_value(const char *key)
{
    const char *at = strstr(printed, key);
    assert_non_null(at);
    return atof(strchr(at, ':') + 3);
}

static void close_loudnorm(opinion *o)
{
    av_log_set_level(AV_LOG_INFO);
    av_log_set_callback(keep_log);
    avfilter_graph_free(&o->graph);
    av_log_set_callback(av_log_default_callback);
    av_log_set_level(AV_LOG_ERROR);
    o->l = (ta_loudness){ printed_value("input_i"), printed_value("input_lra"), printed_value("input_tp") };
}

static void like_libavfilter(void **state)
{
    opinion o;
    sig *s = sig_new(48000, "stereo", 30 * 48000);
    for (int c = 0; c < 2; c++) {
        sig_noise(s, c, -40, 3 + (uint32_t)c);
        for (int i = 0; i < 30; i += 3)
            sig_sine(s, c, 300 + 100 * i, -35 + i, 0, i, i + 2.5);
    }
    opinion_open(&o, "ebur128", "peak=true:metadata=1", 48000, AV_SAMPLE_FMT_DBLP, "stereo");
    for (int64_t at = 0; at < s->n; at += 4800) {
        AVFrame *f = sig_frame(s, at, 4800, AV_SAMPLE_FMT_DBLP, 0);
        opinion_add(&o, f);
        av_frame_free(&f);
    }
    ta_loudness ours = measure(s, AV_SAMPLE_FMT_DBLP);
    compare(&ours, &o.l, 0.5);
    avfilter_graph_free(&o.graph);
    sig_free(s);
}

/* The sound of a real tape through both meters, decoded here by plain libav. */
static void real_tape(void **state)
{
    const char *path = NULL;
    static const char *const places[] = { "../shared/clips/tape_480i.mpg", "../../shared/clips/tape_480i.mpg",
                                          "../../../shared/clips/tape_480i.mpg" };
    for (int i = 0; i < 3 && !path; i++)
        path = access(places[i], R_OK) == 0 ? places[i] : NULL;
    const char *root = getenv("TERMINALAI_CLIPS");
    char text[1024];
    if (!path && root && snprintf(text, sizeof text, "%s/tape_480i.mpg", root) > 0 && access(text, R_OK) == 0)
        path = text;
    if (!path)
        skip();
    AVFormatContext *in = NULL;
    assert_int_equal(avformat_open_input(&in, path, NULL, NULL), 0);
    assert_true(avformat_find_stream_info(in, NULL) >= 0);
    const AVCodec *codec = NULL;
    int stream = av_find_best_stream(in, AVMEDIA_TYPE_AUDIO, -1, -1, &codec, 0);
    assert_true(stream >= 0);
    AVCodecContext *dec = avcodec_alloc_context3(codec);
    avcodec_parameters_to_context(dec, in->streams[stream]->codecpar);
    assert_int_equal(avcodec_open2(dec, codec, NULL), 0);
    AVPacket *pkt = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    ta_error err = { 0 };
    ta_loudness_meter *m = NULL;
    ta_channel_meter *faults = ta_channel_meter_new();
    opinion o = { 0 }, norm = { 0 };
    while (av_read_frame(in, pkt) >= 0) {
        if (pkt->stream_index == stream && avcodec_send_packet(dec, pkt) >= 0)
            while (avcodec_receive_frame(dec, frame) >= 0) {
                ta_audio_format f = { frame->sample_rate, frame->ch_layout, frame->format };
                if (!m) {
                    assert_ok(ta_loudness_meter_new(&m, &f, &err), &err);
                    char layout[64];
                    av_channel_layout_describe(&f.layout, layout, sizeof layout);
                    opinion_open(&o, "ebur128", "peak=true:metadata=1", f.sample_rate, f.sample_fmt, layout);
                    opinion_open(&norm, "loudnorm", "print_format=json", f.sample_rate, f.sample_fmt, layout);
                }
                assert_ok(ta_loudness_meter_add(m, frame, &err), &err);
                assert_ok(ta_channel_meter_add(faults, frame, &err), &err);
                opinion_add(&o, frame);
                opinion_add(&norm, frame);
            }
        av_packet_unref(pkt);
    }
    ta_loudness ours;
    assert_ok(ta_loudness_meter_result(m, &ours, &err), &err);
    print_message("tape: %.2f LUFS, %.1f LU, %.2f dBTP; channels %d\n", ours.integrated, ours.range, ours.true_peak,
                  ta_channel_meter_result(faults, NULL));
    /* ebur128 counts the first, partly filled windows of 3 s into its range: not on a clip of 20 s */
    compare(&ours, &o.l, 3);
    close_loudnorm(&norm);
    compare(&ours, &norm.l, 0.3);
    ta_loudness_meter_free(&m);
    ta_channel_meter_free(&faults);
    avfilter_graph_free(&o.graph);
    av_frame_free(&frame);
    av_packet_free(&pkt);
    avcodec_free_context(&dec);
    avformat_close_input(&in);
}

int main(void)
{
    av_log_set_level(AV_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integrated), cmocka_unit_test(surround_weights),     cmocka_unit_test(range),
        cmocka_unit_test(true_peak),  cmocka_unit_test(true_peak_of_a_pulse), cmocka_unit_test(every_sample_format),
        cmocka_unit_test(silence),    cmocka_unit_test(wrong_frames),         cmocka_unit_test(like_libavfilter),
        cmocka_unit_test(real_tape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
