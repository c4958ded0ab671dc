/* The stage that restores faces. A frame waits until as many frames behind it as its faces' places are smoothed over
 * have been looked at; then its faces are cut out, restored and put back. The models are compiled when the first frame
 * comes, so a plan costs little. */
#include <stdio.h>
#include <string.h>

#include "neural/face_parts.h"

typedef struct moment {
    AVFrame *frame; /* NULL when it has gone */
    ta_face_list faces;
} moment;

typedef struct face {
    ta_face_models *models;
    ta_face_file detector_file, restorer_file;
    ta_session_options run;
    float strength, fidelity; /* fidelity: below 0 for GFPGAN's contract */
    ta_face_detector *detector;
    ta_face_restorer *restorer;
    ta_face_paster *paster;
    float *picture, *scratch, *crop;
    moment window[TA_FACE_WINDOW];
    int count, next; /* of the window; the first that wasn't emitted yet */
    uint64_t frames, faces;
} face;

/* ---- One frame ------------------------------------------------------------------------------------------------ */

static int find_faces(const ta_stage *st, const AVFrame *f, ta_face_list *list, ta_error *err)
{
    face *p = st->priv;
    const ta_video_format *v = &st->in.video;
    ta_rgb_from_frame(f, v, p->picture, p->scratch);
    return ta_face_detector_run(p->detector, &(ta_face_picture){ p->picture, f->width, f->height }, v->sar, list, err);
}

/* All faces are cut out of the frame as it came. */
static int restore_face(face *p, const AVFrame *from, AVFrame *to, const ta_face_shown *shown, ta_error *err)
{
    int size = ta_face_restorer_size(p->restorer);
    int r = ta_face_paster_cut(p->paster, from, &shown->place, size, p->crop, err);
    if (r >= 0)
        r = ta_face_restorer_run(p->restorer, p->crop, err);
    if (r >= 0)
        r = ta_face_paster_put(p->paster, to, &shown->place, size, p->crop, p->strength * shown->presence, err);
    p->faces += r >= 0;
    return r;
}

static int restore_faces(face *p, AVFrame **frame, const ta_face_shown *shown, int count, ta_error *err)
{
    AVFrame *done = av_frame_clone(*frame);
    int r = done && av_frame_make_writable(done) >= 0 ? 0 : ta_no_memory(err);
    for (int i = 0; i < count && r >= 0; i++)
        r = restore_face(p, *frame, done, &shown[i], err);
    if (r < 0) {
        av_frame_free(&done);
        return r;
    }
    av_frame_free(frame);
    *frame = done;
    return 0;
}

static int emit_next(ta_stage *st, ta_error *err)
{
    face *p = st->priv;
    int at = p->next++, first = TA_MAX(at - TA_FACE_REACH, 0), end = TA_MIN(at + TA_FACE_REACH + 1, p->count);
    const ta_face_list *lists[TA_FACE_WINDOW];
    ta_face_shown shown[TA_MOST_FACES];
    for (int i = first; i < end; i++)
        lists[i - first] = &p->window[i].faces;
    int count = ta_face_smooth(lists, end - first, at - first, shown);
    int r = count ? restore_faces(p, &p->window[at].frame, shown, count, err) : 0;
    if (r < 0)
        return r;
    AVFrame *done = p->window[at].frame;
    p->window[at].frame = NULL;
    p->frames++;
    return st->emit(st->emit_to, done, err);
}

/* ---- The stage ------------------------------------------------------------------------------------------------ */

static void forget(face *p)
{
    for (int i = 0; i < p->count; i++)
        av_frame_free(&p->window[i].frame);
    p->count = p->next = 0;
}

static void let_go(face *p)
{
    forget(p);
    ta_face_paster_free(&p->paster);
    ta_freep(&p->picture);
    ta_freep(&p->scratch);
}

static int face_configure(ta_stage *st, const ta_link *in, ta_link *out, ta_error *err)
{
    face *p = st->priv;
    let_go(p);
    *out = *in;
    int r = ta_rgb_check(&in->video, err);
    if (r >= 0)
        r = ta_face_paster_new(&p->paster, &in->video, err);
    if (r < 0)
        return r;
    p->picture = ta_array((size_t)in->video.width * (size_t)in->video.height, 3 * sizeof(float));
    p->scratch = ta_array((size_t)ta_rgb_scratch(in->video.width), sizeof(float));
    return p->picture && p->scratch ? 0 : ta_no_memory(err);
}

/* Places come from fp32 always: they decide which samples change. */
static int open_models(face *p, ta_error *err)
{
    ta_session_options exact = p->run;
    exact.precision = TA_PRECISION_FP32;
    int r = ta_face_detector_new(&p->detector, p->models, &p->detector_file, &exact, err);
    if (r >= 0)
        r = ta_face_restorer_new(&p->restorer, p->models, &p->restorer_file, &p->run, p->fidelity, err);
    if (r < 0)
        return r;
    size_t size = (size_t)ta_face_restorer_size(p->restorer);
    p->crop = ta_array(3 * size * size, sizeof *p->crop);
    return p->crop ? 0 : ta_no_memory(err);
}

static void make_place(face *p)
{
    if (p->count < TA_FACE_WINDOW)
        return;
    memmove(&p->window[0], &p->window[1], sizeof p->window[0] * (TA_FACE_WINDOW - 1)); /* the first one has gone */
    p->count--;
    p->next--;
}

static int face_push(ta_stage *st, AVFrame *frame, ta_error *err)
{
    face *p = st->priv;
    if (p->strength <= 0)
        return st->emit(st->emit_to, frame, err);
    int r = p->crop ? 0 : open_models(p, err);
    make_place(p);
    moment *m = &p->window[p->count];
    m->faces.count = 0;
    if (r >= 0)
        r = find_faces(st, frame, &m->faces, err);
    if (r < 0) {
        av_frame_free(&frame);
        return r;
    }
    m->frame = frame;
    p->count++;
    return p->count - 1 - p->next >= TA_FACE_REACH ? emit_next(st, err) : 0;
}

