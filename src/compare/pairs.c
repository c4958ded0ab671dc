/* Two files, frame beside frame: paired by time, never by count. */
#include <libavutil/imgutils.h>
#include <stdlib.h>

#include "compare/compare.h"

typedef struct side {
    ta_frames *frames;
    AVFrame *now, *next; /* `now` is empty (width 0) at the end, `next` when nothing follows */
    int64_t zero, now_us, next_us;
    uint64_t unpaired;
} side;

struct ta_pairs {
    side a, b;
    ta_pair_options o;
    int64_t half; /* of a frame */
    bool shown;   /* the pair in `now` was handed out */
};

/* Moves up by one frame. */
static int advance(ta_pairs *p, side *s, ta_error *err)
{
    av_frame_unref(s->now);
    av_frame_move_ref(s->now, s->next);
    s->now_us = s->next_us;
    int r = ta_frames_next(s->frames, s->next, err);
    if (r <= 0)
        return r;
    s->next_us = ta_frames_us(s->frames, s->next) - s->zero;
    if (s->next_us >= p->o.end_us)
        av_frame_unref(s->next); /* the end is the end: what comes later is not asked for again */
    return 0;
}

static int drop(ta_pairs *p, side *s, ta_error *err)
{
    s->unpaired++;
    return advance(p, s, err);
}

static int64_t half_frame(const ta_frames *f)
{
    AVRational rate = ta_frames_format(f)->frame_rate;
    return rate.num > 0 && rate.den > 0 ? av_rescale(500000, rate.den, rate.num) : 0;
}

/* The first frame tells where time begins; then on to the start, with `now` and `next` filled. */
static int begin(ta_pairs *p, side *s, ta_error *err)
{
    int r = ta_frames_next(s->frames, s->next, err);
    if (r == 0)
        r = ta_fail(err, TA_ERR_DATA, "not one picture could be decoded");
    if (r < 0)
        return r;
    int64_t first = ta_frames_us(s->frames, s->next);
    s->zero = p->o.align == TA_ALIGN_AUTO ? first : 0;
    s->next_us = first - s->zero;
    if (p->o.shown && s == &p->a) /* the frame that is shown then began up to a frame earlier */
        p->o.start_us -= TA_MAX(2 * half_frame(s->frames), 1000) - 1000;
    if (p->o.start_us > s->next_us)
        ta_frames_seek(s->frames, p->o.start_us + s->zero);
    int64_t from = s == &p->a ? p->o.start_us : p->o.start_us - p->half;
    while (r >= 0 && s->next->width && s->next_us < from)
        r = advance(p, s, err);
    return r < 0 ? r : advance(p, s, err);
}

static int open_side(side *s, const char *path, ta_cancel *cancel, ta_error *err)
{
    s->now = av_frame_alloc();
    s->next = av_frame_alloc();
    return s->now && s->next ? ta_frames_open(&s->frames, path, 0, cancel, err) : ta_no_memory(err);
}

int ta_pairs_open(ta_pairs **out, const char *a, const char *b, const ta_pair_options *o, ta_cancel *cancel,
                  ta_error *err)
{
    ta_pairs *p = ta_alloc(sizeof *p);
    int r = p ? 0 : ta_no_memory(err);
    if (r >= 0) {
        p->o = *o;
        p->shown = true;
        r = open_side(&p->a, a, cancel, err);
    }
    if (r >= 0)
        r = open_side(&p->b, b, cancel, err);
    if (r >= 0) {
        int64_t x = half_frame(p->a.frames), y = half_frame(p->b.frames);
        p->half = x && y ? TA_MIN(x, y) : TA_MAX(x, y);
        p->half = p->half ? p->half : 20000;
    }
    if (r >= 0 && (r = begin(p, &p->a, err)) < 0)
        ta_wrap(err, "'%s'", a);
    if (r >= 0 && (r = begin(p, &p->b, err)) < 0)
        ta_wrap(err, "'%s'", b);
    if (r < 0)
        ta_pairs_close(&p);
    *out = p;
    return r;
}

