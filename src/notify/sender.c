/* The thread that sends. One libcurl multi handle carries all channels; each has a few slots of its own and rests by
 * itself after a failure, so that a row behind a broken one loses no tries to it. The desktop's calls block, so each is
 * made on a thread of its own.
 *
 * Only this thread touches deliveries and lanes. Other threads set `stop` and wake it; the counters are atomic. */
#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "notify/internal.h"

enum { SLOTS = 4, ANSWER = 300, MOST_ANSWER = 1 << 20, CONNECT_SECONDS = 10 };
static const int64_t second = 1000000, first_pause_us = 5000000, longest_pause_us = INT64_C(3600000000);
static const int64_t longest_wait_us = 60000000; /* clocks are looked at again after this */

typedef enum outcome { SENT, LATER, DEAD } outcome;

typedef struct lane {
    const ta_channel *channel;
    int under_way;
    int64_t rest_until_us; /* ta_now_us */
} lane;

/* A row on its way. */
typedef struct delivery {
    struct delivery *next;
    lane *lane;
    ta_outbox_row row;
    ta_notify_message message;
    ta_body body;
    struct curl_slist *headers, *recipients;
    CURL *easy;
    size_t uploaded, answered;
    char answer[ANSWER], text[CURL_ERROR_SIZE], why[TA_ERROR_TEXT];
    bool judged; /* the outbox is still to be told */
    outcome outcome;
    int64_t pause_us, tell_at_us;
    /* The desktop's. */
    bool has_thread;
    pthread_t thread;
    _Atomic bool shown;
    int code;
    ta_error err;
    struct ta_notifier *notifier;
} delivery;

struct ta_notifier {
    ta_outbox outbox;
    int tries;
    lane *lanes;
    size_t lane_count;
    delivery *first;
    CURLM *multi;
    pthread_t thread;
    _Atomic bool stop;
    _Atomic int64_t end_us; /* when a stop waits no longer */
    _Atomic uint64_t sent, failed, dead;
    _Atomic int under_way;
};

/* ---- A delivery's request -------------------------------------------------------------------------------------- */

static size_t on_answer(char *data, size_t one, size_t size, void *opaque)
{
    delivery *d = opaque;
    size_t room = d->answered < ANSWER - 1 ? ANSWER - 1 - d->answered : 0;
    memcpy(d->answer + TA_MIN(d->answered, ANSWER - 1), data, TA_MIN(room, size));
    d->answered += size;
    return d->answered > MOST_ANSWER ? CURL_WRITEFUNC_ERROR : one * size;
}

static size_t on_upload(char *out, size_t one, size_t room, void *opaque)
{
    delivery *d = opaque;
    size_t n = TA_MIN(one * room, strlen(d->body.data) - d->uploaded);
    memcpy(out, d->body.data + d->uploaded, n);
    d->uploaded += n;
    return n;
}

static bool add_line(struct curl_slist **list, const char *line)
{
    struct curl_slist *more = curl_slist_append(*list, line);
    *list = more ? more : *list;
    return more != NULL;
}

