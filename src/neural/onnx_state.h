/* Makes a recurrent ONNX model one that can be fed in pieces. Private to neural. */
#ifndef TA_NEURAL_ONNX_STATE_H
#define TA_NEURAL_ONNX_STATE_H

#include "base/base.h"

/* For ta_session_options.rewrite. Each GRU's initial state becomes an input "state0", "state1", ... and its last one an
 * output "state0_out", ...; each Pad is taken out, so that a convolution gets the frames before the piece from outside
 * instead of zeros. The rest stays byte by byte. TA_ERR_DATA: no ONNX model, or none with GRUs that have an initial
 * state. */
int ta_onnx_free_state(const void *model, size_t size, char **out, size_t *out_size, ta_error *err);

#endif
