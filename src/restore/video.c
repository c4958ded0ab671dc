/* The video side of a stretch: stages and encoder behind the source, each a node of its own, and how they are joined.
 */
#include "restore/video.h"

/* Bounds of the edges: enough to keep both neighbours busy, little enough that HD frames stay cheap. */
enum { FRAMES = 1, PACKETS = 12 };
static const size_t frame_bytes = 64u << 20, packet_bytes = 8u << 20;
/* What the muxer may hold back while the sound is still being measured. */
static const size_t mux_bytes = 64u << 20;

/* ---- Encode ---------------------------------------------------------------------------------------------------- */

static int open_encoder(ta_video_nodes *v, const AVFrame *first, ta_encoder **e, ta_error *err)
{
    ta_video_encoding encoding = v->job->encoding;
    if (v->s->segment) { /* whole frames are counted from the job's first one in every segment */
        encoding.anchored = true;
        encoding.anchor = av_rescale_q(v->job->origin, v->job->link_in.video.time_base, encoding.time_base);
    }
    int r = ta_encoder_open_video(e, &encoding, first, err);
    if (r >= 0)
        atomic_store(&v->s->encoder, *e);
    return r;
}

/* Adds to a counter of the job what this stretch did since the last time; segments count from their own start. */
static void account(const ta_video_nodes *v, int64_t us, int64_t *mine, _Atomic int64_t *all)
{
    int64_t done = us - v->job->zero_us - ta_stretch_begin_us(v->s);
    if (done <= *mine)
        return;
    atomic_fetch_add(all, done - *mine);
    *mine = done;
}

static int pass_packets(ta_video_nodes *v, ta_encoder *e, ta_error *err)
{
    for (;;) {
        AVPacket *pkt = av_packet_alloc();
        if (!pkt)
            return ta_no_memory(err);
        int r = ta_encoder_receive(e, pkt, err);
        if (r <= 0) {
            av_packet_free(&pkt);
            return r == TA_DECODER_END ? 0 : r;
        }
        account(v, av_rescale_q(pkt->pts, ta_encoder_time_base(e), AV_TIME_BASE_Q), &v->s->out_us, &v->job->out_us);
        if (ta_edge_push_packet(v->encoded, pkt) < 0)
            return ta_fail(err, TA_ERR_CANCELLED, "cancelled");
    }
}

static int encode_frame(ta_video_nodes *v, ta_encoder *e, AVFrame *f, ta_error *err)
{
    int r;
    while ((r = ta_encoder_send(e, f, err)) == TA_RECEIVE_FIRST)
        if ((r = pass_packets(v, e, err)) < 0)
            return r;
    return r < 0 ? r : pass_packets(v, e, err);
}

/* How much a frame's time may be off the in and out points: half a millisecond absorbs rounded time stamps. The points
 * of parts are times of frames, and each frame must be in one part only, so these absorb up to a quarter of a frame. */
static int64_t point_slack(const ta_job *job)
{
    AVRational rate = job->link_out.video.frame_rate;
    if (!job->part)
        return 500;
    return rate.num > 0 ? TA_CLAMP(av_rescale(250000, rate.den, rate.num), 500, 4000) : 2000;
}

static bool inside(const ta_stretch *s, const AVFrame *f, int64_t *us)
{
    const ta_job *job = s->job;
    int64_t slack = point_slack(job);
    *us = av_rescale_q(f->pts, job->link_out.video.time_base, AV_TIME_BASE_Q);
    if (s->segment && (f->pts < s->segment->from || f->pts >= s->segment->to))
        return false;
    return *us + slack >= job->start_us && (job->end_us == INT64_MAX || *us + slack < job->end_us);
}

static void count_frame(ta_video_nodes *v, int64_t us)
{
    ta_stretch_result *r = &v->s->result;
    if (!r->frames_out)
        r->first_us = us - v->job->zero_us;
    r->last_us = us - v->job->zero_us;
    r->frames_out++;
    atomic_fetch_add(&v->job->frames_out, 1);
    account(v, us, &v->s->done_us, &v->job->done_us);
}

