/* neural: inference. Sessions over the engines (OpenVINO, ONNX Runtime), the catalogue of models and their files.
 * Knows base, settings, media, flow, picture and sound. This is the one header that other folders include.
 *
 * The engines are libraries that are loaded when a session first wants one, so the same program runs without them; a
 * session that can't be had is TA_ERR_UNAVAILABLE with the command that installs what is missing. */
#ifndef TA_NEURAL_NEURAL_H
#define TA_NEURAL_NEURAL_H

#include "base/base.h"
#include "neural/face.h"
#include "neural/sound_engine.h"
#include "neural/upscale.h"

/* ---- Sessions ------------------------------------------------------------------------------------------------- */

/* A compiled model: reference counted, never changed after it was opened, used from any number of threads. */
typedef struct ta_session ta_session;
/* One inference at a time with input and output tensors of its own. A request belongs to one thread at a time; several
 * requests of one session may run at once. A request keeps its session alive. */
typedef struct ta_request ta_request;

typedef enum ta_engine { TA_ENGINE_AUTO, TA_ENGINE_OPENVINO, TA_ENGINE_ONNXRUNTIME } ta_engine;
typedef enum ta_device { TA_DEVICE_CPU, TA_DEVICE_CUDA, TA_DEVICE_TENSORRT } ta_device;
typedef enum ta_precision { TA_PRECISION_AUTO, TA_PRECISION_FP32, TA_PRECISION_BF16 } ta_precision;

enum { TA_SHAPE_RANK = 8, TA_SESSION_PORTS = 16 };

/* Sizes of a tensor, the slowest first. -1 is a free size, to be set by a request or when the session is opened. */
typedef struct ta_shape {
    int rank;
    int64_t dim[TA_SHAPE_RANK];
} ta_shape;

/* TA_SHAPE(1, 3, 240, 360). */
#define TA_SHAPE(...)                                                                                                  \
    ((ta_shape){ .rank = (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), .dim = { __VA_ARGS__ } })

/* The number of elements; -1 when a size is free, negative or the product is over PTRDIFF_MAX / 4. */
int64_t ta_shape_count(const ta_shape *shape);
bool ta_shape_equal(const ta_shape *a, const ta_shape *b);
/* "1x3x240x360", "?" for a free size, into `out` (at least 176 bytes). Returns `out`. */
char *ta_shape_print(const ta_shape *shape, char *out);

/* An input whose free sizes are fixed when the session is opened: the engine then compiles for just this shape. */
typedef struct ta_input_shape {
    const char *name; /* NULL: the first input */
    ta_shape shape;
} ta_input_shape;

/* All zero is the default. */
typedef struct ta_session_options {
    ta_engine engine;       /* auto: OpenVINO on the CPU, ONNX Runtime on the other devices */
    ta_device device;       /* never replaced by another one */
    ta_precision precision; /* auto: bf16 where the engine and the CPU compute in it, else fp32; said in the log */
    int threads;            /* 0: one a CPU that this process may use */
    int streams;       /* inferences that run side by side, sharing the threads; 0: 1. More requests wait in line */
    const char *cache; /* folder for compiled models; NULL: the user's cache folder; "": none */
    const ta_input_shape *shapes;
    size_t shape_count;
    /* Changes the model before it is compiled: `out` is new memory (ta_free). NULL: it stays as it is. */
    int (*rewrite)(const void *model, size_t size, char **out, size_t *out_size, ta_error *err);
} ta_session_options;

/* Compiles an ONNX model from a file, or from bytes, which are not needed any more afterwards. `name` names the model
 * in messages. TA_ERR_UNAVAILABLE: no such engine, device or precision here; TA_ERR_DATA: the model is broken or has
 * something that the engine can't do; TA_ERR_NOINPUT; TA_ERR_USAGE: shapes that don't fit; TA_ERR_AGAIN: memory. Thread
 * safe. Compiling can't be interrupted. */
int ta_session_open(ta_session **s, const char *path, const ta_session_options *options, ta_error *err);
int ta_session_open_bytes(ta_session **s, const char *name, const void *data, size_t size,
                          const ta_session_options *options, ta_error *err);
/* One more holder; returns `s`. Each holder drops it with ta_session_free (NULL inside allowed). */
ta_session *ta_session_ref(ta_session *s);
void ta_session_free(ta_session **s);

typedef struct ta_session_info {
    const char *name;       /* of the model */
    const char *engine;     /* "openvino", "onnxruntime" */
    const char *version;    /* of the engine's library */
    const char *device;     /* "CPU", "CUDA" */
    ta_precision precision; /* what is computed in: never auto */
    int threads, streams;
    bool from_cache; /* the compiled model came from the disk */
    int64_t open_us; /* what opening took */
} ta_session_info;
/* Strings live as long as the session. */
void ta_session_get_info(const ta_session *s, ta_session_info *info);

