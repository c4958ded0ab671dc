/* terminalai queue: jobs that wait for `terminalai work`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/queue_verb.h"

static const char *const own_flags[] = {
    "queue-dir=", "json", "output,o=", "recursive,r", "pattern=", "priority=", "needs=", "paused", "state=", "offset=",
    "limit=",     "top",  "bottom",    "before=",     "after=",   "completed", "ended",  "all",    NULL
};

/* ---- Asking ---------------------------------------------------------------------------------------------------------
 */

int ta_queue_ask(const ta_queue_call *c, json_t *request, json_t **reply, ta_error *err)
{
    ta_client *client = NULL;
    *reply = NULL;
    if (!request)
        return ta_no_memory(err);
    int r = ta_client_open(&client, c->dir, ta_cli_cancel(), err);
    if (r >= 0)
        r = ta_client_request(client, request, reply, err);
    ta_client_close(&client);
    json_decref(request);
    return r;
}

int ta_queue_number(const char *what, const char *text, int64_t min, int64_t max, int64_t *out, ta_error *err)
{
    char *end;
    long long n = strtoll(text, &end, 10);
    if (end == text || *end || n < min || n > max)
        return ta_fail(err, TA_ERR_USAGE, "%s '%s' is not a number from %lld to %lld", what, text, (long long)min,
                       (long long)max);
    *out = n;
    return 0;
}

int ta_queue_print_json(json_t *reply, ta_error *err)
{
    char *text = json_dumps(reply, JSON_INDENT(2));
    json_decref(reply);
    if (!text)
        return ta_no_memory(err);
    puts(text);
    free(text);
    return 0;
}

static int ids_of(const ta_queue_call *c, json_t *request, int least, ta_error *err)
{
    json_t *list = json_array();
    int r = ta_cli_expect_words(c->argv, c->words, least, 100000, "the number of a job", err);
    for (int i = 0; r >= 0 && i < c->words; i++) {
        int64_t id = 0;
        r = ta_queue_number("the job", c->argv[i], 1, INT64_MAX, &id, err);
        json_array_append_new(list, json_integer(id));
    }
    if (r >= 0 && c->words)
        json_object_set(request, "ids", list);
    json_decref(list);
    return r;
}

static int set_number(json_t *request, const char *key, const char *flag, const char *text, int64_t min, int64_t max,
                      ta_error *err)
{
    int64_t n = 0;
    int r = text ? ta_queue_number(flag, text, min, max, &n, err) : 0;
    if (r >= 0 && text)
        json_object_set_new(request, key, json_integer(n));
    return r;
}

/* ---- Subverbs -------------------------------------------------------------------------------------------------------
 */

static int list(ta_queue_call *c, ta_error *err)
{
    json_t *request = json_pack("{s:s}", "do", "list"), *reply;
    int r = ta_cli_expect_words(c->argv, c->words, 0, 0, "", err);
    if (r >= 0)
        r = set_number(request, "offset", "--offset", c->own[TA_QF_OFFSET], 0, INT32_MAX, err);
    if (r >= 0)
        r = set_number(request, "limit", "--limit", c->own[TA_QF_LIMIT], 0, 1000, err);
    if (r >= 0 && c->own[TA_QF_STATE])
        json_object_set_new(request, "state", json_string(c->own[TA_QF_STATE]));
    if (r < 0) {
        json_decref(request);
        return r;
    }
    r = ta_queue_ask(c, request, &reply, err);
    if (r < 0 || c->json)
        return r < 0 ? r : ta_queue_print_json(reply, err);
    ta_queue_print_list(reply);
    json_decref(reply);
    return 0;
}

static int show(ta_queue_call *c, ta_error *err)
{
    int64_t id = 0;
    json_t *reply;
    int r = ta_cli_expect_words(c->argv, c->words, 1, 1, "the number of a job", err);
    if (r >= 0)
        r = ta_queue_number("the job", c->argv[0], 1, INT64_MAX, &id, err);
    if (r >= 0)
        r = ta_queue_ask(c, json_pack("{s:s, s:I}", "do", "show", "id", (json_int_t)id), &reply, err);
    if (r < 0 || c->json)
        return r < 0 ? r : ta_queue_print_json(reply, err);
    ta_queue_print_job(reply);
    json_decref(reply);
    return 0;
}

