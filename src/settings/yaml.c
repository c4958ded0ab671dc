/* Reads the small part of YAML that settings use, by libyaml's events. Anything else is refused with its line, as a
 * list or an anchor in a configuration file is a misunderstanding that should not pass in silence. */
#include "settings/yaml.h"

#include <string.h>
#include <yaml.h>

enum { MAX_FILE = 1 << 20 };

typedef struct reader {
    ta_yaml *y;
    const char *name;
    yaml_parser_t parser;
    yaml_event_t event;
    ta_error *err;
} reader;

static int fail_at(reader *r, size_t line, const char *what)
{
    return ta_fail(r->err, TA_ERR_CONFIG, "%s:%zu: %s", r->name, line + 1, what);
}

static int fail_event(reader *r, const char *what)
{
    return fail_at(r, r->event.start_mark.line, what);
}

static int next(reader *r)
{
    yaml_event_delete(&r->event);
    if (yaml_parser_parse(&r->parser, &r->event))
        return 0;
    memset(&r->event, 0, sizeof r->event);
    if (r->parser.error == YAML_MEMORY_ERROR)
        return ta_no_memory(r->err);
    const char *problem = r->parser.problem ? r->parser.problem : "it is not YAML";
    size_t line = r->parser.problem_mark.line;
    if (r->parser.error == YAML_READER_ERROR) /* the mark stands behind the buffered text there */
        return ta_fail(r->err, TA_ERR_CONFIG, "%s: %s at byte %zu", r->name, problem, r->parser.problem_offset);
    return fail_at(r, line, problem);
}

/* Copies the scalar that is the current event. */
static int take_scalar(reader *r, const char *what, char **out)
{
    if (r->event.type != YAML_SCALAR_EVENT)
        return fail_event(r, what);
    if (r->event.data.scalar.anchor)
        return fail_event(r, "anchors are not supported");
    if (strlen((const char *)r->event.data.scalar.value) != r->event.data.scalar.length)
        return fail_event(r, "a NUL byte in a value");
    *out = ta_strdup((const char *)r->event.data.scalar.value);
    return *out ? 0 : ta_no_memory(r->err);
}

static bool is_known(const ta_yaml *y, const char *section, const char *key)
{
    for (size_t i = 0; i < y->count; i++)
        if (ta_streq(y->entries[i].section, section) && !strcmp(y->entries[i].key, key))
            return true;
    return false;
}

static ta_yaml_entry *new_entry(ta_yaml *y)
{
    if (y->count == y->cap) {
        size_t cap = y->cap ? y->cap * 2 : 16;
        ta_yaml_entry *more = ta_resize(y->entries, cap, sizeof *more);
        if (!more)
            return NULL;
        y->entries = more;
        y->cap = cap;
    }
    ta_yaml_entry *e = &y->entries[y->count++];
    memset(e, 0, sizeof *e);
    return e;
}

static int read_mapping(reader *r, const char *section);

/* The value behind `key`, which this takes over. */
static int read_value(reader *r, const char *section, char *key, int line)
{
    int code = next(r);
    if (code == 0 && r->event.type == YAML_MAPPING_START_EVENT && !section) {
        code = read_mapping(r, key);
        ta_free(key);
        return code;
    }
    ta_yaml_entry *e = code == 0 ? new_entry(r->y) : NULL;
    if (!e) {
        ta_free(key);
        return code == 0 ? ta_no_memory(r->err) : code;
    }
    e->key = key;
    e->line = line;
    e->section = section ? ta_strdup(section) : NULL;
    if (section && !e->section)
        return ta_no_memory(r->err);
    return take_scalar(r, "a single value is expected here, not a list or a mapping", &e->value);
}

/* From behind the start of a mapping to its end. */
static int read_mapping(reader *r, const char *section)
{
    for (;;) {
        char *key = NULL;
        int code = next(r);
        if (code < 0 || r->event.type == YAML_MAPPING_END_EVENT)
            return code;
        int line = (int)r->event.start_mark.line + 1;
        code = take_scalar(r, "a name is expected here", &key);
        if (code == 0 && is_known(r->y, section, key)) {
            code = ta_fail(r->err, TA_ERR_CONFIG, "%s:%d: '%s' is given twice", r->name, line, key);
            ta_freep(&key);
        }
        if (code == 0)
            code = read_value(r, section, key, line);
        if (code < 0)
            return code;
    }
}

/* An empty file or one of comments only has no document; "---" alone holds an empty scalar. */
static int read_document(reader *r)
{
    int code = next(r);
    if (code < 0)
        return code;
    bool empty = r->event.type == YAML_SCALAR_EVENT && r->event.data.scalar.length == 0;
    if (!empty && r->event.type != YAML_MAPPING_START_EVENT)
        return fail_event(r, "a mapping of names to values is expected (\"name: value\")");
    code = empty ? 0 : read_mapping(r, NULL);
    return code < 0 ? code : next(r); /* the document's end */
}

static int read_stream(reader *r)
{
    bool seen = false;
    int code = next(r); /* the stream's start */
    while (code == 0 && (code = next(r)) == 0 && r->event.type != YAML_STREAM_END_EVENT) {
        if (seen)
            return fail_event(r, "a second document in the file");
        seen = true;
        code = read_document(r);
    }
    return code;
}

int ta_yaml_parse(ta_yaml *y, const char *name, const char *text, size_t size, ta_error *err)
{
    ta_error local;
    reader r = { .y = y, .name = name, .err = err ? err : &local };
    memset(y, 0, sizeof *y);
    if (!yaml_parser_initialize(&r.parser))
        return ta_no_memory(err);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, size);
    int code = read_stream(&r);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    return code;
}

int ta_yaml_read(ta_yaml *y, const char *path, ta_error *err)
{
    char *text = NULL;
    size_t size = 0;
    memset(y, 0, sizeof *y);
    int code = ta_read_file(path, MAX_FILE, &text, &size, err);
    if (code == 0)
        code = ta_yaml_parse(y, path, text, size, err);
    ta_free(text);
    return code;
}

void ta_yaml_free(ta_yaml *y)
{
    for (size_t i = 0; i < y->count; i++) {
        ta_free(y->entries[i].section);
        ta_free(y->entries[i].key);
        ta_free(y->entries[i].value);
    }
    ta_freep(&y->entries);
    y->count = y->cap = 0;
}

const char *ta_yaml_get(const ta_yaml *y, const char *key)
{
    for (size_t i = 0; i < y->count; i++)
        if (!y->entries[i].section && !strcmp(y->entries[i].key, key))
            return y->entries[i].value;
    return NULL;
}
