/* doctor: every encoder that a setting can name, opened and given a small grey picture (or some silence). An encoder
 * that is listed may still not work: no device, no driver, no session left. */
#include "cli/doctor.h"
#include "settings/settings.h"

#include <libavcodec/avcodec.h>
#include <libavutil/channel_layout.h>
#include <libavutil/hwcontext.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 320, HEIGHT = 240 };

/* The last error that libav logged: usually the reason. */
typedef struct reason {
    char text[400];
} reason;

static void keep_reason(void *opaque, ta_log_level level, const char *where, const char *text)
{
    reason *r = opaque;
    if (level == TA_LOG_ERROR && !*r->text)
        snprintf(r->text, sizeof r->text, "%s", text);
}

static enum AVHWDeviceType device_type(const char *name)
{
    return ta_ends(name, "_vaapi") ? AV_HWDEVICE_TYPE_VAAPI
           : ta_ends(name, "_qsv") ? AV_HWDEVICE_TYPE_QSV
                                   : AV_HWDEVICE_TYPE_NONE;
}

static AVFrame *grey_picture(enum AVPixelFormat format)
{
    AVFrame *frame = av_frame_alloc();
    if (!frame)
        return NULL;
    frame->format = format;
    frame->width = WIDTH;
    frame->height = HEIGHT;
    if (av_frame_get_buffer(frame, 0) < 0)
        av_frame_free(&frame);
    for (int i = 0; frame && i < 3 && frame->data[i]; i++)
        memset(frame->data[i], 128, (size_t)frame->linesize[i] * (size_t)(i ? (HEIGHT + 1) / 2 : HEIGHT));
    return frame;
}

static AVFrame *silence(const AVCodecContext *c)
{
    AVFrame *frame = av_frame_alloc();
    if (!frame)
        return NULL;
    frame->format = c->sample_fmt;
    frame->sample_rate = c->sample_rate;
    frame->nb_samples = c->frame_size ? c->frame_size : 1024;
    if (av_channel_layout_copy(&frame->ch_layout, &c->ch_layout) < 0 || av_frame_get_buffer(frame, 0) < 0 ||
        av_samples_set_silence(frame->extended_data, 0, frame->nb_samples, c->ch_layout.nb_channels, c->sample_fmt) < 0)
        av_frame_free(&frame);
    return frame;
}

/* Moves a picture into frames of the context's device. */
static int upload(AVCodecContext *c, AVFrame **frame)
{
    AVFrame *there = av_frame_alloc();
    int r = there ? av_hwframe_get_buffer(c->hw_frames_ctx, there, 0) : AVERROR(ENOMEM);
    if (r >= 0)
        r = av_hwframe_transfer_data(there, *frame, 0);
    if (r < 0) {
        av_frame_free(&there);
        return r;
    }
    av_frame_free(frame);
    *frame = there;
    return 0;
}

static int set_device(AVCodecContext *c, enum AVHWDeviceType type)
{
    AVBufferRef *device = NULL;
    if (av_hwdevice_ctx_create(&device, type, NULL, NULL, 0) < 0) {
        ta_log(TA_LOG_ERROR, "doctor", "no device for %s can be opened", av_hwdevice_get_type_name(type));
        return AVERROR(ENODEV);
    }
    c->hw_frames_ctx = av_hwframe_ctx_alloc(device);
    av_buffer_unref(&device);
    if (!c->hw_frames_ctx)
        return AVERROR(ENOMEM);
    AVHWFramesContext *frames = (AVHWFramesContext *)c->hw_frames_ctx->data;
    frames->format = c->pix_fmt = type == AV_HWDEVICE_TYPE_VAAPI ? AV_PIX_FMT_VAAPI : AV_PIX_FMT_QSV;
    frames->sw_format = AV_PIX_FMT_NV12;
    frames->width = WIDTH;
    frames->height = HEIGHT;
    frames->initial_pool_size = 16;
    return av_hwframe_ctx_init(c->hw_frames_ctx);
}

static int open_video(AVCodecContext *c, AVDictionary **options)
{
    enum AVHWDeviceType type = device_type(c->codec->name);
    c->width = WIDTH;
    c->height = HEIGHT;
    c->time_base = (AVRational){ 1, 25 };
    c->framerate = (AVRational){ 25, 1 };
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    c->thread_count = 1;
    if (!strcmp(c->codec->name, "libx265")) /* it writes to stderr by itself */
        av_dict_set(options, "x265-params", "log-level=none", 0);
    int r = type == AV_HWDEVICE_TYPE_NONE ? 0 : set_device(c, type);
    return r < 0 ? r : avcodec_open2(c, c->codec, options);
}

