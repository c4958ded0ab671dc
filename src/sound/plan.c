/* The plan of one track: which stages, in which order, and what they give to the encoder.
 *
 * Order: repairs (of single channels, so before they are mixed), channel fix, speech denoiser, clean-up, layout, drift,
 * rate, sample format. Anything that changes samples works in double precision and ends in 32-bit float, whose 24 bits
 * of mantissa hold more than any tape; a track that nothing is done to keeps its own samples, bit by bit. */
#include "sound/internal.h"

static int refuse_missing(const ta_sound_build *b)
{
    if (ta_get_is(b->s, TA_SET_upmix, "demucs")) {
        ta_fail(b->err, TA_ERR_UNAVAILABLE, "upmix demucs: this build has no neural sound engine");
        return ta_hint(b->err, "use upmix surround, prologic or simple");
    }
    return 0;
}

static int check_codec(const ta_sound_build *b)
{
    if (ta_sound_codec_find(b->codec))
        return 0;
    return ta_fail(b->err, TA_ERR_SOFTWARE, "the audio codec '%s' is unknown to the sound plan", b->codec);
}

/* The last stage makes packed samples, as files of sound hold them: float when anything changes them, else the
 * source's own. */
static int add_format(ta_sound_build *b)
{
    bool changed = b->chain->count > 0 || ta_get_bool(b->s, TA_SET_normalize);
    enum AVSampleFormat fmt = changed ? AV_SAMPLE_FMT_FLT : av_get_packed_sample_fmt(b->now.sample_fmt);
    if (b->now.sample_fmt == fmt)
        return 0;
    ta_buf spec = { 0 };
    ta_sound_want(b, &spec, fmt);
    return ta_sound_add(b, "format", &spec);
}

int ta_sound_plan(const ta_settings *s, const ta_audio_format *in, const ta_sound_findings *found,
                  const ta_sound_engines *engines, const char *codec, ta_chain *chain, ta_sound_target *target,
                  ta_buf *notes, ta_error *err)
{
    static int (*const parts[])(ta_sound_build *) = { ta_sound_names,  ta_sound_repair,  ta_sound_channel_fix,
                                                      ta_sound_speech, ta_sound_enhance, ta_sound_layout,
                                                      ta_sound_drift,  ta_sound_rate,    add_format };
    ta_sound_build b = { .s = s,
                         .found = found,
                         .engines = engines,
                         .codec = codec,
                         .now = *in,
                         .chain = chain,
                         .notes = notes,
                         .err = err,
                         .drift = { 1, 1 },
                         .source_rate = in->sample_rate,
                         .phase = 1 };
    *target = (ta_sound_target){ .format = *in, .drift = { 1, 1 }, .phase = 1 };
    if (ta_streq(codec, "copy"))
        return 0;
    int r = refuse_missing(&b);
    if (r >= 0)
        r = check_codec(&b);
    for (size_t i = 0; r >= 0 && i < sizeof parts / sizeof *parts; i++)
        r = parts[i](&b);
    if (r >= 0)
        r = ta_sound_bit_rate(s, ta_sound_codec_find(codec), &b.now, &target->bit_rate, notes, err);
    if (r >= 0 && notes && notes->failed)
        r = ta_no_memory(err);
    if (r >= 0) {
        target->format = b.now;
        target->drift = b.drift;
        target->phase = b.phase;
        memcpy(target->model_sha256, b.model_sha256, sizeof target->model_sha256);
        target->hidden_delay = ta_sound_codec_find(codec)->hidden_delay;
    }
    return r;
}
