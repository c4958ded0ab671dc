/* Channels: repairs of a stereo track, and the way from the source's layout to the output's. */
#include "sound/internal.h"

static const AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO, stereo = AV_CHANNEL_LAYOUT_STEREO,
                             five_one = AV_CHANNEL_LAYOUT_5POINT1_BACK, seven_one = AV_CHANNEL_LAYOUT_7POINT1;

int ta_sound_channel_fix(ta_sound_build *b)
{
    static const struct {
        const char *name, *pan;
    } fixes[] = {
        { "left", "pan=stereo|c0=c0|c1=c0" },
        { "right", "pan=stereo|c0=c1|c1=c1" },
        { "mix", "pan=stereo|c0=0.5*c0+0.5*c1|c1=0.5*c0+0.5*c1" },
        { "invert", "pan=stereo|c0=c0|c1=-1*c1" },
    };
    const char *fix = ta_get_text(b->s, TA_SET_channel_fix);
    if (ta_streq(fix, "none"))
        return 0;
    if (b->now.layout.nb_channels != 2) {
        char name[64];
        ta_fail(b->err, TA_ERR_USAGE, "channel-fix %s repairs stereo, but this track is %s", fix,
                ta_sound_layout_name(&b->now.layout, name));
        return ta_hint(b->err, "leave channel-fix out, or choose the stereo tracks with audio-tracks");
    }
    for (size_t i = 0; i < sizeof fixes / sizeof *fixes; i++) {
        if (!ta_streq(fix, fixes[i].name))
            continue;
        ta_buf spec = { 0 };
        ta_sound_want(b, &spec, AV_SAMPLE_FMT_DBLP);
        ta_sound_then(&spec, "%s", fixes[i].pan);
        b->now.layout = stereo;
        return ta_sound_add(b, "channel-fix", &spec);
    }
    return ta_fail(b->err, TA_ERR_SOFTWARE, "channel-fix %s has no filter", fix);
}

/* Gives the channels other names: not a sample is touched. */
static int relabel(ta_sound_build *b, const AVChannelLayout *layout)
{
    char name[64];
    ta_buf spec = { 0 };
    ta_sound_want(b, &spec, av_get_planar_sample_fmt(b->now.sample_fmt)); /* all that the filter takes */
    ta_sound_then(&spec, "channelmap=map=0");
    for (int i = 1; i < layout->nb_channels; i++)
        ta_buf_addf(&spec, "|%d", i);
    ta_buf_addf(&spec, ":channel_layout=%s", ta_sound_layout_name(layout, name));
    b->now.layout = *layout;
    return ta_sound_add(b, "layout", &spec);
}

/* A track whose channels have no names, or odd ones (one channel that isn't mono, two that aren't stereo), gets the
 * usual names for their number. */
int ta_sound_names(ta_sound_build *b)
{
    AVChannelLayout *now = &b->now.layout, usual = { 0 };
    av_channel_layout_default(&usual, now->nb_channels);
    bool named = now->order == AV_CHANNEL_ORDER_NATIVE;
    if (named && (now->nb_channels > 2 || av_channel_layout_compare(now, &usual) == 0))
        return 0;
    char name[64], was[64];
    if (usual.order != AV_CHANNEL_ORDER_NATIVE)
        return ta_fail(b->err, TA_ERR_DATA, "a track of %d unnamed channels can't be used", now->nb_channels);
    ta_sound_note(b, "the track's channels (%s) are taken for %s", ta_sound_layout_name(now, was),
                  ta_sound_layout_name(&usual, name));
    return relabel(b, &usual);
}

static int to_stereo(ta_sound_build *b)
{
    if (b->now.layout.nb_channels == 2)
        return 0;
    if (b->now.layout.nb_channels > 2)
        return ta_sound_downmix(b, &stereo);
    ta_buf spec = { 0 };
    ta_sound_want(b, &spec, AV_SAMPLE_FMT_DBLP);
    ta_sound_then(&spec, "pan=stereo|c0=c0|c1=c0");
    b->now.layout = stereo;
    return ta_sound_add(b, "mix", &spec);
}

/* True for the layout itself and for its twin with side instead of back channels. */
static bool same_shape(const AVChannelLayout *a, const AVChannelLayout *b)
{
    AVChannelLayout twin;
    return av_channel_layout_compare(a, b) == 0 ||
           (ta_sound_twin(a, &twin) && av_channel_layout_compare(&twin, b) == 0);
}

static int to_surround(ta_sound_build *b, const AVChannelLayout *layout)
{
    const char *asked = ta_get_text(b->s, TA_SET_audio_layout);
    bool upmix = !ta_get_is(b->s, TA_SET_upmix, "none");
    int channels = b->now.layout.nb_channels;
    char name[64];
    ta_sound_layout_name(&b->now.layout, name);
    if (channels <= 2) {
        if (upmix)
            return ta_sound_upmix(b, layout);
        ta_fail(b->err, TA_ERR_USAGE, "audio-layout %s: the track is %s, and upmix is not set", asked, name);
        return ta_hint(b->err, "choose upmix simple, surround or prologic; or audio-layout original");
    }
    if (upmix)
        ta_sound_note(b, "upmix is for mono and stereo: this track of %s is not upmixed", name);
    if (same_shape(&b->now.layout, layout))
        return 0;
    if (layout->nb_channels == 6)
        return ta_sound_downmix(b, layout);
    ta_fail(b->err, TA_ERR_USAGE, "audio-layout %s can't be made of a track of %s: upmix takes mono and stereo", asked,
            name);
    return ta_hint(b->err, "use audio-layout original");
}

static int to_asked(ta_sound_build *b)
{
    const ta_settings *s = b->s;
    if (ta_get_is(s, TA_SET_audio_layout, "mono"))
        return b->now.layout.nb_channels > 1 ? ta_sound_downmix(b, &mono) : 0;
    if (ta_get_is(s, TA_SET_audio_layout, "stereo"))
        return to_stereo(b);
    if (ta_get_is(s, TA_SET_audio_layout, "5.1"))
        return to_surround(b, &five_one);
    if (ta_get_is(s, TA_SET_audio_layout, "7.1"))
        return to_surround(b, &seven_one);
    return 0;
}

/* The encoder's way to name the layout, or a refusal: libav would mix silently. */
static int for_encoder(ta_sound_build *b)
{
    const ta_sound_codec *c = ta_sound_codec_find(b->codec);
    AVChannelLayout twin;
    if (!c || ta_sound_codec_has_layout(c, &b->now.layout))
        return 0;
    if (ta_sound_twin(&b->now.layout, &twin) && ta_sound_codec_has_layout(c, &twin))
        return relabel(b, &twin);
    char name[64];
    ta_fail(b->err, TA_ERR_USAGE, "audio-codec %s can't hold %s", b->codec, ta_sound_layout_name(&b->now.layout, name));
    return ta_hint(b->err, "set audio-layout to 5.1 or stereo, or audio-codec to flac");
}

int ta_sound_layout(ta_sound_build *b)
{
    int r = to_asked(b);
    return r < 0 ? r : for_encoder(b);
}
