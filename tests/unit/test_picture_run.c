/* Chains that run: each classical setting gives the very samples that libavfilter gives for a graph written by hand;
 * colours are checked against the standards' equations. */
#include "picture/plan.h"
#include "picture_kit.h"

/* Same pictures for settings and for a graph. */
static void same_as(const char *settings, ta_picture_source src, enum AVPixelFormat out_fmt, const char *graph)
{
    kit_plan p;
    kit_frames in, ours, theirs;
    ta_link last;
    kit_make(&in, &src.video, 6, 6);
    kit_plan_make(&p, settings, &src, out_fmt);
    if (p.status < 0)
        fail_msg("'%s': %s", settings, p.err.text[0]);
    kit_run(&p.chain, &src.video, &in, &ours, &last);
    kit_oracle(graph, &src.video, &in, &theirs);
    kit_assert_same(&ours, &theirs);
    for (int i = 0; i < ours.n; i++)
        if (ta_link_differs(&last, ours.f[i]))
            fail_msg("'%s': frame %d isn't what the link says", settings, i);
    kit_frames_free(&in);
    kit_frames_free(&ours);
    kit_frames_free(&theirs);
    kit_plan_free(&p);
}

static ta_picture_source small_interlaced(ta_field_order order)
{
    ta_picture_source src = kit_small(AV_PIX_FMT_YUV420P);
    src.scan = TA_SCAN_INTERLACED;
    src.order = src.video.fields = order;
    return src;
}

static void deinterlacers(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        { "", "bwdif=1:0:0" },
        { "deinterlace=yadif", "yadif=1:0:0" },
        { "deinterlace=w3fdif", "w3fdif=complex:field:0:0" },
        { "deinterlace=estdif", "estdif=field:tff:all" },
        { "field-rate=single", "bwdif=0:0:0" },
        { "deinterlace=yadif field-rate=single", "yadif=0:0:0" },
    };
    for (size_t i = 0; i < TA_COUNT(pairs); i++)
        same_as(pairs[i][0], small_interlaced(TA_FIELDS_TFF), AV_PIX_FMT_YUV420P, pairs[i][1]);
    same_as("", small_interlaced(TA_FIELDS_BFF), AV_PIX_FMT_YUV420P, "bwdif=1:1:0");
    /* Flags that lie: the decided order wins. */
    ta_picture_source lie = small_interlaced(TA_FIELDS_TFF);
    lie.order = TA_FIELDS_BFF;
    same_as("", lie, AV_PIX_FMT_YUV420P, "bwdif=1:1:0");
}

static void classical_filters(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        { "denoise=hqdn3d", "hqdn3d=4:3:6:4.5" },
        { "denoise=hqdn3d denoise-strength=severe", "hqdn3d=10:8:15:12" },
        { "denoise=atadenoise", "atadenoise=0.02:0.04:0.02:0.04:0.02:0.04:9" },
        { "denoise=nlmeans denoise-strength=4:5:3:7:5", "nlmeans=4:5:3:7:5" },
        { "deblock=weak", "deblock=weak" },
        { "deblock=strong", "deblock=strong" },
        { "deband=standard", "deband" },
        { "dedot=yes", "dedot" },
        { "chroma-shift-x=-6 chroma-shift-y=2", "chromashift=-3:1:-3:1" },
        { "contrast=1.1 brightness=0.05 saturation=1.05", "eq=1.1:0.05:1.05" },
        { "gamma=1.3", "eq=gamma=1.3" },
        { "crop=4:2:6:8", "crop=150:110:4:2" },
        { "crop=4:2:6:0 head-switching=8", "crop=150:110:4:2" },
        { "sharpen=cas sharpen-strength=0.3", "cas=0.3" },
        { "sharpen=unsharp sharpen-strength=0.5", "unsharp=5:5:1:5:5:0" },
        { "resolution=2x", "scale=320:240:flags=lanczos:in_h_chr_pos=0:out_h_chr_pos=0" },
        { "resolution=2x scaler=bicubic", "scale=320:240:flags=bicubic:in_h_chr_pos=0:out_h_chr_pos=0" },
        { "resolution=2x scaler=bilinear", "scale=320:240:flags=bilinear:in_h_chr_pos=0:out_h_chr_pos=0" },
        { "resolution=2x scaler=spline", "scale=320:240:flags=spline:in_h_chr_pos=0:out_h_chr_pos=0" },
        { "resolution=2x scaler=neighbor", "scale=320:240:flags=neighbor:in_h_chr_pos=0:out_h_chr_pos=0" },
    };
    for (size_t i = 0; i < TA_COUNT(pairs); i++)
        same_as(pairs[i][0], kit_small(AV_PIX_FMT_YUV420P), AV_PIX_FMT_YUV420P, pairs[i][1]);
    ta_picture_source turned = kit_small(AV_PIX_FMT_YUV420P);
    turned.rotation = 90;
    same_as("", turned, AV_PIX_FMT_YUV420P, "transpose=clock");
    turned.rotation = 270;
    same_as("", turned, AV_PIX_FMT_YUV420P, "transpose=cclock");
    turned.rotation = 180;
    same_as("", turned, AV_PIX_FMT_YUV420P, "hflip,vflip");
}

