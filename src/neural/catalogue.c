/* The catalogue of models: reads the one that is built in and those of the user. */
#include "neural/texts.h"
#include "neural/store.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/net.h"
#include "settings/settings.h"

static const struct text_key {
    const char *key;
    size_t at;
} text_keys[] = {
    { "title", offsetof(ta_model, title) },
    { "task", offsetof(ta_model, task) },
    { "licence", offsetof(ta_model, licence) },
    { "licence-note", offsetof(ta_model, licence_note) },
    { "package-sha256", offsetof(ta_model, package_sha256) },
    { "tag", offsetof(ta_model, tag) },
    { "path", offsetof(ta_model, path) },
    { "source", offsetof(ta_model, source) },
    { "input", offsetof(ta_model, input) },
    { "layout", offsetof(ta_model, layout) },
    { "notes", offsetof(ta_model, notes) },
};
static const char *const other_keys[] = { "package", "files", "inside", "url", "sha256", "scale", "padding", "size" };
static const char *const tasks[] = { "upscale", "face", "speech", "bandwidth", "stems", "engine", NULL };

static void free_model(ta_model *m)
{
    for (size_t i = 0; i < TA_COUNT(text_keys); i++)
        ta_free(*(char **)((char *)m + text_keys[i].at));
    for (size_t i = 0; i < m->file_count; i++) {
        ta_free(m->files[i].name);
        ta_free(m->files[i].inside);
        ta_free(m->files[i].url);
        ta_free(m->files[i].sha256);
    }
    ta_free(m->files);
    ta_free(m->client);
    ta_free(m->package);
    ta_free(m->version);
    ta_free(m->origin);
    ta_free(m->name);
    memset(m, 0, sizeof *m);
}

/* ---- One value ------------------------------------------------------------------------------------------------ */

static int fail_at(const char *label, const ta_yaml_entry *e, const char *what, ta_error *err)
{
    return ta_fail(err, TA_ERR_CONFIG, "%s:%d: %s: %s", label, e->line, e->key, what);
}

static int need_files(ta_model *m, size_t count, ta_error *err)
{
    if (count <= m->file_count)
        return 0;
    ta_model_file *more = ta_resize(m->files, count, sizeof *more);
    if (!more)
        return ta_no_memory(err);
    memset(more + m->file_count, 0, (count - m->file_count) * sizeof *more);
    m->files = more;
    m->file_count = count;
    return 0;
}

/* The words of a value into the field at `at` of each file. */
static int read_words(ta_model *m, const char *value, size_t at, ta_error *err)
{
    size_t count = 0;
    for (const char *s = value + strspn(value, " \n"); *s; s += strspn(s, " \n")) {
        size_t n = strcspn(s, " \n");
        int r = need_files(m, count + 1, err);
        if (r < 0)
            return r;
        char **field = (char **)((char *)&m->files[count++] + at);
        *field = ta_strndup(s, n);
        if (!*field)
            return ta_no_memory(err);
        s += n;
    }
    return 0;
}

static int read_package(ta_model *m, const char *label, const ta_yaml_entry *e, ta_error *err)
{
    char client[16], package[128], version[64], more;
    if (sscanf(e->value, "%15s %127s %63s %c", client, package, version, &more) != 3 ||
        (strcmp(client, "pip") && strcmp(client, "npm")))
        return fail_at(label, e, "it is written as CLIENT NAME VERSION; clients are pip and npm", err);
    m->client = ta_strdup(client);
    m->package = ta_strdup(package);
    m->version = ta_strdup(version);
    return m->client && m->package && m->version ? 0 : ta_no_memory(err);
}

static int read_number(const char *label, const ta_yaml_entry *e, int64_t most, int64_t *number, ta_error *err)
{
    char *end;
    errno = 0;
    *number = strtoll(e->value, &end, 10);
    bool right = !errno && end != e->value && !*end && *number >= 0 && *number <= most;
    return right ? 0 : fail_at(label, e, "a whole number is expected", err);
}

static int read_other(ta_model *m, const char *label, const ta_yaml_entry *e, ta_error *err)
{
    int64_t number;
    if (!strcmp(e->key, "package"))
        return read_package(m, label, e, err);
    if (!strcmp(e->key, "files"))
        return read_words(m, e->value, offsetof(ta_model_file, name), err);
    if (!strcmp(e->key, "inside"))
        return read_words(m, e->value, offsetof(ta_model_file, inside), err);
    if (!strcmp(e->key, "url"))
        return read_words(m, e->value, offsetof(ta_model_file, url), err);
    if (!strcmp(e->key, "sha256"))
        return read_words(m, e->value, offsetof(ta_model_file, sha256), err);
    int r = read_number(label, e, !strcmp(e->key, "size") ? INT64_MAX : 100000, &number, err);
    if (!strcmp(e->key, "size"))
        m->size = number;
    else
        *(!strcmp(e->key, "scale") ? &m->scale : &m->padding) = (int)number;
    return r;
}

