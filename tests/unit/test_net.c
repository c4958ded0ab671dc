/* Downloads from a server with bad manners (tests/lib/web.py), in each of the ways in which a download goes wrong. What
 * should arrive is made here once more, by the same rule as there. */
#include "net/net.h"

#include <openssl/sha.h>
#include <sys/file.h>

#include "web_kit.h"

enum { SIZE = 300000 };

typedef struct kit {
    web web;
    char *folder;
} kit;

/* As body() of web.py: SHA-256 of the seed, of that, and so on. */
static void make_body(const char *seed, unsigned char *out, size_t size)
{
    unsigned char block[32];
    SHA256((const unsigned char *)seed, strlen(seed), block);
    for (size_t at = 0; at < size; at += 32) {
        memcpy(out + at, block, size - at < 32 ? size - at : 32);
        SHA256(block, sizeof block, block);
    }
}

static void digest_of(const char *seed, char hex[65])
{
    static unsigned char data[SIZE];
    ta_sha256 *h = ta_sha256_new();
    make_body(seed, data, SIZE);
    ta_sha256_add(h, data, SIZE);
    ta_sha256_end(&h, hex);
}

static const char *place(kit *k)
{
    return in((void **)&k->folder, "got");
}

static void assert_got(kit *k, const char *seed)
{
    static unsigned char want[SIZE];
    char *have;
    size_t size;
    make_body(seed, want, SIZE);
    assert_int_equal(ta_read_file(place(k), 1 << 20, &have, &size, NULL), 0);
    assert_int_equal(size, SIZE);
    assert_memory_equal(have, want, SIZE);
    ta_free(have);
    assert_int_equal(entries(k->folder), 1);
}

static int get_with(kit *k, const char *path, ta_download d, ta_error *err)
{
    char url[400];
    snprintf(url, sizeof url, "%s", web_url(&k->web, path));
    d.url = url;
    d.path = place(k);
    d.max_bytes = d.max_bytes ? d.max_bytes : 1 << 20;
    ta_error_clear(err);
    return ta_net_download(&d, err);
}

/* How often a path was asked for, and how often with a range. */
static int asked(kit *k, const char *path, int *ranges)
{
    char *text, want[300];
    size_t size;
    const ta_download d = { .url = web_url(&k->web, "/seen"),
                            .path = in((void **)&k->folder, "seen"),
                            .max_bytes = 1 << 20 };
    assert_int_equal(ta_net_download(&d, NULL), 0);
    assert_int_equal(ta_read_file(d.path, 1 << 20, &text, &size, NULL), 0);
    unlink(d.path);
    snprintf(want, sizeof want, "{\"path\": \"%s\", \"range\": ", path);
    int n = 0;
    *ranges = 0;
    for (char *s = text; (s = strstr(s, want)); n++)
        *ranges += *(s += strlen(want)) == '"';
    ta_free(text);
    return n;
}

static int set_up(void **state)
{
    kit *k = test_calloc(1, sizeof *k);
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    make_scratch((void **)&k->folder);
    web_start(&k->web, TA_TEST_LIB "/web.py");
    *state = k;
    return 0;
}

static int tear_down(void **state)
{
    kit *k = *state;
    web_stop(&k->web);
    remove_scratch((void **)&k->folder);
    test_free(k);
    return 0;
}

/* ---- What arrives ---------------------------------------------------------------------------------------------- */

typedef struct seen {
    int calls;
    int64_t done, total;
} seen;

static void note(void *opaque, int64_t done, int64_t total)
{
    seen *s = opaque;
    assert_true(done >= s->done);
    *s = (seen){ s->calls + 1, done, total };
}

