/* The cancel token: an atomic flag for those who ask, an eventfd for those who wait. A token that is set makes the
 * tokens below it cancelled because these look up the chain, so setting touches nothing but the token itself and
 * may be done in a signal handler. */
#include "base/cancel.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

enum { MAX_CHAIN = 4 };

struct ta_cancel {
    ta_cancel *parent;
    int fd; /* readable once set */
    atomic_bool set;
    atomic_bool held;
    atomic_int go_fd; /* readable while not held; -1 until the first hold */
};

static int chain_length(const ta_cancel *c)
{
    int n = 0;
    for (; c; c = c->parent)
        n++;
    return n;
}

ta_cancel *ta_cancel_new(ta_cancel *parent)
{
    if (chain_length(parent) >= MAX_CHAIN)
        return NULL;
    ta_cancel *c = ta_alloc(sizeof(*c));
    if (!c)
        return NULL;
    c->parent = parent;
    atomic_init(&c->go_fd, -1);
    c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->fd < 0)
        ta_freep(&c);
    return c;
}

void ta_cancel_free(ta_cancel **c)
{
    if (!c || !*c)
        return;
    close((*c)->fd);
    if (atomic_load(&(*c)->go_fd) >= 0)
        close(atomic_load(&(*c)->go_fd));
    ta_freep(c);
}

void ta_cancel_set(ta_cancel *c)
{
    int saved = errno;
    uint64_t one = 1;

    if (!c)
        return;
    atomic_store_explicit(&c->set, true, memory_order_release);
    /* It fails only when the counter is full, and then the descriptor is readable already. */
    if (write(c->fd, &one, sizeof(one)) < 0)
        errno = saved;
}

bool ta_cancelled(const ta_cancel *c)
{
    for (; c; c = c->parent)
        if (atomic_load_explicit(&c->set, memory_order_acquire))
            return true;
    return false;
}

int ta_cancel_fds(const ta_cancel *c, int *fds, int max)
{
    int n = 0;
    for (; c && n < max; c = c->parent)
        fds[n++] = c->fd;
    return n;
}

bool ta_cancel_wait(ta_cancel *c, int64_t us)
{
    int fds[MAX_CHAIN];
    struct pollfd polls[MAX_CHAIN];
    int n = ta_cancel_fds(c, fds, MAX_CHAIN);
    int64_t now = ta_now_us();
    int64_t end = us > INT64_MAX - now ? INT64_MAX : now + us;

    for (int i = 0; i < n; i++)
        polls[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
    while (!ta_cancelled(c)) {
        int64_t left = end - ta_now_us();
        if (us <= 0 || left <= 0)
            return false;
        struct timespec t = { .tv_sec = left / 1000000, .tv_nsec = left % 1000000 * 1000 };
        ppoll(polls, (nfds_t)n, &t, NULL); /* EINTR: look again */
    }
    return true;
}

/* ---- Holding
 * --------------------------------------------------------------------------------------------------------- */

int ta_cancel_hold(ta_cancel *c, bool held)
{
    uint64_t count = 1;
    int fd = atomic_load(&c->go_fd);
    if (fd < 0 && !held)
        return 0;
    if (fd < 0) {
        fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0)
            return TA_ERR_AGAIN;
        atomic_store(&c->go_fd, fd);
    }
    /* Neither can fail in a way that matters: an empty counter can't be read, a full one is readable. */
    ssize_t ignored = held ? read(fd, &count, sizeof count) : 0;
    atomic_store(&c->held, held);
    if (!held)
        ignored = write(fd, &count, sizeof count);
    (void)ignored;
    return 0;
}

/* The descriptor that tells when the nearest held token goes on, or -1. */
static int held_fd(const ta_cancel *c)
{
    for (; c; c = c->parent)
        if (atomic_load_explicit(&c->held, memory_order_acquire))
            return atomic_load(&c->go_fd);
    return -1;
}

bool ta_cancel_pass(const ta_cancel *c)
{
    for (int go; (go = held_fd(c)) >= 0 && !ta_cancelled(c);) {
        int fds[MAX_CHAIN];
        struct pollfd polls[MAX_CHAIN + 1] = { { .fd = go, .events = POLLIN } };
        int n = ta_cancel_fds(c, fds, MAX_CHAIN);
        for (int i = 0; i < n; i++)
            polls[i + 1] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
        poll(polls, (nfds_t)n + 1, -1);
    }
    return !ta_cancelled(c);
}
