/* Reading a store that may be damaged: export of what it holds, and repair into a new one. Rows are looked up one by
 * one where reading on in order fails, so that a damaged page costs the rows on it and no others. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "queue/internal.h"

/* ---- Reading whatever can be read -----------------------------------------------------------------------------------
 */

static int open_old(const char *dir, sqlite3 **db, ta_error *err)
{
    char *path = ta_path_join(dir, TA_STORE_NAME);
    if (!path)
        return ta_no_memory(err);
    int r = 0;
    if (access(path, F_OK) != 0) {
        ta_fail(err, TA_ERR_NOINPUT, "there is no queue in '%s'", dir);
        r = ta_hint(err, "`terminalai queue add` makes one; --queue-dir names another folder");
    } else if (sqlite3_open_v2(path, db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        r = ta_fail(err, TA_ERR_IO, "can't open '%s': %s", path, *db ? sqlite3_errmsg(*db) : "no memory");
    }
    ta_free(path);
    if (r >= 0)
        sqlite3_busy_timeout(*db, 5000);
    return r;
}

typedef struct table {
    const char *name, *key; /* key: the rowid's column, or NULL */
    const char *columns;
} table;

#define JOB_COLUMNS                                                                                                    \
    "id, position, priority, state, attempt, code, gpu, added_us, started_us, ended_us, settings, input, output, "     \
    "source,"                                                                                                          \
    " message"

static const table tables[] = {
    { "settings", "id", "id, sha256, json" },
    { "jobs", "id", JOB_COLUMNS },
    { "needs", NULL, "job, needs" },
    { "facts", NULL, "name, value" },
    { "outbox", "id", "id, job, channel, notice, state, tries, created_us, due_us, why" },
    { "watched", NULL, "folder, path, size, modified_us, job, sha256, tries, state, due_us, output, note" },
};
enum { SETTINGS, JOBS, NEEDS };

typedef int (*row_fn)(void *opaque, sqlite3_stmt *row, ta_error *err);

typedef struct scan {
    sqlite3 *db;
    const table *t;
    row_fn row;
    void *opaque;
    int64_t last; /* id of the last row that was read */
    int64_t rows, damaged;
} scan;

static sqlite3_stmt *select_from(const scan *s, const char *how)
{
    sqlite3_stmt *st = NULL;
    char *sql = ta_format("SELECT %s FROM %s NOT INDEXED %s", s->t->columns, s->t->name, how);
    if (sql && sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
        st = NULL;
    ta_free(sql);
    return st;
}

static int take_row(scan *s, sqlite3_stmt *st, ta_error *err)
{
    if (s->t->key)
        s->last = sqlite3_column_int64(st, 0);
    s->rows++;
    return s->row(s->opaque, st, err);
}

/* The greatest id that was ever given, by whatever can be read. */
static int64_t greatest(const scan *s)
{
    int64_t most = 0;
    for (int i = 0; i < 2; i++) {
        sqlite3_stmt *st = NULL;
        char *sql =
            ta_format(i ? "SELECT seq FROM sqlite_sequence WHERE name='%s'" : "SELECT max(rowid) FROM %s", s->t->name);
        if (sql && sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
            most = TA_MAX(most, sqlite3_column_int64(st, 0));
        sqlite3_finalize(st);
        ta_free(sql);
    }
    return most;
}

static int one_by_one(scan *s, ta_error *err)
{
    sqlite3_stmt *st = select_from(s, "WHERE rowid=?");
    int64_t end = greatest(s);
    int r = 0;
    for (int64_t id = s->last + 1; st && r >= 0 && id <= end; id++) {
        sqlite3_bind_int64(st, 1, id);
        int step = sqlite3_step(st);
        if (step == SQLITE_ROW)
            r = take_row(s, st, err);
        else if (step != SQLITE_DONE)
            s->damaged++;
        sqlite3_reset(st);
    }
    sqlite3_finalize(st);
    return r;
}

static int scan_table(scan *s, ta_error *err)
{
    sqlite3_stmt *st = select_from(s, s->t->key ? "ORDER BY rowid" : "");
    int r = 0, step = SQLITE_ERROR;
    while (st && r >= 0 && (step = sqlite3_step(st)) == SQLITE_ROW)
        r = take_row(s, st, err);
    sqlite3_finalize(st);
    if (r < 0 || step == SQLITE_DONE)
        return r;
    if (s->t->key)
        return one_by_one(s, err);
    s->damaged++;
    return 0;
}

/* ---- Export ---------------------------------------------------------------------------------------------------------
 */

typedef struct exporting {
    int (*write)(void *opaque, const char *line, ta_error *err);
    void *opaque;
    json_t *needs; /* of all jobs: id -> list */
} exporting;

static int write_object(exporting *e, json_t *o, ta_error *err)
{
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    int r = text ? e->write(e->opaque, text, err) : ta_no_memory(err);
    free(text);
    json_decref(o);
    return r;
}

static int export_settings(void *opaque, sqlite3_stmt *row, ta_error *err)
{
    const char *json = (const char *)sqlite3_column_text(row, 2);
    json_t *values = json ? json_loads(json, 0, NULL) : NULL;
    return values ? write_object(
                        opaque,
                        json_pack("{s:I, s:o}", "settings", (json_int_t)sqlite3_column_int64(row, 0), "values", values),
                        err)
                  : 0;
}

static int note_need(void *opaque, sqlite3_stmt *row, ta_error *err)
{
    exporting *e = opaque;
    char id[24];
    snprintf(id, sizeof id, "%lld", (long long)sqlite3_column_int64(row, 0));
    json_t *list = json_object_get(e->needs, id);
    if (!list && json_object_set_new(e->needs, id, list = json_array()) < 0)
        return ta_no_memory(err);
    return json_array_append_new(list, json_integer(sqlite3_column_int64(row, 1))) < 0 ? ta_no_memory(err) : 0;
}

static json_t *text_json(sqlite3_stmt *row, int column)
{
    char *clean = ta_utf8_clean((const char *)sqlite3_column_text(row, column));
    json_t *t = json_string(clean ? clean : "");
    ta_free(clean);
    return t;
}

static int export_job(void *opaque, sqlite3_stmt *row, ta_error *err)
{
    exporting *e = opaque;
    int state = TA_CLAMP(sqlite3_column_int(row, 3), 0, TA_Q_STATES - 1);
    char id[24];
    snprintf(id, sizeof id, "%lld", (long long)sqlite3_column_int64(row, 0));
    json_t *needs = json_object_get(e->needs, id);
    json_t *o = json_pack(
        "{s:I, s:s, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "job",
        (json_int_t)sqlite3_column_int64(row, 0), "state", ta_qstate_name((ta_qstate)state), "priority",
        sqlite3_column_int(row, 2), "attempt", sqlite3_column_int(row, 4), "code",
        ta_exit_code(sqlite3_column_int(row, 5)), "added_us", (json_int_t)sqlite3_column_int64(row, 7), "started_us",
        (json_int_t)sqlite3_column_int64(row, 8), "ended_us", (json_int_t)sqlite3_column_int64(row, 9), "settings",
        (json_int_t)sqlite3_column_int64(row, 10), "input", text_json(row, 11), "output", text_json(row, 12), "source",
        text_json(row, 13), "message", text_json(row, 14), "needs", needs ? json_incref(needs) : json_array());
    return write_object(e, o, err);
}

int ta_jobs_export(const char *dir, int (*write)(void *opaque, const char *line, ta_error *err), void *opaque,
                   ta_error *err)
{
    static const row_fn fns[] = { [NEEDS] = note_need, [SETTINGS] = export_settings, [JOBS] = export_job };
    static const int order[] = { NEEDS, SETTINGS, JOBS };
    exporting e = { write, opaque, json_object() };
    sqlite3 *db = NULL;
    int64_t damaged = 0;
    int r = e.needs ? open_old(dir, &db, err) : ta_no_memory(err);
    if (r >= 0)
        sqlite3_exec(db, "BEGIN", NULL, NULL, NULL); /* one state of all tables */
    if (r >= 0)
        r = write_object(&e, json_pack("{s:s, s:i}", "terminalai", "queue", "version", 1), err);
    for (size_t i = 0; r >= 0 && i < TA_COUNT(order); i++) {
        scan s = { .db = db, .t = &tables[order[i]], .row = fns[order[i]], .opaque = &e };
        r = scan_table(&s, err);
        damaged += s.damaged;
    }
    if (r >= 0 && damaged)
        ta_log(TA_LOG_WARN, "queue", "the store is damaged: at least %" PRId64 " rows or tables could not be read",
               damaged);
    sqlite3_close(db);
    json_decref(e.needs);
    return r;
}

/* ---- Repair ---------------------------------------------------------------------------------------------------------
 */

typedef struct copying {
    sqlite3_stmt *insert;
    int64_t taken, refused;
} copying;

static int copy_row(void *opaque, sqlite3_stmt *row, ta_error *err)
{
    copying *c = opaque;
    for (int i = 0; i < sqlite3_column_count(row); i++)
        sqlite3_bind_value(c->insert, i + 1, sqlite3_column_value(row, i));
    int step = sqlite3_step(c->insert);
    sqlite3_reset(c->insert);
    if (step == SQLITE_FULL || step == SQLITE_IOERR)
        return ta_fail(err, TA_ERR_AGAIN, "can't write the repaired queue: %s", sqlite3_errstr(step));
    c->taken += step == SQLITE_DONE;
    c->refused += step != SQLITE_DONE; /* a value that the column can't be: the row was damaged */
    return 0;
}

static int copy_table(sqlite3 *old, sqlite3 *new, const table *t, ta_buf *report, ta_error *err)
{
    copying c = { 0 };
    scan s = { .db = old, .t = t, .row = copy_row, .opaque = &c };
    ta_buf sql = { 0 };
    ta_buf_addf(&sql, "INSERT OR IGNORE INTO %s(%s) VALUES(?", t->name, t->columns);
    for (const char *p = t->columns; (p = strchr(p, ',')); p++)
        ta_buf_add(&sql, ", ?");
    ta_buf_add(&sql, ")");
    int r = sql.failed ? ta_no_memory(err)
            : sqlite3_prepare_v2(new, sql.data, -1, &c.insert, NULL) == SQLITE_OK
                ? scan_table(&s, err)
                : ta_fail(err, TA_ERR_IO, "%s", sqlite3_errmsg(new));
    sqlite3_finalize(c.insert);
    ta_buf_free(&sql);
    if (r >= 0)
        ta_buf_addf(report, "%s: %" PRId64 " read, %" PRId64 " damaged\n", t->name, c.taken, s.damaged + c.refused);
    return r;
}

/* A job that lost its settings can't be run again as it was. */
static int settle_lost(sqlite3 *new, ta_buf *report, ta_error *err)
{
    char *sql =
        sqlite3_mprintf("UPDATE jobs SET state=%d, code=%d, message='its settings were lost in a damaged store' WHERE "
                        "settings NOT IN (SELECT id FROM settings) AND state NOT IN (%d, %d, %d)",
                        TA_Q_FAILED, TA_ERR_DATA, TA_Q_COMPLETED, TA_Q_FAILED, TA_Q_CANCELLED);
    int r = sql && sqlite3_exec(new, sql, NULL, NULL, NULL) == SQLITE_OK
                ? 0
                : ta_fail(err, TA_ERR_IO, "%s", sqlite3_errmsg(new));
    if (r >= 0 && sqlite3_changes(new))
        ta_buf_addf(report, "jobs without their settings, failed now: %d\n", sqlite3_changes(new));
    sqlite3_free(sql);
    return r;
}

static int copy_all(sqlite3 *old, const char *fresh, ta_buf *report, ta_error *err)
{
    ta_store *s = NULL;
    int r = ta_store_open(&s, fresh, false, err);
    if (r < 0)
        return r;
    r = ta_store_begin(s, true, err);
    for (size_t i = 0; r >= 0 && i < TA_COUNT(tables); i++)
        r = copy_table(old, ta_store_db(s), &tables[i], report, err);
    if (r >= 0)
        r = settle_lost(ta_store_db(s), report, err);
    if (r >= 0)
        r = ta_store_commit(s, err);
    ta_store_close(&s); /* everything is in the one file then */
    return r;
}

/* The damaged file keeps its bytes under another name; the new one takes its place at one instant. */
static int replace(const char *dir, const char *fresh, ta_buf *report, ta_error *err)
{
    char when[32];
    ta_print_utc(ta_wall_us(), when);
    char *old = ta_path_join(dir, TA_STORE_NAME), *new = ta_path_join(fresh, TA_STORE_NAME);
    char *kept = old ? ta_format("%s.damaged-%s", old, when) : NULL;
    char *wal = old ? ta_format("%s-wal", old) : NULL, *kept_wal = kept ? ta_format("%s-wal", kept) : NULL;
    char *shm = old ? ta_format("%s-shm", old) : NULL;
    int r = kept_wal && wal && shm && new ? 0 : ta_no_memory(err);
    if (r >= 0 && link(old, kept) != 0)
        r = ta_fail_errno(err, errno, true, "can't keep the damaged store as", kept);
    if (r >= 0 && rename(wal, kept_wal) != 0 && errno != ENOENT)
        r = ta_fail_errno(err, errno, true, "can't keep the damaged store as", kept_wal);
    if (r >= 0 && unlink(shm) != 0 && errno != ENOENT)
        r = ta_fail_errno(err, errno, true, "can't remove", shm);
    if (r >= 0 && rename(new, old) != 0)
        r = ta_fail_errno(err, errno, true, "can't put the repaired store in place:", old);
    if (r >= 0)
        r = ta_sync_folder_of(old, err);
    if (r >= 0)
        ta_buf_addf(report, "the damaged store is kept: %s\n", kept);
    char *texts[] = { old, new, kept, wal, kept_wal, shm };
    for (size_t i = 0; i < TA_COUNT(texts); i++)
        ta_free(texts[i]);
    return r;
}

static int repair(const char *dir, ta_buf *report, ta_error *err)
{
    sqlite3 *old = NULL;
    char *fresh = ta_path_join(dir, "repair.tmp");
    int r = fresh ? open_old(dir, &old, err) : ta_no_memory(err);
    if (r >= 0)
        r = ta_remove_tree(fresh, err);
    if (r >= 0)
        r = ta_mkdirs(fresh, err);
    if (r >= 0)
        r = copy_all(old, fresh, report, err);
    sqlite3_close(old);
    if (r >= 0)
        r = replace(dir, fresh, report, err);
    if (fresh)
        ta_remove_tree(fresh, NULL);
    ta_free(fresh);
    return r;
}

int ta_jobs_repair(const char *dir, ta_buf *report, ta_error *err)
{
    ta_lock *lock = NULL;
    char *path = ta_path_join(dir, "lock");
    int r = path ? ta_lock_take(&lock, path, err) : ta_no_memory(err);
    if (r == TA_ERR_AGAIN && path)
        ta_hint(err, "a process has this queue: end it first");
    if (r >= 0)
        r = repair(dir, report, err);
    ta_lock_drop(&lock);
    ta_free(path);
    return r;
}
