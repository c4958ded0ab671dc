/* Every allocation of ours goes through these, so that tests can make the N-th one fail. Memory from here is freed
 * with ta_free. Thread safe. */
#ifndef TA_BASE_MEMORY_H
#define TA_BASE_MEMORY_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "terminalai/error.h"

/* Zeroed memory, or NULL. ta_array checks `count * size` for overflow. A size of 0 is taken as 1. */
void *ta_alloc(size_t size);
void *ta_array(size_t count, size_t size);
/* Like reallocarray; new bytes are not zeroed. The old block stays valid when NULL is returned. */
void *ta_resize(void *old, size_t count, size_t size);
char *ta_strdup(const char *s); /* NULL of NULL */
char *ta_strndup(const char *s, size_t n);
char *ta_format(const char *fmt, ...) TA_PRINTF(1, 2);
char *ta_vformat(const char *fmt, va_list args);
void ta_free(void *p);
/* Frees *p and sets it to NULL. `p` is the address of a pointer. */
void ta_freep(void *p);
/* Fills `err` with "out of memory" and returns TA_ERR_AGAIN. */
int ta_no_memory(ta_error *err);

/* Gives back to the system what the process holds without needing it: free heap, pages of libraries that were read once
 * at start. Called before long work; what is needed after all comes back by itself. */
void ta_release_memory(void);

/* Test hook: the allocation with this index (1 = next) fails, once; 0 switches the hook off. Returns how many
 * allocations were made since the last call. Also set by the environment variable TERMINALAI_FAIL_ALLOC at start. */
uint64_t ta_alloc_fail_at(uint64_t index);

#endif
