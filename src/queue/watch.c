/* The thread of the watch folders: told by inotify, and looking for itself from time to time, as events get lost and
 * network file systems have none. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "queue/watch.h"

enum { SETTLE_US = 200000, LATER_US = 5000000 };

typedef struct place {
    const ta_watch_folder *f;
    ta_watch_files waiting; /* seen, not taken yet */
    int64_t look_us;        /* when it is looked through next, by the monotonic clock */
    int64_t due_us;         /* the same for its rows */
} place;

struct ta_watcher {
    ta_jobs *q;
    const ta_watch_config *config;
    place *places;
    ta_cancel *cancel;
    int inotify, changed; /* changed: an eventfd, of the queue */
    pthread_t thread;
};

/* ---- Files ----------------------------------------------------------------------------------------------------------
 */

/* Since when it has been as it is: from the list before, by name. Both are in order. */
static void carry_over(const ta_watch_files *before, ta_watch_files *now)
{
    size_t k = 0;
    int64_t us = ta_now_us();
    for (size_t i = 0; i < now->count; i++) {
        ta_watch_file *file = &now->list[i];
        while (k < before->count && strverscmp(before->list[k].path, file->path) < 0)
            k++;
        const ta_watch_file *old =
            k < before->count && strcmp(before->list[k].path, file->path) == 0 ? &before->list[k] : NULL;
        bool same = old && old->size == file->size && old->modified_us == file->modified_us;
        file->since_us = same ? old->since_us : us;
    }
}

static void later(place *p, int64_t us)
{
    p->look_us = TA_MIN(p->look_us, us);
}

static void take_ready(ta_watcher *w, place *p)
{
    int64_t now = ta_now_us();
    char text[1000];
    for (size_t i = 0; i < p->waiting.count && !ta_cancelled(w->cancel); i++) {
        const ta_watch_file *file = &p->waiting.list[i];
        int64_t ready = file->since_us + p->f->stable_us;
        char *full = ta_path_join(p->f->input, file->path);
        ta_error err = { 0 };
        int r = 1;
        if (full && now >= ready && ta_watch_is_closed(full))
            r = ta_watch_take(w->q, p->f, file, &err);
        if (r == 0)
            ta_log(TA_LOG_INFO, "watch", "'%s' is taken", full);
        else if (r < 0)
            ta_log(TA_LOG_ERROR, "watch", "'%s' can't be taken: %s", full, ta_error_string(&err, text, sizeof text));
        if (r != 0)
            later(p, now < ready ? ready + 1000 : now + TA_MAX(SETTLE_US, TA_MIN(p->f->stable_us, LATER_US)));
        ta_free(full);
    }
}

static void look_through(ta_watcher *w, place *p)
{
    ta_watch_files found = { 0 };
    ta_error err = { 0 };
    char text[1000];
    p->look_us = ta_now_us() + p->f->rescan_us;
    int r = ta_watch_scan(p->f, w->inotify, &found, w->cancel, &err);
    if (r >= 0)
        r = ta_watch_unknown(w->q, p->f, &found, &err);
    if (r < 0) {
        if (r != TA_ERR_CANCELLED)
            ta_log(TA_LOG_ERROR, "watch", "%s: %s", p->f->input, ta_error_string(&err, text, sizeof text));
        ta_watch_files_free(&found);
        return;
    }
    carry_over(&p->waiting, &found);
    ta_watch_files_free(&p->waiting);
    p->waiting = found;
    take_ready(w, p);
}

/* ---- Ends -----------------------------------------------------------------------------------------------------------
 */

static void look_after(ta_watcher *w, place *p)
{
    ta_watch_rows rows = { 0 };
    ta_error err = { 0 };
    char text[1000];
    int64_t next = INT64_MAX, now = ta_now_us();
    int r = ta_watch_due(w->q, p->f, &rows, &next, &err);
    p->due_us = next == INT64_MAX ? INT64_MAX : now + TA_MAX(next - ta_wall_us(), 0) + 1000;
    for (size_t i = 0; r >= 0 && i < rows.count && !ta_cancelled(w->cancel); i++)
        r = ta_watch_settle(w->q, p->f, &rows.list[i], w->cancel, &err);
    if (r >= 0 && rows.count)
        p->due_us = ta_now_us(); /* what was settled may be due again some day: look when */
    if (r < 0) {
        ta_log(TA_LOG_ERROR, "watch", "%s: %s", p->f->input, ta_error_string(&err, text, sizeof text));
        p->due_us = ta_now_us() + LATER_US;
    }
    ta_watch_rows_free(&rows);
}

