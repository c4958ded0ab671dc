/* The thread pool and the count of CPUs. */
#include "base_test.h"

#include "base/cpu.h"

enum { MANY = 1000 };

struct count {
    atomic_int calls[MANY];
    atomic_int wrong;
    int n;
};

static void count_call(void *arg, int i, int n)
{
    struct count *c = arg;
    if (i < 0 || i >= n || n != c->n)
        atomic_fetch_add(&c->wrong, 1);
    else
        atomic_fetch_add(&c->calls[i], 1);
}

/* For any thread: cmocka's assertions are for the main thread only. */
static bool counts_right(ta_pool *p, int n)
{
    struct count *c = calloc(1, sizeof(*c));

    c->n = n;
    ta_pool_slices(p, count_call, c, n);
    bool right = !c->wrong;
    for (int i = 0; i < MANY; i++)
        right = right && c->calls[i] == (i < n);
    free(c);
    return right;
}

static void check_counts(ta_pool *p, int n)
{
    assert_true(counts_right(p, n));
}

static void exactly_n_calls(void **state)
{
    for (int threads = 1; threads <= 5; threads += 2) {
        ta_pool *p = ta_pool_new(threads, "test");
        assert_int_equal(ta_pool_threads(p), threads);
        for (int n = 0; n <= 20; n++)
            check_counts(p, n);
        check_counts(p, MANY);
        ta_pool_free(&p);
        assert_null(p);
    }
    check_counts(NULL, 50);
    ta_pool *p = NULL;
    ta_pool_free(&p);
    ta_pool_free(NULL);
    assert_int_equal(ta_pool_threads(NULL), 0);
    p = ta_pool_new(0, NULL);
    assert_int_equal(ta_pool_threads(p), ta_cpu_count());
    ta_pool_free(&p);
}

static void note_thread(void *arg, int i, int n)
{
    ((pthread_t *)arg)[i] = pthread_self();
}

static void no_pool_means_this_thread(void **state)
{
    pthread_t ids[10];

    ta_pool_slices(NULL, note_thread, ids, 10);
    for (int i = 0; i < 10; i++)
        assert_true(pthread_equal(ids[i], pthread_self()));
}

/* Slices that wait for each other end only if they run at the same time. */
struct meeting {
    pthread_barrier_t barrier;
};

static void meet(void *arg, int i, int n)
{
    pthread_barrier_wait(&((struct meeting *)arg)->barrier);
}

static void runs_in_parallel(void **state)
{
    ta_pool *p = ta_pool_new(3, "par");
    struct meeting m;

    pthread_barrier_init(&m.barrier, NULL, 4); /* three workers and the caller */
    ta_pool_slices(p, meet, &m, 4);
    pthread_barrier_destroy(&m.barrier);
    ta_pool_free(&p);
}

static void *call_often(void *p)
{
    bool right = true;

    for (int k = 0; k < 40; k++)
        right = counts_right(p, 1 + k * 7 % 60) && right;
    return right ? p : NULL;
}

static void several_callers(void **state)
{
    ta_pool *p = ta_pool_new(2, "many");
    pthread_t ids[5];

    for (int i = 0; i < 5; i++)
        ids[i] = start(call_often, p);
    assert_non_null(call_often(p));
    for (int i = 0; i < 5; i++) {
        void *right = NULL;
        pthread_join(ids[i], &right);
        assert_non_null(right);
    }
    ta_pool_free(&p);
}

/* One caller's slow slice doesn't hold up another caller's work. */
static atomic_int gate;

static void wait_at_gate(void *arg, int i, int n)
{
    while (!i && !atomic_load(&gate))
        ta_sleep_us(500);
}

static void *slow_caller(void *p)
{
    ta_pool_slices(p, wait_at_gate, NULL, 2);
    return NULL;
}

