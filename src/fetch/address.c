/* Which addresses are nobody's business: IANA's registries of special-purpose IPv4 and IPv6 addresses (RFC 6890 and its
 * updates). What isn't known to be public is refused. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fetch/internal.h"

typedef struct range4 {
    uint32_t address;
    int bits;
    const char *what;
} range4;

#define IP4(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

static const char private_address[] = "a private address", reserved[] = "a reserved address";

static const range4 special4[] = {
    { IP4(0, 0, 0, 0), 8, "an address of this machine" },
    { IP4(10, 0, 0, 0), 8, private_address },
    { IP4(100, 64, 0, 0), 10, private_address },
    { IP4(127, 0, 0, 0), 8, "an address of this machine" },
    { IP4(169, 254, 0, 0), 16, "a link-local address" },
    { IP4(172, 16, 0, 0), 12, private_address },
    { IP4(192, 0, 0, 0), 24, reserved },
    { IP4(192, 0, 2, 0), 24, reserved },
    { IP4(192, 88, 99, 0), 24, reserved },
    { IP4(192, 168, 0, 0), 16, private_address },
    { IP4(198, 18, 0, 0), 15, reserved },
    { IP4(198, 51, 100, 0), 24, reserved },
    { IP4(203, 0, 113, 0), 24, reserved },
    { IP4(224, 0, 0, 0), 4, "a multicast address" },
    { IP4(240, 0, 0, 0), 4, reserved },
};

static const char *special_4(uint32_t address)
{
    for (size_t i = 0; i < TA_COUNT(special4); i++)
        if ((address ^ special4[i].address) >> (32 - special4[i].bits) == 0)
            return special4[i].what;
    return NULL;
}

/* Do the first `bits` of the address equal `prefix`? */
static bool begins(const uint8_t *address, const char *prefix, int bits)
{
    struct in6_addr p;
    inet_pton(AF_INET6, prefix, &p);
    for (int i = 0; i < bits; i++)
        if ((address[i / 8] ^ p.s6_addr[i / 8]) & (0x80 >> i % 8))
            return false;
    return true;
}

static uint32_t last_4(const uint8_t *a)
{
    return IP4(a[12], a[13], a[14], a[15]);
}

static const char *special_6(const uint8_t *a)
{
    if (begins(a, "::ffff:0:0", 96) || begins(a, "64:ff9b::", 96)) /* an IPv4 address in it */
        return special_4(last_4(a));
    if (begins(a, "::1", 128) || begins(a, "::", 128))
        return "an address of this machine";
    if (begins(a, "fe80::", 10))
        return "a link-local address";
    if (begins(a, "fc00::", 7))
        return private_address;
    if (begins(a, "ff00::", 8))
        return "a multicast address";
    /* Tunnels (Teredo, 6to4) carry IPv4 addresses to which other rules would apply. */
    if (!begins(a, "2000::", 3) || begins(a, "2001::", 23) || begins(a, "2001:db8::", 32) || begins(a, "2002::", 16) ||
        begins(a, "3fff::", 20))
        return reserved;
    return NULL;
}

const char *ta_address_special(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return special_4(ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr));
    if (address->sa_family == AF_INET6)
        return special_6(((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr);
    return "no address of the Internet";
}

bool ta_split_host(const char *text, int default_port, char *host, size_t room, int *port)
{
    const char *begin = *text == '[' ? text + 1 : text, *end = *text == '[' ? strchr(text, ']') : strchr(text, ':');
    if (*text == '[' && !end)
        return false;
    size_t n = end ? (size_t)(end - begin) : strlen(begin);
    const char *rest = *text == '[' ? end + 1 : begin + n;
    if (!n || n >= room || (*rest && *rest != ':'))
        return false;
    snprintf(host, room, "%.*s", (int)n, begin);
    char *stop;
    *port = *rest ? (int)strtol(rest + 1, &stop, 10) : default_port;
    return (!*rest || (rest[1] >= '0' && rest[1] <= '9' && !*stop)) && *port > 0 && *port < 65536;
}

/* The next word of a list, or false. */
static bool next_word(const char **s, char *word, size_t room)
{
    static const char between[] = " ,";
    *s += strspn(*s, between);
    size_t n = strcspn(*s, between);
    snprintf(word, room, "%.*s", (int)TA_MIN(n, room), *s);
    *s += n;
    return n > 0;
}

bool ta_address_allowed(const char *allow, const char *host, int port)
{
    char word[300], name[256];
    int number;
    while (allow && next_word(&allow, word, sizeof word))
        if (ta_split_host(word, 0, name, sizeof name, &number) && number == port && !strcasecmp(name, host))
            return true;
    return false;
}

const char *ta_allow_fault(const char *allow)
{
    char word[300], name[256];
    int number;
    while (allow && next_word(&allow, word, sizeof word))
        if (!ta_split_host(word, 0, name, sizeof name, &number))
            return "it is a list of HOST:PORT";
    return NULL;
}
