/* Upscaling models while they are used: private to upscale_*.c. */
#ifndef TA_NEURAL_UPSCALE_MODEL_H
#define TA_NEURAL_UPSCALE_MODEL_H

#include "neural/neural.h"

/* A model, read and looked at; it lives as long as the models that it belongs to. Nothing changes once it is there. */
typedef struct ta_upscale_model {
    char *key;       /* the setting's text */
    char *name;      /* for people */
    char sha256[65]; /* of the file with the weights */
    void *bytes;     /* ONNX */
    size_t size;
    ta_upscale_shape shape;
} ta_upscale_model;

/* Reads the model that the setting upscale-model names. Of `run`, engine, device, precision and threads are heeded,
 * here and below. */
int ta_upscale_model_get(ta_upscale_models *m, const char *name, const ta_session_options *run,
                         const ta_upscale_model **model, ta_error *err);
/* A session compiled for windows of this size, a reference of the caller's. */
int ta_upscale_model_open(ta_upscale_models *m, const ta_upscale_model *model, const ta_session_options *run, int width,
                          int height, ta_session **s, ta_error *err);
const ta_cancel *ta_upscale_models_cancel(const ta_upscale_models *m);

/* How many tiles are computed side by side by `threads` threads. */
int ta_upscale_streams(int threads);
/* A runner over the session for windows of this size. It takes over the reference, also on failure. */
int ta_upscale_session_runner(ta_upscale_runner *r, ta_session *s, int width, int height, const ta_cancel *cancel,
                              ta_error *err);
/* Finds out how an ONNX model's output lies over its input by running it; inputs and outputs that are no pictures are
 * TA_ERR_UNAVAILABLE. */
int ta_upscale_probe(const char *name, const void *bytes, size_t size, const ta_session_options *run,
                     const ta_cancel *cancel, ta_upscale_shape *shape, ta_error *err);

#endif
