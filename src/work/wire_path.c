/* Paths in messages: each byte that is no UTF-8, and the percent sign, as %XX. */
#include <string.h>

#include "work/order.h"

char *ta_path_to_wire(const char *path)
{
    ta_buf b = { 0 };
    size_t left = strlen(path);
    for (size_t n; left; path += n, left -= n) {
        n = ta_utf8_char(path, left);
        if (!n || *path == '%')
            ta_buf_addf(&b, "%%%02X", (unsigned char)*path);
        else
            ta_buf_addn(&b, path, n);
        n = TA_MAX(n, 1);
    }
    return ta_buf_take(&b);
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

char *ta_path_from_wire(const char *text)
{
    ta_buf b = { 0 };
    for (; *text; text++) {
        int high = *text == '%' ? digit(text[1]) : -1, low = high >= 0 ? digit(text[2]) : -1;
        char c = low >= 0 ? (char)(high * 16 + low) : *text;
        ta_buf_addn(&b, &c, 1);
        text += low >= 0 ? 2 : 0;
    }
    return ta_buf_take(&b);
}
