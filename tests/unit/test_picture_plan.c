/* Plans: which stages settings and sources give, in which order, with which words; and what is refused. */
#include "picture_kit.h"

#define FMT AV_PIX_FMT_YUV420P
#define CFR60 "constant rate[rate=60000/1001]"

static void nothing_to_do_is_no_stage(void **state)
{
    (void)state;
    kit_expect("", kit_small(FMT), FMT, "");
    kit_expect("denoise=off sharpen=off deinterlace=auto", kit_small(FMT), AV_PIX_FMT_NONE, "");
    kit_expect("contrast=1 gamma=1 lut-strength=0 lut=vhs_restore levels=0:255:0:255 sharpen=cas sharpen-strength=0",
               kit_small(FMT), FMT, "");
    /* The archive: nothing of an interlaced anamorphic tape changes. */
    kit_expect("deinterlace=off square-pixels=no encoder=ffv1", kit_ntsc(), AV_PIX_FMT_NONE, "");
}

static void deinterlacers_and_parity(void **state)
{
    (void)state;
    ta_picture_source src = kit_ntsc(), bff = kit_ntsc(), pal = kit_pal();
    bff.order = TA_FIELDS_BFF;
#define KEEP "square-pixels=no "
    kit_expect(KEEP, src, FMT, "deinterlace[bwdif=mode=send_field:parity=tff:deint=all] " CFR60);
    kit_expect(KEEP "deinterlace=yadif", bff, FMT, "deinterlace[yadif=mode=send_field:parity=bff:deint=all] " CFR60);
    kit_expect(KEEP "deinterlace=w3fdif field-order=bff", src, FMT,
               "deinterlace[w3fdif=filter=complex:mode=field:parity=bff:deint=all] " CFR60);
    kit_expect(KEEP "deinterlace=estdif field-rate=single", src, FMT,
               "deinterlace[estdif=mode=frame:parity=tff:deint=all] constant rate[rate=30000/1001]");
    kit_expect(KEEP, pal, FMT, "deinterlace[bwdif=mode=send_field:parity=tff:deint=all] constant rate[rate=50/1]");
    kit_expect(KEEP "vfr=yes", src, FMT, "deinterlace[bwdif=mode=send_field:parity=tff:deint=all]");
    kit_expect(KEEP "deinterlace=off", src, FMT, "");
    kit_expect(KEEP "field-order=progressive", src, FMT, "");
}

static void which_frames(void **state)
{
    (void)state;
    ta_picture_source mixed = kit_ntsc(), prog = kit_ntsc(), hard = kit_ntsc();
    mixed.scan = TA_SCAN_MIXED;
    prog.scan = TA_SCAN_PROGRESSIVE;
    hard.scan = TA_SCAN_HARD_TELECINE;
    kit_expect(KEEP, mixed, FMT, "deinterlace[bwdif=mode=send_field:parity=tff:deint=interlaced] " CFR60);
    kit_expect(KEEP "deinterlace-frames=all", mixed, FMT,
               "deinterlace[bwdif=mode=send_field:parity=tff:deint=all] " CFR60);
    kit_expect(KEEP, prog, FMT, "");
    kit_expect(KEEP "deinterlace-frames=all", prog, FMT,
               "deinterlace[bwdif=mode=send_field:parity=tff:deint=all] " CFR60);
    kit_expect(KEEP "deinterlace-frames=flagged", prog, FMT,
               "deinterlace[bwdif=mode=send_field:parity=tff:deint=interlaced] " CFR60);
    kit_plan p;
    kit_plan_make(&p, "deinterlace=yadif", &prog, FMT);
    assert_non_null(strstr(p.notes.data, "progressive"));
    assert_non_null(strstr(p.notes.data, "--deinterlace-frames all"));
    assert_null(strstr(p.text, "yadif"));
    kit_plan_free(&p);
    kit_plan_make(&p, "", &hard, FMT);
    assert_non_null(strstr(p.notes.data, "--ivtc on"));
    kit_plan_free(&p);
}

