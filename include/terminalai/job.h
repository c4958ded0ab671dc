/* A restoration job: one input, one output, one pass. */
#ifndef TERMINALAI_JOB_H
#define TERMINALAI_JOB_H

#include <stdint.h>

#include "terminalai/error.h"
#include "terminalai/settings.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ta_job ta_job;

/* The state of a running job, sampled. */
typedef struct ta_progress {
    double fraction;    /* 0..1, of the whole job */
    double fps;         /* source frames a second, now */
    double speed;       /* seconds of the source a second */
    double eta_seconds; /* -1 = not known yet */
    int64_t frames_in, frames_out;
    const char *stage;  /* "restoring", "verifying"; static storage */
    const char *stages; /* "decode 12 % · bwdif 40 % · encode 95 %": share of time each thread is busy */
} ta_progress;

/* Called from one thread of the library, at most twice a second and once at the end. Must return soon. */
typedef void (*ta_progress_fn)(void *opaque, const ta_progress *progress);

/* A job for `input` -> `output` (a file, a folder, or NULL: beside the input by the template) with resolved settings,
 * which are copied. Nothing is opened yet. TA_ERR_AGAIN when out of memory. Free with ta_job_free. */
int ta_job_new(ta_job **job, const ta_settings *settings, const char *input, const char *output, ta_error *err);
void ta_job_free(ta_job **job);
void ta_job_on_progress(ta_job *job, ta_progress_fn fn, void *opaque);

/* Opens, measures and plans; after it ta_job_describe tells what will be done. Every error of bad input. */
int ta_job_plan(ta_job *job, ta_error *err);
/* The plan as text for people, or as JSON; ta_settings_free_text. NULL before ta_job_plan or out of memory. */
char *ta_job_describe(const ta_job *job, int as_json);
/* Runs to the end: the output is verified and published, or nothing appears. Plans first when that was not done. */
int ta_job_run(ta_job *job, ta_error *err);
/* Estimated seconds and output bytes of a planned job, measured on its first pictures when `measure`; -1 unknown. */
int ta_job_estimate(ta_job *job, int measure, double *seconds, int64_t *bytes, ta_error *err);
/* Writes a PNG with the source and the restored picture side by side, `at_us` behind the output's start (-1 = its
 * middle). After a successful ta_job_run. An existing file is replaced. */
int ta_job_before_after(ta_job *job, int64_t at_us, const char *png, ta_error *err);
/* Path of the output once it is known, else NULL. Valid as long as the job. */
const char *ta_job_output(const ta_job *job);
/* Ends the job: ta_job_run returns TA_ERR_CANCELLED within a second. Any thread; async-signal-safe. */
void ta_job_cancel(ta_job *job);

#ifdef __cplusplus
}
#endif
#endif
