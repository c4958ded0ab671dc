/* The durable side: jobs, settings, facts, outbox and watched files in one SQLite file. One thread uses it: the writer.
 * A failure of any function that writes means that the transaction must be rolled back. Private to queue. */
#ifndef TA_QUEUE_STORE_H
#define TA_QUEUE_STORE_H

#include <sqlite3.h>

#include "queue/queue.h"

#define TA_STORE_NAME "queue.db"

typedef struct ta_store ta_store;

/* Opens or makes DIR/queue.db, checks it (`check`) and brings its schema up to date. TA_ERR_DATA with a hint when it is
 * damaged or of a newer program; TA_ERR_UNAVAILABLE on a network file system. */
int ta_store_open(ta_store **s, const char *dir, bool check, ta_error *err);
void ta_store_close(ta_store **s);

/* `sync`: its commit is on the disk when it returns; else with the next one that is. */
int ta_store_begin(ta_store *s, bool sync, ta_error *err);
int ta_store_commit(ta_store *s, ta_error *err);
void ta_store_rollback(ta_store *s);

/* Calls `row` with each job, in order of ids; its texts are valid during the call. */
int ta_store_load(ta_store *s, int (*row)(void *opaque, const ta_qjob *j), void *opaque, ta_error *err);
/* The row of these settings, new or known: the same JSON is stored once. */
int ta_store_settings(ta_store *s, const char *json, int64_t *id, ta_error *err);
/* Settings as JSON (ta_free). */
int ta_store_settings_text(ta_store *s, int64_t id, char **json, ta_error *err);
/* Settings that no job has any more are dropped. */
int ta_store_sweep(ta_store *s, ta_error *err);
/* Sets j->id. */
int ta_store_add(ta_store *s, ta_qjob *j, ta_error *err);
int ta_store_update(ta_store *s, const ta_qjob *j, ta_error *err);
int ta_store_remove(ta_store *s, int64_t id, ta_error *err);
/* A job that isn't over and has this output (and input, unless NULL): its id, or 0. */
int ta_store_find(ta_store *s, const char *input, const char *output, int64_t *id, ta_error *err);
/* A job that isn't over and needs `need`: its id, or 0. */
int ta_store_waiting(ta_store *s, int64_t need, int64_t *job, ta_error *err);
/* A number by name; 0 when it was never set. */
int ta_store_fact(ta_store *s, const char *name, int64_t *value, ta_error *err);
int ta_store_set_fact(ta_store *s, const char *name, int64_t value, ta_error *err);
/* For the other files that keep tables of their own. A prepared statement, made once for each literal `sql` and reset.
 */
int ta_store_statement(ta_store *s, const char *sql, sqlite3_stmt **st, ta_error *err);
/* Runs a statement that gives no rows. */
int ta_store_run(ta_store *s, sqlite3_stmt *st, ta_error *err);
/* The first column of a statement's first row; 0 when it gives none. */
int ta_store_number(ta_store *s, sqlite3_stmt *st, int64_t *value, ta_error *err);
/* What SQLite says, as a status, a sentence and a hint. */
int ta_store_fail(ta_store *s, const char *what, ta_error *err);
sqlite3 *ta_store_db(ta_store *s);

/* schema.c: from any older version to `target` (0 = the newest), a transaction each. */
int ta_schema_migrate(sqlite3 *db, int target, ta_error *err);
int ta_schema_newest(void);
enum { TA_STORE_MARK = 0x54414951 }; /* application_id, "TAIQ" */

/* place.c */
/* True for a file system (statfs f_type) whose locks and shared memory can't be relied on. */
bool ta_is_network_fs(unsigned long type);
int ta_check_local(const char *dir, ta_error *err);

#endif
