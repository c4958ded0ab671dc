/* Threads of a flow: each node runs on its own; the first failure or a cancel aborts all edges and ends everything.
 *
 * Lock order: ta_flow.lock is a leaf; queues lock inside themselves and never call out. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "flow/internal.h"

enum { MAX_PORTS = 16 };

typedef struct node {
    /* -- immutable once the flow runs */
    ta_flow *flow;
    char name[48];
    ta_node_run run;
    void *opaque;
    ta_edge *in[MAX_PORTS], *out[MAX_PORTS];
    int n_in, n_out;
    struct node *next;
    /* -- written by the flow's thread and the node's own, read by anybody */
    pthread_t thread;
    atomic_int state; /* 0 not started, 1 running, 2 ended */
    _Atomic int64_t start_us, end_us, cpu_us;
} node;

/* Stages between two edges. */
typedef struct stage_node {
    ta_stage **stages;
    int count;
    ta_edge *in, *out;
    struct stage_node *next;
} stage_node;

struct ta_flow {
    ta_cancel *cancel;
    node *nodes, **nodes_end;
    ta_edge *edges;
    stage_node *stage_nodes;
    int done_fd;
    atomic_int running;
    pthread_mutex_t lock; /* guards error, failed */
    ta_error error;
    bool failed;
};

ta_flow *ta_flow_new(ta_cancel *cancel)
{
    ta_flow *f = ta_alloc(sizeof *f);
    if (!f)
        return NULL;
    f->cancel = cancel;
    f->nodes_end = &f->nodes;
    pthread_mutex_init(&f->lock, NULL);
    f->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (f->done_fd < 0)
        ta_flow_free(&f);
    return f;
}

void ta_flow_free(ta_flow **flow)
{
    ta_flow *f = *flow;
    if (!f)
        return;
    for (node *n = f->nodes, *next; n; n = next) {
        next = n->next;
        ta_free(n);
    }
    for (stage_node *s = f->stage_nodes, *next; s; s = next) {
        next = s->next;
        ta_free(s);
    }
    for (ta_edge *e = f->edges, *next; e; e = next) {
        next = e->next;
        ta_edge_free(&e);
    }
    if (f->done_fd >= 0)
        close(f->done_fd);
    pthread_mutex_destroy(&f->lock);
    ta_freep(flow);
}

static ta_edge *add_edge(ta_flow *f, ta_edge *e)
{
    if (e) {
        e->cancel = f->cancel;
        e->next = f->edges;
        f->edges = e;
    }
    return e;
}

ta_edge *ta_flow_frames(ta_flow *f, int max_frames, size_t max_bytes)
{
    return add_edge(f, ta_edge_new(false, max_frames, max_bytes));
}

ta_edge *ta_flow_packets(ta_flow *f, int max_packets, size_t max_bytes)
{
    return add_edge(f, ta_edge_new(true, max_packets, max_bytes));
}

int ta_flow_add(ta_flow *f, const char *name, ta_node_run run, void *opaque, ta_edge *const *in, int n_in,
                ta_edge *const *out, int n_out, ta_error *err)
{
    if (n_in > MAX_PORTS || n_out > MAX_PORTS)
        return ta_fail(err, TA_ERR_SOFTWARE, "node '%s' has more than %d edges", name, MAX_PORTS);
    node *n = ta_alloc(sizeof *n);
    if (!n)
        return ta_no_memory(err);
    n->flow = f;
    snprintf(n->name, sizeof n->name, "%s", name);
    n->run = run;
    n->opaque = opaque;
    n->n_in = n_in;
    n->n_out = n_out;
    for (int i = 0; i < n_in; i++)
        n->in[i] = in[i];
    for (int i = 0; i < n_out; i++) {
        n->out[i] = out[i];
        ta_queue_add_writer(out[i]->queue);
    }
    *f->nodes_end = n;
    f->nodes_end = &n->next;
    return 0;
}

static void abort_edges(ta_flow *f)
{
    for (ta_edge *e = f->edges; e; e = e->next)
        ta_queue_abort(e->queue);
}

/* The first failure is the flow's; what follows from it (cancelled queues) is not an error of its own. */
static void fail_flow(ta_flow *f, int status, const char *name, ta_error *err)
{
    pthread_mutex_lock(&f->lock);
    bool first = !f->failed;
    if (first) {
        f->failed = true;
        if (!err->depth)
            ta_fail(err, (ta_status)status, "%s failed", name);
        f->error = *err;
        f->error.code = (ta_status)status;
    }
    pthread_mutex_unlock(&f->lock);
    if (first)
        abort_edges(f);
}

bool ta_flow_failed(ta_flow *f)
{
    pthread_mutex_lock(&f->lock);
    bool failed = f->failed;
    pthread_mutex_unlock(&f->lock);
    return failed;
}

static void *node_main(void *arg)
{
    node *n = arg;
    ta_error err = { 0 };
    pthread_setname_np(pthread_self(), (char[16]){ 0 });
    char thread_name[16];
    snprintf(thread_name, sizeof thread_name, "%.15s", n->name);
    pthread_setname_np(pthread_self(), thread_name);
    int r = n->run(n->opaque, &err);
    if (r < 0)
        fail_flow(n->flow, r, n->name, &err);
    for (int i = 0; i < n->n_out; i++)
        ta_queue_end(n->out[i]->queue);
    atomic_store(&n->cpu_us, ta_thread_cpu_us());
    atomic_store(&n->end_us, ta_now_us());
    atomic_store(&n->state, 2);
    atomic_fetch_sub(&n->flow->running, 1);
    uint64_t one = 1;
    ssize_t ignored = write(n->flow->done_fd, &one, sizeof one);
    (void)ignored;
    return NULL;
}

