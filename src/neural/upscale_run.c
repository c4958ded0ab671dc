/* Upscaling a sequence of pictures in tiles. Tiles of one and of several frames are under way at once; they are taken
 * in the order in which they were started, so frames leave in order. A tile whose input is what it was computed from
 * last is not computed again: its result still stands on the canvas. */
#include <math.h>
#include <string.h>

#include "neural/neural.h"

/* Frames that wait for tiles in front of them. A held frame costs nothing, so it isn't the slots that bound them. */
enum { MOST_FRAMES = 4, MOST_SLOTS = 16 };

typedef struct pending {
    AVFrame *like; /* carries times and side data */
    int tiles;     /* that have yet to be taken */
    bool changed;  /* the canvas is not what the frame before it showed */
} pending;

typedef struct running {
    int tile, frame; /* `frame` is the number of the pending frame, counted from the beginning */
} running;

struct ta_upscaler {
    ta_upscaler_options o;
    size_t window;  /* numbers in a plane of a window */
    float *picture; /* the frame of the moment as RGB */
    float *scratch;
    float **input;   /* of each tile: what its result on the canvas was computed from; NULL = nothing yet */
    float *canvas;   /* the last results of all tiles */
    AVFrame *source; /* the frame pushed last */
    AVFrame *shown;  /* the frame emitted last */
    pending frames[MOST_FRAMES + 1];
    int first, n_frames;       /* `first` is the number of the oldest pending frame */
    running slots[MOST_SLOTS]; /* a ring */
    int oldest, n_running;
    ta_upscale_counts counts;
};

static pending *frame_at(ta_upscaler *u, int number)
{
    return &u->frames[number % (MOST_FRAMES + 1)];
}

/* ---- Comparing -----------------------------------------------------------------------------------------------------
 */

static bool same_colour(const AVFrame *a, const AVFrame *b)
{
    return a->width == b->width && a->height == b->height && a->format == b->format && a->colorspace == b->colorspace &&
           a->color_range == b->color_range && a->chroma_location == b->chroma_location;
}

static bool same_picture(const AVFrame *a, const AVFrame *b)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(a->format);
    bool rgb = d->flags & AV_PIX_FMT_FLAG_RGB;
    if (!same_colour(a, b))
        return false;
    for (int p = 0; p < d->nb_components; p++) {
        bool chroma = p > 0 && !rgb;
        int h = chroma ? AV_CEIL_RSHIFT(a->height, d->log2_chroma_h) : a->height;
        int w = chroma ? AV_CEIL_RSHIFT(a->width, d->log2_chroma_w) : a->width;
        size_t bytes = (size_t)w * (d->comp[0].depth > 8 ? 2 : 1);
        for (int y = 0; y < h && (a->data[p] != b->data[p] || a->linesize[p] != b->linesize[p]); y++)
            if (memcmp(a->data[p] + (ptrdiff_t)y * a->linesize[p], b->data[p] + (ptrdiff_t)y * b->linesize[p], bytes))
                return false;
    }
    return true;
}

static bool near(const float *a, const float *b, size_t n, float tolerance)
{
    bool far = false;
    for (size_t i = 0; i < n; i++)
        far |= !(fabsf(a[i] - b[i]) <= tolerance);
    return !far;
}

/* A row of a window: of the picture, with its edge repeated beside it. */
static void window_row(const ta_upscaler *u, const ta_tile *t, int plane, int row, float *to)
{
    int w = u->o.in.width, h = u->o.in.height, y = TA_CLAMP(t->y + row, 0, h - 1), width = u->o.tiling.width;
    const float *line = u->picture + ((size_t)plane * (size_t)h + (size_t)y) * (size_t)w;
    int from = TA_CLAMP(-t->x, 0, width), to_x = TA_CLAMP(w - t->x, from, width);
    for (int x = 0; x < from; x++)
        to[x] = line[0];
    memcpy(to + from, line + t->x + from, (size_t)(to_x - from) * sizeof *to);
    for (int x = to_x; x < width; x++)
        to[x] = line[w - 1];
}

