/* The small steps that every part of a plan is made of: notes, sample formats, stages. */
#include "sound/internal.h"

void ta_sound_note(ta_sound_build *b, const char *fmt, ...)
{
    if (!b->notes)
        return;
    va_list args;
    va_start(args, fmt);
    char *line = ta_vformat(fmt, args);
    va_end(args);
    if (line)
        ta_buf_addf(b->notes, "%s\n", line);
    else
        b->notes->failed = true;
    ta_free(line);
}

void ta_sound_then(ta_buf *spec, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *part = ta_vformat(fmt, args);
    va_end(args);
    if (spec->len > 0)
        ta_buf_add(spec, ",");
    if (part)
        ta_buf_add(spec, part);
    else
        spec->failed = true;
    ta_free(part);
}

void ta_sound_want(ta_sound_build *b, ta_buf *spec, enum AVSampleFormat fmt)
{
    if (b->now.sample_fmt != fmt)
        ta_sound_then(spec, "aresample=osf=%s", av_get_sample_fmt_name(fmt));
    b->now.sample_fmt = fmt;
}

static int add(ta_sound_build *b, const ta_stage_class *cls, const char *name, const char *spec)
{
    ta_stage *st = spec ? ta_stage_new(cls, name, spec) : NULL;
    return st && ta_chain_add(b->chain, st) == 0 ? 0 : ta_no_memory(b->err);
}

int ta_sound_add(ta_sound_build *b, const char *name, ta_buf *spec)
{
    char *text = ta_buf_take(spec);
    int r = add(b, &ta_filter_stage, name, text);
    ta_free(text);
    return r;
}

int ta_sound_add_exact(ta_sound_build *b, const char *name, int latency, int block, ta_buf *spec)
{
    char *graph = ta_buf_take(spec);
    char *text = graph ? ta_format("latency=%d:block=%d;%s", latency, block, graph) : NULL;
    int r = add(b, &ta_exact_stage, name, text);
    ta_free(graph);
    ta_free(text);
    return r;
}

/* A resampler that leaves planar floats; with the rate that is there already, only those. */
static ta_stage *resampler(const ta_sound_build *b, const char *name, int from, int to)
{
    ta_buf spec = { 0 };
    ta_sound_build fork = *b;
    if (from != to) {
        ta_sound_want(&fork, &spec, AV_SAMPLE_FMT_DBLP);
        ta_sound_then(&spec, "aresample=osr=%d:" TA_RESAMPLER, to);
    }
    ta_sound_want(&fork, &spec, AV_SAMPLE_FMT_FLTP);
    char *text = ta_buf_take(&spec);
    ta_stage *st = text ? ta_stage_new(&ta_filter_stage, name, text) : NULL;
    ta_free(text);
    return st;
}

static int wrap_part(ta_sound_build *b, const char *name, ta_sound_part *part)
{
    int rate = b->now.sample_rate, r = 0;
    ta_chain chain = { 0 };
    if (rate != part->rate || b->now.sample_fmt != AV_SAMPLE_FMT_FLTP)
        r = ta_chain_add(&chain, resampler(b, name, rate, part->rate));
    b->now.sample_fmt = AV_SAMPLE_FMT_FLTP;
    if (r < 0)
        ta_stage_free(&part->stage);
    else
        r = ta_chain_add(&chain, part->stage);
    if (r >= 0 && rate != part->rate)
        r = ta_chain_add(&chain, resampler(b, name, part->rate, rate));
    if (r < 0) {
        ta_chain_free(&chain);
        return ta_no_memory(b->err);
    }
    int64_t block = rate / av_gcd(rate, part->rate); /* whole samples at both rates */
    ta_stage *st = ta_exact_stage_of(name, 0, (int)block, &chain);
    return st && ta_chain_add(b->chain, st) == 0 ? 0 : ta_no_memory(b->err);
}

int ta_sound_add_model(ta_sound_build *b, ta_sound_task task, const char *method, const AVChannelLayout *out)
{
    static const char *const names[] = { [TA_SOUND_SPEECH] = "speech" };
    ta_sound_part part = { 0 };
    if (!b->engines)
        return ta_fail(b->err, TA_ERR_UNAVAILABLE, "%s: nothing is there that could run its model", method);
    int r = b->engines->make(b->engines->opaque, task, method, b->s, &part, b->err);
    if (r < 0)
        return r;
    int64_t step = (int64_t)part.step * b->now.sample_rate;
    ta_sound_step(b, (int)(step / av_gcd(step, part.rate)));
    ta_sound_note(b, "%s: %s", names[task], part.text);
    r = wrap_part(b, names[task], &part);
    b->now.layout = *out;
    return r;
}

void ta_sound_step(ta_sound_build *b, int step_there)
{
    const int64_t seldom = 120 * (int64_t)b->source_rate;
    int64_t there = (int64_t)step_there * b->source_rate;
    int step = (int)(there / av_gcd(there, b->now.sample_rate)); /* the first multiple that is whole samples */
    int64_t both = (int64_t)b->phase / av_gcd(b->phase, step) * step;
    b->phase = both <= seldom ? (int)both : TA_MAX(b->phase, step);
}

const char *ta_sound_layout_name(const AVChannelLayout *layout, char text[64])
{
    if (av_channel_layout_describe(layout, text, 64) < 0)
        snprintf(text, 64, "%d channels", layout->nb_channels);
    return text;
}

double ta_sound_centre(const ta_settings *s)
{
    double mix = ta_get_float(s, TA_SET_centre_mix);
    return fabs(mix - M_SQRT1_2) < 0.0005 ? M_SQRT1_2 : mix;
}
