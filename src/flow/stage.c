/* Making and freeing stages. */
#include "flow/flow.h"

ta_stage *ta_stage_new(const ta_stage_class *cls, const char *name, const char *spec)
{
    ta_stage *st = ta_alloc(sizeof *st);
    if (!st)
        return NULL;
    st->cls = cls;
    st->name = ta_strdup(name);
    st->spec = ta_strdup(spec ? spec : "");
    st->priv = cls->size ? ta_alloc(cls->size) : NULL;
    st->threads = 1;
    st->phase = 1;
    if (!st->name || !st->spec || (cls->size && !st->priv))
        ta_stage_free(&st);
    return st;
}

void ta_stage_free(ta_stage **st)
{
    ta_stage *s = st ? *st : NULL;
    if (!s)
        return;
    if (s->priv && s->cls->close)
        s->cls->close(s);
    ta_free(s->priv);
    ta_free(s->name);
    ta_free(s->spec);
    ta_freep(st);
}

int ta_stage_configure_inner(ta_stage *outer, ta_stage *inner, ta_emit emit, const ta_link *in, ta_link *out,
                             ta_error *err)
{
    if (!inner)
        return ta_no_memory(err);
    inner->threads = outer->threads;
    inner->emit = emit;
    inner->emit_to = outer;
    inner->in = inner->out = *out = *in;
    int r = inner->cls->configure(inner, in, out, err);
    if (r >= 0)
        inner->out = *out;
    return r;
}
