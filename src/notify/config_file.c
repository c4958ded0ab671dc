/* The configuration's file: a list of channels under `notifications:`, read as a tree by libyaml. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "notify/internal.h"

enum { MAX_FILE = 1 << 20 };

typedef struct reader {
    const char *path;
    yaml_document_t document;
    ta_notify_config *config;
    ta_error *err;
} reader;

static int fail_at(reader *r, const yaml_node_t *node, const char *what)
{
    return ta_fail(r->err, TA_ERR_CONFIG, "%s:%zu: %s", r->path, node ? node->start_mark.line + 1 : 1, what);
}

/* The text of a node, or of a list of texts joined by blanks (`list`). ta_free; NULL after a failure. */
static char *take_text(reader *r, int index, bool list)
{
    const yaml_node_t *node = yaml_document_get_node(&r->document, index);
    ta_buf b = { 0 };
    bool right = node->type == YAML_SCALAR_NODE && strlen((char *)node->data.scalar.value) == node->data.scalar.length;
    if (right)
        ta_buf_add(&b, (char *)node->data.scalar.value);
    if (!right && list && node->type == YAML_SEQUENCE_NODE) {
        right = true;
        for (yaml_node_item_t *i = node->data.sequence.items.start; right && i < node->data.sequence.items.top; i++) {
            char *one = take_text(r, *i, false);
            right = one != NULL;
            ta_buf_addf(&b, "%s%s", b.len ? " " : "", one ? one : "");
            ta_free(one);
        }
        if (!right) {
            ta_buf_free(&b);
            return NULL;
        }
    }
    if (!right) {
        fail_at(r, node, list ? "a value or a list of values is expected here" : "a single value is expected here");
        return NULL;
    }
    char *text = ta_buf_take(&b);
    if (!text)
        ta_no_memory(r->err);
    return text;
}

/* ---- One channel ----------------------------------------------------------------------------------------------- */

static int fail_key(reader *r, const yaml_node_t *node, const char *key)
{
    const char *names[TA_FIELD_COUNT + 3] = { "type", "name" };
    for (int f = 0; f < TA_FIELD_COUNT; f++)
        names[f + 2] = ta_field_name((ta_field)f);
    const char *near = ta_nearest(key, names);
    ta_fail(r->err, TA_ERR_CONFIG, "%s:%zu: '%s' is nothing that a channel has", r->path, node->start_mark.line + 1,
            key);
    return near ? ta_hint(r->err, "did you mean '%s'?", near) : TA_ERR_CONFIG;
}

static int set_kind(reader *r, ta_channel *c, const yaml_node_t *node, const char *name)
{
    const char *names[16] = { NULL };
    for (size_t i = 0; ta_notify_kinds[i].name; i++) {
        names[i] = ta_notify_kinds[i].name;
        if (!strcmp(names[i], name))
            c->kind = &ta_notify_kinds[i];
    }
    if (c->kind)
        return 0;
    const char *near = ta_nearest(name, names);
    ta_fail(r->err, TA_ERR_CONFIG, "%s:%zu: there is no type '%s'", r->path, node->start_mark.line + 1, name);
    return near ? ta_hint(r->err, "did you mean '%s'?", near)
                : ta_hint(r->err, "there are discord, slack, webhook, ntfy, smtp and desktop");
}

/* A secret's file is found from the configuration's folder. */
static int read_secret_file(reader *r, const char *name, char **value)
{
    char *folder = ta_path_dir(r->path), *path = *name == '/' ? ta_strdup(name)
                                                 : folder     ? ta_path_join(folder, name)
                                                              : NULL;
    int code = path ? ta_secret_file(path, value, r->err) : ta_no_memory(r->err);
    ta_free(folder);
    ta_free(path);
    if (code == TA_ERR_NOINPUT) /* the configuration is what names it */
        code = r->err->code = TA_ERR_CONFIG;
    return code;
}

static int set_field(reader *r, ta_channel *c, const yaml_node_t *node, const char *key, char *text)
{
    size_t n = strlen(key);
    bool file = ta_ends(key, "-file") && strcmp(key, "ca-file"), variable = ta_ends(key, "-env");
    char *name = ta_strndup(key, file ? n - 5 : variable ? n - 4 : n);
    if (!name)
        return ta_no_memory(r->err);
    int f = ta_field_find(name), code = 0;
    ta_free(name);
    if (f < 0)
        return fail_key(r, node, key);
    if (c->value[f])
        return fail_at(r, node, "this is given twice");
    c->from_outside[f] = file || variable;
    if (file)
        code = read_secret_file(r, text, &c->value[f]);
    else if (variable)
        code = ta_secret_variable(text, &c->value[f], r->err);
    else
        c->value[f] = ta_strdup(text);
    if (code == 0 && !c->value[f])
        code = ta_no_memory(r->err);
    return code < 0 && (file || variable) ? ta_wrap(r->err, "%s:%zu: %s", r->path, node->start_mark.line + 1, key)
                                          : code;
}

