/* Containers: which muxer, and what it can hold. */
#include <strings.h>

#include "restore/internal.h"

static const ta_container containers[] = {
    { "mkv", "matroska", true },
    { "mp4", "mp4", true },
    { "mov", "mov", true },
    { "webm", "webm", true },
};

static const ta_container *find(const char *name)
{
    for (size_t i = 0; i < TA_COUNT(containers); i++)
        if (strcasecmp(containers[i].name, name) == 0)
            return &containers[i];
    if (strcasecmp(name, "m4v") == 0 || strcasecmp(name, "m4a") == 0)
        return find("mp4");
    return strcasecmp(name, "mka") == 0 ? find("mkv") : NULL;
}

int ta_container_choose(const ta_settings *s, const char *output, const ta_container **c, ta_error *err)
{
    const char *setting = ta_get_text(s, TA_SET_container);
    const char *ext = output && !ta_is_dir(output) ? ta_path_ext(output) : "";
    const ta_container *by_name = find(setting), *by_ext = ext[0] ? find(ext) : NULL;
    if (ext[0] && !by_ext) {
        ta_fail(err, TA_ERR_USAGE, "'%s': no container is called '.%s'", output, ext);
        return ta_hint(err, "end the output's name with .mkv, .mp4, .mov or .webm");
    }
    if (by_name && by_ext && by_name != by_ext) {
        ta_fail(err, TA_ERR_USAGE, "container %s contradicts the output's name '%s'", setting, output);
        return ta_hint(err, "leave out --container, or change the extension");
    }
    *c = by_name ? by_name : by_ext ? by_ext : &containers[0];
    return 0;
}

bool ta_container_holds(const ta_container *c, enum AVCodecID codec)
{
    const AVOutputFormat *f = av_guess_format(c->muxer, NULL, NULL);
    return f && avformat_query_codec(f, codec, FF_COMPLIANCE_NORMAL) == 1;
}

enum AVCodecID ta_container_text(const ta_container *c)
{
    static const enum AVCodecID kinds[] = { AV_CODEC_ID_SUBRIP, AV_CODEC_ID_MOV_TEXT, AV_CODEC_ID_WEBVTT };
    for (size_t i = 0; i < TA_COUNT(kinds); i++)
        if (ta_container_holds(c, kinds[i]))
            return kinds[i];
    return AV_CODEC_ID_NONE;
}
