/* The plan: what the input is, what will be done to it, and where it goes. Nothing is written here. */
#include <stdlib.h>

#include "restore/internal.h"

void ta_job_note(ta_job *job, const char *fmt, ...)
{
    char line[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    ta_buf_addf(&job->notes, "%s\n", line);
    ta_log(TA_LOG_WARN, "restore", "%s", line);
}

/* The true frame rate of field or frame material; libav's guess is the field rate for some interlaced streams. */
static void settle_rate(ta_job *job)
{
    ta_video_format *v = &job->source.video;
    const AVStream *st = ta_input_context(job->in)->streams[job->video];
    if (job->scan.scan == TA_SCAN_PROGRESSIVE)
        return;
    AVRational avg = st->avg_frame_rate;
    if (avg.num > 0 && av_cmp_q(v->frame_rate, av_mul_q(avg, (AVRational){ 3, 2 })) > 0)
        v->frame_rate = avg;
}

static void note_colour(ta_job *job)
{
    char text[128] = "";
    if (ta_guess_colour(&job->source.video, text))
        ta_job_note(job, "%s (--colour-space sets it)", text);
}

static int look_at_video(ta_job *job, ta_error *err)
{
    ta_picture_source *p = &job->source;
    ta_input_video_format(job->in, job->video, &p->video);
    if (p->video.width <= 0 || p->video.height <= 0 || p->video.pix_fmt == AV_PIX_FMT_NONE) {
        ta_fail(err, TA_ERR_DATA, "'%s': the video stream can't be decoded (no picture found)", job->input);
        return ta_hint(err, "the file may be cut off or of a codec that this libav lacks; try `ffprobe` on it");
    }
    int r = job->scan_known ? 0 : ta_scan_file(job->input, job->in, job->video, job->cancel, &job->scan, err);
    if (r < 0)
        return r;
    p->rotation = ta_input_rotation(job->in, job->video);
    p->scan = job->scan.scan;
    p->order = job->scan.order;
    p->vfr = job->scan.vfr;
    memcpy(p->crop, job->scan.crop, sizeof p->crop);
    ta_picture_declare_fields(job->settings, p);
    settle_rate(job);
    ta_picture_declare(job->settings, &job->source.video);
    note_colour(job);
    if (job->scan.reason[0])
        ta_log(TA_LOG_INFO, "scan", "%s", job->scan.reason);
    return 0;
}

static int plan_range(ta_job *job, ta_error *err)
{
    int64_t first = ta_input_start_us(job->in), length = ta_input_duration_us(job->in);
    int64_t start = ta_get_int(job->settings, TA_SET_start), end = ta_get_int(job->settings, TA_SET_end);
    if (start > 0 && length > 0 && start >= length && !job->part) {
        char from[24], all[24];
        ta_fail(err, TA_ERR_USAGE, "--start %s is behind the end of '%s' (%s)", ta_print_time(start, from), job->input,
                ta_print_time(length, all));
        return ta_hint(err, "choose an earlier start");
    }
    job->start_us = first + TA_MAX(start, 0);
    job->end_us = end >= 0 ? first + end : INT64_MAX;
    job->zero_us = job->start_us;
    int64_t last = length > 0 ? TA_MIN(first + length, job->end_us) : job->end_us;
    job->duration_us = last == INT64_MAX ? -1 : last - job->start_us;
    return 0;
}

static void link_of_source(ta_job *job)
{
    ta_video_format v = job->source.video;
    v.time_base = ta_input_context(job->in)->streams[job->video]->time_base;
    v.fields = job->source.order;
    job->link_in = (ta_link){ .type = AVMEDIA_TYPE_VIDEO, .video = v };
}

const char *ta_job_scratch(const ta_job *job)
{
    const char *work = ta_get_text(job->settings, TA_SET_work_dir), *temp = getenv("TMPDIR");
    return work[0] ? work : temp && temp[0] ? temp : "/tmp";
}

/* The neural engines of a job, for its plan and for each of its segments. Nothing is loaded before it is wanted. */
static int set_engines(ta_job *job, ta_error *err)
{
    int r = job->models ? 0 : ta_upscale_models_new(&job->models, job->cancel, err);
    if (r >= 0 && !job->face_models)
        r = ta_face_models_new(&job->face_models, job->cancel, err);
    job->engines = (ta_picture_engines){ .opaque = job->models,
                                         .takes = ta_rgb_takes,
                                         .factor = ta_upscale_factor,
                                         .stage = ta_upscale_stage_new,
                                         .faces = job->face_models,
                                         .face_stage = ta_face_stage_new,
                                         .face_reach = TA_FACE_REACH };
    return r;
}

static int plan_picture(ta_job *job, ta_error *err)
{
    ta_buf notes = { 0 };
    enum AVPixelFormat fmt = ta_job_plan_pix_fmt(job, err);
    if (fmt == AV_PIX_FMT_NONE)
        return err->code;
    int r = set_engines(job, err);
    if (r >= 0)
        r = ta_picture_plan(job->settings, &job->source, fmt, ta_job_scratch(job), &job->engines, &job->counts,
                            &job->chain, &notes, err);
    if (r >= 0 && notes.data)
        for (char *line = notes.data, *next; line && *line; line = next) {
            next = strchr(line, '\n');
            if (next)
                *next++ = '\0';
            ta_job_note(job, "%s", line);
        }
    ta_buf_free(&notes);
    if (r < 0)
        return r;
    link_of_source(job);
    for (int i = 0; i < job->chain.count; i++)
        job->chain.stages[i]->threads = ta_stage_threads(job, job->chain.stages[i]);
    return ta_chain_configure(&job->chain, &job->link_in, &job->link_out, err);
}

/* A job is one output. Who can make several takes the setting apart (split.c); nobody may overlook it. */
static int check_one_output(const ta_job *job, ta_error *err)
{
    if (!ta_get_text(job->settings, TA_SET_split)[0] || job->part || job->scan_known)
        return 0;
    ta_fail(err, TA_ERR_USAGE, "split makes several outputs, and here only one can be made");
    return ta_hint(err, "`terminalai restore INPUT --split ...` makes all parts");
}

static int plan_all(ta_job *job, ta_error *err)
{
    int r = check_one_output(job, err);
    if (r < 0)
        return r;
    r = ta_input_open(&job->in, job->input, job->cancel, err);
    if (r < 0)
        return r;
    job->video = ta_input_video(job->in);
    r = ta_container_choose(job->settings, job->output_arg, &job->container, err);
    if (r >= 0)
        r = plan_range(job, err);
    if (r >= 0 && job->video >= 0)
        r = look_at_video(job, err);
    if (r >= 0 && job->video >= 0)
        r = plan_picture(job, err);
    if (r >= 0 && job->video >= 0)
        r = ta_job_plan_encoding(job, err);
    if (r >= 0)
        r = ta_job_plan_audio(job, err);
    if (r >= 0)
        r = ta_job_plan_output(job, err);
    return r;
}

int ta_job_plan(ta_job *job, ta_error *err)
{
    ta_error own = { 0 };
    err = err ? err : &own;
    if (job->planned)
        return 0;
    int r = plan_all(job, err);
    job->planned = r >= 0;
    return r;
}
