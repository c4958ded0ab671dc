/* The download of a job whose input is an address of the web. Private to queue. */
#ifndef TA_QUEUE_DOWNLOAD_H
#define TA_QUEUE_DOWNLOAD_H

#include "queue/queue.h"

/* A thread that fetches one film. */
typedef struct ta_qdownload ta_qdownload;

/* Into the setting download-dir, else QUEUE/downloads/ID. Its progress is that of the job. Calls `done` from its thread
 * at its end, just before that. */
int ta_qdownload_start(ta_qdownload **d, ta_jobs *q, int64_t id, int attempt, const char *url,
                       const char *settings_json, void (*done)(void *opaque), void *opaque, ta_error *err);
/* It ends within a second. Any number of times. */
void ta_qdownload_cancel(ta_qdownload *d);
/* False while it goes on. Then *code is 0 and *path the file, or a status and *err why. They live as long as `d`. */
bool ta_qdownload_ended(const ta_qdownload *d, int *code, const char **path, const ta_error **err);
/* Cancels, waits for its end. NULL inside is allowed. */
void ta_qdownload_free(ta_qdownload **d);

/* Removes what was downloaded for a job into the queue's folder. */
void ta_qdownload_forget(const ta_jobs *q, int64_t id);
/* The same for all jobs that are gone, completed or cancelled. */
void ta_qdownload_clean(ta_jobs *q);

#endif
