/* Gets a model's files from the web. They are fetched into the store's own folder for downloads, under a hash of their
 * URL, so that a later try goes on where this one was cut; finished ones move into the staging folder. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "net/net.h"
#include "neural/store.h"

static const int64_t most_bytes = INT64_C(16) << 30; /* of a file whose size the catalogue doesn't say */
static const time_t stale_seconds = 7 * 24 * 3600;

typedef struct telling {
    const char *name;
    int tenth;
} telling;

/* A line at each tenth, in the log: nothing that a script would have to skip. */
static void tell(void *opaque, int64_t done, int64_t total)
{
    telling *t = opaque;
    char have[24], all[24];
    int tenth = total > 0 ? (int)(done * 10 / total) : 0;
    if (tenth <= t->tenth || done == total)
        return;
    t->tenth = tenth;
    ta_log(TA_LOG_INFO, "models", "%s: %s of %s", t->name, ta_print_size(done, have), ta_print_size(total, all));
}

static char *place_of(const char *folder, const char *url)
{
    char hex[65] = "";
    ta_sha256 *h = ta_sha256_new();
    if (!h)
        return NULL;
    ta_sha256_add(h, url, strlen(url));
    ta_sha256_end(&h, hex);
    return ta_path_join(folder, hex);
}

static int fetch_file(const ta_model *m, const ta_model_file *f, const char *folder, const char *stage,
                      ta_cancel *cancel, ta_error *err)
{
    char *place = place_of(folder, f->url), *to = ta_path_join(stage, f->name);
    telling t = { f->name, 0 };
    const ta_download d = { .url = f->url,
                            .path = place,
                            .sha256 = f->sha256,
                            .cancel = cancel,
                            .progress = tell,
                            .opaque = &t,
                            .max_bytes = m->size > 0 ? m->size : most_bytes };
    int r = place && to ? ta_net_download(&d, err) : ta_no_memory(err);
    if (r == 0 && rename(place, to) < 0)
        r = ta_fail_errno(err, errno, true, "can't create", to);
    ta_free(place);
    ta_free(to);
    return r;
}

/* Downloads that nobody went on with for a week. */
static void clean(const char *folder)
{
    DIR *dir = opendir(folder);
    struct stat st;
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            time(NULL) - st.st_mtime > stale_seconds)
            unlinkat(dirfd(dir), e->d_name, 0);
    if (dir)
        closedir(dir);
}

int ta_fetch_urls(const ta_model *m, const char *store, const char *stage, ta_cancel *cancel, ta_error *err)
{
    char *folder = ta_path_join(store, ".downloads");
    int r = folder ? ta_mkdirs(folder, err) : ta_no_memory(err);
    if (r == 0)
        clean(folder);
    for (size_t i = 0; r == 0 && i < m->file_count; i++)
        r = fetch_file(m, &m->files[i], folder, stage, cancel, err);
    if (folder)
        rmdir(folder); /* stays while something is in it */
    ta_free(folder);
    return r;
}
