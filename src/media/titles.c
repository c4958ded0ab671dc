/* DVD folders and joined VOBs: which files make up one title, and how a title is known again. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "media/internal.h"

enum { MAX_SETS = 100, MAX_VOBS = 10 };

/* "VTS_03_2.VOB" -> set 3, part 2. */
static bool parse_vob(const char *name, int *set, int *vob)
{
    char tail[8];
    return strlen(name) == 12 && sscanf(name, "%*1[Vv]%*1[Tt]%*1[Ss]_%2d_%1d%4s", set, vob, tail) == 3 &&
           strcasecmp(tail, ".vob") == 0;
}

static int add_path(char ***paths, int *count, char *path, ta_error *err)
{
    char **grown = path ? ta_resize(*paths, (size_t)*count + 1, sizeof *grown) : NULL;
    if (!grown) {
        ta_free(path);
        return ta_no_memory(err);
    }
    *paths = grown;
    grown[(*count)++] = path;
    return 0;
}

static void free_paths(char ***paths, int *count)
{
    for (int i = 0; i < *count; i++)
        ta_free((*paths)[i]);
    ta_freep(paths);
    *count = 0;
}

/* The names of a folder's VOBs by set and part; missing ones stay empty. */
typedef struct vob_table {
    char name[MAX_SETS][MAX_VOBS][16];
    int64_t bytes[MAX_SETS];
} vob_table;

static int read_folder(const char *dir, vob_table *t, ta_error *err)
{
    DIR *d = opendir(dir);
    if (!d)
        return ta_fail_errno(err, errno, false, "open", dir);
    for (struct dirent *e; (e = readdir(d));) {
        int set, vob;
        char *path;
        if (!parse_vob(e->d_name, &set, &vob) || set < 1 || vob < 1)
            continue;
        memcpy(t->name[set][vob], e->d_name, 13);
        if ((path = ta_path_join(dir, e->d_name)))
            t->bytes[set] += TA_MAX(ta_file_size(path), 0);
        ta_free(path);
    }
    closedir(d);
    return 0;
}

static int take_set(const char *dir, const vob_table *t, int set, int first, char ***paths, int *count, ta_error *err)
{
    int r = 0;
    for (int vob = first; vob < MAX_VOBS && t->name[set][vob][0] && r >= 0; vob++)
        r = add_path(paths, count, ta_path_join(dir, t->name[set][vob]), err);
    return r;
}

static int longest_set(const char *dir, const vob_table *t, char ***paths, int *count, ta_error *err)
{
    int best = 0;
    for (int set = 1; set < MAX_SETS; set++)
        if (t->bytes[set] > t->bytes[best])
            best = set;
    if (!best) {
        ta_fail(err, TA_ERR_DATA, "'%s' is a folder without DVD titles (VTS_01_1.VOB)", dir);
        return ta_hint(err, "name a video file, or a VIDEO_TS folder");
    }
    return take_set(dir, t, best, 1, paths, count, err);
}

static int folder_files(const char *dir, char ***paths, int *count, ta_error *err)
{
    vob_table *t = ta_alloc(sizeof *t);
    char *inner = ta_path_join(dir, "VIDEO_TS");
    int r = t && inner ? 0 : ta_no_memory(err);
    if (r >= 0) {
        const char *folder = ta_is_dir(inner) ? inner : dir;
        r = read_folder(folder, t, err);
        if (r >= 0)
            r = longest_set(folder, t, paths, count, err);
    }
    ta_free(inner);
    ta_free(t);
    return r;
}

static int vob_files(const char *path, int set, char ***paths, int *count, ta_error *err)
{
    vob_table *t = ta_alloc(sizeof *t);
    char *dir = ta_path_dir(path);
    int r = t && dir ? read_folder(dir, t, err) : ta_no_memory(err);
    if (r >= 0)
        r = take_set(dir, t, set, 1, paths, count, err);
    ta_free(dir);
    ta_free(t);
    return r;
}

int ta_title_files(const char *path, char ***paths, int *count, ta_error *err)
{
    int set, vob, r;
    *paths = NULL;
    *count = 0;
    if (ta_is_dir(path))
        r = folder_files(path, paths, count, err);
    else if (parse_vob(ta_path_base(path), &set, &vob) && set >= 1 && vob == 1 && access(path, F_OK) == 0)
        r = vob_files(path, set, paths, count, err);
    else
        r = add_path(paths, count, ta_strdup(path), err);
    if (r < 0)
        free_paths(paths, count);
    return r;
}

/* ---- Knowing it again -------------------------------------------------------------------------------------------- */

int ta_input_identity(const char *path, int64_t *bytes, int64_t *modified_us, ta_error *err)
{
    char **paths;
    int count, r = ta_title_files(path, &paths, &count, err);
    *bytes = *modified_us = 0;
    for (int i = 0; i < count && r >= 0; i++) {
        struct stat st;
        if (stat(paths[i], &st) != 0) {
            r = ta_fail_errno(err, errno, false, "open", paths[i]);
            break;
        }
        *bytes += st.st_size;
        *modified_us = TA_MAX(*modified_us, (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000);
    }
    free_paths(&paths, &count);
    return r;
}

static int hash_file(ta_sha256 *h, const char *path, uint8_t *block, size_t size, ta_cancel *cancel, ta_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;
    ssize_t n = 1;
    if (fd < 0)
        return ta_fail_errno(err, errno, false, "open", path);
    while (r >= 0 && n > 0) {
        n = read(fd, block, size);
        if (n > 0)
            ta_sha256_add(h, block, (size_t)n);
        else if (n < 0)
            r = errno == EINTR ? 0 : ta_fail_errno(err, errno, false, "read", path);
        if (n < 0 && r >= 0)
            n = 1;
        if (ta_cancelled(cancel))
            r = ta_fail(err, TA_ERR_CANCELLED, "cancelled");
    }
    close(fd);
    return r;
}

int ta_input_files_sha256(const char *path, char hex[65], ta_cancel *cancel, ta_error *err)
{
    enum { BLOCK = 1 << 20 };
    char **paths;
    int count, r = ta_title_files(path, &paths, &count, err);
    ta_sha256 *h = ta_sha256_new();
    uint8_t *block = ta_alloc(BLOCK);
    hex[0] = '\0';
    if (r >= 0 && (!h || !block))
        r = ta_no_memory(err);
    for (int i = 0; i < count && r >= 0; i++)
        r = hash_file(h, paths[i], block, BLOCK, cancel, err);
    if (r >= 0)
        ta_sha256_end(&h, hex);
    else
        ta_sha256_drop(&h);
    ta_free(block);
    free_paths(&paths, &count);
    return r;
}
