/* Random strings into every door of settings: nothing crashes, what is refused says why, and what is accepted comes
 * back the same through text, JSON and YAML. Also each allocation of the way through failing. The generator's seed is
 * fixed; TERMINALAI_TEST_SEED tries another. */
#include "settings_test.h"

#include "settings/values.h"

static uint64_t seed = 20240229;

/* xorshift64* (Vigna 2016) */
static unsigned roll(unsigned below)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (unsigned)((seed * UINT64_C(2685821657736338717)) >> 33) % below;
}

static const char *const pieces[] = {
    "0",
    "1",
    "7",
    "12",
    "255",
    "63",
    "-1",
    "-20",
    ".5",
    "1e3",
    "0.25",
    ":",
    ":",
    ":",
    "=",
    "@",
    ",",
    "x",
    "k",
    "M",
    "G",
    "s",
    "ms",
    "h",
    "auto",
    "none",
    "off",
    "yes",
    "copy",
    "flac",
    "all",
    "rs=",
    "bh=",
    "{",
    "}",
    "{name}",
    "{height}",
    ".cube",
    "vhs",
    "light",
    "lanczos",
    "libx265",
    "a",
    " ",
    "\\",
    "\"",
    "'",
    "\t",
    "\xc3\xa4",
    "\xff",
    "\xed\xa0\x80",
    "99999999999999999999",
    "1080",
    "4k",
    "p",
    "-",
    "--",
    "+",
    "nan",
    "inf",
    "/",
    "slow",
    "5.1",
    "2x",
    "\x01",
    "#",
    "%s%n",
};

static const char *random_text(const ta_setting_info *row, char *out, size_t size)
{
    size_t n = 0;
    out[0] = 0;
    if (roll(4) == 0)
        n = (size_t)snprintf(out, size, "%s", row->def);
    for (unsigned i = roll(7); i > 0 && n + 32 < size; i--)
        n += (size_t)snprintf(out + n, size - n, "%s", pieces[roll(TA_COUNT(pieces))]);
    if (n && roll(6) == 0)
        out[roll((unsigned)n)] = (char)(1 + roll(255));
    if (row->type == TA_TYPE_CHOICE && roll(3) == 0) {
        char **words = ta_split(row->choices, '|');
        unsigned count = 0;
        while (words[count])
            count++;
        snprintf(out, size, "%s", words[roll(count)]);
        ta_free(words);
    }
    return out;
}

static int try_value(ta_settings *s, ta_setting_id id, const char *text)
{
    ta_error err = { 0 };
    const char *name = ta_setting(id)->name;
    char before[8192], first[8192];
    snprintf(before, sizeof before, "%s", ta_settings_get(s, name));
    if (ta_settings_set(s, name, text, TA_FROM_COMMAND_LINE, NULL, &err) < 0) {
        assert_int_equal(err.code, TA_ERR_USAGE);
        assert_int_equal(err.depth, 2);
        assert_true(*err.text[1]);
        assert_string_equal(ta_settings_get(s, name), before);
        return 0;
    }
    snprintf(first, sizeof first, "%s", ta_settings_get(s, name));
    assert_int_equal(ta_settings_set(s, name, first, TA_FROM_COMMAND_LINE, NULL, &err), 0);
    assert_string_equal(ta_settings_get(s, name), first);
    return 1;
}

static void test_values(void **state)
{
    char text[512];
    int accepted = 0;
    ta_settings *s = ta_settings_new();
    for (int i = 0; i < TA_SET_COUNT; i++) {
        int taken = 0;
        for (int n = 0; n < 600; n++)
            taken += try_value(s, (ta_setting_id)i, random_text(ta_setting((ta_setting_id)i), text, sizeof text));
        assert_true(taken > 0);
        accepted += taken;
    }
    assert_true(accepted > 3000);
    ta_settings_free(&s);
}

static void assert_same(const ta_settings *a, const ta_settings *b)
{
    for (int i = 0; i < TA_SET_COUNT; i++)
        assert_string_equal(ta_get_text(a, (ta_setting_id)i), ta_get_text(b, (ta_setting_id)i));
}

