/* ONNX Runtime as an engine, by its C API: the way to NVIDIA's devices, and a second opinion on the CPU. On all of them
 * it computes in fp32. */
#include "neural/session_onnxruntime.h"

#include <stdio.h>
#include <string.h>

static void log_it(void *opaque, OrtLoggingLevel level, const char *category, const char *id, const char *place,
                   const char *message)
{
    ta_log(TA_LOG_VERBOSE, "neural", "ONNX Runtime: %s", message);
}

/* ---- Ports ---------------------------------------------------------------------------------------------------- */

static int read_dims(const ta_ort *e, const OrtTensorTypeAndShapeInfo *info, ta_shape *shape, ta_error *err)
{
    size_t rank = 0;
    OrtStatus *s = e->api->GetDimensionsCount(info, &rank);
    if (!s && rank > TA_SHAPE_RANK)
        return ta_fail(err, TA_ERR_DATA, "it has more than %d dimensions", TA_SHAPE_RANK);
    if (!s)
        s = e->api->GetDimensions(info, shape->dim, rank);
    shape->rank = (int)rank;
    return s ? ta_ort_fail(e, s, TA_ERR_DATA, "it has no shape", err) : 0;
}

static int read_port(const ta_ort_model *m, bool input, size_t index, ONNXTensorElementDataType *type, ta_shape *shape,
                     ta_error *err)
{
    const OrtApi *a = m->e.api;
    OrtTypeInfo *info = NULL;
    const OrtTensorTypeAndShapeInfo *tensor = NULL;
    OrtStatus *s = input ? a->SessionGetInputTypeInfo(m->session, index, &info)
                         : a->SessionGetOutputTypeInfo(m->session, index, &info);
    if (!s)
        s = a->CastTypeInfoToTensorInfo(info, &tensor);
    if (!s && tensor)
        s = a->GetTensorElementType(tensor, type);
    int r = s ? ta_ort_fail(&m->e, s, TA_ERR_DATA, "it can't be read", err) : 0;
    if (r == 0 && (!tensor || !ta_ort_type_known(*type)))
        r = ta_fail(err, TA_ERR_DATA, "it is no tensor of numbers");
    if (r == 0)
        r = read_dims(&m->e, tensor, shape, err);
    if (info)
        a->ReleaseTypeInfo(info);
    return r;
}

static int add_port(ta_session *session, bool input, size_t index, ta_error *err)
{
    ta_ort_model *m = session->impl;
    const OrtApi *a = m->e.api;
    OrtAllocator *allocator = NULL;
    char *name = NULL;
    ta_shape shape = { 0 };
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    OrtStatus *s = a->GetAllocatorWithDefaultOptions(&allocator);
    if (!s)
        s = input ? a->SessionGetInputName(m->session, index, allocator, &name)
                  : a->SessionGetOutputName(m->session, index, allocator, &name);
    if (s)
        return ta_ort_fail(&m->e, s, TA_ERR_DATA, "a port has no name", err);
    int r = read_port(m, input, index, &type, &shape, err);
    if (r < 0)
        ta_wrap(err, "%s '%s'", input ? "input" : "output", name);
    else
        r = ta_session_add_port(session, input, name, &shape, err);
    if (r == 0)
        (input ? m->in : m->out)[index] = type;
    allocator->Free(allocator, name);
    return r;
}

static int add_ports(ta_session *session, bool input, ta_error *err)
{
    const ta_ort_model *m = session->impl;
    size_t count = 0;
    OrtStatus *s = input ? m->e.api->SessionGetInputCount(m->session, &count)
                         : m->e.api->SessionGetOutputCount(m->session, &count);
    int r = s ? ta_ort_fail(&m->e, s, TA_ERR_DATA, "the model has no ports", err) : 0;
    for (size_t i = 0; r == 0 && i < count; i++)
        r = add_port(session, input, i, err);
    return r;
}

/* Free sizes that are fixed when a session is opened. ONNX Runtime plans for each shape when it comes, so this is only
 * what the session says of itself. */
static int fix_shape(ta_session *s, const ta_input_shape *given, ta_error *err)
{
    char ours[192], model[192];
    int index = given->name ? ta_session_find_input(s, given->name) : s->inputs ? 0 : -1;
    if (index < 0)
        return ta_fail(err, TA_ERR_USAGE, "the model has no input '%s'", given->name ? given->name : "");
    ta_shape *shape = &s->input[index].shape;
    bool right = shape->rank == given->shape.rank;
    for (int i = 0; right && i < shape->rank; i++)
        right = shape->dim[i] < 0 || given->shape.dim[i] < 0 || shape->dim[i] == given->shape.dim[i];
    if (!right)
        return ta_fail(err, TA_ERR_USAGE, "input '%s': %s doesn't fit %s", s->input[index].name,
                       ta_shape_print(&given->shape, ours), ta_shape_print(shape, model));
    for (int i = 0; i < shape->rank; i++)
        shape->dim[i] = given->shape.dim[i] < 0 ? shape->dim[i] : given->shape.dim[i];
    return 0;
}

