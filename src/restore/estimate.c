/* What a job will cost: measured on a few pictures from its own beginning, run through its own stages and encoder. */
#include "restore/internal.h"

/* A model takes a second and more for a picture, so only few of them are tried. */
enum { TRIAL_FRAMES = 12, MODEL_FRAMES = 2 };
/* Jobs with fewer output pixels than this surely end in less than a day, so nothing is measured for them. */
static const double surely_short = 1440.0 * 1080 * 60 * 3600;

typedef struct trial {
    ta_job *job;
    ta_encoder *encoder;
    AVPacket *pkt;
    int64_t bytes;
    int frames_out;
} trial;

static const ta_stage *stage_that(const ta_job *job, bool (*is)(const ta_stage *))
{
    for (int i = 0; i < job->chain.count; i++)
        if (is(job->chain.stages[i]))
            return job->chain.stages[i];
    return NULL;
}

static bool has_model(const ta_job *job)
{
    return stage_that(job, ta_upscale_is) || stage_that(job, ta_face_is);
}

static int count_packets(trial *t, ta_error *err)
{
    int r;
    while ((r = ta_encoder_receive(t->encoder, t->pkt, err)) > 0) {
        t->bytes += t->pkt->size;
        av_packet_unref(t->pkt);
    }
    return r == TA_DECODER_END ? 0 : r;
}

static int encode_trial(void *to, AVFrame *f, ta_error *err)
{
    trial *t = to;
    int r = t->encoder ? 0 : ta_encoder_open_video(&t->encoder, &t->job->encoding, f, err);
    if (r >= 0 && (r = ta_encoder_send(t->encoder, f, err)) == TA_RECEIVE_FIRST)
        r = 0;
    t->frames_out++;
    av_frame_free(&f);
    return r < 0 ? r : count_packets(t, err);
}

static void tag_trial(const ta_job *job, AVFrame *f)
{
    const ta_video_format *v = &job->source.video;
    f->sample_aspect_ratio = v->sar;
    f->colorspace = v->matrix;
    f->color_primaries = v->primaries;
    f->color_trc = v->transfer;
    f->color_range = v->range;
    f->interlaced_frame = job->source.scan == TA_SCAN_PROGRESSIVE ? 0 : f->interlaced_frame;
}

static int run_trial(ta_job *job, ta_input *in, ta_decoder *d, ta_chain *chain, trial *t, ta_error *err)
{
    AVPacket *pkt = av_packet_alloc();
    AVFrame *f = NULL;
    int frames = 0, r = pkt ? 1 : ta_no_memory(err), most = has_model(job) ? MODEL_FRAMES : TRIAL_FRAMES;
    ta_input_select(in, 1ull << job->video);
    while (r > 0 && frames < most && (r = ta_input_read(in, pkt, err)) > 0) {
        r = ta_decoder_send(d, pkt, err);
        av_packet_unref(pkt);
        r = r > 0 ? 0 : r;
        while (r >= 0 && frames < most && (f = av_frame_alloc()) && (r = ta_decoder_receive(d, f, err)) > 0) {
            tag_trial(job, f);
            frames++;
            r = ta_chain_push(chain, f, encode_trial, t, err);
            f = NULL;
        }
        av_frame_free(&f);
        r = r >= 0 ? 1 : r;
    }
    if (r >= 0)
        r = ta_chain_push(chain, NULL, encode_trial, t, err);
    if (r >= 0 && t->encoder && (r = ta_encoder_send(t->encoder, NULL, err)) >= 0)
        r = count_packets(t, err);
    av_packet_free(&pkt);
    return r < 0 ? r : frames;
}

static int measure(ta_job *job, double *cpu_per_frame, double *bytes_per_frame, ta_error *err)
{
    ta_input *in = NULL;
    ta_decoder *d = NULL;
    ta_chain chain = { 0 };
    ta_picture_counts counts = { 0 };
    ta_link out;
    ta_buf notes = { 0 };
    trial t = { .job = job, .pkt = av_packet_alloc() };
    int r = t.pkt ? ta_input_open(&in, job->input, job->cancel, err) : ta_no_memory(err);
    if (r >= 0)
        r = ta_decoder_open(&d, ta_input_context(in)->streams[job->video], 1, err);
    if (r >= 0)
        r = ta_picture_plan(job->settings, &job->source, job->link_out.video.pix_fmt, ta_job_scratch(job),
                            &job->engines, &counts, &chain, &notes, err);
    if (r >= 0)
        r = ta_chain_configure(&chain, &job->link_in, &out, err);
    int64_t cpu = ta_process_cpu_us();
    if (r >= 0)
        r = run_trial(job, in, d, &chain, &t, err);
    if (r > 0) {
        *cpu_per_frame = (double)(ta_process_cpu_us() - cpu) / 1e6 / r;
        *bytes_per_frame = (double)t.bytes / r;
    }
    ta_encoder_close(&t.encoder);
    av_packet_free(&t.pkt);
    ta_chain_free(&chain);
    ta_buf_free(&notes);
    ta_decoder_close(&d);
    ta_input_close(&in);
    return r;
}

static double source_frames(const ta_job *job)
{
    const ta_video_format *v = &job->source.video;
    double rate = v->frame_rate.num > 0 ? av_q2d(v->frame_rate) : 30;
    return job->duration_us > 0 ? (double)job->duration_us / 1e6 * rate : 0;
}

