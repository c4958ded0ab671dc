/* Sizes and receptive field, computed in whole numbers from the graph: sizes forwards for two pictures that differ by
 * one step of the alignment, then the lines that a tile of the output needs, backwards through every layer. */
#include <math.h>
#include <string.h>

#include "graph.h"

/* Alignments that are tried, and how large the pictures are with which they are tried: larger than any padding. */
enum { MAX_ALIGN = 64, STEPS = 4096, MAX_SIZE = 1 << 30 };

typedef struct extent {
    int64_t size[2];
} extent;

static int64_t div_down(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static int64_t div_up(int64_t a, int64_t b)
{
    return -div_down(-a, b);
}

/* A slice's end as a line number, where `size` lines are. */
static int64_t line_of(int at, int64_t size)
{
    return at < 0 ? TA_MAX(size + at, 0) : TA_MIN(at, size);
}

static int64_t conv_size(const ta_node *n, int d, int64_t size)
{
    int64_t room = size + n->before[d] + n->after[d] - (int64_t)(n->kernel[d] - 1) * n->dilation[d] - 1;
    return room < 0 ? 0 : room / n->stride[d] + 1;
}

static int64_t deconv_size(const ta_node *n, int d, int64_t size)
{
    return (size - 1) * n->stride[d] + (int64_t)(n->kernel[d] - 1) * n->dilation[d] + 1 - n->before[d] - n->after[d];
}

static int64_t resized(const ta_node *n, int d, int64_t size)
{
    double exact = (double)size * n->scale[d];
    return exact == floor(exact) && exact < MAX_SIZE ? (int64_t)exact : 0;
}

/* The size of tensors that meet: equal, or 1 x 1 where that is allowed; 0 when they don't fit. */
static int64_t meet(const ta_graph *g, const ta_node *n, const extent *e, int d)
{
    int64_t size = 1;
    bool any = false;

    for (int k = 0; k < n->n_in; k++) {
        if (g->nodes[n->in[k]].single && n->op != TA_OP_CONCAT)
            continue;
        if (any && e[n->in[k]].size[d] != size)
            return 0;
        size = e[n->in[k]].size[d];
        any = true;
    }
    return size;
}

static int64_t joined(const ta_graph *g, const ta_node *n, const extent *e, int d)
{
    int64_t sum = 0;

    if (n->axis != d + 2)
        return meet(g, n, e, d);
    for (int k = 0; k < n->n_in; k++)
        sum += e[n->in[k]].size[d];
    return sum;
}

/* What a node makes of its inputs; 0 or less: they don't fit. */
static int64_t size_of(const ta_graph *g, const ta_node *n, const extent *e, int d)
{
    int64_t in = n->n_in ? e[n->in[0]].size[d] : 0;

    switch (n->op) {
    case TA_OP_CONV:
        return conv_size(n, d, in);
    case TA_OP_DECONV:
        return deconv_size(n, d, in);
    case TA_OP_SHUFFLE:
        return in * n->factor;
    case TA_OP_RESIZE:
        return resized(n, d, in);
    case TA_OP_MEAN:
        return 1;
    case TA_OP_SLICE:
        return line_of(n->to[d], in) - line_of(n->from[d], in);
    case TA_OP_CROP_TO:
        return n->from[d] + e[n->in[1]].size[d] <= in ? e[n->in[1]].size[d] : 0;
    case TA_OP_CONCAT:
        return joined(g, n, e, d);
    default:
        return meet(g, n, e, d);
    }
}

/* The first node that has no size for this picture, or -1. */
static int measure(const ta_graph *g, int64_t size, extent *e)
{
    e[0] = (extent){ { size, size } };
    for (int i = 1; i < g->n_nodes; i++)
        for (int d = 0; d < 2; d++) {
            e[i].size[d] = size_of(g, &g->nodes[i], e, d);
            if (e[i].size[d] < 1 || e[i].size[d] > MAX_SIZE)
                return i;
        }
    return -1;
}

/* Does each node grow by just its own share when the picture grows by the alignment, so that its grid repeats? */
static bool in_step(const ta_graph *g, const extent *small, const extent *big)
{
    for (int i = 1; i < g->n_nodes; i++) {
        const ta_node *n = &g->nodes[i];
        for (int d = 0; d < 2; d++) {
            int64_t in = big[n->in[0]].size[d] - small[n->in[0]].size[d], out = big[i].size[d] - small[i].size[d];
            if (n->op == TA_OP_CONV && out * n->stride[d] != in)
                return false;
            if (n->op == TA_OP_RESIZE && (double)in * n->scale[d] != (double)out)
                return false;
            if (n->op == TA_OP_CROP_TO && in != out)
                return false;
        }
    }
    return true;
}

/* The smallest alignment, with the smallest rest, at which all sizes fit. The smaller picture's sizes stay in `small`.
 */
static int find_align(const ta_graph *g, extent *small, extent *big, ta_reach *r, ta_error *err)
{
    int wrong = 0;

    for (r->align = 1; r->align <= MAX_ALIGN; r->align++)
        for (r->align_rest = 0; r->align_rest < r->align; r->align_rest++) {
            int64_t size = (int64_t)r->align * STEPS + r->align_rest;
            int at = measure(g, size, small);
            if (at < 0)
                at = measure(g, size + r->align, big);
            if (at < 0 && in_step(g, small, big))
                return 0;
            wrong = TA_MAX(wrong, at);
        }
    return ta_fail(err, TA_ERR_DATA, "no size of the picture fits the model: the sizes don't match at step %d of %d",
                   wrong, g->n_nodes - 1);
}

/* Crops to another tensor's size take away the same lines for every picture of this alignment: slices. */
static void settle_crops(ta_graph *g, const extent *e)
{
    for (int i = 1; i < g->n_nodes; i++) {
        ta_node *n = &g->nodes[i];
        if (n->op != TA_OP_CROP_TO)
            continue;
        for (int d = 0; d < 2; d++) {
            int64_t cut = e[n->in[0]].size[d] - n->from[d] - e[n->in[1]].size[d];
            n->to[d] = cut ? (int)-cut : TA_GRAPH_TO_END;
        }
        n->op = TA_OP_SLICE;
        n->n_in = 1;
    }
}

/* Lines first..last of a tensor; none while last < first. */
typedef struct range {
    int64_t first[2], last[2];
} range;

/* The lines of its input that a node reads to make lines [*first, *last]. */
static void needs(const ta_node *n, int d, int64_t in_size, int64_t *first, int64_t *last)
{
    int64_t span = (int64_t)(n->kernel[d] - 1) * n->dilation[d];
    int taps = n->filter == TA_FILTER_CUBIC ? 1 : 0;

    switch (n->op) {
    case TA_OP_CONV:
        *first = *first * n->stride[d] - n->before[d];
        *last = *last * n->stride[d] - n->before[d] + span;
        break;
    case TA_OP_DECONV:
        *first = div_up(*first + n->before[d] - span, n->stride[d]);
        *last = div_down(*last + n->before[d], n->stride[d]);
        break;
    case TA_OP_SHUFFLE:
        *first = div_down(*first, n->factor);
        *last = div_down(*last, n->factor);
        break;
    case TA_OP_RESIZE:
        if (n->filter == TA_FILTER_NEAREST) {
            *first = (int64_t)floor((double)*first / n->scale[d]);
            *last = (int64_t)floor((double)*last / n->scale[d]);
        } else {
            *first = (int64_t)floor(((double)*first + 0.5) / n->scale[d] - 0.5) - taps;
            *last = (int64_t)ceil(((double)*last + 0.5) / n->scale[d] - 0.5) + taps;
        }
        break;
    case TA_OP_SLICE:
        *first += line_of(n->from[d], in_size);
        *last += line_of(n->from[d], in_size);
        break;
    default:
        break;
    }
}

static void widen(range *r, int d, int64_t first, int64_t last)
{
    bool none = r->last[d] < r->first[d];

    r->first[d] = none ? first : TA_MIN(r->first[d], first);
    r->last[d] = none ? last : TA_MAX(r->last[d], last);
}

/* From the output's lines back to the input's. A mean, and what is 1 x 1, is left out and reported. */
static bool trace(const ta_graph *g, const extent *e, range *need)
{
    bool global = false;

    for (int i = g->output; i > 0; i--) {
        const ta_node *n = &g->nodes[i];
        if (need[i].last[0] < need[i].first[0])
            continue;
        global |= n->op == TA_OP_MEAN;
        for (int k = 0; k < n->n_in && n->op != TA_OP_MEAN; k++)
            for (int d = 0; d < 2; d++) {
                int64_t first = need[i].first[d], last = need[i].last[d];
                needs(n, d, e[n->in[k]].size[d], &first, &last);
                widen(&need[n->in[k]], d, first, last);
            }
    }
    return global;
}

/* Scale and inset from the sizes of two pictures. */
static int lie(const extent *in, const extent *out, const extent *more, ta_reach *r, ta_error *err)
{
    int64_t num = more->size[0] - out->size[0], den = r->align, lost;

    for (int64_t k = den; k > 1; k--)
        if (num % k == 0 && den % k == 0) {
            num /= k;
            den /= k;
        }
    if (more->size[0] != more->size[1] || out->size[0] != out->size[1])
        return ta_fail(err, TA_ERR_UNAVAILABLE, "the model scales rows and columns differently");
    if (num < 1)
        return ta_fail(err, TA_ERR_UNAVAILABLE, "the model's output has one size, whatever the picture's");
    if (num > 64 || den > 64)
        return ta_fail(err, TA_ERR_UNAVAILABLE, "the model scales by %lld/%lld", (long long)num, (long long)den);
    r->scale_num = (int)num;
    r->scale_den = (int)den;
    lost = num * in->size[0] - den * out->size[0]; /* in pixels of 1 / den output, 1 / num input */
    if (lost % (2 * num))
        return ta_fail(err, TA_ERR_UNAVAILABLE, "the model's output lies half a pixel beside its input");
    r->inset = (int)(lost / (2 * num));
    return 0;
}

/* What a tile's worth of output, in the middle of the picture, needs beyond the input pixels below it. */
static int look_beyond(const ta_graph *g, const extent *e, range *need, ta_reach *r, ta_error *err)
{
    int64_t start = (int64_t)r->align * (STEPS / 4), size = (int64_t)r->align * (STEPS / 4), beyond = 0;
    range *out = &need[g->output];

    for (int i = 0; i < g->n_nodes; i++)
        need[i] = (range){ { 0, 0 }, { -1, -1 } };
    for (int d = 0; d < 2; d++) {
        out->first[d] = start * r->scale_num / r->scale_den;
        out->last[d] = (start + size) * r->scale_num / r->scale_den - 1;
    }
    r->global = trace(g, e, need);
    if (need[0].last[0] < need[0].first[0])
        return ta_fail(err, TA_ERR_DATA, "the model's output doesn't depend on its input pixel by pixel");
    for (int d = 0; d < 2; d++) {
        beyond = TA_MAX(beyond, start + r->inset - need[0].first[d]);
        beyond = TA_MAX(beyond, need[0].last[d] - (start + size + r->inset - 1));
    }
    r->reach = (int)beyond;
    return 0;
}

int ta_graph_reach(ta_graph *g, ta_reach *reach, ta_error *err)
{
    size_t count = (size_t)g->n_nodes;
    extent *small = ta_array(count, sizeof(*small)), *big = ta_array(count, sizeof(*big));
    range *need = ta_array(count, sizeof(*need));
    int ret = small && big && need ? 0 : ta_no_memory(err);

    *reach = (ta_reach){ 0 };
    if (!ret)
        ret = find_align(g, small, big, reach, err);
    if (!ret) {
        settle_crops(g, small);
        ret = lie(&small[0], &small[g->output], &big[g->output], reach, err);
    }
    if (!ret)
        ret = look_beyond(g, small, need, reach, err);
    ta_free(small);
    ta_free(big);
    ta_free(need);
    return ret;
}
