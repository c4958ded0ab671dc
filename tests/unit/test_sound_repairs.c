/* Repairs: generated damage goes, measured against the undamaged truth; what is not damaged stays; nothing moves. */
#include "sound_kit.h"
#include "speech_kit.h"

static double error_db(const sig *a, const sig *truth, int c)
{
    double sum = 0;
    assert_int_equal(a->n, truth->n);
    for (int64_t i = 0; i < a->n; i++)
        sum += (a->x[c][i] - truth->x[c][i]) * (a->x[c][i] - truth->x[c][i]);
    return 10 * log10(sum / (double)a->n + 1e-20);
}

static double signal_db(const sig *s, int c)
{
    return kit_db(kit_rms(s, c, 0, s->n));
}

static sig *copy_of(const sig *s)
{
    char layout[64];
    av_channel_layout_describe(&s->layout, layout, sizeof layout);
    sig *to = sig_new(s->rate, layout, s->n);
    for (int c = 0; c < s->layout.nb_channels; c++)
        memcpy(to->x[c], s->x[c], (size_t)s->n * sizeof **s->x);
    return to;
}

/* ---- Clicks --------------------------------------------------------------------------------------------------------
 */

static void clicks_go(void **state)
{
    static const struct {
        int rate;
        const char *layout;
    } cases[] = { { 48000, "stereo" }, { 44100, "mono" }, { 48000, "5.1" } };
    for (int i = 0; i < 3; i++) {
        sig *clean = sig_new(cases[i].rate, cases[i].layout, cases[i].rate + 321);
        int channels = clean->layout.nb_channels;
        for (int c = 0; c < channels; c++) {
            sig_sine(clean, c, 440 + 31 * c, -12, c, 0, -1);
            sig_sine(clean, c, 1230, -24, 0, 0, -1);
            sig_noise(clean, c, -55, 3 + (uint32_t)c);
        }
        sig *bad = copy_of(clean);
        for (int c = 0; c < channels; c++)
            for (int64_t at = 3000 + 100 * c; at < bad->n - 3000; at += 3517) /* of 1 to 8 samples, up and down */
                for (int k = 0; k <= at % 8; k++)
                    bad->x[c][at + k] += at % 2 ? 0.4 : -0.4;
        sig *out = kit_run("declick=on", bad, AV_SAMPLE_FMT_FLTP, "flac");
        assert_int_equal(out->rate, clean->rate);
        for (int c = 0; c < channels; c++) {
            double before = error_db(bad, clean, c), after = error_db(out, clean, c);
            if (after > before - 20)
                fail_msg("%d Hz, channel %d: the error was %.1f dB and is %.1f dB", clean->rate, c, before, after);
        }
        sig_free(clean);
        sig_free(bad);
        sig_free(out);
    }
}

/* Undamaged sound leaves as it came: speech all but a few samples, the rest to the bit. */
static void clean_sound_stays(void **state)
{
    sig *in = sig_new(48000, "mono", 3 * 48000);
    kit_speech(in, 0, 0.1, 1);
    sig_noise(in, 0, -60, 5);
    sig *out = kit_run("declick=on", in, AV_SAMPLE_FMT_FLTP, "flac");
    int64_t changed = 0;
    for (int64_t i = 0; i < in->n; i++)
        changed += out->x[0][i] != (float)in->x[0][i];
    assert_true(changed < in->n / 500);
    assert_true(error_db(out, in, 0) < signal_db(in, 0) - 40);
    sig_free(out);
    out = kit_run("declip=on", in, AV_SAMPLE_FMT_FLTP, "flac");
    for (int64_t i = 0; i < in->n; i++)
        if (out->x[0][i] != (float)in->x[0][i])
            fail_msg("declip changed sample %d of sound that is not clipped", (int)i);
    sig_free(out);
    sig_free(in);
}

/* ---- Cut-off peaks
 * --------------------------------------------------------------------------------------------------- */

static void peaks_come_back(void **state)
{
    static const int rates[] = { 48000, 44100 };
    for (int r = 0; r < 2; r++) {
        sig *clean = sig_new(rates[r], "stereo", rates[r] / 2);
        for (int c = 0; c < 2; c++) {
            sig_sine(clean, c, 300 + 77 * c, -3, 0, 0, -1);
            sig_sine(clean, c, 1230, -17, 0, 0, -1);
        }
        sig *bad = copy_of(clean);
        for (int c = 0; c < 2; c++)
            for (int64_t i = 0; i < bad->n; i++)
                bad->x[c][i] = TA_CLAMP(bad->x[c][i], -0.6, 0.6);
        sig *out = kit_run("declip=on", bad, AV_SAMPLE_FMT_FLTP, "flac");
        for (int c = 0; c < 2; c++) {
            double before = error_db(bad, clean, c), after = error_db(out, clean, c);
            if (after > before - 6)
                fail_msg("%d Hz: the error was %.1f dB and is %.1f dB", rates[r], before, after);
        }
        sig_free(clean);
        sig_free(bad);
        sig_free(out);
    }
}

