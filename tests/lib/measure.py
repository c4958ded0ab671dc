# Meters: what a finished file really shows and plays, read from its decoded content.
#
# They read the marks of `terminalai sample` (src/sample/scene.h says where they are) in any file made from one, at any
# size. The ffmpeg and ffprobe programs decode, so nothing here depends on the program under test.
#
#     luma      a picture's Y plane as float32, 0..255, rows x columns
#     Geometry  where the marks are in a picture: cropped so, scaled so
#     number    the moment's number, read from the blocks; None when it can't be read for sure
#
# Times are seconds on the file's own time line (container timestamps, not shifted to 0).
import dataclasses
import json
import os
import re
import subprocess
import tempfile
from fractions import Fraction

import numpy as np

WIDTH = 720          # of the sample's picture; x of all marks counts in these
MARK_LINES = 480     # y of all marks counts in these; PAL has 6/5 as many
CODE_X, CODE_BLOCK, CODE_BITS = 30, 30, 20
CODE_UPPER, CODE_LOWER = (20, 40), (40, 60)
FLASH = (600, 70, 690, 120)
CIRCLE_X, CIRCLE_Y, CIRCLE_RADIUS, CIRCLE_RING = 360, 250, 110, 14
BEEP_HZ = 1000
TRUE_SAR = {(480, False): Fraction(10, 11), (480, True): Fraction(40, 33),
            (576, False): Fraction(12, 11), (576, True): Fraction(16, 11)}


class MeasureError(Exception):
    """The file can't be measured: the reason, for a test's failure message."""


# ---- Running ffmpeg and ffprobe ------------------------------------------------------------------------------------

def run(command, **more):
    """The standard output of a program that must succeed."""
    done = subprocess.run(command, capture_output=True, check=False, **more)
    if done.returncode:
        raise MeasureError(f"{' '.join(map(str, command))}\nexit {done.returncode}\n"
                           f"{done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout


def probe(path):
    """What ffprobe says of the file: {"streams": [...], "format": {...}}."""
    return json.loads(run(["ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", str(path)]))


def stream(path, kind, index=0):
    """The index-th stream of a kind ("video", "audio", "subtitle"); attached pictures do not count."""
    found = [s for s in probe(path)["streams"] if s.get("codec_type") == kind
             and not s.get("disposition", {}).get("attached_pic")]
    if index >= len(found):
        raise MeasureError(f"{path}: no {kind} stream {index}")
    return found[index]


def _fraction(text, otherwise):
    try:
        return Fraction(*map(int, re.split("[:/]", text)))
    except (TypeError, ValueError, ZeroDivisionError):
        return otherwise


def sar(path):
    """The sample aspect ratio that the file states (1 when it states none)."""
    return _fraction(stream(path, "video").get("sample_aspect_ratio"), Fraction(1)) or Fraction(1)


@dataclasses.dataclass
class Frame:
    """A decoded picture. u and v are None unless asked for."""
    index: int
    time: Fraction
    luma: np.ndarray
    u: np.ndarray = None
    v: np.ndarray = None


def _showinfo_times(log):
    """Frame times, exact, from what the filter showinfo (or ashowinfo) printed."""
    base = re.search(r"config in time_base: (\d+)/(\d+)", log)
    base = Fraction(int(base[1]), int(base[2])) if base else None
    times = []
    for line in re.finditer(r"\bn: *\d+ +pts: *(-?\d+|NOPTS)", log):
        times.append(None if line[1] == "NOPTS" or base is None else int(line[1]) * base)
    return times


def frames(path, filters="", chroma=False, start=None, count=None, index=0):
    """Every decoded picture of the index-th video stream, with its own time: a generator of Frame. `filters` go
    between (an ffmpeg filter chain); 10 bit is reduced to 8. `start` (seconds) seeks, `count` bounds."""
    chain = [filters] if filters else []
    chain += ["format=yuv420p", "showinfo=checksum=0"]
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-v", "info", "-nostats", "-copyts", "-noautorotate"]
    command += ["-ss", str(start)] if start is not None else []
    command += ["-i", str(path), "-map", f"0:v:{index}", "-vf", ",".join(chain)]
    command += ["-frames:v", str(count)] if count is not None else []
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-"]
    with tempfile.TemporaryFile() as log:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log) as process:
            yield from _read_frames(process, log, chroma)
            leftover = process.stdout.read(1)
        if process.returncode or leftover:
            raise MeasureError(f"ffmpeg can't decode {path}:\n{_log_text(log)[-2000:]}")


