/* The scheduler: which job next, and what became of it. A job is at work on the disk before a worker has it, and its
 * end is recorded again and again until the disk takes it: so a job may be begun twice after a crash, but it is never
 * lost, and one whose output is complete already is only recorded. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "net/net.h"
#include "queue/download.h"
#include "queue/internal.h"

enum {
    ORDERS = TA_CREW_MAX_WORKERS + 16,
    DEFERRED = 64,
    RETRY_MS = 2000,
    RECORD_US = 1000000,
    FOLDER_MAX = 100000,
    DOWNLOADS = 2,
    LOOK_FAR = 4096,
    DOWNLOAD_RETRY_US = 60000000
};

#define USUAL_MEMORY ((int64_t)1 << 30)
#define NEURAL_MEMORY ((int64_t)3 << 30)

/* A job that a worker has, or whose end is not recorded yet. */
typedef struct order {
    int64_t id; /* 0: free */
    int attempt;
    bool gpu;
    /* -- lock: from the crew */
    ta_qstate stage;
    bool ended;
    int code;
    char *message;
    /* -- of the scheduler's thread */
    ta_qstate recorded;
    bool cancelled, paused;
    bool given;                  /* a worker has it */
    bool begun;                  /* before, in this attempt or an earlier one */
    bool returning;              /* it is to be pending again, as soon as the disk takes it */
    ta_qdownload *download;      /* of an input from the web, until it is there */
    char *input, *output, *json; /* until it is given */
} order;

struct ta_scheduler {
    ta_jobs *q;
    ta_scheduler_config config;
    const ta_crew_calls *calls;
    void *crew;
    ta_view_reader *reader;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int idle_fd; /* readable while `idle` */
    /* -- lock */
    order orders[ORDERS];
    bool kicked, stop, quit, idle;
    /* -- of the scheduler's thread */
    struct {
        int64_t id, until_us;
    } deferred[DEFERRED];
    int next_deferred;
    int64_t again_us;  /* when something must be tried again; 0 = not */
    bool wants_worker; /* a job could begin but for that */
};

static ta_qstate state_of(ta_work_stage stage)
{
    static const ta_qstate states[TA_WORK_STAGE_COUNT] = {
        [TA_WORK_ANALYSING] = TA_Q_ANALYSING, [TA_WORK_PREPROCESSING] = TA_Q_PREPROCESSING,
        [TA_WORK_UPSCALING] = TA_Q_UPSCALING, [TA_WORK_ENCODING] = TA_Q_ENCODING,
        [TA_WORK_FINISHING] = TA_Q_FINISHING,
    };
    return stage < TA_WORK_STAGE_COUNT ? states[stage] : TA_Q_ANALYSING;
}

/* Under the lock. */
static void set_idle(ta_scheduler *s, bool idle)
{
    uint64_t one = 1;
    ssize_t n = s->idle == idle ? 0 : idle ? write(s->idle_fd, &one, sizeof one) : read(s->idle_fd, &one, sizeof one);
    if (n < 0 && errno != EAGAIN)
        ta_log(TA_LOG_ERROR, "queue", "the scheduler's descriptor: %s", strerror(errno));
    s->idle = idle;
}

/* Under the lock. */
static void kick(ta_scheduler *s)
{
    s->kicked = true;
    set_idle(s, false);
    pthread_cond_signal(&s->wake);
}

static void on_change(void *opaque)
{
    ta_scheduler *s = opaque;
    pthread_mutex_lock(&s->lock);
    kick(s);
    pthread_mutex_unlock(&s->lock);
}

static void try_again_at(ta_scheduler *s, int64_t us)
{
    if (!s->again_us || us < s->again_us)
        s->again_us = us;
}

/* ---- From the crew --------------------------------------------------------------------------------------------------
 */

/* Under the lock. The order of "ID.ATTEMPT", or NULL. */
static order *find_order(ta_scheduler *s, const char *name)
{
    char *end;
    long long id = strtoll(name, &end, 10);
    int attempt = *end == '.' ? atoi(end + 1) : 0;
    for (int i = 0; i < ORDERS; i++)
        if (s->orders[i].id == id && s->orders[i].attempt == attempt)
            return &s->orders[i];
    return NULL;
}