/* ---- Hum ------------------------------------------------------------------------------------------------------------
 */

static void add_hum(sig *s, double hz, double dbfs)
{
    for (int c = 0; c < s->layout.nb_channels; c++)
        for (int k = 1; k <= 8; k++)
            sig_sine(s, c, k * hz, dbfs - 3 * k, k + c, 0, -1);
}

static void hum_goes(void **state)
{
    static const struct {
        const char *pairs;
        double hz;
    } cases[] = { { "dehum=50", 50 }, { "dehum=60", 60 } };
    for (int i = 0; i < 2; i++) {
        sig *in = sig_new(48000, "5.1", 4 * 48000);
        add_hum(in, cases[i].hz, -20);
        for (int c = 0; c < 6; c++)
            sig_sine(in, c, 1000, -20, 0, 0, -1);
        sig *out = kit_run(cases[i].pairs, in, AV_SAMPLE_FMT_FLTP, "flac");
        assert_int_equal(out->n, in->n);
        for (int c = 0; c < 6; c++) {
            for (int k = 1; k <= 8; k++) {
                double hz = k * cases[i].hz;
                double drop = kit_db(kit_tone(in, c, hz, 96000, 192000) / kit_tone(out, c, hz, 96000, 192000));
                if (drop < 40)
                    fail_msg("%s: %g Hz drops by %.1f dB only", cases[i].pairs, hz, drop);
            }
            double tone = kit_tone(out, c, 1000, 96000, 192000) / kit_tone(in, c, 1000, 96000, 192000);
            assert_true(fabs(kit_db(tone)) < 0.2);
        }
        sig_free(in);
        sig_free(out);
    }
}

/* Hum on speech, 12 s of it, as a file; what is found in it. */
static ta_sound_findings look_at(const sig *s, const char *name)
{
    char path[64];
    ta_error err = { 0 };
    ta_sound_findings found;
    snprintf(path, sizeof path, "%s.wav", name);
    kit_write_wav(path, s);
    assert_ok(ta_sound_look(path, NULL, 0, NULL, &found, &err), &err);
    assert_int_equal(remove(path), 0);
    return found;
}

static sig *speech_with_hiss(int rate, const char *layout, double seconds, uint32_t seed)
{
    sig *s = sig_new(rate, layout, (int64_t)(seconds * rate));
    for (int c = 0; c < s->layout.nb_channels; c++) {
        kit_speech(s, c, 0.1, seed);
        sig_noise(s, c, -50, seed + (uint32_t)c);
    }
    return s;
}

static void hum_is_found(void **state)
{
    static const struct {
        double hz, dbfs;
        int rate;
        const char *layout;
    } cases[] = { { 50, -35, 16000, "stereo" },
                  { 60, -35, 22050, "mono" },
                  { 59.94, -45, 44100, "mono" },
                  { 50.3, -40, 16000, "mono" } };
    for (size_t i = 0; i < TA_COUNT(cases); i++) {
        sig *s = speech_with_hiss(cases[i].rate, cases[i].layout, 13, 1 + (uint32_t)i);
        add_hum(s, cases[i].hz, cases[i].dbfs);
        ta_sound_findings found = look_at(s, "hum");
        if (fabs(found.hum_hz - cases[i].hz) > 0.03)
            fail_msg("%.2f Hz: found %.2f Hz", cases[i].hz, found.hum_hz);
        assert_true(found.hum_lines & 1);
        assert_true(fabs(found.hum_dbfs - (cases[i].dbfs - 3)) < 1.5); /* the first line is the strongest */
        /* ... and goes */
        plan p = { 0 };
        ta_settings *set = kit_settings("dehum=auto");
        ta_audio_format in = { cases[i].rate, s->layout, AV_SAMPLE_FMT_FLTP };
        assert_true(ta_sound_wants_look(set));
        assert_ok(ta_sound_plan(set, &in, &found, NULL, "flac", &p.chain, &p.target, &p.notes, &p.err), &p.err);
        if (!p.notes.data || !strstr(p.notes.data, "was found"))
            fail_msg("the notes say: %s", p.notes.data);
        sig *only = sig_new(cases[i].rate, cases[i].layout, 6 * cases[i].rate);
        add_hum(only, cases[i].hz, cases[i].dbfs);
        sig *out = sig_run(&p.chain, only, AV_SAMPLE_FMT_FLTP, 0);
        int64_t from = 2 * cases[i].rate;
        double drop = kit_db(kit_rms(only, 0, from, only->n) / kit_rms(out, 0, from, out->n));
        if (drop < (cases[i].dbfs < -38 ? 12 : 20)) /* upper lines of weak hum are under the hiss */
            fail_msg("%.2f Hz: drops by %.1f dB only", cases[i].hz, drop);
        ta_settings_free(&set);
        kit_plan_free(&p);
        sig_free(only);
        sig_free(out);
        sig_free(s);
    }
}

