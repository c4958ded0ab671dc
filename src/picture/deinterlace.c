/* From fields to frames: soft telecine, inverse telecine, deinterlacing, and the constant rate behind them. */
#include "picture/plan.h"

/* Which frames the deinterlacer works on. */
typedef enum which { NO_FRAMES, FLAGGED_FRAMES, ALL_FRAMES } which;

static const char *parity(const ta_plan *p)
{
    return p->order == TA_FIELDS_BFF ? "bff" : "tff";
}

static int constant_rate(ta_plan *p, AVRational rate, const char *more)
{
    if (ta_get_bool(p->s, TA_SET_vfr))
        return 0;
    char spec[80];
    snprintf(spec, sizeof spec, "rate=%d/%d%s", rate.num, rate.den, more);
    ta_stage *st = ta_stage_new(&ta_constant_rate_stage, "constant rate", spec);
    ta_constant_rate_counts(st, p->counts);
    p->now.frame_rate = rate;
    p->recounted = true;
    return ta_plan_add(p, &(ta_step){ "constant rate", 1, 1 }, st);
}

/* The deinterlacer's filter text. */
static void filter_text(const ta_plan *p, const char *method, bool fields, which w, char *text, size_t size)
{
    const char *deint = w == ALL_FRAMES ? "all" : "interlaced";
    if (!strcmp(method, "w3fdif") || !strcmp(method, "estdif"))
        snprintf(text, size, "%s=%smode=%s:parity=%s:deint=%s", method,
                 !strcmp(method, "w3fdif") ? "filter=complex:" : "", fields ? "field" : "frame", parity(p), deint);
    else
        snprintf(text, size, "%s=mode=%s:parity=%s:deint=%s", method, fields ? "send_field" : "send_frame", parity(p),
                 deint);
}

/* A conversion in front of a filter that can't take the format of the moment. */
static int convert_for(ta_plan *p, const char *filter, const char *name)
{
    enum AVPixelFormat was = p->now.pix_fmt, fmt = ta_filter_input(filter, was);
    if (fmt == AV_PIX_FMT_NONE)
        return ta_fail(p->err, TA_ERR_SOFTWARE, "libavfilter doesn't accept '%s'", filter);
    if (fmt == was)
        return 0;
    if (ta_fmt_depth(fmt) < ta_fmt_depth(was))
        ta_plan_note(p, "%s works with %d bits a sample: the picture is converted to %s for it", name,
                     ta_fmt_depth(fmt), av_get_pix_fmt_name(fmt));
    ta_buf b = { 0 };
    ta_plan_convert(p, fmt, &b);
    return ta_plan_add_tagged(p, &(ta_step){ "format" }, &b);
}

/* ---- Telecine --------------------------------------------------------------------------------------------------- */

/* The film rate under a pull-down to `rate`: four of five frames for 3:2, 24 of 25 for the European kind. */
static AVRational film_rate(AVRational rate)
{
    double fps = rate.num ? av_q2d(rate) : 30000 / 1001.0;
    if (fps < 24.5)
        return rate;
    if (fps < 25.5)
        return (AVRational){ 24, 1 };
    return fps > 29.98 ? (AVRational){ 24, 1 } : (AVRational){ 24000, 1001 };
}

static int soft_telecine(ta_plan *p)
{
    p->interlaced = false;
    AVRational film = film_rate(p->rate);
    if (!ta_get_bool(p->s, TA_SET_vfr))
        ta_plan_note(p, "film with repeat-field flags: its frames are shown at a constant %.3f a second", av_q2d(film));
    p->rate = film;
    return constant_rate(p, film, ":once");
}

