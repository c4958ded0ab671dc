"""How good a file is, and whether two files show the same: measured by the ffmpeg program."""
import json
import re
import subprocess


class Unequal(Exception):
    """Two files that ought to be comparable are not: why."""


def probe_video(path):
    """{"width", "height", "pictures", "aspect"} of the first video stream; pictures are counted, not believed."""
    done = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-count_packets", "-show_entries",
                           "stream=width,height,nb_read_packets,sample_aspect_ratio", "-of", "json", path],
                          capture_output=True, text=True, check=True)
    s = json.loads(done.stdout)["streams"][0]
    return {"width": s["width"], "height": s["height"], "pictures": int(s["nb_read_packets"]),
            "aspect": s.get("sample_aspect_ratio", "1:1")}


def _require_same_shape(path, reference):
    mine, other = probe_video(path), probe_video(reference)
    if mine["pictures"] != other["pictures"]:
        raise Unequal(f"{path} has {mine['pictures']} pictures, {reference} has {other['pictures']}")
    if (mine["width"], mine["height"]) != (other["width"], other["height"]):
        raise Unequal(f"{path} is {mine['width']}x{mine['height']}, {reference} {other['width']}x{other['height']}")


def _compare(path, reference, method):
    graph = f"[0:v]settb=1/100,setpts=N[a];[1:v]settb=1/100,setpts=N[b];[a][b]{method}"
    return subprocess.run(["ffmpeg", "-nostdin", "-v", "info", "-i", path, "-i", reference, "-lavfi", graph, "-f",
                           "null", "-"], capture_output=True, text=True, check=True)


def psnr(path, reference):
    """dB of all planes together against a reference, picture by picture in order."""
    _require_same_shape(path, reference)
    done = _compare(path, reference, "psnr")
    found = re.search(r"PSNR .*average:(\S+)", done.stderr)
    if not found:
        raise Unequal(f"ffmpeg gave no PSNR of {path}")
    return float(found[1])


def worst_planes(path, reference):
    """For each picture, the dB of its worst plane against a reference; inf where they are equal."""
    _require_same_shape(path, reference)
    lines = _compare(path, reference, "psnr=stats_file=-").stdout.splitlines()
    found = [min(map(float, re.findall(r"psnr_[yuv]:(\S+)", line))) for line in lines]
    if len(found) != probe_video(path)["pictures"]:
        raise Unequal(f"{path}: ffmpeg compared {len(found)} pictures only")
    return found


def same_pictures(a, b):
    """How many pictures differ in any sample between two lossless files; None when their numbers differ."""
    sums = []
    for path in (a, b):
        done = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", path, "-map", "0:v:0", "-fps_mode",
                               "passthrough", "-f", "framemd5", "-"], capture_output=True, text=True, check=True)
        sums.append([line.split(",")[-1].strip() for line in done.stdout.splitlines() if not line.startswith("#")])
    if len(sums[0]) != len(sums[1]):
        return None
    return sum(x != y for x, y in zip(*sums))
