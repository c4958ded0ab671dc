/* Scaling: once, to the output's size and pixel shape, with the matrix of HD where SD becomes HD. The stage keeps the
 * output's format through changes of the source in mid-stream: a picture of another shape is fitted in with black
 * beside it. */
#include "picture/plan.h"

#define NOT_LARGER "the engine realesrgan has nothing to do, as the picture isn't made larger (--resolution 2x would)"

/* From what to what; sar of `in` is the true one. */
typedef struct shape {
    ta_video_format in, out;
    char scaler[16];
    bool interlaced; /* scaled field by field */
    bool rounded;    /* what a model made is rounded, not dithered */
} shape;

/* SD shown as HD needs the HD matrix, as players guess by size. The primaries aren't converted and keep their tag. */
static bool to_hd(const ta_plan *p, int height)
{
    return p->now.height < 720 && height >= 720 && ta_matrix_sd(p->now.matrix) && !ta_fmt_rgb(p->now.pix_fmt) &&
           ta_get_is(p->s, TA_SET_hdr, "sdr");
}

/* The pixel format to scale into: the output's where nothing behind it wants more. */
static enum AVPixelFormat scaled_format(const ta_plan *p)
{
    enum AVPixelFormat now = p->now.pix_fmt, out = p->out_fmt;
    bool last = ta_get_is(p->s, TA_SET_sharpen, "off") && ta_get_is(p->s, TA_SET_hdr, "sdr");
    if (out == AV_PIX_FMT_NONE || (!last && ta_fmt_depth(out) < ta_fmt_depth(now)))
        return now;
    return out;
}

static const char *range_name(enum AVColorRange range)
{
    return range == AVCOL_RANGE_JPEG ? "pc" : "tv";
}

/* vf_colorspace converts the matrix exactly, at the small size and in linear YUV, and the range in the same step, so
 * that samples are rounded once; vf_scale would go through RGB of 8 bits. It knows the common formats only. */
static void matrix_first(ta_video_format *v, const ta_video_format *to, ta_buf *b)
{
    char filter[224];
    if (!ta_matrix_sd(v->matrix) || to->matrix != AVCOL_SPC_BT709)
        return;
    snprintf(filter, sizeof filter,
             "colorspace=ispace=%s:iprimaries=smpte170m:itrc=smpte170m:irange=%s:space=bt709:primaries=smpte170m:"
             "trc=smpte170m:range=%s",
             v->matrix == AVCOL_SPC_BT470BG ? "bt470bg" : "smpte170m", range_name(v->range), range_name(to->range));
    if (ta_filter_input(filter, v->pix_fmt) != v->pix_fmt)
        return;
    ta_buf_addf(b, "%s,", filter);
    v->matrix = to->matrix;
    v->range = to->range;
}

static int even(double x)
{
    return TA_MAX(2 * (int)(x / 2 + 0.5), 2);
}

/* The size inside the output that keeps the shape of `in`; the whole output where that is within half a per cent. */
static void fit(const shape *s, int *width, int *height)
{
    const ta_video_format *in = &s->in, *out = &s->out;
    double shape_in = in->width * av_q2d(in->sar) / in->height, shape_out = out->width * av_q2d(out->sar) / out->height;
    *width = out->width;
    *height = out->height;
    if (shape_in > shape_out * 1.005)
        *height = even(out->height * shape_out / shape_in);
    else if (shape_in < shape_out / 1.005)
        *width = even(out->width * shape_in / shape_out);
}

static void scale_text(const shape *s, ta_buf *b)
{
    ta_video_format from = s->in;
    const ta_video_format *to = &s->out;
    int width, height;
    fit(s, &width, &height);
    matrix_first(&from, to, b);
    bool careful = ta_fmt_rgb(from.pix_fmt) || from.range != to->range ||
                   (!ta_fmt_rgb(to->pix_fmt) && strcmp(ta_scale_matrix(from.matrix), ta_scale_matrix(to->matrix)));
    ta_buf_addf(b, "scale=%d:%d:flags=%s%s", width, height, s->scaler,
                careful ? "+accurate_rnd+full_chroma_int+full_chroma_inp" : "");
    ta_scale_colours(b, &from, to);
    if (s->interlaced)
        ta_buf_add(b, ":interl=1");
    if (s->rounded)
        ta_buf_add(b, ":sws_dither=none");
    if (to->pix_fmt != from.pix_fmt)
        ta_buf_addf(b, ",format=%s", av_get_pix_fmt_name(to->pix_fmt));
    if (width != to->width || height != to->height)
        ta_buf_addf(b, ",pad=%d:%d:-1:-1:black", to->width, to->height);
    ta_buf_addf(b, ",setsar=%d/%d", to->sar.num, to->sar.den);
}

