/* Exact random access by an index: from any start point, decoding from two key frames before it shows the same pictures
 * at the same times as decoding the whole file does. The oracle is libav alone: its own opening, its own clock. */
#include "base_test.h"

#include <libavutil/adler32.h>
#include <libavutil/imgutils.h>

#include "media/media.h"
#include "paff.h"

enum { STARTS = 10, LENGTH = 50, JOINT = 1, ANY_COUNT = 2, SOUND_JOINT = 4, UNTIMED = 8, PAIRED = 16 };

/* A picture as it was shown. */
typedef struct shown {
    int64_t pts;
    uint64_t hash;
} shown;

/* A packet as libav alone reads it. */
typedef struct bare_packet {
    int64_t pts, dts, pos, duration;
    int size, flags;
} bare_packet;

typedef struct film {
    bare_packet *packets;
    int n_packets;
    shown *list;
    int count;
    int64_t length; /* of the last one */
    int joint;      /* the first picture of the second recording */
    AVRational time_base;
} film;

typedef struct clip {
    const char *name, *file, *make; /* shell, in the scratch folder; NULL = make_paff */
    const char *oracle;             /* what libav opens instead, NULL = `file` */
    int flags;
} clip;

#define FF "ffmpeg -v error -nostdin -y "
#define PICTURE "-f lavfi -i testsrc2=s=320x240:r=25:d=5 "
#define SOUND "-f lavfi -i sine=d=5:sample_rate=48000 "
#define BITEXACT "-bitexact -threads 1 "
#define MPEG2 "-c:v mpeg2video -g 12 -bf 2 -b:v 2M -c:a mp2 " BITEXACT
#define X264 "-c:v libx264 -preset ultrafast -g 20 -bf 3 -b_strategy 0 -sc_threshold 0 -c:a mp2 " BITEXACT

