/* What a batch shows while it runs and at its end. */
#ifndef TA_CLI_BATCH_SCREEN_H
#define TA_CLI_BATCH_SCREEN_H

#include <pthread.h>

#include "batch/batch.h"
#include "cli/cli.h"

typedef struct ta_batch_screen {
    ta_cli_progress kind;
    bool only_show;
    int64_t begun;
    /* -- guarded by lock, as the log's lines wipe and draw the progress line from other threads */
    pthread_mutex_t lock;
    bool drawn;
    char line[600];
} ta_batch_screen;

/* Connects a screen to a batch and to the log; ta_batch_screen_close leaves the terminal clean. */
void ta_batch_screen_open(ta_batch_screen *s, ta_batch *b, const ta_settings *settings, bool only_show);
void ta_batch_screen_close(ta_batch_screen *s);
/* The table of all files and the line that sums it up; in JSON mode the report on one line. */
int ta_batch_screen_sum_up(const ta_batch_screen *s, const ta_batch *b, ta_error *err);

#endif
