/* Times and sizes as people write them, without regard to the locale and in exact integer arithmetic. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

__extension__ typedef unsigned __int128 wide;

enum { NANO = 1000000000 };

/* An unsigned decimal number. */
struct decimal {
    uint64_t whole;
    uint32_t nano; /* the fraction in 1e-9, cut */
    bool has_fraction;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads digits, and with `fraction` ".digits" behind them. Returns what follows, or NULL. */
static const char *read_decimal(const char *s, bool fraction, struct decimal *d)
{
    *d = (struct decimal){ 0 };
    if (!is_digit(*s))
        return NULL;
    for (; is_digit(*s); s++) {
        unsigned digit = (unsigned)(*s - '0');
        if (d->whole > (UINT64_MAX - digit) / 10)
            return NULL;
        d->whole = d->whole * 10 + digit;
    }
    if (*s != '.' || !fraction)
        return s;
    if (!is_digit(*++s))
        return NULL;
    d->has_fraction = true;
    for (uint32_t unit = NANO / 10; is_digit(*s); s++, unit /= 10)
        d->nano += unit * (uint32_t)(*s - '0');
    return s;
}

/* d * unit, rounded to nearest. False when it is out of range. */
static bool scale(const struct decimal *d, int64_t unit, int64_t *out)
{
    wide x = (wide)d->whole * (wide)unit + ((wide)d->nano * (wide)unit + NANO / 2) / NANO;

    if (x > INT64_MAX)
        return false;
    *out = (int64_t)x;
    return true;
}

/* "M:SS[.f]" or "H:MM:SS[.f]": the first field is free, the others are below 60. */
static bool parse_clock(const char *s, int64_t *us)
{
    struct decimal d;
    uint64_t minutes = 0;
    int colons = 0;

    for (;; s++) {
        s = read_decimal(s, true, &d);
        if (!s || (colons && d.whole >= 60))
            return false;
        if (*s != ':')
            break;
        if (d.has_fraction || ++colons > 2 || d.whole > (uint64_t)INT64_MAX / 60000000 ||
            minutes > (uint64_t)INT64_MAX / 60000000)
            return false;
        minutes = minutes * 60 + d.whole;
    }
    if (*s || !colons || minutes > (uint64_t)INT64_MAX / 60000000)
        return false;
    d.whole += minutes * 60;
    return scale(&d, 1000000, us);
}

bool ta_parse_time(const char *s, int64_t *us)
{
    static const struct {
        const char *name;
        int64_t us;
    } units[] = { { "", 1000000 }, { "s", 1000000 }, { "ms", 1000 }, { "m", 60000000 }, { "h", 3600000000 } };
    struct decimal d;

    if (!s)
        return false;
    if (strchr(s, ':'))
        return parse_clock(s, us);
    s = read_decimal(s, true, &d);
    for (size_t i = 0; s && i < sizeof(units) / sizeof(units[0]); i++)
        if (!strcmp(s, units[i].name))
            return scale(&d, units[i].us, us);
    return false;
}

char *ta_print_time(int64_t us, char *out)
{
    uint64_t ms = us < 0 ? -(uint64_t)us : (uint64_t)us;

    ms = ms / 1000 + (ms % 1000 >= 500);
    uint64_t s = ms / 1000;
    snprintf(out, 24, "%s%02llu:%02u:%02u.%03u", us < 0 && ms ? "-" : "", (unsigned long long)(s / 3600),
             (unsigned)(s / 60 % 60), (unsigned)(s % 60), (unsigned)(ms % 1000));
    return out;
}

bool ta_parse_size(const char *s, int64_t *bytes)
{
    static const char letters[] = "kmgtpe";
    struct decimal d;
    int64_t unit = 1;

    s = s ? read_decimal(s, true, &d) : NULL;
    if (!s)
        return false;
    if (*s == ' ' && s[1])
        s++;
    const char *letter = *s ? strchr(letters, *s | 0x20) : NULL;
    if (letter) {
        unit <<= 10 * (letter - letters + 1);
        s += s[1] == 'i' && (s[2] | 0x20) == 'b' ? 2 : 1;
    }
    if ((*s | 0x20) == 'b')
        s++;
    if (*s || (unit == 1 && d.has_fraction))
        return false;
    return scale(&d, unit, bytes);
}

char *ta_print_size(int64_t bytes, char *out)
{
    static const char letters[] = "KMGTPE";
    uint64_t n = bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes;
    const char *sign = bytes < 0 ? "-" : "";
    uint64_t tenths = 0;
    int power = -1;

    if (n < 1024) {
        snprintf(out, 24, "%s%u B", sign, (unsigned)n);
        return out;
    }
    /* The next larger unit when the rounded figure would be "1024.0". */
    do {
        power++;
        tenths = (uint64_t)(((wide)n * 10 + ((wide)512 << (10 * power))) >> (10 * (power + 1)));
    } while (tenths >= 10240);
    snprintf(out, 24, "%s%u.%u %ciB", sign, (unsigned)(tenths / 10), (unsigned)(tenths % 10), letters[power]);
    return out;
}

char *ta_print_span(double seconds, char *out)
{
    enum { ROOM = 32 };

    if (!(seconds >= 0 && seconds < 1e12)) {
        snprintf(out, ROOM, "unknown");
        return out;
    }
    /* Rounded to the smaller unit that is shown, which may carry into the larger one. */
    int64_t s = llround(seconds), m = llround(seconds / 60), h = llround(seconds / 3600);
    if (s < 60)
        snprintf(out, ROOM, "%d s", (int)s);
    else if (s < 3600)
        snprintf(out, ROOM, "%d min %02d s", (int)(s / 60), (int)(s % 60));
    else if (m < 24 * 60)
        snprintf(out, ROOM, "%d h %02d min", (int)(m / 60), (int)(m % 60));
    else
        snprintf(out, ROOM, "%lld d %d h", (long long)(h / 24), (int)(h % 24));
    return out;
}
