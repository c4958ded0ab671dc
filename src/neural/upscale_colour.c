/* Between video frames and the linear-coded R'G'B' of a network, in fp32, without clipping: coefficients by the frame's
 * own matrix (ITU-R BT.601, BT.709, BT.2020, SMPTE 240M, FCC), ranges by BT.601 / BT.709 (limited) and JFIF (full),
 * chroma at its position by interpolation, and back by the box or triangle that has the same position. */
#include <math.h>
#include <string.h>

#include "neural/neural.h"

/* How codes of one plane become numbers: y = (code - zero) * step. */
typedef struct coding {
    float zero, step;
    int bytes, top;
} coding;

typedef struct colours {
    bool rgb, grey;
    int sx, sy;         /* log2 of the chroma subsampling */
    float off_x, off_y; /* position of the first chroma sample, in luma samples */
    float kr, kg, kb;
    coding luma, chroma;
} colours;

static bool coefficients(enum AVColorSpace matrix, float *kr, float *kb)
{
    static const struct {
        enum AVColorSpace matrix;
        float kr, kb;
    } known[] = {
        { AVCOL_SPC_BT709, 0.2126f, 0.0722f },
        { AVCOL_SPC_SMPTE170M, 0.299f, 0.114f },
        { AVCOL_SPC_BT470BG, 0.299f, 0.114f },
        { AVCOL_SPC_SMPTE240M, 0.212f, 0.087f },
        { AVCOL_SPC_FCC, 0.30f, 0.11f },
        { AVCOL_SPC_BT2020_NCL, 0.2627f, 0.0593f },
        { AVCOL_SPC_UNSPECIFIED, 0.2126f, 0.0722f }, /* what vf_scale takes it for as well */
    };
    for (size_t i = 0; i < TA_COUNT(known); i++)
        if (known[i].matrix == matrix) {
            *kr = known[i].kr;
            *kb = known[i].kb;
            return true;
        }
    return false;
}

bool ta_rgb_takes(enum AVPixelFormat fmt)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(fmt);
    uint64_t not_ours = AV_PIX_FMT_FLAG_BE | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BITSTREAM | AV_PIX_FMT_FLAG_HWACCEL |
                        AV_PIX_FMT_FLAG_ALPHA | AV_PIX_FMT_FLAG_FLOAT | AV_PIX_FMT_FLAG_BAYER;
    if (!d || (d->flags & not_ours) || (d->nb_components != 1 && d->nb_components != 3))
        return false;
    bool planar = (d->flags & AV_PIX_FMT_FLAG_PLANAR) || d->nb_components == 1;
    for (int i = 0; i < d->nb_components; i++)
        planar = planar && d->comp[i].shift == 0 && d->comp[i].offset == 0 && d->comp[i].depth >= 8 &&
                 d->comp[i].depth <= 16 && d->comp[i].step == (d->comp[i].depth > 8 ? 2 : 1);
    return planar && (d->nb_components == 1 || d->comp[1].plane != d->comp[2].plane);
}

int ta_rgb_check(const ta_video_format *v, ta_error *err)
{
    const char *name = av_get_pix_fmt_name(v->pix_fmt), *matrix = av_color_space_name(v->matrix);
    float kr, kb;
    if (!ta_rgb_takes(v->pix_fmt)) {
        ta_fail(err, TA_ERR_UNAVAILABLE, "pictures of the format %s can't be given to a model",
                name ? name : "(unknown)");
        return ta_hint(err, "planar YUV and RGB of 8 to 16 bits can; use --engine classic and --face-restore off");
    }
    if ((av_pix_fmt_desc_get(v->pix_fmt)->flags & AV_PIX_FMT_FLAG_RGB) || coefficients(v->matrix, &kr, &kb))
        return 0;
    ta_fail(err, TA_ERR_UNAVAILABLE, "pictures with the matrix %s can't be given to a model",
            matrix ? matrix : "(unknown)");
    return ta_hint(err, "if the tag is wrong, say --colour-space; else use --engine classic and --face-restore off");
}

