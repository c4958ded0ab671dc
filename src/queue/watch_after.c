/* What becomes of an original: nothing before its output was verified, byte by byte and by decoding; and only to the
 * file that the output was made from. Each step can be done again after a crash. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queue/watch.h"

enum { MAX_SIDECAR = 64 << 20, COPY = 1 << 20 };

/* ---- Is it still what it was? ---------------------------------------------------------------------------------------
 */

/* 1: the same file, 0: gone, TA_ERR_DATA: another one. */
static int look_at(const char *path, const ta_watch_row *row, ta_error *err)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? 0 : ta_fail_errno(err, errno, false, "can't look at", path);
    int64_t modified = (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
    if (S_ISREG(st.st_mode) && st.st_size == row->size && modified == row->modified_us)
        return 1;
    return ta_fail(err, TA_ERR_DATA, "'%s' was changed since it was taken", path);
}

/* SHA-256 of the source, as the sidecar of the output has it. */
static int recorded_sha256(const char *output, char hex[65], ta_error *err)
{
    char *side = ta_format("%s.json", output), *text = NULL;
    size_t size;
    int r = side ? ta_read_file(side, MAX_SIDECAR, &text, &size, err) : ta_no_memory(err);
    json_t *doc = r >= 0 ? json_loadb(text, size, 0, NULL) : NULL;
    const char *sha = json_string_value(json_object_get(json_object_get(doc, "source"), "sha256"));
    if (r >= 0 && (!sha || strlen(sha) != 64))
        r = ta_fail(err, TA_ERR_DATA, "'%s' has no SHA-256 of the source", side);
    if (r >= 0)
        memcpy(hex, sha, 65);
    json_decref(doc);
    ta_free(text);
    ta_free(side);
    return r;
}

/* The output is whole, and the original is what it was made from. */
static int verify(const char *original, const ta_watch_row *row, char hex[65], ta_cancel *cancel, ta_error *err)
{
    ta_buf report = { 0 };
    char now[65];
    int r = ta_verify_output(row->output, cancel, &report, err);
    ta_buf_free(&report);
    if (r >= 0)
        r = recorded_sha256(row->output, hex, err);
    if (r >= 0)
        r = ta_sha256_file(original, now, cancel, err);
    if (r >= 0 && strcmp(now, hex) != 0)
        r = ta_fail(err, TA_ERR_DATA, "'%s' is not what '%s' was made from", original, row->output);
    return r;
}

/* ---- Moving ---------------------------------------------------------------------------------------------------------
 */

static int copy_bytes(int in, const char *from, const char *to, ta_cancel *cancel, ta_error *err)
{
    char *buffer = ta_alloc(COPY);
    int out = buffer ? open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666) : -1;
    int r = !buffer ? ta_no_memory(err) : out < 0 ? ta_fail_errno(err, errno, true, "can't create", to) : 0;
    for (ssize_t n = 1; r >= 0 && n > 0;) {
        n = read(in, buffer, COPY);
        if (n < 0)
            r = ta_fail_errno(err, errno, false, "can't read", from);
        for (ssize_t done = 0, w = 0; r >= 0 && done < n; done += w)
            if ((w = write(out, buffer + done, (size_t)(n - done))) < 0)
                r = ta_fail_errno(err, errno, true, "can't write", to);
        if (ta_cancelled(cancel))
            r = ta_fail(err, TA_ERR_CANCELLED, "cancelled");
    }
    struct stat st;
    if (r >= 0 && fstat(in, &st) == 0 && futimens(out, (struct timespec[]){ st.st_atim, st.st_mtim }) != 0)
        ta_log(TA_LOG_VERBOSE, "watch", "'%s' doesn't keep its date", to);
    if (r >= 0 && fsync(out) != 0)
        r = ta_fail_errno(err, errno, true, "can't write", to);
    if (out >= 0)
        close(out);
    ta_free(buffer);
    return r;
}