def _log_text(log):
    """All that was logged so far. The program that writes shares the file's offset, so that is not to be moved."""
    return os.pread(log.fileno(), os.fstat(log.fileno()).st_size, 0).decode(errors="replace")


def _read_frames(process, log, chroma):
    size, base, at, shown = None, None, 0, []
    while True:
        head = process.stdout.read(size[2] if size else 1)
        if not head:
            return
        if size is None:  # the first byte is out, so showinfo has told size and time base
            text = _log_text(log)
            found = re.search(r"showinfo.* s:(\d+)x(\d+)", text)
            base = re.search(r"config in time_base: (\d+)/(\d+)", text)
            if not found or not base:
                raise MeasureError("showinfo told no size")
            base = Fraction(int(base[1]), int(base[2]))
            w, h = int(found[1]), int(found[2])
            half = ((w + 1) // 2, (h + 1) // 2)
            size = (w, h, w * h + 2 * half[0] * half[1])
            head += process.stdout.read(size[2] - 1)
        if len(head) != size[2]:
            raise MeasureError(f"picture {at} is cut off")
        if at >= len(shown):
            shown = re.findall(r"\bn: *\d+ +pts: *(-?\d+|NOPTS) ", _log_text(log))
        time = None if shown[at] == "NOPTS" else int(shown[at]) * base
        data = np.frombuffer(head, np.uint8)
        w, h = size[:2]
        frame = Frame(at, time, data[:w * h].reshape(h, w).astype(np.float32))
        if chroma:
            cw, ch = (w + 1) // 2, (h + 1) // 2
            frame.u = data[w * h:w * h + cw * ch].reshape(ch, cw).astype(np.float32)
            frame.v = data[w * h + cw * ch:].reshape(ch, cw).astype(np.float32)
        yield frame
        at += 1


@dataclasses.dataclass
class Sound:
    """A decoded track: samples x channels, the rate, and the time of each sample (by its frame's timestamp)."""
    rate: int
    samples: np.ndarray
    times: np.ndarray


def sound(path, index=0):
    """The index-th audio track, decoded to float, with exact times."""
    track = stream(path, "audio", index)
    rate, channels = int(track["sample_rate"]), int(track["channels"])
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-v", "info", "-nostats", "-copyts", "-i", str(path), "-map",
               f"0:a:{index}", "-af", "aformat=sample_fmts=flt,ashowinfo", "-f", "f32le", "-c:a", "pcm_f32le", "-"]
    done = subprocess.run(command, capture_output=True, check=False)
    log = done.stderr.decode(errors="replace")
    if done.returncode:
        raise MeasureError(f"ffmpeg can't decode the sound of {path}:\n{log[-2000:]}")
    samples = np.frombuffer(done.stdout, np.float32).reshape(-1, channels)
    shown = re.findall(r"ashowinfo.*\bn:\d+ pts:(-?\d+) .*nb_samples:(\d+)", log)
    if not shown:
        raise MeasureError(f"{path}: no sound came out of track {index}")
    times = np.concatenate([(int(pts) + np.arange(int(n))) / rate for pts, n in shown])
    if len(times) != len(samples):
        raise MeasureError(f"{path}: {len(times)} samples announced, {len(samples)} decoded")
    return Sound(rate, samples, times)


# ---- Where the marks are -------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Geometry:
    """Maps places of the sample (x of 720, y of 480) to samples of a picture that shows the part `crop` (left, top,
    width, height, in samples and lines of the source) of a source of `lines` lines, scaled to width x height."""
    width: int = WIDTH
    height: int = MARK_LINES
    lines: int = MARK_LINES
    crop: tuple = None

    def __post_init__(self):
        if self.crop is None:
            self.crop = (0, 0, WIDTH, self.lines)

    def x(self, x):
        return (x - self.crop[0]) * self.width / self.crop[2]

    def y(self, y):
        return (y * self.lines / MARK_LINES - self.crop[1]) * self.height / self.crop[3]

    def box(self, x0, y0, x1, y1, shrink=0.25):
        """Slices of the inside of a box, a part of it cut off on each side."""
        dx, dy = (x1 - x0) * shrink, (y1 - y0) * shrink
        left, right = round(self.x(x0 + dx)), round(self.x(x1 - dx))
        top, bottom = round(self.y(y0 + dy)), round(self.y(y1 - dy))
        if left < 0 or top < 0 or right > self.width or bottom > self.height:
            raise MeasureError(f"the mark at {x0},{y0} is outside the picture")
        return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))


