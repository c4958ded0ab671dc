/* Time through the stages: exact field times, gaps kept, repeats shown, film rates; captions exactly once. */
#include "picture_kit.h"

enum { N = 24 };

/* Slot of each output frame on the grid that begins with the first; fails when one is off it. */
static void slots(const kit_frames *out, const ta_link *last, int *slot)
{
    int64_t step = av_rescale_q(1, av_inv_q(last->video.frame_rate), last->video.time_base);
    for (int i = 0; i < out->n; i++) {
        int64_t t = out->f[i]->pts - out->f[0]->pts;
        if (t % step)
            fail_msg("frame %d is at %ld, between two places of %ld", i, (long)t, (long)step);
        slot[i] = (int)(t / step);
        if (i && slot[i] <= slot[i - 1])
            fail_msg("frame %d takes place %d behind %d", i, slot[i], slot[i - 1]);
    }
}

static double seconds(const AVFrame *f, const ta_link *l)
{
    return (double)f->pts * av_q2d(l->video.time_base);
}

static ta_picture_source tape(AVRational tb)
{
    ta_picture_source src = kit_small(AV_PIX_FMT_YUV420P);
    src.scan = TA_SCAN_INTERLACED;
    src.order = src.video.fields = TA_FIELDS_TFF;
    src.video.width = 96;
    src.video.height = 64;
    src.video.time_base = tb;
    return src;
}

static void shift(kit_frames *k, int64_t by)
{
    for (int i = 0; i < k->n; i++)
        k->f[i]->pts += by;
}

/* Removes frames from..to-1, as a hole in the tape does. */
static void cut(kit_frames *k, int from, int to)
{
    for (int i = from; i < to; i++)
        av_frame_free(&k->f[i]);
    memmove(k->f + from, k->f + to, (size_t)(k->n - to) * sizeof *k->f);
    k->n -= to - from;
}

/* Frames through a plan: what every test here needs. */
typedef struct run {
    ta_picture_source src;
    kit_frames in, out;
    kit_plan p;
    ta_link last;
    int slot[512];
} run;

/* Frames of an interlaced tape. */
static void begin(run *r, AVRational tb, ta_scan scan, int frames)
{
    r->src = tape(tb);
    r->src.scan = scan;
    kit_make(&r->in, &r->src.video, frames, 3);
}

/* Runs them through the plan of these settings; where the output is on a grid, its places are found. */
static void go(run *r, const char *settings, bool grid)
{
    kit_plan_make(&r->p, settings, &r->src, AV_PIX_FMT_YUV420P);
    kit_run(&r->p.chain, &r->src.video, &r->in, &r->out, &r->last);
    if (grid)
        slots(&r->out, &r->last, r->slot);
}

static void go_deinterlacer(run *r, const char *method)
{
    char settings[64];
    snprintf(settings, sizeof settings, "deinterlace=%s", method);
    go(r, settings, true);
}

/* What came out; the input may go through another plan. */
static void end_one(run *r)
{
    kit_frames_free(&r->out);
    kit_plan_free(&r->p);
}

static void end(run *r)
{
    kit_frames_free(&r->in);
    end_one(r);
}

static void assert_untouched(const run *r)
{
    assert_int_equal(r->p.counts.shown_twice + r->p.counts.dropped + r->p.counts.gaps, 0);
}

static void assert_rate(const run *r, int rate)
{
    assert_int_equal(av_cmp_q(r->last.video.frame_rate, (AVRational){ rate, 1001 }), 0);
}

static const AVRational mpeg_ticks = { 1, 90000 };
static const char *const methods[] = { "bwdif", "yadif", "w3fdif", "estdif" };

