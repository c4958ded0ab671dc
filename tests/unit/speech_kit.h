/* Generated sounds that are like speech and like music, for the tests of sound. */
#ifndef TA_TESTS_SPEECH_KIT_H
#define TA_TESTS_SPEECH_KIT_H

#include <stdio.h>

#include "sound_kit.h"

/* Adds somebody who speaks: a voice whose pitch wanders, 28 harmonics under two formants that move, some four syllables
 * a second with pauses. The same for the same seed. `level`: RMS while it speaks, about. */
static inline void kit_speech(sig *s, int c, double level, uint32_t seed)
{
    double pitch[28] = { 0 }, o = seed * 0.7, gain[28] = { 0 };
    for (int64_t i = 0; i < s->n; i++) {
        double t = (double)i / s->rate, y = 0;
        double f0 = 125 + 22 * sin(2 * M_PI * 0.43 * t + o) + 13 * sin(2 * M_PI * 1.13 * t + 2 * o);
        double one = 500 + 200 * sin(2 * M_PI * 1.7 * t + o), two = 1500 + 500 * sin(2 * M_PI * 1.3 * t + 3 * o);
        double syllable = sin(2 * M_PI * 3.9 * t + sin(2 * M_PI * 0.6 * t));
        double envelope = syllable > 0 && sin(2 * M_PI * 0.37 * t + o) > -0.6 ? pow(syllable, 0.7) : 0;
        for (int k = 0; k < 28; k++) {
            double f = (k + 1) * f0;
            pitch[k] += 2 * M_PI * f / s->rate;
            if (i % 64 == 0)
                gain[k] = f > 0.45 * s->rate ? 0
                                             : 1 / (1 + pow((f - one) / 120, 2)) + 0.5 / (1 + pow((f - two) / 180, 2)) +
                                                   0.1 / (1 + pow((f - 2700) / 300, 2)) + 0.01;
            y += envelope > 0 ? gain[k] * sin(pitch[k]) : 0;
        }
        s->x[c][i] += level * 0.9 * envelope * y;
    }
}

/* Chords of a few seconds with overtones, one note a half second above them, a soft drum twice a second; all channels.
 */
static inline void kit_music(sig *s)
{
    static const int roots[] = { 0, 5, 7, 3 }, tune[] = { 12, 16, 19, 24, 21, 19, 17, 14 };
    for (int64_t i = 0; i < s->n; i++) {
        double t = (double)i / s->rate, beat = fmod(t, 0.5), y = 0;
        int root = roots[(int)(t / 2) % 4], note = tune[(int)(t * 2) % 8];
        for (int k = 1; k <= 4; k++) {
            static const int chord[] = { 0, 4, 7 };
            for (int j = 0; j < 3; j++)
                y += 0.04 / k * sin(2 * M_PI * k * 220 * pow(2, (root + chord[j]) / 12.0) * t);
            y += 0.05 / k * exp(-beat * 2) * sin(2 * M_PI * k * 220 * pow(2, note / 12.0) * t);
        }
        y += 0.05 * exp(-beat * 40) * sin(2 * M_PI * 90 * t);
        for (int c = 0; c < s->layout.nb_channels; c++)
            s->x[c][i] += y * (1 - 0.1 * c);
    }
}

static inline void kit_put(FILE *f, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        fputc((int)(value >> (8 * i) & 255), f);
}

/* A 16-bit RIFF file. */
static inline void kit_write_wav(const char *path, const sig *s)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    uint32_t channels = (uint32_t)s->layout.nb_channels, bytes = (uint32_t)s->n * channels * 2;
    fwrite("RIFF", 1, 4, f);
    kit_put(f, bytes + 36, 4);
    fwrite("WAVEfmt ", 1, 8, f);
    kit_put(f, 16, 4);
    kit_put(f, 1, 2);
    kit_put(f, channels, 2);
    kit_put(f, (uint32_t)s->rate, 4);
    kit_put(f, (uint32_t)s->rate * channels * 2, 4);
    kit_put(f, channels * 2, 2);
    kit_put(f, 16, 2);
    fwrite("data", 1, 4, f);
    kit_put(f, bytes, 4);
    for (int64_t i = 0; i < s->n; i++)
        for (uint32_t c = 0; c < channels; c++)
            kit_put(f, (uint32_t)(int32_t)lrint(TA_CLAMP(s->x[c][i], -1, 0.9999) * 32768), 2);
    assert_int_equal(fclose(f), 0);
}

#endif
