/* The checking proxy: addresses that are nobody's business, requests as a server gets them, and, with curl in front and
 * a server on loopback behind, what goes through and what doesn't. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>

#include "fetch/internal.h"
#include "web_kit.h"

/* ---- Addresses ------------------------------------------------------------------------------------------------- */

static const char *special(const char *text)
{
    struct sockaddr_in six4 = { .sin_family = AF_INET };
    struct sockaddr_in6 six6 = { .sin6_family = AF_INET6 };
    if (inet_pton(AF_INET, text, &six4.sin_addr) == 1)
        return ta_address_special((struct sockaddr *)&six4);
    assert_int_equal(inet_pton(AF_INET6, text, &six6.sin6_addr), 1);
    return ta_address_special((struct sockaddr *)&six6);
}

/* The edges of each block of IANA's registries. */
static void special_addresses(void **state)
{
    static const char *const refused[] = {
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.0.0",
        "169.254.169.254",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.5",
        "192.88.99.1",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.9",
        "203.0.113.0",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.0",
        "255.255.255.255",
        "::",
        "::1",
        "::2",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.1.2.3",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "100::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "fc00::1",
        "fdff::1",
        "ff02::1",
        "2001::1",
        "2001:1ff::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "4000::1",
    };
    static const char *const open_to_all[] = {
        "1.0.0.0",          "9.255.255.255",   "11.0.0.0",       "100.63.255.255", "100.128.0.0",     "126.255.255.255",
        "128.0.0.0",        "169.253.255.255", "169.255.0.0",    "172.15.255.255", "172.32.0.0",      "192.0.1.0",
        "192.167.255.255",  "192.169.0.0",     "198.17.255.255", "198.20.0.0",     "223.255.255.255", "::ffff:8.8.8.8",
        "64:ff9b::808:808", "2001:200::1",     "2001:4860::1",   "2003::1",        "2a00::1",         "3ffe::1"
    };
    for (size_t i = 0; i < TA_COUNT(refused); i++)
        if (!special(refused[i]))
            fail_msg("%s is let through", refused[i]);
    for (size_t i = 0; i < TA_COUNT(open_to_all); i++)
        if (special(open_to_all[i]))
            fail_msg("%s is refused", open_to_all[i]);
    const struct sockaddr other = { .sa_family = AF_UNIX };
    assert_non_null(ta_address_special(&other));
}

static void lists_of_allowed(void **state)
{
    const char *list = "nas.local:8080, [::1]:99  10.0.0.1:80";
    assert_null(ta_allow_fault(list));
    assert_null(ta_allow_fault(""));
    assert_true(ta_address_allowed(list, "NAS.local", 8080));
    assert_true(ta_address_allowed(list, "::1", 99));
    assert_true(ta_address_allowed(list, "10.0.0.1", 80));
    assert_false(ta_address_allowed(list, "10.0.0.1", 8080));
    assert_false(ta_address_allowed(list, "nas.local.evil", 8080));
    assert_false(ta_address_allowed(list, "nas", 8080));
    assert_false(ta_address_allowed(NULL, "nas", 8080));
    static const char *const wrong[] = {
        "nas", "nas:", "nas:x", "nas:0", "nas:65536", "[::1]", "[::1:9", ":80", "a:1 b"
    };
    for (size_t i = 0; i < TA_COUNT(wrong); i++)
        assert_non_null(ta_allow_fault(wrong[i]));
}

/* ---- Requests -------------------------------------------------------------------------------------------------- */

#define AUTH "Proxy-Authorization: Basic c2VjcmV0\r\n"

