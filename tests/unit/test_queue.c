/* The bounded queue: order, bounds, blocking, end, abort, statistics. Items are numbers in disguise unless a test
 * counts drops. */
#include "base_test.h"

static void *item(intptr_t n)
{
    return (void *)n;
}

static void first_in_first_out(void **state)
{
    ta_queue *q = ta_queue_new(4, 0, NULL);
    void *got = NULL;

    for (intptr_t i = 1; i <= 1000; i++) {
        assert_int_equal(ta_queue_push(q, item(i), 1), 0);
        assert_int_equal(ta_queue_push(q, item(-i), 1), 0);
        assert_int_equal(ta_queue_pop(q, &got), 1);
        assert_ptr_equal(got, item(i));
        assert_int_equal(ta_queue_pop(q, &got), 1);
        assert_ptr_equal(got, item(-i));
    }
    assert_int_equal(ta_queue_pop_wait(q, &got, 0), TA_ERR_AGAIN);
    assert_null(got);
    ta_queue_push(q, item(5), 1);
    ta_queue_end(q);
    assert_int_equal(ta_queue_push(q, item(6), 1), TA_ERR_SOFTWARE); /* behind the end */
    assert_int_equal(ta_queue_push_over(q, item(6), 1), TA_ERR_SOFTWARE);
    assert_int_equal(ta_queue_pop_wait(q, &got, 0), 1);
    assert_int_equal(ta_queue_pop(q, &got), 0);
    assert_int_equal(ta_queue_pop_wait(q, &got, 1000), 0);
    ta_queue_free(&q);
    assert_null(q);
    ta_queue_free(&q);
    ta_queue_free(NULL);
}

/* The ring wraps and grows without losing order. */
static void grows(void **state)
{
    ta_queue *q = ta_queue_new(SIZE_MAX, 0, NULL);
    intptr_t in_n = 0, out_n = 0;
    void *got;

    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 7; i++)
            assert_int_equal(ta_queue_push(q, item(++in_n), 1), 0);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(ta_queue_pop(q, &got), 1);
            assert_ptr_equal(got, item(++out_n));
        }
    }
    ta_queue_end(q);
    while (ta_queue_pop(q, &got) == 1)
        assert_ptr_equal(got, item(++out_n));
    assert_int_equal(out_n, in_n);
    ta_queue_free(&q);
}

struct flood {
    ta_queue *q;
    int items;
    size_t bytes;
    atomic_int pushed, result;
};

static void *flood(void *opaque)
{
    struct flood *f = opaque;

    for (int i = 0; i < f->items; i++) {
        int ret = ta_queue_push(f->q, item(i + 1), f->bytes);
        if (ret) {
            atomic_store(&f->result, ret);
            return NULL;
        }
        atomic_fetch_add(&f->pushed, 1);
    }
    ta_queue_end(f->q);
    return NULL;
}

/* A deliberately slow reader: the bounds hold, checked from outside and by the high-water marks. */
static void slow_reader(size_t max_items, size_t max_bytes, size_t bytes, int fits)
{
    ta_queue *q = ta_queue_new(max_items, max_bytes, NULL);
    struct flood f = { .q = q, .items = 60, .bytes = bytes };
    pthread_t id = start(flood, &f);
    ta_queue_stats s;
    void *got;

    for (int n = 0; n < f.items; n++) {
        ta_sleep_us(n < 10 ? 5000 : 100);
        int pushed = atomic_load(&f.pushed);
        assert_true(pushed <= n + fits);
        assert_int_equal(ta_queue_pop(q, &got), 1);
        assert_ptr_equal(got, item(n + 1));
    }
    assert_int_equal(ta_queue_pop(q, &got), 0);
    pthread_join(id, NULL);
    ta_queue_get_stats(q, &s);
    assert_true(s.max_depth <= (size_t)fits && s.max_depth >= 1);
    assert_true(s.max_bytes <= (size_t)fits * bytes);
    assert_int_equal(s.pushed, 60);
    assert_int_equal(s.popped, 60);
    assert_int_equal(s.bytes, 60 * bytes);
    assert_int_equal(s.depth, 0);
    assert_int_equal(s.bytes_now, 0);
    assert_true(s.wait_push_us > 10000);
    ta_queue_free(&q);
}

