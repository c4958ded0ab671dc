/* An outbox in memory: rows in an array under a lock, and an event descriptor that becomes readable when none waits. */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "notify/notify.h"

typedef struct row {
    char *channel, *notice, why[TA_ERROR_TEXT];
    int attempts;
    int64_t due_us;
    bool handed_out;
    ta_row_state state;
} row;

struct ta_memory_outbox {
    pthread_mutex_t lock; /* of all below */
    row *rows;            /* row i has the id i + 1 */
    size_t count, waiting;
    int idle; /* eventfd */
};

ta_memory_outbox *ta_memory_outbox_new(void)
{
    ta_memory_outbox *o = ta_alloc(sizeof *o);
    if (!o)
        return NULL;
    o->idle = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (o->idle < 0) {
        ta_free(o);
        return NULL;
    }
    pthread_mutex_init(&o->lock, NULL);
    return o;
}

void ta_memory_outbox_free(ta_memory_outbox **o)
{
    if (!o || !*o)
        return;
    for (size_t i = 0; i < (*o)->count; i++) {
        ta_free((*o)->rows[i].channel);
        ta_free((*o)->rows[i].notice);
    }
    ta_free((*o)->rows);
    pthread_mutex_destroy(&(*o)->lock);
    close((*o)->idle);
    ta_freep(o);
}

int64_t ta_memory_outbox_add(ta_memory_outbox *o, const char *channel, const ta_notice *n, ta_error *err)
{
    char *notice = ta_notice_json(n), *name = ta_strdup(channel);
    int64_t id = -1;
    pthread_mutex_lock(&o->lock);
    row *more = notice && name ? ta_resize(o->rows, o->count + 1, sizeof *more) : NULL;
    if (more) {
        o->rows = more;
        more[o->count++] = (row){ .channel = name, .notice = notice, .due_us = ta_wall_us() };
        o->waiting++;
        id = (int64_t)o->count;
    }
    pthread_mutex_unlock(&o->lock);
    if (id > 0)
        return id;
    ta_free(notice);
    ta_free(name);
    return ta_no_memory(err);
}

static int hand_out(row *r, int64_t id, ta_outbox_row *out, ta_error *err)
{
    *out = (ta_outbox_row){ .id = id, .notice = ta_strdup(r->notice), .attempts = r->attempts };
    if (!out->notice)
        return ta_no_memory(err);
    r->handed_out = true;
    return 1;
}

static int take(void *opaque, const char *channel, int64_t now_us, ta_outbox_row *out, int64_t *next_us, ta_error *err)
{
    ta_memory_outbox *o = opaque;
    row *best = NULL;
    int r = 0;
    *next_us = INT64_MAX;
    pthread_mutex_lock(&o->lock);
    for (size_t i = 0; i < o->count; i++) {
        row *one = &o->rows[i];
        if (one->state == TA_ROW_WAITING && !one->handed_out && !strcmp(one->channel, channel) &&
            (!best || one->due_us < best->due_us))
            best = one;
    }
    bool due = best && (best->due_us <= now_us || best->due_us > now_us + INT64_C(1000000) * TA_NOTIFY_LONGEST_SECONDS);
    if (due)
        r = hand_out(best, best - o->rows + 1, out, err);
    else if (best)
        *next_us = best->due_us;
    pthread_mutex_unlock(&o->lock);
    return r;
}

static int mark(ta_memory_outbox *o, int64_t id, ta_row_state state, int attempts, int64_t due_us, const char *why)
{
    pthread_mutex_lock(&o->lock);
    row *r = &o->rows[id - 1];
    r->state = state;
    r->attempts = attempts >= 0 ? attempts : r->attempts;
    r->due_us = due_us;
    r->handed_out = false;
    snprintf(r->why, sizeof r->why, "%s", why);
    if (state != TA_ROW_WAITING && --o->waiting == 0)
        eventfd_write(o->idle, 1);
    pthread_mutex_unlock(&o->lock);
    return 0;
}

static int sent(void *opaque, int64_t id, ta_error *err)
{
    return mark(opaque, id, TA_ROW_SENT, -1, 0, "");
}

static int later(void *opaque, int64_t id, int attempts, int64_t due_us, const char *why, ta_error *err)
{
    return mark(opaque, id, TA_ROW_WAITING, attempts, due_us, why);
}

static int dead(void *opaque, int64_t id, int attempts, const char *why, ta_error *err)
{
    return mark(opaque, id, TA_ROW_DEAD, attempts, 0, why);
}

ta_outbox ta_memory_outbox_rows(ta_memory_outbox *o)
{
    return (ta_outbox){ .opaque = o, .take = take, .sent = sent, .later = later, .dead = dead };
}

ta_row_state ta_memory_outbox_look(ta_memory_outbox *o, int64_t id, int *attempts, char *why)
{
    pthread_mutex_lock(&o->lock);
    const row *r = &o->rows[id - 1];
    ta_row_state state = r->state;
    if (attempts)
        *attempts = r->attempts;
    if (why)
        snprintf(why, TA_ERROR_TEXT, "%s", r->why);
    pthread_mutex_unlock(&o->lock);
    return state;
}

int ta_memory_outbox_wait(ta_memory_outbox *o, ta_cancel *cancel, ta_error *err)
{
    int fds[4], count = ta_cancel_fds(cancel, fds, 4);
    struct pollfd wait_for[5] = { { .fd = o->idle, .events = POLLIN } };
    for (int i = 0; i < count; i++)
        wait_for[i + 1] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
    for (;;) {
        eventfd_t value;
        pthread_mutex_lock(&o->lock);
        bool idle = o->waiting == 0;
        if (!idle)
            eventfd_read(o->idle, &value); /* of an earlier time */
        pthread_mutex_unlock(&o->lock);
        if (idle)
            return 0;
        if (ta_cancelled(cancel))
            return ta_fail(err, TA_ERR_CANCELLED, "cancelled");
        poll(wait_for, (nfds_t)count + 1, -1);
    }
}
