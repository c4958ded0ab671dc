/* A track in pieces: the samples of the source go through a ring that holds what the next piece's chain is fed with,
 * each piece's chain is started afresh and its output is cut to the piece, and a finished piece is marked. */
#include <math.h>

#include "restore/segments.h"
#include "restore/sound_pieces.h"

/* The last frames of the source, oldest first; `next` is the first that the running chain has not had whole. */
typedef struct ring {
    AVFrame **frames; /* `cap` of them, from `head` on, wrapping */
    size_t head, count, cap, next;
} ring;

struct ta_pieces {
    ta_job *job;
    ta_track *t;
    ta_audio_format in;
    ta_sound_grid grid;
    ring ring;
    int64_t taken;        /* source samples that came in */
    int64_t k, todo;      /* the piece that is next or running; the first that an earlier run did not finish */
    ta_sound_marker last; /* of piece todo - 1 */
    bool running;
    int64_t need;     /* source samples from here on are needed by the next chain to start */
    int64_t fed;      /* source samples up to here went into the chain */
    int64_t at;       /* finished sample that the chain gives next */
    int64_t from, to; /* finished samples that are the piece's; INT64_MAX = all to the end */
    int frame_bytes;  /* of one finished sample of all channels */
    ta_sha256 *hash;
};

/* ---- The ring ---------------------------------------------------------------------------------------------------- */

static AVFrame *ring_get(const ring *r, size_t i)
{
    return r->frames[(r->head + i) % r->cap];
}

/* Takes the frame. */
static int ring_add(ring *r, AVFrame *f, ta_error *err)
{
    if (r->count == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 64;
        AVFrame **grown = ta_array(cap, sizeof(*grown));
        if (!grown) {
            av_frame_free(&f);
            return ta_no_memory(err);
        }
        for (size_t i = 0; i < r->count; i++)
            grown[i] = ring_get(r, i);
        ta_free(r->frames);
        r->frames = grown;
        r->head = 0;
        r->cap = cap;
    }
    r->frames[(r->head + r->count++) % r->cap] = f;
    return 0;
}

static int64_t frame_end(const AVFrame *f)
{
    return f->pts + f->nb_samples;
}

/* Drops the frames that end at or before a source sample. */
static void ring_drop(ring *r, int64_t before)
{
    while (r->count && frame_end(ring_get(r, 0)) <= before) {
        av_frame_free(&r->frames[r->head]);
        r->head = (r->head + 1) % r->cap;
        r->count--;
        r->next -= r->next > 0;
    }
}

/* A frame of its own with the samples [from, to) of the source. */
static AVFrame *part_of(const AVFrame *f, int64_t from, int64_t to)
{
    if (from <= f->pts && to >= frame_end(f))
        return av_frame_clone(f);
    from = TA_MAX(from, f->pts);
    AVFrame *part = av_frame_alloc();
    if (!part)
        return NULL;
    part->nb_samples = (int)(TA_MIN(to, frame_end(f)) - from);
    part->format = f->format;
    part->sample_rate = f->sample_rate;
    part->pts = from;
    if (av_channel_layout_copy(&part->ch_layout, &f->ch_layout) < 0 || av_frame_get_buffer(part, 0) < 0)
        av_frame_free(&part);
    else
        av_samples_copy(part->extended_data, f->extended_data, 0, (int)(from - f->pts), part->nb_samples,
                        f->ch_layout.nb_channels, f->format);
    return part;
}

AVFrame *ta_sound_silence(const ta_audio_format *format, int samples)
{
    AVFrame *f = av_frame_alloc();
    if (!f)
        return NULL;
    f->format = format->sample_fmt;
    f->sample_rate = format->sample_rate;
    f->nb_samples = samples;
    if (av_channel_layout_copy(&f->ch_layout, &format->layout) < 0 || av_frame_get_buffer(f, 0) < 0)
        av_frame_free(&f);
    else
        av_samples_set_silence(f->extended_data, 0, samples, f->ch_layout.nb_channels, f->format);
    return f;
}

/* ---- One piece --------------------------------------------------------------------------------------------------- */

/* What the chain gives: the part that is the piece's goes into the spool. */
static int take(void *to, AVFrame *f, ta_error *err)
{
    ta_pieces *p = to;
    int64_t from = TA_MAX(p->from - p->at, 0), end = TA_MIN(p->to - p->at, f->nb_samples);
    int r = 0;
    p->at += f->nb_samples;
    if (av_sample_fmt_is_planar(f->format) && f->ch_layout.nb_channels > 1)
        r = ta_fail(err, TA_ERR_SOFTWARE, "the sound chain ends in a planar format");
    if (r >= 0 && from < end) {
        const uint8_t *data = f->extended_data[0] + from * p->frame_bytes;
        size_t size = (size_t)(end - from) * (size_t)p->frame_bytes;
        ta_sha256_add(p->hash, data, size);
        r = ta_spool_write(p->t->pcm, data, size, err);
        p->t->samples += end - from;
    }
    av_frame_free(&f);
    return r < 0 ? r : ta_wait_for_space(p->job, p->job->cancel, err);
}

