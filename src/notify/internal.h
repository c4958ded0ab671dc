/* What the files of notify share. */
#ifndef TA_NOTIFY_INTERNAL_H
#define TA_NOTIFY_INTERNAL_H

#include <jansson.h>

#include "notify/notify.h"

/* ---- Channels -------------------------------------------------------------------------------------------------- */

/* What a channel may be told; not all kinds have all. */
typedef enum ta_field {
    TA_FIELD_URL,
    TA_FIELD_SECRET,
    TA_FIELD_TOKEN,
    TA_FIELD_PRIORITY,
    TA_FIELD_SERVER,
    TA_FIELD_USER,
    TA_FIELD_PASSWORD,
    TA_FIELD_FROM,
    TA_FIELD_TO, /* addresses separated by blanks or commas */
    TA_FIELD_TLS,
    TA_FIELD_CA_FILE,
    TA_FIELD_TITLE,
    TA_FIELD_TEXT,
    TA_FIELD_EVENTS, /* words separated by blanks or commas */
    TA_FIELD_TRIES,
    TA_FIELD_TIMEOUT,
    TA_FIELD_COUNT
} ta_field;

typedef enum ta_protocol { TA_PROTOCOL_HTTP, TA_PROTOCOL_SMTP, TA_PROTOCOL_DESKTOP } ta_protocol;

typedef struct ta_channel ta_channel;

/* A message to be sent: its parts as text. */
typedef struct ta_notify_message {
    int64_t id; /* of the row */
    json_t *notice;
    char *title, *text; /* by the channel's templates */
} ta_notify_message;

/* A request over HTTP. */
typedef struct ta_body {
    char *url, *data, *headers[4]; /* ta_free; unused headers are NULL */
} ta_body;

typedef struct ta_channel_kind {
    const char *name;
    ta_protocol protocol;
    unsigned fields, needed, secret;                                                         /* bits of ta_field */
    int (*body)(const ta_channel *c, const ta_notify_message *m, ta_body *b, ta_error *err); /* HTTP */
} ta_channel_kind;

extern const ta_channel_kind ta_notify_kinds[]; /* ends with a NULL name */

struct ta_channel {
    const ta_channel_kind *kind;
    char *name, *where;                /* where: "notifications.yaml:12", or "the environment" */
    char *value[TA_FIELD_COUNT];       /* NULL: not given */
    bool from_outside[TA_FIELD_COUNT]; /* came from a file or variable of its own: to be kept out of texts */
    int tries, timeout_seconds;
};

struct ta_notify_config {
    ta_channel *channels;
    size_t count;
};

const char *ta_field_name(ta_field f); /* "ca-file" */
/* The field of a name, or -1. */
int ta_field_find(const char *name);

/* config.c: adds a channel; it belongs to the configuration. NULL when out of memory. */
ta_channel *ta_config_add(ta_notify_config *c);
/* Checks a channel that is filled in and gives it its name and numbers. */
int ta_notify_channel_check(const ta_notify_config *c, ta_channel *channel, ta_error *err);
/* config_file.c, config_env.c */
int ta_config_read_file(ta_notify_config *c, const char *path, ta_error *err);
int ta_config_read_environment(ta_notify_config *c, ta_error *err);
/* secret.c: the value of a field from a file or a variable. */
int ta_secret_file(const char *path, char **value, ta_error *err);
int ta_secret_variable(const char *name, char **value, ta_error *err);
/* Replaces what the channel keeps secret in `text` by "***". */
void ta_redact(const ta_channel *c, char *text);
void ta_wipe(char **text); /* overwrites and frees */

/* ---- Messages -------------------------------------------------------------------------------------------------- */

/* template.c. "{name}" stands for a part of the notice, "{{" and "}}" for braces. TA_ERR_CONFIG: an unknown name. */
int ta_template_check(const char *text, ta_error *err);
char *ta_template_fill(const char *text, const json_t *notice);

/* message.c: title and text of a row for a channel. TA_ERR_DATA: the row is no notice. */
int ta_notify_message_make(ta_notify_message *m, const ta_channel *c, const ta_outbox_row *row, ta_error *err);
void ta_notify_message_free(ta_notify_message *m);
/* At most `most` bytes of a text, cut at a character, with an ellipsis where it was cut. ta_free. */
char *ta_cut(const char *text, size_t most);

/* bodies.c */
int ta_body_discord(const ta_channel *c, const ta_notify_message *m, ta_body *b, ta_error *err);
int ta_body_slack(const ta_channel *c, const ta_notify_message *m, ta_body *b, ta_error *err);
int ta_body_webhook(const ta_channel *c, const ta_notify_message *m, ta_body *b, ta_error *err);
int ta_body_ntfy(const ta_channel *c, const ta_notify_message *m, ta_body *b, ta_error *err);
void ta_body_free(ta_body *b);
/* & < > as entities (ta_free). */
char *ta_escape_markup(const char *text);

/* mail.c: the message by RFC 5322, lines ending with CR LF. ta_free. */
char *ta_mail(const ta_channel *c, const ta_notify_message *m);
/* The address number `i` of TO, or of FROM (`field`); ta_free. NULL with *err untouched: there are no more. */
char *ta_mail_address(const ta_channel *c, ta_field field, size_t i);
/* NULL, or why this can't be an address. */
const char *ta_address_fault(const char *address);

/* hmac.c: HMAC-SHA-256 (RFC 2104) as 64 hex digits and a NUL. TA_ERR_AGAIN. */
int ta_hmac_sha256(const void *key, size_t key_size, const void *data, size_t size, char hex[65], ta_error *err);

/* desktop.c: shows it; blocks for at most `timeout_seconds`. TA_ERR_UNAVAILABLE, TA_ERR_AGAIN. */
int ta_desktop_show(const char *title, const char *text, int timeout_seconds, ta_error *err);

#endif