int ta_session_inputs(const ta_session *s);
int ta_session_outputs(const ta_session *s);
/* Name and shape of a port; the model's own names. Indices are checked by assert. */
const char *ta_session_input(const ta_session *s, int index, ta_shape *shape);
const char *ta_session_output(const ta_session *s, int index, ta_shape *shape);
/* The index of a name, or -1. */
int ta_session_find_input(const ta_session *s, const char *name);
int ta_session_find_output(const ta_session *s, const char *name);

/* A request. TA_ERR_AGAIN: memory. ta_request_free ends a running inference, which can take as long as its current
 * layer. */
int ta_request_new(ta_request **r, ta_session *s, ta_error *err);
void ta_request_free(ta_request **r);
/* The memory of an input, to be filled before ta_request_start: fp32, contiguous, whatever the model's own type; as
 * `shape` says, which may be NULL where no size is free. The contents stay from one inference to the next while the
 * shape stays. Not while an inference runs. Valid until the next call for this input or ta_request_free. TA_ERR_USAGE:
 * no such input or a shape that doesn't fit. */
int ta_request_input(ta_request *r, int index, const ta_shape *shape, float **data, ta_error *err);
/* Starts an inference with all inputs set; it runs on the engine's threads. */
int ta_request_start(ta_request *r, ta_error *err);
/* Waits for it. The token is polled: TA_ERR_CANCELLED within some milliseconds, while the inference may still run to
 * its end; then only ta_request_free and a further ta_request_wait are allowed. */
int ta_request_wait(ta_request *r, const ta_cancel *cancel, ta_error *err);
/* Start and wait. */
int ta_request_run(ta_request *r, const ta_cancel *cancel, ta_error *err);
/* A result, fp32, contiguous; `shape` may be NULL. Valid until the next start, for reading. TA_ERR_USAGE before the
 * first inference has ended. */
int ta_request_output(ta_request *r, int index, ta_shape *shape, const float **data, ta_error *err);

/* What is known of an engine; finding out loads its library. */
typedef struct ta_engine_info {
    const char *name, *title; /* "openvino", "OpenVINO" */
    bool built_in;            /* this program was built with its headers */
    bool found;
    char version[96], path[512]; /* "" when not found */
    char devices[160];           /* "CPU", "CPU CUDA" */
    char problem[TA_ERROR_TEXT], advice[TA_ERROR_TEXT];
} ta_engine_info;
/* `engine` is not auto. */
void ta_engine_look(ta_engine engine, ta_engine_info *info);
/* What the settings say of engine, device, precision and threads, with every auto resolved. `info` becomes the
 * engine's; `who` begins the message when it is missing ("the engine 'realesrgan'"). TA_ERR_UNAVAILABLE: no such
 * library or precision here, with what to do; TA_ERR_USAGE: settings that contradict each other. That the device is
 * there shows when a session is opened. */
int ta_engine_choose(const ta_settings *s, const char *who, ta_session_options *o, ta_engine_info *info, ta_error *err);
/* True when the CPU has instructions for bf16 products (AVX512-BF16, AMX-BF16) and the system lets them be used. */
bool ta_cpu_has_bf16(void);
const char *ta_precision_name(ta_precision p); /* "auto", "fp32", "bf16" */

/* ---- The catalogue and the store of models -------------------------------------------------------------------- */

/* One file of a model. `inside` is where it is in the package or folder, `url` its place in the web, `sha256` its
 * digest; NULL: not known. */
typedef struct ta_model_file {
    char *name, *inside, *url, *sha256;
} ta_model_file;

/* An entry of the catalogue; what isn't said is NULL or 0. See models/catalogue.yaml for what each is. */
typedef struct ta_model {
    char *name, *title, *task, *licence, *licence_note;
    char *client, *package, *version, *package_sha256, *tag; /* by package */
    char *path, *source;                                     /* from a folder or file; brought by the user */
    char *input, *layout, *notes;
    char *origin; /* the file it was read from, NULL: built in */
    int scale, padding;
    int64_t size;
    ta_model_file *files;
    size_t file_count;
} ta_model;

/* All entries, in order of name: those built in, then $XDG_CONFIG_HOME/terminalai/models.yaml and the entries of
 * imported models in the store, which replace earlier ones of the same name. Never changed once it is open. */
typedef struct ta_catalogue {
    ta_model *models;
    size_t count;
} ta_catalogue;

