# Speech denoisers by models: equal to the model's own library, in time to the sample at any rate, what the settings do,
# what is said when something is missing, each model loaded once. The models come by scripts/setup test into deps/store.
import ctypes
import functools
import os
import re
import shutil
import subprocess
import sys
import unittest

import numpy as np

import harness
import measure as m

STORE = os.path.join(harness.ROOT, "deps", "store")
ORACLE = os.path.join(STORE, "terminalai", "models", "deepfilternet3", "oracle")
DFN = ("--speech-denoise", "deepfilternet")
PCM = ("--audio-codec", "pcm", "--speech-guard", "off")


def speech(seconds, rate, seed=1):
    """Somebody speaks: harmonics under two formants that move, four syllables a second, with pauses."""
    t = np.arange(int(seconds * rate)) / rate
    f0 = 125 + 22 * np.sin(2 * np.pi * 0.43 * t + seed) + 13 * np.sin(2 * np.pi * 1.13 * t + 2 * seed)
    one, two = 500 + 200 * np.sin(2 * np.pi * 1.7 * t + seed), 1500 + 500 * np.sin(2 * np.pi * 1.3 * t + 3 * seed)
    phase, y = 2 * np.pi * np.cumsum(f0) / rate, np.zeros_like(t)
    for k in range(1, 29):
        f = k * f0
        gain = 1 / (1 + ((f - one) / 120) ** 2) + 0.5 / (1 + ((f - two) / 180) ** 2) + 0.01
        y += np.where(f < 0.45 * rate, gain, 0) * np.sin(k * phase)
    syllable = np.sin(2 * np.pi * 3.9 * t + np.sin(2 * np.pi * 0.6 * t))
    talks = (syllable > 0) & (np.sin(2 * np.pi * 0.37 * t + seed) > -0.6)
    return 0.09 * y * np.where(talks, np.abs(syllable) ** 0.7, 0)


def hiss(clean, snr, seed=5):
    noise = np.random.default_rng(seed).standard_normal(clean.shape)
    return clean + noise * np.sqrt((clean ** 2).mean() / (noise ** 2).mean()) * 10 ** (-snr / 20)


def write(name, rate, *channels):
    """A file of 32-bit floats."""
    path = os.path.join(harness.folder(), name)
    raw = np.stack(channels, 1).astype("<f4").tobytes()
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "f32le", "-ar", str(rate), "-ac", str(len(channels)),
                    "-i", "-", "-c:a", "pcm_f32le", path], input=raw, check=True)
    return path


def read(path):
    """[channel][sample], not resampled."""
    channels = int(m.stream(path, "audio")["channels"])
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "f32le", "-"], stdout=subprocess.PIPE,
                         check=True).stdout
    return np.frombuffer(raw, "<f4").reshape(-1, channels).T.astype(float)


def db(signal, error):
    return 10 * np.log10((signal ** 2).sum() / max((error ** 2).sum(), 1e-30))


def si_sdr(s, truth):
    """J. Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019."""
    part = truth * (s @ truth) / (truth @ truth)
    return db(part, s - part)


def lag(s, truth, most=200):
    """By how many samples `s` is late: where the correlation is highest."""
    n = len(truth) - 2 * most
    scores = [s[most + d:most + d + n] @ truth[most:most + n] for d in range(-most, most + 1)]
    return int(np.argmax(scores)) - most


