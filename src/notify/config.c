/* The kinds of channels, and what makes a channel right. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/net.h"
#include "notify/internal.h"

enum { TRIES = 10, TIMEOUT_SECONDS = 30 };

#define BIT(field) (1u << TA_FIELD_##field)
#define COMMON (BIT(TITLE) | BIT(TEXT) | BIT(EVENTS) | BIT(TRIES) | BIT(TIMEOUT))

/* The address of a Discord or Slack hook is all that is needed to write there: a secret. */
const ta_channel_kind ta_notify_kinds[] = {
    { "discord", TA_PROTOCOL_HTTP, COMMON | BIT(URL) | BIT(CA_FILE), BIT(URL), BIT(URL), ta_body_discord },
    { "slack", TA_PROTOCOL_HTTP, COMMON | BIT(URL) | BIT(CA_FILE), BIT(URL), BIT(URL), ta_body_slack },
    { "webhook", TA_PROTOCOL_HTTP, COMMON | BIT(URL) | BIT(SECRET) | BIT(CA_FILE), BIT(URL), BIT(SECRET),
      ta_body_webhook },
    { "ntfy", TA_PROTOCOL_HTTP, COMMON | BIT(URL) | BIT(TOKEN) | BIT(PRIORITY) | BIT(CA_FILE), BIT(URL), BIT(TOKEN),
      ta_body_ntfy },
    { "smtp", TA_PROTOCOL_SMTP,
      COMMON | BIT(SERVER) | BIT(USER) | BIT(PASSWORD) | BIT(FROM) | BIT(TO) | BIT(TLS) | BIT(CA_FILE),
      BIT(SERVER) | BIT(FROM) | BIT(TO), BIT(PASSWORD), NULL },
    { "desktop", TA_PROTOCOL_DESKTOP, COMMON, 0, 0, NULL },
    { NULL, TA_PROTOCOL_HTTP, 0, 0, 0, NULL },
};

static const char *const field_names[TA_FIELD_COUNT + 1] = {
    "url", "secret",  "token", "priority", "server", "user",  "password", "from", "to",
    "tls", "ca-file", "title", "text",     "events", "tries", "timeout",  NULL,
};

const char *ta_field_name(ta_field f)
{
    return field_names[f];
}

int ta_field_find(const char *name)
{
    for (int f = 0; f < TA_FIELD_COUNT; f++)
        if (!strcmp(field_names[f], name))
            return f;
    return -1;
}

/* ---- One channel ----------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static int wrong(const ta_channel *c, ta_error *err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = ta_vformat(fmt, args);
    va_end(args);
    if (!text)
        return ta_no_memory(err);
    ta_fail(err, TA_ERR_CONFIG, "%s: %s: %s", c->where, c->name ? c->name : c->kind->name, text);
    ta_free(text);
    return TA_ERR_CONFIG;
}

static int check_fields(const ta_channel *c, ta_error *err)
{
    for (int f = 0; f < TA_FIELD_COUNT; f++) {
        unsigned bit = 1u << f;
        const char *name = field_names[f], *value = c->value[f];
        if (value && !(c->kind->fields & bit))
            return wrong(c, err, "%s is nothing that %s has", name, c->kind->name);
        if ((!value || !*value) && (c->kind->needed & bit)) {
            wrong(c, err, "%s is needed", name);
            return c->kind->secret & bit ? ta_hint(err, "give it by %s-file or %s-env", name, name) : TA_ERR_CONFIG;
        }
        if (value && (c->kind->secret & bit) && !c->from_outside[f]) {
            wrong(c, err, "%s is a secret, which must not stand in the configuration", name);
            return ta_hint(err, "put it into a file of its own (%s-file: PATH) or a variable (%s-env: NAME)", name,
                           name);
        }
    }
    return 0;
}

static int check_number(const ta_channel *c, ta_field f, int least, int most, int otherwise, int *number, ta_error *err)
{
    char *end = NULL;
    const char *text = c->value[f];
    long value = text ? strtol(text, &end, 10) : otherwise;
    if (text && (!*text || *end || value < least || value > most))
        return wrong(c, err, "%s is a whole number from %d to %d, not '%s'", field_names[f], least, most, text);
    *number = (int)value;
    return 0;
}

/* Does the list `text` hold `word`? */
static bool has_word(const char *text, const char *word)
{
    static const char between[] = " ,\t\n";
    for (const char *s = text + strspn(text, between); *s; s += strspn(s, between)) {
        size_t n = strcspn(s, between);
        if (n == strlen(word) && !strncmp(s, word, n))
            return true;
        s += n;
    }
    return false;
}

