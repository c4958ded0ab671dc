/* Watch folders: parts that its files share. Private to queue. */
#ifndef TA_QUEUE_WATCH_H
#define TA_QUEUE_WATCH_H

#include "queue/internal.h"

typedef enum ta_watch_after { TA_WATCH_KEEP, TA_WATCH_MOVE, TA_WATCH_DELETE } ta_watch_after;

/* One folder of the configuration; all paths are absolute and real. */
typedef struct ta_watch_folder {
    char *name, *input, *output, *move_to, *errors_to;
    char **include, **exclude; /* patterns, ending with NULL; include NULL: all video files */
    bool recursive, keep_structure, delete_original;
    ta_watch_after after;
    int64_t retries, priority, minimum_size, stable_us, retry_us, rescan_us;
    ta_settings *settings;
    char *json;            /* of the settings, all of them */
    const char *extension; /* of outputs */
} ta_watch_folder;

struct ta_watch_config {
    char *path;
    ta_watch_folder *folders;
    size_t count;
};

/* A file in a folder. */
typedef struct ta_watch_file {
    char *path; /* below the folder */
    int64_t size, modified_us;
    int64_t since_us; /* unchanged, by the monotonic clock */
} ta_watch_file;

typedef struct ta_watch_files {
    ta_watch_file *list;
    size_t count, cap;
} ta_watch_files;

void ta_watch_files_free(ta_watch_files *f);

/* watch_scan.c: the files that are wanted, in order of their names; `fd`: inotify, told of each folder. */
int ta_watch_scan(const ta_watch_folder *f, int fd, ta_watch_files *out, ta_cancel *cancel, ta_error *err);
/* False while somebody has the file open for writing, as far as the system tells. */
bool ta_watch_is_closed(const char *path);

/* watch_rows.c */

/* What is known of a file. */
typedef enum ta_watch_state {
    TA_WATCH_TAKEN,   /* its job waits or is at work */
    TA_WATCH_SETTLED, /* all is done */
    TA_WATCH_RETRY,   /* failed; is tried again when due */
    TA_WATCH_GIVEN_UP,
    TA_WATCH_AFTER /* completed; what becomes of the original is not settled */
} ta_watch_state;

typedef struct ta_watch_row {
    char *path, *output, *note;
    int64_t size, modified_us, job, tries, due_us;
    ta_watch_state state;
    ta_qstate job_state; /* TA_Q_STATES: the job is gone */
    char *message;       /* of the job */
} ta_watch_row;

typedef struct ta_watch_rows {
    ta_watch_row *list;
    size_t count;
} ta_watch_rows;

void ta_watch_rows_free(ta_watch_rows *r);
/* Takes out of `files` those that are known with this size and date. */
int ta_watch_unknown(ta_jobs *q, const ta_watch_folder *f, ta_watch_files *files, ta_error *err);
/* Adds the file's job and its row in one transaction. 1 when another job makes that output: then it is left for later.
 */
int ta_watch_take(ta_jobs *q, const ta_watch_folder *f, const ta_watch_file *file, ta_error *err);
/* Rows of which something is to be done: their job is over, or it is due, or not settled. */
int ta_watch_due(ta_jobs *q, const ta_watch_folder *f, ta_watch_rows *rows, int64_t *next_us, ta_error *err);
/* Writes the state. */
int ta_watch_set(ta_jobs *q, const ta_watch_folder *f, const ta_watch_row *row, ta_watch_state state, int64_t due_us,
                 const char *sha256, const char *note, ta_error *err);
/* Begins the job again, in the same transaction; the row is taken. */
int ta_watch_retry(ta_jobs *q, const ta_watch_folder *f, const ta_watch_row *row, ta_error *err);
/* Where the output of a file goes (ta_free). */
char *ta_watch_output(const ta_watch_folder *f, const char *path, ta_error *err);

/* watch_after.c: what becomes of an original whose job is over. */
int ta_watch_settle(ta_jobs *q, const ta_watch_folder *f, const ta_watch_row *row, ta_cancel *cancel, ta_error *err);

#endif
