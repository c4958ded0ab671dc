/* What an earlier run left: is an output complete, and was it made from this input? Its sidecar knows. */
#include <jansson.h>
#include <unistd.h>

#include "restore/internal.h"

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
static int same_source(const json_t *doc, const char *input, ta_cancel *cancel, ta_error *err)
{
    int64_t bytes, modified;
    char hex[65];
    int r = ta_input_identity(input, &bytes, &modified, err);
    if (r < 0 || bytes != number_of(doc, "source", "bytes"))
        return r < 0 ? r : 0;
    if (modified == number_of(doc, "source", "modified_us"))
        return 1;
    r = ta_input_files_sha256(input, hex, cancel, err);
    return r < 0 ? r : strcmp(hex, text_of(doc, "source", "sha256")) == 0;
}

static bool same_settings(const json_t *doc, const ta_settings *settings)
{
    char *text = ta_settings_json(settings, false);
    json_t *now = text ? json_loads(text, 0, NULL) : NULL;
    bool same = now && json_equal(now, json_object_get(doc, "settings"));
    json_decref(now);
    ta_settings_free_text(text);
    return same;
}

int ta_output_look(const char *output, const char *input, const ta_settings *settings, ta_cancel *cancel,
                   ta_output_state *state, const char **why, ta_error *err)
{
    *state = TA_OUTPUT_NONE;
    *why = "does not exist";
    if (access(output, F_OK) != 0)
        return 0;
    json_t *doc = read_sidecar(output);
    const char *work = ta_get_text(settings, TA_SET_work_dir);
    int r = 0;
    if (!doc && ta_job_folder_exists(output, work[0] ? work : NULL)) {
        *why = "was left by a run that was killed: the next one settles it";
        return 0;
    }
    *state = TA_OUTPUT_OTHER;
    if (!doc) {
        *why = "exists already, without a sidecar that tells what it was made from";
    } else if (ta_file_size(output) != number_of(doc, "output", "bytes")) {
        *why = "exists already, and is not the file that its sidecar tells of";
    } else if ((r = same_source(doc, input, cancel, err)) == 0) {
        *why = "exists already, made from another input";
    } else if (r > 0) {
        bool same = same_settings(doc, settings);
        *state = same ? TA_OUTPUT_FINISHED : TA_OUTPUT_DIFFERS;
        *why = same ? "is finished" : "is finished, with other settings";
    }
    json_decref(doc);
    return r < 0 ? r : 0;
}
