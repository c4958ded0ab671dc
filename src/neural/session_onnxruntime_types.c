/* Between fp32, which sessions speak, and what else a model's border may be made of. fp16 as in IEEE 754-2008. */
#include "neural/session_onnxruntime.h"

#include <math.h>
#include <string.h>

bool ta_ort_type_known(ONNXTensorElementDataType type)
{
    switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8:
        return true;
    default:
        return false;
    }
}

/* To the nearest, ties to even. */
static uint16_t half_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
    if (rest > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (rest >= 0x477ff000u) /* rounds to more than 65504 */
        return (uint16_t)(sign | 0x7c00u);
    if (rest < 0x38800000u) /* below 2^-14: in steps of 2^-24 */
        return (uint16_t)(sign | (uint32_t)lrintf(fabsf(f) * 16777216.0f));
    uint32_t rounded = rest + 0xfffu + (rest >> 13 & 1);
    return (uint16_t)(sign | ((rounded - 0x38000000u) >> 13));
}

static float float_of(uint16_t half)
{
    int exponent = half >> 10 & 31;
    float fraction = (float)(half & 1023) / 1024, value;
    if (exponent == 31)
        value = half & 1023 ? NAN : INFINITY;
    else
        value = exponent ? ldexpf(1 + fraction, exponent - 15) : ldexpf(fraction, -14);
    return half & 0x8000 ? -value : value;
}

/* Not a number becomes the least. */
static int64_t whole(float f, int64_t least, int64_t most)
{
    return f >= (float)most ? most : f > (float)least ? (int64_t)llrintf(f) : least;
}

void ta_ort_from_float(ONNXTensorElementDataType type, const float *from, void *to, size_t count)
{
    for (size_t i = 0; i < count; i++)
        switch (type) {
        case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE:
            ((double *)to)[i] = (double)from[i];
            break;
        case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16:
            ((uint16_t *)to)[i] = half_of(from[i]);
            break;
        case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64:
            ((int64_t *)to)[i] = whole(from[i], INT64_MIN, INT64_MAX);
            break;
        case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32:
            ((int32_t *)to)[i] = (int32_t)whole(from[i], INT32_MIN, INT32_MAX);
            break;
        case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8:
            ((uint8_t *)to)[i] = (uint8_t)whole(from[i], 0, UINT8_MAX);
            break;
        default:
            ((float *)to)[i] = from[i];
            break;
        }
}

void ta_ort_to_float(ONNXTensorElementDataType type, const void *from, float *to, size_t count)
{
    for (size_t i = 0; i < count; i++)
        switch (type) {
        case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE:
            to[i] = (float)((const double *)from)[i];
            break;
        case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16:
            to[i] = float_of(((const uint16_t *)from)[i]);
            break;
        case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64:
            to[i] = (float)((const int64_t *)from)[i];
            break;
        case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32:
            to[i] = (float)((const int32_t *)from)[i];
            break;
        case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8:
            to[i] = (float)((const uint8_t *)from)[i];
            break;
        default:
            to[i] = ((const float *)from)[i];
            break;
        }
}
