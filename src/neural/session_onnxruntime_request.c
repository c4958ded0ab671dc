/* Requests of ONNX Runtime. Its Run blocks its caller, so each request has a thread that runs for it; how many run side
 * by side is the session's number of streams. */
#include "neural/session_onnxruntime.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

typedef enum run_state { IDLE, GO, DONE, QUIT } run_state;

typedef struct request {
    const ta_ort_model *m;
    sem_t *slots;
    const char *in_names[TA_SESSION_PORTS], *out_names[TA_SESSION_PORTS];
    size_t inputs, outputs;
    OrtRunOptions *options;
    OrtValue *in[TA_SESSION_PORTS], *out[TA_SESSION_PORTS];
    float *in_data[TA_SESSION_PORTS], *out_data[TA_SESSION_PORTS]; /* of ports that aren't fp32 */
    size_t in_count[TA_SESSION_PORTS];
    pthread_t thread;
    bool has_thread, has_lock;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* -- protected by the lock */
    run_state state;
    OrtStatus *status; /* of the last run */
} request;

/* ---- The thread ----------------------------------------------------------------------------------------------- */

static OrtStatus *run(request *q)
{
    while (sem_wait(q->slots) < 0 && errno == EINTR)
        ;
    OrtStatus *s = q->m->e.api->Run(q->m->session, q->options, q->in_names, (const OrtValue *const *)q->in, q->inputs,
                                    q->out_names, q->outputs, q->out);
    sem_post(q->slots);
    return s;
}