/* A segment may hold no frame: a hole in the tape. */
static int fail_empty(const ta_job *job, ta_error *err)
{
    ta_fail(err, TA_ERR_DATA, "'%s': not one picture could be decoded", job->input);
    return ta_hint(err, "the video stream is empty or broken, or --start and --end leave nothing");
}

static int encode_video(void *opaque, ta_error *err)
{
    ta_video_nodes *v = opaque;
    ta_encoder *e = NULL;
    AVFrame *f;
    int r;
    while ((r = ta_edge_pop_frame(v->finished, &f)) > 0) {
        int64_t us;
        r = 0;
        if (inside(v->s, f, &us)) {
            if (!e)
                r = open_encoder(v, f, &e, err);
            if (r >= 0)
                r = encode_frame(v, e, f, err);
            count_frame(v, us);
        }
        av_frame_free(&f);
        if (r < 0)
            return r;
    }
    if (r < 0)
        return ta_fail(err, (ta_status)r, "cancelled");
    if (v->s->emptying)
        v->s->emptying(v->s->opaque);
    if (!e)
        return v->s->segment ? 0 : fail_empty(v->job, err);
    return encode_frame(v, e, NULL, err);
}

/* ---- Setting up ------------------------------------------------------------------------------------------------ */

int ta_stream_facts_of(ta_stream_facts *f, ta_encoder *e, ta_error *err)
{
    AVCodecContext *c = ta_encoder_context(e);
    f->par = avcodec_parameters_alloc();
    if (!f->par || avcodec_parameters_from_context(f->par, c) < 0)
        return ta_no_memory(err);
    f->time_base = ta_encoder_time_base(e);
    f->frame_rate = c->codec_type == AVMEDIA_TYPE_VIDEO ? c->framerate : (AVRational){ 0, 1 };
    return 0;
}

int64_t ta_stretch_begin_us(const ta_stretch *s)
{
    const ta_job *job = s->job;
    if (!s->segment || s->segment->first_pts == INT64_MIN)
        return 0;
    return av_rescale_q(s->segment->first_pts, job->link_in.video.time_base, AV_TIME_BASE_Q) - job->zero_us;
}

void ta_stretch_free_nodes(ta_stretch *s)
{
    ta_video_nodes *v = s->nodes;
    ta_encoder *e = atomic_exchange(&s->encoder, NULL);
    ta_encoder_close(&e);
    if (!v)
        return;
    ta_video_drop_held(v);
    ta_decoder_close(&v->decoder);
    ta_freep(&s->nodes);
}

/* What a stage costs a pixel of its output, roughly, in nanoseconds of one core: measured once with libav 5.1 and AVX2.
 * It only decides about threads. A look-up table includes its two conversions, by way of RGB. */
static double pixel_cost(const ta_stage *st)
{
    static const struct {
        const char *filter;
        double cost;
    } known[] = {
        { "nlmeans", 90 }, { "lut3d", 35 },  { "fieldmatch", 8 }, { "estdif", 8 },   { "cas", 4 },
        { "w3fdif", 3 },   { "yadif", 2 },   { "atadenoise", 4 }, { "hqdn3d", 2.6 }, { "scale", 2 },
        { "bwdif", 1.5 },  { "unsharp", 5 }, { "gradfun", 3 },    { "deband", 6 },   { "eq", 0.2 },
    };
    for (size_t i = 0; i < TA_COUNT(known); i++)
        if (strstr(st->spec, known[i].filter))
            return known[i].cost;
    return 0.05;
}

static double stage_cost(const ta_stage *st)
{
    return pixel_cost(st) * st->out.video.width * st->out.video.height;
}

/* Most stages are one part of many that run side by side; one that outweighs the others gets all CPUs for itself. */
static const double heavy_pixel = 20;

int ta_stage_threads(const ta_job *job, const ta_stage *st)
{
    int asked = (int)ta_get_int(job->settings, TA_SET_threads), all = ta_cpu_count();
    if (asked)
        return asked;
    return pixel_cost(st) >= heavy_pixel ? all : TA_MAX(all / 2, 1);
}

