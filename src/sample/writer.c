/* Writes one file of the sample with libavcodec and libavformat, bit for bit repeatable: bitexact codecs and muxers,
 * one thread where threads would show. */
#include "sample/writer.h"

#include <libavutil/imgutils.h>
#include <string.h>

#include "sample/tone.h"

enum { CHUNK = 4096, MPEG_BITRATE = 7000000, MPEG_MAXRATE = 8500000, VBV_BITS = 1835008, MP2_BITRATE = 224000 };

typedef struct track {
    AVCodecContext *codec;
    AVStream *stream;
    AVFrame *frame;
} track;

struct ta_writer {
    ta_writer_options o;
    char *path;
    ta_publish *file;
    AVFormatContext *mux;
    AVPacket *packet;
    track video, sound;
    int16_t *pending; /* samples that do not fill a frame of the encoder */
    int pending_n;
    int64_t pictures, samples;
    bool open;
};

static bool is_mpeg(const ta_writer *w)
{
    return ta_ends(w->path, ".mpg");
}

static int find_encoder(AVCodecContext **c, const char *name, ta_error *err)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(name);
    if (!codec)
        return ta_fail(err, TA_ERR_UNAVAILABLE, "libavcodec has no encoder '%s'", name);
    *c = avcodec_alloc_context3(codec);
    if (!*c)
        return ta_no_memory(err);
    (*c)->flags |= AV_CODEC_FLAG_BITEXACT;
    return 0;
}

static void set_mpeg2(ta_writer *w, AVCodecContext *c)
{
    c->bit_rate = MPEG_BITRATE;
    c->rc_max_rate = MPEG_MAXRATE;
    c->rc_buffer_size = VBV_BITS;
    c->gop_size = w->o.pal ? 12 : 15;
    c->max_b_frames = 2;
    c->thread_count = 1;
    if (w->o.order != TA_FIELDS_PROGRESSIVE)
        c->flags |= AV_CODEC_FLAG_INTERLACED_DCT | AV_CODEC_FLAG_INTERLACED_ME;
}

/* Golomb-Rice coding and a fixed number of slices: quick, and the bytes do not depend on threads. */
static void set_ffv1(AVCodecContext *c)
{
    c->level = 3;
    c->slices = 4;
    c->gop_size = 1;
    c->thread_count = 4;
    av_opt_set(c->priv_data, "coder", "rice", 0);
    av_opt_set(c->priv_data, "slicecrc", "1", 0);
}

static void set_colour(const ta_writer *w, AVCodecContext *c)
{
    c->color_primaries = w->o.pal ? AVCOL_PRI_BT470BG : AVCOL_PRI_SMPTE170M;
    c->color_trc = w->o.pal ? AVCOL_TRC_GAMMA28 : AVCOL_TRC_SMPTE170M;
    c->colorspace = w->o.pal ? AVCOL_SPC_BT470BG : AVCOL_SPC_SMPTE170M;
    c->color_range = AVCOL_RANGE_MPEG;
    c->chroma_sample_location = AVCHROMA_LOC_LEFT;
    c->field_order = w->o.order == TA_FIELDS_PROGRESSIVE ? AV_FIELD_PROGRESSIVE
                     : w->o.order == TA_FIELDS_TFF       ? AV_FIELD_TT
                                                         : AV_FIELD_BB;
}

/* The aspect that DVD and DV flag: 4:3 and 16:9 over all 720 samples. */
static AVRational flagged_sar(const ta_writer *w)
{
    if (w->o.pal)
        return w->o.wide ? (AVRational){ 64, 45 } : (AVRational){ 16, 15 };
    return w->o.wide ? (AVRational){ 32, 27 } : (AVRational){ 8, 9 };
}

/* The size of the decoder's buffer, which the program stream states. */
static int tell_buffer_size(const AVCodecContext *c, AVStream *st)
{
    for (int i = 0; i < c->nb_coded_side_data; i++) {
        const AVPacketSideData *sd = &c->coded_side_data[i];
        uint8_t *copy = av_stream_new_side_data(st, sd->type, sd->size);
        if (!copy)
            return -1;
        memcpy(copy, sd->data, sd->size);
    }
    return 0;
}

