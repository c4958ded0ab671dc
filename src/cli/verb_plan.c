/* terminalai plan: a job folder that segments can be made in, here or on other machines. */
#include <stdio.h>

#include "cli/cli.h"
#include "restore/restore.h"

static const char *const own_flags[] = { "output,o=", "to=", NULL };
enum { OWN_FOLDER, OWN_TO, OWN_COUNT };

static int plan(const ta_settings *s, const char *input, const char **own, ta_error *err)
{
    ta_job *job = NULL;
    int r = ta_job_new(&job, s, input, own[OWN_TO], err);
    if (r >= 0)
        r = ta_job_link(job, ta_cli_cancel(), err);
    if (r >= 0)
        r = ta_job_plan_into(job, own[OWN_FOLDER], err);
    if (r >= 0)
        printf("%s: %d segments, 0 to %d; %d stands for the sound\n", own[OWN_FOLDER], ta_job_segment_count(job),
               ta_job_segment_count(job) - 1, ta_job_segment_count(job));
    ta_job_free(&job);
    return r;
}

static int run(int argc, char **argv, ta_error *err)
{
    const char *own[OWN_COUNT] = { NULL };
    ta_settings *s = NULL;
    int words = 0;
    int r = ta_cli_settings(argc, argv, own_flags, own, &words, &s, err);
    if (r >= 0)
        r = ta_cli_expect_words(argv, words, 1, 1, "an input file", err);
    if (r >= 0 && !own[OWN_FOLDER]) {
        ta_fail(err, TA_ERR_USAGE, "plan needs a folder for the job");
        r = ta_hint(err, "terminalai plan tape.mpg -o tape.job --preset vhs");
    }
    ta_cli_catch_signals();
    if (r >= 0)
        r = plan(s, argv[0], own, err);
    ta_settings_free(&s);
    return r;
}

const ta_verb ta_verb_plan = {
    .name = "plan",
    .usage = "plan INPUT -o FOLDER [--to OUTPUT] [--SETTING VALUE ...]",
    .summary = "Cut a job into segments that run-segment makes, on as many machines as there are",
    .settings = true,
    .run = run,
    .more = "  -o, --output FOLDER   the job folder; made when missing\n"
            "      --to OUTPUT       the finished file (default: beside the input, by output-template)\n",
};
