/* ncnn's files, token by token and byte by byte. The text: 7767517, the numbers of layers and tensors, then lines "type
 * name inputs outputs names... key=value..."; key -23300 - k holds an array "count,value,...". The weights: each
 * tagged group starts with four bytes, 0 for fp32 or 0x01306B47 for fp16, which is padded to four bytes. */
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "neural/ncnn_read.h"

enum { MAGIC = 7767517, TAG_FP16 = 0x01306B47, ARRAY_KEY = -23300 };

int ta_ncnn_fail(ta_ncnn_reader *r, ta_status code, const char *fmt, ...)
{
    char what[320];
    va_list args;

    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    if (r->layer.type[0])
        return ta_fail(r->err, code, "%s, line %d, %s '%s': %s", r->param_path, r->line, r->layer.type, r->layer.name,
                       what);
    return ta_fail(r->err, code, "%s, line %d: %s", r->param_path, r->line, what);
}

static int open_text(ta_ncnn_reader *r)
{
    size_t size = 0;
    int ret = ta_read_file(r->param_path, TA_NCNN_PARAM_SIZE, &r->text, &size, r->err);

    if (ret < 0)
        return ret;
    r->next = r->text;
    if (memchr(r->text, 0, size))
        return ta_ncnn_fail(r, TA_ERR_DATA, "not a text: ncnn's binary form of .param isn't read, only the text form");
    return 0;
}

/* The next line, or NULL. Empty lines are passed over. */
static char *next_line(ta_ncnn_reader *r)
{
    while (r->next && *r->next) {
        char *line = r->next, *end = strpbrk(line, "\n");
        r->next = end ? end + 1 : NULL;
        if (end)
            *end = 0;
        r->line++;
        if (line[strspn(line, " \t\r")])
            return line;
    }
    return NULL;
}

/* The next word of a line, or NULL. */
static char *word(char **at)
{
    return strtok_r(NULL, " \t\r", at);
}

/* A whole number from min to max and nothing behind it. */
static bool whole(const char *s, long min, long max, int *v)
{
    char *end;

    if (!s)
        return false;
    long n = strtol(s, &end, 10);
    if (end == s || *end || n < min || n > max)
        return false;
    *v = (int)n;
    return true;
}

static int read_header(ta_ncnn_reader *r)
{
    char *at = next_line(r), *magic = at ? strtok_r(at, " \t\r", &at) : NULL;
    int number;

    if (!whole(magic, 0, INT_MAX, &number) || number != MAGIC || word(&at))
        return ta_ncnn_fail(r, TA_ERR_DATA, "this is no ncnn model: the first line isn't %d", MAGIC);
    at = next_line(r);
    if (!at || !whole(strtok_r(at, " \t\r", &at), 1, TA_NCNN_LAYERS, &r->n_layers) ||
        !whole(word(&at), 1, TA_NCNN_BLOBS, &r->n_blobs) || word(&at))
        return ta_ncnn_fail(r, TA_ERR_DATA, "the numbers of layers (1..%d) and tensors (1..%d) should stand here",
                            TA_NCNN_LAYERS, TA_NCNN_BLOBS);
    r->blobs = ta_array((size_t)r->n_blobs, sizeof(*r->blobs));
    return r->blobs ? 0 : ta_no_memory(r->err);
}

int ta_ncnn_open(ta_ncnn_reader *r)
{
    int ret = open_text(r);

    if (!ret)
        ret = read_header(r);
    if (!ret)
        ret = ta_read_file(r->bin_path, TA_NCNN_BIN_SIZE, &r->bin, &r->bin_size, r->err);
    return ret;
}

void ta_ncnn_close(ta_ncnn_reader *r)
{
    for (int i = 0; i < r->have_blobs; i++)
        ta_free(r->blobs[i].name);
    ta_freep(&r->blobs);
    ta_freep(&r->text);
    ta_freep(&r->bin);
    ta_graph_free(&r->graph);
}

/* ---- A layer's line ---- */

static int copy_word(ta_ncnn_reader *r, char *to, size_t size, const char *from, const char *what)
{
    if (!from)
        return ta_ncnn_fail(r, TA_ERR_DATA, "the line ends before the %s", what);
    if (strlen(from) >= size)
        return ta_ncnn_fail(r, TA_ERR_DATA, "the %s is longer than %zu bytes", what, size - 1);
    memcpy(to, from, strlen(from) + 1);
    return 0;
}

static ta_ncnn_blob *find_blob(ta_ncnn_reader *r, const char *name)
{
    for (int i = r->have_blobs - 1; i >= 0; i--)
        if (!strcmp(r->blobs[i].name, name))
            return &r->blobs[i];
    return NULL;
}