/* To another file system: the copy is compared by its hash before the original goes. */
static int move_by_copy(const char *from, const char *to, ta_cancel *cancel, ta_error *err)
{
    char *temp = ta_format("%s.moving", to), a[65], b[65];
    int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int r = !temp ? ta_no_memory(err) : in < 0 ? ta_fail_errno(err, errno, false, "can't open", from) : 0;
    if (r >= 0 && unlink(temp) != 0 && errno != ENOENT) /* of a try before a crash */
        r = ta_fail_errno(err, errno, true, "can't remove", temp);
    if (r >= 0)
        r = copy_bytes(in, from, temp, cancel, err);
    if (r >= 0)
        r = ta_sha256_file(from, a, cancel, err);
    if (r >= 0)
        r = ta_sha256_file(temp, b, cancel, err);
    if (r >= 0 && strcmp(a, b) != 0)
        r = ta_fail(err, TA_ERR_IO, "the copy of '%s' in '%s' differs from it", from, temp);
    if (r >= 0 && renameat2(AT_FDCWD, temp, AT_FDCWD, to, RENAME_NOREPLACE) != 0)
        r = ta_fail_errno(err, errno, true, "can't move to", to);
    if (r >= 0)
        r = ta_sync_folder_of(to, err);
    if (r >= 0 && unlink(from) != 0)
        r = ta_fail_errno(err, errno, true, "can't remove", from);
    if (r < 0 && temp)
        unlink(temp);
    if (in >= 0)
        close(in);
    ta_free(temp);
    return r;
}

/* A name that is free: "tape.avi", "tape (2).avi", ... */
static char *free_name(const char *folder, const char *path)
{
    const char *ext = ta_path_ext(path);
    char *stem = ta_path_stem(path), *out = ta_path_join(folder, ta_path_base(path));
    for (int i = 2; stem && out && access(out, F_OK) == 0 && i < 10000; i++) {
        char *name = ta_format("%s (%d)%s%s", stem, i, *ext ? "." : "", ext);
        ta_free(out);
        out = name ? ta_path_join(folder, name) : NULL;
        ta_free(name);
    }
    ta_free(stem);
    return out;
}

static int move_into(const ta_watch_folder *f, const char *original, const char *path, const char *folder,
                     ta_cancel *cancel, ta_error *err)
{
    char *below = ta_path_dir(path);
    bool deeper = below && f->keep_structure && strcmp(below, ".") != 0;
    char *place = deeper ? ta_path_join(folder, below) : ta_strdup(folder);
    int r = place && below ? ta_mkdirs(place, err) : ta_no_memory(err);
    char *to = r >= 0 ? free_name(place, path) : NULL;
    if (r >= 0 && !to)
        r = ta_no_memory(err);
    if (r >= 0 && renameat2(AT_FDCWD, original, AT_FDCWD, to, RENAME_NOREPLACE) != 0)
        r = errno == EXDEV || errno == EINVAL ? move_by_copy(original, to, cancel, err)
                                              : ta_fail_errno(err, errno, true, "can't move to", to);
    if (r >= 0) {
        ta_sync_folder_of(to, NULL);
        ta_sync_folder_of(original, NULL);
        ta_log(TA_LOG_INFO, "watch", "'%s' is moved to '%s'", original, to);
    }
    ta_free(to);
    ta_free(place);
    ta_free(below);
    return r;
}

/* ---- Deleting -------------------------------------------------------------------------------------------------------
 */

/* What was deleted, and what is left of it, on the disk before it is gone: QUEUE/fixity.jsonl. */
static int record_fixity(ta_jobs *q, const char *original, const ta_watch_row *row, const char *sha256, ta_error *err)
{
    char when[32], *path = ta_path_join(ta_jobs_dir(q), "fixity.jsonl");
    json_t *o = json_pack("{s:s, s:s, s:I, s:s, s:s}", "deleted", original, "sha256", sha256, "bytes",
                          (json_int_t)row->size, "output", row->output, "time", ta_print_utc(ta_wall_us(), when));
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    char *line = text ? ta_format("%s\n", text) : NULL;
    int fd = line && path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;
    int r = !line || !path ? ta_no_memory(err) : fd < 0 ? ta_fail_errno(err, errno, true, "can't open", path) : 0;
    if (r >= 0 && (write(fd, line, strlen(line)) != (ssize_t)strlen(line) || fsync(fd) != 0))
        r = ta_fail_errno(err, errno, true, "can't write", path);
    if (fd >= 0)
        close(fd);
    if (r >= 0)
        r = ta_sync_folder_of(path, err);
    ta_free(line);
    free(text);
    json_decref(o);
    ta_free(path);
    return r;
}

