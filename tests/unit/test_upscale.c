/* Upscaling in tiles: the joined result is the whole's, tiles that didn't change are not computed, colour comes back.
 * The model is a plain function: a 7x7 box filter that takes what lies beside the picture as zero, as convolutions do,
 * then each pixel twice. */
#include "picture_kit.h"

#include "neural/neural.h"

enum { RADIUS = 3, SLOTS = 3 };

typedef struct box_model {
    int width, height, radius;
    float *in[SLOTS], *out[SLOTS];
    bool running[SLOTS];
    int runs, most_running;
} box_model;

static float box_at(const float *plane, int w, int h, int x, int y, int radius)
{
    float sum = 0;
    for (int j = -radius; j <= radius; j++)
        for (int i = -radius; i <= radius; i++)
            if (x + i >= 0 && x + i < w && y + j >= 0 && y + j < h)
                sum += plane[(y + j) * w + x + i];
    return radius ? sum / (float)((2 * radius + 1) * (2 * radius + 1)) : sum;
}

/* The oracle as well, on a whole picture. */
static void box_twice(const float *in, int w, int h, int radius, float *out)
{
    for (int p = 0; p < 3; p++)
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++) {
                float v = box_at(in + p * w * h, w, h, x, y, radius);
                for (int k = 0; k < 4; k++)
                    out[(p * 2 * h + 2 * y + k / 2) * 2 * w + 2 * x + k % 2] = v;
            }
}

static int box_input(void *opaque, int slot, float **rgb, ta_error *err)
{
    box_model *m = opaque;
    (void)err;
    assert_false(m->running[slot]);
    *rgb = m->in[slot];
    return 0;
}

static int box_start(void *opaque, int slot, ta_error *err)
{
    box_model *m = opaque;
    int running = 0;
    (void)err;
    m->running[slot] = true;
    m->runs++;
    for (int i = 0; i < SLOTS; i++)
        running += m->running[i];
    m->most_running = TA_MAX(m->most_running, running);
    return 0;
}

/* The work is done as late as possible: an input that is overwritten too early shows. */
static int box_wait(void *opaque, int slot, ta_error *err)
{
    box_model *m = opaque;
    (void)err;
    assert_true(m->running[slot]);
    box_twice(m->in[slot], m->width, m->height, m->radius, m->out[slot]);
    m->running[slot] = false;
    return 0;
}

static int box_output(void *opaque, int slot, const float **rgb, ta_error *err)
{
    box_model *m = opaque;
    (void)err;
    *rgb = m->out[slot];
    return 0;
}

static ta_upscale_runner box_runner(box_model *m, const ta_tiling *t, int radius)
{
    size_t n = 3 * (size_t)t->width * (size_t)t->height;
    *m = (box_model){ .width = t->width, .height = t->height, .radius = radius };
    for (int i = 0; i < SLOTS; i++) {
        m->in[i] = ta_array(n, sizeof(float));
        m->out[i] = ta_array(4 * n, sizeof(float));
        assert_true(m->in[i] && m->out[i]);
    }
    return (ta_upscale_runner){ m, SLOTS, box_input, box_start, box_wait, box_output, NULL };
}

static void box_free(box_model *m)
{
    for (int i = 0; i < SLOTS; i++) {
        ta_free(m->in[i]);
        ta_free(m->out[i]);
    }
}

/* ---- Tiles ---------------------------------------------------------------------------------------------------------
 */

/* Every pixel is in one tile, every window in the picture holds what the tile needs. */
static void check_tiling(const ta_tiling *t, const ta_upscale_shape *s, int w, int h)
{
    uint8_t *seen = ta_array((size_t)w * (size_t)h, 1);
    int align = TA_MAX(s->align, 1), margin = TA_MAX(s->reach, s->inset);
    for (int i = 0; i < t->count; i++) {
        const ta_tile *p = &t->tiles[i];
        assert_true(p->left < p->right && p->top < p->bottom);
        assert_int_equal((p->x + s->inset) % align, 0);
        assert_int_equal((p->y + s->inset) % align, 0);
        assert_true(p->x <= p->left - margin || p->x == -s->inset);
        assert_true(p->y <= p->top - margin || p->y == -s->inset);
        assert_true(p->x + t->width >= TA_MIN(p->right + margin, w + s->inset));
        assert_true(p->y + t->height >= TA_MIN(p->bottom + margin, h + s->inset));
        for (int y = p->top; y < p->bottom; y++)
            for (int x = p->left; x < p->right; x++)
                assert_int_equal(seen[y * w + x]++, 0);
    }
    for (int i = 0; i < w * h; i++)
        assert_int_equal(seen[i], 1);
    assert_int_equal(t->width % align, s->align_rest);
    assert_int_equal(t->height % align, s->align_rest);
    ta_free(seen);
}

