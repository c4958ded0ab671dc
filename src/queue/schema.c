/* The schema of the store, version by version. A version that was released is never edited: a change is a new one. */
#include "queue/store.h"

static const char *const versions[] = {
    /* 1: jobs */
    "CREATE TABLE settings(id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, json TEXT NOT NULL) STRICT;"
    "CREATE TABLE jobs(id INTEGER PRIMARY KEY AUTOINCREMENT, position INTEGER NOT NULL, priority INTEGER NOT NULL,"
    " state INTEGER NOT NULL, attempt INTEGER NOT NULL, code INTEGER NOT NULL, gpu INTEGER NOT NULL,"
    " added_us INTEGER NOT NULL, started_us INTEGER NOT NULL, ended_us INTEGER NOT NULL, settings INTEGER NOT NULL,"
    " input TEXT NOT NULL, output TEXT NOT NULL, source TEXT NOT NULL, message TEXT NOT NULL) STRICT;"
    "CREATE INDEX jobs_by_output ON jobs(output);"
    "CREATE TABLE needs(job INTEGER NOT NULL, needs INTEGER NOT NULL, PRIMARY KEY(job, needs)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX needs_by_need ON needs(needs);"
    "CREATE TABLE facts(name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;",
    /* 2: notifications, written with the end of their job and sent behind it */
    "CREATE TABLE outbox(id INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL, channel TEXT NOT NULL,"
    " notice TEXT NOT NULL, state INTEGER NOT NULL, tries INTEGER NOT NULL, created_us INTEGER NOT NULL,"
    " due_us INTEGER NOT NULL, why TEXT NOT NULL) STRICT;"
    "CREATE INDEX outbox_by_due ON outbox(channel, state, due_us, id);",
    /* 3: files that watch folders have taken */
    "CREATE TABLE watched(folder TEXT NOT NULL, path TEXT NOT NULL, size INTEGER NOT NULL, modified_us INTEGER NOT "
    "NULL,"
    " job INTEGER NOT NULL, sha256 TEXT NOT NULL, tries INTEGER NOT NULL, state INTEGER NOT NULL, due_us INTEGER NOT "
    "NULL,"
    " output TEXT NOT NULL, note TEXT NOT NULL, PRIMARY KEY(folder, path)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX watched_by_job ON watched(job);",
};

int ta_schema_newest(void)
{
    return (int)TA_COUNT(versions);
}

static int run(sqlite3 *db, const char *sql, ta_error *err)
{
    char *said = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &said) == SQLITE_OK)
        return 0;
    int code = sqlite3_errcode(db) == SQLITE_FULL ? TA_ERR_AGAIN : TA_ERR_IO;
    int r = ta_fail(err, (ta_status)code, "can't bring the queue's store up to date: %s", said ? said : "no memory");
    sqlite3_free(said);
    return r;
}

static int version_of(sqlite3 *db, int *version, ta_error *err)
{
    sqlite3_stmt *st = NULL;
    bool good =
        sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW;
    if (good)
        *version = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    return good ? 0 : ta_fail(err, TA_ERR_IO, "can't read the version of the queue's store: %s", sqlite3_errmsg(db));
}

static int step(sqlite3 *db, int to, ta_error *err)
{
    char mark[96];
    snprintf(mark, sizeof mark, "PRAGMA application_id=%d; PRAGMA user_version=%d", TA_STORE_MARK, to);
    int r = run(db, "BEGIN IMMEDIATE", err);
    if (r >= 0)
        r = run(db, versions[to - 1], err);
    if (r >= 0)
        r = run(db, mark, err);
    if (r >= 0)
        r = run(db, "COMMIT", err);
    if (r < 0)
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return r;
}

int ta_schema_migrate(sqlite3 *db, int target, ta_error *err)
{
    int have = 0, want = target ? target : ta_schema_newest();
    int r = version_of(db, &have, err);
    if (r >= 0 && have > want) {
        ta_fail(err, TA_ERR_DATA, "the queue was written by a newer terminalai (its version is %d, this one knows %d)",
                have, want);
        return ta_hint(err, "use the newer program, or another --queue-dir");
    }
    for (int to = have + 1; r >= 0 && to <= want; to++)
        r = step(db, to, err);
    return r;
}
