/* A queue between threads, bounded in items and in bytes. A push blocks until there is room, however long that takes,
 * or until the queue is aborted; nothing is ever dropped to make room. Several writers and several readers may use it.
 * An item larger than the byte bound is taken when the queue is empty. */
#ifndef TA_BASE_QUEUE_H
#define TA_BASE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ta_queue ta_queue;

typedef struct ta_queue_stats {
    uint64_t pushed, popped;
    uint64_t bytes;       /* total bytes pushed */
    int64_t wait_push_us; /* time writers were blocked: the reader is too slow */
    int64_t wait_pop_us;  /* time readers were blocked: the writer is too slow */
    size_t depth, max_depth;
    size_t bytes_now, max_bytes;
} ta_queue_stats;

/* `max_items` and `max_bytes` are both kept (0 bytes = no byte bound, 0 items = 1). Writers are served
 * in the order in which they came. `drop` frees an item that is thrown away by
 * abort or free. NULL when out of memory. Zero writers at first: see ta_queue_add_writer. */
ta_queue *ta_queue_new(size_t max_items, size_t max_bytes, void (*drop)(void *item));
void ta_queue_free(ta_queue **q);

/* The end of the stream is reached when every writer has called ta_queue_end and the queue is empty. A queue with no
 * registered writer has one implied. Register all writers before the first of them ends. */
void ta_queue_add_writer(ta_queue *q);
/* 0, or TA_ERR_CANCELLED when aborted, or TA_ERR_SOFTWARE after the end; then the item still belongs to the caller.
 * Never fails for want of memory: then the queue only holds less. */
int ta_queue_push(ta_queue *q, void *item, size_t bytes);
/* Like push, but never blocks on the bounds: for the one writer that must not wait (flush on error). TA_ERR_AGAIN when
 * out of memory; then too the item belongs to the caller. */
int ta_queue_push_over(ta_queue *q, void *item, size_t bytes);
void ta_queue_end(ta_queue *q);
/* 1 and an item, 0 at the end of the stream, TA_ERR_CANCELLED when aborted. */
int ta_queue_pop(ta_queue *q, void **item);
/* Like pop, but TA_ERR_AGAIN when there is nothing within `timeout_us` (0 = at once). */
int ta_queue_pop_wait(ta_queue *q, void **item, int64_t timeout_us);
/* Wakes all waiters; pushes and pops fail from now on; what is inside is dropped by ta_queue_free. */
void ta_queue_abort(ta_queue *q);
/* Empties the queue and makes it usable again (after a seek, for the next segment). No thread may be in it.
 * Registered writers stay registered; the totals of the statistics go on. */
void ta_queue_reset(ta_queue *q);
/* A consistent-enough copy of the counters; never blocks the frame path. */
void ta_queue_get_stats(const ta_queue *q, ta_queue_stats *s);

#endif
