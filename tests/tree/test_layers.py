# The layers hold: a folder of src/ may use those above it in src/meson.build, never below, and only through their one
# header FOLDER/FOLDER.h. Pixel kernels know no libav. The rules are tried on made-up trees as well.
import os
import re
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)


def order_of(src):
    with open(os.path.join(src, "meson.build"), encoding="utf-8") as file:
        return re.findall(r"^subdir\('([\w/]+)'\)", file.read(), re.M)


def sources(src):
    for folder, _, names in os.walk(src):
        for name in sorted(names):
            if name.endswith((".c", ".h", ".def", ".inc", ".S", ".asm")):
                yield os.path.relpath(os.path.join(folder, name), src)


def wrong_include(src, order, path, quote, target):
    """Why the file `path` may not include `target`, or None."""
    own, other = path.split(os.sep)[0], target.split("/")[0]
    if "kernels" in path.split(os.sep) and target.startswith("libav"):
        return "pixel kernels know no libav"
    if quote == "<":
        return "our own headers take quotes" if other in order or other == "terminalai" else None
    if other == "terminalai" or other == own:
        return None
    if os.path.exists(os.path.join(src, os.path.dirname(path), target)):
        return None  # beside it
    if other not in order:
        return "no such folder in src/meson.build; system and library headers take angle brackets"
    if order.index(other) > order.index(own):
        return f"{own} stands above {other} and may not know it"
    if target != f"{other}/{other}.h":
        return f"other folders use {other}/{other}.h only"
    return None


def faults(src):
    order, found = order_of(src), []
    for path in sources(src):
        own = path.split(os.sep)[0]
        if own not in order:
            found.append(f"{path}: its folder is not in src/meson.build")
            continue
        with open(os.path.join(src, path), encoding="utf-8") as file:
            for quote, target in INCLUDE.findall(file.read()):
                why = wrong_include(src, order, path, quote, target)
                if why:
                    found.append(f"{path} includes {target}: {why}")
    return found


class Layers(unittest.TestCase):
    def made_up(self, files):
        with tempfile.TemporaryDirectory() as src:
            with open(os.path.join(src, "meson.build"), "w", encoding="utf-8") as file:
                file.write("# order\nsubdir('base')\nsubdir('media')\nsubdir('picture')\n")
            for path, text in files.items():
                os.makedirs(os.path.dirname(os.path.join(src, path)), exist_ok=True)
                with open(os.path.join(src, path), "w", encoding="utf-8") as file:
                    file.write(text)
            return faults(src)

    def test_the_tree(self):
        src = os.path.join(ROOT, "src")
        self.assertGreater(len(list(sources(src))), 10)
        self.assertEqual([], faults(src), "\n".join(faults(src)))

    def test_every_folder_has_its_header(self):
        for folder in order_of(os.path.join(ROOT, "src")):
            self.assertTrue(os.path.exists(os.path.join(ROOT, "src", folder, f"{os.path.basename(folder)}.h")), folder)

    def test_allowed(self):
        picture = ["<stdio.h>", '"base/base.h"', '"media/media.h"', '"own.h"', '"terminalai/error.h"']
        self.assertEqual([], self.made_up({
            "base/base.h": '#include "base/log.h"\n', "base/log.h": "", "media/media.h": "", "picture/own.h": "",
            "picture/a.c": "".join(f"#include {name}\n" for name in picture)}))

    def test_downward_arrow(self):
        self.assertRegex("".join(self.made_up({"base/a.c": '#include "picture/picture.h"\n'})), "stands above")

    def test_inner_header_of_another_folder(self):
        self.assertRegex("".join(self.made_up({"media/a.c": '#  include "base/log.h"\n'})), "base/base.h only")

    def test_kernels_know_no_libav(self):
        self.assertRegex("".join(self.made_up({"picture/kernels/a.c": "#include <libavutil/frame.h>\n"})), "no libav")

    def test_unlisted_folder(self):
        self.assertRegex("".join(self.made_up({"extra/a.c": ""})), "not in src/meson.build")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
