/* Strings: a growing buffer, small helpers, nearest-word search, times and sizes as people write them. */
#ifndef TA_BASE_TEXT_H
#define TA_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

/* A growing string. Zero-initialise; free with ta_buf_free. After a failed allocation `failed` is set and further
 * appends do nothing, so one check at the end is enough. `data` is terminated, or NULL while empty. */
typedef struct ta_buf {
    char *data;
    size_t len, cap;
    bool failed;
} ta_buf;

void ta_buf_add(ta_buf *b, const char *s);
void ta_buf_addn(ta_buf *b, const char *s, size_t n);
void ta_buf_addf(ta_buf *b, const char *fmt, ...) TA_PRINTF(2, 3);
void ta_buf_free(ta_buf *b);
/* Hands the string over to the caller (ta_free); "" becomes an empty string, NULL only when an append failed. */
char *ta_buf_take(ta_buf *b);

bool ta_streq(const char *a, const char *b); /* NULL equals only NULL */
bool ta_starts(const char *s, const char *prefix);
bool ta_ends(const char *s, const char *suffix); /* ASCII case is ignored */

/* Length of the UTF-8 character that `s` (of `n` bytes) starts with; 0 when it is none (RFC 3629). */
size_t ta_utf8_char(const char *s, size_t n);
/* A copy in which each byte that is no UTF-8 is U+FFFD: a file name that JSON can hold (ta_free). NULL of NULL, or out
 * of memory. */
char *ta_utf8_clean(const char *s);
/* Removes an incomplete UTF-8 character from the end of `s`, as a cut leaves it. Returns the new length. */
size_t ta_utf8_trim(char *s);

/* The word of `words` (NULL-terminated) nearest to `word` by Damerau-Levenshtein distance, when it is near enough to
 * be meant (distance <= max(2, length/3), and not every letter differs); else NULL. ASCII case is ignored. */
const char *ta_nearest(const char *word, const char *const *words);

/* "90", "1:30", "00:01:30.5", "90s", "1500ms", "2m", "1h" to microseconds (the nearest). False when it is none of
 * these; then `us` is not touched. Minutes and seconds behind a colon are below 60; a sign is refused. */
bool ta_parse_time(const char *s, int64_t *us);
/* Microseconds as "HH:MM:SS.mmm" into `out` (at least 24 bytes). Returns `out`. */
char *ta_print_time(int64_t us, char *out);
/* "512", "64K", "1.5G", "2GiB" to bytes (powers of 1024; case and a space before the unit don't
 * matter). False when it is none of these; then `bytes` is not touched. */
bool ta_parse_size(const char *s, int64_t *bytes);
/* Bytes as "1.5 GiB" into `out` (at least 24 bytes). Returns `out`. */
char *ta_print_size(int64_t bytes, char *out);
/* Seconds as "3 s", "2 min 05 s", "1 h 04 min", "3 d 4 h" into `out` (at least 32 bytes); "unknown" when negative or
 * not a number. Returns `out`. */
char *ta_print_span(double seconds, char *out);

#endif
