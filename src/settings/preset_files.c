/* Finding presets: the user's folders first, so that a file can replace a shipped preset; then the built-in ones, so
 * that an older installation does not change what this program means by a name; then the installation's folder, where
 * an administrator may add some. */
#include "settings/presets.h"
#include "settings/values.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { USER_FOLDERS = 2, FOLDERS = 3 };

/* $TERMINALAI_DATA/presets, the user's data folder, the installation's; *dir is NULL where there is none. */
static int folder(int i, char **dir, ta_error *err)
{
    const char *data = getenv("TERMINALAI_DATA");
    if (i == 1)
        return ta_user_path(dir, "XDG_DATA_HOME", ".local/share", "presets", err);
    *dir = NULL;
    if (i == 0 && (!data || !*data))
        return 0;
    *dir = i == 0 ? ta_path_join(data, "presets") : ta_strdup(TA_DATA_DIR "/presets");
    return *dir ? 0 : ta_no_memory(err);
}

static bool is_path(const char *name)
{
    return strchr(name, '/') || ta_ends(name, ".yaml") || ta_ends(name, ".yml");
}

/* *path becomes DIR/NAME.yaml when that file is there, else NULL. */
static int look_in(const char *dir, const char *name, char **path, ta_error *err)
{
    *path = ta_format("%s/%s.yaml", dir, name);
    if (!*path)
        return ta_no_memory(err);
    if (access(*path, F_OK) < 0)
        ta_freep(path);
    return 0;
}

/* The path of NAME.yaml in the first of these folders that has it; *path stays NULL when none has. */
static int find_in_folders(const char *name, int first, int end, char **path, ta_error *err)
{
    int r = 0;
    for (int i = first; r == 0 && !*path && i < end; i++) {
        char *dir;
        r = folder(i, &dir, err);
        if (dir)
            r = look_in(dir, name, path, err);
        ta_free(dir);
    }
    return r;
}

static const ta_builtin_preset *find_builtin(const char *name)
{
    for (const ta_builtin_preset *b = ta_builtin_presets; b->name; b++)
        if (!strcmp(b->name, name))
            return b;
    return NULL;
}

static int fail_missing(const char *name, ta_error *err)
{
    char **names = NULL;
    int r = ta_preset_names(&names, err);
    if (r < 0)
        return r;
    const char *near = ta_nearest(name, (const char *const *)names);
    ta_fail(err, TA_ERR_USAGE, "there is no preset '%s'", name);
    if (near)
        ta_hint(err, "did you mean '%s'?", near);
    else
        ta_hint(err, "`terminalai presets` lists them");
    ta_preset_names_free(&names);
    return TA_ERR_USAGE;
}

static int check_key(const ta_preset_file *p, const ta_yaml_entry *e, ta_error *err)
{
    static const char *const keys[] = { "name", "title", "inherits", "note", "refused", "instead", "settings", NULL };
    const char *key = e->section ? e->section : e->key;
    for (size_t i = 0; keys[i]; i++)
        if (!strcmp(key, keys[i]) && !strcmp(key, "settings") == (e->section != NULL))
            return 0;
    const char *near = ta_nearest(key, keys);
    ta_fail(err, TA_ERR_CONFIG, "%s:%d: '%s' is no part of a preset", p->label, e->line, key);
    if (ta_setting_find(key) >= 0)
        return ta_hint(err, "settings stand under 'settings:'");
    return near ? ta_hint(err, "did you mean '%s'?", near) : TA_ERR_CONFIG;
}

static int check_keys(const ta_preset_file *p, ta_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < p->yaml.count; i++)
        r = check_key(p, &p->yaml.entries[i], err);
    const char *name = r == 0 ? ta_yaml_get(&p->yaml, "name") : NULL;
    if (name && strcmp(name, p->name)) {
        ta_fail(err, TA_ERR_CONFIG, "%s: it calls itself '%s'", p->label, name);
        return ta_hint(err, "name the file %s.yaml, or leave out 'name:'", name);
    }
    return r;
}

static int read_preset(ta_preset_file *p, const ta_builtin_preset *builtin, ta_error *err)
{
    if (builtin)
        return ta_yaml_parse(&p->yaml, p->label, builtin->text, builtin->size, err);
    int r = ta_yaml_read(&p->yaml, p->path, err);
    return r < 0 ? ta_wrap(err, "preset") : 0;
}

/* Where the preset is: p->path, or *builtin. */
static int locate(ta_preset_file *p, const char *name, const ta_builtin_preset **builtin, ta_error *err)
{
    if (is_path(name)) {
        p->path = ta_strdup(name);
        return p->path ? 0 : ta_no_memory(err);
    }
    int r = find_in_folders(name, 0, USER_FOLDERS, &p->path, err);
    if (r < 0 || p->path || (*builtin = find_builtin(name)))
        return r;
    r = find_in_folders(name, USER_FOLDERS, FOLDERS, &p->path, err);
    return r < 0 || p->path ? r : fail_missing(name, err);
}

int ta_preset_file_open(ta_preset_file *p, const char *name, ta_error *err)
{
    const ta_builtin_preset *builtin = NULL;
    memset(p, 0, sizeof *p);
    int r = locate(p, name, &builtin, err);
    if (r < 0)
        return r;
    p->name = p->path ? ta_path_stem(p->path) : ta_strdup(name);
    p->label = p->path ? ta_strdup(p->path) : ta_format("preset %s", name);
    if (!p->name || !p->label)
        return ta_no_memory(err);
    r = read_preset(p, builtin, err);
    return r < 0 ? r : check_keys(p, err);
}

void ta_preset_file_close(ta_preset_file *p)
{
    ta_freep(&p->name);
    ta_freep(&p->label);
    ta_freep(&p->path);
    ta_yaml_free(&p->yaml);
}

/* Takes over `name`. */
static int add_name(char ***names, size_t *count, char *name)
{
    for (size_t i = 0; name && i < *count; i++) {
        if (strcmp((*names)[i], name))
            continue;
        ta_free(name);
        return 0;
    }
    char **more = name ? ta_resize(*names, *count + 2, sizeof *more) : NULL;
    if (!more) {
        ta_free(name);
        return TA_ERR_AGAIN;
    }
    more[(*count)++] = name;
    more[*count] = NULL;
    *names = more;
    return 0;
}

static int add_folder(char ***names, size_t *count, const char *path)
{
    DIR *dir = opendir(path);
    int r = 0;
    for (struct dirent *e; dir && r == 0 && (e = readdir(dir));)
        if (e->d_name[0] != '.' && ta_ends(e->d_name, ".yaml"))
            r = add_name(names, count, ta_path_stem(e->d_name));
    if (dir)
        closedir(dir);
    return r;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int ta_preset_names(char ***names, ta_error *err)
{
    size_t count = 0;
    int r = 0;
    *names = NULL;
    for (const ta_builtin_preset *b = ta_builtin_presets; r == 0 && b->name; b++)
        r = add_name(names, &count, ta_strdup(b->name));
    for (int i = 0; r == 0 && i < FOLDERS; i++) {
        char *dir;
        r = folder(i, &dir, err);
        if (dir)
            r = add_folder(names, &count, dir);
        ta_free(dir);
    }
    if (r < 0) {
        ta_preset_names_free(names);
        return ta_no_memory(err);
    }
    qsort(*names, count, sizeof **names, by_name);
    return 0;
}

void ta_preset_names_free(char ***names)
{
    for (size_t i = 0; *names && (*names)[i]; i++)
        ta_free((*names)[i]);
    ta_freep(names);
}
