/* The queue: opening, and the writer thread, which does what is asked for in transactions as large as the disk's pace
 * makes them (group commit): while one is being synced the next requests gather. */
#include "queue/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { BATCH = 1024 };

/* ---- The writer -----------------------------------------------------------------------------------------------------
 */

static void begin_change(ta_jobs *q)
{
    ta_change *c = &q->change;
    c->cold = atomic_load(&q->board.root)->cold; /* only this thread replaces it */
    ta_txn_begin(&c->txn, ta_board_stamp(&q->board));
    c->n_told = 0;
    c->changed = c->broken = false;
    c->now_us = ta_wall_us();
}

/* Runs the requests inside of a transaction. True when it can be committed. */
static bool run_ops(ta_jobs *q, ta_op **ops, size_t n)
{
    for (size_t i = 0; i < n && !q->change.broken; i++) {
        ta_error_clear(ops[i]->err);
        ops[i]->result = ops[i]->fn(&q->change, ops[i]->arg, ops[i]->err);
    }
    return !q->change.broken;
}

static void fail_all(ta_op **ops, size_t n, int code, const ta_error *err)
{
    for (size_t i = 0; i < n; i++) {
        ops[i]->result = code;
        if (ops[i]->err)
            *ops[i]->err = *err;
    }
}

/* The view is made before the commit: behind it nothing may fail. 0, or what broke all of it. */
static int commit(ta_jobs *q, bool writes, ta_error *err)
{
    ta_change *c = &q->change;
    ta_view *view = c->changed ? ta_alloc(sizeof *view) : NULL;
    if (c->changed && !view)
        return ta_no_memory(err);
    int r = writes ? ta_store_commit(q->store, err) : 0;
    if (r < 0)
        ta_free(view);
    else if (view)
        ta_board_publish(&q->board, view, &c->cold, &c->txn, c->told, c->n_told);
    return r;
}

/* A request that breaks its transaction must not take others with it: then each gets one of its own. True when a new
 * view was published. */
static bool run_batch(ta_jobs *q, ta_op **ops, size_t n)
{
    bool writes = false, sync = false;
    ta_error err = { 0 };
    for (size_t i = 0; i < n; i++) {
        writes |= ops[i]->kind != TA_OP_READS;
        sync |= ops[i]->kind == TA_OP_WRITES;
    }
    begin_change(q);
    int r = writes ? ta_store_begin(q->store, sync, &err) : 0;
    bool good = r >= 0 && run_ops(q, ops, n);
    if (good)
        r = commit(q, writes, &err);
    if (good && r >= 0)
        return q->change.changed;
    ta_store_rollback(q->store);
    ta_txn_take_back(&q->change.txn);
    if (r < 0)
        fail_all(ops, n, r, &err);
    bool changed = false;
    for (size_t i = 0; r >= 0 && n > 1 && i < n; i++)
        changed |= run_batch(q, &ops[i], 1);
    return changed;
}

/* Waits for requests. How many there are now; 0 = the end. */
static size_t take_ops(ta_jobs *q, ta_op **ops)
{
    size_t n = 0;
    pthread_mutex_lock(&q->lock);
    while (!q->first && !q->stop)
        pthread_cond_wait(&q->wake, &q->lock);
    while (q->first && n < BATCH) {
        ops[n++] = q->first;
        q->first = q->first->next;
    }
    if (!q->first)
        q->last = NULL;
    pthread_mutex_unlock(&q->lock);
    return n;
}

static void end_ops(ta_jobs *q, ta_op **ops, size_t n, bool changed)
{
    pthread_mutex_lock(&q->lock);
    for (size_t i = 0; i < n; i++)
        ops[i]->done = true;
    for (int i = 0; changed && i < TA_LISTENERS; i++)
        if (q->listener[i].fn)
            q->listener[i].fn(q->listener[i].opaque);
    pthread_cond_broadcast(&q->ended);
    pthread_mutex_unlock(&q->lock);
}

static void *write_all(void *arg)
{
    ta_jobs *q = arg;
    ta_op *ops[BATCH];
    for (size_t n; (n = take_ops(q, ops));) {
        bool changed = run_batch(q, ops, n);
        end_ops(q, ops, n, changed);
    }
    return NULL;
}

