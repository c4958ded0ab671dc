/* An order as the crew holds it: the folder in which its worker may write, what it may read, and how its output gets
 * its name. Private to work. */
#ifndef TA_WORK_ORDER_H
#define TA_WORK_ORDER_H

#include "settings/settings.h"
#include "work/internal.h"
#include "work/places.h"

typedef struct ta_order {
    /* -- fixed by ta_order_open */
    char id[TA_WORK_ID_MAX + 1];
    char *input;
    char *target; /* the output, or NULL while only its folder is known */
    char *target_dir;
    char *inner;           /* what the worker is told to write: below `out` */
    char *out;             /* the folder `out` in the order's folder */
    ta_settings *settings; /* as the worker gets them */
    bool overwrite;
    ta_job_folder *folder;            /* .NAME.terminalai beside the output, with its lock */
    ta_job_folder *work;              /* in the setting work-dir, or NULL */
    int input_fd, folder_fd, work_fd; /* work_fd -1: none */
    ta_places reads;                  /* files that the settings name */
    char key[65];                     /* of what is made from what */
    double cpus;
    int64_t memory;
    bool finished; /* an earlier run was ended while it published: nothing is left to do */
    /* -- the crew's lock */
    bool cancelled, paused;
    /* -- the crew's thread */
    char *name; /* of the output, told by the worker */
    int deaths;
    bool given;        /* the process of its slot has it */
    int64_t cancel_at; /* when the cancel was seen; 0 */
    bool told_cancel, told_pause;
    ta_work_progress progress;
    int64_t shown_at;
} ta_order;

/* Checks, and opens everything. TA_ERR_* as ta_crew_give says. */
int ta_order_open(ta_order **o, const ta_work_order *what, ta_error *err);
/* The message for the worker, and the descriptors that go with it. */
json_t *ta_order_message(const ta_order *o, const char *sandbox, int threads, int fds[3], int *fd_count);
/* Takes the name that the worker gives to the output: TA_ERR_DATA for one that the settings don't give,
 * TA_ERR_CANTCREATE when there is such an output already. */
int ta_order_name(ta_order *o, const char *name, ta_error *err);
/* Gives what the worker has finished its final name; o->target is its path then. */
int ta_order_publish(ta_order *o, ta_error *err);
/* Lets go of everything. Its folder stays when another run can go on with it. NULL inside is allowed. */
void ta_order_close(ta_order **o);

/* Paths in messages: JSON holds UTF-8, a path any bytes. Both give new strings (ta_free); NULL out of memory. */
char *ta_path_to_wire(const char *path);
char *ta_path_from_wire(const char *text);

#endif
