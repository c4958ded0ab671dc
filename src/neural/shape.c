/* Shapes: counting, comparing, printing. */
#include "neural/neural.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int64_t ta_shape_count(const ta_shape *shape)
{
    int64_t count = 1;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[i] < 0 || __builtin_mul_overflow(count, shape->dim[i], &count))
            return -1;
    }
    return count <= PTRDIFF_MAX / (int64_t)sizeof(float) ? count : -1;
}

bool ta_shape_equal(const ta_shape *a, const ta_shape *b)
{
    return a->rank == b->rank && !memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]);
}

char *ta_shape_print(const ta_shape *shape, char *out)
{
    size_t at = 0;
    *out = 0;
    for (int i = 0; i < shape->rank; i++) {
        const char *cross = i ? "x" : "";
        if (shape->dim[i] < 0)
            at += (size_t)sprintf(out + at, "%s?", cross);
        else
            at += (size_t)sprintf(out + at, "%s%" PRId64, cross, shape->dim[i]);
    }
    return out;
}
