/* What the tests of the picture share: sources, frames made by formula, plans as text, running chains and, as the
 * oracle, graphs of libavfilter written by hand. */
#ifndef TA_TESTS_PICTURE_KIT_H
#define TA_TESTS_PICTURE_KIT_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/imgutils.h>

#include "picture/picture.h"

/* ---- Settings and sources --------------------------------------------------------------------------------------- */

/* Defaults with "name=value name=value" on top; NULL and a reason when a value is refused. */
static inline ta_settings *kit_try_settings(const char *text, ta_error *err)
{
    ta_settings *s = ta_settings_new();
    assert_non_null(s);
    int r = 0;
    char *copy = ta_strdup(text), *save = NULL;
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        char *eq = strchr(word, '=');
        assert_non_null(eq);
        *eq = 0;
        if (r >= 0)
            r = ta_settings_set(s, word, eq + 1, TA_FROM_COMMAND_LINE, NULL, err);
    }
    ta_free(copy);
    if (r < 0)
        ta_settings_free(&s);
    return s;
}

static inline ta_settings *kit_settings(const char *text)
{
    ta_error err = { 0 };
    ta_settings *s = kit_try_settings(text, &err);
    if (!s)
        fail_msg("'%s': %s", text, err.text[0]);
    return s;
}

/* An NTSC tape: 720x480, 4:3, top field first. */
static inline ta_picture_source kit_ntsc(void)
{
    ta_picture_source src = { .scan = TA_SCAN_INTERLACED, .order = TA_FIELDS_TFF };
    src.video = (ta_video_format){ .width = 720,
                                   .height = 480,
                                   .pix_fmt = AV_PIX_FMT_YUV420P,
                                   .sar = { 8, 9 },
                                   .frame_rate = { 30000, 1001 },
                                   .time_base = { 1, 90000 },
                                   .primaries = AVCOL_PRI_SMPTE170M,
                                   .transfer = AVCOL_TRC_SMPTE170M,
                                   .matrix = AVCOL_SPC_SMPTE170M,
                                   .range = AVCOL_RANGE_MPEG,
                                   .chroma_location = AVCHROMA_LOC_LEFT,
                                   .fields = TA_FIELDS_TFF };
    return src;
}

static inline ta_picture_source kit_pal(void)
{
    ta_picture_source src = kit_ntsc();
    src.video.height = 576;
    src.video.sar = (AVRational){ 16, 15 };
    src.video.frame_rate = (AVRational){ 25, 1 };
    src.video.primaries = AVCOL_PRI_BT470BG;
    src.video.matrix = AVCOL_SPC_BT470BG;
    return src;
}

/* A small progressive picture. */
static inline ta_picture_source kit_small(enum AVPixelFormat fmt)
{
    ta_picture_source src = kit_ntsc();
    src.scan = TA_SCAN_PROGRESSIVE;
    src.order = TA_FIELDS_PROGRESSIVE;
    src.video.width = 160;
    src.video.height = 120;
    src.video.sar = (AVRational){ 1, 1 };
    src.video.pix_fmt = fmt;
    src.video.fields = TA_FIELDS_PROGRESSIVE;
    return src;
}

/* ---- Plans ------------------------------------------------------------------------------------------------------ */

typedef struct kit_plan {
    ta_chain chain;
    ta_buf notes;
    ta_picture_counts counts;
    ta_error err;
    int status;
    char *text; /* "name[spec] name[spec]", without the captions' two ends */
} kit_plan;

static inline void kit_plan_make(kit_plan *p, const char *settings, const ta_picture_source *src,
                                 enum AVPixelFormat out)
{
    memset(p, 0, sizeof *p);
    char dir[64];
    snprintf(dir, sizeof dir, "/tmp/ta-picture-test.%d", (int)getpid());
    ta_settings *s = kit_try_settings(settings, &p->err);
    p->status =
        s ? ta_picture_plan(s, src, out, dir, NULL, &p->counts, &p->chain, &p->notes, &p->err) : (int)p->err.code;
    ta_buf b = { 0 };
    for (int i = 0; i < p->chain.count; i++)
        if (!ta_starts(p->chain.stages[i]->name, "captions"))
            ta_buf_addf(&b, "%s%s[%s]", b.len ? " " : "", p->chain.stages[i]->name, p->chain.stages[i]->spec);
    p->text = ta_buf_take(&b);
    ta_settings_free(&s);
    if (!p->notes.data)
        ta_buf_add(&p->notes, "");
}

