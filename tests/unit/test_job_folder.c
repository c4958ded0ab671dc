/* The job folder: its place, its lock, its end. */
#include "base_test.h"

#include <limits.h>

static ta_job_folder *open_folder(const char *output, const char *work_dir)
{
    ta_job_folder *f = NULL;
    ta_error err = { 0 };

    if (ta_job_folder_open(&f, output, work_dir, &err))
        fail_msg("%s", err.text[0]);
    return f;
}

static void lies_beside_the_output(void **state)
{
    ta_job_folder *f = open_folder(in(state, "tape.mkv"), NULL);

    assert_string_equal(ta_job_folder_path(f), in(state, ".tape.mkv.terminalai"));
    assert_true(ta_is_dir(ta_job_folder_path(f)));
    char *path = ta_job_folder_file(f, "audio.spool");
    assert_string_equal(path, in(state, ".tape.mkv.terminalai/audio.spool"));
    assert_false(exists(path));
    put_file(path, "x");
    ta_free(path);
    ta_mkdirs(in(state, ".tape.mkv.terminalai/deep/er"), NULL);
    ta_job_folder_close(&f, false);
    assert_null(f);
    assert_int_equal(entries(*state), 0);
    ta_job_folder_close(&f, false);
    ta_job_folder_close(NULL, false);
}

static void kept_and_taken_over(void **state)
{
    for (int round = 0; round < 3; round++) {
        ta_job_folder *f = open_folder(in(state, "t"), NULL);
        char *path = ta_job_folder_file(f, "segment-1");
        assert_int_equal(exists(path), round > 0);
        put_file(path, "done");
        ta_free(path);
        ta_job_folder_close(&f, round < 2);
        assert_int_equal(exists(in(state, ".t.terminalai/segment-1")), round < 2);
    }
    assert_int_equal(entries(*state), 0);
}

static int open_in_child(void *output)
{
    ta_job_folder *f = NULL;
    int ret = ta_job_folder_open(&f, output, NULL, NULL);
    ta_job_folder_close(&f, true);
    return -ret;
}

static int open_and_die(void *output)
{
    ta_job_folder *f = NULL;
    if (!ta_job_folder_open(&f, output, NULL, NULL))
        kill(getpid(), SIGKILL);
    return 1;
}

static void one_run_at_a_time(void **state)
{
    char *output = ta_path_join(*state, "t.mkv");
    ta_job_folder *f = open_folder(output, NULL), *second = NULL;
    ta_error err;

    assert_int_equal(ta_job_folder_open(&second, output, NULL, &err), TA_ERR_AGAIN);
    assert_null(second);
    assert_non_null(strstr(err.text[0], "another run works on this output"));
    assert_non_null(strstr(err.text[0], output));
    assert_true(err.hint[0]);
    assert_int_equal(in_child(open_in_child, output), -TA_ERR_AGAIN);
    assert_true(ta_is_dir(ta_job_folder_path(f))); /* the refused ones left it alone */
    ta_job_folder_close(&f, true);
    assert_int_equal(in_child(open_and_die, output), -1); /* SIGKILL */
    f = open_folder(output, NULL);
    ta_job_folder_close(&f, false);
    assert_int_equal(entries(*state), 0);
    ta_free(output);
}

static void work_folder(void **state)
{
    ta_mkdirs(in(state, "a"), NULL);
    ta_mkdirs(in(state, "b"), NULL);
    ta_job_folder *a = open_folder(in(state, "a/t.mkv"), in(state, "w/x")), *same = NULL;
    ta_job_folder *b = open_folder(in(state, "b/t.mkv"), in(state, "w/x")); /* not the same output */

    assert_int_equal(entries(in(state, "w/x")), 2);
    assert_int_equal(entries(in(state, "a")), 0);
    assert_memory_equal(ta_path_base(ta_job_folder_path(a)), ".t.mkv-", 7);
    assert_true(ta_ends(ta_job_folder_path(a), ".terminalai"));
    /* The same output written in another way */
    assert_int_equal(ta_job_folder_open(&same, in(state, "b/../a/./t.mkv"), in(state, "w/x"), NULL), TA_ERR_AGAIN);
    ta_job_folder_close(&a, false);
    ta_job_folder_close(&b, false);
    assert_int_equal(entries(in(state, "w/x")), 0);
}

