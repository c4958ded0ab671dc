/* Conditions of rows: "engine=auto|classic" holds for these values, "lut!=" for any value but "". */
#include "settings/values.h"

#include <string.h>

int ta_when_parse(const char *when, ta_when *w, ta_error *err)
{
    char name[64];
    size_t len = strcspn(when, "!=");
    *w = (ta_when){ .id = -1 };
    if (!*when)
        return 0;
    w->negated = when[len] == '!';
    if (len >= sizeof name || when[len + w->negated] != '=')
        return ta_fail(err, TA_ERR_SOFTWARE, "the condition '%s' of the settings table is malformed", when);
    memcpy(name, when, len);
    name[len] = 0;
    w->id = ta_setting_find(name);
    if (w->id < 0)
        return ta_fail(err, TA_ERR_SOFTWARE, "the condition '%s' of the settings table names no setting", when);
    w->words = ta_split(when + len + w->negated + 1, '|');
    return w->words ? 0 : ta_no_memory(err);
}

void ta_when_free(ta_when *w)
{
    ta_freep(&w->words);
}

static bool holds(const ta_settings *s, const ta_when *w)
{
    const char *value = ta_get_text(s, (ta_setting_id)w->id);
    for (size_t i = 0; w->words[i]; i++)
        if (!strcmp(value, w->words[i]))
            return !w->negated;
    return w->negated;
}

int ta_when_met(const ta_settings *s, ta_setting_id id, ta_setting_id *failed, ta_error *err)
{
    /* Conditions form a forest (a test walks it), so this ends at a row without one. */
    for (int at = id, steps = 0; steps <= TA_SET_COUNT; steps++) {
        ta_when w;
        int r = ta_when_parse(ta_setting((ta_setting_id)at)->when, &w, err);
        if (r < 0)
            return r;
        bool met = w.id < 0 || holds(s, &w);
        int next = w.id;
        ta_when_free(&w);
        if (!met && failed)
            *failed = (ta_setting_id)at;
        if (!met || next < 0)
            return met;
        at = next;
    }
    return ta_fail(err, TA_ERR_SOFTWARE, "conditions of the settings table go round in a circle");
}

char *ta_when_sentence(const char *when)
{
    ta_when w;
    if (ta_when_parse(when, &w, NULL) < 0)
        return NULL;
    if (w.id < 0)
        return ta_strdup("");
    const char *name = ta_setting((ta_setting_id)w.id)->name;
    char *list = ta_join_or(w.words), *text = NULL;
    if (list && !*list)
        text = ta_format("%s is %s", name, w.negated ? "given" : "not given");
    else if (list)
        text = ta_format("%s is %s%s", name, w.negated ? "not " : "", list);
    ta_free(list);
    ta_when_free(&w);
    return text;
}
