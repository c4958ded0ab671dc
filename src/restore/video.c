/* The video side of a running job: demux, decode, stages, encode; each a node of its own. */
#include <libavutil/timecode.h>

#include "restore/internal.h"

/* Bounds of the edges: enough to keep both neighbours busy, little enough that HD frames stay cheap. */
enum { FRAMES = 1, PACKETS = 12 };
static const size_t frame_bytes = 64u << 20, packet_bytes = 8u << 20;
/* What the muxer may hold back while the sound is still being measured. */
static const size_t mux_bytes = 64u << 20;
/* Pictures this long before the start feed the stages that look back; they are dropped before the encoder. */
static const int64_t lead_us = 2500000;

typedef struct video_nodes {
    ta_job *job;
    ta_edge *packets, *frames, *finished, *encoded;
    ta_decoder *decoder;
    int64_t last_pts;
    AVPacket *held[2][512]; /* packets since the last two key frames before the start */
    int n_held[2];
    int64_t gop_timecode; /* the last one seen, as MPEG-2 packs it */
    int since_timecode;   /* frames since then */
    bool has_timecode;
} video_nodes;

/* ---- Demux ----------------------------------------------------------------------------------------------------- */

static int push_packet(video_nodes *v, AVPacket *pkt, ta_error *err)
{
    return ta_edge_push_packet(v->packets, pkt) < 0 ? ta_fail(err, TA_ERR_CANCELLED, "cancelled") : 0;
}

static void drop_held(video_nodes *v, int row)
{
    for (int i = 0; i < v->n_held[row]; i++)
        av_packet_free(&v->held[row][i]);
    v->n_held[row] = 0;
}

/* Keeps the packets of the last two groups of pictures, so that decoding starts two key frames before the cut. */
static void hold(video_nodes *v, AVPacket *pkt)
{
    if (pkt->flags & AV_PKT_FLAG_KEY && v->n_held[1] > 0) {
        drop_held(v, 0);
        memcpy(v->held[0], v->held[1], sizeof v->held[0]);
        v->n_held[0] = v->n_held[1];
        v->n_held[1] = 0;
    }
    if (v->n_held[1] < (int)TA_COUNT(v->held[1]))
        v->held[1][v->n_held[1]++] = pkt;
    else
        av_packet_free(&pkt);
}

static int release_held(video_nodes *v, ta_error *err)
{
    int r = 0;
    for (int row = 0; row < 2; row++) {
        for (int i = 0; i < v->n_held[row]; i++) {
            if (r >= 0)
                r = push_packet(v, v->held[row][i], err);
            else
                av_packet_free(&v->held[row][i]);
            v->held[row][i] = NULL;
        }
        v->n_held[row] = 0;
    }
    return r;
}

static int64_t packet_us(const video_nodes *v, const AVPacket *pkt)
{
    int64_t t = pkt->pts != AV_NOPTS_VALUE ? pkt->pts : pkt->dts;
    const AVStream *st = ta_input_context(v->job->in)->streams[v->job->video];
    return t == AV_NOPTS_VALUE ? AV_NOPTS_VALUE : av_rescale_q(t, st->time_base, AV_TIME_BASE_Q);
}

/* Formats with a real index are sought; others are read from the front, which is exact. */
static bool seek_to_start(video_nodes *v, int64_t from_us)
{
    AVFormatContext *ctx = ta_input_context(v->job->in);
    int64_t target = from_us - 2 * lead_us;
    return !(ctx->iformat->flags & AVFMT_TS_DISCONT) && target > 0 &&
           avformat_seek_file(ctx, -1, INT64_MIN, target, target, 0) >= 0;
}

/* A seek that landed behind the wanted place is undone: everything is read from the front. */
static bool landed_late(video_nodes *v, bool *sought, int64_t us, int64_t from)
{
    bool late = *sought && (us == AV_NOPTS_VALUE || us >= from);
    *sought = false;
    if (late)
        avformat_seek_file(ta_input_context(v->job->in), -1, INT64_MIN, INT64_MIN + 1, INT64_MAX, 0);
    return late;
}

