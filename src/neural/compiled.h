/* Compiled models kept on the disk. Private to neural. */
#ifndef TA_NEURAL_COMPILED_H
#define TA_NEURAL_COMPILED_H

#include "neural/neural.h"

/* Where this compiled model is kept, by all that it depends on: the model's bytes, the engine's version, the options,
 * the CPU. `path` becomes NULL (and no error) when nothing is to be cached, or there is no cache folder. Free with
 * ta_free. */
int ta_compiled_path(char **path, const void *model, size_t size, const char *engine, const char *settings,
                     const char *folder, ta_error *err);
/* Reads what was kept; false when it isn't there or is damaged (then it is removed). */
bool ta_compiled_read(const char *path, char **file, const char **data, size_t *size);
/* Keeps the blob that stands in the file `from`, which is removed; failing is no error, but said in the log. Removes
 * the oldest ones while all are over 2 GiB. */
void ta_compiled_keep(const char *path, const char *from);

#endif