static void keeps_both_bounds(void **state)
{
    slow_reader(3, 0, 10, 3); /* items bind */
    slow_reader(3, 1000, 10, 3);
    slow_reader(100, 50, 10, 5); /* bytes bind, met exactly */
    slow_reader(100, 59, 10, 5); /* and not */
    slow_reader(0, 0, 1, 1);
}

static void blocks_for_as_long_as_it_takes(void **state)
{
    ta_queue *q = ta_queue_new(1, 0, NULL);
    struct flood f = { .q = q, .items = 2, .bytes = 1 };
    pthread_t id = start(flood, &f);
    ta_queue_stats s;
    void *got;

    await_int(&f.pushed, 1);
    ta_sleep_us(600000);
    assert_int_equal(atomic_load(&f.pushed), 1);
    ta_queue_get_stats(q, &s);
    assert_true(s.wait_push_us > 400000); /* seen while the wait goes on */
    assert_int_equal(s.depth, 1);
    assert_int_equal(ta_queue_pop(q, &got), 1);
    await_int(&f.pushed, 2);
    pthread_join(id, NULL);
    ta_queue_free(&q);
}

static void takes_an_oversize_item_when_empty(void **state)
{
    ta_queue *q = ta_queue_new(10, 100, NULL);
    struct flood f = { .q = q, .items = 1, .bytes = 100000 };
    void *got;

    assert_int_equal(ta_queue_push(q, item(9), 1), 0);
    pthread_t id = start(flood, &f);
    ta_sleep_us(30000);
    assert_int_equal(atomic_load(&f.pushed), 0); /* not while something is inside */
    assert_int_equal(ta_queue_pop(q, &got), 1);
    await_int(&f.pushed, 1);
    assert_int_equal(ta_queue_pop(q, &got), 1);
    assert_ptr_equal(got, item(1));
    pthread_join(id, NULL);
    ta_queue_free(&q);
}

static void push_over_ignores_the_bounds(void **state)
{
    ta_queue *q = ta_queue_new(2, 10, NULL);
    ta_queue_stats s;
    void *got;

    for (intptr_t i = 1; i <= 100; i++)
        assert_int_equal(ta_queue_push_over(q, item(i), 10), 0);
    ta_queue_get_stats(q, &s);
    assert_int_equal(s.depth, 100);
    assert_int_equal(s.max_bytes, 1000);
    for (intptr_t i = 1; i <= 100; i++) {
        assert_int_equal(ta_queue_pop(q, &got), 1);
        assert_ptr_equal(got, item(i));
    }
    ta_queue_free(&q);
}

static void short_of_memory(void **state)
{
    ta_queue *q = ta_queue_new(1000, 0, NULL);
    struct flood f = { .q = q, .items = 40, .bytes = 1 };
    void *got;
    int n = 0;

    while (n < 16)
        assert_int_equal(ta_queue_push(q, item(++n), 1), 0);
    ta_alloc_fail_at(1);
    assert_int_equal(ta_queue_push_over(q, item(17), 1), TA_ERR_AGAIN);
    /* A push waits for room instead. */
    ta_alloc_fail_at(1);
    pthread_t id = start(flood, &f);
    for (int i = 1; i <= 16; i++) {
        assert_int_equal(ta_queue_pop(q, &got), 1);
        assert_ptr_equal(got, item(i));
    }
    for (int i = 1; i <= 40; i++) {
        assert_int_equal(ta_queue_pop(q, &got), 1);
        assert_ptr_equal(got, item(i));
    }
    assert_int_equal(ta_queue_pop(q, &got), 0);
    pthread_join(id, NULL);
    ta_alloc_fail_at(0);
    ta_queue_free(&q);
}

enum { WRITERS = 6, READERS = 3, EACH = 3000 };

struct crowd {
    ta_queue *q;
    atomic_int next_writer;
    _Atomic unsigned char seen[WRITERS * EACH];
    atomic_int disorder, readers_done;
};