static int fail_key(const char *label, const ta_yaml_entry *e, ta_error *err)
{
    const char *names[TA_COUNT(text_keys) + TA_COUNT(other_keys) + 1];
    size_t n = 0;
    for (size_t i = 0; i < TA_COUNT(text_keys); i++)
        names[n++] = text_keys[i].key;
    for (size_t i = 0; i < TA_COUNT(other_keys); i++)
        names[n++] = other_keys[i];
    names[n] = NULL;
    const char *near = ta_nearest(e->key, names);
    fail_at(label, e, "no part of a model's entry", err);
    return near ? ta_hint(err, "did you mean '%s'?", near) : TA_ERR_CONFIG;
}

static int read_value(ta_model *m, const char *label, const ta_yaml_entry *e, ta_error *err)
{
    for (size_t i = 0; i < TA_COUNT(text_keys); i++) {
        if (strcmp(e->key, text_keys[i].key))
            continue;
        char **field = (char **)((char *)m + text_keys[i].at);
        *field = ta_strdup(e->value);
        return *field ? 0 : ta_no_memory(err);
    }
    for (size_t i = 0; i < TA_COUNT(other_keys); i++)
        if (!strcmp(e->key, other_keys[i]))
            return read_other(m, label, e, err);
    return fail_key(label, e, err);
}

/* ---- One entry ------------------------------------------------------------------------------------------------ */

static bool is_digest(const char *s)
{
    return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

bool ta_model_name_fits(const char *name)
{
    return *name && *name != '.' && *name != '-' && strlen(name) < 200 && !strchr(name, '/') &&
           !strpbrk(name, " \n\t:=");
}

bool ta_model_by_url(const ta_model *m)
{
    for (size_t i = 0; i < m->file_count; i++)
        if (m->files[i].url)
            return true;
    return false;
}

static const char *file_fault(const ta_model *m, const ta_model_file *f)
{
    if (!f->name || !ta_model_name_fits(f->name))
        return "files, inside, url and sha256 must have as many words, and files are plain names";
    if (f->sha256 && !is_digest(f->sha256))
        return "a SHA-256 has 64 hexadecimal digits in lower case";
    if (m->package && (!f->inside || !f->sha256))
        return "each file of a package needs its place inside and its sha256";
    if (ta_model_by_url(m) && (!f->url || !ta_is_url(f->url) || !f->sha256))
        return "each file needs its url, which is http:// or https://, and its sha256";
    return NULL;
}

static const char *model_fault(const ta_model *m)
{
    const char *fault = NULL;
    if (!ta_model_name_fits(m->name))
        return "its name can't be the name of a folder";
    if (!m->task || !m->licence || !m->file_count)
        return "task, licence and files are needed";
    if (!!m->package + !!m->path + !!m->source + ta_model_by_url(m) != 1)
        return "one of package, url, path and source is needed";
    if (m->package && (!m->package_sha256 || !is_digest(m->package_sha256) || (!m->tag && !strcmp(m->client, "pip"))))
        return "a package needs its package-sha256, and one of pip's its tag";
    for (size_t i = 0; !fault && i < m->file_count; i++)
        fault = file_fault(m, &m->files[i]);
    for (size_t i = 0; !fault && tasks[i]; i++)
        if (!strcmp(m->task, tasks[i]))
            return NULL;
    return fault ? fault : "task is one of upscale, face, speech, bandwidth, stems, engine";
}

static ta_model *place(ta_catalogue *c, const char *name)
{
    for (size_t i = 0; i < c->count; i++)
        if (!strcmp(c->models[i].name, name)) {
            free_model(&c->models[i]);
            return &c->models[i];
        }
    ta_model *more = ta_resize(c->models, c->count + 1, sizeof *more);
    if (!more)
        return NULL;
    c->models = more;
    memset(&more[c->count], 0, sizeof *more);
    return &more[c->count++];
}

/* The entry whose values begin at `first`. */
static int read_model(ta_catalogue *c, const ta_yaml *y, size_t first, const char *label, const char *origin,
                      ta_error *err)
{
    const char *name = y->entries[first].section;
    ta_model *m = place(c, name);
    if (!m || !(m->name = ta_strdup(name)) || (origin && !(m->origin = ta_strdup(origin))))
        return ta_no_memory(err);
    int r = 0;
    for (size_t i = first; r == 0 && i < y->count && ta_streq(y->entries[i].section, name); i++)
        r = read_value(m, label, &y->entries[i], err);
    const char *fault = r == 0 ? model_fault(m) : NULL;
    return fault ? ta_fail(err, TA_ERR_CONFIG, "%s:%d: model %s: %s", label, y->entries[first].line, name, fault) : r;
}

static int read_models(ta_catalogue *c, const ta_yaml *y, const char *label, const char *origin, ta_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < y->count; i++) {
        const ta_yaml_entry *e = &y->entries[i];
        if (!e->section)
            return ta_fail(err, TA_ERR_CONFIG, "%s:%d: '%s' is no model's mapping", label, e->line, e->key);
        if (!i || !ta_streq(e->section, y->entries[i - 1].section))
            r = read_model(c, y, i, label, origin, err);
    }
    return r;
}

