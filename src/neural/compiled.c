/* The cache of compiled models: a file for each, of a line with the checksum of the rest and the rest. A file that
 * doesn't agree with its checksum is removed, as the engines don't check what they read back. */
#include "neural/compiled.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIGEST = 64, HEADER = DIGEST + 1 };
static const char extension[] = ".compiled";
static const int64_t most_bytes = INT64_C(2) << 30;
static const size_t most_file = (size_t)1 << 31;

/* $XDG_CACHE_HOME/terminalai/compiled; *dir is NULL without a home. */
static int cache_folder(char **dir, const char *wanted, ta_error *err)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    bool xdg = cache && *cache == '/';
    *dir = NULL;
    if (wanted ? !*wanted : !xdg && (!home || !*home))
        return 0;
    if (wanted)
        *dir = ta_strdup(wanted);
    else
        *dir = xdg ? ta_format("%s/terminalai/compiled", cache) : ta_format("%s/.cache/terminalai/compiled", home);
    return *dir ? 0 : ta_no_memory(err);
}

/* Model, microcode-independent: what decides which code the engine makes. */
static void add_cpu(ta_sha256 *h)
{
    char line[2048];
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file && fgets(line, sizeof line, file) && *line != '\n')
        if (ta_starts(line, "model name") || ta_starts(line, "flags") || ta_starts(line, "Features"))
            ta_sha256_add(h, line, strlen(line));
    if (file)
        fclose(file);
}

static void add_text(ta_sha256 *h, const char *text)
{
    ta_sha256_add(h, text, strlen(text) + 1);
}

int ta_compiled_path(char **path, const void *model, size_t size, const char *engine, const char *settings,
                     const char *folder, ta_error *err)
{
    char *dir, hex[65];
    *path = NULL;
    int r = cache_folder(&dir, folder, err);
    if (r < 0 || !dir)
        return r;
    ta_sha256 *h = ta_sha256_new();
    if (h) {
        ta_sha256_add(h, model, size);
        add_text(h, engine);
        add_text(h, settings);
        add_cpu(h);
        ta_sha256_end(&h, hex);
        *path = ta_format("%s/%.40s%s", dir, hex, extension);
    }
    ta_free(dir);
    return *path ? 0 : ta_no_memory(err);
}

static void digest_of(const char *data, size_t size, char hex[65])
{
    ta_sha256 *h = ta_sha256_new();
    *hex = 0;
    if (!h)
        return;
    ta_sha256_add(h, data, size);
    ta_sha256_end(&h, hex);
}

bool ta_compiled_read(const char *path, char **file, const char **data, size_t *size)
{
    char hex[65];
    size_t all;
    *file = NULL;
    if (access(path, R_OK) < 0 || ta_read_file(path, most_file, file, &all, NULL) < 0)
        return false;
    if (all > HEADER) {
        *data = *file + HEADER;
        *size = all - HEADER;
        digest_of(*data, *size, hex);
        if (!memcmp(*file, hex, DIGEST)) {
            utimensat(AT_FDCWD, path, NULL, 0); /* was of use: the last to be removed */
            return true;
        }
    }
    ta_log(TA_LOG_WARN, "neural", "'%s' is damaged; the model is compiled again", path);
    unlink(path);
    ta_freep(file);
    return false;
}

typedef struct kept {
    char *path;
    int64_t bytes, used;
} kept;

static int by_use(const void *a, const void *b)
{
    const kept *x = a, *y = b;
    return (x->used > y->used) - (x->used < y->used);
}

static bool note(kept **list, size_t *count, const char *dir, const char *name)
{
    struct stat st;
    char *path = ta_path_join(dir, name);
    if (!path || stat(path, &st) < 0) {
        ta_free(path);
        return path != NULL;
    }
    kept *more = ta_resize(*list, *count + 1, sizeof *more);
    if (!more) {
        ta_free(path);
        return false;
    }
    *list = more;
    more[(*count)++] = (kept){ path, st.st_size, (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000 };
    return true;
}

/* Removes the least recently used ones while the folder is over its size. */
static void prune(const char *dir_path)
{
    kept *list = NULL;
    size_t count = 0;
    int64_t bytes = 0;
    DIR *dir = opendir(dir_path);
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (ta_ends(e->d_name, extension) && !note(&list, &count, dir_path, e->d_name))
            break;
    if (dir)
        closedir(dir);
    if (count)
        qsort(list, count, sizeof *list, by_use);
    for (size_t i = 0; i < count; i++)
        bytes += list[i].bytes;
    for (size_t i = 0; i < count; i++) {
        if (bytes > most_bytes && !unlink(list[i].path))
            bytes -= list[i].bytes;
        ta_free(list[i].path);
    }
    ta_free(list);
}

static int write_kept(const char *path, const char *data, size_t size, ta_error *err)
{
    char hex[65];
    char *all = ta_array(size + HEADER, 1);
    if (!all)
        return ta_no_memory(err);
    digest_of(data, size, hex);
    memcpy(all, hex, DIGEST);
    all[DIGEST] = '\n';
    memcpy(all + HEADER, data, size);
    int r = ta_write_file(path, all, size + HEADER, true, err);
    ta_free(all);
    return r;
}

void ta_compiled_keep(const char *path, const char *from)
{
    ta_error err = { 0 };
    char text[1024], *data = NULL, *dir = ta_path_dir(path);
    size_t size;
    int r = dir ? ta_read_file(from, most_file, &data, &size, &err) : ta_no_memory(&err);
    unlink(from);
    if (r == 0)
        r = write_kept(path, data, size, &err);
    if (r == 0)
        prune(dir);
    else
        ta_log(TA_LOG_WARN, "neural", "the compiled model is not kept: %s", ta_error_string(&err, text, sizeof text));
    ta_free(data);
    ta_free(dir);
}
