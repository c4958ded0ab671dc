/* A job from start to end: plan, open everything, run the flow, verify, publish. */
#include <stdlib.h>

#include "restore/segments.h"

/* Copied packets up to this size stay in memory. */
static const size_t copied_memory = 4u << 20;

/* What belongs to the running flow and is freed with it. */
typedef struct owned {
    void *p;
    void (*fn)(void *);
} owned;

typedef struct owner {
    owned list[TA_MAX_TRACKS + 8];
    int count;
} owner;

int ta_job_own(ta_job *job, void *p, void (*fn)(void *), ta_error *err)
{
    if (!job->owner)
        job->owner = ta_alloc(sizeof(owner));
    owner *o = job->owner;
    if (!o || o->count == (int)TA_COUNT(o->list)) {
        fn(p);
        return ta_no_memory(err);
    }
    o->list[o->count++] = (owned){ p, fn };
    return 0;
}

void ta_job_free_nodes(ta_job *job)
{
    owner *o = job->owner;
    ta_flow_free(&job->flow);
    for (int i = o ? o->count - 1 : -1; i >= 0; i--)
        o->list[i].fn(o->list[i].p);
    ta_freep(&job->owner);
}

int ta_job_new(ta_job **out, const ta_settings *settings, const char *input, const char *output, ta_error *err)
{
    ta_job *job = ta_alloc(sizeof *job);
    *out = NULL;
    if (!job)
        return ta_no_memory(err);
    job->settings = ta_settings_copy(settings);
    job->input = ta_strdup(input);
    job->output_arg = output ? ta_strdup(output) : NULL;
    job->cancel = ta_cancel_new(NULL);
    job->video = -1;
    job->duration_us = -1;
    job->estimate_seconds = -1;
    if (!job->settings || !job->input || !job->cancel || (output && !job->output_arg)) {
        ta_job_free(&job);
        return ta_no_memory(err);
    }
    *out = job;
    return 0;
}

int ta_job_link(ta_job *job, ta_cancel *parent, ta_error *err)
{
    ta_cancel *linked = ta_cancel_new(parent);
    if (!linked)
        return ta_no_memory(err);
    ta_cancel_free(&job->cancel);
    job->cancel = linked;
    return 0;
}

static void free_spools(ta_track *t)
{
    ta_spool_free(&t->pcm);
    ta_spool_free(&t->packets);
    avcodec_parameters_free(&t->stream.par);
}

void ta_job_free(ta_job **pj)
{
    ta_job *job = pj ? *pj : NULL;
    if (!job)
        return;
    ta_job_free_nodes(job);
    for (int i = 0; i < job->n_tracks; i++) {
        ta_chain_free(&job->tracks[i].chain);
        free_spools(&job->tracks[i]);
        ta_subtitles_close(&job->tracks[i].text);
    }
    ta_spool_free(&job->copied);
    ta_chain_free(&job->chain);
    ta_upscale_models_free(&job->models);
    ta_face_models_free(&job->face_models);
    ta_neural_sound_free(&job->neural_sound);
    ta_input_close(&job->in);
    ta_publish_abort(&job->publish);
    ta_job_folder_close(&job->folder, job->in_folder);
    ta_buf_free(&job->notes);
    ta_free((char *)(uintptr_t)job->encoding.options);
    ta_free(job->stream_hashes);
    ta_free((void *)job->weight);
    ta_index_close(&job->index);
    ta_free(job->segments);
    ta_free(job->space.folder);
    ta_lock_drop(&job->sound_lock);
    avcodec_parameters_free(&job->join_stream.par);
    ta_free(job->output);
    ta_settings_free(&job->settings);
    ta_free(job->input);
    ta_free(job->output_arg);
    ta_cancel_free(&job->cancel);
    ta_freep(pj);
}

void ta_job_share_models(ta_job *job, ta_models *models)
{
    job->shared_models = models;
}

void ta_job_on_progress(ta_job *job, ta_progress_fn fn, void *opaque)
{
    job->on_progress = fn;
    job->progress_opaque = opaque;
}

