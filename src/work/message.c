/* Messages between a crew and its workers: what each type must hold. Whatever a worker sends is judged as if it came
 * from a stranger, as a worker decodes files of strangers. */
#include <math.h>
#include <string.h>

#include "work/internal.h"

static const char *const names[TA_MSG_COUNT] = { "hello", "order",  "planned", "progress", "alive",
                                                 "end",   "cancel", "pause",   "quit" };

static int unpack(ta_message *m, json_error_t *why)
{
    json_t *b = m->body;
    switch (m->type) {
    case TA_MSG_HELLO:
        return json_unpack_ex(b, why, 0, "{s:i, s:s, s:i}", "protocol", &m->protocol, "version", &m->version, "pid",
                              &m->pid);
    case TA_MSG_ORDER:
        return json_unpack_ex(b, why, 0, "{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:i}", "id", &m->id, "input", &m->input,
                              "output", &m->output, "folder", &m->folder, "sandbox", &m->sandbox, "settings",
                              &m->settings, "reads", &m->reads, "threads", &m->threads);
    case TA_MSG_PLANNED:
        return json_unpack_ex(b, why, 0, "{s:s, s:s}", "id", &m->id, "output", &m->output);
    case TA_MSG_PROGRESS:
        return json_unpack_ex(b, why, 0, "{s:s, s:i, s:F, s:F, s:F, s:I}", "id", &m->id, "stage", &m->stage, "fraction",
                              &m->fraction, "fps", &m->fps, "eta", &m->eta, "frames", &m->frames);
    case TA_MSG_ALIVE:
        return json_unpack_ex(b, why, 0, "{s:s, s:I}", "id", &m->id, "work", &m->work);
    case TA_MSG_END:
        return json_unpack_ex(b, why, 0, "{s:s, s:i, s:s}", "id", &m->id, "code", &m->code, "text", &m->text);
    case TA_MSG_CANCEL:
        return json_unpack_ex(b, why, 0, "{s:s}", "id", &m->id);
    case TA_MSG_PAUSE:
        return json_unpack_ex(b, why, 0, "{s:s, s:b}", "id", &m->id, "on", &m->on);
    default:
        return 0;
    }
}

static bool in_range(const ta_message *m)
{
    if (m->id && (!m->id[0] || strlen(m->id) > TA_WORK_ID_MAX))
        return false;
    if (m->type == TA_MSG_PROGRESS)
        return m->stage >= 0 && m->stage < TA_WORK_STAGE_COUNT && m->fraction >= 0 && m->fraction <= 1 && m->fps >= 0 &&
               m->eta >= -1 && m->frames >= 0 && isfinite(m->fps) && isfinite(m->eta);
    if (m->type == TA_MSG_END)
        return m->code <= 0 && m->code >= TA_ERR_CANCELLED;
    if (m->type == TA_MSG_ORDER)
        return json_is_object(m->settings) && json_is_array(m->reads) && m->threads >= 0;
    return true;
}

static int type_of(const char *name)
{
    for (int i = 0; name && i < TA_MSG_COUNT; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return -1;
}

int ta_message_parse(ta_message *m, const char *line, size_t size, ta_error *err)
{
    json_error_t why = { 0 };
    *m = (ta_message){ 0 };
    m->body = json_loadb(line, size, JSON_REJECT_DUPLICATES, &why);
    if (!m->body)
        return ta_fail(err, TA_ERR_DATA, "a message is no JSON: %s", why.text);
    const char *name = json_string_value(json_object_get(m->body, "type"));
    int type = type_of(name);
    m->type = (ta_message_type)TA_MAX(type, 0);
    int r = 0;
    if (type < 0)
        r = ta_fail(err, TA_ERR_DATA, "a message of the unknown type '%.40s'", name ? name : "");
    else if (unpack(m, &why) < 0)
        r = ta_fail(err, TA_ERR_DATA, "a message '%s' is not complete: %s", name, why.text);
    else if (!in_range(m))
        r = ta_fail(err, TA_ERR_DATA, "a message '%s' has a value out of its range", name);
    if (r < 0)
        ta_message_free(m);
    return r;
}

void ta_message_free(ta_message *m)
{
    json_decref(m->body);
    *m = (ta_message){ 0 };
}
