/* Watch folders: what the configuration refuses; files are taken once, whole, and not before they are at rest; failures
 * are tried again and put aside; an original is left alone unless its output is verified. */
#include "base_test.h"

#include "queue/queue.h"

typedef struct stage {
    void **state;
    ta_jobs *q;
    ta_watch_config *config;
    ta_watcher *w;
} stage;

static int read_config(void **state, ta_watch_config **c, const char *text, ta_error *err)
{
    char *full = ta_strdup(text), *at;
    ta_buf b = { 0 };
    char *rest = full;
    while ((at = strchr(rest, '@'))) { /* @ is the scratch folder */
        ta_buf_addn(&b, rest, (size_t)(at - rest));
        ta_buf_add(&b, *state);
        rest = at + 1;
    }
    ta_buf_add(&b, rest);
    put_file(in(state, "watch.yaml"), b.data);
    ta_buf_free(&b);
    ta_free(full);
    *c = NULL;
    return ta_watch_config_read(c, in(state, "watch.yaml"), err);
}

static void set_up(stage *t, void **state, const char *more)
{
    char text[1500];
    ta_error err = { 0 };
    *t = (stage){ .state = state };
    assert_int_equal(ta_mkdirs(in(state, "in"), NULL), 0);
    snprintf(text, sizeof text,
             "watch:\n  - name: tapes\n    input: @/in\n    output: @/out\n    stable: 50ms\n    rescan: 200ms\n%s",
             more);
    if (read_config(state, &t->config, text, &err) < 0)
        fail_msg("%s", err.text[0]);
    assert_int_equal(ta_jobs_open(&t->q, in(state, "queue"), NULL, NULL), 0);
    assert_int_equal(ta_watcher_open(&t->w, t->q, t->config, NULL), 0);
}

static void restart(stage *t)
{
    ta_watcher_close(&t->w);
    ta_jobs_close(&t->q);
    assert_int_equal(ta_jobs_open(&t->q, in(t->state, "queue"), NULL, NULL), 0);
    assert_int_equal(ta_watcher_open(&t->w, t->q, t->config, NULL), 0);
}

static void tear_down(stage *t)
{
    ta_watcher_close(&t->w);
    ta_jobs_close(&t->q);
    ta_watch_config_free(&t->config);
}

static size_t total(const stage *t, int state)
{
    ta_view_reader *r = ta_view_reader_open(t->q);
    const ta_view *v = ta_view_enter(r);
    size_t n = state < 0 ? ta_view_total(v) : ta_view_count(v, (ta_qstate)state);
    ta_view_leave(r);
    ta_view_reader_close(&r);
    return n;
}

#define WAIT_FOR(condition)                                                                                            \
    do {                                                                                                               \
        int64_t end_ = ta_now_us() + 10000000;                                                                         \
        while (!(condition) && ta_now_us() < end_)                                                                     \
            ta_sleep_us(2000);                                                                                         \
        assert_true(condition);                                                                                        \
    } while (0)

static void assert_job(const stage *t, int64_t id, const char *input, const char *output)
{
    ta_view_reader *r = ta_view_reader_open(t->q);
    const ta_qjob *j = ta_view_job(ta_view_enter(r), id);
    assert_non_null(j);
    assert_true(ta_ends(j->input, input));
    assert_true(ta_ends(j->output, output));
    assert_string_equal(j->source, "watch:tapes");
    ta_view_leave(r);
    ta_view_reader_close(&r);
}

static void end_job(const stage *t, int64_t id, int attempt, int code)
{
    assert_int_equal(ta_jobs_set_state(t->q, id, attempt, TA_Q_ENCODING, NULL), 0);
    assert_int_equal(ta_jobs_end(t->q, id, attempt, code, "what happened", NULL), 0);
}

/* ---- Configuration --------------------------------------------------------------------------------------------------
 */

