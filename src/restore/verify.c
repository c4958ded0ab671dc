/* Checking an output before it is published, and later against its sidecar: it is read from front to back, every packet
 * is counted and hashed, the pictures and sounds at the start, in the middle and at the end are decoded. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "restore/internal.h"

enum { MAX_CHECKED = 64, TAIL_PACKETS = 600, PROBE_FRAMES = 10, MAX_THREADS = 4 };

typedef struct checked_stream {
    ta_decoder *decoder;
    ta_sha256 *hash;
    AVPacket *tail[TAIL_PACKETS]; /* packets since the last key frame, for the check of the end */
    int n_tail;
    uint64_t packets;
    int64_t first_us, end_us;
    int frames; /* decoded so far */
    int wanted; /* decode until this many */
    bool middle_done;
} checked_stream;

typedef struct checker {
    ta_input *in;
    checked_stream s[MAX_CHECKED];
    unsigned n;
    int64_t length_us;
    uint64_t errors;
} checker;

static bool is_played(const AVStream *st)
{
    return st->codecpar->codec_type == AVMEDIA_TYPE_AUDIO ||
           (st->codecpar->codec_type == AVMEDIA_TYPE_VIDEO && !(st->disposition & AV_DISPOSITION_ATTACHED_PIC));
}

static void drop_tail(checked_stream *s)
{
    for (int i = 0; i < s->n_tail; i++)
        av_packet_free(&s->tail[i]);
    s->n_tail = 0;
}

static int decode_some(checked_stream *s, const AVPacket *pkt, ta_error *err)
{
    AVFrame *f = av_frame_alloc();
    int r = f ? ta_decoder_send(s->decoder, pkt, err) : ta_no_memory(err);
    while (r >= 0 && (r = ta_decoder_receive(s->decoder, f, err)) > 0) {
        s->frames++;
        av_frame_unref(f);
    }
    av_frame_free(&f);
    return r == TA_DECODER_END ? 0 : r;
}

/* Starts decoding anew at a key frame behind the middle. */
static void begin_middle(checker *c, checked_stream *s, const AVPacket *pkt, int64_t us)
{
    if (s->middle_done || us < c->length_us / 2 || !(pkt->flags & AV_PKT_FLAG_KEY))
        return;
    s->middle_done = true;
    ta_decoder_flush(s->decoder);
    s->wanted = s->frames + PROBE_FRAMES;
}

static int keep_tail(checked_stream *s, const AVPacket *pkt, ta_error *err)
{
    if (pkt->flags & AV_PKT_FLAG_KEY)
        drop_tail(s);
    if (s->n_tail == TAIL_PACKETS)
        return 0;
    AVPacket *copy = av_packet_clone(pkt);
    if (!copy)
        return ta_no_memory(err);
    s->tail[s->n_tail++] = copy;
    return 0;
}

static int check_packet(checker *c, const AVPacket *pkt, ta_error *err)
{
    const AVStream *st = ta_input_context(c->in)->streams[pkt->stream_index];
    checked_stream *s = &c->s[pkt->stream_index];
    int64_t t = pkt->pts != AV_NOPTS_VALUE ? pkt->pts : pkt->dts;
    int64_t us = av_rescale_q(t, st->time_base, AV_TIME_BASE_Q);
    s->packets++;
    ta_sha256_add(s->hash, pkt->data, (size_t)pkt->size);
    if (t != AV_NOPTS_VALUE) {
        s->first_us = TA_MIN(s->first_us, us);
        s->end_us = TA_MAX(s->end_us, us + av_rescale_q(pkt->duration, st->time_base, AV_TIME_BASE_Q));
    }
    if (!s->decoder)
        return 0;
    int r = keep_tail(s, pkt, err);
    begin_middle(c, s, pkt, us);
    return r >= 0 && s->frames < s->wanted ? decode_some(s, pkt, err) : r;
}

static int check_end(checker *c, checked_stream *s, ta_error *err)
{
    if (!s->decoder || !s->packets)
        return 0;
    int before = s->frames, r = 0;
    ta_decoder_flush(s->decoder);
    for (int i = 0; i < s->n_tail && r >= 0; i++)
        r = decode_some(s, s->tail[i], err);
    if (r >= 0)
        r = decode_some(s, NULL, err);
    if (r >= 0 && s->frames == before)
        r = ta_fail(err, TA_ERR_SOFTWARE, "the end of a stream can't be decoded");
    c->errors += ta_decoder_errors(s->decoder);
    return r;
}

