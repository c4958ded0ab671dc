/* The clean-up chains: bit by bit what libavfilter makes of the same filters written by hand, as long as the input,
 * with a click where it was. */
#include "sound_kit.h"

typedef struct mode {
    const char *name, *graph;
    int delay; /* of the hand-written graph, at 48 kHz */
    int block; /* its input must be a multiple of this: see ta_exact_stage */
} mode;

#define START "aformat=sample_fmts=dblp,"
#define END ",aformat=sample_fmts=fltp"

/* Figures of the original program (those chains) and of the report (the last two). */
static const mode modes[] = {
    { "light", START "highpass=f=80,lowpass=f=15000,acompressor=threshold=0.1:ratio=2:attack=20:release=250" END, 0 },
    { "moderate",
      START "highpass=f=100,lowpass=f=14000,afftdn=nf=-20,acompressor=threshold=-18dB:ratio=3:attack=10:release=200,"
            "aformat=sample_fmts=dblp,equalizer=f=3000:t=q:w=1:g=2" END,
      1200 },
    { "aggressive",
      START "highpass=f=120,lowpass=f=12000,afftdn=nf=-20:nt=white,anlmdn=s=7:p=0.002:r=0.002,"
            "acompressor=threshold=-15dB:ratio=4:attack=5:release=150" END,
      1200 + 192 },
    { "voice",
      START "highpass=f=100,lowpass=f=8000,afftdn=nf=-20,aformat=sample_fmts=dblp,equalizer=f=200:t=q:w=1:g=-3,"
            "equalizer=f=2500:t=q:w=1:g=4,equalizer=f=5000:t=q:w=1:g=2,"
            "acompressor=threshold=-20dB:ratio=3:attack=5:release=100,alimiter=limit=0.95:level=0:latency=1" END,
      1200 },
    { "music", START "highpass=f=30,afftdn=nf=-25,acompressor=threshold=-24dB:ratio=2:attack=50:release=500" END,
      1200 },
    { "report-light", START "highpass=f=80,lowpass=f=12000,dynaudnorm=f=150:g=15" END, 0, 7200 },
    { "report-moderate",
      START "highpass=f=100,lowpass=f=15000,afftdn=nf=-25,aformat=sample_fmts=dblp,"
            "compand=attacks=0.3:decays=0.8:points=-80/-80|-45/-45|-27/-25|0/-7.5,dynaudnorm=f=200:g=21" END,
      1200, 9600 },
};
enum { MODES = sizeof modes / sizeof *modes };

/* Speech-like: bursts of tones over noise. */
static sig *programme(const char *layout, double seconds)
{
    sig *s = sig_new(48000, layout, (int64_t)(seconds * 48000));
    for (int c = 0; c < s->layout.nb_channels; c++) {
        sig_noise(s, c, -50, 7 + (uint32_t)c);
        for (double t = 0.2; t < seconds; t += 0.5) {
            sig_sine(s, c, 220 + 50 * c, -18, 0, t, t + 0.3);
            sig_sine(s, c, 1870, -26, c, t, t + 0.2);
        }
    }
    return s;
}

static sig *padded(const sig *in, int more)
{
    char layout[64];
    av_channel_layout_describe(&in->layout, layout, sizeof layout);
    sig *s = sig_new(in->rate, layout, in->n + more);
    for (int c = 0; c < s->layout.nb_channels; c++)
        memcpy(s->x[c], in->x[c], (size_t)in->n * sizeof **s->x);
    return s;
}

static void same_as_written_by_hand(void **state)
{
    for (int m = 0; m < MODES; m++) {
        char pairs[64];
        snprintf(pairs, sizeof pairs, "audio-enhance=%s", modes[m].name);
        int block = TA_MAX(modes[m].block, 1);
        sig *in = programme("stereo", 4);
        sig *longer = padded(in, modes[m].delay + (block - (int)(in->n + modes[m].delay) % block) % block);
        sig *ours = kit_run(pairs, in, AV_SAMPLE_FMT_FLTP, "aac");
        sig *theirs = sig_graph(modes[m].graph, longer, AV_SAMPLE_FMT_FLTP);
        assert_int_equal(ours->n, in->n);
        assert_true(theirs->n >= in->n + modes[m].delay);
        assert_int_equal(ours->fmt, AV_SAMPLE_FMT_FLT);
        for (int c = 0; c < 2; c++)
            for (int64_t i = 0; i < ours->n; i++)
                if (ours->x[c][i] != theirs->x[c][i + modes[m].delay])
                    fail_msg("%s: channel %d differs at sample %d", modes[m].name, c, (int)i);
        assert_true(kit_rms(ours, 0, 0, ours->n) > 0.01);
        sig_free(in);
        sig_free(longer);
        sig_free(ours);
        sig_free(theirs);
    }
}

