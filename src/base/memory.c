/* Allocation with a test hook that makes the N-th one fail. */
#include "base/memory.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Process-wide, for tests: allocations since the last ta_alloc_fail_at and the one that is to fail (0 = none). */
static _Atomic uint64_t made, doomed;

__attribute__((constructor)) static void read_environment(void)
{
    const char *s = getenv("TERMINALAI_FAIL_ALLOC");
    if (s)
        ta_alloc_fail_at(strtoull(s, NULL, 10));
}

uint64_t ta_alloc_fail_at(uint64_t index)
{
    atomic_store(&doomed, 0);
    uint64_t before = atomic_exchange(&made, 0);
    atomic_store(&doomed, index);
    return before;
}

static bool must_fail(void)
{
    uint64_t n = atomic_fetch_add_explicit(&made, 1, memory_order_relaxed) + 1;
    if (n != atomic_load_explicit(&doomed, memory_order_relaxed))
        return false;
    errno = ENOMEM;
    return true;
}

void *ta_alloc(size_t size)
{
    return ta_array(1, size);
}

void *ta_array(size_t count, size_t size)
{
    size_t bytes;

    /* calloc checks the product too, but sanitizers end the program there. */
    if (must_fail() || __builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return calloc(1, bytes ? bytes : 1);
}

void *ta_resize(void *old, size_t count, size_t size)
{
    size_t bytes;

    if (must_fail() || __builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return realloc(old, bytes ? bytes : 1);
}

char *ta_strdup(const char *s)
{
    return s ? ta_strndup(s, strlen(s)) : NULL;
}

char *ta_strndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *copy = ta_resize(NULL, len + 1, 1);

    if (!copy)
        return NULL;
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *ta_format(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *s = ta_vformat(fmt, args);
    va_end(args);
    return s;
}

char *ta_vformat(const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *s = len < 0 ? NULL : ta_resize(NULL, (size_t)len + 1, 1);
    if (s)
        vsnprintf(s, (size_t)len + 1, fmt, args);
    return s;
}

void ta_free(void *p)
{
    free(p);
}

void ta_freep(void *p)
{
    void *block;

    /* By memcpy, as `p` may be the address of a pointer of any type. */
    memcpy(&block, p, sizeof(block));
    memset(p, 0, sizeof(block));
    free(block);
}

int ta_no_memory(ta_error *err)
{
    ta_fail(err, TA_ERR_AGAIN, "out of memory");
    ta_hint(err, "close other programs, or use fewer threads or a smaller picture");
    return TA_ERR_AGAIN;
}
