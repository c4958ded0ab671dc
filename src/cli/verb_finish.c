/* terminalai finish: joins the segments of a planned job, checks the output and publishes it. */
#include <stdio.h>

#include "cli/cli.h"
#include "restore/restore.h"

static int finish(const ta_settings *s, const char *folder, ta_error *err)
{
    ta_job *job = NULL;
    int r = ta_job_from_folder(&job, folder, s, true, ta_cli_cancel(), err);
    if (r >= 0)
        r = ta_job_finish(job, err);
    if (r >= 0)
        printf("%s\n", ta_job_output(job));
    ta_job_free(&job);
    return r;
}

static int run(int argc, char **argv, ta_error *err)
{
    static const char *const none[] = { NULL };
    const char *own[1] = { NULL };
    ta_settings *s = NULL;
    int words = 0;
    int r = ta_cli_settings(argc, argv, none, own, &words, &s, err);
    if (r >= 0)
        r = ta_cli_expect_words(argv, words, 1, 1, "a job folder", err);
    ta_cli_catch_signals();
    if (r >= 0)
        r = finish(s, argv[0], err);
    ta_settings_free(&s);
    return r;
}

const ta_verb ta_verb_finish = {
    .name = "finish",
    .usage = "finish FOLDER [--overwrite]",
    .summary = "Join the segments of a planned job, check the output and give it its name",
    .settings = true,
    .run = run,
    .more = "  Exit codes: 0 finished (also when it was before), 65 never will be, 75 segments are missing.\n",
};
