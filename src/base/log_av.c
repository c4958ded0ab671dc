/* Routes libav's log to ours. libav prints lines in pieces, so the pieces of each thread are gathered until the end
 * of the line. The one file of base that knows libav, and only its log. */
#include "base/log_av.h"

#include <libavutil/log.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

/* The line that this thread is putting together. */
static _Thread_local struct {
    char text[1024];
    size_t len;
} piece;

/* A damaged tape makes libav complain for each block: after these, complaints are for --log-level verbose only. What is
 * broken is counted and reported by who reads it. */
enum { SHOWN_ERRORS = 8 };
static atomic_int errors;

static ta_log_level our_level(int level)
{
    /* Most warnings of libav are noise to a user, and its info (encoder statistics, stream dumps) is detail. */
    return level <= AV_LOG_ERROR     ? atomic_load(&errors) < SHOWN_ERRORS ? TA_LOG_ERROR : TA_LOG_VERBOSE
           : level <= AV_LOG_WARNING ? TA_LOG_VERBOSE
                                     : TA_LOG_DEBUG;
}

static const char *speaker(void *object)
{
    const AVClass *class = object ? *(const AVClass *const *)object : NULL;
    const char *name = class && class->item_name ? class->item_name(object) : NULL;
    return name ? name : "libav";
}

static void take_piece(void *object, int level, const char *fmt, va_list args)
{
    if (level >= 0)
        level &= 0xFF; /* above are colour bits */
    if (level > AV_LOG_VERBOSE || our_level(level) > ta_log_get_level())
        return;
    size_t room = sizeof(piece.text) - piece.len;
    int n = vsnprintf(piece.text + piece.len, room, fmt, args);
    piece.len = n < 0 ? piece.len : (size_t)n < room ? piece.len + (size_t)n : sizeof(piece.text) - 1;
    bool whole = piece.len && piece.text[piece.len - 1] == '\n';
    if (!whole && piece.len < sizeof(piece.text) - 1)
        return;
    piece.text[piece.len] = '\0';
    ta_utf8_trim(piece.text);
    piece.len = 0;
    ta_log_level shown = our_level(level);
    ta_log(shown, speaker(object), "%s", piece.text);
    if (shown == TA_LOG_ERROR && atomic_fetch_add(&errors, 1) == SHOWN_ERRORS - 1)
        ta_log(TA_LOG_WARN, "libav", "more of its errors are shown with --log-level verbose");
}

void ta_log_route_libav(void)
{
    av_log_set_callback(take_piece);
}
