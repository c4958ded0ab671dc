/* Files: atomic publish, locks, hashes, space. Every function is thread safe. */
#ifndef TA_BASE_FILES_H
#define TA_BASE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cancel.h"
#include "terminalai/error.h"

/* An output that appears complete under its final name or not at all: written under a temporary name in the same
 * folder (".NAME.tmp-XXXXXX"), then fsync(file), rename, fsync(folder). */
typedef struct ta_publish ta_publish;

/* Creates the temporary file; its name keeps the extension of `path`. Without `overwrite` an existing `path` is
 * TA_ERR_CANTCREATE at once (and again at commit, by renameat2 RENAME_NOREPLACE, or link+unlink where the file
 * system lacks it). With `overwrite` only a plain file is replaced, and through a link its target. At most 64 may be
 * open in a process. */
int ta_publish_open(ta_publish **p, const char *path, bool overwrite, ta_error *err);
/* The same with a temporary path of the caller's choice, on the same file system as `path` (a job folder). What is
 * there is removed. */
int ta_publish_open_as(ta_publish **p, const char *path, const char *temp, bool overwrite, ta_error *err);
/* Takes over a file that another process has written, as the temporary one: TA_ERR_DATA when it is no plain file. It is
 * never unlinked, neither by abort nor when the process must end at once. */
int ta_publish_adopt(ta_publish **p, const char *path, const char *temp, bool overwrite, ta_error *err);
const char *ta_publish_temp(const ta_publish *p); /* the temporary path */
const char *ta_publish_path(const ta_publish *p); /* the final path */
/* fsync, rename, fsync of the folder. Frees *p when it succeeds. TA_ERR_CANTCREATE when the target appeared
 * meanwhile, TA_ERR_AGAIN on a full disk, TA_ERR_IO. */
int ta_publish_commit(ta_publish **p, ta_error *err);
/* Unlinks the temporary file. Safe on NULL and after commit. */
void ta_publish_abort(ta_publish **p);
/* Unlinks the temporary files of all open publishes. Async-signal-safe; for the last moment before _exit. */
void ta_publish_unlink_all(void);

/* fsync of the folder that holds `path`: from then on its name is on the disk. */
int ta_sync_folder_of(const char *path, ta_error *err);

/* Writes a small file by the same rules. */
int ta_write_file(const char *path, const void *data, size_t size, bool overwrite, ta_error *err);
/* The same under a temporary path of the caller's choice, NULL for any. */
int ta_write_file_as(const char *path, const char *temp, const void *data, size_t size, bool overwrite, ta_error *err);
/* Reads a whole file of at most `max` bytes; the result is terminated by a NUL that `size` does not count.
 * TA_ERR_NOINPUT, TA_ERR_NOPERM, TA_ERR_DATA (too large), TA_ERR_IO. */
int ta_read_file(const char *path, size_t max, char **data, size_t *size, ta_error *err);

/* errno as a status, a sentence ("can't open 'x': Permission denied", where "can't open" is `what`) and a hint: ENOSPC,
 * EDQUOT, ENOMEM, EMFILE -> TA_ERR_AGAIN; ENOENT and other wrong paths -> TA_ERR_NOINPUT; EACCES, EPERM, EROFS ->
 * TA_ERR_NOPERM; else TA_ERR_IO. `creating` turns ENOENT and EROFS and friends into TA_ERR_CANTCREATE. */
int ta_fail_errno(ta_error *err, int errnum, bool creating, const char *what, const char *path);

/* An exclusive lock on a file (flock), created when missing. TA_ERR_AGAIN when somebody holds it. */
typedef struct ta_lock ta_lock;
int ta_lock_take(ta_lock **lock, const char *path, ta_error *err);
void ta_lock_drop(ta_lock **lock);

int ta_mkdirs(const char *path, ta_error *err); /* mkdir -p, mode 0777 & ~umask */
/* Never follows symbolic links. A path that doesn't exist is no error. */
int ta_remove_tree(const char *path, ta_error *err);
bool ta_same_file(const char *a, const char *b); /* same device and inode */
bool ta_is_dir(const char *path);
int64_t ta_file_size(const char *path); /* -1 when it can't be known */
/* Free bytes for this user on the file system of `path` or of its nearest existing parent; -1 when unknown. */
int64_t ta_free_space(const char *path);
/* Bytes below `path` (a file or a folder), not following links. */
int64_t ta_tree_size(const char *path);

/* Parts of a path: new strings (ta_free). dirname of "a" is ".", stem of "x/tape.part.mpg" is "tape.part". */
char *ta_path_dir(const char *path);
char *ta_path_stem(const char *path);
char *ta_path_join(const char *dir, const char *name);
const char *ta_path_ext(const char *path);  /* "mpg" or ""; points into `path` */
const char *ta_path_base(const char *path); /* behind the last '/' */

/* SHA-256 (FIPS 180-4), streamed. */
typedef struct ta_sha256 ta_sha256;
ta_sha256 *ta_sha256_new(void);
void ta_sha256_add(ta_sha256 *h, const void *data, size_t size);
/* 64 lower-case hex digits and a NUL into `hex` ("" when OpenSSL failed); frees *h. */
void ta_sha256_end(ta_sha256 **h, char hex[65]);
void ta_sha256_drop(ta_sha256 **h);
/* Of a whole file; cancellable. */
int ta_sha256_file(const char *path, char hex[65], const ta_cancel *cancel, ta_error *err);

/* The space monitor: watches a folder's free bytes and its size. Checked at most once a second by whoever writes;
 * `ta_space_check` returns TA_ERR_AGAIN, with the figures and a hint, when free space is under `reserve` or the folder
 * is over `limit` (0 = no limit). */
typedef struct ta_space {
    char *folder;
    int64_t reserve, limit;
    _Atomic int64_t next_check_us;
} ta_space;
int ta_space_check(ta_space *s, ta_error *err);

#endif
