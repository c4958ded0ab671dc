/* terminalai work: runs the queue without a screen. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "queue/queue.h"

enum { OWN_DIR, OWN_WORKERS, OWN_GPU, OWN_MEMORY, OWN_WATCH, OWN_DRAIN, OWN_REQUIRE, OWN_NO_SANDBOX, OWN_COUNT };
static const char *const flags[] = { "queue-dir=", "workers=",        "gpu-jobs=",  "memory=", "watch=",
                                     "drain",      "require-sandbox", "no-sandbox", NULL };

static int read_number(const char *flag, const char *text, long min, long max, int *out, ta_error *err)
{
    char *end;
    long n = text ? strtol(text, &end, 10) : *out;
    if (text && (end == text || *end || n < min || n > max))
        return ta_fail(err, TA_ERR_USAGE, "%s '%s' is not a number from %ld to %ld", flag, text, min, max);
    *out = (int)n;
    return 0;
}

static int read_config(const char **own, ta_owner_config *c, ta_error *err)
{
    c->workers = 1;
    c->gpu_jobs = 1;
    c->watch = own[OWN_WATCH] ? own[OWN_WATCH] : own[OWN_DRAIN] ? "" : NULL;
    int r = read_number("--workers", own[OWN_WORKERS], 1, TA_CREW_MAX_WORKERS, &c->workers, err);
    if (r >= 0)
        r = read_number("--gpu-jobs", own[OWN_GPU], 1, TA_CREW_MAX_WORKERS, &c->gpu_jobs, err);
    if (r >= 0 && own[OWN_MEMORY] && (!ta_parse_size(own[OWN_MEMORY], &c->memory_budget) || c->memory_budget <= 0))
        r = ta_fail(err, TA_ERR_USAGE, "--memory '%s' is not a size such as 8G", own[OWN_MEMORY]);
    if (r >= 0 && own[OWN_DRAIN] && own[OWN_WATCH])
        r = ta_fail(err, TA_ERR_USAGE, "--drain ends with the last job and does not go with --watch");
    if (r >= 0 && own[OWN_REQUIRE] && own[OWN_NO_SANDBOX])
        r = ta_fail(err, TA_ERR_USAGE, "--require-sandbox and --no-sandbox contradict each other");
    c->sandbox = own[OWN_REQUIRE]      ? TA_CREW_SANDBOX_REQUIRED
                 : own[OWN_NO_SANDBOX] ? TA_CREW_SANDBOX_OFF
                                       : TA_CREW_SANDBOX_ON;
    return r;
}

/* With --drain the exit code says whether all went well. */
static int drained(const ta_owner *o, ta_error *err)
{
    ta_view_reader *r = ta_view_reader_open(ta_owner_jobs(o));
    if (!r)
        return ta_no_memory(err);
    const ta_view *v = ta_view_enter(r);
    size_t failed = ta_view_count(v, TA_Q_FAILED), left = ta_view_count(v, TA_Q_PENDING);
    ta_view_leave(r);
    ta_view_reader_close(&r);
    if (failed) {
        ta_fail(err, TA_ERR_DATA, "%zu jobs failed", failed);
        return ta_hint(err, "`terminalai queue list --state failed` says why; `queue clear --ended` forgets them");
    }
    if (left)
        return ta_fail(err, TA_ERR_AGAIN, "%zu jobs can't begin: the queue is paused, or they wait for others", left);
    return 0;
}

static int work(const ta_owner_config *c, bool drain, ta_error *err)
{
    ta_owner *o = NULL;
    ta_cli_catch_signals_calmly();
    int r = ta_owner_open(&o, c, err);
    if (r < 0)
        return r;
    ta_log(TA_LOG_INFO, "queue", "%d workers run the queue '%s'", c->workers, c->dir);
    if (!drain)
        ta_cancel_wait(ta_cli_cancel(), INT64_MAX / 2);
    else if (ta_owner_wait_idle(o, ta_cli_cancel()))
        r = drained(o, err);
    else
        r = ta_fail(err, TA_ERR_CANCELLED, "interrupted");
    ta_owner_close(&o);
    return r;
}

static int run(int argc, char **argv, ta_error *err)
{
    const char *own[OWN_COUNT + 1] = { NULL };
    ta_owner_config c = { 0 };
    ta_settings *s = NULL;
    int words = 0;
    int r = ta_cli_settings(argc, argv, flags, own, &words, &s, err);
    if (r >= 0)
        r = ta_cli_expect_words(argv, words, 0, 0, "", err);
    if (r >= 0)
        r = read_config(own, &c, err);
    char *dir = r >= 0 ? ta_jobs_folder(own[OWN_DIR]) : NULL;
    if (r >= 0 && !dir)
        r = ta_fail(err, TA_ERR_CONFIG, "there is no place for the queue: name one by --queue-dir or TERMINALAI_QUEUE");
    c.dir = dir;
    c.notifications = s ? ta_get_text(s, TA_SET_notifications) : NULL;
    if (r >= 0)
        r = work(&c, own[OWN_DRAIN] != NULL, err);
    ta_free(dir);
    ta_settings_free(&s);
    return r;
}

const ta_verb ta_verb_work = {
    .name = "work",
    .usage = "work [--workers N] [--watch FILE] [--drain] [--notifications FILE] [--log-level LEVEL]",
    .summary = "Runs the jobs of the queue, until interrupted",
    .run = run,
    .more = "      --workers N         processes that work at once (default 1: a job uses all CPUs)\n"
            "      --gpu-jobs N        at once, of those that want the GPU (default 1)\n"
            "      --memory SIZE       of all workers together: a job counts with its memory-limit, else with 1 GB, or "
            "3 GB\n"
            "                          with neural models; a job that needs more runs alone\n"
            "      --watch FILE        watch folders (default watch.yaml beside your configuration)\n"
            "      --drain             ends when nothing is left to do; the exit code says whether jobs failed\n"
            "      --require-sandbox   an error where this kernel can't confine workers; --no-sandbox doesn't try\n"
            "      --queue-dir DIR     the queue's folder (TERMINALAI_QUEUE, else $XDG_STATE_HOME/terminalai/queue)\n"
            "      --notifications FILE, --log-level LEVEL, --log-json   as everywhere\n"
            "It ends by SIGINT or SIGTERM: jobs at work are pending again and go on from their segments.\n",
};
