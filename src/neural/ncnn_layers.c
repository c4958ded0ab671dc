/* What each of ncnn's layers computes, in nodes of the graph. Parameters by number, as ncnn's own documents list them
 * (operators.md, operation-param-weight-table.md). ncnn's tensors of one dimension, which are left of a global mean,
 * are 1 x 1 pictures here. */
#include <math.h>
#include <string.h>

#include "neural/ncnn_layers.h"

enum { MAX_KERNEL = 31, MAX_STRIDE = 8, MAX_DILATION = 16, MAX_PAD = 64, MAX_FACTOR = 16 };
enum { NOT_GIVEN = -233, WEIGHT_TOTAL = TA_NCNN_BIN_SIZE / 2 };

/* The tensor that the layer's input `k` reads. */
static const ta_node *input(const ta_ncnn_reader *r, int k)
{
    return &r->graph.nodes[r->layer.in[k]];
}

/* Adds a node that reads `in` and keeps its channels, if `n` doesn't say otherwise. */
static int add(ta_ncnn_reader *r, ta_node n, int in)
{
    const ta_node *from = &r->graph.nodes[in];

    if (!n.channels)
        n.channels = from->channels;
    n.single |= from->single;
    return ta_graph_add1(&r->graph, n, in);
}

/* Adds a node of two tensors; a 1 x 1 one goes with any. */
static int add_pair(ta_ncnn_reader *r, ta_node n, int a, int b)
{
    n.channels = r->graph.nodes[a].channels;
    n.single = r->graph.nodes[a].single && r->graph.nodes[b].single;
    return ta_graph_add2(&r->graph, n, a, b);
}

static int done(ta_ncnn_reader *r, int node)
{
    return r->graph.failed ? ta_no_memory(r->err) : ta_ncnn_name(r, 0, node, false);
}

static int need_picture(ta_ncnn_reader *r, int k)
{
    return input(r, k)->single ? ta_ncnn_fail(r, TA_ERR_UNAVAILABLE, "behind a global mean it can't be imported") : 0;
}

static int need_single(ta_ncnn_reader *r, int k)
{
    return input(r, k)->single ? 0
                               : ta_ncnn_fail(r, TA_ERR_UNAVAILABLE, "it can be imported behind a global mean only");
}

static int same_channels(ta_ncnn_reader *r)
{
    for (int k = 1; k < r->layer.n_in; k++)
        if (input(r, k)->channels != input(r, 0)->channels)
            return ta_ncnn_fail(r, TA_ERR_DATA, "its inputs have %d and %d channels", input(r, 0)->channels,
                                input(r, k)->channels);
    return 0;
}

/* ---- Activations inside layers ---- */

static int activation_limits(ta_ncnn_reader *r, int need, ta_node *n)
{
    const ta_ncnn_value *v = ta_ncnn_array(r, 10);

    if (!need)
        return 0;
    if (!v || v->count != need)
        return ta_ncnn_fail(r, TA_ERR_DATA, "its activation needs %d numbers in parameter -23310", need);
    n->a = (float)v->v[0];
    n->b = need > 1 ? (float)v->v[1] : 0;
    return 0;
}

/* The activation behind node *at, if any: 1 ReLU, 2 leaky ReLU, 3 clip, 4 sigmoid. */
static int activate(ta_ncnn_reader *r, int *at)
{
    static const struct {
        ta_op op;
        int numbers;
    } kinds[] = { { TA_OP_INPUT, 0 }, { TA_OP_RELU, 0 }, { TA_OP_LEAKY, 1 }, { TA_OP_CLIP, 2 }, { TA_OP_SIGMOID, 0 } };
    int kind, ret = ta_ncnn_int(r, 9, 0, 0, 4, &kind);

    if (ret < 0)
        return ret;
    ta_node n = ta_node_of(kinds[kind].op);
    ret = activation_limits(r, kinds[kind].numbers, &n);
    if (!ret && kind && !r->graph.failed)
        *at = add(r, n, *at);
    return ret;
}

/* ---- Convolutions ---- */

