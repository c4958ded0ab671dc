/* The plan of a job in segments as a document in the job folder: everything that the bytes of the output depend on. The
 * next run makes the same document again and goes on only when nothing in it differs. */
#include <jansson.h>
#include <stdlib.h>

#include "restore/segments.h"

/* The sound is finished in pieces as long as this many segments. */
enum { FORMAT = 1, MAX_PLAN = 256 << 20, MAX_TOLD = 6, SOUND_PIECE = 10 };
#define PLAN_FILE "plan.json"
#define INDEX_FILE "index"

/* What libav's and our own pixel loops choose their code by. */
static const char *isa_class(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        return "x86-64 AVX-512";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return "x86-64 AVX2";
    return __builtin_cpu_supports("sse4.1") ? "x86-64 SSE4.1" : "x86-64";
#elif defined(__aarch64__)
    return "aarch64";
#else
    return "other";
#endif
}

static json_t *ratio(AVRational q)
{
    return json_sprintf("%d/%d", q.num, q.den);
}

/* Bounds that are none are null: JSON has no name for them. */
static json_t *bound(int64_t t)
{
    return t == INT64_MIN || t == INT64_MAX ? json_null() : json_integer(t);
}

static json_t *source_part(const ta_job *job, const ta_source_identity *id)
{
    char *real = realpath(job->input, NULL);
    json_t *o = json_pack("{s:s, s:I, s:I, s:s, s:s}", "path", real ? real : job->input, "bytes", (json_int_t)id->bytes,
                          "mtime_ns", (json_int_t)id->mtime_ns, "ends_sha256", id->ends_sha256, "sha256",
                          ta_index_source_sha256(job->index));
    free(real);
    return o;
}

/* Wherever a process works from. */
static json_t *output_part(const ta_job *job)
{
    char *dir = ta_path_dir(job->output), *real = dir ? realpath(dir, NULL) : NULL;
    char *path = real ? ta_path_join(real, ta_path_base(job->output)) : NULL;
    json_t *o = json_string(path ? path : job->output);
    free(real);
    ta_free(dir);
    ta_free(path);
    return o;
}

static json_t *program_part(void)
{
    return json_pack("{s:s, s:s, s:i, s:i, s:i, s:i}", "terminalai", ta_version(), "cpu", isa_class(), "libavcodec",
                     (int)avcodec_version(), "libavformat", (int)avformat_version(), "libavutil", (int)avutil_version(),
                     "format", FORMAT);
}

static json_t *globals_part(const ta_job *job)
{
    const ta_picture_source *p = &job->source;
    return json_pack("{s:i, s:i, s:b, s:[i,i,i,i], s:s, s:o, s:o, s:I, s:I, s:o, s:I, s:i, s:i, s:i, s:i}", "scan",
                     (int)p->scan, "field_order", (int)p->order, "variable_rate", (int)p->vfr, "crop", p->crop[0],
                     p->crop[1], p->crop[2], p->crop[3], "scan_reason", job->scan.reason, "frame_rate",
                     ratio(p->video.frame_rate), "time_base", ratio(job->link_in.video.time_base), "zero_us",
                     (json_int_t)job->zero_us, "start_us", (json_int_t)job->start_us, "end_us", bound(job->end_us),
                     "grid_origin", (json_int_t)job->origin, "primaries", (int)p->video.primaries, "transfer",
                     (int)p->video.transfer, "matrix", (int)p->video.matrix, "range", (int)p->video.range);
}

static json_t *stages_part(const ta_job *job)
{
    json_t *list = json_array();
    for (int i = 0; i < job->chain.count; i++) {
        const ta_stage *st = job->chain.stages[i];
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:i, s:i, s:i}", "stage", st->name, "does", st->spec, "look_behind",
                                        st->look_behind, "look_ahead", st->look_ahead, "phase", st->phase));
    }
    return list;
}

/* How models cut the picture; null without one. */
static json_t *tiles_part(const ta_job *job)
{
    for (int i = 0; i < job->chain.count; i++)
        if (ta_upscale_is(job->chain.stages[i]))
            return json_string(ta_upscale_tiles(job->chain.stages[i]));
    return json_null();
}

static json_t *encoder_part(const ta_job *job)
{
    const ta_video_encoding *v = &job->encoding;
    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:o, s:s, s:s}", "name", v->encoder, "preset",
                     v->preset ? v->preset : "", "options", v->options ? v->options : "", "crf", v->crf, "threads",
                     v->threads, "frame_rate", ratio(v->frame_rate), "pixel_format",
                     av_get_pix_fmt_name(job->link_out.video.pix_fmt), "container", job->container->name);
}

