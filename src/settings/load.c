/* Values from files and from the environment. */
#include "settings/values.h"
#include "settings/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREFIX "TERMINALAI_"

extern char **environ;

/* Variables with our prefix that are no settings: where things are, and hooks of tests. */
static bool is_reserved(const char *name)
{
    static const char *const names[] = { "SYSTEM_CONFIG", "DATA", "FAIL_ALLOC", "QUEUE" };
    for (size_t i = 0; i < TA_COUNT(names); i++)
        if (!strcmp(name, names[i]))
            return true;
    return ta_starts(name, "TEST_") || ta_starts(name, "BENCH_") || ta_starts(name, "NOTIFY_");
}

int ta_settings_load_file(ta_settings *s, const char *path, ta_origin origin, ta_error *err)
{
    ta_yaml y;
    int r = ta_yaml_read(&y, path, err);
    for (size_t i = 0; r == 0 && i < y.count; i++) {
        const ta_yaml_entry *e = &y.entries[i];
        char *where = ta_format("%s:%d", path, e->line);
        if (!where)
            r = ta_no_memory(err);
        else if (e->section)
            r = ta_fail(err, TA_ERR_CONFIG, "%s: '%s' has values below it, which no setting has", where, e->section);
        else
            r = ta_settings_set(s, e->key, e->value, origin, where, err);
        ta_free(where);
    }
    ta_yaml_free(&y);
    return r;
}

static int load_if_there(ta_settings *s, const char *path, ta_origin origin, ta_error *err)
{
    return access(path, F_OK) < 0 ? 0 : ta_settings_load_file(s, path, origin, err);
}

static int load_system_file(ta_settings *s, ta_error *err)
{
    const char *path = getenv(PREFIX "SYSTEM_CONFIG");
    return load_if_there(s, path && *path ? path : "/etc/terminalai/config.yaml", TA_FROM_SYSTEM_FILE, err);
}

static int load_user_file(ta_settings *s, ta_error *err)
{
    char *path;
    int r = ta_user_path(&path, "XDG_CONFIG_HOME", ".config", "config.yaml", err);
    if (path)
        r = load_if_there(s, path, TA_FROM_USER_FILE, err);
    ta_free(path);
    return r;
}

/* TERMINALAI_AUDIO_CODEC -> audio-codec; false when it is too long for any setting. */
static bool to_setting_name(const char *variable, size_t length, char *out, size_t size)
{
    if (length >= size)
        return false;
    for (size_t i = 0; i < length; i++) {
        char c = variable[i];
        out[i] = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    out[length] = 0;
    return true;
}

static int load_variable(ta_settings *s, const char *entry, ta_error *err)
{
    char name[64], where[96];
    const char *bare = entry + strlen(PREFIX);
    size_t length = strcspn(bare, "=");
    if (bare[length] != '=')
        return 0;
    snprintf(where, sizeof where, "%.*s", (int)(length + strlen(PREFIX)), entry);
    if (is_reserved(where + strlen(PREFIX)))
        return 0;
    if (!to_setting_name(bare, length, name, sizeof name))
        return ta_fail_unknown(err, TA_FROM_ENVIRONMENT, NULL, where);
    if (ta_setting_find(name) < 0)
        return ta_fail_unknown(err, TA_FROM_ENVIRONMENT, where, name);
    return ta_settings_set(s, name, bare + length + 1, TA_FROM_ENVIRONMENT, where, err);
}

static int load_environment(ta_settings *s, ta_error *err)
{
    int r = 0;
    for (char **e = environ; e && *e && r == 0; e++)
        if (ta_starts(*e, PREFIX))
            r = load_variable(s, *e, err);
    return r;
}

int ta_settings_load(ta_settings *s, ta_error *err)
{
    int r = load_system_file(s, err);
    if (r == 0)
        r = load_user_file(s, err);
    return r == 0 ? load_environment(s, err) : r;
}

int ta_user_path(char **path, const char *variable, const char *below_home, const char *name, ta_error *err)
{
    const char *base = getenv(variable), *home = getenv("HOME");
    bool xdg = base && *base == '/'; /* the specification: relative paths are to be ignored */
    *path = NULL;
    if (!xdg && (!home || !*home))
        return 0;
    *path = xdg ? ta_format("%s/terminalai/%s", base, name) : ta_format("%s/%s/terminalai/%s", home, below_home, name);
    return *path ? 0 : ta_no_memory(err);
}
