/* Folds a network's last layers, convolution -> PixelShuffle(r) [+ nearest base] -> resize by q/r, into one wider
 * convolution -> PixelShuffle(q): the picture at r times the size is never made.
 *
 * Output pixel q*i + u of a line reads, for each u, fixed taps among the r-fold pixels r*(i-1) .. r*(i+2)-1, so the
 * resize is a 3x3 convolution over what goes into the shuffle, and the convolution before it makes that (k+2)x(k+2). At
 * the picture's border two things differ: the resize repeats its outermost pixel, and the first convolution's zeros
 * stand where its output ends. Both reach only the outermost line of output pixels, which is therefore made by the
 * original layers from the few lines that it needs, and put around the rest. */
#include <math.h>

#include "neural/graph_rewrite.h"

enum { MAX_FACTOR = 8, FIRST = 0, LAST = 1 };

/* The layers in question (old numbers). */
typedef struct tail {
    const ta_node *resize, *shuffle, *conv;
    int features, base; /* what the convolution reads; what the nearest resize reads, or -1 */
    int r, q, channels; /* of the picture */
} tail;

/* tap[u][step + 1][phase]: how much output pixel q*i + u takes of pixel r*(i + step) + phase. */
typedef struct taps {
    double tap[MAX_FACTOR][3][MAX_FACTOR];
} taps;

