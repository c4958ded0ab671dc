/* A library to preload for tests: it sees each call that changes files below one folder, writes it down, and can kill
 * the process or fail the call at a chosen one. The program knows nothing of it.
 *
 * WATCH_DIR    the folder (a real path)
 * WATCH_LOG    file for one line a call: "op class path"; the class is the path without what differs between runs
 * WATCH_DO     kill-before, kill-after, or the name of an error: ENOSPC, EIO, EDQUOT
 * WATCH_AT     "op class n": the n-th such call; for errors that one and all behind it
 *
 * Streams of stdio write from within libc, where nobody else can see it: those that are opened for writing below the
 * folder are replaced by ones that write through this library. */
#undef _FILE_OFFSET_BITS /* both names of each call are needed */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

enum { STREAMS = 64 };

static atomic_int hits;

/* ---- Paths
 * ------------------------------------------------------------------------------------------------------------ */

/* The path below the folder, or NULL. `at` and relative paths are resolved through /proc. */
static const char *below(int at, const char *path, char full[2 * PATH_MAX])
{
    const char *dir = getenv("WATCH_DIR");
    char base[PATH_MAX] = "", name[64];

    if (!dir)
        return NULL;
    if (!path || path[0] != '/') {
        snprintf(name, sizeof name, at == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", at);
        ssize_t n = readlink(name, base, sizeof base - 1);
        if (n <= 0)
            return NULL;
        base[n] = '\0';
    }
    snprintf(full, 2 * PATH_MAX, "%s%s%s", base, base[0] && path ? "/" : "", path ? path : "");
    size_t len = strlen(dir);
    if (strncmp(full, dir, len) != 0 || (full[len] && full[len] != '/'))
        return NULL;
    return full[len] ? full + len + 1 : ".";
}

/* "segment-00003.host-17-17.part" becomes "segment-#.part", ".out.tmp-x1y2z3.json" becomes ".out.tmp.json", and
 * ".out.0a1b2c3d.part" becomes ".out.part". */
static void class_of(const char *path, char out[PATH_MAX])
{
    size_t n = 0;
    const char *part = strstr(path, ".part"), *segment = strstr(path, "/segment-");

    for (const char *p = path; *p && n < PATH_MAX - 2;) {
        if (part && *p == '.' && segment && p < part && p > segment) {
            p = part;
            part = NULL;
        } else if (part && !segment && *p == '.' && part - p == 9) {
            p = part;
        } else if (strncmp(p, ".tmp-", 5) == 0 && strlen(p) >= 11) {
            memcpy(out + n, ".tmp", 4);
            n += 4;
            p += 11;
        } else if (*p >= '0' && *p <= '9') {
            out[n++] = '#';
            while (*p >= '0' && *p <= '9')
                p++;
        } else {
            out[n++] = *p++;
        }
    }
    out[n] = '\0';
}

/* ---- What happens at a call
 * ------------------------------------------------------------------------------------------- */

static void die(void)
{
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;)
        pause();
}

