/* Shared inside compare: sums over two planes of samples. */
#ifndef TA_COMPARE_PLANES_H
#define TA_COMPARE_PLANES_H

#include "compare/compare.h"

/* A plane of samples of 8 to 16 bits. */
typedef struct ta_plane {
    const uint8_t *data;
    ptrdiff_t stride;
    int width, height;
    bool wide; /* two bytes a sample, in the machine's order */
} ta_plane;

/* True where every component has a plane of its own in the machine's order: what the sums can read. */
bool ta_planes_plain(enum AVPixelFormat format);
/* The nearest plain format. AV_PIX_FMT_NONE when there is none. */
enum AVPixelFormat ta_planes_format(enum AVPixelFormat format);
/* Component `i` (Y, U, V or R, G, B) of a frame in a plain format. */
ta_plane ta_plane_of(const AVFrame *f, int i);
/* Places for ta_plane_ssim, for pictures of this width; ta_free. NULL when out of memory. */
typedef struct ta_ssim_row ta_ssim_row;
ta_ssim_row *ta_ssim_rows_new(int width);

/* The sum of squared differences. */
double ta_plane_error(const ta_plane *a, const ta_plane *b);
/* The sum of absolute differences. */
double ta_plane_change(const ta_plane *a, const ta_plane *b);
/* The mean SSIM, see compare.h. Both planes are at least 8x8; `rows` from ta_ssim_rows_new. */
double ta_plane_ssim(const ta_plane *a, const ta_plane *b, int max, ta_ssim_row *rows);

#endif
