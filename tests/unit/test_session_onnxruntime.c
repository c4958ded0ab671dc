/* ONNX Runtime beside OpenVINO: the same models give the same numbers; types of a model's border, several requests,
 * devices, errors. */
#include "session_kit.h"
#include "shared_kit.h"

#include <math.h>

static ta_session_options by(void **state, ta_engine engine, ta_precision precision)
{
    ta_session_options o = plain(state);
    o.engine = engine;
    o.precision = precision;
    return o;
}

static ta_session_options ours(void **state)
{
    return by(state, TA_ENGINE_ONNXRUNTIME, TA_PRECISION_FP32);
}

static void engine_is_there(void **state)
{
    ta_engine_info info;
    ta_engine_look(TA_ENGINE_ONNXRUNTIME, &info);
    assert_string_equal(info.problem, "");
    assert_true(info.built_in && info.found && exists(info.path));
    assert_string_equal(info.title, "ONNX Runtime");
    assert_string_equal(info.version, "1.32.0");
    assert_string_equal(info.devices, "CPU");
}

static void ports_and_dynamic_shapes(void **state)
{
    ta_buf model = onnx_affine(ONNX_FLOAT, -1);
    ta_session_options o = ours(state);
    ta_session *s = opened(&model, &o);
    ta_session_info info;
    ta_request *r;
    ta_shape shape;
    ta_session_get_info(s, &info);
    assert_string_equal(info.engine, "onnxruntime");
    assert_string_equal(info.device, "CPU");
    assert_int_equal(info.precision, TA_PRECISION_FP32);
    assert_string_equal(ta_session_input(s, 0, &shape), "x");
    assert_true(shape.rank == 2 && shape.dim[0] == -1 && shape.dim[1] == -1);
    assert_string_equal(ta_session_output(s, 0, NULL), "y");
    assert_int_equal(ta_request_new(&r, s, NULL), 0);
    check_affine(r, 1, 1, 5);
    check_affine(r, 3, 7, -2);
    check_affine(r, 100, 33, 0.5f);
    check_affine(r, 100, 33, 7);
    ta_request_free(&r);
    ta_session_free(&s);
    ta_buf_free(&model);
}

static void shapes_can_be_fixed(void **state)
{
    ta_buf model = onnx_affine(ONNX_FLOAT, 4);
    ta_session_options o = ours(state);
    const ta_input_shape fixed = { "x", TA_SHAPE(3, 4) },
                         wrong[] = { { "x", TA_SHAPE(3, 5) }, { "z", TA_SHAPE(3, 4) } };
    ta_session *s;
    ta_request *r;
    ta_shape shape;
    float *x;
    o.shapes = &fixed;
    o.shape_count = 1;
    s = opened(&model, &o);
    ta_session_input(s, 0, &shape);
    assert_true(ta_shape_equal(&shape, &fixed.shape));
    assert_int_equal(ta_request_new(&r, s, NULL), 0);
    assert_int_equal(ta_request_input(r, 0, NULL, &x, NULL), 0);
    check_affine(r, 3, 4, 1);
    ta_request_free(&r);
    ta_session_free(&s);
    for (int i = 0; i < 2; i++) {
        o.shapes = &wrong[i];
        assert_int_equal(ta_session_open_bytes(&s, "test", model.data, model.len, &o, NULL), TA_ERR_USAGE);
    }
    ta_buf_free(&model);
}

/* y = x of this type: what a number becomes on its way through. */
static void check_identity(void **state, int type, const float *in, const float *want, int64_t count)
{
    const int64_t dims[] = { count };
    ta_buf graph = { 0 };
    onnx_node(&graph, "Identity", "x", NULL, "y", NULL);
    onnx_value(&graph, 11, "x", type, 1, dims);
    onnx_value(&graph, 12, "y", type, 1, dims);
    ta_buf model = onnx_model(&graph);
    ta_session_options o = ours(state);
    ta_session *s = opened(&model, &o);
    ta_request *r;
    float *x;
    const float *y;
    assert_int_equal(ta_request_new(&r, s, NULL), 0);
    assert_int_equal(ta_request_input(r, 0, NULL, &x, NULL), 0);
    memcpy(x, in, (size_t)count * sizeof *x);
    assert_int_equal(ta_request_run(r, NULL, NULL), 0);
    assert_int_equal(ta_request_output(r, 0, NULL, &y, NULL), 0);
    for (int64_t i = 0; i < count; i++)
        if (y[i] != want[i])
            fail_msg("type %d: %g became %g, not %g", type, (double)in[i], (double)y[i], (double)want[i]);
    ta_request_free(&r);
    ta_session_free(&s);
    ta_buf_free(&model);
}

