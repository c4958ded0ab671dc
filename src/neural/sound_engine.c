/* What the plan of a track asks for: finds the model's files and the engine, says what is missing and how to get it,
 * and makes the stage. */
#include "neural/denoiser.h"
#include "neural/sound_model.h"

#include <string.h>

int ta_neural_sound_new(ta_neural_sound **out, ta_models *models, ta_cancel *cancel, ta_error *err)
{
    ta_neural_sound *n = *out = ta_alloc(sizeof *n);
    if (!n)
        return ta_no_memory(err);
    *n = (ta_neural_sound){ .models = models, .cancel = cancel };
    if (models)
        return 0;
    n->own = true;
    int r = ta_models_new(&n->models, err);
    if (r < 0)
        ta_freep(out);
    return r;
}

void ta_neural_sound_free(ta_neural_sound **n)
{
    if (!n || !*n)
        return;
    if ((*n)->own)
        ta_models_free(&(*n)->models);
    ta_freep(n);
}

void ta_sound_model_free(ta_sound_model *m)
{
    for (int i = 0; i < TA_SOUND_PARTS; i++)
        ta_free(m->at[i].name);
    *m = (ta_sound_model){ 0 };
}

/* ---- Files ------------------------------------------------------------------------------------------------------- */

/* The model's digest is that of its files' digests. */
static int seal(ta_sound_model *m, char (*hex)[65], ta_error *err)
{
    ta_sha256 *h = ta_sha256_new();
    if (!h)
        return ta_no_memory(err);
    for (int i = 0; i < m->parts; i++)
        ta_sha256_add(h, hex[i], 64);
    ta_sha256_end(&h, m->sha256);
    return 0;
}

static int add_part(ta_sound_model *m, char *name, size_t part, ta_error *err)
{
    m->at[m->parts].name = name;
    m->at[m->parts++].part = part;
    return name ? 0 : ta_no_memory(err);
}

/* A file of the user's for each part: `path` itself, or the parts' names in the folder `path`. */
static int find_files(const char *path, const char *const *names, int parts, ta_sound_model *m, ta_cancel *cancel,
                      ta_error *err)
{
    char hex[TA_SOUND_PARTS][65];
    bool folder = ta_is_dir(path);
    int r = 0;
    if (!folder && (parts > 1 || !ta_ends(path, ".onnx"))) {
        ta_fail(err, TA_ERR_USAGE, "speech-model '%s' is no %s", path, parts > 1 ? "folder" : ".onnx file");
        return parts > 1 ? ta_hint(err, "name the folder that holds %s.onnx, %s.onnx and %s.onnx", names[0], names[1],
                                   names[2])
                         : ta_hint(err, "name an ONNX file, or a model of `terminalai models list`");
    }
    for (int i = 0; r >= 0 && i < parts; i++) {
        char *file = folder ? ta_format("%s/%s.onnx", path, names[i]) : ta_strdup(path);
        r = add_part(m, file, 0, err);
        if (r >= 0)
            r = ta_sha256_file(file, hex[i], cancel, err);
    }
    return r < 0 ? r : seal(m, hex, err);
}

/* The digest of a stored file: the catalogue's, else its own. */
static int digest_of(const ta_model *entry, size_t part, char hex[65], ta_cancel *cancel, ta_error *err)
{
    char *path;
    int r = ta_model_path(entry, part, &path, err);
    if (r < 0)
        return r;
    if (entry->files[part].sha256)
        memcpy(hex, entry->files[part].sha256, 65);
    else
        r = ta_sha256_file(path, hex, cancel, err);
    ta_free(path);
    return r;
}

