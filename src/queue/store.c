/* The store: jobs in SQLite. */
#include "queue/store.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { STATEMENTS = 48 };

struct ta_store {
    sqlite3 *db;
    char *path;
    struct {
        const char *sql;
        sqlite3_stmt *st;
    } known[STATEMENTS];
    /* the settings that were asked for last: jobs of one batch share them */
    char last_sha[65];
    int64_t last_settings;
    bool lazy; /* commits are not synced now */
};

/* ---- Errors ---------------------------------------------------------------------------------------------------------
 */

static int status_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return TA_ERR_AGAIN;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return TA_ERR_DATA;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH:
        return TA_ERR_NOPERM;
    default:
        return TA_ERR_IO;
    }
}

static int hint_for(const ta_store *s, int status, ta_error *err)
{
    if (status == TA_ERR_DATA)
        return ta_hint(err,
                       "`terminalai queue repair` saves what can be read and keeps the damaged file; `terminalai queue "
                       "export` prints it");
    if (status == TA_ERR_AGAIN)
        return ta_hint(err, "free some space on the disk of '%s' and try again: nothing was changed", s->path);
    if (status == TA_ERR_NOPERM)
        return ta_hint(err,
                       "the queue folder must be writable; another one is named by --queue-dir or TERMINALAI_QUEUE");
    if (status == TA_ERR_IO)
        return ta_hint(err, "look at the disk of '%s'; what was confirmed before is kept", s->path);
    return status;
}

/* A full disk at a sync or in the shared memory is an I/O error to SQLite: the system's own number tells, where it was
 * kept, or the disk. */
static bool is_full(ta_store *s)
{
    int code = sqlite3_errcode(s->db) & 0xff, why = sqlite3_system_errno(s->db);
    if (code != SQLITE_IOERR && code != SQLITE_CANTOPEN)
        return false;
    int64_t room = ta_free_space(s->path);
    return why == ENOSPC || why == EDQUOT || (room >= 0 && room < 64 << 10);
}

int ta_store_fail(ta_store *s, const char *what, ta_error *err)
{
    bool full = s->db && is_full(s);
    int status = full ? TA_ERR_AGAIN : s->db ? status_of(sqlite3_extended_errcode(s->db)) : TA_ERR_AGAIN;
    ta_fail(err, (ta_status)status, "%s '%s': %s", what, s->path,
            full    ? "the disk is full"
            : s->db ? sqlite3_errmsg(s->db)
                    : "out of memory");
    hint_for(s, status, err);
    return status;
}

/* ---- Statements -----------------------------------------------------------------------------------------------------
 */

sqlite3 *ta_store_db(ta_store *s)
{
    return s->db;
}

int ta_store_statement(ta_store *s, const char *sql, sqlite3_stmt **st, ta_error *err)
{
    size_t i = 0;
    while (i < STATEMENTS && s->known[i].sql && s->known[i].sql != sql)
        i++;
    if (i == STATEMENTS)
        return ta_fail(err, TA_ERR_SOFTWARE, "the store has too many statements");
    if (!s->known[i].sql) {
        if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->known[i].st, NULL) != SQLITE_OK)
            return ta_store_fail(s, "can't use the queue", err);
        s->known[i].sql = sql;
    }
    *st = s->known[i].st;
    sqlite3_reset(*st);
    sqlite3_clear_bindings(*st);
    return 0;
}

int ta_store_run(ta_store *s, sqlite3_stmt *st, ta_error *err)
{
    int r = sqlite3_step(st);
    int result = r == SQLITE_DONE || r == SQLITE_ROW ? 0 : ta_store_fail(s, "can't write the queue", err);
    sqlite3_reset(st);
    return result;
}

int ta_store_number(ta_store *s, sqlite3_stmt *st, int64_t *value, ta_error *err)
{
    int step = sqlite3_step(st), r = 0;
    *value = step == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        r = ta_store_fail(s, "can't read the queue", err);
    sqlite3_reset(st);
    return r;
}

static int exec(ta_store *s, const char *sql, const char *what, ta_error *err)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : ta_store_fail(s, what, err);
}

