/* The queue's durable side: states, requests, order, needs, duplicates, migrations, damage, what survives. */
#include "base_test.h"

#include <jansson.h>
#include <sqlite3.h>

#include "queue/queue.h"
#include "queue/store.h"

/* ---- Kit ------------------------------------------------------------------------------------------------------------
 */

static ta_jobs *open_queue(void **state)
{
    ta_jobs *q = NULL;
    ta_error err = { 0 };
    int r = ta_jobs_open(&q, *state, NULL, &err);
    if (r < 0)
        print_error("%s\n", err.text[0]);
    assert_int_equal(r, 0);
    return q;
}

/* A request as JSON text with ' for ". The caller frees the reply. */
static json_t *ask(ta_jobs *q, const char *text, int expect)
{
    char *quoted = strdup(text);
    for (char *p = quoted; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    json_error_t why;
    json_t *request = json_loads(quoted, 0, &why), *reply = NULL;
    ta_error err = { 0 };
    assert_non_null(request);
    int r = ta_jobs_request(q, request, &reply, &err);
    if (r != expect)
        print_error("%s: %d %s\n", text, r, err.text[0]);
    assert_int_equal(r, expect);
    if (r < 0)
        assert_true(err.depth > 0 && err.text[0][0]);
    json_decref(request);
    free(quoted);
    return reply;
}

static void done(ta_jobs *q, const char *text, int expect)
{
    json_decref(ask(q, text, expect));
}

static int64_t add(ta_jobs *q, int n, const char *more)
{
    char text[512];
    snprintf(text, sizeof text, "{'do':'add','settings':[{}],'jobs':[{'input':'/in/%d.avi','output':'/out/%d.mkv'%s}]}",
             n, n, more);
    json_t *reply = ask(q, text, 0);
    int64_t id = json_integer_value(json_array_get(json_object_get(reply, "added"), 0));
    json_decref(reply);
    return id;
}

static ta_qjob look(ta_jobs *q, int64_t id)
{
    ta_view_reader *r = ta_view_reader_open(q);
    const ta_qjob *j = ta_view_job(ta_view_enter(r), id);
    ta_qjob copy = { .id = -1 };
    if (j)
        copy = *j;
    ta_view_leave(r);
    ta_view_reader_close(&r);
    copy.input = copy.output = copy.message = copy.source = NULL;
    return copy;
}

static void assert_order(ta_jobs *q, int state, const int64_t *ids, size_t n)
{
    const ta_qjob *jobs[64];
    ta_view_reader *r = ta_view_reader_open(q);
    const ta_view *v = ta_view_enter(r);
    assert_int_equal(ta_view_page(v, state, 0, 64, jobs), n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(jobs[i]->id, ids[i]);
    for (size_t from = 0; from <= n; from++) { /* any page of it is the same */
        assert_int_equal(ta_view_page(v, state, from, 2, jobs), TA_MIN(n - from, 2));
        if (from < n)
            assert_int_equal(jobs[0]->id, ids[from]);
    }
    ta_view_leave(r);
    ta_view_reader_close(&r);
}
#define ORDER(q, state, ...)                                                                                           \
    do {                                                                                                               \
        const int64_t ids_[] = { __VA_ARGS__ };                                                                        \
        assert_order(q, state, ids_, TA_COUNT(ids_));                                                                  \
    } while (0)

/* One number from the file itself, by SQLite and nothing of ours. */
static int64_t in_file(void **state, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *st;
    assert_int_equal(sqlite3_open(in(state, "queue.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    int64_t value = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : -1;
    sqlite3_finalize(st);
    sqlite3_close(db);
    return value;
}

/* ---- States ---------------------------------------------------------------------------------------------------------
 */

static void test_transitions(void **state)
{
    for (int from = 0; from < TA_Q_STATES; from++) {
        ta_qstate back = TA_Q_STATES;
        assert_true(ta_qstate_parse(ta_qstate_name((ta_qstate)from), &back));
        assert_int_equal(back, from);
        for (int to = 0; to < TA_Q_STATES; to++)
            if (ta_qstate_over((ta_qstate)from))
                assert_false(ta_qstate_may((ta_qstate)from, (ta_qstate)to)); /* terminal */
    }
    assert_true(ta_qstate_may(TA_Q_PENDING, TA_Q_ANALYSING));
    assert_true(ta_qstate_may(TA_Q_ENCODING, TA_Q_COMPLETED));
    assert_false(ta_qstate_may(TA_Q_PENDING, TA_Q_COMPLETED));
    assert_false(ta_qstate_may(TA_Q_PENDING, TA_Q_FAILED));
    ta_qstate s;
    assert_false(ta_qstate_parse("done", &s));
}

static void test_life(void **state)
{
    ta_jobs *q = open_queue(state);
    int64_t id = add(q, 1, "");
    assert_int_equal(look(q, id).state, TA_Q_PENDING);
    assert_int_equal(ta_jobs_end(q, id, 1, 0, "", NULL), TA_ERR_USAGE); /* never began */
    assert_int_equal(ta_jobs_set_state(q, id, 1, TA_Q_ANALYSING, NULL), 0);
    assert_int_equal(ta_jobs_set_state(q, id, 2, TA_Q_ENCODING, NULL), TA_ERR_NOINPUT); /* of another attempt */
    assert_true(ta_jobs_progress(q, id, 1, &(ta_qprogress){ 0.5, 25, 10 }));
    assert_false(ta_jobs_progress(q, id, 2, &(ta_qprogress){ 0.9, 25, 10 }));
    assert_int_equal(ta_jobs_set_state(q, id, 1, TA_Q_ENCODING, NULL), 0);
    assert_int_equal(ta_jobs_end(q, id, 1, 0, "", NULL), 0);
    assert_int_equal(look(q, id).state, TA_Q_COMPLETED);
    /* set once */
    assert_int_equal(ta_jobs_end(q, id, 1, TA_ERR_IO, "late", NULL), TA_ERR_USAGE);
    assert_int_equal(ta_jobs_set_state(q, id, 1, TA_Q_ENCODING, NULL), TA_ERR_USAGE);
    assert_false(ta_jobs_progress(q, id, 1, &(ta_qprogress){ 0.1, 1, 1 }));
    assert_int_equal(look(q, id).state, TA_Q_COMPLETED);
    done(q, "{'do':'retry','ids':[1]}", TA_ERR_USAGE);
    ta_jobs_close(&q);
    assert_int_equal(in_file(state, "SELECT state FROM jobs WHERE id=1"), TA_Q_COMPLETED);
    assert_int_equal(in_file(state, "SELECT count(*) FROM outbox"), 0); /* nobody is to be told */
}

static void test_retry(void **state)
{
    ta_jobs *q = open_queue(state);
    int64_t id = add(q, 1, "");
    ta_jobs_set_state(q, id, 1, TA_Q_ENCODING, NULL);
    assert_int_equal(ta_jobs_end(q, id, 1, TA_ERR_DATA, "no picture", NULL), 0);
    assert_int_equal(look(q, id).code, TA_ERR_DATA);
    done(q, "{'do':'retry','ids':[1]}", 0);
    ta_qjob j = look(q, id);
    assert_int_equal(j.state, TA_Q_PENDING);
    assert_int_equal(j.attempt, 2);
    assert_int_equal(j.code, 0);
    assert_int_equal(ta_jobs_end(q, id, 1, 0, "", NULL), TA_ERR_NOINPUT); /* the first attempt comes too late */
    ta_jobs_close(&q);
    q = open_queue(state);
    assert_int_equal(look(q, id).attempt, 2);
    ta_jobs_close(&q);
}

/* ---- Cancel and pause -----------------------------------------------------------------------------------------------
 */

static void test_cancel(void **state)
{
    ta_jobs *q = open_queue(state);
    add(q, 1, "");
    add(q, 2, "");
    add(q, 3, "");
    done(q, "{'do':'cancel','ids':[1]}", 0);
    assert_int_equal(look(q, 1).state, TA_Q_CANCELLED);
    done(q, "{'do':'cancel','ids':[2,1]}", TA_ERR_USAGE); /* all or none */
    assert_int_equal(look(q, 2).state, TA_Q_PENDING);
    done(q, "{'do':'cancel','ids':[2,77]}", TA_ERR_NOINPUT);
    ta_jobs_set_state(q, 3, 1, TA_Q_ENCODING, NULL);
    done(q, "{'do':'cancel','ids':[3]}", 0); /* a worker has it: its end is awaited */
    assert_int_equal(look(q, 3).state, TA_Q_ENCODING);
    assert_true(look(q, 3).stopping);
    ta_jobs_close(&q); /* the owner ends before the worker: what was promised holds */
    q = open_queue(state);
    assert_int_equal(look(q, 3).state, TA_Q_CANCELLED);
    assert_int_equal(look(q, 2).state, TA_Q_PENDING);
    ta_jobs_close(&q);
}

static void test_pause(void **state)
{
    ta_jobs *q = open_queue(state);
    add(q, 1, "");
    add(q, 2, "");
    done(q, "{'do':'pause','ids':[1]}", 0);
    ta_jobs_set_state(q, 2, 1, TA_Q_UPSCALING, NULL);
    done(q, "{'do':'pause','ids':[2]}", 0);
    assert_true(look(q, 2).held);
    done(q, "{'do':'resume','ids':[1,2]}", 0);
    assert_int_equal(look(q, 1).state, TA_Q_PENDING);
    assert_int_equal(look(q, 2).state, TA_Q_UPSCALING);
    done(q, "{'do':'pause'}", 0);
    ta_jobs_close(&q);
    q = open_queue(state);
    json_t *reply = ask(q, "{'do':'status'}", 0);
    assert_true(json_is_true(json_object_get(reply, "paused")));
    json_decref(reply);
    assert_int_equal(look(q, 2).state, TA_Q_PENDING); /* was at work when its owner ended */
    done(q, "{'do':'resume'}", 0);
    ta_jobs_close(&q);
}

/* ---- Order ----------------------------------------------------------------------------------------------------------
 */

static void test_move(void **state)
{
    ta_jobs *q = open_queue(state);
    for (int i = 1; i <= 5; i++)
        add(q, i, "");
    done(q, "{'do':'move','ids':[5],'to':'top'}", 0);
    ORDER(q, -1, 5, 1, 2, 3, 4);
    done(q, "{'do':'move','ids':[5],'to':'bottom'}", 0);
    ORDER(q, -1, 1, 2, 3, 4, 5);
    done(q, "{'do':'move','ids':[4,1],'before':3}", 0);
    ORDER(q, -1, 2, 4, 1, 3, 5);
    done(q, "{'do':'move','ids':[2],'after':5}", 0);
    ORDER(q, -1, 4, 1, 3, 5, 2);
    done(q, "{'do':'move','ids':[3],'priority':10}", 0);
    ORDER(q, -1, 3, 4, 1, 5, 2);
    done(q, "{'do':'move','ids':[2],'before':3}", 0); /* takes its priority */
    ORDER(q, -1, 2, 3, 4, 1, 5);
    done(q, "{'do':'pause','ids':[4]}", 0);
    ORDER(q, TA_Q_PENDING, 2, 3, 1, 5);
    ORDER(q, TA_Q_PAUSED, 4);
    done(q, "{'do':'move','ids':[2],'before':2}", TA_ERR_USAGE);
    done(q, "{'do':'move','ids':[2,2],'to':'top'}", TA_ERR_USAGE);
    done(q, "{'do':'move','ids':[2]}", TA_ERR_USAGE);
    ta_jobs_close(&q);
    q = open_queue(state);
    ORDER(q, -1, 2, 3, 4, 1, 5);
    ta_jobs_close(&q);
}

/* Two jobs that change places again and again use up the room between their neighbours: then all are spread anew. */
static void test_move_without_end(void **state)
{
    ta_jobs *q = open_queue(state);
    for (int i = 1; i <= 4; i++)
        add(q, i, "");
    for (int i = 0; i < 60; i++) {
        done(q, i % 2 ? "{'do':'move','ids':[3],'after':1}" : "{'do':'move','ids':[2],'after':1}", 0);
        if (i % 2)
            ORDER(q, -1, 1, 3, 2, 4);
        else
            ORDER(q, -1, 1, 2, 3, 4);
    }
    ta_jobs_close(&q);
}

/* ---- Needs and duplicates -------------------------------------------------------------------------------------------
 */

static int64_t waits_for(ta_jobs *q, int64_t id)
{
    ta_view_reader *r = ta_view_reader_open(q);
    const ta_view *v = ta_view_enter(r);
    int64_t need = ta_view_waits_for(v, ta_view_job(v, id));
    ta_view_leave(r);
    ta_view_reader_close(&r);
    return need;
}

static void test_needs(void **state)
{
    ta_jobs *q = open_queue(state);
    add(q, 1, "");
    add(q, 2, ",'needs':[1]");
    done(q, "{'do':'add','settings':[{}],'jobs':[{'input':'/a','output':'/b','needs':[9]}]}", TA_ERR_NOINPUT);
    assert_int_equal(waits_for(q, 2), 1);
    done(q, "{'do':'remove','ids':[1]}", TA_ERR_USAGE); /* another one waits for it */
    ta_jobs_close(&q);
    q = open_queue(state);
    assert_int_equal(waits_for(q, 2), 1);
    done(q, "{'do':'cancel','ids':[1]}", 0);
    assert_int_equal(waits_for(q, 2), 1); /* it is not completed */
    json_t *reply = ask(q, "{'do':'clear','what':'ended'}", 0);
    assert_int_equal(json_integer_value(json_object_get(reply, "kept")), 1);
    json_decref(reply);
    done(q, "{'do':'retry','ids':[1]}", 0);
    ta_jobs_set_state(q, 1, 2, TA_Q_ENCODING, NULL);
    assert_int_equal(ta_jobs_end(q, 1, 2, 0, "", NULL), 0);
    assert_int_equal(waits_for(q, 2), 0);
    done(q, "{'do':'clear','what':'completed'}", 0);
    assert_int_equal(look(q, 1).id, -1);
    assert_int_equal(waits_for(q, 2), 0);
    ta_jobs_close(&q);
}

static void test_duplicates(void **state)
{
    ta_jobs *q = open_queue(state);
    assert_int_equal(add(q, 1, ""), 1);
    assert_int_equal(add(q, 1, ""), 0); /* the same again */
    done(q, "{'do':'add','settings':[{}],'jobs':[{'input':'/other','output':'/out/1.mkv'}]}", TA_ERR_CANTCREATE);
    /* one bad job in a request: none of them is added */
    done(q,
         "{'do':'add','settings':[{}],'jobs':[{'input':'/in/7','output':'/out/7'},{'input':'/x','output':'/out/"
         "1.mkv'}]}",
         TA_ERR_CANTCREATE);
    assert_int_equal(look(q, 2).id, -1);
    done(q, "{'do':'cancel','ids':[1]}", 0);
    assert_int_equal(add(q, 1, ""), 2);                     /* what is over is no duplicate */
    done(q, "{'do':'retry','ids':[1]}", TA_ERR_CANTCREATE); /* job 2 makes its output now */
    ta_jobs_close(&q);
}

/* ---- Requests -------------------------------------------------------------------------------------------------------
 */

static void test_bad_requests(void **state)
{
    static const char *const bad[] = {
        "{}",
        "{'do':'dance'}",
        "{'do':'add'}",
        "{'do':'add','settings':[{}],'jobs':[]}",
        "{'do':'add','settings':[],'jobs':[{'input':'/a','output':'/b'}]}",
        "{'do':'add','settings':[{}],'jobs':[{'input':'a','output':'/b'}]}",
        "{'do':'add','settings':[{}],'jobs':[{'input':'/a','output':'b'}]}",
        "{'do':'add','settings':[{}],'jobs':[{'input':'/a'}]}",
        "{'do':'add','settings':[{}],'jobs':[{'input':'/a','output':'/b','settings':1}]}",
        "{'do':'add','settings':[{}],'jobs':[{'input':'/a','output':'/b','priority':1001}]}",
        "{'do':'add','settings':[{'crff':1}],'jobs':[{'input':'/a','output':'/b'}]}",
        "{'do':'add','settings':[{'crf':99}],'jobs':[{'input':'/a','output':'/b'}]}",
        "{'do':'cancel'}",
        "{'do':'cancel','ids':[]}",
        "{'do':'cancel','ids':['1']}",
        "{'do':'list','state':'done'}",
        "{'do':'list','limit':1001}",
        "{'do':'clear'}",
        "{'do':'move','ids':[1],'to':'left'}",
    };
    ta_jobs *q = open_queue(state);
    for (size_t i = 0; i < TA_COUNT(bad); i++)
        done(q, bad[i], TA_ERR_USAGE);
    done(q, "{'do':'show','id':5}", TA_ERR_NOINPUT);
    json_t *reply = ask(q, "{'do':'status'}", 0);
    assert_int_equal(json_integer_value(json_object_get(reply, "total")), 0);
    json_decref(reply);
    ta_jobs_close(&q);
}

static void test_settings_are_whole(void **state)
{
    ta_jobs *q = open_queue(state);
    done(q,
         "{'do':'add','settings':[{'crf':31},{'crf':17}],'jobs':[{'input':'/a','output':'/b'},"
         "{'input':'/c','output':'/d','settings':1},{'input':'/e','output':'/f'}]}",
         0);
    json_t *job = ask(q, "{'do':'show','id':2}", 0), *settings = json_object_get(job, "settings");
    assert_int_equal(json_integer_value(json_object_get(settings, "crf")), 17);
    assert_true(json_object_size(settings) > 50); /* defaults, too: they may change */
    json_decref(job);
    ta_jobs_close(&q);
    assert_int_equal(in_file(state, "SELECT count(*) FROM settings"), 2); /* stored once */
    q = open_queue(state);
    done(q, "{'do':'clear','what':'all'}", 0);
    ta_jobs_close(&q);
    assert_int_equal(in_file(state, "SELECT count(*) FROM settings"), 0);
    assert_int_equal(in_file(state, "SELECT count(*) FROM jobs"), 0);
}

static void test_statistics(void **state)
{
    ta_jobs *q = open_queue(state);
    for (int i = 1; i <= 3; i++) {
        add(q, i, "");
        ta_jobs_set_state(q, i, 1, TA_Q_ENCODING, NULL);
        ta_jobs_end(q, i, 1, i == 3 ? TA_ERR_IO : 0, "", NULL);
    }
    done(q, "{'do':'clear','what':'ended'}", 0);
    json_t *reply = ask(q, "{'do':'stats'}", 0), *ever = json_object_get(reply, "ever");
    assert_int_equal(json_integer_value(json_object_get(reply, "total")), 0);
    assert_int_equal(json_integer_value(json_object_get(ever, "completed")), 2);
    assert_int_equal(json_integer_value(json_object_get(ever, "failed")), 1);
    json_decref(reply);
    ta_jobs_close(&q);
}

/* ---- The file -------------------------------------------------------------------------------------------------------
 */

static void test_one_owner(void **state)
{
    ta_jobs *q = open_queue(state), *other = NULL;
    bool owned = false;
    assert_int_equal(ta_jobs_open(&other, *state, &owned, NULL), TA_ERR_AGAIN);
    assert_true(owned);
    assert_null(other);
    ta_jobs_close(&q);
    q = open_queue(state);
    ta_jobs_close(&q);
}

/* A store of each older version, with a job in it, as the SQL of that time would have written it. */
static void make_old(void **state, int version)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(in(state, "queue.db"), &db), SQLITE_OK);
    assert_int_equal(ta_schema_migrate(db, version, NULL), 0);
    assert_int_equal(
        sqlite3_exec(db,
                     "INSERT INTO settings VALUES(1, 'x', '{\"crf\": 30}');"
                     "INSERT INTO jobs VALUES(7, 100, 5, 0, 3, 0, 0, 11, 0, 0, 1, '/in', '/out', 'cli', '');"
                     "INSERT INTO jobs VALUES(8, 200, 5, 5, 1, 0, 0, 12, 13, 0, 1, '/in8', '/out8', 'cli', '');"
                     "INSERT INTO needs VALUES(8, 7); INSERT INTO facts VALUES('paused', 1)",
                     NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
}

static void test_migrations(void **state)
{
    for (int version = 1; version <= ta_schema_newest(); version++) {
        make_old(state, version);
        ta_jobs *q = open_queue(state);
        ta_qjob j = look(q, 7);
        assert_int_equal(j.attempt, 3);
        assert_int_equal(j.priority, 5);
        assert_int_equal(look(q, 8).state, TA_Q_PENDING); /* 5 was "encoding" */
        assert_int_equal(waits_for(q, 8), 7);
        ta_jobs_set_state(q, 7, 3, TA_Q_ENCODING, NULL);
        assert_int_equal(ta_jobs_end(q, 7, 3, 0, "", NULL), 0); /* writes to the tables of later versions */
        ta_jobs_close(&q);
        assert_int_equal(in_file(state, "PRAGMA user_version"), ta_schema_newest());
        assert_int_equal(in_file(state, "SELECT count(*) FROM outbox"), 0);
        assert_int_equal(in_file(state, "SELECT count(*) FROM watched"), 0);
        assert_int_equal(in_file(state, "SELECT value FROM facts WHERE name='paused'"), 1);
        unlink(in(state, "queue.db"));
    }
}

static void test_newer_and_foreign(void **state)
{
    sqlite3 *db;
    ta_jobs *q = NULL;
    make_old(state, 0);
    assert_int_equal(sqlite3_open(in(state, "queue.db"), &db), SQLITE_OK);
    sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL);
    sqlite3_close(db);
    ta_error err = { 0 };
    assert_int_equal(ta_jobs_open(&q, *state, NULL, &err), TA_ERR_DATA);
    assert_non_null(strstr(err.text[0], "newer"));
    unlink(in(state, "queue.db"));
    assert_int_equal(sqlite3_open(in(state, "queue.db"), &db), SQLITE_OK);
    sqlite3_exec(db, "CREATE TABLE cats(name)", NULL, NULL, NULL);
    sqlite3_close(db);
    assert_int_equal(ta_jobs_open(&q, *state, NULL, &err), TA_ERR_DATA);
    assert_non_null(strstr(err.text[0], "another program"));
}

static void test_network(void **state)
{
    assert_true(ta_is_network_fs(0x6969));                         /* NFS_SUPER_MAGIC */
    assert_true(ta_is_network_fs(0xFF534D42));                     /* CIFS_SUPER_MAGIC */
    assert_true(ta_is_network_fs((unsigned long)(int)0xFF534D42)); /* as a 32-bit f_type comes */
    assert_true(ta_is_network_fs(0x65735546));                     /* FUSE_SUPER_MAGIC: sshfs and the like */
    assert_false(ta_is_network_fs(0xEF53));                        /* ext4 */
    assert_false(ta_is_network_fs(0x58465342));                    /* XFS */
    assert_false(ta_is_network_fs(0x01021994));                    /* tmpfs */
    assert_int_equal(ta_check_local(*state, NULL), 0);
}

static int open_on_small_disk(void *arg)
{
    void **state = arg;
    ta_jobs *q = NULL;
    if (!mount_private(*state, "size=1m"))
        return CANT_MOUNT;
    if (ta_jobs_open(&q, *state, NULL, NULL) < 0)
        return 1;
    /* until the disk is full; each refused add leaves nothing */
    int64_t added = 0, r = 0;
    for (int i = 0; i < 3000 && r >= 0; i++) {
        json_t *request = json_pack("{s:s, s:[{}], s:[{s:o, s:o}]}", "do", "add", "settings", "jobs", "input",
                                    json_sprintf("/in/%d-%0*d", i, 2000, 0), "output", json_sprintf("/out/%d", i));
        json_t *reply = NULL;
        r = ta_jobs_request(q, request, &reply, NULL);
        added += r >= 0;
        json_decref(reply);
        json_decref(request);
    }
    if (r != TA_ERR_AGAIN || !added)
        return 2;
    ta_view_reader *reader = ta_view_reader_open(q);
    bool good = ta_view_total(ta_view_enter(reader)) == (size_t)added;
    ta_view_leave(reader);
    ta_view_reader_close(&reader);
    if (!good)
        return 3;
    if (!mount_private(*state, "size=20m,remount") && mount("none", *state, "tmpfs", MS_REMOUNT, "size=20m"))
        return CANT_MOUNT;
    json_t *request =
        json_pack("{s:s, s:[{}], s:[{s:s, s:s}]}", "do", "add", "settings", "jobs", "input", "/x", "output", "/y");
    json_t *reply = NULL;
    int again = ta_jobs_request(q, request, &reply, NULL); /* with room it goes on */
    json_decref(reply);
    json_decref(request);
    ta_jobs_close(&q);
    if (again < 0 || ta_jobs_open(&q, *state, NULL, NULL) < 0)
        return 4;
    reader = ta_view_reader_open(q);
    good = ta_view_total(ta_view_enter(reader)) == (size_t)added + 1;
    ta_view_leave(reader);
    ta_view_reader_close(&reader);
    ta_jobs_close(&q);
    return good ? 0 : 5;
}

static void test_full_disk(void **state)
{
    int status = in_child(open_on_small_disk, state);
    if (status == CANT_MOUNT)
        skip();
    assert_int_equal(status, 0);
}

/* ---- Memory ---------------------------------------------------------------------------------------------------------
 */

#define ADD_THREE                                                                                                      \
    "{\"do\":\"add\",\"settings\":[{}],\"jobs\":[{\"input\":\"/a\",\"output\":\"/b\"},{\"input\":\"/"                  \
    "c\",\"output\":\"/d\"},"                                                                                          \
    "{\"input\":\"/e\",\"output\":\"/f\",\"needs\":[1]}]}"

/* Everything once, with the n-th allocation failing. True when all of it went well; then *count is how many there were.
 */
static bool try_all(void **state, uint64_t n, uint64_t *count)
{
    static const char *const requests[] = {
        ADD_THREE,
        "{\"do\":\"move\",\"ids\":[2],\"to\":\"top\"}",
        "{\"do\":\"pause\",\"ids\":[2]}",
        "{\"do\":\"cancel\",\"ids\":[2]}",
        "{\"do\":\"retry\",\"ids\":[2]}",
        "{\"do\":\"list\"}",
        "{\"do\":\"show\",\"id\":1}",
        "{\"do\":\"cancel\",\"ids\":[3]}",
        "{\"do\":\"remove\",\"ids\":[3]}",
        "{\"do\":\"clear\",\"what\":\"ended\"}",
        "{\"do\":\"stats\"}",
    };
    ta_jobs *q = NULL;
    ta_error err = { 0 };
    ta_alloc_fail_at(n);
    int r = ta_jobs_open(&q, *state, NULL, &err);
    ta_subscriber *s = q ? ta_subscribe(q) : NULL;
    for (size_t i = 0; r >= 0 && i < TA_COUNT(requests); i++) {
        json_t *request = json_loads(requests[i], 0, NULL), *reply = NULL;
        r = ta_jobs_request(q, request, &reply, &err);
        json_decref(reply);
        json_decref(request);
    }
    if (r >= 0)
        r = ta_jobs_set_state(q, 1, 1, TA_Q_ENCODING, &err);
    if (r >= 0)
        ta_jobs_progress(q, 1, 1, &(ta_qprogress){ 0.5, 1, 1 });
    if (r >= 0)
        r = ta_jobs_end(q, 1, 1, 0, "", &err);
    *count = ta_alloc_fail_at(0);
    if (r < 0)
        assert_true(r == TA_ERR_AGAIN && err.depth > 0);
    /* the view is what the file is, whatever failed */
    if (q) {
        ta_view_reader *reader = ta_view_reader_open(q);
        size_t total = ta_view_total(ta_view_enter(reader));
        ta_view_leave(reader);
        ta_view_reader_close(&reader);
        assert_int_equal(in_file(state, "SELECT count(*) FROM jobs"), total);
    }
    ta_unsubscribe(&s);
    ta_jobs_close(&q);
    return r >= 0;
}

static void test_out_of_memory(void **state)
{
    uint64_t n = 0, most;
    assert_true(try_all(state, 0, &most));
    for (uint64_t count = most; n <= count + 1; n++) {
        unlink(in(state, "queue.db"));
        try_all(state, n + 1, &count);
        count = TA_MAX(count, most);
    }
    assert_true(most > 100);
}

/* ---- Damage ---------------------------------------------------------------------------------------------------------
 */

static int count_jobs(void *opaque, const char *line, ta_error *err)
{
    *(int *)opaque += strstr(line, "\"job\":") != NULL;
    return 0;
}

static void damage(void **state, long from, long bytes)
{
    FILE *f = fopen(in(state, "queue.db"), "r+");
    assert_non_null(f);
    fseek(f, from, SEEK_SET);
    for (long i = 0; i < bytes; i++)
        fputc(0x5a, f);
    fclose(f);
}

static void test_damage(void **state)
{
    ta_jobs *q = open_queue(state);
    for (int i = 1; i <= 400; i++)
        add(q, i, "");
    ta_jobs_close(&q);
    long size = (long)ta_file_size(in(state, "queue.db"));
    /* a leaf with jobs: the page that holds this text */
    char *data = NULL;
    size_t n = 0;
    assert_int_equal(ta_read_file(in(state, "queue.db"), 64 << 20, &data, &n, NULL), 0);
    const char *hit = memmem(data, n, "/in/200.avi", 11);
    assert_non_null(hit);
    long page = (hit - data) / 4096 * 4096;
    ta_free(data);
    assert_true(page > 0 && page < size);
    damage(state, page, 4096);

    ta_error err = { 0 };
    assert_int_equal(ta_jobs_open(&q, *state, NULL, &err), TA_ERR_DATA);
    assert_non_null(strstr(err.hint, "queue repair"));
    int read = 0;
    assert_int_equal(ta_jobs_export(*state, count_jobs, &read, NULL), 0);
    assert_true(read > 300 && read < 400); /* all but those of that page */

    ta_buf report = { 0 };
    assert_int_equal(ta_jobs_repair(*state, &report, &err), 0);
    assert_non_null(strstr(report.data, "damaged store is kept"));
    ta_buf_free(&report);
    q = open_queue(state);
    ta_view_reader *r = ta_view_reader_open(q);
    assert_int_equal(ta_view_total(ta_view_enter(r)), read);
    ta_view_leave(r);
    ta_view_reader_close(&r);
    assert_int_equal(look(q, 1).state, TA_Q_PENDING);
    assert_int_equal(look(q, 400).state, TA_Q_PENDING); /* behind the damage, too */
    assert_int_equal(look(q, 200).id, -1);
    assert_int_equal(add(q, 1000, ""), 401);
    ta_jobs_close(&q);
}

static void test_no_database(void **state)
{
    ta_jobs *q = NULL;
    put_file(in(state, "queue.db"),
             "this is no database, it only looks as if it were one, for more than a header's length "
             "of bytes: one hundred of them");
    ta_error err = { 0 };
    assert_int_equal(ta_jobs_open(&q, *state, NULL, &err), TA_ERR_DATA);
    assert_non_null(strstr(err.hint, "queue repair"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transitions),
        SCRATCH_TEST(test_life),
        SCRATCH_TEST(test_retry),
        SCRATCH_TEST(test_cancel),
        SCRATCH_TEST(test_pause),
        SCRATCH_TEST(test_move),
        SCRATCH_TEST(test_move_without_end),
        SCRATCH_TEST(test_needs),
        SCRATCH_TEST(test_duplicates),
        SCRATCH_TEST(test_bad_requests),
        SCRATCH_TEST(test_settings_are_whole),
        SCRATCH_TEST(test_statistics),
        SCRATCH_TEST(test_one_owner),
        SCRATCH_TEST(test_migrations),
        SCRATCH_TEST(test_newer_and_foreign),
        SCRATCH_TEST(test_network),
        SCRATCH_TEST(test_full_disk),
        SCRATCH_TEST(test_out_of_memory),
        SCRATCH_TEST(test_damage),
        SCRATCH_TEST(test_no_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