def geometry(path, lines=MARK_LINES, crop=None):
    """The geometry of a file that shows `crop` (all, unless given) of a source of `lines` lines."""
    track = stream(path, "video")
    return Geometry(int(track["width"]), int(track["height"]), lines, crop)


# ---- The number ----------------------------------------------------------------------------------------------------

def _block_levels(luma, geo, rows, parity):
    levels = []
    for i in range(CODE_BITS + 2):
        x = CODE_X + i * CODE_BLOCK
        ys, xs = geo.box(x, rows[0], x + CODE_BLOCK, rows[1])
        block = luma[ys, xs]
        if parity is not None:
            block = block[(parity - ys.start) % 2::2]
        levels.append(np.median(block))
    return np.array(levels)


def number(luma, geo, parity=None, sure=0.5):
    """The number in a picture, or in its lines of one parity (0 = top field). None unless every block stands clear:
    upper and lower row differ by at least `sure` of what white and black at the two ends differ."""
    difference = _block_levels(luma, geo, CODE_UPPER, parity) - _block_levels(luma, geo, CODE_LOWER, parity)
    full = (difference[0] - difference[-1]) / 2
    if full < 24 or np.min(np.abs(difference)) < sure * full:
        return None
    value = 0
    for bit in difference[1:-1] > 0:
        value = value << 1 | int(bit) ^ (value & 1)  # Gray code
    return value


def numbers(path, geo=None, filters=""):
    """(time, number) of each picture of a file."""
    geo = geo or geometry(path)
    return [(f.time, number(f.luma, geo)) for f in frames(path, filters)]


def field_numbers(path, geo=None):
    """(time, number of the top field, of the bottom field) of each picture: for pictures of the source's height."""
    geo = geo or geometry(path)
    return [(f.time, number(f.luma, geo, 0), number(f.luma, geo, 1)) for f in frames(path)]


def sequence_faults(found, first=None, step=1):
    """What is wrong with a list of numbers that ought to be first, first + step, ...: [] when all is right."""
    faults, want = [], first
    for at, value in enumerate(found):
        if value is None:
            faults.append(f"picture {at}: number unreadable")
        elif want is not None and value != want:
            kind = "repeated" if value == want - step else "went back" if value < want else "skipped"
            faults.append(f"picture {at}: {value} instead of {want} ({kind})")
        want = (value if value is not None else want) if want is None or value is not None else want
        want = None if want is None else want + step
    return faults


def field_order(path, geo=None, count=20):
    """"tff", "bff" or "progressive", as the pictures themselves say; "mixed" when they disagree."""
    geo = geo or geometry(path)
    kinds = set()
    for f in frames(path, count=count):
        top, bottom = number(f.luma, geo, 0), number(f.luma, geo, 1)
        if top is None or bottom is None:
            continue
        kinds.add("progressive" if top == bottom else "tff" if bottom == top + 1 else
                  "bff" if top == bottom + 1 else "mixed")
    if not kinds:
        raise MeasureError(f"{path}: no number can be read")
    return kinds.pop() if len(kinds) == 1 else "mixed"


def combing(luma):
    """How much lines differ from their neighbours against how much lines of one field do: about 0.6 and below in
    a clean picture, over 1 in one that still weaves two moments."""
    near = np.abs(2 * luma[2:-2] - luma[1:-3] - luma[3:-1])
    far = np.abs(2 * luma[2:-2] - luma[:-4] - luma[4:])
    return float(near.mean() / max(far.mean(), 1e-6))


# ---- Flash and beep ------------------------------------------------------------------------------------------------

def flash_times(path, geo=None):
    """When each flash begins: the time of the first picture in which it is more than half as bright as at its best."""
    geo = geo or geometry(path)
    box = geo.box(*FLASH)
    seen = [(f.time, float(f.luma[box].mean())) for f in frames(path)]
    if not seen:
        raise MeasureError(f"{path}: no pictures")
    levels = np.array([level for _, level in seen])
    low, high = levels.min(), levels.max()
    if high - low < 60:
        raise MeasureError(f"{path}: no flash (luma {low:.0f} to {high:.0f})")
    lit = levels > (low + high) / 2
    return [float(seen[i][0]) for i in range(1, len(lit)) if lit[i] and not lit[i - 1]]


