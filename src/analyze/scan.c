/* Scan type and field order by measurement.
 *
 * In moving parts, three weaves of a frame with its predecessor are compared by how much they comb (second difference
 * down the lines): A = bottom field before with top field now, B = top field before with bottom field now, C = the
 * frame itself. Top field first puts the fields of A next to each other in time and those of B three field times apart,
 * so A combs less; bottom field first the other way round; in progressive pictures C combs least and A and B alike.
 * Noise and vertical detail add the same to all three, and still parts are left out. */
#include <stdlib.h>

#include "analyze/internal.h"

enum { BLOCK = 16, MAX_FRAMES = 1024, MIN_VOTES = 12 };

/* Which field of a frame is the one of the frame before. */
typedef enum repeat { REPEAT_NONE, REPEAT_TOP, REPEAT_BOTTOM } repeat;
typedef enum vote { VOTE_NONE, VOTE_TFF, VOTE_BFF, VOTE_PROGRESSIVE } vote;

struct ta_scan_meter {
    ta_luma now, before;
    ta_borders borders;
    bool has_before;
    vote votes[MAX_FRAMES]; /* in order; a cut is a VOTE_NONE with cut[] set */
    repeat repeat[MAX_FRAMES];
    bool cut[MAX_FRAMES], flagged[MAX_FRAMES], moving[MAX_FRAMES];
    int frames, flagged_interlaced, flagged_tff, repeats;
    int64_t last_pts;
    int steps, odd_steps; /* frame durations, and those unlike the usual one */
    int64_t step[MAX_FRAMES];
    uint32_t *motion; /* of each block */
    int n_motion;
};

ta_scan_meter *ta_scan_meter_new(void)
{
    ta_scan_meter *m = ta_alloc(sizeof *m);
    if (m)
        m->last_pts = AV_NOPTS_VALUE;
    return m;
}

void ta_scan_meter_free(ta_scan_meter **m)
{
    if (!*m)
        return;
    ta_luma_free(&(*m)->now);
    ta_luma_free(&(*m)->before);
    ta_borders_free(&(*m)->borders);
    ta_free((*m)->motion);
    ta_freep(m);
}

void ta_scan_meter_cut(ta_scan_meter *m)
{
    m->has_before = false;
    m->last_pts = AV_NOPTS_VALUE;
    if (m->frames < MAX_FRAMES)
        m->cut[m->frames] = true;
}

/* ---- One frame --------------------------------------------------------------------------------------------------- */

typedef struct comb {
    uint64_t a, b, c;
    uint64_t motion[2]; /* of the top and the bottom field */
} comb;

/* Twice that of the field that moves more: a frame with one repeated field moves in the other only, and noise would
 * hide half of its motion. */
static uint32_t block_motion(const ta_scan_meter *m, int x, int y)
{
    uint32_t sum[2] = { 0, 0 };
    for (int j = 0; j < BLOCK; j++) {
        const uint8_t *p = m->now.data + (ptrdiff_t)(y + j) * m->now.width + x;
        const uint8_t *q = m->before.data + (ptrdiff_t)(y + j) * m->now.width + x;
        uint32_t line = 0;
        for (int i = 0; i < BLOCK; i++)
            line += (uint32_t)abs(p[i] - q[i]);
        sum[j & 1] += line;
    }
    return 2 * TA_MAX(sum[0], sum[1]);
}

static uint64_t second_difference(const uint8_t *up, const uint8_t *mid, const uint8_t *down)
{
    uint32_t sum = 0;
    for (int i = 0; i < BLOCK; i++)
        sum += (uint32_t)abs(2 * mid[i] - up[i] - down[i]);
    return sum;
}

