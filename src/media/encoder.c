/* An encoder: frames in, packets with absolute time out. */
#include <libavutil/hwcontext.h>

#include "media/encoder_frames.h"
#include "media/sei.h"

/* Frames on their way through the encoder. */
enum { MAX_IN_FLIGHT = 512 };
/* Contexts that encode side by side, at most. */
enum { MAX_FRAMES_AT_ONCE = 16 };
/* What all but the first of them may need. */
static const int64_t others_memory = 256 << 20;

struct ta_encoder {
    AVCodecContext *ctx;     /* what is known of the stream; the encoder itself unless there are several */
    ta_frame_coders *frames; /* several contexts, which `ctx` is one of; NULL = one */
    AVRational in_base, out_base;
    bool constant;  /* whole frames from the anchor */
    int64_t anchor; /* pts of the first frame, in in_base */
    int64_t last;   /* last pts sent, in the encoder's time base */
    ta_sei_list sei;
    bool draining, ended;
    /* Where times vary: how long each frame is shown. Encoders forget it, and without it the last one has no end. */
    struct {
        int64_t pts, duration;
    } sent[MAX_IN_FLIGHT];
    unsigned n_sent;
};

static bool is_params_encoder(const char *name, const char **option)
{
    static const char *const table[][2] = { { "libx264", "x264-params" },
                                            { "libx265", "x265-params" },
                                            { "libsvtav1", "svtav1-params" } };
    for (size_t i = 0; i < TA_COUNT(table); i++)
        if (strcmp(name, table[i][0]) == 0) {
            *option = table[i][1];
            return true;
        }
    return false;
}

/* Each encoder has its own name for "constant quality". */
static void set_quality(AVDictionary **o, const char *encoder, int crf)
{
    if (crf < 0)
        return;
    if (ta_ends(encoder, "_nvenc")) {
        av_dict_set(o, "rc", "vbr", 0);
        av_dict_set_int(o, "cq", crf, 0);
    } else if (ta_ends(encoder, "_vaapi")) {
        av_dict_set(o, "rc_mode", "CQP", 0);
        av_dict_set_int(o, "qp", crf, 0);
    } else if (ta_ends(encoder, "_qsv")) {
        av_dict_set_int(o, "global_quality", crf, 0);
    } else {
        av_dict_set_int(o, "crf", crf, 0);
    }
}

/* x264's AVX-512 code for macroblock trees (mbtree; seen in its release 164) reads memory that nobody wrote where a row
 * has no multiple of eight macroblocks: the same pictures then give other bytes from run to run, in the ffmpeg program
 * as well (MALLOC_PERTURB_ shows it). There it gets AVX2 and what comes with it. */
static const char *steady_x264(const ta_video_encoding *v, int width)
{
#if defined(__x86_64__)
    bool own = v->options && strstr(v->options, "asm=");
    if (strcmp(v->encoder, "libx264") == 0 && (width + 15) / 16 % 8 != 0 && !own && __builtin_cpu_supports("avx512f"))
        return "asm=MMX2,SSE2Fast,LZCNT,SSSE3,SSE4.2,AVX,FMA3,BMI2,AVX2";
#endif
    (void)v;
    (void)width;
    return "";
}

static int set_params(AVDictionary **o, const char *name, const ta_video_encoding *v, int width, ta_error *err)
{
    const char *steady = steady_x264(v, width), *options = v->options ? v->options : "";
    if (!steady[0] && !options[0])
        return 0;
    char *all = ta_format("%s%s%s", steady, steady[0] && options[0] ? ":" : "", options);
    int r = all && av_dict_set(o, name, all, 0) >= 0 ? 0 : ta_no_memory(err);
    ta_free(all);
    return r;
}

static int set_options(AVDictionary **o, const ta_video_encoding *v, int width, ta_error *err)
{
    const char *params;
    set_quality(o, v->encoder, v->crf);
    if (v->preset)
        av_dict_set(o, "preset", v->preset, 0);
    if (is_params_encoder(v->encoder, &params))
        return set_params(o, params, v, width, err);
    if (!v->options || !v->options[0])
        return 0;
    if (av_dict_parse_string(o, v->options, "=", ":", 0) < 0)
        return ta_fail(err, TA_ERR_USAGE, "encoder-options '%s' is not name=value:name=value", v->options);
    return 0;
}

