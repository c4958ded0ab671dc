/* Which source this is, told without reading all of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "media/internal.h"

enum { END_BYTES = 1 << 20 };

/* The bytes from `pos`, at most END_BYTES, into the hash. */
static int hash_part(ta_sha256 *h, int fd, const char *path, int64_t pos, uint8_t *buffer, ta_error *err)
{
    size_t done = 0;
    while (done < END_BYTES) {
        ssize_t n = pread(fd, buffer + done, END_BYTES - done, pos + (int64_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ta_fail_errno(err, errno, false, "read", path);
        if (n == 0)
            break;
        done += (size_t)n;
    }
    ta_sha256_add(h, buffer, done);
    return 0;
}

static int add_file(ta_sha256 *h, const char *path, uint8_t *buffer, ta_source_identity *id, ta_error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ta_fail_errno(err, errno, false, "open", path);
    int r = fstat(fd, &st) ? ta_fail_errno(err, errno, false, "look at", path) : 0;
    if (r >= 0) {
        int64_t ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
        id->bytes += st.st_size;
        id->mtime_ns = TA_MAX(id->mtime_ns, ns);
        r = hash_part(h, fd, path, 0, buffer, err);
    }
    if (r >= 0)
        r = hash_part(h, fd, path, TA_MAX(st.st_size - END_BYTES, 0), buffer, err);
    close(fd);
    return r;
}

int ta_source_identify(const char *path, ta_source_identity *id, ta_error *err)
{
    char **paths = NULL;
    int count = 0;
    *id = (ta_source_identity){ 0 };
    int r = ta_title_files(path, &paths, &count, err);
    ta_sha256 *h = r >= 0 ? ta_sha256_new() : NULL;
    uint8_t *buffer = h ? ta_alloc(END_BYTES) : NULL;
    if (r >= 0 && !buffer)
        r = ta_no_memory(err);
    for (int i = 0; i < count; i++) {
        if (r >= 0)
            r = add_file(h, paths[i], buffer, id, err);
        ta_free(paths[i]);
    }
    ta_free(paths);
    ta_free(buffer);
    if (h)
        ta_sha256_end(&h, id->ends_sha256);
    return r < 0 ? r : id->ends_sha256[0] ? 0 : ta_no_memory(err);
}