static void tiles_cover_the_picture(void **state)
{
    (void)state;
    static const int sizes[][2] = { { 1, 1 }, { 7, 5 }, { 64, 48 }, { 161, 119 }, { 333, 61 }, { 720, 480 } };
    static const ta_upscale_shape shapes[] = {
        { .scale = 2, .reach = 3 },
        { .scale = 2, .reach = 18, .align = 8 },
        { .scale = 4, .reach = 40, .align = 2, .align_rest = 0 },
        { .scale = 2, .reach = 18, .inset = 18 },
        { .scale = 2, .reach = 20, .inset = 18, .align = 4 },
    };
    for (size_t i = 0; i < TA_COUNT(sizes); i++)
        for (size_t k = 0; k < TA_COUNT(shapes); k++)
            for (int tile = 0; tile <= 100; tile += 50) {
                ta_tiling t, again;
                ta_tile_wish wish = { tile, -1, tile ? 0 : 9000 };
                ta_error err = { 0 };
                if (ta_tiling_make(&t, &shapes[k], &wish, sizes[i][0], sizes[i][1], &err) < 0)
                    fail_msg("%dx%d shape %zu tile %d: %s", sizes[i][0], sizes[i][1], k, tile, err.text[0]);
                check_tiling(&t, &shapes[k], sizes[i][0], sizes[i][1]);
                assert_int_equal(ta_tiling_make(&again, &shapes[k], &wish, sizes[i][0], sizes[i][1], &err), 0);
                assert_memory_equal(t.tiles, again.tiles, (size_t)t.count * sizeof *t.tiles);
                if (tile) {
                    assert_int_equal(t.columns, (sizes[i][0] + tile - 1) / tile);
                    assert_int_equal(t.tiles[0].right, TA_MIN(tile, sizes[i][0]));
                }
                ta_tiling_free(&t);
                ta_tiling_free(&again);
            }
}

static void tiles_that_cannot_be(void **state)
{
    (void)state;
    static const ta_upscale_shape whole = { .scale = 2, .global = true };
    static const ta_upscale_shape fixed = { .scale = 2, .reach = 3, .fixed_width = 64, .fixed_height = 48 };
    ta_tiling t;
    ta_error err = { 0 };
    assert_int_equal(ta_tiling_make(&t, &whole, &(ta_tile_wish){ 32, -1, 0 }, 160, 120, &err), TA_ERR_USAGE);
    assert_true(err.hint[0]);
    assert_int_equal(ta_tiling_make(&t, &fixed, &(ta_tile_wish){ 0, 40, 0 }, 160, 120, &err), TA_ERR_USAGE);
    assert_int_equal(ta_tiling_make(&t, &whole, &(ta_tile_wish){ 0, -1, 0 }, 160, 120, &err), 0);
    assert_int_equal(t.count, 1);
    ta_tiling_free(&t);
    assert_int_equal(ta_tiling_make(&t, &fixed, &(ta_tile_wish){ 0, -1, 0 }, 160, 120, &err), 0);
    assert_int_equal(t.width, 64);
    check_tiling(&t, &fixed, 160, 120);
    ta_tiling_free(&t);
    assert_int_equal(ta_tiling_make(&t, &fixed, &(ta_tile_wish){ 0, -1, 0 }, 20, 500, &err), 0);
    assert_int_equal(t.columns, 1);
    ta_tiling_free(&t);
}

/* ---- Running -------------------------------------------------------------------------------------------------------
 */

typedef struct rig {
    ta_upscaler *u;
    box_model model;
    kit_frames out;
    ta_tiling tiling; /* a look at what the upscaler owns */
} rig;

static void rig_make(rig *r, const ta_video_format *v, int radius, int tile, bool reuse, float tolerance)
{
    ta_error err = { 0 };
    ta_upscale_shape shape = { .scale = 2, .reach = radius };
    ta_upscaler_options o = { .in = *v,
                              .out = *v,
                              .shape = shape,
                              .tolerance = tolerance,
                              .reuse = reuse,
                              .emit = kit_collect,
                              .emit_to = &r->out };
    memset(r, 0, sizeof *r);
    o.out.width *= 2;
    o.out.height *= 2;
    assert_int_equal(ta_tiling_make(&o.tiling, &shape, &(ta_tile_wish){ tile, -1, 0 }, v->width, v->height, &err), 0);
    r->tiling = o.tiling;
    o.runner = box_runner(&r->model, &o.tiling, radius);
    assert_int_equal(ta_upscaler_new(&r->u, &o, &err), 0);
}

