/* terminalai doctor: what this machine has for the work, tried out, with what to do about what is missing. */
#include "cli/cli.h"
#include "cli/doctor.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static bool make_room(ta_findings *f)
{
    if (f->count < f->cap)
        return true;
    size_t cap = f->cap ? f->cap * 2 : 32;
    ta_finding *more = ta_resize(f->list, cap, sizeof *more);
    if (!more)
        return false;
    f->list = more;
    f->cap = cap;
    return true;
}

void ta_found(ta_findings *f, const char *part, ta_finding_state state, const char *name, const char *advice,
              const char *fmt, ...)
{
    if (!make_room(f)) {
        f->failed = true;
        return;
    }
    va_list args;
    va_start(args, fmt);
    ta_finding *one = &f->list[f->count++];
    *one = (ta_finding){ .part = part,
                         .state = state,
                         .name = ta_strdup(name),
                         .text = ta_vformat(fmt, args),
                         .advice = ta_strdup(advice ? advice : "") };
    va_end(args);
    f->failed |= !one->name || !one->text || !one->advice;
}

void ta_findings_free(ta_findings *f)
{
    for (size_t i = 0; i < f->count; i++) {
        ta_free(f->list[i].name);
        ta_free(f->list[i].text);
        ta_free(f->list[i].advice);
    }
    ta_freep(&f->list);
}

bool ta_first_line(const char *path, char *out, size_t size)
{
    FILE *file = fopen(path, "r");
    bool read = file && fgets(out, (int)size, file);
    if (read)
        out[strcspn(out, "\n")] = 0;
    if (file)
        fclose(file);
    return read;
}

bool ta_proc_value(const char *path, const char *key, char *out, size_t size)
{
    char line[4096];
    FILE *file = fopen(path, "r");
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) {
        size_t n = strlen(key);
        char *colon = strchr(line, ':');
        if (strncmp(line, key, n) || !colon || strspn(line + n, " \t") != (size_t)(colon - line) - n)
            continue;
        snprintf(out, size, "%s", colon + 1 + strspn(colon + 1, " \t"));
        out[strcspn(out, "\n")] = 0;
        found = true;
    }
    if (file)
        fclose(file);
    return found;
}

static void print_text(const ta_findings *f)
{
    static const char *const marks[] = { "ok", "--", "!!" };
    const char *part = "";
    for (size_t i = 0; i < f->count; i++) {
        const ta_finding *one = &f->list[i];
        if (strcmp(part, one->part))
            printf("%s%s\n", i ? "\n" : "", one->part);
        part = one->part;
        printf("  %s  %-16s %s\n", marks[one->state], one->name, one->text);
        if (*one->advice)
            printf("      %-16s -> %s\n", "", one->advice);
    }
}

static json_t *finding_json(const ta_finding *one)
{
    static const char *const states[] = { "ok", "absent", "broken" };
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "part", one->part, "name", one->name, "state", states[one->state],
                     "text", one->text, "advice", one->advice);
}

static int print_json(const ta_findings *f, ta_error *err)
{
    json_t *list = json_array();
    int r = list ? 0 : -1;
    for (size_t i = 0; r == 0 && i < f->count; i++)
        r = json_array_append_new(list, finding_json(&f->list[i]));
    json_t *root = r == 0 ? json_pack("{s:s, s:O}", "version", ta_version(), "findings", list) : NULL;
    if (root)
        json_dumpf(root, stdout, JSON_INDENT(2));
    json_decref(list);
    json_decref(root);
    if (!root)
        return ta_no_memory(err);
    putchar('\n');
    return 0;
}

static int judge(const ta_findings *f, ta_error *err)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->list[i].state == TA_FOUND_BROKEN)
            return ta_fail(err, TA_ERR_UNAVAILABLE, "%s %s: %s", f->list[i].part, f->list[i].name, f->list[i].text);
    return 0;
}

static int examine(bool json, ta_error *err)
{
    static void (*const parts[])(ta_findings *) = { ta_doctor_machine, ta_doctor_gpu, ta_doctor_encoders,
                                                    ta_doctor_engines, ta_doctor_web, ta_doctor_sandbox };
    ta_findings f = { 0 };
    int r = 0;
    for (size_t i = 0; i < TA_COUNT(parts); i++)
        parts[i](&f);
    if (f.failed)
        r = ta_no_memory(err);
    else if (json)
        r = print_json(&f, err);
    else
        print_text(&f);
    if (r == 0)
        r = judge(&f, err);
    ta_findings_free(&f);
    return r;
}

static int run(int argc, char **argv, ta_error *err)
{
    static const char *const flags[] = { "json", NULL };
    const char *own[1] = { NULL };
    int words = 0;
    int r = ta_cli_parse(argc, argv, NULL, flags, own, &words, err);
    if (r == 0)
        r = ta_cli_expect_words(argv, words, 0, 0, "nothing", err);
    return r == 0 ? examine(own[0] != NULL, err) : r;
}

const ta_verb ta_verb_doctor = {
    .name = "doctor",
    .usage = "doctor [--json]",
    .summary = "Try what this machine has: CPU, GPU, encoders, engines, sandbox, with what to do",
    .run = run,
    .more = "  --json      as JSON\n"
            "Ends with 69 when something that every restoration needs is missing.\n",
};