static void fields_at_their_times(void **state)
{
    (void)state;
    for (size_t m = 0; m < TA_COUNT(methods); m++) {
        run r;
        begin(&r, mpeg_ticks, TA_SCAN_INTERLACED, N);
        shift(&r.in, 48003);
        go_deinterlacer(&r, methods[m]);
        assert_int_equal(r.out.n, 2 * N);
        assert_rate(&r, 60000);
        assert_int_equal(r.slot[2 * N - 1], 2 * N - 1);
        assert_true(fabs(seconds(r.out.f[0], &r.last) - 48003 / 90000.0) < 20e-6); /* the start offset stays */
        assert_untouched(&r);
        end(&r);
    }
}

static void jitter_is_smoothed(void **state)
{
    (void)state;
    /* Matroska's milliseconds, a capture card's jitter, and a first frame that is itself off by 6 ms. */
    for (int kind = 0; kind < 3; kind++) {
        run r;
        uint32_t seed = 5;
        begin(&r, kind == 0 ? (AVRational){ 1, 1000 } : mpeg_ticks, TA_SCAN_INTERLACED, 120);
        if (kind == 0)
            r.src.video.frame_rate = (AVRational){ 19001, 634 }; /* libav's guess from milliseconds */
        for (int i = 0; i < r.in.n; i++) {
            r.in.f[i]->pts = av_rescale_q(i, (AVRational){ 1001, 30000 }, r.src.video.time_base);
            if (kind == 1)
                r.in.f[i]->pts += (int64_t)(kit_random(&seed) % 541) - 270;
        }
        if (kind == 2)
            r.in.f[0]->pts -= 540;
        go(&r, "", true);
        assert_int_equal(r.out.n, 240);
        assert_int_equal(r.slot[239], 239);
        assert_rate(&r, 60000);
        assert_untouched(&r);
        end(&r);
    }
}

static void gaps_stay(void **state)
{
    (void)state;
    for (size_t m = 0; m < TA_COUNT(methods); m++) {
        run r;
        begin(&r, mpeg_ticks, TA_SCAN_INTERLACED, 40);
        cut(&r.in, 10, 25);
        go_deinterlacer(&r, methods[m]);
        assert_int_equal(r.out.n, 50);
        assert_int_equal(r.slot[19], 19); /* the second field before the hole isn't moved into it */
        assert_int_equal(r.slot[20], 50);
        assert_int_equal(r.slot[49], 79);
        assert_int_equal(r.p.counts.gaps, 1);
        assert_int_equal(r.p.counts.shown_twice + r.p.counts.dropped, 0);
        end(&r);
    }
}

/* A DVD: interlaced video, then film whose frames last three and two fields in turn, then video. */
static void mix(kit_frames *in)
{
    int64_t field = 0;
    for (int i = 0; i < in->n; i++) {
        bool film = i >= 10 && i < 30;
        in->f[i]->pts = field * 3003 / 2;
        in->f[i]->interlaced_frame = !film;
        in->f[i]->repeat_pict = film && i % 2;
        field += film && i % 2 ? 3 : 2;
    }
}

static void mixed_is_shown_as_long_as_it_lasts(void **state)
{
    (void)state;
    run r;
    begin(&r, mpeg_ticks, TA_SCAN_MIXED, 40);
    mix(&r.in);
    go(&r, "", true);
    /* 20 frames of video make 40 fields, 20 of film 50: none is missing, none is doubled without reason. */
    assert_int_equal(r.out.n, 90);
    assert_int_equal(r.slot[89], 89);
    assert_int_equal(r.p.counts.shown_twice, 30);
    assert_int_equal(r.p.counts.dropped + r.p.counts.gaps, 0);
    /* The progressive frames are whole: the very samples of the source. */
    static const int same[][2] = { { 20, 10 }, { 21, 10 }, { 22, 11 }, { 24, 11 }, { 25, 12 } };
    for (size_t i = 0; i < TA_COUNT(same); i++)
        assert_true(kit_same_picture(r.out.f[same[i][0]], r.in.f[same[i][1]]));
    end_one(&r);

    go(&r, "vfr=yes", false);
    assert_int_equal(r.out.n, 60); /* each progressive frame once */
    for (int i = 0; i < 20; i++)
        assert_true(fabs(seconds(r.out.f[20 + i], &r.last) - (double)r.in.f[10 + i]->pts / 90000) < 1e-5);
    end_one(&r);

    go(&r, "field-rate=single", true);
    assert_int_equal(r.out.n, 45); /* 90 fields */
    assert_int_equal(r.slot[44], 44);
    end(&r);
}