static int read_input(ta_ncnn_reader *r, int k, const char *name)
{
    if (!name)
        return ta_ncnn_fail(r, TA_ERR_DATA, "the line ends before input %d of %d", k + 1, r->layer.n_in);
    ta_ncnn_blob *b = find_blob(r, name);
    if (!b)
        return ta_ncnn_fail(r, TA_ERR_DATA, "no layer above makes its input '%.100s'", name);
    b->read = true;
    r->layer.in[k] = b->node;
    return 0;
}

/* The numbers of "=..."; for an array the first one is their count. */
static bool read_numbers(ta_ncnn_value *v, const char *s)
{
    int want = 1;
    char *end;

    if (v->array) {
        long n = strtol(s, &end, 10);
        if (end == s || n < 0 || n > TA_NCNN_ARRAY || *end != (n ? ',' : 0))
            return false;
        want = (int)n;
        s = end + (n ? 1 : 0);
    }
    for (v->count = 0; v->count < want; v->count++) {
        v->v[v->count] = strtod(s, &end);
        if (end == s || !isfinite(v->v[v->count]) || *end != (v->count + 1 < want ? ',' : 0))
            return false;
        s = end + 1;
    }
    return true;
}

static int read_value(ta_ncnn_reader *r, char *pair)
{
    char *equals = strchr(pair, '=');
    int key;
    bool array = false;

    if (equals)
        *equals = 0;
    if (!equals || !whole(pair, ARRAY_KEY - TA_NCNN_KEYS, TA_NCNN_KEYS, &key))
        return ta_ncnn_fail(r, TA_ERR_DATA, "'%.60s' is no key=value", pair);
    if (key <= ARRAY_KEY) {
        key = ARRAY_KEY - key;
        array = true;
    }
    if (key < 0 || key >= TA_NCNN_KEYS)
        return ta_ncnn_fail(r, TA_ERR_DATA, "parameters have keys from 0 to %d, not '%.60s'", TA_NCNN_KEYS - 1, pair);
    ta_ncnn_value *v = &r->layer.value[key];
    if (v->given)
        return ta_ncnn_fail(r, TA_ERR_DATA, "parameter %d is given twice", key);
    v->given = true;
    v->array = array;
    if (!read_numbers(v, equals + 1))
        return ta_ncnn_fail(r, TA_ERR_DATA, "parameter %d has no usable value: '%.60s'", key, equals + 1);
    return 0;
}

static int read_counts(ta_ncnn_reader *r, char **at)
{
    if (!whole(word(at), 0, TA_NCNN_PORTS, &r->layer.n_in) || !whole(word(at), 0, TA_NCNN_PORTS, &r->layer.n_out))
        return ta_ncnn_fail(r, TA_ERR_DATA, "the numbers of inputs and outputs (0..%d) should stand here",
                            TA_NCNN_PORTS);
    return 0;
}

int ta_ncnn_next(ta_ncnn_reader *r)
{
    char *at, *w, *line;
    int ret;

    r->layer = (ta_ncnn_layer){ 0 };
    line = next_line(r);
    if (!line)
        return ta_ncnn_fail(r, TA_ERR_DATA, "the file ends too early: %d layers are announced", r->n_layers);
    r->layer.line = r->line;
    ret = copy_word(r, r->layer.type, sizeof(r->layer.type), strtok_r(line, " \t\r", &at), "layer's type");
    if (!ret)
        ret = copy_word(r, r->layer.name, sizeof(r->layer.name), word(&at), "layer's name");
    if (!ret)
        ret = read_counts(r, &at);
    for (int k = 0; !ret && k < r->layer.n_in; k++)
        ret = read_input(r, k, word(&at));
    for (int k = 0; !ret && k < r->layer.n_out; k++)
        ret = copy_word(r, r->layer.out[k], TA_NCNN_NAME, word(&at), "output's name");
    while (!ret && (w = word(&at)))
        ret = read_value(r, w);
    return ret;
}

int ta_ncnn_name(ta_ncnn_reader *r, int k, int node, bool split)
{
    const char *name = r->layer.out[k];

    if (find_blob(r, name))
        return ta_ncnn_fail(r, TA_ERR_DATA, "two layers make '%.100s'", name);
    if (r->have_blobs == r->n_blobs)
        return ta_ncnn_fail(r, TA_ERR_DATA, "there are more tensors than the %d announced", r->n_blobs);
    ta_ncnn_blob *b = &r->blobs[r->have_blobs];
    *b = (ta_ncnn_blob){ ta_strdup(name), node, false, split };
    if (!b->name)
        return ta_no_memory(r->err);
    r->have_blobs++;
    return 0;
}