def libdf(x, limit=100.0, beta=0.0):
    """The model's own library: 48 kHz mono, 1440 samples late."""
    lib = ctypes.CDLL(os.path.join(ORACLE, "libdeepfilter.so"))
    lib.df_create.restype = ctypes.c_void_p
    lib.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
    lib.df_process_frame.argtypes = [ctypes.c_void_p] * 3
    lib.df_process_frame.restype = ctypes.c_float
    lib.df_set_post_filter_beta.argtypes = [ctypes.c_void_p, ctypes.c_float]
    lib.df_free.argtypes = [ctypes.c_void_p]
    model = os.path.join(ORACLE, "DeepFilterNet3_onnx.tar.gz")
    assert os.path.exists(model)  # it ends the process otherwise
    state = lib.df_create(model.encode(), limit, None)
    lib.df_set_post_filter_beta(state, beta)
    frames = np.concatenate([x, np.zeros(1440 + 479)]).astype(np.float32)
    frames = np.ascontiguousarray(frames[:len(frames) // 480 * 480].reshape(-1, 480))
    out = np.zeros_like(frames)
    for frame, result in zip(frames, out):
        lib.df_process_frame(state, frame.ctypes.data, result.ctypes.data)
    lib.df_free(state)
    return out.reshape(-1)[1440:1440 + len(x)].astype(float)


@functools.lru_cache(None)
def noisy(seconds=7.3, rate=48000, seed=1):
    """(file, samples, clean samples) of speech in hiss."""
    clean = speech(seconds, rate, seed)
    x = hiss(clean, 6.5, seed).astype(np.float32).astype(float)
    return write(f"noisy-{seconds}-{rate}-{seed}.wav", rate, x), x, clean


@functools.lru_cache(None)
def environment():
    """The tests' store of models, with a folder for what is compiled."""
    cache = os.path.join(harness.folder(), "cache")
    os.makedirs(cache, exist_ok=True)
    return {"XDG_DATA_HOME": STORE, "XDG_CACHE_HOME": cache}


def denoise(source, *flags, **more):
    return harness.restore(source, *PCM, *flags, ext="mka", env=environment(), **more)


def missing():
    said = subprocess.run([harness.PROGRAM, "doctor"], stdout=subprocess.PIPE, text=True, check=False).stdout
    if not any(line.split()[:2] == ["ok", "openvino"] for line in said.splitlines()):
        return "OpenVINO is not installed (scripts/setup neural)"
    return None if os.path.exists(ORACLE) else "its models are not in deps/store (scripts/setup test)"


class Speech(harness.Case):
    def test_the_same_as_its_own_library(self):
        source, x, _ = noisy()
        for flags, more in (((), {}), (("--speech-limit", "12", "--speech-post-filter", "0.02"),
                                       {"limit": 12, "beta": 0.02})):
            y = read(denoise(source, *DFN, *flags).output)[0]
            self.assertEqual(len(x), len(y))
            truth = libdf(x, **more)
            self.assertGreater(db(truth, y - truth), 90, flags)

    def test_what_it_gains_and_that_nothing_moves(self):
        for method, rate, least in (("deepfilternet", 48000, 7), ("deepfilternet", 44100, 7), ("gtcrn", 16000, 4),
                                    ("gtcrn", 22050, 4)):
            _, x, clean = noisy(rate=rate)
            other = speech(7.3, rate, 4)
            source = write("two.wav", rate, x, hiss(other, 6.5))
            y = read(denoise(source, "--speech-denoise", method).output)
            self.assertEqual(y.shape, (2, len(x)))
            for channel, truth in ((y[0], clean), (y[1], other)):
                before, after = si_sdr(x, clean), si_sdr(channel, truth)
                print(f"{method}, {rate} Hz: SI-SDR {before:.1f} -> {after:.1f} dB")
                self.assertGreater(after - before, least)
                self.assertEqual(0, lag(channel, truth))

    def test_linked_channels_keep_their_image(self):
        _, x, clean = noisy()
        source = write("image.wav", 48000, x, 0.25 * x)
        for method in ("deepfilternet", "gtcrn"):
            y = read(denoise(source, "--speech-denoise", method, "--speech-channels", "linked").output)
            self.assertGreater(db(y[0], y[0] - 4 * y[1]), 60, method)
            self.assertGreater(si_sdr(y[0], clean) - si_sdr(x, clean), 4, method)

    def test_no_limit_and_all_limit(self):
        source, x, _ = noisy()
        y = read(denoise(source, *DFN, "--speech-limit", "0").output)[0]
        self.assertGreater(db(x, y - x), 110)  # 24 bits

    def test_enhance_is_the_same_denoiser(self):
        source, _, _ = noisy()
        one = read(denoise(source, *DFN).output)
        self.assertTrue((one == read(denoise(source, "--audio-enhance", "deepfilternet").output)).all())
        run = denoise(source, *DFN, "--audio-enhance", "deepfilternet", expect=64)
        self.assert_says(run, "twice")

    def test_a_folder_or_file_of_the_users(self):
        source, _, _ = noisy()
        home = {"XDG_DATA_HOME": harness.fresh_folder("empty")}
        folder = os.path.dirname(ORACLE)
        one = read(denoise(source, *DFN).output)
        two = read(harness.restore(source, *PCM, *DFN, "--speech-model", folder, ext="mka", env=home).output)
        self.assertTrue((one == two).all())
        file = os.path.join(STORE, "terminalai", "models", "gtcrn", "gtcrn_simple.onnx")
        run = harness.restore(source, *PCM, "--speech-denoise", "gtcrn", "--speech-model", file, ext="mka", env=home)
        self.assertEqual(run.code, 0)

    def test_what_is_missing_is_said(self):
        source, _, _ = noisy()
        self.failure(source, *PCM, *DFN, ext="mka", code=69, says=("models install deepfilternet3",))
        self.failure(source, *PCM, "--speech-denoise", "gtcrn", ext="mka", code=69, says=("models install gtcrn",))
        self.failure(source, *PCM, "--speech-denoise", "rnnoise", ext="mka", code=69,
                     says=("models import .* --name rnnoise",))
        self.failure(source, *PCM, *DFN, "--speech-model", "/nowhere/x.onnx", ext="mka", code=64, says=("folder",))
        self.failure(source, *PCM, "--speech-denoise", "gtcrn", "--speech-model", "/nowhere/x.onnx", ext="mka", code=66)
        enc = os.path.join(os.path.dirname(ORACLE), "enc.onnx")
        run = self.failure(source, *PCM, "--speech-denoise", "gtcrn", "--speech-model", enc, ext="mka", code=65)
        self.assert_says(run, "no input 'mix'")

    def test_a_damaged_model_is_refused(self):
        source, _, _ = noisy()
        home = harness.fresh_folder("damaged")
        shutil.copytree(os.path.join(STORE, "terminalai"), os.path.join(home, "terminalai"))
        with open(os.path.join(home, "terminalai", "models", "deepfilternet3", "enc.onnx"), "r+b") as file:
            file.seek(100000)
            file.write(b"damaged")
        self.failure(source, *PCM, *DFN, ext="mka", code=65, says=("damaged", "models install"),
                     env={"XDG_DATA_HOME": home})

    def test_a_batch_loads_each_model_once(self):
        folder = harness.fresh_folder("in")
        for seed in (1, 2, 3):
            shutil.copyfile(noisy(1.5, 48000, seed)[0], os.path.join(folder, f"{seed}.wav"))
        run = harness.call("batch", folder, "-o", harness.fresh_folder("out"), "--pattern", "*.wav", *PCM, *DFN,
                           "--container", "mkv", env=environment())
        self.assertEqual(3, len(re.findall(r"neural: .*\.onnx: OpenVINO", run.stderr)), run.text())

    def test_a_model_read_back_computes_the_same(self):
        source, _, _ = noisy()
        runs = [denoise(source, *DFN, "--threads", "1") for _ in range(2)]
        self.assert_says(runs[1], "compiled before")
        self.assertTrue((read(runs[0].output) == read(runs[1].output)).all())


if __name__ == "__main__":
    if missing():
        print("skipped:", missing())
        sys.exit(77)
    unittest.main(argv=sys.argv[:1] + sys.argv[1:], verbosity=2)
