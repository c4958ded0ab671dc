/* Files, folders, paths, locks, hashes, the space monitor. */
#include "base_test.h"

#include <sys/resource.h>

static void paths(void **state)
{
    static const struct {
        const char *path, *dir, *base, *stem, *ext;
    } rows[] = {
        { "a", ".", "a", "a", "" },
        { "/a", "/", "a", "a", "" },
        { "x/tape.part.mpg", "x", "tape.part.mpg", "tape.part", "mpg" },
        { "/x//y.mkv", "/x", "y.mkv", "y", "mkv" },
        { "x.d/tape", "x.d", "tape", "tape", "" },
        { ".hidden", ".", ".hidden", ".hidden", "" },
        { "x/.hidden.mkv", "x", ".hidden.mkv", ".hidden", "mkv" },
        { "a/b/", "a/b", "", "", "" },
        { "//", "/", "", "", "" },
        { "end.", ".", "end.", "end.", "" },
        { "", ".", "", "", "" },
    };

    for (size_t i = 0; i < TA_COUNT(rows); i++) {
        char *dir = ta_path_dir(rows[i].path), *stem = ta_path_stem(rows[i].path);
        assert_string_equal(dir, rows[i].dir);
        assert_string_equal(stem, rows[i].stem);
        assert_string_equal(ta_path_base(rows[i].path), rows[i].base);
        assert_string_equal(ta_path_ext(rows[i].path), rows[i].ext);
        ta_free(dir);
        ta_free(stem);
    }
    static const char *const joins[][3] = {
        { "a", "b", "a/b" }, { "a/", "b", "a/b" }, { "", "b", "b" }, { "/", "b", "/b" }, { "a", "/b", "/b" }
    };
    for (size_t i = 0; i < TA_COUNT(joins); i++) {
        char *s = ta_path_join(joins[i][0], joins[i][1]);
        assert_string_equal(s, joins[i][2]);
        ta_free(s);
    }
}

static void errno_becomes_status(void **state)
{
    static const struct {
        int errnum, reading, creating;
    } rows[] = {
        { ENOSPC, TA_ERR_AGAIN, TA_ERR_AGAIN },
        { EDQUOT, TA_ERR_AGAIN, TA_ERR_AGAIN },
        { ENOMEM, TA_ERR_AGAIN, TA_ERR_AGAIN },
        { ENOENT, TA_ERR_NOINPUT, TA_ERR_CANTCREATE },
        { ENOTDIR, TA_ERR_NOINPUT, TA_ERR_CANTCREATE },
        { EROFS, TA_ERR_NOPERM, TA_ERR_CANTCREATE },
        { EACCES, TA_ERR_NOPERM, TA_ERR_NOPERM },
        { EPERM, TA_ERR_NOPERM, TA_ERR_NOPERM },
        { EIO, TA_ERR_IO, TA_ERR_IO },
        { EEXIST, TA_ERR_IO, TA_ERR_CANTCREATE },
    };
    ta_error err;

    for (size_t i = 0; i < TA_COUNT(rows); i++) {
        assert_int_equal(ta_fail_errno(&err, rows[i].errnum, false, "can't open", "x"), rows[i].reading);
        assert_int_equal(err.code, rows[i].reading);
        assert_int_equal(ta_fail_errno(&err, rows[i].errnum, true, "can't open", "x"), rows[i].creating);
    }
    ta_fail_errno(&err, EACCES, false, "can't open", "tape.mpg");
    assert_string_equal(err.text[0], "can't open 'tape.mpg': Permission denied");
    assert_true(strlen(err.hint) > 10);
    assert_int_equal(ta_fail_errno(NULL, ENOENT, false, "can't open", "x"), TA_ERR_NOINPUT);
}

static int read_status(const char *path, size_t max)
{
    char *data = (char *)1;
    size_t size = 1;
    ta_error err;
    int ret = ta_read_file(path, max, &data, &size, &err);

    if (ret) {
        assert_null(data);
        assert_int_equal(size, 0);
        assert_int_equal(err.code, ret);
    }
    ta_free(data);
    return ret;
}

