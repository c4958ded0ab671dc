/* Models of sound: what of the settings they are made of, and the stages that run them. Private to neural's sound
 * files; sound_engine.c has what other folders call. */
#ifndef TA_NEURAL_SOUND_MODEL_H
#define TA_NEURAL_SOUND_MODEL_H

#include "neural/neural.h"
#include "neural/planes.h"

enum { TA_SOUND_PARTS = 3 };

struct ta_neural_sound {
    ta_models *models; /* shared, or our own */
    bool own;
    ta_cancel *cancel;
};

/* The files of a model, found and looked at: each is asked of ta_models by `name` and `part`. */
typedef struct ta_sound_model {
    int parts;
    struct {
        char *name; /* of the catalogue, or the path of a .onnx file */
        size_t part;
    } at[TA_SOUND_PARTS];
    char sha256[65]; /* of all of them */
} ta_sound_model;
void ta_sound_model_free(ta_sound_model *m);

/* Takes `model` over, also on failure. */
typedef struct ta_denoiser_ops ta_denoiser_ops;
int ta_speech_stage_new(ta_neural_sound *n, const ta_denoiser_ops *ops, ta_sound_model *model, const ta_settings *s,
                        const char *engine, ta_stage **st, ta_error *err);

#endif
