/* The configuration of watch folders, a YAML file:
 *
 *   watch:
 *     - input: /captures              # must exist
 *       output: /restored             # made when missing
 *       settings: { preset: vhs, crf: 18 }
 *       when-done: move               # keep (the default), move, delete
 *       move-to: /captures/done
 *
 * All names are in the table below. Unknown ones, values of a wrong kind and contradictions are errors with their line.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "queue/watch.h"

enum { MAX_FILE = 1 << 20 };

#define MINUTE_US INT64_C(60000000)

typedef struct reader {
    yaml_document_t document;
    struct ta_watch_config *config;
    ta_error *err;
} reader;

typedef struct field field;
typedef int (*set_fn)(reader *r, ta_watch_folder *f, const field *d, const yaml_node_t *node);

struct field {
    const char *name;
    set_fn set;
    size_t offset;
    int64_t min, max;
};

static int fail_at(reader *r, const yaml_node_t *node, const char *what)
{
    return ta_fail(r->err, TA_ERR_CONFIG, "%s:%zu: %s", r->config->path, node->start_mark.line + 1, what);
}

static const char *scalar(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE && strlen((const char *)node->data.scalar.value) == node->data.scalar.length
               ? (const char *)node->data.scalar.value
               : NULL;
}

/* ---- Values ---------------------------------------------------------------------------------------------------------
 */

static int set_text(reader *r, ta_watch_folder *f, const field *d, const yaml_node_t *node)
{
    const char *text = scalar(node);
    if (!text || !*text)
        return fail_at(r, node, "a text is expected");
    char **out = (char **)((char *)f + d->offset);
    ta_free(*out);
    *out = ta_strdup(text);
    return *out ? 0 : ta_no_memory(r->err);
}

static int set_bool(reader *r, ta_watch_folder *f, const field *d, const yaml_node_t *node)
{
    const char *text = scalar(node);
    bool yes = text && (ta_streq(text, "yes") || ta_streq(text, "true"));
    if (!yes && !(text && (ta_streq(text, "no") || ta_streq(text, "false"))))
        return fail_at(r, node, "yes or no is expected");
    *(bool *)((char *)f + d->offset) = yes;
    return 0;
}

static int set_in_range(reader *r, ta_watch_folder *f, const field *d, const yaml_node_t *node, int64_t value,
                        bool good)
{
    if (!good || value < d->min || value > d->max) {
        ta_fail(r->err, TA_ERR_CONFIG, "%s:%zu: '%s' is no value for %s", r->config->path, node->start_mark.line + 1,
                scalar(node) ? scalar(node) : "", d->name);
        return ta_hint(r->err, "docs/manual.md names the values under \"Watch folders\"");
    }
    *(int64_t *)((char *)f + d->offset) = value;
    return 0;
}

static int set_number(reader *r, ta_watch_folder *f, const field *d, const yaml_node_t *node)
{
    char *end = NULL;
    const char *text = scalar(node);
    long long n = text ? strtoll(text, &end, 10) : 0;
    return set_in_range(r, f, d, node, n, text && end != text && !*end);
}

static int set_time(reader *r, ta_watch_folder *f, const field *d, const yaml_node_t *node)
{
    int64_t us = 0;
    bool good = scalar(node) && ta_parse_time(scalar(node), &us);
    return set_in_range(r, f, d, node, us, good);
}

static int set_size(reader *r, ta_watch_folder *f, const field *d, const yaml_node_t *node)
{
    int64_t bytes = 0;
    bool good = scalar(node) && ta_parse_size(scalar(node), &bytes);
    return set_in_range(r, f, d, node, bytes, good);
}

/* A list of patterns, or one. */
static int set_patterns(reader *r, ta_watch_folder *f, const field *d, const yaml_node_t *node)
{
    const yaml_node_t *const one[] = { node };
    size_t n = 1;
    if (node->type == YAML_SEQUENCE_NODE)
        n = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    char **list = ta_array(n + 1, sizeof *list);
    int code = list ? 0 : ta_no_memory(r->err);
    for (size_t i = 0; code >= 0 && i < n; i++) {
        const yaml_node_t *item = node->type == YAML_SEQUENCE_NODE
                                      ? yaml_document_get_node(&r->document, node->data.sequence.items.start[i])
                                      : one[0];
        const char *text = scalar(item);
        code = !text || !*text ? fail_at(r, item, "a pattern is expected, such as \"*.avi\"") : 0;
        if (code >= 0 && !(list[i] = ta_strdup(text)))
            code = ta_no_memory(r->err);
    }
    *(char ***)((char *)f + d->offset) = list;
    return code;
}

