/* Looking through a watch folder. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "batch/batch.h"
#include "queue/watch.h"

enum { DEEPEST = 64, MOST = 200000 };

typedef struct scan {
    const ta_watch_folder *f;
    int fd;
    ta_watch_files *out;
    ta_cancel *cancel;
    ta_error *err;
} scan;

void ta_watch_files_free(ta_watch_files *f)
{
    for (size_t i = 0; i < f->count; i++)
        ta_free(f->list[i].path);
    ta_free(f->list);
    *f = (ta_watch_files){ 0 };
}

static bool matches(char *const *patterns, const char *path)
{
    for (size_t i = 0; patterns && patterns[i]; i++)
        if (fnmatch(patterns[i], ta_path_base(path), FNM_CASEFOLD) == 0 ||
            fnmatch(patterns[i], path, FNM_CASEFOLD) == 0)
            return true;
    return false;
}

static bool is_wanted(const ta_watch_folder *f, const char *path)
{
    bool in = f->include ? matches(f->include, path) : ta_is_video_name(path);
    return in && !matches(f->exclude, path);
}

static int take(scan *s, const char *path, const struct stat *st)
{
    ta_watch_files *o = s->out;
    if (o->count == MOST)
        return ta_fail(s->err, TA_ERR_AGAIN, "'%s' has more than %d files that wait", s->f->input, MOST);
    if (o->count == o->cap) {
        size_t cap = o->cap ? 2 * o->cap : 32;
        ta_watch_file *list = ta_resize(o->list, cap, sizeof *list);
        if (!list)
            return ta_no_memory(s->err);
        o->list = list;
        o->cap = cap;
    }
    char *own = ta_strdup(path);
    if (!own)
        return ta_no_memory(s->err);
    o->list[o->count++] =
        (ta_watch_file){ .path = own,
                         .size = st->st_size,
                         .modified_us = (int64_t)st->st_mtim.tv_sec * 1000000 + st->st_mtim.tv_nsec / 1000 };
    return 0;
}

/* The folders that this program writes to itself. */
static bool is_own_folder(const ta_watch_folder *f, const char *path)
{
    const char *own[] = { f->output, f->move_to, f->errors_to };
    for (size_t i = 0; i < TA_COUNT(own); i++)
        if (own[i] && ta_same_file(own[i], path))
            return true;
    return false;
}

static int scan_folder(scan *s, const char *below, int depth);

static int take_entry(scan *s, const char *below, const char *name, int depth)
{
    struct stat st;
    char *path = *below ? ta_path_join(below, name) : ta_strdup(name);
    char *full = path ? ta_path_join(s->f->input, path) : NULL;
    int r = full ? 0 : ta_no_memory(s->err);
    if (r >= 0 && lstat(full, &st) == 0) { /* links are left alone: what they lead to may be anywhere */
        if (S_ISDIR(st.st_mode) && s->f->recursive && depth < DEEPEST && !is_own_folder(s->f, full))
            r = scan_folder(s, path, depth + 1);
        else if (S_ISREG(st.st_mode) && st.st_size >= s->f->minimum_size && is_wanted(s->f, path) &&
                 !ta_is_own_output(full))
            r = take(s, path, &st);
    }
    ta_free(full);
    ta_free(path);
    return r;
}

static int scan_folder(scan *s, const char *below, int depth)
{
    char *full = *below ? ta_path_join(s->f->input, below) : ta_strdup(s->f->input);
    if (!full)
        return ta_no_memory(s->err);
    /* before it is read, so that nothing comes unseen in between */
    if (s->fd >= 0 && inotify_add_watch(s->fd, full, IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ONLYDIR) < 0)
        ta_log(TA_LOG_VERBOSE, "watch", "'%s' is looked at from time to time only: %s", full, strerror(errno));
    DIR *dir = opendir(full);
    int r = 0;
    if (!dir)
        ta_log(TA_LOG_WARN, "watch", "can't read '%s': %s", full, strerror(errno));
    for (struct dirent *e; dir && r >= 0 && (e = readdir(dir));) {
        if (ta_cancelled(s->cancel))
            r = ta_fail(s->err, TA_ERR_CANCELLED, "cancelled");
        else if (e->d_name[0] != '.')
            r = take_entry(s, below, e->d_name, depth);
    }
    if (dir)
        closedir(dir);
    ta_free(full);
    return r;
}

static int by_path(const void *a, const void *b)
{
    return strverscmp(((const ta_watch_file *)a)->path, ((const ta_watch_file *)b)->path);
}

int ta_watch_scan(const ta_watch_folder *f, int fd, ta_watch_files *out, ta_cancel *cancel, ta_error *err)
{
    scan s = { f, fd, out, cancel, err };
    int r = scan_folder(&s, "", 0);
    if (out->count)
        qsort(out->list, out->count, sizeof *out->list, by_path);
    return r;
}

bool ta_watch_is_closed(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno != EACCES && errno != EPERM ? false : true; /* the job will say that it can't be read */
    /* a lease to read is refused while anybody has it open for writing; other refusals tell nothing (fcntl(2)) */
    bool closed = fcntl(fd, F_SETLEASE, F_RDLCK) == 0 || errno != EAGAIN;
    fcntl(fd, F_SETLEASE, F_UNLCK);
    close(fd);
    return closed;
}