/* A number for columns (key `x`) and one for rows (key `y`, by default the same). */
static int pair(ta_ncnn_reader *r, int x, int y, int otherwise, int min, int max, int out[2])
{
    int ret = ta_ncnn_int(r, x, otherwise, min, max, &out[1]);
    return ret < 0 ? ret : ta_ncnn_int(r, y, out[1], min, max, &out[0]);
}

static int padding(ta_ncnn_reader *r, ta_node *n)
{
    int ret = ta_ncnn_int(r, 4, 0, 0, MAX_PAD, &n->before[1]);

    if (!ret)
        ret = ta_ncnn_int(r, 14, n->before[1], 0, MAX_PAD, &n->before[0]);
    if (!ret)
        ret = ta_ncnn_int(r, 15, n->before[1], 0, MAX_PAD, &n->after[1]);
    if (!ret)
        ret = ta_ncnn_int(r, 16, n->before[0], 0, MAX_PAD, &n->after[0]);
    return ret;
}

/* Parameters that must be absent or 0. */
static int only_zero(ta_ncnn_reader *r, const int *keys)
{
    int v, ret = 0;

    for (int i = 0; !ret && keys[i]; i++)
        ret = ta_ncnn_int(r, keys[i], 0, 0, 0, &v);
    return ret;
}

static int conv_shape(ta_ncnn_reader *r, ta_node *n)
{
    int ret = ta_ncnn_int(r, 0, 0, 1, TA_GRAPH_CHANNELS, &n->channels);

    if (!ret)
        ret = pair(r, 1, 11, 0, 1, MAX_KERNEL, n->kernel);
    if (!ret)
        ret = pair(r, 2, 12, 1, 1, MAX_DILATION, n->dilation);
    if (!ret)
        ret = pair(r, 3, 13, 1, 1, MAX_STRIDE, n->stride);
    return ret ? ret : padding(r, n);
}

/* Weights, whose number must be what the layer's shape asks for, and bias. */
static int conv_weights(ta_ncnn_reader *r, ta_node *n, int count_key, int bias_key)
{
    int in = input(r, 0)->channels, count, bias;
    int64_t want = (int64_t)n->channels * (in / n->group) * n->kernel[0] * n->kernel[1];
    int ret = ta_ncnn_int(r, count_key, 0, 0, WEIGHT_TOTAL, &count);

    if (!ret)
        ret = ta_ncnn_int(r, bias_key, 0, 0, 1, &bias);
    if (ret < 0)
        return ret;
    if (in % n->group || n->channels % n->group)
        return ta_ncnn_fail(r, TA_ERR_DATA, "%d groups don't divide %d and %d channels", n->group, in, n->channels);
    if (count != want)
        return ta_ncnn_fail(r, TA_ERR_DATA, "%d weights are announced; %d channels from %d need %lld", count,
                            n->channels, in, (long long)want);
    ret = ta_ncnn_weights(r, (size_t)count, true, &n->weight);
    if (!ret && bias)
        ret = ta_ncnn_weights(r, (size_t)n->channels, false, &n->bias);
    return ret;
}

/* A convolution of a 1 x 1 picture leaves it 1 x 1, or isn't imported. */
static int single_conv(ta_ncnn_reader *r, const ta_node *n)
{
    for (int d = 0; d < 2; d++)
        if (n->kernel[d] != 1 || n->before[d] || n->after[d] || n->stride[d] != 1)
            return need_picture(r, 0);
    return 0;
}

static int finish_conv(ta_ncnn_reader *r, const ta_node *n)
{
    int at = add(r, *n, r->layer.in[0]), ret = r->graph.failed ? ta_no_memory(r->err) : activate(r, &at);
    return ret < 0 ? ret : done(r, at);
}

