/* Packet files: a head of fixed size, the data, the side data; packet after packet. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "restore/packet_file.h"

enum { BUFFER = 256 * 1024, MAX_PART = 256 << 20, MAX_SIDE = 64 };

struct ta_packet_file {
    FILE *file;
    char *path, *buffer;
    ta_sha256 *hash;
    int64_t bytes;
};

typedef struct packet_head {
    int64_t pts, dts, duration;
    int32_t flags, size, n_side, reserved;
} packet_head;

typedef struct side_head {
    int32_t type, size;
} side_head;

static int open_file(ta_packet_file **out, const char *path, const char *mode, ta_error *err)
{
    bool creating = mode[0] == 'w';
    ta_packet_file *f = ta_alloc(sizeof *f);
    *out = NULL;
    if (f)
        f->path = ta_strdup(path);
    if (f)
        f->buffer = ta_alloc(BUFFER); /* the C library's own is smaller, whatever size it is told */
    if (!f || !f->path || !f->buffer || (creating && !(f->hash = ta_sha256_new()))) {
        ta_packet_file_close(&f);
        return ta_no_memory(err);
    }
    f->file = fopen(path, mode);
    if (!f->file) {
        int r = ta_fail_errno(err, errno, creating, creating ? "create" : "open", path);
        ta_packet_file_close(&f);
        return r;
    }
    setvbuf(f->file, f->buffer, _IOFBF, BUFFER);
    *out = f;
    return 0;
}

int ta_packet_file_create(ta_packet_file **f, const char *path, ta_error *err)
{
    return open_file(f, path, "we", err);
}

int ta_packet_file_open(ta_packet_file **f, const char *path, ta_error *err)
{
    return open_file(f, path, "re", err);
}

void ta_packet_file_close(ta_packet_file **pf)
{
    ta_packet_file *f = *pf;
    if (!f)
        return;
    if (f->file)
        fclose(f->file);
    if (f->hash)
        ta_sha256_drop(&f->hash);
    ta_free(f->path);
    ta_free(f->buffer);
    ta_freep(pf);
}

static int fail_write(const ta_packet_file *f, ta_error *err)
{
    ta_fail_errno(err, errno, true, "write", f->path);
    return ta_hint(err, "free some space and run the same command again: it goes on where it was");
}

static int put(ta_packet_file *f, const void *data, size_t size, ta_error *err)
{
    if (size && fwrite(data, 1, size, f->file) != size)
        return fail_write(f, err);
    ta_sha256_add(f->hash, data, size);
    f->bytes += (int64_t)size;
    return 0;
}

int ta_packet_file_write(ta_packet_file *f, const AVPacket *pkt, ta_error *err)
{
    packet_head h = { pkt->pts, pkt->dts, pkt->duration, pkt->flags, pkt->size, pkt->side_data_elems, 0 };
    int r = put(f, &h, sizeof h, err);
    if (r >= 0)
        r = put(f, pkt->data, (size_t)pkt->size, err);
    for (int i = 0; i < pkt->side_data_elems && r >= 0; i++) {
        const AVPacketSideData *sd = &pkt->side_data[i];
        side_head sh = { (int32_t)sd->type, (int32_t)sd->size };
        r = put(f, &sh, sizeof sh, err);
        if (r >= 0)
            r = put(f, sd->data, sd->size, err);
    }
    return r;
}

int ta_packet_file_finish(ta_packet_file **pf, char sha256[65], int64_t *bytes, ta_error *err)
{
    ta_packet_file *f = *pf;
    int r = fflush(f->file) || fsync(fileno(f->file)) ? fail_write(f, err) : 0;
    *bytes = f->bytes;
    ta_sha256_end(&f->hash, sha256);
    ta_packet_file_close(pf);
    return r < 0 ? r : sha256[0] ? 0 : ta_no_memory(err);
}

static int fail_cut_off(const ta_packet_file *f, ta_error *err)
{
    return ta_fail(err, TA_ERR_DATA, "'%s' is damaged", f->path);
}

static int get(ta_packet_file *f, void *data, size_t size, ta_error *err)
{
    if (fread(data, 1, size, f->file) == size)
        return 0;
    return ferror(f->file) ? ta_fail_errno(err, errno, false, "read", f->path) : fail_cut_off(f, err);
}

static int get_side(ta_packet_file *f, AVPacket *pkt, ta_error *err)
{
    side_head sh;
    int r = get(f, &sh, sizeof sh, err);
    if (r < 0)
        return r;
    if (sh.size < 0 || sh.size > MAX_PART)
        return fail_cut_off(f, err);
    uint8_t *data = av_packet_new_side_data(pkt, (enum AVPacketSideDataType)sh.type, (size_t)sh.size);
    return data ? get(f, data, (size_t)sh.size, err) : ta_no_memory(err);
}

int ta_packet_file_read(ta_packet_file *f, AVPacket *pkt, ta_error *err)
{
    packet_head h;
    size_t n = fread(&h, 1, sizeof h, f->file);
    if (n == 0 && feof(f->file))
        return 0;
    if (n != sizeof h || h.size < 0 || h.size > MAX_PART || h.n_side < 0 || h.n_side > MAX_SIDE)
        return fail_cut_off(f, err);
    if (av_new_packet(pkt, h.size) < 0)
        return ta_no_memory(err);
    int r = get(f, pkt->data, (size_t)h.size, err);
    pkt->pts = h.pts;
    pkt->dts = h.dts;
    pkt->duration = h.duration;
    pkt->flags = h.flags;
    for (int i = 0; i < h.n_side && r >= 0; i++)
        r = get_side(f, pkt, err);
    if (r < 0)
        av_packet_unref(pkt);
    return r < 0 ? r : 1;
}
