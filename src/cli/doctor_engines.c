/* doctor: what enlarges the picture, and the models for it. */
#include "cli/doctor.h"

#include "neural/neural.h"

/* A library that runs models; optional. */
static void runtime(ta_findings *f, ta_engine engine)
{
    ta_engine_info info;
    ta_engine_look(engine, &info);
    if (info.found)
        ta_found(f, "engines", TA_FOUND_FINE, info.name, NULL, "%s %s for %s, %s%s", info.title, info.version,
                 info.devices, info.path, engine == TA_ENGINE_OPENVINO && ta_cpu_has_bf16() ? ", with bf16" : "");
    else
        ta_found(f, "engines", TA_FOUND_ABSENT, info.name, info.advice, "%s", info.problem);
}

static void realesrgan(ta_findings *f)
{
    ta_engine_info openvino, other;
    ta_engine_look(TA_ENGINE_OPENVINO, &openvino);
    ta_engine_look(TA_ENGINE_ONNXRUNTIME, &other);
    if (openvino.found || other.found)
        ta_found(f, "engines", TA_FOUND_FINE, "realesrgan", NULL, "by %s, with the model of upscale-model%s",
                 openvino.found ? openvino.title : other.title,
                 openvino.found ? "" : " and --neural-engine onnxruntime");
    else
        ta_found(f, "engines", TA_FOUND_ABSENT, "realesrgan", openvino.advice, "needs OpenVINO or ONNX Runtime");
}

void ta_doctor_engines(ta_findings *f)
{
    ta_found(f, "engines", TA_FOUND_FINE, "classic", NULL, "lanczos, bicubic, bilinear, spline, neighbor");
    runtime(f, TA_ENGINE_OPENVINO);
    runtime(f, TA_ENGINE_ONNXRUNTIME);
    realesrgan(f);
    ta_found(f, "engines", TA_FOUND_ABSENT, "rtxvideo", "use --engine classic, or auto, which is the same here",
             "not in this version");
    ta_found(f, "models", TA_FOUND_FINE, "models", NULL,
             "`terminalai models list` shows them; restoring works without any");
}
