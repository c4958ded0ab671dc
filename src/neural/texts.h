/* Files of the repository that the program carries. Private to neural. */
#ifndef TA_NEURAL_TEXTS_H
#define TA_NEURAL_TEXTS_H

#include <stddef.h>

extern const char ta_text_catalogue[], ta_text_fetch[]; /* models/catalogue.yaml, scripts/fetch-package */
extern const size_t ta_text_catalogue_size, ta_text_fetch_size;

#endif
