/* Is the output of an item there already? */
#include <glob.h>
#include <string.h>

#include "batch/internal.h"

/* Existing files that the open name could mean; glob's characters in it stand for themselves. */
static int find_open(const ta_batch *b, const ta_batch_item *item, glob_t *found, ta_error *err)
{
    ta_output_words unknown = { .height = -1 };
    char *name = ta_output_name(b->settings, item->input, b->extension, &unknown);
    char *path = name ? ta_path_join(item->folder, name) : NULL;
    ta_buf pattern = { 0 };
    for (const char *p = path; p && *p; p++) {
        if (ta_starts(p, "{height}")) {
            ta_buf_add(&pattern, "[0-9]*");
            p += strlen("{height}") - 1;
            continue;
        }
        if (strchr("*?[\\", *p))
            ta_buf_add(&pattern, "\\");
        ta_buf_addn(&pattern, p, 1);
    }
    int r = path && !pattern.failed ? 0 : ta_no_memory(err);
    if (r >= 0 && glob(pattern.data, 0, NULL, found) == GLOB_NOSPACE)
        r = ta_no_memory(err);
    ta_buf_free(&pattern);
    ta_free(path);
    ta_free(name);
    return r;
}

static bool is_done(ta_output_state there)
{
    return there == TA_OUTPUT_FINISHED || there == TA_OUTPUT_DIFFERS;
}

/* Which of several files the output will be called is not known yet: one that is no output of this input is left to the
 * job, which looks again. */
static int look_for_open(ta_batch *b, const ta_batch_item *item, ta_output_state *there, const char **why, char **path,
                         ta_error *err)
{
    glob_t found = { 0 };
    int r = find_open(b, item, &found, err);
    *there = TA_OUTPUT_NONE;
    for (size_t i = 0; r >= 0 && i < found.gl_pathc && !is_done(*there); i++) {
        r = ta_output_look(found.gl_pathv[i], item->input, b->settings, b->cancel, there, why, err);
        if (r >= 0 && is_done(*there) && !(*path = ta_strdup(found.gl_pathv[i])))
            r = ta_no_memory(err);
    }
    if (!is_done(*there))
        *there = TA_OUTPUT_NONE;
    globfree(&found);
    return r;
}

int ta_batch_look(ta_batch *b, const ta_batch_item *item, ta_output_state *there, char **remark, char **path,
                  ta_error *err)
{
    const char *why = "";
    int r;
    *remark = *path = NULL;
    if (item->output) {
        *path = ta_strdup(item->output);
        r = *path ? ta_output_look(item->output, item->input, b->settings, b->cancel, there, &why, err)
                  : ta_no_memory(err);
    } else {
        r = look_for_open(b, item, there, &why, path, err);
    }
    if (r >= 0 && *there != TA_OUTPUT_NONE && !(*remark = ta_format("'%s' %s", *path, why)))
        r = ta_no_memory(err);
    return r;
}
