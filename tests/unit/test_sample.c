/* The sample: its arithmetic against libm, its marks where scene.h says, the tape's damage as tape.h says. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sample/arith.h"
#include "sample/sample.h"
#include "sample/scene.h"
#include "sample/tape.h"
#include "sample/tone.h"

enum { W = TA_SCENE_WIDTH };

static void test_sine(void **state)
{
    ta_sine s;
    ta_sine_init(&s);
    for (int64_t phase = 0; phase < INT64_C(1) << 32; phase += 1234567) {
        double want = sin((double)phase / 4294967296.0 * 2 * M_PI) * TA_SINE_ONE;
        assert_true(fabs(ta_sine_at(&s, (uint32_t)phase) - want) < 1.6);
    }
}

static void test_angle(void **state)
{
    for (int y = -60; y <= 60; y += 3)
        for (int x = -61; x <= 60; x += 7) {
            double want = atan2(y, x) / (2 * M_PI) * 65536, off = fabs(want - (int16_t)ta_angle16(x, y));
            assert_true(fmin(off, 65536 - off) < 60); /* 0.33 degrees */
        }
    assert_int_equal(ta_angle16(0, 0), 0);
}

static void test_gauss(void **state)
{
    enum { N = 200000 };
    ta_rng r = ta_rng_seeded(1, 2);
    double sum = 0, squares = 0;
    for (int i = 0; i < N; i++) {
        int v = ta_rng_gauss(&r);
        sum += v;
        squares += (double)v * v;
    }
    assert_true(fabs(sum / N) < 3 * TA_RNG_SIGMA / sqrt(N));
    assert_true(fabs(sqrt(squares / N) / TA_RNG_SIGMA - 1) < 0.01);
    ta_rng a = ta_rng_seeded(1, 3), b = ta_rng_seeded(2, 2);
    r = ta_rng_seeded(1, 2);
    assert_int_not_equal(ta_rng_next(&r), ta_rng_next(&a));
    assert_int_not_equal(ta_rng_next(&a), ta_rng_next(&b));
}

static void test_texture_wraps(void **state)
{
    uint8_t *t = malloc(TA_TEXTURE_SIZE * TA_TEXTURE_SIZE);
    assert_non_null(t);
    assert_int_equal(ta_texture_fill(t, 5), 0);
    const int span = TA_TEXTURE_SIZE * 256;
    int low = 255, high = 0;
    for (int i = 0; i < 2000; i++) {
        int u = i * 977 % span, v = i * 7919 % span, here = ta_texture_at(t, u, v);
        assert_int_equal(here, ta_texture_at(t, u + span, v - span));
        low = TA_MIN(low, here);
        high = TA_MAX(high, here);
    }
    assert_true(low < 70 && high > 185);
    free(t);
}

typedef struct stage {
    ta_scene *scene;
    ta_picture picture;
} stage;

static stage open_stage(bool pal, bool wide, int moments)
{
    ta_scene_options o = { pal, wide, moments, 1 };
    stage s = { .scene = ta_scene_new(&o) };
    assert_non_null(s.scene);
    assert_int_equal(ta_picture_alloc(&s.picture, pal ? 576 : 480), 0);
    return s;
}

static void close_stage(stage *s)
{
    ta_picture_free(&s->picture);
    ta_scene_free(&s->scene);
}

/* Reads the blocks by the words of scene.h: NTSC, rows at lines 30 and 50. */
static int64_t read_code(const ta_picture *p)
{
    int64_t value = 0;
    for (int i = 1; i <= 20; i++) {
        const uint8_t *upper = p->plane[0] + 30 * W + 45 + 30 * i, *lower = upper + 20 * W;
        assert_int_equal(*upper + *lower, 218 + 24);
        value = value << 1 | ((*upper > *lower) ^ (value & 1));
    }
    return value;
}

static void test_number(void **state)
{
    static const int64_t some[] = { 0, 1, 2, 3, 59, 1023, 65537, (1 << 20) - 1 };
    stage s = open_stage(false, false, 2);
    for (size_t i = 0; i < TA_COUNT(some); i++) {
        ta_scene_draw(s.scene, some[i], 0, 1, &s.picture);
        assert_int_equal(read_code(&s.picture), some[i]);
        assert_int_equal(s.picture.plane[0][30 * W + 45], 218);
        assert_int_equal(s.picture.plane[0][30 * W + 45 + 30 * 21], 24);
    }
    close_stage(&s);
}

