/* The store of models: a folder each in the user's data folder, filled in a staging folder beside it and put in place
 * by a rename, so that a model is there as a whole or not at all. SHA256SUMS in it holds what was put there, in the
 * form of sha256sum(1). */
#include "neural/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/net.h"

enum { MAX_SUMS = 1 << 16, DIGEST = 64, CHUNK = 1 << 20 };
static const char sums_name[] = "SHA256SUMS";

int ta_store_folder(const char *kind, char **folder, ta_error *err)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    bool xdg = data && *data == '/';
    *folder = NULL;
    if (!xdg && (!home || !*home)) {
        ta_fail(err, TA_ERR_UNAVAILABLE, "there is no folder for models: neither HOME nor XDG_DATA_HOME is set");
        return ta_hint(err, "set XDG_DATA_HOME to a folder");
    }
    *folder = xdg ? ta_format("%s/terminalai/%s", data, kind) : ta_format("%s/.local/share/terminalai/%s", home, kind);
    return *folder ? 0 : ta_no_memory(err);
}

static int store_of(const ta_model *m, char **store, ta_error *err)
{
    return ta_store_folder(strcmp(m->task, "engine") ? "models" : "engines", store, err);
}

int ta_model_folder(const ta_model *m, char **folder, ta_error *err)
{
    char *store;
    *folder = NULL;
    int r = store_of(m, &store, err);
    if (r < 0)
        return r;
    *folder = ta_path_join(store, m->name);
    ta_free(store);
    return *folder ? 0 : ta_no_memory(err);
}

/* ---- Checking ------------------------------------------------------------------------------------------------- */

