/* Steady places: what was found in the pictures around one is linked to tracks by overlap, and a track's place there is
 * the value of a straight line through its places, fitted by weighted least squares: a face that moves evenly doesn't
 * lag behind, one that was missed for a picture or two stays, and one that was found only once or twice is shown
 * faintly. The window is finite, so a segment with as many frames before and behind gives the same places. */
#include "neural/face_parts.h"

#include <math.h>
#include <string.h>

enum { MOST_TRACKS = TA_MOST_FACES * 2, MOST_MISSED = 2 };
static const double least_overlap = 0.3;

typedef struct track {
    int found[TA_FACE_WINDOW]; /* number in each picture's list, or -1 */
    int last;                  /* the last picture that it was found in */
    const ta_face_place *place;
} track;

static double overlap(const ta_face_place *a, const ta_face_place *b)
{
    double w = fmin(a->x + a->side / 2, b->x + b->side / 2) - fmax(a->x - a->side / 2, b->x - b->side / 2);
    double h = fmin(a->y + a->side / 2, b->y + b->side / 2) - fmax(a->y - a->side / 2, b->y - b->side / 2);
    double common = w > 0 && h > 0 ? w * h : 0;
    return common / (a->side * a->side + b->side * b->side - common);
}

/* The pair of a track and a face of this picture that overlap most, of those that aren't linked yet. */
static bool best_pair(const track *tracks, int count, const ta_face_list *list, int picture, const bool *taken,
                      int *best_track, int *best_face)
{
    double best = least_overlap;
    for (int t = 0; t < count; t++)
        for (int f = 0; f < list->count; f++) {
            if (taken[f] || tracks[t].last >= picture || picture - tracks[t].last > MOST_MISSED + 1)
                continue;
            double much = overlap(tracks[t].place, &list->place[f]);
            if (much > best) {
                best = much;
                *best_track = t;
                *best_face = f;
            }
        }
    return best > least_overlap;
}

static void extend(track *t, int picture, const ta_face_list *list, int face)
{
    t->found[picture] = face;
    t->last = picture;
    t->place = &list->place[face];
}

static int link_picture(track *tracks, int count, const ta_face_list *list, int picture)
{
    bool taken[TA_MOST_FACES] = { false };
    int t = 0, f = 0, before = count;
    while (best_pair(tracks, before, list, picture, taken, &t, &f)) {
        extend(&tracks[t], picture, list, f);
        taken[f] = true;
    }
    for (f = 0; f < list->count; f++)
        if (!taken[f] && count < MOST_TRACKS) {
            for (int i = 0; i < TA_FACE_WINDOW; i++)
                tracks[count].found[i] = -1;
            extend(&tracks[count++], picture, list, f);
        }
    return count;
}

/* The line's value at picture `at`. */
static double fitted(const double *value, const double *time, const double *weight, int n)
{
    double w = 0, t = 0, v = 0, tt = 0, tv = 0;
    for (int i = 0; i < n; i++) {
        w += weight[i];
        t += weight[i] * time[i];
        v += weight[i] * value[i];
        tt += weight[i] * time[i] * time[i];
        tv += weight[i] * time[i] * value[i];
    }
    double d = w * tt - t * t;
    return d > 1e-9 * w * w ? (tt * v - t * tv) / d : v / w;
}

/* False where the face isn't there at `at`. */
static bool show(const track *tr, const ta_face_list *const *lists, int count, int at, ta_face_shown *shown)
{
    double x[TA_FACE_WINDOW], y[TA_FACE_WINDOW], side[TA_FACE_WINDOW], angle[TA_FACE_WINDOW];
    double time[TA_FACE_WINDOW], weight[TA_FACE_WINDOW];
    int n = 0;
    bool before = false, behind = false;
    for (int i = 0; i < count; i++) {
        if (tr->found[i] < 0)
            continue;
        const ta_face_place *p = &lists[i]->place[tr->found[i]];
        double apart = (i - at) / (TA_FACE_REACH / 2.0);
        before = before || i <= at;
        behind = behind || i >= at;
        x[n] = p->x;
        y[n] = p->y;
        side[n] = log(p->side);
        angle[n] = n ? angle[0] + remainder(p->angle - angle[0], 2 * M_PI) : p->angle;
        time[n] = i - at;
        weight[n++] = exp(-apart * apart / 2);
    }
    if (!before || !behind)
        return false;
    shown->place = (ta_face_place){ fitted(x, time, weight, n), fitted(y, time, weight, n),
                                    exp(fitted(side, time, weight, n)), fitted(angle, time, weight, n) };
    shown->presence = TA_MIN(2.0f * (float)n / (float)count, 1.0f);
    return true;
}

int ta_face_smooth(const ta_face_list *const *lists, int count, int at, ta_face_shown *shown)
{
    track tracks[MOST_TRACKS];
    int n = 0, faces = 0;
    for (int i = 0; i < count; i++)
        n = link_picture(tracks, n, lists[i], i);
    for (int t = 0; t < n && faces < TA_MOST_FACES; t++)
        faces += show(&tracks[t], lists, count, at, &shown[faces]);
    return faces;
}
