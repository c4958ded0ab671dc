/* Atomic publish: the target appears whole or not at all, nothing is left behind, nothing is replaced unasked. */
#include "base_test.h"

#include <limits.h>
#include <sys/resource.h>

#include "base/publish.h"

static void appears_whole(void **state)
{
    const char *path = in(state, "tape.mkv");
    ta_publish *p = NULL;
    ta_error err;
    struct stat st;

    mode_t old = umask(022);
    assert_int_equal(ta_publish_open(&p, path, false, &err), 0);
    umask(old);
    assert_string_equal(ta_publish_path(p), path);
    assert_memory_equal(ta_publish_temp(p), in(state, ".tape.mkv.tmp-"), strlen(in(state, ".tape.mkv.tmp-")));
    assert_string_equal(ta_path_ext(ta_publish_temp(p)), "mkv");
    assert_false(exists(path));
    put_file(ta_publish_temp(p), "whole");
    assert_false(exists(path));
    assert_int_equal(ta_publish_commit(&p, &err), 0);
    assert_null(p);
    ta_publish_abort(&p);
    ta_publish_abort(NULL);
    assert_content(path, "whole");
    assert_int_equal(entries(*state), 1);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644); /* as the umask says, not 0600 */
}

static void abort_leaves_nothing(void **state)
{
    ta_publish *p = NULL;

    assert_int_equal(ta_publish_open(&p, in(state, "a"), false, NULL), 0);
    put_file(ta_publish_temp(p), "half");
    ta_publish_abort(&p);
    assert_null(p);
    assert_int_equal(entries(*state), 0);
}

static void existing_target_is_refused(void **state)
{
    const char *path = in(state, "t.mkv");
    ta_publish *p = (ta_publish *)1;
    ta_error err;

    put_file(path, "old");
    assert_int_equal(ta_publish_open(&p, path, false, &err), TA_ERR_CANTCREATE);
    assert_null(p);
    assert_non_null(strstr(err.hint, "--overwrite"));
    assert_int_equal(ta_write_file(path, "new", 3, false, &err), TA_ERR_CANTCREATE);
    assert_content(path, "old");
    assert_int_equal(ta_write_file(path, "new", 3, true, &err), 0);
    assert_content(path, "new");
    assert_int_equal(entries(*state), 1);
    /* A dangling link is in the way too. */
    assert_int_equal(symlink("nowhere", in(state, "l")), 0);
    assert_int_equal(ta_write_file(in(state, "l"), "x", 1, false, &err), TA_ERR_CANTCREATE);
}

/* The target appears between open and commit. */
static void late_target_is_refused(void **state)
{
    const char *path = in(state, "t.mkv");
    ta_publish *p = NULL;
    ta_error err;

    assert_int_equal(ta_publish_open(&p, path, false, &err), 0);
    put_file(ta_publish_temp(p), "ours");
    put_file(path, "theirs");
    assert_int_equal(ta_publish_commit(&p, &err), TA_ERR_CANTCREATE);
    assert_non_null(p);
    ta_publish_abort(&p);
    assert_content(path, "theirs");
    assert_int_equal(entries(*state), 1);
}

struct race {
    const char *path;
    pthread_barrier_t barrier;
    atomic_int won, lost, odd;
};

static void *race_once(void *opaque)
{
    struct race *r = opaque;
    ta_publish *p = NULL;
    int ret = ta_publish_open(&p, r->path, false, NULL);

    pthread_barrier_wait(&r->barrier);
    if (!ret)
        ret = ta_publish_commit(&p, NULL);
    ta_publish_abort(&p);
    atomic_fetch_add(!ret ? &r->won : ret == TA_ERR_CANTCREATE ? &r->lost : &r->odd, 1);
    return NULL;
}

static void one_of_many_wins(void **state)
{
    for (int round = 0; round < 20; round++) {
        struct race r = { .path = in(state, "prize") };
        pthread_t ids[6];
        pthread_barrier_init(&r.barrier, NULL, 6);
        for (int i = 0; i < 6; i++)
            ids[i] = start(race_once, &r);
        for (int i = 0; i < 6; i++)
            pthread_join(ids[i], NULL);
        pthread_barrier_destroy(&r.barrier);
        assert_int_equal(r.won, 1);
        assert_int_equal(r.lost, 5);
        assert_int_equal(r.odd, 0);
        assert_int_equal(entries(*state), 1);
        unlink(r.path);
    }
}

/* Both ways of renaming without replacing. */
static void rename_never_replaces(void **state)
{
    int (*const ways[])(const char *, const char *) = { ta_rename_new, ta_link_new };

    for (size_t i = 0; i < TA_COUNT(ways); i++) {
        put_file(in(state, "from"), "new");
        put_file(in(state, "to"), "old");
        assert_int_equal(ways[i](in(state, "from"), in(state, "to")), EEXIST);
        assert_content(in(state, "to"), "old");
        assert_content(in(state, "from"), "new");
        unlink(in(state, "to"));
        assert_int_equal(ways[i](in(state, "from"), in(state, "to")), 0);
        assert_content(in(state, "to"), "new");
        assert_false(exists(in(state, "from")));
        assert_int_equal(ways[i](in(state, "from"), in(state, "to2")), ENOENT);
    }
}

