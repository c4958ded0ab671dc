/* Edges: bounded queues that know the size of frames and packets. */
#include "flow/internal.h"

static void drop_frame(void *item)
{
    AVFrame *f = item;
    av_frame_free(&f);
}

static void drop_packet(void *item)
{
    AVPacket *p = item;
    av_packet_free(&p);
}

ta_edge *ta_edge_new(bool packets, int max_items, size_t max_bytes)
{
    ta_edge *e = ta_alloc(sizeof *e);
    if (!e)
        return NULL;
    e->packets = packets;
    e->queue = ta_queue_new((size_t)max_items, max_bytes, packets ? drop_packet : drop_frame);
    if (!e->queue)
        ta_freep(&e);
    return e;
}

void ta_edge_free(ta_edge **e)
{
    if (!*e)
        return;
    ta_queue_free(&(*e)->queue);
    ta_freep(e);
}

static size_t frame_bytes(const AVFrame *f)
{
    size_t n = sizeof *f;
    for (int i = 0; i < AV_NUM_DATA_POINTERS && f->buf[i]; i++)
        n += (size_t)f->buf[i]->size;
    for (int i = 0; i < f->nb_extended_buf; i++)
        n += (size_t)f->extended_buf[i]->size;
    return n;
}

int ta_edge_push_frame(ta_edge *e, AVFrame *frame)
{
    ta_cancel_pass(e->cancel); /* when cancelled, the queue will say so */
    int r = ta_queue_push(e->queue, frame, frame_bytes(frame));
    if (r < 0)
        av_frame_free(&frame);
    return r;
}

int ta_edge_push_packet(ta_edge *e, AVPacket *pkt)
{
    int r = ta_queue_push(e->queue, pkt, sizeof *pkt + (size_t)pkt->size);
    if (r < 0)
        av_packet_free(&pkt);
    return r;
}

int ta_edge_pop_frame(ta_edge *e, AVFrame **frame)
{
    void *item = NULL;
    int r = ta_queue_pop(e->queue, &item);
    *frame = item;
    return r;
}

int ta_edge_pop_packet(ta_edge *e, AVPacket **pkt)
{
    void *item = NULL;
    int r = ta_queue_pop(e->queue, &item);
    *pkt = item;
    return r;
}
