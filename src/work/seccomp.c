/* The system calls of a confined worker, as a filter in the kernel's classic BPF (Documentation/userspace-api/
 * seccomp_filter.rst). A list of what is allowed: what libav, OpenVINO, its TBB and the C library use to compute, to
 * keep time, to run threads and to work on files by descriptors and by the paths that Landlock allows. What is not on
 * it fails with ENOSYS, as on a kernel without it, so that libraries take their other way (clone3 becomes clone). Some
 * calls are allowed for some of their arguments only; refused ones fail with EPERM.
 *
 * It is entered before any thread exists and before an engine is loaded: the list has what loading takes, and so no
 * thread can have been missed. */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/base.h"
#include "work/landlock.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#define ARCHITECTURE 0
#endif

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

/* Without conditions. */
static const int allowed[] = {
    /* files by descriptor */
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_pwrite64,
    SYS_preadv,
    SYS_pwritev,
    SYS_preadv2,
    SYS_pwritev2,
    SYS_close,
    SYS_close_range,
    SYS_lseek,
    SYS_fstat,
    SYS_dup,
    SYS_dup3,
    SYS_fcntl,
    SYS_flock,
    SYS_fsync,
    SYS_fdatasync,
    SYS_sync_file_range,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_sendfile,
    SYS_copy_file_range,
    SYS_fadvise64,
    SYS_readahead,
    SYS_fstatfs,
    SYS_getdents64,
    SYS_ioctl,
    SYS_memfd_create,
    SYS_pipe2,
    SYS_splice,
    /* files by path: Landlock says which */
    SYS_newfstatat,
    SYS_statx,
    SYS_statfs,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_readlinkat,
    SYS_getcwd,
    SYS_mkdirat,
    SYS_unlinkat,
    SYS_renameat,
    SYS_renameat2,
    SYS_linkat,
    SYS_umask,
    /* waiting */
    SYS_ppoll,
    SYS_pselect6,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_eventfd2,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_timerfd_gettime,
    /* the channel, which is open; others can't be made */
    SYS_sendmsg,
    SYS_recvmsg,
    SYS_sendto,
    SYS_recvfrom,
    SYS_getsockopt,
    SYS_getsockname,
    SYS_shutdown,
    /* memory */
    SYS_mmap,
    SYS_munmap,
    SYS_mremap,
    SYS_mprotect,
    SYS_madvise,
    SYS_brk,
    SYS_mlock,
    SYS_mlock2,
    SYS_munlock,
    SYS_mincore,
    SYS_msync,
    SYS_membarrier,
    SYS_get_mempolicy,
    SYS_set_mempolicy,
    SYS_mbind,
    /* threads */
    SYS_set_robust_list,
    SYS_get_robust_list,
    SYS_futex,
    SYS_futex_waitv,
    SYS_set_tid_address,
    SYS_gettid,
    SYS_exit,
    SYS_exit_group,
    SYS_rseq,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_sched_setaffinity,
    SYS_sched_getparam,
    SYS_sched_getscheduler,
    SYS_sched_get_priority_max,
    SYS_sched_get_priority_min,
    SYS_sched_getattr,
    SYS_getpriority,
    SYS_setpriority,
    SYS_getcpu,
    SYS_restart_syscall,
    /* signals within */
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigpending,
    SYS_rt_sigtimedwait,
    SYS_rt_sigsuspend,
    SYS_sigaltstack,
    /* time */
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_times,
    SYS_getrusage,
    SYS_timer_create,
    SYS_timer_settime,
    SYS_timer_gettime,
    SYS_timer_delete,
    SYS_timer_getoverrun,
    SYS_setitimer,
    SYS_getitimer,
    /* who and where am I */
    SYS_getpid,
    SYS_getppid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getresuid,
    SYS_getresgid,
    SYS_getpgid,
    SYS_getsid,
    SYS_getgroups,
    SYS_uname,
    SYS_sysinfo,
    SYS_getrandom,
    SYS_capget,
#if defined(__x86_64__)
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_getdents,
    SYS_dup2,
    SYS_pipe,
    SYS_mkdir,
    SYS_rmdir,
    SYS_unlink,
    SYS_rename,
    SYS_link,
    SYS_poll,
    SYS_select,
    SYS_epoll_create,
    SYS_epoll_wait,
    SYS_eventfd,
    SYS_arch_prctl,
    SYS_time,
    SYS_alarm,
    SYS_getpgrp,
    SYS_getrlimit,
#endif
};

