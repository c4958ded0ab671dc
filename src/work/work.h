/* work: jobs in processes of their own. A crew is N worker processes (the same binary, hidden verb `worker`), each
 * watched, confined and replaced when it dies; the process that owns the crew never decodes a byte of the media.
 * Knows everything above it in design order, but nothing of the queue. This is the one header that other folders
 * include. */
#ifndef TA_WORK_WORK_H
#define TA_WORK_WORK_H

#include "base/base.h"

/* ---- Orders and what comes back ---------------------------------------------------------------------------------- */

enum { TA_WORK_ID_MAX = 63, TA_WORK_MESSAGE_MAX = 1500, TA_CREW_MAX_WORKERS = 64 };

/* One job. The crew copies everything; the caller keeps what it passed. */
typedef struct ta_work_order {
    const char *id;            /* 1..TA_WORK_ID_MAX characters; of no two running orders the same */
    const char *input;         /* a file, or a folder (VIDEO_TS) */
    const char *output;        /* a file, a folder (output-template names the file), or NULL: the input's folder */
    const char *settings_json; /* an object as ta_settings_json(s, true) writes it: resolved values */
    double cpus;               /* what the job is thought to use; 0 = its share (cpu budget / workers) */
    int64_t memory;            /* bytes; 0 = not known, counts nothing against the budget */
} ta_work_order;

typedef enum ta_work_stage {
    TA_WORK_ANALYSING,     /* probing, measuring, planning */
    TA_WORK_PREPROCESSING, /* reading the index of the source */
    TA_WORK_UPSCALING,     /* frames go through with a neural model among the stages, which then sets the pace */
    TA_WORK_ENCODING,      /* frames go through */
    TA_WORK_FINISHING,     /* checking, joining, verifying, publishing */
    TA_WORK_STAGE_COUNT
} ta_work_stage;
/* "analysing", "preprocessing", ...: static storage, never NULL. */
const char *ta_work_stage_name(ta_work_stage stage);

typedef struct ta_work_progress {
    ta_work_stage stage;
    double fraction; /* 0..1 of the job; never falls while one worker has it, may fall when another takes it over */
    double fps;      /* source frames a second, now */
    double eta;      /* seconds; -1 = not known yet */
    uint64_t frames; /* that came out of the worker that has it now */
    int64_t rss;     /* memory of the worker, bytes; 0 = not known */
    int attempt;     /* 1 = the first worker, 2 after one died, ... */
    bool paused;
} ta_work_progress;

/* ---- The crew ---------------------------------------------------------------------------------------------------- */

typedef struct ta_crew ta_crew;

typedef enum ta_crew_sandbox {
    TA_CREW_SANDBOX_ON,       /* what this kernel offers; what is missing is said in the log once */
    TA_CREW_SANDBOX_REQUIRED, /* something missing is TA_ERR_UNAVAILABLE, from ta_crew_open or as the order's end */
    TA_CREW_SANDBOX_OFF       /* workers then do several jobs each and keep their models */
} ta_crew_sandbox;

typedef struct ta_crew_config {
    int workers;                      /* 1..TA_CREW_MAX_WORKERS */
    const char *program;              /* NULL: /proc/self/exe */
    const char *const *program_words; /* argv in place of { "terminalai", "worker" } (for tests); NULL-terminated */
    ta_crew_sandbox sandbox;
    const char *const *readable; /* what confined workers may read besides their input and what programs of this kind
                                  * need: files and folders; NULL-terminated, or NULL */
    /* Times in milliseconds; 0 = the default in brackets. */
    int heartbeat_ms;       /* a worker that says nothing for this long is killed [20000] */
    int stall_ms;           /* a job that neither counts a frame nor uses CPU time for this long: killed [1200000,
                             * over the longest wait for disk space that is the default] */
    int handshake_ms;       /* from the start of a worker to its greeting [20000] */
    int cancel_ms;          /* from ta_crew_cancel to SIGKILL [800] */
    int backoff_ms;         /* before the second worker of an order; doubled each time, 30 s at most [250] */
    int attempts;           /* workers that may die before the job fails [3] */
    int64_t recycle_memory; /* one that holds more than this behind a job is replaced; 0 = half the machine's */
    int64_t kill_memory;    /* one that holds more in the middle of a job is killed, a death; 0 = never */
    double cpu_budget;      /* CPUs for all orders together; 0 = those that this process may use */
    int64_t memory_budget;  /* bytes for all orders together; 0 = no bound */
    /* Callbacks: from the crew's one thread, never two at once, never behind ta_crew_close. They must return soon
     * and may call ta_crew_give, _cancel, _pause, _free_workers and _resize, but not _close. Texts live during the
     * call only. */
    void *user;
    /* At most about twice a second a job; once with fraction 0 when a worker takes the order. May be NULL. */
    void (*on_progress)(void *user, const char *id, const ta_work_progress *progress);
    /* Exactly once for each order that ta_crew_give took, unless ta_crew_close came first. code 0: `message` is the
     * path of the output (any bytes), which is complete and under its name. Else TA_ERR_* and what happened;
     * TA_ERR_CANCELLED after ta_crew_cancel; TA_ERR_SOFTWARE when `attempts` workers died, with how the last one
     * ended, in which stage, and the last lines of its log. The worker that is free now can be given an order from
     * within the call. */
    void (*on_end)(void *user, const char *id, int code, const char *message);
    /* An order has ended, behind its on_end: one that got TA_ERR_AGAIN may be tried again. May be NULL. */
    void (*on_free)(void *user);
} ta_crew_config;

