# Every file says what it is for in its first comment, keeps to the line length, and names nothing that only makes
# sense where it was written: no absolute work folders, no package registry by host name.
import os
import re
import stat
import sys
import unittest

import tree

# In pieces, so that this file passes its own test.
HOSTS = [".".join(parts) for parts in (
    ("deb", "debian", "org"), ("security", "debian", "org"), ("snapshot", "debian", "org"), ("ftp", "debian", "org"),
    ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("crates", "io"),
    ("proxy", "golang", "org"), ("repo", "maven", "apache", "org"), ("repo1", "maven", "org"))]
WORDS = [re.escape(host) for host in HOSTS] + [
    r"(?<![\w./-])/" + r"work(?![\w-])", "helper" + r"\s+session", "sub" + "agent", r"\bissue\s+#?" + r"\d",
    "rigid-" + "nerve", "land" + r"\.sh", "BRIEF" + r"\.md"]
FORBIDDEN = re.compile("|".join(WORDS), re.I)

C_LIKE, HASH = (".c", ".h", ".def", ".inc"), (".sh", ".yaml", ".supp")
LONGEST = 120


def wants(path, text):
    """The beginning that a file's kind asks for, or None."""
    name = os.path.basename(path)
    if path.endswith(C_LIKE):
        return r"/[*/] ?\S"
    if path.endswith(".py"):
        return r'(#![^\n]+\n)?(# \S|""")'
    if text.startswith("#!"):
        return r"#![^\n]+\n# \S"
    if path.endswith(HASH) or name in ("Makefile", ".clang-format", ".clang-tidy", ".editorconfig", "allowed-skips"):
        return r"# ?\S"
    return r"# \S" if path.endswith(".md") else None


class Files(unittest.TestCase):
    def setUp(self):
        self.files = [(path, tree.text(path)) for path in tree.files()]
        self.files = [(path, text) for path, text in self.files if text]
        self.assertGreater(len(self.files), 40)

    def none(self, found):
        self.assertEqual([], found, "\n".join(found))

    def test_first_comment(self):
        self.none([path for path, text in self.files if wants(path, text) and not re.match(wants(path, text), text)])

    def test_line_length(self):
        self.none([f"{path}:{number}: {len(line)} columns" for path, text in self.files
                   if path.endswith((".py", ".sh")) for number, line in enumerate(text.splitlines(), 1)
                   if len(line) > LONGEST])

    def test_white_space(self):
        self.none([path for path, text in self.files if not path.endswith((".md", ".cube"))
                   and path != "LICENSE" and (re.search(r"[ \t]+$", text, re.M) or not text.endswith("\n"))])

    def test_no_tabs(self):
        self.none([path for path, text in self.files if path.endswith(C_LIKE + (".py", ".build")) and "\t" in text])

    def test_forbidden_words(self):
        self.none([f"{path}:{text[:found.start()].count(chr(10)) + 1}: {found.group()}" for path, text in self.files
                   for found in FORBIDDEN.finditer(text)])

    def test_forbidden_words_are_noticed(self):
        for bad in ["cd /wo" + "rk/main", "http://deb." + "debian.org/debian", "https://py" + "pi.org/simple",
                    "Issue #" + "12"]:
            self.assertRegex(bad, FORBIDDEN)
        for good in ["src/work/x", "--work-dir", "/workshop", "an issue", "Debian"]:
            self.assertNotRegex(good, FORBIDDEN)

    def test_scripts_can_be_run(self):
        self.none([path for path, text in self.files
                   if text.startswith("#!") and not os.stat(os.path.join(tree.ROOT, path)).st_mode & stat.S_IXUSR])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
