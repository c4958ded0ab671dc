/* Errors of the file system as ours, whole files, and what can be asked about a path. */
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/memory.h"

static int status_of(int errnum, bool creating)
{
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return TA_ERR_AGAIN;
    case EROFS:
        return creating ? TA_ERR_CANTCREATE : TA_ERR_NOPERM;
    case EACCES:
    case EPERM:
        return TA_ERR_NOPERM;
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
        return creating ? TA_ERR_CANTCREATE : TA_ERR_NOINPUT;
    case EEXIST:
        return creating ? TA_ERR_CANTCREATE : TA_ERR_IO;
    default:
        return TA_ERR_IO;
    }
}

static const char *advice(int errnum, bool creating)
{
    switch (errnum) {
    case ENOSPC:
        return "free some space on that disk, or use another one, and run the same command again";
    case EDQUOT:
        return "your disk quota is used up: remove some files and run the same command again";
    case ENOMEM:
        return "close other programs and run the same command again";
    case EMFILE:
    case ENFILE:
        return "too many files are open: raise the limit (ulimit -n)";
    case EROFS:
        return "that file system is read-only: use another folder";
    case EACCES:
    case EPERM:
        return creating ? "check who may write to that folder, or use another one" : "check who may read that file";
    case ENOENT:
        return creating ? "create the folder first" : "check the spelling of the path";
    case ENOTDIR:
        return "a part of the path is a file, not a folder";
    case EFBIG:
        return "the file system or a limit (ulimit -f) does not allow files that large; FAT32 ends at 4 GiB";
    default:
        return NULL;
    }
}

int ta_fail_errno(ta_error *err, int errnum, bool creating, const char *what, const char *path)
{
    char text[128];
    int status = status_of(errnum, creating);
    const char *hint = advice(errnum, creating);

    ta_fail(err, (ta_status)status, "%s '%s': %s", what, path, strerror_r(errnum, text, sizeof(text)));
    if (hint)
        ta_hint(err, "%s", hint);
    return status;
}

int ta_fd_write(int fd, const void *data, size_t size)
{
    const char *p = data;

    while (size) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno != EINTR)
            return errno;
        if (n > 0) {
            p += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

ssize_t ta_fd_read(int fd, void *data, size_t size)
{
    ssize_t n;

    do
        n = read(fd, data, size);
    while (n < 0 && errno == EINTR);
    return n;
}

/* A file may grow while it is read, and those of /proc say that they are empty, so the size is only a first guess. */
static int read_all(int fd, size_t max, size_t guess, const char *path, char **data, size_t *size, ta_error *err)
{
    size_t room = guess < max ? guess + 1 : max + 1, len = 0;
    char *buf = NULL;
    int ret;

    for (;; room = room > max / 2 ? max + 1 : room * 2) {
        /* `room` bytes of content, one more than `max` at most, and the NUL. */
        char *larger = ta_resize(buf, room + 1, 1);
        ret = larger ? 0 : ta_no_memory(err);
        if (ret)
            break;
        buf = larger;
        ssize_t n = 1;
        while (len < room && n > 0) {
            n = ta_fd_read(fd, buf + len, room - len);
            if (n > 0)
                len += (size_t)n;
        }
        if (n < 0)
            ret = ta_fail_errno(err, errno, false, "can't read", path);
        else if (len > max)
            ret = ta_fail(err, TA_ERR_DATA, "'%s' is larger than the %zu bytes allowed here", path, max);
        if (ret || !n)
            break;
    }
    if (ret) {
        ta_free(buf);
        return ret;
    }
    buf[len] = '\0';
    *data = buf;
    *size = len;
    return 0;
}

int ta_read_file(const char *path, size_t max, char **data, size_t *size, ta_error *err)
{
    struct stat st;
    int ret, fd = open(path, O_RDONLY | O_CLOEXEC);

    *data = NULL;
    *size = 0;
    if (max > SIZE_MAX / 4)
        max = SIZE_MAX / 4;
    if (fd < 0)
        return ta_fail_errno(err, errno, false, "can't open", path);
    if (fstat(fd, &st))
        ret = ta_fail_errno(err, errno, false, "can't read", path);
    else if (S_ISDIR(st.st_mode))
        ret = ta_fail_errno(err, EISDIR, false, "can't read", path);
    else
        ret = read_all(fd, max, (size_t)st.st_size, path, data, size, err);
    close(fd);
    return ret;
}

bool ta_same_file(const char *a, const char *b)
{
    struct stat sa, sb;
    return !stat(a, &sa) && !stat(b, &sb) && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

bool ta_is_dir(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

int64_t ta_file_size(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISREG(st.st_mode) ? st.st_size : -1;
}

int64_t ta_free_space(const char *path)
{
    struct statvfs fs;
    char *at = ta_strdup(path);
    int64_t bytes = -1;

    while (at && bytes < 0) {
        if (!statvfs(at, &fs)) {
            bytes = (int64_t)(fs.f_bavail * fs.f_frsize);
            break;
        }
        bool top = !strcmp(at, "/") || !strcmp(at, ".");
        char *parent = (errno == ENOENT || errno == ENOTDIR) && !top ? ta_path_dir(at) : NULL;
        ta_free(at);
        at = parent;
    }
    ta_free(at);
    return bytes;
}
