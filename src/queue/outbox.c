/* The outbox: notifications as rows, written with the end of their job, kept until they are sent or given up. */
#include <string.h>

#include "net/net.h"
#include "queue/request.h"

enum { WAITING, GIVEN_UP, MOST_GIVEN_UP = 10000, SHOWN = 1000 };

struct ta_jobs_notifier {
    ta_jobs *q;
    ta_notifier *sender;
    /* -- of the sender's thread: rows that it has */
    int64_t *handed;
    size_t n_handed, cap;
};

static void bind_text(sqlite3_stmt *st, int column, const char *t)
{
    sqlite3_bind_text(st, column, t ? t : "", -1, SQLITE_STATIC);
}

/* ---- Writing --------------------------------------------------------------------------------------------------------
 */

static int add_row(ta_change *c, int64_t job, const char *channel, const char *notice, ta_error *err)
{
    sqlite3_stmt *st;
    int r = ta_store_statement(c->store,
                               "INSERT INTO outbox(job, channel, notice, state, tries, created_us, due_us, why)"
                               " VALUES(?1, ?2, ?3, 0, 0, ?4, ?4, '')",
                               &st, err);
    if (r < 0)
        return r;
    sqlite3_bind_int64(st, 1, job);
    bind_text(st, 2, channel);
    bind_text(st, 3, notice);
    sqlite3_bind_int64(st, 4, c->now_us);
    return ta_store_run(c->store, st, err);
}

static int add_rows(ta_change *c, int64_t job, const ta_notice *n, ta_error *err)
{
    char *notice = ta_notice_json(n);
    int r = notice ? 0 : ta_no_memory(err);
    for (size_t i = 0; r >= 0 && i < ta_notify_channels(c->notify); i++)
        if (ta_notify_wants(c->notify, i, n->event))
            r = add_row(c, job, ta_notify_channel(c->notify, i), notice, err);
    ta_free(notice);
    return r;
}

static bool is_idle(const ta_change *c)
{
    size_t open = 0;
    for (int s = 0; s < TA_Q_COMPLETED; s++)
        open += s == TA_Q_PAUSED ? 0 : ta_order_size(c->cold.by[s]);
    return !open;
}

int ta_outbox_add(ta_change *c, const ta_qjob *j, ta_error *err)
{
    char id[24];
    if (!c->notify)
        return 0;
    snprintf(id, sizeof id, "%lld", (long long)j->id);
    ta_notice n = { .event = ta_qstate_name(j->state),
                    .id = id,
                    .name = ta_path_base(j->input),
                    .status = ta_qstate_name(j->state),
                    .error = *j->message ? j->message : NULL,
                    .input = j->input,
                    .output = j->output,
                    .wall_us = c->now_us,
                    .elapsed_seconds = j->started_us ? (double)(j->ended_us - j->started_us) / 1e6 : -1 };
    char *shown = ta_is_url(j->input) ? ta_url_shown(j->input) : NULL; /* without what may be a secret */
    if (shown)
        n.input = n.name = shown;
    int r = add_rows(c, j->id, &n, err);
    ta_free(shown);
    if (r >= 0 && is_idle(c))
        r = add_rows(c, j->id,
                     &(ta_notice){ .event = "idle", .status = "idle", .elapsed_seconds = -1, .wall_us = c->now_us },
                     err);
    return r;
}

/* ---- For the sender -------------------------------------------------------------------------------------------------
 */

static bool is_handed(const ta_jobs_notifier *n, int64_t id)
{
    for (size_t i = 0; i < n->n_handed; i++)
        if (n->handed[i] == id)
            return true;
    return false;
}

static int hand(ta_jobs_notifier *n, int64_t id, ta_error *err)
{
    if (n->n_handed == n->cap) {
        int64_t *list = ta_resize(n->handed, n->cap + 64, sizeof *list);
        if (!list)
            return ta_no_memory(err);
        n->handed = list;
        n->cap += 64;
    }
    n->handed[n->n_handed++] = id;
    return 0;
}

