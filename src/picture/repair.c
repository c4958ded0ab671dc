/* Repairs of the tape's signal: colour that sits beside its luma, dot crawl and rainbows. */
#include <math.h>

#include "picture/plan.h"

/* A shift in luma pixels as chroma samples of `sub` (log2); what can't be met is rounded and said. */
static int to_samples(ta_plan *p, const char *name, int shift, int sub, int multiple)
{
    int unit = (1 << sub) * multiple;
    int samples = (int)lrint((double)shift / unit) * multiple;
    if (samples * (1 << sub) != shift)
        ta_plan_note(p, "%s %d is rounded to %d: the source's colour has one sample every %d", name, shift,
                     samples * (1 << sub), unit);
    return samples;
}

static int shift_chroma(ta_plan *p)
{
    int x = (int)ta_get_int(p->s, TA_SET_chroma_shift_x), y = (int)ta_get_int(p->s, TA_SET_chroma_shift_y);
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(ta_filter_input("chromashift", p->now.pix_fmt));
    if (!d)
        return ta_fail(p->err, TA_ERR_SOFTWARE, "libavfilter has no chromashift");
    /* Lines of an interlaced frame belong to two fields in turn: an odd shift would swap them. */
    x = to_samples(p, "chroma-shift-x", x, d->log2_chroma_w, 1);
    y = to_samples(p, "chroma-shift-y", y, d->log2_chroma_h, p->interlaced ? 2 : 1);
    if (!x && !y)
        return 0;
    char filter[96];
    snprintf(filter, sizeof filter, "chromashift=cbh=%d:crh=%d:cbv=%d:crv=%d", x, x, y, y);
    return ta_plan_filter(p, &(ta_step){ "chroma shift" }, filter);
}

static bool shifts_down(const ta_plan *p)
{
    return ta_get_int(p->s, TA_SET_chroma_shift_y) != 0;
}

int ta_plan_repair(ta_plan *p)
{
    if (!shifts_down(p) && ta_get_int(p->s, TA_SET_chroma_shift_x)) {
        int r = shift_chroma(p);
        if (r < 0)
            return r;
    }
    if (!ta_get_bool(p->s, TA_SET_dedot))
        return 0;
    return ta_plan_filter(p, &(ta_step){ "dedot", 2, 2 }, "dedot");
}

/* A vertical shift waits until the fields are frames. */
int ta_plan_late_repair(ta_plan *p)
{
    return shifts_down(p) ? shift_chroma(p) : 0;
}
