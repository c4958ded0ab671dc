/* What the encoders take: sample rates, layouts, bit rates. A table of our own, so that a plan depends on the input
 * and the settings alone; a test compares it with libavcodec's. */
#include "sound/internal.h"

static const int rates_aac[] = { 7350,  8000,  11025, 12000, 16000, 22050, 24000,
                                 32000, 44100, 48000, 64000, 88200, 96000, 0 };
static const int rates_ac3[] = { 32000, 44100, 48000, 0 };
static const int rates_dts[] = { 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 0 };
static const int rates_opus[] = { 8000, 12000, 16000, 24000, 48000, 0 };

/* AAC's own channel configurations; any other needs a program config element that few players read. */
static const uint64_t layouts_aac[] = { AV_CH_LAYOUT_MONO,         AV_CH_LAYOUT_STEREO,
                                        AV_CH_LAYOUT_SURROUND,     AV_CH_LAYOUT_4POINT0,
                                        AV_CH_LAYOUT_5POINT0_BACK, AV_CH_LAYOUT_5POINT1_BACK,
                                        AV_CH_LAYOUT_7POINT1,      0 };
static const uint64_t layouts_ac3[] = { AV_CH_LAYOUT_MONO,     AV_CH_LAYOUT_STEREO,       AV_CH_LAYOUT_2_1,
                                        AV_CH_LAYOUT_SURROUND, AV_CH_LAYOUT_2_2,          AV_CH_LAYOUT_QUAD,
                                        AV_CH_LAYOUT_4POINT0,  AV_CH_LAYOUT_5POINT0,      AV_CH_LAYOUT_5POINT0_BACK,
                                        AV_CH_LAYOUT_5POINT1,  AV_CH_LAYOUT_5POINT1_BACK, AV_CH_LAYOUT_3POINT1,
                                        AV_CH_LAYOUT_4POINT1,  AV_CH_LAYOUT_2POINT1,      0 };
static const uint64_t layouts_dts[] = { AV_CH_LAYOUT_MONO,    AV_CH_LAYOUT_STEREO,  AV_CH_LAYOUT_2_2,
                                        AV_CH_LAYOUT_5POINT0, AV_CH_LAYOUT_5POINT1, 0 };
/* The orders of Vorbis I, section 4.3.9, which Opus mapping family 1 uses. */
static const uint64_t layouts_opus[] = { AV_CH_LAYOUT_MONO,    AV_CH_LAYOUT_STEREO,       AV_CH_LAYOUT_SURROUND,
                                         AV_CH_LAYOUT_QUAD,    AV_CH_LAYOUT_5POINT0_BACK, AV_CH_LAYOUT_5POINT1_BACK,
                                         AV_CH_LAYOUT_6POINT1, AV_CH_LAYOUT_7POINT1,      0 };

/* libavcodec's DTS encoder starts with a frame of its filter bank's history, 512 samples, and doesn't say so. */
static const ta_sound_codec codecs[] = {
    { "aac", "aac", false, 8, 0, rates_aac, layouts_aac },
    { "ac3", "ac3", false, 6, 0, rates_ac3, layouts_ac3 },
    { "eac3", "eac3", false, 6, 0, rates_ac3, layouts_ac3 },
    { "dts", "dca", false, 6, 512, rates_dts, layouts_dts },
    { "flac", "flac", true, 8, 0, NULL, NULL },
    { "pcm", "pcm_s24le", true, 64, 0, NULL, NULL },
    { "opus", "libopus", false, 8, 0, rates_opus, layouts_opus },
};

const ta_sound_codec *ta_sound_codec_find(const char *name)
{
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++)
        if (ta_streq(codecs[i].name, name))
            return &codecs[i];
    return NULL;
}

bool ta_sound_codec_has_layout(const ta_sound_codec *c, const AVChannelLayout *layout)
{
    if (layout->nb_channels > c->max_channels)
        return false;
    for (const uint64_t *mask = c->layouts; mask && *mask; mask++)
        if (layout->order == AV_CHANNEL_ORDER_NATIVE && layout->u.mask == *mask)
            return true;
    return !c->layouts;
}

bool ta_sound_twin(const AVChannelLayout *layout, AVChannelLayout *twin)
{
    const uint64_t back = AV_CH_BACK_LEFT | AV_CH_BACK_RIGHT, side = AV_CH_SIDE_LEFT | AV_CH_SIDE_RIGHT;
    if (layout->order != AV_CHANNEL_ORDER_NATIVE)
        return false;
    uint64_t mask = layout->u.mask, surround = mask & (back | side);
    if (surround != back && surround != side)
        return false;
    return av_channel_layout_from_mask(twin, mask ^ (back | side)) == 0;
}

