/* doctor: what enlarges the picture, and the models for it. */
#include "cli/doctor.h"

void ta_doctor_engines(ta_findings *f)
{
    ta_found(f, "engines", TA_FOUND_FINE, "classic", NULL, "lanczos, bicubic, bilinear, spline, neighbor");
    ta_found(f, "engines", TA_FOUND_ABSENT, "realesrgan", "use --engine classic, or auto, which is the same here",
             "not in this version");
    ta_found(f, "engines", TA_FOUND_ABSENT, "rtxvideo", "use --engine classic, or auto, which is the same here",
             "not in this version");
    ta_found(f, "models", TA_FOUND_FINE, "models", NULL, "none are needed: no engine of this version reads one");
}
