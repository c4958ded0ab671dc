/* The side pass: one reading of the file beside the video's. It decodes the sound through its chains into spools while
 * loudness is measured, keeps the packets of copied streams, and hashes the source on the way. The sound is finished
 * before it is encoded, so one gain can be right for the whole track. In a durable job the chains run in pieces, of
 * which those that an earlier run finished are not run again; decoding always starts at the front. */
#include <libswresample/swresample.h>
#include <math.h>

#include "restore/sound_pieces.h"

/* Sound up to this size stays in memory. */
static const size_t spool_memory = 12u << 20;
/* A hole in the sound longer than this is filled with silence; shorter ones are jitter of the time stamps. */
static const int64_t gap_us = 20000;

typedef struct side_track {
    ta_track *t;
    ta_job *job;
    ta_space *space;   /* of the job folder, where spools grow */
    ta_pieces *pieces; /* durable */
    ta_decoder *decoder;
    ta_loudness_meter *before, *after;
    ta_channel_meter *channels;
    ta_audio_format format; /* of the decoded sound */
    int64_t expected;       /* next sample of the source, in samples from the job's zero; INT64_MIN at first */
    int64_t in_samples;
    bool configured;
    SwrContext *swr; /* after a change of the source's format */
    ta_audio_format swr_in;
} side_track;

typedef struct side_pass {
    ta_job *job;
    ta_input *in;
    side_track tracks[TA_MAX_TRACKS];
    int64_t last_dts[64]; /* of copied streams */
    ta_space space;
    bool hashes, weighs;            /* the source; when nobody did before */
    char sha256[TA_MAX_TRACKS][65]; /* durable: of the spools */
} side_pass;

/* ---- The end of a chain: meter and spool ------------------------------------------------------------------------- */

static int spool_frame(side_track *s, const AVFrame *f, ta_error *err)
{
    int bytes = av_get_bytes_per_sample(f->format), channels = f->ch_layout.nb_channels;
    if (!av_sample_fmt_is_planar(f->format) || channels == 1)
        return ta_spool_write(s->t->pcm, f->extended_data[0], (size_t)f->nb_samples * (size_t)(bytes * channels), err);
    return ta_fail(err, TA_ERR_SOFTWARE, "the sound chain ends in a planar format");
}

static int take_finished(void *to, AVFrame *f, ta_error *err)
{
    side_track *s = to;
    int r = s->after ? ta_loudness_meter_add(s->after, f, err) : 0;
    if (r >= 0)
        r = spool_frame(s, f, err);
    if (r >= 0)
        r = ta_space_check(s->space, err);
    s->t->samples += f->nb_samples;
    av_frame_free(&f);
    return r;
}

static int start_chain(side_track *s, const AVFrame *f, ta_error *err)
{
    ta_link in = { .type = AVMEDIA_TYPE_AUDIO }, out;
    s->format = (ta_audio_format){ f->sample_rate, f->ch_layout, (enum AVSampleFormat)f->format };
    in.audio = s->format;
    int r = ta_chain_configure(&s->t->chain, &in, &out, err);
    if (r < 0)
        return r;
    s->t->target.format = out.audio;
    r = ta_loudness_meter_new(&s->before, &s->format, err);
    if (r >= 0 && s->t->chain.count > 0) /* else it is the same sound */
        r = ta_loudness_meter_new(&s->after, &out.audio, err);
    if (r >= 0 && s->job->durable)
        r = ta_pieces_open(&s->pieces, s->job, s->t, &s->format, err);
    s->configured = true;
    return r;
}

static int push_samples(side_track *s, AVFrame *f, ta_error *err)
{
    int r = s->configured ? 0 : start_chain(s, f, err);
    if (r >= 0)
        r = ta_loudness_meter_add(s->before, f, err);
    if (r >= 0)
        r = ta_channel_meter_add(s->channels, f, err);
    if (r < 0) {
        av_frame_free(&f);
        return r;
    }
    f->pts = s->in_samples;
    s->in_samples += f->nb_samples;
    return s->pieces ? ta_pieces_push(s->pieces, f, err) : ta_chain_push(&s->t->chain, f, take_finished, s, err);
}

/* ---- Time: cut, silence in holes, nothing twice ------------------------------------------------------------------ */

