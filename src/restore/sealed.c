/* Small records of what is done, with a checksum of their own: a wrong digit in one is found before it does harm. */
#include <jansson.h>
#include <stdlib.h>

#include "restore/internal.h"

/* SHA-256 of an object's values, whatever its white space and order; "" when out of memory. */
static void check_of(const json_t *o, char hex[65])
{
    char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
    ta_sha256 *h = text ? ta_sha256_new() : NULL;
    hex[0] = '\0';
    if (h) {
        ta_sha256_add(h, text, strlen(text));
        ta_sha256_end(&h, hex);
    }
    free(text);
}

/* 1, 0, or -1 when there is no memory to know. */
static int is_whole(json_t *o)
{
    char check[65];
    json_t *written = json_incref(json_object_get(o, "check"));
    json_object_del(o, "check");
    check_of(o, check);
    int same = check[0] ? ta_streq(json_string_value(written), check) : -1;
    json_decref(written);
    return same;
}

int ta_sealed_write(const char *path, json_t *o, ta_error *err)
{
    char check[65] = "";
    check_of(o, check);
    if (!check[0] || json_object_set_new(o, "check", json_string(check)) < 0) {
        json_decref(o);
        return ta_no_memory(err);
    }
    char *text = json_dumps(o, JSON_INDENT(1));
    int r = text ? ta_write_file(path, text, strlen(text), true, err) : ta_no_memory(err);
    json_decref(o);
    free(text);
    return r;
}

int ta_sealed_read(const char *path, size_t max, json_t **o)
{
    char *text = NULL;
    size_t size = 0;
    *o = NULL;
    if (ta_file_size(path) < 0)
        return 0;
    int r = ta_read_file(path, max, &text, &size, NULL);
    if (r < 0)
        return r == TA_ERR_DATA ? -1 : 0;
    *o = json_loadb(text, size, 0, NULL);
    ta_free(text);
    int whole = *o ? is_whole(*o) : 0;
    if (whole > 0)
        return 1;
    json_decref(*o);
    *o = NULL;
    return whole < 0 ? 0 : -1;
}