static int demux_video(void *opaque, ta_error *err)
{
    video_nodes *v = opaque;
    ta_job *job = v->job;
    int64_t from = job->start_us - lead_us;
    bool cut = job->start_us > ta_input_start_us(job->in) + lead_us, released = !cut;
    bool sought = cut && seek_to_start(v, from);
    int r = 0;
    for (;;) {
        AVPacket *pkt = av_packet_alloc();
        if (!pkt)
            return ta_no_memory(err);
        r = ta_input_read(job->in, pkt, err);
        if (r <= 0) {
            av_packet_free(&pkt);
            break;
        }
        int64_t us = packet_us(v, pkt);
        if (landed_late(v, &sought, us, from)) {
            av_packet_free(&pkt);
            continue;
        }
        if (!released && (us == AV_NOPTS_VALUE || us < from)) {
            hold(v, pkt);
            continue;
        }
        if (!released && (r = release_held(v, err)) < 0) {
            av_packet_free(&pkt);
            return r;
        }
        released = true;
        /* Some pictures behind the end feed the stages that look ahead. */
        bool done = us != AV_NOPTS_VALUE && job->end_us != INT64_MAX && us > job->end_us + lead_us;
        if (done) {
            av_packet_free(&pkt);
            break;
        }
        if ((r = push_packet(v, pkt, err)) < 0)
            return r;
    }
    return r < 0 ? r : released ? 0 : release_held(v, err);
}

/* ---- Decode ---------------------------------------------------------------------------------------------------- */

/* What the file leaves open is filled in, and what was decided for the whole job is written on each frame. */
static void tag_frame(video_nodes *v, AVFrame *f)
{
    const ta_picture_source *p = &v->job->source;
    AVFormatContext *ctx = ta_input_context(v->job->in);
    AVStream *st = ctx->streams[v->job->video];
    f->sample_aspect_ratio = av_guess_sample_aspect_ratio(ctx, st, f);
    bool forced = !ta_get_is(v->job->settings, TA_SET_colour_space, "auto");
    if (forced || f->colorspace == AVCOL_SPC_UNSPECIFIED)
        f->colorspace = p->video.matrix;
    if (forced || f->color_primaries == AVCOL_PRI_UNSPECIFIED)
        f->color_primaries = p->video.primaries;
    if (forced || f->color_trc == AVCOL_TRC_UNSPECIFIED)
        f->color_trc = p->video.transfer;
    if (f->color_range == AVCOL_RANGE_UNSPECIFIED || !ta_get_is(v->job->settings, TA_SET_colour_range, "auto"))
        f->color_range = p->video.range;
    if (p->scan == TA_SCAN_PROGRESSIVE) {
        f->interlaced_frame = 0;
    } else if (p->scan == TA_SCAN_INTERLACED || p->scan == TA_SCAN_HARD_TELECINE) {
        f->interlaced_frame = 1;
        f->top_field_first = p->order != TA_FIELDS_BFF;
    } else if (f->interlaced_frame) {
        f->top_field_first = p->order != TA_FIELDS_BFF;
    }
}

static int64_t frame_length(const video_nodes *v, const AVFrame *f)
{
    const ta_video_format *in = &v->job->link_in.video;
    if (f->pkt_duration > 0)
        return f->pkt_duration;
    return in->frame_rate.num > 0 ? av_rescale_q(1, av_inv_q(in->frame_rate), in->time_base) : 1;
}

static int64_t first_pts(const video_nodes *v)
{
    int64_t start = ta_input_context(v->job->in)->streams[v->job->video]->start_time;
    return start == AV_NOPTS_VALUE ? 0 : start;
}

/* Time must rise; a frame without a time follows its predecessor. */
static bool fix_time(video_nodes *v, AVFrame *f)
{
    if (f->pts == AV_NOPTS_VALUE)
        f->pts = v->last_pts == INT64_MIN ? first_pts(v) : v->last_pts + frame_length(v, f);
    if (v->last_pts != INT64_MIN && f->pts <= v->last_pts)
        return false;
    v->last_pts = f->pts;
    return true;
}

/* Frames that lie wholly before the lead-in or behind the end need not go on. */
static bool wanted(const video_nodes *v, const AVFrame *f)
{
    const ta_job *job = v->job;
    int64_t us = av_rescale_q(f->pts, job->link_in.video.time_base, AV_TIME_BASE_Q);
    return us >= job->start_us - lead_us && (job->end_us == INT64_MAX || us < job->end_us + lead_us);
}

