/* The stage of a model: what it is told by the settings, and the upscaler behind it. The model is compiled when the
 * first frame comes, so a plan costs little. */
#include "neural/upscale_model.h"

#include <string.h>

typedef struct upscale {
    ta_upscale_models *models;
    const ta_upscale_model *model;
    ta_session_options run; /* engine, device, precision, threads */
    ta_tile_wish wish;
    float tolerance;     /* of 1 */
    ta_video_format out; /* format, matrix, range and chroma position of what leaves; the size follows the input's */
    char tiles[128];
    ta_upscaler *upscaler;
} upscale;

static int pass_on(void *to, AVFrame *frame, ta_error *err)
{
    ta_stage *st = to;
    return st->emit(st->emit_to, frame, err);
}

/* A reach that the user sets is his word also on a model that looks at the whole picture. */
static ta_upscale_shape shape_of(const upscale *u)
{
    ta_upscale_shape shape = u->model->shape;
    shape.global = shape.global && u->wish.overlap < 0;
    return shape;
}

static int tiling_of(const upscale *u, const ta_video_format *in, ta_tiling *t, ta_error *err)
{
    ta_upscale_shape shape = shape_of(u);
    return ta_tiling_make(t, &shape, &u->wish, in->width, in->height, err);
}

static int upscale_configure(ta_stage *st, const ta_link *in, ta_link *out, ta_error *err)
{
    upscale *u = st->priv;
    ta_upscaler_free(&u->upscaler);
    int r = ta_rgb_check(&in->video, err);
    if (r < 0)
        return r;
    ta_video_format v = in->video;
    v.width *= u->model->shape.scale;
    v.height *= u->model->shape.scale;
    v.pix_fmt = u->out.pix_fmt;
    v.matrix = u->out.matrix;
    v.range = u->out.range;
    v.primaries = u->out.primaries;
    v.transfer = u->out.transfer;
    v.chroma_location = u->out.chroma_location;
    if (v.width <= 16384 && v.height <= 16384) {
        *out = *in;
        out->video = v;
        return 0;
    }
    ta_fail(err, TA_ERR_USAGE, "the model makes %dx%d of the picture, more than 16384 a side", v.width, v.height);
    return ta_hint(err, "choose a model with a smaller factor, or --engine classic");
}

static int open_runner(const ta_stage *st, const ta_tiling *t, ta_upscale_runner *runner, ta_error *err)
{
    const upscale *u = st->priv;
    ta_session *session = NULL;
    int r = ta_upscale_model_open(u->models, u->model, &u->run, t->width, t->height, &session, err);
    return r < 0 ? r
                 : ta_upscale_session_runner(runner, session, t->width, t->height, ta_upscale_models_cancel(u->models),
                                             err);
}

static int open_upscaler(ta_stage *st, ta_error *err)
{
    upscale *u = st->priv;
    ta_upscaler_options o = { .in = st->in.video,
                              .out = st->out.video,
                              .shape = shape_of(u),
                              .tolerance = u->tolerance,
                              .reuse = true,
                              .emit = pass_on,
                              .emit_to = st };
    int r = tiling_of(u, &o.in, &o.tiling, err);
    if (r < 0)
        return r;
    r = open_runner(st, &o.tiling, &o.runner, err);
    if (r < 0) {
        ta_tiling_free(&o.tiling);
        return r;
    }
    return ta_upscaler_new(&u->upscaler, &o, err);
}

static int upscale_push(ta_stage *st, AVFrame *frame, ta_error *err)
{
    upscale *u = st->priv;
    int r = u->upscaler ? 0 : open_upscaler(st, err);
    if (r < 0) {
        av_frame_free(&frame);
        return r;
    }
    return ta_upscaler_push(u->upscaler, frame, err);
}

static int upscale_drain(ta_stage *st, ta_error *err)
{
    upscale *u = st->priv;
    ta_upscale_counts c;
    if (!u->upscaler)
        return 0;
    int r = ta_upscaler_drain(u->upscaler, err);
    ta_upscaler_get_counts(u->upscaler, &c);
    ta_log(TA_LOG_VERBOSE, "upscale", "%llu frames (%llu held), %llu tiles computed, %llu used again",
           (unsigned long long)c.frames, (unsigned long long)c.held, (unsigned long long)c.tiles,
           (unsigned long long)c.reused);
    return r;
}

static int upscale_reset(ta_stage *st, ta_error *err)
{
    upscale *u = st->priv;
    (void)err;
    if (u->upscaler)
        ta_upscaler_reset(u->upscaler);
    return 0;
}

static void upscale_close(ta_stage *st)
{
    upscale *u = st->priv;
    ta_upscaler_free(&u->upscaler);
}

static const ta_stage_class upscale_class = {
    .name = "upscale",
    .size = sizeof(upscale),
    .configure = upscale_configure,
    .push = upscale_push,
    .drain = upscale_drain,
    .reset = upscale_reset,
    .close = upscale_close,
};

