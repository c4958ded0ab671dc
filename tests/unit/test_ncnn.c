/* Import of ncnn models: broken files. Cut at every byte, changed at random, wrong in each way that has a message of
 * its own: an error that names the place, never a crash, never a model. What right models compute is tests/neural. */
#include "base_test.h"
#include "neural/ncnn.h"

/* A little of everything that has weights, and the folded end. The blobs' order is the layers'. */
static const char model_text[] = "7767517\n"
                                 "16 18\n"
                                 "Input in 0 1 in 2=2\n"
                                 "Split s 1 2 in in1 in2\n"
                                 "Convolution c1 1 1 in1 a 0=2 1=3 4=1 5=1 6=36 9=2 -23310=1,0.2\n"
                                 "PReLU p 1 1 a b 0=2\n"
                                 "Split s2 1 2 b b1 b2\n"
                                 "Pooling g 1 1 b2 m 0=1 4=1\n"
                                 "InnerProduct i 1 1 m n 0=2 1=1 2=4 9=4\n"
                                 "BinaryOp x 2 1 b1 n o 0=2\n"
                                 "Convolution c2 1 1 o q 0=32 1=3 4=1 5=1 6=576\n"
                                 "PixelShuffle ps 1 1 q r 0=4\n"
                                 "Interp up 1 1 in2 t 0=1 1=4.0 2=4.0\n"
                                 "BinaryOp add 2 1 r t u 0=0\n"
                                 "Interp down 1 1 u v 0=3 1=0.5 2=0.5\n"
                                 "Crop crop 1 1 v w -23309=2,2,2 -23310=2,-2,-2 -23311=2,-2,-1\n"
                                 "Deconvolution d 1 1 w y 0=3 1=2 3=2 6=24\n"
                                 "Scale sc 1 1 y out 0=3 1=1\n";

typedef struct files {
    char param[1024], bin[1024];
    unsigned char weights[4096];
    size_t size;
} files;

static void put(files *f, const void *data, size_t size)
{
    assert_true(f->size + size <= sizeof(f->weights));
    memcpy(f->weights + f->size, data, size);
    f->size += size;
}

static void put_floats(files *f, int count, bool tag)
{
    const uint32_t fp32 = 0;

    if (tag)
        put(f, &fp32, sizeof(fp32));
    for (int i = 0; i < count; i++)
        put(f, &(float){ (float)(i % 7 - 3) / 8 }, sizeof(float));
}

/* `count` halves of 0.5, padded to four bytes. */
static void put_halves(files *f, int count)
{
    put(f, &(uint32_t){ 0x01306B47 }, 4);
    for (int i = 0; i < count + count % 2; i++)
        put(f, &(uint16_t){ 0x3800 }, 2);
}

