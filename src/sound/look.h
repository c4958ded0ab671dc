/* The measuring pass of sound, and what listens to it: windows of a few seconds at 8 kHz. */
#ifndef TA_SOUND_LOOK_H
#define TA_SOUND_LOOK_H

#include <math.h>

#include "sound/sound.h"

enum { TA_LOOK_RATE = 8000, TA_LOOK_SAMPLES = 6 * TA_LOOK_RATE };

/* Hum of the mains. Takes whole windows of one channel each. */
typedef struct ta_hum_meter ta_hum_meter;
ta_hum_meter *ta_hum_meter_new(void);
void ta_hum_meter_add(ta_hum_meter *m, const double *window);
void ta_hum_meter_result(const ta_hum_meter *m, ta_sound_findings *found);
void ta_hum_meter_free(ta_hum_meter **m);

/* Speech or music? Takes whole windows of all channels mixed. */
typedef struct ta_speech_meter ta_speech_meter;
ta_speech_meter *ta_speech_meter_new(void);
void ta_speech_meter_add(ta_speech_meter *m, const double *window);
void ta_speech_meter_result(const ta_speech_meter *m, ta_sound_findings *found);
void ta_speech_meter_free(ta_speech_meter **m);

#endif