static void take_back(ta_jobs_notifier *n, int64_t id)
{
    for (size_t i = 0; i < n->n_handed; i++)
        if (n->handed[i] == id)
            n->handed[i] = n->handed[--n->n_handed];
}

typedef struct taking {
    ta_jobs_notifier *n;
    const char *channel;
    int64_t now_us, *next_us;
    ta_outbox_row *row;
    bool got;
} taking;

static bool is_due(const taking *t, int64_t due)
{
    return due <= t->now_us || due > t->now_us + (int64_t)TA_NOTIFY_LONGEST_SECONDS * 1000000;
}

/* Rows in the order of (due, id), as the index has them; what is in hand is passed over. */
static int find_due(ta_change *c, void *arg, ta_error *err)
{
    taking *t = arg;
    sqlite3_stmt *st;
    int step = SQLITE_DONE;
    t->got = false;
    *t->next_us = INT64_MAX;
    int r = ta_store_statement(c->store,
                               "SELECT id, due_us, tries, notice FROM outbox WHERE channel=? AND state=0"
                               " ORDER BY due_us, id",
                               &st, err);
    if (r < 0)
        return r;
    bind_text(st, 1, t->channel);
    while (r >= 0 && !t->got && (step = sqlite3_step(st)) == SQLITE_ROW) {
        if (is_handed(t->n, sqlite3_column_int64(st, 0)))
            continue;
        t->got = is_due(t, sqlite3_column_int64(st, 1));
        if (!t->got)
            *t->next_us = TA_MIN(*t->next_us, sqlite3_column_int64(st, 1));
        else
            *t->row = (ta_outbox_row){ .id = sqlite3_column_int64(st, 0),
                                       .attempts = sqlite3_column_int(st, 2),
                                       .notice = ta_strdup((const char *)sqlite3_column_text(st, 3)) };
    }
    if (!t->got && step != SQLITE_DONE && step != SQLITE_ROW)
        r = ta_store_fail(c->store, "can't read the queue", err);
    sqlite3_reset(st);
    return t->got && !t->row->notice ? ta_no_memory(err) : r;
}

static int take(void *opaque, const char *channel, int64_t now_us, ta_outbox_row *row, int64_t *next_us, ta_error *err)
{
    ta_jobs_notifier *n = opaque;
    taking t = { n, channel, now_us, next_us, row, false };
    int r = ta_jobs_do(n->q, find_due, &t, TA_OP_READS, err);
    if (r < 0 || !t.got)
        return r < 0 ? r : 0;
    r = hand(n, row->id, err);
    if (r < 0)
        ta_freep(&row->notice);
    return r < 0 ? r : 1;
}

typedef struct ending {
    int64_t id, due_us;
    int tries, state; /* state -1: it was sent */
    const char *why;
} ending;

static int write_end(ta_change *c, void *arg, ta_error *err)
{
    const ending *e = arg;
    sqlite3_stmt *st;
    int r = e->state < 0
                ? ta_store_statement(c->store, "DELETE FROM outbox WHERE id=?1", &st, err)
                : ta_store_statement(c->store, "UPDATE outbox SET state=?2, tries=?3, due_us=?4, why=?5 WHERE id=?1",
                                     &st, err);
    if (r >= 0) {
        sqlite3_bind_int64(st, 1, e->id);
        if (e->state >= 0) {
            sqlite3_bind_int(st, 2, e->state);
            sqlite3_bind_int(st, 3, e->tries);
            sqlite3_bind_int64(st, 4, e->due_us);
            bind_text(st, 5, e->why);
        }
        r = ta_store_run(c->store, st, err);
    }
    if (r >= 0 && e->state == GIVEN_UP) { /* what nobody looks at doesn't grow without end */
        r = ta_store_statement(c->store,
                               "DELETE FROM outbox WHERE state=1 AND id NOT IN (SELECT id FROM outbox WHERE state=1"
                               " ORDER BY id DESC LIMIT ?)",
                               &st, err);
        if (r >= 0) {
            sqlite3_bind_int(st, 1, MOST_GIVEN_UP);
            r = ta_store_run(c->store, st, err);
        }
    }
    c->broken |= r < 0;
    return r;
}

