/* Paths to be unlinked when the process must end at once: a fixed table of slots that a signal handler may walk while
 * other threads use it. Private to base. */
#ifndef TA_BASE_UNLINK_LIST_H
#define TA_BASE_UNLINK_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct ta_unlink_slot {
    _Atomic int state; /* zero: free */
    char *path;        /* owned by whoever moved the state there */
    bool folder;
};

/* Takes a slot for `path`, which is copied. The index, or -1 with errno: EMFILE when the table is full,
 * ENOMEM. */
int ta_unlink_add(struct ta_unlink_slot *table, size_t count, const char *path, bool folder);
/* Gives the slot back; -1 is allowed. The file is not touched. */
void ta_unlink_forget(struct ta_unlink_slot *table, int index);
/* Unlinks the files (or, with `folders`, removes the empty folders) of all slots. Async-signal-safe. */
void ta_unlink_run(struct ta_unlink_slot *table, size_t count, bool folders);

#endif
