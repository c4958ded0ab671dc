/* The scheduler against a made-up crew: order, needs, cancel and pause passed on, ends recorded once, what can't be
 * begun now, what was complete already. */
#include "base_test.h"

#include <jansson.h>

#include "queue/queue.h"

/* ---- A crew of nobody -----------------------------------------------------------------------------------------------
 */

enum { MOST = 64 };

typedef struct crew {
    pthread_mutex_t lock;
    int free;
    int n; /* of orders that were given */
    char id[MOST][TA_WORK_ID_MAX + 1];
    char input[MOST][64];
    bool whole[MOST]; /* settings came whole */
    atomic_int cancels, pauses, resumes;
    int refuse;        /* the next gives fail with this */
    int refusals;      /* so many of them */
    bool ends_at_once; /* on_end from within give */
    ta_scheduler *s;
} crew;

static int give(void *user, const ta_work_order *o, ta_error *err)
{
    crew *c = user;
    pthread_mutex_lock(&c->lock);
    if (c->refusals > 0) {
        c->refusals--;
        pthread_mutex_unlock(&c->lock);
        return ta_fail(err, (ta_status)c->refuse, "refused");
    }
    snprintf(c->id[c->n], sizeof c->id[0], "%s", o->id);
    snprintf(c->input[c->n], sizeof c->input[0], "%s", o->input);
    json_t *settings = json_loads(o->settings_json, 0, NULL);
    int64_t limit = json_integer_value(json_object_get(settings, "memory-limit"));
    c->whole[c->n++] = json_object_size(settings) > 50 && (limit ? o->memory == limit : o->memory == 1 << 30);
    json_decref(settings);
    c->free -= !c->ends_at_once;
    bool ends = c->ends_at_once;
    pthread_mutex_unlock(&c->lock);
    if (ends)
        ta_scheduler_on_end(c->s, o->id, 0, o->output);
    return 0;
}

static int free_workers(void *user)
{
    crew *c = user;
    pthread_mutex_lock(&c->lock);
    int n = c->free;
    pthread_mutex_unlock(&c->lock);
    return n;
}

static int cancel(void *user, const char *id, ta_error *err)
{
    crew *c = user;
    pthread_mutex_lock(&c->lock);
    c->cancels++;
    c->free++;
    pthread_mutex_unlock(&c->lock);
    ta_scheduler_on_end(c->s, id, TA_ERR_CANCELLED, "cancelled");
    return 0;
}

static int hold(void *user, const char *id, bool paused, ta_error *err)
{
    crew *c = user;
    pthread_mutex_lock(&c->lock);
    c->pauses += paused;
    c->resumes += !paused;
    pthread_mutex_unlock(&c->lock);
    return 0;
}

static const ta_crew_calls calls = { give, free_workers, cancel, hold };

typedef struct stage {
    ta_jobs *q;
    crew crew;
} stage;

static void set_up(stage *t, void **state, int workers)
{
    memset(t, 0, sizeof *t);
    pthread_mutex_init(&t->crew.lock, NULL);
    t->crew.free = workers;
    assert_int_equal(ta_jobs_open(&t->q, *state, NULL, NULL), 0);
    assert_int_equal(ta_scheduler_open(&t->crew.s, t->q, &(ta_scheduler_config){ .retry_ms = 50 }, NULL), 0);
}

static void begin(stage *t)
{
    assert_int_equal(ta_scheduler_start(t->crew.s, &calls, &t->crew, NULL), 0);
}

static void tear_down(stage *t)
{
    ta_scheduler_stop(t->crew.s);
    ta_scheduler_close(&t->crew.s);
    ta_jobs_close(&t->q);
    pthread_mutex_destroy(&t->crew.lock);
}

static void ask(ta_jobs *q, const char *text)
{
    json_t *request = json_loads(text, 0, NULL), *reply = NULL;
    ta_error err = { 0 };
    assert_non_null(request);
    if (ta_jobs_request(q, request, &reply, &err) < 0)
        fail_msg("%s: %s", text, err.text[0]);
    json_decref(reply);
    json_decref(request);
}

static void add(ta_jobs *q, int n, const char *more)
{
    char text[400];
    snprintf(text, sizeof text,
             "{\"do\":\"add\",\"settings\":[{}],\"jobs\":[{\"input\":\"/in/%d\",\"output\":\"/out/%d\"%s}]}", n, n,
             more);
    ask(q, text);
}

static int given(crew *c)
{
    pthread_mutex_lock(&c->lock);
    int n = c->n;
    pthread_mutex_unlock(&c->lock);
    return n;
}

static ta_qstate state_of(ta_jobs *q, int64_t id)
{
    ta_view_reader *r = ta_view_reader_open(q);
    const ta_qjob *j = ta_view_job(ta_view_enter(r), id);
    ta_qstate s = j ? j->state : TA_Q_STATES;
    ta_view_leave(r);
    ta_view_reader_close(&r);
    return s;
}

