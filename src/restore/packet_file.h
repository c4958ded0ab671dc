/* Packet files: encoded packets with their exact times, in the order of decoding; what a segment is kept in until the
 * output is joined. No container of libavformat does it: Matroska rounds times to milliseconds, and each has its own
 * ideas of priming. Only this program and version reads them: integers are in the machine's order. */
#ifndef TA_RESTORE_PACKET_FILE_H
#define TA_RESTORE_PACKET_FILE_H

#include "base/base.h"
#include "media/media.h"

typedef struct ta_packet_file ta_packet_file;

/* TA_ERR_CANTCREATE, TA_ERR_AGAIN (full disk), TA_ERR_IO. */
int ta_packet_file_create(ta_packet_file **f, const char *path, ta_error *err);
int ta_packet_file_write(ta_packet_file *f, const AVPacket *pkt, ta_error *err);
/* Writes what is buffered, fsync, closes. `sha256` is that of the whole file. Frees *f also on failure. */
int ta_packet_file_finish(ta_packet_file **f, char sha256[65], int64_t *bytes, ta_error *err);

int ta_packet_file_open(ta_packet_file **f, const char *path, ta_error *err);
/* 1 and the next packet, 0 at the end; TA_ERR_DATA when the file is cut off. */
int ta_packet_file_read(ta_packet_file *f, AVPacket *pkt, ta_error *err);
/* Safe on NULL inside. Doesn't remove the file. */
void ta_packet_file_close(ta_packet_file **f);

#endif