static inline void kit_plan_free(kit_plan *p)
{
    char dir[64];
    snprintf(dir, sizeof dir, "/tmp/ta-picture-test.%d", (int)getpid());
    ta_chain_free(&p->chain);
    rmdir(dir); /* the look-up table's stage made it; it leaves nothing in it */
    ta_buf_free(&p->notes);
    ta_free(p->text);
}

/* The plan's text for settings and source must be `want`. */
static inline void kit_expect(const char *settings, ta_picture_source src, enum AVPixelFormat out, const char *want)
{
    kit_plan p;
    kit_plan_make(&p, settings, &src, out);
    if (p.status < 0)
        fail_msg("'%s' failed: %s", settings, p.err.text[0]);
    assert_string_equal(p.text, want);
    kit_plan_free(&p);
}

/* ---- Frames ----------------------------------------------------------------------------------------------------- */

typedef struct kit_frames {
    AVFrame *f[512];
    int n;
} kit_frames;

static inline void kit_frames_free(kit_frames *k)
{
    for (int i = 0; i < k->n; i++)
        av_frame_free(&k->f[i]);
    k->n = 0;
}

static inline int kit_collect(void *to, AVFrame *frame, ta_error *err)
{
    kit_frames *k = to;
    (void)err;
    assert_true(k->n < 512);
    k->f[k->n++] = frame;
    return 0;
}

static inline uint32_t kit_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static inline AVFrame *kit_frame(const ta_video_format *v, int64_t pts)
{
    AVFrame *f = av_frame_alloc();
    assert_non_null(f);
    f->width = v->width;
    f->height = v->height;
    f->format = v->pix_fmt;
    f->sample_aspect_ratio = v->sar;
    f->color_primaries = v->primaries;
    f->color_trc = v->transfer;
    f->colorspace = v->matrix;
    f->color_range = v->range;
    f->chroma_location = v->chroma_location;
    f->interlaced_frame = v->fields == TA_FIELDS_TFF || v->fields == TA_FIELDS_BFF;
    f->top_field_first = v->fields == TA_FIELDS_TFF;
    f->pts = pts;
    assert_int_equal(av_frame_get_buffer(f, 0), 0);
    return f;
}

static inline void kit_put(AVFrame *f, int plane, int x, int y, double v)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    int depth = d->comp[plane].depth, top = (1 << depth) - 1;
    int code = (int)lrint(v * (1 << (depth - 8)));
    code = code < 0 ? 0 : code > top ? top : code;
    uint8_t *line = f->data[d->comp[plane].plane] + (ptrdiff_t)y * f->linesize[d->comp[plane].plane];
    if (depth > 8)
        ((uint16_t *)line)[x] = (uint16_t)code;
    else
        line[x * d->comp[plane].step + d->comp[plane].offset] = (uint8_t)code;
}

static inline double kit_get(const AVFrame *f, int plane, int x, int y)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    const uint8_t *line = f->data[d->comp[plane].plane] + (ptrdiff_t)y * f->linesize[d->comp[plane].plane];
    int depth = d->comp[plane].depth;
    double code = depth > 8 ? ((const uint16_t *)line)[x] : line[x * d->comp[plane].step + d->comp[plane].offset];
    return code / (1 << (depth - 8));
}

/* A detailed picture that moves: sines at angles, noise on top; `t` in field times. Each line may have its own time. */
static inline void kit_paint(AVFrame *f, double t_even, double t_odd, double noise, uint32_t seed)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    bool rgb = d->flags & AV_PIX_FMT_FLAG_RGB;
    for (int plane = 0; plane < d->nb_components; plane++) {
        int sx = plane && !rgb ? d->log2_chroma_w : 0, sy = plane && !rgb ? d->log2_chroma_h : 0;
        int w = AV_CEIL_RSHIFT(f->width, sx), h = AV_CEIL_RSHIFT(f->height, sy);
        for (int y = 0; y < h; y++) {
            double t = y % 2 ? t_odd : t_even;
            for (int x = 0; x < w; x++) {
                double X = (x << sx) - 2.5 * t, Y = (y << sy) - 0.7 * t;
                double v = plane && !rgb ? 128 + 40 * sin(X / 23 + plane) * cos(Y / 31)
                                         : 120 + 55 * sin(X / 7 + plane) + 40 * sin(Y / 11 + X / 40);
                v += noise * ((double)(kit_random(&seed) % 2001) / 1000 - 1);
                kit_put(f, plane, x, y, v);
            }
        }
    }
}

