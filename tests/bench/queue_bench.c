/* Measures the queue from within, for scripts/bench.py: each mode prints one JSON object.
 *
 *   queue_bench status DIR SECONDS     8 threads read the status of 10,000 jobs under 1,000 updates/s
 *   queue_bench adds DIR SECONDS       durable adds, a thousand in a request
 *   queue_bench one DIR COUNT          durable adds, one by one
 *   queue_bench events DIR SECONDS     from the update to a subscriber behind the socket
 *   queue_bench make DIR COUNT         so many jobs
 *   queue_bench large DIR              opens them; pages; memory
 *   queue_bench hooks DIR CONFIG PORT  from the end of a job to the first byte at a webhook
 *   queue_bench ends DIR COUNT [CONFIG]   so many ends of jobs, with notifications when CONFIG is given
 *   queue_bench soak DIR SECONDS       jobs come, work, end and go: does memory grow? */
#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "queue/queue.h"

enum { THREADS = 8, JOBS = 10000, UPDATES = 1000, SAMPLE = 16, SAMPLES = 1 << 20 };

#define MUST(call)                                                                                                     \
    do {                                                                                                               \
        ta_error e_ = { 0 };                                                                                           \
        ta_error *err = &e_;                                                                                           \
        if ((call) < 0) {                                                                                              \
            fprintf(stderr, "%s: %s\n", #call, e_.depth ? e_.text[e_.depth - 1] : "failed");                           \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *list, size_t n, double q)
{
    if (!n)
        return -1;
    qsort(list, n, sizeof *list, by_value);
    return list[TA_MIN((size_t)(q * (double)n), n - 1)];
}

/* ---- Jobs -----------------------------------------------------------------------------------------------------------
 */

static void add(ta_jobs *q, int64_t from, int n)
{
    json_t *list = json_array(), *reply = NULL;
    for (int i = 0; i < n; i++)
        json_array_append_new(
            list,
            json_pack("{s:o, s:o}", "input", json_sprintf("/captures/1994/summer/tape-%lld.avi", (long long)from + i),
                      "output", json_sprintf("/restored/1994/summer/tape-%lld.mkv", (long long)from + i)));
    json_t *request = json_pack("{s:s, s:[{}], s:o}", "do", "add", "settings", "jobs", list);
    MUST(ta_jobs_request(q, request, &reply, err));
    json_decref(reply);
    json_decref(request);
}

static ta_jobs *open_with(const char *dir, int64_t jobs)
{
    ta_jobs *q = NULL;
    MUST(ta_jobs_open(&q, dir, NULL, err));
    for (int64_t i = 0; i < jobs; i += 5000)
        add(q, i, (int)TA_MIN(jobs - i, 5000));
    return q;
}

/* ---- Status ---------------------------------------------------------------------------------------------------------
 */

typedef struct reader {
    ta_jobs *q;
    atomic_bool *stop;
    pthread_t thread;
    uint64_t reads, wrong;
    double cpu, blocked;
    double *samples;
    size_t n_samples;
} reader;

/* What this thread neither ran nor waited for a processor: it slept. */
static double slept(double from)
{
    char path[64];
    unsigned long long run = 0, queued = 0;
    snprintf(path, sizeof path, "/proc/self/task/%ld/schedstat", (long)syscall(SYS_gettid));
    FILE *f = fopen(path, "re");
    int got = f ? fscanf(f, "%llu %llu", &run, &queued) : 0;
    if (f)
        fclose(f);
    return got == 2 ? TA_MAX(seconds_now() - from - (double)(run + queued) / 1e9, 0) : -1;
}

/* Counts by state, and stage, percent and time left of any job: all of one moment, or it counts as wrong. */
static void read_once(reader *r, ta_view_reader *view, unsigned *seed, uint64_t *last)
{
    const ta_view *v = ta_view_enter(view);
    size_t sum = 0;
    ta_qprogress p;
    for (int s = 0; s < TA_Q_STATES; s++)
        sum += ta_view_count(v, (ta_qstate)s);
    *seed = *seed * 1664525 + 1013904223;
    const ta_qjob *j = ta_view_job(v, 1 + (*seed >> 8) % JOBS);
    ta_view_progress(v, j, &p);
    uint64_t seq = ta_view_seq(v);
    r->wrong += sum != ta_view_total(v) || seq < *last || (p.eta_seconds >= 0 && p.fps != p.fraction * 1000);
    *last = seq;
    ta_view_leave(view);
}

static void *read_on(void *arg)
{
    reader *r = arg;
    ta_view_reader *view = ta_view_reader_open(r->q);
    unsigned seed = (unsigned)(uintptr_t)r;
    uint64_t last = 0;
    double from = seconds_now(), cpu = cpu_now();
    while (!atomic_load_explicit(r->stop, memory_order_relaxed)) {
        for (int i = 0; i < SAMPLE - 1; i++)
            read_once(r, view, &seed, &last);
        double begun = seconds_now();
        read_once(r, view, &seed, &last);
        if (r->n_samples < SAMPLES)
            r->samples[r->n_samples++] = seconds_now() - begun;
        r->reads += SAMPLE;
    }
    r->cpu = cpu_now() - cpu;
    r->blocked = slept(from);
    ta_view_reader_close(&view);
    return NULL;
}

/* Progress of jobs at work, a thousand times a second. Returns how much of that time the calls took beyond their CPU
 * time. */
static double update_for(ta_jobs *q, double seconds, uint64_t *updates)
{
    double from = seconds_now(), blocked = 0;
    for (*updates = 0; seconds_now() - from < seconds; ++*updates) {
        double f = (double)(*updates % 1000) / 1000, begun = seconds_now(), cpu = cpu_now();
        if (!ta_jobs_progress(q, 1 + (int64_t)(*updates * 7919 % JOBS), 1, &(ta_qprogress){ f, f * 1000, 60 }))
            exit(2);
        blocked += TA_MAX(seconds_now() - begun - (cpu_now() - cpu), 0);
        double next = from + (double)(*updates + 1) / UPDATES, now = seconds_now();
        if (next > now)
            ta_sleep_us((int64_t)((next - now) * 1e6));
    }
    return blocked;
}

static void begin_all(ta_jobs *q, int64_t n)
{
    for (int64_t i = 1; i <= n; i++)
        MUST(ta_jobs_set_state(q, i, 1, TA_Q_ENCODING, err));
}

static void status(const char *dir, double seconds)
{
    ta_jobs *q = open_with(dir, JOBS);
    reader r[THREADS];
    atomic_bool stop = false;
    uint64_t reads = 0, wrong = 0, updates;
    double cpu = 0, blocked = 0;
    size_t n = 0;
    begin_all(q, JOBS);
    double *all = malloc(THREADS * SAMPLES * sizeof *all);
    for (int i = 0; i < THREADS; i++) {
        r[i] = (reader){ .q = q, .stop = &stop, .samples = malloc(SAMPLES * sizeof *all) };
        if (pthread_create(&r[i].thread, NULL, read_on, &r[i]) != 0)
            exit(1);
    }
    double updater = update_for(q, seconds, &updates);
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(r[i].thread, NULL);
        reads += r[i].reads;
        wrong += r[i].wrong;
        cpu += r[i].cpu;
        blocked += r[i].blocked;
        memcpy(all + n, r[i].samples, r[i].n_samples * sizeof *all);
        n += r[i].n_samples;
        free(r[i].samples);
    }
    double p50 = quantile(all, n, 0.5), p999 = quantile(all, n, 0.999);
    printf("{\"reads\": %llu, \"wrong\": %llu, \"cpu\": %.4f, \"blocked\": %.6f, \"updater_blocked\": %.6f, "
           "\"updates\": %llu, "
           "\"p50_us\": %.3f, \"p999_us\": %.3f, \"seconds\": %.3f}\n",
           (unsigned long long)reads, (unsigned long long)wrong, cpu, blocked, updater, (unsigned long long)updates,
           p50 * 1e6, p999 * 1e6, seconds);
    free(all);
    ta_jobs_close(&q);
}

/* ---- Adds -----------------------------------------------------------------------------------------------------------
 */

static void adds(const char *dir, double seconds)
{
    ta_jobs *q = open_with(dir, 0);
    int64_t n = 0;
    double from = seconds_now();
    for (; seconds_now() - from < seconds; n += 1000)
        add(q, n, 1000);
    printf("{\"adds\": %lld, \"seconds\": %.4f}\n", (long long)n, seconds_now() - from);
    ta_jobs_close(&q);
}

static void one_by_one(const char *dir, int64_t count)
{
    ta_jobs *q = open_with(dir, 0);
    double from = seconds_now();
    for (int64_t i = 0; i < count; i++)
        add(q, i, 1);
    printf("{\"adds\": %lld, \"seconds\": %.4f}\n", (long long)count, seconds_now() - from);
    ta_jobs_close(&q);
}

/* ---- Events ---------------------------------------------------------------------------------------------------------
 */

typedef struct listening {
    const char *dir;
    double *list;
    size_t n, most;
} listening;

static bool take_event(void *opaque, const json_t *event)
{
    listening *l = opaque;
    const json_t *at = json_object_get(event, "at_us");
    if (at && l->n < l->most)
        l->list[l->n++] = (double)(ta_now_us() - (int64_t)json_integer_value(at)) / 1000;
    return l->n < l->most;
}

static void *listen_on(void *arg)
{
    listening *l = arg;
    ta_client *c = NULL;
    MUST(ta_client_open(&c, l->dir, NULL, err));
    ta_client_watch(c, take_event, l, NULL);
    ta_client_close(&c);
    return NULL;
}

static void events(const char *dir, double seconds)
{
    ta_jobs *q = open_with(dir, JOBS);
    ta_jobs_server *s = NULL;
    uint64_t updates;
    listening l = { .dir = dir, .most = (size_t)(seconds * UPDATES * 0.9) };
    pthread_t thread;
    begin_all(q, JOBS);
    l.list = malloc(l.most * sizeof *l.list);
    MUST(ta_jobs_serve(&s, q, err));
    if (pthread_create(&thread, NULL, listen_on, &l) != 0)
        exit(1);
    ta_sleep_us(200000);
    update_for(q, seconds, &updates);
    ta_jobs_unserve(&s);
    pthread_join(thread, NULL);
    double p50 = quantile(l.list, l.n, 0.5), p99 = quantile(l.list, l.n, 0.99);
    printf("{\"events\": %zu, \"updates\": %llu, \"p50_ms\": %.4f, \"p99_ms\": %.4f}\n", l.n,
           (unsigned long long)updates, p50, p99);
    free(l.list);
    ta_jobs_close(&q);
}

/* ---- Many jobs ------------------------------------------------------------------------------------------------------
 */

static void large(const char *dir)
{
    struct rusage use;
    ta_jobs *q = NULL;
    double from = seconds_now();
    MUST(ta_jobs_open(&q, dir, NULL, err));
    double start = seconds_now() - from, worst = 0;
    json_t *reply = NULL;
    for (int i = 0; i < 50; i++) {
        json_t *request =
            json_pack("{s:s, s:i, s:i, s:s}", "do", "list", "offset", i * 1999, "limit", 100, "state", "pending");
        double begun = seconds_now();
        MUST(ta_jobs_request(q, request, &reply, err));
        worst = TA_MAX(worst, seconds_now() - begun);
        if (json_array_size(json_object_get(reply, "jobs")) != 100)
            exit(2);
        json_decref(reply);
        json_decref(request);
    }
    getrusage(RUSAGE_SELF, &use);
    ta_view_reader *r = ta_view_reader_open(q);
    size_t jobs = ta_view_total(ta_view_enter(r));
    ta_view_leave(r);
    ta_view_reader_close(&r);
    printf("{\"jobs\": %zu, \"start_s\": %.4f, \"page_ms\": %.4f, \"rss\": %lld}\n", jobs, start, worst * 1000,
           (long long)use.ru_maxrss * 1024);
    ta_jobs_close(&q);
}

/* ---- Notifications --------------------------------------------------------------------------------------------------
 */

static void *take_hooks(void *arg)
{
    static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    int fd = *(int *)((void **)arg)[0];
    _Atomic double *at = ((void **)arg)[1];
    char bytes[16384];
    for (;;) {
        int c = accept(fd, NULL, NULL);
        if (c < 0)
            return NULL;
        if (recv(c, bytes, 1, 0) == 1)
            atomic_store(at, seconds_now());
        ta_sleep_us(2000);
        if (recv(c, bytes, sizeof bytes, MSG_DONTWAIT) > 0 && send(c, reply, sizeof reply - 1, MSG_NOSIGNAL) < 0)
            perror("send");
        close(c);
    }
}

static void hooks(const char *dir, const char *config, int port)
{
    enum { TIMES = 50 };
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 16) != 0)
        exit(1);
    _Atomic double at = 0;
    void *arg[] = { &fd, &at };
    pthread_t thread;
    if (pthread_create(&thread, NULL, take_hooks, arg) != 0)
        exit(1);
    ta_jobs *q = open_with(dir, TIMES);
    ta_notify_config *c = NULL;
    ta_jobs_notifier *n = NULL;
    double list[TIMES];
    int got = 0;
    MUST(ta_notify_config_read(&c, config, err));
    MUST(ta_jobs_notify(&n, q, c, err));
    begin_all(q, TIMES);
    for (int i = 0; i < TIMES; i++) {
        double begun = seconds_now();
        atomic_store(&at, 0);
        MUST(ta_jobs_end(q, i + 1, 1, 0, "", err));
        while (atomic_load(&at) == 0 && seconds_now() - begun < 5)
            ta_sleep_us(200);
        if (atomic_load(&at) > 0)
            list[got++] = (atomic_load(&at) - begun) * 1000;
        ta_sleep_us(5000);
    }
    double p50 = quantile(list, (size_t)got, 0.5), worst = quantile(list, (size_t)got, 1);
    printf("{\"hooks\": %d, \"of\": %d, \"p50_ms\": %.3f, \"worst_ms\": %.3f}\n", got, TIMES, p50, worst);
    fflush(stdout);
    ta_jobs_unnotify(&n);
    ta_notify_config_free(&c);
    ta_jobs_close(&q);
}

