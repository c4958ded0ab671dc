/* A stretch of the picture on its way from packets to encoded packets: all that a job keeps, or one segment of it.
 * Each has its own input, stages, encoder and flow, so several may run at once; the plan that they share is read only.
 */
#ifndef TA_RESTORE_STRETCH_H
#define TA_RESTORE_STRETCH_H

#include "restore/restore.h"

/* What a muxer must know of an encoded stream. */
typedef struct ta_stream_facts {
    AVCodecParameters *par;
    AVRational time_base, frame_rate;
} ta_stream_facts;
/* The caller frees f->par. Thread safe while the encoder is open. */
int ta_stream_facts_of(ta_stream_facts *f, ta_encoder *e, ta_error *err);

/* A segment: a range of the source's frames in order of presentation, and what must be decoded for it. All of it
 * depends on the index and the settings alone. */
typedef struct ta_segment {
    int number;
    int64_t first, end; /* frames of the index that it answers for: [first, end) */
    int64_t first_pts;  /* time of frame `first`, in the stream's time base; INT64_MIN for the first segment */
    int64_t end_pts;    /* of frame `end`; INT64_MAX for the last one */
    int64_t from, to;   /* finished frames that it keeps: [from, to) in the time base behind the chain */
    int64_t lead_pts;   /* frames from here on go through the stages, in the stream's time base */
    int64_t tail_pts;   /* up to here, exclusively */
    int64_t packet;     /* record of the index where decoding begins */
} ta_segment;

typedef struct ta_stretch_result {
    uint64_t frames_in, frames_out, decode_errors;
    int64_t first_us, last_us; /* of the first and the last frame written, from the job's zero */
    char timecode[32];         /* of the first frame kept, "" = none */
} ta_stretch_result;

typedef struct ta_stretch {
    ta_job *job;
    const ta_segment *segment; /* NULL: the whole job */
    ta_flow *flow;
    ta_input *in;    /* delivers the video from its front, or from the segment's packet */
    ta_chain *chain; /* configured */
    ta_picture_counts *counts;
    struct ta_video_nodes *nodes;
    _Atomic(ta_encoder *) encoder;
    void (*emptying)(void *opaque); /* called once when the encoder has got its last frame; NULL = nobody asks */
    void *opaque;
    int64_t done_us, out_us; /* what of it was added to the job's counters */
    ta_stretch_result result;
} ta_stretch;

/* Adds the nodes to s->flow: demux, decode, stages, encode. The encoded packets come out of `*encoded`. */
int ta_stretch_nodes(ta_stretch *s, ta_edge **encoded, ta_error *err);
/* Where the stretch begins, in microseconds from the job's zero. */
int64_t ta_stretch_begin_us(const ta_stretch *s);
/* Frees what ta_stretch_nodes made, after the flow. */
void ta_stretch_free_nodes(ta_stretch *s);

#endif
