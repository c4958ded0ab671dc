/* A thread pool for slices of a picture and for jobs. Thread safe. */
#ifndef TA_BASE_POOL_H
#define TA_BASE_POOL_H

#include <stddef.h>

typedef struct ta_pool ta_pool;

/* `threads` workers (0 = one a CPU that this process may use). NULL when out of memory or threads. */
ta_pool *ta_pool_new(int threads, const char *name);
/* Waits for running work. NULL inside is allowed. */
void ta_pool_free(ta_pool **p);
int ta_pool_threads(const ta_pool *p);
/* Calls fn(arg, i, n) for i in 0..n-1, on the workers and the calling thread; returns when all are done. May be
 * called from several threads at once; not from inside fn. With `p` NULL all run in the calling thread. */
void ta_pool_slices(ta_pool *p, void (*fn)(void *arg, int i, int n), void *arg, int n);
/* CPUs that this process may use (affinity and cgroup quota). */
int ta_cpu_count(void);

#endif
