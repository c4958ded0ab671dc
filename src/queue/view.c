/* Views: publishing and reading them. */
#include <stdlib.h>
#include <string.h>

#include "queue/internal.h"

/* ---- Publishing -----------------------------------------------------------------------------------------------------
 */

int ta_board_init(ta_board *b)
{
    ta_view *first = ta_alloc(sizeof *first);
    if (!first)
        return TA_ERR_AGAIN;
    ta_limbo_init(&b->limbo);
    atomic_init(&b->root, first);
    atomic_init(&b->stamps, 0);
    pthread_mutex_init(&b->lock, NULL);
    return 0;
}

void ta_board_free(ta_board *b)
{
    ta_view *last = atomic_exchange(&b->root, NULL);
    if (!last)
        return;
    ta_limbo_free(&b->limbo);
    ta_txn_end(&b->hot_txn);
    ta_trie_free(&last->cold.jobs, true);
    ta_trie_free(&last->hot, true);
    ta_order_free(last->cold.all);
    for (int i = 0; i < TA_Q_STATES; i++)
        ta_order_free(last->cold.by[i]);
    ta_free(last);
    pthread_mutex_destroy(&b->lock);
}

uint64_t ta_board_stamp(ta_board *b)
{
    return atomic_fetch_add(&b->stamps, 1) + 1;
}

static ta_event event_of(const ta_view *v, const ta_told *told, int64_t now)
{
    ta_event e = { .seq = v->seq, .kind = told->kind, .id = told->id, .at_us = now };
    const ta_qjob *j = told->kind == TA_EVENT_JOB ? ta_view_job(v, told->id) : NULL;
    if (j) {
        e.state = j->state;
        ta_view_progress(v, j, &e.progress);
    }
    return e;
}

/* Swaps the view; under the lock. What the transaction replaced is buried with the view before it. */
static void swap(ta_board *b, ta_view *new, ta_view *old, ta_txn *txn)
{
    new->seq = old->seq + 1;
    atomic_store(&b->root, new);
    ta_limbo_bury(&b->limbo, txn, old);
}

/* The progress of jobs that are not at work any more is taken out of the view that is going to be published. Where
 * memory fails it stays: nobody looks at it. */
static bool cool(ta_board *b, ta_view *new, const ta_told *told, size_t n)
{
    ta_trie before = new->hot;
    ta_txn_begin(&b->hot_txn, ta_board_stamp(b));
    for (size_t i = 0; i < n; i++) {
        void *hot = told[i].kind == TA_EVENT_QUEUE ? NULL : ta_trie_get(&new->hot, told[i].id);
        const ta_qjob *j = hot ? ta_trie_get(&new->cold.jobs, told[i].id) : NULL;
        if (!hot || (j && (ta_qstate_works(j->state) || j->state == TA_Q_PAUSED)))
            continue;
        ta_trie_put(&b->hot_txn, &new->hot, told[i].id, NULL);
        ta_txn_drop(&b->hot_txn, hot);
    }
    if (!b->hot_txn.failed)
        return b->hot_txn.dropped.count > 0;
    ta_txn_take_back(&b->hot_txn);
    new->hot = before;
    return false;
}

void ta_board_publish(ta_board *b, ta_view *made, const ta_cold *cold, ta_txn *txn, const ta_told *told, size_t n)
{
    pthread_mutex_lock(&b->lock);
    ta_view *old = atomic_load(&b->root);
    int64_t now = ta_now_us();
    made->cold = *cold;
    made->hot = old->hot;
    bool cooled = cool(b, made, told, n);
    swap(b, made, old, txn);
    if (cooled)
        ta_limbo_bury(&b->limbo, &b->hot_txn, NULL);
    for (size_t i = 0; b->subscribers && i < n; i++) {
        ta_event e = event_of(made, &told[i], now);
        ta_subscribers_tell(b->subscribers, &e);
    }
    pthread_mutex_unlock(&b->lock);
}

