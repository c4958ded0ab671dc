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

void ta_sound_step(ta_sound_build *b, int step)
{
    const int64_t seldom = 120 * (int64_t)b->now.sample_rate;
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
