/* Values that are right one by one and contradict each other. Each is refused with what to do; nothing is bent in
 * silence. What a preset or file asks of the sound is given up, with a remark, where a stronger origin says to copy it.
 */
#include "settings/values.h"

#include <string.h>

/* Somebody chose this value for this run: not in a file for all runs, nor in a document that lists every setting. */
static bool chosen_now(const ta_settings *s, ta_setting_id id)
{
    return s->slot[id].origin >= TA_FROM_ENVIRONMENT && !s->slot[id].document;
}

static bool is_any(const ta_settings *s, ta_setting_id id, const char *const *words)
{
    for (; *words; words++)
        if (ta_get_is(s, id, *words))
            return true;
    return false;
}

#define ANY(s, id, ...) is_any(s, id, (const char *const[]){ __VA_ARGS__, NULL })

__attribute__((format(printf, 3, 4))) static int refuse(ta_error *err, const char *hint, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = ta_vformat(fmt, args);
    va_end(args);
    if (!text)
        return ta_no_memory(err);
    ta_fail(err, TA_ERR_USAGE, "%s", text);
    ta_free(text);
    return err ? ta_hint(err, "%s", hint) : TA_ERR_USAGE;
}

static int check_times(const ta_settings *s, ta_error *err)
{
    int64_t start = ta_get_int(s, TA_SET_start), end = ta_get_int(s, TA_SET_end);
    if (*ta_get_text(s, TA_SET_preview) && (start >= 0 || end >= 0))
        return refuse(err, "leave out --start and --end, or --preview",
                      "preview restores a piece of its own and does not go with start and end");
    if (end < 0 || end > TA_MAX(start, 0))
        return 0;
    return refuse(err, "give an end behind the start", "end %s is not behind start %s", ta_get_text(s, TA_SET_end),
                  start < 0 ? "0" : ta_get_text(s, TA_SET_start));
}

static int check_split(const ta_settings *s, ta_error *err)
{
    bool split = *ta_get_text(s, TA_SET_split), number = strstr(ta_get_text(s, TA_SET_output_template), "{number}");
    if (split && *ta_get_text(s, TA_SET_preview))
        return refuse(err, "leave out --split, or --preview", "preview restores one piece and does not go with split");
    if (!split && number)
        return refuse(err, "leave {number} out, or add --split",
                      "output-template: {number} counts the parts of a split");
    return 0;
}

static int check_rates(const ta_settings *s, ta_error *err)
{
    if (ta_get_is(s, TA_SET_ivtc, "on") && ta_get_bool(s, TA_SET_vfr))
        return refuse(err, "use --no-vfr: inverse telecine gives film its own constant rate",
                      "ivtc makes a constant 24 frames a second, vfr keeps a variable rate");
    return 0;
}

/* The denoisers' own numbers, with libavfilter's ranges. `odd` marks sizes, which are odd. */
typedef struct number_form {
    double min, max;
    bool odd;
} number_form;

static const number_form hqdn3d_form[] = { { 0, 255, false }, { 0, 255, false }, { 0, 255, false }, { 0, 255, false } };
static const number_form atadenoise_form[] = { { 0, 0.3, false }, { 0, 5, false }, { 0, 0.3, false }, { 0, 5, false },
                                               { 0, 0.3, false }, { 0, 5, false }, { 5, 129, true } };
static const number_form nlmeans_form[] = {
    { 1, 30, false }, { 1, 99, true }, { 0, 99, false }, { 1, 99, true }, { 0, 99, false }
};

static int check_number(const ta_settings *s, double x, int at, const number_form *f, ta_error *err)
{
    char number[32], lo[32], hi[32];
    if (x >= f->min && x <= f->max && (!f->odd || (int)x % 2 == 1) && (!f->odd || x == (int)x))
        return 0;
    return refuse(err, "the names light, standard, strong, heavy and severe fit every denoiser",
                  "denoise-strength: %s's number %d is %s, which is not %swithin %s to %s",
                  ta_get_text(s, TA_SET_denoise), at + 1, ta_print_real(x, number), f->odd ? "an odd number " : "",
                  ta_print_real(f->min, lo), ta_print_real(f->max, hi));
}

static int check_denoise(const ta_settings *s, ta_error *err)
{
    static const struct {
        const char *name;
        const number_form *form;
        int count;
    } denoisers[] = { { "hqdn3d", hqdn3d_form, TA_COUNT(hqdn3d_form) },
                      { "atadenoise", atadenoise_form, TA_COUNT(atadenoise_form) },
                      { "nlmeans", nlmeans_form, TA_COUNT(nlmeans_form) } };
    double x[8];
    int n = ta_parse_numbers(ta_get_text(s, TA_SET_denoise_strength), x, 8), r = 0;
    for (size_t d = 0; d < TA_COUNT(denoisers); d++) {
        if (!ta_get_is(s, TA_SET_denoise, denoisers[d].name))
            continue;
        if (n > denoisers[d].count)
            return refuse(err, "the names light, standard, strong, heavy and severe fit every denoiser",
                          "denoise-strength: %s takes up to %d numbers, not %d", denoisers[d].name, denoisers[d].count,
                          n);
        for (int i = 0; i < n && r == 0; i++)
            r = check_number(s, x[i], i, &denoisers[d].form[i], err);
    }
    return r;
}

