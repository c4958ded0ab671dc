/* Confinement of a process: no new privileges, then Landlock, then seccomp, each as far as the kernel has it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "work/landlock.h"
#include "work/work.h"

/* ABI 1 can't allow a rename between folders, which publishing is. */
enum { LEAST_ABI = 2 };

ta_confinement ta_confinement_offered(void)
{
    int abi = ta_landlock_abi();
    return (ta_confinement){ .landlock = abi >= LEAST_ABI ? abi : 0, .seccomp = ta_seccomp_offered() };
}

const char *ta_confinement_missing(const ta_confinement *c)
{
    if (!c->landlock)
        return c->seccomp ? "Landlock (Linux 5.19 or later, with landlock among its security modules)"
                          : "Landlock and seccomp filters";
    return c->seccomp ? NULL : "seccomp filters";
}

static bool has_other_threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    int count = 0;
    for (struct dirent *e; dir && (e = readdir(dir));)
        count += e->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return count != 1;
}

static int allow_fds(int rules, int abi, const int *fds, int count, ta_landlock_right right)
{
    int why = 0;
    for (int i = 0; i < count && !why; i++)
        why = ta_landlock_allow(rules, abi, fds[i], right);
    return why;
}

static int allow_paths(int rules, int abi, const char *const *paths, ta_landlock_right right)
{
    int why = 0;
    for (; paths && *paths && !why; paths++) {
        int fd = open(*paths, O_PATH | O_CLOEXEC);
        if (fd < 0)
            continue;
        why = ta_landlock_allow(rules, abi, fd, right);
        close(fd);
    }
    return why;
}

static int add_rules(int rules, int abi, const ta_confine_plan *p)
{
    int why = allow_fds(rules, abi, p->read_fds, p->read_count, TA_LANDLOCK_READ);
    if (!why)
        why = allow_fds(rules, abi, p->write_fds, p->write_count, TA_LANDLOCK_WRITE);
    if (!why)
        why = allow_paths(rules, abi, p->read_paths, TA_LANDLOCK_READ);
    return why ? why : allow_paths(rules, abi, p->devices, TA_LANDLOCK_DEVICE);
}

static int confine_files(int abi, const ta_confine_plan *p)
{
    int rules = ta_landlock_new(abi);
    if (rules < 0)
        return errno;
    int why = add_rules(rules, abi, p);
    if (!why)
        why = ta_landlock_enter(rules);
    close(rules);
    return why;
}

static int fail_missing(const char *missing, ta_error *err)
{
    ta_fail(err, TA_ERR_UNAVAILABLE, "this kernel has no %s, and the sandbox is required", missing);
    return ta_hint(err, "`terminalai doctor` says what is there; without --require-sandbox workers do with that");
}

int ta_confine(const ta_confine_plan *p, ta_confinement *done, ta_error *err)
{
    ta_confinement offered = ta_confinement_offered();
    const char *missing = ta_confinement_missing(&offered);
    *done = (ta_confinement){ 0 };
    if (missing && p->required)
        return fail_missing(missing, err);
    if (has_other_threads())
        return ta_fail(err, TA_ERR_SOFTWARE, "a process with several threads can't be confined");
    int why = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? errno : 0;
    if (!why && offered.landlock)
        why = confine_files(offered.landlock, p);
    if (!why && offered.seccomp)
        why = ta_seccomp_enter();
    if (why)
        return ta_fail(err, TA_ERR_UNAVAILABLE, "the process can't be confined: %s", strerror(why));
    *done = offered;
    return 0;
}
