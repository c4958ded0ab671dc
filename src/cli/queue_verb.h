/* What the files of the verb `queue` share. Private to cli. */
#ifndef TA_CLI_QUEUE_VERB_H
#define TA_CLI_QUEUE_VERB_H

#include <jansson.h>

#include "cli/cli.h"
#include "queue/queue.h"

/* A call of `queue SUB ...`: the words behind SUB and the flags that all of them take. */
typedef struct ta_queue_call {
    int argc;
    char **argv; /* parsed: the words are in front */
    int words;
    const char *const *own; /* values of the flags below */
    ta_settings *settings;  /* `add` alone */
    bool json;
    char *dir;
} ta_queue_call;

/* The flags of all of the verb's subverbs; which of them takes which is checked. */
enum {
    TA_QF_DIR,
    TA_QF_JSON,
    TA_QF_OUTPUT,
    TA_QF_RECURSIVE,
    TA_QF_PATTERN,
    TA_QF_PRIORITY,
    TA_QF_NEEDS,
    TA_QF_PAUSED,
    TA_QF_STATE,
    TA_QF_OFFSET,
    TA_QF_LIMIT,
    TA_QF_TOP,
    TA_QF_BOTTOM,
    TA_QF_BEFORE,
    TA_QF_AFTER,
    TA_QF_COMPLETED,
    TA_QF_ENDED,
    TA_QF_ALL,
    TA_QF_COUNT
};

int ta_queue_add(ta_queue_call *c, ta_error *err);
int ta_queue_export(ta_queue_call *c, ta_error *err);
int ta_queue_import(ta_queue_call *c, ta_error *err);

/* One request to the queue of the call; *reply is a new object. */
int ta_queue_ask(const ta_queue_call *c, json_t *request, json_t **reply, ta_error *err);
/* A whole number from a flag or word, from `min` to `max`. */
int ta_queue_number(const char *what, const char *text, int64_t min, int64_t max, int64_t *out, ta_error *err);
/* Prints a reply as JSON, and frees it. */
int ta_queue_print_json(json_t *reply, ta_error *err);
/* Tables for people. */
void ta_queue_print_list(const json_t *reply);
void ta_queue_print_job(const json_t *job);
void ta_queue_print_stats(const json_t *stats);
void ta_queue_print_outbox(const json_t *outbox);
void ta_queue_print_event(const json_t *event);

#endif
