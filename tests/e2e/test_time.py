# Time: telecine of both kinds, variable rates, edit lists, streams that begin late, holes, in and out points, changes
# in mid-stream, discs in pieces, recordings that begin in the middle, headers that lie about time.
import json
import os
import shutil
from fractions import Fraction

import harness as h
import make
import measure as m
import scene
from make import Clip
from test_matrix import PLAIN, source_offset


def steps(times):
    return [b - a for a, b in zip(times, times[1:])]


class Telecine(h.Case):
    def test_soft(self):
        for bf in (0, 2):
            with self.subTest(b_frames=bf):
                clip, source = make.soft_telecine(bf)
                run = h.restore(source, *PLAIN, *h.FAST)
                self.assert_numbers(run, range(clip.count))
                self.assert_rate(run, make.FILM)
                self.assert_duration(run, float(clip.seconds), 1 / 24)
                self.assert_sync(run, 18, expect=source_offset(source), at_least=2)  # pull-down moves frames by 1/60 s

    def test_soft_with_true_times(self):
        clip, source = make.soft_telecine(0)
        run = h.restore(source, *PLAIN, *h.FAST, "--vfr")
        self.assert_numbers(run, range(clip.count))
        self.assert_duration(run, float(clip.seconds), 1 / 20)
        spans = sorted({round(float(s) * 60000 / 1001)
                        for s in steps([t for t, _ in m.numbers(run.output, h.centre(run.output))])})
        self.assertEqual(spans, [2, 3], "fields that each frame is shown")

    def test_hard(self):
        clip = Clip(count=60, telecine=True)
        source = make.mpeg_ps(clip)
        run = h.restore(source, *PLAIN, *h.FAST, "--ivtc", "on")
        film = clip.pairs()[-1][1]
        found = [n for _, n in m.numbers(run.output, h.centre(run.output))]
        self.assertEqual(found, list(range(len(found))), run.text())
        self.assertNear(len(found), film + 1, 1, "film frames")
        self.assert_rate(run, make.FILM)
        self.assert_duration(run, float(clip.seconds), 1 / 23)
        self.assert_sync(run, 35, at_least=2)  # film frames stand where the pull-down put them, at most a frame off
        combed = max(m.combing(f.luma) for f in m.frames(run.output))
        self.assertLess(combed, 1.0)

    def test_hard_without_ivtc_says_so(self):
        clip = Clip(count=60, telecine=True)
        run = h.restore(make.mpeg_ps(clip), *PLAIN, *h.FAST)
        self.assert_says(run, "--ivtc")
        self.assert_duration(run, float(clip.seconds), 1 / 29)
        found = [n for _, n in m.numbers(run.output, h.centre(run.output))]
        self.assertEqual(sorted(set(found)), list(range(clip.pairs()[-1][1] + 1)))
        self.assertEqual(found, sorted(found))


class Variable(h.Case):
    def vfr(self, ext="mkv"):
        clip = Clip(order="progressive", count=60, rate=Fraction(30), period=15)
        keep = "not(eq(mod(n\\,7)\\,3))*not(between(n\\,31\\,36))*not(gt(n\\,45)*mod(n\\,3))"
        out = make.encoded(clip, ext, "-vf", f"select='{keep}',format=yuv420p", "-fps_mode", "vfr", "-c:v", "libx264",
                           "-preset", "ultrafast", "-crf", 12, "-c:a", "aac", name="vfr")
        kept = [n for n in range(60) if n % 7 != 3 and not 31 <= n <= 36 and not (n > 45 and n % 3)]
        return clip, out, kept

    def test_times_are_kept(self):
        for ext in ("mkv", "mp4"):
            with self.subTest(ext=ext):
                clip, source, kept = self.vfr(ext)
                run = h.restore(source, *PLAIN, *h.FAST, ext=ext)
                found = m.numbers(run.output, h.centre(run.output))
                # Each moment of the source at its own time; a constant rate may only repeat pictures in between.
                self.assertEqual([n for i, (_, n) in enumerate(found) if not i or found[i - 1][1] != n], kept,
                                 run.text())
                first = {}
                for t, n in found:
                    first.setdefault(n, float(t))
                zero = first[kept[0]]
                for n in kept:
                    self.assertNear(first[n] - zero, (n - kept[0]) / 30, 0.0176, f"time of picture {n}")
                self.assert_sync(run, 10, expect=source_offset(source))

    def test_low_rate_and_high_rate(self):
        for rate in (Fraction(10), Fraction(60)):
            with self.subTest(rate=str(rate)):
                clip = Clip(order="progressive", count=int(2 * rate), rate=rate, period=int(rate))
                run = h.restore(make.h264(clip), *PLAIN, *h.FAST)
                self.assert_numbers(run, range(clip.count))
                self.assert_duration(run, 2)
                self.assert_sync(run)


