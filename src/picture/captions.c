/* Captions, AFD and time code around stages that double or drop frames: taken off in front of them, put on behind them,
 * each exactly once.
 *
 * Both ends share a store, a queue in order of time. An output frame gets what was taken at or before its time: the
 * first of two doubled frames gets everything, the frame behind a dropped one gets both. cc_count has five bits
 * (ANSI/CTA-708, ATSC A/53 part 4), so at most 31 packets go on a frame and the rest goes on the next; merging leaves
 * out packets that are marked as not valid, which carry nothing. */
#include <pthread.h>
#include <stdatomic.h>

#include "picture/plan.h"

enum { PACKET = 3, MAX_PACKETS = 31, KINDS = 3 };
static const enum AVFrameSideDataType kinds[KINDS] = { AV_FRAME_DATA_A53_CC, AV_FRAME_DATA_AFD,
                                                       AV_FRAME_DATA_S12M_TIMECODE };

/* What was taken off one frame. */
typedef struct taken {
    int64_t pts;
    AVRational tb;
    AVBufferRef *data[KINDS];
    struct taken *next;
} taken;

typedef struct store {
    pthread_mutex_t lock; /* guards all below */
    int users;
    taken *first, **end;
    bool ended; /* the taking end has seen the last frame */
} store;

static store *store_new(void)
{
    store *s = ta_alloc(sizeof *s);
    if (!s)
        return NULL;
    pthread_mutex_init(&s->lock, NULL);
    s->users = 2;
    s->end = &s->first;
    return s;
}

static void taken_free(taken *t)
{
    for (int k = 0; t && k < KINDS; k++)
        av_buffer_unref(&t->data[k]);
    ta_free(t);
}

static void store_clear(store *s)
{
    while (s->first) {
        taken *next = s->first->next;
        taken_free(s->first);
        s->first = next;
    }
    s->end = &s->first;
    s->ended = false;
}

static void store_drop(store **link)
{
    store *s = *link;
    *link = NULL;
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    bool last = --s->users == 0;
    pthread_mutex_unlock(&s->lock);
    if (!last)
        return;
    store_clear(s);
    pthread_mutex_destroy(&s->lock);
    ta_free(s);
}

static void store_add(store *s, taken *t)
{
    pthread_mutex_lock(&s->lock);
    s->ended = false;
    if (t) {
        *s->end = t;
        s->end = &t->next;
    }
    pthread_mutex_unlock(&s->lock);
}

/* The oldest entry, when its time is not after `pts` or the end was reached and `all` is wanted. */
static taken *store_next(store *s, int64_t pts, AVRational tb, bool all)
{
    pthread_mutex_lock(&s->lock);
    taken *t = s->first;
    if (t && !(all && s->ended) && av_compare_ts(t->pts, t->tb, pts, tb) > 0)
        t = NULL;
    if (t) {
        s->first = t->next;
        if (!s->first)
            s->end = &s->first;
    }
    pthread_mutex_unlock(&s->lock);
    return t;
}

static bool valid(const uint8_t *packet)
{
    return packet[0] & 4;
}

static uint64_t count_valid(const AVFrameSideData *sd)
{
    uint64_t n = 0;
    for (size_t i = 0; sd && i + PACKET <= sd->size; i += PACKET)
        n += valid(sd->data + i);
    return n;
}

/* ---- Taking -------------------------------------------------------------------------------------------------------
 */

typedef struct end {
    store *store;
    ta_picture_counts *counts;
    AVFrame *held;    /* giving: the last frame waits for what comes behind it */
    uint8_t *waiting; /* giving: packets that found no place yet */
    size_t n_waiting; /* bytes */
} end;

static bool counted(const ta_stage *st, const AVFrame *f)
{
    const end *e = st->priv;
    return ta_picture_counted(e->counts, av_rescale_q(f->pts, st->in.video.time_base, AV_TIME_BASE_Q));
}

static int end_configure(ta_stage *st, const ta_link *in, ta_link *out, ta_error *err)
{
    *out = *in;
    if (!((end *)st->priv)->store)
        return ta_fail(err, TA_ERR_SOFTWARE, "the captions' two ends are not joined");
    return 0;
}

