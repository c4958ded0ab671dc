/* Models of sound for the plan of a track: speech denoisers, and what else the settings name. Part of neural/neural.h,
 * which includes it. */
#ifndef TA_NEURAL_SOUND_ENGINE_H
#define TA_NEURAL_SOUND_ENGINE_H

#include "sound/sound.h"

typedef struct ta_models ta_models;
/* The models of a job's sound. */
typedef struct ta_neural_sound ta_neural_sound;
/* `models` are those of the process, which outlive this; NULL: the job's own. `cancel` ends waiting, may be NULL and
 * must outlive this. Nothing is loaded before it is wanted. */
int ta_neural_sound_new(ta_neural_sound **n, ta_models *models, ta_cancel *cancel, ta_error *err);
/* After the last stage that was made with it. */
void ta_neural_sound_free(ta_neural_sound **n);
/* For ta_sound_plan. */
ta_sound_engines ta_neural_sound_engines(ta_neural_sound *n);

#endif