void ta_scheduler_on_progress(void *scheduler, const char *id, const ta_work_progress *p)
{
    ta_scheduler *s = scheduler;
    int64_t job = 0;
    int attempt = 0;
    pthread_mutex_lock(&s->lock);
    order *o = find_order(s, id);
    if (o) {
        job = o->id;
        attempt = o->attempt;
        if (o->stage != state_of(p->stage)) {
            o->stage = state_of(p->stage);
            kick(s);
        }
    }
    pthread_mutex_unlock(&s->lock);
    if (job)
        ta_jobs_progress(s->q, job, attempt, &(ta_qprogress){ p->fraction, p->fps, p->eta });
}

void ta_scheduler_on_end(void *scheduler, const char *id, int code, const char *message)
{
    ta_scheduler *s = scheduler;
    pthread_mutex_lock(&s->lock);
    order *o = find_order(s, id);
    if (o && !o->ended) {
        o->ended = true;
        o->code = code;
        o->message = ta_utf8_clean(message);
        kick(s);
    }
    pthread_mutex_unlock(&s->lock);
}

void ta_scheduler_on_free(void *scheduler)
{
    on_change(scheduler);
}

/* ---- What has ended, what has changed -------------------------------------------------------------------------------
 */

static void name_order(const order *o, char out[TA_WORK_ID_MAX + 1])
{
    snprintf(out, TA_WORK_ID_MAX + 1, "%lld.%d", (long long)o->id, o->attempt);
}

static void free_order(ta_scheduler *s, order *o)
{
    ta_qdownload_free(&o->download);
    ta_free(o->input);
    ta_free(o->output);
    ta_free(o->json);
    pthread_mutex_lock(&s->lock);
    ta_free(o->message);
    *o = (order){ 0 };
    pthread_mutex_unlock(&s->lock);
}

static void say_end(const order *o)
{
    const char *message = o->message ? o->message : "";
    if (o->code == 0)
        ta_log(TA_LOG_INFO, "queue", "job %lld is completed: %s", (long long)o->id, message);
    else if (o->code == TA_ERR_CANCELLED)
        ta_log(TA_LOG_INFO, "queue", "job %lld is cancelled", (long long)o->id);
    else
        ta_log(TA_LOG_ERROR, "queue", "job %lld failed: %s", (long long)o->id, message);
}

/* A failure that only the moment explains (a full disk) keeps the end for later; any other means that the job is gone
 * or was settled in another way. */
static void record_end(ta_scheduler *s, order *o)
{
    ta_error err = { 0 };
    char text[1000];
    int r = ta_jobs_end(s->q, o->id, o->attempt, o->code, o->message, &err);
    if (r == TA_ERR_AGAIN || r == TA_ERR_IO || r == TA_ERR_NOPERM) {
        ta_log(TA_LOG_ERROR, "queue", "the end of job %lld can't be recorded yet: %s", (long long)o->id,
               ta_error_string(&err, text, sizeof text));
        try_again_at(s, ta_now_us() + RECORD_US);
        return;
    }
    if (r < 0)
        ta_log(TA_LOG_WARN, "queue", "job %lld: %s", (long long)o->id, ta_error_string(&err, text, sizeof text));
    else
        say_end(o);
    if (o->code == 0 || o->code == TA_ERR_CANCELLED)
        ta_qdownload_forget(s->q, o->id);
    free_order(s, o);
}

static void record_stage(ta_scheduler *s, order *o, ta_qstate stage)
{
    ta_error err = { 0 };
    if (ta_jobs_set_state(s->q, o->id, o->attempt, stage, &err) == TA_ERR_AGAIN)
        try_again_at(s, ta_now_us() + RECORD_US);
    else
        o->recorded = stage;
}

/* What was asked of a job since. */
typedef struct wish {
    bool cancel, paused;
} wish;

static wish look_up(ta_scheduler *s, const order *o)
{
    const ta_qjob *j = ta_view_job(ta_view_enter(s->reader), o->id);
    bool ours = j && j->attempt == o->attempt && j->held;
    wish w = { .cancel = !ours || j->stopping, .paused = ours && j->state == TA_Q_PAUSED };
    ta_view_leave(s->reader);
    return w;
}

static void pass_on(ta_scheduler *s, order *o)
{
    char name[TA_WORK_ID_MAX + 1];
    wish w = look_up(s, o);
    name_order(o, name);
    if (w.cancel && !o->cancelled && o->given) {
        o->cancelled = true;
        s->calls->cancel(s->crew, name, NULL); /* there is none any more: its end is on the way */
    }
    if (w.paused != o->paused && o->given) {
        o->paused = w.paused;
        s->calls->pause(s->crew, name, w.paused, NULL);
    }
    if (o->download && (w.cancel || w.paused))
        ta_qdownload_cancel(o->download);
}

