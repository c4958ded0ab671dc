/* Atomic publish: an output is written under a temporary name and renamed when it is complete and on the disk. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/files.h"
#include "base/memory.h"
#include "base/publish.h"
#include "base/text.h"
#include "base/unlink_list.h"

enum { OPEN_MAX_FILES = 64, TRIES = 100, EXT_MAX = 32 };

static struct ta_unlink_slot open_files[OPEN_MAX_FILES];

struct ta_publish {
    char *path, *temp;
    int fd; /* kept open so that fsync reports every failed write-back since the start */
    int slot;
    bool overwrite, adopted;
};

static int fail_exists(ta_error *err, const char *path)
{
    ta_fail(err, TA_ERR_CANTCREATE, "'%s' exists already", path);
    ta_hint(err, "choose another name, or allow it to be replaced with --overwrite");
    return TA_ERR_CANTCREATE;
}

/* What stands under the final name may be replaced only with permission, and only when it is a plain file: a rename
 * over /dev/null or a pipe would destroy it. A link is followed, so that it stays and its target is replaced. */
static int check_target(ta_publish *p, ta_error *err)
{
    struct stat st;

    if (lstat(p->path, &st))
        return errno == ENOENT ? 0 : ta_fail_errno(err, errno, true, "can't create", p->path);
    if (!p->overwrite)
        return fail_exists(err, p->path);
    if (S_ISLNK(st.st_mode)) {
        char *real = realpath(p->path, NULL);
        char *copy = ta_strdup(real);
        free(real);
        if (!real)
            return ta_fail_errno(err, errno, true, "can't follow the link", p->path);
        if (!copy)
            return ta_no_memory(err);
        ta_free(p->path);
        p->path = copy;
        if (stat(p->path, &st))
            return ta_fail_errno(err, errno, true, "can't create", p->path);
    }
    if (S_ISREG(st.st_mode))
        return 0;
    ta_fail(err, TA_ERR_CANTCREATE, "'%s' is %s", p->path, S_ISDIR(st.st_mode) ? "a folder" : "not a plain file");
    ta_hint(err, "give the name of a file to be written");
    return TA_ERR_CANTCREATE;
}

static char *make_temp_name(const char *path)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    const char *base = ta_path_base(path), *ext = ta_path_ext(path);
    unsigned char noise[6];
    char tag[sizeof(noise) + 1] = "";
    char name[NAME_MAX + 1];

    if (strlen(ext) > EXT_MAX)
        ext = ""; /* a long name with a dot in it */
    if (getrandom(noise, sizeof(noise), 0) != (ssize_t)sizeof(noise))
        return NULL;
    for (size_t i = 0; i < sizeof(noise); i++)
        tag[i] = letters[noise[i] % (sizeof(letters) - 1)];
    /* A long name is cut so that the temporary one is still allowed. */
    int room = NAME_MAX - (int)strlen(".") - (int)strlen(".tmp-") - (int)strlen(tag) - 1 - (int)strlen(ext);
    snprintf(name, sizeof(name), "%.*s", room > 1 ? room : 1, base);
    ta_utf8_trim(name);
    return ta_format("%.*s.%s.tmp-%s%s%s", (int)(base - path), path, name, tag, *ext ? "." : "", ext);
}

