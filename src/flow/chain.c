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

/* The rest of a chain behind one stage, as the place that the stage emits to. */
typedef struct rest {
    ta_chain *chain;
    int index;
    ta_emit emit;
    void *to;
} rest;

static int push_from(rest *r, AVFrame *frame, ta_error *err);

static int emit_to_rest(void *to, AVFrame *frame, ta_error *err)
{
    return push_from(to, frame, err);
}

static int push_from(rest *r, AVFrame *frame, ta_error *err)
{
    if (r->index == r->chain->count)
        return frame ? r->emit(r->to, frame, err) : 0;
    ta_stage *st = r->chain->stages[r->index];
    rest next = { r->chain, r->index + 1, r->emit, r->to };
    st->emit = emit_to_rest;
    st->emit_to = &next;
    int status;
    if (frame) {
        status = st->cls->push(st, frame, err);
    } else {
        status = st->cls->drain ? st->cls->drain(st, err) : 0;
        if (status >= 0)
            status = push_from(&next, NULL, err);
    }
    return status;
}

int ta_chain_push(ta_chain *c, AVFrame *frame, ta_emit emit, void *to, ta_error *err)
{
    rest all = { c, 0, emit, to };
    return push_from(&all, frame, err);
}
