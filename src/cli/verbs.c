/* The list of verbs, and finding one. */
#include "cli/cli.h"

#include <string.h>

const ta_verb *const ta_verbs[] = {
    &ta_verb_restore,  &ta_verb_batch,
    &ta_verb_queue,    &ta_verb_work,
    &ta_verb_plan,     &ta_verb_run_segment,
    &ta_verb_finish,   &ta_verb_status,
    &ta_verb_verify,   &ta_verb_metrics,
    &ta_verb_compare,  &ta_verb_presets,
    &ta_verb_models,   &ta_verb_notify,
    &ta_verb_settings, &ta_verb_doctor,
    &ta_verb_sample,   &ta_verb_completion,
    &ta_verb_help,     &ta_verb_version,
    &ta_verb_worker,   NULL,
};

const ta_verb *ta_cli_find_verb(const char *name)
{
    for (size_t i = 0; ta_verbs[i]; i++)
        if (!strcmp(ta_verbs[i]->name, name))
            return ta_verbs[i];
    return NULL;
}

const char **ta_cli_verb_names(void)
{
    const char **names = ta_array(TA_COUNT(ta_verbs), sizeof *names);
    for (size_t i = 0, n = 0; names && ta_verbs[i]; i++)
        if (!ta_verbs[i]->hidden)
            names[n++] = ta_verbs[i]->name;
    return names;
}

int ta_cli_fail_verb(const char *name, ta_error *err)
{
    const char **names = ta_cli_verb_names();
    const char *near = names ? ta_nearest(name, names) : NULL;
    ta_fail(err, TA_ERR_USAGE, "there is no verb '%s'", name);
    if (near)
        ta_hint(err, "did you mean '%s'?", near);
    else
        ta_hint(err, "`terminalai help` lists them; `terminalai restore INPUT` restores a file");
    ta_free(names);
    return TA_ERR_USAGE;
}
