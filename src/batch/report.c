/* The report: what became of each input, as JSON. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "batch/internal.h"

static const char kind[] = "batch report";

const char *ta_batch_state_name(ta_batch_state state)
{
    static const char *const names[] = { "waiting", "running", "done", "skipped", "failed", "stopped", "left" };
    return names[state];
}

static json_t *text_or_null(const char *text)
{
    char *clean = ta_utf8_clean(text);
    json_t *o = clean ? json_string(clean) : json_null();
    ta_free(clean);
    return o;
}

static json_t *size_or_null(int64_t bytes)
{
    return bytes >= 0 ? json_integer(bytes) : json_null();
}

static json_t *item_json(const ta_batch_item *item)
{
    return json_pack("{s:o, s:o, s:s, s:i, s:o, s:f, s:o, s:o}", "file", text_or_null(item->input), "output",
                     text_or_null(item->output), "result", ta_batch_state_name(item->state), "code",
                     ta_exit_code(item->status), "remark", text_or_null(item->remark), "seconds", item->seconds,
                     "bytes_before", size_or_null(item->bytes_before), "bytes_after", size_or_null(item->bytes_after));
}

static char *dump(json_t *doc, size_t flags)
{
    char *text = doc ? json_dumps(doc, flags | JSON_REAL_PRECISION(9)) : NULL;
    char *own = text ? ta_format("%s\n", text) : NULL;
    free(text);
    json_decref(doc);
    return own;
}

char *ta_batch_event_json(const ta_batch *b, size_t i)
{
    const ta_batch_item *item = &b->items[i];
    json_t *doc = item_json(item);
    json_object_set_new(doc, "number", json_integer((json_int_t)i + 1));
    json_object_set_new(doc, "of", json_integer((json_int_t)b->count));
    const ta_progress *p = &item->progress;
    if (item->state == TA_BATCH_RUNNING && p->stage)
        json_object_update_new(doc, json_pack("{s:s, s:f, s:f, s:f, s:f, s:I, s:I}", "stage", p->stage, "percent",
                                              p->fraction * 100, "fps", p->fps, "speed", p->speed, "eta_seconds",
                                              p->eta_seconds, "frames_in", (json_int_t)p->frames_in, "frames_out",
                                              (json_int_t)p->frames_out));
    return dump(doc, JSON_COMPACT);
}

char *ta_batch_report(const ta_batch *b, bool indent)
{
    char now[24];
    json_t *files = json_array(), *left = json_array();
    for (size_t i = 0; i < b->count; i++)
        json_array_append_new(files, item_json(&b->items[i]));
    for (size_t i = 0; i < b->n_left_out; i++)
        json_array_append_new(left, json_pack("{s:o, s:o}", "path", text_or_null(b->left_out[i].path), "why",
                                              text_or_null(b->left_out[i].why)));
    json_t *doc = json_pack("{s:s, s:s, s:s, s:i, s:f, s:o, s:o}", "kind", kind, "made_by", ta_version(), "finished",
                            ta_print_utc(ta_wall_us(), now), "code", ta_exit_code(b->status), "seconds", b->seconds,
                            "files", files, "left_out", left);
    return dump(doc, indent ? JSON_INDENT(2) : JSON_COMPACT);
}

bool ta_batch_may_report_to(const char *path)
{
    char *text = NULL;
    size_t size;
    if (access(path, F_OK) != 0)
        return true;
    json_t *doc = ta_read_file(path, 256 << 20, &text, &size, NULL) >= 0 ? json_loadb(text, size, 0, NULL) : NULL;
    const char *is = json_string_value(json_object_get(doc, "kind"));
    bool may = is && strcmp(is, kind) == 0;
    json_decref(doc);
    ta_free(text);
    return may;
}
