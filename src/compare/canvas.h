/* Shared inside compare: RGB pictures put together from frames, text and colours. */
#ifndef TA_COMPARE_CANVAS_H
#define TA_COMPARE_CANVAS_H

#include "compare/compare.h"

typedef struct ta_rgb {
    uint8_t r, g, b;
} ta_rgb;

/* The size at which frames are shown: square pixels, even numbers. */
typedef struct ta_view {
    int width, height;
    int letter; /* pixels a dot of the font */
    int bar;    /* height of a label */
} ta_view;
/* The view of a frame at its own height, or at `height` when that is not 0. */
ta_view ta_view_of(const AVFrame *f, int height);
/* The view for both: that of the taller. */
ta_view ta_view_of_both(const AVFrame *a, const AVFrame *b);

/* A black RGB24 picture. TA_ERR_USAGE when it is larger than 16384 a side or 100 million pixels. */
int ta_canvas_new(AVFrame **canvas, int64_t width, int64_t height, ta_error *err);
void ta_canvas_fill(AVFrame *canvas, int x, int y, int width, int height, ta_rgb colour);
/* Text in a box of one bar's height, shortened in its middle to fit; at the left, or at the right end. */
void ta_canvas_text(AVFrame *canvas, const ta_view *v, int x, int y, int width, const char *text, bool right);
/* Copies a picture of the same kind into another. */
void ta_canvas_put(AVFrame *canvas, int x, int y, const AVFrame *picture);

/* The colours of the difference, 0 .. 255: perceptually even and readable with any colour vision (viridis, CC0). */
ta_rgb ta_heat_colour(int level);
typedef struct ta_heat {
    int scale;   /* difference in 8-bit steps that gets the last colour */
    double mean; /* of all samples, in 8-bit steps */
    double max;
} ta_heat;
/* The heat map of two frames at the view's size. `heat->scale` 0 is chosen: the least of 8, 16, 32 .. 256 that 99 %
 * of the picture keep to. */
int ta_heat_map(AVFrame **map, const AVFrame *a, const AVFrame *b, const ta_view *v, ta_heat *heat, ta_error *err);
/* What the end of the scale means: "64+", or "255". Returns its length. */
int ta_heat_last(const ta_heat *heat, char last[16]);
/* A bar with values, `width` wide, for a canvas. */
void ta_heat_legend(AVFrame *canvas, const ta_view *v, int x, int y, int width, const ta_heat *heat);

/* A frame of RGB24 at the view's size. */
int ta_view_frame(AVFrame **out, const AVFrame *f, const ta_view *v, ta_error *err);

/* Two names and a moment, and which pictures of them are wanted. */
typedef struct ta_shot {
    AVFrame *a, *b; /* with the same view: sides cut where one file has them and the other not */
    int64_t us;
} ta_shot;
int ta_shot_take(ta_shot *s, const ta_pair *pair, ta_error *err);
/* The pair that is shown at a moment. TA_ERR_USAGE when there is none. */
int ta_shot_at(ta_shot *s, const ta_comparison *c, int64_t us, ta_cancel *cancel, ta_error *err);
void ta_shot_free(ta_shot *s);
/* How large ta_panels_draw's result is. */
void ta_panels_size(const ta_view *v, unsigned modes, int *width, int *height);
/* Draws the labelled pictures of a moment into a canvas at `y`. `scale` as in ta_heat. */
int ta_panels_draw(AVFrame *canvas, int y, const ta_shot *s, const ta_comparison *c, const ta_view *v, int scale,
                   ta_error *err);

/* ---- HTML ------------------------------------------------------------------------------------------------------ */

void ta_html_text(ta_buf *b, const char *text);  /* with & < > " ' escaped, and no broken UTF-8 */
void ta_html_head(ta_buf *b, const char *title); /* up to and with <main><h1> */
void ta_html_end(ta_buf *b);
/* <img> with the picture as a data: URI. `class` may be NULL. */
int ta_html_image(ta_buf *b, const AVFrame *rgb, const char *class, const char *alt, ta_error *err);
int ta_html_write(ta_buf *b, const char *path, bool overwrite, ta_error *err);

#endif
