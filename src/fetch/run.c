/* One download, from the page to the file: ask yt-dlp what there is and which formats are best, let it load each by
 * itself, join them. What is under way stays in a folder of its own beside the file, so that the same again goes on;
 * a record of what was finished stays, so that it is not fetched twice. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fetch/internal.h"
#include "media/media.h"
#include "net/net.h"

enum { MAX_FORMATS = 2, MAX_INFO = 64 << 20, MAX_RECORD = 65536, MAX_WORDS = 48, NAME_BYTES = 160 };

typedef struct run {
    const ta_fetch *f;
    ta_error *err;
    ta_proxy *proxy;
    ta_lock *lock;
    char *downloader, *work, *record; /* work: ".HASH.download" in the folder; record: ".HASH.download.json" */
    char *environment[10];
    int64_t deadline_us;
    ta_fetch_progress progress;
    json_t *info;
    const char *formats[MAX_FORMATS];
    size_t format_count;
    char *parts[MAX_FORMATS]; /* the loaded files */
} run;

/* Most that pages and descriptions may have, which are held in memory. */
static const int64_t most_to_look = INT64_C(256) << 20;

/* ---- Words and environment ------------------------------------------------------------------------------------- */

/* The wheel is run as it is, by an interpreter that sees nothing but it and its own library. */
static const char start_wheel[] = "import sys; sys.path.insert(0, sys.argv.pop(1)); import yt_dlp; yt_dlp.main()";

static const char *const common[] = {
    "--ignore-config",
    "--no-cache-dir",
    "--no-update",
    "--no-exec",
    "--no-playlist",
    "--flat-playlist",
    "--no-mtime",
    "--no-warnings",
    "--no-progress",
    "--quiet",
    "--no-overwrites",
    "--continue",
    "--fixup",
    "never",
    "--ffmpeg-location",
    "/nonexistent",
    "--hls-prefer-native",
    "--socket-timeout",
    "20",
    "--retries",
    "5",
    "--fragment-retries",
    "5",
};

static size_t add_program(const run *r, const char **words)
{
    static const char debian[] = "/usr/bin/python3";
    size_t n = 0;
    if (!ta_ends(r->downloader, ".whl")) {
        words[n++] = r->downloader;
    } else {
        words[n++] = access(debian, X_OK) ? "python3" : debian;
        words[n++] = "-I";
        words[n++] = "-S";
        words[n++] = "-B";
        words[n++] = "-c";
        words[n++] = start_wheel;
        words[n++] = r->downloader;
    }
    for (size_t i = 0; i < TA_COUNT(common); i++)
        words[n++] = common[i];
    return n;
}

static int set_environment(run *r)
{
    const char *url = ta_proxy_url(r->proxy), *certificates = getenv("SSL_CERT_FILE");
    size_t n = 0;
    char **e = r->environment;
    e[n++] = ta_strdup("PATH=/usr/local/bin:/usr/bin:/bin");
    e[n++] = ta_strdup("LC_ALL=C.UTF-8");
    e[n++] = ta_format("HOME=%s", r->work);
    e[n++] = ta_format("TMPDIR=%s", r->work);
    e[n++] = ta_format("http_proxy=%s", url);
    e[n++] = ta_format("https_proxy=%s", url);
    e[n++] = ta_format("all_proxy=%s", url);
    if (certificates && *certificates)
        e[n++] = ta_format("SSL_CERT_FILE=%s", certificates);
    for (size_t i = 0; i < n; i++)
        if (!e[i])
            return ta_no_memory(r->err);
    return 0;
}

/* ---- Running it ------------------------------------------------------------------------------------------------ */

static void tick(void *opaque)
{
    run *r = opaque;
    r->progress.done = ta_proxy_bytes(r->proxy);
    if (r->f->progress)
        r->f->progress(r->f->opaque, &r->progress);
}

