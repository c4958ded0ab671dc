/* Finding cuts in a file: one pass, picture and sound by their own times. */
#include <libavutil/samplefmt.h>
#include <math.h>
#include <stdlib.h>

#include "analyze/internal.h"

/* No time: before and behind every other, with room to add. */
#define NONE INT64_MIN
static const int64_t before_all = INT64_MIN / 4, behind_all = INT64_MAX / 4;
/* Sound is silent where its RMS over 20 ms stays under this (tape hiss is; the least word is not). */
static const double silence_rms = 0.0056; /* -45 dBFS */
static const int64_t window_us = 20000;

typedef struct spans {
    ta_cut *list;
    int count, cap;
} spans;

typedef struct cut_finder {
    const ta_cut_rules *rules;
    ta_input *in;
    ta_decoder *picture, *sound; /* sound NULL: none is wanted */
    int video, audio;            /* streams */
    AVPacket *pkt;
    AVFrame *frame;
    ta_scenes scenes;
    int64_t last_us, step_us; /* of frames */
    int64_t first_us;         /* of the first frame looked at */
    int64_t run_us;           /* where the present black or blue stretch began, or NONE */
    int64_t quiet_us;         /* where the present silence began, or NONE */
    int64_t sound_us;         /* up to where the sound was heard */
    double sum;               /* of squares in the present window */
    int64_t n, window_from_us;
    spans pictures, silences, found;
} cut_finder;

static int add_span(spans *s, int64_t from, int64_t to, ta_error *err)
{
    if (s->count == TA_MAX_CUTS) {
        ta_fail(err, TA_ERR_USAGE, "more than %d cuts were found", TA_MAX_CUTS);
        return ta_hint(err, "a higher threshold or a longer least length finds fewer");
    }
    if (s->count == s->cap) {
        int cap = s->cap ? 2 * s->cap : 64;
        ta_cut *grown = ta_resize(s->list, (size_t)cap, sizeof *grown);
        if (!grown)
            return ta_no_memory(err);
        s->list = grown;
        s->cap = cap;
    }
    s->list[s->count++] = (ta_cut){ from, to };
    return 0;
}

/* ---- Picture ----------------------------------------------------------------------------------------------------- */

static int end_run(cut_finder *c, int64_t us, ta_error *err)
{
    int64_t from = c->run_us;
    c->run_us = NONE;
    return us - from >= c->rules->least_us ? add_span(&c->pictures, from, us, err) : 0;
}

static int look_at(cut_finder *c, const AVFrame *f, int64_t us, ta_error *err)
{
    ta_grid g;
    int64_t cut_us;
    int r = ta_grid_read(&g, f, err);
    if (r < 0)
        return r;
    if (c->rules->kind == TA_CUT_SCENES)
        return ta_scenes_add(&c->scenes, &g, us, &cut_us) ? add_span(&c->found, cut_us, cut_us, err) : 0;
    bool in = c->rules->kind == TA_CUT_BLACK ? ta_grid_is_black(&g) : ta_grid_is_blue(&g);
    if (in && c->run_us == NONE)
        c->run_us = us;
    return !in && c->run_us != NONE ? end_run(c, us, err) : 0;
}

static bool wanted(const cut_finder *c, int64_t us)
{
    return us >= c->rules->from_us && us < c->rules->to_us;
}

static int take_picture(cut_finder *c, ta_error *err)
{
    AVRational base = ta_input_context(c->in)->streams[c->video]->time_base;
    int64_t us = c->frame->pts != AV_NOPTS_VALUE ? av_rescale_q(c->frame->pts, base, AV_TIME_BASE_Q)
                 : c->last_us != NONE            ? c->last_us + c->step_us
                                                 : ta_input_start_us(c->in);
    if (c->last_us != NONE && us <= c->last_us)
        return 0;
    if (c->last_us != NONE)
        c->step_us = us - c->last_us;
    c->last_us = us;
    if (wanted(c, us) && c->first_us == NONE)
        c->first_us = us;
    return wanted(c, us) ? look_at(c, c->frame, us, err) : 0;
}

/* ---- Sound ------------------------------------------------------------------------------------------------------- */