static int feed_silence(ta_pieces *p, int64_t to, ta_error *err)
{
    while (p->fed < to) {
        AVFrame *f = ta_sound_silence(&p->in, (int)TA_MIN(to - p->fed, 4096));
        if (!f)
            return ta_no_memory(err);
        f->pts = p->fed;
        p->fed += f->nb_samples;
        int r = ta_cancelled(p->job->cancel) ? ta_fail(err, TA_ERR_CANCELLED, "cancelled") : 0;
        if (r >= 0)
            r = ta_chain_push(&p->t->chain, f, take, p, err);
        else
            av_frame_free(&f);
        if (r < 0)
            return r;
    }
    return 0;
}

static int start_piece(ta_pieces *p, ta_error *err)
{
    ta_link in = { .type = AVMEDIA_TYPE_AUDIO, .audio = p->in }, out;
    int r = ta_chain_configure(&p->t->chain, &in, &out, err);
    if (r < 0)
        return r;
    ta_sha256_drop(&p->hash);
    p->hash = ta_sha256_new();
    if (!p->hash)
        return ta_no_memory(err);
    p->fed = ta_sound_feed_from(&p->grid, p->k);
    p->at = ta_sound_finished_at(&p->grid, p->fed);
    p->from = ta_sound_finished_from(&p->grid, p->k);
    p->to = ta_sound_finished_from(&p->grid, p->k + 1);
    p->need = ta_sound_heard_from(&p->grid, p->k + 1);
    p->ring.next = 0;
    p->running = true;
    return feed_silence(p, ta_sound_heard_from(&p->grid, p->k), err);
}

/* The chain gets what the ring has up to source sample `to`. */
static int feed(ta_pieces *p, int64_t to, ta_error *err)
{
    ring *row = &p->ring;
    while (row->next < row->count && p->fed < to) {
        AVFrame *f = ring_get(row, row->next);
        int64_t end = TA_MIN(to, frame_end(f));
        if (end > p->fed) {
            AVFrame *part = part_of(f, p->fed, end);
            int r = part ? ta_chain_push(&p->t->chain, part, take, p, err) : ta_no_memory(err);
            if (r < 0)
                return r;
            p->fed = end;
        }
        if (ta_cancelled(p->job->cancel))
            return ta_fail(err, TA_ERR_CANCELLED, "cancelled");
        row->next += end == frame_end(f);
    }
    return 0;
}

static int mark(ta_pieces *p, int64_t source_end, ta_error *err)
{
    int64_t from = ta_sound_finished_from(&p->grid, p->k);
    ta_sound_marker m = { .from = ta_sound_piece_from(&p->grid, p->k),
                          .to = source_end,
                          .finished_from = from,
                          .finished_to = p->t->samples,
                          .at = from * p->frame_bytes,
                          .bytes = (p->t->samples - from) * p->frame_bytes };
    ta_sha256_end(&p->hash, m.sha256);
    int r = ta_spool_sync(p->t->pcm, err);
    return r < 0 ? r : ta_sound_marker_write(p->job, p->t, p->k, &m, err);
}

/* `last`: the track ends in this piece, all that the chain has is the piece's. */
static int finish_piece(ta_pieces *p, bool last, ta_error *err)
{
    if (last)
        p->to = INT64_MAX;
    int r = ta_chain_push(&p->t->chain, NULL, take, p, err);
    p->running = false;
    if (r < 0)
        return r;
    if (!last && p->t->samples != p->to)
        return ta_fail(err, TA_ERR_SOFTWARE, "stream %d: the sound chain gave %lld samples of a piece instead of %lld",
                       p->t->source, (long long)(p->t->samples - p->from), (long long)(p->to - p->from));
    r = mark(p, last ? p->taken : ta_sound_piece_to(&p->grid, p->k), err);
    if (r >= 0)
        ta_log(TA_LOG_VERBOSE, "sound", "stream %d: piece %lld is done", p->t->source, (long long)p->k);
    return r;
}

/* ---- All pieces -------------------------------------------------------------------------------------------------- */

/* Runs the chain over what is there; over all that is left at the end. */
static int advance(ta_pieces *p, bool end, ta_error *err)
{
    for (;; p->k++) {
        int64_t to = TA_MIN(p->taken, ta_sound_feed_to(&p->grid, p->k));
        bool last = end && p->taken <= ta_sound_piece_to(&p->grid, p->k);
        if (last && p->k > 0 && p->taken == ta_sound_piece_from(&p->grid, p->k))
            return 0; /* the track ended with the piece before */
        int r = p->k >= p->todo && !p->running ? start_piece(p, err) : 0;
        if (r >= 0 && p->running)
            r = feed(p, to, err);
        if (r < 0 || (!end && to < ta_sound_feed_to(&p->grid, p->k)))
            return r;
        if (p->running)
            r = finish_piece(p, last, err);
        if (r < 0 || last)
            return r;
    }
}

