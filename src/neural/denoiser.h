/* Speech denoisers that work on spectra. Private to neural.
 *
 * A denoiser gets the frames of one or more channels one after another and gives them back in order, some of them
 * later. With more than one channel it finds one filter, from their mean, and applies it to all of them: the stereo
 * image stays. */
#ifndef TA_NEURAL_DENOISER_H
#define TA_NEURAL_DENOISER_H

#include "neural/neural.h"
#include "neural/stft.h"

enum { TA_DENOISER_PARTS = 3 };

typedef struct ta_denoiser_options {
    int channels;
    float noisy; /* share of the unchanged spectrum in the result: 10^(-limit / 20), 0 = no limit */
    float beta;  /* of the post filter; 0 = none */
    ta_session *parts[TA_DENOISER_PARTS]; /* stay the caller's */
    ta_cancel *cancel;
    /* Takes a finished frame: [channels][bins][re, im]. */
    int (*emit)(void *to, const float *bins, ta_error *err);
    void *emit_to;
} ta_denoiser_options;

/* All const; what a model is. */
typedef struct ta_denoiser_ops {
    const char *title;
    int rate, hop;
    ta_stft_window window;
    float scale; /* of the forward transform; the way back is 1 / (2 hop scale) */
    int parts;
    const char *part_names[TA_DENOISER_PARTS];
    bool post_filter;
    bool frees_state; /* its parts are rewritten by ta_onnx_free_state */
    /* The shapes that part number `part` is compiled for; at most TA_SESSION_PORTS. Returns how many. */
    int (*shapes)(int part, ta_input_shape *shapes);
    /* TA_ERR_DATA when a part isn't what it should be. */
    int (*open)(void **d, const ta_denoiser_options *o, ta_error *err);
    /* The spectrum of the next frame, as emit has it. */
    int (*push)(void *d, const float *bins, ta_error *err);
    /* Gives what is left; as many frames have left then as came. */
    int (*finish)(void *d, ta_error *err);
    void (*close)(void *d);
} ta_denoiser_ops;

extern const ta_denoiser_ops ta_deepfilternet, ta_gtcrn;

/* The port of this name, or TA_ERR_DATA with the model's name. */
int ta_denoiser_input(const ta_session *s, const char *name, int *index, ta_error *err);
int ta_denoiser_output(const ta_session *s, const char *name, int *index, ta_error *err);
/* The mean of all channels' spectra into `mean` (may be `bins` itself with one channel). */
void ta_denoiser_mean(const float *bins, int channels, int count, float *mean);
/* out = (1 - noisy) out + noisy in */
void ta_denoiser_mix(float *out, const float *in, float noisy, int numbers);

#endif
