/* Folders: made, measured, removed. All by descriptors relative to the parent (openat and so on) and with O_NOFOLLOW,
 * so that a link planted in the tree leads nowhere else. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "base/memory.h"
#include "base/tree.h"

int ta_mkdirs(const char *path, ta_error *err)
{
    char *part = ta_strdup(path);
    int ret = 0;

    if (!part)
        return ta_no_memory(err);
    /* The end of each part in turn; the last one is the end of the string. */
    for (char *end = part + 1; part[0] && !ret; end++) {
        char kept = *end;
        if (kept && kept != '/')
            continue;
        *end = '\0';
        int why = mkdir(part, 0777) ? errno : 0;
        /* "/" and folders on read-only or foreign disks give other errors than EEXIST. */
        if (why && !ta_is_dir(part))
            ret = ta_fail_errno(err, why == EEXIST ? ENOTDIR : why, true, "can't create the folder", part);
        *end = kept;
        if (!kept)
            break;
    }
    ta_free(part);
    return ret;
}

DIR *ta_open_dir_at(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (fd >= 0 && !dir)
        close(fd);
    return dir;
}

struct dirent *ta_next_entry(DIR *dir)
{
    struct dirent *e;

    do
        e = readdir(dir);
    while (e && (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")));
    return e;
}

int ta_remove_at(int at, const char *name)
{
    if (!unlinkat(at, name, 0) || errno == ENOENT)
        return 0;
    int why = errno;
    DIR *dir = why == EISDIR || why == EPERM ? ta_open_dir_at(at, name) : NULL;
    if (!dir)
        return why;
    int ret = 0;
    for (struct dirent *e; !ret && (e = ta_next_entry(dir));)
        ret = ta_remove_at(dirfd(dir), e->d_name);
    closedir(dir);
    if (!ret && unlinkat(at, name, AT_REMOVEDIR) && errno != ENOENT)
        ret = errno;
    return ret;
}

int ta_remove_tree(const char *path, ta_error *err)
{
    int why = ta_remove_at(AT_FDCWD, path);
    return why ? ta_fail_errno(err, why, false, "can't remove", path) : 0;
}

static int64_t size_at(int at, const char *name)
{
    struct stat st;

    if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW))
        return 0; /* gone meanwhile */
    if (S_ISREG(st.st_mode))
        return st.st_size;
    DIR *dir = S_ISDIR(st.st_mode) ? ta_open_dir_at(at, name) : NULL;
    if (!dir)
        return 0;
    int64_t sum = 0;
    for (struct dirent *e; (e = ta_next_entry(dir));)
        sum += size_at(dirfd(dir), e->d_name);
    closedir(dir);
    return sum;
}

int64_t ta_tree_size(const char *path)
{
    return size_at(AT_FDCWD, path);
}
