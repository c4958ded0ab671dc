/* Sharpening, after the scale: contrast adaptive (CAS) or an unsharp mask of the luma. */
#include "picture/plan.h"

int ta_plan_sharpen(ta_plan *p)
{
    double strength = ta_get_float(p->s, TA_SET_sharpen_strength);
    char filter[64];
    if (ta_get_is(p->s, TA_SET_sharpen, "off") || strength == 0)
        return 0;
    if (ta_get_is(p->s, TA_SET_sharpen, "cas"))
        snprintf(filter, sizeof filter, "cas=strength=%g", strength);
    else /* 0.4 gives an amount of 0.8 */
        snprintf(filter, sizeof filter, "unsharp=lx=5:ly=5:la=%g:cx=5:cy=5:ca=0", 2 * strength);
    return ta_plan_filter(p, &(ta_step){ "sharpen" }, filter);
}