static int push_silence(side_track *s, int64_t samples, ta_error *err)
{
    while (samples > 0) {
        int n = (int)TA_MIN(samples, 4096);
        AVFrame *f = ta_sound_silence(&s->format, n);
        int r = f ? push_samples(s, f, err) : ta_no_memory(err);
        if (r < 0)
            return r;
        samples -= n;
    }
    return 0;
}

/* Drops `skip` samples from the front. */
static int trim_front(AVFrame *f, int64_t skip, ta_error *err)
{
    if (skip <= 0)
        return 0;
    int keep = f->nb_samples - (int)skip;
    int r = av_frame_make_writable(f);
    if (r < 0)
        return ta_no_memory(err);
    av_samples_copy(f->extended_data, f->extended_data, 0, (int)skip, keep, f->ch_layout.nb_channels, f->format);
    f->nb_samples = keep;
    return 0;
}

/* The sound before the start and behind the end is cut to the sample. 0 = nothing is left. */
static int cut(const side_pass *p, AVFrame *f, int64_t *at, ta_error *err)
{
    const ta_job *job = p->job;
    if (job->end_us != INT64_MAX) {
        int64_t end = av_rescale(job->end_us - job->zero_us, f->sample_rate, 1000000);
        f->nb_samples = (int)TA_CLAMP(end - *at, 0, f->nb_samples);
    }
    int64_t before = job->start_us == ta_input_start_us(p->in) ? 0 : TA_MAX(-*at, 0);
    if (before >= f->nb_samples || f->nb_samples <= 0)
        return 0;
    *at += before;
    int r = trim_front(f, before, err);
    return r < 0 ? r : 1;
}

static bool same_format(const ta_audio_format *a, const AVFrame *f)
{
    return f->sample_rate == a->sample_rate && f->format == (int)a->sample_fmt &&
           av_channel_layout_compare(&f->ch_layout, &a->layout) == 0;
}

static int drop_frame(AVFrame *f)
{
    av_frame_free(&f);
    return 0;
}

/* Puts decoded sound on the job's time line. */
static int place(side_pass *p, side_track *s, AVFrame *f, ta_error *err)
{
    const AVStream *st = ta_input_context(p->in)->streams[s->t->source];
    int rate = f->sample_rate;
    int64_t at = s->expected;
    if (f->pts != AV_NOPTS_VALUE) {
        int64_t us = av_rescale_q(f->pts, st->time_base, AV_TIME_BASE_Q) - p->job->zero_us;
        at = av_rescale(us, rate, 1000000);
    }
    if (at == INT64_MIN)
        at = 0;
    int r = cut(p, f, &at, err);
    if (r <= 0) {
        av_frame_free(&f);
        return r;
    }
    int64_t slack = av_rescale(gap_us, rate, 1000000);
    if (s->expected == INT64_MIN) {
        s->t->start = s->expected = at;
    } else if (at > s->expected + slack) {
        s->t->gaps++;
        s->t->gap_samples += (uint64_t)(at - s->expected);
        if ((r = push_silence(s, at - s->expected, err)) < 0) {
            av_frame_free(&f);
            return r;
        }
        s->expected = at;
    } else if (at < s->expected - slack) {
        int64_t twice = s->expected - at;
        s->t->overlaps++;
        if (twice >= f->nb_samples)
            return drop_frame(f);
        if ((r = trim_front(f, twice, err)) < 0) {
            av_frame_free(&f);
            return r;
        }
    }
    s->expected += f->nb_samples;
    return push_samples(s, f, err);
}

static int open_resampler(side_track *s, const AVFrame *f, ta_error *err)
{
    AVChannelLayout from = f->ch_layout; /* swr only reads it */
    swr_free(&s->swr);
    int r = swr_alloc_set_opts2(&s->swr, &s->format.layout, s->format.sample_fmt, s->format.sample_rate, &from,
                                f->format, f->sample_rate, 0, NULL);
    if (r >= 0)
        r = swr_init(s->swr);
    if (r < 0)
        return ta_fail_av(err, r, TA_ERR_DATA, "stream %d changes to a sound format that can't be converted",
                          s->t->source);
    s->swr_in = (ta_audio_format){ f->sample_rate, f->ch_layout, (enum AVSampleFormat)f->format };
    s->t->format_changes++;
    return 0;
}

