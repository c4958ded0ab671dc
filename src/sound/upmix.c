/* 5.1 and 7.1 from stereo. Three methods: simple and prologic are matrices, surround is libavfilter's filter of that
 * name (it places each frequency by its level and phase difference). In all of them the bass channel is low-passed at
 * the crossover by a fourth-order Butterworth filter (two biquads of Q 0.5412 and 1.3066, -3 dB at the crossover,
 * 24 dB an octave), and the other channels wait for that filter's group delay, so that bass and mains stay in phase. */
#include "sound/internal.h"

#define STAGE_Q1 0.541196
#define STAGE_Q2 1.306563

/* Group delay at low frequency of that filter, in samples: (1/Q1 + 1/Q2) / (2 pi f). */
static int bass_delay(const ta_sound_build *b)
{
    double hz = (double)ta_get_int(b->s, TA_SET_lfe_crossover);
    return (int)lrint((1 / STAGE_Q1 + 1 / STAGE_Q2) / (2 * M_PI * hz) * b->now.sample_rate);
}

/* The matrix methods. With FC' = k (FL + FR), k the centre's share: simple keeps the front; prologic is
 * FL = 0.5 FL + 0.25 FC'. */
static void add_matrix(const ta_sound_build *b, ta_buf *spec, bool prologic, bool seven)
{
    double k = ta_sound_centre(b->s) * M_SQRT1_2;
    ta_sound_then(spec, "pan=%s", seven ? "7.1" : "5.1");
    if (prologic)
        ta_buf_addf(spec, "|FL=%.6f*FL+%.6f*FR|FR=%.6f*FR+%.6f*FL", 0.5 + 0.25 * k, 0.25 * k, 0.5 + 0.25 * k, 0.25 * k);
    else
        ta_buf_add(spec, "|FL=FL|FR=FR");
    ta_buf_addf(spec, "|FC=%.6f*FL+%.6f*FR|LFE=0.5*FL+0.5*FR", k, k);
    ta_buf_add(spec, prologic ? "|BL=0.5*FL-0.25*FR|BR=0.5*FR-0.25*FL" : "|BL=0.7*FL|BR=0.7*FR");
    if (seven)
        ta_buf_add(spec, "|SL=0.5*FL+0.2*FR|SR=0.5*FR+0.2*FL");
}

/* The original's levels, 0.6 for the centre and 0.5 for the bass, as output levels: it gave them as fc_in and lfe_in,
 * which do nothing for stereo input. The filter's own bass cut-off is opened to its maximum, beyond any crossover, as
 * ours follows. Returns its latency: half of its window. */
static int add_surround(ta_sound_build *b, ta_buf *spec, bool seven)
{
    ta_sound_want(b, spec, AV_SAMPLE_FMT_FLTP);
    ta_sound_then(spec, "surround=chl_in=stereo:chl_out=%s:win_size=4096:overlap=0.5", seven ? "7.1" : "5.1");
    ta_buf_addf(spec, ":fc_out=%.6f:lfe_out=0.5:lfe_low=256:lfe_high=512", 0.6 * ta_sound_centre(b->s) / M_SQRT1_2);
    ta_sound_want(b, spec, AV_SAMPLE_FMT_DBLP);
    ta_sound_step(b, 2048);
    return 2048;
}

static void add_bass_filter(const ta_sound_build *b, ta_buf *spec)
{
    int hz = (int)ta_get_int(b->s, TA_SET_lfe_crossover);
    ta_sound_then(spec, "lowpass=f=%d:t=q:w=%.6f:c=LFE", hz, STAGE_Q1);
    ta_sound_then(spec, "lowpass=f=%d:t=q:w=%.6f:c=LFE", hz, STAGE_Q2);
}

/* In the order of libavutil: FL FR FC LFE BL BR, then SL SR. */
static void add_delays(const ta_sound_build *b, ta_buf *spec, int wait, bool seven)
{
    int late = wait + (int)lrint(ta_get_float(b->s, TA_SET_surround_delay) / 1000 * b->now.sample_rate);
    ta_sound_then(spec, "adelay=delays=%dS|%dS|%dS|0S|%dS|%dS", wait, wait, wait, late, late);
    if (seven)
        ta_buf_addf(spec, "|%dS|%dS", late, late);
}

int ta_sound_upmix(ta_sound_build *b, const AVChannelLayout *layout)
{
    const char *method = ta_get_text(b->s, TA_SET_upmix);
    bool seven = layout->nb_channels == 8;
    int wait = bass_delay(b), latency = wait;
    ta_buf spec = { 0 };
    ta_sound_want(b, &spec, AV_SAMPLE_FMT_DBLP);
    if (b->now.layout.nb_channels == 1)
        ta_sound_then(&spec, "pan=stereo|c0=c0|c1=c0");
    if (ta_streq(method, "surround"))
        latency += add_surround(b, &spec, seven);
    else
        add_matrix(b, &spec, ta_streq(method, "prologic"), seven);
    add_bass_filter(b, &spec);
    add_delays(b, &spec, wait, seven);
    b->now.layout = *layout;
    return ta_sound_add_exact(b, "upmix", latency, 1, &spec);
}
