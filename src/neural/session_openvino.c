/* OpenVINO as an engine, by its C API (2026.4), loaded at run time. A session has a core of its own, which costs a
 * millisecond: properties that are set on a core hold for compiling and for reading back what was compiled alike. */
#include "neural/compiled.h"
#include "neural/library.h"
#include "neural/session.h"

#include <fcntl.h>
#include <openvino/c/openvino.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char install[] = "run `terminalai models install openvino` (59 MB), in a checkout `scripts/setup neural`";

/* The functions used. */
#define FUNCTIONS(X)                                                                                                   \
    X(ov_get_openvino_version)                                                                                         \
    X(ov_version_free)                                                                                                 \
    X(ov_get_last_err_msg)                                                                                             \
    X(ov_free)                                                                                                         \
    X(ov_core_create)                                                                                                  \
    X(ov_core_free)                                                                                                    \
    X(ov_core_set_properties)                                                                                          \
    X(ov_core_get_available_devices)                                                                                   \
    X(ov_available_devices_free)                                                                                       \
    X(ov_core_read_model_from_memory_buffer)                                                                           \
    X(ov_core_compile_model_props)                                                                                     \
    X(ov_core_import_model)                                                                                            \
    X(ov_model_free)                                                                                                   \
    X(ov_model_inputs_size)                                                                                            \
    X(ov_model_outputs_size)                                                                                           \
    X(ov_model_const_input_by_index)                                                                                   \
    X(ov_model_const_output_by_index)                                                                                  \
    X(ov_model_reshape)                                                                                                \
    X(ov_compiled_model_free)                                                                                          \
    X(ov_compiled_model_inputs_size)                                                                                   \
    X(ov_compiled_model_outputs_size)                                                                                  \
    X(ov_compiled_model_input_by_index)                                                                                \
    X(ov_compiled_model_output_by_index)                                                                               \
    X(ov_compiled_model_get_property)                                                                                  \
    X(ov_compiled_model_export_model)                                                                                  \
    X(ov_compiled_model_create_infer_request)                                                                          \
    X(ov_output_const_port_free)                                                                                       \
    X(ov_port_get_any_name)                                                                                            \
    X(ov_port_get_partial_shape)                                                                                       \
    X(ov_port_get_element_type)                                                                                        \
    X(ov_partial_shape_free)                                                                                           \
    X(ov_preprocess_prepostprocessor_create)                                                                           \
    X(ov_preprocess_prepostprocessor_free)                                                                             \
    X(ov_preprocess_prepostprocessor_get_input_info_by_index)                                                          \
    X(ov_preprocess_input_info_free)                                                                                   \
    X(ov_preprocess_input_info_get_tensor_info)                                                                        \
    X(ov_preprocess_input_tensor_info_set_element_type)                                                                \
    X(ov_preprocess_input_tensor_info_free)                                                                            \
    X(ov_preprocess_prepostprocessor_get_output_info_by_index)                                                         \
    X(ov_preprocess_output_info_free)                                                                                  \
    X(ov_preprocess_output_info_get_tensor_info)                                                                       \
    X(ov_preprocess_output_set_element_type)                                                                           \
    X(ov_preprocess_output_tensor_info_free)                                                                           \
    X(ov_preprocess_prepostprocessor_build)                                                                            \
    X(ov_infer_request_free)                                                                                           \
    X(ov_infer_request_set_input_tensor_by_index)                                                                      \
    X(ov_infer_request_get_output_tensor_by_index)                                                                     \
    X(ov_infer_request_start_async)                                                                                    \
    X(ov_infer_request_wait)                                                                                           \
    X(ov_infer_request_wait_for)                                                                                       \
    X(ov_infer_request_cancel)                                                                                         \
    X(ov_tensor_create)                                                                                                \
    X(ov_tensor_free)                                                                                                  \
    X(ov_tensor_data)                                                                                                  \
    X(ov_tensor_get_shape)                                                                                             \
    X(ov_shape_free)

/* As pointers, in the order of the list, so that they can be filled by number. */
typedef struct functions {
#define POINTER(name) __typeof__(&name) name;
    FUNCTIONS(POINTER)
#undef POINTER
} functions;

