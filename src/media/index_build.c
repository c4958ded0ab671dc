/* Making an index: one reading of the input, its packets written as they come, then the order of the pictures found out
 * from what was written. Memory does not grow with the length of the input. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "media/index.h"

enum { WRITE_BUFFER = 256 * 1024, REORDER = 32, PROGRESS_STEP = 256 };

/* ---- Writing --------------------------------------------------------------------------------------------------- */

typedef struct writer {
    int fd;
    const char *name;
    uint8_t *buf;
    size_t fill;
    uint64_t at; /* bytes put so far */
} writer;

static int flush(writer *w, ta_error *err)
{
    for (size_t done = 0; done < w->fill;) {
        ssize_t n = write(w->fd, w->buf + done, w->fill - done);
        if (n < 0 && errno != EINTR)
            return ta_fail_errno(err, errno, true, "can't write", w->name);
        done += n > 0 ? (size_t)n : 0;
    }
    w->fill = 0;
    return 0;
}

static int put(writer *w, const void *data, size_t size, ta_error *err)
{
    int r = w->fill + size > WRITE_BUFFER ? flush(w, err) : 0;
    if (r < 0)
        return r;
    memcpy(w->buf + w->fill, data, size);
    w->fill += size;
    w->at += size;
    return 0;
}

/* The next part starts at a multiple of 8. */
static int align(writer *w, ta_error *err)
{
    static const char zeros[8];
    return put(w, zeros, (8 - w->at % 8) % 8, err);
}

/* ---- Reading the input ----------------------------------------------------------------------------------------- */

typedef struct builder {
    const ta_index_source *source;
    ta_input *in;
    writer out;
    ta_index_header head;
    ta_index_epoch *epochs; /* few: one for each joint of the recording */
    size_t room;
    AVCodecParserContext *parser; /* NULL: the codec has none */
    AVCodecContext *codec;
    bool timed;      /* some packet of the video has a time */
    int first_field; /* structure of a field that waits for its other one; 0 = none */
} builder;

/* A parser of our own sees each packet once: libavformat's may be ahead of the packet that it returns. */
static int open_parser(builder *b, ta_error *err)
{
    if (b->head.video < 0)
        return 0;
    const AVCodecParameters *p = ta_input_context(b->in)->streams[b->head.video]->codecpar;
    b->parser = av_parser_init((int)p->codec_id);
    if (!b->parser)
        return 0;
    b->parser->flags |= PARSER_FLAG_COMPLETE_FRAMES;
    b->codec = avcodec_alloc_context3(NULL);
    return b->codec && avcodec_parameters_to_context(b->codec, p) >= 0 ? 0 : ta_no_memory(err);
}

/* In H.264 each field of a picture may have its own packet; the decoder makes one frame of both. */
static uint8_t field_of(builder *b)
{
    int s = (int)b->parser->picture_structure;
    bool field = b->codec->codec_id == AV_CODEC_ID_H264 &&
                 (s == AV_PICTURE_STRUCTURE_TOP_FIELD || s == AV_PICTURE_STRUCTURE_BOTTOM_FIELD);
    bool second = field && b->first_field && b->first_field != s;
    b->first_field = field && !second ? s : 0;
    return !field ? 0 : second ? TA_PICTURE_FIELD | TA_PICTURE_SECOND_FIELD : TA_PICTURE_FIELD;
}

static void add_facts(builder *b, const AVPacket *pkt, ta_index_packet *p)
{
    uint8_t *out;
    int size;
    if (!b->parser || pkt->size == 0)
        return;
    b->parser->pict_type = AV_PICTURE_TYPE_NONE;
    b->parser->picture_structure = AV_PICTURE_STRUCTURE_UNKNOWN;
    b->parser->repeat_pict = 0;
    av_parser_parse2(b->parser, b->codec, &out, &size, pkt->data, pkt->size, pkt->pts, pkt->dts, pkt->pos);
    int type = b->parser->pict_type;
    p->picture = (uint8_t)((type > 0 && type <= TA_PICTURE_TYPE ? type : 0) | field_of(b));
    p->repeat = (int8_t)TA_CLAMP(b->parser->repeat_pict, -1, INT8_MAX);
}

static int note_epoch(builder *b, ta_error *err)
{
    int64_t offset = ta_input_offset_us(b->in);
    if (b->head.epochs > 0 && b->epochs[b->head.epochs - 1].offset_us == offset)
        return 0;
    if (b->head.epochs == b->room) {
        ta_index_epoch *grown = ta_resize(b->epochs, b->room + 64, sizeof *grown);
        if (!grown)
            return ta_no_memory(err);
        b->epochs = grown;
        b->room += 64;
    }
    b->epochs[b->head.epochs++] = (ta_index_epoch){ b->head.records, offset };
    return 0;
}

