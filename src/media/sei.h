/* User data in H.264 and HEVC streams that libav 5.1's encoders don't write by themselves: active format description
 * (ETSI TS 101 154 annex B) and, for HEVC, captions (ANSI/CTA-708, ATSC A/53 part 4), as registered user data SEI
 * (ITU-T H.264 and H.265 annex D, ITU-T T.35). */
#ifndef TA_MEDIA_SEI_H
#define TA_MEDIA_SEI_H

#include "media/media.h"

/* SEI waiting for the packet of its picture: the encoder reorders. */
typedef struct ta_sei_list {
    struct {
        int64_t pts;
        uint8_t *nal; /* with its start code; NULL = free place */
        int size;
    } item[64];
} ta_sei_list;

/* Makes the SEI of a frame that goes to the encoder with this pts. 0, also when there is none; TA_ERR_AGAIN. */
int ta_sei_take(ta_sei_list *list, enum AVCodecID codec, const AVFrame *frame, int64_t pts, ta_error *err);
/* Puts it into the packet with that pts (Annex B), in front of the first slice. */
int ta_sei_give(ta_sei_list *list, enum AVCodecID codec, AVPacket *pkt, ta_error *err);
void ta_sei_free(ta_sei_list *list);

#endif