/* A tape may change its sound format: what follows is brought to the format the track began with. */
static int convert(side_track *s, AVFrame **f, ta_error *err)
{
    if (!s->configured || same_format(&s->format, *f))
        return 0;
    int r = s->swr && same_format(&s->swr_in, *f) ? 0 : open_resampler(s, *f, err);
    AVFrame *out = r >= 0 ? av_frame_alloc() : NULL;
    if (!out)
        return r < 0 ? r : ta_no_memory(err);
    out->sample_rate = s->format.sample_rate;
    out->format = s->format.sample_fmt;
    r = av_channel_layout_copy(&out->ch_layout, &s->format.layout);
    if (r >= 0)
        r = swr_convert_frame(s->swr, out, *f);
    out->pts = (*f)->pts;
    if (r < 0) {
        av_frame_free(&out);
        return ta_fail_av(err, r, TA_ERR_SOFTWARE, "the sound format can't be converted");
    }
    av_frame_free(f);
    *f = out;
    return 0;
}

/* ---- Decoding ---------------------------------------------------------------------------------------------------- */

static int receive(side_pass *p, side_track *s, ta_error *err)
{
    for (;;) {
        AVFrame *f = av_frame_alloc();
        if (!f)
            return ta_no_memory(err);
        int r = ta_decoder_receive(s->decoder, f, err);
        if (r <= 0) {
            av_frame_free(&f);
            return r == TA_DECODER_END ? 0 : r;
        }
        if (f->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC)
            av_channel_layout_default(&f->ch_layout, f->ch_layout.nb_channels);
        if ((r = convert(s, &f, err)) < 0)
            av_frame_free(&f);
        else
            r = place(p, s, f, err);
        if (r < 0)
            return r;
    }
}

static int decode(side_pass *p, side_track *s, const AVPacket *pkt, ta_error *err)
{
    int r;
    while ((r = ta_decoder_send(s->decoder, pkt, err)) == TA_RECEIVE_FIRST)
        if ((r = receive(p, s, err)) < 0)
            return r;
    return r < 0 ? r : receive(p, s, err);
}

/* ---- Copied packets ---------------------------------------------------------------------------------------------- */

/* Is the packet within the range? A subtitle that is shown when the range begins or ends is cut to it, and `t` moved
 * to the beginning. An end that isn't known stays so: libav says 2^32 - 1 ms for it. */
static bool cut_to_range(const ta_job *job, const AVStream *st, AVPacket *pkt, int64_t *t)
{
    int64_t us = av_rescale_q(*t, st->time_base, AV_TIME_BASE_Q);
    bool subtitle = st->codecpar->codec_type == AVMEDIA_TYPE_SUBTITLE;
    int64_t length = av_rescale_q(pkt->duration, st->time_base, AV_TIME_BASE_Q);
    if (subtitle && length >= UINT32_MAX * INT64_C(1000))
        length = pkt->duration = 0;
    int64_t begin = subtitle && us + length > job->start_us ? TA_MAX(us, job->start_us) : us;
    int64_t end = subtitle ? TA_MIN(us + length, job->end_us) : us + length;
    if (length > 0 && end - begin < length)
        pkt->duration = av_rescale_q(end - begin, AV_TIME_BASE_Q, st->time_base);
    int64_t shift = av_rescale_q(begin - us, AV_TIME_BASE_Q, st->time_base);
    *t += shift;
    pkt->dts += pkt->dts == AV_NOPTS_VALUE ? 0 : shift;
    return begin >= job->start_us && begin < job->end_us;
}

