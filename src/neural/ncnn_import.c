/* From ncnn's two files to ONNX bytes: read, measure, rewrite, write. */
#include "neural/ncnn.h"
#include "neural/ncnn_layers.h"
#include "neural/onnx_write.h"

/* The one tensor that nothing reads. What only a Split made is passed over: it is the same as what it split. */
static int find_output(ta_ncnn_reader *r)
{
    const ta_ncnn_blob *found = NULL;

    for (int i = 0; i < r->have_blobs; i++) {
        const ta_ncnn_blob *b = &r->blobs[i];
        if (b->read || b->split)
            continue;
        if (found)
            return ta_ncnn_fail(r, TA_ERR_UNAVAILABLE, "models with two outputs aren't known ('%.100s', '%.100s')",
                                found->name, b->name);
        found = b;
    }
    if (!found || found->node == 0)
        return ta_ncnn_fail(r, TA_ERR_DATA, "the model has no output");
    r->graph.output = found->node;
    return 0;
}

static int read_all(ta_ncnn_reader *r)
{
    int ret = ta_ncnn_open(r);

    for (int i = 0; !ret && i < r->n_layers; i++) {
        ret = ta_ncnn_next(r);
        if (!ret)
            ret = ta_ncnn_build(r);
    }
    if (!ret)
        ret = ta_ncnn_end(r);
    if (!ret)
        ret = find_output(r);
    return ret ? ret : ta_graph_prune(&r->graph, r->err);
}

static int rewrite(ta_graph *g, const ta_ncnn_options *o, ta_error *err)
{
    int ret = 0;

    if (!o->as_stored)
        ret = ta_graph_fold_resize(g, err);
    if (!ret && !o->as_stored)
        ret = ta_graph_fold_nearest(g, err);
    if (!ret && o->split_prelu)
        ret = ta_graph_split_prelu(g, err);
    return ret;
}

static void describe(const ta_graph *g, const ta_reach *reach, ta_onnx_model *m)
{
    m->channels_in = g->nodes[0].channels;
    m->channels_out = g->nodes[g->output].channels;
    m->scale_num = reach->scale_num;
    m->scale_den = reach->scale_den;
    m->reach = reach->reach;
    m->align = reach->align;
    m->align_rest = reach->align_rest;
    m->inset = reach->inset;
    m->global = reach->global;
}

int ta_ncnn_import(const char *param_path, const char *bin_path, const ta_ncnn_options *options, ta_onnx_model *model,
                   ta_error *err)
{
    static const ta_ncnn_options none;
    ta_ncnn_reader r = { .param_path = param_path, .bin_path = bin_path, .err = err };
    ta_reach reach;
    int ret = read_all(&r);

    *model = (ta_onnx_model){ 0 };
    if (!ret && (ret = ta_graph_reach(&r.graph, &reach, err)) < 0)
        ta_wrap(err, "%s", param_path);
    if (!ret)
        ret = rewrite(&r.graph, options ? options : &none, err);
    if (!ret)
        ret = ta_onnx_write(&r.graph, &model->bytes, &model->size, err);
    if (!ret)
        describe(&r.graph, &reach, model);
    ta_ncnn_close(&r);
    return ret;
}

void ta_onnx_model_free(ta_onnx_model *model)
{
    ta_free(model->bytes);
    *model = (ta_onnx_model){ 0 };
}
