/* sound: audio chains, loudness, upmix, channel faults.
 * Knows base, settings, media, flow. This is the one header that other folders include. */
#ifndef TA_SOUND_SOUND_H
#define TA_SOUND_SOUND_H

#include "flow/flow.h"
#include "media/media.h"
#include "settings/settings.h"

/* What is made of one track. */
typedef struct ta_sound_target {
    ta_audio_format format; /* of the finished track, before the encoder's own conversion */
    int64_t bit_rate;       /* bits/s, 0 for lossless codecs */
    int hidden_delay;       /* samples by which the encoder delays besides the initial_padding that it tells: the muxer
                             * subtracts them from the times */
    AVRational drift;       /* by which the sound is stretched besides the change of rate; 1/1: not */
    int phase;              /* a chain that is started a multiple of this many of its samples into the track cuts its
                             * windows where one started at the front cuts them */
    char model_sha256[65];  /* of RNNoise's weights, "" = none: the samples depend on it; what other models are is said
                             * by their stages' specs */
} ta_sound_target;

/* The highest line of hum that is looked for, in multiples of the mains frequency: below 1 kHz. */
enum { TA_HUM_LINES = 16 };

/* What was measured on a track before it is planned. */
typedef struct ta_sound_findings {
    double seconds;     /* listened to; 0: nothing could be */
    double hum_hz;      /* the mains frequency as it is on the tape, 0 = no hum */
    uint32_t hum_lines; /* bit k - 1: the k-th multiple stands out */
    double hum_dbfs;    /* the strongest line, a sine of full scale being 0 */
    double syllables;   /* modulation at 2.5 to 6 Hz: variance of the envelope over its squared mean */
    double streaks;     /* share of the energy over 500 Hz in steady tones, 0..1 */
    bool music;         /* rather than speech */
} ta_sound_findings;
/* True when the settings want something measured: dehum auto, speech-guard. */
bool ta_sound_wants_look(const ta_settings *s);
/* Decodes eight windows of 6 s spread over the file (or its first 48 s, when it has no more than 96), with an input of
 * its own. `known` is an open input of the same file, or NULL. The same for the same file, always. A stream in which
 * nothing can be decoded is no error. */
int ta_sound_look(const char *path, ta_input *known, int stream, ta_cancel *cancel, ta_sound_findings *found,
                  ta_error *err);

/* What models can do for a track; folders below this one offer them, how they work is theirs. */
typedef enum ta_sound_task {
    TA_SOUND_SPEECH /* speech out of noise: any channels, the same ones leave */
} ta_sound_task;
typedef struct ta_sound_part {
    ta_stage *stage; /* planar float at `rate`; as many samples leave as came, at the times they had */
    int rate;
    int step; /* started a multiple of so many of its samples into a track, it cuts time where it would have from the
               * front */
    char text[160]; /* for the notes */
} ta_sound_part;
typedef struct ta_sound_engines {
    void *opaque;
    /* `method`: the setting's word. TA_ERR_UNAVAILABLE: something is missing, with the command that gets it. */
    int (*make)(void *opaque, ta_sound_task task, const char *method, const ta_settings *s, ta_sound_part *part,
                ta_error *err);
    /* The path of the (first) file of a model of the catalogue; ta_free. */
    int (*file)(void *opaque, const char *name, char **path, ta_error *err);
} ta_sound_engines;

/* Plans the stages of one track: repairs (declip, declick, dehum), channel fix, speech denoiser, enhance chain, upmix
 * or down-mix, drift, sample format. Everything but the loudness gain, which is known only after the chain ran. The
 * spec of each is libavfilter syntax. A chain that works on more than two channels where a filter can't is refused with
 * TA_ERR_USAGE. `codec` is the encoder's name in our settings ("aac"). `found` is what ta_sound_look found; NULL where
 * ta_sound_wants_look is false. `engines` (may be NULL: none) makes the stages of models. TA_ERR_UNAVAILABLE for a
 * model, weights or an engine that is missing, and for upmix demucs, which nothing runs yet.
 *
 * Every stage keeps the picture's time: filters' delays are taken out, and as many samples leave as came in (times
 * 1 + audio-drift / 10^6, and the change of rate). audio-drift stretches about time 0. The samples leave
 * packed: in the source's own format, bit by bit, when nothing is done to them, else in float, for the encoder to
 * convert (to 24 bits for flac and pcm). `notes` (may be NULL) receives a line for each thing that a user should know.
 * Codec "copy": no stages. */
