/* The store of models in the user's data folder. Private to neural. */
#ifndef TA_NEURAL_STORE_H
#define TA_NEURAL_STORE_H

#include "neural/neural.h"

/* $XDG_DATA_HOME/terminalai/KIND ("models", "engines"). TA_ERR_UNAVAILABLE without a home. */
int ta_store_folder(const char *kind, char **folder, ta_error *err);
/* True for what can be the name of a model and of its folder. */
bool ta_model_name_fits(const char *name);
/* Gets a package's files into `stage` by its client, run as a child process. */
int ta_fetch_package(const ta_model *m, const char *stage, ta_cancel *cancel, ta_error *err);

#endif
