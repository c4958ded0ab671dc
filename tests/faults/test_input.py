# Inputs that can't be restored: each gives one clear error with the documented exit code, names the file, says what to
# do, and leaves neither a change of the source nor a file behind.
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import harness as h  # noqa: E402

NOINPUT, DATA, NOPERM, USAGE = 66, 65, 77, 64


def make(name, *words):
    path = os.path.join(h.folder(), name)
    if not os.path.exists(path):
        subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *words, path], check=True)
    return path


def clip():
    """A second of moving picture with sound."""
    return make("clip.mpg", "-f", "lavfi", "-i", "testsrc2=s=720x480:r=30000/1001:d=1", "-f", "lavfi", "-i",
                "sine=f=440:d=1", "-c:v", "mpeg2video", "-b:v", "6M", "-c:a", "mp2", "-f", "vob")


def write(name, data):
    path = os.path.join(h.folder(), name)
    with open(path, "wb") as file:
        file.write(data)
    return path


class BadInput(h.Case):
    def test_missing(self):
        self.failure(os.path.join(h.folder(), "nowhere.mpg"), code=NOINPUT, says=["nowhere.mpg", "hint"])

    def test_empty(self):
        self.failure(write("empty.mpg", b""), code=DATA, says=["empty.mpg", "0 bytes"])

    def test_a_text(self):
        self.failure(write("notes.mpg", b"These are notes, not a tape.\n" * 2000), code=DATA,
                     says=["notes.mpg", "hint"])

    def test_noise(self):
        self.failure(write("noise.avi", os.urandom(200_000)), code=DATA, says=["noise.avi", "hint"])

    def test_an_archive(self):
        import zipfile
        path = os.path.join(h.folder(), "tape.zip")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(clip(), "clip.mpg")
        self.failure(path, code=DATA, says=["tape.zip", "hint"])

    def test_a_folder_without_video(self):
        folder = os.path.join(h.folder(), "papers")
        os.makedirs(folder, exist_ok=True)
        self.failure(folder, code=DATA, says=["papers", "VIDEO_TS"])

    def test_subtitles_only(self):
        path = write("only.srt", b"1\n00:00:00,000 --> 00:00:01,000\nHello\n")
        self.failure(path, code=DATA, says=["only.srt", "neither a video nor an audio"])

    def test_mp4_without_index(self):
        whole = make("whole.mp4", "-i", clip(), "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac")
        with open(whole, "rb") as file:
            self.failure(write("cut.mp4", file.read(20_000)), code=DATA, says=["cut.mp4", "hint"])

    def test_no_pictures(self):
        """A header that promises pictures, and none behind it."""
        whole = make("whole.mkv", "-i", clip(), "-an", "-c:v", "mpeg2video")
        with open(whole, "rb") as file:
            data = file.read()
        cut = data.find(b"\x1f\x43\xb6\x75")  # the first cluster
        self.failure(write("promise.mkv", data[:cut]), code=DATA, says=["promise.mkv"])

    def test_unknown_codec(self):
        whole = make("codec.avi", "-i", clip(), "-an", "-c:v", "mpeg4", "-vtag", "FMP4")
        with open(whole, "rb") as file:
            data = file.read().replace(b"FMP4", b"Zq7x")
        self.failure(write("unknown.avi", data), code=DATA, says=["unknown.avi|stream 0"])

    def test_truncated_plays_as_far_as_it_goes(self):
        with open(clip(), "rb") as file:
            data = file.read()
        run = h.restore(write("short.mpg", data[:len(data) * 2 // 3]), "--resolution", "source", *h.FAST)
        begin, end, _ = h.m.video_span(run.output)
        self.assertGreater(end - begin, 0.4)
        self.assertLess(end - begin, 0.95)

    def test_unreadable(self):
        path = write("secret.mpg", open(clip(), "rb").read())
        os.chmod(path, 0)
        os.chmod(h.folder(), 0o755)
        out = h.fresh_folder()
        os.chmod(out, 0o777)
        wrap = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups") if os.getuid() == 0 else ()
        run = h.call("restore", path, "-o", os.path.join(out, "x.mkv"), expect=NOPERM, wrap=wrap,
                     env={"HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent"})
        self.assertRegex(run.stderr, "secret.mpg")
        self.assertEqual(os.listdir(out), [])
        os.chmod(path, 0o600)

    def test_start_behind_the_end(self):
        self.failure(clip(), "--start", "1:00:00", code=USAGE, says=["clip.mpg", "hint"])

    def test_two_inputs(self):
        run = h.call("restore", clip(), clip(), expect=USAGE)
        self.assertRegex(run.stderr, "one input")

    def test_what_comes_later_is_refused(self):
        for flags, what in ((("--deinterlace", "qtgmc"), "qtgmc"), (("--engine", "realesrgan"), "realesrgan"),
                            (("--engine", "rtxvideo"), "rtxvideo"), (("--face-restore", "gfpgan"), "face"),
                            (("--preset", "auto"), "auto"),
                             (("--audio-enhance", "deepfilternet"), "(?i)deepfilternet")):
            self.failure(clip(), *flags, code=69, says=[what, "hint"])


if __name__ == "__main__":
    h.main()