static double sample_at(const AVFrame *f, int channel, int i)
{
    bool planar = av_sample_fmt_is_planar(f->format);
    int at = planar ? i : i * f->ch_layout.nb_channels + channel;
    const uint8_t *p = f->extended_data[planar ? channel : 0];
    switch (av_get_packed_sample_fmt(f->format)) {
    case AV_SAMPLE_FMT_U8:
        return (p[at] - 128) / 128.0;
    case AV_SAMPLE_FMT_S16:
        return ((const int16_t *)(const void *)p)[at] / 32768.0;
    case AV_SAMPLE_FMT_S32:
        return ((const int32_t *)(const void *)p)[at] / 2147483648.0;
    case AV_SAMPLE_FMT_FLT:
        return (double)((const float *)(const void *)p)[at];
    case AV_SAMPLE_FMT_DBL:
        return ((const double *)(const void *)p)[at];
    default:
        return 1; /* unknown: never silent */
    }
}

static int end_silence(cut_finder *c, int64_t us, ta_error *err)
{
    int64_t from = c->quiet_us;
    c->quiet_us = NONE;
    return us - from >= c->rules->least_us ? add_span(&c->silences, from, us, err) : 0;
}

static int end_window(cut_finder *c, int64_t us, ta_error *err)
{
    bool quiet = sqrt(c->sum / (double)TA_MAX(c->n, 1)) < silence_rms;
    int64_t from = c->window_from_us;
    c->sum = 0;
    c->n = 0;
    c->window_from_us = us;
    if (quiet && c->quiet_us == NONE)
        c->quiet_us = from;
    return !quiet && c->quiet_us != NONE ? end_silence(c, from, err) : 0;
}

static int take_sound(cut_finder *c, ta_error *err)
{
    const AVFrame *f = c->frame;
    AVRational base = ta_input_context(c->in)->streams[c->audio]->time_base;
    int64_t us = f->pts == AV_NOPTS_VALUE ? c->sound_us : av_rescale_q(f->pts, base, AV_TIME_BASE_Q);
    int r = 0;
    if (c->sound_us == NONE) { /* before its first sample the sound is silent, and behind the last */
        c->window_from_us = us;
        c->quiet_us = before_all;
    }
    for (int i = 0; i < f->nb_samples && r >= 0; i++) {
        for (int ch = 0; ch < f->ch_layout.nb_channels; ch++, c->n++) {
            double x = sample_at(f, ch, i);
            c->sum += x * x;
        }
        int64_t now = us + av_rescale(i + 1, 1000000, TA_MAX(f->sample_rate, 1));
        if (now - c->window_from_us >= window_us)
            r = end_window(c, now, err);
        c->sound_us = now;
    }
    return r;
}

/* ---- The pass ---------------------------------------------------------------------------------------------------- */

static int receive(cut_finder *c, ta_decoder *d, ta_error *err)
{
    int r;
    while ((r = ta_decoder_receive(d, c->frame, err)) > 0) {
        r = d == c->picture ? take_picture(c, err) : take_sound(c, err);
        av_frame_unref(c->frame);
        if (r < 0)
            return r;
    }
    return r == TA_DECODER_END ? 0 : r;
}

static int decode(cut_finder *c, ta_decoder *d, const AVPacket *pkt, ta_error *err)
{
    int r;
    while ((r = ta_decoder_send(d, pkt, err)) == TA_RECEIVE_FIRST)
        if ((r = receive(c, d, err)) < 0)
            return r;
    return r < 0 ? r : receive(c, d, err);
}

/* Sound and picture of one moment may lie this far apart in a file. */
static const int64_t interleave_us = 5 * 1000000;

static bool far_behind(const cut_finder *c)
{
    if (c->rules->to_us == INT64_MAX || c->pkt->dts == AV_NOPTS_VALUE)
        return false;
    AVRational base = ta_input_context(c->in)->streams[c->pkt->stream_index]->time_base;
    return av_rescale_q(c->pkt->dts, base, AV_TIME_BASE_Q) > c->rules->to_us + interleave_us;
}

