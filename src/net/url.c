/* The parts of a URL (RFC 3986) that the program looks at; what fetches it parses it for itself. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/net.h"

bool ta_is_url(const char *text)
{
    return !strncasecmp(text, "http://", 7) || !strncasecmp(text, "https://", 8);
}

char *ta_url_shown(const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t authority = strcspn(host, "/?#");
    for (const char *at; (at = memchr(host, '@', authority));) {
        authority -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    const char *begin = strstr(url, "://");
    int scheme = begin ? (int)(begin + 3 - url) : 0;
    return ta_format("%.*s%.*s%s", scheme, url, (int)strcspn(host, "?#"), host, strchr(host, '?') ? "?..." : "");
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static void decode(char *s)
{
    char *to = s;
    for (; *s; s++) {
        bool coded = *s == '%' && hex_digit(s[1]) >= 0 && hex_digit(s[2]) >= 0;
        char c = coded ? (char)(hex_digit(s[1]) * 16 + hex_digit(s[2])) : *s;
        s += coded ? 2 : 0;
        *to++ = (unsigned char)c < ' ' || c == '/' || c == 127 ? '_' : c;
    }
    *to = '\0';
}

char *ta_url_file(const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t length = strcspn(host, "?#");
    const char *last = memrchr(host, '/', length);
    char *name = last ? ta_strndup(last + 1, length - (size_t)(last + 1 - host)) : ta_strdup("");
    if (!name)
        return NULL;
    decode(name);
    if (*name == '.')
        *name = '_';
    if (strlen(name) > 200) {
        name[200] = '\0';
        ta_utf8_trim(name);
    }
    return name;
}
