/* The models of a job: read once, looked at once, compiled once for each size of window, whatever the number of
 * segments that use them. */
#include "neural/upscale_model.h"

#include "neural/ncnn.h"

#include <pthread.h>
#include <string.h>

enum { MOST_MODELS = 4, MOST_SESSIONS = 8, MOST_BYTES = INT32_MAX };

typedef struct compiled {
    const ta_upscale_model *model;
    ta_engine engine;
    ta_device device;
    ta_precision precision;
    int threads, width, height;
    ta_session *session;
} compiled;

struct ta_upscale_models {
    ta_cancel *cancel;
    pthread_mutex_t lock;
    /* -- protected by lock; what is in the lists doesn't change */
    ta_upscale_model *models[MOST_MODELS];
    int n_models;
    compiled sessions[MOST_SESSIONS];
    int n_sessions;
};

int ta_upscale_models_new(ta_upscale_models **m, ta_cancel *cancel, ta_error *err)
{
    ta_upscale_models *p = *m = ta_alloc(sizeof *p);
    if (!p)
        return ta_no_memory(err);
    p->cancel = cancel;
    if (pthread_mutex_init(&p->lock, NULL)) {
        ta_freep(m);
        return ta_no_memory(err);
    }
    return 0;
}

static void free_model(ta_upscale_model **m)
{
    if (!*m)
        return;
    ta_free((*m)->key);
    ta_free((*m)->name);
    ta_free((*m)->bytes);
    ta_freep(m);
}

void ta_upscale_models_free(ta_upscale_models **m)
{
    if (!m || !*m)
        return;
    for (int i = 0; i < (*m)->n_sessions; i++)
        ta_session_free(&(*m)->sessions[i].session);
    for (int i = 0; i < (*m)->n_models; i++)
        free_model(&(*m)->models[i]);
    pthread_mutex_destroy(&(*m)->lock);
    ta_freep(m);
}

const ta_cancel *ta_upscale_models_cancel(const ta_upscale_models *m)
{
    return m->cancel;
}

/* ---- Reading -------------------------------------------------------------------------------------------------------
 */

static int read_onnx(const char *path, const ta_session_options *run, const ta_cancel *cancel, ta_upscale_model *m,
                     ta_error *err)
{
    char *bytes = NULL;
    int r = ta_read_file(path, MOST_BYTES, &bytes, &m->size, err);
    m->bytes = bytes;
    if (r >= 0)
        r = ta_sha256_file(path, m->sha256, cancel, err);
    return r < 0 ? r : ta_upscale_probe(ta_path_base(path), m->bytes, m->size, run, cancel, &m->shape, err);
}

/* The geometry is known from the layers. */
static int take_ncnn(const ta_onnx_model *o, ta_upscale_model *m, ta_error *err)
{
    m->bytes = o->bytes;
    m->size = o->size;
    m->shape = (ta_upscale_shape){ .scale = o->scale_num / TA_MAX(o->scale_den, 1),
                                   .reach = o->reach,
                                   .inset = o->inset,
                                   .align = o->align,
                                   .align_rest = o->align_rest,
                                   .global = o->global };
    if (o->channels_in == 3 && o->channels_out == 3 && o->scale_den == 1 && o->scale_num >= 1)
        return 0;
    ta_fail(err, TA_ERR_UNAVAILABLE, "model %s: it makes %d planes, %d/%d times as large, of %d", m->name,
            o->channels_out, o->scale_num, o->scale_den, o->channels_in);
    return ta_hint(err, "upscale-model wants one that takes and gives RGB and enlarges by a whole number");
}

/* The layers as they are in the file: OpenVINO refuses the rewritten border of folded models. */
static int read_ncnn(const char *param, const char *bin, const ta_cancel *cancel, ta_upscale_model *m, ta_error *err)
{
    ta_onnx_model o;
    int r = ta_ncnn_import(param, bin, &(ta_ncnn_options){ .as_stored = true }, &o, err);
    if (r >= 0)
        r = take_ncnn(&o, m, err);
    return r < 0 ? r : ta_sha256_file(bin, m->sha256, cancel, err);
}

/* A file of the user's: an ONNX model, or a .param with the .bin beside it. */
static int read_file(const char *path, const ta_session_options *run, const ta_cancel *cancel, ta_upscale_model *m,
                     ta_error *err)
{
    if (ta_ends(path, ".onnx"))
        return read_onnx(path, run, cancel, m, err);
    char *bin = ta_format("%.*sbin", (int)(strlen(path) - strlen("param")), path);
    int r = bin ? read_ncnn(path, bin, cancel, m, err) : ta_no_memory(err);
    ta_free(bin);
    return r;
}

