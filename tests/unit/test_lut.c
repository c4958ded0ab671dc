/* Look-up tables: files good and bad, mixing, domains, the shipped looks, and the picture that libavfilter makes of
 * them. */
#include "picture_kit.h"

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/ta-lut-test.%d", (int)getpid());
    ta_error err = { 0 };
    return ta_mkdirs(dir, &err);
}

static int remove_dir(void **state)
{
    (void)state;
    ta_error err = { 0 };
    return ta_remove_tree(dir, &err);
}

static int read_text(ta_lut *lut, const char *text, ta_error *err)
{
    char path[96];
    snprintf(path, sizeof path, "%s/t.cube", dir);
    assert_int_equal(ta_write_file(path, text, strlen(text), true, err), 0);
    return ta_lut_read(lut, path, err);
}

#define CUBE2 "0 0 0\n1 0 0\n0 1 0\n1 1 0\n0 0 1\n1 0 1\n0 1 1\n1 1 1\n"

static void good_files(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "LUT_3D_SIZE 2\n" CUBE2,
        "\xef\xbb\xbf# comment\r\nTITLE \"A look\"\r\n\r\nLUT_3D_SIZE 2\r\nDOMAIN_MIN 0 0 0\r\nDOMAIN_MAX 1.0 1.0 "
        "1.0\r\n" CUBE2,
        "LUT_3D_SIZE\t2\nLUT_3D_INPUT_RANGE 0.0 1.0\n  0 0 0\n1e0 0 0\n# in between\n0 +1 0\n1 1 0\n0 0 1\n1 0 1\n0 1 "
        "1\n1 1 1",
    };
    for (size_t i = 0; i < TA_COUNT(texts); i++) {
        ta_lut lut;
        ta_error err = { 0 };
        if (read_text(&lut, texts[i], &err) < 0)
            fail_msg("text %zu: %s", i, err.text[0]);
        assert_int_equal(lut.size, 2);
        for (int k = 0; k < 8; k++)
            for (int c = 0; c < 3; c++)
                assert_true(lut.rgb[3 * k + c] == (float)(k >> c & 1)); /* red runs fastest */
        if (i == 1)
            assert_string_equal(lut.title, "A look");
        ta_lut_free(&lut);
    }
}

static void bad_files(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "", "no LUT_3D_SIZE" },
        { "LUT_1D_SIZE 2\n0 0 0\n1 1 1\n", "1D" },
        { "LUT_3D_SIZE 2\n0 0 0\n1 0 0\n", "2 of 8 rows" },
        { "LUT_3D_SIZE 2\n" CUBE2 "0 0 0\n", "line 10" },
        { "LUT_3D_SIZE 2\n0 0\n", "line 2" },
        { "LUT_3D_SIZE 2\n0 0 nan\n", "line 2" },
        { "LUT_3D_SIZE 2\n0 0 0x1\n", "line 2" },
        { "LUT_3D_SIZE 2\n0 0 1e99\n", "line 2" },
        { "LUT_3D_SIZE 2\n0 0 0 0\n", "line 2" },
        { "LUT_3D_SIZE 1\n0 0 0\n", "2 to 129" },
        { "LUT_3D_SIZE 100000\n", "2 to 129" },
        { "LUT_3D_SIZE -3\n", "2 to 129" },
        { "LUT_3D_SIZE 2.5\n", "2 to 129" },
        { "LUT_3D_SIZE 2\nLUT_3D_SIZE 2\n" CUBE2, "line 2" },
        { "0 0 0\n", "before LUT_3D_SIZE" },
        { "LUT_3D_SIZE 2\nDOMAIN_MIN 1 0 0\n" CUBE2, "DOMAIN_MIN" },
        { "LUT_3D_SIZE 2\nDOMAIN_MAX 1 1\n" CUBE2, "line 2" },
        { "LUT_3D_SIZE 2\n0 0 0\nTITLE \"late\"\n", "line 3" },
        { "COLOUR 2\n", "COLOUR" },
        { "TITLE no quotes\n", "line 1" },
    };
    for (size_t i = 0; i < TA_COUNT(cases); i++) {
        ta_lut lut = { 0 };
        ta_error err = { 0 };
        if (read_text(&lut, cases[i].text, &err) != TA_ERR_DATA)
            fail_msg("case %zu was not refused", i);
        if (!strstr(err.text[0], cases[i].says))
            fail_msg("case %zu: '%s' doesn't say '%s'", i, err.text[0], cases[i].says);
        assert_null(lut.rgb);
    }
    ta_lut lut;
    ta_error err = { 0 };
    assert_int_equal(ta_lut_read(&lut, "/nowhere/at-all.cube", &err), TA_ERR_NOINPUT);
}

