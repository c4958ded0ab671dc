/* Samples of any format as doubles. Shared by the meters of sound. */
#ifndef TA_SOUND_SAMPLES_H
#define TA_SOUND_SAMPLES_H

#include <stdbool.h>

#include <libavutil/frame.h>

/* Writes `count` samples of one channel from sample `from` on, full scale = 1, to out[0], out[stride], ...
 * False when the format is none that we know. */
bool ta_samples_read(const AVFrame *frame, int channel, int from, int count, double *out, int stride);

#endif
