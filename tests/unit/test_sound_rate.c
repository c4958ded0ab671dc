/* Rates, drift, bit rates, and our table of encoders against libavcodec's own words. */
#include <libavcodec/avcodec.h>

#include "sound_kit.h"

/* Amplitude of a sine in the middle half. */
static double level_at(const sig *s, double hz)
{
    return kit_tone(s, 0, hz, s->n / 4, s->n * 3 / 4);
}

/* Residue in dB when a sine of exactly `hz` is taken out. */
static double residue(const sig *s, double hz)
{
    double cc = 0, ss = 0, cs = 0, xc = 0, xs = 0;
    int64_t a = s->n / 4, b = s->n * 3 / 4;
    for (int64_t i = a; i < b; i++) {
        double w = 2 * M_PI * hz * (double)i / s->rate, c = cos(w), d = sin(w), x = s->x[0][i];
        cc += c * c, ss += d * d, cs += c * d, xc += x * c, xs += x * d;
    }
    double det = cc * ss - cs * cs, p = (xc * ss - xs * cs) / det, q = (xs * cc - xc * cs) / det, rest = 0, all = 0;
    for (int64_t i = a; i < b; i++) {
        double w = 2 * M_PI * hz * (double)i / s->rate, e = s->x[0][i] - p * cos(w) - q * sin(w);
        rest += e * e;
        all += s->x[0][i] * s->x[0][i];
    }
    return 10 * log10(rest / all);
}

/* Length, pitch and purity after stretching by ppm. */
static void drift(void **state)
{
    static const double ppm[] = { 1000, -1000, 20000, -20000, 37, -1.5, 1.3, 333.3 };
    for (int i = 0; i < 8; i++) {
        char pairs[64];
        snprintf(pairs, sizeof pairs, "audio-drift=%g", ppm[i]);
        sig *in = sig_new(48000, "mono", 480000);
        sig_sine(in, 0, 997, -6, 0, 0, -1);
        sig *out = kit_run(pairs, in, AV_SAMPLE_FMT_DBLP, "flac");
        double factor = 1 + ppm[i] / 1e6;
        assert_int_equal(out->rate, 48000);
        assert_true(fabs((double)out->n - 480000 * factor) <= 2);
        assert_true(out->continuous);
        if (residue(out, 997 / factor) > -115) /* ends in float: 24 bits */
            fail_msg("%g ppm: residue %.1f dB", ppm[i], residue(out, 997 / factor));
        assert_true(fabs(kit_db(level_at(out, 997 / factor)) + 6) < 0.01);
        sig_free(in);
        sig_free(out);
    }
}

/* A click late in the sound moves with the stretch; times stretch about 0. */
static void drift_times(void **state)
{
    plan p;
    sig *in = sig_new(44100, "stereo", 441000);
    in->x[0][400000] = in->x[1][400000] = 0.5;
    kit_plan(&p, "audio-drift=2500", "stereo", 44100, AV_SAMPLE_FMT_FLTP, "flac");
    assert_ok(p.status, &p.err);
    assert_non_null(strstr(p.notes.data, "9.00 s in an hour"));
    sig *out = sig_run(&p.chain, in, AV_SAMPLE_FMT_FLTP, 88200);
    assert_true(llabs(kit_peak(out, 0) - 401000) <= 1);
    assert_true(llabs(out->first_pts - 88421) <= 1); /* 88200 * 1.0025 */
    assert_true(out->continuous);
    kit_plan_free(&p);
    sig_free(in);
    sig_free(out);
}

static void drift_too_small(void **state)
{
    plan p;
    kit_plan(&p, "audio-drift=0.3", "stereo", 48000, AV_SAMPLE_FMT_FLTP, "flac");
    assert_int_equal(p.status, TA_ERR_USAGE);
    assert_non_null(strstr(p.err.text[0], "0.3"));
    kit_plan_free(&p);
}