static void telecine(void **state)
{
    (void)state;
    ta_picture_source soft = kit_ntsc(), hard = kit_ntsc(), pal = kit_pal();
    soft.scan = TA_SCAN_SOFT_TELECINE;
    hard.scan = TA_SCAN_HARD_TELECINE;
    kit_expect(KEEP, soft, FMT, "constant rate[rate=24000/1001:once]");
    kit_expect(KEEP "vfr=yes", soft, FMT, "");
    kit_expect(KEEP "ivtc=on", hard, FMT,
               "inverse telecine[fieldmatch=order=tff:combmatch=full,yadif=mode=send_frame:parity=tff:deint=interlaced,"
               "decimate] constant rate[rate=24000/1001:once:slack=1.5]");
    kit_plan p;
    kit_plan_make(&p, "ivtc=on", &hard, FMT);
    assert_int_equal(p.chain.stages[1]->phase, 5);
    kit_plan_free(&p);
    kit_plan_make(&p, "ivtc=on", &pal, FMT);
    assert_int_equal(p.status, TA_ERR_USAGE);
    assert_true(p.err.hint[0]);
    kit_plan_free(&p);
}

static void sd_centre_and_size(void **state)
{
    (void)state;
    ta_picture_source src = kit_ntsc();
    src.scan = TA_SCAN_PROGRESSIVE;
    kit_expect(
        "resolution=1080", src, FMT,
        "crop[crop=iw-16:ih-0:8:0:exact=1] scale[colorspace=ispace=smpte170m:iprimaries=smpte170m:itrc=smpte170m:"
        "irange=tv:space=bt709:primaries=smpte170m:trc=smpte170m:range=tv,scale=1440:1080:flags=lanczos:"
        "in_color_matrix=bt709:in_range=tv:out_color_matrix=bt709:out_range=tv:in_h_chr_pos=0:in_v_chr_pos=128:"
        "out_h_chr_pos=0:out_v_chr_pos=128,setsar=1/1]");
    kit_plan p;
    kit_plan_make(&p, "sd-width=720 resolution=1080", &src, FMT);
    assert_null(strstr(p.text, "crop"));
    assert_non_null(strstr(p.text, "scale=1440:1080")); /* 720 * 8/9 is 640 too */
    kit_plan_free(&p);
    kit_plan_make(&p, "crop=20:0:4:0 head-switching=7 resolution=720", &src, FMT);
    assert_non_null(strstr(p.text, "crop=iw-28:ih-8:20:0:exact=1"));
    assert_non_null(strstr(p.notes.data, "widened"));
    kit_plan_free(&p);
    src.crop[0] = 2;
    src.crop[1] = 10;
    kit_plan_make(&p, "crop=auto square-pixels=no", &src, FMT);
    assert_string_equal(p.text, "crop[crop=iw-2:ih-10:2:10:exact=1]");
    kit_plan_free(&p);
    src.rotation = 90; /* the stored left side is shown on top, the stored top on the right */
    kit_plan_make(&p, "crop=auto square-pixels=no", &src, FMT);
    assert_string_equal(p.text, "rotate[transpose=clock] crop[crop=iw-10:ih-2:0:2:exact=1]");
    kit_plan_free(&p);
}

static void check_size(const char *settings, int w, int h, AVRational sar, int want_w, int want_h, AVRational want_sar)
{
    ta_settings *s = kit_settings(settings);
    ta_error err = { 0 };
    int ow = 0, oh = 0;
    AVRational osar = { 0, 1 };
    assert_int_equal(ta_picture_size(s, w, h, sar, &ow, &oh, &osar, &err), 0);
    assert_int_equal(ow, want_w);
    assert_int_equal(oh, want_h);
    assert_int_equal(av_cmp_q(osar, want_sar), 0);
    ta_settings_free(&s);
}

