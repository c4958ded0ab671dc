/* Shared inside restore only: the job while it is planned and run. */
#ifndef TA_RESTORE_INTERNAL_H
#define TA_RESTORE_INTERNAL_H

#include <stdatomic.h>

#include "restore/restore.h"
#include "restore/spool.h"
#include "restore/stretch.h"

enum { TA_MAX_TRACKS = 32 };

/* A container: libav's muxer and what it can hold. */
typedef struct ta_container {
    const char *name;  /* our setting: "mkv" */
    const char *muxer; /* libav's */
    bool global_header;
} ta_container;
/* By the setting, else by the extension of `output`, else Matroska. TA_ERR_USAGE for an extension that stands for no
 * container of ours, or contradicts the setting. */
int ta_container_choose(const ta_settings *s, const char *output, const ta_container **c, ta_error *err);
/* The kind of text subtitles that a container holds, AV_CODEC_ID_NONE for none. */
enum AVCodecID ta_container_text(const ta_container *c);
bool ta_container_holds(const ta_container *c, enum AVCodecID codec);

/* An audio track that is processed, or a stream that is copied. */
typedef struct ta_track {
    int source; /* stream index in the input */
    bool copy;
    bool dropped;       /* nothing was in it */
    const char *codec;  /* our name ("aac"); NULL for a copied stream */
    ta_subtitles *text; /* converts the packets of a copied text stream; NULL = as they are */
    char encoder[32];   /* libav's name */
    ta_chain chain;
    ta_sound_target target;
    /* -- filled by the side pass */
    ta_spool *pcm;
    int64_t start;   /* time of the first sample, in samples from the job's zero */
    int64_t samples; /* in the spool, per channel */
    uint64_t gaps, gap_samples, overlaps, decode_errors, format_changes;
    ta_loudness before, after;
    ta_gain gain;
    ta_channel_fault fault;
    char advice[256];
    /* -- filled by the encode node before its first packet */
    ta_stream_facts stream;
    ta_spool *packets; /* a job in segments: encoded beside them, for the join; NULL = encoded with the join */
} ta_track;

struct ta_job {
    /* -- fixed at creation */
    ta_settings *settings;
    char *input, *output_arg;
    int part, part_digits; /* of a split: its number from 1, and how wide it is written; 0 = the job is no part */
    ta_cancel *cancel;
    ta_progress_fn on_progress;
    void *progress_opaque;
    /* -- the plan */
    bool planned;
    ta_input *in; /* used for probing, then by the video source */
    const ta_container *container;
    char *output;
    int video; /* stream index or -1 */
    ta_picture_source source;
    ta_scan_report scan;
    bool scan_known;             /* from a plan; nothing is measured */
    ta_upscale_models *models;   /* freed behind all chains */
    ta_face_models *face_models; /* the same */
    ta_picture_engines engines;
    ta_models *shared_models;      /* of the process, not ours; NULL: none */
    ta_neural_sound *neural_sound; /* freed behind all chains */
    ta_link link_in, link_out;     /* before and behind the chain */
    ta_chain chain;
    ta_video_encoding encoding;
    char encoder_preset[32];
    ta_track tracks[TA_MAX_TRACKS];
    int n_tracks;
    int64_t zero_us;          /* source time that becomes 0 in the output */
    int64_t start_us, end_us; /* in source time; end INT64_MAX = all */
    int64_t duration_us;      /* of the part that is kept; -1 unknown */
    ta_buf notes;             /* one remark a line */
    ta_job_folder *folder;
    /* -- in segments */
    ta_index *index;
    ta_segment *segments;
    int n_segments;
    int64_t origin; /* time of the first frame kept, in the stream's time base: where the grid begins */
    char plan_hash[65];
    atomic_int index_done; /* thousandths of the source that were read for the index */
    ta_space space;        /* of the job folder */
    ta_stream_facts join_stream;
    ta_lock *sound_lock;
    bool sound_done;            /* the side pass has ended, in this run or an earlier one */
    void *shown;                /* flows of running segments (segments.c) */
    bool in_folder;             /* planned into, or taken from, a job folder of its own */
    bool durable;               /* the job folder is worked in so that a later run can go on */
    double sound_piece_seconds; /* durable: how much sound is finished at once; 0 = 300 */
    void *owner;                /* job.c: what is freed with the flow */
    double estimate_seconds;    /* -1 = not made */
    int64_t estimate_bytes;
    /* -- while running */
    ta_picture_counts counts;
    ta_publish *publish;
    ta_spool *copied; /* packets of copied streams, in file order */
    ta_flow *flow;
    _Atomic int64_t done_us;  /* how much of the picture went into the encoder (or of the sound, without video) */
    _Atomic int64_t out_us;   /* how much came out of it */
    _Atomic uint32_t *weight; /* bytes of the source's video in each second from zero: what the work is guessed from */
    int weights;
    atomic_bool weighed;     /* all of them are known */
    _Atomic int64_t side_us; /* of the side pass */
    _Atomic uint64_t frames_in, frames_out;
    _Atomic(const char *) stage;
    ta_stretch whole; /* the picture, where it is not cut into segments */
    uint64_t decode_errors;
    const ta_stream_facts *joined; /* of the segments' picture, while they are joined */
    int64_t start_time;            /* ta_now_us */
    int64_t start_cpu_us;
    /* -- results */
    char source_sha256[65], output_sha256[65];
    ta_input_stats input_stats;
    int64_t output_bytes;
    int64_t output_duration_us;
    char *stream_hashes; /* JSON array text */
    double wall_seconds, cpu_seconds;
    char timecode[32];    /* of the first frame kept, "" = none */
    int64_t shift_us;     /* by which the container's times are later than the job's */
    int64_t first_out_us; /* time of the first frame written, from zero */
    int64_t last_out_us;  /* and of the last one */
};

