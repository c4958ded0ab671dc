/* Counts the CPUs that this process may use: those of its affinity mask, fewer when a cgroup v2 quota (containers,
 * systemd, Slurm) gives it less time than that. See cpu.max in the kernel's Documentation/admin-guide/cgroup-v2. */
#include "base/cpu.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/pool.h"

/* The quota of one group in CPUs; 0 when it has none. */
static int read_quota(const char *root, const char *group)
{
    char name[PATH_MAX + 64];
    long long quota, period;
    int cpus = 0;

    if (snprintf(name, sizeof(name), "%s%s/cpu.max", root, group) >= (int)sizeof(name))
        return 0;
    FILE *f = fopen(name, "re");
    if (!f)
        return 0;
    if (fscanf(f, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0 && quota / period < INT_MAX)
        cpus = (int)((quota + period - 1) / period);
    fclose(f);
    return cpus;
}

/* The path of this process's group, from the line "0::/path". */
static bool read_group(const char *membership, char *group, size_t size)
{
    char line[PATH_MAX + 16];
    bool found = false;
    FILE *f = fopen(membership, "re");

    while (f && !found && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        found = !strncmp(line, "0::/", 4) && strlen(line + 3) < size;
        if (found)
            strcpy(group, line + 3);
    }
    if (f)
        fclose(f);
    return found;
}

int ta_cgroup_cpus(const char *membership, const char *root)
{
    char group[PATH_MAX];
    int least = 0;

    if (!read_group(membership, group, sizeof(group)))
        return 0;
    /* A quota of a group binds all below it, so the least on the way up counts. */
    for (char *slash = group + strlen(group); slash; slash = strrchr(group, '/')) {
        *slash = '\0';
        int cpus = read_quota(root, group);
        if (cpus && (!least || cpus < least))
            least = cpus;
    }
    return least;
}

static int affinity_cpus(void)
{
    /* The kernel refuses a mask smaller than its own, so it grows until it fits. */
    for (int bits = CPU_SETSIZE; bits <= 1 << 20; bits *= 2) {
        cpu_set_t *set = CPU_ALLOC(bits);
        size_t size = CPU_ALLOC_SIZE(bits);
        if (!set)
            break;
        int ret = sched_getaffinity(0, size, set), saved = errno;
        int n = ret ? 0 : CPU_COUNT_S(size, set);
        CPU_FREE(set);
        if (!ret)
            return n;
        if (saved != EINVAL)
            break;
    }
    return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

int ta_cpu_count(void)
{
    int n = affinity_cpus(), quota = ta_cgroup_cpus("/proc/self/cgroup", "/sys/fs/cgroup");

    if (quota && quota < n)
        n = quota;
    return n > 0 ? n : 1;
}
