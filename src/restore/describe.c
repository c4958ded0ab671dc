/* The plan in words and as JSON: what --dry-run shows. */
#include <jansson.h>
#include <libavutil/imgutils.h>
#include <stdlib.h>

#include "restore/internal.h"

static void describe_format(const ta_video_format *v, char *text, size_t size)
{
    char rate[32] = "variable rate";
    if (v->frame_rate.num > 0)
        snprintf(rate, sizeof rate, "%.3f/s", av_q2d(v->frame_rate));
    snprintf(text, size, "%dx%d %s, SAR %d:%d, %s", v->width, v->height, av_get_pix_fmt_name(v->pix_fmt), v->sar.num,
             v->sar.den, rate);
}

static void stage_lines(ta_buf *b, const ta_job *job)
{
    char text[160];
    for (int i = 0; i < job->chain.count; i++) {
        const ta_stage *st = job->chain.stages[i];
        describe_format(&st->out.video, text, sizeof text);
        ta_buf_addf(b, "  %-14s %s\n  %-14s -> %s\n", st->name, st->spec, "", text);
    }
}

static void track_lines(ta_buf *b, const ta_job *job)
{
    for (int i = 0; i < job->n_tracks; i++) {
        const ta_track *t = &job->tracks[i];
        if (t->copy) {
            ta_buf_addf(b, "  stream %-7d copied\n", t->source);
            continue;
        }
        ta_buf_addf(b, "  stream %-7d", t->source);
        for (int k = 0; k < t->chain.count; k++)
            ta_buf_addf(b, " %s |", t->chain.stages[k]->spec);
        ta_buf_addf(b, " %s %lld kb/s\n", t->codec, (long long)t->target.bit_rate / 1000);
    }
}

/* Frames in flight: the edges between the stages, what stages look back at, and the encoder's look-ahead. */
static int64_t memory_estimate(const ta_job *job)
{
    int64_t bytes = 48 << 20;
    if (job->video < 0)
        return bytes;
    const ta_video_format *in = &job->link_in.video, *out = &job->link_out.video;
    int64_t small = av_image_get_buffer_size(in->pix_fmt, in->width, in->height, 32);
    int64_t large = av_image_get_buffer_size(out->pix_fmt, out->width, out->height, 32);
    for (int i = 0; i < job->chain.count; i++) {
        const ta_video_format *v = &job->chain.stages[i]->out.video;
        bytes += 6 * (int64_t)av_image_get_buffer_size(v->pix_fmt, v->width, v->height, 32);
    }
    bool looks_ahead = job->encoding.crf >= 0;
    return bytes + 10 * small + large * (looks_ahead ? 3 * (50 + job->encoding.threads) / 2 : 8);
}

static void cost_lines(ta_buf *b, const ta_job *job)
{
    char span[32], size[24], memory[24], space[24];
    if (job->estimate_seconds >= 0)
        ta_buf_addf(b, "time:   about %s\n", ta_print_span(job->estimate_seconds, span));
    ta_buf_addf(b, "memory: about %s\n", ta_print_size(memory_estimate(job), memory));
    ta_buf_addf(b, "disk:   about %s for the output, %s free\n", ta_print_size(job->estimate_bytes, size),
                ta_print_size(ta_free_space(job->output), space));
}

static char *as_text(const ta_job *job)
{
    char text[160];
    ta_buf b = { 0 };
    ta_buf_addf(&b, "input:  %s\noutput: %s\n", job->input, job->output);
    if (job->video >= 0) {
        describe_format(&job->link_in.video, text, sizeof text);
        ta_buf_addf(&b, "video:  %s\n  scan           %s\n", text, job->scan.reason);
        stage_lines(&b, job);
        ta_buf_addf(&b, "  %-14s %s%s%s", "encode", job->encoding.encoder, job->encoding.preset ? ", preset " : "",
                    job->encoding.preset ? job->encoding.preset : "");
        if (job->encoding.crf >= 0)
            ta_buf_addf(&b, ", CRF %d", job->encoding.crf);
        ta_buf_addf(&b, ", %d threads\n", job->encoding.threads);
    }
    ta_buf_add(&b, job->n_tracks ? "sound and other streams:\n" : "sound:  none\n");
    track_lines(&b, job);
    cost_lines(&b, job);
    return ta_buf_take(&b);
}

static json_t *format_json(const ta_video_format *v)
{
    return json_pack("{s:i, s:i, s:s, s:[i,i], s:[i,i]}", "width", v->width, "height", v->height, "pixel_format",
                     av_get_pix_fmt_name(v->pix_fmt), "sample_aspect_ratio", v->sar.num, v->sar.den, "frame_rate",
                     v->frame_rate.num, v->frame_rate.den);
}

static json_t *stages_json(const ta_job *job)
{
    json_t *list = json_array();
    for (int i = 0; i < job->chain.count; i++) {
        const ta_stage *st = job->chain.stages[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "name", st->name, "spec", st->spec, "output",
                                              format_json(&st->out.video)));
    }
    return list;
}

static char *as_json(const ta_job *job)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:I, s:I, s:f}", "input", job->input, "output", job->output, "container",
                          job->container->name, "memory_bytes", (json_int_t)memory_estimate(job), "output_bytes",
                          (json_int_t)job->estimate_bytes, "seconds", job->estimate_seconds);
    if (job->video >= 0) {
        json_object_set_new(o, "source", format_json(&job->link_in.video));
        json_object_set_new(o, "scan", json_string(job->scan.reason));
        json_object_set_new(o, "stages", stages_json(job));
        json_object_set_new(o, "encoder", json_string(job->encoding.encoder));
    }
    json_t *tracks = json_array();
    for (int i = 0; i < job->n_tracks; i++)
        json_array_append_new(tracks, json_pack("{s:i, s:s}", "source_stream", job->tracks[i].source, "codec",
                                                job->tracks[i].copy ? "copy" : job->tracks[i].codec));
    json_object_set_new(o, "tracks", tracks);
    char *json = json_dumps(o, JSON_INDENT(2) | JSON_REAL_PRECISION(6)), *own = json ? ta_strdup(json) : NULL;
    free(json);
    json_decref(o);
    return own;
}

char *ta_job_describe(const ta_job *job, int json)
{
    if (!job->planned)
        return NULL;
    return json ? as_json(job) : as_text(job);
}