int ta_jobs_do(ta_jobs *q, ta_op_fn fn, void *arg, ta_op_kind kind, ta_error *err)
{
    ta_op op = { .fn = fn, .arg = arg, .kind = kind, .err = err };
    pthread_mutex_lock(&q->lock);
    if (q->last)
        q->last->next = &op;
    else
        q->first = &op;
    q->last = &op;
    pthread_cond_signal(&q->wake);
    while (!op.done)
        pthread_cond_wait(&q->ended, &q->lock);
    pthread_mutex_unlock(&q->lock);
    return op.result;
}

void ta_jobs_listen(ta_jobs *q, void (*fn)(void *opaque), void *opaque)
{
    int i = 0;
    pthread_mutex_lock(&q->lock);
    while (i < TA_LISTENERS - 1 && q->listener[i].fn)
        i++;
    q->listener[i].fn = fn;
    q->listener[i].opaque = opaque;
    pthread_mutex_unlock(&q->lock);
}

void ta_jobs_unlisten(ta_jobs *q, void (*fn)(void *opaque), void *opaque)
{
    pthread_mutex_lock(&q->lock);
    for (int i = 0; i < TA_LISTENERS; i++)
        if (q->listener[i].fn == fn && q->listener[i].opaque == opaque)
            q->listener[i].fn = NULL;
    pthread_mutex_unlock(&q->lock);
}

/* ---- Opening --------------------------------------------------------------------------------------------------------
 */

static int take_row(void *opaque, const ta_qjob *j)
{
    return ta_change_take(opaque, j);
}

/* The end that was asked for has come with the owner's. */
static int settle_stopped(ta_change *c, ta_error *err)
{
    int r = 0;
    for (int s = 0; s < TA_Q_COMPLETED && r >= 0; s++) {
        size_t at = 0;
        ta_order_key key;
        while (r >= 0 && ta_order_at(c->cold.by[s], at, &key)) {
            const ta_qjob *j = ta_change_job(c, key.id);
            if (j->stopping)
                r = ta_change_end(c, j, TA_ERR_CANCELLED, NULL, err);
            else
                at++;
        }
    }
    return r;
}

/* A job that was at work when its owner ended is pending again: it goes on from what is on the disk. */
static int put_back(ta_change *c, ta_error *err)
{
    int r = 0;
    for (int s = 0; s < TA_Q_STATES && r >= 0; s++) {
        ta_order_key key;
        while (r >= 0 && ta_qstate_works((ta_qstate)s) && ta_order_at(c->cold.by[s], 0, &key))
            r = ta_change_state(c, ta_change_job(c, key.id), TA_Q_PENDING, err);
    }
    return r;
}

static int load(ta_change *c, void *arg, ta_error *err)
{
    int64_t paused = 0;
    int r = ta_store_load(c->store, take_row, c, err);
    if (r >= 0)
        r = ta_store_fact(c->store, "paused", &paused, err);
    c->cold.paused = paused != 0;
    c->changed = true;
    if (r >= 0)
        r = settle_stopped(c, err);
    if (r >= 0)
        r = put_back(c, err);
    c->broken = r < 0;
    return r;
}

static int start(ta_jobs *q, ta_error *err)
{
    if (ta_board_init(&q->board) < 0)
        return ta_no_memory(err);
    q->change.store = q->store;
    if (pthread_create(&q->writer, NULL, write_all, q) != 0)
        return ta_fail(err, TA_ERR_AGAIN, "can't start a thread for the queue");
    q->has_writer = true;
    int r = ta_jobs_do(q, load, NULL, TA_OP_WRITES, err);
    ta_txn_end(&q->change.txn); /* it was large; the writer rests */
    return r;
}

/* For this user alone: settings and addresses may hold what is nobody's business. A folder that is there stays as it
 * is. */
static int make_folder(const char *dir, ta_error *err)
{
    bool new = !ta_is_dir(dir);
    int r = ta_mkdirs(dir, err);
    if (r >= 0 && new &&chmod(dir, 0700) != 0)
        r = ta_fail_errno(err, errno, true, "can't keep to this user the folder", dir);
    return r;
}

static int take_lock(ta_jobs *q, bool *owned, ta_error *err)
{
    char *path = ta_path_join(q->dir, "lock");
    int r = path ? ta_lock_take(&q->lock_file, path, err) : ta_no_memory(err);
    ta_free(path);
    if (r == TA_ERR_AGAIN && path) {
        if (owned)
            *owned = true;
        ta_fail(err, TA_ERR_AGAIN, "another process has the queue '%s'", q->dir);
        ta_hint(err, "only one `terminalai work` runs a queue; --queue-dir names another one");
    }
    return r;
}