static void test_round_trips(void **state)
{
    char text[512];
    for (int n = 0; n < 60; n++) {
        ta_settings *s = ta_settings_new(), *json = ta_settings_new(), *yaml = ta_settings_new();
        for (int i = 0; i < TA_SET_COUNT; i++)
            for (int tries = 0; tries < 20; tries++)
                if (try_value(s, (ta_setting_id)i, random_text(ta_setting((ta_setting_id)i), text, sizeof text)))
                    break;
        char *as_json = ta_settings_json(s, true), *as_yaml = ta_settings_yaml(s, true, TA_FROM_DEFAULT);
        assert_int_equal(ta_settings_from_json(json, as_json, TA_FROM_COMMAND_LINE, NULL), 0);
        assert_same(s, json);
        put_file(in(state, "s.yaml"), as_yaml);
        ta_error err = { 0 };
        if (ta_settings_load_file(yaml, in(state, "s.yaml"), TA_FROM_COMMAND_LINE, &err) < 0)
            print_error("%s\n%s\n", said(&err), as_yaml);
        assert_int_equal(err.code, 0);
        for (int i = 0; i < TA_SET_COUNT; i++) /* those without effect stand in comments */
            if (ta_when_met(s, (ta_setting_id)i, NULL, NULL) == 1)
                assert_string_equal(ta_get_text(s, (ta_setting_id)i), ta_get_text(yaml, (ta_setting_id)i));
        ta_free(as_json);
        ta_free(as_yaml);
        (void)ta_settings_resolve(s, NULL, &err);
        ta_settings_free(&s);
        ta_settings_free(&json);
        ta_settings_free(&yaml);
    }
}

/* Changes, drops and repeats bytes. */
static void damage(char *text)
{
    size_t n = strlen(text);
    for (unsigned i = 1 + roll(6); i > 0 && n > 2; i--) {
        size_t at = roll((unsigned)n);
        switch (roll(3)) {
        case 0:
            text[at] = (char)(1 + roll(255));
            break;
        case 1:
            text[at] = "{}[]:,\"'&*!|>-#%@`\n\t "[roll(21)];
            break;
        default:
            text[at] = 0;
            n = at;
        }
    }
}

static void test_damaged_documents(void **state)
{
    ta_settings *s = ta_settings_new();
    char *json = ta_settings_json(s, true), *yaml = ta_settings_yaml(s, true, TA_FROM_DEFAULT);
    for (int n = 0; n < 2000; n++) {
        ta_error err = { 0 };
        char *bad = ta_strdup(n % 2 ? json : yaml);
        ta_settings *t = ta_settings_new();
        damage(bad);
        put_file(in(state, "bad.yaml"), bad);
        int r = n % 2 ? ta_settings_from_json(t, bad, TA_FROM_COMMAND_LINE, &err)
                      : ta_settings_load_file(t, in(state, "bad.yaml"), TA_FROM_USER_FILE, &err);
        assert_true(r == 0 || r == (n % 2 ? TA_ERR_USAGE : TA_ERR_CONFIG));
        assert_int_equal(err.code, r);
        assert_true(r == 0 || *err.text[0]);
        ta_settings_free(&t);
        ta_free(bad);
    }
    ta_free(json);
    ta_free(yaml);
    ta_settings_free(&s);
}

/* The whole way of a job's settings; whatever allocation fails, it says "try again" and leaks nothing. */
static int whole_way(void **state)
{
    ta_error err = { 0 };
    char *text[7] = { NULL };
    static const char *const verbs[] = { "restore", NULL };
    ta_settings *s = ta_settings_new(), *copy = NULL;
    int r = s ? ta_settings_load(s, &err) : TA_ERR_AGAIN;
    if (r == 0)
        r = ta_settings_resolve(s, &text[0], &err);
    if (r == 0) {
        copy = ta_settings_copy(s);
        text[1] = ta_settings_json(s, true);
        text[2] = ta_settings_schema();
        text[3] = ta_settings_help(NULL, 80);
        text[4] = ta_settings_markdown();
        text[5] = ta_settings_completion("zsh", verbs);
        text[6] = ta_settings_yaml(s, true, TA_FROM_DEFAULT);
    }
    for (int i = 1; r == 0 && i < 7; i++)
        r = text[i] && copy ? 0 : TA_ERR_AGAIN;
    for (int i = 0; i < 7; i++)
        ta_free(text[i]);
    ta_settings_free(&s);
    ta_settings_free(&copy);
    return r;
}

static void test_failing_allocations(void **state)
{
    assert_int_equal(ta_mkdirs(in(state, "terminalai"), NULL), 0);
    put_file(in(state, "terminalai/config.yaml"), "preset: vhs_heavy\naudio-tracks: 0,1=copy\n");
    ta_alloc_fail_at(0);
    assert_int_equal(whole_way(state), 0);
    uint64_t count = ta_alloc_fail_at(0), step = TA_MAX(1, count / 700);
    assert_true(count > 500);
    for (uint64_t i = 1; i <= count; i += i < 300 ? 1 : step) {
        ta_alloc_fail_at(i);
        int r = whole_way(state);
        ta_alloc_fail_at(0);
        if (r != TA_ERR_AGAIN)
            print_error("allocation %llu of %llu: %d\n", (unsigned long long)i, (unsigned long long)count, r);
        assert_int_equal(r, TA_ERR_AGAIN);
    }
}

int main(void)
{
    const char *other = getenv("TERMINALAI_TEST_SEED");
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(test_values),
        SETTINGS_TEST(test_round_trips),
        SETTINGS_TEST(test_damaged_documents),
        SETTINGS_TEST(test_failing_allocations),
    };
    if (other)
        seed = strtoull(other, NULL, 10) | 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