static int open_track(ta_writer *w, track *t, ta_error *err)
{
    if (w->mux->oformat->flags & AVFMT_GLOBALHEADER)
        t->codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    int ret = avcodec_open2(t->codec, NULL, NULL);
    if (ret < 0)
        return ta_fail_av(err, ret, TA_ERR_UNAVAILABLE, "can't open the encoder '%s'", t->codec->codec->name);
    t->stream = avformat_new_stream(w->mux, NULL);
    t->frame = av_frame_alloc();
    if (!t->stream || !t->frame || avcodec_parameters_from_context(t->stream->codecpar, t->codec) < 0 ||
        tell_buffer_size(t->codec, t->stream) < 0)
        return ta_no_memory(err);
    t->stream->time_base = t->codec->time_base;
    return 0;
}

static int open_video(ta_writer *w, ta_error *err)
{
    int ret = find_encoder(&w->video.codec, is_mpeg(w) ? "mpeg2video" : "ffv1", err);
    if (ret < 0)
        return ret;
    AVCodecContext *c = w->video.codec;
    c->width = TA_SCENE_WIDTH;
    c->height = w->o.pal ? 576 : 480;
    c->pix_fmt = w->o.halve_chroma ? AV_PIX_FMT_YUV420P : AV_PIX_FMT_YUV422P;
    c->framerate = w->o.rate;
    c->time_base = av_inv_q(w->o.rate);
    c->sample_aspect_ratio = flagged_sar(w);
    set_colour(w, c);
    if (is_mpeg(w))
        set_mpeg2(w, c);
    else
        set_ffv1(c);
    if ((ret = open_track(w, &w->video, err)) < 0)
        return ret;
    w->video.stream->sample_aspect_ratio = c->sample_aspect_ratio;
    w->video.stream->avg_frame_rate = w->video.stream->r_frame_rate = w->o.rate;
    w->video.frame->format = c->pix_fmt;
    w->video.frame->width = c->width;
    w->video.frame->height = c->height;
    return 0;
}

static int open_sound(ta_writer *w, ta_error *err)
{
    /* mp2fixed: the encoder without floating point */
    int ret = find_encoder(&w->sound.codec, is_mpeg(w) ? "mp2fixed" : "pcm_s16le", err);
    if (ret < 0)
        return ret;
    AVCodecContext *c = w->sound.codec;
    c->sample_rate = TA_TONE_RATE;
    c->sample_fmt = AV_SAMPLE_FMT_S16;
    c->time_base = (AVRational){ 1, TA_TONE_RATE };
    av_channel_layout_default(&c->ch_layout, 2);
    if (is_mpeg(w))
        c->bit_rate = MP2_BITRATE;
    if ((ret = open_track(w, &w->sound, err)) < 0)
        return ret;
    w->sound.frame->format = c->sample_fmt;
    w->sound.frame->sample_rate = c->sample_rate;
    w->pending = ta_array((size_t)(c->frame_size + CHUNK) * 2, sizeof(*w->pending));
    return w->pending ? 0 : ta_no_memory(err);
}

static int open_mux(ta_writer *w, ta_error *err)
{
    int ret = avformat_alloc_output_context2(&w->mux, NULL, is_mpeg(w) ? "vob" : "matroska", ta_publish_temp(w->file));
    if (ret < 0)
        return ta_fail_av(err, ret, TA_ERR_UNAVAILABLE, "can't write this container");
    w->mux->flags |= AVFMT_FLAG_BITEXACT;
    if ((ret = open_video(w, err)) < 0 || (ret = open_sound(w, err)) < 0)
        return ret;
    ret = avio_open(&w->mux->pb, ta_publish_temp(w->file), AVIO_FLAG_WRITE);
    if (ret < 0)
        return ta_fail_av(err, ret, TA_ERR_CANTCREATE, "can't write %s", ta_publish_temp(w->file));
    if (is_mpeg(w))
        w->mux->max_delay = 700000; /* between arrival and play: DVD's 0.7 s */
    ret = avformat_write_header(w->mux, NULL);
    if (ret < 0)
        return ta_fail_av(err, ret, TA_ERR_IO, "can't write the header");
    w->open = true;
    return 0;
}

