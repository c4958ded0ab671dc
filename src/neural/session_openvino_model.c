/* A model in OpenVINO: its ports, and what is done to it before it is compiled. */
#include "neural/session_openvino.h"

/* ---- Ports ---------------------------------------------------------------------------------------------------- */

static int read_shape(const ta_ov *e, const ov_output_const_port_t *port, ta_shape *shape, ta_error *err)
{
    ov_partial_shape_t partial = { 0 };
    if (e->f.ov_port_get_partial_shape(port, &partial))
        return ta_ov_fail(e, TA_ERR_DATA, "a port has no shape", err);
    int r = partial.rank.min == partial.rank.max && partial.rank.max <= TA_SHAPE_RANK
                ? 0
                : ta_fail(err, TA_ERR_DATA, "the number of dimensions is free or over %d", TA_SHAPE_RANK);
    shape->rank = r == 0 ? (int)partial.rank.max : 0;
    for (int i = 0; i < shape->rank; i++)
        shape->dim[i] = partial.dims[i].min == partial.dims[i].max ? partial.dims[i].max : -1;
    e->f.ov_partial_shape_free(&partial);
    return r;
}

static int add_port(ta_session *s, const ta_ov *e, bool input, const ov_output_const_port_t *port, ta_error *err)
{
    ta_shape shape = { 0 };
    char *name = NULL;
    if (e->f.ov_port_get_any_name(port, &name))
        return ta_ov_fail(e, TA_ERR_DATA, "a port has no name", err);
    int r = read_shape(e, port, &shape, err);
    if (r < 0)
        ta_wrap(err, "%s '%s'", input ? "input" : "output", name);
    else
        r = ta_session_add_port(s, input, name, &shape, err);
    e->f.ov_free(name);
    return r;
}

int ta_ov_add_ports(ta_session *s, bool input, ta_error *err)
{
    const ta_ov_model *m = s->impl;
    size_t count = 0;
    int r = input ? m->e.f.ov_compiled_model_inputs_size(m->compiled, &count)
                  : m->e.f.ov_compiled_model_outputs_size(m->compiled, &count);
    for (size_t i = 0; r == 0 && i < count; i++) {
        ov_output_const_port_t *port = NULL;
        if (input ? m->e.f.ov_compiled_model_input_by_index(m->compiled, i, &port)
                  : m->e.f.ov_compiled_model_output_by_index(m->compiled, i, &port))
            return ta_ov_fail(&m->e, TA_ERR_DATA, "a port can't be read", err);
        r = add_port(s, &m->e, input, port, err);
        m->e.f.ov_output_const_port_free(port);
    }
    return r;
}

/* ---- Before compiling ----------------------------------------------------------------------------------------- */

int ta_ov_reshape(const ta_ov_model *m, const ta_input_shape *given, ta_error *err)
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
        return ta_ov_fail(&m->e, TA_ERR_DATA, "the model has no input", err);
    const char *name = given->name ? given->name : own;
    int r = m->e.f.ov_model_reshape(m->model, &name, &shape, 1);
    if (r)
        ta_ov_fail(&m->e, TA_ERR_USAGE, "the shape doesn't fit", err),
            ta_wrap(err, "input '%s' as %s", name, ta_shape_print(&given->shape, text));
    if (port)
        m->e.f.ov_output_const_port_free(port);
    if (own)
        m->e.f.ov_free(own);
    return r ? TA_ERR_USAGE : 0;
}

static bool is_fp32(const ta_ov_model *m, bool input, size_t index)
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

static int convert_input(const ta_ov_functions *f, const ov_preprocess_prepostprocessor_t *p, size_t index)
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

static int convert_output(const ta_ov_functions *f, const ov_preprocess_prepostprocessor_t *p, size_t index)
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

int ta_ov_make_border_fp32(ta_ov_model *m, ta_error *err)
{
    size_t inputs = 0, outputs = 0;
    int changed = 0, r = 0;
    ov_preprocess_prepostprocessor_t *p = NULL;
    const ta_ov_functions *f = &m->e.f;
    f->ov_model_inputs_size(m->model, &inputs);
    f->ov_model_outputs_size(m->model, &outputs);
    if (f->ov_preprocess_prepostprocessor_create(m->model, &p))
        return ta_ov_fail(&m->e, TA_ERR_DATA, "the model can't be prepared", err);
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
        ta_ov_fail(&m->e, TA_ERR_DATA, "inputs and outputs can't be converted to fp32", err);
    f->ov_preprocess_prepostprocessor_free(p);
    return r ? TA_ERR_DATA : 0;
}