static int face_drain(ta_stage *st, ta_error *err)
{
    face *p = st->priv;
    int r = 0;
    while (r >= 0 && p->next < p->count)
        r = emit_next(st, err);
    forget(p);
    ta_log(TA_LOG_VERBOSE, "faces", "%llu frames, %llu faces restored", (unsigned long long)p->frames,
           (unsigned long long)p->faces);
    return r;
}

static int face_reset(ta_stage *st, ta_error *err)
{
    (void)err;
    forget(st->priv);
    return 0;
}

static void face_close(ta_stage *st)
{
    face *p = st->priv;
    let_go(p);
    ta_face_detector_free(&p->detector);
    ta_face_restorer_free(&p->restorer);
    ta_face_file_free(&p->detector_file);
    ta_face_file_free(&p->restorer_file);
    ta_freep(&p->crop);
}

static const ta_stage_class face_class = {
    .name = "faces",
    .size = sizeof(face),
    .configure = face_configure,
    .push = face_push,
    .drain = face_drain,
    .reset = face_reset,
    .close = face_close,
};

/* ---- Planning ------------------------------------------------------------------------------------------------- */

/* Everything that the bytes of the result depend on: plans are compared by it. */
static char *spec_of(const face *p, const ta_settings *s, const ta_engine_info *engine)
{
    ta_buf b = { 0 };
    ta_buf_addf(&b, "%s %s (sha256 %.16s), strength %g", ta_get_text(s, TA_SET_face_restore), p->restorer_file.name,
                p->restorer_file.sha256, (double)p->strength);
    if (p->fidelity >= 0)
        ta_buf_addf(&b, ", fidelity %g", (double)p->fidelity);
    ta_buf_addf(&b, ", found by %s (sha256 %.16s), places smoothed over %d frames, %s %s %s", p->detector_file.name,
                p->detector_file.sha256, TA_FACE_WINDOW, engine->title, engine->version,
                ta_precision_name(p->run.precision));
    if (p->run.device != TA_DEVICE_CPU)
        ta_buf_addf(&b, ", %s", p->run.device == TA_DEVICE_CUDA ? "CUDA" : "TensorRT");
    return ta_buf_take(&b);
}

static int fill(face *p, const ta_settings *s, const ta_video_format *in, ta_engine_info *engine, ta_error *err)
{
    const char *kind = ta_get_text(s, TA_SET_face_restore), *model = ta_get_text(s, TA_SET_face_model);
    const ta_cancel *cancel = ta_face_models_cancel(p->models);
    p->strength = (float)ta_get_float(s, TA_SET_face_strength);
    p->fidelity = ta_streq(kind, "codeformer") ? (float)ta_get_float(s, TA_SET_face_fidelity) : -1;
    int r = ta_rgb_check(in, err);
    if (r >= 0)
        r = ta_engine_choose(s, "restoring faces", &p->run, engine, err);
    if (r >= 0)
        r = ta_face_file_find(&p->restorer_file, *model ? model : kind, cancel, err);
    return r < 0 ? r : ta_face_file_find(&p->detector_file, ta_get_text(s, TA_SET_face_detector), cancel, err);
}

int ta_face_stage_new(void *models, const ta_settings *s, const ta_video_format *in, ta_stage **st, ta_error *err)
{
    face p = { .models = models };
    ta_engine_info engine;
    *st = NULL;
    int r = fill(&p, s, in, &engine, err);
    char *spec = r >= 0 ? spec_of(&p, s, &engine) : NULL;
    *st = spec ? ta_stage_new(&face_class, "faces", spec) : NULL;
    ta_free(spec);
    if (*st) {
        *(face *)(*st)->priv = p;
        return 0;
    }
    ta_face_file_free(&p.detector_file);
    ta_face_file_free(&p.restorer_file);
    return r < 0 ? ta_wrap(err, "face-restore %s", ta_get_text(s, TA_SET_face_restore)) : ta_no_memory(err);
}

bool ta_face_is(const ta_stage *st)
{
    return st->cls == &face_class;
}

/* One picture and one face; the first run of a request warms it up, the second one counts. */
static int time_models(face *p, const ta_video_format *v, double *seconds, ta_error *err)
{
    ta_face_list list;
    ta_face_picture black = { ta_array((size_t)v->width * (size_t)v->height, 3 * sizeof(float)), v->width, v->height };
    int r = black.rgb ? 0 : ta_no_memory(err);
    for (int i = 0; i < 2 && r >= 0; i++) {
        int64_t begun = ta_now_us();
        r = ta_face_detector_run(p->detector, &black, v->sar, &list, err);
        if (r >= 0)
            r = ta_face_restorer_run(p->restorer, p->crop, err);
        *seconds = (double)(ta_now_us() - begun) / 1e6;
    }
    ta_free(black.rgb);
    return r;
}

int ta_face_measure(const ta_stage *st, double *seconds, ta_error *err)
{
    const face *planned = st->priv;
    face p = { .models = planned->models,
               .detector_file = planned->detector_file,
               .restorer_file = planned->restorer_file,
               .run = planned->run,
               .fidelity = planned->fidelity };
    *seconds = 0;
    if (planned->strength <= 0)
        return 0;
    int r = open_models(&p, err);
    if (r >= 0)
        r = time_models(&p, &st->in.video, seconds, err);
    ta_face_detector_free(&p.detector);
    ta_face_restorer_free(&p.restorer);
    ta_free(p.crop);
    return r;
}
