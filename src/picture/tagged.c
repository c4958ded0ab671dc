/* A libavfilter graph whose frames get known colour tags. Filters keep, drop or change tags each in its own way; here
 * link and frames say what the plan knows to be true. */
#include "picture/plan.h"

typedef struct tagged {
    ta_stage *inner; /* NULL: only the tags change */
    ta_video_format tags;
} tagged;

static void put_tags(const ta_video_format *from, ta_video_format *to)
{
    to->primaries = from->primaries;
    to->transfer = from->transfer;
    to->matrix = from->matrix;
    to->range = from->range;
    to->chroma_location = from->chroma_location;
}

static int tagged_emit(void *to, AVFrame *frame, ta_error *err)
{
    ta_stage *st = to;
    const ta_video_format *tags = &((tagged *)st->priv)->tags;
    frame->color_primaries = tags->primaries;
    frame->color_trc = tags->transfer;
    frame->colorspace = tags->matrix;
    frame->color_range = tags->range;
    frame->chroma_location = tags->chroma_location;
    return st->emit(st->emit_to, frame, err);
}

static int tagged_configure(ta_stage *st, const ta_link *in, ta_link *out, ta_error *err)
{
    tagged *t = st->priv;
    *out = *in;
    if (st->spec[0]) {
        t->inner = t->inner ? t->inner : ta_stage_new(&ta_filter_stage, st->name, st->spec);
        int r = ta_stage_configure_inner(st, t->inner, tagged_emit, in, out, err);
        if (r < 0)
            return r;
    }
    put_tags(&t->tags, &out->video);
    return 0;
}

static int tagged_push(ta_stage *st, AVFrame *frame, ta_error *err)
{
    tagged *t = st->priv;
    return t->inner ? t->inner->cls->push(t->inner, frame, err) : tagged_emit(st, frame, err);
}

static int tagged_drain(ta_stage *st, ta_error *err)
{
    tagged *t = st->priv;
    return t->inner && t->inner->cls->drain ? t->inner->cls->drain(t->inner, err) : 0;
}

static void tagged_close(ta_stage *st)
{
    tagged *t = st->priv;
    ta_stage_free(&t->inner);
}

static const ta_stage_class tagged_class = {
    .name = "tagged filter",
    .size = sizeof(tagged),
    .configure = tagged_configure,
    .push = tagged_push,
    .drain = tagged_drain,
    .close = tagged_close,
};

ta_stage *ta_tagged_stage(const char *name, const char *spec, const ta_video_format *tags)
{
    ta_stage *st = ta_stage_new(&tagged_class, name, spec);
    if (st)
        ((tagged *)st->priv)->tags = *tags;
    return st;
}