static int take_push(ta_stage *st, AVFrame *frame, ta_error *err)
{
    end *e = st->priv;
    taken *t = NULL;
    uint64_t in = 0;
    for (int k = 0; k < KINDS; k++) {
        const AVFrameSideData *sd = av_frame_get_side_data(frame, kinds[k]);
        if (!sd)
            continue;
        if (!t)
            t = ta_alloc(sizeof *t);
        if (!t || !(t->data[k] = av_buffer_ref(sd->buf))) {
            taken_free(t);
            av_frame_free(&frame);
            return ta_no_memory(err);
        }
        if (k == 0 && counted(st, frame))
            in = count_valid(sd);
        av_frame_remove_side_data(frame, kinds[k]);
    }
    if (in)
        atomic_fetch_add_explicit(&e->counts->captions_in, in, memory_order_relaxed);
    if (t) {
        t->pts = frame->pts;
        t->tb = st->in.video.time_base;
    }
    store_add(e->store, t);
    return st->emit(st->emit_to, frame, err);
}

static int take_drain(ta_stage *st, ta_error *err)
{
    end *e = st->priv;
    pthread_mutex_lock(&e->store->lock);
    e->store->ended = true;
    pthread_mutex_unlock(&e->store->lock);
    return 0;
}

static int take_reset(ta_stage *st, ta_error *err)
{
    end *e = st->priv;
    pthread_mutex_lock(&e->store->lock);
    store_clear(e->store);
    pthread_mutex_unlock(&e->store->lock);
    return 0;
}

/* ---- Giving -------------------------------------------------------------------------------------------------------
 */

/* Puts packets behind those that wait; those that carry nothing are left out. */
static bool wait_for_place(end *e, const uint8_t *data, size_t size)
{
    uint8_t *grown = ta_resize(e->waiting, e->n_waiting + size + 1, 1);
    if (!grown)
        return false;
    e->waiting = grown;
    for (size_t i = 0; i + PACKET <= size; i += PACKET)
        if (valid(data + i)) {
            memcpy(grown + e->n_waiting, data + i, PACKET);
            e->n_waiting += PACKET;
        }
    return true;
}

/* Moves waiting packets onto the frame, as many as go. */
static bool give_waiting(end *e, AVFrame *frame)
{
    size_t n = TA_MIN(e->n_waiting, (size_t)MAX_PACKETS * PACKET);
    if (!n)
        return true;
    AVFrameSideData *sd = av_frame_new_side_data(frame, AV_FRAME_DATA_A53_CC, n);
    if (!sd)
        return false;
    memcpy(sd->data, e->waiting, n);
    memmove(e->waiting, e->waiting + n, e->n_waiting - n);
    e->n_waiting -= n;
    return true;
}

/* Passes a buffer on as it is. */
static bool give_whole(AVFrame *frame, enum AVFrameSideDataType kind, AVBufferRef **data)
{
    av_frame_remove_side_data(frame, kind);
    if (!av_frame_new_side_data_from_buf(frame, kind, *data))
        return false;
    *data = NULL;
    return true;
}

/* The captions of one entry: whole where they are alone, else behind what is already there. */
static bool give_captions(end *e, AVFrame *frame, AVBufferRef **data)
{
    AVFrameSideData *sd = av_frame_get_side_data(frame, AV_FRAME_DATA_A53_CC);
    if (!sd && !e->n_waiting && (*data)->size <= (size_t)MAX_PACKETS * PACKET)
        return give_whole(frame, AV_FRAME_DATA_A53_CC, data);
    bool good = !sd || wait_for_place(e, sd->data, sd->size);
    av_frame_remove_side_data(frame, AV_FRAME_DATA_A53_CC);
    return good && wait_for_place(e, (*data)->data, (*data)->size);
}

static const AVRational fine = { 1, 1000000 };

/* Up to when a frame gets what was taken, in microseconds. Half a frame: the constant rate may have moved it a little.
 */
static int64_t due(const AVFrame *frame, const ta_video_format *v)
{
    int64_t time = av_rescale_q(frame->pts, v->time_base, fine);
    return v->frame_rate.num > 0 ? time + av_rescale_q(1, av_inv_q(v->frame_rate), fine) / 2 : time;
}