static int build_conv(ta_ncnn_reader *r)
{
    static const int zero[] = { 8, 18, 19, 0 };
    ta_node n = ta_node_of(TA_OP_CONV);
    int ret = conv_shape(r, &n), way;

    if (!ret && !strcmp(r->layer.type, "ConvolutionDepthWise"))
        ret = ta_ncnn_int(r, 7, 1, 1, TA_GRAPH_CHANNELS, &n.group);
    if (!ret)
        ret = only_zero(r, zero);
    if (!ret)
        ret = ta_ncnn_int(r, 17, 0, -1, 100, &way); /* which of ncnn's own ways computes it */
    if (!ret)
        ret = single_conv(r, &n);
    if (!ret)
        ret = conv_weights(r, &n, 6, 5);
    return ret < 0 ? ret : finish_conv(r, &n);
}

/* ncnn stores [out][in][y][x], the graph has [in][out][y][x]. */
static int swap_channels(ta_ncnn_reader *r, ta_node *n)
{
    int old = n->weight, in = input(r, 0)->channels, area = n->kernel[0] * n->kernel[1];
    float *to = ta_graph_blob(&r->graph, r->graph.blobs[old].count, &n->weight);

    if (!to)
        return ta_no_memory(r->err);
    const float *from = r->graph.blobs[old].data;
    for (int i = 0; i < in; i++)
        for (int o = 0; o < n->channels; o++, to += area)
            memcpy(to, from + ((size_t)o * (size_t)in + (size_t)i) * (size_t)area, (size_t)area * sizeof(*to));
    ta_freep(&r->graph.blobs[old].data);
    return 0;
}

static int build_deconv(ta_ncnn_reader *r)
{
    static const int zero[] = { 8, 18, 19, 20, 21, 28, 0 };
    ta_node n = ta_node_of(TA_OP_DECONV);
    int ret = conv_shape(r, &n);

    if (!ret)
        ret = only_zero(r, zero);
    if (!ret)
        ret = need_picture(r, 0);
    if (!ret)
        ret = conv_weights(r, &n, 6, 5);
    if (!ret)
        ret = swap_channels(r, &n);
    return ret < 0 ? ret : finish_conv(r, &n);
}

static int build_inner(ta_ncnn_reader *r)
{
    static const int zero[] = { 8, 0 };
    ta_node n = ta_node_of(TA_OP_CONV);
    int ret = need_single(r, 0);

    if (!ret)
        ret = ta_ncnn_int(r, 0, 0, 1, TA_GRAPH_CHANNELS, &n.channels);
    if (!ret)
        ret = only_zero(r, zero);
    if (!ret)
        ret = conv_weights(r, &n, 2, 1);
    return ret < 0 ? ret : finish_conv(r, &n);
}

/* ---- Element by element ---- */

static int build_prelu(ta_ncnn_reader *r)
{
    ta_node n = ta_node_of(TA_OP_PRELU);
    int channels = input(r, 0)->channels, slopes, one;
    int ret = ta_ncnn_int(r, 0, 0, 1, TA_GRAPH_CHANNELS, &slopes);

    if (ret < 0)
        return ret;
    if (slopes != 1 && slopes != channels)
        return ta_ncnn_fail(r, TA_ERR_DATA, "%d slopes for %d channels", slopes, channels);
    ret = ta_ncnn_weights(r, (size_t)slopes, false, &one);
    if (ret < 0)
        return ret;
    n.weight = one;
    if (slopes != channels) {
        float *all = ta_graph_blob(&r->graph, (size_t)channels, &n.weight);
        for (int c = 0; all && c < channels; c++)
            all[c] = r->graph.blobs[one].data[0];
    }
    return done(r, add(r, n, r->layer.in[0]));
}

static int build_relu(ta_ncnn_reader *r)
{
    double slope;
    int ret = ta_ncnn_real(r, 0, 0, &slope);
    ta_node n = ta_node_of(slope != 0 ? TA_OP_LEAKY : TA_OP_RELU);

    n.a = (float)slope;
    return ret < 0 ? ret : done(r, add(r, n, r->layer.in[0]));
}

static int build_sigmoid(ta_ncnn_reader *r)
{
    return done(r, add(r, ta_node_of(TA_OP_SIGMOID), r->layer.in[0]));
}

