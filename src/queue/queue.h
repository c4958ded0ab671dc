/* queue: jobs that outlive the process: a durable store, the owner that serves it, a snapshot that readers never wait
 * for, events, the scheduler, watch folders. Knows everything above it in design order. This is the one header that
 * other folders include. */
#ifndef TA_QUEUE_QUEUE_H
#define TA_QUEUE_QUEUE_H

#include "base/base.h"
#include "notify/notify.h"
#include "restore/restore.h"
#include "work/work.h"

struct json_t;

/* ---- States (states.c) ----------------------------------------------------------------------------------------------
 */

typedef enum ta_qstate {
    TA_Q_PENDING,
    TA_Q_DOWNLOADING, /* this and the next five: at work */
    TA_Q_ANALYSING,
    TA_Q_PREPROCESSING,
    TA_Q_UPSCALING,
    TA_Q_ENCODING,
    TA_Q_FINISHING,
    TA_Q_PAUSED,
    TA_Q_COMPLETED, /* this and the next two: over; set once, left by a retry only */
    TA_Q_FAILED,
    TA_Q_CANCELLED,
    TA_Q_STATES
} ta_qstate;

/* "pending". Static storage. */
const char *ta_qstate_name(ta_qstate s);
bool ta_qstate_parse(const char *name, ta_qstate *s);
const char *const *ta_qstate_names(void); /* ends with NULL */
bool ta_qstate_works(ta_qstate s);        /* a worker has it */
bool ta_qstate_over(ta_qstate s);
/* The one table of transitions; a retry is none of them. */
bool ta_qstate_may(ta_qstate from, ta_qstate to);

/* ---- A job, as readers see it
 * ----------------------------------------------------------------------------------------- */

/* Never changes once it was published. */
typedef struct ta_qjob {
    int64_t id, position; /* in the order of descending priority, then ascending position */
    int priority;
    ta_qstate state;
    int attempt;                            /* 1 = the first; a retry counts on */
    int code;                               /* of a job that is over: 0 or TA_ERR_* */
    bool gpu;                               /* wants the GPU */
    bool held;                              /* a worker has it, also while it is paused */
    bool stopping;                          /* was cancelled while held: its end is awaited */
    ta_qstate stage;                        /* of a paused job that is held: where it goes on */
    int64_t added_us, started_us, ended_us; /* wall clock; 0 = not yet */
    int64_t settings;                       /* row of its settings in the store */
    const char *input, *output; /* absolute; an output that ends with '/' is a folder, named by the template */
    const char *source;         /* who added it: "cli", "watch:NAME" */
    const char *message;        /* why it failed; "" */
    size_t n_needs;
    const int64_t *needs; /* jobs that must be completed before; one that is gone counts as completed */
} ta_qjob;

/* How far a job is; of one that isn't at work all is 0, but for what its state says. */
typedef struct ta_qprogress {
    double fraction;    /* 0..1 */
    double fps;         /* source frames a second */
    double eta_seconds; /* -1 = not known */
} ta_qprogress;

/* ---- The queue in the process that owns it
 * ---------------------------------------------------------------------------- */

/* Thread safe. One process at a time has a queue folder open: it holds the lock on it. */
typedef struct ta_jobs ta_jobs;

/* The queue folder (ta_free): `dir` when given, else $TERMINALAI_QUEUE, else $XDG_STATE_HOME/terminalai/queue, else
 * ~/.local/state/terminalai/queue. NULL without any of them, or out of memory. */
char *ta_jobs_folder(const char *dir);
/* Takes the lock, makes the folder when missing, checks and migrates the store, and puts jobs that were at work back to
 * pending. TA_ERR_AGAIN when another process owns the queue (*owned is set then, when given), TA_ERR_UNAVAILABLE on a
 * network file system, TA_ERR_DATA when the store is damaged, or newer than this program. */
int ta_jobs_open(ta_jobs **q, const char *dir, bool *owned, ta_error *err);
/* Commits what was asked for, then lets go of the lock. No other thread may be in it. */
void ta_jobs_close(ta_jobs **q);
const char *ta_jobs_dir(const ta_jobs *q);

/* Answers a request (see request.c for all of them), as verbs and sockets send them. What it changes is on the disk
 * when this returns. *reply is a new object, NULL on failure. */
int ta_jobs_request(ta_jobs *q, const struct json_t *request, struct json_t **reply, ta_error *err);

/* ---- What workers report
 * ---------------------------------------------------------------------------------------------- */

/* A state of work, or pending when it is given back; durable. A paused job stays paused. TA_ERR_USAGE when the table
 * doesn't allow it, TA_ERR_NOINPUT when there is no such attempt. */
int ta_jobs_set_state(ta_jobs *q, int64_t id, int attempt, ta_qstate state, ta_error *err);
/* The end of an attempt: completed (code 0; `message` may be the path of the output), cancelled (TA_ERR_CANCELLED) or
 * failed; a notification in the same transaction. */