static coding code_of(int depth, double zero, double span)
{
    double unit = span > 0 ? span * (1 << (depth - 8)) : (1 << depth) - 1;
    return (coding){ (float)(zero * (1 << (depth - 8))), (float)(1 / unit), depth > 8 ? 2 : 1, (1 << depth) - 1 };
}

/* Where the first chroma sample lies, in luma samples to the right of and below the first luma sample. */
static void chroma_position(const ta_video_format *v, colours *c)
{
    enum AVChromaLocation at = v->chroma_location;
    float half_x = ((float)(1 << c->sx) - 1) / 2, half_y = ((float)(1 << c->sy) - 1) / 2;
    bool top = at == AVCHROMA_LOC_TOPLEFT || at == AVCHROMA_LOC_TOP;
    bool bottom = at == AVCHROMA_LOC_BOTTOMLEFT || at == AVCHROMA_LOC_BOTTOM;
    bool centre = at == AVCHROMA_LOC_CENTER || at == AVCHROMA_LOC_TOP || at == AVCHROMA_LOC_BOTTOM;
    c->off_x = centre ? half_x : 0;
    c->off_y = top ? 0 : bottom ? 2 * half_y : half_y;
}

static colours colours_of(const ta_video_format *v)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(v->pix_fmt);
    colours c = { .rgb = d->flags & AV_PIX_FMT_FLAG_RGB, .grey = d->nb_components == 1 };
    int depth = d->comp[0].depth;
    bool full = v->range == AVCOL_RANGE_JPEG || c.rgb;
    coefficients(c.rgb ? AVCOL_SPC_BT709 : v->matrix, &c.kr, &c.kb);
    c.kg = 1 - c.kr - c.kb;
    c.sx = c.rgb || c.grey ? 0 : d->log2_chroma_w;
    c.sy = c.rgb || c.grey ? 0 : d->log2_chroma_h;
    c.luma = full ? code_of(depth, 0, 0) : code_of(depth, 16, 219);
    c.chroma = full ? code_of(depth, 128, 0) : code_of(depth, 128, 224);
    chroma_position(v, &c);
    return c;
}

static void load_row(const AVFrame *f, int plane, int y, int width, const coding *k, float *restrict to)
{
    const uint8_t *line = f->data[plane] + (ptrdiff_t)y * f->linesize[plane];
    const uint16_t *wide = (const uint16_t *)line;
    float zero = k->zero, step = k->step;
    if (k->bytes == 1)
        for (int x = 0; x < width; x++)
            to[x] = ((float)line[x] - zero) * step;
    else
        for (int x = 0; x < width; x++)
            to[x] = ((float)wide[x] - zero) * step;
}

static void store_row(const float *restrict from, int width, const coding *k, AVFrame *f, int plane, int y)
{
    uint8_t *line = f->data[plane] + (ptrdiff_t)y * f->linesize[plane];
    uint16_t *wide = (uint16_t *)line;
    float zero = k->zero, gain = 1 / k->step, top = (float)k->top;
    for (int x = 0; x < width; x++) {
        float code = from[x] * gain + zero;
        code = code > 0 ? code : 0; /* not a number becomes 0 too */
        int n = (int)lrintf(code < top ? code : top);
        if (k->bytes == 1)
            line[x] = (uint8_t)n;
        else
            wide[x] = (uint16_t)n;
    }
}

/* ---- Chroma positions ----------------------------------------------------------------------------------------------
 */

/* The two samples, and the second one's weight, between which position `at` of luma lies. */
static float between(float at, float offset, int shift, int count, int *a, int *b)
{
    float p = (at - offset) / (float)(1 << shift), whole = floorf(p);
    *a = TA_CLAMP((int)whole, 0, count - 1);
    *b = TA_CLAMP((int)whole + 1, 0, count - 1);
    return p - whole;
}

