/* The bounded queue between threads.
 *
 * One mutex. Fields under "lock" are touched with it held; the counters are written with it held and read without it
 * by ta_queue_get_stats, under a sequence count (a seqlock, as in H.-J. Boehm, "Can seqlocks get along with
 * programming language memory models?", MSPC 2012).
 *
 * Writers are served in the order in which they came (tickets), so that a large item can't starve behind small ones.
 * The ring grows up to the item bound when needed; when memory is short it stays as it is, which makes the bound
 * tighter and loses nothing. */
#include "base/queue.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "terminalai/error.h"

enum { FIRST_SLOTS = 16 };

struct entry {
    void *item;
    size_t bytes;
};

/* The time that threads spend blocked on one side: finished waits, and those going on. */
struct waits {
    _Atomic int64_t done_us;
    _Atomic int64_t started_us; /* sum of the start times of the waits going on */
    _Atomic int64_t count;      /* how many go on */
};

struct ta_queue {
    /* immutable */
    size_t max_items, max_bytes;
    void (*drop)(void *item);

    pthread_mutex_t lock;
    pthread_cond_t not_full, not_empty;
    /* lock */
    struct entry *ring;
    size_t slots, head, count, bytes;
    uint64_t next_ticket, serving;
    unsigned writers, ended;
    bool aborted;

    /* counters: see above */
    _Atomic unsigned sequence; /* odd while they change */
    _Atomic uint64_t pushed, popped, total_bytes;
    _Atomic size_t depth, max_depth, bytes_now, most_bytes;
    struct waits push_waits, pop_waits;
};

#define LOAD(x) atomic_load_explicit(&(x), memory_order_acquire)
#define STORE(x, value) atomic_store_explicit(&(x), (value), memory_order_release)

/* Counters change between these two, with the lock held. */
static void counters_begin(ta_queue *q)
{
    STORE(q->sequence, LOAD(q->sequence) + 1);
}

static void counters_end(ta_queue *q)
{
    STORE(q->sequence, LOAD(q->sequence) + 1);
}

static bool init_sync(ta_queue *q)
{
    pthread_condattr_t attr;
    bool full = false, empty = false;

    if (pthread_condattr_init(&attr))
        return false;
    if (!pthread_condattr_setclock(&attr, CLOCK_MONOTONIC)) {
        full = !pthread_cond_init(&q->not_full, &attr);
        empty = !pthread_cond_init(&q->not_empty, &attr);
    }
    pthread_condattr_destroy(&attr);
    if (full && empty && !pthread_mutex_init(&q->lock, NULL))
        return true;
    if (full)
        pthread_cond_destroy(&q->not_full);
    if (empty)
        pthread_cond_destroy(&q->not_empty);
    return false;
}

ta_queue *ta_queue_new(size_t max_items, size_t max_bytes, void (*drop)(void *item))
{
    ta_queue *q = ta_alloc(sizeof(*q));

    if (!q)
        return NULL;
    q->max_items = max_items ? max_items : 1;
    q->max_bytes = max_bytes;
    q->drop = drop;
    q->slots = q->max_items < FIRST_SLOTS ? q->max_items : FIRST_SLOTS;
    q->ring = ta_array(q->slots, sizeof(*q->ring));
    if (!q->ring || !init_sync(q)) {
        ta_free(q->ring);
        ta_freep(&q);
    }
    return q;
}

/* Throws away what is inside. No other thread may be in the queue. */
static void drop_all(ta_queue *q)
{
    for (; q->count; q->count--) {
        void *item = q->ring[q->head].item;
        q->head = (q->head + 1) % q->slots;
        if (q->drop && item)
            q->drop(item);
    }
    q->bytes = 0;
}

void ta_queue_free(ta_queue **q)
{
    if (!q || !*q)
        return;
    drop_all(*q);
    ta_free((*q)->ring);
    pthread_mutex_destroy(&(*q)->lock);
    pthread_cond_destroy(&(*q)->not_full);
    pthread_cond_destroy(&(*q)->not_empty);
    ta_freep(q);
}

void ta_queue_add_writer(ta_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->writers++;
    pthread_mutex_unlock(&q->lock);
}

