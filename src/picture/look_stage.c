/* A 3D look-up table as a stage. vf_lut3d reads files only: the table is written to a file of its own name, read, and
 * unlinked at once. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "picture/plan.h"

typedef struct look {
    ta_stage *inner;
    ta_lut lut;
    char *work_dir;
    ta_video_format tags;
} look;

/* Quotes a value for a filter graph: first as an option's value, then as text of a graph. */
static void add_quoted(ta_buf *b, const char *value)
{
    for (const char *s = value; *s; s++) {
        if (strchr("\\'", *s))
            ta_buf_add(b, "\\\\\\");
        else if (*s == ':')
            ta_buf_add(b, "\\\\");
        else if (strchr("[],;", *s))
            ta_buf_add(b, "\\");
        ta_buf_addn(b, s, 1);
    }
}

/* The spec with `path` where TA_LOOK_FILE stands. */
static char *spec_with(const char *spec, const char *path)
{
    const char *at = strstr(spec, TA_LOOK_FILE);
    ta_buf b = { 0 };
    ta_buf_addn(&b, spec, at ? (size_t)(at - spec) : strlen(spec));
    if (at) {
        add_quoted(&b, path);
        ta_buf_add(&b, at + strlen(TA_LOOK_FILE));
    }
    return ta_buf_take(&b);
}

/* A new empty file that nobody else has. */
static char *own_file(const char *dir, ta_error *err)
{
    char *path = ta_format("%s/.look-XXXXXX.cube", dir);
    if (!path) {
        ta_no_memory(err);
        return NULL;
    }
    int fd = ta_mkdirs(dir, err) < 0 ? -2 : mkstemps(path, 5);
    if (fd >= 0) {
        close(fd);
        return path;
    }
    if (fd == -1)
        ta_fail_errno(err, errno, true, "can't create", path);
    ta_free(path);
    return NULL;
}

static int look_emit(void *to, AVFrame *frame, ta_error *err)
{
    ta_stage *st = to;
    return st->emit(st->emit_to, frame, err);
}

static int start_inner(ta_stage *st, const char *path, const ta_link *in, ta_link *out, ta_error *err)
{
    look *k = st->priv;
    char *spec = spec_with(st->spec, path);
    ta_stage_free(&k->inner);
    k->inner = spec ? ta_tagged_stage(st->name, spec, &k->tags) : NULL;
    ta_free(spec);
    return ta_stage_configure_inner(st, k->inner, look_emit, in, out, err);
}

static int look_configure(ta_stage *st, const ta_link *in, ta_link *out, ta_error *err)
{
    look *k = st->priv;
    char *path = own_file(k->work_dir, err);
    if (!path)
        return err ? err->code : TA_ERR_CANTCREATE;
    int r = ta_lut_write(&k->lut, path, err);
    if (r >= 0)
        r = start_inner(st, path, in, out, err);
    unlink(path);
    ta_free(path);
    return r;
}

static int look_push(ta_stage *st, AVFrame *frame, ta_error *err)
{
    look *k = st->priv;
    return k->inner->cls->push(k->inner, frame, err);
}

static int look_drain(ta_stage *st, ta_error *err)
{
    look *k = st->priv;
    return k->inner->cls->drain(k->inner, err);
}

static void look_close(ta_stage *st)
{
    look *k = st->priv;
    ta_stage_free(&k->inner);
    ta_lut_free(&k->lut);
    ta_freep(&k->work_dir);
}

static const ta_stage_class look_class = {
    .name = "look-up table",
    .size = sizeof(look),
    .configure = look_configure,
    .push = look_push,
    .drain = look_drain,
    .close = look_close,
};

ta_stage *ta_look_stage(const char *name, const char *spec, ta_lut *lut, const char *work_dir,
                        const ta_video_format *tags)
{
    ta_stage *st = ta_stage_new(&look_class, name, spec);
    if (!st)
        return NULL;
    look *k = st->priv;
    k->work_dir = ta_strdup(work_dir && *work_dir ? work_dir : ".");
    k->tags = *tags;
    k->lut = *lut;
    lut->rgb = NULL;
    if (!k->work_dir)
        ta_stage_free(&st);
    return st;
}
