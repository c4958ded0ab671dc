# Small ncnn models, one for each layer and form that the importer knows, and what each computes, written out pixel by
# pixel from ncnn's documents. compare_ncnn.py runs the same models with ncnn itself, which proves these formulas.
import collections
import math
import struct

import numpy as np

Case = collections.namedtuple("Case", "name model expect size")


class Model:
    """The two files, layer by layer."""

    def __init__(self, channels=3):
        self.lines, self.bin, self.tensors, self.random = [], b"", 0, np.random.default_rng(7)
        self.add("Input", "", "in", {2: channels})

    def add(self, kind, inputs, outputs, params=None, **arrays):
        inputs, outputs = inputs.split(), outputs.split()
        words = [kind, f"layer{len(self.lines)}", len(inputs), len(outputs), *inputs, *outputs]
        words += [f"{key}={value}" for key, value in (params or {}).items()]
        words += [f"-233{int(key[1:]):02d}={len(value)},{','.join(map(str, value))}" for key, value in arrays.items()]
        self.lines.append(" ".join(map(str, words)))
        self.tensors += len(outputs)
        return self

    def weights(self, *shape, form="fp32"):
        """Random weights behind what is there; returned as they are read back."""
        w = self.random.uniform(-1, 1, shape).astype(np.float32)
        if form == "fp16":
            w = w.astype(np.float16)
            data = w.tobytes()
            self.bin += struct.pack("<I", 0x01306B47) + data + b"\0" * (-len(data) % 4)
        else:
            self.bin += (b"\0" * 4 if form == "fp32" else b"") + w.tobytes()
        return w.astype(np.float64)

    def text(self):
        return "\n".join(["7767517", f"{len(self.lines)} {self.tensors}", *self.lines]) + "\n"

    def write(self, stem):
        with open(stem + ".param", "w", encoding="ascii") as file:
            file.write(self.text())
        with open(stem + ".bin", "wb") as file:
            file.write(self.bin)


CASES = []


def case(size=(7, 9), name=None):
    def register(make):
        model, expect = make()
        CASES.append(Case(name or make.__name__, model, expect, size))
        return make
    return register


def at(x, c, y, z):
    """A pixel; zero outside."""
    return x[c, y, z] if 0 <= y < x.shape[1] and 0 <= z < x.shape[2] else 0.0


def clamped(x, c, y, z):
    return x[c, min(max(y, 0), x.shape[1] - 1), min(max(z, 0), x.shape[2] - 1)]


def by_pixel(channels, h, w, f):
    return np.array([[[f(c, y, z) for z in range(w)] for y in range(h)] for c in range(channels)])


def convolved(x, w, b, stride=(1, 1), dilation=(1, 1), pad=(0, 0, 0, 0), group=1):
    """pad: top, left, bottom, right."""
    outs, ins, kh, kw = w.shape
    h = (x.shape[1] + pad[0] + pad[2] - (kh - 1) * dilation[0] - 1) // stride[0] + 1
    width = (x.shape[2] + pad[1] + pad[3] - (kw - 1) * dilation[1] - 1) // stride[1] + 1
    return by_pixel(outs, h, width, lambda o, y, z: b[o] + sum(
        w[o, i, ky, kx] * at(x, o // (outs // group) * ins + i, y * stride[0] + ky * dilation[0] - pad[0],
                             z * stride[1] + kx * dilation[1] - pad[1])
        for i in range(ins) for ky in range(kh) for kx in range(kw)))


ACTIVATIONS = {0: ((), lambda v: v), 1: ((), lambda v: max(v, 0)), 2: ((.2,), lambda v: v if v > 0 else .2 * v),
               3: ((-.25, .5), lambda v: min(max(v, -.25), .5)), 4: ((), lambda v: 1 / (1 + math.exp(-v)))}


def conv_case(activation, form):
    numbers, f = ACTIVATIONS[activation]
    m = Model()
    more = {"a10": numbers} if numbers else {}
    m.add("Convolution", "in", "out", {0: 5, 1: 3, 4: 1, 5: 1, 6: 135, 9: activation}, **more)
    w, b = m.weights(5, 3, 3, 3, form=form), m.weights(5, form="raw")
    return m, lambda x: np.vectorize(f)(convolved(x, w, b, pad=(1, 1, 1, 1)))


