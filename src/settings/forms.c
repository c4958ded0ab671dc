/* The forms of TEXT settings: one check a setting, found by the setting's name. What depends on a second setting (the
 * denoiser's own numbers, an encoder's preset names) is checked in conflicts.c. */
#include "settings/values.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

__attribute__((format(printf, 2, 3))) static bool refuse(ta_form *form, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(form->why, sizeof form->why, fmt, args);
    va_end(args);
    return false;
}

static bool one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (!strcmp(text, *words))
            return true;
    return false;
}

static void suggest(ta_form *form, const char *text, const char *const *words)
{
    const char *near = ta_nearest(text, words);
    if (near)
        snprintf(form->hint, sizeof form->hint, "did you mean '%s'?", near);
}

/* "" and "none" both mean that nothing is set. */
static bool is_nothing(const char *text, ta_form *form)
{
    if (*text && strcmp(text, "none"))
        return false;
    form->replacement = "";
    return true;
}

static bool all_whole(const double *x, int n, double min, double max)
{
    for (int i = 0; i < n; i++)
        if (x[i] != (double)(int64_t)x[i] || x[i] < min || x[i] > max)
            return false;
    return true;
}

static bool check_codec(const char *codec, ta_form *form)
{
    ta_value parsed;
    ta_error err;
    int r = ta_value_parse(TA_SET_audio_codec, codec, &parsed, &err);
    form->no_memory = r == TA_ERR_AGAIN;
    if (r < 0)
        return refuse(form, "%s", err.text[0]);
    ta_value_clear(&parsed);
    return true;
}

/* "3" or "3=copy", in `part` of `len` bytes; marks the track in `seen`. */
static bool check_track(const char *part, size_t len, uint64_t *seen, ta_form *form)
{
    char word[64];
    int64_t track;
    if (len >= sizeof word)
        return refuse(form, "'%.40s...' is too long for a track", part);
    memcpy(word, part, len);
    word[len] = 0;
    char *codec = strchr(word, '=');
    if (codec)
        *codec++ = 0;
    if (!ta_parse_whole(word, &track) || track < 0 || track > 63)
        return refuse(form, "'%s' is not a track number from 0 to 63", word);
    if (*seen >> track & 1)
        return refuse(form, "track %s is named twice", word);
    *seen |= UINT64_C(1) << track;
    return !codec || check_codec(codec, form);
}

static bool audio_tracks(const char *text, ta_form *form)
{
    uint64_t seen = 0;
    if (!strcmp(text, "all") || !strcmp(text, "none"))
        return true;
    for (const char *p = text;; p++) {
        size_t len = strcspn(p, ",");
        if (!check_track(p, len, &seen, form))
            return false;
        p += len;
        if (!*p)
            return true;
    }
}

static bool crop(const char *text, ta_form *form)
{
    double side[4];
    if (!strcmp(text, "none") || !strcmp(text, "auto"))
        return true;
    if (ta_parse_numbers(text, side, 4) == 4 && all_whole(side, 4, 0, 8192))
        return true;
    return refuse(form, "'%s' is not a crop", text);
}

static bool denoise_strength(const char *text, ta_form *form)
{
    static const char *const words[] = { "light", "standard", "strong", "heavy", "severe", NULL };
    double x[8];
    if (one_of(text, words))
        return true;
    int n = ta_parse_numbers(text, x, 8);
    for (int i = 0; i < n; i++)
        if (x[i] < 0 || x[i] > 1000)
            return refuse(form, "%s: each number must be from 0 to 1000", text);
    if (n > 0)
        return true;
    suggest(form, text, words);
    return refuse(form, "'%s' is neither light, standard, strong, heavy, severe nor numbers with colons", text);
}

static bool check_balance(const char *part, size_t len, unsigned *seen, ta_form *form)
{
    static const char *const keys[] = { "rs", "gs", "bs", "rm", "gm", "bm", "rh", "gh", "bh" };
    char pair[48];
    double x;
    if (len >= sizeof pair || len < 4)
        return refuse(form, "'%.*s' is not a pair such as rs=0.1", (int)TA_MIN(len, 40), part);
    memcpy(pair, part, len);
    pair[len] = 0;
    for (unsigned i = 0; i < TA_COUNT(keys); i++) {
        if (strncmp(pair, keys[i], 2) || pair[2] != '=')
            continue;
        if (*seen >> i & 1)
            return refuse(form, "%s is given twice", keys[i]);
        *seen |= 1U << i;
        if (ta_parse_real(pair + 3, &x) && x >= -1 && x <= 1)
            return true;
        return refuse(form, "%s: '%s' is not a number from -1 to 1", keys[i], pair + 3);
    }
    return refuse(form, "'%s' does not begin with rs, gs, bs, rm, gm, bm, rh, gh or bh", pair);
}

