/* A lock whose taker wants to know why it failed. Private to base. */
#ifndef TA_BASE_LOCK_H
#define TA_BASE_LOCK_H

#include <stdbool.h>

#include "base/files.h"

/* ta_lock_take that sets *busy when somebody else holds the lock. */
int ta_lock_try(ta_lock **lock, const char *path, bool *busy, ta_error *err);

#endif
