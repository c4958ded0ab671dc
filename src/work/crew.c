/* A crew: its thread waits for its workers' channels, logs and ends, for wishes of other threads, and for whatever is
 * due next; it never looks again and again.
 *
 * Lock order: crew.lock is a leaf; callbacks, files and processes are never touched with it. */
#include "work/crew.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/sysinfo.h>
#include <unistd.h>

static const char *const stage_names[TA_WORK_STAGE_COUNT] = { "analysing", "preprocessing", "upscaling", "encoding",
                                                              "finishing" };

const char *ta_work_stage_name(ta_work_stage stage)
{
    return (unsigned)stage < TA_WORK_STAGE_COUNT ? stage_names[stage] : "working";
}

void ta_crew_wake(ta_crew *c)
{
    uint64_t one = 1;
    ssize_t ignored = write(c->wake_fd, &one, sizeof one); /* fails when full: then it wakes already */
    (void)ignored;
}

void ta_crew_end_order(ta_slot *s, int code, const char *message)
{
    ta_crew *c = s->crew;
    pthread_mutex_lock(&c->lock);
    ta_order *o = s->order;
    bool closing = c->closing;
    s->order = NULL;
    pthread_mutex_unlock(&c->lock);
    if (!closing && c->config.on_end)
        c->config.on_end(c->config.user, o->id, code, message);
    ta_order_close(&o);
    if (!closing && c->config.on_free)
        c->config.on_free(c->config.user);
}

/* ---- The thread -------------------------------------------------------------------------------------------------- */

enum { PER_SLOT = 3 };

static int list_fds(ta_crew *c, struct pollfd *fds, ta_slot **of)
{
    int n = 0;
    for (int i = 0; i < TA_CREW_MAX_WORKERS; i++) {
        ta_slot *s = &c->slots[i];
        if (s->state == TA_SLOT_EMPTY)
            continue;
        const int each[PER_SLOT] = { s->deaf ? -1 : s->process.socket, s->process.log, s->process.pidfd };
        for (int k = 0; k < PER_SLOT; k++)
            fds[n + k] = (struct pollfd){ .fd = each[k], .events = POLLIN };
        of[n / PER_SLOT] = s;
        n += PER_SLOT;
    }
    fds[n] = (struct pollfd){ .fd = c->wake_fd, .events = POLLIN };
    return n;
}

static int wait_ms(int64_t until, int64_t now)
{
    enum { LONGEST = 3600 * 1000 };
    if (until <= now)
        return 0;
    return until - now > INT64_C(1000) * LONGEST ? LONGEST : (int)((until - now + 999) / 1000);
}

static int64_t step_all(ta_crew *c)
{
    int64_t next = INT64_MAX;
    for (int i = 0; i < TA_CREW_MAX_WORKERS; i++)
        next = TA_MIN(next, ta_slot_step(&c->slots[i], ta_now_us()));
    return next;
}

static void wait_and_serve(ta_crew *c, int64_t until)
{
    struct pollfd fds[PER_SLOT * TA_CREW_MAX_WORKERS + 1];
    ta_slot *of[TA_CREW_MAX_WORKERS];
    uint64_t wakes;
    int n = list_fds(c, fds, of);
    if (poll(fds, (nfds_t)n + 1, wait_ms(until, ta_now_us())) <= 0)
        return;
    if (fds[n].revents) {
        ssize_t ignored = read(c->wake_fd, &wakes, sizeof wakes);
        (void)ignored;
    }
    for (int i = 0; i < n; i += PER_SLOT) {
        ta_slot *s = of[i / PER_SLOT];
        if (fds[i].revents)
            ta_slot_socket(s);
        if (fds[i + 1].revents)
            ta_slot_log(s);
        if (fds[i + 2].revents)
            ta_slot_ended(s);
    }
}

static bool is_done(ta_crew *c)
{
    pthread_mutex_lock(&c->lock);
    bool done = c->closing;
    pthread_mutex_unlock(&c->lock);
    for (int i = 0; i < TA_CREW_MAX_WORKERS; i++)
        done = done && c->slots[i].state == TA_SLOT_EMPTY;
    return done;
}

static void *run_crew(void *arg)
{
    ta_crew *c = arg;
    pthread_setname_np(pthread_self(), "crew");
    while (!is_done(c))
        wait_and_serve(c, step_all(c));
    return NULL;
}

/* ---- Opening ----------------------------------------------------------------------------------------------------- */

static void set_default(int *value, int otherwise)
{
    if (*value <= 0)
        *value = otherwise;
}

static void set_defaults(ta_crew_config *c)
{
    struct sysinfo machine;
    set_default(&c->heartbeat_ms, 20000);
    set_default(&c->stall_ms, 1200000);
    set_default(&c->handshake_ms, 20000);
    set_default(&c->cancel_ms, 800);
    set_default(&c->backoff_ms, 250);
    set_default(&c->attempts, 3);
    if (c->recycle_memory <= 0)
        c->recycle_memory = sysinfo(&machine) == 0 ? (int64_t)machine.totalram * machine.mem_unit / 2 : INT64_MAX;
    if (c->cpu_budget <= 0)
        c->cpu_budget = ta_cpu_count();
}