/* Doubles the ring. False when memory is short. */
static bool grow(ta_queue *q)
{
    struct entry *ring = q->slots > SIZE_MAX / 2 ? NULL : ta_array(q->slots * 2, sizeof(*ring));

    if (!ring)
        return false;
    for (size_t i = 0; i < q->count; i++)
        ring[i] = q->ring[(q->head + i) % q->slots];
    ta_free(q->ring);
    q->ring = ring;
    q->slots *= 2;
    q->head = 0;
    return true;
}

static bool has_room(ta_queue *q, size_t bytes)
{
    if (!q->count)
        return true;
    if (q->count >= q->max_items)
        return false;
    if (q->max_bytes && (q->bytes >= q->max_bytes || bytes > q->max_bytes - q->bytes))
        return false;
    return q->count < q->slots || grow(q);
}

static void insert(ta_queue *q, void *item, size_t bytes)
{
    q->ring[(q->head + q->count) % q->slots] = (struct entry){ item, bytes };
    q->count++;
    q->bytes += bytes;
    counters_begin(q);
    STORE(q->pushed, LOAD(q->pushed) + 1);
    STORE(q->total_bytes, LOAD(q->total_bytes) + bytes);
    STORE(q->depth, q->count);
    STORE(q->bytes_now, q->bytes);
    if (q->count > LOAD(q->max_depth))
        STORE(q->max_depth, q->count);
    if (q->bytes > LOAD(q->most_bytes))
        STORE(q->most_bytes, q->bytes);
    counters_end(q);
    pthread_cond_signal(&q->not_empty);
}

static int64_t wait_begin(ta_queue *q, struct waits *w)
{
    int64_t now = ta_now_us();
    counters_begin(q);
    STORE(w->started_us, LOAD(w->started_us) + now);
    STORE(w->count, LOAD(w->count) + 1);
    counters_end(q);
    return now;
}

static void wait_end(ta_queue *q, struct waits *w, int64_t begun)
{
    int64_t now = ta_now_us();
    counters_begin(q);
    STORE(w->started_us, LOAD(w->started_us) - begun);
    STORE(w->count, LOAD(w->count) - 1);
    STORE(w->done_us, LOAD(w->done_us) + now - begun);
    counters_end(q);
}

static bool all_ended(const ta_queue *q)
{
    return q->ended >= (q->writers ? q->writers : 1);
}

/* Waits for this writer's turn and for room. */
static void wait_for_room(ta_queue *q, size_t bytes)
{
    uint64_t ticket = q->next_ticket++;

    if (!q->aborted && (ticket != q->serving || !has_room(q, bytes))) {
        int64_t begun = wait_begin(q, &q->push_waits);
        while (!q->aborted && (ticket != q->serving || !has_room(q, bytes)))
            pthread_cond_wait(&q->not_full, &q->lock);
        wait_end(q, &q->push_waits, begun);
    }
    q->serving++; /* after an abort the order no longer matters: no writer waits */
    if (q->serving != q->next_ticket)
        pthread_cond_broadcast(&q->not_full);
}

int ta_queue_push(ta_queue *q, void *item, size_t bytes)
{
    int ret = 0;

    pthread_mutex_lock(&q->lock);
    if (all_ended(q))
        ret = TA_ERR_SOFTWARE;
    else
        wait_for_room(q, bytes);
    if (q->aborted)
        ret = TA_ERR_CANCELLED;
    if (!ret)
        insert(q, item, bytes);
    pthread_mutex_unlock(&q->lock);
    return ret;
}

int ta_queue_push_over(ta_queue *q, void *item, size_t bytes)
{
    int ret = 0;

    pthread_mutex_lock(&q->lock);
    if (q->aborted)
        ret = TA_ERR_CANCELLED;
    else if (all_ended(q))
        ret = TA_ERR_SOFTWARE;
    else if (q->count == q->slots && !grow(q))
        ret = TA_ERR_AGAIN;
    else
        insert(q, item, bytes);
    pthread_mutex_unlock(&q->lock);
    return ret;
}

