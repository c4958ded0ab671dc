/* A queue as verbs use it: through its owner, or, where nobody owns it, the folder itself. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "queue/request.h"
#include "queue/wire.h"

enum { TRY_US = 20000, PATIENCE_US = 10000000 };

struct ta_client {
    ta_wire wire; /* fd -1: no owner */
    ta_jobs *q;
};

/* 0, or TA_ERR_AGAIN while another verb has the folder or its owner does not listen yet. */
static int try_open(ta_client *c, const char *dir, bool *busy, ta_error *err)
{
    *busy = false;
    c->wire.fd = ta_wire_connect(dir);
    return c->wire.fd >= 0 ? 0 : ta_jobs_open(&c->q, dir, busy, err);
}

int ta_client_open(ta_client **out, const char *dir, ta_cancel *cancel, ta_error *err)
{
    int64_t end = ta_now_us() + PATIENCE_US;
    bool busy = false;
    *out = NULL;
    ta_client *c = ta_alloc(sizeof *c);
    if (!c)
        return ta_no_memory(err);
    c->wire.cancel = cancel;
    c->wire.extra = -1;
    int r;
    while ((r = try_open(c, dir, &busy, err)) < 0 && busy && ta_now_us() < end)
        if (ta_cancel_wait(cancel, TRY_US)) {
            r = ta_fail(err, TA_ERR_CANCELLED, "interrupted");
            break;
        }
    if (r < 0)
        ta_client_close(&c);
    *out = c;
    return r;
}

void ta_client_close(ta_client **c)
{
    if (!*c)
        return;
    ta_wire_close(&(*c)->wire);
    ta_jobs_close(&(*c)->q);
    ta_freep(c);
}

bool ta_client_has_owner(const ta_client *c)
{
    return c->wire.fd >= 0;
}

static int read_reply(ta_client *c, json_t **reply, ta_error *err)
{
    int r = ta_wire_read(&c->wire, reply, NULL, err);
    if (r < 0)
        return r;
    if (r == 0)
        return ta_cancelled(c->wire.cancel)
                   ? ta_fail(err, TA_ERR_CANCELLED, "interrupted")
                   : ta_fail(err, TA_ERR_UNAVAILABLE, "the process that owned the queue has ended");
    const json_t *error = json_object_get(*reply, "error");
    if (!error)
        return 0;
    r = ta_wire_fail(error, err);
    json_decref(*reply);
    *reply = NULL;
    return r;
}

int ta_client_request(ta_client *c, const json_t *request, json_t **reply, ta_error *err)
{
    *reply = NULL;
    if (c->q)
        return ta_jobs_request(c->q, request, reply, err);
    int r = ta_wire_write(&c->wire, request, err);
    return r < 0 ? r : read_reply(c, reply, err);
}

int ta_client_watch(ta_client *c, bool (*fn)(void *opaque, const json_t *event), void *opaque, ta_error *err)
{
    if (c->q) {
        ta_fail(err, TA_ERR_UNAVAILABLE, "no process runs this queue, so nothing happens in it");
        return ta_hint(err, "`terminalai work` runs it; `terminalai queue list` shows it as it is");
    }
    json_t *line = json_pack("{s:s}", "do", "watch");
    int r = line ? ta_wire_write(&c->wire, line, err) : ta_no_memory(err);
    json_decref(line);
    for (bool more = true; r >= 0 && more;) {
        r = read_reply(c, &line, err);
        more = r >= 0 && fn(opaque, line);
        if (r >= 0)
            json_decref(line);
    }
    return r;
}