static void hostile_bytes(void **state)
{
    (void)state;
    /* Nothing that a file may hold does harm: random bytes, and good files with bytes changed. */
    char text[512];
    uint32_t seed = 9;
    ta_lut lut;
    for (int i = 0; i < 150; i++) {
        ta_error err = { 0 };
        snprintf(text, sizeof text, "TITLE \"x\"\nLUT_3D_SIZE 2\nDOMAIN_MAX 1 1 1\n" CUBE2);
        size_t n = strlen(text);
        for (int k = 0; k < 1 + i % 5; k++)
            text[kit_random(&seed) % n] = (char)(kit_random(&seed) % 255 + 1);
        if (i % 10 == 0)
            for (size_t k = 0; k < n; k++)
                text[k] = (char)(kit_random(&seed) % 255 + 1);
        int r = read_text(&lut, text, &err);
        assert_true(r == 0 || r == TA_ERR_DATA);
        if (r == 0) {
            assert_int_equal(lut.size, 2);
            ta_lut_free(&lut);
        }
    }
}

static void mixing_is_linear(void **state)
{
    (void)state;
    ta_lut full, half, none;
    ta_error err = { 0 };
    assert_int_equal(ta_lut_make(&full, "vhs_restore", &err), 0);
    assert_int_equal(ta_lut_make(&half, "vhs_restore", &err), 0);
    assert_int_equal(ta_lut_make(&none, "vhs_restore", &err), 0);
    ta_lut_mix(&half, 0.5f);
    ta_lut_mix(&none, 0);
    for (int i = 0; i < 33 * 33 * 33; i++) {
        const float same[3] = { (float)(i % 33) / 32, (float)(i / 33 % 33) / 32, (float)(i / 1089) / 32 };
        for (int c = 0; c < 3; c++) {
            assert_true(fabsf(none.rgb[3 * i + c] - same[c]) < 1e-6f);
            assert_true(fabsf(half.rgb[3 * i + c] - (full.rgb[3 * i + c] + same[c]) / 2) < 1e-6f);
        }
    }
    ta_lut_free(&full);
    ta_lut_free(&half);
    ta_lut_free(&none);
}

static void round_trip(void **state)
{
    (void)state;
    ta_lut made, back;
    ta_error err = { 0 };
    char path[96];
    snprintf(path, sizeof path, "%s/round.cube", dir);
    assert_int_equal(ta_lut_make(&made, "cool_modern", &err), 0);
    assert_int_equal(ta_lut_write(&made, path, &err), 0);
    assert_int_equal(ta_lut_read(&back, path, &err), 0);
    assert_int_equal(back.size, 33);
    assert_string_equal(back.title, made.title);
    assert_memory_equal(back.rgb, made.rgb, sizeof(float) * 3 * 33 * 33 * 33);
    ta_lut_free(&made);
    ta_lut_free(&back);
}

static void domains(void **state)
{
    (void)state;
    /* An identity over -0.5..1.5 is an identity; one that halves values stays linear. */
    ta_lut lut = { .size = 5, .min = { -.5f, -.5f, -.5f }, .max = { 1.5f, 1.5f, 1.5f } };
    ta_error err = { 0 };
    lut.rgb = ta_array(125, 3 * sizeof(float));
    for (int i = 0; i < 125; i++) {
        const int at[3] = { i % 5, i / 5 % 5, i / 25 };
        for (int c = 0; c < 3; c++)
            lut.rgb[3 * i + c] = (-.5f + 2 * (float)at[c] / 4) / 2;
    }
    assert_int_equal(ta_lut_to_unit(&lut, &err), 0);
    assert_true(lut.min[0] == 0 && lut.max[2] == 1);
    int n = lut.size;
    for (int i = 0; i < n * n * n; i++) {
        const int at[3] = { i % n, i / n % n, i / n / n };
        for (int c = 0; c < 3; c++)
            assert_true(fabsf(lut.rgb[3 * i + c] - (float)at[c] / (float)(n - 1) / 2) < 1e-5f);
    }
    ta_lut_free(&lut);
}

static const float *at(const ta_lut *l, int r, int g, int b)
{
    return l->rgb + 3 * ((b * 33 + g) * 33 + r);
}

static void looks_are_well_behaved(void **state)
{
    (void)state;
    static const char *const names[] = { "vhs_restore", "warm_vintage", "cool_modern" };
    for (size_t k = 0; k < TA_COUNT(names); k++) {
        ta_lut l;
        ta_error err = { 0 };
        assert_int_equal(ta_lut_make(&l, names[k], &err), 0);
        assert_int_equal(l.size, 33);
        for (int i = 0; i < 33 * 33 * 33 * 3; i++)
            assert_true(l.rgb[i] >= 0 && l.rgb[i] <= 1);
        for (int i = 1; i < 33; i++) /* a grey ramp stays a ramp in each channel */
            for (int c = 0; c < 3; c++)
                assert_true(at(&l, i, i, i)[c] > at(&l, i - 1, i - 1, i - 1)[c]);
        for (int a = 0; a < 33; a += 4) /* more of a colour never gives less of it */
            for (int b = 0; b < 33; b += 4)
                for (int i = 1; i < 33; i++) {
                    assert_true(at(&l, i, a, b)[0] >= at(&l, i - 1, a, b)[0]);
                    assert_true(at(&l, a, i, b)[1] >= at(&l, a, i - 1, b)[1]);
                    assert_true(at(&l, a, b, i)[2] >= at(&l, a, b, i - 1)[2]);
                }
        ta_lut_free(&l);
    }
}

