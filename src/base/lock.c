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

static int lock_file(const char *path, bool *busy, ta_error *err)
{
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (fd < 0)
            return ta_fail_errno(err, errno, true, "can't open the lock", path);
        int ret;
        do
            ret = flock(fd, LOCK_EX | LOCK_NB);
        while (ret && errno == EINTR);
        /* The one who held it may have removed it: then this lock is of a file that nobody else will find. */
        if (!ret && still_there(fd, path))
            return fd;
        int why = errno;
        close(fd);
        *busy = ret && why == EWOULDBLOCK;
        if (*busy)
            return ta_fail(err, TA_ERR_AGAIN, "'%s' is locked by another process", path);
        if (ret)
            return ta_fail_errno(err, why, true, "can't lock", path);
    }
}

int ta_lock_try(ta_lock **lock, const char *path, bool *busy, ta_error *err)
{
    *lock = NULL;
    *busy = false;
    ta_lock *l = ta_alloc(sizeof(*l));
    if (!l)
        return ta_no_memory(err);
    l->fd = lock_file(path, busy, err);
    if (l->fd < 0) {
        int ret = l->fd;
        ta_free(l);
        return ret;
    }
    *lock = l;
    return 0;
}

int ta_lock_take(ta_lock **lock, const char *path, ta_error *err)
{
    bool busy;
    return ta_lock_try(lock, path, &busy, err);
}

void ta_lock_drop(ta_lock **lock)
{
    if (!lock || !*lock)
        return;
    close((*lock)->fd);
    ta_freep(lock);
}