/* The next frame of `s` is nearer to the moment than the present one. */
static bool next_is_nearer(const side *s, int64_t us)
{
    return s->next->width && llabs(s->next_us - us) < llabs(s->now_us - us);
}

static int next_pair(ta_pairs *p, ta_error *err)
{
    int r = 0;
    while (r >= 0 && p->a.now->width && p->b.now->width) {
        int64_t lag = p->b.now_us - p->a.now_us;
        if (next_is_nearer(&p->b, p->a.now_us) || lag < -p->half)
            r = drop(p, &p->b, err);
        else if (next_is_nearer(&p->a, p->b.now_us) || lag > p->half)
            r = drop(p, &p->a, err);
        else
            return 1;
    }
    while (r >= 0 && p->a.now->width)
        r = drop(p, &p->a, err);
    while (r >= 0 && p->b.now->width)
        r = drop(p, &p->b, err);
    return r;
}

/* A tested file without colour tags is taken as the reference is; a guess of its own could differ by its size alone. */
static void tag_alike(ta_pairs *p)
{
    if (!ta_frames_untagged(p->b.frames))
        return;
    p->b.now->colorspace = p->a.now->colorspace;
    p->b.now->color_primaries = p->a.now->color_primaries;
    p->b.now->color_trc = p->a.now->color_trc;
}

int ta_pairs_next(ta_pairs *p, ta_pair *pair, ta_error *err)
{
    int r = 0;
    if (!p->shown && (r = advance(p, &p->a, err)) >= 0)
        r = advance(p, &p->b, err);
    p->shown = true;
    if (r >= 0)
        r = next_pair(p, err);
    p->shown = r <= 0;
    if (r <= 0)
        return r;
    tag_alike(p);
    *pair = (ta_pair){ .a = p->a.now, .b = p->b.now, .us = p->a.now_us };
    return 1;
}

AVRational ta_pairs_rate(const ta_pairs *p)
{
    return ta_frames_format(p->a.frames)->frame_rate;
}

void ta_pairs_unpaired(const ta_pairs *p, uint64_t *a, uint64_t *b)
{
    *a = p->a.unpaired;
    *b = p->b.unpaired;
}

static void close_side(side *s)
{
    ta_frames_close(&s->frames);
    av_frame_free(&s->now);
    av_frame_free(&s->next);
}

void ta_pairs_close(ta_pairs **p)
{
    if (!*p)
        return;
    close_side(&(*p)->a);
    close_side(&(*p)->b);
    ta_freep(p);
}

/* ---- The same view --------------------------------------------------------------------------------------------- */

static double shape(int width, int height, AVRational sar)
{
    return (double)width / height * (sar.num > 0 && sar.den > 0 ? av_q2d(sar) : 1);
}

int ta_view_margin(const AVFrame *wide, const AVFrame *other)
{
    enum { MARGIN = 8 };
    AVRational sar = wide->sample_aspect_ratio, real = ta_true_sar(wide->width, wide->height, sar, true);
    bool same_size = wide->width == other->width && wide->height == other->height;
    if (wide->width != 720 || same_size || sar.num <= 0 || av_cmp_q(sar, real) == 0)
        return 0;
    double seen = shape(other->width, other->height, other->sample_aspect_ratio);
    double whole = shape(wide->width, wide->height, real), cut = shape(wide->width - 2 * MARGIN, wide->height, real);
    return seen < (whole + cut) / 2 ? MARGIN : 0;
}

AVFrame *ta_cut_sides(const AVFrame *frame, int margin)
{
    AVFrame *cut = av_frame_clone(frame);
    if (!cut || !margin)
        return cut;
    cut->crop_left += (size_t)margin;
    cut->crop_right += (size_t)margin;
    if (av_frame_apply_cropping(cut, AV_FRAME_CROP_UNALIGNED) < 0)
        av_frame_free(&cut);
    return cut;
}
