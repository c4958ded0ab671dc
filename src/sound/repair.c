/* Repairs of the recording itself, before anything else: clicks, cut-off peaks, hum of the mains.
 *
 * Clicks and peaks: S. Godsill and P. Rayner, "Digital Audio Restoration" (1998): samples that an autoregressive model
 * of their window doesn't predict are interpolated by it; libavfilter's adeclick and adeclip. Their default way to join
 * windows, adding them, makes the level waver by 4 % at every hop, as their sine windows with a quarter's hop don't add
 * up to a constant; so windows are "saved": samples that aren't repaired leave bit by bit as they came, with no delay.
 * Hum: second-order notches on the lines that are there. */
#include "sound/internal.h"

/* Windows of clicks, the filter's default, and of peaks: shorter, as the work grows with the cube of the cut samples in
 * a window, and as good. */
enum { CLICK_MS = 55, CLIP_MS = 20, OVERLAP = 75, LEAST_WINDOW = 100 };
/* Lines of explicit hum: 10 end at 500 and 600 Hz. */
enum { NOMINAL_LINES = 10 };

static int add_windowed(ta_sound_build *b, const char *name, const char *filter, int window_ms)
{
    ta_buf spec = { 0 };
    int window = (int)(b->now.sample_rate * (double)window_ms / 1000.); /* rounded as the filters do */
    if (window < LEAST_WINDOW) {
        ta_sound_note(b, "%s is left out: %d Hz are too few", name, b->now.sample_rate);
        return 0;
    }
    ta_sound_want(b, &spec, AV_SAMPLE_FMT_DBLP);
    ta_sound_then(&spec, "%s:w=%d:o=%d:m=s", filter, window_ms, OVERLAP);
    ta_sound_step(b, (int)(window * (1. - OVERLAP / 100.)));
    return ta_sound_add_exact(b, name, 0, 1, &spec);
}

/* A notch's width in Hz: wide enough for the line to wander a little, and the higher the line the more; a notch of 2 Hz
 * lowers what is 0.1 Hz beside its middle by 20 dB. */
static double notch_width(int line)
{
    return 1.5 + 0.5 * line;
}

static int add_notches(ta_sound_build *b, double hz, uint32_t lines)
{
    ta_buf spec = { 0 };
    ta_sound_want(b, &spec, AV_SAMPLE_FMT_DBLP);
    for (int k = 1; k <= TA_HUM_LINES; k++)
        if (lines >> (k - 1) & 1 && k * hz < 0.45 * b->now.sample_rate)
            ta_sound_then(&spec, "bandreject=f=%.4f:t=h:w=%g", k * hz, notch_width(k));
    return ta_sound_add(b, "dehum", &spec);
}

static int highest_line(uint32_t lines)
{
    int k = 0;
    for (; lines; lines >>= 1)
        k++;
    return k;
}

static int add_measured(ta_sound_build *b)
{
    const ta_sound_findings *f = b->found;
    if (!f || f->seconds <= 0) {
        ta_sound_note(b, "dehum auto: no sound could be measured, nothing is filtered");
        return 0;
    }
    if (!f->hum_lines) {
        ta_sound_note(b, "dehum auto: no hum at 50 or 60 Hz was found, nothing is filtered");
        return 0;
    }
    ta_sound_note(b, "dehum auto: hum of %.2f Hz was found, %d line%s up to %.0f Hz, at %.0f dBFS; filtered", f->hum_hz,
                  av_popcount(f->hum_lines), av_popcount(f->hum_lines) == 1 ? "" : "s",
                  f->hum_hz * highest_line(f->hum_lines), f->hum_dbfs);
    return add_notches(b, f->hum_hz, f->hum_lines);
}

static int add_dehum(ta_sound_build *b)
{
    if (ta_get_is(b->s, TA_SET_dehum, "off"))
        return 0;
    if (ta_get_is(b->s, TA_SET_dehum, "auto"))
        return add_measured(b);
    return add_notches(b, ta_get_is(b->s, TA_SET_dehum, "60") ? 60 : 50, (1u << NOMINAL_LINES) - 1);
}

int ta_sound_repair(ta_sound_build *b)
{
    int r = 0;
    if (ta_get_is(b->s, TA_SET_declip, "on"))
        r = add_windowed(b, "declip", "adeclip=t=10", CLIP_MS);
    /* Less eager than the filter's threshold of 2, by which clean sound is touched, too; and clicks that are as near to
     * each other as 10 % of a window are one, not 0.2 %. */
    if (r >= 0 && ta_get_is(b->s, TA_SET_declick, "on"))
        r = add_windowed(b, "declick", "adeclick=t=4:b=10", CLICK_MS);
    return r < 0 ? r : add_dehum(b);
}
