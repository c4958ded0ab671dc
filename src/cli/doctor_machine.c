/* doctor: the processor, memory, disk space and fonts. */
#include "cli/doctor.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void add_isa(ta_buf *b)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_cpu_init();
    const struct {
        const char *name;
        int has;
    } sets[] = { { "SSE4.2", __builtin_cpu_supports("sse4.2") },
                 { "AVX2", __builtin_cpu_supports("avx2") },
                 { "FMA", __builtin_cpu_supports("fma") },
                 { "AVX-512F", __builtin_cpu_supports("avx512f") },
                 { "AVX-512BW", __builtin_cpu_supports("avx512bw") },
                 { "VNNI", __builtin_cpu_supports("avx512vnni") },
                 { "BF16", __builtin_cpu_supports("avx512bf16") } };
    for (size_t i = 0; i < TA_COUNT(sets); i++)
        if (sets[i].has)
            ta_buf_addf(b, "%s%s", b->len ? " " : "", sets[i].name);
#endif
    if (!b->len)
        ta_buf_add(b, "none of the instruction sets that we have code for");
}

static void cpu(ta_findings *f)
{
    char model[256];
    ta_buf isa = { 0 };
    if (!ta_proc_value("/proc/cpuinfo", "model name", model, sizeof model))
        snprintf(model, sizeof model, "unknown");
    ta_found(f, "cpu", TA_FOUND_FINE, "model", NULL, "%s", model);
    add_isa(&isa);
    ta_found(f, "cpu", TA_FOUND_FINE, "instructions", NULL, "%s", isa.data ? isa.data : "");
    ta_buf_free(&isa);
    ta_found(f, "cpu", TA_FOUND_FINE, "cores", NULL, "%d usable of %ld in the machine", ta_cpu_count(),
             sysconf(_SC_NPROCESSORS_CONF));
}

/* A "123 kB" line of /proc/meminfo in bytes, or 0. */
static int64_t meminfo(const char *key)
{
    char value[64];
    return ta_proc_value("/proc/meminfo", key, value, sizeof value) ? strtoll(value, NULL, 10) * 1024 : 0;
}

static void memory(ta_findings *f)
{
    char total[24], free_now[24], limit[24], line[64];
    int64_t available = meminfo("MemAvailable");
    bool enough = available >= INT64_C(512) << 20;
    ta_found(f, "memory", enough ? TA_FOUND_FINE : TA_FOUND_ABSENT, "memory",
             enough ? NULL : "a restoration in HD wants about 1 GiB: end other programs", "%s, of which %s available",
             ta_print_size(meminfo("MemTotal"), total), ta_print_size(available, free_now));
    if (ta_first_line("/sys/fs/cgroup/memory.max", line, sizeof line) && strcmp(line, "max"))
        ta_found(f, "memory", TA_FOUND_FINE, "limit", NULL, "%s by the control group",
                 ta_print_size(strtoll(line, NULL, 10), limit));
}

static void disk_of(ta_findings *f, const char *name, const char *path)
{
    char text[24];
    int64_t space = ta_free_space(path);
    bool writable = access(path, W_OK) == 0, enough = space >= INT64_C(2) << 30;
    const char *advice = !writable ? "choose an output folder that you may write to (-o)"
                         : enough  ? NULL
                                   : "make room: an hour of HD takes 2 to 6 GiB";
    ta_found(f, "disk", writable && enough ? TA_FOUND_FINE : TA_FOUND_ABSENT, name, advice, "%s free in %s%s",
             space < 0 ? "unknown" : ta_print_size(space, text), path, writable ? "" : ", not writable");
}

static void disk(ta_findings *f)
{
    char here[4096];
    const char *tmp = getenv("TMPDIR");
    if (getcwd(here, sizeof here))
        disk_of(f, "this folder", here);
    disk_of(f, "temporary", tmp && *tmp ? tmp : "/tmp");
}

/* Counts font files below a folder, `depth` levels down. */
static int count_fonts(const char *path, int depth)
{
    DIR *dir = opendir(path);
    int count = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        if (ta_ends(e->d_name, ".ttf") || ta_ends(e->d_name, ".otf") || ta_ends(e->d_name, ".ttc")) {
            count++;
            continue;
        }
        char *below = depth > 0 && e->d_type == DT_DIR ? ta_path_join(path, e->d_name) : NULL;
        count += below ? count_fonts(below, depth - 1) : 0;
        ta_free(below);
    }
    if (dir)
        closedir(dir);
    return count;
}

static void fonts(ta_findings *f)
{
    int count = count_fonts("/usr/share/fonts", 4);
    ta_found(f, "fonts", count ? TA_FOUND_FINE : TA_FOUND_ABSENT, "fonts",
             count ? NULL
                   : "nothing in this version needs them; drawtext in own filters would: apt-get install "
                     "fonts-dejavu-core",
             "%d in /usr/share/fonts", count);
}

void ta_doctor_machine(ta_findings *f)
{
    cpu(f);
    memory(f);
    disk(f);
    fonts(f);
}
