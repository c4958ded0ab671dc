/* The snapshot and the events: readers see whole states in order, whatever writers do; slow subscribers are told less,
 * never wrongly. Run under ThreadSanitizer, the stress tests are the proof that nothing is read while it is written. */
#include "base_test.h"

#include <jansson.h>
#include <poll.h>

#include "queue/queue.h"

enum { READERS = 4 };

static ta_jobs *open_with(void **state, int jobs)
{
    ta_jobs *q = NULL;
    assert_int_equal(ta_jobs_open(&q, *state, NULL, NULL), 0);
    for (int i = 0; i < jobs;) {
        json_t *list = json_array(), *reply = NULL;
        for (int n = 0; n < 1000 && i < jobs; n++, i++)
            json_array_append_new(list, json_pack("{s:o, s:o}", "input", json_sprintf("/in/%d", i), "output",
                                                  json_sprintf("/out/%d", i)));
        json_t *request = json_pack("{s:s, s:[{}], s:o}", "do", "add", "settings", "jobs", list);
        assert_int_equal(ta_jobs_request(q, request, &reply, NULL), 0);
        json_decref(reply);
        json_decref(request);
    }
    return q;
}

static void do_one(ta_jobs *q, const char *what, int64_t id)
{
    json_t *request = json_pack("{s:s, s:[I]}", "do", what, "ids", (json_int_t)id), *reply = NULL;
    assert_int_equal(ta_jobs_request(q, request, &reply, NULL), 0);
    json_decref(reply);
    json_decref(request);
}

/* ---- Views ----------------------------------------------------------------------------------------------------------
 */

static void test_a_view_stays(void **state)
{
    ta_jobs *q = open_with(state, 100);
    ta_view_reader *old = ta_view_reader_open(q), *new = ta_view_reader_open(q);
    const ta_view *v = ta_view_enter(old);
    const ta_qjob *j = ta_view_job(v, 50);
    uint64_t seq = ta_view_seq(v);
    do_one(q, "cancel", 50);
    do_one(q, "remove", 50);
    assert_int_equal(j->state, TA_Q_PENDING); /* what was entered is as it was */
    assert_string_equal(j->input, "/in/49");
    assert_ptr_equal(ta_view_job(v, 50), j);
    assert_int_equal(ta_view_count(v, TA_Q_PENDING), 100);
    const ta_view *now = ta_view_enter(new);
    assert_null(ta_view_job(now, 50));
    assert_int_equal(ta_view_total(now), 99);
    assert_true(ta_view_seq(now) > seq);
    ta_view_leave(new);
    ta_view_leave(old);
    ta_view_reader_close(&old);
    ta_view_reader_close(&new);
    ta_jobs_close(&q);
}

static void test_progress(void **state)
{
    ta_jobs *q = open_with(state, 3);
    ta_qprogress p = { 0.25, 50, 30 }, got;
    assert_false(ta_jobs_progress(q, 1, 1, &p)); /* not at work */
    ta_jobs_set_state(q, 1, 1, TA_Q_ENCODING, NULL);
    assert_true(ta_jobs_progress(q, 1, 1, &p));
    ta_view_reader *r = ta_view_reader_open(q);
    const ta_view *v = ta_view_enter(r);
    ta_view_progress(v, ta_view_job(v, 1), &got);
    assert_memory_equal(&got, &p, sizeof p);
    ta_view_progress(v, ta_view_job(v, 2), &got);
    assert_true(got.fraction == 0 && got.eta_seconds == -1);
    ta_view_leave(r);
    ta_jobs_end(q, 1, 1, 0, "", NULL);
    v = ta_view_enter(r);
    ta_view_progress(v, ta_view_job(v, 1), &got);
    assert_true(got.fraction == 1 && got.eta_seconds == 0);
    ta_view_leave(r);
    ta_view_reader_close(&r);
    ta_jobs_close(&q);
}

/* A random sequence of changes, against a plain array as the model. */
static void test_against_a_model(void **state)
{
    enum { JOBS = 300, STEPS = 1500 };
    ta_jobs *q = open_with(state, JOBS);
    int model[JOBS + 1]; /* states; -1 removed */
    unsigned seed = 7;
    ta_view_reader *r = ta_view_reader_open(q);
    for (int i = 1; i <= JOBS; i++)
        model[i] = TA_Q_PENDING;
    for (int step = 0; step < STEPS; step++) {
        int id = 1 + rand_r(&seed) % JOBS;
        if (model[id] == TA_Q_PENDING) {
            bool pause = rand_r(&seed) % 2;
            do_one(q, pause ? "pause" : "cancel", id);
            model[id] = pause ? TA_Q_PAUSED : TA_Q_CANCELLED;
        } else if (model[id] == TA_Q_PAUSED) {
            do_one(q, "resume", id);
            model[id] = TA_Q_PENDING;
        } else if (model[id] == TA_Q_CANCELLED) {
            bool retry = rand_r(&seed) % 2;
            do_one(q, retry ? "retry" : "remove", id);
            model[id] = retry ? (int)TA_Q_PENDING : -1;
        }
        if (step % 50)
            continue;
        size_t count[TA_Q_STATES] = { 0 }, total = 0;
        const ta_view *v = ta_view_enter(r);
        for (int i = 1; i <= JOBS; i++) {
            const ta_qjob *j = ta_view_job(v, i);
            assert_int_equal(j ? (int)j->state : -1, model[i]);
            if (j)
                count[j->state]++, total++;
        }
        assert_int_equal(ta_view_total(v), total);
        for (int s = 0; s < TA_Q_STATES; s++)
            assert_int_equal(ta_view_count(v, (ta_qstate)s), count[s]);
        const ta_qjob *page[JOBS];
        assert_int_equal(ta_view_page(v, -1, 0, JOBS, page), total);
        for (size_t i = 1; i < total; i++) /* none was moved: the order of adding */
            assert_true(page[i - 1]->id < page[i]->id);
        ta_view_leave(r);
    }
    ta_view_reader_close(&r);
    ta_jobs_close(&q);
}