static int add_packet(builder *b, const AVPacket *pkt, ta_error *err)
{
    ta_index_packet p = { .pts = pkt->pts,
                          .dts = pkt->dts,
                          .pos = pkt->pos,
                          .size = (uint32_t)pkt->size,
                          .duration = (int32_t)TA_CLAMP(pkt->duration, 0, INT32_MAX),
                          .check = ta_index_checksum(pkt),
                          .stream = (uint8_t)pkt->stream_index,
                          .flags = (uint8_t)pkt->flags };
    if (b->head.records >= UINT32_MAX)
        return ta_fail(err, TA_ERR_DATA, "'%s' has too many packets for an index", b->source->path);
    if (pkt->stream_index == b->head.video) {
        b->timed = b->timed || pkt->pts != AV_NOPTS_VALUE || pkt->dts != AV_NOPTS_VALUE;
        add_facts(b, pkt, &p);
        b->head.packets++;
    }
    int r = note_epoch(b, err);
    if (r >= 0)
        r = put(&b->out, &p, sizeof p, err);
    b->head.records++;
    return r;
}

static bool is_media(const AVFormatContext *ctx, int stream)
{
    enum AVMediaType type = ctx->streams[stream]->codecpar->codec_type;
    return type == AVMEDIA_TYPE_VIDEO || type == AVMEDIA_TYPE_AUDIO || type == AVMEDIA_TYPE_SUBTITLE;
}

static void report(const builder *b, uint64_t packets)
{
    const ta_index_source *s = b->source;
    int64_t at = avio_tell(ta_io_context(ta_input_io(b->in))), size = b->head.source_size;
    if (s->progress && packets % PROGRESS_STEP == 0 && size > 0)
        s->progress(s->opaque, TA_CLAMP((double)at / (double)size, 0.0, 1.0));
}

static int read_packets(builder *b, ta_error *err)
{
    AVPacket *pkt = av_packet_alloc();
    int r = pkt ? 1 : ta_no_memory(err);
    for (uint64_t n = 0; r > 0; n++) {
        r = ta_cancelled(b->source->cancel) ? ta_fail(err, TA_ERR_CANCELLED, "cancelled")
                                            : ta_input_read(b->in, pkt, err);
        if (r > 0 && is_media(ta_input_context(b->in), pkt->stream_index)) {
            int w = add_packet(b, pkt, err);
            r = w < 0 ? w : r;
        }
        av_packet_unref(pkt);
        report(b, n);
    }
    av_packet_free(&pkt);
    if (r < 0)
        return r;
    report(b, 0);
    return align(&b->out, err);
}

/* ---- The order of the pictures --------------------------------------------------------------------------------- */

/* What was written, mapped. */
typedef struct written {
    uint8_t *map;
    size_t size;
    ta_index_pictures pictures;
} written;

/* Pictures on their way through an imagined decoder: the earliest leaves when there are more than `delay`. */
typedef struct reorder {
    ta_index_frame held[REORDER + 1];
    int count, delay;
    int64_t last_pts, length;
    uint64_t frames;
} reorder;

static int map_written(builder *b, written *w, ta_error *err)
{
    int r = flush(&b->out, err);
    if (r < 0)
        return r;
    w->size = (size_t)b->out.at;
    w->map = mmap(NULL, w->size, PROT_READ, MAP_SHARED, b->out.fd, 0);
    if (w->map == MAP_FAILED) {
        w->map = NULL;
        return ta_fail_errno(err, errno, true, "can't map", b->out.name);
    }
    w->pictures.records = (const void *)(w->map + sizeof(ta_index_header));
    w->pictures.video = (const void *)(w->pictures.records + b->head.records);
    w->pictures.count = b->head.packets;
    return 0;
}

static void unmap_written(written *w)
{
    if (w->map)
        munmap(w->map, w->size);
    *w = (written){ 0 };
}

static int write_video_table(builder *b, ta_error *err)
{
    written w = { 0 };
    int r = map_written(b, &w, err);
    for (uint64_t i = 0; i < b->head.records && r >= 0; i++) {
        uint32_t n = (uint32_t)i;
        if (w.pictures.records[i].stream == b->head.video)
            r = put(&b->out, &n, sizeof n, err);
        if (i % 65536 == 0 && ta_cancelled(b->source->cancel))
            r = ta_fail(err, TA_ERR_CANCELLED, "cancelled");
    }
    unmap_written(&w);
    return r < 0 ? r : align(&b->out, err);
}

