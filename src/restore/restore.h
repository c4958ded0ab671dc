/* restore: the job itself: plan, run, finish, verify. Knows everything above it in design order.
 * This is the one header that other folders include; the public face is terminalai/job.h. */
#ifndef TA_RESTORE_RESTORE_H
#define TA_RESTORE_RESTORE_H

#include "analyze/analyze.h"
#include "flow/flow.h"
#include "media/media.h"
#include "neural/neural.h"
#include "picture/picture.h"
#include "settings/settings.h"
#include "sound/sound.h"
#include "terminalai/job.h"

/* Makes the job end whenever `parent` is cancelled, which must outlive the job. Before ta_job_plan. */
int ta_job_link(ta_job *job, ta_cancel *parent, ta_error *err);
/* Before planning: the models of sound that jobs of a process share; they must outlive the job. */
void ta_job_share_models(ta_job *job, ta_models *models);

/* Checks an output against its sidecar (`path`.json): sha256, streams, and that it decodes. Prints nothing; `report`
 * gets a line a check. TA_ERR_DATA when something doesn't match, TA_ERR_NOINPUT without a sidecar. */
int ta_verify_output(const char *path, ta_cancel *cancel, ta_buf *report, ta_error *err);

/* What stands where an output is to go. */
typedef enum ta_output_state {
    TA_OUTPUT_NONE,
    TA_OUTPUT_FINISHED, /* complete, made from this input with these settings */
    TA_OUTPUT_DIFFERS,  /* complete, made from this input with other settings */
    TA_OUTPUT_OTHER     /* a file that is not known to be that */
} ta_output_state;
/* Judges by the sidecar: the output's size, and the input's size and date, or its SHA-256 where the date differs. `why`
 * continues "the output 'x' ..."; static storage. */
int ta_output_look(const char *output, const char *input, const ta_settings *settings, ta_cancel *cancel,
                   ta_output_state *state, const char **why, ta_error *err);
/* True for a file that a job of this program wrote, by its sidecar. */
bool ta_is_own_output(const char *path);

/* What the output template's words stand for. */
typedef struct ta_output_words {
    int number, digits; /* of a part, filled with zeros; number 0: not a part */
    int height;         /* of the output's picture; -1: not known, "{height}" stays as it is */
} ta_output_words;
/* The name that the output template gives to the output of `input` (ta_free); NULL = no memory. */
char *ta_output_name(const ta_settings *s, const char *input, const char *extension, const ta_output_words *w);
/* The extension of outputs in a folder, by the setting `container`. Static storage. */
int ta_output_extension(const ta_settings *s, const char **extension, ta_error *err);

/* ---- Job folders
 * --------------------------------------------------------------------------------------------------------- A job may
 * be planned on one machine, its segments made on others, and finished on one, through a folder that all of them see.
 * Any number of processes may make segments at once, also the same one. */

/* Plans a new job into the folder `dir` (made when missing), under its final output's name. An equal plan that is there
 * is kept. As ta_job_plan; TA_ERR_CANTCREATE when another plan is there. */
int ta_job_plan_into(ta_job *job, const char *dir, ta_error *err);
/* The job of a folder, ready for the functions below. `run` gives the run settings (threads, limits); job settings of a
 * command line are refused. `alone` takes the folder's lock (TA_ERR_AGAIN when somebody has it). TA_ERR_NOINPUT (no
 * folder, no plan, no source), TA_ERR_DATA when the source, the program or the kind of CPU is not that of the plan. */
int ta_job_from_folder(ta_job **job, const char *dir, const ta_settings *run, bool alone, ta_cancel *cancel,
                       ta_error *err);
int ta_job_segment_count(const ta_job *job);
/* Makes a segment, 0 .. count-1, or the sound: count. Nothing is done where it is complete already. */
int ta_job_run_segment(ta_job *job, int number, ta_error *err);
/* Joins, checks and publishes; makes the sound when that is missing. TA_ERR_AGAIN when segments are missing or damaged.
 * Once published, it is successful again and again. */
int ta_job_finish(ta_job *job, ta_error *err);
/* How far a job folder is, as a JSON object (json_decref): folder, plan, source, output, segments, done, missing
 * (numbers), sound, finished. Takes no lock. */
struct json_t;
int ta_job_folder_status(const char *dir, struct json_t **status, ta_error *err);

/* ---- A capture cut into parts (split.c) ---------------------------------------------------------------------------
 */

enum { TA_MAX_PARTS = 1000 };

/* Times from the file's start, as --start and --end count them; -1: the range's own beginning or end is the file's. */
typedef struct ta_part {
    int number; /* from 1 */
    int64_t start_us, end_us;
} ta_part;

/* Where the setting `split` cuts `input`, and where the parts go. Every frame of the range is in one part, but for what
 * black:drop and blue leave out. */
typedef struct ta_split ta_split;

/* Looks for the cuts. `output` is a folder (made by the first job), or a path whose name has {number}. TA_ERR_USAGE for
 * times behind the end, more than TA_MAX_PARTS, or no way to name the parts. `cancel` must outlive the split. */
int ta_split_plan(ta_split **s, const ta_settings *settings, const char *input, const char *output, ta_cancel *cancel,
                  ta_error *err);
void ta_split_free(ta_split **s);
int ta_split_count(const ta_split *s);
const ta_part *ta_split_part(const ta_split *s, int i);
/* Length of part `i` in microseconds, -1 unknown. */
int64_t ta_split_length(const ta_split *s, int i);
/* Where part `i` goes (ta_free); NULL = no memory. {height} stands as it is. */
char *ta_split_output(const ta_split *s, int i);
/* Is part `i` there already, finished by the same command? Else an existing file without `overwrite` is
 * TA_ERR_CANTCREATE. 1, 0 or an error. */
int ta_split_finished(const ta_split *s, int i, ta_error *err);
/* The job of part `i`, linked to the token. ta_split_ran takes over what the next jobs need not find out again. */
int ta_split_job(ta_split *s, int i, ta_job **job, ta_error *err);
void ta_split_ran(ta_split *s, const ta_job *job);
/* Parts as JSON (ta_free); NULL = no memory. */
char *ta_split_json(const ta_split *s);

#endif
