/* Frees the recurrent state of an ONNX model, in protobuf's own form (onnx.proto3, protobuf's encoding guide): fields
 * that aren't touched are copied. Everything that is read comes from a file and is checked for its length. */
#include "neural/onnx_state.h"

#include <stdio.h>
#include <string.h>

/* Fields of onnx.proto3. */
enum {
    MODEL_GRAPH = 7,
    GRAPH_NODE = 1,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_VALUE_INFO = 13,
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_KIND = 4,
    VARINT = 0,
    EIGHT = 1,
    BYTES = 2,
    FOUR = 5
};
/* Inputs and outputs of ONNX's GRU; what is known of the state's size. */
enum { INITIAL_STATE = 5, LAST_STATE = 1, MOST_NAMES = 32, NAME_SIZE = 256, MOST_STATES = 8 };

typedef struct bytes {
    const unsigned char *at, *end;
} bytes;

typedef struct field {
    int number, kind;
    bytes whole, value; /* with its tag; of BYTES the content */
} field;

typedef struct rewrite {
    int states, pads;
    char from[MOST_NAMES][NAME_SIZE], to[MOST_NAMES][NAME_SIZE]; /* behind each Pad, and before it */
} rewrite;

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

static bool read_number(bytes *b, uint64_t *n)
{
    *n = 0;
    for (int shift = 0; shift < 64 && b->at < b->end; shift += 7) {
        unsigned char byte = *b->at++;
        *n |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return true;
    }
    return false;
}

/* The next field, or false at the end; b->at is NULL when the bytes are broken. */
static bool next_field(bytes *b, field *f)
{
    uint64_t key, size = 0;
    if (!b->at || b->at == b->end)
        return false;
    f->whole.at = b->at;
    bool right = read_number(b, &key);
    f->number = (int)(key >> 3);
    f->kind = (int)(key & 7);
    if (right && f->kind == VARINT)
        right = read_number(b, &size), size = 0;
    else if (right && f->kind == BYTES)
        right = read_number(b, &size);
    else
        size = f->kind == EIGHT ? 8 : 4;
    right = right && (f->kind <= BYTES || f->kind == FOUR) && size <= (uint64_t)(b->end - b->at);
    if (!right) {
        b->at = NULL;
        return false;
    }
    f->value = (bytes){ b->at, b->at + size };
    b->at += size;
    f->whole.end = b->at;
    return true;
}

static bool is_text(bytes b, const char *text)
{
    size_t n = strlen(text);
    return (size_t)(b.end - b.at) == n && memcmp(b.at, text, n) == 0;
}

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

static void add_number(ta_buf *b, uint64_t n)
{
    do {
        char byte = (char)((n & 127) | (n > 127 ? 128 : 0));
        ta_buf_addn(b, &byte, 1);
        n >>= 7;
    } while (n);
}

static void add_bytes(ta_buf *b, int number, const void *data, size_t size)
{
    add_number(b, (uint64_t)number << 3 | BYTES);
    add_number(b, size);
    ta_buf_addn(b, data, size);
}

static void add_text(ta_buf *b, int number, const char *text)
{
    add_bytes(b, number, text, strlen(text));
}

/* Takes `inner`. */
static void add_message(ta_buf *b, int number, ta_buf *inner)
{
    add_bytes(b, number, inner->data ? inner->data : "", inner->len);
    b->failed = b->failed || inner->failed;
    ta_buf_free(inner);
}

static void copy_field(ta_buf *b, const field *f)
{
    ta_buf_addn(b, (const char *)f->whole.at, (size_t)(f->whole.end - f->whole.at));
}

/* A value of the graph: fp32, 1 x 1 x free. */
static void add_value(ta_buf *graph, int number, const char *name)
{
    ta_buf shape = { 0 }, tensor = { 0 }, type = { 0 }, value = { 0 };
    for (int i = 0; i < 3; i++) {
        ta_buf dim = { 0 };
        if (i < 2) {
            add_number(&dim, 1 << 3 | VARINT);
            add_number(&dim, 1);
        } else {
            add_text(&dim, 2, "units");
        }
        add_message(&shape, 1, &dim);
    }
    add_number(&tensor, 1 << 3 | VARINT);
    add_number(&tensor, 1);
    add_message(&tensor, 2, &shape);
    add_message(&type, 1, &tensor);
    add_text(&value, 1, name);
    add_message(&value, 2, &type);
    add_message(graph, number, &value);
}

/* ---- Nodes ------------------------------------------------------------------------------------------------------- */