static void rates(void **state)
{
    static const struct {
        const char *codec;
        int from, to;
    } cases[] = { { "aac", 44100, 44100 },  { "aac", 96000, 96000 },  { "aac", 192000, 96000 },
                  { "ac3", 22050, 32000 },  { "ac3", 96000, 48000 },  { "eac3", 44100, 44100 },
                  { "dts", 96000, 48000 },  { "dts", 22050, 22050 },  { "opus", 44100, 48000 },
                  { "opus", 32000, 48000 }, { "opus", 24000, 24000 }, { "flac", 37800, 37800 },
                  { "pcm", 192000, 192000 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plan p;
        kit_plan(&p, "", "stereo", cases[i].from, AV_SAMPLE_FMT_S16, cases[i].codec);
        assert_ok(p.status, &p.err);
        assert_int_equal(p.target.format.sample_rate, cases[i].to);
        assert_int_equal(p.notes.data && strstr(p.notes.data, "Hz becomes"), cases[i].from != cases[i].to);
        kit_plan_free(&p);
    }
}

static void resampling_is_clean(void **state)
{
    sig *in = sig_new(44100, "mono", 441000);
    sig_sine(in, 0, 15000, -6, 0, 0, -1);
    sig *out = kit_run("", in, AV_SAMPLE_FMT_DBLP, "opus");
    assert_int_equal(out->rate, 48000);
    assert_true(llabs(out->n - 480000) <= 1);
    assert_true(residue(out, 15000) < -115);
    assert_true(fabs(kit_db(level_at(out, 15000)) + 6) < 0.01);
    sig_free(in);
    sig_free(out);
    in = sig_new(96000, "mono", 96000);
    in->x[0][50000] = 0.5;
    out = kit_run("", in, AV_SAMPLE_FMT_FLTP, "ac3");
    assert_int_equal(kit_peak(out, 0), 25000);
    assert_true(llabs(out->n - 48000) <= 1);
    sig_free(in);
    sig_free(out);
}

static void bit_rates(void **state)
{
    static const struct {
        const char *pairs, *layout, *codec;
        int rate;
        int64_t bits;
    } cases[] = {
        { "", "mono", "aac", 48000, 96000 },
        { "", "stereo", "aac", 48000, 192000 },
        { "", "5.1", "aac", 48000, 640000 },
        { "", "7.1", "aac", 48000, 768000 },
        { "", "5.1(side)", "ac3", 48000, 640000 },
        { "", "stereo", "opus", 48000, 192000 },
        { "", "stereo", "dts", 48000, 768000 },
        { "", "5.1", "dts", 48000, 1536000 },
        { "", "mono", "aac", 8000, 48000 }, /* 6144 bits a frame of 1024 samples is all it can have */
        { "audio-bitrate=256k", "stereo", "aac", 48000, 256000 },
        { "audio-bitrate=200k", "stereo", "ac3", 48000, 192000 },
        { "audio-bitrate=256k", "stereo", "flac", 48000, 0 },
        { "", "stereo", "pcm", 48000, 0 },
        { "audio-layout=5.1 upmix=simple", "stereo", "eac3", 48000, 640000 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plan p;
        kit_plan(&p, cases[i].pairs, cases[i].layout, cases[i].rate, AV_SAMPLE_FMT_FLTP, cases[i].codec);
        assert_ok(p.status, &p.err);
        if (p.target.bit_rate != cases[i].bits)
            fail_msg("%s %s %s: %d", cases[i].pairs, cases[i].layout, cases[i].codec, (int)p.target.bit_rate);
        kit_plan_free(&p);
    }
}

/* ---- libavcodec as the oracle ---------------------------------------------------------------------------------- */

static const struct {
    const char *codec, *encoder;
} encoders[] = { { "aac", "aac" }, { "ac3", "ac3" }, { "eac3", "eac3" }, { "dts", "dca" }, { "opus", "libopus" } };

static int open_encoder(const char *name, const ta_sound_target *t)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(name);
    if (!codec)
        return 0; /* this libavcodec has none: nothing to compare with */
    AVCodecContext *c = avcodec_alloc_context3(codec);
    c->sample_rate = t->format.sample_rate;
    c->sample_fmt = codec->sample_fmts[0];
    for (int i = 0; codec->sample_fmts[i] != AV_SAMPLE_FMT_NONE; i++)
        if (codec->sample_fmts[i] == AV_SAMPLE_FMT_FLT)
            c->sample_fmt = AV_SAMPLE_FMT_FLT;
    c->bit_rate = t->bit_rate;
    c->strict_std_compliance = FF_COMPLIANCE_EXPERIMENTAL;
    c->time_base = (AVRational){ 1, c->sample_rate };
    av_channel_layout_copy(&c->ch_layout, &t->format.layout);
    int r = avcodec_open2(c, codec, NULL);
    if (r >= 0 && c->bit_rate != t->bit_rate && strcmp(name, "libopus"))
        r = AVERROR(ERANGE); /* the encoder took another */
    avcodec_free_context(&c);
    return r;
}

/* Every plan for usual inputs opens its encoder, which keeps the bit rate. */
static void encoders_take_it(void **state)
{
    static const char *const layouts[] = {
        "mono", "stereo", "3.0", "quad(side)", "5.0(side)", "5.1", "5.1(side)", "7.1"
    };
    static const int in_rates[] = { 8000, 11025, 22050, 32000, 44100, 48000, 96000 };
    int opened = 0;
    for (int e = 0; e < 5; e++)
        for (int l = 0; l < 8; l++)
            for (int r = 0; r < 7; r++) {
                plan p;
                kit_plan(&p, "", layouts[l], in_rates[r], AV_SAMPLE_FMT_FLTP, encoders[e].codec);
                if (p.status == 0) {
                    int got = open_encoder(encoders[e].encoder, &p.target);
                    if (got < 0)
                        fail_msg("%s doesn't take %s at %d Hz with %d bits/s: %s", encoders[e].encoder, layouts[l],
                                 p.target.format.sample_rate, (int)p.target.bit_rate, av_err2str(got));
                    opened++;
                } else {
                    assert_int_equal(p.status, TA_ERR_USAGE);
                }
                kit_plan_free(&p);
            }
    assert_true(opened > 200);
}

/* A rate that libavcodec's encoder lists is left alone by the plan, for every encoder. */
static void rates_are_libavcodecs(void **state)
{
    for (int e = 0; e < 5; e++) {
        const AVCodec *codec = avcodec_find_encoder_by_name(encoders[e].encoder);
        for (const int *r = codec ? codec->supported_samplerates : NULL; r && *r; r++) {
            plan p;
            kit_plan(&p, "", "mono", *r, AV_SAMPLE_FMT_FLTP, encoders[e].codec);
            assert_ok(p.status, &p.err);
            assert_int_equal(p.target.format.sample_rate, *r);
            kit_plan_free(&p);
        }
    }
}

/* ---- What an encoder delays without saying so ------------------------------------------------------------------ */

/* A frame of `size` samples from `at` on in any sample format that encoders take: zeros, and a click at sample 24000.
 */
static AVFrame *click_frame(const AVCodecContext *c, int64_t at, int size)
{
    AVFrame *f = av_frame_alloc();
    f->nb_samples = size;
    f->format = c->sample_fmt;
    f->sample_rate = c->sample_rate;
    f->pts = at;
    assert_int_equal(av_channel_layout_copy(&f->ch_layout, &c->ch_layout), 0);
    assert_int_equal(av_frame_get_buffer(f, 0), 0);
    av_samples_set_silence(f->extended_data, 0, size, f->ch_layout.nb_channels, f->format);
    int64_t i = 24000 - at;
    if (i < 0 || i >= size)
        return f;
    for (int ch = 0; ch < f->ch_layout.nb_channels; ch++) {
        bool planar = av_sample_fmt_is_planar(f->format);
        int64_t k = planar ? i : i * f->ch_layout.nb_channels + ch;
        uint8_t *data = f->extended_data[planar ? ch : 0];
        if (av_get_packed_sample_fmt(f->format) == AV_SAMPLE_FMT_FLT)
            ((float *)data)[k] = 0.7f;
        else if (av_get_packed_sample_fmt(f->format) == AV_SAMPLE_FMT_S16)
            ((int16_t *)data)[k] = 23000;
        else
            ((int32_t *)data)[k] = 1500000000;
    }
    return f;
}

static void receive(AVCodecContext *dec, sig *to)
{
    AVFrame *f = av_frame_alloc();
    while (avcodec_receive_frame(dec, f) >= 0) {
        for (int i = 0; i < f->nb_samples && to->n < to->cap; i++) {
            const uint8_t *d = f->extended_data[0];
            to->x[0][to->n++] = av_get_packed_sample_fmt(f->format) == AV_SAMPLE_FMT_FLT ? ((const float *)d)[i]
                                : f->format == AV_SAMPLE_FMT_S32P                        ? ((const int32_t *)d)[i]
                                                                                         : ((const int16_t *)d)[i];
        }
        av_frame_unref(f);
    }
    av_frame_free(&f);
}

static void pass_packets(AVCodecContext *enc, AVCodecContext *dec, sig *to)
{
    AVPacket *pkt = av_packet_alloc();
    while (avcodec_receive_packet(enc, pkt) >= 0) {
        assert_true(avcodec_send_packet(dec, pkt) >= 0);
        receive(dec, to);
        av_packet_unref(pkt);
    }
    av_packet_free(&pkt);
}

/* Samples by which encoder and decoder together delay a click. */
static int64_t codec_delay(const char *name, const ta_sound_target *t, int *told)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(name);
    if (!codec)
        return -1;
    AVCodecContext *enc = avcodec_alloc_context3(codec), *dec;
    enc->sample_rate = t->format.sample_rate;
    enc->sample_fmt = codec->sample_fmts[0];
    enc->bit_rate = t->bit_rate;
    enc->strict_std_compliance = FF_COMPLIANCE_EXPERIMENTAL;
    enc->time_base = (AVRational){ 1, enc->sample_rate };
    enc->flags = AV_CODEC_FLAG_GLOBAL_HEADER;
    av_channel_layout_copy(&enc->ch_layout, &t->format.layout);
    assert_int_equal(avcodec_open2(enc, codec, NULL), 0);
    *told = enc->initial_padding;
    dec = avcodec_alloc_context3(avcodec_find_decoder(codec->id));
    AVCodecParameters *par = avcodec_parameters_alloc();
    assert_true(avcodec_parameters_from_context(par, enc) >= 0 && avcodec_parameters_to_context(dec, par) >= 0);
    assert_int_equal(avcodec_open2(dec, NULL, NULL), 0);
    sig *out = sig_new(enc->sample_rate, "mono", 60000);
    out->n = 0;
    int size = enc->frame_size ? enc->frame_size : 4096;
    for (int64_t at = 0; at + size <= 48000; at += size) {
        AVFrame *f = click_frame(enc, at, size);
        assert_true(avcodec_send_frame(enc, f) >= 0);
        av_frame_free(&f);
        pass_packets(enc, dec, out);
    }
    avcodec_send_frame(enc, NULL);
    pass_packets(enc, dec, out);
    avcodec_send_packet(dec, NULL);
    receive(dec, out);
    int64_t delay = kit_peak(out, 0) - 24000;
    sig_free(out);
    avcodec_parameters_free(&par);
    avcodec_free_context(&enc);
    avcodec_free_context(&dec);
    return delay;
}