static void test_config(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        { "", "empty" },
        { "folders: []\n", "watch" },
        { "watch: yes\n", "list" },
        { "watch:\n  - input: @/in\n", "watch.yaml:2: a watch folder needs input and output" },
        { "watch:\n  - input: in\n    output: @/out\n", "not an absolute path" },
        { "watch:\n  - input: @/none\n    output: @/out\n", "there is no folder" },
        { "watch:\n  - input: @/in\n    output: @/in\n", "the same folder" },
        { "watch:\n  - input: @/in\n    output: @/out\n    recursiv: yes\n",
          "watch.yaml:4: a watch folder has no 'recursiv'" },
        { "watch:\n  - input: @/in\n    output: @/out\n    recursive: perhaps\n", "yes or no" },
        { "watch:\n  - input: @/in\n    output: @/out\n    when-done: delete\n", "delete-original: yes" },
        { "watch:\n  - input: @/in\n    output: @/out\n    delete-original: yes\n", "when-done: delete" },
        { "watch:\n  - input: @/in\n    output: @/out\n    when-done: move\n", "needs move-to" },
        { "watch:\n  - input: @/in\n    output: @/out\n    move-to: @/x\n", "needs when-done: move" },
        { "watch:\n  - input: @/in\n    output: @/out\n    retries: 101\n", "'101' is no value for retries" },
        { "watch:\n  - input: @/in\n    output: @/out\n    stable: soon\n", "no value for stable" },
        { "watch:\n  - input: @/in\n    output: @/out\n    settings: { crff: 3 }\n", "watch.yaml:4" },
        { "watch:\n  - input: @/in\n    output: @/out\n    settings: { output-template: \"{name}-{height}\" }\n",
          "{height}" },
        { "watch:\n  - input: @/in\n    output: @/out\n  - input: @/in\n    output: @/two\n", "one input or one name" },
        { "watch: [\n", "watch.yaml:" },
    };
    ta_watch_config *c = NULL;
    assert_int_equal(ta_mkdirs(in(state, "in"), NULL), 0);
    for (size_t i = 0; i < TA_COUNT(bad); i++) {
        ta_error err = { 0 };
        char all[2000];
        assert_int_equal(read_config(state, &c, bad[i].text, &err), TA_ERR_CONFIG);
        assert_null(c);
        if (!strstr(ta_error_string(&err, all, sizeof all), bad[i].says))
            fail_msg("'%s' does not say '%s'", all, bad[i].says);
    }
    assert_int_equal(
        read_config(state, &c,
                    "watch:\n  - input: @/in\n    output: @/made/out\n    include: ['*.avi', \"sub/*\"]\n"
                    "    exclude: '*.part.avi'\n    minimum-size: 1M\n    stable: 30s\n    retry-delay: 5m\n"
                    "    when-done: move\n    move-to: @/done\n    priority: -3\n    settings: { crf: 20 }\n",
                    NULL),
        0);
    assert_int_equal(ta_watch_config_count(c), 1);
    assert_true(ta_is_dir(in(state, "made/out")) && ta_is_dir(in(state, "done")));
    ta_watch_config_free(&c);
}

/* ---- Files ----------------------------------------------------------------------------------------------------------
 */

static void test_once(void **state)
{
    stage t;
    assert_int_equal(ta_mkdirs(in(state, "in"), NULL), 0);
    put_file(in(state, "in/there.avi"), "was there before");
    set_up(&t, state, "");
    WAIT_FOR(total(&t, -1) == 1);
    assert_job(&t, 1, "/in/there.avi", "/out/there-restored.mkv");
    put_file(in(state, "in/new.MPG"), "comes later");
    WAIT_FOR(total(&t, -1) == 2);
    put_file(in(state, "in/.hidden.avi"), "x");
    put_file(in(state, "in/notes.txt"), "x");
    put_file(in(state, "in/empty.avi"), "");
    assert_int_equal(symlink(in(state, "in/there.avi"), in(state, "in/link.avi")), 0);
    ta_sleep_us(500000); /* two rescans */
    assert_int_equal(total(&t, -1), 2);
    restart(&t);
    ta_sleep_us(400000);
    assert_int_equal(total(&t, -1), 2); /* known across restarts */
    end_job(&t, 1, 1, 0);
    restart(&t);
    ta_sleep_us(400000);
    assert_int_equal(total(&t, -1), 2);
    assert_true(exists(in(state, "in/there.avi"))); /* kept */
    put_file(in(state, "in/there.avi"), "the same name, another recording");
    WAIT_FOR(total(&t, -1) == 3);
    tear_down(&t);
}

static void test_at_rest(void **state)
{
    stage t;
    set_up(&t, state, "");
    int fd = open(in(state, "in/slow.avi"), O_WRONLY | O_CREAT, 0666);
    assert_int_equal(write(fd, "first", 5), 5);
    ta_sleep_us(600000); /* unchanged for far longer than `stable`, but open */
    assert_int_equal(total(&t, -1), 0);
    assert_int_equal(write(fd, "second", 6), 6);
    close(fd);
    WAIT_FOR(total(&t, -1) == 1);
    tear_down(&t);
}

