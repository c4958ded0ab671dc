/* Where the pieces of a track begin and end.
 *
 * A chain that is started in mid-track gives what one started at the front gives, if three things hold: its filters
 * have forgotten what came before (the warm-up), see what comes behind (the look-ahead), and cut time at the same
 * places. For the last, windows must begin at multiples of their steps, and the resampler must start at a source sample
 * that falls on a finished one. From such a place to the warm-up the chain gets silence. Where such places are minutes
 * apart (drifts of odd fractions along with a change of rate) one that is as good as on a finished sample is taken. */
#include <math.h>

#include "restore/sound_pieces.h"

/* The longest memory of our chains is dynaudnorm's: 21 frames of 0.2 s, half of them ahead. */
enum { WARM_SECONDS = 20, LOOK_SECONDS = 4, SILENT_SECONDS = 150, PIECE_SECONDS = 300 };
/* This part of a sample is far below what the resampler itself does to a signal. */
enum { NEAR = 100000 };

double ta_sound_piece_seconds(const ta_job *job)
{
    return job->sound_piece_seconds > 0 ? job->sound_piece_seconds : PIECE_SECONDS;
}

/* The least common multiple, or INT64_MAX. */
static int64_t common(int64_t a, int64_t b)
{
    int64_t part = a / av_gcd(a, b);
    return part > INT64_MAX / b ? INT64_MAX : part * b;
}

void ta_sound_grid_init(ta_sound_grid *g, double piece_seconds, bool plain, const ta_sound_target *t, int rate_in)
{
    int64_t num = (int64_t)t->drift.num * t->format.sample_rate, den = (int64_t)t->drift.den * rate_in;
    int64_t both = av_gcd(num, den);
    *g = (ta_sound_grid){
        .piece = TA_MAX(llrint(piece_seconds * rate_in), 1), .step = 1, .num = num / both, .den = den / both
    };
    if (plain)
        return;
    g->warm = (int64_t)WARM_SECONDS * rate_in;
    g->look = (int64_t)LOOK_SECONDS * rate_in;
    g->step = common(t->phase, g->den);
    if (g->step > (int64_t)SILENT_SECONDS * rate_in) {
        g->reach = (int64_t)SILENT_SECONDS * rate_in;
        g->step = t->phase <= rate_in ? t->phase : 1;
    }
}

int64_t ta_sound_piece_from(const ta_sound_grid *g, int64_t k)
{
    return k * g->piece;
}

int64_t ta_sound_piece_to(const ta_sound_grid *g, int64_t k)
{
    return (k + 1) * g->piece;
}

int64_t ta_sound_feed_to(const ta_sound_grid *g, int64_t k)
{
    return ta_sound_piece_to(g, k) + g->look;
}

/* How far source sample `at` is from the nearest finished one, in 1/den of a finished sample. The product may be larger
 * than 64 bits; the rest is not, and it is right modulo 2^64. */
static int64_t off_grid(const ta_sound_grid *g, int64_t at)
{
    uint64_t whole = (uint64_t)av_rescale_rnd(at, g->num, g->den, AV_ROUND_DOWN);
    int64_t rest = (int64_t)((uint64_t)at * (uint64_t)g->num - whole * (uint64_t)g->den);
    return TA_MIN(rest, g->den - rest);
}

int64_t ta_sound_feed_from(const ta_sound_grid *g, int64_t k)
{
    int64_t latest = ta_sound_heard_from(g, k) / g->step * g->step, best = latest;
    for (int64_t at = latest; at >= 0 && at > latest - g->reach && off_grid(g, best) > g->den / NEAR; at -= g->step)
        if (off_grid(g, at) < off_grid(g, best))
            best = at;
    return best;
}

int64_t ta_sound_heard_from(const ta_sound_grid *g, int64_t k)
{
    return TA_MAX(ta_sound_piece_from(g, k) - g->warm, 0);
}

int64_t ta_sound_finished_from(const ta_sound_grid *g, int64_t k)
{
    return av_rescale_rnd(ta_sound_piece_from(g, k), g->num, g->den, AV_ROUND_DOWN);
}

int64_t ta_sound_finished_at(const ta_sound_grid *g, int64_t from)
{
    return av_rescale_rnd(from, g->num, g->den, AV_ROUND_NEAR_INF);
}
