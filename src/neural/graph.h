/* A small graph of a convolutional network: what an importer builds, exact rewrites change and the ONNX writer writes.
 * A tensor is N x C x H x W in fp32, N, H and W free; each node makes one tensor and has its number. Nodes stand in an
 * order in which each one comes behind what it reads. Private to this folder; for one thread at a time. */
#ifndef TA_NEURAL_GRAPH_H
#define TA_NEURAL_GRAPH_H

#include "base/base.h"

enum {
    TA_GRAPH_INPUTS = 32,       /* tensors that one node may read */
    TA_GRAPH_NODES = 16384,     /* nodes of a graph */
    TA_GRAPH_CHANNELS = 8192,   /* of a tensor */
    TA_GRAPH_TO_END = INT32_MAX /* a slice's `to`: the last line included */
};

typedef enum ta_op {
    TA_OP_INPUT,
    TA_OP_CONV,   /* weight [C][in / group][kh][kw], bias or -1 */
    TA_OP_DECONV, /* weight [in][C][kh][kw], bias or -1; pad is cut off */
    TA_OP_PRELU,  /* weight: C slopes */
    TA_OP_LEAKY,  /* a: slope */
    TA_OP_RELU,
    TA_OP_SIGMOID,
    TA_OP_CLIP,    /* a, b: limits */
    TA_OP_SHUFFLE, /* factor; channel c * factor^2 + y * factor + x (CRD) */
    TA_OP_RESIZE,  /* filter, scale */
    TA_OP_ADD,     /* two tensors, or one and the number a; a 1 x 1 tensor goes with any size */
    TA_OP_SUB,
    TA_OP_MUL,
    TA_OP_CONCAT,  /* axis: 1 channels, 2 rows, 3 columns */
    TA_OP_SLICE,   /* from, to: rows and columns, counted from the end where negative */
    TA_OP_CROP_TO, /* two tensors: the first from `from` on, as large as the second; settled into a slice */
    TA_OP_MEAN,    /* of each channel over the whole picture: 1 x 1 */
    TA_OP_COUNT
} ta_op;

typedef enum ta_filter { TA_FILTER_NEAREST, TA_FILTER_LINEAR, TA_FILTER_CUBIC } ta_filter;

/* Pairs are rows (y) first, then columns (x). */
typedef struct ta_node {
    ta_op op;
    int n_in, in[TA_GRAPH_INPUTS];
    int channels;
    bool single;                                                /* 1 x 1 whatever the picture's size */
    int weight, bias;                                           /* numbers of blobs, or -1 */
    int kernel[2], stride[2], dilation[2], before[2], after[2]; /* before, after: padding */
    int group, factor, axis;
    int from[2], to[2];
    ta_filter filter;
    double scale[2];
    float a, b;
} ta_node;

typedef struct ta_blob {
    float *data;
    size_t count;
} ta_blob;

typedef struct ta_graph {
    ta_node *nodes;
    int n_nodes, cap_nodes;
    ta_blob *blobs;
    int n_blobs, cap_blobs;
    int output;  /* node; the input is node 0 */
    bool failed; /* memory ran out */
} ta_graph;

/* A node of this kind with everything else at its neutral value: stride, dilation and group 1, no weights. */
ta_node ta_node_of(ta_op op);
/* Adds a node that reads `n_in` tensors and returns its number. Once memory ran out, `failed` is set and the number is
 * not to be used, so one check at the end of a few additions is enough. */
int ta_graph_add(ta_graph *g, const ta_node *node);
int ta_graph_add1(ta_graph *g, ta_node node, int in);
int ta_graph_add2(ta_graph *g, ta_node node, int a, int b);
/* Zeroed memory for `count` numbers, owned by the graph; its number into `blob`. NULL and `failed`: no memory. */
float *ta_graph_blob(ta_graph *g, size_t count, int *blob);
void ta_graph_free(ta_graph *g);
/* How many nodes read each one's tensor, and one more for the output (ta_free). NULL: no memory. */
int *ta_graph_uses(const ta_graph *g);
/* Removes nodes and weights that the output doesn't need; the input stays. TA_ERR_AGAIN. */
int ta_graph_prune(ta_graph *g, ta_error *err);

/* How the output lies over the input, the same for rows and columns. */
typedef struct ta_reach {
    int scale_num, scale_den; /* output pixels per input pixel */
    int inset; /* input pixels lost at each side: out = scale * (in - 2 * inset); output 0 lies over input `inset` */
    int reach; /* how far beyond the input pixels below a tile the network looks, at most, at any side */
    int align; /* tiles begin at multiples of this many input pixels; an input's size is align_rest modulo this */
    int align_rest;
    bool global; /* a mean over the whole picture: no tile is exactly as in the whole */
} ta_reach;

/* Settles every TA_OP_CROP_TO into a slice, checks that sizes fit wherever tensors meet and fills `reach`.
 * TA_ERR_DATA: no size of the picture fits; TA_ERR_UNAVAILABLE: rows and columns differ, or a side that loses half a
 * pixel. */
int ta_graph_reach(ta_graph *g, ta_reach *reach, ta_error *err);

/* Rewrites; mathematically equal everywhere, the border included, so that only rounding differs. Each returns 0 or
 * TA_ERR_AGAIN. They are called behind ta_graph_reach, whose result stays true. */
/* PixelShuffle(r) [+ nearest base] -> linear or cubic resize by q/r < 1 becomes a wider convolution and
 * PixelShuffle(q); the outermost line of the picture is made by the original layers. */
int ta_graph_fold_resize(ta_graph *g, ta_error *err);
/* PixelShuffle(r) + nearest resize by r of a tensor: the base is added before the shuffle, by a 1x1 convolution. */
int ta_graph_fold_nearest(ta_graph *g, ta_error *err);
/* PReLU as depthwise(x; s) + depthwise(ReLU(x); 1 - s): for engines that keep their layout through these only. */
int ta_graph_split_prelu(ta_graph *g, ta_error *err);

#endif
