/* Finds an engine's library at run time: by its environment variable, in the user's data folder, beside the program
 * when that was built in a checkout, by the system's loader. */
#include "neural/library.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 512, CHECKOUT_DEPTH = 4 };

/* The first of the library's names that is a file in `dir`. */
static bool in_folder(const ta_library *lib, const char *dir, char *path)
{
    for (size_t i = 0; lib->names[i]; i++)
        if (snprintf(path, PATH_SIZE, "%s/%s", dir, lib->names[i]) < PATH_SIZE && !access(path, R_OK))
            return true;
    return false;
}

static bool by_variable(const ta_library *lib, const char *value, char *path)
{
    if (ta_is_dir(value))
        return in_folder(lib, value, path);
    snprintf(path, PATH_SIZE, "%s", value);
    return !access(value, R_OK);
}

static bool in_data_folder(const ta_library *lib, char *path)
{
    char dir[PATH_SIZE];
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (data && *data == '/')
        snprintf(dir, sizeof dir, "%s/terminalai/engines/%s", data, lib->folder);
    else if (home && *home)
        snprintf(dir, sizeof dir, "%s/.local/share/terminalai/engines/%s", home, lib->folder);
    else
        return false;
    return in_folder(lib, dir, path);
}

/* Where the program stands in a build folder of a checkout, what scripts/setup put into its deps/. */
static bool in_checkout(const ta_library *lib, char *path)
{
    char here[PATH_MAX], probe[PATH_MAX + 64];
    ssize_t n = readlink("/proc/self/exe", here, sizeof here - 1);
    here[TA_MAX(n, 0)] = 0;
    for (int i = 0; i < CHECKOUT_DEPTH; i++) {
        char *slash = strrchr(here, '/');
        if (!slash || slash == here)
            return false;
        *slash = 0;
        snprintf(probe, sizeof probe, "%s/scripts/fetch-package", here);
        if (access(probe, R_OK) < 0)
            continue;
        snprintf(probe, sizeof probe, "%s/deps/%s", here, lib->folder);
        return in_folder(lib, probe, path);
    }
    return false;
}

static int fail_missing(const ta_library *lib, const char *why, ta_error *err)
{
    ta_fail(err, TA_ERR_UNAVAILABLE, "%s is not installed%s%s", lib->title, why ? ": " : "", why ? why : "");
    return ta_hint(err, "%s, or set %s to the folder of its library", lib->install, lib->variable);
}

static int find(const ta_library *lib, char *path, ta_error *err)
{
    const char *value = getenv(lib->variable);
    if (value && *value) {
        if (by_variable(lib, value, path))
            return 0;
        ta_fail(err, TA_ERR_UNAVAILABLE, "%s: there is no %s in '%s', where %s points", lib->title, lib->names[0],
                value, lib->variable);
        return ta_hint(err, "%s and unset %s", lib->install, lib->variable);
    }
    if (!in_data_folder(lib, path) && !in_checkout(lib, path))
        snprintf(path, PATH_SIZE, "%s", lib->names[0]);
    return 0;
}

int ta_library_load(const ta_library *lib, void **functions, char *path, ta_error *err)
{
    int r = find(lib, path, err);
    if (r < 0)
        return r;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle)
        return fail_missing(lib, strchr(path, '/') ? dlerror() : NULL, err);
    for (size_t i = 0; lib->symbols[i]; i++) {
        functions[i] = dlsym(handle, lib->symbols[i]);
        if (functions[i])
            continue;
        ta_fail(err, TA_ERR_UNAVAILABLE, "%s: '%s' has no function %s: it is of another version", lib->title, path,
                lib->symbols[i]);
        return ta_hint(err, "%s", lib->install);
    }
    return 0;
}