static int build_clip(ta_ncnn_reader *r)
{
    ta_node n = ta_node_of(TA_OP_CLIP);
    double low, high;
    int ret = ta_ncnn_real(r, 0, -(double)3.4e38f, &low);

    if (!ret)
        ret = ta_ncnn_real(r, 1, (double)3.4e38f, &high);
    if (ret < 0)
        return ret;
    n.a = (float)low;
    n.b = (float)high;
    return done(r, add(r, n, r->layer.in[0]));
}

static int build_binary(ta_ncnn_reader *r)
{
    static const ta_op ops[] = { TA_OP_ADD, TA_OP_SUB, TA_OP_MUL };
    int op, scalar, ret = ta_ncnn_int(r, 0, 0, 0, 2, &op);
    double number;

    if (!ret)
        ret = ta_ncnn_int(r, 1, 0, 0, 1, &scalar);
    if (!ret)
        ret = ta_ncnn_real(r, 2, 0, &number);
    if (ret < 0)
        return ret;
    if (r->layer.n_in != (scalar ? 1 : 2))
        return ta_ncnn_fail(r, TA_ERR_DATA, "it has %d inputs", r->layer.n_in);
    ta_node n = ta_node_of(ops[op]);
    n.a = (float)number;
    if (scalar)
        return done(r, add(r, n, r->layer.in[0]));
    ret = same_channels(r);
    return ret < 0 ? ret : done(r, add_pair(r, n, r->layer.in[0], r->layer.in[1]));
}

/* Input `k` times its coefficient. */
static int weighted(ta_ncnn_reader *r, const ta_ncnn_value *coefficients, int k)
{
    ta_node times = ta_node_of(TA_OP_MUL);

    times.a = coefficients ? (float)coefficients->v[k] : 1;
    return times.a == 1 || r->graph.failed ? r->layer.in[k] : add(r, times, r->layer.in[k]);
}

static int build_eltwise(ta_ncnn_reader *r)
{
    int op, ret = ta_ncnn_int(r, 0, 0, 0, 1, &op);
    const ta_ncnn_value *coefficients = ta_ncnn_array(r, 1);

    if (!ret)
        ret = same_channels(r);
    if (ret < 0)
        return ret;
    if (coefficients && !coefficients->count)
        coefficients = NULL;
    if (coefficients && (!op || coefficients->count != r->layer.n_in))
        return ta_ncnn_fail(r, TA_ERR_DATA, "%d coefficients for %d inputs", coefficients->count, r->layer.n_in);
    int at = weighted(r, coefficients, 0);
    for (int k = 1; k < r->layer.n_in && !r->graph.failed; k++) {
        int next = weighted(r, coefficients, k);
        if (!r->graph.failed)
            at = add_pair(r, ta_node_of(op ? TA_OP_ADD : TA_OP_MUL), at, next);
    }
    return done(r, at);
}

/* One number a channel: a convolution of each channel by itself. Or times a second, 1 x 1 tensor. */
static int build_scale(ta_ncnn_reader *r)
{
    ta_node n = ta_node_of(TA_OP_CONV);
    int count, bias, ret = ta_ncnn_int(r, 0, 0, NOT_GIVEN, TA_GRAPH_CHANNELS, &count);

    if (!ret)
        ret = ta_ncnn_int(r, 1, 0, 0, 1, &bias);
    if (ret < 0)
        return ret;
    if (r->layer.n_in != (count == NOT_GIVEN ? 2 : 1) || (count == NOT_GIVEN && bias))
        return ta_ncnn_fail(r, TA_ERR_UNAVAILABLE, "this form isn't known (%d inputs)", r->layer.n_in);
    n.channels = n.group = input(r, 0)->channels;
    if (count == NOT_GIVEN) {
        ret = same_channels(r);
        return ret < 0 ? ret : done(r, add_pair(r, ta_node_of(TA_OP_MUL), r->layer.in[0], r->layer.in[1]));
    }
    if (count != n.channels)
        return ta_ncnn_fail(r, TA_ERR_DATA, "%d factors for %d channels", count, n.channels);
    ret = ta_ncnn_weights(r, (size_t)count, false, &n.weight);
    if (!ret && bias)
        ret = ta_ncnn_weights(r, (size_t)count, false, &n.bias);
    return ret < 0 ? ret : done(r, add(r, n, r->layer.in[0]));
}

