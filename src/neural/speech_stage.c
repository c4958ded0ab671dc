/* The stage of a speech denoiser: samples to spectra, the denoiser, and back, each channel (or all of them together) on
 * a thread of its own. As many samples leave as came, at their own times. */
#include "neural/denoiser.h"
#include "neural/onnx_state.h"
#include "neural/sound_model.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 64 /* hops that are worked on at once */, MOST = 4096 /* samples of a frame */ };

typedef struct speech speech;

/* Channels that share a filter. */
typedef struct group {
    speech *s;
    int first, channels;
    void *denoiser;
    ta_stft *stft;
    int64_t frames; /* that the denoiser gave */
    float *heard;   /* [channels][2 hop] */
    float *bins;    /* [channels][hop + 1][2] */
    float *time;    /* [2 hop] */
    float *tail;    /* [channels][hop]: what the last frame adds to the next hop */
    ta_planes out;
    int status;
    ta_error err;
} group;

struct speech {
    ta_neural_sound *neural;
    const ta_denoiser_ops *ops;
    ta_sound_model model;
    float noisy, beta;
    bool linked;
    int threads;
    /* -- of a configured stage */
    ta_session *session[TA_DENOISER_PARTS];
    int workers; /* that the sessions are for */
    ta_pool *pool;
    group *groups;
    int n_groups;
    ta_planes in;
    bool begun, at_end;
    int hops; /* in the block that is worked on */
    int64_t first_pts, taken, given;
};

/* ---- One group --------------------------------------------------------------------------------------------------- */

/* A finished frame: its first half completes a hop, which is none before the first sample. */
static int take_frame(void *to, const float *bins, ta_error *err)
{
    group *g = to;
    const ta_denoiser_ops *ops = g->s->ops;
    size_t hop = (size_t)ops->hop;
    int64_t at = g->out.count;
    int r = g->frames ? ta_planes_grow(&g->out, ops->hop, err) : 0;
    for (int c = 0; r >= 0 && c < g->channels; c++) {
        float *tail = g->tail + (size_t)c * hop;
        ta_stft_inverse(g->stft, bins + (size_t)c * (hop + 1) * 2, 1 / (2 * (float)hop * ops->scale), g->time);
        for (size_t i = 0; g->frames && i < hop; i++)
            g->out.x[c][(size_t)at + i] = tail[i] + g->time[i];
        memcpy(tail, g->time + hop, hop * sizeof *tail);
    }
    g->frames++;
    return r;
}

static int push_hop(group *g, int64_t from, ta_error *err)
{
    const ta_denoiser_ops *ops = g->s->ops;
    size_t hop = (size_t)ops->hop;
    for (int c = 0; c < g->channels; c++) {
        float *heard = g->heard + (size_t)c * hop * 2;
        memmove(heard, heard + hop, hop * sizeof *heard);
        memcpy(heard + hop, g->s->in.x[g->first + c] + from, hop * sizeof *heard);
        ta_stft_forward(g->stft, heard, ops->scale, g->bins + (size_t)c * (hop + 1) * 2);
    }
    return ops->push(g->denoiser, g->bins, err);
}

static void work(void *arg, int i, int n)
{
    speech *s = arg;
    group *g = &s->groups[i];
    (void)n;
    for (int h = 0; g->status >= 0 && h < s->hops; h++)
        g->status = push_hop(g, (int64_t)h * s->ops->hop, &g->err);
    if (g->status >= 0 && s->at_end)
        g->status = s->ops->finish(g->denoiser, &g->err);
}

static void free_groups(speech *s)
{
    for (int i = 0; i < s->n_groups; i++) {
        group *g = &s->groups[i];
        s->ops->close(g->denoiser);
        ta_stft_free(&g->stft);
        ta_planes_free(&g->out);
        ta_free(g->heard);
        ta_free(g->bins);
        ta_free(g->time);
        ta_free(g->tail);
    }
    ta_freep(&s->groups);
    s->n_groups = 0;
}

static int open_group(speech *s, group *g, ta_error *err)
{
    size_t hop = (size_t)s->ops->hop, channels = (size_t)g->channels;
    ta_denoiser_options o = { .channels = g->channels,
                              .noisy = s->noisy,
                              .beta = s->beta,
                              .cancel = s->neural->cancel,
                              .emit = take_frame,
                              .emit_to = g };
    memcpy(o.parts, s->session, sizeof o.parts);
    g->s = s;
    g->heard = ta_array(channels * hop * 2, sizeof(float));
    g->bins = ta_array(channels * (hop + 1) * 2, sizeof(float));
    g->time = ta_array(hop * 2, sizeof(float));
    g->tail = ta_array(channels * hop, sizeof(float));
    int r = g->heard && g->bins && g->time && g->tail ? ta_planes_init(&g->out, g->channels, err) : ta_no_memory(err);
    if (r >= 0)
        r = ta_stft_new(&g->stft, s->ops->hop, s->ops->window, err);
    return r < 0 ? r : s->ops->open(&g->denoiser, &o, err);
}

