/* Removal relative to an open folder. Private to base. */
#ifndef TA_BASE_TREE_H
#define TA_BASE_TREE_H

#include <dirent.h>

/* Opens the folder `name` in the folder `at`; NULL when it is none, or a link. */
DIR *ta_open_dir_at(int at, const char *name);
/* The next entry but "." and "..", or NULL. */
struct dirent *ta_next_entry(DIR *dir);
/* Removes a file or a tree. 0 (also when there was nothing) or an errno. */
int ta_remove_at(int at, const char *name);

#endif