static int read_stored(const ta_model *entry, const ta_session_options *run, const ta_cancel *cancel,
                       ta_upscale_model *m, ta_error *err)
{
    char *first = NULL, *second = NULL;
    int r = ta_model_path(entry, 0, &first, err);
    if (r >= 0 && entry->file_count > 1)
        r = ta_model_path(entry, 1, &second, err);
    if (r >= 0)
        r = second ? read_ncnn(first, second, cancel, m, err) : read_file(first, run, cancel, m, err);
    ta_free(first);
    ta_free(second);
    return r;
}

/* A name of the catalogue. */
static int read_named(const char *name, const ta_session_options *run, const ta_cancel *cancel, ta_upscale_model *m,
                      ta_error *err)
{
    ta_catalogue *c = NULL;
    const ta_model *entry;
    int r = ta_catalogue_open(&c, err);
    if (r >= 0)
        r = ta_catalogue_find(c, name, &entry, err);
    if (r >= 0 && (!entry->task || !ta_streq(entry->task, "upscale"))) {
        ta_fail(err, TA_ERR_USAGE, "the model '%s' isn't made for enlarging pictures", name);
        r = ta_hint(err, "`terminalai models` lists those that are");
    }
    if (r >= 0)
        r = read_stored(entry, run, cancel, m, err);
    ta_catalogue_free(&c);
    return r;
}

static int read_model(const char *name, const ta_session_options *run, const ta_cancel *cancel, ta_upscale_model *m,
                      ta_error *err)
{
    m->key = ta_strdup(name);
    m->name = ta_strdup(ta_path_base(name));
    if (!m->key || !m->name)
        return ta_no_memory(err);
    bool file = ta_ends(name, ".onnx") || ta_ends(name, ".param");
    return file ? read_file(name, run, cancel, m, err) : read_named(name, run, cancel, m, err);
}

static int get_locked(ta_upscale_models *m, const char *name, const ta_session_options *run,
                      const ta_upscale_model **model, ta_error *err)
{
    for (int i = 0; i < m->n_models; i++)
        if (ta_streq(m->models[i]->key, name)) {
            *model = m->models[i];
            return 0;
        }
    if (m->n_models == MOST_MODELS)
        return ta_fail(err, TA_ERR_SOFTWARE, "a job has more than %d models", MOST_MODELS);
    ta_upscale_model *fresh = ta_alloc(sizeof *fresh);
    int r = fresh ? read_model(name, run, m->cancel, fresh, err) : ta_no_memory(err);
    if (r < 0) {
        free_model(&fresh);
        return r;
    }
    *model = m->models[m->n_models++] = fresh;
    return 0;
}

int ta_upscale_model_get(ta_upscale_models *m, const char *name, const ta_session_options *run,
                         const ta_upscale_model **model, ta_error *err)
{
    pthread_mutex_lock(&m->lock);
    int r = get_locked(m, name, run, model, err);
    pthread_mutex_unlock(&m->lock);
    return r;
}

/* ---- Compiling -----------------------------------------------------------------------------------------------------
 */

static int compile(const compiled *c, ta_session **s, ta_error *err)
{
    ta_input_shape shape = { NULL, TA_SHAPE(1, 3, c->height, c->width) };
    ta_session_options options = { .engine = c->engine,
                                   .device = c->device,
                                   .precision = c->precision,
                                   .threads = c->threads,
                                   .streams = ta_upscale_streams(c->threads),
                                   .shapes = &shape,
                                   .shape_count = 1 };
    return ta_session_open_bytes(s, c->model->name, c->model->bytes, c->model->size, &options, err);
}

/* Where the list is full, the oldest goes; whoever uses it holds it. */
static int open_locked(ta_upscale_models *m, const compiled *wanted, ta_session **s, ta_error *err)
{
    for (int i = 0; i < m->n_sessions; i++) {
        const compiled *c = &m->sessions[i];
        if (c->model == wanted->model && c->engine == wanted->engine && c->device == wanted->device &&
            c->precision == wanted->precision && c->threads == wanted->threads && c->width == wanted->width &&
            c->height == wanted->height) {
            *s = ta_session_ref(c->session);
            return 0;
        }
    }
    int r = compile(wanted, s, err);
    if (r < 0)
        return r;
    if (m->n_sessions == MOST_SESSIONS) {
        ta_session_free(&m->sessions[0].session);
        memmove(&m->sessions[0], &m->sessions[1], sizeof m->sessions[0] * --m->n_sessions);
    }
    m->sessions[m->n_sessions] = *wanted;
    m->sessions[m->n_sessions++].session = ta_session_ref(*s);
    return 0;
}

int ta_upscale_model_open(ta_upscale_models *m, const ta_upscale_model *model, const ta_session_options *run, int width,
                          int height, ta_session **s, ta_error *err)
{
    compiled wanted = { model, run->engine, run->device, run->precision, run->threads, width, height, NULL };
    pthread_mutex_lock(&m->lock);
    int r = open_locked(m, &wanted, s, err);
    pthread_mutex_unlock(&m->lock);
    return r;
}
