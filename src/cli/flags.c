/* The command line behind a verb: settings by their table, the verb's own flags, and the words between them. */
#include "cli/cli.h"

#include <string.h>

typedef struct reader {
    char **argv;
    int argc, at, words;
    ta_settings *s;
    const char *const *own;
    const char **own_value;
    ta_error *err;
} reader;

/* One entry of `own`, "name[,letter][=]", taken apart. */
typedef struct own_flag {
    size_t name_length;
    char letter;
    bool takes_value;
} own_flag;

static own_flag read_own(const char *entry)
{
    own_flag f = { .name_length = strcspn(entry, ",="), .takes_value = ta_ends(entry, "=") };
    if (entry[f.name_length] == ',')
        f.letter = entry[f.name_length + 1];
    return f;
}

static int find_own(const reader *r, const char *name, size_t length, char letter)
{
    for (int i = 0; r->own && r->own[i]; i++) {
        own_flag f = read_own(r->own[i]);
        if (letter ? f.letter == letter : f.name_length == length && !strncmp(r->own[i], name, length))
            return i;
    }
    return -1;
}

/* The value of a flag: behind '=', or the next word. `free_form` values may begin with "--". */
static int take_value(reader *r, const char *flag, const char *joined, bool free_form, const char **value)
{
    const char *next = r->at + 1 < r->argc ? r->argv[r->at + 1] : NULL;
    if (joined) {
        *value = joined;
        return 0;
    }
    if (!next || (!free_form && ta_starts(next, "--"))) {
        ta_fail(r->err, TA_ERR_USAGE, "%s needs a value", flag);
        return ta_hint(r->err, "write %s VALUE or %s=VALUE", flag, flag);
    }
    r->at++;
    *value = next;
    return 0;
}

static int set_own(reader *r, int i, const char *flag, const char *joined)
{
    if (read_own(r->own[i]).takes_value)
        return take_value(r, flag, joined, true, &r->own_value[i]);
    if (joined)
        return ta_fail(r->err, TA_ERR_USAGE, "%s takes no value", flag);
    r->own_value[i] = "";
    return 0;
}

static int set_setting(reader *r, int id, const char *flag, const char *joined)
{
    const ta_setting_info *row = ta_setting((ta_setting_id)id);
    const char *value = joined ? joined : "yes";
    if (row->type != TA_TYPE_BOOL) {
        int code = take_value(r, flag, joined, row->type == TA_TYPE_PATH, &value);
        if (code < 0)
            return code;
    }
    return ta_settings_set(r->s, row->name, value, TA_FROM_COMMAND_LINE, flag, r->err);
}

/* "--no-NAME" of a BOOL. */
static int find_negated(const char *name)
{
    int id = ta_starts(name, "no-") ? ta_setting_find(name + 3) : -1;
    return id >= 0 && ta_setting((ta_setting_id)id)->type == TA_TYPE_BOOL ? id : -1;
}

/* All flags' names, without dashes, for the nearest one. */
static const char **all_names(const reader *r, ta_buf *text)
{
    const char *const *names = ta_setting_names();
    size_t n = 0, own = 0, settings = r->s ? (size_t)TA_SET_COUNT : 0;
    while (r->own && r->own[own])
        own++;
    const char **all = ta_array(own + settings + 2, sizeof *all);
    size_t *offset = ta_array(own + 1, sizeof *offset);
    for (size_t i = 0; all && offset && i < own; i++) {
        offset[i] = text->len;
        ta_buf_addn(text, r->own[i], strcspn(r->own[i], ",="));
        ta_buf_addn(text, "", 1);
    }
    if (!all || !offset || text->failed) {
        ta_free(offset);
        ta_free(all);
        return NULL;
    }
    for (; n < own; n++)
        all[n] = text->data + offset[n];
    for (size_t i = 0; i < settings; i++)
        all[n++] = names[i];
    all[n] = "help";
    ta_free(offset);
    return all;
}

static int fail_flag(reader *r, const char *flag)
{
    const char *name = flag + strspn(flag, "-");
    bool negated = ta_starts(name, "no-");
    ta_buf text = { 0 };
    const char **all = all_names(r, &text);
    const char *near = all ? ta_nearest(name, all) : NULL;
    const char *near_negated = all && negated && !near ? ta_nearest(name + 3, all) : NULL;
    ta_fail(r->err, TA_ERR_USAGE, "there is no flag '%s'", flag);
    if (near)
        ta_hint(r->err, "did you mean --%s?", near);
    else if (near_negated && ta_setting_find(near_negated) >= 0 &&
             ta_setting((ta_setting_id)ta_setting_find(near_negated))->type == TA_TYPE_BOOL)
        ta_hint(r->err, "did you mean --no-%s?", near_negated);
    else if (near_negated)
        ta_hint(r->err, "--%s takes a value", near_negated);
    else
        ta_hint(r->err, "--help lists the flags");
    ta_free(all);
    ta_buf_free(&text);
    return TA_ERR_USAGE;
}

/* Cuts "--name=value" apart: `flag` becomes "--name" in `name` (which has `size` bytes). */
static const char *cut_flag(const char *word, char *name, size_t size)
{
    size_t length = strcspn(word, "=");
    size_t copied = TA_MIN(length, size - 1);
    memcpy(name, word, copied);
    name[copied] = 0;
    return word[length] ? word + length + 1 : NULL;
}

static int read_long(reader *r, const char *word)
{
    char flag[128];
    const char *joined = cut_flag(word, flag, sizeof flag);
    const char *name = flag + 2;
    int own = find_own(r, name, strlen(name), 0);
    if (own >= 0)
        return set_own(r, own, flag, joined);
    if (!strcmp(name, "help"))
        return 0;
    int id = r->s ? ta_setting_find(name) : -1;
    if (id >= 0)
        return set_setting(r, id, flag, joined);
    id = r->s && !joined ? find_negated(name) : -1;
    if (id >= 0)
        return ta_settings_set(r->s, name + 3, "no", TA_FROM_COMMAND_LINE, flag, r->err);
    return fail_flag(r, flag);
}

static int read_short(reader *r, const char *word)
{
    char flag[3] = { '-', word[1], 0 };
    int own = find_own(r, NULL, 0, word[1]);
    if (own < 0)
        return !strcmp(word, "-h") ? 0 : fail_flag(r, word);
    return set_own(r, own, flag, word[2] ? word + 2 + (word[2] == '=') : NULL);
}

static int read_word(reader *r, bool *only_words)
{
    char *word = r->argv[r->at];
    if (*only_words || *word != '-' || !word[1]) {
        r->argv[r->words++] = word;
        return 0;
    }
    if (!strcmp(word, "--")) {
        *only_words = true;
        return 0;
    }
    return word[1] == '-' ? read_long(r, word) : read_short(r, word);
}

int ta_cli_parse(int argc, char **argv, ta_settings *s, const char *const *own, const char **own_value, int *words,
                 ta_error *err)
{
    reader r = { .argv = argv, .argc = argc, .s = s, .own = own, .own_value = own_value, .err = err };
    bool only_words = false;
    int code = 0;
    for (int i = 0; own && own[i]; i++)
        own_value[i] = NULL;
    for (; code == 0 && r.at < argc; r.at++)
        code = read_word(&r, &only_words);
    *words = r.words;
    return code;
}

int ta_cli_expect_words(char **argv, int words, int min, int max, const char *what, ta_error *err)
{
    if (words < min)
        return ta_fail(err, TA_ERR_USAGE, "%s is missing", what);
    if (words > max)
        return ta_fail(err, TA_ERR_USAGE, "'%s' is one word too many", argv[max]);
    return 0;
}
