/* Integer arithmetic of the sample: see arith.h. */
#include "sample/arith.h"

#include "base/base.h"

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

ta_rng ta_rng_seeded(uint64_t seed, uint64_t stream)
{
    ta_rng r = { mix(seed + 0x9e3779b97f4a7c15u) ^ mix(stream * 0x9e3779b97f4a7c15u + 1) };
    ta_rng_next(&r);
    return r;
}

/* Taylor's series in Q30, x in radians 0 .. pi/2: the first term left out is below 2^-18. */
static int64_t sine_q30(int64_t x)
{
    int64_t x2 = (x * x) >> 30, term = x, sum = x;
    for (int k = 1; k <= 4; k++) {
        term = -((term * x2) >> 30) / (2 * k * (2 * k + 1));
        sum += term;
    }
    return sum;
}

void ta_sine_init(ta_sine *s)
{
    const int64_t half_pi = 1686629713; /* pi/2 in Q30 */
    for (int i = 0; i <= 256; i++) {
        int16_t v = (int16_t)((sine_q30(half_pi * i / 256) + (1 << 15)) >> 16);
        s->v[i] = s->v[512 - i] = v;
        s->v[512 + i] = s->v[1024 - i] = (int16_t)-v;
    }
}

uint16_t ta_angle16(int x, int y)
{
    int ax = x < 0 ? -x : x, ay = y < 0 ? -y : y;
    if (!ax && !ay)
        return 0;
    int lo = ax < ay ? ax : ay, hi = ax < ay ? ay : ax;
    int64_t z = ((int64_t)lo << 15) / hi;
    /* atan(z) ~ z (pi/4 + 0.273 (1 - z)), here in turns */
    int a = (int)((z * (8192 + ((2848 * (32768 - z)) >> 15))) >> 15);
    if (ay > ax)
        a = 16384 - a;
    if (x < 0)
        a = 32768 - a;
    return (uint16_t)(y < 0 ? -a : a);
}

static int smooth(int f, int n)
{
    int64_t t = (int64_t)f * 4096 / n;
    return (int)((t * t * (3 * 4096 - 2 * t)) >> 24);
}

/* One octave of value noise: random values on a grid of `cell` texels, smoothly joined. */
static void add_octave(int32_t *sum, int cell, int weight, ta_rng *r)
{
    static const int side = TA_TEXTURE_SIZE;
    uint8_t grid[128 * 128];
    int n = TA_MAX(side / cell, 1);
    for (int i = 0; i < n * n; i++)
        grid[i] = (uint8_t)(ta_rng_next(r) >> 24);
    for (int y = 0; y < side; y++) {
        const uint8_t *a = grid + y / cell * n, *b = grid + (y / cell + 1) % n * n;
        int fy = smooth(y % cell, cell);
        for (int x = 0; x < side; x++) {
            int i = x / cell, j = (i + 1) % n, fx = smooth(x % cell, cell);
            int top = a[i] * 4096 + (a[j] - a[i]) * fx, low = b[i] * 4096 + (b[j] - b[i]) * fx;
            int64_t v = (int64_t)top * 4096 + (int64_t)(low - top) * fy;
            sum[y * side + x] += (int32_t)((v >> 20) * weight);
        }
    }
}

int ta_texture_fill(uint8_t *t, uint64_t seed)
{
    static const int cells[] = { 64, 32, 16, 8, 4 }, weights[] = { 5, 4, 4, 4, 3 };
    enum { TEXELS = TA_TEXTURE_SIZE * TA_TEXTURE_SIZE, WEIGHTS = 20 };
    int32_t *sum = ta_array(TEXELS, sizeof(*sum));
    if (!sum)
        return -1;
    ta_rng r = ta_rng_seeded(seed, 0x7e87);
    for (size_t i = 0; i < TA_COUNT(cells); i++)
        add_octave(sum, cells[i], weights[i], &r);
    for (int i = 0; i < TEXELS; i++) {
        /* sums of many values crowd around the middle: stretch them (values are 0..255 in Q4) */
        int v = 128 + (sum[i] / WEIGHTS - 128 * 16) / 7;
        t[i] = (uint8_t)TA_CLAMP(v, 0, 255);
    }
    ta_free(sum);
    return 0;
}