static void set_picture(AVCodecContext *c, const AVFrame *f)
{
    c->width = f->width;
    c->height = f->height;
    c->pix_fmt = (enum AVPixelFormat)f->format;
    c->sample_aspect_ratio = f->sample_aspect_ratio;
    c->color_primaries = f->color_primaries;
    c->color_trc = f->color_trc;
    c->colorspace = f->colorspace;
    c->color_range = f->color_range;
    c->chroma_sample_location = f->chroma_location;
    c->field_order = AV_FIELD_PROGRESSIVE;
    if (!f->interlaced_frame)
        return;
    c->field_order = f->top_field_first ? AV_FIELD_TT : AV_FIELD_BB;
    if (c->codec_id != AV_CODEC_ID_FFV1)
        c->flags |= AV_CODEC_FLAG_INTERLACED_DCT | AV_CODEC_FLAG_INTERLACED_ME;
}

/* The archive's FFV1: version 3, slices with checksums, every frame a key frame. The slices are part of the job, so
 * that the bytes are the same on every machine. */
static void set_ffv1(AVCodecContext *c, AVDictionary **o)
{
    c->level = 3;
    c->gop_size = 1;
    c->slices = c->height >= 720 ? 16 : 4;
    av_dict_set(o, "slicecrc", "1", 0);
    av_dict_set(o, "coder", "1", AV_DICT_DONT_OVERWRITE);
    av_dict_set(o, "context", "1", AV_DICT_DONT_OVERWRITE);
}

/* VA-API takes pictures of the GPU's memory only: they are uploaded one by one. */
static int open_upload(AVCodecContext *c, ta_error *err)
{
    AVBufferRef *device = NULL, *frames = NULL;
    int r = av_hwdevice_ctx_create(&device, AV_HWDEVICE_TYPE_VAAPI, NULL, NULL, 0);
    if (r >= 0)
        frames = av_hwframe_ctx_alloc(device);
    if (frames) {
        AVHWFramesContext *f = (AVHWFramesContext *)(void *)frames->data;
        f->format = AV_PIX_FMT_VAAPI;
        f->sw_format = c->pix_fmt;
        f->width = c->width;
        f->height = c->height;
        f->initial_pool_size = 32;
        r = av_hwframe_ctx_init(frames);
    }
    av_buffer_unref(&device);
    if (r < 0 || !frames) {
        av_buffer_unref(&frames);
        ta_fail_av(err, r < 0 ? r : AVERROR(ENOMEM), TA_ERR_UNAVAILABLE, "VA-API can't be used");
        return ta_hint(err, "`terminalai doctor` shows which encoders work here");
    }
    c->hw_frames_ctx = frames;
    c->pix_fmt = AV_PIX_FMT_VAAPI;
    return 0;
}

static int upload(const ta_encoder *e, const AVFrame *from, AVFrame **to, ta_error *err)
{
    AVFrame *f = av_frame_alloc();
    int r = f ? av_hwframe_get_buffer(e->ctx->hw_frames_ctx, f, 0) : AVERROR(ENOMEM);
    if (r >= 0)
        r = av_hwframe_transfer_data(f, from, 0);
    if (r >= 0)
        r = av_frame_copy_props(f, from);
    if (r < 0)
        av_frame_free(&f);
    *to = f;
    return r < 0 ? ta_fail_av(err, r, TA_ERR_UNAVAILABLE, "a picture can't be sent to the GPU") : 0;
}

static int check_leftover(AVDictionary *o, const char *encoder, ta_error *err)
{
    const AVDictionaryEntry *e = av_dict_get(o, "", NULL, AV_DICT_IGNORE_SUFFIX);
    if (!e)
        return 0;
    ta_fail(err, TA_ERR_USAGE, "%s has no option '%s'", encoder, e->key);
    return ta_hint(err, "`ffmpeg -h encoder=%s` lists its options", encoder);
}

