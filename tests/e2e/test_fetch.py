# `restore URL`: films from a server on loopback by yt-dlp itself, and by stand-ins for it that do what a test needs.
import json
import os
import signal
import subprocess
import sys
import time
import unittest.mock

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402
from harness import m  # noqa: E402
import tls  # noqa: E402
import web  # noqa: E402

WHEEL = os.path.join(harness.ROOT, "deps", "yt-dlp", "yt-dlp.whl")
QUICK = ("--preset", "clean", "--resolution", "source", "--encoder-preset", "ultrafast", "--no-sidecar", "--log-level",
         "verbose")

# A downloader for tests: what it does stands in {folder}/plan, what it was given is noted in {folder}/calls.
STAND_IN = """#!/usr/bin/python3
import json, os, subprocess, sys, time, urllib.request
folder = {folder!r}
plan = json.load(open(folder + "/plan"))
words = sys.argv[1:]
with open(folder + "/calls", "a") as file:
    file.write(json.dumps(dict(words=words, env=dict(os.environ), cwd=os.getcwd(), fds=os.listdir("/proc/self/fd"),
                               pid=os.getpid(), group=os.getpgrp())) + "\\n")
if "--dump-single-json" in words:
    if "look" in plan:
        exec(plan["look"])
    print(json.dumps(plan["info"]))
else:
    name, wanted = words[words.index("--output") + 1], words[words.index("--format") + 1]
    if "load" in plan:
        exec(plan["load"])
    try:
        data = urllib.request.urlopen(plan["urls"][wanted]).read()
    except urllib.error.HTTPError as error:
        sys.exit(f"ERROR: unable to download video data: HTTP Error {{error.code}}: {{error.reason}}")
    open(name + ".part", "wb").write(data)
    os.rename(name + ".part", name)
"""


def clips():
    """(both, picture alone, sound alone): a second and a half of a test picture with a tone."""
    folder = os.path.join(harness.folder(), "clips")
    names = [os.path.join(folder, name) for name in ("both.mp4", "picture.mp4", "sound.webm")]
    if not os.path.isdir(folder):
        os.makedirs(folder)
        make = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=160x120:r=25:d=1.5", "-f", "lavfi", "-i",
                "sine=f=440:d=1.5"]
        video = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
        audio = ["-c:a", "libopus", "-ac", "2"]
        subprocess.run([*make, *video, "-c:a", "aac", names[0], "-map", "0", *video, names[1], "-map", "1", *audio,
                        names[2]], check=True, stdin=subprocess.DEVNULL)
    return names


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Fetch(harness.Case):
    def setUp(self):
        self.server = web.Server()
        self.addCleanup(self.server.__exit__)
        self.folder = harness.fresh_folder("fetch")
        self.allow = ("--download-allow", f"127.0.0.1:{self.server.port}")
        self.output = os.path.join(self.folder, "out.mkv")

    def restore(self, url, *flags, expect=0, allow=True, **more):
        return harness.call("restore", url, "-o", self.output, *QUICK, *(self.allow if allow else ()), *flags,
                            expect=expect, **more)

    def names(self):
        return sorted(name for name in os.listdir(self.folder) if not name.startswith("."))

    def hidden(self):
        return sorted(name for name in os.listdir(self.folder) if name.startswith("."))

    def assert_clip(self, frames=37):
        kinds = [stream["codec_type"] for stream in m.probe(self.output)["streams"]]
        self.assertEqual(["video", "audio"], kinds)
        self.assertGreaterEqual(len(list(m.frames(self.output))), frames)