static const char *const symbols[] = {
#define NAME(name) #name,
    FUNCTIONS(NAME)
#undef NAME
        NULL,
};
static const char *const files[] = { "libopenvino_c.so.2641", "libopenvino_c.so", NULL };
static const ta_library library = { "OpenVINO", "TERMINALAI_OPENVINO", "openvino", files, install, symbols };

_Static_assert(sizeof(functions) == sizeof(void *) * (sizeof symbols / sizeof *symbols - 1), "one pointer a name");

typedef struct engine {
    functions f;
    char version[96], path[512];
} engine;

typedef struct impl {
    engine e;
    ov_core_t *core;
    ov_model_t *model; /* while it is opened */
    ov_compiled_model_t *compiled;
} impl;

typedef struct request {
    ov_infer_request_t *infer;
    ov_tensor_t *in[TA_SESSION_PORTS], *out[TA_SESSION_PORTS];
} request;

/* ---- Errors --------------------------------------------------------------------------------------------------- */

/* The last line of OpenVINO's message that says something: the first ones are places in its sources. */
static void last_reason(const char *message, char *out, size_t size)
{
    snprintf(out, size, "no reason given");
    for (const char *line = message; line && *line; line = strchr(line, '\n')) {
        line += strspn(line, "\n \t");
        size_t n = strcspn(line, "\n");
        if (n && !ta_starts(line, "Exception from") && !ta_starts(line, "Check '"))
            snprintf(out, size, "%.*s", (int)TA_MIN(n, size - 1), line);
    }
}

static bool is_memory(const char *message)
{
    return strstr(message, "bad_alloc") || strstr(message, "ould not allocate") || strstr(message, "out of memory") ||
           strstr(message, "an't allocate");
}

static int fail(const engine *e, ta_status code, const char *what, ta_error *err)
{
    char reason[320];
    const char *message = e->f.ov_get_last_err_msg();
    bool memory = message && is_memory(message);
    last_reason(message, reason, sizeof reason);
    if (message)
        e->f.ov_free(message);
    if (memory) {
        ta_fail(err, TA_ERR_AGAIN, "out of memory: %s: %s", what, reason);
        return ta_hint(err, "use smaller tiles or fewer requests at once, or close other programs");
    }
    return ta_fail(err, code, "%s: %s", what, reason);
}

/* ---- The library ---------------------------------------------------------------------------------------------- */

static int load(engine *e, ta_error *err)
{
    ov_version_t version = { 0 };
    int r = ta_library_load(&library, (void **)&e->f, e->path, err);
    if (r < 0)
        return r;
    if (e->f.ov_get_openvino_version(&version))
        return fail(e, TA_ERR_UNAVAILABLE, "OpenVINO doesn't tell its version", err);
    snprintf(e->version, sizeof e->version, "%s", version.buildNumber);
    e->f.ov_version_free(&version);
    return 0;
}

static void list_devices(const engine *e, ta_engine_info *info)
{
    ov_core_t *core = NULL;
    ov_available_devices_t list = { 0 };
    size_t at = 0;
    if (e->f.ov_core_create(&core) == 0 && e->f.ov_core_get_available_devices(core, &list) == 0) {
        for (size_t i = 0; i < list.size && at < sizeof info->devices; i++)
            at +=
                (size_t)snprintf(info->devices + at, sizeof info->devices - at, "%s%s", i ? " " : "", list.devices[i]);
        e->f.ov_available_devices_free(&list);
    }
    if (core)
        e->f.ov_core_free(core);
}

static void look(ta_engine_info *info)
{
    engine e;
    ta_error err = { 0 };
    info->built_in = true;
    if (load(&e, &err) < 0) {
        snprintf(info->problem, sizeof info->problem, "%s", err.text[0]);
        snprintf(info->advice, sizeof info->advice, "%s", err.hint);
        return;
    }
    info->found = true;
    snprintf(info->version, sizeof info->version, "%.*s", (int)strcspn(e.version, "-"), e.version);
    snprintf(info->path, sizeof info->path, "%s", e.path);
    list_devices(&e, info);
}

/* ---- Ports ---------------------------------------------------------------------------------------------------- */

