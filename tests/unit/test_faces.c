/* The parts of restoring faces: places by points and boxes, the detector's answers, steady places, cutting and pasting.
 */
#include "onnx_kit.h"

#include <math.h>

#include "neural/face_parts.h"

/* Eyes, nose and corners of the mouth in 512 pixels, as facexlib has them. */
static const double ffhq[10] = { 192.98138, 239.94708, 318.90277, 240.1936,  256.63416,
                                 314.01935, 201.26117, 371.41043, 313.08905, 371.15118 };

static void points_of(double x, double y, double side, double angle, double *point)
{
    for (int i = 0; i < 5; i++) {
        double u = (ffhq[2 * i] + 0.5) / 512 - 0.5, v = (ffhq[2 * i + 1] + 0.5) / 512 - 0.5;
        point[2 * i] = x + side * (cos(angle) * u - sin(angle) * v);
        point[2 * i + 1] = y + side * (sin(angle) * u + cos(angle) * v);
    }
}

static void similarity_is_found(void **state)
{
    static const double cases[][4] = { { 100, 80, 50, 0 }, { 310.25, 200.5, 181, 0.4 }, { 12, -7, 333, -2.9 } };
    for (size_t i = 0; i < TA_COUNT(cases); i++) {
        double point[10];
        points_of(cases[i][0], cases[i][1], cases[i][2], cases[i][3], point);
        ta_face_place p = ta_face_from_points(point);
        assert_true(fabs(p.x - cases[i][0]) < 1e-9 && fabs(p.y - cases[i][1]) < 1e-9);
        assert_true(fabs(p.side - cases[i][2]) < 1e-9 && fabs(p.angle - cases[i][3]) < 1e-9);
    }
}

/* The least-squares similarity: no small change of it brings it nearer to points that don't fit. */
static double misfit(const ta_face_place *p, const double *point)
{
    double at[10], sum = 0;
    points_of(p->x, p->y, p->side, p->angle, at);
    for (int i = 0; i < 10; i++)
        sum += (at[i] - point[i]) * (at[i] - point[i]);
    return sum;
}

static void similarity_is_the_nearest(void **state)
{
    double point[10];
    points_of(200, 150, 120, 0.2, point);
    for (int i = 0; i < 10; i++)
        point[i] += (i * 7 % 5 - 2) * 1.5;
    ta_face_place p = ta_face_from_points(point);
    double best = misfit(&p, point);
    for (int i = 0; i < 8; i++) {
        ta_face_place q = p;
        double by = i % 2 ? 0.01 : -0.01;
        *(i / 2 == 0 ? &q.x : i / 2 == 1 ? &q.y : i / 2 == 2 ? &q.side : &q.angle) += i / 2 == 3 ? by / 10 : by;
        assert_true(misfit(&q, point) > best);
    }
}

/* ---- The detector's answers ----------------------------------------------------------------------------------- */

static void overlapping_answers_are_thinned(void **state)
{
    /* 0 and 1 overlap by 0.6, 0 and 2 by 0.2, 3 is unsure, 4 upside down, 5 not a number. */
    const float boxes[] = { .1f, .1f, .3f, .3f, .15f, .1f, .35f, .3f, .2333f, .1f, .4333f, .3f,
                            .6f, .6f, .8f, .8f, .8f,  .8f, .7f,  .7f, NAN,    .1f, .3f,    .3f };
    const float sure[] = { .8f, .9f, .75f, .69f, .99f, .99f };
    float scores[12];
    ta_face_view v;
    ta_face_list list;
    for (int i = 0; i < 6; i++) {
        scores[2 * i] = 1 - sure[i];
        scores[2 * i + 1] = sure[i];
    }
    ta_face_view_of(&v, 320, 240, 640, 480, (AVRational){ 1, 1 });
    assert_int_equal(ta_face_decode(scores, boxes, NULL, 6, &v, &list, NULL), 0);
    /* 1 is the surest, covers 0 (0.6), and 2 overlaps it by (0.1167 / 0.2833) = 0.41: it goes, too. */
    assert_int_equal(list.count, 1);
    assert_true(fabs(list.place[0].x - 0.25 * 640) < 1e-3);
    scores[3] = 0; /* without 1, both 0 and 2 stay */
    assert_int_equal(ta_face_decode(scores, boxes, NULL, 6, &v, &list, NULL), 0);
    assert_int_equal(list.count, 2);
    assert_true(fabs(list.place[0].x - 0.2 * 640) < 1e-3 && fabs(list.place[1].x - 0.3333 * 640) < 1e-3);
}

