/* The models of a job's faces: files, sessions that all segments share, and the detector's and restorer's contracts. */
#include <pthread.h>
#include <string.h>

#include "neural/face_parts.h"

enum { MOST_SESSIONS = 4, FREE_SIZE = 512, LEAST_SIZE = 64, MOST_SIZE = 2048 };

typedef struct opened {
    char *path;
    ta_session_options run;
    ta_session *session;
} opened;

struct ta_face_models {
    ta_cancel *cancel;
    pthread_mutex_t lock;
    /* -- protected by lock */
    opened list[MOST_SESSIONS];
    int count;
};

int ta_face_models_new(ta_face_models **m, ta_cancel *cancel, ta_error *err)
{
    ta_face_models *p = *m = ta_alloc(sizeof *p);
    if (!p)
        return ta_no_memory(err);
    p->cancel = cancel;
    if (pthread_mutex_init(&p->lock, NULL)) {
        ta_freep(m);
        return ta_no_memory(err);
    }
    return 0;
}

void ta_face_models_free(ta_face_models **m)
{
    if (!m || !*m)
        return;
    for (int i = 0; i < (*m)->count; i++) {
        ta_free((*m)->list[i].path);
        ta_session_free(&(*m)->list[i].session);
    }
    pthread_mutex_destroy(&(*m)->lock);
    ta_freep(m);
}

const ta_cancel *ta_face_models_cancel(const ta_face_models *m)
{
    return m->cancel;
}

/* ---- Files ---------------------------------------------------------------------------------------------------- */

static int find_named(ta_face_file *f, const char *name, ta_error *err)
{
    ta_catalogue *c = NULL;
    const ta_model *entry;
    int r = ta_catalogue_open(&c, err);
    if (r >= 0)
        r = ta_catalogue_find(c, name, &entry, err);
    if (r >= 0 && (!entry->task || !ta_streq(entry->task, "face"))) {
        ta_fail(err, TA_ERR_USAGE, "the model '%s' isn't made for faces", name);
        r = ta_hint(err, "`terminalai models` lists those that are");
    }
    if (r >= 0)
        r = ta_model_path(entry, 0, &f->path, err);
    ta_catalogue_free(&c);
    return r;
}

int ta_face_file_find(ta_face_file *f, const char *text, const ta_cancel *cancel, ta_error *err)
{
    int r = 0;
    *f = (ta_face_file){ .name = ta_strdup(ta_path_base(text)) };
    if (ta_ends(text, ".onnx")) {
        f->path = ta_strdup(text);
        r = f->path ? 0 : ta_no_memory(err);
    } else {
        r = find_named(f, text, err);
    }
    if (r >= 0 && !f->name)
        r = ta_no_memory(err);
    if (r >= 0)
        r = ta_sha256_file(f->path, f->sha256, cancel, err);
    if (r < 0)
        ta_face_file_free(f);
    return r;
}

void ta_face_file_free(ta_face_file *f)
{
    ta_freep(&f->path);
    ta_freep(&f->name);
}

/* ---- Sessions ------------------------------------------------------------------------------------------------- */

static bool same_run(const ta_session_options *a, const ta_session_options *b)
{
    return a->engine == b->engine && a->device == b->device && a->precision == b->precision && a->threads == b->threads;
}

static int open_locked(ta_face_models *m, const char *path, const ta_session_options *run, ta_session **s,
                       ta_error *err)
{
    for (int i = 0; i < m->count; i++)
        if (ta_streq(m->list[i].path, path) && same_run(&m->list[i].run, run)) {
            *s = ta_session_ref(m->list[i].session);
            return 0;
        }
    char *key = ta_strdup(path);
    int r = key ? ta_session_open(s, path, run, err) : ta_no_memory(err);
    if (r < 0 || m->count == MOST_SESSIONS) { /* more than a job has: they are opened, and not shared */
        ta_free(key);
        return r;
    }
    m->list[m->count++] = (opened){ key, *run, ta_session_ref(*s) };
    return 0;
}

static int open_request(ta_face_models *m, const ta_face_file *f, const ta_session_options *run, ta_session **s,
                        ta_request **r, ta_error *err)
{
    pthread_mutex_lock(&m->lock);
    int code = open_locked(m, f->path, run, s, err);
    pthread_mutex_unlock(&m->lock);
    return code < 0 ? code : ta_request_new(r, *s, err);
}

/* Is it [1,3,H,W], or may it be? */
static bool is_picture(const ta_shape *s)
{
    return s->rank == 4 && (s->dim[0] == 1 || s->dim[0] < 0) && (s->dim[1] == 3 || s->dim[1] < 0);
}

