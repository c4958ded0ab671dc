/* ONNX's protobuf messages, written without any library. Wire format: developers.google.com/protocol-buffers, encoding;
 * field numbers: onnx.proto of ONNX IR 7; operators: ONNX opset 13. Each message is written twice: once to count its
 * bytes, which stand before it, and once for real. */
#include <stdio.h>
#include <string.h>

#include "neural/onnx_write.h"

enum { VARINT = 0, BYTES = 2, FIXED32 = 5 };
enum { ONNX_FLOAT = 1, ONNX_INT64 = 7, ATTR_FLOAT = 1, ATTR_INT = 2, ATTR_STRING = 3, ATTR_INTS = 7 };
enum { IR_VERSION = 7, OPSET = 13, NAME = 32 };

/* Where bytes go; only counted while `at` is NULL. */
typedef struct pb {
    unsigned char *at;
    size_t len;
} pb;

typedef void (*pb_writer)(pb *p, const void *arg);

static void put_bytes(pb *p, const void *data, size_t size)
{
    if (p->at && size)
        memcpy(p->at + p->len, data, size);
    p->len += size;
}

static void put_varint(pb *p, uint64_t v)
{
    unsigned char out[10];
    size_t n = 0;

    do
        out[n++] = (unsigned char)((v & 127) | (v > 127 ? 128 : 0));
    while (v >>= 7);
    put_bytes(p, out, n);
}

static void put_tag(pb *p, int field, int wire)
{
    put_varint(p, (uint64_t)field << 3 | (uint64_t)wire);
}

static void put_int(pb *p, int field, int64_t v)
{
    put_tag(p, field, VARINT);
    put_varint(p, (uint64_t)v);
}

static void put_data(pb *p, int field, const void *data, size_t size)
{
    put_tag(p, field, BYTES);
    put_varint(p, size);
    put_bytes(p, data, size);
}

static void put_string(pb *p, int field, const char *s)
{
    put_data(p, field, s, strlen(s));
}

static void put_message(pb *p, int field, pb_writer write, const void *arg)
{
    pb count = { 0 };

    write(&count, arg);
    put_tag(p, field, BYTES);
    put_varint(p, count.len);
    write(p, arg);
}

/* ---- Attributes ---- */

typedef struct attr {
    const char *name, *s;
    int type, n;
    const int *ints;
    float f;
} attr;

static void write_attr(pb *p, const void *arg)
{
    const attr *a = arg;

    put_string(p, 1, a->name);
    if (a->type == ATTR_FLOAT) {
        put_tag(p, 2, FIXED32);
        put_bytes(p, &a->f, sizeof(a->f));
    } else if (a->type == ATTR_INT) {
        put_int(p, 3, a->n);
    } else if (a->type == ATTR_STRING) {
        put_string(p, 4, a->s);
    } else {
        for (int i = 0; i < a->n; i++)
            put_int(p, 8, a->ints[i]);
    }
    put_int(p, 20, a->type);
}

static void attr_int(pb *p, const char *name, int v)
{
    put_message(p, 5, write_attr, &(attr){ .name = name, .type = ATTR_INT, .n = v });
}

static void attr_float(pb *p, const char *name, float v)
{
    put_message(p, 5, write_attr, &(attr){ .name = name, .type = ATTR_FLOAT, .f = v });
}

static void attr_string(pb *p, const char *name, const char *v)
{
    put_message(p, 5, write_attr, &(attr){ .name = name, .type = ATTR_STRING, .s = v });
}

static void attr_ints(pb *p, const char *name, const int *v, int n)
{
    put_message(p, 5, write_attr, &(attr){ .name = name, .type = ATTR_INTS, .ints = v, .n = n });
}

/* ---- Tensors ---- */

typedef struct tensor {
    const char *name;
    int type, rank;
    int64_t dim[4];
    const void *data;
    size_t size;
} tensor;

