/* Pieces of a report that is one HTML file: no script, nothing fetched (its own policy forbids it). */
#include <libavutil/base64.h>
#include <string.h>

#include "compare/canvas.h"

static const char style[] =
    ":root{color-scheme:light dark;--back:#fff;--ink:#1b1d21;--dim:#5b6270;--line:#d5d9e0;--mark:#0b62d6}\n"
    "@media(prefers-color-scheme:dark){:root{--back:#14161a;--ink:#e6e8ec;--dim:#9aa3b2;--line:#363b45;--mark:#6aa8ff}}"
    "\n"
    "*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--ink);font:16px/1.5 "
    "system-ui,sans-serif}\n"
    "main{max-width:1400px;margin:0 auto;padding:16px}h1{font-size:1.5rem;overflow-wrap:anywhere}h2{font-size:1.2rem}\n"
    "img{display:block;width:100%;height:auto}figure{margin:0 0 16px;min-width:0}figcaption{color:var(--dim);"
    "overflow-wrap:anywhere;padding:4px 0}\n"
    ".grid{display:grid;gap:16px;grid-template-columns:repeat(auto-fit,minmax(min(100%,320px),1fr))}\n"
    ".scroll{overflow-x:auto}table{border-collapse:collapse}th,td{border-bottom:1px solid var(--line);padding:4px 12px "
    "4px 0;"
    "text-align:right;font-variant-numeric:tabular-nums}th:first-child{text-align:left}\n"
    "fieldset{border:0;margin:0 0 16px;padding:0;min-width:0}legend{color:var(--dim);padding:4px 0}\n"
    ".cut>input{position:relative;z-index:2;appearance:none;margin:0;float:left;height:36px;width:calc(100%/21);"
    "cursor:ew-resize;border-bottom:6px solid var(--line)}\n"
    ".cut>input:checked{border-bottom-color:var(--mark)}.cut>input:focus-visible{outline:2px solid var(--mark)}\n"
    ".cut>.pair{clear:both;position:relative}.pair>.b{position:absolute;inset:0;height:100%}\n"
    ".legend{height:16px;border:1px solid var(--line)}.values{display:flex;justify-content:space-between}\n";

enum { STOPS = 21 };

/* The chosen one of 21 places moves the cut; without any script. */
static void add_cut_rules(ta_buf *b)
{
    for (int i = 0; i < STOPS; i++)
        ta_buf_addf(b, ".cut>input:nth-of-type(%d):checked~.pair>.b{clip-path:inset(0 0 0 %d%%)}\n", i + 1,
                    i * 100 / (STOPS - 1));
    ta_buf_add(b, ".legend{background:linear-gradient(90deg");
    for (int i = 0; i < 10; i++) {
        ta_rgb c = ta_heat_colour(i * 255 / 9);
        ta_buf_addf(b, ",#%02x%02x%02x", c.r, c.g, c.b);
    }
    ta_buf_add(b, ")}\n");
}

void ta_html_text(ta_buf *b, const char *text)
{
    static const char *const entity[128] = {
        ['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['"'] = "&quot;", ['\''] = "&#39;"
    };
    for (size_t left = strlen(text); left > 0;) {
        size_t n = ta_utf8_char(text, left);
        if (n == 1 && entity[(unsigned char)*text])
            ta_buf_add(b, entity[(unsigned char)*text]);
        else if (n)
            ta_buf_addn(b, (unsigned char)*text < ' ' ? " " : text, n);
        else
            ta_buf_add(b, "?");
        text += TA_MAX(n, 1);
        left -= TA_MAX(n, 1);
    }
}

void ta_html_head(ta_buf *b, const char *title)
{
    ta_buf_add(b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
                  "style-src 'unsafe-inline'\">\n<title>");
    ta_html_text(b, title);
    ta_buf_add(b, "</title>\n<style>\n");
    ta_buf_add(b, style);
    add_cut_rules(b);
    ta_buf_add(b, "</style>\n</head>\n<body>\n<main>\n<h1>");
    ta_html_text(b, title);
    ta_buf_add(b, "</h1>\n");
}

void ta_html_end(ta_buf *b)
{
    ta_buf_addf(b, "<p><small>Made by TerminalAI %s.</small></p>\n</main>\n</body>\n</html>\n", ta_version());
}

static int add_base64(ta_buf *b, const uint8_t *data, int size, ta_error *err)
{
    enum { PIECE = 3 * 4096 };
    char text[AV_BASE64_SIZE(PIECE)];
    for (int at = 0; at < size; at += PIECE) {
        av_base64_encode(text, sizeof text, data + at, TA_MIN(PIECE, size - at));
        ta_buf_add(b, text);
    }
    return b->failed ? ta_no_memory(err) : 0;
}

int ta_html_image(ta_buf *b, const AVFrame *rgb, const char *class, const char *alt, ta_error *err)
{
    AVPacket *pkt = av_packet_alloc();
    int r = pkt ? ta_png_encode(pkt, rgb, err) : ta_no_memory(err);
    if (r >= 0) {
        ta_buf_addf(b, "<img%s%s%s width=\"%d\" height=\"%d\" alt=\"", class ? " class=\"" : "", class ? class : "",
                    class ? "\"" : "", rgb->width, rgb->height);
        ta_html_text(b, alt);
        ta_buf_add(b, "\" src=\"data:image/png;base64,");
        r = add_base64(b, pkt->data, pkt->size, err);
        ta_buf_add(b, "\">\n");
    }
    av_packet_free(&pkt);
    return r;
}

int ta_html_write(ta_buf *b, const char *path, bool overwrite, ta_error *err)
{
    return b->failed ? ta_no_memory(err) : ta_write_file(path, b->data, b->len, overwrite, err);
}
