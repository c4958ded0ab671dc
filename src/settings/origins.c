/* The table of values with where each came from, for `settings --origin`. */
#include "settings/values.h"

static const char *origin_name(ta_origin origin)
{
    static const char *const names[] = {
        [TA_FROM_DEFAULT] = "default",         [TA_FROM_PRESET] = "preset",
        [TA_FROM_SYSTEM_FILE] = "system file", [TA_FROM_USER_FILE] = "user file",
        [TA_FROM_ENVIRONMENT] = "environment", [TA_FROM_COMMAND_LINE] = "command line"
    };
    return names[origin];
}

char *ta_settings_origins(const ta_settings *s)
{
    ta_buf b = { 0 };
    for (int i = 0; i < TA_SET_COUNT; i++) {
        const ta_slot *slot = &s->slot[i];
        const char *value = *slot->value.text ? slot->value.text : "(not set)";
        ta_buf_addf(&b, "%-20s %-24s %s", ta_setting((ta_setting_id)i)->name, value, origin_name(slot->origin));
        if (slot->where)
            ta_buf_addf(&b, ", %s", slot->where);
        ta_buf_add(&b, "\n");
    }
    return ta_buf_take(&b);
}
