/* The muxer's node: takes encoded video, encoded sound and copied packets in the order of their decoding time, and
 * writes them to the temporary file. It waits for the head of every stream that will have one, so its own memory is
 * bounded by the edges before it. */
#include <libavutil/mastering_display_metadata.h>

#include "restore/internal.h"

typedef struct mux_source {
    ta_edge *edge; /* NULL: the spool of copied packets */
    int64_t pos;   /* in the spool */
    AVPacket *head;
    bool ended;
    ta_track *track; /* NULL: video or the spool */
    AVRational base; /* of the head's times */
    AVStream *out;
    int64_t zero;     /* in `base`, taken off each time */
    int64_t shift_us; /* put on each time */
} mux_source;

typedef struct mux {
    ta_job *job;
    AVFormatContext *ctx;
    ta_edge *ready; /* ends when the side pass has written the spool of copied packets */
    mux_source sources[TA_MAX_TRACKS + 2];
    int n_sources;
    AVStream *copies[64]; /* output stream of a copied source stream */
    bool header;
    ta_space space;
} mux;

/* ---- Streams ----------------------------------------------------------------------------------------------------- */

static void copy_stream_facts(mux *m, AVStream *out, int source)
{
    AVStream *in = ta_input_context(m->job->in)->streams[source];
    av_dict_copy(&out->metadata, in->metadata, 0);
    av_dict_set(&out->metadata, "encoder", NULL, 0);
    out->disposition = in->disposition;
}

static int new_stream(mux *m, AVStream **out, ta_error *err)
{
    *out = avformat_new_stream(m->ctx, NULL);
    return *out ? 0 : ta_no_memory(err);
}

/* HDR10's static metadata as the container wants it (SMPTE ST 2086). */
static int add_mastering(mux *m, AVStream *out, ta_error *err)
{
    const ta_settings *s = m->job->settings;
    if (!ta_get_is(s, TA_SET_hdr, "hdr10"))
        return 0;
    AVMasteringDisplayMetadata *d = av_mastering_display_metadata_alloc();
    if (!d)
        return ta_no_memory(err);
    static const int xy[3][2] = { { 35400, 14600 }, { 8500, 39850 }, { 6550, 2300 } }; /* BT.2020 in 1/50000 */
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 2; k++)
            d->display_primaries[i][k] = av_make_q(xy[i][k], 50000);
    d->white_point[0] = av_make_q(15635, 50000);
    d->white_point[1] = av_make_q(16450, 50000);
    d->min_luminance = av_make_q(50, 10000);
    d->max_luminance = av_make_q((int)ta_get_int(s, TA_SET_hdr_peak), 1);
    d->has_primaries = d->has_luminance = 1;
    int r = av_stream_add_side_data(out, AV_PKT_DATA_MASTERING_DISPLAY_METADATA, (uint8_t *)d, sizeof *d);
    if (r < 0)
        av_free(d);
    return r < 0 ? ta_no_memory(err) : 0;
}

static int add_encoded(mux *m, mux_source *s, const ta_stream_facts *f, int source, ta_error *err)
{
    int r = new_stream(m, &s->out, err);
    if (r < 0)
        return r;
    if (avcodec_parameters_copy(s->out->codecpar, f->par) < 0)
        return ta_no_memory(err);
    s->out->codecpar->codec_tag = 0;
    s->base = s->out->time_base = f->time_base;
    s->out->sample_aspect_ratio = f->par->sample_aspect_ratio;
    s->out->avg_frame_rate = f->frame_rate;
    copy_stream_facts(m, s->out, source);
    return 0;
}

static int add_from_encoder(mux *m, mux_source *s, ta_encoder *e, int source, ta_error *err)
{
    ta_stream_facts f = { 0 };
    int r = ta_stream_facts_of(&f, e, err);
    if (r >= 0)
        r = add_encoded(m, s, &f, source, err);
    avcodec_parameters_free(&f.par);
    return r;
}

static int add_video(mux *m, mux_source *s, ta_error *err)
{
    ta_job *job = m->job;
    const char *timecode = job->joined ? job->timecode : job->whole.result.timecode;
    int r = job->joined ? add_encoded(m, s, job->joined, job->video, err)
                        : add_from_encoder(m, s, atomic_load(&job->whole.encoder), job->video, err);
    if (r < 0)
        return r;
    if (timecode[0])
        av_dict_set(&s->out->metadata, "timecode", timecode, 0);
    s->zero = av_rescale_q(job->zero_us, AV_TIME_BASE_Q, s->base);
    return add_mastering(m, s->out, err);
}

