/* Finding and loading an engine's library. Private to neural. */
#ifndef TA_NEURAL_LIBRARY_H
#define TA_NEURAL_LIBRARY_H

#include "neural/neural.h"

/* An engine's library, where it may be and what it must have. */
typedef struct ta_library {
    const char *title;          /* "OpenVINO" */
    const char *variable;       /* "TERMINALAI_OPENVINO": a folder or a file; when set nothing else is tried */
    const char *folder;         /* "openvino": below engines/ in the user's data folder and deps/ of a checkout */
    const char *const *names;   /* of the library's file, the best first; ends with NULL */
    const char *install;        /* the command that gets it */
    const char *const *symbols; /* names of the functions wanted; ends with NULL */
} ta_library;

/* Loads it and looks up the functions, in order, into `functions`. The library stays loaded for good: its threads don't
 * bear being unloaded. `path` receives where it was found (at least 512 bytes). TA_ERR_UNAVAILABLE with what was tried
 * and the command that installs it. */
int ta_library_load(const ta_library *lib, void **functions, char *path, ta_error *err);

#endif
