/* Parts of requests and replies. Private to queue. */
#ifndef TA_QUEUE_REQUEST_H
#define TA_QUEUE_REQUEST_H

#include "queue/internal.h"

enum { TA_MAX_PAGE = 1000, TA_MAX_ADD = 5000 };

/* An answer: *reply is a new object. */
typedef int (*ta_answer_fn)(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err);

/* edit.c */
int ta_answer_add(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err);
int ta_answer_cancel(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err);
int ta_answer_pause(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err);
int ta_answer_resume(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err);
int ta_answer_retry(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err);
int ta_answer_remove(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err);
int ta_answer_move(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err);
int ta_answer_clear(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err);

/* outbox.c */
int ta_answer_outbox(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err);
int ta_answer_resend(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err);

/* The text of a member, or NULL; its number, or `def`. */
const char *ta_request_text(const json_t *request, const char *key);
int64_t ta_request_number(const json_t *request, const char *key, int64_t def);
/* A list of ids (ta_free) from "ids"; TA_ERR_USAGE when there is none of at least `least`. */
int ta_request_ids(const json_t *request, size_t least, int64_t **ids, size_t *n, ta_error *err);
json_t *ta_ids_json(const int64_t *ids, size_t n);
/* A job as replies show it; NULL = no memory. */
json_t *ta_qjob_json(const ta_view *v, const ta_qjob *j);
/* An event as a subscriber's line; NULL = no memory. */
json_t *ta_event_json(const ta_event *e);

#endif