void ta_job_cancel(ta_job *job)
{
    ta_cancel_set(job->cancel);
}

const char *ta_job_output(const ta_job *job)
{
    return job->output;
}

/* ---- Running ----------------------------------------------------------------------------------------------------- */

/* The output grows in the job folder, so that what a killed run left goes with it; in a work folder, which may be on
 * another disk, it can't be renamed from there and grows beside its final name. */
static int open_output(ta_job *job, ta_error *err)
{
    bool elsewhere = job->in_folder || ta_get_text(job->settings, TA_SET_work_dir)[0];
    bool overwrite = ta_get_bool(job->settings, TA_SET_overwrite);
    char name[32];
    snprintf(name, sizeof name, "output.%s", job->container->name);
    char *temp = elsewhere ? ta_job_part(job, job->output) : ta_job_folder_file(job->folder, name);
    int r = temp ? ta_publish_open_as(&job->publish, job->output, temp, overwrite, err) : ta_no_memory(err);
    ta_free(temp);
    return r;
}

/* What copied streams have to say waits here for the muxer. */
static int open_copied(ta_job *job, ta_error *err)
{
    char *copied = ta_job_folder_file(job->folder, "copied.packets");
    int r = copied ? ta_spool_new(&job->copied, copied, copied_memory, err) : ta_no_memory(err);
    ta_free(copied);
    return r;
}

int ta_job_watch_space(ta_job *job, ta_error *err)
{
    job->space.folder = ta_strdup(ta_job_folder_path(job->folder));
    job->space.reserve = ta_get_int(job->settings, TA_SET_reserve);
    job->space.limit = ta_get_int(job->settings, TA_SET_temp_limit);
    return job->space.folder ? 0 : ta_no_memory(err);
}

static int open_folder(ta_job *job, ta_error *err)
{
    const char *work = ta_get_text(job->settings, TA_SET_work_dir);
    char *dir = ta_path_dir(job->output);
    if (!dir)
        return ta_no_memory(err);
    int stale = ta_job_folder_clean_stale(dir);
    if (stale > 0)
        ta_log(TA_LOG_INFO, "restore", "%d job folders of runs that ended over a week ago were removed", stale);
    ta_free(dir);
    int r = ta_job_folder_open(&job->folder, job->output, work[0] ? work : NULL, err);
    return r < 0 ? r : ta_job_watch_space(job, err);
}

static void free_whole(void *stretch)
{
    ta_stretch_free_nodes(stretch);
}

/* The picture in one stretch, through the input and the stages that were opened for the plan. */
static int whole_picture(ta_job *job, ta_edge **video, ta_error *err)
{
    job->whole =
        (ta_stretch){ .job = job, .flow = job->flow, .in = job->in, .chain = &job->chain, .counts = &job->counts };
    int r = ta_job_own(job, &job->whole, free_whole, err);
    return r < 0 ? r : ta_stretch_nodes(&job->whole, video, err);
}

/* demux ... encode -> mux, or the segments' packets -> mux; sound (side pass) -> encode each track -> mux */
static int build_flow(ta_job *job, bool joined, ta_error *err)
{
    ta_edge *video = NULL, *ready[TA_MAX_TRACKS + 1], *audio[TA_MAX_TRACKS];
    int n_ready = 0, n_audio = 0, r = 0;
    job->flow = ta_flow_new(job->cancel);
    if (!job->flow)
        return ta_no_memory(err);
    if (job->video >= 0)
        r = joined ? ta_join_node(job, &video, err) : whole_picture(job, &video, err);
    for (int i = 0; i < job->n_tracks && r >= 0; i++) {
        if (job->tracks[i].copy)
            continue;
        ta_edge *wait = ta_flow_packets(job->flow, 1, 0);
        audio[n_audio] = ta_flow_packets(job->flow, 1 << 14, 1u << 20);
        r = wait && audio[n_audio] ? ta_audio_node(job, &job->tracks[i], wait, audio[n_audio], err) : ta_no_memory(err);
        ready[n_ready++] = wait;
        n_audio++;
    }
    ta_edge *copied = r >= 0 ? ta_flow_packets(job->flow, 1, 0) : NULL;
    if (r >= 0 && !copied)
        r = ta_no_memory(err);
    if (r >= 0)
        ready[n_ready++] = copied;
    if (r >= 0 && joined)
        r = ta_ready_node(job, ready, n_ready, err);
    else if (r >= 0)
        r = ta_side_node(job, ready, n_ready, err);
    return r < 0 ? r : ta_mux_node(job, video, audio, copied, err);
}

