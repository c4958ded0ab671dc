/* DeepFilterNet 3: H. Schröter, T. Rosenkranz, A. N. Escalante-B., A. Maier, "DeepFilterNet: Perceptually Motivated
 * Real-Time Speech Enhancement", INTERSPEECH 2023 (arXiv 2305.08227).
 *
 * 48 kHz, frames of 20 ms each 10 ms. An encoder sees the power of 32 bands on the ERB scale and the lowest 96 bins,
 * both normalised by their own slow means, two frames ahead of the frame that is made. One decoder gives a gain for
 * each band, another one a complex filter of five frames (two behind, two ahead) for each of the 96 bins (5 kHz), which
 * takes the place of the gains there.
 *
 * A track runs in pieces of a fixed length, for which the engine compiles. The files have no place where the recurrent
 * state goes in and out, and pad with zeros before the first frame; onnx_state.c changes both, so pieces join to what
 * the whole would give: states and the last frames that a convolution looks back on are carried from piece to piece. */
#include "neural/denoiser.h"

#include <math.h>
#include <string.h>

enum {
    HOP = 480,
    BINS = HOP + 1,
    BANDS = 32,
    LOW = 96, /* bins with filters */
    TAPS = 5,
    AHEAD = 2,      /* frames that the features are ahead; and that the filters look ahead */
    BEHIND = 2,     /* frames that the first convolutions and the filters look back */
    LOW_BEHIND = 4, /* frames of c0 that the second decoder looks back */
    PIECE = 500,    /* frames */
    FEED = BEHIND + PIECE,
    FRAMES = 2 + PIECE + AHEAD, /* that are held: from two before the piece on */
    UNITS = 256,                /* numbers of a state */
    CHANNELS = 64,
    STATES = 2 /* of a part, at most */
};

static const unsigned char widths[BANDS] = { 2, 2, 2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  5,  5,  7,
                                             7, 8, 10, 12, 13, 15, 18, 20, 24, 28, 31, 37, 42, 50, 56, 67 };
static const float smooth = 0.99F; /* of the slow means: exp(-hop / rate / 1 s), rounded as in training */

enum { ENCODER, GAINS, FILTERS };
static const int state_counts[] = { 1, 2, 2 };

/* A tensor that goes from the encoder to a decoder. */
typedef struct wire {
    const char *name;
    int to;
} wire;
static const wire wires[] = { { "emb", GAINS }, { "e3", GAINS }, { "e2", GAINS },
                              { "e1", GAINS },  { "e0", GAINS }, { "emb", FILTERS } };

typedef struct deepfilter {
    ta_denoiser_options o;
    ta_request *part[3];
    int from[TA_COUNT(wires)], into[TA_COUNT(wires)], bands_in, low_in, gains_out, filters_out, c0_out, c0_in;
    int state_in[3][STATES], state_out[3][STATES];
    float band_mean[BANDS], low_mean[LOW];
    /* Frames [first, first + count) of the track; those before it are nothing but zeros. */
    int64_t first;
    int count;
    int64_t next;   /* the frame that the next piece begins with; -AHEAD at first, as features are looked at */
    int64_t total;  /* frames of the track; INT64_MAX until the end is known */
    bool begun;     /* there are states to be carried on */
    float *spectra; /* [FRAMES][channels][BINS][2] */
    float *bands;   /* [FRAMES][BANDS] */
    float *low;     /* [2][FRAMES][LOW] */
    float *c0;      /* [CHANNELS][LOW_BEHIND][LOW]: the end of the last piece's */
    float *mean;    /* [BINS][2] */
    float *out;     /* [channels][BINS][2] */
} deepfilter;

/* ---- Features --------------------------------------------------------------------------------------------------- */

static void band_features(deepfilter *d, const float *spectrum, float *out)
{
    const float *x = spectrum;
    for (int b = 0; b < BANDS; b++) {
        float power = 0;
        for (int i = 0; i < widths[b]; i++, x += 2)
            power += x[0] * x[0] + x[1] * x[1];
        float db = 10 * log10f(power / (float)widths[b] + 1e-10F);
        d->band_mean[b] = db * (1 - smooth) + d->band_mean[b] * smooth;
        out[b] = (db - d->band_mean[b]) / 40;
    }
}

