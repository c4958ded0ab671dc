/* Parts of paths. */
#include <string.h>

#include "base/files.h"
#include "base/memory.h"

const char *ta_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

const char *ta_path_ext(const char *path)
{
    const char *base = ta_path_base(path);
    const char *dot = strrchr(base, '.');

    /* A dot in front makes a hidden file, not an extension. */
    return dot && dot != base ? dot + 1 : path + strlen(path);
}

char *ta_path_dir(const char *path)
{
    size_t n = (size_t)(ta_path_base(path) - path);

    if (!n)
        return ta_strdup(".");
    while (n > 1 && path[n - 1] == '/')
        n--;
    return ta_strndup(path, n);
}

char *ta_path_stem(const char *path)
{
    const char *base = ta_path_base(path);
    const char *ext = ta_path_ext(path);

    return *ext ? ta_strndup(base, (size_t)(ext - 1 - base)) : ta_strdup(base);
}

char *ta_path_join(const char *dir, const char *name)
{
    size_t n = strlen(dir);

    if (!n || name[0] == '/')
        return ta_strdup(name);
    return ta_format("%s%s%s", dir, dir[n - 1] == '/' ? "" : "/", name);
}
