/* Which engine runs a job's models: what the settings say, with every auto resolved, so that a plan can name it. */
#include "neural/neural.h"

static int choose_engine(const ta_settings *s, ta_session_options *o, ta_error *err)
{
    o->device = ta_get_is(s, TA_SET_neural_device, "cuda")       ? TA_DEVICE_CUDA
                : ta_get_is(s, TA_SET_neural_device, "tensorrt") ? TA_DEVICE_TENSORRT
                                                                 : TA_DEVICE_CPU;
    bool automatic = ta_get_is(s, TA_SET_neural_engine, "auto");
    bool openvino = automatic ? o->device == TA_DEVICE_CPU : ta_get_is(s, TA_SET_neural_engine, "openvino");
    o->engine = openvino ? TA_ENGINE_OPENVINO : TA_ENGINE_ONNXRUNTIME;
    if (!openvino || o->device == TA_DEVICE_CPU)
        return 0;
    ta_fail(err, TA_ERR_USAGE, "neural-engine openvino runs models on the CPU only, and neural-device is %s",
            ta_get_text(s, TA_SET_neural_device));
    return ta_hint(err, "use --neural-engine onnxruntime, or --neural-device cpu");
}

static int choose_precision(const ta_settings *s, ta_session_options *o, ta_error *err)
{
    bool could = o->engine == TA_ENGINE_OPENVINO && ta_cpu_has_bf16();
    bool wanted = ta_get_is(s, TA_SET_neural_precision, "bf16");
    o->precision =
        wanted || (could && ta_get_is(s, TA_SET_neural_precision, "auto")) ? TA_PRECISION_BF16 : TA_PRECISION_FP32;
    if (!wanted || could)
        return 0;
    ta_fail(err, TA_ERR_UNAVAILABLE, "neural-precision bf16: %s",
            o->engine == TA_ENGINE_OPENVINO ? "this CPU has no instructions for it"
                                            : "ONNX Runtime computes in fp32 here");
    return ta_hint(err, "use --neural-precision auto");
}

int ta_engine_choose(const ta_settings *s, const char *who, ta_session_options *o, ta_engine_info *info, ta_error *err)
{
    *o = (ta_session_options){ .threads = (int)ta_get_int(s, TA_SET_threads) };
    o->threads = o->threads ? o->threads : ta_cpu_count();
    int r = choose_engine(s, o, err);
    if (r >= 0)
        r = choose_precision(s, o, err);
    if (r < 0)
        return r;
    ta_engine_look(o->engine, info);
    if (info->found)
        return 0;
    ta_fail(err, TA_ERR_UNAVAILABLE, "%s needs %s: %s", who, info->title, info->problem);
    return ta_hint(err, "%s", info->advice);
}