static int check_config(const ta_crew_config *c, ta_error *err)
{
    if (c->workers < 1 || c->workers > TA_CREW_MAX_WORKERS)
        return ta_fail(err, TA_ERR_USAGE, "a crew has 1 to %d workers, not %d", TA_CREW_MAX_WORKERS, c->workers);
    ta_confinement offered = ta_confinement_offered();
    const char *missing = ta_confinement_missing(&offered);
    if (c->sandbox == TA_CREW_SANDBOX_REQUIRED && missing) {
        ta_fail(err, TA_ERR_UNAVAILABLE, "this kernel has no %s, and the sandbox is required", missing);
        return ta_hint(err, "`terminalai doctor` says what is there");
    }
    if (c->sandbox == TA_CREW_SANDBOX_ON && missing)
        ta_log(TA_LOG_WARN, "crew", "workers are not fully confined: this kernel has no %s", missing);
    return 0;
}

static int copy_words(ta_crew *c, const char *const *words, ta_error *err)
{
    static const char *const usual[] = { "terminalai", "worker", NULL };
    size_t n = 0;
    if (!words)
        words = usual;
    while (words[n])
        n++;
    c->words = ta_array(n + 1, sizeof *c->words);
    for (size_t i = 0; c->words && i < n; i++)
        if (!(c->words[i] = ta_strdup(words[i])))
            return ta_no_memory(err);
    return c->words ? 0 : ta_no_memory(err);
}

static int copy_config(ta_crew *c, const ta_crew_config *config, ta_error *err)
{
    c->config = *config;
    set_defaults(&c->config);
    c->program = ta_strdup(config->program ? config->program : "/proc/self/exe");
    for (const char *const *p = config->readable; p && *p; p++)
        ta_places_add(&c->readable, *p);
    c->config.program = NULL;
    c->config.program_words = c->config.readable = NULL;
    return !c->program || c->readable.failed ? ta_no_memory(err) : copy_words(c, config->program_words, err);
}

static void free_crew(ta_crew **pc)
{
    ta_crew *c = *pc;
    for (int i = 0; i < TA_CREW_MAX_WORKERS; i++)
        ta_order_close(&c->slots[i].order);
    for (char **w = c->words; w && *w; w++)
        ta_free(*w);
    ta_free(c->words);
    ta_free(c->program);
    ta_places_free(&c->readable);
    if (c->wake_fd >= 0)
        close(c->wake_fd);
    pthread_mutex_destroy(&c->lock);
    ta_freep(pc);
}

/* Signals are for the program's own threads. */
static int start_thread(ta_crew *c)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int why = pthread_create(&c->thread, NULL, run_crew, c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return why;
}

int ta_crew_open(ta_crew **out, const ta_crew_config *config, ta_error *err)
{
    *out = NULL;
    int r = check_config(config, err);
    if (r < 0)
        return r;
    ta_crew *c = ta_alloc(sizeof *c);
    if (!c)
        return ta_no_memory(err);
    pthread_mutex_init(&c->lock, NULL);
    c->wanted = config->workers;
    for (int i = 0; i < TA_CREW_MAX_WORKERS; i++)
        c->slots[i] = (ta_slot){ .crew = c, .number = i, .process = { 0, -1, -1, -1 } };
    c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r = c->wake_fd < 0 ? ta_fail_errno(err, errno, false, "can't make", "an eventfd") : copy_config(c, config, err);
    int why = r >= 0 ? start_thread(c) : 0;
    if (why)
        r = ta_fail_errno(err, why, false, "can't start", "the crew's thread");
    if (r < 0)
        free_crew(&c);
    *out = c;
    return r;
}

void ta_crew_close(ta_crew **c)
{
    if (!c || !*c)
        return;
    pthread_mutex_lock(&(*c)->lock);
    (*c)->closing = true;
    pthread_mutex_unlock(&(*c)->lock);
    ta_crew_wake(*c);
    pthread_join((*c)->thread, NULL);
    free_crew(c);
}

/* ---- Orders ------------------------------------------------------------------------------------------------------ */

static bool is_free(const ta_crew *c, const ta_slot *s)
{
    return s->number < c->wanted && !s->order && !s->reserved;
}

static ta_slot *slot_of(ta_crew *c, const char *id)
{
    for (int i = 0; i < TA_CREW_MAX_WORKERS; i++)
        if (c->slots[i].order && !strcmp(c->slots[i].order->id, id))
            return &c->slots[i];
    return NULL;
}

