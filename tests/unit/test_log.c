/* The log: form, levels, cuts, whole lines from many threads, libav's lines. JSON is checked with jansson. */
#include "base_test.h"

#include <jansson.h>
#include <libavutil/log.h>

static int saved_stderr = -1, capture = -1;

static void capture_begin(void)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    capture = dup(fileno(f));
    fclose(f);
    assert_int_equal(fcntl(capture, F_SETFL, O_APPEND), 0);
    saved_stderr = dup(STDERR_FILENO);
    dup2(capture, STDERR_FILENO);
}

/* What was written to stderr since capture_begin (malloc). */
static char *capture_end(void)
{
    off_t size = lseek(capture, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);

    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    assert_int_equal(pread(capture, text, (size_t)size, 0), size);
    close(capture);
    return text;
}

static void assert_captured(const char *expected)
{
    char *text = capture_end();
    assert_string_equal(text, expected);
    free(text);
}

static void plain_lines_and_levels(void **state)
{
    ta_log_setup(TA_LOG_INFO, false);
    assert_int_equal(ta_log_get_level(), TA_LOG_INFO);
    capture_begin();
    ta_log(TA_LOG_ERROR, "mux", "e%d", 1);
    ta_log(TA_LOG_WARN, "decode", "w\n");
    ta_log(TA_LOG_INFO, "plan", "i\n\n");
    ta_log(TA_LOG_VERBOSE, "plan", "not shown");
    ta_log(TA_LOG_DEBUG, "plan", "not shown");
    assert_captured("error: mux: e1\nwarning: decode: w\ninfo: plan: i\n");
    ta_log_setup(TA_LOG_DEBUG, false);
    capture_begin();
    errno = 42;
    ta_log(TA_LOG_VERBOSE, "p", "v");
    ta_log(TA_LOG_DEBUG, "p", "d");
    assert_int_equal(errno, 42);
    assert_captured("verbose: p: v\ndebug: p: d\n");
}

static void level_names(void **state)
{
    static const char *const names[] = { "error", "warning", "info", "verbose", "debug" };
    ta_log_level level = TA_LOG_DEBUG;

    for (int i = 0; i < 5; i++) {
        assert_true(ta_log_parse_level(names[i], &level));
        assert_int_equal(level, i);
    }
    assert_false(ta_log_parse_level("warn", &level));
    assert_false(ta_log_parse_level("", &level));
    assert_false(ta_log_parse_level("Error", &level));
    assert_false(ta_log_parse_level(NULL, &level));
    assert_int_equal(level, TA_LOG_DEBUG);
}

/* Nothing in a file's name or tags may drive the terminal or start a line of its own. */
static void control_characters(void **state)
{
    ta_log_setup(TA_LOG_INFO, false);
    capture_begin();
    ta_log(TA_LOG_INFO, "p",
           "a\nb\tc\x1B[2Jd\x7F\xC2\x9B"
           "e\xFF"
           "f\xC3\xA9");
    assert_captured("info: p: a b c?[2Jd??e?f\xC3\xA9\n");
}

static void json_line(const char *text, const char *expected)
{
    json_error_t why;

    ta_log_setup(TA_LOG_INFO, true);
    capture_begin();
    ta_log(TA_LOG_WARN, "de\"code", "%s", text);
    char *line = capture_end();
    ta_log_setup(TA_LOG_INFO, false);
    assert_true(strlen(line) <= 4096 && strchr(line, '\n') == line + strlen(line) - 1);
    json_t *root = json_loads(line, JSON_REJECT_DUPLICATES, &why);
    if (!root)
        fail_msg("%s in %s", why.text, line);
    assert_int_equal(json_object_size(root), 4);
    assert_string_equal(json_string_value(json_object_get(root, "level")), "warning");
    assert_string_equal(json_string_value(json_object_get(root, "where")), "de\"code");
    const char *message = json_string_value(json_object_get(root, "message"));
    if (expected)
        assert_string_equal(message, expected);
    else
        assert_memory_equal(message, text, strlen(message));
    const char *utc = json_string_value(json_object_get(root, "time"));
    assert_int_equal(strlen(utc), 20);
    assert_int_equal(utc[19], 'Z');
    json_decref(root);
    free(line);
}

