/* A job in segments: the picture is done piece by piece, each kept in the job folder as soon as it is complete, and
 * joined at the end without encoding anything again. Killed at any instant, the next run goes on with what is there.
 *
 * What a segment's file holds depends on the plan alone, never on which run, process or machine made it, in which order
 * or beside how many others; so it doesn't matter when two make the same one. */
#ifndef TA_RESTORE_SEGMENTS_H
#define TA_RESTORE_SEGMENTS_H

#include "restore/internal.h"

/* ---- The plan (segment_plan.c, plan_file.c) ---- */

/* Is the job long enough to be cut? Known after ta_job_plan. */
bool ta_job_in_segments(const ta_job *job);
/* Fills the weights of the job's seconds from its index. */
int ta_job_weigh_by_index(ta_job *job, ta_error *err);
/* Fills the job's segments from its index. */
int ta_segments_plan(ta_job *job, ta_error *err);
/* In the open job folder: takes over the plan and the index that are there, or makes both. TA_ERR_CANTCREATE when
 * another plan is there (and `restart` is off), with what differs. */
int ta_plan_settle(ta_job *job, ta_error *err);
/* Fails when the folder holds the plan of a job in segments while this job is none. */
int ta_plan_check_empty(ta_job *job, ta_error *err);
/* Is there a plan in a job folder? Then what is in it is worth keeping. */
bool ta_plan_is_there(const ta_job_folder *folder);
/* The text of the plan in a job folder, as JSON (free with json_decref). */
struct json_t;
int ta_plan_read(ta_job_folder *folder, struct json_t **plan, ta_error *err);

/* The name of a plan: the SHA-256 of the document in a fixed form, but for the places of source and output. */
int ta_plan_hash(struct json_t *plan, char hash[65], ta_error *err);
int ta_plan_write_back(ta_job_folder *folder, struct json_t *plan, ta_error *err);

/* ---- One segment (segment_run.c, segment_file.c) ---- */

/* What is known of a finished segment. */
typedef struct ta_segment_done {
    ta_stretch_result result;
    ta_picture_counts counts;
    int64_t bytes, packets;
    char sha256[65];
    ta_stream_facts stream; /* par NULL when it holds no frame */
} ta_segment_done;
void ta_segment_done_free(ta_segment_done *d);

/* 1 and the facts when segment `number` is complete by its marker and the length of its file, 0 when not. */
int ta_segment_is_done(ta_job *job, int number, ta_segment_done *d);
/* The same after comparing the SHA-256 of the whole file. 0 also for a damaged one, whose marker is removed. */
int ta_segment_check(ta_job *job, int number, ta_cancel *cancel, ta_segment_done *d, ta_error *err);
/* Writes the marker. */
int ta_segment_mark(ta_job *job, int number, const ta_segment_done *d, ta_error *err);
/* Paths in the job folder, new strings. */
char *ta_segment_path(const ta_job *job, int number);
/* Makes one segment, unless it is done already. `emptying` (may be NULL) is called from a thread of the flow when the
 * encoder has got its last frame: another segment may begin then without work being doubled. */
int ta_segment_run(ta_job *job, int number, ta_cancel *cancel, void (*emptying)(void *opaque), void *opaque,
                   ta_error *err);

/* How long it is, in microseconds of the source. */
int64_t ta_segment_length_us(const ta_job *job, int number);
/* Returns at once while there is enough room on the disk of the job folder; else waits for it, as long as `disk-wait`
 * allows: TA_ERR_AGAIN. */
int ta_wait_for_space(ta_job *job, ta_cancel *cancel, ta_error *err);

/* ---- All of them (segments.c, join.c) ---- */

/* Makes the sound, unless an earlier run did; its results are in the job's tracks. TA_ERR_AGAIN when another process is
 * at it. */
int ta_sound_run(ta_job *job, ta_error *err);
/* Makes all segments that are not done, and the sound, side by side. */
int ta_segments_run(ta_job *job, ta_error *err);
/* Checks all segments and fills the job's results from them. TA_ERR_AGAIN when one is missing or was found damaged. */
int ta_segments_collect(ta_job *job, ta_error *err);
/* Adds the node that reads the segments' packets one after another into `*video`. After ta_segments_collect. */
int ta_join_node(ta_job *job, ta_edge **video, ta_error *err);

void ta_job_begin_times(ta_job *job);
int ta_job_watch_space(ta_job *job, ta_error *err);
/* Writes the output in the job folder from the segments and the sound; ta_job_publish checks it and gives it its name.
 */
int ta_job_join(ta_job *job, ta_error *err);
int ta_job_publish(ta_job *job, ta_error *err);

/* The flows of segments that run now, for the display of what the threads do. Any thread. */
void ta_job_show_flow(ta_job *job, ta_flow *flow, bool on);

#endif