static int set_after(reader *r, ta_watch_folder *f, const field *d, const yaml_node_t *node)
{
    static const char *const words[] = { "keep", "move", "delete" };
    for (size_t i = 0; i < TA_COUNT(words); i++) {
        if (ta_streq(scalar(node), words[i])) {
            f->after = (ta_watch_after)i;
            return 0;
        }
    }
    return fail_at(r, node, "when-done is keep, move or delete");
}

static int set_settings(reader *r, ta_watch_folder *f, const field *d, const yaml_node_t *node)
{
    char where[400];
    if (node->type != YAML_MAPPING_NODE)
        return fail_at(r, node, "a mapping of settings is expected");
    int code = 0;
    for (yaml_node_pair_t *p = node->data.mapping.pairs.start; code >= 0 && p < node->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = yaml_document_get_node(&r->document, p->key);
        const yaml_node_t *value = yaml_document_get_node(&r->document, p->value);
        if (!scalar(key) || !scalar(value))
            return fail_at(r, key, "a setting has one value");
        snprintf(where, sizeof where, "%s:%zu", r->config->path, key->start_mark.line + 1);
        code = ta_settings_set(f->settings, scalar(key), scalar(value), TA_FROM_COMMAND_LINE, where, r->err);
        if (code < 0)
            ta_wrap(r->err, "%s", where);
    }
    return code < 0 ? TA_ERR_CONFIG : 0;
}

#define AT(member) offsetof(ta_watch_folder, member)

static const field fields[] = {
    { "name", set_text, AT(name), 0, 0 },
    { "input", set_text, AT(input), 0, 0 },
    { "output", set_text, AT(output), 0, 0 },
    { "settings", set_settings, 0, 0, 0 },
    { "when-done", set_after, 0, 0, 0 },
    { "move-to", set_text, AT(move_to), 0, 0 },
    { "errors-to", set_text, AT(errors_to), 0, 0 },
    { "delete-original", set_bool, AT(delete_original), 0, 0 },
    { "recursive", set_bool, AT(recursive), 0, 0 },
    { "keep-structure", set_bool, AT(keep_structure), 0, 0 },
    { "include", set_patterns, AT(include), 0, 0 },
    { "exclude", set_patterns, AT(exclude), 0, 0 },
    { "minimum-size", set_size, AT(minimum_size), 0, INT64_MAX },
    { "stable", set_time, AT(stable_us), 0, 24 * 60 * MINUTE_US },
    { "rescan", set_time, AT(rescan_us), 100000, 24 * 60 * MINUTE_US },
    { "retries", set_number, AT(retries), 0, 100 },
    { "retry-delay", set_time, AT(retry_us), 0, 30 * 24 * 60 * MINUTE_US },
    { "priority", set_number, AT(priority), -1000, 1000 },
};

/* ---- Folders --------------------------------------------------------------------------------------------------------
 */

static int fail_name(reader *r, const yaml_node_t *key)
{
    const char *names[TA_COUNT(fields) + 1] = { NULL };
    for (size_t i = 0; i < TA_COUNT(fields); i++)
        names[i] = fields[i].name;
    const char *near = scalar(key) ? ta_nearest(scalar(key), names) : NULL;
    ta_fail(r->err, TA_ERR_CONFIG, "%s:%zu: a watch folder has no '%s'", r->config->path, key->start_mark.line + 1,
            scalar(key) ? scalar(key) : "");
    if (near)
        return ta_hint(r->err, "did you mean '%s'?", near);
    return ta_hint(r->err, "settings of the restoration stand below `settings:`");
}

