/* The clean-up chains. Each is a list of libavfilter filters with the sample format that the filter works in, as no
 * conversion is inserted silently; everything that can is done in double precision.
 *
 * Three facts about the filters: afftdn's noise floor ends at -20 dB, so the chains that aim higher (aggressive,
 * voice) use -20. alimiter's automatic level would undo the limit, so it is off. A high-pass would empty the bass
 * channel of a 5.1 source, so it leaves that channel alone. */
#include <stdlib.h>

#include "sound/internal.h"

typedef enum kind { PASS_HIGH, PASS_LOW, EQUALIZE, DENOISE, NLMEANS, COMPRESS, COMPAND, DYNAMIC, LIMIT } kind;

/* `hz`: the frequency it works at (filters at or above the Nyquist frequency are left out). `text`: its options; for
 * DENOISE those behind the noise floor, which is `hz`, and for DYNAMIC behind the frame length in ms, likewise. */
typedef struct step {
    kind kind;
    double hz;
    const char *text;
} step;

typedef struct mode {
    const char *name;
    step steps[8];
    int count;
} mode;

#define COMPRESSOR(db, ratio, attack, release)                                                                         \
    {                                                                                                                  \
        COMPRESS, 0, "threshold=" #db "dB:ratio=" #ratio ":attack=" #attack ":release=" #release                       \
    }
#define BELL(freq, db)                                                                                                 \
    {                                                                                                                  \
        EQUALIZE, freq, "t=q:w=1:g=" #db                                                                               \
    }

static const mode modes[] = {
    { "light", { { PASS_HIGH, 80, "" }, { PASS_LOW, 15000, "" }, COMPRESSOR(-20, 2, 20, 250) }, 3 },
    { "moderate",
      { { PASS_HIGH, 100, "" },
        { PASS_LOW, 14000, "" },
        { DENOISE, -20, "" },
        COMPRESSOR(-18, 3, 10, 200),
        BELL(3000, 2) },
      5 },
    { "aggressive",
      { { PASS_HIGH, 120, "" },
        { PASS_LOW, 12000, "" },
        { DENOISE, -20, ":nt=w" },
        { NLMEANS, 0, "s=7:p=0.002:r=0.002" },
        COMPRESSOR(-15, 4, 5, 150) },
      5 },
    { "voice",
      { { PASS_HIGH, 100, "" },
        { PASS_LOW, 8000, "" },
        { DENOISE, -20, "" },
        BELL(200, -3),
        BELL(2500, 4),
        BELL(5000, 2),
        COMPRESSOR(-20, 3, 5, 100),
        { LIMIT, 0, "limit=0.95" } },
      8 },
    { "music", { { PASS_HIGH, 30, "" }, { DENOISE, -25, "" }, COMPRESSOR(-24, 2, 50, 500) }, 3 },
    /* The report's Gaussian of 20 frames: dynaudnorm takes odd sizes and makes 21 of it. */
    { "report-light", { { PASS_HIGH, 80, "" }, { PASS_LOW, 12000, "" }, { DYNAMIC, 150, "g=15" } }, 3 },
    { "report-moderate",
      { { PASS_HIGH, 100, "" },
        { PASS_LOW, 15000, "" },
        { DENOISE, -25, "" },
        { COMPAND, 0, "attacks=0.3:decays=0.8:points=-80/-80|-45/-45|-27/-25|0/-7.5" },
        { DYNAMIC, 200, "g=21" } },
      5 },
};

static const mode *find_mode(const char *name)
{
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (ta_streq(modes[i].name, name))
            return &modes[i];
    return NULL;
}

/* The setting noise-floor, or the chain's own for auto. The setting's form is checked where it is set. */
static double noise_floor(const ta_sound_build *b, double own)
{
    const char *text = ta_get_text(b->s, TA_SET_noise_floor);
    return ta_streq(text, "auto") || !text[0] ? own : strtod(text, NULL);
}

/* ":c=FL+FR+..." without the bass channel, where there is one. */
static void add_without_bass(const ta_sound_build *b, ta_buf *spec)
{
    const AVChannelLayout *l = &b->now.layout;
    if (av_channel_layout_index_from_channel(l, AV_CHAN_LOW_FREQUENCY) < 0)
        return;
    const char *join = ":c=";
    for (int i = 0; i < l->nb_channels; i++) {
        enum AVChannel ch = av_channel_layout_channel_from_index(l, (unsigned)i);
        if (ch == AV_CHAN_LOW_FREQUENCY || ch == AV_CHAN_LOW_FREQUENCY_2)
            continue;
        char name[16];
        av_channel_name(name, sizeof name, ch);
        ta_buf_addf(spec, "%s%s", join, name);
        join = "+";
    }
}

