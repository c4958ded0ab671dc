/* Channel faults: made ones are found, whole tracks and quiet tapes are not accused. */
#include "sound_kit.h"

static ta_channel_fault judge(const sig *s, enum AVSampleFormat fmt, char *advice)
{
    ta_error err = { 0 };
    ta_channel_meter *m = ta_channel_meter_new();
    assert_non_null(m);
    for (int64_t at = 0; at < s->n;) {
        int count = sig_frame_size(at, s->n);
        AVFrame *f = sig_frame(s, at, count, fmt, 0);
        assert_ok(ta_channel_meter_add(m, f, &err), &err);
        av_frame_free(&f);
        at += count;
    }
    ta_channel_fault fault = ta_channel_meter_result(m, advice);
    ta_channel_meter_free(&m);
    assert_null(m);
    return fault;
}

/* Speech-like bursts on one side: on for 0.4 s, off for 0.6 s. */
static void bursts(sig *s, int c, double db, double sign)
{
    for (double t = 0; t < (double)s->n / s->rate; t += 1) {
        sig_sine(s, c, 310, db, sign > 0 ? 0 : M_PI, t, t + 0.4);
        sig_sine(s, c, 1730, db - 6, sign > 0 ? 1 : 1 + M_PI, t, t + 0.3);
    }
}

static void expect(sig *s, ta_channel_fault want, const char *says)
{
    static const enum AVSampleFormat formats[] = { AV_SAMPLE_FMT_S16, AV_SAMPLE_FMT_S16P, AV_SAMPLE_FMT_FLTP };
    for (int i = 0; i < 3; i++) {
        char advice[256] = "?";
        ta_channel_fault got = judge(s, formats[i], advice);
        if (got != want)
            fail_msg("format %d: fault %d, not %d", i, got, want);
        if (says[0] ? !strstr(advice, says) : advice[0] != 0)
            fail_msg("advice: '%s'", advice);
    }
    sig_free(s);
}

static void one_side(void **state)
{
    for (int side = 0; side < 2; side++) {
        sig *s = sig_new(48000, "stereo", 5 * 48000);
        bursts(s, side, -18, 1);
        sig_noise(s, side, -58, 1);
        sig_noise(s, !side, -62, 2); /* the dead side hisses */
        expect(s, side ? TA_CHANNELS_RIGHT_ONLY : TA_CHANNELS_LEFT_ONLY,
               side ? "--channel-fix right" : "--channel-fix left");
    }
}

/* 26 dB weaker is a bad balance, not a dead side. */
static void weak_side(void **state)
{
    sig *s = sig_new(48000, "stereo", 5 * 48000);
    bursts(s, 0, -12, 1);
    bursts(s, 1, -38, 1);
    expect(s, TA_CHANNELS_FINE, "");
}

static void out_of_phase(void **state)
{
    sig *s = sig_new(44100, "stereo", 5 * 44100);
    bursts(s, 0, -18, 1);
    bursts(s, 1, -20, -1);
    sig_noise(s, 0, -45, 1);
    sig_noise(s, 1, -45, 2);
    expect(s, TA_CHANNELS_OUT_OF_PHASE, "--channel-fix invert");
}

static void dual_mono(void **state)
{
    sig *s = sig_new(48000, "stereo", 5 * 48000);
    bursts(s, 0, -18, 1);
    sig_noise(s, 0, -50, 1);
    memcpy(s->x[1], s->x[0], (size_t)s->n * sizeof(double));
    expect(s, TA_CHANNELS_DUAL_MONO, "--audio-layout mono");
}

/* A mono recording with two heads' hiss is not digital dual mono. */
static void analogue_mono(void **state)
{
    sig *s = sig_new(48000, "stereo", 5 * 48000);
    for (int c = 0; c < 2; c++) {
        bursts(s, c, -18, 1);
        sig_noise(s, c, -50, 1 + (uint32_t)c);
    }
    expect(s, TA_CHANNELS_FINE, "");
}