/* ---- Planning ------------------------------------------------------------------------------------------------------
 */

bool ta_upscale_is(const ta_stage *st)
{
    return st->cls == &upscale_class;
}

const char *ta_upscale_tiles(const ta_stage *st)
{
    const upscale *u = st->priv;
    return u->tiles;
}

static int find_model(ta_upscale_models *m, const ta_settings *s, const ta_upscale_model **model,
                      ta_session_options *run, ta_engine_info *info, ta_error *err)
{
    int r = ta_engine_choose(s, "the engine 'realesrgan'", run, info, err);
    return r < 0 ? r : ta_upscale_model_get(m, ta_get_text(s, TA_SET_upscale_model), run, model, err);
}

int ta_upscale_factor(void *models, const ta_settings *s, int *factor, ta_error *err)
{
    ta_engine_info info;
    ta_session_options run;
    const ta_upscale_model *model;
    int r = find_model(models, s, &model, &run, &info, err);
    if (r >= 0)
        *factor = model->shape.scale;
    return r;
}

/* Everything that the bytes of the result depend on: plans are compared by it. */
static char *spec_of(const upscale *u, const ta_engine_info *engine)
{
    ta_buf b = { 0 };
    ta_buf_addf(&b, "%s %dx (sha256 %.16s), %s %s %s, %s", u->model->name, u->model->shape.scale, u->model->sha256,
                engine->title, engine->version, ta_precision_name(u->run.precision), u->tiles);
    if (u->run.device != TA_DEVICE_CPU)
        ta_buf_addf(&b, ", %s", u->run.device == TA_DEVICE_CUDA ? "CUDA" : "TensorRT");
    if (u->tolerance > 0)
        ta_buf_addf(&b, ", tolerance %g", (double)u->tolerance * 255);
    return ta_buf_take(&b);
}

static int fill(upscale *u, const ta_settings *s, const ta_video_format *in, const ta_video_format *out, ta_error *err)
{
    ta_tiling t;
    ta_buf b = { 0 };
    u->out = *out;
    u->wish =
        (ta_tile_wish){ .tile = (int)ta_get_int(s, TA_SET_tile), .overlap = (int)ta_get_int(s, TA_SET_tile_overlap) };
    u->tolerance = (float)(ta_get_float(s, TA_SET_tile_tolerance) / 255);
    int r = ta_rgb_check(out, err);
    if (r >= 0)
        r = tiling_of(u, in, &t, err);
    if (r < 0)
        return r;
    ta_tiling_tell(&t, &b);
    ta_tiling_free(&t);
    snprintf(u->tiles, sizeof u->tiles, "%s", b.data ? b.data : "");
    r = b.failed ? ta_no_memory(err) : 0;
    ta_buf_free(&b);
    return r;
}

int ta_upscale_stage_new(void *models, const ta_settings *s, const ta_video_format *in, const ta_video_format *out,
                         ta_stage **st, ta_error *err)
{
    upscale u = { .models = models };
    ta_engine_info engine;
    *st = NULL;
    int r = find_model(models, s, &u.model, &u.run, &engine, err);
    if (r >= 0)
        r = fill(&u, s, in, out, err);
    if (r < 0)
        return r;
    char *spec = spec_of(&u, &engine);
    *st = spec ? ta_stage_new(&upscale_class, "upscale", spec) : NULL;
    ta_free(spec);
    if (!*st)
        return ta_no_memory(err);
    *(upscale *)(*st)->priv = u;
    return 0;
}

/* The first run of a request warms it up; the second one counts. Streams share the CPUs. */
static int measure_tile(ta_upscale_runner *r, double *seconds, ta_error *err)
{
    float *in;
    int code = 0;
    for (int i = 0; i < 2 && code >= 0; i++) {
        int64_t begun = ta_now_us();
        code = r->input(r->opaque, 0, &in, err);
        if (code >= 0)
            code = r->start(r->opaque, 0, err);
        if (code >= 0)
            code = r->wait(r->opaque, 0, err);
        *seconds = (double)(ta_now_us() - begun) / 1e6;
    }
    *seconds /= TA_MAX(r->slots - 1, 1);
    return code;
}

int ta_upscale_measure(const ta_stage *st, double *seconds, ta_error *err)
{
    const upscale *u = st->priv;
    ta_tiling t;
    ta_upscale_runner runner;
    *seconds = 0;
    int r = tiling_of(u, &st->in.video, &t, err);
    if (r < 0)
        return r;
    r = open_runner(st, &t, &runner, err);
    if (r >= 0) {
        r = measure_tile(&runner, seconds, err);
        *seconds *= t.count;
        runner.close(runner.opaque);
    }
    ta_tiling_free(&t);
    return r;
}
