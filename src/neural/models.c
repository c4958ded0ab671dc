/* The models in use: a list of entries by name, part and options. Who asks first loads, on their own thread or on one
 * that ta_models_start made; who comes later waits for it. */
#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "neural/ncnn.h"
#include "neural/session.h"

enum { LOOK_MS = 20 };

typedef enum entry_state { LOADING, READY, FAILED } entry_state;

typedef struct entry {
    struct entry *next;
    ta_models *models;
    /* -- immutable */
    char *key, *name;
    size_t part;
    ta_session_options options; /* with copies of what it points to */
    pthread_t thread;
    bool has_thread;
    /* -- protected by the list's lock */
    entry_state state;
    ta_session *session;
    ta_model_geometry geometry;
    ta_error error;
    int waiters;
} entry;

struct ta_models {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* -- protected by the lock */
    ta_catalogue *catalogue; /* read when the first model of it is asked for, never changed then */
    entry *first;
    uint64_t loads;
};

/* ---- Loading -------------------------------------------------------------------------------------------------- */

static int check(const ta_model *m, ta_error *err)
{
    ta_model_state state;
    char fault[TA_ERROR_TEXT], *path;
    int r = ta_model_path(m, 0, &path, err); /* says how to get it */
    ta_free(path);
    if (r == 0)
        r = ta_model_check(m, true, &state, fault, NULL, err);
    if (r < 0 || state == TA_MODEL_INSTALLED)
        return r;
    ta_fail(err, TA_ERR_DATA, "the model %s is damaged: %s", m->name, fault);
    return ta_hint(err, "`terminalai models %s %s` puts it in order", m->source ? "import FILE --name" : "install",
                   m->name);
}

static void take_geometry(ta_model_geometry *g, const ta_onnx_model *m)
{
    *g = (ta_model_geometry){ .known = true,
                              .global = m->global,
                              .channels_in = m->channels_in,
                              .channels_out = m->channels_out,
                              .scale_num = m->scale_num,
                              .scale_den = m->scale_den,
                              .reach = m->reach,
                              .align = m->align,
                              .align_rest = m->align_rest,
                              .inset = m->inset };
}

static int open_ncnn(entry *e, const ta_model *m, const char *param, ta_error *err)
{
    char *bin;
    ta_onnx_model model = { 0 };
    int r = ta_model_path(m, 1, &bin, err);
    if (r == 0)
        r = ta_ncnn_import(param, bin, NULL, &model, err);
    if (r == 0) {
        take_geometry(&e->geometry, &model);
        r = ta_session_open_bytes(&e->session, m->name, model.bytes, model.size, &e->options, err);
        ta_onnx_model_free(&model);
    }
    ta_free(bin);
    return r;
}

static int open_entry(entry *e, const ta_model *m, ta_error *err)
{
    char *path;
    if (e->part >= m->file_count || ta_ends(m->files[e->part].name, ".bin"))
        return ta_fail(err, TA_ERR_USAGE, "the model %s has no part %zu", m->name, e->part);
    int r = check(m, err);
    if (r == 0)
        r = ta_model_path(m, e->part, &path, err);
    if (r < 0)
        return r;
    if (ta_ends(path, ".param") && m->file_count == 2)
        r = open_ncnn(e, m, path, err);
    else
        r = ta_session_open(&e->session, path, &e->options, err);
    ta_free(path);
    return r;
}

static int load_named(entry *e, ta_error *err)
{
    ta_models *models = e->models;
    const ta_model *m;
    pthread_mutex_lock(&models->lock);
    int r = models->catalogue ? 0 : ta_catalogue_open(&models->catalogue, err);
    pthread_mutex_unlock(&models->lock);
    if (r == 0)
        r = ta_catalogue_find(models->catalogue, e->name, &m, err);
    return r < 0 ? r : open_entry(e, m, err);
}

static void load(entry *e)
{
    ta_models *models = e->models;
    ta_error err = { 0 };
    bool file = ta_ends(e->name, ".onnx");
    int r = file ? ta_session_open(&e->session, e->name, &e->options, &err) : load_named(e, &err);
    pthread_mutex_lock(&models->lock);
    models->loads += r == 0;
    e->state = r < 0 ? FAILED : READY;
    e->error = err;
    pthread_cond_broadcast(&models->changed);
    pthread_mutex_unlock(&models->lock);
}

static void *load_thread(void *arg)
{
    load(arg);
    return NULL;
}

/* ---- Entries -------------------------------------------------------------------------------------------------- */

static void free_entry(entry *e)
{
    if (e->has_thread)
        pthread_join(e->thread, NULL);
    for (size_t i = 0; e->options.shapes && i < e->options.shape_count; i++)
        ta_free((char *)e->options.shapes[i].name);
    ta_free((ta_input_shape *)e->options.shapes);
    ta_free((char *)e->options.cache);
    ta_session_free(&e->session);
    ta_free(e->key);
    ta_free(e->name);
    ta_free(e);
}

static char *make_key(const char *name, size_t part, const ta_session_options *o)
{
    ta_buf b = { 0 };
    char shape[192];
    ta_buf_addf(&b, "%s/%zu %d %d %d %d %d %d %s", name, part, o->engine, o->device, o->precision, o->threads,
                o->streams, o->rewrite != NULL, o->cache ? o->cache : "-");
    for (size_t i = 0; i < o->shape_count; i++)
        ta_buf_addf(&b, "\n%s %s", o->shapes[i].name ? o->shapes[i].name : "",
                    ta_shape_print(&o->shapes[i].shape, shape));
    return ta_buf_take(&b);
}

