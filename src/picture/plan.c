/* The plan: from settings and source to the stages, in the order of good practice. */
#include "picture/plan.h"

void ta_plan_note(ta_plan *p, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = ta_vformat(fmt, args);
    va_end(args);
    if (text && p->notes) {
        ta_buf_add(p->notes, text);
        ta_buf_add(p->notes, "\n");
    }
    ta_free(text);
}

int ta_plan_add(ta_plan *p, const ta_step *step, ta_stage *stage)
{
    if (!stage)
        return ta_no_memory(p->err);
    stage->look_behind = step->behind;
    stage->look_ahead = step->ahead;
    stage->phase = TA_MAX(step->phase, 1);
    return ta_chain_add(p->chain, stage) < 0 ? ta_no_memory(p->err) : 0;
}

void ta_plan_convert(ta_plan *p, enum AVPixelFormat fmt, ta_buf *b)
{
    ta_video_format *v = &p->now;
    if (fmt == v->pix_fmt)
        return;
    ta_video_format from = *v;
    ta_plan_retag(p, fmt);
    ta_buf_addf(b, "%sscale=flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp", b->len ? "," : "");
    ta_scale_colours(b, &from, v);
    ta_buf_addf(b, "%s,format=%s", p->interlaced ? ":interl=1" : "", av_get_pix_fmt_name(fmt));
}

void ta_plan_retag(ta_plan *p, enum AVPixelFormat fmt)
{
    ta_video_format *v = &p->now;
    bool was_rgb = ta_fmt_rgb(v->pix_fmt), rgb = ta_fmt_rgb(fmt);
    v->pix_fmt = fmt;
    if (!was_rgb && rgb) {
        p->yuv = *v;
        v->matrix = AVCOL_SPC_RGB;
        v->range = AVCOL_RANGE_JPEG;
    } else if (was_rgb && !rgb) {
        bool back = p->yuv.height > 0, sd = v->height < 720;
        v->matrix = back ? p->yuv.matrix : sd ? AVCOL_SPC_SMPTE170M : AVCOL_SPC_BT709;
        v->range = back ? p->yuv.range : AVCOL_RANGE_MPEG;
        v->chroma_location = back ? p->yuv.chroma_location : AVCHROMA_LOC_LEFT;
    }
}

int ta_plan_add_tagged(ta_plan *p, const ta_step *step, ta_buf *b)
{
    char *spec = ta_buf_take(b);
    if (!spec)
        return ta_no_memory(p->err);
    int r = ta_plan_add(p, step, ta_tagged_stage(step->name, spec, &p->now));
    ta_free(spec);
    return r;
}

int ta_plan_filter(ta_plan *p, const ta_step *step, const char *filter)
{
    enum AVPixelFormat was = p->now.pix_fmt, fmt = ta_filter_input(filter, was);
    if (fmt == AV_PIX_FMT_NONE) {
        ta_fail(p->err, TA_ERR_USAGE, "libavfilter doesn't accept '%s' for %s pictures", filter,
                av_get_pix_fmt_name(was));
        return ta_hint(p->err, "check the numbers of the setting for '%s'", step->name);
    }
    if (fmt == was)
        return ta_plan_add(p, step, ta_stage_new(&ta_filter_stage, step->name, filter));
    if (ta_fmt_depth(fmt) < ta_fmt_depth(was))
        ta_plan_note(p, "%s works with %d bits a sample: the picture is converted to %s for it", step->name,
                     ta_fmt_depth(fmt), av_get_pix_fmt_name(fmt));
    ta_buf b = { 0 };
    ta_plan_convert(p, fmt, &b);
    ta_buf_addf(&b, ",%s", filter);
    return ta_plan_add_tagged(p, step, &b);
}

/* What this build can't do is refused, with what to do instead. */
static int refuse_missing(ta_plan *p)
{
    const ta_settings *s = p->s;
    if ((ta_get_is(s, TA_SET_engine, "realesrgan") && !p->engines) || ta_get_is(s, TA_SET_engine, "rtxvideo")) {
        ta_fail(p->err, TA_ERR_UNAVAILABLE, "the engine '%s' isn't part of this build", ta_get_text(s, TA_SET_engine));
        return ta_hint(p->err, "use --engine classic (or auto) with --scaler lanczos");
    }
    if (!ta_get_is(s, TA_SET_face_restore, "off") && !(p->engines && p->engines->face_stage)) {
        ta_fail(p->err, TA_ERR_UNAVAILABLE, "face restoration with '%s' isn't part of this build",
                ta_get_text(s, TA_SET_face_restore));
        return ta_hint(p->err, "use --face-restore off");
    }
    if (ta_get_is(s, TA_SET_deinterlace, "qtgmc")) {
        ta_fail(p->err, TA_ERR_UNAVAILABLE, "the deinterlacer 'qtgmc' isn't part of this build");
        return ta_hint(p->err, "use --deinterlace bwdif, the best of those that are");
    }
    return 0;
}

bool ta_picture_counted(const ta_picture_counts *c, int64_t us)
{
    return c && ((c->from_us == 0 && c->to_us == 0) || (us >= c->from_us && us < c->to_us));
}

