/* Neural sessions on the CPU: what tiny models compute against plain loops, shapes, several requests, errors, the cache
 * of compiled models. */
#include "session_kit.h"

#include <math.h>

static char log_text[8192];

static void keep_log(void *opaque, ta_log_level level, const char *where, const char *text)
{
    size_t at = strlen(log_text);
    snprintf(log_text + at, sizeof log_text - at, "%s\n", text);
}

static void shapes(void **state)
{
    char text[192];
    ta_shape a = TA_SHAPE(1, 3, 240, 360), b = TA_SHAPE(1, -1), huge = TA_SHAPE(INT64_MAX / 2, 3), zero = { 0 };
    assert_int_equal(ta_shape_count(&a), 1 * 3 * 240 * 360);
    assert_int_equal(ta_shape_count(&b), -1);
    assert_int_equal(ta_shape_count(&huge), -1);
    assert_int_equal(ta_shape_count(&zero), 1);
    assert_string_equal(ta_shape_print(&a, text), "1x3x240x360");
    assert_string_equal(ta_shape_print(&b, text), "1x?");
    assert_true(ta_shape_equal(&a, &a) && !ta_shape_equal(&a, &b));
}

static void engine_is_there(void **state)
{
    ta_engine_info info;
    ta_engine_look(TA_ENGINE_OPENVINO, &info);
    assert_string_equal(info.problem, "");
    assert_true(info.built_in && info.found);
    assert_non_null(strstr(info.devices, "CPU"));
    assert_non_null(strstr(info.version, "2026.4"));
    assert_true(exists(info.path));
}

static void ports_and_dynamic_shapes(void **state)
{
    ta_buf model = onnx_affine(ONNX_FLOAT, -1);
    ta_session_options o = plain(state);
    ta_session *s = opened(&model, &o);
    ta_request *r;
    ta_shape shape;
    assert_int_equal(ta_session_inputs(s), 1);
    assert_int_equal(ta_session_outputs(s), 1);
    assert_string_equal(ta_session_input(s, 0, &shape), "x");
    assert_true(shape.rank == 2 && shape.dim[0] == -1 && shape.dim[1] == -1);
    assert_string_equal(ta_session_output(s, 0, NULL), "y");
    assert_int_equal(ta_session_find_input(s, "x"), 0);
    assert_int_equal(ta_session_find_input(s, "y"), -1);
    assert_int_equal(ta_session_find_output(s, "y"), 0);
    assert_int_equal(ta_request_new(&r, s, NULL), 0);
    check_affine(r, 1, 1, 5);
    check_affine(r, 3, 7, -2);
    check_affine(r, 100, 33, 0.5f);
    check_affine(r, 100, 33, 7);
    check_affine(r, 2, 2, 1);
    ta_request_free(&r);
    assert_null(r);
    ta_session_free(&s);
    assert_null(s);
    ta_buf_free(&model);
}

static void border_is_fp32(void **state)
{
    ta_buf model = onnx_affine(ONNX_DOUBLE, 4);
    ta_session_options o = plain(state);
    for (int again = 0; again < 2; again++) { /* compiled, then read back */
        ta_session *s = opened(&model, &o);
        ta_request *r;
        assert_int_equal(ta_request_new(&r, s, NULL), 0);
        check_affine(r, 5, 4, 3);
        ta_request_free(&r);
        ta_session_free(&s);
    }
    ta_buf_free(&model);
}

static float pixel(const float *x, int w, int h, int at_x, int at_y)
{
    return at_x < 0 || at_y < 0 || at_x >= w || at_y >= h ? 0 : x[at_y * w + at_x];
}

static float convolved(const float *x, int w, int h, int at_x, int at_y, const float *k)
{
    float sum = 0;
    for (int dy = -1; dy <= 1; dy++)
        for (int dx = -1; dx <= 1; dx++)
            sum += pixel(x, w, h, at_x + dx, at_y + dy) * k[(dy + 1) * 3 + dx + 1];
    return sum;
}

static const float kernel[9] = { .1f, -.2f, .3f, .4f, 1.5f, -.6f, .7f, .8f, -.9f };

