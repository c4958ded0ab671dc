/* Presets side by side: the real chain of each, run on a short piece. */
#include <unistd.h>

#include "compare/canvas.h"

enum { GAP = 4, MOST_COLUMNS = 3, CELLS = 32 };
/* Temporal filters need what lies before the moment; deinterlacers what follows. */
static const int64_t lead_in_us = 1500000, lead_out_us = 300000;

typedef struct grid {
    const ta_preset_grid *g;
    ta_cancel *cancel;
    ta_job_folder *folder;
    AVFrame *cell[CELLS]; /* of one moment: the source, then the presets */
    ta_buf html;
    AVFrame *canvas;
    ta_view view;
} grid;

static const char *cell_name(const grid *x, int i)
{
    return i ? ta_path_base(x->g->presets[i - 1]) : "source";
}

/* The user's own files and environment count here as they do for restore; these words win over all. */
static int settings_for(ta_settings **s, const char *preset, int64_t start_us, int64_t end_us, ta_error *err)
{
    char from[32], to[32];
    const struct {
        const char *name, *value;
    } words[] = { { "preset", preset },
                  { "start", ta_print_time(start_us, from) },
                  { "end", ta_print_time(end_us, to) },
                  { "encoder", "libx264" }, /* all but lossless, and small */
                  { "encoder-preset", "ultrafast" },
                  { "crf", "2" },
                  { "container", "mkv" },
                  { "audio-tracks", "none" },
                  { "subtitles", "none" },
                  { "yes", "yes" } };
    *s = ta_settings_new();
    int r = *s ? ta_settings_load(*s, err) : ta_no_memory(err);
    for (size_t i = 0; r >= 0 && i < TA_COUNT(words); i++)
        r = ta_settings_set(*s, words[i].name, words[i].value, TA_FROM_COMMAND_LINE, "--presets", err);
    return r < 0 ? r : ta_settings_resolve(*s, NULL, err);
}

static int run_preset(grid *x, const char *preset, const char *file, int64_t at_us, int64_t *start_us, ta_error *err)
{
    ta_settings *s = NULL;
    ta_job *job = NULL;
    *start_us = TA_MAX(at_us - lead_in_us, 0);
    int r = settings_for(&s, preset, *start_us, at_us + lead_out_us, err);
    if (r >= 0)
        r = ta_job_new(&job, s, x->g->input, file, err);
    if (r >= 0)
        r = ta_job_link(job, x->cancel, err);
    if (r >= 0)
        r = ta_job_run(job, err);
    ta_job_free(&job);
    ta_settings_free(&s);
    return r < 0 ? ta_wrap(err, "preset '%s'", preset), r : 0;
}

/* The frame of a preset at a moment; its piece is removed at once. */
static int preset_frame(grid *x, const char *preset, int64_t at_us, AVFrame **out, ta_error *err)
{
    int64_t start_us = 0;
    char *file = ta_job_folder_file(x->folder, "piece.mkv"), *sidecar = ta_job_folder_file(x->folder, "piece.mkv.json");
    int r = file && sidecar ? run_preset(x, preset, file, at_us, &start_us, err) : ta_no_memory(err);
    if (r >= 0)
        r = ta_frame_at(file, at_us - start_us, x->cancel, out, err);
    if (file)
        unlink(file);
    if (sidecar)
        unlink(sidecar);
    ta_free(file);
    ta_free(sidecar);
    return r;
}

static int source_frame(grid *x, int64_t at_us, AVFrame **out, ta_error *err)
{
    ta_input *in = NULL;
    int r = ta_input_open(&in, x->g->input, x->cancel, err);
    if (r < 0)
        return r;
    int64_t start = ta_input_start_us(in), length = ta_input_duration_us(in);
    ta_input_close(&in);
    if (length > 0 && at_us >= length)
        return ta_fail(err, TA_ERR_USAGE, "--at is behind the end of '%s'", x->g->input);
    return ta_frame_at(x->g->input, start + at_us, x->cancel, out, err);
}

static void free_cells(grid *x)
{
    for (int i = 0; i < CELLS; i++)
        av_frame_free(&x->cell[i]);
}

static int fill_cells(grid *x, int64_t at_us, ta_error *err)
{
    int r = source_frame(x, at_us, &x->cell[0], err);
    for (int i = 1; r >= 0 && i <= x->g->n_presets; i++)
        r = preset_frame(x, x->g->presets[i - 1], at_us, &x->cell[i], err);
    return r;
}

/* All cells have the height of the tallest picture, and the width of the widest then. */
static ta_view common_view(const grid *x)
{
    ta_view v = { 0 };
    int height = 0;
    for (int i = 0; i <= x->g->n_presets; i++)
        height = TA_MAX(height, x->cell[i]->height);
    for (int i = 0; i <= x->g->n_presets; i++) {
        ta_view one = ta_view_of(x->cell[i], height);
        if (one.width > v.width)
            v = one;
    }
    return v;
}