static const clip clips[] = {
    { "MPEG PS, open groups", "a.mpg", FF PICTURE SOUND MPEG2 "-f dvd a.mpg", NULL, 0 },
    { "MPEG PS, closed groups", "a.mpg", FF PICTURE SOUND MPEG2 "-flags +cgop -sc_threshold 1000000000 -f dvd a.mpg",
      NULL, 0 },
    { "MPEG PS, several small pictures in a pack", "a.mpg",
      FF "-f lavfi -i color=gray:s=320x240:r=25:d=8 -c:v mpeg2video -g 12 -bf 2 -q:v 20 " BITEXACT "-f dvd a.mpg", NULL,
      0 },
    { "MPEG TS", "a.ts", FF PICTURE SOUND MPEG2 "a.ts", NULL, 0 },
    { "MPEG TS, 33-bit wrap", "a.ts", FF PICTURE SOUND MPEG2 "-output_ts_offset 95441 a.ts", NULL, 0 },
    { "MPEG TS, two recordings joined", "a.ts",
      FF PICTURE MPEG2 "b.ts && " FF PICTURE "-vf hue=h=90 " MPEG2
                       "-output_ts_offset 3000 c.ts && cat b.ts c.ts > a.ts",
      NULL, JOINT },
    { "MPEG TS, H.264, two recordings joined, back in time", "a.ts",
      FF PICTURE X264 "-output_ts_offset 3000 b.ts && " FF PICTURE "-vf hue=h=90 " X264 "c.ts && cat b.ts c.ts > a.ts",
      NULL, JOINT },
    { "MPEG TS, cut anywhere", "a.ts", FF PICTURE SOUND MPEG2 "b.ts && tail -c +100001 b.ts > a.ts", NULL, ANY_COUNT },
    { "H.264 in TS, open groups", "a.ts", FF PICTURE SOUND X264 "-x264-params open-gop=1:ref=3 a.ts", NULL, 0 },
    { "H.264 in TS, MBAFF", "a.ts", FF PICTURE SOUND X264 "-flags +ildct+ilme -x264-params tff=1:cabac=1 a.ts", NULL,
      0 },
    { "AVI, MPEG-4 with B-frames", "a.avi", FF PICTURE SOUND "-c:v mpeg4 -bf 2 -g 15 " BITEXACT "a.avi", NULL, 0 },
    { "AVI, H.264 with B-frames", "a.avi", FF PICTURE SOUND X264 "a.avi", NULL, 0 },
    { "AVI, DV", "a.avi",
      FF "-f lavfi -i testsrc2=s=720x576:r=25:d=1.2 -f lavfi -i sine=d=1.2:sample_rate=48000 -ac 2 -target pal-dv -f "
         "avi " BITEXACT "a.avi",
      NULL, 0 },
    { "raw DV", "a.dv",
      FF "-f lavfi -i testsrc2=s=720x576:r=25:d=1.2 -f lavfi -i sine=d=1.2:sample_rate=48000 -ac 2 -target "
         "pal-dv " BITEXACT "a.dv",
      NULL, 0 },
    { "MP4, H.264 with B-frames", "a.mp4", FF PICTURE SOUND X264 "a.mp4", NULL, 0 },
    { "MP4 with an edit list", "a.mp4", FF PICTURE SOUND X264 "b.mp4 && " FF "-ss 1.3 -i b.mp4 -c copy a.mp4", NULL,
      0 },
    { "MOV, fragments", "a.mov", FF PICTURE SOUND X264 "-movflags +frag_keyframe+empty_moov a.mov", NULL, 0 },
    { "MKV", "a.mkv", FF PICTURE SOUND X264 "a.mkv", NULL, 0 },
    { "MKV without an index", "a.mkv", FF PICTURE SOUND X264 "-f matroska - | cat > a.mkv", NULL, 0 },
    { "MXF", "a.mxf", FF PICTURE "-c:v mpeg2video -g 12 -bf 2 -b:v 2M " BITEXACT "a.mxf", NULL, 0 },
    { "raw MPEG-2", "a.m2v", FF PICTURE "-c:v mpeg2video -g 12 -bf 2 -b:v 2M " BITEXACT "a.m2v", NULL, 0 },
    { "raw H.264", "a.264", FF PICTURE X264 "a.264", NULL, UNTIMED },
    { "HEVC in MKV", "a.mkv",
      FF PICTURE "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=20:bframes=3:open-gop=1 a.mkv",
      NULL, 0 },
    { "TS, H.264, intra refresh", "a.ts", FF PICTURE SOUND X264 "-x264-params intra-refresh=1 a.ts", NULL, 0 },
    { "MPEG TS, two recordings joined, with sound", "a.ts",
      FF PICTURE SOUND MPEG2 "b.ts && " FF PICTURE SOUND "-vf hue=h=90 " MPEG2
                             "-output_ts_offset 3000 c.ts && cat b.ts c.ts > a.ts",
      NULL, JOINT | SOUND_JOINT },
    { "H.264 in TS, PAFF, a packet for each field", "a.ts", NULL, NULL, 0 },
    { "H.264 in TS, PAFF, a packet for both fields", "a.ts", NULL, NULL, PAIRED },
    { "joined VOBs", "VTS_01_1.VOB",
      FF PICTURE SOUND MPEG2 "-f vob a.vob && head -c $((2048*300)) a.vob > VTS_01_1.VOB && "
                             "tail -c +$((2048*300+1)) a.vob > VTS_01_2.VOB",
      "concat:VTS_01_1.VOB|VTS_01_2.VOB", 0 },
};

/* ---- The oracle ------------------------------------------------------------------------------------------------ */

static uint64_t hash_picture(const AVFrame *f)
{
    int size = av_image_get_buffer_size((enum AVPixelFormat)f->format, f->width, f->height, 1);
    uint8_t *flat = malloc((size_t)size);
    assert_non_null(flat);
    assert_int_equal(av_image_copy_to_buffer(flat, size, (const uint8_t *const *)f->data, f->linesize,
                                             (enum AVPixelFormat)f->format, f->width, f->height, 1),
                     size);
    uint64_t h = 1469598103934665603u; /* FNV-1a */
    for (int i = 0; i < size; i++)
        h = (h ^ flat[i]) * 1099511628211u;
    free(flat);
    return h;
}