def beep_times(path, index=0, channel=None):
    """When each beep begins: where the strength of 1 kHz, in a window of 4 ms, passes half of its plateau. Good to
    a few tenths of a millisecond. `channel` None mixes all."""
    s = sound(path, index)
    mono = s.samples.mean(axis=1) if channel is None else s.samples[:, channel]
    phase = np.exp(-2j * np.pi * BEEP_HZ / s.rate * np.arange(len(mono)))
    window = int(round(s.rate * 0.004))
    total = np.concatenate([[0], np.cumsum(mono * phase)])
    strength = np.abs(total[window:] - total[:-window]) / window  # [i] covers i .. i + window - 1
    if not len(strength):
        raise MeasureError(f"{path}: hardly any sound")
    plateau = float(np.median(strength[strength > strength.max() * 0.7]))
    if plateau < 4 * np.median(strength) or plateau < 1e-4:
        raise MeasureError(f"{path}: no beep")
    over = strength > plateau / 2
    onsets = []
    for i in np.flatnonzero(over[1:] & ~over[:-1]):
        part = (plateau / 2 - strength[i]) / (strength[i + 1] - strength[i])
        at = i + part + window / 2  # the sample that begins in the middle of the window
        held = over[i + 1:i + 1 + int(0.05 * s.rate)].mean()
        if held > 0.95 and (not onsets or at / s.rate - onsets[-1][0] > 0.3):
            onsets.append((at / s.rate, at))
    return [float(np.interp(at, np.arange(len(s.times)), s.times)) for _, at in onsets]


def av_offsets(path, geo=None, index=0, channel=None):
    """Milliseconds by which the sound comes late (negative: early), for each flash that has a beep."""
    beeps = np.array(beep_times(path, index, channel))
    offsets = []
    for flash in flash_times(path, geo):
        late = beeps - flash
        best = late[np.argmin(np.abs(late))] if len(late) else 9
        if abs(best) < 0.45:
            offsets.append(float(best * 1000))
    if not offsets:
        raise MeasureError(f"{path}: no flash has its beep")
    return offsets


# ---- The circle ----------------------------------------------------------------------------------------------------

def _sample(luma, x, y):
    """Bilinear; x and y count from the middle of the first sample."""
    h, w = luma.shape
    x, y = np.clip(x, 0, w - 1.001), np.clip(y, 0, h - 1.001)
    i, j = x.astype(int), y.astype(int)
    fx, fy = x - i, y - j
    return ((luma[j, i] * (1 - fx) + luma[j, i + 1] * fx) * (1 - fy) +
            (luma[j + 1, i] * (1 - fx) + luma[j + 1, i + 1] * fx) * fy)


def _edge_points(luma, geo, true_sar, rays):
    """Where rays from the centre pass from the white ring to the dark one around it."""
    cx, cy = geo.x(CIRCLE_X) - 0.5, geo.y(CIRCLE_Y) - 0.5
    ry = CIRCLE_RADIUS * geo.lines / MARK_LINES * geo.height / geo.crop[3]
    rx = CIRCLE_RADIUS * geo.lines / MARK_LINES / float(true_sar) * geo.width / geo.crop[2]
    reach = CIRCLE_RING / CIRCLE_RADIUS
    part = np.linspace(1 - 0.8 * reach, 1 + 0.8 * reach, 400)
    points = []
    for angle in np.arange(rays) * 2 * np.pi / rays:
        ux, uy = np.cos(angle) * rx, np.sin(angle) * ry
        line = _sample(luma, cx + part * ux, cy + part * uy)
        level = (np.median(line[:150]) + np.median(line[-150:])) / 2
        below = np.flatnonzero(line < level)
        if np.median(line[:150]) - np.median(line[-150:]) < 50 or not len(below) or below[0] == 0:
            continue
        i = below[0]
        at = part[i - 1] + (line[i - 1] - level) / (line[i - 1] - line[i]) * (part[1] - part[0])
        points.append((at * ux, at * uy))
    if len(points) < rays * 0.6:
        raise MeasureError(f"the circle can't be found ({len(points)} of {rays} rays)")
    return np.array(points)


