/* The sidecar: what was done, to what, with which result; a JSON file beside the output. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "restore/internal.h"

static const char *const scan_names[] = { "progressive", "interlaced", "mixed", "soft telecine", "hard telecine" };
static const char *const order_names[] = { "unknown", "progressive", "tff", "bff" };
static const char *const fault_names[] = { "none", "left only", "right only", "out of phase", "dual mono" };

static json_t *number(double x)
{
    return isfinite(x) ? json_real(round(x * 100) / 100) : json_null();
}

static json_t *loudness_json(const ta_loudness *l)
{
    return json_pack("{s:o, s:o, s:o}", "integrated_lufs", number(l->integrated), "range_lu", number(l->range),
                     "true_peak_dbtp", number(l->true_peak));
}

static json_t *track_json(const ta_track *t)
{
    if (t->copy)
        return json_pack("{s:i, s:s}", "source_stream", t->source, "action", "copied");
    if (t->dropped)
        return json_pack("{s:i, s:s}", "source_stream", t->source, "action", "left out: empty");
    double rate = TA_MAX(t->target.format.sample_rate, 1);
    return json_pack("{s:i, s:s, s:s, s:o, s:o, s:o, s:s, s:I, s:o, s:I, s:I, s:s}", "source_stream", t->source,
                     "action", "encoded", "codec", t->codec, "loudness_before", loudness_json(&t->before),
                     "loudness_finished_chain", loudness_json(&t->after), "gain_db", number(t->gain.gain_db),
                     "gain_reason", t->gain.reason, "gaps", (json_int_t)t->gaps, "gap_seconds",
                     number((double)t->gap_samples / rate), "overlaps", (json_int_t)t->overlaps, "decode_errors",
                     (json_int_t)t->decode_errors, "channel_fault", fault_names[t->fault]);
}

static json_t *lines(const char *text)
{
    json_t *list = json_array();
    while (text && *text) {
        size_t n = strcspn(text, "\n");
        json_array_append_new(list, json_stringn(text, n));
        text += n + (text[n] == '\n');
    }
    return list;
}

static json_t *path_json(const char *path)
{
    char *clean = ta_utf8_clean(path); /* file names need not be UTF-8, JSON must */
    json_t *text = clean ? json_string(clean) : NULL;
    ta_free(clean);
    return text;
}

static json_t *source_json(const ta_job *job)
{
    int64_t bytes, modified;
    ta_input_identity(job->input, &bytes, &modified, NULL);
    json_t *o = json_pack("{s:o, s:s, s:I, s:I, s:I, s:I}", "path", path_json(job->input), "sha256", job->source_sha256,
                          "bytes", (json_int_t)bytes, "modified_us", (json_int_t)modified, "time_discontinuities",
                          (json_int_t)job->input_stats.discontinuities, "damaged_packets",
                          (json_int_t)job->input_stats.corrupt);
    if (job->video < 0)
        return o;
    const ta_video_format *v = &job->source.video;
    json_object_set_new(o, "video",
                        json_pack("{s:i, s:i, s:s, s:s, s:s, s:s, s:I, s:I}", "width", v->width, "height", v->height,
                                  "pixel_format", av_get_pix_fmt_name(v->pix_fmt), "scan", scan_names[job->source.scan],
                                  "field_order", order_names[job->source.order], "scan_reason", job->scan.reason,
                                  "frames", (json_int_t)job->frames_in, "decode_errors",
                                  (json_int_t)job->decode_errors));
    return o;
}

static json_t *stages_json(const ta_job *job)
{
    json_t *list = json_array();
    for (int i = 0; i < job->chain.count; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:s}", "stage", job->chain.stages[i]->name, "does", job->chain.stages[i]->spec));
    return list;
}

