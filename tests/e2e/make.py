# Makes the inputs of the tests with the ffmpeg program, from pictures drawn by scene.py; and changes bits of them
# where ffmpeg can't (pull-down flags, captions, headers that lie). Each input is made once in a test program's run.
import dataclasses
import os
import struct
import subprocess
import wave
from fractions import Fraction

import harness
import measure as m
import numpy as np
import scene

NTSC, PAL = Fraction(30000, 1001), Fraction(25)
FILM = Fraction(24000, 1001)


@dataclasses.dataclass(frozen=True)
class Clip:
    """What a clip shows. `count` frames at `rate`; the flash and beep come in frame period/2 of each period."""
    lines: int = 480
    wide: bool = False
    order: str = "tff"
    count: int = 45
    rate: Fraction = None
    period: int = None
    telecine: bool = False
    channels: int = 2
    tones: tuple = ()

    @property
    def fps(self):
        return self.rate or (PAL if self.lines == 576 else NTSC)

    @property
    def flash_period(self):
        return self.period or (12 if self.lines == 576 else 15)

    @property
    def seconds(self):
        return self.count / self.fps

    def pairs(self):
        return scene.telecined(self.count) if self.telecine else scene.pairs(self.count, self.order)

    def numbers(self, double=True):
        """Numbers of the pictures that a perfect restoration shows."""
        if self.order == "progressive":
            return list(range(self.count))
        return list(range(2 * self.count)) if double else None

    def sar(self, tall=False):
        """The sample aspect that files of this kind declare: the whole 720 are 4:3 or 16:9."""
        return Fraction(16 if self.wide else 4, 9 if self.wide else 3) * self.lines / 720

    def raw(self):
        for i, (top, bottom) in enumerate(self.pairs()):
            carriers = (top, bottom) if self.telecine else (i, i)
            yield scene.weave(top, bottom, self.lines, self.wide, [scene.lit(n, self.flash_period) for n in carriers])

    def flashes(self):
        """Times (seconds) at which flashes begin."""
        if not self.telecine:
            return [f / float(self.fps) for f in range(self.count) if scene.lit(f, self.flash_period)]
        fields = [n for pair in self.pairs() for n in pair]
        return [i / float(2 * self.fps) for i, n in enumerate(fields) if scene.lit(n, self.flash_period) and
                (not i or fields[i - 1] != n)]

    def sound(self):
        times = self.flashes()
        return scene.beeps(float(self.seconds), times, self.channels, tones=self.tones)


def path(name):
    return os.path.join(harness.folder(), name)


def write_wav(name, samples, rate=scene.RATE):
    """16 bit; more than two channels in the order of WAVE."""
    with wave.open(name, "wb") as out:
        out.setnchannels(samples.shape[1])
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(np.clip(np.rint(samples * 32767), -32768, 32767).astype("<i2").tobytes())
    return name


def ffmpeg(*words, feed=None):
    """Runs ffmpeg; `feed` yields what goes to its standard input."""
    command = ["ffmpeg", "-nostdin" if feed is None else "-y", "-hide_banner", "-v", "error", "-y", *map(str, words)]
    with subprocess.Popen(command, stdin=subprocess.PIPE if feed is not None else subprocess.DEVNULL,
                          stderr=subprocess.PIPE) as process:
        if feed is not None:
            try:
                for piece in feed:
                    process.stdin.write(piece)
                process.stdin.close()
            except BrokenPipeError:
                pass
        errors = process.stderr.read().decode(errors="replace")
    if process.returncode:
        raise m.MeasureError(f"{' '.join(command)}\n{errors[-2000:]}")
    return errors


def once(make):
    """A maker of files that makes each but once."""
    made = {}

    def cached(*args, **more):
        key = repr((args, sorted(more.items())))
        if key not in made:
            made[key] = make(*args, **more)
        return made[key]
    return cached


@once
def master(clip):
    """The clip lossless: FFV1 4:2:2 and PCM in Matroska, field order and aspect set."""
    name = path(f"master-{abs(hash(clip))}.mkv")
    wav = write_wav(name + ".wav", clip.sound())
    fields = {"tff": "tt", "bff": "bb"}.get(clip.order if not clip.telecine else "tff", "progressive")
    setfield = {"tt": "tff", "bb": "bff"}.get(fields, "prog")
    ffmpeg("-f", "rawvideo", "-pix_fmt", "yuv422p", "-s", f"{m.WIDTH}x{clip.lines}", "-r", clip.fps, "-i", "-", "-i",
           wav, "-c:v", "ffv1", "-level", 3, "-c:a", "copy", "-vf", f"setfield={setfield},setsar={clip.sar()}",
           "-field_order", fields, "-color_range", "tv", name, feed=clip.raw())
    return name


COLOURS = {480: ("smpte170m", "smpte170m", "smpte170m"), 576: ("bt470bg", "gamma28", "bt470bg")}


