/* What a session is made of, and what an engine has to offer. Private to neural; only session_*.c know the engines. */
#ifndef TA_NEURAL_SESSION_H
#define TA_NEURAL_SESSION_H

#include <stdatomic.h>

#include "neural/neural.h"

typedef struct ta_engine_ops ta_engine_ops;

typedef struct ta_port {
    char *name;
    ta_shape shape;
} ta_port;

/* Everything but `refs` is fixed once the session is open. */
struct ta_session {
    _Atomic int refs;
    const ta_engine_ops *ops;
    void *impl; /* the engine's */
    char *name, *version, *device;
    ta_precision precision;
    int threads, streams;
    bool from_cache;
    int64_t open_us;
    int inputs, outputs;
    ta_port input[TA_SESSION_PORTS], output[TA_SESSION_PORTS];
};

typedef enum ta_request_state { TA_REQUEST_NEW, TA_REQUEST_RUNNING, TA_REQUEST_DONE } ta_request_state;

struct ta_request {
    ta_session *session;
    void *impl;
    ta_request_state state;
    bool filled[TA_SESSION_PORTS]; /* the input's memory was asked for */
    ta_shape shape[TA_SESSION_PORTS];
};

/* The model and how it is to be compiled, with every `auto` but the precision's resolved. */
typedef struct ta_open {
    const char *name;
    const void *data;
    size_t size;
    const ta_session_options *options;
    int threads, streams;
} ta_open;

/* An engine. All functions are called with arguments that session.c has checked. */
struct ta_engine_ops {
    const char *name, *title;
    void (*look)(ta_engine_info *info);
    /* Fills impl, version, device, precision, from_cache and the ports. Whatever it leaves in impl, close frees. */
    int (*open)(ta_session *s, const ta_open *o, ta_error *err);
    void (*close)(ta_session *s);
    int (*request_new)(ta_request *r, ta_error *err);
    void (*request_free)(ta_request *r); /* ends what is running */
    int (*input)(ta_request *r, int index, const ta_shape *shape, float **data, ta_error *err);
    int (*start)(ta_request *r, ta_error *err);
    /* 1: done, 0: not yet, after at most `us`. */
    int (*wait)(ta_request *r, int64_t us, ta_error *err);
    int (*output)(ta_request *r, int index, ta_shape *shape, const float **data, ta_error *err);
};

extern const ta_engine_ops ta_openvino, ta_onnxruntime;

/* Adds a port; takes over neither name nor shape. TA_ERR_DATA when there are too many. */
int ta_session_add_port(ta_session *s, bool input, const char *name, const ta_shape *shape, ta_error *err);
/* The precision that `wanted` comes to on this CPU; TA_ERR_UNAVAILABLE when it has no bf16 and that was wanted. */
int ta_precision_choose(ta_precision wanted, ta_precision *precision, ta_error *err);

#endif