static int read_shape(const engine *e, const ov_output_const_port_t *port, ta_shape *shape, ta_error *err)
{
    ov_partial_shape_t partial = { 0 };
    if (e->f.ov_port_get_partial_shape(port, &partial))
        return fail(e, TA_ERR_DATA, "a port has no shape", err);
    int r = partial.rank.min == partial.rank.max && partial.rank.max <= TA_SHAPE_RANK
                ? 0
                : ta_fail(err, TA_ERR_DATA, "the number of dimensions is free or over %d", TA_SHAPE_RANK);
    shape->rank = r == 0 ? (int)partial.rank.max : 0;
    for (int i = 0; i < shape->rank; i++)
        shape->dim[i] = partial.dims[i].min == partial.dims[i].max ? partial.dims[i].max : -1;
    e->f.ov_partial_shape_free(&partial);
    return r;
}

static int add_port(ta_session *s, const engine *e, bool input, const ov_output_const_port_t *port, ta_error *err)
{
    ta_shape shape = { 0 };
    char *name = NULL;
    if (e->f.ov_port_get_any_name(port, &name))
        return fail(e, TA_ERR_DATA, "a port has no name", err);
    int r = read_shape(e, port, &shape, err);
    if (r < 0)
        ta_wrap(err, "%s '%s'", input ? "input" : "output", name);
    else
        r = ta_session_add_port(s, input, name, &shape, err);
    e->f.ov_free(name);
    return r;
}

static int add_ports(ta_session *s, bool input, ta_error *err)
{
    const impl *m = s->impl;
    size_t count = 0;
    int r = input ? m->e.f.ov_compiled_model_inputs_size(m->compiled, &count)
                  : m->e.f.ov_compiled_model_outputs_size(m->compiled, &count);
    for (size_t i = 0; r == 0 && i < count; i++) {
        ov_output_const_port_t *port = NULL;
        if (input ? m->e.f.ov_compiled_model_input_by_index(m->compiled, i, &port)
                  : m->e.f.ov_compiled_model_output_by_index(m->compiled, i, &port))
            return fail(&m->e, TA_ERR_DATA, "a port can't be read", err);
        r = add_port(s, &m->e, input, port, err);
        m->e.f.ov_output_const_port_free(port);
    }
    return r;
}

/* ---- Before compiling ----------------------------------------------------------------------------------------- */

static int reshape(const impl *m, const ta_input_shape *given, ta_error *err)
{
    ov_dimension_t dims[TA_SHAPE_RANK];
    ov_output_const_port_t *port = NULL;
    char *own = NULL, text[192];
    for (int i = 0; i < given->shape.rank; i++)
        dims[i] = given->shape.dim[i] < 0 ? (ov_dimension_t){ 0, -1 }
                                          : (ov_dimension_t){ given->shape.dim[i], given->shape.dim[i] };
    ov_partial_shape_t shape = { { given->shape.rank, given->shape.rank }, dims };
    if (!given->name &&
        (m->e.f.ov_model_const_input_by_index(m->model, 0, &port) || m->e.f.ov_port_get_any_name(port, &own)))
        return fail(&m->e, TA_ERR_DATA, "the model has no input", err);
    const char *name = given->name ? given->name : own;
    int r = m->e.f.ov_model_reshape(m->model, &name, &shape, 1);
    if (r)
        fail(&m->e, TA_ERR_USAGE, "the shape doesn't fit", err),
            ta_wrap(err, "input '%s' as %s", name, ta_shape_print(&given->shape, text));
    if (port)
        m->e.f.ov_output_const_port_free(port);
    if (own)
        m->e.f.ov_free(own);
    return r ? TA_ERR_USAGE : 0;
}

static bool is_fp32(const impl *m, bool input, size_t index)
{
    ov_output_const_port_t *port = NULL;
    ov_element_type_e type = F32;
    if ((input ? m->e.f.ov_model_const_input_by_index(m->model, index, &port)
               : m->e.f.ov_model_const_output_by_index(m->model, index, &port)) == 0) {
        m->e.f.ov_port_get_element_type(port, &type);
        m->e.f.ov_output_const_port_free(port);
    }
    return type == F32;
}

static int convert_input(const functions *f, const ov_preprocess_prepostprocessor_t *p, size_t index)
{
    ov_preprocess_input_info_t *info = NULL;
    ov_preprocess_input_tensor_info_t *tensor = NULL;
    int r = f->ov_preprocess_prepostprocessor_get_input_info_by_index(p, index, &info);
    r = r ? r : f->ov_preprocess_input_info_get_tensor_info(info, &tensor);
    r = r ? r : f->ov_preprocess_input_tensor_info_set_element_type(tensor, F32);
    if (tensor)
        f->ov_preprocess_input_tensor_info_free(tensor);
    if (info)
        f->ov_preprocess_input_info_free(info);
    return r;
}