/* ---- The stage -----------------------------------------------------------------------------------------------------
 */

typedef struct scaler {
    ta_stage *inner;
    shape shape;         /* as planned */
    AVRational declared; /* the source's own sample aspect in the plan */
} scaler;

static int scaler_emit(void *to, AVFrame *frame, ta_error *err)
{
    ta_stage *st = to;
    return st->emit(st->emit_to, frame, err);
}

/* The rule of the centre 704 makes pixels 45/44 as wide as declared, for four declared shapes. */
static AVRational true_sar(const scaler *s, AVRational sar)
{
    static const AVRational known[] = { { 8, 9 }, { 32, 27 }, { 16, 15 }, { 64, 45 } };
    AVRational declared = sar.num > 0 && sar.den > 0 ? sar : (AVRational){ 1, 1 };
    if (!av_cmp_q(declared, s->declared))
        return s->shape.in.sar;
    bool rule = av_cmp_q(s->shape.in.sar, s->declared) != 0;
    for (size_t i = 0; i < TA_COUNT(known) && rule; i++)
        if (!av_cmp_q(declared, known[i]))
            return av_mul_q(declared, (AVRational){ 45, 44 });
    return declared;
}

static bool as_planned(const shape *a, const ta_video_format *b)
{
    return a->in.width == b->width && a->in.height == b->height && a->in.pix_fmt == b->pix_fmt &&
           !av_cmp_q(a->in.sar, b->sar) && a->in.matrix == b->matrix && a->in.range == b->range;
}

static int scaler_configure(ta_stage *st, const ta_link *in, ta_link *out, ta_error *err)
{
    scaler *s = st->priv;
    shape now = s->shape;
    ta_stage_free(&s->inner);
    ta_video_format from = in->video;
    from.sar = true_sar(s, from.sar);
    if (!as_planned(&s->shape, &from))
        now.in = from;
    ta_buf b = { 0 };
    scale_text(&now, &b);
    char *text = ta_buf_take(&b);
    s->inner = text ? ta_tagged_stage(st->name, text, &s->shape.out) : NULL;
    ta_free(text);
    if (!s->inner)
        return ta_no_memory(err);
    s->inner->threads = st->threads;
    s->inner->emit = scaler_emit;
    s->inner->emit_to = st;
    s->inner->in = *in;
    return s->inner->cls->configure(s->inner, in, out, err);
}

static int scaler_push(ta_stage *st, AVFrame *frame, ta_error *err)
{
    scaler *s = st->priv;
    return s->inner->cls->push(s->inner, frame, err);
}

static int scaler_drain(ta_stage *st, ta_error *err)
{
    scaler *s = st->priv;
    return s->inner->cls->drain(s->inner, err);
}

static void scaler_close(ta_stage *st)
{
    scaler *s = st->priv;
    ta_stage_free(&s->inner);
}

static const ta_stage_class scaler_class = {
    .name = "scale",
    .size = sizeof(scaler),
    .configure = scaler_configure,
    .push = scaler_push,
    .drain = scaler_drain,
    .close = scaler_close,
};

/* ---- The plan ------------------------------------------------------------------------------------------------------
 */

static bool keeps_full_range(const ta_plan *p, enum AVPixelFormat fmt)
{
    const char *name = av_get_pix_fmt_name(fmt);
    return p->out_fmt == AV_PIX_FMT_NONE || ta_fmt_rgb(fmt) || (name && ta_starts(name, "yuvj"));
}

/* What the picture is to become. */
typedef struct goal {
    int width, height;
    enum AVPixelFormat fmt;
    AVRational declared, sar, out_sar; /* of the source as tagged, and in truth; of the output */
    bool rounded;
} goal;

/* `p->now` gets the colour tags of the goal in the format `fmt`. */
static void retag_goal(ta_plan *p, const goal *g, enum AVPixelFormat fmt)
{
    bool hd = to_hd(p, g->height);
    ta_plan_retag(p, fmt);
    if (hd) {
        p->now.matrix = AVCOL_SPC_BT709;
        p->now.transfer = AVCOL_TRC_BT709;
    }
    if (g->fmt == p->out_fmt && !keeps_full_range(p, g->fmt) && !ta_fmt_rgb(fmt))
        p->now.range = AVCOL_RANGE_MPEG;
}

