/* The last step: the preset below everything a person set, then contradictions. */
#include "settings/values.h"

int ta_settings_resolve(ta_settings *s, char **warnings, ta_error *err)
{
    ta_buf notes = { 0 };
    if (warnings)
        *warnings = NULL;
    /* `preset` itself is no part of presets, so the text stays valid */
    int r = ta_preset_apply_noted(s, ta_get_text(s, TA_SET_preset), &notes, err);
    if (r == 0)
        r = ta_settings_check(s, &notes, err);
    if (r == 0 && warnings && notes.len && !(*warnings = ta_buf_take(&notes)))
        r = ta_no_memory(err);
    ta_buf_free(&notes);
    return r;
}