static int set_field(reader *r, ta_watch_folder *f, const yaml_node_pair_t *p)
{
    const yaml_node_t *key = yaml_document_get_node(&r->document, p->key);
    for (size_t i = 0; i < TA_COUNT(fields); i++)
        if (ta_streq(scalar(key), fields[i].name))
            return fields[i].set(r, f, &fields[i], yaml_document_get_node(&r->document, p->value));
    return fail_name(r, key);
}

/* The real path of a folder, made when missing (`make`). */
static int settle_folder(reader *r, const yaml_node_t *node, char **path, bool make)
{
    ta_error why = { 0 };
    if (!*path)
        return 0;
    if (**path != '/')
        return ta_fail(r->err, TA_ERR_CONFIG, "%s:%zu: '%s' is not an absolute path", r->config->path,
                       node->start_mark.line + 1, *path);
    if (make && ta_mkdirs(*path, &why) < 0)
        return ta_fail(r->err, TA_ERR_CONFIG, "%s:%zu: %s", r->config->path, node->start_mark.line + 1, why.text[0]);
    char *real = realpath(*path, NULL);
    if (!real || !ta_is_dir(real)) {
        free(real);
        return ta_fail(r->err, TA_ERR_CONFIG, "%s:%zu: there is no folder '%s'", r->config->path,
                       node->start_mark.line + 1, *path);
    }
    ta_free(*path);
    *path = ta_strdup(real);
    free(real);
    return *path ? 0 : ta_no_memory(r->err);
}

static int check(reader *r, const yaml_node_t *node, const ta_watch_folder *f)
{
    if (!f->input || !f->output)
        return fail_at(r, node, "a watch folder needs input and output");
    if (strcmp(f->input, f->output) == 0)
        return fail_at(r, node, "input and output are the same folder");
    if (f->after == TA_WATCH_MOVE && !f->move_to)
        return fail_at(r, node, "when-done: move needs move-to");
    if (f->after != TA_WATCH_MOVE && f->move_to)
        return fail_at(r, node, "move-to needs when-done: move");
    if (f->after == TA_WATCH_DELETE && !f->delete_original)
        return fail_at(r, node,
                       "when-done: delete needs delete-original: yes, as what is deleted is the only original");
    if (f->after != TA_WATCH_DELETE && f->delete_original)
        return fail_at(r, node, "delete-original needs when-done: delete");
    if (strstr(ta_get_text(f->settings, TA_SET_output_template), "{height}"))
        return fail_at(r, node, "output-template of a watch folder can't have {height}");
    if (f->after != TA_WATCH_KEEP && !ta_get_bool(f->settings, TA_SET_sidecar))
        return fail_at(r, node, "without a sidecar an output can't be verified, so its original must be kept");
    if (ta_get_bool(f->settings, TA_SET_dry_run) || ta_get_text(f->settings, TA_SET_split)[0] ||
        ta_get_text(f->settings, TA_SET_preview)[0])
        return fail_at(r, node, "dry-run, split and preview are not for watch folders");
    return 0;
}

static int settle(reader *r, const yaml_node_t *node, ta_watch_folder *f)
{
    char *warnings = NULL;
    ta_error *err = r->err;
    int code = check(r, node, f);
    if (code >= 0)
        code = settle_folder(r, node, &f->input, false);
    char **made[] = { &f->output, &f->move_to, &f->errors_to };
    for (size_t i = 0; code >= 0 && i < TA_COUNT(made); i++)
        code = settle_folder(r, node, made[i], true);
    if (code >= 0 && (code = ta_settings_resolve(f->settings, &warnings, err)) >= 0)
        code = ta_output_extension(f->settings, &f->extension, err);
    if (code < 0)
        return code;
    if (warnings)
        ta_log(TA_LOG_WARN, "watch", "%s: %s", f->input, warnings);
    ta_settings_free_text(warnings);
    char *json = ta_settings_json(f->settings, true);
    f->json = ta_strdup(json);
    ta_settings_free_text(json);
    if (!f->name)
        f->name = ta_strdup(f->input);
    return f->json && f->name ? 0 : ta_no_memory(err);
}

