/* The settings of a verb, from everywhere they can come from, ready to use. */
#include "analyze/analyze.h"
#include "cli/cli.h"

#include <string.h>
#include <unistd.h>

static void log_warnings(char *warnings)
{
    char *rest = NULL;
    for (char *line = warnings ? strtok_r(warnings, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest))
        ta_log(TA_LOG_WARN, "settings", "%s", line);
    ta_settings_free_text(warnings);
}

void ta_cli_set_up_log(const ta_settings *s)
{
    ta_log_level level = TA_LOG_INFO;
    ta_log_parse_level(ta_get_text(s, TA_SET_log_level), &level);
    ta_log_setup(level, ta_get_bool(s, TA_SET_log_json));
}

/* Where a piece of this length begins that has the hardest moment in its middle, from the start of the file. */
static int hardest_start(const char *input, int64_t length, int64_t *start, ta_error *err)
{
    ta_hard_moment moment;
    ta_input *in = NULL;
    int count;
    if (!input)
        return ta_fail(err, TA_ERR_USAGE, "--preview at the hardest moment takes one input: use restore");
    int r = ta_hardest(input, 1, ta_cli_cancel(), &moment, &count, err);
    if (r >= 0)
        r = ta_input_open(&in, input, ta_cli_cancel(), err);
    if (r < 0)
        return r;
    *start = TA_MAX(moment.us - ta_input_start_us(in) - length / 2, 0);
    ta_input_close(&in);
    return 0;
}

/* "10s@1:30" and "10s@hardest" become a start and an end. */
static int set_preview(ta_settings *s, const char *input, ta_error *err)
{
    const char *text = ta_get_text(s, TA_SET_preview), *at = strchr(text, '@');
    int64_t length, start = 0;
    char from[32], to[32];
    char *first = at ? ta_strndup(text, (size_t)(at - text)) : ta_strdup(text);
    bool hardest = at && ta_streq(at + 1, "hardest");
    bool good = first && ta_parse_time(first, &length) && (!at || hardest || ta_parse_time(at + 1, &start));
    ta_free(first);
    if (!good)
        return ta_fail(err, TA_ERR_USAGE, "--preview '%s' is not LENGTH@TIME such as 10s@1:30 or 10s@hardest", text);
    int r = hardest ? hardest_start(input, length, &start, err) : 0;
    if (r < 0)
        return r;
    ta_print_time(start, from);
    ta_print_time(start + length, to);
    r = ta_settings_set(s, "start", from, TA_FROM_COMMAND_LINE, "--preview", err);
    return r < 0 ? r : ta_settings_set(s, "end", to, TA_FROM_COMMAND_LINE, "--preview", err);
}

static int resolve(ta_settings *s, ta_error *err)
{
    char *warnings = NULL;
    ta_cli_set_up_log(s);
    int r = ta_settings_resolve(s, &warnings, err);
    log_warnings(warnings);
    return r;
}

int ta_cli_prepare(ta_settings *s, const char *input, ta_error *err)
{
    int r = resolve(s, err);
    ta_cli_set_up_log(s); /* a preset may have a say in it */
    return r < 0 || !ta_get_text(s, TA_SET_preview)[0] ? r : set_preview(s, input, err);
}

ta_cli_progress ta_cli_progress_of(const ta_settings *s)
{
    if (ta_get_is(s, TA_SET_progress, "json"))
        return TA_CLI_PROGRESS_JSON;
    bool line =
        ta_get_is(s, TA_SET_progress, "line") || (ta_get_is(s, TA_SET_progress, "auto") && isatty(STDERR_FILENO));
    return line ? TA_CLI_PROGRESS_LINE : TA_CLI_PROGRESS_NONE;
}

int ta_cli_settings(int argc, char **argv, const char *const *own, const char **own_value, int *words, ta_settings **s,
                    ta_error *err)
{
    *s = ta_settings_new();
    int r = *s ? ta_settings_load(*s, err) : ta_no_memory(err);
    if (r == 0)
        r = ta_cli_parse(argc, argv, *s, own, own_value, words, err);
    if (r == 0)
        r = resolve(*s, err);
    if (r < 0)
        ta_settings_free(s);
    return r;
}
