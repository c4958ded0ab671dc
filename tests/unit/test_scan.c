/* The scan meter against pictures whose scan is known: synthetic motion and, where it is there, real footage, woven
 * into fields and telecined by libavfilter. */
#include <time.h>

#include "analyze/analyze.h"
#include "picture_kit.h"

static ta_video_format sd(int height)
{
    ta_video_format v = kit_ntsc().video;
    v.width = 360;
    v.height = height;
    v.fields = TA_FIELDS_PROGRESSIVE;
    v.frame_rate = height == 288 || height == 576 ? (AVRational){ 50, 1 } : (AVRational){ 60000, 1001 };
    return v;
}

/* A textured picture that moves over a still background, with tape noise; at most 512 lines and columns. */
static void moving(kit_frames *k, const ta_video_format *v, int n, double noise, double speed)
{
    k->n = 0;
    for (int i = 0; i < n; i++) {
        AVFrame *f = kit_frame(v, av_rescale_q(i, av_inv_q(v->frame_rate), v->time_base));
        uint32_t seed = 1000u + (uint32_t)i;
        f->pkt_duration = av_rescale_q(1, av_inv_q(v->frame_rate), v->time_base);
        for (int p = 1; p < 3; p++)
            for (int y = 0; y < v->height / 2; y++)
                memset(f->data[p] + (ptrdiff_t)y * f->linesize[p], 128, (size_t)v->width / 2);
        float sx[512], still_x[512], cy[512], still_y[512],
            slope[1024]; /* sines of this frame, by column, line, both */
        double dx = speed * i, dy = 0.4 * speed * i;
        for (int at = 0; at < 1024; at++)
            slope[at] = (float)sin((at - dx - dy) / 17);
        for (int at = 0; at < 512; at++) {
            sx[at] = (float)sin((at - dx) / 5);
            cy[at] = (float)cos((at - dy) / 7);
            still_x[at] = (float)sin(at / 6.0);
            still_y[at] = (float)cos(at / 4.0);
        }
        for (int y = 0; y < v->height; y++)
            for (int x = 0; x < v->width; x++) {
                bool inside = x > v->width / 4 && x < v->width * 3 / 4;
                float value =
                    inside ? 120 + 50 * sx[x] * cy[y] + 30 * slope[x + y] : 110 + 40 * still_x[x] * still_y[y];
                value += (float)noise * ((float)(kit_random(&seed) % 2001) / 1000 - 1);
                f->data[0][(ptrdiff_t)y * f->linesize[0] + x] = (uint8_t)lrintf(value);
            }
        k->f[k->n++] = f;
    }
}

static void flag(kit_frames *k, ta_field_order order)
{
    for (int i = 0; i < k->n; i++) {
        k->f[i]->interlaced_frame = order == TA_FIELDS_TFF || order == TA_FIELDS_BFF;
        k->f[i]->top_field_first = order == TA_FIELDS_TFF;
        k->f[i]->repeat_pict = 0;
    }
}

/* Frames through a graph, flagged as told, measured. */
static ta_scan_report measure(const kit_frames *in, const ta_video_format *v, const char *graph, ta_field_order flags)
{
    kit_frames woven;
    ta_scan_report r;
    ta_error err = { 0 };
    kit_oracle(graph, v, in, &woven);
    flag(&woven, flags);
    ta_scan_meter *m = ta_scan_meter_new();
    assert_non_null(m);
    for (int i = 0; i < woven.n; i++)
        assert_int_equal(ta_scan_meter_add(m, woven.f[i], &err), 0);
    ta_scan_meter_result(m, &r);
    ta_scan_meter_free(&m);
    assert_int_equal(r.frames, woven.n);
    assert_true(r.reason[0]);
    kit_frames_free(&woven);
    return r;
}

#define TFF "tinterlace=interleave_top"
#define BFF "tinterlace=interleave_bottom"

static void orders(void **state)
{
    (void)state;
    static const double speeds[] = { 0.6, 1.5, 4 };
    static const double noises[] = { 0, 4, 12 };
    static const int heights[] = { 240, 288 };
    for (int h = 0; h < 2; h++)
        for (int s = 0; s < 3; s++)
            for (int n = 0; n < 3; n++) {
                ta_video_format v = sd(heights[h]);
                kit_frames k;
                if (h && n != 1)
                    continue;
                moving(&k, &v, 72, noises[n], speeds[s]);
                ta_scan_report t = measure(&k, &v, TFF, TA_FIELDS_TFF), b = measure(&k, &v, BFF, TA_FIELDS_BFF);
                if (t.scan != TA_SCAN_INTERLACED || t.order != TA_FIELDS_TFF || b.scan != TA_SCAN_INTERLACED ||
                    b.order != TA_FIELDS_BFF)
                    fail_msg("speed %g noise %g: '%s', '%s'", speeds[s], noises[n], t.reason, b.reason);
                if (noises[n] < 12 || speeds[s] > 1) {
                    assert_int_equal(t.measured, TA_FIELDS_TFF);
                    assert_int_equal(b.measured, TA_FIELDS_BFF);
                }
                kit_frames_free(&k);
            }
}

