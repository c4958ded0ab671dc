# The verbs around the main job, as a user types them: test_verbs.py PROGRAM. Settings, presets, completion, help and
# doctor; messages on stderr, exit codes, what the shell completes.
import json
import os
import subprocess
import sys
import tempfile
import unittest

PROGRAM = None


class Verbs(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.env = {"PATH": os.environ["PATH"], "HOME": self.folder.name, "LC_ALL": "C.UTF-8",
                    "TERMINALAI_SYSTEM_CONFIG": os.path.join(self.folder.name, "none.yaml")}
        self.env |= {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}

    def run_it(self, *words, **env):
        return subprocess.run([PROGRAM, *words], capture_output=True, text=True, env=self.env | env, check=False,
                              stdin=subprocess.DEVNULL, timeout=120)

    def said(self, *words, **env):
        done = self.run_it(*words, **env)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout

    def fails(self, code, text, *words, **env):
        done = self.run_it(*words, **env)
        self.assertEqual(code, done.returncode, done.stderr)
        self.assertIn(text, done.stderr)
        self.assertTrue(done.stderr.startswith("terminalai: error: "), done.stderr)
        self.assertNotIn("\nterminalai: error:", done.stderr)
        return done

    def put(self, name, text):
        path = os.path.join(self.folder.name, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def test_no_verb_and_wrong_verb(self):
        self.assertIn("Usage:", self.fails(64, "a verb is missing").stdout)
        self.fails(64, "did you mean 'restore'?", "restroe")
        self.fails(64, "did you mean 'presets'?", "help", "preset")

    def test_help_of_every_verb(self):
        names = [line.split()[0] for line in self.said("help").splitlines() if line.startswith("  ")]
        self.assertEqual(len(names), len(set(names)))
        for name in ["restore", "batch", "verify", "metrics", "compare", "sample", "settings", "presets", "completion",
                     "doctor", "help", "version"]:
            self.assertIn(name, names)
            text = self.said("help", name)
            self.assertTrue(text.startswith(f"Usage: terminalai {name}"), text)
            self.assertEqual(text, self.said(name, "--help"))
            self.assertEqual(text, self.said(name, "-h"))
        self.assertIn("--audio-bitrate RATE", self.said("help", "restore"))
        self.assertEqual(self.said("version"), self.said("--version"))
        self.assertEqual(self.said("help"), self.said("--help"))

    def test_settings_forms(self):
        schema = json.loads(self.said("settings", "--schema"))
        values = json.loads(self.said("settings", "--json", "--all"))
        self.assertEqual(list(values), list(schema["properties"]))
        types = {"boolean": bool, "integer": int, "number": (int, float), "string": str}
        for name, value in values.items():
            rule = schema["properties"][name]
            kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
            self.assertTrue(any(isinstance(value, types[kind]) for kind in kinds), name)
            self.assertIn(value, rule.get("enum", [value]), name)
            self.assertTrue(rule.get("minimum", 0) <= value <= rule["maximum"] if "maximum" in rule else True, name)
            self.assertTrue(rule["description"] and rule["x-group"] and rule["x-since"], name)
            if "x-when" in rule:
                self.assertIn(rule["x-when"]["setting"], values)
        self.assertFalse(schema["additionalProperties"])
        self.assertLess(len(json.loads(self.said("settings", "--json"))), len(values))
        self.fails(64, "one form at a time", "settings", "--json", "--schema")

    def test_settings_come_from_everywhere(self):
        self.put(".config/terminalai/config.yaml", "crf: 21\ncontrast: 1.2\npreset: vhs_standard\n")
        lines = dict(line.split(maxsplit=1) for line in
                     self.said("settings", "--origin", "--gamma", "1.1", TERMINALAI_CRF="22").splitlines())
        self.assertEqual("22                       environment, TERMINALAI_CRF", lines["crf"])
        self.assertRegex(lines["contrast"], r"^1\.2 +user file, .*config\.yaml:2$")
        self.assertRegex(lines["saturation"], r"^1\.1 +preset, preset vhs_standard:\d+$")
        self.assertRegex(lines["gamma"], r"^1\.1 +command line, --gamma$")
        self.assertRegex(lines["engine"], r"^auto +default$")
        self.fails(78, "config.yaml:1: there is no setting 'crv'", "settings",
                   XDG_CONFIG_HOME=os.path.dirname(os.path.dirname(self.put("bad/terminalai/config.yaml", "crv: 1\n"))))
        self.fails(64, "did you mean 'crf'?", "settings", TERMINALAI_CRRF="20")

    def test_settings_can_be_used_again(self):
        printed = self.said("settings", "--preset", "vhs_heavy", "--engine", "classic")
        path = self.put("x/terminalai/config.yaml", printed)
        again = self.run_it("settings", "--json", XDG_CONFIG_HOME=os.path.dirname(os.path.dirname(path)))
        self.assertEqual(0, again.returncode, again.stderr)
        self.assertEqual(json.loads(self.said("settings", "--json", "--preset", "vhs_heavy", "--engine", "classic")),
                         json.loads(again.stdout))

    def test_presets(self):
        names = self.said("presets", "--names").split()
        self.assertEqual(sorted(names), names)
        self.assertNotIn("auto", names)
        self.assertIn("auto ", self.said("presets"))
        for name in names:
            shown = self.said("presets", "show", name)
            self.assertNotIn("inherits:", shown)
        self.assertIn('denoise-strength: "8:6:12:9"', self.said("presets", "show", "vhs_heavy"))
        self.assertIn("deinterlace: bwdif", self.said("presets", "show", "vhs_heavy"))
        path = self.put("mine.yaml", "inherits: dvd\nsettings: { crf: 14 }\n")
        self.assertIn("crf: 14", self.said("presets", "show", path))
        self.fails(69, "vhs for tapes", "presets", "show", "auto")
        self.fails(64, "did you mean 'vhs'?", "presets", "show", "vsh")
        self.fails(64, "a preset's name is missing", "presets", "show")
        self.fails(64, "presets can't 'shwo'", "presets", "shwo", "vhs")

    def completed(self, *words):
        script = self.put("c.bash", self.said("completion", "bash"))
        line = " ".join("'" + word + "'" for word in words)
        done = subprocess.run(
            ["bash", "-c", f"PATH={os.path.dirname(os.path.abspath(PROGRAM))}:$PATH; source {script}; "
             f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _terminalai; printf '%s\\n' \"${{COMPREPLY[@]}}\""],
            capture_output=True, text=True, env=self.env, check=True, cwd=self.folder.name)
        self.assertEqual("", done.stderr)
        return done.stdout.split()

    def test_bash_completion(self):
        self.put("tape.mpg", "")
        self.assertEqual(["restore"], self.completed("terminalai", "rest"))
        self.assertEqual(["--engine"], self.completed("terminalai", "restore", "--engi"))
        self.assertEqual(["--no-vfr"], self.completed("terminalai", "restore", "--no-v"))
        self.assertEqual(["classic"], self.completed("terminalai", "restore", "--engine", "c"))
        self.assertEqual(["classic"], self.completed("terminalai", "restore", "--engine", "=", "c"))
        self.assertEqual(["vhs", "vhs_clean", "vhs_heavy", "vhs_standard"],
                         self.completed("terminalai", "restore", "--preset", "vhs"))
        self.assertEqual(["tape.mpg"], self.completed("terminalai", "restore", "ta"))

    def test_other_completions(self):
        settings = json.loads(self.said("settings", "--json", "--all"))
        for shell, form in (("bash", " --{} "), ("zsh", "--{}"), ("fish", "-l {}")):
            text = self.said("completion", shell).replace("'\n", " \n")
            for name in settings:
                self.assertIn(form.format(name), text)
        self.fails(64, "did you mean 'fish'?", "completion", "fihs")
        self.fails(64, "a shell", "completion")

    def test_doctor(self):
        done = self.run_it("doctor", "--json")
        found = json.loads(done.stdout)["findings"]
        parts = {one["part"] for one in found}
        self.assertLessEqual({"cpu", "memory", "disk", "gpu", "video encoders", "audio encoders", "engines", "models",
                              "sandbox", "fonts"}, parts)
        state = {one["name"]: one["state"] for one in found}
        for encoder in json.loads(self.said("settings", "--schema"))["properties"]["encoder"]["enum"]:
            self.assertIn(encoder, state)
        self.assertEqual("ok", state["libx264"])
        self.assertEqual("ok", state["aac"])
        for one in found:
            self.assertTrue(one["state"] == "ok" or one["advice"], one)
        text = self.said("doctor")
        for one in found:
            self.assertIn(one["name"], text)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2)
