/* cli: one file per verb: parse, call the library, print. Knows everything above it. */
#ifndef TA_CLI_CLI_H
#define TA_CLI_CLI_H

#include "base/base.h"
#include "settings/settings.h"

typedef struct ta_verb {
    const char *name;
    const char *usage;   /* "restore INPUT [-o OUTPUT] [--setting value ...]" */
    const char *summary; /* one line for the list of verbs */
    bool settings;       /* takes the settings' flags */
    /* Returns a status (0 or negative); `err` is printed by main. */
    int (*run)(int argc, char **argv, ta_error *err);
} ta_verb;

extern const ta_verb ta_verb_restore, ta_verb_verify, ta_verb_settings, ta_verb_presets, ta_verb_doctor, ta_verb_sample,
    ta_verb_completion, ta_verb_help, ta_verb_version;
/* All verbs, in the order of `help`; ends with NULL. */
extern const ta_verb *const ta_verbs[];

/* Splits a command line into settings and the rest. Flags are "--name value", "--name=value", "--flag" and
 * "--no-flag" for BOOL, "-h"/"--help", and the verb's own in `own` (NULL-terminated, "output,o=" takes a value:
 * "name[,letter][=]"). Settings are put into `s` (NULL: none allowed). For each own flag `own_value[i]` is set to its
 * value ("" for a flag without). Positional words are moved to the front of argv and counted in *words. "--" ends
 * flags. TA_ERR_USAGE names the nearest flag. */
int ta_cli_parse(int argc, char **argv, ta_settings *s, const char *const *own, const char **own_value, int *words,
                 ta_error *err);
/* Prints usage, summary and, for verbs with settings, their help, to stdout. */
void ta_cli_help(const ta_verb *verb);
/* True once when -h or --help was among the words of ta_cli_parse; then ta_cli_help was printed. */
bool ta_cli_wants_help(int argc, char **argv, const ta_verb *verb);

/* Cancelled by SIGINT and SIGTERM once ta_cli_catch_signals was called; the second signal ends at once. */
ta_cancel *ta_cli_cancel(void);
void ta_cli_catch_signals(void);

#endif
