/* Reading and writing descriptors to the end. Private to base. */
#ifndef TA_BASE_FD_H
#define TA_BASE_FD_H

#include <stddef.h>
#include <sys/types.h>

/* Writes all of it. 0 or an errno. */
int ta_fd_write(int fd, const void *data, size_t size);
/* read(2) that is not ended by a signal. */
ssize_t ta_fd_read(int fd, void *data, size_t size);

#endif