static void progressive_before_a_gap(void **state)
{
    (void)state;
    run r;
    begin(&r, mpeg_ticks, TA_SCAN_MIXED, 20);
    for (int i = 0; i < r.in.n; i++)
        r.in.f[i]->interlaced_frame = 0;
    cut(&r.in, 5, 15);
    go(&r, "", true);
    assert_int_equal(r.out.n, 20);
    assert_int_equal(r.slot[9], 9); /* shown twice, as long as it lasts itself, not through the hole */
    assert_int_equal(r.slot[10], 30);
    assert_int_equal(r.slot[19], 39);
    assert_int_equal(r.p.counts.gaps, 1);
    end(&r);
}

static void soft_telecine_is_film_again(void **state)
{
    (void)state;
    for (int phase = 0; phase < 2; phase++) {
        run r;
        int64_t field = 0;
        begin(&r, mpeg_ticks, TA_SCAN_SOFT_TELECINE, 48);
        for (int i = 0; i < r.in.n; i++) {
            r.in.f[i]->pts = field * 3003 / 2;
            r.in.f[i]->interlaced_frame = 0;
            r.in.f[i]->repeat_pict = (i + phase) % 2;
            field += 2 + r.in.f[i]->repeat_pict;
        }
        go(&r, "", true);
        assert_int_equal(r.out.n, 48);
        assert_int_equal(r.slot[47], 47);
        assert_rate(&r, 24000);
        assert_untouched(&r);
        for (int i = 0; i < 48; i++)
            assert_true(kit_same_picture(r.out.f[i], r.in.f[i]));
        end(&r);
    }
}

/* Film, and what libavfilter's telecine makes of it on this tape. */
static void telecined(run *r, kit_frames *film, enum AVPixelFormat fmt, int frames)
{
    r->src = tape(mpeg_ticks);
    r->src.scan = TA_SCAN_HARD_TELECINE;
    r->src.video.pix_fmt = fmt;
    ta_video_format v = r->src.video;
    v.frame_rate = (AVRational){ 24000, 1001 };
    v.fields = TA_FIELDS_PROGRESSIVE;
    kit_make(film, &v, frames, 0);
    kit_oracle("telecine=first_field=top:pattern=23", &v, film, &r->in);
    for (int i = 0; i < r->in.n; i++) {
        r->in.f[i]->pts = i * 3003;
        r->in.f[i]->interlaced_frame = 1;
        r->in.f[i]->top_field_first = 1;
    }
}

/* Film telecined by libavfilter comes back as the film it was; a hole stays where it was. */
static void inverse_telecine(void **state)
{
    (void)state;
    for (int hole = 0; hole < 2; hole++) {
        run r;
        kit_frames film;
        telecined(&r, &film, AV_PIX_FMT_YUV420P, 60);
        assert_int_equal(r.in.n, 75);
        if (hole)
            cut(&r.in, 30, 50); /* four cycles of five */
        go(&r, "ivtc=on", true);
        assert_rate(&r, 24000);
        assert_int_equal(r.out.n, hole ? 44 : 60);
        assert_int_equal(r.slot[r.out.n - 1], 59);
        int exact = 0;
        for (int i = 0; i < r.out.n; i++)
            exact += kit_same_picture(r.out.f[i], film.f[r.slot[i]]);
        assert_true(exact >= r.out.n - 3); /* at the ends and at the hole a field may be missing */
        assert_int_equal(r.p.counts.gaps, hole);
        assert_int_equal(r.p.counts.dropped + r.p.counts.shown_twice, 0);
        kit_frames_free(&film);
        end(&r);
    }
}