/* The digest that the file should have: the catalogue's, else what was noted at import; "" when none is known. */
static int expected(const ta_model_file *f, const char *folder, char hex[DIGEST + 1], ta_error *err)
{
    char *sums = NULL, *path;
    size_t size;
    snprintf(hex, DIGEST + 1, "%s", f->sha256 ? f->sha256 : "");
    if (*hex)
        return 0;
    path = ta_path_join(folder, sums_name);
    int r = path ? ta_read_file(path, MAX_SUMS, &sums, &size, NULL) : ta_no_memory(err);
    for (const char *line = r == 0 ? sums : NULL; line && *line;
         line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        if (strlen(line) > DIGEST + 2 && strcspn(line + DIGEST + 2, "\n") == strlen(f->name) &&
            ta_starts(line + DIGEST + 2, f->name))
            snprintf(hex, DIGEST + 1, "%.64s", line);
    ta_free(sums);
    ta_free(path);
    return r == TA_ERR_AGAIN ? r : 0;
}

/* 1: as it should be, 0: not, with the fault. */
static int check_file(const ta_model_file *f, const char *folder, bool thorough, char *fault, const ta_cancel *cancel,
                      ta_error *err)
{
    char want[DIGEST + 1], have[DIGEST + 1], *path = ta_path_join(folder, f->name);
    int r = path ? 0 : ta_no_memory(err);
    bool right = r == 0 && !access(path, R_OK);
    if (r == 0 && !right)
        snprintf(fault, TA_ERROR_TEXT, "%s is missing", f->name);
    if (right && thorough) {
        r = expected(f, folder, want, err);
        if (r == 0)
            r = ta_sha256_file(path, have, cancel, err);
        right = r == 0 && !strcmp(want, have);
        if (r == 0 && !right)
            snprintf(fault, TA_ERROR_TEXT, "%s is damaged: its SHA-256 is %.12s..., not %.12s...", f->name, have,
                     *want ? want : "known");
    }
    ta_free(path);
    return r < 0 ? r : right;
}

int ta_model_check(const ta_model *m, bool thorough, ta_model_state *state, char *fault, const ta_cancel *cancel,
                   ta_error *err)
{
    char *folder, text[TA_ERROR_TEXT] = "";
    *state = TA_MODEL_MISSING;
    int r = ta_model_folder(m, &folder, err);
    if (r < 0)
        return r;
    bool there = ta_is_dir(folder);
    r = 1;
    for (size_t i = 0; there && r == 1 && i < m->file_count; i++)
        r = check_file(&m->files[i], folder, thorough, text, cancel, err);
    if (there)
        *state = r == 1 ? TA_MODEL_INSTALLED : TA_MODEL_DAMAGED;
    if (fault)
        snprintf(fault, TA_ERROR_TEXT, "%s", text);
    ta_free(folder);
    return TA_MIN(r, 0);
}

static int hint_how(const ta_model *m, ta_error *err)
{
    if (m->source)
        return ta_hint(err, "%s, then `terminalai models import %s --name %s`", m->source, m->files[0].name, m->name);
    return ta_hint(err, "get it by `terminalai models install %s`", m->name);
}

int ta_model_path(const ta_model *m, size_t file, char **path, ta_error *err)
{
    char *folder;
    *path = NULL;
    int r = ta_model_folder(m, &folder, err);
    if (r < 0)
        return r;
    *path = ta_path_join(folder, m->files[file].name);
    ta_free(folder);
    if (!*path)
        return ta_no_memory(err);
    if (!access(*path, R_OK))
        return 0;
    ta_freep(path);
    ta_fail(err, TA_ERR_UNAVAILABLE, "the model %s is not installed", m->name);
    return hint_how(m, err);
}

/* ---- Filling a staging folder --------------------------------------------------------------------------------- */

static int copy_blocks(int in, int out, const char *from, const char *to, const ta_cancel *cancel, ta_error *err)
{
    char *block = ta_array(CHUNK, 1);
    ssize_t n = block ? 1 : 0;
    int r = block ? 0 : ta_no_memory(err);
    while (r == 0 && n > 0) {
        if (ta_cancelled(cancel))
            r = ta_fail(err, TA_ERR_CANCELLED, "cancelled");
        else if ((n = read(in, block, CHUNK)) < 0)
            r = ta_fail_errno(err, errno, false, "can't read", from);
        for (ssize_t done = 0, put = 0; r == 0 && done < n; done += put)
            if ((put = write(out, block + done, (size_t)(n - done))) < 0)
                r = ta_fail_errno(err, errno, true, "can't write", to);
    }
    ta_free(block);
    return r;
}

static int copy_file(const char *from, const char *stage, const char *name, const ta_cancel *cancel, ta_error *err)
{
    char *to = ta_path_join(stage, name);
    if (!to)
        return ta_no_memory(err);
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int r = in < 0 ? ta_fail_errno(err, errno, false, "can't open", from) : 0;
    int out = r == 0 ? open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666) : -1;
    if (r == 0 && out < 0)
        r = ta_fail_errno(err, errno, true, "can't create", to);
    if (r == 0)
        r = copy_blocks(in, out, from, to, cancel, err);
    if (in >= 0)
        close(in);
    if (out >= 0 && close(out) < 0 && r == 0)
        r = ta_fail_errno(err, errno, true, "can't write", to);
    ta_free(to);
    return r;
}

/* From the entry's folder or file. */
static int copy_from_path(const ta_model *m, const char *stage, const ta_cancel *cancel, ta_error *err)
{
    int r = 0;
    bool folder = ta_is_dir(m->path);
    if (!folder && m->file_count != 1)
        return ta_fail(err, TA_ERR_NOINPUT, "'%s' is no folder with the model's %zu files", m->path, m->file_count);
    for (size_t i = 0; r == 0 && i < m->file_count; i++) {
        const ta_model_file *f = &m->files[i];
        char *from = folder ? ta_path_join(m->path, f->inside ? f->inside : f->name) : ta_strdup(m->path);
        r = from ? copy_file(from, stage, f->name, cancel, err) : ta_no_memory(err);
        ta_free(from);
    }
    return r;
}

/* Compares a staged file with its pin, adds its line to the sums, and has it on the disk. */
static int seal_file(const ta_model_file *f, const char *stage, ta_buf *sums, const ta_cancel *cancel, ta_error *err)
{
    char hex[DIGEST + 1], *path = ta_path_join(stage, f->name);
    int r = path ? ta_sha256_file(path, hex, cancel, err) : ta_no_memory(err);
    if (r == 0 && f->sha256 && strcmp(hex, f->sha256)) {
        r = ta_fail(err, TA_ERR_DATA, "%s is another file than the catalogue has: SHA-256 %.12s..., not %.12s...",
                    f->name, hex, f->sha256);
        ta_hint(err, "nothing was installed; get the file again");
    }
    int fd = r == 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (r == 0 && (fd < 0 || fsync(fd) < 0))
        r = ta_fail_errno(err, errno, true, "can't write", path);
    if (fd >= 0)
        close(fd);
    if (r == 0)
        ta_buf_addf(sums, "%s  %s\n", hex, f->name);
    ta_free(path);
    return r;
}

