/* The sound of a job: which tracks, through which chains, and the node that encodes a finished track. */
#include <stdlib.h>

#include "restore/internal.h"

/* ---- Planning -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *encoder;
} codecs[] = {
    { "aac", "aac" },   { "ac3", "ac3" },       { "eac3", "eac3" },    { "dts", "dca" },
    { "flac", "flac" }, { "pcm", "pcm_s16le" }, { "opus", "libopus" },
};

static const char *encoder_of(const char *codec)
{
    for (size_t i = 0; i < TA_COUNT(codecs); i++)
        if (strcmp(codecs[i].name, codec) == 0)
            return codecs[i].encoder;
    return NULL;
}

/* The codec that "0,1=copy" asks for track `number`: NULL when the track is left out. `words` is the list. */
static const char *wanted_codec(const char *list, int number, const char *otherwise)
{
    if (strcmp(list, "all") == 0)
        return otherwise;
    for (const char *p = list; *p;) {
        char *end;
        long n = strtol(p, &end, 10);
        if (end != p && n == number) {
            if (*end != '=')
                return otherwise;
            for (size_t i = 0; i < TA_COUNT(codecs); i++) {
                size_t len = strlen(codecs[i].name);
                if (strncmp(end + 1, codecs[i].name, len) == 0 && (end[1 + len] == ',' || !end[1 + len]))
                    return codecs[i].name;
            }
            return "copy";
        }
        const char *comma = strchr(p, ',');
        if (!comma)
            break;
        p = comma + 1;
    }
    return NULL;
}

static int new_track(ta_job *job, int source, ta_track **t, ta_error *err)
{
    if (job->n_tracks == TA_MAX_TRACKS)
        return ta_fail(err, TA_ERR_DATA, "'%s' has more than %d streams to keep", job->input, TA_MAX_TRACKS);
    *t = &job->tracks[job->n_tracks++];
    (*t)->source = source;
    return 0;
}

static int check_held(ta_job *job, const char *codec, enum AVCodecID id, ta_error *err)
{
    if (ta_container_holds(job->container, id))
        return 0;
    ta_fail(err, TA_ERR_USAGE, "%s does not hold %s sound", job->container->name, codec);
    return ta_hint(err, "choose mkv, or another --audio-codec");
}

/* PCM has 24 bits where the sound was worked on or had more than 16. */
static const char *pcm_encoder(enum AVSampleFormat finished)
{
    return av_get_packed_sample_fmt(finished) == AV_SAMPLE_FMT_S16 ? "pcm_s16le" : "pcm_s24le";
}

static void note_lines(ta_job *job, int stream, char *notes)
{
    for (char *line = notes, *next; line && *line; line = next) {
        next = line + strcspn(line, "\n");
        if (*next)
            *next++ = '\0';
        ta_job_note(job, "stream %d: %s", stream, line);
    }
}

static int plan_encoded(ta_job *job, const AVStream *st, const char *codec, ta_error *err)
{
    ta_buf notes = { 0 };
    ta_track *t = NULL;
    const AVCodecParameters *p = st->codecpar;
    const char *encoder = encoder_of(codec);
    const AVCodec *c = encoder ? avcodec_find_encoder_by_name(encoder) : NULL;
    if (!c) {
        ta_fail(err, TA_ERR_UNAVAILABLE, "this libav has no encoder for %s", codec);
        return ta_hint(err, "`terminalai doctor` shows which encoders work here");
    }
    int r = check_held(job, codec, c->id, err);
    if (r >= 0)
        r = new_track(job, st->index, &t, err);
    if (r < 0)
        return r;
    t->codec = codec;
    snprintf(t->encoder, sizeof t->encoder, "%s", encoder);
    ta_audio_format in = { p->sample_rate, p->ch_layout, (enum AVSampleFormat)p->format };
    if (in.layout.order == AV_CHANNEL_ORDER_UNSPEC)
        av_channel_layout_default(&in.layout, in.layout.nb_channels);
    ta_sound_engines engines;
    ta_sound_findings found;
    bool look = ta_sound_wants_look(job->settings);
    r = look ? ta_sound_look(job->input, job->in, st->index, job->cancel, &found, err) : 0;
    if (r >= 0 && !job->neural_sound)
        r = ta_neural_sound_new(&job->neural_sound, job->shared_models, job->cancel, err);
    if (r >= 0) {
        engines = ta_neural_sound_engines(job->neural_sound);
        r = ta_sound_plan(job->settings, &in, look ? &found : NULL, &engines, codec, &t->chain, &t->target, &notes,
                          err);
    }
    if (r < 0)
        ta_wrap(err, "'%s', stream %d", job->input, st->index);
    else
        note_lines(job, st->index, notes.data);
    if (r >= 0 && strcmp(codec, "pcm") == 0)
        snprintf(t->encoder, sizeof t->encoder, "%s", pcm_encoder(t->target.format.sample_fmt));
    ta_buf_free(&notes);
    return r;
}