int ta_ncnn_end(ta_ncnn_reader *r)
{
    r->layer = (ta_ncnn_layer){ 0 };
    if (next_line(r))
        return ta_ncnn_fail(r, TA_ERR_DATA, "there are more layers than the %d announced", r->n_layers);
    if (r->have_blobs != r->n_blobs)
        return ta_ncnn_fail(r, TA_ERR_DATA, "%d tensors are announced, but there are %d", r->n_blobs, r->have_blobs);
    if (r->bin_at != r->bin_size)
        return ta_fail(r->err, TA_ERR_DATA,
                       "%s: %zu bytes are left over behind the last layer's weights: it doesn't belong to %s",
                       r->bin_path, r->bin_size - r->bin_at, r->param_path);
    return 0;
}

/* ---- Parameters ---- */

int ta_ncnn_int(ta_ncnn_reader *r, int key, int otherwise, int min, int max, int *v)
{
    ta_ncnn_value *p = &r->layer.value[key];
    double got = p->given ? p->v[0] : otherwise;

    p->used = true;
    if (p->array)
        return ta_ncnn_fail(r, TA_ERR_DATA, "parameter %d should be one number", key);
    if (got == floor(got) && got >= min && got <= max) {
        *v = (int)got;
        return 0;
    }
    ta_status status = p->given ? TA_ERR_UNAVAILABLE : TA_ERR_DATA;
    if (min == max)
        return ta_ncnn_fail(r, status, "parameter %d is %g; only %d can be imported", key, got, min);
    return ta_ncnn_fail(r, status, "parameter %d is %g; %d to %d can be imported", key, got, min, max);
}

int ta_ncnn_real(ta_ncnn_reader *r, int key, double otherwise, double *v)
{
    ta_ncnn_value *p = &r->layer.value[key];

    p->used = true;
    if (p->array)
        return ta_ncnn_fail(r, TA_ERR_DATA, "parameter %d should be one number", key);
    *v = p->given ? p->v[0] : otherwise;
    return 0;
}

const ta_ncnn_value *ta_ncnn_array(ta_ncnn_reader *r, int key)
{
    ta_ncnn_value *p = &r->layer.value[key];

    p->used = true;
    return p->given ? p : NULL;
}

int ta_ncnn_unused(const ta_ncnn_reader *r)
{
    for (int k = 0; k < TA_NCNN_KEYS; k++)
        if (r->layer.value[k].given && !r->layer.value[k].used)
            return k;
    return -1;
}

/* ---- Weights ---- */

static int cut_off(ta_ncnn_reader *r, size_t need)
{
    return ta_ncnn_fail(r, TA_ERR_DATA, "%s ends too early: %zu bytes of weights should stand at byte %zu of %zu",
                        r->bin_path, need, r->bin_at, r->bin_size);
}

static uint16_t half_at(const char *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

/* IEEE 754 binary16. */
static float from_half(uint16_t h)
{
    int exponent = h >> 10 & 31, fraction = h & 1023;
    float v = exponent == 31 ? (fraction ? NAN : INFINITY)
                             : ldexpf((float)(exponent ? fraction + 1024 : fraction), TA_MAX(exponent, 1) - 25);
    return h & 0x8000 ? -v : v;
}

static int read_tag(ta_ncnn_reader *r, bool *half)
{
    uint32_t tag;

    if (r->bin_size - r->bin_at < sizeof(tag))
        return cut_off(r, sizeof(tag));
    memcpy(&tag, r->bin + r->bin_at, sizeof(tag));
    if (tag != 0 && tag != TAG_FP16)
        return ta_ncnn_fail(
            r, TA_ERR_UNAVAILABLE,
            "weights in format 0x%08x at byte %zu of %s; only fp32 (0) and fp16 (0x%08x) can be imported", tag,
            r->bin_at, r->bin_path, TAG_FP16);
    r->bin_at += sizeof(tag);
    *half = tag == TAG_FP16;
    return 0;
}

int ta_ncnn_weights(ta_ncnn_reader *r, size_t count, bool tagged, int *blob)
{
    bool half = false;
    int ret = tagged ? read_tag(r, &half) : 0;

    if (ret < 0)
        return ret;
    size_t bytes = half ? (count * 2 + 3) / 4 * 4 : count * 4;
    if (count > TA_NCNN_BIN_SIZE || r->bin_size - r->bin_at < bytes)
        return cut_off(r, bytes);
    float *data = ta_graph_blob(&r->graph, count, blob);
    if (!data)
        return ta_no_memory(r->err);
    const char *from = r->bin + r->bin_at;
    if (!half)
        memcpy(data, from, count * sizeof(*data));
    for (size_t i = 0; half && i < count; i++)
        data[i] = from_half(half_at(from + i * 2));
    for (size_t i = 0; i < count; i++)
        if (!isfinite(data[i]))
            return ta_ncnn_fail(r, TA_ERR_DATA, "weight %zu is no finite number (near byte %zu of %s)", i,
                                r->bin_at + i * (half ? 2 : 4), r->bin_path);
    r->bin_at += bytes;
    return 0;
}