int ta_sound_plan(const ta_settings *s, const ta_audio_format *in, const ta_sound_findings *found,
                  const ta_sound_engines *engines, const char *codec, ta_chain *chain, ta_sound_target *target,
                  ta_buf *notes, ta_error *err);

/* Loudness by EBU R 128 / ITU-R BS.1770-4, true peak 4x oversampled. */
typedef struct ta_loudness {
    double integrated; /* LUFS; -HUGE_VAL when silent */
    double range;      /* LU */
    double true_peak;  /* dBTP */
} ta_loudness;
typedef struct ta_loudness_meter ta_loudness_meter;
int ta_loudness_meter_new(ta_loudness_meter **m, const ta_audio_format *format, ta_error *err);
int ta_loudness_meter_add(ta_loudness_meter *m, const AVFrame *frame, ta_error *err);
int ta_loudness_meter_result(ta_loudness_meter *m, ta_loudness *l, ta_error *err);
void ta_loudness_meter_free(ta_loudness_meter **m);

/* The gain for a measured track, and why. gain_db = min(target - measured, peak limit - measured peak), or target -
 * measured with the limiter. `reason` is a sentence: "raised 6.2 dB to -14.0 LUFS" or "raised 3.1 dB to -17.1 LUFS:
 * limited by the true peak". Silence gets 0.
 *
 * With the setting `limiter`, ratio > 1 compresses the loudness range first, limited means that peaks are cut off at
 * ceiling_db, and makeup_db is added to gain_db for what both of them take away: guessed by ta_sound_gain, measured by
 * ta_sound_fit. */
typedef struct ta_gain {
    double gain_db;
    bool peak_limited;
    double expected; /* LUFS after the gain */
    char reason[256];
    bool limited;
    double makeup_db, ratio, ceiling_db;
} ta_gain;
void ta_sound_gain(const ta_settings *s, const ta_loudness *l, ta_gain *gain);
/* The libavfilter chain that applies it: volume, with a limiter behind it where asked for. ta_free; "" (anull) when
 * nothing is to do. `format` is the track's, which the chain keeps. */
char *ta_sound_gain_spec(const ta_settings *s, const ta_gain *gain, const ta_loudness *l,
                         const ta_audio_format *format);

/* Gives the next frame of the finished track (the caller of it frees), NULL at the end; from the start when `rewind`.
 */
typedef int (*ta_sound_read)(void *opaque, bool rewind, AVFrame **frame, ta_error *err);
/* How much a limiter takes away can't be computed, only measured. With the limiter in use this runs the track through
 * it, measures, corrects the make-up gain, ratio and ceiling, at most six times, until the result is within 0.1 LU of
 * the target, under the peak limit and the range; `gain` then holds the corrected figures for ta_sound_gain_spec and
 * a reason that says what was reached. `after` is measured; without the limiter it is computed and nothing is read. */
int ta_sound_fit(const ta_settings *s, const ta_audio_format *format, const ta_loudness *before, ta_sound_read read,
                 void *opaque, ta_gain *gain, ta_loudness *after, ta_error *err);

/* Channel faults of tapes: one silent side, one side much weaker, sides out of phase, a mono recording on both. Feed
 * the decoded source; stereo only (others report none). */
typedef enum ta_channel_fault {
    TA_CHANNELS_FINE,
    TA_CHANNELS_LEFT_ONLY,
    TA_CHANNELS_RIGHT_ONLY,
    TA_CHANNELS_OUT_OF_PHASE,
    TA_CHANNELS_DUAL_MONO
} ta_channel_fault;
typedef struct ta_channel_meter ta_channel_meter;
ta_channel_meter *ta_channel_meter_new(void);
int ta_channel_meter_add(ta_channel_meter *m, const AVFrame *frame, ta_error *err);
/* `advice` (256 bytes) names the setting that repairs it, or "". */
ta_channel_fault ta_channel_meter_result(const ta_channel_meter *m, char *advice);
void ta_channel_meter_free(ta_channel_meter **m);

#endif
