/* terminalai status: how far a job folder is. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "restore/restore.h"

/* "3, 5-9" */
static void print_ranges(const json_t *list)
{
    size_t n = json_array_size(list);
    for (size_t i = 0, k; i < n; i = k) {
        json_int_t first = json_integer_value(json_array_get(list, i));
        for (k = i + 1; k < n && json_integer_value(json_array_get(list, k)) == first + (json_int_t)(k - i); k++)
            ;
        printf(k - i > 1 ? "%s%lld-%lld" : "%s%lld", i ? ", " : "", (long long)first,
               (long long)(first + (json_int_t)(k - i) - 1));
    }
}

static void print_status(const json_t *o)
{
    long long all = json_integer_value(json_object_get(o, "segments"));
    long long done = json_integer_value(json_object_get(o, "done"));
    const json_t *missing = json_object_get(o, "missing");
    const char *source = json_string_value(json_object_get(o, "source"));
    const char *output = json_string_value(json_object_get(o, "output"));
    printf("source:   %s\noutput:   %s%s\n", source ? source : "?", output ? output : "?",
           json_is_true(json_object_get(o, "finished")) ? "" : " (not there yet)");
    printf("segments: %lld of %lld done", done, all);
    if (json_array_size(missing)) {
        printf("; missing: ");
        print_ranges(missing);
    }
    printf("\nsound:    %s\n", json_is_true(json_object_get(o, "sound")) ? "done" : "not done");
}

static int run(int argc, char **argv, ta_error *err)
{
    static const char *const own_flags[] = { "json", NULL };
    const char *own[1] = { NULL };
    json_t *status = NULL;
    int words = 0;
    int r = ta_cli_parse(argc, argv, NULL, own_flags, own, &words, err);
    if (r >= 0)
        r = ta_cli_expect_words(argv, words, 1, 1, "a job folder", err);
    if (r >= 0)
        r = ta_job_folder_status(argv[0], &status, err);
    char *text = r >= 0 && own[0] ? json_dumps(status, JSON_INDENT(2)) : NULL;
    if (r >= 0 && own[0])
        printf("%s\n", text ? text : "{}");
    else if (r >= 0)
        print_status(status);
    free(text);
    json_decref(status);
    return r;
}

const ta_verb ta_verb_status = {
    .name = "status",
    .usage = "status FOLDER [--json]",
    .summary = "How far a job folder is: segments, sound, output",
    .run = run,
    .more = "      --json   as a JSON object\n",
};