/* A picture that is wider than the detector's input fills its width; the rest below is grey. */
static void pictures_lie_in_the_input_undistorted(void **state)
{
    enum { WIDTH = 1280, HEIGHT = 360 };
    float *rgb = ta_array(WIDTH * HEIGHT, 3 * sizeof *rgb), *input = ta_array(320 * 240, 3 * sizeof *input);
    float *scratch = ta_array((size_t)320 * HEIGHT, sizeof *scratch);
    ta_face_picture p = { rgb, WIDTH, HEIGHT };
    ta_face_view v;
    for (size_t i = 0; i < 3 * WIDTH * HEIGHT; i++)
        rgb[i] = (float)(i % WIDTH) / WIDTH;
    ta_face_view_of(&v, 320, 240, WIDTH, HEIGHT, (AVRational){ 1, 2 }); /* 640x360 as shown */
    ta_face_shrink(&p, &v, input, scratch);
    for (int x = 4; x < 316; x++) {
        double want = (((x + 0.5) * 4 - 0.5) / WIDTH * 255 - 127) / 128;
        assert_true(fabs((double)input[100 * 320 + x] - want) < 1e-4);
        assert_true(fabs((double)input[2 * 320 * 240 + 179 * 320 + x] - want) < 1e-4);
    }
    assert_true(input[181 * 320 + 7] == 0 && input[320 * 240 - 1] == 0);
    const float box[] = { .25f, .3f, .5f, .6f }, score[] = { 0, 1 };
    ta_face_list list;
    assert_int_equal(ta_face_decode(score, box, NULL, 1, &v, &list, NULL), 0);
    /* The input's width is 640 square pixels, its height 480; the box's mean side is 0.6 of the square's. */
    assert_true(fabs(list.place[0].side - sqrt(160 * 144) / 0.6) < 1e-3);
    assert_true(fabs(list.place[0].x - 240) < 1e-3);
    assert_true(fabs(list.place[0].y - (216 - 0.0625 * list.place[0].side)) < 1e-3);
    ta_free(rgb);
    ta_free(input);
    ta_free(scratch);
}

/* ---- Steady places -------------------------------------------------------------------------------------------- */

static ta_face_list lists[64];

static int smoothed(int from, int count, int at, ta_face_shown *shown)
{
    const ta_face_list *window[TA_FACE_WINDOW];
    int first = TA_MAX(at - TA_FACE_REACH, from), end = TA_MIN(at + TA_FACE_REACH + 1, count);
    for (int i = first; i < end; i++)
        window[i - first] = &lists[i];
    return ta_face_smooth(window, end - first, at - first, shown);
}

static void put_face(int picture, double x, double y, double side)
{
    ta_face_list *l = &lists[picture];
    l->place[l->count++] = (ta_face_place){ x, y, side, 0 };
}

static void even_motion_does_not_lag(void **state)
{
    ta_face_shown shown[TA_MOST_FACES];
    memset(lists, 0, sizeof lists);
    for (int i = 0; i < 30; i++)
        put_face(i, 100 + 3 * i, 80 - 2 * i, 60);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(smoothed(0, 30, i, shown), 1);
        assert_true(fabs(shown[0].place.x - (100 + 3 * i)) < 1e-6);
        assert_true(fabs(shown[0].place.y - (80 - 2 * i)) < 1e-6);
        assert_true(fabs(shown[0].place.side - 60) < 1e-6 && shown[0].presence == 1);
    }
}

static void trembling_is_smoothed(void **state)
{
    ta_face_shown shown[TA_MOST_FACES];
    double was = 0, is = 0;
    uint32_t seed = 5;
    memset(lists, 0, sizeof lists);
    for (int i = 0; i < 60; i++) {
        seed = seed * 1664525u + 1013904223u;
        double by = (double)(seed >> 8) / (1 << 24) * 4 - 2;
        put_face(i, 200 + by, 100, 60);
        was += by * by;
    }
    for (int i = 0; i < 60; i++) {
        assert_int_equal(smoothed(0, 60, i, shown), 1);
        is += (shown[0].place.x - 200) * (shown[0].place.x - 200);
    }
    assert_true(is < was / 3);
}

