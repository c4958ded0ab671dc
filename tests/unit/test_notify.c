/* Notifications against a server that is slow, down, refusing or busy (tests/lib/hooks.py); templates, signatures, and
 * the desktop on a bus of its own. What mail looks like is tested with a mail server, in tests/e2e/test_notify.py. */
#include "notify/internal.h"

#include "web_kit.h"

typedef struct kit {
    web web;
    char *folder;
    ta_notify_config *config;
    ta_memory_outbox *outbox;
    ta_notifier *notifier;
} kit;

static int set_up(void **state)
{
    kit *k = test_calloc(1, sizeof *k);
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    make_scratch((void **)&k->folder);
    web_start(&k->web, TA_TEST_LIB "/hooks.py");
    k->outbox = ta_memory_outbox_new();
    *state = k;
    return 0;
}

static int tear_down(void **state)
{
    kit *k = *state;
    ta_notifier_close(&k->notifier, 0);
    ta_memory_outbox_free(&k->outbox);
    ta_notify_config_free(&k->config);
    web_stop(&k->web);
    remove_scratch((void **)&k->folder);
    test_free(k);
    return 0;
}

/* A configuration of webhooks: names and paths in turn, ending with NULL; `more` are lines for each. */
static void configure(kit *k, const char *more, const char *const *pairs)
{
    ta_error err;
    ta_buf b = { 0 };
    ta_buf_add(&b, "notifications:\n");
    for (; *pairs; pairs += 2)
        ta_buf_addf(&b, "  - type: webhook\n    name: %s\n    url: %s\n%s", pairs[0], web_url(&k->web, pairs[1]), more);
    const char *path = in((void **)&k->folder, "n.yaml");
    put_file(path, b.data);
    ta_buf_free(&b);
    if (ta_notify_config_read(&k->config, path, &err) < 0)
        fail_msg("%s", err.text[0]);
}

#define CONFIGURE(k, more, ...) configure(k, more, (const char *const[]){ __VA_ARGS__, NULL })

static void open_notifier(kit *k, const ta_outbox *rows, int tries)
{
    ta_outbox own = ta_memory_outbox_rows(k->outbox);
    assert_int_equal(ta_notifier_open(&k->notifier, k->config, rows ? rows : &own, tries, NULL), 0);
}

static int64_t add(kit *k, const char *channel)
{
    const ta_notice n = {
        .event = "completed", .id = "7", .name = "tape.mpg", .elapsed_seconds = 61, .wall_us = ta_wall_us()
    };
    int64_t id = ta_memory_outbox_add(k->outbox, channel, &n, NULL);
    assert_true(id > 0);
    if (k->notifier)
        ta_notifier_wake(k->notifier);
    return id;
}

static void await_at(kit *k, int64_t id, ta_row_state state, int64_t most_us, int line)
{
    int64_t end = ta_now_us() + most_us;
    while (ta_memory_outbox_look(k->outbox, id, NULL, NULL) != state) {
        if (ta_now_us() >= end)
            fail_msg("row %lld of line %d", (long long)id, line);
        ta_sleep_us(500);
    }
}

#define await_state(k, id, state, most_us) await_at(k, id, state, most_us, __LINE__)

/* What the server saw, as JSON (json_decref). */
static json_t *seen(kit *k)
{
    char line[300], *body = NULL;
    size_t size = 0;
    snprintf(line, sizeof line, "/usr/bin/curl -s %s", web_url(&k->web, "/seen"));
    FILE *pipe = popen(line, "r");
    assert_true(getdelim(&body, &size, 0, pipe) > 0);
    pclose(pipe);
    json_t *json = json_loads(body, 0, NULL);
    free(body);
    assert_non_null(json);
    return json;
}

static double time_of(const json_t *all, const char *path, int nth)
{
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);
        if (!strcmp(json_string_value(json_object_get(one, "path")), path) && nth-- == 0)
            return json_number_value(json_object_get(one, "at"));
    }
    fail_msg("%s was not asked for so often", path);
    return 0;
}

/* ---- The sender ------------------------------------------------------------------------------------------------ */

static void promptly(void **state)
{
    kit *k = *state;
    CONFIGURE(k, "", "a", "/ok");
    open_notifier(k, NULL, 0);
    ta_sleep_us(100000); /* it is waiting now */
    for (int i = 0; i < 5; i++) {
        double begun = (double)ta_wall_us() / 1e6;
        await_state(k, add(k, "a"), TA_ROW_SENT, 5000000);
        json_t *all = seen(k);
        assert_true(time_of(all, "/ok", i) - begun < 0.05);
        json_decref(all);
    }
}