def colour_flags(lines=480):
    primaries, transfer, matrix = COLOURS[lines]
    return ["-color_primaries", primaries, "-color_trc", transfer, "-colorspace", matrix, "-color_range", "tv"]


def mpeg2_flags(clip, bitrate="9M"):
    top = {"tff": ["-top", 1], "bff": ["-top", 0]}.get(clip.order if not clip.telecine else "tff", [])
    fields = ["-flags", "+ildct+ilme"] if top else []
    return ["-c:v", "mpeg2video", "-pix_fmt", "yuv420p", "-b:v", bitrate, "-maxrate", bitrate, "-bufsize", "1835k",
            "-qmin", 1, "-g", 15, "-aspect", "16:9" if clip.wide else "4:3", *fields, *top]


def rescale(clip):
    """4:2:2 to 4:2:0 by fields where it is interlaced."""
    return ["-vf", f"scale=interl={int(clip.order != 'progressive')},format=yuv420p"]


@once
def encoded(clip, ext, *flags, name="clip", before=(), colours=True):
    """The clip encoded by these ffmpeg flags into a file of this extension."""
    out = path(f"{name}-{abs(hash((clip, ext, flags, before))) % 10 ** 8}.{ext}")
    colour = colour_flags(clip.lines) if colours else []
    ffmpeg(*before, "-i", master(clip), *colour, *flags, out)
    return out


@once
def mpeg_ps(clip, ext="mpg", audio=("-c:a", "mp2", "-b:a", "256k"), **more):
    return encoded(clip, ext, *rescale(clip), *mpeg2_flags(clip), *audio, "-f", "dvd" if ext == "vob" else
                   {"mpg": "dvd", "ts": "mpegts"}[ext], **more)


def h264_flags(clip, *x264):
    params = [f"{clip.order}=1"] if clip.order != "progressive" else []
    return ["-c:v", "libx264", "-preset", "ultrafast", "-crf", 12, "-g", 30,
            *(["-flags", "+ildct+ilme"] if params else []),
            *(["-x264-params", ":".join(params + list(x264))] if params or x264 else [])]


@once
def h264(clip, ext="mp4", *flags, audio=("-c:a", "aac", "-b:a", "192k"), **more):
    return encoded(clip, ext, *rescale(clip), *h264_flags(clip), *audio, *flags, **more)


# ---- Bits of MPEG-2 ------------------------------------------------------------------------------------------------

def start_codes(data):
    """(position, code) of each start code."""
    at = data.find(b"\0\0\1")
    while 0 <= at < len(data) - 3:
        yield at, data[at + 3]
        at = data.find(b"\0\0\1", at + 3)


@dataclasses.dataclass
class Picture:
    """Places in an elementary stream: of a picture's header, of its coding extension, of its first slice."""
    header: int
    extension: int = -1
    slice: int = -1
    display: int = -1


def pictures(data):
    """The pictures in coding order, with the place of each in the order of display."""
    found, base, last = [], 0, -1
    for at, code in start_codes(data):
        if code == 0xB8:
            base = last + 1
        elif code == 0x00:
            reference = data[at + 4] << 2 | data[at + 5] >> 6
            found.append(Picture(at, display=base + reference))
            last = max(last, base + reference)
        elif code == 0xB5 and data[at + 4] >> 4 == 8 and found:
            found[-1].extension = at + 4
        elif code == 0x01 and found and found[-1].slice < 0:
            found[-1].slice = at
    return found


def sequence_places(data):
    """(places of sequence headers, of sequence extensions)."""
    codes = list(start_codes(data))
    return ([at + 4 for at, code in codes if code == 0xB3],
            [at + 4 for at, code in codes if code == 0xB5 and data[at + 4] >> 4 == 1])


def set_soft_telecine(data, flags=((1, 0), (1, 1), (0, 0), (0, 1))):
    """Film at 23.976 becomes film with pull-down flags at 29.97: top_field_first and repeat_first_field by the order of
    display, frame_rate_code 4, not a progressive sequence."""
    data = bytearray(data)
    headers, extensions = sequence_places(data)
    for at in headers:
        data[at + 3] = data[at + 3] & 0xF0 | 4
    for at in extensions:
        data[at + 1] &= ~0x08
    for p in pictures(data):
        tff, rff = flags[p.display % len(flags)]
        at = p.extension
        data[at + 3] = data[at + 3] & 0x7D | tff << 7 | rff << 1
        data[at + 4] |= 0x80  # progressive_frame
    return bytes(data)


def elementary(clip, *flags):
    """The MPEG-2 elementary stream of a clip."""
    out = encoded(clip, "m2v", *rescale(clip), *mpeg2_flags(clip), "-an", *flags, "-f", "mpeg2video", name="es")
    with open(out, "rb") as file:
        return file.read()