/* What leaves the decoder when it is drained may have no time: it follows its predecessor. */
static void add_shown(film *m, int64_t pts, const AVFrame *f)
{
    if (pts == AV_NOPTS_VALUE)
        pts = m->count > 0 ? m->list[m->count - 1].pts + m->length : 0;
    m->length = f->pkt_duration;
    if (m->count % 256 == 0)
        m->list = realloc(m->list, sizeof *m->list * (size_t)(m->count + 256));
    assert_non_null(m->list);
    m->list[m->count++] = (shown){ pts, hash_picture(f) };
}

/* Two recordings one after the other: the second goes on one picture behind the first's end. */
static int64_t unwrap(film *m, int64_t raw, int64_t *offset)
{
    int64_t pts = raw + *offset, second = av_rescale_q(1, (AVRational){ 1, 1 }, m->time_base);
    if (m->count > 0) {
        int64_t last = m->list[m->count - 1].pts;
        if (pts < last - second || pts > last + 10 * second) {
            *offset += last + second / 25 - pts;
            m->joint = m->count;
        }
    }
    return raw + *offset;
}

static void take_frames(AVCodecContext *dec, const AVPacket *pkt, AVFrame *f, film *m, int64_t *offset, int flags)
{
    avcodec_send_packet(dec, pkt);
    while (avcodec_receive_frame(dec, f) >= 0) {
        int64_t pts = f->best_effort_timestamp;
        add_shown(m, flags & JOINT ? unwrap(m, pts, offset) : pts, f);
    }
}

static void add_packet(film *m, const AVPacket *p)
{
    if (m->n_packets % 256 == 0)
        m->packets = realloc(m->packets, sizeof *m->packets * (size_t)(m->n_packets + 256));
    assert_non_null(m->packets);
    m->packets[m->n_packets++] = (bare_packet){ p->pts, p->dts, p->pos, p->duration, p->size, p->flags };
}

static void free_film(film *m)
{
    free(m->list);
    free(m->packets);
}