static void whole(void **state)
{
    kit *k = *state;
    ta_error err;
    seen s = { 0 };
    char hex[65];
    digest_of("a", hex);
    assert_int_equal(get_with(k, "/whole", (ta_download){ .sha256 = hex, .progress = note, .opaque = &s }, &err), 0);
    assert_got(k, "a");
    assert_true(s.calls > 0 && s.done == SIZE && s.total == SIZE);
    put_file(place(k), "older");
    assert_int_equal(get_with(k, "/to/?/whole", (ta_download){ 0 }, &err), 0);
    assert_got(k, "a");
    assert_int_equal(get_with(k, "/empty", (ta_download){ 0 }, &err), 0);
    assert_int_equal(ta_file_size(place(k)), 0);
}

/* Each answer is cut after a third: four connections, no byte twice. */
static void cut_again_and_again(void **state)
{
    kit *k = *state;
    ta_error err;
    int ranges;
    assert_int_equal(get_with(k, "/cut/90000", (ta_download){ .tries = 2 }, &err), 0);
    assert_got(k, "a");
    assert_int_equal(asked(k, "/cut/90000", &ranges), 4);
    assert_int_equal(ranges, 3);
}

/* A later call goes on, with a validator of the server or the digest of the caller; without both it begins anew. */
static void a_later_call(void **state)
{
    static const struct {
        const char *path;
        bool digest;
        int ranges;
    } cases[] = { { "/cut-once/90000", false, 1 },
                  { "/cut-once/90000/weak", false, 0 },
                  { "/cut-once/90000/none", false, 0 },
                  { "/cut-once/90000/none?d", true, 1 },
                  { "/cut-once/90000/norange", false, 1 } };
    kit *k = *state;
    ta_error err;
    char hex[65];
    int ranges;
    digest_of("a", hex);
    for (size_t i = 0; i < TA_COUNT(cases); i++) {
        ta_download d = { .tries = 1, .sha256 = cases[i].digest ? hex : NULL };
        assert_int_equal(get_with(k, cases[i].path, d, &err), TA_ERR_AGAIN);
        assert_int_equal(ta_file_size(in((void **)&k->folder, "got.part")), 90000);
        assert_false(exists(place(k)));
        assert_int_equal(get_with(k, cases[i].path, d, &err), 0);
        assert_got(k, "a");
        assert_int_equal(asked(k, cases[i].path, &ranges), 2);
        assert_int_equal(ranges, cases[i].ranges);
        unlink(place(k));
    }
}

/* The file changes between two answers: nothing is put together of two versions. */
static void another_version(void **state)
{
    kit *k = *state;
    ta_error err;
    assert_int_equal(get_with(k, "/changes/90000", (ta_download){ 0 }, &err), 0);
    assert_got(k, "2");
    assert_int_equal(get_with(k, "/changes-ignoring/90000", (ta_download){ 0 }, &err), 0);
    assert_got(k, "2");
    assert_int_equal(get_with(k, "/liar/90000", (ta_download){ 0 }, &err), 0);
    assert_got(k, "a");
    assert_int_equal(get_with(k, "/shrinks/90000", (ta_download){ 0 }, &err), 0);
    assert_int_equal(ta_file_size(place(k)), 1000);
}

/* What another URL left at the same place is not gone on with, and a finished one is not fetched again (416). */
static void what_is_there(void **state)
{
    kit *k = *state;
    ta_error err;
    int ranges;
    assert_int_equal(get_with(k, "/cut-once/90000", (ta_download){ .tries = 1 }, &err), TA_ERR_AGAIN);
    assert_int_equal(get_with(k, "/whole", (ta_download){ .tries = 1 }, &err), 0);
    assert_int_equal(asked(k, "/whole", &ranges), 1);
    assert_int_equal(ranges, 0);
    assert_int_equal(get_with(k, "/cut-once/90001", (ta_download){ .tries = 1 }, &err), TA_ERR_AGAIN);
    assert_int_equal(rename(place(k), in((void **)&k->folder, "got.part")), 0);
    assert_int_equal(get_with(k, "/cut-once/90001", (ta_download){ .tries = 1 }, &err), 0);
    assert_got(k, "a");
}