static void misses_are_bridged_and_ghosts_are_faint(void **state)
{
    ta_face_shown shown[TA_MOST_FACES];
    memset(lists, 0, sizeof lists);
    for (int i = 0; i < 20; i++)
        if (i != 8 && i != 9)
            put_face(i, 100 + i, 80, 60);
    put_face(15, 300, 200, 40); /* once only */
    for (int i = 8; i < 10; i++) {
        assert_int_equal(smoothed(0, 20, i, shown), 1);
        assert_true(fabs(shown[0].place.x - (100 + i)) < 1e-6 && shown[0].presence == 1);
    }
    assert_int_equal(smoothed(0, 20, 15, shown), 2);
    assert_true(shown[0].presence == 1 && fabsf(shown[1].presence - 2.0f / 9) < 1e-6f);
    assert_int_equal(smoothed(0, 20, 14, shown), 1); /* before it came */
}

/* A face that jumps, as at a cut, is another one: nothing is drawn between the two places. */
static void cuts_are_kept(void **state)
{
    ta_face_shown shown[TA_MOST_FACES];
    memset(lists, 0, sizeof lists);
    for (int i = 0; i < 20; i++)
        put_face(i, i < 10 ? 100 : 250, 80, 60);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(smoothed(0, 20, i, shown), 1);
        assert_true(fabs(shown[0].place.x - (i < 10 ? 100 : 250)) < 1e-6 && shown[0].presence == 1);
    }
}

/* ---- Cutting and pasting -------------------------------------------------------------------------------------- */

/* A soft spot in the picture is where it belongs in the crop, whatever the place. */
static void cutting_is_exact(void **state)
{
    enum { WIDTH = 300, HEIGHT = 220, SIZE = 512 };
    static const double cases[][4] = { { 150, 110, 120, 0 }, { 141.3, 104.7, 150, 0.5 }, { 160, 100, 700, -0.3 } };
    float *rgb = ta_array(WIDTH * HEIGHT, 3 * sizeof *rgb), *crop = ta_array(SIZE * SIZE, 3 * sizeof *crop);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            double dx = x + 0.5 - 150.25, dy = y + 0.5 - 108.75;
            for (int c = 0; c < 3; c++)
                rgb[(c * HEIGHT + y) * WIDTH + x] = (float)exp(-(dx * dx + dy * dy) / (2 * 5.0 * 5.0));
        }
    for (size_t i = 0; i < TA_COUNT(cases); i++) {
        ta_face_place p = { cases[i][0], cases[i][1], cases[i][2], cases[i][3] };
        double sum = 0, sum_u = 0, sum_v = 0;
        ta_face_cut(&(ta_face_picture){ rgb, WIDTH, HEIGHT }, 0, 0, 1, &p, SIZE, crop);
        for (int v = 0; v < SIZE; v++)
            for (int u = 0; u < SIZE; u++) {
                double light = (double)crop[v * SIZE + u];
                sum += light;
                sum_u += light * (u + 0.5);
                sum_v += light * (v + 0.5);
            }
        double dx = 150.25 - p.x, dy = 108.75 - p.y, c = cos(p.angle), s = sin(p.angle), k = SIZE / p.side;
        assert_true(fabs(sum_u / sum - (SIZE / 2.0 + k * (c * dx + s * dy))) < 0.1);
        assert_true(fabs(sum_v / sum - (SIZE / 2.0 + k * (c * dy - s * dx))) < 0.1);
    }
    ta_free(rgb);
    ta_free(crop);
}

static AVFrame *noise(const ta_video_format *v)
{
    AVFrame *f = av_frame_alloc();
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(v->pix_fmt);
    f->width = v->width;
    f->height = v->height;
    f->format = v->pix_fmt;
    assert_int_equal(av_frame_get_buffer(f, 0), 0);
    uint32_t seed = 9;
    for (int p = 0; p < d->nb_components; p++) {
        bool chroma = p && !(d->flags & AV_PIX_FMT_FLAG_RGB);
        int h = chroma ? AV_CEIL_RSHIFT(v->height, d->log2_chroma_h) : v->height;
        for (int i = 0; i < h * f->linesize[p]; i++) {
            seed = seed * 1664525u + 1013904223u;
            f->data[p][i] = (uint8_t)(seed >> 24);
            if (d->comp[0].depth > 8 && i % 2)
                f->data[p][i] &= (uint8_t)((1 << (d->comp[0].depth - 8)) - 1);
        }
    }
    return f;
}