/* Gives a frame all that is due at its time; at the end, all there is. */
static int give_due(ta_stage *st, AVFrame *frame, bool all, ta_error *err)
{
    end *e = st->priv;
    int64_t time = due(frame, &st->in.video);
    bool good = true;
    for (taken *t; good && (t = store_next(e->store, time, fine, all)); taken_free(t))
        for (int k = 0; k < KINDS && good; k++)
            if (t->data[k])
                good = k == 0 ? give_captions(e, frame, &t->data[k]) : give_whole(frame, kinds[k], &t->data[k]);
    if (good && !av_frame_get_side_data(frame, AV_FRAME_DATA_A53_CC))
        good = give_waiting(e, frame);
    return good ? 0 : ta_no_memory(err);
}

void ta_captions_forget(ta_stage *give, const AVFrame *frame, const ta_video_format *v)
{
    for (taken *t; (t = store_next(((end *)give->priv)->store, due(frame, v), fine, false)); taken_free(t))
        ;
}

static int emit_held(ta_stage *st, ta_error *err)
{
    end *e = st->priv;
    AVFrame *f = e->held;
    e->held = NULL;
    if (!f)
        return 0;
    uint64_t out = counted(st, f) ? count_valid(av_frame_get_side_data(f, AV_FRAME_DATA_A53_CC)) : 0;
    if (out)
        atomic_fetch_add_explicit(&e->counts->captions_out, out, memory_order_relaxed);
    return st->emit(st->emit_to, f, err);
}

static int give_push(ta_stage *st, AVFrame *frame, ta_error *err)
{
    end *e = st->priv;
    int r = emit_held(st, err);
    if (r >= 0)
        r = give_due(st, frame, false, err);
    if (r < 0)
        av_frame_free(&frame);
    e->held = frame;
    return r;
}

/* What was taken off dropped frames behind the last one goes on that. */
static int give_drain(ta_stage *st, ta_error *err)
{
    end *e = st->priv;
    int r = e->held ? give_due(st, e->held, true, err) : 0;
    return r < 0 ? r : emit_held(st, err);
}

static int give_reset(ta_stage *st, ta_error *err)
{
    end *e = st->priv;
    av_frame_free(&e->held);
    e->n_waiting = 0;
    return 0;
}

static void end_close(ta_stage *st)
{
    end *e = st->priv;
    av_frame_free(&e->held);
    ta_freep(&e->waiting);
    store_drop(&e->store);
}

const ta_stage_class ta_captions_take_stage = {
    .name = "captions take",
    .size = sizeof(end),
    .configure = end_configure,
    .push = take_push,
    .drain = take_drain,
    .reset = take_reset,
    .close = end_close,
};

const ta_stage_class ta_captions_give_stage = {
    .name = "captions give",
    .size = sizeof(end),
    .configure = end_configure,
    .push = give_push,
    .drain = give_drain,
    .reset = give_reset,
    .close = end_close,
};

int ta_captions_join(ta_stage *take, ta_stage *give, ta_picture_counts *counts, ta_error *err)
{
    store *s = take && give ? store_new() : NULL;
    if (!s)
        return ta_no_memory(err);
    end *from = take->priv, *to = give->priv;
    store_drop(&from->store);
    store_drop(&to->store);
    from->store = to->store = s;
    from->counts = to->counts = counts;
    return 0;
}

/* Around everything that doubles or drops; where nothing does, side data rides along by itself. */
int ta_plan_captions(ta_plan *p)
{
    if (!p->recounted)
        return 0;
    ta_stage *take = ta_stage_new(&ta_captions_take_stage, "captions off", "");
    ta_stage *give = ta_stage_new(&ta_captions_give_stage, "captions on", "");
    int r = ta_captions_join(take, give, p->counts, p->err);
    if (r < 0) {
        ta_stage_free(&take);
        ta_stage_free(&give);
        return r;
    }
    r = ta_plan_add(p, &(ta_step){ "captions", 2, 1 }, take);
    if (r < 0) {
        ta_stage_free(&give);
        return r;
    }
    memmove(p->chain->stages + 1, p->chain->stages, (size_t)(p->chain->count - 1) * sizeof take);
    p->chain->stages[0] = take;
    return ta_plan_add(p, &(ta_step){ "captions", 2, 1 }, give);
}
