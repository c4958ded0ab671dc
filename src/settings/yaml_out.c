/* Values as YAML that can be used as a configuration file or a preset. */
#include "settings/values.h"

#include <string.h>
#include <strings.h>

/* Words that other YAML readers would take for something else than text. */
static bool is_plain(const char *text)
{
    static const char *const special[] = { "yes", "no", "on", "off", "true", "false", "null", "y", "n" };
    for (size_t i = 0; i < TA_COUNT(special); i++)
        if (!strcasecmp(text, special[i]))
            return false;
    for (const char *p = text; *p; p++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-", *p))
            return false;
    return *text && !strchr("-.", *text);
}

static void add_value(ta_buf *b, ta_setting_type type, const char *text)
{
    if (type == TA_TYPE_BOOL || type == TA_TYPE_INT || type == TA_TYPE_FLOAT || is_plain(text)) {
        ta_buf_add(b, text);
        return;
    }
    ta_buf_add(b, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            ta_buf_add(b, "\\");
        ta_buf_addn(b, text, 1);
    }
    ta_buf_add(b, "\"");
}

/* A value without effect is shown as a comment: set in a file, it could contradict another. */
static void add_line(ta_buf *b, const ta_settings *s, ta_setting_id id)
{
    const ta_setting_info *row = ta_setting(id);
    ta_setting_id failed = id;
    int met = ta_when_met(s, id, &failed, NULL);
    char *sentence = met == 0 ? ta_when_sentence(ta_setting(failed)->when) : NULL;
    b->failed |= met < 0 || (met == 0 && !sentence);
    ta_buf_addf(b, "%s%s: ", met ? "" : "# ", row->name);
    add_value(b, row->type, s->slot[id].value.text);
    if (sentence)
        ta_buf_addf(b, "  (only when %s)", sentence);
    ta_buf_add(b, "\n");
    ta_free(sentence);
}

char *ta_settings_yaml(const ta_settings *s, bool all, ta_origin least)
{
    ta_buf b = { 0 };
    for (int i = 0; i < TA_SET_COUNT; i++)
        if ((all || !ta_setting((ta_setting_id)i)->run) && s->slot[i].origin >= least)
            add_line(&b, s, (ta_setting_id)i);
    return ta_buf_take(&b);
}
