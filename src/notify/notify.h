/* notify: tells people that a job ended: Discord, Slack, a webhook, mail, ntfy, the desktop. Knows base and settings.
 * This is the one header that other folders include.
 *
 * What is to be told are rows of an outbox that somebody else keeps: a row is written with the event that it tells of,
 * in one transaction, and a thread of this folder sends it: at least once, in the order of a channel as long as nothing
 * fails, with growing pauses after failures, until it is sent or given up ("dead"). Each channel has slots of its own
 * in one libcurl multi handle, so a server that hangs holds up nobody else's messages.
 *
 * Secrets (addresses of hooks, tokens, passwords) come from files or the environment when the configuration is read.
 * They are in no row, and are taken out of every text that leaves this folder. */
#ifndef TA_NOTIFY_NOTIFY_H
#define TA_NOTIFY_NOTIFY_H

#include "base/base.h"

/* ---- What there is to tell ------------------------------------------------------------------------------------- */

/* One event. Strings may be NULL: nothing known. */
typedef struct ta_notice {
    const char *event; /* one of ta_notify_events, or "test", which every channel takes */
    const char *id;    /* of the job */
    const char *name;  /* of its input, as people know it */
    const char *status, *error, *input, *output;
    double elapsed_seconds; /* negative: not known */
    int64_t wall_us;        /* when it happened */
} ta_notice;

/* "completed", "failed", "cancelled", "idle" (nothing is left to do); ends with NULL. */
extern const char *const ta_notify_events[];
/* A notice as the JSON that a row carries (ta_free); NULL when out of memory. Bytes that are no UTF-8 are replaced. */
char *ta_notice_json(const ta_notice *n);

/* ---- Configuration --------------------------------------------------------------------------------------------- */

/* Channels and their secrets. Never changed once it is read; thread safe. */
typedef struct ta_notify_config ta_notify_config;

/* Reads the YAML file `path` (docs/manual.md has the form) and the channels of the environment (TERMINALAI_NOTIFY_*).
 * NULL or "" is $XDG_CONFIG_HOME/terminalai/notifications.yaml, which may be missing. TA_ERR_CONFIG: names the line, an
 * unknown word with the nearest right one, a template's unknown name, a secret that stands in the file itself;
 * TA_ERR_NOINPUT: no such file. */
int ta_notify_config_read(ta_notify_config **c, const char *path, ta_error *err);
/* Wipes the secrets. NULL inside is allowed. */
void ta_notify_config_free(ta_notify_config **c);

size_t ta_notify_channels(const ta_notify_config *c);
const char *ta_notify_channel(const ta_notify_config *c, size_t i); /* its name */
const char *ta_notify_kind(const ta_notify_config *c, size_t i);    /* "discord", "smtp" */
/* The index of a name; TA_ERR_USAGE with the nearest one. */
int ta_notify_find(const ta_notify_config *c, const char *name, size_t *i, ta_error *err);
/* Does the channel want this event? For each that does the outbox gets one row. */
bool ta_notify_wants(const ta_notify_config *c, size_t i, const char *event);

/* ---- The outbox ------------------------------------------------------------------------------------------------ */

/* One message to one channel. */
typedef struct ta_outbox_row {
    int64_t id;   /* never used again for another row */
    char *notice; /* JSON of ta_notice_json; belongs to whom it was handed to (ta_free) */
    int attempts; /* that failed so far */
} ta_outbox_row;

/* The longest pause after a failure that the notifier asks for, a server's Retry-After included. */
enum { TA_NOTIFY_LONGEST_SECONDS = 6 * 3600 };

/* Who keeps the rows. All functions are called from the notifier's thread, one at a time. `channel` is a name of the
 * configuration. `now_us` is ta_wall_us. What fails is logged and asked again after a second. */
typedef struct ta_outbox {
    void *opaque;
    /* The row of this channel with the least (due, id) that is due and not handed out; from then on it counts as handed
     * out until one of the three below, or the end of the process. A row is due at its time, or when that is further
     * away than TA_NOTIFY_LONGEST_SECONDS: then the clock was set back. 1: *row is filled; 0: none is due, *next_us is
     * when the next one will be (INT64_MAX: none); negative: an error. */
    int (*take)(void *opaque, const char *channel, int64_t now_us, ta_outbox_row *row, int64_t *next_us, ta_error *err);
    /* It was sent: the row is done with. */
    int (*sent)(void *opaque, int64_t id, ta_error *err);
    /* It failed and is to be tried again at `due_us`; `attempts` now counts the failures, `why` is free of secrets. */
    int (*later)(void *opaque, int64_t id, int attempts, int64_t due_us, const char *why, ta_error *err);
    /* It is given up: kept, to be seen and perhaps sent again by hand. */
    int (*dead)(void *opaque, int64_t id, int attempts, const char *why, ta_error *err);
} ta_outbox;

/* An outbox in memory, for what need not outlive the process. Thread safe. */
typedef struct ta_memory_outbox ta_memory_outbox;
typedef enum ta_row_state { TA_ROW_WAITING, TA_ROW_SENT, TA_ROW_DEAD } ta_row_state;

ta_memory_outbox *ta_memory_outbox_new(void); /* NULL when out of memory or descriptors */
void ta_memory_outbox_free(ta_memory_outbox **o);
ta_outbox ta_memory_outbox_rows(ta_memory_outbox *o);
/* Adds a row that is due now; its id, or a negative status. */
int64_t ta_memory_outbox_add(ta_memory_outbox *o, const char *channel, const ta_notice *n, ta_error *err);
/* What became of it; `why` (TA_ERROR_TEXT bytes, may be NULL) is the last failure. `id` must be one of its rows. */
ta_row_state ta_memory_outbox_look(ta_memory_outbox *o, int64_t id, int *attempts, char *why);
/* Until no row waits any more; TA_ERR_CANCELLED. */
int ta_memory_outbox_wait(ta_memory_outbox *o, ta_cancel *cancel, ta_error *err);

/* ---- The sender ------------------------------------------------------------------------------------------------ */

/* The thread that sends. All functions are thread safe, but for open and close. */
typedef struct ta_notifier ta_notifier;

/* Starts it; configuration and outbox must outlive it. `tries`: after so many failures a row is dead; 0: as each
 * channel is configured. TA_ERR_UNAVAILABLE: the program was built without libcurl; TA_ERR_AGAIN. */
int ta_notifier_open(ta_notifier **n, const ta_notify_config *c, const ta_outbox *outbox, int tries, ta_error *err);
/* There are new rows: call it after the commit. Returns at once. */
void ta_notifier_wake(ta_notifier *n);
/* Takes no more rows, waits at most `grace_us` for those under way and ends the rest: they stay in the outbox, and may
 * be told twice. NULL inside is allowed. */
void ta_notifier_close(ta_notifier **n, int64_t grace_us);

typedef struct ta_notifier_stats {
    uint64_t sent, failed, dead; /* failed: tries, not rows */
    int under_way;
} ta_notifier_stats;
void ta_notifier_get_stats(const ta_notifier *n, ta_notifier_stats *s);

#endif
