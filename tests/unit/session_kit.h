/* What the tests of sessions share, whatever the engine. */
#ifndef SESSION_KIT_H
#define SESSION_KIT_H

#include "onnx_kit.h"

#include "neural/neural.h"

static inline ta_session_options plain(void **state)
{
    return (ta_session_options){ .precision = TA_PRECISION_FP32, .threads = 1, .cache = *state };
}

static inline ta_session *opened(const ta_buf *model, const ta_session_options *o)
{
    ta_error err = { 0 };
    ta_session *s = NULL;
    char text[1024];
    if (ta_session_open_bytes(&s, "test", model->data, model->len, o, &err) < 0)
        fail_msg("%s", ta_error_string(&err, text, sizeof text));
    return s;
}

/* Runs y = 2 x + 1 on rows x width numbers and checks each. */
static inline void check_affine(ta_request *r, int64_t rows, int64_t width, float base)
{
    ta_error err = { 0 };
    ta_shape shape = TA_SHAPE(rows, width);
    float *x;
    const float *y;
    assert_int_equal(ta_request_input(r, 0, &shape, &x, &err), 0);
    for (int64_t i = 0; i < rows * width; i++)
        x[i] = base + (float)i;
    assert_int_equal(ta_request_run(r, NULL, &err), 0);
    assert_int_equal(ta_request_output(r, 0, &shape, &y, &err), 0);
    assert_true(shape.rank == 2 && shape.dim[0] == rows && shape.dim[1] == width);
    for (int64_t i = 0; i < rows * width; i++)
        assert_true(y[i] == 2 * (base + (float)i) + 1);
}

#endif
