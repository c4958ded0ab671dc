/* A persistent ordered set of jobs: a treap (R. Seidel, C. Aragon, Randomized search trees, 1996) that knows the size
 * of each subtree, so that the n-th job is found in a few steps. A change copies the nodes on one path. Private to
 * queue. */
#ifndef TA_QUEUE_ORDER_H
#define TA_QUEUE_ORDER_H

#include "queue/heap.h"

typedef struct ta_order_key {
    int priority; /* higher is earlier */
    int64_t position, id;
} ta_order_key;

typedef struct ta_order ta_order;

size_t ta_order_size(const ta_order *o);
/* Both return the new root; when memory fails `txn` says so. The key must not be (or must be) in it. */
ta_order *ta_order_add(ta_txn *txn, ta_order *o, const ta_order_key *key);
ta_order *ta_order_remove(ta_txn *txn, ta_order *o, const ta_order_key *key);
/* The ids of at most `limit` jobs from the `offset`-th on. Returns how many. */
size_t ta_order_ids(const ta_order *o, size_t offset, size_t limit, int64_t *ids);
/* The key of the n-th, or false. */
bool ta_order_at(const ta_order *o, size_t n, ta_order_key *key);
/* How many stand before `key`. */
size_t ta_order_rank(const ta_order *o, const ta_order_key *key);
/* Nobody may read it any more. */
void ta_order_free(ta_order *o);

#endif
