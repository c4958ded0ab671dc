/* Fewer channels from more: ITU-R BS.775-3, Annex 4. Left = L + c C + 0.7071 Ls, with c the setting centre-mix; the
 * bass channel is left out, as the standard has it; mono is both sides of that added. The whole matrix is then scaled
 * so that no sum of full-scale channels can clip: what the level loses, `normalize` brings back without harm. */
#include "sound/internal.h"

typedef struct matrix {
    double gain[8][64]; /* [output][input] */
    int outs, ins;
} matrix;

/* How a channel goes to the left and the right of a stereo mix. False: we don't know where it stands. */
static bool sides(enum AVChannel ch, double centre, double *left, double *right)
{
    static const struct {
        enum AVChannel ch;
        double left, right;
    } table[] = {
        { AV_CHAN_FRONT_LEFT, 1, 0 },           { AV_CHAN_FRONT_RIGHT, 0, 1 },
        { AV_CHAN_STEREO_LEFT, 1, 0 },          { AV_CHAN_STEREO_RIGHT, 0, 1 },
        { AV_CHAN_FRONT_LEFT_OF_CENTER, 1, 0 }, { AV_CHAN_FRONT_RIGHT_OF_CENTER, 0, 1 },
        { AV_CHAN_BACK_LEFT, M_SQRT1_2, 0 },    { AV_CHAN_BACK_RIGHT, 0, M_SQRT1_2 },
        { AV_CHAN_SIDE_LEFT, M_SQRT1_2, 0 },    { AV_CHAN_SIDE_RIGHT, 0, M_SQRT1_2 },
        { AV_CHAN_BACK_CENTER, 0.5, 0.5 },      { AV_CHAN_LOW_FREQUENCY, 0, 0 },
        { AV_CHAN_LOW_FREQUENCY_2, 0, 0 },
    };
    *left = *right = centre;
    if (ch == AV_CHAN_FRONT_CENTER)
        return true;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (table[i].ch != ch)
            continue;
        *left = table[i].left;
        *right = table[i].right;
        return true;
    }
    return false;
}

/* The channel of 5.1 that an input goes to, and how loud. Two pairs of surrounds share one pair at equal power. */
static bool to_five_one(enum AVChannel ch, bool two_pairs, int *out, double *gain)
{
    *gain = 1;
    switch (ch) {
    case AV_CHAN_FRONT_LEFT:
    case AV_CHAN_FRONT_LEFT_OF_CENTER:
        *out = 0;
        return true;
    case AV_CHAN_FRONT_RIGHT:
    case AV_CHAN_FRONT_RIGHT_OF_CENTER:
        *out = 1;
        return true;
    case AV_CHAN_FRONT_CENTER:
        *out = 2;
        return true;
    case AV_CHAN_LOW_FREQUENCY:
        *out = 3;
        return true;
    case AV_CHAN_BACK_LEFT:
    case AV_CHAN_SIDE_LEFT:
        *out = 4;
        break;
    case AV_CHAN_BACK_RIGHT:
    case AV_CHAN_SIDE_RIGHT:
        *out = 5;
        break;
    default:
        return false;
    }
    *gain = two_pairs ? M_SQRT1_2 : 1;
    return true;
}

static bool fill_five_one(matrix *m, const AVChannelLayout *in)
{
    bool two_pairs = av_channel_layout_index_from_channel(in, AV_CHAN_BACK_LEFT) >= 0 &&
                     av_channel_layout_index_from_channel(in, AV_CHAN_SIDE_LEFT) >= 0;
    for (int i = 0; i < m->ins; i++) {
        enum AVChannel ch = av_channel_layout_channel_from_index(in, (unsigned)i);
        int out = 0;
        double gain = 0;
        if (ch == AV_CHAN_BACK_CENTER)
            m->gain[4][i] = m->gain[5][i] = M_SQRT1_2;
        else if (to_five_one(ch, two_pairs, &out, &gain))
            m->gain[out][i] = gain;
        else
            return false;
    }
    return true;
}

static bool fill_front(matrix *m, const AVChannelLayout *in, double centre)
{
    for (int i = 0; i < m->ins; i++) {
        double left = 0, right = 0;
        if (!sides(av_channel_layout_channel_from_index(in, (unsigned)i), centre, &left, &right))
            return false;
        if (m->outs == 1) {
            m->gain[0][i] = (left + right) * M_SQRT1_2;
        } else {
            m->gain[0][i] = left;
            m->gain[1][i] = right;
        }
    }
    return true;
}

/* Scales so that the loudest possible output is full scale; returns the factor. */
static double make_safe(matrix *m)
{
    double most = 1;
    for (int o = 0; o < m->outs; o++) {
        double sum = 0;
        for (int i = 0; i < m->ins; i++)
            sum += fabs(m->gain[o][i]);
        most = TA_MAX(most, sum);
    }
    for (int o = 0; o < m->outs; o++)
        for (int i = 0; i < m->ins; i++)
            m->gain[o][i] /= most;
    return 1 / most;
}

/* "pan=stereo|c0=0.414214*c0+0.292893*c2|..."; a channel that nothing goes to is "0*c0". */
static void print_matrix(const matrix *m, const AVChannelLayout *out, ta_buf *spec)
{
    char name[64];
    ta_sound_then(spec, "pan=%s", ta_sound_layout_name(out, name));
    for (int o = 0; o < m->outs; o++) {
        const char *join = "";
        ta_buf_addf(spec, "|c%d=", o);
        for (int i = 0; i < m->ins; i++) {
            if (m->gain[o][i] == 0)
                continue;
            ta_buf_addf(spec, "%s%.6f*c%d", join, m->gain[o][i], i);
            join = "+";
        }
        if (!join[0])
            ta_buf_add(spec, "0*c0");
    }
}

int ta_sound_downmix(ta_sound_build *b, const AVChannelLayout *layout)
{
    char from[64], to[64];
    matrix m = { .outs = layout->nb_channels, .ins = b->now.layout.nb_channels };
    ta_sound_layout_name(&b->now.layout, from);
    ta_sound_layout_name(layout, to);
    bool known = m.ins <= 64 && m.outs <= 8;
    if (known)
        known = m.outs > 2 ? fill_five_one(&m, &b->now.layout) : fill_front(&m, &b->now.layout, ta_sound_centre(b->s));
    if (!known) {
        ta_fail(b->err, TA_ERR_USAGE, "audio-layout: a track of %s can't be mixed to %s", from, to);
        return ta_hint(b->err, "use audio-layout original, with flac or pcm as audio-codec, or leave the track out "
                               "with audio-tracks");
    }
    double factor = make_safe(&m);
    ta_buf spec = { 0 };
    ta_sound_want(b, &spec, AV_SAMPLE_FMT_DBLP);
    print_matrix(&m, layout, &spec);
    b->now.layout = *layout;
    ta_sound_note(b, "%s is mixed to %s (ITU-R BS.775), %.1f dB lower so that it can't clip", from, to,
                  -20 * log10(factor));
    return ta_sound_add(b, "mix", &spec);
}
