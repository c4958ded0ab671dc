/* Where each output goes, and that no two go to one place. */
#include <stdlib.h>
#include <string.h>

#include "batch/internal.h"

static bool is_open(const ta_batch *b)
{
    return strstr(ta_get_text(b->settings, TA_SET_output_template), "{height}") != NULL;
}

/* `path` is what the output would be called, with {height} as it stands. */
static int name_one(ta_batch *b, size_t i, char **path, ta_error *err)
{
    ta_batch_item *item = &b->items[i];
    ta_output_words unknown = { .height = -1 };
    char *name = ta_output_name(b->settings, item->input, b->extension, &unknown);
    item->folder = b->below[i][0] ? ta_path_join(b->o.output, b->below[i]) : ta_strdup(b->o.output);
    *path = name && item->folder ? ta_path_join(item->folder, name) : NULL;
    ta_free(name);
    if (!*path)
        return ta_no_memory(err);
    if (!is_open(b) && !(item->output = ta_strdup(*path)))
        return ta_no_memory(err);
    return 0;
}

typedef struct named {
    char *path;
    size_t at;
} named;

static int by_path(const void *a, const void *b)
{
    const named *x = a, *y = b;
    int order = strcmp(x->path, y->path);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

static int check_clashes(const ta_batch *b, named *list, ta_error *err)
{
    qsort(list, b->count, sizeof *list, by_path);
    for (size_t i = 1; i < b->count; i++) {
        if (strcmp(list[i].path, list[i - 1].path) != 0)
            continue;
        ta_fail(err, TA_ERR_USAGE, "'%s' and '%s' would both become '%s'", b->items[list[i - 1].at].input,
                b->items[list[i].at].input, list[i].path);
        return ta_hint(err, "rename one of them, or choose with --pattern, or restore them apart");
    }
    return 0;
}

typedef struct source {
    ta_file_id id;
    size_t at;
} source;

static int by_id(const void *a, const void *b)
{
    return ta_file_id_compare(&((const source *)a)->id, &((const source *)b)->id);
}

/* An output that stands where an input stands would replace it under --overwrite. */
static int check_inputs(const ta_batch *b, const named *list, ta_error *err)
{
    source *sources = ta_array(b->count, sizeof *sources);
    int r = sources ? 0 : ta_no_memory(err);
    for (size_t i = 0; r >= 0 && i < b->count; i++)
        sources[i] = (source){ b->ids[i], i };
    if (r >= 0)
        qsort(sources, b->count, sizeof *sources, by_id);
    for (size_t i = 0; r >= 0 && i < b->count; i++) {
        source key = { ta_file_id_of(list[i].path), 0 };
        const source *hit = key.id.known ? bsearch(&key, sources, b->count, sizeof *sources, by_id) : NULL;
        if (!hit)
            continue;
        ta_fail(err, TA_ERR_USAGE, "the output of '%s' would be '%s', which is an input itself",
                b->items[list[i].at].input, b->items[hit->at].input);
        r = ta_hint(err, "choose another output folder, --suffix or --output-template: a source is never changed");
    }
    ta_free(sources);
    return r;
}

int ta_batch_name_outputs(ta_batch *b, ta_error *err)
{
    named *list = ta_array(b->count, sizeof *list);
    int r = list ? 0 : ta_no_memory(err);
    for (size_t i = 0; r >= 0 && i < b->count; i++) {
        list[i].at = i;
        r = name_one(b, i, &list[i].path, err);
    }
    if (r >= 0)
        r = check_clashes(b, list, err);
    if (r >= 0)
        r = check_inputs(b, list, err);
    for (size_t i = 0; list && i < b->count; i++)
        ta_free(list[i].path);
    ta_free(list);
    return r;
}
