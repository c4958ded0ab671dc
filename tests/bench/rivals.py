"""What is run: our program, ffmpeg in one pass, the old flow of separate ffmpeg processes, HandBrakeCLI; one task
each.

The task is the same for all: deinterlace to one frame a field (bwdif), denoise (hqdn3d 3:2:3:2), colour (contrast
1.1, brightness 0.05, saturation 1.05), scale to square pixels (Lanczos; the matrix of HD where SD becomes HD),
encode with one encoder, preset, CRF and number of threads, sound to AAC 192 kb/s, one Matroska file.

The old flow is that of the performance report on the program's forerunner ("Repeated FFmpeg Subprocess Calls"): one
process each to extract the sound, deinterlace, denoise and correct the colour, then its upscaling stage, then its
final encode and mux, each reading the file that the one before wrote. Intermediates are libx264, preset fast, CRF
18, sound is AAC 192k: the report's own lines. It is re-made generously: the deinterlacer is the same bwdif (the
report has yadif or bwdif), the forerunner wrote its upscaled file with preset slow, its sound was encoded again
while muxing, and the time of its own Python is not counted."""
import dataclasses
import os
import shutil

BWDIF = "bwdif=mode=send_field:parity=auto:deint=all"
HQDN3D = "hqdn3d=3:2:3:2"
EQ = "eq=contrast=1.1:brightness=0.05:saturation=1.05"
TO_HD = ("colorspace=ispace=smpte170m:iprimaries=smpte170m:itrc=smpte170m:irange=tv:space=bt709:primaries=smpte170m:"
         "trc=smpte170m:range=tv")
TAPE_SIZE = (720, 480)
FFV1 = {"level": 3, "coder": 1, "context": 1, "g": 1, "slices": 4, "slicecrc": 1}
FFMPEG = ["ffmpeg", "-nostdin", "-y", "-v", "error"]
AAC = ["-c:a", "aac", "-b:a", "192k"]


@dataclasses.dataclass(frozen=True)
class Task:
    """One thing to do, to pictures of `size` (width, height) with square pixels."""
    name: str
    clip: str
    folder: str
    size: tuple = (640, 480)
    encoder: str = "libx264"
    preset: str = "medium"
    crf: int = 18
    threads: int = 3

    def file(self, who, extension="mkv"):
        return os.path.join(self.folder, f"{self.name}-{who}.{extension}")

    @property
    def pixels(self):
        return "%dx%d" % self.size


def scale(task, exact=True):
    """The filters that bring the picture to the task's size. The single pass says what our program says: the matrix,
    the range, and where MPEG-2 puts its colour samples; the old flow left that to chance."""
    size = "scale=%d:%d:flags=lanczos" % task.size
    if not exact:
        return [size, "setsar=1"]
    hd = task.size[1] >= 720
    matrix = "bt709" if hd else "bt601"
    colours = (f":in_color_matrix={matrix}:in_range=tv:out_color_matrix={matrix}:out_range=tv:in_h_chr_pos=0:"
               "in_v_chr_pos=128:out_h_chr_pos=0:out_v_chr_pos=128")
    return ([TO_HD] if hd else []) + [size + colours, "setsar=1"]


def encode(task):
    if task.encoder == "ffv1":
        options = [word for name, value in FFV1.items() for word in (f"-{name}", str(value))]
        return ["-c:v", "ffv1", *options, "-threads", str(task.threads)]
    return ["-c:v", task.encoder, "-preset", task.preset, "-crf", str(task.crf), "-threads", str(task.threads)]


# ---- Ours ----------------------------------------------------------------------------------------------------------

def ours(program, task, *more):
    """Every setting that matters is given, so that no preset's taste is measured."""
    words = [program, "restore", task.clip, "-o", task.file("ours"), "--overwrite", "--preset", "clean",
             "--deinterlace", "bwdif", "--deinterlace-frames", "all", "--field-rate", "double", "--crop", "none",
             "--denoise", "hqdn3d", "--denoise-strength", "3:2:3:2", "--contrast", "1.1", "--brightness", "0.05",
             "--saturation", "1.05", "--sharpen", "off", "--sd-width", "720", "--scaler", "lanczos", "--resolution",
             task.pixels, "--audio-codec", "aac", "--audio-bitrate", "192k", "--log-level", "error"]
    if task.encoder == "ffv1":
        options = ":".join(f"{name}={value}" for name, value in FFV1.items())
        words += ["--encoder", "ffv1", "--encoder-options", options]
    else:
        words += ["--encoder", task.encoder, "--encoder-preset", task.preset, "--crf", str(task.crf)]
    words += ["--encoder-threads", str(task.threads)]
    return [words + (list(more) or ["--progress", "none"])]