static void *crowd_write(void *opaque)
{
    struct crowd *c = opaque;
    int me = atomic_fetch_add(&c->next_writer, 1);

    for (int i = 0; i < EACH; i++)
        if (ta_queue_push(c->q, item(me * EACH + i + 1), (size_t)(i % 90)))
            atomic_fetch_add(&c->disorder, 1);
    ta_queue_end(c->q);
    return NULL;
}

static void *crowd_read(void *opaque)
{
    struct crowd *c = opaque;
    int last[WRITERS], ret;
    void *got;

    for (int i = 0; i < WRITERS; i++)
        last[i] = -1;
    while ((ret = ta_queue_pop(c->q, &got)) == 1) {
        int n = (int)((intptr_t)got - 1);
        atomic_fetch_add(&c->seen[n], 1);
        if (last[n / EACH] >= n % EACH)
            atomic_fetch_add(&c->disorder, 1);
        last[n / EACH] = n % EACH;
    }
    if (ret == 0)
        atomic_fetch_add(&c->readers_done, 1);
    return NULL;
}

static void many_writers_and_readers(void **state)
{
    struct crowd *c = calloc(1, sizeof(*c));
    pthread_t ids[WRITERS + READERS];
    ta_queue_stats s;

    c->q = ta_queue_new(8, 200, NULL);
    for (int i = 0; i < WRITERS; i++)
        ta_queue_add_writer(c->q);
    for (int i = 0; i < WRITERS + READERS; i++)
        ids[i] = start(i < WRITERS ? crowd_write : crowd_read, c);
    while (atomic_load(&c->readers_done) < READERS) {
        ta_queue_get_stats(c->q, &s);
        assert_true(s.depth <= 8 && s.max_depth <= 8 && s.max_bytes <= 200 && s.bytes_now <= 200);
        assert_true(s.popped + s.depth == s.pushed); /* a consistent copy */
        assert_true(s.wait_push_us >= 0 && s.wait_pop_us >= 0);
        ta_sleep_us(100);
    }
    for (int i = 0; i < WRITERS + READERS; i++)
        pthread_join(ids[i], NULL);
    for (int i = 0; i < WRITERS * EACH; i++)
        assert_int_equal(c->seen[i], 1);
    assert_int_equal(c->disorder, 0);
    ta_queue_free(&c->q);
    free(c);
}

struct blocked {
    ta_queue *q;
    size_t bytes;
    atomic_int result;
};

static void *push_one(void *opaque)
{
    struct blocked *b = opaque;
    atomic_store(&b->result, ta_queue_push(b->q, item(77), b->bytes));
    return NULL;
}

/* A large item is not starved by small ones that come later. */
static void serves_writers_in_order(void **state)
{
    ta_queue *q = ta_queue_new(100, 100, NULL);
    struct blocked large = { q, 90, 1 }, small = { q, 20, 1 };
    void *got;

    assert_int_equal(ta_queue_push(q, item(1), 50), 0);
    pthread_t a = start(push_one, &large);
    ta_sleep_us(30000);
    pthread_t b = start(push_one, &small); /* would fit, but came later */
    ta_sleep_us(30000);
    assert_int_equal(atomic_load(&small.result), 1);
    assert_int_equal(ta_queue_pop(q, &got), 1);
    await_int(&large.result, 0);
    assert_int_equal(ta_queue_pop(q, &got), 1);
    await_int(&small.result, 0);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    ta_queue_free(&q);
}

static void *pop_one(void *opaque)
{
    struct blocked *b = opaque;
    void *got;
    atomic_store(&b->result, ta_queue_pop(b->q, &got));
    return NULL;
}

static void *pop_long(void *opaque)
{
    struct blocked *b = opaque;
    void *got;
    atomic_store(&b->result, ta_queue_pop_wait(b->q, &got, INT64_MAX));
    return NULL;
}

static atomic_int drops;

static void count_drop(void *p)
{
    atomic_fetch_add(&drops, 1);
    ta_free(p);
}

