# Imported ncnn models compute what ncnn's documents say: each layer in small, computed by numpy from the ONNX file; the
# rewrites give the same as the layers as stored, border included; the receptive field is just what is claimed: tiles
# with that much around them equal the whole picture, with a pixel less they don't. Usage: test_ncnn.py NCNN_TO_ONNX
import os
import subprocess
import sys
import tempfile
import unittest

import numpy as np

import ncnn_cases
import onnx_numpy

TOOL = os.path.abspath(sys.argv[1])


class Ncnn(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def convert(self, model, *flags):
        stem = os.path.join(self.folder.name, "m")
        model.write(stem)
        out = subprocess.run([TOOL, *flags, stem + ".param", stem + ".bin", stem + ".onnx"], check=True,
                             capture_output=True, text=True).stdout
        geometry = {name: int(value) for name, value in map(str.split, out.splitlines())}
        return onnx_numpy.Model(stem + ".onnx"), geometry

    def picture(self, channels, size):
        return np.random.default_rng(3).random((channels, *size))

    def test_each_layer(self):
        self.assertGreater(len(ncnn_cases.CASES), 30)
        for case in ncnn_cases.CASES:
            for flags in ((), ("--as-stored",), ("--split-prelu",)):
                with self.subTest(case.name, flags=flags):
                    net, geometry = self.convert(case.model, *flags)
                    x = self.picture(geometry["channels_in"], case.size)
                    want, got = case.expect(x), net.run(x)
                    self.assertEqual(want.shape, got.shape)
                    self.assertLess(np.abs(want - got).max(), 3e-6 * max(np.abs(want).max(), 1))
                    inner = [n - 2 * geometry["inset"] for n in case.size]
                    self.assertEqual(list(want.shape[1:]),
                                     [n * geometry["scale_num"] // geometry["scale_den"] for n in inner])
                    self.assertEqual(want.shape[0], geometry["channels_out"])

    def named(self, name):
        return next(case for case in ncnn_cases.CASES if case.name == name)

    def test_small_pictures_with_folded_ends(self):
        for name in ncnn_cases.UPSCALERS:
            for size in ((2, 2), (2, 5), (3, 2)):
                with self.subTest(name, size=size):
                    case = self.named(name)
                    net, geometry = self.convert(case.model)
                    x = self.picture(2, size)
                    self.assertLess(np.abs(case.expect(x) - net.run(x)).max(), 2e-5)

    def test_rewrites_happen(self):
        for name, (gone, there) in {
                "upscaler_x4": (["Resize"], ["DepthToSpace"]), "prelu": ([], ["PRelu"]),
                "nearest": ([], ["Resize"])}.items():
            ops = self.convert(self.named(name).model)[0].ops()
            self.assertFalse(set(gone) & set(ops), ops)
            self.assertLessEqual(set(there), set(ops))
        self.assertNotIn("PRelu", self.convert(self.named("upscaler_x2").model, "--split-prelu")[0].ops())
        for name, q in (("upscaler_x2", 2), ("upscaler_x3", 3), ("upscaler_no_base", 2), ("upscaler_linear", 2)):
            net = self.convert(self.named(name).model)[0]
            main = [(attrs["kernel_shape"], net.weights[inputs[1]].shape[0]) for op, inputs, _, attrs in net.nodes
                    if op == "Conv"]
            self.assertIn(([5, 5], 2 * q * q), main)
            stored = self.convert(self.named(name).model, "--as-stored")[0]
            self.assertEqual(1, sum(op == "DepthToSpace" for op in stored.ops()))

    def test_same_file_same_bytes(self):
        made = []
        for _ in range(2):
            self.convert(self.named("upscaler_x3").model)
            with open(os.path.join(self.folder.name, "m.onnx"), "rb") as file:
                made.append(file.read())
        self.assertEqual(made[0], made[1])

    def tiles(self, net, g, x, a, b, around):
        """Is the tile over input lines and columns a..b, given `around` pixels on each side, as in the whole?"""
        whole, scale = net.run(x), g["scale_num"] // g["scale_den"]
        first, last = a - around, b + around
        extra = (g["align_rest"] - (last - first)) % g["align"]
        part = net.run(x[:, first:last + extra, first:last + extra])
        into = (a - first - g["inset"]) * scale
        mine = part[:, into:into + (b - a) * scale, into:into + (b - a) * scale]
        out = (a - g["inset"]) * scale
        theirs = whole[:, out:out + (b - a) * scale, out:out + (b - a) * scale]
        self.assertEqual(mine.shape, theirs.shape)
        return np.abs(mine - theirs).max() < 1e-9

    def test_reach(self):
        models = {name: (self.named(name).model, reach, 1) for name, reach in (
            ("upscaler_x4", 2), ("upscaler_x2", 3), ("upscaler_x3", 3), ("upscaler_5x5", 4), ("upscaler_x1", 2),
            ("bicubic_2", 2), ("bilinear_2", 1), ("nearest", 0), ("simple_layers", 0), ("crop_to_another", 2))}
        for name, (model, reach, align) in models.items():
            with self.subTest(name):
                net, g = self.convert(model)
                self.assertEqual((reach, align, 0), (g["reach"], g["align"], g["global"]))
                if g["scale_den"] > 1:
                    continue
                x = self.picture(g["channels_in"], (24, 24))
                self.assertTrue(self.tiles(net, g, x, 9, 14, reach))
                if reach > g["inset"]:
                    self.assertFalse(self.tiles(net, g, x, 9, 14, reach - 1))

    def test_alignment_and_inset(self):
        """A small U: down by two, up again, joined with what was cropped; like Real-CUGAN's."""
        m = ncnn_cases.Model(2).add("Convolution", "in", "a", {0: 2, 1: 3, 6: 36})
        m.weights(2, 2, 3, 3)
        m.add("Split", "a", "b c").add("Convolution", "b", "d", {0: 2, 1: 2, 3: 2, 6: 16})
        m.weights(2, 2, 2, 2)
        m.add("Convolution", "d", "e", {0: 2, 1: 3, 6: 36}).weights(2, 2, 3, 3)
        m.add("Deconvolution", "e", "f", {0: 2, 1: 2, 3: 2, 6: 16}).weights(2, 2, 2, 2)
        m.add("Crop", "c", "g", a9=[2, 2], a10=[-2, -2], a11=[1, 2]).add("BinaryOp", "f g", "out", {0: 0})
        net, g = self.convert(m)
        self.assertEqual((1, 1, 2, 0, 3),
                         tuple(g[k] for k in ("scale_num", "scale_den", "align", "align_rest", "inset")))
        self.assertEqual(3, g["reach"])
        self.assertTrue(self.tiles(net, g, self.picture(2, (32, 32)), 10, 16, 4))
        self.assertFalse(self.tiles(net, g, self.picture(2, (32, 32)), 9, 15, 4), "a tile beside the grid")

    def test_global(self):
        self.assertEqual(1, self.convert(self.named("excite_scale").model)[1]["global"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
