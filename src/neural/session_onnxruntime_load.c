/* ONNX Runtime's library: found, loaded, asked for its version and execution providers; what its errors say. */
#include "neural/session_onnxruntime.h"

#include <stdio.h>
#include <string.h>

#include "neural/library.h"

/* The version of the interface that is asked for: the oldest that has all functions used here, so that libraries from
 * 1.18 on will do. */
enum { API = 18 };

static const char install[] =
    "run `terminalai models install onnxruntime` (28 MB), in a checkout `scripts/setup neural`";
static const char *const symbols[] = { "OrtGetApiBase", NULL };
static const char *const files[] = { "libonnxruntime.so.1", "libonnxruntime.so", "libonnxruntime.so.1.32.0", NULL };
static const ta_library library = { "ONNX Runtime", "TERMINALAI_ONNXRUNTIME", "onnxruntime", files, install, symbols };

static const struct {
    ta_device device;
    const char *provider, *name;
} devices[] = {
    { TA_DEVICE_CPU, "CPUExecutionProvider", "CPU" },
    { TA_DEVICE_CUDA, "CUDAExecutionProvider", "CUDA" },
    { TA_DEVICE_TENSORRT, "TensorrtExecutionProvider", "TensorRT" },
};

const char *ta_ort_device_name(ta_device device)
{
    return devices[device].name;
}

/* ---- Errors --------------------------------------------------------------------------------------------------- */

static bool is_memory(const char *message)
{
    return strstr(message, "bad_alloc") || strstr(message, "ailed to allocate") || strstr(message, "ut of memory");
}

int ta_ort_fail(const ta_ort *e, OrtStatus *status, ta_status code, const char *what, ta_error *err)
{
    char reason[320];
    const char *message = status ? e->api->GetErrorMessage(status) : "no reason given";
    bool memory = is_memory(message);
    snprintf(reason, sizeof reason, "%.*s", (int)strcspn(message, "\n"), message);
    if (status)
        e->api->ReleaseStatus(status);
    if (memory) {
        ta_fail(err, TA_ERR_AGAIN, "out of memory: %s: %s", what, reason);
        return ta_hint(err, "use smaller tiles or fewer requests at once, or close other programs");
    }
    return ta_fail(err, code, "%s: %s", what, reason);
}

/* ---- The library ---------------------------------------------------------------------------------------------- */

int ta_ort_load(ta_ort *e, ta_error *err)
{
    union {
        void *pointer;
        const OrtApiBase *(*get)(void);
    } base;
    int r = ta_library_load(&library, &base.pointer, e->path, err);
    if (r < 0)
        return r;
    const OrtApiBase *b = base.get();
    snprintf(e->version, sizeof e->version, "%s", b->GetVersionString());
    e->api = b->GetApi(API);
    if (e->api)
        return 0;
    ta_fail(err, TA_ERR_UNAVAILABLE, "ONNX Runtime: '%s' is %s, and 1.18 is the oldest that is used", e->path,
            e->version);
    return ta_hint(err, "%s", install);
}

static bool has_provider(const ta_ort *e, ta_device device)
{
    char **names = NULL;
    int count = 0;
    bool has = false;
    OrtStatus *status = e->api->GetAvailableProviders(&names, &count);
    if (status) {
        e->api->ReleaseStatus(status);
        return false;
    }
    for (int i = 0; i < count; i++)
        has = has || !strcmp(names[i], devices[device].provider);
    status = e->api->ReleaseAvailableProviders(names, count);
    if (status)
        e->api->ReleaseStatus(status);
    return has;
}

void ta_ort_look(ta_engine_info *info)
{
    ta_ort e = { 0 };
    ta_error err = { 0 };
    size_t at = 0;
    info->built_in = true;
    if (ta_ort_load(&e, &err) < 0) {
        snprintf(info->problem, sizeof info->problem, "%s", err.text[0]);
        snprintf(info->advice, sizeof info->advice, "%s", err.hint);
        return;
    }
    info->found = true;
    snprintf(info->version, sizeof info->version, "%s", e.version);
    snprintf(info->path, sizeof info->path, "%s", e.path);
    for (size_t i = 0; i < TA_COUNT(devices); i++)
        if (has_provider(&e, devices[i].device))
            at +=
                (size_t)snprintf(info->devices + at, sizeof info->devices - at, "%s%s", at ? " " : "", devices[i].name);
}

/* ---- Devices -------------------------------------------------------------------------------------------------- */

/* fp32 means fp32: products aren't rounded to TF32. */
static OrtStatus *add_cuda(const OrtApi *a, OrtSessionOptions *o)
{
    static const char *const keys[] = { "use_tf32", "cudnn_conv_algo_search" };
    static const char *const values[] = { "0", "HEURISTIC" };
    OrtCUDAProviderOptionsV2 *cuda = NULL;
    OrtStatus *s = a->CreateCUDAProviderOptions(&cuda);
    if (!s)
        s = a->UpdateCUDAProviderOptions(cuda, keys, values, TA_COUNT(keys));
    if (!s)
        s = a->SessionOptionsAppendExecutionProvider_CUDA_V2(o, cuda);
    if (cuda)
        a->ReleaseCUDAProviderOptions(cuda);
    return s;
}

/* Layers that TensorRT hasn't run on CUDA. */
static OrtStatus *add_tensorrt(const OrtApi *a, OrtSessionOptions *o)
{
    OrtTensorRTProviderOptionsV2 *rt = NULL;
    OrtStatus *s = a->CreateTensorRTProviderOptions(&rt);
    if (!s)
        s = a->SessionOptionsAppendExecutionProvider_TensorRT_V2(o, rt);
    if (rt)
        a->ReleaseTensorRTProviderOptions(rt);
    return s ? s : add_cuda(a, o);
}

int ta_ort_use_device(const ta_ort *e, OrtSessionOptions *o, ta_device device, ta_error *err)
{
    if (device == TA_DEVICE_CPU)
        return 0;
    if (!has_provider(e, device)) {
        ta_fail(err, TA_ERR_UNAVAILABLE, "the ONNX Runtime in '%s' was made without %s", e->path, devices[device].name);
        return ta_hint(err,
                       "get the package onnxruntime-gpu %s and set TERMINALAI_ONNXRUNTIME to its folder "
                       "onnxruntime/capi, or use --neural-device cpu",
                       e->version);
    }
    OrtStatus *s = device == TA_DEVICE_CUDA ? add_cuda(e->api, o) : add_tensorrt(e->api, o);
    if (!s)
        return 0;
    char what[64];
    snprintf(what, sizeof what, "%s can't be used here", devices[device].name);
    ta_ort_fail(e, s, TA_ERR_UNAVAILABLE, what, err);
    return ta_hint(err, "look at NVIDIA's driver and the CUDA and cuDNN libraries, or use --neural-device cpu");
}
