/* terminalai models: the catalogue, and the store of what was fetched or brought. */
#include "cli/cli.h"
#include "net/net.h"
#include "neural/neural.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OWN_JSON, OWN_NAME, OWN_TASK, OWN_SCALE, OWN_SHA256, OWN_COUNT };
static const char *const flags[] = { "json", "name=", "task=", "scale=", "sha256=", NULL };
enum { MAX_URLS = 16 };

typedef struct request {
    const ta_catalogue *catalogue;
    char **words; /* behind the action */
    int count;
    const char *own[OWN_COUNT];
} request;

static const char *state_name(ta_model_state s)
{
    static const char *const names[] = { "missing", "installed", "damaged" };
    return names[s];
}

static const char *or_none(const char *text)
{
    return text ? text : "";
}

/* ---- list, info ----------------------------------------------------------------------------------------------- */

static json_t *file_json(const ta_model_file *f)
{
    return json_pack("{s:s, s:s?, s:s?}", "name", f->name, "sha256", f->sha256, "url", f->url);
}

static json_t *model_json(const ta_model *m, ta_model_state state)
{
    json_t *files = json_array();
    for (size_t i = 0; i < m->file_count; i++)
        json_array_append_new(files, file_json(&m->files[i]));
    return json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:s?, s:s?, s:s?, s:I, s:s, s:s, s:i, s:s, s:s?, s:o}",
                     "name", m->name, "title", or_none(m->title), "task", m->task, "state", state_name(state), "scale",
                     m->scale, "licence", m->licence, "licence_note", or_none(m->licence_note), "package", m->package,
                     "version", m->version, "path", m->path, "size", (json_int_t)m->size, "input", or_none(m->input),
                     "layout", or_none(m->layout), "padding", m->padding, "notes", or_none(m->notes), "origin",
                     m->origin, "files", files);
}