static void sizes(void **state)
{
    (void)state;
    const AVRational one = { 1, 1 }, n43 = { 10, 11 }, n169 = { 40, 33 }, p43 = { 12, 11 }, p169 = { 16, 11 };
    check_size("resolution=1080", 704, 480, n43, 1440, 1080, one);
    check_size("resolution=1080", 704, 480, n169, 1920, 1080, one);
    check_size("resolution=1080", 704, 576, p43, 1440, 1080, one);
    check_size("resolution=2160", 704, 576, p169, 3840, 2160, one);
    check_size("resolution=source", 704, 480, n43, 640, 480, one);
    check_size("resolution=source", 704, 576, p43, 768, 576, one);
    check_size("resolution=720", 1920, 800, one, 1280, 534, one);
    check_size("resolution=1080", 720, 1280, one, 1080, 1920, one);
    check_size("resolution=2x", 704, 480, n43, 1280, 960, one);
    check_size("resolution=1.5x", 320, 241, one, 480, 362, one);
    check_size("resolution=1000x600", 704, 480, n43, 800, 600, one);
    check_size("resolution=1000x600 square-pixels=no", 704, 480, n43, 1000, 600, (AVRational){ 4, 5 });
    check_size("resolution=source square-pixels=no", 720, 480, (AVRational){ 8, 9 }, 720, 480, (AVRational){ 8, 9 });
    check_size("resolution=2x square-pixels=no", 720, 480, (AVRational){ 8, 9 }, 1440, 960, (AVRational){ 8, 9 });
    check_size("resolution=source square-pixels=no encoder=ffv1", 721, 481, one, 721, 481, one);
    check_size("resolution=source", 721, 481, one, 720, 480, one);
    ta_settings *s = kit_settings("resolution=16x");
    ta_error err = { 0 };
    int w, h;
    AVRational sar;
    assert_int_equal(ta_picture_size(s, 1920, 1080, one, &w, &h, &sar, &err), TA_ERR_USAGE); /* over 16384 */
    assert_true(err.hint[0]);
    ta_settings_free(&s);
}

static void order_of_good_practice(void **state)
{
    (void)state;
    ta_picture_source src = kit_ntsc();
    src.rotation = 180;
    kit_plan p;
    kit_plan_make(&p,
                  "chroma-shift-x=-4 dedot=yes head-switching=8 deblock=weak denoise=hqdn3d deband=weak contrast=1.1 "
                  "colour-balance=rs=0.1:bs=-0.1 levels=16:235:0:255 lut=vhs_restore lut-strength=0.7 resolution=1080 "
                  "sharpen=cas",
                  &src, FMT);
    assert_int_equal(p.status, 0);
    static const char *const names[] = { "captions off", "chroma shift",   "dedot",   "deinterlace",   "constant rate",
                                         "rotate",       "crop",           "deblock", "denoise",       "deband",
                                         "colour",       "colour balance", "levels",  "look-up table", "scale",
                                         "sharpen",      "captions on" };
    assert_int_equal(p.chain.count, TA_COUNT(names));
    for (size_t i = 0; i < TA_COUNT(names); i++)
        assert_string_equal(p.chain.stages[i]->name, names[i]);
    kit_plan_free(&p);
}

