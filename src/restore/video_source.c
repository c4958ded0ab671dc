/* The source of a stretch of the picture: demux and decode, from two key frames before what is needed to its end. */
#include <libavutil/timecode.h>

#include "restore/video.h"

/* Pictures this long before the start feed the stages that look back; they are dropped before the encoder. */
static const int64_t lead_us = 2500000;

/* ---- Demux ----------------------------------------------------------------------------------------------------- */

static int push_packet(ta_video_nodes *v, AVPacket *pkt, ta_error *err)
{
    return ta_edge_push_packet(v->packets, pkt) < 0 ? ta_fail(err, TA_ERR_CANCELLED, "cancelled") : 0;
}

static void drop_row(ta_video_nodes *v, int row)
{
    for (int i = 0; i < v->n_held[row]; i++)
        av_packet_free(&v->held[row][i]);
    v->n_held[row] = 0;
}

void ta_video_drop_held(ta_video_nodes *v)
{
    drop_row(v, 0);
    drop_row(v, 1);
}

/* Keeps the packets of the last two groups of pictures, so that decoding starts two key frames before the cut. */
static void hold(ta_video_nodes *v, AVPacket *pkt)
{
    if (pkt->flags & AV_PKT_FLAG_KEY && v->n_held[1] > 0) {
        drop_row(v, 0);
        memcpy(v->held[0], v->held[1], sizeof v->held[0]);
        v->n_held[0] = v->n_held[1];
        v->n_held[1] = 0;
    }
    if (v->n_held[1] < (int)TA_COUNT(v->held[1]))
        v->held[1][v->n_held[1]++] = pkt;
    else
        av_packet_free(&pkt);
}

static int release_held(ta_video_nodes *v, ta_error *err)
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

static int64_t packet_us(const ta_video_nodes *v, const AVPacket *pkt)
{
    int64_t t = pkt->pts != AV_NOPTS_VALUE ? pkt->pts : pkt->dts;
    const AVStream *st = ta_input_context(v->s->in)->streams[v->job->video];
    return t == AV_NOPTS_VALUE ? AV_NOPTS_VALUE : av_rescale_q(t, st->time_base, AV_TIME_BASE_Q);
}

/* Formats with a real index are sought; others are read from the front, which is exact. */
static bool seek_to_start(ta_video_nodes *v, int64_t from_us)
{
    AVFormatContext *ctx = ta_input_context(v->s->in);
    int64_t target = from_us - 2 * lead_us;
    return !(ctx->iformat->flags & AVFMT_TS_DISCONT) && target > 0 &&
           avformat_seek_file(ctx, -1, INT64_MIN, target, target, 0) >= 0;
}

/* A seek that landed behind the wanted place is undone: everything is read from the front. */
static bool landed_late(ta_video_nodes *v, bool *sought, int64_t us, int64_t from)
{
    bool late = *sought && (us == AV_NOPTS_VALUE || us >= from);
    *sought = false;
    if (late)
        avformat_seek_file(ta_input_context(v->s->in), -1, INT64_MIN, INT64_MIN + 1, INT64_MAX, 0);
    return late;
}

