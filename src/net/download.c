/* One file by libcurl: ranges, retries, limits, checks. Each try runs in a multi handle of its own, so that the cancel
 * token's descriptors can be waited for beside the sockets. */
#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "net/part.h"

enum { TRIES = 5, STALL_SECONDS = 30, CONNECT_SECONDS = 20, REDIRECTS = 10, LONGEST_PAUSE_S = 120 };
static const int64_t progress_every_us = 100000;
static const int64_t spare_bytes = 64 << 20; /* of the disk, that a download leaves */

/* The headers of the last answer. */
typedef struct answer {
    char etag[256], modified[64], range[96];
} answer;

typedef struct transfer {
    const ta_download *d;
    ta_part part;
    CURL *easy;
    ta_error *err;
    answer answer;
    int failed;         /* a status, from a callback */
    bool begun;         /* the first bytes of a wanted body came, or its end */
    bool unfit;         /* a part of something else came: begin anew */
    bool resumed;       /* some byte came by a range */
    bool renewed;       /* all was fetched once more for a wrong digest */
    int64_t total, top; /* -1: not known; the most bytes there ever were */
    int64_t deadline_us, next_progress_us;
    char text[CURL_ERROR_SIZE];
} transfer;

/* What a try came to. */
typedef enum outcome { DONE, AGAIN, FAILED } outcome;

/* ---- The answer ------------------------------------------------------------------------------------------------ */

static void take_header(const char *line, size_t size, const char *name, char *out, size_t room)
{
    size_t n = strlen(name);
    if (size <= n || strncasecmp(line, name, n))
        return;
    line += n;
    size -= n;
    while (size > 0 && (*line == ' ' || *line == '\t'))
        line++, size--;
    while (size > 0 && (unsigned char)line[size - 1] <= ' ')
        size--;
    snprintf(out, room, "%.*s", (int)TA_MIN(size, room), line);
    if (size >= room)
        *out = '\0'; /* half a validator is none */
}

static size_t on_header(char *line, size_t one, size_t size, void *opaque)
{
    answer *a = &((transfer *)opaque)->answer;
    if (size >= 5 && !memcmp(line, "HTTP/", 5))
        memset(a, 0, sizeof *a);
    take_header(line, size, "etag:", a->etag, sizeof a->etag);
    take_header(line, size, "last-modified:", a->modified, sizeof a->modified);
    take_header(line, size, "content-range:", a->range, sizeof a->range);
    return one * size;
}

/* What If-Range may carry: a weak ETag doesn't promise equal bytes (RFC 9110 8.8.1). */
static const char *validator_of(const answer *a)
{
    return a->etag[0] == '"' ? a->etag : a->etag[0] ? "" : a->modified;
}

static int too_large(transfer *t, int64_t bytes)
{
    char is[24], most[24];
    ta_fail(t->err, TA_ERR_DATA, "it has %s%s; at most %s are allowed", bytes > t->d->max_bytes ? "" : "more than ",
            ta_print_size(TA_MAX(bytes, t->d->max_bytes), is), ta_print_size(t->d->max_bytes, most));
    return ta_hint(t->err, "nothing was kept");
}

static int check_size(transfer *t)
{
    char need[24], have[24];
    if (t->total < 0)
        return 0;
    if (t->total > t->d->max_bytes)
        return too_large(t, t->total);
    int64_t room = ta_free_space(t->d->path), more = t->total - t->part.have;
    if (room < 0 || room - spare_bytes >= more)
        return 0;
    ta_fail(t->err, TA_ERR_AGAIN, "it needs %s more of the disk, which has %s free", ta_print_size(more, need),
            ta_print_size(room, have));
    return ta_hint(t->err, "make room and try again");
}

static int begin_rest(transfer *t)
{
    long long first = -1, last = -1, total = -1;
    if (sscanf(t->answer.range, "bytes %lld-%lld/%lld", &first, &last, &total) < 2 || first != t->part.have)
        t->unfit = true;
    /* A server that doesn't know If-Range sends a piece of the new file. */
    if (t->answer.etag[0] == '"' && t->part.validator[0] == '"' && strcmp(t->answer.etag, t->part.validator))
        t->unfit = true;
    t->total = total;
    t->resumed |= first > 0;
    return t->unfit ? TA_ERR_AGAIN : 0;
}