static void wrong_digest(void **state)
{
    kit *k = *state;
    ta_error err;
    char hex[65], other[65];
    int ranges;
    digest_of("b", other);
    assert_int_equal(get_with(k, "/whole", (ta_download){ .sha256 = other }, &err), TA_ERR_DATA);
    assert_non_null(strstr(err.text[1], "another file than expected"));
    assert_int_equal(entries(k->folder), 0);
    /* Wrong bytes of an earlier call are no reason to fail: all of it is fetched once more. */
    digest_of("a", hex);
    assert_int_equal(get_with(k, "/cut-once/90000", (ta_download){ .tries = 1, .sha256 = hex }, &err), TA_ERR_AGAIN);
    int fd = open(in((void **)&k->folder, "got.part"), O_WRONLY);
    assert_int_equal(pwrite(fd, "wrong", 5, 1000), 5);
    close(fd);
    assert_int_equal(get_with(k, "/cut-once/90000", (ta_download){ .tries = 1, .sha256 = hex }, &err), 0);
    assert_got(k, "a");
    assert_int_equal(asked(k, "/cut-once/90000", &ranges), 3);
}

/* ---- What ends it ---------------------------------------------------------------------------------------------- */

static void statuses(void **state)
{
    static const struct {
        const char *path;
        int code;
    } cases[] = { { "/status/404", TA_ERR_NOINPUT }, { "/status/410", TA_ERR_NOINPUT },
                  { "/status/401", TA_ERR_NOPERM },  { "/status/403", TA_ERR_NOPERM },
                  { "/status/400", TA_ERR_DATA },    { "/status/204", TA_ERR_DATA },
                  { "/status/500", TA_ERR_AGAIN },   { "/status/429", TA_ERR_AGAIN },
                  { "/loop", TA_ERR_DATA },          { "/to/?file:///etc/hostname", TA_ERR_NOPERM } };
    kit *k = *state;
    ta_error err;
    for (size_t i = 0; i < TA_COUNT(cases); i++) {
        int code = get_with(k, cases[i].path, (ta_download){ .tries = 2 }, &err);
        if (code != cases[i].code)
            fail_msg("%s: %d, %s", cases[i].path, code, err.text[err.depth - 1]);
        assert_int_equal(entries(k->folder), 0);
    }
    assert_int_equal(
        ta_net_download(&(ta_download){ .url = "file:///etc/hostname", .path = place(k), .max_bytes = 9 }, &err),
        TA_ERR_USAGE);
    assert_int_equal(
        ta_net_download(&(ta_download){ .url = "http://127.0.0.1:1/x", .path = place(k), .max_bytes = 9, .tries = 1 },
                        &err),
        TA_ERR_AGAIN);
    assert_int_equal(
        ta_net_download(&(ta_download){ .url = web_url(&k->web, "/whole"), .path = "/nowhere/x", .max_bytes = 9 },
                        &err),
        TA_ERR_CANTCREATE);
}

static void busy_servers(void **state)
{
    kit *k = *state;
    ta_error err;
    int64_t begun = ta_now_us();
    assert_int_equal(get_with(k, "/busy/503/2", (ta_download){ 0 }, &err), 0);
    assert_got(k, "a");
    assert_true(ta_now_us() - begun >= 2000000);
    begun = ta_now_us();
    assert_int_equal(get_with(k, "/busy/429/60", (ta_download){ .timeout_us = 2000000 }, &err), TA_ERR_AGAIN);
    assert_true(ta_now_us() - begun < 1500000);
}

static void too_large(void **state)
{
    kit *k = *state;
    ta_error err;
    assert_int_equal(get_with(k, "/large", (ta_download){ 0 }, &err), TA_ERR_DATA);
    assert_non_null(strstr(err.text[1], "10.0 GiB"));
    assert_int_equal(get_with(k, "/endless", (ta_download){ 0 }, &err), TA_ERR_DATA);
    assert_int_equal(get_with(k, "/cut/90000", (ta_download){ .max_bytes = SIZE - 1 }, &err), TA_ERR_DATA);
    assert_int_equal(entries(k->folder), 0);
    assert_int_equal(get_with(k, "/cut/90000", (ta_download){ .max_bytes = SIZE }, &err), 0);
}