#define WAIT_FOR(condition)                                                                                            \
    do {                                                                                                               \
        int64_t end_ = ta_now_us() + 10000000;                                                                         \
        while (!(condition) && ta_now_us() < end_)                                                                     \
            ta_sleep_us(1000);                                                                                         \
        assert_true(condition);                                                                                        \
    } while (0)

static void end(stage *t, const char *id, int code, const char *message)
{
    pthread_mutex_lock(&t->crew.lock);
    t->crew.free++;
    pthread_mutex_unlock(&t->crew.lock);
    ta_scheduler_on_end(t->crew.s, id, code, message);
    ta_scheduler_on_free(t->crew.s);
}

/* ---- Tests ----------------------------------------------------------------------------------------------------------
 */

static void test_order(void **state)
{
    stage t;
    set_up(&t, state, 1);
    add(t.q, 1, "");
    ask(t.q, "{\"do\":\"add\",\"settings\":[{\"memory-limit\":\"700M\"}],"
             "\"jobs\":[{\"input\":\"/in/2\",\"output\":\"/out/2\",\"priority\":5}]}");
    add(t.q, 3, ",\"needs\":[1]");
    add(t.q, 4, "");
    begin(&t);
    WAIT_FOR(given(&t.crew) == 1);
    assert_string_equal(t.crew.id[0], "2.1");
    assert_true(t.crew.whole[0]);                       /* with the memory that its limit allows */
    assert_int_equal(state_of(t.q, 2), TA_Q_ANALYSING); /* before the worker has it */
    end(&t, "2.1", 0, "/out/2");
    WAIT_FOR(given(&t.crew) == 2);
    assert_string_equal(t.crew.input[1], "/in/1");
    assert_true(t.crew.whole[1]);
    ask(t.q, "{\"do\":\"move\",\"ids\":[3],\"to\":\"top\"}"); /* it still waits for job 1 */
    ta_sleep_us(20000);
    assert_int_equal(given(&t.crew), 2);
    end(&t, "1.1", 0, "/out/1");
    WAIT_FOR(given(&t.crew) == 3);
    assert_string_equal(t.crew.id[2], "3.1");
    end(&t, "3.1", TA_ERR_DATA, "it is noise");
    WAIT_FOR(given(&t.crew) == 4);
    end(&t, "4.1", 0, "");
    end(&t, "4.1", TA_ERR_IO, "a second end doesn't count");
    assert_true(ta_scheduler_wait_idle(t.crew.s, NULL));
    static const ta_qstate want[] = { TA_Q_COMPLETED, TA_Q_COMPLETED, TA_Q_FAILED, TA_Q_COMPLETED };
    for (int i = 0; i < 4; i++)
        assert_int_equal(state_of(t.q, i + 1), want[i]);
    tear_down(&t);
}

static void test_progress_and_stages(void **state)
{
    stage t;
    set_up(&t, state, 1);
    add(t.q, 1, "");
    begin(&t);
    WAIT_FOR(given(&t.crew) == 1);
    ta_scheduler_on_progress(t.crew.s, "1.1", &(ta_work_progress){ TA_WORK_ENCODING, 0.5, 30, 20 });
    WAIT_FOR(state_of(t.q, 1) == TA_Q_ENCODING);
    ta_view_reader *r = ta_view_reader_open(t.q);
    ta_qprogress p;
    const ta_view *v = ta_view_enter(r);
    ta_view_progress(v, ta_view_job(v, 1), &p);
    ta_view_leave(r);
    ta_view_reader_close(&r);
    assert_true(p.fraction == 0.5 && p.fps == 30 && p.eta_seconds == 20);
    ta_scheduler_on_progress(t.crew.s, "1.7", &(ta_work_progress){ TA_WORK_FINISHING, 0.9, 1, 1 }); /* nobody's */
    ta_scheduler_on_progress(t.crew.s, "nonsense", &(ta_work_progress){ TA_WORK_FINISHING, 0.9, 1, 1 });
    assert_int_equal(state_of(t.q, 1), TA_Q_ENCODING);
    tear_down(&t);
    assert_int_equal(ta_jobs_open(&t.q, *state, NULL, NULL), 0);
    assert_int_equal(state_of(t.q, 1), TA_Q_PENDING); /* its owner ended */
    ta_jobs_close(&t.q);
}

static void test_cancel_and_pause(void **state)
{
    stage t;
    set_up(&t, state, 2);
    add(t.q, 1, "");
    add(t.q, 2, "");
    begin(&t);
    WAIT_FOR(given(&t.crew) == 2);
    ask(t.q, "{\"do\":\"pause\",\"ids\":[1]}");
    WAIT_FOR(t.crew.pauses == 1);
    ta_scheduler_on_progress(t.crew.s, "1.1", &(ta_work_progress){ TA_WORK_ENCODING, 0.5, 30, 20 });
    int64_t from = ta_now_us();
    ask(t.q, "{\"do\":\"cancel\",\"ids\":[2]}");
    WAIT_FOR(state_of(t.q, 2) == TA_Q_CANCELLED);
    assert_true(ta_now_us() - from < 1000000);
    assert_int_equal(state_of(t.q, 1), TA_Q_PAUSED); /* a report doesn't undo it */
    ask(t.q, "{\"do\":\"resume\",\"ids\":[1]}");
    WAIT_FOR(t.crew.resumes == 1);
    assert_true(ta_qstate_works(state_of(t.q, 1)));
    end(&t, "1.1", 0, "");
    WAIT_FOR(state_of(t.q, 1) == TA_Q_COMPLETED);
    tear_down(&t);
}