/* Ends of jobs in a row, each durable. */
static void ends(const char *dir, int64_t count, const char *config)
{
    ta_jobs *q = open_with(dir, count);
    ta_notify_config *c = NULL;
    ta_jobs_notifier *n = NULL;
    begin_all(q, count);
    if (config) {
        MUST(ta_notify_config_read(&c, config, err));
        MUST(ta_jobs_notify(&n, q, c, err));
    }
    double from = seconds_now();
    for (int64_t i = 1; i <= count; i++)
        MUST(ta_jobs_end(q, i, 1, 0, "", err));
    printf("{\"ends\": %lld, \"seconds\": %.4f}\n", (long long)count, seconds_now() - from);
    fflush(stdout);
    ta_jobs_unnotify(&n);
    ta_notify_config_free(&c);
    ta_jobs_close(&q);
}

/* ---- Soak -----------------------------------------------------------------------------------------------------------
 */

static double resident(void)
{
    long long pages = 0;
    malloc_trim(0);
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f || fscanf(f, "%*s %lld", &pages) != 1)
        exit(1);
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* A hundred jobs from their beginning to their removal. */
static void soak_round(ta_jobs *q, ta_subscriber *s, ta_view_reader *view, int64_t *next)
{
    ta_event e;
    int64_t first = *next;
    json_t *request = json_pack("{s:s, s:s}", "do", "clear", "what", "ended"), *reply = NULL;
    add(q, first, 100);
    for (; *next < first + 100; ++*next) {
        MUST(ta_jobs_set_state(q, *next, 1, TA_Q_ENCODING, err));
        for (int i = 0; i < 50; i++) {
            ta_jobs_progress(q, *next, 1, &(ta_qprogress){ i / 50.0, 25, 50 - i });
            const ta_view *v = ta_view_enter(view);
            if (!ta_view_job(v, *next))
                exit(2);
            ta_view_leave(view);
        }
        MUST(ta_jobs_end(q, *next, 1, *next % 7 ? 0 : TA_ERR_IO, "broken", err));
        while (ta_subscriber_next(s, &e))
            ;
    }
    MUST(ta_jobs_request(q, request, &reply, err));
    json_decref(reply);
    json_decref(request);
}