static int check_events(const ta_channel *c, ta_error *err)
{
    static const char between[] = " ,\t\n";
    const char *text = c->value[TA_FIELD_EVENTS];
    for (const char *s = text ? text + strspn(text, between) : ""; *s; s += strspn(s, between)) {
        char word[32];
        size_t n = strcspn(s, between);
        snprintf(word, sizeof word, "%.*s", (int)TA_MIN(n, sizeof word), s);
        bool known = false;
        for (size_t i = 0; ta_notify_events[i]; i++)
            known |= !strcmp(ta_notify_events[i], word);
        s += n;
        if (known)
            continue;
        const char *near = ta_nearest(word, ta_notify_events);
        wrong(c, err, "there is no event '%s'", word);
        return near ? ta_hint(err, "did you mean '%s'?", near)
                    : ta_hint(err, "there are completed, failed, cancelled and idle");
    }
    return 0;
}

static int check_template(const ta_channel *c, ta_field f, ta_error *err)
{
    int r = c->value[f] ? ta_template_check(c->value[f], err) : 0;
    return r < 0 ? ta_wrap(err, "%s: %s: %s", c->where, c->name, field_names[f]) : 0;
}

static int check_http(const ta_channel *c, ta_error *err)
{
    const char *url = c->value[TA_FIELD_URL];
    const char *last = strrchr(url, '/');
    if (!ta_is_url(url) || strpbrk(url, " \t\r\n"))
        return wrong(c, err, "url is an http:// or https:// address");
    if (!strcmp(c->kind->name, "ntfy") && (last < strstr(url, "://") + 3 || !last[1] || strpbrk(url, "?#")))
        return wrong(c, err, "url is the address of a topic, such as https://ntfy.example/tapes");
    return 0;
}

static int check_addresses(const ta_channel *c, ta_field f, size_t most, ta_error *err)
{
    size_t i = 0;
    for (char *one; (one = ta_mail_address(c, f, i)); i++) {
        const char *fault = ta_address_fault(one);
        int r = fault ? wrong(c, err, "%s: '%s': %s", field_names[f], one, fault) : 0;
        ta_free(one);
        if (r < 0)
            return r;
    }
    return i >= 1 && i <= most ? 0 : wrong(c, err, "%s has from 1 to %zu addresses", field_names[f], most);
}

static int check_smtp(const ta_channel *c, ta_error *err)
{
    const char *server = c->value[TA_FIELD_SERVER], *tls = c->value[TA_FIELD_TLS];
    bool off = tls && !strcmp(tls, "off");
    if (strncasecmp(server, "smtp://", 7) && strncasecmp(server, "smtps://", 8))
        return wrong(c, err, "server is smtp://HOST[:PORT] (STARTTLS) or smtps://HOST[:PORT]");
    if (strpbrk(strstr(server, "://") + 3, "/@?# \t\r\n"))
        return wrong(c, err, "server is a host and perhaps a port; user and password stand on their own");
    if (tls && !off && strcmp(tls, "required"))
        return wrong(c, err, "tls is required or off");
    if (off && c->value[TA_FIELD_PASSWORD])
        return wrong(c, err, "with tls: off the password would be sent for all to read");
    if (!c->value[TA_FIELD_USER] != !c->value[TA_FIELD_PASSWORD])
        return wrong(c, err, "user and password go together");
    int r = check_addresses(c, TA_FIELD_FROM, 1, err);
    return r < 0 ? r : check_addresses(c, TA_FIELD_TO, 50, err);
}

