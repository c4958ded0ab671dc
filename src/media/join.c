/* Joins files into one: a copy of all streams' packets, of which always the earliest is written next. */
#include "media/internal.h"

enum { MAX_INPUTS = 8, MAX_STREAMS = 64 };

typedef struct source {
    ta_input *in;
    AVPacket *packet; /* the next one */
    int64_t us;       /* its time */
    bool end;
    int map[MAX_STREAMS]; /* stream to stream of the output, -1: left out */
} source;

typedef struct join {
    source sources[MAX_INPUTS];
    size_t count;
    AVFormatContext *mux;
    ta_publish *file;
    ta_error *err;
} join;

static bool is_wanted(const AVStream *st)
{
    enum AVMediaType type = st->codecpar->codec_type;
    return !(st->disposition & AV_DISPOSITION_ATTACHED_PIC) &&
           (type == AVMEDIA_TYPE_VIDEO || type == AVMEDIA_TYPE_AUDIO || type == AVMEDIA_TYPE_SUBTITLE);
}

static int add_stream(join *j, source *s, const AVStream *from)
{
    AVStream *to = avformat_new_stream(j->mux, NULL);
    if (!to || avcodec_parameters_copy(to->codecpar, from->codecpar) < 0)
        return ta_no_memory(j->err);
    to->codecpar->codec_tag = 0;
    to->time_base = from->time_base;
    to->sample_aspect_ratio = from->sample_aspect_ratio;
    to->avg_frame_rate = from->avg_frame_rate;
    to->disposition = from->disposition;
    av_dict_copy(&to->metadata, from->metadata, 0);
    s->map[from->index] = to->index;
    return 0;
}

static int open_source(join *j, source *s, const char *path, ta_cancel *cancel)
{
    s->packet = av_packet_alloc();
    int r = s->packet ? ta_input_open(&s->in, path, cancel, j->err) : ta_no_memory(j->err);
    for (unsigned i = 0; r == 0 && i < MAX_STREAMS; i++)
        s->map[i] = -1;
    const AVFormatContext *ctx = r == 0 ? ta_input_context(s->in) : NULL;
    for (unsigned i = 0; r == 0 && i < ctx->nb_streams && i < MAX_STREAMS; i++)
        if (is_wanted(ctx->streams[i]))
            r = add_stream(j, s, ctx->streams[i]);
    return r;
}

/* The next packet that is wanted, with its time. */
static int advance(join *j, source *s)
{
    int r;
    while ((r = ta_input_read(s->in, s->packet, j->err)) > 0) {
        int64_t time = s->packet->dts != AV_NOPTS_VALUE ? s->packet->dts : s->packet->pts;
        const AVStream *st = ta_input_context(s->in)->streams[s->packet->stream_index];
        if (st->index < MAX_STREAMS && s->map[st->index] >= 0) {
            s->us = time == AV_NOPTS_VALUE ? s->us : av_rescale_q(time, st->time_base, AV_TIME_BASE_Q);
            return 0;
        }
        av_packet_unref(s->packet);
    }
    s->end = r == 0;
    return r;
}

static source *earliest(join *j)
{
    source *best = NULL;
    for (size_t i = 0; i < j->count; i++)
        if (!j->sources[i].end && (!best || j->sources[i].us < best->us))
            best = &j->sources[i];
    return best;
}

static int fail_write(join *j, int averror)
{
    return ta_fail_av(j->err, averror, TA_ERR_DATA, "the streams can't be joined in '%s'", ta_publish_path(j->file));
}

/* Matroska has no times before zero. Opus' priming is said in CodecDelay, which players take off each time, so it is
 * put on here, as nobody else does. */
static int64_t priming(const AVStream *st)
{
    const AVCodecParameters *p = st->codecpar;
    bool opus = p->codec_id == AV_CODEC_ID_OPUS && p->sample_rate > 0;
    return opus ? av_rescale_q(p->initial_padding, (AVRational){ 1, p->sample_rate }, st->time_base) : 0;
}