/* ---- The detector --------------------------------------------------------------------------------------------- */

struct ta_face_detector {
    ta_session *session;
    ta_request *request;
    const ta_cancel *cancel;
    ta_shape shape;
    int scores, boxes, points; /* outputs; points may be -1 */
    float *scratch;
    int scratch_lines;
};

static int output_of(const ta_session *s, int64_t width)
{
    for (int i = 0; i < ta_session_outputs(s); i++) {
        ta_shape shape;
        ta_session_output(s, i, &shape);
        if (shape.rank == 3 && shape.dim[2] == width)
            return i;
    }
    return -1;
}

static int check_detector(ta_face_detector *d, ta_error *err)
{
    bool one = ta_session_inputs(d->session) == 1;
    if (one)
        ta_session_input(d->session, 0, &d->shape);
    d->scores = output_of(d->session, 2);
    d->boxes = output_of(d->session, 4);
    d->points = output_of(d->session, 2 * TA_FACE_POINTS);
    if (one && is_picture(&d->shape) && d->scores >= 0 && d->boxes >= 0) {
        int64_t height = d->shape.dim[2], width = d->shape.dim[3];
        d->shape = TA_SHAPE(1, 3, height < 0 ? 240 : height, width < 0 ? 320 : width);
        if (d->shape.dim[2] <= MOST_SIZE && d->shape.dim[3] <= MOST_SIZE)
            return 0;
    }
    ta_fail(err, TA_ERR_DATA, "that's no face detector as it is wanted");
    return ta_hint(err, "face-detector wants one input 1x3xHxW and the outputs 1xNx2 (scores) and 1xNx4 (boxes)");
}

int ta_face_detector_new(ta_face_detector **dp, ta_face_models *m, const ta_face_file *f, const ta_session_options *run,
                         ta_error *err)
{
    ta_face_detector *d = *dp = ta_alloc(sizeof *d);
    if (!d)
        return ta_no_memory(err);
    d->cancel = m->cancel;
    int r = open_request(m, f, run, &d->session, &d->request, err);
    if (r >= 0)
        r = check_detector(d, err);
    if (r >= 0)
        return 0;
    ta_face_detector_free(dp);
    return ta_wrap(err, "face detector %s", f->name);
}

void ta_face_detector_free(ta_face_detector **d)
{
    if (!d || !*d)
        return;
    ta_request_free(&(*d)->request);
    ta_session_free(&(*d)->session);
    ta_free((*d)->scratch);
    ta_freep(d);
}

static int read_answers(ta_face_detector *d, const ta_face_view *v, ta_face_list *list, ta_error *err)
{
    ta_shape shape, boxes_shape, points_shape;
    const float *scores, *boxes, *points = NULL;
    int r = ta_request_output(d->request, d->scores, &shape, &scores, err);
    if (r >= 0)
        r = ta_request_output(d->request, d->boxes, &boxes_shape, &boxes, err);
    if (r >= 0 && d->points >= 0)
        r = ta_request_output(d->request, d->points, &points_shape, &points, err);
    if (r < 0)
        return r;
    if (shape.dim[1] != boxes_shape.dim[1] || (points && shape.dim[1] != points_shape.dim[1]))
        return ta_fail(err, TA_ERR_DATA, "the face detector's outputs don't agree in their number of candidates");
    return ta_face_decode(scores, boxes, points, shape.dim[1], v, list, err);
}

int ta_face_detector_run(ta_face_detector *d, const ta_face_picture *p, AVRational sar, ta_face_list *list,
                         ta_error *err)
{
    float *input;
    ta_face_view v;
    ta_face_view_of(&v, (int)d->shape.dim[3], (int)d->shape.dim[2], p->width, p->height, sar);
    if (p->height > d->scratch_lines) {
        ta_free(d->scratch);
        d->scratch = ta_array((size_t)p->height * (size_t)v.width, sizeof(float));
        d->scratch_lines = d->scratch ? p->height : 0;
    }
    int r = d->scratch ? ta_request_input(d->request, 0, &d->shape, &input, err) : ta_no_memory(err);
    if (r < 0)
        return r;
    ta_face_shrink(p, &v, input, d->scratch);
    r = ta_request_run(d->request, d->cancel, err);
    return r < 0 ? r : read_answers(d, &v, list, err);
}

/* ---- The restorer --------------------------------------------------------------------------------------------- */