static void bad_places(void **state)
{
    ta_job_folder *f = (ta_job_folder *)1;
    ta_error err;

    assert_int_equal(ta_job_folder_open(&f, in(state, "none/t"), NULL, &err), TA_ERR_CANTCREATE);
    assert_null(f);
    put_file(in(state, ".t.terminalai"), "");
    assert_int_equal(ta_job_folder_open(&f, in(state, "t"), NULL, &err), TA_ERR_CANTCREATE);
    ta_mkdirs(in(state, "elsewhere"), NULL);
    put_file(in(state, "elsewhere/precious"), "x");
    assert_int_equal(symlink("elsewhere", in(state, ".l.terminalai")), 0);
    assert_int_equal(ta_job_folder_open(&f, in(state, "l"), NULL, &err), TA_ERR_CANTCREATE);
    assert_int_equal(entries(in(state, "elsewhere")), 1);
    assert_int_equal(ta_job_folder_open(&f, in(state, "t"), in(state, ".t.terminalai"), &err), TA_ERR_CANTCREATE);
}

static void long_names(void **state)
{
    char name[NAME_MAX + 1];
    ta_job_folder *f[2];

    memset(name, 'n', NAME_MAX);
    name[NAME_MAX] = '\0';
    for (int i = 0; i < 2; i++) {
        name[NAME_MAX - 1] = (char)('a' + i); /* differ at the end only */
        f[i] = open_folder(in(state, name), NULL);
    }
    assert_int_equal(entries(*state), 2);
    for (int i = 0; i < 2; i++)
        ta_job_folder_close(&f[i], false);
    assert_int_equal(entries(*state), 0);
}

static void age(const char *path, int days)
{
    struct timespec t = { .tv_sec = time(NULL) - days * 86400 - 60 };
    struct timespec times[2] = { t, t };
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void cleans_what_is_stale(void **state)
{
    static const char *const names[] = { "old", "young", "held" };

    for (int i = 0; i < 3; i++) {
        ta_job_folder *f = open_folder(in(state, names[i]), NULL);
        char *path = ta_job_folder_file(f, "data");
        put_file(path, "x");
        ta_free(path);
        ta_job_folder_close(&f, true);
    }
    ta_job_folder *held = open_folder(in(state, "held"), NULL);
    age(in(state, ".old.terminalai/lock"), 7);
    age(in(state, ".young.terminalai/lock"), 6);
    age(in(state, ".held.terminalai/lock"), 30);
    ta_mkdirs(in(state, ".foreign.terminalai"), NULL);
    put_file(in(state, ".foreign.terminalai/data"), "x"); /* no lock file: not known to be ours */
    age(in(state, ".foreign.terminalai"), 30);
    ta_mkdirs(in(state, "visible.terminalai"), NULL);
    age(in(state, "visible.terminalai"), 30);
    assert_int_equal(symlink(".old.terminalai", in(state, ".link.terminalai")), 0);
    put_file(in(state, ".file.terminalai"), "x");
    age(in(state, ".file.terminalai"), 30);

    assert_int_equal(ta_job_folder_clean_stale(*state), 1);
    assert_false(exists(in(state, ".old.terminalai")));
    assert_true(exists(in(state, ".young.terminalai/data")));
    assert_true(exists(in(state, ".held.terminalai/data")));
    assert_true(exists(in(state, ".foreign.terminalai/data")));
    assert_true(exists(in(state, "visible.terminalai")));
    assert_true(exists(in(state, ".link.terminalai")));
    assert_true(exists(in(state, ".file.terminalai")));
    ta_job_folder_close(&held, true);
    assert_int_equal(ta_job_folder_clean_stale(*state), 1); /* the held one, now free */
    /* Use makes it young again. */
    age(in(state, ".young.terminalai/lock"), 30);
    ta_job_folder *f = open_folder(in(state, "young"), NULL);
    ta_job_folder_close(&f, true);
    assert_int_equal(ta_job_folder_clean_stale(*state), 0);
    assert_int_equal(ta_job_folder_clean_stale(in(state, "none")), 0);
}

static void unlink_and_exit(int number)
{
    ta_job_folder_unlink_all();
    _exit(77);
}

static int end_at_once(void *arg)
{
    void **state = arg;
    ta_job_folder *a = NULL, *b = NULL;

    if (ta_job_folder_open(&a, in(state, "a"), NULL, NULL) || ta_job_folder_open(&b, in(state, "b"), NULL, NULL))
        return 1;
    const char *const names[] = { "one", "two", "two", "never made" };
    for (int i = 0; i < 4; i++) {
        char *path = ta_job_folder_file(a, names[i]);
        FILE *f = i < 3 ? fopen(path, "w") : NULL;
        if (f)
            fclose(f);
        ta_free(path);
    }
    char *kept = ta_job_folder_keep(b, "kept");
    put_file(kept, "x");
    ta_free(kept);
    raise(SIGUSR1);
    return 2;
}

static void unlinks_all_at_the_last_moment(void **state)
{
    struct sigaction action = { .sa_handler = unlink_and_exit }, old;

    sigaction(SIGUSR1, &action, &old);
    assert_int_equal(in_child(end_at_once, state), 77);
    sigaction(SIGUSR1, &old, NULL);
    assert_false(exists(in(state, ".a.terminalai")));
    assert_int_equal(entries(in(state, ".b.terminalai")), 1); /* the file to keep stays */
    assert_true(exists(in(state, ".b.terminalai/kept")));
    /* And in a process that lives on */
    ta_job_folder *f = open_folder(in(state, "c"), NULL);
    ta_job_folder_unlink_all();
    assert_false(exists(in(state, ".c.terminalai")));
    ta_job_folder_close(&f, true);
}

static void more_files_than_are_noted(void **state)
{
    ta_job_folder *f = open_folder(in(state, "t"), NULL);
    char name[16];

    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        char *path = ta_job_folder_file(f, name);
        put_file(path, "x");
        ta_free(path);
    }
    ta_job_folder_close(&f, false);
    assert_int_equal(entries(*state), 0);
    f = open_folder(in(state, "t"), NULL);
    ta_job_folder_unlink_all(); /* the slots came back */
    assert_int_equal(entries(*state), 0);
    ta_job_folder_close(&f, false);
}