void ta_queue_end(ta_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->ended++;
    pthread_cond_broadcast(&q->not_empty);
    pthread_mutex_unlock(&q->lock);
}

static void *take(ta_queue *q)
{
    struct entry e = q->ring[q->head];

    q->ring[q->head] = (struct entry){ 0 };
    q->head = (q->head + 1) % q->slots;
    q->count--;
    q->bytes -= e.bytes;
    counters_begin(q);
    STORE(q->popped, LOAD(q->popped) + 1);
    STORE(q->depth, q->count);
    STORE(q->bytes_now, q->bytes);
    counters_end(q);
    if (q->serving != q->next_ticket)
        pthread_cond_broadcast(&q->not_full);
    return e.item;
}

/* Waits until there is an item, the end, an abort, or `end_us` (INT64_MAX = no limit). */
static void wait_for_item(ta_queue *q, int64_t end_us)
{
    struct timespec t = { .tv_sec = end_us / 1000000, .tv_nsec = end_us % 1000000 * 1000 };
    int64_t begun = wait_begin(q, &q->pop_waits);
    bool late = false;

    while (!late && !q->count && !q->aborted && !all_ended(q)) {
        if (end_us == INT64_MAX)
            pthread_cond_wait(&q->not_empty, &q->lock);
        else
            late = pthread_cond_timedwait(&q->not_empty, &q->lock, &t) != 0;
    }
    wait_end(q, &q->pop_waits, begun);
}

static int pop_until(ta_queue *q, void **item, int64_t end_us)
{
    int ret;

    *item = NULL;
    pthread_mutex_lock(&q->lock);
    if (!q->count && !q->aborted && !all_ended(q) && end_us > 0)
        wait_for_item(q, end_us);
    if (q->aborted) {
        ret = TA_ERR_CANCELLED;
    } else if (q->count) {
        *item = take(q);
        ret = 1;
    } else {
        ret = all_ended(q) ? 0 : TA_ERR_AGAIN;
    }
    pthread_mutex_unlock(&q->lock);
    return ret;
}

int ta_queue_pop(ta_queue *q, void **item)
{
    return pop_until(q, item, INT64_MAX);
}

int ta_queue_pop_wait(ta_queue *q, void **item, int64_t timeout_us)
{
    int64_t now = ta_now_us();

    if (timeout_us <= 0)
        return pop_until(q, item, 0);
    return pop_until(q, item, timeout_us > INT64_MAX - now ? INT64_MAX : now + timeout_us);
}

void ta_queue_abort(ta_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->aborted = true;
    pthread_cond_broadcast(&q->not_full);
    pthread_cond_broadcast(&q->not_empty);
    pthread_mutex_unlock(&q->lock);
}

void ta_queue_reset(ta_queue *q)
{
    pthread_mutex_lock(&q->lock);
    drop_all(q);
    q->aborted = false;
    q->ended = 0;
    counters_begin(q);
    STORE(q->depth, 0);
    STORE(q->bytes_now, 0);
    counters_end(q);
    pthread_mutex_unlock(&q->lock);
}

static int64_t waited(const struct waits *w, int64_t now)
{
    int64_t count = LOAD(w->count), done = LOAD(w->done_us), started = LOAD(w->started_us);
    return done + count * now - started;
}

static void read_counters(const ta_queue *q, ta_queue_stats *s)
{
    int64_t now = ta_now_us();

    *s = (ta_queue_stats){
        .pushed = LOAD(q->pushed),
        .popped = LOAD(q->popped),
        .bytes = LOAD(q->total_bytes),
        .wait_push_us = waited(&q->push_waits, now),
        .wait_pop_us = waited(&q->pop_waits, now),
        .depth = LOAD(q->depth),
        .max_depth = LOAD(q->max_depth),
        .bytes_now = LOAD(q->bytes_now),
        .max_bytes = LOAD(q->most_bytes),
    };
}

void ta_queue_get_stats(const ta_queue *q, ta_queue_stats *s)
{
    unsigned before;

    /* Repeated while a writer is at the counters, which takes it some ten stores. */
    do {
        before = LOAD(q->sequence);
        read_counters(q, s);
    } while ((before & 1) || before != LOAD(q->sequence));
}
