/* Cancel tokens and clocks. */
#include "base_test.h"

#include <poll.h>

static void parents_reach_children(void **state)
{
    ta_cancel *job = ta_cancel_new(NULL), *pipe = ta_cancel_new(job), *stage = ta_cancel_new(pipe);

    assert_false(ta_cancelled(NULL));
    assert_false(ta_cancelled(stage));
    ta_cancel_set(pipe);
    ta_cancel_set(pipe);
    assert_false(ta_cancelled(job));
    assert_true(ta_cancelled(pipe));
    assert_true(ta_cancelled(stage));
    ta_cancel *later = ta_cancel_new(pipe); /* of a token that is set already */
    assert_true(ta_cancelled(later));
    assert_true(ta_cancel_wait(later, 0));
    ta_cancel_free(&later);
    ta_cancel_free(&stage);
    ta_cancel_free(&pipe);
    ta_cancel_free(&job);
    assert_null(job);
    ta_cancel_free(&job);
    ta_cancel_free(NULL);
    ta_cancel_set(NULL);
}

static void chain_has_a_limit(void **state)
{
    ta_cancel *chain[4] = { 0 };
    int fds[4];

    for (int i = 0; i < 4; i++) {
        chain[i] = ta_cancel_new(i ? chain[i - 1] : NULL);
        assert_non_null(chain[i]);
        assert_int_equal(ta_cancel_fds(chain[i], fds, 4), i + 1);
    }
    assert_null(ta_cancel_new(chain[3]));
    assert_int_equal(ta_cancel_fds(chain[3], fds, 2), 2);
    for (int i = 3; i >= 0; i--)
        ta_cancel_free(&chain[i]);
}

static int readable(const ta_cancel *c)
{
    int fds[4], n = ta_cancel_fds(c, fds, 4);
    struct pollfd polls[4];

    for (int i = 0; i < n; i++)
        polls[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
    return poll(polls, (nfds_t)n, 0);
}

static void descriptors_become_readable(void **state)
{
    ta_cancel *parent = ta_cancel_new(NULL), *child = ta_cancel_new(parent);
    int fds[4];

    assert_int_equal(readable(child), 0);
    ta_cancel_set(parent);
    assert_int_equal(readable(child), 1);
    assert_int_equal(readable(parent), 1);
    assert_int_equal(readable(child), 1); /* and stay so */
    ta_cancel_set(child);
    assert_int_equal(readable(child), 2);
    /* Not handed on to programs that we start. */
    for (int i = ta_cancel_fds(child, fds, 4); i-- > 0;)
        assert_int_equal(fcntl(fds[i], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    ta_cancel_free(&child);
    ta_cancel_free(&parent);
}

static void wait_keeps_time(void **state)
{
    ta_cancel *c = ta_cancel_new(NULL);
    int64_t t = ta_now_us();

    assert_false(ta_cancel_wait(c, 30000));
    int64_t took = ta_now_us() - t;
    assert_true(took >= 30000 && took < 5000000);
    assert_false(ta_cancel_wait(c, 0));
    assert_false(ta_cancel_wait(c, -5));
    t = ta_now_us();
    assert_false(ta_cancel_wait(NULL, 10000));
    assert_true(ta_now_us() - t >= 10000);
    ta_cancel_free(&c);
}

static void *set_later(void *c)
{
    ta_sleep_us(20000);
    ta_cancel_set(c);
    return NULL;
}

static void wait_is_woken(void **state)
{
    ta_cancel *parent = ta_cancel_new(NULL), *child = ta_cancel_new(parent);
    pthread_t id = start(set_later, parent);
    int64_t cpu = ta_thread_cpu_us();

    assert_true(ta_cancel_wait(child, INT64_MAX)); /* would hang if nobody woke it */
    assert_true(ta_thread_cpu_us() - cpu < 15000); /* it slept, and did not spin */
    pthread_join(id, NULL);
    ta_cancel_free(&child);
    ta_cancel_free(&parent);
}

static ta_cancel *target;

static void on_signal(int number)
{
    ta_cancel_set(target);
}

static void *wait_for_cancel(void *c)
{
    return ta_cancel_wait(c, 10000000) ? c : NULL;
}

static void signal_handler_sets(void **state)
{
    struct sigaction action = { .sa_handler = on_signal }, old;
    void *woken = NULL;

    target = ta_cancel_new(NULL);
    pthread_t id = start(wait_for_cancel, target);
    sigaction(SIGUSR1, &action, &old);
    errno = 1234;
    raise(SIGUSR1);
    assert_int_equal(errno, 1234);
    assert_true(ta_cancelled(target));
    /* Also when the descriptor takes no more: the counter is at its end. */
    int fd;
    const uint64_t most = UINT64_MAX - 2;
    assert_int_equal(ta_cancel_fds(target, &fd, 1), 1);
    assert_int_equal(write(fd, &most, sizeof(most)), sizeof(most));
    raise(SIGUSR1);
    assert_int_equal(errno, 1234);
    assert_int_equal(readable(target), 1);
    pthread_join(id, &woken);
    assert_ptr_equal(woken, target);
    sigaction(SIGUSR1, &old, NULL);
    ta_cancel_free(&target);
}

static void ignore_signal(int number)
{
}

static void *pester(void *arg)
{
    for (int i = 0; i < 20; i++) {
        pthread_kill(*(pthread_t *)arg, SIGUSR1);
        ta_sleep_us(1000);
    }
    return NULL;
}

/* Signals neither end a wait early nor make it longer. */
static void sleeps_through_signals(void **state)
{
    struct sigaction action = { .sa_handler = ignore_signal }, old;
    ta_cancel *c = ta_cancel_new(NULL);
    pthread_t self = pthread_self();

    sigaction(SIGUSR1, &action, &old);
    pthread_t id = start(pester, &self);
    int64_t t = ta_now_us();
    assert_false(ta_cancel_wait(c, 40000));
    assert_true(ta_now_us() - t >= 40000);
    pthread_join(id, NULL);
    id = start(pester, &self);
    t = ta_now_us();
    ta_sleep_us(40000);
    assert_true(ta_now_us() - t >= 40000);
    pthread_join(id, NULL);
    sigaction(SIGUSR1, &old, NULL);
    ta_cancel_free(&c);
}

static void clocks(void **state)
{
    int64_t a = ta_now_us(), process = ta_process_cpu_us(), thread = ta_thread_cpu_us();

    assert_true(llabs(ta_wall_us() - (int64_t)time(NULL) * 1000000) < 2000000);
    while (ta_thread_cpu_us() - thread < 5000)
        ;
    assert_true(ta_process_cpu_us() - process >= 4000);
    assert_true(ta_now_us() - a >= 4000);
    ta_sleep_us(0);
    ta_sleep_us(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parents_reach_children),
        cmocka_unit_test(chain_has_a_limit),
        cmocka_unit_test(descriptors_become_readable),
        cmocka_unit_test(wait_keeps_time),
        cmocka_unit_test(wait_is_woken),
        cmocka_unit_test(signal_handler_sets),
        cmocka_unit_test(sleeps_through_signals),
        cmocka_unit_test(clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