static int plan_copied(ta_job *job, const AVStream *st, ta_error *err)
{
    ta_track *t = NULL;
    const char *kind = av_get_media_type_string(st->codecpar->codec_type);
    const char *name = avcodec_get_name(st->codecpar->codec_id);
    enum AVCodecID text = ta_container_text(job->container);
    /* libav can't be asked about attachments: Matroska takes any, the others none. */
    bool held = st->codecpar->codec_type == AVMEDIA_TYPE_ATTACHMENT
                    ? strcmp(job->container->name, "mkv") == 0
                    : ta_container_holds(job->container, st->codecpar->codec_id);
    if (!held && ta_subtitles_are_text(st->codecpar->codec_id) && text != AV_CODEC_ID_NONE) {
        ta_job_note(job, "stream %d: the subtitles become %s, as %s can't hold %s", st->index, avcodec_get_name(text),
                    job->container->name, name);
        int r = new_track(job, st->index, &t, err);
        if (r >= 0)
            t->copy = true;
        return r < 0 ? r : ta_subtitles_open(&t->text, st, text, err);
    }
    if (!held) {
        ta_job_note(job, "stream %d (%s, %s) is left out: %s can't hold it", st->index, kind ? kind : "data", name,
                    job->container->name);
        return 0;
    }
    int r = new_track(job, st->index, &t, err);
    if (r >= 0)
        t->copy = true;
    return r;
}

/* Each number of a list such as "0,1=copy" must be a track. */
static int check_tracks(const ta_job *job, int count, ta_error *err)
{
    const char *list = ta_get_text(job->settings, TA_SET_audio_tracks);
    for (const char *p = list; p && *p; p = strchr(p, ','), p = p ? p + 1 : NULL) {
        char *end;
        long n = strtol(p, &end, 10);
        if (end == p || n < count)
            continue;
        ta_fail(err, TA_ERR_USAGE, "'%s' has no audio track %ld (--audio-tracks %s)", job->input, n, list);
        return ta_hint(err, count ? "the tracks are 0 to %d" : "it has no sound", count - 1);
    }
    return 0;
}

static int plan_audio_stream(ta_job *job, const AVStream *st, int number, ta_error *err)
{
    const char *codec = wanted_codec(ta_get_text(job->settings, TA_SET_audio_tracks), number,
                                     ta_get_text(job->settings, TA_SET_audio_codec));
    if (!codec)
        return 0;
    if (st->codecpar->sample_rate <= 0 || st->codecpar->ch_layout.nb_channels <= 0) {
        ta_job_note(job, "audio track %d is left out: nothing in it can be decoded", number);
        return 0;
    }
    if (strcmp(codec, "copy") != 0)
        return plan_encoded(job, st, codec, err);
    int r = check_held(job, avcodec_get_name(st->codecpar->codec_id), st->codecpar->codec_id, err);
    return r < 0 ? r : plan_copied(job, st, err);
}

