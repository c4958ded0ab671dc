/* What a frame says about cuts: is it black, is it a VCR's blue screen, does a scene begin with it? Measured on the
 * means of 32 x 24 blocks, which tape noise and interlacing leave alone.
 *
 * Scenes: the measure of libavfilter's select filter (scene), the smaller of the difference from the frame before and
 * of the change of that difference, so that steady motion does not count; here on luma blocks. A flash of light changes
 * the picture twice and leaves it as it was: a cut counts only if the frame behind it differs from the one before it,
 * too. Black: as libavfilter's blackdetect has it, nearly all of the picture under a level; the outermost blocks, where
 * tapes have their noise, do not count. */
#include <math.h>
#include <stdlib.h>

#include "analyze/internal.h"

enum { BLACK_LEVEL = 16 + 22 }; /* a tenth of the range, blackdetect's default */
static const double black_part = 0.98, blue_part = 0.85;

/* ---- The grid ---------------------------------------------------------------------------------------------------- */

static int sample(const uint8_t *p, const AVComponentDescriptor *c)
{
    return c->depth > 8 ? (p[0] | p[1] << 8) >> (c->shift + c->depth - 8) : p[0];
}

/* The mean of each block of one component; every second sample of a line is enough. */
static void read_component(uint8_t *out, const AVFrame *f, const AVComponentDescriptor *c, int width, int height)
{
    for (int by = 0; by < TA_GRID_HEIGHT; by++)
        for (int bx = 0; bx < TA_GRID_WIDTH; bx++) {
            int x0 = bx * width / TA_GRID_WIDTH, x1 = (bx + 1) * width / TA_GRID_WIDTH;
            int y0 = by * height / TA_GRID_HEIGHT, y1 = (by + 1) * height / TA_GRID_HEIGHT;
            uint64_t sum = 0, n = 0;
            for (int y = y0; y < TA_MAX(y1, y0 + 1); y++) {
                const uint8_t *line = f->data[c->plane] + (ptrdiff_t)y * f->linesize[c->plane] + c->offset;
                for (int x = x0; x < TA_MAX(x1, x0 + 1); x += 2, n++)
                    sum += (uint64_t)sample(line + (ptrdiff_t)x * c->step, c);
            }
            out[by * TA_GRID_WIDTH + bx] = (uint8_t)(sum / n);
        }
}

/* Rec. 601, limited range. */
static void from_rgb(ta_grid *g)
{
    for (int i = 0; i < TA_GRID_BLOCKS; i++) {
        int r = g->y[i], gr = g->u[i], b = g->v[i];
        g->y[i] = (uint8_t)(16 + (66 * r + 129 * gr + 25 * b) / 256);
        g->u[i] = (uint8_t)(128 + (-38 * r - 74 * gr + 112 * b) / 256);
        g->v[i] = (uint8_t)(128 + (112 * r - 94 * gr - 18 * b) / 256);
    }
}

static void limit_range(ta_grid *g)
{
    for (int i = 0; i < TA_GRID_BLOCKS; i++)
        g->y[i] = (uint8_t)(16 + g->y[i] * 219 / 255);
}

int ta_grid_read(ta_grid *g, const AVFrame *f, ta_error *err)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    const uint64_t odd = AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_BITSTREAM | AV_PIX_FMT_FLAG_FLOAT |
                         AV_PIX_FMT_FLAG_BE | AV_PIX_FMT_FLAG_PAL;
    if (!d || (d->flags & odd) || f->width < TA_GRID_WIDTH || f->height < TA_GRID_HEIGHT) {
        ta_fail(err, TA_ERR_USAGE, "a %dx%d picture in %s can't be searched for cuts", f->width, f->height,
                d ? d->name : "an unknown format");
        return ta_hint(err, "give the times to --split");
    }
    bool rgb = d->flags & AV_PIX_FMT_FLAG_RGB;
    int width = rgb ? f->width : AV_CEIL_RSHIFT(f->width, d->log2_chroma_w);
    int height = rgb ? f->height : AV_CEIL_RSHIFT(f->height, d->log2_chroma_h);
    read_component(g->y, f, &d->comp[0], f->width, f->height);
    if (d->nb_components >= 3) {
        read_component(g->u, f, &d->comp[1], width, height);
        read_component(g->v, f, &d->comp[2], width, height);
    } else {
        memset(g->u, 128, sizeof g->u);
        memset(g->v, 128, sizeof g->v);
    }
    if (rgb)
        from_rgb(g);
    else if (f->color_range == AVCOL_RANGE_JPEG || strncmp(d->name, "yuvj", 4) == 0)
        limit_range(g);
    return 0;
}

