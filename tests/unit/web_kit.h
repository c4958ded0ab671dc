/* Starts a server of tests/lib for a test program: one that prints its port and ends with its input. */
#ifndef TA_TEST_WEB_KIT_H
#define TA_TEST_WEB_KIT_H

#include <spawn.h>

#include "base_test.h"

typedef struct web {
    pid_t pid;
    int in, out, port; /* closing `in` ends it */
    char urls[8][300];
    unsigned next;
} web;

/* "http://127.0.0.1:PORT/PATH" in one of several buffers. */
static inline const char *web_url(web *w, const char *path)
{
    char *url = w->urls[w->next++ % 8];
    snprintf(url, sizeof w->urls[0], "http://127.0.0.1:%d%s", w->port, path);
    return url;
}

static inline void web_start(web *w, const char *script)
{
    extern char **environ;
    char *words[] = { (char *)"/usr/bin/python3", (char *)script, NULL };
    int to[2], from[2];
    posix_spawn_file_actions_t actions;
    char line[32] = "";
    memset(w, 0, sizeof *w);
    assert_int_equal(pipe2(to, O_CLOEXEC), 0);
    assert_int_equal(pipe2(from, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], 0);
    posix_spawn_file_actions_adddup2(&actions, from[1], 1);
    assert_int_equal(posix_spawn(&w->pid, words[0], &actions, NULL, words, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(to[0]);
    close(from[1]);
    w->in = to[1];
    for (size_t n = 0; !strchr(line, '\n'); n++)
        assert_true(n < sizeof line - 1 && read(from[0], line + n, 1) == 1);
    w->out = from[0];
    w->port = atoi(line);
    assert_true(w->port > 0);
}

static inline void web_stop(web *w)
{
    int status;
    close(w->in);
    close(w->out);
    assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
}

#endif
