/* Runs a program in a process group of its own, with nothing of ours but what it is given, and sees to it that the
 * whole group is gone at the end. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fetch/internal.h"

enum { TICK_MS = 200, GRACE_US = 400000 };

static int spawn_it(ta_child *c, pid_t *pid, int said)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, c->out ? c->out : "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, said, 2);
    posix_spawn_file_actions_addchdir_np(&actions, c->folder);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int r = posix_spawnp(pid, c->words[0], &actions, &attributes, c->words, c->environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return r;
}

/* Keeps the end of what it says; false when it says no more. */
static bool hear(ta_child *c, int fd)
{
    char text[1024];
    ssize_t n = read(fd, text, sizeof text);
    if (n <= 0)
        return n < 0 && errno == EINTR;
    size_t have = strlen(c->said), size = (size_t)n, room = sizeof c->said - 1;
    if (have + size > room) {
        size_t drop = have + size - room;
        memmove(c->said, c->said + drop, have - drop + 1);
        have -= drop;
    }
    for (size_t i = 0; i < size; i++)
        c->said[have + i] = text[i] ? text[i] : '?';
    c->said[have + size] = '\0';
    return true;
}

/* It is not reaped here, so that its number, and its group's, stay its own. */
static bool has_ended(pid_t pid)
{
    siginfo_t info = { 0 };
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/* Until it says no more and has ended, or has to be ended. */
static void follow(ta_child *c, pid_t pid, int said)
{
    int fds[4], count = ta_cancel_fds(c->cancel, fds, 4);
    struct pollfd wait_for[6] = { { .fd = said, .events = POLLIN }, { .fd = c->over_fd, .events = POLLIN } };
    for (int i = 0; i < count; i++)
        wait_for[i + 2] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
    for (bool ended = false; !ended || wait_for[0].fd >= 0;) {
        int ms = ended || wait_for[0].fd < 0 ? 10 : TICK_MS;
        if (poll(wait_for, (nfds_t)count + 2, ms) > 0 && wait_for[0].revents && !hear(c, said))
            wait_for[0].fd = -1;
        c->ended = wait_for[1].revents != 0;
        c->late = ta_now_us() >= c->deadline_us;
        if (c->ended || c->late || ta_cancelled(c->cancel))
            return;
        if (!ended && has_ended(pid))
            ended = true;
        else if (ended && wait_for[0].fd >= 0 && !wait_for[0].revents)
            break; /* some grandchild has its output still */
        if (c->tick)
            c->tick(c->opaque);
    }
}

/* Asks it to end, waits a little, and ends what is left of the group. */
static int finish(pid_t pid)
{
    int status = 0;
    int64_t until = ta_now_us() + GRACE_US;
    if (!has_ended(pid))
        kill(-pid, SIGTERM);
    while (!has_ended(pid) && ta_now_us() < until)
        ta_sleep_us(5000);
    kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

int ta_child_run(ta_child *c, ta_error *err)
{
    int ends[2];
    pid_t pid;
    c->said[0] = '\0';
    c->ended = c->late = false;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return ta_fail_errno(err, errno, false, "can't make", "a pipe");
    int r = spawn_it(c, &pid, ends[1]);
    close(ends[1]);
    if (r) {
        close(ends[0]);
        return ta_fail(err, r == EAGAIN || r == ENOMEM ? TA_ERR_AGAIN : TA_ERR_UNAVAILABLE, "'%s' can't be run: %s",
                       c->words[0], strerror(r));
    }
    const struct rlimit size = { (rlim_t)c->most_bytes, (rlim_t)c->most_bytes };
    prlimit(pid, RLIMIT_FSIZE, &size, NULL);
    follow(c, pid, ends[0]);
    int status = finish(pid);
    close(ends[0]);
    c->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return ta_cancelled(c->cancel) ? ta_fail(err, TA_ERR_CANCELLED, "cancelled") : 0;
}
