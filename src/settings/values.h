/* What the files of this folder share about a set of values and about parsing one. Not for other folders. */
#ifndef TA_SETTINGS_VALUES_H
#define TA_SETTINGS_VALUES_H

#include "settings/settings.h"

/* One parsed value. `text` is its canonical form; `number` serves INT, SIZE, BITRATE and TIME, `real` FLOAT, and
 * BOOL is number 0 or 1. */
typedef struct ta_value {
    char *text;
    int64_t number;
    double real;
} ta_value;

typedef struct ta_slot {
    ta_value value;
    ta_origin origin;
    bool document; /* came in a JSON document, which names every setting, so nobody chose it one by one */
    char *where;
} ta_slot;

struct ta_settings {
    ta_slot slot[TA_SET_COUNT];
};

/* Parses and checks `text` for a row. 0; TA_ERR_AGAIN; or TA_ERR_USAGE with the reason without the setting's name
 * ("99 is not within 0 to 63"). On success `out` owns its text. */
int ta_value_parse(ta_setting_id id, const char *text, ta_value *out, ta_error *err);
void ta_value_clear(ta_value *v);

/* The form of a TEXT setting: true when `text` has it. `why` is the reason when it hasn't, `replacement` (else NULL)
 * a canonical spelling to store instead, in static storage. */
typedef struct ta_form {
    char why[TA_ERROR_TEXT];
    char hint[200];
    const char *replacement;
    bool no_memory; /* why the check failed */
} ta_form;
typedef bool (*ta_form_check)(const char *text, ta_form *form);
/* The check of a TEXT row by its name, or NULL when any text will do. */
ta_form_check ta_form_of(const char *name);

/* Numbers in the C locale, whatever the host program's locale is. */
bool ta_parse_real(const char *text, double *out);
bool ta_parse_whole(const char *text, int64_t *out);
/* The shortest decimal that reads back as the same number, into 32 bytes. */
char *ta_print_real(double x, char *out);
/* Times exact to the microsecond, SIZE and BITRATE with their largest exact unit; into 32 bytes. */
char *ta_print_moment(int64_t us, char *out);
char *ta_print_bytes(int64_t bytes, char *out);
char *ta_print_rate(int64_t bits, char *out);
/* Numbers "a:b:c" into `out`; the count, or -1 when the text is something else or has more than `max`. */
int ta_parse_numbers(const char *text, double *out, int max);
/* Well-formed UTF-8 without control characters. */
bool ta_text_is_clean(const char *text);

/* Sets a slot from text; `document` as in ta_slot. Else as ta_settings_set. */
int ta_settings_put(ta_settings *s, ta_setting_id id, const char *value, ta_origin origin, const char *where,
                    bool document, ta_error *err);
/* Gives a slot its default back. */
int ta_settings_reset(ta_settings *s, ta_setting_id id, ta_error *err);
/* Fails with "unknown setting" for a name, with the nearest one; `where` may be NULL. */
int ta_fail_unknown(ta_error *err, ta_origin origin, const char *where, const char *name);

/* The words of a choice list "a|b|c": an array that ends with NULL, in one block (ta_free); NULL = no memory. */
char **ta_split(const char *list, char separator);
/* "a, b or c" of such an array (ta_free); NULL = no memory. */
char *ta_join_or(char *const *words);

/* A row's condition, taken apart. `id` -1: always. `words` are the accepted (or, when `negated`, refused) values. */
typedef struct ta_when {
    int id;
    bool negated;
    char **words;
} ta_when;
/* 0 or TA_ERR_AGAIN; free with ta_when_free. */
int ta_when_parse(const char *when, ta_when *w, ta_error *err);
void ta_when_free(ta_when *w);
/* True when the row matters for these values: its condition holds, and so does that of the setting it asks about.
 * `failed` (may be NULL) receives the row whose condition does not hold. 1, 0, or TA_ERR_AGAIN. */
int ta_when_met(const ta_settings *s, ta_setting_id id, ta_setting_id *failed, ta_error *err);
/* "engine is auto or classic" (ta_free); "" = always; NULL = no memory. */
char *ta_when_sentence(const char *when);

/* A path of ours in a user's folder by the XDG base directory specification: $VARIABLE/terminalai/NAME, else
 * ~/BELOW_HOME/terminalai/NAME (ta_free); NULL without a home. 0 or TA_ERR_AGAIN. */
int ta_user_path(char **path, const char *variable, const char *below_home, const char *name, ta_error *err);

/* Applies a preset as ta_preset_apply does, and adds its notes, one a line, to `notes` (may be NULL). */
int ta_preset_apply_noted(ta_settings *s, const char *name, ta_buf *notes, ta_error *err);

/* Contradictions between values, each refused with what to do. `notes` receives remarks, one a line. */
int ta_settings_check(ta_settings *s, ta_buf *notes, ta_error *err);

/* "--crf N", as help and manual show it; and its range, form, default and condition in words. */
void ta_setting_usage(const ta_setting_info *row, ta_buf *b);
void ta_setting_facts(const ta_setting_info *row, ta_buf *b);

#endif