class Offsets(h.Case):
    def check(self, seconds, ext="mkv", **more):
        clip = Clip(count=60)
        source = make.shift_video(clip, f"begins{seconds}.{ext}", seconds, **more)
        begin = [m.video_span(source)[0], m.sound_span(source)[0]]
        self.assertNear(begin[1] - begin[0], seconds, 0.06, "the source's own offset")
        for out in ("mkv", "mp4"):
            with self.subTest(out=out):
                run = h.restore(source, *PLAIN, *h.FAST, ext=out)
                ours = [m.video_span(run.output)[0], m.sound_span(run.output)[0]]
                self.assert_sync(run, expect=source_offset(source))
                found = [n for _, n in m.numbers(run.output, h.centre(run.output))]
                first = 0 if seconds >= 0 else round(-seconds * 30000 / 1001) * 2
                self.assertNear(found[0], first, 2, "first picture")
                self.assertEqual(found, list(range(found[0], 120)), run.text())
                self.assertNear(ours[1] - ours[0], seconds, 0.12, f"offset {ours}")
                span = m.video_span(run.output)
                self.assertNear(span[1] - span[0], (120 - found[0]) * 1001 / 60000, 0.034, "duration")

    def test_sound_begins_later(self):
        self.check(0.6, audio=("-c:a", "pcm_s16le"))

    def test_picture_begins_later(self):
        self.check(-0.6, audio=("-c:a", "pcm_s16le"))

    def test_picture_begins_later_in_transport_stream(self):
        self.check(-0.6, "ts", audio=("-c:a", "mp2", "-b:a", "256k"))


class EditLists(h.Case):
    def test_cut_without_coding_again(self):
        clip = Clip(order="progressive", count=75)
        whole = make.h264(clip, "mp4", "-bf", 2)
        cut = make.path("edit.mp4")
        make.ffmpeg("-ss", "0.7", "-i", whole, "-c", "copy", cut)
        with open(cut, "rb") as file:
            kinds = [kind for kind, _, _ in make.mp4_boxes(file.read())]
        self.assertIn(b"elst", kinds)
        shown = [n for _, n in m.numbers(cut)]  # by ffmpeg, which honours edit lists
        self.assertGreater(shown[0], 10)
        run = h.restore(cut, *PLAIN, *h.FAST)
        self.assert_numbers(run, shown)
        self.assert_sync(run, expect=source_offset(cut))
        self.assert_duration(run, len(shown) * 1001 / 30000, 0.034)

    def test_empty_edit(self):
        clip = Clip(order="progressive", count=60)
        source = make.shift_video(clip, "empty-edit.mp4", 0.5, audio=("-c:a", "aac"))
        run = h.restore(source, *PLAIN, *h.FAST, ext="mp4")
        self.assert_numbers(run, range(60))
        self.assert_sync(run, expect=source_offset(source))


