/* terminalai presets: which there are, and what one comes to. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static const char *const flags[] = { "names", NULL };

static void print_preset(const ta_preset_info *p)
{
    printf("%-16s %s", p->name, p->title ? p->title : "");
    if (p->path)
        printf(" [%s]", p->path);
    if (p->refused)
        printf(" (%s)", p->refused);
    else if (p->note)
        printf(" (%s)", p->note);
    printf("\n");
}

static int list(bool names_only, ta_error *err)
{
    ta_preset_info *presets = NULL;
    size_t count = 0;
    int r = ta_presets_list(&presets, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (!names_only)
            print_preset(&presets[i]);
        else if (!presets[i].refused)
            printf("%s\n", presets[i].name);
    }
    ta_presets_free(&presets, count);
    return r;
}

static int show(const char *name, ta_error *err)
{
    ta_settings *s = ta_settings_new();
    int r = s ? ta_preset_apply(s, name, err) : ta_no_memory(err);
    if (r == 0) {
        printf("# %s with all that it inherits\n", name);
        r = ta_cli_print(ta_settings_yaml(s, false, TA_FROM_PRESET), err);
    }
    ta_settings_free(&s);
    return r;
}

static int fail_word(const char *word, ta_error *err)
{
    ta_fail(err, TA_ERR_USAGE, "presets can't '%s'", word);
    return ta_hint(err, "write `terminalai presets list` or `terminalai presets show NAME`");
}

static int run(int argc, char **argv, ta_error *err)
{
    const char *own[1] = { NULL };
    int words = 0;
    int r = ta_cli_parse(argc, argv, NULL, flags, own, &words, err);
    bool shows = r == 0 && words > 0 && !strcmp(argv[0], "show");
    if (r == 0 && words && !shows && strcmp(argv[0], "list"))
        return fail_word(argv[0], err);
    if (r == 0)
        r = ta_cli_expect_words(argv, words, shows ? 2 : 0, shows ? 2 : 1, "a preset's name", err);
    if (r < 0)
        return r;
    return shows ? show(argv[1], err) : list(own[0] != NULL, err);
}

const ta_verb ta_verb_presets = {
    .name = "presets",
    .usage = "presets [list [--names] | show NAME|FILE.yaml]",
    .summary = "List the presets, or show what one comes to",
    .run = run,
    .more = "  --names     names alone, of those that can be used\n",
};
