/* Channels: fixes, up-mixes by test tones, the slope of the bass channel, delays in samples, down-mixes by BS.775's
 * figures, what is refused, and what encoders take. */
#include "sound_kit.h"

enum { FL, FR, FC, LFE, BL, BR, SL, SR };

/* Stereo with `left_hz` on the left at -12 dBFS and `right_hz` on the right at -18 dBFS: 1 s. */
static sig *two_tones(double left_hz, double right_hz)
{
    sig *s = sig_new(48000, "stereo", 96000);
    sig_sine(s, 0, left_hz, -12, 0, 0, -1);
    sig_sine(s, 1, right_hz, -18, 0, 0, -1);
    return s;
}

/* Gain of each input tone in channel `c` in the steady second half. */
static void expect_gain(const sig *out, int c, double left, double right)
{
    double l = kit_tone(out, c, 1000, 48000, 96000) / pow(10, -12 / 20.0);
    double r = kit_tone(out, c, 1500, 48000, 96000) / pow(10, -18 / 20.0);
    if (fabs(l - fabs(left)) > 0.0005 || fabs(r - fabs(right)) > 0.0005)
        fail_msg("channel %d: left %.4f right %.4f, not %.4f %.4f", c, l, r, left, right);
}

static void simple(void **state)
{
    sig *in = two_tones(1000, 1500);
    sig *out = kit_run("audio-layout=5.1 upmix=simple", in, AV_SAMPLE_FMT_S16, "aac");
    assert_int_equal(out->layout.nb_channels, 6);
    assert_int_equal(out->n, in->n);
    expect_gain(out, FL, 1, 0);
    expect_gain(out, FR, 0, 1);
    expect_gain(out, FC, 0.5, 0.5);
    expect_gain(out, BL, 0.7, 0);
    expect_gain(out, BR, 0, 0.7);
    sig_free(out);
    out = kit_run("audio-layout=7.1 upmix=simple", in, AV_SAMPLE_FMT_S16, "aac");
    assert_int_equal(out->layout.nb_channels, 8);
    expect_gain(out, BL, 0.7, 0);
    expect_gain(out, SL, 0.5, 0.2);
    expect_gain(out, SR, 0.2, 0.5);
    sig_free(out);
    sig_free(in);
}

/* FL = 0.5 FL + 0.25 FC with FC = 0.5 (FL + FR), BL = 0.5 FL - 0.25 FR; the sign shows with equal tones. */
static void prologic(void **state)
{
    sig *in = two_tones(1000, 1500);
    sig *out = kit_run("audio-layout=5.1 upmix=prologic", in, AV_SAMPLE_FMT_S16, "aac");
    expect_gain(out, FL, 0.625, 0.125);
    expect_gain(out, FR, 0.125, 0.625);
    expect_gain(out, FC, 0.5, 0.5);
    expect_gain(out, BL, 0.5, 0.25);
    expect_gain(out, BR, 0.25, 0.5);
    sig_free(out);
    sig_free(in);
    in = sig_new(48000, "mono", 96000);
    sig_sine(in, 0, 1000, -12, 0, 0, -1);
    out = kit_run("audio-layout=5.1 upmix=prologic", in, AV_SAMPLE_FMT_S16, "aac");
    double amp = pow(10, -12 / 20.0);
    assert_true(fabs(kit_tone(out, BL, 1000, 48000, 96000) / amp - 0.25) < 0.001);
    assert_true(fabs(kit_tone(out, FL, 1000, 48000, 96000) / amp - 0.75) < 0.001);
    sig_free(out);
    sig_free(in);
}

static void centre_mix_is_wired(void **state)
{
    sig *in = two_tones(1000, 1500);
    sig *out = kit_run("audio-layout=5.1 upmix=simple centre-mix=0.4", in, AV_SAMPLE_FMT_S16, "aac");
    expect_gain(out, FC, 0.4 * M_SQRT1_2, 0.4 * M_SQRT1_2);
    sig_free(out);
    sig *full = kit_run("audio-layout=5.1 upmix=surround", in, AV_SAMPLE_FMT_FLTP, "aac");
    sig *half = kit_run("audio-layout=5.1 upmix=surround centre-mix=0.35355339", in, AV_SAMPLE_FMT_FLTP, "aac");
    double ratio = kit_rms(full, FC, 48000, 90000) / kit_rms(half, FC, 48000, 90000);
    assert_true(fabs(ratio - 2) < 0.01);
    sig_free(full);
    sig_free(half);
    sig_free(in);
}