/* The line of yt-dlp's that says why, without its advice to report it. */
static const char *last_words(char *said)
{
    char *line = NULL;
    for (char *s = said; (s = strstr(s, "ERROR: ")); s += 7)
        line = s + 7;
    if (!line && *said) { /* of Python, or the system */
        size_t n = strlen(said);
        while (n > 0 && said[n - 1] == '\n')
            said[--n] = '\0';
        line = strrchr(said, '\n');
        line = line ? line + 1 : said;
    }
    char *advice = line ? strstr(line, "; please report this issue") : NULL;
    if (advice)
        *advice = '\0';
    if (line)
        line[strcspn(line, "\n")] = '\0';
    return line && *line ? line : "it gave no reason";
}

/* yt-dlp repeats the address, with what may be secret in it. */
static int fail_words(run *r, ta_status code, const char *why)
{
    ta_buf b = { 0 };
    size_t n = strlen(r->f->url);
    for (const char *at; (at = strstr(why, r->f->url)); why = at + n) {
        ta_buf_addn(&b, why, (size_t)(at - why));
        ta_buf_add(&b, "it");
    }
    ta_buf_add(&b, why);
    char *text = ta_buf_take(&b);
    int status = text ? ta_fail(r->err, code, "%s", text) : ta_no_memory(r->err);
    ta_free(text);
    return status;
}

static ta_status judge_words(const char *why)
{
    static const struct {
        const char *words;
        ta_status code;
    } known[] = { { "CERTIFICATE_VERIFY_FAILED", TA_ERR_NOPERM },
                  { "HTTP Error 404", TA_ERR_NOINPUT },
                  { "HTTP Error 410", TA_ERR_NOINPUT },
                  { "HTTP Error 401", TA_ERR_NOPERM },
                  { "HTTP Error 403", TA_ERR_NOPERM },
                  { "HTTP Error 5", TA_ERR_AGAIN },
                  { "HTTP Error 429", TA_ERR_AGAIN },
                  { "No space left", TA_ERR_AGAIN },
                  { "timed out", TA_ERR_AGAIN },
                  { "Unsupported URL", TA_ERR_DATA },
                  { "Connection", TA_ERR_AGAIN },
                  { "IncompleteRead", TA_ERR_AGAIN },
                  { "bytes read", TA_ERR_AGAIN },
                  { "more expected", TA_ERR_AGAIN } };
    for (size_t i = 0; i < TA_COUNT(known); i++)
        if (strcasestr(why, known[i].words))
            return known[i].code;
    return TA_ERR_DATA;
}

static int fail_child(run *r, ta_child *c)
{
    if (c->late) {
        ta_fail(r->err, TA_ERR_AGAIN, "it took longer than download-time allows");
        return ta_hint(r->err, "the same again goes on where it was; --download-time gives it longer");
    }
    int code = ta_proxy_fault(r->proxy, r->err);
    if (code == TA_ERR_NOPERM)
        return ta_hint(r->err, "--download-allow HOST:PORT allows a server of your own");
    if (code == TA_ERR_DATA)
        return ta_hint(r->err, "--download-limit sets it");
    if (c->code == 128 + SIGXFSZ)
        return ta_fail(r->err, TA_ERR_DATA, "a file of it would be larger than download-limit allows");
    const char *why = last_words(c->said);
    fail_words(r, code ? (ta_status)code : judge_words(why), why);
    return r->err->code == TA_ERR_AGAIN ? ta_hint(r->err, "try again later; what has come stays") : r->err->code;
}

/* Runs yt-dlp with these words behind the common ones. */
static int call(run *r, const char *out, const char *const *more, size_t count)
{
    const char *words[MAX_WORDS] = { NULL };
    size_t n = add_program(r, words);
    for (size_t i = 0; i < count && n < MAX_WORDS - 1; i++)
        words[n++] = more[i];
    ta_child c = { .words = (char **)words,
                   .environment = r->environment,
                   .folder = r->work,
                   .out = out,
                   .cancel = r->f->cancel,
                   .over_fd = ta_proxy_over_fd(r->proxy),
                   .deadline_us = r->deadline_us,
                   .most_bytes = r->f->max_bytes,
                   .tick = tick,
                   .opaque = r };
    int code = ta_child_run(&c, r->err);
    if (code < 0)
        return code;
    return c.code || c.ended || c.late ? fail_child(r, &c) : 0;
}

