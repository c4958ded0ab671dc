/* All segments of a job, several at once where that pays, beside the sound. */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "restore/segments.h"

/* One more than may be at work: while the last encoder empties, the next segment begins. */
enum { MOST_JOBS = 32, MOST_WORKERS = MOST_JOBS + 1, MOST_FLOWS = MOST_WORKERS + 1 };
/* Another segment is begun beside the others when the CPUs were idle for more than this share. */
static const double idle_share = 0.15;

/* ---- What runs now, for the display
 * ----------------------------------------------------------------------------------- */

typedef struct shown {
    pthread_mutex_t lock; /* guards the list */
    ta_flow *flows[MOST_FLOWS];
    int count;
} shown;

void ta_job_show_flow(ta_job *job, ta_flow *flow, bool on)
{
    shown *s = job->shown;
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    if (on && s->count < MOST_FLOWS)
        s->flows[s->count++] = flow;
    for (int i = 0; !on && i < s->count; i++)
        if (s->flows[i] == flow)
            s->flows[i--] = s->flows[--s->count];
    pthread_mutex_unlock(&s->lock);
}

/* Adds the counters of nodes of one name. */
static int merge(ta_flow_node_stats *all, int n, int max, const ta_flow_node_stats *more, int count)
{
    for (int i = 0; i < count; i++) {
        int k = 0;
        while (k < n && strcmp(all[k].name, more[i].name) != 0)
            k++;
        if (k == n && n == max)
            continue;
        if (k == n) {
            all[n++] = more[i];
            continue;
        }
        all[k].in += more[i].in;
        all[k].out += more[i].out;
        all[k].busy_us += more[i].busy_us;
        all[k].cpu_us += more[i].cpu_us;
    }
    return n;
}

int ta_job_flow_stats(const ta_job *job, ta_flow_node_stats *stats, int max)
{
    shown *s = job->shown;
    ta_flow_node_stats one[64];
    int n = 0;
    if (!s)
        return job->flow ? ta_flow_stats(job->flow, stats, max) : 0;
    pthread_mutex_lock(&s->lock);
    for (int i = 0; i < s->count; i++)
        n = merge(stats, n, max, one, ta_flow_stats(s->flows[i], one, (int)TA_COUNT(one)));
    pthread_mutex_unlock(&s->lock);
    return n;
}

/* ---- Space
 * ------------------------------------------------------------------------------------------------------------ */

int ta_wait_for_space(ta_job *job, ta_cancel *cancel, ta_error *err)
{
    ta_error why = { 0 };
    int64_t give_up = 0, wait = ta_get_int(job->settings, TA_SET_disk_wait) * 1000000;
    for (;;) {
        int r = ta_space_check(&job->space, &why);
        if (r >= 0) {
            if (give_up)
                ta_log(TA_LOG_INFO, "restore", "there is room again: the job goes on");
            return 0;
        }
        if (!give_up) {
            give_up = ta_now_us() + wait;
            ta_log(TA_LOG_WARN, "restore", "paused: %s; the job goes on as soon as there is room", why.text[0]);
        }
        if (ta_now_us() >= give_up) {
            if (err)
                *err = why;
            return r;
        }
        if (ta_cancel_wait(cancel, 500000))
            return ta_fail(err, TA_ERR_CANCELLED, "cancelled");
    }
}

/* ---- How many at once
 * ------------------------------------------------------------------------------------------------- */

typedef struct workers {
    ta_job *job;
    ta_cancel *cancel; /* of all, when one of them fails */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* lock */
    int next;    /* number of the segment to look at next */
    int allowed; /* segments that may be at work at once */
    int active;
    int emptying;                   /* of these, those whose encoder has got its last frame */
    int most;                       /* never more than these */
    bool tune;                      /* jobs=auto */
    bool ended;                     /* nothing is left to begin, or one failed */
    int64_t since_us, since_cpu_us; /* since the number of workers last changed */
    int64_t base_rss, each_rss, limit_rss;
    ta_error why; /* of the first that failed; the others are cancelled then, and say only that */
} workers;