static void write_tensor(pb *p, const void *arg)
{
    const tensor *t = arg;

    for (int i = 0; i < t->rank; i++)
        put_int(p, 1, t->dim[i]);
    put_int(p, 2, t->type);
    put_string(p, 8, t->name);
    put_data(p, 9, t->data, t->size);
}

/* A small constant of node `i`. */
static void constant(pb *p, int i, const char *what, int type, const void *data, int count)
{
    char name[NAME];
    tensor t = { name, type, 1, { count }, data, (size_t)count * (type == ONNX_FLOAT ? 4 : 8) };

    snprintf(name, sizeof(name), "n%d.%s", i, what);
    put_message(p, 5, write_tensor, &t);
}

/* ---- Nodes ---- */

typedef struct writing {
    const ta_graph *g;
    const int *owner; /* of each blob: the node that writes it */
    int i;            /* the node */
} writing;

static const char *const op_names[TA_OP_COUNT] = {
    [TA_OP_CONV] = "Conv",
    [TA_OP_DECONV] = "ConvTranspose",
    [TA_OP_PRELU] = "PRelu",
    [TA_OP_LEAKY] = "LeakyRelu",
    [TA_OP_RELU] = "Relu",
    [TA_OP_SIGMOID] = "Sigmoid",
    [TA_OP_CLIP] = "Clip",
    [TA_OP_SHUFFLE] = "DepthToSpace",
    [TA_OP_RESIZE] = "Resize",
    [TA_OP_ADD] = "Add",
    [TA_OP_SUB] = "Sub",
    [TA_OP_MUL] = "Mul",
    [TA_OP_CONCAT] = "Concat",
    [TA_OP_SLICE] = "Slice",
    [TA_OP_MEAN] = "GlobalAveragePool",
};

static void put_tensor_name(pb *p, int field, const ta_graph *g, int i)
{
    char name[NAME];

    snprintf(name, sizeof(name), "t%d", i);
    put_string(p, field, i == 0 ? "input" : i == g->output ? "output" : name);
}

static void put_blob_name(pb *p, int blob)
{
    char name[NAME];

    snprintf(name, sizeof(name), "w%d", blob);
    if (blob >= 0)
        put_string(p, 1, name);
}

static void put_constant_name(pb *p, int i, const char *what)
{
    char name[NAME];

    snprintf(name, sizeof(name), "n%d.%s", i, what);
    put_string(p, 1, name);
}

static void conv_attrs(pb *p, const ta_node *n)
{
    int pads[4] = { n->before[0], n->before[1], n->after[0], n->after[1] };

    attr_ints(p, "kernel_shape", n->kernel, 2);
    attr_ints(p, "strides", n->stride, 2);
    attr_ints(p, "dilations", n->dilation, 2);
    attr_ints(p, "pads", pads, 4);
    attr_int(p, "group", n->group);
}

static void resize_attrs(pb *p, const ta_node *n)
{
    static const char *const modes[] = { "nearest", "linear", "cubic" };
    bool nearest = n->filter == TA_FILTER_NEAREST;

    attr_string(p, "mode", modes[n->filter]);
    attr_string(p, "coordinate_transformation_mode", nearest ? "asymmetric" : "half_pixel");
    if (nearest)
        attr_string(p, "nearest_mode", "floor");
    if (n->filter == TA_FILTER_CUBIC)
        attr_float(p, "cubic_coeff_a", -0.75f);
}

static void put_attrs(pb *p, const ta_node *n)
{
    if (n->op == TA_OP_CONV || n->op == TA_OP_DECONV)
        conv_attrs(p, n);
    if (n->op == TA_OP_LEAKY)
        attr_float(p, "alpha", n->a);
    if (n->op == TA_OP_SHUFFLE) {
        attr_int(p, "blocksize", n->factor);
        attr_string(p, "mode", "CRD");
    }
    if (n->op == TA_OP_RESIZE)
        resize_attrs(p, n);
    if (n->op == TA_OP_CONCAT)
        attr_int(p, "axis", n->axis);
}