for kind in ACTIVATIONS:
    case(name=f"conv_activation_{kind}")(lambda kind=kind: conv_case(kind, "fp32"))


@case()
def conv_fp16():
    """An odd number of fp16 weights, so that padding stands before what follows."""
    return conv_case(0, "fp16")


@case((12, 10))
def conv_stride_dilation_pads():
    m = Model(2)
    m.add("Convolution", "in", "out",
          {0: 3, 1: 2, 11: 3, 2: 1, 12: 2, 3: 2, 13: 2, 4: 0, 14: 2, 15: 0, 16: 1, 5: 1, 6: 36})
    w, b = m.weights(3, 2, 3, 2), m.weights(3, form="raw")
    return m, lambda x: convolved(x, w, b, (2, 2), (2, 1), (2, 0, 1, 0))


@case()
def conv_without_bias():
    m = Model(2).add("Convolution", "in", "out", {0: 3, 1: 1, 6: 6})
    w = m.weights(3, 2, 1, 1)
    return m, lambda x: convolved(x, w, np.zeros(3))


@case()
def conv_of_groups():
    m = Model(4).add("ConvolutionDepthWise", "in", "out", {0: 6, 1: 3, 4: 1, 5: 1, 6: 108, 7: 2})
    w, b = m.weights(6, 2, 3, 3), m.weights(6, form="raw")
    return m, lambda x: convolved(x, w, b, pad=(1, 1, 1, 1), group=2)


def deconvolved(x, w, b, k, stride, pad):
    h, width = ((n - 1) * stride + k - 2 * pad for n in x.shape[1:])

    def pixel(o, y, z):
        return b[o] + sum(x[i, sy, sx] * w[o, i, y + pad - sy * stride, z + pad - sx * stride]
                          for i in range(x.shape[0]) for sy in range(x.shape[1]) for sx in range(x.shape[2])
                          if 0 <= y + pad - sy * stride < k and 0 <= z + pad - sx * stride < k)
    return by_pixel(w.shape[0], h, width, pixel)


@case((5, 4))
def deconv():
    m = Model(3).add("Deconvolution", "in", "out", {0: 2, 1: 4, 3: 2, 4: 3, 5: 1, 6: 96, 9: 2}, a10=[.1])
    w, b = m.weights(2, 3, 4, 4), m.weights(2, form="raw")
    return m, lambda x: np.vectorize(lambda v: v if v > 0 else .1 * v)(deconvolved(x, w, b, 4, 2, 3))


@case((4, 5))
def deconv_2x2():
    m = Model(2).add("Deconvolution", "in", "out", {0: 3, 1: 2, 3: 2, 6: 24})
    w = m.weights(3, 2, 2, 2, form="fp16")
    return m, lambda x: deconvolved(x, w, np.zeros(3), 2, 2, 0)


@case()
def prelu():
    m = Model().add("BinaryOp", "in", "half", {0: 1, 1: 1, 2: .5}).add("PReLU", "half", "out", {0: 3})
    s = m.weights(3, form="raw") * 1.9
    m.bin = s.astype(np.float32).tobytes()
    return m, lambda x: by_pixel(*x.shape, lambda c, y, z: (lambda v: v if v > 0 else s[c] * v)(x[c, y, z] - .5))


@case()
def prelu_one_slope():
    m = Model().add("BinaryOp", "in", "half", {0: 1, 1: 1, 2: .5}).add("PReLU", "half", "out", {0: 1})
    s = m.weights(1, form="raw")
    return m, lambda x: by_pixel(*x.shape, lambda c, y, z: (lambda v: v if v > 0 else s[0] * v)(x[c, y, z] - .5))