/* Signal to error in dB of a 3x3 convolution against a plain loop. */
static double convolution_db(void **state, ta_precision precision)
{
    enum { W = 37, H = 23 };
    static float copy[W * H];
    ta_buf model = onnx_convolutions(1, 1, kernel);
    const ta_input_shape fixed = { "x", TA_SHAPE(1, 1, H, W) };
    ta_session_options o = plain(state);
    o.precision = precision;
    o.shapes = &fixed;
    o.shape_count = 1;
    ta_session *s = opened(&model, &o);
    ta_request *r;
    ta_shape shape;
    float *x;
    const float *y;
    double signal = 0, error = 1e-30;
    ta_session_input(s, 0, &shape);
    assert_true(ta_shape_equal(&shape, &fixed.shape));
    assert_int_equal(ta_request_new(&r, s, NULL), 0);
    assert_int_equal(ta_request_input(r, 0, NULL, &x, NULL), 0);
    for (int i = 0; i < W * H; i++)
        copy[i] = x[i] = (float)(i * 7919 % 1000) / 1000;
    assert_int_equal(ta_request_run(r, NULL, NULL), 0);
    assert_int_equal(ta_request_output(r, 0, &shape, &y, NULL), 0);
    assert_true(ta_shape_equal(&shape, &fixed.shape));
    for (int i = 0; i < W * H; i++) {
        double want = convolved(copy, W, H, i % W, i / W, kernel);
        signal += want * want;
        error += (y[i] - want) * (y[i] - want);
    }
    ta_request_free(&r);
    ta_session_free(&s);
    ta_buf_free(&model);
    return 10 * log10(signal / error);
}

static void convolution(void **state)
{
    assert_true(convolution_db(state, TA_PRECISION_FP32) >= 90);
}

static void bf16_or_refused(void **state)
{
    if (ta_cpu_has_bf16()) {
        double db = convolution_db(state, TA_PRECISION_BF16);
        assert_true(db >= 45 && db < 90); /* it really is bf16 */
        return;
    }
    ta_buf model = onnx_affine(ONNX_FLOAT, 4);
    ta_session_options o = plain(state);
    ta_session *s;
    ta_error err = { 0 };
    o.precision = TA_PRECISION_BF16;
    assert_int_equal(ta_session_open_bytes(&s, "test", model.data, model.len, &o, &err), TA_ERR_UNAVAILABLE);
    assert_non_null(strstr(err.hint, "fp32"));
    ta_buf_free(&model);
}

static void auto_precision_is_said(void **state)
{
    ta_buf model = onnx_affine(ONNX_FLOAT, 4);
    ta_session_options o = plain(state);
    ta_session_info info;
    o.precision = TA_PRECISION_AUTO;
    *log_text = 0;
    ta_log_set_sink(keep_log, NULL);
    ta_session *s = opened(&model, &o);
    ta_log_set_sink(NULL, NULL);
    ta_session_get_info(s, &info);
    assert_int_equal(info.precision, ta_cpu_has_bf16() ? TA_PRECISION_BF16 : TA_PRECISION_FP32);
    assert_string_equal(info.engine, "openvino");
    assert_string_equal(info.device, "CPU");
    assert_true(info.threads == 1 && info.streams == 1);
    assert_non_null(strstr(log_text, ta_precision_name(info.precision)));
    assert_non_null(strstr(log_text, "OpenVINO 2026.4"));
    ta_session_free(&s);
    ta_buf_free(&model);
}