int ta_jobs_end(ta_jobs *q, int64_t id, int attempt, int code, const char *message, ta_error *err);
/* Progress of a job at work; kept in memory only, seen at once, waits for no disk. False when it isn't at work. */
bool ta_jobs_progress(ta_jobs *q, int64_t id, int attempt, const ta_qprogress *p);

/* ---- Status without locks (view.c)
 * ------------------------------------------------------------------------------------ */

/* A consistent state of the whole queue. */
typedef struct ta_view ta_view;
/* One reader of one thread. */
typedef struct ta_view_reader ta_view_reader;

/* NULL when out of memory. */
ta_view_reader *ta_view_reader_open(ta_jobs *q);
void ta_view_reader_close(ta_view_reader **r);
/* The newest state. Wait-free: a handful of instructions, whatever writers do. What it holds stays until ta_view_leave;
 * not nested. Don't block in between: what was replaced meanwhile is kept until then. */
const ta_view *ta_view_enter(ta_view_reader *r);
void ta_view_leave(ta_view_reader *r);

uint64_t ta_view_seq(const ta_view *v); /* grows with each change */
size_t ta_view_total(const ta_view *v);
size_t ta_view_count(const ta_view *v, ta_qstate s);
bool ta_view_paused(const ta_view *v); /* the queue: no further job is begun */
/* NULL when there is none of this id. */
const ta_qjob *ta_view_job(const ta_view *v, int64_t id);
void ta_view_progress(const ta_view *v, const ta_qjob *j, ta_qprogress *p);
/* Jobs in the queue's order, all of them (`state` -1) or of one state: at most `limit` from the `offset`-th. */
size_t ta_view_page(const ta_view *v, int state, size_t offset, size_t limit, const ta_qjob **out);
/* Of what a job at state pending waits for: the first job it needs that isn't completed, or 0. */
int64_t ta_view_waits_for(const ta_view *v, const ta_qjob *j);

/* ---- Events (events.c)
 * ------------------------------------------------------------------------------------------------ */

typedef enum ta_event_kind {
    TA_EVENT_JOB, /* added, or changed: state, priority, position, progress */
    TA_EVENT_REMOVED,
    TA_EVENT_QUEUE, /* paused or resumed, or the order of jobs changed */
    TA_EVENT_RESYNC /* more happened than a slow reader could be told of: read the whole state again */
} ta_event_kind;

typedef struct ta_event {
    uint64_t seq; /* of the view in which it is seen first */
    ta_event_kind kind;
    int64_t id;
    ta_qstate state;
    int64_t at_us; /* monotonic clock: when it was published */
    ta_qprogress progress;
} ta_event;

typedef struct ta_subscriber ta_subscriber;
/* Events from now on, in order; several of one job that were not read yet become its last one. NULL when out of memory
 * or descriptors. Close it before the queue. */
ta_subscriber *ta_subscribe(ta_jobs *q);
void ta_unsubscribe(ta_subscriber **s);
/* Readable while there are events, for poll(2); never read from it. */
int ta_subscriber_fd(const ta_subscriber *s);
/* The next event, or false when there is none now. */
bool ta_subscriber_next(ta_subscriber *s, ta_event *e);

/* ---- The socket (server.c, client.c)
 * ---------------------------------------------------------------------------------- */

/* Serves the queue on a Unix socket in its folder: JSON lines, the requests of ta_jobs_request and {"do": "watch"}, for
 * processes of this user only. Close it before the queue. */
typedef struct ta_jobs_server ta_jobs_server;
int ta_jobs_serve(ta_jobs_server **s, ta_jobs *q, ta_error *err);
void ta_jobs_unserve(ta_jobs_server **s);

/* A queue as verbs use it: its owner by the socket, or the folder itself where nobody owns it. One thread. */
typedef struct ta_client ta_client;
/* Waits for at most 10 s while another verb has the folder. TA_ERR_AGAIN then. */
int ta_client_open(ta_client **c, const char *dir, ta_cancel *cancel, ta_error *err);
void ta_client_close(ta_client **c);
bool ta_client_has_owner(const ta_client *c);
int ta_client_request(ta_client *c, const struct json_t *request, struct json_t **reply, ta_error *err);
/* Calls `fn` with each event's JSON line until it returns false. TA_ERR_UNAVAILABLE without an owner, and when it ends.
 */
int ta_client_watch(ta_client *c, bool (*fn)(void *opaque, const struct json_t *event), void *opaque, ta_error *err);

/* ---- The scheduler (scheduler.c)
 * -------------------------------------------------------------------------------------- */

/* What it asks of a crew, as work/work.h has it; a table, so that tests can have another one. */
typedef struct ta_crew_calls {
    int (*give)(void *crew, const ta_work_order *order, ta_error *err);
    int (*free_workers)(void *crew);
    int (*cancel)(void *crew, const char *id, ta_error *err);
    int (*pause)(void *crew, const char *id, bool paused, ta_error *err);
} ta_crew_calls;

