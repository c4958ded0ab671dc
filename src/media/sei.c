/* Registered user data SEI for H.264 and HEVC. */
#include "media/sei.h"

enum { MAX_PAYLOAD = 200 };

/* T.35: United States, ATSC, then the kind of user data. */
static int put_header(uint8_t *p, const char kind[4])
{
    static const uint8_t t35[] = { 0xb5, 0x00, 0x31 };
    memcpy(p, t35, sizeof t35);
    memcpy(p + sizeof t35, kind, 4);
    return (int)sizeof t35 + 4;
}

static int afd_payload(const AVFrame *f, uint8_t *p)
{
    const AVFrameSideData *sd = av_frame_get_side_data(f, AV_FRAME_DATA_AFD);
    if (!sd || sd->size < 1)
        return 0;
    int n = put_header(p, "DTG1");
    p[n++] = 0x41; /* active_format_flag and the reserved bits */
    p[n++] = (uint8_t)(0xf0 | (sd->data[0] & 0x0f));
    return n;
}

static int caption_payload(const AVFrame *f, uint8_t *p)
{
    const AVFrameSideData *sd = av_frame_get_side_data(f, AV_FRAME_DATA_A53_CC);
    int count = sd ? (int)(sd->size / 3) : 0;
    if (!count || count > 31)
        return 0;
    int n = put_header(p, "GA94");
    p[n++] = 0x03; /* cc_data */
    p[n++] = (uint8_t)(0x40 | count);
    p[n++] = 0xff;
    memcpy(p + n, sd->data, (size_t)count * 3);
    n += count * 3;
    p[n++] = 0xff;
    return n;
}

/* Appends a byte of the payload; two zeros are never followed by less than four (emulation prevention). */
static int put_byte(uint8_t *nal, int n, uint8_t byte)
{
    if (n >= 2 && nal[n - 1] == 0 && nal[n - 2] == 0 && byte <= 3)
        nal[n++] = 3;
    nal[n++] = byte;
    return n;
}

static int put_sei(uint8_t *nal, enum AVCodecID codec, const uint8_t *payload, int size)
{
    int n = 0;
    nal[n++] = 0;
    nal[n++] = 0;
    nal[n++] = 0;
    nal[n++] = 1;
    if (codec == AV_CODEC_ID_HEVC)
        nal[n++] = 39 << 1; /* prefix SEI */
    nal[n++] = codec == AV_CODEC_ID_HEVC ? 1 : 6;
    nal[n++] = 4; /* user_data_registered_itu_t_t35 */
    nal[n++] = (uint8_t)size;
    for (int i = 0; i < size; i++)
        n = put_byte(nal, n, payload[i]);
    nal[n++] = 0x80;
    return n;
}

static int add_item(ta_sei_list *list, int64_t pts, const uint8_t *nal, int size, ta_error *err)
{
    for (size_t i = 0; i < TA_COUNT(list->item); i++) {
        if (list->item[i].nal)
            continue;
        uint8_t *copy = ta_alloc((size_t)size);
        if (!copy)
            return ta_no_memory(err);
        memcpy(copy, nal, (size_t)size);
        list->item[i].nal = copy;
        list->item[i].size = size;
        list->item[i].pts = pts;
        return 0;
    }
    return 0; /* the encoder dropped pictures: the oldest user data is lost with them */
}

int ta_sei_take(ta_sei_list *list, enum AVCodecID codec, const AVFrame *f, int64_t pts, ta_error *err)
{
    uint8_t payload[MAX_PAYLOAD], nal[4 * MAX_PAYLOAD];
    int size = 0, n;
    if (codec != AV_CODEC_ID_H264 && codec != AV_CODEC_ID_HEVC)
        return 0;
    if ((n = afd_payload(f, payload)) > 0)
        size += put_sei(nal, codec, payload, n);
    if (codec == AV_CODEC_ID_HEVC && (n = caption_payload(f, payload)) > 0)
        size += put_sei(nal + size, codec, payload, n);
    return size ? add_item(list, pts, nal, size, err) : 0;
}

/* Where the first NAL unit of the coded picture begins. */
static int first_slice(enum AVCodecID codec, const AVPacket *pkt)
{
    for (int i = 0; i + 4 < pkt->size; i++) {
        const uint8_t *p = pkt->data + i;
        if (p[0] != 0 || p[1] != 0 || p[2] != 1)
            continue;
        int type = codec == AV_CODEC_ID_HEVC ? p[3] >> 1 & 63 : p[3] & 31;
        bool slice = codec == AV_CODEC_ID_HEVC ? type < 32 : type >= 1 && type <= 5;
        if (slice)
            return i > 0 && pkt->data[i - 1] == 0 ? i - 1 : i;
    }
    return -1;
}

static int insert(AVPacket *pkt, int at, const uint8_t *nal, int size, ta_error *err)
{
    int old = pkt->size;
    if (av_packet_make_writable(pkt) < 0 || av_grow_packet(pkt, size) < 0)
        return ta_no_memory(err);
    memmove(pkt->data + at + size, pkt->data + at, (size_t)(old - at));
    memcpy(pkt->data + at, nal, (size_t)size);
    return 0;
}

int ta_sei_give(ta_sei_list *list, enum AVCodecID codec, AVPacket *pkt, ta_error *err)
{
    int r = 0;
    for (size_t i = 0; i < TA_COUNT(list->item) && r >= 0; i++) {
        if (!list->item[i].nal || list->item[i].pts != pkt->pts)
            continue;
        int at = first_slice(codec, pkt);
        if (at >= 0)
            r = insert(pkt, at, list->item[i].nal, list->item[i].size, err);
        ta_freep(&list->item[i].nal);
    }
    return r;
}

void ta_sei_free(ta_sei_list *list)
{
    for (size_t i = 0; i < TA_COUNT(list->item); i++)
        ta_freep(&list->item[i].nal);
}
