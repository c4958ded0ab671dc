/* Requests, as verbs, sockets and the server send them: {"do": WHAT, ...}. Those that only look are answered here, from
 * a view; what changes jobs is in edit.c.
 *
 *   add       settings: [{...}], jobs: [{input, output, settings: index, priority, needs: [id], source, state, ...}],
 *             again: also what is waiting already -> added: [id, 0 for a duplicate], duplicates: [{input, job}]
 *   list      state, offset, limit -> seq, total, counts, paused, jobs: [...]
 *   show      id -> the job with its settings
 *   status    -> seq, total, counts, paused
 *   cancel, pause, resume, retry, remove     ids -> done: [id]; pause and resume without ids: the queue
 *   move      ids, to: top|bottom, or before: id, or after: id, or priority: n
 *   clear     what: completed|ended|all -> removed, stopping
 *   stats     -> counts, totals, seconds
 *   outbox    -> notifications: those that wait and those that were given up
 *   resend    ids, or without: all that were given up -> done: [id] */
#include "queue/request.h"

#include <string.h>

const char *ta_request_text(const json_t *request, const char *key)
{
    return json_string_value(json_object_get(request, key));
}

int64_t ta_request_number(const json_t *request, const char *key, int64_t def)
{
    const json_t *n = json_object_get(request, key);
    return json_is_integer(n) ? (int64_t)json_integer_value(n) : def;
}

int ta_request_ids(const json_t *request, size_t least, int64_t **ids, size_t *n, ta_error *err)
{
    const json_t *list = json_object_get(request, "ids");
    *n = json_array_size(list);
    *ids = NULL;
    if (*n < least)
        return ta_fail(err, TA_ERR_USAGE, "the number of a job is missing");
    *ids = ta_array(*n + 1, sizeof **ids);
    if (!*ids)
        return ta_no_memory(err);
    for (size_t i = 0; i < *n; i++) {
        const json_t *id = json_array_get(list, i);
        if (!json_is_integer(id) || json_integer_value(id) <= 0) {
            ta_freep(ids);
            return ta_fail(err, TA_ERR_USAGE, "the number of a job is a whole number from 1 on");
        }
        (*ids)[i] = (int64_t)json_integer_value(id);
    }
    return 0;
}

json_t *ta_ids_json(const int64_t *ids, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++)
        json_array_append_new(list, json_integer(ids[i]));
    return list;
}

/* ---- Jobs as JSON ---------------------------------------------------------------------------------------------------
 */

static json_t *time_json(int64_t us)
{
    char text[32];
    return us ? json_string(ta_print_utc(us, text)) : json_null();
}

static void add_progress(json_t *o, const ta_qprogress *p)
{
    json_object_set_new(o, "percent", json_real(100 * p->fraction));
    json_object_set_new(o, "fps", json_real(p->fps));
    json_object_set_new(o, "eta_seconds", p->eta_seconds < 0 ? json_null() : json_real(p->eta_seconds));
}

json_t *ta_qjob_json(const ta_view *v, const ta_qjob *j)
{
    ta_qprogress p;
    ta_view_progress(v, j, &p);
    json_t *o = json_pack("{s:I, s:s, s:i, s:s, s:s, s:s, s:i, s:b, s:o, s:o, s:o}", "id", (json_int_t)j->id, "state",
                          ta_qstate_name(j->state), "priority", j->priority, "input", j->input, "output", j->output,
                          "source", j->source, "attempt", j->attempt, "stopping", j->stopping, "added",
                          time_json(j->added_us), "started", time_json(j->started_us), "ended", time_json(j->ended_us));
    if (!o)
        return NULL;
    add_progress(o, &p);
    if (ta_qstate_over(j->state)) {
        json_object_set_new(o, "code", json_integer(ta_exit_code(j->code)));
        json_object_set_new(o, "message", json_string(j->message));
    }
    if (j->n_needs) {
        int64_t waits = ta_view_waits_for(v, j);
        json_object_set_new(o, "needs", ta_ids_json(j->needs, j->n_needs));
        json_object_set_new(o, "waits_for", waits ? json_integer(waits) : json_null());
    }
    return o;
}