/* The time code of the first frame kept: read from the groups of pictures (MPEG-2) and counted on between them. */
static void follow_timecode(video_nodes *v, const AVFrame *f)
{
    const AVFrameSideData *sd = av_frame_get_side_data(f, AV_FRAME_DATA_GOP_TIMECODE);
    int64_t us = av_rescale_q(f->pts, v->job->link_in.video.time_base, AV_TIME_BASE_Q);
    char text[AV_TIMECODE_STR_SIZE];
    if (sd && sd->size >= sizeof(int64_t)) {
        memcpy(&v->gop_timecode, sd->data, sizeof v->gop_timecode);
        v->since_timecode = 0;
        v->has_timecode = true;
    }
    if (v->has_timecode && !v->job->timecode[0] && us + 500 >= v->job->start_us) {
        AVTimecode tc;
        av_timecode_make_mpeg_tc_string(text, (uint32_t)v->gop_timecode);
        AVRational rate = v->job->source.video.frame_rate;
        if (av_timecode_init_from_string(&tc, rate, text, NULL) >= 0)
            av_timecode_make_string(&tc, v->job->timecode, v->since_timecode);
    }
    v->since_timecode++;
}

static int send_frames(video_nodes *v, ta_error *err)
{
    for (;;) {
        AVFrame *f = av_frame_alloc();
        if (!f)
            return ta_no_memory(err);
        int r = ta_decoder_receive(v->decoder, f, err);
        if (r <= 0) {
            av_frame_free(&f);
            return r == TA_DECODER_END ? 0 : r;
        }
        if (!fix_time(v, f) || !wanted(v, f)) {
            av_frame_free(&f);
            continue;
        }
        tag_frame(v, f);
        follow_timecode(v, f);
        atomic_fetch_add(&v->job->frames_in, 1);
        if (ta_edge_push_frame(v->frames, f) < 0)
            return ta_fail(err, TA_ERR_CANCELLED, "cancelled");
    }
}

static int decode_packet(video_nodes *v, AVPacket *pkt, ta_error *err)
{
    int r;
    while ((r = ta_decoder_send(v->decoder, pkt, err)) == TA_RECEIVE_FIRST)
        if ((r = send_frames(v, err)) < 0)
            return r;
    return r < 0 ? r : send_frames(v, err);
}

static int decode_video(void *opaque, ta_error *err)
{
    video_nodes *v = opaque;
    AVPacket *pkt;
    int r;
    while ((r = ta_edge_pop_packet(v->packets, &pkt)) > 0) {
        r = decode_packet(v, pkt, err);
        av_packet_free(&pkt);
        if (r < 0)
            return r;
    }
    if (r < 0)
        return ta_fail(err, (ta_status)r, "cancelled");
    r = decode_packet(v, NULL, err);
    atomic_store(&v->job->decode_errors, ta_decoder_errors(v->decoder));
    return r;
}

/* ---- Encode ---------------------------------------------------------------------------------------------------- */

static int open_encoder(video_nodes *v, const AVFrame *first, ta_encoder **e, ta_error *err)
{
    int r = ta_encoder_open_video(e, &v->job->encoding, first, err);
    if (r >= 0)
        atomic_store(&v->job->video_encoder, *e);
    return r;
}

static int pass_packets(video_nodes *v, ta_encoder *e, ta_error *err)
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
        int64_t us = av_rescale_q(pkt->pts, ta_encoder_time_base(e), AV_TIME_BASE_Q) - v->job->zero_us;
        if (us > atomic_load(&v->job->out_us))
            atomic_store(&v->job->out_us, us);
        if (ta_edge_push_packet(v->encoded, pkt) < 0)
            return ta_fail(err, TA_ERR_CANCELLED, "cancelled");
    }
}

static int encode_frame(video_nodes *v, ta_encoder *e, AVFrame *f, ta_error *err)
{
    int r;
    while ((r = ta_encoder_send(e, f, err)) == TA_RECEIVE_FIRST)
        if ((r = pass_packets(v, e, err)) < 0)
            return r;
    return r < 0 ? r : pass_packets(v, e, err);
}

/* In and out points, exact to the frame: half a millisecond absorbs rounded time stamps. */
static bool inside(const ta_job *job, const AVFrame *f, int64_t *us)
{
    *us = av_rescale_q(f->pts, job->link_out.video.time_base, AV_TIME_BASE_Q);
    return *us + 500 >= job->start_us && (job->end_us == INT64_MAX || *us + 500 < job->end_us);
}

