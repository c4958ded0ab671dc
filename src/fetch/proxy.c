/* The checking proxy: a thread that accepts, and one for each connection, of which there are at most 64. What they
 * share is counted by references, as a thread may wait for a name server when everything else has ended. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "fetch/internal.h"

enum {
    MAX_CONNECTIONS = 64,
    MAX_HEAD = 32 << 10,
    CHUNK = 64 << 10,
    CONNECT_MS = 15000,
    HEAD_MS = 30000,
    IDLE_MS = 120000
};

struct ta_proxy {
    _Atomic int references, connections;
    _Atomic int64_t bytes, max_bytes;
    int listener, stop_fd, over_fd; /* the last two are event descriptors that are set once and never read */
    char url[128], authorization[96], *allow;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    ta_error fault;
    int fault_code;
};

typedef struct connection {
    ta_proxy *proxy;
    int client, server;
    char *chunk;
    ta_proxy_request request;
    size_t head_end, have; /* of the head in the chunk; of all that came with it */
} connection;

static void drop(ta_proxy *p)
{
    if (atomic_fetch_sub(&p->references, 1) != 1)
        return;
    close(p->listener);
    close(p->stop_fd);
    close(p->over_fd);
    pthread_mutex_destroy(&p->lock);
    ta_free(p->allow);
    ta_free(p);
}

/* Notes the first fault; returns the status of HTTP that tells the client. */
__attribute__((format(printf, 4, 5))) static int refuse(ta_proxy *p, int http, ta_status code, const char *fmt, ...)
{
    char text[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    pthread_mutex_lock(&p->lock);
    /* What is forbidden weighs more than what went wrong, which may well be a consequence. */
    if (!p->fault_code || (p->fault_code == TA_ERR_AGAIN && code != TA_ERR_AGAIN))
        p->fault_code = ta_fail(&p->fault, code, "%s", text);
    pthread_mutex_unlock(&p->lock);
    return http;
}

/* ---- Waiting --------------------------------------------------------------------------------------------------- */

/* Until `fd` is ready; false when the proxy ends or nothing comes for so long. */
static bool wait_ready(const ta_proxy *p, int fd, short events, int ms)
{
    struct pollfd fds[] = { { .fd = fd, .events = events },
                            { .fd = p->stop_fd, .events = POLLIN },
                            { .fd = p->over_fd, .events = POLLIN } };
    int n;
    while ((n = poll(fds, 3, ms)) < 0 && errno == EINTR)
        ;
    return n > 0 && !fds[1].revents && !fds[2].revents;
}

static bool send_all(const ta_proxy *p, int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (n < 0 && !wait_ready(p, fd, POLLOUT, IDLE_MS))
            return false;
        data += TA_MAX(n, 0);
        size -= (size_t)TA_MAX(n, 0);
    }
    return true;
}

static ssize_t receive(const ta_proxy *p, int fd, char *data, size_t room, int ms)
{
    for (;;) {
        ssize_t n = recv(fd, data, room, MSG_DONTWAIT);
        if (n >= 0 || (errno != EAGAIN && errno != EINTR))
            return n;
        if (!wait_ready(p, fd, POLLIN, ms))
            return -1;
    }
}

/* ---- To the server --------------------------------------------------------------------------------------------- */

static int try_address(const ta_proxy *p, const struct addrinfo *a)
{
    int error = 0, on = 1;
    socklen_t size = sizeof error;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
        return fd;
    if (errno == EINPROGRESS && wait_ready(p, fd, POLLOUT, CONNECT_MS) &&
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
        return fd;
    close(fd);
    return -1;
}

/* Connects to the addresses that passed, one after the other: none that was not looked at. */
static int connect_checked(connection *c, const struct addrinfo *all)
{
    const ta_proxy_request *r = &c->request;
    const char *special = NULL;
    bool allowed = ta_address_allowed(c->proxy->allow, r->host, r->port), tried = false;
    for (const struct addrinfo *a = all; a && c->server < 0; a = a->ai_next) {
        const char *what = allowed ? NULL : ta_address_special(a->ai_addr);
        special = what ? what : special;
        if (what)
            continue;
        tried = true;
        c->server = try_address(c->proxy, a);
    }
    if (c->server >= 0)
        return 0;
    if (special && !tried)
        return refuse(c->proxy, 403, TA_ERR_NOPERM, "%s:%d is %s, which a download may not reach", r->host, r->port,
                      special);
    return refuse(c->proxy, 502, TA_ERR_AGAIN, "%s:%d can't be reached", r->host, r->port);
}

/* Ports below 1024 belong to services that are no web servers. */
static bool is_web_port(const ta_proxy_request *r)
{
    return r->port >= 1024 || r->port == 443 || r->port == 80;
}

static int reach(connection *c)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV }, *all;
    const ta_proxy_request *r = &c->request;
    char port[8];
    if (!is_web_port(r) && !ta_address_allowed(c->proxy->allow, r->host, r->port))
        return refuse(c->proxy, 403, TA_ERR_NOPERM, "%s:%d: this port is not one of the web's", r->host, r->port);
    snprintf(port, sizeof port, "%d", r->port);
    int error = getaddrinfo(r->host, port, &hints, &all);
    if (error)
        return refuse(c->proxy, 502, TA_ERR_AGAIN, "%s: %s", r->host, gai_strerror(error));
    int status = connect_checked(c, all);
    freeaddrinfo(all);
    return status;
}