static int64_t resident_bytes(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static int64_t free_memory(void)
{
    char line[128];
    long long kib = 0;
    FILE *f = fopen("/proc/meminfo", "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %lld kB", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib * 1024;
}

/* What a segment takes is what the process grew by, shared among those that run. */
static bool has_memory(const workers *w)
{
    int64_t now = resident_bytes();
    int64_t each = w->active > 0 ? TA_MAX((now - w->base_rss) / w->active, w->each_rss) : w->each_rss;
    return w->active == 0 || now + each <= w->limit_rss;
}

/* Called under the lock when a segment has ended. */
static void tune(workers *w)
{
    int64_t now = ta_now_us(), cpu = ta_process_cpu_us();
    double used = (double)(cpu - w->since_cpu_us) / TA_MAX(1, (double)(now - w->since_us) * ta_cpu_count());
    w->since_us = now;
    w->since_cpu_us = cpu;
    if (!w->tune || used > 1 - idle_share || w->allowed >= w->most || !has_memory(w))
        return;
    w->allowed++;
    ta_log(TA_LOG_VERBOSE, "restore", "%.0f %% of the CPUs were idle: %d segments at once", 100 - used * 100,
           w->allowed);
}

/* The next segment that is not done, or -1. Waits while there is no place. */
static int take(workers *w)
{
    ta_segment_done done;
    pthread_mutex_lock(&w->lock);
    while (!w->ended && (w->active - w->emptying >= w->allowed || !has_memory(w))) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 1;
        pthread_cond_timedwait(&w->wake, &w->lock, &until);
        w->ended = w->ended || ta_cancelled(w->cancel);
    }
    int number = -1;
    w->ended = w->ended || ta_flow_failed(w->job->flow); /* the sound's end is the job's */
    while (!w->ended && number < 0 && w->next < w->job->n_segments) {
        number = w->next++;
        if (ta_segment_is_done(w->job, number, &done)) {
            ta_segment_done_free(&done);
            number = -1;
        }
    }
    if (number < 0)
        w->ended = true;
    else
        w->active++;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->lock);
    return number;
}

typedef struct worker {
    workers *all;
    bool emptying; /* all->lock */
} worker;

static void on_emptying(void *opaque)
{
    worker *self = opaque;
    pthread_mutex_lock(&self->all->lock);
    self->emptying = true;
    self->all->emptying++;
    pthread_cond_broadcast(&self->all->wake);
    pthread_mutex_unlock(&self->all->lock);
}

static void give(worker *self, int status, const ta_error *err)
{
    workers *w = self->all;
    pthread_mutex_lock(&w->lock);
    w->emptying -= self->emptying;
    self->emptying = false;
    if (w->active > 0)
        w->each_rss = TA_MAX(w->each_rss, (resident_bytes() - w->base_rss) / w->active);
    w->active--;
    if (status < 0 && !w->why.code && !ta_cancelled(w->cancel))
        w->why = *err;
    if (status < 0)
        w->ended = true;
    else
        tune(w);
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->lock);
    if (status < 0)
        ta_cancel_set(w->cancel);
}

static int work(void *opaque, ta_error *err)
{
    worker *self = opaque;
    int n, r = 0;
    while (r >= 0 && (n = take(self->all)) >= 0) {
        r = ta_wait_for_space(self->all->job, self->all->cancel, err);
        if (r >= 0)
            r = ta_segment_run(self->all->job, n, self->all->cancel, on_emptying, self, err);
        give(self, r, err);
    }
    return r;
}

/* ---- The run
 * ---------------------------------------------------------------------------------------------------------- */

int64_t ta_segment_length_us(const ta_job *job, int number)
{
    const ta_segment *s = &job->segments[number];
    AVRational tb = job->link_in.video.time_base;
    int64_t begin = s->first_pts == INT64_MIN ? job->zero_us : av_rescale_q(s->first_pts, tb, AV_TIME_BASE_Q);
    int64_t frames = ta_index_frames(job->index);
    int64_t end = s->end < frames ? av_rescale_q(ta_index_frame_pts(job->index, s->end), tb, AV_TIME_BASE_Q)
                                  : job->zero_us + TA_MAX(job->duration_us, begin - job->zero_us);
    return TA_MAX(end - begin, 0);
}

/* What earlier runs did counts as done, and every second's weight is known from the index. */
static int account_for_done(ta_job *job, int *left, ta_error *err)
{
    ta_segment_done done;
    *left = 0;
    atomic_store(&job->done_us, 0);
    atomic_store(&job->out_us, 0);
    for (int i = 0; i < job->n_segments; i++) {
        int64_t length = ta_segment_length_us(job, i);
        if (!ta_segment_is_done(job, i, &done)) {
            ++*left;
            continue;
        }
        ta_segment_done_free(&done);
        atomic_fetch_add(&job->done_us, length);
        atomic_fetch_add(&job->out_us, length);
    }
    if (*left < job->n_segments)
        ta_log(TA_LOG_INFO, "restore", "going on: %d of %d segments are done", job->n_segments - *left,
               job->n_segments);
    return ta_job_weigh_by_index(job, err);
}

/* Parts of segments that a killed process of this machine left. */
static void remove_dead_parts(const ta_job *job)
{
    char host[64] = "", tail[96];
    const char *path = ta_job_folder_path(job->folder);
    DIR *dir = opendir(path);
    gethostname(host, sizeof host - 1);
    host[31] = '\0';
    for (struct dirent *e; dir && (e = readdir(dir));) {
        int number, pid, tid;
        if (snprintf(tail, sizeof tail, "segment-%%d.%s-%%d-%%d.part", host) >= (int)sizeof tail)
            break;
        const char *dot = strchr(e->d_name, '.');
        size_t n = strlen(host);
        if (sscanf(e->d_name, "segment-%d.", &number) != 1 || !dot || strncmp(dot + 1, host, n) != 0 ||
            sscanf(dot + 1 + n, "-%d-%d.part", &pid, &tid) != 2)
            continue;
        if (pid != getpid() && kill(pid, 0) != 0)
            unlinkat(dirfd(dir), e->d_name, 0);
    }
    if (dir)
        closedir(dir);
}

