/* Settings one by one: what each type and form takes, what it refuses and in which words, typed values, precedence. */
#include "settings_test.h"
#include "settings/values.h"

#include <locale.h>

/* Rows of name, value, canonical spelling. */
static void all_set(const char *const rows[][3], size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_sets(rows[i][0], rows[i][1], rows[i][2]);
}

/* Rows of name, value, words of the error. */
static void all_refused(const char *const rows[][3], size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_refuses(rows[i][0], rows[i][1], rows[i][2]);
}

static void test_types(void **state)
{
    static const char *const taken[][3] = {
        { "vfr", "TRUE", "yes" },
        { "vfr", "0", "no" },
        { "crf", "020", "20" },
        { "chroma-shift-x", "-32", "-32" },
        { "contrast", "1.10", "1.1" },
        { "contrast", "1e-3", "0.001" },
        { "brightness", "-0.0", "0" },
        { "engine", "Classic", "classic" },
        { "start", "90", "00:01:30.000" },
        { "start", "1:02:03.000001", "01:02:03.000001" },
        { "start", "none", "" },
        { "reserve", "1.5K", "1536" },
        { "reserve", "2048K", "2M" },
        { "audio-bitrate", "192000", "192k" },
        { "audio-bitrate", "0.5M", "500k" },
        { "audio-bitrate", "AUTO", "auto" },
        { "work-dir", "/tmp/a b", "/tmp/a b" },
    };
    all_set(taken, TA_COUNT(taken));
}

static void test_types_refuse(void **state)
{
    static const char *const refused[][3] = {
        { "vfr", "maybe", "yes nor no" },
        { "crf", "64", "0 to 63" },
        { "crf", "-1", "0 to 63" },
        { "crf", "1.5", "whole number from 0 to 63" },
        { "crf", "", "whole number" },
        { "crf", "18x", "whole number" },
        { "contrast", "0x1p3", "number from 0 to 3" },
        { "contrast", "nan", "number" },
        { "contrast", "3.01", "0 to 3" },
        { "loudness", "-4.9", "-70 to -5 LUFS" },
        { "engine", "clasic", "did you mean 'classic'?" },
        { "engine", "zzzzzzzz", "auto, classic, realesrgan or rtxvideo" },
        { "start", "-5", "not a time" },
        { "start", "soon", "1:30" },
        { "reserve", "lots", "1.5G" },
        { "audio-bitrate", "192", "6k to 20M" },
        { "audio-bitrate", "fast", "192k" },
        { "work-dir", "a\nb", "control" },
        { "work-dir", "a\xff", "UTF-8" },
    };
    all_refused(refused, TA_COUNT(refused));
}

static void test_unknown_name(void **state)
{
    ta_error err = { 0 };
    ta_settings *s = ta_settings_new();
    assert_int_equal(ta_settings_set(s, "crff", "3", TA_FROM_COMMAND_LINE, NULL, &err), TA_ERR_USAGE);
    assert_says(&err, "did you mean 'crf'?");
    assert_int_equal(ta_settings_set(s, "color-space", "auto", TA_FROM_USER_FILE, "c.yaml:3", &err), TA_ERR_CONFIG);
    assert_says(&err, "c.yaml:3");
    assert_says(&err, "did you mean 'colour-space'?");
    assert_null(ta_settings_get(s, "crff"));
    assert_int_equal(ta_setting_find("crff"), -1);
    ta_settings_free(&s);
}

static void test_forms(void **state)
{
    static const char *const taken[][3] = {
        { "audio-tracks", "0,1=copy,5=flac", "0,1=copy,5=flac" },
        { "crop", "8:0:8:12", "8:0:8:12" },
        { "denoise-strength", "4:3:6:4.5", "4:3:6:4.5" },
        { "colour-balance", "rs=.1:bs=-.1", "rs=.1:bs=-.1" },
        { "colour-balance", "none", "" },
        { "levels", "16:235:0:255", "16:235:0:255" },
        { "lut", "my look.CUBE", "my look.CUBE" },
        { "lut", "none", "" },
    };
    static const char *const refused[][3] = {
        { "face-model", "models/gfpgan.pth", "neither a model's name nor a .onnx file" },
        { "face-detector", "", "needs a name or a file" },
        { "speech-model", "DeepFilterNet3_onnx.tar.gz", "nor a folder of .onnx files" },
        { "audio-tracks", "0,0", "twice" },
        { "audio-tracks", "0,", "track number" },
        { "audio-tracks", "64", "0 to 63" },
        { "audio-tracks", "1=acc", "'acc' is not one of aac" },
        { "crop", "8:0:8", "left:top:right:bottom" },
        { "crop", "8:0:8:-1", "left:top:right:bottom" },
        { "crop", "8:0:8:1.5", "left:top:right:bottom" },
        { "denoise-strength", "havy", "did you mean 'heavy'?" },
        { "denoise-strength", "4:-3", "0 to 1000" },
        { "colour-balance", "rs=0.1:rs=0.2", "twice" },
        { "colour-balance", "rs=1.5", "-1 to 1" },
        { "colour-balance", "xs=0.5", "rs, gs, bs" },
        { "levels", "235:16:0:255", "below" },
        { "levels", "16:256:0:255", "0 to 255" },
        { "levels", "16:235", "four" },
        { "lut", "vhs_restor", "did you mean 'vhs_restore'?" },
    };
    all_set(taken, TA_COUNT(taken));
    all_refused(refused, TA_COUNT(refused));
}

