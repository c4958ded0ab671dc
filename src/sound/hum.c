/* Is there hum of the mains? A line of the spectrum at 50 or 60 Hz or at a multiple, that stands out of what is around
 * it in the mean of the logarithms of many windows' spectra (after Welch's method, 1967, with the geometric mean): that
 * mean is high only where a line is always there, as hum is and notes and voices are not. The frequency is searched for
 * within 1 % of the nominal one, as tapes run fast or slow; the notes of tempered tuning at A = 440 Hz are further off.
 */
#include <libavutil/tx.h>
#include <stdlib.h>

#include "sound/look.h"

enum { FFT = 1 << 18, BINS = 1 << 15, AROUND = 512 };
static const double bin_hz = (double)TA_LOOK_RATE / FFT;
/* Neighbours from so many Hz on to so many Hz away say what is usual there. */
static const double near_hz = 2.5, far_hz = 9.5;
static const double search = 0.01, search_step = 0.00005;
static const double least_dbfs = -80;

struct ta_hum_meter {
    AVTXContext *tx;
    av_tx_fn run;
    double *in, *out;
    double *window;
    float *sum; /* of dB, a bin; with 1 as the power of a sine of full scale */
    int n;
};

ta_hum_meter *ta_hum_meter_new(void)
{
    ta_hum_meter *m = ta_alloc(sizeof *m);
    double scale = 1;
    if (!m)
        return NULL;
    m->in = ta_array(FFT, sizeof *m->in);
    m->out = ta_array(FFT + 2, sizeof *m->out);
    m->window = ta_array(TA_LOOK_SAMPLES, sizeof *m->window);
    m->sum = ta_array(BINS, sizeof *m->sum);
    if (!m->in || !m->out || !m->window || !m->sum ||
        av_tx_init(&m->tx, &m->run, AV_TX_DOUBLE_RDFT, 0, FFT, &scale, AV_TX_UNALIGNED) < 0)
        ta_hum_meter_free(&m);
    for (int i = 0; m && i < TA_LOOK_SAMPLES; i++) /* Hann */
        m->window[i] = (1 - cos(2 * M_PI * i / TA_LOOK_SAMPLES)) * 2 / TA_LOOK_SAMPLES;
    return m;
}

void ta_hum_meter_free(ta_hum_meter **mp)
{
    ta_hum_meter *m = *mp;
    if (!m)
        return;
    av_tx_uninit(&m->tx);
    ta_free(m->in);
    ta_free(m->out);
    ta_free(m->window);
    ta_free(m->sum);
    ta_freep(mp);
}

void ta_hum_meter_add(ta_hum_meter *m, const double *x)
{
    double power = 0;
    for (int i = 0; i < TA_LOOK_SAMPLES; i++) {
        power += x[i] * x[i];
        m->in[i] = x[i] * m->window[i];
    }
    if (power < 1e-10 * TA_LOOK_SAMPLES) /* silence says nothing */
        return;
    memset(m->in + TA_LOOK_SAMPLES, 0, (FFT - TA_LOOK_SAMPLES) * sizeof *m->in);
    m->run(m->tx, m->out, m->in, sizeof *m->in);
    for (int i = 0; i < BINS; i++)
        m->sum[i] += (float)(10 * log10(m->out[2 * i] * m->out[2 * i] + m->out[2 * i + 1] * m->out[2 * i + 1] + 1e-16));
    m->n++;
}

/* Mean dB at a frequency, between bins. */
static double level(const ta_hum_meter *m, double hz)
{
    double at = hz / bin_hz;
    int i = (int)at;
    return (m->sum[i] + (m->sum[i + 1] - m->sum[i]) * (at - i)) / m->n;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What is around a line: all but the strongest twentieth is weaker. By that, and not by the median, as an exact beat
 * makes lines, too: one every few Hz, where hum stands alone. */
static double usual(const ta_hum_meter *m, double hz)
{
    double list[AROUND], step = 2 * (far_hz - near_hz) / AROUND;
    for (int i = 0; i < AROUND / 2; i++) {
        list[2 * i] = level(m, hz - near_hz - i * step);
        list[2 * i + 1] = level(m, hz + near_hz + i * step);
    }
    qsort(list, AROUND, sizeof *list, by_size);
    return list[AROUND * 19 / 20];
}

/* A window's spectrum of noise has a spread of 5.6 dB; the mean of n a spread of 5.6 / sqrt(n). Some two times that
 * over the nearly strongest, and a little for what isn't noise. */
static double enough(const ta_hum_meter *m)
{
    return 6 + 12 / sqrt(m->n);
}

typedef struct candidate {
    double hz, score, dbfs;
    uint32_t lines;
} candidate;

static candidate weigh(const ta_hum_meter *m, double hz, const double *floor)
{
    candidate c = { .hz = hz, .dbfs = -200 };
    for (int k = 1; k <= TA_HUM_LINES; k++) {
        double dbfs = level(m, k * hz), over = dbfs - floor[k] - enough(m);
        if (over <= 0 || dbfs < least_dbfs - 20)
            continue;
        c.lines |= 1u << (k - 1);
        c.score += over;
        c.dbfs = fmax(c.dbfs, dbfs);
    }
    /* Real hum has its first or its second line: without both it is something else. */
    if (!(c.lines & 3) || c.dbfs < least_dbfs)
        c = (candidate){ 0 };
    return c;
}

static candidate best_near(const ta_hum_meter *m, double nominal)
{
    double floor[TA_HUM_LINES + 1];
    candidate best = { 0 };
    for (int k = 1; k <= TA_HUM_LINES; k++)
        floor[k] = usual(m, k * nominal);
    for (double f = 1 - search; f <= 1 + search; f += search_step) {
        candidate c = weigh(m, nominal * f, floor);
        if (c.score > best.score)
            best = c;
    }
    return best;
}

/* Where hum is sure, its other lines are taken with less: those between the found ones, which voices hid, and those
 * that stand out a little. */
static uint32_t fill(const ta_hum_meter *m, const candidate *c)
{
    uint32_t lines = c->lines;
    for (int k = TA_HUM_LINES; k >= 1; k--)
        if (lines >> k || level(m, k * c->hz) - usual(m, k * c->hz) > 3)
            lines |= 1u << (k - 1);
    return lines;
}

void ta_hum_meter_result(const ta_hum_meter *m, ta_sound_findings *found)
{
    if (!m->n)
        return;
    candidate a = best_near(m, 50), b = best_near(m, 60), *best = a.score > b.score ? &a : &b;
    found->hum_hz = best->hz;
    found->hum_lines = best->lines ? fill(m, best) : 0;
    found->hum_dbfs = best->dbfs;
}