static int seal(const ta_model *m, const char *stage, const ta_cancel *cancel, ta_error *err)
{
    ta_buf sums = { 0 };
    char *path = ta_path_join(stage, sums_name);
    int r = path ? 0 : ta_no_memory(err);
    for (size_t i = 0; r == 0 && i < m->file_count; i++)
        r = seal_file(&m->files[i], stage, &sums, cancel, err);
    if (r == 0 && sums.failed)
        r = ta_no_memory(err);
    if (r == 0)
        r = ta_write_file(path, sums.data, sums.len, true, err);
    ta_buf_free(&sums);
    ta_free(path);
    return r;
}

/* ---- Putting in place ----------------------------------------------------------------------------------------- */

/* Renames the staged folder to its place; what was there goes once the new one is in. */
static int put_in_place(const char *stage, const char *folder, ta_error *err)
{
    char *old = ta_format("%s.old", stage);
    if (!old)
        return ta_no_memory(err);
    bool replaced = ta_is_dir(folder) && rename(folder, old) == 0;
    int r = 0;
    if (chmod(stage, 0755) < 0 || rename(stage, folder) < 0) {
        r = ta_fail_errno(err, errno, true, "can't create", folder);
        if (replaced)
            rename(old, folder);
    } else if (replaced) {
        ta_remove_tree(old, NULL);
    }
    ta_free(old);
    return r;
}

typedef struct filling {
    const ta_model *m;
    const char *const *paths; /* of the user's own files, or NULL: as the entry says */
    ta_cancel *cancel;
} filling;

static int fill(const filling *f, const char *store, const char *stage, ta_error *err)
{
    int r = 0;
    if (!f->paths && ta_model_by_url(f->m))
        return ta_fetch_urls(f->m, store, stage, f->cancel, err);
    for (size_t i = 0; f->paths && r == 0 && i < f->m->file_count; i++)
        r = copy_file(f->paths[i], stage, f->m->files[i].name, f->cancel, err);
    if (f->paths || r < 0)
        return r;
    return f->m->path ? copy_from_path(f->m, stage, f->cancel, err) : ta_fetch_package(f->m, stage, f->cancel, err);
}

static int stage_and_place(const filling *f, const char *store, const char *folder, ta_error *err)
{
    char *stage = ta_format("%s/.%s.XXXXXX", store, f->m->name);
    if (!stage || !mkdtemp(stage)) {
        int r = stage ? ta_fail_errno(err, errno, true, "can't create", stage) : ta_no_memory(err);
        ta_free(stage);
        return r;
    }
    int r = fill(f, store, stage, err);
    if (r == 0)
        r = seal(f->m, stage, f->cancel, err);
    if (r == 0)
        r = put_in_place(stage, folder, err);
    if (r < 0)
        ta_remove_tree(stage, NULL);
    ta_free(stage);
    return r;
}

/* Under the store's lock. */
static int locked(const filling *f, int (*work)(const filling *, const char *, const char *, ta_error *), ta_error *err)
{
    char *store, *folder = NULL, *name = NULL;
    ta_lock *lock = NULL;
    int r = store_of(f->m, &store, err);
    if (r == 0)
        r = ta_model_folder(f->m, &folder, err);
    if (r == 0)
        r = ta_mkdirs(store, err);
    if (r == 0 && !(name = ta_path_join(store, ".lock")))
        r = ta_no_memory(err);
    if (r == 0 && (r = ta_lock_take(&lock, name, err)) == TA_ERR_AGAIN)
        ta_hint(err, "another terminalai changes the models: wait for it and try again");
    if (r == 0)
        r = work(f, store, folder, err);
    ta_lock_drop(&lock);
    ta_free(name);
    ta_free(folder);
    ta_free(store);
    return r < 0 ? ta_wrap(err, "model %s", f->m->name) : 0;
}

