/* Stands for ONNX Runtime, which is to be the way to NVIDIA's devices: a session that asks for it is told so. */
#include "neural/session.h"

#include <stdio.h>

static const char problem[] = "ONNX Runtime is not in this version";
static const char advice[] = "use engine openvino, on the CPU";

static void look(ta_engine_info *info)
{
    snprintf(info->problem, sizeof info->problem, "%s", problem);
    snprintf(info->advice, sizeof info->advice, "%s", advice);
}

static int open_session(ta_session *s, const ta_open *o, ta_error *err)
{
    ta_fail(err, TA_ERR_UNAVAILABLE, "%s", problem);
    return ta_hint(err, "%s", advice);
}

static void close_session(ta_session *s)
{
}

const ta_engine_ops ta_onnxruntime = {
    .name = "onnxruntime",
    .title = "ONNX Runtime",
    .look = look,
    .open = open_session,
    .close = close_session,
};
