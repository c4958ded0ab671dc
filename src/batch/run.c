/* Running a batch: workers take item after item; what happens is told one event at a time. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "batch/internal.h"

/* ---- Making ------------------------------------------------------------------------------------------------------ */

int ta_batch_new(ta_batch **out, const ta_settings *settings, const ta_batch_options *o, ta_cancel *cancel,
                 ta_error *err)
{
    ta_batch *b = ta_alloc(sizeof *b);
    *out = NULL;
    if (!b)
        return ta_no_memory(err);
    pthread_mutex_init(&b->lock, NULL);
    b->cancel = cancel;
    b->o = *o;
    b->o.output = ta_strdup(o->output);
    b->o.pattern = ta_strdup(o->pattern);
    b->o.parallel = TA_CLAMP(o->parallel, 1, TA_BATCH_MAX_PARALLEL);
    b->settings = ta_settings_copy(settings);
    int r = b->settings && b->o.output && (b->o.pattern || !o->pattern) ? ta_models_new(&b->models, err)
                                                                        : ta_no_memory(err);
    if (r >= 0)
        r = ta_output_extension(b->settings, &b->extension, err);
    if (r < 0)
        ta_batch_free(&b);
    *out = b;
    return r;
}

void ta_batch_free(ta_batch **pb)
{
    ta_batch *b = *pb;
    if (!b)
        return;
    for (size_t i = 0; i < b->count; i++) {
        ta_batch_item *item = &b->items[i];
        char *texts[] = { item->input, item->name, item->folder, item->output, item->remark, b->below[i] };
        for (size_t t = 0; t < TA_COUNT(texts); t++)
            ta_free(texts[t]);
    }
    for (size_t i = 0; i < b->n_left_out; i++) {
        ta_free(b->left_out[i].path);
        ta_free(b->left_out[i].why);
    }
    ta_free(b->left_out);
    ta_free(b->items);
    ta_free(b->ids);
    ta_free(b->below);
    ta_free((char *)(uintptr_t)b->o.output);
    ta_free((char *)(uintptr_t)b->o.pattern);
    ta_settings_free(&b->settings);
    ta_models_free(&b->models);
    pthread_mutex_destroy(&b->lock);
    ta_freep(pb);
}

size_t ta_batch_count(const ta_batch *b)
{
    return b->count;
}

const ta_batch_item *ta_batch_item_at(const ta_batch *b, size_t i)
{
    return &b->items[i];
}

size_t ta_batch_left_out_count(const ta_batch *b)
{
    return b->n_left_out;
}

const ta_batch_left_out *ta_batch_left_out_at(const ta_batch *b, size_t i)
{
    return &b->left_out[i];
}

void ta_batch_on_event(ta_batch *b, ta_batch_fn fn, void *opaque)
{
    b->fn = fn;
    b->opaque = opaque;
}

/* ---- One item ---------------------------------------------------------------------------------------------------- */

typedef struct worker {
    ta_batch *b;
    pthread_t thread;
    size_t at; /* the item it works on */
} worker;

static void tell(ta_batch *b, size_t i)
{
    if (b->fn)
        b->fn(b->opaque, b, i);
}

static void on_progress(void *opaque, const ta_progress *p)
{
    worker *w = opaque;
    pthread_mutex_lock(&w->b->lock);
    w->b->items[w->at].progress = *p;
    w->b->items[w->at].progress.stages = ""; /* it lives no longer than this call */
    tell(w->b, w->at);
    pthread_mutex_unlock(&w->b->lock);
}

/* The job's own end of the work: output and size are kept, the error is the caller's. */
static int run_job(worker *w, ta_job *job, ta_batch_item *item, ta_error *err)
{
    ta_batch *b = w->b;
    int r = b->cancel ? ta_job_link(job, b->cancel, err) : 0;
    ta_job_share_models(job, b->models);
    ta_job_on_progress(job, on_progress, w);
    if (r >= 0)
        r = ta_job_run(job, err);
    if (r >= 0 && b->o.before_after) {
        char *png = ta_format("%s.png", ta_job_output(job));
        r = png ? ta_job_before_after(job, -1, png, err) : ta_no_memory(err);
        ta_free(png);
    }
    char *output = r >= 0 && !item->output ? ta_strdup(ta_job_output(job)) : NULL;
    pthread_mutex_lock(&b->lock);
    item->output = output ? output : item->output;
    pthread_mutex_unlock(&b->lock);
    return r;
}

