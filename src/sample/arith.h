/* Arithmetic of the sample: random numbers, sines and textures in integers only, so that every machine draws the
 * same picture. No libm, no floating point. */
#ifndef TA_SAMPLE_ARITH_H
#define TA_SAMPLE_ARITH_H

#include <stdint.h>

/* PCG-XSH-RR 64/32 (M. O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for
 * Random Number Generation", 2014). */
typedef struct ta_rng {
    uint64_t state;
} ta_rng;

static inline uint32_t ta_rng_next(ta_rng *r)
{
    uint64_t s = r->state;
    r->state = s * 6364136223846793005u + 1442695040888963407u;
    uint32_t x = (uint32_t)(((s >> 18) ^ s) >> 27);
    unsigned turn = (unsigned)(s >> 59);
    return (x >> turn) | (x << (-turn & 31));
}

/* A stream of its own for each (seed, stream) pair: both go through the finaliser of splitmix64. */
ta_rng ta_rng_seeded(uint64_t seed, uint64_t stream);

/* 0 .. n-1 */
static inline int ta_rng_below(ta_rng *r, int n)
{
    return (int)(((uint64_t)ta_rng_next(r) * (uint32_t)n) >> 32);
}

/* Nearly normal: the sum of four bytes, mean 0, standard deviation TA_RNG_SIGMA, never beyond 510. */
#define TA_RNG_SIGMA 147.8
static inline int ta_rng_gauss(ta_rng *r)
{
    uint32_t v = ta_rng_next(r);
    return (int)((v & 255) + ((v >> 8) & 255) + ((v >> 16) & 255) + (v >> 24)) - 510;
}

enum { TA_SINE_ONE = 16384 };
/* One turn of a sine in Q14, and one value more for interpolation. */
typedef struct ta_sine {
    int16_t v[1025];
} ta_sine;
void ta_sine_init(ta_sine *s);

/* `phase`: 2^32 is a turn. */
static inline int ta_sine_at(const ta_sine *s, uint32_t phase)
{
    int i = (int)(phase >> 22), f = (int)((phase >> 6) & 0xffff);
    return s->v[i] + (((s->v[i + 1] - s->v[i]) * f) >> 16);
}

/* A turn of 2^32 divided by `den`, times `num`: the phase step of `num` turns every `den` steps. */
static inline uint32_t ta_phase_step(uint64_t num, uint64_t den)
{
    return (uint32_t)(((num << 32) + den / 2) / den);
}

/* Angle of (x, y), 2^16 a turn, within 0.3 degrees. */
uint16_t ta_angle16(int x, int y);

enum { TA_TEXTURE_SIZE = 512 };
/* Fills `t` (TA_TEXTURE_SIZE squared) with fractal noise that wraps on all sides; 0..255 around 128. Negative when
 * out of memory. */
int ta_texture_fill(uint8_t *t, uint64_t seed);

/* Bilinear sample; u and v in 1/256 texels, wrapped. */
static inline int ta_texture_at(const uint8_t *t, int u, int v)
{
    enum { MASK = TA_TEXTURE_SIZE - 1 };
    int x0 = (u >> 8) & MASK, x1 = (x0 + 1) & MASK, fx = u & 255, fy = v & 255;
    const uint8_t *a = t + ((v >> 8) & MASK) * TA_TEXTURE_SIZE, *b = t + (((v >> 8) + 1) & MASK) * TA_TEXTURE_SIZE;
    int top = a[x0] * (256 - fx) + a[x1] * fx, low = b[x0] * (256 - fx) + b[x1] * fx;
    return (top * (256 - fy) + low * fy + 32768) >> 16;
}

#endif