static int convert_output(const functions *f, const ov_preprocess_prepostprocessor_t *p, size_t index)
{
    ov_preprocess_output_info_t *info = NULL;
    ov_preprocess_output_tensor_info_t *tensor = NULL;
    int r = f->ov_preprocess_prepostprocessor_get_output_info_by_index(p, index, &info);
    r = r ? r : f->ov_preprocess_output_info_get_tensor_info(info, &tensor);
    r = r ? r : f->ov_preprocess_output_set_element_type(tensor, F32);
    if (tensor)
        f->ov_preprocess_output_tensor_info_free(tensor);
    if (info)
        f->ov_preprocess_output_info_free(info);
    return r;
}

/* Puts conversions in front of and behind a model whose border isn't fp32. */
static int make_border_fp32(impl *m, ta_error *err)
{
    size_t inputs = 0, outputs = 0;
    int changed = 0, r = 0;
    ov_preprocess_prepostprocessor_t *p = NULL;
    const functions *f = &m->e.f;
    f->ov_model_inputs_size(m->model, &inputs);
    f->ov_model_outputs_size(m->model, &outputs);
    if (f->ov_preprocess_prepostprocessor_create(m->model, &p))
        return fail(&m->e, TA_ERR_DATA, "the model can't be prepared", err);
    for (size_t i = 0; r == 0 && i < inputs; i++)
        if (!is_fp32(m, true, i) && ++changed)
            r = convert_input(f, p, i);
    for (size_t i = 0; r == 0 && i < outputs; i++)
        if (!is_fp32(m, false, i) && ++changed)
            r = convert_output(f, p, i);
    ov_model_t *built = NULL;
    if (r == 0 && changed && (r = f->ov_preprocess_prepostprocessor_build(p, &built)) == 0) {
        f->ov_model_free(m->model);
        m->model = built;
    }
    if (r)
        fail(&m->e, TA_ERR_DATA, "inputs and outputs can't be converted to fp32", err);
    f->ov_preprocess_prepostprocessor_free(p);
    return r ? TA_ERR_DATA : 0;
}

/* ---- Compiling ------------------------------------------------------------------------------------------------ */

typedef struct properties {
    char threads[16], streams[16];
    ov_property_t list[6];
    size_t count;
    ta_buf text; /* all of them, for the cache's key */
} properties;

static void set_properties(properties *p, const ta_open *o, ta_precision precision)
{
    snprintf(p->threads, sizeof p->threads, "%d", o->threads);
    snprintf(p->streams, sizeof p->streams, "%d", o->streams);
    const ov_property_t all[] = {
        { "INFERENCE_PRECISION_HINT", precision == TA_PRECISION_BF16 ? "bf16" : "f32" },
        { "INFERENCE_NUM_THREADS", p->threads },
        { "NUM_STREAMS", p->streams },
        { "ENABLE_CPU_PINNING", "NO" }, /* other threads of ours want these cores, too */
    };
    memcpy(p->list, all, sizeof all);
    p->count = TA_COUNT(all);
    for (size_t i = 0; i < p->count; i++)
        ta_buf_addf(&p->text, "%s=%s\n", all[i].key, (const char *)all[i].value);
    for (size_t i = 0; i < o->options->shape_count; i++) {
        char shape[192];
        const ta_input_shape *given = &o->options->shapes[i];
        ta_buf_addf(&p->text, "%s:%s\n", given->name ? given->name : "", ta_shape_print(&given->shape, shape));
    }
}

static int compile(ta_session *s, const ta_open *o, const properties *p, ta_error *err)
{
    impl *m = s->impl;
    if (m->e.f.ov_core_read_model_from_memory_buffer(m->core, o->data, o->size, NULL, &m->model)) {
        fail(&m->e, TA_ERR_DATA, "not an ONNX model that OpenVINO can read", err);
        return ta_hint(err, "get the file again; weights in files of their own have to be merged into it");
    }
    int r = 0;
    for (size_t i = 0; r == 0 && i < o->options->shape_count; i++)
        r = reshape(m, &o->options->shapes[i], err);
    if (r == 0)
        r = make_border_fp32(m, err);
    if (r == 0 && m->e.f.ov_core_compile_model_props(m->core, m->model, "CPU", p->count, p->list, &m->compiled))
        r = fail(&m->e, TA_ERR_DATA, "OpenVINO can't compile the model", err);
    if (m->model)
        m->e.f.ov_model_free(m->model);
    m->model = NULL;
    return r;
}