/* ---- One connection -------------------------------------------------------------------------------------------- */

static int read_head(connection *c)
{
    while (c->have < MAX_HEAD) {
        ssize_t n = receive(c->proxy, c->client, c->chunk + c->have, MAX_HEAD - c->have, HEAD_MS);
        if (n <= 0)
            return -1;
        c->have += (size_t)n;
        c->chunk[c->have] = '\0';
        const char *end = memmem(c->chunk, c->have, "\r\n\r\n", 4);
        if (end && strlen(c->chunk) < (size_t)(end - c->chunk))
            return 400; /* a NUL byte in it */
        if (end) {
            c->head_end = (size_t)(end + 4 - c->chunk);
            return 0;
        }
    }
    return 400;
}

/* Counts what comes from a server. */
static bool count(ta_proxy *p, ssize_t n)
{
    int64_t limit = atomic_load(&p->max_bytes);
    if (atomic_fetch_add(&p->bytes, n) + n <= limit)
        return true;
    char most[24];
    refuse(p, 0, TA_ERR_DATA, "more than %s came, which is the limit", ta_print_size(limit, most));
    eventfd_write(p->over_fd, 1);
    return false;
}

/* One piece in one direction: 1, 0 at its end, -1 to give up. */
static int pass(connection *c, int from, int to)
{
    ssize_t n = recv(from, c->chunk, CHUNK, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 1 : -1;
    if (n == 0) {
        shutdown(to, SHUT_WR);
        return 0;
    }
    if (from == c->server && !count(c->proxy, n))
        return -1;
    return send_all(c->proxy, to, c->chunk, (size_t)n) ? 1 : -1;
}

static void relay(connection *c)
{
    struct pollfd fds[] = { { .fd = c->client, .events = POLLIN },
                            { .fd = c->server, .events = POLLIN },
                            { .fd = c->proxy->stop_fd, .events = POLLIN },
                            { .fd = c->proxy->over_fd, .events = POLLIN } };
    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        int n = poll(fds, 4, IDLE_MS);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || fds[2].revents || fds[3].revents)
            return;
        for (int i = 0; i < 2; i++) {
            int r = fds[i].fd >= 0 && fds[i].revents ? pass(c, fds[i].fd, i ? c->client : c->server) : 1;
            if (r < 0 || (r == 0 && i == 1)) /* the server is done: so is the exchange */
                return;
            fds[i].fd = r == 0 ? -1 : fds[i].fd;
        }
    }
}

/* A tunnel is for TLS: its first byte is that of a handshake record (RFC 8446 5.1). */
static bool is_tls(connection *c)
{
    char first;
    if (!wait_ready(c->proxy, c->client, POLLIN, HEAD_MS) || recv(c->client, &first, 1, MSG_PEEK) != 1)
        return false;
    if (first == 22)
        return true;
    refuse(c->proxy, 0, TA_ERR_NOPERM, "%s:%d: something else than TLS was to go through a tunnel", c->request.host,
           c->request.port);
    return false;
}

static void answer(connection *c, int status)
{
    char text[200];
    snprintf(text, sizeof text, "HTTP/1.1 %d %s\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n", status,
             status == 403   ? "Forbidden"
             : status == 407 ? "Proxy Authentication Required"
                             : "Error",
             status == 407 ? "Proxy-Authenticate: Basic realm=\"download\"\r\n" : "");
    send_all(c->proxy, c->client, text, strlen(text));
}

static void serve(connection *c)
{
    static const char yes[] = "HTTP/1.1 200 Connection established\r\n\r\n";
    int status = read_head(c);
    if (status == 0)
        status = ta_proxy_parse(&c->request, c->chunk, c->proxy->authorization);
    if (status == 403)
        refuse(c->proxy, 403, TA_ERR_NOPERM, "an address was asked for that is neither http nor https");
    if (status == 0)
        status = reach(c);
    if (status > 0)
        answer(c, status);
    if (status != 0)
        return;
    bool right = c->request.connect ? send_all(c->proxy, c->client, yes, sizeof yes - 1) && is_tls(c)
                                    : send_all(c->proxy, c->server, c->request.head, strlen(c->request.head));
    /* What came behind the head is the beginning of the body. */
    if (right && !c->request.connect && c->have > c->head_end)
        right = send_all(c->proxy, c->server, c->chunk + c->head_end, c->have - c->head_end);
    if (right)
        relay(c);
}

static void *run_connection(void *opaque)
{
    connection *c = opaque;
    serve(c);
    if (c->server >= 0)
        close(c->server);
    close(c->client);
    atomic_fetch_sub(&c->proxy->connections, 1);
    drop(c->proxy);
    ta_free(c->request.head);
    ta_free(c->chunk);
    ta_free(c);
    return NULL;
}

