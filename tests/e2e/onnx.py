# Small ONNX models as bytes, written field by field as onnx.proto3 numbers them: no package is needed.
import struct


def _number(n):
    out = b""
    while True:
        out += bytes([n & 127 | (128 if n > 127 else 0)])
        n >>= 7
        if not n:
            return out


def _int(field, n):
    return _number(field << 3) + _number(n)


def _bytes(field, data):
    data = data.encode() if isinstance(data, str) else data
    return _number(field << 3 | 2) + _number(len(data)) + data


def _value(name, *sizes):
    dims = b"".join(_bytes(1, _int(1, s) if isinstance(s, int) else _bytes(2, s)) for s in sizes)
    return _bytes(1, name) + _bytes(2, _bytes(1, _int(1, 1) + _bytes(2, dims)))


def _floats(name, sizes, values):
    return b"".join(_int(1, s) for s in sizes) + _int(2, 1) + _bytes(8, name) + \
        _bytes(9, struct.pack(f"<{len(values)}f", *values))


def _attribute(name, value):
    if isinstance(value, int):
        return _bytes(5, _bytes(1, name) + _int(3, value) + _int(20, 2))
    if isinstance(value, str):
        return _bytes(5, _bytes(1, name) + _bytes(4, value) + _int(20, 3))
    return _bytes(5, _bytes(1, name) + b"".join(_int(8, v) for v in value) + _int(20, 7))


def _node(kind, inputs, output, **attributes):
    return b"".join(_bytes(1, name) for name in inputs) + _bytes(2, output) + _bytes(4, kind) + \
        b"".join(_attribute(k, v) for k, v in attributes.items())


def _model(nodes, tensors):
    graph = b"".join(_bytes(1, n) for n in nodes) + _bytes(2, "test") + b"".join(_bytes(5, t) for t in tensors) + \
        _bytes(11, _value("in", 1, 3, "h", "w")) + _bytes(12, _value("out", 1, 3, "H", "W"))
    return _int(1, 7) + _bytes(7, graph) + _bytes(8, _bytes(1, "") + _int(2, 13))


def twice(kernel=1, factor=2):
    """Each pixel factor x factor times, by a convolution and DepthToSpace, as upscalers end; with a kernel over 1, the
    mean of kernel x kernel pixels."""
    side = factor * factor
    weights = []
    for out in range(3 * side):
        for channel in range(3):
            own = 1.0 / (kernel * kernel) if out // side == channel else 0.0
            weights += [own] * (kernel * kernel)
    return _model([_node("Conv", ["in", "w"], "c", kernel_shape=[kernel, kernel], pads=[kernel // 2] * 4),
                   _node("DepthToSpace", ["c"], "out", blocksize=factor, mode="CRD")],
                  [_floats("w", [3 * side, 3, kernel, kernel], weights)])