static double worst_luma(const AVFrame *a, const AVFrame *b)
{
    double worst = 0;
    for (int y = 0; y < a->height; y++)
        for (int x = 0; x < a->width; x++)
            worst = fmax(worst, fabs(kit_get(a, 0, x, y) - kit_get(b, 0, x, y)));
    return worst;
}

static void ten_bit_telecine(void **state)
{
    (void)state;
    /* vf_fieldmatch knows 8 bits only: said, and the frames are right but for the rounding. */
    run r;
    kit_frames film;
    telecined(&r, &film, AV_PIX_FMT_YUV422P10, 40);
    kit_plan_make(&r.p, "ivtc=on", &r.src, AV_PIX_FMT_YUV422P10);
    assert_non_null(strstr(r.p.notes.data, "8 bits"));
    kit_run(&r.p.chain, &r.src.video, &r.in, &r.out, &r.last);
    assert_int_equal(r.last.video.pix_fmt, AV_PIX_FMT_YUV422P10);
    assert_int_equal(r.out.n, 40);
    int right = 0;
    for (int i = 0; i < r.out.n; i++)
        right += worst_luma(r.out.f[i], film.f[i]) <= 1;
    assert_true(right >= 37);
    kit_frames_free(&film);
    end(&r);
}

/* Frames off their places: two on one place, one far away. */
static void taken_places_are_counted(void **state)
{
    (void)state;
    ta_video_format v = tape(mpeg_ticks).video;
    v.fields = TA_FIELDS_PROGRESSIVE;
    kit_frames in, out;
    ta_chain chain = { 0 };
    ta_link last;
    int slot[512];
    kit_make(&in, &v, 10, 0);
    in.f[4]->pts = in.f[3]->pts + 90; /* the same moment again */
    in.f[9]->pts += 3003 * 5;
    ta_stage *st = ta_stage_new(&ta_constant_rate_stage, "constant rate", "");
    assert_int_equal(ta_chain_add(&chain, st), 0);
    kit_run(&chain, &v, &in, &out, &last);
    slots(&out, &last, slot);
    assert_int_equal(out.n, 9);
    assert_int_equal(slot[8], 14);
    kit_frames_free(&in);
    kit_frames_free(&out);
    ta_chain_free(&chain);
}

/* ---- Captions -----------------------------------------------------------------------------------------------------
 */

/* Two numbered packets and one that is not valid; AFD and time code too. */
static void put_captions(AVFrame *f, int i)
{
    AVFrameSideData *cc = av_frame_new_side_data(f, AV_FRAME_DATA_A53_CC, 9);
    uint8_t data[9] = { 0xfc, (uint8_t)i, 1, 0xfd, (uint8_t)i, 2, 0xf8, 0, 0 };
    memcpy(cc->data, data, 9);
    av_frame_new_side_data(f, AV_FRAME_DATA_AFD, 1)->data[0] = (uint8_t)i;
    AVFrameSideData *tc = av_frame_new_side_data(f, AV_FRAME_DATA_S12M_TIMECODE, 16);
    memset(tc->data, i, 16);
}

/* All valid packets of the output, in order, must be those of `n` frames; no frame may have more than 31. */
static void check_captions(const kit_frames *out, int n)
{
    int next = 0;
    for (int i = 0; i < out->n; i++) {
        const AVFrameSideData *cc = av_frame_get_side_data(out->f[i], AV_FRAME_DATA_A53_CC);
        if (!cc)
            continue;
        assert_true(cc->size <= 31 * 3);
        for (size_t k = 0; k < cc->size; k += 3) {
            if (!(cc->data[k] & 4))
                continue;
            assert_int_equal(cc->data[k + 1], next / 2);
            assert_int_equal(cc->data[k + 2], next % 2 + 1);
            next++;
        }
    }
    assert_int_equal(next, 2 * n);
}

