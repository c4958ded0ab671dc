/* The job folder and its lock. */
#include "base/job_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/lock.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/tree.h"
#include "base/unlink_list.h"

#define SUFFIX ".terminalai"
#define LOCK_NAME "lock"

enum { TABLE_FILES = 256, HASH_DIGITS = 8, TRIES = 100, STALE_DAYS = 7 };

/* The files and folders to remove when the process must end at once. */
static struct ta_unlink_slot noted[TABLE_FILES];

struct ta_job_folder {
    char *path;
    ta_lock *lock_file;
    pthread_mutex_t lock;
    /* lock */
    int slots[TABLE_FILES]; /* in `noted` */
    int count;
};

/* A short hash that tells outputs of one name apart: of the path, whichever way its folder is written. */
static bool hash_path(const char *output, char hex[65])
{
    char *dir = ta_path_dir(output);
    char *real = dir ? realpath(dir, NULL) : NULL;
    char *path = dir ? ta_path_join(real ? real : dir, ta_path_base(output)) : NULL;
    ta_sha256 *h = path ? ta_sha256_new() : NULL;

    hex[0] = '\0';
    if (h) {
        ta_sha256_add(h, path, strlen(path));
        ta_sha256_end(&h, hex);
        hex[HASH_DIGITS] = '\0';
    }
    free(real);
    ta_free(dir);
    ta_free(path);
    return hex[0];
}

/* The name of the job folder; NULL when out of memory. A name too long for a folder is cut and gets the hash. */
static char *make_name(const char *output, bool with_hash)
{
    const char *base = ta_path_base(output);
    char name[NAME_MAX + 1], hex[65] = "";
    size_t room = NAME_MAX - strlen("." SUFFIX);

    if (with_hash || strlen(base) > room) {
        if (!hash_path(output, hex))
            return NULL;
        room -= HASH_DIGITS + 1;
    }
    size_t len = strnlen(base, room);
    memcpy(name, base, len);
    name[len] = '\0';
    ta_utf8_trim(name);
    return ta_format(".%s%s%s" SUFFIX, name, hex[0] ? "-" : "", hex);
}

static char *make_path(const char *output, const char *work_dir)
{
    char *name = make_name(output, work_dir != NULL);
    char *dir = work_dir ? ta_strdup(work_dir) : ta_path_dir(output);
    char *path = name && dir ? ta_path_join(dir, name) : NULL;

    ta_free(name);
    ta_free(dir);
    return path;
}

/* Makes the folder and takes its lock. *why is the errno of a failure; ENOENT when the folder went away meanwhile. */
static int take_lock(const char *path, const char *lock_path, ta_lock **lock, int *why, ta_error *err)
{
    struct stat st;

    *why = 0;
    if (mkdir(path, 0777) && errno != EEXIST)
        return ta_fail_errno(err, errno, true, "can't create the job folder", path);
    /* Without its name on the disk all that is synced in it is lost with it. */
    int ret = ta_sync_folder_of(path, err);
    if (ret) {
        rmdir(path);
        return ret;
    }
    if (!lstat(path, &st) && !S_ISDIR(st.st_mode))
        return ta_fail(err, TA_ERR_CANTCREATE, "'%s' is in the way: it should be a folder", path);
    return ta_lock_try(lock, lock_path, why, err);
}

static int lock_folder(ta_job_folder *f, const char *output, ta_error *err)
{
    char *lock_path = ta_path_join(f->path, LOCK_NAME);
    int ret = 0, why = ENOENT;

    if (!lock_path)
        return ta_no_memory(err);
    /* Another run may be removing the folder; then it is made again. */
    for (int i = 0; i < TRIES && why == ENOENT; i++)
        ret = take_lock(f->path, lock_path, &f->lock_file, &why, err);
    if (why == EWOULDBLOCK || why == ENOENT) {
        ret = ta_fail(err, TA_ERR_AGAIN, "another run works on this output: '%s'", output);
        ta_hint(err, "wait until it has ended, or give this output another name");
    }
    /* The time of the last use, for ta_job_folder_clean_stale. */
    if (!ret)
        utimensat(AT_FDCWD, lock_path, NULL, 0);
    ta_free(lock_path);
    return ret;
}

static int note(ta_job_folder *f, const char *path, bool folder)
{
    pthread_mutex_lock(&f->lock);
    int slot = ta_unlink_add(noted, TABLE_FILES, path, folder);
    if (slot >= 0)
        f->slots[f->count++] = slot;
    pthread_mutex_unlock(&f->lock);
    return slot;
}

int ta_job_folder_open(ta_job_folder **out, const char *output, const char *work_dir, ta_error *err)
{
    *out = NULL;
    ta_job_folder *f = ta_alloc(sizeof(*f));
    if (!f)
        return ta_no_memory(err);
    pthread_mutex_init(&f->lock, NULL);
    int ret = work_dir ? ta_mkdirs(work_dir, err) : 0;
    if (!ret) {
        f->path = make_path(output, work_dir);
        ret = f->path ? lock_folder(f, output, err) : ta_no_memory(err);
    }
    if (ret) {
        ta_job_folder_close(&f, true);
        return ret;
    }
    note(f, f->path, true);
    ta_free(ta_job_folder_file(f, LOCK_NAME));
    *out = f;
    return 0;
}

bool ta_job_folder_exists(const char *output, const char *work_dir)
{
    char *path = make_path(output, work_dir);
    bool there = path && ta_is_dir(path);
    ta_free(path);
    return there;
}

