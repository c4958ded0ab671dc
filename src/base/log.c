/* The log. One lock around the whole of a line, from the hooks to the last byte; the level is read without it, so a
 * line that isn't shown costs one load. */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log_av.h"
#include "base/text.h"

/* With its newline. At most PIPE_BUF, so that lines of several processes on one pipe aren't mixed either. */
enum { LINE_MAX_BYTES = 4096 };

static const char *const level_names[] = { "error", "warning", "info", "verbose", "debug" };

/* The log is the one process-wide state of base. */
static struct {
    _Atomic int level;
    pthread_mutex_t lock;
    /* lock */
    bool json;
    ta_log_sink sink;
    void *sink_opaque;
    void (*before)(void *);
    void (*after)(void *);
    void *hook_opaque;
} logger = { .level = TA_LOG_INFO, .lock = PTHREAD_MUTEX_INITIALIZER };

/* A line under construction. Text that doesn't fit is left out, whole characters at a time. */
struct line {
    char text[LINE_MAX_BYTES];
    size_t len, room; /* room: how far text may go before what must follow */
};

static bool put(struct line *l, const char *s, size_t n)
{
    if (n > l->room - l->len)
        return false;
    memcpy(l->text + l->len, s, n);
    l->len += n;
    return true;
}

static bool put_string(struct line *l, const char *s)
{
    return put(l, s, strlen(s));
}

/* Control characters, which could drive the terminal: C0, DEL and, in UTF-8, C1. */
static bool is_control(const char *s, size_t n)
{
    unsigned char c = (unsigned char)s[0];
    return n == 1 ? c < 0x20 || c == 0x7F : n == 2 && c == 0xC2 && (unsigned char)s[1] < 0xA0;
}

static bool put_plain(struct line *l, const char *s, size_t n)
{
    if (!n)
        return put_string(l, "?");
    return is_control(s, n) ? put_string(l, *s == '\n' || *s == '\t' ? " " : "?") : put(l, s, n);
}

/* RFC 8259, section 7. */
static bool put_json(struct line *l, const char *s, size_t n)
{
    char escape[8];

    if (!n)
        return put_string(l, "\\ufffd");
    if (n == 1 && (*s == '"' || *s == '\\')) {
        snprintf(escape, sizeof(escape), "\\%c", *s);
        return put_string(l, escape);
    }
    if (n == 1 && (unsigned char)*s < 0x20) {
        snprintf(escape, sizeof(escape), "\\u%04x", (unsigned char)*s);
        return put_string(l, escape);
    }
    return put(l, s, n);
}

static void put_text(struct line *l, const char *s, bool json)
{
    for (size_t left = strlen(s), n; left; s += n ? n : 1, left -= n ? n : 1) {
        n = ta_utf8_char(s, left);
        if (!(json ? put_json(l, s, n) : put_plain(l, s, n)))
            return;
    }
}

static void build_line(struct line *l, bool json, ta_log_level level, const char *where, const char *text)
{
    static const char json_end[] = "\"}\n";
    const char *end = json ? json_end : "\n";
    char utc[24];

    l->len = 0;
    l->room = sizeof(l->text) - strlen(end);
    put_string(l, json ? "{\"time\":\"" : level_names[level]);
    if (json) {
        put_string(l, ta_print_utc(ta_wall_us(), utc));
        put_string(l, "\",\"level\":\"");
        put_string(l, level_names[level]);
    }
    put_string(l, json ? "\",\"where\":\"" : ": ");
    put_text(l, where, json);
    put_string(l, json ? "\",\"message\":\"" : ": ");
    put_text(l, text, json);
    l->room = sizeof(l->text);
    put_string(l, end);
}

/* Writes the line to stderr. There is nobody to tell when that fails. */
static void write_line(const struct line *l)
{
    for (size_t at = 0; at < l->len;) {
        ssize_t n = write(STDERR_FILENO, l->text + at, l->len - at);
        if (n >= 0) {
            at += (size_t)n;
        } else if (errno == EAGAIN) {
            struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
            poll(&p, 1, -1);
        } else if (errno != EINTR) {
            return;
        }
    }
}

static void emit(ta_log_level level, const char *where, const char *text)
{
    struct line line;

    pthread_mutex_lock(&logger.lock);
    if (logger.sink) {
        logger.sink(logger.sink_opaque, level, where, text);
    } else {
        build_line(&line, logger.json, level, where, text);
        if (logger.before)
            logger.before(logger.hook_opaque);
        write_line(&line);
        if (logger.after)
            logger.after(logger.hook_opaque);
    }
    pthread_mutex_unlock(&logger.lock);
}

void ta_log(ta_log_level level, const char *where, const char *fmt, ...)
{
    char text[LINE_MAX_BYTES];
    int saved = errno;
    va_list args;

    if ((int)level > atomic_load_explicit(&logger.level, memory_order_relaxed))
        return;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (n < 0)
        snprintf(text, sizeof(text), "(a message that can't be printed: %.1000s)", fmt);
    size_t len = ta_utf8_trim(text);
    while (len && text[len - 1] == '\n')
        text[--len] = '\0';
    emit(level, where, text);
    errno = saved;
}

void ta_log_setup(ta_log_level level, bool json)
{
    atomic_store(&logger.level, (int)level);
    pthread_mutex_lock(&logger.lock);
    logger.json = json;
    pthread_mutex_unlock(&logger.lock);
    ta_log_route_libav();
}

ta_log_level ta_log_get_level(void)
{
    return (ta_log_level)atomic_load_explicit(&logger.level, memory_order_relaxed);
}

void ta_log_set_sink(ta_log_sink sink, void *opaque)
{
    pthread_mutex_lock(&logger.lock);
    logger.sink = sink;
    logger.sink_opaque = opaque;
    pthread_mutex_unlock(&logger.lock);
}

void ta_log_set_line_hooks(void (*before)(void *), void (*after)(void *), void *opaque)
{
    pthread_mutex_lock(&logger.lock);
    logger.before = before;
    logger.after = after;
    logger.hook_opaque = opaque;
    pthread_mutex_unlock(&logger.lock);
}

bool ta_log_parse_level(const char *name, ta_log_level *level)
{
    for (size_t i = 0; name && i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (!strcmp(name, level_names[i])) {
            *level = (ta_log_level)i;
            return true;
        }
    }
    return false;
}