static void json_lines(void **state)
{
    char big[6000];

    json_line("plain", "plain");
    json_line("\"q\" \\ / \b \x01 \x1F \n x \t", "\"q\" \\ / \b \x01 \x1F \n x \t");
    json_line("caf\xC3\xA9 \xF0\x9F\x8E\x9E", "caf\xC3\xA9 \xF0\x9F\x8E\x9E");
    json_line("bad \xFF\xC3 end", "bad \xEF\xBF\xBD\xEF\xBF\xBD end");
    json_line("", "");
    /* Too long, with what grows when escaped at every place where the cut may fall */
    for (int shift = 0; shift < 8; shift++) {
        memset(big, 'a', sizeof(big));
        for (size_t i = (size_t)shift; i + 3 < sizeof(big); i += 7)
            memcpy(big + i, i % 2 ? "\x01\"\\" : "\xE2\x82\xAC", 3);
        big[sizeof(big) - 1] = '\0';
        json_line(big, NULL);
    }
}

static void cuts_long_lines(void **state)
{
    for (size_t len = 4070; len < 4110; len++) {
        char *big = calloc(1, len + 1);
        memset(big, 'x', len);
        ta_log_setup(TA_LOG_INFO, false);
        capture_begin();
        ta_log(TA_LOG_INFO, "p", "%s", big);
        char *line = capture_end();
        size_t whole = strlen("info: p: \n") + len;
        assert_int_equal(strlen(line), TA_MIN(whole, 4096));
        assert_int_equal(line[strlen(line) - 1], '\n');
        free(line);
        free(big);
    }
}

struct sink {
    int calls;
    ta_log_level level;
    char where[64], text[5000];
};

static void take(void *opaque, ta_log_level level, const char *where, const char *text)
{
    struct sink *s = opaque;
    s->calls++;
    s->level = level;
    snprintf(s->where, sizeof(s->where), "%s", where);
    snprintf(s->text, sizeof(s->text), "%s", text);
}

static void callback_instead_of_stderr(void **state)
{
    struct sink s = { 0 };

    ta_log_setup(TA_LOG_INFO, false);
    ta_log_set_sink(take, &s);
    capture_begin();
    ta_log(TA_LOG_INFO, "plan", "text %d\n", 5);
    ta_log(TA_LOG_DEBUG, "plan", "hidden");
    assert_captured("");
    assert_int_equal(s.calls, 1);
    assert_int_equal(s.level, TA_LOG_INFO);
    assert_string_equal(s.where, "plan");
    assert_string_equal(s.text, "text 5");
    ta_log_set_sink(NULL, NULL);
    capture_begin();
    ta_log(TA_LOG_INFO, "p", "back");
    assert_captured("info: p: back\n");
    assert_int_equal(s.calls, 1);
}

/* libav's pieces become whole lines at our levels. */
static void libav_lines(void **state)
{
    static const AVClass class = { .class_name = "thing", .item_name = av_default_item_name };
    static const struct {
        const AVClass *class;
    } object = { &class };
    struct sink s = { 0 };

    ta_log_setup(TA_LOG_VERBOSE, false);
    ta_log_set_sink(take, &s);
    av_log((void *)&object, AV_LOG_ERROR, "part one, ");
    assert_int_equal(s.calls, 0);
    av_log((void *)&object, AV_LOG_ERROR, "part %d\n", 2);
    assert_int_equal(s.calls, 1);
    assert_int_equal(s.level, TA_LOG_ERROR);
    assert_string_equal(s.where, "thing");
    assert_string_equal(s.text, "part one, part 2");
    av_log(NULL, AV_LOG_WARNING | AV_LOG_C(123), "w\n");
    assert_int_equal(s.level, TA_LOG_VERBOSE);
    assert_string_equal(s.where, "libav");
    assert_string_equal(s.text, "w");
    av_log(NULL, AV_LOG_FATAL, "f\n");
    assert_int_equal(s.level, TA_LOG_ERROR);
    av_log(NULL, AV_LOG_INFO, "info is debug\n");
    assert_int_equal(s.calls, 3);
    ta_log_setup(TA_LOG_DEBUG, false);
    av_log(NULL, AV_LOG_INFO, "info is debug\n");
    assert_int_equal(s.calls, 4);
    assert_int_equal(s.level, TA_LOG_DEBUG);
    av_log(NULL, AV_LOG_TRACE, "never\n");
    assert_int_equal(s.calls, 4);
    ta_log_setup(TA_LOG_INFO, false);
    av_log(NULL, AV_LOG_WARNING, "hidden\n");
    assert_int_equal(s.calls, 4);
    char big[3000];
    memset(big, 'y', sizeof(big));
    strcpy(big + sizeof(big) - 2, "\n");
    av_log(NULL, AV_LOG_ERROR, "%s", big);
    assert_int_equal(s.calls, 5);
    assert_int_equal(strlen(s.text), 1023);
    ta_log_set_sink(NULL, NULL);
}