@case()
def simple_layers():
    m = Model().add("BinaryOp", "in", "a", {0: 1, 1: 1, 2: .5}).add("ReLU", "a", "b", {0: .25})
    m.add("Sigmoid", "b", "c").add("Clip", "c", "d", {0: .48, 1: .6}).add("Noop", "d", "e").add("Dropout", "e", "f")
    m.add("ReLU", "f", "out")

    def pixel(v):
        v = v - .5
        v = 1 / (1 + math.exp(-(v if v > 0 else .25 * v)))
        return max(min(max(v, .48), .6), 0)
    return m, np.vectorize(pixel)


@case()
def shuffled():
    m = Model(12).add("PixelShuffle", "in", "out", {0: 2})
    return m, lambda x: by_pixel(3, 14, 18, lambda c, y, z: x[c * 4 + y % 2 * 2 + z % 2, y // 2, z // 2])


@case()
def nearest():
    m = Model().add("Interp", "in", "out", {0: 1, 1: 3.0, 2: 3.0})
    return m, lambda x: by_pixel(3, 21, 27, lambda c, y, z: x[c, y // 3, z // 3])


def resampled(x, scale, kernel, reach):
    h, w = (int(n * scale) for n in x.shape[1:])

    def taps(o):
        centre = (o + .5) / scale - .5
        first = math.floor(centre) - reach + 1
        return [(i, kernel(abs(i - centre))) for i in range(first, first + 2 * reach)]
    return by_pixel(x.shape[0], h, w, lambda c, y, z: sum(
        wy * wx * clamped(x, c, iy, ix) for iy, wy in taps(y) for ix, wx in taps(z)))


def keys(d, a=-.75):
    """Keys' cubic kernel at distance d."""
    if d <= 1:
        return (a + 2) * d ** 3 - (a + 3) * d * d + 1
    return a * d ** 3 - 5 * a * d * d + 8 * a * d - 4 * a if d < 2 else 0


for scale in (2, .5, .75, 1.5):
    @case((8, 12), name=f"bilinear_{scale}")
    def bilinear(scale=scale):
        m = Model().add("Interp", "in", "out", {0: 2, 1: float(scale), 2: float(scale)})
        return m, lambda x: resampled(x, scale, lambda d: max(1 - d, 0), 1)

    @case((8, 12), name=f"bicubic_{scale}")
    def bicubic(scale=scale):
        m = Model().add("Interp", "in", "out", {0: 3, 1: float(scale), 2: float(scale)})
        return m, lambda x: resampled(x, scale, keys, 2)


@case()
def binary():
    m = Model().add("Split", "in", "a b c d").add("BinaryOp", "a", "e", {0: 2, 1: 1, 2: 3.0})
    m.add("BinaryOp", "e b", "f", {0: 0}).add("BinaryOp", "f c", "g", {0: 2}).add("BinaryOp", "d g", "out", {0: 1})
    return m, lambda x: x - (3 * x + x) * x


@case()
def eltwise():
    m = Model().add("Split", "in", "a b c d").add("Eltwise", "a b c", "e", {0: 1}, a1=[.2, 1.0, -2.0])
    m.add("Eltwise", "e d", "out", {0: 0})
    return m, lambda x: (.2 * x + x - 2 * x) * x


@case()
def concat():
    m = Model(2).add("Split", "in", "a b").add("BinaryOp", "a", "c", {0: 2, 1: 1, 2: -1.0}).add("Concat", "c b", "out")
    return m, lambda x: np.concatenate([-x, x])


@case((10, 12))
def crop():
    m = Model(2).add("Crop", "in", "out", a9=[2, 2], a10=[-2, -2], a11=[-2, -1])
    return m, lambda x: x[:, 2:-2, 2:-2]


@case((11, 12))
def crop_to_another():
    m = Model(2).add("Split", "in", "a b").add("Convolution", "b", "c", {0: 2, 1: 5, 6: 100})
    w = m.weights(2, 2, 5, 5)
    m.add("Split", "c", "d e").add("Crop", "a d", "f", {0: 2, 1: 2}).add("Eltwise", "f e", "out", {0: 1})
    return m, lambda x: x[:, 2:-2, 2:-2] + convolved(x, w, np.zeros(2))


def excited(factor):
    """Squeeze and excite: each channel times what its mean says; by BinaryOp or by Scale, as the two families do."""
    m = Model(4).add("Split", "in", "a b").add("Pooling", "b", "m", {0: 1, 4: 1})
    m.add("InnerProduct", "m", "n", {0: 2, 1: 1, 2: 8, 9: 1})
    w1, b1 = m.weights(2, 4), m.weights(2, form="raw")
    m.add("InnerProduct", "n", "o", {0: 4, 1: 1, 2: 8, 9: 4})
    w2, b2 = m.weights(4, 2, form="fp16"), m.weights(4, form="raw")
    m.add(*factor)

    def expect(x):
        hidden = np.maximum(w1 @ x.mean((1, 2)) + b1, 0)
        return x / (1 + np.exp(-(w2 @ hidden + b2)))[:, None, None]
    return m, expect


case(name="excite_binary")(lambda: excited(("BinaryOp", "a o", "out", {0: 2})))
case(name="excite_scale")(lambda: excited(("Scale", "a o", "out", {0: -233})))


@case()
def excite_reshaped():
    m = Model(4).add("Split", "in", "a b").add("Pooling", "b", "m", {0: 1, 4: 1}).add("Flatten", "m", "n")
    m.add("Reshape", "n", "o", {0: 1, 1: 1, 2: -1}).add("BinaryOp", "a o", "out", {0: 1})
    return m, lambda x: x - x.mean((1, 2))[:, None, None]


@case()
def scaled():
    m = Model(3).add("Scale", "in", "out", {0: 3, 1: 1})
    w, b = m.weights(3, form="raw"), m.weights(3, form="raw")
    return m, lambda x: x * w[:, None, None] + b[:, None, None]


def upscaler(scale, kind=3, base=True, k=3, r=4):
    """The tail of animevideov3: convolution, shuffle, nearest base, down by a filter."""
    m = Model(2).add("Split", "in", "a b").add("Convolution", "a", "f", {0: 3, 1: 3, 4: 1, 5: 1, 6: 54})
    w1, b1 = m.weights(3, 2, 3, 3), m.weights(3, form="raw")
    m.add("PReLU", "f", "g", {0: 3})
    s = m.weights(3, form="raw")
    m.add("Convolution", "g", "h", {0: 2 * r * r, 1: k, 4: k // 2, 5: 1, 6: 6 * r * r * k * k})
    w2, b2 = m.weights(2 * r * r, 3, k, k), m.weights(2 * r * r, form="raw")
    m.add("PixelShuffle", "h", "i", {0: r})
    last = "i"
    if base:
        m.add("Interp", "b", "j", {0: 1, 1: float(r), 2: float(r)}).add("BinaryOp", "i j", "k", {0: 0})
        last = "k"
    if scale != 1:
        m.add("Interp", last, "out", {0: kind, 1: scale, 2: scale})

    def expect(x):
        f = convolved(x, w1, b1, pad=(1, 1, 1, 1))
        g = np.where(f > 0, f, f * s[:, None, None])
        h = convolved(g, w2, b2, pad=(k // 2,) * 4)
        big = by_pixel(2, x.shape[1] * r, x.shape[2] * r,
                       lambda c, y, z: h[c * r * r + y % r * r + z % r, y // r, z // r])
        if base:
            big += np.repeat(np.repeat(x, r, 1), r, 2)
        if scale == 1:
            return big
        return resampled(big, scale, keys if kind == 3 else lambda d: max(1 - d, 0), kind - 1)
    return m, expect


UPSCALERS = {"upscaler_x4": (1,), "upscaler_x2": (.5,), "upscaler_x3": (.75,), "upscaler_x1": (.25,),
             "upscaler_linear": (.5, 2), "upscaler_no_base": (.5, 3, False), "upscaler_5x5": (.75, 3, True, 5),
             "upscaler_shuffle2": (.5, 3, True, 1, 2)}
for name, form in UPSCALERS.items():
    case((5, 6), name=name)(lambda form=form: upscaler(*form))
