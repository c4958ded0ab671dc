/* A chain of stages run in one thread: what plans are made of, and what tests and small work use directly. */
#include "flow/flow.h"

int ta_chain_add(ta_chain *c, ta_stage *st)
{
    if (!st)
        return TA_ERR_AGAIN;
    ta_stage **grown = ta_resize(c->stages, (size_t)c->count + 1, sizeof *grown);
    if (!grown) {
        ta_stage_free(&st);
        return TA_ERR_AGAIN;
    }
    c->stages = grown;
    c->stages[c->count++] = st;
    return 0;
}

void ta_chain_free(ta_chain *c)
{
    for (int i = 0; i < c->count; i++)
        ta_stage_free(&c->stages[i]);
    ta_freep(&c->stages);
    c->count = 0;
}

static int configure_one(ta_stage *st, const ta_link *in, ta_error *err)
{
    st->in = *in;
    st->out = *in;
    int r = st->cls->configure(st, in, &st->out, err);
    return r < 0 ? ta_wrap(err, "stage '%s' (%s)", st->name, st->spec) : 0;
}

int ta_chain_configure(ta_chain *c, const ta_link *in, ta_link *out, ta_error *err)
{
    ta_link link = *in;
    for (int i = 0; i < c->count; i++) {
        int r = configure_one(c->stages[i], &link, err);
        if (r < 0)
            return r;
        link = c->stages[i]->out;
    }
    *out = link;
    return 0;
}

/* The rest of a row of stages, as the place that the stage before emits to. */
typedef struct rest {
    ta_stage **stages;
    int count;
    ta_emit emit;
    void *to;
} rest;

static int push_rest(const rest *r, AVFrame *frame, ta_error *err);

static int emit_to_rest(void *to, AVFrame *frame, ta_error *err)
{
    return push_rest(to, frame, err);
}

/* A change of format in mid-stream: what is inside leaves first, then the stage starts anew. */
static int reconfigure(ta_stage *st, const AVFrame *frame, ta_error *err)
{
    int r = st->cls->drain ? st->cls->drain(st, err) : 0;
    if (r < 0)
        return r;
    ta_link in;
    ta_link_from_frame(&in, &st->in, frame);
    st->in = in;
    r = st->cls->configure(st, &in, &st->out, err);
    return r < 0 ? ta_wrap(err, "stage '%s' after a change of format", st->name) : 0;
}

static int push_stage(ta_stage *st, AVFrame *frame, ta_error *err)
{
    int r = ta_link_differs(&st->in, frame) ? reconfigure(st, frame, err) : 0;
    if (r < 0) {
        av_frame_free(&frame);
        return r;
    }
    r = st->cls->push(st, frame, err);
    return r < 0 && r != TA_ERR_CANCELLED && !st->blamed++ ? ta_wrap(err, "stage '%s'", st->name) : r;
}

static int push_rest(const rest *r, AVFrame *frame, ta_error *err)
{
    if (r->count == 0)
        return frame ? r->emit(r->to, frame, err) : 0;
    ta_stage *st = r->stages[0];
    rest next = { r->stages + 1, r->count - 1, r->emit, r->to };
    st->emit = emit_to_rest;
    st->emit_to = &next;
    if (frame)
        return push_stage(st, frame, err);
    int status = st->cls->drain ? st->cls->drain(st, err) : 0;
    return status < 0 ? status : push_rest(&next, NULL, err);
}

int ta_stages_push(ta_stage **stages, int count, AVFrame *frame, ta_emit emit, void *to, ta_error *err)
{
    rest all = { stages, count, emit, to };
    return push_rest(&all, frame, err);
}

int ta_chain_push(ta_chain *c, AVFrame *frame, ta_emit emit, void *to, ta_error *err)
{
    return ta_stages_push(c->stages, c->count, frame, emit, to, err);
}
