/* What the tests of sound share: signals in memory, running them through our stages, and through graphs of
 * libavfilter written by hand: the oracle. */
#ifndef TA_TESTS_SOUND_KIT_H
#define TA_TESTS_SOUND_KIT_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>

#include "shared_kit.h"
#include "sound/sound.h"

/* The root of the checkout that the test's program was built in. */
static inline const char *kit_root(void)
{
    static char path[1024];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 32);
    path[n > 0 ? n : 0] = 0;
    for (char *slash; (slash = strrchr(path, '/')) && slash != path;) {
        snprintf(slash, 32, "/scripts/fetch-engines");
        bool here = access(path, R_OK) == 0;
        *slash = 0;
        if (here)
            return path;
    }
    return ".";
}

typedef struct sig {
    int rate;
    AVChannelLayout layout;
    int64_t n, cap, first_pts;
    bool continuous; /* each frame's pts was where the one before ended */
    enum AVSampleFormat fmt;
    double *x[8];
} sig;

static inline sig *sig_new(int rate, const char *layout, int64_t n)
{
    sig *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->rate = rate;
    s->n = s->cap = n;
    s->continuous = true;
    assert_int_equal(av_channel_layout_from_string(&s->layout, layout), 0);
    for (int c = 0; c < s->layout.nb_channels; c++)
        assert_non_null(s->x[c] = calloc((size_t)n + 1, sizeof **s->x));
    return s;
}

static inline void sig_free(sig *s)
{
    for (int c = 0; c < 8; c++)
        free(s->x[c]);
    free(s);
}

/* Adds a sine to channel `c`, from second `from` to `to` (negative: to the end). */
static inline void sig_sine(sig *s, int c, double hz, double dbfs, double phase, double from, double to)
{
    int64_t a = llrint(from * s->rate), b = to < 0 ? s->n : llrint(to * s->rate);
    double amp = pow(10, dbfs / 20);
    for (int64_t i = a; i < b && i < s->n; i++)
        s->x[c][i] += amp * sin(2 * M_PI * hz * (double)i / s->rate + phase);
}

/* Adds white noise of an RMS level; the same for the same seed. */
static inline void sig_noise(sig *s, int c, double dbfs, uint32_t seed)
{
    double amp = pow(10, dbfs / 20) * sqrt(3);
    uint32_t state = seed * 2654435761u + 1;
    for (int64_t i = 0; i < s->n; i++) {
        state = state * 1664525u + 1013904223u;
        s->x[c][i] += amp * ((double)state / 2147483648.0 - 1);
    }
}

static inline AVFrame *sig_frame(const sig *s, int64_t from, int count, enum AVSampleFormat fmt, int64_t start_pts)
{
    AVFrame *f = av_frame_alloc();
    assert_non_null(f);
    f->nb_samples = count;
    f->format = fmt;
    f->sample_rate = s->rate;
    f->ch_layout = s->layout;
    f->pts = start_pts + from;
    assert_true(av_frame_get_buffer(f, 0) >= 0);
    for (int c = 0; c < s->layout.nb_channels; c++)
        for (int i = 0; i < count; i++) {
            double v = s->x[c][from + i];
            switch (fmt) {
            case AV_SAMPLE_FMT_S16:
                ((int16_t *)f->data[0])[i * s->layout.nb_channels + c] =
                    (int16_t)lrint(TA_CLAMP(v, -1, 32767 / 32768.0) * 32768);
                break;
            case AV_SAMPLE_FMT_S16P:
                ((int16_t *)f->extended_data[c])[i] = (int16_t)lrint(TA_CLAMP(v, -1, 32767 / 32768.0) * 32768);
                break;
            case AV_SAMPLE_FMT_FLTP:
                ((float *)f->extended_data[c])[i] = (float)v;
                break;
            case AV_SAMPLE_FMT_DBLP:
                ((double *)f->extended_data[c])[i] = v;
                break;
            default:
                fail_msg("sig_frame: format");
            }
        }
    return f;
}

