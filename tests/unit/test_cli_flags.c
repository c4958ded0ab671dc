/* The command line: flags with and without '=', switches, a verb's own flags, words, "--", and what is refused. */
#include "settings_test.h"

#include "cli/cli.h"

static const char *const own[] = { "output,o=", "json", "seconds=", NULL };
enum { OUTPUT, JSON, SECONDS, OWN };

typedef struct line {
    char *argv[16];
    const char *own_value[OWN];
    int words;
    ta_settings *s;
    ta_error err;
    int r;
} line;

/* Parses words that are separated by '|'. */
static void parse(line *l, const char *text, bool settings)
{
    static char copy[512];
    int argc = 0;
    char *rest = NULL;
    memset(l, 0, sizeof *l);
    snprintf(copy, sizeof copy, "%s", text);
    for (char *w = strtok_r(copy, "|", &rest); w; w = strtok_r(NULL, "|", &rest))
        l->argv[argc++] = w;
    l->s = settings ? ta_settings_new() : NULL;
    l->r = ta_cli_parse(argc, l->argv, l->s, own, l->own_value, &l->words, &l->err);
}

static void good(line *l, const char *text)
{
    parse(l, text, true);
    if (l->r < 0)
        print_error("%s: %s\n", text, said(&l->err));
    assert_int_equal(l->r, 0);
}

static void refused(const char *text, bool settings, const char *words)
{
    line l;
    parse(&l, text, settings);
    if (l.r != TA_ERR_USAGE)
        print_error("not refused: %s\n", text);
    assert_int_equal(l.r, TA_ERR_USAGE);
    assert_says(&l.err, words);
    ta_settings_free(&l.s);
}

static void test_settings(void **state)
{
    line l;
    const char *where;
    good(&l, "--crf|20|--engine=classic|--vfr|--no-square-pixels|--audio-shift|-20|--chroma-shift-x=-3|--sidecar=no");
    assert_value(l.s, "crf", "20");
    assert_int_equal(ta_settings_origin(l.s, "crf", &where), TA_FROM_COMMAND_LINE);
    assert_string_equal(where, "--crf");
    assert_value(l.s, "engine", "classic");
    assert_value(l.s, "vfr", "yes");
    assert_value(l.s, "square-pixels", "no");
    assert_value(l.s, "audio-shift", "-20");
    assert_value(l.s, "chroma-shift-x", "-3");
    assert_value(l.s, "sidecar", "no");
    assert_int_equal(l.words, 0);
    ta_settings_free(&l.s);
}

static void test_words_and_own_flags(void **state)
{
    line l;
    good(&l, "in.mpg|-o|out.mkv|--crf=20|--json|second|--|--third|-");
    assert_int_equal(l.words, 4);
    assert_string_equal(l.argv[0], "in.mpg");
    assert_string_equal(l.argv[1], "second");
    assert_string_equal(l.argv[2], "--third");
    assert_string_equal(l.argv[3], "-");
    assert_string_equal(l.own_value[OUTPUT], "out.mkv");
    assert_string_equal(l.own_value[JSON], "");
    assert_null(l.own_value[SECONDS]);
    ta_settings_free(&l.s);
    good(&l, "-oout.mkv|--seconds=3");
    assert_string_equal(l.own_value[OUTPUT], "out.mkv");
    assert_string_equal(l.own_value[SECONDS], "3");
    ta_settings_free(&l.s);
    good(&l, "--output=a=b.mkv|--output-template=x=y");
    assert_string_equal(l.own_value[OUTPUT], "a=b.mkv");
    assert_value(l.s, "output-template", "x=y");
    ta_settings_free(&l.s);
}

static void test_refused(void **state)
{
    refused("--crff=3", true, "did you mean --crf?");
    refused("--secnds|3", true, "did you mean --seconds?");
    refused("--no-vfrr", true, "did you mean --no-vfr?");
    refused("--no-crf", true, "--crf takes a value");
    refused("--crf", true, "--crf needs a value");
    refused("--crf|--vfr", true, "--crf needs a value");
    refused("--crf=99", true, "--crf: 99 is not within 0 to 63");
    refused("--json=3", true, "takes no value");
    refused("-x", true, "there is no flag '-x'");
    refused("--crf=20", false, "there is no flag '--crf'");
    refused("-o", true, "-o needs a value");
    refused("--zzzzzzzzzzzz", true, "--help lists");
}

static void test_words_expected(void **state)
{
    ta_error err = { 0 };
    char a[] = "a", b[] = "b", *argv[] = { a, b, NULL };
    assert_int_equal(ta_cli_expect_words(argv, 1, 1, 1, "an input", NULL), 0);
    assert_int_equal(ta_cli_expect_words(argv, 0, 1, 1, "an input", &err), TA_ERR_USAGE);
    assert_says(&err, "an input is missing");
    assert_int_equal(ta_cli_expect_words(argv, 2, 1, 1, "an input", &err), TA_ERR_USAGE);
    assert_says(&err, "'b' is one word too many");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_words_and_own_flags),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_words_expected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
