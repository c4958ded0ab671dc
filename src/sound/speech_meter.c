/* Is it speech or music? Denoisers that were trained on speech take music for noise.
 *
 * Two measures. Syllables: the share of modulation at 2.5 to 6 Hz in the envelopes of half-octave bands (the "4 Hz
 * modulation energy" of E. Scheirer and M. Slaney, "Construction and Evaluation of a Robust Multifeature Speech/Music
 * Discriminator", ICASSP 1997): speech comes in some four syllables a second. Streaks: the share of energy over 500 Hz
 * in peaks of the spectrum that stay at their frequency for a quarter of a second (M. Hawley, "Structure out of Sound",
 * MIT 1993): notes do that, the harmonics of a voice slide. Hiss has neither. */
#include <libavutil/tx.h>

#include "sound/look.h"

enum {
    FFT = 512,
    HOP = 128,
    BINS = FFT / 2,
    FRAMES = (TA_LOOK_SAMPLES - FFT) / HOP + 1,
    BANDS = 8,   /* from 200 to 3200 Hz */
    STREAK = 15, /* frames, 240 ms */
    STREAK_BIN = 500 * FFT / TA_LOOK_RATE
};

struct ta_speech_meter {
    AVTXContext *tx;
    av_tx_fn run;
    double in[FFT], out[FFT + 2], window[FFT];
    double power[BINS];
    int length[BINS], start[BINS]; /* of the streak that each bin's peak belongs to; where it began */
    double envelope[BANDS][FRAMES];
    double streaks, all; /* energies */
    double syllables;    /* sum over windows */
    int windows;
};

ta_speech_meter *ta_speech_meter_new(void)
{
    ta_speech_meter *m = ta_alloc(sizeof *m);
    double scale = 1;
    if (m && av_tx_init(&m->tx, &m->run, AV_TX_DOUBLE_RDFT, 0, FFT, &scale, AV_TX_UNALIGNED) < 0)
        ta_speech_meter_free(&m);
    for (int i = 0; m && i < FFT; i++)
        m->window[i] = 0.5 - 0.5 * cos(2 * M_PI * i / FFT);
    return m;
}

void ta_speech_meter_free(ta_speech_meter **m)
{
    if (*m)
        av_tx_uninit(&(*m)->tx);
    ta_freep(m);
}

static void transform(ta_speech_meter *m, const double *x)
{
    for (int i = 0; i < FFT; i++)
        m->in[i] = x[i] * m->window[i];
    m->run(m->tx, m->out, m->in, sizeof *m->in);
    for (int i = 0; i < BINS; i++)
        m->power[i] = m->out[2 * i] * m->out[2 * i] + m->out[2 * i + 1] * m->out[2 * i + 1];
}

static int band_edge(int band)
{
    return (int)lrint(200 * pow(2, band / 2.0) * FFT / TA_LOOK_RATE);
}

static void add_envelopes(ta_speech_meter *m, int frame)
{
    for (int b = 0; b < BANDS; b++) {
        double sum = 0;
        for (int i = band_edge(b); i < band_edge(b + 1); i++)
            sum += m->power[i];
        m->envelope[b][frame] = sqrt(sum);
    }
}

/* A peak is 6 dB over the mean of the eight bins on either side. */
static bool is_peak(const double *p, int i)
{
    double sum = 0;
    if (i < 8 || i >= BINS - 8 || p[i] < p[i - 1] || p[i] <= p[i + 1])
        return false;
    for (int k = -8; k <= 8; k++)
        sum += p[i + k];
    return p[i] > 4 * (sum - p[i]) / 16;
}

static void add_streaks(ta_speech_meter *m)
{
    int length[BINS] = { 0 }, start[BINS] = { 0 };
    for (int i = STREAK_BIN; i < BINS - 8; i++) {
        m->all += m->power[i];
        if (!is_peak(m->power, i))
            continue;
        length[i] = 1;
        start[i] = i;
        for (int k = i - 1; k <= i + 1; k++)
            if (m->length[k] >= length[i] && abs(m->start[k] - i) <= 1) {
                length[i] = m->length[k] + 1;
                start[i] = m->start[k];
            }
        if (length[i] >= STREAK)
            m->streaks += m->power[i - 1] + m->power[i] + m->power[i + 1];
    }
    memcpy(m->length, length, sizeof length);
    memcpy(m->start, start, sizeof start);
}

/* Power of the envelope at 2.5 to 6 Hz, and of its mean. */
static void modulation(const double *e, double *syllables, double *mean)
{
    const double seconds = (double)TA_LOOK_SAMPLES / TA_LOOK_RATE;
    double sum = 0;
    for (int t = 0; t < FRAMES; t++)
        sum += e[t] / FRAMES;
    *mean = sum * sum;
    *syllables = 0;
    for (int j = (int)(2.5 * seconds); j <= 6 * seconds; j++) {
        double re = 0, im = 0;
        for (int t = 0; t < FRAMES; t++) {
            double at = 2 * M_PI * j * t / FRAMES;
            re += (e[t] - sum) * cos(at) / FRAMES;
            im += (e[t] - sum) * sin(at) / FRAMES;
        }
        *syllables += 2 * (re * re + im * im);
    }
}

void ta_speech_meter_add(ta_speech_meter *m, const double *x)
{
    double power = 0, syllables = 0, mean = 0;
    for (int i = 0; i < TA_LOOK_SAMPLES; i++)
        power += x[i] * x[i];
    if (power < 1e-7 * TA_LOOK_SAMPLES)
        return;
    memset(m->length, 0, sizeof m->length);
    for (int t = 0; t < FRAMES; t++) {
        transform(m, x + (size_t)t * HOP);
        add_envelopes(m, t);
        add_streaks(m);
    }
    for (int b = 0; b < BANDS; b++) {
        double s, d;
        modulation(m->envelope[b], &s, &d);
        syllables += s;
        mean += d;
    }
    m->syllables += mean > 0 ? syllables / mean : 0;
    m->windows++;
}

void ta_speech_meter_result(const ta_speech_meter *m, ta_sound_findings *found)
{
    if (!m->windows)
        return;
    found->syllables = m->syllables / m->windows;
    found->streaks = m->all > 0 ? m->streaks / m->all : 0;
    found->music = found->streaks > 0.25 && found->syllables < 0.15;
}