def mux(data, name, clip, *flags, ext="mpg", audio=("-c:a", "mp2", "-b:a", "256k"), rate=None):
    """An elementary stream and the clip's sound, in a program stream unless `flags` say otherwise."""
    raw, out = path(name + ".m2v"), path(name + "." + ext)
    with open(raw, "wb") as file:
        file.write(data)
    # Through Matroska first: it stores the times that the parser finds by the repeat flags.
    ffmpeg("-fflags", "+genpts", *(["-r", rate] if rate else []), "-i", raw, "-i", master(clip), "-map", "0:v", "-map",
           "1:a", "-c:v", "copy", *audio, *flags, *(["-f", "dvd"] if ext in ("mpg", "vob") else []), out)
    return out


@once
def soft_telecine(bf=0):
    """Film with pull-down flags, in a program stream. The numbers are those of the film's frames."""
    clip = Clip(order="progressive", count=40, rate=FILM, period=24)
    return clip, mux(set_soft_telecine(elementary(clip, "-bf", bf)), f"soft{bf}", clip)


def odd_parity(value):
    return value | (0x80 if bin(value & 0x7F).count("1") % 2 == 0 else 0)


def caption_pair(n):
    """The two bytes of CEA-608 that belong to frame n: printable, different for each n below 9000."""
    return odd_parity(0x20 + n // 95 % 95), odd_parity(0x20 + n % 95)


def caption_user_data(n):
    """ATSC A/53 user data with one CEA-608 pair for field 1 and one packet byte pair of CEA-708."""
    a, b = caption_pair(n)
    triplets = bytes((0xFC, a, b)) + bytes((0xFE, n & 0xFF, n >> 8 & 0xFF))
    return b"\0\0\1\xb2GA94\x03" + bytes((0x40 | len(triplets) // 3, 0xFF)) + triplets + b"\xff"


def add_user_data(data, make):
    """Puts user data in front of each picture's first slice: make(number in the order of display)."""
    out, at = [], 0
    for p in pictures(data):
        out += [data[at:p.slice], make(p.display)]
        at = p.slice
    return b"".join(out) + data[at:]


@once
def captioned(order="tff", bf=0):
    clip = Clip(order=order, count=30)
    data = add_user_data(elementary(clip, "-bf", bf), caption_user_data)
    return clip, mux(data, f"captions-{order}{bf}", clip)


def captions(path_):
    """The CEA-608 pairs of a file, as ffmpeg's caption reader finds them, in order: [(a, b), ...]."""
    escaped = path_.replace("\\", "\\\\").replace(":", "\\:").replace("'", "\\'")
    text = m.run(["ffprobe", "-v", "error", "-f", "lavfi", "-i", f"movie={escaped}[out+subcc]", "-select_streams", "s",
                  "-show_packets", "-show_data", "-of", "compact=p=0", "-show_entries", "packet=data"]).decode()
    found = []
    for line in text.splitlines():
        hexes = "".join(part[10:50].replace(" ", "") for part in line.split("\\n") if part[:8].strip())
        data = bytes.fromhex(hexes)
        found += [tuple(data[i + 1:i + 3]) for i in range(0, len(data) - 2, 3) if data[i] & 0xFC == 0xFC and
                  data[i] & 3 == 0]
    return found


# ---- Headers that lie ----------------------------------------------------------------------------------------------

def changed(source, name, change):
    """A copy of a file with its bytes passed through `change`."""
    out = path(name)
    with open(source, "rb") as file:
        data = change(bytearray(file.read()))
    with open(out, "wb") as file:
        file.write(data)
    return out


def mp4_boxes(data, at=0, end=None, inside=(b"moov", b"trak", b"mdia", b"edts", b"minf", b"stbl")):
    """(kind, place of the box, size) of all boxes, nested ones too."""
    end = len(data) if end is None else end
    while at + 8 <= end:
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        size = size or end - at
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", data[at + 8:at + 16])[0], 16
        yield bytes(kind), at, size
        if kind in inside:
            yield from mp4_boxes(data, at + head, at + size, inside)
        at += size


def shift_video(clip, name, seconds, ext="mkv", audio=("-c:a", "pcm_s16le"), *flags):
    """The clip with its sound cut so that it begins `seconds` after the picture (negative: the picture begins later),
    the two still in step."""
    out, source = path(name), h264(clip, "mkv", "-bf", "0", audio=("-c:a", "copy"))
    late = max(0, seconds)
    first = max(0, -seconds)
    # -copyts keeps the times; one input is trimmed at its beginning.
    trim_a = f"atrim=start={late}" if late else "anull"
    trim_v = f"trim=start={first}" if first else "null"
    ffmpeg("-copyts", "-i", source, "-vf", trim_v, "-af", trim_a, *h264_flags(clip), *audio, *flags, out)
    return out
