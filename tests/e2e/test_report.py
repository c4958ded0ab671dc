# What the program tells: progress, the plan of --dry-run, the names of outputs, the sidecar; each held to what
# something else measures.
import json
import os
import pty
import re
import select
import shutil
import subprocess
import time

import harness as h
import make
import measure as m
import yaml
from make import Clip
from test_sound import loudness

QUICK = ("--resolution", "source", "--sharpen", "off", *h.FAST)
FIELDS = {"stage": str, "percent": (int, float), "fps": (int, float), "speed": (int, float),
          "eta_seconds": (int, float), "frames_in": int, "frames_out": int, "stages": str}


@make.once
def clip():
    return make.h264(Clip(count=45), "mkv", audio=("-c:a", "flac"))


@make.once
def long():
    """Eight seconds, small: work for a few seconds with SLOW."""
    out = make.path("long.mkv")
    make.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=8", "-f", "lavfi", "-i", "sine=440:d=8", "-c:v",
                "libx264", "-preset", "ultrafast", "-c:a", "flac", out)
    return out


SLOW = ("--denoise", "nlmeans", "--denoise-strength", "heavy", "--resolution", "source", *h.FAST)


def lines_with_times(stream):
    """[(seconds, line)] of a pipe until it ends."""
    found = []
    for line in stream:
        found.append((time.monotonic(), line.decode()))
    return found


class Progress(h.Case):
    def test_json(self):
        output = os.path.join(h.fresh_folder(), "x.mkv")
        with h.start("restore", long(), "-o", output, *SLOW, "--progress", "json") as process:
            found = lines_with_times(process.stdout)
            process.stderr.read()
        self.assertEqual(process.returncode, 0)
        self.assertGreater(len(found), 3, "too fast to see progress")
        rows = [json.loads(line) for _, line in found]
        for row in rows:
            self.assertEqual(list(row), list(FIELDS))
            for name, kind in FIELDS.items():
                self.assertIsInstance(row[name], kind, name)
            self.assertTrue(0 <= row["percent"] <= 100 and row["fps"] >= 0 and row["speed"] >= 0, row)
            self.assertTrue(row["eta_seconds"] >= 0 or row["eta_seconds"] == -1, row)
        for name in ("percent", "frames_in", "frames_out"):
            values = [row[name] for row in rows]
            self.assertEqual(values, sorted(values), name)
        self.assertEqual((rows[-1]["percent"], rows[-1]["eta_seconds"]), (100, 0))
        self.assertEqual(rows[-1]["frames_out"], m.video_span(output)[2])
        # At most two a second; the last one comes when the job ends. A pipe may hand over a line a little late.
        times = [at for at, _ in found[:-1]]
        self.assertLessEqual(len(times), (times[-1] - times[0]) / 0.5 + 1.2)
        for first, second in zip(times, times[1:]):
            self.assertGreater(second - first, 0.4)

    def test_fields_are_in_the_manual(self):
        with open(os.path.join(h.ROOT, "docs", "manual.md"), encoding="utf-8") as file:
            part = file.read().split("\n## Progress and messages\n")[1].split("\n## ")[0]
        named = re.findall(r"^\| `(\w+)` \|", part, re.M)
        self.assertEqual(named, list(FIELDS))

    def test_quiet_without_a_terminal(self):
        for flags in ((), ("--progress", "none")):
            with self.subTest(flags):
                run = h.restore(long(), *SLOW, "--end", 3, *flags)
                self.assertEqual(run.stdout, run.output + "\n")
                self.assertNotRegex(run.stderr, r"\r|\x1b|\d %|left ")
                for line in run.stderr.splitlines():
                    self.assertRegex(line, r"^(info|warning|error|hint): ")

    def on_terminal(self, *flags):
        """[(seconds, piece)] of what reaches a terminal."""
        output = os.path.join(h.fresh_folder(), "x.mkv")
        master, slave = pty.openpty()
        process = subprocess.Popen([h.PROGRAM, "restore", long(), "-o", output, *SLOW, *flags], stderr=slave,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=h.environment())
        os.close(slave)
        found = []
        while True:
            if not select.select([master], [], [], 60 * h.PATIENCE)[0]:
                process.kill()
                break
            try:
                piece = os.read(master, 65536)
            except OSError:  # the other side is closed
                break
            if not piece:
                break
            found.append((time.monotonic(), piece.decode()))
        os.close(master)
        self.assertEqual(process.wait(), 0)
        return found

    def test_line_on_a_terminal(self):
        found = self.on_terminal()
        drawn = [at for at, piece in found if re.search(r"\r\x1b\[K.*?[\d.]+ %  [\d.]+ fps  [\d.]+x  left ", piece)]
        text = "".join(piece for _, piece in found)
        self.assertGreater(len(drawn), 3, text)
        self.assertLessEqual(len(drawn) - 1, (drawn[-1] - drawn[0]) / 0.5 + 1.2, text)
        self.assertRegex(text, "100.0 %")

    def test_none_on_a_terminal(self):
        text = "".join(piece for _, piece in self.on_terminal("--progress", "none", "--end", "3"))
        self.assertNotRegex(text, r"\x1b| fps ")