/* ---- Shape ---- */

static int build_input(ta_ncnn_reader *r)
{
    ta_node n = ta_node_of(TA_OP_INPUT);
    int w, h, ret = ta_ncnn_int(r, 0, 0, 0, 1 << 16, &w);

    if (r->graph.n_nodes)
        return ta_ncnn_fail(r, TA_ERR_UNAVAILABLE, "models with two inputs aren't known");
    if (!ret)
        ret = ta_ncnn_int(r, 1, 0, 0, 1 << 16, &h);
    if (!ret)
        ret = ta_ncnn_int(r, 2, 3, 1, 64, &n.channels);
    return ret < 0 ? ret : done(r, ta_graph_add(&r->graph, &n));
}

static int build_split(ta_ncnn_reader *r)
{
    int ret = 0;

    for (int k = 0; !ret && k < r->layer.n_out; k++)
        ret = ta_ncnn_name(r, k, r->layer.in[0], true);
    return ret;
}

static int build_nothing(ta_ncnn_reader *r)
{
    double scale = 1;
    int ret = strcmp(r->layer.type, "Dropout") ? 0 : ta_ncnn_real(r, 0, 1, &scale);

    if (!ret && scale != 1)
        ret = ta_ncnn_fail(r, TA_ERR_UNAVAILABLE, "it scales by %g", scale);
    return ret < 0 ? ret : done(r, r->layer.in[0]);
}

static int build_shuffle(ta_ncnn_reader *r)
{
    ta_node n = ta_node_of(TA_OP_SHUFFLE);
    int order, channels = input(r, 0)->channels, ret = ta_ncnn_int(r, 0, 1, 1, MAX_FACTOR, &n.factor);

    if (!ret)
        ret = ta_ncnn_int(r, 1, 0, 0, 0, &order);
    if (!ret)
        ret = need_picture(r, 0);
    if (ret < 0)
        return ret;
    n.channels = channels / (n.factor * n.factor);
    if (!n.channels || n.channels * n.factor * n.factor != channels)
        return ta_ncnn_fail(r, TA_ERR_DATA, "%d channels can't be shuffled by %d", channels, n.factor);
    return done(r, add(r, n, r->layer.in[0]));
}

/* Factors that fp32 holds exactly, so that every engine computes the same size: multiples of 1/16. */
static int scale_factor(ta_ncnn_reader *r, int key, double *v)
{
    int ret = ta_ncnn_real(r, key, 1, v);

    if (!ret && (*v < 1. / 16 || *v > 16 || *v * 16 != floor(*v * 16)))
        ret = ta_ncnn_fail(r, TA_ERR_UNAVAILABLE, "scale %g: only multiples of 1/16 up to 16 can be imported", *v);
    return ret;
}

static int build_interp(ta_ncnn_reader *r)
{
    static const int zero[] = { 3, 4, 5, 6, 0 };
    ta_node n = ta_node_of(TA_OP_RESIZE);
    int kind, ret = ta_ncnn_int(r, 0, 0, 1, 3, &kind);

    if (!ret)
        ret = scale_factor(r, 1, &n.scale[0]);
    if (!ret)
        ret = scale_factor(r, 2, &n.scale[1]);
    if (!ret)
        ret = only_zero(r, zero);
    if (!ret)
        ret = need_picture(r, 0);
    if (ret < 0)
        return ret;
    n.filter = (ta_filter[]){ TA_FILTER_NEAREST, TA_FILTER_LINEAR, TA_FILTER_CUBIC }[kind - 1];
    return done(r, n.scale[0] == 1 && n.scale[1] == 1 ? r->layer.in[0] : add(r, n, r->layer.in[0]));
}

