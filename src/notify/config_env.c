/* Channels of the environment: one of a kind, named as the kind. TERMINALAI_NOTIFY_DISCORD_URL alone makes a channel;
 * TERMINALAI_NOTIFY_KIND_FIELD gives each further field. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notify/internal.h"

#define PREFIX "TERMINALAI_NOTIFY_"

extern char **environ;

/* "ca-file" -> "CA_FILE" */
static void add_upper(char *out, size_t room, const char *name)
{
    size_t at = strlen(out);
    for (; *name && at + 1 < room; name++)
        out[at++] = *name == '-' ? '_' : (char)toupper((unsigned char)*name);
    out[at] = '\0';
}

static const char *variable(const ta_channel_kind *kind, int field, char *name, size_t room)
{
    snprintf(name, room, PREFIX);
    add_upper(name, room, kind->name);
    if (field >= 0) {
        snprintf(name + strlen(name), room - strlen(name), "_");
        add_upper(name, room, ta_field_name((ta_field)field));
    }
    return getenv(name);
}

static int fill(ta_channel *c, ta_error *err)
{
    char name[64];
    c->where = ta_strdup("the environment");
    if (!c->where)
        return ta_no_memory(err);
    for (int f = 0; f < TA_FIELD_COUNT; f++) {
        if (!variable(c->kind, f, name, sizeof name))
            continue;
        c->from_outside[f] = f != TA_FIELD_TITLE && f != TA_FIELD_TEXT && f != TA_FIELD_EVENTS;
        int r = ta_secret_variable(name, &c->value[f], err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* A variable with our prefix that means nothing is a slip of the pen. */
static int check_names(ta_error *err)
{
    char name[64];
    for (char **e = environ; e && *e; e++) {
        bool known = !ta_starts(*e, PREFIX);
        for (const ta_channel_kind *k = ta_notify_kinds; !known && k->name; k++)
            for (int f = -1; !known && f < TA_FIELD_COUNT; f++) {
                variable(k, f, name, sizeof name);
                size_t n = strlen(name);
                bool fits = f < 0 ? k->protocol == TA_PROTOCOL_DESKTOP : (k->fields & 1u << f) != 0;
                known = fits && !strncmp(*e, name, n) && (*e)[n] == '=';
            }
        if (!known) {
            ta_fail(err, TA_ERR_CONFIG, "%.*s is no variable of notifications", (int)strcspn(*e, "="), *e);
            return ta_hint(err, "they are " PREFIX "KIND_FIELD, such as " PREFIX "DISCORD_URL");
        }
    }
    return 0;
}

static bool is_wanted(const ta_channel_kind *k)
{
    char name[64];
    const char *desktop = k->protocol == TA_PROTOCOL_DESKTOP ? variable(k, -1, name, sizeof name) : NULL;
    for (int f = 0; f < TA_FIELD_COUNT; f++)
        if ((k->needed & 1u << f) && variable(k, f, name, sizeof name))
            return true;
    return desktop && (!strcmp(desktop, "yes") || !strcmp(desktop, "1"));
}

int ta_config_read_environment(ta_notify_config *c, ta_error *err)
{
    int r = check_names(err);
    for (const ta_channel_kind *k = ta_notify_kinds; r == 0 && k->name; k++) {
        if (!is_wanted(k))
            continue;
        ta_channel *fresh = ta_config_add(c);
        if (!fresh)
            return ta_no_memory(err);
        fresh->kind = k;
        r = fill(fresh, err);
    }
    return r;
}
