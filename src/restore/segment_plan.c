/* Where a job is cut: by the index and the stages' needs alone, so that each run finds the same places. */
#include "restore/segments.h"

/* Shorter jobs are done in one piece: what would be lost is less than what segments cost. */
static const double shortest = 1.5; /* segments */
/* Without a duration a large file is taken for a long one. */
static const int64_t long_file = 256 << 20;
/* Beyond what the stages ask for: decoders and field matching see neighbours, too. */
enum { SPARE_FRAMES = 2, KEY_FRAMES = 2, MOST_SEGMENTS = 100000 };

bool ta_job_in_segments(const ta_job *job)
{
    double length = ta_get_float(job->settings, TA_SET_segment);
    if (job->video < 0 || length <= 0 || ta_get_bool(job->settings, TA_SET_dry_run))
        return false;
    if (job->duration_us < 0)
        return ta_file_size(job->input) > long_file;
    return (double)job->duration_us / 1e6 > shortest * length;
}

/* The time of the first picture that a decoder shows: a recording may begin with pictures that refer to lost ones. */
static int first_shown(ta_job *job, int64_t *pts, ta_error *err)
{
    ta_input *in = NULL;
    ta_decoder *d = NULL;
    AVFrame *f = av_frame_alloc();
    AVPacket *pkt = av_packet_alloc();
    int r = f && pkt ? ta_input_open_at(&in, job->input, job->in, job->index, 0, job->cancel, err) : ta_no_memory(err);
    if (r >= 0)
        r = ta_decoder_open(&d, ta_input_context(in)->streams[job->video], 1, err);
    bool found = false;
    while (r >= 0 && !found && (r = ta_input_read(in, pkt, err)) >= 0) {
        bool end = r == 0;
        r = ta_decoder_send(d, end ? NULL : pkt, err);
        av_packet_unref(pkt);
        if (r >= 0)
            found = (r = ta_decoder_receive(d, f, err)) > 0;
        if (r == TA_DECODER_END || (end && !found)) {
            r = ta_fail(err, TA_ERR_DATA, "'%s': not one picture could be decoded", job->input);
            ta_hint(err, "the video stream is empty or broken");
        }
    }
    if (found)
        *pts = f->pts != AV_NOPTS_VALUE ? f->pts : ta_index_frame_pts(job->index, 0);
    av_frame_free(&f);
    av_packet_free(&pkt);
    ta_decoder_close(&d);
    ta_input_close(&in);
    return r < 0 ? r : 0;
}

/* The first frame at or behind a time of the source; half a millisecond absorbs rounded time stamps. */
static int64_t frame_from(const ta_job *job, int64_t us)
{
    int64_t pts = av_rescale_q_rnd(us - 500, AV_TIME_BASE_Q, ta_index_time_base(job->index), AV_ROUND_UP);
    return ta_index_frame_at(job->index, pts - 1) + 1;
}

int ta_job_weigh_by_index(ta_job *job, ta_error *err)
{
    if (job->weight)
        return 0;
    job->weights = (int)TA_CLAMP(job->duration_us / 1000000 + 1, 1, 7 * 24 * 3600);
    job->weight = ta_array((size_t)job->weights, sizeof *job->weight);
    if (!job->weight)
        return ta_no_memory(err);
    int64_t frame = frame_from(job, job->zero_us);
    for (int i = 0; i < job->weights; i++) {
        int64_t next = frame_from(job, job->zero_us + (i + 1) * INT64_C(1000000));
        if (next > frame)
            atomic_store(&job->weight[i], (uint32_t)TA_MIN(ta_index_bytes(job->index, frame, next), UINT32_MAX));
        frame = TA_MAX(frame, next);
    }
    atomic_store(&job->weighed, true);
    return 0;
}

typedef struct cutter {
    const ta_job *job;
    int64_t base;       /* frame from which phases are counted */
    int64_t first, end; /* what the job keeps */
    int behind, ahead, phase;
} cutter;

static int64_t pts_of(const cutter *c, int64_t frame)
{
    return ta_index_frame_pts(c->job->index, frame);
}