static inline void sig_append(sig *s, const AVFrame *f)
{
    if (s->n == 0) {
        s->rate = f->sample_rate;
        s->layout = f->ch_layout;
        s->first_pts = f->pts;
        s->fmt = f->format;
    }
    s->continuous = s->continuous && f->pts == s->first_pts + s->n;
    assert_int_equal(f->ch_layout.nb_channels, s->layout.nb_channels);
    if (s->n + f->nb_samples > s->cap) {
        s->cap = 2 * (s->n + f->nb_samples);
        for (int c = 0; c < 8; c++)
            assert_non_null(s->x[c] = realloc(s->x[c], (size_t)s->cap * sizeof **s->x));
    }
    for (int c = 0; c < s->layout.nb_channels; c++)
        for (int i = 0; i < f->nb_samples; i++) {
            double v = 0;
            if (f->format == AV_SAMPLE_FMT_FLTP)
                v = ((float *)f->extended_data[c])[i];
            else if (f->format == AV_SAMPLE_FMT_FLT)
                v = ((float *)f->data[0])[i * f->ch_layout.nb_channels + c];
            else if (f->format == AV_SAMPLE_FMT_DBLP)
                v = ((double *)f->extended_data[c])[i];
            else if (f->format == AV_SAMPLE_FMT_S16P)
                v = ((int16_t *)f->extended_data[c])[i] / 32768.0;
            else if (f->format == AV_SAMPLE_FMT_S16)
                v = ((int16_t *)f->data[0])[i * f->ch_layout.nb_channels + c] / 32768.0;
            else
                fail_msg("sig_append: format %s", av_get_sample_fmt_name(f->format));
            s->x[c][s->n + i] = v;
        }
    s->n += f->nb_samples;
}

static inline int sig_collect(void *to, AVFrame *f, ta_error *err)
{
    (void)err;
    sig_append(to, f);
    av_frame_free(&f);
    return 0;
}

static inline sig *sig_empty(void)
{
    sig *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->continuous = true;
    return s;
}

/* Frames of odd sizes, as decoders and gaps make them. */
static inline int sig_frame_size(int64_t at, int64_t n)
{
    static const int sizes[] = { 1024, 1152, 333, 1536, 1, 4096, 777 };
    return (int)TA_MIN(n - at, sizes[(at / 64) % 7]);
}

#define assert_ok(expr, err)                                                                                           \
    do {                                                                                                               \
        if ((expr) < 0) {                                                                                              \
            char text_[1024];                                                                                          \
            fail_msg("%s: %s", #expr, ta_error_string((err), text_, 1024));                                            \
        }                                                                                                              \
    } while (0)

static inline sig *sig_run(ta_chain *chain, const sig *in, enum AVSampleFormat fmt, int64_t start_pts)
{
    ta_error err = { 0 };
    ta_link link = { .type = AVMEDIA_TYPE_AUDIO, .audio = { in->rate, in->layout, fmt } }, out;
    assert_ok(ta_chain_configure(chain, &link, &out, &err), &err);
    sig *to = sig_empty();
    for (int64_t at = 0; at < in->n;) {
        int count = sig_frame_size(at, in->n);
        assert_ok(ta_chain_push(chain, sig_frame(in, at, count, fmt, start_pts), sig_collect, to, &err), &err);
        at += count;
    }
    assert_ok(ta_chain_push(chain, NULL, sig_collect, to, &err), &err);
    return to;
}

/* A graph written by hand, with libavfilter's own conversions; output planar double unless the graph says float. */
static inline sig *sig_graph(const char *spec, const sig *in, enum AVSampleFormat fmt)
{
    AVFilterGraph *g = avfilter_graph_alloc();
    AVFilterContext *src = NULL, *sink = NULL;
    AVFilterInOut *outputs = avfilter_inout_alloc(), *inputs = avfilter_inout_alloc();
    char args[256], layout[64];
    av_channel_layout_describe(&in->layout, layout, sizeof layout);
    snprintf(args, sizeof args, "sample_rate=%d:sample_fmt=%s:channel_layout=%s:time_base=1/%d", in->rate,
             av_get_sample_fmt_name(fmt), layout, in->rate);
    assert_true(avfilter_graph_create_filter(&src, avfilter_get_by_name("abuffer"), "in", args, NULL, g) >= 0);
    assert_true(avfilter_graph_create_filter(&sink, avfilter_get_by_name("abuffersink"), "out", NULL, NULL, g) >= 0);
    outputs->name = av_strdup("in");
    outputs->filter_ctx = src;
    inputs->name = av_strdup("out");
    inputs->filter_ctx = sink;
    if (avfilter_graph_parse_ptr(g, spec, &inputs, &outputs, NULL) < 0 || avfilter_graph_config(g, NULL) < 0)
        fail_msg("graph: %s", spec);
    sig *to = sig_empty();
    AVFrame *out = av_frame_alloc();
    for (int64_t at = 0; at <= in->n;) {
        int count = sig_frame_size(at, in->n);
        AVFrame *f = at < in->n ? sig_frame(in, at, count, fmt, 0) : NULL;
        assert_true(av_buffersrc_add_frame(src, f) >= 0);
        av_frame_free(&f);
        while (av_buffersink_get_frame(sink, out) >= 0) {
            sig_append(to, out);
            av_frame_unref(out);
        }
        at += count ? count : 1;
    }
    av_frame_free(&out);
    avfilter_inout_free(&inputs);
    avfilter_inout_free(&outputs);
    avfilter_graph_free(&g);
    return to;
}

/* ---- Settings and plans ---------------------------------------------------------------------------------------- */

/* Settings from "name=value name=value" over the defaults. */
static inline ta_settings *kit_settings(const char *pairs)
{
    ta_settings *s = ta_settings_new();
    assert_non_null(s);
    char *copy = strdup(pairs), *save = NULL;
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        ta_error err = { 0 };
        char *value = strchr(word, '=');
        *value++ = 0;
        assert_ok(ta_settings_set(s, word, value, TA_FROM_COMMAND_LINE, NULL, &err), &err);
    }
    free(copy);
    return s;
}