static int restore_item(worker *w, ta_batch_item *item, ta_error *err)
{
    ta_batch *b = w->b;
    ta_job *job;
    char *folder = item->output ? NULL : ta_format("%s/", item->folder);
    int r = item->output || folder ? ta_mkdirs(item->folder, err) : ta_no_memory(err);
    if (r >= 0)
        r = ta_job_new(&job, b->settings, item->input, item->output ? item->output : folder, err);
    if (r >= 0) {
        r = run_job(w, job, item, err);
        ta_job_free(&job);
    }
    ta_free(folder);
    return r;
}

/* What is there already decides: skipped (1), refused (negative), or to be restored (0). */
static int look_first(worker *w, ta_batch_item *item, char **remark, ta_error *err)
{
    ta_batch *b = w->b;
    ta_output_state there = TA_OUTPUT_NONE;
    char *path;
    bool overwrite = ta_get_bool(b->settings, TA_SET_overwrite);
    int r = ta_batch_look(b, item, &there, remark, &path, err);
    bool done = there == TA_OUTPUT_FINISHED || there == TA_OUTPUT_DIFFERS;
    if (r >= 0 && done && b->o.skip_existing) {
        pthread_mutex_lock(&b->lock);
        if (!item->output) {
            item->output = path;
            path = NULL;
        }
        pthread_mutex_unlock(&b->lock);
        r = 1;
    } else if (r >= 0 && there != TA_OUTPUT_NONE && !overwrite && item->output) {
        ta_fail(err, TA_ERR_CANTCREATE, "the output %s", *remark);
        r = ta_hint(err, done ? "--skip-existing takes it as done, --overwrite replaces it"
                              : "name another output folder, or allow it with --overwrite");
    }
    ta_free(path);
    if (r <= 0)
        ta_freep(remark);
    return r;
}

static bool may_begin(ta_batch *b)
{
    pthread_mutex_lock(&b->lock);
    bool may = !ta_cancelled(b->cancel) && (!b->o.max_count || b->begun < (size_t)b->o.max_count);
    if (may)
        b->begun++;
    pthread_mutex_unlock(&b->lock);
    return may;
}

static void begin(ta_batch *b, size_t i)
{
    pthread_mutex_lock(&b->lock);
    b->items[i].state = TA_BATCH_RUNNING;
    tell(b, i);
    pthread_mutex_unlock(&b->lock);
}

static void end(ta_batch *b, size_t i, ta_batch_state state, int status, char *remark, double seconds)
{
    pthread_mutex_lock(&b->lock);
    ta_batch_item *item = &b->items[i];
    item->state = state;
    item->status = status;
    item->remark = remark;
    item->seconds = seconds;
    if ((state == TA_BATCH_DONE || state == TA_BATCH_SKIPPED) && item->output)
        item->bytes_after = ta_file_size(item->output);
    tell(b, i);
    pthread_mutex_unlock(&b->lock);
}

static void fail_item(ta_batch *b, size_t i, int status, const ta_error *err, double seconds)
{
    char text[1200];
    bool stopped = status == TA_ERR_CANCELLED;
    char *remark = stopped ? ta_strdup("interrupted") : ta_strdup(ta_error_string(err, text, sizeof text));
    end(b, i, stopped ? TA_BATCH_STOPPED : TA_BATCH_FAILED, status, remark, seconds);
}

static void note_size(ta_batch *b, ta_batch_item *item)
{
    int64_t bytes, modified;
    int r = ta_input_identity(item->input, &bytes, &modified, NULL);
    pthread_mutex_lock(&b->lock);
    item->bytes_before = r < 0 ? -1 : bytes;
    pthread_mutex_unlock(&b->lock);
}