static void rig_free(rig *r)
{
    ta_upscaler_free(&r->u);
    box_free(&r->model);
    kit_frames_free(&r->out);
}

static void rig_run(rig *r, const kit_frames *in)
{
    ta_error err = { 0 };
    for (int i = 0; i < in->n; i++)
        assert_int_equal(ta_upscaler_push(r->u, av_frame_clone(in->f[i]), &err), 0);
    assert_int_equal(ta_upscaler_drain(r->u, &err), 0);
    assert_int_equal(r->out.n, in->n);
    for (int i = 0; i < in->n; i++)
        assert_int_equal(r->out.f[i]->pts, in->f[i]->pts);
}

static ta_video_format rgb_format(int w, int h)
{
    ta_video_format v = kit_small(AV_PIX_FMT_GBRP16).video;
    v.width = w;
    v.height = h;
    v.matrix = AVCOL_SPC_RGB;
    v.range = AVCOL_RANGE_JPEG;
    return v;
}

/* In RGB of 16 bits the codes are the model's numbers, so tiles and whole must agree to the last bit, as the oracle
 * adds up in the same order. */
static void tiled_is_untiled(void **state)
{
    (void)state;
    static const int sizes[][3] = { { 1, 1, 4 }, { 5, 3, 4 }, { 64, 48, 16 }, { 67, 45, 13 }, { 33, 90, 50 } };
    for (size_t i = 0; i < TA_COUNT(sizes); i++) {
        ta_video_format v = rgb_format(sizes[i][0], sizes[i][1]);
        size_t plane = (size_t)v.width * (size_t)v.height;
        kit_frames in;
        kit_make(&in, &v, 2, 30);
        rig r;
        rig_make(&r, &v, RADIUS, sizes[i][2], true, 0);
        rig_run(&r, &in);
        float *rgb = ta_array(3 * plane, sizeof *rgb), *want = ta_array(12 * plane, sizeof *want);
        float *scratch = ta_array((size_t)ta_rgb_scratch(2 * v.width), sizeof *scratch);
        for (int k = 0; k < in.n; k++) {
            ta_video_format big = v;
            big.width *= 2;
            big.height *= 2;
            AVFrame *whole = kit_frame(&big, 0);
            ta_rgb_from_frame(in.f[k], &v, rgb, scratch);
            box_twice(rgb, v.width, v.height, RADIUS, want);
            ta_rgb_to_frame(want, &big, whole, scratch);
            assert_true(kit_same_picture(whole, r.out.f[k]));
            av_frame_free(&whole);
        }
        ta_free(rgb);
        ta_free(want);
        ta_free(scratch);
        rig_free(&r);
        kit_frames_free(&in);
    }
}

static int windows_with(const ta_tiling *t, int x, int y)
{
    int n = 0;
    for (int i = 0; i < t->count; i++)
        n += x >= t->tiles[i].x && x < t->tiles[i].x + t->width && y >= t->tiles[i].y && y < t->tiles[i].y + t->height;
    return n;
}

/* Tiles of 16 whose reach is 3: a pixel is seen by its own tile and by those up to 3 away, counted by hand. Windows at
 * the picture's edge are moved inwards and see more (0: not counted by hand). */
static void a_pixel_runs_the_tiles_that_see_it(void **state)
{
    (void)state;
    static const struct {
        int x, y, tiles;
    } cases[] = { { 24, 24, 1 }, { 28, 24, 1 }, { 29, 24, 2 }, { 34, 23, 2 }, { 35, 25, 1 },
                  { 0, 0, 0 },   { 63, 47, 0 }, { 20, 30, 0 }, { 46, 10, 0 } };
    ta_video_format v = rgb_format(64, 48);
    for (size_t i = 0; i < TA_COUNT(cases); i++) {
        kit_frames in;
        rig with, without;
        kit_make(&in, &v, 3, 30);
        for (int k = 1; k < 3; k++)
            av_frame_copy(in.f[k], in.f[0]);
        kit_put(in.f[2], 1, cases[i].x, cases[i].y, 3);
        rig_make(&with, &v, RADIUS, 16, true, 0);
        rig_make(&without, &v, RADIUS, 16, false, 0);
        assert_int_equal(with.tiling.count, 12);
        rig_run(&with, &in);
        rig_run(&without, &in);
        if (cases[i].tiles)
            assert_int_equal(with.model.runs, 12 + cases[i].tiles);
        assert_int_equal(with.model.runs, 12 + windows_with(&with.tiling, cases[i].x, cases[i].y));
        assert_int_equal(without.model.runs, 36);
        kit_assert_same(&with.out, &without.out);
        ta_upscale_counts c;
        ta_upscaler_get_counts(with.u, &c);
        assert_int_equal(c.held, 1);
        assert_int_equal(c.tiles, with.model.runs);
        assert_int_equal(c.reused + c.tiles, 36);
        rig_free(&with);
        rig_free(&without);
        kit_frames_free(&in);
    }
}

