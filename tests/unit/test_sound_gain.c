/* Gain and limiter: the arithmetic, and what comes out measured by libebur128 and, for peaks, by swresample at eight
 * times the rate. */
#include <libswresample/swresample.h>

#include "sound_kit.h"

static ta_gain gain_for(const char *pairs, double integrated, double range, double peak)
{
    ta_settings *s = kit_settings(pairs);
    ta_loudness l = { integrated, range, peak };
    ta_gain g;
    ta_sound_gain(s, &l, &g);
    ta_settings_free(&s);
    return g;
}

static void arithmetic(void **state)
{
    static const struct {
        const char *pairs;
        double integrated, peak, gain;
        bool limited;
        double expected;
        const char *reason;
    } cases[] = {
        { "normalize=yes", -20.2, -10, 6.2, false, -14, "raised 6.2 dB to -14.0 LUFS" },
        { "normalize=yes", -20.2, -4.6, 3.1, true, -17.1, "raised 3.1 dB to -17.1 LUFS: limited by the true peak" },
        { "normalize=yes", -9, -1, -5, false, -14, "lowered 5.0 dB to -14.0 LUFS" },
        { "normalize=yes", -16, 0.5, -2, true, -18, "lowered 2.0 dB to -18.0 LUFS: limited by the true peak" },
        { "normalize=yes", -14, -6, 0, false, -14, "left at -14.0 LUFS" },
        { "normalize=yes loudness=-23 true-peak=-1", -30, -20, 7, false, -23, "raised 7.0 dB to -23.0 LUFS" },
        { "normalize=yes limiter=yes", -26, -8, 12, false, -14,
          "raised 12.0 dB to -14.0 LUFS, peaks held under -1.5 dBTP" },
        { "normalize=yes limiter=yes", -20, -10, 6, false, -14, "raised 6.0 dB to -14.0 LUFS" },
        { "", -30, -20, 0, false, -30, "not normalized" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ta_gain g = gain_for(cases[i].pairs, cases[i].integrated, 5, cases[i].peak);
        assert_true(fabs(g.gain_db - cases[i].gain) < 1e-9);
        assert_true(fabs(g.expected - cases[i].expected) < 1e-9);
        assert_int_equal(g.peak_limited, cases[i].limited);
        assert_string_equal(g.reason, cases[i].reason);
    }
}

static void silence_is_left(void **state)
{
    ta_gain g = gain_for("normalize=yes limiter=yes", -HUGE_VAL, 0, -HUGE_VAL);
    assert_true(g.gain_db == 0 && g.makeup_db == 0 && !g.limited && !g.peak_limited);
    assert_string_equal(g.reason, "silent, left as it is");
    g = gain_for("normalize=yes", -80, 0, -HUGE_VAL);
    assert_true(isfinite(g.gain_db));
}

static sig *apply(const char *spec, const sig *in, enum AVSampleFormat fmt)
{
    ta_chain chain = { 0 };
    assert_int_equal(ta_chain_add(&chain, ta_stage_new(&ta_filter_stage, "gain", spec)), 0);
    sig *out = sig_run(&chain, in, fmt, 0);
    ta_chain_free(&chain);
    return out;
}

static ta_loudness measure(const sig *s)
{
    ta_error err = { 0 };
    ta_loudness_meter *m = NULL;
    ta_loudness l;
    ta_audio_format f = { s->rate, s->layout, AV_SAMPLE_FMT_DBLP };
    assert_ok(ta_loudness_meter_new(&m, &f, &err), &err);
    AVFrame *frame = sig_frame(s, 0, (int)s->n, AV_SAMPLE_FMT_DBLP, 0);
    assert_ok(ta_loudness_meter_add(m, frame, &err), &err);
    av_frame_free(&frame);
    assert_ok(ta_loudness_meter_result(m, &l, &err), &err);
    ta_loudness_meter_free(&m);
    return l;
}

/* Highest sample in dB after resampling to eight times the rate: a stricter judge than BS.1770's four. */
static double peak8(const sig *s)
{
    sig *up = sig_graph("aresample=osr=384000:filter_size=64:osf=dblp", s, AV_SAMPLE_FMT_DBLP);
    double most = 0;
    for (int c = 0; c < up->layout.nb_channels; c++)
        most = TA_MAX(most, fabs(up->x[c][kit_peak(up, c)]));
    sig_free(up);
    return kit_db(most);
}

static void volume_is_exact(void **state)
{
    ta_settings *s = kit_settings("normalize=yes");
    sig *in = sig_new(48000, "stereo", 48000);
    sig_noise(in, 0, -30, 1);
    sig_noise(in, 1, -40, 2);
    ta_loudness l = { -26.2, 3, -20 };
    ta_gain g;
    ta_sound_gain(s, &l, &g);
    ta_audio_format f = { 48000, in->layout, AV_SAMPLE_FMT_FLTP };
    char *spec = ta_sound_gain_spec(s, &g, &l, &f);
    sig *out = apply(spec, in, AV_SAMPLE_FMT_FLTP);
    double factor = pow(10, 12.2 / 20);
    assert_int_equal(out->n, in->n);
    for (int c = 0; c < 2; c++)
        for (int64_t i = 0; i < in->n; i++)
            assert_true(fabs(out->x[c][i] - (float)in->x[c][i] * factor) <= 6e-8 * fabs(out->x[c][i]));
    ta_free(spec);
    g = (ta_gain){ .ratio = 1 };
    spec = ta_sound_gain_spec(s, &g, &l, &f);
    assert_string_equal(spec, "");
    ta_free(spec);
    sig_free(in);
    sig_free(out);
    ta_settings_free(&s);
}

/* ---- The limiter ------------------------------------------------------------------------------------------------ */

typedef struct tape {
    const sig *s;
    int64_t at;
    int rewinds;
} tape;

static int read_tape(void *opaque, bool rewind, AVFrame **frame, ta_error *err)
{
    tape *t = opaque;
    if (rewind) {
        t->at = 0;
        t->rewinds++;
    }
    int count = (int)TA_MIN(t->s->n - t->at, 4096);
    *frame = count > 0 ? sig_frame(t->s, t->at, count, AV_SAMPLE_FMT_FLTP, 0) : NULL;
    t->at += count;
    return 0;
}

/* Speech-like: syllables of two tones over noise, crackles over them; `swing` dB between scenes of 4 s. */
static sig *crackly(const char *layout, double db, double crackle, double swing)
{
    int seconds = swing > 0 ? 16 : 5;
    sig *s = sig_new(48000, layout, seconds * 48000);
    for (int c = 0; c < s->layout.nb_channels; c++) {
        sig_noise(s, c, -60, 5 + (uint32_t)c);
        for (int i = 0; i < seconds * 3; i++) {
            double level = db - ((i / 12) % 2 ? swing : 0), t = i / 3.0;
            sig_sine(s, c, 180 + 30 * (i % 7), level, 0, t, t + 0.25);
            sig_sine(s, c, 1900 + 170 * (i % 5), level - 8, 1, t, t + 0.15);
        }
        for (int i = 0; i < seconds * 8 / 5; i++)
            s->x[c][i * 28000 + 9000 + 13 * c] += (i % 2 ? 1 : -1) * pow(10, crackle / 20);
    }
    return s;
}

static void limit(const char *pairs, sig *in, double target, double peak, double range)
{
    ta_settings *s = kit_settings(pairs);
    ta_loudness before = measure(in), after, result;
    ta_audio_format f = { 48000, in->layout, AV_SAMPLE_FMT_FLTP };
    ta_error err = { 0 };
    ta_gain g;
    tape t = { in, 0, 0 };
    ta_sound_gain(s, &before, &g);
    assert_true(g.limited);
    assert_ok(ta_sound_fit(s, &f, &before, read_tape, &t, &g, &after, &err), &err);
    char *spec = ta_sound_gain_spec(s, &g, &before, &f);
    sig *out = apply(spec, in, AV_SAMPLE_FMT_FLTP);
    result = measure(out);
    double peak_8x = peak8(out);
    print_message("%s: %.2f LUFS %.1f LU %.2f dBTP -> %.2f LUFS %.1f LU %.2f dBTP (8x: %.2f), %d rounds; %s\n", pairs,
                  before.integrated, before.range, before.true_peak, result.integrated, result.range, result.true_peak,
                  peak_8x, t.rewinds, g.reason);
    assert_true(fabs(result.integrated - target) <= 0.5);
    assert_true(result.true_peak <= peak);
    assert_true(peak_8x <= peak + 0.2);
    assert_true(result.range <= range);
    assert_true(fabs(result.integrated - after.integrated) < 0.01);
    assert_int_equal(out->n, in->n);
    assert_true(out->continuous);
    assert_true(t.rewinds >= 1 && t.rewinds <= 6);
    ta_free(spec);
    sig_free(out);
    sig_free(in);
    ta_settings_free(&s);
}

static void limiter_reaches_the_target(void **state)
{
    limit("normalize=yes limiter=yes", crackly("stereo", -26, -6, 0), -14, -1.5, 11);
    limit("normalize=yes limiter=yes loudness=-10", crackly("stereo", -20, -3, 0), -10, -1.5, 11);
    limit("normalize=yes limiter=yes true-peak=-3", crackly("mono", -26, -6, 0), -14, -3, 11);
    limit("normalize=yes limiter=yes", crackly("5.1", -32, -8, 3), -14, -1.5, 11);
}

static void range_comes_down(void **state)
{
    limit("normalize=yes limiter=yes", crackly("stereo", -20, -6, 22), -14, -1.5, 11);
    limit("normalize=yes limiter=yes loudness-range=7 loudness=-18", crackly("stereo", -20, -6, 15), -18, -1.5, 7);
}

/* Without a limiter in use nothing is read: the gain is linear. */
static void nothing_to_fit(void **state)
{
    ta_settings *s = kit_settings("normalize=yes");
    ta_loudness before = { -30, 4, -12 }, after;
    ta_audio_format f = { 48000, AV_CHANNEL_LAYOUT_STEREO, AV_SAMPLE_FMT_FLTP };
    ta_error err = { 0 };
    ta_gain g;
    ta_sound_gain(s, &before, &g);
    assert_ok(ta_sound_fit(s, &f, &before, NULL, NULL, &g, &after, &err), &err);
    assert_true(fabs(after.integrated + 19.5) < 1e-9 && fabs(after.true_peak + 1.5) < 1e-9 && after.range == 4);
    ta_settings_free(&s);
}

static int broken_tape(void *opaque, bool rewind, AVFrame **frame, ta_error *err)
{
    *frame = NULL;
    return ta_fail(err, TA_ERR_IO, "the spool can't be read");
}

static void failures_come_through(void **state)
{
    ta_settings *s = kit_settings("normalize=yes limiter=yes");
    ta_loudness before = { -30, 4, -2 }, after;
    ta_audio_format f = { 48000, AV_CHANNEL_LAYOUT_STEREO, AV_SAMPLE_FMT_FLTP };
    ta_error err = { 0 };
    ta_gain g;
    ta_sound_gain(s, &before, &g);
    assert_int_equal(ta_sound_fit(s, &f, &before, broken_tape, NULL, &g, &after, &err), TA_ERR_IO);
    ta_settings_free(&s);
}

/* A click through the limiter stays, also one that is cut down; at 44.1 and 96 kHz too. */
static void limiter_keeps_time(void **state)
{
    static const int rates[] = { 44100, 48000, 96000 };
    for (int r = 0; r < 3; r++) {
        ta_settings *s = kit_settings("normalize=yes limiter=yes loudness-range=5");
        sig *in = sig_new(rates[r], "stereo", 2 * rates[r] + 331);
        int64_t at = in->n / 2;
        for (int c = 0; c < 2; c++) {
            sig_noise(in, c, -50, 3 + (uint32_t)c);
            in->x[c][at] = 0.9;
        }
        ta_loudness l = { -30, 9, -1 };
        ta_gain g;
        ta_sound_gain(s, &l, &g);
        assert_true(g.limited && g.ratio > 1);
        ta_audio_format f = { rates[r], in->layout, AV_SAMPLE_FMT_FLTP };
        char *spec = ta_sound_gain_spec(s, &g, &l, &f);
        sig *out = apply(spec, in, AV_SAMPLE_FMT_FLTP);
        assert_int_equal(out->n, in->n);
        assert_int_equal(out->first_pts, 0);
        assert_true(out->continuous);
        for (int c = 0; c < 2; c++)
            assert_true(llabs(kit_peak(out, c) - at) <= 1);
        ta_free(spec);
        sig_free(in);
        sig_free(out);
        ta_settings_free(&s);
    }
}

int main(void)
{
    av_log_set_level(AV_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic),
        cmocka_unit_test(silence_is_left),
        cmocka_unit_test(volume_is_exact),
        cmocka_unit_test(limiter_reaches_the_target),
        cmocka_unit_test(range_comes_down),
        cmocka_unit_test(nothing_to_fit),
        cmocka_unit_test(failures_come_through),
        cmocka_unit_test(limiter_keeps_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