static void abort_wakes_everybody(void **state)
{
    ta_queue *full = ta_queue_new(1, 0, count_drop), *empty = ta_queue_new(1, 0, count_drop);
    struct blocked waiters[6] = { { full, 1, 1 },  { full, 1, 1 },  { full, 1, 1 },
                                  { empty, 1, 1 }, { empty, 1, 1 }, { empty, 1, 1 } };
    pthread_t ids[6];
    void *got;

    atomic_store(&drops, 0);
    assert_int_equal(ta_queue_push(full, ta_alloc(4), 1), 0);
    for (int i = 0; i < 6; i++)
        ids[i] = start(i < 3 ? push_one : i == 5 ? pop_long : pop_one, &waiters[i]);
    ta_sleep_us(30000);
    ta_queue_abort(full);
    ta_queue_abort(empty);
    for (int i = 0; i < 6; i++) {
        pthread_join(ids[i], NULL);
        assert_int_equal(waiters[i].result, TA_ERR_CANCELLED);
    }
    /* What is inside can't be had any more, and is dropped once. */
    assert_int_equal(ta_queue_pop(full, &got), TA_ERR_CANCELLED);
    assert_int_equal(ta_queue_pop_wait(full, &got, 0), TA_ERR_CANCELLED);
    assert_int_equal(ta_queue_push(full, item(1), 1), TA_ERR_CANCELLED);
    assert_int_equal(ta_queue_push_over(full, item(1), 1), TA_ERR_CANCELLED);
    assert_int_equal(atomic_load(&drops), 0);
    ta_queue_free(&full);
    ta_queue_free(&empty);
    assert_int_equal(atomic_load(&drops), 1);
}

static void reset_makes_usable(void **state)
{
    ta_queue *q = ta_queue_new(4, 0, count_drop);
    ta_queue_stats s;
    void *got;

    atomic_store(&drops, 0);
    ta_queue_add_writer(q);
    ta_queue_add_writer(q);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3; i++)
            assert_int_equal(ta_queue_push(q, ta_alloc(4), 5), 0);
        if (round == 1)
            ta_queue_abort(q);
        else
            ta_queue_end(q);
        ta_queue_reset(q);
        assert_int_equal(atomic_load(&drops), 3 * (round + 1));
        ta_queue_get_stats(q, &s);
        assert_int_equal(s.depth, 0);
        assert_int_equal(s.bytes_now, 0);
        assert_int_equal(s.pushed, 3 * (round + 1));
    }
    /* Both writers are still registered: one end is not the end. */
    ta_queue_end(q);
    assert_int_equal(ta_queue_pop_wait(q, &got, 1000), TA_ERR_AGAIN);
    ta_queue_end(q);
    assert_int_equal(ta_queue_pop(q, &got), 0);
    ta_queue_free(&q);
}

static void *end_later(void *q)
{
    ta_sleep_us(30000);
    ta_queue_end(q);
    return NULL;
}

static void timed_pop_and_end(void **state)
{
    ta_queue *q = ta_queue_new(4, 0, NULL);
    ta_queue_stats s;
    void *got;
    int64_t t = ta_now_us();

    assert_int_equal(ta_queue_pop_wait(q, &got, 30000), TA_ERR_AGAIN);
    assert_true(ta_now_us() - t >= 30000);
    ta_queue_get_stats(q, &s);
    assert_true(s.wait_pop_us >= 25000 && s.wait_push_us == 0);
    pthread_t id = start(end_later, q);
    assert_int_equal(ta_queue_pop(q, &got), 0); /* the end wakes a reader */
    pthread_join(id, NULL);
    ta_queue_free(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_in_first_out),
        cmocka_unit_test(grows),
        cmocka_unit_test(keeps_both_bounds),
        cmocka_unit_test(blocks_for_as_long_as_it_takes),
        cmocka_unit_test(takes_an_oversize_item_when_empty),
        cmocka_unit_test(push_over_ignores_the_bounds),
        cmocka_unit_test(short_of_memory),
        cmocka_unit_test(many_writers_and_readers),
        cmocka_unit_test(serves_writers_in_order),
        cmocka_unit_test(abort_wakes_everybody),
        cmocka_unit_test(reset_makes_usable),
        cmocka_unit_test(timed_pop_and_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
