/* A download under way: PATH.part and what is known of it in PATH.part.json. Private to net. */
#ifndef TA_NET_PART_H
#define TA_NET_PART_H

#include "net/net.h"

typedef struct ta_part {
    char *file, *record; /* PATH.part, PATH.part.json */
    const char *path;    /* the caller's */
    int fd;
    int64_t have;        /* bytes in it, all from the front */
    char url_hash[65];   /* of its URL, which may hold a secret and so is not stored */
    char validator[256]; /* a strong ETag, or the time of the last change; "": none */
} ta_part;

/* Opens or creates it, alone. What belongs to another URL is thrown away. TA_ERR_AGAIN: another process has it. */
int ta_part_open(ta_part *p, const char *path, const char *url, ta_error *err);
/* Empties it. */
int ta_part_restart(ta_part *p, ta_error *err);
/* Writes down the validator of what is coming. */
int ta_part_note(ta_part *p, const char *validator, ta_error *err);
int ta_part_write(ta_part *p, const void *data, size_t size, ta_error *err);
/* Syncs it and gives it its final name. */
int ta_part_finish(ta_part *p, ta_error *err);
/* Closes; without `keep` (and when it is empty) the files are removed. Safe after ta_part_finish. */
void ta_part_close(ta_part *p, bool keep);

#endif