static bool copy_options(entry *e, const ta_session_options *o)
{
    e->options = *o;
    e->options.cache = ta_strdup(o->cache);
    ta_input_shape *shapes = ta_array(o->shape_count, sizeof *shapes);
    e->options.shapes = shapes;
    bool right = shapes && (e->options.cache || !o->cache);
    for (size_t i = 0; right && i < o->shape_count; i++) {
        shapes[i].shape = o->shapes[i].shape;
        shapes[i].name = ta_strdup(o->shapes[i].name);
        right = shapes[i].name || !o->shapes[i].name;
    }
    return right;
}

static entry *new_entry(ta_models *models, const char *name, size_t part, const ta_session_options *o, const char *key)
{
    entry *e = ta_alloc(sizeof *e);
    if (!e)
        return NULL;
    e->models = models;
    e->part = part;
    e->key = ta_strdup(key);
    e->name = ta_strdup(name);
    if (copy_options(e, o) && e->key && e->name)
        return e;
    free_entry(e);
    return NULL;
}

/* The entry of this key, made when there is none (*fresh: it is for the caller to load); NULL: no memory. Under the
 * lock. A failed one that nobody looks at any more is tried again. */
static entry *find_or_add(ta_models *models, const char *name, size_t part, const ta_session_options *o, bool *fresh)
{
    entry *found = NULL, *old = NULL;
    char *key = make_key(name, part, o);
    *fresh = false;
    for (entry **at = &models->first; key && *at && !found && !old; at = &(*at)->next) {
        if (strcmp((*at)->key, key))
            continue;
        if ((*at)->state != FAILED || (*at)->waiters || (*at)->has_thread) {
            found = *at;
            break;
        }
        old = *at;
        *at = old->next;
        break;
    }
    if (old)
        free_entry(old);
    if (key && !found && (found = new_entry(models, name, part, o, key))) {
        *fresh = true;
        found->next = models->first;
        models->first = found;
    }
    ta_free(key);
    return found;
}

/* ---- The interface -------------------------------------------------------------------------------------------- */

int ta_models_new(ta_models **models, ta_error *err)
{
    pthread_condattr_t clock;
    ta_models *fresh = ta_alloc(sizeof *fresh);
    *models = NULL;
    if (!fresh)
        return ta_no_memory(err);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&fresh->lock, NULL);
    pthread_cond_init(&fresh->changed, &clock);
    pthread_condattr_destroy(&clock);
    *models = fresh;
    return 0;
}

void ta_models_free(ta_models **models)
{
    if (!models || !*models)
        return;
    for (entry *e = (*models)->first, *next; e; e = next) {
        next = e->next;
        free_entry(e);
    }
    ta_catalogue_free(&(*models)->catalogue);
    pthread_cond_destroy(&(*models)->changed);
    pthread_mutex_destroy(&(*models)->lock);
    ta_freep(models);
}

int ta_models_start(ta_models *models, const char *name, size_t part, const ta_session_options *options, ta_error *err)
{
    static const ta_session_options none;
    bool fresh;
    pthread_mutex_lock(&models->lock);
    entry *e = find_or_add(models, name, part, options ? options : &none, &fresh);
    bool started = e && (!fresh || pthread_create(&e->thread, NULL, load_thread, e) == 0);
    if (e && fresh && started)
        e->has_thread = true;
    else if (e && fresh) {
        models->first = e->next;
        free_entry(e);
    }
    pthread_mutex_unlock(&models->lock);
    return started ? 0 : ta_no_memory(err);
}

/* Until the entry is loaded or failed. Under the lock. */
static int wait_for(ta_models *models, entry *e, ta_cancel *cancel, ta_error *err)
{
    while (e->state == LOADING) {
        struct timespec until;
        if (ta_cancelled(cancel))
            return ta_fail(err, TA_ERR_CANCELLED, "cancelled");
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += LOOK_MS * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&models->changed, &models->lock, &until);
    }
    if (e->state == READY)
        return 0;
    if (err)
        *err = e->error;
    return e->error.code;
}

/* Joins the thread of an entry that failed, so that the next who asks tries again. Under the lock. */
static void release(entry *e)
{
    e->waiters--;
    if (e->state == FAILED && e->has_thread && !e->waiters) {
        pthread_join(e->thread, NULL); /* it only has to return */
        e->has_thread = false;
    }
}

int ta_models_get(ta_models *models, const char *name, size_t part, const ta_session_options *options, ta_session **s,
                  ta_model_geometry *geometry, ta_cancel *cancel, ta_error *err)
{
    static const ta_session_options none;
    bool fresh;
    *s = NULL;
    pthread_mutex_lock(&models->lock);
    entry *e = find_or_add(models, name, part, options ? options : &none, &fresh);
    if (!e) {
        pthread_mutex_unlock(&models->lock);
        return ta_no_memory(err);
    }
    e->waiters++;
    if (fresh) {
        pthread_mutex_unlock(&models->lock);
        load(e);
        pthread_mutex_lock(&models->lock);
    }
    int r = wait_for(models, e, cancel, err);
    if (r == 0)
        *s = ta_session_ref(e->session);
    if (r == 0 && geometry)
        *geometry = e->geometry;
    release(e);
    pthread_mutex_unlock(&models->lock);
    return r;
}

uint64_t ta_models_loads(ta_models *models)
{
    pthread_mutex_lock(&models->lock);
    uint64_t loads = models->loads;
    pthread_mutex_unlock(&models->lock);
    return loads;
}

void ta_models_trim(ta_models *models)
{
    pthread_mutex_lock(&models->lock);
    for (entry **at = &models->first; *at;) {
        entry *e = *at;
        bool used = e->state == LOADING || e->waiters || (e->session && atomic_load(&e->session->refs) > 1);
        if (used) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        free_entry(e);
    }
    pthread_mutex_unlock(&models->lock);
}
