/* Sums over two planes: squared and absolute differences, SSIM. See compare.h for the definitions and their sources. */
#include "compare/planes.h"

#include <string.h>

bool ta_planes_plain(enum AVPixelFormat format)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
    const uint64_t odd = AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_BITSTREAM | AV_PIX_FMT_FLAG_FLOAT |
                         AV_PIX_FMT_FLAG_BE | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_ALPHA | AV_PIX_FMT_FLAG_BAYER;
    if (!d || d->flags & odd || (d->nb_components != 1 && d->nb_components != 3))
        return false;
    for (int i = 0, seen = 0; i < d->nb_components; i++) {
        const AVComponentDescriptor *c = &d->comp[i];
        if (seen >> c->plane & 1 || c->offset || c->shift || c->depth > 16 || c->step != (c->depth > 8 ? 2 : 1))
            return false;
        seen |= 1 << c->plane;
    }
    return true;
}

enum AVPixelFormat ta_planes_format(enum AVPixelFormat format)
{
    static const enum AVPixelFormat list[] = {
        AV_PIX_FMT_YUV420P,   AV_PIX_FMT_YUV422P,   AV_PIX_FMT_YUV444P,   AV_PIX_FMT_YUV411P,   AV_PIX_FMT_YUV440P,
        AV_PIX_FMT_YUV420P10, AV_PIX_FMT_YUV422P10, AV_PIX_FMT_YUV444P10, AV_PIX_FMT_YUV420P12, AV_PIX_FMT_YUV422P12,
        AV_PIX_FMT_YUV444P12, AV_PIX_FMT_YUV420P16, AV_PIX_FMT_YUV422P16, AV_PIX_FMT_YUV444P16, AV_PIX_FMT_GRAY8,
        AV_PIX_FMT_GRAY10,    AV_PIX_FMT_GRAY12,    AV_PIX_FMT_GRAY16,    AV_PIX_FMT_GBRP,      AV_PIX_FMT_GBRP10,
        AV_PIX_FMT_GBRP12,    AV_PIX_FMT_GBRP16,    AV_PIX_FMT_NONE,
    };
    return ta_planes_plain(format) ? format : avcodec_find_best_pix_fmt_of_list(list, format, 0, NULL);
}

ta_plane ta_plane_of(const AVFrame *f, int i)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    bool small = i > 0 && !(d->flags & AV_PIX_FMT_FLAG_RGB);
    int plane = d->comp[i].plane;
    return (ta_plane){
        .data = f->data[plane],
        .stride = f->linesize[plane],
        .width = small ? AV_CEIL_RSHIFT(f->width, d->log2_chroma_w) : f->width,
        .height = small ? AV_CEIL_RSHIFT(f->height, d->log2_chroma_h) : f->height,
        .wide = d->comp[i].depth > 8,
    };
}

static const void *row_of(const ta_plane *p, int y)
{
    return p->data + p->stride * y;
}

/* A row's sums stay within 32 bits up to 12-bit samples and far beyond any width; 16 bits need 64. */
static uint64_t row_error8(const uint8_t *a, const uint8_t *b, int n)
{
    uint32_t sum = 0;
    for (int x = 0; x < n; x++) {
        int d = a[x] - b[x];
        sum += (uint32_t)(d * d);
    }
    return sum;
}

static uint64_t row_error16(const uint16_t *a, const uint16_t *b, int n)
{
    uint64_t sum = 0;
    for (int x = 0; x < n; x++) {
        int64_t d = a[x] - b[x];
        sum += (uint64_t)(d * d);
    }
    return sum;
}

double ta_plane_error(const ta_plane *a, const ta_plane *b)
{
    uint64_t sum = 0;
    for (int y = 0; y < a->height; y++)
        sum += a->wide ? row_error16(row_of(a, y), row_of(b, y), a->width)
                       : row_error8(row_of(a, y), row_of(b, y), a->width);
    return (double)sum;
}

static uint64_t row_change8(const uint8_t *a, const uint8_t *b, int n)
{
    uint32_t sum = 0;
    for (int x = 0; x < n; x++)
        sum += (uint32_t)(a[x] > b[x] ? a[x] - b[x] : b[x] - a[x]);
    return sum;
}