static int build_concat(ta_ncnn_reader *r)
{
    ta_node n = ta_node_of(TA_OP_CONCAT);
    int axis, ret = ta_ncnn_int(r, 0, 0, 0, 0, &axis);

    if (ret < 0)
        return ret;
    n.n_in = r->layer.n_in;
    n.single = input(r, 0)->single;
    for (int k = 0; k < n.n_in; k++) {
        n.in[k] = r->layer.in[k];
        n.channels += input(r, k)->channels;
        if (input(r, k)->single != n.single)
            return ta_ncnn_fail(r, TA_ERR_DATA, "it joins pictures and single pixels");
    }
    if (n.channels > TA_GRAPH_CHANNELS)
        return ta_ncnn_fail(r, TA_ERR_UNAVAILABLE, "%d channels; up to %d can be imported", n.channels,
                            TA_GRAPH_CHANNELS);
    return done(r, ta_graph_add(&r->graph, &n));
}

static int build_pooling(ta_ncnn_reader *r)
{
    static const int ignored[] = { 1, 2, 3, 5, 6, 11, 12, 13, 14, 15 };
    int kind, whole, adaptive, ret = ta_ncnn_int(r, 0, 0, 1, 1, &kind);
    ta_node n = ta_node_of(TA_OP_MEAN);
    double any;

    if (!ret)
        ret = ta_ncnn_int(r, 4, 0, 1, 1, &whole);
    if (!ret)
        ret = ta_ncnn_int(r, 7, 0, 0, 0, &adaptive);
    for (size_t i = 0; !ret && i < TA_COUNT(ignored); i++)
        ret = ta_ncnn_real(r, ignored[i], 0, &any);
    n.single = true;
    return ret < 0 ? ret : done(r, add(r, n, r->layer.in[0]));
}

/* Crop along one axis, -1 or 2 columns, -2 or 1 rows: `end` counted from the end, or NOT_GIVEN. */
static int crop_axis(ta_ncnn_reader *r, ta_node *n, double axis, double start, double end)
{
    int d = axis == -1 || axis == 2 ? 1 : axis == -2 || axis == 1 ? 0 : -1;

    if (d < 0 || start != floor(start) || end != floor(end) || start < 0 || start > 1 << 16 || end >= 0 ||
        end < -(1 << 16))
        return ta_ncnn_fail(r, TA_ERR_UNAVAILABLE, "cropping axis %g from %g to %g isn't known", axis, start, end);
    n->from[d] = (int)start;
    n->to[d] = end == NOT_GIVEN ? TA_GRAPH_TO_END : (int)end;
    return 0;
}

static int crop_arrays(ta_ncnn_reader *r)
{
    const ta_ncnn_value *starts = ta_ncnn_array(r, 9), *ends = ta_ncnn_array(r, 10), *axes = ta_ncnn_array(r, 11);
    ta_node n = ta_node_of(TA_OP_SLICE);
    int ret = 0;

    if (!starts || !ends || !axes || starts->count != axes->count || ends->count != axes->count)
        return ta_ncnn_fail(r, TA_ERR_UNAVAILABLE,
                            "only crops by starts, ends and axes, or to a second input, are known");
    for (int i = 0; !ret && i < axes->count; i++)
        ret = crop_axis(r, &n, axes->v[i], starts->v[i], ends->v[i]);
    return ret < 0 ? ret : done(r, add(r, n, r->layer.in[0]));
}

static int crop_to(ta_ncnn_reader *r)
{
    ta_node n = ta_node_of(TA_OP_CROP_TO);
    int channel, ret = ta_ncnn_int(r, 0, 0, 0, 1 << 16, &n.from[1]);

    if (!ret)
        ret = ta_ncnn_int(r, 1, 0, 0, 1 << 16, &n.from[0]);
    if (!ret)
        ret = ta_ncnn_int(r, 2, 0, 0, 0, &channel);
    if (!ret)
        ret = need_picture(r, 1);
    if (!ret)
        ret = same_channels(r); /* the crop takes the second input's channels too */
    return ret < 0 ? ret : done(r, add_pair(r, n, r->layer.in[0], r->layer.in[1]));
}

