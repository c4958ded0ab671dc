/* A filter that looks at a window of frames, on a clip that may be shorter than half of it: libavfilter's atadenoise
 * gives nothing then. So the first frames are held until there are enough for the window; where the clip (or the piece
 * between two changes of format) ends before, the filter is made with the widest window that fits, and a single frame
 * passes as it is. */
#include "picture/plan.h"

enum { MOST_HELD = 64 }; /* half of atadenoise's widest window, 129 */

typedef struct window {
    ta_stage *inner;
    char *short_spec; /* the filter without its window: "atadenoise=0a=0.02:...:s=" */
    int half;
    AVFrame *held[MOST_HELD];
    int n;
    bool flowing; /* the inner stage has frames */
} window;

static int window_emit(void *to, AVFrame *frame, ta_error *err)
{
    ta_stage *st = to;
    return st->emit(st->emit_to, frame, err);
}

static int configure_inner(ta_stage *st, const char *spec, const ta_link *in, ta_link *out, ta_error *err)
{
    window *w = st->priv;
    ta_stage_free(&w->inner);
    w->inner = ta_stage_new(&ta_filter_stage, st->name, spec);
    if (!w->inner)
        return ta_no_memory(err);
    w->inner->threads = st->threads;
    w->inner->emit = window_emit;
    w->inner->emit_to = st;
    w->inner->in = w->inner->out = *in;
    int r = w->inner->cls->configure(w->inner, in, out, err);
    if (r >= 0)
        w->inner->out = *out;
    return r;
}

static int window_configure(ta_stage *st, const ta_link *in, ta_link *out, ta_error *err)
{
    window *w = st->priv;
    w->flowing = false;
    return configure_inner(st, st->spec, in, out, err);
}

/* Hands on what was held: through the filter, or as it is. */
static int release(ta_stage *st, bool filtered, ta_error *err)
{
    window *w = st->priv;
    int r = 0;
    for (int i = 0; i < w->n; i++) {
        AVFrame *frame = w->held[i];
        w->held[i] = NULL;
        if (r < 0)
            av_frame_free(&frame);
        else
            r = filtered ? w->inner->cls->push(w->inner, frame, err) : st->emit(st->emit_to, frame, err);
    }
    w->n = 0;
    return r;
}

static int window_push(ta_stage *st, AVFrame *frame, ta_error *err)
{
    window *w = st->priv;
    if (w->flowing)
        return w->inner->cls->push(w->inner, frame, err);
    w->held[w->n++] = frame;
    if (w->n < w->half)
        return 0;
    w->flowing = true;
    return release(st, true, err);
}

/* The end came before the window was half full. */
static int end_short(ta_stage *st, ta_error *err)
{
    window *w = st->priv;
    if (w->n == 0)
        return 0;
    if (w->n == 1) {
        ta_log(TA_LOG_WARN, st->name, "a single frame has no neighbours to compare with, and is left as it is");
        return release(st, false, err);
    }
    int size = 2 * w->n + 1;
    ta_link in = st->in, out = st->in;
    ta_log(TA_LOG_INFO, st->name, "only %d frames: the window is narrowed to %d", w->n, size);
    char *spec = ta_format("%s%d", w->short_spec, size);
    int r = spec ? configure_inner(st, spec, &in, &out, err) : ta_no_memory(err);
    ta_free(spec);
    if (r >= 0)
        r = release(st, true, err);
    return r < 0 ? r : w->inner->cls->drain(w->inner, err);
}

static int window_drain(ta_stage *st, ta_error *err)
{
    window *w = st->priv;
    return w->flowing ? w->inner->cls->drain(w->inner, err) : end_short(st, err);
}

static void window_close(ta_stage *st)
{
    window *w = st->priv;
    for (int i = 0; i < w->n; i++)
        av_frame_free(&w->held[i]);
    w->n = 0;
    ta_stage_free(&w->inner);
    ta_freep(&w->short_spec);
}

static const ta_stage_class window_class = {
    .name = "window filter",
    .size = sizeof(window),
    .configure = window_configure,
    .push = window_push,
    .drain = window_drain,
    .close = window_close,
};

ta_stage *ta_window_stage(const char *name, const char *filter, int size)
{
    char *spec = ta_format("%s%d", filter, size), *without = ta_strdup(filter);
    ta_stage *st = spec && without ? ta_stage_new(&window_class, name, spec) : NULL;
    ta_free(spec);
    if (!st) {
        ta_free(without);
        return NULL;
    }
    window *w = st->priv;
    w->short_spec = without;
    w->half = TA_CLAMP(size / 2, 1, MOST_HELD);
    return st;
}