static void borders_of_other_types(void **state)
{
    enum { UINT8 = 2, INT32 = 6, INT64 = 7, HALF = 10 };
    static const float in[] = { 0.1f, -2.5f, 3.5f, 300, -70000, 65519, 65520, 6e-8f, -1e-9f, 0.00006f };
    /* By numpy: np.float32(np.float16(x)), and np.rint of what is clipped to the type. */
    static const float half[] = {
        0.0999755859375f,      -2.5f, 3.5f, 300, -INFINITY, 65504, INFINITY, 5.960464477539063e-8f, -0.0f,
        6.0021877288818359e-5f
    };
    static const float whole[] = { 0, -2, 4, 300, -70000, 65519, 65520, 0, 0, 0 };
    static const float bytes[] = { 0, 0, 4, 255, 0, 255, 255, 0, 0, 0 };
    check_identity(state, ONNX_FLOAT, in, in, TA_COUNT(in));
    check_identity(state, ONNX_DOUBLE, in, in, TA_COUNT(in));
    check_identity(state, HALF, in, half, TA_COUNT(in));
    check_identity(state, INT32, in, whole, TA_COUNT(in));
    check_identity(state, INT64, in, whole, TA_COUNT(in));
    check_identity(state, UINT8, in, bytes, TA_COUNT(in));
}

/* ---- Agreement ------------------------------------------------------------------------------------------------ */

/* The results of all outputs, one after the other (ta_free). */
static float *results(const ta_buf *model, const ta_session_options *o, const ta_shape *shape, size_t *count)
{
    ta_session *s = opened(model, o);
    ta_request *r;
    ta_error err = { 0 };
    float *x, *all = NULL;
    uint32_t seed = 1;
    *count = 0;
    assert_int_equal(ta_request_new(&r, s, NULL), 0);
    assert_int_equal(ta_request_input(r, 0, shape, &x, NULL), 0);
    for (int64_t i = 0; i < ta_shape_count(shape); i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) / (1 << 24) - 0.5f;
    }
    if (ta_request_run(r, NULL, &err) < 0)
        fail_msg("%s", err.text[0]);
    for (int i = 0; i < ta_session_outputs(s); i++) {
        ta_shape made;
        const float *y;
        assert_int_equal(ta_request_output(r, i, &made, &y, NULL), 0);
        size_t n = (size_t)ta_shape_count(&made);
        all = ta_resize(all, *count + n, sizeof *all);
        assert_non_null(all);
        memcpy(all + *count, y, n * sizeof *y);
        *count += n;
    }
    ta_request_free(&r);
    ta_session_free(&s);
    return all;
}

static double agreement_db(void **state, const ta_buf *model, const ta_shape *shape, ta_precision precision)
{
    ta_session_options a = ours(state), b = by(state, TA_ENGINE_OPENVINO, precision);
    size_t n, m;
    double signal = 0, error = 1e-30;
    float *x = results(model, &a, shape, &n), *y = results(model, &b, shape, &m);
    assert_int_equal(n, m);
    for (size_t i = 0; i < n; i++) {
        signal += (double)x[i] * x[i];
        error += ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
    }
    ta_free(x);
    ta_free(y);
    return 10 * log10(signal / error);
}

static void check_agreement(void **state, const ta_buf *model, const ta_shape *shape)
{
    double fp32 = agreement_db(state, model, shape, TA_PRECISION_FP32);
    double bf16 = ta_cpu_has_bf16() ? agreement_db(state, model, shape, TA_PRECISION_BF16) : 45;
    print_message("ONNX Runtime against OpenVINO: fp32 %.1f dB, bf16 %.1f dB\n", fp32, bf16);
    assert_true(fp32 >= 90);
    assert_true(bf16 >= 45);
}

