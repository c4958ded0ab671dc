/* An open input: probing, continuous time, packets. */
#include <libavutil/display.h>
#include <libavutil/parseutils.h>

#include "media/internal.h"

enum { MAX_STREAMS = 64, MAX_BAD_READS = 200 };
/* A jump of more than this between neighbouring packets of a stream is a new recording, not a gap (a lost signal may
 * last some seconds). */
static const int64_t jump_us = 10 * 1000000;

typedef struct stream_time {
    int64_t next_us; /* where the next packet is expected, continuous time; AV_NOPTS_VALUE = unknown */
} stream_time;

struct ta_input {
    const struct probe *look; /* how long the streams were looked for */
    char *path;
    ta_io *io;
    AVFormatContext *ctx;
    ta_cancel *cancel;
    ta_input *known; /* an earlier opening of the same input */
    uint64_t selected;
    bool jumps; /* the format may jump in time (MPEG) */
    int64_t offset_us;
    stream_time *times;
    unsigned n_times;
    ta_input_stats stats;
    int bad_reads;
    bool moved;            /* another reader has been at work */
    ta_input_reader *read; /* in place of the linear reading */
    void (*drop)(void *opaque);
    void *opaque;
};

static int interrupted(void *opaque)
{
    return ta_cancelled(opaque);
}

static int fail_open(ta_input *in, int averror, ta_error *err)
{
    if (averror == AVERROR_EXIT)
        return ta_fail(err, TA_ERR_CANCELLED, "cancelled");
    if (ta_io_error(in->io))
        return ta_fail_errno(err, ta_io_error(in->io), false, "read", in->path);
    ta_fail_av(err, averror, TA_ERR_DATA, "'%s' is not a video or sound file that can be read", in->path);
    return ta_hint(err, "look at it with `ffprobe`; a capture that was cut off may need its own program's repair");
}

/* How long the first look at the streams is, and the second where the first found too little: a tape may begin with
 * half a minute of picture before there is any sound. */
static const struct probe {
    int64_t bytes, us;
} first_look = { 10 * 1000 * 1000, 3 * 1000000 }, long_look = { 200 * 1000 * 1000, 60 * 1000000 };

static int open_context(ta_input *in, const struct probe *probe, ta_error *err)
{
    AVDictionary *options = NULL;
    in->look = probe;
    in->ctx = avformat_alloc_context();
    if (!in->ctx)
        return ta_no_memory(err);
    in->ctx->pb = ta_io_context(in->io);
    in->ctx->flags |= AVFMT_FLAG_CUSTOM_IO;
    in->ctx->interrupt_callback = (AVIOInterruptCB){ interrupted, in->cancel };
    in->ctx->probesize = probe->bytes;
    in->ctx->max_analyze_duration = probe->us;
    if (in->known) {
        in->ctx->max_analyze_duration = AV_TIME_BASE / 2;
        in->ctx->fps_probe_size = 0;
        in->ctx->skip_estimate_duration_from_pts = 1;
    }
    /* A playlist inside a file of a stranger must not open other files. */
    av_dict_set(&options, "protocol_whitelist", "none", 0);
    int r = avformat_open_input(&in->ctx, in->path, NULL, &options);
    av_dict_free(&options);
    if (r >= 0)
        r = avformat_find_stream_info(in->ctx, NULL);
    return r < 0 ? fail_open(in, r, err) : 0;
}

static bool plays(const AVStream *st)
{
    enum AVMediaType type = st->codecpar->codec_type;
    return (type == AVMEDIA_TYPE_VIDEO && !(st->disposition & AV_DISPOSITION_ATTACHED_PIC)) ||
           type == AVMEDIA_TYPE_AUDIO;
}

/* A stream without its parameters, or no sound at all where streams appear only as they come. */
static bool knows_too_little(const ta_input *in)
{
    bool sound = false, unknown = false;
    for (unsigned i = 0; i < in->ctx->nb_streams; i++) {
        const AVCodecParameters *p = in->ctx->streams[i]->codecpar;
        sound = sound || p->codec_type == AVMEDIA_TYPE_AUDIO;
        unknown = unknown || (p->codec_type == AVMEDIA_TYPE_AUDIO && p->sample_rate == 0) ||
                  (p->codec_type == AVMEDIA_TYPE_VIDEO && p->width == 0);
    }
    return unknown || (!sound && (in->ctx->ctx_flags & AVFMTCTX_NOHEADER));
}