/* Light chains (nanoseconds a pixel) are one thread's work beside an encoder that keeps all CPUs busy. */
static const double light_chain = 10;

/* Neighbours share a thread until it has its part of the work: as many threads as there are CPUs, as each more costs
 * frames in flight. The one place where this is decided. */
static int stages_in_group(const ta_chain *c, int first, double part)
{
    double cost = stage_cost(c->stages[first]);
    int n = 1;
    for (; first + n < c->count; n++) {
        double next = stage_cost(c->stages[first + n]);
        if (cost + next / 2 > part)
            break;
        cost += next;
    }
    return n;
}

static int add_stages(ta_video_nodes *v, ta_error *err)
{
    const ta_chain *chain = v->s->chain;
    ta_edge *from = v->frames;
    double total = 0;
    for (int i = 0; i < chain->count; i++)
        total += stage_cost(chain->stages[i]);
    double pixels = (double)v->job->link_out.video.width * v->job->link_out.video.height;
    int threads = total < light_chain * pixels ? 1 : TA_MAX(ta_cpu_count(), 2);
    double part = total / threads;
    for (int i = 0, n; i < chain->count; i += n) {
        n = stages_in_group(chain, i, part);
        ta_edge *to = ta_flow_frames(v->s->flow, FRAMES, frame_bytes);
        int r = to ? ta_flow_add_stages(v->s->flow, chain->stages + i, n, from, to, err) : ta_no_memory(err);
        if (r < 0)
            return r;
        from = to;
    }
    v->finished = from;
    return 0;
}

/* SD tape formats decode in a twentieth of what the encoder takes: one thread, and no frames held by others. */
static int decoder_threads(const ta_job *job, const AVStream *st)
{
    int asked = (int)ta_get_int(job->settings, TA_SET_threads);
    enum AVCodecID id = st->codecpar->codec_id;
    bool light = id == AV_CODEC_ID_MPEG2VIDEO || id == AV_CODEC_ID_MPEG1VIDEO || id == AV_CODEC_ID_DVVIDEO ||
                 id == AV_CODEC_ID_MJPEG;
    if (asked)
        return asked;
    return light && st->codecpar->width * st->codecpar->height <= 720 * 576 ? 1 : TA_MIN(ta_cpu_count(), 8);
}

static int add_nodes(ta_video_nodes *v, ta_error *err)
{
    ta_flow *flow = v->s->flow;
    int r = ta_flow_add(flow, "demux", ta_demux_video, v, NULL, 0, &v->packets, 1, err);
    if (r >= 0)
        r = ta_flow_add(flow, "decode", ta_decode_video, v, &v->packets, 1, &v->frames, 1, err);
    if (r >= 0)
        r = add_stages(v, err);
    if (r >= 0)
        r = ta_flow_add(flow, "encode", encode_video, v, &v->finished, 1, &v->encoded, 1, err);
    return r;
}

int ta_stretch_nodes(ta_stretch *s, ta_edge **encoded, ta_error *err)
{
    ta_video_nodes *v = s->nodes = ta_alloc(sizeof *v);
    if (!v)
        return ta_no_memory(err);
    v->s = s;
    v->job = s->job;
    v->last_pts = INT64_MIN;
    v->packets = ta_flow_packets(s->flow, PACKETS, packet_bytes);
    v->frames = ta_flow_frames(s->flow, FRAMES, frame_bytes);
    v->encoded = *encoded = ta_flow_packets(s->flow, 1 << 16, mux_bytes);
    if (!v->packets || !v->frames || !v->encoded)
        return ta_no_memory(err);
    ta_input_select(s->in, 1ull << s->job->video);
    const AVStream *st = ta_input_context(s->in)->streams[s->job->video];
    int r = ta_decoder_open(&v->decoder, st, decoder_threads(s->job, st), err);
    return r < 0 ? r : add_nodes(v, err);
}
