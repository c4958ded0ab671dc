/* What the tests of settings share: asserting values and errors, and an environment that has no configuration. */
#ifndef SETTINGS_TEST_H
#define SETTINGS_TEST_H

#include "base_test.h"
#include "settings/settings.h"

/* Nothing of the machine's own configuration reaches a test: all folders are the test's scratch folder. */
static inline void isolate(const char *folder)
{
    setenv("HOME", folder, 1);
    setenv("XDG_CONFIG_HOME", folder, 1);
    setenv("XDG_DATA_HOME", folder, 1);
    char none[600];
    snprintf(none, sizeof none, "%s/no-such-file", folder);
    setenv("TERMINALAI_SYSTEM_CONFIG", none, 1);
    unsetenv("TERMINALAI_DATA");
}

static inline int make_isolated(void **state)
{
    int r = make_scratch(state);
    isolate(*state);
    return r;
}

#define SETTINGS_TEST(f) cmocka_unit_test_setup_teardown(f, make_isolated, remove_scratch)

/* Sets by command line and asserts the canonical value. */
static inline void assert_sets(const char *name, const char *value, const char *canonical)
{
    ta_error err = { 0 };
    ta_settings *s = ta_settings_new();
    int r = ta_settings_set(s, name, value, TA_FROM_COMMAND_LINE, NULL, &err);
    if (r < 0)
        print_error("%s=%s: %s\n", name, value, err.text[0]);
    assert_int_equal(r, 0);
    assert_string_equal(ta_settings_get(s, name), canonical);
    ta_settings_free(&s);
}

/* All of an error's text and hint in one line. */
static inline const char *said(const ta_error *err)
{
    static char text[4096];
    return ta_error_string(err, text, sizeof text);
}

static inline void assert_says(const ta_error *err, const char *part)
{
    if (!strstr(said(err), part))
        print_error("'%s' lacks '%s'\n", said(err), part);
    assert_non_null(strstr(said(err), part));
}

/* Sets by command line and asserts that it is refused with these words in error or hint, and that nothing changed. */
static inline void assert_refuses(const char *name, const char *value, const char *words)
{
    ta_error err = { 0 };
    ta_settings *s = ta_settings_new();
    char *before = ta_settings_json(s, true);
    int r = ta_settings_set(s, name, value, TA_FROM_COMMAND_LINE, NULL, &err);
    if (r != TA_ERR_USAGE)
        print_error("%s=%s was not refused\n", name, value);
    assert_int_equal(r, TA_ERR_USAGE);
    assert_int_equal(err.code, TA_ERR_USAGE);
    assert_says(&err, words);
    char *after = ta_settings_json(s, true);
    assert_string_equal(before, after);
    ta_free(before);
    ta_free(after);
    ta_settings_free(&s);
}

static inline void set(ta_settings *s, const char *name, const char *value, ta_origin origin)
{
    ta_error err = { 0 };
    if (ta_settings_set(s, name, value, origin, NULL, &err) < 0)
        print_error("%s=%s: %s\n", name, value, said(&err));
    assert_int_equal(err.code, 0);
}

static inline void assert_value(const ta_settings *s, const char *name, const char *value)
{
    assert_non_null(ta_settings_get(s, name));
    if (strcmp(ta_settings_get(s, name), value))
        print_error("%s is '%s', not '%s'\n", name, ta_settings_get(s, name), value);
    assert_string_equal(ta_settings_get(s, name), value);
}

#endif
