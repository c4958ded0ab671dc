/* Sessions and requests, whatever the engine: options, reference counts, states, shapes. The engines stand behind
 * ta_engine_ops. */
#include "neural/session.h"

#include <assert.h>
#include <string.h>

enum { MAX_MODEL = INT32_MAX, WAIT_US = 10000 };

/* ---- Opening -------------------------------------------------------------------------------------------------- */

static const ta_engine_ops *choose(const ta_session_options *o)
{
    if (o->engine == TA_ENGINE_AUTO)
        return o->device == TA_DEVICE_CPU ? &ta_openvino : &ta_onnxruntime;
    return o->engine == TA_ENGINE_OPENVINO ? &ta_openvino : &ta_onnxruntime;
}

int ta_precision_choose(ta_precision wanted, ta_precision *precision, ta_error *err)
{
    bool has = ta_cpu_has_bf16();
    if (wanted == TA_PRECISION_BF16 && !has) {
        ta_fail(err, TA_ERR_UNAVAILABLE, "this CPU can't compute in bf16 (it has neither AVX512-BF16 nor AMX-BF16)");
        return ta_hint(err, "use precision fp32, or auto");
    }
    *precision = wanted != TA_PRECISION_AUTO ? wanted : has ? TA_PRECISION_BF16 : TA_PRECISION_FP32;
    return 0;
}

int ta_session_add_port(ta_session *s, bool input, const char *name, const ta_shape *shape, ta_error *err)
{
    int *count = input ? &s->inputs : &s->outputs;
    ta_port *port = &(input ? s->input : s->output)[*count];
    if (*count == TA_SESSION_PORTS)
        return ta_fail(err, TA_ERR_DATA, "the model has more than %d %s", TA_SESSION_PORTS,
                       input ? "inputs" : "outputs");
    port->name = ta_strdup(name);
    if (!port->name)
        return ta_no_memory(err);
    port->shape = *shape;
    (*count)++;
    return 0;
}

static void describe(const ta_session *s, const ta_session_options *o)
{
    const char *why = o->precision != TA_PRECISION_AUTO   ? ""
                      : s->precision == TA_PRECISION_BF16 ? " (the CPU has it)"
                                                          : " (no bf16 here)";
    ta_log(TA_LOG_INFO, "neural", "%s: %s %s on %s, %s%s, %d thread%s%s, %.2f s", s->name, s->ops->title, s->version,
           s->device, ta_precision_name(s->precision), why, s->threads, s->threads == 1 ? "" : "s",
           s->from_cache ? ", compiled before" : "", (double)s->open_us / 1e6);
}

static void destroy(ta_session *s)
{
    s->ops->close(s);
    for (int i = 0; i < s->inputs; i++)
        ta_free(s->input[i].name);
    for (int i = 0; i < s->outputs; i++)
        ta_free(s->output[i].name);
    ta_free(s->name);
    ta_free(s->version);
    ta_free(s->device);
    ta_free(s);
}

static int open_new(ta_session *s, ta_open *o, ta_error *err)
{
    int64_t begun = ta_now_us();
    s->name = ta_strdup(o->name);
    if (!s->name)
        return ta_no_memory(err);
    s->threads = o->threads;
    s->streams = o->streams;
    int r = s->ops->open(s, o, err);
    s->open_us = ta_now_us() - begun;
    if (r == 0)
        describe(s, o->options);
    return r;
}

int ta_session_open_bytes(ta_session **s, const char *name, const void *data, size_t size,
                          const ta_session_options *options, ta_error *err)
{
    static const ta_session_options none;
    ta_error local;
    const ta_session_options *chosen = options ? options : &none;
    ta_open o = {
        name, data, size, chosen, chosen->threads > 0 ? chosen->threads : ta_cpu_count(), TA_MAX(chosen->streams, 1)
    };
    *s = NULL;
    err = err ? err : &local;
    ta_session *fresh = ta_alloc(sizeof *fresh);
    if (!fresh)
        return ta_no_memory(err);
    fresh->refs = 1;
    fresh->ops = choose(chosen);
    char *rewritten = NULL;
    int r = chosen->rewrite ? chosen->rewrite(data, size, &rewritten, &o.size, err) : 0;
    o.data = rewritten ? rewritten : data;
    if (r == 0)
        r = open_new(fresh, &o, err);
    ta_free(rewritten);
    if (r < 0) {
        destroy(fresh);
        return ta_wrap(err, "model %s", name);
    }
    *s = fresh;
    return 0;
}

