/* Writes a graph as an ONNX model (protobuf): opset 13, IR version 7, weights as raw fp32, N, H and W free. Input
 * "input", output "output". Private to this folder. */
#ifndef TA_NEURAL_ONNX_WRITE_H
#define TA_NEURAL_ONNX_WRITE_H

#include "neural/graph.h"

/* The model's bytes (ta_free). TA_ERR_AGAIN; TA_ERR_UNAVAILABLE: over 2 GiB, which protobuf can't hold. Thread safe for
 * different graphs. The same graph always gives the same bytes. */
int ta_onnx_write(const ta_graph *g, unsigned char **bytes, size_t *size, ta_error *err);

#endif
