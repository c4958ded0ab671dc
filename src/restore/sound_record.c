/* What is known of finished sound, in files of the job folder: a marker for each piece, and sound.json for the whole
 * side pass. A file that doesn't fit the job or the bytes beside it counts as missing. */
#include <jansson.h>
#include <libavfilter/avfilter.h>
#include <libswresample/swresample.h>
#include <math.h>
#include <sys/stat.h>

#include "restore/sound_pieces.h"

enum { FORMAT = 1, MAX_MARKER = 4096, MAX_RECORD = 1 << 20 };

#define RECORD "sound.json"

/* ---- What the bytes depend on ------------------------------------------------------------------------------------ */

static void describe_sound(const ta_job *job, ta_buf *b)
{
    struct stat st;
    ta_buf_addf(b, "%d %s %u %u %u %u\n", FORMAT, ta_version(), avformat_version(), avcodec_version(),
                avfilter_version(), swresample_version());
    ta_buf_addf(b, "%lld %lld %lld %.17g\n", (long long)job->zero_us, (long long)job->start_us, (long long)job->end_us,
                ta_sound_piece_seconds(job));
    if (stat(job->input, &st) == 0)
        ta_buf_addf(b, "%lld %lld.%09ld\n", (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    for (int i = 0; i < job->n_tracks; i++) {
        const ta_track *t = &job->tracks[i];
        ta_buf_addf(b, "%d %s %s\n", t->source, t->copy ? "copy" : t->codec, t->target.model_sha256);
        for (int j = 0; j < t->chain.count; j++)
            ta_buf_addf(b, "%s\n", t->chain.stages[j]->spec);
    }
}

int ta_sound_identity(const ta_job *job, char hex[65], ta_error *err)
{
    ta_buf b = { 0 };
    char *settings = ta_settings_json(job->settings, false);
    ta_sha256 *h = ta_sha256_new();
    describe_sound(job, &b);
    ta_buf_add(&b, settings ? settings : "");
    int r = settings && h && !b.failed ? 0 : ta_no_memory(err);
    if (r >= 0) {
        ta_sha256_add(h, b.data, b.len);
        ta_sha256_end(&h, hex);
    }
    ta_sha256_drop(&h);
    ta_free(settings);
    ta_buf_free(&b);
    return r;
}

/* ---- JSON files -------------------------------------------------------------------------------------------------- */

/* Takes `o`, which may be NULL: out of memory. */
static int write_json(const ta_job *job, const char *name, json_t *o, ta_error *err)
{
    char *path = ta_job_folder_keep(job->folder, name);
    if (!path)
        json_decref(o);
    int r = path ? ta_sealed_write(path, o, err) : ta_no_memory(err);
    ta_free(path);
    return r;
}

/* 1 and the object; 0 when the file is missing, or isn't JSON for this job. */
static int read_json(const ta_job *job, const char *name, size_t max, json_t **o, ta_error *err)
{
    char *path = ta_job_folder_keep(job->folder, name), identity[65];
    *o = NULL;
    int r = path ? ta_sound_identity(job, identity, err) : ta_no_memory(err);
    int there = r >= 0 ? ta_sealed_read(path, max, o) : 0;
    if (there && (there < 0 || !ta_streq(json_string_value(json_object_get(*o, "identity")), identity))) {
        ta_log(TA_LOG_WARN, "sound", "'%s' is %s and not used", path, there > 0 ? "of another job" : "damaged");
        json_decref(*o);
        *o = NULL;
    }
    ta_free(path);
    return r < 0 ? r : *o != NULL;
}

char *ta_sound_path(const ta_job *job, const ta_track *t)
{
    char name[32];
    snprintf(name, sizeof name, "sound-%d.pcm", t->source);
    return ta_job_folder_keep(job->folder, name);
}

/* ---- Markers ----------------------------------------------------------------------------------------------------- */

static void marker_name(const ta_track *t, int64_t k, char name[64])
{
    snprintf(name, 64, "sound-%d-%lld.done", t->source, (long long)k);
}

int ta_sound_marker_write(const ta_job *job, const ta_track *t, int64_t k, const ta_sound_marker *m, ta_error *err)
{
    char name[64], identity[65];
    marker_name(t, k, name);
    int r = ta_sound_identity(job, identity, err);
    if (r < 0)
        return r;
    json_t *o = json_pack("{s:s, s:i, s:I, s:[I,I], s:[I,I], s:I, s:I, s:s}", "identity", identity, "stream", t->source,
                          "piece", (json_int_t)k, "source", (json_int_t)m->from, (json_int_t)m->to, "finished",
                          (json_int_t)m->finished_from, (json_int_t)m->finished_to, "at", (json_int_t)m->at, "bytes",
                          (json_int_t)m->bytes, "sha256", m->sha256);
    return write_json(job, name, o, err);
}

int ta_sound_marker_read(const ta_job *job, const ta_track *t, int64_t k, ta_sound_marker *m, ta_error *err)
{
    char name[64];
    json_t *o;
    int stream = -1;
    json_int_t piece = -1, from, to, finished_from, finished_to, at, bytes;
    const char *sha256 = "";
    marker_name(t, k, name);
    int r = read_json(job, name, MAX_MARKER, &o, err);
    if (r <= 0)
        return r;
    bool good = json_unpack(o, "{s:i, s:I, s:[I,I], s:[I,I], s:I, s:I, s:s}", "stream", &stream, "piece", &piece,
                            "source", &from, &to, "finished", &finished_from, &finished_to, "at", &at, "bytes", &bytes,
                            "sha256", &sha256) == 0 &&
                stream == t->source && piece == k && strlen(sha256) == 64;
    if (good) {
        *m = (ta_sound_marker){ from, to, finished_from, finished_to, at, bytes, "" };
        memcpy(m->sha256, sha256, sizeof m->sha256);
    } else {
        ta_log(TA_LOG_WARN, "sound", "'%s' is damaged and not used", name);
    }
    json_decref(o);
    return good;
}

/* ---- The whole side pass ----------------------------------------------------------------------------------------- */

typedef enum field_kind { NUMBER, REAL, TRUTH, FAULT, TEXT } field_kind;

/* The results of a track that is encoded. */
static const struct field {
    const char *name;
    field_kind kind;
    size_t at;
} fields[] = {
    { "start", NUMBER, offsetof(ta_track, start) },
    { "samples", NUMBER, offsetof(ta_track, samples) },
    { "gaps", NUMBER, offsetof(ta_track, gaps) },
    { "gap_samples", NUMBER, offsetof(ta_track, gap_samples) },
    { "overlaps", NUMBER, offsetof(ta_track, overlaps) },
    { "decode_errors", NUMBER, offsetof(ta_track, decode_errors) },
    { "format_changes", NUMBER, offsetof(ta_track, format_changes) },
    { "before_integrated", REAL, offsetof(ta_track, before.integrated) },
    { "before_range", REAL, offsetof(ta_track, before.range) },
    { "before_true_peak", REAL, offsetof(ta_track, before.true_peak) },
    { "after_integrated", REAL, offsetof(ta_track, after.integrated) },
    { "after_range", REAL, offsetof(ta_track, after.range) },
    { "after_true_peak", REAL, offsetof(ta_track, after.true_peak) },
    { "gain_db", REAL, offsetof(ta_track, gain.gain_db) },
    { "gain_peak_limited", TRUTH, offsetof(ta_track, gain.peak_limited) },
    { "gain_expected", REAL, offsetof(ta_track, gain.expected) },
    { "gain_reason", TEXT, offsetof(ta_track, gain.reason) },
    { "gain_limited", TRUTH, offsetof(ta_track, gain.limited) },
    { "gain_makeup_db", REAL, offsetof(ta_track, gain.makeup_db) },
    { "gain_ratio", REAL, offsetof(ta_track, gain.ratio) },
    { "gain_ceiling_db", REAL, offsetof(ta_track, gain.ceiling_db) },
    { "fault", FAULT, offsetof(ta_track, fault) },
    { "advice", TEXT, offsetof(ta_track, advice) },
    { "dropped", TRUTH, offsetof(ta_track, dropped) },
};
enum { TEXT_SIZE = 256 };
_Static_assert(sizeof((ta_gain *)0)->reason == TEXT_SIZE && sizeof((ta_track *)0)->advice == TEXT_SIZE, "text fields");

/* Silence has a loudness of minus infinity, which JSON has no number for: null. */
static json_t *field_json(const void *p, field_kind kind)
{
    switch (kind) {
    case NUMBER:
        return json_integer(*(const int64_t *)p);
    case REAL:
        return isfinite(*(const double *)p) ? json_real(*(const double *)p) : json_null();
    case TRUTH:
        return json_boolean(*(const bool *)p);
    case FAULT:
        return json_integer(*(const ta_channel_fault *)p);
    default:
        return json_string(p);
    }
}

static bool field_from_json(void *p, field_kind kind, const json_t *v)
{
    switch (kind) {
    case NUMBER:
        *(int64_t *)p = json_integer_value(v);
        return json_is_integer(v);
    case REAL:
        *(double *)p = json_is_null(v) ? -HUGE_VAL : json_number_value(v);
        return json_is_null(v) || json_is_number(v);
    case TRUTH:
        *(bool *)p = json_is_true(v);
        return json_is_boolean(v);
    case FAULT:
        *(ta_channel_fault *)p = (ta_channel_fault)json_integer_value(v);
        return json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= TA_CHANNELS_DUAL_MONO;
    default:
        snprintf(p, TEXT_SIZE, "%s", json_is_string(v) ? json_string_value(v) : "");
        return json_is_string(v);
    }
}

static json_t *track_json(const ta_track *t, const char *sha256)
{
    char layout[64] = "";
    const ta_audio_format *f = &t->target.format;
    json_t *o = json_pack("{s:i, s:b}", "stream", t->source, "copied", t->copy);
    if (!o || t->copy)
        return o;
    for (size_t i = 0; i < TA_COUNT(fields); i++)
        json_object_set_new(o, fields[i].name, field_json((const char *)t + fields[i].at, fields[i].kind));
    if (t->dropped)
        return o;
    av_channel_layout_describe(&f->layout, layout, sizeof layout);
    json_object_set_new(o, "format",
                        json_pack("{s:i, s:s, s:s}", "rate", f->sample_rate, "layout", layout, "samples",
                                  av_get_sample_fmt_name(f->sample_fmt)));
    json_object_set_new(o, "sha256", json_string(sha256));
    return o;
}

static json_t *copied_json(const ta_job *job, ta_error *err)
{
    char hex[65];
    int r = ta_spool_sha256(job->copied, 0, ta_spool_size(job->copied), hex, job->cancel, err);
    return r < 0 ? NULL : json_pack("{s:I, s:s}", "bytes", (json_int_t)ta_spool_size(job->copied), "sha256", hex);
}

int ta_sound_save(ta_job *job, char (*sha256)[65], ta_error *err)
{
    char identity[65];
    const ta_input_stats *s = &job->input_stats;
    json_t *tracks = json_array();
    int r = ta_spool_sync(job->copied, err);
    if (r >= 0)
        r = ta_sound_identity(job, identity, err);
    json_t *copied = r >= 0 ? copied_json(job, err) : NULL;
    if (r >= 0 && !copied)
        r = ta_cancelled(job->cancel) ? TA_ERR_CANCELLED : ta_no_memory(err);
    for (int i = 0; i < job->n_tracks && r >= 0; i++)
        if (json_array_append_new(tracks, track_json(&job->tracks[i], sha256[i])) < 0)
            r = ta_no_memory(err);
    if (r < 0) {
        json_decref(tracks);
        json_decref(copied);
        return r;
    }
    json_t *o = json_pack("{s:s, s:s, s:{s:I, s:I, s:I, s:I}, s:o, s:o}", "identity", identity, "source_sha256",
                          job->source_sha256, "input", "bytes", (json_int_t)s->bytes, "packets", (json_int_t)s->packets,
                          "discontinuities", (json_int_t)s->discontinuities, "corrupt", (json_int_t)s->corrupt,
                          "copied", copied, "tracks", tracks);
    return write_json(job, RECORD, o, err);
}

int ta_sound_open_copied(ta_job *job, ta_error *err)
{
    char *path = ta_job_folder_keep(job->folder, "copied.packets");
    ta_spool_free(&job->copied);
    int r = path ? ta_spool_keep(&job->copied, path, 0, err) : ta_no_memory(err);
    ta_free(path);
    return r;
}

void ta_sound_note_dropped(ta_job *job, const ta_track *t)
{
    ta_job_note(job, "stream %d is left out: no sound could be decoded from it", t->source);
}

/* ---- Loading ----------------------------------------------------------------------------------------------------- */

/* Opens a spool that should have this size and this SHA-256. 1, or 0 when it hasn't. */
static int open_checked(ta_spool **spool, const char *path, int64_t bytes, const char *sha256, const ta_cancel *cancel,
                        ta_error *err)
{
    char hex[65];
    if (!path)
        return ta_no_memory(err);
    if (!sha256 || ta_file_size(path) != bytes) {
        ta_log(TA_LOG_WARN, "sound", "'%s' is damaged: its size is wrong", path);
        return 0;
    }
    ta_spool_free(spool);
    int r = ta_spool_keep(spool, path, bytes, err);
    if (r >= 0)
        r = ta_spool_sha256(*spool, 0, bytes, hex, cancel, err);
    if (r < 0 || strcmp(hex, sha256) == 0)
        return r < 0 ? r : 1;
    ta_spool_free(spool);
    ta_log(TA_LOG_WARN, "sound", "'%s' is damaged: its checksum is wrong", path);
    return 0;
}

static bool load_format(const json_t *o, ta_audio_format *f)
{
    const char *layout = json_string_value(json_object_get(o, "layout"));
    const char *samples = json_string_value(json_object_get(o, "samples"));
    f->sample_rate = (int)json_integer_value(json_object_get(o, "rate"));
    f->sample_fmt = samples ? av_get_sample_fmt(samples) : AV_SAMPLE_FMT_NONE;
    return f->sample_rate > 0 && f->sample_fmt != AV_SAMPLE_FMT_NONE && layout &&
           av_channel_layout_from_string(&f->layout, layout) >= 0;
}

static int load_track(const ta_job *job, ta_track *t, const json_t *o, ta_error *err)
{
    bool good = json_integer_value(json_object_get(o, "stream")) == t->source &&
                json_is_true(json_object_get(o, "copied")) == t->copy;
    if (!good || t->copy)
        return good;
    for (size_t i = 0; i < TA_COUNT(fields) && good; i++)
        good = field_from_json((char *)t + fields[i].at, fields[i].kind, json_object_get(o, fields[i].name));
    if (!good || t->dropped)
        return good;
    ta_audio_format *f = &t->target.format;
    if (!load_format(json_object_get(o, "format"), f))
        return 0;
    char *path = ta_sound_path(job, t);
    int64_t bytes = t->samples * av_get_bytes_per_sample(f->sample_fmt) * f->layout.nb_channels;
    int r = open_checked(&t->pcm, path, bytes, json_string_value(json_object_get(o, "sha256")), job->cancel, err);
    ta_free(path);
    return r;
}

static int load_copied(ta_job *job, const json_t *o, ta_error *err)
{
    char *path = ta_job_folder_keep(job->folder, "copied.packets");
    int r = open_checked(&job->copied, path, json_integer_value(json_object_get(o, "bytes")),
                         json_string_value(json_object_get(o, "sha256")), job->cancel, err);
    ta_free(path);
    return r;
}

static bool load_input(ta_job *job, const json_t *o)
{
    json_int_t bytes, packets, discontinuities, corrupt;
    const char *sha256;
    if (json_unpack((json_t *)(uintptr_t)o, "{s:s, s:{s:I, s:I, s:I, s:I}}", "source_sha256", &sha256, "input", "bytes",
                    &bytes, "packets", &packets, "discontinuities", &discontinuities, "corrupt", &corrupt) < 0 ||
        strlen(sha256) != 64 || (job->source_sha256[0] && strcmp(job->source_sha256, sha256) != 0))
        return false;
    memcpy(job->source_sha256, sha256, sizeof job->source_sha256);
    job->input_stats =
        (ta_input_stats){ (uint64_t)bytes, (uint64_t)packets, (uint64_t)discontinuities, (uint64_t)corrupt };
    return true;
}

static int load_all(ta_job *job, const json_t *o, ta_error *err)
{
    const json_t *tracks = json_object_get(o, "tracks");
    int r = json_array_size(tracks) == (size_t)job->n_tracks;
    for (int i = 0; i < job->n_tracks && r > 0; i++)
        r = load_track(job, &job->tracks[i], json_array_get(tracks, (size_t)i), err);
    if (r > 0)
        r = load_copied(job, json_object_get(o, "copied"), err);
    return r > 0 ? load_input(job, o) : r;
}

/* As if nothing had been loaded. */
static void unload(ta_job *job)
{
    for (int i = 0; i < job->n_tracks; i++) {
        ta_track *t = &job->tracks[i];
        ta_spool_free(&t->pcm);
        t->dropped = false;
        t->start = t->samples = 0;
        t->gaps = t->gap_samples = t->overlaps = t->decode_errors = t->format_changes = 0;
        t->before = t->after = (ta_loudness){ 0 };
        t->gain = (ta_gain){ 0 };
        t->fault = TA_CHANNELS_FINE;
        t->advice[0] = '\0';
    }
    ta_spool_free(&job->copied);
}

int ta_sound_load(ta_job *job, ta_error *err)
{
    json_t *o;
    int r = read_json(job, RECORD, MAX_RECORD, &o, err);
    if (r <= 0)
        return r;
    r = load_all(job, o, err);
    json_decref(o);
    if (r <= 0) {
        unload(job);
        if (r == 0)
            ta_log(TA_LOG_WARN, "sound", "the finished sound can't be used as it is: what is damaged is made again");
        return r;
    }
    for (int i = 0; i < job->n_tracks; i++)
        if (job->tracks[i].dropped)
            ta_sound_note_dropped(job, &job->tracks[i]);
    ta_log(TA_LOG_INFO, "sound", "the sound is done already");
    return 1;
}
