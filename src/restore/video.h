/* Shared by video_source.c and video.c only: the nodes of a stretch. */
#ifndef TA_RESTORE_VIDEO_H
#define TA_RESTORE_VIDEO_H

#include "restore/internal.h"

typedef struct ta_video_nodes {
    ta_stretch *s;
    ta_job *job;
    ta_edge *packets, *frames, *finished, *encoded;
    ta_decoder *decoder;
    int64_t last_pts;
    AVPacket *held[2][512]; /* packets since the last two key frames before the start */
    int n_held[2];
    int64_t gop_timecode; /* the last one seen, as MPEG-2 packs it */
    int since_timecode;   /* frames since then */
    bool has_timecode;
} ta_video_nodes;

/* Node functions: packets of the stretch from its input; frames from its packets. */
int ta_demux_video(void *nodes, ta_error *err);
int ta_decode_video(void *nodes, ta_error *err);
void ta_video_drop_held(ta_video_nodes *v);

#endif
