/* A tool of the tests: imports an ncnn model and writes it as an ONNX file. Prints the model's geometry, one "name
 * value" a line. Usage: ncnn_to_onnx [--as-stored] [--split-prelu] X.param X.bin OUT.onnx */
#include <stdio.h>
#include <string.h>

#include "neural/ncnn.h"

static void print(const ta_onnx_model *m)
{
    printf("channels_in %d\nchannels_out %d\nscale_num %d\nscale_den %d\n", m->channels_in, m->channels_out,
           m->scale_num, m->scale_den);
    printf("reach %d\nalign %d\nalign_rest %d\ninset %d\nglobal %d\n", m->reach, m->align, m->align_rest, m->inset,
           m->global);
}

int main(int argc, char **argv)
{
    ta_ncnn_options options = { 0 };
    ta_onnx_model model = { 0 };
    ta_error err = { 0 };
    char text[2048];
    int at = 1;

    for (; at < argc && argv[at][0] == '-'; at++) {
        options.as_stored |= !strcmp(argv[at], "--as-stored");
        options.split_prelu |= !strcmp(argv[at], "--split-prelu");
    }
    if (argc - at != 3)
        return 64;
    int ret = ta_ncnn_import(argv[at], argv[at + 1], &options, &model, &err);
    if (!ret)
        ret = ta_write_file(argv[at + 2], model.bytes, model.size, true, &err);
    if (!ret)
        print(&model);
    else
        fprintf(stderr, "%s\n", ta_error_string(&err, text, sizeof(text)));
    ta_onnx_model_free(&model);
    return ta_exit_code(ret);
}
