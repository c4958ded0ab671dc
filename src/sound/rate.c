/* Time: a clock error mended by stretching the sound, and the sample rate that the encoder takes. */
#include "sound/internal.h"

/* Resamples by 1 + ppm / 10^6 as a fraction, without a word about rates: the samples are declared to be at the rate
 * `den`, resampled to `num`, and declared to be at their own rate again. Times are stretched about time 0 along with
 * the samples. swresample counts 1024 phases a sample in 30 bits, so both must stay under 2^20; between two whole
 * ppm there is still a fraction near enough for any drift but those under 1 ppm, which are 4 ms in an hour. */
int ta_sound_drift(ta_sound_build *b)
{
    double ppm = ta_get_float(b->s, TA_SET_audio_drift);
    if (ppm == 0)
        return 0;
    AVRational q = av_d2q(1 + ppm / 1e6, 1000000);
    if (fabs((av_q2d(q) - 1) * 1e6 - ppm) > 0.01) {
        ta_fail(b->err, TA_ERR_USAGE, "audio-drift %g is too small to be made", ppm);
        return ta_hint(b->err, "use 0, or 1 and more (1 ppm is 4 ms in an hour)");
    }
    b->drift = q;
    ta_buf spec = { 0 };
    ta_sound_want(b, &spec, AV_SAMPLE_FMT_DBLP);
    ta_sound_then(&spec, "asetrate=r=%d,aresample=osr=%d:" TA_RESAMPLER ",asetrate=r=%d", q.den, q.num,
                  b->now.sample_rate);
    ta_sound_note(b, "audio-drift: the sound is made %s by %g ppm (%.2f s in an hour)", ppm > 0 ? "longer" : "shorter",
                  fabs(ppm), fabs(ppm) * 3600e-6);
    return ta_sound_add(b, "drift", &spec);
}

int ta_sound_rate(ta_sound_build *b)
{
    const ta_sound_codec *c = ta_sound_codec_find(b->codec);
    int from = b->now.sample_rate, to = c ? ta_sound_codec_rate(c, from) : from;
    if (from == to)
        return 0;
    ta_buf spec = { 0 };
    ta_sound_want(b, &spec, AV_SAMPLE_FMT_DBLP);
    ta_sound_then(&spec, "aresample=osr=%d:" TA_RESAMPLER, to);
    b->now.sample_rate = to;
    ta_sound_note(b, "%d Hz becomes %d Hz: %s has no %d Hz", from, to, b->codec, from);
    return ta_sound_add(b, "rate", &spec);
}
