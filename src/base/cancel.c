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
