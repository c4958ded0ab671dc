/* The owner: a queue with all that belongs to it: socket, crew, scheduler, notifications, watch folders. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "queue/internal.h"

struct ta_owner {
    ta_jobs *q;
    ta_jobs_server *server;
    ta_crew *crew;
    ta_scheduler *scheduler;
    ta_notify_config *notify_config;
    ta_jobs_notifier *notifier;
    ta_watch_config *watch_config;
    ta_watcher *watcher;
};

/* ---- The crew, as the scheduler asks it -----------------------------------------------------------------------------
 */

static int give(void *crew, const ta_work_order *order, ta_error *err)
{
    return ta_crew_give(crew, order, err);
}

static int free_workers(void *crew)
{
    return ta_crew_free_workers(crew);
}

static int cancel(void *crew, const char *id, ta_error *err)
{
    return ta_crew_cancel(crew, id, err);
}

static int pause_job(void *crew, const char *id, bool paused, ta_error *err)
{
    return ta_crew_pause(crew, id, paused, err);
}

static const ta_crew_calls calls = { give, free_workers, cancel, pause_job };

static int start_crew(ta_owner *o, const ta_owner_config *c, ta_error *err)
{
    ta_crew_config crew = {
        .workers = TA_MAX(c->workers, 1),
        .program = c->program,
        .sandbox = c->sandbox,
        .memory_budget = c->memory_budget,
        .user = o->scheduler,
        .on_progress = ta_scheduler_on_progress,
        .on_end = ta_scheduler_on_end,
        .on_free = ta_scheduler_on_free,
    };
    int r = ta_crew_open(&o->crew, &crew, err);
    return r < 0 ? r : ta_scheduler_start(o->scheduler, &calls, o->crew, err);
}

/* ---- Watch folders and notifications --------------------------------------------------------------------------------
 */

/* The user's own file; NULL where there is none. */
static char *usual_watch_file(void)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    char *path = config && *config == '/' ? ta_format("%s/terminalai/watch.yaml", config)
                 : home && *home          ? ta_format("%s/.config/terminalai/watch.yaml", home)
                                          : NULL;
    if (path && access(path, F_OK) != 0)
        ta_freep(&path);
    return path;
}

static int start_watching(ta_owner *o, const char *file, ta_error *err)
{
    char *usual = file ? NULL : usual_watch_file();
    const char *path = file ? file : usual;
    int r = path && *path ? ta_watch_config_read(&o->watch_config, path, err) : 0;
    if (r >= 0 && o->watch_config && ta_watch_config_count(o->watch_config))
        r = ta_watcher_open(&o->watcher, o->q, o->watch_config, err);
    if (r >= 0 && o->watcher)
        ta_log(TA_LOG_INFO, "watch", "%zu folders are watched", ta_watch_config_count(o->watch_config));
    ta_free(usual);
    return r;
}

static int start_notifying(ta_owner *o, const char *file, ta_error *err)
{
    int r = ta_notify_config_read(&o->notify_config, file, err);
    return r < 0 ? r : ta_jobs_notify(&o->notifier, o->q, o->notify_config, err);
}

/* ---- All of it ------------------------------------------------------------------------------------------------------
 */

int ta_owner_open(ta_owner **out, const ta_owner_config *c, ta_error *err)
{
    ta_owner *o = ta_alloc(sizeof *o);
    *out = NULL;
    if (!o)
        return ta_no_memory(err);
    int r = ta_jobs_open(&o->q, c->dir, NULL, err);
    if (r >= 0)
        r = start_notifying(o, c->notifications, err);
    if (r >= 0)
        r = ta_scheduler_open(&o->scheduler, o->q, &(ta_scheduler_config){ .gpu_jobs = c->gpu_jobs }, err);
    if (r >= 0)
        r = ta_jobs_serve(&o->server, o->q, err);
    if (r >= 0)
        r = start_crew(o, c, err);
    if (r >= 0)
        r = start_watching(o, c->watch, err);
    if (r < 0)
        ta_owner_close(&o);
    *out = o;
    return r;
}

/* First nothing new begins, then the workers end, then what they said last is recorded and told. */
void ta_owner_close(ta_owner **po)
{
    ta_owner *o = *po;
    if (!o)
        return;
    if (o->scheduler)
        ta_scheduler_stop(o->scheduler);
    ta_crew_close(&o->crew);
    ta_watcher_close(&o->watcher);
    ta_scheduler_close(&o->scheduler);
    ta_jobs_unserve(&o->server);
    ta_jobs_unnotify(&o->notifier);
    ta_jobs_close(&o->q);
    ta_watch_config_free(&o->watch_config);
    ta_notify_config_free(&o->notify_config);
    ta_freep(po);
}

ta_jobs *ta_owner_jobs(const ta_owner *o)
{
    return o->q;
}

int ta_owner_resize(ta_owner *o, int workers, ta_error *err)
{
    return ta_crew_resize(o->crew, workers, err);
}

bool ta_owner_wait_idle(ta_owner *o, ta_cancel *cancel)
{
    return ta_scheduler_wait_idle(o->scheduler, cancel);
}
