/* The log: levels, text or JSON lines, to stderr or a callback. Lines from any thread are written whole, never
 * interleaved. Thread safe. A line over 4096 bytes is cut. */
#ifndef TA_BASE_LOG_H
#define TA_BASE_LOG_H

#include <stdbool.h>

#include "terminalai/error.h"

typedef enum ta_log_level { TA_LOG_ERROR, TA_LOG_WARN, TA_LOG_INFO, TA_LOG_VERBOSE, TA_LOG_DEBUG } ta_log_level;

/* Where lines go. `text` is valid during the call only. Called under the log's lock: must not log. */
typedef void (*ta_log_sink)(void *opaque, ta_log_level level, const char *where, const char *text);

/* Sets the least level shown and the form: plain text ("warning: decode: ...") or JSON lines
 * {"time","level","where","message"}. Also routes libav's own log here (its warnings become verbose lines, as most
 * are noise to a user; its errors stay). */
void ta_log_setup(ta_log_level level, bool json);
ta_log_level ta_log_get_level(void);
/* Replaces stderr by `sink`; NULL restores stderr. */
void ta_log_set_sink(ta_log_sink sink, void *opaque);
/* `where` is the part that speaks ("decode", "mux"); a short literal. */
void ta_log(ta_log_level level, const char *where, const char *fmt, ...) TA_PRINTF(3, 4);
/* False when `name` is not a level ("error", "warning", "info", "verbose", "debug"). */
bool ta_log_parse_level(const char *name, ta_log_level *level);

/* Called before and after each line on stderr so that a progress line can be wiped and drawn again; NULL for none. */
void ta_log_set_line_hooks(void (*before)(void *), void (*after)(void *), void *opaque);

#endif
