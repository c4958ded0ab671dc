/* Messages, channel, processes and pauses of work: whatever a worker may send is judged before it is believed. */
#include "base_test.h"

#include <sys/socket.h>

#include "work/order.h"

/* ---- Messages ---------------------------------------------------------------------------------------------------- */

static int parse(const char *line)
{
    ta_message m;
    ta_error err = { 0 };
    int r = ta_message_parse(&m, line, strlen(line), &err);
    if (r < 0)
        assert_true(err.depth > 0);
    ta_message_free(&m);
    return r;
}

static void good_messages(void **state)
{
    ta_message m;
    (void)state;
    const char *line =
        "{\"type\":\"progress\",\"id\":\"a\",\"stage\":3,\"fraction\":0.5,\"fps\":25,\"eta\":-1,\"frames\":7}\n";
    assert_int_equal(ta_message_parse(&m, line, strlen(line), NULL), 0);
    assert_int_equal(m.type, TA_MSG_PROGRESS);
    assert_string_equal(m.id, "a");
    assert_int_equal(m.stage, TA_WORK_ENCODING);
    assert_true(m.fraction == 0.5 && m.fps == 25 && m.eta == -1 && m.frames == 7);
    ta_message_free(&m);
    assert_int_equal(parse("{\"type\":\"hello\",\"protocol\":1,\"version\":\"0.1.0\",\"pid\":12}"), 0);
    assert_int_equal(parse("{\"type\":\"end\",\"id\":\"x\",\"code\":-74,\"text\":\"can't write\"}"), 0);
    assert_int_equal(parse("{\"type\":\"quit\"}"), 0);
}

static void bad_messages(void **state)
{
    static const char *const lines[] = {
        "",
        "\n",
        "{",
        "null",
        "[]",
        "7",
        "\"progress\"",
        "{}",
        "{\"type\":1}",
        "{\"type\":\"\"}",
        "{\"type\":\"nonsense\"}",
        "{\"type\":\"quit\"} {\"type\":\"quit\"}",
        "{\"type\":\"quit\",\"type\":\"quit\"}",
        "{\"type\":\"hello\",\"protocol\":1,\"version\":\"0.1.0\"}",
        "{\"type\":\"hello\",\"protocol\":\"1\",\"version\":\"0.1.0\",\"pid\":1}",
        "{\"type\":\"cancel\",\"id\":\"\"}",
        "{\"type\":\"cancel\",\"id\":\"0123456789012345678901234567890123456789012345678901234567890123\"}",
        "{\"type\":\"progress\",\"id\":\"a\",\"stage\":5,\"fraction\":0.5,\"fps\":25,\"eta\":-1,\"frames\":7}",
        "{\"type\":\"progress\",\"id\":\"a\",\"stage\":-1,\"fraction\":0.5,\"fps\":25,\"eta\":-1,\"frames\":7}",
        "{\"type\":\"progress\",\"id\":\"a\",\"stage\":1,\"fraction\":1.5,\"fps\":25,\"eta\":-1,\"frames\":7}",
        "{\"type\":\"progress\",\"id\":\"a\",\"stage\":1,\"fraction\":0.5,\"fps\":1e999,\"eta\":-1,\"frames\":7}",
        "{\"type\":\"progress\",\"id\":\"a\",\"stage\":1,\"fraction\":0.5,\"fps\":1,\"eta\":-1,\"frames\":-7}",
        "{\"type\":\"end\",\"id\":\"x\",\"code\":1,\"text\":\"\"}",
        "{\"type\":\"end\",\"id\":\"x\",\"code\":-1000,\"text\":\"\"}",
        "{\"type\":\"end\",\"id\":\"x\",\"code\":0,\"text\":\"a\\u0000b\"}",
        "{\"type\":\"end\",\"id\":\"x\",\"code\":0,\"text\":\"\xff\"}",
        "{\"type\":\"order\",\"id\":\"x\",\"input\":\"a\",\"output\":\"b\",\"folder\":\"c\",\"sandbox\":\"on\","
        "\"settings\":[],\"reads\":[],\"threads\":1}",
    };
    (void)state;
    for (size_t i = 0; i < TA_COUNT(lines); i++)
        assert_int_equal(parse(lines[i]), TA_ERR_DATA);
    char *deep = malloc(100001);
    memset(deep, '[', 100000);
    deep[100000] = 0;
    assert_int_equal(parse(deep), TA_ERR_DATA);
    free(deep);
}