static film decode_all(const char *url, int flags)
{
    film m = { 0 };
    AVFormatContext *ctx = NULL;
    AVPacket *pkt = av_packet_alloc();
    AVFrame *f = av_frame_alloc();
    int64_t offset = 0;
    assert_int_equal(avformat_open_input(&ctx, url, NULL, NULL), 0);
    assert_true(avformat_find_stream_info(ctx, NULL) >= 0);
    int v = av_find_best_stream(ctx, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    assert_true(v >= 0);
    m.time_base = ctx->streams[v]->time_base;
    AVCodecContext *dec = avcodec_alloc_context3(NULL);
    assert_int_equal(avcodec_parameters_to_context(dec, ctx->streams[v]->codecpar), 0);
    dec->pkt_timebase = m.time_base;
    assert_int_equal(avcodec_open2(dec, avcodec_find_decoder(dec->codec_id), NULL), 0);
    while (av_read_frame(ctx, pkt) >= 0) {
        if (pkt->stream_index == v) {
            add_packet(&m, pkt);
            take_frames(dec, pkt, f, &m, &offset, flags);
        }
        av_packet_unref(pkt);
    }
    take_frames(dec, NULL, f, &m, &offset, flags);
    avcodec_free_context(&dec);
    avformat_close_input(&ctx);
    av_packet_free(&pkt);
    av_frame_free(&f);
    return m;
}

/* ---- Ours ------------------------------------------------------------------------------------------------------ */

#define ok(call) assert_ok((call), &err)

static void assert_ok(int r, const ta_error *err)
{
    char text[2048];
    if (r < 0)
        fail_msg("%s", ta_error_string(err, text, sizeof text));
}

/* Decodes on until `wanted` pictures at or behind `from` were shown. */
static film decode_from(ta_input *in, int video, int64_t from, int wanted)
{
    film m = { 0 };
    ta_error err;
    ta_decoder *d;
    AVPacket *pkt = av_packet_alloc();
    AVFrame *f = av_frame_alloc();
    ok(ta_decoder_open(&d, ta_input_context(in)->streams[video], 2, &err));
    int64_t last = 0, length = 0;
    for (int more = 1, r = 0; r != TA_DECODER_END && m.count < wanted;) {
        ok(more = ta_input_read(in, pkt, &err));
        if (more)
            add_packet(&m, pkt);
        ok(ta_decoder_send(d, more ? pkt : NULL, &err));
        while ((r = ta_decoder_receive(d, f, &err)) > 0) {
            int64_t pts = f->pts != AV_NOPTS_VALUE ? f->pts : last + length;
            length = f->pkt_duration;
            last = pts;
            if (pts >= from && m.count < wanted)
                add_shown(&m, pts, f);
        }
        av_packet_unref(pkt);
        if (!more)
            assert_int_equal(r, TA_DECODER_END);
    }
    ta_decoder_close(&d);
    av_packet_free(&pkt);
    av_frame_free(&f);
    return m;
}

static int find(const film *m, int64_t pts)
{
    for (int i = 0; i < m->count; i++)
        if (m->list[i].pts == pts)
            return i;
    return -1;
}

static void compare(const clip *c, const film *truth, int at, const film *got, int wanted)
{
    if (got->count != TA_MIN(wanted, truth->count - at))
        fail_msg("%s: from picture %d: %d pictures", c->name, at, got->count);
    for (int i = 0; i < got->count; i++) {
        const shown *t = &truth->list[at + i], *g = &got->list[i];
        if (t->pts != g->pts)
            fail_msg("%s: picture %d (+%d): pts %" PRId64 ", not %" PRId64, c->name, at, i, g->pts, t->pts);
        if (t->hash != g->hash)
            fail_msg("%s: picture %d (+%d) differs", c->name, at, i);
    }
}

static void compare_packets(const clip *c, const film *truth, int64_t at, const film *got)
{
    bool timed = !(c->flags & (JOINT | UNTIMED));
    assert_true(got->n_packets > 0 && at + got->n_packets <= truth->n_packets);
    for (int i = 0; i < got->n_packets; i++) {
        const bare_packet *t = &truth->packets[at + i], *g = &got->packets[i];
        bool same = t->size == g->size && t->flags == g->flags && t->pos == g->pos && t->duration == g->duration;
        if (!same || (timed && (t->pts != g->pts || t->dts != g->dts)))
            fail_msg("%s: packet %d (+%d): pts %" PRId64 " dts %" PRId64 " size %d flags %x pos %" PRId64
                     " duration %" PRId64 ", not pts %" PRId64 " dts %" PRId64 " size %d flags %x pos %" PRId64
                     " duration %" PRId64,
                     c->name, (int)at, i, g->pts, g->dts, g->size, g->flags, g->pos, g->duration, t->pts, t->dts,
                     t->size, t->flags, t->pos, t->duration);
    }
}

static void compare_frames(const clip *c, const ta_index *ix, const film *truth)
{
    int64_t n = ta_index_frames(ix);
    if (!(c->flags & ANY_COUNT) && n != truth->count)
        fail_msg("%s: %d frames in the index, %d shown", c->name, (int)n, truth->count);
    for (int i = 0; i < truth->count; i++) {
        int64_t at = ta_index_frame_at(ix, truth->list[i].pts);
        assert_true(at >= 0);
        if (ta_index_frame_pts(ix, at) != truth->list[i].pts)
            fail_msg("%s: picture %d: pts %" PRId64 " in the index, shown at %" PRId64, c->name, i,
                     ta_index_frame_pts(ix, at), truth->list[i].pts);
    }
}

static void try_starts(const clip *c, const char *path, ta_input *known, const ta_index *ix, const film *truth)
{
    ta_error err;
    int video = ta_index_video(ix);
    double cost = 0;
    for (int i = 0; i < STARTS; i++) {
        int64_t frame = ta_index_frame_at(ix, truth->list[(truth->count - 1) * i / (STARTS - 1)].pts);
        int64_t pts = ta_index_frame_pts(ix, frame), packet = ta_index_key_before(ix, frame, 2);
        ta_input *in;
        int64_t start = ta_now_us();
        ok(ta_input_open_at(&in, path, known, ix, packet, NULL, &err));
        cost += (double)(ta_now_us() - start);
        if (getenv("VERBOSE")) {
            ta_input_stats st;
            ta_input_get_stats(in, &st);
            print_message("  frame %d packet %d pos %" PRId64 ": %" PRIu64 " bytes, %" PRIu64 " packets of %" PRId64
                          " bytes\n",
                          (int)frame, (int)packet, ta_index_packet_at(ix, packet)->pos, st.bytes, st.packets,
                          ta_index_source_size(ix));
        }
        film got = decode_from(in, video, pts, LENGTH);
        compare_packets(c, truth, packet, &got);
        compare(c, truth, find(truth, pts), &got, LENGTH);
        free_film(&got);
        ta_input_close(&in);
    }
    print_message("%s: open_at %.1f ms\n", c->name, cost / STARTS / 1000);
}

/* Where the sound of the first recording is longer than its picture, the second starts behind the sound. */
static void shift_joint(film *truth, const ta_index *ix)
{
    int64_t by = ta_index_frame_pts(ix, truth->joint) - truth->list[truth->joint].pts;
    int64_t picture = truth->list[1].pts - truth->list[0].pts;
    assert_true(truth->joint > 0);
    assert_in_range(by, 0, picture);
    for (int i = truth->joint; i < truth->count; i++)
        truth->list[i].pts += by;
}

static void make_clip(const char *folder, const char *command)
{
    char *line = ta_format("cd '%s' && %s", folder, command);
    assert_non_null(line);
    if (system(line) != 0)
        fail_msg("%s", line);
    ta_free(line);
}

static void same_as_linear(const char *folder, const clip *c)
{
    ta_error err;
    ta_input *known;
    ta_index *ix;
    char *path = ta_path_join(folder, c->file), *file = ta_path_join(folder, "index");
    if (c->make)
        make_clip(folder, c->make);
    else
        make_paff(path, c->flags & PAIRED);
    assert_int_equal(chdir(folder), 0);
    film truth = decode_all(c->oracle ? c->oracle : c->file, c->flags);
    assert_int_equal(chdir("/"), 0);
    assert_true(truth.count > 20);
    ok(ta_input_open(&known, path, NULL, &err));
    ta_index_source source = { .path = path, .known = known, .stream = ta_input_video(known) };
    ok(ta_index_build(&ix, file, &source, &err));
    if (c->flags & SOUND_JOINT)
        shift_joint(&truth, ix);
    compare_frames(c, ix, &truth);
    try_starts(c, path, known, ix, &truth);
    ta_index_close(&ix);
    ta_input_close(&known);
    free_film(&truth);
    ta_free(path);
    ta_free(file);
}

static void pictures_are_those_of_linear_decoding(void **state)
{
    for (size_t i = 0; i < TA_COUNT(clips); i++) {
        const char *only = getenv("CLIP");
        char name[32];
        if (only && !strstr(clips[i].name, only))
            continue;
        snprintf(name, sizeof name, "%zu", i);
        const char *folder = in(state, name);
        assert_int_equal(mkdir(folder, 0700), 0);
        same_as_linear(folder, &clips[i]);
        ta_remove_tree(folder, NULL);
    }
}

/* ---- The file, and sources that fail ----------------------------------------------------------------------------- */

#define SMALL FF "-f lavfi -i testsrc2=s=160x120:r=25:d=2 -f lavfi -i sine=d=2 " MPEG2 "a.ts"

static int build(const char *file, const char *path, int stream, ta_index **ix, ta_error *err)
{
    ta_index_source source = { .path = path, .stream = stream };
    return ta_index_build(ix, file, &source, err);
}

static void change_byte(const char *path, int64_t at)
{
    uint8_t b;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &b, 1, at), 1);
    b ^= 0x10;
    assert_int_equal(pwrite(fd, &b, 1, at), 1);
    close(fd);
}

