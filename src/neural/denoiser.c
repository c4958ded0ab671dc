/* What the denoisers share. */
#include "neural/denoiser.h"

#include <string.h>

static int fail_port(const ta_session *s, const char *kind, const char *name, ta_error *err)
{
    ta_session_info info;
    ta_session_get_info(s, &info);
    return ta_fail(err, TA_ERR_DATA, "model %s has no %s '%s'", info.name, kind, name);
}

int ta_denoiser_input(const ta_session *s, const char *name, int *index, ta_error *err)
{
    *index = ta_session_find_input(s, name);
    return *index < 0 ? fail_port(s, "input", name, err) : 0;
}

int ta_denoiser_output(const ta_session *s, const char *name, int *index, ta_error *err)
{
    *index = ta_session_find_output(s, name);
    return *index < 0 ? fail_port(s, "output", name, err) : 0;
}

void ta_denoiser_mean(const float *bins, int channels, int count, float *mean)
{
    if (mean != bins)
        memcpy(mean, bins, (size_t)count * sizeof *mean);
    for (int c = 1; c < channels; c++)
        for (int i = 0; i < count; i++)
            mean[i] += bins[(size_t)c * (size_t)count + (size_t)i];
    if (channels > 1)
        for (int i = 0; i < count; i++)
            mean[i] /= (float)channels;
}

void ta_denoiser_mix(float *out, const float *in, float noisy, int numbers)
{
    if (noisy > 0)
        for (int i = 0; i < numbers; i++)
            out[i] += noisy * (in[i] - out[i]);
}
