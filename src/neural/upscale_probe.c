/* What an ONNX model of unknown making does with a picture: by how much it enlarges, and how far it looks. Both are
 * measured: a picture of noise is computed, then with one pixel changed; whatever differs in the result was reached. */
#include <math.h>
#include <string.h>

#include "neural/upscale_model.h"

/* Sizes are multiples of what networks that halve their picture a few times, or work in 8x8 windows, ask for. */
enum { STEP = 64, FIRST = 128, LAST = 256, ALIGN = 8, CHANGES = 4 };

typedef struct probe {
    ta_request *r;
    const ta_cancel *cancel;
    int width, height; /* of the input */
    int out_width, out_height;
    float *before; /* the result for the noise as it is */
} probe;

static float noise(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / (float)(1 << 24);
}

static int compute(probe *p, int width, int height, int x, int y, float change, const float **out, ta_error *err)
{
    ta_shape shape = TA_SHAPE(1, 3, height, width), result;
    uint32_t seed = 7;
    float *in;
    int r = ta_request_input(p->r, 0, &shape, &in, err);
    if (r < 0)
        return r;
    size_t plane = (size_t)width * (size_t)height;
    for (size_t i = 0; i < 3 * plane; i++)
        in[i] = noise(&seed);
    for (size_t c = 0; c < 3; c++)
        in[c * plane + (size_t)y * (size_t)width + (size_t)x] += change;
    r = ta_request_run(p->r, p->cancel, err);
    if (r >= 0)
        r = ta_request_output(p->r, 0, &result, out, err);
    if (r < 0)
        return r;
    p->width = width;
    p->height = height;
    if (result.rank != 4 || result.dim[0] != 1 || result.dim[1] != 3)
        return ta_fail(err, TA_ERR_UNAVAILABLE, "the model's result is no picture of three planes");
    p->out_height = (int)result.dim[2];
    p->out_width = (int)result.dim[3];
    return 0;
}

/* The furthest input pixel from (x, y) over which the result changed; -1: up to the edge. */
static int changed(const probe *p, const ta_upscale_shape *s, const float *after, int x, int y)
{
    int reach = 0;
    size_t plane = (size_t)p->out_width * (size_t)p->out_height;
    for (int oy = 0; oy < p->out_height; oy++)
        for (int ox = 0; ox < p->out_width; ox++) {
            size_t at = (size_t)oy * (size_t)p->out_width + (size_t)ox;
            if (after[at] == p->before[at] && after[at + plane] == p->before[at + plane] &&
                after[at + 2 * plane] == p->before[at + 2 * plane])
                continue;
            if (ox < s->scale || oy < s->scale || ox >= p->out_width - s->scale || oy >= p->out_height - s->scale)
                return -1;
            reach = TA_MAX(reach, abs(ox / s->scale + s->inset - x));
            reach = TA_MAX(reach, abs(oy / s->scale + s->inset - y));
        }
    return reach;
}

/* 1 when the reach was found, 0 when it is larger than the picture shows. */
static int reach_within(probe *p, int width, int height, ta_upscale_shape *s, ta_error *err)
{
    const float *out;
    int r = compute(p, width, height, 0, 0, 0, &out, err);
    size_t count = 3 * (size_t)p->out_width * (size_t)p->out_height;
    ta_freep(&p->before);
    if (r < 0)
        return r;
    p->before = ta_array(count, sizeof *p->before);
    if (!p->before)
        return ta_no_memory(err);
    memcpy(p->before, out, count * sizeof *out);
    s->reach = 0;
    for (int i = 0; i < CHANGES; i++) {
        int x = width / 2 + i % 2 * 3, y = height / 2 + i / 2 * 5, found;
        r = compute(p, width, height, x, y, i % 2 ? -3.0f : 3.0f, &out, err);
        found = r >= 0 ? changed(p, s, out, x, y) : 0;
        if (r < 0 || found < 0)
            return r;
        s->reach = TA_MAX(s->reach, found);
    }
    return 1;
}