class Points(h.Case):
    """--start and --end, exact to the frame with its sound."""

    def moments(self, source, clip):
        """(time from the start of the file, number) of each moment that the source shows, read by ffmpeg."""
        times = [float(t) for t, _, _ in m.field_numbers(source, m.geometry(source, clip.lines))]
        zero = min(times[0], m.sound_span(source)[0])
        if clip.order == "progressive":
            return [(t - zero, i) for i, t in enumerate(times)]
        half = 0.5 / float(clip.fps)
        return [(t - zero + k * half, 2 * i + k) for i, t in enumerate(times) for k in (0, 1)]

    def check(self, source, clip, start, end, *flags):
        points = (["--start", start] if start else []) + (["--end", end] if end else [])
        run = h.restore(source, *PLAIN, *h.FAST, "--audio-codec", "flac", *points, *flags)
        geo = h.centre(run.output, clip.lines)
        moments = self.moments(source, clip)
        first, last = float(start or 0), float(end or 99)
        inside = [(t, n) for t, n in moments if first - 5e-4 <= t < last - 5e-4]
        self.assertGreater(len(moments) - len(inside), 10)
        self.assert_numbers(run, [n for _, n in inside], geo)
        self.assert_sync(run, geo=geo, expect=source_offset(source, m.geometry(source, clip.lines)))
        begin, finish, _ = m.video_span(run.output)
        heard = m.sound_span(run.output)
        self.assertNear(begin, inside[0][0] - first, 0.003, "the first picture")
        self.assertNear(heard[0], 0, 0.04 if not start else 0.003, "the first sample")
        if end:
            self.assertNear(heard[1], last - first, 0.003, "the end of the sound")
            self.assertNear(finish, last - first, 1 / float(clip.fps), "the end of the picture")

    def test_pal(self):
        clip = Clip(576, count=50)
        for name, source in (("program stream", make.mpeg_ps(clip)), ("h264", make.h264(clip, "mkv", "-bf", 2))):
            for start, end in (("0.4", "1.2"), ("0.41", "1.19"), (None, "1"), ("0.88", None)):
                with self.subTest(source=name, start=start, end=end):
                    self.check(source, clip, start, end)

    def test_ntsc_frames(self):
        clip = Clip(order="progressive", count=60)
        # Frame n begins at n * 1001 / 30000; a time on the dot belongs to it.
        self.check(make.master(clip), clip, "0.5005", "1.5015")

    def test_progressive_mid_gop(self):
        clip = Clip(576, order="progressive", count=50)
        source = make.h264(clip, "mp4", "-bf", 3, "-g", 250)
        self.check(source, clip, "0.72", "1.52")

    def test_behind_the_end(self):
        clip = Clip(576, order="progressive", count=50)
        self.failure(make.master(clip), *PLAIN, "--start", "1:00", code=64, says=["--start", "end"])

    def test_end_before_start(self):
        clip = Clip(576, order="progressive", count=50)
        self.failure(make.master(clip), *PLAIN, "--start", "1.2", "--end", "0.5", code=64, says=["start", "end"])


class Holes(h.Case):
    def test_hole_in_picture_and_sound(self):
        clip = Clip(order="progressive", count=75, rate=Fraction(25), period=25)
        source = make.encoded(clip, "mkv", "-vf", "select='not(between(n\\,30\\,44))',format=yuv420p", "-af",
                              "aselect='not(between(t\\,1.2\\,1.799))'", "-fps_mode", "passthrough", "-c:v", "libx264",
                              "-preset", "ultrafast", "-c:a", "flac", name="hole")
        run = h.restore(source, *PLAIN, *h.FAST, "--audio-codec", "flac")
        found = dict((n, float(t)) for t, n in m.numbers(run.output, h.centre(run.output)))
        self.assertEqual(sorted(found), [n for n in range(75) if not 30 <= n <= 44])
        for n, t in found.items():
            self.assertNear(t, n / 25, 0.003, f"time of picture {n}")
        self.assert_sync(run)
        s = m.sound(run.output)
        self.assertNear(len(s.samples) / s.rate, 3, 0.03, "sound with the hole filled")
        middle = s.samples[int(1.3 * s.rate):int(1.7 * s.rate)]
        self.assertLess(abs(middle).max(), 1e-4, "silence in the hole")
        self.assert_says(run, "silence")
        self.assertEqual(run.sidecar["tracks"][0]["gaps"], 1)
        self.assertNear(run.sidecar["tracks"][0]["gap_seconds"], 0.6, 0.03)


