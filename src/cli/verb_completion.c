/* terminalai completion: the completion script of a shell. */
#include "cli/cli.h"

static int print(const char *shell, ta_error *err)
{
    static const char *const shells[] = { "bash", "zsh", "fish", NULL };
    bool known = false;
    for (size_t i = 0; shells[i]; i++)
        known |= ta_streq(shells[i], shell);
    if (!known) {
        const char *near = ta_nearest(shell, shells);
        ta_fail(err, TA_ERR_USAGE, "there is no completion for '%s'", shell);
        return near ? ta_hint(err, "did you mean '%s'?", near) : ta_hint(err, "give bash, zsh or fish");
    }
    const char **verbs = ta_cli_verb_names();
    char *text = verbs ? ta_settings_completion(shell, verbs) : NULL;
    ta_free(verbs);
    return ta_cli_print(text, err);
}

static int run(int argc, char **argv, ta_error *err)
{
    int words = 0;
    int r = ta_cli_parse(argc, argv, NULL, NULL, NULL, &words, err);
    if (r == 0)
        r = ta_cli_expect_words(argv, words, 1, 1, "a shell (bash, zsh or fish)", err);
    return r == 0 ? print(argv[0], err) : r;
}

const ta_verb ta_verb_completion = {
    .name = "completion",
    .usage = "completion bash|zsh|fish",
    .summary = "Print the completion script of a shell",
    .run = run,
    .more = "  bash: terminalai completion bash > ~/.local/share/bash-completion/completions/terminalai\n"
            "  zsh:  terminalai completion zsh > FOLDER_IN_FPATH/_terminalai\n"
            "  fish: terminalai completion fish > ~/.config/fish/completions/terminalai.fish\n",
};