static int stats(ta_queue_call *c, ta_error *err)
{
    json_t *reply;
    int r = ta_cli_expect_words(c->argv, c->words, 0, 0, "", err);
    if (r >= 0)
        r = ta_queue_ask(c, json_pack("{s:s}", "do", "stats"), &reply, err);
    if (r < 0 || c->json)
        return r < 0 ? r : ta_queue_print_json(reply, err);
    ta_queue_print_stats(reply);
    json_decref(reply);
    return 0;
}

/* Those that answer with the jobs that were changed. */
static int ask_and_tell(ta_queue_call *c, json_t *request, const char *done, ta_error *err)
{
    json_t *reply;
    int r = ta_queue_ask(c, request, &reply, err);
    if (r < 0 || c->json)
        return r < 0 ? r : ta_queue_print_json(reply, err);
    size_t i, n = json_array_size(json_object_get(reply, "done"));
    json_t *id;
    printf("%s:", n ? done : "done");
    json_array_foreach(json_object_get(reply, "done"), i, id) printf(" %lld", (long long)json_integer_value(id));
    printf("\n");
    json_decref(reply);
    return 0;
}

static int change(ta_queue_call *c, const char *what, const char *done, int least, ta_error *err)
{
    json_t *request = json_pack("{s:s}", "do", what);
    int r = ids_of(c, request, least, err);
    if (r >= 0 && !c->words && !c->json) {
        json_t *reply;
        r = ta_queue_ask(c, request, &reply, err);
        if (r >= 0)
            printf("the queue is %s\n", done);
        json_decref(reply);
        return r;
    }
    if (r >= 0)
        return ask_and_tell(c, request, done, err);
    json_decref(request);
    return r;
}

static int cancel(ta_queue_call *c, ta_error *err)
{
    return change(c, "cancel", "cancelled", 1, err);
}

static int pause_jobs(ta_queue_call *c, ta_error *err)
{
    return change(c, "pause", "paused", 0, err);
}

static int resume(ta_queue_call *c, ta_error *err)
{
    return change(c, "resume", "resumed", 0, err);
}

static int retry(ta_queue_call *c, ta_error *err)
{
    return change(c, "retry", "pending again", 1, err);
}

static int remove_jobs(ta_queue_call *c, ta_error *err)
{
    return change(c, "remove", "removed", 1, err);
}

static int move(ta_queue_call *c, ta_error *err)
{
    json_t *request = json_pack("{s:s}", "do", "move");
    int r = ids_of(c, request, 1, err);
    if (c->own[TA_QF_TOP] || c->own[TA_QF_BOTTOM])
        json_object_set_new(request, "to", json_string(c->own[TA_QF_TOP] ? "top" : "bottom"));
    if (r >= 0 && c->own[TA_QF_TOP] && c->own[TA_QF_BOTTOM])
        r = ta_fail(err, TA_ERR_USAGE, "--top and --bottom contradict each other");
    if (r >= 0)
        r = set_number(request, "before", "--before", c->own[TA_QF_BEFORE], 1, INT64_MAX, err);
    if (r >= 0)
        r = set_number(request, "after", "--after", c->own[TA_QF_AFTER], 1, INT64_MAX, err);
    if (r >= 0)
        r = set_number(request, "priority", "--priority", c->own[TA_QF_PRIORITY], -1000, 1000, err);
    if (r >= 0)
        return ask_and_tell(c, request, "moved", err);
    json_decref(request);
    return r;
}

static int clear(ta_queue_call *c, ta_error *err)
{
    const char *what = c->own[TA_QF_ALL] ? "all" : c->own[TA_QF_ENDED] ? "ended" : "completed";
    json_t *reply;
    int r = ta_cli_expect_words(c->argv, c->words, 0, 0, "", err);
    if (r >= 0)
        r = ta_queue_ask(c, json_pack("{s:s, s:s}", "do", "clear", "what", what), &reply, err);
    if (r < 0 || c->json)
        return r < 0 ? r : ta_queue_print_json(reply, err);
    printf("removed: %lld", (long long)json_integer_value(json_object_get(reply, "removed")));
    json_int_t stopping = json_integer_value(json_object_get(reply, "stopping"));
    json_int_t kept = json_integer_value(json_object_get(reply, "kept"));
    if (stopping)
        printf(", at work and cancelled now: %lld", (long long)stopping);
    if (kept)
        printf(", kept because others wait for them: %lld", (long long)kept);
    printf("\n");
    json_decref(reply);
    return 0;
}

