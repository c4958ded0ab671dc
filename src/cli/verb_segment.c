/* terminalai run-segment: one piece of a planned job. What a scheduler's array job calls. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "restore/restore.h"

/* Where schedulers tell a task its number: our own word, Slurm, Kubernetes, OpenCue, AWS Batch. */
static const char *const variables[] = { "TAI_INDEX", "SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "CUE_IFRAME",
                                         "AWS_BATCH_JOB_ARRAY_INDEX" };

static int parse_number(const char *where, const char *text, int *number, ta_error *err)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (!*text || *end || n < 0 || n > 1000000)
        return ta_fail(err, TA_ERR_USAGE, "%s '%s' is not the number of a segment", where, text);
    *number = (int)n;
    return 0;
}

/* -1 stands for the sound. */
static int find_number(char **argv, int words, int *number, ta_error *err)
{
    if (words > 1 && strcmp(argv[1], "sound") == 0) {
        *number = -1;
        return 0;
    }
    if (words > 1)
        return parse_number("the argument", argv[1], number, err);
    for (size_t i = 0; i < TA_COUNT(variables); i++) {
        const char *text = getenv(variables[i]);
        if (text && *text)
            return parse_number(variables[i], text, number, err);
    }
    ta_fail(err, TA_ERR_USAGE, "run-segment needs the number of a segment");
    return ta_hint(err,
                   "terminalai run-segment FOLDER 0, or set TAI_INDEX (or SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX, "
                   "CUE_IFRAME, AWS_BATCH_JOB_ARRAY_INDEX)");
}

static int make(const ta_settings *s, const char *folder, int number, ta_error *err)
{
    ta_job *job = NULL;
    int r = ta_job_from_folder(&job, folder, s, false, ta_cli_cancel(), err);
    if (r >= 0 && number < 0)
        number = ta_job_segment_count(job);
    if (r >= 0)
        r = ta_job_run_segment(job, number, err);
    if (r >= 0)
        printf("%s: %s %d of %d is done\n", folder, number == ta_job_segment_count(job) ? "the sound," : "segment",
               number, ta_job_segment_count(job));
    ta_job_free(&job);
    return r;
}

static int run(int argc, char **argv, ta_error *err)
{
    static const char *const none[] = { NULL };
    const char *own[1] = { NULL };
    ta_settings *s = NULL;
    int words = 0, number = 0;
    int r = ta_cli_settings(argc, argv, none, own, &words, &s, err);
    if (r >= 0)
        r = ta_cli_expect_words(argv, words, 1, 2, "a job folder", err);
    if (r >= 0)
        r = find_number(argv, words, &number, err);
    ta_cli_catch_signals();
    if (r >= 0)
        r = make(s, argv[0], number, err);
    ta_settings_free(&s);
    return r;
}

const ta_verb ta_verb_run_segment = {
    .name = "run-segment",
    .usage = "run-segment FOLDER [N|sound]",
    .summary = "Make segment N of a planned job (N also from TAI_INDEX or the scheduler's variable)",
    .settings = true,
    .run = run,
    .more = "  Exit codes: 0 done (also when it was done before), 65 never will be, 75 try again.\n"
            "  Only settings of the group Running may be given; all others belong to the plan.\n",
};
