/* Spools: a growing row of bytes that stays in memory while it is small and goes to a file of the job folder beyond
 * that. One writer first, then any number of readers; not both at once. Used for decoded sound (PCM) and for packets
 * that wait for the muxer. */
#ifndef TA_RESTORE_SPOOL_H
#define TA_RESTORE_SPOOL_H

#include "base/base.h"
#include "media/media.h"

typedef struct ta_spool ta_spool;

/* `path` (copied) is the file used once more than `memory` bytes came in. */
int ta_spool_new(ta_spool **s, const char *path, size_t memory, ta_error *err);
/* A spool that a later run goes on with: a file from the start, made when missing, of which the first `size` bytes are
 * kept. It stays when the spool is freed. TA_ERR_IO when the file is shorter. */
int ta_spool_keep(ta_spool **s, const char *path, int64_t size, ta_error *err);
/* Closes the file; unlinks it unless it is to be kept. */
void ta_spool_free(ta_spool **s);
/* Brings a kept spool to the disk. */
int ta_spool_sync(ta_spool *s, ta_error *err);
/* TA_ERR_AGAIN on a full disk, TA_ERR_IO. */
int ta_spool_write(ta_spool *s, const void *data, size_t size, ta_error *err);
int64_t ta_spool_size(const ta_spool *s);
/* Reads exactly `size` bytes at `pos`; TA_ERR_IO when they are not there. */
int ta_spool_read(ta_spool *s, int64_t pos, void *data, size_t size, ta_error *err);
/* SHA-256 of `size` bytes at `pos`. */
int ta_spool_sha256(ta_spool *s, int64_t pos, int64_t size, char hex[65], const ta_cancel *cancel, ta_error *err);

/* A packet and where to find the next one: (*pos) moves on. ta_spool_read_packet: 1, or 0 at the end. */
int ta_spool_write_packet(ta_spool *s, const AVPacket *pkt, ta_error *err);
int ta_spool_read_packet(ta_spool *s, int64_t *pos, AVPacket *pkt, ta_error *err);

#endif