static void note(const char *op, const char *class, const char *path)
{
    const char *log = getenv("WATCH_LOG");
    char line[3 * PATH_MAX];
    int n = snprintf(line, sizeof line, "%s %s %s\n", op, class, path);
    int fd = log ? (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;

    if (fd >= 0) {
        if (syscall(SYS_write, fd, line, n) != n)
            abort();
        close(fd);
    }
}

static int error_named(const char *name)
{
    return strcmp(name, "EIO") == 0 ? EIO : strcmp(name, "EDQUOT") == 0 ? EDQUOT : ENOSPC;
}

/* Is this the call that is meant? */
static bool is_it(const char *op, const char *class, bool onward)
{
    char what[PATH_MAX + 64];
    const char *at = getenv("WATCH_AT"), *space = at ? strrchr(at, ' ') : NULL;

    snprintf(what, sizeof what, "%s %s", op, class);
    if (!space || strlen(what) != (size_t)(space - at) || strncmp(what, at, strlen(what)) != 0)
        return false;
    int hit = atomic_fetch_add(&hits, 1) + 1;
    return onward ? hit >= atoi(space + 1) : hit == atoi(space + 1);
}

/* Before the call. 0 to make it, an errno to fail it; *kill when the process is to end behind it. */
static int before(const char *op, int at, const char *path, bool *kill)
{
    char full[2 * PATH_MAX], class[PATH_MAX];
    int saved = errno;
    const char *rest = below(at, path, full), *what = getenv("WATCH_DO");

    *kill = false;
    if (!rest) {
        errno = saved;
        return 0;
    }
    class_of(rest, class);
    note(op, class, rest);
    bool kills = what && strncmp(what, "kill", 4) == 0;
    bool now = what && is_it(op, class, !kills);
    if (now && strcmp(what, "kill-before") == 0)
        die();
    *kill = now && kills;
    errno = saved;
    return now && !kills ? error_named(what) : 0;
}

/* The body of a call: `made` is the true call, -1 its failure. */
#define WATCH(op, at, path, type, made)                                                                                \
    do {                                                                                                               \
        bool kill_;                                                                                                    \
        int why_ = before(op, at, path, &kill_);                                                                       \
        if (why_) {                                                                                                    \
            errno = why_;                                                                                              \
            return -1;                                                                                                 \
        }                                                                                                              \
        type result_ = (made);                                                                                         \
        if (kill_)                                                                                                     \
            die();                                                                                                     \
        return result_;                                                                                                \
    } while (0)

/* ---- The calls
 * -------------------------------------------------------------------------------------------------------- */

static int open_watched(int at, const char *path, int flags, mode_t mode)
{
    if (!(flags & O_CREAT))
        return (int)syscall(SYS_openat, at, path, flags | O_LARGEFILE, mode);
    WATCH("create", at, path, int, (int)syscall(SYS_openat, at, path, flags | O_LARGEFILE, mode));
}

#define MODE(flags)                                                                                                    \
    mode_t mode = 0;                                                                                                   \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {                                                                           \
        va_list args;                                                                                                  \
        va_start(args, flags);                                                                                         \
        mode = va_arg(args, mode_t);                                                                                   \
        va_end(args);                                                                                                  \
    }

EXPORT int open(const char *path, int flags, ...)
{
    MODE(flags)
    return open_watched(AT_FDCWD, path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
{
    MODE(flags)
    return open_watched(AT_FDCWD, path, flags, mode);
}

EXPORT int openat(int at, const char *path, int flags, ...)
{
    MODE(flags)
    return open_watched(at, path, flags, mode);
}

EXPORT int openat64(int at, const char *path, int flags, ...)
{
    MODE(flags)
    return open_watched(at, path, flags, mode);
}

EXPORT ssize_t write(int fd, const void *data, size_t size)
{
    WATCH("write", fd, NULL, ssize_t, syscall(SYS_write, fd, data, size));
}

EXPORT ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    WATCH("write", fd, NULL, ssize_t, syscall(SYS_pwrite64, fd, data, size, at));
}

EXPORT ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    WATCH("write", fd, NULL, ssize_t, syscall(SYS_pwrite64, fd, data, size, at));
}

EXPORT int fsync(int fd)
{
    WATCH("fsync", fd, NULL, int, (int)syscall(SYS_fsync, fd));
}

EXPORT int fdatasync(int fd)
{
    WATCH("fsync", fd, NULL, int, (int)syscall(SYS_fdatasync, fd));
}

EXPORT int ftruncate(int fd, off_t size)
{
    WATCH("truncate", fd, NULL, int, (int)syscall(SYS_ftruncate, fd, size));
}

EXPORT int ftruncate64(int fd, off64_t size)
{
    WATCH("truncate", fd, NULL, int, (int)syscall(SYS_ftruncate, fd, size));
}

EXPORT int rename(const char *from, const char *to)
{
    WATCH("rename", AT_FDCWD, to, int, (int)syscall(SYS_rename, from, to));
}

EXPORT int renameat(int at, const char *from, int to_at, const char *to)
{
    WATCH("rename", to_at, to, int, (int)syscall(SYS_renameat, at, from, to_at, to));
}

EXPORT int renameat2(int at, const char *from, int to_at, const char *to, unsigned flags)
{
    WATCH("rename", to_at, to, int, (int)syscall(SYS_renameat2, at, from, to_at, to, flags));
}

EXPORT int link(const char *from, const char *to)
{
    WATCH("link", AT_FDCWD, to, int, (int)syscall(SYS_link, from, to));
}

EXPORT int unlink(const char *path)
{
    WATCH("unlink", AT_FDCWD, path, int, (int)syscall(SYS_unlink, path));
}

EXPORT int unlinkat(int at, const char *path, int flags)
{
    WATCH("unlink", at, path, int, (int)syscall(SYS_unlinkat, at, path, flags));
}

EXPORT int rmdir(const char *path)
{
    WATCH("unlink", AT_FDCWD, path, int, (int)syscall(SYS_rmdir, path));
}

EXPORT int mkdir(const char *path, mode_t mode)
{
    WATCH("mkdir", AT_FDCWD, path, int, (int)syscall(SYS_mkdir, path, mode));
}

EXPORT int mkdirat(int at, const char *path, mode_t mode)
{
    WATCH("mkdir", at, path, int, (int)syscall(SYS_mkdirat, at, path, mode));
}

/* ---- Streams
 * ---------------------------------------------------------------------------------------------------------- */

static struct stream {
    _Atomic(FILE *) file;
    int fd;
} streams[STREAMS];

static ssize_t stream_write(void *cookie, const char *data, size_t size)
{
    struct stream *s = cookie;
    ssize_t n = write(s->fd, data, size);
    return n < 0 ? 0 : n;
}

static int stream_seek(void *cookie, off64_t *at, int whence)
{
    struct stream *s = cookie;
    *at = lseek(s->fd, *at, whence);
    return *at < 0 ? -1 : 0;
}

static int stream_close(void *cookie)
{
    struct stream *s = cookie;
    int r = close(s->fd);
    atomic_store(&s->file, NULL);
    return r;
}

static struct stream *free_stream(void)
{
    static char taken;
    for (int i = 0; i < STREAMS; i++) {
        FILE *none = NULL;
        if (atomic_compare_exchange_strong(&streams[i].file, &none, (FILE *)(void *)&taken))
            return &streams[i];
    }
    abort();
}

static FILE *open_stream(const char *path, const char *mode)
{
    struct stream *s = free_stream();
    int flags = O_CREAT | (strchr(mode, '+') ? O_RDWR : O_WRONLY) | (strchr(mode, 'e') ? O_CLOEXEC : 0) |
                (mode[0] == 'a'   ? O_APPEND
                 : mode[0] == 'w' ? O_TRUNC
                                  : 0);
    s->fd = open(path, flags, 0666);
    FILE *f = s->fd < 0 ? NULL
                        : fopencookie(s, "w", (cookie_io_functions_t){ NULL, stream_write, stream_seek, stream_close });
    atomic_store(&s->file, f);
    return f;
}

EXPORT FILE *fopen(const char *path, const char *mode)
{
    char full[2 * PATH_MAX];
    return mode[0] != 'r' && below(AT_FDCWD, path, full) ? open_stream(path, mode) : REAL(fopen)(path, mode);
}

EXPORT FILE *fopen64(const char *path, const char *mode)
{
    char full[2 * PATH_MAX];
    return mode[0] != 'r' && below(AT_FDCWD, path, full) ? open_stream(path, mode) : REAL(fopen64)(path, mode);
}

EXPORT int fileno(FILE *f)
{
    for (int i = 0; i < STREAMS; i++)
        if (atomic_load(&streams[i].file) == f)
            return streams[i].fd;
    return REAL(fileno)(f);
}