/* Where the time went: one line a thread. */
static void log_nodes(const ta_job *job)
{
    ta_flow_node_stats stats[64];
    int n = ta_flow_stats(job->flow, stats, 64);
    for (int i = 0; i < n; i++) {
        const ta_flow_node_stats *s = &stats[i];
        ta_log(TA_LOG_VERBOSE, "flow",
               "%s: %llu in, %llu out, %.2f s CPU, %.2f s busy, waited %.2f s for input and %.2f s for "
               "room; queue at most %zu",
               s->name, (unsigned long long)s->in, (unsigned long long)s->out, (double)s->cpu_us / 1e6,
               (double)s->busy_us / 1e6, (double)s->wait_in_us / 1e6, (double)s->wait_out_us / 1e6, s->max_depth);
    }
}

static void take_result(ta_job *job, const ta_stretch_result *r)
{
    job->first_out_us = r->first_us;
    job->last_out_us = r->last_us;
    job->decode_errors = r->decode_errors;
    memcpy(job->timecode, r->timecode, sizeof job->timecode);
}

static int run_flow(ta_job *job, bool joined, ta_error *err)
{
    atomic_store(&job->stage, joined ? "joining" : "restoring");
    int r = build_flow(job, joined, err);
    if (r < 0)
        return r;
    ta_release_memory(); /* what starting and measuring the tape took is not needed again */
    ta_ticker *ticker = ta_ticker_start(job);
    r = ta_flow_run(job->flow, err);
    ta_ticker_stop(&ticker, true);
    if (!joined)
        take_result(job, &job->whole.result);
    log_nodes(job);
    return r;
}

static int in_one_piece(ta_job *job, ta_error *err)
{
    int r = ta_plan_check_empty(job, err);
    if (r >= 0)
        r = open_copied(job, err);
    if (r >= 0)
        r = open_output(job, err);
    return r < 0 ? r : run_flow(job, false, err);
}

/* A segment that is found damaged is done again. */
static int make_segments(ta_job *job, ta_error *err)
{
    int r = TA_ERR_AGAIN;
    for (int tries = 0; tries < 3 && r == TA_ERR_AGAIN; tries++) {
        r = ta_segments_run(job, err);
        if (r < 0)
            return r;
        atomic_store(&job->stage, "checking");
        r = ta_segments_collect(job, err);
    }
    return r;
}

int ta_job_join(ta_job *job, ta_error *err)
{
    int r = open_output(job, err);
    return r < 0 ? r : run_flow(job, true, err);
}

static int settle_plan(ta_job *job, ta_error *err)
{
    ta_ticker *ticker = ta_ticker_start(job);
    int r = ta_plan_settle(job, err);
    ta_ticker_stop(&ticker, false);
    return r;
}

static int in_segments(ta_job *job, ta_error *err)
{
    int r = settle_plan(job, err);
    if (r >= 0)
        r = make_segments(job, err);
    if (r >= 0)
        r = ta_job_join(job, err);
    if (r < 0 && job->n_segments)
        ta_log(TA_LOG_WARN, "restore", "what is done is kept in '%s': the same command goes on with it",
               ta_job_folder_path(job->folder));
    return r;
}