/* ---- One frame --------------------------------------------------------------------------------------------------- */

bool ta_grid_is_black(const ta_grid *g)
{
    int black = 0, all = 0;
    for (int y = 1; y < TA_GRID_HEIGHT - 1; y++)
        for (int x = 1; x < TA_GRID_WIDTH - 1; x++, all++)
            black += g->y[y * TA_GRID_WIDTH + x] <= BLACK_LEVEL;
    return black >= black_part * all;
}

/* One deep blue nearly everywhere; the machine's words on it leave most blocks alone. */
bool ta_grid_is_blue(const ta_grid *g)
{
    int sum[3] = { 0 }, near = 0, all = 0;
    for (int y = 1; y < TA_GRID_HEIGHT - 1; y++)
        for (int x = 1; x < TA_GRID_WIDTH - 1; x++, all++) {
            int i = y * TA_GRID_WIDTH + x;
            sum[0] += g->y[i];
            sum[1] += g->u[i];
            sum[2] += g->v[i];
        }
    int my = sum[0] / all, mu = sum[1] / all, mv = sum[2] / all;
    if (my > 110 || mu < 165 || mv > 140)
        return false;
    for (int y = 1; y < TA_GRID_HEIGHT - 1; y++)
        for (int x = 1; x < TA_GRID_WIDTH - 1; x++) {
            int i = y * TA_GRID_WIDTH + x;
            near += abs(g->y[i] - my) <= 14 && abs(g->u[i] - mu) <= 14 && abs(g->v[i] - mv) <= 14;
        }
    return near >= blue_part * all;
}

double ta_grid_difference(const ta_grid *a, const ta_grid *b)
{
    int sum = 0;
    for (int i = 0; i < TA_GRID_BLOCKS; i++)
        sum += abs(a->y[i] - b->y[i]);
    return (double)sum / TA_GRID_BLOCKS / 219;
}

/* ---- Scenes ------------------------------------------------------------------------------------------------------ */

/* libavfilter takes hundredths of the range for its 0 to 1; a full change of content is about 0.2 of the range. */
static double strength_of(double difference, double change)
{
    return TA_MIN(TA_MIN(difference, fabs(change)) * 4, 1);
}

/* A cut at the last frame is sure once the frame behind it is unlike the one before it. */
static bool confirm(const ta_scenes *s, const ta_grid *g)
{
    return !g || ta_grid_difference(g, &s->before) * 4 >= s->threshold;
}

bool ta_scenes_add(ta_scenes *s, const ta_grid *g, int64_t us, int64_t *cut_us)
{
    bool cut = s->strength > 0 && confirm(s, g);
    if (cut)
        *cut_us = s->cut_us = s->last_us;
    s->strength = 0;
    if (!g)
        return cut;
    double difference = s->seen ? ta_grid_difference(g, &s->last) : 0;
    double strength = s->seen > 0 ? strength_of(difference, difference - s->difference) : 0;
    if (s->seen++ == 0)
        s->cut_us = us;
    if (strength >= s->threshold && difference > s->difference && us - s->cut_us >= s->least_us)
        s->strength = strength;
    s->before = s->last;
    s->last = *g;
    s->difference = difference;
    s->last_us = us;
    return cut;
}
