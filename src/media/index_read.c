/* Exact access by an index: go near a packet, read on until the bytes are those that the index knows, and from there on
 * give each packet what the linear reading gave it. libavformat's own seeks are only hints here: nothing is believed
 * that size and checksum don't confirm. */
#include "media/index.h"

/* How many packets back an anchor is looked for: more than lie between two positions of any seek. */
enum { WINDOW = 4096, ATTEMPTS = 4 };

typedef struct follow {
    ta_input *in;
    const ta_index *ix;
    int video;
    int64_t target;  /* the packet that is wanted */
    int64_t next;    /* the packet that comes next; -1 = not known where we are */
    bool sought;     /* the reading has left the front */
    bool from_front; /* every packet since the first has been counted */
    AVPacket *found; /* the wanted packet, read already */
} follow;

static bool same_bytes(const ta_index_packet *p, const AVPacket *pkt)
{
    return p->size == (uint32_t)pkt->size && p->check == ta_index_checksum(pkt);
}

/* Which packet of the index this is, by its position and its bytes; -1 when it can't be said for certain. */
static int64_t recognise(const follow *f, const AVPacket *pkt)
{
    int64_t match = -1;
    if (pkt->pos < 0)
        return -1;
    for (int64_t i = TA_MAX(f->target - WINDOW, 0); i <= f->target; i++) {
        const ta_index_packet *p = ta_index_packet_at(f->ix, i);
        if (p->pos != pkt->pos || !same_bytes(p, pkt))
            continue;
        if (match >= 0)
            return -1;
        match = i;
    }
    return match;
}

static bool behind_target(const follow *f, const AVPacket *pkt)
{
    int64_t pos = ta_index_packet_at(f->ix, f->target)->pos;
    return pos >= 0 && pkt->pos > pos;
}

static int fail_changed(const follow *f, const char *what, ta_error *err)
{
    ta_fail(err, TA_ERR_DATA, "'%s', video packet %" PRId64 ": %s", ta_input_path(f->in), f->next, what);
    return ta_hint(err, "the file was changed since it was indexed, or its storage gives other bytes each time");
}

static int read_video(const follow *f, AVPacket *pkt, ta_error *err)
{
    for (;;) {
        int r = ta_input_read_raw(f->in, pkt, err);
        if (r <= 0 && ta_cancelled(ta_input_cancel(f->in)))
            return ta_fail(err, TA_ERR_CANCELLED, "cancelled");
        if (r <= 0 || pkt->stream_index == f->video)
            return r;
        av_packet_unref(pkt);
    }
}

/* Reads up to the wanted packet. 1 = found, 0 = passed it or never knew where we were, or an error. */
static int read_up_to(follow *f, ta_error *err)
{
    AVPacket *pkt = f->found;
    for (;;) {
        int r = read_video(f, pkt, err);
        if (r <= 0)
            return r;
        if (f->next >= 0 && !same_bytes(ta_index_packet_at(f->ix, f->next), pkt)) {
            if (f->from_front)
                return fail_changed(f, "its bytes are not those that were indexed", err);
            f->next = -1;
        }
        if (f->next < 0)
            f->next = recognise(f, pkt);
        if (f->next == f->target)
            return 1;
        bool passed = f->next < 0 && behind_target(f, pkt);
        f->next += f->next >= 0 ? 1 : 0;
        av_packet_unref(pkt);
        if (passed)
            return 0;
    }
}

/* Formats whose packets carry what is needed to begin anywhere: MPEG streams, and raw ones without an index of their
 * own. */
static bool goes_by_bytes(const AVFormatContext *ctx)
{
    int flags = ctx->iformat->flags;
    return !(flags & AVFMT_NO_BYTE_SEEK) && flags & (AVFMT_TS_DISCONT | AVFMT_GENERIC_INDEX);
}

/* Some packets before the wanted one, as a parser needs a beginning to fall into step. */
static bool seek_bytes(const follow *f, int attempt)
{
    static const int back[ATTEMPTS] = { 4, 32, 256, 2048 };
    int64_t at = f->target - back[attempt];
    while (at > 0 && ta_index_packet_at(f->ix, at)->pos < 0)
        at--;
    if (at <= 0)
        return false;
    return av_seek_frame(ta_input_context(f->in), f->video, ta_index_packet_at(f->ix, at)->pos, AVSEEK_FLAG_BYTE) >= 0;
}

static int64_t earliest_time(const ta_index_packet *p)
{
    if (p->pts == AV_NOPTS_VALUE || p->dts == AV_NOPTS_VALUE)
        return p->pts == AV_NOPTS_VALUE ? p->dts : p->pts;
    return TA_MIN(p->pts, p->dts);
}