static int take_entry(const ta_model *entry, const char *task, int parts, ta_sound_model *m, ta_cancel *cancel,
                      ta_error *err)
{
    char hex[TA_SOUND_PARTS][65];
    int r = 0;
    if (!ta_streq(entry->task, task) || (int)entry->file_count != parts) {
        ta_fail(err, TA_ERR_USAGE, "the model '%s' is not made for this", entry->name);
        return ta_hint(err, "`terminalai models list` shows what each model is for");
    }
    for (int i = 0; r >= 0 && i < parts; i++) {
        r = digest_of(entry, (size_t)i, hex[i], cancel, err);
        if (r >= 0)
            r = add_part(m, ta_strdup(entry->name), (size_t)i, err);
    }
    return r < 0 ? r : seal(m, hex, err);
}

static int find_named(const char *name, const char *task, int parts, ta_sound_model *m, ta_cancel *cancel,
                      ta_error *err)
{
    ta_catalogue *c = NULL;
    const ta_model *entry;
    int r = ta_catalogue_open(&c, err);
    if (r >= 0)
        r = ta_catalogue_find(c, name, &entry, err);
    if (r >= 0)
        r = take_entry(entry, task, parts, m, cancel, err);
    ta_catalogue_free(&c);
    return r;
}

static int find_file(void *opaque, const char *name, char **path, ta_error *err)
{
    ta_catalogue *c = NULL;
    const ta_model *entry;
    (void)opaque;
    *path = NULL;
    int r = ta_catalogue_open(&c, err);
    if (r >= 0)
        r = ta_catalogue_find(c, name, &entry, err);
    if (r >= 0)
        r = ta_model_path(entry, 0, path, err);
    ta_catalogue_free(&c);
    return r;
}

/* "OpenVINO 2026.4.1", into `text`; what the model is for says `what`. */
static int find_engine(const char *what, char text[160], ta_error *err)
{
    ta_engine_info info;
    ta_engine_look(TA_ENGINE_OPENVINO, &info);
    snprintf(text, 160, "%s %s", info.title, info.version);
    if (info.found)
        return 0;
    ta_fail(err, TA_ERR_UNAVAILABLE, "%s needs OpenVINO: %s", what, info.problem);
    return ta_hint(err, "%s", info.advice);
}

/* ---- Speech ------------------------------------------------------------------------------------------------------ */

static bool is_path(const char *name)
{
    return strchr(name, '/') || ta_ends(name, ".onnx") || ta_is_dir(name);
}

static int make_speech(ta_neural_sound *n, const char *method, const ta_settings *s, ta_sound_part *part, ta_error *err)
{
    bool gtcrn = ta_streq(method, "gtcrn");
    const ta_denoiser_ops *ops = gtcrn ? &ta_gtcrn : &ta_deepfilternet;
    const char *name = ta_get_text(s, TA_SET_speech_model);
    ta_sound_model model = { 0 };
    char engine[160];
    int r;
    if (name[0] && is_path(name))
        r = find_files(name, ops->part_names, ops->parts, &model, n->cancel, err);
    else
        r = find_named(name[0] ? name
                       : gtcrn ? "gtcrn"
                               : "deepfilternet3",
                       "speech", ops->parts, &model, n->cancel, err);
    if (r >= 0)
        r = find_engine(ops->title, engine, err);
    snprintf(part->text, sizeof part->text, "%s (sha256 %.16s)", ops->title, model.sha256);
    if (r >= 0)
        r = ta_speech_stage_new(n, ops, &model, s, engine, &part->stage, err);
    ta_sound_model_free(&model);
    part->rate = ops->rate;
    part->step = ops->hop;
    return r < 0 ? ta_wrap(err, "speech denoiser %s", method) : 0;
}

static int make_part(void *opaque, ta_sound_task task, const char *method, const ta_settings *s, ta_sound_part *part,
                     ta_error *err)
{
    *part = (ta_sound_part){ 0 };
    switch (task) {
    case TA_SOUND_SPEECH:
        return make_speech(opaque, method, s, part, err);
    default:
        return ta_fail(err, TA_ERR_SOFTWARE, "no model for this part of sound");
    }
}

ta_sound_engines ta_neural_sound_engines(ta_neural_sound *n)
{
    return (ta_sound_engines){ n, make_part, find_file };
}
