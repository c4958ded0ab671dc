/* A deinterlacer or inverse telecine that keeps the source's time. Each source frame gets a number that libavfilter
 * carries along (reordered_opaque); what comes out with that number gets its time from the source frame. */
#include <math.h>

#include "picture/plan.h"

/* What is remembered of a source frame until its output came. */
typedef struct origin {
    int64_t id, pts, opaque;
    double duration; /* in ticks of the input */
    bool interlaced;
} origin;

enum { ORIGINS = 64 }; /* more than any filter holds back */

typedef struct timed {
    ta_stage *inner;
    ta_timing timing;
    AVRational in_tb, out_tb;
    origin ring[ORIGINS];
    int64_t next_id, last_out;
    int64_t last_pts;
    int nth; /* outputs already made of frame `last_out` */
} timed;

/* Nominal duration of a frame in ticks of its time base: two fields, and what repeat_pict adds. */
static double nominal_ticks(const timed *t, const AVFrame *f)
{
    if (t->timing.rate.num > 0)
        return (2 + f->repeat_pict) / 2.0 / av_q2d(t->timing.rate) / av_q2d(t->in_tb);
    return f->pkt_duration > 0 ? (double)f->pkt_duration : 0;
}

static int timed_push(ta_stage *st, AVFrame *frame, ta_error *err)
{
    timed *t = st->priv;
    origin *o = &t->ring[t->next_id % ORIGINS];
    double duration = nominal_ticks(t, frame);
    if (frame->pts == AV_NOPTS_VALUE)
        frame->pts = t->last_pts == AV_NOPTS_VALUE ? 0 : t->last_pts + llrint(duration);
    *o = (origin){ t->next_id++, frame->pts, frame->reordered_opaque, duration,
                   t->timing.all || frame->interlaced_frame };
    t->last_pts = frame->pts;
    frame->reordered_opaque = o->id;
    /* yadif and bwdif leave interlaced frames beside repeated ones combed; the repeat is in `duration` now. */
    frame->repeat_pict = 0;
    return t->inner->cls->push(t->inner, frame, err);
}

/* Gives the nth output of `o` its time and duration, in ticks of the output. */
static void put_time(const timed *t, const origin *o, int nth, AVFrame *f)
{
    double scale = av_q2d(t->in_tb) / av_q2d(t->out_tb);
    double whole = o->duration * scale, field = whole / 2;
    bool halves = t->timing.fields && o->interlaced;
    if (t->timing.rate.num > 0)
        field = 1 / (2 * av_q2d(t->timing.rate) * av_q2d(t->out_tb));
    f->pts = av_rescale_q(o->pts, t->in_tb, t->out_tb) + (halves && nth ? llrint(field) : 0);
    f->pkt_duration = llrint(!halves ? whole : nth ? whole - field : field);
}

static int timed_emit(void *to, AVFrame *frame, ta_error *err)
{
    ta_stage *st = to;
    timed *t = st->priv;
    const origin *o = &t->ring[frame->reordered_opaque & (ORIGINS - 1)];
    if (frame->reordered_opaque < 0 || o->id != frame->reordered_opaque) {
        av_frame_free(&frame);
        return ta_fail(err, TA_ERR_SOFTWARE, "stage '%s' lost track of its frames", st->name);
    }
    t->nth = t->last_out == o->id ? t->nth + 1 : 0;
    t->last_out = o->id;
    put_time(t, o, t->nth, frame);
    frame->reordered_opaque = o->opaque;
    frame->interlaced_frame = 0;
    frame->top_field_first = 0;
    frame->repeat_pict = 0;
    return st->emit(st->emit_to, frame, err);
}

static int timed_configure(ta_stage *st, const ta_link *in, ta_link *out, ta_error *err)
{
    timed *t = st->priv;
    t->inner = t->inner ? t->inner : ta_stage_new(&ta_filter_stage, st->name, st->spec);
    int r = ta_stage_configure_inner(st, t->inner, timed_emit, in, out, err);
    if (r < 0)
        return r;
    t->in_tb = in->video.time_base;
    t->out_tb = t->timing.fields ? av_mul_q(t->in_tb, (AVRational){ 1, 2 }) : t->in_tb;
    out->video.time_base = t->out_tb;
    t->last_out = -1;
    t->last_pts = AV_NOPTS_VALUE;
    out->video.fields = TA_FIELDS_PROGRESSIVE;
    if (t->timing.rate.num > 0 && t->timing.fields)
        out->video.frame_rate = av_mul_q(t->timing.rate, (AVRational){ 2, 1 });
    return 0;
}

static int timed_drain(ta_stage *st, ta_error *err)
{
    timed *t = st->priv;
    return t->inner->cls->drain(t->inner, err);
}

static void timed_close(ta_stage *st)
{
    timed *t = st->priv;
    ta_stage_free(&t->inner);
}

static const ta_stage_class timed_class = {
    .name = "timed filter",
    .size = sizeof(timed),
    .configure = timed_configure,
    .push = timed_push,
    .drain = timed_drain,
    .close = timed_close,
};

ta_stage *ta_timed_stage(const char *name, const char *spec, const ta_timing *timing)
{
    ta_stage *st = ta_stage_new(&timed_class, name, spec);
    if (st)
        ((timed *)st->priv)->timing = *timing;
    return st;
}