static json_t *sidecar_json(const ta_job *job)
{
    char now[24];
    char *settings = ta_settings_json(job->settings, false);
    json_t *tracks = json_array();
    for (int i = 0; i < job->n_tracks; i++)
        json_array_append_new(tracks, track_json(&job->tracks[i]));
    json_t *o = json_pack("{s:s, s:s, s:o, s:{s:o, s:s, s:I, s:f, s:I, s:o}, s:o, s:o, s:{s:I, s:I, s:I, s:I, s:I}, "
                          "s:o, s:o, s:{s:f, s:f}}",
                          "made_by", ta_version(), "finished", ta_print_utc(ta_wall_us(), now), "source",
                          source_json(job), "output", "path", path_json(ta_path_base(job->output)), "sha256",
                          job->output_sha256, "bytes", (json_int_t)job->output_bytes, "duration",
                          (double)job->output_duration_us / 1e6, "frames", (json_int_t)job->frames_out, "streams",
                          job->stream_hashes ? json_loads(job->stream_hashes, 0, NULL) : json_array(), "tracks", tracks,
                          "stages", stages_json(job), "picture", "frames_shown_twice",
                          (json_int_t)job->counts.shown_twice, "frames_dropped", (json_int_t)job->counts.dropped,
                          "gaps", (json_int_t)job->counts.gaps, "captions_in", (json_int_t)job->counts.captions_in,
                          "captions_out", (json_int_t)job->counts.captions_out, "settings",
                          settings ? json_loads(settings, 0, NULL) : json_null(), "warnings", lines(job->notes.data),
                          "time", "wall_seconds", job->wall_seconds, "cpu_seconds", job->cpu_seconds);
    ta_settings_free_text(settings);
    if (o) {
        json_t *versions =
            json_pack("{s:s, s:i, s:i, s:i}", "terminalai", ta_version(), "libavcodec", (int)avcodec_version(),
                      "libavformat", (int)avformat_version(), "libavutil", (int)avutil_version());
        json_object_set_new(o, "versions", versions);
    }
    return o;
}

char *ta_sidecar_text(const ta_job *job)
{
    json_t *doc = sidecar_json(job);
    char *text = doc ? json_dumps(doc, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(doc);
    return text;
}

char *ta_job_part(const ta_job *job, const char *path)
{
    char name[201], hex[65] = "", *dir = ta_path_dir(path);
    const char *folder = ta_job_folder_path(job->folder);
    char *real = realpath(folder, NULL); /* two jobs of one output don't meet */
    ta_sha256 *h = ta_sha256_new();
    if (h) {
        ta_sha256_add(h, real ? real : folder, strlen(real ? real : folder));
        ta_sha256_end(&h, hex);
    }
    snprintf(name, sizeof name, "%s", ta_path_base(path));
    ta_utf8_trim(name);
    char *part = dir && hex[0] ? ta_format("%s/.%s.%.8s.part", dir, name, hex) : NULL;
    free(real);
    ta_free(dir);
    return part;
}

static int write_beside(const ta_job *job, const char *text, ta_error *err)
{
    char *path = ta_format("%s.json", job->output);
    char *part = path ? ta_job_part(job, path) : NULL;
    int r = part && text ? ta_write_file_as(path, part, text, strlen(text), true, err) : ta_no_memory(err);
    ta_free(path);
    ta_free(part);
    return r < 0 ? ta_wrap(err, "the output '%s' is complete, but its sidecar is not", job->output) : 0;
}

int ta_write_sidecar(ta_job *job, ta_error *err)
{
    char *text = ta_sidecar_text(job);
    int r = write_beside(job, text, err);
    free(text);
    return r;
}

/* ---- Published, and killed -----------------------------------------------------------------------------------------
 */

#define RECORD "published.json"
const char *const ta_record_name[] = { RECORD, NULL };
enum { MAX_RECORD = 64 << 20 };

int ta_record_publishing(ta_job *job, ta_error *err)
{
    char *path = ta_job_folder_keep(job->folder, RECORD), *text = ta_sidecar_text(job);
    int r = path && text ? ta_write_file(path, text, strlen(text), true, err) : ta_no_memory(err);
    free(text);
    ta_free(path);
    return r;
}

/* Is the file under the final name the one that the record tells of? */
static int is_recorded(ta_job *job, const char *text, ta_error *err)
{
    char sha[65] = "";
    json_t *doc = json_loads(text, 0, NULL);
    const char *then = json_string_value(json_object_get(json_object_get(doc, "output"), "sha256"));
    int r = then ? ta_sha256_file(job->output, sha, job->cancel, err) : 0;
    if (r >= 0)
        r = then && strcmp(then, sha) == 0;
    json_decref(doc);
    return r;
}

int ta_settle_published(ta_job *job, ta_error *err)
{
    ta_error why = { 0 };
    char *path = ta_job_folder_keep(job->folder, RECORD), *text = NULL;
    size_t size;
    int r = path ? ta_read_file(path, MAX_RECORD, &text, &size, &why) : ta_no_memory(err);
    ta_free(path);
    if (r < 0)
        return path ? 0 : r;
    r = ta_file_size(job->output) >= 0 ? is_recorded(job, text, err) : 0;
    if (r > 0) {
        ta_log(TA_LOG_INFO, "restore", "'%s' was complete already when the last run ended", job->output);
        int written = ta_get_bool(job->settings, TA_SET_sidecar) ? write_beside(job, text, err) : 0;
        r = written < 0 ? written : 1;
    }
    ta_free(text);
    return r;
}
