/* From settings to the video encoder's parameters. */
#include "restore/internal.h"

/* The encoder's own word for "best" and "fast". */
static const struct {
    const char *encoder, *best, *fast;
} presets[] = {
    { "libx264", "medium", "veryfast" },  { "libx265", "medium", "veryfast" }, { "libsvtav1", "6", "9" },
    { "h264_nvenc", "p7", "p4" },         { "hevc_nvenc", "p7", "p4" },        { "h264_qsv", "veryslow", "medium" },
    { "hevc_qsv", "veryslow", "medium" },
};

static const char *preset_for(const ta_settings *s, const char *encoder)
{
    const char *own = ta_get_text(s, TA_SET_encoder_preset);
    if (!ta_streq(own, "auto") && own[0])
        return own;
    bool fast = ta_get_is(s, TA_SET_quality, "fast");
    for (size_t i = 0; i < TA_COUNT(presets); i++)
        if (strcmp(presets[i].encoder, encoder) == 0)
            return fast ? presets[i].fast : presets[i].best;
    return NULL;
}

/* Makes an x265 stream carry HDR10's static metadata; libav 5.1 does not pass it on by itself. */
static int hdr_options(ta_job *job, ta_buf *b)
{
    const ta_settings *s = job->settings;
    const char *own = ta_get_text(s, TA_SET_encoder_options);
    ta_buf_add(b, own);
    if (ta_get_is(s, TA_SET_hdr, "hdr10") && ta_get_is(s, TA_SET_encoder, "libx265")) {
        int peak = (int)ta_get_int(s, TA_SET_hdr_peak);
        ta_buf_addf(b,
                    "%shdr10=1:repeat-headers=1:master-display=G(8500,39850)B(6550,2300)R(35400,14600)"
                    "WP(15635,16450)L(%d,50):max-cll=%d,%d",
                    own[0] ? ":" : "", peak * 10000, peak, peak / 2);
    }
    return b->failed ? -1 : 0;
}

enum AVPixelFormat ta_job_plan_pix_fmt(ta_job *job, ta_error *err)
{
    const char *encoder = ta_get_text(job->settings, TA_SET_encoder);
    const char *depth = ta_get_text(job->settings, TA_SET_bit_depth);
    int bits = ta_streq(depth, "auto") ? 0 : atoi(depth);
    if (!ta_get_is(job->settings, TA_SET_hdr, "sdr") && !bits)
        bits = 10;
    if (!ta_encoder_exists(encoder)) {
        ta_fail(err, TA_ERR_UNAVAILABLE, "this libav has no encoder '%s'", encoder);
        ta_hint(err, "`terminalai doctor` shows which encoders work here");
        return AV_PIX_FMT_NONE;
    }
    enum AVPixelFormat fmt = ta_encoder_pix_fmt(encoder, job->source.video.pix_fmt, bits);
    if (fmt == AV_PIX_FMT_NONE) {
        ta_fail(err, TA_ERR_USAGE, "%s can't encode %d bits a sample", encoder, bits);
        ta_hint(err, "leave --bit-depth at auto, or choose another encoder");
    }
    return fmt;
}

/* Do the finished frames have times of their own, off the grid of any constant rate? */
static bool times_vary(const ta_job *job)
{
    return job->source.vfr || ta_get_bool(job->settings, TA_SET_vfr);
}

int ta_job_plan_encoding(ta_job *job, ta_error *err)
{
    const ta_settings *s = job->settings;
    ta_video_encoding *v = &job->encoding;
    const char *encoder = ta_get_text(s, TA_SET_encoder);
    const AVCodec *codec = avcodec_find_encoder_by_name(encoder);
    const char *preset = preset_for(s, encoder);
    ta_buf options = { 0 };
    bool lossless = ta_streq(encoder, "ffv1");
    if (codec && !ta_container_holds(job->container, codec->id)) {
        ta_fail(err, TA_ERR_USAGE, "%s does not hold video made by %s", job->container->name, encoder);
        return ta_hint(err, "choose mkv, or another --encoder");
    }
    if (hdr_options(job, &options) < 0)
        return ta_no_memory(err);
    if (preset)
        snprintf(job->encoder_preset, sizeof job->encoder_preset, "%s", preset);
    *v = (ta_video_encoding){
        .encoder = encoder,
        .preset = preset ? job->encoder_preset : NULL,
        .options = options.data,
        .crf = lossless ? -1 : (int)ta_get_int(s, TA_SET_crf),
        .threads = (int)ta_get_int(s, TA_SET_encoder_threads),
        .frame_rate = times_vary(job) ? (AVRational){ 0, 1 } : job->link_out.video.frame_rate,
        .usual_rate = job->source.video.frame_rate,
        .time_base = job->link_out.video.time_base,
        .global_header = job->container->global_header,
    };
    return 0;
}
