/* Job folders by their own path: planned here, segments made anywhere, finished by one. */
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "restore/segments.h"

/* ---- From a plan to a job -------------------------------------------------------------------------------------------
 */

/* Job settings belong to the plan; who makes a segment may only say how to run. */
static int refuse_job_settings(const ta_settings *run, ta_error *err)
{
    if (ta_get_bool(run, TA_SET_restart)) {
        ta_fail(err, TA_ERR_USAGE, "--restart would throw away what others have made");
        return ta_hint(err, "make another plan: terminalai plan INPUT --restart -o FOLDER");
    }
    for (int i = 0; i < TA_SET_COUNT; i++) {
        const ta_setting_info *row = ta_setting((ta_setting_id)i);
        if (row->run || ta_settings_origin(run, row->name, NULL) != TA_FROM_COMMAND_LINE)
            continue;
        ta_fail(err, TA_ERR_USAGE, "--%s belongs to the plan and can't be changed behind it", row->name);
        return ta_hint(err, "make another plan: terminalai plan INPUT --%s VALUE -o FOLDER", row->name);
    }
    return 0;
}

static int take_settings(const json_t *plan, ta_settings *s, ta_error *err)
{
    char *text = json_dumps(json_object_get(plan, "settings"), JSON_COMPACT);
    if (!text)
        return ta_fail(err, TA_ERR_DATA, "the plan has no settings");
    int r = ta_settings_from_json(s, text, TA_FROM_COMMAND_LINE, err);
    free(text);
    return r < 0 ? r : ta_settings_resolve(s, NULL, err);
}

/* What was measured when the plan was made isn't measured again. */
static void take_scan(ta_job *job, const json_t *plan)
{
    const char *reason = "";
    ta_scan_report *scan = &job->scan;
    int kind = 0, order = 0, vfr = 0;
    job->scan_known = json_unpack(json_object_get(plan, "globals"), "{s:i, s:i, s:b, s:[i,i,i,i], s:s}", "scan", &kind,
                                  "field_order", &order, "variable_rate", &vfr, "crop", &scan->crop[0], &scan->crop[1],
                                  &scan->crop[2], &scan->crop[3], "scan_reason", &reason) == 0;
    scan->scan = (ta_scan)kind;
    scan->order = (ta_field_order)order;
    scan->vfr = vfr;
    snprintf(scan->reason, sizeof scan->reason, "%s", reason);
}

static int job_of_plan(ta_job **out, const json_t *plan, const ta_settings *run, ta_error *err)
{
    const char *input = json_string_value(json_object_get(json_object_get(plan, "source"), "path"));
    const char *output = json_string_value(json_object_get(plan, "output"));
    ta_settings *s = ta_settings_copy(run);
    int r = s ? refuse_job_settings(run, err) : ta_no_memory(err);
    if (r >= 0 && (!input || !output))
        r = ta_fail(err, TA_ERR_DATA, "the plan names no source or no output");
    if (r >= 0)
        r = take_settings(plan, s, err);
    if (r >= 0)
        r = ta_job_new(out, s, input, output, err);
    if (r >= 0) {
        (*out)->in_folder = true;
        take_scan(*out, plan);
    }
    ta_settings_free(&s);
    return r;
}

static int open_folder(ta_job *job, const char *dir, bool alone, ta_error *err)
{
    int r = ta_job_folder_join(&job->folder, dir, alone, err);
    return r < 0 ? r : ta_job_watch_space(job, err);
}

static bool file_is_there(ta_job *job, const char *name)
{
    char *path = ta_job_folder_keep(job->folder, name);
    bool there = path && access(path, F_OK) == 0;
    ta_free(path);
    return there;
}

/* What was published needs no plan any more. */
static bool is_published(ta_job *job)
{
    return file_is_there(job, "published.json");
}

int ta_job_from_folder(ta_job **out, const char *dir, const ta_settings *run, bool alone, ta_cancel *cancel,
                       ta_error *err)
{
    json_t *plan = NULL;
    ta_job_folder *folder = NULL;
    *out = NULL;
    int r = ta_job_folder_join(&folder, dir, false, err);
    if (r >= 0)
        r = ta_plan_read(folder, &plan, err);
    ta_job_folder_close(&folder, true);
    if (r == TA_ERR_NOINPUT)
        ta_hint(err, "`terminalai plan INPUT -o FOLDER` makes a job folder");
    if (r >= 0)
        r = job_of_plan(out, plan, run, err);
    json_decref(plan);
    if (r >= 0)
        r = ta_job_link(*out, cancel, err);
    if (r >= 0)
        r = ta_job_plan(*out, err);
    if (r >= 0)
        r = open_folder(*out, dir, alone, err);
    if (r >= 0 && !is_published(*out))
        r = ta_plan_settle(*out, err);
    if (r < 0)
        ta_job_free(out);
    return r;
}