/* ---- Opening -------------------------------------------------------------------------------------------------- */

/* A stream's inference runs on a thread of its request's and on the session's, which all streams share. Nobody spins:
 * other threads of ours want these cores, too. */
static OrtStatus *set_options(const OrtApi *a, OrtSessionOptions *options, const ta_open *o)
{
    OrtStatus *s = a->SetIntraOpNumThreads(options, TA_MAX(o->threads - o->streams + 1, 1));
    if (!s)
        s = a->SetInterOpNumThreads(options, 1);
    if (!s)
        s = a->SetSessionGraphOptimizationLevel(options, ORT_ENABLE_ALL);
    if (!s)
        s = a->AddSessionConfigEntry(options, "session.intra_op.allow_spinning", "0");
    return s;
}

static int create(ta_ort_model *m, const ta_open *o, ta_error *err)
{
    const OrtApi *a = m->e.api;
    OrtSessionOptions *options = NULL;
    OrtStatus *s = a->CreateEnvWithCustomLogger(log_it, NULL, ORT_LOGGING_LEVEL_WARNING, "terminalai", &m->env);
    if (!s)
        s = a->CreateSessionOptions(&options);
    if (!s)
        s = set_options(a, options, o);
    int r = s ? ta_ort_fail(&m->e, s, TA_ERR_UNAVAILABLE, "ONNX Runtime can't be used", err) : 0;
    if (r == 0)
        r = ta_ort_use_device(&m->e, options, o->options->device, err);
    if (r == 0 && (s = a->CreateSessionFromArray(m->env, o->data, o->size, options, &m->session))) {
        r = ta_ort_fail(&m->e, s, TA_ERR_DATA, "not an ONNX model that ONNX Runtime can read", err);
        ta_hint(err, "get the file again; weights in files of their own have to be merged into it");
    }
    if (options)
        a->ReleaseSessionOptions(options);
    return r;
}

static int choose_precision(ta_session *s, ta_precision wanted, ta_error *err)
{
    s->precision = TA_PRECISION_FP32;
    if (wanted != TA_PRECISION_BF16)
        return 0;
    ta_fail(err, TA_ERR_UNAVAILABLE, "ONNX Runtime computes in fp32 here, not in bf16");
    return ta_hint(err, "use engine openvino for bf16, or precision fp32");
}

static int open_session(ta_session *s, const ta_open *o, ta_error *err)
{
    ta_ort_model *m = s->impl = ta_alloc(sizeof *m);
    int r = m ? ta_ort_load(&m->e, err) : ta_no_memory(err);
    if (r == 0)
        r = choose_precision(s, o->options->precision, err);
    if (r < 0)
        return r;
    s->version = ta_strdup(m->e.version);
    s->device = ta_strdup(ta_ort_device_name(o->options->device));
    m->has_slots = sem_init(&m->slots, 0, (unsigned)o->streams) == 0;
    if (!s->version || !s->device || !m->has_slots)
        return ta_no_memory(err);
    r = create(m, o, err);
    if (r == 0)
        r = add_ports(s, true, err);
    if (r == 0)
        r = add_ports(s, false, err);
    for (size_t i = 0; r == 0 && i < o->options->shape_count; i++)
        r = fix_shape(s, &o->options->shapes[i], err);
    return r;
}

static void close_session(ta_session *s)
{
    ta_ort_model *m = s->impl;
    if (m && m->session)
        m->e.api->ReleaseSession(m->session);
    if (m && m->env)
        m->e.api->ReleaseEnv(m->env);
    if (m && m->has_slots)
        sem_destroy(&m->slots);
    ta_freep(&s->impl);
}

const ta_engine_ops ta_onnxruntime = {
    .name = "onnxruntime",
    .title = "ONNX Runtime",
    .look = ta_ort_look,
    .open = open_session,
    .close = close_session,
    .request_new = ta_ort_request_new,
    .request_free = ta_ort_request_free,
    .input = ta_ort_input,
    .start = ta_ort_start,
    .wait = ta_ort_wait,
    .output = ta_ort_output,
};
