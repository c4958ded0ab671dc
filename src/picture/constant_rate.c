/* Constant rate: frames on a grid that starts with the first frame and whose step is one frame of the output rate.
 *
 * The out time base is 1/rate.num and the step rate.den ticks, so absolute time is kept to half a tick. A frame takes
 * the place behind its predecessor's own duration when its time says so within `slack` places (Matroska rounds to
 * milliseconds, tapes jitter), else the nearest one. Predecessors are shown again up to the end of their own duration,
 * never further: a hole in the source stays a hole. */
#include <math.h>
#include <stdatomic.h>

#include "picture/plan.h"

typedef struct grid {
    AVRational rate;
    bool once;    /* each frame fills one place, whatever its duration */
    double slack; /* places */
    ta_picture_counts *counts;
    AVFrame *held;  /* the last frame, to be shown again */
    bool begun;     /* the grid has its origin */
    int64_t origin; /* time of place 0, in ticks of the input */
    int64_t anchor; /* the same in ticks of the output */
    int64_t place;  /* of the last frame */
    int64_t end;    /* first place behind its own duration */
} grid;

static void count(ta_picture_counts *c, _Atomic uint64_t *field)
{
    if (c)
        atomic_fetch_add_explicit(field, 1, memory_order_relaxed);
}
#define COUNT(g, field) count((g)->counts, (g)->counts ? &(g)->counts->field : NULL)

/* "rate=60000/1001:once:slack=1.5", each part optional. */
static int read_spec(grid *g, const char *spec, ta_error *err)
{
    g->slack = 0.75;
    g->rate = (AVRational){ 0, 1 };
    g->once = false;
    while (*spec) {
        size_t n = strcspn(spec, ":");
        int used = 0;
        if (sscanf(spec, "rate=%d/%d%n", &g->rate.num, &g->rate.den, &used) == 2 && (size_t)used == n) {
            if (g->rate.num <= 0 || g->rate.den <= 0)
                return ta_fail(err, TA_ERR_SOFTWARE, "the rate %d/%d is not positive", g->rate.num, g->rate.den);
        } else if (n == 4 && ta_starts(spec, "once")) {
            g->once = true;
        } else if (sscanf(spec, "slack=%lf%n", &g->slack, &used) != 1 || (size_t)used != n || !(g->slack > 0)) {
            return ta_fail(err, TA_ERR_SOFTWARE, "'%s' is no option of the constant rate", spec);
        }
        spec += n + (spec[n] == ':');
    }
    return 0;
}

static int grid_reset(ta_stage *st, ta_error *err)
{
    grid *g = st->priv;
    av_frame_free(&g->held);
    g->begun = false;
    return 0;
}

static int grid_configure(ta_stage *st, const ta_link *in, ta_link *out, ta_error *err)
{
    grid *g = st->priv;
    int r = read_spec(g, st->spec, err);
    if (r < 0)
        return r;
    if (!g->rate.num)
        g->rate = in->video.frame_rate;
    if (g->rate.num <= 0 || g->rate.den <= 0)
        return ta_fail(err, TA_ERR_SOFTWARE, "a constant rate needs a frame rate");
    av_frame_free(&g->held); /* after a change of format in mid-stream the grid goes on */
    *out = *in;
    out->video.frame_rate = g->rate;
    out->video.time_base = (AVRational){ 1, g->rate.num };
    return 0;
}

static int show(ta_stage *st, int64_t place, bool again, ta_error *err)
{
    grid *g = st->priv;
    AVFrame *f = av_frame_clone(g->held);
    if (!f)
        return ta_no_memory(err);
    f->pts = g->anchor + place * g->rate.den;
    f->pkt_duration = g->rate.den;
    f->repeat_pict = 0;
    if (again)
        COUNT(g, shown_twice);
    return st->emit(st->emit_to, f, err);
}

/* Shows the last frame again until its own duration ends or `before` is reached. */
static int show_rest(ta_stage *st, int64_t before, ta_error *err)
{
    grid *g = st->priv;
    for (int64_t p = g->place + 1; g->held && p < TA_MIN(g->end, before); p++) {
        int r = show(st, p, true, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* How many places a frame fills; `late` is how far its time is behind its place. */
static int64_t places(const grid *g, const AVFrame *f, AVRational tb, double late)
{
    if (g->once || f->pkt_duration <= 0)
        return 1;
    double n = (double)f->pkt_duration * av_q2d(tb) * av_q2d(g->rate);
    if (fabs(n - rint(n)) > 0.25)
        n += late;
    return TA_CLAMP(llrint(n), 1, (int64_t)ceil(av_q2d(g->rate)));
}

static int grid_push(ta_stage *st, AVFrame *frame, ta_error *err)
{
    grid *g = st->priv;
    AVRational tb = st->in.video.time_base;
    if (frame->pts == AV_NOPTS_VALUE) {
        av_frame_free(&frame);
        return ta_fail(err, TA_ERR_SOFTWARE, "a frame without a time reached the constant rate");
    }
    if (!g->begun) {
        g->begun = true;
        g->origin = frame->pts;
        g->anchor = av_rescale_q(frame->pts, tb, st->out.video.time_base);
        g->place = -1;
        g->end = 0;
    }
    double at = (double)(frame->pts - g->origin) * av_q2d(tb) * av_q2d(g->rate);
    int64_t place = fabs(at - (double)g->end) <= g->slack ? g->end : llrint(at);
    if (place <= g->place) {
        COUNT(g, dropped);
        av_frame_free(&frame);
        return 0;
    }
    int r = show_rest(st, place, err);
    if (place > g->end)
        COUNT(g, gaps);
    av_frame_free(&g->held);
    g->held = frame;
    g->place = place;
    g->end = place + places(g, frame, tb, at - (double)place);
    return r < 0 ? r : show(st, place, false, err);
}

static int grid_drain(ta_stage *st, ta_error *err)
{
    grid *g = st->priv;
    int r = show_rest(st, INT64_MAX, err);
    av_frame_free(&g->held);
    return r;
}

static void grid_close(ta_stage *st)
{
    grid *g = st->priv;
    av_frame_free(&g->held);
}

const ta_stage_class ta_constant_rate_stage = {
    .name = "constant rate",
    .size = sizeof(grid),
    .configure = grid_configure,
    .push = grid_push,
    .drain = grid_drain,
    .reset = grid_reset,
    .close = grid_close,
};

void ta_constant_rate_counts(ta_stage *st, ta_picture_counts *counts)
{
    if (st)
        ((grid *)st->priv)->counts = counts;
}
