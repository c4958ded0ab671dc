/* Frame-parallel encoding, inside media only: several contexts of one encoder, each on a thread of its own, encode
 * neighbouring frames at the same time. Right for encoders that start anew at every frame (intra only, no state carried
 * over): the packets are byte for byte those of one context. */
#ifndef TA_MEDIA_ENCODER_FRAMES_H
#define TA_MEDIA_ENCODER_FRAMES_H

#include "media/media.h"

typedef struct ta_frame_coders ta_frame_coders;

/* Takes over the opened contexts (one thread each), also on failure. They must agree in their header. */
int ta_frame_coders_new(ta_frame_coders **f, AVCodecContext **contexts, int count, ta_error *err);
/* Waits for the frames that are being encoded; those that wait for a thread are dropped. */
void ta_frame_coders_free(ta_frame_coders **f);
/* As avcodec_send_frame: a new reference to the frame, NULL = end. AVERROR(EAGAIN) when as many frames as contexts are
 * on their way. */
int ta_frame_coders_send(ta_frame_coders *f, const AVFrame *frame);
/* As avcodec_receive_packet, in the order of the frames. It waits for the oldest frame when send refused one since the
 * last packet, and after the end; else AVERROR(EAGAIN) unless a packet is there. */
int ta_frame_coders_receive(ta_frame_coders *f, AVPacket *pkt);

#endif