static json_t *tracks_part(const ta_job *job)
{
    json_t *list = json_array();
    for (int i = 0; i < job->n_tracks; i++) {
        const ta_track *t = &job->tracks[i];
        json_t *chain = json_array();
        for (int k = 0; k < t->chain.count; k++)
            json_array_append_new(chain, json_string(t->chain.stages[k]->spec));
        json_array_append_new(list, json_pack("{s:i, s:s, s:o, s:I}", "stream", t->source, "encoder",
                                              t->copy ? "copy" : t->encoder, "chain", chain, "bit_rate",
                                              (json_int_t)t->target.bit_rate));
    }
    return list;
}

static json_t *segments_part(const ta_job *job)
{
    json_t *list = json_array();
    for (int i = 0; i < job->n_segments; i++) {
        const ta_segment *s = &job->segments[i];
        json_array_append_new(list, json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:I}", "first", (json_int_t)s->first,
                                              "end", (json_int_t)s->end, "from", bound(s->from), "to", bound(s->to),
                                              "lead_pts", bound(s->lead_pts), "tail_pts", bound(s->tail_pts), "packet",
                                              (json_int_t)s->packet));
    }
    return list;
}

static json_t *plan_document(const ta_job *job, const ta_source_identity *id)
{
    char *settings = ta_settings_json(job->settings, false);
    json_t *values = settings ? json_loads(settings, 0, NULL) : NULL;
    ta_settings_free_text(settings);
    if (!values)
        return NULL;
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:i, s:s}, s:o, s:{s:s, s:I}, s:o}", "program", program_part(),
        "output", output_part(job), "source", source_part(job, id), "settings", values, "globals", globals_part(job),
        "stages", stages_part(job), "encoder", encoder_part(job), "tracks", tracks_part(job), "threads", "encoder",
        job->encoding.threads, "filters", "any number gives the same", "tiles", tiles_part(job), "index", "sha256",
        ta_index_sha256(job->index), "frames", (json_int_t)ta_index_frames(job->index), "segments", segments_part(job));
}

/* ---- Comparing ----------------------------------------------------------------------------------------------------
 */

