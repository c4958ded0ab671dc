/* The file of a download under way and its record. The record is written before the first byte that it speaks of, so
 * after a kill it never praises bytes of another version. */
#include "net/part.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_RECORD = 4096 };

static int hash_url(const char *url, char hex[65], ta_error *err)
{
    ta_sha256 *h = ta_sha256_new();
    if (!h)
        return ta_no_memory(err);
    ta_sha256_add(h, url, strlen(url));
    ta_sha256_end(&h, hex);
    return 0;
}

/* The record of this URL; false when there is none. */
static bool read_record(ta_part *p)
{
    char *text;
    size_t size;
    if (ta_read_file(p->record, MAX_RECORD, &text, &size, NULL) < 0)
        return false;
    json_t *json = json_loadb(text, size, 0, NULL);
    const char *url = json_string_value(json_object_get(json, "url_sha256"));
    const char *validator = json_string_value(json_object_get(json, "validator"));
    bool ours = url && validator && !strcmp(url, p->url_hash) && strlen(validator) < sizeof p->validator;
    if (ours)
        memcpy(p->validator, validator, strlen(validator) + 1);
    json_decref(json);
    ta_free(text);
    return ours;
}

static int open_file(ta_part *p, ta_error *err)
{
    struct stat st;
    p->fd = open(p->file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (p->fd < 0)
        return ta_fail_errno(err, errno, true, "can't create", p->file);
    if (flock(p->fd, LOCK_EX | LOCK_NB) < 0) {
        close(p->fd);
        p->fd = -1;
        ta_fail(err, TA_ERR_AGAIN, "another download writes '%s'", p->file);
        return ta_hint(err, "wait for it and try again");
    }
    if (fstat(p->fd, &st) < 0 || !S_ISREG(st.st_mode))
        return ta_fail(err, TA_ERR_CANTCREATE, "'%s' is no plain file", p->file);
    p->have = st.st_size;
    return 0;
}

int ta_part_open(ta_part *p, const char *path, const char *url, ta_error *err)
{
    *p = (ta_part){
        .path = path, .fd = -1, .file = ta_format("%s.part", path), .record = ta_format("%s.part.json", path)
    };
    int r = p->file && p->record ? hash_url(url, p->url_hash, err) : ta_no_memory(err);
    if (r == 0)
        r = open_file(p, err);
    if (r == 0 && !read_record(p))
        r = ta_part_restart(p, err);
    if (r == 0 && lseek(p->fd, p->have, SEEK_SET) < 0)
        r = ta_fail_errno(err, errno, true, "can't write", p->file);
    if (r < 0)
        ta_part_close(p, true);
    return r;
}

int ta_part_restart(ta_part *p, ta_error *err)
{
    p->validator[0] = '\0';
    p->have = 0;
    unlink(p->record);
    if (ftruncate(p->fd, 0) < 0 || lseek(p->fd, 0, SEEK_SET) < 0)
        return ta_fail_errno(err, errno, true, "can't empty", p->file);
    return 0;
}

int ta_part_note(ta_part *p, const char *validator, ta_error *err)
{
    if (strlen(validator) >= sizeof p->validator)
        validator = "";
    memcpy(p->validator, validator, strlen(validator) + 1);
    json_t *json = json_pack("{s:s, s:s}", "url_sha256", p->url_hash, "validator", p->validator);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!text)
        return ta_no_memory(err);
    int r = ta_write_file(p->record, text, strlen(text), true, err);
    free(text);
    return r;
}

int ta_part_write(ta_part *p, const void *data, size_t size, ta_error *err)
{
    for (const char *from = data; size > 0;) {
        ssize_t n = write(p->fd, from, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ta_fail_errno(err, n < 0 ? errno : EIO, true, "can't write", p->file);
        from += n;
        size -= (size_t)n;
        p->have += n;
    }
    return 0;
}

int ta_part_finish(ta_part *p, ta_error *err)
{
    if (fsync(p->fd) < 0 || rename(p->file, p->path) < 0)
        return ta_fail_errno(err, errno, true, "can't create", p->path);
    unlink(p->record);
    close(p->fd);
    p->fd = -1;
    return ta_sync_folder_of(p->path, err);
}

void ta_part_close(ta_part *p, bool keep)
{
    if (p->fd >= 0 && (!keep || !p->have)) {
        unlink(p->record);
        unlink(p->file);
    }
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    ta_freep(&p->file);
    ta_freep(&p->record);
}
