/* Cutting a picture into tiles. A window holds a tile and what the network sees around it; all windows have the same
 * size, so the engine compiles one shape, and at the picture's edge a window ends with the picture, so that the network
 * meets the edge just where it meets it in the whole. */
#include <math.h>
#include <string.h>

#include "neural/neural.h"

/* About 450 x 450: a network with 64 channels needs some 150 MB for it. */
enum { DEFAULT_PIXELS = 200000, MOST_TILES = 256, MOST_SIDE = 1 << 15 };

/* One direction. Positions count from the edge of what the network gets for the whole picture: `inset` pixels outside
 * of the picture, and as many on the other side, and what the alignment asks for. */
typedef struct axis {
    int size;  /* of the picture */
    int whole; /* of what the network gets for it */
    int overlap, inset, align, rest, fixed;
    int window, count;
    int tile; /* the user's, 0 = none */
} axis;

/* The least size from `n` on that the model takes. */
static int fitting(const axis *a, int64_t n)
{
    int64_t over = (n - a->rest) % a->align;
    return (int)TA_MIN(n + (over > 0 ? a->align - over : over < 0 ? -over : 0), MOST_SIDE * 2);
}

static void set_up(axis *a, const ta_upscale_shape *s, const ta_tile_wish *w, int size, int fixed)
{
    a->size = size;
    a->inset = s->inset;
    a->align = TA_MAX(s->align, 1);
    a->rest = s->align_rest % a->align;
    a->fixed = fixed;
    a->tile = w->tile;
    a->overlap = TA_MAX(w->overlap >= 0 ? w->overlap : s->reach, s->inset);
    a->whole = fitting(a, TA_MAX(size + 2 * s->inset, fixed));
    a->window = a->whole;
    a->count = 1;
}

/* The window for `count` tiles of about the same size; 0 where that is none. */
static int window_for(const axis *a, int count)
{
    int64_t around = (int64_t)(count - 1) * (2 * a->overlap + a->align - 1);
    int64_t window = fitting(a, (a->whole + around + count - 1) / count);
    return window < a->whole ? (int)window : 0;
}

/* The count of windows of a size that the model dictates; 0 where the overlap leaves nothing. */
static int count_for(const axis *a, int window)
{
    int step = (window - 2 * a->overlap) / a->align * a->align;
    if (window >= a->whole)
        return 1;
    return step < 1 ? 0 : (a->whole - window + step - 1) / step + 1;
}

/* The user's tiles: all but the last are as large as said. */
static void set_tile(axis *a)
{
    int window = fitting(a, (int64_t)a->tile + 2 * a->overlap + a->align - 1);
    a->count = (a->size + a->tile - 1) / a->tile;
    a->window = TA_MIN(window, a->whole);
}

static int start_of(const axis *a, int i)
{
    int64_t last = a->whole - a->window, at;
    if (a->count == 1)
        return 0;
    at = a->tile ? TA_CLAMP((int64_t)i * a->tile + a->inset - a->overlap, 0, last) : last * i / (a->count - 1);
    return i == a->count - 1 && !a->tile ? (int)last : (int)(at / a->align * a->align);
}

/* Where tile `i` begins, in pixels of the picture: in the middle of what it shares with its neighbour. */
static int edge_of(const axis *a, int i)
{
    if (i == 0)
        return 0;
    if (i == a->count)
        return a->size;
    if (a->tile)
        return i * a->tile;
    return TA_CLAMP((start_of(a, i) + start_of(a, i - 1) + a->window) / 2 - a->inset, 0, a->size);
}

/* Is what the tiles need in their windows? By construction it is; sizes dictated by the model or the user may be too
 * small for it. */
static bool holds(const axis *a)
{
    for (int i = 0; i < a->count; i++) {
        int start = start_of(a, i), end = start + a->window;
        int from = edge_of(a, i) + a->inset - a->overlap, to = edge_of(a, i + 1) + a->inset + a->overlap;
        if ((start > 0 && from < start) || (end < a->whole && to > end) || edge_of(a, i) >= edge_of(a, i + 1))
            return false;
    }
    return true;
}