static void requests_in_flight(void **state)
{
    enum { REQUESTS = 6 };
    ta_buf model = onnx_affine(ONNX_FLOAT, 1000);
    ta_session_options o = plain(state);
    ta_request *r[REQUESTS];
    float *x;
    const float *y;
    o.threads = o.streams = 2;
    ta_session *s = opened(&model, &o);
    for (int i = 0; i < REQUESTS; i++)
        assert_int_equal(ta_request_new(&r[i], s, NULL), 0);
    ta_session_free(&s); /* the requests hold it */
    for (int round = 0; round < 3; round++) {
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

static void *run_many(void *arg)
{
    ta_session *s = arg;
    ta_request *r;
    bool right = ta_request_new(&r, s, NULL) == 0;
    for (int i = 0; right && i < 50; i++) {
        ta_shape shape = TA_SHAPE(1 + i % 5, 8);
        float *x;
        const float *y;
        right = ta_request_input(r, 0, &shape, &x, NULL) == 0;
        for (int64_t k = 0; right && k < ta_shape_count(&shape); k++)
            x[k] = (float)(i + k);
        right = right && ta_request_run(r, NULL, NULL) == 0 && ta_request_output(r, 0, NULL, &y, NULL) == 0;
        for (int64_t k = 0; right && k < ta_shape_count(&shape); k++)
            right = y[k] == (float)(2 * (i + k) + 1);
    }
    ta_request_free(&r);
    ta_session_free(&s);
    return right ? NULL : (void *)"wrong";
}

static void threads_share_a_session(void **state)
{
    enum { THREADS = 4 };
    ta_buf model = onnx_affine(ONNX_FLOAT, -1);
    ta_session_options o = plain(state);
    pthread_t id[THREADS];
    ta_session *s = opened(&model, &o);
    for (int i = 0; i < THREADS; i++)
        id[i] = start(run_many, ta_session_ref(s));
    ta_session_free(&s);
    for (int i = 0; i < THREADS; i++) {
        void *said;
        pthread_join(id[i], &said);
        assert_null(said);
    }
    ta_buf_free(&model);
}

static void wrong_use_is_refused(void **state)
{
    ta_buf model = onnx_affine(ONNX_FLOAT, 4);
    ta_session_options o = plain(state);
    ta_session *s = opened(&model, &o);
    ta_request *r;
    ta_error err = { 0 };
    float *x;
    const float *y;
    ta_shape narrow = TA_SHAPE(1, 3), rank = TA_SHAPE(4), empty = TA_SHAPE(0, 4);
    assert_int_equal(ta_request_new(&r, s, NULL), 0);
    assert_int_equal(ta_request_start(r, &err), TA_ERR_USAGE);
    assert_non_null(strstr(err.text[0], "'x' was not set"));
    assert_int_equal(ta_request_wait(r, NULL, &err), TA_ERR_USAGE);
    assert_int_equal(ta_request_output(r, 0, NULL, &y, &err), TA_ERR_USAGE);
    assert_int_equal(ta_request_input(r, 1, NULL, &x, &err), TA_ERR_USAGE);
    assert_int_equal(ta_request_input(r, 0, NULL, &x, &err), TA_ERR_USAGE); /* the rows are free */
    assert_int_equal(ta_request_input(r, 0, &narrow, &x, &err), TA_ERR_USAGE);
    assert_non_null(strstr(err.text[0], "1x3 doesn't fit ?x4"));
    assert_int_equal(ta_request_input(r, 0, &rank, &x, &err), TA_ERR_USAGE);
    assert_int_equal(ta_request_input(r, 0, &empty, &x, &err), TA_ERR_USAGE);
    check_affine(r, 2, 4, 0);
    assert_int_equal(ta_request_output(r, 1, NULL, &y, &err), TA_ERR_USAGE);
    ta_request_free(&r);
    ta_session_free(&s);
    ta_input_shape wrong = { "nosuch", TA_SHAPE(1, 4) };
    o.shapes = &wrong;
    o.shape_count = 1;
    assert_int_equal(ta_session_open_bytes(&s, "test", model.data, model.len, &o, &err), TA_ERR_USAGE);
    assert_null(s);
    ta_buf_free(&model);
}

static void broken_models(void **state)
{
    ta_session_options o = plain(state);
    ta_session *s;
    ta_error err = { 0 };
    ta_buf model = onnx_convolutions(1, 1, kernel);
    const char *file = in(state, "half.onnx");
    assert_int_equal(ta_session_open_bytes(&s, "noise", "no model at all", 15, &o, &err), TA_ERR_DATA);
    assert_string_equal(err.text[0], "model noise");
    assert_non_null(strstr(err.text[1], "not an ONNX model"));
    assert_int_equal(ta_session_open_bytes(&s, "half", model.data, model.len / 2, &o, &err), TA_ERR_DATA);
    assert_int_equal(ta_session_open_bytes(&s, "empty", "", 0, &o, &err), TA_ERR_DATA);
    assert_int_equal(ta_write_file(file, model.data, model.len / 2, true, NULL), 0);
    assert_int_equal(ta_session_open(&s, file, &o, &err), TA_ERR_DATA);
    assert_non_null(strstr(err.text[0], "half.onnx"));
    assert_int_equal(ta_session_open(&s, in(state, "none.onnx"), &o, &err), TA_ERR_NOINPUT);
    ta_buf_free(&model);
    ta_buf graph = { 0 };
    const int64_t dims[] = { 1 };
    onnx_node(&graph, "NoSuchLayer", "x", NULL, "y", NULL);
    onnx_value(&graph, 11, "x", ONNX_FLOAT, 1, dims);
    onnx_value(&graph, 12, "y", ONNX_FLOAT, 1, dims);
    model = onnx_model(&graph);
    assert_int_equal(ta_session_open_bytes(&s, "odd", model.data, model.len, &o, &err), TA_ERR_DATA);
    assert_null(s);
    ta_buf_free(&model);
}

static int without_engine(void *arg)
{
    ta_session *s;
    ta_error err = { 0 };
    ta_buf model = onnx_affine(ONNX_FLOAT, 4);
    ta_session_options o = { .cache = "" };
    setenv("TERMINALAI_OPENVINO", arg, 1);
    int r = ta_session_open_bytes(&s, "test", model.data, model.len, &o, &err);
    ta_buf_free(&model);
    return r == TA_ERR_UNAVAILABLE && strstr(err.hint, "terminalai models install openvino") && !s ? 0 : 1;
}

static void engine_missing(void **state)
{
    put_file(in(state, "libopenvino_c.so.2641"), "no library");
    assert_int_equal(in_child(without_engine, (void *)"/nowhere"), 0);
    assert_int_equal(in_child(without_engine, *state), 0);
}

static void other_devices_are_refused(void **state)
{
    ta_session *s;
    ta_error err = { 0 };
    ta_buf model = onnx_affine(ONNX_FLOAT, 4);
    ta_session_options o = { .device = TA_DEVICE_CUDA, .cache = "" };
    assert_int_equal(ta_session_open_bytes(&s, "test", model.data, model.len, &o, &err), TA_ERR_UNAVAILABLE);
    assert_string_not_equal(err.hint, "");
    o.engine = TA_ENGINE_OPENVINO;
    assert_int_equal(ta_session_open_bytes(&s, "test", model.data, model.len, &o, &err), TA_ERR_UNAVAILABLE);
    assert_non_null(strstr(err.hint, "onnxruntime"));
    ta_buf_free(&model);
}

static int flip_byte(const char *dir)
{
    char path[1024];
    DIR *d = opendir(dir);
    struct dirent *e;
    int changed = 0;
    while ((e = readdir(d))) {
        if (!ta_ends(e->d_name, ".compiled"))
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        FILE *f = fopen(path, "r+");
        fseek(f, -20, SEEK_END);
        int byte = fgetc(f);
        fseek(f, -1, SEEK_CUR);
        fputc(byte ^ 0x55, f);
        changed += fclose(f) == 0;
    }
    closedir(d);
    return changed;
}

static bool came_from_cache(const ta_buf *model, const ta_session_options *o)
{
    ta_session_info info;
    ta_request *r;
    ta_session *s = opened(model, o);
    ta_session_get_info(s, &info);
    assert_int_equal(ta_request_new(&r, s, NULL), 0);
    check_affine(r, 2, 4, 9);
    ta_request_free(&r);
    ta_session_free(&s);
    return info.from_cache;
}

static void compiled_models_are_kept(void **state)
{
    ta_buf model = onnx_affine(ONNX_FLOAT, 4), other = onnx_affine(ONNX_DOUBLE, 4);
    ta_session_options o = plain(state), two = o, none = o;
    two.threads = 2;
    none.cache = "";
    assert_false(came_from_cache(&model, &o));
    assert_int_equal(entries(*state), 1);
    assert_true(came_from_cache(&model, &o));
    assert_false(came_from_cache(&model, &two));
    assert_false(came_from_cache(&other, &o));
    assert_int_equal(entries(*state), 3);
    assert_false(came_from_cache(&model, &none));
    assert_int_equal(entries(*state), 3);
    assert_int_equal(flip_byte(*state), 3);
    *log_text = 0;
    ta_log_set_sink(keep_log, NULL);
    assert_false(came_from_cache(&model, &o));
    ta_log_set_sink(NULL, NULL);
    assert_non_null(strstr(log_text, "is damaged"));
    assert_true(came_from_cache(&model, &o));
    ta_buf_free(&model);
    ta_buf_free(&other);
}

/* A model with a large constant that no layer takes in: it is used where it lies in what was read back, which must
 * still be there when memory was given out again. */
static void constants_of_kept_models_stay(void **state)
{
    enum { COUNT = 1 << 20 };
    const int64_t dims[] = { 1, COUNT };
    float *constant = ta_array(COUNT, sizeof *constant), *x;
    const float *y;
    ta_buf graph = { 0 };
    for (int i = 0; i < COUNT; i++)
        constant[i] = (float)(i % 977);
    onnx_constant(&graph, "c", ONNX_FLOAT, 2, dims, constant, COUNT * sizeof *constant);
    onnx_node(&graph, "Add", "x", "c", "y", NULL);
    onnx_value(&graph, 11, "x", ONNX_FLOAT, 2, dims);
    onnx_value(&graph, 12, "y", ONNX_FLOAT, 2, dims);
    ta_buf model = onnx_model(&graph);
    ta_session_options o = plain(state);
    for (int again = 0; again < 3; again++) {
        ta_session *s = opened(&model, &o);
        ta_request *r;
        char *rubbish = malloc(COUNT * sizeof *constant + 4096);
        memset(rubbish, 0x7f, COUNT * sizeof *constant + 4096);
        assert_int_equal(ta_request_new(&r, s, NULL), 0);
        assert_int_equal(ta_request_input(r, 0, NULL, &x, NULL), 0);
        memset(x, 0, COUNT * sizeof *x);
        assert_int_equal(ta_request_run(r, NULL, NULL), 0);
        assert_int_equal(ta_request_output(r, 0, NULL, &y, NULL), 0);
        assert_memory_equal(y, constant, COUNT * sizeof *y);
        ta_request_free(&r);
        ta_session_free(&s);
        free(rubbish);
    }
    ta_buf_free(&model);
    ta_free(constant);
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
    const ta_input_shape fixed = { NULL, TA_SHAPE(1, CHANNELS, SIDE, SIDE) };
    ta_session_options o = plain(state);
    o.shapes = &fixed;
    o.shape_count = 1;
    o.cache = "";
    ta_session *s = opened(&model, &o);
    ta_request *r;
    ta_cancel *cancel = ta_cancel_new(NULL);
    assert_int_equal(ta_request_new(&r, s, NULL), 0);
    assert_int_equal(ta_request_input(r, 0, NULL, &x, NULL), 0);
    memset(x, 0, sizeof *x * CHANNELS * SIDE * SIDE);
    pthread_t id = start(cancel_soon, cancel);
    int64_t begun = ta_now_us();
    assert_int_equal(ta_request_run(r, cancel, NULL), TA_ERR_CANCELLED);
    int64_t waited = ta_now_us() - begun;
    assert_int_equal(ta_request_start(r, NULL), TA_ERR_SOFTWARE); /* it still runs */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes),
        SCRATCH_TEST(engine_missing), /* before the library is loaded */
        cmocka_unit_test(engine_is_there),
        SCRATCH_TEST(ports_and_dynamic_shapes),
        SCRATCH_TEST(border_is_fp32),
        SCRATCH_TEST(convolution),
        SCRATCH_TEST(bf16_or_refused),
        SCRATCH_TEST(auto_precision_is_said),
        SCRATCH_TEST(requests_in_flight),
        SCRATCH_TEST(threads_share_a_session),
        SCRATCH_TEST(wrong_use_is_refused),
        SCRATCH_TEST(broken_models),
        SCRATCH_TEST(other_devices_are_refused),
        SCRATCH_TEST(compiled_models_are_kept),
        SCRATCH_TEST(constants_of_kept_models_stay),
        SCRATCH_TEST(waiting_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