/* Does the window show what the tile's last result was computed from? Beside the picture its edge is repeated, so what
 * lies on the picture says it all. */
static bool unchanged(const ta_upscaler *u, int tile)
{
    const ta_tile *t = &u->o.tiling.tiles[tile];
    const float *then = u->input[tile];
    int w = u->o.in.width, h = u->o.in.height, width = u->o.tiling.width, height = u->o.tiling.height;
    int left = TA_MAX(t->x, 0), n = TA_MIN(t->x + width, w) - left;
    if (!then || !u->o.reuse)
        return false;
    for (int plane = 0; plane < 3; plane++)
        for (int y = TA_MAX(t->y, 0); y < TA_MIN(t->y + height, h); y++) {
            const float *now = u->picture + ((size_t)plane * (size_t)h + (size_t)y) * (size_t)w + left;
            const float *old =
                then + ((size_t)plane * (size_t)height + (size_t)(y - t->y)) * (size_t)width + left - t->x;
            if (memcmp(now, old, (size_t)n * sizeof *now) &&
                !(u->o.tolerance > 0 && near(now, old, (size_t)n, u->o.tolerance)))
                return false;
        }
    return true;
}

/* ---- Finishing -----------------------------------------------------------------------------------------------------
 */

static void drop_frame(ta_upscaler *u)
{
    av_frame_free(&frame_at(u, u->first)->like);
    u->first++;
    u->n_frames--;
}

/* The sample aspect stays: both sides grow by the same factor. */
static int finished_frame(ta_upscaler *u, const AVFrame *like, AVFrame **frame, ta_error *err)
{
    const ta_video_format *v = &u->o.out;
    AVFrame *f = *frame = av_frame_alloc();
    if (!f)
        return ta_no_memory(err);
    f->width = v->width;
    f->height = v->height;
    f->format = v->pix_fmt;
    if (av_frame_copy_props(f, like) < 0 || av_frame_get_buffer(f, 0) < 0)
        return ta_no_memory(err);
    f->colorspace = v->matrix;
    f->color_range = v->range;
    f->color_primaries = v->primaries;
    f->color_trc = v->transfer;
    f->chroma_location = v->chroma_location;
    f->crop_left = f->crop_right = f->crop_top = f->crop_bottom = 0;
    return 0;
}

/* The picture of `shown` with times and side data of `like`. */
static int again(const AVFrame *shown, const AVFrame *like, AVFrame **frame, ta_error *err)
{
    AVFrame *f = *frame = av_frame_clone(shown);
    if (!f)
        return ta_no_memory(err);
    for (int i = f->nb_side_data - 1; i >= 0; i--)
        av_frame_remove_side_data(f, f->side_data[i]->type);
    av_dict_free(&f->metadata);
    enum AVColorSpace matrix = f->colorspace;
    enum AVColorRange range = f->color_range;
    enum AVColorPrimaries primaries = f->color_primaries;
    enum AVColorTransferCharacteristic transfer = f->color_trc;
    enum AVChromaLocation at = f->chroma_location;
    if (av_frame_copy_props(f, like) < 0)
        return ta_no_memory(err);
    f->colorspace = matrix;
    f->color_range = range;
    f->color_primaries = primaries;
    f->color_trc = transfer;
    f->chroma_location = at;
    f->crop_left = f->crop_right = f->crop_top = f->crop_bottom = 0;
    return 0;
}

static int emit_first(ta_upscaler *u, ta_error *err)
{
    pending *p = frame_at(u, u->first);
    AVFrame *f = NULL;
    int r;
    if (p->changed || !u->shown) {
        r = finished_frame(u, p->like, &f, err);
        if (r >= 0)
            ta_rgb_to_frame(u->canvas, &u->o.out, f, u->scratch);
    } else {
        r = again(u->shown, p->like, &f, err);
    }
    drop_frame(u);
    AVFrame *keep = r >= 0 ? av_frame_clone(f) : NULL;
    if (r >= 0 && !keep)
        r = ta_no_memory(err);
    if (r < 0) {
        av_frame_free(&f);
        return r;
    }
    av_frame_free(&u->shown);
    u->shown = keep;
    return u->o.emit(u->o.emit_to, f, err);
}