/* Before the first byte of a body: does it go on from what is there? */
static int begin_body(transfer *t)
{
    long status = 0;
    curl_off_t length = -1;
    if (t->begun)
        return 0;
    t->begun = true;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    int r;
    if (status == 206) {
        r = begin_rest(t);
    } else if (status != 200 && status != 203) {
        r = ta_fail(t->err, TA_ERR_DATA, "the server answers with status %ld and no file", status);
    } else {
        t->total = length;
        r = ta_part_restart(&t->part, t->err);
        if (r == 0)
            r = ta_part_note(&t->part, validator_of(&t->answer), t->err);
    }
    return r < 0 ? r : check_size(t);
}

static void tell(transfer *t, bool now)
{
    if (!t->d->progress || (!now && ta_now_us() < t->next_progress_us))
        return;
    t->next_progress_us = ta_now_us() + progress_every_us;
    t->d->progress(t->d->opaque, t->part.have, t->total);
}

static size_t on_body(char *data, size_t one, size_t size, void *opaque)
{
    transfer *t = opaque;
    t->failed = begin_body(t);
    if (t->failed == 0 && t->part.have + (int64_t)size > t->d->max_bytes)
        t->failed = too_large(t, 0);
    if (t->failed == 0)
        t->failed = ta_part_write(&t->part, data, size, t->err);
    if (t->failed < 0)
        return CURL_WRITEFUNC_ERROR;
    tell(t, false);
    return one * size;
}

/* ---- One try --------------------------------------------------------------------------------------------------- */

/* A range is asked for where something proves that the rest belongs to the beginning. */
static struct curl_slist *ask_for_rest(transfer *t, struct curl_slist *headers, bool *right)
{
    char line[400];
    if (t->part.have > 0 && !t->part.validator[0] && !t->d->sha256)
        *right = ta_part_restart(&t->part, t->err) == 0;
    if (!*right || t->part.have == 0)
        return headers;
    /* Not CURLOPT_RESUME_FROM, which takes the whole file instead of the rest for an error. */
    snprintf(line, sizeof line, "%lld-", (long long)t->part.have);
    *right = curl_easy_setopt(t->easy, CURLOPT_RANGE, line) == CURLE_OK;
    if (!t->part.validator[0])
        return headers;
    snprintf(line, sizeof line, "If-Range: %s", t->part.validator);
    struct curl_slist *more = curl_slist_append(headers, line);
    *right = *right && more;
    return more ? more : headers;
}

static bool set_options(transfer *t)
{
    CURL *e = t->easy;
    const char *certificates = getenv("SSL_CERT_FILE");
    bool secure = !strncasecmp(t->d->url, "https", 5);
    int64_t left = t->deadline_us == INT64_MAX ? 0 : TA_MAX((t->deadline_us - ta_now_us()) / 1000, 1);
    bool right = curl_easy_setopt(e, CURLOPT_URL, t->d->url) == CURLE_OK &&
                 curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
                 curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https") == CURLE_OK;
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(e, CURLOPT_MAXREDIRS, (long)REDIRECTS);
    curl_easy_setopt(e, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "TerminalAI/" TA_VERSION);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)TA_MIN(left, INT32_MAX));
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)(t->d->stall_seconds > 0 ? t->d->stall_seconds : STALL_SECONDS));
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->text);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    if (certificates && *certificates)
        curl_easy_setopt(e, CURLOPT_CAINFO, certificates);
    return right;
}

/* Until libcurl is done with it, or the token is set. */
static CURLcode drive(transfer *t, CURLM *multi)
{
    int fds[4], count = ta_cancel_fds(t->d->cancel, fds, 4), running = 1, left;
    struct curl_waitfd wait_for[4];
    for (int i = 0; i < count; i++)
        wait_for[i] = (struct curl_waitfd){ .fd = fds[i], .events = CURL_WAIT_POLLIN };
    while (running) {
        if (ta_cancelled(t->d->cancel))
            return CURLE_ABORTED_BY_CALLBACK;
        CURLMcode m = curl_multi_perform(multi, &running);
        if (m == CURLM_OK && running)
            m = curl_multi_poll(multi, wait_for, (unsigned)count, 1000, NULL);
        if (m != CURLM_OK)
            return m == CURLM_OUT_OF_MEMORY ? CURLE_OUT_OF_MEMORY : CURLE_FAILED_INIT;
    }
    const CURLMsg *message = curl_multi_info_read(multi, &left);
    return message ? message->data.result : CURLE_FAILED_INIT;
}

