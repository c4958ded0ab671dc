/* Shared inside batch only. */
#ifndef TA_BATCH_INTERNAL_H
#define TA_BATCH_INTERNAL_H

#include <jansson.h>
#include <pthread.h>
#include <sys/stat.h>

#include "batch/batch.h"

/* What makes two paths the same file. */
typedef struct ta_file_id {
    dev_t dev;
    ino_t ino;
    bool known;
} ta_file_id;

struct ta_batch {
    /* -- immutable once planned */
    ta_settings *settings;
    ta_batch_options o; /* with texts of its own */
    const char *extension;
    ta_cancel *cancel;
    ta_batch_item *items;
    ta_file_id *ids; /* of the inputs */
    char **below;    /* each item's folder below `output` */
    size_t count, cap;
    ta_batch_left_out *left_out;
    size_t n_left_out;
    ta_batch_fn fn;
    void *opaque;
    ta_models *models; /* of sound, for all jobs: each is loaded once */
    double seconds;    /* of the run */
    int status;
    /* -- guarded by lock while it runs */
    pthread_mutex_t lock;
    size_t next, begun;
};

/* inputs.c */
int ta_batch_leave_out(ta_batch *b, const char *path, const char *why, ta_error *err);
ta_file_id ta_file_id_of(const char *path);
int ta_file_id_compare(const ta_file_id *a, const ta_file_id *b);
/* Throws out item `i`, keeps the order. */
void ta_batch_drop(ta_batch *b, size_t i);

int ta_batch_name_outputs(ta_batch *b, ta_error *err); /* names.c */

/* Is the item's output there? `remark` (ta_free) says what it is taken for; `path` (ta_free) which file. */
int ta_batch_look(ta_batch *b, const ta_batch_item *item, ta_output_state *there, char **remark, char **path,
                  ta_error *err); /* finished.c */

#endif
