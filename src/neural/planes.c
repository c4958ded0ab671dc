/* Rows of samples. */
#include "neural/planes.h"

#include <string.h>

int ta_planes_init(ta_planes *p, int channels, ta_error *err)
{
    *p = (ta_planes){ .channels = channels, .x = ta_array((size_t)channels, sizeof *p->x) };
    return p->x ? 0 : ta_no_memory(err);
}

void ta_planes_free(ta_planes *p)
{
    for (int c = 0; p->x && c < p->channels; c++)
        ta_free(p->x[c]);
    ta_free(p->x);
    *p = (ta_planes){ 0 };
}

int ta_planes_grow(ta_planes *p, int64_t count, ta_error *err)
{
    int64_t cap = p->count + count > p->cap ? TA_MAX(p->count + count, 2 * p->cap) : p->cap;
    for (int c = 0; cap > p->cap && c < p->channels; c++) {
        float *row = ta_resize(p->x[c], (size_t)cap, sizeof *row);
        if (!row)
            return ta_no_memory(err);
        p->x[c] = row;
    }
    p->cap = cap;
    for (int c = 0; c < p->channels; c++)
        memset(p->x[c] + p->count, 0, (size_t)count * sizeof *p->x[c]);
    p->count += count;
    return 0;
}

int ta_planes_add(ta_planes *p, const AVFrame *frame, ta_error *err)
{
    int64_t at = p->count;
    int r = ta_planes_grow(p, frame->nb_samples, err);
    for (int c = 0; r >= 0 && c < p->channels; c++)
        memcpy(p->x[c] + at, frame->extended_data[c], (size_t)frame->nb_samples * sizeof *p->x[c]);
    return r;
}

void ta_planes_drop(ta_planes *p, int64_t count)
{
    p->count -= count;
    for (int c = 0; c < p->channels && count > 0; c++)
        memmove(p->x[c], p->x[c] + count, (size_t)p->count * sizeof *p->x[c]);
}

AVFrame *ta_planes_frame(const ta_planes *p, int64_t from, int count, const ta_audio_format *format, int64_t pts)
{
    AVFrame *f = av_frame_alloc();
    if (!f)
        return NULL;
    f->format = AV_SAMPLE_FMT_FLTP;
    f->sample_rate = format->sample_rate;
    f->nb_samples = count;
    f->pts = pts;
    if (av_channel_layout_copy(&f->ch_layout, &format->layout) < 0 || av_frame_get_buffer(f, 0) < 0) {
        av_frame_free(&f);
        return NULL;
    }
    for (int c = 0; c < p->channels; c++)
        memcpy(f->extended_data[c], p->x[c] + from, (size_t)count * sizeof(float));
    return f;
}