/* The flow is over, so all CPUs are free for the pictures; their decoding is most of the check's time. */
static int decoder_threads(const AVStream *st)
{
    return st->codecpar->codec_type == AVMEDIA_TYPE_VIDEO ? TA_MIN(ta_cpu_count(), MAX_THREADS) : 1;
}

static int open_checks(checker *c, ta_error *err)
{
    AVFormatContext *ctx = ta_input_context(c->in);
    c->n = TA_MIN(ctx->nb_streams, MAX_CHECKED);
    c->length_us = TA_MAX(ta_input_duration_us(c->in), 0);
    for (unsigned i = 0; i < c->n; i++) {
        checked_stream *s = &c->s[i];
        s->first_us = INT64_MAX;
        s->end_us = INT64_MIN;
        s->wanted = PROBE_FRAMES;
        s->hash = ta_sha256_new();
        if (!s->hash)
            return ta_no_memory(err);
        const AVStream *st = ctx->streams[i];
        int r = is_played(st) ? ta_decoder_open(&s->decoder, st, decoder_threads(st), err) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_through(checker *c, ta_error *err)
{
    AVPacket *pkt = av_packet_alloc();
    int r = pkt ? 1 : ta_no_memory(err);
    while (r >= 0 && (r = ta_input_read(c->in, pkt, err)) > 0) {
        if ((unsigned)pkt->stream_index < c->n)
            r = check_packet(c, pkt, err);
        av_packet_unref(pkt);
    }
    av_packet_free(&pkt);
    for (unsigned i = 0; i < c->n && r >= 0; i++)
        r = check_end(c, &c->s[i], err);
    return r;
}

static void close_checks(checker *c)
{
    for (unsigned i = 0; i < MAX_CHECKED; i++) {
        drop_tail(&c->s[i]);
        ta_decoder_close(&c->s[i].decoder);
        ta_sha256_drop(&c->s[i].hash);
    }
    ta_input_close(&c->in);
}

/* A JSON array of {index, type, codec, packets, duration, sha256}. Ends the hashes. */
static json_t *stream_facts(checker *c)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < c->n; i++) {
        const AVStream *st = ta_input_context(c->in)->streams[i];
        const char *type = av_get_media_type_string(st->codecpar->codec_type);
        char hex[65];
        ta_sha256_end(&c->s[i].hash, hex);
        int64_t length = c->s[i].packets ? c->s[i].end_us - TA_MIN(c->s[i].first_us, c->s[i].end_us) : 0;
        json_array_append_new(list,
                              json_pack("{s:i, s:s, s:s, s:I, s:f, s:s}", "index", (int)i, "type", type ? type : "data",
                                        "codec", avcodec_get_name(st->codecpar->codec_id), "packets",
                                        (json_int_t)c->s[i].packets, "duration", (double)length / 1e6, "sha256", hex));
    }
    return list;
}

/* Opens, reads, decodes; the facts and the file's hash come out. */
static int check_file(const char *path, unsigned how, ta_cancel *cancel, checker *c, json_t **facts, char sha[65],
                      ta_error *err)
{
    int r = ta_input_open_as(&c->in, path, how, NULL, cancel, err);
    if (r >= 0)
        r = open_checks(c, err);
    if (r >= 0)
        r = read_through(c, err);
    if (r >= 0 && c->errors)
        r = ta_fail(err, TA_ERR_SOFTWARE, "%llu packets can't be decoded", (unsigned long long)c->errors);
    if (r >= 0)
        r = ta_input_sha256(c->in, sha, err);
    *facts = r >= 0 ? stream_facts(c) : NULL;
    return r;
}

/* ---- Before publishing ---------------------------------------------------------------------------------------------
 */

static int expect_streams(const ta_job *job, const checker *c, ta_error *err)
{
    unsigned expected = job->video >= 0 ? 1 : 0, found = 0;
    for (int i = 0; i < job->n_tracks; i++)
        expected += !job->tracks[i].dropped;
    /* MP4 and MOV keep chapters and the time code as data tracks of their own. */
    for (unsigned i = 0; i < c->n; i++)
        found += ta_input_context(c->in)->streams[i]->codecpar->codec_type != AVMEDIA_TYPE_DATA;
    if (found != expected)
        return ta_fail(err, TA_ERR_SOFTWARE, "it has %u streams instead of %u", found, expected);
    return 0;
}