static bool is_kind(bytes node, const char *kind)
{
    field f;
    while (next_field(&node, &f))
        if (f.number == NODE_KIND && f.kind == BYTES)
            return is_text(f.value, kind);
    return false;
}

static bool first_name(bytes node, int number, char name[NAME_SIZE])
{
    field f;
    while (next_field(&node, &f)) {
        size_t size = (size_t)(f.value.end - f.value.at);
        if (f.number != number || f.kind != BYTES || size >= NAME_SIZE)
            continue;
        memcpy(name, f.value.at, size);
        name[size] = 0;
        return true;
    }
    return false;
}

/* What reads the padded tensor will read the one before. */
static bool drop_pad(rewrite *w, bytes node)
{
    return w->pads < MOST_NAMES && first_name(node, NODE_OUTPUT, w->from[w->pads]) &&
           first_name(node, NODE_INPUT, w->to[w->pads]) && ++w->pads;
}

static void add_renamed(ta_buf *out, const rewrite *w, const field *f)
{
    for (int i = 0; i < w->pads; i++)
        if (is_text(f->value, w->from[i])) {
            add_text(out, f->number, w->to[i]);
            return;
        }
    copy_field(out, f);
}

/* A node as it is, or a GRU whose state is number `state`. */
static bool copy_node(ta_buf *graph, const rewrite *w, bytes node, int state)
{
    ta_buf out = { 0 };
    char in_name[32], out_name[32];
    field f;
    int inputs = 0, outputs = 0;
    snprintf(in_name, sizeof in_name, "state%d", state);
    snprintf(out_name, sizeof out_name, "state%d_out", state);
    while (next_field(&node, &f)) {
        if (f.number == NODE_INPUT && f.kind == BYTES && inputs++ == INITIAL_STATE && state >= 0)
            add_text(&out, NODE_INPUT, in_name);
        else if (f.number == NODE_OUTPUT && f.kind == BYTES && outputs++ == LAST_STATE && state >= 0)
            add_text(&out, NODE_OUTPUT, out_name);
        else if (f.number == NODE_INPUT && f.kind == BYTES)
            add_renamed(&out, w, &f);
        else
            copy_field(&out, &f);
    }
    add_message(graph, GRAPH_NODE, &out);
    return node.at && (state < 0 || (inputs > INITIAL_STATE && outputs > LAST_STATE));
}

static bool take_node(ta_buf *graph, rewrite *w, bytes node)
{
    if (is_kind(node, "Pad"))
        return drop_pad(w, node);
    return copy_node(graph, w, node, is_kind(node, "GRU") && w->states < MOST_STATES ? w->states++ : -1);
}

/* ---- The model --------------------------------------------------------------------------------------------------- */

static bool copy_graph(ta_buf *model, bytes graph)
{
    rewrite w = { 0 };
    ta_buf out = { 0 };
    char name[32];
    field f;
    bool right = true;
    while (right && next_field(&graph, &f)) {
        if (f.number == GRAPH_NODE && f.kind == BYTES)
            right = take_node(&out, &w, f.value);
        else if (f.number != GRAPH_VALUE_INFO) /* sizes of what is between, which have changed */
            copy_field(&out, &f);
    }
    for (int i = 0; i < w.states; i++) {
        snprintf(name, sizeof name, "state%d", i);
        add_value(&out, GRAPH_INPUT, name);
        snprintf(name, sizeof name, "state%d_out", i);
        add_value(&out, GRAPH_OUTPUT, name);
    }
    add_message(model, MODEL_GRAPH, &out);
    return right && graph.at && w.states > 0;
}

int ta_onnx_free_state(const void *model, size_t size, char **out, size_t *out_size, ta_error *err)
{
    bytes all = { model, (const unsigned char *)model + size };
    ta_buf b = { 0 };
    field f;
    bool right = true, found = false;
    while (right && next_field(&all, &f)) {
        if (f.number == MODEL_GRAPH && f.kind == BYTES && !found)
            right = found = copy_graph(&b, f.value);
        else
            copy_field(&b, &f);
    }
    if (b.failed || !right || !found || !all.at) {
        bool memory = b.failed;
        ta_buf_free(&b);
        *out = NULL;
        return memory ? ta_no_memory(err)
                      : ta_fail(err, TA_ERR_DATA, "this is no ONNX model whose recurrent state could be carried on");
    }
    *out_size = b.len;
    *out = ta_buf_take(&b);
    return *out ? 0 : ta_no_memory(err);
}
