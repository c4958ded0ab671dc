/* Shared inside media only: files as one stream of bytes, and DVD title sets. */
#ifndef TA_MEDIA_INTERNAL_H
#define TA_MEDIA_INTERNAL_H

#include "media/media.h"

/* One or several files read as one, with counting, hashing and cancelling. */
typedef struct ta_io ta_io;
/* Takes the list over (paths and array). */
int ta_io_open(ta_io **io, char **paths, int count, ta_cancel *cancel, ta_error *err);
void ta_io_close(ta_io **io);
AVIOContext *ta_io_context(ta_io *io);
int64_t ta_io_size(const ta_io *io);
uint64_t ta_io_bytes(const ta_io *io);
/* errno of the last failed read, 0 = none. */
int ta_io_error(const ta_io *io);
int ta_io_hash(ta_io *io, ta_error *err);
/* Reads through maps of some megabytes from now on. */
void ta_io_map(ta_io *io);
int ta_io_sha256(ta_io *io, char hex[65], ta_error *err);

/* An input as its other readers see it. */
ta_io *ta_input_io(ta_input *in);
const char *ta_input_path(const ta_input *in);
ta_cancel *ta_input_cancel(const ta_input *in);
/* Nothing was read from it yet. */
bool ta_input_untouched(const ta_input *in);
/* What time has been moved by so far, to make it continuous. */
int64_t ta_input_offset_us(const ta_input *in);
/* The next packet of any stream as libavformat gives it, errors treated as ta_input_read does. 1, 0, or an error. */
int ta_input_read_raw(ta_input *in, AVPacket *pkt, ta_error *err);
/* Closes libavformat's context and opens it again at the front. */
int ta_input_rewind(ta_input *in, ta_error *err);
/* From now on ta_input_read asks `read`; `opaque` goes to `drop` at the end. NULL as `read` ends that. */
typedef int ta_input_reader(void *opaque, AVPacket *pkt, ta_error *err);
void ta_input_set_reader(ta_input *in, ta_input_reader *read, void *opaque, void (*drop)(void *opaque));

/* The files that `path` stands for: itself, the longest title set of a DVD folder, or the VOBs that follow a first
 * one. An array of new strings, freed by the caller. */
int ta_title_files(const char *path, char ***paths, int *count, ta_error *err);

#endif