static int add_copy(mux *m, const ta_track *t, ta_error *err)
{
    AVStream *in = ta_input_context(m->job->in)->streams[t->source], *out;
    if (t->source >= (int)TA_COUNT(m->copies))
        return 0;
    int r = new_stream(m, &out, err);
    if (r < 0)
        return r;
    r = t->text ? ta_subtitles_parameters(t->text, out->codecpar, err)
        : avcodec_parameters_copy(out->codecpar, in->codecpar) < 0 ? ta_no_memory(err)
                                                                   : 0;
    if (r < 0)
        return r;
    out->codecpar->codec_tag = 0;
    out->time_base = in->time_base;
    out->sample_aspect_ratio = in->sample_aspect_ratio;
    copy_stream_facts(m, out, t->source);
    m->copies[t->source] = out;
    return 0;
}

/* A part begins and ends with a frame, a chapter anywhere: what is left of one over the border is no chapter. */
static bool sliver(const ta_job *job, int64_t start, int64_t end)
{
    static const int64_t least_us = 100000;
    int64_t last = job->end_us == INT64_MAX ? end : TA_MIN(end, job->end_us - job->zero_us);
    return last - TA_MAX(start, 0) < TA_MIN(least_us, end - start);
}

/* Chapters inside the kept part, moved to its time. */
static int add_chapters(mux *m, ta_error *err)
{
    const ta_job *job = m->job;
    AVFormatContext *in = ta_input_context(job->in);
    if (!in->nb_chapters)
        return 0;
    m->ctx->chapters = av_calloc(in->nb_chapters, sizeof *m->ctx->chapters);
    if (!m->ctx->chapters)
        return ta_no_memory(err);
    for (unsigned i = 0; i < in->nb_chapters; i++) {
        const AVChapter *c = in->chapters[i];
        int64_t first = ta_input_start_us(job->in);
        int64_t start = av_rescale_q(c->start, c->time_base, AV_TIME_BASE_Q) + (first - job->zero_us);
        int64_t end = av_rescale_q(c->end, c->time_base, AV_TIME_BASE_Q) + (first - job->zero_us);
        if (end <= 0 || (job->end_us != INT64_MAX && start >= job->end_us - job->zero_us))
            continue;
        if (job->part && sliver(job, start, end))
            continue;
        AVChapter *n = av_mallocz(sizeof *n);
        if (!n)
            return ta_no_memory(err);
        n->id = c->id;
        n->time_base = AV_TIME_BASE_Q;
        n->start = TA_MAX(start, 0);
        n->end = job->end_us == INT64_MAX ? end : TA_MIN(end, job->end_us - job->zero_us);
        av_dict_copy(&n->metadata, c->metadata, 0);
        m->ctx->chapters[m->ctx->nb_chapters++] = n;
    }
    return 0;
}

static void copy_metadata(mux *m)
{
    AVFormatContext *in = ta_input_context(m->job->in);
    static const char *const of_the_file[] = { "encoder",           "major_brand", "minor_version",
                                               "compatible_brands", "DURATION",    "duration" };
    av_dict_copy(&m->ctx->metadata, in->metadata, 0);
    for (size_t i = 0; i < TA_COUNT(of_the_file); i++)
        av_dict_set(&m->ctx->metadata, of_the_file[i], NULL, 0);
}

/* ---- Heads ---------------------------------------------------------------------------------------------------------
 */

/* Fetches the next packet of a source, waiting for it where it comes through an edge. */
static int fetch(mux *m, mux_source *s, ta_error *err)
{
    int r;
    if (s->head || s->ended)
        return 0;
    if (s->edge) {
        r = ta_edge_pop_packet(s->edge, &s->head);
        if (r < 0)
            return ta_fail(err, TA_ERR_CANCELLED, "cancelled");
    } else {
        AVPacket *pkt = av_packet_alloc();
        r = pkt ? ta_spool_read_packet(m->job->copied, &s->pos, pkt, err) : ta_no_memory(err);
        if (r <= 0)
            av_packet_free(&pkt);
        s->head = pkt;
        if (r > 0)
            s->base = ta_input_context(m->job->in)->streams[pkt->stream_index]->time_base;
    }
    s->ended = r == 0;
    return r < 0 ? r : 0;
}

static int fetch_all(mux *m, ta_error *err)
{
    int r = 0;
    for (int i = 0; i < m->n_sources && r >= 0; i++)
        r = fetch(m, &m->sources[i], err);
    return r;
}