int ta_sound_codec_rate(const ta_sound_codec *c, int rate)
{
    if (!c->rates)
        return rate;
    int best = 0;
    for (const int *r = c->rates; *r; r++) {
        best = *r;
        if (*r >= rate)
            break;
    }
    return best;
}

/* ---- Bit rates ------------------------------------------------------------------------------------------------- */

typedef struct range {
    int64_t min, max;
} range;

/* A DTS core frame of 512 samples must hold its side information (ETSI TS 102 114, as libavcodec's encoder lays it
 * out): 132 bits, 1389 a full-band channel, 72 for the bass channel; and must not be over 16384 bytes. */
static range dts_range(const ta_audio_format *f)
{
    bool bass = av_channel_layout_index_from_channel(&f->layout, AV_CHAN_LOW_FREQUENCY) >= 0;
    int full = f->layout.nb_channels - bass;
    int64_t min_bits = 132 + 1389 * (int64_t)full + 72 * bass;
    return (range){ (min_bits * f->sample_rate + 511) / 512,
                    TA_MIN(3840000, (int64_t)16384 * 8 * f->sample_rate / 512) };
}

static range bit_range(const ta_sound_codec *c, const ta_audio_format *f)
{
    int channels = f->layout.nb_channels;
    if (ta_streq(c->name, "aac")) /* 6144 bits a channel in a frame of 1024 samples: ISO/IEC 14496-3, 4.5.3.3 */
        return (range){ 8000, (int64_t)6144 * channels * f->sample_rate / 1024 };
    if (ta_streq(c->name, "ac3")) /* ATSC A/52, table 5.18 */
        return (range){ 32000, 640000 };
    if (ta_streq(c->name, "eac3"))
        return (range){ 32000, TA_MIN(6144000, (int64_t)2048 * 16 * f->sample_rate / 1536) };
    if (ta_streq(c->name, "opus"))
        return (range){ 6000, (int64_t)256000 * channels };
    return dts_range(f);
}

static int64_t auto_rate(const ta_sound_codec *c, const ta_audio_format *f)
{
    static const int64_t by_channels[] = { 0, 96000, 192000, 448000, 448000, 640000, 640000, 768000, 768000 };
    static const int64_t dts[] = { 0, 384000, 768000, 1536000, 1536000, 1536000, 1536000 };
    int n = f->layout.nb_channels;
    return ta_streq(c->name, "dts") ? dts[TA_MIN(n, 6)] : by_channels[TA_MIN(n, 8)];
}

/* AC-3 knows 19 rates only. */
static int64_t nearest_ac3(int64_t rate)
{
    static const int kbit[] = {
        32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640
    };
    int64_t best = 0;
    for (size_t i = 0; i < sizeof kbit / sizeof *kbit; i++)
        if (llabs(kbit[i] * 1000LL - rate) < llabs(best - rate))
            best = kbit[i] * 1000LL;
    return best;
}

static int check_range(const ta_sound_codec *c, const ta_audio_format *f, int64_t rate, ta_error *err)
{
    range r = bit_range(c, f);
    if (rate >= r.min && rate <= r.max)
        return 0;
    ta_fail(err, TA_ERR_USAGE, "audio-bitrate %.1fk: %s takes %.1fk to %.1fk for %d channels at %d Hz", rate / 1000.0,
            c->name, r.min / 1000.0, r.max / 1000.0, f->layout.nb_channels, f->sample_rate);
    return ta_hint(err, "set audio-bitrate to auto or within that range, or choose another audio-codec");
}

int ta_sound_bit_rate(const ta_settings *s, const ta_sound_codec *c, const ta_audio_format *f, int64_t *bit_rate,
                      ta_buf *notes, ta_error *err)
{
    *bit_rate = 0;
    if (c->lossless)
        return 0;
    int64_t asked = ta_get_int(s, TA_SET_audio_bitrate);
    range r = bit_range(c, f);
    *bit_rate = asked > 0 ? asked : TA_CLAMP(auto_rate(c, f), r.min, r.max);
    if (check_range(c, f, *bit_rate, err) < 0)
        return TA_ERR_USAGE;
    if (!ta_streq(c->name, "ac3"))
        return 0;
    *bit_rate = nearest_ac3(*bit_rate);
    if (asked > 0 && asked != *bit_rate && notes)
        ta_buf_addf(notes, "audio-bitrate: AC-3 has no %.1fk, %.0fk is used\n", asked / 1000.0, *bit_rate / 1000.0);
    return 0;
}
