/* What --help prints: a verb's usage with its flags, or the list of verbs. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int terminal_width(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < 40)
        return 100;
    return TA_MIN(size.ws_col, 120);
}

void ta_cli_help(const ta_verb *verb)
{
    printf("Usage: terminalai %s\n\n%s.\n", verb->usage, verb->summary);
    if (verb->more)
        printf("\n%s", verb->more);
    char *text = verb->settings ? ta_settings_help(NULL, terminal_width()) : NULL;
    if (text)
        printf("\n%s", text);
    ta_free(text);
}

bool ta_cli_wants_help(int argc, char **argv, const ta_verb *verb)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--"); i++) {
        if (strcmp(argv[i], "-h") && strcmp(argv[i], "--help"))
            continue;
        ta_cli_help(verb);
        return true;
    }
    return false;
}

int ta_cli_print(char *text, ta_error *err)
{
    if (!text)
        return ta_no_memory(err);
    bool written = fputs(text, stdout) >= 0 && fflush(stdout) == 0;
    ta_free(text);
    return written ? 0 : ta_fail(err, TA_ERR_IO, "standard output can't be written");
}

static void list_verbs(void)
{
    printf("TerminalAI %s: restores old video: tapes, DVDs, DV, early web video.\n\n"
           "Usage: terminalai VERB [WORDS] [--FLAGS]\n\n",
           ta_version());
    for (size_t i = 0; ta_verbs[i]; i++)
        if (!ta_verbs[i]->hidden)
            printf("  %-12s %s\n", ta_verbs[i]->name, ta_verbs[i]->summary);
    printf("\n`terminalai help VERB` says more. Exit codes follow sysexits.h; see terminalai(1).\n");
}

static int run_help(int argc, char **argv, ta_error *err)
{
    int words;
    int r = ta_cli_parse(argc, argv, NULL, NULL, NULL, &words, err);
    if (r == 0)
        r = ta_cli_expect_words(argv, words, 0, 1, "a verb", err);
    if (r < 0)
        return r;
    const ta_verb *verb = words ? ta_cli_find_verb(argv[0]) : NULL;
    if (words && !verb)
        return ta_cli_fail_verb(argv[0], err);
    if (verb)
        ta_cli_help(verb);
    else
        list_verbs();
    return 0;
}

static int run_version(int argc, char **argv, ta_error *err)
{
    int words;
    int r = ta_cli_parse(argc, argv, NULL, NULL, NULL, &words, err);
    if (r == 0)
        r = ta_cli_expect_words(argv, words, 0, 0, "nothing", err);
    if (r == 0)
        printf("terminalai %s\n", ta_version());
    return r;
}

const ta_verb ta_verb_help = { "help", "help [VERB]", "List the verbs, or explain one", false, run_help, NULL };
const ta_verb ta_verb_version = { "version", "version", "Print the version", false, run_version, NULL };
