/* Subscribers: each has at most one waiting event a job, its newest, in the order of these. Who reads slowly is told
 * less often, never in the wrong order; who leaves more jobs unread than fit is told to read everything again. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "queue/internal.h"

enum { WAITING = 1024, TABLE = 2 * WAITING, NONE = -1 };

typedef struct waiting {
    ta_event e;
    int before, behind; /* in the order of events; free ones are chained by `behind` */
} waiting;

struct ta_subscriber {
    ta_subscriber *next; /* under the board's lock */
    ta_board *board;
    int fd;
    pthread_mutex_t lock;
    /* -- lock */
    waiting slot[WAITING];
    int table[TABLE]; /* by kind and id: a slot or NONE; open addressing */
    int oldest, newest, free_one;
    bool resync;
    uint64_t resync_seq;
};

static size_t place_of(const ta_event *e)
{
    uint64_t h = ((uint64_t)e->id * 4 + (e->kind == TA_EVENT_QUEUE)) * 0x9e3779b97f4a7c15u;
    return (size_t)(h >> 32) % TABLE;
}

/* Of one job there is one event, also when it is that of its removal. */
static bool same_subject(const ta_event *a, const ta_event *b)
{
    return a->id == b->id && (a->kind == TA_EVENT_QUEUE) == (b->kind == TA_EVENT_QUEUE);
}

static size_t find(const ta_subscriber *s, const ta_event *e)
{
    size_t at = place_of(e);
    while (s->table[at] != NONE && !same_subject(&s->slot[s->table[at]].e, e))
        at = (at + 1) % TABLE;
    return at;
}

/* Takes an entry out of the table; those behind it that it displaced move up (D. Knuth, TAOCP 3, 6.4, algorithm R). */
static void forget(ta_subscriber *s, size_t at)
{
    for (size_t next = (at + 1) % TABLE; s->table[next] != NONE; next = (next + 1) % TABLE) {
        size_t home = place_of(&s->slot[s->table[next]].e);
        bool stays = at < next ? home > at && home <= next : home > at || home <= next;
        if (stays)
            continue;
        s->table[at] = s->table[next];
        at = next;
    }
    s->table[at] = NONE;
}

static void unchain(ta_subscriber *s, int i)
{
    waiting *w = &s->slot[i];
    if (w->before == NONE)
        s->oldest = w->behind;
    else
        s->slot[w->before].behind = w->behind;
    if (w->behind == NONE)
        s->newest = w->before;
    else
        s->slot[w->behind].before = w->before;
}

static void chain(ta_subscriber *s, int i)
{
    waiting *w = &s->slot[i];
    w->before = s->newest;
    w->behind = NONE;
    if (s->newest == NONE)
        s->oldest = i;
    else
        s->slot[s->newest].behind = i;
    s->newest = i;
}

static void empty(ta_subscriber *s)
{
    for (int i = 0; i < TABLE; i++)
        s->table[i] = NONE;
    for (int i = 0; i < WAITING; i++)
        s->slot[i].behind = i + 1 < WAITING ? i + 1 : NONE;
    s->free_one = 0;
    s->oldest = s->newest = NONE;
}

static void tell(ta_subscriber *s, const ta_event *e)
{
    if (s->resync) {
        s->resync_seq = e->seq;
        return;
    }
    size_t at = find(s, e);
    int i = s->table[at];
    if (i != NONE) {
        unchain(s, i);
    } else if (s->free_one == NONE) {
        empty(s);
        s->resync = true;
        s->resync_seq = e->seq;
        return;
    } else {
        i = s->table[at] = s->free_one;
        s->free_one = s->slot[i].behind;
    }
    s->slot[i].e = *e;
    chain(s, i);
}

void ta_subscribers_tell(ta_subscriber *list, const ta_event *e)
{
    for (ta_subscriber *s = list; s; s = s->next) {
        uint64_t one = 1;
        pthread_mutex_lock(&s->lock);
        bool quiet = !s->resync && s->oldest == NONE;
        tell(s, e);
        pthread_mutex_unlock(&s->lock);
        /* an eventfd that is full is readable already */
        if (quiet && write(s->fd, &one, sizeof one) < 0 && errno != EAGAIN)
            ta_log(TA_LOG_ERROR, "queue", "can't wake a subscriber: %s", strerror(errno));
    }
}

static void take(ta_subscriber *s, ta_event *e)
{
    int i = s->oldest;
    *e = s->slot[i].e;
    forget(s, find(s, e));
    unchain(s, i);
    s->slot[i].behind = s->free_one;
    s->free_one = i;
}

bool ta_subscriber_next(ta_subscriber *s, ta_event *e)
{
    uint64_t count;
    bool got = true;
    pthread_mutex_lock(&s->lock);
    if (s->resync) {
        *e = (ta_event){ .kind = TA_EVENT_RESYNC, .seq = s->resync_seq, .at_us = ta_now_us() };
        s->resync = false;
    } else if (s->oldest != NONE) {
        take(s, e);
    } else {
        got = false;
    }
    if (s->oldest == NONE && !s->resync && read(s->fd, &count, sizeof count) < 0 && errno != EAGAIN)
        ta_log(TA_LOG_ERROR, "queue", "can't read a subscriber's descriptor: %s", strerror(errno));
    pthread_mutex_unlock(&s->lock);
    return got;
}

int ta_subscriber_fd(const ta_subscriber *s)
{
    return s->fd;
}

ta_subscriber *ta_subscribe(ta_jobs *q)
{
    ta_subscriber *s = ta_alloc(sizeof *s);
    if (!s)
        return NULL;
    s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->fd < 0) {
        ta_free(s);
        return NULL;
    }
    s->board = &q->board;
    pthread_mutex_init(&s->lock, NULL);
    empty(s);
    pthread_mutex_lock(&q->board.lock);
    s->next = q->board.subscribers;
    q->board.subscribers = s;
    pthread_mutex_unlock(&q->board.lock);
    return s;
}

void ta_unsubscribe(ta_subscriber **ps)
{
    ta_subscriber *s = *ps;
    if (!s)
        return;
    pthread_mutex_lock(&s->board->lock);
    ta_subscriber **at = &s->board->subscribers;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    pthread_mutex_unlock(&s->board->lock);
    close(s->fd);
    pthread_mutex_destroy(&s->lock);
    ta_freep(ps);
}
