/* Channel faults of tapes, measured over the parts where something is to be heard.
 *
 * Blocks of 50 ms are sorted by the level of their louder side into bins of 1 dB. At the end the quiet ones are left
 * out, as R 128 does it: those under -60 dBFS, then those 20 dB under the mean of the rest; so tape hiss between two
 * scenes says nothing, and memory doesn't grow with the tape. DC is taken out of each block. */
#include "sound/internal.h"
#include "sound/samples.h"

enum { FLOOR_DB = -60, BINS = -FLOOR_DB + 1 };
static const double side_ratio = 1000; /* 30 dB */
static const double opposite = -0.9;
static const double same_ratio = 1e-6; /* -60 dB */
static const double least_seconds = 1;

typedef struct sums {
    double ll, rr, lr, dd; /* power of left, right, their product, their difference; times samples */
    double n;
} sums;

struct ta_channel_meter {
    double *left, *right; /* a block being filled */
    int size, filled, rate;
    sums bins[BINS]; /* [i]: louder side at -i dBFS (RMS) or up to 1 dB below */
};

ta_channel_meter *ta_channel_meter_new(void)
{
    return ta_alloc(sizeof(ta_channel_meter));
}

void ta_channel_meter_free(ta_channel_meter **m)
{
    if (!m || !*m)
        return;
    ta_free((*m)->left);
    ta_freep(m);
}

static void remove_mean(double *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    for (int i = 0; i < n; i++)
        x[i] -= sum / n;
}

static void add_sums(sums *to, const sums *s)
{
    to->ll += s->ll;
    to->rr += s->rr;
    to->lr += s->lr;
    to->dd += s->dd;
    to->n += s->n;
}

static void end_block(ta_channel_meter *m)
{
    sums s = { .n = m->filled };
    remove_mean(m->left, m->filled);
    remove_mean(m->right, m->filled);
    for (int i = 0; i < m->filled; i++) {
        double l = m->left[i], r = m->right[i];
        s.ll += l * l;
        s.rr += r * r;
        s.lr += l * r;
        s.dd += (l - r) * (l - r);
    }
    double power = TA_MAX(s.ll, s.rr) / s.n;
    m->filled = 0;
    if (!(power >= pow(10, FLOOR_DB / 10.0)))
        return;
    int bin = TA_CLAMP((int)floor(-10 * log10(power)), 0, BINS - 1);
    add_sums(&m->bins[bin], &s);
}

static int set_rate(ta_channel_meter *m, int rate, ta_error *err)
{
    if (rate == m->rate)
        return 0;
    if (m->filled > 0)
        end_block(m);
    int size = TA_MAX(rate / 20, 1);
    double *both = ta_resize(m->left, (size_t)size * 2, sizeof *both);
    if (!both)
        return ta_no_memory(err);
    m->left = both;
    m->right = both + size;
    m->size = size;
    m->rate = rate;
    return 0;
}

int ta_channel_meter_add(ta_channel_meter *m, const AVFrame *frame, ta_error *err)
{
    if (frame->ch_layout.nb_channels != 2)
        return 0;
    int r = set_rate(m, frame->sample_rate, err);
    for (int from = 0; r >= 0 && from < frame->nb_samples;) {
        int count = TA_MIN(frame->nb_samples - from, m->size - m->filled);
        if (!ta_samples_read(frame, 0, from, count, m->left + m->filled, 1) ||
            !ta_samples_read(frame, 1, from, count, m->right + m->filled, 1))
            return ta_fail(err, TA_ERR_SOFTWARE, "the channel meter can't read this sample format");
        m->filled += count;
        from += count;
        if (m->filled == m->size)
            end_block(m);
    }
    return r;
}

/* The sums of bins 0..last. */
static sums add_bins(const ta_channel_meter *m, int last)
{
    sums all = { 0 };
    for (int i = 0; i <= last; i++)
        add_sums(&all, &m->bins[i]);
    return all;
}

static sums active_parts(const ta_channel_meter *m)
{
    sums all = add_bins(m, BINS - 1);
    if (all.n == 0)
        return all;
    double mean_db = -10 * log10(TA_MAX(all.ll, all.rr) / all.n);
    return add_bins(m, TA_CLAMP((int)floor(mean_db + 20), 0, BINS - 1));
}

static ta_channel_fault judge(const ta_channel_meter *m)
{
    sums s = active_parts(m);
    if (m->rate == 0 || s.n < least_seconds * m->rate)
        return TA_CHANNELS_FINE;
    if (s.ll >= side_ratio * s.rr)
        return TA_CHANNELS_LEFT_ONLY;
    if (s.rr >= side_ratio * s.ll)
        return TA_CHANNELS_RIGHT_ONLY;
    if (s.lr < opposite * sqrt(s.ll * s.rr))
        return TA_CHANNELS_OUT_OF_PHASE;
    if (s.dd < same_ratio * (s.ll + s.rr) / 2)
        return TA_CHANNELS_DUAL_MONO;
    return TA_CHANNELS_FINE;
}

ta_channel_fault ta_channel_meter_result(const ta_channel_meter *m, char *advice)
{
    static const char *const text[] = {
        [TA_CHANNELS_FINE] = "",
        [TA_CHANNELS_LEFT_ONLY] = "the sound is on the left side only: --channel-fix left puts it on both",
        [TA_CHANNELS_RIGHT_ONLY] = "the sound is on the right side only: --channel-fix right puts it on both",
        [TA_CHANNELS_OUT_OF_PHASE] = "the sides are out of phase: --channel-fix invert turns the right one",
        [TA_CHANNELS_DUAL_MONO] = "both sides are the same mono sound: --audio-layout mono halves its size",
    };
    ta_channel_fault fault = judge(m);
    if (advice)
        snprintf(advice, 256, "%s", text[fault]);
    return fault;
}