int ta_model_install(const ta_model *m, ta_cancel *cancel, ta_error *err)
{
    const filling f = { m, NULL, cancel };
    if (!m->source)
        return locked(&f, stage_and_place, err);
    ta_fail(err, TA_ERR_UNAVAILABLE, "the model %s can't be fetched: everybody brings it by themselves", m->name);
    return hint_how(m, err);
}

static int check_count(const ta_model *m, size_t count, ta_error *err)
{
    if (count == m->file_count)
        return 0;
    ta_fail(err, TA_ERR_USAGE, "the model %s has %zu files, and %zu were given", m->name, m->file_count, count);
    return ta_hint(err, "`terminalai models info %s` names them, in order", m->name);
}

int ta_model_import(const ta_model *m, const char *const *paths, size_t count, ta_cancel *cancel, ta_error *err)
{
    const filling f = { m, paths, cancel };
    int r = check_count(m, count, err);
    return r < 0 ? r : locked(&f, stage_and_place, err);
}

/* ---- Models of the user's own --------------------------------------------------------------------------------- */

/* An address with a password or a query may hold a secret, which is not to be kept. */
static bool may_be_kept(const ta_model *m)
{
    for (size_t i = 0; i < m->file_count; i++)
        if (strpbrk(m->files[i].url, "@?"))
            return false;
    return true;
}

/* Address and digest of each file as it is in the store, for an entry that can fetch it again. */
static int add_urls(ta_buf *b, const ta_model *m, const char *folder, ta_error *err)
{
    char hex[DIGEST + 1];
    int r = 0;
    ta_buf_add(b, "  url: >-\n");
    for (size_t i = 0; i < m->file_count; i++)
        ta_buf_addf(b, "    %s\n", m->files[i].url);
    ta_buf_add(b, "  sha256: >-\n");
    for (size_t i = 0; r == 0 && i < m->file_count; i++) {
        r = expected(&m->files[i], folder, hex, err);
        ta_buf_addf(b, "    %s\n", hex);
    }
    return r;
}

static int own_entry(const ta_model *m, const char *folder, char **text, ta_error *err)
{
    ta_buf b = { 0 };
    int r = 0;
    ta_buf_addf(&b, "# Written by terminalai models.\n%s:\n  title: %s\n  task: %s\n  licence: %s\n  scale: %d\n",
                m->name, m->title, m->task, m->licence, m->scale);
    if (!m->source && may_be_kept(m))
        r = add_urls(&b, m, folder, err);
    else
        ta_buf_addf(&b, "  source: %s\n", m->source ? m->source : "get its files again");
    ta_buf_add(&b, "  files: >-\n");
    for (size_t i = 0; i < m->file_count; i++)
        ta_buf_addf(&b, "    %s\n", m->files[i].name);
    *text = ta_buf_take(&b);
    return r < 0 ? r : *text ? 0 : ta_no_memory(err);
}

static int place_own(const filling *f, const char *store, const char *folder, ta_error *err)
{
    char *text = NULL, *path = ta_format("%s/%s.yaml", store, f->m->name);
    int r = path ? stage_and_place(f, store, folder, err) : ta_no_memory(err);
    if (r == 0)
        r = own_entry(f->m, folder, &text, err);
    if (r == 0)
        r = ta_write_file(path, text, strlen(text), true, err);
    ta_free(text);
    ta_free(path);
    return r;
}

static int name_files(ta_model_file *files, const char *const *paths, size_t count, ta_error *err)
{
    for (size_t i = 0; i < count; i++) {
        files[i].name = (char *)ta_path_base(paths[i]);
        if (ta_model_name_fits(files[i].name))
            continue;
        ta_fail(err, TA_ERR_USAGE, "'%s' has a name that the store can't keep", paths[i]);
        return ta_hint(err, "give it a name without white space and colons");
    }
    return 0;
}

