/* Presets: the shipped ones have the figures they promise; inheritance, folders, refusals, mistakes in files. */
#include "settings_test.h"

/* The promised figures, written down a second time on purpose: NULL = the setting's default. */
typedef struct promise {
    const char *preset, *deinterlace, *denoise, *sharpen, *contrast, *brightness, *saturation, *lut, *lut_strength,
        *deblock, *head_switching;
} promise;

static const promise promises[] = {
    { "vhs_standard", "bwdif", "4:3:6:4.5", "0.4", NULL, NULL, "1.1", "vhs_restore", "0.7", NULL, NULL },
    { "vhs_clean", "bwdif", "2:1:2:3", "0.3", NULL, NULL, "1.05", "vhs_restore", "0.5", NULL, NULL },
    { "vhs_heavy", "bwdif", "8:6:12:9", "0.5", NULL, "0.02", "1.15", "vhs_restore", "0.9", NULL, "8" },
    { "dvd_interlaced", "bwdif", "2:1:2:3", "0.3", NULL, NULL, NULL, NULL, NULL, NULL, NULL },
    { "dvd_progressive", "off", "1:1:2:2", "0.25", NULL, NULL, NULL, NULL, NULL, NULL, NULL },
    { "youtube_old", "off", "3:2:4:3", "0.4", NULL, NULL, NULL, NULL, NULL, "weak", NULL },
    { "animation", NULL, "1:1:2:2", "0.2", NULL, NULL, NULL, NULL, NULL, NULL, NULL },
    { "clean", NULL, NULL, "0.15", NULL, NULL, NULL, NULL, NULL, NULL, NULL },
    { "broadcast_1080i", "bwdif", "1:1:2:2", "0.2", NULL, NULL, NULL, NULL, NULL, NULL, NULL },
    { "vhs", "bwdif", "3:2:3:2", "0.4", "1.1", "0.05", "1.05", NULL, NULL, NULL, NULL },
    { "dvd", NULL, "2:1:2:1", "0.3", NULL, NULL, NULL, NULL, NULL, NULL, NULL },
    { "webcam", "off", "4:3:4:3", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL },
    { "youtube", "off", NULL, "0.4", NULL, NULL, NULL, NULL, NULL, "weak", NULL },
};

static ta_settings *resolved(const char *preset, char **warnings)
{
    ta_error err = { 0 };
    ta_settings *s = ta_settings_new();
    set(s, "preset", preset, TA_FROM_COMMAND_LINE);
    if (ta_settings_resolve(s, warnings, &err) < 0)
        print_error("%s\n", said(&err));
    assert_int_equal(err.code, 0);
    return s;
}

static void keeps(const ta_settings *s, const char *name, const char *value)
{
    assert_value(s, name, value ? value : ta_setting((ta_setting_id)ta_setting_find(name))->def);
}

static void test_figures(void **state)
{
    for (size_t i = 0; i < TA_COUNT(promises); i++) {
        const promise *p = &promises[i];
        ta_settings *s = resolved(p->preset, NULL);
        keeps(s, "deinterlace", p->deinterlace);
        keeps(s, "denoise", p->denoise ? "hqdn3d" : "off");
        if (p->denoise)
            keeps(s, "denoise-strength", p->denoise);
        keeps(s, "sharpen", p->sharpen ? "cas" : "off");
        if (p->sharpen)
            keeps(s, "sharpen-strength", p->sharpen);
        keeps(s, "contrast", p->contrast);
        keeps(s, "brightness", p->brightness);
        keeps(s, "saturation", p->saturation);
        keeps(s, "lut", p->lut);
        if (p->lut)
            keeps(s, "lut-strength", p->lut_strength);
        keeps(s, "deblock", p->deblock);
        keeps(s, "head-switching", p->head_switching);
        keeps(s, "resolution", "1080");
        keeps(s, "encoder", "libx264");
        keeps(s, "crf", "18");
        ta_settings_free(&s);
    }
}

static void test_archive(void **state)
{
    char *warnings = NULL;
    ta_settings *s = resolved("archive", &warnings);
    assert_null(warnings);
    keeps(s, "encoder", "ffv1");
    keeps(s, "audio-codec", "flac");
    keeps(s, "container", "mkv");
    keeps(s, "resolution", "source");
    keeps(s, "deinterlace", "off");
    keeps(s, "square-pixels", "no");
    keeps(s, "bit-depth", "auto");
    ta_settings_free(&s);
}

/* Every listed preset resolves, or is refused with what to do. */
static void test_list(void **state)
{
    ta_preset_info *list;
    size_t count;
    bool refused = false;
    assert_int_equal(ta_presets_list(&list, &count, NULL), 0);
    assert_true(count >= TA_COUNT(promises) + 2);
    for (size_t i = 0; i < count; i++) {
        assert_true(i == 0 || strcmp(list[i - 1].name, list[i].name) < 0);
        assert_null(list[i].path);
        assert_non_null(list[i].title);
        refused |= list[i].refused != NULL;
        if (list[i].refused)
            continue;
        ta_settings *s = resolved(list[i].name, NULL);
        ta_settings_free(&s);
    }
    assert_true(refused);
    ta_presets_free(&list, count);
    assert_null(list);
}

static void test_auto_is_refused(void **state)
{
    ta_error err = { 0 };
    ta_settings *s = ta_settings_new();
    set(s, "preset", "auto", TA_FROM_COMMAND_LINE);
    assert_int_equal(ta_settings_resolve(s, NULL, &err), TA_ERR_UNAVAILABLE);
    assert_int_equal(err.code, TA_ERR_UNAVAILABLE);
    assert_says(&err, "vhs for tapes");
    ta_settings_free(&s);
}

