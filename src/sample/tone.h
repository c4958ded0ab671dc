/* The sound: 48 kHz stereo, 16 bit. A quiet tune over a chord, left and right a little different, and a beep: 1 kHz,
 * 0.25 of full scale, 100 ms, alike in both channels, whose first sample is played at the very moment at which the
 * flash begins (see ta_scene_flash_frame: both fall on whole samples).
 *
 * On tape: the bandwidth of a linear track (-3 dB near 4.5 kHz, -20 dB near 11 kHz; no delay), mains hum (60 or 50 Hz,
 * its second and third harmonic) at -40 dB, hiss at -47 dB of full scale. */
#ifndef TA_SAMPLE_TONE_H
#define TA_SAMPLE_TONE_H

#include <stdbool.h>
#include <stdint.h>

#include "sample/arith.h"

enum { TA_TONE_RATE = 48000, TA_TONE_BEEP_LENGTH = 4800 };

typedef struct ta_tone {
    bool pal;
    uint64_t seed;
    ta_sine sine;
} ta_tone;
void ta_tone_init(ta_tone *t, bool pal, uint64_t seed);

/* Samples `at` .. `at + n - 1`, interleaved. The worn one differs from the clean one by the tape alone. */
void ta_tone_clean(const ta_tone *t, int64_t at, int n, int16_t *out);
void ta_tone_worn(const ta_tone *t, int64_t at, int n, int16_t *out);

/* First sample of video frame `frame`; exact at flashes, else rounded down. */
int64_t ta_tone_frame_start(bool pal, int64_t frame);

#endif