static bool is_copied(const ta_job *job, const AVStream *st)
{
    if (st->disposition & AV_DISPOSITION_ATTACHED_PIC)
        return true;
    switch (st->codecpar->codec_type) {
    case AVMEDIA_TYPE_SUBTITLE:
        return !ta_get_is(job->settings, TA_SET_subtitles, "none");
    case AVMEDIA_TYPE_ATTACHMENT:
        return true;
    default:
        return false;
    }
}

/* Every stream is kept, or it is said why not. */
int ta_job_plan_audio(ta_job *job, ta_error *err)
{
    AVFormatContext *ctx = ta_input_context(job->in);
    int number = 0, r = 0;
    for (unsigned i = 0; i < ctx->nb_streams && r >= 0; i++) {
        AVStream *st = ctx->streams[i];
        if (st->codecpar->codec_type == AVMEDIA_TYPE_AUDIO)
            r = plan_audio_stream(job, st, number++, err);
        else if (is_copied(job, st))
            r = plan_copied(job, st, err);
        else if (st->codecpar->codec_type == AVMEDIA_TYPE_VIDEO && (int)i != job->video)
            ta_job_note(job, "stream %u is left out: only the best of several video streams is restored", i);
        else if (st->codecpar->codec_type == AVMEDIA_TYPE_DATA && st->codecpar->codec_id != AV_CODEC_ID_DVD_NAV &&
                 !av_dict_get(st->metadata, "timecode", NULL, 0))
            ta_job_note(job, "stream %u (data, %s) is left out", i, avcodec_get_name(st->codecpar->codec_id));
    }
    if (r >= 0)
        r = check_tracks(job, number, err);
    bool any = job->video >= 0;
    for (int i = 0; i < job->n_tracks; i++)
        any = any || !job->tracks[i].copy ||
              ctx->streams[job->tracks[i].source]->codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
    if (r < 0 || any)
        return r;
    if (ta_get_is(job->settings, TA_SET_audio_tracks, "all")) {
        ta_fail(err, TA_ERR_DATA, "'%s': nothing in it can be decoded", job->input);
        return ta_hint(err, "the file may be cut off or of a codec that this libav lacks; try `ffprobe` on it");
    }
    return ta_fail(err, TA_ERR_USAGE, "nothing of '%s' would be left (audio-tracks %s)", job->input,
                   ta_get_text(job->settings, TA_SET_audio_tracks));
}

/* ---- The encode node ------------------------------------------------------------------------------------------- */

typedef struct audio_node {
    ta_job *job;
    ta_track *track;
    ta_edge *ready, *out;
    ta_stage *gain, *convert;
    ta_encoder *encoder;
    int64_t sent;     /* samples given to the encoder */
    AVFrame *pending; /* samples that do not yet fill a frame of the encoder */
} audio_node;

static int hand_on(audio_node *a, AVPacket *pkt, ta_error *err)
{
    if (a->out)
        return ta_edge_push_packet(a->out, pkt) < 0 ? ta_fail(err, TA_ERR_CANCELLED, "cancelled") : 0;
    int r = ta_spool_write_packet(a->track->packets, pkt, err);
    av_packet_free(&pkt);
    return r;
}

static int push_packets(audio_node *a, ta_error *err)
{
    for (;;) {
        AVPacket *pkt = av_packet_alloc();
        if (!pkt)
            return ta_no_memory(err);
        int r = ta_encoder_receive(a->encoder, pkt, err);
        if (r <= 0) {
            av_packet_free(&pkt);
            return r == TA_DECODER_END ? 0 : r;
        }
        r = a->track->stream.par ? 0 : ta_stream_facts_of(&a->track->stream, a->encoder, err);
        if (r < 0)
            av_packet_free(&pkt);
        else
            r = hand_on(a, pkt, err);
        if (r < 0)
            return r;
    }
}

