/* The tape's damage: see tape.h. Integers only. */
#include "sample/tape.h"

#include <math.h>
#include <string.h>

#include "base/base.h"

enum {
    W = TA_SCENE_WIDTH,
    CW = W / 2,
    PAD = 48, /* samples kept beside a line for filters and shifts */
    MAX_DROPS = 4,
    BEND_LINES = 9,
    GRAIN = 4, /* chroma samples to a grain of chroma noise */
};

typedef struct dropout {
    int line, x, length, level;
} dropout;

/* The state of a field while it is played from top to bottom. */
typedef struct field {
    const ta_tape *t;
    ta_rng rng;
    int parity, lines;
    int wander;      /* start of the line, 1/256 sample */
    int bend;        /* of the top lines, 1/256 sample */
    int switch_line; /* first line after the head switch */
    int drops;
    dropout drop[MAX_DROPS];
    int grain[2][CW / GRAIN + 2]; /* chroma noise of the line before */
    int32_t noise[W + 2];
} field;

/* sin(2 pi fc t) / (pi t) under a Hann window, fc = 3.1 / 13.5 MHz, for each eighth of a sample; then a sharpened copy
 * (about 3 dB at the top of the band) as decks do. */
static void fir_phase(const ta_sine *sine, int phase, int16_t *out)
{
    enum { HALF = TA_TAPE_TAPS / 2 };
    const int64_t middle = (int64_t)4096 * TA_SINE_ONE * 31 * 6283185 / 1080000000; /* the limit at 0 */
    int64_t raw[TA_TAPE_TAPS], sum = 0;
    for (int k = 0; k < TA_TAPE_TAPS; k++) {
        int at = (k - HALF) * TA_TAPE_PHASES - phase; /* 1/8 sample */
        uint32_t turn = (uint32_t)((int64_t)at * ta_phase_step(31, 135 * TA_TAPE_PHASES));
        int64_t sinc = at ? (int64_t)ta_sine_at(sine, turn) * 4096 / at : middle;
        uint32_t hann = (uint32_t)((int64_t)at * ta_phase_step(1, (HALF + 1) * 2 * TA_TAPE_PHASES));
        int64_t window = (TA_SINE_ONE + ta_sine_at(sine, hann + 0x40000000u)) / 2;
        int64_t edge =
            TA_SINE_ONE - ta_sine_at(sine, (uint32_t)((int64_t)at * ta_phase_step(20, 135 * 8)) + 0x40000000u);
        raw[k] = sinc * window >> 14;
        raw[k] += raw[k] * edge >> 16;
        sum += raw[k];
    }
    int total = 0;
    for (int k = 0; k < TA_TAPE_TAPS; k++)
        total += out[k] = (int16_t)(raw[k] * 4096 / sum);
    out[HALF] = (int16_t)(out[HALF] + 4096 - total);
}

void ta_tape_init(ta_tape *t, double noise, uint64_t seed)
{
    ta_sine sine;
    ta_sine_init(&sine);
    t->seed = seed;
    /* [1 2 1] on white noise multiplies its deviation by sqrt(6) */
    t->luma_gain = (int)lround(noise * 65536 / (TA_RNG_SIGMA * 2.4494897));
    t->chroma_gain = (int)lround(noise * 1.25 * 65536 / TA_RNG_SIGMA);
    for (int i = 0; i < TA_TAPE_PHASES; i++)
        fir_phase(&sine, i, t->fir[i]);
}

/* One dropout every three fields or so, often two or three together. */
static void choose_drops(field *f)
{
    if (ta_rng_below(&f->rng, 3))
        return;
    f->drops = 1 + ta_rng_below(&f->rng, 4) / 2;
    for (int i = 0; i < f->drops; i++) {
        bool near = i && ta_rng_below(&f->rng, 2);
        f->drop[i].line = near ? f->drop[0].line + i : ta_rng_below(&f->rng, f->lines - 8);
        f->drop[i].x = ta_rng_below(&f->rng, W - 40);
        f->drop[i].length = 16 + ta_rng_below(&f->rng, 40) * ta_rng_below(&f->rng, 7);
        f->drop[i].level = ta_rng_below(&f->rng, 4) ? 225 : 20;
    }
}

static void field_start(field *f, const ta_tape *t, int64_t index, int parity, int lines)
{
    memset(f, 0, sizeof(*f));
    f->t = t;
    f->rng = ta_rng_seeded(t->seed, 0x7a9e0000u + (uint64_t)index);
    f->parity = parity;
    f->lines = lines;
    f->bend = 256 + ta_rng_below(&f->rng, 512);
    f->switch_line = lines - TA_TAPE_SWITCH_LINES - !ta_rng_below(&f->rng, 3);
    choose_drops(f);
}

/* Where line i starts, 1/256 sample: a walk pulled back to 0, a bend at the top, the jump at the head switch. */
static int line_start(field *f, int i)
{
    f->wander = f->wander * 7 / 8 + ta_rng_below(&f->rng, 121) - 60;
    int start = f->wander;
    if (i < BEND_LINES)
        start += f->bend * (BEND_LINES - i) * (BEND_LINES - i) / (BEND_LINES * BEND_LINES);
    if (i >= f->switch_line)
        start += (16 + (f->lines - i) * 4 + ta_rng_below(&f->rng, 8)) * 256;
    return start;
}