static int check_name(const ta_notify_config *config, ta_channel *c, ta_error *err)
{
    if (!c->name && !(c->name = ta_strdup(c->kind->name)))
        return ta_no_memory(err);
    if (!*c->name || strlen(c->name) > 63 || strpbrk(c->name, " \t\r\n,"))
        return wrong(c, err, "a name is a single word of at most 63 bytes");
    for (size_t i = 0; i < config->count; i++)
        if (&config->channels[i] != c && ta_streq(config->channels[i].name, c->name)) {
            wrong(c, err, "two channels have this name (the other: %s)", config->channels[i].where);
            return ta_hint(err, "give one of them a name: of its own");
        }
    return 0;
}

int ta_notify_channel_check(const ta_notify_config *config, ta_channel *c, ta_error *err)
{
    int priority, r = check_name(config, c, err);
    if (r == 0)
        r = check_fields(c, err);
    if (r == 0)
        r = check_number(c, TA_FIELD_TRIES, 1, 100, TRIES, &c->tries, err);
    if (r == 0)
        r = check_number(c, TA_FIELD_TIMEOUT, 1, 600, TIMEOUT_SECONDS, &c->timeout_seconds, err);
    if (r == 0)
        r = check_number(c, TA_FIELD_PRIORITY, 1, 5, 3, &priority, err);
    if (r == 0)
        r = check_events(c, err);
    if (r == 0)
        r = check_template(c, TA_FIELD_TITLE, err);
    if (r == 0)
        r = check_template(c, TA_FIELD_TEXT, err);
    if (r == 0 && c->kind->protocol == TA_PROTOCOL_HTTP)
        r = check_http(c, err);
    if (r == 0 && c->kind->protocol == TA_PROTOCOL_SMTP)
        r = check_smtp(c, err);
    return r;
}

/* ---- All of them ----------------------------------------------------------------------------------------------- */

ta_channel *ta_config_add(ta_notify_config *c)
{
    ta_channel *more = ta_resize(c->channels, c->count + 1, sizeof *more);
    if (!more)
        return NULL;
    c->channels = more;
    memset(&more[c->count], 0, sizeof *more);
    return &more[c->count++];
}

int ta_notify_config_read(ta_notify_config **c, const char *path, ta_error *err)
{
    ta_notify_config *fresh = *c = ta_alloc(sizeof *fresh);
    int r = fresh ? ta_config_read_file(fresh, path, err) : ta_no_memory(err);
    if (r == 0)
        r = ta_config_read_environment(fresh, err);
    for (size_t i = 0; r == 0 && i < fresh->count; i++)
        r = ta_notify_channel_check(fresh, &fresh->channels[i], err);
    if (r < 0)
        ta_notify_config_free(c);
    return r;
}

void ta_notify_config_free(ta_notify_config **c)
{
    for (size_t i = 0; c && *c && i < (*c)->count; i++) {
        ta_channel *one = &(*c)->channels[i];
        for (int f = 0; f < TA_FIELD_COUNT; f++)
            ta_wipe(&one->value[f]);
        ta_free(one->name);
        ta_free(one->where);
    }
    if (c && *c)
        ta_free((*c)->channels);
    if (c)
        ta_freep(c);
}

size_t ta_notify_channels(const ta_notify_config *c)
{
    return c->count;
}

const char *ta_notify_channel(const ta_notify_config *c, size_t i)
{
    return c->channels[i].name;
}

const char *ta_notify_kind(const ta_notify_config *c, size_t i)
{
    return c->channels[i].kind->name;
}

int ta_notify_find(const ta_notify_config *c, const char *name, size_t *i, ta_error *err)
{
    const char **names = ta_array(c->count + 1, sizeof *names);
    if (!names)
        return ta_no_memory(err);
    for (*i = 0; *i < c->count && strcmp(c->channels[*i].name, name); (*i)++)
        names[*i] = c->channels[*i].name;
    const char *near = *i < c->count ? NULL : ta_nearest(name, names);
    ta_free(names);
    if (*i < c->count)
        return 0;
    ta_fail(err, TA_ERR_USAGE, "there is no channel '%s'", name);
    return near ? ta_hint(err, "did you mean '%s'?", near) : ta_hint(err, "`terminalai notify` lists them");
}

bool ta_notify_wants(const ta_notify_config *c, size_t i, const char *event)
{
    const char *events = c->channels[i].value[TA_FIELD_EVENTS];
    return !strcmp(event, "test") || has_word(events ? events : "completed failed", event);
}
