/* One segment from the source to its file of packets. */
#include <unistd.h>

#include "restore/packet_file.h"
#include "restore/segments.h"

typedef struct run {
    ta_job *job;
    ta_stretch stretch;
    ta_picture_counts counts;
    ta_chain chain;
    ta_edge *encoded;
    ta_publish *publish;
    ta_packet_file *file;
    ta_segment_done done;
    ta_cancel *cancel;
} run;

/* ---- Writing ------------------------------------------------------------------------------------------------------
 */

static int write_packets(void *opaque, ta_error *err)
{
    run *u = opaque;
    AVPacket *pkt;
    int r;
    while ((r = ta_edge_pop_packet(u->encoded, &pkt)) > 0) {
        r = u->done.stream.par ? 0 : ta_stream_facts_of(&u->done.stream, atomic_load(&u->stretch.encoder), err);
        if (r >= 0)
            r = ta_packet_file_write(u->file, pkt, err);
        u->done.packets++;
        av_packet_free(&pkt);
        if (r >= 0)
            r = ta_wait_for_space(u->job, u->cancel, err);
        if (r < 0)
            return r;
    }
    return r < 0 ? ta_fail(err, TA_ERR_CANCELLED, "cancelled") : 0;
}

/* ---- Setting up ---------------------------------------------------------------------------------------------------
 */

/* From a quarter of a frame before its own frames, so that rounding of their times does no harm. */
static void set_window(run *u, const ta_segment *s)
{
    const ta_job *job = u->job;
    AVRational tb = job->link_in.video.time_base, rate = job->link_in.video.frame_rate;
    int64_t slack = rate.num > 0 ? av_rescale_q(1, av_inv_q(rate), AV_TIME_BASE_Q) / 4 : 1;
    u->counts.from_us = s->first_pts == INT64_MIN ? INT64_MIN : av_rescale_q(s->first_pts, tb, AV_TIME_BASE_Q) - slack;
    u->counts.to_us = s->end_pts == INT64_MAX ? INT64_MAX : av_rescale_q(s->end_pts, tb, AV_TIME_BASE_Q) - slack;
}

static int plan_chain(run *u, const ta_segment *s, ta_error *err)
{
    ta_job *job = u->job;
    ta_buf notes = { 0 }; /* said once, when the job was planned */
    ta_link out;
    int r = ta_picture_plan(job->settings, &job->source, job->link_out.video.pix_fmt, ta_job_scratch(job),
                            &job->engines, &u->counts, &u->chain, &notes, err);
    ta_buf_free(&notes);
    for (int i = 0; i < u->chain.count && r >= 0; i++)
        u->chain.stages[i]->threads = job->chain.stages[i]->threads;
    if (r >= 0)
        r = ta_chain_configure(&u->chain, &job->link_in, &out, err);
    ta_grid_cuts cuts = { job->origin, s->first_pts, s->end_pts, job->link_in.video.time_base };
    if (r < 0)
        return r;
    ta_picture_cut(&u->chain, &cuts);
    return ta_picture_end_lead(&u->chain, &job->link_in, out.video.time_base, s->from, err);
}

static int open_all(run *u, const ta_segment *s, ta_error *err)
{
    ta_job *job = u->job;
    int r = plan_chain(u, s, err);
    if (r >= 0)
        r = ta_input_open_at(&u->stretch.in, job->input, job->in, job->index, s->packet, u->cancel, err);
    if (r < 0)
        return r;
    set_window(u, s);
    u->stretch.flow = ta_flow_new(u->cancel);
    if (!u->stretch.flow)
        return ta_no_memory(err);
    r = ta_stretch_nodes(&u->stretch, &u->encoded, err);
    return r < 0 ? r : ta_flow_add(u->stretch.flow, "keep", write_packets, u, &u->encoded, 1, NULL, 0, err);
}

/* A name of its own for each process and thread: two that make the same segment don't meet. */
static int open_file(run *u, int number, ta_error *err)
{
    char name[96], host[32] = "";
    gethostname(host, sizeof host - 1);
    snprintf(name, sizeof name, "segment-%05d.%s-%d-%d.part", number, host, (int)getpid(), (int)gettid());
    char *part = ta_job_folder_keep(u->job->folder, name), *path = ta_segment_path(u->job, number);
    int r = part && path ? ta_publish_open_as(&u->publish, path, part, true, err) : ta_no_memory(err);
    if (r >= 0)
        r = ta_packet_file_create(&u->file, part, err);
    ta_free(part);
    ta_free(path);
    return r;
}

/* Packets first, then the marker: each fsync, rename, fsync of the folder. */
static int finish(run *u, int number, ta_error *err)
{
    u->done.result = u->stretch.result;
    u->done.counts = u->counts;
    int r = ta_packet_file_finish(&u->file, u->done.sha256, &u->done.bytes, err);
    ta_segment_done other;
    if (r >= 0 && ta_segment_is_done(u->job, number, &other)) { /* somebody else was faster; theirs stays */
        ta_segment_done_free(&other);
        return 0;
    }
    if (r >= 0)
        r = ta_publish_commit(&u->publish, err);
    return r < 0 ? r : ta_segment_mark(u->job, number, &u->done, err);
}

static void close_all(run *u)
{
    if (u->stretch.flow)
        ta_job_show_flow(u->job, u->stretch.flow, false);
    ta_flow_free(&u->stretch.flow);
    ta_stretch_free_nodes(&u->stretch);
    ta_chain_free(&u->chain);
    ta_input_close(&u->stretch.in);
    ta_packet_file_close(&u->file);
    ta_publish_abort(&u->publish);
    ta_segment_done_free(&u->done);
}

/* The job's counters get what the stretch left out at its end. */
static void account_rest(ta_job *job, run *u, int number)
{
    int64_t length = ta_segment_length_us(job, number);
    atomic_fetch_add(&job->done_us, length - u->stretch.done_us);
    atomic_fetch_add(&job->out_us, length - u->stretch.out_us);
}

static int make(ta_job *job, int number, ta_cancel *cancel, void (*emptying)(void *opaque), void *opaque, ta_error *err)
{
    const ta_segment *s = &job->segments[number];
    run *u = ta_alloc(sizeof *u);
    if (!u)
        return ta_no_memory(err);
    u->job = job;
    u->cancel = cancel;
    u->stretch.job = job;
    u->stretch.segment = s;
    u->stretch.chain = &u->chain;
    u->stretch.counts = &u->counts;
    u->stretch.emptying = emptying;
    u->stretch.opaque = opaque;
    int r = open_file(u, number, err);
    if (r >= 0)
        r = open_all(u, s, err);
    if (r >= 0) {
        ta_job_show_flow(job, u->stretch.flow, true);
        r = ta_flow_run(u->stretch.flow, err);
    }
    if (r >= 0)
        r = finish(u, number, err);
    if (r >= 0)
        account_rest(job, u, number);
    close_all(u);
    ta_free(u);
    return r < 0 && r != TA_ERR_CANCELLED ? ta_wrap(err, "segment %d", number) : r;
}

int ta_segment_run(ta_job *job, int number, ta_cancel *cancel, void (*emptying)(void *opaque), void *opaque,
                   ta_error *err)
{
    ta_segment_done done;
    if (!ta_segment_is_done(job, number, &done))
        return make(job, number, cancel, emptying, opaque, err);
    ta_segment_done_free(&done);
    return 0;
}