static void requests(void **state)
{
    static const struct {
        const char *head, *host;
        int status, port;
    } cases[] = {
        { "GET http://a.b/c HTTP/1.1\r\n" AUTH "\r\n", "a.b", 0, 80 },
        { "GET http://a.b:81/c HTTP/1.1\r\n" AUTH "\r\n", "a.b", 0, 81 },
        { "GET http://[::1]:81/c HTTP/1.1\r\n" AUTH "\r\n", "::1", 0, 81 },
        { "CONNECT a.b:443 HTTP/1.1\r\n" AUTH "\r\n", "a.b", 0, 443 },
        { "GET https://a.b/c HTTP/1.1\r\n" AUTH "\r\n", NULL, 403, 0 },
        { "GET ftp://a.b/c HTTP/1.1\r\n" AUTH "\r\n", NULL, 403, 0 },
        { "GET file:///etc/passwd HTTP/1.1\r\n" AUTH "\r\n", NULL, 403, 0 },
        { "GET /c HTTP/1.1\r\n" AUTH "\r\n", NULL, 403, 0 },
        { "GET http://u@a.b/c HTTP/1.1\r\n" AUTH "\r\n", NULL, 400, 0 },
        { "GET http:///c HTTP/1.1\r\n" AUTH "\r\n", NULL, 400, 0 },
        { "GET http://a.b:0/c HTTP/1.1\r\n" AUTH "\r\n", NULL, 400, 0 },
        { "GET http://a.b/c\r\n" AUTH "\r\n", NULL, 400, 0 },
        { "GET http://a.b/c HTTP/1.1\r\n\r\n", NULL, 407, 0 },
        { "GET http://a.b/c HTTP/1.1\r\nProxy-Authorization: Basic c2VjcmV0x\r\n\r\n", NULL, 407, 0 },
        { "CONNECT a.b:443 HTTP/1.1\r\nX: Proxy-Authorization: Basic c2VjcmV0\r\n\r\n", NULL, 407, 0 },
        { "\r\n\r\n", NULL, 400, 0 },
    };
    for (size_t i = 0; i < TA_COUNT(cases); i++) {
        ta_proxy_request r;
        assert_int_equal(ta_proxy_parse(&r, cases[i].head, "c2VjcmV0"), cases[i].status);
        if (cases[i].host) {
            assert_string_equal(r.host, cases[i].host);
            assert_int_equal(r.port, cases[i].port);
        }
        ta_free(r.head);
    }
}

static void what_the_server_gets(void **state)
{
    ta_proxy_request r;
    assert_int_equal(ta_proxy_parse(&r,
                                    "POST http://a.b?x=1 HTTP/1.1\r\nHost: evil\r\n" AUTH "Connection: keep-alive\r\n"
                                    "Proxy-Connection: keep-alive\r\nX-Y: z\r\nContent-Length: 3\r\n\r\n",
                                    "c2VjcmV0"),
                     0);
    assert_string_equal(r.head, "POST /?x=1 HTTP/1.1\r\nHost: a.b:80\r\nConnection: close\r\nX-Y: z\r\n"
                                "Content-Length: 3\r\n\r\n");
    ta_free(r.head);
}

/* ---- Traffic --------------------------------------------------------------------------------------------------- */

typedef struct kit {
    web web;
    ta_proxy *proxy;
    char allow[64], proxy_option[160];
} kit;

static int set_up(void **state)
{
    kit *k = test_calloc(1, sizeof *k);
    web_start(&k->web, TA_TEST_LIB "/web.py");
    snprintf(k->allow, sizeof k->allow, "127.0.0.1:%d", k->web.port);
    *state = k;
    return 0;
}

static int tear_down(void **state)
{
    kit *k = *state;
    ta_proxy_close(&k->proxy);
    web_stop(&k->web);
    test_free(k);
    return 0;
}

static void open_proxy(kit *k, const char *allow, int64_t most)
{
    ta_proxy_close(&k->proxy);
    assert_int_equal(ta_proxy_open(&k->proxy, allow, most, NULL), 0);
}

/* curl with this proxy (NULL: ours): the status of HTTP, 0 for none; "%{http_connect}" for tunnels with `connect`. */
static int ask(kit *k, const char *url, const char *proxy, const char *more)
{
    char line[700];
    int status = -1;
    snprintf(line, sizeof line,
             "/usr/bin/curl -q -s -o /dev/null -m 20 -w '%%{http_code}' -x '%s' --noproxy '' %s '%s'",
             proxy ? proxy : ta_proxy_url(k->proxy), more, url);
    FILE *pipe = popen(line, "r");
    assert_int_equal(fscanf(pipe, "%d", &status), 1);
    pclose(pipe);
    return status;
}

static void plain_requests(void **state)
{
    kit *k = *state;
    open_proxy(k, k->allow, 1 << 20);
    assert_int_equal(ask(k, web_url(&k->web, "/whole"), NULL, ""), 200);
    assert_true(ta_proxy_bytes(k->proxy) > 300000 && ta_proxy_bytes(k->proxy) < 302000);
    assert_int_equal(ask(k, web_url(&k->web, "/status/404"), NULL, ""), 404);
    assert_int_equal(ask(k, web_url(&k->web, "/to/?/whole"), NULL, "-L"), 200);
    assert_int_equal(ta_proxy_fault(k->proxy, NULL), 0);
}

static void only_with_the_password(void **state)
{
    kit *k = *state;
    char other[100];
    open_proxy(k, k->allow, 1 << 20);
    const char *at = strchr(ta_proxy_url(k->proxy), '@');
    snprintf(other, sizeof other, "http://%s", at + 1);
    assert_int_equal(ask(k, web_url(&k->web, "/whole"), other, ""), 407);
    snprintf(other, sizeof other, "http://ta:wrong@%s", at + 1);
    assert_int_equal(ask(k, web_url(&k->web, "/whole"), other, ""), 407);
    assert_int_equal(ta_proxy_bytes(k->proxy), 0);
}

