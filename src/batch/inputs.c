/* Finding the inputs: files, folders of files, DVDs; none of them twice. */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "batch/internal.h"

/* Extensions under which video is kept, from tapes, discs, cameras and the early web. */
static const char *const video_extensions[] = {
    "3g2", "3gp",   "asf",  "avi",  "dif", "divx", "dv",  "dvr-ms", "f4v", "flv",  "m1v",  "m2t", "m2ts", "m2v",
    "m4v", "mjpeg", "mjpg", "mk3d", "mkv", "mod",  "mov", "mp4",    "mpe", "mpeg", "mpg",  "mpv", "mts",  "mxf",
    "nut", "ogm",   "ogv",  "qt",   "rm",  "rmvb", "tod", "ts",     "vob", "vro",  "webm", "wmv", "wtv",  "y4m",
};

enum { DEEPEST = 64 };

bool ta_is_video_name(const char *name)
{
    const char *ext = ta_path_ext(name);
    for (size_t i = 0; i < TA_COUNT(video_extensions); i++)
        if (strcasecmp(ext, video_extensions[i]) == 0)
            return true;
    return false;
}

static bool matches(const ta_batch *b, const char *name, bool *failed)
{
    if (!b->o.pattern)
        return ta_is_video_name(name);
    bool match = false;
    for (const char *p = b->o.pattern; *p && !match;) {
        size_t n = strcspn(p, ",");
        char *one = ta_strndup(p, n);
        *failed |= !one;
        match = one && fnmatch(one, name, FNM_CASEFOLD) == 0;
        ta_free(one);
        p += n + (p[n] == ',');
    }
    return match;
}

/* ---- The list ---------------------------------------------------------------------------------------------------- */

ta_file_id ta_file_id_of(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return (ta_file_id){ 0 };
    return (ta_file_id){ st.st_dev, st.st_ino, true };
}

int ta_file_id_compare(const ta_file_id *a, const ta_file_id *b)
{
    if (a->known != b->known)
        return a->known ? 1 : -1;
    if (a->dev != b->dev)
        return a->dev < b->dev ? -1 : 1;
    return (a->ino > b->ino) - (a->ino < b->ino);
}

static int grow(ta_batch *b, ta_error *err)
{
    if (b->count < b->cap)
        return 0;
    size_t cap = b->cap ? 2 * b->cap : 32;
    ta_batch_item *items = ta_resize(b->items, cap, sizeof *items);
    b->items = items ? items : b->items;
    ta_file_id *ids = items ? ta_resize(b->ids, cap, sizeof *ids) : NULL;
    b->ids = ids ? ids : b->ids;
    char **below = ids ? ta_resize(b->below, cap, sizeof *below) : NULL;
    if (!below)
        return ta_no_memory(err);
    b->below = below;
    b->cap = cap;
    return 0;
}

/* `below` is the folder between the root and the input: "" or "holidays/1994". */
static int add_item(ta_batch *b, const char *path, const char *below, ta_error *err)
{
    int r = grow(b, err);
    if (r < 0)
        return r;
    ta_batch_item item = { .bytes_before = -1, .bytes_after = -1 };
    item.input = ta_strdup(path);
    item.name = below[0] ? ta_path_join(below, ta_path_base(path)) : ta_strdup(ta_path_base(path));
    char *own = ta_strdup(below);
    if (!item.input || !item.name || !own) {
        ta_free(item.input);
        ta_free(item.name);
        ta_free(own);
        return ta_no_memory(err);
    }
    b->items[b->count] = item;
    b->below[b->count] = own;
    b->ids[b->count++] = ta_file_id_of(path);
    return 0;
}

void ta_batch_drop(ta_batch *b, size_t i)
{
    ta_free(b->items[i].input);
    ta_free(b->items[i].name);
    ta_free(b->below[i]);
    size_t behind = --b->count - i;
    memmove(b->items + i, b->items + i + 1, behind * sizeof *b->items);
    memmove(b->below + i, b->below + i + 1, behind * sizeof *b->below);
    memmove(b->ids + i, b->ids + i + 1, behind * sizeof *b->ids);
}