static int open_context(AVCodecContext *c, AVDictionary **o, const char *name, ta_error *err)
{
    int r = avcodec_open2(c, c->codec, o);
    if (r < 0) {
        /* whatever a driver answers ("not permitted" without libcuda): the encoder is not to be had */
        ta_fail_av(err, r == AVERROR(ENOMEM) ? r : AVERROR_EXTERNAL, TA_ERR_UNAVAILABLE,
                   "the encoder %s can't be opened (%s)", name, av_err2str(r));
        return ta_hint(err, "`terminalai doctor` shows which encoders work here");
    }
    return check_leftover(*o, name, err);
}

static int new_encoder(ta_encoder **out, const char *name, ta_error *err)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(name);
    *out = NULL;
    if (!codec) {
        ta_fail(err, TA_ERR_UNAVAILABLE, "this libav has no encoder '%s'", name);
        return ta_hint(err, "`terminalai doctor` shows which encoders work here");
    }
    ta_encoder *e = ta_alloc(sizeof *e);
    if (e)
        e->ctx = avcodec_alloc_context3(codec);
    if (!e || !e->ctx) {
        ta_free(e);
        return ta_no_memory(err);
    }
    e->last = INT64_MIN;
    *out = e;
    return 0;
}

/* All that the encoder is told before it is opened. */
static int set_video(AVCodecContext *c, const ta_video_encoding *v, const AVFrame *first, AVDictionary **o,
                     ta_error *err)
{
    bool constant = v->frame_rate.num > 0;
    set_picture(c, first);
    c->time_base = constant ? av_inv_q(v->frame_rate) : v->time_base;
    c->framerate = constant ? v->frame_rate : v->usual_rate;
    c->thread_count = v->threads;
    c->flags |= v->global_header ? AV_CODEC_FLAG_GLOBAL_HEADER : 0;
    if (c->codec_id == AV_CODEC_ID_FFV1)
        set_ffv1(c, o);
    int r = ta_ends(v->encoder, "_vaapi") ? open_upload(c, err) : 0;
    return r < 0 ? r : set_options(o, v, c->width, err);
}

/* How many FFV1 contexts encode side by side, each a frame: 1 unless every frame is a key frame, where FFV1 starts anew
 * (RFC 9043, 4.4) and carries nothing over. Each holds libav's buffer for the largest packet that there could be (37 *
 * 4 bytes a pixel and a sixteenth more), so large pictures share the memory by slices instead, as do those for which
 * slices keep more CPUs busy. More contexts than CPUs only cost memory: measured, the third on two is no faster. */
static int frames_at_once(const AVCodecContext *c)
{
    int64_t one = (int64_t)c->width * c->height * 37 * 4 * 17 / 16;
    int threads = TA_MIN(c->thread_count, ta_cpu_count());
    int frames = (int)TA_MIN(TA_MIN(threads, MAX_FRAMES_AT_ONCE), 1 + others_memory / TA_MAX(one, 1));
    bool apart = c->codec_id == AV_CODEC_ID_FFV1 && c->gop_size == 1 &&
                 !(c->flags & (AV_CODEC_FLAG_PASS1 | AV_CODEC_FLAG_PASS2));
    return apart && frames >= TA_MIN(threads, c->slices) ? TA_MAX(frames, 1) : 1;
}

/* Opens the other contexts with the same settings, and puts all to work. */
static int open_others(ta_encoder *e, int count, const ta_video_encoding *v, const AVFrame *first, ta_error *err)
{
    AVCodecContext *all[MAX_FRAMES_AT_ONCE] = { e->ctx };
    int r = 0;
    for (int i = 1; i < count && r >= 0; i++) {
        AVDictionary *o = NULL;
        all[i] = avcodec_alloc_context3(e->ctx->codec);
        r = all[i] ? set_video(all[i], v, first, &o, err) : ta_no_memory(err);
        if (r >= 0)
            av_dict_set(&o, "threads", "1", 0);
        if (r >= 0)
            r = open_context(all[i], &o, v->encoder, err);
        av_dict_free(&o);
    }
    if (r >= 0) {
        r = ta_frame_coders_new(&e->frames, all, count, err);
        e->ctx = r < 0 ? NULL : e->ctx;
        return r;
    }
    for (int i = 1; i < count; i++)
        avcodec_free_context(&all[i]);
    return r;
}