int ta_job_plan_into(ta_job *job, const char *dir, ta_error *err)
{
    job->in_folder = true;
    int r = ta_job_plan(job, err);
    if (r >= 0 && job->video < 0) {
        ta_fail(err, TA_ERR_DATA, "'%s' has no picture, and only that is done in segments", job->input);
        return ta_hint(err, "use `terminalai restore`");
    }
    if (r >= 0)
        r = ta_mkdirs(dir, err);
    if (r >= 0)
        r = open_folder(job, dir, true, err);
    return r < 0 ? r : ta_plan_settle(job, err);
}

int ta_job_segment_count(const ta_job *job)
{
    return job->n_segments;
}

/* ---- Pieces ---------------------------------------------------------------------------------------------------------
 */

int ta_job_run_segment(ta_job *job, int number, ta_error *err)
{
    if (is_published(job))
        return 0;
    if (number < 0 || number > job->n_segments) {
        ta_fail(err, TA_ERR_USAGE, "there is no segment %d", number);
        return ta_hint(err, "they are 0 to %d, and %d stands for the sound", job->n_segments - 1, job->n_segments);
    }
    if (number == job->n_segments)
        return ta_sound_run(job, err);
    int r = ta_wait_for_space(job, job->cancel, err);
    return r < 0 ? r : ta_segment_run(job, number, job->cancel, NULL, NULL, err);
}

/* What only the making needed; the plan and the record of the result stay, and are never missing meanwhile. */
static void remove_pieces(ta_job *job)
{
    static const char *const stay[] = { "plan.json", "published.json", NULL };
    ta_job_folder_empty(job->folder, stay);
}

static int join_and_publish(ta_job *job, ta_error *err)
{
    int r = ta_segments_collect(job, err);
    if (r >= 0)
        r = ta_sound_run(job, err);
    if (r >= 0)
        r = ta_job_join(job, err);
    ta_job_free_nodes(job);
    if (r >= 0)
        r = ta_job_publish(job, err);
    if (r >= 0 && ta_get_bool(job->settings, TA_SET_sidecar))
        r = ta_write_sidecar(job, err);
    return r;
}

int ta_job_finish(ta_job *job, ta_error *err)
{
    ta_job_begin_times(job);
    int r = ta_settle_published(job, err);
    if (r == 0 && !job->n_segments)
        r = ta_plan_settle(job, err); /* the output went away again */
    if (r != 0)
        return TA_MIN(r, 0);
    if (ta_file_size(job->output) >= 0 && !ta_get_bool(job->settings, TA_SET_overwrite))
        return ta_fail_output_exists(job, err);
    r = join_and_publish(job, err);
    if (r >= 0 && !ta_get_bool(job->settings, TA_SET_keep_temp))
        remove_pieces(job);
    return r;
}

/* ---- How far it is --------------------------------------------------------------------------------------------------
 */

static json_t *missing_segments(ta_job *job, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        ta_segment_done d;
        if (ta_segment_is_done(job, i, &d))
            ta_segment_done_free(&d);
        else
            json_array_append_new(list, json_integer(i));
    }
    return list;
}

int ta_job_folder_status(const char *dir, struct json_t **status, ta_error *err)
{
    json_t *plan = NULL;
    ta_job *job = ta_alloc(sizeof *job);
    if (!job)
        return ta_no_memory(err);
    int r = ta_job_folder_join(&job->folder, dir, false, err);
    if (r >= 0)
        r = ta_plan_read(job->folder, &plan, err);
    if (r >= 0)
        r = ta_plan_hash(plan, job->plan_hash, err);
    if (r >= 0) {
        int count = (int)json_array_size(json_object_get(plan, "segments"));
        bool published = file_is_there(job, "published.json");
        json_t *missing = published ? json_array() : missing_segments(job, count);
        const json_t *source = json_object_get(plan, "source");
        *status = json_pack("{s:s, s:s, s:O?, s:O?, s:i, s:i, s:o, s:b, s:b}", "folder", dir, "plan", job->plan_hash,
                            "source", json_object_get(source, "path"), "output", json_object_get(plan, "output"),
                            "segments", count, "done", count - (int)json_array_size(missing), "missing", missing,
                            "sound", published || file_is_there(job, "sound.json"), "finished", published);
        r = *status ? 0 : ta_no_memory(err);
    }
    json_decref(plan);
    ta_job_folder_close(&job->folder, true);
    ta_free(job);
    return r;
}