/* The same channels as libavfilter's surround with the original's levels, 2048 samples later there. */
static void surround(void **state)
{
    sig *in = sig_new(48000, "stereo", 96000), *longer = sig_new(48000, "stereo", 96000 + 2048);
    for (int c = 0; c < 2; c++) {
        sig_noise(in, c, -20, 5 + (uint32_t)c);
        memcpy(longer->x[c], in->x[c], 96000 * sizeof(double));
    }
    sig *out = kit_run("audio-layout=5.1 upmix=surround", in, AV_SAMPLE_FMT_FLTP, "aac");
    sig *ref =
        sig_graph("surround=chl_out=5.1:fc_out=0.6:lfe_out=0.5:lfe_low=256:lfe_high=512", longer, AV_SAMPLE_FMT_FLTP);
    assert_int_equal(out->n, in->n);
    static const int channels[] = { FL, FR, FC, BL, BR };
    for (int i = 0; i < 5; i++)
        for (int64_t k = 0; k < out->n; k++)
            if (out->x[channels[i]][k] != ref->x[channels[i]][k + 2048])
                fail_msg("channel %d differs at %d", channels[i], (int)k);
    assert_true(kit_rms(out, BL, 20000, 90000) > 0.001);
    sig_free(out);
    sig_free(ref);
    sig_free(longer);
    out = kit_run("audio-layout=7.1 upmix=surround", in, AV_SAMPLE_FMT_FLTP, "flac");
    assert_int_equal(out->layout.nb_channels, 8);
    for (int c = 0; c < 8; c++)
        assert_true(kit_rms(out, c, 20000, 90000) > 0.0005);
    sig_free(out);
    sig_free(in);
}

/* The bass channel by the formula of a fourth-order Butterworth low-pass, and nothing of it elsewhere. */
static void bass_slope(void **state)
{
    static const char *const methods[] = { "simple", "prologic", "surround" };
    static const double at[] = { 0.5, 1, 2, 4 };
    for (int m = 0; m < 3; m++) {
        for (int hz = 80; hz <= 200; hz += 120) {
            char pairs[96];
            snprintf(pairs, sizeof pairs, "audio-layout=5.1 upmix=%s lfe-crossover=%d", methods[m], hz);
            double pass = 0;
            for (int i = 0; i < 4; i++) {
                sig *in = sig_new(48000, "stereo", 96000);
                sig_sine(in, 0, hz * at[i], -12, 0, 0, -1);
                sig_sine(in, 1, hz * at[i], -12, 0, 0, -1);
                sig *out = kit_run(pairs, in, AV_SAMPLE_FMT_DBLP, "aac");
                double db = kit_db(kit_tone(out, LFE, hz * at[i], 24000, 72000) / pow(10, -12 / 20.0));
                double want = -10 * log10(1 + pow(at[i], 8));
                if (i == 0)
                    pass = db - want;
                /* surround's own cut-off starts at 256 Hz; its level there is its own business */
                if (m < 2 || hz * at[i] < 200)
                    if (fabs(db - pass - want) > (m < 2 ? 0.1 : 0.6))
                        fail_msg("%s, crossover %d: %.2f dB at %.0f Hz, not %.2f", methods[m], hz, db, hz * at[i],
                                 pass + want);
                if (m < 2)
                    assert_true(fabs(pass) < 0.05);
                sig_free(in);
                sig_free(out);
            }
        }
    }
}

/* A click is at its place in every full-range channel; the surrounds are later by surround-delay, to the sample; the
 * bass channel's centre of gravity is at its place within 1 ms. */