/* Nothing is allowed here: the server on loopback is out of reach by any name that it has, directly or by a redirect.
 */
static void private_addresses(void **state)
{
    static const char *const hosts[] = { "127.0.0.1",  "localhost",  "[::1]", "[::ffff:127.0.0.1]", "127.1",
                                         "2130706433", "0x7f000001", "0",     "10.0.0.1",           "169.254.169.254" };
    kit *k = *state;
    char url[100];
    ta_error err;
    for (size_t i = 0; i < TA_COUNT(hosts); i++) {
        open_proxy(k, "", 1 << 20);
        snprintf(url, sizeof url, "http://%s:%d/whole", hosts[i], k->web.port);
        int status = ask(k, url, NULL, "");
        if (status != 403)
            fail_msg("%s: %d", url, status);
        assert_int_equal(ta_proxy_fault(k->proxy, &err), TA_ERR_NOPERM);
        snprintf(url, sizeof url, "https://%s:%d/whole", hosts[i], k->web.port);
        assert_int_equal(ask(k, url, NULL, ""), 0);
        assert_int_equal(ta_proxy_bytes(k->proxy), 0);
    }
    char to[200];
    open_proxy(k, k->allow, 1 << 20);
    snprintf(to, sizeof to, "/to/?http://localhost:%d/whole", k->web.port); /* allowed by its number only */
    assert_int_equal(ask(k, web_url(&k->web, to), NULL, "-L"), 403);
    assert_int_equal(ta_proxy_fault(k->proxy, &err), TA_ERR_NOPERM);
    assert_non_null(strstr(err.text[0], "an address of this machine"));
}

static void ports_and_tunnels(void **state)
{
    kit *k = *state;
    ta_error err;
    open_proxy(k, "", 1 << 20);
    assert_int_equal(ask(k, "http://192.0.43.8:25/", NULL, ""), 403);
    assert_int_equal(ta_proxy_fault(k->proxy, &err), TA_ERR_NOPERM);
    assert_non_null(strstr(err.text[0], "port"));
    open_proxy(k, k->allow, 1 << 20); /* plain HTTP in a tunnel */
    assert_int_equal(ask(k, web_url(&k->web, "/whole"), NULL, "-p"), 0);
    assert_int_equal(ta_proxy_fault(k->proxy, &err), TA_ERR_NOPERM);
    assert_non_null(strstr(err.text[0], "TLS"));
}

static void too_many_bytes(void **state)
{
    kit *k = *state;
    ta_error err;
    open_proxy(k, k->allow, 400000);
    assert_int_equal(ask(k, web_url(&k->web, "/whole"), NULL, ""), 200);
    ask(k, web_url(&k->web, "/whole?2"), NULL, "");
    assert_int_equal(ta_proxy_fault(k->proxy, &err), TA_ERR_DATA);
    struct pollfd over = { .fd = ta_proxy_over_fd(k->proxy), .events = POLLIN };
    assert_int_equal(poll(&over, 1, 0), 1);
    assert_true(ta_proxy_bytes(k->proxy) < 500000);
}

static void *close_soon(void *opaque)
{
    kit *k = opaque;
    ta_sleep_us(300000);
    ta_proxy_close(&k->proxy);
    return NULL;
}

static void closed_while_a_server_hangs(void **state)
{
    kit *k = *state;
    open_proxy(k, k->allow, 1 << 20);
    char proxy[160];
    snprintf(proxy, sizeof proxy, "%s", ta_proxy_url(k->proxy));
    pthread_t thread = start(close_soon, k);
    int64_t begun = ta_now_us();
    assert_int_equal(ask(k, web_url(&k->web, "/hang"), proxy, ""), 0);
    assert_true(ta_now_us() - begun < 3000000);
    pthread_join(thread, NULL);
}

static void nobody_there(void **state)
{
    kit *k = *state;
    ta_error err;
    open_proxy(k, "127.0.0.1:1", 1 << 20);
    assert_int_equal(ask(k, "http://127.0.0.1:1/", NULL, ""), 502);
    assert_int_equal(ta_proxy_fault(k->proxy, &err), TA_ERR_AGAIN);
    assert_int_equal(ask(k, "http://no-such-host.invalid/", NULL, ""), 502);
}

#define WEB_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_addresses),
        cmocka_unit_test(lists_of_allowed),
        cmocka_unit_test(requests),
        cmocka_unit_test(what_the_server_gets),
        WEB_TEST(plain_requests),
        WEB_TEST(only_with_the_password),
        WEB_TEST(private_addresses),
        WEB_TEST(ports_and_tunnels),
        WEB_TEST(too_many_bytes),
        WEB_TEST(closed_while_a_server_hangs),
        WEB_TEST(nobody_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
