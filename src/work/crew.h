/* Inside of a crew: its thread, and a slot for each worker. Private to work. */
#ifndef TA_WORK_CREW_H
#define TA_WORK_CREW_H

#include <pthread.h>
#include <stdatomic.h>

#include "work/order.h"

enum { TA_SLOT_LINES = 8, TA_SLOT_LINE = 240 };

typedef enum ta_slot_state {
    TA_SLOT_EMPTY,    /* no process; one is started at start_at when there is need for one */
    TA_SLOT_STARTING, /* has not greeted yet */
    TA_SLOT_READY,    /* waits for an order */
    TA_SLOT_BUSY,
    TA_SLOT_LEAVING /* killed, or told to quit: only its end is waited for */
} ta_slot_state;

/* A place for a worker. All but `order` and `reserved` is the thread's alone. */
typedef struct ta_slot {
    ta_crew *crew;
    int number;
    /* -- crew.lock */
    ta_order *order;
    bool reserved;   /* an order is being opened for it */
    _Atomic int pid; /* of its process, 0 */
    /* -- the crew's thread */
    ta_slot_state state;
    ta_process process;
    ta_channel channel;
    int64_t start_at, greet_by, leave_by; /* leave_by: when a process that was told to quit is killed */
    int bad_starts;                       /* in a row */
    bool deaf;                            /* it has closed the channel; its end tells more */
    int64_t heard_at, worked_at, weighed_at;
    json_int_t work;
    char why[200];              /* why it was killed by us, or "" */
    char partial[TA_SLOT_LINE]; /* of the log's last line */
    size_t partial_len;
    char lines[TA_SLOT_LINES][TA_SLOT_LINE];
    int next_line;
} ta_slot;

struct ta_crew {
    /* -- immutable */
    ta_crew_config config; /* with its texts copied */
    char **words, *program;
    ta_places readable;
    int wake_fd;
    pthread_t thread;
    /* -- the crew's thread */
    ta_slot slots[TA_CREW_MAX_WORKERS];
    /* -- lock */
    pthread_mutex_t lock;
    int wanted;
    bool closing;
};

/* crew_slot.c: all in the crew's thread, without the lock. */
/* Does what is due now: starts, gives, cancels, kills. When to look again (ta_now_us). */
int64_t ta_slot_step(ta_slot *s, int64_t now);
/* Something can be read there. */
void ta_slot_socket(ta_slot *s);
void ta_slot_log(ta_slot *s);
/* The process has ended. */
void ta_slot_ended(ta_slot *s);
/* Lets go of the process, whatever it does. */
void ta_slot_close(ta_slot *s);

/* crew.c */
void ta_crew_wake(ta_crew *c);
/* The order's end: calls back, frees it, makes the slot free. */
void ta_crew_end_order(ta_slot *s, int code, const char *message);

#endif