int ta_writer_open(ta_writer **out, const ta_writer_options *o, ta_error *err)
{
    if (!ta_ends(o->path, ".mpg") && !ta_ends(o->path, ".mkv")) {
        ta_fail(err, TA_ERR_USAGE, "'%s' is not the name of a sample", o->path);
        return ta_hint(err, "give a name that ends in .mpg (MPEG-2, MP2) or .mkv (FFV1, PCM)");
    }
    int ret;
    ta_writer *w = ta_alloc(sizeof(*w));
    if (!w)
        return ta_no_memory(err);
    w->o = *o;
    w->path = ta_strdup(o->path);
    w->packet = av_packet_alloc();
    if (!w->path || !w->packet)
        ret = ta_no_memory(err);
    else if ((ret = ta_publish_open(&w->file, o->path, o->overwrite, err)) >= 0 && (ret = open_mux(w, err)) < 0)
        ta_wrap(err, "%s", o->path);
    w->o.path = w->path;
    if (ret < 0)
        ta_writer_close(&w);
    *out = w;
    return ret;
}

void ta_writer_close(ta_writer **out)
{
    ta_writer *w = *out;
    if (!w)
        return;
    for (int i = 0; i < 2; i++) {
        track *t = i ? &w->sound : &w->video;
        avcodec_free_context(&t->codec);
        av_frame_free(&t->frame);
    }
    if (w->mux) {
        avio_closep(&w->mux->pb);
        avformat_free_context(w->mux);
    }
    av_packet_free(&w->packet);
    ta_publish_abort(&w->file);
    ta_free(w->pending);
    ta_free(w->path);
    ta_freep(out);
}

/* NULL drains. */
static int encode(ta_writer *w, track *t, const AVFrame *frame, ta_error *err)
{
    int ret = avcodec_send_frame(t->codec, frame);
    if (ret < 0)
        return ta_fail_av(err, ret, TA_ERR_SOFTWARE, "the encoder refused a frame");
    while ((ret = avcodec_receive_packet(t->codec, w->packet)) >= 0) {
        av_packet_rescale_ts(w->packet, t->codec->time_base, t->stream->time_base);
        w->packet->stream_index = t->stream->index;
        if (t == &w->video && !w->packet->duration)
            w->packet->duration = av_rescale_q(1, t->codec->time_base, t->stream->time_base);
        ret = av_interleaved_write_frame(w->mux, w->packet);
        if (ret < 0)
            return ta_fail_av(err, ret, TA_ERR_IO, "can't write %s", w->path);
    }
    return ret == AVERROR(EAGAIN) || ret == AVERROR_EOF ? 0 : ta_fail_av(err, ret, TA_ERR_SOFTWARE, "encoding failed");
}

/* Weights of two lines, in quarters, for the chroma line between them: 4:2:0 chroma lies midway between two lines of
 * a progressive picture, and a quarter (top) or three quarters (bottom) of the way between two lines of a field
 * (ISO/IEC 13818-2, 6.1.1.8). */
static void mix_lines(uint8_t *dst, const uint8_t *a, const uint8_t *b, int weight_b)
{
    for (int x = 0; x < TA_SCENE_WIDTH / 2; x++)
        dst[x] = (uint8_t)((a[x] * (4 - weight_b) + b[x] * weight_b + 2) >> 2);
}

static void halve_plane(AVFrame *f, int plane, const uint8_t *src, int height, bool progressive)
{
    enum { STRIDE = TA_SCENE_WIDTH / 2 };
    for (int i = 0; i < height / 2; i++) {
        uint8_t *dst = f->data[plane] + (ptrdiff_t)i * f->linesize[plane];
        int field = i & 1, line = progressive ? 2 * i : i / 2 * 4 + field, step = progressive ? 1 : 2;
        const uint8_t *a = src + (ptrdiff_t)line * STRIDE;
        mix_lines(dst, a, a + step * STRIDE, progressive ? 2 : 1 + 2 * field);
    }
}

