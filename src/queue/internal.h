/* What the files of queue share: the queue itself, and changes to it. Private to queue. */
#ifndef TA_QUEUE_INTERNAL_H
#define TA_QUEUE_INTERNAL_H

#include <jansson.h>
#include <pthread.h>

#include "queue/board.h"
#include "queue/store.h"

/* ---- Changes (change.c) ---------------------------------------------------------------------------------------------
 */

/* What one transaction does to the store and to the next view. Used by the writer thread alone. */
typedef struct ta_change {
    ta_store *store;
    ta_cold cold; /* as it will be published */
    ta_txn txn;
    ta_told *told;
    size_t n_told, cap_told;
    bool changed; /* the view */
    bool broken;  /* the store failed: all of the transaction must be rolled back */
    int64_t now_us;
    const ta_notify_config *notify; /* who is told of ends; NULL: nobody */
} ta_change;

const ta_qjob *ta_change_job(const ta_change *c, int64_t id);
/* The same, or TA_ERR_NOINPUT. */
int ta_change_need_job(const ta_change *c, int64_t id, const ta_qjob **j, ta_error *err);
/* Adds a job as `draft` says, but for its id, which is set in it. */
int ta_change_add(ta_change *c, ta_qjob *draft, ta_error *err);
/* Only in memory: a row that the store has already. */
int ta_change_take(ta_change *c, const ta_qjob *row);
/* Puts `draft`, an edited copy of `old`, in its place. */
int ta_change_put(ta_change *c, const ta_qjob *old, const ta_qjob *draft, ta_error *err);
int ta_change_remove(ta_change *c, const ta_qjob *j, ta_error *err);
int ta_change_pause(ta_change *c, bool paused, ta_error *err);
/* By the table of transitions; TA_ERR_USAGE names what is not allowed. */
int ta_change_state(ta_change *c, const ta_qjob *j, ta_qstate to, ta_error *err);
/* The same for a state that is an end, with its reason, totals and notification. */
int ta_change_end(ta_change *c, const ta_qjob *j, int code, const char *message, ta_error *err);
void ta_change_tell(ta_change *c, ta_event_kind kind, int64_t id);
/* Positions for `n` new jobs at the end: the first of them; they are GAP apart. */
int64_t ta_change_last_position(const ta_change *c, int priority);
enum { TA_POSITION_BITS = 32 }; /* two neighbours at first stand 2^32 apart */

/* outbox.c: rows for those who are told of the end of this job; nothing is left to do: also of that. */
int ta_outbox_add(ta_change *c, const ta_qjob *j, ta_error *err);

/* edit.c: a job with these settings holds the GPU. */
bool ta_wants_gpu(const ta_settings *s);

int64_t ta_cold_waits_for(const ta_cold *c, const ta_qjob *j);

/* ---- The queue (jobs.c) ---------------------------------------------------------------------------------------------
 */

/* Something for the writer thread to do. It may be done again from the start when another one broke its transaction. */
typedef int (*ta_op_fn)(ta_change *c, void *arg, ta_error *err);

typedef enum ta_op_kind {
    TA_OP_READS,
    TA_OP_WRITES,
    TA_OP_WRITES_LAZILY /* may be lost with a power cut: what can be done twice without harm */
} ta_op_kind;

typedef struct ta_op {
    struct ta_op *next;
    ta_op_fn fn;
    void *arg;
    ta_error *err;
    ta_op_kind kind;
    int result;
    bool done;
} ta_op;

enum { TA_LISTENERS = 8 };

struct ta_jobs {
    ta_board board;
    char *dir;
    ta_lock *lock_file;
    ta_store *store;
    pthread_t writer;
    bool has_writer;
    pthread_mutex_t lock;
    pthread_cond_t wake, ended;
    /* -- lock */
    ta_op *first, *last;
    bool stop;
    struct {
        void (*fn)(void *opaque); /* behind each transaction, from the writer: must return at once */
        void *opaque;
    } listener[TA_LISTENERS];
    /* -- of the writer alone */
    ta_change change;
};

/* Has the writer do it and waits until it is done: on the disk, unless it is lazy. */
int ta_jobs_do(ta_jobs *q, ta_op_fn fn, void *arg, ta_op_kind kind, ta_error *err);
/* Listeners are told behind each transaction; at most TA_LISTENERS. */
void ta_jobs_listen(ta_jobs *q, void (*fn)(void *opaque), void *opaque);
void ta_jobs_unlisten(ta_jobs *q, void (*fn)(void *opaque), void *opaque);

#endif