static const int named_prctl[] = { PR_SET_NAME,    PR_GET_NAME,         PR_SET_VMA,     PR_GET_DUMPABLE,
                                   PR_GET_SECCOMP, PR_GET_NO_NEW_PRIVS, PR_CAPBSET_READ };

enum { ROOM = 2 * TA_COUNT(allowed) + 128 };

typedef struct program {
    struct sock_filter code[ROOM];
    unsigned short len;
} program;

static void put(program *p, struct sock_filter f)
{
    if (p->len < ROOM)
        p->code[p->len++] = f;
}

static void put_return(program *p, uint32_t what)
{
    put(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what));
}

static void put_refuse(program *p)
{
    put_return(p, SECCOMP_RET_ERRNO | EPERM);
}

static void put_load(program *p, size_t offset)
{
    put(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

/* Both machines are little-endian. The upper halves hold nothing that the kernel looks at in the calls below. */
static void put_load_argument(program *p, int i)
{
    put_load(p, offsetof(struct seccomp_data, args) + (size_t)i * sizeof(uint64_t));
}

static void put_if_equal(program *p, uint32_t value, uint8_t skip_if_not)
{
    put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip_if_not));
}

static void allow(program *p, int call)
{
    put_if_equal(p, (uint32_t)call, 1);
    put_return(p, SECCOMP_RET_ALLOW);
}

/* Allows the call where argument `i` is one of `values`. */
static void allow_values(program *p, int call, int i, const int *values, int count)
{
    put_if_equal(p, (uint32_t)call, (uint8_t)(2 * count + 2));
    put_load_argument(p, i);
    for (int k = 0; k < count; k++) {
        put_if_equal(p, (uint32_t)values[k], 1);
        put_return(p, SECCOMP_RET_ALLOW);
    }
    put_refuse(p);
}

/* Allows the call where (argument `i` & mask) is `value`, or, with `unless`, where it is not. */
static void allow_masked(program *p, int call, int i, uint32_t mask, uint32_t value, bool unless)
{
    put_if_equal(p, (uint32_t)call, 5);
    put_load_argument(p, i);
    put(p, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask));
    put_if_equal(p, value, 1);
    put_return(p, unless ? SECCOMP_RET_ERRNO | EPERM : SECCOMP_RET_ALLOW);
    put_return(p, unless ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | EPERM);
}

static void build(program *p)
{
    const int self[] = { getpid() }, zero[] = { 0 };
    put_load(p, offsetof(struct seccomp_data, arch));
    put_if_equal(p, ARCHITECTURE, 1);
    put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0));
    put_return(p, SECCOMP_RET_KILL_PROCESS);
    put_load(p, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < TA_COUNT(allowed); i++)
        allow(p, allowed[i]);
    /* To truncate takes no right to write before Landlock's ABI 3: opening to read must not do it. */
    allow_masked(p, SYS_openat, 2, O_TRUNC | O_ACCMODE, O_TRUNC | O_RDONLY, true);
#if defined(__x86_64__)
    allow_masked(p, SYS_open, 1, O_TRUNC | O_ACCMODE, O_TRUNC | O_RDONLY, true);
#endif
    allow_masked(p, SYS_clone, 0, CLONE_THREAD, CLONE_THREAD, false); /* threads, but no processes */
    allow_values(p, SYS_kill, 0, self, 1);
    allow_values(p, SYS_tgkill, 0, self, 1);
    allow_values(p, SYS_prlimit64, 0, zero, 1);
    allow_values(p, SYS_sched_setscheduler, 0, zero, 1);
    allow_values(p, SYS_prctl, 0, named_prctl, (int)TA_COUNT(named_prctl));
    put_return(p, SECCOMP_RET_ERRNO | ENOSYS);
}

bool ta_seccomp_offered(void)
{
    uint32_t action = SECCOMP_RET_ERRNO;
    return ARCHITECTURE && syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

int ta_seccomp_enter(void)
{
    program p = { 0 };
    build(&p);
    struct sock_fprog filter = { p.len, p.code };
    if (p.len == ROOM)
        return E2BIG;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0 ? errno : 0;
}