static void note_progress(void *opaque, double fraction)
{
    double *last = opaque;
    assert_true(fraction >= *last && fraction <= 1);
    *last = fraction;
}

static void progress_rises(void **state)
{
    ta_error err;
    ta_index *ix;
    double last = 0;
    make_clip(*state, FF PICTURE MPEG2 "a.ts");
    ta_index_source source = { .path = in(state, "a.ts"), .progress = note_progress, .opaque = &last };
    assert_int_equal(ta_index_build(&ix, in(state, "index"), &source, &err), TA_OK);
    assert_true(last > 0.9);
    ta_index_close(&ix);
}

static void hash_is_that_of_sha256sum(void **state)
{
    ta_error err;
    ta_index *ix;
    char hex[65] = "";
    make_clip(*state, SMALL " && sha256sum a.ts > sum");
    ok(build(in(state, "index"), in(state, "a.ts"), 0, &ix, &err));
    FILE *f = fopen(in(state, "sum"), "r");
    assert_int_equal(fscanf(f, "%64s", hex), 1);
    fclose(f);
    assert_string_equal(ta_index_source_sha256(ix), hex);
    assert_int_equal(ta_index_source_size(ix), ta_file_size(in(state, "a.ts")));
    ta_index_close(&ix);
}

static void any_damage_is_noticed(void **state)
{
    ta_error err;
    ta_index *ix;
    const char *file = in(state, "index");
    make_clip(*state, SMALL);
    ok(build(file, in(state, "a.ts"), 0, &ix, &err));
    ta_index_close(&ix);
    int64_t size = ta_file_size(file);
    for (int64_t at = 0; at < size; at += TA_MAX(size / 97, 1)) {
        change_byte(file, at);
        assert_int_equal(ta_index_open(&ix, file, &err), TA_ERR_DATA);
        assert_null(ix);
        change_byte(file, at);
    }
    ok(ta_index_open(&ix, file, &err));
    ta_index_close(&ix);
    for (int64_t cut = 0; cut < 200; cut += 40) {
        assert_int_equal(truncate(file, cut), 0);
        assert_int_equal(ta_index_open(&ix, file, &err), TA_ERR_DATA);
    }
    assert_int_equal(ta_index_open(&ix, in(state, "none"), &err), TA_ERR_NOINPUT);
}