static int copy_packet(side_pass *p, const ta_track *track, AVPacket *pkt, ta_error *err)
{
    const ta_job *job = p->job;
    const AVStream *st = ta_input_context(p->in)->streams[pkt->stream_index];
    int64_t t = pkt->pts != AV_NOPTS_VALUE ? pkt->pts : pkt->dts;
    if (st->disposition & AV_DISPOSITION_ATTACHED_PIC) { /* a cover has no time */
        pkt->pts = pkt->dts = 0;
        return ta_spool_write_packet(job->copied, pkt, err);
    }
    if (t == AV_NOPTS_VALUE)
        return 0;
    if (!cut_to_range(job, st, pkt, &t))
        return 0;
    int r = track->text ? ta_subtitles_convert(track->text, pkt, err) : 1;
    if (r <= 0)
        return r;
    int64_t zero = av_rescale_q(job->zero_us, AV_TIME_BASE_Q, st->time_base);
    pkt->pts = t - zero;
    pkt->dts = pkt->dts == AV_NOPTS_VALUE ? pkt->pts : pkt->dts - zero;
    int64_t *last = &p->last_dts[pkt->stream_index];
    pkt->dts = TA_MAX(pkt->dts, *last == INT64_MIN ? pkt->dts : *last + 1);
    pkt->pts = TA_MAX(pkt->pts, pkt->dts);
    *last = pkt->dts;
    return ta_spool_write_packet(job->copied, pkt, err);
}

/* ---- The pass ------------------------------------------------------------------------------------------------------
 */

static ta_track *track_of(side_pass *p, int stream, side_track **s)
{
    for (int i = 0; i < p->job->n_tracks; i++)
        if (p->job->tracks[i].source == stream) {
            *s = &p->tracks[i];
            return &p->job->tracks[i];
        }
    return NULL;
}

static void report_progress(side_pass *p, const AVPacket *pkt)
{
    const AVStream *st = ta_input_context(p->in)->streams[pkt->stream_index];
    if (pkt->dts != AV_NOPTS_VALUE)
        atomic_store(&p->job->side_us, av_rescale_q(pkt->dts, st->time_base, AV_TIME_BASE_Q) - p->job->zero_us);
}

/* Where the source has more bytes there is more to encode, too. */
static void weigh(ta_job *job, const AVStream *st, const AVPacket *pkt)
{
    int64_t t = pkt->pts != AV_NOPTS_VALUE ? pkt->pts : pkt->dts;
    int64_t second =
        t == AV_NOPTS_VALUE ? -1 : (av_rescale_q(t, st->time_base, AV_TIME_BASE_Q) - job->zero_us) / 1000000;
    if (second >= 0 && second < job->weights)
        atomic_fetch_add(&job->weight[second], (uint32_t)pkt->size);
}

/* What lies this far outside of a part's range is not decoded for it. */
static const int64_t part_margin_us = 5 * 1000000;

static bool outside_of_part(const side_pass *p, const AVPacket *pkt, bool *behind)
{
    const ta_job *job = p->job;
    const AVStream *st = ta_input_context(p->in)->streams[pkt->stream_index];
    int64_t t = pkt->dts != AV_NOPTS_VALUE ? pkt->dts : pkt->pts;
    if (!job->part || job->durable || t == AV_NOPTS_VALUE)
        return false;
    int64_t us = av_rescale_q(t, st->time_base, AV_TIME_BASE_Q);
    *behind = job->end_us != INT64_MAX && us > job->end_us + part_margin_us;
    return *behind || us < job->start_us - part_margin_us;
}

static int read_all(side_pass *p, ta_error *err)
{
    AVPacket *pkt = av_packet_alloc();
    int r = pkt ? 1 : ta_no_memory(err);
    while (r >= 0 && (r = ta_input_read(p->in, pkt, err)) > 0) {
        side_track *s;
        bool behind = false, outside = outside_of_part(p, pkt, &behind);
        ta_track *t = track_of(p, pkt->stream_index, &s);
        if (pkt->stream_index == p->job->video && p->weighs)
            weigh(p->job, ta_input_context(p->in)->streams[pkt->stream_index], pkt);
        else if (t && t->copy)
            r = copy_packet(p, t, pkt, err);
        else if (t && !outside)
            r = decode(p, s, pkt, err);
        report_progress(p, pkt);
        av_packet_unref(pkt);
        if (behind && r >= 0 && p->job->source_sha256[0])
            break; /* the rest was hashed for an earlier part */
        if (ta_cancelled(p->job->cancel))
            r = ta_fail(err, TA_ERR_CANCELLED, "cancelled");
    }
    av_packet_free(&pkt);
    return r;
}

/* The finished track, read from its spool for whoever must measure it again. */
typedef struct spool_reader {
    ta_track *t;
    const ta_cancel *cancel;
    int64_t pos;
} spool_reader;