int ta_pieces_push(ta_pieces *p, AVFrame *frame, ta_error *err)
{
    int64_t end = frame_end(frame);
    int r = ring_add(&p->ring, frame, err);
    if (r < 0)
        return r;
    p->taken = end;
    r = advance(p, false, err);
    ring_drop(&p->ring, p->running ? TA_MIN(p->need, p->fed) : p->need);
    return r;
}

int ta_pieces_end(ta_pieces *p, ta_error *err)
{
    int r = advance(p, true, err);
    bool later = p->todo > 0 && (p->last.to > p->taken || (p->k < p->todo && p->last.to != p->taken));
    if (r >= 0 && later) {
        ta_fail(err, TA_ERR_DATA, "'%s', stream %d has changed: it had %lld samples when the job was begun, now %lld",
                p->job->input, p->t->source, (long long)p->last.to, (long long)p->taken);
        return ta_hint(err, "remove '%s' and run the same command again", ta_job_folder_path(p->job->folder));
    }
    return r < 0 ? r : ta_spool_sync(p->t->pcm, err);
}

/* ---- Going on ---------------------------------------------------------------------------------------------------- */

/* Is piece todo in the spool as its marker says? */
static int check_piece(ta_pieces *p, ta_spool *spool, ta_sound_marker *m, ta_error *err)
{
    char hex[65];
    int64_t k = p->todo, from = ta_sound_finished_from(&p->grid, k);
    int r = ta_sound_marker_read(p->job, p->t, k, m, err);
    if (r <= 0)
        return r;
    bool whole = m->to == ta_sound_piece_to(&p->grid, k) && m->finished_to == ta_sound_finished_from(&p->grid, k + 1);
    bool fits = m->from == ta_sound_piece_from(&p->grid, k) && m->finished_from == from &&
                m->at == from * p->frame_bytes && m->finished_to > from && m->to > m->from &&
                m->to <= ta_sound_piece_to(&p->grid, k) && m->bytes == (m->finished_to - from) * p->frame_bytes &&
                (whole || m->to < ta_sound_piece_to(&p->grid, k) || p->grid.look > 0) &&
                m->at + m->bytes <= ta_spool_size(spool);
    r = fits ? ta_spool_sha256(spool, m->at, m->bytes, hex, p->job->cancel, err) : 0;
    if (r < 0 || (fits && strcmp(hex, m->sha256) == 0))
        return r < 0 ? r : 1;
    ta_log(TA_LOG_WARN, "sound", "stream %d: piece %lld is damaged and made again with all behind it", p->t->source,
           (long long)k);
    return 0;
}

static int find_done(ta_pieces *p, const char *path, ta_error *err)
{
    ta_spool *spool = NULL;
    ta_sound_marker m;
    int64_t size = ta_file_size(path);
    if (size < 0)
        return 0;
    int r = ta_spool_keep(&spool, path, size, err);
    while (r >= 0 && (r = check_piece(p, spool, &m, err)) > 0) {
        p->last = m;
        p->todo++;
        if (m.to < ta_sound_piece_to(&p->grid, p->todo - 1))
            break;
    }
    ta_spool_free(&spool);
    return r;
}

static int open_spool(ta_pieces *p, ta_error *err)
{
    char *path = ta_sound_path(p->job, p->t);
    if (!path)
        return ta_no_memory(err);
    int r = find_done(p, path, err);
    if (r >= 0)
        r = ta_spool_keep(&p->t->pcm, path, p->last.at + p->last.bytes, err);
    ta_free(path);
    p->t->samples = p->last.finished_to;
    p->need = ta_sound_heard_from(&p->grid, p->todo);
    if (r >= 0 && p->todo > 0)
        ta_log(TA_LOG_INFO, "sound", "stream %d: %.1f s of the sound are done; going on behind them", p->t->source,
               (double)p->last.to / p->in.sample_rate);
    return r;
}

int ta_pieces_open(ta_pieces **out, ta_job *job, ta_track *t, const ta_audio_format *in, ta_error *err)
{
    ta_pieces *p = *out = ta_alloc(sizeof *p);
    if (!p)
        return ta_no_memory(err);
    p->job = job;
    p->t = t;
    p->in = *in;
    p->frame_bytes = av_get_bytes_per_sample(t->target.format.sample_fmt) * t->target.format.layout.nb_channels;
    ta_sound_grid_init(&p->grid, ta_sound_piece_seconds(job), t->chain.count == 0, &t->target, in->sample_rate);
    return open_spool(p, err);
}

void ta_pieces_free(ta_pieces **pp)
{
    ta_pieces *p = *pp;
    if (!p)
        return;
    ring_drop(&p->ring, INT64_MAX);
    ta_free(p->ring.frames);
    ta_sha256_drop(&p->hash);
    ta_freep(pp);
}