/* A failed build leaves an older index as it was, and nothing else. */
static void failed_build_leaves_nothing(void **state)
{
    ta_error err;
    ta_index *ix;
    ta_cancel *cancel = ta_cancel_new(NULL);
    const char *file = in(state, "index");
    put_file(file, "old");
    assert_int_equal(build(file, in(state, "none.mpg"), 0, &ix, &err), TA_ERR_NOINPUT);
    assert_null(ix);
    make_clip(*state, SMALL);
    ta_cancel_set(cancel);
    ta_index_source source = { .path = in(state, "a.ts"), .stream = 0, .cancel = cancel };
    assert_int_equal(ta_index_build(&ix, file, &source, &err), TA_ERR_CANCELLED);
    assert_int_equal(build(file, in(state, "a.ts"), 1, &ix, &err), TA_ERR_DATA);
    assert_content(file, "old");
    assert_int_equal(entries(*state), 2);
    assert_int_equal(build(in(state, "no/index"), in(state, "a.ts"), 0, &ix, &err), TA_ERR_CANTCREATE);
    ta_cancel_free(&cancel);
}

static void every_allocation_may_fail(void **state)
{
    ta_error err;
    ta_index *ix;
    ta_input *input;
    char *file = ta_path_join(*state, "index"), *path = ta_path_join(*state, "a.ts");
    make_clip(*state, SMALL);
    uint64_t count = 1;
    for (uint64_t i = 1; i <= count; i++) {
        ta_alloc_fail_at(i);
        int r = build(file, path, 0, &ix, &err);
        if (r >= 0 && (r = ta_input_open_at(&input, path, NULL, ix, 12, NULL, &err)) >= 0)
            ta_input_close(&input);
        count = ta_alloc_fail_at(0);
        assert_true(r == 0 || r == TA_ERR_AGAIN);
        if (i <= count)
            assert_int_equal(r, TA_ERR_AGAIN);
        ta_index_close(&ix);
        assert_int_equal(entries(*state), exists(file) ? 2 : 1);
    }
    ta_free(file);
    ta_free(path);
}