static int read_spool(void *opaque, bool rewind, AVFrame **frame, ta_error *err)
{
    spool_reader *r = opaque;
    if (rewind)
        r->pos = 0;
    *frame = NULL;
    if (ta_cancelled(r->cancel))
        return ta_fail(err, TA_ERR_CANCELLED, "cancelled");
    int got = r->pos < r->t->samples ? ta_track_read(r->t, r->pos, frame, err) : 0;
    r->pos += got > 0 ? (*frame)->nb_samples : 0;
    return got < 0 ? got : 0;
}

/* One gain for the whole track; what a limiter takes away is found by trying. */
static int settle_gain(side_pass *p, ta_track *t, ta_error *err)
{
    const ta_settings *s = p->job->settings;
    spool_reader reader = { t, p->job->cancel, 0 };
    ta_sound_gain(s, &t->after, &t->gain);
    if (!ta_get_bool(s, TA_SET_limiter))
        return 0;
    ta_loudness reached;
    return ta_sound_fit(s, &t->target.format, &t->after, read_spool, &reader, &t->gain, &reached, err);
}

/* Goes over the whole spool: what was made by several runs is measured as what was made by one. */
static int measure_pieces(side_pass *p, side_track *s, char sha256[65], ta_error *err)
{
    spool_reader reader = { s->t, p->job->cancel, 0 };
    int bytes = av_get_bytes_per_sample(s->t->target.format.sample_fmt) * s->t->target.format.layout.nb_channels;
    ta_sha256 *h = ta_sha256_new();
    AVFrame *f = NULL;
    int r = h ? read_spool(&reader, true, &f, err) : ta_no_memory(err);
    while (r >= 0 && f) {
        ta_sha256_add(h, f->data[0], (size_t)f->nb_samples * (size_t)bytes);
        r = s->after ? ta_loudness_meter_add(s->after, f, err) : 0;
        av_frame_free(&f);
        if (r >= 0)
            r = read_spool(&reader, false, &f, err);
    }
    if (r >= 0)
        ta_sha256_end(&h, sha256);
    ta_sha256_drop(&h);
    return r;
}

static int end_chain(side_pass *p, side_track *s, ta_error *err)
{
    if (!s->pieces)
        return ta_chain_push(&s->t->chain, NULL, take_finished, s, err);
    int r = ta_pieces_end(s->pieces, err);
    ta_pieces_free(&s->pieces);
    return r < 0 ? r : measure_pieces(p, s, p->sha256[s - p->tracks], err);
}

static int finish_track(side_pass *p, side_track *s, ta_error *err)
{
    ta_track *t = s->t;
    int r = decode(p, s, NULL, err);
    if (r >= 0 && s->configured)
        r = end_chain(p, s, err);
    if (r < 0)
        return r;
    t->decode_errors = ta_decoder_errors(s->decoder);
    t->dropped = t->samples == 0;
    if (t->dropped) {
        ta_sound_note_dropped(p->job, t);
        return 0;
    }
    r = ta_loudness_meter_result(s->before, &t->before, err);
    if (r >= 0)
        r = ta_loudness_meter_result(s->after ? s->after : s->before, &t->after, err);
    if (r < 0)
        return r;
    t->start = av_rescale(t->start, t->target.format.sample_rate, s->format.sample_rate);
    t->fault = ta_channel_meter_result(s->channels, t->advice);
    return settle_gain(p, t, err);
}

/* audio-drift stretches the sound about the job's zero; audio-shift moves it; what would come before zero is cut. */
static void shift_track(ta_job *job, ta_track *t)
{
    double ms = ta_get_float(job->settings, TA_SET_audio_shift);
    double stretch = 1 + ta_get_float(job->settings, TA_SET_audio_drift) / 1e6;
    double samples = ms * t->target.format.sample_rate / 1000;
    t->start = llrint((double)t->start * stretch + samples) - t->target.hidden_delay;
}

