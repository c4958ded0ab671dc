/* An index as it is used: the file mapped and checked, and what can be asked of it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "media/index.h"

enum { HASH_STEP = 1 << 20, FULL_KEY = 8 };

static bool add_part(size_t *at, uint64_t count, size_t size)
{
    if (count > SIZE_MAX / 16 / size)
        return false;
    *at += ((size_t)count * size + 7) / 8 * 8;
    return *at < SIZE_MAX / 2;
}

bool ta_index_lay_out(const ta_index_header *h, ta_index_layout *l)
{
    size_t at = l->records = sizeof *h;
    if (!add_part(&at, h->records, sizeof(ta_index_packet)))
        return false;
    l->video = at;
    if (!add_part(&at, h->packets, sizeof(uint32_t)))
        return false;
    l->frames = at;
    if (!add_part(&at, h->frames, sizeof(ta_index_frame)))
        return false;
    l->epochs = at;
    if (!add_part(&at, h->epochs, sizeof(ta_index_epoch)))
        return false;
    l->streams = at;
    if (!add_part(&at, h->streams, sizeof(ta_index_stream)))
        return false;
    l->digest = at;
    l->end = at + TA_INDEX_DIGEST;
    return true;
}

/* Eight bytes a step, like FNV-1a; libav's CRC-32 took a third of the whole reading. Each step
 * can be undone, so that a change within eight bytes never goes unseen before the last line. */
uint32_t ta_index_checksum(const AVPacket *pkt)
{
    const uint8_t *p = pkt->data;
    uint64_t h = 0xcbf29ce484222325u, w = 0;
    size_t n = (size_t)pkt->size;
    for (; n >= sizeof w; n -= sizeof w, p += sizeof w) {
        memcpy(&w, p, sizeof w);
        h = (h ^ w) * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
    }
    for (w = n; n > 0; n--)
        w = w << 8 | *p++;
    h = (h ^ w) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 32 ^ h);
}

void ta_index_set_delay(ta_index_pictures *p, int codec, int delay)
{
    p->simple = codec == AV_CODEC_ID_MPEG1VIDEO || codec == AV_CODEC_ID_MPEG2VIDEO || codec == AV_CODEC_ID_MPEG4;
    p->delay = TA_MAX(delay, 0);
}

const ta_index_packet *ta_index_picture(const ta_index_pictures *p, uint64_t i)
{
    return &p->records[p->video[i]];
}

bool ta_index_is_frame(const ta_index_packet *p)
{
    return p->size > 0 && !(p->picture & TA_PICTURE_SECOND_FIELD) && !(p->flags & AV_PKT_FLAG_DISCARD);
}

static bool is_b(const ta_index_packet *p)
{
    return (p->picture & TA_PICTURE_TYPE) == AV_PICTURE_TYPE_B;
}

/* The dts of the packet that pushes this picture out of the decoder. */
static int64_t leaving_dts(const ta_index_pictures *s, uint64_t i)
{
    int delay = s->simple ? 1 : s->delay;
    for (uint64_t k = i + 1; k < s->count; k++) {
        const ta_index_packet *p = ta_index_picture(s, k);
        if (ta_index_is_frame(p) && !(s->simple && is_b(p)) && --delay <= 0)
            return p->dts;
    }
    return AV_NOPTS_VALUE;
}

int64_t ta_index_shown(const ta_index_pictures *s, uint64_t i)
{
    const ta_index_packet *p = ta_index_picture(s, i);
    if (p->pts != AV_NOPTS_VALUE)
        return p->pts;
    return s->delay == 0 || (s->simple && is_b(p)) ? p->dts : leaving_dts(s, i);
}

static int fail_damaged(const char *file, const char *what, ta_error *err)
{
    ta_fail(err, TA_ERR_DATA, "the index '%s' is damaged: %s", file, what);
    return ta_hint(err, "remove it, so that it is made again");
}

