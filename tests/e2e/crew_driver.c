/* A crew for tests: commands come as lines on stdin, their words parted by tabs; what happens goes to stdout as JSON
 * lines. Commands: give ID INPUT OUTPUT SETTINGS-FILE [CPUS [MEMORY]]; cancel ID; pause ID; resume ID; resize N;
 * pids; free. The end of stdin closes the crew. */
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "work/work.h"

static void say(json_t *o)
{
    json_object_set_new(o, "at", json_real((double)ta_now_us() / 1e6));
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    printf("%s\n", text ? text : "{}");
    fflush(stdout);
    free(text);
}

static void on_progress(void *user, const char *id, const ta_work_progress *p)
{
    (void)user;
    say(json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:I, s:I, s:i, s:b}", "event", "progress", "id", id, "stage",
                  ta_work_stage_name(p->stage), "fraction", p->fraction, "fps", p->fps, "eta", p->eta, "frames",
                  (json_int_t)p->frames, "rss", (json_int_t)p->rss, "attempt", p->attempt, "paused", p->paused));
}

static void on_end(void *user, const char *id, int code, const char *message)
{
    (void)user;
    char *clean = ta_utf8_clean(message);
    say(json_pack("{s:s, s:s, s:i, s:s}", "event", "end", "id", id, "code", code, "message", clean ? clean : ""));
    ta_free(clean);
}

static void on_free(void *user)
{
    (void)user;
    say(json_pack("{s:s}", "event", "free"));
}

static int give(ta_crew *crew, char **words, ta_error *err)
{
    char *settings = NULL;
    size_t size;
    int r = ta_read_file(words[4], 1 << 20, &settings, &size, err);
    ta_work_order order = { .id = words[1],
                            .input = words[2],
                            .output = *words[3] ? words[3] : NULL,
                            .settings_json = settings,
                            .cpus = atof(words[5]),
                            .memory = atoll(words[6]) };
    if (r >= 0)
        r = ta_crew_give(crew, &order, err);
    ta_free(settings);
    return r;
}

static void say_pids(ta_crew *crew)
{
    int pids[TA_CREW_MAX_WORKERS], n = ta_crew_pids(crew, pids, TA_CREW_MAX_WORKERS);
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_integer(pids[i]));
    say(json_pack("{s:s, s:o}", "event", "pids", "pids", list));
}

static void obey(ta_crew *crew, char **words)
{
    ta_error err = { 0 };
    char text[2000];
    int r = 0;
    if (!strcmp(words[0], "give"))
        r = give(crew, words, &err);
    else if (!strcmp(words[0], "cancel"))
        r = ta_crew_cancel(crew, words[1], &err);
    else if (!strcmp(words[0], "pause") || !strcmp(words[0], "resume"))
        r = ta_crew_pause(crew, words[1], words[0][0] == 'p', &err);
    else if (!strcmp(words[0], "resize"))
        r = ta_crew_resize(crew, atoi(words[1]), &err);
    else if (!strcmp(words[0], "pids"))
        say_pids(crew);
    say(json_pack("{s:s, s:s, s:i, s:s, s:i}", "event", "answer", "to", words[0], "code", r, "error",
                  r < 0 ? ta_error_string(&err, text, sizeof text) : "", "free", ta_crew_free_workers(crew)));
}

static void read_commands(ta_crew *crew)
{
    enum { WORDS = 7 };
    char *line = NULL;
    size_t cap = 0;
    while (getline(&line, &cap, stdin) > 0) {
        char empty[1] = "", *words[WORDS], *rest = line;
        line[strcspn(line, "\n")] = 0;
        for (int i = 0; i < WORDS; i++) {
            char *word = strsep(&rest, "\t");
            words[i] = word ? word : empty;
        }
        obey(crew, words);
    }
    free(line);
}

/* NAME VALUE pairs; "words" takes all that follow as the words of the program. */
static bool configure(ta_crew_config *c, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(name, "words")) {
            c->program_words = (const char *const *)argv + i + 1;
            return true;
        }
        if (!strcmp(name, "program"))
            c->program = value;
        else if (!strcmp(name, "sandbox"))
            c->sandbox = !strcmp(value, "off")        ? TA_CREW_SANDBOX_OFF
                         : !strcmp(value, "required") ? TA_CREW_SANDBOX_REQUIRED
                                                      : TA_CREW_SANDBOX_ON;
        else if (!strcmp(name, "workers"))
            c->workers = atoi(value);
        else if (!strcmp(name, "heartbeat"))
            c->heartbeat_ms = atoi(value);
        else if (!strcmp(name, "stall"))
            c->stall_ms = atoi(value);
        else if (!strcmp(name, "handshake"))
            c->handshake_ms = atoi(value);
        else if (!strcmp(name, "backoff"))
            c->backoff_ms = atoi(value);
        else if (!strcmp(name, "recycle"))
            c->recycle_memory = atoll(value);
        else if (!strcmp(name, "cpus"))
            c->cpu_budget = atof(value);
        else if (!strcmp(name, "memory"))
            c->memory_budget = atoll(value);
        else if (!strcmp(name, "kill"))
            c->kill_memory = atoll(value);
        else
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    ta_error err = { 0 };
    char text[2000];
    ta_crew *crew;
    ta_crew_config config = { .workers = 1, .on_progress = on_progress, .on_end = on_end, .on_free = on_free };
    if (!configure(&config, argc, argv))
        return 64;
    ta_log_setup(TA_LOG_VERBOSE, false);
    int r = ta_crew_open(&crew, &config, &err);
    if (r < 0) {
        fprintf(stderr, "%s\n", ta_error_string(&err, text, sizeof text));
        return ta_exit_code(r);
    }
    read_commands(crew);
    ta_crew_close(&crew);
    say(json_pack("{s:s}", "event", "closed"));
    return 0;
}
