/* terminalai worker: a worker process of a crew. Nobody types it: it is not listed. */
#include "cli/cli.h"
#include "work/work.h"

const ta_verb ta_verb_worker = {
    .name = "worker",
    .usage = "worker",
    .summary = "Do the jobs of a queue (started by the program itself)",
    .run = ta_worker_main,
    .hidden = true,
};
