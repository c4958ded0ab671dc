/* What is known of the files of watch folders: rows beside the jobs, written in their transactions. */
#include <string.h>

#include "queue/watch.h"

#define GAP ((int64_t)1 << TA_POSITION_BITS)

static void bind_text(sqlite3_stmt *st, int column, const char *t)
{
    sqlite3_bind_text(st, column, t ? t : "", -1, SQLITE_STATIC);
}

static char *copy_text(sqlite3_stmt *st, int column)
{
    const char *t = (const char *)sqlite3_column_text(st, column);
    return ta_strdup(t ? t : "");
}

/* ---- Known files ----------------------------------------------------------------------------------------------------
 */

typedef struct filter {
    const ta_watch_folder *f;
    ta_watch_files *files;
} filter;

static int is_known(ta_change *c, const filter *f, const ta_watch_file *file, ta_error *err)
{
    sqlite3_stmt *st;
    int r = ta_store_statement(c->store, "SELECT 1 FROM watched WHERE folder=? AND path=? AND size=? AND modified_us=?",
                               &st, err);
    if (r < 0)
        return r;
    bind_text(st, 1, f->f->name);
    bind_text(st, 2, file->path);
    sqlite3_bind_int64(st, 3, file->size);
    sqlite3_bind_int64(st, 4, file->modified_us);
    int64_t known;
    r = ta_store_number(c->store, st, &known, err);
    return r < 0 ? r : known != 0;
}

static int drop_known(ta_change *c, void *arg, ta_error *err)
{
    const filter *f = arg;
    size_t kept = 0, n = f->files->count;
    int r = 0;
    for (size_t i = 0; i < n; i++) {
        ta_watch_file file = f->files->list[i];
        r = r < 0 ? r : is_known(c, f, &file, err);
        if (r == 0)
            f->files->list[kept++] = file;
        else
            ta_free(file.path);
    }
    f->files->count = kept;
    return r < 0 ? r : 0;
}

int ta_watch_unknown(ta_jobs *q, const ta_watch_folder *f, ta_watch_files *files, ta_error *err)
{
    filter arg = { f, files };
    return ta_jobs_do(q, drop_known, &arg, TA_OP_READS, err);
}

/* ---- Taking ---------------------------------------------------------------------------------------------------------
 */

char *ta_watch_output(const ta_watch_folder *f, const char *path, ta_error *err)
{
    ta_output_words unknown = { .height = -1 };
    char *name = ta_output_name(f->settings, path, f->extension, &unknown), *below = ta_path_dir(path);
    bool deeper = below && f->keep_structure && strcmp(below, ".") != 0;
    char *folder = deeper ? ta_path_join(f->output, below) : ta_strdup(f->output);
    char *out = NULL;
    if (!name || !below || !folder)
        ta_no_memory(err);
    else if (ta_mkdirs(folder, err) >= 0 && !(out = ta_path_join(folder, name)))
        ta_no_memory(err);
    ta_free(folder);
    ta_free(below);
    ta_free(name);
    return out;
}

typedef struct taking {
    const ta_watch_folder *f;
    const ta_watch_file *file;
    char *input, *output, *source;
    bool clash;
} taking;

static int put_row(ta_change *c, const taking *t, int64_t job, ta_error *err)
{
    sqlite3_stmt *st;
    int r = ta_store_statement(c->store,
                               "INSERT OR REPLACE INTO watched(folder, path, size, modified_us, job, sha256, tries,"
                               " state, due_us, output, note) VALUES(?, ?, ?, ?, ?, '', 0, 0, 0, ?, '')",
                               &st, err);
    if (r < 0)
        return r;
    bind_text(st, 1, t->f->name);
    bind_text(st, 2, t->file->path);
    sqlite3_bind_int64(st, 3, t->file->size);
    sqlite3_bind_int64(st, 4, t->file->modified_us);
    sqlite3_bind_int64(st, 5, job);
    bind_text(st, 6, t->output);
    return ta_store_run(c->store, st, err);
}

static int take(ta_change *c, void *arg, ta_error *err)
{
    taking *t = arg;
    int64_t other = 0;
    ta_qjob job = { .attempt = 1,
                    .stage = TA_Q_ANALYSING,
                    .added_us = c->now_us,
                    .priority = (int)t->f->priority,
                    .input = t->input,
                    .output = t->output,
                    .source = t->source };
    int r = ta_store_find(c->store, NULL, t->output, &other, err);
    t->clash = r >= 0 && other;
    if (r < 0 || t->clash)
        return r;
    job.gpu = ta_wants_gpu(t->f->settings);
    job.position = ta_change_last_position(c, job.priority) + GAP;
    r = ta_store_settings(c->store, t->f->json, &job.settings, err);
    if (r >= 0)
        r = ta_change_add(c, &job, err);
    if (r >= 0)
        r = put_row(c, t, job.id, err);
    c->broken |= r < 0;
    return r;
}

int ta_watch_take(ta_jobs *q, const ta_watch_folder *f, const ta_watch_file *file, ta_error *err)
{
    taking t = { .f = f, .file = file, .output = ta_watch_output(f, file->path, err) };
    t.input = ta_path_join(f->input, file->path);
    t.source = ta_format("watch:%s", f->name);
    int r = !t.output             ? TA_ERR_CANTCREATE
            : t.input && t.source ? ta_jobs_do(q, take, &t, TA_OP_WRITES, err)
                                  : ta_no_memory(err);
    ta_free(t.input);
    ta_free(t.output);
    ta_free(t.source);
    return r < 0 ? r : t.clash;
}

/* ---- What is to be done ---------------------------------------------------------------------------------------------
 */

