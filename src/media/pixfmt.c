/* Which pixel format an encoder gets. */
#include "media/media.h"

bool ta_encoder_exists(const char *encoder)
{
    return avcodec_find_encoder_by_name(encoder) != NULL;
}

static int depth_of(enum AVPixelFormat fmt)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(fmt);
    return d ? d->comp[0].depth : 8;
}

static bool has_format(const AVCodec *codec, enum AVPixelFormat fmt)
{
    for (const enum AVPixelFormat *p = codec->pix_fmts; p && *p != AV_PIX_FMT_NONE; p++)
        if (*p == fmt)
            return true;
    return false;
}

enum AVPixelFormat ta_plain_pix_fmt(enum AVPixelFormat fmt)
{
    switch (fmt) {
    case AV_PIX_FMT_YUVJ420P:
        return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
        return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ444P:
        return AV_PIX_FMT_YUV444P;
    case AV_PIX_FMT_YUVJ440P:
        return AV_PIX_FMT_YUV440P;
    case AV_PIX_FMT_YUVJ411P:
        return AV_PIX_FMT_YUV411P;
    default:
        return fmt;
    }
}

static enum AVPixelFormat lossless_format(const AVCodec *codec, enum AVPixelFormat source, int bits)
{
    enum AVPixelFormat plain = ta_plain_pix_fmt(source);
    if (has_format(codec, plain) && (!bits || bits == depth_of(plain)))
        return plain;
    int loss = 0;
    enum AVPixelFormat best = AV_PIX_FMT_NONE;
    for (const enum AVPixelFormat *p = codec->pix_fmts; p && *p != AV_PIX_FMT_NONE; p++)
        if (!bits || depth_of(*p) == bits)
            best = best == AV_PIX_FMT_NONE ? *p : av_find_best_pix_fmt_of_2(best, *p, plain, 0, &loss);
    return best;
}

enum AVPixelFormat ta_encoder_pix_fmt(const char *encoder, enum AVPixelFormat source, int bits)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(encoder);
    if (!codec)
        return AV_PIX_FMT_NONE;
    const AVCodecDescriptor *desc = avcodec_descriptor_get(codec->id);
    if (desc && (desc->props & AV_CODEC_PROP_LOSSLESS) && !(desc->props & AV_CODEC_PROP_LOSSY))
        return lossless_format(codec, source, bits);
    static const enum AVPixelFormat eight[] = { AV_PIX_FMT_YUV420P, AV_PIX_FMT_NV12 };
    static const enum AVPixelFormat ten[] = { AV_PIX_FMT_YUV420P10, AV_PIX_FMT_P010 };
    bool gpu = ta_ends(encoder, "_vaapi"); /* takes what is uploaded to it */
    int want = bits ? bits : depth_of(source) > 8 ? 10 : 8;
    if (gpu)
        return want > 8 && ta_starts(encoder, "hevc") ? AV_PIX_FMT_P010
               : want > 8 && bits                     ? AV_PIX_FMT_NONE
                                                      : AV_PIX_FMT_NV12;
    if (want > 8)
        for (size_t i = 0; i < TA_COUNT(ten); i++)
            if (has_format(codec, ten[i]))
                return ten[i];
    if (want > 8 && bits)
        return AV_PIX_FMT_NONE;
    for (size_t i = 0; i < TA_COUNT(eight); i++)
        if (has_format(codec, eight[i]))
            return eight[i];
    return codec->pix_fmts ? codec->pix_fmts[0] : AV_PIX_FMT_YUV420P;
}