static void times(void **state)
{
    static const char *const methods[] = { "simple", "prologic", "surround" };
    for (int m = 0; m < 3; m++) {
        char pairs[96];
        snprintf(pairs, sizeof pairs, "audio-layout=7.1 upmix=%s surround-delay=12.5", methods[m]);
        sig *in = sig_new(48000, "stereo", 96000 + 77);
        in->x[0][50000] = 0.8;
        in->x[1][50000] = 0.3;
        sig *out = kit_run(pairs, in, AV_SAMPLE_FMT_FLTP, "flac");
        assert_int_equal(out->n, in->n);
        assert_true(out->continuous);
        for (int c = 0; c < 8; c++)
            if (c != LFE && llabs(kit_peak(out, c) - 50000 - (c >= BL ? 600 : 0)) > (m < 2 ? 0 : 1))
                fail_msg("%s: channel %d has the click at %d", methods[m], c, (int)kit_peak(out, c));
        double sum = 0, moment = 0;
        for (int64_t i = 0; i < out->n; i++) {
            sum += out->x[LFE][i];
            moment += out->x[LFE][i] * (double)i;
        }
        if (m < 2)
            assert_true(fabs(moment / sum - 50000) < 48);
        else /* the filter spreads a click over its window: look at the largest sample */
            assert_true(llabs(kit_peak(out, LFE) - 50000) < 96);
        sig_free(in);
        sig_free(out);
    }
}

static void five_one_to_stereo(void **state)
{
    /* L = FL + 0.7071 FC + 0.7071 BL, scaled by 1 / (1 + 2 * 0.7071) */
    static const double left[] = { 0.414214, 0, 0.292893, 0, 0.292893, 0 };
    static const double right[] = { 0, 0.414214, 0.292893, 0, 0, 0.292893 };
    static const double hz[] = { 1000, 1200, 1400, 1600, 1800, 2000 };
    const char *const names[] = { "5.1", "5.1(side)" };
    for (int n = 0; n < 2; n++) {
        sig *in = sig_new(48000, names[n], 96000);
        for (int c = 0; c < 6; c++)
            sig_sine(in, c, hz[c], -12, 0, 0, -1);
        sig *out = kit_run("audio-layout=stereo", in, AV_SAMPLE_FMT_DBLP, "aac");
        assert_int_equal(out->layout.nb_channels, 2);
        for (int c = 0; c < 6; c++) {
            double amp = pow(10, -12 / 20.0);
            assert_true(fabs(kit_tone(out, 0, hz[c], 0, 96000) / amp - left[c]) < 1e-4);
            assert_true(fabs(kit_tone(out, 1, hz[c], 0, 96000) / amp - right[c]) < 1e-4);
        }
        sig_free(in);
        sig_free(out);
    }
}

/* Mono is 0.7071 L + 0.7071 R + C + 0.5 Ls + 0.5 Rs (BS.775, table 2), scaled by 1 / 3.4142. */
static void five_one_to_mono(void **state)
{
    static const double want[] = { M_SQRT1_2, M_SQRT1_2, 1, 0, 0.5, 0.5 };
    sig *in = sig_new(48000, "5.1(side)", 96000);
    for (int c = 0; c < 6; c++)
        sig_sine(in, c, 1000 + 200 * c, -12, 0, 0, -1);
    sig *out = kit_run("audio-layout=mono", in, AV_SAMPLE_FMT_DBLP, "ac3");
    assert_int_equal(out->layout.nb_channels, 1);
    for (int c = 0; c < 6; c++)
        assert_true(fabs(kit_tone(out, 0, 1000 + 200 * c, 0, 96000) / pow(10, -12 / 20.0) - want[c] / 3.414214) < 1e-4);
    sig_free(out);
    out = kit_run("audio-layout=stereo centre-mix=0.5", in, AV_SAMPLE_FMT_DBLP, "ac3");
    assert_true(fabs(kit_tone(out, 1, 1400, 0, 96000) / kit_tone(out, 1, 1200, 0, 96000) - 0.5) < 1e-4);
    sig_free(in);
    sig_free(out);
}

/* A down-mix of full-scale channels in phase reaches full scale and doesn't pass it. */
static void down_mix_never_clips(void **state)
{
    static const char *const from[] = { "5.1", "7.1", "6.1", "quad", "4.0", "5.0(side)", "7.1(wide)", "stereo" };
    for (int f = 0; f < 8; f++) {
        sig *in = sig_new(48000, from[f], 4800);
        for (int c = 0; c < in->layout.nb_channels; c++)
            sig_sine(in, c, 1000, 0, 0, 0, -1);
        sig *out = kit_run("audio-layout=mono", in, AV_SAMPLE_FMT_DBLP, "flac");
        assert_true(fabs(fabs(out->x[0][kit_peak(out, 0)]) - 1) < 1e-5);
        sig_free(in);
        sig_free(out);
    }
}

