/* A growing row of bytes, in memory while small, in a file beyond. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "restore/spool.h"

enum { FILE_BUFFER = 256 * 1024, CHUNK = 64 * 1024, MAX_PACKET = 64 * 1024 * 1024 };

struct ta_spool {
    char *path;
    size_t limit;
    bool kept;       /* the file stays */
    uint8_t *memory; /* all bytes while fd < 0, else what is not yet written */
    size_t used, cap;
    int fd;
    int64_t flushed; /* bytes in the file */
};

static ta_spool *new_spool(const char *path, size_t limit)
{
    ta_spool *s = ta_alloc(sizeof *s);
    if (s)
        s->path = ta_strdup(path);
    if (!s || !s->path) {
        ta_free(s);
        return NULL;
    }
    s->limit = limit;
    s->fd = -1;
    return s;
}

int ta_spool_new(ta_spool **out, const char *path, size_t memory, ta_error *err)
{
    *out = new_spool(path, TA_MAX(memory, (size_t)FILE_BUFFER));
    return *out ? 0 : ta_no_memory(err);
}

static int open_kept(ta_spool *s, int64_t size, ta_error *err)
{
    struct stat st;
    s->fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->fd < 0 || fstat(s->fd, &st) < 0)
        return ta_fail_errno(err, errno, true, "create", s->path);
    if (st.st_size < size)
        return ta_fail(err, TA_ERR_IO, "'%s' is shorter than it should be", s->path);
    if (st.st_size > size && ftruncate(s->fd, size) < 0)
        return ta_fail_errno(err, errno, true, "cut", s->path);
    s->flushed = size;
    return 0;
}

int ta_spool_keep(ta_spool **out, const char *path, int64_t size, ta_error *err)
{
    ta_spool *s = *out = new_spool(path, FILE_BUFFER);
    if (!s)
        return ta_no_memory(err);
    s->kept = true;
    int r = open_kept(s, size, err);
    if (r < 0)
        ta_spool_free(out);
    return r;
}

void ta_spool_free(ta_spool **ps)
{
    ta_spool *s = *ps;
    if (!s)
        return;
    if (s->fd >= 0) {
        close(s->fd);
        if (!s->kept)
            unlink(s->path);
    }
    ta_free(s->memory);
    ta_free(s->path);
    ta_freep(ps);
}

