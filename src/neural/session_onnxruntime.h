/* ONNX Runtime's C API as it is used here, loaded at run time. Private to session_onnxruntime*.c. */
#ifndef TA_NEURAL_SESSION_ONNXRUNTIME_H
#define TA_NEURAL_SESSION_ONNXRUNTIME_H

#include <onnxruntime_c_api.h>
#include <semaphore.h>

#include "neural/session.h"

typedef struct ta_ort {
    const OrtApi *api;
    char version[96], path[512];
} ta_ort;

/* What a session holds. */
typedef struct ta_ort_model {
    ta_ort e;
    OrtEnv *env;
    OrtSession *session;
    ONNXTensorElementDataType in[TA_SESSION_PORTS], out[TA_SESSION_PORTS];
    sem_t slots; /* inferences that may begin beside those that run */
    bool has_slots;
} ta_ort_model;

int ta_ort_load(ta_ort *e, ta_error *err);
void ta_ort_look(ta_engine_info *info);
/* Fails with ONNX Runtime's reason, and releases it; with TA_ERR_AGAIN where that was memory. */
int ta_ort_fail(const ta_ort *e, OrtStatus *status, ta_status code, const char *what, ta_error *err);
/* Has the session run on the device. TA_ERR_UNAVAILABLE: this library can't, or the machine has no such device. */
int ta_ort_use_device(const ta_ort *e, OrtSessionOptions *o, ta_device device, ta_error *err);
const char *ta_ort_device_name(ta_device device);

/* Types of numbers that a model's border may have; all are fp32 for those who ask. */
bool ta_ort_type_known(ONNXTensorElementDataType type);
void ta_ort_from_float(ONNXTensorElementDataType type, const float *from, void *to, size_t count);
void ta_ort_to_float(ONNXTensorElementDataType type, const void *from, float *to, size_t count);

/* Requests, as ta_engine_ops wants them. */
int ta_ort_request_new(ta_request *r, ta_error *err);
void ta_ort_request_free(ta_request *r);
int ta_ort_input(ta_request *r, int index, const ta_shape *shape, float **data, ta_error *err);
int ta_ort_start(ta_request *r, ta_error *err);
int ta_ort_wait(ta_request *r, int64_t us, ta_error *err);
int ta_ort_output(ta_request *r, int index, ta_shape *shape, const float **data, ta_error *err);

#endif