static void lying_flags(void **state)
{
    (void)state;
    ta_video_format v = sd(240);
    kit_frames k;
    moving(&k, &v, 72, 4, 2);
    ta_scan_report r = measure(&k, &v, TFF, TA_FIELDS_BFF);
    assert_int_equal(r.flagged, TA_FIELDS_BFF);
    assert_int_equal(r.measured, TA_FIELDS_TFF);
    assert_int_equal(r.order, TA_FIELDS_TFF);
    assert_true(r.tff_votes >= 12 && r.tff_votes >= 4 * r.bff_votes);
    assert_non_null(strstr(r.reason, "wrong"));
    r = measure(&k, &v, BFF, TA_FIELDS_TFF);
    assert_int_equal(r.order, TA_FIELDS_BFF);
    r = measure(&k, &v, TFF, TA_FIELDS_PROGRESSIVE); /* interlaced, and the flags deny it */
    assert_int_equal(r.scan, TA_SCAN_INTERLACED);
    assert_int_equal(r.order, TA_FIELDS_TFF);
    r = measure(&k, &v, "framestep=2", TA_FIELDS_TFF); /* progressive in interlaced coding, as on many DVDs */
    assert_int_equal(r.scan, TA_SCAN_PROGRESSIVE);
    kit_frames_free(&k);
}

static void progressive(void **state)
{
    (void)state;
    static const double noises[] = { 0, 4, 12 };
    for (int n = 0; n < 3; n++) {
        ta_video_format v = sd(240);
        kit_frames k;
        moving(&k, &v, 72, noises[n], 2);
        ta_scan_report r = measure(&k, &v, "framestep=2", TA_FIELDS_PROGRESSIVE);
        assert_int_equal(r.scan, TA_SCAN_PROGRESSIVE);
        assert_true(r.combed <= 1);
        assert_false(r.vfr);
        kit_frames_free(&k);
    }
}

static void still_noise_says_nothing(void **state)
{
    (void)state;
    /* No motion: the flags are believed, whichever they are. */
    ta_video_format v = sd(240);
    kit_frames k;
    moving(&k, &v, 72, 10, 0);
    ta_scan_report t = measure(&k, &v, TFF, TA_FIELDS_TFF), b = measure(&k, &v, TFF, TA_FIELDS_BFF),
                   p = measure(&k, &v, TFF, TA_FIELDS_PROGRESSIVE);
    assert_int_equal(t.measured, TA_FIELDS_UNKNOWN);
    assert_int_equal(t.scan, TA_SCAN_INTERLACED);
    assert_int_equal(t.order, TA_FIELDS_TFF);
    assert_int_equal(b.order, TA_FIELDS_BFF);
    assert_int_equal(p.scan, TA_SCAN_PROGRESSIVE);
    kit_frames_free(&k);
}

static void telecined(void **state)
{
    (void)state;
    for (int bottom = 0; bottom < 2; bottom++)
        for (int noisy = 0; noisy < 2; noisy++) {
            ta_video_format v = sd(240);
            v.frame_rate = (AVRational){ 24000, 1001 };
            kit_frames k;
            moving(&k, &v, 72, 0, 3);
            char graph[128];
            snprintf(graph, sizeof graph, "telecine=first_field=%s:pattern=23%s", bottom ? "bottom" : "top",
                     noisy ? ",noise=c0s=8:c0f=t:all_seed=3" : "");
            ta_scan_report r = measure(&k, &v, graph, bottom ? TA_FIELDS_BFF : TA_FIELDS_TFF);
            if (r.scan != TA_SCAN_HARD_TELECINE)
                fail_msg("%s: %s", graph, r.reason);
            assert_int_equal(r.order, bottom ? TA_FIELDS_BFF : TA_FIELDS_TFF);
            kit_frames_free(&k);
        }
}

