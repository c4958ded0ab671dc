/* Downloads of jobs. */
#include "queue/download.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "fetch/fetch.h"
#include "net/net.h"

#define FOLDER "downloads"

struct ta_qdownload {
    ta_jobs *q;
    int64_t id;
    int attempt;
    char *url, *folder;
    ta_settings *settings;
    ta_cancel *cancel;
    pthread_t thread;
    void (*done)(void *opaque);
    void *opaque;
    /* -- behind `ended` */
    atomic_bool ended;
    int code;
    char *path;
    ta_error err;
};

static void show(void *opaque, const ta_fetch_progress *p)
{
    const ta_qdownload *d = opaque;
    double fraction = p->total > 0 ? TA_CLAMP((double)p->done / (double)p->total, 0, 1) : 0;
    ta_jobs_progress(d->q, d->id, d->attempt, &(ta_qprogress){ .fraction = fraction, .eta_seconds = -1 });
}

static void *run(void *arg)
{
    ta_qdownload *d = arg;
    ta_fetch f = { .url = d->url, .folder = d->folder, .cancel = d->cancel, .progress = show, .opaque = d };
    ta_fetch_from_settings(&f, d->settings);
    d->code = ta_fetch_run(&f, &d->path, &d->err);
    atomic_store(&d->ended, true);
    d->done(d->opaque);
    return NULL;
}

static char *own_folder(const ta_jobs *q, int64_t id)
{
    return ta_format("%s/" FOLDER "/%lld", ta_jobs_dir(q), (long long)id);
}

static int read_settings(ta_qdownload *d, const char *json, ta_error *err)
{
    d->settings = ta_settings_new();
    int r = d->settings ? ta_settings_from_json(d->settings, json, TA_FROM_COMMAND_LINE, err) : ta_no_memory(err);
    if (r < 0)
        return r;
    const char *wanted = ta_get_text(d->settings, TA_SET_download_dir);
    d->folder = *wanted ? ta_strdup(wanted) : own_folder(d->q, d->id);
    return d->folder ? 0 : ta_no_memory(err);
}

int ta_qdownload_start(ta_qdownload **out, ta_jobs *q, int64_t id, int attempt, const char *url,
                       const char *settings_json, void (*done)(void *opaque), void *opaque, ta_error *err)
{
    ta_qdownload *d = ta_alloc(sizeof *d);
    *out = NULL;
    if (!d)
        return ta_no_memory(err);
    *d = (ta_qdownload){ .q = q, .id = id, .attempt = attempt, .done = done, .opaque = opaque };
    d->url = ta_strdup(url);
    d->cancel = ta_cancel_new(NULL);
    int r = d->url && d->cancel ? read_settings(d, settings_json, err) : ta_no_memory(err);
    if (r >= 0 && pthread_create(&d->thread, NULL, run, d) != 0)
        r = ta_fail(err, TA_ERR_AGAIN, "can't start a thread for a download");
    if (r >= 0) {
        *out = d;
        return 0;
    }
    ta_settings_free(&d->settings);
    ta_cancel_free(&d->cancel);
    ta_free(d->folder);
    ta_free(d->url);
    ta_free(d);
    return r;
}

void ta_qdownload_cancel(ta_qdownload *d)
{
    ta_cancel_set(d->cancel);
}

bool ta_qdownload_ended(const ta_qdownload *d, int *code, const char **path, const ta_error **err)
{
    if (!atomic_load(&d->ended))
        return false;
    *code = d->code;
    *path = d->path;
    *err = &d->err;
    return true;
}

void ta_qdownload_free(ta_qdownload **pd)
{
    ta_qdownload *d = *pd;
    if (!d)
        return;
    ta_cancel_set(d->cancel);
    pthread_join(d->thread, NULL);
    ta_settings_free(&d->settings);
    ta_cancel_free(&d->cancel);
    ta_free(d->folder);
    ta_free(d->url);
    ta_free(d->path);
    ta_freep(pd);
}

/* ---- What is left ---------------------------------------------------------------------------------------------------
 */

void ta_qdownload_forget(const ta_jobs *q, int64_t id)
{
    char *folder = own_folder(q, id);
    ta_error err = { 0 };
    if (folder && ta_is_dir(folder) && ta_remove_tree(folder, &err) < 0)
        ta_log(TA_LOG_WARN, "queue", "what was downloaded for job %lld stays: %s", (long long)id, err.text[0]);
    ta_free(folder);
}

void ta_qdownload_clean(ta_jobs *q)
{
    char *path = ta_path_join(ta_jobs_dir(q), FOLDER);
    ta_view_reader *reader = ta_view_reader_open(q);
    DIR *dir = path && reader ? opendir(path) : NULL;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        int64_t id = strtoll(e->d_name, NULL, 10);
        const ta_qjob *j = id > 0 ? ta_view_job(ta_view_enter(reader), id) : NULL;
        bool needed = j && j->state != TA_Q_COMPLETED && j->state != TA_Q_CANCELLED;
        if (id > 0)
            ta_view_leave(reader);
        if (id > 0 && !needed)
            ta_qdownload_forget(q, id);
    }
    if (dir)
        closedir(dir);
    ta_view_reader_close(&reader);
    ta_free(path);
}
