/* The join: the segments' packets in one row, nothing encoded again. */
#include "restore/packet_file.h"
#include "restore/segments.h"

typedef struct join {
    ta_job *job;
    ta_edge *out;
    int64_t last_dts;
} join;

/* ---- Facts
 * ------------------------------------------------------------------------------------------------------------- */

static void add_counts(ta_picture_counts *sum, const ta_picture_counts *more)
{
    sum->shown_twice += more->shown_twice;
    sum->dropped += more->dropped;
    sum->gaps += more->gaps;
    sum->captions_in += more->captions_in;
    sum->captions_out += more->captions_out;
}

static bool same_stream(const ta_stream_facts *a, const ta_stream_facts *b)
{
    const AVCodecParameters *p = a->par, *q = b->par;
    return p->codec_id == q->codec_id && p->width == q->width && p->height == q->height && p->format == q->format &&
           p->extradata_size == q->extradata_size &&
           (!p->extradata_size || memcmp(p->extradata, q->extradata, (size_t)p->extradata_size) == 0) &&
           av_cmp_q(a->time_base, b->time_base) == 0;
}

/* Takes over the facts of the next segment in order. */
static int take_segment(ta_job *job, ta_segment_done *d, int number, ta_error *err)
{
    const ta_stretch_result *r = &d->result;
    job->decode_errors += r->decode_errors;
    atomic_fetch_add(&job->frames_in, r->frames_in);
    atomic_fetch_add(&job->frames_out, r->frames_out);
    add_counts(&job->counts, &d->counts);
    if (!d->stream.par)
        return 0;
    if (!job->join_stream.par) {
        job->join_stream = d->stream;
        d->stream.par = NULL;
        job->first_out_us = r->first_us;
        memcpy(job->timecode, r->timecode, sizeof job->timecode);
    } else if (!same_stream(&job->join_stream, &d->stream)) {
        ta_fail(err, TA_ERR_SOFTWARE, "segment %d was encoded otherwise than those before it and can't be joined",
                number);
        return ta_hint(err, "run again with --restart, on one kind of machine and with one version of the program");
    }
    job->last_out_us = r->last_us;
    return 0;
}

static void forget(ta_job *job)
{
    avcodec_parameters_free(&job->join_stream.par);
    job->decode_errors = 0;
    atomic_store(&job->frames_in, 0);
    atomic_store(&job->frames_out, 0);
    job->counts = (ta_picture_counts){ 0 };
}

int ta_segments_collect(ta_job *job, ta_error *err)
{
    int missing = 0, r = 0;
    forget(job);
    for (int i = 0; i < job->n_segments && r >= 0; i++) {
        ta_segment_done d = { 0 };
        r = ta_segment_check(job, i, job->cancel, &d, err);
        missing += r == 0;
        if (r > 0)
            r = take_segment(job, &d, i, err);
        ta_segment_done_free(&d);
    }
    if (r < 0)
        return r;
    if (missing) {
        ta_fail(err, TA_ERR_AGAIN, "%d of %d segments are not done", missing, job->n_segments);
        return ta_hint(err, "make them with `terminalai run-segment`, then finish again");
    }
    if (job->join_stream.par)
        return 0;
    ta_fail(err, TA_ERR_DATA, "'%s': not one picture could be decoded", job->input);
    return ta_hint(err, "the video stream is empty or broken, or --start and --end leave nothing");
}

/* ---- Packets
 * ------------------------------------------------------------------------------------------------------------ */

/* Encoders begin their decoding times by how far they reorder; where frames' distances vary these may overlap the end
 * of the segment before by a little. */
static int put_in_row(join *j, AVPacket *pkt, int number, ta_error *err)
{
    if (j->last_dts != INT64_MIN && pkt->dts <= j->last_dts)
        pkt->dts = j->last_dts + 1;
    if (pkt->pts < pkt->dts)
        return ta_fail(err, TA_ERR_SOFTWARE, "segment %d begins before the one in front of it ends", number);
    j->last_dts = pkt->dts;
    return 0;
}

static int read_segment(join *j, int number, ta_error *err)
{
    ta_packet_file *f = NULL;
    char *path = ta_segment_path(j->job, number);
    int r = path ? ta_packet_file_open(&f, path, err) : ta_no_memory(err);
    ta_free(path);
    while (r >= 0) {
        AVPacket *pkt = av_packet_alloc();
        r = pkt ? ta_packet_file_read(f, pkt, err) : ta_no_memory(err);
        if (r > 0 && (r = put_in_row(j, pkt, number, err)) >= 0)
            r = 1;
        if (r <= 0) {
            av_packet_free(&pkt);
            break;
        }
        if (ta_edge_push_packet(j->out, pkt) < 0)
            r = ta_fail(err, TA_ERR_CANCELLED, "cancelled");
    }
    ta_packet_file_close(&f);
    return r;
}

static int read_all(void *opaque, ta_error *err)
{
    join *j = opaque;
    int r = 0;
    for (int i = 0; i < j->job->n_segments && r >= 0; i++)
        r = read_segment(j, i, err);
    return r;
}

int ta_join_node(ta_job *job, ta_edge **video, ta_error *err)
{
    join *j = ta_alloc(sizeof *j);
    if (!j)
        return ta_no_memory(err);
    j->job = job;
    j->last_dts = INT64_MIN;
    int r = ta_job_own(job, j, ta_free, err);
    if (r < 0)
        return r;
    job->joined = &job->join_stream;
    j->out = *video = ta_flow_packets(job->flow, 256, 16u << 20);
    return j->out ? ta_flow_add(job->flow, "join", read_all, j, NULL, 0, video, 1, err) : ta_no_memory(err);
}
