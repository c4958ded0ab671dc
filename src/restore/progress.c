/* Progress: a timer looks at the flow's counters twice a second; nothing is formatted or locked on the frame path. */
#include <pthread.h>
#include <time.h>

#include "restore/internal.h"

enum { PERIOD_MS = 500, MAX_NODES = 64 };

struct ta_ticker {
    ta_job *job;
    pthread_t thread;
    pthread_mutex_t lock; /* guards stop */
    pthread_cond_t wake;
    bool stop;
    char stages[512];
    ta_flow_node_stats last[MAX_NODES];
    int n_last;
    int64_t begun, last_time, last_frames, last_done;
    double rate; /* fraction a second, smoothed */
    double last_fraction;
    double first_fraction; /* done by earlier runs */
};

/* Segments come and go, and their nodes with them. */
static int64_t busy_before(const ta_ticker *t, const char *name)
{
    for (int i = 0; i < t->n_last; i++)
        if (strcmp(t->last[i].name, name) == 0)
            return t->last[i].busy_us;
    return 0;
}

/* Which thread is the bottleneck: the share of the last period that each was working. */
static void describe_stages(ta_ticker *t, int64_t period)
{
    ta_flow_node_stats now[MAX_NODES];
    int n = ta_job_flow_stats(t->job, now, MAX_NODES);
    size_t used = 0;
    t->stages[0] = '\0';
    for (int i = 0; i < n && used < sizeof t->stages - 64; i++) {
        int64_t busy = now[i].busy_us - busy_before(t, now[i].name);
        int percent = (int)TA_CLAMP(busy * 100 / TA_MAX(period, 1), 0, 100);
        if (percent >= 3)
            used += (size_t)snprintf(t->stages + used, sizeof t->stages - used, "%s%s %d %%", used ? " · " : "",
                                     now[i].name, percent);
    }
    memcpy(t->last, now, sizeof now);
    t->n_last = n;
}

/* The share of the work that lies before a moment: a fifth of it goes with time, the rest with the source's bytes
 * (measured with x264 on still and moving tape). */
static double work_before(const ta_job *job, int64_t us)
{
    double by_time = (double)us / (double)job->duration_us, before = 0, all = 0;
    if (!atomic_load(&job->weighed))
        return by_time;
    for (int i = 0; i < job->weights; i++) {
        double bytes = atomic_load(&job->weight[i]);
        double part = TA_CLAMP((double)us / 1e6 - i, 0, 1);
        before += bytes * part;
        all += bytes;
    }
    return all > 0 ? 0.2 * by_time + 0.8 * before / all : by_time;
}

/* The share of the job that is done: the video's when there is one, the sound's otherwise. A frame inside the encoder
 * is a third done. */
static double fraction_done(const ta_job *job)
{
    if (!job->n_segments && atomic_load(&job->index_done))
        return atomic_load(&job->index_done) / 1000.0;
    if (job->duration_us <= 0)
        return 0;
    int64_t in = atomic_load(&job->done_us), out = atomic_load(&job->out_us);
    if (job->video < 0)
        return TA_CLAMP((double)(atomic_load(&job->side_us) + in) / 2 / (double)job->duration_us, 0, 1);
    return TA_CLAMP(0.35 * work_before(job, in) + 0.65 * work_before(job, out), 0, 1);
}

/* The time left, from the whole run so far, drawn towards the recent pace as the job goes on. */
static double time_left(ta_ticker *t, double fraction, double elapsed)
{
    double mine = fraction - t->first_fraction;
    if (mine < 0.005 || elapsed < 1)
        return -1;
    double overall = mine / elapsed;
    double recent = t->rate > 0 ? t->rate : overall;
    return (1 - fraction) / (0.8 * overall + 0.2 * recent);
}

static void report(ta_ticker *t, bool last)
{
    ta_job *job = t->job;
    int64_t now = ta_now_us(), period = TA_MAX(now - t->last_time, 1);
    int64_t frames = (int64_t)atomic_load(&job->frames_in), done = atomic_load(&job->done_us);
    double fraction = last ? 1 : fraction_done(job), elapsed = (double)(now - t->begun) / 1e6;
    double pace = (fraction - t->last_fraction) / ((double)period / 1e6);
    t->rate = t->rate > 0 ? 0.9 * t->rate + 0.1 * pace : pace;
    t->last_fraction = fraction;
    describe_stages(t, period);
    ta_progress p = {
        .fraction = fraction,
        .fps = (double)(frames - t->last_frames) * 1e6 / (double)period,
        .speed = (double)(done - t->last_done) / (double)period,
        .eta_seconds = last ? 0 : time_left(t, fraction, elapsed),
        .frames_in = frames,
        .frames_out = (int64_t)atomic_load(&job->frames_out),
        .stage = atomic_load(&job->stage),
        .stages = t->stages,
    };
    t->last_time = now;
    t->last_frames = frames;
    t->last_done = done;
    job->on_progress(job->progress_opaque, &p);
}

static bool wait_period(ta_ticker *t)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += PERIOD_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&t->lock);
    int r = 0;
    while (!t->stop && r == 0)
        r = pthread_cond_timedwait(&t->wake, &t->lock, &until);
    bool stop = t->stop;
    pthread_mutex_unlock(&t->lock);
    return !stop;
}

static void *tick(void *arg)
{
    ta_ticker *t = arg;
    pthread_setname_np(pthread_self(), "progress");
    while (wait_period(t))
        report(t, false);
    return NULL;
}

ta_ticker *ta_ticker_start(ta_job *job)
{
    if (!job->on_progress)
        return NULL;
    ta_ticker *t = ta_alloc(sizeof *t);
    if (!t)
        return NULL;
    t->job = job;
    t->begun = t->last_time = ta_now_us();
    t->first_fraction = t->last_fraction = fraction_done(job);
    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&t->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&t->thread, NULL, tick, t) != 0) {
        pthread_mutex_destroy(&t->lock);
        pthread_cond_destroy(&t->wake);
        ta_freep(&t);
    }
    return t;
}

void ta_ticker_stop(ta_ticker **pt, bool done)
{
    ta_ticker *t = *pt;
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    if (done)
        report(t, !ta_cancelled(t->job->cancel));
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->wake);
    ta_freep(pt);
}