/* What linear decoding does with the picture that leaves: one whose time does not rise is dropped. */
static int let_out(builder *b, reorder *o, ta_error *err)
{
    ta_index_frame f = o->held[0];
    memmove(o->held, o->held + 1, (size_t)--o->count * sizeof f);
    if (o->frames > 0 && f.pts <= o->last_pts)
        return 0;
    o->last_pts = f.pts;
    o->frames++;
    return put(&b->out, &f, sizeof f, err);
}

static int take_in(builder *b, reorder *o, ta_index_frame f, ta_error *err)
{
    int at = o->count++;
    for (; at > 0 && o->held[at - 1].pts > f.pts; at--)
        o->held[at] = o->held[at - 1];
    o->held[at] = f;
    return o->count > o->delay ? let_out(b, o, err) : 0;
}

static int64_t latest(const reorder *o)
{
    return o->count > 0 ? o->held[o->count - 1].pts : o->last_pts;
}

static int order_frames(builder *b, const ta_index_pictures *pictures, reorder *o, ta_error *err)
{
    int r = 0;
    for (uint64_t i = 0; i < pictures->count && r >= 0; i++) {
        const ta_index_packet *p = ta_index_picture(pictures, i);
        if (!ta_index_is_frame(p))
            continue;
        int64_t pts = ta_index_shown(pictures, i);
        bool first = o->frames == 0 && o->count == 0;
        if (pts == AV_NOPTS_VALUE)
            pts = first ? 0 : latest(o) + o->length;
        o->length = p->duration > 0 ? p->duration : 1;
        r = take_in(b, o, (ta_index_frame){ .pts = pts, .packet = (uint32_t)i }, err);
        if (i % 4096 == 0 && ta_cancelled(b->source->cancel))
            r = ta_fail(err, TA_ERR_CANCELLED, "cancelled");
    }
    while (r >= 0 && o->count > 0)
        r = let_out(b, o, err);
    return r;
}

static int write_frames(builder *b, ta_error *err)
{
    written w = { 0 };
    reorder o = { 0 };
    if (b->head.video < 0)
        return 0;
    const AVCodecParameters *p = ta_input_context(b->in)->streams[b->head.video]->codecpar;
    int r = map_written(b, &w, err);
    ta_index_set_delay(&w.pictures, (int)p->codec_id, p->video_delay);
    /* A window that any codec's reordering fits in; where it is known to be one picture, broken times stay broken. */
    o.delay = w.pictures.simple ? 1 : REORDER;
    if (r >= 0)
        r = order_frames(b, &w.pictures, &o, err);
    b->head.frames = o.frames;
    unmap_written(&w);
    return r < 0 ? r : align(&b->out, err);
}

/* ---- The whole ------------------------------------------------------------------------------------------------- */

static int write_streams(builder *b, ta_error *err)
{
    const AVFormatContext *ctx = ta_input_context(b->in);
    int r = 0;
    for (uint64_t i = 0; i < b->head.epochs && r >= 0; i++)
        r = put(&b->out, &b->epochs[i], sizeof b->epochs[i], err);
    for (unsigned i = 0; i < ctx->nb_streams && r >= 0; i++) {
        const AVStream *st = ctx->streams[i];
        ta_index_stream row = { .type = (int32_t)st->codecpar->codec_type,
                                .codec = (int32_t)st->codecpar->codec_id,
                                .id = st->id,
                                .num = st->time_base.num,
                                .den = st->time_base.den,
                                .delay = st->codecpar->video_delay,
                                .timed = (int)i == b->head.video && b->timed };
        r = put(&b->out, &row, sizeof row, err);
    }
    b->head.streams = ctx->nb_streams;
    return r < 0 ? r : flush(&b->out, err);
}

static int hash_map(const uint8_t *map, size_t size, uint8_t sum[TA_INDEX_DIGEST], ta_error *err)
{
    char hex[65];
    ta_sha256 *h = ta_sha256_new();
    if (!h)
        return ta_no_memory(err);
    ta_sha256_add(h, map, size);
    ta_sha256_end(&h, hex);
    for (int i = 0; i < TA_INDEX_DIGEST; i++) {
        unsigned v;
        if (sscanf(hex + 2 * i, "%2x", &v) != 1)
            return ta_fail(err, TA_ERR_SOFTWARE, "can't compute a SHA-256");
        sum[i] = (uint8_t)v;
    }
    return 0;
}

