/* A libavfilter graph made exact in time: filters that work on blocks (afftdn, anlmdn, surround) delay their samples
 * and swallow the tail. This stage feeds silence behind the end, drops the delay, and gives out exactly as many
 * samples as came in, from the time of the first on. `block`: dynaudnorm reads beyond the end of a last frame that is
 * shorter than its own frames (libavfilter 8.44), so the silence fills the last one up. */
#include <inttypes.h>

#include "sound/internal.h"

typedef struct exact {
    ta_chain chain; /* the graph, or the stages that were given */
    bool given_chain;
    int64_t latency, skip; /* samples of delay; those of them not dropped yet */
    int64_t block;         /* what the chain gets is a multiple of this many samples */
    int64_t in, out;       /* samples taken and given */
    int64_t first_pts;
} exact;

static int read_spec(exact *x, const char *spec, const char **graph)
{
    int used = 0;
    int n = sscanf(spec, "latency=%" SCNd64 ":block=%" SCNd64 ";%n", &x->latency, &x->block, &used);
    *graph = spec + used;
    return n == 2 && used > 0 && x->latency >= 0 && x->block > 0 ? 0 : TA_ERR_SOFTWARE;
}

/* The samples [from, from + count) of a frame as a frame of their own: later filters expect aligned data. */
static AVFrame *cut(const AVFrame *frame, int from, int count)
{
    AVFrame *part = av_frame_alloc();
    if (!part)
        return NULL;
    part->nb_samples = count;
    part->format = frame->format;
    part->sample_rate = frame->sample_rate;
    if (av_channel_layout_copy(&part->ch_layout, &frame->ch_layout) < 0 || av_frame_get_buffer(part, 0) < 0 ||
        av_frame_copy_props(part, frame) < 0) {
        av_frame_free(&part);
        return NULL;
    }
    av_samples_copy(part->extended_data, frame->extended_data, 0, from, count, frame->ch_layout.nb_channels,
                    frame->format);
    return part;
}

static int give(ta_stage *st, AVFrame *frame, ta_error *err)
{
    exact *x = st->priv;
    frame->pts = x->first_pts + x->out;
    x->out += frame->nb_samples;
    return st->emit(st->emit_to, frame, err);
}

/* Takes what the chain gives: drops the delay, stops at the length of the input. */
static int take_from_chain(void *to, AVFrame *frame, ta_error *err)
{
    ta_stage *st = to;
    exact *x = st->priv;
    int64_t from = TA_MIN(x->skip, frame->nb_samples);
    int64_t count = TA_MIN(frame->nb_samples - from, x->in - x->out);
    x->skip -= from;
    if (count == frame->nb_samples)
        return give(st, frame, err);
    AVFrame *part = NULL;
    if (count > 0)
        part = cut(frame, (int)from, (int)count);
    av_frame_free(&frame);
    if (count <= 0)
        return 0;
    return part ? give(st, part, err) : ta_no_memory(err);
}

static AVFrame *silence(const ta_link *link, int count)
{
    AVFrame *frame = av_frame_alloc();
    if (!frame)
        return NULL;
    frame->nb_samples = count;
    frame->format = link->audio.sample_fmt;
    frame->sample_rate = link->audio.sample_rate;
    if (av_channel_layout_copy(&frame->ch_layout, &link->audio.layout) < 0 || av_frame_get_buffer(frame, 0) < 0) {
        av_frame_free(&frame);
        return NULL;
    }
    av_samples_set_silence(frame->extended_data, 0, count, frame->ch_layout.nb_channels, frame->format);
    return frame;
}

static int exact_configure(ta_stage *st, const ta_link *in, ta_link *out, ta_error *err)
{
    exact *x = st->priv;
    const char *graph = NULL;
    if (read_spec(x, st->spec, &graph) < 0)
        return ta_fail(err, TA_ERR_SOFTWARE, "'%s' is no spec of an exact stage", st->spec);
    if (!x->given_chain) {
        ta_chain_free(&x->chain);
        if (ta_chain_add(&x->chain, ta_stage_new(&ta_filter_stage, st->name, graph)) < 0)
            return ta_no_memory(err);
    }
    for (int i = 0; i < x->chain.count; i++)
        x->chain.stages[i]->threads = st->threads;
    x->skip = x->latency;
    x->in = x->out = x->first_pts = 0;
    return ta_chain_configure(&x->chain, in, out, err);
}

static int exact_push(ta_stage *st, AVFrame *frame, ta_error *err)
{
    exact *x = st->priv;
    if (x->in == 0)
        x->first_pts = frame->pts == AV_NOPTS_VALUE ? 0 : frame->pts;
    x->in += frame->nb_samples;
    return ta_chain_push(&x->chain, frame, take_from_chain, st, err);
}

/* Pushes `count` samples of silence behind the end, in frames of a handy size. */
static int push_tail(ta_stage *st, int64_t count, ta_error *err)
{
    exact *x = st->priv;
    for (int64_t done = 0; done < count; done += 1024) {
        AVFrame *frame = silence(&st->in, (int)TA_MIN(count - done, 1024));
        if (!frame)
            return ta_no_memory(err);
        frame->pts = x->first_pts + x->in + done;
        int r = ta_chain_push(&x->chain, frame, take_from_chain, st, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int exact_drain(ta_stage *st, ta_error *err)
{
    exact *x = st->priv;
    int64_t tail = x->latency + (x->block - (x->in + x->latency) % x->block) % x->block;
    int r = x->in > 0 ? push_tail(st, tail, err) : 0;
    if (r >= 0)
        r = ta_chain_push(&x->chain, NULL, take_from_chain, st, err);
    while (r >= 0 && x->out < x->in) {
        AVFrame *frame = silence(&st->out, (int)TA_MIN(x->in - x->out, 4096));
        r = frame ? give(st, frame, err) : ta_no_memory(err);
    }
    return r;
}

static void exact_close(ta_stage *st)
{
    exact *x = st->priv;
    ta_chain_free(&x->chain);
}

const ta_stage_class ta_exact_stage = {
    .name = "exact",
    .size = sizeof(exact),
    .configure = exact_configure,
    .push = exact_push,
    .drain = exact_drain,
    .close = exact_close,
};

ta_stage *ta_exact_stage_of(const char *name, int latency, int block, ta_chain *chain)
{
    ta_buf spec = { 0 };
    ta_buf_addf(&spec, "latency=%d:block=%d;", latency, block);
    for (int i = 0; i < chain->count; i++)
        ta_buf_addf(&spec, "%s%s", i ? " | " : "", chain->stages[i]->spec);
    char *text = ta_buf_take(&spec);
    ta_stage *st = text ? ta_stage_new(&ta_exact_stage, name, text) : NULL;
    ta_free(text);
    if (!st) {
        ta_chain_free(chain);
        return NULL;
    }
    exact *x = st->priv;
    x->chain = *chain;
    x->given_chain = true;
    *chain = (ta_chain){ 0 };
    return st;
}
