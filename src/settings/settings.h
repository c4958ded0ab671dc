/* settings: the table of settings, values, presets, and everything generated from the table.
 * Knows base only. This is the one header that other folders include. */
#ifndef TA_SETTINGS_SETTINGS_H
#define TA_SETTINGS_SETTINGS_H

#include "base/base.h"
#include "settings/yaml.h"
#include "terminalai/settings.h"

/* One id a row of table.def: TA_SET_crf. */
typedef enum ta_setting_id {
#define GROUP(id, title)
#define SETTING(id, ...) TA_SET_##id,
#include "settings/table.def"
#undef SETTING
#undef GROUP
    TA_SET_COUNT
} ta_setting_id;

typedef enum ta_setting_type {
    TA_TYPE_BOOL,
    TA_TYPE_INT,
    TA_TYPE_FLOAT,
    TA_TYPE_CHOICE,
    TA_TYPE_TEXT,
    TA_TYPE_PATH,
    TA_TYPE_TIME,
    TA_TYPE_SIZE,
    TA_TYPE_BITRATE
} ta_setting_type;

typedef struct ta_setting_info {
    const char *name;
    ta_setting_type type;
    const char *def;
    double min, max;
    const char *unit, *choices, *group; /* group: its title */
    bool run;                           /* scope RUN */
    const char *when, *since, *help;
    const char *group_id; /* "audio" */
} ta_setting_info;

/* The row of a setting; never NULL. */
const ta_setting_info *ta_setting(ta_setting_id id);
/* The id of a name, or -1. */
int ta_setting_find(const char *name);
/* All names in table order, ending with NULL. */
const char *const *ta_setting_names(void);

/* Typed values; the type must be the row's (checked by assert). Not-set TIME is -1, not-set SIZE 0, BITRATE auto 0. */
bool ta_get_bool(const ta_settings *s, ta_setting_id id);
int64_t ta_get_int(const ta_settings *s, ta_setting_id id); /* INT, SIZE, BITRATE; TIME in microseconds */
double ta_get_float(const ta_settings *s, ta_setting_id id);
const char *ta_get_text(const ta_settings *s, ta_setting_id id);            /* any type, as text */
bool ta_get_is(const ta_settings *s, ta_setting_id id, const char *choice); /* text equals */
bool ta_get_was_set(const ta_settings *s, ta_setting_id id);                /* not from the default */

/* The texts below are freed with ta_free; NULL = out of memory. */

/* The help text of the settings for a terminal `width` columns wide; `group` is an id or a title,
 * NULL = all. */
char *ta_settings_help(const char *group, int width);
char *ta_settings_markdown(void); /* docs/settings.md */
char *ta_settings_man(void);      /* the settings' part of the manual page (roff) */
/* Shell completion ("bash", "zsh", "fish") for these verbs (NULL-terminated); NULL when the shell is unknown. */
char *ta_settings_completion(const char *shell, const char *const *verbs);
/* YAML lines "name: value" that a configuration file may hold, of the job settings (and run settings when `all`) whose
 * origin is `least` or stronger; those that have no effect here are comments. */
char *ta_settings_yaml(const ta_settings *s, bool all, ta_origin least);
/* A table of values and where they came from. */
char *ta_settings_origins(const ta_settings *s);

/* Presets: YAML files, found as NAME.yaml in $TERMINALAI_DATA/presets, then $XDG_DATA_HOME/terminalai/presets, then
 * among those built into the program (all of presets/), then in the installation's share/terminalai/presets. Form:
 *   name: vhs_heavy                            # may be left out: the file's name
 *   title: VHS, heavy noise
 *   inherits: vhs_standard
 *   note: said as a warning when the preset is used
 *   settings: { denoise-strength: "8:6:12:9" }
 * A preset with `refused: REASON` (and `instead: WHAT TO DO`) can't be used: TA_ERR_UNAVAILABLE. */
typedef struct ta_preset_info {
    char *name, *title, *inherits, *path; /* path NULL: built in */
    char *note, *refused;                 /* NULL: none */
} ta_preset_info;
/* All presets in order of name; free with ta_presets_free. */
int ta_presets_list(ta_preset_info **list, size_t *count, ta_error *err);
void ta_presets_free(ta_preset_info **list, size_t count);
/* Applies a preset by name or path with all it inherits (a cycle is an error). */
int ta_preset_apply(ta_settings *s, const char *name, ta_error *err);

#endif
