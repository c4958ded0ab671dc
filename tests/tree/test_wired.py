# No setting is parsed and then ignored: every row of the table is read somewhere outside src/settings.
import os
import re
import sys
import unittest

import tree

ROW = re.compile(r"^SETTING\((\w+),", re.M)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)


def rows():
    return ROW.findall(tree.text("src/settings/table.def"))


def used():
    code = [COMMENT.sub(" ", tree.text(path)) for path in tree.files()
            if path.startswith("src" + os.sep) and path.endswith((".c", ".h")) and not path.startswith("src/settings/")]
    return set(re.findall(r"\bTA_SET_(\w+)\b", "\n".join(code)))


class Wired(unittest.TestCase):
    def test_every_setting_is_read(self):
        self.assertGreater(len(rows()), 50)
        read = used()
        self.assertEqual([], [row for row in rows() if row not in read])

    def test_no_row_stands_twice(self):
        self.assertEqual(len(rows()), len(set(rows())))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
