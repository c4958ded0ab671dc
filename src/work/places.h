/* Lists of paths for a confined worker. Private to work. */
#ifndef TA_WORK_PLACES_H
#define TA_WORK_PLACES_H

#include "base/base.h"

/* Zero-initialise; `list` ends with NULL, or is NULL when empty. `failed`: memory was short. */
typedef struct ta_places {
    char **list;
    int count;
    bool failed;
} ta_places;

void ta_places_add(ta_places *p, const char *path); /* NULL and "" add nothing */
void ta_places_readable(ta_places *p);              /* libraries, models, what is to be known of the machine */
void ta_places_devices(ta_places *p);               /* null, and the GPUs' */
void ta_places_free(ta_places *p);

#endif