/* A line more than was seen: what one noise doesn't show, another may. */
static int find_reach(probe *p, ta_upscale_shape *s, ta_error *err)
{
    int r = 0, size = s->fixed_width ? 0 : FIRST;
    for (; r == 0 && size <= LAST; size = size ? 2 * size : LAST + 1)
        r = reach_within(p, size ? size : s->fixed_width, size ? size : s->fixed_height, s, err);
    s->global = r == 0;
    s->reach = s->global ? 0 : s->reach + 1;
    return r < 0 ? r : 0;
}

static int fail_factor(const probe *p, ta_error *err)
{
    ta_fail(err, TA_ERR_UNAVAILABLE, "the model makes %dx%d of %dx%d, which is no enlargement by a whole number",
            p->out_width, p->out_height, p->width, p->height);
    return ta_hint(err, "upscale-model wants a model that takes RGB as 1x3xHxW, 0 to 1, and enlarges it");
}

static int find_scale(probe *p, ta_upscale_shape *s, ta_error *err)
{
    const float *out;
    int w1 = s->fixed_width ? s->fixed_width : STEP, h1 = s->fixed_width ? s->fixed_height : STEP;
    int r = compute(p, w1, h1, 0, 0, 0, &out, err);
    if (r < 0)
        return r;
    if (s->fixed_width) {
        s->scale = p->out_width / w1;
    } else {
        int small = p->out_width;
        r = compute(p, 2 * STEP, 2 * STEP, 0, 0, 0, &out, err);
        if (r < 0)
            return r;
        s->scale = (p->out_width - small) / STEP;
    }
    int lost = s->scale > 0 ? p->width - p->out_width / s->scale : -1;
    s->inset = lost / 2;
    if (s->scale < 1 || s->scale > 8 || lost < 0 || lost % 2 || p->out_width != s->scale * (p->width - lost) ||
        p->out_height != s->scale * (p->height - lost))
        return fail_factor(p, err);
    return 0;
}

static int check_ports(const ta_session *session, ta_upscale_shape *s, ta_error *err)
{
    ta_shape in;
    char text[192];
    ta_session_input(session, 0, &in);
    bool right = ta_session_inputs(session) == 1 && ta_session_outputs(session) == 1 && in.rank == 4 &&
                 (in.dim[0] == 1 || in.dim[0] < 0) && (in.dim[1] == 3 || in.dim[1] < 0) &&
                 (in.dim[2] > 0) == (in.dim[3] > 0) && in.dim[2] <= 4096 && in.dim[3] <= 4096;
    if (!right) {
        ta_fail(err, TA_ERR_UNAVAILABLE, "it has %d inputs and %d outputs, the first input is %s: that's no upscaler",
                ta_session_inputs(session), ta_session_outputs(session), ta_shape_print(&in, text));
        return ta_hint(err, "upscale-model wants a model that takes RGB as 1x3xHxW, 0 to 1, and enlarges it");
    }
    s->fixed_width = in.dim[3] > 0 ? (int)in.dim[3] : 0;
    s->fixed_height = in.dim[2] > 0 ? (int)in.dim[2] : 0;
    s->align = s->fixed_width ? 1 : ALIGN;
    return 0;
}

int ta_upscale_probe(const char *name, const void *bytes, size_t size, const ta_session_options *run,
                     const ta_cancel *cancel, ta_upscale_shape *shape, ta_error *err)
{
    ta_session *session = NULL;
    probe p = { .cancel = cancel };
    ta_session_options options = {
        .engine = run->engine, .device = run->device, .precision = TA_PRECISION_FP32, .cache = ""
    };
    memset(shape, 0, sizeof *shape);
    int r = ta_session_open_bytes(&session, name, bytes, size, &options, err);
    if (r < 0)
        return r;
    r = check_ports(session, shape, err);
    if (r >= 0)
        r = ta_request_new(&p.r, session, err);
    if (r >= 0)
        r = find_scale(&p, shape, err);
    if (r >= 0)
        r = find_reach(&p, shape, err);
    ta_free(p.before);
    ta_request_free(&p.r);
    ta_session_free(&session);
    return r < 0 ? ta_wrap(err, "model %s", name) : 0;
}
