/* Loudness by EBU R 128: libebur128 with the channel weights of ITU-R BS.1770-4, table 4. */
#include <ebur128.h>

#include "sound/internal.h"
#include "sound/samples.h"

enum { BLOCK = 4096 };

struct ta_loudness_meter {
    ebur128_state *state;
    ta_audio_format format;
    double *block; /* BLOCK interleaved samples */
};

/* Where a loudspeaker stands. Channels between 60 and 120 degrees to the side weigh +1.5 dB: the surrounds of 5.1
 * (110 degrees, whether called back or side) and the sides of 7.1, but not the backs of 7.1 (135 degrees). The bass
 * channel doesn't count. */
static int place(const AVChannelLayout *layout, int index)
{
    bool sides = av_channel_layout_index_from_channel(layout, AV_CHAN_SIDE_LEFT) >= 0;
    switch (av_channel_layout_channel_from_index(layout, (unsigned)index)) {
    case AV_CHAN_LOW_FREQUENCY:
    case AV_CHAN_LOW_FREQUENCY_2:
        return EBUR128_UNUSED;
    case AV_CHAN_FRONT_RIGHT:
        return EBUR128_RIGHT;
    case AV_CHAN_FRONT_CENTER:
        return EBUR128_CENTER;
    case AV_CHAN_SIDE_LEFT:
        return EBUR128_LEFT_SURROUND;
    case AV_CHAN_SIDE_RIGHT:
        return EBUR128_RIGHT_SURROUND;
    case AV_CHAN_BACK_LEFT:
        return sides ? EBUR128_Mp135 : EBUR128_LEFT_SURROUND;
    case AV_CHAN_BACK_RIGHT:
        return sides ? EBUR128_Mm135 : EBUR128_RIGHT_SURROUND;
    case AV_CHAN_BACK_CENTER:
        return EBUR128_Mp180;
    default:
        return EBUR128_LEFT;
    }
}

static bool set_places(ebur128_state *state, const AVChannelLayout *layout)
{
    for (int i = 0; i < layout->nb_channels; i++)
        if (ebur128_set_channel(state, (unsigned)i, place(layout, i)) != EBUR128_SUCCESS)
            return false;
    return true;
}

int ta_loudness_meter_new(ta_loudness_meter **m, const ta_audio_format *format, ta_error *err)
{
    int channels = format->layout.nb_channels;
    *m = NULL;
    if (channels < 1 || channels > 64 || format->sample_rate < 16)
        return ta_fail(err, TA_ERR_SOFTWARE, "no loudness meter for %d channels at %d Hz", channels,
                       format->sample_rate);
    ta_loudness_meter *n = ta_alloc(sizeof *n);
    if (!n)
        return ta_no_memory(err);
    n->format = *format;
    n->block = ta_array((size_t)BLOCK * (size_t)channels, sizeof *n->block);
    n->state = ebur128_init((unsigned)channels, (unsigned long)format->sample_rate,
                            EBUR128_MODE_I | EBUR128_MODE_LRA | EBUR128_MODE_TRUE_PEAK);
    if (!n->block || !n->state || !set_places(n->state, &format->layout)) {
        ta_loudness_meter_free(&n);
        return ta_no_memory(err);
    }
    *m = n;
    return 0;
}

static int add_block(ta_loudness_meter *m, const AVFrame *frame, int from, int count, ta_error *err)
{
    int channels = frame->ch_layout.nb_channels;
    for (int c = 0; c < channels; c++)
        if (!ta_samples_read(frame, c, from, count, m->block + c, channels))
            return ta_fail(err, TA_ERR_SOFTWARE, "the loudness meter can't read this sample format");
    return ebur128_add_frames_double(m->state, m->block, (size_t)count) == EBUR128_SUCCESS ? 0 : ta_no_memory(err);
}

int ta_loudness_meter_add(ta_loudness_meter *m, const AVFrame *frame, ta_error *err)
{
    if (frame->ch_layout.nb_channels != m->format.layout.nb_channels || frame->sample_rate != m->format.sample_rate)
        return ta_fail(err, TA_ERR_SOFTWARE, "the loudness meter got %d channels at %d Hz instead of %d at %d",
                       frame->ch_layout.nb_channels, frame->sample_rate, m->format.layout.nb_channels,
                       m->format.sample_rate);
    int r = 0;
    for (int from = 0; r >= 0 && from < frame->nb_samples; from += BLOCK)
        r = add_block(m, frame, from, TA_MIN(frame->nb_samples - from, BLOCK), err);
    return r;
}

int ta_loudness_meter_result(ta_loudness_meter *m, ta_loudness *l, ta_error *err)
{
    double peak = 0;
    if (ebur128_loudness_global(m->state, &l->integrated) != EBUR128_SUCCESS ||
        ebur128_loudness_range(m->state, &l->range) != EBUR128_SUCCESS)
        return ta_no_memory(err);
    for (int c = 0; c < m->format.layout.nb_channels; c++) {
        double one = 0;
        if (ebur128_true_peak(m->state, (unsigned)c, &one) != EBUR128_SUCCESS)
            return ta_fail(err, TA_ERR_SOFTWARE, "the loudness meter has no true peak");
        peak = TA_MAX(peak, one);
    }
    l->true_peak = peak > 0 ? 20 * log10(peak) : -HUGE_VAL;
    return 0;
}

void ta_loudness_meter_free(ta_loudness_meter **m)
{
    if (!m || !*m)
        return;
    if ((*m)->state)
        ebur128_destroy(&(*m)->state);
    ta_free((*m)->block);
    ta_freep(m);
}
