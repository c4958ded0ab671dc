/* Stands for an engine whose C headers were missing when the program was built: what asks for it is told so. */
#include "neural/session.h"

#include <stdio.h>

static const char advice[] = "run `scripts/setup neural` in the checkout and build again";

static void look(ta_engine_info *info)
{
    snprintf(info->problem, sizeof info->problem, "this program was built without %s", info->title);
    snprintf(info->advice, sizeof info->advice, "%s", advice);
}

static int open_session(ta_session *s, const ta_open *o, ta_error *err)
{
    ta_fail(err, TA_ERR_UNAVAILABLE, "this program was built without %s", s->ops->title);
    return ta_hint(err, "%s", advice);
}

static void close_session(ta_session *s)
{
}

#ifdef TA_WITHOUT_OPENVINO
const ta_engine_ops ta_openvino = {
    .name = "openvino", .title = "OpenVINO", .look = look, .open = open_session, .close = close_session
};
#endif
#ifdef TA_WITHOUT_ONNXRUNTIME
const ta_engine_ops ta_onnxruntime = {
    .name = "onnxruntime", .title = "ONNX Runtime", .look = look, .open = open_session, .close = close_session
};
#endif