static void fail_order(ta_scheduler *s, order *o, int code, const ta_error *err);
static void give_order(ta_scheduler *s, order *o);
static void defer(ta_scheduler *s, int64_t id, int64_t us);

/* Pending again, or paused, or cancelled: as was asked for meanwhile; where it is over or gone there is nothing to do.
 */
static void give_back(ta_scheduler *s, order *o)
{
    int r = ta_jobs_set_state(s->q, o->id, o->attempt, TA_Q_PENDING, NULL);
    o->returning = r < 0 && r != TA_ERR_USAGE && r != TA_ERR_NOINPUT;
    if (o->returning)
        try_again_at(s, ta_now_us() + RECORD_US);
    else
        free_order(s, o);
}

static void end_download(ta_scheduler *s, order *o, int code, const char *path, const ta_error *err)
{
    char text[1000];
    ta_free(o->input);
    o->input = code == 0 ? ta_strdup(path) : NULL;
    if (code == TA_ERR_AGAIN) {
        ta_log(TA_LOG_WARN, "queue", "job %lld is tried again: %s", (long long)o->id,
               ta_error_string(err, text, sizeof text));
        defer(s, o->id, DOWNLOAD_RETRY_US);
    }
    if (code == 0)
        ta_qdownload_free(&o->download);
    else if (code == TA_ERR_AGAIN || code == TA_ERR_CANCELLED)
        give_back(s, o);
    else
        fail_order(s, o, code, err);
}

/* An order that no worker has yet: its input is on the way, or there and waits for a worker. */
static void look_after_early(ta_scheduler *s, order *o)
{
    wish w = look_up(s, o);
    int code;
    const char *path;
    const ta_error *err;
    if (o->download && !ta_qdownload_ended(o->download, &code, &path, &err))
        return;
    if (o->download)
        end_download(s, o, code, path, err);
    if (!o->id || o->download)
        return;
    if (w.cancel || w.paused || !o->input)
        give_back(s, o);
    else if (s->calls->free_workers(s->crew) > 0)
        give_order(s, o);
}

static void look_after(ta_scheduler *s)
{
    for (int i = 0; i < ORDERS; i++) {
        order *o = &s->orders[i];
        pthread_mutex_lock(&s->lock);
        bool busy = o->id != 0, ended = o->ended;
        ta_qstate stage = o->stage;
        pthread_mutex_unlock(&s->lock);
        if (!busy)
            continue;
        if (ended) {
            record_end(s, o);
            continue;
        }
        if (o->returning) {
            give_back(s, o);
            continue;
        }
        pass_on(s, o);
        if (!o->given)
            look_after_early(s, o);
        else if (stage != o->recorded && !o->paused && !o->cancelled)
            record_stage(s, o, stage);
    }
}

/* ---- Beginning ------------------------------------------------------------------------------------------------------
 */

static bool is_deferred(const ta_scheduler *s, int64_t id, int64_t now, int64_t *until)
{
    for (int i = 0; i < DEFERRED; i++) {
        if (s->deferred[i].id == id && s->deferred[i].until_us > now) {
            *until = s->deferred[i].until_us;
            return true;
        }
    }
    return false;
}

static void defer(ta_scheduler *s, int64_t id, int64_t us)
{
    int64_t until = ta_now_us() + (us ? us : 1000 * (int64_t)(s->config.retry_ms ? s->config.retry_ms : RETRY_MS));
    s->deferred[s->next_deferred].id = id;
    s->deferred[s->next_deferred].until_us = until;
    s->next_deferred = (s->next_deferred + 1) % DEFERRED;
    try_again_at(s, until);
}

static int gpu_jobs(const ta_scheduler *s)
{
    int n = 0;
    for (int i = 0; i < ORDERS; i++)
        n += s->orders[i].id && s->orders[i].gpu;
    return n;
}

static int downloads(const ta_scheduler *s)
{
    int n = 0;
    for (int i = 0; i < ORDERS; i++)
        n += s->orders[i].id && s->orders[i].download;
    return n;
}

/* A job as it is needed behind the view. */
typedef struct chosen {
    int64_t id, settings;
    int attempt;
    bool gpu, begun;
    char *input, *output;
} chosen;

static void free_chosen(chosen *c)
{
    ta_free(c->input);
    ta_free(c->output);
    *c = (chosen){ 0 };
}

