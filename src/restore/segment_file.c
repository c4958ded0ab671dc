/* What says that a segment is complete: a small document beside its packets, written last. */
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "restore/segments.h"

enum { MAX_MARKER = 4 << 20 };

void ta_segment_done_free(ta_segment_done *d)
{
    avcodec_parameters_free(&d->stream.par);
    *d = (ta_segment_done){ 0 };
}

char *ta_segment_path(const ta_job *job, int number)
{
    char name[40];
    snprintf(name, sizeof name, "segment-%05d.packets", number);
    return ta_job_folder_keep(job->folder, name);
}

static char *marker_path(const ta_job *job, int number)
{
    char name[40];
    snprintf(name, sizeof name, "segment-%05d.done", number);
    return ta_job_folder_keep(job->folder, name);
}

/* ---- The stream's facts -------------------------------------------------------------------------------------------
 */

static json_t *hex(const uint8_t *data, int size)
{
    ta_buf b = { 0 };
    ta_buf_add(&b, "");
    for (int i = 0; i < size; i++)
        ta_buf_addf(&b, "%02x", data[i]);
    json_t *o = b.failed ? NULL : json_string(b.data ? b.data : "");
    ta_buf_free(&b);
    return o;
}

static bool read_hex(const json_t *o, AVCodecParameters *p)
{
    const char *text = json_string_value(o);
    size_t n = text ? strlen(text) / 2 : 0;
    if (!text || n > MAX_MARKER)
        return false;
    if (!n)
        return true;
    p->extradata = av_mallocz(n + AV_INPUT_BUFFER_PADDING_SIZE);
    if (!p->extradata)
        return false;
    p->extradata_size = (int)n;
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1)
            return false;
        p->extradata[i] = (uint8_t)byte;
    }
    return true;
}

/* The whole numbers of AVCodecParameters that a video encoder sets. */
#define VIDEO_PARAMETERS(X)                                                                                            \
    X(format) X(width) X(height) X(profile) X(level) X(video_delay) X(bits_per_coded_sample) X(bits_per_raw_sample)

static json_t *stream_json(const ta_stream_facts *f)
{
    const AVCodecParameters *p = f->par;
    if (!p)
        return json_null();
    json_t *o = json_pack("{s:s, s:o, s:[i,i], s:[i,i], s:[i,i], s:[i,i,i,i,i,i], s:I}", "codec",
                          avcodec_get_name(p->codec_id), "extradata", hex(p->extradata, p->extradata_size), "sar",
                          p->sample_aspect_ratio.num, p->sample_aspect_ratio.den, "time_base", f->time_base.num,
                          f->time_base.den, "frame_rate", f->frame_rate.num, f->frame_rate.den, "colour",
                          (int)p->color_range, (int)p->color_primaries, (int)p->color_trc, (int)p->color_space,
                          (int)p->chroma_location, (int)p->field_order, "bit_rate", (json_int_t)p->bit_rate);
#define PUT(name) json_object_set_new(o, #name, json_integer(p->name));
    VIDEO_PARAMETERS(PUT)
#undef PUT
    return o;
}

static int read_stream(json_t *o, ta_stream_facts *f)
{
    const char *codec;
    json_t *extradata;
    json_int_t bit_rate;
    int colour[6];
    AVCodecParameters *p = avcodec_parameters_alloc();
    if (!p)
        return -1;
    f->par = p;
    if (json_unpack(o, "{s:s, s:o, s:[i,i], s:[i,i], s:[i,i], s:[i,i,i,i,i,i], s:I}", "codec", &codec, "extradata",
                    &extradata, "sar", &p->sample_aspect_ratio.num, &p->sample_aspect_ratio.den, "time_base",
                    &f->time_base.num, &f->time_base.den, "frame_rate", &f->frame_rate.num, &f->frame_rate.den,
                    "colour", &colour[0], &colour[1], &colour[2], &colour[3], &colour[4], &colour[5], "bit_rate",
                    &bit_rate) < 0)
        return -1;
    const AVCodecDescriptor *d = avcodec_descriptor_get_by_name(codec);
    p->codec_type = AVMEDIA_TYPE_VIDEO;
    p->codec_id = d ? d->id : AV_CODEC_ID_NONE;
    p->color_range = (enum AVColorRange)colour[0];
    p->color_primaries = (enum AVColorPrimaries)colour[1];
    p->color_trc = (enum AVColorTransferCharacteristic)colour[2];
    p->color_space = (enum AVColorSpace)colour[3];
    p->chroma_location = (enum AVChromaLocation)colour[4];
    p->field_order = (enum AVFieldOrder)colour[5];
    p->bit_rate = bit_rate;
#define GET(name) p->name = (int)json_integer_value(json_object_get(o, #name));
    VIDEO_PARAMETERS(GET)
#undef GET
    return d && read_hex(extradata, p) ? 0 : -1;
}