json_t *ta_event_json(const ta_event *e)
{
    static const char *const kinds[] = { "job", "removed", "queue", "resync" };
    json_t *o =
        json_pack("{s:s, s:I, s:I}", "event", kinds[e->kind], "seq", (json_int_t)e->seq, "at_us", (json_int_t)e->at_us);
    if (o && (e->kind == TA_EVENT_JOB || e->kind == TA_EVENT_REMOVED))
        json_object_set_new(o, "id", json_integer(e->id));
    if (o && e->kind == TA_EVENT_JOB) {
        json_object_set_new(o, "state", json_string(ta_qstate_name(e->state)));
        add_progress(o, &e->progress);
    }
    return o;
}

/* ---- Looking --------------------------------------------------------------------------------------------------------
 */

static json_t *status_json(const ta_view *v)
{
    json_t *counts = json_object();
    for (int i = 0; counts && i < TA_Q_STATES; i++)
        json_object_set_new(counts, ta_qstate_name((ta_qstate)i),
                            json_integer((json_int_t)ta_view_count(v, (ta_qstate)i)));
    return json_pack("{s:I, s:I, s:b, s:o}", "seq", (json_int_t)ta_view_seq(v), "total", (json_int_t)ta_view_total(v),
                     "paused", ta_view_paused(v), "counts", counts);
}

static int answer_status(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err)
{
    ta_view_reader *r = ta_view_reader_open(q);
    if (!r)
        return ta_no_memory(err);
    *reply = status_json(ta_view_enter(r));
    ta_view_leave(r);
    ta_view_reader_close(&r);
    return *reply ? 0 : ta_no_memory(err);
}

static int read_state(const json_t *request, int *state, ta_error *err)
{
    const char *name = ta_request_text(request, "state");
    ta_qstate s = TA_Q_PENDING;
    *state = -1;
    if (!name)
        return 0;
    if (!ta_qstate_parse(name, &s)) {
        const char *near = ta_nearest(name, ta_qstate_names());
        ta_fail(err, TA_ERR_USAGE, "there is no state '%s'", name);
        return ta_hint(err, near ? "did you mean '%s'?" : "%s and others: see `terminalai help queue`",
                       near ? near : "pending");
    }
    *state = (int)s;
    return 0;
}

static json_t *page_json(const ta_view *v, int state, size_t offset, size_t limit)
{
    const ta_qjob **jobs = ta_array(limit + 1, sizeof *jobs);
    json_t *list = jobs ? json_array() : NULL, *o = status_json(v);
    size_t n = list ? ta_view_page(v, state, offset, limit, jobs) : 0;
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, ta_qjob_json(v, jobs[i]));
    ta_free(jobs);
    if (list && o) {
        json_object_set_new(
            o, "matching",
            json_integer((json_int_t)(state < 0 ? ta_view_total(v) : ta_view_count(v, (ta_qstate)state))));
        json_object_set_new(o, "jobs", list);
        return o;
    }
    json_decref(list);
    json_decref(o);
    return NULL;
}

static int answer_list(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err)
{
    int state;
    int64_t offset = ta_request_number(request, "offset", 0), limit = ta_request_number(request, "limit", 100);
    int r = read_state(request, &state, err);
    if (r >= 0 && (offset < 0 || limit < 0 || limit > TA_MAX_PAGE))
        r = ta_fail(err, TA_ERR_USAGE, "a page has 0 to %d jobs", TA_MAX_PAGE);
    ta_view_reader *reader = r >= 0 ? ta_view_reader_open(q) : NULL;
    if (!reader)
        return r < 0 ? r : ta_no_memory(err);
    *reply = page_json(ta_view_enter(reader), state, (size_t)offset, (size_t)limit);
    ta_view_leave(reader);
    ta_view_reader_close(&reader);
    return *reply ? 0 : ta_no_memory(err);
}