/* The first stream is the video: as many packets as frames went into the encoder, and no longer than they. */
static int expect_video(const ta_job *job, const checker *c, ta_error *err)
{
    if (job->video < 0)
        return 0;
    uint64_t frames = atomic_load(&job->frames_out);
    if (c->s[0].packets != frames)
        return ta_fail(err, TA_ERR_SOFTWARE, "it has %llu pictures instead of %llu",
                       (unsigned long long)c->s[0].packets, (unsigned long long)frames);
    AVRational rate = job->encoding.frame_rate;
    int64_t frame = rate.num ? av_rescale(1000000, rate.den, rate.num) : 100000;
    int64_t last = job->last_out_us + frame + job->shift_us;
    if (llabs(c->s[0].end_us - last) > frame + 2000)
        return ta_fail(err, TA_ERR_SOFTWARE, "the picture ends at %.3f s instead of %.3f s",
                       (double)c->s[0].end_us / 1e6, (double)last / 1e6);
    return 0;
}

int ta_verify_result(ta_job *job, const char *path, ta_error *err)
{
    json_t *facts = NULL;
    checker *c = ta_alloc(sizeof *c);
    if (!c)
        return ta_no_memory(err);
    /* just written, so still in memory: a map spares a second copy of it all */
    int r = check_file(path, TA_OPEN_HASHED | TA_OPEN_MAPPED, job->cancel, c, &facts, job->output_sha256, err);
    if (r >= 0)
        r = expect_streams(job, c, err);
    if (r >= 0)
        r = expect_video(job, c, err);
    if (r >= 0) {
        job->stream_hashes = json_dumps(facts, JSON_COMPACT | JSON_REAL_PRECISION(9));
        job->output_bytes = ta_file_size(path);
        job->output_duration_us = ta_input_duration_us(c->in);
    } else if (r != TA_ERR_CANCELLED) {
        ta_wrap(err, "the finished file failed its check and is not published");
    }
    json_decref(facts);
    close_checks(c);
    ta_free(c);
    return r;
}

/* ---- Against a sidecar
 * ----------------------------------------------------------------------------------------------- */

static int compare_streams(const json_t *now, const json_t *then, ta_buf *report, ta_error *err)
{
    size_t i;
    json_t *a;
    int wrong = json_array_size(now) != json_array_size(then);
    json_array_foreach(now, i, a)
    {
        const json_t *b = json_array_get(then, i);
        const char *ha = json_string_value(json_object_get(a, "sha256"));
        const char *hb = json_string_value(json_object_get(b, "sha256"));
        bool same = ha && hb && strcmp(ha, hb) == 0;
        wrong += !same;
        ta_buf_addf(report, "stream %zu (%s, %s): %s\n", i, json_string_value(json_object_get(a, "type")),
                    json_string_value(json_object_get(a, "codec")), same ? "as written" : "CHANGED");
    }
    return wrong ? ta_fail(err, TA_ERR_DATA, "the streams are not those that were written") : 0;
}

static int compare(const char *path, json_t *sidecar, ta_cancel *cancel, ta_buf *report, ta_error *err)
{
    char sha[65] = "";
    json_t *facts = NULL;
    checker *c = ta_alloc(sizeof *c);
    if (!c)
        return ta_no_memory(err);
    int r = check_file(path, TA_OPEN_HASHED, cancel, c, &facts, sha, err);
    const json_t *out = json_object_get(sidecar, "output");
    const char *then = json_string_value(json_object_get(out, "sha256"));
    if (r >= 0) {
        bool same = then && strcmp(then, sha) == 0;
        ta_buf_addf(report, "file: %s\n", same ? "as written" : "CHANGED");
        ta_error streams = { 0 };
        r = compare_streams(facts, json_object_get(out, "streams"), report, &streams);
        if (!same || r < 0)
            r = ta_fail(err, TA_ERR_DATA, "'%s' is not what was written%s", path,
                        r < 0 ? "" : " (the streams are intact, the container was changed)");
    }
    json_decref(facts);
    close_checks(c);
    ta_free(c);
    return r;
}

int ta_verify_output(const char *path, ta_cancel *cancel, ta_buf *report, ta_error *err)
{
    char *side = ta_format("%s.json", path), *text = NULL;
    size_t size;
    if (!side)
        return ta_no_memory(err);
    int r = ta_file_size(path) < 0 ? ta_fail_errno(err, ENOENT, false, "open", path)
                                   : ta_read_file(side, 16u << 20, &text, &size, err);
    if (r < 0) {
        ta_free(side);
        return ta_hint(err, "the sidecar is the JSON file that `restore` writes beside its output");
    }
    json_error_t where;
    json_t *doc = json_loads(text, 0, &where);
    if (!doc)
        r = ta_fail(err, TA_ERR_DATA, "'%s', line %d: %s", side, where.line, where.text);
    else
        r = compare(path, doc, cancel, report, err);
    json_decref(doc);
    ta_free(text);
    ta_free(side);
    return r;
}