/* A chroma row of luma's width at luma's line `y`. `row` has place for two rows of samples. */
static void chroma_row(const AVFrame *f, const colours *c, int plane, int y, int width, float *row, float *restrict to)
{
    int n = AV_CEIL_RSHIFT(f->width, c->sx), lines = AV_CEIL_RSHIFT(f->height, c->sy), a, b;
    float t = between((float)y, c->off_y, c->sy, lines, &a, &b);
    float *other = row + n;
    load_row(f, plane, a, n, &c->chroma, row);
    if (t > 0 && a != b) {
        load_row(f, plane, b, n, &c->chroma, other);
        for (int x = 0; x < n; x++)
            row[x] += t * (other[x] - row[x]);
    }
    for (int x = 0; x < width; x++) {
        float u = between((float)x, c->off_x, c->sx, n, &a, &b);
        to[x] = row[a] + u * (row[b] - row[a]);
    }
}

/* Weights of luma's samples for a chroma sample `off` behind the first of its `1 << shift`: a triangle as wide as two
 * of them where the sample lies on one of luma's, the box where it lies between. At most 15. */
static int taps_of(float off, int shift, float *weight, int *first)
{
    int step = 1 << shift, n = 0;
    float sum = 0;
    bool on = off == floorf(off);
    if (!shift) {
        weight[0] = 1;
        *first = 0;
        return 1;
    }
    *first = on ? (int)off - step + 1 : (int)floorf(off) - step / 2 + 1;
    n = on ? 2 * step - 1 : step;
    for (int i = 0; i < n; i++) {
        weight[i] = on ? (float)step - fabsf((float)(*first + i) - off) : 1;
        sum += weight[i];
    }
    for (int i = 0; i < n; i++)
        weight[i] /= sum;
    return n;
}

/* ---- Frame to RGB --------------------------------------------------------------------------------------------------
 */

static void yuv_row(const colours *c, int width, const float *restrict cb, const float *restrict cr, float *restrict r,
                    float *restrict g, float *restrict b)
{
    float rv = 2 * (1 - c->kr), bu = 2 * (1 - c->kb), gu = -bu * c->kb / c->kg, gv = -rv * c->kr / c->kg;
    for (int x = 0; x < width; x++) {
        float y = r[x];
        r[x] = y + rv * cr[x];
        g[x] = y + gu * cb[x] + gv * cr[x];
        b[x] = y + bu * cb[x];
    }
}

/* Two rows of chroma at luma's width, and two as they are stored. */
int ta_rgb_scratch(int width)
{
    return 2 * width + 2 * (width + 2);
}

void ta_rgb_from_frame(const AVFrame *f, const ta_video_format *v, float *rgb, float *scratch)
{
    colours c = colours_of(v);
    int w = f->width;
    size_t plane = (size_t)w * (size_t)f->height;
    float *cb = scratch, *cr = cb + w, *row = cr + w;
    for (int y = 0; y < f->height; y++) {
        float *r = rgb + (size_t)y * (size_t)w, *g = r + plane, *b = g + plane;
        if (c.rgb) { /* planes are G, B, R */
            load_row(f, 2, y, w, &c.luma, r);
            load_row(f, 0, y, w, &c.luma, g);
            load_row(f, 1, y, w, &c.luma, b);
            continue;
        }
        load_row(f, 0, y, w, &c.luma, r);
        if (c.grey) {
            memcpy(g, r, (size_t)w * sizeof *g);
            memcpy(b, r, (size_t)w * sizeof *b);
            continue;
        }
        chroma_row(f, &c, 1, y, w, row, cb);
        chroma_row(f, &c, 2, y, w, row, cr);
        yuv_row(&c, w, cb, cr, r, g, b);
    }
}

/* ---- RGB to frame --------------------------------------------------------------------------------------------------
 */

static void luma_row(const colours *c, int width, const float *restrict r, const float *restrict g,
                     const float *restrict b, float *restrict y)
{
    for (int x = 0; x < width; x++)
        y[x] = c->kr * r[x] + c->kg * g[x] + c->kb * b[x];
}