static void strengths(void **state)
{
    (void)state;
    static const struct {
        const char *settings, *want;
        int behind, ahead;
    } cases[] = {
        { "denoise=hqdn3d", "hqdn3d=luma_spatial=4:chroma_spatial=3:luma_tmp=6:chroma_tmp=4.5", 45, 0 },
        { "denoise=hqdn3d denoise-strength=light", "hqdn3d=luma_spatial=1:chroma_spatial=1:luma_tmp=2:chroma_tmp=2", 30,
          0 },
        { "denoise=hqdn3d denoise-strength=heavy", "hqdn3d=luma_spatial=8:chroma_spatial=6:luma_tmp=12:chroma_tmp=9",
          64, 0 },
        { "denoise=hqdn3d denoise-strength=2:1:2:3", "hqdn3d=luma_spatial=2:chroma_spatial=1:luma_tmp=2:chroma_tmp=3",
          32, 0 },
        { "denoise=atadenoise", "atadenoise=0a=0.02:0b=0.04:1a=0.02:1b=0.04:2a=0.02:2b=0.04:s=9", 4, 4 },
        { "denoise=nlmeans denoise-strength=2.5:5", "nlmeans=s=2.5:p=5", 0, 0 },
        { "sharpen=unsharp sharpen-strength=0.25", "unsharp=lx=5:ly=5:la=0.5:cx=5:cy=5:ca=0", 0, 0 },
        { "sharpen=cas", "cas=strength=0.4", 0, 0 },
        { "deblock=strong", "deblock=filter=strong:block=8", 0, 0 },
        { "brightness=0.05 saturation=1.05 contrast=1.1", "eq=contrast=1.1:brightness=0.05:saturation=1.05", 0, 0 },
    };
    for (size_t i = 0; i < TA_COUNT(cases); i++) {
        kit_plan p;
        ta_picture_source src = kit_small(FMT);
        kit_plan_make(&p, cases[i].settings, &src, FMT);
        assert_int_equal(p.status, 0);
        assert_int_equal(p.chain.count, 1);
        assert_string_equal(p.chain.stages[0]->spec, cases[i].want);
        assert_int_equal(p.chain.stages[0]->look_behind, cases[i].behind);
        assert_int_equal(p.chain.stages[0]->look_ahead, cases[i].ahead);
        kit_plan_free(&p);
    }
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *settings;
        int status;
    } cases[] = {
        { "deinterlace=qtgmc", TA_ERR_UNAVAILABLE },
        { "engine=realesrgan", TA_ERR_UNAVAILABLE },
        { "engine=rtxvideo", TA_ERR_UNAVAILABLE },
        { "face-restore=gfpgan", TA_ERR_UNAVAILABLE },
        { "denoise=hqdn3d denoise-strength=1:2:3:4:5", TA_ERR_USAGE },
        { "denoise=hqdn3d denoise-strength=-1", TA_ERR_USAGE },
        { "denoise=hqdn3d denoise-strength=4:3:", TA_ERR_USAGE },
        { "denoise=nlmeans denoise-strength=99", TA_ERR_USAGE },
        { "crop=1:2:3", TA_ERR_USAGE },
        { "crop=80:0:80:0", TA_ERR_USAGE },
        { "colour-balance=rx=0.1", TA_ERR_USAGE },
        { "colour-balance=rs=2", TA_ERR_USAGE },
        { "colour-balance=rs=0.1:", TA_ERR_USAGE },
        { "levels=235:16:0:255", TA_ERR_USAGE },
        { "levels=0:255:0", TA_ERR_USAGE },
        { "lut=vhs_restor", TA_ERR_USAGE },
        { "lut=/nowhere/x.cube", TA_ERR_NOINPUT },
        { "hdr=hdr10", TA_ERR_USAGE }, /* into 8 bits */
    };
    for (size_t i = 0; i < TA_COUNT(cases); i++) {
        kit_plan p;
        ta_picture_source src = kit_small(FMT);
        kit_plan_make(&p, cases[i].settings, &src, FMT);
        if (p.status != cases[i].status)
            fail_msg("'%s' gives %d: %s", cases[i].settings, p.status, p.text);
        assert_int_equal(p.err.code, cases[i].status);
        assert_int_equal(p.chain.count, 0);
        if (cases[i].status != TA_ERR_NOINPUT && !p.err.hint[0])
            fail_msg("'%s' is refused without a hint", cases[i].settings);
        kit_plan_free(&p);
    }
}

static void engine_auto_is_classic(void **state)
{
    (void)state;
    kit_plan a, b;
    ta_picture_source src = kit_small(FMT);
    kit_plan_make(&a, "engine=auto resolution=720", &src, FMT);
    kit_plan_make(&b, "engine=classic resolution=720", &src, FMT);
    assert_true(a.chain.count == 1);
    assert_string_equal(a.text, b.text);
    kit_plan_free(&a);
    kit_plan_free(&b);
}

static void shifts_in_whole_samples(void **state)
{
    (void)state;
    ta_picture_source src = kit_ntsc();
    kit_plan p;
    kit_plan_make(&p, KEEP "chroma-shift-x=3 chroma-shift-y=2", &src, FMT);
    /* A vertical shift comes after the fields became frames; 3 pixels are 2 samples of 2 pixels. */
    assert_string_equal(p.chain.stages[1]->name, "deinterlace");
    assert_string_equal(p.chain.stages[3]->spec, "chromashift=cbh=2:crh=2:cbv=1:crv=1");
    assert_non_null(strstr(p.notes.data, "chroma-shift-x 3 is rounded to 4"));
    kit_plan_free(&p);
    kit_plan_make(&p, KEEP "deinterlace=off chroma-shift-y=2", &src, FMT);
    assert_non_null(strstr(p.notes.data, "rounded"));
    kit_plan_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_do_is_no_stage),
        cmocka_unit_test(deinterlacers_and_parity),
        cmocka_unit_test(which_frames),
        cmocka_unit_test(telecine),
        cmocka_unit_test(sd_centre_and_size),
        cmocka_unit_test(sizes),
        cmocka_unit_test(order_of_good_practice),
        cmocka_unit_test(strengths),
        cmocka_unit_test(refusals),
        cmocka_unit_test(engine_auto_is_classic),
        cmocka_unit_test(shifts_in_whole_samples),
    };
    return cmocka_run_group_tests_name("picture plan", tests, NULL, NULL);
}