# ---- ffmpeg --------------------------------------------------------------------------------------------------------

def single_pass(task, who="ffmpeg"):
    chain = ",".join([BWDIF, HQDN3D, EQ, *scale(task)])
    return [[*FFMPEG, "-i", task.clip, "-map", "0:v:0", "-map", "0:a:0", "-vf", chain, *encode(task), *AAC,
             task.file(who)]]


def old_flow(task):
    between = ["-c:v", "libx264", "-preset", "fast", "-crf", "18", "-threads", str(task.threads)]
    sound, fields = task.file("old-audio", "m4a"), task.file("old-deinterlaced", "mp4")
    clean, colour = task.file("old-denoised", "mp4"), task.file("old-colour", "mp4")
    scaled = task.file("old-scaled", "mp4")
    return [
        [*FFMPEG, "-i", task.clip, "-map", "0:a:0", "-vn", *AAC, sound],
        [*FFMPEG, "-i", task.clip, "-map", "0:v:0", "-an", "-vf", BWDIF, *between, fields],
        [*FFMPEG, "-i", fields, "-vf", HQDN3D, *between, clean],
        [*FFMPEG, "-i", clean, "-vf", EQ, *between, colour],
        [*FFMPEG, "-i", colour, "-vf", ",".join(scale(task, exact=False)), *between, scaled],
        [*FFMPEG, "-i", scaled, "-i", sound, "-map", "0:v:0", "-map", "1:a:0", *encode(task), "-c:a", "copy",
         task.file("old")],
    ]


def lossless(task):
    """The finished pictures before any encoder, as ffmpeg's filters make them: what outputs are compared with."""
    chain = ",".join([BWDIF, HQDN3D, EQ, *scale(task)])
    return [[*FFMPEG, "-i", task.clip, "-map", "0:v:0", "-an", "-vf", chain, "-c:v", "ffv1", "-level", "3", "-slices",
             "4", "-threads", "4", task.file("reference")]]


# ---- HandBrake -----------------------------------------------------------------------------------------------------

def handbrake(task):
    """Its own bwdif at field rate and its own hqdn3d; it has no brightness or contrast, so it does less."""
    if task.encoder != "libx264" or not shutil.which("HandBrakeCLI"):
        return None
    size = ["--non-anamorphic", "--width", str(task.size[0]), "--height", str(task.size[1])]
    return [["HandBrakeCLI", "-i", task.clip, "-o", task.file("handbrake"), "-e", "x264", "--encoder-preset",
             task.preset, "-q", str(task.crf), "-x", f"threads={task.threads}", "--no-comb-detect", "--bwdif=bob",
             "--hqdn3d=y-spatial=3:cb-spatial=2:cr-spatial=2:y-temporal=3:cb-temporal=2:cr-temporal=2", "--crop",
             "0:0:0:0", *size, "-r", "59.94", "--cfr", "-E", "av_aac", "-B", "192"]]


# ---- The encoder alone ---------------------------------------------------------------------------------------------

def raw_frames(task, path, count):
    """Makes some pictures of the task's size as plain bytes."""
    chain = ",".join([BWDIF, HQDN3D, "scale=%d:%d" % task.size])
    return [*FFMPEG, "-i", task.clip, "-vf", chain, "-frames:v", str(count), "-f", "rawvideo", "-pix_fmt", "yuv420p",
            path]


def encoder_alone(task, raw):
    """(with the encoder, without it): the same reader of plain pictures, the encoder's packets or the pictures thrown
    away. What the first needs more than the second is the encoder's share."""
    source = [*FFMPEG, "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", task.pixels, "-r", "60000/1001", "-i", raw]
    return [*source, *encode(task), "-f", "null", "-"], [*source, "-c:v", "wrapped_avframe", "-f", "null", "-"]