static int encode_samples(void *to, AVFrame *f, ta_error *err)
{
    audio_node *a = to;
    int r;
    f->pts = a->track->start + a->sent;
    a->sent += f->nb_samples;
    while ((r = ta_encoder_send(a->encoder, f, err)) == TA_RECEIVE_FIRST)
        if ((r = push_packets(a, err)) < 0)
            break;
    av_frame_free(&f);
    return r < 0 ? r : push_packets(a, err);
}

/* The sample format that the encoder takes; chosen so that nothing is lost where it need not be. */
static enum AVSampleFormat encoder_format(const AVCodec *c, enum AVSampleFormat have)
{
    enum AVSampleFormat best = AV_SAMPLE_FMT_NONE;
    for (const enum AVSampleFormat *p = c->sample_fmts; p && *p != AV_SAMPLE_FMT_NONE; p++) {
        if (av_get_packed_sample_fmt(*p) == av_get_packed_sample_fmt(have))
            return *p;
        if (best == AV_SAMPLE_FMT_NONE || av_get_bytes_per_sample(*p) > av_get_bytes_per_sample(best))
            best = *p;
    }
    return best == AV_SAMPLE_FMT_NONE ? have : best;
}

/* gain -> sample format -> frames of the encoder's size */
static int open_track_encoder(audio_node *a, ta_error *err)
{
    ta_track *t = a->track;
    const AVCodec *c = avcodec_find_encoder_by_name(t->encoder);
    ta_audio_format f = t->target.format;
    f.sample_fmt = encoder_format(c, f.sample_fmt);
    ta_error ignored = { 0 };
    int r = ta_encoder_open_audio(&a->encoder, t->encoder, t->target.bit_rate, &f, a->job->container->global_header,
                                  err ? err : &ignored);
    if (r < 0)
        return r;
    char *gain = ta_sound_gain_spec(a->job->settings, &t->gain, &t->after, &t->target.format);
    if (!gain)
        return ta_no_memory(err);
    ta_buf spec = { 0 };
    int size = ta_encoder_context(a->encoder)->frame_size;
    ta_buf_addf(&spec, "%s%saformat=sample_fmts=%s", gain, gain[0] ? ",aresample," : "aresample,",
                av_get_sample_fmt_name(f.sample_fmt));
    if (size > 0)
        ta_buf_addf(&spec, ",asetnsamples=n=%d:p=%d", size,
                    !(c->capabilities & (AV_CODEC_CAP_SMALL_LAST_FRAME | AV_CODEC_CAP_VARIABLE_FRAME_SIZE)));
    ta_free(gain);
    a->gain = spec.failed ? NULL : ta_stage_new(&ta_filter_stage, "gain", spec.data);
    ta_buf_free(&spec);
    if (!a->gain)
        return ta_no_memory(err);
    ta_link in = { .type = AVMEDIA_TYPE_AUDIO, .audio = t->target.format }, out = in;
    a->gain->in = in;
    a->gain->emit = encode_samples;
    a->gain->emit_to = a;
    return a->gain->cls->configure(a->gain, &in, &out, err);
}

enum { CHUNK = 4096 };

int ta_track_read(ta_track *t, int64_t pos, AVFrame **out, ta_error *err)
{
    const ta_audio_format *af = &t->target.format;
    AVFrame *f = av_frame_alloc();
    *out = NULL;
    if (!f)
        return ta_no_memory(err);
    f->nb_samples = (int)TA_MIN(t->samples - pos, CHUNK);
    f->format = af->sample_fmt;
    f->sample_rate = af->sample_rate;
    f->pts = pos;
    int align = av_get_bytes_per_sample(af->sample_fmt) * af->layout.nb_channels;
    int r = av_channel_layout_copy(&f->ch_layout, &af->layout) < 0 || av_frame_get_buffer(f, 0) < 0
                ? ta_no_memory(err)
                : ta_spool_read(t->pcm, pos * align, f->data[0], (size_t)f->nb_samples * (size_t)align, err);
    if (r < 0)
        av_frame_free(&f);
    *out = f;
    return r < 0 ? r : 1;
}

