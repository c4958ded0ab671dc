/* Changes to jobs: the store and the next view together. What is checked is checked before the first write, so that a
 * request is done whole or not at all. */
#include <string.h>

#include "queue/internal.h"

/* ---- Records --------------------------------------------------------------------------------------------------------
 */

static char *put_text(char **at, const char *t)
{
    size_t n = strlen(t) + 1;
    char *put = memcpy(*at, t, n);
    *at += n;
    return put;
}

/* A copy with all its texts in one piece of memory. */
static ta_qjob *make_record(ta_txn *txn, const ta_qjob *draft)
{
    const char *message = draft->message ? draft->message : "", *source = draft->source ? draft->source : "";
    size_t needs = draft->n_needs * sizeof *draft->needs;
    size_t texts = strlen(draft->input) + strlen(draft->output) + strlen(source) + strlen(message) + 4;
    ta_qjob *j = ta_txn_alloc(txn, sizeof *j + needs + texts);
    if (!j)
        return NULL;
    *j = *draft;
    int64_t *list = (int64_t *)(j + 1);
    if (needs)
        memcpy(list, draft->needs, needs);
    j->needs = list;
    char *at = (char *)(list + draft->n_needs);
    j->input = put_text(&at, draft->input);
    j->output = put_text(&at, draft->output);
    j->source = put_text(&at, source);
    j->message = put_text(&at, message);
    return j;
}

static ta_order_key key_of(const ta_qjob *j)
{
    return (ta_order_key){ j->priority, j->position, j->id };
}

static void list_job(ta_change *c, const ta_qjob *j)
{
    ta_order_key key = key_of(j);
    c->cold.all = ta_order_add(&c->txn, c->cold.all, &key);
    c->cold.by[j->state] = ta_order_add(&c->txn, c->cold.by[j->state], &key);
}

static void unlist_job(ta_change *c, const ta_qjob *j)
{
    ta_order_key key = key_of(j);
    c->cold.all = ta_order_remove(&c->txn, c->cold.all, &key);
    c->cold.by[j->state] = ta_order_remove(&c->txn, c->cold.by[j->state], &key);
}

void ta_change_tell(ta_change *c, ta_event_kind kind, int64_t id)
{
    c->changed = true;
    if (c->n_told == c->cap_told) {
        size_t cap = c->cap_told ? 2 * c->cap_told : 64;
        ta_told *told = ta_resize(c->told, cap, sizeof *told);
        if (!told) {
            c->txn.failed = true;
            return;
        }
        c->told = told;
        c->cap_told = cap;
    }
    c->told[c->n_told++] = (ta_told){ kind, id };
}

/* Memory that failed breaks the transaction as a failure of the store does. */
static int settle(ta_change *c, int r, ta_error *err)
{
    if (r >= 0 && c->txn.failed)
        r = ta_no_memory(err);
    c->broken |= r < 0;
    return r;
}

/* ---- Basic changes --------------------------------------------------------------------------------------------------
 */

const ta_qjob *ta_change_job(const ta_change *c, int64_t id)
{
    return ta_trie_get(&c->cold.jobs, id);
}

int ta_change_need_job(const ta_change *c, int64_t id, const ta_qjob **j, ta_error *err)
{
    *j = ta_change_job(c, id);
    if (*j)
        return 0;
    ta_fail(err, TA_ERR_NOINPUT, "there is no job %lld in the queue", (long long)id);
    return ta_hint(err, "`terminalai queue list` shows the jobs and their numbers");
}

int ta_change_take(ta_change *c, const ta_qjob *row)
{
    ta_qjob *j = make_record(&c->txn, row);
    if (j) {
        ta_trie_put(&c->txn, &c->cold.jobs, j->id, j);
        list_job(c, j);
    }
    return c->txn.failed ? TA_ERR_AGAIN : 0;
}

int ta_change_add(ta_change *c, ta_qjob *draft, ta_error *err)
{
    int r = ta_store_add(c->store, draft, err);
    if (r >= 0)
        ta_change_take(c, draft);
    ta_change_tell(c, TA_EVENT_JOB, draft->id);
    return settle(c, r, err);
}

static bool same_order(const ta_qjob *a, const ta_qjob *b)
{
    return a->priority == b->priority && a->position == b->position && a->state == b->state;
}