/* A click of 0.7 in near silence stays within 1 ms, at a start time that isn't 0, at odd lengths and rates. */
static void clicks_stay(void **state)
{
    static const int rates[] = { 32000, 44100, 48000 };
    for (int m = 0; m < MODES; m++) {
        for (int r = 0; r < 3; r++) {
            char pairs[64];
            plan p;
            snprintf(pairs, sizeof pairs, "audio-enhance=%s", modes[m].name);
            sig *in = sig_new(rates[r], "stereo", rates[r] + 12345);
            sig_noise(in, 0, -75, 1);
            sig_noise(in, 1, -75, 2);
            int64_t at = in->n / 2;
            in->x[0][at] = in->x[1][at] = 0.7;
            kit_plan(&p, pairs, "stereo", rates[r], AV_SAMPLE_FMT_FLTP, "flac");
            assert_ok(p.status, &p.err);
            sig *out = sig_run(&p.chain, in, AV_SAMPLE_FMT_FLTP, 100000);
            assert_int_equal(out->n, in->n);
            assert_int_equal(out->first_pts, 100000);
            assert_true(out->continuous);
            for (int c = 0; c < 2; c++)
                if (llabs(kit_peak(out, c) - at) > rates[r] / 1000)
                    fail_msg("%s at %d Hz: click moved by %d", modes[m].name, rates[r], (int)(kit_peak(out, c) - at));
            sig_free(in);
            sig_free(out);
            kit_plan_free(&p);
        }
    }
}

/* 5.1 through every chain: each channel's own click stays, and no channel leaks into another. */
static void five_channels_and_bass(void **state)
{
    for (int m = 0; m < MODES; m++) {
        char pairs[64];
        snprintf(pairs, sizeof pairs, "audio-enhance=%s", modes[m].name);
        sig *in = sig_new(48000, "5.1(side)", 96000);
        for (int c = 0; c < 6; c++)
            for (int64_t i = 0; i < 48; i++) /* a millisecond of 1 kHz, every channel at its own time */
                in->x[c][12000 * (c + 1) + i] = 0.5 * sin(2 * M_PI * (double)i / 48);
        sig *out = kit_run(pairs, in, AV_SAMPLE_FMT_FLTP, "ac3");
        assert_int_equal(out->n, in->n);
        for (int c = 0; c < 6; c++) {
            int64_t at = kit_peak(out, c) - 12000 * (c + 1);
            if (at < 0 || at > 48 + 48)
                fail_msg("%s: channel %d has its peak %d samples off", modes[m].name, c, (int)at);
        }
        sig_free(in);
        sig_free(out);
    }
}

static void any_length(void **state)
{
    static const int lengths[] = { 1, 100, 1199, 1200, 1201, 5000, 12801 };
    for (int m = 0; m < MODES; m++) {
        for (int i = 0; i < 7; i++) {
            char pairs[64];
            snprintf(pairs, sizeof pairs, "audio-enhance=%s", modes[m].name);
            sig *in = sig_new(48000, "mono", lengths[i]);
            sig_sine(in, 0, 500, -12, 0, 0, -1);
            sig *out = kit_run(pairs, in, AV_SAMPLE_FMT_S16, "flac");
            assert_int_equal(out->n, lengths[i]);
            assert_true(out->continuous);
            sig_free(in);
            sig_free(out);
        }
    }
}

/* noise-floor reaches afftdn: equal to a graph with that figure, and more noise goes with a higher floor. */
static void noise_floor_is_wired(void **state)
{
    sig *in = programme("stereo", 3), *longer = padded(in, 1200);
    sig *ours = kit_run("audio-enhance=music noise-floor=-42.5", in, AV_SAMPLE_FMT_FLTP, "aac");
    sig *theirs = sig_graph(START "highpass=f=30,afftdn=nf=-42.5,"
                                  "acompressor=threshold=-24dB:ratio=2:attack=50:release=500" END,
                            longer, AV_SAMPLE_FMT_FLTP);
    sig *own = kit_run("audio-enhance=music", in, AV_SAMPLE_FMT_FLTP, "aac");
    assert_memory_equal(ours->x[1], theirs->x[1] + 1200, (size_t)in->n * sizeof(double));
    /* between the bursts only noise is left: samples 0.1 s to 0.18 s */
    assert_true(kit_rms(own, 0, 4800, 8640) < kit_rms(ours, 0, 4800, 8640));
    sig_free(in);
    sig_free(longer);
    sig_free(ours);
    sig_free(theirs);
    sig_free(own);
}

