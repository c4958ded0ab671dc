/* Secrets: read from a file or a variable, kept out of texts, wiped. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "notify/internal.h"

enum { MAX_SECRET = 4096, LEAST_REDACTED = 4 };

void ta_wipe(char **text)
{
    if (*text)
        explicit_bzero(*text, strlen(*text));
    ta_freep(text);
}

/* A line break in it could smuggle in a header. */
static int check(const char *what, const char *value, ta_error *err)
{
    for (const char *s = value; *s; s++)
        if ((unsigned char)*s < ' ' || *s == 127)
            return ta_fail(err, TA_ERR_CONFIG, "%s has control characters in it", what);
    return *value ? 0 : ta_fail(err, TA_ERR_CONFIG, "%s is empty", what);
}

int ta_secret_file(const char *path, char **value, ta_error *err)
{
    struct stat st;
    size_t size;
    int r = ta_read_file(path, MAX_SECRET, value, &size, err);
    if (r < 0)
        return r;
    while (size > 0 && strchr("\r\n", (*value)[size - 1]))
        (*value)[--size] = '\0';
    if (stat(path, &st) == 0 && (st.st_mode & 077))
        ta_log(TA_LOG_WARN, "notify", "'%s' holds a secret and may be read by others; chmod 600 mends that", path);
    r = strlen(*value) == size ? check(path, *value, err)
                               : ta_fail(err, TA_ERR_CONFIG, "%s has a NUL byte in it", path);
    if (r < 0)
        ta_wipe(value);
    return r;
}

int ta_secret_variable(const char *name, char **value, ta_error *err)
{
    const char *text = getenv(name);
    *value = NULL;
    if (!text) {
        ta_fail(err, TA_ERR_CONFIG, "the environment has no variable %s", name);
        return ta_hint(err, "set it, or take the channel out of the configuration");
    }
    int r = check(name, text, err);
    if (r == 0 && !(*value = ta_strdup(text)))
        r = ta_no_memory(err);
    return r;
}

static void take_out(char *text, const char *secret)
{
    size_t n = strlen(secret);
    if (n < LEAST_REDACTED)
        return;
    for (char *at = text; (at = strstr(at, secret)); at += 3) {
        memcpy(at, "***", 3);
        memmove(at + 3, at + n, strlen(at + n) + 1);
    }
}

void ta_redact(const ta_channel *c, char *text)
{
    for (int f = 0; f < TA_FIELD_COUNT; f++) {
        const char *value = c->value[f];
        if (!value || !c->from_outside[f])
            continue;
        take_out(text, value);
        const char *host = f == TA_FIELD_URL ? strstr(value, "://") : NULL, *path = host ? strchr(host + 3, '/') : NULL;
        if (path) /* servers tell what they were asked for */
            take_out(text, path);
    }
}
