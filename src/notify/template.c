/* Templates of messages: text with {names}, checked when the configuration is read, so that filling one can't fail. */
#include <stdio.h>
#include <string.h>

#include "notify/internal.h"

static const char *const names[] = { "event",  "id",      "name", "status", "error", "input",
                                     "output", "elapsed", "time", "host",   NULL };

/* The next piece of `*rest`: 1 a literal, 2 a name, 0 the end, -1 a brace that stands alone. */
static int next_piece(const char **rest, const char **piece, size_t *length)
{
    const char *s = *rest;
    *piece = s;
    *length = 1;
    if (!*s)
        return 0;
    if (*s != '{' && *s != '}') {
        *length = strcspn(s, "{}");
        *rest = s + *length;
        return 1;
    }
    if (s[1] == *s) {
        *rest = s + 2;
        return 1;
    }
    const char *end = *s == '{' ? strpbrk(s + 1, "{}") : NULL;
    if (!end || *end != '}')
        return -1;
    *piece = s + 1;
    *length = (size_t)(end - s - 1);
    *rest = end + 1;
    return 2;
}

int ta_template_check(const char *text, ta_error *err)
{
    const char *piece;
    size_t length;
    for (int kind; (kind = next_piece(&text, &piece, &length)) != 0;) {
        char name[64];
        bool known = false;
        if (kind < 0)
            return ta_fail(err, TA_ERR_CONFIG, "a brace that belongs to no {name}; write {{ or }} for a brace itself");
        snprintf(name, sizeof name, "%.*s", (int)TA_MIN(length, sizeof name), piece);
        for (size_t i = 0; names[i]; i++)
            known |= !strcmp(names[i], name);
        if (kind == 1 || known)
            continue;
        const char *near = ta_nearest(name, names);
        ta_fail(err, TA_ERR_CONFIG, "there is no {%s}", name);
        return near ? ta_hint(err, "did you mean {%s}?", near)
                    : ta_hint(err, "there are event, id, name, status, error, input, output, elapsed, time and host");
    }
    return 0;
}

static void fill_name(ta_buf *b, const char *name, size_t length, const json_t *notice)
{
    char key[16], text[32];
    snprintf(key, sizeof key, "%.*s", (int)length, name);
    const json_t *value = json_object_get(notice, key);
    if (!strcmp(key, "elapsed"))
        ta_buf_add(b, ta_print_span(json_is_number(value) ? json_number_value(value) : -1, text));
    else if (json_is_string(value))
        ta_buf_add(b, json_string_value(value));
}

char *ta_template_fill(const char *text, const json_t *notice)
{
    ta_buf b = { 0 };
    const char *piece;
    size_t length;
    for (int kind; (kind = next_piece(&text, &piece, &length)) > 0;)
        if (kind == 1)
            ta_buf_addn(&b, piece, length);
        else
            fill_name(&b, piece, length, notice);
    return ta_buf_take(&b);
}
