/* OpenVINO as an engine, by its C API (2026.4). A session has a core of its own, which costs a millisecond: properties
 * that are set on a core hold for compiling and for reading back what was compiled alike. */
#include "neural/session_openvino.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "neural/compiled.h"

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
    ta_ov_model *m = s->impl;
    if (m->e.f.ov_core_read_model_from_memory_buffer(m->core, o->data, o->size, NULL, &m->model)) {
        ta_ov_fail(&m->e, TA_ERR_DATA, "not an ONNX model that OpenVINO can read", err);
        return ta_hint(err, "get the file again; weights in files of their own have to be merged into it");
    }
    int r = 0;
    for (size_t i = 0; r == 0 && i < o->options->shape_count; i++)
        r = ta_ov_reshape(m, &o->options->shapes[i], err);
    if (r == 0)
        r = ta_ov_make_border_fp32(m, err);
    if (r == 0 && m->e.f.ov_core_compile_model_props(m->core, m->model, "CPU", p->count, p->list, &m->compiled))
        r = ta_ov_fail(&m->e, TA_ERR_DATA, "OpenVINO can't compile the model", err);
    if (m->model)
        m->e.f.ov_model_free(m->model);
    m->model = NULL;
    return r;
}

static bool read_back(ta_session *s, const char *path)
{
    ta_ov_model *m = s->impl;
    char *file = NULL;
    const char *data;
    size_t size;
    if (!path || !ta_compiled_read(path, &file, &data, &size))
        return false;
    s->from_cache = m->e.f.ov_core_import_model(m->core, data, size, "CPU", &m->compiled) == 0;
    if (!s->from_cache)
        ta_log(TA_LOG_VERBOSE, "neural", "'%s' can't be used: compiling again", path);
    if (s->from_cache)
        m->blob = file;
    else
        ta_free(file);
    return s->from_cache;
}

/* OpenVINO writes into a file by name; what it wrote is then published with its checksum. */
static void keep(const ta_ov_model *m, const char *path)
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
    ta_ov_model *m = s->impl;
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
    const ta_ov_model *m = s->impl;
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
    ta_ov_model *m = s->impl;
    if (p->text.failed)
        return ta_no_memory(err);
    if (m->e.f.ov_core_create(&m->core) || m->e.f.ov_core_set_properties(m->core, "CPU", p->count, p->list)) {
        ta_ov_fail(&m->e, TA_ERR_UNAVAILABLE, "OpenVINO's CPU plugin can't be used", err);
        return ta_hint(err, "%s", ta_ov_install);
    }
    int r = compile_or_read(s, o, p, err);
    if (r == 0)
        r = check_precision(s, err);
    if (r == 0)
        r = ta_ov_add_ports(s, true, err);
    return r < 0 ? r : ta_ov_add_ports(s, false, err);
}

static int open_session(ta_session *s, const ta_open *o, ta_error *err)
{
    if (o->options->device != TA_DEVICE_CPU) {
        ta_fail(err, TA_ERR_UNAVAILABLE, "OpenVINO is used on the CPU only");
        return ta_hint(err, "use engine onnxruntime for CUDA and TensorRT");
    }
    ta_ov_model *m = s->impl = ta_alloc(sizeof *m);
    int r = m ? ta_ov_load(&m->e, err) : ta_no_memory(err);
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
    ta_ov_model *m = s->impl;
    if (m && m->compiled)
        m->e.f.ov_compiled_model_free(m->compiled);
    if (m && m->core)
        m->e.f.ov_core_free(m->core);
    if (m)
        ta_free(m->blob);
    ta_freep(&s->impl);
}

const ta_engine_ops ta_openvino = {
    .name = "openvino",
    .title = "OpenVINO",
    .look = ta_ov_look,
    .open = open_session,
    .close = close_session,
    .request_new = ta_ov_request_new,
    .request_free = ta_ov_request_free,
    .input = ta_ov_input,
    .start = ta_ov_start,
    .wait = ta_ov_wait,
    .output = ta_ov_output,
};
