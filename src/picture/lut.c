/* 3D look-up tables: the Adobe Cube LUT Specification 1.0 read and written, mixing, and the change of domain. */
#include <ctype.h>
#include <math.h>

#include "picture/picture.h"

enum { MAX_SIZE = 129, MAX_FILE = 160 << 20 };

/* A file being read. */
typedef struct reader {
    ta_lut *lut;
    const char *path;
    int line;
    size_t rows, want; /* triples read, and those that there must be */
    bool has_min, has_max, has_title;
    ta_error *err;
} reader;

static int bad(reader *r, const char *what, const char *word)
{
    return ta_fail(r->err, TA_ERR_DATA, "%s, line %d: %s%s%.60s%s", r->path, r->line, what, word ? " '" : "",
                   word ? word : "", word ? "'" : "");
}

static int no_1d(reader *r)
{
    bad(r, "a 1D table (LUT_1D_SIZE); only 3D tables can be used", NULL);
    return ta_hint(r->err, "convert it to a 3D table, for example with `ociobakelut`");
}

/* One number; moves *s behind it. Nothing but plain decimal notation. */
static bool number(const char **s, float *v)
{
    while (isblank((unsigned char)**s))
        (*s)++;
    if (!strchr("+-.0123456789", **s) || !**s || ((*s)[0] == '0' && tolower((*s)[1]) == 'x'))
        return false;
    char *end;
    *v = strtof(*s, &end);
    if (end == *s || !isfinite(*v) || (*end && !isspace((unsigned char)*end)))
        return false;
    *s = end;
    return true;
}

static bool numbers(const char *s, float *v, int n)
{
    for (int i = 0; i < n; i++)
        if (!number(&s, &v[i]))
            return false;
    while (isspace((unsigned char)*s))
        s++;
    return !*s || *s == '#';
}

static int read_size(reader *r, const char *s)
{
    float size;
    if (r->lut->rgb)
        return bad(r, "a second LUT_3D_SIZE", NULL);
    if (!numbers(s, &size, 1) || size != rintf(size) || size < 2 || size > MAX_SIZE)
        return bad(r, "LUT_3D_SIZE must be a whole number from 2 to 129, not", s);
    r->lut->size = (int)size;
    r->want = (size_t)r->lut->size * (size_t)r->lut->size * (size_t)r->lut->size;
    r->lut->rgb = ta_array(r->want, 3 * sizeof(float));
    return r->lut->rgb ? 0 : ta_no_memory(r->err);
}

static int read_title(reader *r, const char *s)
{
    const char *open = strchr(s, '"'), *close = open ? strchr(open + 1, '"') : NULL;
    if (r->has_title || !close)
        return bad(r, "TITLE needs one text in quotes", NULL);
    r->has_title = true;
    snprintf(r->lut->title, sizeof r->lut->title, "%.*s", (int)TA_MIN(close - open - 1, 127), open + 1);
    return 0;
}

static int read_domain(reader *r, const char *s, bool max)
{
    bool *seen = max ? &r->has_max : &r->has_min;
    if (*seen || !numbers(s, max ? r->lut->max : r->lut->min, 3))
        return bad(r, max ? "DOMAIN_MAX needs three numbers, once" : "DOMAIN_MIN needs three numbers, once", NULL);
    *seen = true;
    return 0;
}

/* Resolve's form of the domain. */
static int read_range(reader *r, const char *s)
{
    float v[2];
    if (r->has_min || r->has_max || !numbers(s, v, 2))
        return bad(r, "LUT_3D_INPUT_RANGE needs two numbers, and no DOMAIN beside it", NULL);
    for (int c = 0; c < 3; c++) {
        r->lut->min[c] = v[0];
        r->lut->max[c] = v[1];
    }
    r->has_min = r->has_max = true;
    return 0;
}

static int read_keyword(reader *r, const char *line)
{
    size_t n = strcspn(line, " \t");
    const char *rest = line + n;
    char word[24];
    snprintf(word, sizeof word, "%.*s", (int)TA_MIN(n, 23), line);
    if (r->rows)
        return bad(r, "a keyword between the numbers:", word);
    if (ta_streq(word, "LUT_3D_SIZE"))
        return read_size(r, rest);
    if (ta_streq(word, "LUT_1D_SIZE"))
        return no_1d(r);
    if (ta_streq(word, "TITLE"))
        return read_title(r, rest);
    if (ta_streq(word, "DOMAIN_MIN") || ta_streq(word, "DOMAIN_MAX"))
        return read_domain(r, rest, word[8] == 'A');
    if (ta_streq(word, "LUT_3D_INPUT_RANGE"))
        return read_range(r, rest);
    return bad(r, "unknown word", word);
}

static int read_row(reader *r, const char *line)
{
    if (!r->lut->rgb)
        return bad(r, "numbers before LUT_3D_SIZE", NULL);
    if (r->rows == r->want)
        return bad(r, "more rows than LUT_3D_SIZE says", NULL);
    if (!numbers(line, &r->lut->rgb[3 * r->rows], 3))
        return bad(r, "three numbers are expected, not", line);
    r->rows++;
    return 0;
}

static int read_line(reader *r, char *line)
{
    while (isblank((unsigned char)*line))
        line++;
    size_t n = strlen(line);
    while (n && isspace((unsigned char)line[n - 1]))
        line[--n] = 0;
    if (!n || *line == '#')
        return 0;
    return isalpha((unsigned char)*line) ? read_keyword(r, line) : read_row(r, line);
}