static int outbox(ta_queue_call *c, ta_error *err)
{
    json_t *reply;
    int r = ta_cli_expect_words(c->argv, c->words, 0, 0, "", err);
    if (r >= 0)
        r = ta_queue_ask(c, json_pack("{s:s}", "do", "outbox"), &reply, err);
    if (r < 0 || c->json)
        return r < 0 ? r : ta_queue_print_json(reply, err);
    ta_queue_print_outbox(reply);
    json_decref(reply);
    return 0;
}

static int resend(ta_queue_call *c, ta_error *err)
{
    json_t *request = json_pack("{s:s}", "do", "resend");
    int r = ids_of(c, request, 0, err);
    if (r >= 0)
        return ask_and_tell(c, request, "sent again", err);
    json_decref(request);
    return r;
}

static bool print_event(void *opaque, const json_t *event)
{
    const ta_queue_call *c = opaque;
    if (c->json) {
        char *text = json_dumps(event, JSON_COMPACT);
        puts(text ? text : "{}");
        free(text);
    } else {
        ta_queue_print_event(event);
    }
    return fflush(stdout) == 0;
}

static int watch(ta_queue_call *c, ta_error *err)
{
    ta_client *client = NULL;
    int r = ta_cli_expect_words(c->argv, c->words, 0, 0, "", err);
    ta_cli_catch_signals();
    if (r >= 0)
        r = ta_client_open(&client, c->dir, ta_cli_cancel(), err);
    if (r >= 0)
        r = ta_client_watch(client, print_event, c, err);
    ta_client_close(&client);
    return r;
}

static int repair(ta_queue_call *c, ta_error *err)
{
    ta_buf report = { 0 };
    int r = ta_cli_expect_words(c->argv, c->words, 0, 0, "", err);
    if (r >= 0)
        r = ta_jobs_repair(c->dir, &report, err);
    if (r >= 0 && report.data)
        fputs(report.data, stdout);
    ta_buf_free(&report);
    return r;
}

/* ---- Dispatch -------------------------------------------------------------------------------------------------------
 */

#define BIT(f) (1u << TA_QF_##f)

static const struct subverb {
    const char *name;
    int (*run)(ta_queue_call *c, ta_error *err);
    unsigned flags; /* besides --queue-dir */
} subverbs[] = {
    { "add", ta_queue_add,
      BIT(JSON) | BIT(OUTPUT) | BIT(RECURSIVE) | BIT(PATTERN) | BIT(PRIORITY) | BIT(NEEDS) | BIT(PAUSED) },
    { "list", list, BIT(JSON) | BIT(STATE) | BIT(OFFSET) | BIT(LIMIT) },
    { "show", show, BIT(JSON) },
    { "watch", watch, BIT(JSON) },
    { "cancel", cancel, BIT(JSON) },
    { "pause", pause_jobs, BIT(JSON) },
    { "resume", resume, BIT(JSON) },
    { "retry", retry, BIT(JSON) },
    { "move", move, BIT(JSON) | BIT(TOP) | BIT(BOTTOM) | BIT(BEFORE) | BIT(AFTER) | BIT(PRIORITY) },
    { "remove", remove_jobs, BIT(JSON) },
    { "clear", clear, BIT(JSON) | BIT(COMPLETED) | BIT(ENDED) | BIT(ALL) },
    { "stats", stats, BIT(JSON) },
    { "outbox", outbox, BIT(JSON) },
    { "resend", resend, BIT(JSON) },
    { "export", ta_queue_export, 0 },
    { "import", ta_queue_import, BIT(JSON) },
    { "repair", repair, 0 },
};

static int fail_subverb(const char *name, ta_error *err)
{
    const char *names[TA_COUNT(subverbs) + 1] = { NULL };
    for (size_t i = 0; i < TA_COUNT(subverbs); i++)
        names[i] = subverbs[i].name;
    const char *near = name ? ta_nearest(name, names) : NULL;
    if (!name)
        ta_fail(err, TA_ERR_USAGE, "queue needs a word that says what to do");
    else
        ta_fail(err, TA_ERR_USAGE, "queue has no '%s'", name);
    if (near)
        return ta_hint(err, "did you mean '%s'?", near);
    return ta_hint(err, "`terminalai queue list`, `queue add FILE`; `terminalai help queue` names all");
}

