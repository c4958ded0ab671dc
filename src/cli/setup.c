/* The settings of a verb, from everywhere they can come from, ready to use. */
#include "cli/cli.h"

#include <string.h>

static void log_warnings(char *warnings)
{
    char *rest = NULL;
    for (char *line = warnings ? strtok_r(warnings, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest))
        ta_log(TA_LOG_WARN, "settings", "%s", line);
    ta_settings_free_text(warnings);
}

static void set_up_log(const ta_settings *s)
{
    ta_log_level level = TA_LOG_INFO;
    ta_log_parse_level(ta_get_text(s, TA_SET_log_level), &level);
    ta_log_setup(level, ta_get_bool(s, TA_SET_log_json));
}

int ta_cli_settings(int argc, char **argv, const char *const *own, const char **own_value, int *words, ta_settings **s,
                    ta_error *err)
{
    char *warnings = NULL;
    *s = ta_settings_new();
    int r = *s ? ta_settings_load(*s, err) : ta_no_memory(err);
    if (r == 0)
        r = ta_cli_parse(argc, argv, *s, own, own_value, words, err);
    if (r == 0) {
        set_up_log(*s);
        r = ta_settings_resolve(*s, &warnings, err);
    }
    log_warnings(warnings);
    if (r < 0)
        ta_settings_free(s);
    return r;
}
