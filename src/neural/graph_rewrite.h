/* What the rewrites share: a graph built anew, node by node, where some nodes are replaced. */
#ifndef TA_NEURAL_GRAPH_REWRITE_H
#define TA_NEURAL_GRAPH_REWRITE_H

#include "neural/graph.h"

typedef struct ta_rewrite {
    ta_graph *g;        /* the new nodes; weights are shared with the old ones */
    const ta_node *old; /* the nodes before */
    const int *map;     /* old number -> new number, for all nodes before the current one */
    const int *uses;    /* how many nodes read each old one */
} ta_rewrite;

/* Adds what stands for old node `i` and returns its new number; -1: keep it as it is. Memory running out is seen in
 * g->failed. */
typedef int (*ta_replace)(const ta_rewrite *r, int i);

/* Rebuilds the graph and removes what isn't needed any more. TA_ERR_AGAIN. */
int ta_graph_rewrite(ta_graph *g, ta_replace replace, ta_error *err);

/* The old node behind input `k` of `n` when it is an `op` that only this node reads, else -1. */
int ta_rewrite_only(const ta_rewrite *r, const ta_node *n, int k, ta_op op);
/* An old node that adds a PixelShuffle (*shuffle) and a nearest resize by the same factor (*base), each read here
 * alone. */
bool ta_rewrite_shuffle_base(const ta_rewrite *r, int add, int *shuffle, int *base);

#endif
