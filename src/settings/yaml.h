/* The small part of YAML that configuration and presets use: one mapping of names to scalars, and one
 * nested mapping of each name. Other folders get it with settings/settings.h. */
#ifndef TA_SETTINGS_YAML_H
#define TA_SETTINGS_YAML_H

#include "base/base.h"

typedef struct ta_yaml_entry {
    char *section; /* name of the nested mapping it stands in, else NULL */
    char *key, *value;
    int line; /* of the key, from 1 */
} ta_yaml_entry;

typedef struct ta_yaml {
    ta_yaml_entry *entries;
    size_t count, cap;
} ta_yaml;

/* Parses `text`. An empty document gives no entries. TA_ERR_CONFIG with "name:line: what": bad YAML, a list, a name
 * given twice, an anchor, a second document. Free with ta_yaml_free, also after a failure. */
int ta_yaml_parse(ta_yaml *y, const char *name, const char *text, size_t size, ta_error *err);
/* The same for a file of at most 1 MiB. */
int ta_yaml_read(ta_yaml *y, const char *path, ta_error *err);
void ta_yaml_free(ta_yaml *y);
/* The value of a key outside of any section, or NULL. */
const char *ta_yaml_get(const ta_yaml *y, const char *key);

#endif
