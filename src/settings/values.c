/* A set of values: each with the origin that gave it; stronger origins win. */
#include "settings/values.h"

#include <assert.h>
#include <string.h>

static void clear_slot(ta_slot *slot)
{
    ta_value_clear(&slot->value);
    ta_freep(&slot->where);
}

/* ta_fail and friends with `where` in front: a flag or variable names the setting already, a file does not. */
static int wrap_where(ta_error *err, ta_origin origin, const char *where, const char *name)
{
    bool names_it = origin == TA_FROM_COMMAND_LINE || origin == TA_FROM_ENVIRONMENT;
    if (!where)
        return ta_wrap(err, "%s", name);
    return names_it && strcmp(where, "JSON") ? ta_wrap(err, "%s", where) : ta_wrap(err, "%s: %s", where, name);
}

static ta_status status_of(ta_origin origin)
{
    bool file = origin == TA_FROM_PRESET || origin == TA_FROM_SYSTEM_FILE || origin == TA_FROM_USER_FILE;
    return file ? TA_ERR_CONFIG : TA_ERR_USAGE;
}

int ta_fail_unknown(ta_error *err, ta_origin origin, const char *where, const char *name)
{
    const char *near = ta_nearest(name, ta_setting_names());
    int code = ta_fail(err, status_of(origin), "there is no setting '%s'", name);
    if (near)
        ta_hint(err, "did you mean '%s'?", near);
    else
        ta_hint(err, "`terminalai settings` lists them");
    return where && err ? ta_wrap(err, "%s", where) : code;
}

static int store(ta_slot *slot, ta_value *value, ta_origin origin, const char *where, bool document, ta_error *err)
{
    char *copy = where ? ta_strdup(where) : NULL;
    if (where && !copy) {
        ta_value_clear(value);
        return ta_no_memory(err);
    }
    clear_slot(slot);
    *slot = (ta_slot){ .value = *value, .origin = origin, .document = document, .where = copy };
    return 0;
}

int ta_settings_put(ta_settings *s, ta_setting_id id, const char *value, ta_origin origin, const char *where,
                    bool document, ta_error *err)
{
    ta_value parsed;
    ta_error local;
    ta_error *e = err ? err : &local;
    int r = ta_value_parse(id, value, &parsed, e);
    if (r < 0) {
        if (e->code == TA_ERR_USAGE)
            e->code = status_of(origin);
        return wrap_where(e, origin, where, ta_setting(id)->name);
    }
    if (s->slot[id].origin > origin) { /* checked, but a stronger origin has spoken */
        ta_value_clear(&parsed);
        return 0;
    }
    return store(&s->slot[id], &parsed, origin, where, document, err);
}

int ta_settings_reset(ta_settings *s, ta_setting_id id, ta_error *err)
{
    ta_value parsed;
    int r = ta_value_parse(id, ta_setting(id)->def, &parsed, err);
    return r < 0 ? r : store(&s->slot[id], &parsed, TA_FROM_DEFAULT, NULL, false, err);
}

ta_settings *ta_settings_new(void)
{
    ta_settings *s = ta_alloc(sizeof *s);
    for (int i = 0; s && i < TA_SET_COUNT; i++)
        if (ta_settings_reset(s, (ta_setting_id)i, NULL) < 0)
            ta_settings_free(&s);
    return s;
}

static bool copy_slot(ta_slot *to, const ta_slot *from)
{
    *to = *from;
    to->value.text = ta_strdup(from->value.text);
    to->where = from->where ? ta_strdup(from->where) : NULL;
    return to->value.text && (to->where || !from->where);
}

ta_settings *ta_settings_copy(const ta_settings *s)
{
    ta_settings *copy = ta_alloc(sizeof *copy);
    for (int i = 0; copy && i < TA_SET_COUNT; i++)
        if (!copy_slot(&copy->slot[i], &s->slot[i]))
            ta_settings_free(&copy);
    return copy;
}

void ta_settings_free(ta_settings **s)
{
    if (!s || !*s)
        return;
    for (int i = 0; i < TA_SET_COUNT; i++)
        clear_slot(&(*s)->slot[i]);
    ta_freep(s);
}

int ta_settings_set(ta_settings *s, const char *name, const char *value, ta_origin origin, const char *where,
                    ta_error *err)
{
    int id = ta_setting_find(name);
    if (id < 0)
        return ta_fail_unknown(err, origin, where, name);
    return ta_settings_put(s, (ta_setting_id)id, value, origin, where, false, err);
}

const char *ta_settings_get(const ta_settings *s, const char *name)
{
    int id = ta_setting_find(name);
    return id < 0 ? NULL : s->slot[id].value.text;
}

ta_origin ta_settings_origin(const ta_settings *s, const char *name, const char **where)
{
    int id = ta_setting_find(name);
    if (where)
        *where = id < 0 ? NULL : s->slot[id].where;
    return id < 0 ? TA_FROM_DEFAULT : s->slot[id].origin;
}

void ta_settings_free_text(char *text)
{
    ta_free(text);
}

bool ta_get_bool(const ta_settings *s, ta_setting_id id)
{
    assert(ta_setting(id)->type == TA_TYPE_BOOL);
    return s->slot[id].value.number != 0;
}

int64_t ta_get_int(const ta_settings *s, ta_setting_id id)
{
    ta_setting_type type = ta_setting(id)->type;
    assert(type == TA_TYPE_INT || type == TA_TYPE_SIZE || type == TA_TYPE_BITRATE || type == TA_TYPE_TIME);
    (void)type;
    return s->slot[id].value.number;
}

double ta_get_float(const ta_settings *s, ta_setting_id id)
{
    assert(ta_setting(id)->type == TA_TYPE_FLOAT);
    return s->slot[id].value.real;
}

const char *ta_get_text(const ta_settings *s, ta_setting_id id)
{
    return s->slot[id].value.text;
}

bool ta_get_is(const ta_settings *s, ta_setting_id id, const char *choice)
{
    return !strcmp(s->slot[id].value.text, choice);
}

bool ta_get_was_set(const ta_settings *s, ta_setting_id id)
{
    return s->slot[id].origin != TA_FROM_DEFAULT;
}
