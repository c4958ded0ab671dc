/* base: what every other folder stands on. Errors, memory, text, log, cancel, clock, queues, threads, files.
 * Knows nothing of video. This is the one header that other folders include. */
#ifndef TA_BASE_H
#define TA_BASE_H

#include "base/cancel.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/font.h"
#include "base/job_folder.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/queue.h"
#include "base/text.h"
#include "terminalai/error.h"
#include "terminalai/version.h"

#define TA_MIN(a, b) ((a) < (b) ? (a) : (b))
#define TA_MAX(a, b) ((a) > (b) ? (a) : (b))
#define TA_CLAMP(x, lo, hi) TA_MIN(TA_MAX(x, lo), hi)
#define TA_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
