# scripts/setup on made-up systems: quick when all is there, a clear word when not root, offline, too old or not Debian.
import os
import subprocess
import sys
import tempfile
import unittest

import tree

SETUP = os.path.join(tree.ROOT, "scripts", "setup")
ALL = "\n".join(f"installed {line.split()[1]} {line.split()[2]}"
                for line in tree.text("scripts/packages.txt").splitlines() if line and not line.startswith("#"))


class Setup(unittest.TestCase):
    def run_setup(self, *words, installed=ALL, user=0, apt="exit 100", dpkg=True, engines="true"):
        """Runs the script with stand-ins for dpkg-query, id and apt-get; returns status, output, apt's calls."""
        with tempfile.TemporaryDirectory() as fake:
            calls = os.path.join(fake, "calls")
            after = os.path.join(fake, "installed")
            with open(after, "w", encoding="utf-8") as file:
                file.write(installed + "\n")
            tools = {"id": f"echo {user}", "apt-get": f'echo "$@" >>{calls}\n{apt.replace("@INSTALLED@", after)}'}
            if dpkg:
                tools["dpkg-query"] = f"cat {after}"
            for name, body in tools.items():
                with open(os.path.join(fake, name), "w", encoding="utf-8") as file:
                    file.write(f"#!/bin/sh\n{body}\n")
                os.chmod(os.path.join(fake, name), 0o755)
            path = fake + ":" + os.environ["PATH"]
            if not dpkg:  # only what the script needs before it looks for dpkg
                for name in ("sh", "dirname", "awk", "sed"):
                    os.symlink(subprocess.check_output(["which", name], text=True).strip(), os.path.join(fake, name))
                path = fake
            done = subprocess.run([SETUP, *words], capture_output=True, text=True, check=False,
                                  env={**os.environ, "PATH": path, "TERMINALAI_SETUP_ENGINES": engines},
                                  stdin=subprocess.DEVNULL)
            asked = ""
            if os.path.exists(calls):
                with open(calls, encoding="utf-8") as file:
                    asked = file.read()
            return done.returncode, done.stdout + done.stderr, asked

    def without(self, *names):
        return "\n".join(line for line in ALL.splitlines() if line.split()[1] not in names)

    def test_all_there_asks_nothing(self):
        for group in ("build", "demo", "test", "neural", "bench", "deb", "dev"):
            self.assertEqual((0, "", ""), self.run_setup(group, user=1000))

    def test_not_root(self):
        status, said, asked = self.run_setup("test", installed=self.without("clang", "libcmocka-dev"), user=1000)
        self.assertEqual((77, ""), (status, asked))
        self.assertIn("apt-get install -y --no-install-recommends clang libcmocka-dev", said)

    def test_groups(self):
        self.assertEqual(0, self.run_setup("build", installed=self.without("clang", "libcmocka-dev"), user=1000)[0])

    def test_offline(self):
        status, said, asked = self.run_setup("build", installed=self.without("meson"), apt="echo no network; exit 100")
        self.assertEqual(69, status)
        self.assertIn("could not install: meson", said)
        self.assertIn("no network", said)
        self.assertIn("update", asked)

    def test_installs_by_name(self):
        apt = 'echo "installed meson 1.0.1" >>@INSTALLED@'
        status, _, asked = self.run_setup("build", installed=self.without("meson"), apt=apt)
        self.assertEqual(0, status)
        self.assertRegex(asked, r"install --no-install-recommends meson\n$")
        self.assertNotIn("update", asked)

    def test_too_old(self):
        status, said, _ = self.run_setup("build", installed=ALL.replace("meson 1.0.1", "meson 0.56"), apt="exit 0")
        self.assertEqual(69, status)
        self.assertIn("older than", said)

    def test_not_debian(self):
        status, said, _ = self.run_setup("build", dpkg=False)
        self.assertEqual(69, status)
        self.assertIn("not a Debian system", said)

    def test_engines(self):
        with tempfile.TemporaryDirectory() as folder:
            engines = os.path.join(folder, "engines")
            with open(engines, "w", encoding="ascii") as file:
                file.write('#!/bin/sh\necho "engines: $*"\nexit 69\n')
            os.chmod(engines, 0o755)
            for group in ("test", "neural", "dev"):
                status, said, _ = self.run_setup(group, engines=engines)
                self.assertEqual(69, status)
                self.assertRegex(said, "engines: +openvino onnxruntime.*\n.*missing could not be fetched")
            self.assertEqual((69, "engines: --check openvino onnxruntime yt-dlp deepfilternet3 gtcrn\n", ""),
                             self.run_setup("test", "--check", engines=engines))
            self.assertRegex(self.run_setup("downloads", engines=engines)[1], "engines: +yt-dlp\n")
            for group in ("build", "demo", "bench", "deb"):
                self.assertEqual((0, "", ""), self.run_setup(group, engines=engines))

    def test_wrong_words(self):
        self.assertEqual(64, self.run_setup("everything")[0])
        self.assertEqual(64, self.run_setup("build", "--chek")[0])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
