/* doctor: graphics processors, by what the kernel shows and whether the driver's library can be loaded. */
#include "cli/doctor.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool can_load(const char *library)
{
    void *handle = dlopen(library, RTLD_LAZY | RTLD_LOCAL);
    if (handle)
        dlclose(handle);
    return handle != NULL;
}

/* "Model: NVIDIA ..." of each card that the driver knows; how many. */
static int nvidia_cards(ta_findings *f)
{
    DIR *dir = opendir("/proc/driver/nvidia/gpus");
    int count = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char path[512], model[256];
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/driver/nvidia/gpus/%s/information", e->d_name);
        if (!ta_proc_value(path, "Model", model, sizeof model))
            snprintf(model, sizeof model, "unknown model");
        ta_found(f, "gpu", TA_FOUND_FINE, "NVIDIA", NULL, "%s at %s", model, e->d_name);
        count++;
    }
    if (dir)
        closedir(dir);
    return count;
}

static void nvidia(ta_findings *f)
{
    char version[256];
    bool module = ta_first_line("/proc/driver/nvidia/version", version, sizeof version);
    bool node = access("/dev/nvidiactl", R_OK | W_OK) == 0, library = can_load("libcuda.so.1");
    int cards = nvidia_cards(f);
    if (!module && !node && !library && !cards) {
        ta_found(f, "gpu", TA_FOUND_ABSENT, "NVIDIA", "none needed: libx264 and libx265 work on the CPU",
                 "no driver, no device");
        return;
    }
    ta_found(f, "gpu", module ? TA_FOUND_FINE : TA_FOUND_ABSENT, "NVIDIA driver",
             module ? NULL : "install NVIDIA's driver for this kernel", "%s", module ? version : "not loaded");
    ta_found(f, "gpu", node ? TA_FOUND_FINE : TA_FOUND_ABSENT, "/dev/nvidiactl",
             node ? NULL : "run where the device is passed in (containers: --gpus all)", "%s",
             node ? "can be opened" : "is missing or not allowed");
    ta_found(f, "gpu", library ? TA_FOUND_FINE : TA_FOUND_ABSENT, "libcuda.so.1",
             library ? NULL : "install the driver's user libraries (Debian: libcuda1)", "%s",
             library ? "can be loaded" : "can't be loaded");
}

static const char *vendor_of(const char *id)
{
    static const char *const vendors[][2] = { { "0x8086", "Intel" }, { "0x1002", "AMD" }, { "0x10de", "NVIDIA" } };
    for (size_t i = 0; i < TA_COUNT(vendors); i++)
        if (!strcmp(id, vendors[i][0]))
            return vendors[i][1];
    return "unknown vendor";
}

static void render_node(ta_findings *f, int number)
{
    char node[64], path[128], id[32];
    snprintf(node, sizeof node, "/dev/dri/renderD%d", number);
    if (access(node, F_OK) < 0)
        return;
    snprintf(path, sizeof path, "/sys/class/drm/renderD%d/device/vendor", number);
    if (!ta_first_line(path, id, sizeof id))
        snprintf(id, sizeof id, "?");
    bool allowed = access(node, R_OK | W_OK) == 0;
    ta_found(f, "gpu", allowed ? TA_FOUND_FINE : TA_FOUND_ABSENT, node,
             allowed ? NULL : "join the group 'render': adduser $USER render", "%s (%s)%s", vendor_of(id), id,
             allowed ? "" : ", not allowed");
}

void ta_doctor_gpu(ta_findings *f)
{
    nvidia(f);
    for (int i = 128; i < 136; i++)
        render_node(f, i);
}