static bool colour_balance(const char *text, ta_form *form)
{
    unsigned seen = 0;
    if (is_nothing(text, form))
        return true;
    for (const char *p = text;; p++) {
        size_t len = strcspn(p, ":");
        if (!check_balance(p, len, &seen, form))
            return false;
        p += len;
        if (!*p)
            return true;
    }
}

static bool levels(const char *text, ta_form *form)
{
    double x[4];
    if (is_nothing(text, form))
        return true;
    if (ta_parse_numbers(text, x, 4) != 4)
        return refuse(form, "'%s' is not four numbers with colons", text);
    for (int i = 0; i < 4; i++)
        if (x[i] < 0 || x[i] > 255)
            return refuse(form, "%s: each level must be from 0 to 255", text);
    if (x[0] >= x[1] || x[2] >= x[3])
        return refuse(form, "%s: black must be below white", text);
    return true;
}

static bool lut(const char *text, ta_form *form)
{
    static const char *const words[] = { "vhs_restore", "warm_vintage", "cool_modern", NULL };
    if (is_nothing(text, form) || one_of(text, words))
        return true;
    if (ta_ends(text, ".cube"))
        return true;
    suggest(form, text, words);
    return refuse(form, "'%s' is neither vhs_restore, warm_vintage, cool_modern nor a .cube file", text);
}

static bool size_pair(const char *text)
{
    char first[16];
    int64_t w, h;
    const char *x = strchr(text, 'x');
    if (!x || (size_t)(x - text) >= sizeof first)
        return false;
    memcpy(first, text, (size_t)(x - text));
    first[x - text] = 0;
    return ta_parse_whole(first, &w) && ta_parse_whole(x + 1, &h) && w >= 16 && h >= 16 && w <= 16384 && h <= 16384;
}

static bool size_factor(const char *text)
{
    char number[16];
    double factor;
    size_t n = strlen(text);
    if (n < 2 || n > sizeof number || text[n - 1] != 'x')
        return false;
    memcpy(number, text, n - 1);
    number[n - 1] = 0;
    return ta_parse_real(number, &factor) && factor >= 0.1 && factor <= 16;
}

static bool resolution(const char *text, ta_form *form)
{
    static const char *const words[] = { "source", "720", "1080", "1440", "2160", NULL };
    static const char *const also[] = { "720p", "1080p", "1440p", "2160p", "4k", NULL };
    if (one_of(text, words) || size_pair(text) || size_factor(text))
        return true;
    for (size_t i = 0; also[i]; i++) {
        if (strcasecmp(text, also[i]))
            continue;
        form->replacement = words[TA_MIN(i, 3) + 1];
        return true;
    }
    return refuse(form, "'%s' is not a size", text);
}

static bool word_of(const char *text, const char *extra)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    for (; *text; text++)
        if (!strchr(letters, *text) && !strchr(extra, *text))
            return false;
    return true;
}

static bool encoder_preset(const char *text, ta_form *form)
{
    return (*text && word_of(text, "_-")) || refuse(form, "'%s' is not the name of an encoder preset", text);
}

/* Options that have a setting of their own: given twice, the two would disagree. */
static const char *own_setting(const char *name)
{
    static const char *const pairs[][2] = { { "crf", "crf" },
                                            { "cq", "crf" },
                                            { "qp", "crf" },
                                            { "global_quality", "crf" },
                                            { "preset", "encoder-preset" },
                                            { "threads", "encoder-threads" },
                                            { "pix_fmt", "bit-depth" } };
    for (size_t i = 0; i < TA_COUNT(pairs); i++)
        if (!strcmp(name, pairs[i][0]))
            return pairs[i][1];
    return NULL;
}