static int check_bits(const ta_settings *s, ta_error *err)
{
    const char *encoder = ta_get_text(s, TA_SET_encoder);
    bool only8 = ANY(s, TA_SET_encoder, "h264_nvenc", "h264_vaapi", "h264_qsv");
    bool hdr = !ta_get_is(s, TA_SET_hdr, "sdr");
    if (only8 && ta_get_is(s, TA_SET_bit_depth, "10"))
        return refuse(err, "use --bit-depth 8, or an encoder such as libx265 or hevc_nvenc", "%s has no 10 bits",
                      encoder);
    if (hdr && only8)
        return refuse(err, "use libx265, libsvtav1 or a hevc encoder", "%s needs 10 bits, which %s has not",
                      ta_get_text(s, TA_SET_hdr), encoder);
    if (hdr && ta_get_is(s, TA_SET_bit_depth, "8"))
        return refuse(err, "use --bit-depth 10, or --hdr sdr", "%s needs 10 bits a sample, and bit-depth is 8",
                      ta_get_text(s, TA_SET_hdr));
    return 0;
}

/* Highest value of the encoder's constant quality; -1 where it has none. */
static int highest_crf(const ta_settings *s)
{
    if (ta_get_is(s, TA_SET_encoder, "ffv1"))
        return -1;
    return ta_get_is(s, TA_SET_encoder, "libsvtav1") ? 63 : 51;
}

static int check_crf(const ta_settings *s, ta_error *err)
{
    int highest = highest_crf(s);
    if (highest < 0 && chosen_now(s, TA_SET_crf))
        return refuse(err, "leave out --crf, or use --encoder libx264", "ffv1 is lossless and has no crf");
    if (highest < 0 || ta_get_int(s, TA_SET_crf) <= highest)
        return 0;
    return refuse(err, "a usual value is 18", "crf %s: %s has 0 to %d", ta_get_text(s, TA_SET_crf),
                  ta_get_text(s, TA_SET_encoder), highest);
}

#define X26X "ultrafast|superfast|veryfast|faster|fast|medium|slow|slower|veryslow|placebo"
#define NVENC "p1|p2|p3|p4|p5|p6|p7|slow|medium|fast"
#define QSV "veryfast|faster|fast|medium|slow|slower|veryslow"

static const char *encoder_presets(const ta_settings *s)
{
    static const char *const lists[][2] = { { "libx264", X26X },
                                            { "libx265", X26X },
                                            { "h264_nvenc", NVENC },
                                            { "hevc_nvenc", NVENC },
                                            { "h264_qsv", QSV },
                                            { "hevc_qsv", QSV },
                                            { "libsvtav1", "0|1|2|3|4|5|6|7|8|9|10|11|12|13" } };
    for (size_t i = 0; i < TA_COUNT(lists); i++)
        if (ta_get_is(s, TA_SET_encoder, lists[i][0]))
            return lists[i][1];
    return NULL; /* ffv1 and VA-API have no presets */
}

static int refuse_preset(const ta_settings *s, char *const *words, ta_error *err)
{
    const char *preset = ta_get_text(s, TA_SET_encoder_preset);
    const char *near = ta_nearest(preset, (const char *const *)words);
    char *list = ta_join_or(words), *hint = near ? ta_format("did you mean '%s'?", near) : ta_strdup("use auto");
    int r = list && hint ? refuse(err, hint, "encoder-preset '%s' is none of %s's: %s", preset,
                                  ta_get_text(s, TA_SET_encoder), list)
                         : ta_no_memory(err);
    ta_free(hint);
    ta_free(list);
    return r;
}

static int check_encoder_preset(const ta_settings *s, ta_error *err)
{
    const char *list = encoder_presets(s), *preset = ta_get_text(s, TA_SET_encoder_preset);
    if (ta_get_is(s, TA_SET_encoder_preset, "auto"))
        return 0;
    if (!list)
        return refuse(err, "leave out --encoder-preset", "%s has no presets", ta_get_text(s, TA_SET_encoder));
    char **words = ta_split(list, '|');
    bool known = false;
    for (size_t i = 0; words && words[i] && !known; i++)
        known = !strcmp(words[i], preset);
    int r = !words ? ta_no_memory(err) : known ? 0 : refuse_preset(s, words, err);
    ta_free(words);
    return r;
}

/* What libavformat's muxers refuse (tried with each pair). Matroska holds everything. */
static const struct {
    const char *container, *codec, *instead;
} unfit[] = {
    { "mp4", "ffv1", "use --container mkv" },
    { "mp4", "pcm", "use --audio-codec aac, or --container mkv" },
    { "mov", "libsvtav1", "use --container mp4" },
    { "mov", "flac", "use --audio-codec pcm, or --container mkv" },
    { "mov", "opus", "use --audio-codec aac, or --container mp4" },
};