static int probe(ta_input *in, ta_error *err)
{
    int r = open_context(in, &first_look, err);
    if (r < 0 || in->known || !knows_too_little(in))
        return r;
    avformat_close_input(&in->ctx);
    avio_seek(ta_io_context(in->io), 0, SEEK_SET);
    return open_context(in, &long_look, err);
}

static int check_streams(ta_input *in, ta_error *err)
{
    bool any = false;
    for (unsigned i = 0; i < in->ctx->nb_streams; i++)
        any = any || plays(in->ctx->streams[i]);
    /* libav shows a still picture as a video of one frame. */
    const char *format = in->ctx->iformat->name;
    if (ta_ends(format, "_pipe") || strcmp(format, "image2") == 0) {
        ta_fail(err, TA_ERR_DATA, "'%s' is a still picture (%s)", in->path, format);
        return ta_hint(err, "name a video or sound file");
    }
    if (!any) {
        ta_fail(err, TA_ERR_DATA, "'%s' has neither a video nor an audio stream", in->path);
        return ta_hint(err, "name a video or sound file");
    }
    return 0;
}

int ta_input_open(ta_input **in, const char *path, ta_cancel *cancel, ta_error *err)
{
    return ta_input_open_as(in, path, 0, NULL, cancel, err);
}

int ta_input_open_as(ta_input **out, const char *path, unsigned how, ta_input *known, ta_cancel *cancel, ta_error *err)
{
    char **paths = NULL;
    int count = 0;
    *out = NULL;
    ta_input *in = ta_alloc(sizeof *in);
    if (!in || !(in->path = ta_strdup(path))) {
        ta_free(in);
        return ta_no_memory(err);
    }
    in->cancel = cancel;
    in->known = known;
    in->selected = UINT64_MAX;
    int r = ta_title_files(path, &paths, &count, err);
    if (r >= 0)
        r = ta_io_open(&in->io, paths, count, cancel, err);
    if (r >= 0 && ta_io_size(in->io) == 0) {
        ta_fail(err, TA_ERR_DATA, "'%s' is empty (0 bytes)", path);
        r = ta_hint(err, "record or copy it again");
    }
    if (r >= 0 && (how & TA_OPEN_HASHED))
        r = ta_io_hash(in->io, err);
    if (r >= 0 && (how & TA_OPEN_MAPPED))
        ta_io_map(in->io);
    if (r >= 0)
        r = probe(in, err);
    if (r >= 0)
        r = check_streams(in, err);
    if (r < 0) {
        ta_input_close(&in);
        return r;
    }
    in->jumps = in->ctx->iformat->flags & AVFMT_TS_DISCONT;
    *out = in;
    return 0;
}

void ta_input_close(ta_input **pin)
{
    ta_input *in = *pin;
    if (!in)
        return;
    ta_input_set_reader(in, NULL, NULL, NULL);
    avformat_close_input(&in->ctx);
    ta_io_close(&in->io);
    ta_free(in->times);
    ta_free(in->path);
    ta_freep(pin);
}

AVFormatContext *ta_input_context(ta_input *in)
{
    return in->ctx;
}

int ta_input_sha256(ta_input *in, char hex[65], ta_error *err)
{
    return ta_io_sha256(in->io, hex, err);
}

void ta_input_select(ta_input *in, uint64_t mask)
{
    in->selected = mask;
}

/* Streams may appear while reading (MPEG PS); each gets a clock. */
static int grow_times(ta_input *in, unsigned count, ta_error *err)
{
    if (count <= in->n_times)
        return 0;
    stream_time *grown = ta_resize(in->times, count, sizeof *grown);
    if (!grown)
        return ta_no_memory(err);
    for (unsigned i = in->n_times; i < count; i++)
        grown[i].next_us = AV_NOPTS_VALUE;
    in->times = grown;
    in->n_times = count;
    return 0;
}

