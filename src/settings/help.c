/* The settings as help text for a terminal. */
#include "settings/values.h"

#include <string.h>

enum { INDENT = 6 };

static const char *placeholder(ta_setting_type type)
{
    static const char *const words[] = {
        [TA_TYPE_INT] = "N",     [TA_TYPE_FLOAT] = "X",   [TA_TYPE_TEXT] = "TEXT",   [TA_TYPE_PATH] = "PATH",
        [TA_TYPE_TIME] = "TIME", [TA_TYPE_SIZE] = "SIZE", [TA_TYPE_BITRATE] = "RATE"
    };
    return words[type];
}

void ta_setting_usage(const ta_setting_info *row, ta_buf *b)
{
    if (row->type == TA_TYPE_BOOL)
        ta_buf_addf(b, "--%s, --no-%s", row->name, row->name);
    else if (row->type == TA_TYPE_CHOICE)
        ta_buf_addf(b, "--%s %s", row->name, row->choices);
    else
        ta_buf_addf(b, "--%s %s", row->name, placeholder(row->type));
}

void ta_setting_facts(const ta_setting_info *row, ta_buf *b)
{
    char lo[32], hi[32];
    bool range = row->min != 0 || row->max != 0;
    if (range)
        ta_buf_addf(b, "%s to %s%s%s", ta_print_real(row->min, lo), ta_print_real(row->max, hi), *row->unit ? " " : "",
                    row->unit);
    else if (*row->unit && row->type != TA_TYPE_CHOICE && row->type != TA_TYPE_TIME)
        ta_buf_add(b, row->unit);
    if (row->type != TA_TYPE_CHOICE && *row->choices)
        ta_buf_addf(b, "%s%s", b->len ? "; " : "", row->choices);
    ta_buf_addf(b, "%sdefault: %s", b->len ? "; " : "", *row->def ? row->def : "not set");
    char *when = ta_when_sentence(row->when);
    if (!when)
        b->failed = true;
    else if (*when)
        ta_buf_addf(b, "; only when %s", when);
    ta_free(when);
}

/* Adds `text` in lines of at most `width` columns, each indented. */
static void add_wrapped(ta_buf *b, const char *text, int width)
{
    int column = 0;
    while (*text) {
        size_t len = strcspn(text, " ");
        if (column && column + 1 + (int)len > width) {
            ta_buf_add(b, "\n");
            column = 0;
        }
        ta_buf_addf(b, "%*s", column ? 1 : INDENT, "");
        column = column ? column + 1 : INDENT;
        ta_buf_addn(b, text, len);
        column += (int)len;
        text += len + strspn(text + len, " ");
    }
    ta_buf_add(b, "\n");
}

static void add_row(ta_buf *b, const ta_setting_info *row, int width)
{
    ta_buf facts = { 0 };
    ta_buf_add(b, "  ");
    ta_setting_usage(row, b);
    ta_buf_add(b, "\n");
    ta_buf_addf(&facts, "%s (", row->help);
    ta_buf about = { 0 };
    ta_setting_facts(row, &about);
    ta_buf_addf(&facts, "%s).", about.data ? about.data : "");
    b->failed |= facts.failed || about.failed;
    if (!b->failed)
        add_wrapped(b, facts.data, width);
    ta_buf_free(&about);
    ta_buf_free(&facts);
}

char *ta_settings_help(const char *group, int width)
{
    ta_buf b = { 0 };
    const char *title = NULL;
    for (int i = 0; i < TA_SET_COUNT; i++) {
        const ta_setting_info *row = ta_setting((ta_setting_id)i);
        if (group && strcmp(group, row->group) && strcmp(group, row->group_id))
            continue;
        if (!title || strcmp(title, row->group))
            ta_buf_addf(&b, "%s%s:\n", title ? "\n" : "", row->group);
        title = row->group;
        add_row(&b, row, TA_MAX(width, 40));
    }
    return ta_buf_take(&b);
}
