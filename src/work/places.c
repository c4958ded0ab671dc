/* What a confined worker may read besides its input: libraries, models, what the C library and the engines want to
 * know of the machine. Nothing of the user's own but this program's folders. */
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "work/places.h"

static const char *const system_places[] = {
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/alternatives",
    "/etc/localtime",
    "/etc/fonts",
    "/var/cache/fontconfig",
    "/etc/ssl/openssl.cnf",
    "/etc/OpenCL",
    "/etc/vulkan",
    "/etc/glvnd",
    "/opt/intel",
    "/usr/local/cuda",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/version",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/max_map_count",
    "/proc/sys/kernel/osrelease",
    "/proc/driver/nvidia",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/sys/devices/virtual/dmi",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
    "/sys/kernel/mm/hugepages",
    "/dev/urandom",
    "/dev/random",
};
/* A GPU's drivers look at their device. */
static const char *const gpu_places[] = { "/sys/bus/pci", "/sys/class/drm", "/sys/dev/char", "/sys/devices/pci*" };
static const char *const device_patterns[] = { "/dev/null", "/dev/zero", "/dev/dri", "/dev/nvidia*", "/dev/kfd" };

static void add(ta_places *p, char *path)
{
    char **more = path ? ta_resize(p->list, (size_t)p->count + 2, sizeof *more) : NULL;
    if (!more) {
        p->failed = true;
        ta_free(path);
        return;
    }
    p->list = more;
    more[p->count++] = path;
    more[p->count] = NULL;
}

void ta_places_add(ta_places *p, const char *path)
{
    if (path && *path)
        add(p, ta_strdup(path));
}

static void add_matches(ta_places *p, const char *pattern)
{
    glob_t found;
    if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        ta_places_add(p, found.gl_pathv[i]);
    globfree(&found);
}

/* A list with colons, as in LD_LIBRARY_PATH. */
static void add_list(ta_places *p, const char *list)
{
    char *copy = ta_strdup(list), *rest = NULL;
    for (char *s = copy ? strtok_r(copy, ":", &rest) : NULL; s; s = strtok_r(NULL, ":", &rest))
        ta_places_add(p, s);
    ta_free(copy);
}

/* $VARIABLE/terminalai/NAME or ~/OTHERWISE/terminalai/NAME. */
static void add_home(ta_places *p, const char *variable, const char *otherwise, const char *name)
{
    const char *base = getenv(variable), *home = getenv("HOME");
    if (base && *base == '/')
        add(p, ta_format("%s/terminalai/%s", base, name));
    else if (home && *home)
        add(p, ta_format("%s/%s/terminalai/%s", home, otherwise, name));
}

/* An engine is named by its folder or by its library, which has others beside it. */
static void add_engine(ta_places *p, const char *value)
{
    if (value && *value)
        add(p, ta_is_dir(value) ? ta_strdup(value) : ta_path_dir(value));
}

/* The program's own folder, and in a checkout what scripts/setup put into its deps/. */
static void add_program(ta_places *p)
{
    enum { DEPTH = 4 };
    char here[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", here, sizeof here - 1);
    here[TA_MAX(n, 0)] = 0;
    ta_places_add(p, here);
    for (int i = 0; i < DEPTH; i++) {
        char *slash = strrchr(here, '/'), *mark;
        if (!slash || slash == here)
            return;
        *slash = 0;
        mark = ta_format("%s/scripts/fetch-package", here);
        if (mark && access(mark, F_OK) == 0)
            add(p, ta_format("%s/deps", here));
        if (mark && access(mark, F_OK) == 0)
            add(p, ta_format("%s/models", here));
        ta_free(mark);
    }
}

void ta_places_readable(ta_places *p)
{
    for (size_t i = 0; i < TA_COUNT(system_places); i++)
        ta_places_add(p, system_places[i]);
    if (access("/dev/dri", F_OK) == 0 || access("/dev/nvidiactl", F_OK) == 0)
        for (size_t i = 0; i < TA_COUNT(gpu_places); i++)
            add_matches(p, gpu_places[i]);
    add_list(p, getenv("LD_LIBRARY_PATH"));
    add_engine(p, getenv("TERMINALAI_OPENVINO"));
    add_engine(p, getenv("TERMINALAI_ONNXRUNTIME"));
    ta_places_add(p, getenv("TERMINALAI_DATA"));
    add_home(p, "XDG_DATA_HOME", ".local/share", "models");
    add_home(p, "XDG_DATA_HOME", ".local/share", "engines");
    add_home(p, "XDG_DATA_HOME", ".local/share", "presets");
    add_home(p, "XDG_CACHE_HOME", ".cache", "compiled");
    add_home(p, "XDG_CONFIG_HOME", ".config", "models.yaml");
    add_program(p);
}

void ta_places_devices(ta_places *p)
{
    for (size_t i = 0; i < TA_COUNT(device_patterns); i++)
        add_matches(p, device_patterns[i]);
}

void ta_places_free(ta_places *p)
{
    for (int i = 0; i < p->count; i++)
        ta_free(p->list[i]);
    ta_free(p->list);
    *p = (ta_places){ 0 };
}
