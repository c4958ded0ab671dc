# The documents are true where a program can tell: links lead somewhere; make targets, flags, presets and exit codes
# that they name exist; what "make docs" generates is up to date. Usage: test_docs.py [PROGRAM]
import os
import re
import subprocess
import sys
import tempfile
import unittest

import tree

PROGRAM = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else None
PAGES = [path for path in tree.files() if path.endswith(".md") and not path.startswith("tests/")]
# Flags of other programs that our pages show, and flags of verbs that are no settings.
OTHER_FLAGS = {"check"}


def said(*words):
    return subprocess.run([PROGRAM, *words], capture_output=True, text=True, check=True,
                          stdin=subprocess.DEVNULL).stdout


class Pages(unittest.TestCase):
    def none(self, found):
        self.assertEqual([], sorted(set(found)), "\n".join(sorted(set(found))))

    def test_links_lead_somewhere(self):
        links = [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", tree.text(page))]
        self.assertGreater(len(links), 5)
        self.none([f"{page}: {link}" for page, link in links
                   if not os.path.exists(os.path.join(tree.ROOT, os.path.dirname(page), link))])

    def test_make_targets_exist(self):
        targets = set(re.findall(r"^([a-z-]+):", tree.text("Makefile"), re.M))
        self.none([f"{page}: make {target}" for page in PAGES
                   for target in re.findall(r"(?:`|^)make ([a-z-]+)", tree.text(page), re.M) if target not in targets])

    def test_exit_codes(self):
        status = dict(re.findall(r"TA_ERR_(\w+) = -(\d+)", tree.text("include/terminalai/error.h")))
        wanted = {"0"} | set(status.values())
        manual = tree.text("docs/manual.md").split("## Exit codes")[1].split("\n## ")[0]
        self.assertEqual(wanted, set(re.findall(r"^\| (\d+) \|", manual, re.M)))
        self.assertEqual(wanted, set(re.findall(r"^\.B (\d+)$", tree.text("docs/terminalai.1.in"), re.M)))
        readme = tree.text("README.md").split("sysexits.h")[1]
        self.assertEqual(wanted, set(re.findall(r" (\d+) ", re.search(r"^\| 0 \|.*$", readme, re.M)[0])))

    @unittest.skipUnless(PROGRAM, "needs the program")
    def test_flags_exist(self):
        verbs = re.findall(r"^  ([a-z-]+)\s", said("help"), re.M)
        self.assertIn("restore", verbs)
        known = set(OTHER_FLAGS)
        for verb in verbs:
            known |= set(re.findall(r"--([a-z0-9-]+)", said("help", verb)))
        self.none([f"{page}: --{flag}" for page in PAGES for flag in re.findall(r"(?<![\w-])--([a-z][a-z0-9-]+)",
                   tree.text(page)) if flag not in known and flag.removeprefix("no-") not in known])
        self.none([f"{page}: terminalai {verb}" for page in PAGES
                   for verb in re.findall(r"`?terminalai ([a-z-]+)\b(?! takes)", tree.text(page)) if verb not in verbs])

    @unittest.skipUnless(PROGRAM, "needs the program")
    def test_presets_exist(self):
        have = set(re.findall(r"^(\w+)", said("presets"), re.M))
        self.assertEqual({os.path.basename(path)[:-5] for path in tree.files() if path.startswith("presets/")}, have)
        named = re.findall(r"--preset (\w+)|^\| ((?:`\w+`(?:, )?)+) \|", tree.text("README.md"), re.M)
        named = {word for pair in named for word in re.findall(r"\w+", " ".join(pair))}
        self.assertGreater(len(named), 4)
        self.none(named - have)

    @unittest.skipUnless(PROGRAM, "needs the program")
    def test_generated_pages_are_up_to_date(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([os.path.join(tree.ROOT, "scripts", "make-docs"), PROGRAM, folder], check=True)
            made = sorted(os.path.relpath(os.path.join(where, name), folder)
                          for where, _, names in os.walk(folder) for name in names)
            self.assertGreater(len(made), 4)
            for path in made:
                with open(os.path.join(folder, path), encoding="utf-8") as file:
                    self.assertEqual(tree.text(path), file.read(), f"{path} is old: run 'make docs' and commit it")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
