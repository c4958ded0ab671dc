/* Speech denoisers: how much they gain on generated speech in hiss, that nothing moves and nothing is lost at any rate
 * and layout, and that a missing model or music is said. The weights are test data that need not be there. */
#include "sound_kit.h"
#include "speech_kit.h"

#define WEIGHTS()                                                                                                      \
    const char *weights = kit_shared("models/sh.rnnn");                                                                \
    char pairs[320];                                                                                                   \
    if (!weights)                                                                                                      \
        skip();                                                                                                        \
    snprintf(pairs, sizeof pairs, "speech-denoise=rnnoise speech-guard=off speech-model=%s", weights)

/* Scale-invariant SDR: J. Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019. */
static double si_sdr(const sig *s, const sig *truth, int c)
{
    double st = 0, tt = 0, ee = 0, pp = 0;
    for (int64_t i = 0; i < s->n; i++) {
        st += s->x[c][i] * truth->x[c][i];
        tt += truth->x[c][i] * truth->x[c][i];
    }
    for (int64_t i = 0; i < s->n; i++) {
        double p = st / tt * truth->x[c][i], e = s->x[c][i] - p;
        pp += p * p;
        ee += e * e;
    }
    return 10 * log10(pp / ee);
}

/* By how many samples `s` is late behind `truth`: where their correlation is highest, within 100 samples. */
static int lag(const sig *s, const sig *truth, int c)
{
    int best = 0;
    double highest = 0;
    for (int d = -100; d <= 100; d++) {
        double sum = 0;
        for (int64_t i = 200; i < s->n - 200; i++)
            sum += truth->x[c][i] * s->x[c][i + d];
        if (sum > highest) {
            highest = sum;
            best = d;
        }
    }
    return best;
}

static sig *hissing(const sig *clean, double snr)
{
    char layout[64];
    av_channel_layout_describe(&clean->layout, layout, sizeof layout);
    sig *s = sig_new(clean->rate, layout, clean->n);
    for (int c = 0; c < clean->layout.nb_channels; c++) {
        memcpy(s->x[c], clean->x[c], (size_t)clean->n * sizeof **s->x);
        sig_noise(s, c, kit_db(kit_rms(clean, c, 0, clean->n)) - snr, 31 + (uint32_t)c);
    }
    return s;
}

/* 4.9 dB were measured with these weights on recorded speech in hiss of 6.5 dB. */
static void hiss_goes(void **state)
{
    WEIGHTS();
    static const struct {
        int rate;
        const char *layout;
    } cases[] = { { 48000, "mono" }, { 44100, "stereo" }, { 22050, "mono" }, { 48000, "5.1" } };
    for (int i = 0; i < 4; i++) {
        sig *clean = sig_new(cases[i].rate, cases[i].layout, 5 * cases[i].rate / (i == 3 ? 2 : 1) + 77);
        int channels = clean->layout.nb_channels;
        for (int c = 0; c < channels; c++)
            kit_speech(clean, c, 0.1, 1);
        sig *in = hissing(clean, 6.5), *out = kit_run(pairs, in, AV_SAMPLE_FMT_FLTP, "flac");
        assert_int_equal(out->n, in->n);
        assert_int_equal(out->rate, in->rate);
        assert_int_equal(av_channel_layout_compare(&out->layout, &in->layout), 0);
        assert_true(out->continuous);
        for (int c = 0; c < channels; c++) {
            double gain = si_sdr(out, clean, c) - si_sdr(in, clean, c);
            assert_true(fabs(si_sdr(in, clean, c) - 6.5) < 0.3);
            print_message("%d Hz, channel %d: SI-SDR + %.1f dB\n", cases[i].rate, c, gain);
            if (gain < 4.5)
                fail_msg("%d Hz, channel %d: SI-SDR rises by %.1f dB only", cases[i].rate, c, gain);
            if (lag(out, clean, c))
                fail_msg("%d Hz, channel %d: %d samples late", cases[i].rate, c, lag(out, clean, c));
        }
        sig_free(clean);
        sig_free(in);
        sig_free(out);
    }
}