/* By a click through encoder and decoder of libavcodec: what comes late is what they tell and what we know. A decoder
 * that drops the padding by itself (Opus) leaves nothing. */
static void hidden_delays(void **state)
{
    for (int e = 0; e < 5; e++) {
        plan p;
        int told = 0;
        kit_plan(&p, "", "stereo", 48000, AV_SAMPLE_FMT_FLTP, encoders[e].codec);
        assert_ok(p.status, &p.err);
        int64_t delay = codec_delay(encoders[e].encoder, &p.target, &told);
        bool dropped = strcmp(encoders[e].codec, "opus") == 0 && llabs(delay) <= 24;
        if (delay >= 0 && !dropped && llabs(delay - told - p.target.hidden_delay) > 24)
            fail_msg("%s: %d samples late, %d told, %d known", encoders[e].codec, (int)delay, told,
                     p.target.hidden_delay);
        kit_plan_free(&p);
    }
}

int main(void)
{
    av_log_set_level(AV_LOG_QUIET);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drift),
        cmocka_unit_test(drift_times),
        cmocka_unit_test(drift_too_small),
        cmocka_unit_test(rates),
        cmocka_unit_test(resampling_is_clean),
        cmocka_unit_test(bit_rates),
        cmocka_unit_test(encoders_take_it),
        cmocka_unit_test(rates_are_libavcodecs),
        cmocka_unit_test(hidden_delays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
