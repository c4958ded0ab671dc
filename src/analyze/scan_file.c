/* Measuring a file: a few windows of frames spread over it. */
#include <stdlib.h>

#include "analyze/internal.h"

enum { WINDOWS = 5, WINDOW_FRAMES = 12 };
/* A window that finds nothing to decode gives up after so many packets. */
enum { WINDOW_PACKETS = 400 };

typedef struct scan_job {
    ta_input *in;
    ta_decoder *decoder;
    ta_scan_meter *meter;
    AVPacket *pkt;
    AVFrame *frame;
    int stream;
} scan_job;

static int take_frames(scan_job *j, int *left, ta_error *err)
{
    int r = 0;
    while (*left > 0 && (r = ta_decoder_receive(j->decoder, j->frame, err)) > 0) {
        r = ta_scan_meter_add(j->meter, j->frame, err);
        av_frame_unref(j->frame);
        (*left)--;
        if (r < 0)
            return r;
    }
    return r == TA_DECODER_END ? 0 : r;
}

/* 1 when the file goes on behind the window, 0 at its end. */
static int read_window(scan_job *j, int frames, ta_error *err)
{
    int left = frames, r = 1;
    ta_scan_meter_cut(j->meter);
    for (int n = 0; left > 0 && n < WINDOW_PACKETS && r > 0; n++) {
        r = ta_input_read(j->in, j->pkt, err);
        if (r < 0)
            return r;
        int sent = ta_decoder_send(j->decoder, r ? j->pkt : NULL, err);
        av_packet_unref(j->pkt);
        if (sent < 0 || (sent = take_frames(j, &left, err)) < 0)
            return sent;
    }
    ta_decoder_flush(j->decoder);
    return r;
}

/* Places the next window; a seek that fails leaves the reader where it is, which is as good. Where time stamps would
 * have to be searched for (MPEG), the place in the file is enough. */
static void seek_window(scan_job *j, int i, int64_t start, int64_t length)
{
    AVFormatContext *ctx = ta_input_context(j->in);
    int64_t size = avio_size(ctx->pb);
    if ((ctx->iformat->flags & AVFMT_TS_DISCONT) && !(ctx->iformat->flags & AVFMT_NO_BYTE_SEEK) && size > 0) {
        av_seek_frame(ctx, -1, size / WINDOWS * i + size / (2 * WINDOWS), AVSEEK_FLAG_BYTE);
        return;
    }
    int64_t to = start + length * i / WINDOWS + length / (2 * WINDOWS);
    avformat_seek_file(ta_input_context(j->in), -1, INT64_MIN, to, to, 0);
}

static int read_windows(scan_job *j, ta_error *err)
{
    int64_t length = ta_input_duration_us(j->in), start = ta_input_start_us(j->in);
    bool spread = length > 20 * 1000000;
    int frames = spread ? WINDOW_FRAMES : WINDOWS * WINDOW_FRAMES;
    int r = read_window(j, frames, err);
    for (int i = 1; spread && i < WINDOWS && r >= 0; i++) {
        seek_window(j, i, start, length);
        r = read_window(j, frames, err);
    }
    return r < 0 ? r : 0;
}

static int open_scan(scan_job *j, const char *path, ta_input *known, ta_cancel *cancel, ta_error *err)
{
    int r = ta_input_open_as(&j->in, path, 0, known, cancel, err);
    if (r < 0)
        return r;
    ta_input_select(j->in, 1ull << j->stream);
    j->meter = ta_scan_meter_new();
    j->pkt = av_packet_alloc();
    j->frame = av_frame_alloc();
    if (!j->meter || !j->pkt || !j->frame)
        return ta_no_memory(err);
    return ta_decoder_open(&j->decoder, ta_input_context(j->in)->streams[j->stream], 1, err);
}

/* Headers may name a rate that the frames don't have. Then their own times are what counts. */
static bool contradicts_header(const scan_job *j)
{
    ta_video_format v;
    ta_input_video_format(j->in, j->stream, &v);
    int64_t step = ta_scan_meter_step(j->meter);
    if (!step || v.frame_rate.num <= 0)
        return false;
    int64_t claimed = av_rescale_q(1, av_inv_q(v.frame_rate), v.time_base);
    return llabs(step - claimed) > 2 && llabs(step - claimed) * 20 > claimed;
}

int ta_scan_file(const char *path, ta_input *known, int stream, ta_cancel *cancel, ta_scan_report *report,
                 ta_error *err)
{
    scan_job j = { .stream = stream };
    int r = open_scan(&j, path, known, cancel, err);
    if (r >= 0)
        r = read_windows(&j, err);
    if (r >= 0)
        ta_scan_meter_result(j.meter, report);
    if (r >= 0 && report->scan == TA_SCAN_PROGRESSIVE)
        report->vfr |= contradicts_header(&j);
    if (r >= 0 && !report->frames) {
        ta_fail(err, TA_ERR_DATA, "'%s': not one picture could be decoded", path);
        r = ta_hint(err, "the video stream is empty or broken; try `ffprobe` on the file");
    }
    ta_scan_meter_free(&j.meter);
    ta_decoder_close(&j.decoder);
    av_frame_free(&j.frame);
    av_packet_free(&j.pkt);
    ta_input_close(&j.in);
    return r;
}
