/* Small ONNX models as bytes, written field by field as onnx.proto3 numbers them, for the tests of the neural part. */
#ifndef ONNX_KIT_H
#define ONNX_KIT_H

#include "base_test.h"

enum { ONNX_FLOAT = 1, ONNX_DOUBLE = 11 };

static inline void onnx_number(ta_buf *b, uint64_t n)
{
    do {
        char byte = (char)((n & 127) | (n > 127 ? 128 : 0));
        ta_buf_addn(b, &byte, 1);
        n >>= 7;
    } while (n);
}

static inline void onnx_int(ta_buf *b, int field, int64_t n)
{
    onnx_number(b, (uint64_t)field << 3);
    onnx_number(b, (uint64_t)n);
}

static inline void onnx_bytes(ta_buf *b, int field, const void *data, size_t size)
{
    onnx_number(b, (uint64_t)field << 3 | 2);
    onnx_number(b, size);
    ta_buf_addn(b, data, size);
}

static inline void onnx_text(ta_buf *b, int field, const char *text)
{
    onnx_bytes(b, field, text, strlen(text));
}

/* Takes `inner` over. */
static inline void onnx_message(ta_buf *b, int field, ta_buf *inner)
{
    onnx_bytes(b, field, inner->data ? inner->data : "", inner->len);
    ta_buf_free(inner);
}

/* An input (field 11) or output (12) of the graph; a size of -1 is free. */
static inline void onnx_value(ta_buf *graph, int field, const char *name, int type, int rank, const int64_t *dims)
{
    ta_buf shape = { 0 }, tensor = { 0 }, kind = { 0 }, value = { 0 };
    for (int i = 0; i < rank; i++) {
        ta_buf dim = { 0 };
        char free_name[2] = { (char)('a' + i), 0 };
        if (dims[i] < 0)
            onnx_text(&dim, 2, free_name);
        else
            onnx_int(&dim, 1, dims[i]);
        onnx_message(&shape, 1, &dim);
    }
    onnx_int(&tensor, 1, type);
    onnx_message(&tensor, 2, &shape);
    onnx_message(&kind, 1, &tensor);
    onnx_text(&value, 1, name);
    onnx_message(&value, 2, &kind);
    onnx_message(graph, field, &value);
}

/* Constant data: floats or doubles by `type`. */
static inline void onnx_constant(ta_buf *graph, const char *name, int type, int rank, const int64_t *dims,
                                 const void *data, size_t size)
{
    ta_buf tensor = { 0 };
    for (int i = 0; i < rank; i++)
        onnx_int(&tensor, 1, dims[i]);
    onnx_int(&tensor, 2, type);
    onnx_text(&tensor, 8, name);
    onnx_bytes(&tensor, 9, data, size);
    onnx_message(graph, 5, &tensor);
}

static inline void onnx_node(ta_buf *graph, const char *kind, const char *a, const char *b, const char *out,
                             const int64_t *pads)
{
    ta_buf node = { 0 };
    onnx_text(&node, 1, a);
    if (b)
        onnx_text(&node, 1, b);
    onnx_text(&node, 2, out);
    onnx_text(&node, 3, out);
    onnx_text(&node, 4, kind);
    if (pads) {
        ta_buf attribute = { 0 };
        onnx_text(&attribute, 1, "pads");
        for (int i = 0; i < 4; i++)
            onnx_int(&attribute, 8, pads[i]);
        onnx_int(&attribute, 20, 7);
        onnx_message(&node, 5, &attribute);
    }
    onnx_message(graph, 1, &node);
}

/* The model around a graph, which is taken over. */
static inline ta_buf onnx_model(ta_buf *graph)
{
    ta_buf model = { 0 }, set = { 0 };
    onnx_text(graph, 2, "test");
    onnx_int(&model, 1, 8);
    onnx_message(&model, 7, graph);
    onnx_text(&set, 1, "");
    onnx_int(&set, 2, 13);
    onnx_message(&model, 8, &set);
    assert_false(model.failed);
    return model;
}

/* y = 2 x + 1 of any number of rows of `width` (-1: free), in fp32 or double. */
static inline ta_buf onnx_affine(int type, int64_t width)
{
    static const float two = 2, one = 1;
    static const double two_d = 2, one_d = 1;
    const int64_t dims[] = { -1, width };
    bool wide = type == ONNX_DOUBLE;
    ta_buf graph = { 0 };
    onnx_constant(&graph, "two", type, 0, NULL, wide ? (const void *)&two_d : &two, wide ? 8 : 4);
    onnx_constant(&graph, "one", type, 0, NULL, wide ? (const void *)&one_d : &one, wide ? 8 : 4);
    onnx_node(&graph, "Mul", "x", "two", "twice", NULL);
    onnx_node(&graph, "Add", "twice", "one", "y", NULL);
    onnx_value(&graph, 11, "x", type, 2, dims);
    onnx_value(&graph, 12, "y", type, 2, dims);
    return onnx_model(&graph);
}

/* `layers` convolutions of 3x3 with the same weights [channels][channels][3][3], zeros around the picture. */
static inline ta_buf onnx_convolutions(int layers, int64_t channels, const float *weights)
{
    static const int64_t pads[4] = { 1, 1, 1, 1 };
    const int64_t dims[] = { 1, channels, -1, -1 }, kernel[] = { channels, channels, 3, 3 };
    ta_buf graph = { 0 };
    onnx_constant(&graph, "w", ONNX_FLOAT, 4, kernel, weights, (size_t)(channels * channels * 9) * sizeof *weights);
    for (int i = 0; i < layers; i++) {
        char from[16], to[16];
        snprintf(from, sizeof from, i ? "t%d" : "x", i);
        snprintf(to, sizeof to, i + 1 < layers ? "t%d" : "y", i + 1);
        onnx_node(&graph, "Conv", from, "w", to, pads);
    }
    onnx_value(&graph, 11, "x", ONNX_FLOAT, 4, dims);
    onnx_value(&graph, 12, "y", ONNX_FLOAT, 4, dims);
    return onnx_model(&graph);
}

#endif