static int emit_ready(ta_upscaler *u, ta_error *err)
{
    int r = 0;
    while (r >= 0 && u->n_frames && !frame_at(u, u->first)->tiles)
        r = emit_first(u, err);
    return r;
}

/* The part of the result that lies over the tile goes onto the canvas. */
static void paste(ta_upscaler *u, const ta_tile *t, const float *result)
{
    const ta_upscale_shape *s = &u->o.shape;
    size_t k = (size_t)s->scale, w = (size_t)u->o.out.width, h = (size_t)u->o.out.height;
    size_t rw = k * (size_t)(u->o.tiling.width - 2 * s->inset), rh = k * (size_t)(u->o.tiling.height - 2 * s->inset);
    size_t rx = k * (size_t)(t->left - t->x - s->inset), ry = k * (size_t)(t->top - t->y - s->inset);
    size_t left = k * (size_t)t->left, n = k * (size_t)(t->right - t->left);
    for (size_t plane = 0; plane < 3; plane++)
        for (size_t y = 0; y < k * (size_t)(t->bottom - t->top); y++)
            memcpy(u->canvas + (plane * h + k * (size_t)t->top + y) * w + left,
                   result + (plane * rh + ry + y) * rw + rx, n * sizeof *result);
}

/* Waits for the oldest tile and takes it. */
static int take_oldest(ta_upscaler *u, ta_error *err)
{
    const running *s = &u->slots[u->oldest];
    const float *result = NULL;
    int r = u->o.runner.wait(u->o.runner.opaque, u->oldest, err);
    if (r >= 0)
        r = u->o.runner.output(u->o.runner.opaque, u->oldest, &result, err);
    if (r < 0)
        return r;
    paste(u, &u->o.tiling.tiles[s->tile], result);
    frame_at(u, s->frame)->tiles--;
    u->oldest = (u->oldest + 1) % u->o.runner.slots;
    u->n_running--;
    return emit_ready(u, err);
}

/* ---- Starting ------------------------------------------------------------------------------------------------------
 */

static int start_tile(ta_upscaler *u, int tile, int frame, ta_error *err)
{
    const ta_tile *t = &u->o.tiling.tiles[tile];
    size_t width = (size_t)u->o.tiling.width, height = (size_t)u->o.tiling.height;
    float *to = NULL;
    int r = u->n_running == u->o.runner.slots ? take_oldest(u, err) : 0;
    if (r < 0)
        return r;
    int slot = (u->oldest + u->n_running) % u->o.runner.slots;
    r = u->o.runner.input(u->o.runner.opaque, slot, &to, err);
    if (r < 0)
        return r;
    if (!u->input[tile] && !(u->input[tile] = ta_array(3 * u->window, sizeof(float))))
        return ta_no_memory(err);
    for (size_t row = 0; row < 3 * height; row++)
        window_row(u, t, (int)(row / height), (int)(row % height), u->input[tile] + row * width);
    memcpy(to, u->input[tile], 3 * u->window * sizeof *to);
    r = u->o.runner.start(u->o.runner.opaque, slot, err);
    if (r < 0)
        return r;
    u->slots[slot] = (running){ tile, frame };
    u->n_running++;
    u->counts.tiles++;
    return 0;
}

/* All tiles are counted before the first is started: a frame isn't done while one of its tiles has yet to start. */
static int start_frame(ta_upscaler *u, const AVFrame *frame, pending *p, int number, ta_error *err)
{
    int r = 0, count = u->o.tiling.count;
    ta_rgb_from_frame(frame, &u->o.in, u->picture, u->scratch);
    p->tiles = count;
    for (int i = 0; i < count && r >= 0; i++) {
        if (unchanged(u, i)) {
            p->tiles--;
            u->counts.reused++;
            continue;
        }
        p->changed = true;
        r = start_tile(u, i, number, err);
    }
    return r;
}

