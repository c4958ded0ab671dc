/* What the unit tests of base share: cmocka, a scratch folder for each test, files in it, threads, private mounts. */
#ifndef BASE_TEST_H
#define BASE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"

/* Fixture: *state is the path of an empty folder of its own (malloc). */
static inline int make_scratch(void **state)
{
    const char *tmp = getenv("TMPDIR");
    char *path = malloc(512);

    snprintf(path, 512, "%s/ta-test-XXXXXX", tmp ? tmp : "/tmp");
    *state = mkdtemp(path);
    return *state ? 0 : -1;
}

static inline int remove_scratch(void **state)
{
    int ret = ta_remove_tree(*state, NULL);
    free(*state);
    return ret;
}

#define SCRATCH_TEST(f) cmocka_unit_test_setup_teardown(f, make_scratch, remove_scratch)

/* "DIR/NAME" in one of several static buffers: for the main thread only. */
static inline const char *in(void **state, const char *name)
{
    static char paths[8][1024];
    static unsigned next;
    char *p = paths[next++ % 8];

    snprintf(p, sizeof(paths[0]), "%s/%s", (const char *)*state, name);
    return p;
}

static inline void put_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fputs(text, f) >= 0, 1);
    assert_int_equal(fclose(f), 0);
}

static inline void assert_content(const char *path, const char *text)
{
    char *data = NULL;
    size_t size = 0;

    assert_int_equal(ta_read_file(path, 1 << 20, &data, &size, NULL), 0);
    assert_int_equal(size, strlen(text));
    assert_string_equal(data, text);
    ta_free(data);
}

/* How many entries a folder has but "." and "..". */
static inline int entries(const char *path)
{
    int n = -2;
    DIR *dir = opendir(path);

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static inline bool exists(const char *path)
{
    struct stat st;
    return !lstat(path, &st);
}

/* Runs `fn` in a child process and returns its exit status, -1 when it was killed. */
static inline int in_child(int (*fn)(void *), void *arg)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (!pid)
        _exit(fn(arg));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A status as a child's exit status can carry it. */
enum { CANT_MOUNT = 250 };

/* For a child: mounts a tmpfs with `options` on `path`, seen by this process alone. */
static inline bool mount_private(const char *path, const char *options)
{
    int flags = geteuid() ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS;
    return !unshare(flags) && !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
           !mount("tmpfs", path, "tmpfs", 0, options);
}

/* Waits until *flag is `value`; fails after ten seconds. */
static inline void await_int(atomic_int *flag, int value)
{
    int64_t end = ta_now_us() + 10000000;
    while (atomic_load(flag) != value) {
        assert_true(ta_now_us() < end);
        ta_sleep_us(200);
    }
}

static inline pthread_t start(void *(*fn)(void *), void *arg)
{
    pthread_t id;
    assert_int_equal(pthread_create(&id, NULL, fn, arg), 0);
    return id;
}

#endif