/* The first pending job that may begin now; `worker`: one is free, which a download doesn't need. False when there is
 * none. */
static bool choose(ta_scheduler *s, bool worker, chosen *c)
{
    const ta_view *v = ta_view_enter(s->reader);
    const ta_qjob *page[64], *found = NULL;
    int64_t now = ta_now_us(), until;
    bool no_gpu = gpu_jobs(s) >= TA_MAX(s->config.gpu_jobs, 1), no_download = downloads(s) >= DOWNLOADS;
    size_t n = ta_view_paused(v) ? 0 : TA_COUNT(page);
    for (size_t at = 0; n && !found && (worker || at < LOOK_FAR); at += n) {
        n = ta_view_page(v, TA_Q_PENDING, at, TA_COUNT(page), page);
        for (size_t i = 0; i < n && !found; i++) {
            if (ta_view_waits_for(v, page[i]) || (no_gpu && page[i]->gpu))
                continue;
            bool url = ta_is_url(page[i]->input);
            if (is_deferred(s, page[i]->id, now, &until))
                try_again_at(s, until);
            else if (url ? !no_download : worker)
                found = page[i];
            else
                s->wants_worker = true; /* or a download's end */
        }
    }
    if (found)
        *c = (chosen){ found->id,
                       found->settings,
                       found->attempt,
                       found->gpu,
                       found->started_us != 0,
                       ta_strdup(found->input),
                       ta_strdup(found->output) };
    ta_view_leave(s->reader);
    return found != NULL;
}

typedef struct reading {
    int64_t settings;
    char *json;
} reading;

static int read_settings(ta_change *c, void *arg, ta_error *err)
{
    reading *r = arg;
    return ta_store_settings_text(c->store, r->settings, &r->json, err);
}

static bool is_finished(const char *output, const order *o, const ta_settings *settings)
{
    ta_output_state there = TA_OUTPUT_NONE;
    const char *why;
    return ta_output_look(output, o->input, settings, NULL, &there, &why, NULL) >= 0 && there == TA_OUTPUT_FINISHED;
}

/* Among the files of a folder, as the name has the height of the picture in it. */
static bool is_finished_among(const order *o, const ta_settings *settings)
{
    DIR *dir = opendir(o->output);
    bool found = false;
    struct dirent *e;
    for (int n = 0; dir && !found && n < FOLDER_MAX && (e = readdir(dir)); n++) {
        if (e->d_name[0] == '.' || !ta_ends(e->d_name, ".json"))
            continue;
        char *path = ta_path_join(o->output, e->d_name);
        if (path)
            path[strlen(path) - strlen(".json")] = '\0';
        found = path && is_finished(path, o, settings);
        ta_free(path);
    }
    if (dir)
        closedir(dir);
    return found;
}

/* In a folder, under the name that the template gives. */
static bool is_finished_in(const order *o, const ta_settings *settings)
{
    const char *extension;
    ta_output_words unknown = { .height = -1 };
    if (ta_output_extension(settings, &extension, NULL) < 0)
        return false;
    char *name = ta_output_name(settings, o->input, extension, &unknown);
    char *path = name ? ta_path_join(o->output, name) : NULL;
    bool finished =
        path && (strstr(name, "{height}") ? is_finished_among(o, settings) : is_finished(path, o, settings));
    ta_free(path);
    ta_free(name);
    return finished;
}

/* Its owner may have been killed between the output's publication and its record. */
static bool was_finished(const order *o)
{
    ta_settings *settings = o->begun ? ta_settings_new() : NULL;
    bool done = false;
    if (settings && ta_settings_from_json(settings, o->json, TA_FROM_COMMAND_LINE, NULL) >= 0 &&
        ta_settings_resolve(settings, NULL, NULL) >= 0)
        done = ta_ends(o->output, "/") ? is_finished_in(o, settings) : is_finished(o->output, o, settings);
    ta_settings_free(&settings);
    return done;
}

/* What it is thought to hold at its most: its own limit, else a usual figure. */
static int64_t memory_of(const char *json)
{
    json_t *settings = json_loads(json, 0, NULL);
    int64_t limit = (int64_t)json_integer_value(json_object_get(settings, "memory-limit"));
    const char *engine = json_string_value(json_object_get(settings, "engine"));
    const char *faces = json_string_value(json_object_get(settings, "face-restore"));
    bool neural = ta_streq(engine, "realesrgan") || (faces && !ta_streq(faces, "off"));
    json_decref(settings);
    return limit > 0 ? limit : neural ? NEURAL_MEMORY : USUAL_MEMORY;
}