int ta_jobs_open(ta_jobs **out, const char *dir, bool *owned, ta_error *err)
{
    ta_jobs *q = NULL;
    *out = NULL;
    if (owned)
        *owned = false;
    if (posix_memalign((void **)&q, 64, sizeof *q) != 0)
        return ta_no_memory(err);
    memset(q, 0, sizeof *q);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->wake, NULL);
    pthread_cond_init(&q->ended, NULL);
    int r = (q->dir = ta_strdup(dir)) ? make_folder(dir, err) : ta_no_memory(err);
    if (r >= 0)
        r = take_lock(q, owned, err);
    if (r >= 0)
        r = ta_store_open(&q->store, dir, true, err);
    if (r >= 0)
        r = start(q, err);
    if (r < 0)
        ta_jobs_close(&q);
    *out = q;
    return r;
}

void ta_jobs_close(ta_jobs **pq)
{
    ta_jobs *q = *pq;
    if (!q)
        return;
    if (q->has_writer) {
        pthread_mutex_lock(&q->lock);
        q->stop = true;
        pthread_cond_signal(&q->wake);
        pthread_mutex_unlock(&q->lock);
        pthread_join(q->writer, NULL);
    }
    ta_store_close(&q->store);
    ta_lock_drop(&q->lock_file);
    ta_board_free(&q->board);
    ta_txn_end(&q->change.txn);
    ta_free(q->change.told);
    ta_free(q->dir);
    pthread_cond_destroy(&q->wake);
    pthread_cond_destroy(&q->ended);
    pthread_mutex_destroy(&q->lock);
    free(q);
    *pq = NULL;
}

const char *ta_jobs_dir(const ta_jobs *q)
{
    return q->dir;
}

/* ---- What workers report --------------------------------------------------------------------------------------------
 */

typedef struct report {
    int64_t id;
    int attempt, code;
    ta_qstate state;
    const char *message;
} report;

static int attempt_of(const ta_change *c, const report *p, const ta_qjob **j, ta_error *err)
{
    int r = ta_change_need_job(c, p->id, j, err);
    if (r >= 0 && (*j)->attempt != p->attempt)
        r = ta_fail(err, TA_ERR_NOINPUT, "job %lld was begun again", (long long)p->id);
    return r;
}

/* A report doesn't undo what was asked for meanwhile: a paused job stays paused, and goes on at the stage that it has
 * come to; one that was to end and comes back has ended. */
static int report_paused(ta_change *c, const ta_qjob *j, ta_qstate state, ta_error *err)
{
    if (!j->held)
        return ta_fail(err, TA_ERR_USAGE, "job %lld is paused", (long long)j->id);
    ta_qjob draft = *j;
    draft.held = ta_qstate_works(state);
    draft.stage = draft.held ? state : TA_Q_ANALYSING;
    return ta_change_put(c, j, &draft, err);
}

static int set_state(ta_change *c, void *arg, ta_error *err)
{
    const report *p = arg;
    const ta_qjob *j;
    int r = attempt_of(c, p, &j, err);
    if (r < 0)
        return r;
    if (p->state == TA_Q_PENDING && j->stopping)
        return ta_change_end(c, j, TA_ERR_CANCELLED, NULL, err);
    if (j->state == TA_Q_PAUSED)
        return report_paused(c, j, p->state, err);
    return ta_change_state(c, j, p->state, err);
}

int ta_jobs_set_state(ta_jobs *q, int64_t id, int attempt, ta_qstate state, ta_error *err)
{
    report p = { .id = id, .attempt = attempt, .state = state };
    return ta_jobs_do(q, set_state, &p, TA_OP_WRITES, err);
}

static int end(ta_change *c, void *arg, ta_error *err)
{
    const report *p = arg;
    const ta_qjob *j;
    int r = attempt_of(c, p, &j, err);
    return r < 0 ? r : ta_change_end(c, j, p->code, p->message, err);
}

int ta_jobs_end(ta_jobs *q, int64_t id, int attempt, int code, const char *message, ta_error *err)
{
    report p = { .id = id, .attempt = attempt, .code = code, .message = message };
    return ta_jobs_do(q, end, &p, TA_OP_WRITES, err);
}
