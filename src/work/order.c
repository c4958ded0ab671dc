/* An order from its checks to the message that a worker gets. */
#include "work/order.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "restore/restore.h"

/* ---- Settings ---------------------------------------------------------------------------------------------------- */

static int check_settings(const ta_settings *s, ta_error *err)
{
    if (ta_get_bool(s, TA_SET_dry_run))
        return ta_fail(err, TA_ERR_USAGE, "an order with dry-run would make nothing");
    if (*ta_get_text(s, TA_SET_split)) {
        ta_fail(err, TA_ERR_USAGE, "a worker makes one output, and split makes several");
        return ta_hint(err, "give an order for each part, with start and end");
    }
    if (*ta_get_text(s, TA_SET_preview) && ta_get_int(s, TA_SET_end) < 0) {
        ta_fail(err, TA_ERR_USAGE, "preview '%s' was not turned into a start and an end",
                ta_get_text(s, TA_SET_preview));
        return ta_hint(err, "set start and end instead");
    }
    return 0;
}

static int read_settings(ta_order *o, const char *json, ta_error *err)
{
    o->settings = ta_settings_new();
    if (!o->settings)
        return ta_no_memory(err);
    int r = ta_settings_from_json(o->settings, json, TA_FROM_COMMAND_LINE, err);
    if (r >= 0)
        r = check_settings(o->settings, err);
    if (r >= 0)
        r = ta_settings_set(o->settings, "preview", "", TA_FROM_COMMAND_LINE, NULL, err);
    if (r >= 0)
        r = ta_settings_resolve(o->settings, NULL, err);
    o->overwrite = r >= 0 && ta_get_bool(o->settings, TA_SET_overwrite);
    return r;
}

/* What stands under an output's name may be replaced only with leave; within the order's folder everything may be. */
static int inner_settings(ta_order *o, ta_error *err)
{
    const char *work = o->work ? ta_job_folder_path(o->work) : "";
    int r = ta_settings_set(o->settings, "overwrite", "yes", TA_FROM_COMMAND_LINE, NULL, err);
    if (r >= 0)
        r = ta_settings_set(o->settings, "work-dir", work, TA_FROM_COMMAND_LINE, NULL, err);
    return r;
}

/* Models, tables and weights that are named by their files: any setting that can name one and does. */
static void list_reads(ta_order *o)
{
    for (int i = 0; i < TA_SET_COUNT; i++) {
        ta_setting_type type = ta_setting((ta_setting_id)i)->type;
        const char *value = ta_get_text(o->settings, (ta_setting_id)i);
        if ((type != TA_TYPE_PATH && type != TA_TYPE_TEXT) || !*value || access(value, R_OK) < 0 || ta_is_dir(value))
            continue;
        ta_places_add(&o->reads, value);
        if (!ta_ends(value, ".param"))
            continue;
        char *weights = ta_format("%.*s.bin", (int)(strlen(value) - strlen(".param")), value);
        ta_places_add(&o->reads, weights);
        ta_free(weights);
    }
}

/* ---- Paths ------------------------------------------------------------------------------------------------------- */

/* The name by the template; *open: it has the picture's height, which only the plan knows. */
static char *template_name(const ta_order *o, int height, bool *open)
{
    const char *extension;
    if (ta_output_extension(o->settings, &extension, NULL) < 0)
        return NULL;
    ta_output_words words = { .height = height };
    char *name = ta_output_name(o->settings, o->input, extension, &words);
    if (open)
        *open = name && strstr(name, "{height}");
    return name;
}

static int find_target(ta_order *o, const char *output, ta_error *err)
{
    bool folder = !output || ta_ends(output, "/") || ta_is_dir(output), open = false;
    if (!folder) {
        o->target = ta_strdup(output);
        o->target_dir = ta_path_dir(output);
        return o->target && o->target_dir ? 0 : ta_no_memory(err);
    }
    o->target_dir = output ? ta_strdup(output) : ta_path_dir(o->input);
    char *name = template_name(o, -1, &open);
    if (o->target_dir && name && !open)
        o->target = ta_path_join(o->target_dir, name);
    int r = o->target_dir && name && (open || o->target) ? 0 : ta_no_memory(err);
    ta_free(name);
    return r;
}

