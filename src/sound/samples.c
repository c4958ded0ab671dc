/* Samples of any format as doubles. */
#include "base/base.h"
#include "sound/samples.h"

#define COPY(type, convert)                                                                                            \
    {                                                                                                                  \
        const type *p = (const type *)data + (size_t)from * step + (planar ? 0 : channel);                             \
        for (int i = 0; i < count; i++, p += step)                                                                     \
            out[(size_t)i * stride] = convert;                                                                         \
        return true;                                                                                                   \
    }

bool ta_samples_read(const AVFrame *frame, int channel, int from, int count, double *out, int stride)
{
    bool planar = av_sample_fmt_is_planar(frame->format);
    size_t step = planar ? 1 : (size_t)frame->ch_layout.nb_channels;
    const uint8_t *data = frame->extended_data[planar ? channel : 0];
    switch (av_get_packed_sample_fmt(frame->format)) {
    case AV_SAMPLE_FMT_U8:
        COPY(uint8_t, (*p - 128) / 128.0)
    case AV_SAMPLE_FMT_S16:
        COPY(int16_t, *p / 32768.0)
    case AV_SAMPLE_FMT_S32:
        COPY(int32_t, *p / 2147483648.0)
    case AV_SAMPLE_FMT_S64:
        COPY(int64_t, (double)*p / 9223372036854775808.0)
    case AV_SAMPLE_FMT_FLT:
        COPY(float, *p)
    case AV_SAMPLE_FMT_DBL:
        COPY(double, *p)
    default:
        return false;
    }
}
