/* Turning and cropping. */
#include "picture/plan.h"

int ta_plan_rotate(ta_plan *p)
{
    static const char *const filters[] = { NULL, "transpose=clock", "hflip,vflip", "transpose=cclock" };
    int turns = p->rotation / 90;
    if (p->rotation % 90)
        ta_plan_note(p, "a rotation of %d degrees is no multiple of 90: the picture isn't turned", p->rotation);
    if (p->rotation % 90 || !turns)
        return 0;
    if (p->interlaced && turns != 2)
        ta_plan_note(p, "an interlaced picture is turned without being deinterlaced: its fields become columns");
    int r = ta_plan_filter(p, &(ta_step){ "rotate" }, filters[turns]);
    if (turns != 2) {
        int w = p->now.width;
        p->now.width = p->now.height;
        p->now.height = w;
        p->now.sar = p->now.sar.num ? av_inv_q(p->now.sar) : p->now.sar;
        p->true_sar = av_inv_q(p->true_sar);
    }
    return r;
}

/* ---- Crop ------------------------------------------------------------------------------------------------------- */

enum { LEFT, TOP, RIGHT, BOTTOM };

static int read_crop(ta_plan *p, int c[4])
{
    const char *text = ta_get_text(p->s, TA_SET_crop);
    int used = 0;
    if (ta_streq(text, "none") || !*text)
        return 0;
    if (ta_streq(text, "auto")) { /* measured on the picture as it is stored: turn it along */
        int turns = p->rotation % 90 ? 0 : p->rotation / 90;
        for (int i = 0; i < 4; i++)
            c[(i + turns) % 4] = p->src->crop[i];
        return 0;
    }
    if (sscanf(text, "%d:%d:%d:%d%n", &c[LEFT], &c[TOP], &c[RIGHT], &c[BOTTOM], &used) == 4 && !text[used] &&
        c[LEFT] >= 0 && c[TOP] >= 0 && c[RIGHT] >= 0 && c[BOTTOM] >= 0 && c[LEFT] < 1 << 15 && c[TOP] < 1 << 15 &&
        c[RIGHT] < 1 << 15 && c[BOTTOM] < 1 << 15)
        return 0;
    ta_fail(p->err, TA_ERR_USAGE, "crop '%s' isn't none, auto or left:top:right:bottom", text);
    return ta_hint(p->err, "for example --crop 8:0:8:8");
}

/* The centre 704 of 720 is what 4:3 or 16:9 fills; with square pixels the rest is cut. */
static void crop_to_704(const ta_plan *p, int c[4])
{
    bool turned = p->rotation == 90 || p->rotation == 270;
    int side = turned ? TOP : LEFT;
    if (!ta_get_bool(p->s, TA_SET_square_pixels) || p->src->video.width != 720)
        return;
    AVRational declared = p->now.sar.num ? p->now.sar : (AVRational){ 1, 1 };
    if (!av_cmp_q(p->true_sar, declared))
        return; /* the rule doesn't apply to this picture */
    c[side] = TA_MAX(c[side], 8);
    c[side + 2] = TA_MAX(c[side + 2], 8);
}

/* Rounds up to whole chroma samples, of each field where the picture is interlaced. */
static void align_crop(ta_plan *p, int c[4])
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(p->now.pix_fmt);
    int unit_x = 1 << d->log2_chroma_w, unit_y = (1 << d->log2_chroma_h) * (p->interlaced ? 2 : 1);
    int was[4];
    memcpy(was, c, sizeof was);
    for (int i = 0; i < 4; i++) {
        int unit = i % 2 ? unit_y : unit_x;
        c[i] = (c[i] + unit - 1) / unit * unit;
    }
    if (memcmp(was, c, sizeof was))
        ta_plan_note(p, "crop %d:%d:%d:%d is widened to %d:%d:%d:%d, whole samples of the source's colour", was[LEFT],
                     was[TOP], was[RIGHT], was[BOTTOM], c[LEFT], c[TOP], c[RIGHT], c[BOTTOM]);
}

int ta_plan_crop(ta_plan *p)
{
    int c[4] = { 0 };
    int r = read_crop(p, c);
    if (r < 0)
        return r;
    c[BOTTOM] = TA_MAX(c[BOTTOM], (int)ta_get_int(p->s, TA_SET_head_switching));
    crop_to_704(p, c);
    align_crop(p, c);
    int width = p->now.width - c[LEFT] - c[RIGHT], height = p->now.height - c[TOP] - c[BOTTOM];
    if (width < 16 || height < 16) {
        ta_fail(p->err, TA_ERR_USAGE, "a crop of %d:%d:%d:%d leaves nothing of a %dx%d picture", c[LEFT], c[TOP],
                c[RIGHT], c[BOTTOM], p->now.width, p->now.height);
        return ta_hint(p->err, "give --crop as left:top:right:bottom");
    }
    if (width == p->now.width && height == p->now.height)
        return 0;
    char filter[96]; /* relative, as the size may change in mid-stream */
    snprintf(filter, sizeof filter, "crop=iw-%d:ih-%d:%d:%d:exact=1", c[LEFT] + c[RIGHT], c[TOP] + c[BOTTOM], c[LEFT],
             c[TOP]);
    p->now.width = width;
    p->now.height = height;
    /* Takes every format, and can't be tried on a small picture. */
    return ta_plan_add(p, &(ta_step){ "crop" }, ta_stage_new(&ta_filter_stage, "crop", filter));
}