static int with_side_data(const kit_frames *out, enum AVFrameSideDataType kind)
{
    int n = 0;
    for (int i = 0; i < out->n; i++)
        n += av_frame_get_side_data(out->f[i], kind) != NULL;
    return n;
}

static void captions_exactly_once(void **state)
{
    (void)state;
    static const struct {
        const char *settings;
        ta_scan scan;
        int out;
    } cases[] = {
        { "", TA_SCAN_INTERLACED, 80 },
        { "vfr=yes", TA_SCAN_INTERLACED, 80 },
        { "field-rate=single", TA_SCAN_INTERLACED, 40 },
        { "", TA_SCAN_MIXED, 90 },
        { "ivtc=on", TA_SCAN_HARD_TELECINE, 32 },
        { "deinterlace=off", TA_SCAN_INTERLACED, 40 },
        { "resolution=2x denoise=atadenoise sharpen=cas", TA_SCAN_INTERLACED, 80 },
    };
    for (size_t c = 0; c < TA_COUNT(cases); c++) {
        run r;
        begin(&r, mpeg_ticks, cases[c].scan, 40);
        if (cases[c].scan == TA_SCAN_MIXED)
            mix(&r.in);
        for (int i = 0; i < r.in.n; i++)
            put_captions(r.in.f[i], i);
        go(&r, cases[c].settings, false);
        assert_int_equal(r.out.n, cases[c].out);
        check_captions(&r.out, 40);
        /* A dropped frame's are replaced by those of the frame behind it. */
        int once = TA_MIN(r.out.n, 40), least = r.out.n < 40 ? r.out.n - 2 : once;
        assert_in_range(with_side_data(&r.out, AV_FRAME_DATA_AFD), least, once);
        assert_in_range(with_side_data(&r.out, AV_FRAME_DATA_S12M_TIMECODE), least, once);
        if (strcmp(cases[c].settings, "deinterlace=off")) {
            assert_int_equal(r.p.counts.captions_in, 80);
            assert_int_equal(r.p.counts.captions_out, 80);
        }
        end(&r);
    }
}

static void at_most_31_packets(void **state)
{
    (void)state;
    /* Full frames of 20 packets, every fifth frame dropped: 40 due on one, 31 fit, the rest follows. */
    ta_video_format v = tape(mpeg_ticks).video;
    ta_stage *take = ta_stage_new(&ta_captions_take_stage, "off", ""),
             *give = ta_stage_new(&ta_captions_give_stage, "on", "");
    ta_picture_counts counts = { 0 };
    ta_error err = { 0 };
    assert_int_equal(ta_captions_join(take, give, &counts, &err), 0);
    ta_link link = { .type = AVMEDIA_TYPE_VIDEO, .video = v }, out_link;
    take->in = give->in = link;
    assert_int_equal(take->cls->configure(take, &link, &out_link, &err), 0);
    assert_int_equal(give->cls->configure(give, &link, &out_link, &err), 0);
    kit_frames between = { 0 }, out = { 0 };
    take->emit = give->emit = kit_collect;
    take->emit_to = &between;
    give->emit_to = &out;
    for (int i = 0; i < 25; i++) {
        AVFrame *f = kit_frame(&v, i * 3003);
        uint8_t *cc = av_frame_new_side_data(f, AV_FRAME_DATA_A53_CC, 60)->data;
        for (int k = 0; k < 20; k++) {
            cc[3 * k] = 0xfc;
            cc[3 * k + 1] = (uint8_t)i;
            cc[3 * k + 2] = (uint8_t)k;
        }
        assert_int_equal(take->cls->push(take, f, &err), 0);
    }
    assert_int_equal(take->cls->drain(take, &err), 0);
    for (int i = 0; i < between.n; i++) {
        assert_null(av_frame_get_side_data(between.f[i], AV_FRAME_DATA_A53_CC));
        if (i % 5 == 2)
            av_frame_free(&between.f[i]);
        else
            assert_int_equal(give->cls->push(give, between.f[i], &err), 0);
    }
    assert_int_equal(give->cls->drain(give, &err), 0);
    int next = 0;
    for (int i = 0; i < out.n; i++) {
        const AVFrameSideData *cc = av_frame_get_side_data(out.f[i], AV_FRAME_DATA_A53_CC);
        assert_non_null(cc);
        assert_true(cc->size <= 93);
        for (size_t k = 0; k < cc->size; k += 3, next++)
            assert_int_equal(cc->data[k + 1] * 20 + cc->data[k + 2], next);
    }
    assert_int_equal(next, 500);
    assert_int_equal(counts.captions_in, 500);
    assert_int_equal(counts.captions_out, 500);
    kit_frames_free(&out);
    ta_stage_free(&take);
    ta_stage_free(&give);
}