static void soak(const char *dir, double seconds)
{
    ta_jobs *q = open_with(dir, 0);
    ta_subscriber *s = ta_subscribe(q);
    ta_view_reader *view = ta_view_reader_open(q);
    int64_t next = 1, rounds = 0;
    double from = seconds_now(), begun = 0;
    for (; seconds_now() - from < seconds || rounds < 4; rounds++) {
        soak_round(q, s, view, &next);
        if (!begun && (seconds_now() - from > seconds / 5) && rounds >= 2)
            begun = resident(); /* behind a fifth of it everything has its size */
    }
    double now = resident();
    printf("{\"jobs\": %lld, \"seconds\": %.1f, \"rss\": %.0f, \"growth\": %.0f}\n", (long long)next - 1,
           seconds_now() - from, now, now - (begun > 0 ? begun : now));
    ta_view_reader_close(&view);
    ta_unsubscribe(&s);
    ta_jobs_close(&q);
    exit(begun > 0 && now - begun < 1e6 ? 0 : 3);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 2 ? argv[1] : "", *dir = argc > 2 ? argv[2] : "";
    double number = argc > 3 ? atof(argv[3]) : 0;
    ta_log_setup(TA_LOG_ERROR, false);
    if (strcmp(mode, "status") == 0)
        status(dir, number);
    else if (strcmp(mode, "adds") == 0)
        adds(dir, number);
    else if (strcmp(mode, "one") == 0)
        one_by_one(dir, (int64_t)number);
    else if (strcmp(mode, "events") == 0)
        events(dir, number);
    else if (strcmp(mode, "make") == 0)
        ta_jobs_close(&(ta_jobs *){ open_with(dir, (int64_t)number) });
    else if (strcmp(mode, "large") == 0)
        large(dir);
    else if (strcmp(mode, "hooks") == 0 && argc > 4)
        hooks(dir, argv[3], atoi(argv[4]));
    else if (strcmp(mode, "ends") == 0)
        ends(dir, (int64_t)number, argc > 4 ? argv[4] : NULL);
    else if (strcmp(mode, "soak") == 0)
        soak(dir, number);
    else
        return 64;
    return 0;
}