typedef struct asked {
    int64_t id;
    char *settings;
    json_t *reply;
} asked;

static int read_settings(ta_change *c, void *arg, ta_error *err)
{
    asked *a = arg;
    const ta_qjob *j;
    int r = ta_change_need_job(c, a->id, &j, err);
    return r < 0 ? r : ta_store_settings_text(c->store, j->settings, &a->settings, err);
}

static int answer_show(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err)
{
    asked a = { .id = ta_request_number(request, "id", 0) };
    int r = ta_jobs_do(q, read_settings, &a, TA_OP_READS, err);
    ta_view_reader *reader = r >= 0 ? ta_view_reader_open(q) : NULL;
    if (r >= 0 && reader) {
        const ta_view *v = ta_view_enter(reader);
        const ta_qjob *j = ta_view_job(v, a.id);
        json_t *settings = json_loads(a.settings, 0, NULL);
        *reply = j ? ta_qjob_json(v, j) : NULL;
        ta_view_leave(reader);
        if (!j)
            r = ta_fail(err, TA_ERR_NOINPUT, "job %lld was removed", (long long)a.id);
        json_object_set_new(*reply, "settings", settings);
    }
    ta_view_reader_close(&reader);
    ta_free(a.settings);
    return r < 0 ? r : *reply ? 0 : ta_no_memory(err);
}

static int read_totals(ta_change *c, void *arg, ta_error *err)
{
    asked *a = arg;
    int64_t n[4] = { 0 };
    static const char *const facts[] = { "completed", "failed", "cancelled", "completed-us" };
    for (int i = 0; i < 4; i++) {
        int r = ta_store_fact(c->store, facts[i], &n[i], err);
        if (r < 0)
            return r;
    }
    double seconds = (double)n[3] / 1e6;
    a->reply = json_pack("{s:I, s:I, s:I, s:f, s:o}", "completed", (json_int_t)n[0], "failed", (json_int_t)n[1],
                         "cancelled", (json_int_t)n[2], "seconds", seconds, "mean_seconds",
                         n[0] ? json_real(seconds / (double)n[0]) : json_null());
    return a->reply ? 0 : ta_no_memory(err);
}

static int answer_stats(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err)
{
    asked a = { 0 };
    int r = ta_jobs_do(q, read_totals, &a, TA_OP_READS, err);
    if (r >= 0)
        r = answer_status(q, request, reply, err);
    if (r >= 0)
        json_object_set_new(*reply, "ever", a.reply);
    else
        json_decref(a.reply);
    return r;
}

/* ---- All of them ----------------------------------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    ta_answer_fn answer;
} answers[] = {
    { "add", ta_answer_add },       { "list", answer_list },        { "show", answer_show },
    { "status", answer_status },    { "stats", answer_stats },      { "cancel", ta_answer_cancel },
    { "pause", ta_answer_pause },   { "resume", ta_answer_resume }, { "retry", ta_answer_retry },
    { "remove", ta_answer_remove }, { "move", ta_answer_move },     { "clear", ta_answer_clear },
    { "outbox", ta_answer_outbox }, { "resend", ta_answer_resend }, { "outbox", ta_answer_outbox },
    { "resend", ta_answer_resend },
};

int ta_jobs_request(ta_jobs *q, const json_t *request, json_t **reply, ta_error *err)
{
    const char *what = ta_request_text(request, "do");
    *reply = NULL;
    for (size_t i = 0; what && i < TA_COUNT(answers); i++) {
        if (strcmp(answers[i].name, what) != 0)
            continue;
        int r = answers[i].answer(q, request, reply, err);
        if (r < 0) {
            json_decref(*reply);
            *reply = NULL;
        }
        return r;
    }
    return ta_fail(err, TA_ERR_USAGE, "there is no request '%s'", what ? what : "");
}