/* A piece of a finished track from its spool, at sample `pos`; 1 and a frame of the caller's. */
int ta_track_read(ta_track *t, int64_t pos, AVFrame **frame, ta_error *err);

/* The folder for generated tables: the work folder, $TMPDIR, or /tmp. */
const char *ta_job_scratch(const ta_job *job);
void ta_job_note(ta_job *job, const char *fmt, ...) TA_PRINTF(2, 3);

/* plan.c's parts */
int ta_job_plan_output(ta_job *job, ta_error *err); /* output.c */
int ta_fail_output_exists(const ta_job *job, ta_error *err);
int ta_job_plan_encoding(ta_job *job, ta_error *err); /* encoding.c */
enum AVPixelFormat ta_job_plan_pix_fmt(ta_job *job, ta_error *err);
/* How many threads a stage of the chain gets for slices: what the settings say, else by what its filter costs. */
int ta_stage_threads(const ta_job *job, const ta_stage *st);
int ta_job_plan_audio(ta_job *job, ta_error *err);                  /* audio.c */
int ta_job_plan_estimate(ta_job *job, bool measure, ta_error *err); /* estimate.c */
int ta_check_space(ta_job *job, ta_error *err);

/* Nodes of the flow, each with its state. */
int ta_side_node(ta_job *job, ta_edge *const *ready, int n_ready, ta_error *err); /* side_pass.c */
/* Of a durable job, planned and with its folder open, before the side pass: 1 when an earlier run finished the whole
 * side pass there; its results are taken over and job->copied and the tracks' spools are opened. 0 when there is more
 * to do (ta_side_node then goes on behind the pieces that are done), also after damage, which the log tells of. A
 * durable job's copied.packets is opened here or by ta_side_node, not by the caller. */
int ta_sound_load(ta_job *job, ta_error *err); /* sound_record.c */
/* In the place of the side pass when all that it would do is there: ends the edges that wait for it. */
int ta_ready_node(ta_job *job, ta_edge *const *ready, int n_ready, ta_error *err); /* audio.c */
/* Encodes a track, once `ready` has ended, into `out`; without `out` into the track's packets, which a later
 * ta_audio_node of the same run then reads. */
int ta_audio_node(ta_job *job, ta_track *t, ta_edge *ready, ta_edge *out, ta_error *err);           /* audio.c */
int ta_mux_node(ta_job *job, ta_edge *video, ta_edge *const *audio, ta_edge *ready, ta_error *err); /* mux.c */
void ta_job_free_nodes(ta_job *job);
/* Frees a node's state with the job: `fn(p)` is called by ta_job_free_nodes. */
int ta_job_own(ta_job *job, void *p, void (*fn)(void *), ta_error *err);

int ta_verify_result(ta_job *job, const char *path, ta_error *err); /* verify.c */
/* The report on a job as text (free(3)), and its way: into the job folder before the output gets its name, beside the
 * output then. */
char *ta_sidecar_text(const ta_job *job); /* sidecar.c */
int ta_write_sidecar(ta_job *job, ta_error *err);
/* Before the output is published: whoever finds output and job folder knows by it that the job is complete. */
int ta_record_publishing(ta_job *job, ta_error *err);
/* 1 when a run that was killed behind its rename left `output` complete and recorded: its sidecar is written. 0 when
 * not. */
/* Where a file grows that can't grow in the job folder: a new string, a hidden name beside `path` that is the same in
 * each run of the job, so that what a killed run left there is taken over by the next. */
char *ta_job_part(const ta_job *job, const char *path);
int ta_settle_published(ta_job *job, ta_error *err);
extern const char *const ta_record_name[]; /* its file; NULL ends the list */

/* ---- Records with a checksum (sealed.c) ---- */

struct json_t;
/* Writes an object and its checksum. Takes `o`, which may be NULL: out of memory. */
int ta_sealed_write(const char *path, struct json_t *o, ta_error *err);
/* 1 and the object (free with json_decref), 0 when there is no such file or it can't be read now, -1 when it is
 * damaged. */
int ta_sealed_read(const char *path, size_t max, struct json_t **o);

/* Counters of what runs now: the flow, or those of all segments together. */
int ta_job_flow_stats(const ta_job *job, ta_flow_node_stats *stats, int max);

/* Samples the flow twice a second and calls on_progress, on a thread of its own, until stopped. */
typedef struct ta_ticker ta_ticker;
ta_ticker *ta_ticker_start(ta_job *job);
/* `done`: with a last report, as the work is at its end. */
void ta_ticker_stop(ta_ticker **t, bool done);

#endif