/* Cb from blue, Cr from red: (side - luma) / (2 (1 - k)), over the lines that a chroma line stands for. */
static void chroma_sum(const colours *c, const float *rgb, int side, int y, int w, int h, float *restrict sum)
{
    float weight[16], k = side ? c->kb : c->kr, gain = 0.5f / (1 - k);
    int first, n = taps_of(c->off_y, c->sy, weight, &first);
    size_t plane = (size_t)w * (size_t)h;
    memset(sum, 0, (size_t)w * sizeof *sum);
    for (int i = 0; i < n; i++) {
        int line = TA_CLAMP((y << c->sy) + first + i, 0, h - 1);
        const float *restrict r = rgb + (size_t)line * (size_t)w, *restrict g = r + plane, *restrict b = g + plane;
        const float *restrict own = side ? b : r;
        float t = weight[i] * gain;
        for (int x = 0; x < w; x++)
            sum[x] += t * (own[x] - (c->kr * r[x] + c->kg * g[x] + c->kb * b[x]));
    }
}

static void chroma_samples(const colours *c, const float *restrict sum, int w, int n, float *restrict to)
{
    float weight[16];
    int first, taps = taps_of(c->off_x, c->sx, weight, &first);
    for (int x = 0; x < n; x++) {
        float v = 0;
        for (int i = 0; i < taps; i++)
            v += weight[i] * sum[TA_CLAMP((x << c->sx) + first + i, 0, w - 1)];
        to[x] = v;
    }
}

/* Where rows of finished samples go: into a frame as codes, or into planes of numbers as they would be without
 * rounding. */
typedef struct target {
    AVFrame *f;
    float *const *codes;
    int width, height;
} target;

static void put_row(const float *restrict from, int width, const coding *k, const target *to, int plane, int y)
{
    if (to->f) {
        store_row(from, width, k, to->f, plane, y);
        return;
    }
    float *restrict code = to->codes[plane] + (size_t)y * (size_t)width;
    float zero = k->zero, gain = 1 / k->step;
    for (int x = 0; x < width; x++)
        code[x] = from[x] * gain + zero;
}

static void put_yuv(const colours *c, const float *rgb, const target *to, float *scratch)
{
    int w = to->width, h = to->height, n = AV_CEIL_RSHIFT(w, c->sx), lines = AV_CEIL_RSHIFT(h, c->sy);
    size_t plane = (size_t)w * (size_t)h;
    for (int y = 0; y < h; y++) {
        const float *r = rgb + (size_t)y * (size_t)w;
        luma_row(c, w, r, r + plane, r + 2 * plane, scratch);
        put_row(scratch, w, &c->luma, to, 0, y);
    }
    for (int side = 0; side < 2 && !c->grey; side++)
        for (int y = 0; y < lines; y++) {
            chroma_sum(c, rgb, !side, y, w, h, scratch);
            chroma_samples(c, scratch, w, n, scratch + w);
            put_row(scratch + w, n, &c->chroma, to, side + 1, y);
        }
}

static void put(const float *rgb, const ta_video_format *v, const target *to, float *scratch)
{
    static const int at[3] = { 2, 0, 1 }; /* the planes of R, G, B */
    colours c = colours_of(v);
    size_t w = (size_t)to->width, plane = w * (size_t)to->height;
    if (!c.rgb) {
        put_yuv(&c, rgb, to, scratch);
        return;
    }
    for (int i = 0; i < 3; i++)
        for (int y = 0; y < to->height; y++)
            put_row(rgb + (size_t)i * plane + (size_t)y * w, (int)w, &c.luma, to, at[i], y);
}

void ta_rgb_to_frame(const float *rgb, const ta_video_format *v, AVFrame *f, float *scratch)
{
    put(rgb, v, &(target){ .f = f, .width = f->width, .height = f->height }, scratch);
}

void ta_rgb_to_codes(const float *rgb, const ta_video_format *v, int width, int height, float *const codes[3],
                     float *scratch)
{
    put(rgb, v, &(target){ .codes = codes, .width = width, .height = height }, scratch);
}
