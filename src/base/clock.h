/* Clocks. Thread safe. */
#ifndef TA_BASE_CLOCK_H
#define TA_BASE_CLOCK_H

#include <stdint.h>

int64_t ta_now_us(void);        /* monotonic, microseconds */
int64_t ta_wall_us(void);       /* since 1970, microseconds */
int64_t ta_thread_cpu_us(void); /* CPU time of the calling thread */
int64_t ta_process_cpu_us(void);
void ta_sleep_us(int64_t us);
/* "2026-01-31T12:00:00Z" into `out` (at least 24 bytes). */
char *ta_print_utc(int64_t wall_us, char *out);

#endif
