/* What the files of fetch share. */
#ifndef TA_FETCH_INTERNAL_H
#define TA_FETCH_INTERNAL_H

#include <sys/socket.h>

#include "fetch/fetch.h"

/* address.c: NULL for an address that everybody may reach, else what it is ("a private address"). */
const char *ta_address_special(const struct sockaddr *address);
/* Is HOST:PORT one of the words of `allow`? */
bool ta_address_allowed(const char *allow, const char *host, int port);
/* NULL, or what is wrong with such a list. */
const char *ta_allow_fault(const char *allow);
/* "host:80", "[::1]:443" or "host" into host and port; false when it is none of these. */
bool ta_split_host(const char *text, int default_port, char *host, size_t room, int *port);

/* request.c: the head of a request that a proxy gets. */
typedef struct ta_proxy_request {
    bool connect; /* a tunnel */
    char host[256];
    int port;
    char *head; /* of a plain one: what the server is sent (ta_free) */
} ta_proxy_request;
/* `head` ends with the empty line. 0, or a status of HTTP: 400, 403 (another scheme), 407 (not `authorization`, which
 * is base64 of user:password). 500: out of memory. */
int ta_proxy_parse(ta_proxy_request *r, const char *head, const char *authorization);

/* The folder of a download under way is ".HASH.download", of so many digits of its URL's SHA-256. */
enum { TA_HASH_DIGITS = 16 };
/* stale.c: removes those in `folder` that nobody has used for a week. */
void ta_fetch_clean_stale(const char *folder);

/* child.c: runs a program to its end. */
typedef struct ta_child {
    char **words;             /* ends with NULL; words[0] is looked for in PATH */
    char **environment;       /* all of it */
    const char *folder, *out; /* where it works; the file its output goes to, NULL: nowhere */
    ta_cancel *cancel;
    int over_fd;         /* readable: end it */
    int64_t deadline_us; /* ta_now_us; then it is ended */
    int64_t most_bytes;  /* of a file that it writes */
    void (*tick)(void *opaque);
    void *opaque;
    /* What came of it. */
    int code;         /* exit status, or 128 + signal */
    bool ended, late; /* by us, because of over_fd; because of the deadline */
    char said[4096];  /* the end of what it said on stderr */
} ta_child;
/* 0 when it ran to an end of any kind. TA_ERR_CANCELLED, TA_ERR_UNAVAILABLE (can't be run), TA_ERR_AGAIN. Its whole
 * process group is gone then. */
int ta_child_run(ta_child *c, ta_error *err);

#endif
