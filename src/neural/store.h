/* The store of models in the user's data folder. Private to neural. */
#ifndef TA_NEURAL_STORE_H
#define TA_NEURAL_STORE_H

#include "neural/neural.h"

/* $XDG_DATA_HOME/terminalai/KIND ("models", "engines"). TA_ERR_UNAVAILABLE without a home. */
int ta_store_folder(const char *kind, char **folder, ta_error *err);
/* True for what can be the name of a model and of its folder. */
bool ta_model_name_fits(const char *name);
/* True for an entry whose files have URLs. */
bool ta_model_by_url(const ta_model *m);
/* Gets the files by their URLs into `stage`, by way of `store`/.downloads, where what has come stays when it is cut. */
int ta_fetch_urls(const ta_model *m, const char *store, const char *stage, ta_cancel *cancel, ta_error *err);
/* Gets a package's files into `stage` by its client, run as a child process. */
int ta_fetch_package(const ta_model *m, const char *stage, ta_cancel *cancel, ta_error *err);

#endif