class Changes(h.Case):
    """Streams that change on the way: each part is what it would have been alone."""

    def joined(self, name, *parts):
        out = make.path(name)
        with open(out, "wb") as file:
            for part in parts:
                with open(part, "rb") as piece:
                    shutil.copyfileobj(piece, file)
        return out

    def check(self, source, clips, within=12, lost=0):
        run = h.restore(source, *PLAIN, *h.FAST)
        want = [n for clip in clips for n in clip.numbers()]
        whole = h.centre(run.output)
        found = [m.number(f.luma, whole) for f in m.frames(run.output)]
        found = [n if n is not None else self.inner_number(f.luma)
                 for n, f in zip(found, m.frames(run.output))]
        seconds = float(sum(c.seconds for c in clips))
        if lost:  # libavcodec's MPEG-2 decoder forgets the picture that it holds back where the size or aspect changes
            at = len(clips[0].numbers())
            self.assertIn(found, (want, want[:at - lost] + want[at:]), run.text())
        else:
            self.assertEqual(found, want, run.text())
        self.assert_duration(run, seconds, 0.06)
        if not lost:
            self.assert_sync(run, within, at_least=len(clips))
        return run

    def assert_sync_of_parts(self, run):
        """Flashes wherever the picture is; both parts have three."""
        geo, seen = h.centre(run.output), []
        for f in m.frames(run.output):
            luma, inner = (f.luma, geo) if m.number(f.luma, geo) is not None else self.inner(f.luma)
            seen.append((float(f.time), luma[inner.box(*m.FLASH)].mean() > 120))
        flashes = [t for (t, on), (_, before) in zip(seen[1:], seen) if on and not before]
        beeps = m.beep_times(run.output)
        self.assertEqual((len(flashes), len(beeps)), (6, 6), run.text())
        for flash, beep in zip(flashes, beeps):
            self.assertNear(beep, flash, 0.04, "sound against picture")

    def test_aspect(self):
        narrow, wide = Clip(count=45), Clip(wide=True, count=45)
        for ext in ("mpg", "ts"):
            with self.subTest(ext=ext):
                source = self.joined("aspect." + ext, make.mpeg_ps(narrow, ext), make.mpeg_ps(wide, ext))
                run = self.check(source, (narrow, wide), lost=2)
                self.assert_sync_of_parts(run)
                for start, is_wide in ((0.3, False), (2.2, True)):
                    luma = m.mean_luma(run.output, 12, start)
                    self.assertNear(self.shape(run, luma, is_wide), 1, 0.02, f"circle, wide={is_wide}\n{run.text()}")

    def inner(self, luma):
        """The picture inside black bars, and its geometry (the centre 704)."""
        rows = (luma > 22).mean(axis=1) > 0.2
        columns = (luma > 22).mean(axis=0) > 0.2
        inside = luma[rows.argmax():len(rows) - rows[::-1].argmax(),
                      columns.argmax():len(columns) - columns[::-1].argmax()]
        return inside, m.Geometry(inside.shape[1], inside.shape[0], 480, (8, 0, 704, 480))

    def inner_number(self, luma):
        return m.number(*self.inner(luma))

    def shape(self, run, luma, wide):
        """Roundness, wherever the picture is inside black bars."""
        return m.roundness(*self.inner(luma), m.sar(run.output), wide)

    def test_channels(self):
        clip = Clip(count=45)
        stereo = make.mpeg_ps(clip, "ts")
        mono = make.mpeg_ps(clip, "ts", audio=("-c:a", "mp2", "-b:a", "128k", "-ac", 1))
        for name, parts in (("stereo-mono", (stereo, mono)), ("mono-stereo", (mono, stereo))):
            with self.subTest(name):
                run = self.check(self.joined(name + ".ts", *parts), (clip, clip), 40)
                first = m.stream(parts[0], "audio")["channels"]
                self.assertEqual(run.stream("audio")["channels"], first)
                s = m.sound(run.output)
                for begin in (0.1, 1.7):
                    part = s.samples[int(begin * s.rate):int((begin + 1) * s.rate)]
                    self.assertGreater(abs(part).max(), 0.15, "the beep is heard in both parts")

    def test_size(self):
        clip = Clip(order="progressive", count=45)
        small = make.encoded(clip, "ts", "-vf", "scale=352:480,format=yuv420p", "-c:v", "mpeg2video", "-b:v", "6M",
                             "-aspect", "4:3", "-c:a", "mp2")
        source = self.joined("size.ts", make.mpeg_ps(clip, "ts"), small)
        self.check(source, (clip, clip), 40, lost=1)

    def test_sample_rate(self):
        clip = Clip(order="progressive", count=45)
        other = make.mpeg_ps(clip, "ts", audio=("-c:a", "mp2", "-ar", 44100, "-b:a", "192k"))
        self.check(self.joined("rate.ts", make.mpeg_ps(clip, "ts"), other), (clip, clip), 40)


