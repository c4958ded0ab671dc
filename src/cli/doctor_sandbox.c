/* doctor: what the kernel offers to confine a worker that decodes untrusted files. */
#include "cli/doctor.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif

/* The ABI number of Landlock, or -1 with errno (Documentation/userspace-api/landlock.rst). */
static int landlock_abi(void)
{
    enum { CREATE_RULESET_VERSION = 1 };
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
}

static void landlock(ta_findings *f)
{
    int abi = landlock_abi(), reason = errno;
    if (abi > 0) {
        ta_found(f, "sandbox", TA_FOUND_FINE, "Landlock", NULL, "ABI %d", abi);
        return;
    }
    ta_found(f, "sandbox", TA_FOUND_ABSENT, "Landlock",
             reason == EOPNOTSUPP ? "boot with lsm=landlock,... on the kernel's command line"
                                  : "use a kernel of 5.13 or later, or allow the system call in the container",
             "%s", reason == EOPNOTSUPP ? "built in but switched off" : strerror(reason));
}

static void seccomp(ta_findings *f)
{
    char actions[256];
    int mode = prctl(PR_GET_SECCOMP, 0, 0, 0, 0);
    bool listed = ta_first_line("/proc/sys/kernel/seccomp/actions_avail", actions, sizeof actions);
    bool here = mode >= 0 || listed;
    ta_found(f, "sandbox", here ? TA_FOUND_FINE : TA_FOUND_ABSENT, "seccomp",
             here ? NULL : "use a kernel with CONFIG_SECCOMP_FILTER", "%s%s", here ? "filters" : "not in this kernel",
             mode == 2 ? "; this process runs under one already" : "");
}

void ta_doctor_sandbox(ta_findings *f)
{
    landlock(f);
    seccomp(f);
}
