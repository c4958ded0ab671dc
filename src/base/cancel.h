/* A cancel token: one per job, linked to a parent. Everything that can block takes one. Thread safe; setting it is
 * async-signal-safe. */
#ifndef TA_BASE_CANCEL_H
#define TA_BASE_CANCEL_H

#include <stdbool.h>
#include <stdint.h>

typedef struct ta_cancel ta_cancel;

/* A new token, cancelled whenever `parent` is (NULL for none). The parent must outlive it. NULL when out of memory
 * or descriptors, or when the chain would be longer than 4. Free with ta_cancel_free; NULL is allowed there. */
ta_cancel *ta_cancel_new(ta_cancel *parent);
void ta_cancel_free(ta_cancel **c);
/* Cancels the token and all below it, wakes all waiters. Async-signal-safe, may be repeated. */
void ta_cancel_set(ta_cancel *c);
/* NULL is never cancelled. Lock-free. */
bool ta_cancelled(const ta_cancel *c);
/* Waits until cancelled or `us` microseconds passed (0 or less: only looks). True when cancelled. NULL just sleeps. */
bool ta_cancel_wait(ta_cancel *c, int64_t us);
/* Descriptors that become readable when this token or one above it is cancelled, for poll(2); never read from them.
 * Fills at most `max` (4 is always enough) and returns how many. They live as long as the tokens. */
int ta_cancel_fds(const ta_cancel *c, int *fds, int max);

/* Holds up, until it is let go or cancelled, whoever comes to ta_cancel_pass with this token or one below it: a pause.
 * One thread at a time may call it. 0, or TA_ERR_AGAIN without descriptors. */
int ta_cancel_hold(ta_cancel *c, bool held);
/* Where work is given on, between two frames or packets: waits while held. False when cancelled. Lock-free while not
 * held; NULL passes. */
bool ta_cancel_pass(const ta_cancel *c);

#endif