class Discs(h.Case):
    def folder_of(self, name, pieces):
        place = os.path.join(h.fresh_folder(name), "VIDEO_TS")
        os.makedirs(place)
        for i, data in enumerate(pieces, 1):
            with open(os.path.join(place, f"VTS_01_{i}.VOB"), "wb") as file:
                file.write(data)
        # A menu, and a shorter title: neither is what is wanted.
        with open(os.path.join(place, "VIDEO_TS.VOB"), "wb") as file:
            file.write(pieces[0][:2048 * 20])
        with open(os.path.join(place, "VTS_02_1.VOB"), "wb") as file:
            file.write(pieces[0][:2048 * 40])
        return place

    def vob(self, clip):
        with open(make.mpeg_ps(clip, "vob"), "rb") as file:
            return file.read()

    def check(self, source, clips, within=10):
        run = h.restore(source, *PLAIN, *h.FAST)
        self.assert_numbers(run, [n for c in clips for n in c.numbers()])
        self.assert_duration(run, float(sum(c.seconds for c in clips)), 0.06)
        self.assert_sync(run, within, at_least=len(clips))

    def test_split_in_the_middle(self):
        clip = Clip(count=60)
        data = self.vob(clip)
        cut = len(data) // 2048 // 2 * 2048
        place = self.folder_of("split", [data[:cut], data[cut:]])
        for source in (place, os.path.dirname(place), os.path.join(place, "VTS_01_1.VOB")):
            with self.subTest(os.path.basename(source)):
                self.check(source, [clip])

    def test_times_begin_again(self):
        first, second = Clip(count=45), Clip(count=30)
        place = self.folder_of("again", [self.vob(first), self.vob(second)])
        self.check(place, [first, second], 40)

    def test_joined_into_one_file(self):
        first, second = Clip(count=45), Clip(count=30)
        out = make.path("joined.vob")
        with open(out, "wb") as file:
            file.write(self.vob(first) + self.vob(second))
        self.check(out, [first, second], 40)

    def test_no_titles(self):
        place = os.path.join(h.fresh_folder("none"), "VIDEO_TS")
        os.makedirs(place)
        self.failure(place, *PLAIN, code=65, says=["VIDEO_TS"])