static int end_row(ta_jobs_notifier *n, const ending *e, ta_error *err)
{
    /* at least once: what is lost with a power cut is told again */
    ta_op_kind kind = e->state == GIVEN_UP ? TA_OP_WRITES : TA_OP_WRITES_LAZILY;
    int r = ta_jobs_do(n->q, write_end, (void *)(uintptr_t)e, kind, err);
    if (r >= 0)
        take_back(n, e->id);
    return r;
}

static int sent(void *opaque, int64_t id, ta_error *err)
{
    return end_row(opaque, &(ending){ .id = id, .state = -1 }, err);
}

static int later(void *opaque, int64_t id, int attempts, int64_t due_us, const char *why, ta_error *err)
{
    return end_row(opaque, &(ending){ id, due_us, attempts, WAITING, why }, err);
}

static int dead(void *opaque, int64_t id, int attempts, const char *why, ta_error *err)
{
    return end_row(opaque, &(ending){ id, 0, attempts, GIVEN_UP, why }, err);
}

/* ---- Opening --------------------------------------------------------------------------------------------------------
 */

static void wake(void *opaque)
{
    ta_notifier_wake(opaque);
}

static int set_config(ta_change *c, void *arg, ta_error *err)
{
    c->notify = arg;
    return 0;
}

int ta_jobs_notify(ta_jobs_notifier **out, ta_jobs *q, const ta_notify_config *config, ta_error *err)
{
    *out = NULL;
    if (!ta_notify_channels(config))
        return 0;
    ta_jobs_notifier *n = ta_alloc(sizeof *n);
    if (!n)
        return ta_no_memory(err);
    n->q = q;
    ta_outbox outbox = { n, take, sent, later, dead };
    int r = ta_notifier_open(&n->sender, config, &outbox, 0, err);
    if (r < 0) {
        ta_free(n);
        return r;
    }
    ta_jobs_do(q, set_config, (void *)(uintptr_t)config, TA_OP_READS, NULL);
    ta_jobs_listen(q, wake, n->sender);
    *out = n;
    return 0;
}

void ta_jobs_unnotify(ta_jobs_notifier **pn)
{
    ta_jobs_notifier *n = *pn;
    if (!n)
        return;
    ta_jobs_unlisten(n->q, wake, n->sender);
    ta_jobs_do(n->q, set_config, NULL, TA_OP_READS, NULL);
    ta_notifier_close(&n->sender, 1000000);
    ta_free(n->handed);
    ta_freep(pn);
}

/* ---- Requests -------------------------------------------------------------------------------------------------------
 */

typedef struct listing {
    json_t *rows;
    int64_t count[2];
} listing;

static int list_rows(ta_change *c, void *arg, ta_error *err)
{
    listing *l = arg;
    sqlite3_stmt *st;
    int step;
    json_array_clear(l->rows);
    l->count[WAITING] = l->count[GIVEN_UP] = 0;
    int r = ta_store_statement(
        c->store, "SELECT id, job, channel, state, tries, due_us, why, notice FROM outbox ORDER BY id", &st, err);
    if (r < 0)
        return r;
    while (r >= 0 && (step = sqlite3_step(st)) != SQLITE_DONE) {
        if (step != SQLITE_ROW) {
            r = ta_store_fail(c->store, "can't read the queue", err);
            break;
        }
        int state = sqlite3_column_int(st, 3) == GIVEN_UP;
        char when[32];
        if (l->count[0] + l->count[1] < SHOWN)
            json_array_append_new(
                l->rows,
                json_pack("{s:I, s:I, s:s, s:s, s:i, s:s, s:s, s:o?}", "id", (json_int_t)sqlite3_column_int64(st, 0),
                          "job", (json_int_t)sqlite3_column_int64(st, 1), "channel", sqlite3_column_text(st, 2),
                          "state", state == GIVEN_UP ? "dead" : "waiting", "tries", sqlite3_column_int(st, 4), "due",
                          ta_print_utc(sqlite3_column_int64(st, 5), when), "why", sqlite3_column_text(st, 6), "notice",
                          json_loads((const char *)sqlite3_column_text(st, 7), 0, NULL)));
        l->count[state]++;
    }
    sqlite3_reset(st);
    return r;
}

