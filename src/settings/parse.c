/* One value: from text, checked against its row, to its canonical text. */
#include "settings/values.h"

#include <string.h>
#include <strings.h>

enum { MAX_VALUE = 4096 };

/* Bit rates outside these are slips of the unit: 192 for 192k, or 192000k. */
static const int64_t MIN_RATE = 6000, MAX_RATE = 20000000;

static int keep(ta_value *out, const char *text, ta_error *err)
{
    out->text = ta_strdup(text);
    return out->text ? 0 : ta_no_memory(err);
}

static int parse_bool(const char *text, ta_value *out, ta_error *err)
{
    static const char *const yes[] = { "yes", "true", "on", "1" }, *const no[] = { "no", "false", "off", "0" };
    for (size_t i = 0; i < TA_COUNT(yes); i++) {
        if (!strcasecmp(text, yes[i]) || !strcasecmp(text, no[i])) {
            out->number = !strcasecmp(text, yes[i]);
            return keep(out, out->number ? "yes" : "no", err);
        }
    }
    ta_fail(err, TA_ERR_USAGE, "'%s' is neither yes nor no", text);
    return ta_hint(err, "write yes or no");
}

static int fail_range(ta_error *err, const ta_setting_info *row, const char *text)
{
    char lo[32], hi[32];
    return ta_fail(err, TA_ERR_USAGE, "%s is not within %s to %s%s%s", text, ta_print_real(row->min, lo),
                   ta_print_real(row->max, hi), *row->unit ? " " : "", row->unit);
}

static bool out_of_range(const ta_setting_info *row, double x)
{
    return (row->min != 0 || row->max != 0) && (x < row->min || x > row->max);
}

static int fail_number(ta_error *err, const ta_setting_info *row, const char *kind, const char *text)
{
    char lo[32], hi[32];
    ta_fail(err, TA_ERR_USAGE, "'%s' is not a %s", text, kind);
    if (row->min == 0 && row->max == 0)
        return TA_ERR_USAGE;
    return ta_hint(err, "give a %s from %s to %s", kind, ta_print_real(row->min, lo), ta_print_real(row->max, hi));
}

static int parse_int(const ta_setting_info *row, const char *text, ta_value *out, ta_error *err)
{
    char printed[32];
    if (!ta_parse_whole(text, &out->number))
        return fail_number(err, row, "whole number", text);
    if (out_of_range(row, (double)out->number))
        return fail_range(err, row, text);
    /* %.17g is exact below 2^53, and the table has no INT beyond */
    if (out->number > INT64_C(1) << 53 || out->number < -(INT64_C(1) << 53))
        return ta_fail(err, TA_ERR_USAGE, "%s is too large", text);
    return keep(out, ta_print_real((double)out->number, printed), err);
}

static int parse_float(const ta_setting_info *row, const char *text, ta_value *out, ta_error *err)
{
    char printed[32];
    if (!ta_parse_real(text, &out->real))
        return fail_number(err, row, "number", text);
    if (out_of_range(row, out->real))
        return fail_range(err, row, text);
    return keep(out, ta_print_real(out->real, printed), err);
}

static int fail_choice(ta_error *err, char *const *words, const char *text)
{
    const char *near = ta_nearest(text, (const char *const *)words);
    char *list = ta_join_or(words);
    ta_fail(err, TA_ERR_USAGE, "'%s' is not one of %s", text, list ? list : "its choices");
    ta_free(list);
    return near ? ta_hint(err, "did you mean '%s'?", near) : TA_ERR_USAGE;
}

static int parse_choice(const ta_setting_info *row, const char *text, ta_value *out, ta_error *err)
{
    char **words = ta_split(row->choices, '|');
    if (!words)
        return ta_no_memory(err);
    const char *found = NULL;
    for (size_t i = 0; words[i] && !found; i++)
        found = strcasecmp(text, words[i]) ? NULL : words[i];
    int r = found ? keep(out, found, err) : fail_choice(err, words, text);
    ta_free(words);
    return r;
}

static int parse_time(const char *text, ta_value *out, ta_error *err)
{
    char printed[32];
    out->number = -1;
    if (!*text || !strcmp(text, "none"))
        return keep(out, "", err);
    /* ten years: beyond any recording, and far from overflow */
    if (!ta_parse_time(text, &out->number) || out->number < 0 || out->number > INT64_C(315360000000000)) {
        ta_fail(err, TA_ERR_USAGE, "'%s' is not a time", text);
        return ta_hint(err, "write a time as 90, 1:30, 00:01:30.5, 90s or 1500ms");
    }
    return keep(out, ta_print_moment(out->number, printed), err);
}