static void *serve(void *arg)
{
    request *q = arg;
    pthread_mutex_lock(&q->lock);
    for (;;) {
        while (q->state == IDLE || q->state == DONE)
            pthread_cond_wait(&q->changed, &q->lock);
        if (q->state == QUIT)
            break;
        pthread_mutex_unlock(&q->lock);
        OrtStatus *s = run(q);
        pthread_mutex_lock(&q->lock);
        q->status = s;
        if (q->state == GO)
            q->state = DONE;
        pthread_cond_broadcast(&q->changed);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

static bool make_lock(request *q)
{
    pthread_condattr_t attr;
    if (pthread_mutex_init(&q->lock, NULL))
        return false;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    q->has_lock = pthread_cond_init(&q->changed, &attr) == 0;
    pthread_condattr_destroy(&attr);
    if (!q->has_lock)
        pthread_mutex_destroy(&q->lock);
    return q->has_lock;
}

int ta_ort_request_new(ta_request *r, ta_error *err)
{
    ta_session *s = r->session;
    ta_ort_model *m = s->impl;
    request *q = r->impl = ta_alloc(sizeof *q);
    if (!q)
        return ta_no_memory(err);
    q->m = m;
    q->slots = &m->slots;
    q->inputs = (size_t)s->inputs;
    q->outputs = (size_t)s->outputs;
    for (int i = 0; i < s->inputs; i++)
        q->in_names[i] = s->input[i].name;
    for (int i = 0; i < s->outputs; i++)
        q->out_names[i] = s->output[i].name;
    OrtStatus *status = m->e.api->CreateRunOptions(&q->options);
    if (status)
        return ta_ort_fail(&m->e, status, TA_ERR_AGAIN, "no further inference at once", err);
    q->has_thread = make_lock(q) && pthread_create(&q->thread, NULL, serve, q) == 0;
    return q->has_thread ? 0 : ta_no_memory(err);
}

/* ---- The end -------------------------------------------------------------------------------------------------- */

/* A running inference ends at its next layer. */
static void stop(request *q)
{
    pthread_mutex_lock(&q->lock);
    if (q->state == GO) {
        OrtStatus *s = q->m->e.api->RunOptionsSetTerminate(q->options);
        if (s)
            q->m->e.api->ReleaseStatus(s);
    }
    q->state = QUIT;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
    pthread_join(q->thread, NULL);
}

static void release_value(const OrtApi *a, OrtValue **value)
{
    if (*value)
        a->ReleaseValue(*value);
    *value = NULL;
}

void ta_ort_request_free(ta_request *r)
{
    request *q = r->impl;
    if (!q)
        return;
    const OrtApi *a = q->m->e.api;
    if (q->has_thread)
        stop(q);
    if (q->has_lock) {
        pthread_cond_destroy(&q->changed);
        pthread_mutex_destroy(&q->lock);
    }
    if (q->status)
        a->ReleaseStatus(q->status);
    for (int i = 0; i < TA_SESSION_PORTS; i++) {
        release_value(a, &q->in[i]);
        release_value(a, &q->out[i]);
        ta_free(q->in_data[i]);
        ta_free(q->out_data[i]);
    }
    if (q->options)
        a->ReleaseRunOptions(q->options);
    ta_freep(&r->impl);
}

/* ---- Inputs --------------------------------------------------------------------------------------------------- */

static int make_input(request *q, int index, const ta_shape *shape, ta_error *err)
{
    const OrtApi *a = q->m->e.api;
    OrtAllocator *allocator = NULL;
    ONNXTensorElementDataType type = q->m->in[index];
    release_value(a, &q->in[index]);
    ta_freep(&q->in_data[index]);
    q->in_count[index] = (size_t)ta_shape_count(shape);
    if (type != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT &&
        !(q->in_data[index] = ta_array(q->in_count[index], sizeof(float))))
        return ta_no_memory(err);
    OrtStatus *s = a->GetAllocatorWithDefaultOptions(&allocator);
    if (!s)
        s = a->CreateTensorAsOrtValue(allocator, shape->dim, (size_t)shape->rank, type, &q->in[index]);
    return s ? ta_ort_fail(&q->m->e, s, TA_ERR_AGAIN, "no memory for an input", err) : 0;
}

int ta_ort_input(ta_request *r, int index, const ta_shape *shape, float **data, ta_error *err)
{
    request *q = r->impl;
    bool same = q->in[index] && ta_shape_equal(shape, &r->shape[index]);
    int code = same ? 0 : make_input(q, index, shape, err);
    if (code < 0)
        return code;
    *data = q->in_data[index];
    OrtStatus *s = *data ? NULL : q->m->e.api->GetTensorMutableData(q->in[index], (void **)data);
    return s ? ta_ort_fail(&q->m->e, s, TA_ERR_AGAIN, "an input has no memory", err) : 0;
}

int ta_ort_start(ta_request *r, ta_error *err)
{
    request *q = r->impl;
    const OrtApi *a = q->m->e.api;
    for (size_t i = 0; i < q->inputs; i++) {
        void *to = NULL;
        OrtStatus *s = q->in_data[i] ? a->GetTensorMutableData(q->in[i], &to) : NULL;
        if (s)
            return ta_ort_fail(&q->m->e, s, TA_ERR_AGAIN, "an input has no memory", err);
        if (to)
            ta_ort_from_float(q->m->in[i], q->in_data[i], to, q->in_count[i]);
    }
    for (size_t i = 0; i < q->outputs; i++) {
        release_value(a, &q->out[i]);
        ta_freep(&q->out_data[i]);
    }
    pthread_mutex_lock(&q->lock);
    q->state = GO;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
    return 0;
}

/* ---- Results -------------------------------------------------------------------------------------------------- */

int ta_ort_wait(ta_request *r, int64_t us, ta_error *err)
{
    request *q = r->impl;
    struct timespec until;
    int late = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (until.tv_nsec + us * 1000) / 1000000000;
    until.tv_nsec = (until.tv_nsec + us * 1000) % 1000000000;
    pthread_mutex_lock(&q->lock);
    while (q->state == GO && late != ETIMEDOUT)
        late = pthread_cond_timedwait(&q->changed, &q->lock, &until);
    bool done = q->state == DONE;
    OrtStatus *s = done ? q->status : NULL;
    if (done)
        q->status = NULL;
    pthread_mutex_unlock(&q->lock);
    return s ? ta_ort_fail(&q->m->e, s, TA_ERR_DATA, "the inference failed", err) : done;
}

static int read_result(const request *q, int index, ta_shape *shape, void **data, ta_error *err)
{
    const OrtApi *a = q->m->e.api;
    OrtTensorTypeAndShapeInfo *info = NULL;
    size_t rank = 0;
    OrtStatus *s = a->GetTensorTypeAndShape(q->out[index], &info);
    if (!s)
        s = a->GetDimensionsCount(info, &rank);
    int r = !s && rank > TA_SHAPE_RANK ? ta_fail(err, TA_ERR_DATA, "too many dimensions") : 0;
    if (!s && r == 0)
        s = a->GetDimensions(info, shape->dim, rank);
    if (!s && r == 0)
        s = a->GetTensorMutableData(q->out[index], data);
    shape->rank = (int)rank;
    if (info)
        a->ReleaseTensorTypeAndShapeInfo(info);
    return s ? ta_ort_fail(&q->m->e, s, TA_ERR_SOFTWARE, "there is no result", err) : r;
}

int ta_ort_output(ta_request *r, int index, ta_shape *shape, const float **data, ta_error *err)
{
    request *q = r->impl;
    void *result = NULL;
    int code = read_result(q, index, shape, &result, err);
    if (code < 0)
        return code;
    if (q->m->out[index] == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT) {
        *data = result;
        return 0;
    }
    size_t count = (size_t)TA_MAX(ta_shape_count(shape), 0);
    if (!q->out_data[index]) {
        q->out_data[index] = ta_array(TA_MAX(count, 1), sizeof(float));
        if (!q->out_data[index])
            return ta_no_memory(err);
        ta_ort_to_float(q->m->out[index], result, q->out_data[index], count);
    }
    *data = q->out_data[index];
    return 0;
}
