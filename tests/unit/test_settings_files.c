/* Settings from files, the environment and JSON: what is read, in which order of strength, and where errors point. */
#include "settings_test.h"

static const char *user_file(void **state)
{
    char dir[600];
    snprintf(dir, sizeof dir, "%s/terminalai", (const char *)*state);
    assert_int_equal(ta_mkdirs(dir, NULL), 0);
    return in(state, "terminalai/config.yaml");
}

static void test_order_of_strength(void **state)
{
    ta_error err = { 0 };
    const char *where;
    put_file(in(state, "system.yaml"), "crf: 30\nquality: fast\nvfr: on\n");
    put_file(user_file(state), "# mine\ncrf: 28\ncontrast: 1.2\nvfr: off\n");
    setenv("TERMINALAI_SYSTEM_CONFIG", in(state, "system.yaml"), 1);
    setenv("TERMINALAI_CRF", "26", 1);
    ta_settings *s = ta_settings_new();
    assert_int_equal(ta_settings_load(s, &err), 0);
    unsetenv("TERMINALAI_CRF");
    assert_value(s, "crf", "26");
    assert_int_equal(ta_settings_origin(s, "crf", &where), TA_FROM_ENVIRONMENT);
    assert_string_equal(where, "TERMINALAI_CRF");
    assert_value(s, "quality", "fast");
    assert_int_equal(ta_settings_origin(s, "quality", &where), TA_FROM_SYSTEM_FILE);
    assert_true(ta_ends(where, "system.yaml:2"));
    assert_value(s, "vfr", "no");
    assert_int_equal(ta_settings_origin(s, "vfr", NULL), TA_FROM_USER_FILE);
    assert_value(s, "contrast", "1.2");
    ta_settings_free(&s);
}

static void test_home_without_xdg(void **state)
{
    assert_int_equal(ta_mkdirs(in(state, ".config/terminalai"), NULL), 0);
    put_file(in(state, ".config/terminalai/config.yaml"), "crf: 27\n");
    unsetenv("XDG_CONFIG_HOME");
    ta_settings *s = ta_settings_new();
    assert_int_equal(ta_settings_load(s, NULL), 0);
    assert_value(s, "crf", "27");
    ta_settings_free(&s);
}

static void test_missing_files_are_fine(void **state)
{
    ta_settings *s = ta_settings_new();
    assert_int_equal(ta_settings_load(s, NULL), 0);
    assert_value(s, "crf", "18");
    ta_settings_free(&s);
}

static void assert_file_refused(void **state, const char *text, const char *words)
{
    ta_error err = { 0 };
    const char *path = in(state, "bad.yaml");
    put_file(path, text);
    ta_settings *s = ta_settings_new();
    int r = ta_settings_load_file(s, path, TA_FROM_USER_FILE, &err);
    if (r != TA_ERR_CONFIG)
        print_error("accepted: %s\n", text);
    assert_int_equal(r, TA_ERR_CONFIG);
    assert_int_equal(err.code, TA_ERR_CONFIG);
    assert_says(&err, words);
    ta_settings_free(&s);
}

static void test_bad_files(void **state)
{
    assert_file_refused(state, "crf: 20\ncrff: 3\n", "bad.yaml:2: there is no setting 'crff'");
    assert_file_refused(state, "# c\n\ncrf: 99\n", "bad.yaml:3: crf: 99 is not within 0 to 63");
    assert_file_refused(state, "crf: 20\ncrf: 21\n", "bad.yaml:2: 'crf' is given twice");
    assert_file_refused(state, "crf: [20]\n", "bad.yaml:1: a single value");
    assert_file_refused(state, "video:\n  crf: 20\n", "'video' has values below it");
    assert_file_refused(state, "- crf\n", "bad.yaml:1: a mapping");
    assert_file_refused(state, "crf\n", "bad.yaml:1: a mapping");
    assert_file_refused(state, "crf: 20\n---\ncrf: 21\n", "second document");
    assert_file_refused(state, "crf: &a 20\n", "anchors");
    assert_file_refused(state, "crf: *a\n", "bad.yaml:1");
    assert_file_refused(state, "crf: \"20\n", "bad.yaml:");
    assert_file_refused(state, "crf: 20\n\tx: 1\n", "bad.yaml:2");
    assert_file_refused(state, "crf: \xff\n", "bad.yaml");
    assert_file_refused(state, "work-dir: \"a\\0b\"\n", "NUL");
    assert_file_refused(state, "crf:\n", "whole number");
}

static void test_files_without_values(void **state)
{
    static const char *const texts[] = { "", "# nothing\n", "---\n", "{}\n" };
    for (size_t i = 0; i < TA_COUNT(texts); i++) {
        put_file(in(state, "empty.yaml"), texts[i]);
        ta_settings *s = ta_settings_new();
        assert_int_equal(ta_settings_load_file(s, in(state, "empty.yaml"), TA_FROM_USER_FILE, NULL), 0);
        ta_settings_free(&s);
    }
    ta_settings *s = ta_settings_new();
    assert_int_equal(ta_settings_load_file(s, in(state, "absent.yaml"), TA_FROM_USER_FILE, NULL), TA_ERR_NOINPUT);
    ta_settings_free(&s);
}

static void assert_variable_refused(const char *name, const char *value, const char *words)
{
    ta_error err = { 0 };
    ta_settings *s = ta_settings_new();
    setenv(name, value, 1);
    assert_int_equal(ta_settings_load(s, &err), TA_ERR_USAGE);
    unsetenv(name);
    assert_says(&err, words);
    ta_settings_free(&s);
}

