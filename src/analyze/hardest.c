/* Where a film is hardest to restore: the moments with the most motion and noise, found in samples spread over it. */
#include <math.h>
#include <stdlib.h>

#include "analyze/internal.h"

enum {
    SAMPLES = 200,      /* at most, spread evenly */
    RUN = 4,            /* changes from frame to frame that a sample looks at */
    WALK_FRAMES = 6000, /* decoded at most on the way to samples, all together */
    BLOCK = 8,
    NOISE_BLOCK = 16,
    NOISE_BLOCKS = 4096
};
/* Nearer than that, reading on is quicker than a seek. */
static const int64_t walk_us = 1200000;
static const int64_t apart_us = 2000000;

typedef struct search {
    ta_frames *frames;
    AVFrame *frame;
    ta_luma now, last;
    double change[RUN]; /* the latest first */
    double noise[NOISE_BLOCKS];
    int run; /* frames since the last jump */
    int budget;
    int64_t us; /* of `now` */
    ta_hard_moment found[SAMPLES];
    int count;
} search;

/* ---- What is measured ------------------------------------------------------------------------------------------ */

static double block_mean(const ta_luma *l, int x, int y)
{
    unsigned sum = 0;
    for (int j = 0; j < BLOCK; j++)
        for (int i = 0; i < BLOCK; i++)
            sum += l->data[(ptrdiff_t)(y + j) * l->width + x + i];
    return sum / (double)(BLOCK * BLOCK);
}

/* Mean change of the means of 8x8 blocks: noise averages out, motion stays. */
static double change_of(const ta_luma *a, const ta_luma *b)
{
    double sum = 0;
    int blocks = 0;
    if (a->width != b->width || a->height != b->height)
        return 0;
    for (int y = 0; y + BLOCK <= a->height; y += BLOCK)
        for (int x = 0; x + BLOCK <= a->width; x += BLOCK, blocks++)
            sum += fabs(block_mean(a, x, y) - block_mean(b, x, y));
    return blocks ? sum / blocks : 0;
}

/* J. Immerkaer, "Fast Noise Variance Estimation", CVIU 64(2), 1996; with lines of one field (y-2, y, y+2). */
static double block_noise(const ta_luma *l, int x0, int y0)
{
    ptrdiff_t w = l->width;
    int sum = 0, n = 0;
    for (int y = y0 + 2; y < y0 + NOISE_BLOCK - 2; y++)
        for (int x = x0 + 1; x < x0 + NOISE_BLOCK - 1; x++, n++) {
            const uint8_t *p = l->data + y * w + x, *up = p - 2 * w, *down = p + 2 * w;
            sum += abs(up[-1] - 2 * up[0] + up[1] - 2 * (p[-1] - 2 * p[0] + p[1]) + down[-1] - 2 * down[0] + down[1]);
        }
    return sqrt(M_PI / 2) / 6 * sum / n;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The quarter of all blocks with the least of it show noise and no texture. */
static double noise_of(search *s)
{
    const ta_luma *l = &s->now;
    int n = 0, step = NOISE_BLOCK;
    while ((l->width / step) * (l->height / step) > NOISE_BLOCKS)
        step += NOISE_BLOCK;
    for (int y = 0; y + NOISE_BLOCK <= l->height; y += step)
        for (int x = 0; x + NOISE_BLOCK <= l->width && n < NOISE_BLOCKS; x += step)
            s->noise[n++] = block_noise(l, x, y);
    qsort(s->noise, (size_t)n, sizeof *s->noise, by_size);
    return n ? s->noise[n / 4] : 0;
}

/* The mean of the changes without the largest, which may be a cut. */
static double motion_of(const search *s)
{
    double sum = 0, largest = 0;
    for (int i = 0; i < RUN; i++) {
        sum += s->change[i];
        largest = fmax(largest, s->change[i]);
    }
    return (sum - largest) / (RUN - 1);
}

static void record(search *s)
{
    ta_hard_moment *m = &s->found[s->count++];
    m->us = s->us;
    m->motion = motion_of(s);
    m->noise = noise_of(s);
    m->score = (m->motion + 0.25) * (m->noise + 0.25);
}

/* ---- Where it is looked at --------------------------------------------------------------------------------------- */

static int step(search *s, ta_error *err)
{
    int r = ta_frames_next(s->frames, s->frame, err);
    if (r <= 0)
        return r;
    ta_luma swap = s->last;
    s->last = s->now;
    s->now = swap;
    s->us = ta_frames_us(s->frames, s->frame);
    s->budget--;
    r = ta_luma_read(&s->now, s->frame, err);
    av_frame_unref(s->frame);
    if (r < 0)
        return r;
    if (s->run++) {
        memmove(s->change + 1, s->change, (RUN - 1) * sizeof *s->change);
        s->change[0] = change_of(&s->now, &s->last);
    }
    return 1;
}

/* Goes to the moment, or as near as the budget allows, and looks. 0 at the end. */
static int sample(search *s, int64_t wanted, ta_error *err)
{
    int r = 1;
    if (wanted > s->us + walk_us || s->budget <= 0) {
        ta_frames_seek_near(s->frames, wanted);
        s->run = 0;
    }
    while (r > 0 && (s->run <= RUN || (s->us < wanted && s->budget > 0)))
        r = step(s, err);
    bool again = s->count && s->us <= s->found[s->count - 1].us;
    if (r > 0 && !again)
        record(s);
    return r;
}

static int look(search *s, ta_error *err)
{
    ta_input *in = ta_frames_input(s->frames);
    int64_t start = ta_input_start_us(in), length = ta_input_duration_us(in);
    int64_t gap = length > 0 ? TA_MAX(length / SAMPLES, 1) : 500000;
    int r = 1;
    s->us = start;
    for (int i = 0; r > 0 && i < SAMPLES; i++) {
        int64_t wanted = start + gap * i;
        if (wanted > s->us || s->budget <= 0 || !i)
            r = sample(s, wanted, err);
    }
    return r;
}

static int by_score(const void *a, const void *b)
{
    const ta_hard_moment *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score) - (x->score > y->score) : (x->us > y->us) - (x->us < y->us);
}

static int choose(search *s, int wanted, ta_hard_moment *out)
{
    int n = 0;
    qsort(s->found, (size_t)s->count, sizeof *s->found, by_score);
    for (int i = 0; i < s->count && n < wanted; i++) {
        bool near = false;
        for (int k = 0; k < n; k++)
            near |= llabs(out[k].us - s->found[i].us) < apart_us;
        if (!near)
            out[n++] = s->found[i];
    }
    return n;
}

int ta_hardest(const char *path, int wanted, ta_cancel *cancel, ta_hard_moment *out, int *count, ta_error *err)
{
    search *s = ta_alloc(sizeof *s);
    int r = s && (s->frame = av_frame_alloc()) ? ta_frames_open(&s->frames, path, 0, cancel, err) : ta_no_memory(err);
    *count = 0;
    if (r >= 0) {
        s->budget = WALK_FRAMES;
        r = look(s, err);
    }
    if (r >= 0 && !(*count = choose(s, wanted, out))) {
        ta_fail(err, TA_ERR_DATA, "'%s' is too short to have a hardest moment", path);
        r = ta_hint(err, "it takes %d frames that follow each other", RUN + 1);
    }
    if (s) {
        ta_frames_close(&s->frames);
        av_frame_free(&s->frame);
        ta_luma_free(&s->now);
        ta_luma_free(&s->last);
    }
    ta_free(s);
    return r < 0 ? r : 0;
}