static void seven_one_to_five_one(void **state)
{
    sig *in = sig_new(48000, "7.1", 48000);
    for (int c = 0; c < 8; c++)
        sig_sine(in, c, 1000 + 100 * c, -12, 0, 0, -1);
    sig *out = kit_run("audio-layout=5.1", in, AV_SAMPLE_FMT_DBLP, "ac3");
    assert_int_equal(out->layout.nb_channels, 6);
    double amp = pow(10, -12 / 20.0);
    assert_true(fabs(kit_tone(out, LFE, 1300, 0, 48000) / amp - M_SQRT1_2) < 1e-4);
    assert_true(fabs(kit_tone(out, BL, 1400, 0, 48000) / amp - 0.5) < 1e-4);
    assert_true(fabs(kit_tone(out, BL, 1600, 0, 48000) / amp - 0.5) < 1e-4);
    assert_true(kit_tone(out, BL, 1700, 0, 48000) / amp < 1e-4);
    sig_free(in);
    sig_free(out);
}

static void fixes(void **state)
{
    static const struct {
        const char *fix;
        double m[4];
    } cases[] = { { "left", { 1, 0, 1, 0 } },
                  { "right", { 0, 1, 0, 1 } },
                  { "mix", { 0.5, 0.5, 0.5, 0.5 } },
                  { "invert", { 1, 0, 0, -1 } } };
    sig *in = sig_new(48000, "stereo", 4800);
    sig_noise(in, 0, -20, 3);
    sig_noise(in, 1, -20, 4);
    for (int k = 0; k < 4; k++) {
        char pairs[32];
        snprintf(pairs, sizeof pairs, "channel-fix=%s", cases[k].fix);
        sig *out = kit_run(pairs, in, AV_SAMPLE_FMT_FLTP, "flac");
        for (int c = 0; c < 2; c++)
            for (int64_t i = 0; i < in->n; i++) {
                double want = cases[k].m[2 * c] * (float)in->x[0][i] + cases[k].m[2 * c + 1] * (float)in->x[1][i];
                assert_true(out->x[c][i] == (float)want);
            }
        sig_free(out);
    }
    sig_free(in);
    plan p;
    kit_plan(&p, "channel-fix=left", "5.1", 48000, AV_SAMPLE_FMT_FLTP, "aac");
    assert_int_equal(p.status, TA_ERR_USAGE);
    kit_plan_free(&p);
}

static void untouched(void **state)
{
    plan p;
    kit_plan(&p, "", "stereo", 48000, AV_SAMPLE_FMT_S16, "flac");
    assert_ok(p.status, &p.err);
    assert_int_equal(p.chain.count, 0);
    assert_int_equal(p.target.format.sample_fmt, AV_SAMPLE_FMT_S16);
    assert_int_equal(p.target.bit_rate, 0);
    kit_plan_free(&p);
    kit_plan(&p, "audio-layout=5.1", "5.1(side)", 48000, AV_SAMPLE_FMT_FLT, "ac3");
    assert_ok(p.status, &p.err);
    assert_int_equal(p.chain.count, 0); /* a 5.1 source is kept */
    kit_plan_free(&p);
    kit_plan(&p, "normalize=yes", "stereo", 48000, AV_SAMPLE_FMT_S16, "aac");
    assert_int_equal(p.target.format.sample_fmt, AV_SAMPLE_FMT_FLT); /* a gain is to follow */
    kit_plan_free(&p);
    kit_plan(&p, "audio-enhance=light", "stereo", 22050, AV_SAMPLE_FMT_S16, "copy");
    assert_ok(p.status, &p.err);
    assert_int_equal(p.chain.count, 0);
    kit_plan_free(&p);
    sig *in = sig_new(48000, "stereo", 5000);
    sig_noise(in, 0, -20, 1);
    sig_noise(in, 1, -20, 2);
    sig *out = kit_run("", in, AV_SAMPLE_FMT_S16P, "flac"); /* packed, every bit the same */
    assert_int_equal(out->fmt, AV_SAMPLE_FMT_S16);
    for (int64_t i = 0; i < in->n; i++)
        assert_true(out->x[1][i] == lrint(in->x[1][i] * 32768) / 32768.0);
    sig_free(in);
    sig_free(out);
}