static void hex_of(const uint8_t *sum, char hex[65])
{
    for (int i = 0; i < TA_INDEX_DIGEST; i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
}

static int check_digest(ta_index *ix, const char *file, size_t at, ta_error *err)
{
    char stored[65];
    ta_sha256 *h = ta_sha256_new();
    if (!h)
        return ta_no_memory(err);
    for (size_t i = 0; i < at; i += HASH_STEP)
        ta_sha256_add(h, ix->map + i, TA_MIN((size_t)HASH_STEP, at - i));
    ta_sha256_end(&h, ix->sha256);
    hex_of(ix->map + at, stored);
    return strcmp(stored, ix->sha256) == 0 ? 0 : fail_damaged(file, "its checksum is wrong", err);
}

/* What the numbers of the file refer to must be there: the checksum alone does not make a file ours. */
static bool refers_inside(const ta_index *ix)
{
    const ta_index_header *h = ix->head;
    if (h->video < -1 || h->video >= (int64_t)h->streams || (h->video < 0 && (h->packets || h->frames)))
        return false;
    for (uint64_t i = 0; i < h->packets; i++)
        if (ix->video[i] >= h->records)
            return false;
    for (uint64_t i = 0; i < h->frames; i++)
        if (ix->frames[i].packet >= h->packets)
            return false;
    return true;
}

static int check_file(ta_index *ix, const char *file, ta_error *err)
{
    ta_index_layout l;
    const ta_index_header *h = (const void *)ix->map;
    if (ix->size < sizeof *h || memcmp(h->magic, TA_INDEX_MAGIC, sizeof h->magic) != 0)
        return fail_damaged(file, "it is no index", err);
    if (h->version != TA_INDEX_VERSION || h->record_size != sizeof(ta_index_packet)) {
        ta_fail(err, TA_ERR_DATA, "the index '%s' is of version %u, not %d", file, h->version, TA_INDEX_VERSION);
        return ta_hint(err, "remove it, so that it is made again");
    }
    if (!ta_index_lay_out(h, &l) || l.end != ix->size)
        return fail_damaged(file, "its length is wrong", err);
    int r = check_digest(ix, file, l.digest, err);
    if (r < 0)
        return r;
    ix->head = h;
    ix->records = (const void *)(ix->map + l.records);
    ix->video = (const void *)(ix->map + l.video);
    ix->frames = (const void *)(ix->map + l.frames);
    ix->epochs = (const void *)(ix->map + l.epochs);
    ix->streams = (const void *)(ix->map + l.streams);
    memcpy(ix->source_sha256, h->source_sha256, sizeof h->source_sha256);
    if (!refers_inside(ix))
        return fail_damaged(file, "it refers to what is not there", err);
    ix->pictures = (ta_index_pictures){ .records = ix->records, .video = ix->video, .count = h->packets };
    if (h->video >= 0)
        ta_index_set_delay(&ix->pictures, ix->streams[h->video].codec, ix->streams[h->video].delay);
    return 0;
}

static int map_file(ta_index *ix, const char *file, ta_error *err)
{
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ta_fail_errno(err, errno, false, "can't open", file);
    int r = fstat(fd, &st) < 0 ? ta_fail_errno(err, errno, false, "can't read", file) : 0;
    if (r >= 0 && (!S_ISREG(st.st_mode) || st.st_size == 0))
        r = fail_damaged(file, "it is empty or no plain file", err);
    if (r >= 0) {
        void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
            r = ta_fail_errno(err, errno, false, "can't map", file);
        else
            ix->map = map;
        ix->size = (size_t)st.st_size;
    }
    close(fd);
    return r;
}

int ta_index_open(ta_index **out, const char *file, ta_error *err)
{
    ta_index *ix = ta_alloc(sizeof *ix);
    int r = ix ? map_file(ix, file, err) : ta_no_memory(err);
    if (r >= 0)
        r = check_file(ix, file, err);
    if (r < 0)
        ta_index_close(&ix);
    *out = ix;
    return r;
}

void ta_index_close(ta_index **pix)
{
    if (!pix || !*pix)
        return;
    if ((*pix)->map)
        munmap((void *)(uintptr_t)(*pix)->map, (*pix)->size);
    ta_freep(pix);
}

const char *ta_index_source_sha256(const ta_index *ix)
{
    return ix->source_sha256;
}

int64_t ta_index_source_size(const ta_index *ix)
{
    return ix->head->source_size;
}

const char *ta_index_sha256(const ta_index *ix)
{
    return ix->sha256;
}

int ta_index_video(const ta_index *ix)
{
    return ix->head->video;
}

AVRational ta_index_time_base(const ta_index *ix)
{
    const ta_index_stream *st = &ix->streams[TA_MAX(ix->head->video, 0)];
    return (AVRational){ st->num, st->den };
}

int64_t ta_index_records(const ta_index *ix)
{
    return (int64_t)ix->head->records;
}

int64_t ta_index_packets(const ta_index *ix)
{
    return (int64_t)ix->head->packets;
}

int64_t ta_index_epochs(const ta_index *ix)
{
    return (int64_t)ix->head->epochs;
}

int64_t ta_index_frames(const ta_index *ix)
{
    return (int64_t)ix->head->frames;
}

const ta_index_packet *ta_index_record(const ta_index *ix, int64_t n)
{
    return &ix->records[n];
}

const ta_index_packet *ta_index_packet_at(const ta_index *ix, int64_t packet)
{
    return &ix->records[ix->video[packet]];
}

int64_t ta_index_frame_pts(const ta_index *ix, int64_t frame)
{
    return ix->frames[frame].pts;
}

int64_t ta_index_frame_packet(const ta_index *ix, int64_t frame)
{
    return ix->frames[frame].packet;
}

int64_t ta_index_frame_at(const ta_index *ix, int64_t pts)
{
    int64_t low = 0, high = ta_index_frames(ix);
    while (low < high) {
        int64_t mid = low + (high - low) / 2;
        if (ix->frames[mid].pts <= pts)
            low = mid + 1;
        else
            high = mid;
    }
    return low - 1;
}

bool ta_index_untimed(const ta_index *ix)
{
    return ix->head->video >= 0 && !ix->streams[ix->head->video].timed;
}

/* The frame of this packet waits in the decoder; the one that leaves came some frames earlier. Without times the frames
 * are in the order of their packets. */
int64_t ta_index_made_up_dts(const ta_index *ix, int64_t packet)
{
    int64_t low = 0, high = ta_index_frames(ix);
    while (low < high) {
        int64_t mid = low + (high - low) / 2;
        if (ix->frames[mid].packet <= packet)
            low = mid + 1;
        else
            high = mid;
    }
    int64_t frame = low - 1 - ix->pictures.delay;
    return frame >= 0 ? ix->frames[frame].pts : AV_NOPTS_VALUE;
}

/* How much of a start a key packet is. One without an I picture begins a gradual refresh, whose length libav counts in
 * reference pictures: with B pictures between them it takes several such intervals. */
static int key_weight(const ta_index_packet *p)
{
    int type = p->picture & TA_PICTURE_TYPE;
    if (!(p->flags & AV_PKT_FLAG_KEY) || !ta_index_is_frame(p))
        return 0;
    return type == 0 || type == AV_PICTURE_TYPE_I ? FULL_KEY : 1;
}

int64_t ta_index_key_before(const ta_index *ix, int64_t frame, int count)
{
    int64_t pts = ta_index_frame_pts(ix, frame), wanted = (int64_t)count * FULL_KEY;
    for (int64_t i = ta_index_frame_packet(ix, frame); i > 0; i--) {
        int weight = key_weight(ta_index_packet_at(ix, i));
        if (weight == 0)
            continue;
        /* A key frame that decodes before this one may be shown behind it (an open group of pictures). */
        int64_t shown = ta_index_shown(&ix->pictures, (uint64_t)i);
        bool counts = shown <= pts && (shown != AV_NOPTS_VALUE || ta_index_untimed(ix));
        if (counts && (wanted -= weight) <= 0)
            return i;
    }
    return 0;
}

int64_t ta_index_bytes(const ta_index *ix, int64_t first, int64_t end)
{
    int64_t sum = 0;
    for (int64_t i = first; i < end; i++)
        sum += ta_index_packet_at(ix, ta_index_frame_packet(ix, i))->size;
    return sum;
}

bool ta_index_fits(const ta_index *ix, ta_input *in)
{
    const AVFormatContext *ctx = ta_input_context(in);
    int video = ta_index_video(ix);
    if (video < 0 || video >= (int)ctx->nb_streams)
        return false;
    const ta_index_stream *want = &ix->streams[video];
    const AVStream *st = ctx->streams[video];
    return st->codecpar->codec_type == (enum AVMediaType)want->type &&
           st->codecpar->codec_id == (enum AVCodecID)want->codec && st->id == want->id &&
           st->time_base.num == want->num && st->time_base.den == want->den;
}
