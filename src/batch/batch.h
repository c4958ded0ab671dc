/* batch: many inputs, one job each: finding them, naming their outputs, running them, reporting. Prints nothing: the
 * command line, the queue and the server show what it says.
 * Knows restore and what restore knows. This is the one header that other folders include. */
#ifndef TA_BATCH_BATCH_H
#define TA_BATCH_BATCH_H

#include "restore/restore.h"

typedef enum ta_batch_state {
    TA_BATCH_WAITING, /* after a run that only shows: would be restored */
    TA_BATCH_RUNNING,
    TA_BATCH_DONE,
    TA_BATCH_SKIPPED, /* a finished output of this input was there */
    TA_BATCH_FAILED,
    TA_BATCH_STOPPED, /* cancelled while it ran */
    TA_BATCH_LEFT     /* never begun: over the maximum count, or the batch was cancelled */
} ta_batch_state;

/* One input. Who is not in an event reads it before or after ta_batch_run only. */
typedef struct ta_batch_item {
    /* -- fixed by ta_batch_plan */
    char *input;  /* a file, or the folder of a DVD */
    char *name;   /* for people: its path below the folder in which it was found */
    char *folder; /* of its output */
    char *output; /* NULL as long as {height} of the template keeps it open */
    /* -- what became of it */
    ta_batch_state state;
    int status;   /* 0 or the error's code */
    char *remark; /* the error, or why it was skipped; NULL */
    double seconds;
    int64_t bytes_before, bytes_after; /* -1 = unknown */
    ta_progress progress;              /* the last one while it runs */
} ta_batch_item;

/* A file of a folder that is no input, with the reason. */
typedef struct ta_batch_left_out {
    char *path, *why;
} ta_batch_left_out;

typedef struct ta_batch_options {
    const char *output;  /* folder; made when missing */
    const char *pattern; /* "*.avi,*.mpg" for the files of folders; NULL: all known video extensions and DVDs */
    bool recursive;      /* folders below, too; their structure is kept under `output` */
    bool skip_existing;  /* a finished output of the same input is as good as done */
    bool before_after;   /* a PNG beside each output */
    bool only_show;      /* finds out what would be done and does nothing */
    int max_count;       /* restores at most so many; 0 = all. What is skipped does not count */
    int parallel;        /* jobs at once, at least 1 */
} ta_batch_options;

/* Not thread safe, but for ta_batch_run's own threads. */
typedef struct ta_batch ta_batch;

enum { TA_BATCH_MAX_PARALLEL = 32 };

/* `settings` are resolved; they and the options' texts are copied. `cancel` may be NULL and must outlive the batch. */
int ta_batch_new(ta_batch **b, const ta_settings *settings, const ta_batch_options *o, ta_cancel *cancel,
                 ta_error *err);
void ta_batch_free(ta_batch **b);
/* Adds a file, a DVD's folder (as one title) or the video files of a folder, in the order of their names (numbers by
 * value). Hidden files, the output folder, and outputs of this program are left out. A path that can't be read becomes
 * an item that will fail: one bad file does not stop the rest. */
int ta_batch_add(ta_batch *b, const char *path, ta_error *err);
/* After the last ta_batch_add: throws out what is the same file twice (by device and inode) and names the outputs.
 * TA_ERR_NOINPUT without any item, TA_ERR_USAGE when two inputs would give one output, or one would replace another. */
int ta_batch_plan(ta_batch *b, ta_error *err);
size_t ta_batch_count(const ta_batch *b);
const ta_batch_item *ta_batch_item_at(const ta_batch *b, size_t i);
size_t ta_batch_left_out_count(const ta_batch *b);
const ta_batch_left_out *ta_batch_left_out_at(const ta_batch *b, size_t i);

/* Called when an item began, went on or ended (by its state), from threads of the batch, never two at once. Must return
 * soon and must not call the batch, but for ta_batch_count and ta_batch_item_at. */
typedef void (*ta_batch_fn)(void *opaque, const ta_batch *b, size_t i);
void ta_batch_on_event(ta_batch *b, ta_batch_fn fn, void *opaque);
/* Runs all items. 0 when all were done or skipped; the code of the failures when they share one, TA_ERR_DATA when they
 * don't; TA_ERR_CANCELLED. `err` says how many failed and why the first did. */
int ta_batch_run(ta_batch *b, ta_error *err);

/* Does the name end as those of video files do? */
bool ta_is_video_name(const char *name);
/* "done", "skipped", "failed", ... Static storage. */
const char *ta_batch_state_name(ta_batch_state state);
size_t ta_batch_count_in(const ta_batch *b, ta_batch_state state);
/* All items as JSON, over many lines or on one (ta_free); NULL = no memory. */
char *ta_batch_report(const ta_batch *b, bool indent);
/* What an event says, as a JSON object on one line (ta_free); NULL = no memory. */
char *ta_batch_event_json(const ta_batch *b, size_t i);
/* True when the file is a report of an earlier batch, or does not exist: only then may a report take its place. */
bool ta_batch_may_report_to(const char *path);

#endif