static void low_features(deepfilter *d, const float *spectrum, float *re, float *im)
{
    for (int i = 0; i < LOW; i++) {
        const float *x = spectrum + 2 * (size_t)i;
        d->low_mean[i] = hypotf(x[0], x[1]) * (1 - smooth) + d->low_mean[i] * smooth;
        float root = sqrtf(d->low_mean[i]);
        re[i] = x[0] / root;
        im[i] = x[1] / root;
    }
}

static float *frame_at(const deepfilter *d, int64_t t)
{
    return d->spectra + (size_t)(t - d->first) * (size_t)d->o.channels * BINS * 2;
}

static float *low_at(const deepfilter *d, int plane, int64_t t)
{
    return d->low + ((size_t)plane * FRAMES + (size_t)(t - d->first)) * LOW;
}

/* ---- The network ------------------------------------------------------------------------------------------------ */

static int fill(deepfilter *d, ta_error *err)
{
    ta_shape bands = TA_SHAPE(1, 1, FEED, BANDS), low = TA_SHAPE(1, 2, FEED, LOW);
    float *in;
    int r = ta_request_input(d->part[ENCODER], d->bands_in, &bands, &in, err);
    if (r < 0)
        return r;
    memcpy(in, d->bands + (size_t)(d->next - d->first) * BANDS, sizeof *in * FEED * BANDS);
    r = ta_request_input(d->part[ENCODER], d->low_in, &low, &in, err);
    for (int plane = 0; r >= 0 && plane < 2; plane++)
        memcpy(in + (size_t)plane * FEED * LOW, low_at(d, plane, d->next), sizeof *in * FEED * LOW);
    return r;
}

/* What the last piece left behind, zeros before the first. */
static int carry_states(deepfilter *d, int part, ta_error *err)
{
    ta_shape shape = TA_SHAPE(1, 1, UNITS);
    int r = 0;
    for (int i = 0; r >= 0 && i < state_counts[part]; i++) {
        const float *left = NULL;
        float *in;
        if (d->begun)
            r = ta_request_output(d->part[part], d->state_out[part][i], NULL, &left, err);
        if (r >= 0)
            r = ta_request_input(d->part[part], d->state_in[part][i], &shape, &in, err);
        if (r >= 0 && left)
            memcpy(in, left, sizeof *in * UNITS);
        else if (r >= 0)
            memset(in, 0, sizeof *in * UNITS);
    }
    return r;
}

static int run_part(deepfilter *d, int part, ta_error *err)
{
    int r = carry_states(d, part, err);
    return r < 0 ? r : ta_request_run(d->part[part], d->o.cancel, err);
}

static int wire_up(deepfilter *d, size_t i, ta_error *err)
{
    ta_shape shape;
    const float *from;
    float *to;
    int r = ta_request_output(d->part[ENCODER], d->from[i], &shape, &from, err);
    if (r >= 0)
        r = ta_request_input(d->part[wires[i].to], d->into[i], &shape, &to, err);
    if (r >= 0)
        memcpy(to, from, (size_t)ta_shape_count(&shape) * sizeof *to);
    return r;
}

/* c0 with the last frames of the piece before in front. */
static int wire_c0(deepfilter *d, ta_error *err)
{
    ta_shape shape, wanted = TA_SHAPE(1, CHANNELS, LOW_BEHIND + PIECE, LOW);
    const float *from;
    float *to;
    int r = ta_request_output(d->part[ENCODER], d->c0_out, &shape, &from, err);
    if (r >= 0 && ta_shape_count(&shape) != (int64_t)CHANNELS * PIECE * LOW)
        r = ta_fail(err, TA_ERR_DATA, "the model's c0 is not that of DeepFilterNet 3");
    if (r >= 0)
        r = ta_request_input(d->part[FILTERS], d->c0_in, &wanted, &to, err);
    for (int c = 0; r >= 0 && c < CHANNELS; c++) {
        float *tail = d->c0 + (size_t)c * LOW_BEHIND * LOW;
        memcpy(to, tail, sizeof *to * LOW_BEHIND * LOW);
        memcpy(to + LOW_BEHIND * LOW, from, sizeof *to * PIECE * LOW);
        memcpy(tail, from + (size_t)(PIECE - LOW_BEHIND) * LOW, sizeof *to * LOW_BEHIND * LOW);
        to += (LOW_BEHIND + PIECE) * LOW;
        from += (size_t)PIECE * LOW;
    }
    return r;
}