struct ta_face_restorer {
    ta_session *session;
    ta_request *request;
    const ta_cancel *cancel;
    ta_shape shape, dial_shape;
    int picture, dial; /* inputs; dial is -1 without a fidelity */
    float fidelity;
};

static bool one_number(const ta_shape *s)
{
    bool one = true;
    for (int i = 0; i < s->rank; i++)
        one = one && (s->dim[i] == 1 || s->dim[i] < 0);
    return one && s->rank <= 2;
}

/* A shape with 1 where a size is free. */
static ta_shape settled(ta_shape s)
{
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = s.dim[i] < 0 ? 1 : s.dim[i];
    return s;
}

static int check_restorer(ta_face_restorer *r, ta_error *err)
{
    int count = ta_session_inputs(r->session), wanted = r->fidelity < 0 ? 1 : 2;
    r->picture = r->dial = -1;
    for (int i = 0; i < count && i < 2; i++) {
        ta_shape shape;
        ta_session_input(r->session, i, &shape);
        if (is_picture(&shape)) {
            r->picture = i;
            r->shape = shape;
        } else if (one_number(&shape)) {
            r->dial = i;
            r->dial_shape = settled(shape);
        }
    }
    int64_t size = r->picture < 0 ? 0 : r->shape.dim[2] < 0 ? FREE_SIZE : r->shape.dim[2];
    if (count == wanted && r->picture >= 0 && (wanted == 1 || r->dial >= 0) && size >= LEAST_SIZE &&
        size <= MOST_SIZE && (r->shape.dim[3] < 0 || r->shape.dim[3] == size)) {
        r->shape = TA_SHAPE(1, 3, size, size);
        return 0;
    }
    ta_fail(err, TA_ERR_DATA, "the model's inputs are not %s's", wanted == 1 ? "GFPGAN" : "CodeFormer");
    return ta_hint(err, wanted == 1 ? "face-restore gfpgan wants one input, RGB from -1 to 1 as 1x3x512x512"
                                    : "face-restore codeformer wants RGB from -1 to 1 as 1x3x512x512, and one number, "
                                      "the fidelity");
}

int ta_face_restorer_new(ta_face_restorer **rp, ta_face_models *m, const ta_face_file *f, const ta_session_options *run,
                         float fidelity, ta_error *err)
{
    ta_face_restorer *r = *rp = ta_alloc(sizeof *r);
    if (!r)
        return ta_no_memory(err);
    r->cancel = m->cancel;
    r->fidelity = fidelity;
    int code = open_request(m, f, run, &r->session, &r->request, err);
    if (code >= 0)
        code = check_restorer(r, err);
    if (code >= 0)
        return 0;
    ta_face_restorer_free(rp);
    return ta_wrap(err, "face model %s", f->name);
}

void ta_face_restorer_free(ta_face_restorer **r)
{
    if (!r || !*r)
        return;
    ta_request_free(&(*r)->request);
    ta_session_free(&(*r)->session);
    ta_freep(r);
}

int ta_face_restorer_size(const ta_face_restorer *r)
{
    return (int)r->shape.dim[2];
}

static int set_inputs(ta_face_restorer *r, const float *crop, ta_error *err)
{
    float *to, *dial;
    int code = ta_request_input(r->request, r->picture, &r->shape, &to, err);
    if (code < 0)
        return code;
    for (int64_t i = 0; i < ta_shape_count(&r->shape); i++)
        to[i] = TA_CLAMP(crop[i], 0.0f, 1.0f) * 2 - 1;
    if (r->dial < 0)
        return 0;
    code = ta_request_input(r->request, r->dial, &r->dial_shape, &dial, err);
    if (code >= 0)
        *dial = r->fidelity;
    return code;
}

int ta_face_restorer_run(ta_face_restorer *r, float *crop, ta_error *err)
{
    ta_shape shape;
    const float *result;
    char text[192];
    int code = set_inputs(r, crop, err);
    if (code >= 0)
        code = ta_request_run(r->request, r->cancel, err);
    if (code >= 0)
        code = ta_request_output(r->request, 0, &shape, &result, err);
    if (code < 0)
        return code;
    if (!ta_shape_equal(&shape, &r->shape)) {
        ta_fail(err, TA_ERR_DATA, "the face model's first output is %s", ta_shape_print(&shape, text));
        return ta_hint(err, "face-model wants one that gives a picture of the size that it takes: %s",
                       ta_shape_print(&r->shape, text));
    }
    for (int64_t i = 0; i < ta_shape_count(&shape); i++)
        crop[i] = (TA_CLAMP(result[i], -1.0f, 1.0f) + 1) / 2;
    return 0;
}