static int check_webm(const ta_settings *s, ta_error *err)
{
    if (!ta_get_is(s, TA_SET_encoder, "libsvtav1"))
        return refuse(err, "use --encoder libsvtav1, or --container mkv", "webm does not hold what %s makes",
                      ta_get_text(s, TA_SET_encoder));
    if (!ANY(s, TA_SET_audio_codec, "opus", "copy"))
        return refuse(err, "use --audio-codec opus, or --container mkv", "webm does not hold %s sound",
                      ta_get_text(s, TA_SET_audio_codec));
    return 0;
}

static int check_container(const ta_settings *s, ta_error *err)
{
    const char *container = ta_get_text(s, TA_SET_container);
    for (size_t i = 0; i < TA_COUNT(unfit); i++) {
        if (strcmp(container, unfit[i].container))
            continue;
        if (ta_get_is(s, TA_SET_encoder, unfit[i].codec) || ta_get_is(s, TA_SET_audio_codec, unfit[i].codec))
            return refuse(err, unfit[i].instead, "%s does not hold %s", container, unfit[i].codec);
    }
    return strcmp(container, "webm") ? 0 : check_webm(s, err);
}

static int check_layout(const ta_settings *s, ta_error *err)
{
    if (ta_get_is(s, TA_SET_audio_layout, "7.1") && ANY(s, TA_SET_audio_codec, "ac3", "eac3", "dts"))
        return refuse(err, "use --audio-codec aac, opus, flac or pcm, or --audio-layout 5.1",
                      "%s has no 7.1, only up to 5.1", ta_get_text(s, TA_SET_audio_codec));
    return 0;
}

static int check_limiter(const ta_settings *s, ta_error *err)
{
    if (ta_get_bool(s, TA_SET_limiter) && !ta_get_bool(s, TA_SET_normalize))
        return refuse(err, "add --normalize, or use --no-limiter", "limiter has nothing to do without normalize");
    return 0;
}

/* What changes the samples, which copied packets can't have. */
static const ta_setting_id sound_work[] = { TA_SET_declick,        TA_SET_declip,        TA_SET_dehum,
                                            TA_SET_speech_denoise, TA_SET_audio_enhance, TA_SET_channel_fix,
                                            TA_SET_audio_layout,   TA_SET_upmix,         TA_SET_normalize,
                                            TA_SET_audio_drift,    TA_SET_limiter };

static bool is_default(const ta_settings *s, ta_setting_id id)
{
    ta_value v;
    if (ta_value_parse(id, ta_setting(id)->def, &v, NULL) < 0)
        return false;
    bool same = ta_get_is(s, id, v.text);
    ta_value_clear(&v);
    return same;
}

static int check_copy(ta_settings *s, ta_buf *notes, ta_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < TA_COUNT(sound_work) && ta_get_is(s, TA_SET_audio_codec, "copy"); i++) {
        ta_setting_id id = sound_work[i];
        if (is_default(s, id))
            continue;
        if (s->slot[id].origin >= s->slot[TA_SET_audio_codec].origin)
            return refuse(err, "choose an audio codec such as aac or flac, or leave the sound as it is",
                          "audio-codec copy keeps the sound as it is and does not go with %s %s", ta_setting(id)->name,
                          ta_get_text(s, id));
        ta_buf_addf(notes, "%s %s (%s) is left out, as audio-codec copy keeps the sound as it is\n",
                    ta_setting(id)->name, ta_get_text(s, id), s->slot[id].where ? s->slot[id].where : "set before");
        r = ta_settings_reset(s, id, err);
    }
    return r;
}

/* Chosen values that nothing will look at. */
static int note_useless(const ta_settings *s, ta_buf *notes, ta_error *err)
{
    for (int i = 0; i < TA_SET_COUNT; i++) {
        ta_setting_id id = (ta_setting_id)i, failed = id;
        int met = chosen_now(s, id) ? ta_when_met(s, id, &failed, err) : 1;
        if (met < 0)
            return met;
        char *sentence = met ? NULL : ta_when_sentence(ta_setting(failed)->when);
        if (!met && !sentence)
            return ta_no_memory(err);
        if (!met)
            ta_buf_addf(notes, "%s has no effect: it matters only when %s\n", ta_setting(id)->name, sentence);
        ta_free(sentence);
    }
    return 0;
}

int ta_settings_check(ta_settings *s, ta_buf *notes, ta_error *err)
{
    static int (*const checks[])(const ta_settings *,
                                 ta_error *) = { check_times,  check_split,  check_rates,          check_denoise,
                                                 check_bits,   check_crf,    check_encoder_preset, check_container,
                                                 check_layout, check_limiter };
    int r = 0;
    for (size_t i = 0; r == 0 && i < TA_COUNT(checks); i++)
        r = checks[i](s, err);
    if (r == 0)
        r = check_copy(s, notes, err);
    if (r == 0)
        r = note_useless(s, notes, err);
    return r == 0 && notes->failed ? ta_no_memory(err) : r;
}
