/* The rows of table.def as data, and finding a row by its name. */
#include "settings/settings.h"

#include <string.h>

enum { SCOPE_JOB, SCOPE_RUN };

/* Titles as arrays of their own: their addresses are constants, which initialise the rows. */
#define GROUP(id, title) static const char title_##id[] = title;
#define SETTING(...)
#include "settings/table.def"
#undef SETTING
#undef GROUP

/* clang-format off */
static const ta_setting_info rows[TA_SET_COUNT] = {
#define GROUP(id, title)
#define SETTING(id, name, type, def, min, max, unit, choices, group, scope, when, since, help)                         \
    [TA_SET_##id] = { name, TA_TYPE_##type, def, min, max, unit, choices, title_##group,                               \
                      SCOPE_##scope == SCOPE_RUN, when, since, help, #group },
#include "settings/table.def"
#undef SETTING
#undef GROUP
};
/* clang-format on */

static const char *const names[TA_SET_COUNT + 1] = {
#define GROUP(id, title)
#define SETTING(id, name, ...) [TA_SET_##id] = name,
#include "settings/table.def"
#undef SETTING
#undef GROUP
};

const ta_setting_info *ta_setting(ta_setting_id id)
{
    return &rows[id];
}

int ta_setting_find(const char *name)
{
    for (int i = 0; i < TA_SET_COUNT; i++)
        if (!strcmp(rows[i].name, name))
            return i;
    return -1;
}

const char *const *ta_setting_names(void)
{
    return names;
}
