/* Speech denoisers. DeepFilterNet and GTCRN are models that folders below this one run. RNNoise (J.-M. Valin, "A Hybrid
 * DSP/Deep Learning Approach to Real-Time Full-Band Speech Enhancement", MMSP 2018) is libavfilter's arnndn, a network
 * a channel, at 48 kHz in frames of 480 samples, of which it gives each one late, with weights of the user's. */
#include <string.h>

#include "sound/internal.h"

enum { RATE = 48000, FRAME = 480, MAX_MODEL = 64 << 20 };

/* True when the denoiser is left out for what was measured. Says so, or warns. */
static bool guarded(ta_sound_build *b)
{
    const char *guard = ta_get_text(b->s, TA_SET_speech_guard);
    if (ta_streq(guard, "off"))
        return false;
    if (!b->found || b->found->seconds <= 0) {
        ta_sound_note(b, "speech-guard: no sound could be measured");
        return false;
    }
    if (!b->found->music)
        return false;
    bool skip = ta_streq(guard, "skip");
    ta_sound_note(b,
                  "speech-denoise: this sounds like music (%.0f %% of its treble in steady tones, syllables %.2f); %s",
                  100 * b->found->streaks, b->found->syllables,
                  skip ? "the speech denoiser is left out (--speech-guard skip)"
                       : "a speech denoiser damages music (--speech-guard skip leaves it out)");
    return skip;
}

/* The weights must be there and look like weights: libavfilter says no more than "invalid argument". */
static int check_model(ta_sound_build *b, const char *path, char sha256[65])
{
    static const char magic[] = "rnnoise-nu model file version";
    char *data = NULL;
    size_t size = 0;
    if (!path[0]) {
        ta_fail(b->err, TA_ERR_UNAVAILABLE,
                "speech-denoise rnnoise needs a file of RNNoise weights, and none is named");
        return ta_hint(b->err,
                       "name one with --speech-model FILE.rnnn (text weights as libavfilter's arnndn reads them)");
    }
    int r = ta_read_file(path, MAX_MODEL, &data, &size, b->err);
    if (r == TA_ERR_NOINPUT) {
        ta_fail(b->err, TA_ERR_UNAVAILABLE, "speech-model '%s' is not there", path);
        ta_hint(b->err, "name a file of RNNoise weights with --speech-model FILE.rnnn");
        r = TA_ERR_UNAVAILABLE;
    } else if (r >= 0 && (size < sizeof magic || memcmp(data, magic, sizeof magic - 1))) {
        ta_fail(b->err, TA_ERR_DATA, "speech-model '%s' holds no RNNoise weights", path);
        r = ta_hint(b->err, "such a file begins with the line '%s 1'", magic);
    }
    ta_sha256 *h = r >= 0 ? ta_sha256_new() : NULL;
    if (h) {
        ta_sha256_add(h, data, size);
        ta_sha256_end(&h, sha256);
    } else if (r >= 0) {
        r = ta_no_memory(b->err);
    }
    ta_free(data);
    return r;
}

/* A path as the value of an option in a graph: two levels of quoting, of the filter's options and of the graph. */
static char *quote(const char *path)
{
    ta_buf b = { 0 };
    for (const char *p = path; *p; p++) {
        char c[2] = { *p };
        if (strchr("\\':", *p)) /* "\:" for the options, of which the graph wants each again */
            ta_buf_add(&b, *p == ':' ? "\\\\" : "\\\\\\");
        else if (strchr("[],;", *p))
            ta_buf_add(&b, "\\");
        ta_buf_add(&b, c);
    }
    return ta_buf_take(&b);
}