static int open_audio(AVCodecContext *c, AVDictionary **options)
{
    c->sample_rate = 48000;
    c->sample_fmt = c->codec->sample_fmts ? c->codec->sample_fmts[0] : AV_SAMPLE_FMT_S16;
    c->time_base = (AVRational){ 1, 48000 };
    c->bit_rate = 768000;                                  /* libav's DTS encoder has no less than 272k */
    c->strict_std_compliance = FF_COMPLIANCE_EXPERIMENTAL; /* as libav calls its DTS encoder */
    av_channel_layout_default(&c->ch_layout, 2);
    return avcodec_open2(c, c->codec, options);
}

/* Sends NULL and takes packets to the end: SVT-AV1 never returns from closing otherwise. Counts packets. */
static int drain(AVCodecContext *c, int *packets)
{
    AVPacket *packet = av_packet_alloc();
    int r = packet ? avcodec_send_frame(c, NULL) : AVERROR(ENOMEM);
    for (*packets = 0; r >= 0; av_packet_unref(packet)) {
        r = avcodec_receive_packet(c, packet);
        *packets += r >= 0;
    }
    av_packet_free(&packet);
    return r == AVERROR_EOF ? 0 : r;
}

static int encode_one(AVCodecContext *c)
{
    bool video = c->codec->type == AVMEDIA_TYPE_VIDEO;
    AVFrame *frame = video ? grey_picture(c->hw_frames_ctx ? AV_PIX_FMT_NV12 : c->pix_fmt) : silence(c);
    int packets = 0, r = frame ? 0 : AVERROR(ENOMEM);
    if (r >= 0 && c->hw_frames_ctx)
        r = upload(c, &frame);
    if (r >= 0) {
        frame->pts = 0;
        r = avcodec_send_frame(c, frame);
    }
    int drained = drain(c, &packets);
    av_frame_free(&frame);
    if (r < 0 || drained < 0)
        return r < 0 ? r : drained;
    return packets ? 0 : AVERROR_BUG;
}

static int try_encoder(const AVCodec *codec)
{
    AVDictionary *options = NULL;
    AVCodecContext *c = avcodec_alloc_context3(codec);
    if (!c)
        return AVERROR(ENOMEM);
    int r = codec->type == AVMEDIA_TYPE_VIDEO ? open_video(c, &options) : open_audio(c, &options);
    if (r >= 0)
        r = encode_one(c);
    av_dict_free(&options);
    avcodec_free_context(&c);
    return r;
}

static const char *advice_for(const char *name)
{
    if (ta_ends(name, "_nvenc"))
        return "needs an NVIDIA card with its driver; libx264 and libx265 do without";
    if (ta_ends(name, "_vaapi"))
        return "needs an Intel or AMD card with its VA-API driver (va-driver-all) and /dev/dri; libx264 does without";
    if (ta_ends(name, "_qsv"))
        return "needs an Intel card with the oneVPL or Media SDK runtime and /dev/dri; libx264 does without";
    return "install the libavcodec of your distribution with this encoder (Debian: libavcodec59)";
}

static void report(ta_findings *f, const char *part, const char *setting, const char *name)
{
    reason why = { "" };
    bool needed = !strcmp(setting, "libx264") || !strcmp(setting, "aac");
    ta_finding_state missing = needed ? TA_FOUND_BROKEN : TA_FOUND_ABSENT;
    const AVCodec *codec = avcodec_find_encoder_by_name(name);
    if (!codec) {
        ta_found(f, part, missing, setting, advice_for(name), "libavcodec has no %s", name);
        return;
    }
    ta_log_set_sink(keep_reason, &why);
    int r = try_encoder(codec);
    ta_log_set_sink(NULL, NULL);
    char number[AV_ERROR_MAX_STRING_SIZE];
    if (r < 0)
        ta_found(f, part, missing, setting, advice_for(name), "does not work here: %s",
                 *why.text ? why.text : av_make_error_string(number, sizeof number, r));
    else
        ta_found(f, part, TA_FOUND_FINE, setting, NULL, "works");
}

/* The setting's word and libavcodec's name, where they differ. */
static const char *codec_name(const char *word)
{
    static const char *const names[][2] = { { "dts", "dca" }, { "pcm", "pcm_s16le" }, { "opus", "libopus" } };
    for (size_t i = 0; i < TA_COUNT(names); i++)
        if (!strcmp(word, names[i][0]))
            return names[i][1];
    return word;
}

static void report_choices(ta_findings *f, const char *part, ta_setting_id id)
{
    char *list = ta_strdup(ta_setting(id)->choices), *rest = NULL;
    if (!list)
        f->failed = true;
    for (char *word = list ? strtok_r(list, "|", &rest) : NULL; word; word = strtok_r(NULL, "|", &rest))
        if (strcmp(word, "copy"))
            report(f, part, word, codec_name(word));
    ta_free(list);
}

void ta_doctor_encoders(ta_findings *f)
{
    setenv("SVT_LOG", "0", 0); /* SVT-AV1 writes to stderr by itself, too; no thread runs yet */
    ta_log_setup(TA_LOG_ERROR, false);
    report_choices(f, "video encoders", TA_SET_encoder);
    report_choices(f, "audio encoders", TA_SET_audio_codec);
}
