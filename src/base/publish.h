/* Renames that never replace. Private to base. */
#ifndef TA_BASE_PUBLISH_H
#define TA_BASE_PUBLISH_H

/* Renames `from` to `to`, or returns EEXIST. 0 or an errno. */
int ta_rename_new(const char *from, const char *to);
/* The same by link and unlink, for file systems without RENAME_NOREPLACE. */
int ta_link_new(const char *from, const char *to);

#endif
