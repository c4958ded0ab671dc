/* OpenVINO's library: found, loaded, asked for its version and devices; what its errors say. */
#include "neural/session_openvino.h"

#include <stdio.h>
#include <string.h>

#include "neural/library.h"

const char ta_ov_install[] = "run `terminalai models install openvino` (59 MB), in a checkout `scripts/setup neural`";

static const char *const symbols[] = {
#define NAME(name) #name,
    TA_OV_FUNCTIONS(NAME)
#undef NAME
        NULL,
};
static const char *const files[] = { "libopenvino_c.so.2641", "libopenvino_c.so", NULL };
static const ta_library library = { "OpenVINO", "TERMINALAI_OPENVINO", "openvino", files, ta_ov_install, symbols };

_Static_assert(sizeof(ta_ov_functions) == sizeof(void *) * (sizeof symbols / sizeof *symbols - 1),
               "one pointer a name");

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

int ta_ov_fail(const ta_ov *e, ta_status code, const char *what, ta_error *err)
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

int ta_ov_load(ta_ov *e, ta_error *err)
{
    ov_version_t version = { 0 };
    int r = ta_library_load(&library, (void **)&e->f, e->path, err);
    if (r < 0)
        return r;
    if (e->f.ov_get_openvino_version(&version))
        return ta_ov_fail(e, TA_ERR_UNAVAILABLE, "OpenVINO doesn't tell its version", err);
    snprintf(e->version, sizeof e->version, "%s", version.buildNumber);
    e->f.ov_version_free(&version);
    return 0;
}

static void list_devices(const ta_ov *e, ta_engine_info *info)
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

void ta_ov_look(ta_engine_info *info)
{
    ta_ov e;
    ta_error err = { 0 };
    info->built_in = true;
    if (ta_ov_load(&e, &err) < 0) {
        snprintf(info->problem, sizeof info->problem, "%s", err.text[0]);
        snprintf(info->advice, sizeof info->advice, "%s", err.hint);
        return;
    }
    info->found = true;
    snprintf(info->version, sizeof info->version, "%.*s", (int)strcspn(e.version, "-"), e.version);
    snprintf(info->path, sizeof info->path, "%s", e.path);
    list_devices(&e, info);
}