int ta_batch_leave_out(ta_batch *b, const char *path, const char *why, ta_error *err)
{
    ta_batch_left_out *grown = ta_resize(b->left_out, b->n_left_out + 1, sizeof *grown);
    if (!grown)
        return ta_no_memory(err);
    b->left_out = grown;
    ta_batch_left_out *one = &grown[b->n_left_out];
    *one = (ta_batch_left_out){ ta_strdup(path), ta_strdup(why) };
    b->n_left_out++;
    if (!one->path || !one->why)
        return ta_no_memory(err);
    ta_log(TA_LOG_INFO, "batch", "'%s' is left out: %s", path, why);
    return 0;
}

/* ---- Folders ----------------------------------------------------------------------------------------------------- */

typedef struct names {
    char **list;
    size_t count;
} names;

static void free_names(names *n)
{
    for (size_t i = 0; i < n->count; i++)
        ta_free(n->list[i]);
    ta_free(n->list);
}

static int by_name(const void *a, const void *b)
{
    return strverscmp(*(char *const *)a, *(char *const *)b);
}

/* The entries of a folder that are not hidden, sorted. */
static int read_names(const char *path, names *n, ta_error *err)
{
    DIR *dir = opendir(path);
    int r = 0;
    if (!dir)
        return ta_fail_errno(err, errno, false, "open", path);
    for (struct dirent *e; r >= 0 && (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        char **grown = ta_resize(n->list, n->count + 1, sizeof *grown), *name = ta_strdup(e->d_name);
        n->list = grown ? grown : n->list;
        if (!grown || !name) {
            ta_free(name);
            r = ta_no_memory(err);
        } else {
            n->list[n->count++] = name;
        }
    }
    closedir(dir);
    if (n->count)
        qsort(n->list, n->count, sizeof *n->list, by_name);
    return r;
}

static bool is_dvd(const char *path)
{
    if (strcasecmp(ta_path_base(path), "VIDEO_TS") == 0)
        return true;
    char *inner = ta_path_join(path, "VIDEO_TS");
    bool dvd = inner && ta_is_dir(inner);
    ta_free(inner);
    return dvd;
}

/* Parts 2 to 9 of a title are read with its first, menus are not read at all. */
static bool joined_to_another(const char *path)
{
    const char *name = ta_path_base(path);
    int set, part;
    char tail[8];
    if (strcasecmp(name, "VIDEO_TS.VOB") == 0)
        return true;
    if (strlen(name) != 12 || sscanf(name, "%*1[Vv]%*1[Tt]%*1[Ss]_%2d_%1d%4s", &set, &part, tail) != 3 ||
        strcasecmp(tail, ".vob") != 0 || part == 1)
        return false;
    char *first = ta_strdup(path);
    if (!first)
        return false;
    first[strlen(first) - 5] = '1';
    bool there = part == 0 || access(first, F_OK) == 0;
    ta_free(first);
    return there;
}

static int take_file(ta_batch *b, const char *path, const char *below, ta_error *err)
{
    if (joined_to_another(path))
        return 0;
    if (ta_is_own_output(path))
        return ta_batch_leave_out(b, path, "it is an output of this program", err);
    return add_item(b, path, below, err);
}

/* The folders above the one being read, as a guard against links in a circle. */
typedef struct trail {
    const struct trail *up;
    ta_file_id id;
    int depth;
} trail;

static bool goes_in_circles(const trail *t)
{
    for (const trail *up = t->up; up; up = up->up)
        if (ta_file_id_compare(&up->id, &t->id) == 0)
            return true;
    return t->depth > DEEPEST;
}

static int walk(ta_batch *b, const char *path, const char *below, const trail *up, ta_error *err);

static int take_folder(ta_batch *b, const char *path, const char *below, const trail *up, ta_error *err)
{
    bool failed = false;
    if (is_dvd(path)) {
        bool wanted = !b->o.pattern || matches(b, ta_path_base(path), &failed);
        return failed ? ta_no_memory(err) : wanted ? add_item(b, path, below, err) : 0;
    }
    if (!b->o.recursive || ta_same_file(path, b->o.output))
        return 0;
    char *deeper = below[0] ? ta_path_join(below, ta_path_base(path)) : ta_strdup(ta_path_base(path));
    int r = !deeper                         ? ta_no_memory(err)
            : access(path, R_OK | X_OK) < 0 ? add_item(b, path, below, err) /* fails, and is reported */
                                            : walk(b, path, deeper, up, err);
    ta_free(deeper);
    return r;
}

static int take_entry(ta_batch *b, const char *path, const char *below, const trail *up, ta_error *err)
{
    struct stat st;
    bool failed = false, there = stat(path, &st) == 0;
    if (ta_cancelled(b->cancel))
        return ta_fail(err, TA_ERR_CANCELLED, "cancelled");
    if (there && S_ISDIR(st.st_mode))
        return take_folder(b, path, below, up, err);
    if (there && !S_ISREG(st.st_mode))
        return 0;
    bool wanted = matches(b, ta_path_base(path), &failed);
    return failed ? ta_no_memory(err) : wanted ? take_file(b, path, below, err) : 0;
}

static int walk(ta_batch *b, const char *path, const char *below, const trail *up, ta_error *err)
{
    trail here = { up, ta_file_id_of(path), up ? up->depth + 1 : 0 };
    names n = { 0 };
    if (goes_in_circles(&here))
        return 0;
    int r = read_names(path, &n, err);
    for (size_t i = 0; i < n.count && r >= 0; i++) {
        char *entry = ta_path_join(path, n.list[i]);
        r = entry ? take_entry(b, entry, below, &here, err) : ta_no_memory(err);
        ta_free(entry);
    }
    free_names(&n);
    return r;
}

int ta_batch_add(ta_batch *b, const char *path, ta_error *err)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    char *own = ta_strndup(path, n);
    if (!own)
        return ta_no_memory(err);
    int r = !ta_is_dir(own) ? take_file(b, own, "", err)
            : is_dvd(own)   ? add_item(b, own, "", err)
                            : walk(b, own, "", NULL, err);
    ta_free(own);
    return r;
}