/* ---- What there is --------------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

static int choose(run *r)
{
    const json_t *both = json_object_get(r->info, "requested_formats");
    size_t n = json_array_size(both);
    if (n > MAX_FORMATS)
        return ta_fail(r->err, TA_ERR_DATA, "it has %zu formats at once", n);
    r->progress.total = 0;
    for (size_t i = 0; i < TA_MAX(n, 1); i++) {
        const json_t *one = n ? json_array_get(both, i) : r->info;
        const json_t *size = json_object_get(one, "filesize");
        size = json_is_number(size) ? size : json_object_get(one, "filesize_approx");
        r->formats[i] = text_of(one, "format_id");
        if (!*r->formats[i])
            return ta_fail(r->err, TA_ERR_DATA, "there is no film to be found");
        if (r->progress.total >= 0)
            r->progress.total = json_is_number(size) ? r->progress.total + (int64_t)json_number_value(size) : -1;
    }
    r->format_count = TA_MAX(n, 1);
    if (r->progress.total <= r->f->max_bytes)
        return 0;
    char is[24], most[24];
    ta_fail(r->err, TA_ERR_DATA, "it has %s; at most %s are allowed", ta_print_size(r->progress.total, is),
            ta_print_size(r->f->max_bytes, most));
    return ta_hint(r->err, "--download-limit sets it");
}

static int read_info(run *r, const char *path)
{
    char *text;
    size_t size;
    int code = ta_read_file(path, MAX_INFO, &text, &size, r->err);
    if (code < 0)
        return code;
    r->info = json_loadb(text, size, 0, NULL);
    ta_free(text);
    if (!json_is_object(r->info))
        return ta_fail(r->err, TA_ERR_DATA, "yt-dlp's description of it can't be read");
    const char *type = text_of(r->info, "_type");
    if (*type && strcmp(type, "video")) {
        ta_fail(r->err, TA_ERR_DATA, "it is a list, not a single film");
        return ta_hint(r->err, "give the address of one of them");
    }
    if (json_is_true(json_object_get(r->info, "is_live")))
        return ta_fail(r->err, TA_ERR_DATA, "it is live, so it has no end");
    return choose(r);
}

static int look(run *r, const char *info)
{
    const char *const words[] = { "--format", "bv*+ba/b", "--dump-single-json", "--", r->f->url };
    r->progress = (ta_fetch_progress){ .stage = "looking", .total = -1 };
    int code = call(r, info, words, TA_COUNT(words));
    return code < 0 ? code : read_info(r, info);
}

/* ---- Loading --------------------------------------------------------------------------------------------------- */

/* "part-HASH.EXT": a part that is there from an earlier call is that of the same format. */
static int name_part(run *r, const char *format, const char *extension, char *name, size_t room)
{
    char hex[65];
    ta_sha256 *h = ta_sha256_new();
    if (!h)
        return ta_no_memory(r->err);
    ta_sha256_add(h, format, strlen(format));
    ta_sha256_end(&h, hex);
    snprintf(name, room, "part-%.*s.%s", TA_HASH_DIGITS, hex, extension);
    return 0;
}