int ta_job_folder_join(ta_job_folder **out, const char *path, bool alone, ta_error *err)
{
    *out = NULL;
    if (!ta_is_dir(path)) {
        ta_fail(err, TA_ERR_NOINPUT, "there is no job folder '%s'", path);
        return ta_hint(err, "`terminalai plan INPUT -o FOLDER` makes one");
    }
    ta_job_folder *f = ta_alloc(sizeof(*f));
    if (!f)
        return ta_no_memory(err);
    pthread_mutex_init(&f->lock, NULL);
    f->path = ta_strdup(path);
    int ret = !f->path ? ta_no_memory(err) : alone ? lock_folder(f, path, err) : 0;
    if (ret)
        ta_job_folder_close(&f, true);
    *out = f;
    return ret;
}

const char *ta_job_folder_path(const ta_job_folder *f)
{
    return f->path;
}

static bool is_noted(ta_job_folder *f, const char *path)
{
    bool found = false;

    pthread_mutex_lock(&f->lock);
    for (int i = 0; i < f->count && !found; i++)
        found = ta_streq(noted[f->slots[i]].path, path);
    pthread_mutex_unlock(&f->lock);
    return found;
}

char *ta_job_folder_file(ta_job_folder *f, const char *name)
{
    char *path = ta_path_join(f->path, name);

    if (path && !is_noted(f, path))
        note(f, path, false);
    return path;
}

char *ta_job_folder_keep(const ta_job_folder *f, const char *name)
{
    return ta_path_join(f->path, name);
}

void ta_job_folder_stay(ta_job_folder *f)
{
    char *path = ta_path_join(f->path, LOCK_NAME);

    pthread_mutex_lock(&f->lock);
    for (int i = 0; path && i < f->count; i++)
        if (ta_streq(noted[f->slots[i]].path, path)) {
            ta_unlink_forget(noted, f->slots[i]);
            f->slots[i] = f->slots[--f->count];
            break;
        }
    pthread_mutex_unlock(&f->lock);
    ta_free(path);
}

static bool is_one_of(const char *const *names, const char *name)
{
    while (names && *names && strcmp(*names, name) != 0)
        names++;
    return names && *names;
}

/* Removes all but the lock file and these. NULL when the folder can't be read. */
static DIR *empty_folder(const char *path, const char *const *keep)
{
    DIR *dir = ta_open_dir_at(AT_FDCWD, path);

    for (struct dirent *e; dir && (e = ta_next_entry(dir));)
        if (strcmp(e->d_name, LOCK_NAME) != 0 && !is_one_of(keep, e->d_name))
            ta_remove_at(dirfd(dir), e->d_name);
    return dir;
}

void ta_job_folder_empty(ta_job_folder *f, const char *const *keep)
{
    DIR *dir = empty_folder(f->path, keep);

    if (dir)
        closedir(dir);
}

/* Removes the folder while its lock is held. The lock file goes last: from then on another run may take over. */
static void remove_folder(const char *path)
{
    DIR *dir = empty_folder(path, NULL);

    if (!dir)
        return;
    unlinkat(dirfd(dir), LOCK_NAME, 0);
    closedir(dir);
    rmdir(path);
}

void ta_job_folder_close(ta_job_folder **f, bool keep)
{
    if (!f || !*f)
        return;
    if (!keep)
        remove_folder((*f)->path);
    for (int i = 0; i < (*f)->count; i++)
        ta_unlink_forget(noted, (*f)->slots[i]);
    ta_lock_drop(&(*f)->lock_file);
    /* NFS keeps removed files that are open, such as the lock, so the folder may only now be empty. */
    if (!keep)
        rmdir((*f)->path);
    pthread_mutex_destroy(&(*f)->lock);
    ta_free((*f)->path);
    ta_freep(f);
}

/* Removes one folder if nobody has used it for long. A folder without a lock file goes only when it is empty. */
static bool clean_one(const char *path, const char *lock_path)
{
    const int64_t oldest = ta_wall_us() / 1000000 - STALE_DAYS * 24 * 3600;
    struct stat st;
    ta_lock *lock = NULL;

    if (lstat(lock_path, &st)) {
        bool old = errno == ENOENT && !lstat(path, &st) && st.st_mtime < oldest;
        return old && !rmdir(path);
    }
    if (!S_ISREG(st.st_mode) || st.st_mtime >= oldest || ta_lock_take(&lock, lock_path, NULL))
        return false;
    /* Another run may have used it between the look and the lock. */
    bool stale = !lstat(lock_path, &st) && st.st_mtime < oldest;
    if (stale)
        remove_folder(path);
    ta_lock_drop(&lock);
    return stale && lstat(path, &st) && errno == ENOENT;
}

int ta_job_folder_clean_stale(const char *path)
{
    DIR *dir = opendir(path);
    int removed = 0;

    if (!dir)
        return 0;
    for (struct dirent *e; (e = ta_next_entry(dir));) {
        struct stat st;
        size_t len = strlen(e->d_name);
        if (e->d_name[0] != '.' || len <= strlen("." SUFFIX) || strcmp(e->d_name + len - strlen(SUFFIX), SUFFIX) != 0 ||
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISDIR(st.st_mode))
            continue;
        char *folder = ta_path_join(path, e->d_name);
        char *lock_path = folder ? ta_path_join(folder, LOCK_NAME) : NULL;
        removed += lock_path && clean_one(folder, lock_path);
        ta_free(folder);
        ta_free(lock_path);
    }
    closedir(dir);
    return removed;
}

void ta_job_folder_unlink_all(void)
{
    ta_unlink_run(noted, TABLE_FILES, false);
    ta_unlink_run(noted, TABLE_FILES, true);
}