/* The bass channel of a 5.1 source passes the high-pass: 50 Hz stays there and goes elsewhere. */
static void bass_channel_survives(void **state)
{
    sig *in = sig_new(48000, "5.1", 96000);
    for (int c = 0; c < 6; c++)
        sig_sine(in, c, 50, -40, 0, 0, -1);
    sig *out = kit_run("audio-enhance=light", in, AV_SAMPLE_FMT_FLTP, "aac");
    double before = kit_tone(in, 3, 50, 48000, 96000);
    assert_true(fabs(kit_db(kit_tone(out, 3, 50, 48000, 96000) / before)) < 0.1);
    for (int c = 0; c < 6; c++)
        if (c != 3) /* second order at 80 Hz: -10 log10(1 + (80/50)^4) = -8.8 dB */
            assert_true(fabs(kit_db(kit_tone(out, c, 50, 48000, 96000) / before) + 8.8) < 0.3);
    sig_free(in);
    sig_free(out);
}

/* A stage that is configured again starts afresh: the same sound comes out the same. */
static void again(void **state)
{
    plan p;
    sig *in = programme("stereo", 1.1);
    kit_plan(&p, "audio-enhance=aggressive audio-layout=5.1 upmix=surround", "stereo", 48000, AV_SAMPLE_FMT_FLTP,
             "aac");
    assert_ok(p.status, &p.err);
    sig *first = sig_run(&p.chain, in, AV_SAMPLE_FMT_FLTP, 0), *second = sig_run(&p.chain, in, AV_SAMPLE_FMT_FLTP, 7);
    assert_int_equal(first->n, second->n);
    assert_int_equal(second->first_pts, 7);
    for (int c = 0; c < 6; c++)
        assert_memory_equal(first->x[c], second->x[c], (size_t)first->n * sizeof(double));
    sig_free(in);
    sig_free(first);
    sig_free(second);
    kit_plan_free(&p);
}

/* Each allocation of a plan and of a run fails once: an error, no crash, no leak (the sanitizers watch). */
static void out_of_memory(void **state)
{
    ta_settings *s = kit_settings("audio-enhance=voice audio-layout=5.1 upmix=simple audio-drift=100 declip=on "
                                  "declick=on dehum=50");
    ta_audio_format in = { 44100, AV_CHANNEL_LAYOUT_STEREO, AV_SAMPLE_FMT_S16 };
    int failures = 0;
    for (uint64_t n = 1; n < 2000; n++) {
        ta_chain chain = { 0 };
        ta_sound_target target;
        ta_buf notes = { 0 };
        ta_error err = { 0 };
        ta_link link = { .type = AVMEDIA_TYPE_AUDIO, .audio = in }, out;
        ta_alloc_fail_at(n);
        int r = ta_sound_plan(s, &in, NULL, NULL, "opus", &chain, &target, &notes, &err);
        if (r >= 0)
            r = ta_chain_configure(&chain, &link, &out, &err);
        ta_alloc_fail_at(0);
        ta_chain_free(&chain);
        ta_buf_free(&notes);
        if (r >= 0)
            break;
        assert_int_equal(r, TA_ERR_AGAIN);
        failures++;
    }
    assert_true(failures > 20);
    ta_settings_free(&s);
}

static void low_rates(void **state)
{
    plan p;
    kit_plan(&p, "audio-enhance=moderate", "mono", 8000, AV_SAMPLE_FMT_S16, "flac");
    assert_ok(p.status, &p.err);
    assert_non_null(strstr(p.notes.data, "14000 Hz is left out"));
    sig *in = sig_new(8000, "mono", 16000);
    sig_sine(in, 0, 440, -20, 0, 0, -1);
    sig *out = sig_run(&p.chain, in, AV_SAMPLE_FMT_S16, 0);
    assert_int_equal(out->n, 16000);
    assert_true(fabs(kit_db(kit_tone(out, 0, 440, 8000, 16000)) + 20) < 3);
    sig_free(in);
    sig_free(out);
    kit_plan_free(&p);
}

static void missing_engines(void **state)
{
    plan p;
    kit_plan(&p, "audio-enhance=deepfilternet", "stereo", 48000, AV_SAMPLE_FMT_S16, "aac");
    assert_int_equal(p.status, TA_ERR_UNAVAILABLE);
    assert_non_null(strstr(p.err.text[0], "deepfilternet"));
    assert_int_equal(p.chain.count, 0);
    kit_plan_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_written_by_hand),
        cmocka_unit_test(clicks_stay),
        cmocka_unit_test(five_channels_and_bass),
        cmocka_unit_test(any_length),
        cmocka_unit_test(noise_floor_is_wired),
        cmocka_unit_test(bass_channel_survives),
        cmocka_unit_test(low_rates),
        cmocka_unit_test(again),
        cmocka_unit_test(out_of_memory),
        cmocka_unit_test(missing_engines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