/* TA_ERR_CONFIG: a file of the user's is wrong, with its line. */
int ta_catalogue_open(ta_catalogue **c, ta_error *err);
void ta_catalogue_free(ta_catalogue **c);
/* TA_ERR_USAGE, with the nearest name, when there is none. */
int ta_catalogue_find(const ta_catalogue *c, const char *name, const ta_model **m, ta_error *err);

typedef enum ta_model_state { TA_MODEL_MISSING, TA_MODEL_INSTALLED, TA_MODEL_DAMAGED } ta_model_state;
/* What is in the store. With `thorough` every file is read and compared with its SHA-256 (the catalogue's, else the one
 * taken when it was imported); else the files only have to be there. `fault`, when given (at least TA_ERROR_TEXT
 * bytes), says what is wrong. TA_ERR_CANCELLED, TA_ERR_AGAIN. */
int ta_model_check(const ta_model *m, bool thorough, ta_model_state *state, char *fault, const ta_cancel *cancel,
                   ta_error *err);
/* The folder that the model's files are in, or would be in (ta_free). TA_ERR_UNAVAILABLE: there is no data folder. */
int ta_model_folder(const ta_model *m, char **folder, ta_error *err);
/* The path of one of its files, checked to be there: TA_ERR_UNAVAILABLE with the command that gets it. ta_free. */
int ta_model_path(const ta_model *m, size_t file, char **path, ta_error *err);
/* Gets the files by the catalogue's way, checks their digests and puts them in place, all or none; what was there
 * before stays until then. TA_ERR_UNAVAILABLE: no client, no network, or only the user can bring it; TA_ERR_DATA:
 * another file than pinned; TA_ERR_AGAIN: another process changes the store at this moment, or memory. What came of an
 * interrupted download by URL stays in the store for the next try, for a week. */
int ta_model_install(const ta_model *m, ta_cancel *cancel, ta_error *err);
/* Gets a model that no entry names from the web, one URL a file, and writes an entry of its own beside the files, with
 * the URLs and digests. `sha256` (NULL: not known) is a list as long as `urls`, of which any may be NULL; without a
 * digest a URL must be https. Otherwise as ta_model_import_new. */
int ta_model_install_urls(const char *name, const char *task, int scale, const char *const *urls,
                          const char *const *sha256, size_t count, ta_cancel *cancel, ta_error *err);
int ta_model_remove(const ta_model *m, ta_error *err);
/* Copies the user's own files into the store, by the same rules; in the order of the entry's files. */
int ta_model_import(const ta_model *m, const char *const *paths, size_t count, ta_cancel *cancel, ta_error *err);
/* The same for a model that no entry names: writes an entry of its own beside the files. */
int ta_model_import_new(const char *name, const char *task, int scale, const char *const *paths, size_t count,
                        ta_cancel *cancel, ta_error *err);

/* ---- Models, loaded once ------------------------------------------------------------------------------------- */

/* The models that a process has in use: each is loaded once, whoever asks, and stays until ta_models_free or
 * ta_models_trim. One a process (a batch, a worker) is meant. Thread safe. */
typedef struct ta_models ta_models; /* also in sound_engine.h */

/* What is known of a picture model's geometry, for tiles; see ncnn.h for what each means. `known` is false for ONNX
 * files, which don't tell. */
typedef struct ta_model_geometry {
    bool known, global;
    int channels_in, channels_out, scale_num, scale_den, reach, align, align_rest, inset;
} ta_model_geometry;

/* The catalogue is read when it is first needed. Free after all sessions' users are done asking; sessions given out
 * live on. Waits for loads. */
int ta_models_new(ta_models **models, ta_error *err);
void ta_models_free(ta_models **models);
/* Begins to load, on a thread of its own, so that other work goes on meanwhile; whether it succeeds is told by
 * ta_models_get with the same words. TA_ERR_AGAIN. */
int ta_models_start(ta_models *models, const char *name, size_t part, const ta_session_options *options, ta_error *err);
/* The session of a model's file number `part` (a model of .param and .bin is part 0), or of the file `name` when that
 * ends in ".onnx"; one reference for the caller; it is loaded now, or was, or is being, with these options. SHA-256 of
 * the catalogue's files are checked first. TA_ERR_UNAVAILABLE: not
 * installed, with the command that gets it; TA_ERR_DATA: damaged; as ta_session_open. `geometry` may be NULL. */
int ta_models_get(ta_models *models, const char *name, size_t part, const ta_session_options *options, ta_session **s,
                  ta_model_geometry *geometry, ta_cancel *cancel, ta_error *err);
/* How many sessions were made so far. */
uint64_t ta_models_loads(ta_models *models);
/* Lets go of what nobody else holds. */
void ta_models_trim(ta_models *models);

#endif