static bool read_back(ta_session *s, const char *path)
{
    impl *m = s->impl;
    char *file = NULL;
    const char *data;
    size_t size;
    if (!path || !ta_compiled_read(path, &file, &data, &size))
        return false;
    s->from_cache = m->e.f.ov_core_import_model(m->core, data, size, "CPU", &m->compiled) == 0;
    if (!s->from_cache)
        ta_log(TA_LOG_VERBOSE, "neural", "'%s' can't be used: compiling again", path);
    ta_free(file);
    return s->from_cache;
}

/* OpenVINO writes into a file by name; what it wrote is then published with its checksum. */
static void keep(const impl *m, const char *path)
{
    char *dir = ta_path_dir(path), *temp = ta_format("%s.XXXXXX", path);
    int fd = -1;
    if (dir && temp && ta_mkdirs(dir, NULL) == 0)
        fd = mkostemp(temp, O_CLOEXEC);
    if (fd >= 0) {
        close(fd);
        if (m->e.f.ov_compiled_model_export_model(m->compiled, temp) == 0)
            ta_compiled_keep(path, temp);
        else
            unlink(temp);
    }
    ta_free(dir);
    ta_free(temp);
}

static int compile_or_read(ta_session *s, const ta_open *o, const properties *p, ta_error *err)
{
    impl *m = s->impl;
    char *path;
    int r = ta_compiled_path(&path, o->data, o->size, m->e.version, p->text.data, o->options->cache, err);
    if (r == 0 && !read_back(s, path)) {
        r = compile(s, o, p, err);
        if (r == 0 && path)
            keep(m, path);
    }
    ta_free(path);
    return r;
}

/* What the engine really computes in: it falls back by itself where the CPU can't. */
static int check_precision(ta_session *s, ta_error *err)
{
    const impl *m = s->impl;
    char *says = NULL;
    if (m->e.f.ov_compiled_model_get_property(m->compiled, "INFERENCE_PRECISION_HINT", &says))
        return 0;
    bool bf16 = !strcmp(says, "bf16");
    m->e.f.ov_free(says);
    return bf16 == (s->precision == TA_PRECISION_BF16)
               ? 0
               : ta_fail(err, TA_ERR_UNAVAILABLE, "OpenVINO doesn't compute in %s here",
                         ta_precision_name(s->precision));
}

static int open_with(ta_session *s, const ta_open *o, const properties *p, ta_error *err)
{
    impl *m = s->impl;
    if (p->text.failed)
        return ta_no_memory(err);
    if (m->e.f.ov_core_create(&m->core) || m->e.f.ov_core_set_properties(m->core, "CPU", p->count, p->list)) {
        fail(&m->e, TA_ERR_UNAVAILABLE, "OpenVINO's CPU plugin can't be used", err);
        return ta_hint(err, "%s", install);
    }
    int r = compile_or_read(s, o, p, err);
    if (r == 0)
        r = check_precision(s, err);
    if (r == 0)
        r = add_ports(s, true, err);
    return r < 0 ? r : add_ports(s, false, err);
}

static int open_session(ta_session *s, const ta_open *o, ta_error *err)
{
    if (o->options->device != TA_DEVICE_CPU) {
        ta_fail(err, TA_ERR_UNAVAILABLE, "OpenVINO is used on the CPU only");
        return ta_hint(err, "use engine onnxruntime for CUDA and TensorRT");
    }
    impl *m = s->impl = ta_alloc(sizeof *m);
    int r = m ? load(&m->e, err) : ta_no_memory(err);
    if (r == 0)
        r = ta_precision_choose(o->options->precision, &s->precision, err);
    if (r < 0)
        return r;
    s->version = ta_strndup(m->e.version, strcspn(m->e.version, "-")); /* "2026.4.1" of "2026.4.1-22982-..." */
    s->device = ta_strdup("CPU");
    if (!s->version || !s->device)
        return ta_no_memory(err);
    properties p = { 0 };
    set_properties(&p, o, s->precision);
    r = open_with(s, o, &p, err);
    ta_buf_free(&p.text);
    return r;
}