static void by_flags(void **state)
{
    (void)state;
    ta_video_format v = sd(240);
    kit_frames k;
    ta_error err = { 0 };
    ta_scan_report r;
    moving(&k, &v, 48, 3, 2);
    /* Soft telecine: progressive, every second frame repeats a field. */
    ta_scan_meter *m = ta_scan_meter_new();
    int64_t field = 0;
    for (int i = 0; i < k.n; i++) {
        k.f[i]->repeat_pict = i % 2;
        k.f[i]->pts = field * 1501;
        field += 2 + i % 2;
        assert_int_equal(ta_scan_meter_add(m, k.f[i], &err), 0);
    }
    ta_scan_meter_result(m, &r);
    assert_int_equal(r.scan, TA_SCAN_SOFT_TELECINE);
    assert_int_equal(r.repeat_flags, 24);
    assert_int_equal(r.order, TA_FIELDS_PROGRESSIVE);
    ta_scan_meter_free(&m);
    /* Durations that vary without such flags: a variable frame rate. */
    m = ta_scan_meter_new();
    int64_t t = 0;
    for (int i = 0; i < k.n; i++) {
        k.f[i]->repeat_pict = 0;
        k.f[i]->pts = t += i % 3 ? 3003 : 9009;
        assert_int_equal(ta_scan_meter_add(m, k.f[i], &err), 0);
    }
    ta_scan_meter_result(m, &r);
    assert_int_equal(r.scan, TA_SCAN_PROGRESSIVE);
    assert_true(r.vfr);
    ta_scan_meter_free(&m);
    kit_frames_free(&k);
}

static void borders(void **state)
{
    (void)state;
    ta_video_format v = sd(240);
    kit_frames k;
    moving(&k, &v, 24, 2, 2);
    for (int i = 0; i < k.n; i++)
        for (int y = 0; y < 240; y++)
            for (int x = 0; x < 360; x++)
                if (x < 10 || x >= 354 || y < 30 || y >= 236)
                    kit_put(k.f[i], 0, x, y, 17);
    ta_scan_report r = measure(&k, &v, "null", TA_FIELDS_PROGRESSIVE);
    const int want[4] = { 10, 30, 6, 4 };
    for (int s = 0; s < 4; s++)
        assert_int_equal(r.crop[s], want[s]);
    /* A dark scene, with a light in one corner that shows where the picture is. */
    for (int i = 0; i < k.n; i++)
        for (int y = 0; y < 240; y++)
            for (int x = 0; x < 360; x++)
                kit_put(k.f[i], 0, x, y, i > 12 && x < 40 && y < 40 ? 120 : 18);
    r = measure(&k, &v, "null", TA_FIELDS_PROGRESSIVE);
    for (int s = 0; s < 4; s++)
        assert_int_equal(r.crop[s], 0);
    /* A picture without borders. */
    kit_frames_free(&k);
    moving(&k, &v, 24, 2, 2);
    r = measure(&k, &v, "null", TA_FIELDS_PROGRESSIVE);
    for (int s = 0; s < 4; s++)
        assert_int_equal(r.crop[s], 0);
    kit_frames_free(&k);
}

static void odd_formats_and_sizes(void **state)
{
    (void)state;
    static const enum AVPixelFormat formats[] = { AV_PIX_FMT_YUV422P10, AV_PIX_FMT_UYVY422, AV_PIX_FMT_GRAY8,
                                                  AV_PIX_FMT_YUV411P,   AV_PIX_FMT_NV12,    AV_PIX_FMT_YUV420P16 };
    for (size_t i = 0; i < TA_COUNT(formats); i++) {
        ta_video_format v = sd(240);
        kit_frames k;
        char graph[128];
        moving(&k, &v, 72, 3, 2);
        snprintf(graph, sizeof graph, TFF ",scale=interl=1,format=%s", av_get_pix_fmt_name(formats[i]));
        ta_scan_report r = measure(&k, &v, graph, TA_FIELDS_BFF);
        if (r.order != TA_FIELDS_TFF)
            fail_msg("%s: %s", av_get_pix_fmt_name(formats[i]), r.reason);
        kit_frames_free(&k);
    }
    static const int sizes[][2] = { { 2, 2 }, { 16, 16 }, { 33, 17 }, { 720, 1 }, { 1, 240 } };
    for (size_t i = 0; i < TA_COUNT(sizes); i++) {
        ta_video_format v = sd(240);
        v.width = sizes[i][0];
        v.height = sizes[i][1];
        v.pix_fmt = AV_PIX_FMT_GRAY8;
        ta_scan_meter *m = ta_scan_meter_new();
        ta_error err = { 0 };
        ta_scan_report r;
        for (int n = 0; n < 12; n++) {
            AVFrame *f = kit_frame(&v, n);
            memset(f->data[0], n * 20, (size_t)f->linesize[0] * (size_t)v.height);
            assert_int_equal(ta_scan_meter_add(m, f, &err), 0);
            av_frame_free(&f);
        }
        ta_scan_meter_result(m, &r);
        assert_int_equal(r.scan, TA_SCAN_PROGRESSIVE);
        ta_scan_meter_free(&m);
    }
}

