/* The thread pool for slices. Each call of ta_pool_slices puts a job on a list and works on it itself until no slice
 * is left to take; workers take slices from the first job that has some. A caller waits only for slices that are
 * running already, so the pool can't lock up however many callers there are. */
#include "base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/memory.h"

struct job {
    void (*fn)(void *arg, int i, int n);
    void *arg;
    int n;
    /* under the pool's lock */
    int next, running;
    pthread_cond_t idle; /* running reached 0 with nothing left to take */
    struct job *following;
};

struct ta_pool {
    int threads;
    pthread_t *ids;
    pthread_mutex_t lock;
    pthread_cond_t work;
    /* under lock */
    struct job *jobs; /* those with slices left to take */
    bool stop;
};

static void unlist(ta_pool *p, struct job *job)
{
    struct job **at = &p->jobs;
    while (*at != job)
        at = &(*at)->following;
    *at = job->following;
}

/* Takes one slice and runs it. Called and left with the lock held. */
static void run_slice(ta_pool *p, struct job *job)
{
    int i = job->next++;

    job->running++;
    if (job->next == job->n)
        unlist(p, job);
    pthread_mutex_unlock(&p->lock);
    job->fn(job->arg, i, job->n);
    pthread_mutex_lock(&p->lock);
    if (!--job->running && job->next == job->n)
        pthread_cond_signal(&job->idle);
}

static void *work(void *opaque)
{
    ta_pool *p = opaque;

    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->jobs && !p->stop)
            pthread_cond_wait(&p->work, &p->lock);
        if (!p->jobs)
            break;
        run_slice(p, p->jobs);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

void ta_pool_slices(ta_pool *p, void (*fn)(void *arg, int i, int n), void *arg, int n)
{
    struct job job = { .fn = fn, .arg = arg, .n = n, .idle = PTHREAD_COND_INITIALIZER };

    if (!p || n <= 1) {
        for (int i = 0; i < n; i++)
            fn(arg, i, n);
        return;
    }
    pthread_mutex_lock(&p->lock);
    struct job **last = &p->jobs;
    while (*last)
        last = &(*last)->following;
    *last = &job;
    pthread_cond_broadcast(&p->work);
    while (job.next < job.n)
        run_slice(p, &job);
    while (job.running)
        pthread_cond_wait(&job.idle, &p->lock);
    pthread_mutex_unlock(&p->lock);
    pthread_cond_destroy(&job.idle);
}

/* Signals belong to the main thread, so a worker starts with all of them blocked. */
static bool start_workers(ta_pool *p, int threads, const char *name)
{
    sigset_t all, before;
    char label[16];

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (p->threads < threads && !pthread_create(&p->ids[p->threads], NULL, work, p)) {
        snprintf(label, sizeof(label), "%.11s-%u", name ? name : "pool", (unsigned)p->threads % 1000);
        pthread_setname_np(p->ids[p->threads], label);
        p->threads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return p->threads == threads;
}

ta_pool *ta_pool_new(int threads, const char *name)
{
    ta_pool *p = ta_alloc(sizeof(*p));

    if (!p)
        return NULL;
    if (threads <= 0)
        threads = ta_cpu_count();
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    p->ids = ta_array((size_t)threads, sizeof(*p->ids));
    if (!p->ids || !start_workers(p, threads, name))
        ta_pool_free(&p);
    return p;
}

void ta_pool_free(ta_pool **p)
{
    if (!p || !*p)
        return;
    pthread_mutex_lock(&(*p)->lock);
    (*p)->stop = true;
    pthread_cond_broadcast(&(*p)->work);
    pthread_mutex_unlock(&(*p)->lock);
    for (int i = 0; i < (*p)->threads; i++)
        pthread_join((*p)->ids[i], NULL);
    pthread_cond_destroy(&(*p)->work);
    pthread_mutex_destroy(&(*p)->lock);
    ta_free((*p)->ids);
    ta_freep(p);
}

int ta_pool_threads(const ta_pool *p)
{
    return p ? p->threads : 0;
}