int ta_session_open(ta_session **s, const char *path, const ta_session_options *options, ta_error *err)
{
    char *data;
    size_t size;
    *s = NULL;
    int r = ta_read_file(path, MAX_MODEL, &data, &size, err);
    if (r < 0)
        return r;
    r = ta_session_open_bytes(s, path, data, size, options, err);
    ta_free(data);
    return r;
}

ta_session *ta_session_ref(ta_session *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void ta_session_free(ta_session **s)
{
    if (s && *s && atomic_fetch_sub_explicit(&(*s)->refs, 1, memory_order_acq_rel) == 1)
        destroy(*s);
    if (s)
        *s = NULL;
}

/* ---- Asking --------------------------------------------------------------------------------------------------- */

void ta_session_get_info(const ta_session *s, ta_session_info *info)
{
    *info = (ta_session_info){ s->name,    s->ops->name, s->version,    s->device, s->precision,
                               s->threads, s->streams,   s->from_cache, s->open_us };
}

int ta_session_inputs(const ta_session *s)
{
    return s->inputs;
}

int ta_session_outputs(const ta_session *s)
{
    return s->outputs;
}

static const char *ask(const ta_port *ports, int count, int index, ta_shape *shape)
{
    assert(index >= 0 && index < count);
    if (shape)
        *shape = ports[index].shape;
    return ports[index].name;
}

const char *ta_session_input(const ta_session *s, int index, ta_shape *shape)
{
    return ask(s->input, s->inputs, index, shape);
}

const char *ta_session_output(const ta_session *s, int index, ta_shape *shape)
{
    return ask(s->output, s->outputs, index, shape);
}

static int find(const ta_port *ports, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(ports[i].name, name))
            return i;
    return -1;
}

int ta_session_find_input(const ta_session *s, const char *name)
{
    return find(s->input, s->inputs, name);
}

int ta_session_find_output(const ta_session *s, const char *name)
{
    return find(s->output, s->outputs, name);
}

const char *ta_precision_name(ta_precision p)
{
    static const char *const names[] = { "auto", "fp32", "bf16" };
    return names[p];
}

void ta_engine_look(ta_engine engine, ta_engine_info *info)
{
    const ta_engine_ops *ops = engine == TA_ENGINE_ONNXRUNTIME ? &ta_onnxruntime : &ta_openvino;
    memset(info, 0, sizeof *info);
    info->name = ops->name;
    info->title = ops->title;
    ops->look(info);
}

bool ta_cpu_has_bf16(void)
{
#ifdef __x86_64__
    return __builtin_cpu_supports("avx512bf16"); /* every CPU with AMX-BF16 has it as well */
#else
    return false;
#endif
}

/* ---- Requests ------------------------------------------------------------------------------------------------- */

int ta_request_new(ta_request **r, ta_session *s, ta_error *err)
{
    *r = NULL;
    ta_request *fresh = ta_alloc(sizeof *fresh);
    if (!fresh)
        return ta_no_memory(err);
    fresh->session = ta_session_ref(s);
    int code = s->ops->request_new(fresh, err);
    if (code < 0) {
        ta_request_free(&fresh);
        return ta_wrap(err, "model %s", s->name);
    }
    *r = fresh;
    return 0;
}

void ta_request_free(ta_request **r)
{
    if (!r || !*r)
        return;
    (*r)->session->ops->request_free(*r);
    ta_session_free(&(*r)->session);
    ta_freep(r);
}

