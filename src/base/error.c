/* The error chain of the public API (terminalai/error.h). */
#include "terminalai/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* Formats into a buffer of its own first, so that arguments may point into the error that is being changed. */
static void format_text(char out[TA_ERROR_TEXT], const char *fmt, va_list args)
{
    if (vsnprintf(out, TA_ERROR_TEXT, fmt, args) < 0)
        snprintf(out, TA_ERROR_TEXT, "(a message that can't be printed: %.100s)", fmt);
    ta_utf8_trim(out);
}

/* What this thread failed with last, so that "ta_fail(err, ...); return ta_hint(err, ...);" gives the right code to a
 * caller who wants no text. */
static _Thread_local int last_code = TA_ERR_SOFTWARE;

void ta_error_clear(ta_error *err)
{
    if (err)
        memset(err, 0, sizeof(*err));
}

int ta_fail(ta_error *err, ta_status code, const char *fmt, ...)
{
    char text[TA_ERROR_TEXT];
    va_list args;

    if (code >= TA_OK)
        code = TA_ERR_SOFTWARE; /* a failure must never look like success */
    last_code = code;
    if (!err)
        return code;
    va_start(args, fmt);
    format_text(text, fmt, args);
    va_end(args);
    ta_error_clear(err);
    err->code = code;
    err->depth = 1;
    memcpy(err->text[0], text, sizeof(text));
    return code;
}

int ta_wrap(ta_error *err, const char *fmt, ...)
{
    char text[TA_ERROR_TEXT];
    va_list args;

    if (!err)
        return last_code;
    va_start(args, fmt);
    format_text(text, fmt, args);
    va_end(args);
    if (err->code >= TA_OK)
        err->code = TA_ERR_SOFTWARE;
    /* All move down by one; of a full chain the root stays in its place and its neighbour is written over. */
    int moved = err->depth < TA_ERROR_DEPTH ? err->depth : TA_ERROR_DEPTH - 2;
    memmove(err->text[1], err->text[0], (size_t)moved * TA_ERROR_TEXT);
    memcpy(err->text[0], text, sizeof(text));
    if (err->depth < TA_ERROR_DEPTH)
        err->depth++;
    return err->code;
}

int ta_hint(ta_error *err, const char *fmt, ...)
{
    char text[TA_ERROR_TEXT];
    va_list args;

    if (!err)
        return last_code;
    if (!fmt)
        return err->code;
    va_start(args, fmt);
    format_text(text, fmt, args);
    va_end(args);
    memcpy(err->hint, text, sizeof(text));
    return err->code;
}

static size_t append(char *out, size_t at, size_t size, const char *before, const char *s, const char *after)
{
    int n = snprintf(out + at, size - at, "%s%s%s", before, s, after);
    return n < 0 ? at : at + (size_t)n < size ? at + (size_t)n : size - 1;
}

char *ta_error_string(const ta_error *err, char *out, unsigned long size)
{
    size_t at = 0;

    if (!size)
        return out;
    out[0] = '\0';
    for (int i = 0; i < err->depth; i++)
        at = append(out, at, size, i ? ": " : "", err->text[i], "");
    if (!err->depth)
        at = append(out, at, size, "", ta_status_name(err->code), "");
    if (err->hint[0])
        at = append(out, at, size, " (", err->hint, ")");
    ta_utf8_trim(out);
    return out;
}

static const struct {
    ta_status code;
    const char *name;
} names[] = {
    { TA_OK, "success" },
    { TA_ERR_USAGE, "wrong usage" },
    { TA_ERR_DATA, "bad input" },
    { TA_ERR_NOINPUT, "no input" },
    { TA_ERR_UNAVAILABLE, "not available" },
    { TA_ERR_SOFTWARE, "internal error" },
    { TA_ERR_CANTCREATE, "can't create the output" },
    { TA_ERR_IO, "input/output error" },
    { TA_ERR_AGAIN, "try again later" },
    { TA_ERR_NOPERM, "not allowed" },
    { TA_ERR_CONFIG, "wrong configuration" },
    { TA_ERR_CANCELLED, "cancelled" },
};

/* The row of a status; an unknown one (a libav code that got through, a count) is an internal error. */
static size_t name_row(int status)
{
    size_t software = 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if ((int)names[i].code == status)
            return i;
        if (names[i].code == TA_ERR_SOFTWARE)
            software = i;
    }
    return software;
}

int ta_exit_code(int status)
{
    return -(int)names[name_row(status)].code;
}

const char *ta_status_name(int status)
{
    return names[name_row(status)].name;
}
