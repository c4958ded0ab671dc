/* Models loaded once: who asks gets the same session, also while it is being loaded; missing and damaged ones. */
#include "onnx_kit.h"

#include "neural/neural.h"

static const ta_session_options plain = { .precision = TA_PRECISION_FP32, .threads = 1, .cache = "" };

/* y = 2 x + 1 as model "line" and y = 2 x, of ncnn's form, as "twice", in a store of the test's own. */
static void fill_store(void **state)
{
    static const struct {
        uint32_t tag; /* 0: fp32 follows */
        float weight[9];
    } twos = { 0, { 2, 0, 0, 0, 2, 0, 0, 0, 2 } };
    ta_buf model = onnx_affine(ONNX_FLOAT, 4);
    const char *line = in(state, "line.onnx"), *twice[] = { in(state, "twice.param"), in(state, "twice.bin") };
    setenv("XDG_DATA_HOME", in(state, "data"), 1);
    setenv("XDG_CONFIG_HOME", in(state, "config"), 1);
    assert_int_equal(ta_write_file(line, model.data, model.len, true, NULL), 0);
    assert_int_equal(ta_model_import_new("line", "speech", 0, &line, 1, NULL, NULL), 0);
    put_file(twice[0], "7767517\n2 2\nInput in 0 1 data\nConvolution c 1 1 data output 0=3 1=1 5=0 6=9\n");
    assert_int_equal(ta_write_file(twice[1], &twos, sizeof twos, true, NULL), 0);
    assert_int_equal(ta_model_import_new("twice", "upscale", 1, twice, 2, NULL, NULL), 0);
    ta_buf_free(&model);
}

static ta_session *get(ta_models *models, const char *name, ta_model_geometry *g)
{
    ta_session *s = NULL;
    ta_error err = { 0 };
    char text[1024];
    if (ta_models_get(models, name, 0, &plain, &s, g, NULL, &err) < 0)
        fail_msg("%s", ta_error_string(&err, text, sizeof text));
    return s;
}

static float first_result(ta_session *s, const ta_shape *shape, float value)
{
    ta_request *r;
    float *x, result;
    const float *y;
    assert_int_equal(ta_request_new(&r, s, NULL), 0);
    assert_int_equal(ta_request_input(r, 0, shape, &x, NULL), 0);
    for (int64_t i = 0; i < ta_shape_count(shape); i++)
        x[i] = value;
    assert_int_equal(ta_request_run(r, NULL, NULL), 0);
    assert_int_equal(ta_request_output(r, 0, NULL, &y, NULL), 0);
    result = y[0];
    ta_request_free(&r);
    return result;
}

static void loaded_once(void **state)
{
    ta_models *models;
    ta_shape line = TA_SHAPE(1, 4);
    fill_store(state);
    assert_int_equal(ta_models_new(&models, NULL), 0);
    ta_session *a = get(models, "line", NULL), *b = get(models, "line", NULL), *c;
    ta_session_options two = plain;
    two.threads = 2;
    assert_ptr_equal(a, b);
    assert_int_equal(ta_models_get(models, "line", 0, &two, &c, NULL, NULL, NULL), 0);
    assert_ptr_not_equal(a, c);
    ta_session_free(&b);
    ta_session_free(&c);
    ta_models_trim(models); /* `a` is held here: it stays */
    b = get(models, "line", NULL);
    assert_ptr_equal(a, b);
    ta_models_free(&models);
    assert_null(models);
    assert_true(first_result(a, &line, 3) == 7); /* lives on */
    ta_session_free(&a);
    ta_session_free(&b);
}

static void started_ahead(void **state)
{
    ta_models *models;
    ta_model_geometry g;
    ta_shape picture = TA_SHAPE(1, 3, 5, 6);
    fill_store(state);
    assert_int_equal(ta_models_new(&models, NULL), 0);
    assert_int_equal(ta_models_start(models, "twice", 0, &plain, NULL), 0);
    assert_int_equal(ta_models_start(models, "twice", 0, &plain, NULL), 0);
    ta_session *a = get(models, "twice", &g), *b = get(models, "twice", NULL);
    assert_ptr_equal(a, b);
    assert_true(g.known && !g.global && g.channels_in == 3 && g.channels_out == 3 && g.reach == 0);
    assert_true(g.scale_num == 1 && g.scale_den == 1 && g.inset == 0);
    assert_true(first_result(a, &picture, 3) == 6);
    ta_session_free(&a);
    ta_session_free(&b);
    assert_int_equal(ta_models_start(models, "line", 0, &plain, NULL), 0);
    ta_models_free(&models); /* waits for it */
}

struct asker {
    ta_models *models;
    ta_session *got;
};

static void *ask(void *arg)
{
    struct asker *a = arg;
    ta_models_get(a->models, "line", 0, &plain, &a->got, NULL, NULL, NULL);
    return NULL;
}

static void asked_at_once(void **state)
{
    enum { THREADS = 6 };
    struct asker askers[THREADS] = { 0 };
    pthread_t id[THREADS];
    ta_models *models;
    fill_store(state);
    assert_int_equal(ta_models_new(&models, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        askers[i].models = models;
        id[i] = start(ask, &askers[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(id[i], NULL);
        assert_non_null(askers[i].got);
        assert_ptr_equal(askers[i].got, askers[0].got);
    }
    for (int i = 0; i < THREADS; i++)
        ta_session_free(&askers[i].got);
    ta_models_free(&models);
}

static void missing_and_damaged(void **state)
{
    ta_models *models;
    ta_session *s;
    ta_error err = { 0 };
    const char *kept = in(state, "data/terminalai/models/line/line.onnx");
    fill_store(state);
    ta_buf good = onnx_affine(ONNX_FLOAT, 4);
    assert_int_equal(ta_models_new(&models, NULL), 0);
    assert_int_equal(ta_models_get(models, "realesrgan-x4plus", 0, &plain, &s, NULL, NULL, &err), TA_ERR_UNAVAILABLE);
    assert_non_null(strstr(err.hint, "terminalai models install realesrgan-x4plus"));
    assert_int_equal(ta_models_get(models, "gfpgan", 0, &plain, &s, NULL, NULL, &err), TA_ERR_UNAVAILABLE);
    assert_non_null(strstr(err.hint, "terminalai models import gfpgan.onnx"));
    assert_int_equal(ta_models_get(models, "nosuch", 0, &plain, &s, NULL, NULL, &err), TA_ERR_USAGE);
    assert_int_equal(ta_models_get(models, "line", 1, &plain, &s, NULL, NULL, &err), TA_ERR_USAGE);
    assert_int_equal(ta_models_get(models, "twice", 1, &plain, &s, NULL, NULL, &err), TA_ERR_USAGE);
    put_file(kept, "something else");
    assert_int_equal(ta_models_start(models, "line", 0, &plain, NULL), 0);
    assert_int_equal(ta_models_get(models, "line", 0, &plain, &s, NULL, NULL, &err), TA_ERR_DATA);
    assert_non_null(strstr(err.text[0], "line.onnx is damaged"));
    assert_null(s);
    assert_int_equal(ta_write_file(kept, good.data, good.len, true, NULL), 0); /* mended: tried again */
    s = get(models, "line", NULL);
    ta_session_free(&s);
    ta_models_free(&models);
    ta_buf_free(&good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(loaded_once),
        SCRATCH_TEST(started_ahead),
        SCRATCH_TEST(asked_at_once),
        SCRATCH_TEST(missing_and_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