void ta_watch_rows_free(ta_watch_rows *r)
{
    for (size_t i = 0; i < r->count; i++) {
        char *texts[] = { r->list[i].path, r->list[i].output, r->list[i].note, r->list[i].message };
        for (size_t t = 0; t < TA_COUNT(texts); t++)
            ta_free(texts[t]);
    }
    ta_free(r->list);
    *r = (ta_watch_rows){ 0 };
}

typedef struct looking {
    const ta_watch_folder *f;
    ta_watch_rows *rows;
    int64_t *next_us;
} looking;

static int add_row(ta_watch_rows *rows, sqlite3_stmt *st)
{
    ta_watch_row *grown = ta_resize(rows->list, rows->count + 1, sizeof *grown);
    if (!grown)
        return TA_ERR_AGAIN;
    rows->list = grown;
    ta_watch_row *row = &grown[rows->count++];
    *row = (ta_watch_row){
        .path = copy_text(st, 0),
        .size = sqlite3_column_int64(st, 1),
        .modified_us = sqlite3_column_int64(st, 2),
        .job = sqlite3_column_int64(st, 3),
        .tries = sqlite3_column_int64(st, 4),
        .state = (ta_watch_state)sqlite3_column_int(st, 5),
        .due_us = sqlite3_column_int64(st, 6),
        .output = copy_text(st, 7),
        .note = copy_text(st, 8),
        .job_state = sqlite3_column_type(st, 9) == SQLITE_NULL ? TA_Q_STATES : (ta_qstate)sqlite3_column_int(st, 9),
        .message = copy_text(st, 10),
    };
    return row->path && row->output && row->note && row->message ? 0 : TA_ERR_AGAIN;
}

static int look(ta_change *c, void *arg, ta_error *err)
{
    const looking *l = arg;
    sqlite3_stmt *st;
    int step;
    ta_watch_rows_free(l->rows);
    *l->next_us = INT64_MAX;
    int r = ta_store_statement(c->store,
                               "SELECT w.path, w.size, w.modified_us, w.job, w.tries, w.state, w.due_us, w.output,"
                               " w.note, j.state, j.message FROM watched w LEFT JOIN jobs j ON j.id=w.job"
                               " WHERE w.folder=?1 AND (w.state IN (2, 4) OR (w.state=0 AND"
                               " (j.id IS NULL OR j.state>=?2)))",
                               &st, err);
    if (r < 0)
        return r;
    bind_text(st, 1, l->f->name);
    sqlite3_bind_int(st, 2, TA_Q_COMPLETED);
    while (r >= 0 && (step = sqlite3_step(st)) != SQLITE_DONE) {
        int64_t due = step == SQLITE_ROW ? sqlite3_column_int64(st, 6) : 0;
        if (due > c->now_us + TA_MAX(l->f->retry_us, 1000000) + 1000000)
            due = 0; /* further away than it was ever put: the clock was set back */
        if (step != SQLITE_ROW)
            r = ta_store_fail(c->store, "can't read the queue", err);
        else if (due > c->now_us)
            *l->next_us = TA_MIN(*l->next_us, due);
        else if (add_row(l->rows, st) < 0)
            r = ta_no_memory(err);
    }
    sqlite3_reset(st);
    return r;
}

int ta_watch_due(ta_jobs *q, const ta_watch_folder *f, ta_watch_rows *rows, int64_t *next_us, ta_error *err)
{
    looking l = { f, rows, next_us };
    return ta_jobs_do(q, look, &l, TA_OP_READS, err);
}

typedef struct setting {
    const ta_watch_folder *f;
    const ta_watch_row *row;
    ta_watch_state state;
    int64_t due_us, tries;
    const char *sha256, *note;
    bool retry;
} setting;

static int retry_job(ta_change *c, int64_t id, ta_error *err)
{
    const ta_qjob *j;
    int r = ta_change_need_job(c, id, &j, err);
    if (r < 0 || (j->state != TA_Q_FAILED && j->state != TA_Q_CANCELLED))
        return r;
    ta_qjob draft = *j;
    draft.state = TA_Q_PENDING;
    draft.attempt++;
    draft.code = 0;
    draft.message = "";
    draft.started_us = draft.ended_us = 0;
    return ta_change_put(c, j, &draft, err);
}

static int set(ta_change *c, void *arg, ta_error *err)
{
    const setting *s = arg;
    sqlite3_stmt *st;
    int r = s->retry ? retry_job(c, s->row->job, err) : 0;
    if (r >= 0)
        r = ta_store_statement(c->store,
                               "UPDATE watched SET state=?1, due_us=?2, tries=?3, sha256=?4, note=?5 WHERE folder=?6"
                               " AND path=?7",
                               &st, err);
    if (r >= 0) {
        sqlite3_bind_int(st, 1, s->state);
        sqlite3_bind_int64(st, 2, s->due_us);
        sqlite3_bind_int64(st, 3, s->tries);
        bind_text(st, 4, s->sha256);
        bind_text(st, 5, s->note);
        bind_text(st, 6, s->f->name);
        bind_text(st, 7, s->row->path);
        r = ta_store_run(c->store, st, err);
    }
    c->broken |= r < 0;
    return r;
}

int ta_watch_set(ta_jobs *q, const ta_watch_folder *f, const ta_watch_row *row, ta_watch_state state, int64_t due_us,
                 const char *sha256, const char *note, ta_error *err)
{
    setting s = { f, row, state, due_us, row->tries, sha256, note, false };
    return ta_jobs_do(q, set, &s, TA_OP_WRITES, err);
}

int ta_watch_retry(ta_jobs *q, const ta_watch_folder *f, const ta_watch_row *row, ta_error *err)
{
    setting s = { f, row, TA_WATCH_TAKEN, 0, row->tries + 1, "", "", true };
    return ta_jobs_do(q, set, &s, TA_OP_WRITES, err);
}
