# Colour in what is decoded, not in tags: patches of known RGB go in, in full and in limited range, and come out of
# ffmpeg's decoder as the same RGB within two codes; at the source's size and at HD's, where the matrix changes.
import harness as h
import make
import measure as m
import numpy as np

# Inside what BT.601 and BT.709 both hold in limited range.
PATCHES = ((235, 16, 16), (16, 200, 16), (20, 20, 220), (230, 220, 30), (200, 30, 190), (30, 200, 210), (128, 128, 128),
           (0, 0, 0), (255, 255, 255), (60, 60, 60), (190, 150, 120), (90, 120, 60))
SIZE = 80
WIDTH, HEIGHT = 4 * SIZE, 3 * SIZE
KR_KB = {"smpte170m": (0.299, 0.114), "bt709": (0.2126, 0.0722)}
TAGS = {"smpte170m": ("smpte170m", "smpte170m", "smpte170m"), "bt709": ("bt709", "bt709", "bt709")}


def coded(rgb, matrix, full, depth=8):
    """Y, Cb, Cr codes by the formulas of BT.601, BT.709 and H.273."""
    kr, kb = KR_KB[matrix]
    r, g, b = (np.asarray(c, float) / 255 for c in rgb)
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / 2 / (1 - kb), (r - y) / 2 / (1 - kr)
    top, unit = 2 ** depth - 1, 2 ** (depth - 8)
    values = (y * top, cb * top + 128 * unit, cr * top + 128 * unit) if full else \
        ((16 + 219 * y) * unit, (128 + 224 * cb) * unit, (128 + 224 * cr) * unit)
    return [int(np.clip(np.rint(v), 0, top)) for v in values]