static double spread(const float *c)
{
    return fmax(fmax(c[0], c[1]), c[2]) - fmin(fmin(c[0], c[1]), c[2]);
}

static void vhs_restore_does_what_it_says(void **state)
{
    (void)state;
    ta_lut l;
    ta_error err = { 0 };
    assert_int_equal(ta_lut_make(&l, "vhs_restore", &err), 0);
    for (int c = 0; c < 3; c++) { /* black and white stay */
        assert_true(fabsf(at(&l, 0, 0, 0)[c]) < 1e-4f);
        assert_true(fabsf(at(&l, 32, 32, 32)[c] - 1) < 1e-4f);
    }
    const float *grey = at(&l, 16, 16, 16); /* less blue */
    assert_true(grey[2] < grey[0] && grey[2] < grey[1] && grey[1] - grey[2] < 0.06f);
    assert_true(spread(at(&l, 20, 14, 14)) > 1.05 * 6 / 32.0); /* fuller reds and greens */
    assert_true(spread(at(&l, 14, 20, 14)) > 1.05 * 6 / 32.0);
    ta_lut_free(&l);
}

/* The look as a stage against lut3d on a file of the same values, both from the same RGB. */
static void stage_is_lut3d(void **state)
{
    (void)state;
    ta_picture_source src = kit_small(AV_PIX_FMT_GBRP10);
    src.video.matrix = AVCOL_SPC_RGB;
    src.video.range = AVCOL_RANGE_JPEG;
    kit_frames in, ours, theirs;
    kit_plan p;
    ta_lut lut;
    ta_error err = { 0 };
    char path[96], graph[192];
    snprintf(path, sizeof path, "%s/oracle.cube", dir);
    assert_int_equal(ta_lut_make(&lut, "warm_vintage", &err), 0);
    ta_lut_mix(&lut, 0.7f);
    assert_int_equal(ta_lut_write(&lut, path, &err), 0);
    ta_lut_free(&lut);
    snprintf(graph, sizeof graph, "lut3d=%s:interp=tetrahedral", path);
    kit_make(&in, &src.video, 3, 4);
    kit_plan_make(&p, "lut=warm_vintage lut-strength=0.7", &src, AV_PIX_FMT_NONE);
    assert_int_equal(p.chain.count, 1);
    kit_run(&p.chain, &src.video, &in, &ours, NULL);
    kit_oracle(graph, &src.video, &in, &theirs);
    kit_assert_same(&ours, &theirs);
    assert_false(kit_same_picture(ours.f[0], in.f[0]));
    kit_frames_free(&ours);
    kit_frames_free(&theirs);
    kit_plan_free(&p);
    kit_frames_free(&in);
}

/* A user's file whose name needs quoting, in a folder whose name does; nothing is left behind. */
static void names_that_need_quoting(void **state)
{
    (void)state;
    char folder[128], file[192], setting[256];
    ta_error err = { 0 };
    snprintf(folder, sizeof folder, "%s/a 'b':c,[d];e\\f", dir);
    snprintf(file, sizeof file, "%s/it's:my.cube", folder);
    assert_int_equal(ta_mkdirs(folder, &err), 0);
    ta_lut lut;
    assert_int_equal(ta_lut_make(&lut, "cool_modern", &err), 0);
    assert_int_equal(ta_lut_write(&lut, file, &err), 0);
    ta_lut_free(&lut);
    ta_settings *s = ta_settings_new();
    snprintf(setting, sizeof setting, "%s", file);
    if (ta_settings_set(s, "lut", setting, TA_FROM_COMMAND_LINE, NULL, &err) < 0)
        fail_msg("%s", err.text[0]);
    ta_picture_source src = kit_small(AV_PIX_FMT_YUV420P);
    ta_chain chain = { 0 };
    ta_buf notes = { 0 };
    if (ta_picture_plan(s, &src, AV_PIX_FMT_YUV420P, folder, NULL, NULL, &chain, &notes, &err) < 0)
        fail_msg("%s", err.text[0]);
    kit_frames in, ours;
    kit_make(&in, &src.video, 1, 0);
    kit_run(&chain, &src.video, &in, &ours, NULL);
    assert_int_equal(ours.n, 1);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rmdir(folder), 0); /* empty: the stage's own file is gone */
    kit_frames_free(&in);
    kit_frames_free(&ours);
    ta_chain_free(&chain);
    ta_buf_free(&notes);
    ta_settings_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_files),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(hostile_bytes),
        cmocka_unit_test(mixing_is_linear),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(domains),
        cmocka_unit_test(looks_are_well_behaved),
        cmocka_unit_test(vhs_restore_does_what_it_says),
        cmocka_unit_test(stage_is_lut3d),
        cmocka_unit_test(names_that_need_quoting),
    };
    return cmocka_run_group_tests_name("lut", tests, make_dir, remove_dir);
}