/* Keys' cubic with a = -0.75 at distance x (R. Keys, "Cubic convolution interpolation", 1981), or the linear kernel. */
static double kernel_at(ta_filter filter, double x)
{
    const double a = -0.75;

    x = fabs(x);
    if (filter == TA_FILTER_LINEAR)
        return x < 1 ? 1 - x : 0;
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* False when a pixel reads further than one step away. */
static bool find_taps(const tail *t, taps *out)
{
    *out = (taps){ 0 };
    for (int u = 0; u < t->q; u++) {
        double centre = (u + 0.5) * t->r / t->q - 0.5;
        for (int x = (int)floor(centre) - 1; x <= (int)floor(centre) + 2; x++) {
            double w = kernel_at(t->resize->filter, x - centre);
            int step = x < 0 ? -1 : x / t->r;
            if (w != 0 && (x < -t->r || step > 1))
                return false;
            if (w != 0)
                out->tap[u][step + 1][x - step * t->r] = w;
        }
    }
    return true;
}

/* Which output pixels of a line read beyond pixel i's own r: the first one backwards and the last one forwards, or
 * none. Others aren't folded. */
typedef enum rim { RIM_NONE, RIM_ONE, RIM_MORE } rim;

static rim find_rim(const tail *t, const taps *p)
{
    rim found = RIM_NONE;

    for (int u = 0; u < t->q; u++)
        for (int phase = 0; phase < t->r; phase++) {
            bool back = p->tap[u][0][phase] != 0, forth = p->tap[u][2][phase] != 0;
            if ((back && u > 0) || (forth && (u < t->q - 1 || t->q == 1)))
                return RIM_MORE;
            if (back || forth)
                found = RIM_ONE;
        }
    return found;
}

static bool plain_conv(const ta_node *n)
{
    for (int d = 0; d < 2; d++)
        if (n->stride[d] != 1 || n->dilation[d] != 1 || n->kernel[d] != n->kernel[0] || n->kernel[d] % 2 == 0 ||
            n->before[d] != n->kernel[d] / 2 || n->after[d] != n->kernel[d] / 2)
            return false;
    return n->group == 1;
}

static bool find_tail(const ta_rewrite *r, int i, tail *t)
{
    const ta_node *n = &r->old[i];
    int shuffle, base = -1, conv;

    if (n->op != TA_OP_RESIZE || n->filter == TA_FILTER_NEAREST || n->scale[0] != n->scale[1] || n->scale[0] >= 1)
        return false;
    shuffle = ta_rewrite_only(r, n, 0, TA_OP_SHUFFLE);
    if (shuffle < 0 && (r->uses[n->in[0]] != 1 || !ta_rewrite_shuffle_base(r, n->in[0], &shuffle, &base)))
        return false;
    conv = ta_rewrite_only(r, &r->old[shuffle], 0, TA_OP_CONV);
    if (conv < 0 || !plain_conv(&r->old[conv]) || r->old[shuffle].factor > MAX_FACTOR)
        return false;
    double q = r->old[shuffle].factor * n->scale[0];
    *t = (tail){ n,
                 &r->old[shuffle],
                 &r->old[conv],
                 r->old[conv].in[0],
                 base < 0 ? -1 : r->old[base].in[0],
                 r->old[shuffle].factor,
                 (int)q,
                 n->channels };
    return q == floor(q) && q >= 1;
}

/* How much channel `to` of the new shuffle's input takes of channel `from` of the old one's, (dy, dx) steps away. */
static double share(const tail *t, const taps *p, int to, int from, int dy, int dx)
{
    int q = t->q, r = t->r;

    if (to / (q * q) != from / (r * r))
        return 0;
    return p->tap[to / q % q][dy][from / r % r] * p->tap[to % q][dx][from % r];
}

/* Adds w times one input channel's k x k kernel, shifted by (dy, dx), to a (k+2) x (k+2) one. */
static void add_kernel(double *sum, const float *kernel, int k, int dy, int dx, double w)
{
    for (int y = 0; y < k; y++)
        for (int x = 0; x < k; x++)
            sum[(y + dy) * (k + 2) + x + dx] += w * (double)kernel[y * k + x];
}

/* The weights of the merged convolution for output channel `to` and input channel `in`. */
static void merge_kernel(const tail *t, const taps *p, const float *weight, int inputs, int to, int in, double *sum)
{
    int k = t->conv->kernel[0], square = t->r * t->r, group = to / (t->q * t->q) * square;

    for (int from = group; from < group + square; from++)
        for (int dy = 0; dy < 3; dy++)
            for (int dx = 0; dx < 3; dx++) {
                double w = share(t, p, to, from, dy, dx);
                if (w != 0)
                    add_kernel(sum, weight + ((size_t)from * (size_t)inputs + (size_t)in) * (size_t)(k * k), k, dy, dx,
                               w);
            }
}

static void merge_bias(ta_graph *g, const tail *t, const taps *p, ta_node *n)
{
    int square = t->r * t->r;
    float *bias = t->conv->bias < 0 ? NULL : ta_graph_blob(g, (size_t)n->channels, &n->bias);

    for (int to = 0; bias && to < n->channels; to++) {
        double sum = 0;
        for (int from = to / (t->q * t->q) * square, left = square; left > 0; from++, left--)
            for (int step = 0; step < 9; step++)
                sum += share(t, p, to, from, step / 3, step % 3) * (double)g->blobs[t->conv->bias].data[from];
        bias[to] = (float)sum;
    }
}

static ta_node same_conv(int channels, int k)
{
    ta_node n = ta_node_of(TA_OP_CONV);

    n.channels = channels;
    for (int d = 0; d < 2; d++) {
        n.kernel[d] = k;
        n.before[d] = n.after[d] = k / 2;
    }
    return n;
}

/* Convolution and resize in one. */
static ta_node merged_conv(ta_graph *g, const tail *t, const taps *p, int inputs)
{
    int k = t->conv->kernel[0], area = (k + 2) * (k + 2);
    ta_node n = same_conv(t->channels * t->q * t->q, k + 2);
    float *weight = ta_graph_blob(g, (size_t)n.channels * (size_t)inputs * (size_t)area, &n.weight);
    double *sum = ta_array((size_t)area, sizeof(*sum));

    if (!sum)
        g->failed = true;
    for (int to = 0; weight && sum && to < n.channels; to++)
        for (int in = 0; in < inputs; in++) {
            for (int i = 0; i < area; i++)
                sum[i] = 0;
            merge_kernel(t, p, g->blobs[t->conv->weight].data, inputs, to, in, sum);
            for (int i = 0; i < area; i++)
                *weight++ = (float)sum[i];
        }
    ta_free(sum);
    merge_bias(g, t, p, &n);
    return n;
}

/* The base, enlarged by nearest and resized, in one convolution. */
static ta_node base_conv(ta_graph *g, const tail *t, const taps *p)
{
    int square = t->r * t->r;
    ta_node n = same_conv(t->channels * t->q * t->q, 3);
    float *weight = ta_graph_blob(g, (size_t)n.channels * (size_t)t->channels * 9, &n.weight);

    for (int to = 0; weight && to < n.channels; to++)
        for (int in = 0; in < t->channels; in++)
            for (int step = 0; step < 9; step++) {
                double sum = 0;
                for (int from = in * square; from < (in + 1) * square; from++)
                    sum += share(t, p, to, from, step / 3, step % 3);
                *weight++ = (float)sum;
            }
    return n;
}

static int slice(ta_graph *g, int in, int channels, int d, int from, int to)
{
    ta_node n = ta_node_of(TA_OP_SLICE);

    n.channels = channels;
    n.from[d] = from;
    n.to[d] = to;
    return ta_graph_add1(g, n, in);
}

/* The first or last `count` lines. */
static int edge(ta_graph *g, int in, int channels, int d, int side, int count)
{
    return slice(g, in, channels, d, side == FIRST ? 0 : -count, side == FIRST ? count : TA_GRAPH_TO_END);
}

/* The outermost row (d = 0) or column (d = 1) of the output at one side, by the original layers. */
static int border_line(const ta_rewrite *r, const tail *t, int d, int side)
{
    ta_graph *g = r->g;
    int k = t->conv->kernel[0], inputs = r->old[t->features].channels;
    int made = edge(g, r->map[t->features], inputs, d, side, k / 2 + 1);
    ta_node add = ta_node_of(TA_OP_ADD), nearest = ta_node_of(TA_OP_RESIZE);

    made = edge(g, ta_graph_add1(g, *t->conv, made), t->conv->channels, d, side, 1);
    made = ta_graph_add1(g, *t->shuffle, made);
    if (t->base >= 0) {
        add.channels = nearest.channels = t->channels;
        nearest.filter = TA_FILTER_NEAREST;
        nearest.scale[0] = nearest.scale[1] = t->r;
        int base = edge(g, r->map[t->base], t->channels, d, side, 1);
        made = ta_graph_add2(g, add, made, ta_graph_add1(g, nearest, base));
    }
    return edge(g, ta_graph_add1(g, *t->resize, made), t->channels, d, side, 1);
}

static int join3(ta_graph *g, int channels, int axis, int a, int b, int c)
{
    ta_node n = ta_node_of(TA_OP_CONCAT);

    n.channels = channels;
    n.axis = axis;
    n.n_in = 3;
    n.in[0] = a;
    n.in[1] = b;
    n.in[2] = c;
    return ta_graph_add(g, &n);
}

/* Puts the outermost lines around `inner`. */
static int frame(const ta_rewrite *r, const tail *t, int inner)
{
    for (int d = 1; d >= 0; d--) {
        int a = border_line(r, t, d, FIRST), b = border_line(r, t, d, LAST);
        if (d == 1) {
            a = slice(r->g, a, t->channels, 0, 1, -1);
            b = slice(r->g, b, t->channels, 0, 1, -1);
            inner = slice(r->g, slice(r->g, inner, t->channels, 0, 1, -1), t->channels, 1, 1, -1);
        }
        inner = join3(r->g, t->channels, d + 2, a, inner, b);
    }
    return inner;
}

static int replace_tail(const ta_rewrite *r, int i)
{
    tail t;
    taps p;

    if (!find_tail(r, i, &t) || !find_taps(&t, &p) || find_rim(&t, &p) == RIM_MORE)
        return -1;
    ta_graph *g = r->g;
    ta_node add = ta_node_of(TA_OP_ADD), shuffle = *t.shuffle;
    int made = ta_graph_add1(g, merged_conv(g, &t, &p, r->old[t.features].channels), r->map[t.features]);
    if (t.base >= 0) {
        add.channels = g->failed ? 0 : g->nodes[made].channels;
        made = ta_graph_add2(g, add, made, ta_graph_add1(g, base_conv(g, &t, &p), r->map[t.base]));
    }
    shuffle.factor = t.q;
    made = ta_graph_add1(g, shuffle, made);
    return find_rim(&t, &p) == RIM_ONE ? frame(r, &t, made) : made;
}

int ta_graph_fold_resize(ta_graph *g, ta_error *err)
{
    return ta_graph_rewrite(g, replace_tail, err);
}
