/* Settings: named values with an origin, checked against one table.
 *
 * Precedence, weakest first: built-in default, preset, system file (/etc/terminalai/config.yaml), user file
 * ($XDG_CONFIG_HOME/terminalai/config.yaml), environment (TERMINALAI_AUDIO_CODEC for audio-codec), command line. So a
 * preset replaces defaults, and whatever a person set explicitly wins over it, in whichever order they are given. */
#ifndef TERMINALAI_SETTINGS_H
#define TERMINALAI_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "terminalai/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A full set of values. Not thread safe; a set that nobody changes may be read from many threads. */
typedef struct ta_settings ta_settings;

typedef enum ta_origin {
    TA_FROM_DEFAULT,
    TA_FROM_PRESET,
    TA_FROM_SYSTEM_FILE,
    TA_FROM_USER_FILE,
    TA_FROM_ENVIRONMENT,
    TA_FROM_COMMAND_LINE
} ta_origin;

/* All settings at their defaults, or NULL when out of memory. Free with ta_settings_free (NULL inside allowed). */
ta_settings *ta_settings_new(void);
ta_settings *ta_settings_copy(const ta_settings *s);
void ta_settings_free(ta_settings **s);

/* Sets one value. `where` is shown in errors and by `settings --origin` ("config.yaml:12", "--crf"); may be NULL.
 * A value already set from a stronger origin is kept. TA_ERR_USAGE (TA_ERR_CONFIG for files and presets), naming the
 * nearest right name or choice, or the range. */
int ta_settings_set(ta_settings *s, const char *name, const char *value, ta_origin origin, const char *where,
                    ta_error *err);
/* The value as text, as it could be set again; "" when not set; NULL when there is no such setting. Valid until the
 * next change of `s`. */
const char *ta_settings_get(const ta_settings *s, const char *name);
/* Where the value came from; `where` may be NULL. */
ta_origin ta_settings_origin(const ta_settings *s, const char *name, const char **where);

/* Reads the system file, the user file and the environment. Missing files are fine; unknown names are errors. */
int ta_settings_load(ta_settings *s, ta_error *err);
/* Reads one YAML mapping of names to values. */
int ta_settings_load_file(ta_settings *s, const char *path, ta_origin origin, ta_error *err);
/* Applies the preset named by the setting `preset` (with what it inherits), then checks contradictions between
 * settings. Call once, after everything was set. `warnings`, when given, receives a new string with a line for each
 * remark (ta_free'd by the caller as free(3) memory of this library: use ta_settings_free_text), or NULL. */
int ta_settings_resolve(ta_settings *s, char **warnings, ta_error *err);
void ta_settings_free_text(char *text);

/* JSON object of all job settings (and run settings when `all`), in table order; free with ta_settings_free_text.
 * NULL when out of memory. */
char *ta_settings_json(const ta_settings *s, bool all);
/* Sets every name of a JSON object. TA_ERR_USAGE as in ta_settings_set. */
int ta_settings_from_json(ta_settings *s, const char *json, ta_origin origin, ta_error *err);
/* JSON Schema (draft 2020-12) of the table. */
char *ta_settings_schema(void);

#ifdef __cplusplus
}
#endif
#endif