/* ---- Stress ---------------------------------------------------------------------------------------------------------
 */

typedef struct reading {
    ta_jobs *q;
    atomic_bool *stop;
    uint64_t reads;
    const char *wrong;
} reading;

/* Each state must hold together: the counts are those of the jobs, sequences don't go back, the progress of a job is
 * the same number in all its fields. */
static void check_view(reading *r, const ta_view *v, uint64_t *last, unsigned *seed)
{
    size_t sum = 0;
    for (int s = 0; s < TA_Q_STATES; s++)
        sum += ta_view_count(v, (ta_qstate)s);
    if (sum != ta_view_total(v))
        r->wrong = "the counts are not the total";
    if (ta_view_seq(v) < *last)
        r->wrong = "the sequence went back";
    *last = ta_view_seq(v);
    const ta_qjob *j = ta_view_job(v, 1 + rand_r(seed) % 200);
    if (!j)
        return;
    ta_qprogress p;
    ta_view_progress(v, j, &p);
    if (ta_qstate_works(j->state) && p.eta_seconds >= 0 && p.fps != p.fraction * 1000)
        r->wrong = "half a progress";
    if (j->input[0] != '/' || j->needs == NULL)
        r->wrong = "half a job";
}

static void *read_on(void *arg)
{
    reading *r = arg;
    ta_view_reader *reader = ta_view_reader_open(r->q);
    uint64_t last = 0;
    unsigned seed = (unsigned)(uintptr_t)r;
    while (!atomic_load(r->stop) && !r->wrong) {
        check_view(r, ta_view_enter(reader), &last, &seed);
        ta_view_leave(reader);
        r->reads++;
    }
    ta_view_reader_close(&reader);
    return NULL;
}

typedef struct writing {
    ta_jobs *q;
    atomic_bool *stop;
} writing;

static void *progress_on(void *arg)
{
    writing *w = arg;
    for (int i = 0; !atomic_load(w->stop); i++) {
        double f = (i % 1000) / 1000.0;
        ta_jobs_progress(w->q, 1 + i % 100, 1, &(ta_qprogress){ f, f * 1000, 5 });
        if (i % 64 == 0)
            ta_sleep_us(100);
    }
    return NULL;
}

static void test_stress(void **state)
{
    ta_jobs *q = open_with(state, 200);
    atomic_bool stop = false;
    pthread_t readers[READERS], writer;
    reading r[READERS];
    writing w = { q, &stop };
    for (int i = 1; i <= 100; i++)
        assert_int_equal(ta_jobs_set_state(q, i, 1, TA_Q_ENCODING, NULL), 0);
    for (int i = 0; i < READERS; i++) {
        r[i] = (reading){ q, &stop, 0, NULL };
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, &r[i]), 0);
    }
    assert_int_equal(pthread_create(&writer, NULL, progress_on, &w), 0);
    for (int64_t end = ta_now_us() + 700000, id = 101; ta_now_us() < end; id = id < 200 ? id + 1 : 101) {
        do_one(q, "pause", id);
        do_one(q, "resume", id);
    }
    atomic_store(&stop, true);
    pthread_join(writer, NULL);
    for (int i = 0; i < READERS; i++) {
        pthread_join(readers[i], NULL);
        assert_null(r[i].wrong);
        assert_true(r[i].reads > 100);
    }
    ta_jobs_close(&q);
}

/* ---- Events ---------------------------------------------------------------------------------------------------------
 */

static bool readable(const ta_subscriber *s)
{
    struct pollfd p = { .fd = ta_subscriber_fd(s), .events = POLLIN };
    return poll(&p, 1, 0) == 1;
}