/* Makes time continuous over the joints of a recording: a jump of any stream moves all that follow. */
static int make_continuous(ta_input *in, AVPacket *pkt, ta_error *err)
{
    const AVStream *st = in->ctx->streams[pkt->stream_index];
    int r = grow_times(in, in->ctx->nb_streams, err);
    if (r < 0 || !in->jumps)
        return r;
    int64_t stamp = pkt->dts != AV_NOPTS_VALUE ? pkt->dts : pkt->pts;
    if (stamp != AV_NOPTS_VALUE && plays(st)) {
        stream_time *t = &in->times[pkt->stream_index];
        int64_t us = av_rescale_q(stamp, st->time_base, AV_TIME_BASE_Q) + in->offset_us;
        if (t->next_us != AV_NOPTS_VALUE && (us < t->next_us - jump_us / 10 || us > t->next_us + jump_us)) {
            in->offset_us += t->next_us - us;
            in->stats.discontinuities++;
            us = t->next_us;
        }
        t->next_us = us + av_rescale_q(pkt->duration, st->time_base, AV_TIME_BASE_Q);
    }
    int64_t offset = av_rescale_q(in->offset_us, AV_TIME_BASE_Q, st->time_base);
    if (pkt->pts != AV_NOPTS_VALUE)
        pkt->pts += offset;
    if (pkt->dts != AV_NOPTS_VALUE)
        pkt->dts += offset;
    return 0;
}

ta_io *ta_input_io(ta_input *in)
{
    return in->io;
}

const char *ta_input_path(const ta_input *in)
{
    return in->path;
}

ta_cancel *ta_input_cancel(const ta_input *in)
{
    return in->cancel;
}

bool ta_input_untouched(const ta_input *in)
{
    return in->stats.packets == 0 && !in->moved;
}

int64_t ta_input_offset_us(const ta_input *in)
{
    return in->offset_us;
}

void ta_input_set_reader(ta_input *in, ta_input_reader *read, void *opaque, void (*drop)(void *opaque))
{
    if (in->drop)
        in->drop(in->opaque);
    in->moved = true;
    in->read = read;
    in->opaque = opaque;
    in->drop = drop;
}

int ta_input_rewind(ta_input *in, ta_error *err)
{
    avformat_close_input(&in->ctx);
    avio_seek(ta_io_context(in->io), 0, SEEK_SET);
    return open_context(in, in->look, err);
}

static int read_failed(ta_input *in, int averror, ta_error *err)
{
    if (averror == AVERROR_EXIT || ta_cancelled(in->cancel))
        return ta_fail(err, TA_ERR_CANCELLED, "cancelled");
    if (ta_io_error(in->io)) {
        ta_fail_errno(err, ta_io_error(in->io), false, "read", in->path);
        return ta_hint(err, "the disk or the connection to it fails: copy the file to a healthy disk first");
    }
    if (++in->bad_reads > MAX_BAD_READS)
        return ta_fail_av(err, averror, TA_ERR_DATA, "'%s' can't be read on", in->path);
    in->stats.corrupt++;
    return 1;
}

int ta_input_read_raw(ta_input *in, AVPacket *pkt, ta_error *err)
{
    for (;;) {
        ta_cancel_pass(in->cancel); /* a held job stops here; a cancelled one at the read */
        int r = av_read_frame(in->ctx, pkt);
        if (r == AVERROR_EOF)
            return ta_io_error(in->io) ? read_failed(in, AVERROR(EIO), err) : 0;
        if (r >= 0)
            break;
        if ((r = read_failed(in, r, err)) < 0)
            return r;
    }
    in->bad_reads = 0;
    in->stats.packets++;
    in->stats.corrupt += pkt->flags & AV_PKT_FLAG_CORRUPT ? 1 : 0;
    return 1;
}

int ta_input_read(ta_input *in, AVPacket *pkt, ta_error *err)
{
    if (in->read)
        return in->read(in->opaque, pkt, err);
    for (;;) {
        int r = ta_input_read_raw(in, pkt, err);
        if (r <= 0)
            return r;
        if ((r = make_continuous(in, pkt, err)) < 0) {
            av_packet_unref(pkt);
            return r;
        }
        if (pkt->stream_index < MAX_STREAMS && (in->selected >> pkt->stream_index & 1))
            return 1;
        av_packet_unref(pkt);
    }
}