/* ---- None twice -------------------------------------------------------------------------------------------------- */

typedef struct place {
    ta_file_id id;
    size_t at;
} place;

static int by_id(const void *a, const void *b)
{
    const place *x = a, *y = b;
    int order = ta_file_id_compare(&x->id, &y->id);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

static int leave_out_twin(ta_batch *b, size_t twin, size_t first, ta_error *err)
{
    char *why = ta_format("it is the same file as '%s'", b->items[first].input);
    int r = why ? ta_batch_leave_out(b, b->items[twin].input, why, err) : ta_no_memory(err);
    ta_free(why);
    return r;
}

/* Marks each file that came before; then drops them from the back, so that places stay right. */
static int drop_twins(ta_batch *b, ta_error *err)
{
    place *places = ta_array(b->count + 1, sizeof *places);
    bool *twin = ta_array(b->count + 1, sizeof *twin);
    int r = places && twin ? 0 : ta_no_memory(err);
    for (size_t i = 0; r >= 0 && i < b->count; i++)
        places[i] = (place){ b->ids[i], i };
    if (r >= 0)
        qsort(places, b->count, sizeof *places, by_id);
    for (size_t i = 1, first = 0; r >= 0 && i < b->count; i++) {
        if (!places[i].id.known || ta_file_id_compare(&places[i].id, &places[first].id) != 0) {
            first = i;
            continue;
        }
        twin[places[i].at] = true;
        r = leave_out_twin(b, places[i].at, places[first].at, err);
    }
    for (size_t i = b->count; r >= 0 && i-- > 0;)
        if (twin[i])
            ta_batch_drop(b, i);
    ta_free(twin);
    ta_free(places);
    return r;
}

static int fail_nothing(const ta_batch *b, ta_error *err)
{
    if (b->n_left_out) {
        ta_fail(err, TA_ERR_NOINPUT, "nothing is left to restore ('%s': %s)", b->left_out[0].path, b->left_out[0].why);
        return ta_hint(err, "`terminalai restore` takes an output as an input, too");
    }
    ta_fail(err, TA_ERR_NOINPUT, "no video files were found");
    return ta_hint(err,
                   b->o.pattern ? "--pattern '%s' matches nothing; --recursive looks into folders below"
                                : "--recursive looks into folders below, --pattern '*.xyz' takes other names",
                   b->o.pattern);
}

int ta_batch_plan(ta_batch *b, ta_error *err)
{
    int r = drop_twins(b, err);
    if (r >= 0 && !b->count)
        r = fail_nothing(b, err);
    return r < 0 ? r : ta_batch_name_outputs(b, err);
}