static void test_more_forms(void **state)
{
    static const char *const taken[][3] = {
        { "resolution", "1080P", "1080" },
        { "resolution", "4k", "2160" },
        { "resolution", "720x540", "720x540" },
        { "resolution", "1.5x", "1.5x" },
        { "encoder-options", "aq-mode=3:ref=4", "aq-mode=3:ref=4" },
        { "encoder-options", "a=b\\:c:d=e", "a=b\\:c:d=e" },
        { "noise-floor", "-25", "-25" },
        { "output-template", "{name} {height}p {preset}", "{name} {height}p {preset}" },
        { "preview", "10s@1:30", "10s@1:30" },
        { "preview", "10s@hardest", "10s@hardest" },
    };
    static const char *const refused[][3] = {
        { "resolution", "999", "WIDTHxHEIGHT" },
        { "resolution", "8x8", "WIDTHxHEIGHT" },
        { "resolution", "17x", "factor" },
        { "encoder-options", "aq-mode", "name=value" },
        { "encoder-options", "aq-mode=", "name=value" },
        { "encoder-options", "ref=3:crf=20", "use crf" },
        { "noise-floor", "-81", "-80 to -20" },
        { "output-template", "{nmae}", "did you mean 'name'?" },
        { "output-template", "{name", "brace" },
        { "output-template", "a/b", "file name" },
        { "preview", "10s", "LENGTH@TIME" },
        { "preview", "0@5", "length" },
        { "preview", "5@x", "time" },
    };
    all_set(taken, TA_COUNT(taken));
    all_refused(refused, TA_COUNT(refused));
}

static void test_download_allow(void **state)
{
    static const char *const taken[] = { "", "nas.local:8080", "10.0.0.1:80,[::1]:443 a:1" };
    static const char *const refused[] = { "nas",    "nas:",   ":80",   "nas:0", "nas:65536",
                                           "nas:8x", "::1:80", "[::1]", "[]:1",  "a:1 b" };
    ta_settings *s = ta_settings_new();
    for (size_t i = 0; i < TA_COUNT(taken); i++)
        assert_int_equal(ta_settings_set(s, "download-allow", taken[i], TA_FROM_COMMAND_LINE, "", NULL), 0);
    for (size_t i = 0; i < TA_COUNT(refused); i++)
        assert_int_equal(ta_settings_set(s, "download-allow", refused[i], TA_FROM_COMMAND_LINE, "", NULL),
                         TA_ERR_USAGE);
    ta_settings_free(&s);
}

/* Every TEXT row has a check of its form, and every default is what its own row takes, in canonical spelling. */
static void test_table(void **state)
{
    ta_settings *s = ta_settings_new();
    for (int i = 0; i < TA_SET_COUNT; i++) {
        const ta_setting_info *row = ta_setting((ta_setting_id)i);
        assert_int_equal(ta_setting_find(row->name), i);
        assert_string_equal(ta_setting_names()[i], row->name);
        assert_true(row->type != TA_TYPE_TEXT || ta_form_of(row->name));
        if (row->type != TA_TYPE_TIME)
            assert_value(s, row->name, row->def);
        assert_true(*row->help && *row->group && *row->since);
        assert_true(row->help[strlen(row->help) - 1] != '.');
        assert_true(row->type != TA_TYPE_CHOICE || strchr(row->choices, '|'));
    }
    assert_null(ta_setting_names()[TA_SET_COUNT]);
    ta_settings_free(&s);
}

/* Conditions name settings and values that exist, and end. */
static void test_conditions(void **state)
{
    ta_settings *s = ta_settings_new();
    for (int i = 0; i < TA_SET_COUNT; i++) {
        ta_when w;
        assert_int_equal(ta_when_parse(ta_setting((ta_setting_id)i)->when, &w, NULL), 0);
        for (size_t n = 0; w.id >= 0 && w.words[n]; n++) {
            ta_value v = { 0 };
            assert_int_equal(ta_value_parse((ta_setting_id)w.id, w.words[n], &v, NULL), 0);
            assert_string_equal(v.text, w.words[n]);
            ta_value_clear(&v);
        }
        ta_when_free(&w);
        assert_in_range(ta_when_met(s, (ta_setting_id)i, NULL, NULL), 0, 1);
    }
    assert_int_equal(ta_when_met(s, TA_SET_loudness_range, NULL, NULL), 0);
    set(s, "limiter", "yes", TA_FROM_PRESET);
    assert_int_equal(ta_when_met(s, TA_SET_loudness_range, NULL, NULL), 0); /* the limiter itself has no effect */
    set(s, "normalize", "yes", TA_FROM_PRESET);
    assert_int_equal(ta_when_met(s, TA_SET_loudness_range, NULL, NULL), 1);
    ta_settings_free(&s);
}