/* How many samples differ, inside and outside of a square around (x, y), of half the side `half`. */
static void count_changes(const AVFrame *a, const AVFrame *b, int x, int y, int half, int *inside, int *outside)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(a->format);
    *inside = *outside = 0;
    for (int p = 0; p < d->nb_components; p++) {
        bool chroma = p && !(d->flags & AV_PIX_FMT_FLAG_RGB);
        int sx = chroma ? d->log2_chroma_w : 0, sy = chroma ? d->log2_chroma_h : 0,
            bytes = d->comp[0].depth > 8 ? 2 : 1;
        for (int j = 0; j < AV_CEIL_RSHIFT(a->height, sy); j++)
            for (int i = 0; i < AV_CEIL_RSHIFT(a->width, sx); i++) {
                size_t at = (size_t)(j * a->linesize[p] + i * bytes);
                bool changed = memcmp(a->data[p] + at, b->data[p] + at, (size_t)bytes);
                bool in = abs((i << sx) - x) <= half + (1 << sx) && abs((j << sy) - y) <= half + (1 << sy);
                *(in ? inside : outside) += changed;
            }
    }
}

static void pasting_stays_inside(void **state)
{
    static const enum AVPixelFormat formats[] = { AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUV422P10, AV_PIX_FMT_YUV411P,
                                                  AV_PIX_FMT_GBRP,    AV_PIX_FMT_GRAY8,     AV_PIX_FMT_YUV444P16 };
    enum { SIZE = 64 };
    float *crop = ta_array(SIZE * SIZE, 3 * sizeof *crop);
    for (size_t i = 0; i < 3 * SIZE * SIZE; i++)
        crop[i] = 1;
    for (size_t i = 0; i < TA_COUNT(formats); i++)
        for (int place = 0; place < 3; place++) { /* inside, over a corner, beside the picture */
            ta_video_format v = { .width = 99,
                                  .height = 75,
                                  .pix_fmt = formats[i],
                                  .matrix = AVCOL_SPC_SMPTE170M,
                                  .range = AVCOL_RANGE_MPEG };
            ta_face_place p = { place == 0 ? 50 : place == 1 ? 3 : 300, place == 1 ? 70 : 40, 30, 0 };
            AVFrame *f = noise(&v), *was = noise(&v);
            ta_face_paster *paster;
            int inside, outside;
            assert_int_equal(ta_face_paster_new(&paster, &v, NULL), 0);
            assert_int_equal(ta_face_paster_put(paster, f, &p, SIZE, crop, 0, NULL), 0);
            count_changes(was, f, (int)p.x, (int)p.y, 15, &inside, &outside);
            assert_true(inside == 0 && outside == 0);
            assert_int_equal(ta_face_paster_put(paster, f, &p, SIZE, crop, 1, NULL), 0);
            count_changes(was, f, (int)p.x, (int)p.y, 15, &inside, &outside);
            assert_true(outside == 0 && (place == 2 ? inside == 0 : inside > 50));
            ta_face_paster_free(&paster);
            av_frame_free(&f);
            av_frame_free(&was);
        }
    ta_free(crop);
}

/* ---- The stage ------------------------------------------------------------------------------------------------ */

enum { FRAMES = 6, FACE_SIZE = 64 };

/* A detector that finds two faces in any picture, and a restorer that turns colours over. */
static void write_models(const char *detector, const char *restorer)
{
    const float score[] = { .1f, .9f, .2f, .8f }, box[] = { .1f, .2f, .35f, .55f, .6f, .3f, .85f, .7f };
    const int64_t scores[] = { 1, 2, 2 }, boxes[] = { 1, 2, 4 }, input[] = { 1, 3, 24, 32 };
    const int64_t crop[] = { 1, 3, FACE_SIZE, FACE_SIZE }, one = 1;
    const float nothing = 0;
    ta_buf graph = { 0 };
    onnx_constant(&graph, "s", ONNX_FLOAT, 3, scores, score, sizeof score);
    onnx_constant(&graph, "b", ONNX_FLOAT, 3, boxes, box, sizeof box);
    onnx_constant(&graph, "zero", ONNX_FLOAT, 1, &one, &nothing, sizeof nothing);
    onnx_constant(&graph, "one", 7, 1, &one, &one, sizeof one);
    onnx_node(&graph, "ReduceMean", "in", NULL, "mean", NULL);
    onnx_node(&graph, "Reshape", "mean", "one", "number", NULL);
    onnx_node(&graph, "Mul", "number", "zero", "shift", NULL);
    onnx_node(&graph, "Identity", "s", NULL, "scores", NULL);
    onnx_node(&graph, "Add", "b", "shift", "boxes", NULL);
    onnx_value(&graph, 11, "in", ONNX_FLOAT, 4, input);
    onnx_value(&graph, 12, "scores", ONNX_FLOAT, 3, scores);
    onnx_value(&graph, 12, "boxes", ONNX_FLOAT, 3, boxes);
    ta_buf model = onnx_model(&graph);
    assert_int_equal(ta_write_file(detector, model.data, model.len, true, NULL), 0);
    ta_buf_free(&model);
    onnx_node(&graph, "Neg", "in", NULL, "out", NULL);
    onnx_value(&graph, 11, "in", ONNX_FLOAT, 4, crop);
    onnx_value(&graph, 12, "out", ONNX_FLOAT, 4, crop);
    model = onnx_model(&graph);
    assert_int_equal(ta_write_file(restorer, model.data, model.len, true, NULL), 0);
    ta_buf_free(&model);
}

