/* Frame-parallel encoding: a ring of as many places as there are contexts, filled in the order of the frames, worked on
 * by whichever thread is free, emptied in order. No frame waits for another one's slices, which is what slice threads
 * do at the end of each frame. */
#include "media/encoder_frames.h"

#include <pthread.h>
#include <signal.h>

/* A place's frame waits, is being encoded, or has become a packet (or an error). */
typedef enum place_state { EMPTY, WAITING, ENCODING, DONE } place_state;

typedef struct place {
    place_state state;
    AVFrame *frame;
    AVPacket *pkt;
    int error; /* libav's */
} place;

typedef struct worker {
    ta_frame_coders *all;
    AVCodecContext *ctx;
    pthread_t thread;
} worker;

struct ta_frame_coders {
    worker *workers;
    place *places;
    int count, started;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    /* under lock */
    uint64_t sent, taken, received; /* frames; place = number % count */
    bool stop;
    /* of the caller's thread */
    bool draining, refused;
};

/* One frame in, one packet out: such an encoder has no delay. */
static int encode(AVCodecContext *ctx, const AVFrame *frame, AVPacket *pkt)
{
    int r = avcodec_send_frame(ctx, frame);
    if (r >= 0)
        r = avcodec_receive_packet(ctx, pkt);
    return r == AVERROR(EAGAIN) || r == AVERROR_EOF ? AVERROR_BUG : r;
}

/* Called and left with the lock held. */
static void encode_next(ta_frame_coders *f, AVCodecContext *ctx)
{
    place *p = &f->places[f->taken++ % (uint64_t)f->count];
    p->state = ENCODING;
    pthread_mutex_unlock(&f->lock);
    p->error = encode(ctx, p->frame, p->pkt);
    av_frame_unref(p->frame);
    pthread_mutex_lock(&f->lock);
    p->state = DONE;
    pthread_cond_signal(&f->done);
}

static void *work(void *opaque)
{
    const worker *w = opaque;
    ta_frame_coders *f = w->all;
    pthread_mutex_lock(&f->lock);
    while (!f->stop) {
        if (f->taken < f->sent)
            encode_next(f, w->ctx);
        else
            pthread_cond_wait(&f->work, &f->lock);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

/* Signals belong to the main thread, so a worker starts with all of them blocked. */
static bool start_workers(ta_frame_coders *f)
{
    sigset_t all, before;
    char label[16];
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 0; i < f->count && f->started == i; i++) {
        if (pthread_create(&f->workers[i].thread, NULL, work, &f->workers[i]) != 0)
            break;
        snprintf(label, sizeof label, "encode-%u", (unsigned)i % 1000);
        pthread_setname_np(f->workers[i].thread, label);
        f->started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return f->started == f->count;
}

static bool allocate_places(ta_frame_coders *f)
{
    for (int i = 0; i < f->count; i++) {
        f->places[i].frame = av_frame_alloc();
        f->places[i].pkt = av_packet_alloc();
        if (!f->places[i].frame || !f->places[i].pkt)
            return false;
    }
    return true;
}

/* Every packet is read with the one header that the container gets. */
static bool same_headers(const ta_frame_coders *f)
{
    const AVCodecContext *a = f->workers[0].ctx;
    for (int i = 1; i < f->count; i++) {
        const AVCodecContext *b = f->workers[i].ctx;
        if (a->extradata_size != b->extradata_size ||
            (a->extradata_size && memcmp(a->extradata, b->extradata, (size_t)a->extradata_size) != 0))
            return false;
    }
    return true;
}

static void free_contexts(AVCodecContext **contexts, int count)
{
    for (int i = 0; i < count; i++)
        avcodec_free_context(&contexts[i]);
}

int ta_frame_coders_new(ta_frame_coders **out, AVCodecContext **contexts, int count, ta_error *err)
{
    ta_frame_coders *f = ta_alloc(sizeof *f);
    worker *workers = ta_array((size_t)count, sizeof *workers);
    place *places = ta_array((size_t)count, sizeof *places);
    *out = NULL;
    if (!f || !workers || !places) {
        free_contexts(contexts, count);
        ta_free(f);
        ta_free(workers);
        ta_free(places);
        return ta_no_memory(err);
    }
    f->workers = workers;
    f->places = places;
    f->count = count;
    for (int i = 0; i < count; i++) {
        workers[i] = (worker){ .all = f, .ctx = contexts[i] };
        contexts[i] = NULL;
    }
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->work, NULL);
    pthread_cond_init(&f->done, NULL);
    int r = 0;
    if (!same_headers(f))
        r = ta_fail(err, TA_ERR_SOFTWARE, "two contexts of %s differ in their headers", workers[0].ctx->codec->name);
    else if (!allocate_places(f) || !start_workers(f))
        r = ta_no_memory(err);
    if (r < 0)
        ta_frame_coders_free(&f);
    *out = f;
    return r;
}

static void stop_workers(ta_frame_coders *f)
{
    pthread_mutex_lock(&f->lock);
    f->stop = true;
    pthread_cond_broadcast(&f->work);
    pthread_mutex_unlock(&f->lock);
    for (int i = 0; i < f->started; i++)
        pthread_join(f->workers[i].thread, NULL);
}

void ta_frame_coders_free(ta_frame_coders **pf)
{
    ta_frame_coders *f = *pf;
    if (!f)
        return;
    stop_workers(f);
    for (int i = 0; i < f->count; i++) {
        avcodec_free_context(&f->workers[i].ctx);
        av_frame_free(&f->places[i].frame);
        av_packet_free(&f->places[i].pkt);
    }
    pthread_cond_destroy(&f->work);
    pthread_cond_destroy(&f->done);
    pthread_mutex_destroy(&f->lock);
    ta_free(f->workers);
    ta_free(f->places);
    ta_freep(pf);
}

int ta_frame_coders_send(ta_frame_coders *f, const AVFrame *frame)
{
    if (f->draining)
        return AVERROR_EOF;
    f->draining = !frame;
    if (!frame)
        return 0;
    /* `sent` and `received` change in the caller's thread only, and an empty place is nobody else's */
    f->refused = f->sent - f->received == (uint64_t)f->count;
    if (f->refused)
        return AVERROR(EAGAIN);
    place *p = &f->places[f->sent % (uint64_t)f->count];
    int r = av_frame_ref(p->frame, frame);
    if (r < 0)
        return r;
    pthread_mutex_lock(&f->lock);
    p->state = WAITING;
    f->sent++;
    pthread_cond_signal(&f->work);
    pthread_mutex_unlock(&f->lock);
    return 0;
}

int ta_frame_coders_receive(ta_frame_coders *f, AVPacket *pkt)
{
    if (f->received == f->sent)
        return f->draining ? AVERROR_EOF : AVERROR(EAGAIN);
    place *p = &f->places[f->received % (uint64_t)f->count];
    pthread_mutex_lock(&f->lock);
    while (p->state != DONE && (f->refused || f->draining))
        pthread_cond_wait(&f->done, &f->lock);
    bool ready = p->state == DONE;
    if (ready) {
        p->state = EMPTY;
        f->received++;
    }
    pthread_mutex_unlock(&f->lock);
    if (!ready)
        return AVERROR(EAGAIN);
    f->refused = false;
    av_packet_unref(pkt);
    if (p->error >= 0)
        av_packet_move_ref(pkt, p->pkt);
    else
        av_packet_unref(p->pkt);
    return p->error < 0 ? p->error : 0;
}