/* A server that hangs, one that is down and one that refuses, with more rows than slots, delay no other's messages. */
static void nobody_waits_for_others(void **state)
{
    kit *k = *state;
    int64_t good[20], bad[20];
    CONFIGURE(k, "", "hangs", "/hang", "refuses", "/status/500", "good", "/ok");
    for (int i = 0; i < 20; i++) {
        bad[i] = add(k, "hangs");
        add(k, "refuses");
        good[i] = add(k, "good");
    }
    int64_t begun = ta_now_us();
    open_notifier(k, NULL, 0);
    for (int i = 0; i < 20; i++)
        await_state(k, good[i], TA_ROW_SENT, 3000000);
    assert_true(ta_now_us() - begun < 2000000);
    assert_int_equal(ta_memory_outbox_look(k->outbox, bad[0], NULL, NULL), TA_ROW_WAITING);
    begun = ta_now_us();
    ta_notifier_close(&k->notifier, 100000);
    assert_true(ta_now_us() - begun < 1000000);
}

static void failures(void **state)
{
    kit *k = *state;
    char why[TA_ERROR_TEXT];
    int attempts;
    CONFIGURE(k, "", "gone", "/status/404", "moved", "/elsewhere", "busy", "/busy/429/6/1", "flaky", "/busy/503/0/1",
              "twice", "/status/500", "odd", "/endless");
    open_notifier(k, NULL, 2);
    int64_t gone = add(k, "gone"), moved = add(k, "moved"), busy = add(k, "busy"), flaky = add(k, "flaky"),
            twice = add(k, "twice"), odd = add(k, "odd");
    await_state(k, gone, TA_ROW_DEAD, 2000000); /* what won't pass is not tried again */
    await_state(k, moved, TA_ROW_DEAD, 2000000);
    assert_int_equal(ta_memory_outbox_look(k->outbox, moved, &attempts, why), TA_ROW_DEAD);
    assert_int_equal(attempts, 1);
    assert_non_null(strstr(why, "redirect"));
    await_state(k, odd, TA_ROW_SENT, 3000000);
    await_state(k, flaky, TA_ROW_SENT, 7000000);
    await_state(k, twice, TA_ROW_DEAD, 7000000);
    ta_memory_outbox_look(k->outbox, twice, &attempts, why);
    assert_int_equal(attempts, 2);
    assert_non_null(strstr(why, "status 500"));
    await_state(k, busy, TA_ROW_SENT, 9000000);
    json_t *all = seen(k);
    double pause = time_of(all, "/busy/429/6/1", 1) - time_of(all, "/busy/429/6/1", 0);
    assert_true(pause >= 5.9 && pause < 8);
    pause = time_of(all, "/busy/503/0/1", 1) - time_of(all, "/busy/503/0/1", 0);
    assert_true(pause >= 2.4 && pause < 6);
    json_decref(all);
    ta_notifier_stats s;
    ta_notifier_get_stats(k->notifier, &s);
    assert_true(s.sent == 3 && s.dead == 3 && s.failed == 6 && s.under_way == 0);
}

/* An outbox whose disk fails for a while: the message is out, the row is marked later, and not sent again meanwhile. */
typedef struct broken {
    ta_outbox own;
    int fail_marks, fail_takes, marks;
} broken;

static int broken_take(void *opaque, const char *channel, int64_t now_us, ta_outbox_row *row, int64_t *next_us,
                       ta_error *err)
{
    broken *b = opaque;
    if (b->fail_takes-- > 0)
        return ta_fail(err, TA_ERR_IO, "the disk");
    return b->own.take(b->own.opaque, channel, now_us, row, next_us, err);
}

static int broken_sent(void *opaque, int64_t id, ta_error *err)
{
    broken *b = opaque;
    b->marks++;
    return b->fail_marks-- > 0 ? ta_fail(err, TA_ERR_IO, "the disk") : b->own.sent(b->own.opaque, id, err);
}

static void an_outbox_that_fails(void **state)
{
    kit *k = *state;
    broken b = { .own = ta_memory_outbox_rows(k->outbox), .fail_marks = 1, .fail_takes = 1 };
    ta_outbox rows = b.own;
    rows.opaque = &b;
    rows.take = broken_take;
    rows.sent = broken_sent;
    CONFIGURE(k, "", "a", "/ok");
    int64_t id = add(k, "a");
    open_notifier(k, &rows, 0);
    await_state(k, id, TA_ROW_SENT, 5000000);
    assert_int_equal(b.marks, 2);
    json_t *all = seen(k);
    assert_int_equal(json_array_size(all), 2); /* the message, and this question */
    json_decref(all);
}

