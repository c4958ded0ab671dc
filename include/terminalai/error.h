/* Errors and exit codes of TerminalAI.
 *
 * A function that can fail returns 0 or a negative ta_status and, when the caller gave a ta_error, fills it with a
 * chain of reasons, the outermost first, and a hint: what the user can do. A ta_error owns no memory: it may live on
 * the stack, be copied by assignment and be dropped. It is not thread safe; each thread uses its own. */
#ifndef TERMINALAI_ERROR_H
#define TERMINALAI_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/* Status codes. The negated value is the exit code of the program (sysexits.h), so that schedulers know what to
 * retry: only TA_ERR_AGAIN is worth another try with the same input. */
typedef enum ta_status {
    TA_OK = 0,
    TA_ERR_USAGE = -64,       /* wrong command line, unknown or contradictory setting */
    TA_ERR_DATA = -65,        /* the input is broken or of a kind that can't be restored */
    TA_ERR_NOINPUT = -66,     /* the input does not exist or can't be read */
    TA_ERR_UNAVAILABLE = -69, /* an engine, encoder, model or device is missing */
    TA_ERR_SOFTWARE = -70,    /* a defect of this program */
    TA_ERR_CANTCREATE = -73,  /* the output can't be created, or it exists */
    TA_ERR_IO = -74,          /* reading or writing failed */
    TA_ERR_AGAIN = -75,       /* out of disk space or memory, or another job holds the lock: try again later */
    TA_ERR_NOPERM = -77,      /* not allowed */
    TA_ERR_CONFIG = -78,      /* a configuration file or preset is wrong */
    TA_ERR_CANCELLED = -130   /* ended by the user (SIGINT, SIGTERM, cancel) */
} ta_status;

enum { TA_ERROR_DEPTH = 4, TA_ERROR_TEXT = 480 };

/* A chain of reasons. text[0] is the outermost context, text[depth-1] the root cause. */
typedef struct ta_error {
    ta_status code;
    int depth;
    char text[TA_ERROR_DEPTH][TA_ERROR_TEXT];
    char hint[TA_ERROR_TEXT];
} ta_error;

#if defined(__GNUC__)
#define TA_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define TA_PRINTF(fmt, args)
#endif

/* Empties `err`. NULL is allowed. */
void ta_error_clear(ta_error *err);

/* Sets `err` to one root cause and returns `code`. Replaces what was there. `err` may be NULL. Text that is too long
 * is cut at a UTF-8 boundary. */
int ta_fail(ta_error *err, ta_status code, const char *fmt, ...) TA_PRINTF(3, 4);

/* Puts a context in front of the chain ("tape.mpg, stream 1, at 00:01:02.500") and returns the code of `err`. When
 * the chain is full the context next to the root is dropped. With `err` NULL returns the code of this thread's last
 * ta_fail. */
int ta_wrap(ta_error *err, const char *fmt, ...) TA_PRINTF(2, 3);

/* Says what to do about it. An earlier hint is kept when `fmt` is NULL, else replaced. Returns the code of `err`;
 * with `err` NULL that of this thread's last ta_fail. */
int ta_hint(ta_error *err, const char *fmt, ...) TA_PRINTF(2, 3);

/* Writes "context: cause (hint)" into `out` (always terminated). Returns `out`. */
char *ta_error_string(const ta_error *err, char *out, unsigned long size);

/* The process exit code for a status: 0 for TA_OK, else the sysexits number. */
int ta_exit_code(int status);

/* A short name for a status ("bad input"). Static storage; never NULL. */
const char *ta_status_name(int status);

#ifdef __cplusplus
}
#endif
#endif
