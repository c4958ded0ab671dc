/* The states of a queued job and the one table of what may follow what. */
#include <string.h>

#include "queue/queue.h"

static const char *const names[TA_Q_STATES + 1] = {
    "pending",   "downloading", "analysing", "preprocessing", "upscaling", "encoding",
    "finishing", "paused",      "completed", "failed",        "cancelled", NULL,
};

#define BIT(s) (1u << TA_Q_##s)
#define WORK (BIT(DOWNLOADING) | BIT(ANALYSING) | BIT(PREPROCESSING) | BIT(UPSCALING) | BIT(ENCODING) | BIT(FINISHING))
#define OVER (BIT(COMPLETED) | BIT(FAILED) | BIT(CANCELLED))

/* Work may begin again from any of its stages: a fresh worker goes on where a dead one was. Work goes back to pending
 * when the owner ends or is found dead. A job that is paused while a worker has it may still come to its end. */
static const unsigned next[TA_Q_STATES] = {
    [TA_Q_PENDING] = WORK | BIT(PAUSED) | BIT(CANCELLED),
    [TA_Q_DOWNLOADING] = WORK | OVER | BIT(PENDING) | BIT(PAUSED),
    [TA_Q_ANALYSING] = WORK | OVER | BIT(PENDING) | BIT(PAUSED),
    [TA_Q_PREPROCESSING] = WORK | OVER | BIT(PENDING) | BIT(PAUSED),
    [TA_Q_UPSCALING] = WORK | OVER | BIT(PENDING) | BIT(PAUSED),
    [TA_Q_ENCODING] = WORK | OVER | BIT(PENDING) | BIT(PAUSED),
    [TA_Q_FINISHING] = WORK | OVER | BIT(PENDING) | BIT(PAUSED),
    [TA_Q_PAUSED] = WORK | OVER | BIT(PENDING),
    [TA_Q_COMPLETED] = 0,
    [TA_Q_FAILED] = 0,
    [TA_Q_CANCELLED] = 0,
};

const char *ta_qstate_name(ta_qstate s)
{
    return names[s];
}

const char *const *ta_qstate_names(void)
{
    return names;
}

bool ta_qstate_parse(const char *name, ta_qstate *s)
{
    for (int i = 0; i < TA_Q_STATES; i++) {
        if (strcmp(names[i], name) == 0) {
            *s = (ta_qstate)i;
            return true;
        }
    }
    return false;
}

bool ta_qstate_works(ta_qstate s)
{
    return WORK >> s & 1;
}

bool ta_qstate_over(ta_qstate s)
{
    return OVER >> s & 1;
}

bool ta_qstate_may(ta_qstate from, ta_qstate to)
{
    return next[from] >> to & 1;
}
