/* Reading: one or several files as one stream of bytes for libav, counted, cancellable, and hashed on the way when the
 * reader goes from front to back, so that a whole pass over a tape gives its SHA-256 for nothing. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "media/internal.h"

enum { IO_BUFFER = 64 * 1024, MAP_BYTES = 2 * 1024 * 1024 };

typedef struct part {
    char *path;
    int fd;
    int64_t start, size;
} part;

struct ta_io {
    part *parts;
    int count;
    int64_t size, pos;
    uint64_t bytes;
    int error;
    ta_cancel *cancel;
    AVIOContext *avio;
    bool mapped;
    uint8_t *map; /* MAP_BYTES of the first part, from map_start */
    int64_t map_start;
    ta_sha256 *hash;
    int64_t hashed; /* bytes from the front that the hash has seen */
};

static int open_part(part *p, int64_t start, ta_error *err)
{
    struct stat st;
    p->start = start;
    p->fd = open(p->path, O_RDONLY | O_CLOEXEC);
    if (p->fd < 0 || fstat(p->fd, &st) < 0) {
        ta_fail_errno(err, errno, false, "open", p->path);
        return ta_hint(err, "check the name and the permissions of the input");
    }
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return ta_fail(err, TA_ERR_DATA, "'%s' is not a regular file", p->path);
    p->size = S_ISBLK(st.st_mode) ? lseek(p->fd, 0, SEEK_END) : st.st_size;
    posix_fadvise(p->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return 0;
}

static void drop_map(ta_io *io)
{
    if (io->map)
        munmap(io->map, MAP_BYTES);
    io->map = NULL;
}

/* Copies from a map of the (only) part; the map moves on with the position. */
static ssize_t read_map(ta_io *io, int64_t pos, uint8_t *buf, size_t size)
{
    int64_t start = pos / MAP_BYTES * MAP_BYTES;
    if (pos >= io->size)
        return 0;
    if (!io->map || io->map_start != start) {
        drop_map(io);
        void *map = mmap(NULL, MAP_BYTES, PROT_READ, MAP_SHARED | MAP_POPULATE, io->parts[0].fd, start);
        if (map == MAP_FAILED)
            return -1;
        io->map = map;
        io->map_start = start;
    }
    size_t n = (size_t)TA_MIN((int64_t)size, TA_MIN(start + MAP_BYTES, io->size) - pos);
    memcpy(buf, io->map + (pos - start), n);
    return (ssize_t)n;
}

/* Reads at the position from the part that holds it. 0 at the end, -1 with errno. */
static ssize_t read_at(ta_io *io, int64_t pos, uint8_t *buf, size_t size)
{
    if (io->mapped)
        return read_map(io, pos, buf, size);
    for (int i = 0; i < io->count; i++) {
        part *p = &io->parts[i];
        if (pos < p->start || pos >= p->start + p->size)
            continue;
        size_t n = (size_t)TA_MIN((int64_t)size, p->start + p->size - pos);
        ssize_t r;
        do
            r = pread(p->fd, buf, n, pos - p->start);
        while (r < 0 && errno == EINTR);
        return r;
    }
    return 0;
}

/* Adds what is new of [pos, pos + n) to the hash, when it joins on. */
static void hash_range(ta_io *io, int64_t pos, const uint8_t *buf, int64_t n)
{
    if (!io->hash || pos > io->hashed || pos + n <= io->hashed)
        return;
    int64_t skip = io->hashed - pos;
    ta_sha256_add(io->hash, buf + skip, (size_t)(n - skip));
    io->hashed = pos + n;
}

static int io_read(void *opaque, uint8_t *buf, int size)
{
    ta_io *io = opaque;
    if (ta_cancelled(io->cancel))
        return AVERROR_EXIT;
    ssize_t r = read_at(io, io->pos, buf, (size_t)size);
    if (r < 0) {
        io->error = errno;
        return AVERROR(io->error);
    }
    if (r == 0)
        return AVERROR_EOF;
    hash_range(io, io->pos, buf, r);
    io->pos += r;
    io->bytes += (uint64_t)r;
    return (int)r;
}

static int64_t io_seek(void *opaque, int64_t offset, int whence)
{
    ta_io *io = opaque;
    switch (whence & ~AVSEEK_FORCE) {
    case AVSEEK_SIZE:
        return io->size;
    case SEEK_SET:
        break;
    case SEEK_CUR:
        offset += io->pos;
        break;
    case SEEK_END:
        offset += io->size;
        break;
    default:
        return AVERROR(EINVAL);
    }
    if (offset < 0)
        return AVERROR(EINVAL);
    return io->pos = offset;
}

static int make_avio(ta_io *io, ta_error *err)
{
    uint8_t *buffer = av_malloc(IO_BUFFER);
    io->avio = buffer ? avio_alloc_context(buffer, IO_BUFFER, 0, io, io_read, NULL, io_seek) : NULL;
    if (!io->avio) {
        av_free(buffer);
        return ta_no_memory(err);
    }
    return 0;
}

static int open_parts(ta_io *io, ta_error *err)
{
    for (int i = 0; i < io->count; i++) {
        int r = open_part(&io->parts[i], io->size, err);
        if (r < 0)
            return r;
        io->size += io->parts[i].size;
    }
    return 0;
}

int ta_io_open(ta_io **out, char **paths, int count, ta_cancel *cancel, ta_error *err)
{
    ta_io *io = ta_alloc(sizeof *io);
    part *parts = ta_array((size_t)count, sizeof *parts);
    if (!io || !parts) {
        for (int i = 0; i < count; i++)
            ta_free(paths[i]);
        ta_free(paths);
        ta_free(io);
        ta_free(parts);
        return ta_no_memory(err);
    }
    io->parts = parts;
    io->count = count;
    io->cancel = cancel;
    for (int i = 0; i < count; i++)
        parts[i] = (part){ .path = paths[i], .fd = -1 };
    ta_free(paths);
    int r = open_parts(io, err);
    if (r >= 0)
        r = make_avio(io, err);
    if (r < 0)
        ta_io_close(&io);
    *out = io;
    return r;
}

void ta_io_close(ta_io **pio)
{
    ta_io *io = *pio;
    if (!io)
        return;
    for (int i = 0; i < io->count; i++) {
        if (io->parts[i].fd >= 0)
            close(io->parts[i].fd);
        ta_free(io->parts[i].path);
    }
    ta_free(io->parts);
    if (io->avio)
        av_freep(&io->avio->buffer);
    avio_context_free(&io->avio);
    ta_sha256_drop(&io->hash);
    drop_map(io);
    ta_freep(pio);
}

void ta_io_map(ta_io *io)
{
    io->mapped = io->count == 1;
}

AVIOContext *ta_io_context(ta_io *io)
{
    return io->avio;
}

int64_t ta_io_size(const ta_io *io)
{
    return io->size;
}

uint64_t ta_io_bytes(const ta_io *io)
{
    return io->bytes;
}

int ta_io_error(const ta_io *io)
{
    return io->error;
}

/* Hashes on from `hashed` to `end` with reads of its own. */
static int hash_up_to(ta_io *io, int64_t end, ta_error *err)
{
    uint8_t *buf = ta_alloc(IO_BUFFER);
    int r = buf ? 0 : ta_no_memory(err);
    while (r >= 0 && io->hashed < end) {
        if (ta_cancelled(io->cancel)) {
            r = ta_fail(err, TA_ERR_CANCELLED, "cancelled");
            break;
        }
        ssize_t n = read_at(io, io->hashed, buf, IO_BUFFER);
        if (n < 0)
            r = ta_fail_errno(err, errno, false, "read", io->parts[0].path);
        else if (n == 0)
            r = ta_fail(err, TA_ERR_IO, "'%s' became shorter while it was read", io->parts[0].path);
        else
            hash_range(io, io->hashed, buf, n);
        io->bytes += n > 0 ? (uint64_t)n : 0;
    }
    ta_free(buf);
    return r;
}

/* What probing has read already is read again for the hash; what comes joins on to it. */
int ta_io_hash(ta_io *io, ta_error *err)
{
    if (io->hash)
        return 0;
    io->hash = ta_sha256_new();
    return io->hash ? hash_up_to(io, TA_MIN(io->pos, io->size), err) : ta_no_memory(err);
}

int ta_io_sha256(ta_io *io, char hex[65], ta_error *err)
{
    int r = ta_io_hash(io, err);
    if (r >= 0)
        r = hash_up_to(io, io->size, err);
    if (r >= 0)
        ta_sha256_end(&io->hash, hex);
    return r;
}
