/* HDR output: the SDR picture is made linear light with its white at 100 nits, moved to BT.2020 primaries and coded in
 * PQ (SMPTE ST 2084) or HLG (ARIB STD-B67). HDR10 frames carry mastering metadata (SMPTE ST 2086). */
#include <libavutil/mastering_display_metadata.h>

#include "picture/plan.h"

typedef struct mastering {
    int peak; /* nits */
} mastering;

static int mastering_configure(ta_stage *st, const ta_link *in, ta_link *out, ta_error *err)
{
    mastering *m = st->priv;
    *out = *in;
    if (sscanf(st->spec, "peak=%d", &m->peak) != 1)
        return ta_fail(err, TA_ERR_SOFTWARE, "'%s' is no peak", st->spec);
    return 0;
}

/* A display of BT.2020 primaries with white D65, as the output's tags say too. */
static bool describe_display(AVFrame *f, int peak)
{
    AVMasteringDisplayMetadata *d = av_mastering_display_metadata_create_side_data(f);
    AVContentLightMetadata *l = av_content_light_metadata_create_side_data(f);
    if (!d || !l)
        return false;
    static const int xy[3][2] = { { 35400, 14600 }, { 8500, 39850 }, { 6550, 2300 } };
    for (int i = 0; i < 3; i++)
        for (int c = 0; c < 2; c++)
            d->display_primaries[i][c] = av_make_q(xy[i][c], 50000);
    d->white_point[0] = av_make_q(15635, 50000);
    d->white_point[1] = av_make_q(16450, 50000);
    d->min_luminance = av_make_q(1, 10000);
    d->max_luminance = av_make_q(peak * 10000, 10000);
    d->has_primaries = d->has_luminance = 1;
    l->MaxCLL = (unsigned)peak;
    return true;
}

static int mastering_push(ta_stage *st, AVFrame *frame, ta_error *err)
{
    mastering *m = st->priv;
    av_frame_remove_side_data(frame, AV_FRAME_DATA_MASTERING_DISPLAY_METADATA);
    av_frame_remove_side_data(frame, AV_FRAME_DATA_CONTENT_LIGHT_LEVEL);
    if (!describe_display(frame, m->peak)) {
        av_frame_free(&frame);
        return ta_no_memory(err);
    }
    return st->emit(st->emit_to, frame, err);
}

static const ta_stage_class mastering_class = {
    .name = "mastering metadata",
    .size = sizeof(mastering),
    .configure = mastering_configure,
    .push = mastering_push,
};

static int add_mastering(ta_plan *p)
{
    char spec[32];
    snprintf(spec, sizeof spec, "peak=%d", (int)ta_get_int(p->s, TA_SET_hdr_peak));
    return ta_plan_add(p, &(ta_step){ "mastering metadata" },
                       ta_stage_new(&mastering_class, "mastering metadata", spec));
}

int ta_plan_hdr(ta_plan *p)
{
    bool pq = ta_get_is(p->s, TA_SET_hdr, "hdr10");
    if (ta_get_is(p->s, TA_SET_hdr, "sdr"))
        return 0;
    if (p->out_fmt != AV_PIX_FMT_NONE && ta_fmt_depth(p->out_fmt) < 10) {
        ta_fail(p->err, TA_ERR_USAGE, "HDR needs 10 bits a sample, the encoder is set to %s",
                av_get_pix_fmt_name(p->out_fmt));
        return ta_hint(p->err, "use --bit-depth 10 with libx265, libsvtav1 or ffv1");
    }
    enum AVColorTransferCharacteristic want = pq ? AVCOL_TRC_SMPTE2084 : AVCOL_TRC_ARIB_STD_B67;
    ta_video_format *v = &p->now;
    int r = 0;
    if (v->transfer != want || v->primaries != AVCOL_PRI_BT2020) {
        enum AVPixelFormat fmt = p->out_fmt != AV_PIX_FMT_NONE ? p->out_fmt : AV_PIX_FMT_YUV420P10;
        ta_buf b = { 0 };
        if (!ta_fmt_rgb(v->pix_fmt))
            ta_buf_addf(&b, "zscale=min=%d:pin=%d:tin=%d:rin=%s:t=linear:npl=100", v->matrix, v->primaries, v->transfer,
                        v->range == AVCOL_RANGE_JPEG ? "pc" : "tv");
        else
            ta_buf_addf(&b, "zscale=pin=%d:tin=%d:t=linear:npl=100", v->primaries, v->transfer);
        ta_buf_addf(&b, ",format=gbrpf32le,zscale=p=bt2020,zscale=t=%s:m=bt2020nc:r=tv:npl=100,format=%s",
                    pq ? "smpte2084" : "arib-std-b67", av_get_pix_fmt_name(fmt));
        ta_plan_retag(p, fmt);
        v->primaries = AVCOL_PRI_BT2020;
        v->transfer = want;
        v->matrix = AVCOL_SPC_BT2020_NCL;
        v->range = AVCOL_RANGE_MPEG;
        r = ta_plan_add_tagged(p, &(ta_step){ "hdr" }, &b);
    }
    return r < 0 || !pq ? r : add_mastering(p);
}