/* A recording: what lies between the words goes down, the words stay where they are. */
static void a_recording(void **state)
{
    WEIGHTS();
    const char *path = kit_shared("models/gtcrn_mix.wav");
    FILE *f = path ? fopen(path, "rb") : NULL;
    if (!f)
        skip();
    int64_t n = 5 * 16000;
    int16_t *x = calloc((size_t)n, sizeof *x);
    assert_non_null(x);
    assert_int_equal(fseek(f, 44, SEEK_SET), 0);
    assert_int_equal(fread(x, sizeof *x, (size_t)n, f), n);
    fclose(f);
    sig *in = sig_new(16000, "mono", n);
    for (int64_t i = 0; i < n; i++)
        in->x[0][i] = x[i] / 32768.0;
    free(x);
    sig *out = kit_run(pairs, in, AV_SAMPLE_FMT_S16, "flac");
    assert_int_equal(out->n, n);
    assert_int_equal(lag(out, in, 0), 0);
    double quiet_in = 1, quiet_out = 1;
    for (int64_t i = 1600; i + 3200 < n; i += 1600) {
        quiet_in = fmin(quiet_in, kit_rms(in, 0, i, i + 3200));
        quiet_out = fmin(quiet_out, kit_rms(out, 0, i, i + 3200));
    }
    print_message("the quietest 0.2 s: %.1f dB, then %.1f dB\n", kit_db(quiet_in), kit_db(quiet_out));
    assert_true(kit_db(quiet_out) < kit_db(quiet_in) - 10);
    sig_free(in);
    sig_free(out);
}

/* speech-limit 0: nothing but the delay, which is taken out. 12 dB: hiss alone goes down by nearly that and no more. */
static void the_limit_holds(void **state)
{
    WEIGHTS();
    char more[400];
    sig *in = sig_new(48000, "mono", 96000);
    sig_noise(in, 0, -40, 4);
    snprintf(more, sizeof more, "%s speech-limit=0", pairs);
    sig *same = kit_run(more, in, AV_SAMPLE_FMT_FLTP, "flac");
    for (int64_t i = 0; i < in->n; i++)
        if (fabs(same->x[0][i] - in->x[0][i]) > 1e-6)
            fail_msg("sample %d differs", (int)i);
    snprintf(more, sizeof more, "%s speech-limit=12", pairs);
    sig *some = kit_run(more, in, AV_SAMPLE_FMT_FLTP, "flac"), *all = kit_run(pairs, in, AV_SAMPLE_FMT_FLTP, "flac");
    double down = kit_db(kit_rms(in, 0, 48000, 96000) / kit_rms(some, 0, 48000, 96000));
    assert_true(down > 9 && down < 12.1);
    assert_true(kit_rms(all, 0, 48000, 96000) < kit_rms(some, 0, 48000, 96000) / 2);
    sig_free(in);
    sig_free(same);
    sig_free(some);
    sig_free(all);
}

/* A path with every character that graphs take for their own. */
static void any_path(void **state)
{
    WEIGHTS();
    static const char *const name = "a 'b':c,d;[e]\\f=g.rnnn";
    char *data = NULL;
    size_t size = 0;
    ta_error err = { 0 };
    assert_ok(ta_read_file(weights, 1 << 24, &data, &size, &err), &err);
    assert_ok(ta_write_file(name, data, size, true, &err), &err);
    ta_free(data);
    ta_settings *s = kit_settings("speech-denoise=rnnoise speech-guard=off");
    assert_ok(ta_settings_set(s, "speech-model", name, TA_FROM_COMMAND_LINE, NULL, &err), &err);
    plan p = { 0 };
    ta_audio_format format = { 48000, AV_CHANNEL_LAYOUT_MONO, AV_SAMPLE_FMT_FLTP };
    assert_ok(ta_sound_plan(s, &format, NULL, NULL, "flac", &p.chain, &p.target, &p.notes, &p.err), &p.err);
    assert_int_equal(strlen(p.target.model_sha256), 64);
    sig *in = sig_new(48000, "mono", 4800), *out = sig_run(&p.chain, in, AV_SAMPLE_FMT_FLTP, 0);
    assert_int_equal(out->n, 4800);
    assert_int_equal(remove(name), 0);
    ta_settings_free(&s);
    kit_plan_free(&p);
    sig_free(in);
    sig_free(out);
}