static int fail_status(transfer *t, long status)
{
    bool busy = status == 408 || status == 425 || status == 429 || status >= 500;
    bool gone = status == 404 || status == 410;
    bool closed = status == 401 || status == 403 || status == 407 || status == 451;
    ta_fail(t->err,
            busy     ? TA_ERR_AGAIN
            : gone   ? TA_ERR_NOINPUT
            : closed ? TA_ERR_NOPERM
                     : TA_ERR_DATA,
            "the server answers with status %ld%s", status,
            gone     ? ", which is: there is no such file"
            : closed ? ", which is: not allowed"
                     : "");
    return busy ? ta_hint(t->err, "try again later") : t->err->code;
}

/* The range is behind the end: then either all of it is there, or it is another file now. */
static outcome judge_416(transfer *t)
{
    long long total = -1;
    if (sscanf(t->answer.range, "bytes */%lld", &total) == 1 && total == t->part.have) {
        t->total = total;
        return DONE;
    }
    if (t->part.have == 0) {
        fail_status(t, 416);
        return FAILED;
    }
    ta_fail(t->err, TA_ERR_AGAIN, "what was fetched before is longer than the file is now");
    return ta_part_restart(&t->part, t->err) < 0 ? FAILED : AGAIN;
}

static bool may_pass(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_WEIRD_SERVER_REPLY:
        return true;
    default:
        return false;
    }
}

static ta_status status_of(CURLcode code)
{
    switch (code) {
    case CURLE_URL_MALFORMAT:
        return TA_ERR_USAGE;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return TA_ERR_UNAVAILABLE;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_UNSUPPORTED_PROTOCOL: /* a redirect to another scheme */
        return TA_ERR_NOPERM;
    case CURLE_TOO_MANY_REDIRECTS:
        return TA_ERR_DATA;
    case CURLE_OUT_OF_MEMORY:
        return TA_ERR_AGAIN;
    default:
        return may_pass(code) ? TA_ERR_AGAIN : TA_ERR_IO;
    }
}

static outcome judge_curl(transfer *t, CURLcode code)
{
    if (ta_cancelled(t->d->cancel)) {
        ta_fail(t->err, TA_ERR_CANCELLED, "cancelled");
        return FAILED;
    }
    if (t->unfit) {
        ta_fail(t->err, TA_ERR_AGAIN, "the server gives other bytes than were asked for");
        return ta_part_restart(&t->part, t->err) < 0 ? FAILED : AGAIN;
    }
    if (t->failed < 0)
        return FAILED;
    ta_fail(t->err, status_of(code), "%s", t->text[0] ? t->text : curl_easy_strerror(code));
    if (code == CURLE_COULDNT_RESOLVE_HOST)
        ta_hint(t->err, "is the name right, and is there a network?");
    return may_pass(code) ? AGAIN : FAILED;
}

static outcome judge(transfer *t, CURLcode code)
{
    long status = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_HTTP_RETURNED_ERROR && status == 416)
        return judge_416(t);
    if (code == CURLE_HTTP_RETURNED_ERROR)
        return fail_status(t, status) == TA_ERR_AGAIN ? AGAIN : FAILED;
    if (code != CURLE_OK)
        return judge_curl(t, code);
    t->failed = begin_body(t); /* an empty file has no body */
    if (t->failed < 0)
        return judge_curl(t, code);
    if (t->total < 0 || t->part.have == t->total)
        return DONE;
    ta_fail(t->err, TA_ERR_AGAIN, "the connection ended after %lld of %lld bytes", (long long)t->part.have,
            (long long)t->total);
    return AGAIN;
}

static outcome try_once(transfer *t, int64_t *pause_us)
{
    CURLM *multi = curl_multi_init();
    struct curl_slist *headers = NULL;
    curl_off_t retry_after = 0;
    outcome o = FAILED;
    bool right = multi && (t->easy = curl_easy_init());
    t->begun = t->unfit = false;
    t->failed = 0;
    t->text[0] = '\0';
    memset(&t->answer, 0, sizeof t->answer);
    ta_error_clear(t->err);
    right = right && set_options(t);
    headers = right ? ask_for_rest(t, headers, &right) : NULL;
    if (right && curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
        curl_multi_add_handle(multi, t->easy) == CURLM_OK) {
        o = judge(t, drive(t, multi));
        curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after);
        curl_multi_remove_handle(multi, t->easy);
    } else if (t->err->depth == 0) {
        ta_no_memory(t->err);
    }
    *pause_us = TA_CLAMP(retry_after, 0, LONGEST_PAUSE_S) * INT64_C(1000000);
    curl_easy_cleanup(t->easy);
    curl_multi_cleanup(multi);
    curl_slist_free_all(headers);
    t->easy = NULL;
    return o;
}

