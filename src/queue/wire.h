/* JSON lines over a Unix socket: the same for owner and client. Private to queue. */
#ifndef TA_QUEUE_WIRE_H
#define TA_QUEUE_WIRE_H

#include <jansson.h>
#include <sys/socket.h>

#include "base/base.h"

enum { TA_WIRE_MAX = 32 << 20 }; /* bytes of a line */

typedef struct ta_wire {
    int fd;
    ta_cancel *cancel;
    int extra; /* another descriptor to watch while waiting to read, -1 = none */
    ta_buf in;
    size_t used; /* of `in`: lines that were handed out */
} ta_wire;

/* A socket bound or connected to FOLDER/queue.sock, however long that path is. The descriptor or -1 and errno. */
int ta_wire_listen(const char *dir);
int ta_wire_connect(const char *dir);

/* The next line as JSON. 1; 0 at the end of the stream, when cancelled, or, with nothing read, when `extra` became
 * readable (then *line is NULL and *extra true); TA_ERR_DATA (no JSON, too long), TA_ERR_IO. */
int ta_wire_read(ta_wire *w, json_t **line, bool *extra, ta_error *err);
/* Sends it as one line. TA_ERR_IO when the other side is gone or reads nothing for half a minute. */
int ta_wire_write(ta_wire *w, const json_t *line, ta_error *err);
int ta_wire_send(ta_wire *w, const char *data, size_t size, ta_error *err);
void ta_wire_close(ta_wire *w);

/* {"error": {...}} of an error, and back. */
json_t *ta_wire_error(int code, const ta_error *err);
int ta_wire_fail(const json_t *error, ta_error *err);

#endif
