# What comes along with the picture: audio tracks, subtitles, chapters, attachments, metadata, captions, time code. Kept
# where the container can hold it; where it can't, a message says so.
import json
import os
import struct

import harness as h
import make
import measure as m
from make import Clip
from test_matrix import PLAIN

SRT = "1\n00:00:00,200 --> 00:00:00,700\nFirst line\n\n2\n00:00:00,900 --> 00:00:01,400\nSecond <i>line</i>\n\n"
ASS = ("[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize, PrimaryColour\n"
       "Style: Loud,Arial,44,&H0000FFFF\n\n[Events]\nFormat: Layer, Start, End, Style, Text\n"
       "Dialogue: 0,0:00:00.30,0:00:00.90,Loud,{\\b1}Styled\n")
CHAPTERS = (";FFMETADATA1\ntitle=Holiday 1987\nartist=Aunt Mary\ncomment=tape 4\n"
            "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=700\ntitle=Beach\n"
            "[CHAPTER]\nTIMEBASE=1/1000\nSTART=700\nEND=1500\ntitle=Boat\n")


def write(name, data):
    with open(make.path(name), "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())
    return make.path(name)


def pgs():
    """Two bitmap subtitles, built by hand (Presentation Graphic Stream)."""
    def segment(at, kind, data):
        return b"PG" + struct.pack(">IIBH", int(at * 90000), 0, kind, len(data)) + data

    def shown(at, number, objects):
        return segment(at, 0x16, struct.pack(">HHBHBBBB", 720, 480, 0x10, number, 0x80 if objects else 0, 0, 0,
                                             objects) + (struct.pack(">HBBHH", 0, 0, 0, 100, 400) if objects else b""))
    window = struct.pack(">BBHHHH", 1, 0, 100, 400, 40, 20)
    palette = bytes((0, 0, 1, 235, 128, 128, 255, 2, 16, 128, 128, 255))
    lines = (b"\0\x94\x01\0\x94\x02" + b"\0\0") * 20
    picture = struct.pack(">HBB", 0, 0, 0xC0) + (len(lines) + 4).to_bytes(3, "big") + struct.pack(">HH", 40, 20) + lines
    out = b""
    for number, (begin, end) in enumerate(((0.2, 0.6), (0.8, 1.2))):
        out += shown(begin, 2 * number, 1) + segment(begin, 0x17, window) + segment(begin, 0x14, palette)
        out += segment(begin, 0x15, picture) + segment(begin, 0x80, b"")
        out += shown(end, 2 * number + 1, 0) + segment(end, 0x17, window) + segment(end, 0x80, b"")
    return out


@make.once
def rich():
    """A Matroska file with everything that fits in."""
    clip = Clip(count=45, tones=(300, 300))
    other = make.write_wav(make.path("other.wav"), Clip(count=45, tones=(500, 500)).sound())
    out = make.path("rich.mkv")
    make.ffmpeg("-i", make.master(clip), "-i", other, "-i", write("a.srt", SRT), "-i", write("b.ass", ASS), "-i",
                write("c.sup", pgs()), "-i", write("c.txt", CHAPTERS), "-map", "0:v", "-map", "0:a", "-map", "1:a",
                "-map", "2:s", "-map", "3:s", "-map", "4:s", "-map_metadata", "5", "-map_chapters", "5", "-c", "copy",
                "-c:a:0",
                "flac", "-c:a:1", "ac3", "-metadata:s:a:0", "language=eng", "-metadata:s:a:0", "title=Stereo",
                "-metadata:s:a:1", "language=fre", "-metadata:s:s:0", "language=ger", "-metadata:s:s:1", "language=dut",
                "-disposition:s:1", "forced", "-disposition:a:1", "default", "-disposition:a:0", "0",
                "-attach", write("font.ttf", b"\0\1\0\0" + bytes(range(256)) * 9), "-metadata:s:t:0",
                "mimetype=application/x-truetype-font", out)
    return clip, out


def text_of(path, index):
    return m.run(["ffmpeg", "-v", "error", "-i", path, "-map", f"0:s:{index}", "-f", "srt", "-"]).decode()


def cues(path, index):
    """(begin, end, words) of each text subtitle."""
    found = []
    for block in text_of(path, index).strip().split("\n\n"):
        _, times, *words = block.splitlines()
        begin, end = ([float(x) for x in t.replace(",", ".").split(":")] for t in times.split(" --> "))
        found.append((begin[0] * 3600 + begin[1] * 60 + begin[2], end[0] * 3600 + end[1] * 60 + end[2], words))
    return found


def chapters(path):
    found = json.loads(m.run(["ffprobe", "-v", "error", "-show_chapters", "-of", "json", path]))["chapters"]
    return [(round(float(c["start_time"]), 2), round(float(c["end_time"]), 2), c["tags"]["title"]) for c in found]


def tone(path, index, channel=0):
    """The steady tone of a track, to 5 Hz, as far as it is between 200 and 900 Hz."""
    import numpy as np
    s = m.sound(path, index)
    part = s.samples[:, channel]
    strength = abs(np.fft.rfft(part * np.hanning(len(part))))
    hz = np.fft.rfftfreq(len(part), 1 / s.rate)
    inside = (hz > 200) & (hz < 900)
    return float(hz[inside][strength[inside].argmax()])


def tags(thing):
    return {k.lower(): v for k, v in thing.get("tags", {}).items()}


class Kept(h.Case):
    def test_matroska_keeps_all(self):
        clip, source = rich()
        run = h.restore(source, *PLAIN, *h.FAST)
        self.assertEqual(run.kinds().count("audio"), 2, run.text())
        self.assertEqual(run.kinds().count("subtitle"), 3, run.text())
        self.assertEqual(run.kinds().count("attachment"), 1, run.text())
        self.assertEqual(chapters(run.output), [(0, 0.7, "Beach"), (0.7, 1.5, "Boat")])
        told = tags(run.probe["format"])
        self.assertEqual((told.get("title"), told.get("artist"), told.get("comment")),
                         ("Holiday 1987", "Aunt Mary", "tape 4"))
        languages = [tags(s).get("language") for s in run.probe["streams"] if s["codec_type"] in ("audio", "subtitle")]
        self.assertEqual(languages[:4], ["eng", "fre", "ger", "dut"])
        self.assertEqual(tags(run.stream("audio")).get("title"), "Stereo")
        self.assertEqual([run.stream("audio", i)["disposition"]["default"] for i in (0, 1)], [0, 1])
        self.assertEqual(run.stream("subtitle", 1)["disposition"]["forced"], 1)
        self.assertEqual([run.stream("subtitle", i)["codec_name"] for i in range(3)],
                         ["subrip", "ass", "hdmv_pgs_subtitle"])
        for index in (0, 1):
            self.assert_text(run, source, index)
        self.assertNear(tone(run.output, 0), 300, 5, "first track")
        self.assertNear(tone(run.output, 1), 500, 5, "second track")
        self.assert_sync(run, index=0)
        self.assert_sync(run, index=1)
        self.assertEqual(self.attachment(run.output), self.attachment(source))
        self.assert_agree(run)

    def assert_text(self, run, source, index):
        """The same words at the same times, against the picture."""
        ours, theirs = cues(run.output, index), cues(source, index)
        move = m.video_span(run.output)[0] - m.video_span(source)[0]
        self.assertEqual([words for _, _, words in ours], [words for _, _, words in theirs])
        for (a, b, _), (c, d, _) in zip(ours, theirs):
            self.assertNear(a, c + move, 0.011, "a subtitle begins")
            self.assertNear(b, d + move, 0.011, "a subtitle ends")

    def attachment(self, path):
        out = os.path.join(h.fresh_folder(), "font")
        h.subprocess.run(["ffmpeg", "-v", "quiet", "-dump_attachment:t:0", out, "-i", path], check=False,
                         stdin=h.subprocess.DEVNULL)
        with open(out, "rb") as file:
            return file.read()

    def test_mp4_says_what_it_leaves_out(self):
        _, source = rich()
        run = h.restore(source, *PLAIN, *h.FAST, ext="mp4")
        self.assertEqual(run.kinds().count("audio"), 2)
        self.assertEqual(chapters(run.output), [(0, 0.7, "Beach"), (0.7, 1.5, "Boat")])
        told = tags(run.probe["format"])
        self.assertEqual((told.get("title"), told.get("artist")), ("Holiday 1987", "Aunt Mary"))
        self.assertEqual([tags(run.stream("audio", i)).get("language") for i in (0, 1)], ["eng", "fre"])
        missing = 3 - [s for s in run.kinds()].count("subtitle")
        said = [line for line in run.stderr.splitlines() if "subtitle" in line or "subrip" in line or "pgs" in line
                or "ass" in line]
        self.assertTrue(missing == 0 or said, run.text())
        self.assert_says(run, "(?i)attach|ttf")
        self.assert_sync(run, index=1)

    def test_mp4_text_stays_text(self):
        clip = Clip(count=45)
        source = make.path("text.mp4")
        make.ffmpeg("-i", make.h264(clip), "-i", write("a.srt", SRT), "-map", "0", "-map", "1", "-c", "copy", "-c:s",
                    "mov_text", "-metadata:s:s:0", "language=ger", source)
        run = h.restore(source, *PLAIN, *h.FAST, ext="mp4")
        self.assertEqual(run.stream("subtitle")["codec_name"], "mov_text")
        self.assert_text(run, source, 0)
        run = h.restore(source, *PLAIN, *h.FAST, ext="mkv")
        self.assertTrue("subtitle" in run.kinds() or "subtitle" in run.stderr or "mov_text" in run.stderr, run.text())

    def test_dvd_subtitles(self):
        clip = Clip(count=45)
        source = make.path("dvdsub.mkv")
        make.ffmpeg("-i", make.mpeg_ps(clip), "-fix_sub_duration", "-i", write("c.sup", pgs()),
                    "-map", "0:v", "-map", "0:a", "-map", "1", "-c", "copy", "-c:s", "dvdsub", "-s:s", "720x480",
                    source)
        run = h.restore(source, *PLAIN, *h.FAST)
        self.assertEqual(run.stream("subtitle")["codec_name"], "dvd_subtitle")

        def packets(path):
            text = m.run(["ffprobe", "-v", "error", "-select_streams", "s", "-show_packets", "-show_data_hash", "md5",
                          "-of", "json", path])
            return [(round(float(p["pts_time"]), 2), p["data_hash"]) for p in json.loads(text)["packets"]]
        first = m.video_span(source)[0]
        want = [(round(t - first, 2), data) for t, data in packets(source)]
        got = packets(run.output)
        self.assertEqual([d for _, d in got], [d for _, d in want])
        for (ours, _), (theirs, _) in zip(got, want):
            self.assertNear(ours, theirs, 0.04, "time of a subtitle")

    def test_subtitle_without_an_end(self):
        """It lasts 49 days by the file's header; the job and its estimate go by picture and sound."""
        source = make.path("endless.mkv")
        make.ffmpeg("-i", make.mpeg_ps(Clip(count=45)), "-i", write("c.sup", pgs()), "-map", "0:v", "-map", "0:a",
                    "-map", "1", "-c", "copy", "-c:s", "dvdsub", "-s:s", "720x480", source)
        self.assertGreater(float(m.probe(source)["format"]["duration"]), 1e6, "the source itself")
        run = h.restore(source, *PLAIN, *h.FAST)
        self.assertEqual(run.stream("subtitle")["codec_name"], "dvd_subtitle")
        self.assert_duration(run, m.video_span(source)[1] - m.video_span(source)[0])

    def test_cover_picture(self):
        clip = Clip(order="progressive", count=20)
        source = make.path("cover.mp4")
        cover = make.path("cover.png")
        make.ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x64", "-frames:v", 1, cover)
        make.ffmpeg("-i", make.h264(clip), "-i", cover, "-map", "1", "-map", "0", "-c", "copy", "-disposition:v:0",
                    "attached_pic", source)
        for ext in ("mkv", "mp4"):
            run = h.restore(source, *PLAIN, *h.FAST, ext=ext)
            self.assert_numbers(run, range(20))
            cover_kept = [s for s in run.probe["streams"] if s.get("disposition", {}).get("attached_pic")]
            self.assertTrue(cover_kept or "cover" in run.stderr or "picture" in run.stderr, run.text())

    def test_subtitles_none(self):
        _, source = rich()
        self.assertNotIn("subtitle", h.restore(source, *PLAIN, *h.FAST, "--subtitles", "none").kinds())

    def test_points_move_subtitles_and_chapters(self):
        _, source = rich()
        run = h.restore(source, *PLAIN, *h.FAST, "--start", "0.5", "--end", "1.2")
        text = text_of(run.output, 0)
        self.assertIn("Second", text)
        begin = [line for line in text[:text.index("Second")].splitlines() if "-->" in line][-1].split(" --> ")[0]
        self.assertNear(float(begin.replace(",", ".").split(":")[-1]), 0.4, 0.035, text)
        # What is shown already when the cut begins stays till its end; what is shown when it ends is cut there.
        packets = json.loads(m.run(["ffprobe", "-v", "error", "-select_streams", "s:0", "-show_packets", "-of", "json",
                                    run.output]))["packets"]
        spans = [(float(p["pts_time"]), float(p["duration_time"])) for p in packets]
        self.assertIn("First", text)
        self.assertEqual(len(spans), 2, spans)
        for found, want in zip(spans, ((0, 0.2), (0.4, 0.3))):
            self.assertNear(found[0], want[0], 0.035, spans)
            self.assertNear(found[1], want[1], 0.035, spans)
        found = chapters(run.output)
        self.assertEqual([c[2] for c in found], ["Beach", "Boat"])
        self.assertNear(found[0][1], 0.2, 0.035, found)
        self.assertNear(found[1][1], 0.7, 0.05, found)


class Captions(h.Case):
    """Closed captions: each packet exactly once, in order."""

    def check(self, clip, source, *flags, ext="mkv"):
        want = [make.caption_pair(n) for n in range(clip.count)]
        self.assertEqual(make.captions(source), want, "the source itself")
        run = h.restore(source, *PLAIN, *h.FAST, *flags, ext=ext)
        self.assertEqual(make.captions(run.output), want, run.text())
        self.assertEqual(run.sidecar["picture"]["captions_in"], run.sidecar["picture"]["captions_out"])
        return run

    def test_double_rate(self):
        self.check(*make.captioned())
        self.check(*make.captioned("bff", 2), ext="mp4")

    def test_single_rate(self):
        self.check(*make.captioned(), "--field-rate", "single")

    def test_progressive(self):
        self.check(*make.captioned("progressive"))
        self.check(*make.captioned("progressive", 2), "--resolution", "720", "--denoise", "hqdn3d")

    def test_every_deinterlacer(self):
        for name in ("yadif", "w3fdif", "estdif"):
            with self.subTest(name):
                self.check(*make.captioned(), "--deinterlace", name)

    def test_dropped_frames_keep_their_captions(self):
        clip = Clip(count=60, telecine=True)
        data = make.add_user_data(make.elementary(clip, "-bf", 0), make.caption_user_data)
        source = make.mux(data, "captions-film", clip)
        want = [make.caption_pair(n) for n in range(60)]
        run = h.restore(source, *PLAIN, *h.FAST, "--ivtc", "on")
        self.assertEqual(sorted(make.captions(run.output)), sorted(want), run.text())
        self.assertEqual(make.captions(run.output), want)

    def test_encoders_without_captions_say_so(self):
        _, source = make.captioned()
        for flags in (h.EXACT, ("--encoder", "libx265", "--encoder-preset", "ultrafast"),
                      ("--encoder", "libsvtav1", "--encoder-preset", "12")):
            with self.subTest(flags[1]):
                run = h.restore(source, *PLAIN, *flags)
                found = make.captions(run.output)
                self.assertTrue(len(found) == 30 or "caption" in run.stderr, run.text())

    def test_active_format_and_time_code(self):
        clip = Clip(count=20)
        data = make.add_user_data(make.elementary(clip, "-bf", 0), lambda n: b"\0\0\1\xb2DTG1\x41\xf9")
        run = h.restore(make.mux(data, "afd", clip), *PLAIN, *h.FAST)
        frames = m.run(["ffprobe", "-v", "error", "-select_streams", "v", "-show_frames", "-of", "json", run.output])
        seen = [d for f in json.loads(frames)["frames"] for d in f.get("side_data_list", [])
                if "ctive format" in d["side_data_type"]]
        self.assertTrue(seen or "ctive format" in run.stderr or "AFD" in run.stderr, run.text())

    def test_time_code(self):
        clip = Clip(count=20)
        source = make.encoded(clip, "mov", "-c:v", "prores_ks", "-flags", "+ildct", "-c:a", "pcm_s16le", "-timecode",
                              "01:02:03;04")
        for ext in ("mov", "mkv"):
            run = h.restore(source, *PLAIN, *h.FAST, ext=ext)
            found = [tags(x).get("timecode") for x in run.probe["streams"] + [run.probe["format"]]]
            self.assertIn("01:02:03;04", [f.replace(".", ";") if f else f for f in found], run.text())


if __name__ == "__main__":
    h.main()