void ta_picture_declare_fields(const ta_settings *s, ta_picture_source *p)
{
    if (ta_get_is(s, TA_SET_field_order, "auto"))
        return;
    bool progressive = ta_get_is(s, TA_SET_field_order, "progressive");
    p->order = progressive                               ? TA_FIELDS_PROGRESSIVE
               : ta_get_is(s, TA_SET_field_order, "tff") ? TA_FIELDS_TFF
                                                         : TA_FIELDS_BFF;
    if (progressive)
        p->scan = TA_SCAN_PROGRESSIVE;
    else if (p->scan == TA_SCAN_PROGRESSIVE || p->scan == TA_SCAN_MIXED)
        p->scan = TA_SCAN_INTERLACED;
}

void ta_picture_declare(const ta_settings *s, ta_video_format *v)
{
    static const struct {
        const char *name;
        enum AVColorPrimaries primaries;
        enum AVColorTransferCharacteristic transfer;
        enum AVColorSpace matrix;
    } spaces[] = {
        { "bt601-525", AVCOL_PRI_SMPTE170M, AVCOL_TRC_SMPTE170M, AVCOL_SPC_SMPTE170M },
        { "bt601-625", AVCOL_PRI_BT470BG, AVCOL_TRC_SMPTE170M, AVCOL_SPC_BT470BG },
        { "bt709", AVCOL_PRI_BT709, AVCOL_TRC_BT709, AVCOL_SPC_BT709 },
        { "bt2020", AVCOL_PRI_BT2020, AVCOL_TRC_BT2020_10, AVCOL_SPC_BT2020_NCL },
    };
    for (size_t i = 0; i < TA_COUNT(spaces) && !ta_fmt_rgb(v->pix_fmt); i++)
        if (ta_get_is(s, TA_SET_colour_space, spaces[i].name)) {
            v->primaries = spaces[i].primaries;
            v->transfer = spaces[i].transfer;
            v->matrix = spaces[i].matrix;
        }
    if (!ta_get_is(s, TA_SET_colour_range, "auto"))
        v->range = ta_get_is(s, TA_SET_colour_range, "full") ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
}

/* Colour as the user declares it, where that differs from the source's. */
static int declare_colour(ta_plan *p)
{
    ta_video_format *v = &p->now;
    ta_picture_declare(p->s, v);
    const ta_video_format *was = &p->src->video;
    if (v->primaries == was->primaries && v->transfer == was->transfer && v->matrix == was->matrix &&
        v->range == was->range)
        return 0;
    return ta_plan_add(p, &(ta_step){ "colour tags" }, ta_tagged_stage("colour tags", "", v));
}

static void start(ta_plan *p)
{
    const ta_settings *s = p->s;
    p->now = p->src->video;
    ta_picture_source declared = *p->src;
    ta_picture_declare_fields(s, &declared);
    p->scan = declared.scan;
    p->order = declared.order;
    p->rotation = ((p->src->rotation % 360) + 360) % 360;
    if (p->order != TA_FIELDS_BFF)
        p->order = TA_FIELDS_TFF;
    p->interlaced = p->scan == TA_SCAN_INTERLACED || p->scan == TA_SCAN_MIXED || p->scan == TA_SCAN_HARD_TELECINE;
    bool sd_704 = ta_get_is(s, TA_SET_sd_width, "704");
    p->true_sar = ta_true_sar(p->now.width, p->now.height, p->now.sar, sd_704);
    p->rate = ta_snap_rate(p->now.frame_rate);
    if (p->interlaced && p->rate.num && av_q2d(p->rate) > 40) /* a count of fields, not of frames */
        p->rate = av_div_q(p->rate, (AVRational){ 2, 1 });
    /* yuvj formats are the plain ones with another range. */
    if (p->now.range == AVCOL_RANGE_UNSPECIFIED)
        p->now.range = AVCOL_RANGE_MPEG;
}

static int plan_steps(ta_plan *p)
{
    static int (*const steps[])(ta_plan *) = {
        refuse_missing,  declare_colour, ta_plan_repair,   ta_plan_fields,  ta_plan_late_repair,
        ta_plan_rotate,  ta_plan_crop,   ta_plan_depth,    ta_plan_deblock, ta_plan_denoise,
        ta_plan_deband,  ta_plan_eq,     ta_plan_rgb,      ta_plan_faces,   ta_plan_scale,
        ta_plan_sharpen, ta_plan_hdr,    ta_plan_captions, ta_plan_output,
    };
    for (size_t i = 0; i < TA_COUNT(steps); i++) {
        int r = steps[i](p);
        if (r < 0)
            return r;
    }
    return p->notes && p->notes->failed ? ta_no_memory(p->err) : 0;
}

int ta_picture_plan(const ta_settings *s, const ta_picture_source *src, enum AVPixelFormat out_pix_fmt,
                    const char *work_dir, const ta_picture_engines *engines, ta_picture_counts *counts, ta_chain *chain,
                    ta_buf *notes, ta_error *err)
{
    ta_plan p = { .s = s,
                  .src = src,
                  .out_fmt = out_pix_fmt,
                  .work_dir = work_dir,
                  .engines = engines,
                  .counts = counts,
                  .chain = chain,
                  .notes = notes,
                  .err = err };
    start(&p);
    int r = plan_steps(&p);
    if (r < 0)
        ta_chain_free(chain);
    return r;
}