static void test_getters(void **state)
{
    ta_settings *s = ta_settings_new();
    assert_int_equal(ta_get_int(s, TA_SET_start), -1);
    assert_int_equal(ta_get_int(s, TA_SET_audio_bitrate), 0);
    assert_int_equal(ta_get_int(s, TA_SET_reserve), 256 << 20);
    assert_int_equal(ta_get_int(s, TA_SET_temp_limit), 0);
    assert_int_equal(ta_get_int(s, TA_SET_crf), 18);
    assert_true(ta_get_bool(s, TA_SET_square_pixels));
    assert_true(ta_get_float(s, TA_SET_true_peak) == -1.5);
    assert_true(ta_get_is(s, TA_SET_encoder, "libx264"));
    assert_false(ta_get_was_set(s, TA_SET_crf));
    set(s, "start", "1:30.5", TA_FROM_USER_FILE);
    set(s, "audio-bitrate", "320k", TA_FROM_USER_FILE);
    assert_int_equal(ta_get_int(s, TA_SET_start), 90500000);
    assert_int_equal(ta_get_int(s, TA_SET_audio_bitrate), 320000);
    assert_true(ta_get_was_set(s, TA_SET_start));
    ta_settings *copy = ta_settings_copy(s);
    ta_settings_free(&s);
    assert_null(s);
    ta_settings_free(&s);
    assert_string_equal(ta_get_text(copy, TA_SET_start), "00:01:30.500");
    assert_int_equal(ta_settings_origin(copy, "start", NULL), TA_FROM_USER_FILE);
    ta_settings_free(&copy);
}

/* The stronger origin wins whichever way round they come; of the same origin the last. */
static void test_precedence(void **state)
{
    for (int first = TA_FROM_DEFAULT + 1; first <= TA_FROM_COMMAND_LINE; first++) {
        for (int second = TA_FROM_DEFAULT + 1; second <= TA_FROM_COMMAND_LINE; second++) {
            ta_settings *s = ta_settings_new();
            set(s, "crf", "21", (ta_origin)first);
            set(s, "crf", "22", (ta_origin)second);
            assert_value(s, "crf", second >= first ? "22" : "21");
            assert_int_equal(ta_settings_origin(s, "crf", NULL), TA_MAX(first, second));
            ta_settings_free(&s);
        }
    }
}

/* A weaker value is still checked. */
static void test_weaker_is_checked(void **state)
{
    ta_error err = { 0 };
    ta_settings *s = ta_settings_new();
    set(s, "crf", "21", TA_FROM_COMMAND_LINE);
    assert_int_equal(ta_settings_set(s, "crf", "99", TA_FROM_USER_FILE, "f:1", &err), TA_ERR_CONFIG);
    assert_says(&err, "f:1: crf: 99");
    assert_value(s, "crf", "21");
    ta_settings_free(&s);
}

static void test_where(void **state)
{
    const char *where = "x";
    ta_error err = { 0 };
    ta_settings *s = ta_settings_new();
    assert_int_equal(ta_settings_origin(s, "crf", &where), TA_FROM_DEFAULT);
    assert_null(where);
    assert_int_equal(ta_settings_set(s, "crf", "20", TA_FROM_COMMAND_LINE, "--crf", &err), 0);
    assert_int_equal(ta_settings_origin(s, "crf", &where), TA_FROM_COMMAND_LINE);
    assert_string_equal(where, "--crf");
    assert_int_equal(ta_settings_set(s, "crf", "x", TA_FROM_COMMAND_LINE, "--crf", &err), TA_ERR_USAGE);
    assert_int_equal(strncmp(said(&err), "--crf: 'x'", 10), 0);
    char *table = ta_settings_origins(s);
    assert_non_null(strstr(table, "crf                  20                       command line, --crf\n"));
    ta_free(table);
    ta_settings_free(&s);
}

/* Numbers do not follow the host program's locale. */
static void test_locale(void **state)
{
    static const char *const commas[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "fr_FR" };
    for (size_t i = 0; i < TA_COUNT(commas); i++)
        if (setlocale(LC_ALL, commas[i]))
            break;
    assert_sets("contrast", "1.25", "1.25");
    assert_refuses("contrast", "1,25", "number");
    setlocale(LC_ALL, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_types_refuse),
        cmocka_unit_test(test_unknown_name),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_more_forms),
        cmocka_unit_test(test_download_allow),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_getters),
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_weaker_is_checked),
        cmocka_unit_test(test_where),
        cmocka_unit_test(test_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
