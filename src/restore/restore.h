/* restore: the job itself: plan, run, finish, verify. Knows everything above it in design order.
 * This is the one header that other folders include; the public face is terminalai/job.h. */
#ifndef TA_RESTORE_RESTORE_H
#define TA_RESTORE_RESTORE_H

#include "analyze/analyze.h"
#include "flow/flow.h"
#include "media/media.h"
#include "picture/picture.h"
#include "settings/settings.h"
#include "sound/sound.h"
#include "terminalai/job.h"

/* Makes the job end whenever `parent` is cancelled, which must outlive the job. Before ta_job_plan. */
int ta_job_link(ta_job *job, ta_cancel *parent, ta_error *err);

/* Checks an output against its sidecar (`path`.json): sha256, streams, and that it decodes. Prints nothing; `report`
 * gets a line a check. TA_ERR_DATA when something doesn't match, TA_ERR_NOINPUT without a sidecar. */
int ta_verify_output(const char *path, ta_cancel *cancel, ta_buf *report, ta_error *err);

/* What the output template's words stand for. */
typedef struct ta_output_words {
    int height; /* of the output's picture; -1: not known, "{height}" stays as it is */
} ta_output_words;
/* The name that the output template gives to the output of `input` (ta_free); NULL = no memory. */
char *ta_output_name(const ta_settings *s, const char *input, const char *extension, const ta_output_words *w);
/* The extension of outputs in a folder, by the setting `container`. Static storage. */
int ta_output_extension(const ta_settings *s, const char **extension, ta_error *err);

#endif
