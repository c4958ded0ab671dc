/* Finds the limiter's figures by trying: run the track through, measure, correct. Fixed-point iteration: the loudness
 * that the limiter leaves grows with the gain before it, slower than 1:1, so adding the shortfall again and again
 * closes in from below. */
#include "sound/internal.h"

enum { ROUNDS = 6 };

typedef struct bounds {
    double target, peak, range;
} bounds;

static int meter_frame(void *to, AVFrame *frame, ta_error *err)
{
    int r = ta_loudness_meter_add(to, frame, err);
    av_frame_free(&frame);
    return r;
}

static int feed(ta_chain *chain, ta_sound_read read, void *opaque, ta_loudness_meter *m, ta_error *err)
{
    AVFrame *frame = NULL;
    int r = read(opaque, true, &frame, err);
    while (r >= 0 && frame) {
        r = ta_chain_push(chain, frame, meter_frame, m, err);
        frame = NULL;
        if (r >= 0)
            r = read(opaque, false, &frame, err);
    }
    return r < 0 ? r : ta_chain_push(chain, NULL, meter_frame, m, err);
}

/* The loudness of the track behind `spec`. */
static int measure(const char *spec, const ta_audio_format *format, ta_sound_read read, void *opaque, ta_loudness *l,
                   ta_error *err)
{
    ta_chain chain = { 0 };
    ta_loudness_meter *m = NULL;
    ta_link in = { .type = AVMEDIA_TYPE_AUDIO, .audio = *format }, out;
    int r = ta_chain_add(&chain, ta_stage_new(&ta_filter_stage, "limiter", spec)) < 0 ? ta_no_memory(err) : 0;
    if (r >= 0)
        r = ta_chain_configure(&chain, &in, &out, err);
    if (r >= 0)
        r = ta_loudness_meter_new(&m, &out.audio, err);
    if (r >= 0)
        r = feed(&chain, read, opaque, m, err);
    if (r >= 0)
        r = ta_loudness_meter_result(m, l, err);
    ta_loudness_meter_free(&m);
    ta_chain_free(&chain);
    return r;
}

/* True when all is reached; else changes the figures for the next round. */
static bool good_enough(const bounds *b, const ta_loudness *after, ta_gain *gain)
{
    double lack = b->target - after->integrated, over = after->true_peak - b->peak;
    bool wide = gain->ratio > 1 && after->range > b->range;
    if (fabs(lack) <= 0.1 && over <= 0 && !wide)
        return true;
    gain->makeup_db += lack;
    if (over > 0)
        gain->ceiling_db -= over + 0.02;
    if (wide)
        gain->ratio = TA_MIN(gain->ratio * TA_MAX(after->range / b->range, 1.05), 20);
    return false;
}

int ta_sound_fit(const ta_settings *s, const ta_audio_format *format, const ta_loudness *before, ta_sound_read read,
                 void *opaque, ta_gain *gain, ta_loudness *after, ta_error *err)
{
    bounds b = { ta_get_float(s, TA_SET_loudness), ta_get_float(s, TA_SET_true_peak),
                 ta_get_float(s, TA_SET_loudness_range) };
    *after = (ta_loudness){ gain->expected, before->range, before->true_peak + gain->gain_db };
    if (!gain->limited)
        return 0;
    for (int round = 0; round < ROUNDS; round++) {
        ta_gain tried = *gain;
        char *spec = ta_sound_gain_spec(s, gain, before, format);
        int r = spec ? measure(spec, format, read, opaque, after, err) : ta_no_memory(err);
        ta_free(spec);
        if (r < 0)
            return r;
        if (!(after->integrated > -HUGE_VAL) || good_enough(&b, after, gain) || round == ROUNDS - 1) {
            *gain = tried; /* the figures that were measured */
            break;
        }
    }
    gain->expected = after->integrated;
    ta_sound_gain_reason(s, before, after, gain);
    return 0;
}