static int delete (ta_jobs *q, const char *original, const ta_watch_row *row, const char *sha256, ta_error *err)
{
    int r = record_fixity(q, original, row, sha256, err);
    if (r >= 0 && unlink(original) != 0)
        r = ta_fail_errno(err, errno, true, "can't delete", original);
    if (r >= 0)
        ta_log(TA_LOG_INFO, "watch", "'%s' is deleted; its SHA-256 is kept in fixity.jsonl", original);
    return r;
}

/* ---- Ends -----------------------------------------------------------------------------------------------------------
 */

static int settle_completed(ta_jobs *q, const ta_watch_folder *f, const ta_watch_row *row, const char *original,
                            ta_cancel *cancel, ta_error *err)
{
    char hex[65] = "", text[1000];
    ta_error why = { 0 };
    if (f->after == TA_WATCH_KEEP)
        return ta_watch_set(q, f, row, TA_WATCH_SETTLED, 0, "", "", err);
    int there = look_at(original, row, &why);
    if (there == 0)
        return ta_watch_set(q, f, row, TA_WATCH_SETTLED, 0, "", "the original is gone", err);
    int r = there < 0 ? there : verify(original, row, hex, cancel, &why);
    if (r >= 0)
        r = f->after == TA_WATCH_MOVE ? move_into(f, original, row->path, f->move_to, cancel, &why)
                                      : delete (q, original, row, hex, &why);
    if (r == TA_ERR_CANCELLED)
        return ta_watch_set(q, f, row, TA_WATCH_AFTER, 0, "", "", err);
    if (r == TA_ERR_AGAIN || r == TA_ERR_IO) {
        ta_log(TA_LOG_WARN, "watch", "%s; tried again later", ta_error_string(&why, text, sizeof text));
        return ta_watch_set(q, f, row, TA_WATCH_AFTER, ta_wall_us() + TA_MAX(f->retry_us, 1000000), hex, text, err);
    }
    if (r < 0) {
        ta_log(TA_LOG_ERROR, "watch", "the original is left where it is: %s", ta_error_string(&why, text, sizeof text));
        return ta_watch_set(q, f, row, TA_WATCH_SETTLED, 0, hex, text, err);
    }
    return ta_watch_set(q, f, row, TA_WATCH_SETTLED, 0, hex, "", err);
}

static int settle_failed(ta_jobs *q, const ta_watch_folder *f, const ta_watch_row *row, const char *original,
                         ta_cancel *cancel, ta_error *err)
{
    ta_error why = { 0 };
    char text[1000];
    if (row->state == TA_WATCH_RETRY)
        return ta_watch_retry(q, f, row, err);
    if (row->tries < f->retries)
        return ta_watch_set(q, f, row, TA_WATCH_RETRY, ta_wall_us() + f->retry_us, "", row->message, err);
    if (f->errors_to && look_at(original, row, NULL) > 0 &&
        move_into(f, original, row->path, f->errors_to, cancel, &why) < 0)
        ta_log(TA_LOG_ERROR, "watch", "%s", ta_error_string(&why, text, sizeof text));
    return ta_watch_set(q, f, row, TA_WATCH_GIVEN_UP, 0, "", row->message, err);
}

int ta_watch_settle(ta_jobs *q, const ta_watch_folder *f, const ta_watch_row *row, ta_cancel *cancel, ta_error *err)
{
    char *original = ta_path_join(f->input, row->path);
    int r;
    if (!original)
        return ta_no_memory(err);
    if (row->state == TA_WATCH_AFTER || row->job_state == TA_Q_COMPLETED)
        r = settle_completed(q, f, row, original, cancel, err);
    else if (row->job_state == TA_Q_FAILED)
        r = settle_failed(q, f, row, original, cancel, err);
    else if (row->job_state == TA_Q_CANCELLED || row->job_state == TA_Q_STATES)
        r = ta_watch_set(q, f, row, TA_WATCH_GIVEN_UP, 0, "", "its job was cancelled or removed", err);
    else
        r = ta_watch_set(q, f, row, TA_WATCH_TAKEN, 0, "", "", err); /* somebody tried it again already */
    ta_free(original);
    return r;
}