/* A row that was under way when the process ended is sent again by the next; what was marked is not. */
static void at_least_once(void **state)
{
    kit *k = *state;
    CONFIGURE(k, "", "hangs", "/hang", "a", "/ok");
    open_notifier(k, NULL, 0);
    int64_t first = add(k, "a");
    await_state(k, first, TA_ROW_SENT, 3000000);
    ta_notifier_close(&k->notifier, 0);
    int64_t second = add(k, "a");
    ta_sleep_us(100000);
    assert_int_equal(ta_memory_outbox_look(k->outbox, second, NULL, NULL), TA_ROW_WAITING);
    open_notifier(k, NULL, 0);
    await_state(k, second, TA_ROW_SENT, 3000000);
    json_t *all = seen(k);
    assert_int_equal(json_array_size(all), 3);
    json_decref(all);
}

/* The clock was set back by a day: a row that was due in the old time is due now. */
static void a_clock_that_jumps(void **state)
{
    kit *k = *state;
    ta_outbox_row row;
    int64_t next, now = ta_wall_us();
    add(k, "a");
    ta_outbox rows = ta_memory_outbox_rows(k->outbox);
    assert_int_equal(rows.take(rows.opaque, "a", now - 60000000, &row, &next, NULL), 0);
    assert_true(next >= now - 1000000);
    assert_int_equal(rows.take(rows.opaque, "b", now, &row, &next, NULL), 0);
    assert_true(next == INT64_MAX);
    assert_int_equal(rows.take(rows.opaque, "a", now - INT64_C(86400000000), &row, &next, NULL), 1);
    ta_free(row.notice);
}

/* ---- Parts ----------------------------------------------------------------------------------------------------- */

/* RFC 4231, cases 1, 2, 6 and 7. */
static void signatures(void **state)
{
    char hex[65], key[131];
    memset(key, 0x0b, 20);
    assert_int_equal(ta_hmac_sha256(key, 20, "Hi There", 8, hex, NULL), 0);
    assert_string_equal(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    assert_int_equal(ta_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, hex, NULL), 0);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, 131);
    assert_int_equal(ta_hmac_sha256(key, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54, hex, NULL),
                     0);
    assert_string_equal(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    static const char long_data[] =
        "This is a test using a larger than block-size key and a larger than block-size data. "
        "The key needs to be hashed before being used by the HMAC algorithm.";
    assert_int_equal(ta_hmac_sha256(key, 131, long_data, sizeof long_data - 1, hex, NULL), 0);
    assert_string_equal(hex, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

static void templates(void **state)
{
    static const struct {
        const char *text, *want; /* NULL: refused */
    } cases[] = { { "{name} took {elapsed}", "a{b}.mpg took 1 h 01 min" },
                  { "{{{event}}} {error}|", "{failed} no room|" },
                  { "", "" },
                  { "{nam}", NULL },
                  { "{", NULL },
                  { "}", NULL },
                  { "{}", NULL },
                  { "{na{me}}", NULL } };
    const ta_notice n = { .event = "failed", .name = "a{b}.mpg", .error = "no room", .elapsed_seconds = 3660 };
    char *text = ta_notice_json(&n);
    json_t *json = json_loads(text, 0, NULL);
    ta_error err;
    for (size_t i = 0; i < TA_COUNT(cases); i++) {
        ta_error_clear(&err);
        assert_int_equal(ta_template_check(cases[i].text, &err), cases[i].want ? 0 : TA_ERR_CONFIG);
        if (!cases[i].want)
            continue;
        char *filled = ta_template_fill(cases[i].text, json);
        assert_string_equal(filled, cases[i].want);
        ta_free(filled);
    }
    ta_template_check("{nam}", &err);
    assert_string_equal(err.hint, "did you mean {name}?");
    json_decref(json);
    ta_free(text);
}

static void cuts(void **state)
{
    char *cut = ta_cut("käse und brot", 8);
    assert_string_equal(cut, "käse…");
    ta_free(cut);
    cut = ta_cut("ääää", 6); /* no character is halved */
    assert_string_equal(cut, "ä…");
    ta_free(cut);
    cut = ta_cut("käse", 5);
    assert_string_equal(cut, "käse");
    ta_free(cut);
}

#define WEB_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WEB_TEST(promptly),           WEB_TEST(nobody_waits_for_others),
        WEB_TEST(failures),           WEB_TEST(an_outbox_that_fails),
        WEB_TEST(at_least_once),      WEB_TEST(a_clock_that_jumps),
        cmocka_unit_test(signatures), cmocka_unit_test(templates),
        cmocka_unit_test(cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