/* `n` frames at the rate of `v`, interlaced as `v` says. */
static inline void kit_make(kit_frames *k, const ta_video_format *v, int n, double noise)
{
    k->n = 0;
    for (int i = 0; i < n; i++) {
        int64_t pts = av_rescale_q(i, av_inv_q(v->frame_rate), v->time_base);
        AVFrame *f = kit_frame(v, pts);
        double even = 2 * i, odd = 2 * i;
        if (v->fields == TA_FIELDS_TFF)
            odd += 1;
        if (v->fields == TA_FIELDS_BFF)
            even += 1;
        f->pkt_duration = av_rescale_q(1, av_inv_q(v->frame_rate), v->time_base);
        kit_paint(f, even, odd, noise, 77u + (uint32_t)i);
        k->f[k->n++] = f;
    }
}

/* ---- Running ---------------------------------------------------------------------------------------------------- */

/* Runs copies of the frames through a chain. */
static inline void kit_run(ta_chain *chain, const ta_video_format *v, const kit_frames *in, kit_frames *out,
                           ta_link *last)
{
    ta_link first = { .type = AVMEDIA_TYPE_VIDEO, .video = *v }, end;
    ta_error err = { 0 };
    out->n = 0;
    if (ta_chain_configure(chain, &first, &end, &err) < 0)
        fail_msg("%s: %s", err.text[0], err.text[1]);
    for (int i = 0; i < in->n; i++)
        if (ta_chain_push(chain, av_frame_clone(in->f[i]), kit_collect, out, &err) < 0)
            fail_msg("%s: %s", err.text[0], err.text[1]);
    assert_int_equal(ta_chain_push(chain, NULL, kit_collect, out, &err), 0);
    if (last)
        *last = end;
}

/* Runs copies of the frames through a graph of libavfilter: the oracle. */
static inline void kit_oracle(const char *graph_text, const ta_video_format *v, const kit_frames *in, kit_frames *out)
{
    AVFilterGraph *g = avfilter_graph_alloc();
    AVFilterInOut *a = NULL, *b = NULL;
    char *text = ta_format("buffer@in=video_size=%dx%d:pix_fmt=%s:time_base=%d/%d:frame_rate=%d/%d:pixel_aspect=%d/%d,"
                           "%s,buffersink@out",
                           v->width, v->height, av_get_pix_fmt_name(v->pix_fmt), v->time_base.num, v->time_base.den,
                           v->frame_rate.num, v->frame_rate.den, v->sar.num, v->sar.den, graph_text);
    assert_int_equal(avfilter_graph_parse2(g, text, &a, &b), 0);
    assert_true(avfilter_graph_config(g, NULL) >= 0);
    AVFilterContext *src = avfilter_graph_get_filter(g, "buffer@in"),
                    *sink = avfilter_graph_get_filter(g, "buffersink@out");
    assert_non_null(src);
    assert_non_null(sink);
    out->n = 0;
    for (int i = 0; i <= in->n; i++) {
        AVFrame *f = i < in->n ? av_frame_clone(in->f[i]) : NULL;
        assert_true(av_buffersrc_add_frame_flags(src, f, 0) >= 0);
        av_frame_free(&f);
        for (;;) {
            f = av_frame_alloc();
            if (av_buffersink_get_frame(sink, f) < 0)
                break;
            out->f[out->n++] = f;
        }
        av_frame_free(&f);
    }
    avfilter_graph_free(&g);
    ta_free(text);
}

static inline bool kit_same_picture(const AVFrame *a, const AVFrame *b)
{
    if (a->width != b->width || a->height != b->height || a->format != b->format)
        return false;
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(a->format);
    for (int p = 0; p < 4 && a->data[p]; p++) {
        int h = p == 1 || p == 2 ? AV_CEIL_RSHIFT(a->height, d->log2_chroma_h) : a->height;
        int bytes = av_image_get_linesize(a->format, a->width, p);
        for (int y = 0; y < h; y++)
            if (memcmp(a->data[p] + (ptrdiff_t)y * a->linesize[p], b->data[p] + (ptrdiff_t)y * b->linesize[p],
                       (size_t)bytes))
                return false;
    }
    return true;
}

static inline void kit_assert_same(const kit_frames *a, const kit_frames *b)
{
    assert_int_equal(a->n, b->n);
    for (int i = 0; i < a->n; i++)
        if (!kit_same_picture(a->f[i], b->f[i]))
            fail_msg("frame %d of %d differs (%s %dx%d, %s %dx%d)", i, a->n, av_get_pix_fmt_name(a->f[i]->format),
                     a->f[i]->width, a->f[i]->height, av_get_pix_fmt_name(b->f[i]->format), b->f[i]->width,
                     b->f[i]->height);
}

#endif
