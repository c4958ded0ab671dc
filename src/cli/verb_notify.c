/* terminalai notify: the channels that are told when a job ends. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "notify/notify.h"

enum { OWN_FILE, OWN_JSON, OWN_COUNT };
static const char *const flags[] = { "notifications=", "json", NULL };

/* The file by this command line, else by the settings' files and the environment. */
static int read_config(const char *file, ta_notify_config **c, ta_error *err)
{
    ta_settings *s = ta_settings_new();
    int r = s ? ta_settings_load(s, err) : ta_no_memory(err);
    if (r == 0)
        r = ta_notify_config_read(c, file ? file : ta_get_text(s, TA_SET_notifications), err);
    ta_settings_free(&s);
    return r;
}

static void print_events(const ta_notify_config *c, size_t i)
{
    const char *between = "";
    for (size_t k = 0; ta_notify_events[k]; k++)
        if (ta_notify_wants(c, i, ta_notify_events[k])) {
            printf("%s%s", between, ta_notify_events[k]);
            between = ", ";
        }
}

static int list(const ta_notify_config *c, bool json, ta_error *err)
{
    json_t *all = json ? json_array() : NULL;
    for (size_t i = 0; i < ta_notify_channels(c); i++) {
        json_t *events = json ? json_array() : NULL;
        for (size_t k = 0; events && ta_notify_events[k]; k++)
            if (ta_notify_wants(c, i, ta_notify_events[k]))
                json_array_append_new(events, json_string(ta_notify_events[k]));
        if (json) {
            json_array_append_new(all, json_pack("{s:s, s:s, s:o}", "name", ta_notify_channel(c, i), "type",
                                                 ta_notify_kind(c, i), "events", events));
            continue;
        }
        printf("%-20s %-10s ", ta_notify_channel(c, i), ta_notify_kind(c, i));
        print_events(c, i);
        putchar('\n');
    }
    if (!json && !ta_notify_channels(c))
        printf("no channel is configured; the manual has the form of the file\n");
    if (!json)
        return 0;
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
    return all ? 0 : ta_no_memory(err);
}

/* ---- test ------------------------------------------------------------------------------------------------------ */

static int add_row(ta_memory_outbox *o, const ta_notify_config *c, size_t i, int64_t *id, ta_error *err)
{
    const ta_notice n = {
        .event = "test", .name = "test", .status = "test", .elapsed_seconds = 0, .wall_us = ta_wall_us()
    };
    *id = ta_memory_outbox_add(o, ta_notify_channel(c, i), &n, err);
    return *id < 0 ? (int)*id : 0;
}

/* The channels of the command line, or all. */
static int add_rows(ta_memory_outbox *o, const ta_notify_config *c, char **words, int count, int64_t *ids,
                    ta_error *err)
{
    int r = 0;
    size_t i;
    for (int k = 0; r == 0 && k < count; k++) {
        r = ta_notify_find(c, words[k], &i, err);
        if (r == 0 && !ids[i])
            r = add_row(o, c, i, &ids[i], err);
    }
    for (i = 0; r == 0 && count == 0 && i < ta_notify_channels(c); i++)
        r = add_row(o, c, i, &ids[i], err);
    return r;
}

static int show(ta_memory_outbox *o, const ta_notify_config *c, const int64_t *ids, ta_error *err)
{
    char why[TA_ERROR_TEXT];
    int failed = 0, all = 0;
    for (size_t i = 0; i < ta_notify_channels(c); i++) {
        if (!ids[i])
            continue;
        bool sent = ta_memory_outbox_look(o, ids[i], NULL, why) == TA_ROW_SENT;
        printf("%-20s %s%s\n", ta_notify_channel(c, i), sent ? "sent" : "failed: ", why);
        failed += !sent;
        all++;
    }
    return failed ? ta_fail(err, TA_ERR_UNAVAILABLE, "%d of %d channels could not be told", failed, all) : 0;
}

static int test(const ta_notify_config *c, char **words, int count, ta_error *err)
{
    ta_memory_outbox *o = ta_memory_outbox_new();
    int64_t *ids = ta_array(TA_MAX(ta_notify_channels(c), 1), sizeof *ids);
    ta_notifier *n = NULL;
    int r = o && ids ? add_rows(o, c, words, count, ids, err) : ta_no_memory(err);
    if (r == 0) {
        const ta_outbox rows = ta_memory_outbox_rows(o);
        r = ta_notifier_open(&n, c, &rows, 1, err);
    }
    if (r == 0)
        r = ta_memory_outbox_wait(o, ta_cli_cancel(), err);
    ta_notifier_close(&n, 0);
    if (r == 0)
        r = show(o, c, ids, err);
    ta_memory_outbox_free(&o);
    ta_free(ids);
    return r;
}

static int run(int argc, char **argv, ta_error *err)
{
    const char *own[OWN_COUNT] = { NULL };
    ta_notify_config *c = NULL;
    int words = 0, r = ta_cli_parse(argc, argv, NULL, flags, own, &words, err);
    bool tests = r == 0 && words && ta_streq(argv[0], "test"), lists = r == 0 && (!words || ta_streq(argv[0], "list"));
    if (r == 0 && !tests && !lists) {
        ta_fail(err, TA_ERR_USAGE, "notify can't '%s'", argv[0]);
        r = ta_hint(err, "it can list and test");
    }
    if (r == 0 && lists)
        r = ta_cli_expect_words(argv, words, 0, 1, "", err);
    if (r == 0 && tests && own[OWN_JSON])
        r = ta_fail(err, TA_ERR_USAGE, "--json goes with list");
    if (r == 0)
        r = read_config(own[OWN_FILE], &c, err);
    if (r == 0 && tests && !ta_notify_channels(c)) {
        ta_fail(err, TA_ERR_CONFIG, "no channel is configured");
        r = ta_hint(err, "the manual has the form of the file");
    }
    if (r == 0)
        ta_cli_catch_signals();
    if (r == 0)
        r = tests ? test(c, argv + 1, words - 1, err) : list(c, own[OWN_JSON] != NULL, err);
    ta_notify_config_free(&c);
    return r;
}

const ta_verb ta_verb_notify = {
    .name = "notify",
    .usage = "notify [list [--json] | test [CHANNEL ...]] [--notifications FILE.yaml]",
    .summary = "Who is told when a job ends: list the channels, try them",
    .run = run,
    .more = "  --notifications FILE the channels; by default notifications.yaml beside your configuration\n"
            "  --json               list: as JSON\n"
            "test sends one message to each channel (or to those named), once, and says what came of it.\n",
};
