/* The channel between crew and worker. The kernel keeps the bounds of messages and hands descriptors over with the
 * message that they belong to (unix(7), SOCK_SEQPACKET and SCM_RIGHTS). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "work/internal.h"

int ta_channel_open(ta_channel *c, int fd, ta_error *err)
{
    *c = (ta_channel){ .fd = fd, .buffer = ta_alloc(TA_MESSAGE_BYTES) };
    return c->buffer ? 0 : ta_no_memory(err);
}

void ta_channel_drop_fds(ta_channel *c)
{
    for (int i = 0; i < c->fd_count; i++)
        close(c->fds[i]);
    c->fd_count = 0;
}

void ta_channel_close(ta_channel *c)
{
    ta_channel_drop_fds(c);
    ta_freep(&c->buffer);
    c->fd = -1;
}

typedef union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(TA_MESSAGE_FDS * sizeof(int))];
} control;

static void take_fds(ta_channel *c, struct msghdr *h)
{
    for (struct cmsghdr *m = CMSG_FIRSTHDR(h); m; m = CMSG_NXTHDR(h, m)) {
        if (m->cmsg_level != SOL_SOCKET || m->cmsg_type != SCM_RIGHTS)
            continue;
        int count = (int)((m->cmsg_len - CMSG_LEN(0)) / sizeof(int)), *fds = (int *)(void *)CMSG_DATA(m);
        for (int i = 0; i < count; i++) {
            if (c->fd_count < TA_MESSAGE_FDS)
                c->fds[c->fd_count++] = fds[i];
            else
                close(fds[i]);
        }
    }
}

int ta_channel_receive(ta_channel *c, ta_message *m, ta_error *err)
{
    control room;
    struct iovec piece = { c->buffer, TA_MESSAGE_BYTES };
    struct msghdr h = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof room };
    ssize_t n;
    ta_channel_drop_fds(c);
    do
        n = recvmsg(c->fd, &h, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return TA_ERR_AGAIN;
    if (n < 0 && errno == ECONNRESET)
        return 0;
    if (n < 0)
        return ta_fail_errno(err, errno, false, "can't read", "the channel");
    take_fds(c, &h);
    if (n == 0)
        return 0;
    if (h.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
        return ta_fail(err, TA_ERR_DATA, "a message is longer than %d bytes or has more than %d descriptors",
                       TA_MESSAGE_BYTES, TA_MESSAGE_FDS);
    int r = ta_message_parse(m, c->buffer, (size_t)n, err);
    return r < 0 ? r : 1;
}

static void put_fds(struct msghdr *h, control *room, const int *fds, int count)
{
    memset(room, 0, sizeof *room);
    h->msg_control = room;
    h->msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
    struct cmsghdr *m = CMSG_FIRSTHDR(h);
    m->cmsg_level = SOL_SOCKET;
    m->cmsg_type = SCM_RIGHTS;
    m->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    memcpy(CMSG_DATA(m), fds, (size_t)count * sizeof(int));
}

static int send_line(int fd, char *line, size_t size, const int *fds, int fd_count, bool wait, ta_error *err)
{
    control room;
    struct iovec piece = { line, size };
    struct msghdr h = { .msg_iov = &piece, .msg_iovlen = 1 };
    ssize_t n;
    if (fd_count)
        put_fds(&h, &room, fds, fd_count);
    do
        n = sendmsg(fd, &h, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
        return ta_fail(err, TA_ERR_AGAIN, "the other side of the channel does not read");
    return n < 0 ? ta_fail_errno(err, errno, false, "can't write", "the channel") : 0;
}

int ta_channel_send(int fd, json_t *o, const int *fds, int fd_count, bool wait, ta_error *err)
{
    char *line = o ? json_dumps(o, JSON_COMPACT) : NULL;
    size_t size = line ? strlen(line) : 0;
    json_decref(o);
    if (!line)
        return ta_no_memory(err);
    line[size] = '\n'; /* in place of the NUL, which nobody needs on the wire */
    int r = size + 1 > TA_MESSAGE_BYTES
                ? ta_fail(err, TA_ERR_USAGE, "a message of %zu bytes is longer than %d", size + 1, TA_MESSAGE_BYTES)
                : send_line(fd, line, size + 1, fds, fd_count, wait, err);
    free(line);
    return r;
}