static int print_json(json_t *value, ta_error *err)
{
    if (!value)
        return ta_no_memory(err);
    json_dumpf(value, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(value);
    return 0;
}

static int list(const request *q, ta_error *err)
{
    json_t *all = q->own[OWN_JSON] ? json_array() : NULL;
    int r = 0;
    for (size_t i = 0; r == 0 && i < q->catalogue->count; i++) {
        const ta_model *m = &q->catalogue->models[i];
        ta_model_state state;
        r = ta_model_check(m, false, &state, NULL, NULL, err);
        if (r == 0 && all)
            json_array_append_new(all, model_json(m, state));
        else if (r == 0)
            printf("%-26s %-10s %-10s %s\n", m->name, m->task, state_name(state), or_none(m->title));
    }
    if (r == 0 && q->own[OWN_JSON])
        return print_json(all, err);
    json_decref(all);
    return r;
}

static void print_line(const char *what, const char *text)
{
    if (text)
        printf("%-10s %s\n", what, text);
}

static void print_way(const ta_model *m)
{
    char size[24];
    if (m->package)
        printf("%-10s %s %s %s, %s\n", "from", m->client, m->package, m->version, ta_print_size(m->size, size));
    print_line("from", m->path);
    for (size_t i = 0; i < m->file_count && m->files[i].url; i++)
        print_line("from", m->files[i].url);
    if (m->source)
        printf("%-10s %s, then `terminalai models import %s --name %s`\n", "from", m->source, m->files[0].name,
               m->name);
}

static void print_licence(const ta_model *m)
{
    printf("%-10s %s%s%s\n", "licence", m->licence, m->licence_note ? ", " : "", or_none(m->licence_note));
}

static void print_info(const ta_model *m, ta_model_state state, const char *fault)
{
    printf("%s: %s\n", m->name, or_none(m->title));
    printf("%-10s %s%s%s\n", "state", state_name(state), *fault ? ": " : "", fault);
    print_line("task", m->task);
    if (m->scale)
        printf("%-10s %d\n", "scale", m->scale);
    print_licence(m);
    print_way(m);
    print_line("input", m->input);
    print_line("layout", m->layout);
    if (m->padding)
        printf("%-10s %d pixels\n", "padding", m->padding);
    print_line("notes", m->notes);
    print_line("entry", m->origin);
    for (size_t i = 0; i < m->file_count; i++)
        printf("%-10s %s %s\n", i ? "" : "files", m->files[i].name, or_none(m->files[i].sha256));
}

static int info(const request *q, ta_error *err)
{
    const ta_model *m;
    ta_model_state state;
    char fault[TA_ERROR_TEXT];
    int r = ta_catalogue_find(q->catalogue, q->words[0], &m, err);
    if (r == 0)
        r = ta_model_check(m, true, &state, fault, ta_cli_cancel(), err);
    if (r == 0 && q->own[OWN_JSON])
        return print_json(model_json(m, state), err);
    if (r == 0)
        print_info(m, state, fault);
    return r;
}

/* ---- New models -----------------------------------------------------------------------------------------------------
 */

static const ta_model *in_catalogue(const ta_catalogue *c, const char *name)
{
    for (size_t i = 0; i < c->count; i++)
        if (!strcmp(c->models[i].name, name))
            return &c->models[i];
    return NULL;
}

/* What a model that no entry names is, by --task and --scale. */
static int describe_new(const request *q, const char *name, int *scale, ta_error *err)
{
    static const char *const tasks[] = { "upscale", "face", "speech", "bandwidth", "stems", NULL };
    const char *task = q->own[OWN_TASK], *text = q->own[OWN_SCALE];
    bool known = false;
    for (size_t i = 0; task && tasks[i]; i++)
        known |= !strcmp(task, tasks[i]);
    if (!known) {
        ta_fail(err, TA_ERR_USAGE,
                "'%s' is not in the catalogue, so --task is needed: upscale, face, speech, bandwidth or "
                "stems",
                name);
        return ta_hint(err, "or give the name of an entry by --name; `terminalai models list` lists them");
    }
    char *end = NULL;
    long number = text ? strtol(text, &end, 10) : 0;
    if (text && (!*text || *end || number < 1 || number > 8))
        return ta_fail(err, TA_ERR_USAGE, "--scale is a whole number from 1 to 8, not '%s'", text);
    if (!strcmp(task, "upscale") && !text)
        return ta_fail(err, TA_ERR_USAGE, "an upscaler needs --scale: how much larger its pictures get");
    *scale = (int)number;
    return 0;
}

/* ---- install from the web -------------------------------------------------------------------------------------- */

/* --sha256 A,B as a list in place; `text` is cut into it. */
static int split_digests(char *text, const char **digests, int count, ta_error *err)
{
    int n = 0;
    for (char *rest = text, *one; (one = strsep(&rest, ",")); n++)
        if (n < count)
            digests[n] = one;
    return n == count ? 0 : ta_fail(err, TA_ERR_USAGE, "--sha256 has %d digests for %d addresses", n, count);
}

static int install_as(const request *q, const char *name, ta_error *err)
{
    const char *digests[MAX_URLS] = { NULL };
    char *list = ta_strdup(q->own[OWN_SHA256]);
    int scale, r = q->own[OWN_SHA256] && !list ? ta_no_memory(err) : 0;
    if (r == 0 && in_catalogue(q->catalogue, name)) {
        ta_fail(err, TA_ERR_USAGE, "'%s' is in the catalogue already", name);
        r = ta_hint(err, "`terminalai models install %s` gets it; or give another name by --name", name);
    }
    if (r == 0)
        r = describe_new(q, name, &scale, err);
    if (r == 0 && list)
        r = split_digests(list, digests, q->count, err);
    if (r == 0)
        r = ta_model_install_urls(name, q->own[OWN_TASK], scale, (const char *const *)q->words, digests,
                                  (size_t)q->count, ta_cli_cancel(), err);
    ta_free(list);
    if (r == 0)
        printf("%s installed\n", name);
    if (r == 0 && !q->own[OWN_SHA256])
        printf(
            "No --sha256 was given: the files are taken as they came; `terminalai models info %s` has their digests\n",
            name);
    return r;
}

static int install_urls(const request *q, ta_error *err)
{
    if (q->count > MAX_URLS)
        return ta_fail(err, TA_ERR_USAGE, "a model has at most %d files", MAX_URLS);
    for (int i = 0; i < q->count; i++)
        if (!ta_is_url(q->words[i]))
            return ta_fail(err, TA_ERR_USAGE, "'%s' is no address, and the others are: give names or addresses alone",
                           q->words[i]);
    char *file = ta_url_file(q->words[0]);
    char *name = q->own[OWN_NAME] ? ta_strdup(q->own[OWN_NAME]) : file ? ta_path_stem(file) : NULL;
    int r = name ? install_as(q, name, err) : ta_no_memory(err);
    ta_free(name);
    ta_free(file);
    return r;
}

/* ---- install, verify, remove ---------------------------------------------------------------------------------- */

static int install_one(const ta_model *m, ta_error *err)
{
    ta_model_state state;
    int r = ta_model_check(m, true, &state, NULL, ta_cli_cancel(), err);
    if (r < 0)
        return r;
    if (state == TA_MODEL_INSTALLED) {
        printf("%s is installed\n", m->name);
        return 0;
    }
    printf("%s: %s\n", m->name, or_none(m->title));
    print_licence(m);
    print_way(m);
    fflush(stdout);
    r = ta_model_install(m, ta_cli_cancel(), err);
    if (r == 0)
        printf("installed\n");
    return r;
}

static int install(const request *q, ta_error *err)
{
    int r = 0;
    for (int i = 0; i < q->count; i++)
        if (ta_is_url(q->words[i]))
            return install_urls(q, err);
    if (q->own[OWN_NAME] || q->own[OWN_TASK] || q->own[OWN_SCALE] || q->own[OWN_SHA256])
        return ta_fail(err, TA_ERR_USAGE,
                       "--name, --task, --scale and --sha256 go with an address; the catalogue says "
                       "what its models are");
    for (int i = 0; r == 0 && i < q->count; i++) {
        const ta_model *m;
        r = ta_catalogue_find(q->catalogue, q->words[i], &m, err);
        if (r == 0)
            r = install_one(m, err);
    }
    return r;
}

/* 1: as it should be, 0: not, or missing although it was asked for by name. */
static int verify_one(const ta_model *m, bool named, ta_error *err)
{
    ta_model_state state;
    char fault[TA_ERROR_TEXT];
    int r = ta_model_check(m, true, &state, fault, ta_cli_cancel(), err);
    if (r < 0)
        return r;
    if (named || state != TA_MODEL_MISSING)
        printf("%-26s %s%s%s\n", m->name, state_name(state), *fault ? ": " : "", fault);
    if (state == TA_MODEL_INSTALLED || (state == TA_MODEL_MISSING && !named))
        return 1;
    if (state == TA_MODEL_MISSING)
        ta_fail(err, TA_ERR_UNAVAILABLE, "the model %s is not installed", m->name);
    else
        ta_fail(err, TA_ERR_DATA, "the model %s is damaged: %s", m->name, fault);
    ta_hint(err, "`terminalai models %s %s` puts it in order", m->source ? "import FILE --name" : "install", m->name);
    return 0;
}

static int verify(const request *q, ta_error *err)
{
    int wrong = 0, r = 1;
    for (size_t i = 0; r >= 0 && i < q->catalogue->count; i++) {
        const ta_model *m = &q->catalogue->models[i];
        if (!q->count || !strcmp(m->name, q->words[0])) {
            r = verify_one(m, q->count > 0, err);
            wrong += r == 0;
        }
    }
    return r < 0 ? r : wrong ? (int)err->code : 0;
}

static int verify_named(const request *q, ta_error *err)
{
    const ta_model *m;
    int r = q->count ? ta_catalogue_find(q->catalogue, q->words[0], &m, err) : 0;
    return r < 0 ? r : verify(q, err);
}

static int remove_one(const request *q, ta_error *err)
{
    const ta_model *m;
    int r = ta_catalogue_find(q->catalogue, q->words[0], &m, err);
    return r < 0 ? r : ta_model_remove(m, err);
}

/* ---- import --------------------------------------------------------------------------------------------------- */

static int import_new(const request *q, const char *name, ta_error *err)
{
    int scale, r = describe_new(q, name, &scale, err);
    return r < 0 ? r
                 : ta_model_import_new(name, q->own[OWN_TASK], scale, (const char *const *)q->words, (size_t)q->count,
                                       ta_cli_cancel(), err);
}

static int import(const request *q, ta_error *err)
{
    char *stem = q->own[OWN_NAME] ? ta_strdup(q->own[OWN_NAME]) : ta_path_stem(q->words[0]);
    if (!stem)
        return ta_no_memory(err);
    const ta_model *m = in_catalogue(q->catalogue, stem);
    int r = 0;
    if (!m)
        r = import_new(q, stem, err);
    else if (q->own[OWN_TASK] || q->own[OWN_SCALE])
        r = ta_fail(err, TA_ERR_USAGE, "'%s' is in the catalogue, which says its task and scale", stem);
    else
        r = ta_model_import(m, (const char *const *)q->words, (size_t)q->count, ta_cli_cancel(), err);
    if (r == 0)
        printf("%s imported\n", stem);
    ta_free(stem);
    return r;
}

/* ---- The verb ------------------------------------------------------------------------------------------------- */

static const struct action {
    const char *name;
    int least, most;
    int (*run)(const request *q, ta_error *err);
    const char *what;
} actions[] = {
    { "list", 0, 0, list, "nothing" },
    { "info", 1, 1, info, "a model's name" },
    { "install", 1, 100, install, "a model's name or address" },
    { "verify", 0, 1, verify_named, "a model's name" },
    { "remove", 1, 1, remove_one, "a model's name" },
    { "import", 1, 16, import, "a file" },
};

static const struct action *find_action(const char *name, ta_error *err)
{
    const char *names[TA_COUNT(actions) + 1] = { NULL };
    for (size_t i = 0; i < TA_COUNT(actions); i++) {
        names[i] = actions[i].name;
        if (!strcmp(name, names[i]))
            return &actions[i];
    }
    const char *near = ta_nearest(name, names);
    ta_fail(err, TA_ERR_USAGE, "models can't '%s'", name);
    if (near)
        ta_hint(err, "did you mean '%s'?", near);
    else
        ta_hint(err, "it can list, info, install, verify, remove and import");
    return NULL;
}

static int check_flags(const struct action *a, const request *q, ta_error *err)
{
    bool shows = a->run == list || a->run == info;
    if (q->own[OWN_JSON] && !shows)
        return ta_fail(err, TA_ERR_USAGE, "--json goes with list and info");
    if ((q->own[OWN_NAME] || q->own[OWN_TASK] || q->own[OWN_SCALE]) && a->run != import && a->run != install)
        return ta_fail(err, TA_ERR_USAGE, "--name, --task and --scale go with import and install");
    if (q->own[OWN_SHA256] && a->run != install)
        return ta_fail(err, TA_ERR_USAGE, "--sha256 goes with install");
    return 0;
}

static int run(int argc, char **argv, ta_error *err)
{
    request q = { 0 };
    int words = 0;
    int r = ta_cli_parse(argc, argv, NULL, flags, q.own, &words, err);
    if (r < 0)
        return r;
    const struct action *a = words ? find_action(argv[0], err) : &actions[0];
    if (!a)
        return TA_ERR_USAGE;
    q.words = argv + TA_MIN(words, 1);
    q.count = words - TA_MIN(words, 1);
    r = ta_cli_expect_words(q.words, q.count, a->least, a->most, a->what, err);
    if (r == 0)
        r = check_flags(a, &q, err);
    ta_catalogue *c = NULL;
    if (r == 0)
        r = ta_catalogue_open(&c, err);
    if (r < 0)
        return r;
    ta_cli_catch_signals();
    q.catalogue = c;
    r = a->run(&q, err);
    ta_catalogue_free(&c);
    return r;
}

const ta_verb ta_verb_models = {
    .name = "models",
    .usage = "models [list | info NAME | install NAME|URL ... | verify [NAME] | remove NAME | import FILE ...]",
    .summary = "Neural models and their engine: list, get, check and remove them",
    .run = run,
    .more = "  --json      list, info: as JSON\n"
            "  --name NAME import, install URL: the model's name; the first file's without its ending by default\n"
            "  --task TASK import, install URL: upscale, face, speech, bandwidth or stems, for a model that the\n"
            "              catalogue lacks\n"
            "  --scale N   import, install URL: how much larger an upscaler's pictures get\n"
            "  --sha256 HEX[,HEX] install URL: the digest of each file, which plain http needs\n"
            "Models are kept in the user's data folder and checked by SHA-256; install shows the licence first.\n"
            "A download that was cut goes on where it was when the same command is given again.\n"
            "Entries of your own: $XDG_CONFIG_HOME/terminalai/models.yaml.\n",
};
