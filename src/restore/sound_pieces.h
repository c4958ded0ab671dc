/* Sound in pieces: a track's chain is run in pieces of a fixed length, each of which is a function of the plan and its
 * number alone, so that a later run can go on behind the last finished one and gives the same samples. */
#ifndef TA_RESTORE_SOUND_PIECES_H
#define TA_RESTORE_SOUND_PIECES_H

#include "restore/internal.h"

/* Where pieces begin and end, and what their chains are fed with. All in samples; "source" is what goes into the chain,
 * "finished" what comes out. */
typedef struct ta_sound_grid {
    int64_t piece;      /* source samples of a piece */
    int64_t warm, look; /* source samples that the chain gets before and behind a piece */
    int64_t step;       /* the feed starts at a multiple of this, with silence up to the warm-up; */
    int64_t reach;      /* if > 0, at the one of so many samples that is nearest to a finished sample */
    int64_t num, den;   /* finished samples for `den` source samples */
} ta_sound_grid;

/* `plain`: nothing is done to the samples. */
void ta_sound_grid_init(ta_sound_grid *g, double piece_seconds, bool plain, const ta_sound_target *t, int rate_in);
/* Piece k is the source samples [piece_from, piece_to), fed with silence from feed_from on and with the source from
 * heard_from to feed_to; piece and feed end with the track. */
int64_t ta_sound_piece_from(const ta_sound_grid *g, int64_t k);
int64_t ta_sound_piece_to(const ta_sound_grid *g, int64_t k);
int64_t ta_sound_feed_from(const ta_sound_grid *g, int64_t k);
int64_t ta_sound_heard_from(const ta_sound_grid *g, int64_t k);
int64_t ta_sound_feed_to(const ta_sound_grid *g, int64_t k);
/* The first finished sample of piece k, and the one that a chain started at source sample `from` gives first. */
int64_t ta_sound_finished_from(const ta_sound_grid *g, int64_t k);
int64_t ta_sound_finished_at(const ta_sound_grid *g, int64_t from);

/* A silent frame, NULL when out of memory. */
AVFrame *ta_sound_silence(const ta_audio_format *format, int samples);
/* Seconds of sound in a piece. */
double ta_sound_piece_seconds(const ta_job *job);
/* What the sound's bytes depend on, as a hash: settings, chains, versions, the size and time of the source. */
int ta_sound_identity(const ta_job *job, char hex[65], ta_error *err);

/* The proof that a piece is in the spool. */
typedef struct ta_sound_marker {
    int64_t from, to;                   /* source samples; a last piece ends before the grid does */
    int64_t finished_from, finished_to; /* finished samples */
    int64_t at, bytes;                  /* in the spool */
    char sha256[65];
} ta_sound_marker;
/* Written when the bytes are on the disk: temporary file, fsync, rename, fsync of the folder. */
int ta_sound_marker_write(const ta_job *job, const ta_track *t, int64_t k, const ta_sound_marker *m, ta_error *err);
/* 1, or 0 when there is none or (said in the log) none that fits the job. */
int ta_sound_marker_read(const ta_job *job, const ta_track *t, int64_t k, ta_sound_marker *m, ta_error *err);

/* The path of a track's spool (ta_free), NULL when out of memory. */
char *ta_sound_path(const ta_job *job, const ta_track *t);
/* An empty spool for the copied packets that stays. Replaces what job->copied is. */
int ta_sound_open_copied(ta_job *job, ta_error *err);
/* Writes sound.json: all that ta_sound_load needs. The spools must be on the disk; sha256[i] is that of track i. */
int ta_sound_save(ta_job *job, char (*sha256)[65], ta_error *err);

void ta_sound_note_dropped(ta_job *job, const ta_track *t);

/* A track in the making. */
typedef struct ta_pieces ta_pieces;
/* Looks which pieces are done, cuts the spool (t->pcm, opened here) behind them. The chain must have been configured,
 * so that t->target.format is true. */
int ta_pieces_open(ta_pieces **p, ta_job *job, ta_track *t, const ta_audio_format *in, ta_error *err);
/* Takes the next samples of the source: frame->pts is how many came before. */
int ta_pieces_push(ta_pieces *p, AVFrame *frame, ta_error *err);
/* The track ends here: t->samples is right, and the spool is on the disk. */
int ta_pieces_end(ta_pieces *p, ta_error *err);
void ta_pieces_free(ta_pieces **p);

#endif
