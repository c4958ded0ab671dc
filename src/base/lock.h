/* A lock whose taker wants to know why it failed. Private to base. */
#ifndef TA_BASE_LOCK_H
#define TA_BASE_LOCK_H

#include "base/files.h"

/* ta_lock_take that sets *why to the errno of a failure: EWOULDBLOCK when somebody else holds the lock. */
int ta_lock_try(ta_lock **lock, const char *path, int *why, ta_error *err);

#endif
