/* Single pictures: converting one, drawing it into a canvas, and PNG. */
#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>

#include "media/media.h"

static bool full_range(const AVFrame *f)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    return f->color_range == AVCOL_RANGE_JPEG || ta_plain_pix_fmt(f->format) != f->format ||
           (d && d->flags & AV_PIX_FMT_FLAG_RGB);
}

AVFrame *ta_new_frame(enum AVPixelFormat format, int width, int height)
{
    AVFrame *f = av_frame_alloc();
    if (!f)
        return NULL;
    f->format = format;
    f->width = width;
    f->height = height;
    if (av_frame_get_buffer(f, 0) < 0)
        av_frame_free(&f);
    return f;
}

int ta_frame_convert(AVFrame *to, const AVFrame *from, ta_kernel kernel, ta_error *err)
{
    int flags = kernel == TA_KERNEL_LANCZOS ? SWS_LANCZOS : SWS_BICUBIC;
    struct SwsContext *sws = sws_getContext(
        from->width, from->height, ta_plain_pix_fmt(from->format), to->width, to->height, ta_plain_pix_fmt(to->format),
        flags | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP, NULL, NULL, NULL);
    if (!sws)
        return ta_fail(err, TA_ERR_SOFTWARE, "the picture can't be converted from %s to %s",
                       av_get_pix_fmt_name(from->format), av_get_pix_fmt_name(to->format));
    sws_setColorspaceDetails(sws, sws_getCoefficients((int)from->colorspace), full_range(from),
                             sws_getCoefficients((int)to->colorspace), full_range(to), 0, 1 << 16, 1 << 16);
    int lines =
        sws_scale(sws, (const uint8_t *const *)from->data, from->linesize, 0, from->height, to->data, to->linesize);
    sws_freeContext(sws);
    return lines == to->height ? 0 : ta_fail(err, TA_ERR_SOFTWARE, "the picture can't be converted");
}

int ta_draw(AVFrame *canvas, int x, int y, int width, int height, const AVFrame *from, ta_error *err)
{
    AVFrame *rgb = ta_new_frame(AV_PIX_FMT_RGB24, width, height);
    int r = rgb ? ta_frame_convert(rgb, from, TA_KERNEL_LANCZOS, err) : ta_no_memory(err);
    if (r >= 0)
        av_image_copy_plane(canvas->data[0] + (ptrdiff_t)y * canvas->linesize[0] + (ptrdiff_t)x * 3,
                            canvas->linesize[0], rgb->data[0], rgb->linesize[0], width * 3, height);
    av_frame_free(&rgb);
    return r;
}

int ta_png_encode(AVPacket *pkt, const AVFrame *rgb, ta_error *err)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_PNG);
    AVCodecContext *c = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!c)
        return ta_fail(err, TA_ERR_UNAVAILABLE, "this libav has no PNG encoder");
    c->width = rgb->width;
    c->height = rgb->height;
    c->pix_fmt = AV_PIX_FMT_RGB24;
    c->time_base = (AVRational){ 1, 1 };
    int av = avcodec_open2(c, codec, NULL);
    av = av < 0 ? av : avcodec_send_frame(c, rgb);
    av = av < 0 ? av : avcodec_send_frame(c, NULL);
    av = av < 0 ? av : avcodec_receive_packet(c, pkt);
    avcodec_free_context(&c);
    return av < 0 ? ta_fail_av(err, av, TA_ERR_SOFTWARE, "the PNG can't be made") : 0;
}

int ta_png_write(const AVFrame *rgb, const char *path, bool overwrite, ta_error *err)
{
    AVPacket *pkt = av_packet_alloc();
    int r = pkt ? ta_png_encode(pkt, rgb, err) : ta_no_memory(err);
    if (r >= 0)
        r = ta_write_file(path, pkt->data, (size_t)pkt->size, overwrite, err);
    av_packet_free(&pkt);
    return r;
}
