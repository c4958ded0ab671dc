/* flow: the pipeline. Nodes (sources, stages, sinks) on threads of their own, joined by bounded edges.
 * Knows base and media. This is the one header that other folders include.
 *
 * A video or audio stage is a const description (ta_stage_class) plus an instance. Frames are AVFrames and belong to
 * whoever holds them: push takes ownership, always, also on error. A stage emits zero or more frames through `emit`.
 * End of stream is `drain`, once. `reset` makes a warm stage ready for another stretch of frames. */
#ifndef TA_FLOW_FLOW_H
#define TA_FLOW_FLOW_H

#include "base/base.h"
#include "media/media.h"

/* What travels on a link. */
typedef struct ta_link {
    enum AVMediaType type;
    ta_video_format video; /* when type is AVMEDIA_TYPE_VIDEO */
    ta_audio_format audio; /* when type is AVMEDIA_TYPE_AUDIO; time base is 1/sample_rate */
} ta_link;

/* True when a frame no longer fits the link: size, pixel format, SAR, colour; or rate, layout, sample format. */
bool ta_link_differs(const ta_link *link, const AVFrame *frame);
/* The link that a frame fits (frame rate and time base are kept from `like`). */
void ta_link_from_frame(ta_link *link, const ta_link *like, const AVFrame *frame);

typedef struct ta_stage ta_stage;

/* Receives a frame (takes ownership, also on error). Returns 0 or a negative status. */
typedef int (*ta_emit)(void *to, AVFrame *frame, ta_error *err);

typedef struct ta_stage_class {
    const char *name;
    size_t size; /* bytes of private data, zeroed */
    /* Reads `spec` (the stage's own text, see ta_stage_new), checks that it can work on `in`, sets `out`. Called again
     * after a change of format in mid-stream (old state was drained). */
    int (*configure)(ta_stage *st, const ta_link *in, ta_link *out, ta_error *err);
    /* Takes the frame. */
    int (*push)(ta_stage *st, AVFrame *frame, ta_error *err);
    /* Emits what is left; afterwards only reset, configure or close are called. May be NULL. */
    int (*drain)(ta_stage *st, ta_error *err);
    /* Forgets all frames, keeps pools. NULL: configure is called again instead. */
    int (*reset)(ta_stage *st, ta_error *err);
    void (*close)(ta_stage *st);
} ta_stage_class;

struct ta_stage {
    const ta_stage_class *cls;
    char *name; /* shown to people: "denoise" */
    char *spec; /* what it does, in its own syntax: "hqdn3d=4:3:6:4.5" */
    void *priv;
    ta_link in, out;
    int look_behind, look_ahead; /* frames that one output frame depends on besides its own */
    int phase;                   /* cuts between segments are multiples of this many frames */
    int threads;                 /* for slices inside the stage */
    ta_emit emit;
    void *emit_to;
    int blamed; /* its failure was reported once */
};

/* A stage that runs `spec`. For ta_filter_stage, `spec` is any libavfilter chain or graph with one input and one
 * output. NULL when out of memory. */
ta_stage *ta_stage_new(const ta_stage_class *cls, const char *name, const char *spec);
void ta_stage_free(ta_stage **st);
/* For a stage that wraps another: configures `inner`, with the threads of `outer`; what it emits goes to emit(outer,
 * ...). */
int ta_stage_configure_inner(ta_stage *outer, ta_stage *inner, ta_emit emit, const ta_link *in, ta_link *out,
                             ta_error *err);
/* A libavfilter graph. Colour, SAR, field flags and side data ride on its frames; libav inserts no conversion
 * silently: one that it needs is an error that names both formats, unless `spec` has it. */
extern const ta_stage_class ta_filter_stage;

/* A chain of stages in order, as a value that plans are made of. */
typedef struct ta_chain {
    ta_stage **stages;
    int count;
} ta_chain;
int ta_chain_add(ta_chain *c, ta_stage *st); /* takes ownership, also on failure; 0 or TA_ERR_AGAIN */
void ta_chain_free(ta_chain *c);
/* Configures all stages from `in`; `out` is the last one's. */
int ta_chain_configure(ta_chain *c, const ta_link *in, ta_link *out, ta_error *err);
/* Runs a frame (NULL drains) through all stages in the calling thread, into emit. A stage whose input changes its
 * format is drained and configured anew. */
int ta_chain_push(ta_chain *c, AVFrame *frame, ta_emit emit, void *to, ta_error *err);
/* The same for `count` stages in a row. */
int ta_stages_push(ta_stage **stages, int count, AVFrame *frame, ta_emit emit, void *to, ta_error *err);

/* ---- Threads and edges ----------------------------------------------------------------------------------------- */

typedef struct ta_flow ta_flow;
typedef struct ta_edge ta_edge;

typedef struct ta_flow_node_stats {
    char name[48];
    uint64_t in, out;        /* frames or packets */
    int64_t busy_us, cpu_us; /* wall time working; CPU time of its thread */
    int64_t wait_in_us, wait_out_us;
    size_t depth, max_depth; /* of its input edge */
} ta_flow_node_stats;

/* A flow ends when all nodes returned. The first failure (or cancel) aborts every edge, and becomes the flow's error.
 */
ta_flow *ta_flow_new(ta_cancel *cancel);
void ta_flow_free(ta_flow **f);

/* A node: `run` is called on a thread of its own; it pops from edges, pushes to edges and returns 0 or a status. When
 * it returns, its output edges are ended. `opaque` stays the caller's. */
typedef int (*ta_node_run)(void *opaque, ta_error *err);
int ta_flow_add(ta_flow *f, const char *name, ta_node_run run, void *opaque, ta_edge *const *in, int n_in,
                ta_edge *const *out, int n_out, ta_error *err);
/* A node that runs `count` stages one after another between two edges: one thread for all of them. */
int ta_flow_add_stages(ta_flow *f, ta_stage **stages, int count, ta_edge *in, ta_edge *out, ta_error *err);

/* An edge carries AVFrames or AVPackets, bounded in items and bytes. It belongs to the flow. */
ta_edge *ta_flow_frames(ta_flow *f, int max_frames, size_t max_bytes);
ta_edge *ta_flow_packets(ta_flow *f, int max_packets, size_t max_bytes);
/* Take ownership, also on failure. 0 or TA_ERR_CANCELLED. */
int ta_edge_push_frame(ta_edge *e, AVFrame *frame);
int ta_edge_push_packet(ta_edge *e, AVPacket *pkt);
/* 1 and an item, 0 at the end, TA_ERR_CANCELLED. The item is the caller's. */
int ta_edge_pop_frame(ta_edge *e, AVFrame **frame);
int ta_edge_pop_packet(ta_edge *e, AVPacket **pkt);

/* Starts all threads, waits for the end. 0, or the first error. */
int ta_flow_run(ta_flow *f, ta_error *err);
/* Has a node failed, or the flow been cancelled? For nodes that have no edge which would tell them. Any thread. */
bool ta_flow_failed(ta_flow *f);
/* Copies up to `max` nodes' counters; returns how many. Any thread, while running; takes no lock on the frame path. */
int ta_flow_stats(const ta_flow *f, ta_flow_node_stats *stats, int max);

#endif