static void note_findings(ta_job *job)
{
    for (int i = 0; i < job->n_tracks; i++) {
        const ta_track *t = &job->tracks[i];
        if (t->copy || t->dropped)
            continue;
        if (t->advice[0])
            ta_job_note(job, "stream %d: %s", t->source, t->advice);
        if (t->gaps)
            ta_job_note(job, "stream %d: %llu holes in the sound were filled with silence (%.2f s)", t->source,
                        (unsigned long long)t->gaps, (double)t->gap_samples / TA_MAX(t->target.format.sample_rate, 1));
        if (ta_get_bool(job->settings, TA_SET_normalize) || t->gain.peak_limited)
            ta_log(TA_LOG_INFO, "sound", "stream %d: %s", t->source, t->gain.reason);
    }
    const char *encoder = job->encoding.encoder;
    if (atomic_load(&job->counts.captions_in) && strcmp(encoder, "libx264") && strcmp(encoder, "libx265") &&
        !ta_ends(encoder, "_nvenc"))
        ta_job_note(job, "the captions of the source (%llu packets) are left out: %s can't carry them",
                    (unsigned long long)atomic_load(&job->counts.captions_in), encoder);
    if (job->decode_errors)
        ta_job_note(job, "%llu video packets could not be decoded", (unsigned long long)job->decode_errors);
    if (atomic_load(&job->counts.gaps))
        ta_job_note(job, "the picture has %llu gaps in time; they were kept",
                    (unsigned long long)atomic_load(&job->counts.gaps));
}

void ta_job_begin_times(ta_job *job)
{
    job->start_time = ta_now_us();
    job->start_cpu_us = ta_process_cpu_us();
}

static void take_times(ta_job *job)
{
    job->wall_seconds = (double)(ta_now_us() - job->start_time) / 1e6;
    job->cpu_seconds = (double)(ta_process_cpu_us() - job->start_cpu_us) / 1e6;
}

int ta_job_publish(ta_job *job, ta_error *err)
{
    atomic_store(&job->stage, "verifying");
    int r = ta_verify_result(job, ta_publish_temp(job->publish), err);
    if (r >= 0 && ta_cancelled(job->cancel))
        r = ta_fail(err, TA_ERR_CANCELLED, "cancelled");
    if (r < 0)
        return r;
    note_findings(job);
    take_times(job);
    r = ta_record_publishing(job, err);
    return r < 0 ? r : ta_publish_commit(&job->publish, err);
}

/* What is in the way is ours when a run was killed just behind its end; anything else was refused by the plan. */
static int check_published(ta_job *job, ta_error *err)
{
    if (ta_get_bool(job->settings, TA_SET_restart))
        return 0;
    int r = ta_settle_published(job, err);
    if (r != 0)
        return r;
    return ta_get_bool(job->settings, TA_SET_overwrite) || ta_file_size(job->output) < 0
               ? 0
               : ta_fail_output_exists(job, err);
}

/* 1 when an earlier run had done everything. Facts that the nodes hold are needed by the report; the files must be
 * closed before the check. */
static int run_all(ta_job *job, ta_error *err)
{
    int r = ta_job_plan(job, err);
    if (r >= 0)
        r = ta_check_space(job, err);
    if (r >= 0)
        r = open_folder(job, err);
    if (r >= 0)
        r = check_published(job, err);
    if (r != 0)
        return r;
    r = ta_job_in_segments(job) ? in_segments(job, err) : in_one_piece(job, err);
    ta_job_free_nodes(job);
    return r < 0 ? r : ta_job_publish(job, err);
}

int ta_job_run(ta_job *job, ta_error *err)
{
    ta_error own = { 0 };
    err = err ? err : &own;
    ta_job_begin_times(job);
    int r = run_all(job, err);
    take_times(job);
    if (r == 0 && ta_get_bool(job->settings, TA_SET_sidecar))
        r = ta_write_sidecar(job, err);
    ta_publish_abort(&job->publish);
    for (int i = 0; i < job->n_tracks; i++)
        free_spools(&job->tracks[i]);
    ta_spool_free(&job->copied);
    bool keep = ta_get_bool(job->settings, TA_SET_keep_temp);
    if (r < 0)
        keep |= job->folder && ta_plan_is_there(job->folder); /* whoever was refused must not lose another's work */
    else if (job->folder && !keep)
        ta_job_folder_empty(job->folder,
                            ta_record_name); /* last, so that a kill from here on is seen to be behind the end */
    ta_job_folder_close(&job->folder, keep);
    return TA_MIN(r, 0);
}