typedef struct ta_scheduler_config {
    int gpu_jobs; /* at once, of those that want the GPU; 0 = 1 */
    int retry_ms; /* before an order is tried again that nothing but the moment spoke against; 0 = 2000 */
} ta_scheduler_config;

/* Gives jobs to a crew, in the queue's order, as workers get free; passes on cancels and pauses; records what comes
 * back. Its own thread. */
typedef struct ta_scheduler ta_scheduler;
int ta_scheduler_open(ta_scheduler **s, ta_jobs *q, const ta_scheduler_config *config, ta_error *err);
/* Begins. The crew was made with the callbacks below and this scheduler as their `user`. */
int ta_scheduler_start(ta_scheduler *s, const ta_crew_calls *calls, void *crew, ta_error *err);
void ta_scheduler_on_progress(void *scheduler, const char *id, const ta_work_progress *progress);
void ta_scheduler_on_end(void *scheduler, const char *id, int code, const char *message);
void ta_scheduler_on_free(void *scheduler);
/* Gives nothing any more; what is at work goes on. Then close the crew, then the scheduler. */
void ta_scheduler_stop(ta_scheduler *s);
/* Records what has ended. What has not is pending when the queue is opened again. */
void ta_scheduler_close(ta_scheduler **s);
/* Waits until nothing is at work and nothing can be begun. False when cancelled before. */
bool ta_scheduler_wait_idle(ta_scheduler *s, ta_cancel *cancel);

/* ---- Watch folders (watch*.c)
 * ----------------------------------------------------------------------------------------- */

/* The folders of a YAML file (docs/manual.md has the form); thread safe. */
typedef struct ta_watch_config ta_watch_config;
/* TA_ERR_CONFIG names the line. Folders of outputs are made. */
int ta_watch_config_read(ta_watch_config **c, const char *path, ta_error *err);
void ta_watch_config_free(ta_watch_config **c);
size_t ta_watch_config_count(const ta_watch_config *c);

/* A thread that adds jobs for files that appear, once each, and settles what becomes of the originals of those that are
 * over. The configuration must outlive it; close it before the queue. */
typedef struct ta_watcher ta_watcher;
int ta_watcher_open(ta_watcher **w, ta_jobs *q, const ta_watch_config *config, ta_error *err);
void ta_watcher_close(ta_watcher **w);

/* ---- Notifications (outbox.c)
 * ----------------------------------------------------------------------------------------- */

/* From now on the end of a job writes a row for each channel that wants it, in the same transaction, and a thread sends
 * them; what was not sent before is sent, too. The configuration must outlive it; close it before the queue. Without
 * channels *n stays NULL. */
typedef struct ta_jobs_notifier ta_jobs_notifier;
int ta_jobs_notify(ta_jobs_notifier **n, ta_jobs *q, const ta_notify_config *config, ta_error *err);
void ta_jobs_unnotify(ta_jobs_notifier **n);

/* ---- The owner (owner.c)
 * ---------------------------------------------------------------------------------------------- */

typedef struct ta_owner_config {
    const char *dir;       /* the queue's folder */
    int workers, gpu_jobs; /* 0 = 1 */
    ta_crew_sandbox sandbox;
    int64_t memory_budget;     /* bytes for all workers together; 0 = no bound */
    const char *program;       /* of the workers; NULL: this one */
    const char *watch;         /* file of the watch folders; NULL: the user's own, "": none */
    const char *notifications; /* NULL or "": the user's own */
} ta_owner_config;

/* A queue at work: the queue itself, its socket, crew, scheduler, notifications and watch folders. */
typedef struct ta_owner ta_owner;
int ta_owner_open(ta_owner **o, const ta_owner_config *config, ta_error *err);
/* Ends the workers within a second or two; jobs at work are pending when the queue is opened again. */
void ta_owner_close(ta_owner **o);
ta_jobs *ta_owner_jobs(const ta_owner *o);
int ta_owner_resize(ta_owner *o, int workers, ta_error *err);
/* As ta_scheduler_wait_idle. */
bool ta_owner_wait_idle(ta_owner *o, ta_cancel *cancel);

/* ---- Repair (repair.c)
 * ------------------------------------------------------------------------------------------------ */

/* Saves what can be read of a damaged store into a new one; the old one is kept beside it. `report` gets a line a
 * finding. */
int ta_jobs_repair(const char *dir, ta_buf *report, ta_error *err);
/* All jobs that can be read from the store, damaged or not, as JSON lines to `write`, which returns 0 or an error.
 * Takes the lock. */
int ta_jobs_export(const char *dir, int (*write)(void *opaque, const char *line, ta_error *err), void *opaque,
                   ta_error *err);

#endif