static int parse_bytes(const char *text, ta_value *out, ta_error *err)
{
    char printed[32];
    if (!ta_parse_size(text, &out->number) || out->number < 0) {
        ta_fail(err, TA_ERR_USAGE, "'%s' is not a size", text);
        return ta_hint(err, "write bytes as 512, 64K, 1.5G or 2GiB");
    }
    return keep(out, ta_print_bytes(out->number, printed), err);
}

static bool read_rate(const char *text, int64_t *rate)
{
    static const struct {
        char unit;
        double factor;
    } units[] = { { 'k', 1e3 }, { 'K', 1e3 }, { 'm', 1e6 }, { 'M', 1e6 } };
    char number[32];
    size_t n = strlen(text);
    double factor = 1, x;
    if (!n || n >= sizeof number)
        return false;
    memcpy(number, text, n + 1);
    for (size_t i = 0; i < TA_COUNT(units); i++) {
        if (text[n - 1] != units[i].unit)
            continue;
        factor = units[i].factor;
        number[n - 1] = 0;
    }
    if (!ta_parse_real(number, &x) || x < 0 || x * factor > 1e12)
        return false;
    *rate = (int64_t)(x * factor + 0.5);
    return true;
}

static int parse_rate(const char *text, ta_value *out, ta_error *err)
{
    char printed[32];
    out->number = 0;
    if (!strcasecmp(text, "auto"))
        return keep(out, "auto", err);
    if (!read_rate(text, &out->number)) {
        ta_fail(err, TA_ERR_USAGE, "'%s' is not a bit rate", text);
        return ta_hint(err, "write bits a second as 192k, 192000 or auto");
    }
    if (out->number < MIN_RATE || out->number > MAX_RATE) {
        ta_fail(err, TA_ERR_USAGE, "%s is not within 6k to 20M bits/s", text);
        return ta_hint(err, "a usual rate is 192k");
    }
    return keep(out, ta_print_rate(out->number, printed), err);
}

static int parse_text(const ta_setting_info *row, const char *text, ta_value *out, ta_error *err)
{
    ta_form form = { .replacement = NULL };
    ta_form_check check = row->type == TA_TYPE_TEXT ? ta_form_of(row->name) : NULL;
    if (check && !check(text, &form)) {
        if (form.no_memory)
            return ta_no_memory(err);
        ta_fail(err, TA_ERR_USAGE, "%s", form.why);
        if (*form.hint)
            return ta_hint(err, "%s", form.hint);
        return *row->choices ? ta_hint(err, "write %s", row->choices) : TA_ERR_USAGE;
    }
    return keep(out, form.replacement ? form.replacement : text, err);
}

int ta_value_parse(ta_setting_id id, const char *text, ta_value *out, ta_error *err)
{
    const ta_setting_info *row = ta_setting(id);
    memset(out, 0, sizeof *out);
    if (strlen(text) > MAX_VALUE)
        return ta_fail(err, TA_ERR_USAGE, "the value is longer than %d bytes", MAX_VALUE);
    if (!ta_text_is_clean(text))
        return ta_fail(err, TA_ERR_USAGE, "the value has control characters or is not UTF-8 text");
    switch (row->type) {
    case TA_TYPE_BOOL:
        return parse_bool(text, out, err);
    case TA_TYPE_INT:
        return parse_int(row, text, out, err);
    case TA_TYPE_FLOAT:
        return parse_float(row, text, out, err);
    case TA_TYPE_CHOICE:
        return parse_choice(row, text, out, err);
    case TA_TYPE_TIME:
        return parse_time(text, out, err);
    case TA_TYPE_SIZE:
        return parse_bytes(text, out, err);
    case TA_TYPE_BITRATE:
        return parse_rate(text, out, err);
    case TA_TYPE_TEXT:
    case TA_TYPE_PATH:
        return parse_text(row, text, out, err);
    }
    return ta_fail(err, TA_ERR_SOFTWARE, "a setting of an unknown type");
}

void ta_value_clear(ta_value *v)
{
    ta_freep(&v->text);
}
