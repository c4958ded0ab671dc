/* net: one file from the web to the disk, by HTTP or HTTPS. Knows base only. This is the one header that other folders
 * include. It stands before neural, which gets models with it; what watches where traffic goes (the checking proxy,
 * pages with a film in them) is fetch's, much further down.
 *
 * libcurl does the work where it was there when the program was built; else everything here is TA_ERR_UNAVAILABLE with
 * the package that is missing. */
#ifndef TA_NET_NET_H
#define TA_NET_NET_H

#include "base/base.h"

/* What is to be fetched, and the limits. `url` and `path` must be set, `max_bytes` must be positive. */
typedef struct ta_download {
    const char *url;    /* http:// or https://; a redirect from https to http is refused */
    const char *path;   /* the finished file; a file there is replaced, once all of the new one is there */
    const char *sha256; /* 64 hex digits that the file must have; NULL: not known */
    int64_t max_bytes;  /* a larger file is refused, at its first header where that tells */
    int64_t timeout_us; /* for all of it, pauses included; 0: no limit */
    int stall_seconds;  /* without a byte for so long the connection is given up and made anew; 0: 30 */
    int tries;          /* in a row that brought nothing new; 0: 5 */
    ta_cancel *cancel;  /* may be NULL */
    /* At most ten times a second, in the calling thread; `total` is -1 where the server doesn't say. May be NULL. */
    void (*progress)(void *opaque, int64_t done, int64_t total);
    void *opaque;
} ta_download;

/* Fetches into PATH.part, checks, syncs and renames. A connection that is cut goes on where it was (Range with
 * If-Range, RFC 9110 14.2 and 13.1.5), within the call and in a later call with the same URL and path: PATH.part and
 * PATH.part.json stay for that when the reason may pass. Where nothing proves that the rest belongs to the beginning
 * (no validator from the server and no SHA-256) it begins anew.
 *
 * TA_ERR_USAGE: no such URL; TA_ERR_NOINPUT: 404, 410; TA_ERR_NOPERM: 401, 403, a certificate that isn't trusted;
 * TA_ERR_DATA: another SHA-256, or too large; TA_ERR_UNAVAILABLE: no libcurl, no such host; TA_ERR_AGAIN: cut, slow,
 * refused, busy (after `tries`), out of time or disk, or another download to this path is running; TA_ERR_CANTCREATE;
 * TA_ERR_CANCELLED. Redirects (at most 10), the environment's proxies (https_proxy, no_proxy) and SSL_CERT_FILE are
 * followed; cookies, .netrc and other schemes are not. Thread safe. */
int ta_net_download(const ta_download *d, ta_error *err);

/* True for what begins as a URL that ta_net_download takes. */
bool ta_is_url(const char *text);
/* A URL as it may be shown and logged: without user, password, query and fragment, which may hold secrets. ta_free;
 * NULL when out of memory. */
char *ta_url_shown(const char *url);
/* The last part of a URL's path, decoded, as the name of a file: no '/', no leading dot, no control characters; ""
 * where it has none. ta_free; NULL when out of memory. */
char *ta_url_file(const char *url);
/* "libcurl/7.88.1 OpenSSL/3.0.17", or NULL where the program was built without. Static storage. */
const char *ta_net_library(void);

#endif
