/* A small H.264 stream (ITU-T H.264, 64x64) whose pictures are pairs of fields, each field its own access unit, as
 * broadcasts have them and x264 can't make them. First fields hold some I_PCM macroblocks, all other macroblocks are
 * skipped: what a picture shows depends on those before it. */
#ifndef PAFF_H
#define PAFF_H

#include <libavformat/avformat.h>

enum { PAFF_FRAMES = 100, PAFF_GROUP = 10, PAFF_BYTES = 8192 };

typedef struct bits {
    uint8_t data[PAFF_BYTES];
    unsigned n; /* bits */
} bits;

static inline void put_bits(bits *b, unsigned count, unsigned value)
{
    while (count-- > 0) {
        if (value >> count & 1)
            b->data[b->n / 8] |= (uint8_t)(0x80 >> b->n % 8);
        b->n++;
    }
}

static inline void put_ue(bits *b, unsigned value)
{
    unsigned length = 0;
    while ((value + 1) >> (length + 1))
        length++;
    put_bits(b, length, 0);
    put_bits(b, length + 1, value + 1);
}

/* Start code, header, payload with emulation prevention. */
static inline void put_nal(AVPacket *pkt, int header, bits *b)
{
    uint8_t out[2 * PAFF_BYTES] = { 0, 0, 0, 1, (uint8_t)header };
    int n = 5, zeros = 0;
    put_bits(b, 1, 1);
    for (unsigned i = 0; i < (b->n + 7) / 8; i++) {
        if (zeros >= 2 && b->data[i] <= 3) {
            out[n++] = 3;
            zeros = 0;
        }
        out[n++] = b->data[i];
        zeros = b->data[i] ? 0 : zeros + 1;
    }
    int at = pkt->size;
    assert_int_equal(at ? av_grow_packet(pkt, n) : av_new_packet(pkt, n), 0);
    memcpy(pkt->data + at, out, (size_t)n);
}

static inline void put_sets(AVPacket *pkt)
{
    bits sps = { 0 }, pps = { 0 };
    put_bits(&sps, 24, 77 << 16 | 30); /* Main, level 3 */
    put_ue(&sps, 0);                   /* id */
    put_ue(&sps, 0);                   /* frame_num: 4 bits */
    put_ue(&sps, 0);                   /* order count type 0 */
    put_ue(&sps, 4);                   /* of 8 bits */
    put_ue(&sps, 1);                   /* reference frames */
    put_bits(&sps, 1, 0);
    put_ue(&sps, 3);      /* 4 macroblocks wide */
    put_ue(&sps, 1);      /* fields of 2 macroblocks */
    put_bits(&sps, 2, 0); /* interlaced, no MBAFF */
    put_bits(&sps, 3, 4); /* direct 8x8; no cropping, no VUI */
    put_nal(pkt, 0x67, &sps);
    put_ue(&pps, 0);
    put_ue(&pps, 0);
    put_bits(&pps, 2, 0); /* CAVLC */
    put_ue(&pps, 0);      /* slice groups */
    put_ue(&pps, 0);
    put_ue(&pps, 0);
    put_bits(&pps, 3, 0); /* no weights */
    put_ue(&pps, 0);
    put_ue(&pps, 0);
    put_ue(&pps, 0);
    put_bits(&pps, 3, 4); /* deblocking is said in slices */
    put_nal(pkt, 0x68, &pps);
}

static inline void put_pcm(bits *b, unsigned type, unsigned *seed)
{
    put_ue(b, type);
    b->n = (b->n + 7) / 8 * 8;
    for (int i = 0; i < 384; i++) {
        *seed = *seed * 1664525 + 1013904223;
        put_bits(b, 8, 16 + (*seed >> 24) % 200);
    }
}

/* One field of frame `n`. */
static inline void put_field(AVPacket *pkt, unsigned n, bool bottom, unsigned *seed)
{
    bits b = { 0 };
    unsigned k = n % PAFF_GROUP;
    bool idr = k == 0 && !bottom;
    put_ue(&b, 0);
    put_ue(&b, idr ? 7 : 5);
    put_ue(&b, 0);
    put_bits(&b, 4, k);
    put_bits(&b, 1, 1);
    put_bits(&b, 1, bottom);
    if (idr)
        put_ue(&b, n / PAFF_GROUP % 2);
    put_bits(&b, 8, 2 * k + bottom);
    put_bits(&b, 2, 0); /* IDR: two flags; P: no override, no reordering */
    if (!idr)
        put_bits(&b, 1, 0); /* sliding window */
    put_ue(&b, 0);          /* QP */
    put_ue(&b, 1);          /* no deblocking */
    for (unsigned i = 0; idr && i < 8; i++)
        put_pcm(&b, 25, seed);
    if (!idr && !bottom) {
        put_ue(&b, k % 8);
        put_pcm(&b, 30, seed);
        if (k % 8 < 7)
            put_ue(&b, 7 - k % 8);
    } else if (!idr) {
        put_ue(&b, 8);
    }
    put_nal(pkt, idr ? 0x65 : 0x61, &b);
}

static inline void write_packet(AVFormatContext *ctx, AVPacket *pkt, int64_t pts)
{
    pkt->pts = pkt->dts = pts;
    assert_int_equal(av_write_frame(ctx, pkt), 0);
    av_packet_unref(pkt);
}

/* Writes the stream to a TS: each field in a packet of its own, or, `paired`, both fields of a frame in one. */
static inline void make_paff(const char *path, bool paired)
{
    AVFormatContext *ctx = NULL;
    AVPacket *pkt = av_packet_alloc();
    unsigned seed = 1;
    assert_true(avformat_alloc_output_context2(&ctx, NULL, "mpegts", path) >= 0);
    AVStream *st = avformat_new_stream(ctx, NULL);
    st->codecpar->codec_type = AVMEDIA_TYPE_VIDEO;
    st->codecpar->codec_id = AV_CODEC_ID_H264;
    assert_true(avio_open(&ctx->pb, path, AVIO_FLAG_WRITE) >= 0);
    assert_true(avformat_write_header(ctx, NULL) >= 0);
    for (unsigned n = 0; n < PAFF_FRAMES; n++) {
        bits delimiter = { .data = { 0xe0 }, .n = 3 };
        put_nal(pkt, 9, &delimiter);
        if (n % PAFF_GROUP == 0)
            put_sets(pkt);
        put_field(pkt, n, false, &seed);
        if (!paired) {
            write_packet(ctx, pkt, n * 3600);
            put_nal(pkt, 9, &(bits){ .data = { 0xe0 }, .n = 3 });
        }
        put_field(pkt, n, true, &seed);
        write_packet(ctx, pkt, n * 3600 + (paired ? 0 : 1800));
    }
    av_write_trailer(ctx);
    avio_closep(&ctx->pb);
    avformat_free_context(ctx);
    av_packet_free(&pkt);
}

#endif
