/* OpenVINO's C API as it is used here (2026.4), loaded at run time. Private to session_openvino*.c. */
#ifndef TA_NEURAL_SESSION_OPENVINO_H
#define TA_NEURAL_SESSION_OPENVINO_H

#include <openvino/c/openvino.h>

#include "neural/session.h"

/* The functions used. */
#define TA_OV_FUNCTIONS(X)                                                                                             \
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
typedef struct ta_ov_functions {
#define POINTER(name) __typeof__(&name) name;
    TA_OV_FUNCTIONS(POINTER)
#undef POINTER
} ta_ov_functions;

typedef struct ta_ov {
    ta_ov_functions f;
    char version[96], path[512];
} ta_ov;

/* What a session holds. */
typedef struct ta_ov_model {
    ta_ov e;
    ov_core_t *core;
    ov_model_t *model; /* while it is opened */
    ov_compiled_model_t *compiled;
    char *blob; /* what it was read back from: its constants stay there */
} ta_ov_model;

/* The command that gets OpenVINO. */
extern const char ta_ov_install[];

int ta_ov_load(ta_ov *e, ta_error *err);
void ta_ov_look(ta_engine_info *info);
/* Fails with OpenVINO's reason for the last error; with TA_ERR_AGAIN where that was memory. */
int ta_ov_fail(const ta_ov *e, ta_status code, const char *what, ta_error *err);

/* Before compiling: fixes an input's free sizes. TA_ERR_USAGE. */
int ta_ov_reshape(const ta_ov_model *m, const ta_input_shape *given, ta_error *err);
/* Puts conversions in front of and behind a model whose border isn't fp32. */
int ta_ov_make_border_fp32(ta_ov_model *m, ta_error *err);
/* After compiling: the session's ports. */
int ta_ov_add_ports(ta_session *s, bool input, ta_error *err);

/* Requests, as ta_engine_ops wants them. */
int ta_ov_request_new(ta_request *r, ta_error *err);
void ta_ov_request_free(ta_request *r);
int ta_ov_input(ta_request *r, int index, const ta_shape *shape, float **data, ta_error *err);
int ta_ov_start(ta_request *r, ta_error *err);
int ta_ov_wait(ta_request *r, int64_t us, ta_error *err);
int ta_ov_output(ta_request *r, int index, ta_shape *shape, const float **data, ta_error *err);

#endif