static void reuse_changes_nothing(void **state)
{
    (void)state;
    ta_video_format v = kit_small(AV_PIX_FMT_YUV420P).video;
    v.width = 95;
    v.height = 61;
    kit_frames in;
    kit_make(&in, &v, 14, 0);
    uint32_t seed = 5;
    for (int i = 1; i < in.n; i++) { /* the same picture with a patch that jumps, now and then a held one */
        av_frame_copy(in.f[i], in.f[0]);
        for (int k = 0; k < 8 && i % 3; k++)
            kit_put(in.f[i], k % 3, (int)(kit_random(&seed) % 47), (int)(kit_random(&seed) % 30), 16 + 20 * i);
    }
    rig with, without;
    rig_make(&with, &v, RADIUS, 12, true, 0);
    rig_make(&without, &v, RADIUS, 12, false, 0);
    rig_run(&with, &in);
    rig_run(&without, &in);
    kit_assert_same(&with.out, &without.out);
    assert_true(with.model.runs < without.model.runs * 3 / 4);
    assert_int_equal(with.model.most_running, SLOTS);
    ta_upscaler_reset(with.u); /* nothing is remembered */
    kit_frames_free(&with.out);
    with.model.runs = 0;
    rig_run(&with, &in);
    kit_assert_same(&with.out, &without.out);
    rig_free(&with);
    rig_free(&without);
    kit_frames_free(&in);
}

/* Noise within the tolerance is not followed, and doesn't add up: what was computed last is what counts. */
static void tolerance(void **state)
{
    (void)state;
    ta_video_format v = rgb_format(64, 48);
    kit_frames in;
    kit_make(&in, &v, 8, 0);
    for (int i = 0; i < in.n; i++)
        for (int p = 0; p < 3; p++)
            for (int at = 0; at < 64 * 48; at++)
                kit_put(in.f[i], p, at % 64, at / 64, 100 + i);
    rig r;
    rig_make(&r, &v, RADIUS, 0, true, 2.5f / 255);
    rig_run(&r, &in);
    assert_int_equal(r.model.runs, 3); /* at 100, 103 and 106 */
    rig_free(&r);
    kit_frames_free(&in);
}

/* ---- Colour --------------------------------------------------------------------------------------------------------
 */