static int read_folder(reader *r, const yaml_node_t *node)
{
    struct ta_watch_config *c = r->config;
    if (node->type != YAML_MAPPING_NODE)
        return fail_at(r, node, "a watch folder is a mapping (\"- input: /captures\")");
    ta_watch_folder *grown = ta_resize(c->folders, c->count + 1, sizeof *grown);
    if (!grown)
        return ta_no_memory(r->err);
    c->folders = grown;
    ta_watch_folder *f = &grown[c->count++];
    *f = (ta_watch_folder){ .stable_us = 10000000,
                            .rescan_us = MINUTE_US,
                            .retry_us = 5 * MINUTE_US,
                            .minimum_size = 1,
                            .keep_structure = true,
                            .settings = ta_settings_new() };
    int code = f->settings ? ta_settings_load(f->settings, r->err) : ta_no_memory(r->err);
    for (yaml_node_pair_t *p = node->data.mapping.pairs.start; code >= 0 && p < node->data.mapping.pairs.top; p++)
        code = set_field(r, f, p);
    return code < 0 ? code : settle(r, node, f);
}

/* A file must not belong to two of them. */
static int check_names(reader *r)
{
    const struct ta_watch_config *c = r->config;
    for (size_t i = 0; i < c->count; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(c->folders[i].input, c->folders[k].input) == 0 ||
                strcmp(c->folders[i].name, c->folders[k].name) == 0)
                return ta_fail(r->err, TA_ERR_CONFIG, "%s: two watch folders have one input or one name: '%s'", c->path,
                               c->folders[i].name);
    return 0;
}

static int read_list(reader *r)
{
    const yaml_node_t *root = yaml_document_get_root_node(&r->document);
    if (!root)
        return ta_fail(r->err, TA_ERR_CONFIG, "%s: the file is empty", r->config->path);
    yaml_node_pair_t *pair = root->type == YAML_MAPPING_NODE ? root->data.mapping.pairs.start : NULL;
    const yaml_node_t *list = pair && pair + 1 == root->data.mapping.pairs.top &&
                                      ta_streq(scalar(yaml_document_get_node(&r->document, pair->key)), "watch")
                                  ? yaml_document_get_node(&r->document, pair->value)
                                  : NULL;
    if (!list || list->type != YAML_SEQUENCE_NODE)
        return fail_at(r, root, "one name is expected, watch, with a list of folders below it");
    int code = 0;
    for (yaml_node_item_t *i = list->data.sequence.items.start; code >= 0 && i < list->data.sequence.items.top; i++)
        code = read_folder(r, yaml_document_get_node(&r->document, *i));
    return code < 0 ? code : check_names(r);
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
        code = ta_fail(r->err, TA_ERR_CONFIG, "%s:%zu: %s", r->config->path, parser.problem_mark.line + 1,
                       parser.problem ? parser.problem : "it is not YAML");
    }
    yaml_parser_delete(&parser);
    return code;
}

int ta_watch_config_read(ta_watch_config **out, const char *path, ta_error *err)
{
    ta_error local;
    char *text = NULL;
    size_t size;
    ta_watch_config *c = ta_alloc(sizeof *c);
    *out = NULL;
    if (!c || !(c->path = ta_strdup(path))) {
        ta_watch_config_free(&c);
        return ta_no_memory(err);
    }
    reader r = { .config = c, .err = err ? err : &local };
    int code = ta_read_file(path, MAX_FILE, &text, &size, err);
    if (code >= 0)
        code = parse(&r, text, size);
    ta_free(text);
    if (code < 0)
        ta_watch_config_free(&c);
    *out = c;
    return code;
}

static void free_list(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        ta_free(list[i]);
    ta_free(list);
}

void ta_watch_config_free(ta_watch_config **pc)
{
    ta_watch_config *c = *pc;
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++) {
        ta_watch_folder *f = &c->folders[i];
        char *texts[] = { f->name, f->input, f->output, f->move_to, f->errors_to, f->json };
        for (size_t t = 0; t < TA_COUNT(texts); t++)
            ta_free(texts[t]);
        free_list(f->include);
        free_list(f->exclude);
        ta_settings_free(&f->settings);
    }
    ta_free(c->folders);
    ta_free(c->path);
    ta_freep(pc);
}

size_t ta_watch_config_count(const ta_watch_config *c)
{
    return c->count;
}
