/* The transform, by libavutil's av_tx (5.1 has it for real numbers, at any even length). */
#include "neural/stft.h"

#include <libavutil/tx.h>
#include <math.h>
#include <string.h>

enum { ALIGN = 64 };

struct ta_stft {
    int size;
    AVTXContext *there, *back;
    av_tx_fn run_there, run_back;
    float *window, *time, *bins; /* all three in `memory`, aligned as av_tx wants them */
    void *memory;
};

static void fill_window(float *w, int size, ta_stft_window kind)
{
    for (int n = 0; n < size; n++) {
        double s = sin(M_PI * (n + (kind == TA_WINDOW_VORBIS ? 0.5 : 0)) / size);
        w[n] = (float)(kind == TA_WINDOW_VORBIS ? sin(M_PI_2 * s * s) : s);
    }
}

static float *aligned(void *p, size_t floats_in)
{
    uintptr_t at = ((uintptr_t)p + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1);
    return (float *)at + floats_in;
}

int ta_stft_new(ta_stft **out, int hop, ta_stft_window window, ta_error *err)
{
    ta_stft *s = *out = ta_alloc(sizeof *s);
    float one = 1;
    size_t part = ((size_t)hop * 2 + 2 + 15) & ~(size_t)15; /* hop + 1 complex numbers, in whole cache lines */
    if (!s)
        return ta_no_memory(err);
    s->size = 2 * hop;
    s->memory = ta_alloc(3 * part * sizeof(float) + ALIGN);
    if (!s->memory) {
        ta_stft_free(out);
        return ta_no_memory(err);
    }
    s->window = aligned(s->memory, 0);
    s->time = aligned(s->memory, part);
    s->bins = aligned(s->memory, 2 * part);
    fill_window(s->window, s->size, window);
    if (av_tx_init(&s->there, &s->run_there, AV_TX_FLOAT_RDFT, 0, s->size, &one, 0) >= 0 &&
        av_tx_init(&s->back, &s->run_back, AV_TX_FLOAT_RDFT, 1, s->size, &one, 0) >= 0)
        return 0;
    ta_stft_free(out);
    return ta_no_memory(err);
}

void ta_stft_free(ta_stft **s)
{
    if (!*s)
        return;
    av_tx_uninit(&(*s)->there);
    av_tx_uninit(&(*s)->back);
    ta_free((*s)->memory);
    ta_freep(s);
}

void ta_stft_forward(ta_stft *s, const float *samples, float scale, float *bins)
{
    for (int i = 0; i < s->size; i++)
        s->time[i] = samples[i] * s->window[i];
    s->run_there(s->there, s->bins, s->time, sizeof(float));
    for (int i = 0; i < s->size + 2; i++)
        bins[i] = s->bins[i] * scale;
}

void ta_stft_inverse(ta_stft *s, const float *bins, float scale, float *samples)
{
    memcpy(s->bins, bins, (size_t)(s->size + 2) * sizeof *bins);
    s->bins[1] = s->bins[s->size + 1] = 0; /* direct current and the Nyquist frequency have no imaginary part */
    s->run_back(s->back, s->time, s->bins, sizeof(float) * 2);
    for (int i = 0; i < s->size; i++)
        samples[i] = s->time[i] * s->window[i] * scale;
}
