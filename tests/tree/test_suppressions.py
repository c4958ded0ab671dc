# tests/tsan.supp and lsan.supp name third-party libraries only, each line with its reason: our own races and leaks are
# never hidden.
import re
import sys
import unittest

import tree

KINDS = ("leak", "race", "race_top", "mutex", "signal", "deadlock", "thread", "called_from_lib")


def faults(text, own):
    """What is wrong with a suppressions file; `own` is a set of names of this program's functions and files."""
    found, reason = [], False
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            reason = False
        elif line.startswith("#"):
            reason = number > 2
        else:
            kind, colon, pattern = line.partition(":")
            bare = pattern.strip().strip("^$*")
            if not colon or kind not in KINDS or not bare:
                found.append(f"{number}: not KIND:PATTERN: {line}")
            if not reason:
                found.append(f"{number}: no reason in the comment above: {line}")
            if re.match(r"(lib)?(ta_|terminalai|TA_)", bare) or any(name == bare or bare in name for name in own):
                found.append(f"{number}: names our own code: {line}")
            if "*" in bare and len(bare.replace("*", "")) < 4:
                found.append(f"{number}: matches nearly everything: {line}")
    return found


def own_names():
    names = set()
    for path in tree.files():
        if path.startswith(("src/", "include/", "tests/")) and path.endswith((".c", ".h")):
            names.add(path)
            names.update(re.findall(r"^[A-Za-z_][\w \t*]*?(\w+)\(", tree.text(path), re.M))
    return names


class Suppressions(unittest.TestCase):
    def test_the_files(self):
        for path in ("tests/tsan.supp", "tests/lsan.supp"):
            found = faults(tree.text(path), own_names())
            self.assertEqual([], found, path + "\n" + "\n".join(found))

    def test_ours_is_noticed(self):
        own = {"src/base/queue.c", "ta_queue_push", "worker"}
        head = "# head\n# head\n# why\n"
        self.assertEqual([], faults(head + "race:libx264.so\n", own))
        for bad in ("race:ta_queue_push", "race:queue.c", "race:worker", "race:terminalai", "race:*", "race:ta_*",
                    "x264"):
            self.assertTrue(faults(head + bad + "\n", own), bad)
        self.assertTrue(faults("# head\n# head\n\nrace:libx264.so\n", own))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