int ta_answer_outbox(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err)
{
    listing l = { .rows = json_array() };
    int r = l.rows ? ta_jobs_do(q, list_rows, &l, TA_OP_READS, err) : ta_no_memory(err);
    if (r >= 0)
        r = (*reply = json_pack("{s:I, s:I, s:O}", "waiting", (json_int_t)l.count[WAITING], "given_up",
                                (json_int_t)l.count[GIVEN_UP], "rows", l.rows))
                ? 0
                : ta_no_memory(err);
    json_decref(l.rows);
    return r;
}

typedef struct resending {
    const int64_t *ids;
    size_t n;
    json_t *done;
} resending;

/* Those that were given up and are asked for; without ids all of them. */
static int find_dead(ta_change *c, resending *s, ta_error *err)
{
    sqlite3_stmt *st;
    json_array_clear(s->done);
    int step, r = ta_store_statement(c->store, "SELECT id FROM outbox WHERE state=1 ORDER BY id", &st, err);
    if (r < 0)
        return r;
    while ((step = sqlite3_step(st)) == SQLITE_ROW) {
        bool wanted = !s->n;
        for (size_t i = 0; i < s->n; i++)
            wanted |= s->ids[i] == sqlite3_column_int64(st, 0);
        if (wanted)
            json_array_append_new(s->done, json_integer(sqlite3_column_int64(st, 0)));
    }
    if (step != SQLITE_DONE)
        r = ta_store_fail(c->store, "can't read the queue", err);
    sqlite3_reset(st);
    if (r >= 0 && s->n && json_array_size(s->done) < s->n)
        r = ta_fail(err, TA_ERR_NOINPUT, "not all of these are notifications that were given up");
    return r;
}

static int resend(ta_change *c, void *arg, ta_error *err)
{
    resending *s = arg;
    sqlite3_stmt *st;
    int r = find_dead(c, s, err);
    for (size_t i = 0; r >= 0 && i < json_array_size(s->done); i++) {
        r = ta_store_statement(c->store, "UPDATE outbox SET state=0, tries=0, due_us=?, why='' WHERE id=?", &st, err);
        if (r < 0)
            break;
        sqlite3_bind_int64(st, 1, c->now_us);
        sqlite3_bind_int64(st, 2, (int64_t)json_integer_value(json_array_get(s->done, i)));
        r = ta_store_run(c->store, st, err);
        c->broken |= r < 0;
    }
    if (r >= 0)
        ta_change_tell(c, TA_EVENT_QUEUE, 0); /* wakes the sender */
    return r;
}

int ta_answer_resend(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err)
{
    int64_t *ids;
    size_t n;
    int r = ta_request_ids(request, 0, &ids, &n, err);
    resending s = { ids, n, json_array() };
    if (r >= 0)
        r = s.done ? ta_jobs_do(q, resend, &s, TA_OP_WRITES, err) : ta_no_memory(err);
    if (r >= 0)
        r = (*reply = json_pack("{s:O}", "done", s.done)) ? 0 : ta_no_memory(err);
    json_decref(s.done);
    ta_free(ids);
    return r;
}