static int run(deepfilter *d, const float **gains, const float **filters, ta_error *err)
{
    ta_shape g, f;
    int r = fill(d, err);
    if (r >= 0)
        r = run_part(d, ENCODER, err);
    for (size_t i = 0; r >= 0 && i < TA_COUNT(wires); i++)
        r = wire_up(d, i, err);
    if (r >= 0)
        r = wire_c0(d, err);
    for (int p = GAINS; r >= 0 && p <= FILTERS; p++)
        r = run_part(d, p, err);
    if (r >= 0)
        r = ta_request_output(d->part[GAINS], d->gains_out, &g, gains, err);
    if (r >= 0)
        r = ta_request_output(d->part[FILTERS], d->filters_out, &f, filters, err);
    if (r >= 0 && (ta_shape_count(&g) != PIECE * BANDS || ta_shape_count(&f) != (int64_t)PIECE * LOW * TAPS * 2))
        r = ta_fail(err, TA_ERR_DATA, "the model's results are not those of DeepFilterNet 3");
    d->begun = r >= 0;
    return r;
}

/* ---- Applying --------------------------------------------------------------------------------------------------- */

static void apply_gains(const float *gains, const float *in, float *out)
{
    for (int b = 0, i = 0; b < BANDS; b++)
        for (int end = i + widths[b] * 2; i < end; i++)
            out[i] = in[i] * gains[b];
}

/* Y(t, f) = sum over k of X(t - 2 + k, f) C(k, t, f); beside the track X is 0. */
static void apply_filters(const deepfilter *d, const float *filters, int64_t t, int channel, float *out)
{
    memset(out, 0, sizeof *out * LOW * 2);
    for (int k = 0; k < TAPS; k++) {
        int64_t at = t - AHEAD + k;
        if (at >= d->total)
            break;
        const float *x = frame_at(d, at) + (size_t)channel * BINS * 2;
        for (int f = 0; f < LOW; f++) {
            const float *c = filters + ((size_t)f * TAPS + (size_t)k) * 2;
            out[2 * f] += x[2 * f] * c[0] - x[2 * f + 1] * c[1];
            out[2 * f + 1] += x[2 * f] * c[1] + x[2 * f + 1] * c[0];
        }
    }
}

/* J.-M. Valin and others, "A Perceptually-Motivated Approach for Low-Complexity, Real-Time Enhancement of Fullband
 * Speech", INTERSPEECH 2020, as DeepFilterNet has it: what is mostly noise is lowered a little more. */
static void post_filter(const float *noisy, float *out, float beta)
{
    for (int i = 0; i < BINS; i++, noisy += 2, out += 2) {
        float g = hypotf(out[0], out[1]) / (hypotf(noisy[0], noisy[1]) + 1e-12F);
        g = TA_CLAMP(g, 1e-12F, 1.F);
        float s = 1 / sinf(g * (float)M_PI_2);
        float more = (1 + beta) / (1 + beta * s * s);
        out[0] *= more;
        out[1] *= more;
    }
}

static int give(deepfilter *d, int64_t t, const float *gains, const float *filters, ta_error *err)
{
    const float *in = frame_at(d, t);
    for (int c = 0; c < d->o.channels; c++) {
        const float *noisy = in + (size_t)c * BINS * 2;
        float *out = d->out + (size_t)c * BINS * 2;
        apply_gains(gains, noisy, out);
        apply_filters(d, filters, t, c, out);
        if (d->o.beta > 0)
            post_filter(noisy, out, d->o.beta);
        ta_denoiser_mix(out, noisy, d->o.noisy, BINS * 2);
    }
    return d->o.emit(d->o.emit_to, d->out, err);
}

