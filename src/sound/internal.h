/* Shared by the files of sound only. */
#ifndef TA_SOUND_INTERNAL_H
#define TA_SOUND_INTERNAL_H

#include <math.h>

#include "sound/sound.h"

/* swresample's windowed sinc at a quality that nobody can hear or measure on a tape: 128 taps, Kaiser window
 * (beta 12), pass band to 98 %: residue below -130 dB of the signal. */
#define TA_RESAMPLER "filter_size=128:cutoff=0.98:filter_type=kaiser:kaiser_beta=12"

/* A plan in the making. `now` is what leaves the last stage added. */
typedef struct ta_sound_build {
    const ta_settings *s;
    const ta_sound_findings *found;  /* NULL: nothing was measured */
    const ta_sound_engines *engines; /* or NULL */
    const char *codec;
    ta_audio_format now;
    ta_chain *chain;
    ta_buf *notes; /* may be NULL */
    ta_error *err;
    AVRational drift;
    int source_rate;
    int phase; /* in samples of the source */
    char model_sha256[65];
} ta_sound_build;

/* A line of the notes. */
void ta_sound_note(ta_sound_build *b, const char *fmt, ...) TA_PRINTF(2, 3);
/* Starts a spec: "aresample=osf=..." when the link isn't in `fmt` yet, which it then is. */
void ta_sound_want(ta_sound_build *b, ta_buf *spec, enum AVSampleFormat fmt);
/* Adds "," and more to a spec. */
void ta_sound_then(ta_buf *spec, const char *fmt, ...) TA_PRINTF(2, 3);
/* Ends a spec and adds its stage: a plain graph, or, with `exact`, one that keeps time and length while its filters
 * delay by `latency` samples and want a multiple of `block`. Frees the buffer. */
int ta_sound_add(ta_sound_build *b, const char *name, ta_buf *spec);
int ta_sound_add_exact(ta_sound_build *b, const char *name, int latency, int block, ta_buf *spec);
/* Has a model's stage made and adds it at its own rate, exact in time and length. The channels become `out`. */
int ta_sound_add_model(ta_sound_build *b, ta_sound_task task, const char *method, const AVChannelLayout *out);

/* A libavfilter graph that delays its samples by a known number of samples and drops its tail, made exact: as many
 * samples leave as entered, at the times they had. Spec: "latency=SAMPLES:block=SAMPLES;GRAPH". The graph must keep the
 * rate. The sound must be continuous: gaps are silence by now. */
extern const ta_stage_class ta_exact_stage;
/* The same of the stages of a chain, which it takes over, also on failure; NULL: no memory. */
ta_stage *ta_exact_stage_of(const char *name, int latency, int block, ta_chain *chain);

/* A filter works on windows that begin every `step` samples, at the rate that the sound has there. Where all the steps
 * meet too seldom, those of the longest windows count. */
void ta_sound_step(ta_sound_build *b, int step);

/* The parts of a plan, in order. */
int ta_sound_names(ta_sound_build *b);
int ta_sound_repair(ta_sound_build *b);
int ta_sound_channel_fix(ta_sound_build *b);
int ta_sound_speech(ta_sound_build *b);
int ta_sound_enhance(ta_sound_build *b);
int ta_sound_layout(ta_sound_build *b);
int ta_sound_drift(ta_sound_build *b);
int ta_sound_rate(ta_sound_build *b);

/* "5.1(side)" and the like, into `text`, which is returned. */
const char *ta_sound_layout_name(const AVChannelLayout *layout, char text[64]);
/* The setting centre-mix; 0.707 is taken for 1/sqrt(2), which it stands for. */
double ta_sound_centre(const ta_settings *s);

/* An up-mix of stereo to `layout` (5.1 or 7.1, back or side). */
int ta_sound_upmix(ta_sound_build *b, const AVChannelLayout *layout);
/* A down-mix to mono, stereo or 5.1 after ITU-R BS.775. */
int ta_sound_downmix(ta_sound_build *b, const AVChannelLayout *layout);

/* What we know of an encoder. Rates end with 0; NULL: any. Layouts end with 0; NULL: any. */
typedef struct ta_sound_codec {
    const char *name, *encoder;
    bool lossless;
    int max_channels;
    int hidden_delay; /* see ta_sound_target */
    const int *rates;
    const uint64_t *layouts; /* channel masks */
} ta_sound_codec;
const ta_sound_codec *ta_sound_codec_find(const char *name); /* NULL: unknown */
bool ta_sound_codec_has_layout(const ta_sound_codec *c, const AVChannelLayout *layout);
/* The same loudspeakers under the other name: 5.1 and 5.1(side). False when there is none. */
bool ta_sound_twin(const AVChannelLayout *layout, AVChannelLayout *twin);
int ta_sound_codec_rate(const ta_sound_codec *c, int rate);
/* The bit rate for the setting audio-bitrate, or an error. */
int ta_sound_bit_rate(const ta_settings *s, const ta_sound_codec *c, const ta_audio_format *f, int64_t *bit_rate,
                      ta_buf *notes, ta_error *err);

/* Writes `gain`'s reason: what is done, to which loudness, and what stood in the way. */
void ta_sound_gain_reason(const ta_settings *s, const ta_loudness *before, const ta_loudness *after, ta_gain *gain);

#endif
