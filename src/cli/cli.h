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
    /* `argv` holds the words behind the verb: argv[0] is the first of them. Returns a status (0 or negative); `err` is
     * printed by main. */
    int (*run)(int argc, char **argv, ta_error *err);
    const char *more; /* help text of the verb's own flags, lines that end with \n; NULL for none */
    bool hidden;      /* for the program itself: found, but neither listed nor suggested */
} ta_verb;

extern const ta_verb ta_verb_restore, ta_verb_batch, ta_verb_verify, ta_verb_settings, ta_verb_presets, ta_verb_doctor,
    ta_verb_sample, ta_verb_completion, ta_verb_metrics, ta_verb_compare, ta_verb_help, ta_verb_version, ta_verb_plan,
    ta_verb_run_segment, ta_verb_finish, ta_verb_status, ta_verb_models, ta_verb_queue, ta_verb_work, ta_verb_notify,
    ta_verb_worker;
/* All verbs, in the order of `help`; ends with NULL. */
extern const ta_verb *const ta_verbs[];
/* The verb of this name, or NULL. */
const ta_verb *ta_cli_find_verb(const char *name);
/* All listed verbs' names, ending with NULL. Free the array with ta_free; NULL when out of memory. */
const char **ta_cli_verb_names(void);
/* Fails with "there is no verb 'restor'" and the nearest one. */
int ta_cli_fail_verb(const char *name, ta_error *err);

/* Splits the words behind the verb into settings and the rest. Flags are "--name value", "--name=value", "--flag" and
 * "--no-flag" for BOOL, "-h"/"--help", and the verb's own in `own` (NULL-terminated; "output,o=" takes a value:
 * "name[,letter][=]"; a letter also as "-oVALUE"). Settings are put into `s` (NULL: none allowed). For each own flag
 * `own_value[i]` is set to its value ("" for a flag without), NULL where it is not given. Positional words are moved to
 * the front of argv and counted in *words. "--" ends flags. TA_ERR_USAGE names the nearest flag. */
int ta_cli_parse(int argc, char **argv, ta_settings *s, const char *const *own, const char **own_value, int *words,
                 ta_error *err);
/* Settings as a verb wants them: defaults, files, environment, this command line by ta_cli_parse, preset; checked. Sets
 * up the log as they say and logs their warnings. Free *s with ta_settings_free. */
int ta_cli_settings(int argc, char **argv, const char *const *own, const char **own_value, int *words, ta_settings **s,
                    ta_error *err);
/* The log as the settings say; the functions around this one do it, too. */
void ta_cli_set_up_log(const ta_settings *s);
/* The last steps of that for a verb that restores, once it has read its command line: preset, checks, log, warnings,
 * and `preview` as a start and an end. `input` is where its hardest moment is looked for; with NULL that is refused. */
int ta_cli_prepare(ta_settings *s, const char *input, ta_error *err);
/* Fetches the film of an address into the folder of the settings, else the one of `output` (NULL: the current one), and
 * shows how far it is. *path is the file (ta_free). As ta_fetch_run. */
int ta_cli_download(const ta_settings *s, const char *url, const char *output, char **path, ta_error *err);
/* How progress is to be shown, by the setting and what stderr is. */
typedef enum ta_cli_progress { TA_CLI_PROGRESS_NONE, TA_CLI_PROGRESS_LINE, TA_CLI_PROGRESS_JSON } ta_cli_progress;
ta_cli_progress ta_cli_progress_of(const ta_settings *s);
/* Fails unless there are `min` to `max` words; `what` names the one that is missing ("an input file"). */
int ta_cli_expect_words(char **argv, int words, int min, int max, const char *what, ta_error *err);

/* Prints usage, summary and, for verbs with settings, their help, to stdout. */
void ta_cli_help(const ta_verb *verb);
/* True when -h or --help is among the words before "--"; then ta_cli_help was printed. main asks this before it runs a
 * verb. */
bool ta_cli_wants_help(int argc, char **argv, const ta_verb *verb);
/* Prints text that is NULL when memory ran out, then frees it. */
int ta_cli_print(char *text, ta_error *err);

/* The program's own token: cancelled by SIGINT and SIGTERM once ta_cli_catch_signals was called; the second signal ends
 * at once. NULL when out of memory or descriptors. */
ta_cancel *ta_cli_cancel(void);
void ta_cli_catch_signals(void);
/* The same for a verb whose orderly end may take longer than a second: only the second signal ends at once. */
void ta_cli_catch_signals_calmly(void);

#endif