/* Never a wrong packet: a source that was changed behind its index is found out where the change lies. */
static void changed_source_is_noticed(void **state)
{
    ta_error err;
    ta_index *ix;
    ta_input *input;
    const char *path = in(state, "a.ts");
    AVPacket *pkt = av_packet_alloc();
    make_clip(*state, SMALL);
    ok(build(in(state, "index"), path, 0, &ix, &err));
    int64_t wanted[] = { 0, 24, 12 };
    ok(ta_index_check(ix, path, NULL, wanted, 3, NULL, &err));
    change_byte(path, ta_index_packet_at(ix, 24)->pos + 150);
    assert_int_equal(ta_index_check(ix, path, NULL, wanted, 3, NULL, &err), TA_ERR_DATA);
    assert_non_null(strstr(err.hint, "changed"));
    ok(ta_input_open_at(&input, path, NULL, ix, 12, NULL, &err));
    for (int i = 12; i < 24; i++) {
        assert_int_equal(ta_input_read(input, pkt, &err), 1);
        assert_int_equal(pkt->dts, ta_index_packet_at(ix, i)->dts);
        av_packet_unref(pkt);
    }
    assert_int_equal(ta_input_read(input, pkt, &err), TA_ERR_DATA);
    ta_input_close(&input);
    assert_int_equal(truncate(path, ta_file_size(path) - 188), 0);
    assert_int_equal(ta_input_open_at(&input, path, NULL, ix, 12, NULL, &err), TA_ERR_DATA);
    assert_null(input);
    av_packet_free(&pkt);
    ta_index_close(&ix);
}

/* All packets from a start on, with what the linear reading gave: the index is that reading. */
static void packets_are_those_of_the_linear_reading(void **state)
{
    ta_error err;
    ta_index *ix;
    ta_input *linear, *later;
    const char *path = in(state, "a.ts");
    AVPacket *a = av_packet_alloc(), *b = av_packet_alloc();
    make_clip(*state, SMALL);
    ok(build(in(state, "index"), path, 0, &ix, &err));
    ok(ta_input_open(&linear, path, NULL, &err));
    ok(ta_input_open_at(&later, path, linear, ix, 20, NULL, &err));
    ta_input_select(linear, 1);
    int n = 0;
    for (; ta_input_read(linear, a, &err) > 0; n++) {
        if (n >= 20) {
            assert_int_equal(ta_input_read(later, b, &err), 1);
            assert_true(a->pts == b->pts && a->dts == b->dts && a->flags == b->flags && a->duration == b->duration &&
                        a->pos == b->pos && a->size == b->size);
            assert_memory_equal(a->data, b->data, a->size);
        }
        av_packet_unref(a);
        av_packet_unref(b);
    }
    assert_int_equal(n, ta_index_packets(ix));
    assert_int_equal(ta_input_read(later, b, &err), 0);
    ok(ta_input_go_to(later, ix, 3, &err));
    assert_int_equal(ta_input_read(later, b, &err), 1);
    assert_int_equal(b->dts, ta_index_packet_at(ix, 3)->dts);
    av_packet_free(&a);
    av_packet_free(&b);
    ta_input_close(&later);
    ta_input_close(&linear);
    ta_index_close(&ix);
}

static void sound_alone_has_no_frames(void **state)
{
    ta_error err;
    ta_index *ix;
    make_clip(*state, FF "-f lavfi -i sine=d=2 -c:a mp2 a.mp2");
    ok(build(in(state, "index"), in(state, "a.mp2"), -1, &ix, &err));
    assert_int_equal(ta_index_frames(ix), 0);
    assert_int_equal(ta_index_packets(ix), 0);
    assert_int_equal(ta_index_video(ix), -1);
    assert_true(ta_index_records(ix) > 50);
    ta_index_close(&ix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(hash_is_that_of_sha256sum),
        SCRATCH_TEST(progress_rises),
        SCRATCH_TEST(any_damage_is_noticed),
        SCRATCH_TEST(failed_build_leaves_nothing),
        SCRATCH_TEST(every_allocation_may_fail),
        SCRATCH_TEST(changed_source_is_noticed),
        SCRATCH_TEST(packets_are_those_of_the_linear_reading),
        SCRATCH_TEST(sound_alone_has_no_frames),
        SCRATCH_TEST(pictures_are_those_of_linear_decoding),
    };
    av_log_set_level(AV_LOG_FATAL);
    return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}
