/* Where the output goes: a file, or a folder and a template. */
#include <strings.h>
#include <unistd.h>

#include "restore/internal.h"

/* A DVD folder is known by the folder around VIDEO_TS; of a file its extension goes. */
static char *name_of(const char *input)
{
    const char *base = ta_path_base(input);
    char *dir = strcasecmp(base, "VIDEO_TS") == 0 ? ta_path_dir(input) : NULL;
    const char *outer = dir ? ta_path_base(dir) : "";
    char *name = outer[0] && strcmp(outer, ".") && strcmp(outer, "..") ? ta_strdup(outer)
                 : ta_is_dir(input)                                    ? ta_strdup(base)
                                                                       : ta_path_stem(input);
    ta_free(dir);
    return name;
}

static bool is_word(const char *name, size_t len, const char *word)
{
    return strlen(word) == len && strncmp(name, word, len) == 0;
}

static void add_placeholder(ta_buf *b, const ta_settings *s, const char *input, const ta_output_words *w,
                            const char *name, size_t len)
{
    if (is_word(name, len, "name")) {
        char *own = name_of(input);
        ta_buf_add(b, own ? own : "output");
        ta_free(own);
    } else if (is_word(name, len, "preset")) {
        char *stem = ta_path_stem(ta_get_text(s, TA_SET_preset));
        ta_buf_add(b, stem ? stem : "");
        ta_free(stem);
    } else if (is_word(name, len, "height") && w->height >= 0) {
        ta_buf_addf(b, "%d", w->height);
    } else if (is_word(name, len, "number") && w->number > 0) {
        ta_buf_addf(b, "%0*d", w->digits, w->number);
    } else {
        ta_buf_addf(b, "{%.*s}", (int)len, name);
    }
}

/* "{name}-restored" + ".mkv" */
char *ta_output_name(const ta_settings *s, const char *input, const char *extension, const ta_output_words *w)
{
    ta_buf b = { 0 };
    const char *t = ta_get_text(s, TA_SET_output_template);
    while (*t) {
        const char *end = *t == '{' ? strchr(t, '}') : NULL;
        if (end) {
            add_placeholder(&b, s, input, w, t + 1, (size_t)(end - t - 1));
            t = end + 1;
        } else {
            ta_buf_addn(&b, t++, 1);
        }
    }
    ta_buf_addf(&b, ".%s", extension);
    return ta_buf_take(&b);
}

int ta_output_extension(const ta_settings *s, const char **extension, ta_error *err)
{
    const ta_container *c;
    int r = ta_container_choose(s, NULL, &c, err);
    *extension = r >= 0 ? c->name : NULL;
    return r;
}

static char *fill_template(const ta_job *job)
{
    ta_output_words w = { job->part, job->part_digits, job->video >= 0 ? job->link_out.video.height : 0 };
    return ta_output_name(job->settings, job->input, job->container->name, &w);
}

static char *folder_of(const ta_job *job)
{
    if (job->output_arg)
        return ta_strdup(job->output_arg);
    return ta_path_dir(job->input);
}

static int check_writable(const char *output, ta_error *err)
{
    char *dir = ta_path_dir(output);
    int r = dir ? 0 : ta_no_memory(err);
    if (r >= 0 && !ta_is_dir(dir)) {
        ta_fail(err, TA_ERR_CANTCREATE, "the folder '%s' does not exist", dir);
        r = ta_hint(err, "create it, or name another output with -o");
    } else if (r >= 0 && access(dir, W_OK | X_OK) != 0) {
        ta_fail(err, TA_ERR_CANTCREATE, "no file can be created in the folder '%s'", dir);
        r = ta_hint(err, "change its permissions, or name another output with -o");
    }
    ta_free(dir);
    return r;
}

int ta_fail_output_exists(const ta_job *job, ta_error *err)
{
    ta_fail(err, TA_ERR_CANTCREATE, "the output '%s' exists already", job->output);
    return ta_hint(err, "name another output, or allow it to be replaced with --overwrite");
}

/* A killed run may have left its folder beside a complete output: looked at when the folder is open. */
static bool has_job_folder(const ta_job *job)
{
    const char *work = ta_get_text(job->settings, TA_SET_work_dir);
    return ta_job_folder_exists(job->output, work[0] ? work : NULL);
}

static int check_target(const ta_job *job, ta_error *err)
{
    if (ta_same_file(job->input, job->output)) {
        ta_fail(err, TA_ERR_USAGE, "the output '%s' is the input: a source is never changed", job->output);
        return ta_hint(err, "name another output with -o");
    }
    if (access(job->output, F_OK) == 0 && !ta_get_bool(job->settings, TA_SET_overwrite) &&
        !ta_get_bool(job->settings, TA_SET_dry_run) && !job->in_folder && !has_job_folder(job))
        return ta_fail_output_exists(job, err);
    return check_writable(job->output, err);
}

int ta_job_plan_output(ta_job *job, ta_error *err)
{
    const char *arg = job->output_arg;
    if (arg && !ta_is_dir(arg) && !ta_ends(arg, "/")) {
        job->output = ta_strdup(arg);
    } else {
        char *name = fill_template(job), *dir = folder_of(job);
        job->output = name && dir ? ta_path_join(dir, name) : NULL;
        ta_free(name);
        ta_free(dir);
    }
    return job->output ? check_target(job, err) : ta_no_memory(err);
}