static int read_and_decode(cut_finder *c, ta_cancel *cancel, ta_error *err)
{
    int r = 1;
    while (r > 0 && (r = ta_input_read(c->in, c->pkt, err)) > 0) {
        if (far_behind(c))
            r = 0;
        else if (c->pkt->stream_index == c->video)
            r = decode(c, c->picture, c->pkt, err);
        else if (c->sound && c->pkt->stream_index == c->audio)
            r = decode(c, c->sound, c->pkt, err);
        else
            r = 1;
        r = r < 0 ? r : far_behind(c) ? 0 : 1;
        av_packet_unref(c->pkt);
        if (ta_cancelled(cancel))
            return ta_fail(err, TA_ERR_CANCELLED, "cancelled");
    }
    if (r >= 0)
        r = decode(c, c->picture, NULL, err);
    return r >= 0 && c->sound ? decode(c, c->sound, NULL, err) : r;
}

/* What still runs goes on behind the end. */
static int finish(cut_finder *c, ta_error *err)
{
    int64_t cut_us;
    int r = 0;
    if (c->rules->kind == TA_CUT_SCENES && ta_scenes_add(&c->scenes, NULL, 0, &cut_us))
        r = add_span(&c->found, cut_us, cut_us, err);
    if (r >= 0 && c->run_us != NONE)
        r = end_run(c, behind_all, err);
    if (r < 0 || !c->sound)
        return r;
    if (c->quiet_us == NONE)
        c->quiet_us = c->sound_us == NONE ? before_all : c->sound_us;
    return end_silence(c, behind_all, err);
}

/* A cut in the middle; none where the black is at an end of the file, as no part would lie beyond it. */
static void cut_in_the_middle(cut_finder *c)
{
    int kept = 0;
    for (int i = 0; i < c->found.count; i++) {
        ta_cut cut = c->found.list[i];
        if (cut.from_us <= c->first_us || cut.to_us == behind_all)
            continue;
        cut.from_us = cut.to_us = cut.from_us + (cut.to_us - cut.from_us) / 2;
        c->found.list[kept++] = cut;
    }
    c->found.count = kept;
}

/* Black and silence together for long enough; without any sound black is enough. */
static int intersect(cut_finder *c, ta_error *err)
{
    int r = 0;
    for (int i = 0, k = 0; i < c->pictures.count && r >= 0; i++) {
        const ta_cut *p = &c->pictures.list[i];
        if (!c->sound) {
            r = add_span(&c->found, p->from_us, p->to_us, err);
            continue;
        }
        while (k < c->silences.count && c->silences.list[k].to_us <= p->from_us)
            k++;
        for (int j = k; j < c->silences.count && c->silences.list[j].from_us < p->to_us && r >= 0; j++) {
            int64_t from = TA_MAX(p->from_us, c->silences.list[j].from_us);
            int64_t to = TA_MIN(p->to_us, c->silences.list[j].to_us);
            if (to - from >= c->rules->least_us)
                r = add_span(&c->found, from, to, err);
        }
    }
    if (!c->rules->drop)
        cut_in_the_middle(c);
    return r;
}

static int open_finder(cut_finder *c, const char *path, ta_input *known, ta_cancel *cancel, ta_error *err)
{
    int r = ta_input_open_as(&c->in, path, 0, known, cancel, err);
    c->pkt = av_packet_alloc();
    c->frame = av_frame_alloc();
    if (r < 0 || !c->pkt || !c->frame)
        return r < 0 ? r : ta_no_memory(err);
    AVFormatContext *ctx = ta_input_context(c->in);
    c->audio = c->rules->kind == TA_CUT_BLACK ? av_find_best_stream(ctx, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0) : -1;
    ta_input_select(c->in, 1ull << c->video | (c->audio >= 0 ? 1ull << c->audio : 0));
    if (c->rules->kind == TA_CUT_TIMES)
        return 0;
    r = ta_decoder_open(&c->picture, ctx->streams[c->video], 0, err);
    if (r >= 0)
        ta_decoder_context(c->picture)->skip_loop_filter = AVDISCARD_ALL;
    return r >= 0 && c->audio >= 0 ? ta_decoder_open(&c->sound, ctx->streams[c->audio], 1, err) : r;
}

static void close_finder(cut_finder *c)
{
    ta_decoder_close(&c->picture);
    ta_decoder_close(&c->sound);
    av_frame_free(&c->frame);
    av_packet_free(&c->pkt);
    ta_input_close(&c->in);
    ta_free(c->pictures.list);
    ta_free(c->silences.list);
}

/* ---- Times of frames --------------------------------------------------------------------------------------------- */

