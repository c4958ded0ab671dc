# The test runner can't be fooled: cases are counted; a skip without a reason, a crash, and no test at all all fail.
import importlib.machinery
import importlib.util
import io
import os
import re
import subprocess
import sys
import tempfile
import unittest
from contextlib import redirect_stdout

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPT = os.path.join(ROOT, "scripts", "run-tests")
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("run_tests", SCRIPT)
run_tests = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_tests", loader))
loader.exec_module(run_tests)

CMOCKA = """[==========] Running 3 test(s).
[ RUN      ] one
noise without an end of line[       OK ] one
[ RUN      ] two
[  SKIPPED ] two
[ RUN      ] three
"""
CMOCKA_BAD = "[  ERROR   ] --- 0x1 != 0x2\n[   LINE   ] --- a.c:3: error: Failure!\n[  FAILED  ] three\n"
UNITTEST = """test_a (__main__.T.test_a) ... ok
test_b (__main__.T.test_b)
What it does. ... skipped 'no GPU'
test_c (__main__.T.test_c) ... FAIL

======================================================================
FAIL: test_c (__main__.T.test_c)
----------------------------------------------------------------------
Ran 3 tests in 0.001s

FAILED (failures=1, skipped=1)
"""


def tally(*tests, allowed=None):
    result = run_tests.Tally(allowed or {})
    for test in tests:
        result.add(test)
    return result.passed, result.failed, result.skipped


def entry(name, result, stdout="", stderr=""):
    return {"name": name, "result": result, "stdout": stdout, "stderr": stderr}


class Counting(unittest.TestCase):
    def test_plain(self):
        self.assertEqual((1, 1, 0), tally(entry("a", "OK"), entry("p:unit / b", "FAIL")))

    def test_cmocka(self):
        bad = entry("c", "FAIL", CMOCKA, CMOCKA_BAD)
        self.assertEqual((1, 2, 0), tally(bad))
        self.assertEqual((1, 1, 1), tally(bad, allowed={"c.two": "why"}))

    def test_cmocka_crash(self):
        self.assertEqual((0, 1, 0), tally(entry("c", "FAIL", "[ RUN      ] three\n")))
        self.assertEqual((1, 1, 0), tally(entry("c", "TIMEOUT", "[ RUN      ] one\n[       OK ] one\n")))

    def test_failure_inside_a_test_that_calls_itself_passed(self):
        self.assertEqual((0, 1, 0), tally(entry("c", "OK", "[ RUN      ] three\n" + CMOCKA_BAD)))

    def test_unittest(self):
        self.assertEqual((1, 2, 0), tally(entry("u", "FAIL", "", UNITTEST)))
        self.assertEqual((1, 1, 1), tally(entry("u", "FAIL", "", UNITTEST), allowed={"u.test_b": "why"}))

    def test_skips_need_a_reason(self):
        self.assertEqual((0, 1, 0), tally(entry("a", "SKIP")))
        self.assertEqual((0, 0, 1), tally(entry("a", "SKIP"), allowed={"a": "why"}))

    def test_logs_are_bounded(self):
        result = run_tests.Tally({})
        result.add(entry("a", "FAIL", "line\n" * 100000))
        out = io.StringIO()
        with redirect_stdout(out):
            result.print()
        self.assertLess(out.getvalue().count("\n"), 200)


class Whole(unittest.TestCase):
    """The script itself, on a stand-in for Meson."""

    def run_script(self, lines, status=0):
        with tempfile.TemporaryDirectory() as build:
            fake = os.path.join(build, "meson")
            with open(fake, "w", encoding="utf-8") as file:
                file.write(f"#!/bin/sh\nmkdir -p {build}/meson-logs\n"
                           f"cat >{build}/meson-logs/testlog.json <<'EOF'\n{lines}EOF\nexit {status}\n")
            os.chmod(fake, 0o755)
            return subprocess.run(f"exec {sys.executable} {SCRIPT} {build} <&-", shell=True, capture_output=True,
                                  text=True, env={**os.environ, "MESON": fake, "CI": "true"}, check=False)

    def test_last_line_and_status(self):
        done = self.run_script('{"name": "a", "result": "OK", "stdout": ""}\n')
        self.assertEqual(("1 passed, 0 failed, 0 skipped", 0), (done.stdout.splitlines()[-1], done.returncode))

    def test_nothing_ran(self):
        done = self.run_script("", status=1)
        self.assertEqual(("0 passed, 1 failed, 0 skipped", 1), (done.stdout.splitlines()[-1], done.returncode))

    def test_meson_itself_failed(self):
        self.assertEqual(1, self.run_script('{"name": "a", "result": "OK", "stdout": ""}\n', status=2).returncode)


class AllowedSkips(unittest.TestCase):
    def test_each_line_names_a_reason(self):
        path = os.path.join(ROOT, "tests", "allowed-skips")
        with open(path, encoding="utf-8") as file:
            lines = [line for line in file.read().splitlines() if line and not line.startswith("#")]
        for line in lines:
            self.assertRegex(line, re.compile(r"^[\w.-]+: \S.{9,}$"), "name: reason")
        self.assertEqual(len(lines), len(run_tests.allowed_skips(path)))

    def test_each_line_names_a_test(self):
        """As meson does: those of e2e, faults and golden may have their folder's name in front."""
        tests = set()
        for folder, _, names in os.walk(os.path.join(ROOT, "tests")):
            found = {re.sub(r"^test_|\.\w+$", "", name) for name in names if name.startswith("test_")}
            tests |= found | {os.path.basename(folder) + "_" + name for name in found}
        for name in run_tests.allowed_skips():
            self.assertIn(name.split(".")[0], tests)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