/* What the orders that run use. The lock is held. */
static void sum_up(const ta_crew *c, double *cpus, int64_t *memory, int *count)
{
    *cpus = 0;
    *memory = 0;
    *count = 0;
    for (int i = 0; i < TA_CREW_MAX_WORKERS; i++) {
        const ta_order *o = c->slots[i].order;
        if (!o)
            continue;
        *cpus += o->cpus;
        *memory += o->memory;
        ++*count;
    }
}

/* One order may be over the budget, alone: else it would never run. */
static bool over_budget(const ta_crew *c, const ta_work_order *order)
{
    double cpus;
    int64_t memory;
    int count;
    sum_up(c, &cpus, &memory, &count);
    bool cpu = order->cpus > 0 && cpus + order->cpus > c->config.cpu_budget + 1e-6;
    bool room = c->config.memory_budget > 0 && memory + order->memory > c->config.memory_budget;
    return count > 0 && (cpu || room);
}

/* A slot for the order, reserved, or NULL with the reason in `err`. The best has a worker that waits already. */
static ta_slot *reserve(ta_crew *c, const ta_work_order *order, ta_error *err)
{
    ta_slot *found = NULL;
    pthread_mutex_lock(&c->lock);
    bool known = order->id && slot_of(c, order->id), full = over_budget(c, order);
    for (int i = 0; i < TA_CREW_MAX_WORKERS && !found && !known && !full; i++)
        if (is_free(c, &c->slots[i]))
            found = &c->slots[i];
    if (found)
        found->reserved = true;
    pthread_mutex_unlock(&c->lock);
    if (known)
        ta_fail(err, TA_ERR_USAGE, "an order of the id '%s' runs already", order->id);
    else if (!found)
        ta_fail(err, TA_ERR_AGAIN, full ? "the CPUs or the memory for jobs are used up" : "no worker is free");
    return found;
}

int ta_crew_give(ta_crew *c, const ta_work_order *order, ta_error *err)
{
    ta_error own = { 0 };
    ta_order *o;
    err = err ? err : &own;
    ta_slot *s = reserve(c, order, err);
    if (!s)
        return err->code;
    int r = ta_order_open(&o, order, err);
    for (int i = 0; r >= 0 && i < c->readable.count; i++)
        ta_places_add(&o->reads, c->readable.list[i]);
    if (r >= 0 && o->reads.failed)
        r = ta_no_memory(err);
    pthread_mutex_lock(&c->lock);
    s->reserved = false;
    if (r >= 0 && slot_of(c, o->id)) /* another thread was first */
        r = ta_fail(err, TA_ERR_USAGE, "an order of the id '%s' runs already", o->id);
    if (r >= 0)
        s->order = o;
    pthread_mutex_unlock(&c->lock);
    if (r < 0)
        ta_order_close(&o);
    ta_crew_wake(c);
    return r;
}

int ta_crew_free_workers(ta_crew *c)
{
    int n = 0;
    pthread_mutex_lock(&c->lock);
    for (int i = 0; i < TA_CREW_MAX_WORKERS; i++)
        n += is_free(c, &c->slots[i]);
    pthread_mutex_unlock(&c->lock);
    return n;
}

typedef enum wish { WISH_CANCEL, WISH_PAUSE, WISH_GO_ON } wish;

static int set_wish(ta_crew *c, const char *id, wish what, ta_error *err)
{
    pthread_mutex_lock(&c->lock);
    ta_slot *s = slot_of(c, id);
    if (s && what == WISH_CANCEL)
        s->order->cancelled = true;
    else if (s)
        s->order->paused = what == WISH_PAUSE;
    pthread_mutex_unlock(&c->lock);
    if (!s)
        return ta_fail(err, TA_ERR_NOINPUT, "no order of the id '%s' runs", id);
    ta_crew_wake(c);
    return 0;
}

int ta_crew_cancel(ta_crew *c, const char *id, ta_error *err)
{
    return set_wish(c, id, WISH_CANCEL, err);
}

int ta_crew_pause(ta_crew *c, const char *id, bool paused, ta_error *err)
{
    return set_wish(c, id, paused ? WISH_PAUSE : WISH_GO_ON, err);
}

int ta_crew_resize(ta_crew *c, int workers, ta_error *err)
{
    if (workers < 0 || workers > TA_CREW_MAX_WORKERS)
        return ta_fail(err, TA_ERR_USAGE, "a crew has 0 to %d workers, not %d", TA_CREW_MAX_WORKERS, workers);
    pthread_mutex_lock(&c->lock);
    c->wanted = workers;
    pthread_mutex_unlock(&c->lock);
    ta_crew_wake(c);
    return 0;
}

int ta_crew_pids(ta_crew *c, int *pids, int max)
{
    int n = 0;
    for (int i = 0; i < TA_CREW_MAX_WORKERS && n < max; i++) {
        int pid = atomic_load(&c->slots[i].pid);
        if (pid > 0)
            pids[n++] = pid;
    }
    return n;
}