/* What a cut costs: the pixels that the network computes, and more where a window goes beyond the budget, as with a
 * large reach small windows would be nearly all overlap. */
static double cost_of(int64_t area, int tiles, int64_t pixels)
{
    double over = (double)area / (double)pixels;
    return (double)area * tiles * (over > 1 ? over * over : 1);
}

/* The counts that cost least with windows of about `pixels`. */
static void choose(axis *h, axis *v, int64_t pixels)
{
    axis best_h = *h, best_v = *v;
    double best = INFINITY;
    for (int rows = 1; rows <= MOST_TILES; rows++)
        for (int columns = 1; columns <= MOST_TILES; columns++) {
            int width = columns == 1 ? h->whole : window_for(h, columns);
            int height = rows == 1 ? v->whole : window_for(v, rows);
            if (!width || !height)
                break;
            double cost = cost_of((int64_t)width * height, rows * columns, pixels);
            if (cost >= best)
                continue;
            best = cost;
            best_h.window = width;
            best_h.count = columns;
            best_v.window = height;
            best_v.count = rows;
        }
    *h = best_h;
    *v = best_v;
}

static int fail_small(const ta_upscale_shape *s, const axis *a, ta_error *err)
{
    if (s->global) {
        ta_fail(err, TA_ERR_USAGE, "the model looks at the whole picture at once, so it can't be cut into tiles");
        return ta_hint(err, "leave out --tile");
    }
    ta_fail(err, TA_ERR_USAGE, "tiles with %d pixels around them don't fit the model's windows of %dx%d", a->overlap,
            s->fixed_width ? s->fixed_width : a->window, s->fixed_height ? s->fixed_height : a->window);
    return ta_hint(err, "choose a larger --tile, a smaller --tile-overlap, or a model that takes any size");
}

static int fill(ta_tiling *t, const axis *h, const axis *v, ta_error *err)
{
    t->columns = h->count;
    t->rows = v->count;
    t->count = h->count * v->count;
    t->width = h->window;
    t->height = v->window;
    t->overlap = t->count == 1 ? 0 : h->overlap;
    t->tiles = ta_array((size_t)t->count, sizeof *t->tiles);
    if (!t->tiles)
        return ta_no_memory(err);
    for (int i = 0; i < t->count; i++) {
        int c = i % t->columns, r = i / t->columns;
        t->tiles[i] = (ta_tile){ start_of(h, c) - h->inset, start_of(v, r) - v->inset, edge_of(h, c), edge_of(v, r),
                                 edge_of(h, c + 1),         edge_of(v, r + 1) };
    }
    return 0;
}

int ta_tiling_make(ta_tiling *t, const ta_upscale_shape *shape, const ta_tile_wish *wish, int width, int height,
                   ta_error *err)
{
    axis h = { 0 }, v = { 0 };
    memset(t, 0, sizeof *t);
    set_up(&h, shape, wish, width, shape->fixed_width);
    set_up(&v, shape, wish, height, shape->fixed_height);
    if (shape->fixed_width) {
        h.window = shape->fixed_width;
        v.window = shape->fixed_height;
        h.tile = v.tile = 0;
        h.count = count_for(&h, h.window);
        v.count = count_for(&v, v.window);
    } else if (shape->global) {
        if (wish->tile && (wish->tile < width || wish->tile < height))
            return fail_small(shape, &h, err);
        h.tile = v.tile = 0;
    } else if (wish->tile) {
        set_tile(&h);
        set_tile(&v);
    } else {
        choose(&h, &v, wish->pixels ? wish->pixels : DEFAULT_PIXELS);
    }
    if (!h.count || !v.count || (shape->global && h.count * v.count > 1) || !holds(&h) || !holds(&v))
        return fail_small(shape, &h, err);
    return fill(t, &h, &v, err);
}

void ta_tiling_free(ta_tiling *t)
{
    ta_freep(&t->tiles);
    t->count = 0;
}

void ta_tiling_tell(const ta_tiling *t, ta_buf *b)
{
    ta_buf_addf(b, "%dx%d tiles, windows %dx%d, overlap %d", t->columns, t->rows, t->width, t->height, t->overlap);
}