/* Everything but the spools; the rest of the job needs the memory. */
static void let_go(side_pass *p)
{
    for (int i = 0; i < TA_MAX_TRACKS; i++) {
        side_track *s = &p->tracks[i];
        ta_decoder_close(&s->decoder);
        ta_pieces_free(&s->pieces);
        ta_loudness_meter_free(&s->before);
        ta_loudness_meter_free(&s->after);
        ta_channel_meter_free(&s->channels);
        swr_free(&s->swr);
        if (s->t)
            ta_chain_free(&s->t->chain);
    }
    ta_input_close(&p->in);
    ta_release_memory();
}

static int side_main(void *opaque, ta_error *err)
{
    side_pass *p = opaque;
    int r = read_all(p, err);
    for (int i = 0; i < p->job->n_tracks && r >= 0; i++)
        if (!p->job->tracks[i].copy) {
            r = finish_track(p, &p->tracks[i], err);
            shift_track(p->job, &p->job->tracks[i]);
        }
    if (r >= 0 && p->hashes)
        r = ta_input_sha256(p->in, p->job->source_sha256, err);
    ta_input_get_stats(p->in, &p->job->input_stats);
    if (r >= 0 && p->job->durable)
        r = ta_sound_save(p->job, p->sha256, err);
    if (p->weighs)
        atomic_store(&p->job->weighed, r >= 0);
    let_go(p);
    return r;
}

static void free_side(void *opaque)
{
    side_pass *p = opaque;
    let_go(p);
    ta_free(p->space.folder);
    ta_free(p);
}

static int open_track(side_pass *p, int i, ta_error *err)
{
    ta_track *t = &p->job->tracks[i];
    side_track *s = &p->tracks[i];
    char name[32];
    s->t = t;
    s->job = p->job;
    s->space = &p->space;
    s->expected = INT64_MIN;
    if (t->copy)
        return 0;
    snprintf(name, sizeof name, "sound-%d.pcm", t->source);
    char *path = p->job->durable ? NULL : ta_job_folder_file(p->job->folder, name);
    int r = 0;
    if (!p->job->durable) /* else pieces open it, who know what is in it */
        r = path ? ta_spool_new(&t->pcm, path, spool_memory, err) : ta_no_memory(err);
    ta_free(path);
    if (r < 0)
        return r;
    s->channels = ta_channel_meter_new();
    if (!s->channels)
        return ta_no_memory(err);
    return ta_decoder_open(&s->decoder, ta_input_context(p->in)->streams[t->source], 1, err);
}

int ta_side_node(ta_job *job, ta_edge *const *ready, int n_ready, ta_error *err)
{
    uint64_t mask = 0;
    side_pass *p = ta_alloc(sizeof *p);
    if (!p)
        return ta_no_memory(err);
    p->job = job;
    for (size_t i = 0; i < TA_COUNT(p->last_dts); i++)
        p->last_dts[i] = INT64_MIN;
    int r = ta_job_own(job, p, free_side, err);
    if (r < 0)
        return r;
    p->space.folder = ta_strdup(ta_job_folder_path(job->folder));
    p->space.reserve = ta_get_int(job->settings, TA_SET_reserve);
    p->space.limit = ta_get_int(job->settings, TA_SET_temp_limit);
    r = p->space.folder ? 0 : ta_no_memory(err);
    if (r >= 0 && job->durable)
        r = ta_sound_open_copied(job, err);
    p->hashes = !job->source_sha256[0];
    p->weighs = !atomic_load(&job->weighed);
    if (r >= 0)
        r = ta_input_open_as(&p->in, job->input, p->hashes ? TA_OPEN_HASHED : 0, job->in, job->cancel, err);
    for (int i = 0; i < job->n_tracks && r >= 0; i++) {
        mask |= job->tracks[i].source < 64 ? 1ull << job->tracks[i].source : 0;
        r = open_track(p, i, err);
    }
    if (r < 0)
        return r;
    if (job->video >= 0)
        mask |= 1ull << job->video;
    if (p->weighs && !job->weight) {
        job->weights = (int)TA_CLAMP(job->duration_us / 1000000 + 1, 0, 7 * 24 * 3600);
        job->weight = ta_array((size_t)TA_MAX(job->weights, 1), sizeof *job->weight);
        if (!job->weight)
            return ta_no_memory(err);
    }
    ta_input_select(p->in, mask);
    return ta_flow_add(job->flow, "sound", side_main, p, NULL, 0, ready, n_ready, err);
}
