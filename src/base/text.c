/* The growing buffer, small string helpers and the nearest-word search. */
#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Makes room for `more` bytes and the NUL. */
static bool reserve(ta_buf *b, size_t more)
{
    if (b->failed || more > SIZE_MAX / 2 - b->len - 1) {
        b->failed = true;
        return false;
    }
    size_t need = b->len + more + 1;
    if (need <= b->cap)
        return true;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need)
        cap *= 2;
    char *data = ta_resize(b->data, cap, 1);
    b->failed = !data;
    if (!data)
        return false;
    b->data = data;
    b->cap = cap;
    return true;
}

void ta_buf_add(ta_buf *b, const char *s)
{
    ta_buf_addn(b, s, strlen(s));
}

void ta_buf_addn(ta_buf *b, const char *s, size_t n)
{
    if (!reserve(b, n))
        return;
    memcpy(b->data + b->len, s, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void ta_buf_addf(ta_buf *b, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len < 0) {
        b->failed = true;
        return;
    }
    if (!reserve(b, (size_t)len))
        return;
    va_start(args, fmt);
    vsnprintf(b->data + b->len, (size_t)len + 1, fmt, args);
    va_end(args);
    b->len += (size_t)len;
}

void ta_buf_free(ta_buf *b)
{
    ta_free(b->data);
    *b = (ta_buf){ 0 };
}

char *ta_buf_take(ta_buf *b)
{
    if (!b->data)
        ta_buf_addn(b, "", 0);
    char *s = b->failed ? NULL : b->data;
    if (s)
        b->data = NULL;
    ta_buf_free(b);
    return s;
}

bool ta_streq(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

bool ta_starts(const char *s, const char *prefix)
{
    return !strncmp(s, prefix, strlen(prefix));
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool ta_ends(const char *s, const char *suffix)
{
    size_t len = strlen(s), n = strlen(suffix);

    if (n > len)
        return false;
    for (s += len - n; *s; s++, suffix++)
        if (lower(*s) != lower(*suffix))
            return false;
    return true;
}

/* The length that a lead byte announces; 0 for what can't be one. */
static size_t announced(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2 || lead > 0xF4)
        return 0;
    return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

size_t ta_utf8_char(const char *s, size_t n)
{
    const unsigned char *u = (const unsigned char *)s;
    size_t len = n ? announced(u[0]) : 0;

    if (!len || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((u[i] & 0xC0) != 0x80)
            return 0;
    /* Overlong forms, surrogates and what is above U+10FFFF (RFC 3629, section 4) */
    if ((u[0] == 0xE0 && u[1] < 0xA0) || (u[0] == 0xED && u[1] > 0x9F) || (u[0] == 0xF0 && u[1] < 0x90) ||
        (u[0] == 0xF4 && u[1] > 0x8F))
        return 0;
    return len;
}

char *ta_utf8_clean(const char *s)
{
    ta_buf b = { 0 };
    if (!s)
        return NULL;
    for (size_t left = strlen(s); left > 0;) {
        size_t n = ta_utf8_char(s, left);
        if (n)
            ta_buf_addn(&b, s, n);
        else
            ta_buf_add(&b, "\xEF\xBF\xBD");
        n = n ? n : 1;
        s += n;
        left -= n;
    }
    return ta_buf_take(&b);
}

size_t ta_utf8_trim(char *s)
{
    size_t len = strlen(s), back = 0;

    /* The last lead byte is at most 3 continuation bytes from the end. */
    while (back < 3 && back < len && ((unsigned char)s[len - 1 - back] & 0xC0) == 0x80)
        back++;
    if (back == len)
        return len;
    unsigned char lead = (unsigned char)s[len - 1 - back];
    size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (back + 1 < want)
        s[len -= back + 1] = '\0';
    return len;
}

enum { WORD_MAX = 63 };

/* Damerau-Levenshtein distance with unrestricted transpositions (Lowrance and Wagner, "An extension of the
 * string-to-string correction problem", JACM 22(2), 1975). Both at most WORD_MAX long; ASCII case is ignored. */
static int distance(const char *a, size_t la, const char *b, size_t lb)
{
    unsigned char d[WORD_MAX + 2][WORD_MAX + 2];
    unsigned char last_row[256] = { 0 };
    const unsigned char far = (unsigned char)(la + lb);

    d[0][0] = far;
    for (size_t i = 0; i <= la; i++) {
        d[i + 1][0] = far;
        d[i + 1][1] = (unsigned char)i;
    }
    for (size_t j = 0; j <= lb; j++) {
        d[0][j + 1] = far;
        d[1][j + 1] = (unsigned char)j;
    }
    for (size_t i = 1; i <= la; i++) {
        size_t last_column = 0;
        for (size_t j = 1; j <= lb; j++) {
            size_t row = last_row[(unsigned char)lower(b[j - 1])], column = last_column;
            bool same = lower(a[i - 1]) == lower(b[j - 1]);
            int best = d[i][j] + !same;
            int one_off = (d[i + 1][j] < d[i][j + 1] ? d[i + 1][j] : d[i][j + 1]) + 1;
            int swapped = d[row][column] + (int)(i - row - 1) + 1 + (int)(j - column - 1);
            best = one_off < best ? one_off : best;
            d[i + 1][j + 1] = (unsigned char)(swapped < best ? swapped : best);
            if (same)
                last_column = j;
        }
        last_row[(unsigned char)lower(a[i - 1])] = (unsigned char)i;
    }
    return d[la + 1][lb + 1];
}

const char *ta_nearest(const char *word, const char *const *words)
{
    size_t len = strlen(word);
    int best = len / 3 > 2 ? (int)(len / 3) : 2;
    const char *nearest = NULL;

    if (len > WORD_MAX)
        return NULL;
    for (; *words; words++) {
        size_t n = strlen(*words);
        int longer = (int)(n > len ? n : len);
        int d = n > WORD_MAX ? INT32_MAX : distance(word, len, *words, n);
        /* Words that share nothing are never meant, however short. */
        if (d < longer && (d < best || (d == best && !nearest))) {
            best = d;
            nearest = *words;
        }
    }
    return nearest;
}