/* atadenoise of libavfilter gives nothing for a clip shorter than half of its window. */
static void windows_of_short_clips(void **state)
{
    (void)state;
    static const int lengths[] = { 1, 2, 3, 4, 5, 12 };
    for (size_t i = 0; i < TA_COUNT(lengths); i++) {
        int n = lengths[i];
        char oracle[80];
        ta_picture_source src = kit_small(AV_PIX_FMT_YUV420P);
        kit_plan p;
        kit_frames in, ours, theirs;
        kit_make(&in, &src.video, n, 6);
        snprintf(oracle, sizeof oracle, "atadenoise=0.02:0.04:0.02:0.04:0.02:0.04:%d", TA_MIN(2 * n + 1, 9));
        kit_oracle(n > 1 ? oracle : "null", &src.video, &in, &theirs);
        assert_int_equal(theirs.n, n);
        kit_plan_make(&p, "denoise=atadenoise", &src, AV_PIX_FMT_YUV420P);
        kit_run(&p.chain, &src.video, &in, &ours, NULL);
        kit_assert_same(&ours, &theirs);
        kit_frames_free(&in);
        kit_frames_free(&ours);
        kit_frames_free(&theirs);
        kit_plan_free(&p);
    }
}

/* Some samples of a 10-bit frame rise to `high`; the same ones each time. */
static void raise_samples(AVFrame *f, int high)
{
    for (int plane = 0; plane < 3; plane++) {
        uint16_t *row = (uint16_t *)f->data[plane];
        for (int y = 0; y < 60; y++, row += f->linesize[plane] / 2)
            for (int x = y % 7; x < 80; x += 7)
                row[x] = (uint16_t)high;
    }
}

/* Samples above their depth's range make libavfilter's hqdn3d read behind its tables; they count as the highest. */
static void samples_above_range(void **state)
{
    (void)state;
    ta_picture_source src = kit_small(AV_PIX_FMT_YUV420P10);
    kit_plan p;
    kit_frames in, ours, theirs;
    kit_make(&in, &src.video, 4, 6);
    for (int i = 0; i < in.n; i++)
        raise_samples(in.f[i], 1023);
    kit_oracle("hqdn3d=4:3:6:4.5", &src.video, &in, &theirs);
    for (int i = 0; i < in.n; i++)
        raise_samples(in.f[i], i % 2 ? 65535 : 1024);
    kit_plan_make(&p, "denoise=hqdn3d", &src, AV_PIX_FMT_YUV420P10);
    kit_run(&p.chain, &src.video, &in, &ours, NULL);
    kit_assert_same(&ours, &theirs);
    kit_frames_free(&in);
    kit_frames_free(&ours);
    kit_frames_free(&theirs);
    kit_plan_free(&p);
    same_as("denoise=hqdn3d", kit_small(AV_PIX_FMT_YUV422P10), AV_PIX_FMT_YUV422P10, "hqdn3d=4:3:6:4.5");
    same_as("denoise=hqdn3d", kit_small(AV_PIX_FMT_YUV444P12), AV_PIX_FMT_YUV444P12, "hqdn3d=4:3:6:4.5");
}