/* ---- PNG ------------------------------------------------------------------------------------------------------- */

static int columns(const grid *x)
{
    int n = x->g->n_presets + 1;
    return n == 4 ? 2 : TA_MIN(n, MOST_COLUMNS);
}

static int block_height(const grid *x)
{
    int rows = (x->g->n_presets + columns(x)) / columns(x);
    return rows * (x->view.bar + x->view.height + GAP);
}

static int draw_cell(grid *x, int i, int y, const char *time, ta_error *err)
{
    ta_view one = ta_view_of(x->cell[i], x->view.height);
    int left = i % columns(x) * (x->view.width + GAP), margin = 2 * x->view.letter;
    y += i / columns(x) * (x->view.bar + x->view.height + GAP);
    char *text = i ? ta_format("%s", cell_name(x, i)) : ta_format("source  %s  %s", time, ta_path_base(x->g->input));
    if (!text)
        return ta_no_memory(err);
    ta_canvas_text(x->canvas, &x->view, left + margin, y, x->view.width - 2 * margin, text, false);
    ta_free(text);
    return ta_draw(x->canvas, left + (x->view.width - one.width) / 2, y + x->view.bar, one.width, one.height,
                   x->cell[i], err);
}

static int add_to_png(grid *x, int moment, const char *time, ta_error *err)
{
    int r = 0, across = columns(x);
    if (!x->canvas) {
        x->view = common_view(x);
        r = ta_canvas_new(&x->canvas, (int64_t)across * (x->view.width + GAP) - GAP,
                          (int64_t)x->g->count * block_height(x) - GAP, err);
    }
    for (int i = 0; r >= 0 && i <= x->g->n_presets; i++)
        r = draw_cell(x, i, moment * block_height(x), time, err);
    return r;
}

/* ---- HTML ------------------------------------------------------------------------------------------------------ */

static int add_figure(grid *x, int i, const char *time, ta_error *err)
{
    ta_view v = ta_view_of(x->cell[i], 0);
    AVFrame *rgb = NULL;
    char *alt = ta_format("%s, %s at %s", ta_path_base(x->g->input), cell_name(x, i), time);
    int r = alt ? ta_view_frame(&rgb, x->cell[i], &v, err) : ta_no_memory(err);
    ta_buf_add(&x->html, "<figure>\n");
    if (r >= 0)
        r = ta_html_image(&x->html, rgb, NULL, alt, err);
    ta_buf_add(&x->html, "<figcaption>");
    ta_html_text(&x->html, cell_name(x, i));
    ta_buf_addf(&x->html, " (%dx%d)</figcaption></figure>\n", v.width, v.height);
    av_frame_free(&rgb);
    ta_free(alt);
    return r;
}

static int add_to_html(grid *x, const char *time, ta_error *err)
{
    int r = 0;
    ta_buf_addf(&x->html, "<section>\n<h2>At %s</h2>\n<div class=\"grid\">\n", time);
    for (int i = 0; r >= 0 && i <= x->g->n_presets; i++)
        r = add_figure(x, i, time, err);
    ta_buf_add(&x->html, "</div>\n</section>\n");
    return r;
}

static int add_moment(grid *x, int moment, bool html, ta_error *err)
{
    char time[32];
    int r = fill_cells(x, x->g->at[moment], err);
    ta_print_time(x->g->at[moment], time);
    if (r >= 0)
        r = html ? add_to_html(x, time, err) : add_to_png(x, moment, time, err);
    free_cells(x);
    return r;
}

static int write_grid(grid *x, bool html, ta_error *err)
{
    if (!html)
        return ta_png_write(x->canvas, x->g->output, x->g->overwrite, err);
    ta_html_end(&x->html);
    return ta_html_write(&x->html, x->g->output, x->g->overwrite, err);
}

int ta_compare_presets(const ta_preset_grid *g, ta_cancel *cancel, ta_error *err)
{
    grid x = { .g = g, .cancel = cancel };
    bool html = ta_ends(g->output, ".html");
    if (g->n_presets < 1 || g->n_presets >= CELLS)
        return ta_fail(err, TA_ERR_USAGE, "--presets takes 1 to %d presets", CELLS - 1);
    int r = ta_job_folder_open(&x.folder, g->output, NULL, err);
    if (html) {
        char *title = ta_format("%s with %d presets", ta_path_base(g->input), g->n_presets);
        ta_html_head(&x.html, title ? title : "");
        ta_free(title);
    }
    for (int i = 0; r >= 0 && i < g->count; i++)
        r = add_moment(&x, i, html, err);
    if (r >= 0)
        r = write_grid(&x, html, err);
    free_cells(&x);
    av_frame_free(&x.canvas);
    ta_buf_free(&x.html);
    ta_job_folder_close(&x.folder, false);
    return r;
}
