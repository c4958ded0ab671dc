/* Short-time Fourier transform with windows that overlap by half. Private to neural.
 *
 * Frame t covers the samples [(t - 1) * hop, (t + 1) * hop). One window before and after the spectrum, whose squares
 * add to 1 over two frames (Princen-Bradley), so what isn't changed comes back as it was, at its own time. */
#ifndef TA_NEURAL_STFT_H
#define TA_NEURAL_STFT_H

#include "base/base.h"

typedef enum ta_stft_window {
    TA_WINDOW_VORBIS,   /* sin(pi/2 sin^2(pi (n + 1/2) / N)), as in Vorbis I */
    TA_WINDOW_ROOT_HANN /* the root of the periodic Hann window: sin(pi n / N) */
} ta_stft_window;

/* For one thread at a time. */
typedef struct ta_stft ta_stft;
int ta_stft_new(ta_stft **s, int hop, ta_stft_window window, ta_error *err);
void ta_stft_free(ta_stft **s);
/* 2 * hop samples to hop + 1 bins of (re, im), multiplied by `scale`. */
void ta_stft_forward(ta_stft *s, const float *samples, float scale, float *bins);
/* And back, windowed: the first half is to be added to the second half of the frame before. */
void ta_stft_inverse(ta_stft *s, const float *bins, float scale, float *samples);

#endif
