/* One row more in the table, and nothing else changed, is a whole setting: flag, help, completion, file, environment,
 * preset, JSON, schema, docs, manual. Built from the settings' own sources with TA_EXTRA_SETTINGS. */
#include "settings_test.h"

#include <jansson.h>

#include "cli/cli.h"

static void test_flag(void **state)
{
    char *argv[] = { strdup("--extra-shine=8.25"),
                     strdup("--extra-mode"),
                     strdup("fancy"),
                     strdup("in"),
                     strdup("--extra-glow"),
                     NULL };
    int words;
    ta_settings *s = ta_settings_new();
    char *given[5];
    memcpy(given, argv, sizeof given);
    assert_int_equal(ta_cli_parse(5, argv, s, NULL, NULL, &words, NULL), 0);
    assert_int_equal(words, 1);
    assert_true(ta_get_float(s, TA_SET_extra_shine) == 8.25);
    assert_true(ta_get_is(s, TA_SET_extra_mode, "fancy"));
    assert_true(ta_get_bool(s, TA_SET_extra_glow));
    for (size_t i = 0; i < TA_COUNT(given); i++)
        free(given[i]);
    ta_settings_free(&s);
}

static void test_nearest(void **state)
{
    ta_error err = { 0 };
    ta_settings *s = ta_settings_new();
    int words;
    char flag[] = "--extra-shien=3", *argv[] = { flag, NULL };
    assert_int_equal(ta_cli_parse(1, argv, s, NULL, NULL, &words, &err), TA_ERR_USAGE);
    assert_says(&err, "did you mean --extra-shine?");
    ta_settings_free(&s);
    assert_refuses("extra-shine", "9.5", "1 to 9 stars");
    assert_refuses("extra-mode", "fancyy", "did you mean 'fancy'?");
}

static void test_files_and_environment(void **state)
{
    put_file(in(state, "system.yaml"), "extra-shine: 3\nextra-mode: fancy\n");
    put_file(in(state, "p.yaml"), "settings: { extra-mode: fancy }\n");
    setenv("TERMINALAI_SYSTEM_CONFIG", in(state, "system.yaml"), 1);
    setenv("TERMINALAI_EXTRA_SHINE", "4", 1);
    ta_settings *s = ta_settings_new(), *p = ta_settings_new();
    assert_int_equal(ta_settings_load(s, NULL), 0);
    unsetenv("TERMINALAI_EXTRA_SHINE");
    assert_value(s, "extra-shine", "4");
    assert_value(s, "extra-mode", "fancy");
    assert_int_equal(ta_preset_apply(p, in(state, "p.yaml"), NULL), 0);
    assert_value(p, "extra-mode", "fancy");
    ta_settings_free(&s);
    ta_settings_free(&p);
}

static void test_condition(void **state)
{
    char *warnings = NULL;
    ta_settings *s = ta_settings_new();
    set(s, "extra-shine", "3", TA_FROM_COMMAND_LINE);
    assert_int_equal(ta_settings_resolve(s, &warnings, NULL), 0);
    assert_non_null(warnings);
    assert_non_null(strstr(warnings, "extra-shine has no effect: it matters only when extra-mode is fancy"));
    ta_settings_free_text(warnings);
    ta_settings_free(&s);
}

static void assert_contains(char *text, const char *part)
{
    assert_non_null(text);
    if (!strstr(text, part))
        print_error("'%s' is not there\n", part);
    assert_non_null(strstr(text, part));
    ta_free(text);
}

static void test_texts(void **state)
{
    static const char *const verbs[] = { "restore", NULL };
    ta_settings *s = ta_settings_new();
    assert_contains(ta_settings_help(NULL, 100), "Extra things:\n  --extra-mode plain|fancy\n");
    assert_contains(ta_settings_help("extra", 200), "How much it shines (1 to 9 stars; default: 2.5; only when "
                                                    "extra-mode is fancy).");
    assert_contains(ta_settings_completion("bash", verbs), "--extra-mode) words='plain fancy' ;;");
    assert_contains(ta_settings_completion("bash", verbs), " --extra-glow --no-extra-glow");
    assert_contains(ta_settings_completion("zsh", verbs), "'--extra-mode=[How it shines]:extra-mode:(plain fancy)'");
    assert_contains(ta_settings_completion("fish", verbs), "-l extra-mode -x -a 'plain fancy' -d 'How it shines'");
    assert_contains(ta_settings_markdown(), "## Extra things\n");
    assert_contains(ta_settings_markdown(), "| `extra-shine` | 1 to 9 stars | `2.5` | How much it shines. Only when "
                                            "extra-mode is fancy. | 9.9 |");
    assert_contains(ta_settings_man(), ".SS Extra things\n.TP\n.B \\-\\-extra\\-mode plain|fancy\nHow it shines (");
    assert_contains(ta_settings_json(s, false), "\"extra-shine\": 2.5");
    assert_contains(ta_settings_json(s, true), "\"extra-glow\": false");
    assert_contains(ta_settings_origins(s), "extra-mode           plain                    default\n");
    assert_contains(ta_settings_yaml(s, false, TA_FROM_DEFAULT), "extra-mode: plain\n# extra-shine: 2.5  (only when");
    ta_settings_free(&s);
}

static void test_schema(void **state)
{
    char *text = ta_settings_schema();
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *type, *group, *unit, *since, *on, *is, *help, *choice;
    double min, max, def;
    assert_non_null(root);
    json_t *shine = json_object_get(json_object_get(root, "properties"), "extra-shine");
    assert_int_equal(json_unpack(shine, "{s:s, s:F, s:F, s:F, s:s, s:s, s:s, s:s, s:{s:s, s:[s]}}", "type", &type,
                                 "minimum", &min, "maximum", &max, "default", &def, "description", &help, "x-unit",
                                 &unit, "x-group", &group, "x-since", &since, "x-when", "setting", &on, "is", &is),
                     0);
    assert_string_equal(type, "number");
    assert_true(min == 1 && max == 9 && def == 2.5);
    assert_string_equal(help, "How much it shines");
    assert_string_equal(unit, "stars");
    assert_string_equal(group, "Extra things");
    assert_string_equal(since, "9.9");
    assert_string_equal(on, "extra-mode");
    assert_string_equal(is, "fancy");
    json_t *mode = json_object_get(json_object_get(root, "properties"), "extra-mode");
    assert_int_equal(json_unpack(mode, "{s:[s, s]}", "enum", &choice, &is), 0);
    assert_string_equal(choice, "plain");
    assert_int_equal(json_object_size(json_object_get(root, "properties")), TA_SET_COUNT);
    json_decref(root);
    ta_free(text);
}

static void test_json(void **state)
{
    ta_settings *s = ta_settings_new();
    assert_int_equal(
        ta_settings_from_json(s, "{\"extra-shine\": 3.5, \"extra-glow\": true}", TA_FROM_COMMAND_LINE, NULL), 0);
    assert_true(ta_get_float(s, TA_SET_extra_shine) == 3.5);
    assert_true(ta_get_bool(s, TA_SET_extra_glow));
    ta_settings_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(test_flag),      SETTINGS_TEST(test_nearest), SETTINGS_TEST(test_files_and_environment),
        SETTINGS_TEST(test_condition), SETTINGS_TEST(test_texts),   SETTINGS_TEST(test_schema),
        SETTINGS_TEST(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