static void convolutions_agree(void **state)
{
    enum { CHANNELS = 8 };
    float weights[CHANNELS * CHANNELS * 9];
    uint32_t seed = 3;
    for (size_t i = 0; i < TA_COUNT(weights); i++) {
        seed = seed * 1664525u + 1013904223u;
        weights[i] = ((float)(seed >> 8) / (1 << 24) - 0.5f) / 5;
    }
    ta_buf model = onnx_convolutions(4, CHANNELS, weights);
    ta_shape shape = TA_SHAPE(1, CHANNELS, 45, 61);
    check_agreement(state, &model, &shape);
    ta_buf_free(&model);
}

static void a_real_model_agrees(void **state)
{
    const char *path = kit_shared("models/version-RFB-320.onnx");
    ta_buf model = { 0 };
    ta_shape shape = TA_SHAPE(1, 3, 240, 320);
    if (!path)
        skip();
    assert_int_equal(ta_read_file(path, INT32_MAX, &model.data, &model.len, NULL), 0);
    check_agreement(state, &model, &shape);
    ta_free(model.data);
}

/* ---- Requests ------------------------------------------------------------------------------------------------- */

static void requests_in_flight(void **state)
{
    enum { REQUESTS = 6 };
    ta_buf model = onnx_affine(ONNX_FLOAT, 1000);
    ta_session_options o = ours(state);
    ta_request *r[REQUESTS];
    float *x;
    const float *y;
    o.threads = o.streams = 2;
    ta_session *s = opened(&model, &o);
    for (int i = 0; i < REQUESTS; i++)
        assert_int_equal(ta_request_new(&r[i], s, NULL), 0);
    ta_session_free(&s); /* the requests hold it */
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < REQUESTS; i++) {
            ta_shape shape = TA_SHAPE(1 + i, 1000);
            assert_int_equal(ta_request_input(r[i], 0, &shape, &x, NULL), 0);
            for (int64_t k = 0; k < ta_shape_count(&shape); k++)
                x[k] = (float)(round * 100 + i);
            assert_int_equal(ta_request_start(r[i], NULL), 0);
        }
        for (int i = REQUESTS - 1; i >= 0; i--) {
            ta_shape shape;
            assert_int_equal(ta_request_wait(r[i], NULL, NULL), 0);
            assert_int_equal(ta_request_output(r[i], 0, &shape, &y, NULL), 0);
            assert_int_equal(ta_shape_count(&shape), 1000 * (1 + i));
            for (int64_t k = 0; k < ta_shape_count(&shape); k++)
                assert_true(y[k] == (float)(2 * (round * 100 + i) + 1));
        }
    }
    for (int i = 0; i < REQUESTS; i++)
        ta_request_free(&r[i]);
    ta_buf_free(&model);
}

static void *cancel_soon(void *arg)
{
    ta_sleep_us(60000);
    ta_cancel_set(arg);
    return NULL;
}

/* Some seconds of work: cancelled at once, and the rest of it does not hold up ta_request_free for long. */
static void waiting_can_be_cancelled(void **state)
{
    enum { CHANNELS = 64, LAYERS = 40, SIDE = 512 };
    float *weights = calloc(CHANNELS * CHANNELS * 9, sizeof *weights), *x;
    ta_buf model = onnx_convolutions(LAYERS, CHANNELS, weights);
    const ta_shape shape = TA_SHAPE(1, CHANNELS, SIDE, SIDE);
    ta_session_options o = ours(state);
    ta_session *s = opened(&model, &o);
    ta_request *r;
    ta_cancel *cancel = ta_cancel_new(NULL);
    assert_int_equal(ta_request_new(&r, s, NULL), 0);
    assert_int_equal(ta_request_input(r, 0, &shape, &x, NULL), 0);
    memset(x, 0, sizeof *x * CHANNELS * SIDE * SIDE);
    pthread_t id = start(cancel_soon, cancel);
    int64_t begun = ta_now_us();
    assert_int_equal(ta_request_run(r, cancel, NULL), TA_ERR_CANCELLED);
    int64_t waited = ta_now_us() - begun;
    ta_request_free(&r);
    int64_t freed = ta_now_us() - begun;
    pthread_join(id, NULL);
    assert_in_range(waited, 50000, 500000);
    assert_true(freed < 1500000);
    ta_cancel_free(&cancel);
    ta_session_free(&s);
    ta_buf_free(&model);
    free(weights);
}

/* ---- Errors --------------------------------------------------------------------------------------------------- */

