/* What downloads left that nobody went on with for a week: their folders are removed by the next download beside them.
 */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "fetch/internal.h"

static const time_t stale_seconds = 7 * 24 * 3600;
static const char ending[] = ".download";

/* ".0123456789abcdef.download" */
static bool is_work_folder(const char *name)
{
    return *name == '.' && strspn(name + 1, "0123456789abcdef") == TA_HASH_DIGITS &&
           !strcmp(name + 1 + TA_HASH_DIGITS, ending);
}

static void remove_stale(const char *path)
{
    ta_lock *lock = NULL;
    struct stat st;
    if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) || time(NULL) - st.st_mtime < stale_seconds)
        return;
    char *name = ta_path_join(path, "lock");
    if (name && ta_lock_take(&lock, name, NULL) == 0)
        ta_remove_tree(path, NULL);
    ta_lock_drop(&lock);
    ta_free(name);
}

void ta_fetch_clean_stale(const char *folder)
{
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char *path = is_work_folder(e->d_name) ? ta_path_join(folder, e->d_name) : NULL;
        if (path)
            remove_stale(path);
        ta_free(path);
    }
    if (dir)
        closedir(dir);
}