/* Filters at half the sample rate would be unstable; there is nothing to filter there anyway. */
static bool too_high(ta_sound_build *b, const step *st)
{
    if (st->kind > EQUALIZE || st->hz < 0.49 * b->now.sample_rate)
        return false;
    ta_sound_note(b, "audio-enhance: the filter at %.0f Hz is left out, as the track has only %d Hz", st->hz,
                  b->now.sample_rate);
    return true;
}

static void add_denoise(ta_sound_build *b, ta_buf *spec, const step *st, int *latency)
{
    ta_sound_want(b, spec, AV_SAMPLE_FMT_FLTP);
    ta_sound_then(spec, "afftdn=nf=%g%s", noise_floor(b, st->hz), st->text);
    /* A window is three hops of 1/80 s; the samples leave two hops late. */
    *latency += 2 * (b->now.sample_rate / 80);
    ta_sound_step(b, b->now.sample_rate / 80);
}

static void add_nlmeans(ta_sound_build *b, ta_buf *spec, const step *st, int *latency)
{
    ta_sound_want(b, spec, AV_SAMPLE_FMT_FLTP);
    ta_sound_then(spec, "anlmdn=%s", st->text);
    /* Patch and research radius, 2 ms each, rounded to samples as the filter does. */
    *latency += 2 * (int)av_rescale(2000, b->now.sample_rate, AV_TIME_BASE);
}

static void add_biquad(ta_sound_build *b, ta_buf *spec, const step *st)
{
    ta_sound_want(b, spec, AV_SAMPLE_FMT_DBLP);
    if (st->kind == EQUALIZE) {
        ta_sound_then(spec, "equalizer=f=%g:%s", st->hz, st->text);
        return;
    }
    ta_sound_then(spec, "%s=f=%g", st->kind == PASS_HIGH ? "highpass" : "lowpass", st->hz);
    if (st->kind == PASS_HIGH)
        add_without_bass(b, spec);
}

/* The frame length of dynaudnorm: an even number of samples. */
static int dynamic_block(const step *st, int rate)
{
    int size = (int)lrint(rate * st->hz / 1000);
    return size + size % 2;
}

static void add_dynamics(ta_sound_build *b, ta_buf *spec, const step *st, int *block)
{
    switch (st->kind) {
    case COMPRESS:
        ta_sound_want(b, spec, AV_SAMPLE_FMT_DBL);
        ta_sound_then(spec, "acompressor=%s", st->text);
        break;
    case LIMIT:
        ta_sound_want(b, spec, AV_SAMPLE_FMT_DBL);
        ta_sound_then(spec, "alimiter=%s:level=disabled:latency=1", st->text);
        break;
    case COMPAND:
        ta_sound_want(b, spec, AV_SAMPLE_FMT_DBLP);
        ta_sound_then(spec, "compand=%s", st->text);
        break;
    default:
        ta_sound_want(b, spec, AV_SAMPLE_FMT_DBLP);
        ta_sound_then(spec, "dynaudnorm=f=%g:%s", st->hz, st->text);
        *block = dynamic_block(st, b->now.sample_rate);
        ta_sound_step(b, *block);
        break;
    }
}

static void add_step(ta_sound_build *b, ta_buf *spec, const step *st, int *latency, int *block)
{
    if (too_high(b, st))
        return;
    switch (st->kind) {
    case PASS_HIGH:
    case PASS_LOW:
    case EQUALIZE:
        add_biquad(b, spec, st);
        break;
    case DENOISE:
        add_denoise(b, spec, st, latency);
        break;
    case NLMEANS:
        add_nlmeans(b, spec, st, latency);
        break;
    default:
        add_dynamics(b, spec, st, block);
        break;
    }
}

int ta_sound_enhance(ta_sound_build *b)
{
    const char *name = ta_get_text(b->s, TA_SET_audio_enhance);
    if (ta_streq(name, "none") || ta_streq(name, "deepfilternet")) /* a speech denoiser: see speech.c */
        return 0;
    const mode *m = find_mode(name);
    if (!m)
        return ta_fail(b->err, TA_ERR_SOFTWARE, "audio-enhance %s has no chain", name);
    ta_buf spec = { 0 };
    int latency = 0, block = 1;
    for (int i = 0; i < m->count; i++)
        add_step(b, &spec, &m->steps[i], &latency, &block);
    return ta_sound_add_exact(b, "enhance", latency, block, &spec);
}