static void relabelled(void **state)
{
    sig *in = sig_new(48000, "5.1(side)", 4800);
    for (int c = 0; c < 6; c++)
        sig_noise(in, c, -20, 11 + (uint32_t)c);
    sig *out = kit_run("", in, AV_SAMPLE_FMT_FLTP, "aac");
    char name[64];
    av_channel_layout_describe(&out->layout, name, sizeof name);
    assert_string_equal(name, "5.1");
    for (int c = 0; c < 6; c++)
        for (int64_t i = 0; i < in->n; i++)
            assert_true(out->x[c][i] == (float)in->x[c][i]);
    sig_free(out);
    sig_free(in);
    plan p;
    kit_plan(&p, "audio-layout=5.1 upmix=simple", "stereo", 48000, AV_SAMPLE_FMT_FLTP, "dts");
    assert_ok(p.status, &p.err);
    av_channel_layout_describe(&p.target.format.layout, name, sizeof name);
    assert_string_equal(name, "5.1(side)");
    kit_plan_free(&p);
}

static void unnamed_channels(void **state)
{
    ta_settings *s = kit_settings("channel-fix=mix");
    ta_audio_format in = { .sample_rate = 48000, .sample_fmt = AV_SAMPLE_FMT_S16 };
    in.layout = (AVChannelLayout){ .order = AV_CHANNEL_ORDER_UNSPEC, .nb_channels = 2 };
    plan p = { 0 };
    assert_ok(ta_sound_plan(s, &in, NULL, NULL, "aac", &p.chain, &p.target, &p.notes, &p.err), &p.err);
    assert_non_null(strstr(p.notes.data, "stereo"));
    ta_link link = { .type = AVMEDIA_TYPE_AUDIO, .audio = in }, out;
    assert_ok(ta_chain_configure(&p.chain, &link, &out, &p.err), &p.err);
    assert_int_equal(out.audio.layout.order, AV_CHANNEL_ORDER_NATIVE);
    kit_plan_free(&p);
    ta_settings_free(&s);
}

static void refusals(void **state)
{
    static const struct {
        const char *pairs, *layout, *codec, *says;
        int status;
    } cases[] = {
        { "audio-layout=5.1", "stereo", "aac", "upmix simple, surround or prologic", TA_ERR_USAGE },
        { "audio-layout=7.1", "mono", "aac", "upmix simple, surround or prologic", TA_ERR_USAGE },
        { "audio-layout=5.1 upmix=demucs", "stereo", "aac", "prologic", TA_ERR_UNAVAILABLE },
        { "audio-layout=7.1 upmix=surround", "5.1", "aac", "original", TA_ERR_USAGE },
        { "", "7.1", "ac3", "5.1", TA_ERR_USAGE },
        { "", "7.1", "eac3", "5.1", TA_ERR_USAGE },
        { "audio-layout=7.1 upmix=simple", "stereo", "dts", "5.1", TA_ERR_USAGE },
        { "audio-bitrate=192k", "stereo", "dts", "audio-bitrate", TA_ERR_USAGE },
        { "audio-bitrate=700k", "5.1", "ac3", "audio-bitrate", TA_ERR_USAGE },
        { "audio-bitrate=600k", "stereo", "opus", "audio-bitrate", TA_ERR_USAGE },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plan p;
        kit_plan(&p, cases[i].pairs, cases[i].layout, 48000, AV_SAMPLE_FMT_FLTP, cases[i].codec);
        if (p.status != cases[i].status || !strstr(p.err.hint, cases[i].says))
            fail_msg("%s, %s, %s: %d, %s; %s", cases[i].pairs, cases[i].layout, cases[i].codec, p.status, p.err.text[0],
                     p.err.hint);
        kit_plan_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simple),
        cmocka_unit_test(prologic),
        cmocka_unit_test(centre_mix_is_wired),
        cmocka_unit_test(surround),
        cmocka_unit_test(bass_slope),
        cmocka_unit_test(times),
        cmocka_unit_test(five_one_to_stereo),
        cmocka_unit_test(five_one_to_mono),
        cmocka_unit_test(down_mix_never_clips),
        cmocka_unit_test(seven_one_to_five_one),
        cmocka_unit_test(fixes),
        cmocka_unit_test(untouched),
        cmocka_unit_test(relabelled),
        cmocka_unit_test(unnamed_channels),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
