/* Shell completion, made from the table. Preset names are asked from the program, as users add their own. */
#include "settings/values.h"

#include <string.h>

#define PRESETS_COMMAND "terminalai presets --names 2>/dev/null"

/* A choice list with spaces for bars. */
static void add_words(ta_buf *b, const char *choices)
{
    for (; *choices; choices++)
        ta_buf_addn(b, *choices == '|' ? " " : choices, 1);
}

/* Text inside single quotes: '...'\''...' for bash and zsh, \' for fish. `also` needs a backslash, too. */
static void add_quoted(ta_buf *b, const char *text, const char *quote, const char *also)
{
    for (; *text; text++) {
        if (*text == '\'')
            ta_buf_add(b, quote);
        else if (strchr(also, *text))
            ta_buf_addf(b, "\\%c", *text);
        else
            ta_buf_addn(b, text, 1);
    }
}

static bool is_path(const ta_setting_info *row)
{
    return row->type == TA_TYPE_PATH || !strcmp(row->name, "lut");
}

/* ---- bash ----------------------------------------------------------------------------------------------------------
 */

static void add_bash_case(ta_buf *b, const ta_setting_info *row)
{
    if (row->type == TA_TYPE_BOOL)
        return;
    ta_buf_addf(b, "    --%s) ", row->name);
    if (row->type == TA_TYPE_CHOICE) {
        ta_buf_add(b, "words='");
        add_words(b, row->choices);
        ta_buf_add(b, "' ;;\n");
    } else if (!strcmp(row->name, "preset")) {
        ta_buf_add(b, "words=$(" PRESETS_COMMAND ") ;;\n");
    } else if (is_path(row)) {
        ta_buf_add(b, "files=1 ;;\n");
    } else {
        ta_buf_add(b, "return ;;\n");
    }
}

static void add_flag_names(ta_buf *b)
{
    for (int i = 0; i < TA_SET_COUNT; i++) {
        const ta_setting_info *row = ta_setting((ta_setting_id)i);
        ta_buf_addf(b, " --%s", row->name);
        if (row->type == TA_TYPE_BOOL)
            ta_buf_addf(b, " --no-%s", row->name);
    }
}

static void bash(ta_buf *b, const char *const *verbs)
{
    ta_buf_add(b, "# Completion of terminalai for bash.\n"
                  "_terminalai() {\n"
                  "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words='' files=''\n"
                  "    # bash cuts --name=value at the equals sign\n"
                  "    if [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
                  "    if [[ $cur == = ]]; then cur=''; fi\n"
                  "    case $prev in\n");
    for (int i = 0; i < TA_SET_COUNT; i++)
        add_bash_case(b, ta_setting((ta_setting_id)i));
    ta_buf_add(b, "    -o|--output) files=1 ;;\n"
                  "    *)\n"
                  "        if ((COMP_CWORD == 1)); then\n"
                  "            words='");
    for (size_t i = 0; verbs[i]; i++)
        ta_buf_addf(b, "%s%s", i ? " " : "", verbs[i]);
    ta_buf_add(b, "'\n        elif [[ $cur == -* ]]; then\n            words='--help");
    add_flag_names(b);
    ta_buf_add(b, "'\n        else\n            files=1\n        fi ;;\n    esac\n"
                  "    if [[ $files ]]; then\n"
                  "        compopt -o filenames 2>/dev/null\n"
                  "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
                  "    else\n"
                  "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
                  "    fi\n"
                  "}\n"
                  "complete -F _terminalai terminalai\n");
}

/* ---- zsh -----------------------------------------------------------------------------------------------------------
 */

static void add_zsh_flag(ta_buf *b, const ta_setting_info *row)
{
    ta_buf_addf(b, "        '--%s%s[", row->name, row->type == TA_TYPE_BOOL ? "" : "=");
    add_quoted(b, row->help, "'\\''", "[]:\\");
    ta_buf_add(b, "]");
    if (row->type == TA_TYPE_CHOICE) {
        ta_buf_addf(b, ":%s:(", row->name);
        add_words(b, row->choices);
        ta_buf_add(b, ")");
    } else if (!strcmp(row->name, "preset")) {
        ta_buf_add(b, ":preset:($(" PRESETS_COMMAND "))");
    } else if (row->type != TA_TYPE_BOOL) {
        ta_buf_addf(b, ":%s:%s", row->name, is_path(row) ? "_files" : "");
    }
    ta_buf_add(b, "'\n");
    if (row->type == TA_TYPE_BOOL)
        ta_buf_addf(b, "        '--no-%s'\n", row->name);
}

static void zsh(ta_buf *b, const char *const *verbs)
{
    ta_buf_add(b, "#compdef terminalai\n# Completion of terminalai for zsh.\n_terminalai() {\n"
                  "    local -a verbs flags\n    verbs=(");
    for (size_t i = 0; verbs[i]; i++)
        ta_buf_addf(b, "%s%s", i ? " " : "", verbs[i]);
    ta_buf_add(
        b, ")\n    if ((CURRENT == 2)); then\n        compadd -a verbs\n        return\n    fi\n"
           "    shift words\n    ((CURRENT--))\n    flags=(\n        '(-h --help)'{-h,--help}'[Explains the verb]'\n");
    for (int i = 0; i < TA_SET_COUNT; i++)
        add_zsh_flag(b, ta_setting((ta_setting_id)i));
    ta_buf_add(b, "    )\n    _arguments $flags '*:file:_files'\n}\n"
                  "if [[ ${funcstack[1]} == _terminalai ]]; then\n    _terminalai \"$@\"\nelse\n"
                  "    compdef _terminalai terminalai\nfi\n");
}

/* ---- fish ----------------------------------------------------------------------------------------------------------
 */

static void add_fish_flag(ta_buf *b, const ta_setting_info *row)
{
    ta_buf_addf(b, "complete -c terminalai -l %s", row->name);
    if (row->type == TA_TYPE_CHOICE) {
        ta_buf_add(b, " -x -a '");
        add_words(b, row->choices);
        ta_buf_add(b, "'");
    } else if (!strcmp(row->name, "preset")) {
        ta_buf_add(b, " -x -a '(" PRESETS_COMMAND ")'");
    } else if (row->type != TA_TYPE_BOOL) {
        ta_buf_add(b, is_path(row) ? " -r" : " -x");
    }
    ta_buf_add(b, " -d '");
    add_quoted(b, row->help, "\\'", "\\");
    ta_buf_add(b, "'\n");
    if (row->type == TA_TYPE_BOOL)
        ta_buf_addf(b, "complete -c terminalai -l no-%s\n", row->name);
}

static void fish(ta_buf *b, const char *const *verbs)
{
    ta_buf_add(b, "# Completion of terminalai for fish.\n");
    for (size_t i = 0; verbs[i]; i++)
        ta_buf_addf(b, "complete -c terminalai -n __fish_use_subcommand -f -a %s\n", verbs[i]);
    ta_buf_add(b, "complete -c terminalai -s h -l help -d 'Explains the verb'\n");
    for (int i = 0; i < TA_SET_COUNT; i++)
        add_fish_flag(b, ta_setting((ta_setting_id)i));
}

char *ta_settings_completion(const char *shell, const char *const *verbs)
{
    static const struct {
        const char *name;
        void (*make)(ta_buf *, const char *const *);
    } shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };
    ta_buf b = { 0 };
    for (size_t i = 0; i < TA_COUNT(shells); i++) {
        if (strcmp(shells[i].name, shell))
            continue;
        shells[i].make(&b, verbs);
        return ta_buf_take(&b);
    }
    return NULL;
}