static int check_whole(reader *r)
{
    const ta_lut *l = r->lut;
    if (!l->rgb)
        return ta_fail(r->err, TA_ERR_DATA, "%s is no 3D table: it has no LUT_3D_SIZE", r->path);
    if (r->rows != r->want)
        return ta_fail(r->err, TA_ERR_DATA, "%s ends after %zu of %zu rows", r->path, r->rows, r->want);
    for (int c = 0; c < 3; c++)
        if (!(l->min[c] < l->max[c]))
            return ta_fail(r->err, TA_ERR_DATA, "%s: DOMAIN_MIN %g isn't below DOMAIN_MAX %g", r->path, l->min[c],
                           l->max[c]);
    return 0;
}

int ta_lut_read(ta_lut *lut, const char *path, ta_error *err)
{
    char *data = NULL;
    size_t size = 0;
    *lut = (ta_lut){ .max = { 1, 1, 1 } };
    int r = ta_read_file(path, MAX_FILE, &data, &size, err);
    if (r < 0)
        return r;
    reader rd = { .lut = lut, .path = path, .err = err };
    char *line = data;
    if (size >= 3 && !memcmp(data, "\xef\xbb\xbf", 3))
        line += 3;
    if (memchr(data, 0, size))
        r = ta_fail(err, TA_ERR_DATA, "%s is no text file", path);
    while (r >= 0 && *line) {
        char *end = line + strcspn(line, "\n");
        bool more = *end;
        *end = 0;
        rd.line++;
        r = read_line(&rd, line);
        line = end + more;
    }
    if (r >= 0)
        r = check_whole(&rd);
    ta_free(data);
    if (r < 0)
        ta_lut_free(lut);
    return r;
}

void ta_lut_free(ta_lut *lut)
{
    ta_freep(&lut->rgb);
    lut->size = 0;
}

int ta_lut_write(const ta_lut *lut, const char *path, ta_error *err)
{
    ta_buf b = { 0 };
    if (lut->title[0])
        ta_buf_addf(&b, "TITLE \"%s\"\n", lut->title);
    ta_buf_addf(&b, "LUT_3D_SIZE %d\n", lut->size);
    ta_buf_addf(&b, "DOMAIN_MIN %.9g %.9g %.9g\n", lut->min[0], lut->min[1], lut->min[2]);
    ta_buf_addf(&b, "DOMAIN_MAX %.9g %.9g %.9g\n", lut->max[0], lut->max[1], lut->max[2]);
    size_t rows = (size_t)lut->size * (size_t)lut->size * (size_t)lut->size;
    for (size_t i = 0; i < rows; i++)
        ta_buf_addf(&b, "%.9g %.9g %.9g\n", lut->rgb[3 * i], lut->rgb[3 * i + 1], lut->rgb[3 * i + 2]);
    int r = b.failed ? ta_no_memory(err) : ta_write_file(path, b.data, b.len, true, err);
    ta_buf_free(&b);
    return r;
}

/* ---- Values ----------------------------------------------------------------------------------------------------- */

void ta_lut_mix(ta_lut *lut, float strength)
{
    size_t n = (size_t)lut->size, i = 0;
    for (size_t b = 0; b < n; b++)
        for (size_t g = 0; g < n; g++)
            for (size_t r = 0; r < n; r++, i++) {
                const size_t at[3] = { r, g, b };
                for (int c = 0; c < 3; c++) {
                    float same = lut->min[c] + (lut->max[c] - lut->min[c]) * (float)at[c] / (float)(n - 1);
                    float *v = &lut->rgb[3 * i + (size_t)c];
                    *v = same + strength * (*v - same);
                }
            }
}

/* Trilinear interpolation at `x` in the table's domain, clamped to it. */
static void look_up(const ta_lut *l, const float x[3], float out[3])
{
    size_t n = (size_t)l->size, lo[3];
    float part[3];
    for (int c = 0; c < 3; c++) {
        float at = (x[c] - l->min[c]) / (l->max[c] - l->min[c]) * (float)(n - 1);
        at = TA_CLAMP(at, 0.0f, (float)(n - 1));
        lo[c] = TA_MIN((size_t)at, n - 2);
        part[c] = at - (float)lo[c];
    }
    out[0] = out[1] = out[2] = 0;
    for (int corner = 0; corner < 8; corner++) {
        float weight = 1;
        size_t i = 0, stride = 1;
        for (int c = 0; c < 3; c++, stride *= n) {
            size_t up = corner >> c & 1;
            weight *= up ? part[c] : 1 - part[c];
            i += (lo[c] + up) * stride;
        }
        for (int c = 0; c < 3; c++)
            out[c] += weight * l->rgb[3 * i + (size_t)c];
    }
}

int ta_lut_to_unit(ta_lut *lut, ta_error *err)
{
    bool unit = true;
    for (int c = 0; c < 3; c++)
        unit &= lut->min[c] == 0 && lut->max[c] == 1;
    if (unit)
        return 0;
    ta_lut new = { .size = TA_CLAMP(lut->size, 65, MAX_SIZE), .max = { 1, 1, 1 } };
    size_t n = (size_t) new.size, i = 0;
    new.rgb = ta_array(n * n * n, 3 * sizeof(float));
    if (!new.rgb)
        return ta_no_memory(err);
    for (size_t b = 0; b < n; b++)
        for (size_t g = 0; g < n; g++)
            for (size_t r = 0; r < n; r++, i++) {
                float last = (float)(n - 1), x[3] = { (float)r / last, (float)g / last, (float)b / last };
                look_up(lut, x, &new.rgb[3 * i]);
            }
    memcpy(new.title, lut->title, sizeof new.title);
    ta_lut_free(lut);
    *lut = new;
    return 0;
}
