/* Presets: what one inherits comes first, then its own settings; all of it weaker than what a person set. */
#include "settings/presets.h"
#include "settings/values.h"

#include <string.h>

/* The presets that led here by `inherits`, innermost first. */
typedef struct chain {
    const char *name;
    const struct chain *heir;
} chain;

static int apply(ta_settings *s, const char *name, const chain *heir, ta_buf *notes, ta_error *err);

static int apply_row(ta_settings *s, const ta_preset_file *p, const ta_yaml_entry *e, ta_error *err)
{
    char *where = ta_format("%s:%d", p->label, e->line);
    int id = ta_setting_find(e->key), r;
    if (!where)
        r = ta_no_memory(err);
    else if (id == TA_SET_preset)
        r = ta_fail(err, TA_ERR_CONFIG, "%s: a preset builds on another by 'inherits:'", where);
    else if (id >= 0 && ta_setting((ta_setting_id)id)->run)
        r = ta_fail(err, TA_ERR_CONFIG, "%s: %s says how the program runs and is no part of a preset", where, e->key);
    else
        r = ta_settings_set(s, e->key, e->value, TA_FROM_PRESET, where, err);
    ta_free(where);
    return r;
}

static int refuse(const ta_preset_file *p, const char *reason, ta_error *err)
{
    const char *instead = ta_yaml_get(&p->yaml, "instead");
    ta_fail(err, TA_ERR_UNAVAILABLE, "%s: %s", p->label, reason);
    return instead ? ta_hint(err, "%s", instead) : TA_ERR_UNAVAILABLE;
}

static int apply_parent(ta_settings *s, const ta_preset_file *p, const chain *self, ta_buf *notes, ta_error *err)
{
    const char *parent = ta_yaml_get(&p->yaml, "inherits");
    ta_error local;
    ta_error *e = err ? err : &local;
    if (!parent || !*parent)
        return 0;
    int r = apply(s, parent, self, notes, e);
    if (r == TA_ERR_USAGE)
        e->code = TA_ERR_CONFIG; /* not the command line's fault */
    return r < 0 ? ta_wrap(e, "%s, inherits", p->label) : 0;
}

static int apply_file(ta_settings *s, const ta_preset_file *p, const chain *self, ta_buf *notes, ta_error *err)
{
    const char *refused = ta_yaml_get(&p->yaml, "refused"), *note = ta_yaml_get(&p->yaml, "note");
    if (refused)
        return refuse(p, refused, err);
    int r = apply_parent(s, p, self, notes, err);
    for (size_t i = 0; r == 0 && i < p->yaml.count; i++)
        if (p->yaml.entries[i].section)
            r = apply_row(s, p, &p->yaml.entries[i], err);
    if (r == 0 && note && notes)
        ta_buf_addf(notes, "preset %s: %s\n", p->name, note);
    return r;
}

static int apply(ta_settings *s, const char *name, const chain *heir, ta_buf *notes, ta_error *err)
{
    ta_preset_file p;
    for (const chain *c = heir; c; c = c->heir) {
        if (strcmp(c->name, name))
            continue;
        ta_fail(err, TA_ERR_CONFIG, "preset %s inherits itself", name);
        return ta_hint(err, "give one of the presets another parent");
    }
    int r = ta_preset_file_open(&p, name, err);
    if (r == 0)
        r = apply_file(s, &p, &(chain){ name, heir }, notes, err);
    ta_preset_file_close(&p);
    return r;
}

int ta_preset_apply_noted(ta_settings *s, const char *name, ta_buf *notes, ta_error *err)
{
    return apply(s, name, NULL, notes, err);
}

int ta_preset_apply(ta_settings *s, const char *name, ta_error *err)
{
    return apply(s, name, NULL, NULL, err);
}

/* A copy, where there is something to copy. */
static bool copy_text(char **out, const char *text)
{
    *out = text ? ta_strdup(text) : NULL;
    return *out || !text;
}

static int describe(ta_preset_info *info, const char *name, ta_error *err)
{
    ta_preset_file p;
    int r = ta_preset_file_open(&p, name, err);
    if (r == 0) {
        bool copied = copy_text(&info->name, name) && copy_text(&info->title, ta_yaml_get(&p.yaml, "title")) &&
                      copy_text(&info->inherits, ta_yaml_get(&p.yaml, "inherits")) && copy_text(&info->path, p.path) &&
                      copy_text(&info->note, ta_yaml_get(&p.yaml, "note")) &&
                      copy_text(&info->refused, ta_yaml_get(&p.yaml, "refused"));
        r = copied ? 0 : ta_no_memory(err);
    }
    ta_preset_file_close(&p);
    return r;
}

int ta_presets_list(ta_preset_info **list, size_t *count, ta_error *err)
{
    char **names = NULL;
    *list = NULL;
    *count = 0;
    int r = ta_preset_names(&names, err);
    size_t n = 0;
    while (r == 0 && names[n])
        n++;
    if (r == 0 && !(*list = ta_array(n, sizeof **list)))
        r = ta_no_memory(err);
    for (; r == 0 && *count < n; (*count)++)
        r = describe(&(*list)[*count], names[*count], err);
    ta_preset_names_free(&names);
    if (r < 0)
        ta_presets_free(list, n);
    return r;
}

void ta_presets_free(ta_preset_info **list, size_t count)
{
    for (size_t i = 0; *list && i < count; i++) {
        ta_preset_info *p = &(*list)[i];
        ta_free(p->name);
        ta_free(p->title);
        ta_free(p->inherits);
        ta_free(p->path);
        ta_free(p->note);
        ta_free(p->refused);
    }
    ta_freep(list);
}