static int open_video(ta_encoder *e, const ta_video_encoding *v, const AVFrame *first, ta_error *err)
{
    AVDictionary *o = NULL;
    int count = 1;
    int r = set_video(e->ctx, v, first, &o, err);
    if (r >= 0 && e->ctx->codec_id == AV_CODEC_ID_FFV1) {
        /* options may say otherwise, and are known only when they are applied */
        if (av_opt_set_dict2(e->ctx, &o, AV_OPT_SEARCH_CHILDREN) < 0)
            r = ta_fail(err, TA_ERR_USAGE, "%s refuses the value of an option in '%s'", v->encoder, v->options);
        count = frames_at_once(e->ctx);
        e->ctx->thread_count = count > 1 ? 1 : TA_MIN(e->ctx->thread_count, e->ctx->slices);
    }
    if (r >= 0)
        r = open_context(e->ctx, &o, v->encoder, err);
    av_dict_free(&o);
    return r < 0 || count == 1 ? r : open_others(e, count, v, first, err);
}

int ta_encoder_open_video(ta_encoder **out, const ta_video_encoding *v, const AVFrame *first, ta_error *err)
{
    ta_encoder *e;
    int r = new_encoder(&e, v->encoder, err);
    if (r < 0)
        return r;
    e->constant = v->frame_rate.num > 0;
    e->in_base = v->time_base;
    e->anchor = v->anchored ? v->anchor : first->pts;
    /* Fine enough for the anchor and exact for whole frames: 1/60000 for 60000/1001. */
    e->out_base =
        e->constant ? (AVRational){ 1, v->frame_rate.num * (v->frame_rate.num < 1000 ? 1000 : 1) } : v->time_base;
    r = open_video(e, v, first, err);
    if (r < 0)
        ta_encoder_close(&e);
    *out = e;
    return r;
}

int ta_encoder_open_audio(ta_encoder **out, const char *encoder, int64_t bit_rate, const ta_audio_format *format,
                          bool global_header, ta_error *err)
{
    AVDictionary *o = NULL;
    ta_encoder *e;
    int r = new_encoder(&e, encoder, err);
    if (r < 0)
        return r;
    AVCodecContext *c = e->ctx;
    c->sample_rate = format->sample_rate;
    c->sample_fmt = format->sample_fmt;
    c->bit_rate = bit_rate;
    c->time_base = e->in_base = e->out_base = (AVRational){ 1, format->sample_rate };
    c->flags |= global_header ? AV_CODEC_FLAG_GLOBAL_HEADER : 0;
    c->thread_count = 1;
    c->strict_std_compliance = FF_COMPLIANCE_EXPERIMENTAL; /* libav calls its dts encoder experimental */
    r = av_channel_layout_copy(&c->ch_layout, &format->layout) < 0 ? ta_no_memory(err) : 0;
    if (r >= 0)
        r = open_context(e->ctx, &o, encoder, err);
    av_dict_free(&o);
    if (r < 0)
        ta_encoder_close(&e);
    *out = e;
    return r;
}

/* SVT-AV1 hangs when it is closed before its end of stream. */
static void drain_svt(ta_encoder *e)
{
    AVPacket *pkt = NULL;
    if (!e->ctx || !avcodec_is_open(e->ctx) || strcmp(e->ctx->codec->name, "libsvtav1") != 0 || e->ended)
        return;
    if (!e->draining)
        avcodec_send_frame(e->ctx, NULL);
    pkt = av_packet_alloc();
    while (pkt && avcodec_receive_packet(e->ctx, pkt) >= 0)
        av_packet_unref(pkt);
    av_packet_free(&pkt);
}

void ta_encoder_close(ta_encoder **e)
{
    if (!*e)
        return;
    drain_svt(*e);
    if ((*e)->frames)
        ta_frame_coders_free(&(*e)->frames);
    else
        avcodec_free_context(&(*e)->ctx);
    ta_sei_free(&(*e)->sei);
    ta_freep(e);
}