static int encode_video(void *opaque, ta_error *err)
{
    video_nodes *v = opaque;
    ta_job *job = v->job;
    ta_encoder *e = NULL;
    AVFrame *f;
    int r;
    while ((r = ta_edge_pop_frame(v->finished, &f)) > 0) {
        int64_t us;
        r = 0;
        if (inside(job, f, &us)) {
            if (!e) {
                r = open_encoder(v, f, &e, err);
                job->first_out_us = us - job->zero_us;
            }
            if (r >= 0)
                r = encode_frame(v, e, f, err);
            atomic_fetch_add(&job->frames_out, 1);
            atomic_store(&job->done_us, us - job->zero_us);
        }
        av_frame_free(&f);
        if (r < 0)
            return r;
    }
    if (r < 0)
        return ta_fail(err, (ta_status)r, "cancelled");
    if (!e) {
        ta_fail(err, TA_ERR_DATA, "'%s': not one picture could be decoded", job->input);
        return ta_hint(err, "the video stream is empty or broken, or --start and --end leave nothing");
    }
    return encode_frame(v, e, NULL, err);
}

/* ---- Setting up ------------------------------------------------------------------------------------------------ */

static void free_video(void *p)
{
    video_nodes *v = p;
    drop_held(v, 0);
    drop_held(v, 1);
    ta_decoder_close(&v->decoder);
    ta_encoder *e = atomic_exchange(&v->job->video_encoder, NULL);
    ta_encoder_close(&e);
    ta_free(v);
}

/* What a stage costs a pixel of its output, roughly, in nanoseconds of one core: measured once with libav 5.1 and AVX2. It
 * only decides which stages share a thread. */
static double stage_cost(const ta_stage *st)
{
    static const struct {
        const char *filter;
        double cost;
    } known[] = {
        { "nlmeans", 90 }, { "fieldmatch", 8 }, { "estdif", 8 }, { "cas", 4 },    { "w3fdif", 3 },  { "yadif", 2 },
        { "atadenoise", 4 }, { "hqdn3d", 2.6 }, { "scale", 2 },  { "bwdif", 1.5 }, { "unsharp", 5 }, { "lut3d", 9 },
        { "gradfun", 3 },  { "deband", 6 },     { "eq", 0.2 },
    };
    double pixels = (double)st->out.video.width * st->out.video.height;
    for (size_t i = 0; i < TA_COUNT(known); i++)
        if (strstr(st->spec, known[i].filter))
            return known[i].cost * pixels;
    return 0.05 * pixels;
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

static int add_stages(video_nodes *v, ta_error *err)
{
    ta_job *job = v->job;
    ta_edge *from = v->frames;
    double total = 0;
    for (int i = 0; i < job->chain.count; i++)
        total += stage_cost(job->chain.stages[i]);
    double pixels = (double)job->link_out.video.width * job->link_out.video.height;
    int threads = total < light_chain * pixels ? 1 : TA_MAX(ta_cpu_count(), 2);
    double part = total / threads;
    for (int i = 0, n; i < job->chain.count; i += n) {
        n = stages_in_group(&job->chain, i, part);
        ta_edge *to = ta_flow_frames(job->flow, FRAMES, frame_bytes);
        int r = to ? ta_flow_add_stages(job->flow, job->chain.stages + i, n, from, to, err) : ta_no_memory(err);
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

int ta_video_nodes(ta_job *job, ta_edge **packets, ta_error *err)
{
    video_nodes *v = ta_alloc(sizeof *v);
    if (!v)
        return ta_no_memory(err);
    v->job = job;
    v->last_pts = INT64_MIN;
    int r = ta_job_own(job, v, free_video, err);
    if (r < 0)
        return r;
    v->packets = ta_flow_packets(job->flow, PACKETS, packet_bytes);
    v->frames = ta_flow_frames(job->flow, FRAMES, frame_bytes);
    v->encoded = ta_flow_packets(job->flow, 1 << 16, mux_bytes);
    if (!v->packets || !v->frames || !v->encoded)
        return ta_no_memory(err);
    ta_input_select(job->in, 1ull << job->video);
    const AVStream *st = ta_input_context(job->in)->streams[job->video];
    r = ta_decoder_open(&v->decoder, st, decoder_threads(job, st), err);
    if (r >= 0)
        r = ta_flow_add(job->flow, "demux", demux_video, v, NULL, 0, &v->packets, 1, err);
    if (r >= 0)
        r = ta_flow_add(job->flow, "decode", decode_video, v, &v->packets, 1, &v->frames, 1, err);
    if (r >= 0)
        r = add_stages(v, err);
    if (r >= 0)
        r = ta_flow_add(job->flow, "encode", encode_video, v, &v->finished, 1, &v->encoded, 1, err);
    *packets = v->encoded;
    return r;
}
