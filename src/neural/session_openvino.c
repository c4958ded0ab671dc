/* OpenVINO as an engine, by its C API. Not built in yet: a session that asks for it is told so. */
#include "neural/session.h"

#include <stdio.h>

static const char missing[] = "this program was built without OpenVINO";
static const char instead[] = "see scripts/setup neural";

static void look(ta_engine_info *info)
{
    snprintf(info->problem, sizeof info->problem, "%s", missing);
    snprintf(info->advice, sizeof info->advice, "%s", instead);
}

static int open_session(ta_session *s, const ta_open *o, ta_error *err)
{
    ta_fail(err, TA_ERR_UNAVAILABLE, "%s", missing);
    return ta_hint(err, "%s", instead);
}

static void close_session(ta_session *s)
{
}

const ta_engine_ops ta_openvino = {
    .name = "openvino",
    .title = "OpenVINO",
    .look = look,
    .open = open_session,
    .close = close_session,
};
