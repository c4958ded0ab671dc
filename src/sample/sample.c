/* Makes the clip: draws each moment once, plays it through the tape, writes tape and truth side by side. */
#include "sample/sample.h"

#include <math.h>
#include <string.h>

#include "sample/scene.h"
#include "sample/tape.h"
#include "sample/tone.h"
#include "sample/writer.h"

enum { MAX_SOUND = 2048 };

void ta_sample_defaults(ta_sample_options *o)
{
    *o = (ta_sample_options){ .order = TA_FIELDS_TFF, .seconds = 10, .seed = 1, .noise = 4 };
}

/* All that lives while a clip is made. */
typedef struct maker {
    const ta_sample_options *o;
    ta_scene *scene;
    ta_tape tape;
    ta_tone tone;
    ta_picture moment, played;
    ta_writer *clip, *truth;
    int moments_per_frame;
    int64_t frames;
    ta_cancel *cancel;
} maker;

static int check(const ta_sample_options *o, const char *path, const char *truth, ta_error *err)
{
    if (!(o->seconds > 0 && o->seconds <= 86400))
        return ta_fail(err, TA_ERR_USAGE, "a sample lasts more than 0 and at most 86400 seconds, not %g", o->seconds);
    if (!(o->noise >= 0 && o->noise <= 64))
        return ta_fail(err, TA_ERR_USAGE, "noise is 0 to 64 steps, not %g", o->noise);
    if (o->order == TA_FIELDS_UNKNOWN)
        return ta_fail(err, TA_ERR_USAGE, "the field order of a sample must be known");
    if (truth && !ta_ends(truth, ".mkv")) {
        ta_fail(err, TA_ERR_USAGE, "'%s' can't hold the truth", truth);
        return ta_hint(err, "give a name that ends in .mkv (FFV1, PCM)");
    }
    if (truth && ta_streq(path, truth))
        return ta_fail(err, TA_ERR_USAGE, "the tape and its truth need two names, both are '%s'", path);
    return 0;
}

static AVRational frame_rate(const ta_sample_options *o)
{
    return o->pal ? (AVRational){ 25, 1 } : (AVRational){ 30000, 1001 };
}

static int open_writers(maker *m, const char *path, const char *truth, bool overwrite, ta_error *err)
{
    AVRational rate = frame_rate(m->o);
    ta_writer_options w = { .path = path,
                            .pal = m->o->pal,
                            .wide = m->o->wide,
                            .rate = rate,
                            .order = m->o->order,
                            .halve_chroma = !ta_ends(path, ".mkv"),
                            .overwrite = overwrite };
    int ret = ta_writer_open(&m->clip, &w, err);
    if (ret < 0 || !truth)
        return ret;
    w.path = truth;
    w.rate.num *= m->moments_per_frame;
    w.order = TA_FIELDS_PROGRESSIVE;
    w.halve_chroma = true;
    return ta_writer_open(&m->truth, &w, err);
}

static int open_maker(maker *m, ta_error *err)
{
    AVRational rate = frame_rate(m->o);
    m->moments_per_frame = m->o->order == TA_FIELDS_PROGRESSIVE ? 1 : 2;
    m->frames = TA_MAX(llround(m->o->seconds * rate.num / rate.den), 1);
    ta_scene_options so = { m->o->pal, m->o->wide, m->moments_per_frame, m->o->seed };
    int height = m->o->pal ? 576 : 480;
    m->scene = ta_scene_new(&so);
    if (!m->scene || ta_picture_alloc(&m->moment, height) < 0 || ta_picture_alloc(&m->played, height) < 0)
        return ta_no_memory(err);
    ta_tape_init(&m->tape, m->o->noise, m->o->seed);
    ta_tone_init(&m->tone, m->o->pal, m->o->seed);
    return 0;
}

static void copy_field(const ta_picture *in, int parity, ta_picture *out)
{
    for (int p = 0; p < 3; p++) {
        size_t width = p ? TA_SCENE_WIDTH / 2 : TA_SCENE_WIDTH;
        for (int line = parity; line < in->height; line += 2)
            memcpy(out->plane[p] + (size_t)line * width, in->plane[p] + (size_t)line * width, width);
    }
}

/* Field `index` of the tape, counted in time, from the moment now in m->moment. */
static void play_field(maker *m, int64_t index, int parity)
{
    if (m->o->clean)
        copy_field(&m->moment, parity, &m->played);
    else
        ta_tape_field(&m->tape, index, parity, &m->moment, &m->played);
}

/* Draws what is needed of a moment: all lines for the truth or for both fields, else one field's. */
static int make_moment(maker *m, int64_t n, int parity, ta_error *err)
{
    bool whole = m->truth || m->moments_per_frame == 1;
    ta_scene_draw(m->scene, n, whole ? 0 : parity, whole ? 1 : 2, &m->moment);
    return m->truth ? ta_writer_picture(m->truth, &m->moment, err) : 0;
}

static int make_frame(maker *m, int64_t frame, ta_error *err)
{
    int first = m->o->order == TA_FIELDS_BFF ? 1 : 0, ret = 0;
    for (int k = 0; k < 2; k++) {
        if (k < m->moments_per_frame && (ret = make_moment(m, frame * m->moments_per_frame + k, first ^ k, err)) < 0)
            return ret;
        play_field(m, frame * 2 + k, first ^ k);
    }
    return ta_writer_picture(m->clip, &m->played, err);
}

static int make_sound(maker *m, int64_t frame, ta_error *err)
{
    int16_t clean[MAX_SOUND * 2], worn[MAX_SOUND * 2];
    int64_t at = ta_tone_frame_start(m->o->pal, frame);
    int n = (int)(ta_tone_frame_start(m->o->pal, frame + 1) - at), ret = 0;
    ta_tone_clean(&m->tone, at, n, clean);
    if (!m->o->clean)
        ta_tone_worn(&m->tone, at, n, worn);
    if (m->truth)
        ret = ta_writer_sound(m->truth, clean, n, err);
    return ret < 0 ? ret : ta_writer_sound(m->clip, m->o->clean ? clean : worn, n, err);
}

static int make_all(maker *m, ta_error *err)
{
    int ret = 0;
    for (int64_t frame = 0; frame < m->frames && ret >= 0; frame++) {
        if (ta_cancelled(m->cancel))
            return ta_fail(err, TA_ERR_CANCELLED, "stopped");
        ret = make_frame(m, frame, err);
        if (ret >= 0)
            ret = make_sound(m, frame, err);
    }
    return ret;
}

/* Both files are complete before either gets its name. */
static int finish(maker *m, ta_error *err)
{
    int ret = ta_writer_finish(m->clip, err);
    if (ret >= 0 && m->truth)
        ret = ta_writer_finish(m->truth, err);
    if (ret >= 0 && m->truth)
        ret = ta_writer_publish(m->truth, err);
    return ret < 0 ? ret : ta_writer_publish(m->clip, err);
}

int ta_sample_write(const ta_sample_options *o, const char *path, const char *truth, bool overwrite, ta_cancel *cancel,
                    ta_error *err)
{
    maker m = { .o = o, .cancel = cancel };
    int ret = check(o, path, truth, err);
    if (ret < 0)
        return ret;
    if ((ret = open_maker(&m, err)) >= 0 && (ret = open_writers(&m, path, truth, overwrite, err)) >= 0 &&
        (ret = make_all(&m, err)) >= 0)
        ret = finish(&m, err);
    ta_writer_close(&m.truth);
    ta_writer_close(&m.clip);
    ta_picture_free(&m.moment);
    ta_picture_free(&m.played);
    ta_scene_free(&m.scene);
    return ret;
}