/* Creates p->temp, which is on the list of files to unlink before it exists. 0 or an errno. */
static int create_temp(ta_publish *p)
{
    p->slot = ta_unlink_add(open_files, OPEN_MAX_FILES, p->temp, false);
    if (p->slot < 0)
        return errno;
    /* Not mkstemp: the file is to have the rights that the umask and the folder give any new file. */
    p->fd = open(p->temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (p->fd >= 0)
        return 0;
    int why = errno;
    ta_unlink_forget(open_files, p->slot);
    p->slot = -1;
    return why;
}

static int create_own_temp(ta_publish *p)
{
    int why = EEXIST;

    for (int i = 0; i < TRIES && why == EEXIST; i++) {
        ta_freep(&p->temp);
        p->temp = make_temp_name(p->path);
        why = p->temp ? create_temp(p) : ENOMEM;
    }
    return why;
}

static int create_given_temp(ta_publish *p, const char *temp)
{
    p->temp = ta_strdup(temp);
    if (!p->temp)
        return ENOMEM;
    /* What an interrupted run left there is of no use. */
    if (unlink(temp) && errno != ENOENT)
        return errno;
    return create_temp(p);
}

/* Frees the record; the files stay as they are. */
static void dispose(ta_publish **p)
{
    if ((*p)->fd >= 0)
        close((*p)->fd);
    ta_unlink_forget(open_files, (*p)->slot);
    ta_free((*p)->path);
    ta_free((*p)->temp);
    ta_freep(p);
}

int ta_publish_open_as(ta_publish **out, const char *path, const char *temp, bool overwrite, ta_error *err)
{
    *out = NULL;
    ta_publish *p = ta_alloc(sizeof(*p));
    if (!p)
        return ta_no_memory(err);
    p->fd = p->slot = -1;
    p->overwrite = overwrite;
    p->path = ta_strdup(path);
    int ret = p->path ? check_target(p, err) : ta_no_memory(err);
    if (!ret) {
        int why = temp ? create_given_temp(p, temp) : create_own_temp(p);
        ret = why ? ta_fail_errno(err, why, true, "can't create", temp ? temp : path) : 0;
    }
    if (ret)
        dispose(&p);
    *out = p;
    return ret;
}

int ta_publish_adopt(ta_publish **out, const char *path, const char *temp, bool overwrite, ta_error *err)
{
    struct stat st;
    *out = NULL;
    ta_publish *p = ta_alloc(sizeof(*p));
    if (!p)
        return ta_no_memory(err);
    p->slot = -1;
    p->overwrite = overwrite;
    p->adopted = true;
    p->path = ta_strdup(path);
    p->temp = ta_strdup(temp);
    p->fd = p->temp ? open(temp, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
    int ret = !p->path || !p->temp ? ta_no_memory(err) : 0;
    if (!ret && p->fd < 0)
        ret = ta_fail_errno(err, errno, false, "can't open", temp);
    if (!ret && (fstat(p->fd, &st) || !S_ISREG(st.st_mode)))
        ret = ta_fail(err, TA_ERR_DATA, "'%s' is not a plain file", temp);
    if (!ret)
        ret = check_target(p, err);
    if (ret)
        dispose(&p);
    *out = p;
    return ret;
}

int ta_publish_open(ta_publish **p, const char *path, bool overwrite, ta_error *err)
{
    return ta_publish_open_as(p, path, NULL, overwrite, err);
}

const char *ta_publish_temp(const ta_publish *p)
{
    return p->temp;
}

const char *ta_publish_path(const ta_publish *p)
{
    return p->path;
}

int ta_link_new(const char *from, const char *to)
{
    if (link(from, to))
        return errno;
    unlink(from);
    return 0;
}

int ta_rename_new(const char *from, const char *to)
{
    if (!renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE))
        return 0;
    /* What NFS and some FUSE file systems say to a flag that they don't know. */
    return errno == EINVAL || errno == ENOSYS || errno == ENOTSUP ? ta_link_new(from, to) : errno;
}

/* Brings the file to the disk. A writer may have replaced the temporary file by another of that name. */
static int sync_temp(ta_publish *p)
{
    struct stat ours, named;

    if (stat(p->temp, &named) || fstat(p->fd, &ours))
        return errno;
    if (ours.st_ino != named.st_ino || ours.st_dev != named.st_dev) {
        int fd = open(p->temp, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            return errno;
        close(p->fd);
        p->fd = fd;
    }
    return fsync(p->fd) ? errno : 0;
}

/* Folders that can't be opened or synced (no read permission, some network file systems) are left to the kernel. */
int ta_sync_folder_of(const char *path, ta_error *err)
{
    char *dir = ta_path_dir(path);

    if (!dir)
        return ta_no_memory(err);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int why = fd >= 0 && fsync(fd) && errno != EINVAL ? errno : 0;
    if (fd >= 0)
        close(fd);
    int ret = why ? ta_fail_errno(err, why, true, "can't write the folder", dir) : 0;
    ta_free(dir);
    return ret;
}

int ta_publish_commit(ta_publish **p, ta_error *err)
{
    const char *temp = (*p)->temp, *path = (*p)->path;
    int why = sync_temp(*p);

    if (why == ENOENT)
        return ta_fail(err, TA_ERR_IO, "the temporary file '%s' was removed by somebody", temp);
    if (why)
        return ta_fail_errno(err, why, false, "can't write", temp);
    if ((*p)->overwrite)
        why = rename(temp, path) ? errno : 0;
    else
        why = ta_rename_new(temp, path);
    if (why == EEXIST)
        return fail_exists(err, path);
    if (why)
        return ta_fail_errno(err, why, true, "can't create", path);
    int ret = ta_sync_folder_of(path, err);
    if (ret)
        return ta_wrap(err, "'%s' is complete, but its folder was not brought to the disk", path);
    dispose(p);
    return 0;
}

void ta_publish_abort(ta_publish **p)
{
    if (!p || !*p)
        return;
    if (!(*p)->adopted)
        unlink((*p)->temp);
    dispose(p);
}

void ta_publish_unlink_all(void)
{
    ta_unlink_run(open_files, OPEN_MAX_FILES, false);
}

int ta_write_file_as(const char *path, const char *temp, const void *data, size_t size, bool overwrite, ta_error *err)
{
    ta_publish *p = NULL;
    int ret = ta_publish_open_as(&p, path, temp, overwrite, err);

    if (ret)
        return ret;
    int why = ta_fd_write(p->fd, data, size);
    ret = why ? ta_fail_errno(err, why, false, "can't write", path) : ta_publish_commit(&p, err);
    ta_publish_abort(&p);
    return ret;
}

int ta_write_file(const char *path, const void *data, size_t size, bool overwrite, ta_error *err)
{
    return ta_write_file_as(path, NULL, data, size, overwrite, err);
}