class Names(h.Case):
    def place(self):
        """A folder with a tape in it."""
        place = h.fresh_folder()
        shutil.copy(clip(), os.path.join(place, "tape.1.mkv"))
        return place

    def made(self, place, *words):
        before = set(os.listdir(place))
        run = h.call("restore", os.path.join(place, "tape.1.mkv"), *words, *QUICK)
        new = sorted(set(os.listdir(place)) - before)
        return run.stdout.strip(), new

    def test_beside_the_input(self):
        place = self.place()
        said, new = self.made(place)
        self.assertEqual(new, ["tape.1-restored.mkv", "tape.1-restored.mkv.json"])
        self.assertEqual(said, os.path.join(place, new[0]))

    def test_in_a_folder(self):
        place, other = self.place(), h.fresh_folder()
        for name in (other, other + "/"):
            said, new = self.made(place, "-o", name, "--overwrite")
            self.assertEqual(new, [])
            self.assertEqual(os.path.normpath(said), os.path.join(other, "tape.1-restored.mkv"))
        self.assertEqual(sorted(os.listdir(other)), ["tape.1-restored.mkv", "tape.1-restored.mkv.json"])

    def test_templates(self):
        place = self.place()
        for template, flags, name in (
                ("{name}_{preset}_{height}p", ("--preset", "vhs_clean"), "tape.1_vhs_clean_480p.mkv"),
                ("{height}", ("--resolution", "720"), "720.mkv"),
                ("film", ("--container", "mp4"), "film.mp4"),
                ("{name}{name}", (), "tape.1tape.1.mkv")):
            with self.subTest(template):
                run = h.call("restore", os.path.join(place, "tape.1.mkv"), "--output-template", template, *QUICK,
                             *flags)
                self.assertEqual(run.stdout.strip(), os.path.join(place, name))
                height = m.stream(run.stdout.strip(), "video")["height"]
                self.assertEqual(height, 720 if template == "{height}" else 480)

    def test_unknown_placeholder(self):
        place = self.place()
        for template, word in (("{name}-{hight}", "height"), ("{name", "}"), ("", "template")):
            with self.subTest(template):
                run = h.call("restore", os.path.join(place, "tape.1.mkv"), "--output-template", template, *QUICK,
                             expect=64)
                self.assertIn(word, run.stderr)
                self.assertEqual(os.listdir(place), ["tape.1.mkv"])