class StandIn(Fetch):
    """The downloader is a stand-in."""

    def setUp(self):
        super().setUp()
        self.notes = harness.fresh_folder("notes")
        self.program = os.path.join(self.notes, "yt-dlp")
        with open(self.program, "w", encoding="utf-8") as file:
            file.write(STAND_IN.format(folder=self.notes))
        os.chmod(self.program, 0o755)
        both, picture, sound = clips()
        self.server.files.update({"both.mp4": read(both), "picture.mp4": read(picture), "sound.webm": read(sound)})

    def plan(self, **plan):
        plan.setdefault("urls", {name: self.server.url(f"/{name}") for name in self.server.files})
        with open(os.path.join(self.notes, "plan"), "w", encoding="utf-8") as file:
            json.dump(plan, file)

    def one(self, **more):
        """A page with one film."""
        info = {"id": "x1", "title": "A film", "ext": "mp4", "format_id": "both.mp4"} | more.pop("info", {})
        self.plan(info=info, **more)

    def get(self, *flags, expect=0, **more):
        return self.restore(self.server.url("/page?token=s3cret"), "--downloader", self.program, *flags, expect=expect,
                            **more)

    def calls(self):
        with open(os.path.join(self.notes, "calls"), encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def test_picture_and_sound_apart(self):
        self.plan(info={"id": "x/1", "title": "Käse: a/b", "ext": "mkv", "format_id": "picture.mp4+sound.webm",
                        "requested_formats": [{"format_id": "picture.mp4", "ext": "mp4", "filesize": 1000},
                                              {"format_id": "sound.webm", "ext": "webm", "filesize_approx": 500.5}]})
        run = self.get()
        self.assertNotIn("s3cret", run.stderr)
        self.assertEqual(["Käse_ a_b [x_1].mkv", "out.mkv"], self.names())
        self.assert_clip()
        joined, (_, picture, sound) = os.path.join(self.folder, self.names()[0]), clips()
        # The same packets at the same times as in the two files.
        for kind, source in (("v", picture), ("a", sound)):
            want, have = (self.packets(path, kind) for path in (source, joined))
            self.assertEqual([size for _, size in want], [size for _, size in have])
            for (a, _), (b, _) in zip(want, have):
                self.assertNear(a, b, 0.0011, "time of a packet, which Matroska rounds to ms")
        self.assertEqual(["mkv"], [name.split(".")[-1] for name in self.names() if "Käse" in name])

    def test_sound_that_begins_before_zero(self):
        """AAC's priming in MP4: picture and sound move together."""
        aac = os.path.join(harness.folder(), "clips", "sound.m4a")
        if not os.path.exists(aac):
            m.run(["ffmpeg", "-v", "error", "-i", clips()[0], "-vn", "-c", "copy", aac])
        self.server.files["sound.m4a"] = read(aac)
        self.plan(info={"id": "x", "title": "t", "ext": "mkv", "format_id": "both",
                        "requested_formats": [{"format_id": "picture.mp4", "ext": "mp4"},
                                              {"format_id": "sound.m4a", "ext": "m4a"}]})
        self.get()
        joined = os.path.join(self.folder, "t [x].mkv")
        moves = [self.packets(joined, kind)[5][0] - self.packets(source, kind)[5][0]
                 for kind, source in (("v", clips()[1]), ("a", aac))]
        self.assertNear(moves[0], moves[1], 0.0011, "picture against sound")

    @staticmethod
    def packets(path, kind):
        shown = m.run(["ffprobe", "-v", "error", "-select_streams", kind, "-show_entries", "packet=pts_time,size",
                       "-of", "csv=p=0", path]).decode().splitlines()
        return [(float(line.split(",")[0]), int(line.split(",")[1])) for line in shown if line.strip(",")]

    def test_how_it_is_run(self):
        self.one()
        self.get(env={"LD_LIBRARY_PATH_SECRET": "1", "AWS_SECRET": "2", "PYTHONPATH": "/x"})
        look, load = self.calls()
        for call in look, load:
            self.assertEqual({"PATH", "LC_ALL", "HOME", "TMPDIR", "http_proxy", "https_proxy", "all_proxy"},
                             set(call["env"]) - {"LC_CTYPE", "SSL_CERT_FILE"})
            self.assertEqual(call["cwd"], call["env"]["HOME"])
            self.assertEqual(call["pid"], call["group"])
            self.assertLessEqual(set(call["fds"]), {"0", "1", "2", "3", "4"})  # its notes, and the listing
            for word in ("--ignore-config", "--no-exec", "--no-cache-dir", "--no-update"):
                self.assertIn(word, call["words"])
            self.assertNotIn("s3cret", " ".join(load["words"]))
        self.assertEqual(["--", self.server.url("/page?token=s3cret")], look["words"][-2:])
        self.assertEqual([], [name for name in self.hidden() if name.endswith(".download")])

    def test_a_second_time(self):
        self.one()
        self.get()
        os.unlink(self.output)
        self.get()
        self.assertEqual(2, len(self.calls()))
        os.unlink(os.path.join(self.folder, "A film [x1].mp4"))
        os.unlink(self.output)
        self.get()
        self.assertEqual(4, len(self.calls()))

    def test_its_own_folder(self):
        self.one()
        other = harness.fresh_folder("downloads")
        self.get("--download-dir", other)
        self.assertEqual(["out.mkv"], self.names())
        self.assertIn("A film [x1].mp4", os.listdir(other))

    def test_nothing_is_replaced(self):
        self.one()
        path = os.path.join(self.folder, "A film [x1].mp4")
        with open(path, "w", encoding="ascii") as file:
            file.write("mine")
        self.assertIn("exists", self.get(expect=73).stderr)
        self.assertEqual(b"mine", read(path))

    def test_what_is_no_film(self):
        for info, want in (({"_type": "playlist", "entries": []}, "a list"), ({"is_live": True}, "live"),
                           ({"format_id": ""}, "no film"), ({"ext": "../../x"}, "ending"),
                           ({"filesize": 10 << 40}, "at most")):
            self.one(info=info)
            self.assertIn(want, self.get(expect=65).stderr)
        for look, code, want in (("sys.exit('ERROR: Unsupported URL: ' + words[-1])", 65, "Unsupported URL: it"),
                                 ("print('{'); sys.exit(0)", 65, "can't be read"),
                                 ("sys.exit('ERROR: HTTP Error 503')", 75, "503"),
                                 ("sys.exit('ERROR: [x] 1: HTTP Error 403; please report this issue on')", 77, "403\n"),
                                 ("raise ValueError('odd')", 65, "odd"), ("os.kill(os.getpid(), 9)", 65, "no reason")):
            self.one(look=look)
            self.assertRegex(self.get(expect=code).stderr, want)
        self.one(urls={"both.mp4": self.server.url("/status/404")})
        self.get(expect=66)
        self.one(load="sys.exit(0)")
        self.assertIn("without a file", self.get(expect=65).stderr)
        self.assertEqual([], self.names() + self.hidden())

    def test_private_addresses(self):
        port = self.server.port
        for url in (f"http://localhost:{port}/both.mp4", "http://10.1.2.3/x", f"http://[::1]:{port}/x",
                    "http://169.254.169.254/latest/meta-data/",
                    self.server.url(f"/to/?http://localhost:{port}/both.mp4")):
            self.one(urls={"both.mp4": url})
            self.assertIn("which a download may not reach", self.get(expect=77).stderr)
        self.one()
        self.assertIn("may not reach", self.get(expect=77, allow=False).stderr)
        self.assertNotIn("/both.mp4", [entry["path"] for entry in self.server.seen])
        self.assertEqual([], self.names() + self.hidden())

    def test_too_much(self):
        self.one(urls={"both.mp4": self.server.url("/endless")})
        run = self.get("--download-limit", "2M", expect=65)
        self.assertIn("more than 2.0 MiB came", run.stderr)
        self.one(load="open(name, 'wb').write(bytes(3 << 20))")
        self.get("--download-limit", "2M", expect=65)
        self.assertEqual([], self.names() + self.hidden())

    def test_too_slow(self):
        self.one(urls={"both.mp4": self.server.url("/slow")})
        run = self.get("--download-time", "2s", expect=75)
        self.assertIn("download-time", run.stderr)
        self.assertLess(run.seconds, 8 * harness.PATIENCE)

    def test_an_interrupted_one_goes_on(self):
        self.plan(info={"id": "x1", "title": "A film", "ext": "mkv", "format_id": "both",
                        "requested_formats": [{"format_id": "picture.mp4", "ext": "mp4"},
                                              {"format_id": "sound.webm", "ext": "webm"}]},
                  load="if wanted == 'sound.webm' and not os.path.exists(folder + '/again'):\n"
                       "    open(folder + '/again', 'w').close()\n    sys.exit('ERROR: Connection reset')")
        self.get(expect=75)
        self.get()
        self.assert_clip()
        asked = [entry["path"] for entry in self.server.seen]
        self.assertEqual((1, 1), (asked.count("/picture.mp4"), asked.count("/sound.webm")))
        self.assertEqual([], [name for name in self.hidden() if name.endswith(".download")])

    def test_cancel(self):
        """Within a second, with a child that ignores signals and has a child of its own."""
        self.one(load="import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                      "child = subprocess.Popen(['sleep', '60'])\nopen(folder + '/child', 'w').write(str(child.pid))\n"
                      "time.sleep(60)")
        process = harness.start("restore", self.server.url("/page"), "-o", self.output, *QUICK, *self.allow,
                                "--downloader", self.program)
        note = os.path.join(self.notes, "child")
        end = time.monotonic() + 20 * harness.PATIENCE
        while not (os.path.exists(note) and read(note)):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)
        code, seconds = harness.end_within(process, 5, signal.SIGINT)
        self.assertEqual(130, code)
        self.assertLess(seconds, 1 * harness.PATIENCE)
        for pid in (int(read(note)), self.calls()[-1]["pid"]):
            try:  # or nobody has asked yet how it ended
                self.assertIn("State:\tZ", read(f"/proc/{pid}/status").decode())
            except FileNotFoundError:
                pass

    def test_what_nobody_went_on_with(self):
        self.one()
        old, new, other = (os.path.join(self.folder, name) for name in (
            ".0123456789abcdef.download", ".0123456789abcde0.download", ".mine.download"))
        for path in old, new, other:
            os.mkdir(path)
            with open(path + "/part", "w", encoding="ascii") as file:
                file.write("x")
        for path in old, other:
            os.utime(path, (time.time() - 8 * 86400,) * 2)
        self.get()
        self.assertEqual([False, True, True], [os.path.exists(path) for path in (old, new, other)])

    def test_two_at_once(self):
        self.one(load="open(folder + '/busy', 'w').close()\ntime.sleep(60)")
        process = harness.start("restore", self.server.url("/page?token=s3cret"), "-o", self.output, *QUICK,
                                *self.allow, "--downloader", self.program)
        end = time.monotonic() + 20 * harness.PATIENCE
        while not os.path.exists(os.path.join(self.notes, "busy")):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)
        self.get(expect=75)
        harness.end_within(process, 5)

    def test_words(self):
        self.assertIn("dry run", self.get("--dry-run", expect=64).stderr)
        run = self.restore("http://a/b", "--downloader", "/no/such", expect=69)
        self.assertIn("there is no downloader", run.stderr)
        self.assertIn("HOST:PORT", self.restore("http://a/b", "--download-allow", "a", "--downloader", self.program,
                                                expect=64, allow=False).stderr)
        self.get("--audio-codec", "copy", "--normalize", expect=64)  # nothing is fetched for settings that can't be
        self.assertEqual([], self.names() + self.hidden())