/* Starts the crew's thread and its workers. The config and what it points to are copied. TA_ERR_USAGE (a wrong config),
 * TA_ERR_UNAVAILABLE (REQUIRED and the kernel can't), TA_ERR_AGAIN (memory, threads, descriptors). */
int ta_crew_open(ta_crew **crew, const ta_crew_config *config, ta_error *err);

/* The rest is thread safe. */

/* Gives an order to a free worker. Opens the input (read only) and takes the folder beside the output in which the
 * worker may write, `.NAME.terminalai`, with its lock. 0: taken, on_end will come. TA_ERR_AGAIN: no worker is free,
 * the budgets are used up, or another run holds the output (the error says which). TA_ERR_NOINPUT, TA_ERR_NOPERM,
 * TA_ERR_CANTCREATE (the output exists and the setting overwrite is not set, or its folder can't be written),
 * TA_ERR_USAGE (a wrong id or wrong settings). An earlier order for the same output that was not finished is gone on
 * with from its segments. */
int ta_crew_give(ta_crew *crew, const ta_work_order *order, ta_error *err);
/* Workers that an order could be given to now, as far as their number goes. */
int ta_crew_free_workers(ta_crew *crew);
/* Ends an order: returns at once; on_end(TA_ERR_CANCELLED) comes within a second. What a segmented job has done
 * stays in its folder. An order that has finished meanwhile ends as it did. TA_ERR_NOINPUT when there is none of
 * this id. */
int ta_crew_cancel(ta_crew *crew, const char *id, ta_error *err);
/* The job stops between frames (its worker goes on answering) until it is paused no more or cancelled.
 * TA_ERR_NOINPUT. */
int ta_crew_pause(ta_crew *crew, const char *id, bool paused, ta_error *err);
/* More workers are started; of too many, free ones are ended at once and busy ones behind their job. */
int ta_crew_resize(ta_crew *crew, int workers, ta_error *err);
/* Process ids of the workers that are alive, at most `max`; how many. For status and tests. */
int ta_crew_pids(ta_crew *crew, int *pids, int max);
/* Ends the workers (as on cancel, within a second), joins the thread, frees *crew. Orders that run leave their
 * folders, from which the same order goes on; their on_end is not called. NULL inside is allowed. */
void ta_crew_close(ta_crew **crew);

/* ---- The worker's side ------------------------------------------------------------------------------------------- */

/* The verb `worker`: serves the crew on descriptor 3 until that is closed. Returns a status. */
int ta_worker_main(int argc, char **argv, ta_error *err);

/* ---- Confinement ------------------------------------------------------------------------------------------------- */

/* What this kernel offers. */
typedef struct ta_confinement {
    int landlock; /* ABI, 0 = none */
    bool seccomp;
} ta_confinement;
ta_confinement ta_confinement_offered(void);
/* NULL when everything is there that REQUIRED asks for, else what is missing. Static storage. */
const char *ta_confinement_missing(const ta_confinement *c);

/* What a process may use once it is confined. Descriptors stay the caller's. */
typedef struct ta_confine_plan {
    const int *read_fds; /* may be read: files, or folders with what is below */
    int read_count;
    const int *write_fds; /* folders: everything may be done but executing, making links and devices */
    int write_count;
    const char *const *read_paths; /* as read_fds; those that don't exist are passed over; NULL-terminated, or NULL */
    const char *const *devices;    /* may be read, written and controlled; the same */
    bool required;                 /* a missing kernel feature is TA_ERR_UNAVAILABLE; else *done says what was done */
} ta_confine_plan;
/* Confines this process for good: no new privileges, Landlock (files, and TCP, abstract sockets and signals to
 * others where the ABI has them), seccomp. Before any other thread exists: TA_ERR_SOFTWARE when there is one. */
int ta_confine(const ta_confine_plan *plan, ta_confinement *done, ta_error *err);

#endif
