/* The head of a request to the proxy (RFC 9112 3.2.2, RFC 9110 9.3.6), and what the server gets of it: the path alone,
 * no header that was meant for the proxy, and one request a connection, as each is checked for itself. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "fetch/internal.h"

static const char *find_header(const char *head, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line && line[2] != '\r'; line = strstr(line + 2, "\r\n"))
        if (!strncasecmp(line + 2, name, n) && line[2 + n] == ':')
            return line + 3 + n + strspn(line + 3 + n, " \t");
    return NULL;
}

static bool is_authorized(const char *head, const char *authorization)
{
    const char *value = find_header(head, "proxy-authorization");
    size_t n = strlen(authorization);
    return value && !strncasecmp(value, "basic ", 6) && !strncmp(value + 6, authorization, n) &&
           (value[6 + n] == '\r' || value[6 + n] == ' ');
}

static bool is_for_proxy(const char *line)
{
    static const char *const names[] = { "proxy-", "connection:", "keep-alive:", "upgrade:", "host:" };
    for (size_t i = 0; i < TA_COUNT(names); i++)
        if (!strncasecmp(line, names[i], strlen(names[i])))
            return true;
    return false;
}

/* "GET http://host:80/path HTTP/1.1": the parts of its address. */
static int split_target(ta_proxy_request *r, const char *target, size_t size, const char **path)
{
    char authority[300];
    if (strncasecmp(target, "http://", 7))
        return 403;
    const char *begin = target + 7;
    size_t n = strcspn(begin, "/?# ");
    if (n >= sizeof authority || n > size - 7 || memchr(begin, '@', n))
        return 400;
    snprintf(authority, sizeof authority, "%.*s", (int)n, begin);
    *path = begin + n;
    return ta_split_host(authority, 80, r->host, sizeof r->host, &r->port) ? 0 : 400;
}

static int rewrite(ta_proxy_request *r, const char *head, size_t method, const char *path, const char *after)
{
    ta_buf b = { 0 };
    bool bare = strchr(r->host, ':'); /* an IPv6 address */
    ta_buf_addf(&b, "%.*s %s%.*s HTTP/1.1\r\nHost: %s%s%s:%d\r\nConnection: close\r\n", (int)method, head,
                *path == '/' ? "" : "/", (int)(after - path), path, bare ? "[" : "", r->host, bare ? "]" : "", r->port);
    for (const char *line = strstr(head, "\r\n") + 2, *end; *line != '\r'; line = end + 2) {
        end = strstr(line, "\r\n");
        if (!is_for_proxy(line))
            ta_buf_addn(&b, line, (size_t)(end + 2 - line));
    }
    ta_buf_add(&b, "\r\n");
    r->head = ta_buf_take(&b);
    return r->head ? 0 : 500;
}

int ta_proxy_parse(ta_proxy_request *r, const char *head, const char *authorization)
{
    *r = (ta_proxy_request){ 0 };
    size_t method = strcspn(head, " \r\n");
    const char *target = head + method + 1;
    if (head[method] != ' ' || !method)
        return 400;
    size_t size = strcspn(target, " \r\n");
    if (strncmp(target + size, " HTTP/1.", 8) || !size)
        return 400;
    if (!is_authorized(head, authorization))
        return 407;
    r->connect = method == 7 && !strncmp(head, "CONNECT", 7);
    if (!r->connect) {
        const char *path;
        int status = split_target(r, target, size, &path);
        return status ? status : rewrite(r, head, method, path, target + size);
    }
    char authority[300];
    if (size >= sizeof authority)
        return 400;
    snprintf(authority, sizeof authority, "%.*s", (int)size, target);
    return ta_split_host(authority, 443, r->host, sizeof r->host, &r->port) ? 0 : 400;
}