static uint64_t row_change16(const uint16_t *a, const uint16_t *b, int n)
{
    uint32_t sum = 0;
    for (int x = 0; x < n; x++)
        sum += (uint32_t)(a[x] > b[x] ? a[x] - b[x] : b[x] - a[x]);
    return sum;
}

double ta_plane_change(const ta_plane *a, const ta_plane *b)
{
    uint64_t sum = 0;
    for (int y = 0; y < a->height; y++)
        sum += a->wide ? row_change16(row_of(a, y), row_of(b, y), a->width)
                       : row_change8(row_of(a, y), row_of(b, y), a->width);
    return (double)sum;
}

/* ---- SSIM ------------------------------------------------------------------------------------------------------ */

/* Sums over a block of 4x4 samples; four neighbours make a window. 16-bit squares of 64 samples need 64 bits. */
struct ta_ssim_row {
    uint32_t a, b;
    uint64_t squares, product;
};

ta_ssim_row *ta_ssim_rows_new(int width)
{
    return ta_array((size_t)width / 4 * 2 + 2, sizeof(ta_ssim_row));
}

static void add_line8(ta_ssim_row *to, const uint8_t *a, const uint8_t *b, int blocks)
{
    for (int i = 0; i < blocks; i++, a += 4, b += 4) {
        uint32_t sa = 0, sb = 0, squares = 0, product = 0;
        for (int x = 0; x < 4; x++) {
            sa += a[x];
            sb += b[x];
            squares += (uint32_t)(a[x] * a[x] + b[x] * b[x]);
            product += (uint32_t)(a[x] * b[x]);
        }
        to[i].a += sa;
        to[i].b += sb;
        to[i].squares += squares;
        to[i].product += product;
    }
}

static void add_line16(ta_ssim_row *to, const uint16_t *a, const uint16_t *b, int blocks)
{
    for (int i = 0; i < blocks; i++, a += 4, b += 4)
        for (int x = 0; x < 4; x++) {
            to[i].a += a[x];
            to[i].b += b[x];
            to[i].squares += (uint64_t)a[x] * a[x] + (uint64_t)b[x] * b[x];
            to[i].product += (uint64_t)a[x] * b[x];
        }
}

static void sum_blocks(ta_ssim_row *to, const ta_plane *a, const ta_plane *b, int row)
{
    int blocks = a->width / 4;
    memset(to, 0, (size_t)blocks * sizeof *to);
    for (int y = 4 * row; y < 4 * row + 4; y++)
        if (a->wide)
            add_line16(to, row_of(a, y), row_of(b, y), blocks);
        else
            add_line8(to, row_of(a, y), row_of(b, y), blocks);
}

/* Means, variances and covariance all carry the factor 64 or 64 * 63 of the window, and so do the constants. */
static double window(const ta_ssim_row *upper, const ta_ssim_row *lower, double c1, double c2)
{
    double a = (double)upper[0].a + upper[1].a + lower[0].a + lower[1].a;
    double b = (double)upper[0].b + upper[1].b + lower[0].b + lower[1].b;
    double squares = (double)(upper[0].squares + upper[1].squares + lower[0].squares + lower[1].squares);
    double product = (double)(upper[0].product + upper[1].product + lower[0].product + lower[1].product);
    double variances = 64 * squares - a * a - b * b, covariance = 64 * product - a * b;
    return (2 * a * b + c1) * (2 * covariance + c2) / ((a * a + b * b + c1) * (variances + c2));
}

double ta_plane_ssim(const ta_plane *a, const ta_plane *b, int max, ta_ssim_row *rows)
{
    int across = a->width / 4, down = a->height / 4;
    double c1 = 0.01 * 0.01 * max * max * 64, c2 = 0.03 * 0.03 * max * max * 64 * 63, sum = 0;
    ta_ssim_row *upper = rows, *lower = rows + across + 1;
    sum_blocks(upper, a, b, 0);
    for (int y = 1; y < down; y++) {
        sum_blocks(lower, a, b, y);
        for (int x = 0; x + 1 < across; x++)
            sum += window(upper + x, lower + x, c1, c2);
        ta_ssim_row *swap = upper;
        upper = lower;
        lower = swap;
    }
    return sum / ((double)(across - 1) * (down - 1));
}
