# Reads an ONNX file and computes it, with numpy alone, in float64: what the tests hold imported models against where no
# inference engine is installed. Only the operators that our writer knows, by their definitions in ONNX opset 13.
import math
import struct

import numpy as np


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return (value - (1 << 64) if value >> 63 else value), at


def fields(data):
    """A protobuf message as {field number: [values]}; groups of bytes stay bytes."""
    found, at = {}, 0
    while at < len(data):
        key, at = varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = varint(data, at)
        elif wire == 2:
            size, at = varint(data, at)
            assert at + size <= len(data), "a field is longer than its message"
            value, at = data[at:at + size], at + size
        elif wire == 5:
            value, at = struct.unpack("<f", data[at:at + 4])[0], at + 4
        else:
            raise ValueError(f"wire type {wire}")
        found.setdefault(key >> 3, []).append(value)
    return found


def tensor(data):
    f = fields(data)
    kind = {1: "<f4", 7: "<i8"}[f[2][0]]
    return f[8][0].decode(), np.frombuffer(f[9][0], kind).reshape(f.get(1, []))


def attributes(node):
    made = {}
    for data in node.get(5, []):
        f = fields(data)
        made[f[1][0].decode()] = {1: lambda f=f: f[2][0], 2: lambda f=f: f[3][0], 3: lambda f=f: f[4][0].decode(),
                                  7: lambda f=f: f.get(8, [])}[f[20][0]]()
    return made


class Model:
    def __init__(self, path):
        with open(path, "rb") as file:
            model = fields(file.read())
        graph = fields(model[7][0])
        self.opset = fields(model[8][0])[2][0]
        self.nodes = [(node[4][0].decode(), [name.decode() for name in node.get(1, [])], node[2][0].decode(),
                       attributes(node)) for node in map(fields, graph[1])]
        self.weights = dict(map(tensor, graph.get(5, [])))
        self.input, self.output = (fields(graph[port][0])[1][0].decode() for port in (11, 12))

    def ops(self):
        return [node[0] for node in self.nodes]

    def run(self, picture):
        """C x H x W in, the same out."""
        values = {name: w.astype(np.float64) if w.dtype == np.float32 else w for name, w in self.weights.items()}
        values[self.input] = picture.astype(np.float64)[None]
        for op, inputs, output, attrs in self.nodes:
            assert output not in values
            values[output] = OPS[op]([values.get(name) for name in inputs], attrs)
        return values[self.output][0]


def conv(args, a):
    x, w = args[0], args[1]
    top, left, bottom, right = a["pads"]
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    (sy, sx), (dy, dx), (kh, kw) = a["strides"], a["dilations"], a["kernel_shape"]
    assert (kh, kw) == w.shape[2:] and w.shape[1] * a["group"] == x.shape[1]
    oh, ow = (x.shape[2] - (kh - 1) * dy - 1) // sy + 1, (x.shape[3] - (kw - 1) * dx - 1) // sx + 1
    out, per_in, per_out = np.zeros((1, w.shape[0], oh, ow)), w.shape[1], w.shape[0] // a["group"]
    for g in range(a["group"]):
        for y in range(kh):
            for z in range(kw):
                part = x[0, g * per_in:(g + 1) * per_in, y * dy:y * dy + (oh - 1) * sy + 1:sy,
                         z * dx:z * dx + (ow - 1) * sx + 1:sx]
                mine = slice(g * per_out, (g + 1) * per_out)
                out[0, mine] += np.tensordot(w[mine, :, y, z], part, 1)
    return out if len(args) < 3 else out + args[2].reshape(1, -1, 1, 1)


def deconv(args, a):
    x, w = args[0], args[1]
    (sy, sx), (dy, dx), (top, left, bottom, right) = a["strides"], a["dilations"], a["pads"]
    h, width = x.shape[2:]
    full = np.zeros((1, w.shape[1], (h - 1) * sy + (w.shape[2] - 1) * dy + 1,
                     (width - 1) * sx + (w.shape[3] - 1) * dx + 1))
    for y in range(w.shape[2]):
        for z in range(w.shape[3]):
            full[0, :, y * dy:y * dy + (h - 1) * sy + 1:sy, z * dx:z * dx + (width - 1) * sx + 1:sx] += np.tensordot(
                w[:, :, y, z].T, x[0], 1)
    out = full[:, :, top:full.shape[2] - bottom, left:full.shape[3] - right]
    return out if len(args) < 3 else out + args[2].reshape(1, -1, 1, 1)


def shuffle(args, a):
    assert a["mode"] == "CRD"
    x, r = args[0], a["blocksize"]
    _, c, h, w = x.shape
    return x.reshape(1, c // r // r, r, r, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(1, c // r // r, h * r, w * r)


def weights_at(a, position, size):
    """The pixels and weights of one line that make a resized pixel at `position`."""
    base = math.floor(position)
    if a["mode"] == "nearest":
        assert a["nearest_mode"] == "floor"
        taps = [(base, 1)]
    elif a["mode"] == "linear":
        taps = [(base, 1 - (position - base)), (base + 1, position - base)]
    else:
        k, t = a["cubic_coeff_a"], position - base
        taps = [(base - 1, ((k * (t + 1) - 5 * k) * (t + 1) + 8 * k) * (t + 1) - 4 * k),
                (base, ((k + 2) * t - (k + 3)) * t * t + 1),
                (base + 1, ((k + 2) * (1 - t) - (k + 3)) * (1 - t) * (1 - t) + 1),
                (base + 2, ((k * (2 - t) - 5 * k) * (2 - t) + 8 * k) * (2 - t) - 4 * k)]
    return [(min(max(i, 0), size - 1), w) for i, w in taps]


def resize(args, a):
    x, scales = args[0], args[2]
    for axis in (2, 3):
        size, scale = x.shape[axis], float(scales[axis])
        matrix = np.zeros((math.floor(size * scale), size))
        for o in range(matrix.shape[0]):
            half = {"half_pixel": .5, "asymmetric": 0}[a["coordinate_transformation_mode"]]
            for i, w in weights_at(a, (o + half) / scale - half, size):
                matrix[o, i] += w
        x = np.moveaxis(np.tensordot(matrix, x, (1, axis)), 0, axis)
    return x


def cut(args, _):
    x, starts, ends, axes = args
    index = [slice(None)] * x.ndim
    for start, end, axis in zip(starts, ends, axes):
        index[axis] = slice(int(start), int(end))
    return x[tuple(index)]


OPS = {
    "Conv": conv, "ConvTranspose": deconv, "DepthToSpace": shuffle, "Resize": resize, "Slice": cut,
    "PRelu": lambda v, a: np.where(v[0] < 0, v[0] * v[1], v[0]),
    "LeakyRelu": lambda v, a: np.where(v[0] < 0, v[0] * a["alpha"], v[0]),
    "Relu": lambda v, a: np.maximum(v[0], 0),
    "Sigmoid": lambda v, a: 1 / (1 + np.exp(-v[0])),
    "Clip": lambda v, a: np.clip(v[0], v[1], v[2]),
    "Add": lambda v, a: v[0] + v[1], "Sub": lambda v, a: v[0] - v[1], "Mul": lambda v, a: v[0] * v[1],
    "Concat": lambda v, a: np.concatenate(v, a["axis"]),
    "GlobalAveragePool": lambda v, a: v[0].mean((2, 3), keepdims=True),
}