static int64_t order_time(const mux_source *s)
{
    return s->head->dts != AV_NOPTS_VALUE ? s->head->dts : s->head->pts;
}

static mux_source *earliest(mux *m)
{
    mux_source *best = NULL;
    for (int i = 0; i < m->n_sources; i++) {
        mux_source *s = &m->sources[i];
        if (s->head &&
            (!best || av_compare_ts(order_time(s) - s->zero, s->base, order_time(best) - best->zero, best->base) < 0))
            best = s;
    }
    return best;
}

/* ---- Header, packets, trailer ------------------------------------------------------------------------------------ */

static int add_streams(mux *m, ta_error *err)
{
    ta_job *job = m->job;
    int r = 0;
    for (int i = 0; i < m->n_sources && r >= 0; i++) {
        mux_source *s = &m->sources[i];
        if (!s->edge || !s->head)
            continue;
        r = s->track ? add_encoded(m, s, &s->track->stream, s->track->source, err) : add_video(m, s, err);
    }
    for (int i = 0; i < job->n_tracks && r >= 0; i++)
        if (job->tracks[i].copy)
            r = add_copy(m, &job->tracks[i], err);
    return r;
}

/* An encoder's priming comes before zero. MP4 cuts it by an edit list. Matroska says Opus' own in CodecDelay, which
 * players take off each time, so it is put on here; for others all streams move by the same whole milliseconds, as a
 * time below zero is not for Matroska. */
static void make_room(mux *m)
{
    int64_t least = 0;
    for (int i = 0; i < m->n_sources; i++) {
        mux_source *s = &m->sources[i];
        if (!s->edge || !s->head || s->head->pts == AV_NOPTS_VALUE)
            continue;
        if (s->out->codecpar->codec_id == AV_CODEC_ID_OPUS)
            s->zero -= av_rescale_q(s->out->codecpar->initial_padding, (AVRational){ 1, s->out->codecpar->sample_rate },
                                    s->base);
        least = TA_MIN(least, av_rescale_q(s->head->pts - s->zero, s->base, AV_TIME_BASE_Q));
    }
    m->job->shift_us = (-least + 999) / 1000 * 1000;
    for (int i = 0; i < m->n_sources; i++)
        m->sources[i].shift_us = m->job->shift_us;
}

static int write_header(mux *m, ta_error *err)
{
    AVDictionary *options = NULL;
    int r = add_streams(m, err);
    if (r >= 0)
        r = add_chapters(m, err);
    if (r < 0)
        return r;
    if (m->ctx->nb_streams == 0)
        return ta_fail(err, TA_ERR_DATA, "'%s': nothing in it could be decoded", m->job->input);
    copy_metadata(m);
    m->ctx->flags |= AVFMT_FLAG_BITEXACT;
    bool mov = !strcmp(m->job->container->name, "mp4") || !strcmp(m->job->container->name, "mov");
    m->ctx->avoid_negative_ts = mov ? AVFMT_AVOID_NEG_TS_AUTO : 0;
    if (!mov)
        make_room(m);
    if (mov)
        av_dict_set(&options, "movflags", "+faststart+write_colr", 0);
    if (!mov) { /* libav keeps a whole cluster in memory, up to 5 s and 5 MB of its own accord */
        av_dict_set(&options, "cluster_time_limit", "2000", 0);
        av_dict_set(&options, "cluster_size_limit", "1048576", 0);
    }
    /* FLAC in MP4 is what libav 5.1 calls experimental; it is registered and plays widely */
    m->ctx->strict_std_compliance = FF_COMPLIANCE_EXPERIMENTAL;
    r = avformat_write_header(m->ctx, &options);
    av_dict_free(&options);
    if (r < 0) {
        ta_fail_av(err, r, TA_ERR_USAGE, "%s refuses these streams", m->job->container->name);
        return ta_hint(err, "choose mkv, which holds nearly everything");
    }
    m->header = true;
    return 0;
}

static int fail_write(mux *m, int averror, ta_error *err)
{
    return ta_fail_av(err, averror, TA_ERR_IO, "writing '%s'", ta_publish_path(m->job->publish));
}