static double audio_bytes(const ta_job *job)
{
    double bytes = 0;
    for (int i = 0; i < job->n_tracks; i++) {
        const ta_track *t = &job->tracks[i];
        double rate = t->copy ? 256000 : t->target.bit_rate ? (double)t->target.bit_rate : 48000 * 16 * 2 * 0.6;
        bytes += rate / 8 * (double)TA_MAX(job->duration_us, 0) / 1e6;
    }
    return bytes;
}

static double frames_at(const ta_job *job, const ta_stage *st)
{
    double rate = av_q2d(st->in.video.frame_rate);
    return TA_MAX((double)job->duration_us, 0) / 1e6 * (rate > 0 ? rate : 30);
}

/* Tiles are measured by one of them. What doesn't change from one picture to the next is not computed again, so this is
 * the most. */
static int estimate_upscale(ta_job *job, ta_error *err)
{
    double seconds = 0;
    char span[32];
    const ta_stage *st = stage_that(job, ta_upscale_is);
    int r = st ? ta_upscale_measure(st, &seconds, err) : 0;
    if (r < 0 || !st)
        return r;
    job->estimate_seconds += seconds * frames_at(job, st);
    ta_log(TA_LOG_INFO, "upscale", "%.2g s a picture: %s for all that differ, if nothing else takes longer", seconds,
           ta_print_span(seconds * frames_at(job, st), span));
    return 0;
}

/* How many faces there are shows later: one a picture is taken. */
static int estimate_faces(ta_job *job, ta_error *err)
{
    double seconds = 0;
    char span[32];
    const ta_stage *st = stage_that(job, ta_face_is);
    int r = st ? ta_face_measure(st, &seconds, err) : 0;
    if (r < 0 || !st)
        return r;
    job->estimate_seconds += seconds * frames_at(job, st);
    ta_log(TA_LOG_INFO, "faces", "%.2g s a face: %s with one face in each picture, if nothing else takes longer",
           seconds, ta_print_span(seconds * frames_at(job, st), span));
    return 0;
}

/* A model takes so much longer than all else that it alone tells how long a job takes. */
static int estimate_models(ta_job *job, bool always, ta_error *err)
{
    double cpu = 0, bytes = 0, frames = source_frames(job);
    job->estimate_seconds = 0;
    int r = estimate_upscale(job, err);
    if (r >= 0)
        r = estimate_faces(job, err);
    if (r < 0)
        return r;
    r = always ? measure(job, &cpu, &bytes, err) : 0;
    job->estimate_bytes += (int64_t)(bytes * frames);
    return r < 0 ? r : 0;
}

int ta_job_plan_estimate(ta_job *job, bool always, ta_error *err)
{
    double cpu = 0, bytes = 0, frames = source_frames(job);
    double rate = job->link_out.video.frame_rate.num > 0 ? av_q2d(job->link_out.video.frame_rate) : 60;
    double pixels = (double)job->link_out.video.width * job->link_out.video.height * rate *
                    (double)TA_MAX(job->duration_us, 0) / 1e6;
    job->estimate_bytes = (int64_t)audio_bytes(job);
    if (job->video < 0 || (!always && !has_model(job) && pixels < surely_short))
        return 0;
    if (has_model(job))
        return estimate_models(job, always, err);
    int r = measure(job, &cpu, &bytes, err);
    if (r < 0)
        return r;
    /* The stages overlap on all CPUs; about a tenth is lost waiting. */
    job->estimate_seconds = cpu * frames / (TA_MIN(ta_cpu_count(), job->encoding.threads + 4) * 0.9);
    job->estimate_bytes += (int64_t)(bytes * frames);
    return 0;
}

int ta_check_space(ta_job *job, ta_error *err)
{
    int r = ta_job_plan_estimate(job, false, err);
    if (r < 0)
        return r;
    if (job->estimate_seconds > 24 * 3600 && !ta_get_bool(job->settings, TA_SET_yes)) {
        char span[32];
        ta_fail(err, TA_ERR_USAGE, "this job is expected to take %s", ta_print_span(job->estimate_seconds, span));
        return ta_hint(err, "say --yes to start it, or choose quality fast, a smaller resolution or a lighter preset");
    }
    int64_t free_bytes = ta_free_space(job->output);
    int64_t need = job->estimate_bytes + ta_get_int(job->settings, TA_SET_reserve);
    if (free_bytes >= 0 && free_bytes < need) {
        char have[24], want[24];
        ta_fail(err, TA_ERR_AGAIN, "too little space for '%s': %s free, about %s needed", job->output,
                ta_print_size(free_bytes, have), ta_print_size(need, want));
        return ta_hint(err, "free some space or name another output with -o (--reserve sets what is kept free)");
    }
    return 0;
}

int ta_job_estimate(ta_job *job, int always, double *seconds, int64_t *bytes, ta_error *err)
{
    ta_error own = { 0 };
    int r = ta_job_plan(job, err ? err : &own);
    if (r >= 0)
        r = ta_job_plan_estimate(job, always, err ? err : &own);
    *seconds = job->estimate_seconds;
    *bytes = job->estimate_bytes;
    return r;
}
