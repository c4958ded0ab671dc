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
    int64_t last;   /* time of the last frame, in ticks of the input */
    ta_grid_cuts cuts;
    bool has_cuts;
} grid;

/* Time of a place, in ticks of the output. */
static int64_t place_pts(const grid *g, int64_t place)
{
    return g->anchor + place * g->rate.den;
}

static void count(const grid *g, _Atomic uint64_t *field, int64_t place)
{
    int64_t us = av_rescale_q(place_pts(g, place), (AVRational){ 1, g->rate.num }, AV_TIME_BASE_Q);
    if (ta_picture_counted(g->counts, us))
        atomic_fetch_add_explicit(field, 1, memory_order_relaxed);
}
#define COUNT(g, field, place)                                                                                         \
    do {                                                                                                               \
        if ((g)->counts)                                                                                               \
            count((g), &(g)->counts->field, (place));                                                                  \
    } while (0)

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
    f->pts = place_pts(g, place);
    f->pkt_duration = g->rate.den;
    f->repeat_pict = 0;
    if (again)
        COUNT(g, shown_twice, place);
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

/* The grid of a segment is that of the whole job, and has no memory of what was before: its first frame takes the
 * nearest place. */
static void begin(grid *g, const AVFrame *frame, AVRational tb, AVRational out_tb)
{
    g->begun = true;
    g->origin = g->has_cuts ? av_rescale_q(g->cuts.origin, g->cuts.time_base, tb) : frame->pts;
    g->anchor = av_rescale_q(g->origin, tb, out_tb);
    g->place = g->has_cuts ? INT64_MIN / 2 : -1;
    g->end = g->has_cuts ? INT64_MIN / 2 : 0;
    g->last = INT64_MIN;
}

/* Is this the first frame behind `cut`? */
static bool crosses(const grid *g, const AVFrame *f, AVRational tb, int64_t cut)
{
    return cut != INT64_MIN && cut != INT64_MAX && g->last != INT64_MIN &&
           av_compare_ts(g->last, tb, cut, g->cuts.time_base) < 0 &&
           av_compare_ts(f->pts, tb, cut, g->cuts.time_base) >= 0;
}

/* Where segments meet, a frame takes the nearest place whatever was before: so both neighbours see it on the same. */
static bool is_fresh(const grid *g, const AVFrame *f, AVRational tb)
{
    return g->has_cuts && (crosses(g, f, tb, g->cuts.from) || crosses(g, f, tb, g->cuts.to));
}

static int grid_push(ta_stage *st, AVFrame *frame, ta_error *err)
{
    grid *g = st->priv;
    AVRational tb = st->in.video.time_base;
    if (frame->pts == AV_NOPTS_VALUE) {
        av_frame_free(&frame);
        return ta_fail(err, TA_ERR_SOFTWARE, "a frame without a time reached the constant rate");
    }
    if (!g->begun)
        begin(g, frame, tb, st->out.video.time_base);
    double at = (double)(frame->pts - g->origin) * av_q2d(tb) * av_q2d(g->rate);
    bool next = !is_fresh(g, frame, tb) && fabs(at - (double)g->end) <= g->slack;
    int64_t place = next ? g->end : llrint(at);
    g->last = frame->pts;
    if (place <= g->place) {
        COUNT(g, dropped, place);
        av_frame_free(&frame);
        return 0;
    }
    int r = show_rest(st, place, err);
    if (place > g->end && g->end > INT64_MIN / 2)
        COUNT(g, gaps, place);
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

void ta_picture_cut(ta_chain *chain, const ta_grid_cuts *cuts)
{
    for (int i = 0; i < chain->count; i++)
        if (chain->stages[i]->cls == &ta_constant_rate_stage) {
            grid *g = chain->stages[i]->priv;
            g->cuts = *cuts;
            g->has_cuts = true;
        }
}

int64_t ta_picture_bound(const ta_chain *chain, const ta_link *in, const ta_link *out, AVRational rate, int64_t origin,
                         int64_t pts)
{
    AVRational tb = in->video.time_base, out_tb = out->video.time_base;
    for (int i = 0; i < chain->count; i++)
        if (chain->stages[i]->cls == &ta_constant_rate_stage)
            rate = ((const grid *)chain->stages[i]->priv)->rate;
    if (rate.num <= 0)
        return av_rescale_q_rnd(pts, tb, out_tb, AV_ROUND_DOWN);
    double at = (double)(pts - origin) * av_q2d(tb) * av_q2d(rate);
    int64_t half = 2 * llrint(at) - 1; /* half frames: between the places */
    return av_rescale_q(origin, tb, out_tb) +
           av_rescale_q(half, av_inv_q(av_mul_q(rate, (AVRational){ 2, 1 })), out_tb);
}

void ta_picture_reach(const ta_chain *chain, const ta_link *in, int *behind, int *ahead, int *phase)
{
    double source = in->video.frame_rate.num > 0 ? av_q2d(in->video.frame_rate) : 0, before = 0, after = 0;
    *phase = 1;
    for (int i = 0; i < chain->count; i++) {
        const ta_stage *st = chain->stages[i];
        double rate = st->in.video.frame_rate.num > 0 ? av_q2d(st->in.video.frame_rate) : source;
        double scale = source > 0 && rate > source ? rate / source : 1; /* frames here for one of the source */
        before += st->look_behind / scale;
        after += st->look_ahead / scale;
        *phase = TA_MAX(*phase, st->phase);
    }
    *behind = (int)ceil(before);
    *ahead = (int)ceil(after);
}