int ta_model_import_new(const char *name, const char *task, int scale, const char *const *paths, size_t count,
                        ta_cancel *cancel, ta_error *err)
{
    if (!ta_model_name_fits(name))
        return ta_fail(err, TA_ERR_USAGE, "'%s' can't be the name of a model", name);
    ta_model_file *files = ta_array(count, sizeof *files);
    if (!files)
        return ta_no_memory(err);
    const ta_model m = { .name = (char *)name,
                         .title = (char *)name,
                         .task = (char *)task,
                         .scale = scale,
                         .licence = (char *)"LicenseRef-Unknown",
                         .source = (char *)"get its files again",
                         .files = files,
                         .file_count = count };
    const filling f = { &m, paths, cancel };
    int r = name_files(files, paths, count, err);
    if (r == 0)
        r = locked(&f, place_own, err);
    ta_free(files);
    return r;
}

/* ---- From the web ---------------------------------------------------------------------------------------------- */

static bool is_digest(const char *s)
{
    return strlen(s) == DIGEST && strspn(s, "0123456789abcdef") == DIGEST;
}

/* A URL whose file nobody vouches for must at least come by a connection that does. */
static int check_url(const char *url, const char *sha256, ta_error *err)
{
    if (sha256 && !is_digest(sha256))
        return ta_fail(err, TA_ERR_USAGE, "a SHA-256 has 64 hexadecimal digits in lower case, not '%s'", sha256);
    if (sha256 || ta_starts(url, "https://"))
        return 0;
    ta_fail(err, TA_ERR_USAGE, "a model that comes by plain http can be changed on its way");
    return ta_hint(err, "give its digest by --sha256, or an https address");
}

static int name_urls(ta_model_file *files, const char *const *urls, const char *const *sha256, size_t count,
                     ta_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        files[i].url = (char *)urls[i];
        files[i].sha256 = sha256 ? (char *)sha256[i] : NULL;
        files[i].name = ta_url_file(urls[i]);
        r = files[i].name ? check_url(urls[i], files[i].sha256, err) : ta_no_memory(err);
        if (r == 0 && (!ta_model_name_fits(files[i].name) || strpbrk(urls[i], " \t\r\n"))) {
            ta_fail(err, TA_ERR_USAGE, "the address doesn't end with the name of a file");
            r = ta_hint(err, "fetch it yourself, then `terminalai models import FILE`");
        }
        for (size_t k = 0; r == 0 && k < i; k++)
            if (!strcmp(files[k].name, files[i].name))
                r = ta_fail(err, TA_ERR_USAGE, "two addresses end with the name '%s'", files[i].name);
    }
    return r;
}

int ta_model_install_urls(const char *name, const char *task, int scale, const char *const *urls,
                          const char *const *sha256, size_t count, ta_cancel *cancel, ta_error *err)
{
    if (!ta_model_name_fits(name))
        return ta_fail(err, TA_ERR_USAGE, "'%s' can't be the name of a model", name);
    ta_model_file *files = ta_array(count, sizeof *files);
    if (!files)
        return ta_no_memory(err);
    const ta_model m = { .name = (char *)name,
                         .title = (char *)name,
                         .task = (char *)task,
                         .scale = scale,
                         .licence = (char *)"LicenseRef-Unknown",
                         .files = files,
                         .file_count = count };
    const filling f = { &m, NULL, cancel };
    int r = name_urls(files, urls, sha256, count, err);
    if (r == 0)
        r = locked(&f, place_own, err);
    for (size_t i = 0; i < count; i++)
        ta_free(files[i].name);
    ta_free(files);
    return r;
}

static int remove_it(const filling *f, const char *store, const char *folder, ta_error *err)
{
    char *own = ta_format("%s/%s.yaml", store, f->m->name);
    if (!own)
        return ta_no_memory(err);
    if (!ta_is_dir(folder)) {
        ta_free(own);
        return ta_fail(err, TA_ERR_NOINPUT, "it is not installed");
    }
    int r = ta_remove_tree(folder, err);
    if (r == 0 && f->m->origin && !strcmp(f->m->origin, own))
        unlink(own);
    ta_free(own);
    return r;
}

int ta_model_remove(const ta_model *m, ta_error *err)
{
    const filling f = { m, NULL, NULL };
    return locked(&f, remove_it, err);
}
