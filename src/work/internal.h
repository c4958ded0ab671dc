/* Shared inside work only: messages, the channel they go through, processes. */
#ifndef TA_WORK_INTERNAL_H
#define TA_WORK_INTERNAL_H

#include <jansson.h>
#include <sys/types.h>

#include "work/work.h"

/* ---- Messages (message.c) ---------------------------------------------------------------------------------------- */

enum { TA_WORK_PROTOCOL = 1, TA_CHANNEL_FD = 3, TA_MESSAGE_BYTES = 128 << 10, TA_MESSAGE_FDS = 16 };

typedef enum ta_message_type {
    TA_MSG_HELLO,    /* worker: protocol, version, pid */
    TA_MSG_ORDER,    /* crew: an order, with descriptors */
    TA_MSG_PLANNED,  /* worker: the name of the output */
    TA_MSG_PROGRESS, /* worker */
    TA_MSG_ALIVE,    /* worker: how much work was done so far, whatever its kind */
    TA_MSG_END,      /* worker: code and message */
    TA_MSG_CANCEL,   /* crew */
    TA_MSG_PAUSE,    /* crew: on or off */
    TA_MSG_QUIT,     /* crew: end when there is no job */
    TA_MSG_COUNT
} ta_message_type;

/* A message that was read. Texts point into `body`. Of the fields only those of its type are filled. */
typedef struct ta_message {
    ta_message_type type;
    json_t *body;
    const char *id;
    int protocol, pid; /* hello */
    const char *version;
    const char *input, *output, *folder, *sandbox; /* order; output also of planned */
    json_t *settings, *reads;
    int threads;
    int stage; /* progress */
    double fraction, fps, eta;
    json_int_t frames, work; /* progress; alive */
    int code;                /* end */
    const char *text;
    int on; /* pause */
} ta_message;

/* Reads one line. TA_ERR_DATA: no JSON, an unknown type, a field that is missing or of another kind or out of its
 * range. */
int ta_message_parse(ta_message *m, const char *line, size_t size, ta_error *err);
void ta_message_free(ta_message *m);

/* ---- The channel (channel.c) ------------------------------------------------------------------------------------- */

/* One end of a SOCK_SEQPACKET pair: a packet is a message, one JSON line; descriptors travel with the message that
 * names them. */
typedef struct ta_channel {
    int fd;
    char *buffer;            /* TA_MESSAGE_BYTES */
    int fds[TA_MESSAGE_FDS]; /* that came with the last message; the reader's to close (ta_channel_drop_fds) */
    int fd_count;
} ta_channel;

int ta_channel_open(ta_channel *c, int fd, ta_error *err);
void ta_channel_close(ta_channel *c);
/* Takes the next message: 1; 0 at the end (the other side is gone); TA_ERR_AGAIN when nothing is there now and the
 * socket doesn't block; TA_ERR_DATA for what is no message or too long. */
int ta_channel_receive(ta_channel *c, ta_message *m, ta_error *err);
void ta_channel_drop_fds(ta_channel *c);
/* Sends `o`, which is released (NULL = out of memory). A message is sent whole or not at all. TA_ERR_AGAIN when the
 * other side doesn't read and `wait` is false; TA_ERR_IO when it is gone. */
int ta_channel_send(int fd, json_t *o, const int *fds, int fd_count, bool wait, ta_error *err);

/* ---- Processes (process.c) --------------------------------------------------------------------------------------- */

typedef struct ta_process {
    pid_t pid;  /* 0 = none */
    int pidfd;  /* readable when it has ended */
    int socket; /* our end of the channel, non-blocking */
    int log;    /* what it writes to stdout and stderr, non-blocking */
} ta_process;

/* Starts `program` with these words (argv[0] first): descriptor 0 /dev/null, 1 and 2 the log, 3 the channel, nothing
 * else open; all signals as at login, a process group of its own. */
int ta_process_start(ta_process *p, const char *program, char *const *words, ta_error *err);
/* Takes the status of a process that has ended (waitpid). */
int ta_process_reap(ta_process *p);
/* Bytes of memory that it holds (RSS); 0 when not known. */
int64_t ta_process_memory(const ta_process *p);
/* Closes all descriptors; a process that still runs is killed and waited for first. */
void ta_process_close(ta_process *p);
/* "signal 9 (Killed)" or "exit code 70", of a wait status, into `out`. */
char *ta_process_ending(int status, char *out, size_t size);

/* Milliseconds to wait before try `n` (1 = the first repetition): `first`, doubled each time, at most 30 s. */
int ta_backoff_ms(int first, int n);

#endif
