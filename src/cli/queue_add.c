/* terminalai queue add: inputs and settings become jobs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "batch/batch.h"
#include "cli/queue_verb.h"
#include "net/net.h"

enum { AT_ONCE = 1000 };

/* ---- Paths that mean the same in every process ----------------------------------------------------------------------
 */

/* Of a path whose last part need not exist (ta_free). */
static char *absolute(const char *path, ta_error *err)
{
    char *dir = ta_path_dir(path), *real = dir ? realpath(dir, NULL) : NULL;
    char *out = real ? ta_path_join(real, ta_path_base(path)) : NULL;
    if (dir && !real)
        ta_fail_errno(err, errno, false, "can't find the folder", dir);
    else if (!out)
        ta_no_memory(err);
    free(real);
    ta_free(dir);
    return out;
}

static char *absolute_folder(const char *path, ta_error *err)
{
    char *real = realpath(path, NULL), *out = real ? ta_format("%s/", strcmp(real, "/") == 0 ? "" : real) : NULL;
    if (!real)
        ta_fail_errno(err, errno, false, "can't find the folder", path);
    else if (!out)
        ta_no_memory(err);
    free(real);
    return out;
}

/* Settings that name files must mean the same to a worker, whose folder is another one. */
static int settle_paths(ta_settings *s, ta_error *err)
{
    for (int i = 0; i < TA_SET_COUNT; i++) {
        const ta_setting_info *row = ta_setting((ta_setting_id)i);
        const char *value = ta_settings_get(s, row->name);
        bool either = i == TA_SET_upscale_model || i == TA_SET_lut; /* a name, or a file */
        bool file = row->type == TA_TYPE_PATH || (either && *ta_path_ext(value) && access(value, R_OK) == 0);
        if (!file || !*value || *value == '/')
            continue;
        char *full = absolute(value, err);
        int r = full ? ta_settings_set(s, row->name, full, TA_FROM_COMMAND_LINE, row->name, err) : TA_ERR_NOINPUT;
        ta_free(full);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- Jobs -----------------------------------------------------------------------------------------------------------
 */

typedef struct adding {
    ta_queue_call *c;
    json_t *jobs, *needs;
    int64_t priority;
} adding;

static int add_job(adding *a, const char *input, const char *output, ta_error *err)
{
    char *in = NULL;
    if (ta_is_url(input))
        in = ta_strdup(input);
    else if (access(input, R_OK) != 0)
        return ta_fail_errno(err, errno, false, "can't read", input);
    if (!in && !(in = absolute(input, err)))
        return err && err->code ? (int)err->code : TA_ERR_NOINPUT;
    json_t *job = json_pack("{s:s, s:s, s:s, s:I}", "input", in, "output", output, "source", "cli", "priority",
                            (json_int_t)a->priority);
    int r =
        job ? 0
            : ta_fail(err, TA_ERR_USAGE, "the name of '%s' or of its output is no UTF-8, which the queue needs", in);
    if (job && a->needs)
        json_object_set(job, "needs", a->needs);
    if (job && a->c->own[TA_QF_PAUSED])
        json_object_set_new(job, "state", json_string("paused"));
    if (job && json_array_append_new(a->jobs, job) < 0)
        r = ta_no_memory(err);
    ta_free(in);
    return r;
}

/* An output whose name is known, or else its folder. */
static int add_item(adding *a, const ta_batch_item *item, ta_error *err)
{
    int r = ta_get_bool(a->c->settings, TA_SET_dry_run) ? 0 : ta_mkdirs(item->folder, err);
    char *out = r < 0                     ? NULL
                : item->output            ? absolute(item->output, err)
                : ta_is_dir(item->folder) ? absolute_folder(item->folder, err)
                                          : ta_format("%s/", item->folder);
    if (!out)
        return r < 0 ? r : TA_ERR_NOINPUT;
    r = add_job(a, item->input, out, err);
    ta_free(out);
    return r;
}

static int add_batch(adding *a, char **inputs, int n, const char *folder, ta_error *err)
{
    ta_batch_options o = { .output = folder,
                           .pattern = a->c->own[TA_QF_PATTERN],
                           .recursive = a->c->own[TA_QF_RECURSIVE] != NULL,
                           .parallel = 1 };
    ta_batch *b = NULL;
    int r = ta_batch_new(&b, a->c->settings, &o, ta_cli_cancel(), err);
    for (int i = 0; r >= 0 && i < n; i++)
        r = access(inputs[i], R_OK) == 0 ? ta_batch_add(b, inputs[i], err)
                                         : ta_fail_errno(err, errno, false, "can't read", inputs[i]);
    if (r >= 0)
        r = ta_batch_plan(b, err);
    for (size_t i = 0; r >= 0 && i < ta_batch_count(b); i++)
        r = add_item(a, ta_batch_item_at(b, i), err);
    ta_batch_free(&b);
    return r;
}

static int add_beside(adding *a, ta_error *err)
{
    int r = 0;
    for (int i = 0; r >= 0 && i < a->c->words; i++) {
        char *word = a->c->argv[i], *folder = ta_path_dir(word);
        if (ta_is_dir(word)) {
            ta_fail(err, TA_ERR_USAGE, "'%s' is a folder", word);
            r = ta_hint(err, "say where its outputs go: -o FOLDER");
        } else {
            r = folder ? add_batch(a, &word, 1, folder, err) : ta_no_memory(err);
        }
        ta_free(folder);
    }
    return r;
}

/* The name of what comes from the web is known later: its output goes into a folder, or is named. */
static int add_url(adding *a, const char *url, const char *output, ta_error *err)
{
    bool file = output && a->c->words == 1 && *ta_path_ext(output) && !ta_is_dir(output) && !ta_ends(output, "/");
    if (!output) {
        ta_fail(err, TA_ERR_USAGE, "what comes from the web has no folder of its own");
        return ta_hint(err, "say where the output goes: -o FOLDER or -o FILE");
    }
    int r = file ? 0 : ta_mkdirs(output, err);
    char *out = r < 0 ? NULL : file ? absolute(output, err) : absolute_folder(output, err);
    if (!out)
        return r < 0 ? r : TA_ERR_CANTCREATE;
    r = add_job(a, url, out, err);
    ta_free(out);
    return r;
}

/* What -o names is a file when one file goes in and it looks like one: it has an extension and is no folder. */
static bool names_a_file(const ta_queue_call *c, const char *output)
{
    return c->words == 1 && !ta_is_dir(c->argv[0]) && !ta_is_dir(output) && *ta_path_ext(output) &&
           !ta_ends(output, "/");
}

static int read_inputs(adding *a, ta_error *err)
{
    const char *output = a->c->own[TA_QF_OUTPUT];
    int r = 0, files = 0;
    for (int i = 0; r >= 0 && i < a->c->words; i++) { /* the files move to the front */
        if (ta_is_url(a->c->argv[i]))
            r = add_url(a, a->c->argv[i], output, err);
        else
            a->c->argv[files++] = a->c->argv[i];
    }
    if (r < 0 || !files)
        return r;
    a->c->words = files;
    if (!output)
        return add_beside(a, err);
    if (!names_a_file(a->c, output))
        return add_batch(a, a->c->argv, a->c->words, output, err);
    char *full = absolute(output, err);
    r = full ? add_job(a, a->c->argv[0], full, err) : TA_ERR_CANTCREATE;
    ta_free(full);
    return r;
}

static int read_needs(adding *a, ta_error *err)
{
    const char *list = a->c->own[TA_QF_NEEDS];
    int r = 0;
    if (!list)
        return 0;
    a->needs = json_array();
    while (r >= 0 && *list) {
        size_t n = strcspn(list, ",");
        char *one = ta_strndup(list, n);
        int64_t id = 0;
        r = one ? ta_queue_number("--needs", one, 1, INT64_MAX, &id, err) : ta_no_memory(err);
        json_array_append_new(a->needs, json_integer(id));
        ta_free(one);
        list += n + (list[n] == ',');
    }
    return r;
}

/* ---- Sending --------------------------------------------------------------------------------------------------------
 */

static json_t *part_of(const json_t *list, size_t from, size_t n)
{
    json_t *part = json_array();
    for (size_t i = from; part && i < json_array_size(list) && i < from + n; i++)
        json_array_append(part, json_array_get(list, i));
    return part;
}

static int send_all(const adding *a, json_t *settings, json_t *all, ta_error *err)
{
    ta_client *client = NULL;
    int r = ta_client_open(&client, a->c->dir, ta_cli_cancel(), err);
    for (size_t i = 0; r >= 0 && i < json_array_size(a->jobs); i += AT_ONCE) {
        json_t *request =
            json_pack("{s:s, s:[O], s:o}", "do", "add", "settings", settings, "jobs", part_of(a->jobs, i, AT_ONCE));
        json_t *reply = NULL;
        r = request ? ta_client_request(client, request, &reply, err) : ta_no_memory(err);
        json_array_extend(json_object_get(all, "added"), json_object_get(reply, "added"));
        json_array_extend(json_object_get(all, "duplicates"), json_object_get(reply, "duplicates"));
        json_decref(reply);
        json_decref(request);
    }
    ta_client_close(&client);
    return r;
}

static void tell(const adding *a, const json_t *all)
{
    size_t i;
    json_t *id, *twin;
    json_array_foreach(json_object_get(all, "added"), i, id)
    {
        const json_t *job = json_array_get(a->jobs, i);
        if (json_integer_value(id))
            printf("job %lld: %s -> %s\n", (long long)json_integer_value(id),
                   json_string_value(json_object_get(job, "input")), json_string_value(json_object_get(job, "output")));
    }
    json_array_foreach(json_object_get(all, "duplicates"), i, twin)
        printf("not added, as job %lld does it: %s\n", (long long)json_integer_value(json_object_get(twin, "job")),
               json_string_value(json_object_get(twin, "input")));
}

static int send_and_tell(const adding *a, ta_error *err)
{
    char *text = ta_settings_json(a->c->settings, true);
    json_t *settings = text ? json_loads(text, 0, NULL) : NULL, *all = json_pack("{s:[], s:[]}", "added", "duplicates");
    int r = settings && all ? 0 : ta_fail(err, TA_ERR_USAGE, "a setting is no UTF-8, which the queue needs");
    if (r >= 0)
        r = send_all(a, settings, all, err);
    if (r >= 0 && a->c->json)
        r = ta_queue_print_json(json_incref(all), err);
    else if (r >= 0)
        tell(a, all);
    json_decref(all);
    json_decref(settings);
    ta_settings_free_text(text);
    return r;
}

static int show_only(const adding *a, ta_error *err)
{
    size_t i;
    json_t *job;
    if (a->c->json)
        return ta_queue_print_json(json_incref(a->jobs), err);
    json_array_foreach(a->jobs, i, job) printf("%s -> %s\n", json_string_value(json_object_get(job, "input")),
                                               json_string_value(json_object_get(job, "output")));
    return 0;
}

int ta_queue_add(ta_queue_call *c, ta_error *err)
{
    adding a = { .c = c, .jobs = json_array() };
    int r = a.jobs ? ta_cli_expect_words(c->argv, c->words, 1, 1000000, "an input", err) : ta_no_memory(err);
    if (r >= 0)
        r = ta_cli_prepare(c->settings, c->words == 1 && !ta_is_url(c->argv[0]) ? c->argv[0] : NULL, err);
    if (r >= 0)
        r = settle_paths(c->settings, err);
    if (r >= 0 && c->own[TA_QF_PRIORITY])
        r = ta_queue_number("--priority", c->own[TA_QF_PRIORITY], -1000, 1000, &a.priority, err);
    if (r >= 0)
        r = read_needs(&a, err);
    if (r >= 0)
        r = read_inputs(&a, err);
    if (r >= 0)
        r = ta_get_bool(c->settings, TA_SET_dry_run) ? show_only(&a, err) : send_and_tell(&a, err);
    json_decref(a.needs);
    json_decref(a.jobs);
    return r;
}
