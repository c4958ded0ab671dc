/* The board: the newest view of the queue behind one atomic pointer, and those who are told of changes. Two writers
 * publish on it: the store's writer what is on the disk (jobs, order), and whoever hears of progress what is not.
 * Private to queue. */
#ifndef TA_QUEUE_BOARD_H
#define TA_QUEUE_BOARD_H

#include <pthread.h>

#include "queue/order.h"
#include "queue/queue.h"
#include "queue/trie.h"

/* The durable part of a view. */
typedef struct ta_cold {
    ta_trie jobs; /* ta_qjob */
    ta_order *all, *by[TA_Q_STATES];
    bool paused;
} ta_cold;

/* Progress of one attempt. */
typedef struct ta_hot {
    int attempt;
    ta_qprogress p;
} ta_hot;

struct ta_view {
    uint64_t seq;
    ta_cold cold;
    ta_trie hot; /* ta_hot */
};

typedef struct ta_told {
    ta_event_kind kind;
    int64_t id;
} ta_told;

typedef struct ta_board {
    _Alignas(64) _Atomic(ta_view *) root;
    ta_limbo limbo;
    _Alignas(64) _Atomic uint64_t stamps; /* of transactions, each its own */
    pthread_mutex_t lock;                 /* of those who publish; a subscriber's own lock is taken inside */
    /* -- lock */
    ta_txn hot_txn;
    ta_subscriber *subscribers;
} ta_board;

int ta_board_init(ta_board *b);
/* No reader, subscriber or writer may be left. */
void ta_board_free(ta_board *b);
uint64_t ta_board_stamp(ta_board *b);
/* Publishes the durable part; never fails. `made` is an empty view, made beforehand. Takes over what `txn` made and
 * dropped. */
void ta_board_publish(ta_board *b, ta_view *made, const ta_cold *cold, ta_txn *txn, const ta_told *told, size_t n);

/* events.c: under the board's lock. */
void ta_subscribers_tell(ta_subscriber *list, const ta_event *e);

#endif