/* Where other sound begins before zero everything is moved by as much, in whole milliseconds, so that nothing moves
 * against anything. */
static int64_t before_zero(const source *s)
{
    if (s->end || s->packet->pts == AV_NOPTS_VALUE)
        return 0;
    const AVStream *st = ta_input_context(s->in)->streams[s->packet->stream_index];
    int64_t us = av_rescale_q(s->packet->pts + priming(st), st->time_base, AV_TIME_BASE_Q);
    return us < 0 ? (-us + 999) / 1000 * 1000 : 0;
}

static void move(AVPacket *packet, const AVStream *from, const AVStream *to, int64_t later_us)
{
    int64_t on = priming(from);
    packet->pts += packet->pts == AV_NOPTS_VALUE ? 0 : on;
    packet->dts += packet->dts == AV_NOPTS_VALUE ? 0 : on;
    av_packet_rescale_ts(packet, from->time_base, to->time_base);
    int64_t later = av_rescale_q(later_us, AV_TIME_BASE_Q, to->time_base);
    packet->pts += packet->pts == AV_NOPTS_VALUE ? 0 : later;
    packet->dts += packet->dts == AV_NOPTS_VALUE ? 0 : later;
    packet->stream_index = to->index;
    packet->pos = -1;
}

static int copy_all(join *j)
{
    int r = 0;
    int64_t later_us = 0;
    for (size_t i = 0; r == 0 && i < j->count; i++) {
        r = advance(j, &j->sources[i]);
        int64_t early = r == 0 ? before_zero(&j->sources[i]) : 0;
        later_us = TA_MAX(later_us, early);
    }
    for (source *s; r == 0 && (s = earliest(j));) {
        const AVStream *from = ta_input_context(s->in)->streams[s->packet->stream_index];
        const AVStream *to = j->mux->streams[s->map[from->index]];
        move(s->packet, from, to, later_us);
        int av = av_interleaved_write_frame(j->mux, s->packet);
        r = av < 0 ? fail_write(j, av) : advance(j, s);
    }
    return r;
}

static int write_file(join *j)
{
    AVDictionary *options = NULL;
    j->mux->avoid_negative_ts = 0; /* we see to that */
    int av = avio_open(&j->mux->pb, ta_publish_temp(j->file), AVIO_FLAG_WRITE);
    av_dict_set(&options, "fflags", "+bitexact", 0);
    if (av >= 0)
        av = avformat_write_header(j->mux, &options);
    av_dict_free(&options);
    if (av < 0)
        return fail_write(j, av);
    int r = copy_all(j);
    av = r == 0 ? av_write_trailer(j->mux) : 0;
    int closed = avio_closep(&j->mux->pb);
    av = av < 0 ? av : closed;
    return r == 0 && av < 0 ? fail_write(j, av) : r;
}

int ta_join_files(const char *const *inputs, size_t count, const char *output, ta_cancel *cancel, ta_error *err)
{
    ta_error local;
    join j = { .err = err ? err : &local, .count = TA_MIN(count, MAX_INPUTS) };
    int r = ta_publish_open(&j.file, output, true, j.err);
    if (r == 0 && avformat_alloc_output_context2(&j.mux, NULL, "matroska", ta_publish_temp(j.file)) < 0)
        r = ta_no_memory(j.err);
    for (size_t i = 0; r == 0 && i < j.count; i++)
        r = open_source(&j, &j.sources[i], inputs[i], cancel);
    if (r == 0)
        r = write_file(&j);
    if (r == 0)
        r = ta_publish_commit(&j.file, j.err);
    if (j.mux && j.mux->pb)
        avio_closep(&j.mux->pb);
    avformat_free_context(j.mux);
    for (size_t i = 0; i < j.count; i++) {
        av_packet_free(&j.sources[i].packet);
        ta_input_close(&j.sources[i].in);
    }
    ta_publish_abort(&j.file);
    return r;
}