int ta_change_put(ta_change *c, const ta_qjob *old, const ta_qjob *draft, ta_error *err)
{
    int r = ta_store_update(c->store, draft, err);
    ta_qjob *new = r >= 0 ? make_record(&c->txn, draft) : NULL;
    if (new) {
        bool moved = !same_order(old, new);
        if (moved)
            unlist_job(c, old);
        ta_trie_put(&c->txn, &c->cold.jobs, new->id, new);
        if (moved)
            list_job(c, new);
        ta_txn_drop(&c->txn, (void *)(uintptr_t)old);
    }
    ta_change_tell(c, TA_EVENT_JOB, draft->id);
    return settle(c, r, err);
}

int ta_change_remove(ta_change *c, const ta_qjob *j, ta_error *err)
{
    int64_t id = j->id;
    int r = ta_store_remove(c->store, id, err);
    if (r >= 0) {
        unlist_job(c, j);
        ta_trie_put(&c->txn, &c->cold.jobs, id, NULL);
        ta_txn_drop(&c->txn, (void *)(uintptr_t)j);
    }
    ta_change_tell(c, TA_EVENT_REMOVED, id);
    return settle(c, r, err);
}

int ta_change_pause(ta_change *c, bool paused, ta_error *err)
{
    int r = ta_store_set_fact(c->store, "paused", paused, err);
    c->cold.paused = paused;
    ta_change_tell(c, TA_EVENT_QUEUE, 0);
    return settle(c, r, err);
}

int64_t ta_change_last_position(const ta_change *c, int priority)
{
    /* The last one of this priority; those of lower priority stand behind it. */
    ta_order_key end = { priority, INT64_MAX, INT64_MAX }, last;
    size_t before = ta_order_rank(c->cold.all, &end);
    return before && ta_order_at(c->cold.all, before - 1, &last) && last.priority == priority ? last.position : 0;
}

/* ---- States ---------------------------------------------------------------------------------------------------------
 */

static int refuse(const ta_qjob *j, ta_qstate to, ta_error *err)
{
    ta_fail(err, TA_ERR_USAGE, "job %lld is %s and can't become %s", (long long)j->id, ta_qstate_name(j->state),
            ta_qstate_name(to));
    if (ta_qstate_over(j->state))
        return ta_hint(err, "`terminalai queue retry %lld` begins it again", (long long)j->id);
    return TA_ERR_USAGE;
}

int ta_change_state(ta_change *c, const ta_qjob *j, ta_qstate to, ta_error *err)
{
    if (j->state == to)
        return 0;
    if (!ta_qstate_may(j->state, to))
        return refuse(j, to, err);
    ta_qjob draft = *j;
    draft.state = to;
    if (ta_qstate_works(to) && !draft.started_us)
        draft.started_us = c->now_us;
    if (ta_qstate_works(to)) {
        draft.held = true;
        draft.stage = to;
    } else if (to == TA_Q_PENDING) {
        draft.held = false;
    }
    return ta_change_put(c, j, &draft, err);
}

static int add_to_fact(ta_change *c, const char *name, int64_t more, ta_error *err)
{
    int64_t value = 0;
    int r = ta_store_fact(c->store, name, &value, err);
    return r < 0 ? r : ta_store_set_fact(c->store, name, value + more, err);
}

/* What statistics know of jobs that were cleared, too. */
static int count_end(ta_change *c, const ta_qjob *j, ta_error *err)
{
    int r = add_to_fact(c, ta_qstate_name(j->state), 1, err);
    if (r >= 0 && j->state == TA_Q_COMPLETED && j->started_us)
        r = add_to_fact(c, "completed-us", TA_MAX(j->ended_us - j->started_us, 0), err);
    if (r >= 0)
        r = ta_outbox_add(c, j, err);
    return settle(c, r, err);
}

int ta_change_end(ta_change *c, const ta_qjob *j, int code, const char *message, ta_error *err)
{
    ta_qstate to = code == 0 ? TA_Q_COMPLETED : code == TA_ERR_CANCELLED ? TA_Q_CANCELLED : TA_Q_FAILED;
    if (!ta_qstate_may(j->state, to))
        return refuse(j, to, err);
    ta_qjob draft = *j;
    draft.state = to;
    draft.code = code;
    if (code == 0 && message && *message == '/')
        draft.output = message; /* its name may have been found out only now */
    else
        draft.message = message && code ? message : "";
    draft.ended_us = c->now_us;
    draft.stopping = draft.held = false;
    int r = ta_change_put(c, j, &draft, err);
    return r < 0 ? r : count_end(c, &draft, err);
}
