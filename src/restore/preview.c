/* A picture of the source beside the restored one: the same moment, the same height, as PNG. */
#include "restore/internal.h"

enum { GAP = 8 };

/* Width of the source at the height of the result, in square pixels. */
static int source_width(const ta_job *job, const AVFrame *f, int height)
{
    bool sd_704 = ta_get_is(job->settings, TA_SET_sd_width, "704");
    AVRational sar = ta_true_sar(f->width, f->height, f->sample_aspect_ratio, sd_704);
    return (int)av_rescale(av_rescale(f->width, sar.num, sar.den), height, f->height) & ~1;
}

/* Both at the height of the result, a gap between them. */
static int draw_both(const ta_job *job, const AVFrame *before, const AVFrame *after, AVFrame **both, ta_error *err)
{
    AVRational sar = after->sample_aspect_ratio.num > 0 ? after->sample_aspect_ratio : (AVRational){ 1, 1 };
    int height = after->height, right = (int)av_rescale(after->width, sar.num, sar.den) & ~1;
    int left = source_width(job, before, height);
    *both = ta_new_frame(AV_PIX_FMT_RGB24, left + GAP + right, height);
    if (!*both)
        return ta_no_memory(err);
    memset((*both)->data[0], 0, (size_t)(*both)->linesize[0] * (size_t)height);
    int r = ta_draw(*both, 0, 0, left, height, before, err);
    return r < 0 ? r : ta_draw(*both, left + GAP, 0, right, height, after, err);
}

int ta_job_before_after(ta_job *job, int64_t at_us, const char *png, ta_error *err)
{
    ta_error own = { 0 };
    AVFrame *before = NULL, *after = NULL, *both = NULL;
    err = err ? err : &own;
    if (at_us < 0)
        at_us = job->output_duration_us / 2;
    int r = ta_frame_at(job->output, at_us + job->shift_us, job->cancel, &after, err);
    if (r >= 0)
        r = ta_frame_at(job->input, job->start_us + at_us, job->cancel, &before, err);
    if (r >= 0) {
        before->colorspace = job->source.video.matrix;
        before->color_range = job->source.video.range;
        r = draw_both(job, before, after, &both, err);
    }
    if (r >= 0)
        r = ta_png_write(both, png, true, err);
    av_frame_free(&both);
    av_frame_free(&before);
    av_frame_free(&after);
    return r;
}
