/* Requests that change jobs. Each is one transaction: done whole, or refused with nothing changed. */
#include "net/net.h"
#include "queue/request.h"

#include <string.h>

#define GAP ((int64_t)1 << TA_POSITION_BITS)

/* ---- Adding ---------------------------------------------------------------------------------------------------------
 */

typedef struct one_settings {
    char *json; /* all values, as the table writes them */
    bool gpu;
} one_settings;

typedef struct adding {
    const json_t *jobs;
    one_settings *settings;
    size_t n_settings;
    bool again;
    json_t *added, *duplicates;
} adding;

bool ta_wants_gpu(const ta_settings *s)
{
    return ta_get_is(s, TA_SET_engine, "rtxvideo") || strstr(ta_get_text(s, TA_SET_encoder), "nvenc");
}

/* Checked before the writer sees them; stored whole, so that a job means the same when defaults have changed. */
static int read_settings(const json_t *values, one_settings *out, ta_error *err)
{
    char *text = json_dumps(values, JSON_COMPACT);
    ta_settings *s = ta_settings_new();
    int r = text && s ? ta_settings_from_json(s, text, TA_FROM_COMMAND_LINE, err) : ta_no_memory(err);
    if (r >= 0 && ta_get_text(s, TA_SET_split)[0])
        r = ta_fail(err, TA_ERR_USAGE, "a job of the queue makes one output and does not go with split");
    if (r >= 0) {
        out->gpu = ta_wants_gpu(s);
        char *all = ta_settings_json(s, true);
        out->json = ta_strdup(all);
        ta_settings_free_text(all);
        r = out->json ? 0 : ta_no_memory(err);
    }
    ta_settings_free(&s);
    free(text);
    return r;
}

static int read_all_settings(const json_t *list, adding *a, ta_error *err)
{
    a->n_settings = json_array_size(list);
    if (!a->n_settings)
        return ta_fail(err, TA_ERR_USAGE, "a job needs settings");
    a->settings = ta_array(a->n_settings, sizeof *a->settings);
    int r = a->settings ? 0 : ta_no_memory(err);
    for (size_t i = 0; r >= 0 && i < a->n_settings; i++)
        r = read_settings(json_array_get(list, i), &a->settings[i], err);
    return r;
}

static int check_path(const char *path, const char *what, ta_error *err)
{
    if (!path || !*path)
        return ta_fail(err, TA_ERR_USAGE, "a job has no %s", what);
    if (path[0] != '/' && !(ta_is_url(path) && strcmp(what, "input") == 0))
        return ta_fail(err, TA_ERR_USAGE, "the %s '%s' is not an absolute path", what, path);
    return 0;
}