static int write_head(mux *m, mux_source *s, ta_error *err)
{
    AVPacket *pkt = s->head;
    AVStream *out = s->edge ? s->out : m->copies[pkt->stream_index];
    int64_t move = av_rescale_q(s->shift_us, AV_TIME_BASE_Q, s->base) - s->zero;
    s->head = NULL;
    if (pkt->pts != AV_NOPTS_VALUE)
        pkt->pts += move;
    if (pkt->dts != AV_NOPTS_VALUE)
        pkt->dts += move;
    av_packet_rescale_ts(pkt, s->base, out->time_base);
    pkt->stream_index = out->index;
    pkt->pos = -1;
    int r = av_write_frame(m->ctx, pkt);
    av_packet_free(&pkt);
    if (r >= 0 && m->ctx->pb->error < 0)
        r = m->ctx->pb->error;
    if (r < 0)
        return fail_write(m, r, err);
    return ta_space_check(&m->space, err);
}

static int finish_file(mux *m, ta_error *err)
{
    int r = av_write_trailer(m->ctx);
    m->header = false;
    if (r >= 0)
        avio_flush(m->ctx->pb);
    if (r >= 0)
        r = m->ctx->pb->error;
    return r < 0 ? fail_write(m, r, err) : 0;
}

static int run_mux(void *opaque, ta_error *err)
{
    mux *m = opaque;
    AVPacket *never;
    if (m->ready && ta_edge_pop_packet(m->ready, &never) < 0)
        return ta_fail(err, TA_ERR_CANCELLED, "cancelled");
    int r = fetch_all(m, err);
    if (r >= 0)
        r = write_header(m, err);
    while (r >= 0) {
        mux_source *s = earliest(m);
        if (!s)
            break;
        if ((r = write_head(m, s, err)) >= 0)
            r = fetch(m, s, err);
    }
    return r < 0 ? r : finish_file(m, err);
}

/* ---- Setting up ----------------------------------------------------------------------------------------------------
 */

static void free_mux(void *p)
{
    mux *m = p;
    for (int i = 0; i < m->n_sources; i++)
        av_packet_free(&m->sources[i].head);
    if (m->ctx)
        avio_closep(&m->ctx->pb);
    avformat_free_context(m->ctx);
    ta_free(m->space.folder);
    ta_free(m);
}

static int stop_writing(void *job)
{
    return ta_cancelled(((ta_job *)job)->cancel);
}

static int open_file(mux *m, ta_error *err)
{
    const char *temp = ta_publish_temp(m->job->publish);
    int r = avformat_alloc_output_context2(&m->ctx, NULL, m->job->container->muxer, temp);
    if (r < 0)
        return ta_fail_av(err, r, TA_ERR_UNAVAILABLE, "this libav can't write %s", m->job->container->name);
    m->ctx->interrupt_callback = (AVIOInterruptCB){ stop_writing, m->job };
    r = avio_open2(&m->ctx->pb, temp, AVIO_FLAG_WRITE, &m->ctx->interrupt_callback, NULL);
    return r < 0 ? ta_fail_av(err, r, TA_ERR_CANTCREATE, "create '%s'", temp) : 0;
}

static bool has_copies(const ta_job *job)
{
    for (int i = 0; i < job->n_tracks; i++)
        if (job->tracks[i].copy)
            return true;
    return false;
}

static void add_source(mux *m, ta_edge *edge, ta_track *t, ta_edge **in, int *n_in)
{
    m->sources[m->n_sources++] = (mux_source){ .edge = edge, .track = t };
    in[(*n_in)++] = edge;
}

int ta_mux_node(ta_job *job, ta_edge *video, ta_edge *const *audio, ta_edge *ready, ta_error *err)
{
    ta_edge *in[TA_MAX_TRACKS + 2];
    int n_in = 0, a = 0;
    mux *m = ta_alloc(sizeof *m);
    if (!m)
        return ta_no_memory(err);
    m->job = job;
    int r = ta_job_own(job, m, free_mux, err);
    if (r < 0)
        return r;
    m->space.folder = ta_path_dir(job->output);
    m->space.reserve = ta_get_int(job->settings, TA_SET_reserve);
    if (!m->space.folder)
        return ta_no_memory(err);
    if (video)
        add_source(m, video, NULL, in, &n_in);
    for (int i = 0; i < job->n_tracks; i++)
        if (!job->tracks[i].copy)
            add_source(m, audio[a++], &job->tracks[i], in, &n_in);
    if (has_copies(job)) {
        m->ready = ready;
        in[n_in++] = ready;
        m->sources[m->n_sources++] = (mux_source){ .base = AV_TIME_BASE_Q };
    }
    r = open_file(m, err);
    return r < 0 ? r : ta_flow_add(job->flow, "mux", run_mux, m, in, n_in, NULL, 0, err);
}
