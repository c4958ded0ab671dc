# Every kind of tape and disc, restored: NTSC and PAL, 4:3 and 16:9, top and bottom field first, progressive; and every
# container and codec that captures come in. What came out is read from decoded pictures and sound: each moment once
# and in order, the duration within a frame, sound and picture in step, a round circle, the right colour tags.
import harness as h
import make
import measure as m

PLAIN = ("--preset", "clean", "--resolution", "source", "--sharpen", "off")
TAGS = {480: ("smpte170m", "smpte170m", "smpte170m"), 576: ("bt470bg", None, "bt470bg")}


def source_offset(path, geo=None):
    """Milliseconds between sound and picture in a source itself: what a container does to them."""
    offsets = m.av_offsets(path, geo)
    return sum(offsets) / len(offsets)


class Discs(h.Case):
    """MPEG-2 program streams as recorders write them."""

    def restored(self, lines, wide, order):
        clip = make.Clip(lines, wide, order, count=38 if lines == 576 else 45)
        source = make.mpeg_ps(clip)
        run = h.restore(source, *PLAIN, *h.FAST)
        geo = h.centre(run.output, lines)
        self.assert_numbers(run, clip.numbers(), geo)
        self.assert_duration(run, float(clip.seconds), 1 / float(clip.fps))
        self.assert_sync(run, geo=geo, at_least=2)
        self.assert_round(run, geo, wide)
        self.assert_agree(run)
        primaries, transfer, matrix = make.COLOURS[lines]
        self.assert_tags(run, primaries, transfer if lines == 480 else "bt470bg", matrix)
        video = run.stream("video")
        self.assert_rate(run, clip.fps * (1 if order == "progressive" else 2))
        self.assertEqual((video["height"], video["sample_aspect_ratio"]), (lines, "1:1"))
        self.assertNear(video["width"], float(704 * m.TRUE_SAR[lines, wide]), 1, "width of square pixels")
        self.assertIn(video.get("field_order", "progressive"), ("progressive", "unknown"))


def add_discs():
    for lines, system in ((480, "ntsc"), (576, "pal")):
        for wide, shape in ((False, "4_3"), (True, "16_9")):
            for order in ("tff", "bff", "progressive"):
                setattr(Discs, f"test_{system}_{shape}_{order}",
                        lambda self, a=(lines, wide, order): self.restored(*a))


add_discs()


class Captures(h.Case):
    """Containers and codecs of captures and downloads."""

    def restored(self, source, clip, *flags, numbers=None, within=10, lines=None):
        geo_source = m.geometry(source, clip.lines)
        run = h.restore(source, *PLAIN, *h.FAST, *flags)
        geo = h.centre(run.output, clip.lines)
        self.assert_numbers(run, clip.numbers() if numbers is None else numbers, geo)
        self.assert_duration(run, float(clip.seconds), 1 / float(clip.fps))
        self.assert_sync(run, within, geo, expect=source_offset(source, geo_source), at_least=2)
        self.assert_agree(run)
        return run

    def dv(self, lines, ext):
        clip = make.Clip(lines, order="bff", count=38 if lines == 576 else 45)
        fmt = "yuv411p" if lines == 480 else "yuv420p"
        source = make.encoded(clip, ext, "-vf", f"scale=interl=1,format={fmt}", "-c:v", "dvvideo", "-c:a", "pcm_s16le",
                              "-ar", 48000, "-s", f"720x{lines}", colours=False)
        run = self.restored(source, clip)
        self.assert_round(run, h.centre(run.output, lines))
        self.assert_says(run, "smpte170m|SMPTE 170M|470|601")  # untagged colour: the guess is stated

    def test_raw_dv_ntsc(self):
        self.dv(480, "dv")

    def test_raw_dv_pal(self):
        self.dv(576, "dv")

    def test_avi_dv(self):
        self.dv(480, "avi")

    def test_avi_huffyuv(self):
        clip = make.Clip()
        self.restored(make.encoded(clip, "avi", "-c:v", "huffyuv", "-c:a", "pcm_s16le"), clip)

    def test_avi_mjpeg(self):
        clip = make.Clip()
        self.restored(make.encoded(clip, "avi", "-c:v", "mjpeg", "-q:v", 2, "-pix_fmt", "yuvj422p", "-c:a",
                                   "pcm_s16le", "-color_range", "pc"), clip)

    def test_mkv_ffv1(self):
        clip = make.Clip()
        self.restored(make.master(clip), clip)

    def test_mov_v210(self):
        clip = make.Clip()
        run = self.restored(make.encoded(clip, "mov", "-c:v", "v210", "-field_order", "tt", "-c:a", "pcm_s24le"), clip)
        self.assertIn("10", run.stream("video")["pix_fmt"])

    def test_mov_prores(self):
        clip = make.Clip()
        self.restored(make.encoded(clip, "mov", "-c:v", "prores_ks", "-flags", "+ildct", "-pix_fmt", "yuv422p10le",
                                   "-c:a", "pcm_s16le"), clip)

    def test_transport_stream(self):
        clip = make.Clip()
        self.restored(make.mpeg_ps(clip, "ts"), clip)

    def test_mxf(self):
        clip = make.Clip(576, count=38)
        self.restored(make.encoded(clip, "mxf", "-c:v", "mpeg2video", "-pix_fmt", "yuv422p", "-b:v", "30M", "-flags",
                                   "+ildct+ilme", "-top", 1, "-g", 12, "-c:a", "pcm_s16le", "-ar", 48000), clip)

    def test_mp4_h264_interlaced_b_frames(self):
        clip = make.Clip()
        self.restored(make.h264(clip, "mp4", "-bf", 2), clip)

    def test_mp4_h264_field_pairs_by_flags(self):
        clip = make.Clip(576, order="bff", count=38)
        self.restored(make.h264(clip), clip)

    def test_flv_h264(self):
        clip = make.Clip(order="progressive")
        self.restored(make.h264(clip, "flv"), clip)

    def test_flv_sorenson(self):
        clip = make.Clip(order="progressive")
        self.restored(make.encoded(clip, "flv", "-vf", "format=yuv420p", "-c:v", "flv1", "-q:v", 2, "-c:a", "mp3",
                                   "-ar",
                                   44100), clip)

    def test_mp4_hevc_10_bit(self):
        clip = make.Clip(order="progressive", count=31)
        source = make.encoded(clip, "mp4", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=1",
                              "-pix_fmt", "yuv420p10le", "-crf", 14, "-c:a", "aac")
        run = self.restored(source, clip)
        self.assertEqual(run.stream("video")["pix_fmt"], "yuv420p10le")

    def test_yuv_10_bit_422_stays_deep(self):
        clip = make.Clip()
        run = self.restored(make.encoded(clip, "mkv", "-pix_fmt", "yuv422p10le", "-c:v", "ffv1", "-c:a", "flac"), clip)
        self.assertIn("10le", run.stream("video")["pix_fmt"])

    def test_8_bit_on_demand(self):
        clip = make.Clip()
        run = self.restored(make.encoded(clip, "mkv", "-pix_fmt", "yuv422p10le", "-c:v", "ffv1", "-c:a", "flac"), clip,
                            "--bit-depth", "8")
        self.assertNotIn("10", run.stream("video")["pix_fmt"])


if __name__ == "__main__":
    h.main()