static void work_on(worker *w, size_t i)
{
    ta_batch *b = w->b;
    ta_batch_item *item = &b->items[i];
    ta_error err = { 0 };
    char *remark = NULL;
    int64_t from = ta_now_us();
    w->at = i;
    note_size(b, item);
    int r = look_first(w, item, &remark, &err);
    if (r > 0) {
        end(b, i, TA_BATCH_SKIPPED, 0, remark, 0);
    } else if (r < 0) {
        fail_item(b, i, r, &err, 0);
    } else if (!may_begin(b)) {
        end(b, i, TA_BATCH_LEFT, 0, NULL, 0);
    } else if (b->o.only_show) {
        end(b, i, TA_BATCH_WAITING, 0, NULL, 0);
    } else {
        begin(b, i);
        r = restore_item(w, item, &err);
        double seconds = (double)(ta_now_us() - from) / 1e6;
        if (r < 0)
            fail_item(b, i, r, &err, seconds);
        else
            end(b, i, TA_BATCH_DONE, 0, NULL, seconds);
    }
}

/* ---- All of them ------------------------------------------------------------------------------------------------- */

/* The next item's place, or the count. Once the maximum is reached nothing more need be looked at. */
static size_t take(ta_batch *b)
{
    pthread_mutex_lock(&b->lock);
    bool over = ta_cancelled(b->cancel) || (b->o.max_count && !b->o.only_show && b->begun >= (size_t)b->o.max_count);
    size_t i = over ? b->count : b->next++;
    pthread_mutex_unlock(&b->lock);
    return TA_MIN(i, b->count);
}

static void *work(void *arg)
{
    worker *w = arg;
    for (size_t i; (i = take(w->b)) < w->b->count;)
        work_on(w, i);
    return NULL;
}

static int run_workers(ta_batch *b, ta_error *err)
{
    int wanted = (int)TA_MIN((size_t)b->o.parallel, b->count), started = 0;
    worker *workers = ta_array((size_t)TA_MAX(wanted, 1), sizeof *workers);
    if (!workers)
        return ta_no_memory(err);
    for (int i = 0; i < wanted; i++)
        workers[i].b = b;
    while (started < wanted - 1 && pthread_create(&workers[started].thread, NULL, work, &workers[started]) == 0)
        started++;
    work(&workers[wanted - 1]); /* this thread is one of them */
    for (int i = 0; i < started; i++)
        pthread_join(workers[i].thread, NULL);
    ta_free(workers);
    return 0;
}

size_t ta_batch_count_in(const ta_batch *b, ta_batch_state state)
{
    size_t n = 0;
    for (size_t i = 0; i < b->count; i++)
        n += b->items[i].state == state;
    return n;
}

/* One code for all failures, or TA_ERR_DATA. */
static int settle(ta_batch *b, ta_error *err)
{
    const ta_batch_item *first = NULL;
    int status = 0;
    for (size_t i = 0; i < b->count; i++) {
        ta_batch_item *item = &b->items[i];
        if (item->state == TA_BATCH_WAITING && !b->o.only_show)
            item->state = TA_BATCH_LEFT;
        if (item->state != TA_BATCH_FAILED)
            continue;
        status = !first || status == item->status ? item->status : TA_ERR_DATA;
        first = first ? first : item;
    }
    if (ta_cancelled(b->cancel))
        return ta_fail(err, TA_ERR_CANCELLED, "interrupted: %zu of %zu files are done",
                       ta_batch_count_in(b, TA_BATCH_DONE) + ta_batch_count_in(b, TA_BATCH_SKIPPED), b->count);
    if (!first)
        return 0;
    size_t failed = ta_batch_count_in(b, TA_BATCH_FAILED);
    return ta_fail(err, (ta_status)status, "%zu of %zu files failed; the first: %s: %s", failed, b->count, first->name,
                   first->remark ? first->remark : ta_status_name(first->status));
}

int ta_batch_run(ta_batch *b, ta_error *err)
{
    int64_t from = ta_now_us();
    ta_error own = { 0 };
    err = err ? err : &own;
    int r = run_workers(b, err);
    b->seconds = (double)(ta_now_us() - from) / 1e6;
    if (r >= 0)
        r = settle(b, err);
    b->status = r;
    return r;
}