int ta_input_video(ta_input *in)
{
    int r = av_find_best_stream(in->ctx, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    return r >= 0 && !(in->ctx->streams[r]->disposition & AV_DISPOSITION_ATTACHED_PIC) ? r : -1;
}

int64_t ta_input_start_us(ta_input *in)
{
    if (in->known)
        return ta_input_start_us(in->known);
    int64_t start = AV_NOPTS_VALUE;
    for (unsigned i = 0; i < in->ctx->nb_streams; i++) {
        const AVStream *st = in->ctx->streams[i];
        if (!plays(st) || st->start_time == AV_NOPTS_VALUE)
            continue;
        int64_t us = av_rescale_q(st->start_time, st->time_base, AV_TIME_BASE_Q);
        start = start == AV_NOPTS_VALUE ? us : TA_MIN(start, us);
    }
    return start == AV_NOPTS_VALUE ? 0 : start;
}

/* When a stream ends, by its own duration or what Matroska's statistics say of it; -1 where that isn't known. */
static int64_t stream_end_us(const AVStream *st)
{
    int64_t us;
    const AVDictionaryEntry *tag = av_dict_get(st->metadata, "DURATION", NULL, 0);
    if (st->duration > 0)
        return av_rescale_q(st->duration + (st->start_time == AV_NOPTS_VALUE ? 0 : st->start_time), st->time_base,
                            AV_TIME_BASE_Q);
    return tag && av_parse_time(&us, tag->value, 1) >= 0 && us > 0 ? us : -1;
}

/* When the last picture or sound ends; -1 where a stream doesn't tell. */
static int64_t played_end_us(const AVFormatContext *ctx)
{
    int64_t last = -1;
    for (unsigned i = 0; i < ctx->nb_streams; i++) {
        int64_t end = plays(ctx->streams[i]) ? stream_end_us(ctx->streams[i]) : 0;
        if (end < 0)
            return -1;
        last = TA_MAX(last, end);
    }
    return last;
}

int64_t ta_input_duration_us(ta_input *in)
{
    if (in->known)
        return ta_input_duration_us(in->known);
    /* A subtitle without an end lasts for weeks in some files, and the file with it. */
    int64_t length = in->ctx->duration, end = played_end_us(in->ctx), played = end - ta_input_start_us(in);
    if (end > 0 && played > 0 && length > played + 10 * (int64_t)AV_TIME_BASE)
        length = played;
    return length > 0 ? length : -1;
}

static ta_field_order field_order_of(enum AVFieldOrder order)
{
    switch (order) {
    case AV_FIELD_PROGRESSIVE:
        return TA_FIELDS_PROGRESSIVE;
    case AV_FIELD_TT:
    case AV_FIELD_TB:
        return TA_FIELDS_TFF;
    case AV_FIELD_BB:
    case AV_FIELD_BT:
        return TA_FIELDS_BFF;
    default:
        return TA_FIELDS_UNKNOWN;
    }
}

void ta_input_video_format(ta_input *in, int stream, ta_video_format *f)
{
    AVStream *st = in->ctx->streams[stream];
    const AVCodecParameters *p = st->codecpar;
    *f = (ta_video_format){
        .width = p->width,
        .height = p->height,
        .pix_fmt = (enum AVPixelFormat)p->format,
        .sar = av_guess_sample_aspect_ratio(in->ctx, st, NULL),
        .frame_rate = av_guess_frame_rate(in->ctx, st, NULL),
        .time_base = st->time_base,
        .primaries = p->color_primaries,
        .transfer = p->color_trc,
        .matrix = p->color_space,
        .range = p->color_range,
        .chroma_location = p->chroma_location,
        .fields = field_order_of(p->field_order),
    };
}

int ta_input_rotation(ta_input *in, int stream)
{
    size_t size = 0;
    const uint8_t *matrix = av_stream_get_side_data(in->ctx->streams[stream], AV_PKT_DATA_DISPLAYMATRIX, &size);
    if (!matrix || size < 9 * sizeof(int32_t))
        return 0;
    double degrees = -av_display_rotation_get((const int32_t *)(const void *)matrix);
    int quarter = (int)lrint(degrees / 90) % 4;
    return (quarter < 0 ? quarter + 4 : quarter) * 90;
}

void ta_input_get_stats(ta_input *in, ta_input_stats *s)
{
    *s = in->stats;
    s->bytes = ta_io_bytes(in->io);
}