/* ---- The whole ------------------------------------------------------------------------------------------------ */

static int read_file(ta_catalogue *c, const char *path, ta_error *err)
{
    ta_yaml y;
    if (access(path, F_OK) < 0)
        return 0;
    int r = ta_yaml_read(&y, path, err);
    if (r == 0)
        r = read_models(c, &y, path, path, err);
    ta_yaml_free(&y);
    return r;
}

static int read_built_in(ta_catalogue *c, ta_error *err)
{
    ta_yaml y;
    int r = ta_yaml_parse(&y, "catalogue.yaml", ta_text_catalogue, ta_text_catalogue_size, err);
    if (r == 0)
        r = read_models(c, &y, "catalogue.yaml", NULL, err);
    ta_yaml_free(&y);
    return r;
}

static int read_config(ta_catalogue *c, ta_error *err)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    bool xdg = config && *config == '/';
    if (!xdg && (!home || !*home))
        return 0;
    char *path =
        xdg ? ta_format("%s/terminalai/models.yaml", config) : ta_format("%s/.config/terminalai/models.yaml", home);
    int r = path ? read_file(c, path, err) : ta_no_memory(err);
    ta_free(path);
    return r;
}

/* The entries that `models import` wrote, a file each. */
static int read_store(ta_catalogue *c, ta_error *err)
{
    char *store;
    if (ta_store_folder("models", &store, NULL) < 0)
        return 0;
    DIR *dir = opendir(store);
    int r = 0;
    for (struct dirent *e; r == 0 && dir && (e = readdir(dir));) {
        if (*e->d_name == '.' || !ta_ends(e->d_name, ".yaml"))
            continue;
        char *path = ta_path_join(store, e->d_name);
        r = path ? read_file(c, path, err) : ta_no_memory(err);
        ta_free(path);
    }
    if (dir)
        closedir(dir);
    ta_free(store);
    return r;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const ta_model *)a)->name, ((const ta_model *)b)->name);
}

int ta_catalogue_open(ta_catalogue **c, ta_error *err)
{
    ta_catalogue *fresh = ta_alloc(sizeof *fresh);
    *c = NULL;
    if (!fresh)
        return ta_no_memory(err);
    int r = read_built_in(fresh, err);
    if (r == 0)
        r = read_config(fresh, err);
    if (r == 0)
        r = read_store(fresh, err);
    if (r < 0) {
        ta_catalogue_free(&fresh);
        return r;
    }
    qsort(fresh->models, fresh->count, sizeof *fresh->models, by_name);
    *c = fresh;
    return 0;
}

void ta_catalogue_free(ta_catalogue **c)
{
    if (!c || !*c)
        return;
    for (size_t i = 0; i < (*c)->count; i++)
        free_model(&(*c)->models[i]);
    ta_free((*c)->models);
    ta_freep(c);
}

int ta_catalogue_find(const ta_catalogue *c, const char *name, const ta_model **m, ta_error *err)
{
    const char **names = ta_array(c->count + 1, sizeof *names);
    *m = NULL;
    if (!names)
        return ta_no_memory(err);
    for (size_t i = 0; i < c->count; i++) {
        names[i] = c->models[i].name;
        if (!strcmp(names[i], name))
            *m = &c->models[i];
    }
    const char *near = *m ? NULL : ta_nearest(name, names);
    ta_free(names);
    if (*m)
        return 0;
    ta_fail(err, TA_ERR_USAGE, "there is no model '%s' in the catalogue", name);
    return near ? ta_hint(err, "did you mean '%s'?", near) : ta_hint(err, "`terminalai models list` lists them");
}
