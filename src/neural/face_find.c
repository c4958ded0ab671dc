/* Finding faces: the picture made small for the detector, its answers made places. Overlapping answers are thinned by
 * greedy non-maximum suppression (Felzenszwalb and others, "Object Detection with Discriminatively Trained Part-Based
 * Models", 2010, section 5) with the detector's own thresholds: score 0.7, overlap 0.3 (Linzaer,
 * Ultra-Light-Fast-Generic-Face-Detector-1MB). Its priors are part of the ONNX model: boxes come as corners. */
#include "neural/face_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const float least_score = 0.7f, most_overlap = 0.3f;
enum { MOST_CANDIDATES = 1024, LEAST_SIDE = 8 };

void ta_face_view_of(ta_face_view *v, int input_width, int input_height, int width, int height, AVRational sar)
{
    v->sar = sar.num > 0 && sar.den > 0 ? av_q2d(sar) : 1;
    double fit = fmin(input_width / (width * v->sar), (double)input_height / height);
    *v = (ta_face_view){ input_width, input_height, fit * v->sar, fit, v->sar };
}

/* ---- Made small ----------------------------------------------------------------------------------------------- */

/* The weights of the samples that lie under one of the result: a triangle, as wide as two of the result's. */
typedef struct taps {
    int first, n;
    float weight[64];
} taps;

static void under(taps *t, int at, double scale, int count)
{
    double wide = TA_CLAMP(1 / scale, 1, 31), centre = (at + 0.5) / scale - 0.5, sum = 0;
    t->first = TA_CLAMP((int)ceil(centre - wide), 0, count - 1);
    int last = TA_CLAMP((int)floor(centre + wide), t->first, count - 1);
    t->n = TA_MIN(last - t->first + 1, (int)TA_COUNT(t->weight));
    for (int i = 0; i < t->n; i++) {
        t->weight[i] = (float)TA_MAX(1 - fabs(t->first + i - centre) / wide, 1e-6);
        sum += (double)t->weight[i];
    }
    for (int i = 0; i < t->n; i++)
        t->weight[i] /= (float)sum;
}

static void shrink_rows(const float *plane, const ta_face_picture *p, const ta_face_view *v, int columns, float *to)
{
    for (int x = 0; x < columns; x++) {
        taps t;
        under(&t, x, v->scale_x, p->width);
        for (int y = 0; y < p->height; y++) {
            const float *line = plane + (size_t)y * (size_t)p->width + t.first;
            float sum = 0;
            for (int i = 0; i < t.n; i++)
                sum += t.weight[i] * line[i];
            to[(size_t)y * (size_t)v->width + (size_t)x] = sum;
        }
    }
}

/* Numbers as the detector wants them: codes of 8 bits, less 127, of 128. Beside the picture there is grey. */
static void shrink_columns(const float *rows, const ta_face_picture *p, const ta_face_view *v, int columns, int lines,
                           float *to)
{
    memset(to, 0, (size_t)v->width * (size_t)v->height * sizeof *to);
    for (int y = 0; y < lines; y++) {
        taps t;
        under(&t, y, v->scale_y, p->height);
        for (int x = 0; x < columns; x++) {
            float sum = 0;
            for (int i = 0; i < t.n; i++)
                sum += t.weight[i] * rows[(size_t)(t.first + i) * (size_t)v->width + (size_t)x];
            to[(size_t)y * (size_t)v->width + (size_t)x] = (TA_CLAMP(sum, 0.0f, 1.0f) * 255 - 127) / 128;
        }
    }
}

void ta_face_shrink(const ta_face_picture *p, const ta_face_view *v, float *input, float *scratch)
{
    int columns = TA_CLAMP((int)lrint(p->width * v->scale_x), 1, v->width);
    int lines = TA_CLAMP((int)lrint(p->height * v->scale_y), 1, v->height);
    for (size_t c = 0; c < 3; c++) {
        shrink_rows(p->rgb + c * (size_t)p->width * (size_t)p->height, p, v, columns, scratch);
        shrink_columns(scratch, p, v, columns, lines, input + c * (size_t)v->width * (size_t)v->height);
    }
}

/* ---- Answers -------------------------------------------------------------------------------------------------- */

typedef struct candidate {
    float score;
    int64_t index;
    float box[4];
} candidate;

static int by_score(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

static float overlap(const float *a, const float *b)
{
    float w = TA_MIN(a[2], b[2]) - TA_MAX(a[0], b[0]), h = TA_MIN(a[3], b[3]) - TA_MAX(a[1], b[1]);
    float common = TA_MAX(w, 0) * TA_MAX(h, 0);
    float all = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common;
    return all > 0 ? common / all : 0;
}

/* A fraction of the detector's input as square pixels of the picture. */
static double square_x(const ta_face_view *v, float x)
{
    return (double)x * v->width / v->scale_x * v->sar;
}

static double square_y(const ta_face_view *v, float y)
{
    return (double)y * v->height / v->scale_y;
}

static ta_face_place place_of(const candidate *c, const float *points, const ta_face_view *v)
{
    double point[2 * TA_FACE_POINTS];
    if (!points)
        return ta_face_from_box(square_x(v, c->box[0]), square_y(v, c->box[1]), square_x(v, c->box[2]),
                                square_y(v, c->box[3]));
    for (int i = 0; i < TA_FACE_POINTS; i++) {
        point[2 * i] = square_x(v, points[(size_t)c->index * 2 * TA_FACE_POINTS + (size_t)i * 2]);
        point[2 * i + 1] = square_y(v, points[(size_t)c->index * 2 * TA_FACE_POINTS + (size_t)i * 2 + 1]);
    }
    return ta_face_from_points(point);
}

static size_t collect(const float *scores, const float *boxes, int64_t count, candidate *found)
{
    size_t n = 0;
    for (int64_t i = 0; i < count && n < MOST_CANDIDATES; i++) {
        const float *box = boxes + 4 * i;
        if (!(scores[2 * i + 1] > least_score) || !(box[2] > box[0]) || !(box[3] > box[1]) ||
            !isfinite(box[0] + box[1] + box[2] + box[3]))
            continue;
        found[n++] = (candidate){ scores[2 * i + 1], i, { box[0], box[1], box[2], box[3] } };
    }
    return n;
}

int ta_face_decode(const float *scores, const float *boxes, const float *points, int64_t count, const ta_face_view *v,
                   ta_face_list *list, ta_error *err)
{
    candidate *found = ta_array(MOST_CANDIDATES, sizeof *found);
    const candidate *kept[TA_MOST_FACES];
    list->count = 0;
    if (!found)
        return ta_no_memory(err);
    size_t n = collect(scores, boxes, count, found);
    if (n)
        qsort(found, n, sizeof *found, by_score);
    for (size_t i = 0; i < n && list->count < TA_MOST_FACES; i++) {
        bool covered = false;
        for (int k = 0; k < list->count && !covered; k++)
            covered = overlap(kept[k]->box, found[i].box) > most_overlap;
        ta_face_place place = place_of(&found[i], points, v);
        if (covered || !(place.side >= LEAST_SIDE) || !isfinite(place.x + place.y + place.side))
            continue;
        kept[list->count] = &found[i];
        list->place[list->count++] = place;
    }
    ta_free(found);
    return 0;
}
