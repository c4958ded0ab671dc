/* A face's square out of a frame and back into it. Only samples under the square change, and they are blended as they
 * are stored: a sample with weight 0 keeps its very code, one with weight 1 becomes what the crop says. The weight
 * falls from 1 to 0 towards the square's edge (a smooth step over an eighth of its side). */
#include "neural/face_parts.h"

#include <math.h>
#include <string.h>

/* Pixels around the square that interpolation may look at. */
enum { MARGIN = 8 };
static const double feather = 0.125;

struct ta_face_paster {
    ta_video_format v;
    double sar;
    int planes, depth, sx, sy;
    AVFrame *part; /* a view of the frame of the moment, without references */
    float *memory; /* of `room` pixels: RGB, codes, weights */
    size_t room;
    float *scratch;
};

/* A piece of the frame, on whole chroma samples. */
typedef struct region {
    int left, top, width, height;
} region;

int ta_face_paster_new(ta_face_paster **pp, const ta_video_format *v, ta_error *err)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(v->pix_fmt);
    ta_face_paster *p = *pp = ta_alloc(sizeof *p);
    if (!p)
        return ta_no_memory(err);
    bool subsampled = !(d->flags & AV_PIX_FMT_FLAG_RGB) && d->nb_components > 1;
    p->v = *v;
    p->sar = v->sar.num > 0 && v->sar.den > 0 ? av_q2d(v->sar) : 1;
    p->planes = d->nb_components;
    p->depth = d->comp[0].depth;
    p->sx = subsampled ? d->log2_chroma_w : 0;
    p->sy = subsampled ? d->log2_chroma_h : 0;
    p->part = av_frame_alloc();
    p->scratch = ta_array((size_t)ta_rgb_scratch(v->width), sizeof(float));
    if (p->part && p->scratch)
        return 0;
    ta_face_paster_free(pp);
    return ta_no_memory(err);
}

void ta_face_paster_free(ta_face_paster **pp)
{
    if (!pp || !*pp)
        return;
    av_frame_free(&(*pp)->part);
    ta_free((*pp)->memory);
    ta_free((*pp)->scratch);
    ta_freep(pp);
}

/* ---- Regions -------------------------------------------------------------------------------------------------- */

/* False where no part of the square lies on the frame. */
static bool region_of(const ta_face_paster *p, const AVFrame *f, const ta_face_place *place, region *r)
{
    double half = place->side / 2 * (fabs(cos(place->angle)) + fabs(sin(place->angle)));
    int step_x = 1 << p->sx, step_y = 1 << p->sy;
    double left = floor((place->x - half) / p->sar) - MARGIN, right = ceil((place->x + half) / p->sar) + MARGIN;
    double top = floor(place->y - half) - MARGIN, bottom = ceil(place->y + half) + MARGIN;
    r->left = (int)TA_CLAMP(left, 0.0, (double)f->width) / step_x * step_x;
    r->top = (int)TA_CLAMP(top, 0.0, (double)f->height) / step_y * step_y;
    int end_x = (int)TA_CLAMP(right, 0.0, (double)f->width), end_y = (int)TA_CLAMP(bottom, 0.0, (double)f->height);
    r->width = TA_MIN((end_x - r->left + step_x - 1) / step_x * step_x, f->width - r->left);
    r->height = TA_MIN((end_y - r->top + step_y - 1) / step_y * step_y, f->height - r->top);
    return r->width > 0 && r->height > 0;
}

static void view_part(ta_face_paster *p, const AVFrame *f, const region *r)
{
    int bytes = p->depth > 8 ? 2 : 1;
    p->part->width = r->width;
    p->part->height = r->height;
    p->part->format = f->format;
    for (int i = 0; i < p->planes; i++) {
        int x = i ? r->left >> p->sx : r->left, y = i ? r->top >> p->sy : r->top;
        p->part->data[i] = f->data[i] + (ptrdiff_t)y * f->linesize[i] + (ptrdiff_t)x * bytes;
        p->part->linesize[i] = f->linesize[i];
    }
}

/* RGB, codes of three planes, weights: seven numbers a pixel. */
static int make_room(ta_face_paster *p, const region *r, ta_error *err)
{
    size_t pixels = (size_t)r->width * (size_t)r->height;
    if (pixels <= p->room)
        return 0;
    ta_free(p->memory);
    p->memory = ta_array(pixels, 7 * sizeof(float));
    p->room = p->memory ? pixels : 0;
    return p->memory ? 0 : ta_no_memory(err);
}