/* A place for the order: before it is given, as its end may come before ta_crew_give returns. It owns the texts then.
 */
static order *note_order(ta_scheduler *s, chosen *c, ta_qstate stage)
{
    order *o = NULL;
    pthread_mutex_lock(&s->lock);
    for (int i = 0; i < ORDERS && !o; i++)
        o = s->orders[i].id ? NULL : &s->orders[i];
    if (o) {
        *o = (order){ .id = c->id,
                      .attempt = c->attempt,
                      .gpu = c->gpu,
                      .begun = c->begun,
                      .stage = stage,
                      .recorded = stage,
                      .input = c->input,
                      .output = c->output };
        c->input = c->output = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    return o;
}

static void set_end(ta_scheduler *s, order *o, int code, const char *message)
{
    pthread_mutex_lock(&s->lock);
    o->ended = true;
    o->code = code;
    ta_free(o->message);
    o->message = ta_utf8_clean(message);
    pthread_mutex_unlock(&s->lock);
    record_end(s, o);
}

static void fail_order(ta_scheduler *s, order *o, int code, const ta_error *err)
{
    char text[1500];
    set_end(s, o, code, ta_error_string(err, text, sizeof text));
}

/* Nothing but the moment spoke against it: it is pending again, and tried later. */
static void put_off(ta_scheduler *s, order *o, const ta_error *err)
{
    char text[1000];
    ta_log(TA_LOG_VERBOSE, "queue", "job %lld has to wait: %s", (long long)o->id,
           ta_error_string(err, text, sizeof text));
    defer(s, o->id, 0);
    give_back(s, o);
}

static void give_order(ta_scheduler *s, order *o)
{
    char name[TA_WORK_ID_MAX + 1];
    ta_error err = { 0 };
    if (was_finished(o)) {
        set_end(s, o, 0, o->output);
        return;
    }
    name_order(o, name);
    ta_work_order what = {
        .id = name, .input = o->input, .output = o->output, .settings_json = o->json, .memory = memory_of(o->json)
    };
    pthread_mutex_lock(&s->lock);
    o->stage = TA_Q_ANALYSING;
    pthread_mutex_unlock(&s->lock);
    if (o->recorded != TA_Q_ANALYSING)
        record_stage(s, o, TA_Q_ANALYSING);
    o->given = true;
    int r = s->calls->give(s->crew, &what, &err);
    o->given = r >= 0;
    if (r == TA_ERR_AGAIN)
        put_off(s, o, &err);
    else if (r < 0)
        fail_order(s, o, r, &err);
    else
        ta_log(TA_LOG_INFO, "queue", "job %lld begins: %s", (long long)o->id, o->input);
}

static void on_download(void *opaque)
{
    on_change(opaque);
}

/* The job is at work on the disk before anything is done for it. */
static int start_order(ta_scheduler *s, order *o, int64_t settings, ta_error *err)
{
    reading read = { .settings = settings };
    bool url = ta_is_url(o->input);
    int r = ta_jobs_do(s->q, read_settings, &read, TA_OP_READS, err);
    o->json = read.json;
    if (r >= 0)
        r = ta_jobs_set_state(s->q, o->id, o->attempt, o->recorded, err);
    if (r >= 0 && url)
        r = ta_qdownload_start(&o->download, s->q, o->id, o->attempt, o->input, o->json, on_download, s, err);
    else if (r >= 0)
        give_order(s, o);
    if (r >= 0 && url)
        ta_log(TA_LOG_INFO, "queue", "job %lld is downloaded", (long long)o->id);
    return r;
}

/* False when there is nothing to begin. */
static bool begin_one(ta_scheduler *s)
{
    chosen c = { 0 };
    ta_error err = { 0 };
    char text[1000];
    s->wants_worker = false;
    if (!choose(s, s->calls->free_workers(s->crew) > 0, &c))
        return false;
    order *o = c.input && c.output ? note_order(s, &c, ta_is_url(c.input) ? TA_Q_DOWNLOADING : TA_Q_ANALYSING) : NULL;
    int r = o ? start_order(s, o, c.settings, &err) : TA_ERR_AGAIN;
    if (r < 0) {
        if (r != TA_ERR_USAGE && r != TA_ERR_NOINPUT) /* else it was cancelled or removed in this moment */
            ta_log(TA_LOG_ERROR, "queue", "job %lld can't be begun: %s", (long long)c.id,
                   ta_error_string(&err, text, sizeof text));
        defer(s, c.id, 0);
        if (o && r == TA_ERR_DATA && ta_jobs_set_state(s->q, o->id, o->attempt, TA_Q_ANALYSING, NULL) >= 0)
            fail_order(s, o, r, &err); /* its settings are lost */
        else if (o)
            give_back(s, o);
    }
    free_chosen(&c);
    return true;
}

/* ---- The thread -----------------------------------------------------------------------------------------------------
 */

static bool any_order(const ta_scheduler *s)
{
    for (int i = 0; i < ORDERS; i++)
        if (s->orders[i].id)
            return true;
    return false;
}

/* Under the lock. Until something happens, or something is due. */
static void rest(ta_scheduler *s)
{
    if (!s->kicked && !any_order(s) && !s->again_us && !s->wants_worker)
        set_idle(s, true);
    while (!s->kicked && !s->quit) {
        struct timespec until = { s->again_us / 1000000, s->again_us % 1000000 * 1000 };
        if (!s->again_us)
            pthread_cond_wait(&s->wake, &s->lock);
        else if (pthread_cond_timedwait(&s->wake, &s->lock, &until) == ETIMEDOUT)
            break;
    }
    s->kicked = false;
    s->again_us = 0;
}

/* Under the lock, which is let go of meanwhile. */
static void begin_all(ta_scheduler *s)
{
    for (bool more = true; more && !s->stop;) {
        pthread_mutex_unlock(&s->lock);
        more = begin_one(s);
        pthread_mutex_lock(&s->lock);
    }
}

static void *run(void *arg)
{
    ta_scheduler *s = arg;
    for (;;) {
        look_after(s);
        pthread_mutex_lock(&s->lock);
        begin_all(s);
        bool quit = s->quit;
        if (!quit)
            rest(s);
        pthread_mutex_unlock(&s->lock);
        if (quit)
            return NULL;
    }
}

int ta_scheduler_open(ta_scheduler **out, ta_jobs *q, const ta_scheduler_config *config, ta_error *err)
{
    pthread_condattr_t monotonic;
    ta_scheduler *s = ta_alloc(sizeof *s);
    *out = NULL;
    if (!s)
        return ta_no_memory(err);
    s->idle_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->reader = ta_view_reader_open(q);
    if (!s->reader || s->idle_fd < 0) {
        if (s->idle_fd >= 0)
            close(s->idle_fd);
        ta_view_reader_close(&s->reader);
        ta_free(s);
        return ta_fail(err, TA_ERR_AGAIN, "out of memory or descriptors");
    }
    s->q = q;
    s->config = *config;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *out = s;
    return 0;
}

int ta_scheduler_start(ta_scheduler *s, const ta_crew_calls *calls, void *crew, ta_error *err)
{
    s->calls = calls;
    s->crew = crew;
    if (pthread_create(&s->thread, NULL, run, s) != 0)
        return ta_fail(err, TA_ERR_AGAIN, "can't start a thread for the scheduler");
    s->started = true;
    ta_qdownload_clean(s->q);
    ta_jobs_listen(s->q, on_change, s);
    return 0;
}

void ta_scheduler_stop(ta_scheduler *s)
{
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    kick(s);
    pthread_mutex_unlock(&s->lock);
}

void ta_scheduler_close(ta_scheduler **ps)
{
    ta_scheduler *s = *ps;
    if (!s)
        return;
    if (s->started) {
        ta_jobs_unlisten(s->q, on_change, s);
        pthread_mutex_lock(&s->lock);
        s->stop = s->quit = true;
        kick(s);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->thread, NULL);
    }
    for (int i = 0; i < ORDERS; i++)
        free_order(s, &s->orders[i]);
    ta_view_reader_close(&s->reader);
    pthread_cond_destroy(&s->wake);
    close(s->idle_fd);
    pthread_mutex_destroy(&s->lock);
    ta_freep(ps);
}

bool ta_scheduler_wait_idle(ta_scheduler *s, ta_cancel *cancel)
{
    int fds[4], n = ta_cancel_fds(cancel, fds, 4);
    struct pollfd p[5] = { { .fd = s->idle_fd, .events = POLLIN } };
    for (int i = 0; i < n; i++)
        p[i + 1] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
    while (!ta_cancelled(cancel) && !(p[0].revents & POLLIN))
        if (poll(p, (nfds_t)n + 1, -1) < 0 && errno != EINTR)
            return false;
    return p[0].revents & POLLIN;
}