static int set_pair(reader *r, ta_channel *c, const yaml_node_pair_t *pair)
{
    const yaml_node_t *node = yaml_document_get_node(&r->document, pair->key);
    char *key = take_text(r, pair->key, false);
    bool list = key && (!strcmp(key, "events") || !strcmp(key, "to"));
    char *text = key ? take_text(r, pair->value, list) : NULL;
    int code = text ? 0 : r->err->code;
    if (code == 0 && !strcmp(key, "type"))
        code = c->kind ? fail_at(r, node, "this is given twice") : set_kind(r, c, node, text);
    else if (code == 0 && !strcmp(key, "name"))
        code = c->name                       ? fail_at(r, node, "this is given twice")
               : (c->name = ta_strdup(text)) ? 0
                                             : ta_no_memory(r->err);
    else if (code == 0)
        code = set_field(r, c, node, key, text);
    ta_free(key);
    ta_wipe(&text);
    return code;
}

static int read_channel(reader *r, int index)
{
    const yaml_node_t *node = yaml_document_get_node(&r->document, index);
    if (node->type != YAML_MAPPING_NODE)
        return fail_at(r, node, "a channel is a mapping (\"- type: discord\")");
    ta_channel *c = ta_config_add(r->config);
    if (!c || !(c->where = ta_format("%s:%zu", r->path, node->start_mark.line + 1)))
        return ta_no_memory(r->err);
    int code = 0;
    for (yaml_node_pair_t *p = node->data.mapping.pairs.start; code == 0 && p < node->data.mapping.pairs.top; p++)
        code = set_pair(r, c, p);
    return code == 0 && !c->kind ? fail_at(r, node, "the channel has no type") : code;
}

/* ---- The file -------------------------------------------------------------------------------------------------- */

static int read_list(reader *r)
{
    const yaml_node_t *root = yaml_document_get_root_node(&r->document);
    if (!root)
        return 0;
    yaml_node_pair_t *pair = root->type == YAML_MAPPING_NODE ? root->data.mapping.pairs.start : NULL;
    if (!pair || root->data.mapping.pairs.top != pair + 1)
        return fail_at(r, root, "one name is expected, notifications, with a list below it");
    const yaml_node_t *key = yaml_document_get_node(&r->document, pair->key);
    const yaml_node_t *list = yaml_document_get_node(&r->document, pair->value);
    if (key->type != YAML_SCALAR_NODE || strcmp((char *)key->data.scalar.value, "notifications"))
        return fail_at(r, key, "one name is expected, notifications, with a list below it");
    if (list->type != YAML_SEQUENCE_NODE)
        return fail_at(r, list, "a list of channels is expected (\"- type: discord\")");
    int code = 0;
    for (yaml_node_item_t *i = list->data.sequence.items.start; code == 0 && i < list->data.sequence.items.top; i++)
        code = read_channel(r, *i);
    return code;
}

static int parse(reader *r, const char *text, size_t size)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return ta_no_memory(r->err);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    int code;
    if (yaml_parser_load(&parser, &r->document)) {
        code = read_list(r);
        yaml_document_delete(&r->document);
    } else {
        code = ta_fail(r->err, TA_ERR_CONFIG, "%s:%zu: %s", r->path, parser.problem_mark.line + 1,
                       parser.problem ? parser.problem : "it is not YAML");
    }
    yaml_parser_delete(&parser);
    return code;
}

/* The user's own file; "" where there is none. */
static int usual_path(char **path, ta_error *err)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (config && *config == '/')
        *path = ta_format("%s/terminalai/notifications.yaml", config);
    else
        *path = home && *home ? ta_format("%s/.config/terminalai/notifications.yaml", home) : ta_strdup("");
    return *path ? 0 : ta_no_memory(err);
}

int ta_config_read_file(ta_notify_config *c, const char *path, ta_error *err)
{
    ta_error local;
    char *usual = NULL, *text = NULL;
    size_t size;
    int r = path && *path ? 0 : usual_path(&usual, err);
    if (r < 0)
        return r;
    if (!usual || !access(usual, F_OK)) {
        reader read = { .path = usual ? usual : path, .config = c, .err = err ? err : &local };
        r = ta_read_file(read.path, MAX_FILE, &text, &size, err);
        if (r == 0)
            r = parse(&read, text, size);
        ta_wipe(&text);
    }
    ta_free(usual);
    return r;
}
