/* The tape: what a worn VHS cassette, played by a tired deck, does to each field.
 *
 * In the order of the signal: luma limited to about 3 MHz with the deck's sharpening rings, chroma to about 0.4 MHz;
 * chroma late by TA_TAPE_CHROMA_SHIFT luma samples and TA_TAPE_CHROMA_DELAY lines of the field (two generations);
 * noise (luma, and slower, stronger noise in chroma); lines that start early or late, and bend at the top; dropouts;
 * the head switching a few lines before the end of the field. */
#ifndef TA_SAMPLE_TAPE_H
#define TA_SAMPLE_TAPE_H

#include "sample/arith.h"
#include "sample/scene.h"

enum {
    TA_TAPE_CHROMA_SHIFT = 4,
    TA_TAPE_CHROMA_DELAY = 1,
    TA_TAPE_PHASES = 8,
    TA_TAPE_TAPS = 15,
    TA_TAPE_SWITCH_LINES = 3, /* of a field, and one more now and then */
};

typedef struct ta_tape {
    uint64_t seed;
    int luma_gain; /* noise: Gaussian units to 8-bit steps, Q16 */
    int chroma_gain;
    int16_t fir[TA_TAPE_PHASES][TA_TAPE_TAPS]; /* sums of 4096 */
} ta_tape;
/* `noise`: standard deviation of luma noise, in 8-bit steps. */
void ta_tape_init(ta_tape *t, double noise, uint64_t seed);

/* Plays field `index` (counted from 0): the lines of `parity` of `in` become those lines of `out`. */
void ta_tape_field(const ta_tape *t, int64_t index, int parity, const ta_picture *in, ta_picture *out);

#endif