static void test_structure_and_patterns(void **state)
{
    stage t;
    assert_int_equal(ta_mkdirs(in(state, "in/1994/summer"), NULL), 0);
    put_file(in(state, "in/1994/summer/a.avi"), "a");
    put_file(in(state, "in/1994/b.part.avi"), "b");
    put_file(in(state, "in/c.xyz"), "c");
    set_up(&t, state, "    recursive: yes\n    include: ['*.avi', '*.xyz']\n    exclude: ['*.part.*']\n");
    WAIT_FOR(total(&t, -1) == 2);
    assert_job(&t, 1, "/in/1994/summer/a.avi", "/out/1994/summer/a-restored.mkv");
    assert_job(&t, 2, "/in/c.xyz", "/out/c-restored.mkv");
    assert_int_equal(ta_mkdirs(in(state, "in/1995"), NULL), 0); /* a folder that comes later */
    put_file(in(state, "in/1995/d.avi"), "d");
    WAIT_FOR(total(&t, -1) == 3);
    ta_sleep_us(300000);
    assert_int_equal(total(&t, -1), 3);
    tear_down(&t);
}

/* ---- Ends -----------------------------------------------------------------------------------------------------------
 */

static void test_retries_and_errors(void **state)
{
    stage t;
    set_up(&t, state, "    retries: 1\n    retry-delay: 100ms\n    errors-to: @/bad\n");
    put_file(in(state, "in/noise.avi"), "noise");
    WAIT_FOR(total(&t, TA_Q_PENDING) == 1);
    end_job(&t, 1, 1, TA_ERR_DATA);
    WAIT_FOR(total(&t, TA_Q_PENDING) == 1); /* tried again, and that is remembered */
    restart(&t);
    end_job(&t, 1, 2, TA_ERR_DATA);
    WAIT_FOR(exists(in(state, "bad/noise.avi")));
    assert_content(in(state, "bad/noise.avi"), "noise");
    assert_false(exists(in(state, "in/noise.avi")));
    ta_sleep_us(300000);
    assert_int_equal(total(&t, TA_Q_FAILED), 1);
    put_file(in(state, "in/noise.avi"),
             "more noise"); /* of the same name: nothing is replaced in the folder of errors */
    WAIT_FOR(total(&t, TA_Q_PENDING) == 1);
    end_job(&t, 2, 1, TA_ERR_DATA);
    WAIT_FOR(total(&t, TA_Q_PENDING) == 1);
    end_job(&t, 2, 2, TA_ERR_DATA);
    WAIT_FOR(exists(in(state, "bad/noise (2).avi")));
    assert_content(in(state, "bad/noise.avi"), "noise");
    tear_down(&t);
}

static void test_cancelled_stays(void **state)
{
    stage t;
    set_up(&t, state, "    retries: 5\n    retry-delay: 0\n    errors-to: @/bad\n");
    put_file(in(state, "in/a.avi"), "a");
    WAIT_FOR(total(&t, TA_Q_PENDING) == 1);
    end_job(&t, 1, 1, TA_ERR_CANCELLED);
    ta_sleep_us(500000);
    assert_int_equal(total(&t, TA_Q_CANCELLED), 1); /* who cancels a job doesn't want it again */
    assert_true(exists(in(state, "in/a.avi")));
    tear_down(&t);
}

/* The job says that it is done, but no whole output is there: the original must not go. */
static void test_unverified_is_kept(void **state)
{
    for (int delete = 0; delete < 2; delete ++) {
        stage t;
        set_up(&t, state,
               delete ? "    when-done: delete\n    delete-original: yes\n"
                      : "    when-done: move\n    move-to: @/done\n");
        put_file(in(state, "in/a.avi"), delete ? "the second original" : "an original");
        WAIT_FOR(total(&t, TA_Q_PENDING) == 1);
        put_file(in(state, "out/a-restored.mkv"), "half an output");
        put_file(in(state, "out/a-restored.mkv.json"),
                 "{\"output\": {\"sha256\": \"0\"}, \"source\": {\"sha256\": \"0\"}}");
        end_job(&t, 1, 1, 0);
        ta_sleep_us(600000);
        assert_true(exists(in(state, "in/a.avi")));
        assert_false(exists(in(state, "done/a.avi")));
        assert_false(exists(in(state, "queue/fixity.jsonl")));
        tear_down(&t);
        assert_int_equal(ta_remove_tree(in(state, "queue"), NULL), 0);
    }
}

int main(void)
{
    ta_log_setup(TA_LOG_ERROR, false);
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_config),
        SCRATCH_TEST(test_once),
        SCRATCH_TEST(test_at_rest),
        SCRATCH_TEST(test_structure_and_patterns),
        SCRATCH_TEST(test_retries_and_errors),
        SCRATCH_TEST(test_cancelled_stays),
        SCRATCH_TEST(test_unverified_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