/* One flat frame of YCbCr `in` through the settings; its middle as codes of 8 bits. */
static void one_colour(const char *settings, ta_picture_source src, enum AVPixelFormat out_fmt, const double in[3],
                       double out[3], ta_link *last)
{
    kit_plan p;
    kit_frames frames = { .n = 1 }, ours;
    frames.f[0] = kit_frame(&src.video, 0);
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(src.video.pix_fmt);
    for (int plane = 0; plane < 3; plane++)
        for (int y = 0; y < AV_CEIL_RSHIFT(src.video.height, plane ? d->log2_chroma_h : 0); y++)
            for (int x = 0; x < AV_CEIL_RSHIFT(src.video.width, plane ? d->log2_chroma_w : 0); x++)
                kit_put(frames.f[0], plane, x, y, in[plane]);
    kit_plan_make(&p, settings, &src, out_fmt);
    assert_int_equal(p.status, 0);
    kit_run(&p.chain, &src.video, &frames, &ours, last);
    assert_int_equal(ours.n, 1);
    assert_false(ta_link_differs(last, ours.f[0]));
    for (int plane = 0; plane < 3; plane++)
        out[plane] = kit_get(ours.f[0], plane, 20, 20);
    kit_frames_free(&frames);
    kit_frames_free(&ours);
    kit_plan_free(&p);
}

/* R'G'B' of 0..1 as limited-range YCbCr by the weights of a standard (BT.601: .299/.114, BT.709: .2126/.0722). */
static void encode(const double rgb[3], double kr, double kb, double ycc[3])
{
    double y = kr * rgb[0] + (1 - kr - kb) * rgb[1] + kb * rgb[2];
    ycc[0] = 16 + 219 * y;
    ycc[1] = 128 + 224 * (rgb[2] - y) / (2 * (1 - kb));
    ycc[2] = 128 + 224 * (rgb[0] - y) / (2 * (1 - kr));
}

static void sd_to_hd_keeps_colours(void **state)
{
    (void)state;
    static const double colours[][3] = { { .75, .75, .75 }, { .75, .75, .1 }, { .1, .75, .75 }, { .1, .75, .1 },
                                         { .75, .1, .75 },  { .75, .1, .1 },  { .1, .1, .75 },  { .6, .4, .3 } };
    static const enum AVPixelFormat formats[] = { AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUV422P, AV_PIX_FMT_YUV411P,
                                                  AV_PIX_FMT_YUV422P10 };
    for (size_t f = 0; f < TA_COUNT(formats); f++)
        for (size_t i = 0; i < TA_COUNT(colours); i += f ? 3 : 1) {
            ta_picture_source src = kit_pal();
            double in[3], out[3], want[3];
            ta_link last;
            src.scan = TA_SCAN_PROGRESSIVE;
            src.video.pix_fmt = formats[f];
            encode(colours[i], .299, .114, in);
            encode(colours[i], .2126, .0722, want);
            one_colour("resolution=720", src, AV_PIX_FMT_YUV420P, in, out, &last);
            assert_int_equal(last.video.matrix, AVCOL_SPC_BT709);
            assert_int_equal(last.video.transfer, AVCOL_TRC_BT709);
            assert_int_equal(last.video.primaries, AVCOL_PRI_BT470BG); /* not converted, so not renamed */
            assert_int_equal(last.video.height, 720);
            assert_int_equal(last.video.width, 960);
            for (int c = 0; c < 3; c++)
                if (fabs(out[c] - want[c]) > 1.6)
                    fail_msg("%s colour %zu component %d: %.1f, not %.1f", av_get_pix_fmt_name(formats[f]), i, c,
                             out[c], want[c]);
            one_colour("resolution=source", src, AV_PIX_FMT_YUV420P, in, out, &last);
            assert_int_equal(last.video.matrix, AVCOL_SPC_BT470BG); /* SD stays SD */
            for (int c = 0; c < 3; c++)
                assert_true(fabs(out[c] - in[c]) <= 1.1);
        }
}

static void full_range_becomes_limited(void **state)
{
    (void)state;
    ta_picture_source src = kit_small(AV_PIX_FMT_YUVJ420P);
    src.video.range = AVCOL_RANGE_JPEG;
    static const char *const settings[] = { "", "resolution=2x", "denoise=hqdn3d denoise-strength=light" };
    for (size_t i = 0; i < TA_COUNT(settings); i++) {
        double in[3] = { 200, 90, 160 }, out[3];
        ta_link last;
        one_colour(settings[i], src, AV_PIX_FMT_YUV420P, in, out, &last);
        assert_int_equal(last.video.range, AVCOL_RANGE_MPEG);
        assert_true(fabs(out[0] - (16 + 219 * 200 / 255.0)) <= 1);
        assert_true(fabs(out[1] - (128 + 224 / 255.0 * (90 - 128))) <= 1);
        one_colour(settings[i], src, AV_PIX_FMT_NONE, in, out, &last); /* an archive keeps it */
        assert_int_equal(last.video.range, AVCOL_RANGE_JPEG);
        assert_true(fabs(out[0] - 200) <= 1);
    }
}