/* yt-dlp gives a file its name when all of it is there. */
static char *find_part(const run *r, const char *name)
{
    char *path = ta_path_join(r->work, name);
    struct stat st;
    if (path && stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
        return path;
    ta_free(path);
    return NULL;
}

static bool is_plain_extension(const char *text)
{
    return *text && strlen(text) < 12 &&
           text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")] == '\0';
}

static int load(run *r, size_t i, const char *info)
{
    const json_t *both = json_object_get(r->info, "requested_formats");
    const char *extension = text_of(json_array_size(both) ? json_array_get(both, i) : r->info, "ext");
    char name[64];
    if (!is_plain_extension(extension))
        return ta_fail(r->err, TA_ERR_DATA, "it has a file name's ending that is none: '%.20s'", extension);
    int code = name_part(r, r->formats[i], extension, name, sizeof name);
    const char *const words[] = { "--load-info-json", info, "--format", r->formats[i], "--output", name };
    if (code == 0 && !(r->parts[i] = find_part(r, name))) { /* not there yet, from an earlier call */
        code = call(r, NULL, words, TA_COUNT(words));
        if (code == 0)
            r->parts[i] = find_part(r, name);
    }
    return code < 0 ? code : r->parts[i] ? 0 : ta_fail(r->err, TA_ERR_DATA, "yt-dlp ended without a file");
}

/* ---- The file -------------------------------------------------------------------------------------------------- */

/* "Title [id].ext", of characters that every file system takes. */
static char *make_name(const run *r, const char *extension)
{
    const char *title = text_of(r->info, "title"), *id = text_of(r->info, "id");
    char *cut = ta_strndup(*title ? title : "download", NAME_BYTES);
    if (!cut)
        return NULL;
    ta_utf8_trim(cut);
    char *name = ta_format("%s [%.60s].%s", cut, id, extension), *clean = name ? ta_utf8_clean(name) : NULL;
    for (char *s = clean; s && *s; s++)
        if ((unsigned char)*s < ' ' || *s == 127 || strchr("/\\:*?\"<>|", *s))
            *s = '_';
    if (clean && (*clean == '.' || *clean == '-'))
        *clean = '_';
    ta_free(cut);
    ta_free(name);
    return clean;
}

static int note(run *r, const char *path)
{
    json_t *json = json_pack("{s:s, s:I}", "file", ta_path_base(path), "size", (json_int_t)ta_file_size(path));
    char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    json_decref(json);
    int code = text ? ta_write_file(r->record, text, strlen(text), true, r->err) : ta_no_memory(r->err);
    free(text);
    return code;
}

/* A single file keeps its own container. */
static int move_part(run *r, const char *path)
{
    int fd = open(r->parts[0], O_RDONLY | O_CLOEXEC);
    int code = fd < 0 || fsync(fd) < 0 || rename(r->parts[0], path) < 0
                   ? ta_fail_errno(r->err, errno, true, "can't create", path)
                   : ta_sync_folder_of(path, r->err);
    if (fd >= 0)
        close(fd);
    return code;
}

static int finish(run *r, char **path)
{
    const char *extension = r->format_count > 1 ? "mkv" : ta_path_ext(r->parts[0]);
    char *name = make_name(r, extension), *full = name ? ta_path_join(r->f->folder, name) : NULL;
    int code = full ? 0 : ta_no_memory(r->err);
    r->progress.stage = "joining";
    tick(r);
    if (code == 0 && access(full, F_OK) == 0) {
        code = ta_fail(r->err, TA_ERR_CANTCREATE, "'%s' exists, and is not known to be this download", full);
        ta_hint(r->err, "move it away, or give another --download-dir");
    }
    if (code == 0)
        code = r->format_count > 1
                   ? ta_join_files((const char *const *)r->parts, r->format_count, full, r->f->cancel, r->err)
                   : move_part(r, full);
    if (code == 0)
        code = note(r, full);
    if (code == 0) {
        *path = full;
        full = NULL;
    }
    ta_free(name);
    ta_free(full);
    return code;
}

/* What was fetched before: 1 with its path. */
static int finished_before(run *r, char **path)
{
    char *text;
    size_t size;
    if (ta_read_file(r->record, MAX_RECORD, &text, &size, NULL) < 0)
        return 0;
    json_t *json = json_loadb(text, size, 0, NULL);
    const char *name = text_of(json, "file");
    ta_free(text);
    *path = *name && !strchr(name, '/') ? ta_path_join(r->f->folder, name) : NULL;
    bool same = *path && ta_file_size(*path) == json_integer_value(json_object_get(json, "size"));
    json_decref(json);
    if (same)
        return 1;
    ta_freep(path);
    return 0;
}

/* ---- The whole ------------------------------------------------------------------------------------------------- */

static int name_places(run *r)
{
    char hex[65];
    ta_sha256 *h = ta_sha256_new();
    if (!h)
        return ta_no_memory(r->err);
    ta_sha256_add(h, r->f->url, strlen(r->f->url));
    ta_sha256_end(&h, hex);
    char *folder = realpath(r->f->folder, NULL);
    r->work = folder ? ta_format("%s/.%.*s.download", folder, TA_HASH_DIGITS, hex) : NULL;
    r->record = folder ? ta_format("%s/.%.*s.download.json", folder, TA_HASH_DIGITS, hex) : NULL;
    free(folder);
    return r->work && r->record ? 0 : ta_no_memory(r->err);
}

static int take_lock(run *r)
{
    char *path = ta_path_join(r->work, "lock");
    int code = path ? ta_mkdirs(r->work, r->err) : ta_no_memory(r->err);
    if (code == 0 && chmod(r->work, 0700) < 0)
        code = ta_fail_errno(r->err, errno, true, "can't use", r->work);
    if (code == 0)
        code = ta_lock_take(&r->lock, path, r->err);
    ta_free(path);
    return code;
}

static int fetch(run *r, char **path)
{
    char *info = ta_path_join(r->work, "info.json");
    int code = info ? ta_fetch_downloader(r->f->downloader, &r->downloader, r->err) : ta_no_memory(r->err);
    if (code == 0)
        code = ta_proxy_open(&r->proxy, r->f->allow, TA_MIN(r->f->max_bytes, most_to_look), r->err);
    if (code == 0)
        code = set_environment(r);
    if (code == 0)
        ta_log(TA_LOG_VERBOSE, "fetch", "by %s", r->downloader);
    if (code == 0)
        code = look(r, info);
    r->progress.stage = "downloading";
    if (code == 0)
        ta_proxy_limit(r->proxy, r->f->max_bytes);
    for (size_t i = 0; code == 0 && i < r->format_count; i++)
        code = load(r, i, info);
    if (code == 0)
        code = finish(r, path);
    ta_free(info);
    return code;
}

static void clear(run *r, int code)
{
    bool resumable = code == TA_ERR_AGAIN || code == TA_ERR_CANCELLED;
    if (r->lock && !resumable)
        ta_remove_tree(r->work, NULL);
    ta_lock_drop(&r->lock);
    ta_proxy_close(&r->proxy);
    json_decref(r->info);
    for (size_t i = 0; i < TA_COUNT(r->environment); i++)
        ta_free(r->environment[i]);
    for (size_t i = 0; i < MAX_FORMATS; i++)
        ta_free(r->parts[i]);
    ta_free(r->downloader);
    ta_free(r->work);
    ta_free(r->record);
}

int ta_fetch_run(const ta_fetch *f, char **path, ta_error *err)
{
    ta_error local;
    run r = { .f = f, .err = err ? err : &local };
    char *shown = ta_url_shown(f->url);
    r.deadline_us = f->timeout_us > 0 ? ta_now_us() + f->timeout_us : INT64_MAX;
    *path = NULL;
    int code = !shown ? ta_no_memory(r.err)
               : ta_is_url(f->url)
                   ? 0
                   : ta_fail(r.err, TA_ERR_USAGE, "a download's address begins with http:// or https://");
    if (code == 0)
        code = ta_mkdirs(f->folder, r.err);
    if (code == 0)
        code = name_places(&r);
    if (code == 0)
        ta_fetch_clean_stale(f->folder);
    if (code == 0)
        code = take_lock(&r);
    if (code == 0 && finished_before(&r, path) == 0)
        code = fetch(&r, path);
    clear(&r, code);
    if (code < 0)
        ta_wrap(r.err, "%s", shown ? shown : "download");
    ta_free(shown);
    return code;
}

void ta_fetch_from_settings(ta_fetch *f, const ta_settings *s)
{
    f->downloader = ta_get_text(s, TA_SET_downloader);
    f->allow = ta_get_text(s, TA_SET_download_allow);
    f->max_bytes = ta_get_int(s, TA_SET_download_limit);
    f->timeout_us = ta_get_int(s, TA_SET_download_time);
}