/* ---- Change of format in mid-stream -------------------------------------------------------------------------------
 */

static void shape_changes_are_fitted_in(void **state)
{
    (void)state;
    /* A 4:3 recording becomes 16:9 and then a smaller picture: the output stays 1440x1080 with square pixels. */
    ta_picture_source src = kit_ntsc();
    src.scan = TA_SCAN_PROGRESSIVE;
    kit_plan p;
    ta_error err = { 0 };
    kit_plan_make(&p, "resolution=1080", &src, AV_PIX_FMT_YUV420P);
    ta_link link = { .type = AVMEDIA_TYPE_VIDEO, .video = src.video }, first, changed;
    assert_int_equal(ta_chain_configure(&p.chain, &link, &first, &err), 0);
    static const struct {
        int w, h;
        AVRational sar;
        int bar_top; /* black lines in the output; the planned crop of 16 columns stays */
    } cases[] = { { 720, 480, { 32, 27 }, 135 }, { 720, 480, { 8, 9 }, 0 }, { 352, 240, { 1, 1 }, 26 } };
    for (size_t i = 0; i < TA_COUNT(cases); i++) {
        ta_video_format v = src.video;
        v.width = cases[i].w;
        v.height = cases[i].h;
        v.sar = cases[i].sar;
        link.video = v;
        assert_int_equal(ta_chain_configure(&p.chain, &link, &changed, &err), 0);
        assert_int_equal(changed.video.width, 1440);
        assert_int_equal(changed.video.height, 1080);
        assert_int_equal(av_cmp_q(changed.video.sar, (AVRational){ 1, 1 }), 0);
        AVFrame *f = kit_frame(&v, 0);
        kit_paint(f, 0, 0, 0, 1);
        for (int y = 0; y < v.height; y++)
            memset(f->data[0] + (ptrdiff_t)y * f->linesize[0], 200, (size_t)v.width);
        kit_frames out = { 0 };
        assert_int_equal(ta_chain_push(&p.chain, f, kit_collect, &out, &err), 0);
        assert_int_equal(ta_chain_push(&p.chain, NULL, kit_collect, &out, &err), 0);
        assert_int_equal(out.n, 1);
        int black = 0;
        while (black < 540 && kit_get(out.f[0], 0, 720, black) < 60)
            black++;
        if (abs(black - cases[i].bar_top) > 2)
            fail_msg("case %zu: %d black lines, not %d", i, black, cases[i].bar_top);
        kit_frames_free(&out);
    }
    kit_plan_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_at_their_times),
        cmocka_unit_test(jitter_is_smoothed),
        cmocka_unit_test(gaps_stay),
        cmocka_unit_test(mixed_is_shown_as_long_as_it_lasts),
        cmocka_unit_test(progressive_before_a_gap),
        cmocka_unit_test(soft_telecine_is_film_again),
        cmocka_unit_test(inverse_telecine),
        cmocka_unit_test(ten_bit_telecine),
        cmocka_unit_test(taken_places_are_counted),
        cmocka_unit_test(captions_exactly_once),
        cmocka_unit_test(at_most_31_packets),
        cmocka_unit_test(shape_changes_are_fitted_in),
    };
    return cmocka_run_group_tests_name("picture time", tests, NULL, NULL);
}