static void stereo(void **state)
{
    sig *s = sig_new(48000, "stereo", 5 * 48000);
    sig_noise(s, 0, -20, 1);
    sig_noise(s, 1, -22, 2);
    expect(s, TA_CHANNELS_FINE, "");
}

/* Long quiet stretches with any relation of the sides, and a short loud part that is stereo: only that counts. */
static void quiet_parts_say_nothing(void **state)
{
    sig *s = sig_new(48000, "stereo", 20 * 48000);
    for (int64_t i = 0; i < s->n; i++) { /* hum at -52 dBFS, out of phase, all the time */
        s->x[0][i] = 0.0025 * sin(2 * M_PI * 50 * (double)i / 48000);
        s->x[1][i] = -s->x[0][i];
    }
    sig_sine(s, 0, 500, -12, 0, 5, 8);
    sig_sine(s, 1, 700, -12, 0, 5, 8);
    expect(s, TA_CHANNELS_FINE, "");
}

static void silence(void **state)
{
    expect(sig_new(48000, "stereo", 96000), TA_CHANNELS_FINE, "");
    sig *s = sig_new(48000, "stereo", 5 * 48000);
    sig_noise(s, 0, -66, 1); /* hiss on the left only, under the gate */
    expect(s, TA_CHANNELS_FINE, "");
}

static void too_short(void **state)
{
    sig *s = sig_new(48000, "stereo", 5 * 48000);
    sig_sine(s, 0, 500, -12, 0, 1, 1.5);
    expect(s, TA_CHANNELS_FINE, "");
}

/* An offset of the capture card, equal on both sides, hides nothing. */
static void direct_current(void **state)
{
    sig *s = sig_new(48000, "stereo", 5 * 48000);
    bursts(s, 0, -24, 1);
    bursts(s, 1, -24, -1);
    for (int c = 0; c < 2; c++)
        for (int64_t i = 0; i < s->n; i++)
            s->x[c][i] += 0.1;
    expect(s, TA_CHANNELS_OUT_OF_PHASE, "--channel-fix invert");
}

static void other_layouts(void **state)
{
    sig *s = sig_new(48000, "mono", 96000);
    sig_sine(s, 0, 500, -12, 0, 0, -1);
    expect(s, TA_CHANNELS_FINE, "");
    s = sig_new(48000, "5.1", 96000);
    sig_sine(s, 0, 500, -12, 0, 0, -1);
    char advice[256];
    assert_int_equal(judge(s, AV_SAMPLE_FMT_FLTP, advice), TA_CHANNELS_FINE);
    sig_free(s);
}

/* What the advice says cures it: after the fix the meter is content or finds the same sound on both sides. */
static void advice_cures(void **state)
{
    sig *s = sig_new(48000, "stereo", 5 * 48000);
    bursts(s, 0, -18, 1);
    bursts(s, 1, -18, -1);
    sig_noise(s, 0, -45, 1);
    sig_noise(s, 1, -45, 2);
    sig *fixed = kit_run("channel-fix=invert", s, AV_SAMPLE_FMT_FLTP, "flac");
    assert_int_equal(judge(fixed, AV_SAMPLE_FMT_FLTP, NULL), TA_CHANNELS_FINE);
    sig_free(fixed);
    memset(s->x[0], 0, (size_t)s->n * sizeof(double));
    fixed = kit_run("channel-fix=right", s, AV_SAMPLE_FMT_FLTP, "flac");
    assert_int_equal(judge(fixed, AV_SAMPLE_FMT_FLTP, NULL), TA_CHANNELS_DUAL_MONO);
    sig_free(fixed);
    sig_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_side),
        cmocka_unit_test(weak_side),
        cmocka_unit_test(out_of_phase),
        cmocka_unit_test(dual_mono),
        cmocka_unit_test(analogue_mono),
        cmocka_unit_test(stereo),
        cmocka_unit_test(quiet_parts_say_nothing),
        cmocka_unit_test(silence),
        cmocka_unit_test(too_short),
        cmocka_unit_test(direct_current),
        cmocka_unit_test(other_layouts),
        cmocka_unit_test(advice_cures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