/* At 48 kHz the sound is delayed further until the delay is whole samples of the source. */
static int add_graph(ta_sound_build *b, const char *model)
{
    ta_buf spec = { 0 };
    int rate = b->now.sample_rate, both = av_gcd(rate, RATE), unit = RATE / both;
    int late = (FRAME + unit - 1) / unit * unit;
    double limit = ta_get_float(b->s, TA_SET_speech_limit), mix = limit < 100 ? 1 - pow(10, -limit / 20) : 1;
    if (rate != RATE) {
        ta_sound_want(b, &spec, AV_SAMPLE_FMT_DBLP);
        ta_sound_then(&spec, "aresample=osr=%d:" TA_RESAMPLER, RATE);
    }
    ta_sound_want(b, &spec, AV_SAMPLE_FMT_FLTP);
    if (late > FRAME)
        ta_sound_then(&spec, "adelay=delays=%dS:all=1", late - FRAME);
    ta_sound_then(&spec, "arnndn=m=%s:mix=%.9g", model, mix);
    if (rate != RATE) {
        ta_sound_want(b, &spec, AV_SAMPLE_FMT_DBLP);
        ta_sound_then(&spec, "aresample=osr=%d:" TA_RESAMPLER, rate);
    }
    /* A frame begins with a whole sample of the source every so many samples. */
    int block = (int)((int64_t)FRAME / av_gcd(FRAME, unit) * unit * rate / RATE);
    ta_sound_step(b, block);
    return ta_sound_add_exact(b, "speech", (int)((int64_t)late * rate / RATE), block, &spec);
}

/* The weights: the setting's file, else those of the store. */
static int find_weights(ta_sound_build *b, char **path)
{
    const char *set = ta_get_text(b->s, TA_SET_speech_model);
    *path = NULL;
    if ((set[0] && (strchr(set, '/') || ta_ends(set, ".rnnn"))) || !b->engines) {
        *path = ta_strdup(set);
        return *path ? 0 : ta_no_memory(b->err);
    }
    int r = b->engines->file(b->engines->opaque, set[0] ? set : "rnnoise", path, b->err);
    return r < 0 ? ta_wrap(b->err, "speech-denoise rnnoise") : 0;
}

static int add_rnnoise(ta_sound_build *b)
{
    char sha256[65] = "", *path, *model = NULL;
    int r = find_weights(b, &path);
    if (r >= 0)
        r = check_model(b, path, sha256);
    if (r >= 0 && !(model = quote(path)))
        r = ta_no_memory(b->err);
    if (r >= 0) {
        ta_sound_note(b, "speech-denoise: RNNoise with the weights '%s' (sha256 %.16s)", path, sha256);
        memcpy(b->model_sha256, sha256, sizeof sha256);
        r = add_graph(b, model);
    }
    ta_free(model);
    ta_free(path);
    return r;
}

/* audio-enhance deepfilternet is another name of the same denoiser. */
static const char *method_of(const ta_sound_build *b)
{
    bool enhance = ta_get_is(b->s, TA_SET_audio_enhance, "deepfilternet");
    return enhance ? "deepfilternet" : ta_get_text(b->s, TA_SET_speech_denoise);
}

int ta_sound_speech(ta_sound_build *b)
{
    const char *method = method_of(b);
    if (ta_streq(method, "off"))
        return 0;
    if (!ta_get_is(b->s, TA_SET_speech_denoise, "off") && ta_get_is(b->s, TA_SET_audio_enhance, "deepfilternet")) {
        ta_fail(b->err, TA_ERR_USAGE, "speech-denoise %s and audio-enhance deepfilternet would clean speech twice",
                ta_get_text(b->s, TA_SET_speech_denoise));
        return ta_hint(b->err, "leave one of them out");
    }
    if (guarded(b))
        return 0;
    if (ta_streq(method, "rnnoise"))
        return add_rnnoise(b);
    if (ta_streq(method, "gtcrn") && b->now.sample_rate > 16000)
        ta_sound_note(b, "speech-denoise gtcrn works at 16 kHz: what is above 8 kHz goes");
    return ta_sound_add_model(b, TA_SOUND_SPEECH, method, &b->now.layout);
}