static void test_environment(void **state)
{
    assert_variable_refused("TERMINALAI_CRFF", "3",
                            "TERMINALAI_CRFF: there is no setting 'crff' (did you mean 'crf'?)");
    assert_variable_refused("TERMINALAI_AUDIO_CODEC", "mp3", "TERMINALAI_AUDIO_CODEC: 'mp3'");
    setenv("TERMINALAI_AUDIO_CODEC", "flac", 1);
    setenv("TERMINALAI_DATA", "/nowhere", 1); /* no setting: where data are */
    ta_settings *s = ta_settings_new();
    assert_int_equal(ta_settings_load(s, NULL), 0);
    unsetenv("TERMINALAI_AUDIO_CODEC");
    unsetenv("TERMINALAI_DATA");
    assert_value(s, "audio-codec", "flac");
    ta_settings_free(&s);
}

static void test_json_round_trip(void **state)
{
    ta_settings *s = ta_settings_new(), *t = ta_settings_new();
    set(s, "lut", "a \"quoted\" \\ käse.cube", TA_FROM_COMMAND_LINE);
    set(s, "start", "1:30.000001", TA_FROM_COMMAND_LINE);
    set(s, "contrast", "1.1", TA_FROM_COMMAND_LINE);
    set(s, "temp-limit", "3G", TA_FROM_COMMAND_LINE);
    set(s, "audio-bitrate", "320k", TA_FROM_COMMAND_LINE);
    set(s, "vfr", "yes", TA_FROM_COMMAND_LINE);
    char *json = ta_settings_json(s, true);
    assert_non_null(strstr(json, "\"contrast\": 1.1,"));
    assert_non_null(strstr(json, "\"temp-limit\": 3221225472,"));
    assert_non_null(strstr(json, "\"audio-bitrate\": 320000,"));
    assert_non_null(strstr(json, "\"vfr\": true,"));
    assert_int_equal(ta_settings_from_json(t, json, TA_FROM_COMMAND_LINE, NULL), 0);
    for (int i = 0; i < TA_SET_COUNT; i++)
        assert_string_equal(ta_get_text(t, (ta_setting_id)i), ta_get_text(s, (ta_setting_id)i));
    char *job = ta_settings_json(s, false);
    assert_null(strstr(job, "\"threads\""));
    assert_non_null(strstr(job, "\"encoder-threads\""));
    ta_free(job);
    ta_free(json);
    ta_settings_free(&s);
    ta_settings_free(&t);
}

static void test_json_errors(void **state)
{
    static const char *const bad[][2] = {
        { "{\"crf\": 99}", "JSON: crf: 99 is not within" },
        { "{\"crff\": 1}", "did you mean 'crf'?" },
        { "{\"crf\": [1]}", "a text, number" },
        { "{\"crf\": null}", "a text, number" },
        { "[1]", "an object" },
        { "{\"crf\": 1, \"crf\": 2}", "line 1" },
        { "{", "line 1" },
        { "", "line 1" },
        { "{\"crf\": 1.5}", "whole number" },
    };
    for (size_t i = 0; i < TA_COUNT(bad); i++) {
        ta_error err = { 0 };
        ta_settings *s = ta_settings_new();
        assert_int_equal(ta_settings_from_json(s, bad[i][0], TA_FROM_COMMAND_LINE, &err), TA_ERR_USAGE);
        assert_says(&err, bad[i][1]);
        ta_settings_free(&s);
    }
}

/* What `settings` prints is a configuration file that gives the same values, and no complaint. */
static void test_yaml_round_trip(void **state)
{
    ta_settings *s = ta_settings_new(), *t = ta_settings_new();
    set(s, "lut", "a \"b\" \\: # c.cube", TA_FROM_COMMAND_LINE);
    set(s, "deinterlace", "off", TA_FROM_COMMAND_LINE);
    set(s, "crop", "8:0:8:0", TA_FROM_COMMAND_LINE);
    set(s, "encoder", "ffv1", TA_FROM_COMMAND_LINE);
    char *warnings = NULL, *yaml = ta_settings_yaml(s, true, TA_FROM_DEFAULT);
    assert_non_null(strstr(yaml, "# crf: 18  (only when encoder is not ffv1)\n"));
    put_file(in(state, "out.yaml"), yaml);
    assert_int_equal(ta_settings_load_file(t, in(state, "out.yaml"), TA_FROM_COMMAND_LINE, NULL), 0);
    for (int i = 0; i < TA_SET_COUNT; i++)
        assert_string_equal(ta_get_text(t, (ta_setting_id)i), ta_get_text(s, (ta_setting_id)i));
    assert_int_equal(ta_settings_resolve(t, &warnings, NULL), 0);
    assert_null(warnings);
    ta_free(yaml);
    ta_settings_free(&s);
    ta_settings_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(test_order_of_strength),      SETTINGS_TEST(test_home_without_xdg),
        SETTINGS_TEST(test_missing_files_are_fine), SETTINGS_TEST(test_bad_files),
        SETTINGS_TEST(test_files_without_values),   SETTINGS_TEST(test_environment),
        SETTINGS_TEST(test_json_round_trip),        SETTINGS_TEST(test_json_errors),
        SETTINGS_TEST(test_yaml_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
