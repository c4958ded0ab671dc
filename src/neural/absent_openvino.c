/* Stands for session_openvino.c where OpenVINO's headers were missing when the program was built. */
#include "neural/session.h"

#include <stdio.h>

static const char problem[] = "this program was built without OpenVINO";
static const char advice[] = "run `scripts/setup neural` in the checkout and build again";

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

const ta_engine_ops ta_openvino = {
    .name = "openvino",
    .title = "OpenVINO",
    .look = look,
    .open = open_session,
    .close = close_session,
};