/* ---- Channel ----------------------------------------------------------------------------------------------------- */

static void open_pair(int pair[2], ta_channel *c)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(ta_channel_open(c, pair[1], NULL), 0);
}

static void messages_and_descriptors(void **state)
{
    int pair[2], file = open(in(state, "file"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    ta_channel c;
    ta_message m;
    char text[8] = "";
    open_pair(pair, &c);
    assert_int_equal(write(file, "seven", 5), 5);
    assert_int_equal(ta_channel_receive(&c, &m, NULL), TA_ERR_AGAIN);
    assert_int_equal(ta_channel_send(pair[0], json_pack("{s:s}", "type", "quit"), NULL, 0, true, NULL), 0);
    assert_int_equal(
        ta_channel_send(pair[0], json_pack("{s:s, s:s}", "type", "cancel", "id", "q"), &file, 1, true, NULL), 0);
    assert_int_equal(ta_channel_receive(&c, &m, NULL), 1);
    assert_int_equal(m.type, TA_MSG_QUIT);
    assert_int_equal(c.fd_count, 0);
    ta_message_free(&m);
    assert_int_equal(ta_channel_receive(&c, &m, NULL), 1);
    assert_int_equal(c.fd_count, 1);
    assert_true(fcntl(c.fds[0], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(pread(c.fds[0], text, 5, 0), 5);
    assert_string_equal(text, "seven");
    ta_message_free(&m);
    close(pair[0]);
    assert_int_equal(ta_channel_receive(&c, &m, NULL), 0);
    assert_int_equal(ta_channel_send(pair[1], json_pack("{s:s}", "type", "quit"), NULL, 0, false, NULL), TA_ERR_IO);
    ta_channel_close(&c);
    close(pair[1]);
    close(file);
}

static void too_long_and_too_many(void **state)
{
    int pair[2], many[TA_MESSAGE_FDS + 8];
    ta_channel c;
    ta_message m;
    (void)state;
    open_pair(pair, &c);
    char *line = malloc(TA_MESSAGE_BYTES + 1000);
    memset(line, ' ', TA_MESSAGE_BYTES + 1000);
    assert_int_equal(send(pair[0], line, TA_MESSAGE_BYTES + 1000, 0), TA_MESSAGE_BYTES + 1000);
    assert_int_equal(ta_channel_receive(&c, &m, NULL), TA_ERR_DATA);
    memset(line, 'x', TA_MESSAGE_BYTES);
    line[TA_MESSAGE_BYTES] = 0;
    assert_int_equal(ta_channel_send(pair[0], json_pack("{s:s}", "type", line), NULL, 0, true, NULL), TA_ERR_USAGE);
    for (size_t i = 0; i < TA_COUNT(many); i++)
        many[i] = pair[0];
    json_t *quit = json_pack("{s:s}", "type", "quit");
    assert_int_equal(ta_channel_send(pair[0], quit, many, TA_MESSAGE_FDS, true, NULL), 0);
    assert_int_equal(ta_channel_receive(&c, &m, NULL), 1);
    assert_int_equal(c.fd_count, TA_MESSAGE_FDS);
    ta_message_free(&m);
    ta_channel_close(&c);
    free(line);
    close(pair[0]);
    close(pair[1]);
}

/* Whoever doesn't read fills the socket, and the sender is not held up. */
static void a_reader_that_sleeps(void **state)
{
    int pair[2], r = 0, sent = 0;
    ta_channel c;
    (void)state;
    open_pair(pair, &c);
    for (; r == 0 && sent < 100000; sent++)
        r = ta_channel_send(pair[0], json_pack("{s:s}", "type", "quit"), NULL, 0, false, NULL);
    assert_int_equal(r, TA_ERR_AGAIN);
    ta_channel_close(&c);
    close(pair[0]);
    close(pair[1]);
}

/* ---- Processes --------------------------------------------------------------------------------------------------- */

static int run_shell(const char *script, char *log, size_t size, char *said, size_t said_size)
{
    char *words[] = { (char[]){ "sh" }, (char[]){ "-c" }, (char *)(uintptr_t)script, NULL };
    ta_process p;
    assert_int_equal(ta_process_start(&p, "/bin/sh", words, NULL), 0);
    assert_true(fcntl(p.socket, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(p.log, F_GETFD) & FD_CLOEXEC);
    int status = ta_process_reap(&p);
    ssize_t n = read(p.log, log, size - 1);
    log[TA_MAX(n, 0)] = 0;
    n = read(p.socket, said, said_size - 1);
    said[TA_MAX(n, 0)] = 0;
    ta_process_close(&p);
    return status;
}

static void what_a_process_gets(void **state)
{
    char log[4096], said[64], ending[64];
    int extra = open("/dev/null", O_RDONLY); /* on purpose without close-on-exec */
    sigset_t block;
    sigemptyset(&block);
    sigaddset(&block, SIGTERM);
    sigprocmask(SIG_BLOCK, &block, NULL);
    signal(SIGPIPE, SIG_IGN);
    int status = run_shell("echo hi >&3; for n in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do"
                           " [ -e /proc/$$/fd/$n ] && echo $n; done; readlink /proc/$$/fd/0;"
                           "grep -E 'SigBlk|SigIgn' /proc/self/status; exit 3",
                           log, sizeof log, said, sizeof said);
    sigprocmask(SIG_UNBLOCK, &block, NULL);
    assert_string_equal(said, "hi\n");
    assert_non_null(strstr(log, "0\n1\n2\n3\n/dev/null\n"));
    assert_non_null(strstr(log, "SigBlk:\t0000000000000000\n"));
    const char *ignored = strstr(log, "SigIgn:\t");
    assert_non_null(ignored);
    assert_false(strtoull(ignored + 8, NULL, 16) >> (SIGPIPE - 1) & 1);
    assert_string_equal(ta_process_ending(status, ending, sizeof ending), "exit code 3");
    status = run_shell("kill -9 $$", log, sizeof log, said, sizeof said);
    assert_string_equal(ta_process_ending(status, ending, sizeof ending), "signal 9 (Killed)");
    close(extra);
    signal(SIGPIPE, SIG_DFL);
}

static void no_such_program(void **state)
{
    char *words[] = { (char[]){ "x" }, NULL };
    ta_process p;
    ta_error err = { 0 };
    assert_int_equal(ta_process_start(&p, in(state, "missing"), words, &err), TA_ERR_NOINPUT);
    assert_non_null(strstr(err.text[0], "missing"));
    assert_int_equal(p.pid, 0);
    ta_process_close(&p);
}

static void back_off(void **state)
{
    static const int want[] = { 250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000 };
    (void)state;
    for (size_t i = 0; i < TA_COUNT(want); i++)
        assert_int_equal(ta_backoff_ms(250, (int)i + 1), want[i]);
    assert_int_equal(ta_backoff_ms(250, 1000000), 30000);
    assert_int_equal(ta_backoff_ms(0, 1), 1);
}

/* ---- Orders ------------------------------------------------------------------------------------------------------ */

static void paths_of_any_bytes(void **state)
{
    static const char *const paths[][2] = { { "/a b/\xc3\xa9.mkv", "/a b/\xc3\xa9.mkv" },
                                            { "", "" },
                                            { "100%.mkv", "100%25.mkv" },
                                            { "\xff%41\n", "%FF%2541\n" },
                                            { "cut \xc3", "cut %C3" } };
    (void)state;
    for (size_t i = 0; i < TA_COUNT(paths); i++) {
        char *wire = ta_path_to_wire(paths[i][0]), *back = ta_path_from_wire(wire);
        assert_string_equal(wire, paths[i][1]);
        assert_string_equal(back, paths[i][0]);
        ta_free(wire);
        ta_free(back);
    }
    char *odd = ta_path_from_wire("%4 %zz%");
    assert_string_equal(odd, "%4 %zz%");
    ta_free(odd);
}

static char *default_settings(const char *name, const char *value)
{
    ta_settings *s = ta_settings_new();
    assert_int_equal(ta_settings_set(s, name, value, TA_FROM_COMMAND_LINE, NULL, NULL), 0);
    assert_int_equal(ta_settings_resolve(s, NULL, NULL), 0);
    char *json = ta_settings_json(s, true);
    ta_settings_free(&s);
    return json;
}

/* The only names that a worker may give to its output are those that the settings give. */
static void names_of_outputs(void **state)
{
    static const char *const bad[] = { "a-720.mkv.json",
                                       "a-.mkv",
                                       "a-72x.mkv",
                                       "../a-720.mkv",
                                       "a-0720.mkv",
                                       "",
                                       ".a-720.mkv",
                                       "a-{height}.mkv",
                                       "b-720.mkv",
                                       "a-720.mp4",
                                       "a-99999999999999999999.mkv" };
    char *input = ta_strdup(in(state, "a.mpg")), *json = default_settings("output-template", "{name}-{height}");
    ta_work_order what = { .id = "x", .input = input, .settings_json = json };
    ta_order *o;
    put_file(input, "tape");
    assert_int_equal(ta_order_open(&o, &what, NULL), 0);
    assert_null(o->target);
    for (size_t i = 0; i < TA_COUNT(bad); i++)
        assert_int_equal(ta_order_name(o, bad[i], NULL), TA_ERR_DATA);
    assert_int_equal(ta_order_name(o, "a-720.mkv", NULL), 0);
    assert_string_equal(o->target, in(state, "a-720.mkv"));
    assert_true(ta_is_dir(in(state, ".a.mpg.terminalai/out")));
    ta_order_close(&o);
    assert_false(ta_is_dir(in(state, ".a.mpg.terminalai")));
    ta_settings_free_text(json);
    ta_free(input);
}

/* Everything that allocates while an order is opened may fail; nothing is left then. */
static void orders_without_memory(void **state)
{
    char *input = ta_strdup(in(state, "a.mpg")), *output = ta_strdup(in(state, "b.mkv"));
    char *json = default_settings("overwrite", "no");
    ta_work_order what = { .id = "x", .input = input, .output = output, .settings_json = json };
    ta_order *o;
    int r = TA_ERR_AGAIN;
    put_file(input, "tape");
    ta_alloc_fail_at(0);
    for (uint64_t i = 1; r == TA_ERR_AGAIN; i++) {
        ta_alloc_fail_at(i);
        r = ta_order_open(&o, &what, NULL);
        ta_alloc_fail_at(0);
        if (r < 0)
            assert_int_equal(entries(*state), 1);
    }
    assert_int_equal(r, 0);
    ta_order_close(&o);
    assert_int_equal(entries(*state), 1);
    ta_settings_free_text(json);
    ta_free(output);
    ta_free(input);
}

/* ---- Pauses ------------------------------------------------------------------------------------------------------ */

typedef struct walker {
    ta_cancel *token;
    atomic_int steps;
    atomic_bool ended;
} walker;

static void *walk(void *arg)
{
    walker *w = arg;
    while (ta_cancel_pass(w->token)) {
        atomic_fetch_add(&w->steps, 1);
        ta_sleep_us(1000);
    }
    atomic_store(&w->ended, true);
    return NULL;
}

/* Stands once two looks, far apart for a walker, see the same step. */
static bool stands(walker *w)
{
    int before = atomic_load(&w->steps);
    ta_sleep_us(50000);
    return atomic_load(&w->steps) == before;
}

static void a_held_token(void **state)
{
    ta_cancel *above = ta_cancel_new(NULL), *token = ta_cancel_new(above);
    walker w = { .token = token };
    pthread_t thread;
    (void)state;
    assert_true(ta_cancel_pass(NULL));
    assert_int_equal(ta_cancel_hold(above, false), 0);
    assert_int_equal(pthread_create(&thread, NULL, walk, &w), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ta_cancel_hold(above, true), 0);
        ta_sleep_us(5000);
        assert_true(stands(&w));
        assert_int_equal(ta_cancel_hold(above, false), 0);
        assert_false(stands(&w));
    }
    assert_int_equal(ta_cancel_hold(above, true), 0);
    ta_sleep_us(5000);
    assert_false(atomic_load(&w.ended));
    ta_cancel_set(token);
    pthread_join(thread, NULL);
    ta_cancel_free(&token);
    ta_cancel_free(&above);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_messages),        cmocka_unit_test(bad_messages),
        SCRATCH_TEST(messages_and_descriptors), cmocka_unit_test(too_long_and_too_many),
        cmocka_unit_test(a_reader_that_sleeps), SCRATCH_TEST(what_a_process_gets),
        SCRATCH_TEST(no_such_program),          cmocka_unit_test(back_off),
        cmocka_unit_test(paths_of_any_bytes),   SCRATCH_TEST(names_of_outputs),
        SCRATCH_TEST(orders_without_memory),    cmocka_unit_test(a_held_token),
    };
    return cmocka_run_group_tests_name("work", tests, NULL, NULL);
}