/* Reads past an end repeat black. */
static void load(int16_t *dst, const uint8_t *src, int n, int blank)
{
    for (int i = 0; i < PAD; i++)
        dst[i] = dst[PAD + n + i] = (int16_t)blank;
    for (int i = 0; i < n; i++)
        dst[PAD + i] = src[i];
}

/* Smoothed white noise; beyond the head switch four times as much. */
static void make_noise(field *f, int gain)
{
    int before = ta_rng_gauss(&f->rng), here = ta_rng_gauss(&f->rng);
    for (int x = 0; x < W; x++) {
        int next = ta_rng_gauss(&f->rng);
        f->noise[x] = (int)(((int64_t)(before + 2 * here + next) * gain + 32768) >> 16);
        before = here;
        here = next;
    }
}

static void play_luma(field *f, int i, int start, const uint8_t *src, uint8_t *dst)
{
    int16_t in[W + 2 * PAD];
    load(in, src, W, 16);
    make_noise(f, i >= f->switch_line ? f->t->luma_gain * 4 : f->t->luma_gain);
    int eighths = (-start) >> 5, whole = eighths >> 3;
    const int16_t *c = f->t->fir[eighths & 7], *at = in + PAD + TA_CLAMP(whole, 8 - PAD, PAD - 8) - TA_TAPE_TAPS / 2;
    int32_t sum[W] = { 0 };
    for (int k = 0; k < TA_TAPE_TAPS; k++) /* taps outside: compilers turn the inner loop into vectors */
        for (int x = 0; x < W; x++)
            sum[x] += c[k] * at[x + k];
    for (int x = 0; x < W; x++)
        dst[x] = (uint8_t)TA_CLAMP(((sum[x] + 2048) >> 12) + f->noise[x], 1, 254);
}

/* Two running means of 7 and 5 samples: -3 dB near 0.4 MHz. */
static void blur(int16_t *line, int n, int width)
{
    int16_t copy[CW + 2 * PAD];
    int half = width / 2, sum = 0;
    memcpy(copy, line, (size_t)n * sizeof(*line));
    for (int x = 0; x < width; x++)
        sum += copy[x];
    for (int x = half; x < n - half - 1; x++) {
        line[x] = (int16_t)((sum + (sum < 0 ? -half : half)) / width);
        sum += copy[x + half + 1] - copy[x - half];
    }
}

/* New grains, half of them carried over from the line above: chroma noise comes in blotches. */
static void new_grains(field *f, int *grain)
{
    for (int i = 0; i < CW / GRAIN + 2; i++)
        grain[i] = (grain[i] * 181 + ta_rng_gauss(&f->rng) * 181) / 256;
}

static void play_chroma(field *f, int i, int start, int which, const uint8_t *src, uint8_t *dst)
{
    enum { Q = 16 }; /* chroma keeps four bits more until the noise is in */
    int16_t in[CW + 2 * PAD];
    int *grain = f->grain[which], gain = i >= f->switch_line ? f->t->chroma_gain * 3 : f->t->chroma_gain;
    load(in, src, CW, 128);
    for (int x = 0; x < CW + 2 * PAD; x++)
        in[x] = (int16_t)((in[x] - 128) * Q);
    blur(in, CW + 2 * PAD, 7);
    blur(in, CW + 2 * PAD, 5);
    new_grains(f, grain);
    int shift = TA_CLAMP((256 - start - TA_TAPE_CHROMA_SHIFT * 256) >> 9, 1 - PAD, PAD - 2); /* nearest */
    for (int x = 0; x < CW; x++) {
        int g = x / GRAIN, part = x % GRAIN;
        int n = (grain[g] * (GRAIN - part) + grain[g + 1] * part) / GRAIN;
        int v = in[PAD + x + shift] + (int)(((int64_t)n * gain) >> 12);
        dst[x] = (uint8_t)TA_CLAMP(128 + (v >> 4), 1, 254);
    }
}

/* A streak that starts hard and fades, with sparks in it and no colour. */
static void play_drop(field *f, const dropout *d, uint8_t *y, uint8_t *u, uint8_t *v)
{
    int end = TA_MIN(d->x + d->length, W);
    for (int x = d->x; x < end; x++) {
        int left = end - x, cover = TA_MIN(256, 64 + left * 12);
        int level = d->level + ta_rng_gauss(&f->rng) / 6;
        y[x] = (uint8_t)TA_CLAMP(y[x] + (((level - y[x]) * cover) >> 8), 1, 254);
        u[x >> 1] = v[x >> 1] = 128;
    }
}

static void play_line(field *f, int i, const ta_picture *in, ta_picture *out)
{
    size_t at = (size_t)(2 * i + f->parity) * W;
    size_t late = (size_t)(2 * TA_MAX(i - TA_TAPE_CHROMA_DELAY, 0) + f->parity) * CW;
    int start = line_start(f, i);
    play_luma(f, i, start, in->plane[0] + at, out->plane[0] + at);
    for (int p = 1; p < 3; p++)
        play_chroma(f, i, start, p - 1, in->plane[p] + late, out->plane[p] + at / 2);
    for (int d = 0; d < f->drops; d++)
        if (f->drop[d].line == i)
            play_drop(f, &f->drop[d], out->plane[0] + at, out->plane[1] + at / 2, out->plane[2] + at / 2);
}

void ta_tape_field(const ta_tape *t, int64_t index, int parity, const ta_picture *in, ta_picture *out)
{
    field f;
    field_start(&f, t, index, parity, in->height / 2);
    for (int i = 0; i < f.lines; i++)
        play_line(&f, i, in, out);
}