static void slow_slice_blocks_nobody(void **state)
{
    ta_pool *p = ta_pool_new(1, "slow");

    atomic_store(&gate, 0);
    pthread_t id = start(slow_caller, p);
    ta_sleep_us(5000);
    check_counts(p, 100);
    atomic_store(&gate, 1);
    pthread_join(id, NULL);
    ta_pool_free(&p);
}

/* Signals are for the main thread. */
static void note_mask(void *arg, int i, int n)
{
    sigset_t mask;

    pthread_barrier_wait(&((struct meeting *)arg)->barrier);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    atomic_fetch_add(&gate, sigismember(&mask, SIGTERM) == 1);
}

static void workers_block_signals(void **state)
{
    ta_pool *p = ta_pool_new(2, "a name longer than threads may have");
    struct meeting m;
    sigset_t mask;

    atomic_store(&gate, 0);
    pthread_barrier_init(&m.barrier, NULL, 3);
    ta_pool_slices(p, note_mask, &m, 3);
    assert_int_equal(atomic_load(&gate), 2);
    pthread_barrier_destroy(&m.barrier);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    assert_int_equal(sigismember(&mask, SIGTERM), 0);
    ta_pool_free(&p);
}

static int count_with_affinity(void *arg)
{
    cpu_set_t set, one;

    if (sched_getaffinity(0, sizeof(set), &set))
        return 99;
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &set)) {
            CPU_SET(i, &one);
            break;
        }
    }
    return sched_setaffinity(0, sizeof(one), &one) ? 99 : ta_cpu_count();
}

static void honours_affinity(void **state)
{
    assert_true(ta_cpu_count() >= 1);
    assert_true(ta_cpu_count() <= (int)sysconf(_SC_NPROCESSORS_CONF));
    assert_int_equal(in_child(count_with_affinity, NULL), 1);
}

static int quota_of(void **state, const char *top, const char *job)
{
    put_file(in(state, "membership"), "1:name=systemd:/old\n0::/batch/job 7\n");
    mkdir(in(state, "batch"), 0777);
    mkdir(in(state, "batch/job 7"), 0777);
    if (top)
        put_file(in(state, "batch/cpu.max"), top);
    if (job)
        put_file(in(state, "batch/job 7/cpu.max"), job);
    return ta_cgroup_cpus(in(state, "membership"), *state);
}

static void honours_cgroup_quota(void **state)
{
    assert_int_equal(ta_cgroup_cpus("/nonexistent", *state), 0);
    assert_int_equal(quota_of(state, NULL, NULL), 0);
    assert_int_equal(quota_of(state, NULL, "max 100000\n"), 0);
    assert_int_equal(quota_of(state, NULL, "200000 100000\n"), 2);
    assert_int_equal(quota_of(state, NULL, "250000 100000\n"), 3);
    assert_int_equal(quota_of(state, NULL, "1000 100000\n"), 1);
    assert_int_equal(quota_of(state, "100000 100000\n", "400000 100000\n"), 1);
    assert_int_equal(quota_of(state, "max 100000\n", "400000 100000\n"), 4);
    assert_int_equal(quota_of(state, "garbage", "also"), 0);
    assert_int_equal(quota_of(state, "-5 100000\n", "5 0\n"), 0);
    put_file(in(state, "cpu.max"), "600000 100000\n"); /* the root of a container */
    assert_int_equal(quota_of(state, "max 100000\n", "900000 100000\n"), 6);
    put_file(in(state, "membership"), "0::/\n");
    assert_int_equal(ta_cgroup_cpus(in(state, "membership"), *state), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_n_calls),          cmocka_unit_test(no_pool_means_this_thread),
        cmocka_unit_test(runs_in_parallel),         cmocka_unit_test(several_callers),
        cmocka_unit_test(slow_slice_blocks_nobody), cmocka_unit_test(workers_block_signals),
        cmocka_unit_test(honours_affinity),         SCRATCH_TEST(honours_cgroup_quota),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