static void broken_models(void **state)
{
    ta_session_options o = ours(state);
    ta_session *s;
    ta_error err = { 0 };
    ta_buf graph = { 0 }, model = onnx_affine(ONNX_FLOAT, 4);
    const int64_t dims[] = { 1 };
    assert_int_equal(ta_session_open_bytes(&s, "noise", "no model at all", 15, &o, &err), TA_ERR_DATA);
    assert_non_null(strstr(err.text[1], "not an ONNX model"));
    assert_int_equal(ta_session_open_bytes(&s, "half", model.data, model.len / 2, &o, &err), TA_ERR_DATA);
    assert_int_equal(ta_session_open_bytes(&s, "empty", "", 0, &o, &err), TA_ERR_DATA);
    ta_buf_free(&model);
    onnx_node(&graph, "NoSuchLayer", "x", NULL, "y", NULL);
    onnx_value(&graph, 11, "x", ONNX_FLOAT, 1, dims);
    onnx_value(&graph, 12, "y", ONNX_FLOAT, 1, dims);
    model = onnx_model(&graph);
    assert_int_equal(ta_session_open_bytes(&s, "odd", model.data, model.len, &o, &err), TA_ERR_DATA);
    assert_null(s);
    ta_buf_free(&model);
}

static void what_is_not_there_is_refused(void **state)
{
    ta_buf model = onnx_affine(ONNX_FLOAT, 4);
    ta_session_options o = by(state, TA_ENGINE_ONNXRUNTIME, TA_PRECISION_BF16);
    ta_session *s;
    ta_error err = { 0 };
    assert_int_equal(ta_session_open_bytes(&s, "test", model.data, model.len, &o, &err), TA_ERR_UNAVAILABLE);
    assert_non_null(strstr(err.hint, "openvino"));
    o.precision = TA_PRECISION_AUTO;
    for (ta_device device = TA_DEVICE_CUDA; device <= TA_DEVICE_TENSORRT; device++) {
        o.device = device;
        o.engine = device == TA_DEVICE_CUDA ? TA_ENGINE_AUTO : TA_ENGINE_ONNXRUNTIME;
        assert_int_equal(ta_session_open_bytes(&s, "test", model.data, model.len, &o, &err), TA_ERR_UNAVAILABLE);
        assert_non_null(strstr(err.text[1], device == TA_DEVICE_CUDA ? "without CUDA" : "without TensorRT"));
        assert_non_null(strstr(err.hint, "onnxruntime-gpu"));
        assert_null(s);
    }
    ta_buf_free(&model);
}

static int without_engine(void *arg)
{
    ta_session *s;
    ta_error err = { 0 };
    ta_buf model = onnx_affine(ONNX_FLOAT, 4);
    ta_session_options o = { .engine = TA_ENGINE_ONNXRUNTIME, .cache = "" };
    setenv("TERMINALAI_ONNXRUNTIME", arg, 1);
    int r = ta_session_open_bytes(&s, "test", model.data, model.len, &o, &err);
    ta_buf_free(&model);
    return r == TA_ERR_UNAVAILABLE && strstr(err.hint, "terminalai models install onnxruntime") && !s ? 0 : 1;
}

static void engine_missing(void **state)
{
    put_file(in(state, "libonnxruntime.so.1"), "no library");
    assert_int_equal(in_child(without_engine, (void *)"/nowhere"), 0);
    assert_int_equal(in_child(without_engine, *state), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(engine_missing), /* before the library is loaded */
        cmocka_unit_test(engine_is_there), SCRATCH_TEST(ports_and_dynamic_shapes),
        SCRATCH_TEST(shapes_can_be_fixed), SCRATCH_TEST(borders_of_other_types),
        SCRATCH_TEST(convolutions_agree),  SCRATCH_TEST(a_real_model_agrees),
        SCRATCH_TEST(requests_in_flight),  SCRATCH_TEST(waiting_can_be_cancelled),
        SCRATCH_TEST(broken_models),       SCRATCH_TEST(what_is_not_there_is_refused),
    };
    ta_engine_info info;
    ta_engine_look(TA_ENGINE_ONNXRUNTIME, &info);
    if (info.built_in)
        return cmocka_run_group_tests(tests, NULL, NULL);
    printf("skipped: %s\n", info.problem);
    return 77;
}