static void remember_duration(ta_encoder *e, const AVFrame *f, int64_t before)
{
    int64_t step = before != INT64_MIN ? f->pts - before : 0;
    int64_t duration = f->pkt_duration > 0 ? f->pkt_duration : step;
    e->sent[e->n_sent].pts = f->pts;
    e->sent[e->n_sent].duration = duration;
    e->n_sent = (e->n_sent + 1) % MAX_IN_FLIGHT;
}

static int64_t duration_of(const ta_encoder *e, int64_t pts)
{
    for (int i = 0; i < MAX_IN_FLIGHT; i++)
        if (e->sent[i].pts == pts && e->sent[i].duration > 0)
            return e->sent[i].duration;
    return 0;
}

/* The encoder wants times that rise; two frames on one place keep the first. */
static bool place_frame(ta_encoder *e, AVFrame *f)
{
    int64_t pts = f->pts;
    if (e->constant)
        pts = av_rescale_q_rnd(pts - e->anchor, e->in_base, e->ctx->time_base, AV_ROUND_NEAR_INF);
    if (pts <= e->last && e->last != INT64_MIN)
        return false;
    e->last = f->pts = pts;
    f->pict_type = AV_PICTURE_TYPE_NONE;
    return true;
}

int ta_encoder_send(ta_encoder *e, AVFrame *frame, ta_error *err)
{
    bool video = frame && e->ctx->codec_type == AVMEDIA_TYPE_VIDEO;
    int64_t before = e->last, pts = frame ? frame->pts : 0;
    if (video && !place_frame(e, frame))
        return 0;
    AVFrame *on_gpu = NULL;
    e->draining = e->draining || !frame;
    if (video && e->ctx->hw_frames_ctx && upload(e, frame, &on_gpu, err) < 0)
        return TA_ERR_UNAVAILABLE;
    int r = e->frames ? ta_frame_coders_send(e->frames, frame) : avcodec_send_frame(e->ctx, on_gpu ? on_gpu : frame);
    av_frame_free(&on_gpu);
    if (r == AVERROR(EAGAIN)) {
        e->last = before;
        if (frame)
            frame->pts = pts;
        return TA_RECEIVE_FIRST;
    }
    if (r >= 0 && video && !e->constant)
        remember_duration(e, frame, before);
    if (r >= 0 && video)
        return ta_sei_take(&e->sei, e->ctx->codec_id, frame, frame->pts, err);
    if (r < 0 && r != AVERROR_EOF)
        return ta_fail_av(err, r, TA_ERR_SOFTWARE, "the encoder %s failed", e->ctx->codec->name);
    return 0;
}

static int64_t absolute(const ta_encoder *e, int64_t t)
{
    if (t == AV_NOPTS_VALUE || e->ctx->codec_type != AVMEDIA_TYPE_VIDEO || !e->constant)
        return t;
    return av_rescale_q(t, e->ctx->time_base, e->out_base) + av_rescale_q(e->anchor, e->in_base, e->out_base);
}

int ta_encoder_receive(ta_encoder *e, AVPacket *pkt, ta_error *err)
{
    int r = e->frames ? ta_frame_coders_receive(e->frames, pkt) : avcodec_receive_packet(e->ctx, pkt);
    if (r == AVERROR(EAGAIN))
        return 0;
    if (r == AVERROR_EOF) {
        e->ended = true;
        return TA_DECODER_END;
    }
    if (r < 0)
        return ta_fail_av(err, r, TA_ERR_SOFTWARE, "the encoder %s failed", e->ctx->codec->name);
    r = ta_sei_give(&e->sei, e->ctx->codec_id, pkt, err);
    if (r < 0)
        return r;
    pkt->pts = absolute(e, pkt->pts);
    pkt->dts = absolute(e, pkt->dts);
    if (e->constant)
        pkt->duration = av_rescale_q(1, e->ctx->time_base, e->out_base);
    else if (e->ctx->codec_type == AVMEDIA_TYPE_VIDEO && pkt->duration <= 0)
        pkt->duration = duration_of(e, pkt->pts);
    return 1;
}

AVRational ta_encoder_time_base(const ta_encoder *e)
{
    return e->out_base;
}

AVCodecContext *ta_encoder_context(ta_encoder *e)
{
    return e->ctx;
}