typedef struct plan {
    ta_chain chain;
    ta_sound_target target;
    ta_buf notes;
    ta_error err;
    int status;
} plan;

static inline void kit_plan(plan *p, const char *pairs, const char *layout, int rate, enum AVSampleFormat fmt,
                            const char *codec)
{
    *p = (plan){ 0 };
    ta_settings *s = kit_settings(pairs);
    ta_audio_format in = { .sample_rate = rate, .sample_fmt = fmt };
    assert_int_equal(av_channel_layout_from_string(&in.layout, layout), 0);
    p->status = ta_sound_plan(s, &in, NULL, NULL, codec, &p->chain, &p->target, &p->notes, &p->err);
    ta_settings_free(&s);
}

static inline void kit_plan_free(plan *p)
{
    ta_chain_free(&p->chain);
    ta_buf_free(&p->notes);
}

/* Plans for `in` and runs it; the caller frees the result. */
static inline sig *kit_run(const char *pairs, const sig *in, enum AVSampleFormat fmt, const char *codec)
{
    char layout[64];
    plan p;
    av_channel_layout_describe(&in->layout, layout, sizeof layout);
    kit_plan(&p, pairs, layout, in->rate, fmt, codec);
    assert_ok(p.status, &p.err);
    sig *out = sig_run(&p.chain, in, fmt, 0);
    assert_int_equal(out->rate, p.target.format.sample_rate);
    assert_int_equal(out->fmt, p.target.format.sample_fmt);
    assert_int_equal(av_channel_layout_compare(&out->layout, &p.target.format.layout), 0);
    kit_plan_free(&p);
    return out;
}

/* ---- Measures -------------------------------------------------------------------------------------------------- */

/* Amplitude of a sine of `hz` in samples [from, to), by projection; whole periods are the caller's care. */
static inline double kit_tone(const sig *s, int c, double hz, int64_t from, int64_t to)
{
    double re = 0, im = 0;
    for (int64_t i = from; i < to; i++) {
        re += s->x[c][i] * cos(2 * M_PI * hz * (double)i / s->rate);
        im += s->x[c][i] * sin(2 * M_PI * hz * (double)i / s->rate);
    }
    return 2 * hypot(re, im) / (double)(to - from);
}

static inline double kit_db(double ratio)
{
    return 20 * log10(TA_MAX(ratio, 1e-12));
}

/* Where the largest sample is. */
static inline int64_t kit_peak(const sig *s, int c)
{
    int64_t best = 0;
    for (int64_t i = 1; i < s->n; i++)
        if (fabs(s->x[c][i]) > fabs(s->x[c][best]))
            best = i;
    return best;
}

static inline double kit_rms(const sig *s, int c, int64_t from, int64_t to)
{
    double sum = 0;
    for (int64_t i = from; i < to; i++)
        sum += s->x[c][i] * s->x[c][i];
    return sqrt(sum / (double)(to - from));
}

#endif