/* In WAL mode a commit of NORMAL is not synced, and lost or kept as a whole with those behind it. */
static int set_sync(ta_store *s, bool sync, ta_error *err)
{
    if (s->lazy == !sync)
        return 0;
    int r = exec(s, sync ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL", "can't write the queue", err);
    s->lazy = r >= 0 ? !sync : s->lazy;
    return r;
}

int ta_store_begin(ta_store *s, bool sync, ta_error *err)
{
    sqlite3_stmt *st;
    int r = set_sync(s, sync, err);
    if (r >= 0)
        r = ta_store_statement(s, "BEGIN IMMEDIATE", &st, err);
    return r < 0 ? r : ta_store_run(s, st, err);
}

int ta_store_commit(ta_store *s, ta_error *err)
{
    sqlite3_stmt *st;
    int r = ta_store_statement(s, "COMMIT", &st, err);
    return r < 0 ? r : ta_store_run(s, st, err);
}

void ta_store_rollback(ta_store *s)
{
    s->last_settings = 0;
    if (!sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

/* ---- Opening --------------------------------------------------------------------------------------------------------
 */

/* Each row of quick_check is a finding, "ok" alone is none. */
static int check_pages(ta_store *s, ta_error *err)
{
    sqlite3_stmt *st = NULL;
    char found[200] = "";
    int r = sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &st, NULL);
    if (r == SQLITE_OK && (r = sqlite3_step(st)) == SQLITE_ROW)
        snprintf(found, sizeof found, "%s", (const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
    if (r != SQLITE_ROW && r != SQLITE_DONE)
        return ta_store_fail(s, "can't read the queue", err);
    if (!found[0] || strcmp(found, "ok") == 0)
        return 0;
    found[strcspn(found, "\n")] = '\0';
    ta_fail(err, TA_ERR_DATA, "the queue's store '%s' is damaged: %s", s->path, found);
    return hint_for(s, TA_ERR_DATA, err);
}

/* A file of another program is not touched. */
static int check_mark(ta_store *s, ta_error *err)
{
    sqlite3_stmt *st = NULL;
    int mark = -1, tables = 0;
    if (sqlite3_prepare_v2(s->db,
                           "SELECT (SELECT application_id FROM pragma_application_id), count(*) FROM sqlite_master", -1,
                           &st, NULL) == SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW) {
        mark = sqlite3_column_int(st, 0);
        tables = sqlite3_column_int(st, 1);
    }
    int bad = mark < 0 ? ta_store_fail(s, "can't read the queue", err) : 0;
    sqlite3_finalize(st);
    if (bad || mark == TA_STORE_MARK || !tables)
        return bad;
    ta_fail(err, TA_ERR_DATA, "'%s' is the database of another program", s->path);
    return ta_hint(err, "name another folder by --queue-dir or TERMINALAI_QUEUE");
}

static int prepare(ta_store *s, bool check, ta_error *err)
{
    sqlite3_busy_timeout(s->db, 5000);
    int r = check_mark(s, err);
    if (r >= 0)
        r = exec(s,
                 "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=67108864;"
                 "PRAGMA cache_size=-8000; PRAGMA temp_store=MEMORY",
                 "can't open the queue", err);
    if (r >= 0 && check)
        r = check_pages(s, err);
    return r < 0 ? r : ta_schema_migrate(s->db, 0, err);
}

int ta_store_open(ta_store **out, const char *dir, bool check, ta_error *err)
{
    *out = NULL;
    int r = ta_check_local(dir, err);
    if (r < 0)
        return r;
    ta_store *s = ta_alloc(sizeof *s);
    if (!s || !(s->path = ta_path_join(dir, TA_STORE_NAME))) {
        ta_free(s);
        return ta_no_memory(err);
    }
    if (sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK)
        r = ta_store_fail(s, "can't open the queue", err);
    else
        r = prepare(s, check, err);
    if (r < 0)
        ta_store_close(&s);
    *out = s;
    return r;
}

void ta_store_close(ta_store **ps)
{
    ta_store *s = *ps;
    if (!s)
        return;
    for (size_t i = 0; i < STATEMENTS && s->known[i].sql; i++)
        sqlite3_finalize(s->known[i].st);
    sqlite3_close(s->db);
    ta_free(s->path);
    ta_freep(ps);
}

/* ---- Jobs -----------------------------------------------------------------------------------------------------------
 */

static const char *text(sqlite3_stmt *st, int column)
{
    const char *t = (const char *)sqlite3_column_text(st, column);
    return t ? t : "";
}

static void read_job(sqlite3_stmt *st, ta_qjob *j)
{
    *j = (ta_qjob){
        .id = sqlite3_column_int64(st, 0),
        .position = sqlite3_column_int64(st, 1),
        .priority = sqlite3_column_int(st, 2),
        .state = (ta_qstate)TA_CLAMP(sqlite3_column_int(st, 3), 0, TA_Q_STATES - 1),
        .attempt = sqlite3_column_int(st, 4),
        .code = sqlite3_column_int(st, 5),
        .gpu = sqlite3_column_int(st, 6) != 0,
        .added_us = sqlite3_column_int64(st, 7),
        .started_us = sqlite3_column_int64(st, 8),
        .ended_us = sqlite3_column_int64(st, 9),
        .settings = sqlite3_column_int64(st, 10),
        .input = text(st, 11),
        .output = text(st, 12),
        .source = text(st, 13),
        .message = text(st, 14),
        .stage = TA_Q_ANALYSING,
    };
    /* of a job that isn't over this code says that its end was asked for */
    j->stopping = !ta_qstate_over(j->state) && j->code == TA_ERR_CANCELLED;
}

/* The needs of all jobs, in the order of the jobs. */
typedef struct needs {
    sqlite3_stmt *st;
    int64_t job, value; /* the row that was read ahead; job -1: the end */
    int64_t *list;
    size_t count, cap;
} needs;

static int next_need(ta_store *s, needs *n, ta_error *err)
{
    int r = sqlite3_step(n->st);
    n->job = r == SQLITE_ROW ? sqlite3_column_int64(n->st, 0) : -1;
    n->value = r == SQLITE_ROW ? sqlite3_column_int64(n->st, 1) : 0;
    return r == SQLITE_ROW || r == SQLITE_DONE ? 0 : ta_store_fail(s, "can't read the queue", err);
}

static int needs_of(ta_store *s, needs *n, ta_qjob *j, ta_error *err)
{
    int r = 0;
    n->count = 0;
    while (r >= 0 && n->job >= 0 && n->job <= j->id) {
        if (n->count == n->cap) {
            int64_t *list = ta_resize(n->list, n->cap + 64, sizeof *list);
            if (!list)
                return ta_no_memory(err);
            n->list = list;
            n->cap += 64;
        }
        if (n->job == j->id)
            n->list[n->count++] = n->value;
        r = next_need(s, n, err);
    }
    j->needs = n->list;
    j->n_needs = n->count;
    return r;
}

static int load_rows(ta_store *s, sqlite3_stmt *st, needs *n, int (*row)(void *, const ta_qjob *), void *opaque,
                     ta_error *err)
{
    int step, r = next_need(s, n, err);
    while (r >= 0 && (step = sqlite3_step(st)) != SQLITE_DONE) {
        ta_qjob j;
        if (step != SQLITE_ROW)
            return ta_store_fail(s, "can't read the queue", err);
        read_job(st, &j);
        r = needs_of(s, n, &j, err);
        if (r >= 0 && (r = row(opaque, &j)) < 0)
            ta_no_memory(err);
    }
    return r;
}

int ta_store_load(ta_store *s, int (*row)(void *opaque, const ta_qjob *j), void *opaque, ta_error *err)
{
    needs n = { 0 };
    sqlite3_stmt *st;
    int r = ta_store_statement(s, "SELECT job, needs FROM needs ORDER BY job, needs", &n.st, err);
    if (r >= 0)
        r = ta_store_statement(
            s,
            "SELECT id, position, priority, state, attempt, code, gpu, added_us, started_us, ended_us,"
            " settings, input, output, source, message FROM jobs ORDER BY id",
            &st, err);
    if (r < 0)
        return r;
    r = load_rows(s, st, &n, row, opaque, err);
    sqlite3_reset(st);
    sqlite3_reset(n.st);
    ta_free(n.list);
    return r;
}

static void bind_text(sqlite3_stmt *st, int column, const char *t)
{
    sqlite3_bind_text(st, column, t ? t : "", -1, SQLITE_STATIC);
}

static void bind_job(sqlite3_stmt *st, const ta_qjob *j)
{
    const int64_t numbers[] = { j->position, j->priority, j->state,      j->attempt,  j->code,
                                j->gpu,      j->added_us, j->started_us, j->ended_us, j->settings };
    const char *texts[] = { j->input, j->output, j->source, j->message };
    for (int i = 0; i < (int)TA_COUNT(numbers); i++)
        sqlite3_bind_int64(st, i + 1, numbers[i]);
    for (int i = 0; i < (int)TA_COUNT(texts); i++)
        bind_text(st, (int)TA_COUNT(numbers) + i + 1, texts[i]);
}

static int add_need(ta_store *s, int64_t job, int64_t need, ta_error *err)
{
    sqlite3_stmt *st;
    int r = ta_store_statement(s, "INSERT OR IGNORE INTO needs(job, needs) VALUES(?, ?)", &st, err);
    if (r < 0)
        return r;
    sqlite3_bind_int64(st, 1, job);
    sqlite3_bind_int64(st, 2, need);
    return ta_store_run(s, st, err);
}

int ta_store_add(ta_store *s, ta_qjob *j, ta_error *err)
{
    sqlite3_stmt *st;
    int r = ta_store_statement(s,
                               "INSERT INTO jobs(position, priority, state, attempt, code, gpu, added_us, started_us,"
                               " ended_us, settings, input, output, source, message)"
                               " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                               &st, err);
    if (r < 0)
        return r;
    bind_job(st, j);
    r = ta_store_run(s, st, err);
    j->id = sqlite3_last_insert_rowid(s->db);
    for (size_t i = 0; r >= 0 && i < j->n_needs; i++)
        r = add_need(s, j->id, j->needs[i], err);
    return r;
}

int ta_store_update(ta_store *s, const ta_qjob *j, ta_error *err)
{
    sqlite3_stmt *st;
    int r = ta_store_statement(
        s,
        "UPDATE jobs SET position=?1, priority=?2, state=?3, attempt=?4, code=?5, gpu=?6,"
        " added_us=?7, started_us=?8, ended_us=?9, settings=?10, message=?11, output=?12 WHERE id=?13",
        &st, err);
    if (r < 0)
        return r;
    const int64_t numbers[] = { j->position, j->priority, j->state,      j->attempt,  j->code,
                                j->gpu,      j->added_us, j->started_us, j->ended_us, j->settings };
    for (int i = 0; i < (int)TA_COUNT(numbers); i++)
        sqlite3_bind_int64(st, i + 1, numbers[i]);
    bind_text(st, 11, j->message);
    bind_text(st, 12, j->output);
    sqlite3_bind_int64(st, 13, j->id);
    return ta_store_run(s, st, err);
}

static int remove_from(ta_store *s, const char *sql, int64_t id, ta_error *err)
{
    sqlite3_stmt *st;
    int r = ta_store_statement(s, sql, &st, err);
    if (r < 0)
        return r;
    sqlite3_bind_int64(st, 1, id);
    return ta_store_run(s, st, err);
}

int ta_store_remove(ta_store *s, int64_t id, ta_error *err)
{
    int r = remove_from(s, "DELETE FROM jobs WHERE id=?", id, err);
    return r < 0 ? r : remove_from(s, "DELETE FROM needs WHERE job=?", id, err);
}

int ta_store_find(ta_store *s, const char *input, const char *output, int64_t *id, ta_error *err)
{
    sqlite3_stmt *st;
    *id = 0;
    int r = ta_store_statement(
        s, "SELECT id FROM jobs WHERE output=?1 AND (?2 IS NULL OR input=?2) AND state<?3 LIMIT 1", &st, err);
    if (r < 0)
        return r;
    bind_text(st, 1, output);
    if (input)
        bind_text(st, 2, input);
    sqlite3_bind_int(st, 3, TA_Q_COMPLETED);
    return ta_store_number(s, st, id, err);
}

int ta_store_waiting(ta_store *s, int64_t need, int64_t *job, ta_error *err)
{
    sqlite3_stmt *st;
    *job = 0;
    int r = ta_store_statement(s,
                               "SELECT job FROM needs JOIN jobs ON jobs.id=needs.job WHERE needs.needs=? AND state<?"
                               " ORDER BY job LIMIT 1",
                               &st, err);
    if (r < 0)
        return r;
    sqlite3_bind_int64(st, 1, need);
    sqlite3_bind_int(st, 2, TA_Q_COMPLETED);
    return ta_store_number(s, st, job, err);
}

/* ---- Settings -------------------------------------------------------------------------------------------------------
 */

static int find_settings(ta_store *s, const char *sha, int64_t *id, ta_error *err)
{
    sqlite3_stmt *st;
    int r = ta_store_statement(s, "SELECT id FROM settings WHERE sha256=?", &st, err);
    if (r < 0)
        return r;
    bind_text(st, 1, sha);
    return ta_store_number(s, st, id, err);
}

static int insert_settings(ta_store *s, const char *sha, const char *json, int64_t *id, ta_error *err)
{
    sqlite3_stmt *st;
    int r = ta_store_statement(s, "INSERT INTO settings(sha256, json) VALUES(?, ?)", &st, err);
    if (r < 0)
        return r;
    bind_text(st, 1, sha);
    bind_text(st, 2, json);
    r = ta_store_run(s, st, err);
    *id = sqlite3_last_insert_rowid(s->db);
    return r;
}

int ta_store_settings(ta_store *s, const char *json, int64_t *id, ta_error *err)
{
    char sha[65] = "";
    ta_sha256 *h = ta_sha256_new();
    if (!h)
        return ta_no_memory(err);
    ta_sha256_add(h, json, strlen(json));
    ta_sha256_end(&h, sha);
    if (!sha[0])
        return ta_no_memory(err);
    if (s->last_settings && strcmp(sha, s->last_sha) == 0) {
        *id = s->last_settings;
        return 0;
    }
    int r = find_settings(s, sha, id, err);
    if (r >= 0 && !*id)
        r = insert_settings(s, sha, json, id, err);
    if (r >= 0) {
        memcpy(s->last_sha, sha, sizeof sha);
        s->last_settings = *id;
    }
    return r;
}

int ta_store_settings_text(ta_store *s, int64_t id, char **json, ta_error *err)
{
    sqlite3_stmt *st;
    *json = NULL;
    int r = ta_store_statement(s, "SELECT json FROM settings WHERE id=?", &st, err);
    if (r < 0)
        return r;
    sqlite3_bind_int64(st, 1, id);
    int step = sqlite3_step(st);
    if (step == SQLITE_ROW)
        r = (*json = ta_strdup(text(st, 0))) ? 0 : ta_no_memory(err);
    else
        r = step == SQLITE_DONE ? ta_fail(err, TA_ERR_DATA, "the settings of a job are missing in '%s'", s->path)
                                : ta_store_fail(s, "can't read the queue", err);
    sqlite3_reset(st);
    return r;
}

int ta_store_sweep(ta_store *s, ta_error *err)
{
    sqlite3_stmt *st;
    s->last_settings = 0;
    int r = ta_store_statement(s, "DELETE FROM settings WHERE id NOT IN (SELECT settings FROM jobs)", &st, err);
    return r < 0 ? r : ta_store_run(s, st, err);
}

/* ---- Facts
 * ----------------------------------------------------------------------------------------------------------- */

int ta_store_fact(ta_store *s, const char *name, int64_t *value, ta_error *err)
{
    sqlite3_stmt *st;
    int r = ta_store_statement(s, "SELECT value FROM facts WHERE name=?", &st, err);
    if (r < 0)
        return r;
    bind_text(st, 1, name);
    return ta_store_number(s, st, value, err);
}

int ta_store_set_fact(ta_store *s, const char *name, int64_t value, ta_error *err)
{
    sqlite3_stmt *st;
    int r = ta_store_statement(
        s, "INSERT INTO facts(name, value) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET value=?2", &st, err);
    if (r < 0)
        return r;
    bind_text(st, 1, name);
    sqlite3_bind_int64(st, 2, value);
    return ta_store_run(s, st, err);
}
