/* Tiles computed by a session: one more request than run side by side, so that one can be filled and taken meanwhile.
 */
#include "neural/upscale_model.h"

enum { MOST_STREAMS = 2 };

typedef struct requests {
    ta_session *session;
    const ta_cancel *cancel;
    ta_shape shape;
    int count;
    ta_request *r[MOST_STREAMS + 1];
} requests;

/* Two streams on half of the threads each do more than one on all: layers of one end while the other's go on. */
int ta_upscale_streams(int threads)
{
    return TA_CLAMP(threads / 2 + threads % 2, 1, MOST_STREAMS);
}

static int input(void *opaque, int slot, float **rgb, ta_error *err)
{
    requests *q = opaque;
    return ta_request_input(q->r[slot], 0, &q->shape, rgb, err);
}

static int start(void *opaque, int slot, ta_error *err)
{
    requests *q = opaque;
    return ta_request_start(q->r[slot], err);
}

static int wait(void *opaque, int slot, ta_error *err)
{
    requests *q = opaque;
    return ta_request_wait(q->r[slot], q->cancel, err);
}

static int output(void *opaque, int slot, const float **rgb, ta_error *err)
{
    requests *q = opaque;
    return ta_request_output(q->r[slot], 0, NULL, rgb, err);
}

static void shut(void *opaque)
{
    requests *q = opaque;
    for (int i = 0; i < q->count; i++)
        ta_request_free(&q->r[i]);
    ta_session_free(&q->session);
    ta_free(q);
}

int ta_upscale_session_runner(ta_upscale_runner *r, ta_session *s, int width, int height, const ta_cancel *cancel,
                              ta_error *err)
{
    ta_session_info info;
    ta_session_get_info(s, &info);
    requests *q = ta_alloc(sizeof *q);
    int code = 0;
    if (!q) {
        ta_session_free(&s);
        return ta_no_memory(err);
    }
    *q = (requests){ .session = s, .cancel = cancel, .shape = TA_SHAPE(1, 3, height, width) };
    int count = TA_MIN(info.streams, MOST_STREAMS) + 1;
    for (; q->count < count && code >= 0; q->count += code >= 0)
        code = ta_request_new(&q->r[q->count], s, err);
    if (code < 0) {
        shut(q);
        return code;
    }
    *r = (ta_upscale_runner){ q, q->count, input, start, wait, output, shut };
    return 0;
}