int ta_face_paster_cut(ta_face_paster *p, const AVFrame *f, const ta_face_place *place, int size, float *crop,
                       ta_error *err)
{
    region r;
    if (!region_of(p, f, place, &r)) {
        memset(crop, 0, 3 * (size_t)size * (size_t)size * sizeof *crop);
        return 0;
    }
    int code = make_room(p, &r, err);
    if (code < 0)
        return code;
    view_part(p, f, &r);
    ta_rgb_from_frame(p->part, &p->v, p->memory, p->scratch);
    ta_face_cut(&(ta_face_picture){ p->memory, r.width, r.height }, r.left, r.top, p->sar, place, size, crop);
    return 0;
}

/* ---- Putting back --------------------------------------------------------------------------------------------- */

static double weight_at(double u, double v)
{
    double near = fmin(fmin(u, 1 - u), fmin(v, 1 - v)) / feather;
    near = TA_CLAMP(near, 0.0, 1.0);
    return near * near * (3 - 2 * near);
}

/* The crop's colours over the region's where it lies, and its weights. */
static void lay(const ta_face_paster *p, const region *r, const ta_face_place *place, int size, const float *crop,
                float strength, float *rgb, float *weight)
{
    double c = cos(place->angle), s = sin(place->angle), step = size / place->side;
    size_t plane = (size_t)r->width * (size_t)r->height;
    for (int y = 0; y < r->height; y++)
        for (int x = 0; x < r->width; x++) {
            size_t at = (size_t)y * (size_t)r->width + (size_t)x;
            double dx = (r->left + x + 0.5) * p->sar - place->x, dy = r->top + y + 0.5 - place->y;
            double u = (c * dx + s * dy) / place->side + 0.5, v = (c * dy - s * dx) / place->side + 0.5;
            bool inside = u > 0 && u < 1 && v > 0 && v < 1;
            float colour[3];
            weight[at] = inside ? strength * (float)weight_at(u, v) : 0;
            if (!inside)
                continue;
            ta_face_sample(crop, size, size, u * size, v * size, step * p->sar, step, colour);
            for (size_t i = 0; i < 3; i++)
                rgb[i * plane + at] = TA_CLAMP(colour[i], 0.0f, 1.0f);
        }
}

/* The mean weight of the pixels that a sample of this plane stands for. */
static float weight_of(const float *weight, const region *r, int x, int y, int sx, int sy)
{
    float sum = 0;
    int n = 0;
    for (int j = y << sy; j < TA_MIN((y + 1) << sy, r->height); j++)
        for (int i = x << sx; i < TA_MIN((x + 1) << sx, r->width); i++, n++)
            sum += weight[(size_t)j * (size_t)r->width + (size_t)i];
    return n ? sum / (float)n : 0;
}

static int blended(float was, float code, float weight, int depth)
{
    float mixed = was + weight * (code - was), top = (float)((1 << depth) - 1);
    return (int)lrintf(TA_CLAMP(mixed, 0.0f, top));
}

static void blend_plane(const ta_face_paster *p, const region *r, int plane, const float *codes, const float *weight)
{
    int sx = plane ? p->sx : 0, sy = plane ? p->sy : 0;
    int width = AV_CEIL_RSHIFT(r->width, sx), height = AV_CEIL_RSHIFT(r->height, sy);
    for (int y = 0; y < height; y++) {
        uint8_t *line = p->part->data[plane] + (ptrdiff_t)y * p->part->linesize[plane];
        uint16_t *wide = (uint16_t *)line;
        for (int x = 0; x < width; x++) {
            float w = weight_of(weight, r, x, y, sx, sy), code = codes[(size_t)y * (size_t)width + (size_t)x];
            if (w <= 0)
                continue;
            if (p->depth > 8)
                wide[x] = (uint16_t)blended((float)wide[x], code, w, p->depth);
            else
                line[x] = (uint8_t)blended((float)line[x], code, w, p->depth);
        }
    }
}

int ta_face_paster_put(ta_face_paster *p, AVFrame *f, const ta_face_place *place, int size, const float *crop,
                       float strength, ta_error *err)
{
    region r;
    if (strength <= 0 || !region_of(p, f, place, &r))
        return 0;
    int code = make_room(p, &r, err);
    if (code < 0)
        return code;
    size_t pixels = (size_t)r.width * (size_t)r.height;
    float *rgb = p->memory, *weight = rgb + 6 * pixels;
    float *const codes[3] = { rgb + 3 * pixels, rgb + 4 * pixels, rgb + 5 * pixels };
    view_part(p, f, &r);
    ta_rgb_from_frame(p->part, &p->v, rgb, p->scratch);
    lay(p, &r, place, size, crop, strength, rgb, weight);
    ta_rgb_to_codes(rgb, &p->v, r.width, r.height, codes, p->scratch);
    for (int i = 0; i < p->planes; i++)
        blend_plane(p, &r, i, codes[i], weight);
    return 0;
}