/* Runs that come and go: each that gets in is alone, and nobody fails in another way. */
struct crowd {
    const char *output;
    atomic_int inside, together, odd, got_in;
};

/* Makes a few files, and looks whether they are new and stay. */
static bool own_files(ta_job_folder *f)
{
    char name[2] = "a";
    bool good = true;

    for (int round = 0; round < 2; round++) {
        for (name[0] = 'a'; name[0] <= 'j'; name[0]++) {
            char *path = ta_job_folder_file(f, name);
            int fd = open(path, round ? O_RDONLY : O_CREAT | O_EXCL | O_WRONLY, 0600);
            good = good && fd >= 0;
            if (fd >= 0)
                close(fd);
            ta_free(path);
        }
        sched_yield();
    }
    return good;
}

static void *come_and_go(void *opaque)
{
    struct crowd *c = opaque;

    for (int i = 0; i < 300; i++) {
        ta_job_folder *f = NULL;
        int ret = ta_job_folder_open(&f, c->output, NULL, NULL);
        if (ret && ret != TA_ERR_AGAIN)
            atomic_fetch_add(&c->odd, 1);
        if (ret)
            continue;
        if (atomic_fetch_add(&c->inside, 1))
            atomic_fetch_add(&c->together, 1);
        atomic_fetch_add(&c->got_in, 1);
        if (!own_files(f))
            atomic_fetch_add(&c->odd, 1);
        atomic_fetch_sub(&c->inside, 1);
        ta_job_folder_close(&f, false);
    }
    return NULL;
}

static void crowd(void **state)
{
    struct crowd c = { .output = in(state, "t") };
    pthread_t ids[6];

    for (int i = 0; i < 6; i++)
        ids[i] = start(come_and_go, &c);
    for (int i = 0; i < 6; i++)
        pthread_join(ids[i], NULL);
    assert_int_equal(c.odd, 0);
    assert_int_equal(c.together, 0);
    assert_true(c.got_in > 10);
    assert_int_equal(entries(*state), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(lies_beside_the_output),
        SCRATCH_TEST(kept_and_taken_over),
        SCRATCH_TEST(one_run_at_a_time),
        SCRATCH_TEST(work_folder),
        SCRATCH_TEST(bad_places),
        SCRATCH_TEST(long_names),
        SCRATCH_TEST(cleans_what_is_stale),
        SCRATCH_TEST(unlinks_all_at_the_last_moment),
        SCRATCH_TEST(more_files_than_are_noted),
        SCRATCH_TEST(crowd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