@make.once
def patches(matrix="smpte170m", full=False, depth=8, ext="mkv", codec=("-c:v", "ffv1"), tagged=True):
    """Ten frames of the patches, 4:2:0."""
    planes = [np.zeros((HEIGHT, WIDTH), "<u2")] + [np.zeros((HEIGHT // 2, WIDTH // 2), "<u2") for _ in range(2)]
    for i, rgb in enumerate(PATCHES):
        for plane, code, size in zip(planes, coded(rgb, matrix, full, depth), (SIZE, SIZE // 2, SIZE // 2)):
            plane[i // 4 * size:(i // 4 + 1) * size, i % 4 * size:(i % 4 + 1) * size] = code
    frame = b"".join(p.astype("<u2" if depth > 8 else "u1").tobytes() for p in planes)
    out = make.path(f"patches-{matrix}-{full}-{depth}-{codec[1]}-{tagged}.{ext}")
    primaries, transfer, space = TAGS[matrix]
    tags = ["-color_primaries", primaries, "-color_trc", transfer, "-colorspace", space] if tagged else []
    reach = "full" if full else "limited"
    fmt = "yuvj420p" if codec[1] == "mjpeg" else "yuv420p10le" if depth > 8 else "yuv420p"
    make.ffmpeg("-f", "rawvideo", "-pix_fmt", "yuv420p10le" if depth > 8 else "yuv420p", "-s", f"{WIDTH}x{HEIGHT}",
                "-r", 25, "-i", "-", "-vf", f"setrange={reach},scale=in_range={reach}:out_range={reach},format={fmt}",
                *tags, "-color_range", "pc" if full else "tv", *codec, out, feed=[frame] * 10)
    return out


def shown(path):
    """RGB (0..255, not rounded) of the middle of each patch: ffmpeg decodes, the formulas follow the file's tags."""
    video = m.stream(path, "video")
    width, height, fmt = video["width"], video["height"], video["pix_fmt"]
    depth = 10 if "10" in fmt else 8
    raw = np.frombuffer(m.run(["ffmpeg", "-v", "error", "-i", path, "-frames:v", "1", "-f", "rawvideo", "-"]),
                        "<u2" if depth > 8 else "u1").astype(float) / 2 ** (depth - 8)
    size, half = width * height, (width + 1) // 2 * ((height + 1) // 2)
    assert len(raw) == size + 2 * half, fmt
    planes = (raw[:size].reshape(height, width), raw[size:size + half].reshape(-1, (width + 1) // 2),
              raw[size + half:].reshape(-1, (width + 1) // 2))
    full = video.get("color_range") == "pc" or fmt.startswith("yuvj")
    kr, kb = KR_KB[video.get("color_space", "smpte170m").replace("bt470bg", "smpte170m")]
    found = []
    for i in range(len(PATCHES)):
        codes = []
        for plane in planes:
            y, x = (i // 4 + 0.5) * plane.shape[0] / 3, (i % 4 + 0.5) * plane.shape[1] / 4
            codes.append(plane[int(y) - 4:int(y) + 4, int(x) - 4:int(x) + 4].mean())
        top = (2 ** depth - 1) / 2 ** (depth - 8)
        luma, cb, cr = (codes[0] / top, (codes[1] - 128) / top, (codes[2] - 128) / top) if full else \
            ((codes[0] - 16) / 219, (codes[1] - 128) / 224, (codes[2] - 128) / 224)
        r, b = luma + 2 * (1 - kr) * cr, luma + 2 * (1 - kb) * cb
        found.append(255 * np.array([r, (luma - kr * r - kb * b) / (1 - kr - kb), b]))
    return found


class Patches(h.Case):
    def check(self, source, *flags, tags=None, within=2, ext="mkv"):
        for before, want in zip(shown(source), PATCHES):
            self.assertNear(max(abs(before - want)), 0, within, f"the source itself, {want}")
        run = h.restore(source, "--preset", "clean", "--sharpen", "off", "--deinterlace", "off", *flags, ext=ext)
        if tags:
            self.assert_tags(run, *tags)
        for found, want in zip(shown(run.output), PATCHES):
            self.assertNear(max(abs(found - want)), 0, within, f"{want} became {found.round(1)}\n{run.text()}")
        return run

    SOURCE = ("--resolution", "source")

    def test_limited_range(self):
        self.check(patches(), *self.SOURCE, *h.EXACT, tags=(*TAGS["smpte170m"], "tv"))

    def test_full_range(self):
        self.check(patches(full=True), *self.SOURCE, *h.EXACT)

    def test_full_range_lossy(self):
        for ext in ("mkv", "mp4"):
            with self.subTest(ext):
                self.check(patches(full=True), *self.SOURCE, "--encoder-preset", "ultrafast", "--crf", "2", ext=ext)

    def test_full_range_h264_source(self):
        source = patches(full=True, ext="mp4", codec=("-c:v", "libx264", "-preset", "ultrafast", "-crf", "1"))
        self.check(source, *self.SOURCE, *h.EXACT)

    def test_full_range_motion_jpeg(self):
        source = patches(full=True, ext="avi", codec=("-c:v", "mjpeg", "-q:v", "1"), tagged=False)
        self.check(source, *self.SOURCE, *h.EXACT)

    def test_full_range_deep(self):
        self.check(patches(full=True, depth=10), *self.SOURCE, *h.EXACT)

    def test_to_hd(self):
        for full in (False, True):
            with self.subTest(full=full):
                self.check(patches(full=full), "--resolution", "720", "--encoder-preset", "ultrafast", "--crf", "4")

    def test_hd_matrix_stays(self):
        self.check(patches("bt709"), *self.SOURCE, *h.EXACT, tags=(*TAGS["bt709"], "tv"))

    def test_filters_in_rgb(self):
        """Through RGB and back (a look-up table that changes nothing)."""
        cube = make.path("same.cube")
        with open(cube, "w", encoding="ascii") as file:
            file.write("LUT_3D_SIZE 2\n" + "".join(f"{r} {g} {b}\n" for b in (0, 1) for g in (0, 1) for r in (0, 1)))
        for full in (False, True):
            with self.subTest(full=full):
                self.check(patches(full=full), *self.SOURCE, *h.EXACT, "--lut", cube)

    def test_range_by_hand(self):
        """A file that lies about its range is set right by the setting."""
        source = make.path("lies.mkv")
        make.ffmpeg("-i", patches(full=True), "-vf", "setrange=tv", "-c:v", "ffv1", "-color_range", "tv", source)
        run = h.restore(source, "--preset", "clean", "--sharpen", "off", *self.SOURCE, *h.EXACT, "--colour-range",
                        "full")
        for found, want in zip(shown(run.output), PATCHES):
            self.assertNear(max(abs(found - want)), 0, 2, f"{want} became {found.round(1)}\n{run.text()}")


if __name__ == "__main__":
    h.main()
