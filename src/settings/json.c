/* Settings as a JSON object, from one, and the JSON Schema of the table. Written by hand, as the canonical texts of
 * numbers are JSON numbers already and keep every digit; read by jansson. */
#include "settings/values.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Clean text (no control characters) as a JSON string. */
static void add_string(ta_buf *b, const char *text)
{
    ta_buf_add(b, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            ta_buf_add(b, "\\");
        ta_buf_addn(b, text, 1);
    }
    ta_buf_add(b, "\"");
}

static void add_value(ta_buf *b, const ta_setting_info *row, const ta_value *v)
{
    switch (row->type) {
    case TA_TYPE_BOOL:
        ta_buf_add(b, v->number ? "true" : "false");
        return;
    case TA_TYPE_INT:
    case TA_TYPE_FLOAT:
        ta_buf_add(b, v->text);
        return;
    case TA_TYPE_BITRATE:
        if (!v->number)
            break;
        __attribute__((fallthrough));
    case TA_TYPE_SIZE:
        ta_buf_addf(b, "%" PRId64, v->number);
        return;
    default:
        break;
    }
    add_string(b, v->text);
}

char *ta_settings_json(const ta_settings *s, bool all)
{
    ta_buf b = { 0 };
    bool first = true;
    ta_buf_add(&b, "{");
    for (int i = 0; i < TA_SET_COUNT; i++) {
        const ta_setting_info *row = ta_setting((ta_setting_id)i);
        if (row->run && !all)
            continue;
        ta_buf_addf(&b, "%s\n  \"%s\": ", first ? "" : ",", row->name);
        add_value(&b, row, &s->slot[i].value);
        first = false;
    }
    ta_buf_add(&b, "\n}");
    return ta_buf_take(&b);
}

/* A JSON scalar as the text that ta_settings_set takes; NULL when it is none, or nothing that fits `out`. */
static const char *scalar_text(const json_t *value, char *out, size_t size)
{
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_boolean(value))
        return json_is_true(value) ? "yes" : "no";
    if (json_is_integer(value))
        snprintf(out, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        ta_print_real(json_real_value(value), out);
    else
        return NULL;
    return out;
}

static int set_member(ta_settings *s, const char *name, const json_t *value, ta_origin origin, ta_error *err)
{
    char number[32];
    int id = ta_setting_find(name);
    const char *text = scalar_text(value, number, sizeof number);
    if (id < 0)
        return ta_fail_unknown(err, origin, "JSON", name);
    if (!text)
        return ta_fail(err, TA_ERR_USAGE, "JSON: %s: a text, number, true or false is expected", name);
    return ta_settings_put(s, (ta_setting_id)id, text, origin, "JSON", true, err);
}

int ta_settings_from_json(ta_settings *s, const char *json, ta_origin origin, ta_error *err)
{
    json_error_t where;
    const char *name;
    json_t *value, *root = json_loads(json, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        return ta_fail(err, TA_ERR_USAGE, "JSON, line %d, column %d: %s", where.line, where.column, where.text);
    int r = json_is_object(root) ? 0 : ta_fail(err, TA_ERR_USAGE, "JSON: an object of names and values is expected");
    json_object_foreach(root, name, value)
    {
        if (r == 0)
            r = set_member(s, name, value, origin, err);
    }
    json_decref(root);
    return r;
}

/* ---- Schema -------------------------------------------------------------------------------------------------------
 */

static const char *schema_type(ta_setting_type type)
{
    switch (type) {
    case TA_TYPE_BOOL:
        return "\"boolean\"";
    case TA_TYPE_INT:
        return "\"integer\"";
    case TA_TYPE_FLOAT:
        return "\"number\"";
    case TA_TYPE_TIME: /* a number is seconds */
        return "[\"string\", \"number\"]";
    case TA_TYPE_SIZE:
    case TA_TYPE_BITRATE:
        return "[\"integer\", \"string\"]";
    default:
        return "\"string\"";
    }
}

static void add_list(ta_buf *b, char *const *words, bool booleans)
{
    ta_buf_add(b, "[");
    for (size_t i = 0; words[i]; i++) {
        if (i)
            ta_buf_add(b, ", ");
        if (booleans)
            ta_buf_add(b, strcmp(words[i], "yes") ? "false" : "true");
        else
            add_string(b, words[i]);
    }
    ta_buf_add(b, "]");
}

static void add_choices(ta_buf *b, const ta_setting_info *row)
{
    char **words = ta_split(row->choices, '|');
    if (!words) {
        b->failed = true;
        return;
    }
    ta_buf_add(b, ",\n      \"enum\": ");
    add_list(b, words, false);
    ta_free(words);
}

static void add_when(ta_buf *b, const ta_setting_info *row)
{
    ta_when w;
    if (ta_when_parse(row->when, &w, NULL) < 0) {
        b->failed = true;
        return;
    }
    if (w.id >= 0) {
        const ta_setting_info *on = ta_setting((ta_setting_id)w.id);
        ta_buf_addf(b, ",\n      \"x-when\": { \"setting\": \"%s\", \"%s\": ", on->name, w.negated ? "isNot" : "is");
        add_list(b, w.words, on->type == TA_TYPE_BOOL);
        ta_buf_add(b, " }");
    }
    ta_when_free(&w);
}

static void add_member(ta_buf *b, const char *name, const char *text)
{
    if (!*text)
        return;
    ta_buf_addf(b, ",\n      \"%s\": ", name);
    add_string(b, text);
}

static void add_range(ta_buf *b, const ta_setting_info *row)
{
    char lo[32], hi[32];
    if (row->min != 0 || row->max != 0)
        ta_buf_addf(b, ",\n      \"minimum\": %s,\n      \"maximum\": %s", ta_print_real(row->min, lo),
                    ta_print_real(row->max, hi));
}

static void add_property(ta_buf *b, ta_setting_id id)
{
    const ta_setting_info *row = ta_setting(id);
    ta_value v;
    if (ta_value_parse(id, row->def, &v, NULL) < 0) {
        b->failed = true;
        return;
    }
    ta_buf_addf(b, "    \"%s\": {\n      \"type\": %s", row->name, schema_type(row->type));
    if (row->type == TA_TYPE_CHOICE)
        add_choices(b, row);
    add_range(b, row);
    ta_buf_add(b, ",\n      \"default\": ");
    add_value(b, row, &v);
    add_member(b, "description", row->help);
    add_member(b, "x-form", row->type == TA_TYPE_CHOICE ? "" : row->choices);
    add_member(b, "x-unit", row->unit);
    add_member(b, "x-group", row->group);
    add_member(b, "x-scope", row->run ? "run" : "job");
    add_member(b, "x-since", row->since);
    add_when(b, row);
    ta_buf_add(b, "\n    }");
    ta_value_clear(&v);
}

char *ta_settings_schema(void)
{
    ta_buf b = { 0 };
    ta_buf_add(&b, "{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
                   "  \"title\": \"TerminalAI settings\",\n  \"type\": \"object\",\n"
                   "  \"additionalProperties\": false,\n  \"properties\": {\n");
    for (int i = 0; i < TA_SET_COUNT; i++) {
        ta_buf_add(&b, i ? ",\n" : "");
        add_property(&b, (ta_setting_id)i);
    }
    ta_buf_add(&b, "\n  }\n}");
    return ta_buf_take(&b);
}
