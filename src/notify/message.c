/* Notices as JSON, and the words that a channel makes of one. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "notify/internal.h"

const char *const ta_notify_events[] = { "completed", "failed", "cancelled", "idle", NULL };

static const struct words {
    const char *event, *title, *text;
} defaults[] = {
    { "completed", "{name}: done", "{name} was restored in {elapsed}: {output}" },
    { "failed", "{name}: failed", "{name} failed after {elapsed}: {error}" },
    { "cancelled", "{name}: cancelled", "{name} was cancelled after {elapsed}" },
    { "idle", "TerminalAI: all done", "The queue on {host} has nothing left to do. {status}" },
    { "test", "TerminalAI: a test", "This is a test from {host}: notifications arrive." },
};

static bool put_text(json_t *json, const char *key, const char *text)
{
    char *clean = ta_utf8_clean(text ? text : "");
    bool right = clean && json_object_set_new(json, key, json_string(clean)) == 0;
    ta_free(clean);
    return right;
}

char *ta_notice_json(const ta_notice *n)
{
    char time[24] = "", host[256] = "";
    json_t *json = json_object();
    gethostname(host, sizeof host - 1);
    bool right = json && put_text(json, "event", n->event) && put_text(json, "id", n->id) &&
                 put_text(json, "name", n->name) && put_text(json, "status", n->status) &&
                 put_text(json, "error", n->error) && put_text(json, "input", n->input) &&
                 put_text(json, "output", n->output) && put_text(json, "time", ta_print_utc(n->wall_us, time)) &&
                 put_text(json, "host", host);
    if (right && n->elapsed_seconds >= 0)
        right = json_object_set_new(json, "elapsed", json_real(n->elapsed_seconds)) == 0;
    char *dumped = right ? json_dumps(json, JSON_COMPACT) : NULL, *text = ta_strdup(dumped);
    json_decref(json);
    free(dumped);
    return text;
}

static const struct words *words_of(const json_t *notice)
{
    const char *event = json_string_value(json_object_get(notice, "event"));
    for (size_t i = 0; event && i < TA_COUNT(defaults); i++)
        if (!strcmp(defaults[i].event, event))
            return &defaults[i];
    return NULL;
}

int ta_notify_message_make(ta_notify_message *m, const ta_channel *c, const ta_outbox_row *row, ta_error *err)
{
    *m = (ta_notify_message){ .id = row->id, .notice = json_loads(row->notice ? row->notice : "", 0, NULL) };
    const struct words *w = words_of(m->notice);
    if (!w) {
        ta_notify_message_free(m);
        return ta_fail(err, TA_ERR_DATA, "row %lld holds no notice", (long long)row->id);
    }
    bool test = !strcmp(w->event, "test");
    const char *title = c->value[TA_FIELD_TITLE], *text = c->value[TA_FIELD_TEXT];
    m->title = ta_template_fill(title && !test ? title : w->title, m->notice);
    m->text = ta_template_fill(text && !test ? text : w->text, m->notice);
    if (m->title && m->text)
        return 0;
    ta_notify_message_free(m);
    return ta_no_memory(err);
}

void ta_notify_message_free(ta_notify_message *m)
{
    json_decref(m->notice);
    m->notice = NULL;
    ta_freep(&m->title);
    ta_freep(&m->text);
}

char *ta_cut(const char *text, size_t most)
{
    static const char ellipsis[] = "…";
    if (strlen(text) <= most)
        return ta_strdup(text);
    char *cut = ta_strndup(text, most);
    if (!cut)
        return NULL;
    cut[most - strlen(ellipsis)] = '\0';
    ta_utf8_trim(cut);
    strcat(cut, ellipsis);
    return cut;
}
