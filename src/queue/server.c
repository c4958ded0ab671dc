/* The owner's socket: a thread that takes connections, and one for each of them. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queue/request.h"
#include "queue/wire.h"

enum { CONNECTIONS = 64, LINES = 64 };

struct ta_jobs_server {
    ta_jobs *q;
    int fd;
    ta_cancel *cancel;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t left;
    int live; /* lock */
};

typedef struct connection {
    ta_jobs_server *s;
    ta_wire wire;
} connection;

/* ---- One connection -------------------------------------------------------------------------------------------------
 */

/* Those up to `seq` are told by the status that came first. */
static int send_events(connection *c, ta_subscriber *sub, uint64_t seq, ta_error *err)
{
    ta_buf lines = { 0 };
    ta_event e;
    for (int i = 0; i < LINES && ta_subscriber_next(sub, &e); i++) {
        if (e.seq <= seq && e.kind != TA_EVENT_RESYNC)
            continue;
        json_t *o = ta_event_json(&e);
        char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
        ta_buf_add(&lines, text ? text : "{\"event\":\"resync\"}");
        ta_buf_add(&lines, "\n");
        free(text);
        json_decref(o);
    }
    int r = lines.failed ? ta_no_memory(err) : lines.len ? ta_wire_send(&c->wire, lines.data, lines.len, err) : 0;
    ta_buf_free(&lines);
    return r;
}

/* Sends events until the other side hangs up; what it says meanwhile ends the connection, too. */
static int watch(connection *c, ta_error *err)
{
    ta_subscriber *sub = ta_subscribe(c->s->q);
    json_t *reply = NULL, *request = json_pack("{s:s}", "do", "status"), *line = NULL;
    int r = sub && request ? ta_jobs_request(c->s->q, request, &reply, err) : ta_no_memory(err);
    if (r >= 0)
        r = ta_wire_write(&c->wire, reply, err);
    if (r >= 0)
        c->wire.extra = ta_subscriber_fd(sub);
    for (bool more = true; r >= 0 && more;) {
        r = ta_wire_read(&c->wire, &line, &more, err);
        json_decref(line);
        if (r == 0 && more)
            r = send_events(c, sub, (uint64_t)ta_request_number(reply, "seq", 0), err);
    }
    ta_unsubscribe(&sub);
    json_decref(reply);
    json_decref(request);
    return r < 0 ? r : TA_ERR_CANCELLED; /* the connection is over */
}

static int answer(connection *c, const json_t *request, ta_error *err)
{
    json_t *reply = NULL;
    if (ta_streq(ta_request_text(request, "do"), "watch"))
        return watch(c, err);
    int r = ta_jobs_request(c->s->q, request, &reply, err);
    if (r < 0)
        reply = ta_wire_error(r, err);
    r = reply ? ta_wire_write(&c->wire, reply, err) : ta_no_memory(err);
    json_decref(reply);
    return r;
}

static void *serve_one(void *arg)
{
    connection *c = arg;
    ta_jobs_server *s = c->s;
    ta_error err = { 0 };
    json_t *line = NULL, *sorry = NULL;
    int r;
    while ((r = ta_wire_read(&c->wire, &line, NULL, &err)) > 0) {
        r = answer(c, line, &err);
        json_decref(line);
        if (r < 0)
            break;
    }
    if (r == TA_ERR_DATA && (sorry = ta_wire_error(r, &err)))
        ta_wire_write(&c->wire, sorry, NULL);
    json_decref(sorry);
    ta_wire_close(&c->wire);
    ta_free(c);
    pthread_mutex_lock(&s->lock);
    s->live--;
    pthread_cond_signal(&s->left);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- All connections ------------------------------------------------------------------------------------------------
 */

/* Only this user, and root. */
static bool may_come(int fd)
{
    struct ucred who;
    socklen_t size = sizeof who;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && (who.uid == geteuid() || who.uid == 0);
}

static bool count_in(ta_jobs_server *s)
{
    pthread_mutex_lock(&s->lock);
    bool room = s->live < CONNECTIONS;
    s->live += room;
    pthread_mutex_unlock(&s->lock);
    return room;
}

static void count_out(ta_jobs_server *s)
{
    pthread_mutex_lock(&s->lock);
    s->live--;
    pthread_mutex_unlock(&s->lock);
}

static void welcome(ta_jobs_server *s, int fd)
{
    static const char full[] =
        "{\"error\":{\"code\":75,\"text\":[\"the queue serves too many at once\"],\"hint\":\"\"}}\n";
    pthread_t thread;
    if (!may_come(fd)) {
        close(fd);
        return;
    }
    if (!count_in(s)) {
        if (send(fd, full, sizeof full - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            ta_log(TA_LOG_VERBOSE, "queue", "a connection too many: %s", strerror(errno));
        close(fd);
        return;
    }
    connection *c = ta_alloc(sizeof *c);
    if (c) {
        *c = (connection){ .s = s, .wire = { .fd = fd, .cancel = s->cancel, .extra = -1 } };
        if (pthread_create(&thread, NULL, serve_one, c) == 0) {
            pthread_detach(thread);
            return;
        }
    }
    ta_log(TA_LOG_WARN, "queue", "a connection was refused: out of memory or threads");
    ta_free(c);
    close(fd);
    count_out(s);
}

static void *accept_all(void *arg)
{
    ta_jobs_server *s = arg;
    int cancel[4], n = ta_cancel_fds(s->cancel, cancel, 4);
    struct pollfd p[5] = { { .fd = s->fd, .events = POLLIN } };
    for (int i = 0; i < n; i++)
        p[i + 1] = (struct pollfd){ .fd = cancel[i], .events = POLLIN };
    while (!ta_cancelled(s->cancel)) {
        if (poll(p, (nfds_t)n + 1, -1) <= 0 || !(p[0].revents & POLLIN))
            continue;
        int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            welcome(s, fd);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
            ta_cancel_wait(s->cancel, 100000); /* until somebody lets go of some */
    }
    return NULL;
}

int ta_jobs_serve(ta_jobs_server **out, ta_jobs *q, ta_error *err)
{
    ta_jobs_server *s = ta_alloc(sizeof *s);
    *out = NULL;
    if (!s)
        return ta_no_memory(err);
    s->q = q;
    s->cancel = ta_cancel_new(NULL);
    s->fd = s->cancel ? ta_wire_listen(ta_jobs_dir(q)) : -1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->left, NULL);
    int why = errno;
    if (s->fd >= 0 && pthread_create(&s->thread, NULL, accept_all, s) == 0) {
        *out = s;
        return 0;
    }
    int r = s->fd < 0 && s->cancel ? ta_fail_errno(err, why, true, "can't open the queue's socket in", ta_jobs_dir(q))
                                   : ta_fail(err, TA_ERR_AGAIN, "no memory or threads for the queue's socket");
    if (s->fd >= 0)
        close(s->fd);
    ta_cancel_free(&s->cancel);
    ta_free(s);
    return r;
}

void ta_jobs_unserve(ta_jobs_server **ps)
{
    ta_jobs_server *s = *ps;
    if (!s)
        return;
    ta_cancel_set(s->cancel);
    pthread_join(s->thread, NULL);
    pthread_mutex_lock(&s->lock);
    while (s->live)
        pthread_cond_wait(&s->left, &s->lock);
    pthread_mutex_unlock(&s->lock);
    close(s->fd);
    ta_cancel_free(&s->cancel);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->left);
    ta_freep(ps);
}