/* ---- The marker ---------------------------------------------------------------------------------------------------
 */

/* Numbers of the marker, each with its place. */
#define RESULT_NUMBERS(X)                                                                                              \
    X(result.frames_in)                                                                                                \
    X(result.frames_out) X(result.decode_errors) X(result.first_us) X(result.last_us) X(counts.shown_twice)            \
        X(counts.dropped) X(counts.gaps) X(counts.captions_in) X(counts.captions_out) X(bytes) X(packets)

int ta_segment_mark(ta_job *job, int number, const ta_segment_done *d, ta_error *err)
{
    char *path = marker_path(job, number);
    json_t *o = json_pack("{s:s, s:i, s:s, s:s, s:o}", "plan", job->plan_hash, "segment", number, "sha256", d->sha256,
                          "timecode", d->result.timecode, "stream", stream_json(&d->stream));
#define PUT(name) json_object_set_new(o, #name, json_integer((json_int_t)d->name));
    RESULT_NUMBERS(PUT)
#undef PUT
    if (!path)
        json_decref(o);
    int r = path ? ta_sealed_write(path, o, err) : ta_no_memory(err);
    ta_free(path);
    return r;
}

static bool read_marker(const ta_job *job, int number, json_t *o, ta_segment_done *d)
{
    const char *plan = NULL, *sha = NULL, *timecode = NULL;
    json_t *stream = NULL;
    int n = -1;
    if (json_unpack(o, "{s:s, s:i, s:s, s:s, s:o}", "plan", &plan, "segment", &n, "sha256", &sha, "timecode", &timecode,
                    "stream", &stream) < 0 ||
        n != number || strcmp(plan, job->plan_hash) != 0)
        return false;
    snprintf(d->sha256, sizeof d->sha256, "%s", sha);
    snprintf(d->result.timecode, sizeof d->result.timecode, "%s", timecode);
#define GET(name) d->name = json_integer_value(json_object_get(o, #name));
    RESULT_NUMBERS(GET)
#undef GET
    return json_is_null(stream) || read_stream(stream, &d->stream) >= 0;
}

/* Said once: without its marker a segment is one that was never made. */
static void drop_damaged(int number, const char *marker)
{
    if (unlink(marker) == 0)
        ta_log(TA_LOG_WARN, "restore", "segment %d is damaged and is done again", number);
}

int ta_segment_is_done(ta_job *job, int number, ta_segment_done *d)
{
    char *marker = marker_path(job, number), *file = ta_segment_path(job, number);
    json_t *o = NULL;
    *d = (ta_segment_done){ 0 };
    int there = marker && file ? ta_sealed_read(marker, MAX_MARKER, &o) : 0;
    bool done = there > 0 && read_marker(job, number, o, d) && ta_file_size(file) == d->bytes;
    if (!done)
        ta_segment_done_free(d);
    if (there && !done)
        drop_damaged(number, marker);
    json_decref(o);
    ta_free(marker);
    ta_free(file);
    return done;
}

int ta_segment_check(ta_job *job, int number, ta_cancel *cancel, ta_segment_done *d, ta_error *err)
{
    char sha[65] = "";
    int r = ta_segment_is_done(job, number, d);
    if (!r)
        return 0;
    char *file = ta_segment_path(job, number), *marker = marker_path(job, number);
    r = file && marker ? ta_sha256_file(file, sha, cancel, err) : ta_no_memory(err);
    if (r >= 0 && strcmp(sha, d->sha256) != 0) {
        drop_damaged(number, marker);
        ta_segment_done_free(d);
        r = 0;
    } else if (r >= 0) {
        r = 1;
    }
    ta_free(file);
    ta_free(marker);
    return r;
}
