/* Worker processes: started by posix_spawn, held by a pidfd. Nothing is inherited but the channel and the log. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "work/internal.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

enum { ABOVE_STANDARD = 10 };
extern char **environ;

/* The child's ends stand above the numbers that they are moved to. */
static int move_up(int *fd)
{
    int up = fcntl(*fd, F_DUPFD_CLOEXEC, ABOVE_STANDARD);
    if (up < 0)
        return errno;
    close(*fd);
    *fd = up;
    return 0;
}

typedef struct ends {
    int ours, theirs;
} ends;

static void close_ends(ends *e)
{
    if (e->ours >= 0)
        close(e->ours);
    if (e->theirs >= 0)
        close(e->theirs);
}

static int open_ends(ends *channel, ends *log)
{
    int pair[2];
    *channel = *log = (ends){ -1, -1 };
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return errno;
    *channel = (ends){ pair[0], pair[1] };
    if (pipe2(pair, O_CLOEXEC) < 0)
        return errno;
    *log = (ends){ pair[0], pair[1] };
    if (fcntl(channel->ours, F_SETFL, O_NONBLOCK) < 0 || fcntl(log->ours, F_SETFL, O_NONBLOCK) < 0)
        return errno;
    int why = move_up(&channel->theirs);
    return why ? why : move_up(&log->theirs);
}

static int set_actions(posix_spawn_file_actions_t *a, int channel, int log)
{
    int why = posix_spawn_file_actions_addopen(a, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!why)
        why = posix_spawn_file_actions_adddup2(a, log, STDOUT_FILENO);
    if (!why)
        why = posix_spawn_file_actions_adddup2(a, log, STDERR_FILENO);
    if (!why)
        why = posix_spawn_file_actions_adddup2(a, channel, TA_CHANNEL_FD);
    return why ? why : posix_spawn_file_actions_addclosefrom_np(a, TA_CHANNEL_FD + 1);
}

static int spawn(pid_t *pid, const char *program, char *const *words, int channel, int log)
{
    sigset_t none, all;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setpgroup(&attr, 0); /* a terminal's Ctrl-C is the owner's business */
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    int why = set_actions(&actions, channel, log);
    if (!why)
        why = posix_spawn(pid, program, &actions, &attr, words, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return why;
}

int ta_process_start(ta_process *p, const char *program, char *const *words, ta_error *err)
{
    ends channel, log;
    *p = (ta_process){ .pidfd = -1, .socket = -1, .log = -1 };
    int why = open_ends(&channel, &log);
    if (!why)
        why = spawn(&p->pid, program, words, channel.theirs, log.theirs);
    if (why) {
        p->pid = 0;
        close_ends(&channel);
        close_ends(&log);
        return ta_fail_errno(err, why, false, "can't start", program);
    }
    close(channel.theirs);
    close(log.theirs);
    p->socket = channel.ours;
    p->log = log.ours;
    p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0); /* close-on-exec by itself */
    if (p->pidfd < 0) {
        why = errno;
        ta_process_close(p);
        return ta_fail_errno(err, why, false, "can't watch", program);
    }
    return 0;
}

int ta_process_reap(ta_process *p)
{
    int status = 0;
    pid_t r;
    do
        r = waitpid(p->pid, &status, 0);
    while (r < 0 && errno == EINTR);
    p->pid = 0;
    return status;
}

int64_t ta_process_memory(const ta_process *p)
{
    char path[40], text[128] = "";
    long long all, resident;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)p->pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0)
        close(fd);
    return n > 0 && sscanf(text, "%lld %lld", &all, &resident) == 2 ? resident * sysconf(_SC_PAGESIZE) : 0;
}

void ta_process_close(ta_process *p)
{
    if (p->pid > 0) {
        kill(p->pid, SIGKILL);
        ta_process_reap(p);
    }
    if (p->pidfd >= 0)
        close(p->pidfd);
    if (p->socket >= 0)
        close(p->socket);
    if (p->log >= 0)
        close(p->log);
    *p = (ta_process){ .pidfd = -1, .socket = -1, .log = -1 };
}

char *ta_process_ending(int status, char *out, size_t size)
{
    if (WIFSIGNALED(status)) {
        const char *name = sigdescr_np(WTERMSIG(status));
        snprintf(out, size, "signal %d (%s)", WTERMSIG(status), name ? name : "unknown");
    } else {
        snprintf(out, size, "exit code %d", WEXITSTATUS(status));
    }
    return out;
}

int ta_backoff_ms(int first, int n)
{
    enum { MOST = 30000 };
    int ms = TA_MAX(first, 1);
    while (n-- > 1 && ms < MOST)
        ms *= 2;
    return TA_MIN(ms, MOST);
}