static void test_notes(void **state)
{
    static const char *const presets[] = { "vhs_clean", "vhs_heavy" };
    for (size_t i = 0; i < TA_COUNT(presets); i++) {
        char *warnings = NULL;
        ta_settings *s = resolved(presets[i], &warnings);
        assert_non_null(warnings);
        assert_non_null(strstr(warnings, "QTGMC"));
        assert_non_null(strstr(warnings, "bwdif"));
        ta_settings_free_text(warnings);
        ta_settings_free(&s);
    }
}

/* What a person set wins, also from the weakest of their places; so does it over what is inherited. */
static void test_person_wins(void **state)
{
    const char *where;
    ta_settings *s = ta_settings_new();
    set(s, "sharpen-strength", "0.9", TA_FROM_SYSTEM_FILE);
    set(s, "preset", "vhs_heavy", TA_FROM_COMMAND_LINE);
    assert_int_equal(ta_settings_resolve(s, NULL, NULL), 0);
    assert_value(s, "sharpen-strength", "0.9");
    assert_value(s, "denoise-strength", "8:6:12:9");
    assert_int_equal(ta_settings_origin(s, "denoise-strength", &where), TA_FROM_PRESET);
    assert_int_equal(strncmp(where, "preset vhs_heavy:", 17), 0);
    assert_int_equal(ta_settings_origin(s, "denoise", &where), TA_FROM_PRESET);
    assert_int_equal(strncmp(where, "preset vhs_standard:", 20), 0);
    ta_settings_free(&s);
}

static void put_preset(void **state, const char *name, const char *text)
{
    char path[600];
    assert_int_equal(ta_mkdirs(in(state, "terminalai/presets"), NULL), 0);
    snprintf(path, sizeof path, "terminalai/presets/%s.yaml", name);
    put_file(in(state, path), text);
}

static void test_user_folder(void **state)
{
    put_preset(state, "mine", "title: Mine\ninherits: vhs\nsettings:\n  crf: 16\n");
    ta_settings *s = resolved("mine", NULL);
    assert_value(s, "crf", "16");
    assert_value(s, "denoise-strength", "3:2:3:2");
    ta_settings_free(&s);
    assert_int_equal(ta_mkdirs(in(state, "data/presets"), NULL), 0);
    put_file(in(state, "data/presets/mine.yaml"), "settings: { crf: 15 }\n");
    setenv("TERMINALAI_DATA", in(state, "data"), 1);
    s = resolved("mine", NULL);
    assert_value(s, "crf", "15");
    ta_settings_free(&s);
    put_file(in(state, "a path.yaml"), "settings:\n  crf: 14\n");
    s = resolved(in(state, "a path.yaml"), NULL);
    assert_value(s, "crf", "14");
    ta_settings_free(&s);
}

static void test_user_replaces_shipped(void **state)
{
    ta_preset_info *list;
    size_t count, at = 0;
    put_preset(state, "vhs", "settings:\n  crf: 12\n");
    ta_settings *s = resolved("vhs", NULL);
    assert_value(s, "crf", "12");
    assert_value(s, "denoise", "off");
    ta_settings_free(&s);
    assert_int_equal(ta_presets_list(&list, &count, NULL), 0);
    while (at < count && strcmp(list[at].name, "vhs"))
        at++;
    assert_true(at < count);
    assert_non_null(list[at].path);
    ta_presets_free(&list, count);
}

static void assert_preset_refused(const char *name, int code, const char *words)
{
    ta_error err = { 0 };
    ta_settings *s = ta_settings_new();
    assert_int_equal(ta_preset_apply(s, name, &err), code);
    assert_int_equal(err.code, code);
    assert_says(&err, words);
    ta_settings_free(&s);
}

static void test_mistakes(void **state)
{
    put_preset(state, "a", "inherits: b\n");
    put_preset(state, "b", "inherits: c\n");
    put_preset(state, "c", "inherits: a\n");
    assert_preset_refused("a", TA_ERR_CONFIG, "inherits itself");
    put_preset(state, "self", "inherits: self\n");
    assert_preset_refused("self", TA_ERR_CONFIG, "inherits itself");
    put_preset(state, "orphan", "inherits: vhs_standart\n");
    assert_preset_refused("orphan", TA_ERR_CONFIG, "did you mean 'vhs_standard'?");
    put_preset(state, "runs", "settings:\n  threads: 4\n");
    assert_preset_refused("runs", TA_ERR_CONFIG, "runs.yaml:2: threads says how the program runs");
    put_preset(state, "nested", "settings:\n  preset: vhs\n");
    assert_preset_refused("nested", TA_ERR_CONFIG, "inherits:");
    put_preset(state, "loose", "crf: 20\n");
    assert_preset_refused("loose", TA_ERR_CONFIG, "under 'settings:'");
    put_preset(state, "typo", "tilte: x\n");
    assert_preset_refused("typo", TA_ERR_CONFIG, "did you mean 'title'?");
    put_preset(state, "named", "name: other\n");
    assert_preset_refused("named", TA_ERR_CONFIG, "calls itself 'other'");
    put_preset(state, "range", "settings:\n  crf: 99\n");
    assert_preset_refused("range", TA_ERR_CONFIG, "range.yaml:2: crf: 99");
    assert_preset_refused("vsh", TA_ERR_USAGE, "did you mean 'vhs'?");
    assert_preset_refused("./absent.yaml", TA_ERR_NOINPUT, "absent.yaml");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(test_figures),     SETTINGS_TEST(test_archive),
        SETTINGS_TEST(test_list),        SETTINGS_TEST(test_auto_is_refused),
        SETTINGS_TEST(test_notes),       SETTINGS_TEST(test_person_wins),
        SETTINGS_TEST(test_user_folder), SETTINGS_TEST(test_user_replaces_shipped),
        SETTINGS_TEST(test_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