/* ---- The thread -----------------------------------------------------------------------------------------------------
 */

static void on_change(void *opaque)
{
    const ta_watcher *w = opaque;
    uint64_t one = 1;
    if (write(w->changed, &one, sizeof one) < 0 && errno != EAGAIN)
        ta_log(TA_LOG_ERROR, "watch", "can't be woken: %s", strerror(errno));
}

/* Events say only that something happened: what it was is found by looking. */
static void drain(int fd)
{
    char bytes[16 << 10];
    while (read(fd, bytes, sizeof bytes) > 0)
        ;
}

static int64_t next_us(const ta_watcher *w)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < w->config->count; i++)
        next = TA_MIN(next, TA_MIN(w->places[i].look_us, w->places[i].due_us));
    return next;
}

static void wait(ta_watcher *w)
{
    int fds[4], n = ta_cancel_fds(w->cancel, fds, 4);
    struct pollfd p[6] = { { .fd = w->inotify, .events = POLLIN }, { .fd = w->changed, .events = POLLIN } };
    for (int i = 0; i < n; i++)
        p[i + 2] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
    int64_t us = TA_CLAMP(next_us(w) - ta_now_us(), 0, INT64_C(3600000000));
    struct timespec t = { us / 1000000, us % 1000000 * 1000 };
    if (ppoll(p, (nfds_t)n + 2, &t, NULL) <= 0)
        return;
    int64_t soon = ta_now_us() + SETTLE_US; /* many events at once are one look */
    for (size_t i = 0; i < w->config->count; i++) {
        if (p[0].revents)
            later(&w->places[i], soon);
        if (p[1].revents)
            w->places[i].due_us = TA_MIN(w->places[i].due_us, soon);
    }
    if (p[0].revents)
        drain(w->inotify);
    if (p[1].revents)
        drain(w->changed);
}

static void *run(void *arg)
{
    ta_watcher *w = arg;
    while (!ta_cancelled(w->cancel)) {
        for (size_t i = 0; i < w->config->count && !ta_cancelled(w->cancel); i++) {
            place *p = &w->places[i];
            if (p->due_us <= ta_now_us())
                look_after(w, p);
            if (p->look_us <= ta_now_us())
                look_through(w, p);
        }
        wait(w);
    }
    return NULL;
}

int ta_watcher_open(ta_watcher **out, ta_jobs *q, const ta_watch_config *config, ta_error *err)
{
    ta_watcher *w = ta_alloc(sizeof *w);
    *out = NULL;
    if (!w)
        return ta_no_memory(err);
    w->q = q;
    w->config = config;
    w->places = ta_array(config->count + 1, sizeof *w->places);
    w->cancel = ta_cancel_new(NULL);
    w->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    w->changed = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (size_t i = 0; w->places && i < config->count; i++)
        w->places[i].f = &config->folders[i];
    if (w->inotify < 0)
        ta_log(TA_LOG_WARN, "watch", "no inotify (%s): the folders are looked through from time to time",
               strerror(errno));
    if (w->places && w->cancel && w->changed >= 0 && pthread_create(&w->thread, NULL, run, w) == 0) {
        ta_jobs_listen(q, on_change, w);
        *out = w;
        return 0;
    }
    if (w->inotify >= 0)
        close(w->inotify);
    if (w->changed >= 0)
        close(w->changed);
    ta_cancel_free(&w->cancel);
    ta_free(w->places);
    ta_free(w);
    return ta_fail(err, TA_ERR_AGAIN, "no memory, descriptors or threads for the watch folders");
}

void ta_watcher_close(ta_watcher **pw)
{
    ta_watcher *w = *pw;
    if (!w)
        return;
    ta_cancel_set(w->cancel);
    pthread_join(w->thread, NULL);
    ta_jobs_unlisten(w->q, on_change, w);
    for (size_t i = 0; i < w->config->count; i++)
        ta_watch_files_free(&w->places[i].waiting);
    if (w->inotify >= 0)
        close(w->inotify);
    close(w->changed);
    ta_cancel_free(&w->cancel);
    ta_free(w->places);
    ta_freep(pw);
}