static void too_slow(void **state)
{
    kit *k = *state;
    ta_error err;
    int64_t begun = ta_now_us();
    assert_int_equal(get_with(k, "/slow", (ta_download){ .timeout_us = 700000 }, &err), TA_ERR_AGAIN);
    assert_true(ta_now_us() - begun < 5000000);
    assert_int_equal(get_with(k, "/stall/1000", (ta_download){ .stall_seconds = 1, .tries = 1 }, &err), TA_ERR_AGAIN);
    assert_true(ta_now_us() - begun < 10000000);
}

static void *cancel_soon(void *token)
{
    ta_sleep_us(300000);
    ta_cancel_set(token);
    return NULL;
}

static void cancelled(void **state)
{
    static const char *const paths[] = { "/hang", "/stall/1000", "/busy/503/60" };
    kit *k = *state;
    ta_error err;
    for (size_t i = 0; i < TA_COUNT(paths); i++) {
        ta_cancel *token = ta_cancel_new(NULL);
        pthread_t thread = start(cancel_soon, token);
        int64_t begun = ta_now_us();
        assert_int_equal(get_with(k, paths[i], (ta_download){ .cancel = token }, &err), TA_ERR_CANCELLED);
        assert_true(ta_now_us() - begun < 1300000);
        pthread_join(thread, NULL);
        ta_cancel_free(&token);
    }
    assert_false(exists(place(k)));
}

/* Somebody else's download to the same place is left alone. */
static void two_at_once(void **state)
{
    kit *k = *state;
    ta_error err;
    const char *part = in((void **)&k->folder, "got.part");
    put_file(part, "theirs");
    int fd = open(part, O_RDWR);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(get_with(k, "/whole", (ta_download){ .tries = 1 }, &err), TA_ERR_AGAIN);
    assert_content(part, "theirs");
    close(fd);
    assert_int_equal(get_with(k, "/whole", (ta_download){ .tries = 1 }, &err), 0);
    assert_got(k, "a");
}

/* ---- Addresses ------------------------------------------------------------------------------------------------- */

static void addresses(void **state)
{
    static const struct {
        const char *url, *shown, *file;
    } cases[] = { { "https://a.b/c/d.bin", "https://a.b/c/d.bin", "d.bin" },
                  { "https://user:pa@ss@a.b/c/d.bin?key=1#x", "https://a.b/c/d.bin?...", "d.bin" },
                  { "http://a.b", "http://a.b", "" },
                  { "http://a.b/?x=/y", "http://a.b/?...", "" },
                  { "http://a.b/x/%2e%2e%2fq%00.onnx", "http://a.b/x/%2e%2e%2fq%00.onnx", "_._q_.onnx" },
                  { "http://a.b/.bashrc", "http://a.b/.bashrc", "_bashrc" },
                  { "http://a.b/k%C3%A4se.bin", "http://a.b/k%C3%A4se.bin", "käse.bin" } };
    for (size_t i = 0; i < TA_COUNT(cases); i++) {
        char *shown = ta_url_shown(cases[i].url), *file = ta_url_file(cases[i].url);
        assert_string_equal(shown, cases[i].shown);
        assert_string_equal(file, cases[i].file);
        ta_free(shown);
        ta_free(file);
    }
    assert_true(ta_is_url("HTTPS://x") && ta_is_url("http://") && !ta_is_url("ftp://x") && !ta_is_url("tape.mpg"));
}

#define WEB_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WEB_TEST(whole),
        WEB_TEST(cut_again_and_again),
        WEB_TEST(a_later_call),
        WEB_TEST(another_version),
        WEB_TEST(what_is_there),
        WEB_TEST(wrong_digest),
        WEB_TEST(statuses),
        WEB_TEST(busy_servers),
        WEB_TEST(too_large),
        WEB_TEST(too_slow),
        WEB_TEST(cancelled),
        WEB_TEST(two_at_once),
        cmocka_unit_test(addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