static bool takes_number(const ta_node *n)
{
    return (n->op == TA_OP_ADD || n->op == TA_OP_SUB || n->op == TA_OP_MUL) && n->n_in == 1;
}

static void put_constant_names(pb *p, const ta_node *n, int i)
{
    if (n->op == TA_OP_RESIZE) {
        put_string(p, 1, ""); /* no region of interest */
        put_constant_name(p, i, "scales");
    } else if (n->op == TA_OP_SLICE) {
        put_constant_name(p, i, "from");
        put_constant_name(p, i, "to");
        put_constant_name(p, i, "axes");
    } else if (n->op == TA_OP_CLIP) {
        put_constant_name(p, i, "min");
        put_constant_name(p, i, "max");
    } else if (takes_number(n)) {
        put_constant_name(p, i, "number");
    }
}

static void write_node(pb *p, const void *arg)
{
    const writing *w = arg;
    const ta_node *n = &w->g->nodes[w->i];
    char name[NAME];

    for (int k = 0; k < n->n_in; k++)
        put_tensor_name(p, 1, w->g, n->in[k]);
    put_blob_name(p, n->weight);
    put_blob_name(p, n->bias);
    put_constant_names(p, n, w->i);
    put_tensor_name(p, 2, w->g, w->i);
    snprintf(name, sizeof(name), "n%d", w->i);
    put_string(p, 3, name);
    put_string(p, 4, op_names[n->op]);
    put_attrs(p, n);
}

/* ---- Initializers ---- */

/* Only the axes that are cut, and a true end: OpenVINO takes any other number for a limit of the size. */
static void put_slice_constants(pb *p, const ta_node *n, int i)
{
    int64_t from[2], to[2], axes[2];
    int count = 0;

    for (int d = 0; d < 2; d++) {
        if (!n->from[d] && n->to[d] == TA_GRAPH_TO_END)
            continue;
        from[count] = n->from[d];
        to[count] = n->to[d] == TA_GRAPH_TO_END ? INT64_MAX : n->to[d];
        axes[count++] = d + 2;
    }
    constant(p, i, "from", ONNX_INT64, from, count);
    constant(p, i, "to", ONNX_INT64, to, count);
    constant(p, i, "axes", ONNX_INT64, axes, count);
}

static void put_number(pb *p, int i, const char *what, float v)
{
    char name[NAME];
    tensor t = { .name = name, .type = ONNX_FLOAT, .data = &v, .size = sizeof(v) };

    snprintf(name, sizeof(name), "n%d.%s", i, what);
    put_message(p, 5, write_tensor, &t);
}

static void put_constants(pb *p, const ta_node *n, int i)
{
    const float scales[4] = { 1, 1, (float)n->scale[0], (float)n->scale[1] };

    if (n->op == TA_OP_SLICE)
        put_slice_constants(p, n, i);
    if (n->op == TA_OP_RESIZE)
        constant(p, i, "scales", ONNX_FLOAT, scales, 4);
    if (n->op == TA_OP_CLIP) {
        put_number(p, i, "min", n->a);
        put_number(p, i, "max", n->b);
    }
    if (takes_number(n))
        put_number(p, i, "number", n->a);
}

static void put_blob(pb *p, const writing *w, int blob, tensor t)
{
    char name[NAME];

    if (blob < 0 || w->owner[blob] != w->i)
        return;
    snprintf(name, sizeof(name), "w%d", blob);
    t.name = name;
    t.type = ONNX_FLOAT;
    t.data = w->g->blobs[blob].data;
    t.size = w->g->blobs[blob].count * sizeof(float);
    put_message(p, 5, write_tensor, &t);
}

