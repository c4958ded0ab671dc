/* The graph's nodes and weights: adding, counting, removing what nothing needs. */
#include <string.h>

#include "graph.h"

ta_node ta_node_of(ta_op op)
{
    return (ta_node){ .op = op,
                      .weight = -1,
                      .bias = -1,
                      .kernel = { 1, 1 },
                      .stride = { 1, 1 },
                      .dilation = { 1, 1 },
                      .group = 1,
                      .factor = 1,
                      .axis = 1,
                      .to = { TA_GRAPH_TO_END, TA_GRAPH_TO_END },
                      .scale = { 1, 1 } };
}

/* Room for one more item behind `count`; `list` is the address of a pointer. */
static bool grow(void *list, int count, int *cap, size_t size)
{
    void *old, *bigger;
    int want = *cap ? *cap * 2 : 32;

    if (count < *cap)
        return true;
    memcpy(&old, list, sizeof(old));
    bigger = ta_resize(old, (size_t)want, size);
    if (!bigger)
        return false;
    memcpy(list, &bigger, sizeof(bigger));
    *cap = want;
    return true;
}

int ta_graph_add(ta_graph *g, const ta_node *node)
{
    if (g->failed || !grow(&g->nodes, g->n_nodes, &g->cap_nodes, sizeof(*g->nodes))) {
        g->failed = true;
        return 0;
    }
    g->nodes[g->n_nodes] = *node;
    return g->n_nodes++;
}

int ta_graph_add1(ta_graph *g, ta_node node, int in)
{
    node.n_in = 1;
    node.in[0] = in;
    return ta_graph_add(g, &node);
}

int ta_graph_add2(ta_graph *g, ta_node node, int a, int b)
{
    node.n_in = 2;
    node.in[0] = a;
    node.in[1] = b;
    return ta_graph_add(g, &node);
}

float *ta_graph_blob(ta_graph *g, size_t count, int *blob)
{
    float *data = NULL;

    *blob = -1;
    if (!g->failed && grow(&g->blobs, g->n_blobs, &g->cap_blobs, sizeof(*g->blobs)))
        data = ta_array(count, sizeof(*data));
    if (!data) {
        g->failed = true;
        return NULL;
    }
    *blob = g->n_blobs;
    g->blobs[g->n_blobs++] = (ta_blob){ data, count };
    return data;
}

void ta_graph_free(ta_graph *g)
{
    for (int i = 0; i < g->n_blobs; i++)
        ta_free(g->blobs[i].data);
    ta_free(g->blobs);
    ta_free(g->nodes);
    *g = (ta_graph){ 0 };
}

int *ta_graph_uses(const ta_graph *g)
{
    int *uses = ta_array((size_t)g->n_nodes, sizeof(*uses));

    if (!uses)
        return NULL;
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i].n_in; k++)
            uses[g->nodes[i].in[k]]++;
    uses[g->output]++;
    return uses;
}

/* Marks what the output needs, in nodes and in blobs. */
static void mark(const ta_graph *g, bool *node, bool *blob)
{
    node[0] = node[g->output] = true;
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        const ta_node *n = &g->nodes[i];
        if (!node[i])
            continue;
        for (int k = 0; k < n->n_in; k++)
            node[n->in[k]] = true;
        if (n->weight >= 0)
            blob[n->weight] = true;
        if (n->bias >= 0)
            blob[n->bias] = true;
    }
}

int ta_graph_prune(ta_graph *g, ta_error *err)
{
    int count = 0;
    bool *node = ta_array((size_t)g->n_nodes, sizeof(*node)), *blob = ta_array((size_t)g->n_blobs, sizeof(*blob));
    int *new_number = ta_array((size_t)g->n_nodes, sizeof(*new_number));
    bool ok = node && blob && new_number;

    if (ok) {
        mark(g, node, blob);
        for (int i = 0; i < g->n_nodes; i++) {
            if (!node[i])
                continue;
            for (int k = 0; k < g->nodes[i].n_in; k++)
                g->nodes[i].in[k] = new_number[g->nodes[i].in[k]];
            g->nodes[count] = g->nodes[i];
            new_number[i] = count++;
        }
        g->output = new_number[g->output];
        g->n_nodes = count;
        for (int i = 0; i < g->n_blobs; i++)
            if (!blob[i])
                ta_freep(&g->blobs[i].data);
    }
    ta_free(node);
    ta_free(blob);
    ta_free(new_number);
    return ok ? 0 : ta_no_memory(err);
}