static void missing_weights(void **state)
{
    plan p;
    FILE *f = fopen("bad.rnnn", "w");
    assert_non_null(f);
    fputs("weights of something else, and enough of them to be read\n", f);
    assert_int_equal(fclose(f), 0);
    kit_plan(&p, "speech-denoise=rnnoise", "stereo", 48000, AV_SAMPLE_FMT_S16, "aac");
    assert_int_equal(p.status, TA_ERR_UNAVAILABLE);
    assert_non_null(strstr(p.err.hint, "--speech-model"));
    assert_int_equal(p.chain.count, 0);
    kit_plan_free(&p);
    kit_plan(&p, "speech-denoise=rnnoise speech-model=nowhere.rnnn", "stereo", 48000, AV_SAMPLE_FMT_S16, "aac");
    assert_int_equal(p.status, TA_ERR_UNAVAILABLE);
    assert_non_null(strstr(p.err.text[0], "nowhere.rnnn"));
    kit_plan_free(&p);
    kit_plan(&p, "speech-denoise=rnnoise speech-model=bad.rnnn", "stereo", 48000, AV_SAMPLE_FMT_S16, "aac");
    assert_int_equal(p.status, TA_ERR_DATA);
    kit_plan_free(&p);
    assert_int_equal(remove("bad.rnnn"), 0);
}

/* ---- The guard -----------------------------------------------------------------------------------------------------
 */

static ta_sound_findings look_at(const char *path)
{
    ta_error err = { 0 };
    ta_sound_findings found;
    assert_ok(ta_sound_look(path, NULL, 0, NULL, &found, &err), &err);
    print_message("%s: syllables %.3f, streaks %.3f\n", path, found.syllables, found.streaks);
    return found;
}

static void music_is_told_from_speech(void **state)
{
    static const double snr[] = { 60, 15, 6.5, 0 };
    for (uint32_t i = 0; i < 4; i++) {
        sig *clean = sig_new(16000, "mono", 13 * 16000);
        kit_speech(clean, 0, 0.1, 5 + i);
        sig *s = hissing(clean, snr[i]);
        kit_write_wav("heard.wav", s);
        assert_false(look_at("heard.wav").music);
        sig_free(clean);
        sig_free(s);
    }
    sig *hiss = sig_new(16000, "stereo", 7 * 16000);
    sig_noise(hiss, 0, -30, 1);
    sig_noise(hiss, 1, -30, 2);
    kit_write_wav("heard.wav", hiss);
    assert_false(look_at("heard.wav").music);
    sig_free(hiss);
    for (int noisy = 0; noisy < 2; noisy++) {
        sig *music = sig_new(22050, "stereo", 13 * 22050);
        kit_music(music);
        sig *s = hissing(music, noisy ? 12 : 60);
        kit_write_wav("heard.wav", s);
        assert_true(look_at("heard.wav").music);
        sig_free(music);
        sig_free(s);
    }
    assert_int_equal(remove("heard.wav"), 0);
    if (kit_shared("models/gtcrn_mix.wav"))
        assert_false(look_at(kit_shared("models/gtcrn_mix.wav")).music);
}

static void the_guard_acts(void **state)
{
    WEIGHTS();
    static const char *const guards[] = { "off", "warn", "skip" };
    for (int i = 0; i < 6; i++) {
        plan p = { 0 };
        ta_error err = { 0 };
        ta_settings *s = kit_settings(pairs);
        assert_ok(ta_settings_set(s, "speech-guard", guards[i % 3], TA_FROM_COMMAND_LINE, NULL, &err), &err);
        assert_int_equal(ta_sound_wants_look(s), i % 3 > 0);
        ta_sound_findings found = { .seconds = 12, .music = i < 3, .streaks = 0.5 };
        ta_audio_format in = { 48000, AV_CHANNEL_LAYOUT_STEREO, AV_SAMPLE_FMT_FLTP };
        assert_ok(ta_sound_plan(s, &in, &found, NULL, "flac", &p.chain, &p.target, &p.notes, &p.err), &p.err);
        bool left_out = p.chain.count == 0 || strcmp(p.chain.stages[0]->name, "speech");
        assert_int_equal(left_out, i == 2);
        assert_int_equal(p.notes.data && strstr(p.notes.data, "like music"), i == 1 || i == 2);
        kit_plan_free(&p);
        ta_settings_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hiss_goes),       cmocka_unit_test(a_recording),
        cmocka_unit_test(the_limit_holds), cmocka_unit_test(any_path),
        cmocka_unit_test(missing_weights), cmocka_unit_test(music_is_told_from_speech),
        cmocka_unit_test(the_guard_acts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