static int set_up(workers *w, ta_job *job, ta_error *err)
{
    const char *jobs = ta_get_text(job->settings, TA_SET_jobs);
    int64_t limit = ta_get_int(job->settings, TA_SET_memory_limit);
    w->job = job;
    w->tune = strcmp(jobs, "auto") == 0;
    w->allowed = w->tune ? 1 : atoi(jobs);
    w->most = TA_MIN(w->tune ? ta_cpu_count() : w->allowed, MOST_JOBS);
    w->base_rss = resident_bytes();
    w->limit_rss = limit > 0 ? limit : w->base_rss + free_memory() / 4 * 3;
    w->since_us = ta_now_us();
    w->since_cpu_us = ta_process_cpu_us();
    w->cancel = ta_cancel_new(job->cancel);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    return w->cancel ? 0 : ta_no_memory(err);
}

/* Two processes must not append to one spool. */
static int lock_sound(ta_job *job, ta_error *err)
{
    if (job->sound_lock)
        return 0;
    char *path = ta_job_folder_keep(job->folder, "sound.lock");
    int r = path ? ta_lock_take(&job->sound_lock, path, err) : ta_no_memory(err);
    ta_free(path);
    return r == TA_ERR_AGAIN ? ta_hint(err, "another process makes the sound of this job: wait until it has ended") : r;
}

/* Makes what is missing of the sound; `ready` edges end when it is complete. */
static int add_sound(ta_job *job, ta_edge *const *ready, int n_ready, ta_error *err)
{
    bool there = job->sound_done;
    int r = there ? 0 : lock_sound(job, err);
    if (r >= 0 && !there)
        r = ta_sound_load(job, err);
    if (r < 0)
        return r;
    job->sound_done = true; /* by the end of the flow */
    return there || r > 0 ? ta_ready_node(job, ready, n_ready, err) : ta_side_node(job, ready, n_ready, err);
}

/* The sound runs beside the segments, and is encoded there too: the join would wait for it with idle CPUs. */
static int add_encoded_sound(ta_job *job, ta_error *err)
{
    ta_edge *ready[TA_MAX_TRACKS];
    int n = 0, r = 0;
    for (int i = 0; i < job->n_tracks && r >= 0; i++) {
        ta_track *t = &job->tracks[i];
        if (t->copy || t->packets)
            continue;
        ready[n] = ta_flow_packets(job->flow, 1, 0);
        r = ready[n] ? ta_audio_node(job, t, ready[n], NULL, err) : ta_no_memory(err);
        n++;
    }
    return r < 0 ? r : add_sound(job, ready, n, err);
}

int ta_sound_run(ta_job *job, ta_error *err)
{
    if (job->sound_done)
        return 0;
    int r = ta_job_weigh_by_index(job, err);
    if (r < 0)
        return r;
    job->flow = ta_flow_new(job->cancel);
    r = job->flow ? add_sound(job, NULL, 0, err) : ta_no_memory(err);
    if (r >= 0)
        r = ta_flow_run(job->flow, err);
    job->sound_done = r >= 0;
    ta_job_free_nodes(job);
    return r;
}

static int run_flow(ta_job *job, workers *w, worker *each, int left, ta_error *err)
{
    int r = 0;
    job->flow = ta_flow_new(w->cancel);
    if (!job->flow)
        return ta_no_memory(err);
    for (int i = 0; i < TA_MIN(w->most + 1, left) && r >= 0; i++) {
        char name[32];
        snprintf(name, sizeof name, "segments %d", i + 1);
        each[i] = (worker){ .all = w };
        r = ta_flow_add(job->flow, name, work, &each[i], NULL, 0, NULL, 0, err);
    }
    if (r >= 0)
        r = add_encoded_sound(job, err);
    if (r < 0)
        return r;
    ta_job_show_flow(job, job->flow, true);
    ta_ticker *ticker = ta_ticker_start(job);
    r = ta_flow_run(job->flow, err);
    ta_ticker_stop(&ticker, false);
    ta_job_show_flow(job, job->flow, false);
    return r;
}

int ta_segments_run(ta_job *job, ta_error *err)
{
    workers w = { 0 };
    worker each[MOST_WORKERS];
    shown s = { .count = 0 };
    int left = 0;
    remove_dead_parts(job);
    atomic_store(&job->stage, "restoring");
    int r = account_for_done(job, &left, err);
    if (r >= 0)
        r = set_up(&w, job, err);
    pthread_mutex_init(&s.lock, NULL);
    job->shown = &s;
    if (r >= 0)
        r = run_flow(job, &w, each, left, err);
    if (r == TA_ERR_CANCELLED && w.why.code) {
        *err = w.why;
        r = w.why.code;
    }
    ta_job_free_nodes(job);
    job->shown = NULL;
    pthread_mutex_destroy(&s.lock);
    pthread_mutex_destroy(&w.lock);
    pthread_cond_destroy(&w.wake);
    ta_cancel_free(&w.cancel);
    return r;
}