/* All of the job's range; where the input has no index its start is looked for. */
static int demux_range(ta_video_nodes *v, ta_error *err)
{
    ta_job *job = v->job;
    int64_t from = job->start_us - lead_us;
    bool cut = job->start_us > ta_input_start_us(v->s->in) + lead_us, released = !cut;
    bool sought = cut && seek_to_start(v, from);
    int r = 0;
    for (;;) {
        AVPacket *pkt = av_packet_alloc();
        if (!pkt)
            return ta_no_memory(err);
        r = ta_input_read(v->s->in, pkt, err);
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

/* No later packet holds a frame before `pts`: what is decoded later is shown later than its decoding time. */
static bool is_behind(const AVPacket *pkt, int64_t pts)
{
    return pkt->dts != AV_NOPTS_VALUE && pkt->dts > pts;
}

/* The input stands at the segment's packet already. */
static int demux_segment(ta_video_nodes *v, ta_error *err)
{
    const ta_segment *seg = v->s->segment;
    for (;;) {
        AVPacket *pkt = av_packet_alloc();
        if (!pkt)
            return ta_no_memory(err);
        int r = ta_input_read(v->s->in, pkt, err);
        if (r <= 0 || is_behind(pkt, seg->tail_pts)) {
            av_packet_free(&pkt);
            return r < 0 ? r : 0;
        }
        if ((r = push_packet(v, pkt, err)) < 0)
            return r;
    }
}

int ta_demux_video(void *opaque, ta_error *err)
{
    ta_video_nodes *v = opaque;
    return v->s->segment ? demux_segment(v, err) : demux_range(v, err);
}

/* ---- Decode ---------------------------------------------------------------------------------------------------- */

/* What the file leaves open is filled in, and what was decided for the whole job is written on each frame. */
static void tag_frame(ta_video_nodes *v, AVFrame *f)
{
    const ta_picture_source *p = &v->job->source;
    AVFormatContext *ctx = ta_input_context(v->s->in);
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

static int64_t frame_length(const ta_video_nodes *v, const AVFrame *f)
{
    const ta_video_format *in = &v->job->link_in.video;
    if (f->pkt_duration > 0)
        return f->pkt_duration;
    return in->frame_rate.num > 0 ? av_rescale_q(1, av_inv_q(in->frame_rate), in->time_base) : 1;
}

static int64_t first_pts(const ta_video_nodes *v)
{
    int64_t start = ta_input_context(v->s->in)->streams[v->job->video]->start_time;
    return start == AV_NOPTS_VALUE ? 0 : start;
}

/* Time must rise; a frame without a time follows its predecessor. */
static bool fix_time(ta_video_nodes *v, AVFrame *f)
{
    if (f->pts == AV_NOPTS_VALUE)
        f->pts = v->last_pts == INT64_MIN ? first_pts(v) : v->last_pts + frame_length(v, f);
    if (v->last_pts != INT64_MIN && f->pts <= v->last_pts)
        return false;
    v->last_pts = f->pts;
    return true;
}

/* Frames that lie wholly before the lead-in or behind the end need not go on. */
static bool wanted(const ta_video_nodes *v, const AVFrame *f)
{
    const ta_job *job = v->job;
    const ta_segment *seg = v->s->segment;
    if (seg)
        return f->pts >= seg->lead_pts && f->pts < seg->tail_pts;
    int64_t us = av_rescale_q(f->pts, job->link_in.video.time_base, AV_TIME_BASE_Q);
    return us >= job->start_us - lead_us && (job->end_us == INT64_MAX || us < job->end_us + lead_us);
}

/* Lead-in and look-ahead are not the segment's own. */
static bool is_inside(const ta_video_nodes *v, const AVFrame *f)
{
    const ta_segment *seg = v->s->segment;
    return !seg || (f->pts >= seg->first_pts && f->pts < seg->end_pts);
}

/* The time code of the first frame kept: read from the groups of pictures (MPEG-2) and counted on between them. */
static void follow_timecode(ta_video_nodes *v, const AVFrame *f)
{
    const AVFrameSideData *sd = av_frame_get_side_data(f, AV_FRAME_DATA_GOP_TIMECODE);
    int64_t us = av_rescale_q(f->pts, v->job->link_in.video.time_base, AV_TIME_BASE_Q);
    char text[AV_TIMECODE_STR_SIZE];
    if (sd && sd->size >= sizeof(int64_t)) {
        memcpy(&v->gop_timecode, sd->data, sizeof v->gop_timecode);
        v->since_timecode = 0;
        v->has_timecode = true;
    }
    if (v->has_timecode && !v->s->result.timecode[0] && us + 500 >= v->job->start_us && is_inside(v, f)) {
        AVTimecode tc;
        av_timecode_make_mpeg_tc_string(text, (uint32_t)v->gop_timecode);
        AVRational rate = v->job->source.video.frame_rate;
        if (av_timecode_init_from_string(&tc, rate, text, NULL) >= 0)
            av_timecode_make_string(&tc, v->s->result.timecode, v->since_timecode);
    }
    v->since_timecode++;
}

static int send_frames(ta_video_nodes *v, ta_error *err)
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
        if (is_inside(v, f)) {
            v->s->result.frames_in++;
            atomic_fetch_add(&v->job->frames_in, 1);
        }
        if (ta_edge_push_frame(v->frames, f) < 0)
            return ta_fail(err, TA_ERR_CANCELLED, "cancelled");
    }
}

static int decode_packet(ta_video_nodes *v, AVPacket *pkt, ta_error *err)
{
    int r;
    while ((r = ta_decoder_send(v->decoder, pkt, err)) == TA_RECEIVE_FIRST)
        if ((r = send_frames(v, err)) < 0)
            return r;
    return r < 0 ? r : send_frames(v, err);
}

int ta_decode_video(void *opaque, ta_error *err)
{
    ta_video_nodes *v = opaque;
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
    v->s->result.decode_errors = ta_decoder_errors(v->decoder);
    return r;
}