static int check_free(const ta_order *o, ta_error *err)
{
    if (ta_same_file(o->input, o->target))
        return ta_fail(err, TA_ERR_USAGE, "the output '%s' is the input: a source is never changed", o->target);
    if (o->overwrite || access(o->target, F_OK) < 0)
        return 0;
    ta_fail(err, TA_ERR_CANTCREATE, "the output '%s' exists already", o->target);
    return ta_hint(err, "name another output, or allow it to be replaced with --overwrite");
}

static int open_input(ta_order *o, ta_error *err)
{
    o->input_fd = open(o->input, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return o->input_fd < 0 ? ta_fail_errno(err, errno, false, "can't open", o->input) : 0;
}

/* What the same order would make: the source as it is now, and the job's settings. */
static int make_key(ta_order *o, ta_error *err)
{
    struct stat st;
    char *settings = ta_settings_json(o->settings, false);
    ta_sha256 *h = ta_sha256_new();
    char *text = settings && fstat(o->input_fd, &st) == 0
                     ? ta_format("%s\n%jd %jd.%09ld\n%s", o->input, (intmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec,
                                 st.st_mtim.tv_nsec, settings)
                     : NULL;
    if (h && text)
        ta_sha256_add(h, text, strlen(text));
    if (h)
        ta_sha256_end(&h, o->key);
    ta_settings_free_text(settings);
    ta_free(text);
    return text && o->key[0] ? 0 : ta_no_memory(err);
}

static int make_folder(const char *dir, const char *name, char **path, ta_error *err)
{
    *path = ta_path_join(dir, name);
    return *path ? ta_mkdirs(*path, err) : ta_no_memory(err);
}

static int open_folder(const ta_job_folder *f, int *fd, ta_error *err)
{
    *fd = open(ta_job_folder_path(f), O_PATH | O_DIRECTORY | O_CLOEXEC);
    return *fd < 0 ? ta_fail_errno(err, errno, false, "can't open", ta_job_folder_path(f)) : 0;
}

/* The folders in which the worker may write, and only there. */
static int open_folders(ta_order *o, ta_error *err)
{
    const char *work = ta_get_text(o->settings, TA_SET_work_dir);
    char *stem = o->target ? ta_strdup(o->target) : ta_path_join(o->target_dir, ta_path_base(o->input)), *temp = NULL;
    int r = stem ? ta_job_folder_open(&o->folder, stem, NULL, err) : ta_no_memory(err);
    if (r >= 0)
        ta_job_folder_stay(o->folder);
    if (r >= 0 && *work)
        r = ta_job_folder_open(&o->work, stem, work, err);
    if (r >= 0 && o->work)
        ta_job_folder_stay(o->work);
    ta_free(stem);
    if (r >= 0)
        r = open_folder(o->folder, &o->folder_fd, err);
    if (r >= 0 && o->work)
        r = open_folder(o->work, &o->work_fd, err);
    if (r >= 0)
        r = make_folder(ta_job_folder_path(o->folder), "out", &o->out, err);
    if (r >= 0)
        r = make_folder(ta_job_folder_path(o->folder), "tmp", &temp, err);
    ta_free(temp);
    if (r < 0)
        return r;
    o->inner = o->target ? ta_path_join(o->out, ta_path_base(o->target)) : ta_strdup(o->out);
    return o->inner ? 0 : ta_no_memory(err);
}

/* ---- Publishing -------------------------------------------------------------------------------------------------- */

/* Its first line is the key of the order, the second the output's name: from when it is there, the output in `out` is
 * complete, and what is no longer there has got its final name. */
#define MARK "publishing"

static char *mark_path(const ta_order *o)
{
    return ta_path_join(ta_job_folder_path(o->folder), MARK);
}

static int write_mark(const ta_order *o, ta_error *err)
{
    char *path = mark_path(o), *text = ta_format("%s\n%s", o->key, o->name);
    int r = path && text ? ta_write_file(path, text, strlen(text), true, err) : ta_no_memory(err);
    ta_free(path);
    ta_free(text);
    return r;
}

/* A file that is not there has been moved already, or was never made (a sidecar). */
static int move(const char *from, const char *to, bool overwrite, ta_error *err)
{
    ta_publish *p;
    if (access(from, F_OK) < 0)
        return 0;
    int r = ta_publish_adopt(&p, to, from, overwrite, err);
    if (r < 0)
        return r;
    r = ta_publish_commit(&p, err);
    ta_publish_abort(&p);
    return r;
}

static int move_all(const ta_order *o, ta_error *err)
{
    char *from = ta_path_join(o->out, o->name), *side = from ? ta_format("%s.json", from) : NULL,
         *to_side = ta_format("%s.json", o->target);
    int r = side && to_side ? move(from, o->target, o->overwrite, err) : ta_no_memory(err);
    if (r >= 0)
        r = move(side, to_side, true, err); /* as of a run of its own: the sidecar is its output's */
    ta_free(from);
    ta_free(side);
    ta_free(to_side);
    return r;
}

static int set_target(ta_order *o, ta_error *err)
{
    if (!o->target)
        o->target = ta_path_join(o->target_dir, o->name);
    return o->target ? 0 : ta_no_memory(err);
}

int ta_order_publish(ta_order *o, ta_error *err)
{
    if (!o->name)
        return ta_fail(err, TA_ERR_SOFTWARE, "the worker named no output");
    char *made = ta_path_join(o->out, o->name);
    bool there = made && ta_file_size(made) >= 0;
    ta_free(made);
    if (!there)
        return ta_fail(err, TA_ERR_SOFTWARE, "the worker says that it is done, but there is no output");
    int r = write_mark(o, err);
    if (r >= 0)
        r = move_all(o, err);
    o->finished = r >= 0;
    return r;
}

/* An earlier owner may have been killed while it published: then the rest of that is done now. */
static int settle(ta_order *o, ta_error *err)
{
    char *path = mark_path(o), *text = NULL, *name = NULL;
    size_t size;
    if (!path)
        return ta_no_memory(err);
    int r = ta_read_file(path, 4096, &text, &size, NULL) < 0 ? 0 : 1;
    name = r > 0 ? strchr(text, '\n') : NULL;
    bool same = name && (size_t)(name - text) == strlen(o->key) && strncmp(text, o->key, strlen(o->key)) == 0;
    if (r > 0 && !same) {
        unlink(path); /* of another order, whose output may have been taken away since */
        r = 0;
    }
    if (r > 0)
        r = (o->name = ta_strdup(name + 1)) ? set_target(o, err) : ta_no_memory(err);
    if (r >= 0 && o->name) {
        r = move_all(o, err);
        /* the output is there, or was there and somebody has taken it away since: then it is made again */
        o->finished = r >= 0 && access(o->target, F_OK) == 0;
        if (r >= 0 && !o->finished)
            unlink(path);
        if (!o->finished)
            ta_freep(&o->name);
    }
    ta_free(path);
    ta_free(text);
    return TA_MIN(r, 0);
}

/* The number that stands for {height} in `name`, or -1. */
static int height_in(const ta_order *o, const char *name)
{
    char *pattern = template_name(o, -1, NULL), *at = pattern ? strstr(pattern, "{height}") : NULL;
    int height = -1;
    if (at && strncmp(pattern, name, (size_t)(at - pattern)) == 0)
        height = atoi(name + (at - pattern));
    ta_free(pattern);
    return height;
}

int ta_order_name(ta_order *o, const char *name, ta_error *err)
{
    char *plain = ta_path_from_wire(name);
    char *want =
        o->target ? ta_strdup(ta_path_base(o->target)) : template_name(o, plain ? height_in(o, plain) : -1, NULL);
    bool good = plain && want && strcmp(plain, want) == 0 && !strchr(plain, '/') && plain[0] != '.';
    ta_free(want);
    ta_free(o->name);
    o->name = plain;
    if (!good)
        return ta_fail(err, TA_ERR_DATA, "the worker gives its output the name '%s'", name);
    int r = set_target(o, err);
    return r < 0 ? r : check_free(o, err);
}

/* ---- Opening and closing ----------------------------------------------------------------------------------------- */

static int open_order(ta_order *o, const ta_work_order *what, ta_error *err)
{
    size_t len = what->id ? strlen(what->id) : 0;
    if (!len || len > TA_WORK_ID_MAX || !what->input || !what->settings_json)
        return ta_fail(err, TA_ERR_USAGE, "an order needs an input, settings and an id of 1 to %d characters",
                       TA_WORK_ID_MAX);
    snprintf(o->id, sizeof o->id, "%s", what->id);
    o->input = ta_strdup(what->input);
    int r = o->input ? read_settings(o, what->settings_json, err) : ta_no_memory(err);
    if (r >= 0)
        r = open_input(o, err);
    if (r >= 0)
        r = make_key(o, err);
    if (r >= 0)
        r = find_target(o, what->output, err);
    /* before a folder is made beside it, and once more behind what an interrupted run left */
    bool known = r >= 0 && o->target && !ta_job_folder_exists(o->target, NULL);
    if (known)
        r = check_free(o, err);
    if (r >= 0)
        r = open_folders(o, err);
    if (r >= 0)
        r = settle(o, err);
    if (r >= 0 && o->target && !o->finished && !known)
        r = check_free(o, err);
    if (r >= 0)
        r = inner_settings(o, err);
    if (r >= 0)
        list_reads(o);
    return r < 0 ? r : o->reads.failed ? ta_no_memory(err) : 0;
}

int ta_order_open(ta_order **out, const ta_work_order *what, ta_error *err)
{
    ta_order *o = ta_alloc(sizeof *o);
    *out = NULL;
    if (!o)
        return ta_no_memory(err);
    o->input_fd = o->folder_fd = o->work_fd = -1;
    o->cpus = what->cpus;
    o->memory = what->memory;
    int r = open_order(o, what, err);
    if (r < 0)
        ta_order_close(&o);
    *out = o;
    return r;
}

json_t *ta_order_message(const ta_order *o, const char *sandbox, int threads, int fds[3], int *fd_count)
{
    char *settings = ta_settings_json(o->settings, true), *input = ta_path_to_wire(o->input),
         *inner = ta_path_to_wire(o->inner), *folder = ta_path_to_wire(ta_job_folder_path(o->folder));
    json_t *reads = json_array();
    for (int i = 0; i < o->reads.count; i++) {
        char *path = ta_path_to_wire(o->reads.list[i]);
        json_array_append_new(reads, json_string(path ? path : ""));
        ta_free(path);
    }
    json_t *m = settings && input && inner && folder
                    ? json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:i}", "type", "order", "id", o->id, "input",
                                input, "output", inner, "folder", folder, "sandbox", sandbox, "settings",
                                json_loads(settings, 0, NULL), "reads", reads, "threads", threads)
                    : NULL;
    if (!m)
        json_decref(reads);
    ta_settings_free_text(settings);
    ta_free(input);
    ta_free(inner);
    ta_free(folder);
    fds[0] = o->input_fd;
    fds[1] = o->folder_fd;
    fds[2] = o->work_fd;
    *fd_count = o->work_fd >= 0 ? 3 : 2;
    return m;
}