static void tags_by_order(void **state)
{
    (void)state;
    ta_picture_source src = kit_small(AV_PIX_FMT_YUV420P);
    double in[3] = { 100, 120, 140 }, out[3];
    ta_link last;
    one_colour("colour-space=bt709 colour-range=full", src, AV_PIX_FMT_NONE, in, out, &last);
    assert_int_equal(last.video.matrix, AVCOL_SPC_BT709);
    assert_int_equal(last.video.primaries, AVCOL_PRI_BT709);
    assert_int_equal(last.video.range, AVCOL_RANGE_JPEG);
    assert_true(out[0] == 100 && out[1] == 120 && out[2] == 140);
}

/* ST 2084: what PQ codes 100 nits as. */
static double pq(double nits)
{
    double y = pow(nits / 10000, 2610 / 16384.0);
    return pow((3424 / 4096.0 + 2413 / 128.0 * y) / (1 + 2392 / 128.0 * y), 2523 / 32.0);
}

static void hdr(void **state)
{
    (void)state;
    ta_picture_source src = kit_small(AV_PIX_FMT_YUV420P);
    double white[3] = { 235, 128, 128 }, out[3];
    ta_link last;
    one_colour("hdr=hdr10 hdr-peak=600", src, AV_PIX_FMT_YUV420P10, white, out, &last);
    assert_true(fabs(out[0] - (16 + 219 * pq(100))) < 0.6); /* SDR white is at 100 nits */
    assert_true(fabs(out[1] - 128) < 0.6 && fabs(out[2] - 128) < 0.6);
    assert_int_equal(last.video.transfer, AVCOL_TRC_SMPTE2084);
    assert_int_equal(last.video.primaries, AVCOL_PRI_BT2020);
    assert_int_equal(last.video.matrix, AVCOL_SPC_BT2020_NCL);
    assert_int_equal(last.video.pix_fmt, AV_PIX_FMT_YUV420P10);
    one_colour("hdr=hlg", src, AV_PIX_FMT_YUV420P10, white, out, &last);
    assert_int_equal(last.video.transfer, AVCOL_TRC_ARIB_STD_B67);
    assert_true(out[0] > 100 && out[0] < 235);
}

static void rgb_steps(void **state)
{
    (void)state;
    /* Neutral steps add less than the rounding of 8 bits. */
    ta_picture_source src = kit_small(AV_PIX_FMT_YUV420P);
    kit_plan p;
    kit_frames in, ours;
    kit_make(&in, &src.video, 2, 0);
    for (int i = 0; i < 2; i++) /* within what RGB can show */
        for (int plane = 0; plane < 3; plane++)
            for (int y = 0; y < (plane ? 60 : 120); y++)
                for (int x = 0; x < (plane ? 80 : 160); x++)
                    kit_put(in.f[i], plane, x, y, 128 + (kit_get(in.f[i], plane, x, y) - 128) / 2);
    kit_plan_make(&p, "levels=0:255:0:254.999 colour-balance=rs=0", &src, AV_PIX_FMT_YUV420P);
    assert_int_equal(p.chain.count, 2);
    kit_run(&p.chain, &src.video, &in, &ours, NULL);
    assert_int_equal(ours.n, 2);
    double worst = 0, sum = 0;
    for (int y = 8; y < 112; y++)
        for (int x = 8; x < 152; x++) {
            double d = fabs(kit_get(ours.f[1], 0, x, y) - kit_get(in.f[1], 0, x, y));
            worst = fmax(worst, d);
            sum += d;
        }
    assert_true(worst <= 2);
    assert_true(sum / (104 * 144) < 0.35);
    kit_frames_free(&in);
    kit_frames_free(&ours);
    kit_plan_free(&p);
    /* Levels by their definition: (v - in black) / (in white - in black), on grey. */
    double grey[3] = { 16 + 219 * 0.5, 128, 128 }, out[3];
    ta_link last;
    one_colour("levels=32:223:0:255", src, AV_PIX_FMT_YUV420P, grey, out, &last);
    assert_true(fabs(out[0] - (16 + 219 * (127.5 - 32) / (223 - 32.0))) <= 1.1);
    one_colour("levels=0:255:32:223", src, AV_PIX_FMT_YUV420P, grey, out, &last);
    assert_true(fabs(out[0] - (16 + 219 * (32 + 0.5 * 191) / 255.0)) <= 1.1);
    assert_int_equal(last.video.matrix, AVCOL_SPC_SMPTE170M);
}

