/* Each function of base that allocates, with its first, second, third ... allocation failing: it says "try again",
 * leaves no files behind, doesn't crash, and (under the address sanitizer) doesn't leak. */
#include "base_test.h"

/* 0 when the function worked, else its status; a function that has none gives TA_ERR_AGAIN. */
typedef int (*attempt)(void **state);

static int try_buf(void **state)
{
    ta_buf b = { 0 };

    for (int i = 0; i < 100; i++)
        ta_buf_addf(&b, "%d ", i);
    char *s = ta_buf_take(&b);
    ta_free(s);
    return s ? 0 : TA_ERR_AGAIN;
}

static int try_format(void **state)
{
    char *s = ta_format("%d", 5);
    ta_free(s);
    return s ? 0 : TA_ERR_AGAIN;
}

static int try_cancel(void **state)
{
    ta_cancel *c = ta_cancel_new(NULL);
    int ret = c ? 0 : TA_ERR_AGAIN;
    ta_cancel_free(&c);
    return ret;
}

static int try_queue(void **state)
{
    ta_queue *q = ta_queue_new(100, 0, ta_free);
    int ret = q ? 0 : TA_ERR_AGAIN;

    for (int i = 0; q && !ret && i < 50; i++) {
        void *p = ta_alloc(4);
        ret = p ? ta_queue_push_over(q, p, 1) : TA_ERR_AGAIN;
        if (ret)
            ta_free(p);
    }
    ta_queue_free(&q);
    return ret;
}

static int try_pool(void **state)
{
    ta_pool *p = ta_pool_new(2, "p");
    int ret = p ? 0 : TA_ERR_AGAIN;
    ta_pool_free(&p);
    return ret;
}

static int try_write_file(void **state)
{
    ta_error err = { 0 };
    int ret = ta_write_file(in(state, "f.txt"), "x", 1, true, &err);
    assert_int_equal(err.code, ret);
    assert_true(entries(*state) <= 1);
    return ret;
}

static int try_write_link(void **state)
{
    ta_error err = { 0 };

    if (!exists(in(state, "link"))) {
        put_file(in(state, "real"), "");
        assert_int_equal(symlink("real", in(state, "link")), 0);
    }
    int ret = ta_write_file(in(state, "link"), "x", 1, true, &err);
    assert_int_equal(err.code, ret);
    assert_int_equal(entries(*state), 2);
    return ret;
}

static int try_read_file(void **state)
{
    ta_error err = { 0 };
    char *data = NULL;
    size_t size;
    int ret = ta_read_file("/proc/self/status", 1 << 20, &data, &size, &err);

    assert_int_equal(err.code, ret);
    ta_free(data);
    return ret;
}

static int try_lock(void **state)
{
    ta_error err = { 0 };
    ta_lock *lock = NULL;
    int ret = ta_lock_take(&lock, in(state, "lock"), &err);

    assert_int_equal(err.code, ret);
    ta_lock_drop(&lock);
    return ret;
}

static int try_mkdirs(void **state)
{
    return ta_mkdirs(in(state, "a/b"), NULL);
}

static int try_free_space(void **state)
{
    return ta_free_space(in(state, "x/y/z")) < 0 ? TA_ERR_AGAIN : 0;
}

static int try_paths(void **state)
{
    char *parts[] = { ta_path_dir("a/b.c"), ta_path_stem("a/b.c"), ta_path_join("a", "b") };
    int ret = parts[0] && parts[1] && parts[2] ? 0 : TA_ERR_AGAIN;

    for (int i = 0; i < 3; i++)
        ta_free(parts[i]);
    return ret;
}

static int try_sha256_file(void **state)
{
    ta_error err = { 0 };
    char hex[65];
    int ret = ta_sha256_file("/dev/null", hex, NULL, &err);

    assert_int_equal(err.code, ret);
    return ret;
}

static int try_job_folder_in(void **state, const char *work_dir)
{
    ta_error err = { 0 };
    ta_job_folder *f = NULL;
    int ret = ta_job_folder_open(&f, in(state, "t"), work_dir, &err);

    assert_int_equal(err.code, ret);
    if (ret) {
        assert_null(f);
        assert_string_equal(err.text[0], "out of memory");
        return ret;
    }
    char *path = ta_job_folder_file(f, "data");
    ta_free(path);
    ta_job_folder_close(&f, false);
    assert_false(exists(in(state, ".t.terminalai")));
    return path ? 0 : TA_ERR_AGAIN;
}

static int try_job_folder(void **state)
{
    return try_job_folder_in(state, NULL);
}

static int try_work_folder(void **state)
{
    return try_job_folder_in(state, in(state, "w"));
}

static int try_clean_stale(void **state)
{
    const struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };

    mkdir(in(state, ".t.terminalai"), 0777);
    put_file(in(state, ".t.terminalai/lock"), "");
    utimensat(AT_FDCWD, in(state, ".t.terminalai/lock"), times, 0);
    return ta_job_folder_clean_stale(*state) == 1 ? 0 : TA_ERR_AGAIN;
}

static const struct {
    const char *name;
    attempt fn;
    bool may_succeed; /* a failed allocation is made good or does no harm */
} attempts[] = {
    { "buffer", try_buf, false },
    { "format", try_format, false },
    { "cancel", try_cancel, false },
    { "queue", try_queue, false },
    { "pool", try_pool, false },
    { "write_file", try_write_file, false },
    { "write_file through a link", try_write_link, false },
    { "read_file", try_read_file, false },
    { "lock", try_lock, false },
    { "mkdirs", try_mkdirs, false },
    { "free_space", try_free_space, false },
    { "paths", try_paths, false },
    { "sha256_file", try_sha256_file, false },
    { "job folder", try_job_folder, true }, /* noting files for the last moment is a courtesy */
    { "work folder", try_work_folder, true },
    { "clean_stale", try_clean_stale, false },
};

static void fails_cleanly(void **state)
{
    char *top = *state;

    for (size_t i = 0; i < TA_COUNT(attempts); i++) {
        char *dir = ta_format("%s/%zu", top, i);
        void *own = dir;
        mkdir(dir, 0777);
        ta_alloc_fail_at(0);
        assert_int_equal(attempts[i].fn(&own), 0);
        uint64_t n = ta_alloc_fail_at(0);
        assert_true(n > 0);
        for (uint64_t k = 1; k <= n; k++) {
            ta_alloc_fail_at(k);
            int ret = attempts[i].fn(&own);
            ta_alloc_fail_at(0);
            if (ret != TA_ERR_AGAIN && !(attempts[i].may_succeed && !ret))
                fail_msg("%s gave %d when allocation %d of %d failed", attempts[i].name, ret, (int)k, (int)n);
        }
        assert_int_equal(attempts[i].fn(&own), 0); /* and works again */
        ta_free(dir);
    }
}

/* The log needs no memory. */
static void log_allocates_nothing(void **state)
{
    ta_log_setup(TA_LOG_ERROR, true);
    ta_alloc_fail_at(0);
    ta_log(TA_LOG_ERROR, "test", "this line belongs to the test");
    assert_int_equal(ta_alloc_fail_at(0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(fails_cleanly),
        cmocka_unit_test(log_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
