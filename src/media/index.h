/* The file of an index: its layout and what the parts of the index share. Private to media.
 *
 * header | records (in file order) | video table | frames | epochs | streams | SHA-256 of all that, 32 bytes.
 * All numbers are little-endian; the parts start at multiples of 8 bytes. */
#ifndef TA_MEDIA_INDEX_H
#define TA_MEDIA_INDEX_H

#include "media/internal.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the index is mapped as it lies in the file, in little-endian order"
#endif

#define TA_INDEX_MAGIC "TA-INDEX"
#define TA_INDEX_MAGIC_CHARS                                                                                           \
    {                                                                                                                  \
        'T', 'A', '-', 'I', 'N', 'D', 'E', 'X'                                                                         \
    }
enum { TA_INDEX_VERSION = 1, TA_INDEX_DIGEST = 32 };

typedef struct ta_index_header {
    char magic[8];
    uint32_t version, record_size;
    uint64_t records, packets, frames, epochs;
    uint32_t streams;
    int32_t video; /* stream, -1 = none */
    int64_t source_size;
    char source_sha256[64];
} ta_index_header;
_Static_assert(sizeof(ta_index_header) == 128, "layout of the file");
_Static_assert(sizeof(ta_index_packet) == 40, "layout of the file");

typedef struct ta_index_frame {
    int64_t pts;
    uint32_t packet, spare;
} ta_index_frame;

/* From this record on time is moved by so much. */
typedef struct ta_index_epoch {
    uint64_t record;
    int64_t offset_us;
} ta_index_epoch;

typedef struct ta_index_stream {
    int32_t type, codec, id, num, den, delay, timed, spare; /* timed: some packet has a time; of the video alone */
} ta_index_stream;

/* Where the parts lie. */
typedef struct ta_index_layout {
    size_t records, video, frames, epochs, streams, digest, end;
} ta_index_layout;

/* The packets of the video in decoding order, and how its decoder reorders. */
typedef struct ta_index_pictures {
    const ta_index_packet *records;
    const uint32_t *video;
    uint64_t count;
    bool simple; /* MPEG-1, -2, -4: only B pictures overtake, one at most waits */
    int delay;   /* pictures that wait */
} ta_index_pictures;

struct ta_index {
    const uint8_t *map;
    size_t size;
    const ta_index_header *head;
    const ta_index_packet *records;
    const uint32_t *video;
    const ta_index_frame *frames;
    const ta_index_epoch *epochs;
    const ta_index_stream *streams;
    ta_index_pictures pictures;
    char sha256[65], source_sha256[65];
};

void ta_index_set_delay(ta_index_pictures *p, int codec, int delay);
const ta_index_packet *ta_index_picture(const ta_index_pictures *p, uint64_t i);
/* Packets that become no frame of their own: second fields, and what only an edit list's cut decodes. */
bool ta_index_is_frame(const ta_index_packet *p);
/* When the picture of packet `i` is shown by linear decoding; AV_NOPTS_VALUE when that can't be known. */
int64_t ta_index_shown(const ta_index_pictures *p, uint64_t i);
/* No packet of the video has a time (raw H.264): then what is given in place of a dts, so that a decoder shows the
 * frames at the times of the index. */
bool ta_index_untimed(const ta_index *ix);
int64_t ta_index_made_up_dts(const ta_index *ix, int64_t packet);
/* False when the counts are too large for any file. */
bool ta_index_lay_out(const ta_index_header *h, ta_index_layout *l);
/* The check value of a packet's bytes. */
uint32_t ta_index_checksum(const AVPacket *pkt);
/* The stream of the index that is meant is there, with the same codec and time base. */
bool ta_index_fits(const ta_index *ix, ta_input *in);

#endif
