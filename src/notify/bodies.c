/* What each service is sent over HTTP, by its own documentation. */
#include <stdlib.h>
#include <string.h>

#include "notify/internal.h"

/* Longer messages are refused: Discord 2000 characters, Slack 40000 (shown in full up to 4000), ntfy 4096 bytes. */
enum { DISCORD_MOST = 1900, SLACK_MOST = 3900, NTFY_MOST = 3900, TITLE_MOST = 240 };

/* Takes `json` over. */
static int set_json(ta_body *b, json_t *json, ta_error *err)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    b->data = ta_strdup(text);
    free(text);
    b->headers[0] = ta_strdup("Content-Type: application/json");
    return b->data && b->url && b->headers[0] ? 0 : ta_no_memory(err);
}

void ta_body_free(ta_body *b)
{
    ta_wipe(&b->url);
    ta_freep(&b->data);
    for (size_t i = 0; i < TA_COUNT(b->headers); i++)
        ta_wipe(&b->headers[i]);
}

char *ta_escape_markup(const char *text)
{
    ta_buf b = { 0 };
    for (; *text; text++)
        if (*text == '&')
            ta_buf_add(&b, "&amp;");
        else if (*text == '<' || *text == '>')
            ta_buf_add(&b, *text == '<' ? "&lt;" : "&gt;");
        else
            ta_buf_addn(&b, text, 1);
    return ta_buf_take(&b);
}

/* Names of files can't call people: no mention is parsed. */
int ta_body_discord(const ta_channel *c, const ta_notify_message *m, ta_body *b, ta_error *err)
{
    char *content = ta_cut(m->text, DISCORD_MOST);
    b->url = ta_strdup(c->value[TA_FIELD_URL]);
    json_t *json = content ? json_pack("{s:s, s:{s:[]}}", "content", content, "allowed_mentions", "parse") : NULL;
    ta_free(content);
    return set_json(b, json, err);
}

int ta_body_slack(const ta_channel *c, const ta_notify_message *m, ta_body *b, ta_error *err)
{
    char *escaped = ta_escape_markup(m->text), *text = escaped ? ta_cut(escaped, SLACK_MOST) : NULL;
    b->url = ta_strdup(c->value[TA_FIELD_URL]);
    json_t *json = text ? json_pack("{s:s}", "text", text) : NULL;
    ta_free(escaped);
    ta_free(text);
    return set_json(b, json, err);
}

/* Published as JSON to the server's root, as headers can't carry UTF-8. */
int ta_body_ntfy(const ta_channel *c, const ta_notify_message *m, ta_body *b, ta_error *err)
{
    const char *url = c->value[TA_FIELD_URL], *topic = strrchr(url, '/') + 1, *priority = c->value[TA_FIELD_PRIORITY];
    const char *event = json_string_value(json_object_get(m->notice, "event"));
    char *title = ta_cut(m->title, TITLE_MOST), *text = ta_cut(m->text, NTFY_MOST);
    b->url = ta_strndup(url, (size_t)(topic - url));
    json_t *json = title && text ? json_pack("{s:s, s:s, s:s, s:[s]}", "topic", topic, "title", title, "message", text,
                                             "tags", !strcmp(event, "failed") ? "warning" : "movie_camera")
                                 : NULL;
    if (json && priority)
        json_object_set_new(json, "priority", json_integer(atoi(priority)));
    ta_free(title);
    ta_free(text);
    int r = set_json(b, json, err);
    if (r == 0 && c->value[TA_FIELD_TOKEN])
        b->headers[1] = ta_format("Authorization: Bearer %s", c->value[TA_FIELD_TOKEN]);
    return r < 0 || !c->value[TA_FIELD_TOKEN] || b->headers[1] ? r : ta_no_memory(err);
}

static int sign(const ta_channel *c, ta_body *b, ta_error *err)
{
    char hex[65];
    const char *secret = c->value[TA_FIELD_SECRET];
    if (!secret)
        return 0;
    int r = ta_hmac_sha256(secret, strlen(secret), b->data, strlen(b->data), hex, err);
    if (r < 0)
        return r;
    b->headers[2] = ta_format("X-TerminalAI-Signature: sha256=%s", hex);
    return b->headers[2] ? 0 : ta_no_memory(err);
}

/* The whole notice, its words, and a number that is the same when a message comes twice. */
int ta_body_webhook(const ta_channel *c, const ta_notify_message *m, ta_body *b, ta_error *err)
{
    json_t *json = json_deep_copy(m->notice);
    b->url = ta_strdup(c->value[TA_FIELD_URL]);
    if (json && (json_object_set_new(json, "title", json_string(m->title)) ||
                 json_object_set_new(json, "text", json_string(m->text)) ||
                 json_object_set_new(json, "delivery", json_integer(m->id)))) {
        json_decref(json);
        json = NULL;
    }
    int r = set_json(b, json, err);
    if (r == 0 && !(b->headers[1] = ta_format("X-TerminalAI-Delivery: %lld", (long long)m->id)))
        r = ta_no_memory(err);
    return r == 0 ? sign(c, b, err) : r;
}