/* A key frame at or before the wanted packet, one further back with each attempt. */
static bool seek_time(const follow *f, int attempt)
{
    static const int keys[ATTEMPTS] = { 1, 2, 5, 20 };
    int64_t at = f->target;
    for (int n = 0; at > 0; at--)
        if (ta_index_packet_at(f->ix, at)->flags & AV_PKT_FLAG_KEY && ++n == keys[attempt])
            break;
    int64_t time = earliest_time(ta_index_packet_at(f->ix, at));
    return at > 0 && time != AV_NOPTS_VALUE &&
           av_seek_frame(ta_input_context(f->in), f->video, time, AVSEEK_FLAG_BACKWARD) >= 0;
}

static int try_seeks(follow *f, bool (*seek)(const follow *f, int attempt), ta_error *err)
{
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        f->next = -1;
        if (!seek(f, attempt))
            break;
        f->sought = true;
        int r = read_up_to(f, err);
        if (r != 0)
            return r;
    }
    return 0;
}

static int read_from_front(follow *f, ta_error *err)
{
    f->from_front = true;
    f->next = 0;
    int r = f->sought ? ta_input_rewind(f->in, err) : 0;
    if (r >= 0)
        r = read_up_to(f, err);
    return r == 0 ? fail_changed(f, "it is missing: the file ends before it", err) : r;
}

static int find_target(follow *f, ta_error *err)
{
    int r = 0;
    if (f->target > 0 && ta_index_fits(f->ix, f->in)) {
        bool bytes = goes_by_bytes(ta_input_context(f->in));
        r = try_seeks(f, bytes ? seek_bytes : seek_time, err);
    }
    return r ? r : read_from_front(f, err);
}

/* The packet gets what the linear reading gave it. */
static void restore(const follow *f, AVPacket *pkt)
{
    const ta_index_packet *p = ta_index_packet_at(f->ix, f->next);
    pkt->pts = p->pts;
    pkt->dts = ta_index_untimed(f->ix) ? ta_index_made_up_dts(f->ix, f->next) : p->dts;
    pkt->pos = p->pos;
    pkt->duration = p->duration;
    pkt->flags = (pkt->flags & ~UINT8_MAX) | p->flags;
}

static int read_followed(void *opaque, AVPacket *pkt, ta_error *err)
{
    follow *f = opaque;
    int r = 1;
    if (f->found->data || f->found->size)
        av_packet_move_ref(pkt, f->found);
    else
        r = read_video(f, pkt, err);
    if (r < 0)
        return r;
    bool last = f->next >= ta_index_packets(f->ix);
    if (r == 0)
        return last ? 0 : fail_changed(f, "it is missing: the file ends before it", err);
    if (last || !same_bytes(ta_index_packet_at(f->ix, f->next), pkt)) {
        av_packet_unref(pkt);
        return fail_changed(f, last ? "there were not so many" : "its bytes are not those that were indexed", err);
    }
    restore(f, pkt);
    f->next++;
    return 1;
}

static void drop_follow(void *opaque)
{
    follow *f = opaque;
    av_packet_free(&f->found);
    ta_free(f);
}

int ta_input_go_to(ta_input *in, const ta_index *ix, int64_t packet, ta_error *err)
{
    if (packet < 0 || packet >= ta_index_packets(ix))
        return ta_fail(err, TA_ERR_SOFTWARE, "there is no video packet %" PRId64 " in the index", packet);
    if (ta_io_size(ta_input_io(in)) != ta_index_source_size(ix)) {
        ta_fail(err, TA_ERR_DATA, "'%s' is not as long as when it was indexed", ta_input_path(in));
        return ta_hint(err, "the file was changed: start the job anew");
    }
    bool sought = !ta_input_untouched(in);
    follow *f = ta_alloc(sizeof *f);
    if (!f)
        return ta_no_memory(err);
    *f = (follow){ .in = in, .ix = ix, .video = ta_index_video(ix), .target = packet, .sought = sought };
    f->found = av_packet_alloc();
    ta_input_set_reader(in, read_followed, f, drop_follow);
    int r = f->found ? find_target(f, err) : ta_no_memory(err);
    return r < 0 ? r : 0;
}

int ta_input_open_at(ta_input **in, const char *path, ta_input *known, const ta_index *ix, int64_t packet,
                     ta_cancel *cancel, ta_error *err)
{
    int r = ta_input_open_as(in, path, 0, known, cancel, err);
    if (r >= 0)
        r = ta_input_go_to(*in, ix, packet, err);
    if (r < 0)
        ta_input_close(in);
    return r < 0 ? r : 0;
}

int ta_index_check(const ta_index *ix, const char *path, ta_input *known, const int64_t *packets, int count,
                   ta_cancel *cancel, ta_error *err)
{
    ta_input *in = NULL;
    int r = ta_input_open_as(&in, path, 0, known, cancel, err);
    for (int i = 0; i < count && r >= 0; i++)
        r = ta_input_go_to(in, ix, packets[i], err);
    ta_input_close(&in);
    return r < 0 ? r : 0;
}