/* The shape that the input takes, or TA_ERR_USAGE when it doesn't fit the model's. */
static int fit(const ta_request *r, int index, const ta_shape *wanted, ta_shape *shape, ta_error *err)
{
    char ours[192], model[192];
    const ta_port *port = &r->session->input[index];
    *shape = wanted ? *wanted : port->shape;
    bool right = shape->rank == port->shape.rank && ta_shape_count(shape) > 0;
    for (int i = 0; right && i < shape->rank; i++)
        right = port->shape.dim[i] < 0 || port->shape.dim[i] == shape->dim[i];
    if (right)
        return 0;
    ta_fail(err, TA_ERR_USAGE, "model %s, input '%s': %s doesn't fit %s", r->session->name, port->name,
            ta_shape_print(shape, ours), ta_shape_print(&port->shape, model));
    return TA_ERR_USAGE;
}

int ta_request_input(ta_request *r, int index, const ta_shape *shape, float **data, ta_error *err)
{
    ta_shape fitted;
    *data = NULL;
    if (index < 0 || index >= r->session->inputs)
        return ta_fail(err, TA_ERR_USAGE, "model %s has no input %d", r->session->name, index);
    if (r->state == TA_REQUEST_RUNNING)
        return ta_fail(err, TA_ERR_SOFTWARE, "model %s: an inference is running on this request", r->session->name);
    int code = fit(r, index, shape, &fitted, err);
    if (code < 0)
        return code;
    code = r->session->ops->input(r, index, &fitted, data, err);
    if (code < 0)
        return ta_wrap(err, "model %s, input '%s'", r->session->name, r->session->input[index].name);
    r->filled[index] = true;
    r->shape[index] = fitted;
    return 0;
}

int ta_request_start(ta_request *r, ta_error *err)
{
    const ta_session *s = r->session;
    if (r->state == TA_REQUEST_RUNNING)
        return ta_fail(err, TA_ERR_SOFTWARE, "model %s: an inference is running on this request", s->name);
    for (int i = 0; i < s->inputs; i++)
        if (!r->filled[i])
            return ta_fail(err, TA_ERR_USAGE, "model %s: input '%s' was not set", s->name, s->input[i].name);
    r->state = TA_REQUEST_NEW;
    int code = s->ops->start(r, err);
    if (code < 0)
        return ta_wrap(err, "model %s", s->name);
    r->state = TA_REQUEST_RUNNING;
    return 0;
}

int ta_request_wait(ta_request *r, const ta_cancel *cancel, ta_error *err)
{
    int code = 0;
    if (r->state != TA_REQUEST_RUNNING)
        return r->state == TA_REQUEST_DONE ? 0 : ta_fail(err, TA_ERR_USAGE, "no inference was started");
    while (code == 0) {
        if (ta_cancelled(cancel))
            return ta_fail(err, TA_ERR_CANCELLED, "cancelled");
        code = r->session->ops->wait(r, WAIT_US, err);
    }
    r->state = code < 0 ? TA_REQUEST_NEW : TA_REQUEST_DONE;
    return code < 0 ? ta_wrap(err, "model %s", r->session->name) : 0;
}

int ta_request_run(ta_request *r, const ta_cancel *cancel, ta_error *err)
{
    int code = ta_request_start(r, err);
    return code < 0 ? code : ta_request_wait(r, cancel, err);
}

int ta_request_output(ta_request *r, int index, ta_shape *shape, const float **data, ta_error *err)
{
    ta_shape unwanted;
    *data = NULL;
    if (index < 0 || index >= r->session->outputs)
        return ta_fail(err, TA_ERR_USAGE, "model %s has no output %d", r->session->name, index);
    if (r->state != TA_REQUEST_DONE)
        return ta_fail(err, TA_ERR_USAGE, "model %s: no inference has ended yet", r->session->name);
    int code = r->session->ops->output(r, index, shape ? shape : &unwanted, data, err);
    return code < 0 ? ta_wrap(err, "model %s, output '%s'", r->session->name, r->session->output[index].name) : 0;
}
