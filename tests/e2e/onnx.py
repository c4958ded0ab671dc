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


# ---- Faces -----------------------------------------------------------------------------------------------------------

def _graph(nodes, tensors, inputs, outputs):
    graph = b"".join(_bytes(1, n) for n in nodes) + _bytes(2, "test") + b"".join(_bytes(5, t) for t in tensors) + \
        b"".join(_bytes(11, i) for i in inputs) + b"".join(_bytes(12, o) for o in outputs)
    return _int(1, 7) + _bytes(7, graph) + _bytes(8, _bytes(1, "") + _int(2, 13))


def detector(faces, points=None, moved=None):
    """Finds these faces in any picture: [(score, left, top, right, bottom)], of 1, with five points each where given.
    `moved` is added to each box, times the mean of the picture's numbers: so a clip says by its brightness where its
    face is."""
    n = len(faces)
    scores = [v for face in faces for v in (1 - face[0], face[0])]
    boxes = [v for face in faces for v in face[1:]]
    nodes = [_node("ReduceMean", ["in"], "mean", axes=[1, 2, 3], keepdims=0), _node("Identity", ["s"], "scores"),
             _node("Mul", ["mean", "k"], "shift"), _node("Add", ["b", "shift"], "boxes")]
    tensors = [_floats("s", [1, n, 2], scores), _floats("b", [1, n, 4], boxes),
               _floats("k", [1, n, 4], list(moved or (0, 0, 0, 0)) * n)]
    outputs = [_value("scores", 1, n, 2), _value("boxes", 1, n, 4)]
    if points:
        nodes.append(_node("Identity", ["p"], "points"))
        tensors.append(_floats("p", [1, n, 10], [v for face in points for v in face]))
        outputs.append(_value("points", 1, n, 10))
    return _graph(nodes, tensors, [_value("in", 1, 3, 240, 320)], outputs)


def blind_detector():
    """Says where a face is without being shown a picture."""
    return _graph([_node("Identity", ["s"], "scores"), _node("Identity", ["b"], "boxes")],
                  [_floats("s", [1, 1, 2], [0.0, 1.0]), _floats("b", [1, 1, 4], [0.2, 0.2, 0.8, 0.8])], [],
                  [_value("scores", 1, 1, 2), _value("boxes", 1, 1, 4)])


def inverter():
    """A restorer of GFPGAN's kind that turns the crop's colours over."""
    return _graph([_node("Neg", ["in"], "out")], [], [_value("in", 1, 3, 512, 512)], [_value("out", 1, 3, 512, 512)])


def marker(picture):
    """A restorer that makes this picture of any face: 3 x 512 x 512 numbers from -1 to 1."""
    return _graph([_node("Mul", ["in", "zero"], "nothing"), _node("Add", ["nothing", "picture"], "out")],
                  [_floats("zero", [1], [0.0]), _floats("picture", [1, 3, 512, 512], picture)],
                  [_value("in", 1, 3, 512, 512)], [_value("out", 1, 3, 512, 512)])


def dial():
    """A restorer of CodeFormer's kind: a grey as light as its fidelity says."""
    return _graph([_node("Mul", ["in", "zero"], "nothing"), _node("Mul", ["w", "two"], "twice"),
                   _node("Sub", ["twice", "one"], "grey"), _node("Add", ["nothing", "grey"], "out")],
                  [_floats("zero", [1], [0.0]), _floats("two", [1], [2.0]), _floats("one", [1], [1.0])],
                  [_value("in", 1, 3, 512, 512), _value("w", 1)], [_value("out", 1, 3, 512, 512)])