static void put_weights(pb *p, const writing *w)
{
    const ta_node *n = &w->g->nodes[w->i];
    int in = n->n_in ? w->g->nodes[n->in[0]].channels : 0;
    tensor t = { .rank = 4, .dim = { n->channels, in / n->group, n->kernel[0], n->kernel[1] } };

    if (n->op == TA_OP_DECONV) {
        t.dim[0] = in;
        t.dim[1] = n->channels;
    } else if (n->op == TA_OP_PRELU) {
        t = (tensor){ .rank = 3, .dim = { n->channels, 1, 1 } };
    }
    put_blob(p, w, n->weight, t);
    put_blob(p, w, n->bias, (tensor){ .rank = 1, .dim = { n->channels } });
}

/* ---- Graph and model ---- */

typedef struct port {
    const char *name, *height, *width;
    int channels;
} port;

static void write_free_dim(pb *p, const void *arg)
{
    put_string(p, 2, arg);
}

static void write_dim(pb *p, const void *arg)
{
    put_int(p, 1, *(const int *)arg);
}

static void write_shape(pb *p, const void *arg)
{
    const port *at = arg;

    put_message(p, 1, write_free_dim, "N");
    put_message(p, 1, write_dim, &at->channels);
    put_message(p, 1, write_free_dim, at->height);
    put_message(p, 1, write_free_dim, at->width);
}

static void write_tensor_type(pb *p, const void *arg)
{
    put_int(p, 1, ONNX_FLOAT);
    put_message(p, 2, write_shape, arg);
}

static void write_type(pb *p, const void *arg)
{
    put_message(p, 1, write_tensor_type, arg);
}

static void write_port(pb *p, const void *arg)
{
    put_string(p, 1, ((const port *)arg)->name);
    put_message(p, 2, write_type, arg);
}

static void write_graph(pb *p, const void *arg)
{
    writing w = *(const writing *)arg;
    const ta_graph *g = w.g;

    for (w.i = 1; w.i < g->n_nodes; w.i++)
        put_message(p, 1, write_node, &w);
    put_string(p, 2, "model");
    for (w.i = 1; w.i < g->n_nodes; w.i++) {
        put_weights(p, &w);
        put_constants(p, &g->nodes[w.i], w.i);
    }
    put_message(p, 11, write_port, &(port){ "input", "H", "W", g->nodes[0].channels });
    put_message(p, 12, write_port, &(port){ "output", "OH", "OW", g->nodes[g->output].channels });
}

static void write_opset(pb *p, const void *arg)
{
    put_string(p, 1, "");
    put_int(p, 2, OPSET);
}

static void write_model(pb *p, const void *arg)
{
    put_int(p, 1, IR_VERSION);
    put_string(p, 2, "terminalai");
    put_message(p, 7, write_graph, arg);
    put_message(p, 8, write_opset, NULL);
}

/* A blob that several nodes use is written with the first. */
static int *find_owners(const ta_graph *g)
{
    int *owner = ta_array((size_t)g->n_blobs, sizeof(*owner));

    for (int i = g->n_nodes - 1; owner && i > 0; i--) {
        if (g->nodes[i].weight >= 0)
            owner[g->nodes[i].weight] = i;
        if (g->nodes[i].bias >= 0)
            owner[g->nodes[i].bias] = i;
    }
    return owner;
}

int ta_onnx_write(const ta_graph *g, unsigned char **bytes, size_t *size, ta_error *err)
{
    int *owner = find_owners(g);
    writing w = { g, owner, 0 };
    pb count = { 0 }, real = { 0 };
    int ret = owner ? 0 : ta_no_memory(err);

    *bytes = NULL;
    *size = 0;
    if (!ret) {
        write_model(&count, &w);
        if (count.len > INT32_MAX)
            ret = ta_fail(err, TA_ERR_UNAVAILABLE, "the model is larger than 2 GiB");
    }
    if (!ret && !(real.at = ta_alloc(count.len)))
        ret = ta_no_memory(err);
    if (!ret) {
        write_model(&real, &w);
        *bytes = real.at;
        *size = real.len;
    }
    ta_free(owner);
    return ret;
}
