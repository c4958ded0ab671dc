/* What `terminalai doctor` finds out, part by part. */
#ifndef TA_CLI_DOCTOR_H
#define TA_CLI_DOCTOR_H

#include "base/base.h"

typedef enum ta_finding_state {
    TA_FOUND_FINE,
    TA_FOUND_ABSENT, /* something optional is missing */
    TA_FOUND_BROKEN  /* something the main job needs is missing */
} ta_finding_state;

/* One finding. `advice` is "" where nothing is to be done. */
typedef struct ta_finding {
    const char *part; /* "cpu", "encoders": static storage */
    ta_finding_state state;
    char *name, *text, *advice;
} ta_finding;

typedef struct ta_findings {
    ta_finding *list;
    size_t count, cap;
    bool failed; /* out of memory */
} ta_findings;

/* Adds one; `advice` may be NULL. Text by printf. */
void ta_found(ta_findings *f, const char *part, ta_finding_state state, const char *name, const char *advice,
              const char *fmt, ...) TA_PRINTF(6, 7);
void ta_findings_free(ta_findings *f);

void ta_doctor_machine(ta_findings *f);  /* cpu, memory, disk, fonts */
void ta_doctor_gpu(ta_findings *f);      /* by /proc, /dev and the driver's library */
void ta_doctor_encoders(ta_findings *f); /* each is opened and given a small picture */
void ta_doctor_engines(ta_findings *f);  /* engines and models */
void ta_doctor_web(ta_findings *f);      /* what fetches from the web */
void ta_doctor_sandbox(ta_findings *f);  /* what the kernel offers to confine a worker */

/* The first line of a file, cut to `size`; false when it can't be read. */
bool ta_first_line(const char *path, char *out, size_t size);
/* What stands behind "KEY:" in a file of such lines (/proc/cpuinfo, /proc/meminfo); false when it is not there. */
bool ta_proc_value(const char *path, const char *key, char *out, size_t size);

#endif
