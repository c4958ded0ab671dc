/* terminalai queue export and import: all jobs with their settings, as JSON lines. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/queue_verb.h"

enum { AT_ONCE = 200, LONGEST_LINE = 32 << 20 };

/* ---- Export ---------------------------------------------------------------------------------------------------------
 */

static int write_line(void *opaque, const char *line, ta_error *err)
{
    FILE *out = opaque;
    return fputs(line, out) < 0 || fputc('\n', out) < 0 ? ta_fail_errno(err, errno, true, "can't write", "the export")
                                                        : 0;
}

static int add_line(void *opaque, const char *line, ta_error *err)
{
    ta_buf *b = opaque;
    ta_buf_add(b, line);
    ta_buf_add(b, "\n");
    return b->failed ? ta_no_memory(err) : 0;
}

int ta_queue_export(ta_queue_call *c, ta_error *err)
{
    ta_buf all = { 0 };
    int r = ta_cli_expect_words(c->argv, c->words, 0, 1, "", err);
    if (r < 0)
        return r;
    if (!c->words)
        return ta_jobs_export(c->dir, write_line, stdout, err);
    r = ta_jobs_export(c->dir, add_line, &all, err);
    if (r >= 0)
        r = ta_write_file(c->argv[0], all.data, all.len, false, err);
    ta_buf_free(&all);
    return r;
}

/* ---- Import ---------------------------------------------------------------------------------------------------------
 */

typedef struct importing {
    ta_client *client;
    json_t *settings; /* old id -> values */
    json_t *ids;      /* old job -> new job */
    /* -- what is sent together */
    json_t *jobs, *used, *places; /* places: old settings' id -> index in `used` */
    long line;
    int64_t added, skipped;
} importing;

static int start_batch(importing *m, ta_error *err)
{
    json_decref(m->jobs);
    json_decref(m->used);
    json_decref(m->places);
    m->jobs = json_array();
    m->used = json_array();
    m->places = json_object();
    return m->jobs && m->used && m->places ? 0 : ta_no_memory(err);
}

static const char *key_of(const json_t *id, char out[24])
{
    snprintf(out, 24, "%lld", (long long)json_integer_value(id));
    return out;
}

static int send_batch(importing *m, ta_error *err)
{
    json_t *reply = NULL, *id, *request;
    size_t i;
    char key[24];
    if (!json_array_size(m->jobs))
        return 0;
    request = json_pack("{s:s, s:O, s:O}", "do", "add", "settings", m->used, "jobs", m->jobs);
    int r = request ? ta_client_request(m->client, request, &reply, err) : ta_no_memory(err);
    json_array_foreach(json_object_get(reply, "added"), i, id)
    {
        json_t *old = json_object_get(json_array_get(m->jobs, i), "job");
        m->added += json_integer_value(id) > 0;
        m->skipped += json_integer_value(id) == 0;
        if (json_integer_value(id))
            json_object_set(m->ids, key_of(old, key), id);
    }
    json_decref(reply);
    json_decref(request);
    return r < 0 ? r : start_batch(m, err);
}

/* Jobs of which it depends, under their new numbers; those that did not come along are over. */
static json_t *new_needs(const importing *m, const json_t *old)
{
    json_t *list = json_array(), *need;
    size_t i;
    char key[24];
    json_array_foreach(old, i, need)
    {
        json_t *new = json_object_get(m->ids, key_of(need, key));
        if (new)
            json_array_append(list, new);
    }
    return list;
}

static int place_of(importing *m, const json_t *settings, json_int_t *place, ta_error *err)
{
    char key[24];
    json_t *known = json_object_get(m->places, key_of(settings, key)), *values = json_object_get(m->settings, key);
    if (!values)
        return ta_fail(err, TA_ERR_DATA, "line %ld: the settings %s of this job are missing", m->line, key);
    *place = known ? json_integer_value(known) : (json_int_t)json_array_size(m->used);
    if (known)
        return 0;
    return json_array_append(m->used, values) < 0 || json_object_set_new(m->places, key, json_integer(*place)) < 0
               ? ta_no_memory(err)
               : 0;
}

static int take_job(importing *m, json_t *job, ta_error *err)
{
    json_int_t place = 0;
    json_t *needs = json_object_get(job, "needs");
    int r = 0;
    if (json_array_size(needs))
        r = send_batch(m, err); /* what it needs must have its number */
    if (r >= 0)
        r = place_of(m, json_object_get(job, "settings"), &place, err);
    if (r < 0)
        return r;
    json_object_set_new(job, "settings", json_integer(place));
    json_object_set_new(job, "needs", new_needs(m, needs));
    if (json_array_append(m->jobs, job) < 0)
        return ta_no_memory(err);
    return json_array_size(m->jobs) >= AT_ONCE ? send_batch(m, err) : 0;
}

static int take_line(importing *m, const char *text, ta_error *err)
{
    json_error_t why;
    char key[24];
    json_t *o = json_loads(text, 0, &why);
    int r = 0;
    if (!o)
        return ta_fail(err, TA_ERR_DATA, "line %ld is no JSON: %s", m->line, why.text);
    if (m->line == 1 && strcmp(json_string_value(json_object_get(o, "terminalai")) ?: "", "queue") != 0)
        r = ta_fail(err, TA_ERR_DATA, "this is no export of a queue");
    else if (json_object_get(o, "values"))
        r = json_object_set(m->settings, key_of(json_object_get(o, "settings"), key), json_object_get(o, "values")) < 0
                ? ta_no_memory(err)
                : 0;
    else if (json_object_get(o, "job"))
        r = take_job(m, o, err);
    json_decref(o);
    return r;
}

static int import(importing *m, FILE *in, ta_error *err)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    int r = start_batch(m, err);
    while (r >= 0 && (n = getline(&line, &cap, in)) >= 0) {
        m->line++;
        r = n > LONGEST_LINE ? ta_fail(err, TA_ERR_DATA, "line %ld is too long", m->line) : take_line(m, line, err);
    }
    free(line);
    if (r >= 0 && !m->line)
        r = ta_fail(err, TA_ERR_DATA, "the file is empty");
    return r < 0 ? r : send_batch(m, err);
}

int ta_queue_import(ta_queue_call *c, ta_error *err)
{
    importing m = { .settings = json_object(), .ids = json_object() };
    int r = ta_cli_expect_words(c->argv, c->words, 1, 1, "the file of an export", err);
    FILE *in = r >= 0 ? fopen(c->argv[0], "re") : NULL;
    if (r >= 0 && !in)
        r = ta_fail_errno(err, errno, false, "can't open", c->argv[0]);
    if (r >= 0)
        r = ta_client_open(&m.client, c->dir, ta_cli_cancel(), err);
    if (r >= 0 && (r = import(&m, in, err)) < 0)
        ta_wrap(err, "%s", c->argv[0]);
    if (in)
        fclose(in);
    ta_client_close(&m.client);
    json_t *all[] = { m.settings, m.ids, m.jobs, m.used, m.places };
    for (size_t i = 0; i < TA_COUNT(all); i++)
        json_decref(all[i]);
    if (r >= 0 && c->json)
        return ta_queue_print_json(
            json_pack("{s:I, s:I}", "added", (json_int_t)m.added, "skipped", (json_int_t)m.skipped), err);
    if (r >= 0)
        printf("added: %lld, waiting already: %lld\n", (long long)m.added, (long long)m.skipped);
    return r;
}