class YtDlp(Fetch):
    """The one that is pinned."""

    def setUp(self):
        super().setUp()
        self.assertTrue(os.path.exists(WHEEL), "scripts/setup downloads gets yt-dlp")
        self.allow += ("--downloader", WHEEL)

    def test_a_file(self):
        self.server.files["tape one.mp4"] = self.server.files["tape%20one.mp4"] = read(clips()[0])
        self.restore(self.server.url("/tape%20one.mp4"))
        self.assert_clip()
        self.assertEqual(["out.mkv", "tape one [tape one].mp4"], self.names())
        self.assertEqual(read(clips()[0]), read(os.path.join(self.folder, "tape one [tape one].mp4")))

    def test_https(self):
        """Through a tunnel; the certificate is looked at."""
        certificate = tls.secure(self.server, harness.fresh_folder("tls"))
        self.server.files["tape.mp4"] = read(clips()[0])
        self.assertIn("CERTIFICATE_VERIFY_FAILED", self.restore(self.server.url("/tape.mp4"), expect=77).stderr)
        self.restore(self.server.url("/tape.mp4"), env={"SSL_CERT_FILE": certificate})
        self.assert_clip()
        with web.Server() as other:
            self.server.files["two.mp4"] = other.files["two.mp4"] = read(clips()[0])
            run = self.restore(self.server.url("/to/x.mp4?" + other.url("/two.mp4")), expect=77,
                               env={"SSL_CERT_FILE": certificate})
            self.assertIn(f"127.0.0.1:{other.port} is an address of this machine", run.stderr)
            self.assertEqual([], other.seen)

    def test_where_it_is(self):
        """In the user's data folder, where `models install` puts it."""
        self.server.files["tape.mp4"] = read(clips()[0])
        self.allow = self.allow[:2]
        data = harness.fresh_folder("data")
        store = os.path.join(data, "terminalai", "engines", "yt-dlp")
        os.makedirs(store)
        os.symlink(WHEEL, os.path.join(store, "yt-dlp.whl"))
        self.assertIn(f"by {store}/yt-dlp.whl", self.restore(self.server.url("/tape.mp4"),
                                                             env={"XDG_DATA_HOME": data}).stderr)

    def test_redirects(self):
        self.server.files["tape.mp4"] = read(clips()[0])
        self.restore(self.server.url("/to/x?" + self.server.url("/tape.mp4")))
        self.assert_clip()

    def test_a_redirect_to_a_private_address(self):
        self.server.files["tape.mp4"] = read(clips()[0])
        run = self.restore(self.server.url(f"/to/x.mp4?http://localhost:{self.server.port}/tape.mp4"), expect=77)
        self.assertIn("an address of this machine", run.stderr)
        self.assertNotIn("/tape.mp4", [entry["path"] for entry in self.server.seen])
        self.assertIn("may not reach", self.restore(self.server.url("/tape.mp4"), expect=77, allow=False).stderr)

    def test_no_such_file(self):
        self.assertRegex(self.restore(self.server.url("/status/404"), expect=66).stderr, "404")
        self.restore(self.server.url("/status/403"), expect=77)

    def test_a_page_without_a_film(self):
        self.server.files["page.html"] = b"<html><title>x</title><p>nothing here</p></html>"
        self.restore(self.server.url("/page.html"), expect=65)

    def test_a_cut_connection(self):
        """yt-dlp goes on by itself."""
        clip = read(clips()[0])
        with unittest.mock.patch.object(web.Handler, "do_clip.mp4", lambda handler: handler.give(
                clip, '"c"', len(clip) // 2 if handler.nth == 1 else None), create=True):
            self.restore(self.server.url("/clip.mp4"))
        self.assert_clip()

    def test_the_bytes_are_limited(self):
        self.server.files["tape.mp4"] = read(clips()[0]) + bytes(3 << 20)
        run = self.restore(self.server.url("/tape.mp4"), "--download-limit", "1M", expect=65)
        self.assertRegex(run.stderr, "1.0 MiB")


if __name__ == "__main__":
    harness.main()
