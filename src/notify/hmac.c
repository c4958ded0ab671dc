/* HMAC with SHA-256, by RFC 2104, over the hash of base. */
#include <string.h>

#include "notify/internal.h"

enum { BLOCK = 64, DIGEST = 32 };

static void from_hex(const char *hex, unsigned char out[DIGEST])
{
    for (int i = 0; i < DIGEST; i++) {
        int high = hex[2 * i], low = hex[2 * i + 1];
        out[i] = (unsigned char)((high > '9' ? high - 'a' + 10 : high - '0') * 16 +
                                 (low > '9' ? low - 'a' + 10 : low - '0'));
    }
}

static int hash(const void *a, size_t a_size, const void *b, size_t b_size, char hex[65], ta_error *err)
{
    ta_sha256 *h = ta_sha256_new();
    if (!h)
        return ta_no_memory(err);
    ta_sha256_add(h, a, a_size);
    ta_sha256_add(h, b, b_size);
    ta_sha256_end(&h, hex);
    return 0;
}

int ta_hmac_sha256(const void *key, size_t key_size, const void *data, size_t size, char hex[65], ta_error *err)
{
    unsigned char pad[BLOCK], short_key[BLOCK] = { 0 }, inner[DIGEST];
    int r = 0;
    if (key_size > BLOCK) {
        r = hash(key, key_size, "", 0, hex, err);
        if (r == 0)
            from_hex(hex, short_key);
    } else {
        memcpy(short_key, key, key_size);
    }
    for (int i = 0; i < BLOCK; i++)
        pad[i] = short_key[i] ^ 0x36;
    if (r == 0)
        r = hash(pad, BLOCK, data, size, hex, err);
    if (r == 0)
        from_hex(hex, inner);
    for (int i = 0; i < BLOCK; i++)
        pad[i] = short_key[i] ^ 0x5c;
    if (r == 0)
        r = hash(pad, BLOCK, inner, DIGEST, hex, err);
    explicit_bzero(short_key, sizeof short_key);
    explicit_bzero(pad, sizeof pad);
    return r;
}