static int check_flags(const struct subverb *sub, const char **own, ta_error *err)
{
    for (int i = 0; i < TA_QF_COUNT; i++) {
        if (own[i] && i != TA_QF_DIR && !(sub->flags >> i & 1))
            return ta_fail(err, TA_ERR_USAGE, "queue %s takes no --%.*s", sub->name, (int)strcspn(own_flags[i], ",="),
                           own_flags[i]);
    }
    return 0;
}

static int find_folder(ta_queue_call *c, ta_error *err)
{
    c->dir = ta_jobs_folder(c->own[TA_QF_DIR]);
    if (c->dir)
        return 0;
    ta_fail(err, TA_ERR_CONFIG, "there is no place for the queue: neither XDG_STATE_HOME nor HOME is set");
    return ta_hint(err, "name a folder by --queue-dir or TERMINALAI_QUEUE");
}

static int run_sub(const struct subverb *sub, int argc, char **argv, ta_error *err)
{
    const char *own[TA_QF_COUNT + 1] = { NULL };
    ta_queue_call c = { .argc = argc, .argv = argv, .own = own };
    bool add = sub->run == ta_queue_add;
    int r = 0;
    if (add) {
        c.settings = ta_settings_new();
        r = c.settings ? ta_settings_load(c.settings, err) : ta_no_memory(err);
    }
    if (r >= 0)
        r = ta_cli_parse(argc, argv, c.settings, own_flags, own, &c.words, err);
    if (r >= 0)
        r = check_flags(sub, own, err);
    c.json = own[TA_QF_JSON] != NULL;
    if (r >= 0)
        r = find_folder(&c, err);
    if (r >= 0)
        r = sub->run(&c, err);
    ta_settings_free(&c.settings);
    ta_free(c.dir);
    return r;
}

static int run(int argc, char **argv, ta_error *err)
{
    for (size_t i = 0; argc && i < TA_COUNT(subverbs); i++)
        if (strcmp(argv[0], subverbs[i].name) == 0)
            return run_sub(&subverbs[i], argc - 1, argv + 1, err);
    return fail_subverb(argc && argv[0][0] != '-' ? argv[0] : NULL, err);
}

const ta_verb ta_verb_queue = {
    .name = "queue",
    .usage = "queue add|list|show|watch|cancel|pause|resume|retry|move|remove|clear|stats|outbox|resend|export|import|"
             "repair ...",
    .summary = "Jobs that wait for `terminalai work`, and how far they are",
    .run = run,
    .more =
        "  add FILE|FOLDER|URL... [-o OUTPUT] [--SETTING VALUE ...]   adds jobs, with any setting of restore\n"
        "      -o, --output PATH     a file, or a folder; without it each output goes beside its input\n"
        "      -r, --recursive       folders below, too; --pattern '*.avi,tape*' which files of folders\n"
        "      --priority N          -1000 to 1000, higher is earlier (0)\n"
        "      --needs ID,...        waits until these jobs are completed\n"
        "      --paused              adds them paused\n"
        "      --dry-run             shows what would be added\n"
        "  list [--state STATE] [--offset N] [--limit N]          jobs in their order (100 of them)\n"
        "  show ID                                                one job with its settings\n"
        "  watch                                                  what happens, until interrupted\n"
        "  cancel|retry|remove ID...                              remove is for jobs that are not at work\n"
        "  pause|resume [ID...]                                   jobs, or the queue: then no further job begins\n"
        "  move ID... --top|--bottom|--before ID|--after ID|--priority N\n"
        "  clear [--completed|--ended|--all]                      removes what is completed (or failed and cancelled,\n"
        "                                                         too; or all, which cancels what is at work)\n"
        "  stats                                                  counts and times, also of jobs that were cleared\n"
        "  outbox                                                 notifications that wait or were given up\n"
        "  resend [ID...]                                         sends those that were given up once more\n"
        "  export [FILE], import FILE                             all jobs with their settings, as JSON lines\n"
        "  repair                                                 saves what can be read of a damaged store\n"
        "For all of them:\n"
        "  --queue-dir DIR   the queue's folder (TERMINALAI_QUEUE, else $XDG_STATE_HOME/terminalai/queue)\n"
        "  --json            replies as JSON (not: export, repair)\n"
        "States: pending, downloading, analysing, preprocessing, upscaling, encoding, finishing, paused, completed, "
        "failed,\n"
        "cancelled.\n",
};