static int prepare_http(delivery *d, ta_error *err)
{
    int r = d->lane->channel->kind->body(d->lane->channel, &d->message, &d->body, err);
    bool right = r == 0;
    for (size_t i = 0; right && i < TA_COUNT(d->body.headers); i++)
        right = !d->body.headers[i] || add_line(&d->headers, d->body.headers[i]);
    if (!right)
        return r < 0 ? r : ta_no_memory(err);
    right = curl_easy_setopt(d->easy, CURLOPT_URL, d->body.url) == CURLE_OK &&
            curl_easy_setopt(d->easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
            curl_easy_setopt(d->easy, CURLOPT_POSTFIELDS, d->body.data) == CURLE_OK &&
            curl_easy_setopt(d->easy, CURLOPT_HTTPHEADER, d->headers) == CURLE_OK;
    curl_easy_setopt(d->easy, CURLOPT_FOLLOWLOCATION, 0L);
    return right ? 0 : ta_no_memory(err);
}

static bool add_recipients(delivery *d)
{
    char *to;
    bool right = true;
    for (size_t i = 0; right && (to = ta_mail_address(d->lane->channel, TA_FIELD_TO, i)); i++) {
        right = add_line(&d->recipients, to);
        ta_free(to);
    }
    return right && d->recipients;
}

/* STARTTLS is no offer here: without it nothing is sent. */
static int prepare_smtp(delivery *d, ta_error *err)
{
    const ta_channel *c = d->lane->channel;
    const char *tls = c->value[TA_FIELD_TLS], *user = c->value[TA_FIELD_USER], *password = c->value[TA_FIELD_PASSWORD];
    char *from = ta_mail_address(c, TA_FIELD_FROM, 0);
    d->body.data = ta_mail(c, &d->message);
    bool right = from && d->body.data && add_recipients(d) &&
                 curl_easy_setopt(d->easy, CURLOPT_URL, c->value[TA_FIELD_SERVER]) == CURLE_OK &&
                 curl_easy_setopt(d->easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps") == CURLE_OK &&
                 curl_easy_setopt(d->easy, CURLOPT_MAIL_FROM, from) == CURLE_OK &&
                 curl_easy_setopt(d->easy, CURLOPT_MAIL_RCPT, d->recipients) == CURLE_OK;
    curl_easy_setopt(d->easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(d->easy, CURLOPT_READFUNCTION, on_upload);
    curl_easy_setopt(d->easy, CURLOPT_READDATA, d);
    curl_easy_setopt(d->easy, CURLOPT_USE_SSL, (long)(ta_streq(tls, "off") ? CURLUSESSL_NONE : CURLUSESSL_ALL));
    if (right && user)
        right = curl_easy_setopt(d->easy, CURLOPT_USERNAME, user) == CURLE_OK &&
                curl_easy_setopt(d->easy, CURLOPT_PASSWORD, password) == CURLE_OK;
    ta_free(from);
    return right ? 0 : ta_no_memory(err);
}

static int start_curl(delivery *d, ta_error *err)
{
    const ta_channel *c = d->lane->channel;
    const char *ca = c->value[TA_FIELD_CA_FILE] ? c->value[TA_FIELD_CA_FILE] : getenv("SSL_CERT_FILE");
    d->easy = curl_easy_init();
    if (!d->easy)
        return ta_no_memory(err);
    curl_easy_setopt(d->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(d->easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(d->easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(d->easy, CURLOPT_USERAGENT, "TerminalAI/" TA_VERSION);
    curl_easy_setopt(d->easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(d->easy, CURLOPT_TIMEOUT, (long)c->timeout_seconds);
    curl_easy_setopt(d->easy, CURLOPT_ERRORBUFFER, d->text);
    curl_easy_setopt(d->easy, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(d->easy, CURLOPT_WRITEDATA, d);
    curl_easy_setopt(d->easy, CURLOPT_PRIVATE, d);
    if (ca && *ca)
        curl_easy_setopt(d->easy, CURLOPT_CAINFO, ca);
    int r = c->kind->protocol == TA_PROTOCOL_SMTP ? prepare_smtp(d, err) : prepare_http(d, err);
    if (r == 0 && curl_multi_add_handle(d->notifier->multi, d->easy) != CURLM_OK)
        r = ta_no_memory(err);
    return r;
}

static void *show(void *opaque)
{
    delivery *d = opaque;
    d->code = ta_desktop_show(d->message.title, d->message.text, d->lane->channel->timeout_seconds, &d->err);
    atomic_store(&d->shown, true);
    curl_multi_wakeup(d->notifier->multi);
    return NULL;
}

static int start_desktop(delivery *d, ta_error *err)
{
    d->has_thread = pthread_create(&d->thread, NULL, show, d) == 0;
    return d->has_thread ? 0 : ta_fail(err, TA_ERR_AGAIN, "can't start a thread");
}

static void free_delivery(delivery *d)
{
    if (d->has_thread)
        pthread_join(d->thread, NULL);
    if (d->easy) {
        curl_multi_remove_handle(d->notifier->multi, d->easy);
        curl_easy_cleanup(d->easy);
    }
    curl_slist_free_all(d->headers);
    curl_slist_free_all(d->recipients);
    ta_notify_message_free(&d->message);
    ta_body_free(&d->body);
    ta_free(d->row.notice);
    ta_free(d);
}

/* ---- What came of it ------------------------------------------------------------------------------------------- */

static void decide(delivery *d, outcome o, const char *why)
{
    d->judged = true;
    d->outcome = o;
    d->tell_at_us = 0;
    snprintf(d->why, sizeof d->why, "%s", why);
    ta_redact(d->lane->channel, d->why);
}

/* The server's own words, on one line. */
static void add_answer(delivery *d, char *why, size_t room)
{
    size_t at = strlen(why);
    d->answer[TA_MIN(d->answered, ANSWER - 1)] = '\0';
    for (char *s = d->answer; *s; s++)
        *s = (unsigned char)*s < ' ' ? ' ' : *s;
    char *clean = ta_utf8_clean(d->answer);
    if (clean && *clean)
        snprintf(why + at, room - at, ": %s", clean);
    ta_free(clean);
}

static void judge_http(delivery *d, long status)
{
    char why[TA_ERROR_TEXT];
    bool busy = status == 408 || status == 425 || status == 429 || status >= 500;
    snprintf(why, sizeof why, "the server answers with status %ld%s", status,
             status / 100 == 3 ? ", a redirect, which is not followed" : "");
    add_answer(d, why, sizeof why);
    decide(d, status / 100 == 2 ? SENT : busy ? LATER : DEAD, status / 100 == 2 ? "" : why);
}

/* RFC 5321 4.2.1: 4xx may pass, 5xx won't. */
static void judge_smtp(delivery *d, CURLcode code, long status)
{
    char why[TA_ERROR_TEXT];
    bool never = status / 100 == 5 || code == CURLE_LOGIN_DENIED || code == CURLE_USE_SSL_FAILED;
    snprintf(why, sizeof why, "%s", d->text[0] ? d->text : curl_easy_strerror(code));
    if (status >= 400 && !strstr(why, ": 4") && !strstr(why, ": 5"))
        snprintf(why + strlen(why), sizeof why - strlen(why), " (the server answers %ld)", status);
    if (code == CURLE_USE_SSL_FAILED)
        snprintf(why, sizeof why, "the server offers no STARTTLS, without which nothing is sent");
    decide(d, never ? DEAD : LATER, why);
}

static void judge(delivery *d, CURLcode code)
{
    long status = 0;
    curl_off_t retry_after = 0;
    bool http = d->lane->channel->kind->protocol == TA_PROTOCOL_HTTP;
    curl_easy_getinfo(d->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(d->easy, CURLINFO_RETRY_AFTER, &retry_after);
    d->pause_us = TA_CLAMP(retry_after, 0, TA_NOTIFY_LONGEST_SECONDS) * second;
    if (http && status > 0 && (code == CURLE_OK || code == CURLE_WRITE_ERROR))
        judge_http(d, status);
    else if (!http && code == CURLE_OK)
        decide(d, SENT, "");
    else if (!http)
        judge_smtp(d, code, status);
    else
        decide(d, LATER, d->text[0] ? d->text : curl_easy_strerror(code));
}

static void judge_desktop(delivery *d)
{
    char why[TA_ERROR_TEXT];
    decide(d, d->code == 0 ? SENT : LATER, d->code == 0 ? "" : ta_error_string(&d->err, why, sizeof why));
}

/* 5 s, twice as long each time, an hour at most, of which up to a half is left out by chance. */
static int64_t back_off(int failures)
{
    uint32_t chance = 0;
    int64_t most = TA_MIN(first_pause_us << TA_MIN(failures - 1, 20), longest_pause_us);
    if (getrandom(&chance, sizeof chance, GRND_NONBLOCK) < 0)
        chance = (uint32_t)ta_now_us();
    return most / 2 + (int64_t)(chance % 4096) * most / 8192;
}

/* Tells the outbox what is decided; a failure that was one too many is the last. */
static int tell(ta_notifier *n, delivery *d, ta_error *err)
{
    const char *name = d->lane->channel->name;
    int failures = d->row.attempts + (d->outcome != SENT);
    if (d->outcome == SENT)
        return n->outbox.sent(n->outbox.opaque, d->row.id, err);
    if (d->outcome == DEAD || failures >= (n->tries ? n->tries : d->lane->channel->tries)) {
        d->outcome = DEAD;
        return n->outbox.dead(n->outbox.opaque, d->row.id, failures, d->why, err);
    }
    int64_t pause = back_off(failures);
    d->pause_us = TA_MAX(d->pause_us, pause);
    int64_t until = ta_now_us() + d->pause_us;
    d->lane->rest_until_us = TA_MAX(d->lane->rest_until_us, until);
    ta_log(TA_LOG_WARN, "notify", "%s: %s; again in %.0f s", name, d->why, (double)d->pause_us / 1e6);
    return n->outbox.later(n->outbox.opaque, d->row.id, failures, ta_wall_us() + d->pause_us, d->why, err);
}

static void count(ta_notifier *n, const delivery *d)
{
    const char *name = d->lane->channel->name;
    atomic_fetch_add(d->outcome == SENT ? &n->sent : &n->failed, 1);
    if (d->outcome == DEAD) {
        atomic_fetch_add(&n->dead, 1);
        ta_log(TA_LOG_ERROR, "notify", "%s: a message is given up: %s", name, d->why);
    } else if (d->outcome == SENT) {
        ta_log(TA_LOG_VERBOSE, "notify", "%s: sent", name);
    }
}

/* Tells of all that is decided; the earliest time at which something is to be told again. */
static int64_t settle(ta_notifier *n)
{
    int64_t next = INT64_MAX; /* 0: a slot became free */
    for (delivery **p = &n->first; *p;) {
        delivery *d = *p;
        char text[TA_ERROR_TEXT];
        ta_error err;
        if (d->has_thread && !d->judged && atomic_load(&d->shown))
            judge_desktop(d);
        if (!d->judged || d->tell_at_us > ta_now_us()) {
            next = d->judged ? TA_MIN(next, d->tell_at_us) : next;
            p = &d->next;
            continue;
        }
        ta_error_clear(&err);
        if (tell(n, d, &err) < 0) {
            ta_log(TA_LOG_ERROR, "notify", "the outbox can't be told: %s", ta_error_string(&err, text, sizeof text));
            d->tell_at_us = ta_now_us() + second;
            continue;
        }
        count(n, d);
        d->lane->under_way--;
        atomic_fetch_sub(&n->under_way, 1);
        *p = d->next;
        free_delivery(d);
        next = 0;
    }
    return next;
}

/* ---- Taking rows ----------------------------------------------------------------------------------------------- */

/* Takes `row` over. */
static void start(ta_notifier *n, lane *l, ta_outbox_row *row)
{
    ta_error err;
    delivery *d = ta_alloc(sizeof *d);
    ta_error_clear(&err);
    if (!d) {
        l->rest_until_us = ta_now_us() + second;
        ta_free(row->notice);
        n->outbox.later(n->outbox.opaque, row->id, row->attempts, ta_wall_us() + second, "out of memory", &err);
        return;
    }
    d->lane = l;
    d->row = *row;
    d->notifier = n;
    d->next = n->first;
    n->first = d;
    l->under_way++;
    atomic_fetch_add(&n->under_way, 1);
    int r = ta_notify_message_make(&d->message, l->channel, row, &err);
    if (r == 0)
        r = l->channel->kind->protocol == TA_PROTOCOL_DESKTOP ? start_desktop(d, &err) : start_curl(d, &err);
    if (r < 0)
        decide(d, r == TA_ERR_DATA ? DEAD : LATER, err.text[0]);
}

/* Fills the free slots of a lane; when to look again. */
static int64_t fill(ta_notifier *n, lane *l)
{
    int slots = l->channel->kind->protocol == TA_PROTOCOL_DESKTOP ? 1 : SLOTS;
    while (l->under_way < slots) {
        char text[TA_ERROR_TEXT];
        ta_outbox_row row = { 0 };
        int64_t next = INT64_MAX, now = ta_wall_us();
        ta_error err;
        if (l->rest_until_us > ta_now_us())
            return l->rest_until_us;
        ta_error_clear(&err);
        int r = n->outbox.take(n->outbox.opaque, l->channel->name, now, &row, &next, &err);
        if (r < 0) {
            ta_log(TA_LOG_ERROR, "notify", "the outbox can't be read: %s", ta_error_string(&err, text, sizeof text));
            return ta_now_us() + second;
        }
        if (r == 0)
            return next == INT64_MAX ? INT64_MAX : ta_now_us() + TA_MAX(next - now, 0);
        start(n, l, &row);
    }
    return INT64_MAX;
}

static void collect(ta_notifier *n)
{
    int running, left;
    curl_multi_perform(n->multi, &running);
    for (CURLMsg *m; (m = curl_multi_info_read(n->multi, &left));) {
        delivery *d;
        if (m->msg == CURLMSG_DONE && curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &d) == CURLE_OK)
            judge(d, m->data.result);
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    return TA_MIN(a, b);
}

static void *run(void *opaque)
{
    ta_notifier *n = opaque;
    for (;;) {
        int64_t next = INT64_MAX;
        bool stop = atomic_load(&n->stop);
        for (size_t i = 0; !stop && i < n->lane_count; i++)
            next = earlier(next, fill(n, &n->lanes[i]));
        collect(n);
        next = earlier(next, settle(n));
        int64_t now = ta_now_us(), end = atomic_load(&n->end_us);
        if (stop && (!n->first || now >= end))
            return NULL;
        next = stop ? earlier(next, end) : next;
        int64_t wait = TA_CLAMP(next - now, 0, longest_wait_us);
        curl_multi_poll(n->multi, NULL, 0, (int)((wait + 999) / 1000), NULL);
    }
}

/* ---- Open and close -------------------------------------------------------------------------------------------- */

static int make_lanes(ta_notifier *n, const ta_notify_config *c, ta_error *err)
{
    n->lanes = ta_array(TA_MAX(c->count, 1), sizeof *n->lanes);
    if (!n->lanes)
        return ta_no_memory(err);
    n->lane_count = c->count;
    for (size_t i = 0; i < c->count; i++)
        n->lanes[i].channel = &c->channels[i];
    return 0;
}

int ta_notifier_open(ta_notifier **n, const ta_notify_config *c, const ta_outbox *outbox, int tries, ta_error *err)
{
    ta_notifier *fresh = ta_alloc(sizeof *fresh);
    *n = NULL;
    if (!fresh)
        return ta_no_memory(err);
    fresh->outbox = *outbox;
    fresh->tries = tries;
    int r = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : ta_no_memory(err);
    bool global = r == 0;
    if (r == 0)
        r = make_lanes(fresh, c, err);
    if (r == 0 && !(fresh->multi = curl_multi_init()))
        r = ta_no_memory(err);
    if (r == 0 && pthread_create(&fresh->thread, NULL, run, fresh))
        r = ta_fail(err, TA_ERR_AGAIN, "can't start a thread");
    if (r == 0) {
        *n = fresh;
        return 0;
    }
    curl_multi_cleanup(fresh->multi);
    ta_free(fresh->lanes);
    ta_free(fresh);
    if (global)
        curl_global_cleanup();
    return r;
}

void ta_notifier_wake(ta_notifier *n)
{
    curl_multi_wakeup(n->multi);
}

void ta_notifier_close(ta_notifier **n, int64_t grace_us)
{
    if (!n || !*n)
        return;
    atomic_store(&(*n)->end_us, ta_now_us() + TA_MAX(grace_us, 0));
    atomic_store(&(*n)->stop, true);
    ta_notifier_wake(*n);
    pthread_join((*n)->thread, NULL);
    for (delivery *d; (d = (*n)->first);) {
        (*n)->first = d->next;
        free_delivery(d);
    }
    curl_multi_cleanup((*n)->multi);
    ta_free((*n)->lanes);
    ta_freep(n);
    curl_global_cleanup();
}

void ta_notifier_get_stats(const ta_notifier *n, ta_notifier_stats *s)
{
    *s = (ta_notifier_stats){ atomic_load(&n->sent), atomic_load(&n->failed), atomic_load(&n->dead),
                              atomic_load(&n->under_way) };
}