static void write_bytes(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static void model_files(void **state, files *f)
{
    *f = (files){ 0 };
    snprintf(f->param, sizeof(f->param), "%s", in(state, "m.param"));
    snprintf(f->bin, sizeof(f->bin), "%s", in(state, "m.bin"));
    put_floats(f, 36, true);
    put_floats(f, 2, false);
    put_floats(f, 2, false);
    put_floats(f, 4, true);
    put_floats(f, 2, false);
    put_halves(f, 576);
    put_floats(f, 32, false);
    put_floats(f, 24, true);
    put_floats(f, 3, false);
    put_floats(f, 3, false);
    write_bytes(f->param, model_text, strlen(model_text));
    write_bytes(f->bin, f->weights, f->size);
}

/* Imports and frees; an error leaves no model behind. */
static int try_import(const files *f, ta_error *err)
{
    ta_onnx_model m;
    int ret = ta_ncnn_import(f->param, f->bin, NULL, &m, err);

    assert_int_equal(ret == 0, m.bytes != NULL);
    assert_int_equal(ret == 0, m.size > 0);
    ta_onnx_model_free(&m);
    return ret;
}

static void right(void **state)
{
    files f;
    ta_onnx_model m;
    ta_error err = { 0 };

    model_files(state, &f);
    assert_int_equal(ta_ncnn_import(f.param, f.bin, NULL, &m, &err), 0);
    assert_int_equal(m.channels_in, 2);
    assert_int_equal(m.channels_out, 3);
    assert_int_equal(m.scale_num, 4);
    assert_int_equal(m.scale_den, 1);
    assert_int_equal(m.inset, 1); /* of the picture at twice the size two are cropped */
    assert_true(m.global);
    ta_onnx_model_free(&m);
    assert_null(m.bytes);
}

static void cut_text(void **state)
{
    files f;
    ta_error err;

    model_files(state, &f);
    for (size_t n = 0; n + 1 < strlen(model_text); n++) {
        write_bytes(f.param, model_text, n);
        int ret = try_import(&f, &err);
        if (ret != TA_ERR_DATA && ret != TA_ERR_UNAVAILABLE)
            fail_msg("%zu bytes of text: %d", n, ret);
        assert_non_null(strstr(err.text[0], "m.param"));
    }
}

static void cut_weights(void **state)
{
    files f;
    ta_error err;

    model_files(state, &f);
    for (size_t n = 0; n < f.size; n++) {
        write_bytes(f.bin, f.weights, n);
        assert_int_equal(try_import(&f, &err), TA_ERR_DATA);
        assert_non_null(strstr(err.text[0], "ends too early"));
        assert_non_null(strstr(err.text[0], "m.bin"));
    }
    put(&f, "x", 1);
    write_bytes(f.bin, f.weights, f.size);
    assert_int_equal(try_import(&f, &err), TA_ERR_DATA);
    assert_non_null(strstr(err.text[0], "1 bytes are left over"));
}

/* xorshift64* (Marsaglia, Vigna); the same numbers everywhere. */
static uint32_t roll(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return (uint32_t)(*seed * 0x2545F4914F6CDD1Dull >> 32);
}

/* One to four bytes changed: any byte, or one that a text of numbers may have. */
static void change(uint64_t *seed, void *data, size_t size)
{
    static const char likely[] = "0123456789-=,. \neE";
    unsigned char *bytes = data;

    for (uint32_t left = roll(seed) % 4 + 1; left > 0; left--)
        bytes[roll(seed) % size] =
            (unsigned char)(roll(seed) % 2 ? likely[roll(seed) % (sizeof(likely) - 1)] : (char)roll(seed));
}

static void changed_at_random(void **state)
{
    files f;
    ta_error err;
    uint64_t seed = 20261123;
    char text[sizeof(model_text)];
    unsigned char weights[sizeof(f.weights)];
    int tried = 0, refused = 0;

    model_files(state, &f);
    for (int64_t end = ta_now_us() + 1000000; ta_now_us() < end; tried++) {
        memcpy(text, model_text, sizeof(text));
        memcpy(weights, f.weights, f.size);
        if (tried % 4)
            change(&seed, text, strlen(model_text));
        else
            change(&seed, weights, f.size);
        write_bytes(f.param, text, strlen(model_text));
        write_bytes(f.bin, weights, f.size);
        int ret = try_import(&f, &err);
        assert_true(ret == 0 || ret == TA_ERR_DATA || ret == TA_ERR_UNAVAILABLE);
        refused += ret != 0;
    }
    assert_true(tried > 20 && refused > tried / 4);
}

/* A model of one line behind the Input (and what its number of tensors is), and what is to be said of it. */
typedef struct wrong {
    const char *lines, *says;
    int layers, blobs, status;
} wrong;

static const wrong wrongs[] = {
    { "Softmax z 1 1 in out 0=1", "line 4, Softmax 'z': layers of this type can't be imported", 2, 2,
      TA_ERR_UNAVAILABLE },
    { "Convolution z 1 1 in out 0=1 1=1 6=2 30=1", "parameter 30 isn't known", 2, 2, TA_ERR_UNAVAILABLE },
    { "Convolution z 1 1 in out 0=1 1=1 6=2 9=5", "parameter 9 is 5; 0 to 4 can", 2, 2, TA_ERR_UNAVAILABLE },
    { "Convolution z 1 1 in out 0=1 1=1 6=2 4=-233", "parameter 4 is -233", 2, 2, TA_ERR_UNAVAILABLE },
    { "Convolution z 1 1 in out 0=1 1=1 6=3", "3 weights are announced; 1 channels from 2 need 2", 2, 2, TA_ERR_DATA },
    { "Convolution z 1 1 in out 0=1 1=1 6=2 9=2", "needs 1 numbers", 2, 2, TA_ERR_DATA },
    { "Convolution z 1 1 in out 0=1 1=1.5 6=2", "parameter 1 is 1.5", 2, 2, TA_ERR_UNAVAILABLE },
    { "Convolution z 1 1 in out 0=1 1=1 6=2 8=1", "parameter 8 is 1", 2, 2, TA_ERR_UNAVAILABLE },
    { "Convolution z 1 1 in out 1=1 6=2", "parameter 0 is 0", 2, 2, TA_ERR_DATA },
    { "Convolution z 1 1 in out 0=1 0=1", "given twice", 2, 2, TA_ERR_DATA },
    { "Convolution z 1 1 in out 0=nan", "no usable value", 2, 2, TA_ERR_DATA },
    { "Convolution z 1 1 in out -23310=99,1", "no usable value", 2, 2, TA_ERR_DATA },
    { "Convolution z 1 1 in out 99=1", "'99' is no key=value", 2, 2, TA_ERR_DATA },
    { "Convolution z 1 1 in out -5=1", "keys from 0 to 31, not '-5'", 2, 2, TA_ERR_DATA },
    { "Interp z 1 1 in out 0=1 3=100 4=100", "parameter 3 is 100", 2, 2, TA_ERR_UNAVAILABLE },
    { "Interp z 1 1 in out 0=1 1=0.333 2=0.333", "scale 0.333", 2, 2, TA_ERR_UNAVAILABLE },
    { "Interp z 1 1 in out 0=1 1=2.0", "rows and columns differently", 2, 2, TA_ERR_UNAVAILABLE },
    { "PixelShuffle z 1 1 in out 0=2", "2 channels can't be shuffled by 2", 2, 2, TA_ERR_DATA },
    { "BinaryOp z 1 1 in out 0=6 1=1", "parameter 0 is 6", 2, 2, TA_ERR_UNAVAILABLE },
    { "BinaryOp z 1 1 in out 0=0", "it has 1 inputs", 2, 2, TA_ERR_DATA },
    { "BinaryOp z 1 1 nothing out 0=0 1=1", "no layer above makes its input 'nothing'", 2, 2, TA_ERR_DATA },
    { "ReLU z 1 1 in in", "two layers make 'in'", 2, 2, TA_ERR_DATA },
    { "ReLU z 1 1 in out\nReLU z 1 1 in out2", "two outputs", 3, 3, TA_ERR_UNAVAILABLE },
    { "ReLU z 1 1 in out\nInput z 0 1 in2", "two inputs", 3, 3, TA_ERR_UNAVAILABLE },
    { "Split z 1 2 in a b", "no output", 2, 3, TA_ERR_DATA },
    { "ReLU z 1 1 in out\nReLU y 1 1 out out2", "more layers than the 2 announced", 2, 2, TA_ERR_DATA },
    { "ReLU z 1 1 in out", "ends too early: 3 layers are announced", 3, 3, TA_ERR_DATA },
    { "ReLU z 1 1 in out", "5 tensors are announced, but there are 2", 2, 5, TA_ERR_DATA },
    { "ReLU z 1 1 in out", "more tensors than the 1", 2, 1, TA_ERR_DATA },
    { "Crop z 1 1 in a -23309=1,2 -23310=1,-233 -23311=1,1\nBinaryOp y 2 1 in a out", "the sizes don't match", 3, 3,
      TA_ERR_DATA },
    { "Crop z 1 1 in out -23309=1,2 -23310=1,9 -23311=1,1", "axis 1 from 2 to 9", 2, 2, TA_ERR_UNAVAILABLE },
    { "Pooling z 1 1 in out 0=1 4=1", "has one size", 2, 2, TA_ERR_UNAVAILABLE },
    { "Pooling z 1 1 in out 0=0 1=2", "parameter 0 is 0; only 1 can be imported", 2, 2, TA_ERR_UNAVAILABLE },
    { "Flatten z 1 1 in out", "behind a global mean only", 2, 2, TA_ERR_UNAVAILABLE },
};

static void named(void **state)
{
    files f;
    ta_error err;
    char text[512];

    model_files(state, &f);
    for (size_t i = 0; i < TA_COUNT(wrongs); i++) {
        const wrong *w = &wrongs[i];
        int n =
            snprintf(text, sizeof(text), "7767517\n%d %d\nInput in 0 1 in 2=2\n%s\n", w->layers, w->blobs, w->lines);
        write_bytes(f.param, text, (size_t)n);
        bool weights = strstr(w->lines, "Convolution");
        write_bytes(f.bin, f.weights, weights ? 12 : 0);
        int ret = try_import(&f, &err);
        if (ret != w->status)
            fail_msg("%s: %d, %s", w->lines, ret, ret ? err.text[0] : "imported");
        if (!strstr(ta_error_string(&err, text, sizeof(text)), w->says))
            fail_msg("%s: %s", w->lines, err.text[0]);
    }
}

static void strange_weights(void **state)
{
    files f;
    ta_error err;

    model_files(state, &f);
    memcpy(f.weights, &(uint32_t){ 0x000D4B38 }, 4);
    write_bytes(f.bin, f.weights, f.size);
    assert_int_equal(try_import(&f, &err), TA_ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text[0], "0x000d4b38 at byte 0"));
    model_files(state, &f);
    memcpy(f.weights + 8, &(uint32_t){ 0x7FC00000 }, 4);
    write_bytes(f.bin, f.weights, f.size);
    assert_int_equal(try_import(&f, &err), TA_ERR_DATA);
    assert_non_null(strstr(err.text[0], "weight 1 is no finite number"));
}

