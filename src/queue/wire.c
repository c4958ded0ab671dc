/* JSON lines over a Unix socket. */
#include "queue/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_NAME "queue.sock"

enum { CHUNK = 64 << 10, SEND_MS = 30000, CANCEL_FDS = 4 };

/* ---- Sockets --------------------------------------------------------------------------------------------------------
 */

/* A socket's address holds 107 characters, a path more: it goes through the folder's descriptor. */
static int with_address(const char *dir, int (*fn)(int, const struct sockaddr *, socklen_t))
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = at < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/" SOCKET_NAME, at);
    if (fd >= 0 && fn(fd, (const struct sockaddr *)&a, sizeof a) != 0) {
        int why = errno;
        close(fd);
        errno = why;
        fd = -1;
    }
    int why = errno;
    if (at >= 0)
        close(at);
    errno = why;
    return fd;
}

/* The lock on the folder is held: a socket that is there was left behind. */
static int bind_new(int fd, const struct sockaddr *a, socklen_t size)
{
    const char *path = ((const struct sockaddr_un *)a)->sun_path;
    if (unlink(path) != 0 && errno != ENOENT)
        return -1;
    /* nobody can connect before listen */
    return bind(fd, a, size) == 0 && chmod(path, 0600) == 0 ? listen(fd, 64) : -1;
}

int ta_wire_listen(const char *dir)
{
    return with_address(dir, bind_new);
}

int ta_wire_connect(const char *dir)
{
    return with_address(dir, connect);
}

void ta_wire_close(ta_wire *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
    ta_buf_free(&w->in);
}

/* ---- Waiting --------------------------------------------------------------------------------------------------------
 */

/* What of the socket is ready: its poll events, 0 when cancelled or at the time limit. */
static int wait_for(ta_wire *w, short events, int extra, bool *other, int timeout_ms)
{
    int fds[CANCEL_FDS];
    struct pollfd p[CANCEL_FDS + 2] = { { .fd = w->fd, .events = events }, { .fd = extra, .events = POLLIN } };
    int n = ta_cancel_fds(w->cancel, fds, CANCEL_FDS);
    for (int i = 0; i < n; i++)
        p[i + 2] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
    int r;
    do
        r = poll(p, (nfds_t)n + 2, timeout_ms);
    while (r < 0 && errno == EINTR && !ta_cancelled(w->cancel));
    if (r <= 0 || ta_cancelled(w->cancel))
        return 0;
    if (other)
        *other = (p[1].revents & POLLIN) != 0;
    return p[0].revents;
}

/* ---- Lines ----------------------------------------------------------------------------------------------------------
 */

static int parse(ta_wire *w, const char *end, json_t **line, ta_error *err)
{
    json_error_t why;
    const char *from = w->in.data + w->used;
    *line = json_loadb(from, (size_t)(end - from), JSON_REJECT_DUPLICATES, &why);
    w->used = (size_t)(end - w->in.data) + 1;
    return *line ? 1 : ta_fail(err, TA_ERR_DATA, "this line is no JSON: %s", why.text);
}

/* Lines that were handed out make room. */
static void shift(ta_wire *w)
{
    memmove(w->in.data, w->in.data + w->used, w->in.len - w->used);
    w->in.len -= w->used;
    w->used = 0;
}

static int receive(ta_wire *w, ta_error *err)
{
    char chunk[CHUNK];
    ssize_t n = recv(w->fd, chunk, sizeof chunk, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 1;
    if (n < 0)
        return ta_fail(err, TA_ERR_IO, "the connection broke: %s", strerror(errno));
    if (w->used)
        shift(w);
    if (w->in.len + (size_t)n > TA_WIRE_MAX)
        return ta_fail(err, TA_ERR_DATA, "a line is longer than %d MB", TA_WIRE_MAX >> 20);
    ta_buf_addn(&w->in, chunk, (size_t)n);
    return w->in.failed ? ta_no_memory(err) : n > 0;
}

int ta_wire_read(ta_wire *w, json_t **line, bool *extra, ta_error *err)
{
    size_t looked = w->used;
    *line = NULL;
    if (extra)
        *extra = false;
    for (;;) {
        const char *end = w->in.len > looked ? memchr(w->in.data + looked, '\n', w->in.len - looked) : NULL;
        if (end)
            return parse(w, end, line, err);
        looked = w->in.len - w->used;
        bool other = false;
        int events = wait_for(w, POLLIN, w->extra, &other, -1);
        if (other && extra) {
            *extra = true;
            return 0;
        }
        if (!events)
            return 0;
        int r = receive(w, err);
        if (r <= 0)
            return r;
        looked += w->used;
    }
}

int ta_wire_send(ta_wire *w, const char *data, size_t size, ta_error *err)
{
    while (size) {
        if (!wait_for(w, POLLOUT, -1, NULL, SEND_MS))
            return ta_fail(err, ta_cancelled(w->cancel) ? TA_ERR_CANCELLED : TA_ERR_IO, "the other side reads nothing");
        ssize_t n = send(w->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return ta_fail(err, TA_ERR_IO, "the connection broke: %s", strerror(errno));
        data += TA_MAX(n, 0);
        size -= (size_t)TA_MAX(n, 0);
    }
    return 0;
}

int ta_wire_write(ta_wire *w, const json_t *line, ta_error *err)
{
    char *text = json_dumps(line, JSON_COMPACT);
    size_t n = text ? strlen(text) : 0;
    if (!text)
        return ta_no_memory(err);
    text[n] = '\n'; /* where the NUL was */
    int r = ta_wire_send(w, text, n + 1, err);
    free(text);
    return r;
}

/* ---- Errors ---------------------------------------------------------------------------------------------------------
 */

json_t *ta_wire_error(int code, const ta_error *err)
{
    json_t *texts = json_array();
    for (int i = 0; texts && i < err->depth; i++)
        json_array_append_new(texts, json_string(err->text[i]));
    return json_pack("{s:{s:i, s:o, s:s}}", "error", "code", ta_exit_code(code), "text", texts, "hint", err->hint);
}

int ta_wire_fail(const json_t *error, ta_error *err)
{
    const json_t *texts = json_object_get(error, "text");
    const char *hint = json_string_value(json_object_get(error, "hint"));
    json_int_t code = json_integer_value(json_object_get(error, "code"));
    size_t n = json_array_size(texts);
    const char *root = n ? json_string_value(json_array_get(texts, n - 1)) : NULL;
    ta_fail(err, (ta_status)-code, "%s", root ? root : ta_status_name((int)-code));
    for (size_t i = n; i-- > 1;) {
        const char *context = json_string_value(json_array_get(texts, i - 1));
        ta_wrap(err, "%s", context ? context : "");
    }
    if (hint && *hint)
        ta_hint(err, "%s", hint);
    return (int)-code;
}