static int add_scale(ta_plan *p, const goal *g)
{
    shape s = { .in = p->now, .interlaced = p->interlaced, .rounded = g->rounded };
    snprintf(s.scaler, sizeof s.scaler, "%s", ta_get_text(p->s, TA_SET_scaler));
    s.in.sar = g->sar;
    retag_goal(p, g, g->fmt);
    p->now.width = g->width;
    p->now.height = g->height;
    p->now.sar = g->out_sar;
    s.out = p->now;
    ta_buf b = { 0 };
    scale_text(&s, &b);
    char *text = ta_buf_take(&b);
    ta_stage *st = text ? ta_stage_new(&scaler_class, "scale", text) : NULL;
    ta_free(text);
    if (st) {
        ((scaler *)st->priv)->shape = s;
        ((scaler *)st->priv)->declared = g->declared;
    }
    return ta_plan_add(p, &(ta_step){ "scale" }, st);
}

/* ---- By a model
 * ------------------------------------------------------------------------------------------------------
 */

/* The model's picture: as the output wants it where it has its size, else in 16 bits without subsampling for the
 * scaler. */
static int add_model(ta_plan *p, const goal *g)
{
    ta_stage *st = NULL;
    int factor = 1, r = p->engines->factor(p->engines->opaque, p->s, &factor, p->err);
    if (r < 0)
        return r;
    ta_video_format in = p->now;
    bool final = in.width * factor == g->width && in.height * factor == g->height &&
                 !av_cmp_q(g->declared, g->out_sar) && p->engines->takes(g->fmt);
    enum AVPixelFormat between = ta_fmt_rgb(g->fmt) ? AV_PIX_FMT_GBRP16 : AV_PIX_FMT_YUV444P16;
    retag_goal(p, g, final ? g->fmt : between);
    p->now.width = in.width * factor;
    p->now.height = in.height * factor;
    r = p->engines->stage(p->engines->opaque, p->s, &in, &p->now, &st, p->err);
    return r < 0 ? r : ta_plan_add(p, &(ta_step){ "upscale" }, st);
}

/* Enlarges by a model, and leaves the rest to the scaler. */
static int enlarge(ta_plan *p, goal *g)
{
    if (p->interlaced) {
        ta_fail(p->err, TA_ERR_USAGE, "a model enlarges whole pictures, and these are interlaced");
        return ta_hint(p->err, "use --deinterlace auto (or --ivtc on), or --engine classic");
    }
    g->rounded = true;
    int r = ta_plan_for_models(p);
    return r < 0 ? r : add_model(p, g);
}

int ta_plan_scale(ta_plan *p)
{
    int width, height;
    AVRational sar, now = p->now.sar.num > 0 ? p->now.sar : (AVRational){ 1, 1 };
    bool square = ta_get_bool(p->s, TA_SET_square_pixels);
    int larger = ta_get_is(p->s, TA_SET_resolution, "source") ? 1 : TA_MAX(p->face_scale, 1); /* than what is meant */
    int r = ta_picture_size(p->s, p->now.width / larger, p->now.height / larger, square ? p->true_sar : now, &width,
                            &height, &sar, p->err);
    if (r < 0)
        return r;
    bool same_sar = !av_cmp_q(now, sar);
    if (width == p->now.width && height == p->now.height && same_sar) {
        if (ta_get_is(p->s, TA_SET_engine, "realesrgan"))
            ta_plan_note(p, NOT_LARGER);
        return 0;
    }
    if (same_sar && width == (p->now.width & ~1) && height == (p->now.height & ~1)) {
        char filter[48];
        snprintf(filter, sizeof filter, "crop=%d:%d:0:0:exact=1", width, height);
        p->now.width = width;
        p->now.height = height;
        return ta_plan_add(p, &(ta_step){ "even size" }, ta_stage_new(&ta_filter_stage, "even size", filter));
    }
    goal g = { width, height, scaled_format(p), now, square ? p->true_sar : now, sar, false };
    bool model = ta_get_is(p->s, TA_SET_engine, "realesrgan");
    if (model && (width > p->now.width || height > p->now.height)) {
        r = enlarge(p, &g);
        if (r < 0 || (p->now.width == width && p->now.height == height && p->now.pix_fmt == g.fmt && same_sar))
            return r;
    } else if (model) {
        ta_plan_note(p, NOT_LARGER);
    }
    if (p->interlaced && height != p->now.height)
        ta_plan_note(p, "the picture is scaled field by field, as it isn't deinterlaced");
    return add_scale(p, &g);
}