/* Ramps and patches, through a model that only doubles pixels, come back as they were. */
static void colours_come_back(void **state)
{
    (void)state;
    static const enum AVPixelFormat formats[] = { AV_PIX_FMT_YUV420P,   AV_PIX_FMT_YUV422P,   AV_PIX_FMT_YUV444P,
                                                  AV_PIX_FMT_YUV420P10, AV_PIX_FMT_YUV422P10, AV_PIX_FMT_YUV444P10,
                                                  AV_PIX_FMT_YUV420P16, AV_PIX_FMT_YUV411P,   AV_PIX_FMT_GRAY8 };
    static const enum AVColorSpace matrices[] = { AVCOL_SPC_SMPTE170M, AVCOL_SPC_BT709, AVCOL_SPC_BT2020_NCL };
    for (size_t i = 0; i < TA_COUNT(formats) * TA_COUNT(matrices) * 2; i++) {
        ta_video_format v = kit_small(formats[i / 2 / TA_COUNT(matrices)]).video;
        v.matrix = matrices[i / 2 % TA_COUNT(matrices)];
        v.range = i % 2 ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
        v.width = 256;
        v.height = 32;
        const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(v.pix_fmt);
        kit_frames in = { .n = 1 };
        in.f[0] = kit_frame(&v, 0);
        for (int p = 0; p < d->nb_components; p++) {
            int sx = p ? d->log2_chroma_w : 0, sy = p ? d->log2_chroma_h : 0;
            for (int y = 0; y < v.height >> sy; y++)
                for (int x = 0; x < v.width >> sx; x++)
                    kit_put(in.f[0], p, x, y, y << sy < 16 ? (p ? 128 : x) : (x << sx) / 64 * 40 + 30 + 50 * p);
        }
        rig r;
        rig_make(&r, &v, 0, 40, true, 0);
        rig_run(&r, &in);
        double unit = 1.0 / (1 << (d->comp[0].depth - 8));
        for (int p = 0; p < d->nb_components; p++) {
            int sx = p ? d->log2_chroma_w : 0, sy = p ? d->log2_chroma_h : 0;
            for (int y = 0; y < 2 * v.height >> sy; y++)
                for (int x = 0; x < 2 * v.width >> sx; x++) {
                    int from_x = (x << sx) % 128, from_y = (y << sy) % 32; /* chroma blends where patches meet */
                    if (p && (from_x < 16 || from_x > 112 || from_y < 8 || from_y > 24))
                        continue;
                    double was = kit_get(in.f[0], p, x / 2, y / 2), is = kit_get(r.out.f[0], p, x, y);
                    double most = d->comp[0].depth > 10 ? 1.0 / 64 : unit;
                    if (fabs(was - is) > most)
                        fail_msg("case %zu, plane %d at %d,%d: %g became %g", i, p, x, y, was, is);
                }
        }
        rig_free(&r);
        kit_frames_free(&in);
    }
}

/* Against libavfilter's zscale: 4:2:0 with chroma on the left to RGB of 16 bits, chroma interpolated linearly. */
static void rgb_as_another_sees_it(void **state)
{
    (void)state;
    if (!avfilter_get_by_name("zscale"))
        skip();
    ta_video_format v = kit_small(AV_PIX_FMT_YUV420P).video, rgb = v;
    kit_frames in, want;
    kit_make(&in, &v, 1, 0);
    kit_oracle("zscale=filter=bilinear:matrixin=170m:rangein=limited:matrix=gbr:range=full:chromalin=left,"
               "format=gbrp16",
               &v, &in, &want);
    size_t plane = (size_t)v.width * (size_t)v.height;
    float *ours = ta_array(3 * plane, sizeof *ours);
    float *scratch = ta_array((size_t)ta_rgb_scratch(v.width), sizeof *scratch);
    ta_rgb_from_frame(in.f[0], &v, ours, scratch);
    rgb.pix_fmt = AV_PIX_FMT_GBRP16;
    AVFrame *f = kit_frame(&rgb, 0);
    ta_rgb_to_frame(ours, &rgb, f, scratch);
    double worst = 0;
    for (int p = 0; p < 3; p++)
        for (int y = 2; y < v.height - 2; y++)
            for (int x = 2; x < v.width - 2; x++)
                worst = fmax(worst, fabs(kit_get(f, p, x, y) - kit_get(want.f[0], p, x, y)));
    assert_true(worst < 0.51); /* of 255: zscale may hold chroma as 8-bit codes on its way */
    av_frame_free(&f);
    ta_free(ours);
    ta_free(scratch);
    kit_frames_free(&in);
    kit_frames_free(&want);
}

static void formats_that_cannot_be(void **state)
{
    (void)state;
    ta_error err = { 0 };
    ta_video_format v = kit_small(AV_PIX_FMT_NV12).video;
    assert_int_equal(ta_rgb_check(&v, &err), TA_ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text[0], "nv12"));
    v.pix_fmt = AV_PIX_FMT_YUV420P;
    assert_int_equal(ta_rgb_check(&v, &err), 0);
    v.matrix = AVCOL_SPC_YCGCO;
    assert_int_equal(ta_rgb_check(&v, &err), TA_ERR_UNAVAILABLE);
    assert_false(ta_rgb_takes(AV_PIX_FMT_YUVA420P));
    assert_false(ta_rgb_takes(AV_PIX_FMT_RGB24));
    assert_true(ta_rgb_takes(AV_PIX_FMT_GBRP10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiles_cover_the_picture), cmocka_unit_test(tiles_that_cannot_be),
        cmocka_unit_test(tiled_is_untiled),        cmocka_unit_test(a_pixel_runs_the_tiles_that_see_it),
        cmocka_unit_test(reuse_changes_nothing),   cmocka_unit_test(tolerance),
        cmocka_unit_test(colours_come_back),       cmocka_unit_test(rgb_as_another_sees_it),
        cmocka_unit_test(formats_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