static int inverse_telecine(ta_plan *p)
{
    double fps = p->rate.num ? av_q2d(p->rate) : 0;
    if (fps < 29 || fps > 31) {
        ta_fail(p->err, TA_ERR_USAGE, "inverse telecine needs 29.97 frames a second, the source has %.3f", fps);
        return ta_hint(p->err, "leave --ivtc off; PAL film is progressive or needs no inverse telecine");
    }
    if (p->scan == TA_SCAN_PROGRESSIVE)
        ta_plan_note(p, "inverse telecine of a source that looks progressive: one of five frames is dropped");
    const char *method = ta_get_text(p->s, TA_SET_deinterlace);
    char rest[96] = "";
    if (strcmp(method, "off"))
        filter_text(p, !strcmp(method, "auto") ? "yadif" : method, false, FLAGGED_FRAMES, rest, sizeof rest);
    char match[160];
    snprintf(match, sizeof match, "fieldmatch=order=%s:combmatch=full", parity(p));
    /* Its own way for deeper pictures (ppsrc) copies lines of the deeper size into the 8-bit frames that it judges: the
     * fields mix. */
    int r = convert_for(p, match, "inverse telecine");
    if (r < 0)
        return r;
    ta_buf b = { 0 };
    ta_buf_addf(&b, "%s%s%s,decimate", match, rest[0] ? "," : "", rest);
    char *spec = ta_buf_take(&b);
    ta_timing timing = { .rate = p->rate };
    r = !spec ? ta_no_memory(p->err)
              : ta_plan_add(p, &(ta_step){ "inverse telecine", 10, 10, 5 },
                            ta_timed_stage("inverse telecine", spec, &timing));
    ta_free(spec);
    p->interlaced = false;
    p->recounted = true;
    p->rate = p->now.frame_rate = film_rate(p->rate);
    /* The frame that is dropped wanders inside its five: a frame may be 1.4 places off its time. */
    return r < 0 ? r : constant_rate(p, p->rate, ":once:slack=1.5");
}

/* ---- Deinterlacing ---------------------------------------------------------------------------------------------- */

static which which_frames(ta_plan *p)
{
    bool explicit_method = !ta_get_is(p->s, TA_SET_deinterlace, "auto");
    if (ta_get_is(p->s, TA_SET_deinterlace, "off"))
        return NO_FRAMES;
    if (ta_get_is(p->s, TA_SET_deinterlace_frames, "all"))
        return ALL_FRAMES;
    if (ta_get_is(p->s, TA_SET_deinterlace_frames, "flagged"))
        return FLAGGED_FRAMES;
    if (p->scan == TA_SCAN_INTERLACED || p->scan == TA_SCAN_HARD_TELECINE)
        return ALL_FRAMES;
    if (p->scan == TA_SCAN_MIXED)
        return FLAGGED_FRAMES;
    if (explicit_method)
        ta_plan_note(p, "the source is progressive, so nothing is deinterlaced; --deinterlace-frames all forces %s",
                     ta_get_text(p->s, TA_SET_deinterlace));
    return NO_FRAMES;
}

static void need_rate(ta_plan *p)
{
    if (p->rate.num)
        return;
    p->rate = p->now.height % 288 == 0 ? (AVRational){ 25, 1 } : (AVRational){ 30000, 1001 };
    ta_plan_note(p, "the source doesn't tell its frame rate: %.2f is taken, by its %d lines", av_q2d(p->rate),
                 p->now.height);
}

static int deinterlace(ta_plan *p, which w)
{
    bool fields = ta_get_is(p->s, TA_SET_field_rate, "double");
    const char *method = ta_get_text(p->s, TA_SET_deinterlace);
    char filter[128];
    filter_text(p, strcmp(method, "auto") ? method : "bwdif", fields, w, filter, sizeof filter);
    if (p->scan == TA_SCAN_HARD_TELECINE)
        ta_plan_note(p, "the picture looks like film with 3:2 pull-down: --ivtc on gives its 24 frames a second");
    need_rate(p);
    int r = convert_for(p, filter, "deinterlacing");
    if (r < 0)
        return r;
    ta_timing timing = { .fields = fields, .all = w == ALL_FRAMES, .rate = p->rate };
    r = ta_plan_add(p, &(ta_step){ "deinterlace", 1, 1 }, ta_timed_stage("deinterlace", filter, &timing));
    if (r < 0)
        return r;
    p->interlaced = false;
    p->recounted |= fields;
    p->rate = fields ? av_mul_q(p->rate, (AVRational){ 2, 1 }) : p->rate;
    p->now.frame_rate = p->rate;
    return constant_rate(p, p->rate, "");
}

int ta_plan_fields(ta_plan *p)
{
    bool ivtc = ta_get_is(p->s, TA_SET_ivtc, "on");
    bool forced = ta_get_is(p->s, TA_SET_deinterlace_frames, "all") && !ta_get_is(p->s, TA_SET_deinterlace, "off");
    if (p->scan == TA_SCAN_SOFT_TELECINE && !forced)
        return soft_telecine(p);
    if (ivtc)
        return inverse_telecine(p);
    which w = which_frames(p);
    return w == NO_FRAMES ? 0 : deinterlace(p, w);
}
