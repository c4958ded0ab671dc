/* A segment's lead-in, for the stages that need none: frames before its own go through those that remember (field
 * matching, denoising, the constant rate) and end there; colour, tables, scaling and sharpening don't see them. */
#include "picture/plan.h"

enum { KEPT = 4 }; /* frames before the first own one that pass: times are rounded, captions wait for the next frame */

typedef struct lead {
    int64_t first; /* time of the first frame that passes, in `tb` */
    AVRational tb;
    ta_stage *give; /* captions of frames that end here are forgotten there; NULL for none */
} lead;

static int lead_configure(ta_stage *st, const ta_link *in, ta_link *out, ta_error *err)
{
    (void)st;
    (void)err;
    *out = *in;
    return 0;
}

static int lead_push(ta_stage *st, AVFrame *frame, ta_error *err)
{
    const lead *l = st->priv;
    if (av_compare_ts(frame->pts, st->in.video.time_base, l->first, l->tb) >= 0)
        return st->emit(st->emit_to, frame, err);
    if (l->give)
        ta_captions_forget(l->give, frame, &st->in.video);
    av_frame_free(&frame);
    return 0;
}

static const ta_stage_class lead_class = {
    .name = "end of the lead-in",
    .size = sizeof(lead),
    .configure = lead_configure,
    .push = lead_push,
};

/* The first stage behind all that remember. */
static int place(const ta_chain *chain)
{
    int at = 0;
    for (int i = 0; i < chain->count; i++) {
        const ta_stage *st = chain->stages[i];
        if (st->cls == &ta_captions_give_stage)
            continue;
        if (st->look_behind || st->look_ahead || st->phase > 1 || st->cls == &ta_constant_rate_stage)
            at = i + 1;
    }
    return at;
}

static ta_stage *captions_of(const ta_chain *chain)
{
    for (int i = 0; i < chain->count; i++)
        if (chain->stages[i]->cls == &ta_captions_give_stage)
            return chain->stages[i];
    return NULL;
}

int ta_picture_end_lead(ta_chain *chain, const ta_link *in, AVRational tb, int64_t from, ta_error *err)
{
    int at = place(chain);
    if (from == INT64_MIN || at == chain->count)
        return 0;
    ta_stage *st = ta_stage_new(&lead_class, "end of the lead-in", "");
    if (ta_chain_add(chain, st) < 0)
        return ta_no_memory(err);
    memmove(chain->stages + at + 1, chain->stages + at, (size_t)(chain->count - 1 - at) * sizeof st);
    chain->stages[at] = st;
    st->in = st->out = at > 0 ? chain->stages[at - 1]->out : *in;
    AVRational rate = st->in.video.frame_rate;
    int64_t spare = rate.num > 0 ? av_rescale_q(KEPT, av_inv_q(rate), tb) : av_rescale_q(1, (AVRational){ 1, 5 }, tb);
    *(lead *)st->priv = (lead){ from - spare, tb, captions_of(chain) };
    return 0;
}