/* Moves each end to the first frame at or behind it, by packet times; rounded time stamps get half a millisecond. */
typedef struct snap {
    int64_t *at; /* all ends, rising */
    int64_t *best;
    int count;
} snap;

static void snap_to(snap *s, int64_t us)
{
    int lo = 0, hi = s->count; /* the ends before or at `us` */
    while (lo < hi) {
        int mid = (lo + hi) / 2;
        if (s->at[mid] <= us + 500)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (int i = lo - 1; i >= 0 && s->best[i] > us; i--)
        s->best[i] = us;
}

static int read_times(cut_finder *c, snap *s, ta_cancel *cancel, ta_error *err)
{
    AVRational base = ta_input_context(c->in)->streams[c->video]->time_base;
    int r;
    while ((r = ta_input_read(c->in, c->pkt, err)) > 0) {
        if (c->pkt->pts != AV_NOPTS_VALUE)
            snap_to(s, av_rescale_q(c->pkt->pts, base, AV_TIME_BASE_Q));
        bool over = c->pkt->dts != AV_NOPTS_VALUE && s->count &&
                    av_rescale_q(c->pkt->dts, base, AV_TIME_BASE_Q) > s->at[s->count - 1] + interleave_us;
        av_packet_unref(c->pkt);
        if (ta_cancelled(cancel))
            return ta_fail(err, TA_ERR_CANCELLED, "cancelled");
        if (over)
            return 0;
    }
    return r;
}

static int snap_cuts(const char *path, ta_input *known, int stream, spans *found, ta_cancel *cancel, ta_error *err)
{
    static const ta_cut_rules rules = { .kind = TA_CUT_TIMES };
    cut_finder c = { .rules = &rules, .video = stream, .audio = -1 };
    size_t n = 2 * (size_t)found->count;
    snap s = { ta_array(n + 1, sizeof *s.at), ta_array(n + 1, sizeof *s.best), (int)n };
    int r = s.at && s.best ? open_finder(&c, path, known, cancel, err) : ta_no_memory(err);
    for (int i = 0; r >= 0 && i < s.count; i++) {
        s.at[i] = i % 2 ? found->list[i / 2].to_us : found->list[i / 2].from_us;
        s.best[i] = INT64_MAX;
    }
    if (r >= 0)
        r = read_times(&c, &s, cancel, err);
    for (int i = 0; r >= 0 && i < s.count; i++)
        if (s.best[i] != INT64_MAX)
            *(i % 2 ? &found->list[i / 2].to_us : &found->list[i / 2].from_us) = s.best[i];
    close_finder(&c);
    ta_free(s.at);
    ta_free(s.best);
    return r;
}

int ta_find_cuts(const char *path, ta_input *known, int stream, const ta_cut_rules *rules, ta_cancel *cancel,
                 ta_cuts *cuts, ta_error *err)
{
    cut_finder c = { .rules = rules, .video = stream, .audio = -1 };
    c.last_us = c.sound_us = c.first_us = c.run_us = c.quiet_us = NONE;
    c.scenes = (ta_scenes){ .threshold = rules->threshold, .least_us = rules->least_us };
    int r = 0;
    for (int i = 0; rules->kind == TA_CUT_TIMES && i < rules->n_times && r >= 0; i++)
        r = add_span(&c.found, rules->times_us[i], rules->times_us[i], err);
    if (rules->kind != TA_CUT_TIMES) {
        r = open_finder(&c, path, known, cancel, err);
        if (r >= 0)
            r = read_and_decode(&c, cancel, err);
        if (r >= 0)
            r = finish(&c, err);
        if (r >= 0 && rules->kind == TA_CUT_BLACK)
            r = intersect(&c, err);
    }
    if (r >= 0 && rules->kind == TA_CUT_BLUE) {
        ta_free(c.found.list);
        c.found = c.pictures;
        c.pictures = (spans){ 0 };
    }
    close_finder(&c);
    if (r >= 0 && stream >= 0 && c.found.count && (rules->kind == TA_CUT_TIMES || rules->kind == TA_CUT_BLACK))
        r = snap_cuts(path, known, stream, &c.found, cancel, err);
    *cuts = (ta_cuts){ c.found.list, c.found.count };
    if (r < 0)
        ta_cuts_free(cuts);
    return r;
}

void ta_cuts_free(ta_cuts *cuts)
{
    ta_freep(&cuts->list);
    cuts->count = 0;
}
