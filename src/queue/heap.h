/* Memory of structures that are never changed once readers see them. A transaction makes new nodes and drops old ones;
 * when it is published the old ones go to the limbo, where they stay until no reader can hold them. Private to queue.
 *
 * Reclamation by epochs (K. Fraser, Practical lock-freedom, 2004): a reader writes the epoch into its slot before it
 * loads the root; what was replaced in epoch E is freed once every slot is free or shows an epoch above E. */
#ifndef TA_QUEUE_HEAP_H
#define TA_QUEUE_HEAP_H

#include <stdatomic.h>

#include "base/base.h"

typedef struct ta_pointers {
    void **list;
    size_t count, cap;
} ta_pointers;

/* One writer's work in progress. A node that carries `stamp` was made in it and may still be changed. */
typedef struct ta_txn {
    uint64_t stamp;
    ta_pointers made, dropped;
    bool failed; /* an allocation failed: it can only be taken back */
} ta_txn;

/* `stamp` must differ from those of all others. */
void ta_txn_begin(ta_txn *t, uint64_t stamp);
/* Zeroed memory that is freed when the transaction is taken back; NULL sets `failed`. */
void *ta_txn_alloc(ta_txn *t, size_t size);
/* The node is not used any more behind this transaction. */
void ta_txn_drop(ta_txn *t, void *node);
void ta_txn_take_back(ta_txn *t);
/* Frees the lists themselves. */
void ta_txn_end(ta_txn *t);

enum { TA_SLOTS = 32 };

/* Each on a cache line of its own: readers don't disturb each other. */
typedef struct ta_slot {
    _Alignas(64) _Atomic uint64_t epoch; /* 0 = not reading */
    _Atomic bool taken;
} ta_slot;

typedef struct ta_slots {
    ta_slot slot[TA_SLOTS];
    _Atomic(struct ta_slots *) next;
} ta_slots;

typedef struct ta_limbo {
    _Atomic uint64_t epoch;
    ta_slots first;
    struct ta_dead *oldest, *newest; /* for the publisher alone */
    size_t count;
} ta_limbo;

void ta_limbo_init(ta_limbo *l);
/* Frees everything; no reader may be left. */
void ta_limbo_free(ta_limbo *l);
/* A slot for a reader, or NULL when out of memory. */
ta_slot *ta_slot_take(ta_limbo *l);
void ta_slot_give(ta_slot *s);
/* Behind the swap of the root: takes over what `t` dropped (and `root`), frees what nobody can hold. */
void ta_limbo_bury(ta_limbo *l, ta_txn *t, void *root);

#endif
