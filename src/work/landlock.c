/* Landlock by its system calls (Documentation/userspace-api/landlock.rst): the headers of Debian 12 know less than its
 * kernels do, so the numbers are named here. */
#include "work/landlock.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

enum {
    EXECUTE = 1 << 0,
    WRITE_FILE = 1 << 1,
    READ_FILE = 1 << 2,
    READ_DIR = 1 << 3,
    REMOVE_DIR = 1 << 4,
    REMOVE_FILE = 1 << 5,
    MAKE_DIR = 1 << 7,
    MAKE_REG = 1 << 8,
    ABI_1 = (1 << 13) - 1,
    REFER = 1 << 13,    /* ABI 2 */
    TRUNCATE = 1 << 14, /* ABI 3 */
    IOCTL_DEV = 1 << 15 /* ABI 5 */
};
enum { TCP = 3 /* bind and connect, ABI 4 */, SCOPES = 3 /* abstract Unix sockets and signals, ABI 6 */ };
enum { CREATE_RULESET_VERSION = 1, PATH_BENEATH = 1 };

typedef struct ruleset {
    uint64_t files, net, scoped;
} ruleset;

typedef struct path_beneath {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed)) path_beneath;

int ta_landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
    return abi > 0 ? (int)abi : 0;
}

static uint64_t handled(int abi)
{
    return ABI_1 | (abi >= 2 ? REFER : 0) | (abi >= 3 ? TRUNCATE : 0) | (abi >= 5 ? IOCTL_DEV : 0);
}

int ta_landlock_new(int abi)
{
    ruleset r = { .files = handled(abi), .net = TCP, .scoped = SCOPES };
    size_t size = abi >= 6 ? sizeof r : abi >= 4 ? offsetof(ruleset, scoped) : offsetof(ruleset, net);
    return (int)syscall(SYS_landlock_create_ruleset, &r, size, 0);
}

static uint64_t bits_of(ta_landlock_right right)
{
    const uint64_t read = READ_FILE | READ_DIR;
    const uint64_t write = WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER | TRUNCATE;
    switch (right) {
    case TA_LANDLOCK_READ:
        return read;
    case TA_LANDLOCK_WRITE:
        return read | write;
    default:
        return read | WRITE_FILE | IOCTL_DEV;
    }
}

int ta_landlock_allow(int rules, int abi, int fd, ta_landlock_right right)
{
    const uint64_t of_files = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return errno;
    path_beneath rule = { .allowed = bits_of(right) & handled(abi), .parent = fd };
    if (!S_ISDIR(st.st_mode))
        rule.allowed &= of_files;
    return syscall(SYS_landlock_add_rule, rules, PATH_BENEATH, &rule, 0) < 0 ? errno : 0;
}

int ta_landlock_enter(int rules)
{
    return syscall(SYS_landlock_restrict_self, rules, 0) < 0 ? errno : 0;
}
