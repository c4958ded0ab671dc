/* SHA-256 by OpenSSL, which has the instructions for it. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/files.h"
#include "base/memory.h"

enum { CHUNK = 1 << 20 };

struct ta_sha256 {
    EVP_MD_CTX *ctx;
    bool failed;
};

ta_sha256 *ta_sha256_new(void)
{
    ta_sha256 *h = ta_alloc(sizeof(*h));

    if (!h)
        return NULL;
    h->ctx = EVP_MD_CTX_new();
    if (!h->ctx || EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) != 1)
        ta_sha256_drop(&h);
    return h;
}

void ta_sha256_add(ta_sha256 *h, const void *data, size_t size)
{
    if (EVP_DigestUpdate(h->ctx, data, size) != 1)
        h->failed = true;
}

void ta_sha256_end(ta_sha256 **h, char hex[65])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    hex[0] = '\0';
    if (!(*h)->failed && EVP_DigestFinal_ex((*h)->ctx, sum, &n) == 1 && n == 32) {
        for (unsigned i = 0; i < n; i++) {
            hex[2 * i] = digits[sum[i] >> 4];
            hex[2 * i + 1] = digits[sum[i] & 15];
        }
        hex[64] = '\0';
    }
    ta_sha256_drop(h);
}

void ta_sha256_drop(ta_sha256 **h)
{
    if (!h || !*h)
        return;
    EVP_MD_CTX_free((*h)->ctx);
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
