/* What `terminalai queue` prints for people. */
#include <stdio.h>
#include <string.h>

#include "cli/queue_verb.h"

static const char *text(const json_t *o, const char *key)
{
    const char *t = json_string_value(json_object_get(o, key));
    return t ? t : "";
}

static long long number(const json_t *o, const char *key)
{
    return (long long)json_integer_value(json_object_get(o, key));
}

static const char *eta_of(const json_t *job, char out[32])
{
    const json_t *eta = json_object_get(job, "eta_seconds");
    out[0] = '\0';
    return json_is_number(eta) && json_number_value(eta) > 0 ? ta_print_span(json_number_value(eta), out) : "";
}

static bool is_begun(const json_t *job)
{
    return json_number_value(json_object_get(job, "percent")) > 0;
}

static void print_row(const json_t *job)
{
    char percent[16] = "", eta[32];
    if (is_begun(job))
        snprintf(percent, sizeof percent, "%.1f %%", json_number_value(json_object_get(job, "percent")));
    printf("%6lld  %-13s %8s  %-12s %5lld  %s -> %s\n", number(job, "id"),
           json_is_true(json_object_get(job, "stopping")) ? "stopping" : text(job, "state"), percent, eta_of(job, eta),
           number(job, "priority"), text(job, "input"), text(job, "output"));
    if (*text(job, "message") && strcmp(text(job, "state"), "failed") == 0)
        printf("        %s\n", text(job, "message"));
    if (json_is_integer(json_object_get(job, "waits_for")))
        printf("        waits for job %lld\n", number(job, "waits_for"));
}

static void print_counts(const json_t *o)
{
    const char *name;
    json_t *count;
    bool any = false;
    json_object_foreach(json_object_get(o, "counts"), name, count)
    {
        if (json_integer_value(count))
            printf("%s%s: %lld", any ? ", " : "", name, (long long)json_integer_value(count));
        any |= json_integer_value(count) > 0;
    }
    printf("%s%s\n", any ? "" : "the queue is empty", json_is_true(json_object_get(o, "paused")) ? " (paused)" : "");
}

void ta_queue_print_list(const json_t *reply)
{
    const json_t *jobs = json_object_get(reply, "jobs");
    size_t n = json_array_size(jobs);
    if (n)
        printf("%6s  %-13s %8s  %-12s %5s  %s\n", "JOB", "STATE", "DONE", "LEFT", "PRIO", "INPUT -> OUTPUT");
    for (size_t i = 0; i < n; i++)
        print_row(json_array_get(jobs, i));
    if ((long long)n < number(reply, "matching"))
        printf("%zu of %lld shown; --offset and --limit show others\n", n, number(reply, "matching"));
    print_counts(reply);
}

static void print_value(const char *name, const json_t *value)
{
    char *dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    printf("  %s: %s\n", name, json_is_string(value) ? json_string_value(value) : dump ? dump : "");
    free(dump);
}

void ta_queue_print_job(const json_t *job)
{
    static const char *const keys[] = { "input", "output", "source", "added", "started", "ended", "message" };
    const char *name;
    json_t *value;
    char eta[32];
    printf("job:      %lld, attempt %lld, priority %lld\nstate:    %s%s\n", number(job, "id"), number(job, "attempt"),
           number(job, "priority"), text(job, "state"),
           json_is_true(json_object_get(job, "stopping")) ? ", being cancelled" : "");
    if (is_begun(job))
        printf("done:     %.1f %%, %.1f frames/s, left: %s\n", json_number_value(json_object_get(job, "percent")),
               json_number_value(json_object_get(job, "fps")), *eta_of(job, eta) ? eta : "unknown");
    for (size_t i = 0; i < TA_COUNT(keys); i++)
        if (*text(job, keys[i]))
            printf("%s:%*s%s\n", keys[i], (int)(9 - strlen(keys[i])), "", text(job, keys[i]));
    if (json_is_integer(json_object_get(job, "waits_for")))
        printf("waits:    for job %lld\n", number(job, "waits_for"));
    printf("settings:\n");
    json_object_foreach(json_object_get(job, "settings"), name, value) print_value(name, value);
}

void ta_queue_print_stats(const json_t *stats)
{
    const json_t *ever = json_object_get(stats, "ever"), *mean = json_object_get(ever, "mean_seconds");
    char span[32];
    print_counts(stats);
    printf("ever: completed %lld, failed %lld, cancelled %lld; %s of work", number(ever, "completed"),
           number(ever, "failed"), number(ever, "cancelled"),
           ta_print_span(json_number_value(json_object_get(ever, "seconds")), span));
    if (json_is_number(mean))
        printf(", %s a job", ta_print_span(json_number_value(mean), span));
    printf("\n");
}

void ta_queue_print_outbox(const json_t *outbox)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(outbox, "rows"), i, row) printf(
        "%6lld  %-7s  job %lld to %s, %lld failed%s%s\n", number(row, "id"), text(row, "state"), number(row, "job"),
        text(row, "channel"), number(row, "tries"), *text(row, "why") ? ": " : "", text(row, "why"));
    printf("waiting: %lld, given up: %lld\n", number(outbox, "waiting"), number(outbox, "given_up"));
}

void ta_queue_print_event(const json_t *event)
{
    const char *kind = text(event, "event");
    char eta[32];
    if (!*kind) {
        print_counts(event);
    } else if (strcmp(kind, "job") == 0) {
        printf("job %lld: %s", number(event, "id"), text(event, "state"));
        if (is_begun(event))
            printf(" %.1f %%%s%s", json_number_value(json_object_get(event, "percent")),
                   *eta_of(event, eta) ? ", left " : "", eta_of(event, eta));
        printf("\n");
    } else if (strcmp(kind, "removed") == 0) {
        printf("job %lld: removed\n", number(event, "id"));
    } else {
        printf("%s\n", strcmp(kind, "queue") == 0
                           ? "the queue was paused, resumed or put in another order"
                           : "more happened than could be told; `terminalai queue list` shows all");
    }
}
