/* The program: finds the verb, runs it, prints what went wrong, and ends with the exit code for it. */
#include "cli/cli.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first word as a verb; --version and --help are verbs, too. */
static const ta_verb *pick_verb(const char *word, ta_error *err)
{
    if (!strcmp(word, "--version") || !strcmp(word, "-V"))
        return &ta_verb_version;
    if (!strcmp(word, "--help") || !strcmp(word, "-h"))
        return &ta_verb_help;
    const ta_verb *verb = ta_cli_find_verb(word);
    if (!verb)
        ta_cli_fail_verb(word, err);
    return verb;
}

static int run(int argc, char **argv, ta_error *err)
{
    if (argc < 2) {
        ta_verb_help.run(0, argv, err);
        return ta_fail(err, TA_ERR_USAGE, "a verb is missing");
    }
    const ta_verb *verb = pick_verb(argv[1], err);
    if (!verb)
        return TA_ERR_USAGE;
    if (ta_cli_wants_help(argc - 2, argv + 2, verb))
        return 0;
    return verb->run(argc - 2, argv + 2, err);
}

static void print_error(const ta_error *err, int status)
{
    fprintf(stderr, "terminalai: error: ");
    if (!err->depth)
        fprintf(stderr, "%s", ta_status_name(status));
    for (int i = 0; i < err->depth; i++)
        fprintf(stderr, "%s%s", i ? ": " : "", err->text[i]);
    fprintf(stderr, "\n");
    if (*err->hint)
        fprintf(stderr, "terminalai: hint: %s\n", err->hint);
}

int main(int argc, char **argv)
{
    ta_error err;
    ta_error_clear(&err);
    /* the many threads of a flow allocate little: a heap for each would only hold memory back */
    mallopt(M_ARENA_MAX, 2);
    setenv("SVT_LOG", "1", 0); /* SVT-AV1 prints to stderr by itself otherwise; 1 leaves errors */
    int status = run(argc, argv, &err);
    if (status < 0)
        print_error(&err, status);
    return ta_exit_code(status);
}