/* ---- Loading ----------------------------------------------------------------------------------------------------- */

/* fp32, as bf16 costs what a denoiser is for; a thread for each channel. */
static void session_options(const speech *s, int part, ta_session_options *o, ta_input_shape *shapes)
{
    *o = (ta_session_options){ .precision = TA_PRECISION_FP32, .threads = s->workers, .streams = s->workers };
    o->shape_count = (size_t)s->ops->shapes(part, shapes);
    o->shapes = shapes;
    o->rewrite = s->ops->frees_state ? ta_onnx_free_state : NULL;
}

/* Begins to load all parts, side by side with the first decoding. */
static int start_loading(speech *s, ta_error *err)
{
    int r = 0;
    for (int i = 0; r >= 0 && i < s->model.parts; i++) {
        ta_session_options o;
        ta_input_shape shapes[TA_SESSION_PORTS];
        session_options(s, i, &o, shapes);
        r = ta_models_start(s->neural->models, s->model.at[i].name, s->model.at[i].part, &o, err);
    }
    return r;
}

static int get_sessions(speech *s, ta_error *err)
{
    int r = 0;
    for (int i = 0; r >= 0 && i < s->model.parts; i++) {
        ta_session_options o;
        ta_input_shape shapes[TA_SESSION_PORTS];
        session_options(s, i, &o, shapes);
        if (!s->session[i])
            r = ta_models_get(s->neural->models, s->model.at[i].name, s->model.at[i].part, &o, &s->session[i], NULL,
                              s->neural->cancel, err);
    }
    return r;
}

static int begin(ta_stage *st, ta_error *err)
{
    speech *s = st->priv;
    int channels = st->in.audio.layout.nb_channels, groups = s->linked ? 1 : channels;
    int r = get_sessions(s, err);
    if (r < 0)
        return r;
    if (s->workers > 1 && !s->pool && !(s->pool = ta_pool_new(s->workers - 1, "speech")))
        return ta_no_memory(err);
    s->groups = ta_array((size_t)groups, sizeof *s->groups);
    if (!s->groups)
        return ta_no_memory(err);
    s->n_groups = groups;
    for (int i = 0; r >= 0 && i < groups; i++) {
        s->groups[i].first = i;
        s->groups[i].channels = s->linked ? channels : 1;
        r = open_group(s, &s->groups[i], err);
    }
    s->begun = r >= 0;
    return r;
}

/* ---- The stage --------------------------------------------------------------------------------------------------- */

static void let_go(speech *s)
{
    for (int i = 0; i < TA_DENOISER_PARTS; i++)
        ta_session_free(&s->session[i]);
    ta_pool_free(&s->pool);
}

static int speech_configure(ta_stage *st, const ta_link *in, ta_link *out, ta_error *err)
{
    speech *s = st->priv;
    int workers = s->linked ? 1 : TA_MIN(in->audio.layout.nb_channels, s->threads ? s->threads : ta_cpu_count());
    if (in->audio.sample_rate != s->ops->rate || in->audio.sample_fmt != AV_SAMPLE_FMT_FLTP)
        return ta_fail(err, TA_ERR_SOFTWARE, "%s gets sound of another form than its own", s->ops->title);
    *out = *in;
    free_groups(s);
    ta_planes_free(&s->in);
    if (workers != s->workers)
        let_go(s);
    s->workers = workers;
    s->begun = s->at_end = false;
    s->first_pts = s->taken = s->given = 0;
    int r = ta_planes_init(&s->in, in->audio.layout.nb_channels, err);
    return r < 0 || s->session[0] ? r : start_loading(s, err);
}

/* Samples that all groups have finished and nobody got. */
static int64_t finished(const speech *s)
{
    int64_t least = s->taken - s->given;
    for (int i = 0; i < s->n_groups; i++)
        least = TA_MIN(least, s->groups[i].out.count);
    return least;
}

/* The groups' rows, in the order of the channels, as if they were one. */
static AVFrame *make_frame(ta_stage *st, int64_t from, int count)
{
    speech *s = st->priv;
    float *rows[64];
    ta_planes all = { .channels = st->in.audio.layout.nb_channels, .x = rows };
    for (int i = 0; i < s->n_groups; i++)
        for (int c = 0; c < s->groups[i].channels; c++)
            rows[s->groups[i].first + c] = s->groups[i].out.x[c];
    return ta_planes_frame(&all, from, count, &st->out.audio, s->first_pts + s->given);
}