/* One field's lines are those of the whole moment. */
static void test_field_lines(void **state)
{
    stage whole = open_stage(true, true, 2), field = open_stage(true, true, 2);
    ta_scene_draw(whole.scene, 77, 0, 1, &whole.picture);
    ta_scene_draw(field.scene, 76, 0, 2, &field.picture);
    ta_scene_draw(field.scene, 77, 1, 2, &field.picture);
    size_t equal_top = 0;
    for (int line = 0; line < 576; line++) {
        bool same = !memcmp(whole.picture.plane[0] + line * W, field.picture.plane[0] + line * W, W);
        if (line & 1)
            assert_true(same);
        else
            equal_top += same;
    }
    assert_true(equal_top < 200); /* most lines moved since the moment before */
    close_stage(&whole);
    close_stage(&field);
}

static void flash_at(bool pal, int moments, int first, int period)
{
    stage s = open_stage(pal, false, moments);
    int line = pal ? 114 : 95;
    for (int n = 0; n < 3 * period * moments; n++) {
        ta_scene_draw(s.scene, n, line, s.picture.height, &s.picture);
        bool want = n / moments % period == first;
        assert_int_equal(s.picture.plane[0][line * W + 645], want ? 235 : 16);
    }
    close_stage(&s);
}

static void test_flash(void **state)
{
    flash_at(false, 2, 15, 30);
    flash_at(true, 2, 12, 25);
    flash_at(false, 1, 15, 30);
}

/* The circle's white ring, measured along its axes with fractions: width times pixel aspect is height. */
static double white_span(const uint8_t *at, int step, int n)
{
    double edge[2] = { 0, 0 };
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < n; i++) {
            int here = at[(side ? n - 1 - i : i) * step];
            int next = at[(side ? n - 2 - i : i + 1) * step];
            if (here < 124 && next >= 124) {
                edge[side] = i + (124.0 - here) / (next - here);
                break;
            }
        }
    return n - 1 - edge[0] - edge[1];
}

static void test_circle(void **state)
{
    static const double aspect[2][2] = { { 10. / 11, 40. / 33 }, { 12. / 11, 16. / 11 } };
    for (int pal = 0; pal < 2; pal++)
        for (int wide = 0; wide < 2; wide++) {
            stage s = open_stage(pal, wide, 2);
            ta_scene_draw(s.scene, 0, 0, 1, &s.picture);
            const uint8_t *y = s.picture.plane[0];
            int top = pal ? 154 : 128, mid = pal ? 300 : 250, reach = (int)((pal ? 140 : 117) / aspect[pal][wide]);
            double across = white_span(y + (mid - 1) * W + 360 - reach, 1, 2 * reach);
            double down = white_span(y + top * W + 359, W, 2 * (mid - top));
            assert_true(fabs(down - (pal ? 264 : 220)) < 0.6);
            assert_true(fabs(across * aspect[pal][wide] / down - 1) < 0.005);
            close_stage(&s);
        }
}

static bool has_dropout(const uint8_t *line, int grey)
{
    for (int x = 0; x < W; x++)
        if (abs(line[x] - grey) > 55)
            return true;
    return false;
}

static void noise_of_grey(double noise)
{
    ta_tape t;
    ta_picture in, out;
    ta_tape_init(&t, noise, 9);
    assert_int_equal(ta_picture_alloc(&in, 480), 0);
    assert_int_equal(ta_picture_alloc(&out, 480), 0);
    memset(in.plane[0], 120, 480 * W);
    memset(in.plane[1], 128, 480 * W);
    ta_tape_field(&t, 3, 0, &in, &out);
    double sum = 0, squares = 0, n = 0;
    for (int line = 40; line < 440; line += 2)
        for (int x = 20; x < 700 && !has_dropout(out.plane[0] + line * W, 120); x++, n++) {
            double d = out.plane[0][line * W + x] - 120;
            sum += d;
            squares += d * d;
        }
    assert_true(n > 100000 && fabs(sum / n) < 0.1);
    assert_true(fabs(sqrt(squares / n) - noise) < 0.03 * noise + 0.01);
    ta_picture_free(&in);
    ta_picture_free(&out);
}

/* Flat grey comes back with the noise asked for and nothing else, above the head switch and away from dropouts. */
static void test_noise(void **state)
{
    noise_of_grey(0);
    noise_of_grey(4);
    noise_of_grey(8);
}

/* A step in chroma comes late by 4 luma samples, and one field line lower. */
static void test_chroma_shift(void **state)
{
    ta_tape t;
    ta_picture in, out;
    ta_tape_init(&t, 0, 1);
    assert_int_equal(ta_picture_alloc(&in, 480), 0);
    assert_int_equal(ta_picture_alloc(&out, 480), 0);
    memset(in.plane[1], 128, 480 * W);
    for (int line = 0; line < 480; line++)
        for (int x = 180; x < W / 2; x++)
            in.plane[1][line * W / 2 + x] = line < 240 ? 128 : 228;
    ta_tape_field(&t, 0, 0, &in, &out);
    double at = 0;
    int n = 0;
    for (int line = 300; line < 440; line += 2, n++)
        for (int x = 160; x < 200; x++)
            at += (228 - out.plane[1][line * W / 2 + x]) / 100.0;
    assert_true(fabs(160 + at / n - 182) < 0.6); /* 2 chroma samples */
    assert_int_equal(out.plane[1][240 * W / 2 + 300], 128);
    assert_int_equal(out.plane[1][242 * W / 2 + 300], 228);
    ta_picture_free(&in);
    ta_picture_free(&out);
}