/* Under the lock. */
static bool publish_hot(ta_board *b, ta_view *old, const ta_qjob *j, const ta_qprogress *p)
{
    ta_txn *txn = &b->hot_txn;
    ta_txn_begin(txn, ta_board_stamp(b));
    ta_view *new = ta_txn_alloc(txn, sizeof *new);
    ta_hot *hot = ta_txn_alloc(txn, sizeof *hot);
    if (new &&hot) {
        *new = *old;
        *hot = (ta_hot){ j->attempt, *p };
        ta_txn_drop(txn, ta_trie_get(&new->hot, j->id));
        ta_trie_put(txn, &new->hot, j->id, hot);
    }
    if (txn->failed) {
        ta_txn_take_back(txn);
        return false;
    }
    swap(b, new, old, txn);
    ta_event e = event_of(new, &(ta_told){ TA_EVENT_JOB, j->id }, ta_now_us());
    ta_subscribers_tell(b->subscribers, &e);
    return true;
}

bool ta_jobs_progress(ta_jobs *q, int64_t id, int attempt, const ta_qprogress *p)
{
    ta_board *b = &q->board;
    pthread_mutex_lock(&b->lock);
    ta_view *now = atomic_load(&b->root);
    const ta_qjob *j = ta_view_job(now, id);
    bool good = j && j->attempt == attempt && ta_qstate_works(j->state) && publish_hot(b, now, j, p);
    pthread_mutex_unlock(&b->lock);
    return good;
}

/* ---- Reading --------------------------------------------------------------------------------------------------------
 */

struct ta_view_reader {
    ta_board *board;
    ta_slot *slot;
};

ta_view_reader *ta_view_reader_open(ta_jobs *q)
{
    ta_view_reader *r = ta_alloc(sizeof *r);
    if (!r)
        return NULL;
    r->board = &q->board;
    r->slot = ta_slot_take(&q->board.limbo);
    if (!r->slot)
        ta_freep(&r);
    return r;
}

void ta_view_reader_close(ta_view_reader **r)
{
    if (!*r)
        return;
    ta_slot_give((*r)->slot);
    ta_freep(r);
}

const ta_view *ta_view_enter(ta_view_reader *r)
{
    /* The slot is written before the root is read: whoever replaces that root later sees the slot. */
    atomic_store(&r->slot->epoch, atomic_load(&r->board->limbo.epoch));
    return atomic_load(&r->board->root);
}

void ta_view_leave(ta_view_reader *r)
{
    atomic_store_explicit(&r->slot->epoch, 0, memory_order_release);
}

uint64_t ta_view_seq(const ta_view *v)
{
    return v->seq;
}

size_t ta_view_total(const ta_view *v)
{
    return ta_order_size(v->cold.all);
}

size_t ta_view_count(const ta_view *v, ta_qstate s)
{
    return ta_order_size(v->cold.by[s]);
}

bool ta_view_paused(const ta_view *v)
{
    return v->cold.paused;
}

const ta_qjob *ta_view_job(const ta_view *v, int64_t id)
{
    return ta_trie_get(&v->cold.jobs, id);
}

void ta_view_progress(const ta_view *v, const ta_qjob *j, ta_qprogress *p)
{
    *p = (ta_qprogress){ .eta_seconds = -1 };
    if (j->state == TA_Q_COMPLETED) {
        *p = (ta_qprogress){ .fraction = 1, .eta_seconds = 0 };
    } else if (ta_qstate_works(j->state) || j->state == TA_Q_PAUSED) {
        const ta_hot *hot = ta_trie_get(&v->hot, j->id);
        if (hot && hot->attempt == j->attempt)
            *p = hot->p;
    }
}

size_t ta_view_page(const ta_view *v, int state, size_t offset, size_t limit, const ta_qjob **out)
{
    int64_t ids[256];
    size_t n = 0, got = 1;
    const ta_order *o = state < 0 ? v->cold.all : v->cold.by[state];
    while (n < limit && got) {
        got = ta_order_ids(o, offset + n, TA_MIN(limit - n, TA_COUNT(ids)), ids);
        for (size_t i = 0; i < got; i++)
            out[n + i] = ta_view_job(v, ids[i]);
        n += got;
    }
    return n;
}

int64_t ta_cold_waits_for(const ta_cold *c, const ta_qjob *j)
{
    for (size_t i = 0; i < j->n_needs; i++) {
        const ta_qjob *need = ta_trie_get(&c->jobs, j->needs[i]);
        if (need && need->state != TA_Q_COMPLETED)
            return need->id;
    }
    return 0;
}

int64_t ta_view_waits_for(const ta_view *v, const ta_qjob *j)
{
    return ta_cold_waits_for(&v->cold, j);
}
