# What a confined worker can't do, and that models run in one all the same.
import functools
import os
import shutil
import socket
import subprocess
import unittest

import harness as h
import make
import onnx
from crew import QUICK, Crew, clip, landlock, settings

HOSTILE = os.environ.get("HOSTILE") or os.path.join(h.ROOT, "build", "tests", "e2e", "hostile")
# What seccomp alone refuses, and what only rules for files can.
CALLS = {"truncate_outside", "truncate_by_reading", "mode_outside", "make_symlink", "connect_tcp", "send_udp",
         "connect_unix", "make_netlink", "start_process", "execute", "execute_memory", "signal_victim", "trace_victim",
         "make_ring", "new_namespace", "change_folder"}


@functools.lru_cache(None)
def tries(how):
    """[who, kind, name, result] of each try, and whether the outside is as it was."""
    place = h.fresh_folder(how)
    inside, outside, given = (os.path.join(place, name) for name in ("in", "out", "given"))
    os.makedirs(inside), os.makedirs(outside)
    for name in ("secret", "spoilt", "removed"):
        with open(os.path.join(outside, name), "w", encoding="utf-8") as file:
            file.write("text")
    shutil.copy(os.path.join(outside, "secret"), given)
    before = h.fingerprint(outside)
    tcp, unix = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
    unix.bind(os.path.join(place, "socket"))
    unix.listen()
    with tcp, unix:
        done = subprocess.run([HOSTILE, how, given, inside, outside, str(tcp.getsockname()[1]),
                               os.path.join(place, "socket")], capture_output=True, text=True, timeout=60 * h.PATIENCE)
    if done.returncode:
        raise AssertionError(done.stderr + done.stdout)
    return [line.split() for line in done.stdout.splitlines()], h.fingerprint(outside) == before


@functools.lru_cache(None)
def engines():
    said = h.call("doctor", expect=None).stdout
    return [name for name in ("openvino", "onnxruntime")
            if any(line.split()[:2] == ["ok", name] for line in said.splitlines())]


class Sandbox(h.Case):
    def assert_refused(self, result, who, name):
        self.assertIn(result, ("EACCES", "EPERM", "EXDEV", "ENOSYS"), f"{who}: {name}")

    def test_without(self):
        """Everything that is tried is possible: else the tries would show nothing."""
        for who, _, name, result in tries("free")[0]:
            self.assertEqual(result, "done", f"{who}: {name}")
        self.assertFalse(tries("free")[1])

    @unittest.skipUnless(landlock(), "this kernel has no Landlock")
    def test_hostile(self):
        """With the sandbox none of it is, in no thread; what a worker needs is."""
        confined, untouched = tries("confined")
        self.assertTrue(untouched)
        self.assertEqual({who for who, *_ in confined}, {"main", "thread"})
        self.assertEqual(len(confined), 2 * len(tries("free")[0]))
        for who, kind, name, result in confined:
            if kind == "bad":
                self.assert_refused(result, who, name)
            else:
                self.assertEqual(result, "done", (who, name))

    def test_calls(self):
        """Seccomp alone, as on a kernel without Landlock."""
        found = tries("seccomp")[0]
        self.assertLessEqual(CALLS, {name for _, _, name, _ in found})
        for who, kind, name, result in found:
            if name in CALLS:
                self.assert_refused(result, who, name)
            elif kind == "good":
                self.assertEqual(result, "done", (who, name))

    def test_only_a_crew_starts_it(self):
        self.assertIn("started by terminalai itself", h.call("worker", expect=64).stderr)
        self.assertNotIn("worker", h.call("help").stdout.split())

    def test_what_settings_name(self):
        """A confined worker reads the table and the preset that the settings name, an input behind a link, a disc."""
        place = h.fresh_folder()
        cube, preset, link = (os.path.join(place, name) for name in ("turned.cube", "mine.yaml", "link.mkv"))
        with open(cube, "w", encoding="utf-8") as file:
            file.write("LUT_3D_SIZE 2\n" + "".join(f"{g} {b} {r}\n" for b in (0, 1) for g in (0, 1) for r in (0, 1)))
        with open(preset, "w", encoding="utf-8") as file:
            file.write("settings:\n  brightness: 0.1\n")
        os.symlink(clip(1), link)
        disc = os.path.join(place, "disc", "VIDEO_TS")
        os.makedirs(disc)
        make.ffmpeg("-i", clip(1), "-target", "pal-dvd", os.path.join(disc, "VTS_01_1.VOB"))
        flags = (*QUICK, "--preset", preset, "--lut", cube)
        with Crew("sandbox", "required" if landlock() else "on") as crew:
            for source in (link, disc):
                want = h.sha256(h.restore(source, *flags).output)
                crew.give(source, source, os.path.join(place, "out.mkv"), settings(*flags, "--overwrite"))
                end = crew.end(source)
                self.assertEqual(end["code"], 0, (end, crew.log))
                self.assertEqual(h.sha256(end["message"]), want)

    @unittest.skipUnless(engines(), "no engine for models is installed")
    def test_models(self):
        """A model runs in a confined worker: the same bytes as outside."""
        model = os.path.join(h.fresh_folder("model"), "twice.onnx")
        with open(model, "wb") as file:
            file.write(onnx.twice(1))
        flags = (*QUICK, "--engine", "realesrgan", "--upscale-model", model, "--resolution", "2x", "--deinterlace",
                 "off", "--neural-engine")
        place = h.fresh_folder()
        with Crew("sandbox", "required" if landlock() else "on") as crew:
            for engine in engines():
                want = h.sha256(h.restore(clip(1), *flags, engine).output)
                crew.give(engine, clip(1), os.path.join(place, engine + ".mkv"), settings(*flags, engine))
                end = crew.end(engine)
                self.assertEqual(end["code"], 0, (end, crew.log))
                self.assertIn("upscaling", {e["stage"] for e in crew.events
                                            if e["event"] == "progress" and e["id"] == engine})
                self.assertEqual(h.sha256(end["message"]), want)


if __name__ == "__main__":
    h.main()