/* Each piece of sound is the same however it is cut; the beep starts on its sample. */
static void test_sound(void **state)
{
    enum { N = 4000 };
    int16_t whole[N * 2], piece[N * 2];
    for (int pal = 0; pal < 2; pal++) {
        ta_tone t;
        ta_tone_init(&t, pal, 1);
        int64_t start = pal ? 12 * 1920 : 24024; /* 15 frames of 1601.6 */
        ta_tone_worn(&t, start - 1000, N, whole);
        ta_tone_worn(&t, start - 1000, 1234, piece);
        ta_tone_worn(&t, start - 1000 + 1234, N - 1234, piece + 2468);
        assert_memory_equal(whole, piece, sizeof(whole));
        ta_tone_clean(&t, start - 1000, N, whole);
        int before = 0, after = 0;
        for (int i = 0; i < 1000; i++)
            before = TA_MAX(before, abs(whole[2 * i]));
        for (int i = 1000; i < 1048; i++)
            after = TA_MAX(after, abs(whole[2 * i]));
        assert_true(before < 2500 && after > 6500);
    }
}

static char folder[64];

static int make_folder(void **state)
{
    snprintf(folder, sizeof(folder), "/tmp/ta-sample-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    return ta_remove_tree(folder, NULL);
}

static int write_as(const char *name, const char *truth, bool overwrite, ta_cancel *cancel, ta_error *err)
{
    ta_sample_options o;
    ta_sample_defaults(&o);
    o.seconds = 0.2;
    char *path = ta_path_join(folder, name), *other = truth ? ta_path_join(folder, truth) : NULL;
    int ret = ta_sample_write(&o, path, other, overwrite, cancel, err);
    ta_free(path);
    ta_free(other);
    return ret;
}

static void test_refusals(void **state)
{
    ta_error err;
    assert_int_equal(write_as("a.avi", NULL, false, NULL, &err), TA_ERR_USAGE);
    assert_int_equal(write_as("a.mpg", "a.mpg", false, NULL, &err), TA_ERR_USAGE);
    assert_int_equal(write_as("none/a.mpg", NULL, false, NULL, &err), TA_ERR_CANTCREATE);
    assert_int_equal(ta_tree_size(folder), 0);
    assert_int_equal(write_as("a.mpg", NULL, false, NULL, &err), 0);
    assert_int_equal(write_as("a.mpg", NULL, false, NULL, &err), TA_ERR_CANTCREATE);
    assert_int_equal(write_as("a.mpg", NULL, true, NULL, &err), 0);
}

static void test_cancel(void **state)
{
    ta_error err;
    ta_cancel *cancel = ta_cancel_new(NULL);
    ta_cancel_set(cancel);
    int64_t before = ta_tree_size(folder);
    assert_int_equal(write_as("b.mpg", "b.mkv", false, cancel, &err), TA_ERR_CANCELLED);
    assert_int_equal(ta_tree_size(folder), before);
    ta_cancel_free(&cancel);
}

/* Every allocation that fails gives an error, leaks nothing (the sanitizers watch) and leaves nothing behind. */
static void test_memory_runs_out(void **state)
{
    ta_error err;
    ta_alloc_fail_at(0);
    assert_int_equal(write_as("c.mpg", "c.mkv", true, NULL, &err), 0);
    uint64_t made = ta_alloc_fail_at(0);
    assert_true(made > 10);
    int64_t before = ta_tree_size(folder);
    for (uint64_t i = 3; i <= TA_MIN(made, 25); i++) { /* 1 and 2 are this test's own */
        ta_alloc_fail_at(i);
        int ret = write_as("d.mpg", "d.mkv", true, NULL, &err);
        ta_alloc_fail_at(0);
        assert_true(ret == 0 || ret == TA_ERR_AGAIN);
    }
    char *left = ta_path_join(folder, "d.mpg");
    unlink(left);
    strcpy(left + strlen(left) - 3, "mkv");
    unlink(left);
    ta_free(left);
    assert_int_equal(ta_tree_size(folder), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sine),   cmocka_unit_test(test_angle),
        cmocka_unit_test(test_gauss),  cmocka_unit_test(test_texture_wraps),
        cmocka_unit_test(test_number), cmocka_unit_test(test_field_lines),
        cmocka_unit_test(test_flash),  cmocka_unit_test(test_circle),
        cmocka_unit_test(test_noise),  cmocka_unit_test(test_chroma_shift),
        cmocka_unit_test(test_sound),  cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_cancel), cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