static void ten_bits_keep_ten(void **state)
{
    (void)state;
    /* vf_eq knows 8 bits only: a 10-bit ramp must keep its steps. */
    ta_picture_source src = kit_small(AV_PIX_FMT_YUV422P10);
    kit_plan p;
    kit_frames in = { .n = 1 }, ours;
    in.f[0] = kit_frame(&src.video, 0);
    kit_paint(in.f[0], 0, 0, 0, 1);
    for (int y = 0; y < 120; y++)
        for (int x = 0; x < 160; x++)
            kit_put(in.f[0], 0, x, y, 60 + x / 4.0);
    kit_plan_make(&p, "contrast=1.1 brightness=0.02 saturation=1.2", &src, AV_PIX_FMT_YUV422P10);
    kit_run(&p.chain, &src.video, &in, &ours, NULL);
    for (int x = 0; x < 160; x++) {
        double v = 60 + x / 4.0, want = 255 * (1.1 * (v / 255 - 0.5) + 0.5 + 0.02);
        if (fabs(kit_get(ours.f[0], 0, x, 50) - want) > 0.26)
            fail_msg("%g became %g, not %g", v, kit_get(ours.f[0], 0, x, 50), want);
    }
    kit_frames_free(&in);
    kit_frames_free(&ours);
    kit_plan_free(&p);
    /* Every chain of every format runs, and gives what the encoder wants. */
    static const enum AVPixelFormat formats[] = { AV_PIX_FMT_YUYV422,  AV_PIX_FMT_UYVY422,   AV_PIX_FMT_YUV411P,
                                                  AV_PIX_FMT_YUV410P,  AV_PIX_FMT_GRAY8,     AV_PIX_FMT_RGB24,
                                                  AV_PIX_FMT_GBRP,     AV_PIX_FMT_NV12,      AV_PIX_FMT_YUV422P10,
                                                  AV_PIX_FMT_YUVJ422P, AV_PIX_FMT_YUV444P12, AV_PIX_FMT_BGRA };
    for (size_t i = 0; i < TA_COUNT(formats); i++)
        for (int deep = 0; deep < 2; deep++) {
            ta_picture_source any = kit_small(formats[i]);
            any.scan = TA_SCAN_INTERLACED;
            any.order = TA_FIELDS_TFF;
            bool rgb = av_pix_fmt_desc_get(formats[i])->flags & AV_PIX_FMT_FLAG_RGB;
            any.video.matrix = rgb ? AVCOL_SPC_RGB : AVCOL_SPC_SMPTE170M;
            any.video.range = rgb ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
            in.n = 3;
            for (int f = 0; f < 3; f++) {
                in.f[f] = kit_frame(&any.video, f * 3003);
                for (int q = 0; q < 4 && in.f[f]->buf[q]; q++)
                    memset(in.f[f]->buf[q]->data, ta_fmt_depth(formats[i]) > 8 ? 1 : 0x42, in.f[f]->buf[q]->size);
            }
            enum AVPixelFormat want = deep ? AV_PIX_FMT_YUV420P10 : AV_PIX_FMT_YUV420P;
            kit_plan_make(&p,
                          "chroma-shift-x=4 dedot=yes deblock=weak denoise=hqdn3d deband=weak saturation=1.1 "
                          "colour-balance=rs=0.1 lut=vhs_restore resolution=2x sharpen=cas",
                          &any, want);
            if (p.status < 0)
                fail_msg("%s: %s", av_get_pix_fmt_name(formats[i]), p.err.text[0]);
            ta_link last;
            kit_run(&p.chain, &any.video, &in, &ours, &last);
            assert_int_equal(ours.n, 6);
            assert_int_equal(ours.f[5]->format, want);
            assert_int_equal(ours.f[5]->height, 240);
            assert_false(ta_link_differs(&last, ours.f[5]));
            kit_frames_free(&in);
            kit_frames_free(&ours);
            kit_plan_free(&p);
        }
}

