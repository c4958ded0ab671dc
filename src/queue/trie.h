/* A persistent map from ids to values: a radix tree of 32 branches, in which a change copies the nodes on the way to
 * one leaf (about 1 KB) and shares all others with the tree before it. Private to queue. */
#ifndef TA_QUEUE_TRIE_H
#define TA_QUEUE_TRIE_H

#include "queue/heap.h"

typedef struct ta_trie {
    struct ta_trie_node *root;
    int levels;
} ta_trie;

/* The value of an id, or NULL. */
void *ta_trie_get(const ta_trie *t, int64_t id);
/* Sets it; NULL takes it out. When memory fails `txn` says so. The values are the caller's. */
void ta_trie_put(ta_txn *txn, ta_trie *t, int64_t id, void *value);
/* Frees all nodes and, with `values`, all values. Nobody may read it any more. */
void ta_trie_free(ta_trie *t, bool values);

#endif