static void tell(ta_buf *b, int *told, const char *where, const json_t *then, const json_t *now)
{
    char *a = then ? json_dumps(then, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    char *c = now ? json_dumps(now, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    if ((*told)++ < MAX_TOLD)
        ta_buf_addf(b, "%s%s was %.60s, is %.60s", b->len ? "; " : "", where, a ? a : "nothing", c ? c : "nothing");
    free(a);
    free(c);
}

/* Appends what differs, by name. The source's path may differ: a tape may be moved. */
static void compare(ta_buf *b, int *told, const char *where, const json_t *then, const json_t *now)
{
    const char *key;
    json_t *value;
    if (strcmp(where, "source.path") == 0 || strcmp(where, "output") == 0 || json_equal(then, now))
        return;
    if (!json_is_object(then) || !json_is_object(now)) {
        tell(b, told, where, then, now);
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)now, key, value)
    {
        char *path = ta_format("%s%s%s", where, where[0] ? "." : "", key);
        if (path)
            compare(b, told, path, json_object_get(then, key), value);
        ta_free(path);
    }
}

static int refuse(const ta_job *job, const char *what, ta_error *err)
{
    if (job->scan_known) { /* a segment for somebody else's plan: trying again is of no use */
        ta_fail(err, TA_ERR_DATA, "the plan in '%s' isn't for this source or machine: %s",
                ta_job_folder_path(job->folder), what);
        return ta_hint(err, "make segments with the program, libraries and kind of CPU that made the plan");
    }
    ta_fail(err, TA_ERR_CANTCREATE, "the job folder '%s' holds another job: %s", ta_job_folder_path(job->folder), what);
    return ta_hint(err,
                   "run it with the former source and settings to go on, or say --restart to throw away what is done");
}

/* 0 when both are the same plan. */
static int check_same(const ta_job *job, const json_t *then, const json_t *now, ta_error *err)
{
    ta_buf b = { 0 };
    int told = 0;
    compare(&b, &told, "", then, now);
    if (!told)
        return 0;
    int r = b.failed ? ta_no_memory(err) : refuse(job, b.data, err);
    ta_buf_free(&b);
    return r;
}

/* ---- Files ----------------------------------------------------------------------------------------------------------
 */

int ta_plan_read(ta_job_folder *folder, json_t **plan, ta_error *err)
{
    char *path = ta_job_folder_keep(folder, PLAN_FILE), *text = NULL;
    size_t size = 0;
    *plan = NULL;
    int r = path ? ta_read_file(path, MAX_PLAN, &text, &size, err) : ta_no_memory(err);
    if (r >= 0) {
        json_error_t where;
        *plan = json_loadb(text, size, 0, &where);
        if (!*plan)
            r = ta_fail(err, TA_ERR_DATA, "'%s' is damaged (line %d: %s)", path, where.line, where.text);
    }
    ta_free(text);
    ta_free(path);
    return r;
}

bool ta_plan_is_there(const ta_job_folder *folder)
{
    char *path = ta_job_folder_keep(folder, PLAN_FILE);
    bool there = !path || ta_file_size(path) >= 0;
    ta_free(path);
    return there;
}

int ta_plan_hash(json_t *plan, char hash[65], ta_error *err)
{
    json_t *copy = json_deep_copy(plan);
    json_object_del(json_object_get(copy, "source"), "path");
    json_object_del(copy, "output");
    char *text = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
    ta_sha256 *h = text ? ta_sha256_new() : NULL;
    hash[0] = '\0';
    if (h) {
        ta_sha256_add(h, text, strlen(text));
        ta_sha256_end(&h, hash);
    }
    free(text);
    json_decref(copy);
    return hash[0] ? 0 : ta_no_memory(err);
}

int ta_plan_write_back(ta_job_folder *folder, json_t *plan, ta_error *err)
{
    char *path = ta_job_folder_keep(folder, PLAN_FILE);
    char *text = json_dumps(plan, JSON_INDENT(1));
    int r = path && text ? ta_write_file(path, text, strlen(text), true, err) : ta_no_memory(err);
    free(text);
    ta_free(path);
    return r;
}

/* Is the source, as far as can be told without reading it all, the one that the plan was made for? */
static bool same_source(const json_t *plan, const ta_source_identity *id)
{
    const json_t *s = json_object_get(plan, "source");
    const char *ends = json_string_value(json_object_get(s, "ends_sha256"));
    return json_integer_value(json_object_get(s, "bytes")) == id->bytes &&
           json_integer_value(json_object_get(s, "mtime_ns")) == id->mtime_ns && ends && !strcmp(ends, id->ends_sha256);
}

static void on_index_progress(void *opaque, double fraction)
{
    ta_job *job = opaque;
    atomic_store(&job->index_done, (int)(fraction * 1000));
}

static int settle_index(ta_job *job, bool there, ta_error *err)
{
    ta_error why = { 0 };
    char *path = ta_job_folder_keep(job->folder, INDEX_FILE);
    if (!path)
        return ta_no_memory(err);
    int r = there ? ta_index_open(&job->index, path, &why) : -1;
    if (there && r < 0)
        ta_log(TA_LOG_WARN, "restore", "the index is made again: %s", why.text[0]);
    if (r < 0) {
        atomic_store(&job->stage, "indexing");
        ta_index_source source = { .path = job->input,
                                   .known = job->in,
                                   .stream = job->video,
                                   .cancel = job->cancel,
                                   .progress = on_index_progress,
                                   .opaque = job };
        r = ta_index_build(&job->index, path, &source, err);
    }
    ta_free(path);
    return r;
}

/* A plan that is there must be ours; where none is, ours is written down. */
static int settle(ta_job *job, json_t *old, ta_error *err)
{
    ta_source_identity id;
    int r = ta_source_identify(job->input, &id, err);
    if (r >= 0 && old && !same_source(old, &id))
        r = refuse(job, "the source has changed since (its size, time of change or content)", err);
    if (r >= 0)
        r = settle_index(job, old != NULL, err);
    if (r >= 0)
        r = ta_segments_plan(job, err);
    json_t *plan = r >= 0 ? plan_document(job, &id) : NULL;
    if (r >= 0 && !plan)
        r = ta_no_memory(err);
    if (r >= 0)
        r = ta_plan_hash(plan, job->plan_hash, err);
    if (r >= 0)
        r = old ? check_same(job, old, plan, err) : ta_plan_write_back(job->folder, plan, err);
    if (r >= 0)
        snprintf(job->source_sha256, sizeof job->source_sha256, "%s", ta_index_source_sha256(job->index));
    json_decref(plan);
    return r;
}

int ta_plan_settle(ta_job *job, ta_error *err)
{
    json_t *old = NULL;
    ta_error why = { 0 };
    job->durable = true;
    ta_job_folder_stay(job->folder);
    job->sound_piece_seconds = SOUND_PIECE * ta_get_float(job->settings, TA_SET_segment);
    if (ta_get_bool(job->settings, TA_SET_restart))
        ta_job_folder_empty(job->folder, NULL);
    int r = ta_plan_read(job->folder, &old, &why);
    if (r < 0 && r != TA_ERR_NOINPUT) {
        *err = why;
        return ta_hint(err, "say --restart to begin anew");
    }
    if (!old) /* a run that was killed while it planned, or a job in one piece */
        ta_job_folder_empty(job->folder, NULL);
    r = settle(job, old, err);
    json_decref(old);
    return r;
}

int ta_plan_check_empty(ta_job *job, ta_error *err)
{
    json_t *old = NULL;
    ta_error why = { 0 };
    if (ta_get_bool(job->settings, TA_SET_restart))
        ta_job_folder_empty(job->folder, NULL);
    int r = ta_plan_read(job->folder, &old, &why);
    json_decref(old);
    return r == TA_ERR_NOINPUT ? 0 : refuse(job, "one in segments, and this one is done in one piece", err);
}
