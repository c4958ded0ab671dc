/* What reads ncnn's two files: a text of layers, one a line, and a file of weights that is read in the layers' order.
 * Private to the import. All limits stand here, so that a hostile file can't make much of little. */
#ifndef TA_NEURAL_NCNN_READ_H
#define TA_NEURAL_NCNN_READ_H

#include "neural/graph.h"

enum {
    TA_NCNN_PARAM_SIZE = 2 << 20, /* bytes of text */
    TA_NCNN_BIN_SIZE = 1 << 30,   /* bytes of weights */
    TA_NCNN_LAYERS = 4096,
    TA_NCNN_BLOBS = 8192,
    TA_NCNN_PORTS = TA_GRAPH_INPUTS, /* inputs, and outputs, of a layer */
    TA_NCNN_KEYS = 32,
    TA_NCNN_ARRAY = 16,
    TA_NCNN_NAME = 256
};

/* A parameter: one number or an array. */
typedef struct ta_ncnn_value {
    bool given, array, used;
    int count;
    double v[TA_NCNN_ARRAY];
} ta_ncnn_value;

/* A tensor's name in the file. Several names may stand for one node (Split). */
typedef struct ta_ncnn_blob {
    char *name;
    int node;
    bool read, split;
} ta_ncnn_blob;

typedef struct ta_ncnn_layer {
    int line;
    char type[64], name[TA_NCNN_NAME];
    int n_in, n_out;
    int in[TA_NCNN_PORTS]; /* nodes */
    char out[TA_NCNN_PORTS][TA_NCNN_NAME];
    ta_ncnn_value value[TA_NCNN_KEYS];
} ta_ncnn_layer;

typedef struct ta_ncnn_reader {
    const char *param_path, *bin_path;
    char *text, *next; /* the text, and what is left of it */
    char *bin;
    size_t bin_size, bin_at;
    int line;
    int n_layers, n_blobs; /* announced */
    ta_ncnn_blob *blobs;
    int have_blobs;
    ta_ncnn_layer layer;
    ta_graph graph;
    ta_error *err;
} ta_ncnn_reader;

/* Opens both files and reads the header. */
int ta_ncnn_open(ta_ncnn_reader *r);
void ta_ncnn_close(ta_ncnn_reader *r);
/* The next layer into r->layer; TA_ERR_DATA at the end of the text. */
int ta_ncnn_next(ta_ncnn_reader *r);
/* Nothing may be left over: lines, names, bytes. */
int ta_ncnn_end(ta_ncnn_reader *r);
/* Gives the layer's output `k` its tensor. */
int ta_ncnn_name(ta_ncnn_reader *r, int k, int node, bool split);

/* An error at this layer: "x.param, line 3, Convolution 'a': ...". */
int ta_ncnn_fail(ta_ncnn_reader *r, ta_status code, const char *fmt, ...) TA_PRINTF(3, 4);

/* A whole number; `otherwise` when it isn't given. TA_ERR_DATA when it isn't from min to max. */
int ta_ncnn_int(ta_ncnn_reader *r, int key, int otherwise, int min, int max, int *v);
int ta_ncnn_real(ta_ncnn_reader *r, int key, double otherwise, double *v);
/* An array, or NULL when it isn't given. */
const ta_ncnn_value *ta_ncnn_array(ta_ncnn_reader *r, int key);
/* The first parameter that no call above asked for, or -1. */
int ta_ncnn_unused(const ta_ncnn_reader *r);

/* `count` weights: with a tag that tells their format, or plain fp32. They must be finite. */
int ta_ncnn_weights(ta_ncnn_reader *r, size_t count, bool tagged, int *blob);

#endif
