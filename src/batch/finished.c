/* What an earlier run left: is an output complete, and was it made from this input? Its sidecar knows. */
#include <glob.h>
#include <string.h>
#include <unistd.h>

#include "batch/internal.h"

enum { LARGEST_SIDECAR = 64 << 20 };

/* The sidecar of an output, or NULL. json_decref it. */
static json_t *read_sidecar(const char *output)
{
    char *path = ta_format("%s.json", output), *text = NULL;
    size_t size;
    json_t *doc = NULL;
    if (path && access(path, R_OK) == 0 && ta_read_file(path, LARGEST_SIDECAR, &text, &size, NULL) >= 0)
        doc = json_loadb(text, size, 0, NULL);
    ta_free(text);
    ta_free(path);
    return doc;
}

static const char *text_of(const json_t *doc, const char *object, const char *key)
{
    const char *text = json_string_value(json_object_get(json_object_get(doc, object), key));
    return text ? text : "";
}

static int64_t number_of(const json_t *doc, const char *object, const char *key)
{
    const json_t *n = json_object_get(json_object_get(doc, object), key);
    return json_is_integer(n) ? (int64_t)json_integer_value(n) : -1;
}

bool ta_is_own_output(const char *path)
{
    json_t *doc = read_sidecar(path);
    bool own = doc && json_is_string(json_object_get(doc, "made_by")) &&
               strcmp(text_of(doc, "output", "path"), ta_path_base(path)) == 0;
    json_decref(doc);
    return own;
}

/* The same bytes: by size and date, else by content. 1, 0 or an error. */
static int same_source(const ta_batch *b, const json_t *doc, const char *input, ta_error *err)
{
    int64_t bytes, modified;
    char hex[65];
    int r = ta_input_identity(input, &bytes, &modified, err);
    if (r < 0 || bytes != number_of(doc, "source", "bytes"))
        return r < 0 ? r : 0;
    if (modified == number_of(doc, "source", "modified_us"))
        return 1;
    r = ta_input_files_sha256(input, hex, b->cancel, err);
    return r < 0 ? r : strcmp(hex, text_of(doc, "source", "sha256")) == 0;
}

static int judge(const ta_batch *b, const char *output, const char *input, ta_there *there, const char **why,
                 ta_error *err)
{
    json_t *doc = read_sidecar(output);
    int r = 0;
    *there = TA_THERE_OTHER;
    if (!doc) {
        *why = "exists already, without a sidecar that tells what it was made from";
    } else if (ta_file_size(output) != number_of(doc, "output", "bytes")) {
        *why = "exists already, and is not the file that its sidecar tells of";
    } else if ((r = same_source(b, doc, input, err)) == 0) {
        *why = "exists already, made from another input";
    } else if (r > 0) {
        bool same = b->settings_json && json_equal(b->settings_json, json_object_get(doc, "settings"));
        *there = TA_THERE_FINISHED;
        *why = same ? "is finished" : "is finished, with other settings";
    }
    json_decref(doc);
    return r < 0 ? r : 0;
}

/* Existing files that the open name could mean; glob's characters in it stand for themselves. */
static int find_open(const ta_batch *b, const ta_batch_item *item, glob_t *found, ta_error *err)
{
    ta_output_words unknown = { .height = -1 };
    char *name = ta_output_name(b->settings, item->input, b->extension, &unknown);
    char *path = name ? ta_path_join(item->folder, name) : NULL;
    ta_buf pattern = { 0 };
    for (const char *p = path; p && *p; p++) {
        if (ta_starts(p, "{height}")) {
            ta_buf_add(&pattern, "[0-9]*");
            p += strlen("{height}") - 1;
            continue;
        }
        if (strchr("*?[\\", *p))
            ta_buf_add(&pattern, "\\");
        ta_buf_addn(&pattern, p, 1);
    }
    int r = path && !pattern.failed ? 0 : ta_no_memory(err);
    if (r >= 0 && glob(pattern.data, 0, NULL, found) == GLOB_NOSPACE)
        r = ta_no_memory(err);
    ta_buf_free(&pattern);
    ta_free(path);
    ta_free(name);
    return r;
}

static int look_for_open(ta_batch *b, const ta_batch_item *item, ta_there *there, const char **why, char **path,
                         ta_error *err)
{
    glob_t found = { 0 };
    int r = find_open(b, item, &found, err);
    for (size_t i = 0; r >= 0 && i < found.gl_pathc && *there != TA_THERE_FINISHED; i++) {
        r = judge(b, found.gl_pathv[i], item->input, there, why, err);
        if (r >= 0 && *there == TA_THERE_FINISHED && !(*path = ta_strdup(found.gl_pathv[i])))
            r = ta_no_memory(err);
    }
    if (*there == TA_THERE_OTHER) /* which of them the output will be called is not known yet; the job looks again */
        *there = TA_THERE_NOTHING;
    globfree(&found);
    return r;
}

int ta_batch_look(ta_batch *b, const ta_batch_item *item, ta_there *there, char **remark, char **path, ta_error *err)
{
    const char *why = "";
    int r = 0;
    *there = TA_THERE_NOTHING;
    *remark = *path = NULL;
    if (!item->output) {
        r = look_for_open(b, item, there, &why, path, err);
    } else if (access(item->output, F_OK) == 0) {
        *path = ta_strdup(item->output);
        r = *path ? judge(b, item->output, item->input, there, &why, err) : ta_no_memory(err);
    }
    if (r >= 0 && *there != TA_THERE_NOTHING && !(*remark = ta_format("'%s' %s", *path, why)))
        r = ta_no_memory(err);
    return r;
}
