/* One gain for a measured track; with the limiter also what keeps range and peaks in bounds.
 *
 * The limiter chain: a slow compressor that brings the loudness range down (only where the measured range is over the
 * setting loudness-range), the gain, and a look-ahead limiter that works at four times the sample rate, where sample
 * peaks are true peaks (ITU-R BS.1770-4, Annex 2). */
#include <string.h>

#include "sound/internal.h"

/* Between the limiter's level and the limit asked for: what filtering back to the own sample rate may add. */
static const double headroom_db = 0.1;
/* A difference that is not worth a word or a filter. */
static const double nothing_db = 0.005;

/* Under this level the compressor leaves the track alone: the quiet end of its range. */
static double threshold_db(const ta_loudness *l)
{
    /* A stereo track of L LUFS has about L - 2.3 dBFS RMS in each channel: BS.1770 adds the channels, and -0.691. */
    return TA_CLAMP(l->integrated - l->range - 2.3, -60, 0);
}

static void set_limiter(const ta_settings *s, const ta_loudness *l, ta_gain *gain)
{
    double most = ta_get_float(s, TA_SET_loudness_range);
    if (l->range > most) {
        gain->ratio = TA_CLAMP(l->range / most, 1, 20);
        /* The compressor takes this much from the loudness that counts, the upper part of the range. */
        gain->makeup_db = TA_MAX(l->integrated - 2.3 - threshold_db(l), 0) * (1 - 1 / gain->ratio);
    }
    gain->limited = l->true_peak + gain->gain_db > ta_get_float(s, TA_SET_true_peak) - nothing_db || gain->ratio > 1;
    gain->ceiling_db = ta_get_float(s, TA_SET_true_peak) - headroom_db;
}

void ta_sound_gain(const ta_settings *s, const ta_loudness *l, ta_gain *gain)
{
    *gain = (ta_gain){ .ratio = 1, .expected = l->integrated };
    if (!ta_get_bool(s, TA_SET_normalize) || !(l->integrated > -HUGE_VAL)) {
        snprintf(gain->reason, sizeof gain->reason, "%s",
                 l->integrated > -HUGE_VAL ? "not normalized" : "silent, left as it is");
        return;
    }
    double want = ta_get_float(s, TA_SET_loudness) - l->integrated;
    double room = ta_get_float(s, TA_SET_true_peak) - l->true_peak;
    gain->gain_db = want;
    if (ta_get_bool(s, TA_SET_limiter)) {
        set_limiter(s, l, gain);
    } else if (room < want - nothing_db) {
        gain->gain_db = room;
        gain->peak_limited = true;
    }
    gain->expected = l->integrated + gain->gain_db;
    ta_loudness after = { gain->expected, l->range / gain->ratio, l->true_peak + gain->gain_db };
    ta_sound_gain_reason(s, l, &after, gain);
}

void ta_sound_gain_reason(const ta_settings *s, const ta_loudness *before, const ta_loudness *after, ta_gain *gain)
{
    double by = after->integrated - before->integrated;
    char *to = gain->reason;
    size_t size = sizeof gain->reason;
    int n = fabs(by) < 0.05 ? snprintf(to, size, "left at %.1f LUFS", after->integrated)
                            : snprintf(to, size, "%s %.1f dB to %.1f LUFS", by > 0 ? "raised" : "lowered", fabs(by),
                                       after->integrated);
    if (gain->peak_limited)
        snprintf(to + n, size - (size_t)n, ": limited by the true peak");
    else if (gain->ratio > 1)
        snprintf(to + n, size - (size_t)n, ", loudness range %.1f LU brought to %.1f LU, peaks held under %.1f dBTP",
                 before->range, after->range, ta_get_float(s, TA_SET_true_peak));
    else if (gain->limited)
        snprintf(to + n, size - (size_t)n, ", peaks held under %.1f dBTP", ta_get_float(s, TA_SET_true_peak));
    if (gain->limited && fabs(after->integrated - ta_get_float(s, TA_SET_loudness)) > 0.5)
        snprintf(to + strlen(to), size - strlen(to), "; %.1f LUFS can't be reached", ta_get_float(s, TA_SET_loudness));
}

static void add_then(ta_buf *spec, enum AVSampleFormat *now, enum AVSampleFormat fmt)
{
    if (*now != fmt)
        ta_sound_then(spec, "aresample=osf=%s", av_get_sample_fmt_name(fmt));
    *now = fmt;
}

static void add_compressor(ta_buf *spec, enum AVSampleFormat *now, const ta_gain *gain, const ta_loudness *l)
{
    add_then(spec, now, AV_SAMPLE_FMT_DBL);
    ta_sound_then(spec, "acompressor=threshold=%.3fdB:ratio=%.4f:attack=300:release=1000:knee=2", threshold_db(l),
                  gain->ratio);
}

/* Single precision and 64 taps (flat to 95 % of the band, residue under -120 dB) are half the time of TA_RESAMPLER: a
 * fit runs through here several times. */
#define OVERSAMPLER "filter_size=64:cutoff=0.95:filter_type=kaiser:kaiser_beta=12:osf=fltp"

static void add_limiter(ta_buf *spec, enum AVSampleFormat *now, const ta_gain *gain, int rate)
{
    int times = rate < 96000 ? 4 : 2;
    add_then(spec, now, AV_SAMPLE_FMT_FLTP);
    ta_sound_then(spec, "aresample=osr=%d:" OVERSAMPLER, rate * times);
    add_then(spec, now, AV_SAMPLE_FMT_DBL);
    ta_sound_then(spec, "alimiter=limit=%.6f:attack=5:release=50:level=disabled:latency=1",
                  pow(10, gain->ceiling_db / 20));
    add_then(spec, now, AV_SAMPLE_FMT_FLTP);
    ta_sound_then(spec, "aresample=osr=%d:" OVERSAMPLER, rate);
}

char *ta_sound_gain_spec(const ta_settings *s, const ta_gain *gain, const ta_loudness *l, const ta_audio_format *format)
{
    ta_buf spec = { 0 };
    enum AVSampleFormat now = format->sample_fmt;
    double db = gain->gain_db + gain->makeup_db;
    if (gain->limited && gain->ratio > 1)
        add_compressor(&spec, &now, gain, l);
    if (fabs(db) > nothing_db) {
        if (now != AV_SAMPLE_FMT_DBL)
            add_then(&spec, &now, AV_SAMPLE_FMT_DBLP);
        ta_sound_then(&spec, "volume=volume=%.6fdB:precision=double", db);
    }
    if (gain->limited)
        add_limiter(&spec, &now, gain, format->sample_rate);
    add_then(&spec, &now, format->sample_fmt);
    return ta_buf_take(&spec);
}