/* A stack below the size of a huge page: the default of 8 MiB is given 2 MiB of memory at its first touch where the
 * kernel uses huge pages, for each thread. Codecs start deep work on threads of their own. */
static int start_thread(node *n)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 1024 * 1024);
    int r = pthread_create(&n->thread, &attr, node_main, n);
    pthread_attr_destroy(&attr);
    return r;
}

static int start_nodes(ta_flow *f, ta_error *err)
{
    for (node *n = f->nodes; n; n = n->next) {
        atomic_store(&n->start_us, ta_now_us());
        atomic_store(&n->state, 1);
        atomic_fetch_add(&f->running, 1);
        int r = start_thread(n);
        if (r != 0) {
            atomic_fetch_sub(&f->running, 1);
            atomic_store(&n->state, 0);
            ta_fail_errno(err, r, false, "start a thread for", n->name);
            fail_flow(f, TA_ERR_AGAIN, n->name, err);
            return TA_ERR_AGAIN;
        }
    }
    return 0;
}

/* Sleeps until all nodes ended; a cancel aborts the edges so that they do. */
static void wait_nodes(ta_flow *f)
{
    struct pollfd fds[5] = { { f->done_fd, POLLIN, 0 } };
    int cancel_fds[4];
    int n = f->cancel ? ta_cancel_fds(f->cancel, cancel_fds, 4) : 0;
    for (int i = 0; i < n; i++)
        fds[i + 1] = (struct pollfd){ cancel_fds[i], POLLIN, 0 };
    nfds_t count = (nfds_t)n + 1;
    while (atomic_load(&f->running) > 0) {
        poll(fds, count, -1);
        uint64_t ignored;
        ssize_t got = read(f->done_fd, &ignored, sizeof ignored);
        (void)got;
        if (count > 1 && ta_cancelled(f->cancel)) {
            ta_error err = { 0 };
            ta_fail(&err, TA_ERR_CANCELLED, "cancelled");
            fail_flow(f, TA_ERR_CANCELLED, "job", &err);
            abort_edges(f);
            count = 1;
        }
    }
}

int ta_flow_run(ta_flow *f, ta_error *err)
{
    ta_error start = { 0 };
    start_nodes(f, &start);
    wait_nodes(f);
    for (node *n = f->nodes; n; n = n->next)
        if (atomic_load(&n->state) != 0)
            pthread_join(n->thread, NULL);
    if (!f->failed)
        return 0;
    if (err)
        *err = f->error;
    return f->error.code;
}

/* ---- Stages as nodes ------------------------------------------------------------------------------------------- */

static int emit_to_edge(void *to, AVFrame *frame, ta_error *err)
{
    return ta_edge_push_frame(to, frame) < 0 ? ta_fail(err, TA_ERR_CANCELLED, "cancelled") : 0;
}

static int run_stages(void *opaque, ta_error *err)
{
    stage_node *s = opaque;
    AVFrame *frame;
    int r;
    while ((r = ta_edge_pop_frame(s->in, &frame)) > 0) {
        r = ta_stages_push(s->stages, s->count, frame, emit_to_edge, s->out, err);
        if (r < 0)
            return r;
    }
    if (r < 0)
        return ta_fail(err, (ta_status)r, "cancelled");
    return ta_stages_push(s->stages, s->count, NULL, emit_to_edge, s->out, err);
}

int ta_flow_add_stages(ta_flow *f, ta_stage **stages, int count, ta_edge *in, ta_edge *out, ta_error *err)
{
    char name[32] = "";
    stage_node *s = ta_alloc(sizeof *s);
    if (!s)
        return ta_no_memory(err);
    *s = (stage_node){ stages, count, in, out, f->stage_nodes };
    f->stage_nodes = s;
    for (int i = 0; i < count; i++) {
        size_t used = strlen(name);
        snprintf(name + used, sizeof name - used, "%s%s", i ? "+" : "", stages[i]->name);
    }
    return ta_flow_add(f, name, run_stages, s, &in, 1, &out, 1, err);
}

/* ---- Statistics ------------------------------------------------------------------------------------------------ */

static int64_t cpu_now(const node *n)
{
    clockid_t clock;
    struct timespec t;
    if (atomic_load(&n->state) != 1 || pthread_getcpuclockid(n->thread, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return atomic_load(&n->cpu_us);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void node_stats(const node *n, ta_flow_node_stats *s)
{
    *s = (ta_flow_node_stats){ 0 };
    memcpy(s->name, n->name, sizeof s->name);
    int state = atomic_load(&n->state);
    if (state == 0)
        return;
    for (int i = 0; i < n->n_in; i++) {
        ta_queue_stats q;
        ta_queue_get_stats(n->in[i]->queue, &q);
        s->in += q.popped;
        s->wait_in_us += q.wait_pop_us;
        s->depth += q.depth;
        s->max_depth = TA_MAX(s->max_depth, q.max_depth);
    }
    for (int i = 0; i < n->n_out; i++) {
        ta_queue_stats q;
        ta_queue_get_stats(n->out[i]->queue, &q);
        s->out += q.pushed;
        s->wait_out_us += q.wait_push_us;
    }
    int64_t end = state == 2 ? atomic_load(&n->end_us) : ta_now_us();
    s->busy_us = TA_MAX(end - atomic_load(&n->start_us) - s->wait_in_us - s->wait_out_us, 0);
    s->cpu_us = cpu_now(n);
}

int ta_flow_stats(const ta_flow *f, ta_flow_node_stats *stats, int max)
{
    int count = 0;
    for (const node *n = f->nodes; n && count < max; n = n->next)
        node_stats(n, &stats[count++]);
    return count;
}