/* Takes `client` over. */
static void begin(ta_proxy *p, int client)
{
    pthread_attr_t detached;
    pthread_t thread;
    connection *c = ta_alloc(sizeof *c);
    char *chunk = ta_alloc(CHUNK + 1);
    bool right = c && chunk && atomic_load(&p->connections) < MAX_CONNECTIONS;
    if (right) {
        *c = (connection){ .proxy = p, .client = client, .server = -1, .chunk = chunk };
        atomic_fetch_add(&p->references, 1);
        atomic_fetch_add(&p->connections, 1);
        pthread_attr_init(&detached);
        pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
        pthread_attr_setstacksize(&detached, 256 << 10);
        right = pthread_create(&thread, &detached, run_connection, c) == 0;
        pthread_attr_destroy(&detached);
        if (right)
            return;
        atomic_fetch_sub(&p->connections, 1);
        drop(p);
    }
    ta_free(chunk);
    ta_free(c);
    close(client);
}

static void *run(void *opaque)
{
    ta_proxy *p = opaque;
    while (wait_ready(p, p->listener, POLLIN, -1)) {
        int client = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client >= 0)
            begin(p, client);
        else if (errno == EMFILE || errno == ENFILE)
            ta_sleep_us(10000);
    }
    return NULL;
}

/* ---- Open and close -------------------------------------------------------------------------------------------- */

static int listen_on_loopback(ta_proxy *p, ta_error *err)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    unsigned char noise[24];
    char password[33], both[64];
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (p->listener < 0 || bind(p->listener, (struct sockaddr *)&address, size) < 0 || listen(p->listener, 64) < 0 ||
        getsockname(p->listener, (struct sockaddr *)&address, &size) < 0)
        return ta_fail(err, TA_ERR_AGAIN, "the proxy can't listen on loopback: %s", strerror(errno));
    if (getrandom(noise, sizeof noise, 0) != sizeof noise)
        return ta_fail(err, TA_ERR_SOFTWARE, "there are no random numbers");
    EVP_EncodeBlock((unsigned char *)password, noise, sizeof noise);
    for (char *s = password; *s; s++) /* as an address may hold it */
        *s = *s == '+' ? 'p' : *s == '/' ? 's' : *s;
    snprintf(both, sizeof both, "ta:%s", password);
    EVP_EncodeBlock((unsigned char *)p->authorization, (const unsigned char *)both, (int)strlen(both));
    snprintf(p->url, sizeof p->url, "http://%s@127.0.0.1:%d", both, ntohs(address.sin_port));
    return 0;
}

int ta_proxy_open(ta_proxy **p, const char *allow, int64_t max_bytes, ta_error *err)
{
    *p = NULL;
    if (ta_allow_fault(allow))
        return ta_fail(err, TA_ERR_USAGE, "download-allow '%s': %s", allow, ta_allow_fault(allow));
    ta_proxy *fresh = ta_alloc(sizeof *fresh);
    if (!fresh)
        return ta_no_memory(err);
    *fresh = (ta_proxy){ .references = 1,
                         .max_bytes = max_bytes,
                         .listener = -1,
                         .stop_fd = eventfd(0, EFD_CLOEXEC),
                         .over_fd = eventfd(0, EFD_CLOEXEC),
                         .allow = ta_strdup(allow ? allow : "") };
    pthread_mutex_init(&fresh->lock, NULL);
    int r = fresh->allow ? 0 : ta_no_memory(err);
    if (r == 0 && (fresh->stop_fd < 0 || fresh->over_fd < 0))
        r = ta_fail_errno(err, errno, false, "can't make", "an event descriptor");
    if (r == 0)
        r = listen_on_loopback(fresh, err);
    if (r == 0 && pthread_create(&fresh->thread, NULL, run, fresh))
        r = ta_fail(err, TA_ERR_AGAIN, "can't start a thread");
    if (r == 0)
        *p = fresh;
    else
        drop(fresh);
    return r;
}

void ta_proxy_close(ta_proxy **p)
{
    if (!p || !*p)
        return;
    eventfd_write((*p)->stop_fd, 1);
    pthread_join((*p)->thread, NULL);
    drop(*p);
    *p = NULL;
}

void ta_proxy_limit(ta_proxy *p, int64_t max_bytes)
{
    atomic_store(&p->max_bytes, max_bytes);
}

const char *ta_proxy_url(const ta_proxy *p)
{
    return p->url;
}

int64_t ta_proxy_bytes(const ta_proxy *p)
{
    return atomic_load(&p->bytes);
}

int ta_proxy_over_fd(const ta_proxy *p)
{
    return p->over_fd;
}

int ta_proxy_fault(ta_proxy *p, ta_error *err)
{
    pthread_mutex_lock(&p->lock);
    int code = p->fault_code;
    if (code && err)
        *err = p->fault;
    pthread_mutex_unlock(&p->lock);
    return code;
}