static int build_crop(ta_ncnn_reader *r)
{
    int ret = need_picture(r, 0);

    if (ret < 0)
        return ret;
    return r->layer.n_in == 2 ? crop_to(r) : crop_arrays(r);
}

/* A 1 x 1 picture stays one, under whatever name. */
static int build_reshape(ta_ncnn_reader *r)
{
    int v[3], channels = input(r, 0)->channels, ret = need_single(r, 0);

    for (int i = 0; !ret && i < 3; i++)
        ret = ta_ncnn_int(r, i, NOT_GIVEN, NOT_GIVEN, TA_GRAPH_CHANNELS, &v[i]);
    if (ret < 0)
        return ret;
    bool line = (v[0] == -1 || v[0] == channels) && v[1] == NOT_GIVEN && v[2] == NOT_GIVEN;
    bool point = v[0] == 1 && v[1] == 1 && (v[2] == -1 || v[2] == channels);
    if (!line && !point)
        return ta_ncnn_fail(r, TA_ERR_UNAVAILABLE, "reshaping %d values to %d x %d x %d isn't known", channels, v[0],
                            v[1], v[2]);
    return done(r, r->layer.in[0]);
}

static int build_flatten(ta_ncnn_reader *r)
{
    int ret = need_single(r, 0);
    return ret < 0 ? ret : done(r, r->layer.in[0]);
}

/* ---- The table ---- */

static const struct kind {
    const char *type;
    int min_in, max_in;
    int (*build)(ta_ncnn_reader *r);
} kinds[] = {
    { "BinaryOp", 1, 2, build_binary },
    { "Clip", 1, 1, build_clip },
    { "Concat", 1, TA_NCNN_PORTS, build_concat },
    { "Convolution", 1, 1, build_conv },
    { "ConvolutionDepthWise", 1, 1, build_conv },
    { "Crop", 1, 2, build_crop },
    { "Deconvolution", 1, 1, build_deconv },
    { "Dropout", 1, 1, build_nothing },
    { "Eltwise", 2, TA_NCNN_PORTS, build_eltwise },
    { "Flatten", 1, 1, build_flatten },
    { "InnerProduct", 1, 1, build_inner },
    { "Input", 0, 0, build_input },
    { "Interp", 1, 1, build_interp },
    { "Noop", 1, 1, build_nothing },
    { "PReLU", 1, 1, build_prelu },
    { "PixelShuffle", 1, 1, build_shuffle },
    { "Pooling", 1, 1, build_pooling },
    { "ReLU", 1, 1, build_relu },
    { "Reshape", 1, 1, build_reshape },
    { "Scale", 1, 2, build_scale },
    { "Sigmoid", 1, 1, build_sigmoid },
    { "Split", 1, 1, build_split },
};

static const struct kind *find_kind(const char *type)
{
    for (size_t i = 0; i < TA_COUNT(kinds); i++)
        if (!strcmp(kinds[i].type, type))
            return &kinds[i];
    return NULL;
}

int ta_ncnn_build(ta_ncnn_reader *r)
{
    const ta_ncnn_layer *l = &r->layer;
    const struct kind *kind = find_kind(l->type);
    bool split = !strcmp(l->type, "Split");

    if (!kind)
        return ta_ncnn_fail(r, TA_ERR_UNAVAILABLE, "layers of this type can't be imported");
    if (l->n_in < kind->min_in || l->n_in > kind->max_in || l->n_out < 1 || (l->n_out > 1 && !split))
        return ta_ncnn_fail(r, TA_ERR_DATA, "it has %d inputs and %d outputs", l->n_in, l->n_out);
    if (!r->graph.n_nodes && l->n_in)
        return ta_ncnn_fail(r, TA_ERR_DATA, "there is no Input before it");
    int ret = kind->build(r);
    int unused = ret < 0 ? -1 : ta_ncnn_unused(r);
    return unused < 0 ? ret : ta_ncnn_fail(r, TA_ERR_UNAVAILABLE, "parameter %d isn't known", unused);
}