/* Forgets the frames that no later piece needs. */
static void drop(deepfilter *d)
{
    size_t frame = (size_t)d->o.channels * BINS * 2, rest = FRAMES - PIECE;
    memmove(d->spectra, d->spectra + PIECE * frame, rest * frame * sizeof *d->spectra);
    memmove(d->bands, d->bands + (size_t)PIECE * BANDS, rest * BANDS * sizeof *d->bands);
    for (int plane = 0; plane < 2; plane++) {
        float *low = d->low + (size_t)plane * FRAMES * LOW;
        memmove(low, low + (size_t)PIECE * LOW, rest * LOW * sizeof *low);
    }
    d->first += PIECE;
    d->count -= PIECE;
}

static int run_piece(deepfilter *d, ta_error *err)
{
    const float *gains, *filters;
    int r = run(d, &gains, &filters, err);
    for (int i = 0; r >= 0 && i < PIECE; i++, d->next++)
        if (d->next >= 0 && d->next < d->total)
            r = give(d, d->next, gains + (size_t)i * BANDS, filters + (size_t)i * LOW * TAPS * 2, err);
    if (r >= 0)
        drop(d);
    return r;
}

/* ---- The interface ---------------------------------------------------------------------------------------------- */

static int deepfilter_push(void *p, const float *bins, ta_error *err)
{
    deepfilter *d = p;
    int64_t t = d->first + d->count++;
    memcpy(frame_at(d, t), bins, sizeof *bins * (size_t)d->o.channels * BINS * 2);
    ta_denoiser_mean(bins, d->o.channels, BINS * 2, d->mean);
    band_features(d, d->mean, d->bands + (size_t)(t - d->first) * BANDS);
    low_features(d, d->mean, low_at(d, 0, t), low_at(d, 1, t));
    return d->count == FRAMES ? run_piece(d, err) : 0;
}

static int deepfilter_finish(void *p, ta_error *err)
{
    deepfilter *d = p;
    int r = 0;
    float *silence = ta_array((size_t)d->o.channels * BINS * 2, sizeof *silence);
    if (!silence)
        return ta_no_memory(err);
    d->total = d->first + d->count;
    while (r >= 0 && d->next < d->total)
        r = deepfilter_push(d, silence, err);
    ta_free(silence);
    return r;
}

static void deepfilter_close(void *p)
{
    deepfilter *d = p;
    if (!d)
        return;
    for (int i = 0; i < 3; i++)
        ta_request_free(&d->part[i]);
    ta_free(d->spectra);
    ta_free(d->bands);
    ta_free(d->low);
    ta_free(d->c0);
    ta_free(d->mean);
    ta_free(d->out);
    ta_free(d);
}

static int find_states(deepfilter *d, int part, ta_error *err)
{
    char name[32];
    int r = 0;
    for (int i = 0; r >= 0 && i < state_counts[part]; i++) {
        snprintf(name, sizeof name, "state%d", i);
        r = ta_denoiser_input(d->o.parts[part], name, &d->state_in[part][i], err);
        snprintf(name, sizeof name, "state%d_out", i);
        if (r >= 0)
            r = ta_denoiser_output(d->o.parts[part], name, &d->state_out[part][i], err);
    }
    return r;
}

static int find_ports(deepfilter *d, ta_error *err)
{
    ta_session *const *s = d->o.parts;
    int r = ta_denoiser_input(s[ENCODER], "feat_erb", &d->bands_in, err);
    if (r >= 0)
        r = ta_denoiser_input(s[ENCODER], "feat_spec", &d->low_in, err);
    if (r >= 0)
        r = ta_denoiser_output(s[ENCODER], "c0", &d->c0_out, err);
    if (r >= 0)
        r = ta_denoiser_input(s[FILTERS], "c0", &d->c0_in, err);
    if (r >= 0)
        r = ta_denoiser_output(s[GAINS], "m", &d->gains_out, err);
    if (r >= 0)
        r = ta_denoiser_output(s[FILTERS], "coefs", &d->filters_out, err);
    for (size_t i = 0; r >= 0 && i < TA_COUNT(wires); i++) {
        r = ta_denoiser_output(s[ENCODER], wires[i].name, &d->from[i], err);
        if (r >= 0)
            r = ta_denoiser_input(s[wires[i].to], wires[i].name, &d->into[i], err);
    }
    for (int p = 0; r >= 0 && p < 3; p++)
        r = find_states(d, p, err);
    return r;
}