static int flush_memory(ta_spool *s, ta_error *err)
{
    size_t done = 0;
    if (s->fd < 0) {
        s->fd = open(s->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (s->fd < 0)
            return ta_fail_errno(err, errno, true, "create", s->path);
    }
    while (done < s->used) {
        ssize_t n = pwrite(s->fd, s->memory + done, s->used - done, s->flushed + (int64_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            ta_fail_errno(err, errno, true, "write", s->path);
            return ta_hint(err, "free some space, or name another folder with --work-dir");
        }
        done += (size_t)n;
    }
    s->flushed += (int64_t)s->used;
    s->used = 0;
    return 0;
}

static int grow(ta_spool *s, size_t need, ta_error *err)
{
    size_t cap = s->cap ? s->cap : 64 * 1024;
    while (cap < need)
        cap *= 2;
    uint8_t *grown = cap == s->cap ? s->memory : ta_resize(s->memory, cap, 1);
    if (!grown)
        return ta_no_memory(err);
    s->memory = grown;
    s->cap = cap;
    return 0;
}

int ta_spool_write(ta_spool *s, const void *data, size_t size, ta_error *err)
{
    size_t limit = s->fd >= 0 ? (size_t)FILE_BUFFER : s->limit;
    if (s->used + size > limit) {
        int r = flush_memory(s, err);
        if (r < 0)
            return r;
    }
    int r = s->used + size > s->cap ? grow(s, s->used + size, err) : 0;
    if (r < 0)
        return r;
    memcpy(s->memory + s->used, data, size);
    s->used += size;
    return 0;
}

int ta_spool_sync(ta_spool *s, ta_error *err)
{
    int r = flush_memory(s, err);
    if (r >= 0 && fsync(s->fd) < 0)
        r = ta_fail_errno(err, errno, true, "write", s->path);
    return r;
}

int64_t ta_spool_size(const ta_spool *s)
{
    return s->flushed + (int64_t)s->used;
}

static int read_file_part(ta_spool *s, int64_t pos, uint8_t *data, size_t size, ta_error *err)
{
    while (size) {
        ssize_t n = pread(s->fd, data, size, pos);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ta_fail_errno(err, n ? errno : EIO, false, "read", s->path);
        data += n;
        pos += n;
        size -= (size_t)n;
    }
    return 0;
}

int ta_spool_read(ta_spool *s, int64_t pos, void *data, size_t size, ta_error *err)
{
    if (pos < 0 || pos + (int64_t)size > ta_spool_size(s))
        return ta_fail(err, TA_ERR_IO, "the temporary file '%s' is shorter than it should be", s->path);
    size_t from_file = pos < s->flushed ? (size_t)TA_MIN((int64_t)size, s->flushed - pos) : 0;
    int r = from_file ? read_file_part(s, pos, data, from_file, err) : 0;
    if (r >= 0 && from_file < size)
        memcpy((uint8_t *)data + from_file, s->memory + (pos + (int64_t)from_file - s->flushed), size - from_file);
    return r;
}

int ta_spool_sha256(ta_spool *s, int64_t pos, int64_t size, char hex[65], const ta_cancel *cancel, ta_error *err)
{
    ta_sha256 *h = ta_sha256_new();
    uint8_t *chunk = ta_alloc(CHUNK);
    int r = h && chunk ? 0 : ta_no_memory(err);
    while (r >= 0 && size > 0) {
        size_t n = (size_t)TA_MIN(size, CHUNK);
        r = ta_cancelled(cancel) ? ta_fail(err, TA_ERR_CANCELLED, "cancelled") : ta_spool_read(s, pos, chunk, n, err);
        if (r >= 0)
            ta_sha256_add(h, chunk, n);
        pos += (int64_t)n;
        size -= (int64_t)n;
    }
    if (r >= 0)
        ta_sha256_end(&h, hex);
    ta_sha256_drop(&h);
    ta_free(chunk);
    return r;
}

/* ---- Packets --------------------------------------------------------------------------------------------------- */

typedef struct packet_head {
    int64_t pts, dts, duration;
    int32_t stream, flags, size, n_side;
} packet_head;

typedef struct side_head {
    int32_t type, size;
} side_head;

int ta_spool_write_packet(ta_spool *s, const AVPacket *pkt, ta_error *err)
{
    packet_head h = {
        pkt->pts, pkt->dts, pkt->duration, pkt->stream_index, pkt->flags, pkt->size, pkt->side_data_elems
    };
    int r = ta_spool_write(s, &h, sizeof h, err);
    if (r >= 0 && pkt->size)
        r = ta_spool_write(s, pkt->data, (size_t)pkt->size, err);
    for (int i = 0; i < pkt->side_data_elems && r >= 0; i++) {
        side_head sh = { (int32_t)pkt->side_data[i].type, (int32_t)pkt->side_data[i].size };
        r = ta_spool_write(s, &sh, sizeof sh, err);
        if (r >= 0)
            r = ta_spool_write(s, pkt->side_data[i].data, pkt->side_data[i].size, err);
    }
    return r;
}

static int read_side(ta_spool *s, int64_t *pos, AVPacket *pkt, ta_error *err)
{
    side_head sh;
    int r = ta_spool_read(s, *pos, &sh, sizeof sh, err);
    if (r < 0)
        return r;
    *pos += (int64_t)sizeof sh;
    uint8_t *data = av_packet_new_side_data(pkt, (enum AVPacketSideDataType)sh.type, (size_t)sh.size);
    if (!data)
        return ta_no_memory(err);
    r = ta_spool_read(s, *pos, data, (size_t)sh.size, err);
    *pos += sh.size;
    return r;
}

int ta_spool_read_packet(ta_spool *s, int64_t *pos, AVPacket *pkt, ta_error *err)
{
    packet_head h;
    if (*pos >= ta_spool_size(s))
        return 0;
    int r = ta_spool_read(s, *pos, &h, sizeof h, err);
    if (r < 0)
        return r;
    if (h.size < 0 || h.size > MAX_PACKET || av_new_packet(pkt, h.size) < 0)
        return ta_no_memory(err);
    *pos += (int64_t)sizeof h;
    r = h.size ? ta_spool_read(s, *pos, pkt->data, (size_t)h.size, err) : 0;
    *pos += h.size;
    pkt->pts = h.pts;
    pkt->dts = h.dts;
    pkt->duration = h.duration;
    pkt->stream_index = h.stream;
    pkt->flags = h.flags;
    for (int i = 0; i < h.n_side && r >= 0; i++)
        r = read_side(s, pos, pkt, err);
    return r < 0 ? r : 1;
}