def circle(luma, geo, wide=False, rays=180):
    """Half the width and half the height of the circle, in samples of the picture, and its centre: an ellipse fitted
    to its edge, outliers thrown out once."""
    points = _edge_points(luma, geo, TRUE_SAR[geo.lines, wide], rays)
    for _ in range(2):
        x, y = points.T
        a, b, c, d = np.linalg.lstsq(np.stack([x * x, y * y, x, y], 1), np.ones(len(x)), rcond=None)[0]
        x0, y0 = -c / (2 * a), -d / (2 * b)
        scale = 1 + a * x0 * x0 + b * y0 * y0
        rx, ry = np.sqrt(scale / a), np.sqrt(scale / b)
        off = np.abs(np.hypot((x - x0) / rx, (y - y0) / ry) - 1)
        points = points[off <= max(3 * np.median(off), 1e-4)]
    return rx, ry, geo.x(CIRCLE_X) + x0, geo.y(CIRCLE_Y) + y0


def roundness(luma, geo, shown_sar=Fraction(1), wide=False):
    """Width of the circle over its height when samples are shown with `shown_sar`: 1.0 is round."""
    rx, ry, _, _ = circle(luma, geo, wide)
    return float(rx * shown_sar / ry)


def mean_luma(path, count=12, start=None, filters=""):
    """The mean of some pictures: what stands still comes out without noise."""
    total, n = None, 0
    for f in frames(path, filters, start=start, count=count):
        total = f.luma.copy() if total is None else total + f.luma
        n += 1
    if not n:
        raise MeasureError(f"{path}: no pictures")
    return total / n


def file_roundness(path, geo=None, shown_sar=None, wide=False):
    """Roundness of the circle in a file, by the aspect ratio that the file states, or another."""
    geo = geo or geometry(path)
    return roundness(mean_luma(path), geo, sar(path) if shown_sar is None else shown_sar, wide)


# ---- Against the truth ---------------------------------------------------------------------------------------------

def psnr(a, b):
    """Peak signal-to-noise ratio of two pictures in dB; infinite when they are equal."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return float("inf") if error == 0 else 10 * np.log10(255 * 255 / error)


def psnr_by_number(path, truth, geo=None, filters="", area=(16, 8, 704, 460), number_of=None):
    """{number: dB} of the luma of each picture against the picture of the truth with the same number, inside `area`
    (places of the sample). `filters` bring pictures to the truth's size ("scale=720:480:flags=bicubic"); `geo` is the
    truth's. `number_of(frame)` replaces reading the blocks."""
    lines = int(stream(truth, "video")["height"])
    geo = geo or Geometry(WIDTH, lines, lines)
    ys, xs = geo.box(*area, shrink=0)
    found, source, have = {}, frames(truth), None
    for f in frames(path, filters):
        n = number_of(f) if number_of else number(f.luma, geo)
        if n is None or n in found:
            continue
        while have is None or have.index < n:
            have = next(source, None)
            if have is None:
                return found
        if have.index == n:
            if have.luma.shape != f.luma.shape:
                raise MeasureError(f"{path} has {f.luma.shape[::-1]}, the truth {have.luma.shape[::-1]}: scale it")
            found[n] = psnr(f.luma[ys, xs], have.luma[ys, xs])
    return found


def framemd5(path, index=0, pix_fmt=None, filters=""):
    """The MD5 of each decoded picture of the index-th video stream."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(path), "-map", f"0:v:{index}"]
    command += ["-vf", filters] if filters else []
    command += ["-pix_fmt", pix_fmt] if pix_fmt else []
    listed = run(command + ["-fps_mode", "passthrough", "-f", "framemd5", "-"]).decode()
    return [line.split(",")[-1].strip() for line in listed.splitlines() if line and not line.startswith("#")]


def framemd5_differences(a, b):
    """Where two lists of framemd5 differ: [] when they are equal and not empty."""
    faults = [f"picture {i}: {x} and {y}" for i, (x, y) in enumerate(zip(a, b)) if x != y]
    if len(a) != len(b):
        faults.append(f"{len(a)} pictures and {len(b)}")
    return faults if a or b else ["no pictures at all"]


def video_span(path):
    """(time of the first picture, time at which the last one ends, number of pictures), decoded."""
    times = [f.time for f in frames(path, "scale=16:16")]
    if not times:
        raise MeasureError(f"{path}: no pictures")
    step = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else \
        1 / _fraction(stream(path, "video").get("avg_frame_rate"), Fraction(25))
    return float(times[0]), float(times[-1] + step), len(times)


def sound_span(path, index=0):
    """(time of the first sample, time at which the last one ends, number of samples), decoded."""
    s = sound(path, index)
    return float(s.times[0]), float(s.times[-1] + 1 / s.rate), len(s.times)
