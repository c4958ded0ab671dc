/* One capture, many clips: where to cut, and the job of each part. */
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "restore/internal.h"

struct ta_split {
    ta_settings *settings; /* with the template and the container of the parts */
    char *input, *folder;
    const char *extension;
    ta_cancel *cancel;
    ta_part *parts;
    int count, cap;
    int64_t length_us; /* of the file, -1 unknown */
    char source_sha256[65];
};

/* What is known while the parts are found. */
typedef struct finder {
    ta_split *s;
    ta_input *in;
    int video;
    int64_t first_us;         /* the file's start */
    int64_t start_us, end_us; /* the range, of the file's own time; end INT64_MAX = all */
    int64_t *times;
    int n_times;
} finder;

/* ---- Times ------------------------------------------------------------------------------------------------------- */

static int add_time(finder *f, int64_t us, ta_error *err)
{
    int64_t *grown = ta_resize(f->times, (size_t)f->n_times + 1, sizeof *grown);
    if (!grown)
        return ta_no_memory(err);
    f->times = grown;
    grown[f->n_times++] = us;
    return 0;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int given_times(finder *f, const char *text, ta_error *err)
{
    int64_t length = ta_input_duration_us(f->in), us;
    int r = 0;
    for (const char *p = text; *p && r >= 0;) {
        size_t n = strcspn(p, ",");
        char *one = ta_strndup(p, n), all[24];
        if (!one || !ta_parse_time(one, &us))
            r = one ? ta_fail(err, TA_ERR_USAGE, "--split: '%s' is not a time", one) : ta_no_memory(err);
        else if (length > 0 && us >= length)
            r = ta_fail(err, TA_ERR_USAGE, "--split: %s is behind the end of '%s' (%s)", one, f->s->input,
                        ta_print_time(length, all));
        else
            r = add_time(f, f->first_us + us, err);
        ta_free(one);
        p += n + (p[n] == ',');
    }
    return r;
}

static int chapter_times(finder *f, ta_error *err)
{
    AVFormatContext *ctx = ta_input_context(f->in);
    int r = 0;
    for (unsigned i = 0; i < ctx->nb_chapters && r >= 0; i++) {
        int64_t us = av_rescale_q(ctx->chapters[i]->start, ctx->chapters[i]->time_base, AV_TIME_BASE_Q);
        if (us > 0) /* libavformat counts chapters from the file's start */
            r = add_time(f, f->first_us + us, err);
    }
    return r;
}

/* ---- Rules ------------------------------------------------------------------------------------------------------- */

/* "black:0.5:drop" taken apart; the setting's form was checked when it was set. */
static void read_options(const char *text, ta_cut_rules *rules)
{
    for (const char *p = strchr(text, ':'); p; p = strchr(p + 1, ':')) {
        double x = strtod(p + 1, NULL);
        if (ta_starts(p + 1, "drop"))
            rules->drop = true;
        else if (rules->kind == TA_CUT_SCENES)
            rules->threshold = x;
        else
            rules->least_us = (int64_t)(x * 1e6);
    }
}

static int read_rules(finder *f, ta_cut_rules *rules, ta_error *err)
{
    const char *text = ta_get_text(f->s->settings, TA_SET_split);
    int r = 0;
    *rules = (ta_cut_rules){ .from_us = f->start_us, .to_us = f->end_us, .kind = TA_CUT_TIMES };
    if (ta_starts(text, "scenes"))
        *rules = (ta_cut_rules){ TA_CUT_SCENES, 0.3, 500000, false, f->start_us, f->end_us };
    else if (ta_starts(text, "black"))
        *rules = (ta_cut_rules){ TA_CUT_BLACK, 0, 500000, false, f->start_us, f->end_us };
    else if (ta_starts(text, "blue"))
        *rules = (ta_cut_rules){ TA_CUT_BLUE, 0, 1000000, true, f->start_us, f->end_us };
    else
        r = ta_starts(text, "chapters") ? chapter_times(f, err) : given_times(f, text, err);
    if (r >= 0 && f->n_times)
        qsort(f->times, (size_t)f->n_times, sizeof *f->times, by_value);
    if (rules->kind != TA_CUT_TIMES)
        read_options(text, rules);
    if (rules->kind != TA_CUT_TIMES && f->video < 0) {
        ta_fail(err, TA_ERR_USAGE, "--split %s: '%s' has no picture to look at", text, f->s->input);
        return ta_hint(err, "give the times to --split");
    }
    rules->times_us = f->times;
    rules->n_times = f->n_times;
    return r;
}

/* ---- Parts ------------------------------------------------------------------------------------------------------- */

/* `from` and `to` in the file's own time. */
static int add_part(finder *f, int64_t from, int64_t to, ta_error *err)
{
    ta_split *s = f->s;
    if (s->count == TA_MAX_PARTS) {
        ta_fail(err, TA_ERR_USAGE, "'%s' would be cut into more than %d parts", s->input, TA_MAX_PARTS);
        return ta_hint(err, "scenes with a higher threshold, or black and blue with a longer least length, cut less");
    }
    if (s->count == s->cap) {
        int cap = s->cap ? 2 * s->cap : 16;
        ta_part *grown = ta_resize(s->parts, (size_t)cap, sizeof *grown);
        if (!grown)
            return ta_no_memory(err);
        s->parts = grown;
        s->cap = cap;
    }
    bool whole = from == f->first_us && ta_get_int(s->settings, TA_SET_start) < 0;
    int64_t end = to == INT64_MAX ? -1 : to - f->first_us;
    s->parts[s->count] = (ta_part){ s->count + 1, whole ? -1 : from - f->first_us, end };
    s->count++;
    return 0;
}

/* Parts of less than this would hold no frame. */
static const int64_t least_us = 1000;

static int make_parts(finder *f, const ta_cuts *cuts, ta_error *err)
{
    int64_t at = f->start_us, length = f->s->length_us;
    int64_t end = f->end_us == INT64_MAX && length > 0 ? f->first_us + length : f->end_us;
    int r = 0;
    for (int i = 0; i < cuts->count && r >= 0; i++) {
        const ta_cut *c = &cuts->list[i];
        if (c->to_us <= at || c->from_us >= end)
            continue;
        if (c->from_us > at + least_us)
            r = add_part(f, at, c->from_us, err);
        at = c->to_us;
    }
    if (r >= 0 && at + least_us < end)
        r = add_part(f, at, f->end_us, err);
    if (r >= 0 && !f->s->count) {
        ta_fail(err, TA_ERR_DATA, "'%s': nothing is left beside what --split %s leaves out", f->s->input,
                ta_get_text(f->s->settings, TA_SET_split));
        return ta_hint(err, "look at the file, or cut it at times");
    }
    if (r >= 0 && f->s->count == 1)
        ta_log(TA_LOG_WARN, "split", "no cut was found in '%s' (--split %s): it stays one part", f->s->input,
               ta_get_text(f->s->settings, TA_SET_split));
    return r;
}

static int find_parts(ta_split *s, ta_error *err)
{
    finder f = { .s = s };
    ta_cut_rules rules;
    ta_cuts cuts = { 0 };
    int r = ta_input_open(&f.in, s->input, s->cancel, err);
    if (r < 0)
        return r;
    int64_t start = ta_get_int(s->settings, TA_SET_start), end = ta_get_int(s->settings, TA_SET_end);
    f.video = ta_input_video(f.in);
    f.first_us = ta_input_start_us(f.in);
    f.start_us = f.first_us + TA_MAX(start, 0);
    f.end_us = end >= 0 ? f.first_us + end : INT64_MAX;
    s->length_us = ta_input_duration_us(f.in);
    r = read_rules(&f, &rules, err);
    if (r >= 0)
        r = ta_find_cuts(s->input, f.in, f.video, &rules, s->cancel, &cuts, err);
    if (r >= 0)
        r = make_parts(&f, &cuts, err);
    ta_cuts_free(&cuts);
    ta_free(f.times);
    ta_input_close(&f.in);
    return r;
}

/* ---- Names ------------------------------------------------------------------------------------------------------- */

static int set(ta_settings *s, ta_setting_id id, const char *value, ta_error *err)
{
    return ta_settings_set(s, ta_setting(id)->name, value, TA_FROM_COMMAND_LINE, "--split", err);
}

/* "clips/{name}-{number}.mp4": folder, template, container. */
static int take_path(ta_split *s, const char *output, ta_error *err)
{
    const ta_container *c;
    char *stem = ta_path_stem(output);
    s->folder = ta_path_dir(output);
    int r = stem && s->folder ? ta_container_choose(s->settings, output, &c, err) : ta_no_memory(err);
    if (r >= 0)
        r = set(s->settings, TA_SET_container, c->name, err);
    if (r >= 0)
        r = set(s->settings, TA_SET_output_template, stem, err);
    ta_free(stem);
    return r;
}

static int fail_one_name(const char *name, ta_error *err)
{
    ta_fail(err, TA_ERR_USAGE, "'%s' is one name for all parts of the split", name);
    return ta_hint(err, "name a folder, or put {number} into the name: {name}-{number}");
}

/* Has it the extension of a container of ours? */
static bool is_file_name(const ta_split *s, const char *output)
{
    const ta_container *c;
    ta_error ignored;
    return ta_path_ext(output)[0] && ta_container_choose(s->settings, output, &c, &ignored) >= 0;
}

static int plan_names(ta_split *s, const char *output, ta_error *err)
{
    bool named = output && strstr(ta_path_base(output), "{number}");
    int r = 0;
    if (named)
        r = take_path(s, output, err);
    else if (output && !ta_is_dir(output) && is_file_name(s, output))
        r = fail_one_name(output, err);
    else if (!(s->folder = output ? ta_strdup(output) : ta_path_dir(s->input)))
        r = ta_no_memory(err);
    if (r >= 0 && !ta_get_was_set(s->settings, TA_SET_output_template))
        r = set(s->settings, TA_SET_output_template, "{name}-{number}", err);
    if (r >= 0 && !strstr(ta_get_text(s->settings, TA_SET_output_template), "{number}"))
        r = fail_one_name(ta_get_text(s->settings, TA_SET_output_template), err);
    return r < 0 ? r : ta_output_extension(s->settings, &s->extension, err);
}

/* ---- The split --------------------------------------------------------------------------------------------------- */

int ta_split_plan(ta_split **out, const ta_settings *settings, const char *input, const char *output, ta_cancel *cancel,
                  ta_error *err)
{
    ta_split *s = ta_alloc(sizeof *s);
    *out = NULL;
    if (!s)
        return ta_no_memory(err);
    s->settings = ta_settings_copy(settings);
    s->input = ta_strdup(input);
    s->cancel = cancel;
    int r = s->settings && s->input ? plan_names(s, output, err) : ta_no_memory(err);
    if (r >= 0)
        r = find_parts(s, err);
    if (r < 0)
        ta_split_free(&s);
    *out = s;
    return r;
}

void ta_split_free(ta_split **ps)
{
    ta_split *s = *ps;
    if (!s)
        return;
    ta_settings_free(&s->settings);
    ta_free(s->input);
    ta_free(s->folder);
    ta_free(s->parts);
    ta_freep(ps);
}

int ta_split_count(const ta_split *s)
{
    return s->count;
}

const ta_part *ta_split_part(const ta_split *s, int i)
{
    return &s->parts[i];
}

int64_t ta_split_length(const ta_split *s, int i)
{
    const ta_part *p = &s->parts[i];
    int64_t end = p->end_us >= 0 ? p->end_us : s->length_us;
    return end < 0 ? -1 : end - TA_MAX(p->start_us, 0);
}

static int digits_of(const ta_split *s)
{
    return s->count > 999 ? 4 : s->count > 99 ? 3 : 2;
}

char *ta_split_output(const ta_split *s, int i)
{
    ta_output_words w = { s->parts[i].number, digits_of(s), -1 };
    char *name = ta_output_name(s->settings, s->input, s->extension, &w);
    char *path = name ? ta_path_join(s->folder, name) : NULL;
    ta_free(name);
    return path;
}

/* The settings of a part are those of the whole with its own start and end. */
static int part_settings(const ta_split *s, int i, ta_settings **out, ta_error *err)
{
    const ta_part *p = &s->parts[i];
    char text[32];
    *out = ta_settings_copy(s->settings);
    int r = *out ? 0 : ta_no_memory(err);
    snprintf(text, sizeof text, "%lld.%06lld", (long long)(p->start_us / 1000000), (long long)(p->start_us % 1000000));
    if (r >= 0 && p->start_us >= 0)
        r = set(*out, TA_SET_start, text, err);
    snprintf(text, sizeof text, "%lld.%06lld", (long long)(p->end_us / 1000000), (long long)(p->end_us % 1000000));
    if (r >= 0 && p->end_us >= 0)
        r = set(*out, TA_SET_end, text, err);
    if (r < 0)
        ta_settings_free(out);
    return r;
}

int ta_split_finished(const ta_split *s, int i, ta_error *err)
{
    ta_settings *settings = NULL;
    ta_output_state state = TA_OUTPUT_NONE;
    const char *why = "";
    char *path = ta_split_output(s, i);
    int r = path ? part_settings(s, i, &settings, err) : ta_no_memory(err);
    if (r >= 0)
        r = ta_output_look(path, s->input, settings, s->cancel, &state, &why, err);
    if (r >= 0 && state != TA_OUTPUT_NONE && state != TA_OUTPUT_FINISHED &&
        !ta_get_bool(s->settings, TA_SET_overwrite)) {
        ta_fail(err, TA_ERR_CANTCREATE, "part %d: '%s' %s", s->parts[i].number, path, why);
        r = ta_hint(err, "name another output, or allow it to be replaced with --overwrite");
    }
    ta_settings_free(&settings);
    ta_free(path);
    return r < 0 ? r : state == TA_OUTPUT_FINISHED;
}

int ta_split_job(ta_split *s, int i, ta_job **job, ta_error *err)
{
    ta_settings *settings = NULL;
    *job = NULL;
    int r = ta_mkdirs(s->folder, err);
    if (r >= 0)
        r = part_settings(s, i, &settings, err);
    if (r >= 0)
        r = ta_job_new(job, settings, s->input, s->folder, err);
    if (r >= 0) {
        (*job)->part = s->parts[i].number;
        (*job)->part_digits = digits_of(s);
        memcpy((*job)->source_sha256, s->source_sha256, sizeof s->source_sha256);
        r = s->cancel ? ta_job_link(*job, s->cancel, err) : 0;
    }
    if (r < 0)
        ta_job_free(job);
    ta_settings_free(&settings);
    return r;
}

void ta_split_ran(ta_split *s, const ta_job *job)
{
    memcpy(s->source_sha256, job->source_sha256, sizeof s->source_sha256);
}

char *ta_split_json(const ta_split *s)
{
    json_t *list = json_array();
    for (int i = 0; i < s->count; i++) {
        const ta_part *p = &s->parts[i];
        char *path = ta_split_output(s, i), *clean = ta_utf8_clean(path);
        int64_t length = ta_split_length(s, i);
        json_array_append_new(list, json_pack("{s:i, s:f, s:o, s:o, s:s}", "number", p->number, "start",
                                              (double)TA_MAX(p->start_us, 0) / 1e6, "end",
                                              p->end_us >= 0 ? json_real((double)p->end_us / 1e6) : json_null(),
                                              "seconds", length >= 0 ? json_real((double)length / 1e6) : json_null(),
                                              "output", clean ? clean : ""));
        ta_free(clean);
        ta_free(path);
    }
    json_t *doc = json_pack("{s:o}", "parts", list);
    char *text = doc ? json_dumps(doc, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) : NULL;
    char *own = text ? ta_format("%s\n", text) : NULL;
    free(text);
    json_decref(doc);
    return own;
}
