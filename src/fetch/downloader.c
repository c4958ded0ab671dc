/* Where yt-dlp is: what the settings name, what the catalogue pins (in the user's data folder, or deps/ of a checkout),
 * or the system's own. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fetch/internal.h"
#include "neural/neural.h"

enum { CHECKOUT_DEPTH = 4 };
static const char entry[] = "yt-dlp";

static int installed(char **path, ta_error *err)
{
    ta_catalogue *c;
    const ta_model *m;
    *path = NULL;
    int r = ta_catalogue_open(&c, err);
    if (r < 0)
        return r;
    if (ta_catalogue_find(c, entry, &m, NULL) == 0)
        ta_model_path(m, 0, path, NULL);
    ta_catalogue_free(&c);
    return 0;
}

/* Where the program stands in a build folder of a checkout, what scripts/setup put into its deps/. */
static char *in_checkout(void)
{
    char here[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", here, sizeof here - 1);
    here[TA_MAX(n, 0)] = '\0';
    for (int i = 0; i < CHECKOUT_DEPTH; i++) {
        char *slash = strrchr(here, '/');
        if (!slash || slash == here)
            return NULL;
        *slash = '\0';
        char *script = ta_path_join(here, "scripts/fetch-package"),
             *wheel = ta_path_join(here, "deps/yt-dlp/yt-dlp.whl");
        bool checkout = script && !access(script, R_OK), there = wheel && !access(wheel, R_OK);
        ta_free(script);
        if (checkout && there)
            return wheel;
        ta_free(wheel);
        if (checkout)
            return NULL;
    }
    return NULL;
}

static char *in_path(void)
{
    const char *list = getenv("PATH");
    for (const char *s = list ? list : ""; *s; s += *s == ':') {
        size_t n = strcspn(s, ":");
        char *path = *s == '/' ? ta_format("%.*s/yt-dlp", (int)n, s) : NULL;
        if (path && !access(path, X_OK) && !ta_is_dir(path))
            return path;
        ta_free(path);
        s += n;
    }
    return NULL;
}

static int named(const char *wanted, char **path, ta_error *err)
{
    if (access(wanted, R_OK) < 0 || ta_is_dir(wanted)) {
        ta_fail(err, TA_ERR_UNAVAILABLE, "there is no downloader '%s'", wanted);
        return ta_hint(err, "downloader is the path of a yt-dlp program or wheel");
    }
    char *whole = realpath(wanted, NULL);
    *path = ta_strdup(whole);
    free(whole);
    return *path ? 0 : ta_no_memory(err);
}

int ta_fetch_downloader(const char *wanted, char **path, ta_error *err)
{
    *path = NULL;
    if (wanted && *wanted)
        return named(wanted, path, err);
    int r = installed(path, err);
    if (r < 0 || *path || (*path = in_checkout()) || (*path = in_path()))
        return r;
    ta_fail(err, TA_ERR_UNAVAILABLE, "yt-dlp, which finds films in pages of the web, is not there");
    return ta_hint(err, "get it by `terminalai models install yt-dlp`, or install the package yt-dlp");
}