static void close_session(ta_session *s)
{
    impl *m = s->impl;
    if (m && m->compiled)
        m->e.f.ov_compiled_model_free(m->compiled);
    if (m && m->core)
        m->e.f.ov_core_free(m->core);
    ta_freep(&s->impl);
}

/* ---- Requests ------------------------------------------------------------------------------------------------- */

static const engine *engine_of(const ta_request *r)
{
    return &((const impl *)r->session->impl)->e;
}

static int new_request(ta_request *r, ta_error *err)
{
    const impl *m = r->session->impl;
    request *q = r->impl = ta_alloc(sizeof *q);
    if (!q)
        return ta_no_memory(err);
    if (m->e.f.ov_compiled_model_create_infer_request(m->compiled, &q->infer))
        return fail(&m->e, TA_ERR_AGAIN, "no further inference at once", err);
    return 0;
}

static void free_request(ta_request *r)
{
    request *q = r->impl;
    if (!q)
        return;
    const functions *f = &engine_of(r)->f;
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
    const engine *e = engine_of(r);
    request *q = r->impl;
    ov_shape_t size = { shape->rank, (int64_t *)shape->dim };
    ov_tensor_t *tensor = NULL;
    if (e->f.ov_tensor_create(F32, size, &tensor))
        return fail(e, TA_ERR_AGAIN, "no memory for an input", err);
    if (e->f.ov_infer_request_set_input_tensor_by_index(q->infer, (size_t)index, tensor)) {
        e->f.ov_tensor_free(tensor);
        return fail(e, TA_ERR_USAGE, "the engine refuses the shape", err);
    }
    if (q->in[index])
        e->f.ov_tensor_free(q->in[index]);
    q->in[index] = tensor;
    return 0;
}

static int input(ta_request *r, int index, const ta_shape *shape, float **data, ta_error *err)
{
    request *q = r->impl;
    bool same = q->in[index] && ta_shape_equal(shape, &r->shape[index]);
    int code = same ? 0 : make_tensor(r, index, shape, err);
    if (code == 0 && engine_of(r)->f.ov_tensor_data(q->in[index], (void **)data))
        code = fail(engine_of(r), TA_ERR_AGAIN, "an input has no memory", err);
    return code;
}

static int start(ta_request *r, ta_error *err)
{
    request *q = r->impl;
    return engine_of(r)->f.ov_infer_request_start_async(q->infer)
               ? fail(engine_of(r), TA_ERR_DATA, "the inference can't be started", err)
               : 0;
}

static int wait_some(ta_request *r, int64_t us, ta_error *err)
{
    request *q = r->impl;
    int status = engine_of(r)->f.ov_infer_request_wait_for(q->infer, TA_MAX(us / 1000, 1));
    if (status == RESULT_NOT_READY)
        return 0;
    return status ? fail(engine_of(r), TA_ERR_DATA, "the inference failed", err) : 1;
}

static int output(ta_request *r, int index, ta_shape *shape, const float **data, ta_error *err)
{
    const engine *e = engine_of(r);
    request *q = r->impl;
    ov_shape_t size = { 0 };
    if (q->out[index])
        e->f.ov_tensor_free(q->out[index]);
    q->out[index] = NULL;
    if (e->f.ov_infer_request_get_output_tensor_by_index(q->infer, (size_t)index, &q->out[index]) ||
        e->f.ov_tensor_get_shape(q->out[index], &size))
        return fail(e, TA_ERR_SOFTWARE, "there is no result", err);
    int code = size.rank <= TA_SHAPE_RANK ? 0 : ta_fail(err, TA_ERR_DATA, "too many dimensions");
    shape->rank = code == 0 ? (int)size.rank : 0;
    if (shape->rank)
        memcpy(shape->dim, size.dims, (size_t)shape->rank * sizeof shape->dim[0]);
    e->f.ov_shape_free(&size);
    if (code == 0 && e->f.ov_tensor_data(q->out[index], (void **)data))
        code = fail(e, TA_ERR_SOFTWARE, "the result has no memory", err);
    return code;
}

const ta_engine_ops ta_openvino = {
    .name = "openvino",
    .title = "OpenVINO",
    .look = look,
    .open = open_session,
    .close = close_session,
    .request_new = new_request,
    .request_free = free_request,
    .input = input,
    .start = start,
    .wait = wait_some,
    .output = output,
};