/* ---- Real footage --------------------------------------------------------------------------------------------------
 */

static bool clip(const char *name, char *path, size_t size)
{
    static const char *const places[] = { "../shared/clips", "../../shared/clips", "../../../shared/clips" };
    const char *set = getenv("TERMINALAI_CLIPS");
    for (size_t i = 0; i < TA_COUNT(places); i++) {
        snprintf(path, size, "%s/%s", set ? set : places[i], name);
        if (access(path, R_OK) == 0)
            return true;
    }
    return false;
}

static void load(const char *path, kit_frames *k, ta_video_format *v, int max)
{
    ta_input *in = NULL;
    ta_decoder *d = NULL;
    ta_error err = { 0 };
    assert_int_equal(ta_input_open(&in, path, NULL, &err), 0);
    int s = ta_input_video(in);
    ta_input_video_format(in, s, v);
    v->time_base = ta_input_context(in)->streams[s]->time_base;
    assert_int_equal(ta_decoder_open(&d, ta_input_context(in)->streams[s], 1, &err), 0);
    AVPacket *pkt = av_packet_alloc();
    AVFrame *f = av_frame_alloc();
    k->n = 0;
    while (k->n < max && ta_input_read(in, pkt, &err) > 0) {
        if (pkt->stream_index == s)
            assert_int_equal(ta_decoder_send(d, pkt, &err), 0);
        av_packet_unref(pkt);
        while (k->n < max && ta_decoder_receive(d, f, &err) > 0) {
            k->f[k->n++] = f;
            f = av_frame_alloc();
        }
    }
    av_frame_free(&f);
    av_packet_free(&pkt);
    ta_decoder_close(&d);
    ta_input_close(&in);
}

static void real_footage(void **state)
{
    (void)state;
    static const char *const names[] = { "gt_graffiti60.mkv", "gt_flower30.mkv", "gt_asl30.mkv" };
    for (size_t i = 0; i < TA_COUNT(names); i++) {
        char path[256];
        kit_frames k;
        ta_video_format v;
        if (!clip(names[i], path, sizeof path))
            skip();
        load(path, &k, &v, 72);
        ta_scan_report t = measure(&k, &v, TFF, TA_FIELDS_BFF), b = measure(&k, &v, BFF, TA_FIELDS_TFF),
                       p = measure(&k, &v, "framestep=2", TA_FIELDS_PROGRESSIVE),
                       c = measure(&k, &v, "telecine=pattern=23", TA_FIELDS_TFF);
        if (t.order != TA_FIELDS_TFF || b.order != TA_FIELDS_BFF || p.scan != TA_SCAN_PROGRESSIVE ||
            c.scan != TA_SCAN_HARD_TELECINE)
            fail_msg("%s:\n%s\n%s\n%s\n%s", names[i], t.reason, b.reason, p.reason, c.reason);
        kit_frames_free(&k);
    }
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void a_tape(void **state)
{
    (void)state;
    char path[256];
    ta_scan_report r;
    ta_error err = { 0 };
    if (!clip("tape_480i.mpg", path, sizeof path))
        skip();
    double before = cpu_seconds();
    assert_int_equal(ta_scan_file(path, NULL, 0, NULL, &r, &err), 0);
    double took = cpu_seconds() - before;
    print_message("%s; %.3f s of CPU\n", r.reason, took);
    assert_int_equal(r.scan, TA_SCAN_INTERLACED);
    assert_int_equal(r.order, TA_FIELDS_TFF);
    assert_int_equal(r.measured, TA_FIELDS_TFF);
    assert_true(r.frames >= 60 && r.frames <= 130);
    for (int s = 0; s < 4; s++)
        assert_int_equal(r.crop[s], 0);
    assert_int_equal(ta_scan_file("/nowhere/tape.mpg", NULL, 0, NULL, &r, &err), TA_ERR_NOINPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders),       cmocka_unit_test(lying_flags),
        cmocka_unit_test(progressive),  cmocka_unit_test(still_noise_says_nothing),
        cmocka_unit_test(telecined),    cmocka_unit_test(by_flags),
        cmocka_unit_test(borders),      cmocka_unit_test(odd_formats_and_sizes),
        cmocka_unit_test(real_footage), cmocka_unit_test(a_tape),
    };
    return cmocka_run_group_tests_name("scan", tests, NULL, NULL);
}
