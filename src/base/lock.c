/* Exclusive locks on files, by flock: they end with the process, however it ends. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/memory.h"

struct ta_lock {
    int fd;
};

/* Whether `path` still names the file that `fd` has open. */
static bool still_there(int fd, const char *path)
{
    struct stat ours, named;
    return !fstat(fd, &ours) && !stat(path, &named) && ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

/* Opens and locks the file. The descriptor, or -1 and errno. */
static int lock_file(const char *path)
{
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (fd < 0)
            return -1;
        int ret;
        do
            ret = flock(fd, LOCK_EX | LOCK_NB);
        while (ret && errno == EINTR);
        /* The one who held it may have removed it: then this lock is of a file that nobody else will find. */
        if (!ret && still_there(fd, path))
            return fd;
        int why = errno;
        close(fd);
        errno = why;
        if (ret)
            return -1;
    }
}

int ta_lock_try(ta_lock **lock, const char *path, int *why, ta_error *err)
{
    *lock = NULL;
    *why = ENOMEM;
    ta_lock *l = ta_alloc(sizeof(*l));
    if (!l)
        return ta_no_memory(err);
    l->fd = lock_file(path);
    if (l->fd >= 0) {
        *lock = l;
        *why = 0;
        return 0;
    }
    *why = errno;
    ta_free(l);
    if (*why == EWOULDBLOCK)
        return ta_fail(err, TA_ERR_AGAIN, "'%s' is locked by another process", path);
    return ta_fail_errno(err, *why, true, "can't lock", path);
}

int ta_lock_take(ta_lock **lock, const char *path, ta_error *err)
{
    int why;
    return ta_lock_try(lock, path, &why, err);
}

void ta_lock_drop(ta_lock **lock)
{
    if (!lock || !*lock)
        return;
    close((*lock)->fd);
    ta_freep(lock);
}
