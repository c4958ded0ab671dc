/* fetch: a film out of a page of the web, as one file. Knows base, net, settings, media and neural (whose catalogue has
 * the downloader). This is the one header that other folders include.
 *
 * yt-dlp finds the film and loads its pieces; we join them. It runs as a process group of its own with an empty
 * environment, in a folder of its own, without plugins, configuration, ffmpeg or a shell, and it is given one way into
 * the web: a proxy of ours that checks each address after it was resolved. (It is told to use that proxy, which it
 * does; it is not kept by the kernel from doing otherwise.) */
#ifndef TA_FETCH_FETCH_H
#define TA_FETCH_FETCH_H

#include "base/base.h"
#include "settings/settings.h"

typedef struct ta_fetch_progress {
    const char *stage;   /* "looking", "downloading", "joining" */
    int64_t done, total; /* bytes from the web; total -1: not known */
} ta_fetch_progress;

/* What is to be fetched. Strings but `url` and `folder` may be NULL or "". */
typedef struct ta_fetch {
    const char *url;        /* http or https */
    const char *folder;     /* the file is kept here; made when missing */
    const char *downloader; /* a yt-dlp program or wheel; "": the pinned one, else yt-dlp in PATH */
    const char *allow;      /* "HOST:PORT" words that may be private addresses */
    int64_t max_bytes;      /* of all that comes from the web */
    int64_t timeout_us;     /* of all of it; 0: no limit */
    ta_cancel *cancel;
    void (*progress)(void *opaque, const ta_fetch_progress *p); /* some times a second, in the calling thread */
    void *opaque;
} ta_fetch;

/* The limits and the downloader of the settings (download-limit, download-time, download-allow, downloader); the
 * strings live as long as the settings. */
void ta_fetch_from_settings(ta_fetch *f, const ta_settings *s);
/* Fetches into `folder`; *path (ta_free) is the file, named after the title. A URL that was fetched before into this
 * folder, whose file is still there, is not fetched again; one that was interrupted goes on.
 *
 * TA_ERR_NOPERM: a private address, another scheme, 401, 403; TA_ERR_NOINPUT: 404, 410; TA_ERR_DATA: nothing to be
 * found in the page, a list, a live stream, or more than `max_bytes`; TA_ERR_AGAIN: the network, `timeout_us`, disk
 * space, or another process fetches this; TA_ERR_UNAVAILABLE: no yt-dlp, with the command that gets it;
 * TA_ERR_CANCELLED: within a second, with nothing left running. Thread safe. */
int ta_fetch_run(const ta_fetch *f, char **path, ta_error *err);

/* Which downloader there is: its path (ta_free) or TA_ERR_UNAVAILABLE. */
int ta_fetch_downloader(const char *wanted, char **path, ta_error *err);

/* ---- The proxy ------------------------------------------------------------------------------------------------- */

/* A proxy on loopback for one download: plain HTTP requests, and CONNECT for TLS. For each it resolves the name by
 * itself and connects to an address that it has checked, so a name that changes its address, or a redirect, leads
 * nowhere else. Only who knows its password may use it. */
typedef struct ta_proxy ta_proxy;

/* `allow` as in ta_fetch. TA_ERR_AGAIN, TA_ERR_USAGE (allow). */
int ta_proxy_open(ta_proxy **p, const char *allow, int64_t max_bytes, ta_error *err);
/* Another limit, of all bytes since it was opened. */
void ta_proxy_limit(ta_proxy *p, int64_t max_bytes);
/* Ends all connections. NULL inside is allowed. */
void ta_proxy_close(ta_proxy **p);
/* "http://user:password@127.0.0.1:PORT". Lives as long as the proxy. */
const char *ta_proxy_url(const ta_proxy *p);
int64_t ta_proxy_bytes(const ta_proxy *p); /* that came from servers */
/* The first thing that it refused, or that went wrong on the way to a server: TA_ERR_NOPERM (address, scheme, port),
 * TA_ERR_DATA (too many bytes), TA_ERR_AGAIN (no such host, no answer); 0: nothing. */
int ta_proxy_fault(ta_proxy *p, ta_error *err);
/* A descriptor that becomes readable once there are too many bytes. */
int ta_proxy_over_fd(const ta_proxy *p);

#endif
