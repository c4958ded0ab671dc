/* Exact random access by an index: from any start point, decoding from two key frames before it shows the same pictures at
 * the same times as decoding the whole file does. The oracle is libav alone: its own opening, its own clock. */
#include "base_test.h"

#include <libavutil/adler32.h>
#include <libavutil/imgutils.h>

#include "media/media.h"

enum { STARTS = 10, LENGTH = 50, JOINT = 1, ANY_COUNT = 2 };

/* A picture as it was shown. */
typedef struct shown {
    int64_t pts;
    uint64_t hash;
} shown;

typedef struct film {
    shown *list;
    int count;
    AVRational time_base;
} film;

typedef struct clip {
    const char *name, *file, *make; /* shell, in the scratch folder */
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
    { "MPEG PS, closed groups", "a.mpg", FF PICTURE SOUND MPEG2 "-flags +cgop -sc_threshold 1000000000 -f dvd a.mpg", NULL, 0 },
    { "MPEG PS, several small pictures in a pack", "a.mpg",
      FF "-f lavfi -i color=gray:s=320x240:r=25:d=8 -c:v mpeg2video -g 12 -bf 2 -q:v 20 " BITEXACT "-f dvd a.mpg", NULL, 0 },
    { "MPEG TS", "a.ts", FF PICTURE SOUND MPEG2 "a.ts", NULL, 0 },
    { "MPEG TS, 33-bit wrap", "a.ts", FF PICTURE SOUND MPEG2 "-output_ts_offset 95441 a.ts", NULL, 0 },
    { "MPEG TS, two recordings joined", "a.ts",
      FF PICTURE MPEG2 "b.ts && " FF PICTURE "-vf hue=h=90 " MPEG2 "-output_ts_offset 3000 c.ts && cat b.ts c.ts > a.ts", NULL,
      JOINT },
    { "MPEG TS, H.264, two recordings joined, back in time", "a.ts",
      FF PICTURE X264 "-output_ts_offset 3000 b.ts && " FF PICTURE "-vf hue=h=90 " X264 "c.ts && cat b.ts c.ts > a.ts",
      NULL, JOINT },
    { "MPEG TS, cut anywhere", "a.ts", FF PICTURE SOUND MPEG2 "b.ts && tail -c +100001 b.ts > a.ts", NULL, ANY_COUNT },
    { "H.264 in TS, open groups", "a.ts", FF PICTURE SOUND X264 "-x264-params open-gop=1:ref=3 a.ts", NULL, 0 },
    { "H.264 in TS, MBAFF", "a.ts", FF PICTURE SOUND X264 "-flags +ildct+ilme -x264-params tff=1:cabac=1 a.ts", NULL, 0 },
    { "AVI, MPEG-4 with B-frames", "a.avi", FF PICTURE SOUND "-c:v mpeg4 -bf 2 -g 15 " BITEXACT "a.avi", NULL, 0 },
    { "AVI, H.264 with B-frames", "a.avi", FF PICTURE SOUND X264 "a.avi", NULL, 0 },
    { "AVI, DV", "a.avi",
      FF "-f lavfi -i testsrc2=s=720x576:r=25:d=1.2 -f lavfi -i sine=d=1.2:sample_rate=48000 -ac 2 -target pal-dv -f avi " BITEXACT
         "a.avi", NULL, 0 },
    { "raw DV", "a.dv",
      FF "-f lavfi -i testsrc2=s=720x576:r=25:d=1.2 -f lavfi -i sine=d=1.2:sample_rate=48000 -ac 2 -target pal-dv " BITEXACT "a.dv",
      NULL, 0 },
    { "MP4, H.264 with B-frames", "a.mp4", FF PICTURE SOUND X264 "a.mp4", NULL, 0 },
    { "MP4 with an edit list", "a.mp4", FF PICTURE SOUND X264 "b.mp4 && " FF "-ss 1.3 -i b.mp4 -c copy a.mp4", NULL, 0 },
    { "MOV, fragments", "a.mov", FF PICTURE SOUND X264 "-movflags +frag_keyframe+empty_moov a.mov", NULL, 0 },
    { "MKV", "a.mkv", FF PICTURE SOUND X264 "a.mkv", NULL, 0 },
    { "MKV without an index", "a.mkv", FF PICTURE SOUND X264 "-f matroska - | cat > a.mkv", NULL, 0 },
    { "MXF", "a.mxf", FF PICTURE "-c:v mpeg2video -g 12 -bf 2 -b:v 2M " BITEXACT "a.mxf", NULL, 0 },
    { "joined VOBs", "VTS_01_1.VOB",
      FF PICTURE SOUND MPEG2 "-f vob a.vob && head -c $((2048*300)) a.vob > VTS_01_1.VOB && "
         "tail -c +$((2048*300+1)) a.vob > VTS_01_2.VOB", "concat:VTS_01_1.VOB|VTS_01_2.VOB", 0 },
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
    if (pts == AV_NOPTS_VALUE && m->count > 1)
        pts = 2 * m->list[m->count - 1].pts - m->list[m->count - 2].pts;
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
        if (pts < last - second || pts > last + 10 * second)
            *offset += last + second / 25 - pts;
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
        if (pkt->stream_index == v)
            take_frames(dec, pkt, f, &m, &offset, flags);
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
    int64_t last = 0, step = 0;
    for (int more = 1, r = 0; r != TA_DECODER_END && m.count < wanted;) {
        ok(more = ta_input_read(in, pkt, &err));
        ok(ta_decoder_send(d, more ? pkt : NULL, &err));
        while ((r = ta_decoder_receive(d, f, &err)) > 0) {
            int64_t pts = f->pts != AV_NOPTS_VALUE ? f->pts : last + step;
            step = pts - last;
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
        film got = decode_from(in, video, pts, LENGTH);
        compare(c, truth, find(truth, pts), &got, LENGTH);
        free(got.list);
        ta_input_close(&in);
    }
    print_message("%s: open_at %.1f ms\n", c->name, cost / STARTS / 1000);
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
    make_clip(folder, c->make);
    assert_int_equal(chdir(folder), 0);
    film truth = decode_all(c->oracle ? c->oracle : c->file, c->flags);
    assert_int_equal(chdir("/"), 0);
    assert_true(truth.count > 20);
    ok(ta_input_open(&known, path, NULL, &err));
    ta_index_source source = { .path = path, .known = known, .stream = ta_input_video(known) };
    ok(ta_index_build(&ix, file, &source, &err));
    compare_frames(c, ix, &truth);
    try_starts(c, path, known, ix, &truth);
    ta_index_close(&ix);
    ta_input_close(&known);
    free(truth.list);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(pictures_are_those_of_linear_decoding),
    };
    av_log_set_level(AV_LOG_FATAL);
    return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}
