/* The settings for readers: docs/settings.md and the settings' part of the manual page. */
#include "settings/values.h"

#include <string.h>

/* ---- Markdown ------------------------------------------------------------------------------------------------------
 */

/* Text in a table's cell: a bar would end it, and angle brackets or asterisks would be mark-up. */
static void add_cell(ta_buf *b, const char *text)
{
    for (; *text; text++) {
        if (strchr("|<>*_`", *text))
            ta_buf_add(b, "\\");
        ta_buf_addn(b, text, 1);
    }
}

static void add_code(ta_buf *b, const char *text)
{
    ta_buf_addf(b, "`%s`", text);
}

static void add_choices(ta_buf *b, const char *choices)
{
    char **words = ta_split(choices, '|');
    if (!words)
        b->failed = true;
    for (size_t i = 0; words && words[i]; i++) {
        ta_buf_add(b, i ? " " : "");
        add_code(b, words[i]);
    }
    ta_free(words);
}

static void add_values(ta_buf *b, const ta_setting_info *row)
{
    static const char *const forms[] = { [TA_TYPE_INT] = "whole number",
                                         [TA_TYPE_FLOAT] = "number",
                                         [TA_TYPE_PATH] = "path",
                                         [TA_TYPE_TIME] = "time such as 1:30 or 90.5s",
                                         [TA_TYPE_SIZE] = "size such as 64K or 1.5G" };
    char lo[32], hi[32];
    if (row->type == TA_TYPE_BOOL)
        ta_buf_add(b, "`yes` `no`");
    else if (row->type == TA_TYPE_CHOICE)
        add_choices(b, row->choices);
    else if (*row->choices)
        add_cell(b, row->choices);
    else if (row->min != 0 || row->max != 0)
        ta_buf_addf(b, "%s to %s", ta_print_real(row->min, lo), ta_print_real(row->max, hi));
    else
        ta_buf_add(b, forms[row->type] ? forms[row->type] : "text");
    if (*row->unit && row->type != TA_TYPE_TIME && row->type != TA_TYPE_SIZE && row->type != TA_TYPE_TEXT)
        ta_buf_addf(b, " %s", row->unit);
}

static void add_markdown_row(ta_buf *b, const ta_setting_info *row)
{
    char *when = ta_when_sentence(row->when);
    ta_buf_addf(b, "| `%s` | ", row->name);
    add_values(b, row);
    ta_buf_add(b, " | ");
    if (*row->def)
        add_code(b, row->def);
    ta_buf_add(b, " | ");
    add_cell(b, row->help);
    ta_buf_add(b, ".");
    if (when && *when) {
        ta_buf_add(b, " Only when ");
        add_cell(b, when);
        ta_buf_add(b, ".");
    }
    if (row->run)
        ta_buf_add(b, " Not in presets.");
    ta_buf_addf(b, " | %s |\n", row->since);
    b->failed |= !when;
    ta_free(when);
}

char *ta_settings_markdown(void)
{
    ta_buf b = { 0 };
    const char *title = "";
    ta_buf_add(
        &b, "# Settings\n\n"
            "Made from the settings table by `make docs`; do not edit.\n\n"
            "Each setting can be given as a flag (`--crf 20`, `--crf=20`; a switch as `--vfr` or `--no-vfr`), as a\n"
            "variable (`TERMINALAI_CRF=20`, with underscores for dashes), or as a line `crf: 20` in\n"
            "`~/.config/terminalai/config.yaml`, `/etc/terminalai/config.yaml` or a preset. Weakest first: default,\n"
            "preset, system file, user file, environment, command line.\n");
    for (int i = 0; i < TA_SET_COUNT; i++) {
        const ta_setting_info *row = ta_setting((ta_setting_id)i);
        if (strcmp(title, row->group))
            ta_buf_addf(&b, "\n## %s\n\n| Setting | Values | Default | What it does | Since |\n|---|---|---|---|---|\n",
                        row->group);
        title = row->group;
        add_markdown_row(&b, row);
    }
    return ta_buf_take(&b);
}

/* ---- roff ----------------------------------------------------------------------------------------------------------
 */

/* Text for roff: dashes as minus signs that can be copied, and no line that begins like a request. */
static void add_roff(ta_buf *b, const char *text)
{
    if (*text == '.' || *text == '\'')
        ta_buf_add(b, "\\&");
    for (; *text; text++) {
        if (*text == '\\')
            ta_buf_add(b, "\\e");
        else if (*text == '-')
            ta_buf_add(b, "\\-");
        else
            ta_buf_addn(b, text, 1);
    }
}

static void add_man_row(ta_buf *b, const ta_setting_info *row)
{
    ta_buf part = { 0 };
    ta_setting_usage(row, &part);
    ta_buf_add(b, ".TP\n.B ");
    add_roff(b, part.data ? part.data : "");
    ta_buf_add(b, "\n");
    b->failed |= part.failed;
    ta_buf_free(&part);
    ta_setting_facts(row, &part);
    add_roff(b, row->help);
    ta_buf_add(b, " (");
    add_roff(b, part.data ? part.data : "");
    ta_buf_add(b, ").\n");
    b->failed |= part.failed;
    ta_buf_free(&part);
}

char *ta_settings_man(void)
{
    ta_buf b = { 0 };
    const char *title = "";
    for (int i = 0; i < TA_SET_COUNT; i++) {
        const ta_setting_info *row = ta_setting((ta_setting_id)i);
        if (strcmp(title, row->group)) {
            ta_buf_add(&b, ".SS ");
            add_roff(&b, row->group);
            ta_buf_add(&b, "\n");
        }
        title = row->group;
        add_man_row(&b, row);
    }
    return ta_buf_take(&b);
}
