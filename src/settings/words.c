/* Word lists: splitting "a|b|c", and saying "a, b or c". */
#include "settings/values.h"

#include <string.h>

char **ta_split(const char *list, char separator)
{
    size_t count = 1, len = strlen(list);
    for (const char *p = list; *p; p++)
        count += *p == separator;
    char **words = ta_alloc((count + 1) * sizeof *words + len + 1);
    if (!words)
        return NULL;
    char *text = (char *)(words + count + 1);
    memcpy(text, list, len + 1);
    for (size_t i = 0; i < count; i++) {
        words[i] = text;
        text += strcspn(text, (char[]){ separator, 0 });
        *text++ = 0;
    }
    return words;
}

char *ta_join_or(char *const *words)
{
    ta_buf b = { 0 };
    for (size_t i = 0; words[i]; i++) {
        if (i)
            ta_buf_add(&b, words[i + 1] ? ", " : " or ");
        ta_buf_add(&b, words[i]);
    }
    return ta_buf_take(&b);
}
