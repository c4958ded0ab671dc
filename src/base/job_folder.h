/* The job folder: where a run keeps what it needs until its output is published, `.NAME.terminalai` beside the output
 * NAME or in a work folder. It has a lock, so that two runs never work on one output, and it stays behind when a run
 * is interrupted, so that the same command can resume. */
#ifndef TA_BASE_JOB_FOLDER_H
#define TA_BASE_JOB_FOLDER_H

#include <stdbool.h>

#include "terminalai/error.h"

/* Thread safe, but for open and close. */
typedef struct ta_job_folder ta_job_folder;

/* Creates or takes over the job folder of `output`, in `work_dir` (made when missing) or, with NULL, beside the
 * output. In a work folder its name also carries a hash of the output's folder, as outputs of one name from several
 * folders meet there. TA_ERR_AGAIN when another run works on this output, TA_ERR_CANTCREATE, TA_ERR_NOPERM. */
int ta_job_folder_open(ta_job_folder **f, const char *output, const char *work_dir, ta_error *err);
/* Is there a job folder of this output, from a run that was interrupted or goes on? */
bool ta_job_folder_exists(const char *output, const char *work_dir);
/* Works in an existing folder by its own path: alone (`alone`: takes the lock, TA_ERR_AGAIN when somebody has it) or
 * beside others. TA_ERR_NOINPUT when it doesn't exist. Close it with `keep`. */
int ta_job_folder_join(ta_job_folder **f, const char *path, bool alone, ta_error *err);
/* Removes everything in it but the lock, which the caller must hold, and these files (a list that NULL ends, or NULL).
 */
void ta_job_folder_empty(ta_job_folder *f, const char *const *keep);
const char *ta_job_folder_path(const ta_job_folder *f);
/* The path of the file `name` in the folder: a new string (ta_free), NULL when out of memory. The file is not created.
 * Its path is noted for ta_job_folder_unlink_all; of all open folders together the first 256 files are. */
char *ta_job_folder_file(ta_job_folder *f, const char *name);
/* The same for a file that another run can go on with: its path is not noted, so it stays when the process ends. */
char *ta_job_folder_keep(const ta_job_folder *f, const char *name);
/* From now on the folder stays when the process ends at once, with its lock file, by whose age it is cleaned some day.
 */
void ta_job_folder_stay(ta_job_folder *f);
/* Lets go of the lock and, unless `keep`, removes the folder with all that is in it. Safe on NULL; frees *f. */
void ta_job_folder_close(ta_job_folder **f, bool keep);

/* Removes the job folders in `dir` that no run holds and that no run has opened for a week. Returns how many. */
int ta_job_folder_clean_stale(const char *dir);

/* Removes the noted files of all open job folders, and those folders that are empty then. Async-signal-safe; for the
 * last moment before _exit. */
void ta_job_folder_unlink_all(void);

#endif