static void block_comb(const ta_scan_meter *m, int x, int y, comb *k)
{
    ptrdiff_t w = m->now.width;
    for (int j = 0; j < BLOCK; j++) {
        int line = y + j;
        if (line < 1 || line + 1 >= m->now.height)
            continue;
        const uint8_t *p = m->now.data + line * w + x, *q = m->before.data + line * w + x;
        for (int i = 0; i < BLOCK; i++)
            k->motion[line & 1] += (uint64_t)abs(p[i] - q[i]);
        uint64_t now_in_before = second_difference(q - w, p, q + w);
        uint64_t before_in_now = second_difference(p - w, q, p + w);
        k->c += second_difference(p - w, p, p + w);
        /* Even lines are the top field. A has the top field of now and the bottom field of before. */
        k->a += line & 1 ? before_in_now : now_in_before;
        k->b += line & 1 ? now_in_before : before_in_now;
    }
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Motion that noise alone does not make: well over what the quietest quarter of the picture shows. */
static uint32_t motion_threshold(const uint32_t *motion, int n)
{
    uint32_t *sorted = ta_array((size_t)n, sizeof *sorted);
    if (!sorted)
        return UINT32_MAX;
    memcpy(sorted, motion, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    uint32_t quiet = sorted[n / 4];
    ta_free(sorted);
    return 2 * TA_MIN(quiet, 12u * BLOCK * BLOCK) + 3 * BLOCK * BLOCK;
}

static vote judge(const comb *k, int moving, int blocks)
{
    if (moving < TA_MAX(blocks / 200, 3))
        return VOTE_NONE;
    double a = (double)k->a, b = (double)k->b, c = (double)k->c;
    if (c < 0.9 * TA_MIN(a, b) && a < 1.15 * b && b < 1.15 * a)
        return VOTE_PROGRESSIVE;
    if (b > 1.06 * a && c > 0.85 * a)
        return VOTE_TFF;
    if (a > 1.06 * b && c > 0.85 * b)
        return VOTE_BFF;
    return c < 0.8 * TA_MIN(a, b) ? VOTE_PROGRESSIVE : VOTE_NONE;
}

/* In a repeated field only the noise differs. */
static repeat find_repeat(const comb *k, int moving, uint32_t threshold)
{
    double noise = (double)moving * threshold / 6, top = (double)k->motion[0] - noise,
           bottom = (double)k->motion[1] - noise;
    if (top < 0.4 * bottom)
        return REPEAT_TOP;
    return bottom < 0.4 * top ? REPEAT_BOTTOM : REPEAT_NONE;
}

static vote measure(ta_scan_meter *m, ta_error *err, int *status)
{
    int across = m->now.width / BLOCK, down = m->now.height / BLOCK, n = across * down, moving = 0;
    comb k = { 0 };
    *status = 0;
    if (n < 8)
        return VOTE_NONE;
    if (n > m->n_motion) {
        uint32_t *grown = ta_resize(m->motion, (size_t)n, sizeof *grown);
        if (!grown) {
            *status = ta_no_memory(err);
            return VOTE_NONE;
        }
        m->motion = grown;
        m->n_motion = n;
    }
    for (int i = 0; i < n; i++)
        m->motion[i] = block_motion(m, i % across * BLOCK, i / across * BLOCK);
    uint32_t threshold = motion_threshold(m->motion, n);
    for (int i = 0; i < n; i++)
        if (m->motion[i] > threshold) {
            block_comb(m, i % across * BLOCK, i / across * BLOCK, &k);
            moving++;
        }
    m->moving[m->frames] = moving >= TA_MAX(n / 200, 3);
    if (m->moving[m->frames])
        m->repeat[m->frames] = find_repeat(&k, moving, threshold);
    return judge(&k, moving, n);
}

static void note_flags(ta_scan_meter *m, const AVFrame *f)
{
    m->flagged_interlaced += f->interlaced_frame != 0;
    m->flagged_tff += f->interlaced_frame && f->top_field_first;
    m->repeats += f->repeat_pict > 0;
    if (f->pts != AV_NOPTS_VALUE && m->last_pts != AV_NOPTS_VALUE && m->steps < MAX_FRAMES)
        m->step[m->steps++] = f->pts - m->last_pts;
    m->last_pts = f->pts;
}

int ta_scan_meter_add(ta_scan_meter *m, const AVFrame *f, ta_error *err)
{
    if (m->frames == MAX_FRAMES)
        return 0;
    ta_luma swap = m->before;
    m->before = m->now;
    m->now = swap;
    int r = ta_luma_read(&m->now, f, err);
    if (r < 0)
        return r;
    bool follows = m->has_before && m->before.width == m->now.width && m->before.height == m->now.height;
    m->votes[m->frames] = follows ? measure(m, err, &r) : VOTE_NONE;
    m->flagged[m->frames] = f->interlaced_frame;
    m->has_before = true;
    note_flags(m, f);
    m->frames++;
    return r < 0 ? r : ta_borders_add(&m->borders, &m->now, f->width, err);
}

/* ---- The verdict ---------------------------------------------------------------------------------------------------
 */

typedef struct tally {
    int tff, bff, progressive, agree, disagree;
} tally;

static tally count(const ta_scan_meter *m)
{
    tally t = { 0 };
    for (int i = 0; i < m->frames; i++) {
        bool combed = m->votes[i] == VOTE_TFF || m->votes[i] == VOTE_BFF;
        t.tff += m->votes[i] == VOTE_TFF;
        t.bff += m->votes[i] == VOTE_BFF;
        t.progressive += m->votes[i] == VOTE_PROGRESSIVE;
        if (m->votes[i] != VOTE_NONE)
            *(combed == m->flagged[i] ? &t.agree : &t.disagree) += 1;
    }
    return t;
}

/* How well the repeated fields of frames from..to fit 3:2 pull-down: one field repeats in the first of five frames, the
 * other in the third. Tries each phase and both fields first. */
static int best_fit(const ta_scan_meter *m, int from, int to)
{
    int best = 0;
    for (int phase = 0; phase < 5; phase++)
        for (int first = REPEAT_TOP; first <= REPEAT_BOTTOM; first++) {
            int fit = 0;
            for (int i = from + 1; i < to; i++) {
                int at = (i + phase) % 5;
                int want = at == 0 ? first : at == 2 ? REPEAT_TOP + REPEAT_BOTTOM - first : REPEAT_NONE;
                fit += m->repeat[i] != REPEAT_NONE && (int)m->repeat[i] == want;
            }
            best = TA_MAX(best, fit);
        }
    return best;
}

/* Film with 3:2 pull-down repeats a field in two frames of five, in a fixed order; nothing else does. The pattern may
 * start anew behind a cut, so each stretch finds its own phase. */
static bool is_telecine(const ta_scan_meter *m)
{
    int fit = 0, repeats = 0, moving = 0;
    for (int from = 0, to; from < m->frames; from = to) {
        for (to = from + 1; to < m->frames && !m->cut[to];)
            to++;
        fit += best_fit(m, from, to);
    }
    for (int i = 0; i < m->frames; i++) {
        repeats += m->repeat[i] != REPEAT_NONE;
        moving += m->moving[i];
    }
    return fit >= 8 && fit * 5 >= repeats * 4 && repeats * 4 >= moving;
}

static int by_step(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int64_t ta_scan_meter_step(const ta_scan_meter *m)
{
    int64_t sorted[MAX_FRAMES];
    if (m->steps < 12)
        return 0;
    memcpy(sorted, m->step, (size_t)m->steps * sizeof *sorted);
    qsort(sorted, (size_t)m->steps, sizeof *sorted, by_step);
    return TA_MAX(sorted[m->steps / 2], 1);
}

/* Varying durations: more than a tenth of them unlike the median. */
static bool varies(const ta_scan_meter *m)
{
    int64_t usual = ta_scan_meter_step(m);
    int odd = 0;
    if (!usual)
        return false;
    for (int i = 0; i < m->steps; i++)
        odd += llabs(m->step[i] - usual) * 4 > usual;
    return odd * 10 > m->steps;
}

static ta_field_order measured_order(const tally *t)
{
    int votes = t->tff + t->bff;
    if (votes < MIN_VOTES)
        return TA_FIELDS_UNKNOWN;
    if (t->tff * 5 >= votes * 4)
        return TA_FIELDS_TFF;
    return t->bff * 5 >= votes * 4 ? TA_FIELDS_BFF : TA_FIELDS_UNKNOWN;
}

static ta_field_order flagged_order(const ta_scan_meter *m)
{
    if (m->flagged_interlaced * 20 < m->frames || !m->flagged_interlaced)
        return TA_FIELDS_PROGRESSIVE;
    return m->flagged_tff * 2 >= m->flagged_interlaced ? TA_FIELDS_TFF : TA_FIELDS_BFF;
}

static ta_scan scan_type(const ta_scan_meter *m, const tally *t)
{
    int interlaced = t->tff + t->bff, votes = interlaced + t->progressive;
    bool some = m->flagged_interlaced * 20 >= m->frames, all = m->flagged_interlaced * 20 >= m->frames * 19;
    if (m->repeats * 10 >= m->frames * 3 && !some)
        return TA_SCAN_SOFT_TELECINE;
    if (is_telecine(m))
        return TA_SCAN_HARD_TELECINE;
    if (some && !all && t->agree >= 9 * t->disagree)
        return TA_SCAN_MIXED;
    if (votes < MIN_VOTES)
        return !some ? TA_SCAN_PROGRESSIVE : all ? TA_SCAN_INTERLACED : TA_SCAN_MIXED;
    if (all)
        return interlaced == 0 && t->progressive >= 30 ? TA_SCAN_PROGRESSIVE : TA_SCAN_INTERLACED;
    return interlaced >= MIN_VOTES && interlaced * 4 > votes ? TA_SCAN_INTERLACED
           : some                                            ? TA_SCAN_MIXED
                                                             : TA_SCAN_PROGRESSIVE;
}

static const char *order_name(ta_field_order o)
{
    static const char *const names[] = { "unknown order", "progressive", "top field first", "bottom field first" };
    return names[o];
}

static void explain(ta_scan_report *r, const tally *t)
{
    static const char *const scans[] = { "progressive", "interlaced", "interlaced and progressive mixed",
                                         "film with repeat-field flags (soft telecine)",
                                         "film with 3:2 pull-down in the picture (hard telecine)" };
    const char *verdict = r->measured == TA_FIELDS_UNKNOWN      ? "the picture does not tell"
                          : r->flagged == r->measured           ? "flags and picture agree"
                          : r->flagged == TA_FIELDS_PROGRESSIVE ? "the flags say progressive, the picture does not"
                                                                : "the flags are wrong, the picture decides";
    if (r->scan == TA_SCAN_PROGRESSIVE && r->flagged != TA_FIELDS_PROGRESSIVE)
        verdict = "flagged interlaced, but no picture combs";
    else if (r->scan == TA_SCAN_PROGRESSIVE || r->scan == TA_SCAN_SOFT_TELECINE)
        verdict = "by its flags, and the picture does not contradict";
    snprintf(r->reason, sizeof r->reason,
             "%s%s%s: %s (%d frames measured: %d top first, %d bottom first, %d progressive)", scans[r->scan],
             r->scan == TA_SCAN_PROGRESSIVE || r->scan == TA_SCAN_SOFT_TELECINE ? "" : ", ",
             r->scan == TA_SCAN_PROGRESSIVE || r->scan == TA_SCAN_SOFT_TELECINE ? "" : order_name(r->order), verdict,
             r->frames, t->tff, t->bff, t->progressive);
}

void ta_scan_meter_result(const ta_scan_meter *m, ta_scan_report *r)
{
    tally t = count(m);
    *r = (ta_scan_report){ 0 };
    r->frames = m->frames;
    r->flagged_interlaced = m->flagged_interlaced;
    r->flagged_tff = m->flagged_tff;
    r->repeat_flags = m->repeats;
    r->tff_votes = t.tff;
    r->bff_votes = t.bff;
    r->combed = t.tff + t.bff;
    r->flagged = flagged_order(m);
    r->measured = measured_order(&t);
    r->scan = scan_type(m, &t);
    r->vfr = r->scan == TA_SCAN_PROGRESSIVE && varies(m);
    ta_borders_result(&m->borders, r->crop);
    r->order = r->measured != TA_FIELDS_UNKNOWN      ? r->measured
               : r->flagged != TA_FIELDS_PROGRESSIVE ? r->flagged
                                                     : TA_FIELDS_TFF;
    if (r->scan == TA_SCAN_PROGRESSIVE || r->scan == TA_SCAN_SOFT_TELECINE)
        r->order = TA_FIELDS_PROGRESSIVE;
    explain(r, &t);
}
