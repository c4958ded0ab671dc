/* What restoring faces is made of: private to face_*.c and their tests.
 *
 * Places in a picture are continuous: pixel 0 spans 0 to 1. Faces are placed in square pixels, so that a picture with
 * another sample aspect gives the models undistorted ones: x there is the picture's x times the aspect. */
#ifndef TA_NEURAL_FACE_PARTS_H
#define TA_NEURAL_FACE_PARTS_H

#include "neural/neural.h"

enum { TA_MOST_FACES = 16, TA_FACE_POINTS = 5, TA_FACE_WINDOW = 2 * TA_FACE_REACH + 1 };

/* A picture as three planes of fp32 without gaps. */
typedef struct ta_face_picture {
    float *rgb;
    int width, height;
} ta_face_picture;

/* The square that is cut out for a face: its centre and side in square pixels, turned clockwise by `angle`. */
typedef struct ta_face_place {
    double x, y, side, angle;
} ta_face_place;

/* What was found in one picture, the surest first. */
typedef struct ta_face_list {
    int count;
    ta_face_place place[TA_MOST_FACES];
} ta_face_list;

/* ---- Finding ---- */

/* How a picture lies in the detector's input: scaled by these, from the left top corner, with its true shape. */
typedef struct ta_face_view {
    int width, height;       /* of the detector's input */
    double scale_x, scale_y; /* input pixels a pixel */
    double sar;
} ta_face_view;

void ta_face_view_of(ta_face_view *v, int input_width, int input_height, int width, int height, AVRational sar);
/* The detector's input; `scratch` has place for input width x picture height numbers. */
void ta_face_shrink(const ta_face_picture *p, const ta_face_view *v, float *input, float *scratch);
/* From scores, boxes and points (or NULL) of `count` candidates to places. TA_ERR_AGAIN. */
int ta_face_decode(const float *scores, const float *boxes, const float *points, int64_t count, const ta_face_view *v,
                   ta_face_list *list, ta_error *err);
ta_face_place ta_face_from_box(double left, double top, double right, double bottom);
/* Left eye, right eye, nose, left and right corner of the mouth, as seen, x and y of each. */
ta_face_place ta_face_from_points(const double point[2 * TA_FACE_POINTS]);

/* ---- Smoothing ---- */

typedef struct ta_face_shown {
    ta_face_place place;
    float presence; /* 1: surely there; less where it was found in few of the pictures around */
} ta_face_shown;

/* The faces of picture `at` of `count` pictures in a row (at most TA_FACE_WINDOW). Returns how many; `shown` has place
 * for TA_MOST_FACES. Depends on nothing but its arguments. */
int ta_face_smooth(const ta_face_list *const *lists, int count, int at, ta_face_shown *shown);

/* ---- Cutting out and putting back ---- */

/* Cuts the place out of a picture whose left top pixel is at (left, top) of the frame, `size` a side. */
void ta_face_cut(const ta_face_picture *p, int left, int top, double sar, const ta_face_place *place, int size,
                 float *crop);
/* The colour at (x, y) of a picture, whose edge is repeated around it; the steps are how far the samples wanted are
 * apart in it. */
void ta_face_sample(const float *rgb, int width, int height, double x, double y, double step_x, double step_y,
                    float out[3]);
typedef struct ta_face_paster ta_face_paster;
int ta_face_paster_new(ta_face_paster **p, const ta_video_format *v, ta_error *err);
void ta_face_paster_free(ta_face_paster **p);
/* The crop of a place, `size` a side, from the frame. */
int ta_face_paster_cut(ta_face_paster *p, const AVFrame *f, const ta_face_place *place, int size, float *crop,
                       ta_error *err);
/* Blends a crop into the frame, which is writable, softly towards the square's edge. RGB from 0 to 1. */
int ta_face_paster_put(ta_face_paster *p, AVFrame *f, const ta_face_place *place, int size, const float *crop,
                       float strength, ta_error *err);

/* ---- Models ---- */

/* A file of the setting's, and what is known of it. */
typedef struct ta_face_file {
    char *path, *name; /* ta_free both */
    char sha256[65];
} ta_face_file;

/* `text` is a .onnx file or a name of the catalogue. */
int ta_face_file_find(ta_face_file *f, const char *text, const ta_cancel *cancel, ta_error *err);
void ta_face_file_free(ta_face_file *f);
const ta_cancel *ta_face_models_cancel(const ta_face_models *m);

typedef struct ta_face_detector ta_face_detector;
int ta_face_detector_new(ta_face_detector **d, ta_face_models *m, const ta_face_file *f, const ta_session_options *run,
                         ta_error *err);
int ta_face_detector_run(ta_face_detector *d, const ta_face_picture *p, AVRational sar, ta_face_list *list,
                         ta_error *err);
void ta_face_detector_free(ta_face_detector **d);

typedef struct ta_face_restorer ta_face_restorer;
/* With a fidelity: CodeFormer's contract; without (below 0) GFPGAN's. */
int ta_face_restorer_new(ta_face_restorer **r, ta_face_models *m, const ta_face_file *f, const ta_session_options *run,
                         float fidelity, ta_error *err);
int ta_face_restorer_size(const ta_face_restorer *r);
/* In place: RGB from 0 to 1, of the restorer's size. */
int ta_face_restorer_run(ta_face_restorer *r, float *crop, ta_error *err);
void ta_face_restorer_free(ta_face_restorer **r);

#endif
