/* Rebuilding a graph with some nodes replaced, and the small rewrites: nearest base, PReLU. */
#include "neural/graph_rewrite.h"

static bool rebuild(ta_rewrite *r, int *map, int count, ta_replace replace)
{
    for (int i = 0; i < count && !r->g->failed; i++) {
        ta_node node = r->old[i];
        int made = replace(r, i);
        for (int k = 0; k < node.n_in; k++)
            node.in[k] = map[node.in[k]];
        map[i] = made >= 0 ? made : ta_graph_add(r->g, &node);
    }
    return !r->g->failed;
}

int ta_graph_rewrite(ta_graph *g, ta_replace replace, ta_error *err)
{
    int count = g->n_nodes, *uses = ta_graph_uses(g), *map = ta_array((size_t)count, sizeof(*map));
    ta_node *old = g->nodes;
    ta_rewrite r = { g, old, map, uses };
    bool ok = uses && map;

    if (ok) {
        g->nodes = NULL;
        g->n_nodes = g->cap_nodes = 0;
        ok = rebuild(&r, map, count, replace);
        g->output = map[g->output];
        ta_free(old);
    }
    ta_free(uses);
    ta_free(map);
    return ok ? ta_graph_prune(g, err) : ta_no_memory(err);
}

int ta_rewrite_only(const ta_rewrite *r, const ta_node *n, int k, ta_op op)
{
    int at = n->in[k];
    return r->old[at].op == op && r->uses[at] == 1 ? at : -1;
}

bool ta_rewrite_shuffle_base(const ta_rewrite *r, int add, int *shuffle, int *base)
{
    const ta_node *n = &r->old[add];

    if (n->op != TA_OP_ADD || n->n_in != 2)
        return false;
    for (int k = 0; k < 2; k++) {
        *shuffle = ta_rewrite_only(r, n, k, TA_OP_SHUFFLE);
        *base = ta_rewrite_only(r, n, 1 - k, TA_OP_RESIZE);
        if (*shuffle < 0 || *base < 0)
            continue;
        const ta_node *resize = &r->old[*base];
        double factor = r->old[*shuffle].factor;
        if (resize->filter == TA_FILTER_NEAREST && resize->scale[0] == factor && resize->scale[1] == factor)
            return true;
    }
    return false;
}

/* Nearest resize by r is what a shuffle makes of each channel repeated r^2 times. */
static int replace_nearest(const ta_rewrite *r, int i)
{
    int shuffle, base;

    if (!ta_rewrite_shuffle_base(r, i, &shuffle, &base))
        return -1;
    const ta_node *sh = &r->old[shuffle];
    ta_node repeat = ta_node_of(TA_OP_CONV), add = ta_node_of(TA_OP_ADD), out = *sh;
    int in = r->old[base].channels, square = sh->factor * sh->factor;
    repeat.channels = add.channels = in * square;
    float *w = ta_graph_blob(r->g, (size_t)repeat.channels * (size_t)in, &repeat.weight);
    for (int c = 0; w && c < repeat.channels; c++)
        w[c * in + c / square] = 1;
    int repeated = ta_graph_add1(r->g, repeat, r->map[r->old[base].in[0]]);
    return ta_graph_add1(r->g, out, ta_graph_add2(r->g, add, r->map[sh->in[0]], repeated));
}

int ta_graph_fold_nearest(ta_graph *g, ta_error *err)
{
    return ta_graph_rewrite(g, replace_nearest, err);
}

/* A convolution of each channel by itself with one number, s or 1 - s. */
static ta_node depthwise(ta_graph *g, const ta_node *prelu, bool rest)
{
    ta_node n = ta_node_of(TA_OP_CONV);

    n.channels = n.group = prelu->channels;
    n.single = prelu->single;
    float *w = ta_graph_blob(g, (size_t)n.channels, &n.weight);
    for (int c = 0; w && c < n.channels; c++) {
        float s = g->blobs[prelu->weight].data[c];
        w[c] = rest ? 1 - s : s;
    }
    return n;
}

static int replace_prelu(const ta_rewrite *r, int i)
{
    const ta_node *n = &r->old[i];
    ta_node relu = ta_node_of(TA_OP_RELU), add = ta_node_of(TA_OP_ADD);

    if (n->op != TA_OP_PRELU)
        return -1;
    relu.channels = add.channels = n->channels;
    relu.single = add.single = n->single;
    int in = r->map[n->in[0]];
    int both = ta_graph_add1(r->g, depthwise(r->g, n, false), in);
    int above = ta_graph_add1(r->g, relu, in);
    above = ta_graph_add1(r->g, depthwise(r->g, n, true), above);
    return ta_graph_add2(r->g, add, both, above);
}

int ta_graph_split_prelu(ta_graph *g, ta_error *err)
{
    return ta_graph_rewrite(g, replace_prelu, err);
}