/* One "name=value" up to an unescaped ':'. Returns what follows it, or NULL. */
static const char *check_option(const char *p, ta_form *form)
{
    char name[64];
    size_t len = strcspn(p, "=:");
    if (p[len] != '=' || !len || len >= sizeof name || !p[len + 1] || p[len + 1] == ':') {
        refuse(form, "'%.60s' is not name=value", p);
        return NULL;
    }
    memcpy(name, p, len);
    name[len] = 0;
    if (!word_of(name, "_-")) {
        refuse(form, "'%s' is not the name of an option", name);
        return NULL;
    }
    if (own_setting(name)) {
        refuse(form, "%s has a setting of its own", name);
        snprintf(form->hint, sizeof form->hint, "use %s", own_setting(name));
        return NULL;
    }
    for (p += len + 1; *p && *p != ':'; p++)
        if (*p == '\\' && p[1])
            p++;
    return p;
}

static bool encoder_options(const char *text, ta_form *form)
{
    if (is_nothing(text, form))
        return true;
    for (const char *p = text;; p++) {
        p = check_option(p, form);
        if (!p)
            return false;
        if (!*p)
            return true;
    }
}

static bool noise_floor(const char *text, ta_form *form)
{
    double x;
    if (!strcmp(text, "auto") || (ta_parse_real(text, &x) && x >= -80 && x <= -20))
        return true;
    return refuse(form, "'%s' is neither auto nor a number from -80 to -20", text);
}

static bool preset(const char *text, ta_form *form)
{
    return *text || refuse(form, "a preset needs a name");
}

static bool output_template(const char *text, ta_form *form)
{
    static const char *const words[] = { "name", "preset", "height", "number", NULL };
    if (!*text || strchr(text, '/') || !strcmp(text, ".") || !strcmp(text, ".."))
        return refuse(form, "'%s' is not a file name", text);
    for (const char *p = text + strcspn(text, "{}"); *p; p += strcspn(p, "{}")) {
        char word[32];
        size_t len = *p == '{' ? strcspn(p + 1, "{}") : 0;
        if (*p == '}' || p[len + 1] != '}' || len >= sizeof word)
            return refuse(form, "'%s' has a brace without its partner", text);
        memcpy(word, p + 1, len);
        word[len] = 0;
        if (!one_of(word, words)) {
            suggest(form, word, words);
            return refuse(form, "{%s} is not one of {name}, {preset}, {height} and {number}", word);
        }
        p += len + 2;
    }
    return true;
}

static bool preview(const char *text, ta_form *form)
{
    char length[64];
    int64_t us, at;
    const char *sign = strchr(text, '@');
    size_t n = sign ? (size_t)(sign - text) : 0;
    if (!*text)
        return true;
    if (!sign || n >= sizeof length)
        return refuse(form, "'%s' is not LENGTH@TIME", text);
    memcpy(length, text, n);
    length[n] = 0;
    if (!ta_parse_time(length, &us) || us <= 0)
        return refuse(form, "'%s' is not a length", length);
    if (!ta_streq(sign + 1, "hardest") && (!ta_parse_time(sign + 1, &at) || at < 0))
        return refuse(form, "'%s' is neither a time nor \"hardest\"", sign + 1);
    return true;
}

static bool upscale_model(const char *text, ta_form *form)
{
    return *text || refuse(form, "a model needs a name or a file");
}

/* A name of the catalogue, or an ONNX file. */
static bool face_model(const char *text, ta_form *form)
{
    if (!strchr(text, '/') || ta_ends(text, ".onnx"))
        return true;
    return refuse(form, "'%s' is neither a model's name nor a .onnx file", text);
}

/* A name of the catalogue, a file, or a folder of files: anything but what other programs keep models in. */
static bool speech_model(const char *text, ta_form *form)
{
    static const char *const others[] = { ".pth", ".pt", ".ckpt", ".safetensors", ".h5", ".tar.gz", ".zip", NULL };
    for (int i = 0; others[i]; i++)
        if (ta_ends(text, others[i]))
            return refuse(form, "'%s' is neither a .onnx or .rnnn file nor a folder of .onnx files", text);
    return true;
}

static bool face_detector(const char *text, ta_form *form)
{
    return *text ? face_model(text, form) : refuse(form, "a model needs a name or a file");
}