/* ---- All tries ------------------------------------------------------------------------------------------------- */

/* Half a second, then twice as long each time, of which a random half is left out. */
static int64_t back_off(int barren)
{
    uint32_t chance = 0;
    int64_t most = INT64_C(500000) << TA_MIN(barren, 6);
    if (getrandom(&chance, sizeof chance, GRND_NONBLOCK) < 0)
        chance = (uint32_t)ta_now_us();
    return most / 2 + (int64_t)(chance % 1024) * most / 2048;
}

static int out_of_time(transfer *t)
{
    ta_fail(t->err, TA_ERR_AGAIN, "it took longer than %lld s", (long long)(t->d->timeout_us / 1000000));
    return ta_hint(t->err, "the same again goes on where it was");
}

/* Between two tries: 0 to go on. */
static int rest(transfer *t, int *barren, int64_t pause_us)
{
    *barren = t->part.have > t->top ? 1 : *barren + 1;
    t->top = TA_MAX(t->top, t->part.have);
    if (*barren >= (t->d->tries > 0 ? t->d->tries : TRIES))
        return t->err->code;
    int64_t least = back_off(*barren - 1);
    pause_us = TA_MAX(pause_us, least);
    if (ta_now_us() + pause_us >= t->deadline_us)
        return out_of_time(t);
    ta_log(TA_LOG_VERBOSE, "net", "%s; on after %.1f s", t->err->text[t->err->depth - 1], (double)pause_us / 1e6);
    return ta_cancel_wait(t->d->cancel, pause_us) ? ta_fail(t->err, TA_ERR_CANCELLED, "cancelled") : 0;
}

static int get_all(transfer *t)
{
    int64_t pause_us;
    int barren = 0;
    for (;;) {
        outcome o = try_once(t, &pause_us);
        if (o == DONE)
            return 0;
        if (o == AGAIN && ta_now_us() >= t->deadline_us)
            return out_of_time(t);
        int r = o == FAILED ? (int)t->err->code : rest(t, &barren, pause_us);
        if (r < 0)
            return r;
    }
}

/* 1: begin anew, as the wrong bytes may be those that came by an earlier range. */
static int check_digest(transfer *t)
{
    char have[65];
    if (!t->d->sha256)
        return 0;
    int r = ta_sha256_file(t->part.file, have, t->d->cancel, t->err);
    if (r < 0 || !strcasecmp(have, t->d->sha256))
        return r;
    if (t->resumed && !t->renewed) {
        t->renewed = true;
        r = ta_part_restart(&t->part, t->err);
        return r < 0 ? r : 1;
    }
    ta_fail(t->err, TA_ERR_DATA, "it is another file than expected: SHA-256 %.12s..., not %.12s...", have,
            t->d->sha256);
    return ta_hint(t->err, "nothing was kept; see whether the file was changed at its source");
}

static int run(transfer *t)
{
    int r;
    do {
        r = get_all(t);
        if (r == 0)
            tell(t, true);
        if (r == 0)
            r = check_digest(t);
    } while (r == 1);
    if (r == 0)
        r = ta_part_finish(&t->part, t->err);
    ta_part_close(&t->part, r == TA_ERR_AGAIN || r == TA_ERR_CANCELLED || r == TA_ERR_UNAVAILABLE);
    return r;
}

int ta_net_download(const ta_download *d, ta_error *err)
{
    ta_error local;
    transfer t = { .d = d, .err = err ? err : &local, .total = -1, .deadline_us = INT64_MAX };
    char *shown = ta_url_shown(d->url);
    int r = shown ? 0 : ta_no_memory(t.err);
    assert(d->max_bytes > 0);
    if (r == 0 && !ta_is_url(d->url))
        r = ta_fail(t.err, TA_ERR_USAGE, "that is no http:// or https:// address");
    if (r == 0 && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        r = ta_fail(t.err, TA_ERR_SOFTWARE, "libcurl can't be started");
    else if (r == 0) {
        if (d->timeout_us > 0)
            t.deadline_us = ta_now_us() + d->timeout_us;
        r = ta_part_open(&t.part, d->path, d->url, t.err);
        if (r == 0) {
            t.resumed = t.part.have > 0;
            t.top = t.part.have;
            r = run(&t);
        }
        curl_global_cleanup();
    }
    if (r < 0)
        ta_wrap(t.err, "%s", shown ? shown : "download");
    ta_free(shown);
    return r;
}

const char *ta_net_library(void)
{
    return curl_version();
}
