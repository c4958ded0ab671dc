/* terminalai verify: is an output still what was written? */
#include <stdio.h>

#include "cli/cli.h"
#include "restore/restore.h"

static int run(int argc, char **argv, ta_error *err)
{
    static const char *const own_flags[] = { NULL };
    const char *own[1] = { NULL };
    ta_buf report = { 0 };
    int words = 0;
    if (ta_cli_wants_help(argc, argv, &ta_verb_verify))
        return 0;
    int r = ta_cli_parse(argc, argv, NULL, own_flags, own, &words, err);
    if (r >= 0 && words != 1)
        r = ta_fail(err, TA_ERR_USAGE, "verify takes one output");
    if (r >= 0)
        r = ta_verify_output(argv[0], ta_cli_cancel(), &report, err);
    if (report.data)
        fputs(report.data, stdout);
    if (r >= 0)
        printf("%s: verified\n", argv[0]);
    ta_buf_free(&report);
    return r;
}

const ta_verb ta_verb_verify = {
    .name = "verify",
    .usage = "verify OUTPUT",
    .summary = "Check an output against its sidecar: hashes, streams, and that it decodes",
    .run = run,
};
