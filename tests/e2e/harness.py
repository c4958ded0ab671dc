# What every test of the program shares: running it, a folder of its own, and the checks that hold for each run:
# the source is not changed, no file is left over, what ffprobe says agrees with mediainfo.
import atexit
import dataclasses
import functools
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from fractions import Fraction

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
sys.dont_write_bytecode = True
import measure as m  # noqa: E402

PROGRAM = os.path.abspath(os.environ.get("TERMINALAI") or os.path.join(ROOT, "build", "terminalai"))
# Fast and exact: what is compared bit by bit; and fast and small: what is only looked at.
EXACT = ("--encoder", "ffv1")
FAST = ("--encoder-preset", "ultrafast", "--crf", "10")
# Sanitizers make everything slower.
PATIENCE = float(os.environ.get("MESON_TEST_PATIENCE", "1"))
SANITIZED = "TSAN_OPTIONS" in os.environ  # a sanitizer's own memory is no part of ours

# ---- One look at a file for all meters: what is decoded or probed is kept for the next question --------------------

def _key(path, *more):
    stat = os.stat(path)
    return (os.path.abspath(path), stat.st_mtime_ns, stat.st_size, *more)


def _remembering(function, keep):
    known = {}

    @functools.wraps(function)
    def look(path, *args, **more):
        key = _key(path, args, tuple(sorted(more.items())))
        if key not in known:
            while len(known) >= keep:
                known.pop(next(iter(known)))
            known[key] = function(path, *args, **more)
        return known[key]
    return look


_decoded = _remembering(lambda path, filters: list(_frames(path, filters)), 2)
_frames = m.frames


def _remembered_frames(path, filters="", chroma=False, start=None, count=None, index=0):
    if chroma or start is not None or index or os.path.getsize(path) > 200 << 20 or "scale" in filters:
        return _frames(path, filters, chroma, start, count, index)
    return iter(_decoded(path, filters)[:count])


def video_span(path):
    """(time of the first picture, time at which the last one ends, number of pictures), decoded."""
    times = [f.time for f in m.frames(path)]
    if len(times) < 2:
        return _video_span(path)
    return float(times[0]), float(times[-1] + (times[-1] - times[0]) / (len(times) - 1)), len(times)


_video_span = m.video_span
m.frames, m.video_span = _remembered_frames, video_span
m.probe, m.sound, m.framemd5 = (_remembering(m.probe, 20), _remembering(m.sound, 4),
                                _remembering(m.framemd5, 40))

_folder = None


def folder():
    """The test program's own folder, removed at the end."""
    global _folder
    if not _folder:
        _folder = tempfile.mkdtemp(prefix="terminalai-test-")
        atexit.register(shutil.rmtree, _folder, True)
    return _folder


def fresh_folder(name="out"):
    return tempfile.mkdtemp(prefix=name + "-", dir=folder())


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def fingerprint(path):
    """Names, sizes, dates and contents of a file, or of all files in a folder."""
    if not os.path.exists(path):
        return None
    names = [path] if not os.path.isdir(path) else \
        sorted(os.path.join(base, name) for base, _, files in os.walk(path) for name in files)
    return [(name, os.stat(name).st_mtime_ns, os.stat(name).st_size, sha256(name)) for name in names]


@functools.lru_cache(None)
def environment():
    """No settings of the person who runs the tests."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith("TERMINALAI_")}
    empty = os.path.join(folder(), "home")
    os.makedirs(os.path.join(empty, "tmp"), exist_ok=True)
    return {**keep, "HOME": empty, "XDG_CONFIG_HOME": empty, "XDG_CACHE_HOME": empty, "XDG_DATA_HOME": empty,
            "LC_ALL": "C.UTF-8"}


@dataclasses.dataclass
class Run:
    """A finished run of the program."""
    command: list
    code: int
    stdout: str
    stderr: str
    output: str
    seconds: float

    @functools.cached_property
    def probe(self):
        return m.probe(self.output)

    @functools.cached_property
    def sidecar(self):
        with open(self.output + ".json", encoding="utf-8") as file:
            return json.load(file)

    def stream(self, kind, index=0):
        return m.stream(self.output, kind, index)

    def kinds(self):
        return [s["codec_type"] for s in self.probe["streams"]]

    def text(self):
        return f"$ {' '.join(map(str, self.command))}\nexit {self.code}\n{self.stdout[-1500:]}\n{self.stderr[-3000:]}"


def call(*words, expect=0, env=None, timeout=120, wrap=(), stdin=subprocess.DEVNULL, **more):
    """Runs the program with these words. `expect` is the exit code, None any; `wrap` goes in front of the command."""
    command = [*wrap, PROGRAM, *map(str, words)]
    begun = time.monotonic()
    done = subprocess.run(command, stdin=stdin, capture_output=True, check=False, timeout=timeout * PATIENCE,
                          env={**environment(), **(env or {})}, **more)
    run = Run(command, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"), "",
              time.monotonic() - begun)
    if expect is not None and run.code != expect:
        raise AssertionError(f"exit {run.code} instead of {expect}\n{run.text()}")
    return run


def restore(source, *flags, output=None, ext="mkv", expect=0, left=None, **more):
    """`terminalai restore source -o output flags`, in a folder of its own unless `output` is given. The source must
    stay as it is, and nothing but the output and its sidecar may be left."""
    output = output or os.path.join(fresh_folder(), "restored." + ext)
    place = os.path.dirname(output)
    before, there = fingerprint(source), set(os.listdir(place)) if os.path.isdir(place) else set()
    run = call("restore", source, "-o", output, *flags, expect=expect, **more)
    run.output = output
    if fingerprint(source) != before:
        raise AssertionError(f"the source was changed\n{run.text()}")
    new = set(os.listdir(place)) - there if os.path.isdir(place) else set()
    name = os.path.basename(output)
    wanted = {name, name + ".json"} if left is None else set(left)
    if new - wanted:
        raise AssertionError(f"left behind: {sorted(new - wanted)}\n{run.text()}")
    if run.code and new:
        raise AssertionError(f"a failed run left {sorted(new)}\n{run.text()}")
    if run.code == 0 and not os.path.exists(output):
        raise AssertionError(f"no output\n{run.text()}")
    return run


def start(*words, env=None, wrap=(), **more):
    """Starts the program and returns the process."""
    return subprocess.Popen([*wrap, PROGRAM, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env={**environment(), **(env or {})}, **more)


def mediainfo(path):
    """mediainfo's tracks: {"General": [...], "Video": [...], ...}."""
    tracks = {}
    for track in json.loads(m.run(["mediainfo", "--Output=JSON", path]))["media"]["track"]:
        tracks.setdefault(track["@type"], []).append(track)
    return tracks