static void no_hum_is_found(void **state)
{
    for (uint32_t i = 0; i < 6; i++) {
        sig *s = i < 4   ? speech_with_hiss(16000, i % 2 ? "stereo" : "mono", i < 2 ? 13 : 3, 100 + i)
                 : i < 5 ? sig_new(16000, "mono", 8 * 16000)
                         : sig_new(16000, "stereo", 30 * 16000);
        if (i == 4) /* silence */
            s->x[0][0] = 0;
        if (i == 5)
            kit_music(s);
        ta_sound_findings found = look_at(s, "nohum");
        if (found.hum_lines)
            fail_msg("case %u: found %.2f Hz, lines %x", i, found.hum_hz, found.hum_lines);
        sig_free(s);
    }
    ta_sound_findings none = { .seconds = 12 };
    ta_audio_format in = { 48000, AV_CHANNEL_LAYOUT_STEREO, AV_SAMPLE_FMT_S16 };
    plan p = { 0 };
    ta_settings *set = kit_settings("dehum=auto");
    assert_ok(ta_sound_plan(set, &in, &none, NULL, "flac", &p.chain, &p.target, &p.notes, &p.err), &p.err);
    assert_int_equal(p.chain.count, 0); /* bit by bit */
    assert_non_null(strstr(p.notes.data, "no hum"));
    kit_plan_free(&p);
    ta_settings_free(&set);
}

/* Made with 60 Hz hum, as its description says. */
static void a_tape(void **state)
{
    const char *path = kit_shared("clips/tape_480i.mpg");
    ta_error err = { 0 };
    ta_sound_findings found;
    if (!path)
        skip();
    assert_ok(ta_sound_look(path, NULL, 1, NULL, &found, &err), &err);
    assert_true(fabs(found.hum_hz - 60) < 0.05);
    assert_false(found.music);
}

/* ---- Time -----------------------------------------------------------------------------------------------------------
 */

static void nothing_moves(void **state)
{
    static const int rates[] = { 8000, 22050, 44100, 96000 };
    for (int r = 0; r < 4; r++)
        for (int n = 0; n < 2; n++) {
            sig *in = sig_new(rates[r], "stereo", n ? 1 + rates[r] / 100 : rates[r] / 2 + 1234);
            for (int c = 0; c < 2; c++) {
                sig_sine(in, c, 440, -12, c, 0, -1);
                sig_sine(in, c, 50, -30, c, 0, -1);
                sig_noise(in, c, -40, 9 + (uint32_t)c);
            }
            plan p;
            kit_plan(&p, "declip=on declick=on", "stereo", rates[r], AV_SAMPLE_FMT_FLTP, "flac");
            assert_ok(p.status, &p.err);
            assert_int_equal(p.chain.stages[0]->name[2], 'c'); /* declip before declick */
            sig *out = sig_run(&p.chain, in, AV_SAMPLE_FMT_FLTP, 5000);
            assert_int_equal(out->n, in->n);
            assert_int_equal(out->first_pts, 5000);
            assert_true(out->continuous);
            for (int c = 0; c < 2; c++)
                if (error_db(out, in, c) > -50)
                    fail_msg("%d Hz: the sound is %.1f dB off", rates[r], error_db(out, in, c));
            sig_free(in);
            sig_free(out);
            kit_plan_free(&p);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clicks_go),       cmocka_unit_test(clean_sound_stays),
        cmocka_unit_test(peaks_come_back), cmocka_unit_test(hum_goes),
        cmocka_unit_test(hum_is_found),    cmocka_unit_test(no_hum_is_found),
        cmocka_unit_test(nothing_moves),   cmocka_unit_test(a_tape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