static int read_needs(const ta_change *c, const json_t *list, int64_t **needs, size_t *n, ta_error *err)
{
    *n = json_array_size(list);
    *needs = *n ? ta_array(*n, sizeof **needs) : NULL;
    if (*n && !*needs)
        return ta_no_memory(err);
    for (size_t i = 0; i < *n; i++) {
        const ta_qjob *j;
        (*needs)[i] = (int64_t)json_integer_value(json_array_get(list, i));
        int r = ta_change_need_job(c, (*needs)[i], &j, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Jobs that were over elsewhere come in as they are, others begin from the start. */
static int read_state(const json_t *job, ta_qjob *draft, ta_error *err)
{
    const char *name = ta_request_text(job, "state");
    draft->state = TA_Q_PENDING;
    if (name && !ta_qstate_parse(name, &draft->state))
        return ta_fail(err, TA_ERR_USAGE, "there is no state '%s'", name);
    if (ta_qstate_works(draft->state))
        draft->state = TA_Q_PENDING;
    if (ta_qstate_over(draft->state)) {
        draft->code = (int)-ta_request_number(job, "code", 0);
        draft->started_us = ta_request_number(job, "started_us", 0);
        draft->ended_us = ta_request_number(job, "ended_us", 0);
        draft->message = ta_request_text(job, "message");
    }
    return 0;
}

static int read_draft(const ta_change *c, const adding *a, const json_t *job, ta_qjob *draft, ta_error *err)
{
    int64_t settings = ta_request_number(job, "settings", 0), priority = ta_request_number(job, "priority", 0);
    *draft = (ta_qjob){
        .attempt = 1,
        .stage = TA_Q_ANALYSING,
        .added_us = ta_request_number(job, "added_us", c->now_us),
        .input = ta_request_text(job, "input"),
        .output = ta_request_text(job, "output"),
        .source = ta_request_text(job, "source"),
    };
    int r = check_path(draft->input, "input", err);
    if (r >= 0)
        r = check_path(draft->output, "output", err);
    if (r >= 0 && (settings < 0 || (size_t)settings >= a->n_settings))
        r = ta_fail(err, TA_ERR_USAGE, "there are no settings number %lld", (long long)settings);
    if (r >= 0 && (priority < -1000 || priority > 1000))
        r = ta_fail(err, TA_ERR_USAGE, "a priority is a number from -1000 to 1000");
    if (r < 0)
        return r;
    draft->priority = (int)priority;
    draft->gpu = a->settings[settings].gpu;
    return read_state(job, draft, err);
}

/* 1 when the same work is waiting already; an error when another job makes the same file. */
static int find_duplicate(ta_change *c, const adding *a, const ta_qjob *draft, ta_error *err)
{
    int64_t id;
    if (ta_qstate_over(draft->state))
        return 0;
    int r = ta_store_find(c->store, draft->input, draft->output, &id, err);
    bool folder = ta_ends(draft->output, "/");
    if (r >= 0 && id && !(a->again && folder)) {
        json_t *o = json_pack("{s:s, s:I}", "input", draft->input, "job", (json_int_t)id);
        return json_array_append_new(a->duplicates, o) == 0 ? 1 : ta_no_memory(err);
    }
    if (r >= 0 && !folder && !id)
        r = ta_store_find(c->store, NULL, draft->output, &id, err);
    if (r < 0 || !id || folder)
        return r;
    ta_fail(err, TA_ERR_CANTCREATE, "job %lld makes '%s' already, from another input", (long long)id, draft->output);
    return ta_hint(err, "choose another output, or cancel that job");
}

static int add_one(ta_change *c, adding *a, const json_t *job, ta_error *err)
{
    ta_qjob draft;
    int64_t *needs = NULL;
    int r = read_draft(c, a, job, &draft, err);
    if (r >= 0)
        r = find_duplicate(c, a, &draft, err);
    if (r > 0)
        draft.id = 0;
    if (r == 0)
        r = read_needs(c, json_object_get(job, "needs"), &needs, &draft.n_needs, err);
    if (r == 0)
        r = ta_store_settings(c->store, a->settings[ta_request_number(job, "settings", 0)].json, &draft.settings, err);
    if (r == 0) {
        draft.needs = needs;
        draft.position = ta_change_last_position(c, draft.priority) + GAP;
        r = ta_change_add(c, &draft, err);
    }
    ta_free(needs);
    if (r >= 0 && json_array_append_new(a->added, json_integer(draft.id)) < 0)
        r = ta_no_memory(err);
    return r;
}

static int add(ta_change *c, void *arg, ta_error *err)
{
    adding *a = arg;
    int r = 0;
    json_array_clear(a->added);
    json_array_clear(a->duplicates);
    for (size_t i = 0; r >= 0 && i < json_array_size(a->jobs); i++)
        r = add_one(c, a, json_array_get(a->jobs, i), err);
    c->broken |= r < 0; /* those before it must not stay */
    return r < 0 ? r : 0;
}

int ta_answer_add(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err)
{
    adding a = { .jobs = json_object_get(request, "jobs"),
                 .again = json_is_true(json_object_get(request, "again")),
                 .added = json_array(),
                 .duplicates = json_array() };
    size_t n = json_array_size(a.jobs);
    int r = a.added && a.duplicates ? 0 : ta_no_memory(err);
    if (r >= 0 && (!n || n > TA_MAX_ADD))
        r = ta_fail(err, TA_ERR_USAGE, "1 to %d jobs are added at a time", TA_MAX_ADD);
    if (r >= 0)
        r = read_all_settings(json_object_get(request, "settings"), &a, err);
    if (r >= 0)
        r = ta_jobs_do(q, add, &a, TA_OP_WRITES, err);
    if (r >= 0) {
        *reply = json_pack("{s:O, s:O}", "added", a.added, "duplicates", a.duplicates);
        r = *reply ? 0 : ta_no_memory(err);
    }
    for (size_t i = 0; a.settings && i < a.n_settings; i++)
        ta_free(a.settings[i].json);
    ta_free(a.settings);
    json_decref(a.added);
    json_decref(a.duplicates);
    return r;
}

/* ---- The same for each of several jobs ------------------------------------------------------------------------------
 */

typedef int (*one_fn)(ta_change *c, const ta_qjob *j, ta_error *err);

typedef struct many {
    const int64_t *ids;
    size_t n;
    one_fn check, change; /* all are checked before the first is changed */
} many;

static int for_each(ta_change *c, const many *m, one_fn fn, ta_error *err)
{
    int r = 0;
    for (size_t i = 0; r >= 0 && i < m->n; i++) {
        const ta_qjob *j;
        r = ta_change_need_job(c, m->ids[i], &j, err);
        if (r >= 0)
            r = fn(c, j, err);
    }
    return r;
}

static int change_many(ta_change *c, void *arg, ta_error *err)
{
    const many *m = arg;
    int r = m->check ? for_each(c, m, m->check, err) : 0;
    if (r < 0)
        return r;
    r = for_each(c, m, m->change, err);
    c->broken |= r < 0;
    return r;
}

static int answer_many(ta_jobs *q, const json_t *request, one_fn check, one_fn change, json_t **reply, ta_error *err)
{
    int64_t *ids;
    size_t n;
    int r = ta_request_ids(request, 1, &ids, &n, err);
    many m = { ids, n, check, change };
    if (r >= 0)
        r = ta_jobs_do(q, change_many, &m, TA_OP_WRITES, err);
    if (r >= 0)
        r = (*reply = json_pack("{s:o}", "done", ta_ids_json(ids, n))) ? 0 : ta_no_memory(err);
    ta_free(ids);
    return r;
}

static int check_not_over(ta_change *c, const ta_qjob *j, ta_error *err)
{
    if (!ta_qstate_over(j->state))
        return 0;
    ta_fail(err, TA_ERR_USAGE, "job %lld is %s already", (long long)j->id, ta_qstate_name(j->state));
    return ta_hint(err, "`terminalai queue retry %lld` begins it again, `queue remove %lld` forgets it",
                   (long long)j->id, (long long)j->id);
}

/* One that a worker has ends with it, within a second; that its end was asked for is on the disk. */
static int cancel_one(ta_change *c, const ta_qjob *j, ta_error *err)
{
    if (!j->held)
        return ta_qstate_over(j->state) ? 0 : ta_change_end(c, j, TA_ERR_CANCELLED, NULL, err);
    if (j->stopping)
        return 0;
    ta_qjob draft = *j;
    draft.stopping = true;
    draft.code = TA_ERR_CANCELLED;
    return ta_change_put(c, j, &draft, err);
}

int ta_answer_cancel(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err)
{
    return answer_many(q, request, check_not_over, cancel_one, reply, err);
}

static int pause_one(ta_change *c, const ta_qjob *j, ta_error *err)
{
    return ta_change_state(c, j, TA_Q_PAUSED, err);
}

static int resume_one(ta_change *c, const ta_qjob *j, ta_error *err)
{
    return j->state != TA_Q_PAUSED ? 0 : ta_change_state(c, j, j->held ? j->stage : TA_Q_PENDING, err);
}

static int pause_queue(ta_change *c, void *arg, ta_error *err)
{
    return ta_change_pause(c, *(const bool *)arg, err);
}

static int answer_pause(ta_jobs *q, const json_t *request, bool pause, json_t **reply, ta_error *err)
{
    if (json_array_size(json_object_get(request, "ids")))
        return answer_many(q, request, check_not_over, pause ? pause_one : resume_one, reply, err);
    int r = ta_jobs_do(q, pause_queue, &pause, TA_OP_WRITES, err);
    return r < 0 ? r : (*reply = json_pack("{s:b}", "paused", pause)) ? 0 : ta_no_memory(err);
}

int ta_answer_pause(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err)
{
    return answer_pause(q, request, true, reply, err);
}

int ta_answer_resume(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err)
{
    return answer_pause(q, request, false, reply, err);
}

static int check_retry(ta_change *c, const ta_qjob *j, ta_error *err)
{
    int64_t other = 0;
    if (j->state != TA_Q_FAILED && j->state != TA_Q_CANCELLED)
        return ta_fail(err, TA_ERR_USAGE, "job %lld is %s: only what failed or was cancelled can be retried",
                       (long long)j->id, ta_qstate_name(j->state));
    int r = ta_ends(j->output, "/") ? 0 : ta_store_find(c->store, NULL, j->output, &other, err);
    if (r >= 0 && other)
        r = ta_fail(err, TA_ERR_CANTCREATE, "job %lld makes '%s' now", (long long)other, j->output);
    return r;
}

static int retry_one(ta_change *c, const ta_qjob *j, ta_error *err)
{
    ta_qjob draft = *j;
    draft.state = TA_Q_PENDING;
    draft.attempt++;
    draft.code = 0;
    draft.message = "";
    draft.started_us = draft.ended_us = 0;
    return ta_change_put(c, j, &draft, err);
}

int ta_answer_retry(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err)
{
    return answer_many(q, request, check_retry, retry_one, reply, err);
}

/* ---- Removing -------------------------------------------------------------------------------------------------------
 */

/* One that is gone counts as completed, so what others wait for stays. 1 when somebody waits for it. */
static int is_needed(ta_change *c, const ta_qjob *j, int64_t *by, ta_error *err)
{
    *by = 0;
    int r = j->state == TA_Q_COMPLETED ? 0 : ta_store_waiting(c->store, j->id, by, err);
    return r < 0 ? r : *by != 0;
}

static int check_remove(ta_change *c, const ta_qjob *j, ta_error *err)
{
    int64_t by;
    if (j->held) {
        ta_fail(err, TA_ERR_USAGE, "job %lld is at work", (long long)j->id);
        return ta_hint(err, "cancel it first: `terminalai queue cancel %lld`", (long long)j->id);
    }
    int r = is_needed(c, j, &by, err);
    if (r <= 0)
        return r;
    ta_fail(err, TA_ERR_USAGE, "job %lld waits for job %lld", (long long)by, (long long)j->id);
    return ta_hint(err, "remove or cancel job %lld first", (long long)by);
}

int ta_answer_remove(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err)
{
    return answer_many(q, request, check_remove, ta_change_remove, reply, err);
}

typedef struct clearing {
    unsigned states;
    bool all;
    int64_t removed, stopping, kept;
} clearing;

/* 1 when it was removed, so that the next one has its place. */
static int clear_one(ta_change *c, clearing *k, const ta_qjob *j, ta_error *err)
{
    int64_t by;
    if (j->held) {
        k->stopping++;
        return cancel_one(c, j, err);
    }
    int r = k->all ? 0 : is_needed(c, j, &by, err);
    if (r > 0)
        k->kept++;
    if (r != 0)
        return r < 0 ? r : 0;
    k->removed++;
    r = ta_change_remove(c, j, err);
    return r < 0 ? r : 1;
}

static int clear(ta_change *c, void *arg, ta_error *err)
{
    clearing *k = arg;
    int r = 0;
    k->removed = k->stopping = k->kept = 0;
    for (int s = 0; r >= 0 && s < TA_Q_STATES; s++) {
        ta_order_key key;
        for (size_t at = 0; r >= 0 && k->states >> s & 1 && ta_order_at(c->cold.by[s], at, &key); at += r == 0)
            r = clear_one(c, k, ta_change_job(c, key.id), err);
    }
    if (r >= 0)
        r = ta_store_sweep(c->store, err);
    c->broken |= r < 0;
    return r < 0 ? r : 0;
}

int ta_answer_clear(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err)
{
    const char *what = ta_request_text(request, "what");
    clearing k = { 0 };
    if (ta_streq(what, "completed"))
        k.states = 1u << TA_Q_COMPLETED;
    else if (ta_streq(what, "ended"))
        k.states = 1u << TA_Q_COMPLETED | 1u << TA_Q_FAILED | 1u << TA_Q_CANCELLED;
    else if (ta_streq(what, "all"))
        k = (clearing){ .states = ~0u, .all = true };
    else
        return ta_fail(err, TA_ERR_USAGE, "clear takes completed, ended or all");
    int r = ta_jobs_do(q, clear, &k, TA_OP_WRITES, err);
    if (r < 0)
        return r;
    *reply = json_pack("{s:I, s:I, s:I}", "removed", (json_int_t)k.removed, "stopping", (json_int_t)k.stopping, "kept",
                       (json_int_t)k.kept);
    return *reply ? 0 : ta_no_memory(err);
}

/* ---- Order ----------------------------------------------------------------------------------------------------------
 */

typedef struct moving {
    const int64_t *ids;
    size_t n;
    int64_t before, after; /* a job, or 0 */
    const char *to;        /* "top", "bottom" or NULL */
    int64_t priority;
    bool has_priority;
} moving;

/* New positions for all jobs of a priority, far enough apart. */
static int spread(ta_change *c, int priority, ta_error *err)
{
    ta_order_key from = { priority, INT64_MIN, INT64_MIN }, key;
    size_t first = ta_order_rank(c->cold.all, &from), n = 0;
    while (ta_order_at(c->cold.all, first + n, &key) && key.priority == priority)
        n++;
    int64_t *ids = ta_array(n + 1, sizeof *ids);
    int r = ids ? 0 : ta_no_memory(err);
    n = r < 0 ? 0 : ta_order_ids(c->cold.all, first, n, ids);
    for (size_t i = 0; r >= 0 && i < n; i++) {
        const ta_qjob *j = ta_change_job(c, ids[i]);
        ta_qjob draft = *j;
        draft.position = (int64_t)(i + 1) * GAP;
        r = ta_change_put(c, j, &draft, err);
    }
    ta_free(ids);
    return r;
}

/* A place between two neighbours in the order of all; a NULL neighbour is the end of its priority. False when none is
 * left. */
static bool between(const ta_order_key *a, const ta_order_key *b, int64_t *position)
{
    if (!a || !b) {
        *position = a ? a->position + GAP : b ? b->position - GAP : GAP;
        return true;
    }
    *position = a->position + (b->position - a->position) / 2;
    return *position != a->position;
}

static bool neighbour(const ta_change *c, size_t rank, int step, int priority, ta_order_key *key)
{
    if (step < 0 && rank == 0)
        return false;
    return ta_order_at(c->cold.all, rank + (size_t)step, key) && key->priority == priority;
}

/* Puts `j` before or behind (`behind`) the job of `anchor`, whose priority it takes. */
static int place_at(ta_change *c, int64_t id, int64_t anchor_id, bool behind, ta_error *err)
{
    const ta_qjob *anchor = ta_change_job(c, anchor_id), *j = ta_change_job(c, id);
    int64_t position = 0;
    for (int tries = 0; tries < 2; tries++) {
        ta_order_key key = { anchor->priority, anchor->position, anchor->id }, other;
        size_t rank = ta_order_rank(c->cold.all, &key);
        bool has = neighbour(c, rank, behind ? 1 : -1, anchor->priority, &other);
        if (behind ? between(&key, has ? &other : NULL, &position) : between(has ? &other : NULL, &key, &position))
            break;
        int r = spread(c, anchor->priority, err);
        if (r < 0)
            return r;
        anchor = ta_change_job(c, anchor_id);
        j = ta_change_job(c, id);
    }
    ta_qjob draft = *j;
    draft.priority = anchor->priority;
    draft.position = position;
    return ta_change_put(c, j, &draft, err);
}

static int set_priority(ta_change *c, const ta_qjob *j, int priority, ta_error *err)
{
    if (j->priority == priority)
        return 0;
    ta_qjob draft = *j;
    draft.priority = priority;
    draft.position = ta_change_last_position(c, priority) + GAP;
    return ta_change_put(c, j, &draft, err);
}

/* The first or last pending job that is none of those that move; 0 when there is none. */
static int64_t end_of_pending(const ta_change *c, const moving *m, bool last)
{
    const ta_order *o = c->cold.by[TA_Q_PENDING];
    size_t n = ta_order_size(o);
    for (size_t i = 0; i < n; i++) {
        ta_order_key key;
        bool moves = false;
        if (!ta_order_at(o, last ? n - 1 - i : i, &key))
            break;
        for (size_t k = 0; k < m->n; k++)
            moves |= m->ids[k] == key.id;
        if (!moves)
            return key.id;
    }
    return 0;
}

static int move_all(ta_change *c, const moving *m, int64_t anchor, bool behind, ta_error *err)
{
    int r = 0;
    for (size_t i = 0; r >= 0 && anchor && i < m->n; i++) {
        if (m->ids[i] == anchor)
            continue;
        r = place_at(c, m->ids[i], anchor, behind || i > 0, err);
        anchor = m->ids[i]; /* they keep the order in which they were named */
    }
    return r;
}

static int check_move(const ta_change *c, const moving *m, ta_error *err)
{
    const ta_qjob *j;
    int r = 0;
    for (size_t i = 0; r >= 0 && i < m->n; i++) {
        r = ta_change_need_job(c, m->ids[i], &j, err);
        if (r >= 0 && (m->ids[i] == m->before || m->ids[i] == m->after))
            r = ta_fail(err, TA_ERR_USAGE, "job %lld can't be moved to its own side", (long long)m->ids[i]);
        for (size_t k = 0; r >= 0 && k < i; k++)
            if (m->ids[k] == m->ids[i])
                r = ta_fail(err, TA_ERR_USAGE, "job %lld is named twice", (long long)m->ids[i]);
    }
    if (r >= 0 && (m->before || m->after))
        r = ta_change_need_job(c, m->before ? m->before : m->after, &j, err);
    return r;
}

static int move(ta_change *c, void *arg, ta_error *err)
{
    const moving *m = arg;
    int r = check_move(c, m, err);
    if (r < 0)
        return r;
    if (m->has_priority)
        for (size_t i = 0; r >= 0 && i < m->n; i++)
            r = set_priority(c, ta_change_job(c, m->ids[i]), (int)m->priority, err);
    else if (m->to)
        r = move_all(c, m, end_of_pending(c, m, ta_streq(m->to, "bottom")), ta_streq(m->to, "bottom"), err);
    else
        r = move_all(c, m, m->before ? m->before : m->after, !m->before, err);
    if (r >= 0)
        ta_change_tell(c, TA_EVENT_QUEUE, 0);
    c->broken |= r < 0;
    return r;
}

int ta_answer_move(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err)
{
    int64_t *ids;
    moving m = { .before = ta_request_number(request, "before", 0),
                 .after = ta_request_number(request, "after", 0),
                 .to = ta_request_text(request, "to"),
                 .priority = ta_request_number(request, "priority", 0),
                 .has_priority = json_object_get(request, "priority") != NULL };
    int ways = (m.before != 0) + (m.after != 0) + (m.to != NULL) + m.has_priority;
    int r = ta_request_ids(request, 1, &ids, &m.n, err);
    m.ids = ids;
    if (r >= 0 && (ways != 1 || (m.to && !ta_streq(m.to, "top") && !ta_streq(m.to, "bottom"))))
        r = ta_fail(err, TA_ERR_USAGE, "move takes one of: to top or bottom, before or after a job, a priority");
    if (r >= 0 && (m.priority < -1000 || m.priority > 1000))
        r = ta_fail(err, TA_ERR_USAGE, "a priority is a number from -1000 to 1000");
    if (r >= 0)
        r = ta_jobs_do(q, move, &m, TA_OP_WRITES, err);
    if (r >= 0)
        r = (*reply = json_pack("{s:o}", "done", ta_ids_json(ids, m.n))) ? 0 : ta_no_memory(err);
    ta_free(ids);
    return r;
}
