/* Guesses for untagged colour, and the true sample aspect of SD pictures.
 * Sources: ITU-R BT.601, BT.709, BT.1700; SMPTE 170M; ITU-T H.273 for the code points. */
#include "media/media.h"

typedef struct colour_guess {
    enum AVColorPrimaries primaries;
    enum AVColorTransferCharacteristic transfer;
    enum AVColorSpace matrix;
    const char *name;
} colour_guess;

static const colour_guess guess_525 = { AVCOL_PRI_SMPTE170M, AVCOL_TRC_SMPTE170M, AVCOL_SPC_SMPTE170M,
                                        "BT.601 525 lines (NTSC)" };
static const colour_guess guess_625 = { AVCOL_PRI_BT470BG, AVCOL_TRC_SMPTE170M, AVCOL_SPC_BT470BG,
                                        "BT.601 625 lines (PAL)" };
static const colour_guess guess_hd = { AVCOL_PRI_BT709, AVCOL_TRC_BT709, AVCOL_SPC_BT709, "BT.709 (HD)" };

static bool is_ntsc_rate(AVRational rate)
{
    return rate.num && (rate.den == 1001 || av_cmp_q(rate, (AVRational){ 30000, 1001 }) == 0);
}

static const colour_guess *guess_for(const ta_video_format *f)
{
    if (f->width >= 1280 || f->height > 576)
        return &guess_hd;
    if (f->height == 576 || f->height == 288)
        return &guess_625;
    if (f->height == 480 || f->height == 486 || f->height == 240 || is_ntsc_rate(f->frame_rate))
        return &guess_525;
    return av_cmp_q(f->frame_rate, (AVRational){ 25, 1 }) == 0 || av_cmp_q(f->frame_rate, (AVRational){ 50, 1 }) == 0
               ? &guess_625
               : &guess_525;
}

static bool is_full_range_format(enum AVPixelFormat fmt)
{
    return fmt == AV_PIX_FMT_YUVJ420P || fmt == AV_PIX_FMT_YUVJ422P || fmt == AV_PIX_FMT_YUVJ444P ||
           fmt == AV_PIX_FMT_YUVJ440P || fmt == AV_PIX_FMT_YUVJ411P;
}

bool ta_guess_colour(ta_video_format *f, char *text)
{
    const AVPixFmtDescriptor *desc = av_pix_fmt_desc_get(f->pix_fmt);
    bool rgb = desc && (desc->flags & AV_PIX_FMT_FLAG_RGB);
    const colour_guess *g = guess_for(f);
    bool guessed = false;
    if (f->matrix == AVCOL_SPC_UNSPECIFIED || (f->matrix == AVCOL_SPC_RGB && !rgb)) {
        f->matrix = rgb ? AVCOL_SPC_RGB : g->matrix;
        guessed = !rgb;
    }
    if (f->primaries == AVCOL_PRI_UNSPECIFIED || f->primaries == AVCOL_PRI_RESERVED0) {
        f->primaries = g->primaries;
        guessed = true;
    }
    if (f->transfer == AVCOL_TRC_UNSPECIFIED || f->transfer == AVCOL_TRC_RESERVED0) {
        f->transfer = g->transfer;
        guessed = true;
    }
    if (f->range == AVCOL_RANGE_UNSPECIFIED)
        f->range = rgb || is_full_range_format(f->pix_fmt) ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
    if (guessed && text)
        snprintf(text, 128, "the colour is not (fully) tagged: taken as %s", g->name);
    return guessed;
}

AVRational ta_true_sar(int width, int height, AVRational sar, bool sd_704)
{
    static const struct {
        AVRational declared, real;
        int lines;
    } centre[] = {
        { { 8, 9 }, { 10, 11 }, 480 },
        { { 32, 27 }, { 40, 33 }, 480 },
        { { 16, 15 }, { 12, 11 }, 576 },
        { { 64, 45 }, { 16, 11 }, 576 },
    };
    if (sar.num <= 0 || sar.den <= 0)
        return (AVRational){ 1, 1 };
    if (sd_704 && (width == 720 || width == 704))
        for (size_t i = 0; i < TA_COUNT(centre); i++) {
            bool lines = height == centre[i].lines || (centre[i].lines == 480 && height == 486);
            if (lines && av_cmp_q(sar, centre[i].declared) == 0)
                return centre[i].real;
        }
    return sar;
}