static int encode_track(void *opaque, ta_error *err)
{
    audio_node *a = opaque;
    ta_track *t = a->track;
    AVPacket *never;
    int r = ta_edge_pop_packet(a->ready, &never);
    if (r < 0)
        return ta_fail(err, TA_ERR_CANCELLED, "cancelled");
    if (t->dropped)
        return 0;
    r = open_track_encoder(a, err);
    /* Sound moved to before the picture's zero is cut. */
    a->sent = TA_CLAMP(-t->start, 0, t->samples);
    for (int64_t pos = a->sent; pos < t->samples && r >= 0; pos += CHUNK) {
        AVFrame *f;
        if (ta_cancelled(a->job->cancel))
            return ta_fail(err, TA_ERR_CANCELLED, "cancelled");
        r = ta_track_read(t, pos, &f, err);
        if (r >= 0)
            r = a->gain->cls->push(a->gain, f, err);
        if (r >= 0 && a->job->video < 0)
            atomic_store(&a->job->done_us, av_rescale(pos, 1000000, t->target.format.sample_rate));
    }
    if (r >= 0)
        r = a->gain->cls->drain(a->gain, err);
    if (r >= 0)
        r = ta_encoder_send(a->encoder, NULL, err);
    if (r >= 0)
        r = push_packets(a, err);
    ta_spool_free(&t->pcm); /* a short track is encoded long before the picture ends */
    ta_release_memory();
    return r;
}

static void free_audio(void *p)
{
    audio_node *a = p;
    ta_stage_free(&a->gain);
    ta_encoder_close(&a->encoder);
    ta_free(a);
}

/* A track that was encoded before. */
static int read_packets(void *opaque, ta_error *err)
{
    audio_node *a = opaque;
    int64_t pos = 0;
    for (;;) {
        AVPacket *pkt = av_packet_alloc();
        int r = pkt ? ta_spool_read_packet(a->track->packets, &pos, pkt, err) : ta_no_memory(err);
        if (r <= 0) {
            av_packet_free(&pkt);
            return r;
        }
        if (ta_edge_push_packet(a->out, pkt) < 0)
            return ta_fail(err, TA_ERR_CANCELLED, "cancelled");
    }
}

/* Up to this size they stay in memory. */
static const size_t packets_memory = 4u << 20;

static int open_packets(ta_job *job, ta_track *t, ta_error *err)
{
    char name[48];
    snprintf(name, sizeof name, "sound-%d.encoded", t->source);
    char *path = ta_job_folder_file(job->folder, name);
    int r = path ? ta_spool_new(&t->packets, path, packets_memory, err) : ta_no_memory(err);
    ta_free(path);
    return r;
}

int ta_audio_node(ta_job *job, ta_track *t, ta_edge *ready, ta_edge *out, ta_error *err)
{
    bool again = out && t->packets;
    int outs = out ? 1 : 0;
    audio_node *a = ta_alloc(sizeof *a);
    if (!a)
        return ta_no_memory(err);
    a->job = job;
    a->track = t;
    a->ready = ready;
    a->out = out;
    int r = ta_job_own(job, a, free_audio, err);
    if (r >= 0 && !out)
        r = open_packets(job, t, err);
    if (r < 0)
        return r;
    char name[32];
    snprintf(name, sizeof name, "%s %d", t->codec, t->source);
    return ta_flow_add(job->flow, name, again ? read_packets : encode_track, a, &ready, 1, &out, outs, err);
}

static int nothing_to_wait_for(void *job, ta_error *err)
{
    (void)job;
    (void)err;
    return 0;
}

int ta_ready_node(ta_job *job, ta_edge *const *ready, int n_ready, ta_error *err)
{
    return ta_flow_add(job->flow, "sound", nothing_to_wait_for, job, NULL, 0, ready, n_ready, err);
}