/* The last place at or before `frame` where the stages may be cut. */
static int64_t in_phase(const cutter *c, int64_t frame)
{
    int64_t off = (frame - c->base) % c->phase;
    return frame - (off < 0 ? off + c->phase : off);
}

static void make_segment(const cutter *c, ta_segment *s, int number, int64_t first, int64_t end)
{
    const ta_job *job = c->job;
    int64_t frames = ta_index_frames(job->index);
    int64_t lead = TA_MAX(in_phase(c, first - c->behind), 0), tail = end + c->ahead;
    AVRational rate = job->encoding.frame_rate;
    bool at_start = first == c->first && job->start_us <= ta_input_start_us(job->in);
    *s = (ta_segment){
        .number = number,
        .first = first,
        .end = end,
        .first_pts = first == c->first ? INT64_MIN : pts_of(c, first),
        .end_pts = end < frames ? pts_of(c, end) : INT64_MAX,
        .lead_pts = at_start ? INT64_MIN : pts_of(c, lead),
        .tail_pts = tail < frames ? pts_of(c, tail) : INT64_MAX,
        .packet = at_start ? 0 : ta_index_key_before(job->index, lead, KEY_FRAMES),
    };
    s->from = at_start
                  ? INT64_MIN
                  : ta_picture_bound(&job->chain, &job->link_in, &job->link_out, rate, job->origin, pts_of(c, first));
    s->to = end < frames
                ? ta_picture_bound(&job->chain, &job->link_in, &job->link_out, rate, job->origin, pts_of(c, end))
                : INT64_MAX;
}

/* The frame of the next cut, or the end when what would be left is short. */
static int64_t next_cut(const cutter *c, int64_t first, int number)
{
    double length = ta_get_float(c->job->settings, TA_SET_segment) * 1e6;
    AVRational tb = ta_index_time_base(c->job->index);
    int64_t begin = av_rescale_q(pts_of(c, c->first), tb, AV_TIME_BASE_Q);
    int64_t at = frame_from(c->job, begin + (int64_t)(length * (number + 1)));
    int64_t rest = frame_from(c->job, begin + (int64_t)(length * (number + 1.5)));
    at = in_phase(c, at);
    return rest >= c->end || at <= first ? c->end : at;
}

static int add_segment(ta_job *job, const ta_segment *s, ta_error *err)
{
    if (job->n_segments == MOST_SEGMENTS) {
        ta_fail(err, TA_ERR_USAGE, "this job would have more than %d segments", MOST_SEGMENTS);
        return ta_hint(err, "choose a larger --segment");
    }
    ta_segment *grown = ta_resize(job->segments, (size_t)job->n_segments + 1, sizeof *grown);
    if (!grown)
        return ta_no_memory(err);
    job->segments = grown;
    job->segments[job->n_segments++] = *s;
    return 0;
}

int ta_segments_plan(ta_job *job, ta_error *err)
{
    int64_t shown = 0;
    cutter c = { .job = job };
    int r = first_shown(job, &shown, err);
    if (r < 0)
        return r;
    ta_picture_reach(&job->chain, &job->link_in, &c.behind, &c.ahead, &c.phase);
    c.behind += SPARE_FRAMES;
    c.ahead += SPARE_FRAMES;
    c.base = TA_MAX(ta_index_frame_at(job->index, shown), 0);
    c.first = TA_MAX(frame_from(job, job->start_us), c.base);
    c.end = job->end_us == INT64_MAX ? ta_index_frames(job->index) : frame_from(job, job->end_us);
    if (c.end <= c.first) {
        ta_fail(err, TA_ERR_DATA, "'%s': there is no picture between --start and --end", job->input);
        return ta_hint(err, "choose other times");
    }
    job->origin = pts_of(&c, c.first);
    job->n_segments = 0;
    for (int64_t at = c.first; at < c.end && r >= 0;) {
        ta_segment s;
        int64_t end = next_cut(&c, at, job->n_segments);
        make_segment(&c, &s, job->n_segments, at, end);
        r = add_segment(job, &s, err);
        at = end;
    }
    return r;
}
