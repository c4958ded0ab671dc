/* Luma in 8 bits from any pixel format whose first component is plainly stored. */
#include "analyze/internal.h"

enum { LOOK_AT_COLUMNS = 480 };

void ta_luma_free(ta_luma *l)
{
    ta_freep(&l->data);
    l->width = l->height = 0;
}

static void read_row(uint8_t *to, int width, const uint8_t *from, int step, int shift, bool wide)
{
    if (!wide)
        for (int x = 0; x < width; x++)
            to[x] = from[(ptrdiff_t)x * step];
    else
        for (int x = 0; x < width; x++) {
            const uint8_t *p = from + (ptrdiff_t)x * step;
            to[x] = (uint8_t)((p[0] | p[1] << 8) >> shift);
        }
}

int ta_luma_read(ta_luma *l, const AVFrame *f, ta_error *err)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    const uint64_t odd = AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_BITSTREAM | AV_PIX_FMT_FLAG_FLOAT |
                         AV_PIX_FMT_FLAG_BE | AV_PIX_FMT_FLAG_PAL;
    if (!d || (d->flags & odd))
        return ta_fail(err, TA_ERR_DATA, "the pixel format %s can't be measured", d ? d->name : "?");
    const AVComponentDescriptor *c = &d->comp[0];
    int skip = TA_MAX(f->width / LOOK_AT_COLUMNS, 1), width = f->width / skip;
    if (width != l->width || f->height != l->height) {
        ta_luma_free(l);
        l->data = ta_array((size_t)width, (size_t)f->height);
        if (!l->data)
            return ta_no_memory(err);
        l->width = width;
        l->height = f->height;
    }
    for (int y = 0; y < f->height; y++)
        read_row(l->data + (ptrdiff_t)y * width, width,
                 f->data[c->plane] + (ptrdiff_t)y * f->linesize[c->plane] + c->offset, c->step * skip,
                 c->shift + c->depth - 8, c->depth > 8);
    return 0;
}
