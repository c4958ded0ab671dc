/* Landlock and seccomp by their system calls. Private to work. */
#ifndef TA_WORK_LANDLOCK_H
#define TA_WORK_LANDLOCK_H

#include <stdbool.h>

/* The ABI of the kernel; 0 without Landlock. */
int ta_landlock_abi(void);

/* What is allowed below a folder, or for a file. */
typedef enum ta_landlock_right {
    TA_LANDLOCK_READ,  /* read files, list folders; never execute */
    TA_LANDLOCK_WRITE, /* make, write, rename, remove files and folders */
    TA_LANDLOCK_DEVICE /* read, write, ioctl */
} ta_landlock_right;

/* A set of rules, or -1 with errno. Everything is denied that no rule allows, TCP included where the ABI has it. */
int ta_landlock_new(int abi);
/* Allows `right` below the open file or folder `fd` (O_PATH will do). 0 or an errno. */
int ta_landlock_allow(int rules, int abi, int fd, ta_landlock_right right);
/* Confines the calling thread and those that it starts from now on. 0 or an errno. */
int ta_landlock_enter(int rules);

/* Is there seccomp with filters? */
bool ta_seccomp_offered(void);
/* Allows this process, for good, only the system calls that computing and working on files takes: no sockets, programs,
 * processes, signals to others. Needs no_new_privs. 0 or an errno. */
int ta_seccomp_enter(void);

#endif
