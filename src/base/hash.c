/* SHA-256 by OpenSSL, which has the instructions for it. Its plain functions are used: the newer interface loads a
 * provider and its configuration first, 3 MB for one hash. */
#define OPENSSL_API_COMPAT 0x10100000L
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/files.h"
#include "base/memory.h"

enum { CHUNK = 1 << 20 };

struct ta_sha256 {
    SHA256_CTX ctx;
};

ta_sha256 *ta_sha256_new(void)
{
    ta_sha256 *h = ta_alloc(sizeof(*h));

    if (!h)
        return NULL;
    SHA256_Init(&h->ctx);
    return h;
}

void ta_sha256_add(ta_sha256 *h, const void *data, size_t size)
{
    SHA256_Update(&h->ctx, data, size);
}

void ta_sha256_end(ta_sha256 **h, char hex[65])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[SHA256_DIGEST_LENGTH];

    SHA256_Final(sum, &(*h)->ctx);
    for (unsigned i = 0; i < sizeof sum; i++) {
        hex[2 * i] = digits[sum[i] >> 4];
        hex[2 * i + 1] = digits[sum[i] & 15];
    }
    hex[64] = '\0';
    ta_sha256_drop(h);
}

void ta_sha256_drop(ta_sha256 **h)
{
    if (!h || !*h)
        return;
    ta_freep(h);
}

static int add_file(ta_sha256 *h, int fd, const char *path, const ta_cancel *cancel, ta_error *err)
{
    char *chunk = ta_resize(NULL, CHUNK, 1);
    ssize_t n = 1;
    int ret = chunk ? 0 : ta_no_memory(err);

    while (!ret && n > 0) {
        n = ta_fd_read(fd, chunk, CHUNK);
        if (n < 0)
            ret = ta_fail_errno(err, errno, false, "can't read", path);
        else if (ta_cancelled(cancel))
            ret = ta_fail(err, TA_ERR_CANCELLED, "cancelled");
        else
            ta_sha256_add(h, chunk, (size_t)n);
    }
    ta_free(chunk);
    return ret;
}

int ta_sha256_file(const char *path, char hex[65], const ta_cancel *cancel, ta_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    hex[0] = '\0';
    if (fd < 0)
        return ta_fail_errno(err, errno, false, "can't open", path);
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    ta_sha256 *h = ta_sha256_new();
    int ret = h ? add_file(h, fd, path, cancel, err) : ta_no_memory(err);
    close(fd);
    if (!ret)
        ta_sha256_end(&h, hex);
    ta_sha256_drop(&h);
    if (!ret && !hex[0])
        ret = ta_fail(err, TA_ERR_SOFTWARE, "can't compute the SHA-256 of '%s'", path);
    return ret;
}