class Sidecar(h.Case):
    def stream_hashes(self, path):
        """sha256 of the packets of each stream, by ffmpeg."""
        text = m.run(["ffmpeg", "-v", "error", "-i", path, "-map", "0", "-c", "copy", "-f", "streamhash", "-hash",
                      "sha256", "-"]).decode()
        return dict((int(line.split(",")[0]), line.split("=")[1].lower()) for line in text.split())

    def test_hashes_and_sizes(self):
        for ext in ("mkv", "mp4", "mov"):
            with self.subTest(ext):
                run = h.restore(clip(), *QUICK, ext=ext)
                doc = run.sidecar
                sums = m.run(["sha256sum", clip(), run.output]).decode().split()[::2]
                self.assertEqual([doc["source"]["sha256"], doc["output"]["sha256"]], sums)
                self.assertEqual(doc["source"]["bytes"], os.path.getsize(clip()))
                self.assertEqual(doc["output"]["bytes"], os.path.getsize(run.output))
                streams = doc["output"]["streams"]
                self.assertEqual({s["index"]: s["sha256"] for s in streams}, self.stream_hashes(run.output))
                counted = json.loads(m.run(["ffprobe", "-v", "error", "-count_packets", "-show_streams", "-of", "json",
                                            run.output]))["streams"]
                self.assertEqual([(s["index"], s["type"], s["codec"], s["packets"]) for s in streams],
                                 [(s["index"], s["codec_type"], s["codec_name"], int(s["nb_read_packets"]))
                                  for s in counted])
                self.assertNear(streams[0]["duration"], m.video_span(run.output)[2] / 59.94, 0.02, "duration")
                self.assertEqual(doc["output"]["frames"], m.video_span(run.output)[2])

    def test_settings(self):
        """The settings of the sidecar make the same pictures again."""
        run = h.restore(clip(), *QUICK, "--preset", "vhs_clean", "--denoise-strength", "3:2:4:3", "--gamma", "1.1")
        settings = run.sidecar["settings"]
        wanted = json.loads(h.call("settings", "--json", *QUICK, "--preset", "vhs_clean", "--denoise-strength",
                                   "3:2:4:3", "--gamma", "1.1").stdout)
        self.assertEqual(settings, wanted)
        preset = make.path("again.yaml")
        job_only = {k: v for k, v in settings.items() if k != "preset"}
        with open(preset, "w", encoding="utf-8") as file:
            yaml.safe_dump({"inherits": settings["preset"], "settings": job_only}, file)
        again = h.restore(clip(), "--preset", preset)
        self.assertEqual(m.framemd5(again.output), m.framemd5(run.output))

    def test_versions(self):
        doc = h.restore(clip(), *QUICK).sidecar
        text = m.run(["ffmpeg", "-version"]).decode()
        for name in ("libavcodec", "libavformat", "libavutil"):
            found = re.search(rf"{name}\s+(\d+)\.\s*(\d+)\.\s*(\d+)", text)
            major, minor, micro = map(int, found.groups())
            self.assertEqual(doc["versions"][name], major << 16 | minor << 8 | micro, name)
        self.assertIn(doc["versions"]["terminalai"], h.call("version").stdout)
        self.assertEqual(doc["made_by"], doc["versions"]["terminalai"])
        finished = time.mktime(time.strptime(doc["finished"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
        self.assertNear(finished, time.time(), 120, "time of the end")

    def test_warnings_are_those_that_were_printed(self):
        source = make.path("untagged.avi")
        make.ffmpeg("-i", clip(), "-vf", "scale=interl=1,format=yuv420p", "-c:v", "mpeg4", "-q:v", 3, "-flags",
                    "+ildct+ilme", "-c:a", "copy", source)
        run = h.restore(source, *QUICK)
        self.assertTrue(run.sidecar["warnings"])
        for line in run.sidecar["warnings"]:
            self.assertIn(line, run.stderr)

    def test_gaps(self):
        """A hole of a second in picture and sound."""
        source = make.path("hole.mkv")
        make.ffmpeg("-i", make.h264(Clip(count=90), "mkv", "-g", 1, audio=("-c:a", "pcm_s16le")), "-vf",
                    "select=not(between(t\\,1\\,1.999))", "-af", "aselect=not(between(t\\,1\\,1.999))", "-fps_mode",
                    "passthrough", *make.h264_flags(Clip()), "-c:a", "pcm_s16le", source)
        run = h.restore(source, *QUICK)
        self.assertEqual(run.sidecar["picture"]["gaps"], 1)
        track = run.sidecar["tracks"][0]
        self.assertEqual(track["gaps"], 1)
        self.assertNear(track["gap_seconds"], 1, 0.06, "the hole in the sound")

    def test_loudness(self):
        run = h.restore(clip(), *QUICK, "--normalize", "--loudness", "-20", "--audio-codec", "flac")
        track = run.sidecar["tracks"][0]
        before, peak = loudness(clip())
        self.assertNear(track["loudness_before"]["integrated_lufs"], before, 0.5, "before")
        self.assertNear(track["loudness_before"]["true_peak_dbtp"], peak, 0.5, "peak before")
        after, peak = loudness(run.output)
        told = track["loudness_finished_chain"]
        self.assertNear(told["integrated_lufs"] + track["gain_db"], after, 0.5, "after")
        self.assertNear(told["true_peak_dbtp"] + track["gain_db"], peak, 0.5, "peak after")


class DryRun(h.Case):
    def test_plan_is_what_happens(self):
        output = os.path.join(h.fresh_folder(), "x.mkv")
        flags = ("--preset", "vhs", "--resolution", "720", *h.FAST)
        plan = json.loads(h.call("restore", clip(), "-o", output, *flags, "--dry-run", "--json").stdout)
        self.assertEqual(os.listdir(os.path.dirname(output)), [])
        words = h.call("restore", clip(), "-o", output, *flags, "--dry-run").stdout
        run = h.restore(clip(), *flags, output=output)
        video = run.stream("video")
        self.assertEqual((plan["input"], plan["output"], plan["container"]), (clip(), output, "mkv"))
        self.assertEqual([(s["name"], s["spec"]) for s in plan["stages"]],
                         [(s["stage"], s["does"]) for s in run.sidecar["stages"]])
        last, source = plan["stages"][-1]["output"], plan["source"]
        self.assertEqual((last["width"], last["height"], last["pixel_format"]),
                         (video["width"], video["height"], video["pix_fmt"]))
        self.assertEqual(last["sample_aspect_ratio"], [1, 1])
        self.assertEqual(last["frame_rate"], [60000, 1001])
        self.assertEqual((source["width"], source["height"], source["pixel_format"]), (720, 480, "yuv420p"))
        self.assertEqual(plan["encoder"], "libx264")
        self.assertEqual([t["codec"] for t in plan["tracks"]], [run.sidecar["tracks"][0]["codec"]])
        for stage in plan["stages"]:
            self.assertIn(stage["spec"], words)
        self.assertRegex(words, r"time: +about .*\nmemory: about .*\ndisk: +about .* for the output, .* free")
        self.assertIn("960x720", words)
        self.assertIn("libx264", words)

    def test_estimates(self):
        """Within a factor of two and a half. The time is that of a machine with nothing else to do: processor time
        divided by the processors."""
        output = os.path.join(h.fresh_folder(), "x.mkv")
        flags = ("--denoise", "nlmeans", "--resolution", "source", "--crf", "23")
        plan = json.loads(h.call("restore", long(), "-o", output, *flags, "--dry-run", "--json").stdout)
        process = h.start("restore", long(), "-o", output, *flags)
        process.stdout.read(), process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = (usage.ru_utime + usage.ru_stime) / len(os.sched_getaffinity(0))
        self.assertEqual(process.returncode, 0)
        for name, told, real in (("seconds", plan["seconds"], seconds),
                                 ("bytes", plan["output_bytes"], os.path.getsize(output)),
                                 ("memory", plan["memory_bytes"], usage.ru_maxrss * 1024)):
            if name == "memory" and h.SANITIZED:
                continue
            self.assertTrue(real / 2.5 <= told <= real * 2.5, f"{name}: {told} instead of {real}")


if __name__ == "__main__":
    h.main()
