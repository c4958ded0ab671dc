/* Requests of OpenVINO: one inference at a time, on the engine's threads. */
#include "neural/session_openvino.h"

#include <string.h>

typedef struct request {
    ov_infer_request_t *infer;
    ov_tensor_t *in[TA_SESSION_PORTS], *out[TA_SESSION_PORTS];
} request;

static const ta_ov *engine_of(const ta_request *r)
{
    return &((const ta_ov_model *)r->session->impl)->e;
}

int ta_ov_request_new(ta_request *r, ta_error *err)
{
    const ta_ov_model *m = r->session->impl;
    request *q = r->impl = ta_alloc(sizeof *q);
    if (!q)
        return ta_no_memory(err);
    if (m->e.f.ov_compiled_model_create_infer_request(m->compiled, &q->infer))
        return ta_ov_fail(&m->e, TA_ERR_AGAIN, "no further inference at once", err);
    return 0;
}

void ta_ov_request_free(ta_request *r)
{
    request *q = r->impl;
    if (!q)
        return;
    const ta_ov_functions *f = &engine_of(r)->f;
    if (r->state == TA_REQUEST_RUNNING) {
        f->ov_infer_request_cancel(q->infer); /* looked at between layers */
        f->ov_infer_request_wait(q->infer);
    }
    for (int i = 0; i < TA_SESSION_PORTS; i++) {
        if (q->in[i])
            f->ov_tensor_free(q->in[i]);
        if (q->out[i])
            f->ov_tensor_free(q->out[i]);
    }
    if (q->infer)
        f->ov_infer_request_free(q->infer);
    ta_freep(&r->impl);
}

static int make_tensor(ta_request *r, int index, const ta_shape *shape, ta_error *err)
{
    const ta_ov *e = engine_of(r);
    request *q = r->impl;
    ov_shape_t size = { shape->rank, (int64_t *)shape->dim };
    ov_tensor_t *tensor = NULL;
    if (e->f.ov_tensor_create(F32, size, &tensor))
        return ta_ov_fail(e, TA_ERR_AGAIN, "no memory for an input", err);
    if (e->f.ov_infer_request_set_input_tensor_by_index(q->infer, (size_t)index, tensor)) {
        e->f.ov_tensor_free(tensor);
        return ta_ov_fail(e, TA_ERR_USAGE, "the engine refuses the shape", err);
    }
    if (q->in[index])
        e->f.ov_tensor_free(q->in[index]);
    q->in[index] = tensor;
    return 0;
}

int ta_ov_input(ta_request *r, int index, const ta_shape *shape, float **data, ta_error *err)
{
    request *q = r->impl;
    bool same = q->in[index] && ta_shape_equal(shape, &r->shape[index]);
    int code = same ? 0 : make_tensor(r, index, shape, err);
    if (code == 0 && engine_of(r)->f.ov_tensor_data(q->in[index], (void **)data))
        code = ta_ov_fail(engine_of(r), TA_ERR_AGAIN, "an input has no memory", err);
    return code;
}

int ta_ov_start(ta_request *r, ta_error *err)
{
    request *q = r->impl;
    return engine_of(r)->f.ov_infer_request_start_async(q->infer)
               ? ta_ov_fail(engine_of(r), TA_ERR_DATA, "the inference can't be started", err)
               : 0;
}

int ta_ov_wait(ta_request *r, int64_t us, ta_error *err)
{
    request *q = r->impl;
    int status = engine_of(r)->f.ov_infer_request_wait_for(q->infer, TA_MAX(us / 1000, 1));
    if (status == RESULT_NOT_READY)
        return 0;
    return status ? ta_ov_fail(engine_of(r), TA_ERR_DATA, "the inference failed", err) : 1;
}

int ta_ov_output(ta_request *r, int index, ta_shape *shape, const float **data, ta_error *err)
{
    const ta_ov *e = engine_of(r);
    request *q = r->impl;
    ov_shape_t size = { 0 };
    if (q->out[index])
        e->f.ov_tensor_free(q->out[index]);
    q->out[index] = NULL;
    if (e->f.ov_infer_request_get_output_tensor_by_index(q->infer, (size_t)index, &q->out[index]) ||
        e->f.ov_tensor_get_shape(q->out[index], &size))
        return ta_ov_fail(e, TA_ERR_SOFTWARE, "there is no result", err);
    int code = size.rank <= TA_SHAPE_RANK ? 0 : ta_fail(err, TA_ERR_DATA, "too many dimensions");
    shape->rank = code == 0 ? (int)size.rank : 0;
    if (shape->rank)
        memcpy(shape->dim, size.dims, (size_t)shape->rank * sizeof shape->dim[0]);
    e->f.ov_shape_free(&size);
    if (code == 0 && e->f.ov_tensor_data(q->out[index], (void **)data))
        code = ta_ov_fail(e, TA_ERR_SOFTWARE, "the result has no memory", err);
    return code;
}