/* The header takes its place, then the digest of all goes to the end. */
static int seal(builder *b, ta_error *err)
{
    char hex[65];
    uint8_t sum[TA_INDEX_DIGEST];
    written w = { 0 };
    int r = ta_input_sha256(b->in, hex, err);
    if (r < 0)
        return r;
    memcpy(b->head.source_sha256, hex, sizeof b->head.source_sha256);
    if (pwrite(b->out.fd, &b->head, sizeof b->head, 0) != (ssize_t)sizeof b->head)
        return ta_fail_errno(err, errno, true, "can't write", b->out.name);
    r = map_written(b, &w, err);
    if (r >= 0)
        r = hash_map(w.map, w.size, sum, err);
    unmap_written(&w);
    if (r >= 0)
        r = put(&b->out, sum, sizeof sum, err);
    return r < 0 ? r : flush(&b->out, err);
}

static int write_all(builder *b, ta_error *err)
{
    int r = put(&b->out, &b->head, sizeof b->head, err);
    if (r >= 0)
        r = open_parser(b, err);
    if (r >= 0)
        r = read_packets(b, err);
    if (r >= 0)
        r = write_video_table(b, err);
    if (r >= 0)
        r = write_frames(b, err);
    if (r >= 0)
        r = write_streams(b, err);
    return r < 0 ? r : seal(b, err);
}

/* The stream that is meant: one of video, and what stands under this number in the opening that the caller knows. */
static bool has_stream(const builder *b)
{
    const AVFormatContext *ctx = ta_input_context(b->in);
    int v = b->source->stream;
    if (v < 0)
        return true;
    if (v >= (int)ctx->nb_streams || ctx->streams[v]->codecpar->codec_type != AVMEDIA_TYPE_VIDEO)
        return false;
    if (!b->source->known)
        return true;
    const AVFormatContext *known = ta_input_context(b->source->known);
    const AVStream *a = ctx->streams[v], *k = v < (int)known->nb_streams ? known->streams[v] : NULL;
    return k && k->id == a->id && k->codecpar->codec_id == a->codecpar->codec_id &&
           av_cmp_q(k->time_base, a->time_base) == 0;
}

/* Opened with the full look at the streams, not beside an input that is known: packets' durations come from the rates
 * that it finds. */
static int open_source(builder *b, ta_error *err)
{
    const ta_index_source *s = b->source;
    int r = ta_input_open_as(&b->in, s->path, TA_OPEN_HASHED, NULL, s->cancel, err);
    if (r < 0 || has_stream(b))
        return r;
    return ta_fail(err, TA_ERR_DATA, "'%s': stream %d is not the video stream that is meant", s->path, s->stream);
}

static int start(builder *b, const char *temp, ta_error *err)
{
    const ta_index_source *s = b->source;
    int r = open_source(b, err);
    if (r < 0)
        return r;
    b->head = (ta_index_header){ .magic = TA_INDEX_MAGIC_CHARS,
                                 .version = TA_INDEX_VERSION,
                                 .record_size = sizeof(ta_index_packet),
                                 .video = TA_MAX(s->stream, -1),
                                 .source_size = ta_io_size(ta_input_io(b->in)) };
    b->out.name = temp;
    b->out.buf = ta_alloc(WRITE_BUFFER);
    if (!b->out.buf)
        return ta_no_memory(err);
    b->out.fd = open(temp, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    return b->out.fd < 0 ? ta_fail_errno(err, errno, true, "can't open", temp) : 0;
}

static void clean_up(builder *b)
{
    ta_input_close(&b->in);
    av_parser_close(b->parser);
    avcodec_free_context(&b->codec);
    ta_free(b->epochs);
    ta_free(b->out.buf);
    if (b->out.fd >= 0)
        close(b->out.fd);
}

int ta_index_build(ta_index **ix, const char *file, const ta_index_source *source, ta_error *err)
{
    builder b = { .source = source, .out.fd = -1 };
    ta_publish *publish = NULL;
    *ix = NULL;
    int r = ta_publish_open(&publish, file, true, err);
    if (r >= 0)
        r = start(&b, ta_publish_temp(publish), err);
    if (r >= 0)
        r = write_all(&b, err);
    clean_up(&b);
    if (r >= 0)
        r = ta_publish_commit(&publish, err);
    ta_publish_abort(&publish);
    return r < 0 ? r : ta_index_open(ix, file, err);
}