static void other_files(void **state)
{
    files f;
    ta_error err;

    model_files(state, &f);
    write_bytes(f.param, "7767517\0", 8);
    assert_int_equal(try_import(&f, &err), TA_ERR_DATA);
    assert_non_null(strstr(err.text[0], "not a text"));
    write_bytes(f.param, "<html>\n", 7);
    assert_int_equal(try_import(&f, &err), TA_ERR_DATA);
    assert_non_null(strstr(err.text[0], "no ncnn model"));
    unlink(f.param);
    assert_int_equal(try_import(&f, &err), TA_ERR_NOINPUT);
    model_files(state, &f);
    unlink(f.bin);
    assert_int_equal(try_import(&f, &err), TA_ERR_NOINPUT);
}

static void no_memory(void **state)
{
    files f;
    ta_error err;
    int failed = 0;

    model_files(state, &f);
    for (uint64_t n = 1; n < 1000; n++) {
        ta_alloc_fail_at(n);
        int ret = try_import(&f, &err);
        ta_alloc_fail_at(0);
        if (!ret)
            break;
        assert_int_equal(ret, TA_ERR_AGAIN);
        failed++;
    }
    assert_in_range(failed, 40, 900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(right), SCRATCH_TEST(cut_text),        SCRATCH_TEST(cut_weights), SCRATCH_TEST(changed_at_random),
        SCRATCH_TEST(named), SCRATCH_TEST(strange_weights), SCRATCH_TEST(other_files), SCRATCH_TEST(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