static int emit_finished(ta_stage *st, ta_error *err)
{
    speech *s = st->priv;
    int64_t count = finished(s), at = 0;
    int r = 0;
    while (r >= 0 && at < count) {
        int part = (int)TA_MIN(count - at, MOST);
        AVFrame *f = make_frame(st, at, part);
        at += part;
        s->given += part;
        r = f ? st->emit(st->emit_to, f, err) : ta_no_memory(err);
    }
    for (int i = 0; i < s->n_groups; i++)
        ta_planes_drop(&s->groups[i].out, at);
    return r;
}

static int work_on(ta_stage *st, int hops, ta_error *err)
{
    speech *s = st->priv;
    int r = s->begun ? 0 : begin(st, err);
    if (r < 0)
        return r;
    s->hops = hops;
    ta_pool_slices(s->pool, work, s, s->n_groups);
    ta_planes_drop(&s->in, (int64_t)hops * s->ops->hop);
    for (int i = 0; i < s->n_groups; i++)
        if (s->groups[i].status < 0) {
            if (err)
                *err = s->groups[i].err;
            return s->groups[i].status;
        }
    return emit_finished(st, err);
}

static int speech_push(ta_stage *st, AVFrame *frame, ta_error *err)
{
    speech *s = st->priv;
    if (s->taken == 0)
        s->first_pts = frame->pts == AV_NOPTS_VALUE ? 0 : frame->pts;
    int r = ta_planes_add(&s->in, frame, err);
    s->taken += frame->nb_samples;
    av_frame_free(&frame);
    while (r >= 0 && s->in.count >= (int64_t)BLOCK * s->ops->hop)
        r = work_on(st, BLOCK, err);
    return r;
}

/* The last hop is filled up, and one more completes it. */
static int speech_drain(ta_stage *st, ta_error *err)
{
    speech *s = st->priv;
    int64_t hop = s->ops->hop, hops = (s->in.count + hop - 1) / hop + 1;
    if (!s->taken)
        return 0;
    int r = ta_planes_grow(&s->in, hops * hop - s->in.count, err);
    s->at_end = true;
    return r < 0 ? r : work_on(st, (int)hops, err);
}

static void speech_close(ta_stage *st)
{
    speech *s = st->priv;
    if (s->ops)
        free_groups(s);
    let_go(s);
    ta_planes_free(&s->in);
    ta_sound_model_free(&s->model);
}

static const ta_stage_class speech_class = {
    .name = "speech",
    .size = sizeof(speech),
    .configure = speech_configure,
    .push = speech_push,
    .drain = speech_drain,
    .close = speech_close,
};

/* ---- Planning ---------------------------------------------------------------------------------------------------- */

/* Everything that the samples depend on: what is finished of a job is compared by it. */
static char *spec_of(const speech *s, double limit, const char *engine)
{
    ta_buf b = { 0 };
    ta_buf_addf(&b, "%s (sha256 %.16s), %s fp32, channels %s", s->ops->title, s->model.sha256, engine,
                s->linked ? "linked" : "each");
    if (limit < 100)
        ta_buf_addf(&b, ", limit %g dB", limit);
    if (s->beta > 0)
        ta_buf_addf(&b, ", post filter %g", (double)s->beta);
    return ta_buf_take(&b);
}

int ta_speech_stage_new(ta_neural_sound *n, const ta_denoiser_ops *ops, ta_sound_model *model, const ta_settings *s,
                        const char *engine, ta_stage **st, ta_error *err)
{
    double limit = ta_get_float(s, TA_SET_speech_limit);
    speech fresh = { .neural = n,
                     .ops = ops,
                     .model = *model,
                     .noisy = limit < 100 ? (float)pow(10, -limit / 20) : 0,
                     .beta = ops->post_filter ? (float)ta_get_float(s, TA_SET_speech_post_filter) : 0,
                     .linked = ta_get_is(s, TA_SET_speech_channels, "linked"),
                     .threads = (int)ta_get_int(s, TA_SET_threads) };
    char *spec = spec_of(&fresh, limit, engine);
    *model = (ta_sound_model){ 0 };
    *st = spec ? ta_stage_new(&speech_class, "speech", spec) : NULL;
    ta_free(spec);
    if (!*st) {
        ta_sound_model_free(&fresh.model);
        return ta_no_memory(err);
    }
    *(speech *)(*st)->priv = fresh;
    return 0;
}
