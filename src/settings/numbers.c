/* Numbers as people write them in settings, and back: exact, and the same in every locale. */
#include "settings/values.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The library may run in a program whose locale writes 0,5. uselocale changes this thread only. */
static locale_t enter_c_locale(locale_t *made)
{
    *made = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return *made ? uselocale(*made) : (locale_t)0;
}

static void leave_c_locale(locale_t old, locale_t made)
{
    if (!made)
        return;
    uselocale(old);
    freelocale(made);
}

/* strtod also takes "inf", "nan", hexadecimal and leading spaces, which nobody means here. */
bool ta_parse_real(const char *text, double *out)
{
    size_t n = strlen(text);
    if (!n || n > 64 || strspn(text, "0123456789.+-eE") != n)
        return false;
    locale_t made, old = enter_c_locale(&made);
    char *end = NULL;
    double x = strtod(text, &end);
    leave_c_locale(old, made);
    if (*end || end == text || !isfinite(x))
        return false;
    *out = x == 0 ? 0 : x; /* no negative zero */
    return true;
}

bool ta_parse_whole(const char *text, int64_t *out)
{
    size_t n = strlen(text), sign = *text == '-' || *text == '+';
    if (n == sign || n > 20 || strspn(text + sign, "0123456789") != n - sign)
        return false;
    errno = 0;
    long long x = strtoll(text, NULL, 10);
    if (errno)
        return false;
    *out = x;
    return true;
}

char *ta_print_real(double x, char *out)
{
    locale_t made, old = enter_c_locale(&made);
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, 32, "%.*g", digits, x);
        if (strtod(out, NULL) == x)
            break;
    }
    leave_c_locale(old, made);
    return out;
}

char *ta_print_moment(int64_t us, char *out)
{
    int64_t s = us / 1000000, part = us % 1000000;
    int n = snprintf(out, 32, "%02" PRId64 ":%02d:%02d", s / 3600, (int)(s / 60 % 60), (int)(s % 60));
    if (part % 1000)
        snprintf(out + n, 32 - (size_t)n, ".%06d", (int)part);
    else
        snprintf(out + n, 32 - (size_t)n, ".%03d", (int)(part / 1000));
    return out;
}

static char *print_in_units(int64_t x, int64_t step, const char *units, char *out)
{
    size_t u = 0, last = strlen(units);
    while (x && u < last && x % step == 0) {
        x /= step;
        u++;
    }
    snprintf(out, 32, "%" PRId64 "%.1s", x, u ? units + u - 1 : "");
    return out;
}

char *ta_print_bytes(int64_t bytes, char *out)
{
    return print_in_units(bytes, 1024, "KMGT", out);
}

char *ta_print_rate(int64_t bits, char *out)
{
    return print_in_units(bits, 1000, "k", out);
}

int ta_parse_numbers(const char *text, double *out, int max)
{
    int n = 0;
    for (const char *p = text;; p++) {
        char word[65];
        size_t len = strcspn(p, ":");
        if (n == max || len >= sizeof word)
            return -1;
        memcpy(word, p, len);
        word[len] = 0;
        if (!ta_parse_real(word, &out[n++]))
            return -1;
        p += len;
        if (!*p)
            return n;
    }
}

/* Length of the UTF-8 sequence at `p`, 0 when it is malformed (RFC 3629: no surrogates, no overlong forms). */
static size_t utf8_length(const unsigned char *p)
{
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xC2 && p[0] <= 0xDF ? 2 : (p[0] & 0xF0) == 0xE0 ? 3 : p[0] >= 0xF0 && p[0] <= 0xF4 ? 4 : 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    bool overlong = (p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xF0 && p[1] < 0x90);
    bool outside = (p[0] == 0xED && p[1] > 0x9F) || (p[0] == 0xF4 && p[1] > 0x8F);
    return overlong || outside ? 0 : n;
}

bool ta_text_is_clean(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        size_t n = utf8_length(p);
        if (!n || *p < 0x20 || *p == 0x7F)
            return false;
        p += n;
    }
    return true;
}