/* Width to height of a dark disc on grey, by its area's second moments. */
static double roundness(const AVFrame *f)
{
    double m = 0, mx = 0, my = 0, xx = 0, yy = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int y = 0; y < f->height; y++)
            for (int x = 0; x < f->width; x++) {
                double w = (200 - kit_get(f, 0, x, y)) / 150;
                w = w < 0.02 ? 0 : w;
                if (!pass) {
                    m += w;
                    mx += w * x;
                    my += w * y;
                } else {
                    xx += w * (x - mx / m) * (x - mx / m);
                    yy += w * (y - my / m) * (y - my / m);
                }
            }
    return sqrt(xx / yy);
}

/* A disc that is round on a display of the true pixel shape must measure round in the output. */
static void circle_is_round(void **state)
{
    (void)state;
    static const struct {
        int w, h;
        AVRational declared;
        double pixel; /* true width of a pixel, its height 1 */
        const char *settings;
    } cases[] = {
        { 720, 480, { 8, 9 }, 10 / 11.0, "resolution=1080" },
        { 720, 480, { 8, 9 }, 10 / 11.0, "" },
        { 720, 480, { 32, 27 }, 40 / 33.0, "resolution=1080" },
        { 720, 576, { 16, 15 }, 12 / 11.0, "resolution=1080" },
        { 720, 576, { 64, 45 }, 16 / 11.0, "resolution=720" },
        { 720, 480, { 8, 9 }, 8 / 9.0, "sd-width=720 resolution=720" },
        { 720, 480, { 10, 11 }, 10 / 11.0, "resolution=1080" },
        { 720, 480, { 1, 1 }, 1, "resolution=1080" },
        { 704, 480, { 10, 11 }, 10 / 11.0, "resolution=1080" },
        { 352, 480, { 20, 11 }, 20 / 11.0, "resolution=720" },
        { 720, 480, { 8, 9 }, 10 / 11.0, "resolution=1080 head-switching=8" },
        { 640, 480, { 0, 1 }, 1, "resolution=1.7x" },
    };
    for (size_t i = 0; i < TA_COUNT(cases); i++) {
        ta_picture_source src = kit_ntsc();
        src.scan = TA_SCAN_PROGRESSIVE;
        src.video.fields = TA_FIELDS_PROGRESSIVE;
        src.video.width = cases[i].w;
        src.video.height = cases[i].h;
        src.video.sar = cases[i].declared;
        kit_frames in = { .n = 1 }, ours;
        in.f[0] = kit_frame(&src.video, 0);
        for (int plane = 1; plane < 3; plane++)
            for (int y = 0; y < cases[i].h / 2; y++)
                memset(in.f[0]->data[plane] + (ptrdiff_t)y * in.f[0]->linesize[plane], 128, (size_t)cases[i].w / 2);
        for (int y = 0; y < cases[i].h; y++)
            for (int x = 0; x < cases[i].w; x++) {
                double dx = (x - cases[i].w / 2.0 + 0.5) * cases[i].pixel, dy = y - cases[i].h / 2.0 + 0.5;
                kit_put(in.f[0], 0, x, y, 200 - 150 * TA_CLAMP(150.5 - hypot(dx, dy), 0.0, 1.0));
            }
        kit_plan p;
        kit_plan_make(&p, cases[i].settings, &src, AV_PIX_FMT_YUV420P);
        assert_int_equal(p.status, 0);
        kit_run(&p.chain, &src.video, &in, &ours, NULL);
        double round = roundness(ours.f[0]);
        if (fabs(round - 1) > 0.005)
            fail_msg("case %zu (%s): a circle is %.4f as wide as high", i, cases[i].settings, round);
        if (p.chain.count)
            assert_int_equal(av_cmp_q(ours.f[0]->sample_aspect_ratio, (AVRational){ 1, 1 }), 0);
        kit_frames_free(&in);
        kit_frames_free(&ours);
        kit_plan_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deinterlacers),
        cmocka_unit_test(classical_filters),
        cmocka_unit_test(windows_of_short_clips),
        cmocka_unit_test(samples_above_range),
        cmocka_unit_test(sd_to_hd_keeps_colours),
        cmocka_unit_test(full_range_becomes_limited),
        cmocka_unit_test(tags_by_order),
        cmocka_unit_test(hdr),
        cmocka_unit_test(rgb_steps),
        cmocka_unit_test(ten_bits_keep_ten),
        cmocka_unit_test(circle_is_round),
    };
    return cmocka_run_group_tests_name("picture run", tests, NULL, NULL);
}