def centre(path, lines=480):
    """The geometry of a file made from SD by the rule of the centre 704: with square pixels the sides are cut."""
    return m.geometry(path, lines, (8, 0, 704, lines))


class Case(unittest.TestCase):
    """Assertions about finished files."""

    longMessage = True

    def assertNear(self, value, want, within, what=""):
        self.assertLessEqual(abs(value - want), within, f"{what}: {value} instead of {want} (within {within})")

    def assert_rate(self, run, rate):
        """The stated rate; Matroska's nanoseconds make 59.94006 of it where it was 60000/1001."""
        self.assertNear(float(Fraction(run.stream("video")["avg_frame_rate"])), float(rate), 1e-4, "frame rate")

    def assert_duration(self, run, seconds, frame=None, what="video"):
        """The decoded picture lasts this long, within a frame; the container says the same."""
        begin, end, count = m.video_span(run.output)
        frame = frame or (end - begin) / count
        self.assertNear(end - begin, seconds, frame * 1.01 + 1e-3, f"duration of the {what}\n{run.text()}")
        self.assertNear(float(run.probe["format"]["duration"]), seconds, frame * 1.01 + 0.06,
                        "the container's duration")

    def assert_numbers(self, run, want, geo=None, filters=""):
        """The pictures show exactly these numbers, in this order."""
        geo = geo or centre(run.output)
        found = [n for _, n in m.numbers(run.output, geo, filters)]
        self.assertEqual(found, list(want), run.text())

    def assert_sync(self, run, within=10, geo=None, index=0, channel=None, expect=0, at_least=1):
        offsets = m.av_offsets(run.output, geo or centre(run.output), index, channel)
        self.assertGreaterEqual(len(offsets), at_least, run.text())
        for offset in offsets:
            self.assertNear(offset, expect, within, f"sound against picture, ms\n{run.text()}")

    def assert_round(self, run, geo=None, wide=False, within=0.006):
        self.assertNear(m.file_roundness(run.output, geo, wide=wide), 1, within, f"roundness\n{run.text()}")

    def assert_agree(self, run):
        """ffprobe and mediainfo read the same size, aspect, rate, duration and tracks."""
        tracks, video = mediainfo(run.output), run.stream("video")
        seen = tracks["Video"][0]
        self.assertEqual((int(seen["Width"]), int(seen["Height"])), (video["width"], video["height"]))
        shown = video["width"] * m.sar(run.output) / video["height"]
        self.assertNear(float(seen["DisplayAspectRatio"]), float(shown), 0.006, "display aspect")
        rate = Fraction(video["avg_frame_rate"])
        if seen.get("FrameRate_Mode") != "VFR":
            self.assertNear(float(seen["FrameRate"]), float(rate), 0.01, "frame rate")
        self.assertNear(float(tracks["General"][0]["Duration"]), float(run.probe["format"]["duration"]), 0.05,
                        "duration")
        kinds = run.kinds()
        self.assertEqual(len(tracks.get("Audio", [])), kinds.count("audio"))
        self.assertEqual(len(tracks.get("Text", [])), kinds.count("subtitle"))

    def assert_tags(self, run, primaries, transfer, matrix, range_="tv"):
        """Colour tags, in the container or stream and on decoded frames."""
        frame = json.loads(m.run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_frames", "-read_intervals",
                                  "%+#1", "-of", "json", run.output]))["frames"][0]
        names = ("color_primaries", "color_transfer", "color_space", "color_range")
        self.assertEqual(tuple(frame.get(n) for n in names), (primaries, transfer, matrix, range_), run.text())

    def assert_says(self, run, *words):
        for word in words:
            self.assertRegex(run.stderr, word, run.text())

    def failure(self, source, *flags, code, says=(), output=None, **more):
        """A run that must end with this exit code and an error that names the file and says what to do."""
        run = restore(source, *flags, output=output, expect=code, **more)
        errors = run.stderr.strip()
        self.assertTrue(errors, run.text())
        for word in says:
            self.assertRegex(errors, word, run.text())
        self.assertNotIn("AddressSanitizer", errors)
        self.assertLess(len(errors.splitlines()), 40, run.text())
        return run


def end_within(process, seconds, number=signal.SIGTERM):
    """Signals a process; (exit code, seconds it took)."""
    begun = time.monotonic()
    process.send_signal(number)
    try:
        process.communicate(timeout=seconds * 20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None, time.monotonic() - begun
    return process.returncode, time.monotonic() - begun


def main():
    if not os.access(PROGRAM, os.X_OK):
        sys.exit(f"{PROGRAM} can't be run: build it, or set TERMINALAI")
    unittest.main(argv=sys.argv[:1] + [a for a in sys.argv[1:] if not a.endswith(".py")], verbosity=2)