/* The slow means begin where training began them: from the lowest to the highest band, straight. */
static void start_means(deepfilter *d)
{
    for (int i = 0; i < BANDS; i++)
        d->band_mean[i] = -60 - 30.F * (float)i / (BANDS - 1);
    for (int i = 0; i < LOW; i++)
        d->low_mean[i] = 0.001F - 0.0009F * (float)i / (LOW - 1);
}

static int deepfilter_open(void **out, const ta_denoiser_options *o, ta_error *err)
{
    deepfilter *d = *out = ta_alloc(sizeof *d);
    if (!d)
        return ta_no_memory(err);
    size_t spectrum = (size_t)o->channels * BINS * 2;
    d->o = *o;
    d->total = INT64_MAX;
    d->next = -AHEAD;
    d->first = -AHEAD - 2;
    d->count = AHEAD + 2;
    d->spectra = ta_array(FRAMES * spectrum, sizeof *d->spectra);
    d->bands = ta_array((size_t)FRAMES * BANDS, sizeof *d->bands);
    d->low = ta_array((size_t)2 * FRAMES * LOW, sizeof *d->low);
    d->c0 = ta_array((size_t)CHANNELS * LOW_BEHIND * LOW, sizeof *d->c0);
    d->mean = ta_array((size_t)BINS * 2, sizeof *d->mean);
    d->out = ta_array(spectrum, sizeof *d->out);
    start_means(d);
    int r = d->spectra && d->bands && d->low && d->c0 && d->mean && d->out ? find_ports(d, err) : ta_no_memory(err);
    for (int i = 0; r >= 0 && i < 3; i++)
        r = ta_request_new(&d->part[i], o->parts[i], err);
    return r;
}

static int deepfilter_shapes(int part, ta_input_shape *shapes)
{
    static const ta_input_shape all[3][7] = {
        { { "feat_erb", { 4, { 1, 1, FEED, BANDS } } },
          { "feat_spec", { 4, { 1, 2, FEED, LOW } } },
          { "state0", { 3, { 1, 1, UNITS } } } },
        { { "emb", { 3, { 1, PIECE, 512 } } },
          { "e3", { 4, { 1, CHANNELS, PIECE, 8 } } },
          { "e2", { 4, { 1, CHANNELS, PIECE, 8 } } },
          { "e1", { 4, { 1, CHANNELS, PIECE, 16 } } },
          { "e0", { 4, { 1, CHANNELS, PIECE, 32 } } },
          { "state0", { 3, { 1, 1, UNITS } } },
          { "state1", { 3, { 1, 1, UNITS } } } },
        { { "emb", { 3, { 1, PIECE, 512 } } },
          { "c0", { 4, { 1, CHANNELS, LOW_BEHIND + PIECE, LOW } } },
          { "state0", { 3, { 1, 1, UNITS } } },
          { "state1", { 3, { 1, 1, UNITS } } } },
    };
    static const int counts[] = { 3, 7, 4 };
    memcpy(shapes, all[part], sizeof *shapes * (size_t)counts[part]);
    return counts[part];
}

const ta_denoiser_ops ta_deepfilternet = {
    .title = "DeepFilterNet 3",
    .rate = 48000,
    .hop = HOP,
    .window = TA_WINDOW_VORBIS,
    .scale = 1.F / (2 * HOP),
    .parts = 3,
    .part_names = { "enc", "erb_dec", "df_dec" },
    .post_filter = true,
    .frees_state = true,
    .shapes = deepfilter_shapes,
    .open = deepfilter_open,
    .push = deepfilter_push,
    .finish = deepfilter_finish,
    .close = deepfilter_close,
};