class MidGop(h.Case):
    def test_recording_begins_anywhere(self):
        clip = Clip(count=90)
        for ext, block in (("mpg", 2048), ("ts", 188)):
            for part in (0.11, 0.4):
                with self.subTest(ext=ext, part=part):
                    with open(make.mpeg_ps(clip, ext), "rb") as file:
                        data = file.read()
                    source = make.path(f"cut{part}.{ext}")
                    with open(source, "wb") as file:
                        file.write(data[int(len(data) * part) // block * block + (0 if ext == "ts" else 700):])
                    shown = [n for _, n, _ in m.field_numbers(source) if n is not None]
                    run = h.restore(source, *PLAIN, *h.FAST)
                    found = [n for _, n in m.numbers(run.output, h.centre(run.output))]
                    self.assertEqual(found, list(range(shown[0], 180)), run.text())
                    self.assert_sync(run, expect=source_offset(source))


class Lies(h.Case):
    """Headers that say what isn't so."""

    def check(self, source, clip, numbers=None, within=10):
        run = h.restore(source, *PLAIN, *h.FAST)
        self.assert_numbers(run, clip.numbers() if numbers is None else numbers)
        self.assert_duration(run, float(clip.seconds), 1 / float(clip.fps))
        self.assert_sync(run, within, expect=source_offset(source), at_least=2)
        return run

    def test_no_index_avi(self):
        clip = Clip()
        whole = make.encoded(clip, "avi", "-c:v", "huffyuv", "-c:a", "pcm_s16le")
        cut = make.changed(whole, "noindex.avi", lambda d: d[:d.rfind(b"idx1")])
        self.check(cut, clip)

    def test_duration_mp4(self):
        clip = Clip(order="progressive")

        def stretch(data):
            for kind, at, _ in list(make.mp4_boxes(data)):
                if kind in (b"mvhd", b"mdhd"):
                    place = at + 8 + 16
                    data[place:place + 4] = (int.from_bytes(data[place:place + 4], "big") * 20).to_bytes(4, "big")
            return data
        source = make.changed(make.h264(clip), "long.mp4", stretch)
        self.assertGreater(float(m.probe(source)["format"]["duration"]), 20)
        self.check(source, clip)

    def test_rate_mkv(self):
        clip = Clip(order="progressive")

        def slow(data):
            at = data.find(b"\x23\xe3\x83")
            self.assertEqual(data[at + 3], 0x84)
            data[at + 4:at + 8] = (100000000).to_bytes(4, "big")
            return data
        source = make.changed(make.h264(clip, "mkv", "-bf", 0, audio=("-c:a", "flac")), "slow.mkv", slow)
        self.assertEqual(m.stream(source, "video")["r_frame_rate"], "10/1")
        self.check(source, clip)

    def test_rate_mpeg2(self):
        clip = Clip()

        def pal(data):
            for at in make.sequence_places(data)[0]:
                data[at + 3] = data[at + 3] & 0xF0 | 3
            return data
        self.check(make.changed(make.mpeg_ps(clip), "rate.mpg", pal), clip)

    def flags(self, clip, name, tff, progressive=False):
        def turn(data):
            for p in make.pictures(data):
                data[p.extension + 3] = data[p.extension + 3] & 0x7F | tff << 7
                data[p.extension + 4] = data[p.extension + 4] & 0x7F | progressive << 7
            return data
        return make.changed(make.mpeg_ps(clip), name, turn)

    def test_field_order_wrong_way_round(self):
        for order, flag in (("tff", 0), ("bff", 1)):
            with self.subTest(order=order):
                clip = Clip(order=order)
                run = self.check(self.flags(clip, f"swapped-{order}.mpg", flag), clip)
                self.assert_says(run, "field|order|tff|bff")

    def test_field_order_by_hand(self):
        clip = Clip()
        run = h.restore(make.mpeg_ps(clip), *PLAIN, *h.FAST, "--field-order", "bff")
        want = [n for i in range(clip.count) for n in (2 * i + 1, 2 * i)]
        self.assert_numbers(run, want)

    def test_interlaced_called_progressive(self):
        clip = Clip()
        source = make.encoded(clip, "avi", "-vf", "setfield=prog", "-c:v", "huffyuv", "-c:a", "pcm_s16le")
        self.check(source, clip)

    def test_progressive_called_interlaced(self):
        clip = Clip(order="progressive")
        source = make.encoded(clip, "mpg", "-vf", "setfield=tff,format=yuv420p", *make.mpeg2_flags(Clip()), "-c:a",
                              "mp2",
                              "-f", "dvd")
        self.check(source, clip)

    def test_still_beep_marks_are_read(self):
        """The meters see a fault when there is one: sound 40 ms late, a picture lost."""
        clip = Clip(order="progressive")
        late = make.path("late.mkv")
        make.ffmpeg("-i", make.master(clip), "-itsoffset", "0.04", "-i", make.master(clip), "-map", "0:v", "-map",
                    "1:a",
                    "-vf", "select='not(eq(n\\,20))'", "-c:v", "ffv1", "-c:a", "copy", late)
        self.assertNear(source_offset(late), 40, 2)
        self.assertEqual(len(m.sequence_faults([n for _, n in m.numbers(late)], 0)), 1)


class Rates(h.Case):
    def test_single_rate(self):
        clip = Clip()
        run = h.restore(make.mpeg_ps(clip), *PLAIN, *h.FAST, "--field-rate", "single")
        self.assert_numbers(run, range(0, 90, 2))
        self.assert_rate(run, make.NTSC)
        self.assert_sync(run)

    def test_progressive_frames_among_interlaced(self):
        """Video, then film at the video's rate: constant field rate, frames of the second part shown twice."""
        clip = Clip(count=60)
        flagged = make.path("mixed.mpg")
        half = [(2 * i, 2 * i + 1) if i < 30 else (2 * i, 2 * i) for i in range(60)]
        raw = (scene.weave(a, b, 480, False, [scene.lit(i, 15)] * 2) for i, (a, b) in enumerate(half))
        wav = make.write_wav(flagged + ".wav", clip.sound())
        make.ffmpeg("-f", "rawvideo", "-pix_fmt", "yuv422p", "-s", "720x480", "-r", make.NTSC, "-i", "-", "-i", wav,
                    "-vf",
                    "scale=interl=1,format=yuv420p,setfield=tff", *make.mpeg2_flags(clip), "-c:a", "mp2", "-f", "dvd",
                    flagged, feed=raw)

        def mark(data):
            for p in make.pictures(data):
                data[p.extension + 4] = data[p.extension + 4] & 0x7F | (p.display >= 30) << 7
            return data
        source = make.changed(flagged, "mixed-flags.mpg", mark)
        run = h.restore(source, *PLAIN, *h.FAST)
        self.assert_numbers(run, [n for pair in half for n in pair])
        self.assert_rate(run, 2 * make.NTSC)
        self.assert_sync(run)
        run = h.restore(source, *PLAIN, *h.FAST, "--deinterlace-frames", "flagged")
        self.assert_numbers(run, [n for pair in half for n in pair])
        self.assertNear(run.sidecar["picture"]["frames_shown_twice"], 30, 1, "frames shown twice")
        run = h.restore(source, *PLAIN, *h.FAST, "--deinterlace-frames", "flagged", "--vfr")
        # what the file says of each frame, by ffprobe: a mark may fall on the border of two packets and be missed
        shown = json.loads(m.run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_frames", "-of", "json",
                                  source]))
        marks = [frame["interlaced_frame"] for frame in shown["frames"]]
        self.assertGreaterEqual(marks.count(0), 27)
        self.assert_numbers(run, [n for pair, two in zip(half, marks) for n in (pair if two else pair[:1])])
        self.assert_sync(run)
        self.assert_duration(run, float(clip.seconds), 1 / 29)


if __name__ == "__main__":
    h.main()
