/* A picture of the source beside the restored one: the same moment, the same height, as PNG. */
#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>

#include "restore/internal.h"

/* The last frame at or before `us` of a file's video stream. */
static int frame_at(const char *path, int64_t us, ta_cancel *cancel, AVFrame **out, ta_error *err)
{
    ta_input *in = NULL;
    ta_decoder *d = NULL;
    AVPacket *pkt = av_packet_alloc();
    AVFrame *f = av_frame_alloc(), *best = av_frame_alloc();
    int r = pkt && f && best ? ta_input_open(&in, path, cancel, err) : ta_no_memory(err);
    int video = r >= 0 ? ta_input_video(in) : -1;
    if (r >= 0 && video < 0)
        r = ta_fail(err, TA_ERR_DATA, "'%s' has no picture", path);
    if (r >= 0)
        r = ta_decoder_open(&d, ta_input_context(in)->streams[video], 0, err);
    bool found = false, ended = false;
    if (r >= 0)
        ta_input_select(in, 1ull << video);
    while (r >= 0 && !found && !ended) {
        r = ta_input_read(in, pkt, err);
        ended = r == 0;
        if (r < 0 || (r = ta_decoder_send(d, ended ? NULL : pkt, err)) == TA_RECEIVE_FIRST)
            r = r > 0 ? 0 : r;
        av_packet_unref(pkt);
        while (r >= 0 && !found && (r = ta_decoder_receive(d, f, err)) > 0) {
            AVRational base = ta_input_context(in)->streams[video]->time_base;
            found = best->width > 0 && av_rescale_q(f->pts, base, AV_TIME_BASE_Q) > us + 500;
            if (!found) {
                av_frame_unref(best);
                av_frame_move_ref(best, f);
                best->sample_aspect_ratio =
                    av_guess_sample_aspect_ratio(ta_input_context(in), ta_input_context(in)->streams[video], best);
            }
        }
        r = r == TA_DECODER_END ? 0 : r;
    }
    if (r >= 0 && !best->width)
        r = ta_fail(err, TA_ERR_DATA, "'%s' has no picture at that time", path);
    if (r < 0)
        av_frame_free(&best);
    av_frame_free(&f);
    av_packet_free(&pkt);
    ta_decoder_close(&d);
    ta_input_close(&in);
    *out = best;
    return r < 0 ? r : 0;
}

/* Draws a frame into columns x .. x+w of an RGB picture. */
static int draw(AVFrame *to, int x, int w, const AVFrame *from, const ta_video_format *colour, ta_error *err)
{
    struct SwsContext *sws = sws_getContext(from->width, from->height, from->format, w, to->height, AV_PIX_FMT_RGB24,
                                            SWS_LANCZOS | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, NULL, NULL, NULL);
    if (!sws)
        return ta_fail(err, TA_ERR_SOFTWARE, "the picture can't be converted");
    int matrix = from->colorspace != AVCOL_SPC_UNSPECIFIED ? (int)from->colorspace : (int)colour->matrix;
    int full = from->color_range == AVCOL_RANGE_JPEG;
    sws_setColorspaceDetails(sws, sws_getCoefficients(matrix), full, sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16,
                             1 << 16);
    uint8_t *data[4] = { to->data[0] + (ptrdiff_t)x * 3 };
    sws_scale(sws, (const uint8_t *const *)from->data, from->linesize, 0, from->height, data, to->linesize);
    sws_freeContext(sws);
    return 0;
}

static int write_png(const AVFrame *rgb, const char *path, ta_error *err)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_PNG);
    AVCodecContext *c = codec ? avcodec_alloc_context3(codec) : NULL;
    AVPacket *pkt = av_packet_alloc();
    int r = c && pkt ? 0 : ta_fail(err, TA_ERR_UNAVAILABLE, "this libav has no PNG encoder");
    if (r >= 0) {
        c->width = rgb->width;
        c->height = rgb->height;
        c->pix_fmt = AV_PIX_FMT_RGB24;
        c->time_base = (AVRational){ 1, 1 };
        int av = avcodec_open2(c, codec, NULL);
        av = av < 0 ? av : avcodec_send_frame(c, rgb);
        av = av < 0 ? av : avcodec_send_frame(c, NULL);
        av = av < 0 ? av : avcodec_receive_packet(c, pkt);
        r = av < 0 ? ta_fail_av(err, av, TA_ERR_SOFTWARE, "the PNG can't be made") : 0;
    }
    if (r >= 0)
        r = ta_write_file(path, pkt->data, (size_t)pkt->size, true, err);
    av_packet_free(&pkt);
    avcodec_free_context(&c);
    return r;
}

/* Width of the source at the height of the result, in square pixels. */
static int source_width(const ta_job *job, const AVFrame *f, int height)
{
    bool sd_704 = ta_get_is(job->settings, TA_SET_sd_width, "704");
    AVRational sar = ta_true_sar(f->width, f->height, f->sample_aspect_ratio, sd_704);
    return (int)av_rescale(av_rescale(f->width, sar.num, sar.den), height, f->height) & ~1;
}

int ta_before_after(const ta_job *job, int64_t at_us, const char *png, ta_error *err)
{
    AVFrame *before = NULL, *after = NULL, *both = av_frame_alloc();
    int64_t first = job->start_us + at_us;
    int r = both ? frame_at(job->output, at_us, job->cancel, &after, err) : ta_no_memory(err);
    if (r >= 0)
        r = frame_at(job->input, first, job->cancel, &before, err);
    if (r >= 0) {
        AVRational sar = after->sample_aspect_ratio.num > 0 ? after->sample_aspect_ratio : (AVRational){ 1, 1 };
        int height = after->height, right = (int)av_rescale(after->width, sar.num, sar.den) & ~1;
        int left = source_width(job, before, height), gap = 8;
        both->format = AV_PIX_FMT_RGB24;
        both->width = left + gap + right;
        both->height = height;
        if (av_frame_get_buffer(both, 0) < 0)
            r = ta_no_memory(err);
        if (r >= 0) {
            memset(both->data[0], 0, (size_t)both->linesize[0] * (size_t)height);
            r = draw(both, 0, left, before, &job->source.video, err);
        }
        if (r >= 0)
            r = draw(both, left + gap, right, after, &job->link_out.video, err);
    }
    if (r >= 0)
        r = write_png(both, png, err);
    av_frame_free(&both);
    av_frame_free(&before);
    av_frame_free(&after);
    return r;
}

int ta_job_before_after(ta_job *job, int64_t at_us, const char *png, ta_error *err)
{
    ta_error own = { 0 };
    int64_t middle = job->output_duration_us / 2;
    return ta_before_after(job, at_us >= 0 ? at_us : middle, png, err ? err : &own);
}