static void reads_whole_files(void **state)
{
    const char *path = in(state, "f");
    char *data;
    size_t size;

    put_file(path, "");
    assert_content(path, "");
    put_file(path, "0123456789");
    assert_content(path, "0123456789");
    assert_int_equal(read_status(path, 10), 0);
    assert_int_equal(read_status(path, 9), TA_ERR_DATA);
    assert_int_equal(read_status(path, 0), TA_ERR_DATA);
    assert_int_equal(read_status(path, SIZE_MAX), 0);
    assert_int_equal(read_status(*state, 10), TA_ERR_NOINPUT); /* a folder */
    assert_int_equal(read_status(in(state, "none"), 10), TA_ERR_NOINPUT);
    assert_int_equal(read_status(in(state, "f/x"), 10), TA_ERR_NOINPUT);
    /* A huge file is refused without memory for all of it. */
    put_file(in(state, "huge"), "");
    if (!truncate(in(state, "huge"), (off_t)8 << 40))
        assert_int_equal(read_status(in(state, "huge"), 10), TA_ERR_DATA);
    /* Files of /proc say that they are empty. */
    assert_int_equal(ta_read_file("/proc/self/status", 1 << 20, &data, &size, NULL), 0);
    assert_true(size > 200 && strlen(data) == size);
    ta_free(data);
    assert_int_equal(read_status("/proc/self/status", 100), TA_ERR_DATA);
    /* Binary, and larger than the first guess of a growing buffer */
    FILE *f = fopen(path, "w");
    for (int i = 0; i < 100000; i++)
        fputc(i & 0xFF, f);
    fclose(f);
    assert_int_equal(ta_read_file(path, 100000, &data, &size, NULL), 0);
    assert_int_equal(size, 100000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal((unsigned char)data[i], i & 0xFF);
    assert_int_equal(data[size], 0);
    ta_free(data);
}

/* Rights don't bind root, so the child becomes somebody else. */
static int read_forbidden(void *path)
{
    if (!geteuid() && (setgid(65534) || setuid(65534)))
        return CANT_MOUNT;
    return -ta_read_file(path, 100, &(char *){ NULL }, &(size_t){ 0 }, NULL);
}

static void unreadable_is_not_allowed(void **state)
{
    char *path = ta_path_join(*state, "secret");

    put_file(path, "x");
    assert_int_equal(chmod(*state, 0755), 0);
    assert_int_equal(chmod(path, 0), 0);
    assert_int_equal(in_child(read_forbidden, path), -TA_ERR_NOPERM);
    ta_free(path);
}

static void makes_folders(void **state)
{
    ta_error err;

    assert_int_equal(ta_mkdirs(in(state, "a/b//c/"), &err), 0);
    assert_true(ta_is_dir(in(state, "a/b/c")));
    assert_int_equal(ta_mkdirs(in(state, "a/b/c"), &err), 0);
    assert_int_equal(ta_mkdirs("/", &err), 0);
    assert_int_equal(ta_mkdirs(".", &err), 0);
    put_file(in(state, "a/file"), "");
    assert_int_equal(ta_mkdirs(in(state, "a/file"), &err), TA_ERR_CANTCREATE);
    assert_int_equal(ta_mkdirs(in(state, "a/file/x"), &err), TA_ERR_CANTCREATE);
    assert_int_equal(ta_mkdirs("/proc/x/y", &err), TA_ERR_CANTCREATE);
    assert_int_equal(symlink("b", in(state, "a/link")), 0);
    assert_int_equal(ta_mkdirs(in(state, "a/link/d"), &err), 0);
    assert_true(ta_is_dir(in(state, "a/b/d")));
    mode_t old = umask(027);
    ta_mkdirs(in(state, "masked"), NULL);
    umask(old);
    struct stat st;
    assert_int_equal(stat(in(state, "masked"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0750);
}

static void removes_trees_not_what_they_link_to(void **state)
{
    ta_mkdirs(in(state, "outside"), NULL);
    put_file(in(state, "outside/precious"), "x");
    ta_mkdirs(in(state, "tree/deep/er"), NULL);
    put_file(in(state, "tree/deep/er/f"), "12345");
    put_file(in(state, "tree/g"), "123");
    assert_int_equal(symlink("../../outside", in(state, "tree/deep/link")), 0);
    assert_int_equal(symlink("../outside/precious", in(state, "tree/link2")), 0);
    assert_int_equal(symlink("nowhere", in(state, "tree/dangling")), 0);
    assert_int_equal(ta_tree_size(in(state, "tree")), 8);
    assert_int_equal(ta_tree_size(in(state, "tree/g")), 3);
    assert_int_equal(ta_tree_size(in(state, "tree/link2")), 0);
    assert_int_equal(ta_tree_size(in(state, "none")), 0);
    assert_int_equal(ta_remove_tree(in(state, "tree"), NULL), 0);
    assert_false(exists(in(state, "tree")));
    assert_content(in(state, "outside/precious"), "x");
    assert_int_equal(ta_remove_tree(in(state, "tree"), NULL), 0); /* gone already */
    /* A link to a folder is removed, not the folder. */
    assert_int_equal(symlink("outside", in(state, "l")), 0);
    assert_int_equal(ta_remove_tree(in(state, "l"), NULL), 0);
    assert_content(in(state, "outside/precious"), "x");
    assert_int_equal(ta_remove_tree(in(state, "outside/precious"), NULL), 0);
    assert_int_equal(entries(in(state, "outside")), 0);
    ta_error err;
    assert_int_not_equal(ta_remove_tree("/proc/self/status", &err), 0);
    assert_int_equal(err.depth, 1);
}

static void asks_about_files(void **state)
{
    put_file(in(state, "a"), "1234");
    assert_int_equal(link(in(state, "a"), in(state, "b")), 0);
    assert_int_equal(symlink("a", in(state, "c")), 0);
    put_file(in(state, "d"), "1234");
    assert_true(ta_same_file(in(state, "a"), in(state, "b")));
    assert_true(ta_same_file(in(state, "a"), in(state, "c")));
    assert_true(ta_same_file(in(state, "a"), in(state, "./a")));
    assert_false(ta_same_file(in(state, "a"), in(state, "d")));
    assert_false(ta_same_file(in(state, "a"), in(state, "none")));
    assert_false(ta_same_file(in(state, "none"), in(state, "none")));
    assert_true(ta_is_dir(*state));
    assert_false(ta_is_dir(in(state, "a")));
    assert_false(ta_is_dir(in(state, "none")));
    assert_int_equal(ta_file_size(in(state, "c")), 4);
    assert_int_equal(ta_file_size(in(state, "none")), -1);
    assert_int_equal(ta_file_size(*state), -1);
    int64_t here = ta_free_space(*state);
    assert_true(here > 0);
    /* Not there yet: its nearest parent counts. */
    assert_true(llabs(ta_free_space(in(state, "x/y/z")) - here) < 1 << 30);
    assert_true(ta_free_space("a-name-that-is-not-there") > 0);
    assert_true(ta_free_space("/not/there") > 0);
}

static int take_in_child(void *path)
{
    ta_lock *lock = NULL;
    int ret = ta_lock_take(&lock, path, NULL);
    ta_lock_drop(&lock);
    return -ret;
}

static int take_and_die(void *path)
{
    ta_lock *lock = NULL;
    if (ta_lock_take(&lock, path, NULL))
        return 1;
    kill(getpid(), SIGKILL);
    return 2;
}

static void locks_exclude(void **state)
{
    char *path = ta_path_join(*state, "lock");
    ta_lock *lock = NULL, *second = NULL;
    ta_error err;

    assert_int_equal(ta_lock_take(&lock, path, &err), 0);
    assert_int_equal(ta_lock_take(&second, path, &err), TA_ERR_AGAIN); /* this process too */
    assert_null(second);
    assert_non_null(strstr(err.text[0], path));
    assert_int_equal(in_child(take_in_child, path), -TA_ERR_AGAIN);
    ta_lock_drop(&lock);
    assert_null(lock);
    ta_lock_drop(&lock);
    ta_lock_drop(NULL);
    assert_int_equal(in_child(take_in_child, path), 0);
    assert_int_equal(in_child(take_and_die, path), -1); /* the lock ends with the process */
    assert_int_equal(ta_lock_take(&lock, path, &err), 0);
    /* A lock whose file was removed and made again by somebody binds nobody. */
    unlink(path);
    assert_int_equal(ta_lock_take(&second, path, &err), 0);
    ta_lock_drop(&second);
    ta_lock_drop(&lock);
    assert_int_equal(ta_lock_take(&lock, in(state, "none/lock"), &err), TA_ERR_CANTCREATE);
    assert_int_equal(symlink("lock", in(state, "link")), 0);
    assert_int_not_equal(ta_lock_take(&lock, in(state, "link"), &err), 0); /* no link is followed */
    ta_free(path);
}

/* The examples of FIPS 180-4 (NIST's "Examples with intermediate values" and the SHA test vectors). */
static const struct {
    const char *text;
    size_t repeat;
    const char *hex;
} vectors[] = {
    { "", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
    { "abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
    { "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrst"
      "u",
      1, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1" },
    { "a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
};

static void sha256_vectors(void **state)
{
    char hex[65], of_file[65];
    const char *path = in(state, "f");

    for (size_t v = 0; v < TA_COUNT(vectors); v++) {
        ta_sha256 *h = ta_sha256_new();
        FILE *f = fopen(path, "w");
        for (size_t i = 0; i < vectors[v].repeat; i++) {
            ta_sha256_add(h, vectors[v].text, strlen(vectors[v].text));
            fputs(vectors[v].text, f);
        }
        fclose(f);
        ta_sha256_end(&h, hex);
        assert_null(h);
        assert_string_equal(hex, vectors[v].hex);
        assert_int_equal(ta_sha256_file(path, of_file, NULL, NULL), 0);
        assert_string_equal(of_file, vectors[v].hex);
    }
    ta_sha256 *h = ta_sha256_new();
    ta_sha256_drop(&h);
    assert_null(h);
    ta_sha256_drop(&h);
    ta_error err;
    assert_int_equal(ta_sha256_file(in(state, "none"), hex, NULL, &err), TA_ERR_NOINPUT);
    assert_string_equal(hex, "");
    assert_int_equal(ta_sha256_file(*state, hex, NULL, &err), TA_ERR_NOINPUT);
    ta_cancel *c = ta_cancel_new(NULL);
    assert_int_equal(ta_sha256_file(path, hex, c, &err), 0);
    ta_cancel_set(c);
    assert_int_equal(ta_sha256_file(path, hex, c, &err), TA_ERR_CANCELLED);
    assert_string_equal(hex, "");
    ta_cancel_free(&c);
}

static void space_monitor(void **state)
{
    ta_space s = { .folder = *state };
    ta_error err;

    assert_int_equal(ta_space_check(&s, &err), 0); /* no reserve, no limit */
    put_file(in(state, "f"), "12345678901");
    s = (ta_space){ .folder = *state, .limit = 11 };
    assert_int_equal(ta_space_check(&s, &err), 0);
    s.limit = 10;
    assert_int_equal(ta_space_check(&s, &err), 0); /* within a second: not looked at again */
    s.next_check_us = 0;
    assert_int_equal(ta_space_check(&s, &err), TA_ERR_AGAIN);
    assert_non_null(strstr(err.text[0], "11 B"));
    assert_non_null(strstr(err.text[0], "10 B"));
    assert_true(err.hint[0]);
    assert_int_equal(ta_space_check(&s, &err), TA_ERR_AGAIN); /* a failure is told to everybody */
    s = (ta_space){ .folder = *state, .reserve = INT64_MAX };
    assert_int_equal(ta_space_check(&s, &err), TA_ERR_AGAIN);
    assert_non_null(strstr(err.text[0], "8.0 EiB"));
    assert_int_equal(ta_space_check(&s, NULL), TA_ERR_AGAIN);
}

static void *check_space(void *s)
{
    for (int i = 0; i < 2000; i++)
        ta_space_check(s, NULL);
    return NULL;
}

static void space_monitor_of_several_writers(void **state)
{
    ta_space s = { .folder = *state, .limit = 1 << 20 };
    pthread_t ids[3];

    for (int i = 0; i < 3; i++)
        ids[i] = start(check_space, &s);
    for (int i = 0; i < 3; i++)
        pthread_join(ids[i], NULL);
    assert_true(s.next_check_us > ta_now_us() - 5000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths),
        cmocka_unit_test(errno_becomes_status),
        SCRATCH_TEST(reads_whole_files),
        SCRATCH_TEST(unreadable_is_not_allowed),
        SCRATCH_TEST(makes_folders),
        SCRATCH_TEST(removes_trees_not_what_they_link_to),
        SCRATCH_TEST(asks_about_files),
        SCRATCH_TEST(locks_exclude),
        SCRATCH_TEST(sha256_vectors),
        SCRATCH_TEST(space_monitor),
        SCRATCH_TEST(space_monitor_of_several_writers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