/* "nas.local:8080, [fd00::1]:80" */
static bool download_allow(const char *text, ta_form *form)
{
    static const char between[] = " ,";
    char word[300], more;
    for (text += strspn(text, between); *text; text += strspn(text, between)) {
        size_t n = strcspn(text, between);
        snprintf(word, sizeof word, "%.*s", (int)TA_MIN(n, sizeof word), text);
        const char *colon = strrchr(word, ':'), *bracket = strrchr(word, ']');
        int port = 0;
        bool address = *word == '[' ? bracket && bracket + 1 == colon && bracket > word + 1
                                    : colon && colon > word && strchr(word, ':') == colon;
        if (n >= sizeof word || !address || colon[1] < '0' || colon[1] > '9' ||
            sscanf(colon + 1, "%5d%c", &port, &more) != 1 || port < 1 || port > 65535)
            return refuse(form, "'%.200s' is not HOST:PORT such as nas.local:8080", word);
        text += n;
    }
    return true;
}

static bool jobs(const char *text, ta_form *form)
{
    int64_t n;
    if (!strcmp(text, "auto") || (ta_parse_whole(text, &n) && n >= 1 && n <= 32))
        return true;
    return refuse(form, "'%s' is neither auto nor a number from 1 to 32", text);
}

static bool all_times(const char *text, ta_form *form)
{
    for (const char *p = text; *p;) {
        char one[40];
        int64_t us;
        size_t n = strcspn(p, ",");
        if (n >= sizeof one)
            return refuse(form, "'%s' is not a list of times", text);
        memcpy(one, p, n);
        one[n] = 0;
        if (!ta_parse_time(one, &us) || us <= 0)
            return refuse(form, "'%s' is not a time behind the start", one);
        p += n + (p[n] == ',');
    }
    return true;
}

/* A number behind the colon, and "drop" where that is allowed. */
static bool split_options(const char *p, double min, double max, bool drop, ta_form *form)
{
    for (; *p == ':'; p += strcspn(p, ":")) {
        char one[40];
        double x;
        size_t n = strcspn(++p, ":");
        snprintf(one, sizeof one, "%.*s", (int)n, p);
        if (drop && !strcmp(one, "drop"))
            continue;
        if (n >= sizeof one || !ta_parse_real(one, &x) || x < min || x > max)
            return refuse(form, "'%s' is not a number from %g to %g%s", one, min, max, drop ? ", or drop" : "");
    }
    return true;
}

static bool split(const char *text, ta_form *form)
{
    static const char *const words[] = { "chapters", "scenes", "black", "blue", NULL };
    char word[32];
    size_t n = strcspn(text, ":");
    if (is_nothing(text, form))
        return true;
    if (*text >= '0' && *text <= '9')
        return all_times(text, form);
    snprintf(word, sizeof word, "%.*s", (int)n, text);
    if (!strcmp(word, "chapters") && !text[n])
        return true;
    if (!strcmp(word, "scenes"))
        return split_options(text + n, 0.01, 1, false, form);
    if (!strcmp(word, "black") || !strcmp(word, "blue"))
        return split_options(text + n, 0.04, 3600, !strcmp(word, "black"), form);
    suggest(form, word, words);
    return refuse(form, "'%s' is neither times nor chapters, scenes, black or blue", text);
}

ta_form_check ta_form_of(const char *name)
{
    static const struct {
        const char *name;
        ta_form_check check;
    } forms[] = { { "audio-tracks", audio_tracks },
                  { "crop", crop },
                  { "denoise-strength", denoise_strength },
                  { "colour-balance", colour_balance },
                  { "levels", levels },
                  { "lut", lut },
                  { "resolution", resolution },
                  { "encoder-preset", encoder_preset },
                  { "encoder-options", encoder_options },
                  { "noise-floor", noise_floor },
                  { "preset", preset },
                  { "output-template", output_template },
                  { "preview", preview },
                  { "upscale-model", upscale_model },
                  { "face-model", face_model },
                  { "face-detector", face_detector },
                  { "speech-model", speech_model },
                  { "download-allow", download_allow },
                  { "jobs", jobs },
                  { "split", split } };
    for (size_t i = 0; i < TA_COUNT(forms); i++)
        if (!strcmp(name, forms[i].name))
            return forms[i].check;
    return NULL;
}
