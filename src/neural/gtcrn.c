/* GTCRN: X. Rong, T. Sun, X. Zhang, Y. Hu, C. Zhu, J. Lu, "GTCRN: A Speech Enhancement Model Requiring Ultralow
 * Computational Resources", ICASSP 2024, in its streaming form: 16 kHz, frames of 32 ms each 16 ms, no look-ahead. A
 * spectrum goes in with three tensors of memory and comes out clean with the next ones, so nothing is computed twice.
 */
#include "neural/denoiser.h"

#include <string.h>

enum { HOP = 256, BINS = HOP + 1, CACHES = 3 };

static const struct {
    const char *in, *out;
    ta_shape shape;
} caches[CACHES] = { { "conv_cache", "conv_cache_out", { 5, { 2, 1, 16, 16, 33 } } },
                     { "tra_cache", "tra_cache_out", { 5, { 2, 3, 1, 1, 16 } } },
                     { "inter_cache", "inter_cache_out", { 4, { 2, 1, 33, 16 } } } };

typedef struct gtcrn {
    ta_denoiser_options o;
    ta_request *request;
    int mix_in, enh_out, cache_in[CACHES], cache_out[CACHES];
    bool begun;
    float *mean, *out;
} gtcrn;

/* What the last frame left, zeros before the first. */
static int fill_caches(gtcrn *g, ta_error *err)
{
    int r = 0;
    for (int i = 0; r >= 0 && i < CACHES; i++) {
        const float *left = NULL;
        float *in;
        size_t size = (size_t)ta_shape_count(&caches[i].shape) * sizeof *in;
        if (g->begun)
            r = ta_request_output(g->request, g->cache_out[i], NULL, &left, err);
        if (r >= 0)
            r = ta_request_input(g->request, g->cache_in[i], &caches[i].shape, &in, err);
        if (r >= 0 && left)
            memcpy(in, left, size);
        else if (r >= 0)
            memset(in, 0, size);
    }
    return r;
}

/* One filter for all channels: what the network made of the mean, divided by the mean. */
static void apply(const gtcrn *g, const float *bins, const float *clean)
{
    for (int i = 0; i < BINS; i++) {
        const float *x = g->mean + 2 * (size_t)i, *y = clean + 2 * (size_t)i;
        float power = x[0] * x[0] + x[1] * x[1] + 1e-20F;
        float re = (y[0] * x[0] + y[1] * x[1]) / power, im = (y[1] * x[0] - y[0] * x[1]) / power;
        for (int c = 0; c < g->o.channels; c++) {
            size_t at = ((size_t)c * BINS + (size_t)i) * 2;
            g->out[at] = bins[at] * re - bins[at + 1] * im;
            g->out[at + 1] = bins[at] * im + bins[at + 1] * re;
        }
    }
}

static int gtcrn_push(void *p, const float *bins, ta_error *err)
{
    gtcrn *g = p;
    ta_shape shape = TA_SHAPE(1, BINS, 1, 2);
    const float *clean;
    float *in;
    ta_denoiser_mean(bins, g->o.channels, BINS * 2, g->mean);
    int r = fill_caches(g, err);
    if (r >= 0)
        r = ta_request_input(g->request, g->mix_in, &shape, &in, err);
    if (r >= 0) {
        memcpy(in, g->mean, sizeof *in * BINS * 2);
        r = ta_request_run(g->request, g->o.cancel, err);
    }
    if (r >= 0)
        r = ta_request_output(g->request, g->enh_out, NULL, &clean, err);
    if (r < 0)
        return r;
    g->begun = true;
    if (g->o.channels == 1)
        memcpy(g->out, clean, sizeof *g->out * BINS * 2);
    else
        apply(g, bins, clean);
    ta_denoiser_mix(g->out, bins, g->o.noisy, g->o.channels * BINS * 2);
    return g->o.emit(g->o.emit_to, g->out, err);
}

static int gtcrn_finish(void *p, ta_error *err)
{
    (void)p;
    (void)err;
    return 0;
}

static void gtcrn_close(void *p)
{
    gtcrn *g = p;
    if (!g)
        return;
    ta_request_free(&g->request);
    ta_free(g->mean);
    ta_free(g->out);
    ta_free(g);
}

static int find_ports(gtcrn *g, ta_error *err)
{
    const ta_session *s = g->o.parts[0];
    int r = ta_denoiser_input(s, "mix", &g->mix_in, err);
    if (r >= 0)
        r = ta_denoiser_output(s, "enh", &g->enh_out, err);
    for (int i = 0; r >= 0 && i < CACHES; i++) {
        r = ta_denoiser_input(s, caches[i].in, &g->cache_in[i], err);
        if (r >= 0)
            r = ta_denoiser_output(s, caches[i].out, &g->cache_out[i], err);
    }
    return r;
}

static int gtcrn_open(void **out, const ta_denoiser_options *o, ta_error *err)
{
    gtcrn *g = *out = ta_alloc(sizeof *g);
    if (!g)
        return ta_no_memory(err);
    g->o = *o;
    g->mean = ta_array((size_t)BINS * 2, sizeof *g->mean);
    g->out = ta_array((size_t)o->channels * BINS * 2, sizeof *g->out);
    int r = g->mean && g->out ? find_ports(g, err) : ta_no_memory(err);
    return r < 0 ? r : ta_request_new(&g->request, o->parts[0], err);
}

static int gtcrn_shapes(int part, ta_input_shape *shapes)
{
    (void)part;
    (void)shapes;
    return 0; /* all its sizes are fixed */
}

const ta_denoiser_ops ta_gtcrn = {
    .title = "GTCRN",
    .rate = 16000,
    .hop = HOP,
    .window = TA_WINDOW_ROOT_HANN,
    .scale = 1,
    .parts = 1,
    .part_names = { "gtcrn_simple" },
    .shapes = gtcrn_shapes,
    .open = gtcrn_open,
    .push = gtcrn_push,
    .finish = gtcrn_finish,
    .close = gtcrn_close,
};