static int count_and_free(void *to, AVFrame *frame, ta_error *err)
{
    ++*(int *)to;
    av_frame_free(&frame);
    return 0;
}

static int run_stage(ta_stage *st, const ta_video_format *v, ta_error *err)
{
    ta_link in = { .type = AVMEDIA_TYPE_VIDEO, .video = *v }, out;
    int emitted = 0;
    st->in = in;
    st->emit = count_and_free;
    st->emit_to = &emitted;
    int r = st->cls->configure(st, &in, &out, err);
    for (int i = 0; i < FRAMES && r >= 0; i++)
        r = st->cls->push(st, noise(v), err);
    if (r >= 0)
        r = st->cls->drain(st, err);
    assert_true(r < 0 || emitted == FRAMES);
    return r;
}

static int run_faces(const ta_settings *s, ta_error *err)
{
    const ta_video_format v = { .width = 64,
                                .height = 48,
                                .pix_fmt = AV_PIX_FMT_YUV420P,
                                .sar = { 1, 1 },
                                .matrix = AVCOL_SPC_SMPTE170M,
                                .range = AVCOL_RANGE_MPEG };
    ta_face_models *models;
    ta_stage *st = NULL;
    int r = ta_face_models_new(&models, NULL, err);
    if (r >= 0)
        r = ta_face_stage_new(models, s, &v, &st, err);
    if (r >= 0)
        r = run_stage(st, &v, err);
    ta_stage_free(&st);
    ta_face_models_free(&models);
    return r;
}

static void every_allocation_fails_once(void **state)
{
    ta_engine_info info;
    ta_engine_look(TA_ENGINE_OPENVINO, &info);
    if (!info.found)
        skip();
    char *detector = ta_path_join(*state, "detector.onnx"), *restorer = ta_path_join(*state, "restorer.onnx");
    const char *const set[][2] = {
        { "face-restore", "gfpgan" }, { "face-detector", detector }, { "face-model", restorer }, { "threads", "1" }
    };
    ta_settings *s = ta_settings_new();
    setenv("XDG_CACHE_HOME", *state, 1);
    write_models(detector, restorer);
    for (size_t i = 0; i < TA_COUNT(set); i++)
        assert_int_equal(ta_settings_set(s, set[i][0], set[i][1], TA_FROM_COMMAND_LINE, NULL, NULL), 0);
    assert_int_equal(run_faces(s, NULL), 0); /* compiles, and keeps what was compiled */
    ta_alloc_fail_at(0);
    assert_int_equal(run_faces(s, NULL), 0);
    uint64_t count = ta_alloc_fail_at(0);
    assert_true(count > 20);
    for (uint64_t i = 1; i <= count; i++) {
        ta_error err = { 0 };
        ta_alloc_fail_at(i);
        int r = run_faces(s, &err);
        ta_alloc_fail_at(0);
        if (r != 0 && r != TA_ERR_AGAIN) /* 0: what is kept of models can be done without */
            fail_msg("allocation %d of %d: %d, %s", (int)i, (int)count, r, err.text[0]);
    }
    assert_int_equal(run_faces(s, NULL), 0);
    ta_settings_free(&s);
    ta_free(detector);
    ta_free(restorer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(similarity_is_found),
        cmocka_unit_test(similarity_is_the_nearest),
        cmocka_unit_test(overlapping_answers_are_thinned),
        cmocka_unit_test(pictures_lie_in_the_input_undistorted),
        cmocka_unit_test(even_motion_does_not_lag),
        cmocka_unit_test(trembling_is_smoothed),
        cmocka_unit_test(misses_are_bridged_and_ghosts_are_faint),
        cmocka_unit_test(cuts_are_kept),
        cmocka_unit_test(cutting_is_exact),
        cmocka_unit_test(pasting_stays_inside),
        SCRATCH_TEST(every_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