static void fill_frame(const ta_writer *w, AVFrame *f, const ta_picture *p)
{
    av_image_copy_plane(f->data[0], f->linesize[0], p->plane[0], TA_SCENE_WIDTH, TA_SCENE_WIDTH, p->height);
    for (int i = 1; i < 3; i++)
        if (w->o.halve_chroma)
            halve_plane(f, i, p->plane[i], p->height, w->o.order == TA_FIELDS_PROGRESSIVE);
        else
            av_image_copy_plane(f->data[i], f->linesize[i], p->plane[i], TA_SCENE_WIDTH / 2, TA_SCENE_WIDTH / 2,
                                p->height);
}

/* The encoder may hold a reference to the last buffer, so each picture gets a writable one. */
static int fresh_buffer(AVFrame *f, ta_error *err)
{
    int ret = f->buf[0] ? av_frame_make_writable(f) : av_frame_get_buffer(f, 0);
    return ret < 0 ? ta_no_memory(err) : 0;
}

int ta_writer_picture(ta_writer *w, const ta_picture *p, ta_error *err)
{
    AVFrame *f = w->video.frame;
    int ret = fresh_buffer(f, err);
    if (ret < 0)
        return ret;
    fill_frame(w, f, p);
    const AVCodecContext *c = w->video.codec;
    f->interlaced_frame = w->o.order != TA_FIELDS_PROGRESSIVE;
    f->top_field_first = w->o.order == TA_FIELDS_TFF;
    f->sample_aspect_ratio = c->sample_aspect_ratio;
    f->color_primaries = c->color_primaries;
    f->color_trc = c->color_trc;
    f->colorspace = c->colorspace;
    f->color_range = c->color_range;
    f->chroma_location = c->chroma_sample_location;
    f->pts = w->pictures++;
    return encode(w, &w->video, f, err);
}

static int send_sound(ta_writer *w, int n, ta_error *err)
{
    AVFrame *f = w->sound.frame;
    av_frame_unref(f);
    f->format = w->sound.codec->sample_fmt;
    f->sample_rate = TA_TONE_RATE;
    f->nb_samples = n;
    if (av_channel_layout_copy(&f->ch_layout, &w->sound.codec->ch_layout) < 0 || av_frame_get_buffer(f, 0) < 0)
        return ta_no_memory(err);
    memcpy(f->data[0], w->pending, (size_t)n * 2 * sizeof(*w->pending));
    f->pts = w->samples;
    w->samples += n;
    w->pending_n -= n;
    memmove(w->pending, w->pending + 2 * n, (size_t)w->pending_n * 2 * sizeof(*w->pending));
    return encode(w, &w->sound, f, err);
}

int ta_writer_sound(ta_writer *w, const int16_t *samples, int n, ta_error *err)
{
    int frame = w->sound.codec->frame_size; /* 0: any size */
    memcpy(w->pending + 2 * w->pending_n, samples, (size_t)n * 2 * sizeof(*samples));
    w->pending_n += n;
    int ret = 0;
    while (ret >= 0 && w->pending_n > 0 && w->pending_n >= frame)
        ret = send_sound(w, frame ? frame : w->pending_n, err);
    return ret;
}

int ta_writer_finish(ta_writer *w, ta_error *err)
{
    int ret;
    if (w->pending_n && (ret = send_sound(w, w->pending_n, err)) < 0)
        return ret;
    if ((ret = encode(w, &w->video, NULL, err)) < 0 || (ret = encode(w, &w->sound, NULL, err)) < 0)
        return ret;
    ret = av_write_trailer(w->mux);
    int closed = avio_closep(&w->mux->pb);
    if (ret < 0 || closed < 0)
        return ta_fail_av(err, ret < 0 ? ret : closed, TA_ERR_IO, "can't finish %s", w->path);
    return 0;
}

int ta_writer_publish(ta_writer *w, ta_error *err)
{
    return ta_publish_commit(&w->file, err);
}