/* Is there, in a job folder in `dir`, a plan that another run goes on with? */
static bool has_plan(const char *path)
{
    DIR *dir = opendir(path);
    bool found = false;
    for (struct dirent *e; dir && !found && (e = readdir(dir));) {
        char *plan = ta_ends(e->d_name, ".terminalai") ? ta_format("%s/%s/plan.json", path, e->d_name) : NULL;
        found = plan && access(plan, F_OK) == 0;
        ta_free(plan);
    }
    if (dir)
        closedir(dir);
    return found;
}

/* Is there anything that the same order would go on with: segments, or an output that has not got its name? */
static bool can_go_on(const ta_order *o)
{
    char *mark = o->folder ? mark_path(o) : NULL;
    bool half = mark && access(mark, F_OK) == 0;
    ta_free(mark);
    return half || (o->out && has_plan(o->out)) || (o->work && has_plan(ta_job_folder_path(o->work)));
}

void ta_order_close(ta_order **po)
{
    ta_order *o = *po;
    if (!o)
        return;
    bool keep = !o->finished && can_go_on(o);
    ta_job_folder_close(&o->folder, keep);
    ta_job_folder_close(&o->work, keep);
    int fds[] = { o->input_fd, o->folder_fd, o->work_fd };
    for (int i = 0; i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    ta_settings_free(&o->settings);
    ta_places_free(&o->reads);
    ta_free(o->input);
    ta_free(o->target);
    ta_free(o->target_dir);
    ta_free(o->inner);
    ta_free(o->out);
    ta_free(o->name);
    ta_freep(po);
}
