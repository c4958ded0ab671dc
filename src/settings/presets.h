/* Where preset files are, and the text of one. Not for other folders. */
#ifndef TA_SETTINGS_PRESETS_H
#define TA_SETTINGS_PRESETS_H

#include "settings/yaml.h"

/* The shipped presets, made from presets/ at build time; ends with a NULL name. */
typedef struct ta_builtin_preset {
    const char *name, *text;
    size_t size;
} ta_builtin_preset;
extern const ta_builtin_preset ta_builtin_presets[];

/* A preset file, parsed and its keys checked. `label` is the path, or "preset NAME" for a built-in one. */
typedef struct ta_preset_file {
    char *name, *label, *path; /* path NULL: built in */
    ta_yaml yaml;
} ta_preset_file;

/* Finds a preset by name, or by path when it has a '/' or ends with .yaml. TA_ERR_USAGE with the nearest name. Free
 * with ta_preset_file_close, also after a failure. */
int ta_preset_file_open(ta_preset_file *p, const char *name, ta_error *err);
void ta_preset_file_close(ta_preset_file *p);

/* Names of all presets that can be found, sorted, each once, ending with NULL. 0 or TA_ERR_AGAIN; free with
 * ta_preset_names_free. */
int ta_preset_names(char ***names, ta_error *err);
void ta_preset_names_free(char ***names);

#endif
