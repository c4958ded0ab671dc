/* Where a face's square lies, and what is in it.
 *
 * Restorers were trained on faces placed as in FFHQ (Karras, Laine, Aila, "A Style-Based Generator Architecture for
 * Generative Adversarial Networks", 2019). With five points the square is the least-squares similarity (Umeyama,
 * "Least-Squares Estimation of Transformation Parameters Between Two Point Patterns", 1991) to the points that FFHQ's
 * faces have in a picture of 512; with a box alone it stands upright around it. Sampling is by Catmull-Rom's cubic
 * (Catmull, Rom, "A Class of Local Interpolating Splines", 1974), widened where the result is coarser. */
#include "neural/face_parts.h"

#include <complex.h>
#include <math.h>
#include <string.h>

/* FFHQ's mean eyes, nose and corners of the mouth, of 512 pixels, as GFPGAN and CodeFormer are fed (facexlib). */
static const double ffhq[2 * TA_FACE_POINTS] = { 192.98138, 239.94708, 318.90277, 240.1936,  256.63416,
                                                 314.01935, 201.26117, 371.41043, 313.08905, 371.15118 };
/* A box of WIDER FACE's kind (forehead to chin) in the same square: the mean of its sides, and how far its centre lies
 * below the square's. */
static const double box_side = 0.6, box_down = 0.0625;

ta_face_place ta_face_from_box(double left, double top, double right, double bottom)
{
    double side = sqrt(TA_MAX(right - left, 0) * TA_MAX(bottom - top, 0)) / box_side;
    return (ta_face_place){ (left + right) / 2, (top + bottom) / 2 - box_down * side, side, 0 };
}

ta_face_place ta_face_from_points(const double point[2 * TA_FACE_POINTS])
{
    double complex mean = 0, mean_ffhq = 0, turn = 0, t[TA_FACE_POINTS], p[TA_FACE_POINTS];
    double spread = 0;
    for (int i = 0; i < TA_FACE_POINTS; i++) {
        t[i] = (ffhq[2 * i] + 0.5 + I * (ffhq[2 * i + 1] + 0.5)) / 512; /* whole numbers are centres of pixels there */
        p[i] = point[2 * i] + I * point[2 * i + 1];
        mean_ffhq += t[i] / TA_FACE_POINTS;
        mean += p[i] / TA_FACE_POINTS;
    }
    for (int i = 0; i < TA_FACE_POINTS; i++) {
        turn += conj(t[i] - mean_ffhq) * (p[i] - mean);
        spread += creal((t[i] - mean_ffhq) * conj(t[i] - mean_ffhq));
    }
    turn /= spread;
    double complex centre = mean + turn * (0.5 + I * 0.5 - mean_ffhq);
    return (ta_face_place){ creal(centre), cimag(centre), cabs(turn), carg(turn) };
}

/* ---- Cutting out ---------------------------------------------------------------------------------------------- */

static double cubic(double x)
{
    x = fabs(x);
    return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

enum { MOST_TAPS = 64 };

/* The samples around `at`, `step` apart in the result, with their weights. */
static int taps_at(double at, double step, float *weight, int *first)
{
    double wide = TA_CLAMP(step, 1, (MOST_TAPS - 2) / 4.0), sum = 0;
    *first = (int)ceil(at - 0.5 - 2 * wide);
    int last = (int)floor(at - 0.5 + 2 * wide), n = TA_MIN(last - *first + 1, MOST_TAPS);
    for (int i = 0; i < n; i++) {
        weight[i] = (float)cubic((*first + i + 0.5 - at) / wide);
        sum += (double)weight[i];
    }
    for (int i = 0; i < n; i++)
        weight[i] /= (float)sum;
    return n;
}

void ta_face_sample(const float *rgb, int width, int height, double x, double y, double step_x, double step_y,
                    float out[3])
{
    float wx[MOST_TAPS], wy[MOST_TAPS];
    int left, top, nx = taps_at(x, step_x, wx, &left), ny = taps_at(y, step_y, wy, &top), column[MOST_TAPS];
    size_t plane = (size_t)width * (size_t)height;
    for (int i = 0; i < nx; i++)
        column[i] = TA_CLAMP(left + i, 0, width - 1);
    out[0] = out[1] = out[2] = 0;
    for (int j = 0; j < ny; j++) {
        const float *row = rgb + (size_t)TA_CLAMP(top + j, 0, height - 1) * (size_t)width;
        float sum[3] = { 0 };
        for (int i = 0; i < nx; i++)
            for (size_t c = 0; c < 3; c++)
                sum[c] += wx[i] * row[c * plane + (size_t)column[i]];
        for (size_t c = 0; c < 3; c++)
            out[c] += wy[j] * sum[c];
    }
}

void ta_face_cut(const ta_face_picture *p, int left, int top, double sar, const ta_face_place *place, int size,
                 float *crop)
{
    double step = place->side / size, c = cos(place->angle), s = sin(place->angle);
    size_t plane = (size_t)size * (size_t)size;
    for (int v = 0; v < size; v++)
        for (int u = 0; u < size; u++) {
            double dx = (u + 0.5 - size / 2.0) * step, dy = (v + 0.5 - size / 2.0) * step;
            double x = place->x + c * dx - s * dy, y = place->y + s * dx + c * dy;
            size_t at = (size_t)v * (size_t)size + (size_t)u;
            float rgb[3];
            ta_face_sample(p->rgb, p->width, p->height, x / sar - left, y - top, step / sar, step, rgb);
            for (size_t i = 0; i < 3; i++)
                crop[i * plane + at] = rgb[i];
        }
}