static void test_paused_queue(void **state)
{
    stage t;
    set_up(&t, state, 1);
    t.crew.ends_at_once = true;
    add(t.q, 1, "");
    ask(t.q, "{\"do\":\"pause\"}");
    begin(&t);
    assert_true(ta_scheduler_wait_idle(t.crew.s, NULL));
    assert_int_equal(given(&t.crew), 0);
    ask(t.q, "{\"do\":\"resume\"}");
    WAIT_FOR(state_of(t.q, 1) == TA_Q_COMPLETED);
    tear_down(&t);
}

static void test_not_now(void **state)
{
    stage t;
    set_up(&t, state, 1);
    t.crew.refuse = TA_ERR_AGAIN;
    t.crew.refusals = 2;
    t.crew.ends_at_once = true;
    add(t.q, 1, "");
    begin(&t);
    assert_true(ta_scheduler_wait_idle(t.crew.s, NULL));
    assert_int_equal(state_of(t.q, 1), TA_Q_COMPLETED);
    t.crew.refuse = TA_ERR_CANTCREATE; /* this one is for good */
    t.crew.refusals = 1;
    add(t.q, 2, "");
    WAIT_FOR(state_of(t.q, 2) == TA_Q_FAILED);
    tear_down(&t);
}

static void test_gpu_budget(void **state)
{
    stage t;
    set_up(&t, state, 3);
    for (int i = 1; i <= 2; i++) {
        char text[300];
        snprintf(text, sizeof text,
                 "{\"do\":\"add\",\"settings\":[{\"engine\":\"rtxvideo\"}],"
                 "\"jobs\":[{\"input\":\"/in/%d\",\"output\":\"/out/%d\"}]}",
                 i, i);
        ask(t.q, text);
    }
    add(t.q, 3, "");
    begin(&t);
    WAIT_FOR(given(&t.crew) == 2);
    ta_sleep_us(20000);
    assert_int_equal(given(&t.crew), 2); /* the second waits for the GPU, the third doesn't wait for it */
    assert_string_equal(t.crew.id[0], "1.1");
    assert_string_equal(t.crew.id[1], "3.1");
    end(&t, "1.1", 0, "");
    WAIT_FOR(given(&t.crew) == 3);
    tear_down(&t);
}

/* Many jobs that end within the call that gives them: each is given once and recorded once. */
static void test_many(void **state)
{
    stage t;
    set_up(&t, state, 1);
    t.crew.ends_at_once = true;
    for (int i = 1; i <= MOST; i++)
        add(t.q, i, "");
    begin(&t);
    assert_true(ta_scheduler_wait_idle(t.crew.s, NULL));
    assert_int_equal(given(&t.crew), MOST);
    ta_view_reader *r = ta_view_reader_open(t.q);
    assert_int_equal(ta_view_count(ta_view_enter(r), TA_Q_COMPLETED), MOST);
    ta_view_leave(r);
    ta_view_reader_close(&r);
    tear_down(&t);
}

/* The disk is full when a job ends: its end is recorded once there is room. */
static int end_on_full_disk(void *arg)
{
    void **state = arg;
    stage t;
    if (!mount_private(*state, "size=2m"))
        return CANT_MOUNT;
    set_up(&t, state, 1);
    add(t.q, 1, "");
    begin(&t);
    WAIT_FOR(given(&t.crew) == 1);
    FILE *filler = fopen(in(state, "filler"), "w");
    char block[4096] = { 1 };
    setvbuf(filler, NULL, _IONBF, 0);
    while (fwrite(block, sizeof block, 1, filler) == 1)
        ;
    fclose(filler);
    end(&t, "1.1", 0, "/out/1");
    ta_sleep_us(300000);
    if (state_of(t.q, 1) != TA_Q_ANALYSING || unlink(in(state, "filler")) != 0)
        return 1;
    WAIT_FOR(state_of(t.q, 1) == TA_Q_COMPLETED);
    tear_down(&t);
    return 0;
}

static void test_full_disk(void **state)
{
    int status = in_child(end_on_full_disk, state);
    if (status == CANT_MOUNT)
        skip();
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_order),
        SCRATCH_TEST(test_progress_and_stages),
        SCRATCH_TEST(test_cancel_and_pause),
        SCRATCH_TEST(test_paused_queue),
        SCRATCH_TEST(test_not_now),
        SCRATCH_TEST(test_gpu_budget),
        SCRATCH_TEST(test_many),
        SCRATCH_TEST(test_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