static int push(ta_upscaler *u, AVFrame *frame, ta_error *err)
{
    int r = 0;
    while (r >= 0 && u->n_frames == MOST_FRAMES) /* there is a tile under way, or the frame would be gone */
        r = take_oldest(u, err);
    AVFrame *like = r >= 0 ? av_frame_clone(frame) : NULL;
    if (r >= 0 && !like)
        r = ta_no_memory(err);
    if (r < 0)
        return r;
    int number = u->first + u->n_frames++;
    pending *p = frame_at(u, number);
    *p = (pending){ .like = like };
    u->counts.frames++;
    if (u->o.reuse && u->source && same_picture(u->source, frame)) {
        u->counts.held++;
        u->counts.reused += (uint64_t)u->o.tiling.count;
    } else {
        r = start_frame(u, frame, p, number, err);
    }
    return r < 0 ? r : emit_ready(u, err);
}

int ta_upscaler_push(ta_upscaler *u, AVFrame *frame, ta_error *err)
{
    int r = push(u, frame, err);
    av_frame_free(&u->source);
    u->source = frame;
    return r;
}

int ta_upscaler_drain(ta_upscaler *u, ta_error *err)
{
    int r = 0;
    while (r >= 0 && u->n_running)
        r = take_oldest(u, err);
    return r < 0 ? r : emit_ready(u, err);
}

/* ---- Life ----------------------------------------------------------------------------------------------------------
 */

void ta_upscaler_get_counts(const ta_upscaler *u, ta_upscale_counts *counts)
{
    *counts = u->counts;
}

void ta_upscaler_reset(ta_upscaler *u)
{
    for (; u->n_running; u->n_running--, u->oldest = (u->oldest + 1) % u->o.runner.slots)
        u->o.runner.wait(u->o.runner.opaque, u->oldest, NULL);
    while (u->n_frames)
        drop_frame(u);
    for (int i = 0; i < u->o.tiling.count && u->input; i++)
        ta_freep(&u->input[i]);
    av_frame_free(&u->source);
    av_frame_free(&u->shown);
}

void ta_upscaler_free(ta_upscaler **u)
{
    if (!u || !*u)
        return;
    ta_upscaler *p = *u;
    ta_upscaler_reset(p);
    if (p->o.runner.close)
        p->o.runner.close(p->o.runner.opaque);
    ta_tiling_free(&p->o.tiling);
    ta_free(p->picture);
    ta_free(p->scratch);
    ta_free(p->input);
    ta_free(p->canvas);
    ta_freep(u);
}

int ta_upscaler_new(ta_upscaler **u, const ta_upscaler_options *o, ta_error *err)
{
    ta_upscaler *p = *u = ta_alloc(sizeof *p);
    if (!p) {
        ta_tiling tiling = o->tiling;
        ta_tiling_free(&tiling);
        if (o->runner.close)
            o->runner.close(o->runner.opaque);
        return ta_no_memory(err);
    }
    p->o = *o;
    p->o.runner.slots = TA_CLAMP(o->runner.slots, 1, MOST_SLOTS);
    p->window = (size_t)o->tiling.width * (size_t)o->tiling.height;
    p->picture = ta_array((size_t)o->in.width * (size_t)o->in.height, 3 * sizeof(float));
    p->canvas = ta_array((size_t)o->out.width * (size_t)o->out.height, 3 * sizeof(float));
    p->scratch = ta_array((size_t)ta_rgb_scratch(TA_MAX(o->in.width, o->out.width)), sizeof(float));
    p->input = ta_array((size_t)o->tiling.count, sizeof *p->input);
    if (!p->picture || !p->canvas || !p->scratch || !p->input) {
        ta_upscaler_free(u);
        return ta_no_memory(err);
    }
    return 0;
}
