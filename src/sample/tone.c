/* The sample's sound: see tone.h. Every sample is a function of its number alone. Integers only. */
#include "sample/tone.h"

#include "base/base.h"
#include "sample/scene.h"

enum { NOTE = 15360, HALF_TAPS = 4, NOTES = 16 };

void ta_tone_init(ta_tone *t, bool pal, uint64_t seed)
{
    t->pal = pal;
    t->seed = seed;
    ta_sine_init(&t->sine);
}

int64_t ta_tone_frame_start(bool pal, int64_t frame)
{
    return pal ? frame * 1920 : frame * 8008 / 5;
}

/* A sine of `millihertz` at sample `at`, Q14. */
static int voice(const ta_tone *t, int64_t at, int millihertz)
{
    return ta_sine_at(&t->sine, (uint32_t)at * ta_phase_step((uint64_t)millihertz, (uint64_t)TA_TONE_RATE * 1000));
}

/* A plucked note each 0.32 s: two partials under a straight fall, with 5 ms to rise. */
static int tune(const ta_tone *t, int64_t at)
{
    static const int pitch[NOTES] = { 329628, 391995, 440000, 391995, 523251, 440000, 391995, 329628,
                                      293665, 329628, 391995, 261626, 293665, 329628, 220000, 261626 };
    int in_note = (int)(at % NOTE), hz = pitch[at / NOTE % NOTES];
    int level = TA_MIN(in_note * 4, (NOTE - in_note) * 900 / NOTE); /* 0 .. 900 */
    return (voice(t, at, hz) + voice(t, at, hz * 2) / 4) * level >> 14;
}

/* A soft chord that swells every 5.3 s. */
static int chord(const ta_tone *t, int64_t at, bool right)
{
    int swell = 260 + (voice(t, at, 188) * 100 >> 14);
    int sum = voice(t, at, 130813) + voice(t, at, right ? 196300 : 195700) + voice(t, at, 164814);
    return sum * swell >> 14;
}

static int beep(const ta_tone *t, int64_t at)
{
    int period = ta_scene_flash_period(t->pal);
    int64_t start = ta_tone_frame_start(t->pal, period / 2), every = ta_tone_frame_start(t->pal, period);
    int64_t in = (at - start) % every;
    return at >= start && in < TA_TONE_BEEP_LENGTH ? voice(t, in, 1000000) / 2 : 0;
}

static void sample_at(const ta_tone *t, int64_t at, int16_t out[2])
{
    int both = at < 0 ? 0 : tune(t, at) + beep(t, at);
    for (int c = 0; c < 2; c++)
        out[c] = (int16_t)(at < 0 ? 0 : both + chord(t, at, c));
}

void ta_tone_clean(const ta_tone *t, int64_t at, int n, int16_t *out)
{
    for (int i = 0; i < n; i++)
        sample_at(t, at + i, out + 2 * i);
}

static int hum(const ta_tone *t, int64_t at)
{
    int mains = t->pal ? 50000 : 60000;
    return (voice(t, at, mains) * 330 + voice(t, at, mains * 2) * 165 + voice(t, at, mains * 3) * 100) >> 14;
}

/* Noise for one sample, the same whichever piece is asked for. */
static int hiss(const ta_tone *t, int64_t at, int channel)
{
    ta_rng r = ta_rng_seeded(t->seed, 0x50000000u + (uint64_t)at * 2 + (uint64_t)channel);
    return ta_rng_gauss(&r);
}

void ta_tone_worn(const ta_tone *t, int64_t at, int n, int16_t *out)
{
    static const int binomial[2 * HALF_TAPS + 1] = { 1, 8, 28, 56, 70, 56, 28, 8, 1 };
    int16_t ring[2 * HALF_TAPS + 1][2];
    for (int i = -2 * HALF_TAPS; i < n; i++) {
        int64_t head = at + i + HALF_TAPS;
        sample_at(t, head, ring[(i + 2 * HALF_TAPS) % (2 * HALF_TAPS + 1)]);
        if (i < 0)
            continue;
        for (int c = 0; c < 2; c++) {
            int sum = 128;
            for (int k = 0; k <= 2 * HALF_TAPS; k++)
                sum += binomial[k] * ring[(i + k) % (2 * HALF_TAPS + 1)][c];
            out[2 * i + c] = (int16_t)TA_CLAMP((sum >> 8) + hum(t, at + i) + hiss(t, at + i, c), -32767, 32767);
        }
    }
}
