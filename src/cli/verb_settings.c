/* terminalai settings: the settings in force, and everything that is made from their table. */
#include "cli/cli.h"

#include <stdio.h>

enum { JSON, SCHEMA, ORIGIN, MARKDOWN, MAN, ALL, FLAGS };
static const char *const flags[] = { "json", "schema", "origin", "markdown", "man", "all", NULL };

/* NULL = out of memory. */
static char *text_of(const ta_settings *s, const char *const *own)
{
    if (own[SCHEMA])
        return ta_settings_schema();
    if (own[MARKDOWN])
        return ta_settings_markdown();
    if (own[MAN])
        return ta_settings_man();
    if (own[JSON])
        return ta_settings_json(s, own[ALL] != NULL);
    if (own[ORIGIN])
        return ta_settings_origins(s);
    return ta_settings_yaml(s, own[ALL] != NULL, TA_FROM_DEFAULT);
}

static int check_forms(const char *const *own, ta_error *err)
{
    int forms = 0;
    for (int i = JSON; i <= MAN; i++)
        forms += own[i] != NULL;
    if (forms < 2)
        return 0;
    ta_fail(err, TA_ERR_USAGE, "settings prints one form at a time");
    return ta_hint(err, "give one of --json, --schema, --origin, --markdown and --man");
}

static int print(const ta_settings *s, const char *const *own, int words, char **argv, ta_error *err)
{
    int r = ta_cli_expect_words(argv, words, 0, 0, "nothing", err);
    if (r == 0)
        r = check_forms(own, err);
    if (r == 0)
        r = ta_cli_print(text_of(s, own), err);
    if (r == 0 && (own[JSON] || own[SCHEMA]))
        putchar('\n');
    return r;
}

static int run(int argc, char **argv, ta_error *err)
{
    const char *own[FLAGS] = { NULL };
    ta_settings *s = NULL;
    int words = 0;
    int r = ta_cli_settings(argc, argv, flags, own, &words, &s, err);
    if (r == 0)
        r = print(s, own, words, argv, err);
    ta_settings_free(&s);
    return r;
}

const ta_verb ta_verb_settings = {
    .name = "settings",
    .usage = "settings [--json|--schema|--origin|--markdown|--man] [--all] [--SETTING VALUE ...]",
    .summary = "Show the settings in force, where each came from, or their schema",
    .settings = true,
    .run = run,
    .more = "Without a flag: lines that a configuration file or preset can hold.\n"
            "  --json      as a JSON object\n"
            "  --schema    JSON Schema (draft 2020-12) of that object\n"
            "  --origin    each value with where it came from\n"
            "  --markdown  the reference, as docs/settings.md\n"
            "  --man       the reference, for the manual page\n"
            "  --all       also those that say how the program runs and are no part of a job\n",
};
