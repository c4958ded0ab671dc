/* Import of ncnn's models, a text file of layers (.param) and a file of weights (.bin), as an ONNX model in memory.
 *
 * Layers: Input, Split, Convolution and ConvolutionDepthWise (stride, dilation, zero padding, bias), Deconvolution,
 * InnerProduct (behind a global mean), PReLU, ReLU (leaky too), Sigmoid, Clip, PixelShuffle (CRD), Interp (nearest,
 * bilinear, bicubic by a factor), BinaryOp (add, subtract, multiply; also with a number), Eltwise (product, sum with
 * coefficients), Concat of channels, Crop, Pooling (global mean), Scale, Flatten and Reshape (behind a global mean),
 * Noop, Dropout. Activations inside layers: ReLU, leaky ReLU, clip, sigmoid. Weights as fp32 or fp16. */
#ifndef TA_NEURAL_NCNN_H
#define TA_NEURAL_NCNN_H

#include "base/base.h"

/* All zero is the default: the rewrites that pay on every engine, and no others. */
typedef struct ta_ncnn_options {
    bool as_stored;   /* no rewrites: the layers just as they are in the file */
    bool split_prelu; /* PReLU as two depthwise convolutions, which ONNX Runtime computes faster on the CPU */
} ta_ncnn_options;

/* A model in ONNX format: input "input" N x channels_in x H x W, output "output" N x channels_out x OH x OW, fp32, all
 * sizes but the channels free. Nothing is done to the values: what the network was trained on goes in (for the known
 * upscalers RGB from 0 to 1).
 *
 * Geometry, in input pixels, the same for rows and columns: OH = (H - 2 * inset) * scale_num / scale_den, and output
 * pixel 0 lies over input pixel `inset`. A tile of output over the input pixels [a, b), with a and b multiples of
 * `align`, is exactly as in the whole picture when the network is given [a - reach, b + reach) or more, up to the
 * picture's border; what is given begins at a multiple of `align` and its size is `align_rest` modulo `align`. A folded
 * model needs at least 2 x 2 pixels. */
typedef struct ta_onnx_model {
    unsigned char *bytes;
    size_t size;
    int channels_in, channels_out;
    int scale_num, scale_den;
    int reach;
    int align, align_rest;
    int inset;   /* 0 for models that pad; else the caller adds real pixels, or repeats the border's */
    bool global; /* it looks at the mean over all that it is given: tiles differ from the whole picture */
} ta_onnx_model;

/* Reads both files. `options` may be NULL. On success the caller frees the model; otherwise it is empty. TA_ERR_DATA: a
 * file is broken, with the line and the layer; TA_ERR_UNAVAILABLE: a layer, a parameter or a weight format that isn't
 * known, named; TA_ERR_NOINPUT, TA_ERR_NOPERM, TA_ERR_IO; TA_ERR_AGAIN: memory. Thread safe. */
int ta_ncnn_import(const char *param_path, const char *bin_path, const ta_ncnn_options *options, ta_onnx_model *model,
                   ta_error *err);
void ta_onnx_model_free(ta_onnx_model *model);

#endif
