/* A message as mail: RFC 5322 with MIME (RFC 2045, 2047), so that any name of a file can be in it. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "notify/internal.h"

enum { LINE_BYTES = 57, WORD_BYTES = 42 }; /* 76 and 56 characters of base64 */

static void add_base64(ta_buf *b, const char *text, size_t size)
{
    unsigned char line[96];
    EVP_EncodeBlock(line, (const unsigned char *)text, (int)size);
    ta_buf_add(b, (const char *)line);
}

static bool is_plain(const char *text)
{
    for (const char *s = text; *s; s++)
        if (*s < ' ' || *s > '~')
            return false;
    return !strstr(text, "=?") && strlen(text) < 70;
}

/* A header's text, as encoded words where it must be; none is cut within a character. */
static void add_words(ta_buf *b, const char *text)
{
    if (is_plain(text)) {
        ta_buf_add(b, text);
        return;
    }
    for (size_t rest = strlen(text), n; rest > 0; text += n, rest -= n) {
        char word[WORD_BYTES + 1];
        snprintf(word, sizeof word, "%s", text);
        n = ta_utf8_trim(word);
        ta_buf_add(b, "=?UTF-8?B?");
        add_base64(b, word, n);
        ta_buf_add(b, rest > n ? "?=\r\n " : "?=");
    }
}

static void add_date(ta_buf *b)
{
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = (time_t)(ta_wall_us() / 1000000);
    struct tm t;
    gmtime_r(&now, &t);
    ta_buf_addf(b, "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d +0000\r\n", days + (size_t)3 * (size_t)t.tm_wday,
                t.tm_mday, months + (size_t)3 * (size_t)t.tm_mon, t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

/* The same for each try of a row, so that a mail that comes twice can be known. */
static void add_id(ta_buf *b, const ta_notify_message *m, const char *from)
{
    char hex[65] = "", *notice = json_dumps(m->notice, JSON_COMPACT | JSON_SORT_KEYS);
    ta_sha256 *h = notice ? ta_sha256_new() : NULL;
    if (h) {
        ta_sha256_add(h, &m->id, sizeof m->id);
        ta_sha256_add(h, notice, strlen(notice));
        ta_sha256_end(&h, hex);
    }
    b->failed |= !*hex;
    free(notice);
    ta_buf_addf(b, "Message-ID: <%.32s%s>\r\n", hex, from ? strrchr(from, '@') : "");
}

static void add_text(ta_buf *b, const char *text)
{
    for (size_t rest = strlen(text); rest > 0;) {
        size_t n = TA_MIN(rest, LINE_BYTES);
        add_base64(b, text, n);
        ta_buf_add(b, "\r\n");
        text += n;
        rest -= n;
    }
}

char *ta_mail(const ta_channel *c, const ta_notify_message *m)
{
    ta_buf b = { 0 };
    char *from = ta_mail_address(c, TA_FIELD_FROM, 0), *title = ta_cut(m->title, 200), *to;
    b.failed = !from || !title;
    add_date(&b);
    ta_buf_addf(&b, "From: %s\r\nTo: ", from ? from : "");
    for (size_t i = 0; !b.failed && (to = ta_mail_address(c, TA_FIELD_TO, i)); i++) {
        ta_buf_addf(&b, "%s%s", i ? ",\r\n " : "", to);
        ta_free(to);
    }
    ta_buf_add(&b, "\r\nSubject: ");
    for (char *s = title; s && *s; s++)
        *s = (unsigned char)*s < ' ' ? ' ' : *s;
    add_words(&b, title ? title : "");
    ta_buf_add(&b, "\r\n");
    add_id(&b, m, from);
    ta_buf_add(&b,
               "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n"
               "Auto-Submitted: auto-generated\r\n\r\n");
    add_text(&b, m->text);
    ta_free(from);
    ta_free(title);
    return ta_buf_take(&b);
}

char *ta_mail_address(const ta_channel *c, ta_field field, size_t i)
{
    static const char between[] = " ,\t\r\n";
    const char *s = c->value[field] + strspn(c->value[field], between);
    while (i-- > 0 && *s) {
        s += strcspn(s, between);
        s += strspn(s, between);
    }
    return *s ? ta_strndup(s, strcspn(s, between)) : NULL;
}

const char *ta_address_fault(const char *address)
{
    const char *at = strrchr(address, '@');
    if (!at || at == address || !at[1])
        return "an address has a name, an @ and a host";
    if (strpbrk(address, "<>()[]\\\";:"))
        return "an address stands alone, without a person's name or brackets";
    for (const char *s = address; *s; s++)
        if (*s <= ' ' || (unsigned char)*s > 126)
            return "an address is plain ASCII";
    return NULL;
}