static void test_events(void **state)
{
    ta_jobs *q = open_with(state, 3);
    ta_subscriber *s = ta_subscribe(q), *other = ta_subscribe(q);
    ta_event e;
    assert_false(readable(s));
    assert_false(ta_subscriber_next(s, &e));
    do_one(q, "pause", 2);
    do_one(q, "cancel", 1);
    assert_true(readable(s));
    assert_true(ta_subscriber_next(s, &e));
    assert_int_equal(e.id, 2);
    assert_int_equal(e.state, TA_Q_PAUSED);
    uint64_t seq = e.seq;
    do_one(q, "remove", 1); /* the newer event of a job takes the place of the one that waits */
    assert_true(ta_subscriber_next(s, &e));
    assert_int_equal(e.kind, TA_EVENT_REMOVED);
    assert_int_equal(e.id, 1);
    assert_true(e.seq > seq);
    assert_false(ta_subscriber_next(s, &e));
    assert_false(readable(s));
    ta_unsubscribe(&s);
    for (int i = 0; i < 2; i++)
        assert_true(ta_subscriber_next(other, &e));
    assert_false(ta_subscriber_next(other, &e));
    ta_unsubscribe(&other);
    ta_jobs_close(&q);
}

static void test_slow_subscriber(void **state)
{
    ta_jobs *q = open_with(state, 40);
    ta_subscriber *s = ta_subscribe(q);
    ta_event e;
    for (int i = 1; i <= 40; i++)
        ta_jobs_set_state(q, i, 1, TA_Q_ENCODING, NULL);
    for (int n = 0; n < 5000; n++) {
        double f = n / 5000.0;
        ta_jobs_progress(q, 1 + (n * 7) % 40, 1, &(ta_qprogress){ f, 1, 1 });
    }
    uint64_t last = 0;
    int got = 0;
    for (; ta_subscriber_next(s, &e); got++) {
        assert_int_equal(e.kind, TA_EVENT_JOB);
        assert_true(e.seq > last);
        assert_true(e.progress.fraction > 0.98); /* the newest of each */
        last = e.seq;
    }
    assert_int_equal(got, 40);
    ta_unsubscribe(&s);
    ta_jobs_close(&q);
}

static void test_overflow(void **state)
{
    ta_jobs *q = open_with(state, 1);
    ta_subscriber *s = ta_subscribe(q);
    ta_event e;
    json_t *list = json_array(), *reply = NULL;
    for (int i = 0; i < 3000; i++)
        json_array_append_new(
            list, json_pack("{s:o, s:o}", "input", json_sprintf("/i/%d", i), "output", json_sprintf("/o/%d", i)));
    json_t *request = json_pack("{s:s, s:[{}], s:o}", "do", "add", "settings", "jobs", list);
    assert_int_equal(ta_jobs_request(q, request, &reply, NULL), 0);
    json_decref(reply);
    json_decref(request);
    assert_true(ta_subscriber_next(s, &e));
    assert_int_equal(e.kind, TA_EVENT_RESYNC);
    assert_false(ta_subscriber_next(s, &e));
    assert_false(readable(s));
    do_one(q, "cancel", 3000); /* and it goes on */
    assert_true(ta_subscriber_next(s, &e));
    assert_int_equal(e.id, 3000);
    ta_unsubscribe(&s);
    ta_jobs_close(&q);
}

/* ---- The socket -----------------------------------------------------------------------------------------------------
 */

static bool count_events(void *opaque, const json_t *event)
{
    int *n = opaque;
    *n += json_object_get(event, "event") != NULL;
    return *n < 1;
}

static void *pause_later(void *arg)
{
    ta_sleep_us(50000);
    do_one(arg, "pause", 2);
    return NULL;
}

static void test_socket(void **state)
{
    /* longer than a socket's address may be */
    char dir[400];
    snprintf(dir, sizeof dir, "%s/%0120d", (const char *)*state, 0);
    void *place = dir;
    ta_jobs *q = open_with(&place, 5);
    ta_jobs_server *server = NULL;
    ta_client *c = NULL;
    ta_error err = { 0 };
    json_t *reply = NULL, *request = json_pack("{s:s}", "do", "status");
    assert_int_equal(ta_jobs_serve(&server, q, &err), 0);
    assert_int_equal(ta_client_open(&c, dir, NULL, NULL), 0);
    assert_true(ta_client_has_owner(c));
    assert_int_equal(ta_client_request(c, request, &reply, NULL), 0);
    assert_int_equal(json_integer_value(json_object_get(reply, "total")), 5);
    json_decref(reply);
    json_object_set_new(request, "do", json_string("cancel"));
    assert_int_equal(ta_client_request(c, request, &reply, &err), TA_ERR_USAGE); /* errors come through whole */
    assert_non_null(strstr(err.text[0], "number of a job"));
    int n = 0;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, pause_later, q), 0);
    assert_int_equal(ta_client_watch(c, count_events, &n, &err), 0);
    assert_int_equal(n, 1);
    pthread_join(thread, NULL);
    ta_client_close(&c);
    ta_jobs_unserve(&server);
    ta_jobs_close(&q);
    json_decref(request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_a_view_stays), SCRATCH_TEST(test_progress), SCRATCH_TEST(test_against_a_model),
        SCRATCH_TEST(test_stress),       SCRATCH_TEST(test_events),   SCRATCH_TEST(test_slow_subscriber),
        SCRATCH_TEST(test_overflow),     SCRATCH_TEST(test_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
