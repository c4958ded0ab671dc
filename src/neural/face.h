/* Restoring faces: found by one model, made anew by another, put back. Part of neural/neural.h, which includes it.
 *
 * The detector is an ONNX model with one input [1,3,H,W] (RGB, (code - 127) / 128) and the outputs [1,N,2] (scores of
 * background and face) and [1,N,4] (boxes as left, top, right, bottom, of 1), as Ultra-Light-Fast-Generic-Face-Detector
 * has them; a third output [1,N,10] may give eyes, nose and corners of the mouth as x, y pairs, of 1.
 * The restorer takes RGB from -1 to 1 as [1,3,S,S], S being 512 where it is free, with faces placed as in FFHQ, and
 * gives the same: GFPGAN's contract. CodeFormer's has one more input of one number, the fidelity. */
#ifndef TA_NEURAL_FACE_H
#define TA_NEURAL_FACE_H

#include "flow/flow.h"
#include "media/media.h"
#include "settings/settings.h"

/* Frames before and behind one that its faces' places are smoothed over: what the stage looks behind and ahead. */
enum { TA_FACE_REACH = 4 };

/* The models of a job: each is read and compiled once, for all segments. Thread safe. */
typedef struct ta_face_models ta_face_models;
/* `cancel` ends waiting for a model; it may be NULL and must outlive the models. */
int ta_face_models_new(ta_face_models **m, ta_cancel *cancel, ta_error *err);
/* After the last stage that was made with them. */
void ta_face_models_free(ta_face_models **m);

/* Constructor for ta_picture_plan (see ta_picture_engines), `models` is a ta_face_models. The stage leaves format, size
 * and all samples outside of faces as they are. TA_ERR_UNAVAILABLE: no engine or no model, with what to do. */
int ta_face_stage_new(void *models, const ta_settings *s, const ta_video_format *in, ta_stage **st, ta_error *err);
/* Is it that stage? */
bool ta_face_is(const ta_stage *st);
/* What it takes for a picture with one face, measured; compiles the models. 0 where its strength is 0. */
int ta_face_measure(const ta_stage *st, double *seconds, ta_error *err);

#endif