static void only_plain_files_are_replaced(void **state)
{
    ta_error err;

    ta_mkdirs(in(state, "folder"), NULL);
    assert_int_equal(ta_write_file(in(state, "folder"), "x", 1, true, &err), TA_ERR_CANTCREATE);
    assert_int_equal(ta_write_file(in(state, "folder/"), "x", 1, true, &err), TA_ERR_CANTCREATE);
    assert_int_equal(mkfifo(in(state, "pipe"), 0666), 0);
    assert_int_equal(ta_write_file(in(state, "pipe"), "x", 1, true, &err), TA_ERR_CANTCREATE);
    assert_int_equal(ta_write_file("/dev/null", "x", 1, true, &err), TA_ERR_CANTCREATE);
    struct stat st;
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
    /* Through a link: the link stays. */
    put_file(in(state, "folder/real"), "old");
    assert_int_equal(symlink("folder/real", in(state, "link")), 0);
    assert_int_equal(ta_write_file(in(state, "link"), "new", 3, true, &err), 0);
    assert_content(in(state, "folder/real"), "new");
    assert_int_equal(lstat(in(state, "link"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(entries(in(state, "folder")), 1);
    /* A broken one */
    assert_int_equal(symlink("none/x", in(state, "broken")), 0);
    assert_int_equal(ta_write_file(in(state, "broken"), "x", 1, true, &err), TA_ERR_CANTCREATE);
    assert_int_equal(ta_write_file(in(state, "none/x"), "x", 1, false, &err), TA_ERR_CANTCREATE);
    assert_non_null(strstr(err.hint, "folder"));
}

static void long_names(void **state)
{
    char name[NAME_MAX + 2];
    ta_error err;

    for (size_t len = 200; len <= NAME_MAX; len += 5) {
        memset(name, 'n', len);
        memcpy(name + len - 4, ".mkv", 5);
        assert_int_equal(ta_write_file(in(state, name), "x", 1, false, &err), 0);
        assert_content(in(state, name), "x");
    }
    memset(name, 'n', NAME_MAX + 1);
    name[NAME_MAX + 1] = '\0';
    assert_int_equal(ta_write_file(in(state, name), "x", 1, false, &err), TA_ERR_CANTCREATE);
    /* A long "extension" */
    name[1] = '.';
    name[NAME_MAX] = '\0';
    assert_int_equal(ta_write_file(in(state, name), "x", 1, false, &err), 0);
}

static void temp_of_own_choice(void **state)
{
    ta_publish *p = NULL;
    ta_error err;

    put_file(in(state, "job.tmp"), "stale bytes of an earlier run");
    assert_int_equal(ta_publish_open_as(&p, in(state, "out"), in(state, "job.tmp"), false, &err), 0);
    assert_int_equal(ta_file_size(in(state, "job.tmp")), 0);
    /* A writer that replaces the file is served too. */
    put_file(in(state, "other"), "replaced");
    assert_int_equal(rename(in(state, "other"), in(state, "job.tmp")), 0);
    assert_int_equal(ta_publish_commit(&p, &err), 0);
    assert_content(in(state, "out"), "replaced");
    assert_int_equal(ta_publish_open_as(&p, in(state, "out2"), in(state, "none/x"), false, &err), TA_ERR_CANTCREATE);
    /* Somebody removes it. */
    assert_int_equal(ta_publish_open(&p, in(state, "out3"), false, &err), 0);
    unlink(ta_publish_temp(p));
    assert_int_equal(ta_publish_commit(&p, &err), TA_ERR_IO);
    ta_publish_abort(&p);
    assert_int_equal(entries(*state), 1);
}

static int unlink_all_in_child(void *arg)
{
    ta_publish *p[3] = { 0 };
    void **state = arg;

    for (int i = 0; i < 3; i++) {
        char name[8] = { (char)('a' + i) };
        if (ta_publish_open(&p[i], in(state, name), false, NULL))
            return 1;
    }
    if (entries(*state) != 3 || ta_publish_commit(&p[1], NULL))
        return 2;
    raise(SIGUSR1);
    return 3;
}

static void unlink_and_exit(int number)
{
    ta_publish_unlink_all();
    _exit(77);
}

static void unlinks_all_at_the_last_moment(void **state)
{
    struct sigaction action = { .sa_handler = unlink_and_exit }, old;

    sigaction(SIGUSR1, &action, &old);
    assert_int_equal(in_child(unlink_all_in_child, state), 77);
    sigaction(SIGUSR1, &old, NULL);
    assert_int_equal(entries(*state), 1);
    assert_true(exists(in(state, "b")));
}

static void slots_are_used_again(void **state)
{
    ta_publish *p[65] = { 0 };
    ta_error err;
    char name[16];

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 64; i++) {
            snprintf(name, sizeof(name), "f%d", i);
            assert_int_equal(ta_publish_open(&p[i], in(state, name), false, &err), 0);
        }
        assert_int_equal(ta_publish_open(&p[64], in(state, "more"), false, &err), TA_ERR_AGAIN);
        assert_null(p[64]);
        if (round == 1)
            ta_publish_unlink_all();
        assert_int_equal(entries(*state), round == 1 ? 0 : 64);
        for (int i = 0; i < 64; i++)
            ta_publish_abort(&p[i]);
        assert_int_equal(entries(*state), 0);
    }
}

/* A signal handler on one thread while others publish. */
static atomic_int stop_publishing;

static void *publish_until_stopped(void *path)
{
    while (!atomic_load(&stop_publishing))
        ta_write_file(path, "x", 1, true, NULL);
    return NULL;
}

static void unlink_all_beside_threads(void **state)
{
    char *paths[4];
    pthread_t ids[4];
    ta_publish *p = NULL;

    atomic_store(&stop_publishing, 0);
    for (int i = 0; i < 4; i++) {
        paths[i] = ta_format("%s/f%d", (char *)*state, i);
        ids[i] = start(publish_until_stopped, paths[i]);
    }
    for (int i = 0; i < 200; i++) {
        ta_publish_unlink_all();
        ta_sleep_us(300);
    }
    atomic_store(&stop_publishing, 1);
    for (int i = 0; i < 4; i++) {
        pthread_join(ids[i], NULL);
        ta_free(paths[i]);
    }
    assert_true(entries(*state) <= 4); /* no temporary file is left */
    assert_int_equal(ta_publish_open(&p, in(state, "after"), false, NULL), 0);
    ta_publish_abort(&p);
}

static int fill_disk(void *dir)
{
    static char megabyte[1 << 20];
    char *path;
    ta_error err = { 0 };

    if (!mount_private(dir, "size=256k"))
        return CANT_MOUNT;
    memset(megabyte, 'x', sizeof(megabyte));
    path = ta_path_join(dir, "out");
    int ret = ta_write_file(path, megabyte, sizeof(megabyte), false, &err);
    ta_free(path);
    if (ret != TA_ERR_AGAIN || !err.hint[0] || !strstr(err.text[0], "No space left"))
        return 1;
    if (entries(dir) != 0)
        return 2;
    ta_space s = { .folder = dir, .reserve = 1 << 20 };
    if (ta_space_check(&s, &err) != TA_ERR_AGAIN || ta_free_space(dir) != 256 << 10)
        return 3;
    return 0;
}

static void full_disk(void **state)
{
    int ret = in_child(fill_disk, *state);

    if (ret == CANT_MOUNT)
        skip();
    assert_int_equal(ret, 0);
}

static int write_read_only(void *dir)
{
    ta_error err;

    if (!mount_private(dir, "size=256k,ro"))
        return CANT_MOUNT;
    char *path = ta_path_join(dir, "out");
    int ret = ta_write_file(path, "x", 1, false, &err);
    ta_free(path);
    return -ret;
}

static int write_forbidden(void *dir)
{
    if (chmod(dir, 0555) || (!geteuid() && (setgid(65534) || setuid(65534))))
        return CANT_MOUNT;
    char *path = ta_path_join(dir, "out");
    int ret = ta_write_file(path, "x", 1, false, NULL);
    ta_free(path);
    return -ret;
}

static void read_only_folder(void **state)
{
    assert_int_equal(in_child(write_forbidden, *state), -TA_ERR_NOPERM);
    chmod(*state, 0755);
    int ret = in_child(write_read_only, *state);
    if (ret == CANT_MOUNT)
        skip();
    assert_int_equal(ret, -TA_ERR_CANTCREATE);
}

/* A limit on the size of files, where no mount is needed. */
static int write_too_large(void *dir)
{
    struct rlimit limit = { 1000, 1000 };
    char data[5000] = "", *path = ta_path_join(dir, "out");
    ta_error err;

    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit))
        return 1;
    int ret = ta_write_file(path, data, sizeof(data), false, &err);
    ta_free(path);
    return ret == TA_ERR_IO && strstr(err.hint, "ulimit") && entries(dir) == 0 ? 0 : 2;
}

static void file_size_limit(void **state)
{
    assert_int_equal(in_child(write_too_large, *state), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(appears_whole),
        SCRATCH_TEST(abort_leaves_nothing),
        SCRATCH_TEST(existing_target_is_refused),
        SCRATCH_TEST(late_target_is_refused),
        SCRATCH_TEST(one_of_many_wins),
        SCRATCH_TEST(rename_never_replaces),
        SCRATCH_TEST(only_plain_files_are_replaced),
        SCRATCH_TEST(long_names),
        SCRATCH_TEST(temp_of_own_choice),
        SCRATCH_TEST(unlinks_all_at_the_last_moment),
        SCRATCH_TEST(slots_are_used_again),
        SCRATCH_TEST(unlink_all_beside_threads),
        SCRATCH_TEST(full_disk),
        SCRATCH_TEST(read_only_folder),
        SCRATCH_TEST(file_size_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