enum { THREADS = 6, LINES = 300 };

static void *log_much(void *arg)
{
    for (int i = 0; i < LINES; i++)
        ta_log(TA_LOG_INFO, "t", "%s %d end", (const char *)arg, i);
    return NULL;
}

static void count_hook(void *opaque)
{
    (*(int *)opaque)++;
}

static int wiped, drawn;

static void wipe(void *opaque)
{
    wiped++;
}

static void lines_are_whole(void **state)
{
    static const char *const names[THREADS] = {
        "aaaaaaaaaaaaaaaa", "bbbb", "cccccccccccccccccccccccccccccccc", "d", "eeeeeeee", "ffffffffffffffffffffffff"
    };
    int next[THREADS] = { 0 }, lines = 0;
    pthread_t ids[THREADS];

    wiped = drawn = 0;
    ta_log_setup(TA_LOG_INFO, false);
    ta_log_set_line_hooks(wipe, count_hook, &drawn);
    capture_begin();
    for (int i = 0; i < THREADS; i++)
        ids[i] = start(log_much, (void *)names[i]);
    for (int i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    char *text = capture_end(), *rest = NULL;
    ta_log_set_line_hooks(NULL, NULL, NULL);
    assert_int_equal(wiped, THREADS * LINES);
    assert_int_equal(drawn, THREADS * LINES);
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), lines++) {
        char name[64], end[16];
        int n = -1, which = 0;
        assert_int_equal(sscanf(line, "info: t: %63s %d %15s", name, &n, end), 3);
        while (which < THREADS && strcmp(names[which], name) != 0)
            which++;
        assert_true(which < THREADS);
        assert_int_equal(n, next[which]++);
        assert_string_equal(end, "end");
    }
    assert_int_equal(lines, THREADS * LINES);
    free(text);
}

/* A reader that is late, on a pipe that doesn't block, gets every byte. */
static void *read_late(void *arg)
{
    static char text[1 << 20];
    size_t len = 0;
    ssize_t n;

    ta_sleep_us(50000);
    while ((n = read(*(int *)arg, text + len, sizeof(text) - len - 1)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    return text;
}

static void slow_pipe_loses_nothing(void **state)
{
    int fds[2], lines = 0;
    void *text = NULL;

    assert_int_equal(pipe(fds), 0);
    fcntl(fds[1], F_SETFL, O_NONBLOCK);
    pthread_t id = start(read_late, &fds[0]);
    saved_stderr = dup(STDERR_FILENO);
    dup2(fds[1], STDERR_FILENO);
    close(fds[1]);
    for (int i = 0; i < 3000; i++)
        ta_log(TA_LOG_INFO, "p", "line %d of a flood that is larger than the pipe", i);
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    pthread_join(id, &text);
    for (char *s = text; (s = strchr(s, '\n')); s++)
        lines++;
    assert_int_equal(lines, 3000);
    close(fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_lines_and_levels),
        cmocka_unit_test(level_names),
        cmocka_unit_test(control_characters),
        cmocka_unit_test(json_lines),
        cmocka_unit_test(cuts_long_lines),
        cmocka_unit_test(callback_instead_of_stderr),
        cmocka_unit_test(libav_lines),
        cmocka_unit_test(lines_are_whole),
        cmocka_unit_test(slow_pipe_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
